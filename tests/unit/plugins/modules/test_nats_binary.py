# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module nats_binary, on archives that are made here; the rules are tested with module_utils/archive."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._server import archive, go_build, programs

RunModule = Callable[..., dict[str, Any]]
VERSIONS = ("2.10.6", "2.10.7")


@pytest.fixture
def archives(tmp_path: Path) -> dict[str, Path]:
    """Give small archives of both versions."""
    made = {}
    for version in VERSIONS:
        binary = tmp_path / version
        binary.write_text(f"#!/bin/sh\necho 'nats-server: v{version}'\n")
        made[version] = tmp_path / f"{version}.tar.gz"
        go_build.pack(made[version], "release", {"nats-server": binary})
        binary.unlink()
    return made


@pytest.fixture
def wanted(tmp_path: Path, archives: dict[str, Path]) -> dict[str, Any]:
    """Give the arguments that install 2.10.7."""
    return {
        "archive": str(archives["2.10.7"]),
        "checksum": archive.sha256(archives["2.10.7"]),
        "version": "2.10.7",
        "directory": str(tmp_path / "lib"),
        "link": str(tmp_path / "bin" / "nats-server"),
    }


def everything(directory: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.lstat().st_mtime_ns) for path in directory.rglob("*"))


def test_the_real_server_is_installed_and_linked(
    run_module: RunModule, wanted: dict[str, Any], nats_server: Path
) -> None:
    go_build.pack(Path(wanted["archive"]), "release", {"nats-server": nats_server})
    wanted["checksum"] = f"sha256:{archive.sha256(Path(wanted['archive']))}"
    result = run_module("nats_binary", **wanted)
    binary = Path(wanted["directory"]) / "2.10.7" / "nats-server"
    assert (result["changed"], result["installed"], result["linked"]) == (True, True, True)
    assert (result["binary"], result["replaced"]) == (str(binary), "absent")
    assert result["binary_sha256"] == archive.sha256(nats_server) == archive.sha256(binary)
    assert Path(wanted["link"]).readlink() == binary


def test_check_mode_predicts_what_a_run_then_does(
    run_module: RunModule, wanted: dict[str, Any], tmp_path: Path
) -> None:
    before = everything(tmp_path)
    predicted = run_module("nats_binary", check_mode=True, **wanted)
    assert everything(tmp_path) == before
    done = run_module("nats_binary", **wanted)
    assert predicted | {"binary_sha256": done["binary_sha256"]} == done
    assert predicted["binary_sha256"] == ""
    for check_mode in (True, False):
        before = everything(tmp_path)
        again = run_module("nats_binary", check_mode=check_mode, **wanted)
        assert (again["changed"], again["installed"], again["linked"], again["replaced"]) == (False, False, False, "")
        assert again["diff"]["before"] == again["diff"]["after"] == done["diff"]["after"]
        assert everything(tmp_path) == before


@pytest.mark.parametrize("missing", ["the file", "archive", "checksum", "all"])
def test_check_mode_needs_no_archive(run_module: RunModule, wanted: dict[str, Any], missing: str) -> None:
    if missing == "the file":
        Path(wanted["archive"]).unlink()
    else:
        for name in ("archive", "checksum") if missing == "all" else (missing,):
            wanted[name] = ""
    result = run_module("nats_binary", check_mode=True, **wanted)
    assert (result["changed"], result["installed"]) == (True, True)


def test_a_version_that_is_there_needs_no_archive(
    run_module: RunModule, wanted: dict[str, Any], archives: dict[str, Path]
) -> None:
    old = {"archive": str(archives["2.10.6"]), "checksum": archive.sha256(archives["2.10.6"]), "version": "2.10.6"}
    run_module("nats_binary", **wanted | old)
    upgraded = run_module("nats_binary", **wanted)
    link, lib = Path(wanted["link"]), Path(wanted["directory"])
    assert upgraded["replaced"] == f"link to {lib}/2.10.6/nats-server"
    assert link.readlink() == lib / "2.10.7" / "nats-server"
    for path in archives.values():
        path.unlink()
    back = run_module("nats_binary", version="2.10.6", directory=str(lib), link=str(link))
    assert (back["changed"], back["installed"], back["linked"]) == (True, False, True)
    assert link.readlink() == lib / "2.10.6" / "nats-server"
    assert run_module("nats_binary", **wanted)["installed"] is False


EXPORTER = "prometheus-nats-exporter"


@pytest.fixture
def exporter(tmp_path: Path) -> dict[str, Any]:
    """Give the arguments that install an exporter; its releases have no directory."""
    binary = tmp_path / EXPORTER
    binary.write_text(f"#!/bin/sh\n[ $1 = --version ] && echo '{EXPORTER} version 0.20.1'\n")
    binary.chmod(0o755)
    path = tmp_path / "exporter.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(binary, EXPORTER)
    return {
        "program": EXPORTER,
        "archive": str(path),
        "checksum": archive.sha256(path),
        "version": "0.20.1",
        "directory": str(tmp_path / "lib"),
        "link": "",
    }


def test_the_exporter_is_installed_and_not_linked(
    run_module: RunModule, exporter: dict[str, Any], tmp_path: Path
) -> None:
    result = run_module("nats_binary", **exporter)
    assert (result["changed"], result["installed"], result["linked"]) == (True, True, False)
    assert result["binary"] == f"{tmp_path}/lib/0.20.1/{EXPORTER}"
    assert run_module("nats_binary", **exporter)["changed"] is False


