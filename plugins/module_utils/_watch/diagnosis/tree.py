# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree of questions about a symptom: where one finds a cause, what lies below it would only tell its consequences.

The causes of each of the guide's symptoms stand in a module of their own, beside this one.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from ansible_collections.rosey.nats.plugins.module_utils._host.python import StrEnum


class Symptom(StrEnum):
    """What the guide's troubleshooting chapter begins with, in the order in which one leads to the next."""

    SERVER = "server"
    BOT = "bot"
    PLUGIN = "plugin"
    LATENCY = "latency"


class Confidence(IntEnum):
    """How sure a cause is. CERTAIN: it was seen itself; LIKELY: its marks were seen; POSSIBLE: nothing speaks against.

    A look that failed is a POSSIBLE cause too: what could not be seen may be what is wrong.
    """

    POSSIBLE = 1
    LIKELY = 2
    CERTAIN = 3


@dataclass(frozen=True)
class Cause:
    """One thing that explains a symptom, each part as text for a person; a secret is never in it.

    name: the short name by which it is known, such as port_taken. cause: one sentence. evidence: what was seen.
    remedy: what a person does now.
    """

    symptom: Symptom
    name: str
    cause: str
    evidence: tuple[str, ...]
    remedy: str
    confidence: Confidence = Confidence.CERTAIN

    def as_result(self) -> dict[str, str | list[str]]:
        """Give it as a module returns it."""
        return {
            "symptom": str(self.symptom),
            "name": self.name,
            "cause": self.cause,
            "evidence": list(self.evidence),
            "remedy": self.remedy,
            "confidence": self.confidence.name.lower(),
        }


class NotSeenError(Exception):
    """A look at the host failed. what: at what; why: in words; remedy: how it would succeed."""

    def __init__(self, what: str, why: str, remedy: str) -> None:
        super().__init__(f"{what}: {why}")
        self.what = what
        self.why = why
        self.remedy = remedy


class NothingToSeeError(Exception):
    """There is nothing to look at, and that is well; why, as a healthy part says it."""


Look = t.TypeVar("Look")
Evidence = t.TypeVar("Evidence")


def attempt(look: Callable[[], Look]) -> Look | NotSeenError:
    """Look; give what was seen, or why nothing was, as evidence carries it."""
    try:
        return look()
    except NotSeenError as error:
        return error


def seen(looked: Look | NotSeenError) -> Look:
    """Give what was seen; raises NotSeenError where the look failed."""
    if isinstance(looked, NotSeenError):
        raise looked
    return looked


@dataclass(frozen=True)
class Question(t.Generic[Evidence]):
    """One place in the tree.

    healthy: what to say where it finds nothing, if anything. ask: gives the causes that the evidence shows, and may
    raise NotSeenError. below: asked only where this finds nothing, and where it could not be answered.
    """

    healthy: str
    ask: Callable[[Evidence], Iterable[Cause]]
    below: tuple[Question[Evidence], ...] = ()


@dataclass(frozen=True)
class Diagnosis:
    """What came of asking: causes, the most likely first, and the healthy parts, each in a few words."""

    causes: tuple[Cause, ...] = ()
    healthy: tuple[str, ...] = field(default=())


def diagnose(symptom: Symptom, questions: Iterable[Question[Evidence]], evidence: Evidence) -> Diagnosis:
    """Ask the questions of one symptom."""
    causes: list[Cause] = []
    healthy: list[str] = []
    for question in questions:
        for found in _ask(symptom, question, evidence):
            if isinstance(found, Cause):
                causes.append(found)
            else:
                healthy.append(found)
    return Diagnosis(ranked(causes), tuple(healthy))


def finds(ask: Callable[[Evidence], Iterable[Cause]], evidence: Evidence, least: Confidence) -> bool:
    """Tell whether a question has a cause that is at least so sure; where it can't be answered it has none."""
    try:
        return any(cause.confidence >= least for cause in ask(evidence))
    except NotSeenError:
        return False


def together(diagnoses: Iterable[Diagnosis]) -> Diagnosis:
    """Join the diagnoses of several symptoms. What is healthy for several is told once."""
    every = list(diagnoses)
    return Diagnosis(
        ranked(cause for each in every for cause in each.causes),
        tuple(dict.fromkeys(line for each in every for line in each.healthy)),
    )


def ranked(causes: Iterable[Cause]) -> tuple[Cause, ...]:
    """Put the most likely first; of causes that are equally sure, those of the symptom that leads to the others.

    A cause that several symptoms have is told once.
    """
    order = list(Symptom)
    first: dict[tuple[str, tuple[str, ...]], Cause] = {}
    for cause in causes:
        first.setdefault((cause.name, cause.evidence), cause)
    return tuple(sorted(first.values(), key=lambda each: (-each.confidence, order.index(each.symptom))))


def grouped(causes: Iterable[Cause]) -> tuple[tuple[Cause, tuple[Cause, ...]], ...]:
    """Put under each cause what may follow from it, and what is the same of another part. causes: as ranked() has them.

    A symptom leads to those after it: what is found there, and is no surer, goes under the first cause before it.
    """
    heads: list[tuple[Cause, list[Cause]]] = []
    for cause in causes:
        under = next((below for head, below in heads if _leads_to(head, cause)), None)
        if under is None:
            heads.append((cause, []))
        else:
            under.append(cause)
    return tuple((head, tuple(below)) for head, below in heads)


def _leads_to(head: Cause, cause: Cause) -> bool:
    order = list(Symptom)
    if head.symptom == cause.symptom:
        return head.name == cause.name
    return head.confidence > Confidence.POSSIBLE and order.index(head.symptom) < order.index(cause.symptom)


def results(causes: Iterable[Cause]) -> list[dict[str, t.Any]]:
    """Give causes as a module returns them. under: the cause that each is told under, empty for one of its own."""
    under = {id(cause): head.cause for head, below in grouped(causes) for cause in below}
    return [{**cause.as_result(), "under": under.get(id(cause), "")} for cause in causes]


def report(diagnosis: Diagnosis) -> list[str]:
    """Tell it to a person: the causes first, with what may follow from each, then the healthy parts in one line."""
    lines: list[str] = []
    for number, (head, below) in enumerate(grouped(diagnosis.causes), start=1):
        lines += _told(head, f"{number}. ", "   ")
        for cause in below:
            lines += _told(cause, "   with it: ", "      ")
    return [*lines, f"healthy: {', '.join(diagnosis.healthy) or 'nothing that was looked at'}"]


def _told(cause: Cause, begin: str, indent: str) -> Iterator[str]:
    yield f"{begin}{cause.cause} [{cause.name}, {cause.symptom}, {cause.confidence.name.lower()}]"
    yield from (f"{indent}seen: {evidence}" for evidence in cause.evidence)
    yield f"{indent}remedy: {cause.remedy}"


def _ask(symptom: Symptom, question: Question[Evidence], evidence: Evidence) -> Iterator[Cause | str]:
    try:
        found = tuple(question.ask(evidence))
    except NotSeenError as error:
        yield Cause(
            symptom,
            "not_seen",
            f"{error.what} could not be looked at, so it may be what is wrong",
            (error.why,),
            error.remedy,
            Confidence.POSSIBLE,
        )
    else:
        yield from found or filter(None, (question.healthy,))
        if found:
            return
    for below in question.below:
        yield from _ask(symptom, below, evidence)
