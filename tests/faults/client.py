# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that publishes to a JetStream stream all the time, and knows what was acknowledged to it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import nats
from nats.aio.client import Client
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.api import ConsumerConfig, DeliverPolicy

STREAM = "faults"
PAUSE = 0.03
ACK_SECONDS = 0.5
READY_SECONDS = 60


@dataclass
class Watch:
    """What a client saw during one row. gap: the longest time without an acknowledgement; lost: what was acknowledged
    and is not there any more."""

    since: float = field(default_factory=time.monotonic)
    gap: float = 0.0
    acknowledged: dict[int, int] = field(default_factory=dict)
    lost: list[int] = field(default_factory=list)


class Publisher:
    """Publishes a number after another until it is stopped."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.acknowledged: dict[int, int] = {}
        self._watch = Watch()
        self._last = time.monotonic()
        self._stopping = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),), daemon=True)

    def start(self) -> None:
        """Begin, and wait for the first acknowledgement."""
        self._thread.start()
        self.wait()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident:
            self._thread.join()

    def wait(self) -> None:
        """Wait for another acknowledgement."""
        number = len(self.acknowledged)
        deadline = time.monotonic() + READY_SECONDS
        while len(self.acknowledged) <= number:
            assert time.monotonic() < deadline, f"nothing was acknowledged for {READY_SECONDS} seconds"
            time.sleep(0.01)

    @contextmanager
    def watch(self) -> Iterator[Watch]:
        """Give what comes during this; at its end a message has come through, and all are read back."""
        self.wait()
        self._watch = seen = Watch()
        self._last = seen.since
        yield seen
        self.wait()
        # more goes on to be acknowledged while they are read
        seen.lost = self.lost(dict(seen.acknowledged))

    def lost(self, acknowledged: dict[int, int]) -> list[int]:
        """Name what was acknowledged, a number with its sequence, and can't be read back."""
        there = asyncio.run(read_back(self.url, min(acknowledged.values())))
        return sorted(acknowledged.keys() - there)

    async def _run(self) -> None:
        client = await connect(self.url)
        stream = client.jetstream()
        await stream.add_stream(name=STREAM, subjects=[STREAM])
        number = 0
        while not self._stopping.is_set():
            number += 1
            # What was not acknowledged may be there or not: nobody was promised anything.
            with suppress(Exception):
                sent = await stream.publish(STREAM, str(number).encode(), timeout=ACK_SECONDS)
                now = time.monotonic()
                self._watch.gap = max(self._watch.gap, now - self._last)
                self._last = now
                self._watch.acknowledged[number] = sent.seq
                self.acknowledged[number] = sent.seq
            await asyncio.sleep(PAUSE)
        with suppress(Exception):
            await client.close()


async def connect(url: str) -> Client:
    """Connect for good: a server that is away is looked for many times a second."""

    async def say_nothing(_error: Exception) -> None:
        """A server that is away is what is measured."""

    return await nats.connect(
        url, max_reconnect_attempts=-1, reconnect_time_wait=0.02, connect_timeout=1, error_cb=say_nothing
    )


async def read_back(url: str, start: int) -> set[int]:
    """Give the numbers that the stream holds from a sequence on."""
    client = await connect(url)
    try:
        stream = client.jetstream()
        last = (await stream.stream_info(STREAM)).state.last_seq
        config = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=start)
        subscription = await stream.subscribe(STREAM, ordered_consumer=True, config=config)
        found = set()
        with suppress(NatsTimeoutError):
            while True:
                message = await subscription.next_msg(timeout=5)
                found.add(int(message.data))
                if message.metadata.sequence.stream >= last:
                    break
        return found
    finally:
        await client.close()
