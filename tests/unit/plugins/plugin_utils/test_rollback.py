# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.filter.rollback_verdict import FilterModule
from ansible_collections.rosey.nats.plugins.plugin_utils import rollback

rollback_verdict = FilterModule().filters()["rollback_verdict"]


def choice(release: str, run: str, time: str, **other: Any) -> dict[str, Any]:
    return {"release": release, "run": run, "time": time, "is_current": False, "problem": "", **other}


def barred(why: str) -> dict[str, Any]:
    return choice("", "", "", problem=why)


ONE, TWO = choice("r1", "one", "2026-01-31T12:00:00Z"), choice("r2", "two", "2026-01-31T13:00:00Z")
OLD = choice("r0", "", "2026-01-31T11:00:00Z")


@pytest.mark.parametrize(
    ("wanted", "chosen", "accept"),
    [
        ("previous", {"a": ONE}, []),
        ("previous", {"a": ONE, "b": ONE}, []),
        ("previous", {"a": ONE, "b": OLD}, []),
        ("previous", {"a": ONE, "b": TWO}, ["mixed_runs"]),
        ("previous", {"a": ONE, "b": TWO}, ["absent_bot", "mixed_runs"]),
        # what hosts had at one time may be of different runs
        ("2026-01-31T13:30:00Z", {"a": ONE, "b": TWO}, []),
        ("current", {"a": ONE, "b": TWO}, []),
        ("one", {"a": ONE, "b": {**ONE, "is_current": True}}, []),
    ],
)
def test_nothing_speaks_against_one_point(wanted: str, chosen: dict[str, Any], accept: Any) -> None:
    assert rollback_verdict(chosen, wanted, accept)["problem"] == ""


@pytest.mark.parametrize(
    ("wanted", "chosen", "expected"),
    [
        (
            "previous",
            {"a": TWO, "b": ONE},
            "rollback_to: previous: the hosts would go back to what different runs have deployed. Nothing was touched."
            "\n- a: r2 of two, 2026-01-31T13:00:00Z\n"
            "- b: r1 of one, 2026-01-31T12:00:00Z\n"
            "Name the run, such as -e rollback_to=two, or a time; -e rollback_to=list shows what there is. Where each "
            "host is to go back on its own, set release_accept: [mixed_runs].",
        ),
        (
            "two",
            {"a": {**TWO, "is_current": True}, "b": barred("it has no release of the run two")},
            "rollback_to: two: 1 of 2 hosts can't go there. Nothing was touched.\n"
            "- b: it has no release of the run two\n"
            "- a: would go to r2 of two, 2026-01-31T13:00:00Z, which it has already\n"
            "To take each host to what it had when that run had ended, give -e rollback_to=2026-01-31T13:00:00Z, or "
            "leave it out with --limit '!b'.",
        ),
        (
            "r1",
            {"a": ONE, "b": barred("no"), "c": barred("no")},
            "rollback_to: r1: 2 of 3 hosts can't go there. Nothing was touched.\n- b: no\n- c: no\n"
            "- a: would go to r1 of one, 2026-01-31T12:00:00Z\n"
            "An id is of one host; name its run, -e rollback_to=one, or leave them out with --limit '!b,!c'.",
        ),
        (
            "r9",
            {"a": barred("no")},
            "rollback_to: r9: this host can't go there. Nothing was touched.\n- a: no\n"
            "-e rollback_to=list shows what there is. Name what all have.",
        ),
        (
            "previous",
            {"a": ONE, "b": barred("this host has no previous release")},
            "rollback_to: previous: 1 of 2 hosts can't go there. Nothing was touched.\n"
            "- b: this host has no previous release\n- a: would go to r1 of one, 2026-01-31T12:00:00Z\n"
            "Name the run, such as -e rollback_to=one, or a time, or leave it out with --limit '!b'.",
        ),
        (
            "previous",
            {"a": OLD, "b": barred("this host has no previous release")},
            "rollback_to: previous: 1 of 2 hosts can't go there. Nothing was touched.\n"
            "- b: this host has no previous release\n- a: would go to r0, 2026-01-31T11:00:00Z\n"
            "-e rollback_to=list shows what there is. Name what all have, or leave it out with --limit '!b'.",
        ),
    ],
)
def test_what_speaks_against_going_back_is_told_of_all_hosts(
    wanted: str, chosen: dict[str, Any], expected: str
) -> None:
    assert rollback_verdict(chosen, wanted)["problem"] == expected


@pytest.mark.parametrize(
    ("wanted", "chosen", "named"),
    [
        ("previous", {"a": ONE, "b": OLD, "c": OLD}, "b, c: "),
        ("previous", {"a": OLD}, ""),
        ("previous", {"a": ONE, "b": TWO}, ""),
        ("2026-01-31T13:30:00Z", {"a": ONE, "b": OLD}, ""),
    ],
)
def test_what_an_earlier_version_recorded_is_told(wanted: str, chosen: dict[str, Any], named: str) -> None:
    found = rollback.notes(wanted, chosen)
    assert [bool(named)] == [bool(found)]
    assert all(each.startswith(f"{named}whether the release before is of the same run") for each in found)
