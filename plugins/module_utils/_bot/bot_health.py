# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bot proves of itself and of its plugins: an Observer looks, judge() compares that with what was meant.

Looking yields a Snapshot, judging is pure. Beside what the bot tells at its health endpoint, as the guide shows it,
stand the subscriptions that the server really holds, and round trips through a plugin."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._bot import bot_expectation, round_trips, subscriptions
from ansible_collections.rosey.nats.plugins.module_utils._bot.bot_expectation import Expectation, Mode
from ansible_collections.rosey.nats.plugins.module_utils._bot.round_trips import RoundTrip, Trips
from ansible_collections.rosey.nats.plugins.module_utils._host import command_line, gate, service
from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Finding, Severity
from ansible_collections.rosey.nats.plugins.module_utils._server import http_reader, monitoring
from ansible_collections.rosey.nats.plugins.module_utils._server.answers import Answer, mapping
from ansible_collections.rosey.nats.plugins.module_utils._server.http_reader import MonitoringError


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


MISSED_REMEDY = (
    "bring it back, such as by mounting what is missing; where it is gone for good: "
    f"{command_line.deploy(release_accept=['absent_bot'])}"
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
    unheld = subscriptions.missing(snapshot.held, expectation)
    findings = [*_findings(snapshot.told, expectation, is_contract_proven=unheld == [])]
    facts = [_fact(snapshot.told, expectation, proven=gate.passed(findings))]
    held = None
    if isinstance(snapshot.held, MonitoringError):
        error = snapshot.held
        remedy = bot_expectation.URL_FORM.sub("monitoring_url", error.remedy)
        findings.append(Finding("monitoring", f"an answer of nats-server at {error.url}", error.cause, remedy))
    if unheld is not None:
        findings += unheld
        held = expectation.declared - len(unheld)
        facts.append(f"{held} of {expectation.declared} subscriptions held")
    seen = _seen(snapshot.told.answer) if isinstance(snapshot.told, Told) else {}
    return Judgement(gate.errors_first(findings), tuple(facts), seen, held)


_CONNECTED = "connected"
_PARENT = "nats"

_LOG = bot_expectation.BOT.log
_NATS_LOG = f"{bot_expectation.BOT.log} for its connection to NATS, and check that nats-server runs"
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
        remedy = bot_expectation.BOT.path if told.status == HTTPStatus.NOT_FOUND else _LOG
        yield Finding("HTTP status", str(int(HTTPStatus.OK)), str(told.status), remedy)
    if not found and _PARENT not in told.answer:
        yield Finding("health", "what the bot tells of itself", "none of its keys", bot_expectation.BOT.address)
        return
    yield from _shape_findings(told.answer, found, expectation)
    right = {name: value for name, value in found.items() if bot_expectation.KEYS[name].accepts(value)}
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
    for name in bot_expectation.KEYS:
        parent, _dot, key = name.rpartition(".")
        value = mapping(answer.get(parent)).get(key) if parent else answer.get(key)
        if value is not None:
            found[name] = value
    return found


def _shape_findings(answer: Answer, found: Mapping[str, t.Any], expectation: Expectation) -> Iterator[Finding]:
    """Tell what is absent or of a wrong type."""
    inner = answer.get(_PARENT)
    has_nats = any(name.startswith(f"{_PARENT}.") for name in found)
    if inner is not None and not isinstance(inner, dict):
        yield Finding(_PARENT, "an object", http_reader.noun(inner), _TYPE)
    elif not has_nats and expectation.mode is Mode.NATS:
        remedy = f"see that the bot's config.yaml has its nats section, then {_RESTART}"
        yield Finding(_PARENT, "what the bot tells of its connection to NATS", "nothing", remedy)
    for name, kind in bot_expectation.KEYS.items():
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
        if bot_expectation.place_or_none(server) not in expectation.servers:
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
        if bot_expectation.KEYS[name].accepts(value):
            parent, _dot, key = name.rpartition(".")
            (seen.setdefault(parent, {}) if parent else seen)[key] = _harmless(name, value)
    return seen


def _harmless(name: str, value: t.Any) -> t.Any:
    if not isinstance(value, str):
        return value
    return _shown_server(value) if name == "nats.server" else http_reader.excerpt(value)


def _shown(value: t.Any) -> str:
    if isinstance(value, (dict, list)):
        return http_reader.noun(value)
    return http_reader.excerpt(value if isinstance(value, str) else json.dumps(value)) or '""'


def _shown_server(url: str) -> str:
    found = bot_expectation.place_or_none(url)
    return found.shown if found else _shown(bot_expectation.without_credentials(url))


def with_trips(judgement: Judgement, trip: RoundTrip, trips: Trips) -> Judgement:
    """Add what the round trips showed to a judgement."""
    findings = (
        [*judgement.findings, *round_trips.trip_findings(trip, trips)]
        if trips.stopped != round_trips.NOT_YET
        else judgement.findings
    )
    return replace(
        judgement, findings=gate.errors_first(findings), facts=(*judgement.facts, round_trips.trip_fact(trips))
    )


def with_findings(judgement: Judgement, findings: Iterable[gate.Finding], fact: str) -> Judgement:
    """Add what else was found to a judgement; fact: what is proven where nothing was."""
    added = [*findings]
    facts = judgement.facts if added else (*judgement.facts, fact)
    return replace(judgement, findings=gate.errors_first([*judgement.findings, *added]), facts=facts)


# Looking


class Observer:
    """Looks at the bot, and at the server where it has a monitor, again and again over one session each."""

    def __init__(
        self, reader: http_reader.Reader, monitor: monitoring.Monitor | None, expectation: Expectation
    ) -> None:
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
            held = subscriptions.held_by_name(self._monitor.read("connz", details=True), self._monitor.url)
            return Snapshot(told, {**held, **subscriptions.elsewhere(self._monitor, self._expectation.servers)})
        except MonitoringError as error:
            return Snapshot(told, error)


def ask(reader: http_reader.Reader) -> Told | MonitoringError:
    """Ask the bot; give the error where it does not answer."""
    try:
        return Told(*reader.ask(reader.url, any_status=True))
    except MonitoringError as error:
        return error
