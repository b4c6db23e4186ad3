# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._bot import round_trip
from ansible_collections.rosey.nats.plugins.module_utils._bot.round_trips import Trips
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import latency
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.latency_evidence import Evidence, Host, Load
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import Confidence, NotSeenError

GONE = NotSeenError("it", "it is gone", "bring it back")
FAST, SLOW = Trips((1.0,) * 150), Trips((1.0,) * 100 + (250.0,) * 50)
CONNECTIONS = (
    {"name": "rosey-bot-prod", "ip": "127.0.0.1", "port": 50000, "rtt": "551µs", "pending_bytes": 0},
    {"name": "rosey-bot-prod-quotes", "ip": "127.0.0.1", "port": 50001, "rtt": "1.2ms", "pending_bytes": 0},
)
HEALTHY = Evidence(
    limit=100.0,
    bot_name="rosey-bot-prod",
    bus=FAST,
    command=FAST,
    subject="rosey.prod.commands.quote",
    plugin="quotes",
    seconds=4.0,
    varz={"cpu": 1, "max_payload": 1048576},
    jsz={"config": {"sync_interval": 120000000000}},
    connections=CONNECTIONS,
    closed=(),
    server=Load(7),
    asked=Load(8),
    host=Host(2, 0.5, 0.05),
)
BUS = replace(HEALTHY, bus=SLOW, command=SLOW)
COMMAND = replace(HEALTHY, command=SLOW)


def found(evidence: Evidence) -> list[tuple[str, Confidence]]:
    return [(cause.name, cause.confidence) for cause in latency.diagnosis(evidence).causes]


def connection(number: int, **changes: Any) -> tuple[dict[str, Any], ...]:
    """Give the connections, one of them changed."""
    return tuple({**each, **changes} if place == number else each for place, each in enumerate(CONNECTIONS))


def test_a_bus_that_is_fast_has_no_cause() -> None:
    assert latency.diagnosis(HEALTHY).causes == ()
    assert "round trips" in latency.diagnosis(HEALTHY).healthy


@pytest.mark.parametrize(
    ("trips", "expected"),
    [
        (Trips((100.0,) * 200), False),
        (Trips((100.1,) * 200), True),
        (Trips((1.0,) * 198 + (999.0,) * 2), False),
        (Trips((1.0,) * 197 + (999.0,) * 3), True),
        (Trips((1.0,) * 5, round_trip.NO_TIME), True),
        (Trips((), round_trip.SILENCE), True),
        (Trips((), round_trip.NOBODY), False),
        (None, False),
        (GONE, False),
    ],
)
def test_99_of_100_messages_have_to_be_back(trips: Trips | NotSeenError | None, expected: bool) -> None:
    assert latency.is_slow(trips, 100.0) is expected


@pytest.mark.parametrize(
    ("evidence", "name", "confidence"),
    [
        (replace(BUS, server=Load(7, stopped=0.06)), "server_stalls", Confidence.CERTAIN),
        (replace(BUS, server=Load(7, disk=0.3)), "disk_slow", Confidence.LIKELY),
        (replace(BUS, swapped=1 << 20), "server_swapped_out", Confidence.LIKELY),
        (replace(BUS, priority="nice 19"), "server_deprioritized", Confidence.LIKELY),
        (replace(BUS, host=Host(2, 9.0, 0.6)), "host_loaded", Confidence.LIKELY),
        (replace(BUS, server=Load(7, waited=3.2)), "host_loaded", Confidence.LIKELY),
        (replace(COMMAND, asked=Load(8, waited=3.2)), "host_loaded", Confidence.LIKELY),
        (replace(BUS, host=Host(2, 9.0, 0.1, stolen=0.3)), "processors_stolen", Confidence.LIKELY),
        (replace(BUS, connections=connection(0, rtt="303.150416ms")), "connection_slow", Confidence.LIKELY),
        (replace(COMMAND, connections=connection(1, rtt="1.2s")), "connection_slow", Confidence.LIKELY),
        (COMMAND, "plugin_slow", Confidence.LIKELY),
        (replace(COMMAND, host=Host(2, 9.0, 0.9)), "plugin_slow", Confidence.LIKELY),
        (replace(HEALTHY, command=Trips((), round_trip.SILENCE)), "plugin_slow", Confidence.POSSIBLE),
        (BUS, "bus_slow", Confidence.LIKELY),
    ],
)
def test_what_makes_messages_slow_comes_first(evidence: Evidence, name: str, confidence: Confidence) -> None:
    assert found(evidence)[0] == (name, confidence)


@pytest.mark.parametrize(
    "changes",
    [
        {"server": Load(7, waited=3.0, stopped=0.9, disk=0.9)},
        {"swapped": 1 << 20},
        {"priority": "nice 19"},
        {"host": Host(2, 90.0, 1.0, stolen=0.9)},
        {"connections": connection(0, rtt="303ms")},
        {"connections": connection(0, pending_bytes=1048576)},
        {"connections": connection(0, rtt="no time", name=None)},
        {"command": Trips((), round_trip.NOBODY)},
        {"command": None},
    ],
)
def test_what_slows_nothing_down_is_no_cause(changes: dict[str, Any]) -> None:
    assert found(replace(HEALTHY, **changes)) == []


