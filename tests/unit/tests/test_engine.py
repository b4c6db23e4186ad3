# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.rosey.nats.tests import engine


@pytest.mark.parametrize(("program", "expected"), [("sleep", True), ("dockerd", False)])
def test_a_process_counts_under_its_own_name_while_it_runs(tmp_path: Path, program: str, expected: bool) -> None:
    pid_file = tmp_path / "pid"
    assert not engine.runs(pid_file, program)
    with subprocess.Popen(["sleep", "60"]) as process:
        pid_file.write_text(f"{process.pid}\n")
        # Popen returns a moment before the process has its own name
        while Path(f"/proc/{process.pid}/comm").read_text() != "sleep\n":
            pass
        assert engine.runs(pid_file, program) is expected
        process.kill()
        # ended, and not yet waited for
        while engine.runs(pid_file, program):
            pass
    assert not engine.runs(pid_file, program)
