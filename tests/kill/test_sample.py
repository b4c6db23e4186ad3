# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment that is killed at any point is brought to its end by the same command: some of the points."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from ansible_collections.rosey.nats.tests import fleet
from ansible_collections.rosey.nats.tests.kill.ground import Ground, RotationOfAll, table
from ansible_collections.rosey.nats.tests.kill.points import SEED, Point
from ansible_collections.rosey.nats.tests.kill.roll import Roll


def test_a_rotation_that_is_killed_inside_the_switch_comes_to_its_end(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    try:
        ground.deploy({})
        phase = RotationOfAll(ground)
        trace = phase.probe()
        ground.measure()
        # of the module's doings
        share = random.Random(SEED).uniform(0.4, 0.9)
        outcome = phase.run(trace.inside("module", "config_tree", share), thrice=True)
        print(f"\n{table([(phase.name, [outcome], ground.plain)])}", flush=True)
    finally:
        ground.stop()
    assert not outcome.faults, "\n".join([str(outcome.point), *outcome.faults])


def before(task: str) -> Point:
    return Point("boundary", f"rosey.nats.release : {task}")


START = "Run | Process of this user"
# Of what nats_process does: by then it has removed the pid file, and not yet started the next process.
STOPPED = 20
# One run goes on with what the one before it has left, until it is killed itself; `make test-kill` kills a roll at each
# boundary, and sees it end.
ROLL = (
    before(START),  # before the first turn
    replace(before(START), what="playbook", module="nats_process", event=STOPPED),  # between stop and start of it
    before(START),  # after it, before the second turn
    before("Gate | The server proves that it runs with what was meant"),  # within the second turn
    before(START),  # before the turn of who leads
    before("Record | What came of the steps"),  # before the end
)


def test_a_roll_that_is_killed_time_and_again_comes_to_its_end(tmp_path: Path) -> None:
    with fleet.made(tmp_path) as servers:
        roll = Roll(servers)
        roll.begin()
        outcome = roll.run(*ROLL, thrice=True)
    print(f"{roll.name}: {outcome.outage:.2f} s without an acknowledgement", flush=True)
    assert not outcome.faults, "\n".join(outcome.faults)
