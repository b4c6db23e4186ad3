# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that change what JetStream holds all the while, in every way that is nobody's loss."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import nats
from nats.aio.client import Client

from ansible_collections.rosey.nats.tests.assets.ground import ANYBODY, connect, request

STREAMS: dict[str, dict[str, Any]] = {
    "AGED": {"max_age": 200_000_000},
    "BOUNDED": {"max_msgs": 50},
    "LATEST": {"max_msgs_per_subject": 1},
    "QUEUE": {"retention": "workqueue"},
    "INTEREST": {"retention": "interest"},
    "KEPT": {},
    "PURGED": {},
}
CONSUMED = ("QUEUE", "INTEREST", "KEPT")
PAUSE = 0.005


class Clients:
    """One thread in which all of them are busy until it ends; each connects again as long as it lasts."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ends = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._work()), daemon=True)
        self._counts = {"published": 0, "acknowledged": 0, "purged": 0}
        self._ready = threading.Event()

    def __enter__(self) -> Clients:
        asyncio.run(self._prepare())
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._ends.set()
        self._thread.join(30)

    def are_busy(self) -> bool:
        """Tell whether each of them has done what it is there for."""
        return all(self._counts.values())

    def once(self, subject: str) -> dict[str, Any]:
        """Ask JetStream's API for something, once."""

        async def ask() -> dict[str, Any]:
            client = await connect(self._port, ANYBODY)
            try:
                return await request(client, f"$JS.API.{subject}")
            finally:
                await client.close()

        return asyncio.run(ask())

    async def _prepare(self) -> None:
        client = await connect(self._port, ANYBODY)
        for name, config in STREAMS.items():
            body = {"name": name, "subjects": [f"{name.lower()}.>"], "storage": "file", "num_replicas": 1, **config}
            await request(client, f"$JS.API.STREAM.CREATE.{name}", body)
        for name in CONSUMED:
            consumer = {"durable_name": "taker", "ack_policy": "explicit"}
            await request(
                client, f"$JS.API.CONSUMER.DURABLE.CREATE.{name}.taker", {"stream_name": name, "config": consumer}
            )
        await client.close()

    async def _work(self) -> None:
        client = await nats.connect(
            f"nats://127.0.0.1:{self._port}",
            reconnect_time_wait=0.01,
            max_reconnect_attempts=-1,
            error_cb=_quiet,
        )
        tasks = [
            asyncio.create_task(self._repeat(work, client))
            for work in (self._publish, self._purge, *(self._take(name) for name in CONSUMED))
        ]
        self._ready.set()
        while not self._ends.is_set():
            await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await client.close()

    async def _repeat(self, work: Callable[[Client], Awaitable[None]], client: Client) -> None:
        while True:
            try:
                await work(client)
            except Exception:  # the server is away for a moment, which is the point
                await asyncio.sleep(PAUSE)
            await asyncio.sleep(PAUSE)

    async def _publish(self, client: Client) -> None:
        for name in STREAMS:
            answer = await client.request(f"{name.lower()}.{self._counts['published'] % 5}", b"x" * 100, timeout=1)
            self._counts["published"] += "seq" in json.loads(answer.data)

    async def _purge(self, client: Client) -> None:
        await client.request("$JS.API.STREAM.PURGE.PURGED", b"", timeout=1)
        self._counts["purged"] += 1
        await asyncio.sleep(0.02)

    def _take(self, name: str) -> Callable[[Client], Awaitable[None]]:
        async def take(client: Client) -> None:
            subscription = await client.jetstream().pull_subscribe_bind("taker", name)
            try:
                for message in await subscription.fetch(5, timeout=0.3):
                    await message.ack_sync(timeout=1)
                    self._counts["acknowledged"] += 1
            finally:
                await subscription.unsubscribe()

        return take


async def _quiet(_error: Exception) -> None:
    """Take no notice of a connection that breaks."""
