# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a nats-server proves of itself: an Observer looks at it, judge() compares that with what was meant.

Looking yields a Snapshot, judging is pure. How each option can be proven is told by the table in ``options``.
"""

from __future__ import annotations

import os
import re
import socket
import stat
import typing as t
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from ansible_collections.rosey.nats.plugins.module_utils._host import redaction, system
from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Finding, Severity, errors_first, passed
from ansible_collections.rosey.nats.plugins.module_utils._host.redaction import HIDDEN
from ansible_collections.rosey.nats.plugins.module_utils._server import monitoring, units
from ansible_collections.rosey.nats.plugins.module_utils._server.options import check, faults, model, proof, reading
from ansible_collections.rosey.nats.plugins.module_utils._server.options.model import Effect, Evidence, Option

Answer = monitoring.Answer
Setting = tuple[model.Path, Option, t.Any]


@dataclass(frozen=True)
class Threshold:
    """A number of /varz that should not be exceeded, and how bad it is when it is."""

    limit: float
    severity: Severity


@dataclass(frozen=True)
class Mark:
    """How things were before a signal: config_load_time of /varz, and the bytes of the log file, None for unknown."""

    config_load_time: str
    log_size: int | None = None


@dataclass(frozen=True)
class Expectation:
    """What was meant.

    settings: what options.leaves() gives for the configuration. jetstream: whether it is meant to be on, None where
    nothing was said. problems: what is wrong with the values, by dotted path. since: the configuration has to be loaded
    after this mark. local_files: whether the files that the configuration names can be looked at from here. thresholds:
    by their name in MEASURES.
    """

    version: str | None = None
    settings: tuple[Setting, ...] = ()
    jetstream: bool | None = None
    problems: Mapping[str, model.Problem] = field(default_factory=dict)
    since: Mark | None = None
    local_files: bool = True
    thresholds: Mapping[str, Threshold] = field(default_factory=dict)

    @property
    def log_file(self) -> Path | None:
        """The log file, where it can be looked at from here."""
        for path, _option, value in self.settings:
            if path == ("log_file",):
                return self.local(value)
        return None

    def local(self, value: t.Any) -> Path | None:
        """Give the path that an option names, where it can be looked at from here."""
        usable = self.local_files and isinstance(value, str) and value.startswith("/")
        return Path(value) if usable else None


@dataclass(frozen=True)
class Log:
    """What the log file says of the server that was asked.

    pid: of its process. whole: the file has everything that the process wrote since its start. debug, trace: there are
    such lines. timestamps: lines carry the time. started: the time at which the server told its id, as written.
    reloads: messages about reloads, in order. since_mark: those after the mark. rejection: why the last reload was
    refused, if it was.
    """

    pid: int
    whole: bool
    debug: bool
    trace: bool
    timestamps: bool
    started: str
    reloads: tuple[str, ...] = ()
    since_mark: tuple[str, ...] = ()
    rejection: str = ""

    @property
    def is_rejected_since_mark(self) -> bool:
        """Whether the last reload after the mark was refused."""
        return bool(_rejection(self.since_mark))


@dataclass(frozen=True)
class Seen:
    """Whether an effect was seen, None where it could not be looked at; then found says why."""

    holds: bool | None
    found: str


@dataclass(frozen=True)
class Snapshot:
    """A server at one moment: its answers, what its log says, and what was seen of the options that have an effect."""

    varz: Answer
    healthz: Answer
    jsz: Answer
    log: Log | None = None
    seen: Mapping[model.Path, Seen] = field(default_factory=dict)


@dataclass(frozen=True)
class Judgement:
    """What came of comparing. meant: how many options, with version and JetStream; proven: how many of these are.

    final: waiting changes nothing any more.
    """

    findings: tuple[Finding, ...]
    meant: int
    proven: int
    trusted: tuple[str, ...]
    final: bool = False

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return passed(self.findings)

    @property
    def summary(self) -> str:
        """One line: how much is proven, and what nothing can prove."""
        text = f"{self.proven} of {self.meant} proven"
        if not self.trusted:
            return text
        names = dict.fromkeys(re.sub(r"\.\d+(?=\.|$)", ".*", name) for name in self.trusted)
        return f"{text}, {len(self.trusted)} taken on trust: {', '.join(names)}"


def expect(
    config: Mapping[str, t.Any],
    *,
    version: str | None = None,
    since: Mark | None = None,
    local_files: bool = True,
    thresholds: Mapping[str, Threshold] | None = None,
) -> Expectation:
    """Make an expectation from a configuration as it is written; only what it says is expected."""
    return Expectation(
        version=version,
        settings=tuple(reading.leaves(config)),
        jetstream=meant_jetstream(reading.canonical(config)),
        problems={problem.path: problem for problem in check.problems(config)},
        since=since,
        local_files=local_files,
        thresholds=thresholds or {},
    )


def meant_jetstream(config: Mapping[str, t.Any]) -> bool | None:
    """Tell whether a canonical configuration means JetStream to be on; None where it does not say."""
    if "jetstream" not in config:
        return None
    value = config["jetstream"]
    if isinstance(value, Mapping):
        return None if model.VARIABLE in value else value.get("enabled") is not False
    return value if isinstance(value, bool) else not str(value).lower().startswith("disable")


def unanswered(error: monitoring.MonitoringError, expectation: Expectation) -> Judgement:
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


def is_starting(healthz: Answer) -> bool:
    """Tell whether a server is on its way through its start, so that JetStream may not have taken up its streams yet.

    The monitoring endpoint answers before that (server/server.go, readyForConnections).
    """
    return any(_NOT_READY in finding.found for finding in health_findings(healthz))


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


_UNKNOWN = Seen(None, "")


def _debug_lines(setting: Setting, snapshot: Snapshot, _expectation: Expectation) -> Seen:
    """A server that debugs writes such lines from its start on, whether or not anybody talks to it."""
    log = t.cast("Log", snapshot.log)
    if log.debug or log.whole:
        return Seen(log.debug == setting[2], f"{'' if log.debug else 'no '}[DBG] lines of its process in the log")
    return _UNKNOWN


def _trace_lines(setting: Setting, snapshot: Snapshot, expectation: Expectation) -> Seen:
    """Tracing shows only when clients talk; and trace and trace_verbose look alike."""
    log = t.cast("Log", snapshot.log)
    meant = any(value is True for _path, option, value in expectation.settings if option.effect is Effect.TRACE_LINES)
    if setting[2] != meant:
        return _UNKNOWN
    if log.trace or (log.whole and snapshot.varz["in_msgs"] > 0):
        return Seen(log.trace == meant, f"{'' if log.trace else 'no '}[TRC] lines of its process in the log")
    return _UNKNOWN


def _timestamps(setting: Setting, snapshot: Snapshot, _expectation: Expectation) -> Seen:
    log = t.cast("Log", snapshot.log)
    return Seen(log.timestamps == setting[2], f"lines with{'' if log.timestamps else 'out'} the time")


_CLOCK_FORMAT = "%Y/%m/%d %H:%M:%S.%f"
_SAME_TIME = timedelta(minutes=5)


def _utc_timestamps(setting: Setting, snapshot: Snapshot, _expectation: Expectation) -> Seen:
    """Where local time is UTC, nothing tells the two apart."""
    log = t.cast("Log", snapshot.log)
    try:
        written = datetime.strptime(log.started, _CLOCK_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return _UNKNOWN  # there is none, or it is no time
    if not log.whole:
        return _UNKNOWN
    is_utc = abs(written - _time(snapshot.varz["start"])) < _SAME_TIME
    if is_utc and not setting[2]:
        return _UNKNOWN
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
    is_late = expectation.since and _time(loaded) <= _time(expectation.since.config_load_time)
    is_refused = snapshot.log is not None and snapshot.log.is_rejected_since_mark
    if not is_late and not is_refused and not (refuted and rejection):
        return
    wanted = (
        f"a configuration loaded after {expectation.since.config_load_time}" if expectation.since else "none refused"
    )
    found = f"the one loaded at {loaded}" + (f", the server refused the new one: {rejection}" if rejection else "")
    yield Finding("reload", wanted, found, "restart the server where it can't reload this change, else reload it")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _conditions(snapshot: Snapshot, expectation: Expectation) -> Iterator[Finding]:
    yield from health_findings(snapshot.healthz)
    if expectation.jetstream:
        yield from quorum_findings(snapshot.varz, snapshot.jsz)
    for name, threshold in expectation.thresholds.items():
        measure = MEASURES[name]
        found = measure.read(snapshot.varz)
        if found > threshold.limit:
            wanted = f"at most {threshold.limit:.0f}{measure.unit}"
            yield Finding(name, wanted, f"{found:.0f}{measure.unit}", measure.remedy, threshold.severity)


_MOST_ERRORS_NAMED = 5


def health_findings(healthz: Answer) -> Iterator[Finding]:
    """Tell what the server says of its own health.

    With or without details, the body tells; the status is always 200 with them (server/monitor.go, healthz).
    """
    errors = [
        str(error.get("error", error)) if isinstance(error, Mapping) else str(error) for error in healthz["errors"]
    ]
    errors += [healthz["error"]] if healthz.get("error") else []
    if healthz["status"] == "ok" and not errors:
        return
    more = len(errors) - _MOST_ERRORS_NAMED
    said = "; ".join(errors[:_MOST_ERRORS_NAMED]) + (f" and {more} more" if more > 0 else "")
    found = f"{healthz['status']}: {said}" if said else str(healthz["status"])
    yield Finding("/healthz", "ok", found, "wait until the server has recovered, or look at its log")


def quorum_findings(varz: Answer, jsz: Answer) -> Iterator[Finding]:
    """Tell of a JetStream cluster without a leader, or whose leader is alone.

    A leader that lost its peers goes on saying ok at /healthz for a while, so look at the group itself.
    """
    group = jsz.get("meta_cluster")
    if not group:
        return
    remedy = "start the other servers of the cluster, or check that this one reaches them"
    leader, size = group.get("leader"), group.get("cluster_size")
    if not leader:
        yield Finding("jetstream cluster", "a leader", "none", remedy)
    elif leader == varz["server_name"] and isinstance(size, int):
        online = 1 + len(group.get("replicas") or []) - len(lost_peers(group))
        if online <= size // 2:
            yield Finding("jetstream cluster", f"more than {size // 2} of {size} servers", str(online), remedy)


def lost_peers(group: Answer) -> tuple[str, ...]:
    """Name the servers of a JetStream cluster that its leader has lost; who is no leader knows of none.

    One that was killed is not called offline for minutes, but after ten seconds it is not current any more.
    """
    return tuple(
        str(replica.get("name", "")) if isinstance(replica, Mapping) else ""
        for replica in group.get("replicas") or []
        if not isinstance(replica, Mapping) or replica.get("offline") or not replica.get("current", True)
    )


def _percent_connected(varz: Answer) -> float:
    limit = varz["max_connections"]
    return 100 * float(varz["connections"]) / limit if limit > 0 else 0.0


@dataclass(frozen=True)
class Measure:
    """A number of /varz that may have a threshold.

    unit: as it follows the number. read: takes it from the answer. remedy: what to do when it is too much.
    """

    unit: str
    read: Callable[[Answer], float]
    remedy: str


MEASURES: Mapping[str, Measure] = {
    "memory": Measure(
        " bytes",
        lambda varz: float(varz["mem"]),
        "look at /connz for pending bytes, and at the limits of JetStream's memory",
    ),
    "slow_consumers": Measure(
        "",
        lambda varz: float(varz["slow_consumers"]),
        "look at /connz for the clients with pending bytes; the number falls to 0 with a restart",
    ),
    "connections": Measure(" percent of max_connections", _percent_connected, "close clients or raise max_connections"),
}


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


# Looking

_WINDOW = 4 << 20
_FATAL = re.compile(r"\[FTL\] (.*)")
_LINE = re.compile(
    rb"\[(?P<pid>\d{1,10})\] (?:(?P<time>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d+) )?\[(?P<level>[A-Z]{3})\] (?P<message>.*)"
)
_FIRST_LINE = b"Starting nats-server"
_OF_RELOADS = b"eload"
ACCEPTED = "Reloaded server configuration"
_REJECTED = "Failed to reload server configuration"
_NEW_LOG_FILE = "Reloaded: log_file = "
# Old and new values, and what stands in quotes, may be secrets; the name of an option is none.
_VALUES = re.compile(r"(unknown field \"[^\"]*\")|(: old=.*)|'[^']*'?|\"[^\"]*\"?")

_Identity = tuple[str, int, int]  # the id of a server; device and inode of its log file


class Observer:
    """Looks at a server, again and again over one session, for what an expectation needs."""

    def __init__(self, monitor: monitoring.Monitor, expectation: Expectation) -> None:
        self._monitor = monitor
        self._expectation = expectation
        self._asked_to_write: _Identity | None = None
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
        if self._expectation.jetstream is not None:
            jsz = self._monitor.jsz()
            if jsz["server_id"] != varz["server_id"]:
                raise monitoring.MonitoringError(
                    self._monitor.url,
                    f"two servers answer in turn, {varz['server_id']} and {jsz['server_id']}",
                    "name one server in url; where it is restarting, wait",
                )
        log, log_seen = self._look_at_log(varz)
        seen = {}
        for path, option, value in self._expectation.settings:
            if option.effect is Effect.LOG_FILE:
                seen[path] = log_seen
            elif option.effect in _LOOKS:
                seen[path] = _LOOKS[option.effect](value, self._expectation, varz, log, self._monitor)
        return Snapshot(varz, healthz, jsz, log, seen)

    def _look_at_log(self, varz: Answer) -> tuple[Log | None, Seen]:
        path = self._expectation.log_file
        if path is None:
            return None, _UNKNOWN
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                return None, _UNKNOWN  # such as /dev/stdout
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

    def _read_log(self, path: Path, server_id: str) -> tuple[Log | None, _Identity, int]:
        """Give what the log says, what tells this file of this server from another, and its size."""
        since = self._expectation.since
        with system.opened(path) as file:
            about = os.fstat(file.fileno())
            start = file.seek(max(0, about.st_size - _WINDOW))
            window = file.read(_WINDOW)
        mark = None
        if since and since.log_size is not None:  # a smaller file is a new one
            mark = since.log_size - start if since.log_size <= about.st_size else 0
        return read_log(window, server_id, mark), (server_id, about.st_dev, about.st_ino), about.st_size

    def _is_written(self, path: Path, identity: _Identity, size: int) -> bool:
        """Make the server write a line and see whether it comes; its earlier lines may be in a file by another name."""
        self._monitor.write_log_line()
        with system.opened(path) as file:
            about = os.fstat(file.fileno())
            is_same = identity[1:] == (about.st_dev, about.st_ino) and size <= about.st_size
            file.seek(size if is_same else 0)
            return monitoring.LOG_LINE.encode() in file.read(_WINDOW)


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


def last_words(log_file: Path | None) -> str | None:
    """Give the error with which a server that doesn't answer ended, without secrets; None where its log has none."""
    if log_file is None:
        return None
    try:
        with system.opened(log_file) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _WINDOW))
            said = file.read().decode("utf-8", "replace")
    except OSError:
        return None
    # An older fatal error is none of this end: a server that writes no log, or was killed, left none.
    last = _FATAL.search(said.rstrip("\n").rpartition("\n")[2])
    return redaction.redact(last[1]) if last else None


