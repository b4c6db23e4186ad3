# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three hosts that are one bus, step by step: each test goes on from what the one before it left."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from ansible_collections.rosey.nats.tests.integration.conftest import Variables, free_ports, run_playbook, stop_all
from ansible_collections.rosey.nats.tests.publisher import Published, Publisher
from ansible_collections.rosey.nats.tests.sampling import sampled

HOSTS = ("one", "two", "three")
SECRET = "of no host that anybody could reach, but long"
STREAM = "CHAT"
SUMS = {
    "2.10.7": "h1:f5VDy+GMu7JyuFA0Fef+6TfulfCs5nBTgq7MMkFJx5Y=",
    "2.10.29": "h1:IJ8TrZaiMZUrPGavMvP7hNAE9lYnHTThuthpwlsdlbc=",
}


@dataclass(frozen=True)
class Fleet:
    """Three hosts of one inventory, in a directory each. ports: of clients, monitoring and routes, by host."""

    directory: Path
    ports: dict[str, list[int]]

    def play(self, changes: Variables, *options: str, hosts: dict[str, Variables] | None = None) -> str:
        """Deploy; give what was printed, and the exit status in front. hosts: what single hosts have besides."""
        inventory = self.directory / "hosts.yml"
        of_hosts = {name: {**self._variables(name), **(hosts or {}).get(name, {})} for name in self.ports}
        common = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "nats_server_runtime": "process",
            "nats_server_install_method": "build",
            "nats_server_cluster_secret": SECRET,
            "nats_server_gate_soak": 0,
            "bot_config_environment": "development",
            "bot_config_runtime": "process",
            "bot_config_command": ["none"],
            "bot_config_owner": "",
            "bot_config_group": "",
            "bot_plugins_declared": [],
            **changes,
        }
        inventory.write_text(json.dumps({"rosey": {"hosts": of_hosts, "vars": common}}))
        return run_playbook("site.yml", inventory, *options)

    def deploy(self, changes: Variables, *options: str, **more: Any) -> str:
        said = self.play(changes, *options, **more)
        assert said.startswith("exit 0"), said
        return said

    def _variables(self, name: str) -> Variables:
        port, monitoring, routes = self.ports[name]
        return {
            "nats_server_prefix": str(self.directory / name),
            "nats_server_cluster": {"name": "rosey", "address": "127.0.0.1", "port": routes},
            "nats_server_config": {"server_name": "bus", "port": port, "http_port": monitoring},
        }

    def ask(self, name: str, page: str) -> dict[str, Any]:
        found: dict[str, Any] = requests.get(f"http://127.0.0.1:{self.ports[name][1]}/{page}", timeout=5).json()
        return found

    def leader(self) -> str:
        """Give the host whose server leads the meta group, once there is one."""
        for _attempt in range(100):
            if leader := self.ask("one", "jsz")["meta_cluster"].get("leader"):
                return str(leader).removeprefix("bus_")
            time.sleep(0.1)
        raise AssertionError("no leader")

    def ids(self) -> dict[str, str]:
        return {name: self.ask(name, "varz")["server_id"] for name in self.ports}

    def limits(self) -> dict[str, int]:
        return {name: self.ask(name, "jsz")["config"]["max_memory"] for name in self.ports}

    def pid_file(self, name: str) -> Path:
        return self.directory / name / "var" / "lib" / "nats" / "nats-server.pid"

    def pid(self, name: str) -> int:
        return int(self.pid_file(name).read_text())

    def files(self) -> dict[str, bytes]:
        found = (path for name in self.ports for path in (self.directory / name / "etc").rglob("*"))
        return {str(path): path.read_bytes() for path in found if path.is_file()}

    @property
    def servers(self) -> list[str]:
        return [f"nats://127.0.0.1:{port}" for port, _monitoring, _routes in self.ports.values()]

    def meanwhile(self, act: Callable[[], str]) -> tuple[str, Published]:
        """Do something while 200 messages a second are published to a stream with three replicas."""

        async def publish() -> tuple[str, Published]:
            async with Publisher(self.servers, STREAM, replicas=len(self.ports)) as publisher:
                said = await asyncio.to_thread(act)
                return said, await publisher.end()

        return asyncio.run(publish())


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    ports = free_ports(3 * len(HOSTS))
    made = Fleet(tmp_path_factory.mktemp("fleet"), {name: ports[at * 3 : at * 3 + 3] for at, name in enumerate(HOSTS)})
    yield made
    stop_all(made.directory)


