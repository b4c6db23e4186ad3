# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are whole or not there, whenever the writer dies, and locks that end with their holder.

A sealed file is one line of JSON: a body, the version of the format and the body's SHA-256.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import time
import typing as t
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._host import system

FORMAT = 1

_TEMPORARY = ".rosey-"
# Neither a manifest nor what somebody else may have named.
_IS_TEMPORARY = re.compile(r"\.rosey-[0-9a-f]{8}(\..*)?", re.ASCII | re.DOTALL)
GUARD = "guard"
_GUARD_SECONDS = 30.0
_PAUSE = 0.02
_PRIVATE_DIRECTORY = 0o700
_PRIVATE_FILE = 0o600
_WRITABLE_BY_OTHERS = 0o022


class ReleaseError(Exception):
    """Why releases or the lease can't be read or written as asked: whole sentences that say what to do."""


class DamagedError(Exception):
    """Why a file is not trusted, in a few words."""


def canonical(value: t.Any) -> str:
    """Write a plain value as JSON in the one way that equal values share."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def sha256(text: str) -> str:
    """Give the SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def prepare(directory: Path) -> None:
    """Make a directory that only this user can look into, or make sure that it is one."""
    with _explained(directory, "making the directory"):
        missing = [path for path in (directory, *directory.parents) if not path.exists()]
        system.make_directories(directory.parent)
        directory.mkdir(_PRIVATE_DIRECTORY, exist_ok=True)
        for path in reversed(missing):
            system.flush(path.parent)
        status = directory.stat()
        if os.geteuid() not in (0, status.st_uid):
            owner, user = system.user_name(status.st_uid), system.user_name(os.geteuid())
            raise ReleaseError(
                f"{directory}: it belongs to {owner}; expected {user}, who writes to it. Name another directory, or "
                "run as its owner."
            )
        if stat.S_IMODE(status.st_mode) != _PRIVATE_DIRECTORY:
            directory.chmod(_PRIVATE_DIRECTORY)


def write(path: Path, body: Mapping[str, t.Any]) -> None:
    """Seal a body and put it at the path, in one step."""
    sealed = {"format": FORMAT, "sha256": sha256(canonical(body)), "body": body}
    put(path, canonical(sealed) + "\n")


def put(path: Path, text: str) -> None:
    """Put a private file at the path: whenever this is cut off, the old one or the new one is there, and whole."""
    temporary = path.with_name(temporary_name())
    with _explained(path, "writing it"):
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _PRIVATE_FILE)
        try:
            try:
                rest = memoryview(text.encode())
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            system.make_way(path)
            temporary.rename(path)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise
        system.flush(path.parent)


def check_place(path: Path, *, is_directory: bool = False) -> None:
    """Make sure that put() could put a file at the path, or that a directory is or may be there; ReleaseError.

    Only what stands there is looked at, and nothing is changed.
    """
    try:
        status = path.lstat()
        is_fit = stat.S_ISDIR(path.stat().st_mode) if is_directory else stat.S_ISREG(status.st_mode)
        if is_fit or (not is_directory and system.may_be_moved(path, status)):
            return
    except FileNotFoundError:
        if not path.is_symlink():
            return
    except OSError as error:
        raise ReleaseError(f"{system.failure(path, 'looking at it', error)} Nothing was touched.") from error
    wanted = "a directory" if is_directory else "a file, or nothing"
    raise ReleaseError(
        f"{path}: something else stands there; expected {wanted}, else what is deployed could not be recorded. Move it "
        "away and run again. Nothing was touched."
    )


def try_out(directory: Path, size: int) -> None:
    """Write so many bytes to a new file in a directory, and take it away; ReleaseError where that can't be done."""
    path = directory / temporary_name()
    with _explained(directory, f"trying whether {size} bytes can be written there"):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _PRIVATE_FILE)
        try:
            os.posix_fallocate(descriptor, 0, size)
        finally:
            os.close(descriptor)
            path.unlink(missing_ok=True)


def temporary_name() -> str:
    """Give a new name for what is being written; a full stop and more may follow it."""
    return _TEMPORARY + secrets.token_hex(4)


def is_temporary(name: str) -> bool:
    """Say whether something was being written with this name."""
    return _IS_TEMPORARY.fullmatch(name) is not None


