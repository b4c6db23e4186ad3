# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happened to each host in a run of ansible-playbook, and what came of it. This runs on the controller alone.

Of a task's result only what is named here is taken, so that no argument of a module and no secret comes along.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, StrEnum

from ansible_collections.rosey.nats.plugins.plugin_utils import failure

Result = Mapping[str, t.Any]

BUS_FACT = "__rosey_reported_bus"
"""The fact with which the playbooks describe the bus."""


class Kind(StrEnum):
    """What a noted task has to tell."""

    PLAN = "plan"
    CHANGE = "change"
    PROOF = "proof"
    LEASE = "lease"
    RELEASES = "releases"
    CHECKS = "checks"
    DIAGNOSIS = "diagnosis"
    BUS = "bus"
    MESSAGE = "message"
    STEP = "step"
    """Any other task that changed something, failed or was the end of a host."""


class Status(StrEnum):
    """How a task ended."""

    OK = "ok"
    CHANGED = "changed"
    FAILED = "failed"
    IGNORED = "ignored"
    UNREACHABLE = "unreachable"


class Ending(StrEnum):
    """How the run ended, as far as is known."""

    OPEN = "open"
    CUT_OFF = "cut off"
    WHOLE = "whole"


@dataclass(frozen=True)
class _Taken:
    """What is taken of the result of an action. part: of what it tells."""

    kind: Kind
    part: str
    keys: tuple[str, ...]


_PLAN_KEYS = ("action", "reasons", "dangers", "installed", "service", "unmanaged", "release")
_PROOF_KEYS = ("summary", "findings", "meant", "proven", "trusted", "server", "subscriptions", "round_trip")
_TAKEN: Mapping[str, _Taken] = {
    "rosey.nats.nats_plan": _Taken(Kind.PLAN, "server", _PLAN_KEYS),
    "rosey.nats.bot_plan": _Taken(Kind.PLAN, "bot", _PLAN_KEYS),
    "rosey.nats.config_tree": _Taken(Kind.CHANGE, "files", ("changes", "touched")),
    "rosey.nats.nats_gate": _Taken(Kind.PROOF, "server", _PROOF_KEYS),
    "rosey.nats.bot_gate": _Taken(Kind.PROOF, "bot", _PROOF_KEYS),
    "rosey.nats.nats_release": _Taken(Kind.LEASE, "release", ("release",)),
    "rosey.nats.nats_release_info": _Taken(Kind.RELEASES, "releases", ("releases", "damaged")),
    "rosey.nats.bus_health_info": _Taken(Kind.CHECKS, "bus", ("checks",)),
    "rosey.nats.diagnosis_info": _Taken(Kind.DIAGNOSIS, "bus", ("causes", "healthy")),
    "ansible.builtin.debug": _Taken(Kind.MESSAGE, "message", ("msg",)),
}
_BUS_PLAN = "rosey.nats.bus_plan"
_STEP = _Taken(Kind.STEP, "step", ())
# Of these a host may be changed also where they fail.
_ACTS = frozenset(
    {
        "ansible.builtin.systemd_service",
        "community.docker.docker_container",
        "rosey.nats.bot_process",
        "rosey.nats.nats_process",
        "rosey.nats.nats_service",
    }
)


@dataclass(frozen=True)
class Event:
    """What a task did at a host. seconds: since the begin of the run. facts: what was taken of its result."""

    host: str
    play: str
    task: str
    action: str
    kind: Kind
    part: str
    status: Status
    seconds: float
    facts: Result
    message: str = ""

    @property
    def failed(self) -> bool:
        """Whether the host could not go on from here as it was meant to."""
        return self.status in {Status.FAILED, Status.UNREACHABLE}

    @property
    def may_have_changed(self) -> bool:
        """Whether the host may be otherwise since, also where it failed."""
        if self.kind is Kind.CHANGE and self.failed:
            return bool(self.facts.get("touched", True))
        return self.status is Status.CHANGED or (self.failed and self.action in _ACTS)

    @property
    def is_closing(self) -> bool:
        """Whether it only tells once more what has failed, as the last step of a host that goes back does."""
        return self.action == "ansible.builtin.fail"


