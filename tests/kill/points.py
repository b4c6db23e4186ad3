# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a deployment can be killed, and how it is."""

from __future__ import annotations

import json
import os
import random
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ansible_collections.rosey.nats.tests.integration.conftest import ROOT

HERE = Path(__file__).parent
# Seconds that a module waits whose play was killed, so that the next deployment meets it at work.
HOLD = 5.0
SEED = 20240229
EVENTS_EACH = 3
PATIENCE = 180
# The modules that change nothing: of them, the beginning and the end are enough.
READERS = {"bus_plan", "nats_plan", "bot_plan", "nats_gate", "bot_gate", "nats_release_info"}


@dataclass(frozen=True)
class Point:
    """Where a deployment is killed.

    what: boundary, as a task begins; module, inside the task's module and it alone; playbook, likewise, and the module
    goes on. event: before which of the module's doings.
    """

    what: str
    task: str
    occurrence: int = 1
    module: str = ""
    event: int = 0
    hold: float = HOLD

    def __str__(self) -> str:
        task = self.task if self.occurrence == 1 else f"{self.task} ({self.occurrence})"
        if self.what == "boundary":
            return f"before {task}"
        who = "the module alone" if self.what == "module" else "the play, its module goes on"
        return f"in {self.module}, event {self.event}, {who}: {task}"


@dataclass(frozen=True)
class Trace:
    """What a whole play has come by: its tasks, with what module ran and how many doings it had."""

    steps: tuple[dict[str, Any], ...]

    def boundaries(self) -> list[Point]:
        """Give where tasks begin, but of those between which no module ran on the host only the first and the last.

        The host can't tell them apart. KILL_EVERY=1 gives all of them.
        """
        every = os.environ.get("KILL_EVERY") == "1"
        ends = {0, len(self.steps) - 1}
        for place, step in enumerate(self.steps):
            ends |= {place - 1, place + 1} if "module" in step else set()
        return [
            Point("boundary", step["task"], step["occurrence"])
            for place, step in enumerate(self.steps)
            if "module" not in step and (every or place in ends)
        ]

    def modules(self) -> list[Point]:
        """Give, of each run of a module of the collection, its first, its last and seeded points in between."""
        chosen = random.Random(SEED)
        points = []
        for step in self.steps:
            if not (ROOT / "plugins" / "modules" / f"{step.get('module')}.py").exists():
                continue
            events, number = step["events"], 2 if step["module"] in READERS else EVENTS_EACH
            between = range(2, events)
            inner = chosen.sample(between, min(len(between), max(number - 2, 0)))
            for what in ("module", "playbook"):
                for event in sorted({1, *inner, events}):
                    points.append(Point(what, step["task"], step["occurrence"], step["module"], event))
        return points

    def has_ended(self, point: Point) -> bool:
        """Say whether the module that is to be killed alone has come to its end instead."""
        ended = {(step["task"], step["occurrence"]) for step in self.steps if step.get("module") == point.module}
        return point.what == "module" and (point.task, point.occurrence) in ended

    def inside(self, what: str, module: str, share: float, task: str = "") -> Point:
        """Give the point at a share of a module's doings, in its first run, or in that task's."""
        step = next(step for step in self.steps if step.get("module") == module and step["task"].endswith(task))
        event = max(1, round(share * step["events"]))
        return Point(what, step["task"], step["occurrence"], module, event)

    def before(self, task: str) -> Point:
        step = next(step for step in self.steps if step["task"].endswith(task))
        return Point("boundary", step["task"], step["occurrence"])


def play(inventory: Path, temporary: Path, **environment: str) -> tuple[int, str]:
    """Deploy; give the exit status, negative for a signal, and what was said. temporary: for files of the play."""
    # A file, not a pipe: what goes on after the kill would hold a pipe open.
    said = inventory.with_name("said.log")
    with said.open("w") as output:
        done = subprocess.run(
            ["ansible-playbook", "site.yml", "-i", str(inventory)],
            cwd=ROOT,
            env={
                **os.environ,
                "COLUMNS": "1000",
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_LOCAL_TEMP": str(inventory.with_name("ansible")),
                "TMPDIR": str(temporary),
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            check=False,
            timeout=PATIENCE,
        )
    return done.returncode, said.read_text()


def killing(trace: Path, point: Point | None) -> dict[str, str]:
    """Give the environment of a play that is killed at a point, where one is given. trace: takes what it comes by."""
    trace.unlink(missing_ok=True)
    return {
        "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback_plugins"),
        "ANSIBLE_CALLBACKS_ENABLED": "kill_point",
        "PYTHONPATH": str(HERE / "inside"),
        "KILL_TRACE": str(trace),
        "KILL_POINT": json.dumps(asdict(point) if point else {}),
    }


def read(trace: Path) -> Trace:
    """Read what a play has come by."""
    return Trace(tuple(map(json.loads, trace.read_text().splitlines() if trace.exists() else ())))