def read_log(window: bytes, server_id: str, mark: int | None = None) -> Log | None:
    """Read the end of a log file: what the process of this server wrote; None where no line is of a nats-server.

    window: the last bytes of the file. mark: where in it the messages after the mark begin, None without a mark.
    """
    place = window.rfind(b"  ID:       " + server_id.encode())
    # Where the start of the process is not in the window, the last line is the surest to be of it.
    own = _line_at(window, place if place >= 0 else window.rfind(b"\n[") + 1)
    if own is None:
        return None
    pid, begin = own["pid"], 0
    if place >= 0:
        first = window.rfind(_FIRST_LINE, 0, place)
        begin = window.rfind(b"\n", 0, first) + 1 if first >= 0 else own.start()
    last = _line_at(window, window.rfind(b"\n[" + pid + b"] ") + 1)
    reloads = _reloads(window, pid, begin)
    return Log(
        pid=int(pid),
        whole=place >= 0 and not any(message.startswith(_NEW_LOG_FILE) for message in reloads),
        debug=_has_level(window, pid, begin, b"DBG"),
        trace=_has_level(window, pid, begin, b"TRC"),
        timestamps=bool(last and last["time"]),
        started=(own["time"] or b"").decode("ascii"),
        reloads=reloads,
        since_mark=() if mark is None else _reloads(window, pid, max(mark, begin)),
        rejection=_rejection(reloads),
    )


