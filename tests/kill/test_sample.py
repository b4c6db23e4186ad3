# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment that is killed at any point is brought to its end by the same command: five of the points."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from ansible_collections.rosey.nats.tests.kill.ground import (
    SEED,
    First,
    Ground,
    Outcome,
    Phase,
    Point,
    Reload,
    Rotation,
    RotationOfAll,
    Trace,
    Version,
    table,
)

Choice = Callable[[Trace, float], Point]

# Of each phase, in the order of their going: the point of a whole run's trace, and a seeded share of a module's doings.
SAMPLE: list[tuple[type[Phase], str, Choice]] = [
    (First, "the start's module alone", lambda trace, share: trace.inside("module", "nats_process", share)),
    (Reload, "inside the switch, alone", lambda trace, share: trace.inside("module", "config_tree", share)),
    (Version, "inside the restart, alone", lambda trace, share: trace.inside("module", "nats_process", share)),
    (Rotation, "a credential, before reload", lambda trace, _share: trace.before("Run | Process of this user")),
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
