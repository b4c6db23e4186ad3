# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a run: one HTML page that needs nothing else. This runs on the controller alone.

Whatever comes from users and hosts is escaped by the template (report.html.j2); only the picture of the bus is markup.
"""

from __future__ import annotations

import math
import typing as t
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import jinja2
from ansible import release as ansible_release

from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file
from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Severity
from ansible_collections.rosey.nats.plugins.plugin_utils import contract, permissions, picture, picture_svg
from ansible_collections.rosey.nats.plugins.plugin_utils.run_record import (
    Ending,
    Event,
    Kind,
    Phase,
    Run,
    Status,
    Tone,
)

_TEMPLATE = Path(__file__).with_name("report.html.j2")
_SHORTEST_TRIP = 0.1
_LEAST_LIMIT = 10.0
# Of the axis, so that what stands at its ends is seen whole.
_LEFT, _RIGHT = 2.0, 98.0
_MINUTE = 60
_LONGEST_NAME = 24
_REPEATING = ("ansible.builtin.assert", "ansible.builtin.fail")

_TONES: Mapping[str, Tone] = {
    str(Severity.ERROR): Tone.BAD,
    str(Severity.WARNING): Tone.WARNING,
    "critical": Tone.BAD,
    "ok": Tone.GOOD,
    str(Status.CHANGED): Tone.GOOD,
    str(Status.FAILED): Tone.BAD,
    str(Status.UNREACHABLE): Tone.BAD,
    str(Status.IGNORED): Tone.WARNING,
    "unknown": Tone.WARNING,
    "certain": Tone.BAD,
    "likely": Tone.BAD,
    "possible": Tone.WARNING,
}


def tone(word: t.Any) -> Tone:
    """Tell how good or bad a word is with which something is judged."""
    return _TONES.get(str(word), Tone.QUIET)


def write(run: Run, path: Path) -> None:
    """Write the report of a run, for this user alone; ReleaseError where that can't be done."""
    atomic_file.put(path, render(run))


@dataclass(frozen=True)
class Concern:
    """Something that asks for attention."""

    tone: Tone
    who: str
    what: str
    said: str
    remedy: str = ""


@dataclass(frozen=True)
class Tile:
    """A figure of the whole run."""

    label: str
    figure: str
    note: str = ""


@dataclass(frozen=True)
class Step:
    """A step on the way of a host. turns: whether the way back begins after it."""

    label: str
    tone: Tone
    turns: bool = False


@dataclass(frozen=True)
class Trips:
    """The round trips of a host, and where they stand on the axis, in percent of it."""

    host: str
    p50: float
    p99: float
    limit: float
    count: int
    at_p50: float
    at_p99: float
    at_limit: float

    @property
    def tone(self) -> Tone:
        """How good or bad they are."""
        return Tone.GOOD if self.p99 <= self.limit else Tone.BAD


@dataclass(frozen=True)
class Bus:
    """The bus as some hosts have it.

    picture: SVG, in which names are escaped. clients: below HEADINGS of permissions what each may do, where each has a
    credential of its own. warnings: of these.
    """

    hosts: tuple[str, ...]
    environment: str
    title: str
    picture: str
    findings: tuple[contract.Finding, ...]
    clients: tuple[tuple[list[str], ...], ...] = ()
    warnings: tuple[str, ...] = ()


def render(run: Run) -> str:
    """Give the page."""
    loader = jinja2.FileSystemLoader(_TEMPLATE.parent)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.ChainableUndefined
    )
    environment.filters |= {"duration": duration, "heading": heading, "lines": lines, "rows": rows, "tone": tone}
    outcomes = {host: run.outcome(host) for host in run.hosts}
    phases = {host: run.phases(host) for host in run.hosts}
    trips = round_trips(run)
    drawn = buses(run)
    return environment.get_template(_TEMPLATE.name).render(
        run=run,
        worst=run.worst(),
        outcomes=outcomes,
        counts=Counter(outcomes.values()).most_common(),
        sentences={host: sentence(run, host) for host in run.hosts},
        phases=phases,
        steps={host: steps(phases[host]) for host in run.hosts},
        tiles=tiles(run, trips),
        concerns=concerns(run, drawn),
        trips=trips,
        ticks=ticks(trips),
        buses=drawn,
        headings=permissions.HEADINGS,
        environments=list(dict.fromkeys(bus.environment for bus in drawn)),
        ended=run.started + timedelta(seconds=run.seconds),
        is_late=run.ending is not Ending.WHOLE,
        core=ansible_release.__version__,
        Kind=Kind,
        Tone=Tone,
    )


