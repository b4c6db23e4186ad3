# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long messages take on the bus, and what server and host do meanwhile. Looking changes nothing."""

from __future__ import annotations

import os
import time
import typing as t
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._bot import bot_python, round_trip, round_trips
from ansible_collections.rosey.nats.plugins.module_utils._host import process, python
from ansible_collections.rosey.nats.plugins.module_utils._server import answers, http_reader, monitoring
from ansible_collections.rosey.nats.plugins.module_utils._server.options import reading
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import (
    bot_evidence,
    evidence,
    plugin_evidence,
    server_evidence,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import (
    NothingToSeeError,
    NotSeenError,
    attempt,
    seen,
)

Answer = answers.Answer
# What a client was cut off for, as /connz has it.
TOO_SLOW = "Slow Consumer"

_TRIPS = 150
# What comes and goes on a host has to show in so many trips.
_PAUSE_MILLISECONDS = 20.0
_SECONDS = 5.0
_SAMPLE_SECONDS = 0.02
_RECENTLY = timedelta(minutes=10)
_CLOSED = 1000
_POLICIES = {os.SCHED_BATCH: "batch", os.SCHED_IDLE: "idle"}
_PROC = Path("/proc")


@dataclass(frozen=True)
class Load:
    """What a process did while messages were on their way.

    waited: the seconds that its threads were ready and had no processor. stopped, disk: the parts of the time that it
    was stopped by a signal, and that one of its threads waited for a disk.
    """

    pid: int
    waited: float = 0.0
    stopped: float = 0.0
    disk: float = 0.0


@dataclass(frozen=True)
class Host:
    """What the host did meanwhile, in seconds. load: its load average; processors: how many it has.

    short: the part of the time in which something was ready and had no processor. stolen: the part that another
    machine on the same hardware had them.
    """

    processors: int
    load: float
    short: float | None = None
    stolen: float = 0.0


@dataclass(frozen=True)
class Evidence:
    """What was seen; of what could not be, why not.

    limit: the milliseconds that 99 of 100 messages may take. bus: from the bot to the server and back. command: to a
    plugin and back; None where none was asked. subject, plugin: whom that asked. seconds: how long
    it took. server, asked: the loads of the processes of server and plugin. priority: of the server, in words, where it
    is lower than usual. swapped: the bytes of the server that are not in memory. traced: the options by which it writes
    down every message. closed: whom it has cut off of late.
    """

    limit: float
    bot_name: str
    bus: round_trips.Trips | NotSeenError
    command: round_trips.Trips | NotSeenError | None
    subject: str
    plugin: str
    seconds: float
    varz: Answer | NotSeenError
    jsz: Answer | NotSeenError
    connections: tuple[Answer, ...] | NotSeenError
    closed: tuple[Answer, ...] | NotSeenError
    server: Load
    asked: Load
    host: Host | NotSeenError
    priority: str = ""
    swapped: int = 0
    traced: tuple[str, ...] = ()


def look(
    server: server_evidence.Evidence, plugins: plugin_evidence.Evidence, probe: plugin_evidence.Probe | None
) -> Evidence:
    """Send messages for some seconds, and look at server and host meanwhile.

    NotSeenError where nobody can send them, NothingToSeeError where nobody is to.
    """
    bot = plugins.bot
    if bot.described.legacy:
        raise NothingToSeeError("without NATS no message is on its way")
    if probe is None:
        raise NotSeenError("how long messages take", "no bot is described that sends them", "describe the bot")
    subject = probe.trip.subject
    asked = next((each for each in plugins.plugins if subject in each.subscriptions), None)
    pids = (server.pid, asked.processes[0].pid if asked and asked.processes else 0)
    bus = replace(probe.trip, subject="", count=_TRIPS, pause=_PAUSE_MILLISECONDS)
    with ThreadPoolExecutor() as pool:
        before = tuple(map(waited_for, pids)), attempt(_host_times)
        begun = time.monotonic()
        trips = [
            pool.submit(attempt, lambda trip=trip: _make(bot, replace(probe, trip=trip)))
            for trip in (bus, *((replace(bus, subject=subject),) if subject else ()))
        ]
        samples = sample(pids, trips)
        seconds = time.monotonic() - begun
    waited = [max(0.0, waited_for(pid) - earlier) for pid, earlier in python.rows(pids, before[0])]
    loads = [Load(pid, each, *sample) for pid, each, sample in python.rows(pids, waited, samples)]
    return Evidence(
        limit=probe.trip.limit,
        bot_name=bot.described.client_name,
        bus=trips[0].result(),
        command=trips[1].result() if subject else None,
        subject=subject,
        plugin=asked.name if asked else "",
        seconds=seconds,
        varz=attempt(lambda: evidence.ask_server(server.monitor, "varz")),
        jsz=attempt(lambda: evidence.ask_server(server.monitor, "jsz")),
        connections=attempt(lambda: tuple(evidence.ask_server(server.monitor, "connz")["connections"])),
        closed=attempt(lambda: cut_off(seen(server.monitor))),
        server=loads[0],
        asked=loads[1],
        host=attempt(lambda: host_between(seen(before[1]), _host_times(), seconds)),
        priority=priority_of(server.pid),
        swapped=_swapped(server.pid),
        traced=_traced(server),
    )


def _make(bot: bot_evidence.Evidence, probe: plugin_evidence.Probe) -> round_trips.Trips:
    trips = plugin_evidence.make(bot, probe, seconds=_SECONDS)
    if trips.stopped in (bot_python.NO_PYTHON, round_trip.NO_LIBRARY, bot_python.NO_RESULT):
        raise NotSeenError("how long messages take", trips.cause, f"try {probe.python}, the bot's Python, by hand")
    if trips.stopped == round_trip.NO_CONNECTION and not trips.milliseconds:
        raise NotSeenError("how long messages take", f"no connection: {trips.cause}", "see what is said of the bot")
    return trips


def sample(pids: t.Sequence[int], until: t.Sequence[Future[t.Any]]) -> list[tuple[float, float]]:
    """Give, for each process, the parts of the time that it was stopped, and that it waited for a disk."""
    taken: list[list[tuple[bool, bool]]] = [[] for _pid in pids]
    while True:
        for pid, found in python.rows(pids, taken):
            states = _states(pid)
            if states:
                found.append((process.STOPPED.issuperset(states), "D" in states))
        if all(each.done() for each in until):
            break
        time.sleep(_SAMPLE_SECONDS)
    return [(_part(each, 0), _part(each, 1)) for each in taken]


def _part(found: t.Sequence[tuple[bool, bool]], which: int) -> float:
    return sum(each[which] for each in found) / len(found) if found else 0.0


def _tasks(pid: int) -> list[Path]:
    try:
        return list((_PROC / str(pid) / "task").iterdir()) if pid else []
    except OSError:
        return []


def _states(pid: int) -> list[str]:
    return [state for task in _tasks(pid) if (state := process.state(task))]


def waited_for(pid: int) -> float:
    """Give the seconds that the threads of a process were ready and had no processor, see proc(5), schedstat."""
    waited = 0
    for task in _tasks(pid):
        try:
            waited += int((task / "schedstat").read_text().split()[1])
        except (OSError, ValueError, IndexError):
            continue
    return waited / 1e9


def _host_times() -> tuple[float | None, list[int]]:
    """Give the seconds in which something had no processor, and the ticks of the processors; NotSeenError."""
    try:
        ticks = [int(each) for each in (_PROC / "stat").read_text().partition("\n")[0].split()[1:]]
    except (OSError, ValueError) as error:
        raise NotSeenError("the load of the host", str(error), "see that /proc is mounted") from error
    try:
        some = (_PROC / "pressure" / "cpu").read_text().partition("\n")[0]
        return int(some.rpartition("total=")[2]) / 1e6, ticks
    except (OSError, ValueError):
        return None, ticks  # a kernel without pressure stall information


def host_between(before: tuple[float | None, list[int]], after: tuple[float | None, list[int]], seconds: float) -> Host:
    """Say what the host did between two looks, which lie so many seconds apart."""
    short = None if before[0] is None or after[0] is None else min(1.0, (after[0] - before[0]) / seconds)
    passed = [late - early for early, late in python.rows(before[1], after[1])]
    stolen = passed[_STEAL] / max(1, sum(passed[: _STEAL + 1])) if len(passed) > _STEAL else 0.0
    return Host(os.cpu_count() or 1, os.getloadavg()[0], short, stolen)


# Its place among the times of /proc/stat.
_STEAL = 7


def priority_of(pid: int) -> str:
    """Say why a process gets a processor only after others; empty where it does not."""
    try:
        policy, nice = os.sched_getscheduler(pid), os.getpriority(os.PRIO_PROCESS, pid)
    except OSError:
        return ""
    found = [f"scheduling policy {_POLICIES[policy]}"] if policy in _POLICIES else []
    return ", ".join([*found, f"nice {nice}"] if nice > 0 else found) if pid else ""


def _swapped(pid: int) -> int:
    try:
        lines = (_PROC / str(pid) / "status").read_text(errors="replace").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmSwap:"))
    except (OSError, StopIteration):
        return 0


def _traced(server: server_evidence.Evidence) -> tuple[str, ...]:
    config = reading.canonical(server.config) if isinstance(server.config, Mapping) else {}
    return tuple(name for name in ("trace", "trace_verbose") if config.get(name) is True)


def cut_off(monitor: monitoring.Monitor) -> tuple[Answer, ...]:
    """Name the clients that the server has cut off of late since they were too slow; NotSeenError."""
    try:
        _status, answer = monitor.ask(f"{monitor.url}/connz", {"state": "closed", "limit": _CLOSED})
    except http_reader.MonitoringError as error:
        raise NotSeenError("the clients that were cut off", error.cause, error.remedy) from error
    now = answers.moment(answer.get("now", ""))
    return tuple(
        each
        for each in answer.get("connections") or ()
        if str(each.get("reason", "")).startswith(TOO_SLOW)
        and now
        and (stopped := answers.moment(each.get("stop", "")))
        and now - stopped < _RECENTLY
    )
