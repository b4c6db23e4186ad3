# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input through the whole role: a clear error, and the server that ran goes on with what it had."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.rosey.nats.tests.sampling import sampled

if TYPE_CHECKING:
    from .conftest import Deployment

Variables = dict[str, Any]


def archive_of(path: Path, member: str, content: bytes) -> str:
    """Make a release-shaped archive that holds this as its binary."""
    binary = path.parent / "nats-server"
    binary.write_bytes(content)
    binary.chmod(0o755)
    with tarfile.open(path, "w:gz") as target:
        target.add(binary, member)
    return str(path)


CONFIG_ROWS: dict[str, tuple[Variables, list[str]]] = {
    "unknown option": ({"max_conections": 5}, ["here", "max_conections", "max_connections"]),
    "wrong kind": ({"port": "banana"}, ["here", "port", "banana"]),
    "size with a space": ({"max_payload": "1 MB"}, ["here", "max_payload", "1 MB", "1MB"]),
    "duration without unit": ({"ping_interval": 120}, ["here", "ping_interval", "120", "unit"]),
    "host in brackets": ({"host": "[::1]"}, ["here", 'host: "[::1]" is no host', "brackets"]),
    "host with a port": ({"host": "127.0.0.1:14222"}, ["here", 'host: "127.0.0.1:14222" is no host']),
    "base path with a query": ({"http_base_path": "/a?b"}, ["here", 'http_base_path: "/a?b" is no path of a URL']),
    "a port that a variable gives": (
        {"http_port": {"$variable": "P"}},
        ["here", "http_port: $P is a variable", "the gate"],
    ),
    "streams in a passing place": ({"jetstream": "enabled"}, ["here", "jetstream has no store_dir", "/tmp"]),
    "two listeners on one port": (
        {"port": 8222, "http_port": 8222},
        ["here", "http_port: 8222 is listened on for clients", "already"],
    ),
    "two monitoring ports": ({"https_port": 8443}, ["here", "http_port", "https_port"]),
    "grace not below duration": (
        {"lame_duck_duration": "30s", "lame_duck_grace_period": "30s"},
        ["here", "lame_duck_grace_period", "lame_duck_duration"],
    ),
    "cluster without a name": (
        {"server_name": None, "cluster": {"name": "c", "port": 6222, "routes": ["nats://127.0.0.1:6223"]}},
        ["here", "server_name", "cluster"],
    ),
    "missing TLS file": (
        {"tls": {"cert_file": "/nowhere/server.pem", "key_file": "/nowhere/server.key"}},
        ["tls.cert_file", "/nowhere/server.pem"],
    ),
    "missing directory": ({"log_file": "/nowhere/nats.log"}, ["log_file", "/nowhere"]),
    "monitoring off": ({"http_port": None}, ["here", "nats_server_gate", "http_port"]),
}
ROLE_ROWS: dict[str, tuple[Variables, list[str]]] = {
    "unknown profile": ({"nats_server_profile": "fast"}, ["here", "nats_server_profile", "fast", "high_traffic"]),
    "misspelled variable": (
        {"nats_server_confg": {"max_connections": 7}},
        ["here: nats_server_confg is no variable of the role nats_server", "Write nats_server_config", "was touched"],
    ),
    "profile without options": (
        {"nats_server_profile": "mine", "nats_server_profiles": {"mine": None}},
        ["here: nats_server_profiles has no options under mine", "{} for none"],
    ),
    "name that is no text, beside credentials": (
        {"nats_server_credentials": {"token": "of-the-tests"}, "nats_server_config": {"server_name": ["a"]}},
        ["here: nats_server_config can't be used", "- server_name is no text"],
    ),
    "unknown version": (
        {"nats_server_install_method": "download", "nats_server_version": "2.10.99"},
        ["here", "nats_server_version", "2.10.99", "nats_server_checksums"],
    ),
    "archive that is not there": (
        {"nats_server_install_method": "file", "nats_server_archive": "/nowhere/nats.tar.gz"},
        ["here", "nats_server_archive", "/nowhere/nats.tar.gz"],
    ),
    "a gate without an end": (
        {"nats_server_gate_wait": 10**20},
        ["here", "nats_server_gate_wait is 100000000000000000000", "from 0 to 86400"],
    ),
    "a lease that is over when it begins": (
        {"release_lease_seconds": -1},
        ["here", "release_lease_seconds is -1", "from 1 to 604800", "Nothing was touched"],
    ),
    "a lease without an end": ({"release_lease_seconds": 10**13}, ["here", "release_lease_seconds is 10000000000000"]),
    "unknown install method": (
        {"nats_server_install_method": "guess"},
        ["nats_server_install_method", "guess", "download"],
    ),
}