@dataclass(frozen=True)
class Phase:
    """What belongs together of a host: a play, or the way back in it. back_to: the release that it leads to."""

    title: str
    events: tuple[Event, ...]
    back_to: str = ""

    def of(self, kind: Kind) -> list[Event]:
        """Give the events of one kind."""
        return [event for event in self.events if event.kind is kind]


class Tone(StrEnum):
    """How good or bad something is."""

    GOOD = "good"
    QUIET = "quiet"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True)
class Description:
    """An outcome in words: a heading, a label of a word or two, and what follows a host's name in a sentence."""

    title: str
    label: str
    sentence: str
    tone: Tone


class Outcome(Enum):
    """What came of a run for a host, the worst first. {release} stands for the one that it went back to."""

    STUCK = Description(
        "Failed, and could not go back", "stuck", "failed and could not go back; look at it now", Tone.BAD
    )
    CHANGED = Description(
        "Failed after a change", "left changed", "failed after it was changed, and is left as it is", Tone.BAD
    )
    UNREACHABLE = Description("Could not be reached", "unreachable", "could not be reached", Tone.BAD)
    CUT_OFF = Description("The run was cut off", "cut off", "was at work when the run was cut off", Tone.BAD)
    OPEN = Description("The run has not ended", "at work", "is at work, or its run was killed", Tone.WARNING)
    REFUSED = Description("Stopped before any change", "not changed", "was not changed", Tone.BAD)
    UNHEALTHY = Description("Not healthy", "not healthy", "did not pass every check", Tone.BAD)
    CAUSES = Description("Causes were found", "causes found", "has something that asks for attention", Tone.WARNING)
    WARNED = Description("Healthy, with warnings", "warnings", "has checks that ask for attention", Tone.WARNING)
    UNRECORDED = Description(
        "Proven, but not recorded", "not recorded", "runs what was asked for, but has no record of it", Tone.WARNING
    )
    RETURNED_PARTLY = Description(
        "Failed, and went back only in part",
        "back in part",
        "is back at release {release} only in part, since its bot is not there",
        Tone.BAD,
    )
    RETURNED_UNPROVEN = Description(
        "Failed, and went back", "went back", "went back to release {release}, without proof of all of it", Tone.WARNING
    )
    RETURNED = Description(
        "Failed, and went back", "went back", "is back at release {release}, as its gate has proven", Tone.WARNING
    )
    STOPPED = Description(
        "Stopped for another host", "stopped", "is where it was when the run stopped for another host", Tone.WARNING
    )
    NOT_BEGUN = Description("Nothing was begun", "not begun", "was not begun", Tone.QUIET)
    PREDICTED = Description("A dry run", "dry run", "was only looked at, since this was a dry run", Tone.QUIET)
    DONE = Description("Done", "done", "did what was asked; nothing was proven", Tone.QUIET)
    PARTLY = Description(
        "Done, and proven in part", "part proven", "did what was asked; not all of it was proven", Tone.QUIET
    )
    HEALTHY = Description("Healthy", "healthy", "passed every check", Tone.GOOD)
    NO_CAUSE = Description("No cause was found", "no cause", "has nothing that asks for attention", Tone.GOOD)
    PROVEN = Description("Changed, and proven", "proven", "was changed as described, and has proven it", Tone.GOOD)
    UNCHANGED = Description("Unchanged, and proven", "unchanged", "has proven that it is as it shall be", Tone.GOOD)


_WORST_FIRST = tuple(Outcome)


