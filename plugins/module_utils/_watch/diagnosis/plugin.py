# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a plugin receives nothing: what is asked of the evidence, from its file to whether it answers.

Of each plugin, what comes later is asked only where everything before is well. Nothing here looks at the host.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from ansible_collections.rosey.nats.plugins.module_utils._bot import client_options, round_trip, subscriptions
from ansible_collections.rosey.nats.plugins.module_utils._host import process, python
from ansible_collections.rosey.nats.plugins.module_utils._host.gate import first_of
from ansible_collections.rosey.nats.plugins.module_utils._server import subjects
from ansible_collections.rosey.nats.plugins.module_utils._server.http_reader import MonitoringError
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import bot as bot_tree
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import bot_login, refusals
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.bot_evidence import BrokenError, section_of
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.plugin_evidence import Evidence, Plugin
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.refusals import Refused
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import (
    Cause,
    Confidence,
    Diagnosis,
    NotSeenError,
    Question,
    Symptom,
    attempt,
    diagnose,
    seen,
    together,
)

_EXCEPTION = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception)\b")
# Seconds by which a plugin's process is younger than the bot that started it at once.
_LATER = 1.5
_MOST_NAMED = 5


@dataclass(frozen=True)
class _One:
    """One plugin among all that was seen. held: what the server holds."""

    evidence: Evidence
    plugin: Plugin
    held: subscriptions.Held | NotSeenError

    @cached_property
    def unheld(self) -> list[str]:
        """What it declares and the server does not hold for it; NotSeenError."""
        return seen(self.held).unheld(self.plugin)

    @property
    def is_connected(self) -> bool:
        """Whether the server has a connection of its own; NotSeenError."""
        return seen(self.held).has_own(self.plugin)

    def cause(
        self, name: str, cause: str, *evidence: str, remedy: str, confidence: Confidence = Confidence.CERTAIN
    ) -> Cause:
        """Say it of this plugin."""
        return Cause(Symptom.PLUGIN, name, f"plugin {self.plugin.name}: {cause}", evidence, remedy, confidence)


def diagnosis(evidence: Evidence) -> Diagnosis:
    """Say why a plugin receives nothing."""
    if evidence.bot.described.legacy:
        return Diagnosis(healthy=("without NATS no plugin is described to listen",))
    held = attempt(lambda: _held(evidence))
    on_bus = evidence.bot.is_connected
    every = [
        diagnose(Symptom.PLUGIN, _LIVE if on_bus else _AT_REST, _One(evidence, plugin, held))
        for plugin in evidence.plugins
    ]
    if not on_bus:
        # That is why.
        return Diagnosis(together([bot_tree.diagnosis(evidence.bot), *every]).causes)
    well = [plugin.name for plugin, found in python.rows(evidence.plugins, every) if not found.causes]
    whole = diagnose(Symptom.PLUGIN, _AS_A_WHOLE, evidence)
    healthy = (*whole.healthy, *([f"the plugins {first_of(well, _MOST_NAMED)}"] if well else []))
    return Diagnosis(together([whole, *every]).causes, healthy)


def _held(evidence: Evidence) -> subscriptions.Held:
    bot = evidence.bot.described
    connections = seen(evidence.bot.connections)
    try:
        by_name = subscriptions.held_by_name({"connections": connections}, bot.monitoring_url or "")
        by_name |= evidence.bot.elsewhere
    except MonitoringError as error:
        raise NotSeenError("what the server holds", f"{error.url}: {error.cause}", error.remedy) from error
    return subscriptions.Held(by_name, bot.client_name)


def _ask_prefix(evidence: Evidence) -> Iterator[Cause]:
    described = evidence.bot.described
    prefix = section_of(evidence.bot.section).get(client_options.PREFIX)
    if prefix is not None and prefix != described.prefix:
        yield Cause(
            Symptom.PLUGIN,
            "bot_prefix_mixed_up",
            "the bot speaks and listens on another environment's subjects than its plugins",
            (f"{described.section_file}: nats.prefix: expected {described.prefix}, found {prefix}",),
            f"deploy again, which writes the prefix of {described.environment}",
        )


_AS_A_WHOLE = (Question("the prefix of the bot", _ask_prefix),)


# Its file


