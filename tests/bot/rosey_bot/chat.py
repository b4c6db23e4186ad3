# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say something in the chat, over the bus, and print what the bot's plugins answer: python -m rosey_bot.chat !quote"""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path

import nats
from nats.aio.msg import Msg

from .bus import make_chat, parse_chat
from .settings import Settings, read_settings

SECONDS = 5
# Another guest each time: to the same one a plugin says nothing for some seconds.
USER = f"guest-{os.getpid()}"


async def converse(settings: Settings, text: str) -> str:
    """Publish a chat message and give the first one of somebody else."""
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def listen(message: Msg) -> None:
        chat = parse_chat(message.data)
        if chat and chat[0] != USER and not answer.done():
            answer.set_result(f"{chat[0]}: {chat[1]}")

    client = await nats.connect(**{**(settings.nats or {}), "name": "chat"})
    try:
        subject = f"{settings.prefix}.cytube.chat.message"
        await client.subscribe(subject, cb=listen)
        await client.publish(subject, make_chat(USER, text))
        return await asyncio.wait_for(answer, SECONDS)
    finally:
        await client.close()


def main() -> None:
    """Print both sides of the conversation."""
    parser = argparse.ArgumentParser(prog="rosey_bot.chat")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--environment", required=True)
    parser.add_argument("text")
    given = parser.parse_args()
    settings = read_settings(given.home.resolve(), given.environment)
    answer = asyncio.run(converse(settings, given.text))
    print(f"you: {given.text}\n{answer}")


main()
