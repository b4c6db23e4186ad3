# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re

import pytest

from ansible_collections.rosey.nats.plugins.plugin_utils import run_summary
from ansible_collections.rosey.nats.plugins.plugin_utils.run_record import Status
from ansible_collections.rosey.nats.tests.unit.example_runs import (
    BOT_PLANNED,
    PLANNED,
    Note,
    deployed,
    make_run,
    returned,
    unproven,
)

AS_IT_WAS = {**PLANNED, "action": "nothing", "reasons": [], "release": {"current": "20260131T120000Z-3f2a9c"}}


@pytest.mark.parametrize(
    ("notes", "failed", "expected"),
    [
        (
            deployed(),
            False,
            r"here  proven  server reload \(max_payload: 1MiB -> 2MiB \(reload\)\), proven; "
            r"bot restart \(file: quotes\.yaml -> created\), proven; release \S+",
        ),
        (
            [("here", "rosey.nats.nats_plan", Status.OK, AS_IT_WAS)],
            False,
            r"here  \w+  server unchanged; release 20260131T120000Z-3f2a9c",
        ),
        (
            [("here", "rosey.nats.bot_plan", Status.OK, {**BOT_PLANNED, "installed": False})],
            False,
            r"here  \w+  bot not installed",
        ),
        # the finding, not the sentence before it; and that it went back
        (returned(), True, r"here  went back  Step \| bot_gate: .+; back at 20260131T120000Z-3f2a9c"),
        (unproven(), True, r"here  left changed  Step \| bot_gate: .+"),
    ],
)
def test_a_host_has_a_line(notes: list[Note], failed: bool, expected: str) -> None:
    found = run_summary.lines(make_run(notes, failed=["here"] if failed else []))
    assert re.match(expected, found[0]), found[0]
    assert found[1:] == ["1 host in 12 s"]


def test_hosts_stand_below_each_other() -> None:
    one, other, last = run_summary.lines(make_run([*deployed("a"), *returned("another")], failed=["another"]))
    assert one.index("proven") == other.index("went back")
    assert last == "2 hosts in 12 s"


def test_what_deploys_nothing_has_none() -> None:
    assert run_summary.lines(make_run([("here", "rosey.nats.nats_release_info", Status.OK, {"releases": []})])) == []


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min 0 s"), (725, "12 min 5 s")]
)
def test_a_time_is_told_as_people_read_it(seconds: float, expected: str) -> None:
    assert run_summary.took(seconds) == expected
