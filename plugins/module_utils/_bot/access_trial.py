# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients of the bus may do, as the server has it: a program for the bot's own Python, which has nats-py.

That Python gets it as text, so it imports nothing of this collection, nor what Python 3.9 lacks. The question
comes as JSON over stdin, since arguments and environment of a process show its secrets; the result goes to stdout.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import typing as t

try:
    import nats
except ImportError as error:
    NATS_MISSING = str(error)
else:
    NATS_MISSING = ""

_ASK_OF_ITSELF = "$SYS.REQ.USER.INFO"
# So that a server with a limit of connections has some left for everybody else.
_AT_ONCE = 2
_PAUSE = 0.005
_VIOLATION = "permissions violation"


async def look(client: dict[str, t.Any], servers: list[str], patience: float) -> dict[str, t.Any]:
    """Log in as a client, and give what the server says of it, and which of its tries it refused.

    client: login, options of connect() of nats-py; publish, subscribe: subjects that are not for it. The result has
    info, as the server answers; refused, the words of each refusal; and error, why there is nothing, or empty.
    """
    refused: list[str] = []
    others: list[str] = []

    async def note(error: Exception) -> None:
        words = str(error) or type(error).__name__
        (refused if _VIOLATION in words.lower() else others).append(words)

    try:
        connecting = nats.connect(
            **client["login"],
            servers=servers,
            connect_timeout=patience,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            error_cb=note,
        )
        connection = await asyncio.wait_for(connecting, patience)
    except Exception as error:  # whatever the library raises, the client can't log in
        await note(error)
        return {"info": None, "refused": [], "error": (others or refused)[-1]}
    try:
        answer = await connection.request(_ASK_OF_ITSELF, b"", timeout=patience)
        for subject in client["publish"]:
            await connection.publish(subject, b"")
        for subject in client["subscribe"]:
            await connection.subscribe(subject)
        await asyncio.wait_for(connection.flush(), patience)
        # the server has refused by now, but nats-py tells of it in tasks of their own
        end = time.monotonic() + patience
        while len(refused) < len(client["publish"]) + len(client["subscribe"]) and time.monotonic() < end:
            await asyncio.sleep(_PAUSE)
        return {"info": json.loads(answer.data)["data"], "refused": refused, "error": ""}
    except Exception as error:  # likewise
        return {"info": None, "refused": refused, "error": f"{type(error).__name__}: {error}"}
    finally:
        await connection.close()


async def look_at_all(question: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """Look as each client in turn; question: clients, as look() takes one, servers, answer_seconds."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def look_in_turn(client: dict[str, t.Any]) -> dict[str, t.Any]:
        async with places:
            return await look(client, question["servers"], question["answer_seconds"])

    return [*await asyncio.gather(*map(look_in_turn, question["clients"]))]


def main() -> None:
    """Answer the question on stdin with a JSON object on stdout: clients, in order; stopped, why there are none."""
    question = json.load(sys.stdin)
    if NATS_MISSING:
        json.dump({"clients": [], "stopped": NATS_MISSING}, sys.stdout)
    else:
        json.dump({"clients": asyncio.run(look_at_all(question)), "stopped": ""}, sys.stdout)


if __name__ == "__main__":
    main()
