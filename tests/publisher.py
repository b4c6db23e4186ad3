# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that publishes to a stream all the time, as one that has to lose nothing does: until it is acknowledged.

With 2.10.7 beside 2.10.29, the replicas of a stream fall out of step over a message that comes again with its
Nats-Msg-Id: sooner or later one is lost, or there twice. So none has it while versions are mixed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import nats
from nats.js.api import StreamConfig, StreamInfo


@dataclass(frozen=True)
class Published:
    """What came of it. stored: the messages of this publisher in the stream; each once where the stream can't know one
    that comes again. stall: the longest pause, in seconds.

    retries: how often one was published again. failed: those that were given up.
    """

    acknowledged: int
    stored: int
    retries: int
    failed: int
    stall: float

    @property
    def lost(self) -> int:
        """How many were acknowledged and are not there, or are there twice though the stream knows them."""
        return abs(self.acknowledged - self.stored)


class Publisher:
    """Publishes while its context lasts. rate: messages a second; known: whether the stream is to know one that comes
    again, by its name; options: further ones of nats.connect().
    """

    TIMEOUT: ClassVar[float] = 1.0
    _PAUSE = 0.05
    _ATTEMPTS = 200
    _PATIENCE = 60.0

    def __init__(
        self,
        servers: Sequence[str],
        stream: str,
        *,
        replicas: int = 3,
        rate: float = 200,
        known: bool = True,
        **options: Any,
    ) -> None:
        self._servers, self._stream, self._replicas, self._rate = list(servers), stream, replicas, rate
        self._known, self._options = known, options
        self._began = time.time_ns()
        self._acknowledged = self._retries = self._failed = 0
        self._last, self._stall = 0.0, 0.0
        self._ended = False

    async def __aenter__(self) -> Self:
        async def ignore(_error: Exception) -> None:
            """A server that goes is one of several."""

        self._client = await nats.connect(
            self._servers,
            reconnect_time_wait=self._PAUSE,
            max_reconnect_attempts=-1,
            error_cb=ignore,
            **self._options,
        )
        self._jetstream = self._client.jetstream(timeout=self.TIMEOUT)
        config = StreamConfig(name=self._stream, subjects=[f"{self._stream}.>"], num_replicas=self._replicas)
        self._before = (await self._answered(lambda: self._jetstream.add_stream(config))).state.messages
        self._last = time.monotonic()
        self._work = asyncio.create_task(self._publish())
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._ended = True
        await self._work
        await self._client.close()

    async def end(self) -> Published:
        """Publish no more, wait for what is on its way, and count."""
        self._ended = True
        await self._work
        state = (await self._answered(lambda: self._jetstream.stream_info(self._stream))).state
        stored = state.messages - self._before if self._known else len(await self._names(state.last_seq))
        return Published(self._acknowledged, stored, self._retries, self._failed, self._stall)

    async def _names(self, last: int) -> set[str]:
        """Read what this publisher has stored. last: the sequence of the stream's last message."""
        names: set[str] = set()
        sequence = 0
        messages = await self._jetstream.subscribe(f"{self._stream}.>", ordered_consumer=True)
        while sequence < last:
            message = await messages.next_msg(timeout=60)
            sequence = message.metadata.sequence.stream
            names.add(message.data.decode())
        return {name for name in names if name.startswith(f"{self._began}-")}

    async def _answered(self, ask: Callable[[], Awaitable[StreamInfo]]) -> StreamInfo:
        """Ask about the stream until there is an answer: whoever leads it may have gone a moment ago.

        A cluster that has just begun has no place for one: its leader hears of its peers every ten seconds.
        """
        deadline = time.monotonic() + self._PATIENCE
        while True:
            try:
                return await ask()
            except (TimeoutError, nats.errors.Error, OSError):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(self._PAUSE)

    async def _publish(self) -> None:
        number = 0
        async with asyncio.TaskGroup() as sent:
            while not self._ended:
                sent.create_task(self._until_acknowledged(f"{self._began}-{number}"))
                number += 1
                await asyncio.sleep(1 / self._rate)

    async def _until_acknowledged(self, name: str) -> None:
        headers = {"Nats-Msg-Id": name} if self._known else None
        for _attempt in range(self._ATTEMPTS):
            try:
                await self._jetstream.publish(f"{self._stream}.said", name.encode(), headers=headers)
            except (TimeoutError, nats.errors.Error, OSError):
                self._retries += 1
                await asyncio.sleep(self._PAUSE)
                continue
            now = time.monotonic()
            self._stall, self._last = max(self._stall, now - self._last), now
            self._acknowledged += 1
            return
        self._failed += 1
