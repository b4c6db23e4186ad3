# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make dev` installs with: it asks the collection in a process of its own whether there is a Go."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ansible_collections.rosey.nats.tests import environment


def test_it_is_told_whether_there_is_a_go_and_nothing_else() -> None:
    asked = subprocess.run(
        [sys.executable, "-c", environment.FIND_GO],
        env={**os.environ, "PYTHONPATH": str(environment.COLLECTIONS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.stderr == ""
    assert asked.returncode in (0, environment.NO_GO)


def test_an_environment_is_the_same_one_through_a_link(tmp_path: Path) -> None:
    """A second working tree with a link to the first one's emptied it."""
    lock, real, link = tmp_path / "lock", tmp_path / "real", tmp_path / "link"
    lock.touch()
    real.mkdir()
    link.symlink_to(real)
    assert environment.fingerprint(link, lock) == environment.fingerprint(real, lock)
