# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say something in the chat, over the bus, and print what the bot's plugins answer: python -m rosey_bot.chat !quote

It logs in as the bot does, and needs what the bot is allowed: the subject of the chat, in both directions.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

import nats
from nats.aio.msg import Msg

from .bus import describe, make_chat, parse_chat
from .settings import Settings, SettingsError, read_settings, trust

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

    trouble: list[Exception] = []

    async def on_error(error: Exception) -> None:
        trouble.append(error)

    # Once to each server: who asks sits before it.
    own = {"name": "chat", "error_cb": on_error, "max_reconnect_attempts": 1, "reconnect_time_wait": 0}
    try:
        client = await nats.connect(**{**(settings.nats or {}), **own})
    except Exception as error:
        reasons = dict.fromkeys(describe(each) for each in trouble or [error])
        sys.exit(f"Failed to connect to NATS: {', '.join(reasons)}")
    try:
        subject = f"{settings.prefix}.cytube.chat.message"
        await client.subscribe(subject, cb=listen)
        await client.publish(subject, make_chat(USER, text))
        return await asyncio.wait_for(answer, SECONDS)
    except asyncio.TimeoutError:  # another one before Python 3.11
        sys.exit(f"Nobody answered within {SECONDS} s. {describe(trouble[-1]) if trouble else ''}".strip())
    finally:
        await client.close()


def main() -> None:
    """Print both sides of the conversation."""
    parser = argparse.ArgumentParser(prog="rosey_bot.chat")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--environment", required=True)
    parser.add_argument("text")
    given = parser.parse_args()
    try:
        settings = read_settings(given.home.resolve(), given.environment)
        trust(settings.directory / "secrets.env", os.environ)
    except SettingsError as error:
        sys.exit(str(error))
    answer = asyncio.run(converse(settings, given.text))
    print(f"you: {given.text}\n{answer}")


main()
