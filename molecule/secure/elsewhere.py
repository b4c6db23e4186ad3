# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by the bot's Python on another host: ADDRESS NAME [AUTHORITIES] LOGIN. It prints how a client fares there.

LOGIN: what nats.connect() is given, as JSON. Without AUTHORITIES the client trusts whom its system does.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys

import nats


async def ignore(_error: Exception) -> None:
    """What fails is printed at the end."""


async def fare(address: str, name: str, *authorities: str, login: str) -> str:
    """Connect, and hear of oneself what one says."""
    context = ssl.create_default_context(cafile=authorities[0] if authorities else None)
    try:
        client = await nats.connect(
            f"tls://{address}:4222",
            tls=context,
            tls_hostname=name,
            tls_handshake_first=True,
            connect_timeout=5,
            allow_reconnect=False,
            error_cb=ignore,
            **json.loads(login),
        )
    except (TimeoutError, ssl.SSLError, nats.errors.Error, OSError) as error:
        return f"{type(error).__name__}: {error}"
    heard = await client.subscribe("rosey.test.elsewhere")
    await client.publish("rosey.test.elsewhere", b"heard")
    message = await heard.next_msg(timeout=5)
    await client.close()
    return message.data.decode()


*where, given = sys.argv[1:]
print(asyncio.run(fare(*where, login=given)))