def _ask_file(one: _One) -> Iterator[Cause]:
    file, described = seen(one.plugin.file), one.evidence.bot.described
    deploy = "deploy again, which writes it as it is described"
    correct = f"correct {file.path}, or {deploy}; then {described.restart}"
    if file.content is None:
        yield one.cause("plugin_file_missing", "its file is not there", f"no {file.path}", remedy=deploy)
        return
    if file.forbidden:
        yield one.cause(
            "plugin_file_unreadable",
            "the bot's account may not read its file",
            f"{described.account} may not read {file.path}",
            *([f"it is stopped at {file.forbidden}"] if file.forbidden != file.path else []),
            remedy=f"chown {described.account} {file.path}, or {deploy}; then {described.restart}",
        )
        return
    try:
        content = file.mapping()
    except BrokenError as error:
        yield one.cause("plugin_file_broken", "its file is no YAML", f"{file.path}: {error}", remedy=correct)
        return
    if content.get("enabled", True) is not True:
        yield one.cause(
            "plugin_disabled",
            "its file disables it",
            f"{file.path}: enabled: expected true, found {str(content['enabled']).lower()}",
            remedy=correct,
        )
        return
    yield from _subject_causes(one, content, correct)


def _subject_causes(one: _One, content: Mapping[str, t.Any], remedy: str) -> Iterator[Cause]:
    """Compare what its file says with what is declared, where the server does not hold that."""
    given = content.get("subscriptions")
    in_file = [str(subject) for subject in given] if isinstance(given, list) else []
    try:
        wanted = one.unheld
    except NotSeenError:
        wanted = list(one.plugin.subscriptions)
    absent = [subject for subject in wanted if not any(subjects.covers(each, subject) for each in in_file)]
    path, prefix = seen(one.plugin.file).path, one.evidence.bot.described.prefix
    foreign = {subject: other for subject in absent if (other := _elsewhere(subject, prefix, in_file))}
    if foreign:
        yield one.cause(
            "prefix_mixed_up",
            "its file has subjects of another environment",
            *(f"{path}: expected {subject}, found {other}" for subject, other in foreign.items()),
            remedy=remedy,
        )
    lost = [subject for subject in absent if subject not in foreign]
    if lost:
        yield one.cause(
            "subscription_not_in_file",
            "its file does not name what it is declared to listen to",
            *(f"{path}: subscriptions: expected {subject}, found none that covers it" for subject in lost),
            remedy=remedy,
        )


def _elsewhere(subject: str, prefix: str, in_file: Iterable[str]) -> str | None:
    """Give the subject of the file that says the same with another prefix."""
    end = f"{subjects.SEPARATOR}{subjects.relative(subject, prefix)}"
    return next((each for each in in_file if each.endswith(end)), None)


# What the server holds of it


def _ask_held(one: _One) -> Iterator[Cause]:
    unheld = one.unheld
    if not unheld:
        return
    evidence, plugin = one.evidence, one.plugin
    described = evidence.bot.described
    expected = [f"no subscription that covers {subject} is held by it" for subject in unheld]
    limits = {} if isinstance(evidence.bot.limits, NotSeenError) else evidence.bot.limits
    file = seen(plugin.file)
    log = seen(evidence.log)
    refused = log.of(plugin.name)
    denied = [subject for subject in unheld if subject in refused.unheard]
    if file.is_newer:
        yield one.cause(
            "plugin_not_restarted",
            "it was started with another file than the one that is there now",
            f"{file.path} was written since the bot was started",
            *expected,
            remedy=described.restart,
        )
    elif denied:
        yield one.cause(
            "subscribe_denied",
            "the server does not let it subscribe",
            *(f"the log of nats-server: Subscription Violation, Subject {subject}" for subject in denied),
            remedy=refusals.remedy(plugin.name, Refused(unheard=frozenset(denied)), described)
            if log.clients is not None
            else "let the bot's user subscribe to it: permissions of authorization in nats_server_config",
        )
    elif not one.is_connected and bot_login.is_full(limits):
        yield bot_login.full(Symptom.PLUGIN, limits, evidence.bot.connections)
    elif not one.is_connected and "max_subscriptions" in log.limits:
        yield one.cause(
            "max_subscriptions_reached",
            "it declares more subscriptions than the server takes of one connection",
            f"max_subscriptions: {limits.get('max_subscriptions', 'unknown')}",
            f"{plugin.name} declares {len(plugin.subscriptions)}",
            "the log of nats-server: maximum subscriptions exceeded",
            remedy="raise max_subscriptions in nats_server_config",
        )
    else:
        yield from _process_causes(one, expected)


