# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory tree as it is copied, cloned where the file system can, and compared."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._host import held, system
from ansible_collections.rosey.nats.plugins.module_utils._host.held import Directories

# The server keeps its data in this directory of its store_dir (server/jetstream.go, JetStreamStoreDir).
DATA = "jetstream"
# linux/fs.h; Python's fcntl names it from 3.14 on
_FICLONE = 0x40049409
BLOCK = 512  # bytes of st_blocks, see stat(2)
_CHUNK = 1024 * 1024
_NO_COPY_RANGE = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


class StoreError(Exception):
    """Why a store can't be copied, or a version is none, in words for the user."""


def make_directories_like(places: Directories, top: Path, path: Path, status: os.stat_result) -> None:
    """Make the directories of a path that are missing, the top among them, with this owner and mode."""
    for directory in (top, *(top / above for above in reversed([path, *path.parents][:-1]))):
        at = places.at(directory)
        if not at.is_dir():
            at.mkdir(0o700)
            _set_metadata(at, status)
            flush([places.into(directory.parent)])


def children(copies: Path) -> list[Path]:
    """Name what stands in the directory of the copies; StoreError."""
    with explained(copies, "listing the copies"):
        return sorted(copies.iterdir()) if copies.is_dir() else []


# Files


def inventory_of(directory: Path) -> dict[Path, os.stat_result]:
    """Give what stands in a directory, by its path in it, and nothing of elsewhere, whatever links come; OSError."""
    status_of: dict[Path, os.stat_result] = {}
    with Directories() as places:
        try:
            top = places.descriptor(directory)
        except FileNotFoundError:
            return status_of
        for above, directories, files, descriptor in os.fwalk(".", dir_fd=top, onerror=_raise_unless_gone):
            for name in (*directories, *files):
                # A server that still runs, as it does in check mode, removes files meanwhile.
                with suppress(FileNotFoundError):
                    status_of[Path(above, name)] = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    return status_of


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def is_same(left: Mapping[Path, os.stat_result], right: Mapping[Path, os.stat_result]) -> bool:
    """Tell whether two inventories are of the same tree, with nothing written between them."""

    def marks(inventory: Mapping[Path, os.stat_result]) -> dict[Path, tuple[int, ...]]:
        # Entries come and go in a directory without a trace in what is left, so only files have size and time.
        return {
            path: (status.st_mode, status.st_uid, status.st_gid)
            + (() if stat.S_ISDIR(status.st_mode) else (status.st_size, status.st_mtime_ns))
            for path, status in inventory.items()
        }

    return marks(left) == marks(right)


def copy_tree(source: Path, target: Path, *, reflink: bool) -> None:
    """Copy a directory with all that belongs to its files; OSError, StoreError."""
    inventory = inventory_of(source)
    target.mkdir(0o700)
    # whoever may write around it may put something else in its place
    descriptor = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_uid != os.geteuid():
            raise StoreError(
                f"{target.name} was moved away while it was written; expected nobody else there; run again"
            )
        _copy_into(source, held.way(descriptor), inventory, reflink=reflink)
        _set_metadata_of(descriptor, source.stat())
    finally:
        os.close(descriptor)


def _copy_into(source: Path, target: Path, inventory: dict[Path, os.stat_result], *, reflink: bool) -> None:
    for path, status in inventory.items():
        copy = target / path
        if stat.S_ISDIR(status.st_mode):
            copy.mkdir(0o700)
        elif stat.S_ISLNK(status.st_mode):
            copy.symlink_to((source / path).readlink())
            _set_metadata(copy, status)
        elif stat.S_ISREG(status.st_mode):
            _copy_file(source / path, status, copy, reflink=reflink)
            _set_metadata(copy, status)
        else:
            raise StoreError(
                f"{source / path} is no file, directory or link; expected nothing else in a store; move it"
            )
    # What is put into a directory changes its time, and its mode may forbid to put anything there.
    for path in reversed(inventory):
        if stat.S_ISDIR(inventory[path].st_mode):
            _set_metadata(target / path, inventory[path])


def _set_metadata(path: Path, status: os.stat_result) -> None:
    if stat.S_ISLNK(path.lstat().st_mode):
        os.chown(path, status.st_uid, status.st_gid, follow_symlinks=False)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        _set_metadata_of(descriptor, status)
    finally:
        os.close(descriptor)


def _set_metadata_of(descriptor: int, status: os.stat_result) -> None:
    now = os.fstat(descriptor)
    if (now.st_uid, now.st_gid) != (status.st_uid, status.st_gid):
        os.fchown(descriptor, status.st_uid, status.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
    os.utime(descriptor, ns=(status.st_atime_ns, status.st_mtime_ns))


def _copy_file(source: Path, status: os.stat_result, target: Path, *, reflink: bool) -> None:
    with system.opened(source, follow=False) as reader, target.open("xb") as writer:
        if not os.path.samestat(status, os.fstat(reader.fileno())):
            raise StoreError(f"{source} was replaced while it was copied; expected nobody to write there; run again")
        if not (reflink and _clone(reader.fileno(), writer.fileno())):
            _copy_data(reader.fileno(), writer.fileno())


def _clone(source: int, target: int) -> bool:
    """Let the target share the blocks of the source; says whether the file system can."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def can_reflink(sample: Path | None, directory: Path) -> bool:
    """Try it with a file that has no name and is gone afterwards."""
    if sample is None:
        return False
    with sample.open("rb") as reader, tempfile.TemporaryFile(dir=directory) as writer:
        return _clone(reader.fileno(), writer.fileno())


def _copy_data(source: int, target: int) -> None:
    """Copy what is written of a file and leave its holes."""
    size = os.fstat(source).st_size
    os.ftruncate(target, size)
    start = 0
    while start < size:
        try:
            start = os.lseek(source, start, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # nothing but a hole is left
            raise
        end = os.lseek(source, start, os.SEEK_HOLE)
        _copy_range(source, target, start, end)
        start = end


def _copy_range(source: int, target: int, start: int, end: int) -> None:
    while start < end:
        try:
            copied = os.copy_file_range(source, target, end - start, start, start)
        except OSError as error:
            if error.errno not in _NO_COPY_RANGE:
                raise
            copied = os.pwrite(target, os.pread(source, min(_CHUNK, end - start), start), start)
        if not copied:
            raise OSError(errno.EIO, "a file became shorter while it was copied")
        start += copied


def flush(paths: Collection[Path]) -> None:
    """See files and directories on the disk; links are there with their directory."""

    # The disk takes several at a time.
    with ThreadPoolExecutor() as pool:
        list(pool.map(system.flush, (path for path in paths if not path.is_symlink())))


@contextmanager
def explained(path: Path, doing: str) -> Iterator[None]:
    """Make a StoreError of what the system refuses. doing: what was tried, such as copying it."""
    try:
        yield
    except OSError as error:
        place = path if not error.filename or held.is_way(str(error.filename)) else error.filename
        raise StoreError(
            f"{path}: {doing} failed: {error.strerror} ({place}); expected to be allowed to and space for it; run as "
            "root or as the server's user, and look at the file system"
        ) from error
