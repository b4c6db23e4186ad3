# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a member of a cluster and the others are not one bus: what is asked of the evidence of one member."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterable, Iterator

from ansible_collections.rosey.nats.plugins.module_utils._data import cluster_store
from ansible_collections.rosey.nats.plugins.module_utils._host import command_line
from ansible_collections.rosey.nats.plugins.module_utils._server import cluster, http_reader
from ansible_collections.rosey.nats.plugins.module_utils._server.cluster import Fault, Kind
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.server_evidence import (
    Evidence,
    Part,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.server_words import (
    MOST_LINES,
    own_lines,
    server_cause,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import (
    Cause,
    Confidence,
    Question,
    seen,
)

_EVEN_PERCENT = 80
_FEWEST_LED = 10
# with those that asking takes, on a busy machine
_APART_SECONDS = 30


class _Refusal(t.NamedTuple):
    """Why a route is not made, by what the server writes into its log each time that it is tried (server/route.go)."""

    name: str
    cause: str
    said: re.Pattern[str]
    remedy: str


_AGAIN = "then deploy all of them in one run"
_REFUSALS = (
    _Refusal(
        "route_credentials",
        "this server and {names} do not take each other's credentials of routes",
        re.compile(r"Authorization Violation|Authentication Failure|[Aa]uthentication [Ee]rror"),
        f"give all members the same nats_server_cluster_secret, {_AGAIN}",
    ),
    _Refusal(
        "route_tls",
        "this server and {names} do not agree on TLS of routes",
        re.compile(r"TLS route handshake error|Router parser ERROR.*\\\\?x16\\\\?x03"),
        "see what the log says of the certificate: the authority, the time and the address that it is for; it is "
        f"needed on all members or on none. Renew it, {_AGAIN}",
    ),
    _Refusal(
        "cluster_name_differs",
        "this server and {names} are of clusters of different names",
        re.compile(r"cluster name .*(?:conflict|does not match)"),
        f"give all members the same name in nats_server_cluster, {_AGAIN}",
    ),
    _Refusal(
        "route_pool_differs",
        "this server and {names} have pools of routes of different sizes",
        re.compile(r"Mismatch route pool size"),
        f"give all members the same cluster.pool_size, {_AGAIN}",
    ),
    _Refusal(
        "name_twice",
        "another server has the name of this one",
        re.compile(r"Remote server has a duplicate name"),
        "give one of them a server_name of its own; a store of JetStream stays with the name that it was made under",
    ),
    _Refusal(
        "peer_gone",
        "{names} can't be reached",
        re.compile(r"Error trying to connect to route"),
        "start it, or see what lies between: its host, its firewall, the address of the member in the inventory",
    ),
)
_GONE = _REFUSALS[-1]


def _ask_store(evidence: Evidence) -> Iterator[Cause]:
    part = seen(evidence.cluster)
    if part and (finding := cluster_store.foreign(part.varz, part.peers)):
        yield server_cause(
            "foreign_store",
            f"its store is {finding.found}",
            f"{part.own} is none of the {len(part.peers)} servers that its store knows",
            remedy=finding.remedy,
        )


def _ask_names(evidence: Evidence) -> Iterator[Cause]:
    for fault in _faults(evidence, cluster.ROUTES):
        if fault.kind is Kind.TWINS:
            yield server_cause(
                "name_twice",
                "two servers of the cluster have one name, and take each other's place",
                str(fault.finding),
                *own_lines(evidence, re.compile("Remote server has a duplicate name"))[:MOST_LINES],
                remedy=fault.finding.remedy,
            )
        elif fault.kind is Kind.UNKNOWN:
            yield server_cause(
                "peer_unknown",
                "a server is in the cluster that is no member of it",
                str(fault.finding),
                remedy=fault.finding.remedy,
            )


def _ask_routes(evidence: Evidence) -> Iterator[Cause]:
    """Tell why there is no route: the last that the server wrote of one is why."""
    part = seen(evidence.cluster)
    if part is None or not (names := _missing(part)):
        return
    refusal, lines = _why_refused(evidence)
    is_lost = not _has_quorum(part)
    if refusal is _GONE and is_lost:
        return  # that is told as the majority which is lost
    yield server_cause(
        refusal.name,
        refusal.cause.format(names=" and ".join(names)),
        *(f"no route to {name}" for name in names),
        *lines,
        remedy=refusal.remedy,
        confidence=Confidence.CERTAIN if lines else Confidence.LIKELY,
    )


def _why_refused(evidence: Evidence) -> tuple[_Refusal, list[str]]:
    lines = own_lines(evidence, re.compile("|".join(each.said.pattern for each in _REFUSALS)))
    for line in reversed(lines):
        for refusal in _REFUSALS:
            if refusal.said.search(line):
                told = [each for each in lines if refusal.said.search(each)]
                return refusal, told[-MOST_LINES:]
    return _GONE, []


def _ask_majority(evidence: Evidence) -> Iterator[Cause]:
    part = seen(evidence.cluster)
    if part is None or part.sight.meta is None or _has_quorum(part):
        return
    meta = part.sight.meta
    there = len(part.members) - len(_away(part))
    yield server_cause(
        "no_quorum",
        "fewer than a majority of the cluster's servers see each other, so that JetStream stands still",
        f"{there} of {len(part.members)} members are there, and {meta.size // 2 + 1} of {meta.size} are needed",
        *(f"not there: {name}" for name in _away(part)),
        remedy="start them, or see what lies between; a server that is gone for good is replaced under its name, and "
        "never by fewer members while there is no majority",
        # who leads may not have noticed yet
        confidence=Confidence.CERTAIN if not meta.leader else Confidence.LIKELY,
    )


def _ask_group(evidence: Evidence) -> Iterator[Cause]:
    """Tell of who is in the cluster and not in the group that leads JetStream, or the other way round."""
    part = seen(evidence.cluster)
    meta = part.sight.meta if part else None
    if part is None or meta is None or _away(part) or set(part.sight.routed.values()) - {*part.members}:
        return
    # the size alone where another one leads, and so knows who
    found = [fault.finding for fault in _faults(evidence, cluster.META) if fault.kind is Kind.SIZE]
    if found:
        is_short = meta.size < len(part.members)
        yield server_cause(
            "peer_left_out" if is_short else "peer_left_over",
            "a member has its routes and is not in the group that leads JetStream"
            if is_short
            else "a server that is gone counts for the majority of the group that leads JetStream",
            *map(str, found),
            remedy=found[0].remedy,
        )


def _has_quorum(part: Part) -> bool:
    meta = part.sight.meta
    if meta is None:
        return True
    there = len(part.members) - len(_away(part))
    return bool(meta.leader) and there > len(part.members) // 2


def _ask_silent(evidence: Evidence) -> Iterator[Cause]:
    part = seen(evidence.cluster)
    if part is None:
        return
    for name in _silent(part):
        yield server_cause(
            "peer_silent",
            f"{name} has a route and does not answer",
            *(f"{group}: {peer}" for group, peer in _late(part) if peer.name == name),
            remedy=f"look at the host of {name}: whether it is suspended, its disk stands still or it is overloaded; "
            "restart its server there",
        )


def _ask_replicas(evidence: Evidence) -> Iterator[Cause]:
    part = seen(evidence.cluster)
    if part is None:
        return
    # what keeps a stream from its replicas keeps its consumers, too
    for fault in _broken(evidence, cluster.STREAMS) or _broken(evidence, cluster.CONSUMERS):
        of_consumers = fault.finding.what == cluster.CONSUMERS
        if fault.kind is Kind.NOT_JOINED:
            yield server_cause(
                "consumer_broken" if of_consumers else "replica_not_started",
                f"this server keeps {fault.finding.what} by itself that it should keep with others",
                str(fault.finding),
                *own_lines(evidence, re.compile("Error creating filestore|Error starting"))[-MOST_LINES:],
                remedy=fault.finding.remedy,
            )
        elif _has_quorum(part):
            yield server_cause(
                "consumer_broken" if of_consumers else "stream_leaderless",
                f"{fault.finding.what} have no leader, though the cluster has its majority",
                str(fault.finding),
                remedy=fault.finding.remedy,
            )
    away = {*_away(part)}
    behind = [f"{group}: {peer}" for group, peer in _late(part) if group.key and peer.name not in away]
    if behind:
        yield server_cause(
            "replicas_behind",
            "copies of what this server leads are behind",
            *behind[:MOST_LINES],
            *([f"and {len(behind) - MOST_LINES} more"] if len(behind) > MOST_LINES else []),
            remedy="restart no server until they have caught up (playbooks/health.yml, replicas); where they don't, "
            "look at the disk, the load and the log of the server that is named",
        )


def _ask_leaders(evidence: Evidence) -> Iterator[Cause]:
    part = seen(evidence.cluster)
    counts = cluster.leaders(part.sight) if part else {}
    total = sum(counts.values())
    most = max(counts, key=lambda name: counts[name], default="")
    if part and not _away(part) and total >= _FEWEST_LED and 100 * counts[most] > _EVEN_PERCENT * total:
        yield server_cause(
            "leaders_uneven",
            f"{http_reader.excerpt(most)} leads nearly all streams and consumers, and does the work of all",
            ", ".join(f"{http_reader.excerpt(name)} leads {count}" for name, count in sorted(counts.items())),
            remedy=f"let others lead some: nats stream cluster step-down, as the system account, at {most}",
            confidence=Confidence.LIKELY,
        )


def _ask_clock(evidence: Evidence) -> Iterator[Cause]:
    part = seen(evidence.cluster)
    if part and part.apart is not None and abs(part.apart) > _APART_SECONDS:
        yield server_cause(
            "clock_apart",
            "the clock of this host is not that of the others",
            f"{abs(part.apart):.0f} seconds {'ahead of' if part.apart > 0 else 'behind'} the machine that asks",
            remedy="look at what sets the clock (timedatectl, chronyc tracking), here and on the machine that asks",
            confidence=Confidence.LIKELY,
        )


def _ask_version(evidence: Evidence) -> Iterator[Cause]:
    part = seen(evidence.cluster)
    meant = evidence.described.version
    if part and meant and part.varz["version"] != meant:
        yield server_cause(
            "versions_mixed",
            "this member runs another version than the cluster is meant to run",
            f"{http_reader.excerpt(str(part.varz['version']))}, and {meant} was meant",
            remedy=f"bring it to that version: {command_line.deploy()}",
            confidence=Confidence.LIKELY,
        )


def _faults(evidence: Evidence, *about: str) -> list[Fault]:
    part = seen(evidence.cluster)
    found: Iterable[Fault] = cluster.faults(part.sight, part.varz, part.members) if part else ()
    return [fault for fault in found if fault.finding.what in about]


def _broken(evidence: Evidence, what: str) -> list[Fault]:
    return [fault for fault in _faults(evidence, what) if fault.kind in (Kind.NOT_JOINED, Kind.NO_LEADER)]


def _missing(part: Part) -> list[str]:
    return [name for name in part.members if name != part.own and name not in part.sight.reached]


def _silent(part: Part) -> list[str]:
    """Name the members that have a route, and of which nothing is heard in any group that this server leads."""
    missing = _missing(part)
    quiet = {peer.name for _group, peer in _late(part) if not peer.is_heard and not peer.is_unknown}
    heard = {peer.name for group in _led(part) for peer in group.peers if peer.is_heard}
    return [name for name in part.members if name in quiet - heard and name not in missing]


def _away(part: Part) -> list[str]:
    return [*_missing(part), *_silent(part)]


def _led(part: Part) -> list[cluster.Group]:
    groups = (*([part.sight.meta] if part.sight.meta else []), *part.sight.groups)
    return [group for group in groups if group.leader == part.own and group.is_joined]


def _late(part: Part) -> list[tuple[cluster.Group, cluster.Peer]]:
    return [(group, peer) for group in _led(part) for peer in group.peers if not peer.in_step]


def questions(evidence: Evidence) -> tuple[Question[Evidence], ...]:
    """Give what there is to ask of a server; nothing of one that stands alone, or does not run."""
    return () if evidence.cluster is None else CLUSTER


CLUSTER: tuple[Question[Evidence], ...] = (
    Question("store of a member", _ask_store),
    Question("names of the cluster's servers", _ask_names),
    Question("routes", _ask_routes),
    Question("majority of the cluster", _ask_majority),
    Question("members of the group that leads JetStream", _ask_group),
    Question("peers that answer", _ask_silent),
    Question("replicas", _ask_replicas),
    Question("leaders", _ask_leaders),
    Question("clock", _ask_clock),
    Question("version of the cluster", _ask_version),
)