@dataclass
class Run:
    """A run. hosts: those of its plays. failed: of the hosts that had tasks, those that did not end well."""

    started: datetime
    playbooks: list[str] = field(default_factory=list)
    check_mode: bool = False
    ending: Ending = Ending.OPEN
    seconds: float = 0.0
    hosts: list[str] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)

    @classmethod
    def begin(cls, *, check_mode: bool = False) -> t.Self:
        """Begin the record of a run, now."""
        return cls(datetime.now(UTC), check_mode=check_mode)

    def elapsed(self) -> float:
        """Give the seconds since the begin."""
        return (datetime.now(UTC) - self.started).total_seconds()

    def add_play(self, playbook: str, hosts: Sequence[str]) -> None:
        """Note a play, with the playbook that it is of and its hosts, and that the run goes on."""
        self.ending = Ending.OPEN
        self.playbooks = list(dict.fromkeys([*self.playbooks, playbook]))
        self.hosts = list(dict.fromkeys([*self.hosts, *hosts]))

    def note(self, host: str, status: Status, result: Result, *, play: str, task: str, action: str) -> None:
        """Note what a task did at a host, where it is worth telling."""
        if host not in self.hosts:
            self.hosts.append(host)
        for each, of_it in self._told(host, status, result, action):
            self._add(host, status, of_it, each, (play, task, action))

    def _told(self, host: str, status: Status, result: Result, action: str) -> Iterator[tuple[_Taken, Result]]:
        """Give what a result tells; that of the plan of a whole deployment tells of several things."""
        if action != _BUS_PLAN:
            yield _TAKEN.get(action, _STEP), result
            return
        asked = _mapping(_mapping(result.get("invocation")).get("module_args"))
        going_to = result.get("going_to") or asked.get("release")
        if going_to and self._is_new_way(host, str(going_to)):
            yield _TAKEN["rosey.nats.nats_release_info"], {"selected": {"id": going_to}}
        if status is not Status.OK:
            yield _Taken(Kind.PLAN, "bus", ()), result
            return
        limit = _mapping(_mapping(result.get("gates")).get("bot"))
        for part in ("server", "bot"):
            if planned := result.get(part):
                yield _Taken(Kind.PLAN, part, _PLAN_KEYS), planned
        for part in ("server", "bot"):
            if proven := _mapping(result.get("proofs")).get(part):
                yield _Taken(Kind.PROOF, part, _PROOF_KEYS), {**proven, "invocation": {"module_args": limit}}

    def _is_new_way(self, host: str, release: str) -> bool:
        """Say whether a host is only now on its way to a release; it may be looked at more than once on it."""
        for event in reversed([event for event in self.events if event.host == host]):
            if event.failed:
                return True
            if event.kind is Kind.RELEASES and _mapping(event.facts.get("selected")).get("id") == release:
                return False
        return True

    def _add(self, host: str, status: Status, result: Result, taken: _Taken, place: tuple[str, str, str]) -> None:
        facts = {key: result[key] for key in taken.keys if key in result}
        if taken.kind is Kind.PROOF:
            facts["limit_milliseconds"] = _limit(result)
        if taken.kind is Kind.RELEASES and isinstance(selected := result.get("selected"), Mapping):
            facts["selected"] = {"id": selected.get("id")}
        bus = _mapping(result.get("ansible_facts")).get(BUS_FACT)
        if bus is not None:
            taken, facts = _Taken(Kind.BUS, "bus", ()), {"bus": bus}
        if taken is _STEP and status is Status.OK:
            return
        message = _message(result) if status not in {Status.OK, Status.CHANGED} else ""
        seconds = self.elapsed()
        play, task, action = place
        self.events.append(Event(host, play, task, action, taken.kind, taken.part, status, seconds, facts, message))

    def phases(self, host: str) -> list[Phase]:
        """Give what happened at a host, play by play; the way back after a failure is a phase of its own."""
        phases: list[tuple[str, list[Event], str]] = []
        play: str | None = None
        for event in self.events:
            if event.host != host:
                continue
            if event.play != play:
                play = event.play
                phases.append((play, [], ""))
            # What a host goes back to of itself is looked up after it was planned what it should become.
            if event.kind is Kind.RELEASES and (selected := _mapping(event.facts.get("selected")).get("id")):
                planned = any(earlier.kind is Kind.PLAN for earlier in phases[-1][1])
                if planned and not phases[-1][2]:
                    phases.append(("The way back", [], str(selected)))
            phases[-1][1].append(event)
        return [Phase(title, tuple(events), back_to) for title, events, back_to in phases]

    def outcome(self, host: str) -> Outcome:
        """Tell what came of the run for a host."""
        return next(outcome for outcome, holds in _outcomes(self, host) if holds)

    def worst(self) -> Outcome:
        """Tell the worst that came of the run for any host."""
        outcomes = {self.outcome(host) for host in self.hosts}
        return next((outcome for outcome in _WORST_FIRST if outcome in outcomes), Outcome.NOT_BEGUN)

    def back_to(self, host: str) -> str:
        """Give the release that a host went back to of itself, empty for none."""
        return next((phase.back_to for phase in self.phases(host) if phase.back_to), "")


