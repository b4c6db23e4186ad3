# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every gate does, of whatever it judges: findings, and waiting until there is none that matters."""

from __future__ import annotations

import threading
import time
import typing as t
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ansible_collections.rosey.nats.plugins.module_utils._host.python import StrEnum

_SHORTEST_PAUSE = 0.002
_LONGEST_PAUSE = 0.25
# A pause is this part of the time that was waited already, so that waiting costs little and adds little.
_PAUSE_PART = 0.05
_LEAST_TIMEOUT = 1.0
_SOAK_PAUSE = 1.0


class Severity(StrEnum):
    """An error keeps what is judged from passing; a warning is only told."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be, each part as text for a person; a secret is never in it."""

    what: str
    expected: str
    found: str
    remedy: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        return f"{self.what}: expected {self.expected}, found {self.found}; {self.remedy}"

    def as_result(self) -> dict[str, str]:
        """Give it as a module returns it."""
        return {
            "what": self.what,
            "expected": self.expected,
            "found": self.found,
            "severity": str(self.severity),
            "remedy": self.remedy,
        }


def first_of(texts: Sequence[str], most: int, separator: str = ", ") -> str:
    """Write the first of many texts, for a finding, and how many more there are. most: of these at most."""
    more = len(texts) - most
    return separator.join(texts[:most]) + (f" and {more} more" if more > 0 else "")


def passed(findings: Iterable[Finding]) -> bool:
    """Tell whether none of these is an error."""
    return all(finding.severity is not Severity.ERROR for finding in findings)


def errors_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Give errors before warnings, each in their order."""
    return tuple(sorted(findings, key=lambda finding: finding.severity is not Severity.ERROR))


def failure(who: str, wait: float, summary: str, findings: Iterable[Finding], *, lost: bool = False) -> str:
    """Give the message of one that did not prove itself within wait seconds. lost: it did, and then no longer."""
    within = f"has not proven what was meant within {wait:g} seconds"
    outcome = "has proven what was meant, but not for as long as it was watched" if lost else within
    heading = f"{who} {outcome}: {summary}."
    return "\n".join([heading, *(f"- {finding}." for finding in findings)])


class Passing(t.Protocol):
    """What came of one look."""

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""


Verdict = t.TypeVar("Verdict", bound=Passing)


@dataclass(frozen=True)
class Waited(t.Generic[Verdict]):
    """How the waiting ended; times in seconds, None for what did not happen.

    last: what came of the last look. first_answer: from the begin to it; passed: from the first answer to the first
    look that passed.
    """

    last: Verdict
    first_answer: float | None
    passed: float | None


def wait_problem(wait: float, option: str = "wait") -> str | None:
    """Say what is wrong with such an option, None where nothing is."""
    if 0 <= wait < threading.TIMEOUT_MAX:
        return None
    return f"{option}: {wait:g}; expected seconds; give 0 to look once"


def wait_for(
    look: Callable[[float, Callable[[], None]], Verdict],
    *,
    wait: float,
    timeout: float,
    soak: float = 0,
    is_final: Callable[[Verdict], bool] = lambda _verdict: False,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = time.sleep,
) -> Waited[Verdict]:
    """Look until it passes, or for wait seconds, at least once; then go on for soak seconds as long as it passes.

    look: takes so many seconds at most for each answer; it calls its second argument as soon as there is any answer.
    is_final: tells of one that did not pass that no later one can.
    """
    started = clock()
    answers: list[float] = []
    while True:
        left = started + wait - clock()
        seconds = timeout if wait <= 0 else min(timeout, max(left, _LEAST_TIMEOUT))
        verdict = look(seconds, lambda: answers.append(clock()))
        now = clock()
        left = started + wait - now
        if verdict.passed or left <= 0 or is_final(verdict):
            first_answer = answers[0] - started if answers else None
            passed_after = now - answers[0] if verdict.passed and answers else None
            break
        waited = now - (answers[0] if answers else started)
        pause(min(left, max(_SHORTEST_PAUSE, min(_LONGEST_PAUSE, _PAUSE_PART * waited))))
    while verdict.passed and (left := now + soak - clock()) > 0:
        pause(min(left, _SOAK_PAUSE))
        verdict = look(timeout, _nothing)
    return Waited(verdict, first_answer, passed_after)


def _nothing() -> None:
    """Take no notice of an answer."""
