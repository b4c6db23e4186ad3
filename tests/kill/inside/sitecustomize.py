# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python imports this in every process that has this directory in PYTHONPATH: it kills from inside a module of Ansible.

A module's run is counted in what it does to its surroundings: opening a file to write, renaming, starting a process,
connecting. The kill comes just before the one with the number of the point, so all points together are all the states
that a module can leave a host in, but for single bytes.
"""

from __future__ import annotations

import atexit
import json
import mmap
import os
import signal
import sys
import time
from pathlib import Path

_COUNTED = {
    "fcntl.flock",
    "os.chmod",
    "os.chown",
    "os.fork",
    "os.kill",
    "os.link",
    "os.mkdir",
    "os.posix_spawn",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.symlink",
    "os.truncate",
    "os.utime",
    "socket.connect",
    "subprocess.Popen",
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class _Counter:
    def __init__(self) -> None:
        self.module = ""
        # Shared with what the module forks: its doings are the module's.
        self._count = mmap.mmap(-1, mmap.PAGESIZE)
        self.process = os.getpid()
        self.task = json.loads(os.environ["KILL_TASK"])
        self.point = json.loads(os.environ.get("KILL_POINT", "{}"))
        self.armed = self.point.get("what", "boundary") != "boundary" and self.task.items() <= self.point.items()

    def see(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "exec" and not self.module:
            name = Path(getattr(arguments[0], "co_filename", ""))
            if name.parent.name == "modules" and name.stem != "__init__":
                self.module = name.stem
        elif self.module and (event in _COUNTED or (event == "open" and _is_writing(arguments))):
            self.reach()

    @property
    def count(self) -> int:
        return int.from_bytes(self._count[:4], "little")

    def reach(self, *, last: bool = False) -> None:
        self._count[:4] = (self.count + 1).to_bytes(4, "little")
        # Runs differ by a few doings: what was not reached is reached at the end.
        if not self.armed or (self.count != self.point["event"] and not last):
            return
        self.armed = False
        if self.point["what"] == "module":
            # Not what the module has started: that may be meant to outlive it.
            os.kill(self.process, signal.SIGKILL)
        else:
            os.killpg(int(os.environ["KILL_PLAYBOOK"]), signal.SIGKILL)
            time.sleep(self.point["hold"])

    def end(self) -> None:
        if self.module and os.getpid() == self.process:
            # Everything is done, and nothing is said yet.
            self.reach(last=True)
            with Path(os.environ["KILL_TRACE"]).open("a") as trace:
                print(json.dumps({**self.task, "module": self.module, "events": self.count}), file=trace)


def _is_writing(arguments: tuple[object, ...]) -> bool:
    flags = arguments[2] if len(arguments) > 2 else 0
    return isinstance(flags, int) and bool(flags & _WRITING)


# A module comes over the standard input of a Python without arguments.
if "KILL_TASK" in os.environ and len(sys.orig_argv) == 1:
    _counter = _Counter()
    sys.addaudithook(_counter.see)
    atexit.register(_counter.end)
