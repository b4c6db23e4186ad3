# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what proving JetStream's data costs, with few streams and with ten thousand, side by side: make bench.

Each module runs as it does on a host, against a real server, without Ansible around it. What it reads are the answers
of /jsz; what it sends is its result, which goes to the controller.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nats
import requests
from ansible.module_utils.testing import patch_module_args

from ansible_collections.rosey.nats.plugins.module_utils._data import asset_record, asset_store, asset_watch
from ansible_collections.rosey.nats.plugins.modules import nats_gate, nats_plan

NUMBERS = (10, 10_000)
RUNS = 3
AT_ONCE = 50
PORT, MONITORING_PORT = 14_222, 18_222
URL = f"http://127.0.0.1:{MONITORING_PORT}"


def config_of(directory: Path) -> str:
    """Give the configuration of the server."""
    return (
        f"host: 127.0.0.1\nport: {PORT}\nhttp_port: {MONITORING_PORT}\nlog_file: {json.dumps(str(directory / 'log'))}\n"
        f"jetstream {{ store_dir: {json.dumps(str(directory / 'store'))}, max_mem: 64M, max_file: 10G }}\n"
    )


def start(directory: Path) -> subprocess.Popen[bytes]:
    """Start a server, and wait until it is healthy."""
    process = subprocess.Popen([os.environ["NATS_SERVER_BINARY"], "-c", directory / "nats-server.conf"])
    while True:
        with contextlib.suppress(requests.RequestException):
            if requests.get(f"{URL}/healthz", timeout=60).ok:
                return process
        time.sleep(0.01)


async def fill(number: int) -> None:
    """Make streams, each with a consumer and a message."""
    client = await nats.connect(f"nats://127.0.0.1:{PORT}")

    async def make(name: str) -> None:
        stream = {"name": name, "subjects": [f"{name}.>"], "storage": "file", "num_replicas": 1}
        consumer = {"stream_name": name, "config": {"durable_name": "reader", "ack_policy": "explicit"}}
        for subject, body in (
            (f"$JS.API.STREAM.CREATE.{name}", stream),
            (f"$JS.API.CONSUMER.DURABLE.CREATE.{name}.reader", consumer),
            (f"{name}.message", {}),
        ):
            await client.request(subject, json.dumps(body).encode(), timeout=60)

    for first in range(0, number, AT_ONCE):
        await asyncio.gather(*(make(f"S{each}") for each in range(first, min(first + AT_ONCE, number))))
    await client.close()


def run(module: Any, arguments: dict[str, Any]) -> int:
    """Run a module, and give the bytes of its result."""
    said = io.StringIO()
    with patch_module_args(arguments), contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        module.main()
    result = json.loads(said.getvalue())
    if result.get("failed"):
        sys.exit(str(result))
    return len(said.getvalue())


def seconds(action: Callable[[], object]) -> float:
    """Give the median of some runs."""
    times = []
    for _run in range(RUNS):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def measure(number: int) -> dict[str, float]:
    """Measure all that a deployment asks of a host with so many streams."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        (directory / "nats-server.conf").write_text(config_of(directory))
        process = start(directory)
        try:
            asyncio.run(fill(number))
            releases, data = directory / "releases", directory / "store" / "jetstream"
            entry = {"path": str(directory / "nats-server.conf"), "state": "file", "content": config_of(directory)}
            planned = {
                "runtime": "process",
                "pid_file": str(directory / "pid"),
                "version": "2.10.7",
                "directory": str(directory / "lib"),
                "link": os.environ["NATS_SERVER_BINARY"],
                "config_file": str(directory / "nats-server.conf"),
                "entries": [entry],
                "release_dir": str(releases),
            }
            proven = {
                "monitoring_url": URL,
                "config_file": str(directory / "nats-server.conf"),
                "release_dir": str(releases),
            }
            query = {"acc": "$G", "streams": 1, "consumers": 1, "config": 1}
            found: dict[str, float] = {
                "server's own answer (s)": seconds(lambda: requests.get(f"{URL}/jsz", params=query, timeout=60)),
                "read (bytes)": len(requests.get(f"{URL}/jsz", params=query, timeout=60).content),
                "gate (s)": seconds(lambda: run(nats_gate, proven)),
                "gate sends (bytes)": run(nats_gate, proven),
                "observe (s)": seconds(lambda: run(nats_plan, planned)),
                "observe sends (bytes)": run(nats_plan, planned),
                "begin (s)": seconds(lambda: asset_record.Book(releases).begin(asset_watch.look(URL, data))),
                "kept on the host (bytes)": (releases / asset_record.PROVEN).stat().st_size,
            }
        finally:
            process.send_signal(2)
            process.wait()
        found["stopped store (s)"] = seconds(lambda: asset_store.read(data))
        return found


def main() -> None:
    """Print one table."""
    columns = {number: measure(number) for number in NUMBERS}
    print(f"{'streams':28}" + "".join(f"{number:>14,}" for number in NUMBERS))
    for name in columns[NUMBERS[0]]:
        digits = 2 if name.endswith("(s)") else 0
        print(f"{name:28}" + "".join(f"{columns[number][name]:>14,.{digits}f}" for number in NUMBERS))


if __name__ == "__main__":
    main()
