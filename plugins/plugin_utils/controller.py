# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who this run of ansible-playbook is, and whether another one of this machine still runs. On the controller alone."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import platform
import pwd
import re
import subprocess
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._host import process

_MACHINE_ID = Path("/etc/machine-id")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")
# The kernel gives the first namespace of processes always the same number.
_FIRST_NAMESPACE = "pid:[4026531836]"
_DIGITS = 8
# Who is behind the account that the run has: of a sudo, of GitHub, GitLab, Jenkins and CircleCI.
_BEHIND = ("SUDO_USER", "GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILD_USER_ID", "CIRCLE_USERNAME")
_NO_PART_OF_A_USER = re.compile(r"[^\w.@+-]")
_LONGEST_USER = 64


@dataclass(frozen=True)
class Controller:
    """A machine that runs deployments. machine: what names it for good. boot: what names the time since it was started.

    Processes that can't see each other are on different machines.
    """

    machine: str
    boot: str

    def __str__(self) -> str:
        return f"{self.machine}-{self.boot}"


def this() -> Controller:
    """Name the machine that this runs on."""
    return name(platform.node(), _read(_MACHINE_ID), _read(_BOOT_ID), _namespace())


def name(node: str, machine_id: str, boot_id: str, namespace: str) -> Controller:
    """Name a machine. namespace: of its processes, as /proc shows it, empty where there is no such thing."""
    identity = [machine_id, namespace]
    if not machine_id or namespace not in ("", _FIRST_NAMESPACE):
        # A container, or a machine that nothing tells from others: after another boot it is taken for another one.
        identity.append(boot_id)
    return Controller(f"{node}-{_short('/'.join(identity))}", _short(boot_id))


def claim(holder: Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    """Give the claim of this run to a lease that was seen with this holder, or with none."""
    here = this()
    pid = _playbook()
    return {
        "controller": str(here),
        "pid": pid,
        "started": started(pid),
        "user": user(),
        "gone": {"pid": holder["pid"], "started": holder["started"]} if holder and is_gone(holder, here) else None,
    }


def user() -> str:
    """Name who runs this: the account, by its number where it has no name, and who is behind it."""
    return user_of(account_name(os.geteuid()), os.environ)


def user_of(account: str, environment: Mapping[str, str]) -> str:
    """Name who is behind an account, as the environment has it, and the account."""
    behind = next((found for name in _BEHIND if (found := _plain(environment.get(name, "")))), "")
    return f"{behind} (as {_plain(account)})" if behind and behind != account else _plain(account)


def account_name(uid: int) -> str:
    """Give the name of an account, or its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _plain(text: str) -> str:
    return _NO_PART_OF_A_USER.sub("_", text.strip())[:_LONGEST_USER]


def is_gone(holder: Mapping[str, t.Any], here: Controller) -> bool:
    """Say whether a holder was a process of this machine, and runs no more."""
    machine, _hyphen, boot = str(holder["controller"]).rpartition("-")
    if machine != here.machine:
        return False
    return boot != here.boot or not is_running(int(holder["pid"]), str(holder["started"]))


def is_running(pid: int, since: str) -> bool:
    """Say whether a process runs, not a later one with its number; in doubt it does."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    state, found = _look_up(pid)
    return state not in process.ENDED and found in (since, "")


def started(pid: int) -> str:
    """Give what tells a process from a later one with its number; empty where that can't be seen."""
    return _look_up(pid)[1]


def _look_up(pid: int) -> tuple[str, str]:
    """Give the state and the start of a process; empty where they can't be seen."""
    if Path("/proc/self/stat").exists():
        try:
            state, ticks = process.parse_stat(Path("/proc", str(pid), "stat").read_text(errors="replace"))
        except (OSError, ValueError):
            return "", ""
        return state, str(ticks)
    said = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return "", " ".join(said.stdout.split())


def _playbook() -> int:
    """Give the number of ansible-playbook's own process, of which this may be a fork."""
    parent = multiprocessing.parent_process()
    return parent.pid if parent and parent.pid else os.getpid()


def _namespace() -> str:
    try:
        return str(_NAMESPACE.readlink())
    except OSError:
        return ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