def remove(path: Path) -> None:
    """Take a file away, and see it gone on the disk."""
    with _explained(path, "removing it"):
        path.unlink(missing_ok=True)
        system.flush(path.parent)


def set_aside(path: Path, name: str) -> None:
    """Give what stands at a path another name in its directory."""
    with _explained(path, "moving it aside"):
        path.rename(path.with_name(name))
        system.flush(path.parent)


def sweep(directory: Path) -> None:
    """Take away what writers that died have left: files, and directories with all that is in them."""
    for path in directory.glob(f"{_TEMPORARY}*"):
        if not is_temporary(path.name):
            continue
        with _explained(path, "removing what a run that was cut off has left"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def names(directory: Path) -> list[str]:
    """Name what stands in a directory, less what is still being written."""
    try:
        return sorted(path.name for path in directory.iterdir() if not path.name.startswith(_TEMPORARY))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ReleaseError(f"{directory}: it can't be listed: {error.strerror}. Run as its owner.") from error


def read(path: Path) -> dict[str, t.Any]:
    """Give the body of a sealed file; FileNotFoundError, or DamagedError where it can't be trusted."""
    text = read_text(path)
    if not text.endswith("}\n"):
        raise DamagedError("truncated")
    try:
        sealed = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        # The error itself would carry the text on.
        raise DamagedError("no JSON") from None
    if not isinstance(sealed, dict) or not isinstance(sealed.get("body"), dict):
        raise DamagedError("wrong type, expected a sealed mapping")
    if sealed.get("format") != FORMAT:
        raise DamagedError(f"unknown format {sealed.get('format')!r}, expected {FORMAT}")
    body: dict[str, t.Any] = sealed["body"]
    if sealed.get("sha256") != sha256(canonical(body)):
        raise DamagedError("checksum")
    return body


def _no_number(word: str) -> t.NoReturn:
    """Refuse NaN and the infinities, which are no JSON."""
    raise ValueError(word)


def read_text(path: Path) -> str:
    """Give the text of a file that only its owner can have written; FileNotFoundError, DamagedError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = "symlink" if error.errno == errno.ELOOP else f"not readable, {error.strerror}"
        raise DamagedError(reason) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise DamagedError("wrong type, expected a regular file")
        if status.st_uid not in (os.geteuid(), path.parent.stat().st_uid):
            raise DamagedError(f"belongs to {system.user_name(status.st_uid)}")
        if status.st_mode & _WRITABLE_BY_OTHERS:
            raise DamagedError(f"mode {stat.S_IMODE(status.st_mode):04o} lets others write to it")
        with open(descriptor, "rb", closefd=False) as stream:
            if status.st_size > system.LARGEST:
                raise DamagedError(f"more than {system.LARGEST} bytes")
            return stream.read().decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = f"not readable, {error.strerror}" if isinstance(error, OSError) else "no text"
        raise DamagedError(reason) from None
    finally:
        os.close(descriptor)


@contextmanager
def guard(directory: Path) -> Iterator[None]:
    """Be the only one who writes to the directory's files, for the short time that this takes."""
    prepare(directory)
    with lock_file(directory / GUARD) as descriptor:
        if not lock(descriptor, fcntl.LOCK_EX, _GUARD_SECONDS):
            raise ReleaseError(
                f"{directory}: another process has held {GUARD} for {_GUARD_SECONDS:.0f} s. "
                f"See with `fuser -v {directory / GUARD}` which one hangs, end it and run again."
            )
        yield


@contextmanager
def lock_file(path: Path) -> Iterator[int]:
    """Open a file to be locked, which is made where it is missing. The lock ends with this, or with the process."""
    with _explained(path, "opening the lock"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, _PRIVATE_FILE)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def lock(descriptor: int, operation: int, seconds: float) -> bool:
    """Take a flock(2), shared or exclusive, waiting at most so long; says whether it was had."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_PAUSE)
        else:
            return True


@contextmanager
def _explained(path: Path, doing: str) -> Iterator[None]:
    """Say of a system error which path it met."""
    try:
        yield
    except OSError as error:
        advice = system.remedy(path, error) or "Remove the cause and run again."
        raise ReleaseError(f"{system.failure(path, doing, error)} {advice}") from error
