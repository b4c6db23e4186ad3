# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make dev` installs with: it asks the collection in a process of its own whether there is a Go."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """Give the Python of an environment that is a link to that of another checkout, as in a worktree."""
    other = tmp_path / "other"
    (other / "bin").mkdir(parents=True)
    (other / "bin" / "python").touch()
    (tmp_path / "lock.txt").write_text("one==1\n")
    (other / "stamp").write_text(environment.fingerprint(other, tmp_path / "lock.txt"))
    (tmp_path / "venv").symlink_to(other)
    return tmp_path / "venv" / "bin" / "python"


def test_an_environment_that_another_checkout_made_from_the_same_lock_is_used(linked: Path, tmp_path: Path) -> None:
    environment.make(linked, tmp_path / "lock.txt")
    assert linked.exists()


def test_the_environment_of_another_checkout_is_never_cleared(linked: Path, tmp_path: Path) -> None:
    (tmp_path / "lock.txt").write_text("one==2\n")
    with pytest.raises(SystemExit, match=r"is a link to .*nothing was touched"):
        environment.make(linked, tmp_path / "lock.txt")
    assert linked.exists()
