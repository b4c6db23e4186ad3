# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a nats-server proves of itself: an Observer looks at it, judge() compares that with what was meant.

Looking yields a Snapshot, judging is pure. How each option can be proven is told by the table in ``options``."""

from __future__ import annotations

import os
import re
import stat
import typing as t
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._host import system
from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Finding, Severity, errors_first
from ansible_collections.rosey.nats.plugins.module_utils._host.redaction import HIDDEN
from ansible_collections.rosey.nats.plugins.module_utils._server import (
    cluster,
    cluster_reading,
    conditions,
    effects,
    health_model,
    http_reader,
    measures,
    monitoring,
    requirements,
    server_log,
    units,
)
from ansible_collections.rosey.nats.plugins.module_utils._server.conditions import Answer
from ansible_collections.rosey.nats.plugins.module_utils._server.health_model import (
    Expectation,
    Judgement,
    Mark,
    Seen,
    Setting,
    Snapshot,
    Threshold,
)
from ansible_collections.rosey.nats.plugins.module_utils._server.options import check, faults, model, proof, reading
from ansible_collections.rosey.nats.plugins.module_utils._server.options.model import Effect, Evidence, Option
from ansible_collections.rosey.nats.plugins.module_utils._server.server_log import Identity, Log


def expect(
    config: Mapping[str, t.Any],
    *,
    version: str | None = None,
    since: Mark | None = None,
    local_files: bool = True,
    thresholds: Mapping[str, Threshold] | None = None,
    members: Collection[str] = (),
) -> Expectation:
    """Make an expectation from a configuration as it is written; only what it says is expected.

    members: the server names of the cluster that it is in.
    """
    return Expectation(
        version=version,
        settings=tuple(reading.leaves(config)),
        jetstream=meant_jetstream(reading.canonical(config)),
        problems={problem.path: problem for problem in check.problems(config)},
        since=since,
        local_files=local_files,
        thresholds=thresholds or {},
        is_private=requirements.is_private(config),
        members=tuple(members),
    )


def meant_jetstream(config: Mapping[str, t.Any]) -> bool | None:
    """Tell whether a canonical configuration means JetStream to be on; None where it does not say."""
    if "jetstream" not in config:
        return None
    value = config["jetstream"]
    if isinstance(value, Mapping):
        return None if model.VARIABLE in value else value.get("enabled") is not False
    return value if isinstance(value, bool) else not str(value).lower().startswith("disable")


def unanswered(error: http_reader.MonitoringError, expectation: Expectation) -> Judgement:
    """Judge a server that gave no usable answer."""
    finding = Finding("monitoring", f"an answer of nats-server at {error.url}", error.cause, error.remedy)
    named = (expectation.version, expectation.jetstream)
    meant = len(list(_judged_settings(expectation))) + sum(each is not None for each in named)
    return Judgement((finding,), meant, 0, ())


def judge(snapshot: Snapshot, expectation: Expectation) -> Judgement:
    """Compare what was seen with what was meant. Errors come first; defaults of the server are not judged."""
    verdicts = list(_verdicts(replace(snapshot, varz=with_jetstream(snapshot.varz, snapshot.jsz)), expectation))
    findings = [verdict.finding for verdict in verdicts if verdict.finding]
    findings += _conditions(snapshot, expectation)
    refuted = any(verdict.holds is False for verdict in verdicts)
    findings += _reload_findings(snapshot, expectation, refuted=refuted)
    return Judgement(
        findings=errors_first(findings),
        meant=len(verdicts),
        proven=sum(verdict.holds is True for verdict in verdicts),
        trusted=tuple(verdict.name for verdict in verdicts if verdict.holds is None),
        final=bool(snapshot.log and snapshot.log.is_rejected_since_mark),
    )


def started_anew(judgement: Judgement, before: str, now: str) -> Judgement:
    """Judge a server that had proven itself and is another process by now. before, now: the ids of the two."""
    finding = Finding(
        "server",
        f"{before}, which had proven itself, to run on",
        f"{now}, which was started after it",
        "look in the log and the journal for why the first one ended",
    )
    return replace(judgement, findings=errors_first((finding, *judgement.findings)))


def with_jetstream(varz: Answer, jsz: Answer | None) -> Answer:
    """Put what /jsz says of JetStream's configuration into /varz, which goes on showing what it showed first."""
    config = {} if jsz and jsz.get("disabled") else (jsz or {}).get("config")
    return varz if config is None else {**varz, "jetstream": {**(varz.get("jetstream") or {}), "config": config}}


