# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by the bot's Python on a host, as root: publish 50 messages a second as the operator, and hold a connection as
each client, until the file BEGUN, which it makes, is taken away.

It prints how many messages were acknowledged, and how many the stream has; whose connections were kept and cut off; and
which of the bot's own connections were there all the time, by their names.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import ssl
import urllib.request
from pathlib import Path
from typing import Any

import nats

SERVER = "localhost:4222"
CONNECTIONS = "http://127.0.0.1:8222/connz"
BOT = "rosey-bot-prod"
BEGUN = Path("/run/rotation.begun")
SECRETS = Path("/opt/rosey-bot/environments/production/secrets.env")
FILES = [
    *Path("/etc/nats/clients").glob("*.env"),
    *Path("/opt/rosey-bot/environments/production/plugins").glob("*.env"),
    SECRETS,
]
STREAM, SUBJECT = "rotation", "rosey.test.rotation"
PAUSE = 1 / 50


def variables(file: Path) -> dict[str, str]:
    """Read a file of environment variables."""
    return dict(word.split("=", 1) for word in shlex.split(file.read_text(), comments=True))


def encryption() -> dict[str, Any]:
    """Give what a client needs where the bot encrypts what it says."""
    authorities = variables(SECRETS).get("SSL_CERT_FILE")
    if not authorities:
        return {"servers": f"nats://{SERVER}"}
    context = ssl.create_default_context(cafile=authorities)
    return {"servers": f"tls://{SERVER}", "tls": context, "tls_handshake_first": True}


async def connect(file: Path) -> nats.NATS:
    """Log in with what a client's file says; a connection that is cut off is not made anew."""
    given = variables(file)
    names = {"NATS_USER": "user", "NATS_PASSWORD": "password", "NATS_NKEY": "nkeys_seed"}
    login = {option: given[name] for name, option in names.items() if name in given}
    return await nats.connect(**encryption(), **login, inbox_prefix=given["NATS_INBOX_PREFIX"], allow_reconnect=False)


def connections_of_bot() -> set[tuple[str, int]]:
    """Give the name and the number of each connection of the bot."""
    with urllib.request.urlopen(CONNECTIONS, timeout=5) as answer:
        every = [(each.get("name", ""), each["cid"]) for each in json.load(answer)["connections"]]
    return {(name, number) for name, number in every if name.startswith(BOT)}


async def main() -> None:
    """Publish and watch."""
    before = connections_of_bot()
    held = {"bot" if file.stem == "secrets" else file.stem: await connect(file) for file in FILES}
    stream = held["operator"].jetstream()
    await stream.add_stream(name=STREAM, subjects=[SUBJECT])
    acknowledged = lost = 0
    due = asyncio.get_running_loop().time()
    BEGUN.touch()
    while BEGUN.exists():
        try:
            await stream.publish(SUBJECT, b"on its way", timeout=5)
            acknowledged += 1
        except Exception:  # whatever the library raises, nobody was promised anything
            lost += 1
        due += PAUSE
        await asyncio.sleep(due - asyncio.get_running_loop().time())
    seen = {
        "acknowledged": acknowledged,
        "not_acknowledged": lost,
        "stored": (await stream.stream_info(STREAM)).state.messages,
        "kept": sorted(name for name, client in held.items() if client.is_connected),
        "cut_off": sorted(name for name, client in held.items() if not client.is_connected),
        "kept_of_bot": sorted(name for name, _number in before & connections_of_bot()),
    }
    print(json.dumps(seen))
    for client in held.values():
        await client.close()


asyncio.run(main())