def sentence(run: Run, host: str) -> str:
    """Tell in a sentence what came of the run for a host."""
    words = run.outcome(host).value.sentence.format(release=run.back_to(host))
    return f"{host} {words}."


def duration(seconds: float) -> str:
    """Write a duration for a person."""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    return f"{minutes} min {rest} s"


def heading(task: str) -> str:
    """Give the name of a task without the step that it is of."""
    return task.rpartition(" | ")[2]


def lines(message: t.Any) -> list[str]:
    """Give what a task has said, line by line."""
    said = message if isinstance(message, list) else [message]
    return [line for each in said for line in str(each).splitlines()]


def rows(message: t.Any) -> list[tuple[str, str]]:
    """Give several such lines as names and what stands for them, none where one of them has no name."""
    pairs = [line.partition(": ") for line in lines(message)]
    named = len(pairs) > 1 and all(colon and len(name) <= _LONGEST_NAME for name, colon, _value in pairs)
    return [(name, value) for name, _colon, value in pairs] if named else []


def steps(phases: Iterable[Phase]) -> list[Step]:
    """Give the way of a host in a few words each."""
    way: list[Step] = []
    for phase in phases:
        if way and phase.back_to:
            way[-1] = replace(way[-1], turns=True)
        for event in phase.events:
            step = _failed_step(event) if event.failed else _step(event)
            if step and step not in way[-1:]:
                way.append(step)
    return way


def _step(event: Event) -> Step | None:
    facts = event.facts
    label, judged = "", Tone.QUIET
    match event.kind:
        case Kind.PLAN:
            action = "not installed" if facts.get("installed") is False else facts.get("action")
            label = f"{event.part}: {action}" if action else ""
        case Kind.CHANGE if changes := facts.get("changes"):
            label = _counted(changes, "file")
        case Kind.PROOF:
            label, judged = f"{event.part} proven", Tone.GOOD
        case Kind.LEASE if facts.get("release"):
            label, judged = "recorded", Tone.GOOD
        case Kind.CHECKS:
            tones = [tone(check.get("status")) for check in facts.get("checks") or ()]
            label, judged = f"{tones.count(Tone.GOOD)} of {_counted(tones, 'check')} passed", _worst(tones)
        case Kind.DIAGNOSIS:
            causes = facts.get("causes") or ()
            label = f"{_counted(causes, 'cause')} found"
            judged = _worst(tone(cause.get("confidence")) for cause in causes)
    return Step(label, judged) if label else None


def _failed_step(event: Event) -> Step | None:
    if event.is_closing:
        return None
    if event.status is Status.UNREACHABLE:
        return Step("not reached", Tone.BAD)
    if event.kind in _FAILED:
        return Step(_FAILED[event.kind].format(part=event.part), Tone.BAD)
    return Step(f"stopped at: {heading(event.task)}", Tone.BAD)


_FAILED: Mapping[Kind, str] = {
    Kind.PLAN: "{part}: refused",
    Kind.CHANGE: "files not written",
    Kind.PROOF: "{part} not proven",
}


def _counted(things: Sequence[t.Any], noun: str) -> str:
    return picture.count(len(things), noun)


def _worst(judged: Iterable[Tone]) -> Tone:
    return max(judged, key=list(Tone).index, default=Tone.GOOD)


def concerns(run: Run, drawn: Iterable[Bus]) -> list[Concern]:
    """Give what asks for attention, errors first, each once."""
    found = [*_concerns_of_events(run.events), *_concerns_of_buses(drawn)]
    return sorted(dict.fromkeys(found), key=lambda concern: concern.tone is not Tone.BAD)


