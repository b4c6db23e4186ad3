# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment that is killed at any point is brought to its end by the same command: all points."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from ansible_collections.rosey.nats.tests import fleet
from ansible_collections.rosey.nats.tests.kill.ground import (
    First,
    Ground,
    Outcome,
    Phase,
    Reload,
    Rotation,
    RotationOfAll,
    Version,
    table,
)
from ansible_collections.rosey.nats.tests.kill.points import Point
from ansible_collections.rosey.nats.tests.kill.roll import Roll


@pytest.mark.parametrize("kind", [First, Reload, Version, Rotation, RotationOfAll])
def test_every_point(kind: type[Phase], tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    try:
        if kind is not First:
            ground.deploy({})
        phase = kind(ground)
        trace = phase.probe()
        ground.measure()
        outcomes = tried(phase, [*trace.boundaries(), *trace.modules()])
        print(f"\n{table([(phase.name, outcomes, ground.plain)])}", flush=True)
    finally:
        ground.stop()
    expect_none(outcomes)


def test_every_boundary_of_a_roll(tmp_path: Path) -> None:
    with fleet.made(tmp_path) as servers:
        roll = Roll(servers)
        roll.begin()
        outcomes = tried(roll, roll.probe().boundaries())
        print(f"\n{table([(roll.name, outcomes, 0.0)])}", flush=True)
    expect_none(outcomes)


def tried(phase: Phase | Roll, points: Iterable[Point]) -> list[Outcome]:
    # A look at some of them alone.
    points = [point for point in points if os.environ.get("KILL_ONLY", "") in str(point)]
    outcomes = []
    for number, point in enumerate(points, start=1):
        outcome = phase.run(point, thrice=False)
        outcomes.append(outcome)
        print(f"{phase.name} {number}/{len(points)} {point}: down {outcome.outage:.2f} s", flush=True)
        for fault in outcome.faults:
            print(f"  FAULT {fault}", flush=True)
    return outcomes


def expect_none(outcomes: list[Outcome]) -> None:
    bad = [f"{outcome.point}: {fault}" for outcome in outcomes for fault in outcome.faults]
    assert outcomes
    assert not bad, "\n".join(bad)
