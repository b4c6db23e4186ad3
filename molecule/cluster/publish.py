# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by the bot's Python on a member, beside publisher.py and with a client's variables: publish, as this host's bot
connects, until BEGUN, which it makes, is taken away.

It prints what came of it, as JSON.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import ssl
import sys
from pathlib import Path
from typing import ClassVar

from publisher import Publisher

BEGUN = Path("/run/load/begun")
AUTHORITIES = "/opt/rosey-bot/environments/production/authorities.crt"


class PatientPublisher(Publisher):
    """One of a busy host: it does not publish again, in vain, what is acknowledged late."""

    TIMEOUT: ClassVar[float] = 5.0


async def main(servers: list[str]) -> None:
    """Publish to a stream that each member has, and print what came of it."""
    options = {
        "user": os.environ["NATS_USER"],
        "password": os.environ["NATS_PASSWORD"],
        "inbox_prefix": os.environ["NATS_INBOX_PREFIX"],
        "tls": ssl.create_default_context(cafile=AUTHORITIES),
        "tls_handshake_first": True,
    }
    async with PatientPublisher(servers, "LOAD", known=False, **options) as publisher:
        BEGUN.touch()
        while BEGUN.exists():
            await asyncio.sleep(0.1)
        print(json.dumps(dataclasses.asdict(await publisher.end())))


asyncio.run(main(sys.argv[1:]))
