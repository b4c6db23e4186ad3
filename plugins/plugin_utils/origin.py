# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who deploys, in which run, and by which commit of the inventory. On the controller alone, and never a failure."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import subprocess
import typing as t
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from ansible import constants

from ansible_collections.rosey.nats.plugins.module_utils._deploy import lease
from ansible_collections.rosey.nats.plugins.plugin_utils import controller

# With these, as in a hook, git would look at another repository than that of the directory.
_OF_ANOTHER_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR")
# It writes nothing, and starts no monitor of files. The filters that its user has configured are run, as by any look:
# without those of git-crypt, say, each file that was touched would count as changed.
_GIT = ("git", "--no-optional-locks", "-c", "core.fsmonitor=false")
_GIT_SECONDS = 10.0
_COMMIT = re.compile(r"# branch\.oid ([0-9a-f]{40,64})", re.ASCII)
_PROCESS_DIGITS = 6


def of_this_run(name: str, inventory_dir: str) -> dict[str, str]:
    """Give who deploys, as nats_release takes it. name: that somebody gave the run, empty for one that is made."""
    claim = lease.claim(controller.claim(None))
    return {
        "run": name or _once("run", lambda: made_name(datetime.now(UTC), claim.run)),
        "process": claim.run,
        "user": claim.user,
        "commit": _once(f"commit of {inventory_dir}", lambda: commit(Path(inventory_dir))) if inventory_dir else "",
    }


def made_name(now: datetime, process: str) -> str:
    """Name a run that nobody gave a name, so that names sort by time."""
    return f"run-{now:%Y%m%dT%H%M%SZ}-{process[:_PROCESS_DIGITS]}"


def commit(directory: Path) -> str:
    """Give the commit that a directory is of, with a plus where something in it was not committed; empty for none."""
    said = _git(directory, "status", "--porcelain=v2", "--branch", "--untracked-files=normal", "--", ".")
    head, *more = said.splitlines() or [""]
    found = _COMMIT.fullmatch(head)
    if not found:
        return ""
    if any(not line.startswith("# ") for line in more):
        return f"{found[1]}+"
    # what git ignores as a whole is of no commit
    return found[1] if _git(directory, "rev-parse", "--verify", "--quiet", "HEAD:./") else ""


def _git(directory: Path, *arguments: str) -> str:
    """Give what git says of a directory; empty where it can't tell."""
    environment = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_REPOSITORY}
    try:
        done = subprocess.run(
            [*_GIT, "-C", str(directory), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _once(what: str, make: Callable[[], str]) -> str:
    """Give what is made once in a run of ansible-playbook, by whichever of its processes asks first."""
    path = Path(constants.DEFAULT_LOCAL_TMP, f"rosey-nats-{hashlib.sha256(what.encode()).hexdigest()[:16]}")
    try:
        with path.open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            if not (kept := file.read()):
                kept = json.dumps(make())
                file.write(kept)
            found: t.Any = json.loads(kept)
            return str(found)
    except (OSError, ValueError):
        # a directory that is gone, such as one of a program that is not ansible-playbook
        return make()
