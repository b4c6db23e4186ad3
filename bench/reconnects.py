# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure how long 500 clients of one plugin take to come back after a restart, by what they prove themselves with.

A derived password has a hash of the least cost, since nobody can guess it. The processor's time is that of the new
server until all are back.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import nats

from ansible_collections.rosey.nats.plugins.module_utils._server import conf
from ansible_collections.rosey.nats.plugins.plugin_utils import clients
from ansible_collections.rosey.nats.plugins.plugin_utils.permissions import Permissions
from ansible_collections.rosey.nats.tests.integration.conftest import free_ports

BINARY = os.environ["NATS_SERVER_BINARY"]
CLIENTS = 500
PREFIX = "rosey.dev"
SECRET = "nobody has to keep this one to themselves"
PATIENCE = 60.0


def start(config: Path) -> subprocess.Popen[bytes]:
    """Start a server."""
    return subprocess.Popen([BINARY, "-c", str(config)], stderr=subprocess.DEVNULL)


def processor_seconds(pid: int) -> float:
    """Give the processor's time that a process has had (proc(5), utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(directory: Path, kind: str) -> tuple[float, float]:
    """Connect all, restart the server; give the seconds until all are back, and those of the processor."""
    allowed = [
        Permissions("plugin", f"{PREFIX}._inbox.plugin", (f"{PREFIX}.said",), (f"{PREFIX}.heard",)),
        Permissions("system", f"{PREFIX}._inbox.system", is_unlimited=True),
    ]
    every = clients.with_credentials(allowed, clients.Asked(kind, SECRET, numbers={}, given={}, owners={}), PREFIX)
    (port,) = free_ports(1)
    block: dict[str, Any] = clients.server_block(every, "bench")
    config = directory / "nats-server.conf"
    config.write_text(conf.render({"host": "127.0.0.1", "port": port, "max_connections": 2 * CLIENTS, **block}))
    plugin = every[0]
    login = {"nkeys_seed_str": plugin.seed} if plugin.seed else {"user": plugin.user, "password": plugin.password}
    server = start(config)
    back, all_back = set[int](), asyncio.Event()

    async def connect(number: int) -> nats.NATS:
        async def on_back() -> None:
            back.add(number)
            if len(back) == CLIENTS:
                all_back.set()

        async def say_nothing(_error: Exception) -> None:
            """A server that is away is what is measured."""

        return await nats.connect(
            f"nats://127.0.0.1:{port}",
            **login,
            connect_timeout=PATIENCE,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.1,
            reconnected_cb=on_back,
            error_cb=say_nothing,
        )

    try:
        connections = await asyncio.gather(*map(connect, range(CLIENTS)))
        server.send_signal(signal.SIGINT)
        await asyncio.to_thread(server.wait)
        server, since = start(config), time.monotonic()
        await asyncio.wait_for(all_back.wait(), PATIENCE)
        seconds, of_processor = time.monotonic() - since, processor_seconds(server.pid)
        await asyncio.gather(*(each.close() for each in connections))
    finally:
        server.kill()
        await asyncio.to_thread(server.wait)
    return seconds, of_processor


def main() -> None:
    """Measure each way and print a table."""
    print(f"{CLIENTS} clients of one plugin, after a restart of the server\n")
    print(f"{'proven by':18} {'all are back':>14} {'processor':>12}")
    for kind in (clients.PASSWORD, clients.NKEY):
        with tempfile.TemporaryDirectory() as directory:
            seconds, of_processor = asyncio.run(measure(Path(directory), kind))
        print(f"{kind:18} {seconds:12.2f} s {of_processor:10.2f} s", flush=True)


if __name__ == "__main__":
    main()
