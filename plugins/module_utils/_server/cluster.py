# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one member of a cluster tells of it: its routes, the group that leads JetStream, and the replicas that it leads.

Only a leader knows of its replicas. What others list is no news of these: on a follower each other follower is not
current and behind by all that there is (server/raft.go, Peers). ``cluster_reading`` asks for what is judged here.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Finding, Severity, first_of
from ansible_collections.rosey.nats.plugins.module_utils._host.python import StrEnum
from ansible_collections.rosey.nats.plugins.module_utils._server import answers, http_reader
from ansible_collections.rosey.nats.plugins.module_utils._server.replicas import Replica

Answer = answers.Answer
Key: t.TypeAlias = "tuple[str, ...]"
_CONSUMER_KEY = 3

# Every group beats once a second, and a peer is called not current after ten of these (server/raft.go, hbInterval,
# lostQuorumInterval; server/jetstream_cluster.go, clusterInfo). One that was killed is called offline after minutes.
SILENT_SECONDS = 5.0
# A member that is restarted with a lame duck is away for less.
BROKEN_SECONDS = 30.0
# A route to a server that does not take this one's password is there for a moment, a thousand times a second, as the
# server counts it before it is let in (server/route.go, processRouteInfo).
SETTLED_ROUTE_SECONDS = 1.0
# Until then a server that has just started is on its way with its consumers.
SETTLED_SECONDS = 10.0
# What a finding is about.
ROUTES, META, STREAMS, CONSUMERS = "routes", "meta group", "streams", "consumers"
_NANOSECONDS = 1_000_000_000
_GLOBAL_ACCOUNT = "$G"
_MOST_NAMED = 5


@dataclass(frozen=True)
class Peer:
    """One of the others in a group, as its leader sees it.

    silent: the seconds since the leader has heard of it, 0 where it never has. lag: how many entries it is behind.
    """

    name: str
    current: bool = True
    offline: bool = False
    silent: float = 0.0
    lag: int = 0

    @property
    def is_heard(self) -> bool:
        """Whether the leader hears of it."""
        return not self.offline and self.silent <= SILENT_SECONDS and not self.is_unknown

    @property
    def is_unknown(self) -> bool:
        """Whether the leader has not heard of it since it leads."""
        return self.silent == 0 and not self.current

    @property
    def in_step(self) -> bool:
        """Whether it has all that the leader has."""
        return self.is_heard and self.current and self.lag == 0

    def __str__(self) -> str:
        faults = []
        if self.offline:
            faults.append("offline")
        elif self.is_unknown:
            faults.append("not heard of")
        elif not self.is_heard:
            faults.append(f"not heard of for {self.silent:.0f} seconds")
        if self.lag:
            faults.append(f"{self.lag} behind")
        return f"{self.name} {' and '.join(faults) or 'not current'}"


@dataclass(frozen=True)
class Group:
    """The servers that keep one thing together.

    key: account, stream, and the consumer where it is one's; empty for the meta group. leader: empty for none. size:
    how many servers it is meant to have. peers: the others, which only its leader knows. is_joined: whether this server
    takes part in it.
    """

    key: Key
    leader: str
    size: int
    peers: tuple[Peer, ...] = ()
    is_joined: bool = True

    @property
    def is_consumers(self) -> bool:
        """Whether it keeps a consumer."""
        return len(self.key) == _CONSUMER_KEY

    @property
    def present(self) -> int:
        """How many servers it has, as its leader knows."""
        return len(self.peers) + 1

    def __str__(self) -> str:
        if not self.key:
            return META
        account, *names = self.key
        return " > ".join(names if account == _GLOBAL_ACCOUNT else self.key)


@dataclass(frozen=True)
class Sight:
    """What one member tells. routed: the names of the servers that routes lead to, by their ids.

    meta: None where JetStream is off. groups: of the streams and consumers that this server keeps. passing: the names
    of servers to which there are none but routes that have just been made. held: what it has of streams with replicas.
    """

    routed: Mapping[str, str]
    meta: Group | None = None
    groups: tuple[Group, ...] = ()
    passing: frozenset[str] = frozenset()
    held: Mapping[str, Replica] = field(default_factory=dict)

    @property
    def reached(self) -> frozenset[str]:
        """The names of the servers to which there are routes that last."""
        return frozenset(self.routed.values()) - self.passing


