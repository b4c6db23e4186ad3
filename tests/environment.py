# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a virtual environment from a lock, once: python3 -m tests.environment .venv requirements.txt.

A third word names a lock that is installed as well where the machine has no Go to build nats-server with. It needs
nothing but the standard library, so that it can run before anything else is there.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLLECTIONS = ROOT / "collections"
OLDEST_PYTHON = (3, 11)

NO_GO = 10
# Exits with that where the collection would find no Go to build nats-server with.
FIND_GO = f"""
import platform
import sys
from ansible_collections.rosey.nats.plugins.module_utils._server import go_build, programs
try:
    go_build.find_toolchain(None, programs.find_architecture(platform.machine()))
except programs.ArchiveError:
    sys.exit({NO_GO})
"""


def fingerprint(directory: Path, lock: Path) -> str:
    """Give what the stamp of an up-to-date environment says: where it stands and what was installed into it."""
    # through a link it is the same one, and must not be emptied
    return f"{directory.resolve()}\n{hashlib.sha256(lock.read_bytes()).hexdigest()}\n"


def install(python: Path, lock: Path) -> None:
    """Install a lock into the environment of this Python."""
    print(f"Installing {lock.name} into {python.parent.parent.name} ...", flush=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    if subprocess.run([*pip, "-r", str(lock)], check=False).returncode:
        raise SystemExit(f"pip could not install {lock.name}; what it says above is the reason.")


def make(python: Path, lock: Path) -> None:
    """Make the environment that this Python is to stand in, unless it is there already."""
    directory = python.parent.parent
    stamp = directory / "stamp"
    if not (python.exists() and stamp.exists() and stamp.read_text() == fingerprint(directory, lock)):
        if sys.version_info < OLDEST_PYTHON:
            raise SystemExit(f"Python 3.11 is needed, this is {sys.version.split()[0]}. Name another: make PYTHON=...")
        if directory.is_symlink():
            raise SystemExit(
                f"{directory} is a link to {directory.resolve()}, which was made from another lock than {lock.name}; "
                "nothing was touched. Take the link away for an environment of this checkout's own."
            )
        if importlib.util.find_spec("ensurepip") is None:
            raise SystemExit("This Python can't make virtual environments. As root: apt-get install python3-venv")
        venv.create(directory, clear=True, with_pip=True)
        install(python, lock)
        stamp.write_text(fingerprint(directory, lock))


def bring_go(python: Path, lock: Path) -> None:
    """Install a Go toolchain into the environment where the machine has none."""
    find_go = [str(python), "-c", FIND_GO]
    found = subprocess.run(find_go, env={**os.environ, "PYTHONPATH": str(COLLECTIONS)}, check=False)
    if found.returncode == NO_GO:
        install(python, lock)
    elif found.returncode:
        raise SystemExit("Whether there is a Go to build nats-server with can't be told; see above.")


if __name__ == "__main__":
    python = ROOT / sys.argv[1] / "bin" / "python"
    make(python, ROOT / sys.argv[2])
    for lock in sys.argv[3:]:
        bring_go(python, ROOT / lock)
