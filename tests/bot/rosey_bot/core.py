# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bot itself: passes commands on, keeps its plugins running and tells how it is."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import socket
import sys
import time
from typing import Any

from nats.aio.msg import Msg

from . import VERSION
from .bus import Bus, make_chat, parse_chat
from .settings import Declaration, Settings, plugin_environment, read_declarations

COMMAND = re.compile(r"!([\w-]+)")
PAUSE = 1
PATIENCE = 5

log = logging.getLogger("rosey.core")


async def end(process: asyncio.subprocess.Process) -> None:
    """End a process, by force if need be."""
    if process.returncode is None:
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), PATIENCE)
    except asyncio.TimeoutError:  # another one before Python 3.11
        process.kill()
        await process.wait()


class Bot:
    """One bot in one environment."""

    def __init__(self, settings: Settings, port: int) -> None:
        self.settings = settings
        self.port = port
        self.started = time.monotonic()
        self.users: set[str] = set()
        self.requests = self.errors = 0
        self.announced = False
        self.bus: Bus | None = None
        self.plugins: list[Declaration] = []
        # How many subscriptions each plugin has that is running and connected.
        self.live: dict[str, int] = {}
        if settings.nats is not None:
            handlers = {f"{settings.prefix}.cytube.chat.message": self.on_chat}
            self.bus = Bus(settings.nats.copy, handlers, self.on_change)
            self.plugins = read_declarations(settings.directory / "plugins")

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        server = await asyncio.start_server(
            self.serve, self.settings.health_host, self.port, family=socket.AF_INET, limit=2**14
        )
        plugins = [asyncio.create_task(self.keep(plugin)) for plugin in self.plugins]
        bus = [asyncio.create_task(self.bus.run())] if self.bus else []
        log.info("Started %s", f"with {len(plugins)} plugins" if self.bus else "in legacy mode, without NATS")
        waiting = asyncio.create_task(stop.wait())
        await asyncio.wait([waiting, *plugins, *bus], return_when=asyncio.FIRST_COMPLETED)
        await self.tell("shutdown")
        server.close()
        for tasks in (plugins, bus):
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, Exception):
                    raise outcome
        log.info("Stopped")

    async def on_change(self) -> None:
        """Announce the bot when the bus came up first."""
        if self.bus and self.bus.connected and not self.announced:
            self.announced = True
            await self.tell("startup")

    async def tell(self, event: str) -> None:
        """Publish a system event."""
        if self.bus:
            data = json.dumps({"user": self.settings.user, "version": VERSION}).encode()
            await self.bus.publish(f"{self.settings.prefix}.system.{event}", data)

    async def on_chat(self, message: Msg) -> None:
        """Pass on a command that somebody else wrote."""
        chat = parse_chat(message.data)
        if chat is None:
            self.errors += 1
            return
        user, text = chat
        if user == self.settings.user:
            return
        self.users.add(user)
        command = COMMAND.match(text)
        if command and self.bus:
            self.requests += 1
            await self.bus.publish(f"{self.settings.prefix}.commands.{command[1]}", make_chat(user, text))

    async def keep(self, plugin: Declaration) -> None:
        """Keep a plugin's process running."""
        settings = self.settings
        where = ("--home", str(settings.home), "--environment", settings.directory.name, str(plugin.path))
        logs = settings.home / "logs" / "plugins"
        logs.mkdir(parents=True, exist_ok=True)
        while True:
            with (logs / f"{plugin.name}.log").open("ab") as output:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "rosey_bot.plugin", *where),
                    cwd=settings.home,
                    env=plugin_environment(os.environ, plugin),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=output,
                )
            assert process.stdout is not None
            try:
                async for line in process.stdout:
                    self.live.pop(plugin.name, None)
                    if line.strip() != b"-":
                        self.live[plugin.name] = int(line)
            finally:
                self.live.pop(plugin.name, None)
                await end(process)
            self.errors += 1
            log.error("The plugin %s ended with %s; it is started again", plugin.name, process.returncode)
            await asyncio.sleep(PAUSE)

    def health(self) -> dict[str, Any]:
        """Tell how the bot is."""
        status = "connected"
        if self.bus and not self.bus.connected:
            status = "connecting"
        elif len(self.live) < len(self.plugins):
            status = "degraded"
        said: dict[str, Any] = {
            "status": status,
            "connected": status == "connected",
            "channel": self.settings.channel,
            "uptime": int(time.monotonic() - self.started),
            "version": VERSION,
            "user_count": len(self.users),
            "requests": self.requests,
            "errors": self.errors + (self.bus.errors if self.bus else 0),
        }
        if self.bus:
            subjects = self.bus.subjects + sum(self.live.values())
            said["nats"] = {"connected": self.bus.connected, "server": self.bus.server, "subjects": subjects}
        return said

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one HTTP request."""
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
            found = head.split()[:2] == [b"GET", b"/api/health"]
            body = json.dumps(self.health() if found else {"error": "there is only GET /api/health"}).encode()
            status = "200 OK" if found else "404 Not Found"
            head_out = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            writer.write(head_out.encode() + b"Connection: close\r\n\r\n" + body)
            await writer.drain()
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()