@dataclass(frozen=True)
class Standing:
    """How a member stands in its cluster.

    leader: of the meta group, None where there is none. gone: the peers to which it has no route, or of which it, as
    the leader, hears nothing. is_off: whether its JetStream is, as it is after its disk was full.
    """

    leader: str | None
    is_leader: bool
    gone: tuple[str, ...]
    is_off: bool = False


def standing(varz: Answer, jsz: Answer, routez: Answer, members: Collection[str]) -> Standing:
    """Tell how a member stands. varz, jsz, routez: its answers; members: the server names of all, its own too."""
    own = str(varz["server_name"])
    meta = meta_group(jsz)
    leader = (meta.leader or None) if meta else None
    reached = sight_of_routes(routez).reached
    silent = {peer.name for peer in meta.peers if not peer.is_heard} if meta and leader == own else set()
    gone = tuple(name for name in members if name != own and (name not in reached or name in silent))
    return Standing(leader, leader == own, gone, is_off=meta is None)


def sight_of_routes(routez: Answer) -> Sight:
    """Read /routez."""
    now = answers.moment(_text(routez.get("now")))
    settled = set()
    for route in routez["routes"]:
        start = answers.moment(_text(route.get("start")))
        if now is None or start is None or (now - start).total_seconds() >= SETTLED_ROUTE_SECONDS:
            settled.add(str(route.get("remote_name")))
    routed = answers.routed_servers(routez)
    return Sight(routed, passing=frozenset(routed.values()) - settled)


def meta_group(jsz: Answer) -> Group | None:
    """Read the group that leads JetStream out of /jsz; None where it is no cluster's.

    Only its leader's answer has the peers (server/monitor.go, Jsz).
    """
    group = jsz.get("meta_cluster")
    if not isinstance(group, dict):
        return None
    return Group((), _text(group.get("leader")), _number(group.get("cluster_size")), _peers(group))


def asset_groups(account: str, stream: Answer) -> Iterator[Group]:
    """Read the groups of a stream and of its consumers out of the stream's details in /jsz."""
    stream = answers.mapping(stream)
    config, key = answers.mapping(stream.get("config")), (account, _text(stream.get("name")))
    size = _number(config.get("num_replicas")) or 1
    yield _asset_group(key, size, stream)
    consumers = stream.get("consumer_detail")
    for consumer in consumers if isinstance(consumers, list) else ():
        about = answers.mapping(consumer)
        meant = answers.mapping(about.get("config"))
        # as server/consumer.go, replicas, has it
        is_alone = not meant.get("durable_name") and config.get("retention") == "limits"
        own = _number(meant.get("num_replicas")) or (1 if is_alone else size)
        yield _asset_group((*key, _text(about.get("name"))), min(own, size), about)


def at_best(earlier: Iterable[Group], later: Iterable[Group]) -> tuple[Group, ...]:
    """Give the later look at groups, where a peer that was in step in the earlier one counts as in step.

    On a stream that is written to, whoever is not asked first for a message is one behind at many a moment.
    """
    met = {(group.key, peer.name) for group in earlier for peer in group.peers if peer.in_step}

    def best(key: Key, peer: Peer) -> Peer:
        return replace(peer, current=True, lag=0) if peer.is_heard and (key, peer.name) in met else peer

    return tuple(replace(group, peers=tuple(best(group.key, peer) for peer in group.peers)) for group in later)


def catching_up(sight: Sight, own: str) -> bool:
    """Tell whether a look a moment later may find a peer in step that is heard of and is not now."""
    groups = (*sight.groups, sight.meta) if sight.meta else sight.groups
    return any(peer.is_heard and not peer.in_step for group in groups if group.leader == own for peer in group.peers)


def consumer_severity(varz: Answer) -> Severity:
    """Tell how bad it is that a consumer is broken: a warning, once the server had the time to take all of them up.

    What it costs is its own, and its stream and all others are kept well.
    """
    now, start = answers.moment(str(varz["now"])), answers.moment(str(varz["start"]))
    is_new = now is not None and start is not None and (now - start).total_seconds() < SETTLED_SECONDS
    return Severity.ERROR if is_new else Severity.WARNING


