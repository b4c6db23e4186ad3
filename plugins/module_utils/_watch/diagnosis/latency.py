# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why messages take long: what is asked of the evidence. Nothing here looks at the host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ansible_collections.rosey.nats.plugins.module_utils._bot import round_trip
from ansible_collections.rosey.nats.plugins.module_utils._bot.round_trips import Trips
from ansible_collections.rosey.nats.plugins.module_utils._host import figures
from ansible_collections.rosey.nats.plugins.module_utils._server import units
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.latency_evidence import Evidence
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import (
    Cause,
    Confidence,
    Diagnosis,
    NotSeenError,
    Question,
    Symptom,
    diagnose,
    seen,
)

# The parts of the time from which on something counts.
_STOPPED, _DISK, _STOLEN, _SHORT = 0.05, 0.2, 0.1, 0.5
# The part of the delay that waiting for a processor has to explain.
_EXPLAINS = 0.25
_MILLISECOND = 1_000_000


def diagnosis(evidence: Evidence) -> Diagnosis:
    """Say why messages take long."""
    questions = (Question("", _ask_bus),) if isinstance(evidence.bus, NotSeenError) else _of_measured(evidence)
    return diagnose(Symptom.LATENCY, (*questions, *ALWAYS), evidence)


def is_slow(trips: Trips | NotSeenError | None, limit: float) -> bool:
    """Tell whether messages took longer than they may, or went on taking no end."""
    if trips is None or isinstance(trips, NotSeenError):
        return False
    if trips.stopped in (round_trip.SILENCE, round_trip.NO_TIME):
        return True
    p99 = trips.percentile(99)
    return p99 is not None and p99 > limit


def shown(trips: Trips) -> str:
    """Say how long messages took."""
    p50, p99 = trips.percentile(50), trips.percentile(99)
    took = "no answer" if p50 is None else f"p50 {p50:.1f} ms, p99 {p99:.1f} ms over {len(trips.milliseconds)}"
    return f"{took}, then {trips.stopped}" if trips.stopped else took


def _cause(name: str, cause: str, *evidence: str, remedy: str, confidence: Confidence = Confidence.LIKELY) -> Cause:
    return Cause(Symptom.LATENCY, name, cause, evidence, remedy, confidence)


def _bus_is_slow(evidence: Evidence) -> bool:
    return is_slow(evidence.bus, evidence.limit)


def _is_slow(evidence: Evidence) -> bool:
    return _bus_is_slow(evidence) or is_slow(evidence.command, evidence.limit)


def _measured(evidence: Evidence) -> tuple[str, ...]:
    bus, command = evidence.bus, evidence.command
    lines = [] if isinstance(bus, NotSeenError) else [f"to the server and back: {shown(bus)}"]
    if not (command is None or isinstance(command, NotSeenError)):
        lines.append(f"{evidence.subject} and back, by the plugin {evidence.plugin or '?'}: {shown(command)}")
    return tuple(lines)


def _delay(evidence: Evidence) -> float:
    """Give the seconds that the slow messages took."""
    slow = evidence.bus if _bus_is_slow(evidence) else evidence.command
    if slow is None or isinstance(slow, NotSeenError):
        return 0.0
    return sum(each for each in slow.milliseconds if each > evidence.limit) / 1000 or evidence.seconds


def _is_constant(evidence: Evidence) -> bool:
    """Tell whether no message was fast."""
    bus = seen(evidence.bus)
    return min(bus.milliseconds, default=0.0) > evidence.limit / 2


# The server


def _ask_bus(evidence: Evidence) -> Iterable[Cause]:
    """Tell why nothing was measured."""
    seen(evidence.bus)
    return ()


