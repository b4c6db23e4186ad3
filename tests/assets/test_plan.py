# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plan says of every change that was tried on the bare server: no danger missed, no refusal too many."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.tests.assets import changes
from ansible_collections.rosey.nats.tests.assets.binaries import BINARIES, VERSIONS
from ansible_collections.rosey.nats.tests.assets.changes import Change
from ansible_collections.rosey.nats.tests.assets.ground import Server, fill

RunModule = Callable[..., dict[str, Any]]

REFUSED, WARNED, FINE = "refused", "warned", "nothing"
VERDICTS = {
    changes.DESTROYS: REFUSED,
    changes.HIDES: REFUSED,
    changes.STOPS: WARNED,
    changes.HARMLESS: FINE,
    changes.CONVERTS: FINE,
    changes.UNDOING_DESTROYS: FINE,
}
ORDER = (FINE, WARNED, REFUSED)
# An option that says nothing of JetStream, and takes a restart.
A_RESTART = {"max_pending": 60_000_000}
# Where the plan says something else, and why.
OTHERWISE: Mapping[str, str] = {
    # what somebody moves by hand meanwhile, between the stop and the start, is not there yet
    "accounts: users of $G moved into APP, the directory $G renamed to APP": REFUSED,
    # only the clients know which domain they name
    "domain changed, for clients that name it": FINE,
    # the role starts a server in the root directory
    "store_dir: relative, same place": REFUSED,
    # nobody knows the environment of a process to come; the gate names what is missing
    "store_dir: by a variable of the environment, whose value changes": FINE,
    # it is harmless until somebody goes back
    "2.10.7 -> 2.9.25: first_seq": REFUSED,
}


# What is done after a start is nothing that a plan is asked about.
PLANNED = [each for each in changes.ALL if each.nodes == 1 and {*each.classes} != {changes.DECLARED}]


class Host:
    """A bare server, laid out as the role does it, so that the plan finds it."""

    def __init__(self, server: Server, change: Change, run_module: RunModule) -> None:
        self.server, self.change, self._run_module = server, change, run_module
        self._versions = server.directory / "lib"
        self._link = server.directory / "nats-server"

    def start(self) -> None:
        change = self.change
        binary = self._versions / VERSIONS[change.binary] / "nats-server"
        binary.parent.mkdir(parents=True)
        os.link(BINARIES[change.binary], binary)
        self._link.symlink_to(binary)
        change.prepare(self.server.directory)
        self.server.write(change.before)
        self.server.start(self._link, change.environment)
        assert self.server.wait(), self.server.output.read_text()
        for label, holds in change.held.items():
            fill(self.server, change.who[label], holds)

    def plan(self) -> dict[str, Any]:
        """Plan the change, of which what concerns the host alone is done already."""
        present = self.server.config_file
        self.server.config_file = present.with_name("after.conf")
        self.server.write(self.change.before, self.change.after or A_RESTART)
        after = self.server.config_file.read_text()
        self.server.config_file = present
        self.change.step(self.server.directory)
        return self._run_module(
            "nats_plan",
            runtime="process",
            pid_file=str(self.server.directory / "pid"),
            version=VERSIONS[self.change.binary_after or self.change.binary],
            directory=str(self._versions),
            link=str(self._link),
            config_file=str(self.server.config_file),
            entries=[{"path": str(self.server.config_file), "state": "file", "content": after}],
        )


def verdict(planned: dict[str, Any]) -> str:
    if planned.get("failed"):
        return REFUSED
    return WARNED if planned["dangers"] else FINE


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    found = Server(tmp_path / "host")
    yield found
    found.stop()
    shutil.rmtree(tmp_path, ignore_errors=True)


def cases() -> Iterator[Any]:
    for change in PLANNED:
        has_all = "next" not in (change.binary, change.binary_after)
        yield pytest.param(change, id=change.name, marks=[pytest.mark.sample] if has_all else [])


@pytest.mark.parametrize("change", list(cases()))
def test_the_plan_knows_what_the_bare_server_does(change: Change, server: Server, run_module: RunModule) -> None:
    host = Host(server, change, run_module)
    host.start()
    planned = host.plan()
    by_reload = [change.classes[how] for how in (changes.RELOAD, changes.LATER) if how in change.classes]
    by_restart = [change.classes[how] for how in (changes.RESTART,) if how in change.classes]
    came = by_reload if planned.get("action") == "reload" and by_reload else [*by_restart, *by_reload]
    expected = max((VERDICTS[each] for each in came if each in VERDICTS), key=ORDER.index)
    said = planned.get("msg") or planned["dangers"]
    assert verdict(planned) == OTHERWISE.get(change.name, expected), said
