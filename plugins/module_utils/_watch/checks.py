# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health of one host of the bus, as checks with a status and limits: an Observer looks once, judge() compares.

The names are those of natscli's ``nats server check`` and of its performance data, where it has such a check. Looking
never stops at a failure: what is not known is a check too.
"""

from __future__ import annotations

import difflib
import json
import math
import socket
import time
import typing as t
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from urllib.parse import urlsplit

from ansible_collections.rosey.nats.plugins.module_utils._bot import bot_expectation, bot_health, subscriptions
from ansible_collections.rosey.nats.plugins.module_utils._data import lost_streams
from ansible_collections.rosey.nats.plugins.module_utils._host import unit_checks, unit_file
from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Finding, Severity
from ansible_collections.rosey.nats.plugins.module_utils._host.service import Service
from ansible_collections.rosey.nats.plugins.module_utils._server import (
    conditions,
    greeting,
    health,
    monitoring,
    server_files,
)
from ansible_collections.rosey.nats.plugins.module_utils._server.monitoring import Answer, MonitoringError

ENDPOINTS = ("varz", "healthz", "jsz", "connz", "subsz", "routez")


class Status(StrEnum):
    """How a check ended. Unknown: it could not be made."""

    OK = "ok"
    WARNING = "warning"
    UNKNOWN = "unknown"
    CRITICAL = "critical"


_ORDER = tuple(Status)


def worst(statuses: Iterable[Status]) -> Status:
    """Give the worst of these. What could not be looked at is worse than a warning, and unknown where there is none."""
    return max(statuses, key=_ORDER.index, default=Status.UNKNOWN)


class LimitsError(Exception):
    """Which limits can't be used, a line for each."""


class Worse(StrEnum):
    """Which values of a check are the worse ones."""

    HIGHER = "higher"
    LOWER = "lower"


class Unit(StrEnum):
    """What a value is counted in, as the plugins of Nagios write it."""

    COUNT = ""
    SECONDS = "s"
    PERCENT = "%"
    BYTES = "B"


@dataclass(frozen=True)
class Limits:
    """What a value may be at most, or at least where lower is worse, without a warning and without being critical."""

    warning: float | None = None
    critical: float | None = None


