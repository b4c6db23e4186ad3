# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._server import http_reader, monitoring
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import latency_evidence
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.latency_evidence import Host
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import NotSeenError

Start = Callable[..., int]


@pytest.fixture
def start() -> Iterator[Start]:
    """Give a function that starts a process which waits, and gives its number."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*before: str) -> int:
        started.append(subprocess.Popen([*before, "sleep", "60"]))
        return started[-1].pid

    yield begin
    for process in started:
        process.kill()
        process.wait()


def within(seconds: float) -> Future[None]:
    """Give what is done after a while."""
    done: Future[None] = Future()
    threading.Timer(seconds, done.set_result, [None]).start()
    return done


def test_a_process_that_is_stopped_half_of_the_time_shows(start: Start) -> None:
    pids = start(), start()
    os.kill(pids[1], signal.SIGSTOP)
    threading.Timer(0.4, os.kill, [pids[1], signal.SIGCONT]).start()
    awake, half = latency_evidence.sample((*pids[:1], pids[1]), [within(0.8)])
    assert awake == (0.0, 0.0)
    assert 0.2 < half[0] < 0.8


def test_a_process_that_is_not_there_did_nothing() -> None:
    assert latency_evidence.sample((0,), [within(0)]) == [(0.0, 0.0)]
    assert latency_evidence.waited_for(0) == 0.0
    assert latency_evidence.priority_of(0) == ""


def test_what_waits_for_a_processor_waits(start: Start) -> None:
    burn = [sys.executable, "-c", "while True: pass"]
    only = min(os.sched_getaffinity(0))
    crowd = [subprocess.Popen(["taskset", "--cpu-list", str(only), *burn]) for _each in range(2)]
    try:
        time.sleep(0.5)
        before = latency_evidence.waited_for(crowd[0].pid)
        time.sleep(0.5)
        assert latency_evidence.waited_for(crowd[0].pid) - before > 0.1
    finally:
        for each in crowd:
            each.kill()
            each.wait()


@pytest.mark.parametrize(
    ("before", "policy", "added"),
    [
        ((), "", 0),
        (("nice", "-n", "7"), "", 7),
        (("chrt", "--batch", "0"), "scheduling policy batch", 0),
        (("nice", "-n", "19", "chrt", "--idle", "0"), "scheduling policy idle", 19),
    ],
)
def test_a_lower_priority_is_named(start: Start, before: tuple[str, ...], policy: str, added: int) -> None:
    pid = start(*before)
    time.sleep(0.2)
    # the tests themselves may run with a lower one
    nice = min(os.nice(0) + added, 19)
    expected = ", ".join(filter(None, [policy, f"nice {nice}" if nice else ""]))
    assert latency_evidence.priority_of(pid) == expected


@pytest.mark.parametrize(
    ("before", "after", "short", "stolen"),
    [
        ((1.0, [0] * 10), (3.0, [60, 0, 0, 20, 0, 0, 0, 20, 0, 0]), 0.5, 0.2),
        ((1.0, [5] * 10), (1.0, [105, 5, 5, 5, 5, 5, 5, 5, 5, 5]), 0.0, 0.0),
        ((1.0, [0] * 10), (9.0, [0] * 10), 1.0, 0.0),
        ((None, [0] * 10), (3.0, [1] * 10), None, 0.125),
        ((1.0, [0] * 4), (1.0, [1] * 4), 0.0, 0.0),
    ],
    ids=["half and a fifth", "nothing", "more than all", "a kernel without pressure", "a kernel without steal"],
)
def test_the_load_of_the_host_is_what_came_between(
    before: tuple[float | None, list[int]], after: tuple[float | None, list[int]], short: float | None, stolen: float
) -> None:
    found = latency_evidence.host_between(before, after, 4.0)
    assert (found.short, found.stolen) == (short, stolen)
    assert isinstance(found, Host)
    assert found.processors > 0


class Closed(monitoring.Monitor):
    """A monitoring endpoint that tells of connections that have ended."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__("http://127.0.0.1:8222")
        self.answer = answer

    def ask(self, url: str, query: Any = None, *, any_status: bool = False) -> tuple[int, dict[str, Any]]:
        assert (url, query["state"]) == ("http://127.0.0.1:8222/connz", "closed")
        return 200, self.answer


NOW = "2026-11-26T20:10:00.123456789Z"


@pytest.mark.parametrize(
    ("connection", "counts"),
    [
        ({"reason": "Slow Consumer (Pending Bytes)", "stop": "2026-11-26T20:03:16.749231783Z"}, True),
        ({"reason": "Slow Consumer (Write Deadline)", "stop": "2026-11-26T19:59:59Z"}, False),
        ({"reason": "Client Closed", "stop": "2026-11-26T20:09:59Z"}, False),
        ({"reason": "Slow Consumer (Write Deadline)", "stop": "no time"}, False),
        ({}, False),
    ],
    ids=["of late", "long ago", "of itself", "without a time", "without a reason"],
)
def test_only_who_was_cut_off_of_late_for_being_slow_counts(connection: dict[str, str], counts: bool) -> None:
    found = latency_evidence.cut_off(Closed({"now": NOW, "connections": [connection]}))
    assert found == ((connection,) if counts else ())


def test_a_server_that_does_not_tell_who_was_cut_off_is_told() -> None:
    class Silent(Closed):
        def ask(self, url: str, query: Any = None, *, any_status: bool = False) -> tuple[int, dict[str, Any]]:
            raise http_reader.MonitoringError(url, "connection refused")

    with pytest.raises(NotSeenError, match="connection refused"):
        latency_evidence.cut_off(Silent({}))


def test_nobody_was_cut_off_where_the_list_is_empty() -> None:
    assert latency_evidence.cut_off(Closed({"now": NOW, "connections": None})) == ()
