# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Count the test cases of JUnit reports and show them as a table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

# What ansible-test says where the tree has no file of the kind that a test looks at: that is no test.
NOTHING_TO_TEST = "No tests applicable."
# Characters of the reason of a failure; all of it is in the part's log.
LONGEST_REASON = 200
# Of what a command says that has no test cases to name.
LINES_OF_A_REASON = 12


@dataclass(frozen=True)
class Counts:
    """How many test cases passed, failed and were skipped, and which failed, with the first line of why."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: tuple[str, ...] = field(default=(), compare=False)

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.failures + other.failures,
        )

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


@dataclass(frozen=True)
class Result:
    """What one part of the tests came to, and how many seconds it took."""

    name: str
    seconds: float
    counts: Counts


def count_report(report: Path) -> Counts:
    """Count the test cases of one JUnit file."""
    counts = Counts()
    for case in ElementTree.parse(report).iter("testcase"):
        outcomes = {child.tag: child.get("message", "") + (child.text or "") for child in case}
        why = outcomes.get("failure", outcomes.get("error"))
        if why is not None:
            first = next(iter(why.splitlines()), "")[:LONGEST_REASON]
            counts += Counts(failed=1, failures=(f"{case.get('classname', '')} {case.get('name', '')}: {first}",))
        elif "skipped" not in outcomes:
            counts += Counts(passed=1)
        elif outcomes["skipped"] != NOTHING_TO_TEST:
            counts += Counts(skipped=1)
    return counts


def reason(output: str) -> str:
    """Give the lines in which a command says why it failed: its last task that did, with Ansible's, or else its end."""
    lines = [line[:LONGEST_REASON] for line in output.splitlines() if line.strip()]
    fatal = max((number for number, line in enumerate(lines) if line.startswith("fatal: ")), default=None)
    if fatal is None:
        said = lines[-LINES_OF_A_REASON:]
    else:
        task = [line for line in lines[:fatal] if line.startswith("TASK [")][-1:]
        said = task + lines[fatal : fatal + LINES_OF_A_REASON]
    return "".join(f"\n    {line}" for line in said)


def count_command(command: str, returncode: int, reports: list[Path] | None, output: str = "") -> Counts:
    """Count what one command tested.

    `reports` is None for a command that writes none: it counts as one test. One that should have written some but wrote
    none has failed, whatever it returned, and so has one that failed outside its test cases. output: what it said.
    """
    broken = Counts(failed=1, failures=(f"{command}: exit status {returncode}{reason(output)}",))
    if reports is None:
        return broken if returncode else Counts(passed=1)
    counts = sum((count_report(report) for report in reports), Counts())
    if counts == Counts() or (returncode and not counts.failed):
        counts += broken
    return counts


def table(results: Iterable[Result], elapsed: float) -> str:
    """Show each part's time and counts and what failed, and close with the sum of all on a line of its own."""
    results = list(results)
    width = max(len(result.name) for result in results)
    lines = [f"{'part':<{width}}  seconds  passed  failed  skipped"]
    for result in results:
        counts = result.counts
        lines.append(
            f"{result.name:<{width}}  {result.seconds:7.1f}  {counts.passed:6}  {counts.failed:6}  {counts.skipped:7}"
        )
    lines += [f"{'in all':<{width}}  {elapsed:7.1f}", ""]
    counts = sum((result.counts for result in results), Counts())
    lines += [f"failed: {failure}" for failure in counts.failures]
    lines.append(str(counts))
    return "\n".join(lines)
