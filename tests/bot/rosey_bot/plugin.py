# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one plugin in this process: `python -m rosey_bot.plugin --home … --environment … <file>`, started by the bot.

It tells the bot on standard output how many subscriptions it has, or - without NATS. When standard input ends, so
does the bot, and the plugin with it. What it logs goes to standard error, which the bot leads to the plugin's log.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from functools import partial
from pathlib import Path

from nats.aio.msg import Msg

from .bus import Bus, make_chat, parse_chat
from .plugins import KINDS
from .settings import Declaration, Settings, plugin_options, read_declaration, read_settings

log = logging.getLogger("rosey.plugin")


class Runner:
    """Connects a plugin's code with the bus."""

    def __init__(self, settings: Settings, declaration: Declaration) -> None:
        assert settings.nats is not None
        self.settings = settings
        self.declaration = declaration
        self.tasks: set[asyncio.Task[None]] = set()
        kind = KINDS.get(declaration.name)
        self.plugin = kind(declaration.config, self.say) if kind else None
        read_options = partial(plugin_options, settings.nats, declaration)
        self.bus = Bus(read_options, dict.fromkeys(declaration.subscriptions, self.on_message), self.report)

    async def report(self) -> None:
        """Tell the bot what is live."""
        print(self.bus.subjects if self.bus.connected else "-", flush=True)

    def say(self, text: str) -> None:
        """Write into the chat."""
        for subject in self.declaration.publishes[:1]:
            task = asyncio.create_task(self.bus.publish(subject, make_chat(self.settings.user, text)))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def on_message(self, message: Msg) -> None:
        """Answer a message: a request to its sender, anything else in the chat."""
        try:
            answer = message.data if self.plugin is None else self.answer(message)
        except Exception:
            log.exception("%s", message.subject)
            answer = make_chat(self.settings.user, "Something went wrong.")
        if message.reply:
            await self.bus.publish(message.reply, answer or make_chat(self.settings.user, ""))
        elif answer and self.plugin and self.declaration.publishes:
            await self.bus.publish(self.declaration.publishes[0], answer)

    def answer(self, message: Msg) -> bytes | None:
        """Ask the plugin's code."""
        assert self.plugin is not None
        chat = parse_chat(message.data)
        if chat is None:
            log.warning("%s: no chat message", message.subject)
            return make_chat(self.settings.user, 'Send {"user": ..., "message": ...}.') if message.reply else None
        user, text = chat
        root, _dot, word = message.subject.removeprefix(f"{self.settings.prefix}.").partition(".")
        if root == "commands":
            said = self.plugin.command(word, user, text.partition(" ")[2].strip(), is_request=bool(message.reply))
        elif user != self.settings.user and not text.startswith("!"):
            said = self.plugin.chat(user, text)
        else:
            said = None
        return make_chat(self.settings.user, said) if said else None


async def run(settings: Settings, declaration: Declaration) -> None:
    """Run until the bot ends, or says so."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, stop.set)
    loop.add_reader(sys.stdin, stop.set)
    bus = asyncio.create_task(Runner(settings, declaration).bus.run())
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait([waiting, bus], return_when=asyncio.FIRST_COMPLETED)
    loop.remove_reader(sys.stdin)
    bus.cancel()
    await asyncio.gather(bus, return_exceptions=True)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="rosey_bot.plugin")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--environment", required=True)
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    settings = read_settings(given.home, given.environment)
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(run(settings, read_declaration(given.file)))


if __name__ == "__main__":
    main()