def kept(deployment: Deployment, before: dict[str, Any], files: dict[str, bytes]) -> None:
    """Assert that the server runs on as before, on the files that it had."""
    after = deployment.varz()
    assert (after["server_id"], after["config_load_time"]) == (before["server_id"], before["config_load_time"])
    assert deployment.files() == files
    assert asyncio.run(deployment.talk()) == b"still here"


def refused(deployment: Deployment, changes: Variables, expected: list[str], *flags: str, **options: Any) -> str:
    """Assert that the role refuses, says all of this, and leaves the server as it was."""
    before, files = deployment.varz(), deployment.files()
    said = deployment.play(changes, *flags, **options)
    assert not said.startswith("exit 0"), said
    assert "Traceback" not in said
    assert not [part for part in expected if part not in said], said
    kept(deployment, before, files)
    return said


@pytest.mark.parametrize("name", sampled(CONFIG_ROWS, 1))
def test_a_bad_configuration_is_refused(deployment: Deployment, name: str) -> None:
    changes, expected = CONFIG_ROWS[name]
    refused(deployment, {"nats_server_config": changes}, expected)


@pytest.mark.parametrize("name", sampled(ROLE_ROWS, 1))
def test_a_bad_variable_is_refused(deployment: Deployment, name: str) -> None:
    refused(deployment, *ROLE_ROWS[name])


def test_a_taken_port_is_named_with_its_holder(deployment: Deployment, free_port: Callable[[], int]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        port = taken.getsockname()[1]
        refused(deployment, {"nats_server_config": {"port": port}}, [str(port), str(os.getpid())])


@pytest.mark.parametrize("flags", sampled([[], ["--check"]], 1), ids=["deployed", "dry run"])
def test_a_wrong_checksum_is_refused_before_a_host_is_looked_at(
    deployment: Deployment, tmp_path: Path, nats_server: Path, flags: list[str]
) -> None:
    path = archive_of(tmp_path / "a.tar.gz", "nats-server-v2.10.8-linux-amd64/nats-server", nats_server.read_bytes())
    changes = file_archive(path, "2.10.8", "0" * 64)
    said = refused(deployment, changes, ["here", "nats_server_archive", path, "checksum", "0" * 64], *flags)
    assert "Observe |" not in said


def test_a_truncated_archive_is_refused(deployment: Deployment, tmp_path: Path, nats_server: Path) -> None:
    path = archive_of(tmp_path / "a.tar.gz", "nats-server-v2.10.8-linux-amd64/nats-server", nats_server.read_bytes())
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole[: len(whole) // 2])
    changes = file_archive(path, "2.10.8", digest(Path(path)))
    refused(deployment, changes, ["archive", "damaged"])


def test_an_archive_of_another_version_is_refused(deployment: Deployment, tmp_path: Path, nats_server: Path) -> None:
    path = archive_of(tmp_path / "a.tar.gz", "nats-server-v2.10.8-linux-amd64/nats-server", nats_server.read_bytes())
    refused(deployment, file_archive(path, "2.10.8", digest(Path(path))), ["2.10.7", "2.10.8"])


@pytest.mark.thorough
def test_an_archive_of_another_architecture_is_refused(
    deployment: Deployment, tmp_path: Path, nats_server: Path
) -> None:
    elf = bytearray(nats_server.read_bytes())
    elf[18:20] = (183).to_bytes(2, "little")  # the machine of an ELF header, elf(5): 183 is aarch64
    path = archive_of(tmp_path / "a.tar.gz", "nats-server-v2.10.8-linux-arm64/nats-server", bytes(elf))
    refused(deployment, file_archive(path, "2.10.8", digest(Path(path))), ["arm64", "amd64"])


@pytest.mark.thorough
def test_a_build_without_a_proxy_is_refused(deployment: Deployment, tmp_path: Path) -> None:
    changes = {"nats_server_version": "2.10.8", "nats_server_cache_dir": str(tmp_path)}
    refused(deployment, changes, ["GOPROXY"], environment={"GOPROXY": "http://127.0.0.1:9"})


def digest(path: Path) -> str:
    return subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout.split()[0]


def file_archive(path: str, version: str, checksum: str) -> Variables:
    architectures = ["amd64", "arm64", "arm7", "arm6", "386"]
    return {
        "nats_server_install_method": "file",
        "nats_server_archive": path,
        "nats_server_version": version,
        "nats_server_checksums": {version: dict.fromkeys(architectures, checksum)},
    }
