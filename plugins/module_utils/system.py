# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host under all modules: the names of its accounts, its errors in words, and what is on its disk."""

from __future__ import annotations

import errno
import grp
import os
import pwd
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EPERM, errno.EACCES)


def user_name(uid: int) -> str:
    """Name a user; one that the host does not know by its number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """Name a group; one that the host does not know by its number."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def failure(path: Path, doing: str, error: OSError) -> str:
    """Say in a sentence which path a system error met."""
    return f"{path}: {doing} failed: {error.strerror or error}."


def remedy(path: Path, error: OSError) -> str:
    """Say in a sentence what to do about a system error, as far as the error alone tells; else nothing."""
    if error.errno in _FULL:
        directory = next((above for above in path.parents if above.is_dir()), Path("/"))
        space = os.statvfs(directory)
        return f"{space.f_bavail * space.f_frsize} bytes are free in {directory}. Make room and run again."
    if error.errno in _FORBIDDEN:
        return f"{user_name(os.geteuid())} may not do that: run as the owner, or with become."
    return ""


def flush(path: Path) -> None:
    """See a file, or the names in a directory, on the disk; OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
