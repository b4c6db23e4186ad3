# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the test runner chooses and orders its parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.rosey.nats.tests import run
from ansible_collections.rosey.nats.tests.run import Command, Part
from ansible_collections.rosey.nats.tests.summary import Counts


@pytest.fixture(autouse=True)
def own_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "OUTPUT", tmp_path)


def part(name: str, script: str, *needs: str, is_test: bool = True, patience: int = 60) -> Part:
    return Part(name, (Command(("sh", "-c", script)),), needs, is_test=is_test, patience=patience)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["lint"], ["environment", "lint"]),
        (["unit"], ["environment", "server", "unit"]),
        (["molecule-default"], ["environment", "images", "server", "molecule-default"]),
        (["molecule-production"], ["environment", "images", "oldest-image", "server", "molecule-production"]),
        (["lint", "unit"], ["environment", "server", "unit", "lint"]),
    ],
)
def test_a_part_brings_what_it_needs(names: list[str], expected: list[str]) -> None:
    assert [each.name for each in run.with_needs(names)] == expected


def test_every_scenario_is_a_part_of_the_whole() -> None:
    root = Path(run.__file__).parents[1]
    scenarios = {f"molecule-{path.parent.name}" for path in root.glob("molecule/*/molecule.yml")}
    assert scenarios
    assert scenarios == set(run.GROUPS["molecule"])
    assert scenarios <= {each.name for each in run.PARTS}


def test_a_part_waits_for_those_that_it_needs(tmp_path: Path) -> None:
    results = run.run(
        [
            part("second", f"test -e {tmp_path}/made", "first"),
            part("first", f"sleep 0.3; touch {tmp_path}/made", is_test=False),
        ]
    )
    assert [(result.name, result.counts.passed, result.counts.failed) for result in results] == [
        ("first", 0, 0),
        ("second", 1, 0),
    ]


def test_what_needs_a_broken_part_is_not_run_and_has_failed(tmp_path: Path) -> None:
    results = run.run(
        [
            part("third", f"touch {tmp_path}/ran", "second"),
            part("second", f"touch {tmp_path}/ran", "first"),
            part("first", "exit 3", is_test=False),
        ]
    )
    assert {result.name: result.counts.failed for result in results} == {"first": 1, "second": 1, "third": 1}
    assert not (tmp_path / "ran").exists()


def test_a_command_that_hangs_is_ended(tmp_path: Path) -> None:
    (result,) = run.run([part("hangs", "exec sleep 60", patience=1)])
    assert result.counts.failed == 1
    assert result.seconds < 30
    assert "took longer than 1 s" in (tmp_path / "hangs.log").read_text()


@pytest.mark.parametrize(
    ("names", "counts", "status"),
    [
        (["unit"], Counts(passed=1), 0),
        (["unit"], Counts(passed=1, failed=1), 1),
        (["unit"], Counts(), 1),
        (["servers"], Counts(), 0),
        (["servers"], Counts(failed=1), 1),
    ],
)
def test_a_test_has_to_pass_where_one_was_asked_for(names: list[str], counts: Counts, status: int) -> None:
    assert run.status(run.with_needs(names), counts) == status


def test_a_failure_shows_what_the_command_said(capsys: pytest.CaptureFixture[str]) -> None:
    run.run([part("broken", "echo the reason; exit 1"), part("sound", "echo all is well")])
    shown = capsys.readouterr().out
    assert "the reason" in shown
    assert "== broken: 0 passed, 1 failed, 0 skipped in" in shown
    assert "== sound: 1 passed, 0 failed, 0 skipped in" in shown
