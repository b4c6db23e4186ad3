# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real build of nats-server from the Go module proxy, and its ways to fail."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._host import architecture
from ansible_collections.rosey.nats.plugins.module_utils._server import archive, programs

SUM = "h1:f5VDy+GMu7JyuFA0Fef+6TfulfCs5nBTgq7MMkFJx5Y="
ARCHITECTURE = programs.find_architecture(os.uname().machine).name

RunModule = Callable[..., dict[str, Any]]


def listed(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty home directory, and an environment that is meant for other builds."""
    home = tmp_path / "home"
    home.mkdir()
    for name, value in {
        "HOME": home,
        "GOFLAGS": "-mod=vendor -tags=nothing",
        "GOBIN": home / "bin",
        "GOOS": "plan9",
        "GOROOT": home / "no-go-here",
        "CGO_ENABLED": "1",
    }.items():
        monkeypatch.setenv(name, str(value))
    for name in ("GOPATH", "GOMODCACHE", "GOCACHE"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.mark.thorough
def test_a_build_is_verified_installed_and_reused(run_module: RunModule, home: Path, tmp_path: Path) -> None:
    wanted = {
        "version": "2.10.7",
        "architecture": ARCHITECTURE,
        "cache_dir": str(tmp_path / "cache"),
        "module_sum": SUM,
    }
    predicted = run_module("nats_archive", check_mode=True, **wanted)
    assert (predicted["changed"], "sha256" in predicted) == (True, False)
    assert not (tmp_path / "cache").exists()

    built = run_module("nats_archive", **wanted)
    assert (built["changed"], built["built"], built["path"]) == (True, True, predicted["path"])
    assert built["toolchain"] == predicted["toolchain"]

    name = f"nats-server-v2.10.7-linux-{ARCHITECTURE}"
    with tarfile.open(built["path"]) as tar:
        assert tar.getnames() == [f"{name}/{each}" for each in ("LICENSE", "README.md", "nats-server")]
    # Nothing is left of the build, in the cache or in the home of the user.
    assert listed(tmp_path / "cache") == [".lock", f"{name}.tar.gz", f"{name}.tar.gz.sha256"]
    assert not {"go", "bin", ".cache"} & set(listed(home))
    subprocess.run(["sha256sum", "--check", "--quiet", f"{name}.tar.gz.sha256"], cwd=tmp_path / "cache", check=True)

    again = run_module("nats_archive", **wanted)
    assert (again["changed"], again["sha256"], again["toolchain"]) == (False, built["sha256"], built["toolchain"])
    assert again["seconds"] < 2

    installed = run_module(
        "nats_binary",
        archive=built["path"],
        checksum=built["sha256"],
        version="2.10.7",
        directory=str(tmp_path / "lib"),
        link=str(tmp_path / "bin" / "nats-server"),
    )
    assert installed["changed"]
    assert archive.binary_version(tmp_path / "bin" / "nats-server") == "2.10.7"
    assert architecture.built_for(Path(installed["binary"])) == (ARCHITECTURE,)


@pytest.mark.parametrize(
    ("proxy", "given", "messages"),
    [
        ("http://127.0.0.1:{port}", {}, ["connection refused", "GOPROXY is http://127.0.0.1:", "could not be reached"]),
        (
            "https://rosey:secret@127.0.0.1:{port}",
            {},
            ["refused", "https://********@127.0.0.1:", "could not be reached"],
        ),
        ("off", {}, ["module lookup disabled by GOPROXY=off", "could not be reached"]),
        (None, {"version": "2.10.9999"}, ["v2@v2.10.9999", "check that it was released"]),
        (None, {"module_sum": "h1:other="}, [f"its sum is {SUM}, expected h1:other="]),
    ],
    ids=["unreachable", "credentials", "off", "version", "sum"],
)
def test_what_can_go_wrong(
    *,
    run_module: RunModule,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    free_port: Callable[[], int],
    proxy: str | None,
    given: dict[str, str],
    messages: list[str],
) -> None:
    if proxy:
        monkeypatch.setenv("GOPROXY", proxy.format(port=free_port()))
    wanted = {"version": "2.10.7", "architecture": "arm64", "cache_dir": str(home / "cache"), "module_sum": SUM}
    failed = run_module("nats_archive", **wanted | given)
    assert failed["failed"]
    for message in messages:
        assert message in failed["msg"]
    assert "secret" not in str(failed["msg"])
    assert listed(home / "cache") == [".lock"]