def denied(config: Mapping[str, t.Any], varz: Answer) -> Iterator[tuple[Setting, Finding]]:
    """Give the settings of a configuration of which /varz shows another value, each with what it shows."""
    jetstream = meant_jetstream(reading.canonical(config))
    for setting in reading.leaves(config):
        path, option, value = setting
        is_off = path[0] == "jetstream" and path not in _JETSTREAM_SWITCHES and not jetstream
        if is_off or proof.evidence(option, value, reloaded=_has_reloaded(varz)) is not Evidence.VARZ:
            continue
        finding = _judged_by_varz(setting, varz).finding
        if finding:
            yield setting, finding


# Judging


@dataclass(frozen=True)
class _Verdict:
    """holds: proven, refuted, or None: taken on trust."""

    name: str
    holds: bool | None
    finding: Finding | None = None


_JETSTREAM_SWITCHES = (("jetstream",), ("jetstream", "enabled"))
_OTHER_SERVER = (
    "check that url leads to this server; where it does, restart the server, which takes a name at its start"
)
_RESTART = "restart the server, which takes this option only at its start"
_RELOAD = "reload the server, and look at its log where it refuses"


def _judged_settings(expectation: Expectation) -> Iterator[Setting]:
    """Give the settings that have a verdict of their own; whether JetStream is on has one for all its options."""
    for setting in expectation.settings:
        if expectation.jetstream is None or setting[0] not in _JETSTREAM_SWITCHES:
            yield setting


def _verdicts(snapshot: Snapshot, expectation: Expectation) -> Iterator[_Verdict]:
    varz = snapshot.varz
    if expectation.version is not None:
        remedy = "restart the server, so that it runs the binary that is installed"
        yield _compared("version", expectation.version, varz["version"], remedy)
    if expectation.jetstream is not None:
        wanted, found = ("on" if on else "off" for on in (expectation.jetstream, not snapshot.jsz.get("disabled")))
        yield _compared("jetstream", wanted, found, "look at the log of the server, then restart it")
    reloaded = _has_reloaded(varz)
    for setting in _judged_settings(expectation):
        yield _judged(setting, snapshot, expectation, reloaded=reloaded)


def _has_reloaded(varz: Answer) -> bool:
    """A server that never reloaded still has the time of its start as that of its configuration."""
    return bool(varz["config_load_time"] != varz["start"])


def _compared(name: str, wanted: str, found: str, remedy: str) -> _Verdict:
    if wanted == found:
        return _Verdict(name, holds=True)
    return _Verdict(name, holds=False, finding=Finding(name, wanted, found, remedy))


def _judged(setting: Setting, snapshot: Snapshot, expectation: Expectation, *, reloaded: bool) -> _Verdict:
    path, option, value = setting
    trust = _Verdict(_dotted(path), holds=None)
    is_reference = isinstance(value, Mapping) and model.VARIABLE in value
    if is_reference or (path[0] == "jetstream" and not expectation.jetstream):
        return trust
    problem = expectation.problems.get(trust.name)
    if problem and faults.kind_of(option, value) is None:
        # The server may have taken it for something else, as it does a duration without a unit.
        found = f"{problem.value} in the configuration, which {problem.fault}"
        return _Verdict(trust.name, holds=False, finding=Finding(trust.name, problem.expected, found, problem.remedy))
    if proof.evidence(option, value, reloaded=reloaded) is Evidence.VARZ:
        by_varz = _judged_by_varz(setting, snapshot.varz)
        # That a user or a certificate is there does not prove that it is the one that was meant.
        if not (by_varz.holds and option.unit is model.Unit.PRESENCE and not isinstance(value, bool)):
            return by_varz
    seen = snapshot.seen.get(path)
    if seen:
        return _judged_by_effect(setting, seen)
    return _judged_by_log(setting, snapshot, expectation, reloaded=reloaded) or trust


