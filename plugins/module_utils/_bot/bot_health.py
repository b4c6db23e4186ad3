# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bot proves of itself and of its plugins: an Observer looks, judge() compares that with what was meant.

Looking yields a Snapshot, judging is pure. Beside what the bot tells at its health endpoint, as the guide shows it,
stand the subscriptions that the server really holds, and round trips through a plugin.
"""

from __future__ import annotations

import inspect
import ipaddress
import json
import math
import os
import re
import subprocess
import typing as t
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ansible_collections.rosey.nats.plugins.module_utils._bot import round_trip
from ansible_collections.rosey.nats.plugins.module_utils._bot.credentials import CA_FILE_VARIABLE
from ansible_collections.rosey.nats.plugins.module_utils._host import gate, service, system
from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Finding, Severity
from ansible_collections.rosey.nats.plugins.module_utils._server import monitoring, subjects
from ansible_collections.rosey.nats.plugins.module_utils._server.monitoring import Answer, MonitoringError

URL = "http://localhost:8000/api/health"
BOT = monitoring.Advice(
    form=f"write it as {URL}",
    address="check that url is that of the bot's health endpoint",
    start="check that the bot runs and that url has the port of its health endpoint",
    path="check the path of url: the bot's health endpoint has to be there",
    log="look at the log of the bot",
)


class Mode(StrEnum):
    """Whether the bot is meant to use NATS, or to run without."""

    NATS = "nats"
    LEGACY = "legacy"


@dataclass(frozen=True)
class Place:
    """Where a NATS server listens. Two are equal where they mean the same; all names of this machine do.

    shown: the URL for a person, without user and password.
    """

    scheme: str
    host: str
    port: int
    shown: str = field(compare=False)


@dataclass(frozen=True)
class Plugin:
    """An enabled plugin. subscriptions: the full subjects that it declares."""

    name: str
    subscriptions: tuple[str, ...]


@dataclass(frozen=True)
class Expectation:
    """What was meant.

    servers: the bot is connected to one of them; without any all will do. subjects: the least number that it holds,
    None for as many as the plugins declare. required: names in KEYS that it has to tell. client_name: the name of the
    bot's connection, with which those of its plugins' connections begin.
    """

    mode: Mode = Mode.NATS
    servers: tuple[Place, ...] = ()
    subjects: int | None = None
    required: Collection[str] = ()
    plugins: tuple[Plugin, ...] = ()
    client_name: str | None = None

    @property
    def declared(self) -> int:
        """How many subscriptions the plugins declare."""
        return sum(len(plugin.subscriptions) for plugin in self.plugins)


@dataclass(frozen=True)
class Told:
    """What the bot answered, with the HTTP status."""

    status: int
    answer: Answer


@dataclass(frozen=True)
class Snapshot:
    """The bot and the server at one moment.

    told: what the bot said, or why it said nothing. held: the subjects that the connections to the server hold, by the
    name of the connection, or why that is not known; None where nobody asked.
    """

    told: Told | MonitoringError
    held: Mapping[str, Collection[str]] | MonitoringError | None = None


@dataclass(frozen=True)
class Judgement:
    """What came of comparing.

    facts: the parts of the summary. seen: what the bot told, as far as its keys are known. held: how many of the
    subscriptions that are declared the server holds, None where nobody asked or it did not tell.
    """

    findings: tuple[Finding, ...]
    facts: tuple[str, ...]
    seen: Answer
    held: int | None = None

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return gate.passed(self.findings)

    @property
    def summary(self) -> str:
        """What is proven and what is not, in one line."""
        return ", ".join(self.facts)


def place(url: str) -> Place:
    """Read the URL of a NATS server as the client does; ValueError where it is none."""
    scheme, _divider, rest = url.strip().rpartition("://")
    parts = urlsplit(f"{scheme or 'nats'}://{without_credentials(rest)}")
    host, default = parts.hostname, _PORTS.get(parts.scheme)
    if not host or default is None:
        raise ValueError(f"no URL of a NATS server: {without_credentials(url)}")
    port = default if parts.port is None else parts.port
    address = f"[{host}]" if ":" in host else host
    return Place(parts.scheme, _same_host(host), port, f"{parts.scheme}://{address}:{port}")


def place_or_none(url: str) -> Place | None:
    """Read the URL of a NATS server; None where it is none."""
    try:
        return place(url)
    except ValueError:
        return None


def without_credentials(url: str) -> str:
    """Give a URL from its host on, or all of it where no user or password stands before that."""
    return url.rpartition("@")[2]


def secrets_of(url: str) -> set[str]:
    """Give what of a URL no output may show: the user with the password, and the password as it is written and read."""
    given = url.rpartition("@")[0].rpartition("://")[2]
    password = given.partition(":")[2]
    return {each for each in (given, password, unquote(password)) if each}


MISSED_REMEDY = (
    "bring it back, such as by mounting what is missing; where it is gone for good: site.yml -e "
    '\'{"release_accept": ["absent_bot"]}\''
)


def why_no_bot(bot: Mapping[str, t.Any], found: service.Service | str | None) -> str:
    """Say why there is no bot to look at; empty where there is one, or has to be.

    bot: whether it is optional, and its home. found: what runs it, why that is not known, or None where nobody asked.
    """
    if not bot["optional"]:
        return ""
    if not Path(bot["home"]).is_dir():
        return f"no bot is installed at {bot['home']}"
    has_none = isinstance(found, service.Service) and not found.exists
    return f"the bot at {bot['home']} has no service, so it is not looked at" if has_none else ""


def judge(snapshot: Snapshot, expectation: Expectation) -> Judgement:
    """Compare what was seen with what was meant. Errors come first."""
    unheld = missing(snapshot.held, expectation)
    findings = [*_findings(snapshot.told, expectation, is_contract_proven=unheld == [])]
    facts = [_fact(snapshot.told, expectation, proven=gate.passed(findings))]
    held = None
    if isinstance(snapshot.held, MonitoringError):
        error = snapshot.held
        remedy = _URL.sub("monitoring_url", error.remedy)
        findings.append(Finding("monitoring", f"an answer of nats-server at {error.url}", error.cause, remedy))
    if unheld is not None:
        findings += unheld
        held = expectation.declared - len(unheld)
        facts.append(f"{held} of {expectation.declared} subscriptions held")
    seen = _seen(snapshot.told.answer) if isinstance(snapshot.told, Told) else {}
    return Judgement(gate.errors_first(findings), tuple(facts), seen, held)


# What the bot tells

_PORTS = {"nats": 4222, "tls": 4222, "ws": 80, "wss": 443}
_URL = re.compile(r"\burl\b")
_CONNECTED = "connected"
_PARENT = "nats"


@dataclass(frozen=True)
class Kind:
    """The values that a key may have. noun: in words."""

    noun: str
    accepts: Callable[[t.Any], bool]


def _is_number(value: t.Any) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _is_whole(value: t.Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_TEXT = Kind("a text", lambda value: isinstance(value, str))
_SWITCH = Kind("true or false", lambda value: isinstance(value, bool))
_NUMBER = Kind("a number", _is_number)
_COUNT = Kind("a whole number", _is_whole)
# The guide's example.
KEYS: Mapping[str, Kind] = {
    "status": _TEXT,
    "connected": _SWITCH,
    "channel": _TEXT,
    "uptime": _NUMBER,
    "version": _TEXT,
    "user_count": _COUNT,
    "requests": _COUNT,
    "errors": _COUNT,
    "nats.connected": _SWITCH,
    "nats.server": _TEXT,
    "nats.subjects": _COUNT,
}

_LOG = BOT.log
_NATS_LOG = f"{BOT.log} for its connection to NATS, and check that nats-server runs"
_RESTART = "restart the bot, so that it reads its configuration"
_LEAVE = "nothing to do where the bot has no such key; what it would tell is taken on trust"
_REQUIRED = "run a version of the bot that tells it, or take it out of required"
_TYPE = "check that url is that of the bot's health endpoint, and look at the version of the bot"


def _findings(told: Told | MonitoringError, expectation: Expectation, *, is_contract_proven: bool) -> Iterator[Finding]:
    if isinstance(told, MonitoringError):
        yield Finding("health", f"an answer of the bot at {told.url}", told.cause, told.remedy)
        return
    found = _values(told.answer)
    if told.status != HTTPStatus.OK:
        remedy = BOT.path if told.status == HTTPStatus.NOT_FOUND else _LOG
        yield Finding("HTTP status", str(int(HTTPStatus.OK)), str(told.status), remedy)
    if not found and _PARENT not in told.answer:
        yield Finding("health", "what the bot tells of itself", "none of its keys", BOT.address)
        return
    yield from _shape_findings(told.answer, found, expectation)
    right = {name: value for name, value in found.items() if KEYS[name].accepts(value)}
    if right.get("status", _CONNECTED) != _CONNECTED:
        yield Finding("status", _CONNECTED, _shown(right["status"]), _LOG)
    if right.get("connected") is False:
        yield Finding("connected", "true", "false", f"{_LOG} for its connection to the channel")
    if expectation.mode is Mode.LEGACY:
        yield from _legacy_findings(found, right)
    else:
        yield from _nats_findings(right, expectation, is_contract_proven=is_contract_proven)


def _values(answer: Answer) -> dict[str, t.Any]:
    """Give the values of the known keys, by their dotted names. Null is as good as nothing."""
    found = {}
    for name in KEYS:
        parent, _dot, key = name.rpartition(".")
        value = _object(answer.get(parent)).get(key) if parent else answer.get(key)
        if value is not None:
            found[name] = value
    return found


def _object(value: t.Any) -> Answer:
    return value if isinstance(value, dict) else {}


def _shape_findings(answer: Answer, found: Mapping[str, t.Any], expectation: Expectation) -> Iterator[Finding]:
    """Tell what is absent or of a wrong type."""
    inner = answer.get(_PARENT)
    has_nats = any(name.startswith(f"{_PARENT}.") for name in found)
    if inner is not None and not isinstance(inner, dict):
        yield Finding(_PARENT, "an object", monitoring.noun(inner), _TYPE)
    elif not has_nats and expectation.mode is Mode.NATS:
        remedy = f"see that the bot's config.yaml has its nats section, then {_RESTART}"
        yield Finding(_PARENT, "what the bot tells of its connection to NATS", "nothing", remedy)
    for name, kind in KEYS.items():
        is_inner = name.startswith(f"{_PARENT}.")
        if name in found:
            if not kind.accepts(found[name]):
                yield Finding(name, kind.noun, _shown(found[name]), _TYPE)
        elif is_inner and (expectation.mode is Mode.LEGACY or not has_nats):
            continue  # it may be missing with the whole object, or that was told above
        elif name in expectation.required:
            yield Finding(name, kind.noun, "nothing", _REQUIRED)
        else:
            yield Finding(name, kind.noun, "nothing", _LEAVE, Severity.WARNING)


def _legacy_findings(found: Mapping[str, t.Any], right: Mapping[str, t.Any]) -> Iterator[Finding]:
    if not {"status", "connected"} & found.keys():
        yield Finding("status", f"status or connected, to tell that the bot is {_CONNECTED}", "neither", _TYPE)
    using = [name for name in found if name.startswith(f"{_PARENT}.")]
    if using and right.get("nats.connected") is not False:
        shown = "true" if right.get("nats.connected") else f"{', '.join(using)} without a word on it"
        remedy = f"see that the bot's config.yaml has no nats section, then {_RESTART}"
        yield Finding("nats.connected", "false, or no nats at all", shown, remedy)


def _nats_findings(
    right: Mapping[str, t.Any], expectation: Expectation, *, is_contract_proven: bool
) -> Iterator[Finding]:
    if right.get("nats.connected") is False:
        yield Finding("nats.connected", "true", "false", _NATS_LOG)
    server = right.get("nats.server")
    if server is not None and expectation.servers:
        wanted = " or ".join(each.shown for each in expectation.servers)
        remedy = f"check the servers in the bot's config.yaml and NATS_SERVER in its secrets.env, then {_RESTART}"
        if place_or_none(server) not in expectation.servers:
            yield Finding("nats.server", wanted, _shown_server(server), remedy)
    least = expectation.declared if expectation.subjects is None else expectation.subjects
    count = right.get("nats.subjects")
    if count is not None and count < least:
        # A plugin with a wildcard holds fewer than it declares; what the server holds then tells more than a number.
        is_guess = expectation.subjects is None and is_contract_proven
        severity = Severity.WARNING if is_guess else Severity.ERROR
        remedy = "look at the logs of the plugins for one that does not run"
        yield Finding("nats.subjects", f"at least {least}", str(count), remedy, severity)


def _fact(told: Told | MonitoringError, expectation: Expectation, *, proven: bool) -> str:
    if isinstance(told, MonitoringError):
        return "no answer of the bot"
    if expectation.mode is Mode.LEGACY:
        return "bot runs without NATS" if proven else "bot not proven to run without NATS"
    found = _values(told.answer)
    if found.get("nats.connected") is False or not any(name.startswith(f"{_PARENT}.") for name in found):
        return "bot not connected to NATS"
    server = found.get("nats.server")
    return f"bot connected to {_shown_server(server) if isinstance(server, str) else 'NATS'}"


def _seen(answer: Answer) -> Answer:
    """Give what the bot told, known keys with values of their type alone, and no user or password."""
    seen: Answer = {}
    for name, value in _values(answer).items():
        if KEYS[name].accepts(value):
            parent, _dot, key = name.rpartition(".")
            (seen.setdefault(parent, {}) if parent else seen)[key] = _harmless(name, value)
    return seen


def _harmless(name: str, value: t.Any) -> t.Any:
    if not isinstance(value, str):
        return value
    return _shown_server(value) if name == "nats.server" else monitoring.excerpt(value)


def _shown(value: t.Any) -> str:
    if isinstance(value, dict | list):
        return monitoring.noun(value)
    return monitoring.excerpt(value if isinstance(value, str) else json.dumps(value)) or '""'


def _shown_server(url: str) -> str:
    found = place_or_none(url)
    return found.shown if found else _shown(without_credentials(url))


def _same_host(host: str) -> str:
    """Give one name for all that mean the same host: this machine, or an address however it is written."""
    name = host.lower().rstrip(".")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name
    return "localhost" if address.is_loopback else str(address)


# What the server holds


class _Subjects:
    """Subjects that are held; literals are looked up, wildcards are found by their tokens."""

    def __init__(self, held: Iterable[str]) -> None:
        self._literals = frozenset(held)
        self._wildcards = subjects.Index()
        for subject in self._literals:
            if subjects.has_wildcard(subject):
                self._wildcards.add(subject, subject)

    def cover(self, subject: str) -> bool:
        """Tell whether one of them covers it."""
        if subject in self._literals:
            return True
        return any(subjects.covers(wide, subject) for wide in self._wildcards.overlapping(subject))


class Held:
    """What a plugin holds of all that connections do.

    A plugin has a connection of its own, or the one that all share; who else listens is no plugin. Where no connection
    bears the bot's name, all count.

    by_name: the subjects that connections hold, by the names of these.
    """

    def __init__(self, by_name: Mapping[str, Collection[str]], client_name: str | None) -> None:
        self._by_name = by_name
        self._bot = client_name
        self._is_named = bool(client_name) and any(
            name == client_name or name.startswith(f"{client_name}-") for name in by_name
        )
        self._of_all = _Subjects(subject for each in by_name.values() for subject in each)

    def has_own(self, plugin: Plugin) -> bool:
        """Tell whether the plugin has a connection of its own."""
        return f"{self._bot}-{plugin.name}" in self._by_name

    def unheld(self, plugin: Plugin) -> list[str]:
        """Give what the plugin declares and does not hold."""
        own = self._of_all
        if self._is_named:
            name = self._connection(plugin)
            own = _Subjects(self._by_name[name] if name else ())
        return [subject for subject in plugin.subscriptions if not own.cover(subject)]

    def found(self, plugin: Plugin) -> str:
        """Say what was found instead of it."""
        if not self._is_named:
            return f"none on the server, nor a connection named {self._bot}" if self._bot else "none on the server"
        name = self._connection(plugin)
        if name:
            return f"none that the connection {name} holds"
        return f"no connection {self._bot}-{plugin.name}, nor {self._bot}"

    def _connection(self, plugin: Plugin) -> str | None:
        return next((name for name in (f"{self._bot}-{plugin.name}", self._bot) if name in self._by_name), None)


UNHELD_REMEDY = (
    "look at the log of the plugin and restart the bot; where the plugin does not listen to this subject, take it out "
    "of its subscriptions"
)


def missing(
    held: Mapping[str, Collection[str]] | MonitoringError | None, expectation: Expectation
) -> list[Finding] | None:
    """Give a finding for each subscription that is declared and not held; None where that is not known."""
    if held is None or isinstance(held, MonitoringError):
        return None
    known = Held(held, expectation.client_name)
    return [
        Finding(f"plugin {plugin.name}", f"a subscription that covers {subject}", known.found(plugin), UNHELD_REMEDY)
        for plugin in expectation.plugins
        for subject in known.unheld(plugin)
    ]


# Round trips


@dataclass(frozen=True)
class RoundTrip:
    """Requests to make; without a subject they are pings, which the server answers itself.

    payload: of each. limit: the milliseconds that 99 of 100 may take. pause: the milliseconds after each.
    """

    subject: str
    payload: str
    count: int
    limit: float
    pause: float = 0.0


@dataclass(frozen=True)
class Trips:
    """What came of it. milliseconds: of each trip. stopped: why there are no more, one of the reasons, or empty."""

    milliseconds: tuple[float, ...] = ()
    stopped: str = ""
    cause: str = ""

    def percentile(self, percent: int) -> float | None:
        """Give the time that so many of 100 trips did not exceed."""
        if not self.milliseconds:
            return None
        return sorted(self.milliseconds)[math.ceil(percent * len(self.milliseconds) / 100) - 1]


NO_PYTHON = "no Python"
NO_RESULT = "no result"
NOT_YET = "not yet"
_SKIPPED = {NO_PYTHON, round_trip.NO_LIBRARY, NOT_YET}
_P50, _P99 = 50, 99
_LISTENS = "look at the log of the plugin that listens to {subject}"
# What was expected, what was found, and what to do.
_STOPS: Mapping[str, tuple[str, str, str]] = {
    NO_PYTHON: (
        "the bot's Python, to measure it with",
        "none that runs: {cause}",
        "name the bot's own Python in python; the round trip was skipped",
    ),
    round_trip.NO_LIBRARY: (
        "nats-py in the bot's Python, to measure it with",
        "none: {cause}",
        "name the bot's own Python, which has nats-py, in python; the round trip was skipped",
    ),
    NO_RESULT: (
        "a result of the probe",
        "{cause}",
        "try python by hand, and look at the load of the host",
    ),
    round_trip.NO_CONNECTION: (
        "a connection to the bus",
        "none: {cause}",
        "check servers and credentials, and look at the log of nats-server",
    ),
    round_trip.NOBODY: (
        "an answer to a request on {subject}",
        "nobody who listens to it",
        "check the subject, and that the plugin which answers it is enabled and runs",
    ),
    round_trip.SILENCE: (
        "an answer to a request on {subject}",
        "none after {made} trips{said}",
        f"{_LISTENS}; check that it answers to the reply subject of a request, and that the user may publish requests",
    ),
    round_trip.NO_TIME: (
        "{count} trips on {subject}",
        "{made} when the time for them was up",
        f"{_LISTENS}, and at the load of the host",
    ),
}


def with_trips(judgement: Judgement, trip: RoundTrip, trips: Trips) -> Judgement:
    """Add what the round trips showed to a judgement."""
    findings = [*judgement.findings, *_trip_findings(trip, trips)] if trips.stopped != NOT_YET else judgement.findings
    return replace(judgement, findings=gate.errors_first(findings), facts=(*judgement.facts, _trip_fact(trips)))


def trips_result(trips: Trips) -> dict[str, t.Any]:
    """Give the round trips as the module returns them."""
    p50, p99 = (trips.percentile(percent) for percent in (_P50, _P99))
    return {
        "p50_milliseconds": None if p50 is None else round(p50, 3),
        "p99_milliseconds": None if p99 is None else round(p99, 3),
        "trips": len(trips.milliseconds),
        "skipped": trips.stopped in _SKIPPED,
    }


def _trip_findings(trip: RoundTrip, trips: Trips) -> Iterator[Finding]:
    if trips.stopped:
        known = {
            "subject": trip.subject,
            "count": trip.count,
            "made": len(trips.milliseconds),
            "cause": trips.cause,
            "said": f"; the server said: {trips.cause}" if trips.cause else "",
        }
        severity = Severity.WARNING if trips.stopped in _SKIPPED else Severity.ERROR
        wanted, found, remedy = (text.format_map(known) for text in _STOPS[trips.stopped])
        yield Finding("round trip", wanted, found, remedy, severity)
    p99 = trips.percentile(_P99)
    if p99 is not None and p99 > trip.limit:
        remedy = (
            "look at the load of the host, at /varz of nats-server for cpu and mem, and at the log of the plugin that "
            f"listens to {trip.subject}"
        )
        yield Finding("round trip", f"a p99 of at most {trip.limit:g} ms", f"{p99:.1f} ms", remedy)


def _trip_fact(trips: Trips) -> str:
    if trips.stopped in _SKIPPED:
        return "round trip skipped"
    p50, p99 = trips.percentile(_P50), trips.percentile(_P99)
    if p50 is None or p99 is None:
        return "no round trip"
    return f"round trip p50 {p50:.1f} ms, p99 {p99:.1f} ms over {len(trips.milliseconds)}"


# Looking


class Observer:
    """Looks at the bot, and at the server where it has a monitor, again and again over one session each."""

    def __init__(self, reader: monitoring.Reader, monitor: monitoring.Monitor | None, expectation: Expectation) -> None:
        self._reader = reader
        self._monitor = monitor
        self._expectation = expectation
        self.snapshot: Snapshot | None = None

    def judge(self, seconds: float, answered: Callable[[], None]) -> Judgement:
        """Judge the present state; each answer may take so many seconds."""
        return judge(self._look(seconds, answered), self._expectation)

    def _look(self, seconds: float, answered: Callable[[], None]) -> Snapshot:
        self._reader.timeout = seconds
        told = ask(self._reader)
        if isinstance(told, Told):
            answered()
        if self._monitor is None:
            return Snapshot(told)
        self._monitor.timeout = seconds
        try:
            return Snapshot(told, held_by_name(self._monitor.read("connz", details=True), self._monitor.url))
        except MonitoringError as error:
            return Snapshot(told, error)


def ask(reader: monitoring.Reader) -> Told | MonitoringError:
    """Ask the bot; give the error where it does not answer."""
    try:
        return Told(*reader.ask(reader.url, any_status=True))
    except MonitoringError as error:
        return error


def held_by_name(connz: Answer, url: str) -> dict[str, set[str]]:
    """Give the subjects that connections hold, by their names, from the whole /connz of the server at url."""
    held: dict[str, set[str]] = {}
    for connection in connz["connections"]:
        name, listed = connection.get("name", ""), connection.get("subscriptions_list") or []
        if (
            not isinstance(name, str)
            or not isinstance(listed, list)
            or not all(isinstance(each, str) for each in listed)
        ):
            raise MonitoringError(f"{url}/connz", f"connection {connection['cid']} has no list of subjects")
        held.setdefault(name, set()).update(listed)
    return held


_PROGRAM = inspect.getsource(round_trip)
# Until the bot's Python has started, and has ended.
_SPARE_SECONDS = 10.0


def make_trips(
    trip: RoundTrip,
    *,
    python: str,
    servers: Sequence[str],
    options: Mapping[str, t.Any],
    credentials: Mapping[str, str],
    ca_file: str | None,
    name: str,
    user: str | None,
    timeout: float,
) -> Trips:
    """Make the round trips with the bot's Python.

    options: further ones of connect(). ca_file: whom the bot trusts, None for whom the host does. user: who
    runs it, where this is root, since the bot may have written what is run. timeout: seconds for the connection, and
    for each answer.
    """
    seconds = timeout + trip.count * (trip.limit + trip.pause) / 1000
    question = {
        "options": {**options, "servers": list(servers), "name": name, **credentials},
        "subject": trip.subject,
        "payload": trip.payload,
        "count": trip.count,
        "answer_seconds": timeout,
        "pause_seconds": trip.pause / 1000,
        "seconds": seconds,
    }
    # Isolated from what lies in the working directory, and leaving no compiled file in the bot's environment.
    words = [python, "-I", "-B", "-c", _PROGRAM]
    try:
        done = subprocess.run(
            words,
            cwd="/",
            env={**os.environ, CA_FILE_VARIABLE: ca_file} if ca_file else None,
            **(system.run_as(user) if user else {}),
            input=json.dumps(question),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=seconds + 2 * timeout + _SPARE_SECONDS,
        )
    except KeyError:
        return Trips(stopped=NO_PYTHON, cause=f"{python}: this host has no user {user} to run it")
    except OSError as error:
        return Trips(stopped=NO_PYTHON, cause=f"{python}: {error.strerror}")
    except subprocess.TimeoutExpired as error:
        return Trips(stopped=NO_RESULT, cause=f"none after {error.timeout:g} seconds")
    try:
        said = json.loads(done.stdout)
        stopped, cause = said["stopped"], monitoring.excerpt(said["cause"])
        return Trips(tuple(1000 * each for each in said["trips"]), stopped, cause)
    except (ValueError, KeyError, TypeError):
        last = done.stderr.strip().rpartition("\n")[2]
        return Trips(stopped=NO_RESULT, cause=f"exit status {done.returncode}: {monitoring.excerpt(last)}")


# What modules take

PLUGINS_ARGUMENT: dict[str, t.Any] = {
    "type": "list",
    "elements": "dict",
    "default": [],
    "options": {
        "name": {"type": "str", "required": True},
        "subscriptions": {"type": "list", "elements": "str", "default": []},
    },
}
ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str", "default": URL},
    "mode": {"type": "str", "choices": list(Mode), "default": str(Mode.NATS)},
    "servers": {"type": "list", "elements": "str", "default": []},
    "required": {"type": "list", "elements": "str", "choices": list(KEYS), "default": []},
    "plugins": PLUGINS_ARGUMENT,
    "client_name": {"type": "str"},
}
ROUND_TRIP_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "payload": {"type": "json", "default": '{"user": "test", "message": "!quote"}'},
    "limit_milliseconds": {"type": "float", "default": 100.0},
    "options": {"type": "dict", "default": {}},
}


def plugins_of(given: Iterable[Mapping[str, t.Any]]) -> tuple[Plugin, ...]:
    """Read plugins as PLUGINS_ARGUMENT has them."""
    return tuple(Plugin(each["name"], tuple(each["subscriptions"])) for each in given)


def expectation_of(params: Mapping[str, t.Any]) -> Expectation:
    """Read what was meant, as ARGUMENTS has it; ValueError where a server's URL is none."""
    return Expectation(
        mode=Mode(params["mode"]),
        servers=tuple(place(url) for url in params["servers"]),
        required=frozenset(params["required"]),
        plugins=plugins_of(params["plugins"]),
        client_name=params["client_name"],
    )


def server_faults(option: str, urls: Iterable[str], instead: str) -> Iterator[str]:
    """Name which URLs of servers can't be taken; no secret is in it. instead: where user and password go."""
    for url in urls:
        shown = without_credentials(url)
        if shown != url:
            yield f"{option}: {shown} has a user or password before it; {instead}"
        elif place_or_none(url) is None:
            yield f"{option}: {url} is no URL of a NATS server; write it as nats://localhost:4222"


def plugins_faults(option: str, plugins: Iterable[Mapping[str, t.Any]]) -> Iterator[str]:
    """Name what is wrong with plugins as PLUGINS_ARGUMENT has them."""
    for plugin in plugins:
        for subject in plugin["subscriptions"]:
            if fault := subjects.fault(subject):
                yield f"{option}: {plugin['name']}: {subject!r} {fault}; correct the subscription"
