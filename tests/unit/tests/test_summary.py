# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the test runner counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.rosey.nats.tests.summary import (
    LINES_OF_A_REASON,
    Counts,
    Result,
    count_command,
    count_report,
    reason,
    table,
)


def report(tmp_path: Path, *cases: str) -> Path:
    path = tmp_path / "report.xml"
    inner = "".join(
        f'<testcase classname="tests.unit" name="t{number}">{case}</testcase>' for number, case in enumerate(cases)
    )
    path.write_text(f"<testsuites><testsuite>{inner}</testsuite></testsuites>")
    return path


@pytest.mark.parametrize(
    ("cases", "expected"),
    [
        pytest.param((), Counts(), id="nothing"),
        pytest.param(("", "<system-out>words</system-out>"), Counts(passed=2), id="passed"),
        pytest.param(('<failure message="no"/>', '<error message="oh"/>'), Counts(failed=2), id="failed"),
        pytest.param(('<failure message="no"/><error message="oh"/>',), Counts(failed=1), id="failed at the end, too"),
        pytest.param(('<skipped message="no root"/>', "<skipped>no root</skipped>"), Counts(skipped=2), id="skipped"),
        pytest.param(("<skipped>No tests applicable.</skipped>",), Counts(), id="no file to look at"),
        pytest.param(("", "<failure/>", '<skipped message="x"/>'), Counts(1, 1, 1), id="one of each"),
    ],
)
def test_a_report_is_counted(tmp_path: Path, cases: tuple[str, ...], expected: Counts) -> None:
    assert count_report(report(tmp_path, *cases)) == expected


@pytest.mark.parametrize(
    ("returncode", "cases", "expected"),
    [
        pytest.param(0, None, Counts(passed=1), id="a tool without a report"),
        pytest.param(2, None, Counts(failed=1), id="a tool that failed"),
        pytest.param(0, ("", ""), Counts(passed=2), id="a report"),
        pytest.param(1, ("", "<failure/>"), Counts(passed=1, failed=1), id="a report with a failure"),
        pytest.param(1, ("",), Counts(passed=1, failed=1), id="failed outside its test cases"),
        pytest.param(0, (), Counts(failed=1), id="tested nothing"),
    ],
)
def test_a_command_is_counted(tmp_path: Path, returncode: int, cases: tuple[str, ...] | None, expected: Counts) -> None:
    reports = None if cases is None else [report(tmp_path, *cases)]
    assert count_command("ruff check", returncode, reports) == expected


def test_a_command_that_wrote_no_report_has_failed() -> None:
    assert count_command("pytest", 0, []) == Counts(failed=1)


def test_what_failed_is_named(tmp_path: Path) -> None:
    counts = count_report(report(tmp_path, "", '<failure message="assert 1 == 2&#10;where 1 is more"/>', "<error/>"))
    assert counts.failures == ("tests.unit t1: assert 1 == 2", "tests.unit t2: ")
    assert count_command("ruff check", 2, None).failures == ("ruff check: exit status 2",)
    counts += Counts(failures=("ruff check: exit status 2",))
    assert table([Result("unit", 1.0, counts)], 1.0).splitlines()[-4:] == [
        "failed: tests.unit t1: assert 1 == 2",
        "failed: tests.unit t2: ",
        "failed: ruff check: exit status 2",
        "1 passed, 2 failed, 0 skipped",
    ]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param(["a.py:1: E501", "", "Found 1 error."], ["a.py:1: E501", "Found 1 error."], id="a linter"),
        pytest.param(
            [
                "TASK [Meant to fail]",
                "fatal: [a]: FAILED! =>",
                "TASK [Wait]",
                "ok: [b]",
                "fatal: [a]: FAILED! =>",
                "    no",
            ],
            ["TASK [Wait]", "fatal: [a]: FAILED! =>", "    no"],
            id="a task",
        ),
        pytest.param(["1"] * 100, ["1"] * LINES_OF_A_REASON, id="much"),
    ],
)
def test_a_command_without_cases_says_why(said: list[str], expected: list[str]) -> None:
    assert reason("\n".join(said)) == "".join(f"\n    {line}" for line in expected)
    assert count_command("molecule test", 2, [], "no").failures == ("molecule test: exit status 2\n    no",)


def test_the_table_closes_with_the_sum_alone_on_its_line() -> None:
    results = [Result("unit", 12.34, Counts(10, 0, 1)), Result("molecule-default", 56.0, Counts(3, 2, 0))]
    lines = table(results, 60.0).splitlines()
    assert lines[1].split() == ["unit", "12.3", "10", "0", "1"]
    assert lines[2].split() == ["molecule-default", "56.0", "3", "2", "0"]
    assert lines[-1] == "13 passed, 2 failed, 1 skipped"