def _judged_by_varz(setting: Setting, varz: Answer) -> _Verdict:
    path, option, value = setting
    name, wanted = _dotted(path), proof.expected(option, value)
    try:
        found = proof.shown(option, varz)
        if proof.agrees(wanted, found):
            return _Verdict(name, holds=True)
        shown = shown_text(option, found)
    except (TypeError, ValueError):
        shown = f"a value in {option.varz} of /varz that nats-server does not give"
    remedy = _OTHER_SERVER if path == ("server_name",) else _remedy(option)
    return _Verdict(name, holds=False, finding=Finding(name, shown_text(option, wanted), shown, remedy))


def _judged_by_log(
    setting: Setting, snapshot: Snapshot, expectation: Expectation, *, reloaded: bool
) -> _Verdict | None:
    """Judge by what the log says; None where it says nothing about this option."""
    _path, option, _value = setting
    if snapshot.log is None:
        return None
    by_line = _judged_by_line(setting, snapshot.log) if reloaded and option.log else None
    if by_line is None and option.effect in _LOG_EFFECTS:
        return _judged_by_effect(setting, _LOG_EFFECTS[option.effect](setting, snapshot, expectation))
    return by_line


def _judged_by_line(setting: Setting, log: Log) -> _Verdict | None:
    """Judge by what the server logged when it reloaded; None where it logged nothing about this option."""
    path, option, value = setting
    line = proof.reload_line(option, value)
    if "{}" not in option.log:
        told = any(message.startswith(line) for message in log.since_mark)
        return _Verdict(_dotted(path), holds=True) if told else None
    pattern = re.compile(re.escape(option.log).replace(re.escape("{}"), "(.*)"))
    last = next(filter(None, map(pattern.fullmatch, reversed(log.reloads))), None)
    if last is None:
        return None
    if last[0] == line:
        return _Verdict(_dotted(path), holds=True)
    wanted, found = (HIDDEN, HIDDEN) if option.secret else (line, f"{last[0]!r} as the last such line of the log")
    return _Verdict(_dotted(path), holds=False, finding=Finding(_dotted(path), repr(wanted), found, _remedy(option)))


def _judged_by_effect(setting: Setting, seen: Seen) -> _Verdict:
    path, option, value = setting
    name = _dotted(path)
    wanted = f"{shown_text(option, value)}, {'not ' if value is False else ''}{option.effect}"
    if seen.holds is False:
        return _Verdict(name, holds=False, finding=Finding(name, wanted, seen.found, _remedy(option)))
    if seen.holds is None and seen.found:
        remedy = "run this as a user who may look at it, to have it proven"
        return _Verdict(name, holds=None, finding=Finding(name, wanted, seen.found, remedy, Severity.WARNING))
    return _Verdict(name, holds=seen.holds)


def _remedy(option: Option) -> str:
    return _RELOAD if option.reloadable else _RESTART


def _debug_lines(setting: Setting, snapshot: Snapshot, _expectation: Expectation) -> Seen:
    """A server that debugs writes such lines from its start on, whether or not anybody talks to it."""
    log = t.cast("Log", snapshot.log)
    if log.debug or log.whole:
        return Seen(log.debug == setting[2], f"{'' if log.debug else 'no '}[DBG] lines of its process in the log")
    return health_model.UNKNOWN


def _trace_lines(setting: Setting, snapshot: Snapshot, expectation: Expectation) -> Seen:
    """Tracing shows only when clients talk; and trace and trace_verbose look alike."""
    log = t.cast("Log", snapshot.log)
    meant = any(value is True for _path, option, value in expectation.settings if option.effect is Effect.TRACE_LINES)
    if setting[2] != meant:
        return health_model.UNKNOWN
    if log.trace or (log.whole and snapshot.varz["in_msgs"] > 0):
        return Seen(log.trace == meant, f"{'' if log.trace else 'no '}[TRC] lines of its process in the log")
    return health_model.UNKNOWN