def test_another_program_is_not_taken_for_the_exporter(
    run_module: RunModule, exporter: dict[str, Any], wanted: dict[str, Any], tmp_path: Path
) -> None:
    other = {name: wanted[name] for name in ("archive", "checksum")}
    failed = run_module("nats_binary", **exporter | other)
    assert f"is no release of {EXPORTER}: expected one file {EXPORTER} in it" in failed["msg"]
    failed = run_module("nats_binary", **exporter | {"version": "0.20.2"})
    assert "its binary says 0.20.1, expected 0.20.2" in failed["msg"]
    assert "or the version 0.20.1" in failed["msg"]
    failed = run_module("nats_binary", **exporter | {"version": "v0.20.1"})
    assert f"is no version of {EXPORTER}" in failed["msg"]
    assert not list((tmp_path / "lib").rglob(EXPORTER))


@pytest.mark.parametrize("program", programs.PROGRAMS)
def test_where_a_program_goes_follows_from_its_name(run_module: RunModule, program: str) -> None:
    predicted = run_module("nats_binary", check_mode=True, program=program, version="0.0.1")
    assert predicted["binary"] == f"/usr/local/lib/{program}/0.0.1/{program}"
    assert f"/usr/local/bin/{program}" in predicted["diff"]["after"]


def test_a_file_in_the_links_place_is_replaced_with_a_warning(run_module: RunModule, wanted: dict[str, Any]) -> None:
    link = Path(wanted["link"])
    link.parent.mkdir()
    link.write_text("the guide's binary")
    for check_mode in (True, False):
        result = run_module("nats_binary", check_mode=check_mode, **wanted)
        assert result["replaced"] == "file"
        assert any(str(link) in str(warning) and "was a file" in str(warning) for warning in result["warnings"])
    assert link.is_symlink()
    assert run_module("nats_binary", **wanted)["replaced"] == ""


@pytest.mark.parametrize("link", ["", None])
def test_without_a_link(run_module: RunModule, wanted: dict[str, Any], link: str | None) -> None:
    if link is None:
        # The default is the system's own place, which a test leaves alone: check mode.
        del wanted["link"]
        result = run_module("nats_binary", check_mode=True, **wanted)
        assert "/usr/local/bin/nats-server" in str(result["diff"])
        return
    result = run_module("nats_binary", **wanted | {"link": link})
    assert (result["changed"], result["linked"], result["replaced"]) == (True, False, "")
    assert run_module("nats_binary", **wanted | {"link": link})["changed"] is False


def test_what_a_run_that_was_cut_off_has_left_is_taken_away_under_the_lease(
    run_module: RunModule, wanted: dict[str, Any], tmp_path: Path
) -> None:
    lib, link = Path(wanted["directory"]), Path(wanted["link"])
    (lib / ".rosey-00000000.abc" / "below").mkdir(parents=True)
    link.parent.mkdir()
    (link.parent / ".rosey-00000000").symlink_to("nowhere")
    run_module("nats_binary", **wanted, release_dir=str(tmp_path / "releases"))
    assert [path.name for path in lib.iterdir()] == ["2.10.7"]
    assert [path.name for path in link.parent.iterdir()] == ["nats-server"]


def test_a_damaged_version_is_installed_anew(run_module: RunModule, wanted: dict[str, Any]) -> None:
    binary = Path(run_module("nats_binary", **wanted)["binary"])
    binary.write_text("#!/bin/sh\n")
    result = run_module("nats_binary", **wanted)
    assert (result["installed"], result["linked"]) == (True, False)
    assert "no longer the binary that was verified" in result["reason"]
    assert archive.binary_version(binary) == "2.10.7"


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize(
    ("change", "messages"),
    [
        ({"checksum": "0" * 64}, ["is not the expected one", f"expected {'0' * 64}"]),
        ({"checksum": "abc"}, ["'abc' is no SHA-256"]),
        ({"version": "v2.10.7"}, ["'v2.10.7' is no version"]),
        ({"architecture": "riscv64"}, ["'riscv64' is not supported", "amd64 (x86_64)"]),
        ({"link": "/etc"}, ["link /etc is a directory"]),
    ],
)
def test_errors_before_anything_is_written(
    *, run_module: RunModule, wanted: dict[str, Any], check_mode: bool, change: dict[str, str], messages: list[str]
) -> None:
    failed = run_module("nats_binary", check_mode=check_mode, **wanted | change)
    assert failed["failed"]
    for message in messages:
        assert message in failed["msg"]
    assert not Path(wanted["directory"]).exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"archive": ""}, "archive is not set"),
        ({"checksum": ""}, "checksum is not set"),
        ({"archive": "/nowhere/x.tar.gz"}, "archive /nowhere/x.tar.gz can't be read"),
        ({"version": "2.10.8"}, "its binary says 2.10.7, expected 2.10.8"),
    ],
)
def test_errors_of_a_run(run_module: RunModule, wanted: dict[str, Any], change: dict[str, str], message: str) -> None:
    failed = run_module("nats_binary", **wanted | change)
    assert failed["failed"]
    assert message in failed["msg"]
    assert not Path(wanted["link"]).exists()


def test_an_archive_that_was_cut_short(run_module: RunModule, wanted: dict[str, Any]) -> None:
    path = Path(wanted["archive"])
    path.write_bytes(path.read_bytes()[:-20])
    assert "it is cut short after" in run_module("nats_binary", **wanted)["msg"]


def test_a_full_disk_is_named(run_module: RunModule, wanted: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device", str(wanted["directory"]))

    monkeypatch.setattr(shutil, "copyfileobj", full)
    failed = run_module("nats_binary", **wanted)
    assert "No space left on device" in failed["msg"]
    assert [path.name for path in Path(wanted["directory"]).rglob("*")] == []
