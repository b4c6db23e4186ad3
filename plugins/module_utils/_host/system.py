# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host under all modules: its accounts, its packages, its errors in words, and what is on its disk."""

from __future__ import annotations

import errno
import grp
import importlib.util
import io
import itertools
import os
import pwd
import stat
import time
import typing as t
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._host import figures

# The libraries that modules need on a host beside the standard one, and Debian's packages of them.
PACKAGES = {"cryptography": "python3-cryptography", "requests": "python3-requests", "yaml": "python3-yaml"}

# What is made on the way to something has to be passed by whoever that is for.
DIRECTORY_MODE = 0o755
# Where everybody may put files that need not stay.
TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108  # compared with: nothing is put there
# Of an account that is not there yet.
NO_ID = -1
# Nanoseconds that the clocks of a file system and of the system may be apart.
_CLOCKS_APART = 2_000_000_000
# Bytes of the largest file that is read as a whole; what a host should hold is far smaller.
LARGEST = 64 << 20

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EPERM, errno.EACCES)


@dataclass(frozen=True)
class Account:
    """Who runs a program. group, gid: which its files get. groups: all that it is in."""

    name: str
    group: str
    uid: int
    gid: int
    groups: frozenset[int]


def account(name: str, group: str = "", others: Iterable[str] = ()) -> Account:
    """Look up an account, and a group other than its own; each by name or number. KeyError where there is none.

    others: groups that it is in beside those of its own. Without a name it is whoever runs this.
    """
    if not name:
        uid, gid = os.geteuid(), os.getegid()
        return Account(user_name(uid), group_name(gid), uid, gid, frozenset({gid, *os.getgroups()}))
    user = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    gid = _gid(group) if group else user.pw_gid
    groups = frozenset({*os.getgrouplist(user.pw_name, gid), *map(_gid, others)})
    return Account(user.pw_name, group_name(gid), user.pw_uid, gid, groups)


def account_to_be(name: str, group: str = "", others: Iterable[str] = ()) -> Account:
    """Look up an account as `account` does; what the host does not have yet gets the number NO_ID, which owns nothing.

    others: those of them that the host does not have are left out.
    """
    known = [each for each in others if _number(_gid, each) != NO_ID]
    try:
        return account(name, group, known)
    except KeyError:
        uid, gid = _number(_uid, name), _number(_gid, group or name)
        memberships = set(os.getgrouplist(name, -1)) if uid != NO_ID else ()
        return Account(name, group or name, uid, gid, frozenset({gid, *memberships, *map(_gid, known)}))


def _number(look_up: Callable[[str], int], name: str) -> int:
    try:
        return look_up(name)
    except KeyError:
        return NO_ID


def _uid(name: str) -> int:
    return pwd.getpwnam(name).pw_uid


def _gid(group: str) -> int:
    return (grp.getgrgid(int(group)) if group.isdecimal() else grp.getgrnam(group)).gr_gid


def run_as(who: Account | str) -> dict[str, t.Any]:
    """Give what subprocess takes to run something as an account, or the one of a name, which root alone may do.

    KeyError where there is none of that name.
    """
    if os.geteuid() != 0:
        return {}
    found = account(who) if isinstance(who, str) else who
    return {"user": found.uid, "group": found.gid, "extra_groups": found.groups}


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


def missing_packages(libraries: Iterable[str]) -> list[str]:
    """Name the packages of those libraries of PACKAGES that the Python which runs this lacks."""
    return [PACKAGES[library] for library in libraries if importlib.util.find_spec(library) is None]


def failure(path: Path, doing: str, error: OSError) -> str:
    """Say in a sentence which path a system error met."""
    return f"{path}: {doing} failed: {error.strerror or error}."


def remedy(path: Path, error: OSError) -> str:
    """Say in a sentence what to do about a system error, as far as the error alone tells; else nothing."""
    if error.errno in _FULL:
        directory = next((each for each in (path, *path.parents) if each.is_dir()), Path("/"))
        space = os.statvfs(directory)
        return f"{figures.size(space.f_bavail * space.f_frsize)} are free in {directory}. Make room and run again."
    if error.errno in _FORBIDDEN:
        return f"{user_name(os.geteuid())} may not do that: run as the owner, or with become."
    return ""