def leaders(sight: Sight) -> dict[str, int]:
    """Count of how many groups each server is the leader, of those that this one takes part in."""
    counts: dict[str, int] = {}
    for group in sight.groups:
        if group.size > 1 and group.is_joined and group.leader:
            counts[group.leader] = counts.get(group.leader, 0) + 1
    return counts


def findings(sight: Sight, varz: Answer, members: Collection[str]) -> Iterator[Finding]:
    """Tell what is wrong with a cluster. varz: of the member that tells; members: the names of all, its own too."""
    return (fault.finding for fault in faults(sight, varz, members))


def faults(sight: Sight, varz: Answer, members: Collection[str]) -> Iterator[Fault]:
    """Tell what is wrong with a cluster, as findings() does, each by its kind."""
    own = str(varz["server_name"])
    yield from _route_faults(sight, own, members)
    if sight.meta:
        yield from _meta_faults(sight.meta, own, members)
    streams = [group for group in sight.groups if not group.is_consumers]
    consumers = [group for group in sight.groups if group.is_consumers]
    yield from _asset_faults(STREAMS, streams, sight, own, Severity.ERROR)
    yield from _asset_faults(CONSUMERS, consumers, sight, own, consumer_severity(varz))


class Kind(StrEnum):
    """What can be wrong with a cluster."""

    NO_ROUTE = "no route"
    UNKNOWN = "unknown"
    TWINS = "twins"
    NO_LEADER = "no leader"
    SIZE = "size"
    NOT_JOINED = "not joined"
    BEHIND = "behind"


