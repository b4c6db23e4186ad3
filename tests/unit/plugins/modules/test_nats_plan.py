# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

RunModule = Callable[..., dict[str, Any]]


class Host:
    """A directory that stands for a host under the process runtime."""

    def __init__(self, root: Path, port: int, run_module: RunModule) -> None:
        self.root, self.port, self.run_module = root, port, run_module
        self.config_file = root / "nats-server.conf"

    def plan(self, config: str, **changes: Any) -> dict[str, Any]:
        content = f"host: 127.0.0.1\nport: {self.port}\n{config}"
        arguments: dict[str, Any] = {
            "runtime": "process",
            "pid_file": str(self.root / "pid"),
            "version": "2.10.7",
            "directory": str(self.root / "lib"),
            "link": str(self.root / "nats-server"),
            "config_file": str(self.config_file),
            "entries": [{"path": str(self.config_file), "state": "file", "mode": "0640", "content": content}],
        }
        return self.run_module("nats_plan", **{**arguments, **changes})

    def deploy(self, config: str) -> None:
        self.config_file.write_text(f"host: 127.0.0.1\nport: {self.port}\n{config}")


@pytest.fixture
def host(tmp_path: Path, free_port: Callable[[], int], run_module: RunModule) -> Host:
    return Host(tmp_path, free_port(), run_module)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def running(host: Host, nats_server: Path) -> Iterator[Host]:
    """A server that runs on "debug: false" from the versions' directory, through the link."""
    binary = host.root / "lib" / "2.10.7" / "nats-server"
    binary.parent.mkdir(parents=True)
    shutil.copy(nats_server, binary)
    link = host.root / "nats-server"
    link.symlink_to(binary)
    host.deploy("debug: false")
    command = [str(link), "-c", str(host.config_file)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        (host.root / "pid").write_text(f"{server.pid}\n")
        while not listens(host.port):
            assert server.poll() is None
        yield host
        server.terminate()


def test_an_empty_host_is_a_start(host: Host) -> None:
    result = host.plan("debug: false")
    assert result["action"] == "start"
    assert result["reasons"] == []
    assert result["changes"] == [{"path": str(host.config_file), "what": ["created"]}]
    assert not result["binary"]["installed"]
    assert result["archive"].startswith("nats-server-v2.10.7-linux-")
    assert not result["changed"]
    assert not host.config_file.exists()


@pytest.mark.parametrize(
    ("config", "action", "reasons"),
    [
        ("debug: false", "nothing", []),
        ("# a comment\ndebug = off", "nothing", []),
        ("debug: true", "reload", ["debug: False -> True (reload)"]),
        ("max_pending: 1MB", "restart", ["debug: False -> unset (reload)", "max_pending: unset -> 1048576 (restart)"]),
    ],
)
def test_a_running_server_is_disturbed_as_little_as_possible(
    running: Host, config: str, action: str, reasons: list[str]
) -> None:
    result = running.plan(config)
    assert (result["action"], result["reasons"]) == (action, reasons)


def test_another_binary_asks_for_a_restart(running: Host) -> None:
    result = running.plan("debug: false", version="2.10.8")
    assert result["action"] == "restart"
    assert "2.10.8" in result["reasons"][0]


def test_the_running_servers_own_port_is_not_taken(running: Host) -> None:
    assert "failed" not in running.plan("debug: true")


def test_a_taken_port_names_its_holder(host: Host) -> None:
    with socket.create_server(("127.0.0.1", host.port)):
        result = host.plan("")
    assert result["failed"]
    assert f"port: {host.port}" in result["msg"]
    assert f"process {os.getpid()}" in result["msg"]


@pytest.mark.parametrize(
    ("config", "changes", "expected"),
    [
        ('log_file: "/nowhere/log"', {}, "log_file: /nowhere/log: this host has no /nowhere"),
        ('tls { cert_file: "/nowhere/c.pem", key_file: "/nowhere/k.pem" }', {}, "tls.cert_file: /nowhere/c.pem"),
        ("", {"checksums": {"sparc": "0" * 64}}, "expected one of sparc"),
        ("", {"entries": []}, "entries has no"),
        ("port: banana", {}, "banana"),
        ("", {"version": "latest"}, "latest"),
    ],
)
def test_an_obstacle_is_named(host: Host, config: str, changes: dict[str, Any], expected: str) -> None:
    result = host.plan(config, **changes)
    assert result["failed"]
    assert expected in result["msg"]


def test_an_unsupported_architecture_names_those_that_are(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "sparc64")
    result = host.plan("")
    assert result["failed"]
    for part in ("sparc64", "386", "amd64", "arm6", "arm7", "arm64"):
        assert part in result["msg"]
    assert not host.config_file.exists()


def test_no_secret_is_shown(running: Host) -> None:
    running.deploy("authorization { user: rosey, password: old-secret }")
    content = f"host: 127.0.0.1\nport: {running.port}\nauthorization {{ user: rosey, password: new-secret }}"
    entry = {"path": str(running.config_file), "state": "file", "secret_content": content}
    result = running.plan("", entries=[entry])
    assert result["action"] == "reload"
    assert "secret" not in str(result["reasons"])
    assert "new-secret" not in str(result)
    assert "old-secret" not in str(result)
