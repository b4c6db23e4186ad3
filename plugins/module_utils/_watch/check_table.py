# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every check: what it tells, its unit, its remedy, and which values are the worse ones."""

from __future__ import annotations

import difflib
import json
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.rosey.nats.plugins.module_utils._bot import (
    remedies,
)
from ansible_collections.rosey.nats.plugins.module_utils._server import measures
from ansible_collections.rosey.nats.plugins.module_utils._watch import check_limits
from ansible_collections.rosey.nats.plugins.module_utils._watch.check_limits import (
    Limits,
    LimitsError,
    Status,
    Unit,
    Worse,
)


@dataclass(frozen=True)
class Kind:
    """A check.

    title: what it tells, in a few words. remedy: where its value is beyond its limits. unanswered: the status where the
    server gave no answer. label: of what a host may have several such checks, each named by it as well; empty where
    there is one at most. in_clusters: only a member of a cluster has it.
    """

    title: str
    unit: Unit = Unit.COUNT
    remedy: str = ""
    worse: Worse = Worse.HIGHER
    unanswered: Status = Status.UNKNOWN
    label: str = ""
    in_clusters: bool = False

    @property
    def limited(self) -> bool:
        """Whether its value can have limits."""
        return bool(self.remedy)


def limits(pairs: Mapping[str, t.Any]) -> dict[str, Limits]:
    """Read limits by the name of the check; LimitsError."""
    faults: list[str] = []
    by_check: dict[str, Limits] = {}
    limited = [name for name, kind in KINDS.items() if kind.limited]
    for name, pair in pairs.items():
        if name not in limited:
            nearest = difflib.get_close_matches(str(name), limited, 1)
            hint = f"; the nearest is {nearest[0]}" if nearest else ""
            faults.append(f"{name} is no check with limits; expected one of {', '.join(limited)}{hint}")
        elif not isinstance(pair, Mapping) or not set(pair) <= {"warning", "critical"}:
            faults.append(f"{name} is {json.dumps(pair, default=str)}; expected warning and critical, or one of them")
        else:
            numbers = {level: check_limits.number(value) for level, value in pair.items() if value is not None}
            wrong = [level for level, value in numbers.items() if value is None]
            faults += [f"{name}.{level} is {pair[level]!r}; expected a number, or null for no limit" for level in wrong]
            by_check[name] = Limits(**numbers)
            if not wrong and check_limits.are_crossed(by_check[name], KINDS[name].worse):
                milder = "higher" if KINDS[name].worse is Worse.HIGHER else "lower"
                faults.append(
                    f"{name}.critical is {numbers['critical']:g} and its warning {numbers['warning']:g}; expected a "
                    f"critical limit that is {milder}, or the same"
                )
    if faults:
        raise LimitsError("\n".join(faults))
    return by_check


KINDS: dict[str, Kind] = {
    "streams": Kind("the streams that the last proven state had"),
    "service": Kind("what runs the server"),
    "files": Kind("what the account of the server may read and write"),
    "server": Kind("what the server says of itself, at /varz and /healthz", unanswered=Status.CRITICAL),
    "connection": Kind(
        "the time until a client is connected",
        Unit.SECONDS,
        "look at the load of the host, and at /varz for cpu and mem",
    ),
    "uptime": Kind(
        "the time since the server was started",
        Unit.SECONDS,
        "look in the log and the journal for why the server was started anew",
        Worse.LOWER,
    ),
    "certificate": Kind(
        "the days until a certificate expires that the server shows",
        Unit.COUNT,
        "renew the certificate, and deploy it",
        Worse.LOWER,
        label="listener",
    ),
    "cpu": Kind(
        "how busy the server keeps the cores of the host",
        Unit.PERCENT,
        "look at /connz for the clients with the most messages, and give the server more cores",
    ),
    "memory": Kind("the memory of the server", Unit.BYTES, measures.MEASURES["memory"].remedy),
    "connections": Kind(
        "the connections, of as many as the server takes",
        Unit.PERCENT,
        measures.MEASURES["connections"].remedy,
    ),
    "subscriptions": Kind(
        "the subscriptions that the server holds",
        Unit.COUNT,
        "look at /connz?subs=1 for who subscribes to so much",
    ),
    "slow_consumers": Kind(
        "the clients that were too slow since the server started",
        Unit.COUNT,
        measures.MEASURES["slow_consumers"].remedy,
    ),
    "pending": Kind(
        "the message backlog of the slowest client, of as much as the server keeps for one",
        Unit.PERCENT,
        "look at the log of this client, which does not take its messages; at 100 % the server cuts it off",
    ),
    "jetstream": Kind("whether JetStream is on as it was meant"),
    "jetstream_memory": Kind(
        "JetStream's memory store, of its limit",
        Unit.PERCENT,
        "raise max_mem of jetstream, or give the streams in memory limits",
    ),
    "jetstream_storage": Kind(
        "JetStream's file store, of its limit",
        Unit.PERCENT,
        "raise max_file of jetstream, or give the streams limits",
    ),
    "meta": Kind(
        "the servers of the JetStream cluster that its leader has lost",
        Unit.COUNT,
        "start the servers that are lost, or check that this one reaches them",
    ),
    "routes": Kind(
        "the other servers that routes lead to",
        Unit.COUNT,
        "start the other servers of the cluster, or check its routes and that this server reaches them",
        Worse.LOWER,
    ),
    "replicas": Kind(
        "the copies of streams and consumers that are behind, of those that this server leads",
        Unit.COUNT,
        "wait until they have caught up, or look at the logs of their servers",
        in_clusters=True,
    ),
    "leaders": Kind(
        "how many streams and consumers one server of the cluster leads, of at least ten",
        Unit.PERCENT,
        "spread them, as a roll ends with them uneven: nats stream cluster step-down, for some of them",
        in_clusters=True,
    ),
    "clock": Kind(
        "how far the clock is from that of the machine that asked",
        Unit.SECONDS,
        "look at what sets the clock: timedatectl, chronyc tracking",
        in_clusters=True,
    ),
    "bot_service": Kind("what runs the bot"),
    "bot": Kind("what the bot says of itself at its health endpoint"),
    "bot_errors": Kind(
        "the errors of the bot, of its requests",
        Unit.PERCENT,
        "look at the logs of the bot and its plugins; where all is well by now, a restart of the bot counts anew",
    ),
    "plugins": Kind(
        "the subscriptions that plugins declare and nobody holds",
        Unit.COUNT,
        remedies.UNHELD_REMEDY,
    ),
}
"""All checks, in the order in which they are told."""


def which(check: str) -> tuple[str, str]:
    """Give the kind of a check by its name, and of what it is where a host may have several of that kind."""
    kind, _separator, of = check.partition("_")
    return (kind, of) if kind in KINDS and KINDS[kind].label else (check, "")
