# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each check reads out of what was seen, and how it is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from ansible_collections.rosey.nats.plugins.module_utils._bot import (
    bot_expectation,
    bot_health,
    subscriptions,
)
from ansible_collections.rosey.nats.plugins.module_utils._data import cluster_store, lost_streams
from ansible_collections.rosey.nats.plugins.module_utils._host import command_line, figures, unit_checks, unit_file
from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Finding, Severity
from ansible_collections.rosey.nats.plugins.module_utils._host.service import Service
from ansible_collections.rosey.nats.plugins.module_utils._server import (
    answers,
    certificates,
    cluster,
    conditions,
    http_reader,
    measures,
)
from ansible_collections.rosey.nats.plugins.module_utils._server.http_reader import MonitoringError
from ansible_collections.rosey.nats.plugins.module_utils._server.served_certificates import Served
from ansible_collections.rosey.nats.plugins.module_utils._watch import check_certificates
from ansible_collections.rosey.nats.plugins.module_utils._watch.check_limits import (
    Reading,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.health_snapshot import Expectation, Snapshot

_MOST_NAMED = 3
Read = Callable[[], "Reading | None"]


def of_host(name: str, snapshot: Snapshot, expectation: Expectation) -> Iterator[tuple[str, Read]]:
    """Give the checks of a kind that there are on this host, by their names, with what reads each."""
    if name not in READERS_OF_EACH:
        yield name, partial(READERS[name], snapshot, expectation)
        return
    for of, read in READERS_OF_EACH[name](snapshot, expectation):
        yield f"{name}_{of}", read


def _read(well: str, findings: Iterable[Finding], value: float | None = None) -> Reading:
    """Give a reading that says what is wrong, or else how well it is."""
    all_findings = tuple(findings)
    return Reading(_named(all_findings) or well, value, all_findings)


def _named(findings: Sequence[Finding], most: int = _MOST_NAMED) -> str:
    texts = [f"{finding.what}: expected {finding.expected}, found {finding.found}" for finding in findings[:most]]
    texts += [f"and {len(findings) - most} more"] if len(findings) > most else []
    return "; ".join(texts)


# A name is what a person looks for, but a line has an end.
_MOST_STREAMS_NAMED = 10


def _streams(snapshot: Snapshot, expectation: Expectation) -> Reading | None:
    comparison = snapshot.streams
    if comparison is None or expectation.jetstream is False:
        return None
    if isinstance(comparison, Exception):
        raise comparison
    remedy = lost_streams.remedy(comparison)
    findings = [
        *(
            Finding(f"stream {lost_streams.named(loss.stream)}", lost_streams.holding(loss.stream), str(loss), remedy)
            for loss in comparison.lost
        ),
        *(replace(loss, what=http_reader.excerpt(loss.what)) for loss in comparison.others),
    ]
    summary = f"{comparison.there} of {comparison.count} streams of {comparison.time} there"
    named = _named(findings, _MOST_STREAMS_NAMED)
    return Reading(f"{summary}; {named}" if named else summary, float(len(comparison.lost)), tuple(findings))


# The server


def _take_service(service: Service | str | None, name: str | None, settings: Iterable[str]) -> Reading | None:
    """Read what runs a program. service: why that is not known, as text. settings: those that no drop-in may change."""
    if name is None or service is None:
        return None
    if isinstance(service, str):
        return _read("", [Finding(name, "what runs it", service, "look at it on the host")])
    findings = []
    if service.masked or service.broken:
        state = f"that it is masked by {service.masked}" if service.masked else f"that systemd says: {service.broken}"
        remedy = f"systemctl unmask {name}" if service.masked else f"correct it: systemctl cat {name}"
        findings.append(Finding(name, "a unit that can be started", state, remedy))
    elif service.running is None:
        state = "nothing that runs" if service.exists else "no such service"
        findings.append(Finding(name, "a process", state, f"start {name}, and look in its log and the journal"))
    elif service.failing:
        remedy = f"look in the journal for why it ended; systemctl restart {name} makes systemd forget it"
        findings.append(
            Finding(name, "no failed start", "that it ended and was started again", remedy, Severity.WARNING)
        )
    for override in unit_file.overrides(service.unit, service.drop_ins, settings):
        by_drop_ins = f"that {'; '.join(unit_checks.told(override.by))}"
        remedy = "take that out of the drop-in, or remove the file, and deploy again"
        findings.append(Finding(name, f"{override.name} as its unit has it", by_drop_ins, remedy, Severity.WARNING))
    if service.exists and not service.enabled:
        remedy = f"enable it: systemctl enable {name}"
        findings.append(Finding(name, "that it starts with the host", "that it does not", remedy, Severity.WARNING))
    pid = service.running.pid if service.running else None
    return _read(f"{name} runs as process {pid}", findings)


def is_off_on_purpose(snapshot: Snapshot, expectation: Expectation) -> bool:
    """Tell whether the server was stopped as its bot was sent to run without it."""
    is_silent = isinstance(snapshot.answers["varz"], MonitoringError)
    return is_silent and snapshot.is_off and bool(expectation.released_legacy)


def _service(snapshot: Snapshot, expectation: Expectation) -> Reading | None:
    if expectation.service and is_off_on_purpose(snapshot, expectation):
        off = f"that it was stopped on purpose, as release {expectation.released_legacy} has the bot without NATS"
        remedy = f"deploy again to start it: {command_line.deploy()}"
        return _read("", [Finding(expectation.service, "a process", off, remedy, Severity.WARNING)])
    return _take_service(snapshot.service, expectation.service, unit_checks.SERVER_SETTINGS)


def _files(snapshot: Snapshot, _expectation: Expectation) -> Reading | None:
    files = snapshot.files
    if files is None:
        return None
    if isinstance(files, str):
        remedy = "look at it as root"
        return _read("", [Finding("files", "some that can be looked at", files, remedy, Severity.WARNING)])
    return _read(f"{files.account.name} may read and write all that the configuration names", files.findings)


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
        answer["server_id"]
        for answer in snapshot.answers.values()
        if not isinstance(answer, MonitoringError) and "server_id" in answer
    }
    if len(ids) > 1:
        remedy = "name one server in url; where it is restarting, look again"
        findings.append(Finding("server_id", "one server", f"{len(ids)} that answer in turn", remedy))
    name = http_reader.excerpt(varz["server_name"])
    return _read(f"{name}, nats-server {http_reader.excerpt(varz['version'])}, says ok at /healthz", findings)