def _line_at(window: bytes, place: int) -> re.Match[bytes] | None:
    """Give the line around this place, parsed."""
    return _LINE.match(window, window.rfind(b"\n", 0, place) + 1)


def _lines_with(window: bytes, pid: bytes, begin: int, text: bytes) -> Iterator[re.Match[bytes]]:
    """Give the lines of a process that hold this text; looking for it first is what makes that quick in a long log."""
    place = window.find(text, begin)
    while place >= 0:
        line = _line_at(window, place)
        if line and line["pid"] == pid:
            yield line
        end = window.find(b"\n", place)
        place = window.find(text, end) if end >= 0 else -1


def _has_level(window: bytes, pid: bytes, begin: int, level: bytes) -> bool:
    return any(line["level"] == level for line in _lines_with(window, pid, begin, b"[" + level + b"] "))


def _reloads(window: bytes, pid: bytes, begin: int) -> tuple[str, ...]:
    found = (line["message"].decode("utf-8", "replace") for line in _lines_with(window, pid, begin, _OF_RELOADS))
    return tuple(message for message in found if message.startswith(("Reload", _REJECTED)))


def _rejection(reloads: Sequence[str]) -> str:
    for message in reversed(reloads):
        if message.startswith(ACCEPTED):
            return ""
        if message.startswith(_REJECTED):
            said = message.removeprefix(_REJECTED).lstrip(": ")
            return redaction.redact(_VALUES.sub(_without_value, said)) or "without a reason"
    return ""