def _ask_server(evidence: Evidence) -> Iterator[Cause]:
    if not _is_slow(evidence):
        return
    load = evidence.server
    if load.stopped > _STOPPED:
        yield _cause(
            "server_stalls",
            "nats-server is stopped again and again, by a signal or a debugger",
            f"process {load.pid} was stopped in {load.stopped:.0%} of the time",
            *_measured(evidence),
            remedy=f"find who sends it SIGSTOP, or traces it: grep TracerPid /proc/{load.pid}/status",
            confidence=Confidence.CERTAIN,
        )
    if load.disk > _DISK:
        yield _cause(
            "disk_slow",
            "nats-server waits for a disk",
            f"a thread of process {load.pid} waited for one in {load.disk:.0%} of the time",
            *_measured(evidence),
            remedy="see what else uses the disk of jetstream.store_dir and log_file (cat /proc/pressure/io), or give "
            "the store a disk of its own",
        )
    if evidence.swapped:
        yield _cause(
            "server_swapped_out",
            "a part of nats-server is not in memory",
            f"{figures.size(evidence.swapped)} of process {load.pid} are swapped out",
            *_measured(evidence),
            remedy="give the host memory, or stop what takes it; then restart the server",
        )


def _ask_priority(evidence: Evidence) -> Iterator[Cause]:
    if evidence.priority and _is_slow(evidence):
        yield _cause(
            "server_deprioritized",
            "nats-server gets a processor only after the others",
            f"process {evidence.server.pid} has {evidence.priority}, and waited {evidence.server.waited:.2f} s "
            f"for a processor in {evidence.seconds:.1f} s",
            *_measured(evidence),
            remedy="take Nice and CPUSchedulingPolicy out of its unit (systemctl cat nats), and restart it; or renice "
            f"-n 0 {evidence.server.pid}",
        )


# The host


def _ask_host(evidence: Evidence) -> Iterator[Cause]:
    if not _is_slow(evidence):
        return
    host = seen(evidence.host)
    waited = evidence.server.waited + evidence.asked.waited
    explains = waited / _delay(evidence) if _delay(evidence) else 0.0
    busy = f"{host.processors} processors, load average {host.load:.1f}"
    if host.stolen > _STOLEN:
        yield _cause(
            "processors_stolen",
            "the machine below this one gives its processors to others",
            f"{host.stolen:.0%} of the time of the processors was stolen",
            *_measured(evidence),
            remedy="move the host, or have its share of the hardware raised",
        )
    # a load comes and goes, while a long way is as long for every message
    is_short = _bus_is_slow(evidence) and not _is_constant(evidence) and (host.short or 0) > _SHORT
    if explains > _EXPLAINS or is_short:
        short = "" if host.short is None else f"; something waited for one in {host.short:.0%} of the time"
        yield _cause(
            "host_loaded",
            "the host has too few processors for all that runs on it",
            f"{busy}{short}",
            f"server and plugin waited {waited:.2f} s for a processor in {evidence.seconds:.1f} s",
            *_measured(evidence),
            remedy="stop or move what takes them (top), or let it have a lower priority",
        )


# Clients


def _ask_connections(evidence: Evidence) -> Iterator[Cause]:
    if not _is_slow(evidence):
        return
    names = {evidence.bot_name, f"{evidence.bot_name}-{evidence.plugin}"}
    slow = [
        f"{each['name']}, {each.get('ip')}:{each.get('port')}: {trip:.1f} ms to the client and back"
        for each in seen(evidence.connections)
        if each.get("name") in names
        and (trip := _round_trip(str(each.get("rtt", "")))) is not None
        and trip > evidence.limit
    ]
    if slow:
        yield _cause(
            "connection_slow",
            "the bot or its plugin reaches the server by a slow way",
            *slow,
            *_measured(evidence),
            remedy="see which way its servers lead (a proxy, a tunnel, another host), and let it connect directly",
        )


def _round_trip(text: str) -> float | None:
    """Read the time that /connz gives, in milliseconds."""
    try:
        return units.duration(text) / _MILLISECOND
    except units.UnitError:
        return None


def _ask_plugin(evidence: Evidence) -> Iterator[Cause]:
    command = evidence.command
    if _bus_is_slow(evidence) or not is_slow(command, evidence.limit):
        return
    answered = not isinstance(command, NotSeenError) and command is not None and bool(command.milliseconds)
    yield _cause(
        "plugin_slow",
        f"the plugin {evidence.plugin or 'that answers'} takes long, and the bus does not",
        *_measured(evidence),
        remedy="look at its log, and at what it waits for: a locked database, a site that does not answer, much work",
        # one that never answered has another trouble
        confidence=Confidence.LIKELY if answered else Confidence.POSSIBLE,
    )


