# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment that is killed at any point is brought to its end by the same command: some of the points."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.rosey.nats.tests import fleet
from ansible_collections.rosey.nats.tests.kill.ground import First, Ground, Outcome, Phase, RotationOfAll, table
from ansible_collections.rosey.nats.tests.kill.points import SEED, Point, Trace
from ansible_collections.rosey.nats.tests.kill.roll import Roll

Choice = Callable[[Trace, float], Point]

# In the order of their going: the point of a whole run's trace, and a seeded share of a module's doings.
SAMPLE: list[tuple[type[Phase], str, Choice]] = [
    (First, "the start's module alone", lambda trace, share: trace.inside("module", "nats_process", share)),
    (
        RotationOfAll,
        "all credentials, inside the switch",
        lambda trace, share: trace.inside("module", "config_tree", share),
    ),
]


class Sampler:
    """One host for all points; each phase begins where the one before it has ended."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._kind: type[Phase] | None = None
        self._phase: Phase | None = None
        self._trace = Trace(())
        self._shares = random.Random(SEED)
        self.rows: dict[str, list[Outcome]] = {}

    def run(self, kind: type[Phase], choose: Choice) -> Outcome:
        if self._phase is None or self._kind is not kind:
            self._kind, self._phase = kind, kind(self._ground)
            self._trace = self._phase.probe()
            if not self._ground.plain:
                self._ground.measure()
        outcome = self._phase.run(choose(self._trace, self._shares.uniform(0.4, 0.9)), thrice=True)
        self.rows.setdefault(self._phase.name, []).append(outcome)
        print(f"{self._phase.name}: {outcome.point}: down {outcome.outage:.2f} s", flush=True)
        return outcome

    def table(self) -> str:
        return table([(name, outcomes, self._ground.plain) for name, outcomes in self.rows.items()])


@pytest.fixture(scope="module")
def sampler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sampler]:
    ground = Ground(tmp_path_factory.mktemp("ground"))
    sampler = Sampler(ground)
    yield sampler
    ground.stop()
    print(f"\n{sampler.table()}", flush=True)


@pytest.mark.parametrize(("kind", "choose"), [row[::2] for row in SAMPLE], ids=[row[1] for row in SAMPLE])
def test_the_same_command_brings_it_to_its_end(sampler: Sampler, kind: type[Phase], choose: Choice) -> None:
    outcome = sampler.run(kind, choose)
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
    before("Gate | Ask each other server of the cluster whether its replicas have caught up"),  # within the second turn
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
