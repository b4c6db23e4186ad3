# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an account of the host does, as fast as it can, while root deploys: attacker.py ATTACK WITH BASE [PATH TARGET].

It goes on until its standard input ends, puts back what it moved, and says how often it got something done. It needs
nothing but the standard library, since it runs on the host.
"""

from __future__ import annotations

import ctypes
import os
import random
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

_EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2)
_HERE = -100  # AT_FDCWD
_STAGED = ".rosey-"
_LONGEST_PAUSE = 0.004  # seconds
_LIBC = ctypes.CDLL(None, use_errno=True)

Step = Callable[[], bool]


def exchange(one: str, other: str) -> bool:
    """Let two paths change places in one instant."""
    return _LIBC.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0


def remove(path: str) -> None:
    place = Path(path)
    with suppress(OSError):
        place.rmdir() if place.is_dir() and not place.is_symlink() else place.unlink()


def put_link(path: str, target: str) -> None:
    Path(path).symlink_to(target)


def put_pipe(path: str, _target: str) -> None:
    os.mkfifo(path)


def put_directory(path: str, _target: str) -> None:
    Path(path).mkdir()


def put_name(path: str, target: str) -> None:
    os.link(target, path, follow_symlinks=False)


PUTS = {"link": put_link, "pipe": put_pipe, "directory": put_directory, "name": put_name}


class Exchanged:
    """Something of the attacker's that is, every other moment, in the place of a path."""

    def __init__(self, put: str, path: str, target: str, beside: str) -> None:
        # a directory that is root's can be moved in its place alone
        parent, name = os.path.split(path)
        self.path, self.beside = path, f"{parent}/.theirs-{name}" if Path(path).is_dir() else beside
        self._put, self._target, self._theirs = PUTS[put], target, 0

    def step(self) -> bool:
        if not os.path.lexists(self.beside):
            self._put(self.beside, self._target)
            self._theirs = os.lstat(self.beside).st_ino
        # nothing may be there yet
        return exchange(self.path, self.beside)

    def undo(self) -> None:
        with suppress(OSError):
            if os.lstat(self.path).st_ino == self._theirs:
                exchange(self.path, self.beside)
        with suppress(OSError):
            if os.lstat(self.beside).st_ino == self._theirs:
                remove(self.beside)


class Flashed(Exchanged):
    """Something of the attacker's that is in the place of a path for a moment, so that most looks do not see it."""

    def step(self) -> bool:
        done = super().step()
        super().step()
        time.sleep(random.uniform(0, _LONGEST_PAUSE))
        return done


def staged(directory: str) -> Iterator[str]:
    """Give what root is writing in a directory just now."""
    with suppress(OSError):
        yield from (str(path) for path in Path(directory).rglob(f"{_STAGED}*"))


class Replaced:
    """Something of the attacker's in the place of every new file, before root gives that its name."""

    def __init__(self, put: str, directory: str, target: str, _beside: str) -> None:
        self._directory, self._target, self._put = directory, target, PUTS[put]

    def step(self) -> bool:
        done = False
        for path in staged(self._directory):
            Path(path).unlink()
            self._put(path, self._target)
            done = True
        return done

    def undo(self) -> None:
        for path in staged(self._directory):
            remove(path)


class Triggered(Exchanged):
    """A directory that is away from the moment in which root has begun to write in it."""

    def step(self) -> bool:
        return any(True for _each in staged(self.path)) and super().step()


class Modes:
    """Modes that let everybody or nobody in."""

    def __init__(self, _put: str, path: str, _target: str, _beside: str) -> None:
        self._path, self._modes, self._was = path, [0o777, 0o000, 0o4777], stat.S_IMODE(os.lstat(path).st_mode)

    def step(self) -> bool:
        self._modes.append(self._modes.pop(0))
        Path(self._path).chmod(self._modes[0])
        return True

    def undo(self) -> None:
        with suppress(OSError):
            Path(self._path).chmod(self._was)


class Filled:
    """A disk that is full, and not, and full."""

    def __init__(self, _put: str, path: str, _target: str, _beside: str) -> None:
        self._path = f"{path}/theirs"

    def step(self) -> bool:
        with Path(self._path).open("ab", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                file.truncate(max(0, file.tell() - 4096))
        return True

    def undo(self) -> None:
        remove(self._path)


ATTACKS = {
    "exchanged": Exchanged,
    "flashed": Flashed,
    "replaced": Replaced,
    "triggered": Triggered,
    "modes": Modes,
    "filled": Filled,
}


def main() -> None:
    attack, put, beside, *given = sys.argv[1:]
    Path(beside).mkdir(exist_ok=True)
    pairs = list(zip(given[::2], given[1::2], strict=True))
    every = [ATTACKS[attack](put, path, target, f"{beside}/{number}") for number, (path, target) in enumerate(pairs)]
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    print("ready", flush=True)
    done = 0
    while not ended.is_set():
        for each in every:
            with suppress(OSError):
                done += each.step()
    for each in reversed(every):
        each.undo()
    print(done, flush=True)


if __name__ == "__main__":
    main()
