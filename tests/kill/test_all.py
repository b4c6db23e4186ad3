# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment that is killed at any point is brought to its end by the same command: all points."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("kind", [First, Reload, Version, Rotation, RotationOfAll])
def test_every_point(kind: type[Phase], tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    outcomes: list[Outcome] = []
    try:
        if kind is not First:
            ground.deploy({})
        phase = kind(ground)
        trace = phase.probe()
        ground.measure()
        points = [*trace.boundaries(), *trace.modules()]
        # A look at some of them alone.
        points = [point for point in points if os.environ.get("KILL_ONLY", "") in str(point)]
        for number, point in enumerate(points, start=1):
            outcome = phase.run(point, thrice=False)
            outcomes.append(outcome)
            print(f"{phase.name} {number}/{len(points)} {point}: down {outcome.outage:.2f} s", flush=True)
            for fault in outcome.faults:
                print(f"  FAULT {fault}", flush=True)
        print(f"\n{table([(phase.name, outcomes, ground.plain)])}", flush=True)
    finally:
        ground.stop()
    bad = [f"{outcome.point}: {fault}" for outcome in outcomes for fault in outcome.faults]
    assert outcomes
    assert not bad, "\n".join(bad)