def _connection(snapshot: Snapshot, expectation: Expectation) -> Reading | None:
    connection = snapshot.connected
    if connection is None or expectation.client_url is None:
        return None
    wanted = f"a connection to {expectation.client_url}"
    if isinstance(connection, str):
        if is_off_on_purpose(snapshot, expectation):
            return None
        remedy = "check that nats-server runs, and which host and port its configuration has"
        return _read("", [Finding("connection", wanted, connection, remedy)])
    varz = snapshot.answers["varz"]
    findings = []
    if not isinstance(varz, MonitoringError) and connection.server_id != varz["server_id"]:
        remedy = "look which process listens there, and at the monitoring port: ss -ltnp"
        findings.append(Finding("connection", f"{wanted} of the server that is monitored", "another server", remedy))
    return _read(
        f"connected to {expectation.client_url} in {connection.seconds * 1000:.1f} ms", findings, connection.seconds
    )


def _uptime(snapshot: Snapshot, _expectation: Expectation) -> Reading:
    varz = snapshot.answer("varz")
    start, now = answers.moment(varz["start"]), answers.moment(varz["now"])
    if start is None or now is None:
        raise ValueError("no time")
    seconds = (now - start).total_seconds()
    return Reading(f"up since {start:%Y-%m-%d %H:%M:%S} UTC", seconds)


def _cpu(snapshot: Snapshot, _expectation: Expectation) -> Reading:
    varz = snapshot.answer("varz")
    percent = float(varz["cpu"]) / max(1, int(varz["cores"]))
    return Reading(f"{percent:.1f} % of {varz['cores']} cores", percent)


def _of_varz(name: str, template: str) -> Callable[[Snapshot, Expectation], Reading]:
    """Read one of the numbers that the gate knows, too."""

    def take(snapshot: Snapshot, _expectation: Expectation) -> Reading:
        varz = snapshot.answer("varz")
        return Reading(template.format_map(varz), measures.MEASURES[name].read(varz))

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
    client = http_reader.excerpt(name)
    return Reading(
        f"{figures.size(most)} wait for client {client}, of {figures.size(limit)} at most", 100 * most / limit
    )


_JETSTREAM_OFF = "JetStream is off"


def _jetstream(snapshot: Snapshot, expectation: Expectation) -> Reading:
    jsz = snapshot.answer("jsz")
    is_on = not jsz.get("disabled")
    findings = []
    if expectation.jetstream is not None and expectation.jetstream != is_on:
        wanted, found = ("on" if on else "off" for on in (expectation.jetstream, is_on))
        findings.append(Finding("jetstream", wanted, found, "look at the log of the server, then restart it"))
    summary = f"JetStream is on; streams: {jsz['streams']}, consumers: {jsz['consumers']}"
    return _read(summary if is_on else _JETSTREAM_OFF, findings)


