# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Release archives of nats-server: their names, how to build one, verify one, and install the binary out of it.

The last two it does for the programs beside nats-server, too: PROGRAMS names them all."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import stat
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file, system
from ansible_collections.rosey.nats.plugins.module_utils._host.architecture import (
    ELF_HEADER,
    Architecture,
    built_for,
    built_for_header,
    why_not_executed,
)
from ansible_collections.rosey.nats.plugins.module_utils._host.python import StrEnum
from ansible_collections.rosey.nats.plugins.module_utils._server import programs
from ansible_collections.rosey.nats.plugins.module_utils._server.programs import ArchiveError, Program

VERIFIED = "verified.json"
CREDENTIALS = re.compile(r"(?<=://)[^/@\s,|]+@")

# More than ten times the size of 2.10.7's binary.
_LARGEST_BINARY = 256 * 1024 * 1024
_LARGEST_DEPTH = 2
BINARY_MODE = 0o755
_CHUNK = 1024 * 1024
ANSWER_SECONDS = 20
_SHOWN_LINES = 12


class Status(StrEnum):
    """How the directory of one installed version was found."""

    VERIFIED = "verified"
    ABSENT = "absent"
    UNVERIFIED = "unverified"
    DAMAGED = "damaged"
    OTHER = "other"


@dataclass(frozen=True)
class Installation:
    """What stands in the directory of one version.

    status, reason: the finding and a sentence about it. binary: where the binary is or would be.
    archive_sha256, binary_sha256: what was recorded when it was installed, empty where nothing was.
    """

    status: Status
    reason: str
    binary: Path
    archive_sha256: str = ""
    binary_sha256: str = ""


class LinkKind(StrEnum):
    """What stands at the place of the link."""

    ABSENT = "absent"
    LINK = "link"
    FILE = "file"
    DIRECTORY = "directory"


@dataclass(frozen=True)
class Link:
    """What stands at the place of the link; target is what a link points to, as it is written."""

    kind: LinkKind
    target: str = ""

    def __str__(self) -> str:
        return f"link to {self.target}" if self.kind is LinkKind.LINK else self.kind


def sha256(path: Path) -> str:
    """Give the SHA-256 of a file as 64 hexadecimal digits; OSError when it can't be read."""
    digest = hashlib.sha256()
    with system.opened(path) as stream:
        while piece := stream.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()


def verify(archive: Path, checksum: str) -> None:
    """Raise ArchiveError unless the archive is there, whole, and the one with this SHA-256."""
    expected = programs.check_sha256(checksum)
    try:
        digest = sha256(archive)
    except OSError as error:
        raise ArchiveError(f"archive {archive} can't be read: {error.strerror}; bring it to this host first") from error
    if digest != expected:
        raise ArchiveError(
            f"archive {archive} is not the expected one: its sha256 is {digest}, expected {expected}; "
            f"{_damage(archive)}. Fetch it again, or correct the checksum if another archive is meant"
        )


def unpack(archive: Path, destination: Path, program: Program = programs.NATS_SERVER) -> None:
    """Write the one executable of a release archive to the new file `destination`, mode 0755.

    Nothing else of the archive is written, and none of its names is used as a path. ArchiveError when the archive is
    damaged or has no such binary; OSError when the file can't be written.
    """
    try:
        with tarfile.open(archive, "r:gz") as tar:
            source = tar.extractfile(_binary_of(tar, archive, program))
            # Only what is no regular file gives None.
            with source or io.BytesIO() as stream, destination.open("xb") as target:
                shutil.copyfileobj(stream, target)
                target.flush()
                os.fchmod(target.fileno(), BINARY_MODE)
                os.fsync(target.fileno())
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ArchiveError(f"archive {archive} is damaged: {error}. Fetch it again") from error


def architectures_of(
    archive: Path, version: str, checksums: Mapping[str, Mapping[str, str]], program: Program = programs.NATS_SERVER
) -> tuple[str, ...]:
    """Give the architectures for which an archive is the pinned one of this version, before any host has it.

    checksums: the SHA-256 sums, per version and architecture. The binary is looked at, and not run, since it may be for
    another machine. Raises ArchiveError.
    """
    pinned = {
        each: {architecture: programs.check_sha256(checksum) for architecture, checksum in sums.items()}
        for each, sums in checksums.items()
    }
    release = f"{program.name} {version}"
    if version not in pinned:
        raise ArchiveError(f"{release} has no checksum; expected one of {', '.join(sorted(pinned))}")
    if not archive.is_file():
        raise ArchiveError(f"archive {archive} is no file; expected the archive of {release}. Bring it there")
    try:
        digest = sha256(archive)
        named = tuple(each for each, checksum in pinned[version].items() if checksum == digest)
        if not named:
            others = [f"{program.name} {each}" for each, sums in pinned.items() if digest in sums.values()]
            is_what = f"it is the one of {others[0]}" if others else _damage(archive)
            raise ArchiveError(
                f"archive {archive} is not the one of {release}: its sha256 is {digest}, expected "
                f"{' or '.join(dict.fromkeys(pinned[version].values()))}; {is_what}. Fetch it again, or correct the "
                "version or the checksum if another archive is meant"
            )
        called, made_for = _look_into(archive, program)
    except OSError as error:
        raise ArchiveError(f"archive {archive} can't be read: {error.strerror}. Let this user read it") from error
    if called not in ("", version):
        raise ArchiveError(
            f"archive {archive} is of another version: it holds {program.name} {called}, expected {version}. "
            "Name the archive of that version, or the version of this archive"
        )
    fitting = tuple(each for each in named if not made_for or each in made_for)
    if not fitting:
        raise ArchiveError(
            f"archive {archive} is for another architecture: its binary is built for {' or '.join(made_for)}, and its "
            f"checksum is the one for {', '.join(named)}. Correct the checksums"
        )
    return fitting


