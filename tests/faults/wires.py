# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the routes of a cluster go by, at an address of its own for each host: one host can be kept from all others."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

HERE = "127.0.0.1"
_CHUNK = 1 << 16
# What a server tells of itself as soon as a route is made.
_NAMED = re.compile(rb'"server_name":"[^"]*_(\w+)"')


@dataclass
class _Line:
    """A route. called: the host that was; caller: the one that did, once it has told its name."""

    called: str
    writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter]
    caller: str = ""

    def hang_up(self) -> None:
        for writer in self.writers:
            writer.transport.abort()


class Wires:
    """Wires to the ports of routes, by host."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        self._ports = ports
        self.addresses = {host: f"127.0.0.{number}" for number, host in enumerate(ports, start=11)}
        self._alone: set[str] = set()
        self._lines: list[_Line] = []
        self._loop = asyncio.new_event_loop()

    @contextmanager
    def up(self) -> Iterator[Wires]:
        """Have wires while the context lasts."""
        thread = threading.Thread(target=self._loop.run_forever)
        thread.start()
        servers = [self._run(self._listen(host)) for host in self._ports]
        try:
            yield self
        finally:
            for server in servers:
                self._loop.call_soon_threadsafe(server.close)
            self._run(self._end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    @contextmanager
    def without(self, host: str) -> Iterator[None]:
        """Let nothing come through to or from a host, and nobody told: what is sent vanishes."""
        self._alone.add(host)
        try:
            yield
        finally:
            self._alone.discard(host)
            # what has vanished is missed by nobody but the two
            self._hang_up({host})

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    async def _listen(self, host: str) -> asyncio.Server:
        async def called(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                there, to_there = await asyncio.open_connection(HERE, self._ports[host])
            except OSError:
                writer.transport.abort()
                return
            line = _Line(host, (writer, to_there))
            self._lines.append(line)
            await asyncio.gather(self._carry(line, reader, to_there), self._carry(line, there, writer, back=True))
            self._lines.remove(line)

        return await asyncio.start_server(called, self.addresses[host], self._ports[host])

    async def _carry(
        self, line: _Line, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, back: bool = False
    ) -> None:
        with suppress(OSError):
            while data := await source.read(_CHUNK):
                if not back and not line.caller and (found := _NAMED.search(data)):
                    line.caller = found[1].decode()
                if not {line.called, line.caller} & self._alone:
                    sink.write(data)
                    await sink.drain()
        sink.close()

    async def _end(self) -> None:
        """Hang up, and wait for those who carry to see it."""
        for line in self._lines:
            line.hang_up()
        if carriers := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(carriers, timeout=5)

    def _hang_up(self, hosts: set[str]) -> None:
        async def hang_up() -> None:
            for line in self._lines:
                if {line.called, line.caller} & hosts:
                    line.hang_up()

        self._run(hang_up())
