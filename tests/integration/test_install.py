# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways in which a host gets its binary, each through the whole role on a server that runs."""

from __future__ import annotations

import functools
import platform
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._server import archive, go_build, programs
from ansible_collections.rosey.nats.tests.sampling import sampled

if TYPE_CHECKING:
    from .conftest import Deployment

VERSION = "2.10.7"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory, nats_server: Path) -> Path:
    """Give an archive of the shape of a release."""
    architecture = programs.find_architecture(platform.machine())
    path = tmp_path_factory.mktemp("release") / programs.release_name(VERSION, architecture)
    go_build.pack(path, programs.release_stem(VERSION, architecture), {"nats-server": nats_server})
    return path


@pytest.fixture(scope="module")
def mirror(release: Path) -> Iterator[str]:
    """Give the URL of an HTTP server that has the archive."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(release.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def binary_of(deployment: Deployment) -> Path:
    return deployment.directory / "root/usr/local/lib/nats-server" / VERSION / "nats-server"


def link_of(deployment: Deployment) -> Path:
    return deployment.directory / "root/usr/local/bin/nats-server"


def left_archives(deployment: Deployment) -> list[Path]:
    return list((deployment.directory / "root/var/lib/rosey-nats").glob(".rosey-*"))


def pinned(release: Path) -> dict[str, Any]:
    architecture = programs.find_architecture(platform.machine())
    return {"nats_server_checksums": {VERSION: {architecture.name: archive.sha256(release)}}}


@pytest.mark.parametrize("method", sampled(["download", "download_or_build", "file"], 1))
def test_a_damaged_binary_is_replaced_and_the_second_run_changes_nothing(
    deployment: Deployment, release: Path, mirror: str, nats_server: Path, method: str
) -> None:
    binary = binary_of(deployment)
    binary.unlink()
    binary.write_bytes(b"damaged")
    variables = {
        **pinned(release),
        "nats_server_install_method": method,
        "nats_server_archive_url": mirror,
        "nats_server_archive": str(release) if method == "file" else "",
    }
    said = deployment.play(variables)
    assert said.startswith("exit 0"), said
    assert ("from " + (str(release) if method == "file" else mirror)) in said
    assert binary.read_bytes() == nats_server.read_bytes()
    assert left_archives(deployment) == []
    assert "changed=0 " in deployment.play(variables)


@pytest.mark.thorough
def test_a_missing_link_is_made_again_without_an_archive(deployment: Deployment) -> None:
    link_of(deployment).unlink()
    said = deployment.play({"nats_server_install_method": "download_or_build"})
    assert said.startswith("exit 0"), said
    assert "Bring the archive" not in said
    assert link_of(deployment).resolve() == binary_of(deployment)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("playbook", "asked"), sampled([("site.yml", "2.10.29"), ("playbooks/rollback.yml", VERSION)], 1)
)
def test_the_release_is_asked_for_the_version_that_is_brought(
    deployment: Deployment, release: Path, playbook: str, asked: str
) -> None:
    # a rollback brings the version of its release, whatever is described by now
    binary_of(deployment).unlink()
    binary_of(deployment).write_bytes(b"damaged")
    sums = {**pinned(release)["nats_server_checksums"], "2.10.29": {"amd64": "0" * 64, "arm64": "0" * 64}}
    changes = {"nats_server_version": "2.10.29", "nats_server_checksums": sums, "rollback_to": "current"}
    said = deployment.play({**changes, "nats_server_install_method": "download"}, "--check", playbook=playbook)
    assert said.startswith("exit 0"), said
    assert f"nats-server/releases/download/v{asked}/nats-server-v{asked}-linux-" in said, said


def test_an_archive_that_is_no_use_does_not_stay_on_the_host(
    deployment: Deployment, release: Path, tmp_path: Path
) -> None:
    binary_of(deployment).unlink()
    binary_of(deployment).write_bytes(b"damaged")
    damaged = tmp_path / release.name
    damaged.write_bytes(release.read_bytes()[:-1000])
    architecture = programs.find_architecture(platform.machine())
    said = deployment.play(
        {
            "nats_server_install_method": "file",
            "nats_server_archive": str(damaged),
            "nats_server_checksums": {VERSION: {architecture.name: archive.sha256(damaged)}},
        }
    )
    assert not said.startswith("exit 0"), said
    assert left_archives(deployment) == []


@pytest.mark.parametrize(
    ("path", "why"), sampled([("", "HTTP status 404, File not found"), (None, "Connection refused")], 1)
)
def test_a_download_that_fails_names_the_address_the_reason_and_the_ways_out(
    deployment: Deployment, mirror: str, nats_server: Path, path: str | None, why: str
) -> None:
    binary = binary_of(deployment)
    binary.unlink()
    binary.write_bytes(b"damaged")
    address = f"{mirror}/nowhere" if path is not None else "http://127.0.0.1:1"
    said = deployment.play({"nats_server_install_method": "download", "nats_server_archive_url": address})
    binary.write_bytes(nats_server.read_bytes())
    binary.chmod(0o755)
    assert said.startswith("exit 2"), said
    told = next(line for line in said.splitlines() if "here: Install | Download the archive: " in line)
    assert f"{address}/nats-server-v{VERSION}-linux-" in told
    assert why in told
    for way in ("nats_server_archive_url", "file", "build", "download_or_build"):
        assert way in told