def _concerns_of_events(events: Iterable[Event]) -> Iterator[Concern]:
    critical_hosts = set()
    for event in events:
        of_event = list(_concerns_of_facts(event))
        # The last step of a host repeats what is wrong with it.
        repeats = event.action in _REPEATING and event.host in critical_hosts
        if event.message and not repeats and not any(concern.tone is Tone.BAD for concern in of_event):
            of_event.append(Concern(tone(event.status), event.host, heading(event.task), event.message))
        yield from of_event
        critical_hosts |= {event.host for concern in of_event if concern.tone is Tone.BAD}


def _concerns_of_facts(event: Event) -> Iterator[Concern]:
    facts = event.facts
    for finding in facts.get("findings") or ():
        said = f"expected {finding.get('expected')}, found {finding.get('found')}"
        yield Concern(
            tone(finding.get("severity")), event.host, str(finding.get("what")), said, str(finding.get("remedy", ""))
        )
    for danger in facts.get("dangers") or ():
        yield Concern(Tone.WARNING, event.host, "accepted", str(danger))
    for check in facts.get("checks") or ():
        judged = tone(check.get("status"))
        if judged in {Tone.BAD, Tone.WARNING}:
            yield Concern(
                judged, event.host, str(check.get("name")), str(check.get("summary")), str(check.get("remedy") or "")
            )
    for cause in facts.get("causes") or ():
        if cause.get("under"):
            continue
        yield Concern(
            tone(cause.get("confidence")),
            event.host,
            str(cause.get("cause")),
            "\n".join(str(line) for line in cause.get("evidence") or ()),
            str(cause.get("remedy") or ""),
        )


def _concerns_of_buses(drawn: Iterable[Bus]) -> Iterator[Concern]:
    for bus in drawn:
        for finding in bus.findings:
            said = f"{finding.subject} {finding.problem}" if finding.subject else finding.problem
            yield Concern(tone(finding.severity), bus.environment, finding.plugin, said, finding.remedy)
        for warning in bus.warnings:
            yield Concern(Tone.WARNING, bus.environment, "permissions", warning)


def tiles(run: Run, trips: Sequence[Trips]) -> list[Tile]:
    """Give the figures of the whole run, as far as there are any."""
    last = {(event.host, event.kind, event.part): event for event in run.events}
    facts = [event.facts for event in last.values()]
    well = sum(run.outcome(host).value.tone is Tone.GOOD for host in run.hosts)
    drawn_tiles = [
        Tile("Hosts", str(len(run.hosts)), f"{well} well") if len(run.hosts) > 1 else None,
        _servers_tile([each["server"] for each in facts if each.get("server")]),
        _proof_tile(facts),
        _subscriptions_tile([each["subscriptions"] for each in facts if each.get("subscriptions")]),
        _trips_tile(trips),
        _checks_tile([check for each in facts for check in each.get("checks") or ()]),
        _release_tile(run, facts),
        Tile("Took", duration(run.seconds)),
    ]
    return [tile for tile in drawn_tiles if tile]


def _servers_tile(servers: Sequence[Mapping[str, t.Any]]) -> Tile | None:
    versions = sorted({str(server.get("version")) for server in servers})
    names = ", ".join(sorted({str(server.get("name")) for server in servers}))
    return Tile("nats-server", ", ".join(versions), names) if versions else None


def _proof_tile(facts: Iterable[Mapping[str, t.Any]]) -> Tile | None:
    proofs = [each for each in facts if each.get("meant")]
    trusted = sum(len(each.get("trusted") or ()) for each in proofs)
    figure = " of ".join(str(sum(each[key] for each in proofs)) for key in ("proven", "meant"))
    return Tile("Options proven", figure, f"{trusted} taken on trust" if trusted else "") if proofs else None


def _subscriptions_tile(subscriptions: Sequence[Mapping[str, t.Any]]) -> Tile | None:
    figure = " of ".join(str(sum(each[key] for each in subscriptions)) for key in ("held", "declared"))
    return Tile("Subscriptions held", figure) if subscriptions else None