def memory(limit: str) -> Variables:
    """What only a restart brings into effect."""
    return {"nats_server_config_overrides": {"jetstream": {"max_mem": limit}}}


def order(said: str) -> list[str]:
    return re.findall(r"- (?:'|)\d\. (\w+)", said)


def test_a_group_and_a_name_are_a_cluster(fleet: Fleet) -> None:
    said = fleet.deploy({})
    assert SECRET not in said
    assert {fleet.ask(name, "varz")["server_name"] for name in HOSTS} == {f"bus_{name}" for name in HOSTS}
    assert {fleet.ask(name, "jsz")["meta_cluster"]["cluster_size"] for name in HOSTS} == {3}
    for name in HOSTS:
        routed = {each["remote_name"] for each in fleet.ask(name, "routez")["routes"]}
        assert routed == {f"bus_{other}" for other in HOSTS if other != name}
    assert not order(said)


def test_a_second_run_changes_nothing(fleet: Fleet) -> None:
    before = fleet.ids()
    assert fleet.deploy({}).count("changed=0") == len(HOSTS)
    assert fleet.ids() == before


@pytest.mark.thorough
def test_one_host_of_it_is_deployed_by_itself(fleet: Fleet) -> None:
    assert "changed=0" in fleet.deploy({}, "--limit", "two")


@pytest.mark.thorough
def test_what_takes_a_reload_is_reloaded_everywhere(fleet: Fleet) -> None:
    before = fleet.ids()
    said, published = fleet.meanwhile(lambda: fleet.deploy({"nats_server_config_overrides": {"max_payload": 2000000}}))
    assert not order(said)
    assert fleet.ids() == before
    assert {fleet.ask(name, "varz")["max_payload"] for name in HOSTS} == {2000000}
    assert (published.lost, published.failed) == (0, 0)


def test_a_roll_is_foretold(fleet: Fleet) -> None:
    before, leader = (fleet.ids(), fleet.files()), fleet.leader()
    said = fleet.deploy(memory("300M"), "--check", "--diff")
    assert order(said)[-1] == leader
    assert sorted(order(said)) == sorted(HOSTS)
    assert f"{leader}, which leads the meta group" in said
    assert "jetstream.max_mem: unset -> 300M (restart)" in " ".join(said.split())
    assert (fleet.ids(), fleet.files()) == before


def test_a_roll_restarts_one_after_another_and_nothing_is_lost(fleet: Fleet) -> None:
    before, leader = fleet.ids(), fleet.leader()
    said, published = fleet.meanwhile(lambda: fleet.deploy(memory("300M")))
    after = fleet.ids()
    assert all(after[name] != before[name] for name in HOSTS)
    assert order(said)[-1] == leader
    assert set(fleet.limits().values()) == {300_000_000}
    assert (published.lost, published.failed) == (0, 0)
    assert published.stall < Publisher.TIMEOUT + 1
    assert fleet.deploy(memory("300M")).count("changed=0") == len(HOSTS)


def killed_once_it_is_started_anew(fleet: Fleet, name: str) -> threading.Thread:
    """Kill the next process of a host's server."""
    before = fleet.pid(name)

    def kill() -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            text = fleet.pid_file(name).read_text() if fleet.pid_file(name).exists() else ""
            if text.strip() and int(text) != before:
                os.kill(int(text), signal.SIGKILL)
                return
            time.sleep(0.01)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


