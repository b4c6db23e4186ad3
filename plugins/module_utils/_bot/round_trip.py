# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a request on the bus takes until it is answered: a program for the bot's own Python, which has nats-py.

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
    import nats.errors
except ImportError as error:
    NATS_MISSING = str(error)
else:
    NATS_MISSING = ""

# Why there are not as many trips as were asked for.
NO_LIBRARY = "no library"
NO_CONNECTION = "no connection"
NOBODY = "nobody"
SILENCE = "silence"
NO_TIME = "no time"

_WARM_UP = 5
_FIRST_PAUSE = 0.1


class _StoppedError(Exception):
    """The end of the trips before their number is reached."""


async def travel(question: dict[str, t.Any], trips: list[float], errors: list[str]) -> None:
    """Send the requests one after the other, and note the seconds of each in trips, what the server said in errors.

    question: options, for connect() of nats-py; subject, empty to ask nobody but the server; payload, count;
    answer_seconds, for one answer; pause_seconds, after each; seconds, for all. Raises _StoppedError with one of the
    reasons above.
    """
    if NATS_MISSING:
        errors.append(NATS_MISSING)
        raise _StoppedError(NO_LIBRARY)

    async def note(error: Exception) -> None:
        errors.append(str(error) or type(error).__name__)

    patience = question["answer_seconds"]
    try:
        connecting = nats.connect(
            **question["options"],
            connect_timeout=patience,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=_FIRST_PAUSE,
            error_cb=note,
        )
        client = await asyncio.wait_for(connecting, patience)
    except Exception as error:  # whatever the library raises, the bus can't be reached
        await note(error)
        raise _StoppedError(NO_CONNECTION) from error
    end = time.perf_counter() + question["seconds"]
    payload = question["payload"].encode()
    try:
        for number in range(_WARM_UP + question["count"]):
            begin = time.perf_counter()
            if begin >= end:
                raise _StoppedError(NO_TIME)
            if question["subject"]:
                await client.request(question["subject"], payload, timeout=patience)
            else:
                await client.flush(patience)
            if number >= _WARM_UP:
                trips.append(time.perf_counter() - begin)
            await asyncio.sleep(question["pause_seconds"])
    except nats.errors.NoRespondersError as error:
        raise _StoppedError(NOBODY) from error
    except nats.errors.TimeoutError as error:
        raise _StoppedError(SILENCE) from error
    except nats.errors.Error as error:
        await note(error)
        raise _StoppedError(NO_CONNECTION) from error
    finally:
        await client.close()


def main() -> None:
    """Answer the question on stdin with a JSON object on stdout: trips, stopped and cause, empty where it is done."""
    trips: list[float] = []
    errors: list[str] = []
    stopped = ""
    try:
        asyncio.run(travel(json.load(sys.stdin), trips, errors))
    except _StoppedError as end:
        stopped = str(end)
    json.dump({"trips": trips, "stopped": stopped, "cause": errors[-1] if stopped and errors else ""}, sys.stdout)


if __name__ == "__main__":
    main()