# What the rest of the cluster makes up for.
COVERED = frozenset({Kind.NO_ROUTE, Kind.BEHIND})


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong. what its finding is about is ROUTES, META, STREAMS or CONSUMERS."""

    kind: Kind
    finding: Finding


_NO_ROUTE = (
    "start it; where it runs, both logs tell why they don't meet: compare name, secret, address and TLS of the cluster"
)
_UNKNOWN = "stop it, or make it a member in the inventory of all"
_TWO_OF_A_NAME = "stop the one that is not meant, or give it a name of its own"
_TOO_FEW = "restart the server that is not in it: one that was left out as the others first met joins at its next start"
_TOO_MANY = "take out who is no member any more, as the system account: nats server raft peer-remove"
_NO_LEADER = "start the other members, or check that this one reaches them"
_BEHIND = "wait until it has caught up, or look at its log"
_LEADERLESS = "start the members that keep it, or look at their logs"
_NOT_JOINED = "look at this server's log for why; with the others in step, remove its replica and let it be made anew"
_BROKEN_CONSUMER = "look at the logs of these servers; a consumer can be deleted and made anew without its stream"


def _route_faults(sight: Sight, own: str, members: Collection[str]) -> Iterator[Fault]:
    names = list(sight.routed.values())
    for name in members:
        if name != own and name not in sight.reached:
            found = "one that has just been made" if name in sight.passing else "none"
            yield Fault(Kind.NO_ROUTE, Finding(ROUTES, f"a route to {name}", found, _NO_ROUTE))
    for name in dict.fromkeys(names):
        shown = http_reader.excerpt(name)
        if name not in members:
            yield Fault(Kind.UNKNOWN, Finding(ROUTES, f"none but to {_listed(members)}", f"one to {shown}", _UNKNOWN))
        if (count := names.count(name)) > 1 or name == own:
            found = f"{count + (name == own)} servers"
            yield Fault(Kind.TWINS, Finding(ROUTES, f"one server named {shown}", found, _TWO_OF_A_NAME))


def _meta_faults(meta: Group, own: str, members: Collection[str]) -> Iterator[Fault]:
    if not meta.leader:
        yield Fault(Kind.NO_LEADER, Finding(META, "a leader", "none", _NO_LEADER))
    elif meta.leader not in members:
        yield Fault(
            Kind.UNKNOWN,
            Finding(META, f"a leader out of {_listed(members)}", http_reader.excerpt(meta.leader), _UNKNOWN),
        )
    if meta.size != len(members):
        # nats-server 2.10.29 leaves one out at a fifth of the first starts, until that is restarted
        remedy = _TOO_FEW if meta.size < len(members) else _TOO_MANY
        yield Fault(Kind.SIZE, Finding(META, f"{len(members)} servers", str(meta.size), remedy))
    if meta.leader != own:
        return
    known = {peer.name for peer in meta.peers}
    if missing := [name for name in members if name != own and name not in known]:
        yield Fault(Kind.SIZE, Finding(META, f"{_listed(members)} in it", f"not {_listed(missing)}", _TOO_FEW))
    if unknown := [peer.name for peer in meta.peers if peer.name not in members]:
        yield Fault(Kind.UNKNOWN, Finding(META, f"none but {_listed(members)}", _some(unknown), _TOO_MANY))
    if behind := [str(peer) for peer in meta.peers if peer.name in members and not peer.in_step]:
        yield Fault(Kind.BEHIND, Finding(META, "every peer in step", _some(behind), _BEHIND))


def _asset_faults(what: str, groups: Collection[Group], sight: Sight, own: str, broken: Severity) -> Iterator[Fault]:
    """Tell what is wrong with streams, or with consumers. broken: how bad one is that nothing will come of."""
    is_consumers = what == CONSUMERS
    if leaderless := [str(group) for group in groups if not group.leader]:
        yield Fault(
            Kind.NO_LEADER, Finding(what, "a leader for each", f"none for {_some(leaderless)}", _LEADERLESS, broken)
        )
    if alone := [str(group) for group in groups if not group.is_joined]:
        remedy = _BROKEN_CONSUMER if is_consumers else _NOT_JOINED
        yield Fault(
            Kind.NOT_JOINED, Finding(what, "each in the group of its replicas", f"not {_some(alone)}", remedy, broken)
        )
    led = [group for group in groups if group.leader == own and group.is_joined]
    if small := [
        f"{group} {len(group.peers) + 1} of {group.size}" for group in led if len(group.peers) + 1 < group.size
    ]:
        yield Fault(Kind.SIZE, Finding(what, "as many replicas as it is to have", _some(small), _LEADERLESS, broken))

    def is_broken(peer: Peer) -> bool:
        """Tell whether one that is there otherwise does not answer for this alone."""
        is_lost = peer.offline or peer.name not in sight.reached or _is_silent(sight.meta, peer.name)
        return is_consumers and not is_lost and (peer.is_unknown or peer.silent > BROKEN_SECONDS)

    late = [(group, [peer for peer in group.peers if not peer.in_step]) for group in led]
    if behind := _peers_of(late, lambda peer: not is_broken(peer)):
        yield Fault(Kind.BEHIND, Finding(what, "every replica in step", _some(behind), _BEHIND))
    if dead := _peers_of(late, is_broken):
        yield Fault(Kind.BEHIND, Finding(what, "every replica in step", _some(dead), _BROKEN_CONSUMER, broken))


def _is_silent(meta: Group | None, name: str) -> bool:
    return any(peer.name == name and not peer.is_heard for peer in meta.peers) if meta else False


def _peers_of(late: Iterable[tuple[Group, list[Peer]]], is_meant: Callable[[Peer], bool]) -> list[str]:
    """Write the peers that are meant, by their groups."""
    chosen = ((group, [str(peer) for peer in peers if is_meant(peer)]) for group, peers in late)
    return [f"{group} ({_listed(peers)})" for group, peers in chosen if peers]


def _some(texts: Collection[str]) -> str:
    return first_of([*map(http_reader.excerpt, texts)], _MOST_NAMED)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _asset_group(key: Key, size: int, about: Answer) -> Group:
    """Read one group. Where it has none, the server calls itself the leader (server/jetstream_cluster.go, clusterInfo).

    So it does where a group could not be started.
    """
    group = answers.mapping(about.get("cluster"))
    is_joined = size <= 1 or bool(group.get("raft_group"))
    return Group(key, _text(group.get("leader")), size, _peers(group), is_joined)


def _peers(group: Answer) -> tuple[Peer, ...]:
    found = group.get("replicas")
    return tuple(_peer(answers.mapping(each)) for each in found) if isinstance(found, list) else ()


def _peer(about: Answer) -> Peer:
    return Peer(
        name=_text(about.get("name")),
        current=about.get("current") is True,
        offline=about.get("offline") is True,
        silent=_number(about.get("active")) / _NANOSECONDS,
        lag=_number(about.get("lag")),
    )


def _text(value: t.Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: t.Any) -> int:
    return value if isinstance(value, int) and answers.is_number(value) else 0
