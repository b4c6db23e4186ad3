# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a picture of an environment's bus shows: who publishes and who listens to which subject, and what does not fit.

``picture_svg`` and ``picture_mermaid`` draw it. A disabled plugin is not in it. This runs on the controller alone.
"""

from __future__ import annotations

import json
import typing as t
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Severity
from ansible_collections.rosey.nats.plugins.module_utils._server import subjects
from ansible_collections.rosey.nats.plugins.plugin_utils import contract


@dataclass(frozen=True)
class Party:
    """The bot or a plugin. severity: of the worst that was found about it."""

    name: str
    severity: Severity | None

    @property
    def is_bot(self) -> bool:
        """Whether it is the bot."""
        return self.name == contract.BOT


@dataclass(frozen=True)
class Subject:
    """A subject that somebody uses.

    label: how it is written here, without the environment's prefix. home: the party beside which it stands. severity:
    of the worst that was found about it. route: whom it reaches, None where it has no place on this bus.
    """

    name: str
    label: str
    home: str
    severity: Severity | None
    route: contract.Route | None


@dataclass(frozen=True)
class Edge:
    """A party publishes a subject, or else listens to it. findings: the numbers of what was found about that."""

    party: str
    subject: str
    published: bool
    severity: Severity | None
    findings: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.party} {'publishes' if self.published else 'listens to'} {self.subject}"


@dataclass(frozen=True)
class Join:
    """What is sent on one subject is heard on the other, for one of the two has a wildcard. wide: that one."""

    wide: str
    narrow: str


@dataclass(frozen=True)
class Picture:
    """All that is drawn: the bot and then the plugins by name, the subjects by party, and the findings by number."""

    prefix: str
    disabled: int
    parties: tuple[Party, ...]
    subjects: tuple[Subject, ...]
    edges: tuple[Edge, ...]
    joins: tuple[Join, ...]
    findings: tuple[contract.Finding, ...]

    @property
    def title(self) -> str:
        """What the picture is of."""
        return f"The bus of {printable(self.prefix)}"

    @property
    def summary(self) -> str:
        """How much there is of everything."""
        plugins = count(len(self.parties) - 1, "plugin")
        off = f" ({self.disabled} more disabled)" if self.disabled else ""
        severities = [finding.severity for finding in self.findings]
        found = (count(severities.count(severity), severity) for severity in Severity)
        return ", ".join([f"{plugins}{off}", count(len(self.subjects), "subject"), *found])


def describe(described: Iterable[Mapping[str, t.Any]], prefix: str, bot: Mapping[str, t.Any]) -> Picture:
    """Describe the picture of the effective plugins of an environment and of the bot itself, see `contract.check`."""
    given = list(described)
    checked = contract.check(given, prefix, bot)
    names = sorted({plugin["name"] for plugin in given if plugin["enabled"]}, key=lambda name: (name.casefold(), name))
    parties = [contract.BOT, *names]
    places = {name: place for place, name in enumerate(parties)}
    numbers: dict[tuple[str, str | None], list[int]] = defaultdict(list)
    by_party: dict[str, list[int]] = defaultdict(list)
    by_subject: dict[str | None, list[int]] = defaultdict(list)
    for number, finding in enumerate(checked.findings, start=1):
        numbers[finding.plugin, finding.subject].append(number)
        by_party[finding.plugin].append(number)
        by_subject[finding.subject].append(number)

    def worst(found: Iterable[int]) -> Severity | None:
        return min((checked.findings[number - 1].severity for number in found), key=list(Severity).index, default=None)

    edges = [
        Edge(use.party, use.subject, use.published, worst(about), tuple(about))
        for use in dict.fromkeys(checked.uses)
        for about in [numbers[use.party, use.subject]]
    ]
    users: dict[str, set[str]] = defaultdict(set)
    for edge in edges:
        users[edge.subject].add(edge.party)
    routes = {route.subject: route for route in checked.routes}
    drawn = [
        Subject(
            name=subject,
            label=_label(subject, prefix),
            home=_home(subjects.relative(subject, prefix), using, places),
            severity=worst(by_subject[subject]),
            route=routes.get(subject),
        )
        for subject, using in users.items()
    ]
    drawn.sort(key=lambda subject: (places[subject.home], _rank(subject, prefix), subject.name))
    return Picture(
        prefix=prefix,
        disabled=sum(not plugin["enabled"] for plugin in given),
        parties=tuple(Party(name, worst(by_party[name])) for name in parties),
        subjects=tuple(drawn),
        edges=tuple(edges),
        joins=tuple(_joins([subject.name for subject in drawn if subject.route])),
        findings=checked.findings,
    )


def printable(text: str) -> str:
    """Write what can't be seen or changes how the rest is read as an escape; XML could not even hold all of it."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def _label(subject: str, prefix: str) -> str:
    if subjects.fault(subject):
        return printable(json.dumps(subject, ensure_ascii=False))
    return printable(subjects.relative(subject, prefix) or subject)


def _home(path: str | None, users: set[str], names: Container[str]) -> str:
    """Choose the party beside which a subject stands: whose name is in it, or who alone uses it, or else the bot."""
    match (path or "").split(subjects.SEPARATOR):
        case ["plugin", owner, _, *_] if owner in names:
            return owner
    return next(iter(users)) if len(users) == 1 else contract.BOT


def _rank(subject: Subject, prefix: str) -> int:
    """Order subjects by their root; those that belong to all roots come first, those that belong nowhere last."""
    if not subject.route:
        return len(subjects.ROOTS)
    root = (subjects.relative(subject.name, prefix) or "").partition(subjects.SEPARATOR)[0]
    return subjects.ROOTS.index(root) if root in subjects.ROOTS else -1


def _joins(names: list[str]) -> Iterator[Join]:
    """Join each subject to the narrowest that cover it, and to those that overlap it otherwise."""
    index = subjects.Index()
    for name in names:
        index.add(name, name)
    for name in names:
        overlapping = sorted(index.overlapping(name) - {name})
        covering = [wide for wide in overlapping if subjects.covers(wide, name)]
        for wide in covering:
            if not any(other != wide and subjects.covers(wide, other) for other in covering):
                yield Join(wide, name)
        for other in overlapping:
            if name < other and not subjects.covers(name, other) and other not in covering:
                yield Join(name, other)


def count(number: int, noun: str) -> str:
    """Say how many there are of something."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
