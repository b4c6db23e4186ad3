# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module nats_archive as far as it needs no Go; tests/integration/test_build.py has the real build."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._server import archive

RunModule = Callable[..., dict[str, Any]]
NAME = "nats-server-v2.10.7-linux-arm7.tar.gz"


@pytest.fixture
def wanted(tmp_path: Path) -> dict[str, Any]:
    """Give the arguments of a build for arm7."""
    return {"version": "2.10.7", "architecture": "armv7l", "cache_dir": str(tmp_path), "module_sum": "h1:sum="}


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """Put a finished archive into the cache."""
    path = tmp_path / NAME
    path.write_bytes(b"an archive")
    record = f"# h1:sum= built by go1.26.8 (/usr/bin/go)\n{archive.sha256(path)}  {NAME}\n"
    path.with_name(f"{NAME}.sha256").write_text(record)
    return path


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_finished_archive_is_given(
    run_module: RunModule, wanted: dict[str, Any], finished: Path, check_mode: bool
) -> None:
    result = run_module("nats_archive", check_mode=check_mode, **wanted, go="/no/go/is/needed")
    assert (result["changed"], result["built"], result["path"]) == (False, False, str(finished))
    assert result["sha256"] == archive.sha256(finished)
    assert result["toolchain"] == "go1.26.8 (/usr/bin/go)"
    assert result["diff"]["before"] == result["diff"]["after"] == f"{finished}\n"


def test_the_directory_has_a_default_in_the_home(
    run_module: RunModule, wanted: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    go = tmp_path / "go"
    go.write_text('#!/bin/sh\necho \'{"GOVERSION": "go1.26.8"}\'\n')
    go.chmod(0o755)
    del wanted["cache_dir"]
    result = run_module("nats_archive", check_mode=True, **wanted, go=str(go))
    assert (result["changed"], result["built"], "sha256" in result) == (True, True, False)
    assert result["path"] == f"{tmp_path}/.cache/rosey-nats/{NAME}"
    assert result["toolchain"] == f"go1.26.8 ({go})"
    assert (result["diff"]["before"], result["diff"]["after"]) == ("", f"{result['path']}\n")
    assert not (tmp_path / ".cache").exists()


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "riscv64"}, "architecture 'riscv64' is not supported"),
        ({"version": "latest"}, "version 'latest' is no version of nats-server"),
        ({"go": "/no/go"}, "go '/no/go' is no program that can be run"),
    ],
)
def test_errors(
    *, run_module: RunModule, wanted: dict[str, Any], check_mode: bool, change: dict[str, str], message: str
) -> None:
    failed = run_module("nats_archive", check_mode=check_mode, **wanted | change)
    assert failed["failed"]
    assert message in failed["msg"]