@dataclass(frozen=True)
class Check:
    """What came of one check. value: None where it has none, or none is known. remedy: empty where it is well."""

    name: str
    status: Status
    summary: str
    value: float | None
    unit: Unit
    worse: Worse
    warning: float | None
    critical: float | None
    remedy: str

    def as_result(self) -> dict[str, t.Any]:
        """Give it as the module returns it."""
        return {name: str(value) if isinstance(value, StrEnum) else value for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Expectation:
    """What was meant.

    jetstream: whether it is to be on, None where nothing was said. cluster: whether there are other servers to have
    routes to. client_url: where clients connect, None where that can't be tried. service: what runs the server, for a
    person, None where that can't be looked at. bot, bot_service: likewise of the bot, None where no bot is looked at.
    released_bot: the release of the host that has a bot, empty where it has none. plugins_fault: why it can't be told
    which plugins were meant.
    """

    server_name: str | None = None
    version: str | None = None
    jetstream: bool | None = None
    cluster: bool = False
    client_url: str | None = None
    service: str | None = None
    bot: bot_expectation.Expectation | None = None
    bot_service: str | None = None
    released_bot: str = ""
    plugins_fault: str = ""


@dataclass(frozen=True)
class Connected:
    """A connection as a client makes it. seconds: until the server presented itself. server_id: as whom."""

    seconds: float
    server_id: str


# Why there is no comparison, as an error.
Streams: t.TypeAlias = "lost_streams.Comparison | lost_streams.NotComparedError | MonitoringError"


@dataclass(frozen=True)
class Snapshot:
    """A host at one moment; what gave no answer has its error.

    answers: those of the monitoring endpoint, by name. connected: why not, as text. told, held: as a Snapshot of
    bot_health has them. no_bot: why there is no bot to look at; empty where there is one. streams: beside those that
    were proven, None where nothing was or they are not compared.
    """

    answers: Mapping[str, Answer | MonitoringError]
    connected: Connected | str | None = None
    service: Service | str | None = None
    told: bot_health.Told | MonitoringError | None = None
    held: Mapping[str, Collection[str]] | MonitoringError | None = None
    bot_service: Service | str | None = None
    no_bot: str = ""
    streams: Streams | None = None
    files: server_files.Look | str | None = None

    def answer(self, endpoint: str) -> Answer:
        """Give an answer of the server; MonitoringError where there is none."""
        found = self.answers[endpoint]
        if isinstance(found, MonitoringError):
            raise found
        return found


@dataclass(frozen=True)
class Reading:
    """What a check has found, in words and as a number. An error among the findings makes it critical."""

    summary: str
    value: float | None = None
    findings: tuple[Finding, ...] = ()


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
            numbers = {level: _number(value) for level, value in pair.items() if value is not None}
            wrong = [level for level, value in numbers.items() if value is None]
            faults += [f"{name}.{level} is {pair[level]!r}; expected a number, or null for no limit" for level in wrong]
            found[name] = Limits(**numbers)
            if not wrong and _are_crossed(found[name], KINDS[name].worse):
                milder = "higher" if KINDS[name].worse is Worse.HIGHER else "lower"
                faults.append(
                    f"{name}.critical is {numbers['critical']:g} and its warning {numbers['warning']:g}; expected a "
                    f"critical limit that is {milder}, or the same"
                )
    if faults:
        raise LimitsError("\n".join(faults))
    return found


def _number(value: t.Any) -> float | None:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _are_crossed(pair: Limits, worse: Worse) -> bool:
    if pair.warning is None or pair.critical is None:
        return False
    return pair.critical < pair.warning if worse is Worse.HIGHER else pair.critical > pair.warning


def judge(
    snapshot: Snapshot, expectation: Expectation, limits_by_name: Mapping[str, Limits] | None = None
) -> tuple[Check, ...]:
    """Make all checks that this host has, in the order of KINDS."""
    given = limits_by_name or {}
    made = (_made(name, kind, snapshot, expectation, given.get(name, Limits())) for name, kind in KINDS.items())
    return tuple(check for check in made if check)


def summary(made: Iterable[Check]) -> str:
    """Say in one line how many checks there were, and which are not well."""
    named: dict[Status, list[str]] = {status: [] for status in reversed(_ORDER)}
    for check in made:
        named[check.status].append(check.name)
    well = named.pop(Status.OK)
    parts = [f"{status}: {', '.join(names)}" for status, names in named.items() if names]
    return "; ".join([*parts, f"{len(well)} {Status.OK}"])


def _made(name: str, kind: Kind, snapshot: Snapshot, expectation: Expectation, limit: Limits) -> Check | None:
    try:
        reading = kind.take(snapshot, expectation)
        if reading is None:
            return None
        status, remedy = _status(reading, kind, limit)
        text, value = reading.summary, reading.value
    except MonitoringError as error:
        status, text, value, remedy = kind.unanswered, f"no answer at {error.url}: {error.cause}", None, error.remedy
    except lost_streams.NotComparedError as error:
        status, text, value, remedy = Status.UNKNOWN, str(error), None, error.remedy
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        # only some fields of an answer are checked when it is read
        status, text, value = Status.UNKNOWN, "the answer of the server is none that nats-server gives", None
        remedy = monitoring.NATS_SERVER.address
    return Check(name, status, text, value, kind.unit, kind.worse, limit.warning, limit.critical, remedy)


def _status(reading: Reading, kind: Kind, limit: Limits) -> tuple[Status, str]:
    """Give the status, and the remedy of what is worst."""
    found = [(_OF_SEVERITY[finding.severity], finding.remedy) for finding in reading.findings]
    if reading.value is not None:
        for status, bound in ((Status.CRITICAL, limit.critical), (Status.WARNING, limit.warning)):
            if bound is not None and _exceeds(reading.value, bound, kind.worse):
                found.append((status, kind.remedy))
    return max(found, key=lambda each: _ORDER.index(each[0]), default=(Status.OK, ""))


_OF_SEVERITY = {Severity.ERROR: Status.CRITICAL, Severity.WARNING: Status.WARNING}


def _exceeds(value: float, bound: float, worse: Worse) -> bool:
    return value > bound if worse is Worse.HIGHER else value < bound


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
        *(replace(each, what=monitoring.excerpt(each.what)) for each in found.others),
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
        Finding(what, wanted, monitoring.excerpt(varz[what]), _NAME_REMEDY)
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
    name = monitoring.excerpt(varz["server_name"])
    return _read(f"{name}, nats-server {monitoring.excerpt(varz['version'])}, says ok at /healthz", findings)


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
    return Reading(f"{most} bytes wait for client {monitoring.excerpt(name)}, of {limit} at most", 100 * most / limit)


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
    named = f", lost: {', '.join(map(monitoring.excerpt, lost))}" if lost else ""
    said = f"{group.get('cluster_size')} servers led by {monitoring.excerpt(str(group.get('leader')))}{named}"
    return _read(said, conditions.quorum_findings(varz, jsz), float(len(lost)))


def _routes(snapshot: Snapshot, expectation: Expectation) -> Reading:
    names = monitoring.routed_servers(snapshot.answer("routez"))
    if not expectation.cluster and not names:
        return Reading("no cluster, so no routes")
    shown = ", ".join(monitoring.excerpt(name) for name in sorted(names.values()))
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


# Looking


@dataclass(frozen=True)
class Observer:
    """Looks once.

    bot_monitor: of the server that the bot is connected to, None where what plugins hold is not looked at. service,
    bot_service, no_bot, files: as a Snapshot has them. record: of the streams, why there is none to compare with, or
    None where they are not compared.
    """

    monitor: monitoring.Monitor
    expectation: Expectation
    bot: monitoring.Reader | None = None
    bot_monitor: monitoring.Monitor | None = None
    service: Service | str | None = None
    bot_service: Service | str | None = None
    no_bot: str = ""
    record: lost_streams.Record | lost_streams.NotComparedError | None = None
    files: server_files.Look | str | None = None

    def look(self) -> Snapshot:
        """Give the present state."""
        url = self.expectation.client_url
        snapshot = Snapshot(
            answers=self.monitor.read_each(ENDPOINTS, detailed=("connz",)),
            connected=connect(url, self.monitor.timeout) if url else None,
            service=self.service,
            bot_service=self.bot_service,
            no_bot=self.no_bot,
            files=self.files,
        )
        snapshot = replace(snapshot, streams=self._streams(snapshot))
        if self.bot is None or self.no_bot:
            return snapshot
        return replace(snapshot, told=bot_health.ask(self.bot), held=self._held(snapshot))

    def _streams(self, snapshot: Snapshot) -> Streams | None:
        if self.record is None or self.expectation.jetstream is False:
            return None
        if isinstance(self.record, lost_streams.NotComparedError):
            return self.record
        try:
            proven = lost_streams.read(self.record.releases)
            if proven is None:
                return None
            return self.record.compare(proven, snapshot.answer("healthz"), snapshot.answer("jsz"))
        except (lost_streams.NotComparedError, MonitoringError) as error:
            return error

    def _held(self, snapshot: Snapshot) -> Mapping[str, Collection[str]] | MonitoringError | None:
        if self.bot_monitor is None:
            return None
        url = self.bot_monitor.url
        is_asked = url == self.monitor.url
        try:
            connz = snapshot.answer("connz") if is_asked else self.bot_monitor.read("connz", details=True)
            return subscriptions.held_by_name(connz, url)
        except MonitoringError as error:
            return error


_LONGEST_INFO = 1 << 16


def connect(url: str, timeout: float) -> Connected | str:
    """Connect as a client does, until the server has presented itself; else say why not. It logs in as nobody."""
    address = (urlsplit(url).hostname, bot_expectation.place(url).port)
    started = time.monotonic()
    try:
        with socket.create_connection(address, timeout=timeout, all_errors=True) as connection:
            said = connection.makefile("rb").readline(_LONGEST_INFO)
    except (OSError, UnicodeError, ExceptionGroup) as error:  # no name in IDNA is a UnicodeError
        # localhost may have two addresses, and not the same may be wrong with each
        errors = error.exceptions if isinstance(error, ExceptionGroup) else (error,)
        causes = {str(getattr(each, "strerror", None) or each): None for each in errors}
        return monitoring.excerpt("; ".join(causes))
    seconds = time.monotonic() - started
    line = said.decode("utf-8", "replace")
    info = greeting.read(line)
    if info is None or "server_id" not in info:
        return f"no nats-server, it says: {monitoring.excerpt(line) or 'nothing'}"
    return Connected(seconds, str(info["server_id"]))
