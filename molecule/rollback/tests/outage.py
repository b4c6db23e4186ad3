# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by the bot's Python on a host: see how long a new password keeps a client and the bot away.

It reads {"user": ..., "old": ..., "new": ...}, a line of JSON, says "watching", and ends when both are back, with how
many seconds each was away. The client knows the new password, and takes it as soon as the old one has cut it off.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import urllib.request

import nats

SERVER = "nats://127.0.0.1:4222"
CONNECTIONS = "http://127.0.0.1:8222/connz"
BOT = "rosey-bot-staging"
# The server hashes at each attempt: giving one up and making the next only keeps it busy.
PATIENCE = 30


def connections() -> dict[str, int]:
    """Give the number of each connection by its client's name."""
    with urllib.request.urlopen(CONNECTIONS, timeout=5) as answer:
        return {each.get("name", ""): each["cid"] for each in json.load(answer)["connections"]}


async def client_away(user: str, old: str, new: str) -> float:
    """Give the seconds between the end of the connection with the old password and an answer with the new one."""
    lost = asyncio.Event()

    async def on_lost() -> None:
        lost.set()

    first = await nats.connect(SERVER, user=user, password=old, allow_reconnect=False, disconnected_cb=on_lost)
    print("watching", flush=True)
    await lost.wait()
    since = time.monotonic()
    while True:
        try:
            client = await nats.connect(
                SERVER, user=user, password=new, allow_reconnect=False, connect_timeout=PATIENCE
            )
            await client.flush()
        except (nats.errors.Error, OSError):
            await asyncio.sleep(0.01)
        else:
            away = time.monotonic() - since
            await client.close()
            await first.close()
            return away


async def bot_away() -> float:
    """Give the seconds between the end of the bot's connection and its next one."""
    before = (await asyncio.to_thread(connections))[BOT]
    since = None
    while True:
        now = (await asyncio.to_thread(connections)).get(BOT)
        if now != before and since is None:
            since = time.monotonic()
        if now not in (None, before) and since is not None:
            return time.monotonic() - since
        await asyncio.sleep(0.01)


async def main() -> None:
    """Watch both."""
    given = json.loads(sys.stdin.readline())
    client, bot = await asyncio.gather(client_away(given["user"], given["old"], given["new"]), bot_away())
    print(json.dumps({"client": client, "bot": bot}))


asyncio.run(main())