def _outcomes(run: Run, host: str) -> Iterator[tuple[Outcome, bool]]:
    """Give outcomes with whether they hold, the first that does being the one."""
    events = [event for event in run.events if event.host == host]
    phases = run.phases(host)
    proofs = [event for event in events if event.kind is Kind.PROOF]
    back = next((phase for phase in phases if phase.back_to), None)
    changed = any(event.may_have_changed and event.kind is not Kind.LEASE for event in events)
    yield Outcome.UNREACHABLE, any(event.status is Status.UNREACHABLE for event in events)
    if host in run.failed:
        if back:
            ways = [event for event in back.events if not event.is_closing]
            stuck = any(event.failed for event in ways) or not back.of(Kind.PLAN)
            yield Outcome.STUCK, stuck
            yield Outcome.RETURNED_PARTLY, any(_has_no_bot(event) for event in ways)
            yield Outcome.RETURNED, bool(ways) and not _unproven(ways)
            yield Outcome.RETURNED_UNPROVEN, True
        lost = any(event.failed and event.kind is Kind.LEASE for event in events)
        yield Outcome.UNRECORDED, lost and bool(proofs) and not any(event.failed for event in proofs)
        yield Outcome.UNHEALTHY, any(event.kind is Kind.CHECKS for event in events)
        yield Outcome.CAUSES, any(event.kind is Kind.DIAGNOSIS for event in events)
        yield Outcome.CHANGED, changed and not run.check_mode
        yield Outcome.REFUSED, True
    yield Outcome.CUT_OFF, run.ending is Ending.CUT_OFF
    yield Outcome.OPEN, run.ending is Ending.OPEN
    yield Outcome.NOT_BEGUN, not events
    found = [event for event in events if event.kind is Kind.DIAGNOSIS]
    yield Outcome.CAUSES, any(event.facts.get("causes") for event in found)
    yield Outcome.NO_CAUSE, bool(found)
    looks = [event.facts.get("checks") or () for event in events if event.kind is Kind.CHECKS]
    yield Outcome.WARNED, any(check.get("status") != "ok" for checks in looks for check in checks)
    yield Outcome.HEALTHY, bool(looks)
    troubled = run.failed or any(event.status is Status.UNREACHABLE for event in run.events)
    yield Outcome.STOPPED, not proofs and bool(troubled)
    yield Outcome.PREDICTED, run.check_mode
    yield Outcome.DONE, not proofs
    yield Outcome.PARTLY, bool(_unproven(events))
    yield Outcome.PROVEN, changed
    yield Outcome.UNCHANGED, True


def _has_no_bot(event: Event) -> bool:
    """Tell whether a plan has found no bot, or none that anything runs."""
    exists = _mapping(event.facts.get("service")).get("exists", True)
    return event.kind is Kind.PLAN and (event.facts.get("installed") is False or not exists)


def _unproven(events: Sequence[Event]) -> set[str]:
    """Name what was planned and not proven; of what is not installed there is nothing to prove."""
    planned = {event.part for event in events if event.kind is Kind.PLAN and event.facts.get("installed") is not False}
    return planned - {event.part for event in events if event.kind is Kind.PROOF and not event.failed}


def _limit(result: Result) -> float | None:
    """Give the milliseconds that 99 of 100 round trips could take, from what the gate was asked."""
    asked = _mapping(_mapping(result.get("invocation")).get("module_args"))
    limit = _mapping(asked.get("round_trip")).get("limit_milliseconds")
    return float(limit) if isinstance(limit, int | float) else None


def _message(result: Result) -> str:
    """Give what a task that did not end well has said; of a loop what each item said."""
    items = [item for item in result.get("results") or () if isinstance(item, Mapping) and item.get("failed")]
    return "\n".join(said for item in (*items, result) if (said := failure.reason(item)))


def _mapping(value: t.Any) -> Mapping[str, t.Any]:
    return value if isinstance(value, Mapping) else {}
