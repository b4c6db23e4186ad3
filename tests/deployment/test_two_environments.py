# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bots of two environments on one host: each with a server of its own, or both with the server of the first."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file
from ansible_collections.rosey.nats.tests.integration.conftest import (
    QUOTES,
    free_ports,
    install_bot,
    local_bot,
    merged,
    play_role,
    run_playbook,
    stop_all,
)

ROLLBACK = "playbooks/rollback.yml"
LOGIN = {"user": "rosey", "password": "known to both sides"}
# A database that its plugin can't open.
BROKEN = {"bot_plugins_declared": [{**QUOTES, "config": {"database": "/proc/quotes.db"}}], "bot_config_gate_wait": 4}


@dataclass(frozen=True)
class Inventory:
    """The inventory of one environment, of which the host is one. root: where everything of the host is."""

    root: Path
    environment: str
    home: Path
    bot_port: int
    releases: Path
    variables: dict[str, Any]

    @property
    def file(self) -> Path:
        return self.root.parent / "inventories" / self.environment / "hosts.yml"

    @property
    def release(self) -> str:
        return (self.releases / "current").read_text().strip()

    @property
    def parts(self) -> set[str]:
        return {*atomic_file.read(self.releases / "releases" / f"{self.release}.json")["parts"]}

    @property
    def section(self) -> dict[str, Any]:
        path = self.home / "environments" / self.environment / "config.yaml"
        section: dict[str, Any] = yaml.safe_load(path.read_text())["nats"]
        return section

    def deploy(self, changes: dict[str, Any] | None = None, *options: str) -> str:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        return play_role("here", self.file, merged(self.variables, changes or {}), *options)

    def play(self, playbook: str, *options: str) -> str:
        return run_playbook(playbook, self.file, *options)

    def told(self) -> dict[str, Any]:
        """Give what its bot tells of its connection."""
        answer = requests.get(f"http://127.0.0.1:{self.bot_port}/api/health", timeout=5)
        told: dict[str, Any] = answer.json()["nats"]
        return told

    def pid(self) -> str:
        return (self.home / "bot.pid").read_text().strip()


def inventory(root: Path, environment: str, home: str, ports: tuple[int, int], **variables: Any) -> Inventory:
    """Give one whose bot is installed. ports: of the server, and its monitoring."""
    (bot_port,) = free_ports(1)
    at = root / home
    at.parent.mkdir(parents=True, exist_ok=True)
    install_bot(at, bot_port, environment)
    described = {
        **local_bot(at, bot_port, environment),
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "nats_server_runtime": "process",
        "nats_server_install_method": "build",
        "nats_server_prefix": str(root),
        "nats_server_gate_soak": 0,
        "nats_server_config": {"server_name": "first", "port": ports[0], "http_port": ports[1]},
        "nats_server_credentials": LOGIN,
        **variables,
    }
    releases = Path(described.get("release_dir", root / "var/lib/rosey-nats"))
    return Inventory(root, environment, at, bot_port, releases, described)


def server_id(port: int) -> str:
    return str(requests.get(f"http://127.0.0.1:{port}/varz", timeout=5).json()["server_id"])


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "host"
    stop_all(tmp_path)


def described_second(root: Path, ports: tuple[int, int], **variables: Any) -> Inventory:
    return inventory(root, "development", "opt/rosey-bot-dev", ports, **variables)


def two_ports() -> tuple[int, int]:
    port, monitoring = free_ports(2)
    return port, monitoring


def is_well(each: Inventory) -> bool:
    return bool(each.told()["connected"])


@pytest.mark.thorough
def test_two_bots_on_the_server_of_the_first(root: Path) -> None:
    ports, own = two_ports(), f"{root}/var/lib/rosey-nats-development"
    first = inventory(root, "staging", "opt/rosey-bot", ports)
    said = first.deploy()
    assert said.startswith("exit 0"), said
    server, bot = server_id(ports[1]), first.pid()

    # with the releases of the first, the run would take the place of what that has proven
    second = described_second(root, ports, nats_server_managed=False, release_dir=own)
    said = " ".join(second.deploy({"release_dir": str(first.releases)}).split())
    assert said.startswith("exit 2"), said
    assert "is of staging, and this run is of development." in said
    assert f"where both are to be on the host, set release_dir: {own}, and what else each needs of its own" in said
    assert first.parts == {"server", "bot", "plugins"}

    # what it says of the server is not applied
    said = second.deploy({"nats_server_config": {"server_name": "another", "max_connections": 3}})
    assert said.startswith("exit 0"), said
    assert (first.parts, second.parts) == ({"server", "bot", "plugins"}, {"bot", "plugins"})
    assert (first.section["prefix"], second.section["prefix"]) == ("rosey.staging", "rosey.dev")
    for each in (first, second):
        said = each.deploy()
        assert said.startswith("exit 0"), said
        assert "changed=0" in said
        said = each.play("playbooks/health.yml")
        assert said.startswith("exit 0"), said

    # a change of the second that fails, a way back by hand, and one to a bot without NATS concern it alone
    proven = second.release
    said = second.deploy(BROKEN)
    assert f"here is back at release {proven}, as its gate has proven" in said, said
    said = second.deploy({"bot_config_nats": {"name": "rosey-bot-development", "ping_interval": 20}})
    assert said.startswith("exit 0"), said
    said = second.play(ROLLBACK)
    assert said.startswith("exit 0"), said
    assert second.section["ping_interval"] == 30
    said = second.play(ROLLBACK, "-erollback_to=legacy", "-erollback_stop_nats=true")
    assert "the server was not stopped, since nats_server_managed is false here" in said
    said = second.deploy(None, "--tags", "bot_config,bot_plugins")
    assert said.startswith("exit 0"), said
    said = second.play("playbooks/stop.yml")
    assert said.startswith("exit 0"), said
    assert (server_id(ports[1]), first.pid()) == (server, bot)
    assert is_well(first)


@pytest.mark.thorough
def test_two_servers_on_one_host_each_with_its_bot(root: Path) -> None:
    ports, other = two_ports(), two_ports()
    first = inventory(root, "staging", "opt/rosey-bot", ports)
    second = described_second(
        root,
        other,
        nats_server_config={"server_name": "second", "port": other[0], "http_port": other[1]},
        nats_server_config_dir=f"{root}/etc/nats-development",
        nats_server_data_dir=f"{root}/var/lib/nats-development",
        nats_server_log_dir=f"{root}/var/log/nats-development",
        release_dir=f"{root}/var/lib/rosey-nats-development",
    )
    for each in (first, second):
        said = each.deploy()
        assert said.startswith("exit 0"), said
    before = server_id(ports[1]), first.pid(), first.release
    assert second.parts == {"server", "bot", "plugins"}
    said = second.deploy({"nats_server_config": {"max_payload": 2097152}, **BROKEN})
    assert "is back at release" in said, said
    said = first.deploy()
    assert "changed=0" in said, said
    assert (server_id(ports[1]), first.pid(), first.release) == before
    assert is_well(first)
    assert is_well(second)
