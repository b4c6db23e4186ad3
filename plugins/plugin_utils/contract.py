# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract of an environment's bus: whether what its plugins and its bot publish and listen to fits together.

A disabled plugin counts as absent. This runs on the controller alone.
"""

from __future__ import annotations

import difflib
import itertools
import json
import textwrap
import typing as t
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace

from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Severity
from ansible_collections.rosey.nats.plugins.module_utils._server import subjects
from ansible_collections.rosey.nats.plugins.plugin_utils import plugins, text_table

BOT = "the bot"
_CELL_WIDTH = 40
_HEADINGS = ("subject", "published by", "listened to by")
_NOBODY = "-"


@dataclass(frozen=True)
class Finding:
    """One thing that does not fit, each part as text for a person.

    plugin: who it is about, a plugin's name or BOT. subject: None where it is about none.
    """

    severity: Severity
    plugin: str
    subject: str | None
    problem: str
    remedy: str

    def __str__(self) -> str:
        subject = "" if self.subject is None else f"{json.dumps(self.subject, ensure_ascii=False)} "
        return f"{self.plugin}: {subject}{self.problem}; {self.remedy}"

    def as_result(self) -> dict[str, str | None]:
        """Give it as a filter returns it."""
        return {**asdict(self), "severity": str(self.severity)}


@dataclass(frozen=True)
class Route:
    """A subject that somebody uses, and who publishes and who listens to it or to one that overlaps it."""

    subject: str
    publishers: tuple[str, ...]
    listeners: tuple[str, ...]


@dataclass(frozen=True)
class Use:
    """One line of a declaration: a subject that a party publishes, or else listens to."""

    party: str
    subject: str
    published: bool

    @property
    def is_family(self) -> bool:
        """Whether it stands for whatever the bot may publish or listen to, as it comes."""
        return self.party == BOT and subjects.has_wildcard(self.subject)


@dataclass(frozen=True)
class Contract:
    """What was found, errors first, the routes by their subjects, and every use. A misplaced subject has no route."""

    findings: tuple[Finding, ...]
    routes: tuple[Route, ...]
    uses: tuple[Use, ...]

    def texts(self, severity: Severity) -> list[str]:
        """Give the findings of one severity as texts."""
        return [str(finding) for finding in self.findings if finding.severity is severity]


_Fault = tuple[str, str]
"""What is wrong, as the rest of a sentence about the subject, and the remedy."""


def check(
    described: Iterable[Mapping[str, t.Any]],
    prefix: str,
    bot: Mapping[str, t.Any],
    prefixes: Mapping[str, str] = subjects.PREFIXES,
) -> Contract:
    """Check the effective plugins of an environment against each other and against the traffic of the bot itself.

    prefix: that of the environment. bot: its ``subscriptions`` and ``publishes``, written as those of a plugin; it may
    publish a whole family of subjects, written with a wildcard. Raises PluginsError where one of them is no list.
    prefixes: of all environments, by their names.
    """
    present = [plugin for plugin in described if plugin["enabled"]]
    names = [plugin["name"] for plugin in present]
    uses = [
        use
        for name, plugin in (*zip(names, present, strict=True), (BOT, _bot(bot, prefix)))
        for use in _uses(name, plugin)
    ]
    misplaced = {use: fault for use in uses if (fault := _misplacement(use.subject, prefix, prefixes))}
    misused = {use: fault for use in uses if (fault := _misuse(use, prefix))}
    routes = _routes(use for use in uses if use not in misplaced)
    findings = [*_twins(names)]
    for use in uses:
        faults = [faulty[use] for faulty in (misplaced, misused) if use in faulty]
        findings += [Finding(Severity.ERROR, use.party, use.subject, *fault) for fault in faults]
        if not faults:
            doubts = _doubts(use, routes[use.subject])
            findings += [Finding(Severity.WARNING, use.party, use.subject, *doubt) for doubt in doubts]
    findings.sort(key=lambda finding: finding.severity is Severity.WARNING)
    return Contract(tuple(findings), tuple(routes[subject] for subject in sorted(routes)), tuple(uses))


def table(routes: Iterable[Route]) -> list[str]:
    """Lay out who publishes and who listens, a subject a line or more, for a person."""
    return text_table.laid_out(
        _HEADINGS, [([route.subject], _wrapped(route.publishers), _wrapped(route.listeners)) for route in routes]
    )


def _bot(bot: Mapping[str, t.Any], prefix: str) -> Mapping[str, t.Any]:
    """Give the traffic of the bot as that of a plugin."""
    try:
        (own,) = plugins.effective([{**bot, "name": "bot"}], {}, prefix)
    except plugins.PluginsError as error:
        raise plugins.PluginsError(replace(problem, where=BOT) for problem in error.problems) from None
    return own


def _uses(party: str, plugin: Mapping[str, t.Any]) -> dict[Use, None]:
    """Give what a party publishes and listens to, in order, each once."""
    published = ((subject, True) for subject in plugin["publishes"])
    heard = ((subject, False) for subject in plugin["subscriptions"])
    return dict.fromkeys(Use(party, *line) for line in itertools.chain(heard, published))


def _misplacement(subject: str, prefix: str, prefixes: Mapping[str, str]) -> _Fault | None:
    """Say why a subject has no place in the hierarchy of this environment."""
    fault = subjects.fault(subject)
    if fault:
        return f"is no subject, for it {fault}", "write tokens with a dot between them, such as commands.quote"
    path = subjects.relative(subject, prefix)
    if path is None:
        return _foreign(subject, prefix, prefixes)
    root = path.partition(subjects.SEPARATOR)[0]
    if root in subjects.ROOTS or subjects.has_wildcard(root):
        return None
    nearest = difflib.get_close_matches(root, subjects.ROOTS, 1)
    roots = ", ".join(subjects.ROOTS)
    remedy = f"the nearest is {nearest[0]}" if nearest else "begin it with the one that it belongs to"
    return f"has the root {root}, which is none of {roots}", remedy


def _foreign(subject: str, prefix: str, prefixes: Mapping[str, str]) -> _Fault:
    for environment, other in prefixes.items():
        path = subjects.relative(subject, other)
        if path is not None:
            return f"has the prefix of {environment}; expected {prefix}", f"write it without a prefix, as {path}"
    whole = f"{prefix}{subjects.SEPARATOR}{subjects.FULL_WILDCARD}"
    return f"is neither relative nor one of {whole}", "write it without a prefix, as commands.quote is"


def _misuse(use: Use, prefix: str) -> _Fault | None:
    """Say why nobody, or not this party, may publish the subject."""
    if not use.published:
        return None
    if subjects.has_wildcard(use.subject):
        if use.party == BOT:
            return None
        return (
            "is published with a wildcard, and only a subscription may have one",
            "name each subject that is published",
        )
    match (subjects.relative(use.subject, prefix) or "").split(subjects.SEPARATOR):
        case ["plugin", owner, "response", *_] if owner != use.party:
            return f"is the response of plugin {owner}", f"remove it, for only {owner} answers there"
    return None


def _routes(uses: Iterable[Use]) -> dict[str, Route]:
    """Find who reaches whom. Subjects are looked up in an index, since a comparison of all with all takes too long."""
    publishers, listeners = subjects.Index(), subjects.Index()
    used = set()
    for use in uses:
        used.add(use.subject)
        (publishers if use.published else listeners).add(use.subject, use.party)
    return {
        subject: Route(
            subject,
            publishers=tuple(sorted(publishers.overlapping(subject))),
            listeners=tuple(sorted(listeners.overlapping(subject))),
        )
        for subject in used
    }


def _doubts(use: Use, route: Route) -> Iterator[_Fault]:
    """Say what may be an oversight. Of a family of the bot nothing is: there is always more to say or to hear."""
    if use.is_family:
        return
    if use.published and not route.listeners:
        yield "is published, and nobody listens to it", "let somebody subscribe to it, or remove it from publishes"
    if not use.published and not route.publishers:
        yield "is listened to, and nobody sends it", "let somebody publish it, or remove it from subscriptions"
    if use.published and use.party != BOT and use.party in route.listeners:
        problem = "is published and listened to by this plugin, so that it hears itself"
        yield problem, "make sure that it ignores what it sent, or remove one of the two"


def _twins(names: list[str]) -> Iterator[Finding]:
    for name, count in Counter(names).items():
        if count > 1:
            yield Finding(Severity.ERROR, name, None, f"{count} plugins have this name", "rename or remove all but one")


def _wrapped(names: Iterable[str]) -> list[str]:
    listed = ", ".join(names) or _NOBODY
    return textwrap.wrap(listed, _CELL_WIDTH, break_long_words=False, break_on_hyphens=False)