def _trips_tile(trips: Sequence[Trips]) -> Tile | None:
    if not trips:
        return None
    slowest = max(trips, key=lambda each: each.p99 / each.limit)
    return Tile("Round trip, p99", f"{slowest.p99:.1f} ms", f"of {slowest.limit:g} ms at most")


def _checks_tile(checks: Sequence[Mapping[str, t.Any]]) -> Tile | None:
    passed = sum(tone(check.get("status")) is Tone.GOOD for check in checks)
    return Tile("Checks passed", f"{passed} of {len(checks)}") if checks else None


def _release_tile(run: Run, facts: Sequence[Mapping[str, t.Any]]) -> Tile | None:
    """Give the release that all hosts have by now: one that they went back to, or that was recorded, or was there."""
    returned = [release for host in run.hosts if (release := run.back_to(host))]
    of_hosts = [each["release"] for each in facts if each.get("release")]
    recorded = [release for release in of_hosts if isinstance(release, str)]
    present = [release.get("current") for release in of_hosts if isinstance(release, Mapping)]
    releases = {str(release) for release in returned + recorded or present if release}
    note = "gone back to" if returned else "" if recorded else "as it was"
    return Tile("Release", releases.pop(), note) if len(releases) == 1 else None


def round_trips(run: Run) -> list[Trips]:
    """Give the last round trips of each host, on one axis, which is logarithmic."""
    measured = {}
    for event in run.events:
        trip = event.facts.get("round_trip") or {}
        if trip.get("p50_milliseconds") is not None and event.facts.get("limit_milliseconds"):
            limit = event.facts["limit_milliseconds"]
            measured[event.host] = (trip["p50_milliseconds"], trip["p99_milliseconds"], limit, trip["trips"])
    if not measured:
        return []
    low, high = _axis((p50, p99, limit) for p50, p99, limit, _count in measured.values())
    return [
        Trips(host, p50, p99, limit, count, *(_place(value, low, high) for value in (p50, p99, limit)))
        for host, (p50, p99, limit, count) in measured.items()
    ]


def _axis(figures: Iterable[tuple[float, ...]]) -> tuple[int, int]:
    """Give the powers of ten between which all figures lie."""
    flat = [figure for each in figures for figure in each]
    low = math.floor(math.log10(max(min(flat), _SHORTEST_TRIP / 100)))
    return min(low, -1), math.ceil(math.log10(max(*flat, _LEAST_LIMIT)))


def _place(value: float, low: int, high: int) -> float:
    position = (math.log10(max(value, 10.0**low)) - low) / (high - low)
    return round(_LEFT + position * (_RIGHT - _LEFT), 2)


def ticks(trips: Sequence[Trips]) -> list[tuple[str, float]]:
    """Give the marks of the axis, each with its place."""
    if not trips:
        return []
    low, high = _axis((each.p50, each.p99, each.limit) for each in trips)
    return [(f"{10.0**power:g}", _place(10.0**power, low, high)) for power in range(low, high + 1)]


def buses(run: Run) -> list[Bus]:
    """Give each bus that hosts of the run have, drawn."""
    hosts_of: list[tuple[Mapping[str, t.Any], list[str]]] = []
    for event in run.events:
        if event.kind is not Kind.BUS:
            continue
        bus = event.facts["bus"]
        names = next((names for known, names in hosts_of if known == bus), None)
        if names is None:
            names = []
            hosts_of.append((bus, names))
        if event.host not in names:
            names.append(event.host)
    return [_bus(bus, tuple(names)) for bus, names in hosts_of]


def _bus(bus: Mapping[str, t.Any], hosts: tuple[str, ...]) -> Bus:
    drawn = picture.describe(bus["plugins"], bus["prefix"], bus["bot"])
    made = Bus(hosts, bus["environment"], drawn.title, picture_svg.draw(drawn), drawn.findings)
    if not bus["has_clients"]:
        return made
    clients = permissions.compiled(bus["plugins"], bus["bot"], bus["prefix"], bus["questions"])
    return replace(
        made,
        clients=tuple(map(permissions.cells, clients)),
        warnings=tuple(permissions.warnings(clients, bus["prefix"])),
    )
