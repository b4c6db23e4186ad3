# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by the bot's Python on a member, beside publisher.py: publish until BEGUN, which it makes, is taken away.

It prints what came of it, as JSON.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import ssl
from pathlib import Path

from publisher import Publisher

BEGUN = Path("/run/load/begun")
AUTHORITIES = "/opt/rosey-bot/environments/production/authorities.crt"
SERVERS = [f"tls://172.31.250.1{number}:4222" for number in (1, 2, 3)]


async def main() -> None:
    """Publish, and print what came of it."""
    options = {
        "user": os.environ["NATS_USER"],
        "password": os.environ["NATS_PASSWORD"],
        "tls": ssl.create_default_context(cafile=AUTHORITIES),
        "tls_handshake_first": True,
    }
    async with Publisher(SERVERS, "LOAD", **options) as publisher:
        BEGUN.touch()
        while BEGUN.exists():
            await asyncio.sleep(0.1)
        print(json.dumps(dataclasses.asdict(await publisher.end())))


asyncio.run(main())
