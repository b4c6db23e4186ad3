# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each check reads out of what was seen, and how it is named."""

from __future__ import annotations

import difflib
import json
import typing as t
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ansible_collections.rosey.nats.plugins.module_utils._bot import bot_expectation, bot_health, subscriptions
from ansible_collections.rosey.nats.plugins.module_utils._data import lost_streams
from ansible_collections.rosey.nats.plugins.module_utils._host import unit_checks, unit_file
from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Finding, Severity
from ansible_collections.rosey.nats.plugins.module_utils._host.service import Service
from ansible_collections.rosey.nats.plugins.module_utils._server import (
    conditions,
    health,
    http_reader,
    monitoring,
)
from ansible_collections.rosey.nats.plugins.module_utils._server.http_reader import MonitoringError
from ansible_collections.rosey.nats.plugins.module_utils._watch import check_limits
from ansible_collections.rosey.nats.plugins.module_utils._watch.check_limits import (
    Limits,
    LimitsError,
    Reading,
    Status,
    Unit,
    Worse,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.health_snapshot import Expectation, Snapshot


@dataclass(frozen=True)
class Kind:
    """A check.

    title: what it tells, in a few words. take: gives None where the host has nothing of the kind. remedy: where its
    value is beyond its limits. unanswered: the status where the server gave no answer.
    """

    title: str
    take: Callable[[Snapshot, Expectation], Reading | None]
    unit: Unit = Unit.COUNT
    remedy: str = ""
    worse: Worse = Worse.HIGHER
    unanswered: Status = Status.UNKNOWN

    @property
    def limited(self) -> bool:
        """Whether its value can have limits."""
        return bool(self.remedy)


def limits(given: Mapping[str, t.Any]) -> dict[str, Limits]:
    """Read limits by the name of the check; LimitsError."""
    faults: list[str] = []
    found: dict[str, Limits] = {}
    limited = [name for name, kind in KINDS.items() if kind.limited]
    for name, pair in given.items():
        if name not in limited:
            nearest = difflib.get_close_matches(str(name), limited, 1)
            hint = f"; the nearest is {nearest[0]}" if nearest else ""
            faults.append(f"{name} is no check with limits; expected one of {', '.join(limited)}{hint}")
        elif not isinstance(pair, Mapping) or not set(pair) <= {"warning", "critical"}:
            faults.append(f"{name} is {json.dumps(pair, default=str)}; expected warning and critical, or one of them")
        else:
            numbers = {level: check_limits.number(value) for level, value in pair.items() if value is not None}
            wrong = [level for level, value in numbers.items() if value is None]
            faults += [f"{name}.{level} is {pair[level]!r}; expected a number, or null for no limit" for level in wrong]
            found[name] = Limits(**numbers)
            if not wrong and check_limits.are_crossed(found[name], KINDS[name].worse):
                milder = "higher" if KINDS[name].worse is Worse.HIGHER else "lower"
                faults.append(
                    f"{name}.critical is {numbers['critical']:g} and its warning {numbers['warning']:g}; expected a "
                    f"critical limit that is {milder}, or the same"
                )
    if faults:
        raise LimitsError("\n".join(faults))
    return found


_MOST_NAMED = 3


def _read(well: str, findings: Iterable[Finding], value: float | None = None) -> Reading:
    """Give a reading that says what is wrong, or else how well it is."""
    found = tuple(findings)
    return Reading(_named(found) or well, value, found)


def _named(found: Sequence[Finding], most: int = _MOST_NAMED) -> str:
    said = [f"{finding.what}: expected {finding.expected}, found {finding.found}" for finding in found[:most]]
    said += [f"and {len(found) - most} more"] if len(found) > most else []
    return "; ".join(said)


# What was there when it was last proven


# A name is what a person looks for, but a line has an end.
_MOST_STREAMS_NAMED = 10


def _streams(snapshot: Snapshot, expectation: Expectation) -> Reading | None:
    found = snapshot.streams
    if found is None or expectation.jetstream is False:
        return None
    if isinstance(found, Exception):
        raise found
    remedy = lost_streams.remedy(found)
    findings = [
        *(
            Finding(f"stream {lost_streams.named(each.stream)}", lost_streams.holding(each.stream), str(each), remedy)
            for each in found.lost
        ),
        *(replace(each, what=http_reader.excerpt(each.what)) for each in found.others),
    ]
    said = f"{found.there} of {found.count} streams of {found.time} there"
    named = _named(findings, _MOST_STREAMS_NAMED)
    return Reading(f"{said}; {named}" if named else said, float(len(found.lost)), tuple(findings))


# The server


def _take_service(found: Service | str | None, name: str | None, settings: Iterable[str]) -> Reading | None:
    """Read what runs a program. found: why that is not known, as text. settings: those that no drop-in may change."""
    if name is None or found is None:
        return None
    if isinstance(found, str):
        return _read("", [Finding(name, "what runs it", found, "look at it on the host")])
    findings = []
    if found.masked or found.broken:
        state = f"that it is masked by {found.masked}" if found.masked else f"that systemd says: {found.broken}"
        remedy = f"systemctl unmask {name}" if found.masked else f"correct it: systemctl cat {name}"
        findings.append(Finding(name, "a unit that can be started", state, remedy))
    elif found.running is None:
        state = "nothing that runs" if found.exists else "no such service"
        findings.append(Finding(name, "a process", state, f"start {name}, and look in its log and the journal"))
    elif found.failing:
        remedy = f"look in the journal for why it ended; systemctl restart {name} makes systemd forget it"
        findings.append(
            Finding(name, "no failed start", "that it ended and was started again", remedy, Severity.WARNING)
        )
    for each in unit_file.overrides(found.unit, found.drop_ins, settings):
        said = f"that {'; '.join(unit_checks.told(each.by))}"
        remedy = "take that out of the drop-in, or remove the file, and deploy again"
        findings.append(Finding(name, f"{each.name} as its unit has it", said, remedy, Severity.WARNING))
    if found.exists and not found.enabled:
        remedy = f"enable it: systemctl enable {name}"
        findings.append(Finding(name, "that it starts with the host", "that it does not", remedy, Severity.WARNING))
    pid = found.running.pid if found.running else None
    return _read(f"{name} runs as process {pid}", findings)


def _service(snapshot: Snapshot, expectation: Expectation) -> Reading | None:
    return _take_service(snapshot.service, expectation.service, unit_checks.SERVER_SETTINGS)


def _files(snapshot: Snapshot, _expectation: Expectation) -> Reading | None:
    found = snapshot.files
    if found is None:
        return None
    if isinstance(found, str):
        remedy = "look at it as root"
        return _read("", [Finding("files", "some that can be looked at", found, remedy, Severity.WARNING)])
    return _read(f"{found.account.name} may read and write all that the configuration names", found.findings)


_NAME_REMEDY = "check that url leads to this server; where it does, deploy it anew"


def _server(snapshot: Snapshot, expectation: Expectation) -> Reading:
    varz = snapshot.answer("varz")
    findings = [
        Finding(what, wanted, http_reader.excerpt(varz[what]), _NAME_REMEDY)
        for what, wanted in (("server_name", expectation.server_name), ("version", expectation.version))
        if wanted is not None and varz[what] != wanted
    ]
    findings += conditions.health_findings(snapshot.answer("healthz"))
    ids = {
        found["server_id"]
        for found in snapshot.answers.values()
        if not isinstance(found, MonitoringError) and "server_id" in found
    }
    if len(ids) > 1:
        remedy = "name one server in url; where it is restarting, look again"
        findings.append(Finding("server_id", "one server", f"{len(ids)} that answer in turn", remedy))
    name = http_reader.excerpt(varz["server_name"])
    return _read(f"{name}, nats-server {http_reader.excerpt(varz['version'])}, says ok at /healthz", findings)


def _connection(snapshot: Snapshot, expectation: Expectation) -> Reading | None:
    found = snapshot.connected
    if found is None or expectation.client_url is None:
        return None
    wanted = f"a connection to {expectation.client_url}"
    if isinstance(found, str):
        remedy = "check that nats-server runs, and which host and port its configuration has"
        return _read("", [Finding("connection", wanted, found, remedy)])
    varz = snapshot.answers["varz"]
    findings = []
    if not isinstance(varz, MonitoringError) and found.server_id != varz["server_id"]:
        remedy = "look which process listens there, and at the monitoring port: ss -ltnp"
        findings.append(Finding("connection", f"{wanted} of the server that is monitored", "another server", remedy))
    return _read(f"connected to {expectation.client_url} in {found.seconds * 1000:.1f} ms", findings, found.seconds)


def _uptime(snapshot: Snapshot, _expectation: Expectation) -> Reading:
    varz = snapshot.answer("varz")
    start, now = monitoring.moment(varz["start"]), monitoring.moment(varz["now"])
    if start is None or now is None:
        raise ValueError("no time")
    seconds = (now - start).total_seconds()
    return Reading(f"up since {start:%Y-%m-%d %H:%M:%S} UTC", seconds)


def _cpu(snapshot: Snapshot, _expectation: Expectation) -> Reading:
    varz = snapshot.answer("varz")
    percent = float(varz["cpu"]) / max(1, int(varz["cores"]))
    return Reading(f"{percent:.1f} % of {varz['cores']} cores", percent)


def _of_varz(name: str, said: str) -> Callable[[Snapshot, Expectation], Reading]:
    """Read one of the numbers that the gate knows, too."""

    def take(snapshot: Snapshot, _expectation: Expectation) -> Reading:
        varz = snapshot.answer("varz")
        return Reading(said.format_map(varz), health.MEASURES[name].read(varz))

    return take


def _subscriptions(snapshot: Snapshot, _expectation: Expectation) -> Reading:
    count = snapshot.answer("subsz")["num_subscriptions"]
    return Reading(f"{count} subscriptions, those of the server itself among them", float(count))


def _pending(snapshot: Snapshot, _expectation: Expectation) -> Reading:
    limit = int(snapshot.answer("varz")["max_pending"])
    waiting = [
        (int(each.get("pending_bytes", 0)), str(each.get("name") or each["cid"]))
        for each in snapshot.answer("connz")["connections"]
    ]
    most, name = max(waiting, default=(0, ""))
    if not most:
        return Reading(f"no message backlog, {len(waiting)} clients", 0.0)
    return Reading(f"{most} bytes wait for client {http_reader.excerpt(name)}, of {limit} at most", 100 * most / limit)


_JETSTREAM_OFF = "JetStream is off"


def _jetstream(snapshot: Snapshot, expectation: Expectation) -> Reading:
    jsz = snapshot.answer("jsz")
    is_on = not jsz.get("disabled")
    findings = []
    if expectation.jetstream is not None and expectation.jetstream != is_on:
        wanted, found = ("on" if on else "off" for on in (expectation.jetstream, is_on))
        findings.append(Finding("jetstream", wanted, found, "look at the log of the server, then restart it"))
    said = f"JetStream is on; streams: {jsz['streams']}, consumers: {jsz['consumers']}"
    return _read(said if is_on else _JETSTREAM_OFF, findings)


def _store(used: str, limit: str, noun: str) -> Callable[[Snapshot, Expectation], Reading]:
    """Read how full one of JetStream's stores is."""

    def take(snapshot: Snapshot, _expectation: Expectation) -> Reading:
        jsz = snapshot.answer("jsz")
        if jsz.get("disabled"):
            return Reading(_JETSTREAM_OFF)
        most, size = int(jsz["config"][limit]), int(jsz[used])
        return Reading(f"{size} of {most} bytes of {noun} in use", 100 * size / most if most > 0 else 0.0)

    return take


def _meta(snapshot: Snapshot, _expectation: Expectation) -> Reading:
    varz, jsz = snapshot.answer("varz"), snapshot.answer("jsz")
    group = jsz.get("meta_cluster")
    if not group:
        return Reading("JetStream is in no cluster")
    lost = conditions.lost_peers(group)
    named = f", lost: {', '.join(map(http_reader.excerpt, lost))}" if lost else ""
    said = f"{group.get('cluster_size')} servers led by {http_reader.excerpt(str(group.get('leader')))}{named}"
    return _read(said, conditions.quorum_findings(varz, jsz), float(len(lost)))


def _routes(snapshot: Snapshot, expectation: Expectation) -> Reading:
    names = monitoring.routed_servers(snapshot.answer("routez"))
    if not expectation.cluster and not names:
        return Reading("no cluster, so no routes")
    shown = ", ".join(http_reader.excerpt(name) for name in sorted(names.values()))
    return Reading(f"routes to {len(names)} other servers{': ' if shown else ''}{shown}", float(len(names)))


# The bot


def _bot_service(snapshot: Snapshot, expectation: Expectation) -> Reading | None:
    return (
        None
        if snapshot.no_bot
        else _take_service(snapshot.bot_service, expectation.bot_service, unit_checks.BOT_SETTINGS)
    )


def _bot(snapshot: Snapshot, expectation: Expectation) -> Reading | None:
    if snapshot.no_bot and expectation.released_bot:
        wanted = f"the bot of release {expectation.released_bot}"
        return _read("", [Finding("bot", wanted, snapshot.no_bot, bot_health.MISSED_REMEDY)])
    if expectation.bot is None or snapshot.told is None:
        return Reading(snapshot.no_bot) if snapshot.no_bot else None
    # what the server holds of the plugins has a check of its own; what the gate takes on trust is nothing that is wrong
    is_unknown = snapshot.held is None or isinstance(snapshot.held, MonitoringError)
    meant = expectation.bot if is_unknown else replace(expectation.bot, subjects=0)
    judgement = bot_health.judge(bot_health.Snapshot(snapshot.told), meant)
    findings = [each for each in judgement.findings if each.severity is Severity.ERROR]
    return _read(judgement.facts[0], findings)


def _bot_errors(snapshot: Snapshot, expectation: Expectation) -> Reading | None:
    if expectation.bot is None or not isinstance(snapshot.told, bot_health.Told):
        return None
    seen = bot_health.judge(bot_health.Snapshot(snapshot.told), expectation.bot).seen
    if not {"requests", "errors"} <= seen.keys():
        return Reading("the bot does not tell its requests and errors")
    requests, errors = seen["requests"], seen["errors"]
    said = f"{errors} errors, {requests} requests since the bot started"
    return Reading(said, 100.0 * errors / max(1, requests, errors))


def _plugins(snapshot: Snapshot, expectation: Expectation) -> Reading | None:
    if expectation.bot is None or snapshot.told is None or expectation.bot.mode is not bot_expectation.Mode.NATS:
        return None
    if expectation.plugins_fault:
        remedy = "correct the description of the plugins; playbooks/contract.yml checks it alone"
        fault = Finding("plugins", "a description", expectation.plugins_fault, remedy, Severity.WARNING)
        return _read("", [fault])
    if isinstance(snapshot.held, MonitoringError):
        raise snapshot.held
    unheld = subscriptions.missing(snapshot.held, expectation.bot)
    if unheld is None:
        return None
    declared = expectation.bot.declared
    said = f"{declared - len(unheld)} of {declared} subscriptions of the plugins held"
    return Reading(f"{said}; {_named(unheld)}" if unheld else said, float(len(unheld)))


KINDS: dict[str, Kind] = {
    "streams": Kind("the streams that the last proven state had", _streams),
    "service": Kind("what runs the server", _service),
    "files": Kind("what the account of the server may read and write", _files),
    "server": Kind("what the server says of itself, at /varz and /healthz", _server, unanswered=Status.CRITICAL),
    "connection": Kind(
        "the time until a client is connected",
        _connection,
        Unit.SECONDS,
        "look at the load of the host, and at /varz for cpu and mem",
    ),
    "uptime": Kind(
        "the time since the server was started",
        _uptime,
        Unit.SECONDS,
        "look in the log and the journal for why the server was started anew",
        Worse.LOWER,
    ),
    "cpu": Kind(
        "how busy the server keeps the cores of the host",
        _cpu,
        Unit.PERCENT,
        "look at /connz for the clients with the most messages, and give the server more cores",
    ),
    "memory": Kind(
        "the memory of the server", _of_varz("memory", "{mem} bytes"), Unit.BYTES, health.MEASURES["memory"].remedy
    ),
    "connections": Kind(
        "the connections, of as many as the server takes",
        _of_varz("connections", "{connections} of {max_connections} connections"),
        Unit.PERCENT,
        health.MEASURES["connections"].remedy,
    ),
    "subscriptions": Kind(
        "the subscriptions that the server holds",
        _subscriptions,
        Unit.COUNT,
        "look at /connz?subs=1 for who subscribes to so much",
    ),
    "slow_consumers": Kind(
        "the clients that were too slow since the server started",
        _of_varz("slow_consumers", "{slow_consumers} clients were too slow"),
        Unit.COUNT,
        health.MEASURES["slow_consumers"].remedy,
    ),
    "pending": Kind(
        "the message backlog of the slowest client, of as much as the server keeps for one",
        _pending,
        Unit.PERCENT,
        "look at the log of this client, which does not take its messages; at 100 % the server cuts it off",
    ),
    "jetstream": Kind("whether JetStream is on as it was meant", _jetstream),
    "jetstream_memory": Kind(
        "JetStream's memory store, of its limit",
        _store("memory", "max_memory", "memory"),
        Unit.PERCENT,
        "raise max_mem of jetstream, or give the streams in memory limits",
    ),
    "jetstream_storage": Kind(
        "JetStream's file store, of its limit",
        _store("storage", "max_storage", "storage"),
        Unit.PERCENT,
        "raise max_file of jetstream, or give the streams limits",
    ),
    "meta": Kind(
        "the servers of the JetStream cluster that its leader has lost",
        _meta,
        Unit.COUNT,
        "start the servers that are lost, or check that this one reaches them",
    ),
    "routes": Kind(
        "the other servers that routes lead to",
        _routes,
        Unit.COUNT,
        "start the other servers of the cluster, or check its routes and that this server reaches them",
        Worse.LOWER,
    ),
    "bot_service": Kind("what runs the bot", _bot_service),
    "bot": Kind("what the bot says of itself at its health endpoint", _bot),
    "bot_errors": Kind(
        "the errors of the bot, of its requests",
        _bot_errors,
        Unit.PERCENT,
        "look at the logs of the bot and its plugins",
    ),
    "plugins": Kind(
        "the subscriptions that plugins declare and nobody holds",
        _plugins,
        Unit.COUNT,
        subscriptions.UNHELD_REMEDY,
    ),
}
"""All checks, in the order in which they are told."""