def check_offered(
    offered: Sequence[str], architecture: Architecture, version: str, program: Program = programs.NATS_SERVER
) -> None:
    """Raise ArchiveError where the archive at hand is for other architectures than the host's; none means any."""
    if offered and architecture.name not in offered:
        raise ArchiveError(
            f"the archive at hand is for {', '.join(offered)}, and this host is {architecture.name}; expected "
            f"{programs.release_name(version, architecture, program)}. Name that one for this host"
        )


def binary_version(binary: Path, program: Program = programs.NATS_SERVER) -> str:
    """Ask a program for its version, such as 2.10.7; ArchiveError when it can't be run or says something else."""
    try:
        answer = subprocess.run(
            [binary, "--version"],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=ANSWER_SECONDS,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired as error:
        raise ArchiveError(f"{binary} --version gave no answer in {ANSWER_SECONDS} s") from error
    except OSError as error:
        raise ArchiveError(why_not_executed(binary, error)) from error
    version_match = program.answer.search(answer.stdout)
    if answer.returncode or not version_match:
        answered = f"ended with {answer.returncode} and said {last_lines_of(answer.stdout)!r}"
        raise ArchiveError(f"{binary} is no {program.name}: --version {answered}")
    return version_match[1]


def binary_path(directory: Path, version: str, program: Program = programs.NATS_SERVER) -> Path:
    """Give where the binary of a version is installed below the directory of all versions."""
    return directory / programs.check_version(version, program) / program.name


def installed(
    directory: Path, version: str, checksum: str | None, program: Program = programs.NATS_SERVER
) -> Installation:
    """Look whether a version is installed as it was verified; nothing is written.

    checksum: the SHA-256 of the archive that is wanted; without it the binary of any archive that was verified when
    it was installed will do, as for an archive that was built and not released.
    """
    binary = binary_path(directory, version, program)
    if not os.path.lexists(binary):
        return Installation(Status.ABSENT, f"{binary} is not there", binary)
    try:
        record = json.loads(system.read_text(binary.parent / VERIFIED))
        archive_digest, binary_digest = (
            programs.check_sha256(record["archive_sha256"]),
            programs.check_sha256(record["binary_sha256"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, ArchiveError):
        return Installation(Status.UNVERIFIED, f"{binary} was not verified: no readable {VERIFIED} beside it", binary)

    if checksum is not None and archive_digest != programs.check_sha256(checksum):
        status = Status.OTHER
        reason = f"{binary} is from the archive with sha256 {archive_digest}, not from the wanted one"
    else:
        difference = _difference(binary, binary_digest)
        status = Status.DAMAGED if difference else Status.VERIFIED
        reason = f"{binary} {difference or 'is there and verified'}"
    return Installation(status, reason, binary, archive_digest, binary_digest)


def install(
    archive: Path,
    directory: Path,
    version: str,
    architecture: Architecture,
    checksum: str,
    *,
    program: Program = programs.NATS_SERVER,
) -> Installation:
    """Install the binary of an archive as `<directory>/<version>/<program>`, beside other versions.

    The checksum is compared first; the binary is unpacked beside its place, asked for its version there, and only
    then renamed. Raises ArchiveError, and then what stood there before still stands.
    """
    verify(archive, checksum)
    binary = binary_path(directory, version, program)
    try:
        with (
            _directories(binary.parent),
            tempfile.TemporaryDirectory(prefix=f"{atomic_file.temporary_name()}.", dir=directory) as staging,
        ):
            staged = Path(staging) / program.name
            unpack(archive, staged, program)
            _check_binary(staged, archive, version, architecture, program)
            record = {"archive_sha256": programs.check_sha256(checksum), "binary_sha256": sha256(staged)}
            staged_record = Path(staging) / VERIFIED
            staged_record.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
            staged_record.chmod(0o644)
            system.make_way(binary)
            staged.replace(binary)
            # The record comes last: until then the version counts as unverified.
            staged_record.replace(binary.parent / VERIFIED)
    except OSError as error:
        raise ArchiveError(f"{binary} can't be installed: {error.strerror} ({error.filename or directory})") from error
    return installed(directory, version, checksum, program)


def look_at_link(link: Path) -> Link:
    """Say what stands at the place of the link."""
    try:
        mode = link.lstat().st_mode
        if stat.S_ISLNK(mode):
            return Link(LinkKind.LINK, str(link.readlink()))
    except OSError:
        return Link(LinkKind.ABSENT)
    return Link(LinkKind.DIRECTORY if stat.S_ISDIR(mode) else LinkKind.FILE)


def check_link(link: Path, target: Path) -> bool:
    """Say whether the link has to be switched to point to target; ArchiveError when a directory stands in its place."""
    found = look_at_link(link)
    if found.kind is LinkKind.DIRECTORY:
        raise ArchiveError(f"link {link} is a directory; expected a link, a file or nothing. Name another place")
    return found != Link(LinkKind.LINK, str(target))


def switch_link(link: Path, target: Path) -> bool:
    """Make link a link to target in one rename, whatever file or link stood there; says whether it had to."""
    if not check_link(link, target):
        return False
    try:
        system.make_directories(link.parent)
        staged = link.with_name(atomic_file.temporary_name())
        staged.symlink_to(target)
        try:
            staged.replace(link)
        except OSError:
            staged.unlink()
            raise
    except OSError as error:
        raise ArchiveError(f"link {link} can't be switched to {target}: {error.strerror}") from error
    return True


@contextmanager
def _directories(directory: Path) -> Iterator[None]:
    """Make a directory and its missing parents, and take away again what is still empty where the block fails."""
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    try:
        system.make_directories(directory)
        yield
    except BaseException:
        for path in missing:
            with suppress(OSError):
                path.rmdir()
        raise


def _difference(binary: Path, digest: str) -> str:
    """Say how an installed binary differs from what was verified; empty where it does not."""
    try:
        found, mode = sha256(binary), binary.stat().st_mode & 0o7777
    except OSError as error:
        return f"can't be read: {error.strerror}"
    if found != digest:
        return "is no longer the binary that was verified"
    return "" if mode == BINARY_MODE else f"has mode {mode:04o}, expected {BINARY_MODE:04o}"


def _damage(archive: Path) -> str:
    """Say what can be seen of an archive whose checksum is wrong."""
    size = archive.stat().st_size
    if not size:
        return "it is empty"
    try:
        with gzip.open(archive) as stream:
            while stream.read(_CHUNK):
                pass
    except EOFError:
        return f"it is cut short after {size} bytes"
    except (OSError, zlib.error):
        return f"its {size} bytes are no whole gzip file"
    return f"its {size} bytes are a whole gzip file"


def _binary_of(tar: tarfile.TarFile, archive: Path, program: Program) -> tarfile.TarInfo:
    members = tar.getmembers()
    binaries = []
    for member in members:
        parts = PurePosixPath(member.name).parts
        if member.isreg() and parts[-1:] == (program.name,) and len(parts) <= _LARGEST_DEPTH:
            binaries.append(member)
    if len(binaries) != 1:
        names = ", ".join(member.name for member in members[:5]) or "nothing"
        raise ArchiveError(
            f"archive {archive} is no release of {program.name}: expected one file {program.name} in it, "
            f"found {len(binaries)}; it holds {names}"
        )
    if binaries[0].size > _LARGEST_BINARY:
        raise ArchiveError(
            f"archive {archive}: its {program.name} says to be {binaries[0].size} bytes, too many for one"
        )
    return binaries[0]


def _look_into(archive: Path, program: Program) -> tuple[str, tuple[str, ...]]:
    """Give the version that the directory in an archive names, and the architectures that its binary is built for.

    Either is empty where that can't be seen. ArchiveError when the archive is damaged or has no such binary.
    """
    try:
        with tarfile.open(archive, "r:gz") as tar:
            member = _binary_of(tar, archive, program)
            # Only what is no regular file gives None.
            with tar.extractfile(member) or io.BytesIO() as stream:
                header = stream.read(ELF_HEADER)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ArchiveError(f"archive {archive} is damaged: {error}. Fetch it again") from error
    named = re.match(rf"(?:\./)?{program.name}-v(.+)-linux-[^/-]+/", member.name)
    return named[1] if named else "", built_for_header(header)


def _check_binary(binary: Path, archive: Path, version: str, architecture: Architecture, program: Program) -> None:
    release = programs.release_name(version, architecture, program)
    made_for = built_for(binary)
    if made_for and architecture.name not in made_for:
        raise ArchiveError(
            f"archive {archive} is for another architecture: its binary is built for {' or '.join(made_for)}, "
            f"expected {architecture.name}. Name the archive {release}"
        )
    binary_says = binary_version(binary, program)
    if binary_says != version:
        raise ArchiveError(
            f"archive {archive} is of another version: its binary says {binary_says}, expected {version}. "
            f"Name the archive {release}, or the version {binary_says}"
        )


def last_lines_of(text: str) -> str:
    """Give the end of a program's output on one line, without credentials."""
    lines = [line.strip() for line in CREDENTIALS.sub("********@", text).splitlines() if line.strip()]
    return " / ".join(lines[-_SHOWN_LINES:])