def _process_causes(one: _One, expected: list[str]) -> Iterator[Cause]:
    described, plugin = one.evidence.bot.described, one.plugin
    log = described.plugin_log(plugin.name)
    last = [f"{log}: {line}" for line in plugin.said[-1:]]
    has_ended = bool(plugin.said and _EXCEPTION.match(plugin.said[-1]))
    is_young = any(one.evidence.bot_age - each.age > _LATER for each in plugin.processes)
    is_gone = not plugin.processes and any(each.processes for each in one.evidence.plugins)
    if has_ended or is_young or is_gone:
        running = [f"process {each.pid} is {each.age:.0f} seconds old" for each in plugin.processes]
        yield one.cause(
            "plugin_dies",
            "its process ends as it starts",
            *(running or ["it has no process"]),
            *last,
            remedy=f"correct what its log says ({log}); most often it is a value of its config",
            confidence=Confidence.LIKELY,
        )
    else:
        yield one.cause(
            "subscription_not_held",
            "it is there, and does not listen to what it declares",
            *expected,
            *last,
            remedy=f"look at its log ({log}), then {described.restart}",
            confidence=Confidence.LIKELY,
        )


# Whether it answers


def _ask_process(one: _One) -> Iterator[Cause]:
    for each in one.plugin.processes:
        if each.state in process.STOPPED:
            yield one.cause(
                "plugin_hangs",
                "its process is suspended",
                f"process {each.pid} is in state {each.state} (stopped by a signal or a debugger)",
                remedy=f"kill -CONT {each.pid}, which sends SIGCONT, and find out who suspended it",
            )


def _ask_denials(one: _One) -> Iterator[Cause]:
    log = seen(one.evidence.log)
    found = [
        subject
        for subject in sorted(log.of(refusals.BOT).unsaid)
        if any(subjects.matches(own, subject) for own in one.plugin.subscriptions)
    ]
    if found:
        yield one.cause(
            "publish_denied",
            "the server does not let others publish what it listens to",
            *(f"the log of nats-server: Publish Violation, Subject {subject}" for subject in found),
            remedy=refusals.remedy(refusals.BOT, Refused(unsaid=frozenset(found)), one.evidence.bot.described)
            if log.clients is not None
            else "let the bot's user publish it: permissions of authorization in nats_server_config",
            # it may have been refused to somebody else
            confidence=Confidence.CERTAIN if log.user or log.clients is not None else Confidence.POSSIBLE,
        )


def _ask_refusals(one: _One) -> Iterator[Cause]:
    log, name = seen(one.evidence.log), one.plugin.name
    refused = log.of(name)
    if log.clients is not None and refused != Refused():
        yield one.cause(
            "plugin_refused",
            "the server does not let it do what is not declared of it",
            *(f"the log of nats-server: {line}" for line in refusals.lines(name, refused)),
            remedy=refusals.remedy(name, refused, one.evidence.bot.described),
        )


def _ask_answer(one: _One) -> Iterator[Cause]:
    trips, subject = one.evidence.trips, one.evidence.probed
    if trips is None or not any(subjects.matches(own, subject) for own in one.plugin.subscriptions):
        return
    log = one.evidence.bot.described.plugin_log(one.plugin.name)
    errors = [line for line in one.plugin.added if _EXCEPTION.match(line)]
    if errors:
        yield one.cause(
            "plugin_fails",
            "it receives a message, and fails at it",
            f"{log}: {errors[-1]}",
            remedy="correct what its log says; most often it is the data that it works with",
            confidence=Confidence.LIKELY,
        )
    elif trips.stopped in (round_trip.SILENCE, round_trip.NOBODY):
        yield one.cause(
            "plugin_silent",
            "it listens, and does not answer",
            f"a request on {subject}: {trips.stopped}" + (f", {trips.cause}" if trips.cause else ""),
            remedy=f"look at its log ({log}), then {one.evidence.bot.described.restart}",
            confidence=Confidence.LIKELY,
        )
    elif trips.stopped:
        raise NotSeenError(
            f"whether {subject} is answered", trips.cause or trips.stopped, "try the bot's Python by hand"
        )


def _ask_publishers(one: _One) -> Iterator[Cause]:
    described = one.evidence.bot.described
    if described.published is None:
        return
    published = [subjects.resolve(each, described.prefix) for each in described.published]
    for subject in one.plugin.subscriptions:
        if not any(subjects.overlaps(each, subject) for each in published):
            yield one.cause(
                "nobody_publishes",
                "it listens to what nobody is described to publish",
                f"{subject} is among the publishes of no plugin, nor of the bot",
                remedy="let somebody publish it, or correct the subscription: playbooks/contract.yml shows both sides",
                confidence=Confidence.POSSIBLE,
            )


def _chain(*asked: Callable[[_One], Iterable[Cause]]) -> tuple[Question[_One], ...]:
    """Make questions of which each is asked where the one before it finds nothing."""
    chain: tuple[Question[_One], ...] = ()
    for ask in reversed(asked):
        chain = (Question("", ask, chain),)
    return chain


_AT_REST = _chain(_ask_file)
_LIVE = _chain(_ask_file, _ask_held, _ask_process, _ask_denials, _ask_refusals, _ask_answer, _ask_publishers)