def _timestamps(setting: Setting, snapshot: Snapshot, _expectation: Expectation) -> Seen:
    log = t.cast("Log", snapshot.log)
    return Seen(log.timestamps == setting[2], f"lines with{'' if log.timestamps else 'out'} the time")


_CLOCK_FORMAT = "%Y/%m/%d %H:%M:%S.%f"
_SAME_TIME = timedelta(minutes=5)


def _utc_timestamps(setting: Setting, snapshot: Snapshot, _expectation: Expectation) -> Seen:
    """Where local time is UTC, nothing tells the two apart."""
    log = t.cast("Log", snapshot.log)
    try:
        written = datetime.strptime(log.started, _CLOCK_FORMAT).replace(tzinfo=timezone.utc)
    except ValueError:
        return health_model.UNKNOWN  # there is none, or it is no time
    if not log.whole:
        return health_model.UNKNOWN
    is_utc = abs(written - units.moment(snapshot.varz["start"])) < _SAME_TIME
    if is_utc and not setting[2]:
        return health_model.UNKNOWN
    return Seen(is_utc == setting[2], f"the time {log.started} in the log for {snapshot.varz['start']}")


_LOG_EFFECTS: dict[Effect, Callable[[Setting, Snapshot, Expectation], Seen]] = {
    Effect.DEBUG_LINES: _debug_lines,
    Effect.TRACE_LINES: _trace_lines,
    Effect.TIMESTAMPS: _timestamps,
    Effect.UTC_TIMESTAMPS: _utc_timestamps,
}


def _reload_findings(snapshot: Snapshot, expectation: Expectation, *, refuted: bool) -> Iterator[Finding]:
    """Tell of a reload that did not happen, or that explains why something is not as meant."""
    loaded = snapshot.varz["config_load_time"]
    rejection = snapshot.log.rejection if snapshot.log else ""
    is_late = expectation.since and units.moment(loaded) <= units.moment(expectation.since.config_load_time)
    is_refused = snapshot.log is not None and snapshot.log.is_rejected_since_mark
    if not is_late and not is_refused and not (refuted and rejection):
        return
    wanted = (
        f"a configuration loaded after {expectation.since.config_load_time}" if expectation.since else "none refused"
    )
    found = f"the one loaded at {loaded}" + (f", the server refused the new one: {rejection}" if rejection else "")
    yield Finding("reload", wanted, found, "restart the server where it can't reload this change, else reload it")


def _conditions(snapshot: Snapshot, expectation: Expectation) -> Iterator[Finding]:
    consumers = cluster.consumer_severity(snapshot.varz) if expectation.members else Severity.ERROR
    yield from conditions.health_findings(snapshot.healthz, consumers=consumers)
    if snapshot.cluster:
        yield from cluster.findings(snapshot.cluster, snapshot.varz, expectation.members)
    elif expectation.jetstream:
        yield from conditions.quorum_findings(snapshot.varz, snapshot.jsz)
    yield from conditions.privacy_findings(snapshot.connections)
    for name, threshold in expectation.thresholds.items():
        measure = measures.MEASURES[name]
        found = measure.read(snapshot.varz)
        if found > threshold.limit:
            wanted = f"at most {threshold.limit:.0f}{measure.unit}"
            yield Finding(name, wanted, f"{found:.0f}{measure.unit}", measure.remedy, threshold.severity)


def shown_text(option: Option, value: t.Any) -> str:
    """Show a value of /varz, or one that was meant, to a person."""
    # The hosts of URLs, and whether a password is there, are no secret.
    if option.secret and option.unit not in (model.Unit.URL_HOSTS, model.Unit.PRESENCE):
        return HIDDEN
    if isinstance(value, tuple):
        return ":".join("*" if part is None else shown_text(option, part) for part in value)
    if isinstance(value, list):
        return f"[{', '.join(shown_text(option, part) for part in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and option.unit is model.Unit.NANOSECONDS:
        return units.duration_text(value)
    # A name may hold bytes that are no UTF-8, and a result is UTF-8.
    return str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace") or '""'


