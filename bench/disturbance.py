# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what a change does to clients, side by side in one run: a restart or a reload, a clean stop or a lame duck.

Each way has fresh servers and 200 clients, each of which sends itself a message twenty times a second. An outage is the
time between two messages that arrive.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import nats
from nats.aio.client import Client as Connection
from nats.aio.msg import Msg

from ansible_collections.rosey.nats.tests.integration.conftest import free_ports

BINARY = os.environ["NATS_SERVER_BINARY"]
CLIENTS = 200
PAUSE = 0.05
SETTLING = 2.0
PATIENCE = 120.0
# The guide's, for development and staging.
RECONNECT_TIME_WAIT = 2
# The shortest that nats-server takes, and a grace in which the clients can be told.
LAME_DUCK = 'lame_duck_duration: "30s"\nlame_duck_grace_period: "1s"\n'


class Server:
    """A nats-server on ports of its own, alone unless it joins another."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.port, self.monitoring_port, self.cluster_port = free_ports(3)
        self._config = directory / "nats-server.conf"
        self._peer: Server | None = None
        self._store = directory / "store"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients go."""
        return f"nats://127.0.0.1:{self.port}"

    def join(self, peer: Server) -> None:
        """Let it make a cluster with another."""
        self._peer = peer

    def configure(self, max_connections: int) -> None:
        """Write its configuration."""
        if self._peer:
            route = f"nats://127.0.0.1:{self._peer.cluster_port}"
            more = f'cluster {{ name: bench, listen: "127.0.0.1:{self.cluster_port}", routes: ["{route}"] }}\n'
        else:
            more = f'jetstream {{ store_dir: "{self._store}", max_mem: 64M, max_file: 64M }}\n'
        self._config.write_text(
            f"host: 127.0.0.1\nport: {self.port}\nhttp_port: {self.monitoring_port}\n"
            f"max_connections: {max_connections}\n{LAME_DUCK}{more}"
        )

    async def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen([BINARY, "-c", self._config], stderr=subprocess.DEVNULL)
        while self.max_connections() is None:
            await asyncio.sleep(0.01)

    def max_connections(self) -> int | None:
        """Ask with which limit it runs; None where it does not answer."""
        with suppress(OSError), urlopen(f"http://127.0.0.1:{self.monitoring_port}/varz", timeout=5) as answer:
            return int(json.load(answer)["max_connections"])
        return None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self._process:
            self._process.send_signal(number)

    async def ended(self) -> None:
        """Wait until it has ended."""
        while self._process and self._process.poll() is None:
            await asyncio.sleep(0.01)

    def kill(self) -> None:
        """End it at once."""
        if self._process:
            self._process.kill()
            self._process.wait()


class Client:
    """One client that publishes and receives all the time."""

    def __init__(self, number: int) -> None:
        self._subject = f"rosey.bench.commands.{number}"
        self.drops = 0
        self.last = 0.0
        self.longest = 0.0

    async def connect(self, urls: Sequence[str]) -> Connection:
        """Connect, and listen to what it will say."""
        connection = await nats.connect(
            list(urls),
            dont_randomize=True,
            reconnect_time_wait=RECONNECT_TIME_WAIT,
            max_reconnect_attempts=-1,
            disconnected_cb=self._disconnected,
            error_cb=self._failed,
        )
        await connection.subscribe(self._subject, cb=self._received)
        return connection

    async def talk(self, connection: Connection) -> None:
        """Publish until it is cancelled."""
        while True:
            # What is said while it is not connected is kept and sent later.
            with suppress(nats.errors.Error):
                await connection.publish(self._subject, b"!quote")
            await asyncio.sleep(PAUSE)

    def begin(self) -> None:
        """Forget what was before."""
        self.drops, self.longest = 0, 0.0

    async def _received(self, _message: Msg) -> None:
        now = time.monotonic()
        if self.last:
            self.longest = max(self.longest, now - self.last)
        self.last = now

    async def _disconnected(self) -> None:
        self.drops += 1

    async def _failed(self, _error: Exception) -> None:
        """Say nothing: that it was disconnected is counted."""


@dataclass(frozen=True)
class Outcome:
    """What a change did. dropped: clients that lost their connection. outage: the longest of any client, seconds."""

    dropped: int
    outage: float
    seconds: float


Change = Callable[[Server], Awaitable[None]]


async def nothing(_server: Server) -> None:
    """Change nothing, for as long as a restart takes."""
    await asyncio.sleep(1)


async def reload(server: Server) -> None:
    """Let the server read a changed configuration, and see that it runs with it."""
    server.configure(max_connections=500)
    server.send(signal.SIGHUP)
    while server.max_connections() != 500:
        await asyncio.sleep(0.01)


def restart(number: signal.Signals) -> Change:
    """Give what stops the server with this signal and starts it, as `systemctl restart` does."""

    async def change(server: Server) -> None:
        server.configure(max_connections=500)
        server.send(number)
        await server.ended()
        await server.start()

    return change


async def measure(change: Change, *, alone: bool) -> Outcome:
    """Let clients talk, make the change, and wait until the last of them is heard again."""
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = [Server(directory / name) for name in (("one",) if alone else ("one", "two"))]
        if not alone:
            servers[0].join(servers[1])
            servers[1].join(servers[0])
        for server in servers:
            server.configure(max_connections=400)
            stack.callback(server.kill)
            await server.start()
        clients = [Client(number) for number in range(CLIENTS)]
        talks = []
        for client in clients:
            connection = await client.connect([server.url for server in servers])
            stack.push_async_callback(connection.close)
            talks.append(asyncio.create_task(client.talk(connection)))
        await asyncio.sleep(SETTLING)
        for client in clients:
            client.begin()
        began = time.monotonic()
        await change(servers[0])
        done = time.monotonic()
        while any(client.last < done for client in clients):
            if time.monotonic() > done + PATIENCE:
                raise SystemExit(f"clients that did not come back: {sum(client.last < done for client in clients)}")
            await asyncio.sleep(0.05)
        await asyncio.sleep(SETTLING)
        outcome = Outcome(
            sum(client.drops > 0 for client in clients), max(client.longest for client in clients), done - began
        )
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        return outcome


def main() -> None:
    """Measure and print."""
    stop, lame_duck = restart(signal.SIGINT), restart(signal.SIGUSR2)
    ways: dict[str, list[tuple[str, Change, bool]]] = {
        "a change that can be reloaded": [
            ("no change at all", nothing, True),
            ("published roles: restart (SIGINT)", stop, True),
            ("rosey.nats: reload (SIGHUP)", reload, True),
        ],
        "a restart where the server stands alone": [
            ("rosey.nats: clean stop (SIGINT)", stop, True),
            ("lame duck (SIGUSR2)", lame_duck, True),
        ],
        "a restart where clients have another server": [
            ("clean stop (SIGINT)", stop, False),
            ("rosey.nats: lame duck (SIGUSR2)", lame_duck, False),
        ],
    }
    print(f"{CLIENTS} clients{'':35}{'dropped':>9}{'longest outage':>16}{'change took':>13}")
    for title, contestants in ways.items():
        print(title)
        for name, change, alone in contestants:
            found = asyncio.run(measure(change, alone=alone))
            print(f"  {name:44}{found.dropped:>9}{found.outage:15.2f}s{found.seconds:12.2f}s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