def _store(used: str, limit: str, noun: str) -> Callable[[Snapshot, Expectation], Reading]:
    """Read how full one of JetStream's stores is."""

    def take(snapshot: Snapshot, _expectation: Expectation) -> Reading:
        jsz = snapshot.answer("jsz")
        if jsz.get("disabled"):
            return Reading(_JETSTREAM_OFF)
        most, size = int(jsz["config"][limit]), int(jsz[used])
        summary = f"{figures.size(size)} of {figures.size(most)} of {noun} in use"
        return Reading(summary, 100 * size / most if most > 0 else 0.0)

    return take


def _cluster_faults(snapshot: Snapshot, expectation: Expectation, *about: str) -> list[cluster.Fault]:
    """Tell what is wrong with a cluster, of these things. What the rest of it makes up for is a warning."""
    if snapshot.cluster is None:
        return []

    def milder(fault: cluster.Fault) -> cluster.Fault:
        return replace(fault, finding=replace(fault.finding, severity=Severity.WARNING))

    found = cluster.faults(_sight(snapshot), snapshot.answer("varz"), expectation.members)
    return [milder(each) if each.kind in cluster.COVERED else each for each in found if each.finding.what in about]


def _sight(snapshot: Snapshot) -> cluster.Sight:
    if not isinstance(snapshot.cluster, cluster.Sight):
        raise snapshot.cluster or ValueError("no cluster")
    return snapshot.cluster


def _meta(snapshot: Snapshot, expectation: Expectation) -> Reading:
    varz, jsz = snapshot.answer("varz"), snapshot.answer("jsz")
    group = jsz.get("meta_cluster")
    if not group:
        return Reading("JetStream is in no cluster")
    lost = conditions.lost_peers(group)
    named = f", lost: {', '.join(map(http_reader.excerpt, lost))}" if lost else ""
    summary = f"{group.get('cluster_size')} servers led by {http_reader.excerpt(str(group.get('leader')))}{named}"
    findings = list(conditions.quorum_findings(varz, jsz))
    # that there is no leader is said once
    faults = _cluster_faults(snapshot, expectation, cluster.META)
    findings += [each.finding for each in faults if each.kind is not cluster.Kind.NO_LEADER]
    if foreign := cluster_store.foreign(varz, snapshot.peers):
        findings.append(foreign)
    return _read(summary, findings, float(len(lost)))


def _routes(snapshot: Snapshot, expectation: Expectation) -> Reading:
    names = answers.routed_servers(snapshot.answer("routez"))
    if not expectation.cluster and not names:
        return Reading("no cluster, so no routes")
    shown = ", ".join(http_reader.excerpt(name) for name in sorted(names.values()))
    summary = f"routes to {len(names)} other servers{': ' if shown else ''}{shown}"
    findings = [each.finding for each in _cluster_faults(snapshot, expectation, cluster.ROUTES)]
    return _read(summary, findings, float(len(names)))


def _replicas(snapshot: Snapshot, expectation: Expectation) -> Reading | None:
    if snapshot.cluster is None:
        return None
    own = snapshot.answer("varz")["server_name"]
    led = [group for group in _sight(snapshot).groups if group.leader == own and group.peers]
    peers = [peer for group in led for peer in group.peers]
    behind = sum(not peer.in_step for peer in peers)
    summary = f"{len(peers) - behind} of {len(peers)} copies in step, of {len(led)} streams and consumers led here"
    faults = _cluster_faults(snapshot, expectation, cluster.STREAMS, cluster.CONSUMERS)
    # how many are behind has limits
    findings = tuple(each.finding for each in faults if each.kind is not cluster.Kind.BEHIND)
    named = _named([each.finding for each in faults])
    return Reading(f"{summary}; {named}" if named else summary, float(behind), findings)


# One that leads all of a few is no sign of anything.
_FEWEST_LED = 10


def _leaders(snapshot: Snapshot, _expectation: Expectation) -> Reading | None:
    if snapshot.cluster is None:
        return None
    counts = cluster.leaders(_sight(snapshot))
    if not counts:
        return Reading("no streams with replicas")
    total = sum(counts.values())
    told = ", ".join(f"{http_reader.excerpt(name)} {count}" for name, count in sorted(counts.items()))
    return Reading(f"{total} streams and consumers led: {told}", 100 * max(counts.values()) / max(_FEWEST_LED, total))


def _clock(snapshot: Snapshot, expectation: Expectation) -> Reading | None:
    if snapshot.apart is None or not expectation.members:
        return None
    direction = "ahead of" if snapshot.apart > 0 else "behind"
    return Reading(f"{abs(snapshot.apart):.1f} seconds {direction} the clock of who asked", abs(snapshot.apart))


# The bot


def _bot_service(snapshot: Snapshot, expectation: Expectation) -> Reading | None:
    return (
        None
        if snapshot.no_bot
        else _take_service(snapshot.bot_service, expectation.bot_service, unit_checks.BOT_SETTINGS)
    )


