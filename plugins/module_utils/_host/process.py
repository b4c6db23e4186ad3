# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes and sockets of a Linux host: what runs without a service manager, and who listens where."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._host import system

# The states of a process that was stopped, by a signal or by a debugger, see proc(5).
STOPPED = frozenset("Tt")
# Those of one that has ended, and may only wait for its parent to be told.
ENDED = frozenset("ZXx")

PROC = Path("/proc")
_DELETED = " (deleted)"
# Fields of stat, counted from the one after the name: 22, and 26 to 28, where the program and its stack lie.
_STARTED_FIELD = 19
_PLACE_FIELDS = slice(23, 26)
_OPTION = re.compile(r"--?(?P<name>[^-=][^=]*)(?:=(?P<value>.*))?", re.DOTALL)
# The kernel counts the start of a process in ticks of a hundredth of a second.
_TICK = 0.05
# Between its two changes exec takes microseconds, longer on a busy host.
_NOT_YET: tuple[str, ...] = ()
_LOOKS = 100
_PAUSE = 0.001
# A pid file is written at once after the start, and then as soon as a busy host gets to it.
_NOTED_SECONDS = 10


@dataclass(frozen=True)
class Process:
    """A process as /proc shows it, see proc(5).

    uid: its effective user. executable: the file that it was started from, which may be another or gone by now.
    command: its arguments. started: clock ticks from boot to its start; with the pid it names one process for good.
    """

    pid: int
    uid: int
    executable: Path
    command: tuple[str, ...]
    started: int

    @property
    def started_at(self) -> str:
        """When it was started: ISO 8601, UTC, to the second."""
        booted = next(
            int(line.split()[1]) for line in (PROC / "stat").read_text().splitlines() if line.startswith("btime ")
        )
        moment = datetime.fromtimestamp(booted + self.started / os.sysconf("SC_CLK_TCK"), timezone.utc)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def age(self) -> float:
        """How many seconds ago it was started, to a clock tick."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) - self.started / os.sysconf("SC_CLK_TCK")

    @property
    def started_at_second(self) -> float:
        """When it was started by the clock of now, in seconds, to a clock tick."""
        return time.time() - self.age

    def is_older_than(self, file: Path) -> bool:
        """Tell whether a file was written after the process was started, which so has not read it at its start."""
        try:
            return system.written(file.stat()) / 1e9 > self.started_at_second + _TICK
        except OSError:
            return False

    def is_noted_since_its_start(self, pid_file: Path) -> bool:
        """Tell whether its own user wrote its number to a pid file just as it was started.

        Written at another time, such as before the host was booted, the number is that of an earlier process.
        """
        try:
            written = pid_file.lstat()
        except OSError:
            return False
        is_at_its_start = abs(written.st_mtime - self.started_at_second) < _NOTED_SECONDS
        return is_at_its_start and written.st_uid == self.uid and noted_pids(pid_file) == (self.pid,)


def parse_stat(text: str) -> tuple[str, int]:
    """Read the state and the start (clock ticks after boot) of a process out of /proc/<pid>/stat; ValueError."""
    # The second field is the program's name in brackets, which may hold spaces and brackets itself.
    fields = text.rpartition(")")[2].split()
    if len(fields) <= _STARTED_FIELD:
        raise ValueError(f"no text of /proc/<pid>/stat: {text!r}")
    return fields[0], int(fields[_STARTED_FIELD])


def state(directory: Path) -> str:
    """Give the state of a process, or of one of its threads, by its directory in /proc; empty where it has ended."""
    try:
        return parse_stat((directory / "stat").read_text(errors="replace"))[0]
    except (OSError, ValueError):
        return ""


def read(pid: int, *, by_command: bool = False) -> Process | None:
    """Look at a process; None when it has ended or this user may not see what it runs.

    by_command: in that case its command line tells that, since whoever named the process knows it. In a container
    without SYS_PTRACE even root does not see what other users run.
    """
    for _look in range(_LOOKS):
        found = _read(pid, by_command)
        if found is None or found.command != _NOT_YET:
            return found
        time.sleep(_PAUSE)
    return None


def _read(pid: int, by_command: bool) -> Process | None:
    directory = PROC / str(pid)
    try:
        stat = (directory / "stat").read_text(errors="replace")
        state, started = parse_stat(stat)
        if state in ENDED:
            return None
        executable = _executable(directory, by_command)
        words = (directory / "cmdline").read_bytes()
        # exec puts each program elsewhere, also one that it ran before: in one place both were of one program
        if _place(stat) != _place((directory / "stat").read_text(errors="replace")):
            words = b""
        uid = directory.stat().st_uid
    except (OSError, ValueError):
        return None
    command = tuple(map(os.fsdecode, words.removesuffix(b"\0").split(b"\0"))) if words else _NOT_YET
    seen = executable or (os.path.realpath(command[0]) if command else "")
    return Process(pid, uid, Path(seen), command, started)


def _place(stat: str) -> list[str]:
    """Give where the program of a process lies in its memory, which is another for each that it runs."""
    return stat.rpartition(")")[2].split()[_PLACE_FIELDS]


def _executable(directory: Path, may_be_hidden: bool) -> str:
    """Give what a process runs; nothing where this user may not see it and that is all right."""
    try:
        return str((directory / "exe").readlink()).removesuffix(_DELETED)
    except PermissionError:
        if not may_be_hidden:
            raise
        return ""


def account(process: Process) -> system.Account | None:
    """Give who a process runs as, with the groups that it was started with; None where it has ended."""
    try:
        lines = (PROC / str(process.pid) / "status").read_text(errors="replace").splitlines()
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    # the effective ones are the second
    uid, gid = (int(fields[name].split()[1]) for name in ("Uid", "Gid"))
    groups = frozenset({gid, *map(int, fields["Groups"].split())})
    return system.Account(system.user_name(uid), system.group_name(gid), uid, gid, groups)


def environment(process: Process) -> dict[str, str]:
    """Give the environment that a process was started with; empty where this user may not see it."""
    try:
        text = (PROC / str(process.pid) / "environ").read_bytes().decode(errors="surrogateescape")
    except OSError:
        return {}
    return dict(line.split("=", 1) for line in text.split("\0") if "=" in line)


def config_file(server: Process) -> Path | None:
    """Give the configuration file that a nats-server was started with; None where its command line names none."""
    named = config_argument(server.command)
    if named is None:
        return None
    try:
        directory = (PROC / str(server.pid) / "cwd").readlink()
    except OSError:
        directory = Path("/")  # where both systemd and start() put it
    return directory / named


def config_argument(command: Sequence[str]) -> str | None:
    """Give the configuration file that a command line of nats-server names, as it stands there."""
    return argument(command, "c", "config")


def argument(command: Sequence[str], *names: str) -> str | None:
    """Give the value of an option of a command line that Go reads, as it stands there: the last one counts."""
    value = None
    for following, word in enumerate(command[1:], start=2):
        option = _OPTION.fullmatch(word)
        if option is None or option["name"] not in names:
            continue
        if option["value"] is not None:
            value = option["value"]
        elif following < len(command):
            value = command[following]
    return value


def open_files(pid: int) -> list[str]:
    """Name the files that a process has open, as it sees them; none where this user may not see them."""
    files = []
    with suppress(OSError):
        for descriptor in (PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):
                files.append(str(descriptor.readlink()))
    # a socket or a pipe has no path
    return [each for each in dict.fromkeys(files) if each.startswith("/")]


def owner(file: Path) -> int | None:
    """Say who wrote a file, such as a pid file, and so runs its program; None where there is none.

    Another program of the host may make root look at it.
    """
    try:
        return file.stat().st_uid
    except OSError:
        return None


def pids() -> list[int]:
    """Name the processes of this host."""
    return sorted(int(each.name) for each in PROC.iterdir() if each.name.isdecimal())


def noted_pids(pid_file: Path) -> tuple[int, ...]:
    """Give the process that a pid file names, as one that may be there; none where it can't be read."""
    try:
        return (int(system.read_text(pid_file)),)
    except (OSError, ValueError):
        return ()


def is_same(process: Process) -> bool:
    """Tell whether a process still is the one that was read."""
    now = read(process.pid)
    return now is not None and now.started == process.started


def handle_of(process: Process) -> int | None:
    """Open a descriptor of a process; None where the system has no such thing or forbids it."""
    try:
        return os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        return None


def program_name(pid: int) -> str:
    """Give the name of a process's program, and no argument: arguments may be secret."""
    try:
        return (PROC / str(pid) / "comm").read_text(errors="replace").strip()
    except OSError:
        return "a program that has just ended"