def _without_value(value: re.Match[str]) -> str:
    known, values = value.groups()
    return known or ("" if values else HIDDEN)


_NOT_READY = "failed to be ready for connections"
_PROCESS_NAME = "nats-server"
_CONNECT_SECONDS = 1.0


def _look_at_pid_file(
    value: t.Any, expectation: Expectation, _varz: Answer, log: Log | None, _monitor: monitoring.Monitor
) -> Seen:
    path = expectation.local(value)
    if path is None:
        return _UNKNOWN
    try:
        noted = system.read_text(path, "replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return Seen(False, f"no {path}")
    except OSError as error:
        return Seen(None, f"{path}, which can't be looked at: {error.strerror}")
    if log:
        return Seen(noted == str(log.pid), f"{noted[:20]!r} in {path}, while the log is of process {log.pid}")
    try:
        name = Path("/proc", noted, "comm").read_text(encoding="utf-8", errors="replace").strip()
    except (OSError, ValueError):
        return Seen(False, f"{noted[:20]!r} in {path}, which is no process")
    return Seen(name == _PROCESS_NAME or None, f"{noted} in {path}, which is a process named {name}")


def _look_at_ports_file(
    value: t.Any, expectation: Expectation, varz: Answer, log: Log | None, _monitor: monitoring.Monitor
) -> Seen:
    directory = expectation.local(value)
    if directory is None:
        return _UNKNOWN
    try:
        files = directory.glob(f"*_{log.pid}.ports" if log else "*.ports")
        holds = any(f':{varz["port"]}"' in system.read_text(file, "replace") for file in files)
    except OSError as error:
        return Seen(None, f"{directory}, which can't be looked at: {error.strerror}")
    return Seen(holds, f"no file of this server in {directory}")


def _look_at_profiler(
    value: t.Any, _expectation: Expectation, _varz: Answer, _log: Log | None, monitor: monitoring.Monitor
) -> Seen:
    if not isinstance(value, int) or value <= 0:
        return _UNKNOWN
    address = (urlsplit(monitor.url).hostname, value)
    try:
        with socket.create_connection(address, timeout=_CONNECT_SECONDS) as connection:
            connection.sendall(b"HEAD /debug/pprof/ HTTP/1.0\r\n\r\n")
            return Seen(connection.recv(5) == b"HTTP/", f"something else than HTTP at port {value}")
    except OSError as error:
        return Seen(False, f"no answer at port {value}: {error}")


_LOOKS: dict[Effect, Callable[[t.Any, Expectation, Answer, Log | None, monitoring.Monitor], Seen]] = {
    Effect.PID_FILE: _look_at_pid_file,
    Effect.PORTS_FILE: _look_at_ports_file,
    Effect.PROFILER: _look_at_profiler,
}
