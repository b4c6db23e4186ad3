# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to NATS that is made again, whatever ended it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import urlsplit

from nats.aio.client import Client
from nats.aio.msg import Msg

from .settings import without_login

Handler = Callable[[Msg], Coroutine[Any, Any, None]]
PAUSE = 1
# Where an import fails that a login with a key needs.
NKEY_LIBRARIES = ("nkeys", "nacl", "_cffi_backend")
# What the server says of a subject that the login may not use, as nats-py gives it: in small letters.
FORBIDDEN = re.compile(r'permissions violation for (publish|subscription) to "([^"]+)"')
# A seed that was given as the path of its file.
SEED = re.compile(r"S[A-Z2-7]{57}")

log = logging.getLogger("rosey.bus")


class OvertakenError(Exception):
    """The server's own PING, 2 seconds after a connection was opened, came before it had judged the login.

    nats-py (2.16) takes it for the answer, and then tells for ever, and without an error, that it is connecting.
    """


def describe(error: Exception) -> str:
    """Name an error; its own words only where they can't hold a secret."""
    if isinstance(error, ImportError) and (error.name or "").partition(".")[0] in NKEY_LIBRARIES:
        return (
            f"{error}: NATS_NKEY needs the libraries nkeys and PyNaCl (Debian's python3-nacl) for {sys.executable}; "
            "once both are there the bot connects, without a restart."
        )
    forbidden = FORBIDDEN.search(str(error))
    if forbidden:
        return f"the permissions of this login do not allow: {forbidden[1]} to {forbidden[2]}"
    if is_refusal(error):
        return "the server does not take this login"
    if isinstance(error, OvertakenError):
        return "the server took more than 2 seconds for this login, and nats-py lost its answer; it is tried again"
    if isinstance(error, (OSError, TypeError)):
        return f"{type(error).__name__}: {SEED.sub('********', str(error))}"
    return type(error).__name__


def is_refusal(error: Exception) -> bool:
    """Tell whether the server does not take the login."""
    return "authorization violation" in str(error).lower()


def parse_chat(data: bytes) -> tuple[str, str] | None:
    """Read the user and the text of a chat message."""
    try:
        content = json.loads(data)
    except ValueError:
        return None
    if not isinstance(content, dict):
        return None
    user, text = content.get("user"), content.get("message")
    return (user, text) if isinstance(user, str) and isinstance(text, str) else None


def make_chat(user: str, text: str) -> bytes:
    """Write a chat message."""
    return json.dumps({"user": user, "message": text}).encode()


class Bus:
    """The connection and its subscriptions.

    read_options: gives the options of nats.connect(), each time anew. on_change: called when it came up or went down.
    """

    def __init__(
        self,
        read_options: Callable[[], dict[str, Any]],
        handlers: Mapping[str, Handler],
        on_change: Callable[[], Awaitable[None]],
    ) -> None:
        self.read_options = read_options
        self.options = read_options()
        self.handlers = handlers
        self.on_change = on_change
        self.errors = 0
        self.client = Client()
        self.subscribed = False
        self.closing: asyncio.Task[None] | None = None
        # The subjects, in small letters, that this connection may not subscribe to.
        self.refused: set[str] = set()

    @property
    def connected(self) -> bool:
        """Tell whether messages arrive now."""
        return self.subscribed and self.client.is_connected

    @property
    def subjects(self) -> int:
        """Count the subscriptions that are live now."""
        return sum(subject.lower() not in self.refused for subject in self.handlers) if self.connected else 0

    @property
    def server(self) -> str:
        """Give the URL of the server as it was configured; of the first one, when there is no connection."""
        servers = [without_login(server) for server in self.options["servers"]]
        now = self.client.connected_url
        parsed = [urlsplit(server if "://" in server else f"nats://{server}") for server in servers]
        same = [now and (now.hostname, now.port) == (each.hostname, each.port or 4222) for each in parsed]
        return servers[same.index(True) if True in same else 0]

    async def publish(self, subject: str, data: bytes) -> None:
        """Publish, unless the bus is away."""
        if self.connected:
            await self.client.publish(subject, data)

    async def run(self) -> None:
        """Stay connected until cancelled."""
        try:
            while True:
                await self._connect_once()
                await asyncio.sleep(PAUSE)
        finally:
            self.subscribed = False
            await self.client.close()

    async def _connect_once(self) -> None:
        """Connect, subscribe, and return when the client has given up."""
        closed = asyncio.Event()

        async def on_closed() -> None:
            closed.set()

        async def on_error(error: Exception) -> None:
            self.errors += 1
            log.error("NATS: %s", describe(error))
            if is_refusal(error) and self.subscribed and self.closing is None:
                # the client would go on with the login that it has, which may have been replaced
                self.closing = asyncio.create_task(self.client.close())
            forbidden = FORBIDDEN.search(str(error))
            if forbidden and forbidden[1] == "subscription":
                self.refused.add(forbidden[2])
                await self.on_change()

        async def on_disconnected() -> None:
            self.refused.clear()
            await self.on_change()

        self.subscribed = False
        self.closing = None
        self.refused.clear()
        self.client = Client()
        self.options = self.read_options()
        callbacks: dict[str, Any] = {
            "disconnected_cb": on_disconnected,
            "reconnected_cb": self.on_change,
            "closed_cb": on_closed,
            "error_cb": on_error,
        }
        try:
            await self.client.connect(**self.options, **callbacks)
            if self.client.is_connecting:
                raise OvertakenError
            for subject, handler in self.handlers.items():
                await self.client.subscribe(subject, cb=handler)
            await self.client.flush()
        except Exception as error:
            self.errors += 1
            log.error("Failed to connect to NATS: %s", describe(error))
            # What failed before it opened anything, as a login without its file, can't be closed.
            with contextlib.suppress(AssertionError):
                await self.client.close()
            return
        self.subscribed = True
        log.info("Connected to NATS at %s", self.server)
        await self.on_change()
        await closed.wait()
        await self.on_change()
        log.error("NATS: the connection was given up")