@pytest.mark.parametrize("keep_proven", sampled([False, True], 1))
def test_a_server_that_fails_stops_the_roll(fleet: Fleet, keep_proven: bool) -> None:
    before, limits, leader = fleet.ids(), fleet.limits(), fleet.leader()
    # followers go in the order of the inventory
    first, second = (name for name in HOSTS if name != leader)
    killing = killed_once_it_is_started_anew(fleet, second)

    def deploy() -> str:
        return fleet.play(memory("400M"), "-e", json.dumps({"release_keep_proven": keep_proven}))

    said, published = fleet.meanwhile(deploy)
    killing.join()
    assert said.startswith("exit 2"), said
    assert order(said)[:3] == [first, second, leader]
    # nobody has begun with the last one
    assert fleet.ids()[leader] == before[leader]
    assert f"{second} is back at release" in said
    assert fleet.limits() == {**limits, **({first: 400_000_000} if keep_proven else {})}
    assert (published.lost, published.failed) == (0, 0)
    assert (f"{first} is back at release" in said) is not keep_proven
    assert (f"{first} runs what was asked for, as its gate has proven" in said) is keep_proven


@pytest.mark.thorough
def test_the_next_run_makes_one_of_them_again(fleet: Fleet) -> None:
    said, published = fleet.meanwhile(lambda: fleet.deploy(memory("400M")))
    assert len(order(said)) == 2
    assert set(fleet.limits().values()) == {400_000_000}
    assert (published.lost, published.failed) == (0, 0)
    assert fleet.deploy(memory("400M")).count("changed=0") == len(HOSTS)


@pytest.mark.thorough
def test_the_password_of_the_routes_is_told_to_all_before_they_are_made_anew(fleet: Fleet) -> None:
    another = {**memory("400M"), "nats_server_cluster_secret": SECRET + ", and another one"}
    before = fleet.ids()
    said, published = fleet.meanwhile(lambda: fleet.deploy(another))
    assert "first, all of them are reloaded" in said
    assert sorted(order(said)) == sorted(HOSTS)
    assert all(fleet.ids()[name] != before[name] for name in HOSTS)
    assert (published.lost, published.failed) == (0, 0)
    assert fleet.deploy(another).count("changed=0") == len(HOSTS)

    together = {**memory("500M"), "nats_server_cluster_secret": SECRET}
    files = fleet.files()
    said = fleet.play(together)
    assert said.startswith("exit 2"), said
    assert "changes together with jetstream.max_mem, which takes a restart" in " ".join(said.split())
    assert fleet.files() == files


@pytest.mark.thorough
def test_nobody_is_restarted_while_another_one_is_gone(fleet: Fleet) -> None:
    secret = {"nats_server_cluster_secret": SECRET + ", and another one"}
    leader = fleet.leader()
    gone = next(name for name in HOSTS if name != leader)
    others = ",".join(name for name in HOSTS if name != gone)
    os.kill(fleet.pid(gone), signal.SIGKILL)
    time.sleep(1)
    before, files = {name: fleet.pid(name) for name in HOSTS}, fleet.files()
    said = fleet.play({**memory("500M"), **secret}, "--limit", others)
    assert said.startswith("exit 2"), said
    assert f"bus_{gone}: expected every server of the cluster there before one of the 3 is restarted" in said
    assert ({name: fleet.pid(name) for name in HOSTS}, fleet.files()) == (before, files)
    # a run of all of them starts it first
    said = fleet.deploy({**memory("500M"), **secret})
    assert sorted(order(said)) == sorted(others.split(","))
    assert set(fleet.limits().values()) == {500_000_000}


@pytest.mark.thorough
def test_another_version_and_back(fleet: Fleet) -> None:
    given = {**memory("500M"), "nats_server_cluster_secret": SECRET + ", and another one"}
    for version in ("2.10.29", "2.10.7"):
        said, published = fleet.meanwhile(
            lambda version=version: fleet.deploy(
                {**given, "nats_server_version": version, "nats_server_module_sums": SUMS}
            )
        )
        assert {fleet.ask(name, "varz")["version"] for name in HOSTS} == {version}
        assert len(order(said)) == len(HOSTS)
        assert (published.lost, published.failed) == (0, 0)