def size(path: Path) -> int:
    """Give the size of a file; 0 where none is to be seen."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def written(status: os.stat_result) -> int:
    """Give when a file was written, in nanoseconds, by its status.

    A time that was set, as touch and copies do, counts at most as of when it was set, which nobody can choose.
    """
    return min(status.st_mtime_ns, status.st_ctime_ns)


def placed(status: os.stat_result) -> int:
    """Give since when at the latest a file has stood where it does as it is, in nanoseconds, whatever time it has."""
    return status.st_ctime_ns


def is_ahead(moment: int) -> bool:
    """Tell whether a moment, in nanoseconds, is yet to come: it was set, or the clock was set back since."""
    return moment > time.time_ns() + _CLOCKS_APART


@contextmanager
def opened(path: Path, *, follow: bool = True) -> Iterator[io.BufferedReader]:
    """Open a regular file to be read; OSError, with why in strerror.

    Whatever stands there instead keeps nobody waiting, as a pipe would. follow: whether that may be a link.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
    except ValueError as error:
        raise _unusable(path, "no file can have this name") from error
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise _unusable(path, "no regular file")
        with open(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def read(path: Path, *, follow: bool = True) -> bytes:
    """Give the content of a regular file; OSError, also where it has more than LARGEST bytes. follow: as opened()."""
    with opened(path, follow=follow) as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise _unusable(path, f"more than {LARGEST} bytes, which are too many")
    return content


def read_text(path: Path, errors: str = "strict", *, follow: bool = True) -> str:
    """Give the text of a regular file; OSError, also where it is no text.

    errors: as bytes.decode() takes it. follow: as opened() does.
    """
    try:
        return read(path, follow=follow).decode("utf-8", errors)
    except UnicodeDecodeError as error:
        raise _unusable(path, "no text in UTF-8") from error


def _unusable(path: Path, why: str) -> OSError:
    return OSError(errno.EINVAL, why, str(path))


def beside(path: Path) -> Path:
    """Name a place beside a path at which nothing stands, for what is in the way."""
    names = itertools.chain([f"{path.name}.aside"], (f"{path.name}.aside.{number}" for number in itertools.count(2)))
    return next(path.with_name(name) for name in names if not os.path.lexists(path.with_name(name)))


def may_be_moved(path: Path, status: os.stat_result) -> bool:
    """Tell whether what stands in the place of a file is nobody's: a link, a pipe, or a directory that holds nothing.

    A directory with something in it, a device or a socket may be another path than was meant.
    """
    if not stat.S_ISDIR(status.st_mode):
        return stat.S_ISLNK(status.st_mode) or stat.S_ISFIFO(status.st_mode)
    try:
        return next(path.iterdir(), None) is None
    except PermissionError:
        return True  # into which its owner can't look


def make_way(path: Path) -> None:
    """Move what stands in the place of a file to beside it, where that is nobody's; OSError."""
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return
    if may_be_moved(path, status):
        path.rename(beside(path))


def real(path: Path) -> Path:
    """Give a path without the links on it, as far as it is there; a circle of links stays as it is."""
    return Path(os.path.realpath(path))


def tail(path: Path, most: int, since: int = 0) -> str:
    """Give the end of a text file, at most so many bytes, of what comes after the first since bytes; OSError."""
    with opened(path) as file:
        file.seek(max(since, file.seek(0, os.SEEK_END) - most))
        return file.read().decode(errors="replace")


def make_directories(directory: Path) -> None:
    """Make a directory and its missing parents, each with DIRECTORY_MODE whatever the umask is; OSError."""
    if not directory.is_dir():
        make_directories(directory.parent)
        directory.mkdir(exist_ok=True)
        directory.chmod(DIRECTORY_MODE)


def flush(path: Path) -> None:
    """See a file, or the names in a directory, on the disk; OSError."""
    # nobody waits for a pipe, whoever put one there
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
