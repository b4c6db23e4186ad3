# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A round trip from the bus through the bot, and what came of it."""

from __future__ import annotations

import math
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.rosey.nats.plugins.module_utils._bot import bot_python, round_trip
from ansible_collections.rosey.nats.plugins.module_utils._bot.bot_python import BotPython
from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Finding, Severity
from ansible_collections.rosey.nats.plugins.module_utils._server import http_reader

# Round trips


@dataclass(frozen=True)
class RoundTrip:
    """Requests to make; without a subject they are pings, which the server answers itself.

    payload: of each. limit: the milliseconds that 99 of 100 may take. pause: the milliseconds after each.
    """

    subject: str
    payload: str
    count: int
    limit: float
    pause: float = 0.0


@dataclass(frozen=True)
class Trips:
    """What came of it. milliseconds: of each trip. stopped: why there are no more, one of the reasons, or empty."""

    milliseconds: tuple[float, ...] = ()
    stopped: str = ""
    cause: str = ""

    def percentile(self, percent: int) -> float | None:
        """Give the time that so many of 100 trips did not exceed."""
        if not self.milliseconds:
            return None
        return sorted(self.milliseconds)[math.ceil(percent * len(self.milliseconds) / 100) - 1]


NOT_YET = "not yet"
_SKIPPED = {bot_python.NO_PYTHON, round_trip.NO_LIBRARY, NOT_YET}
_P50, _P99 = 50, 99
_LISTENS = "look at the log of the plugin that listens to {subject}"
# What was expected, what was found, and what to do.
_STOPS: Mapping[str, tuple[str, str, str]] = {
    bot_python.NO_PYTHON: (
        "the bot's Python, to measure it with",
        "none that runs: {cause}",
        "name the bot's own Python in python; the round trip was skipped",
    ),
    round_trip.NO_LIBRARY: (
        "nats-py in the bot's Python, to measure it with",
        "none: {cause}",
        "name the bot's own Python, which has nats-py, in python; the round trip was skipped",
    ),
    bot_python.NO_RESULT: (
        "a result of the probe",
        "{cause}",
        "try python by hand, and look at the load of the host",
    ),
    round_trip.NO_CONNECTION: (
        "a connection to the bus",
        "none: {cause}",
        "check servers and credentials, and look at the log of nats-server",
    ),
    round_trip.NOBODY: (
        "an answer to a request on {subject}",
        "nobody who listens to it",
        "check the subject, and that the plugin which answers it is enabled and runs",
    ),
    round_trip.SILENCE: (
        "an answer to a request on {subject}",
        "none after {made} trips{said}",
        f"{_LISTENS}; check that it answers to the reply subject of a request, and that the user may publish requests",
    ),
    round_trip.NO_TIME: (
        "{count} trips on {subject}",
        "{made} when the time for them was up",
        f"{_LISTENS}, and at the load of the host",
    ),
}


def trips_result(trips: Trips) -> dict[str, t.Any]:
    """Give the round trips as the module returns them."""
    p50, p99 = (trips.percentile(percent) for percent in (_P50, _P99))
    return {
        "p50_milliseconds": None if p50 is None else round(p50, 3),
        "p99_milliseconds": None if p99 is None else round(p99, 3),
        "trips": len(trips.milliseconds),
        "skipped": trips.stopped in _SKIPPED,
    }


def trip_findings(trip: RoundTrip, trips: Trips) -> Iterator[Finding]:
    """Tell what is wrong with a round trip."""
    if trips.stopped:
        known = {
            "subject": trip.subject,
            "count": trip.count,
            "made": len(trips.milliseconds),
            "cause": trips.cause,
            "said": f"; the server said: {trips.cause}" if trips.cause else "",
        }
        severity = Severity.WARNING if trips.stopped in _SKIPPED else Severity.ERROR
        wanted, found, remedy = (text.format_map(known) for text in _STOPS[trips.stopped])
        yield Finding("round trip", wanted, found, remedy, severity)
    p99 = trips.percentile(_P99)
    if p99 is not None and p99 > trip.limit:
        remedy = (
            "look at the load of the host, at /varz of nats-server for cpu and mem, and at the log of the plugin that "
            f"listens to {trip.subject}"
        )
        yield Finding("round trip", f"a p99 of at most {trip.limit:g} ms", f"{p99:.1f} ms", remedy)


def trip_fact(trips: Trips) -> str:
    """Say in a few words what came of the round trips."""
    if trips.stopped in _SKIPPED:
        return "round trip skipped"
    p50, p99 = trips.percentile(_P50), trips.percentile(_P99)
    if p50 is None or p99 is None:
        return "no round trip"
    return f"round trip p50 {p50:.1f} ms, p99 {p99:.1f} ms over {len(trips.milliseconds)}"


def make_trips(
    trip: RoundTrip,
    *,
    python: BotPython,
    servers: Sequence[str],
    options: Mapping[str, t.Any],
    credentials: Mapping[str, str],
    name: str,
    timeout: float,
) -> Trips:
    """Make the round trips with the bot's Python.

    options: further ones of connect(), over which the credentials go. timeout: seconds for the connection, and for each
    answer.
    """
    seconds = timeout + trip.count * (trip.limit + trip.pause) / 1000
    question = {
        "options": {**options, "servers": list(servers), "name": name, **credentials},
        "subject": trip.subject,
        "payload": trip.payload,
        "count": trip.count,
        "answer_seconds": timeout,
        "pause_seconds": trip.pause / 1000,
        "seconds": seconds,
    }
    try:
        said = python.ask(round_trip, question, seconds + 2 * timeout)
    except bot_python.NoAnswerError as error:
        return Trips(stopped=error.reason, cause=error.cause)
    try:
        stopped, cause = said["stopped"], http_reader.excerpt(said["cause"])
        return Trips(tuple(1000 * each for each in said["trips"]), stopped, cause)
    except (KeyError, TypeError):
        return Trips(stopped=bot_python.NO_RESULT, cause="another one than the program gives")