def _is_sent_to_legacy(snapshot: Snapshot, expectation: Expectation) -> bool:
    """Tell whether the bot, which is asked to use NATS, does well without, as the release of the host has it."""
    if expectation.bot is None or not expectation.released_legacy or not isinstance(snapshot.told, bot_health.Told):
        return False
    without = replace(expectation.bot, mode=bot_expectation.Mode.LEGACY)
    return (
        expectation.bot.mode is bot_expectation.Mode.NATS
        and bot_health.judge(bot_health.Snapshot(snapshot.told), without).passed
    )


def _bot(snapshot: Snapshot, expectation: Expectation) -> Reading | None:
    if snapshot.no_bot and expectation.released_bot:
        wanted = f"the bot of release {expectation.released_bot}"
        return _read("", [Finding("bot", wanted, snapshot.no_bot, bot_health.MISSED_REMEDY)])
    if expectation.bot is None or snapshot.told is None:
        return Reading(snapshot.no_bot) if snapshot.no_bot else None
    # what the server holds of the plugins has a check of its own; what the gate takes on trust is nothing that is wrong
    if _is_sent_to_legacy(snapshot, expectation):
        sent = f"that it runs without, as release {expectation.released_legacy} has it"
        again = command_line.deploy()
        remedy = f"deploy again to connect it: {again}; or set bot_config_mode: legacy where it is to stay so"
        return _read("", [Finding("bot", "a connection to NATS", sent, remedy, Severity.WARNING)])
    is_unknown = snapshot.held is None or isinstance(snapshot.held, MonitoringError)
    meant = expectation.bot if is_unknown else replace(expectation.bot, subjects=0)
    judgement = bot_health.judge(bot_health.Snapshot(snapshot.told), meant)
    findings = [each for each in judgement.findings if each.severity is Severity.ERROR]
    return _read(judgement.facts[0], findings)


# Of one request that failed nothing follows.
_FEWEST_REQUESTS = 10


def _bot_errors(snapshot: Snapshot, expectation: Expectation) -> Reading | None:
    if expectation.bot is None or not isinstance(snapshot.told, bot_health.Told):
        return None
    seen = bot_health.judge(bot_health.Snapshot(snapshot.told), expectation.bot).seen
    if not {"requests", "errors"} <= seen.keys():
        return Reading("the bot does not tell its requests and errors")
    requests, errors = seen["requests"], seen["errors"]
    summary = f"{errors} errors, {requests} requests since the bot started"
    return Reading(summary, 100.0 * errors / max(_FEWEST_REQUESTS, requests, errors))


def _plugins(snapshot: Snapshot, expectation: Expectation) -> Reading | None:
    if expectation.bot is None or snapshot.told is None or expectation.bot.mode is not bot_expectation.Mode.NATS:
        return None
    if _is_sent_to_legacy(snapshot, expectation):
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
    summary = f"{declared - len(unheld)} of {declared} subscriptions of the plugins held"
    return Reading(f"{summary}; {_named(unheld)}" if unheld else summary, float(len(unheld)))


def _certificates(snapshot: Snapshot, expectation: Expectation) -> Iterator[tuple[str, Read]]:
    """Give what reads each certificate, by the listener that shows it."""

    def take(served: Served) -> Reading:
        # one cause for all that a server does not answer
        if isinstance(served.shown, str) and certificates.HAS_CRYPTOGRAPHY:
            snapshot.answer("varz")
        return check_certificates.read(served, expectation.service)

    for served in snapshot.certificates:
        yield served.listener.purpose, partial(take, served)


READERS_OF_EACH: dict[str, Callable[[Snapshot, Expectation], Iterator[tuple[str, Read]]]] = {
    "certificate": _certificates,
}
# What gives None has nothing to look at on this host.
READERS: dict[str, Callable[[Snapshot, Expectation], Reading | None]] = {
    "streams": _streams,
    "service": _service,
    "files": _files,
    "server": _server,
    "connection": _connection,
    "uptime": _uptime,
    "cpu": _cpu,
    "memory": _of_varz("memory", "{mem} bytes"),
    "connections": _of_varz("connections", "{connections} of {max_connections} connections"),
    "subscriptions": _subscriptions,
    "slow_consumers": _of_varz("slow_consumers", "{slow_consumers} clients were too slow"),
    "pending": _pending,
    "jetstream": _jetstream,
    "jetstream_memory": _store("memory", "max_memory", "memory"),
    "jetstream_storage": _store("storage", "max_storage", "storage"),
    "meta": _meta,
    "routes": _routes,
    "replicas": _replicas,
    "leaders": _leaders,
    "clock": _clock,
    "bot_service": _bot_service,
    "bot": _bot,
    "bot_errors": _bot_errors,
    "plugins": _plugins,
}
