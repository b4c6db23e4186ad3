# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three hosts of one inventory that are one bus, each in a directory of this machine, deployed by the playbooks."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import requests

from ansible_collections.rosey.nats.tests.integration.conftest import (
    Variables,
    free_ports,
    merged,
    run_playbook,
    stop_all,
)
from ansible_collections.rosey.nats.tests.publisher import Published, Publisher

HOSTS = ("one", "two", "three")
SECRET = "of no host that anybody could reach, but long"
STREAM = "CHAT"
HERE = "127.0.0.1"
Done = TypeVar("Done")


@dataclass(frozen=True)
class Fleet:
    """Three hosts of one inventory, in a directory each. ports: of clients, monitoring and routes, by host.

    addresses: by which the others reach a host, where that is not the one that it listens at.
    """

    directory: Path
    ports: dict[str, list[int]]
    addresses: Mapping[str, str] = field(default_factory=dict)

    def inventory(self, changes: Variables, hosts: Mapping[str, Variables] | None = None) -> Path:
        """Write the inventory. hosts: what single hosts have besides."""
        written = self.directory / "hosts.yml"
        of_hosts = {name: self._with(name, (hosts or {}).get(name, {})) for name in self.ports}
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
        written.write_text(json.dumps({"rosey": {"hosts": of_hosts, "vars": common}}))
        return written

    def play(
        self,
        changes: Variables,
        *options: str,
        hosts: Mapping[str, Variables] | None = None,
        environment: dict[str, str] | None = None,
    ) -> str:
        """Deploy; give what was printed, and the exit status in front."""
        return run_playbook("site.yml", self.inventory(changes, hosts), *options, environment=environment)

    def deploy(self, changes: Variables, *options: str, **more: Any) -> str:
        said = self.play(changes, *options, **more)
        assert said.startswith("exit 0"), said
        return said

    def _with(self, name: str, changes: Variables) -> Variables:
        """Lay changes over what a host has; those of its cluster option by option, but for none at all."""
        own, option = self._variables(name), "nats_server_cluster"
        found = merged(own, changes)
        return {**found, option: {**own[option], **found[option]}} if found[option] else found

    def _variables(self, name: str) -> Variables:
        port, monitoring, routes = self.ports[name]
        return {
            "nats_server_prefix": str(self.directory / name),
            "nats_server_cluster": {
                "name": "rosey",
                "address": self.addresses.get(name, HERE),
                "host": HERE,
                "port": routes,
            },
            "nats_server_config": {
                "server_name": "bus",
                "port": port,
                "http_port": monitoring,
                # the few clients of a test need no ten seconds to leave
                "lame_duck_grace_period": "1s",
            },
        }

    def ask(self, name: str, page: str) -> dict[str, Any]:
        found: dict[str, Any] = requests.get(f"http://127.0.0.1:{self.ports[name][1]}/{page}", timeout=5).json()
        return found

    def leader(self) -> str:
        """Give the host whose server leads the meta group, once there is one."""
        first = next(iter(self.ports))
        for _attempt in range(100):
            if leader := self.ask(first, "jsz")["meta_cluster"].get("leader"):
                return str(leader).removeprefix("bus_")
            time.sleep(0.1)
        raise AssertionError("no leader")

    def ids(self, *names: str) -> dict[str, str]:
        return {name: self.ask(name, "varz")["server_id"] for name in names or self.ports}

    def limits(self) -> dict[str, int]:
        return {name: self.ask(name, "jsz")["config"]["max_memory"] for name in self.ports}

    def pid_file(self, name: str) -> Path:
        return self.directory / name / "var" / "lib" / "nats" / "nats-server.pid"

    def pid(self, name: str) -> int:
        return int(self.pid_file(name).read_text())

    def store(self, name: str) -> Path:
        return self.directory / name / "var" / "lib" / "nats" / "jetstream"

    def releases(self, name: str) -> Path:
        return self.directory / name / "var" / "lib" / "rosey-nats"

    def files(self) -> dict[str, bytes]:
        found = (path for name in self.ports for path in (self.directory / name / "etc").rglob("*"))
        return {str(path): path.read_bytes() for path in found if path.is_file()}

    @property
    def servers(self) -> list[str]:
        return [f"nats://127.0.0.1:{port}" for port, _monitoring, _routes in self.ports.values()]

    def meanwhile(self, act: Callable[[], Done], *, rate: float = 200, known: bool = True) -> tuple[Done, Published]:
        """Do something while so many messages a second are published to a stream with three replicas, known to it."""

        async def publish() -> tuple[Done, Published]:
            replicas = len(self.ports)
            async with Publisher(self.servers, STREAM, replicas=replicas, rate=rate, known=known) as publisher:
                said = await asyncio.to_thread(act)
                return said, await publisher.end()

        return asyncio.run(publish())


def found_ports(hosts: Sequence[str] = HOSTS) -> dict[str, list[int]]:
    """Give ports for each host, as Fleet has them."""
    ports = free_ports(3 * len(hosts))
    return {name: ports[at * 3 : at * 3 + 3] for at, name in enumerate(hosts)}


@contextmanager
def made(directory: Path, hosts: Sequence[str] = HOSTS) -> Iterator[Fleet]:
    """Give hosts on which nothing is deployed yet, and end their servers when the context does."""
    try:
        yield Fleet(directory, found_ports(hosts))
    finally:
        stop_all(directory)


def memory(limit: str) -> Variables:
    """What only a restart brings into effect."""
    return {"nats_server_config_overrides": {"jetstream": {"max_mem": limit}}}


def order(said: str) -> list[str]:
    return re.findall(r"- (?:'|)\d\. (\w+)", said)


def once_it_is_started_anew(fleet: Fleet, name: str, act: Callable[[int], object]) -> threading.Thread:
    """Do something as soon as a host's server is another process than now. act: takes its number."""
    before = fleet.pid(name)

    def look() -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            text = fleet.pid_file(name).read_text() if fleet.pid_file(name).exists() else ""
            if text.strip() and int(text) != before:
                act(int(text))
                return
            time.sleep(0.01)

    thread = threading.Thread(target=look)
    thread.start()
    return thread


def killed_once_it_is_started_anew(fleet: Fleet, name: str) -> threading.Thread:
    """Kill the next process of a host's server."""
    return once_it_is_started_anew(fleet, name, lambda pid: os.kill(pid, signal.SIGKILL))
