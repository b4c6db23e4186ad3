# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories that are held open, so that what is done in one is done there, whatever becomes of the way to it.

Where an account may write, it may put a link in the place of any directory, at any moment. So root passes no link that
another account made, and goes by a descriptor from then on.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from ansible_collections.rosey.nats.plugins.module_utils._host import system

_OWN = Path("/proc/self/fd")
_WAY = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
# As the kernel, path_resolution(7).
_MOST_LINKS = 40


class Directories:
    """Holds directories until it is left.

    Its paths lead there by a descriptor of this process, so that they are of no use to another one, or to be shown.
    """

    def __init__(self) -> None:
        self._open = ExitStack()
        self._descriptors: dict[Path, int] = {}

    def __enter__(self) -> Directories:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        self._descriptors.clear()
        self._open.close()

    def descriptor(self, directory: Path) -> int:
        """Give a descriptor of a directory, as it was when this was first asked; OSError, with why in strerror."""
        if directory not in self._descriptors:
            descriptor = _open(directory)
            self._open.callback(os.close, descriptor)
            self._descriptors[directory] = descriptor
        return self._descriptors[directory]

    def into(self, directory: Path) -> Path:
        """Give the way into a directory; OSError."""
        return way(self.descriptor(directory))

    def at(self, path: Path) -> Path:
        """Give the way to what stands at a path, by the directory around it; OSError."""
        return self.into(path.parent) / path.name


def way(descriptor: int) -> Path:
    """Give the way to what a descriptor of this process is of."""
    return _OWN / str(descriptor)


def is_way(path: str) -> bool:
    """Tell whether a path is of use to this process alone."""
    return path.startswith(f"{_OWN}/")


def _open(directory: Path) -> int:
    """Open a directory by one part of its path after the other."""
    descriptor, passed = os.open("/", _WAY), Path("/")
    left, links = list(directory.parts[:0:-1]), 0
    try:
        while left:
            name = left.pop()
            passed = passed.parent if name == ".." else passed / name
            found = os.open(name, _WAY, dir_fd=descriptor)
            status = os.fstat(found)
            if not stat.S_ISLNK(status.st_mode):
                os.close(descriptor)
                descriptor = found
                continue
            try:
                _check_link(passed, status)
                target = Path(os.readlink("", dir_fd=found))
            finally:
                os.close(found)
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(directory))
            left += [part for part in reversed(target.parts) if part != "/"]
            passed = passed.parent
            if target.is_absolute():
                os.close(descriptor)
                descriptor, passed = os.open("/", _WAY), Path("/")
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(directory))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_link(link: Path, status: os.stat_result) -> None:
    """Refuse root a link that another account made, since that may lead anywhere."""
    if os.geteuid() == 0 and status.st_uid != 0:
        raise OSError(
            errno.ELOOP,
            f"{link} is a link of {system.user_name(status.st_uid)}'s, which root does not follow; expected a "
            f"directory, or a link that root made (chown -h root {link}, once you have seen where it leads)",
            str(link),
        )