def _dotted(path: model.Path) -> str:
    return ".".join(str(part) for part in path)


class Observer:
    """Looks at a server, again and again over one session, for what an expectation needs."""

    def __init__(self, monitor: monitoring.Monitor, expectation: Expectation) -> None:
        self._monitor = monitor
        self._expectation = expectation
        self._asked_to_write: Identity | None = None
        self._writes = False

    def look(self, timeout: float, answered: Callable[[], object]) -> Snapshot:
        """Give the present state; MonitoringError where the endpoint gives no usable answer within timeout seconds.

        answered: called as soon as the server has given its first answer of this look.
        """
        self._monitor.timeout = timeout
        varz = self._monitor.varz()
        answered()
        healthz = self._monitor.healthz()
        jsz: Answer = {}
        if self._expectation.jetstream is not None or self._expectation.members:
            jsz = self._monitor.jsz()
            if jsz["server_id"] != varz["server_id"]:
                raise http_reader.MonitoringError(
                    self._monitor.url,
                    f"two servers answer in turn, {varz['server_id']} and {jsz['server_id']}",
                    "name one server in url; where it is restarting, wait",
                )
        log, log_seen = self._look_at_log(varz)
        seen = {}
        for path, option, value in self._expectation.settings:
            if option.effect is Effect.LOG_FILE:
                seen[path] = log_seen
            elif option.effect in effects.LOOKS:
                seen[path] = effects.LOOKS[option.effect](value, self._expectation, varz, log, self._monitor)
        connections = tuple(self._monitor.read("connz")["connections"]) if self._expectation.is_private else ()
        sight = None
        if self._expectation.members:
            sight = cluster_reading.look(self._monitor, varz["server_name"], jsz)
        return Snapshot(varz, healthz, jsz, log, seen, connections, sight)

    def _look_at_log(self, varz: Answer) -> tuple[Log | None, Seen]:
        path = self._expectation.log_file
        if path is None:
            return None, health_model.UNKNOWN
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                return None, health_model.UNKNOWN  # such as /dev/stdout
            log, identity, size = self._read_log(path, varz["server_id"])
            if not (log and log.whole) and self._asked_to_write != identity:
                self._writes = self._is_written(path, identity, size)
                log, self._asked_to_write, size = self._read_log(path, varz["server_id"])
        except (FileNotFoundError, NotADirectoryError):
            return None, Seen(False, f"no {path}")
        except OSError as error:
            return None, Seen(None, f"{path}, which can't be looked at: {error.strerror}")
        if log and (log.whole or self._writes):
            return log, Seen(True, "")
        return None, Seen(False, f"that this server does not write to {path}")

    def _read_log(self, path: Path, server_id: str) -> tuple[Log | None, Identity, int]:
        """Give what the log says, what tells this file of this server from another, and its size."""
        since = self._expectation.since
        with system.opened(path) as file:
            about = os.fstat(file.fileno())
            start = file.seek(max(0, about.st_size - server_log.WINDOW))
            window = file.read(server_log.WINDOW)
        mark = None
        if since and since.log_size is not None:  # a smaller file is a new one
            mark = since.log_size - start if since.log_size <= about.st_size else 0
        return server_log.read_log(window, server_id, mark), (server_id, about.st_dev, about.st_ino), about.st_size

    def _is_written(self, path: Path, identity: Identity, size: int) -> bool:
        """Make the server write a line and see whether it comes; its earlier lines may be in a file by another name."""
        self._monitor.write_log_line()
        with system.opened(path) as file:
            about = os.fstat(file.fileno())
            is_same = identity[1:] == (about.st_dev, about.st_ino) and size <= about.st_size
            file.seek(size if is_same else 0)
            return monitoring.LOG_LINE.encode() in file.read(server_log.WINDOW)


def mark(varz: Answer, log_file: Path | None) -> Mark:
    """Note how things are before a signal."""
    size: int | None = None
    if log_file:
        try:
            size = log_file.stat().st_size
        except FileNotFoundError:
            size = 0
        except OSError:
            size = None
    return Mark(varz["config_load_time"], size)