@pytest.mark.parametrize(
    ("evidence", "names"),
    [
        (replace(BUS, server=Load(7, stopped=0.3)), ["server_stalls"]),
        (replace(BUS, priority="nice 19"), ["server_deprioritized"]),
        (replace(BUS, connections=connection(1, rtt="303ms")), ["connection_slow"]),
        (
            replace(BUS, bus=Trips((303.0,) * 66), connections=connection(1, rtt="303ms"), host=Host(2, 9.0, 0.6)),
            ["connection_slow"],
        ),
        (replace(COMMAND, connections=connection(1, rtt="303ms")), ["connection_slow"]),
        (replace(COMMAND, asked=Load(8, waited=12.0)), ["host_loaded"]),
    ],
)
def test_its_consequences_are_not_told(evidence: Evidence, names: list[str]) -> None:
    assert [name for name, _confidence in found(evidence)] == names


CUT_OFF = {"name": "dashboard", "ip": "10.0.0.9", "stop": "2026-11-26T20:03:16Z", "reason": "Slow Consumer (Pending)"}


@pytest.mark.parametrize(
    ("evidence", "confidence", "says"),
    [
        (replace(HEALTHY, connections=connection(1, pending_bytes=1048577)), Confidence.LIKELY, "1 MiB"),
        (replace(HEALTHY, connections=connection(1, name="x", pending_bytes=2 << 20)), Confidence.POSSIBLE, "client x"),
        (replace(BUS, connections=connection(1, name="x", pending_bytes=2 << 20)), Confidence.LIKELY, "client x"),
        (replace(HEALTHY, closed=(CUT_OFF,)), Confidence.POSSIBLE, "cut off at 2026-11-26T20:03:16Z"),
        (replace(HEALTHY, closed=({**CUT_OFF, "name": None},)), Confidence.POSSIBLE, "without a name"),
    ],
)
def test_a_slow_consumer_is_sure_where_it_is_the_bot_or_something_is_slow(
    evidence: Evidence, confidence: Confidence, says: str
) -> None:
    causes = [cause for cause in latency.diagnosis(evidence).causes if cause.name == "slow_consumer"]
    assert [cause.confidence for cause in causes] == [confidence]
    assert says in " ".join((causes[0].cause, *causes[0].evidence))


def test_a_client_that_was_cut_off_again_and_again_is_one_cause() -> None:
    assert found(replace(HEALTHY, closed=(CUT_OFF, CUT_OFF))) == [("slow_consumer", Confidence.POSSIBLE)]


@pytest.mark.parametrize(
    ("changes", "name"),
    [({"jsz": {"config": {"sync_always": True}}}, "jetstream_sync"), ({"traced": ("trace",)}, "tracing")],
)
def test_a_setting_is_likely_only_where_the_bus_is_slow(changes: dict[str, Any], name: str) -> None:
    assert found(replace(HEALTHY, **changes)) == [(name, Confidence.POSSIBLE)]
    assert (name, Confidence.LIKELY) in found(replace(BUS, **changes))


@pytest.mark.parametrize("part", ["bus", "connections", "closed", "jsz"])
def test_a_look_that_failed_is_a_cause_that_is_possible(part: str) -> None:
    assert found(replace(HEALTHY, **{part: GONE})) == [("not_seen", Confidence.POSSIBLE)]


def test_what_was_not_measured_is_not_healthy() -> None:
    assert latency.diagnosis(replace(HEALTHY, bus=GONE)).healthy == (
        "no client that is too slow",
        "server's settings",
    )


def test_the_host_is_only_needed_where_something_is_slow() -> None:
    assert found(replace(HEALTHY, host=GONE)) == []
    assert ("not_seen", Confidence.POSSIBLE) in found(replace(BUS, host=GONE))


def test_where_the_host_is_why_no_way_is_asked_for() -> None:
    assert "way from the bot to the server" in latency.diagnosis(BUS).healthy
    assert "way from the bot to the server" not in latency.diagnosis(replace(BUS, host=Host(2, 9.0, 0.6))).healthy


def test_what_was_measured_is_shown() -> None:
    assert latency.shown(SLOW) == "p50 1.0 ms, p99 250.0 ms over 150"
    assert latency.shown(Trips((2.0,), round_trip.NO_TIME)) == "p50 2.0 ms, p99 2.0 ms over 1, then no time"
    assert latency.shown(Trips((), round_trip.SILENCE)) == "no answer, then silence"


def test_a_plugin_that_was_not_asked_is_neither_slow_nor_healthy() -> None:
    asked, unasked = latency.diagnosis(HEALTHY), latency.diagnosis(replace(HEALTHY, command=None, subject=""))
    assert unasked.causes == ()
    assert set(asked.healthy) - set(unasked.healthy) == {"the plugin's speed"}