def _ask_slow_consumers(evidence: Evidence) -> Iterator[Cause]:
    most = _most_pending(evidence)
    pending = [each for each in seen(evidence.connections) if each.get("pending_bytes", 0) > most]
    cut_off = seen(evidence.closed)
    clients = dict.fromkeys(_client(each) for each in (*pending, *cut_off))
    for client in clients:
        waiting = [each["pending_bytes"] for each in pending if _client(each) == client]
        ended = [f"cut off at {each['stop']}: {each['reason']}" for each in cut_off if _client(each) == client]
        is_own = client.startswith(evidence.bot_name) and bool(evidence.bot_name)
        yield _cause(
            "slow_consumer",
            f"the client {client} takes its messages too slowly, so that they pile up in the server",
            *(f"{figures.size(size)} wait for it" for size in waiting),
            *ended[-1:],
            *_measured(evidence),
            remedy="look at what it does with its messages, give it fewer, or stop it; others wait for it meanwhile",
            # what is fast all the same is not slowed down by somebody else
            confidence=Confidence.LIKELY if is_own or _is_slow(evidence) else Confidence.POSSIBLE,
        )


def _client(connection: dict[str, object]) -> str:
    return f"{connection.get('name') or 'without a name'} ({connection.get('ip')})"


def _most_pending(evidence: Evidence) -> int:
    """Give the bytes that may wait for a client a moment, since a large message does."""
    payload = evidence.varz.get("max_payload", 0) if isinstance(evidence.varz, dict) else 0
    return payload if isinstance(payload, int) else 0


# Its settings


def _ask_settings(evidence: Evidence) -> Iterator[Cause]:
    confidence = Confidence.LIKELY if _bus_is_slow(evidence) else Confidence.POSSIBLE
    config = seen(evidence.jsz).get("config") or {}
    if config.get("sync_always"):
        yield _cause(
            "jetstream_sync",
            "JetStream waits for the disk with every message that it keeps",
            "jetstream.sync_interval is always",
            *_measured(evidence),
            remedy="set it to a duration, such as the default of 2m, where a power cut may cost messages",
            confidence=confidence,
        )
    if evidence.traced:
        yield _cause(
            "tracing",
            "the server writes every message into its log",
            f"{' and '.join(evidence.traced)} is on",
            *_measured(evidence),
            remedy=f"set {' and '.join(evidence.traced)} to false in nats_server_config, and deploy again",
            confidence=confidence,
        )


def _ask_rest(evidence: Evidence) -> Iterator[Cause]:
    if not _bus_is_slow(evidence) or any(any(ask(evidence)) for ask in _EXPLANATIONS):
        return
    yield _cause(
        "bus_slow",
        "the way to the server and back takes long, and nothing that was looked at says why",
        *_measured(evidence),
        *(
            ()
            if isinstance(evidence.varz, NotSeenError)
            else (f"the server uses {evidence.varz.get('cpu')}% of a processor",)
        ),
        remedy="look at the network between bot and server, and at what the server is asked to do (nats_info, connz)",
    )


_EXPLANATIONS = (_ask_server, _ask_priority, _ask_host, _ask_connections)


def _of_measured(evidence: Evidence) -> tuple[Question[Evidence], ...]:
    """Give what to ask where messages were sent. A plugin that was not asked is not healthy."""
    plugin = () if evidence.command is None else (Question("the plugin's speed", _ask_plugin),)
    way = Question("way from the bot to the server", _ask_connections, plugin)
    return (
        Question("server's process", _ask_server),
        Question("server's priority", _ask_priority),
        Question("host's load", _ask_host, (way,)),
        Question("round trips", _ask_rest),
    )


ALWAYS: tuple[Question[Evidence], ...] = (
    Question("no client that is too slow", _ask_slow_consumers),
    Question("server's settings", _ask_settings),
)
