# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Severity
from ansible_collections.rosey.nats.plugins.module_utils._server import cluster, cluster_reading, monitoring
from ansible_collections.rosey.nats.plugins.module_utils._server.cluster import Group, Peer, Sight, Standing
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import (
    IDENTITY,
    JSZ,
    VARZ,
    fake_monitoring,
    jsz_of,
    stream_detail,
)

MEMBERS = ("n1", "n2", "n3")
OWN = {**VARZ, "server_name": "n1", "start": "2026-11-30T10:00:00Z", "now": "2026-11-30T11:00:00Z"}
NEW = {**OWN, "now": "2026-11-30T10:00:09Z"}
N2, N3 = (Peer(name, silent=0.4) for name in ("n2", "n3"))
ROUTED = {"ID2": "n2", "ID3": "n3"}
META = Group((), "n1", 3, (N2, N3))
LED = Group(("$G", "S"), "n1", 3, (N2, N3))
OTHERS = Group(("$G", "S"), "n2", 3, (Peer("n2", silent=0.4, lag=9), Peer("n3", current=False, lag=9)))
READER = replace(LED, key=("$G", "S", "reader"))
WELL = Sight(ROUTED, META, (LED, READER))


def without(name: str, peer: Peer | None) -> tuple[Peer, ...]:
    """Give the peers with another in the place of one."""
    return tuple(each for each in ((peer if old.name == name else old) for old in (N2, N3)) if each)


def groups(*found: Group) -> Sight:
    return replace(WELL, groups=found)


def meta(**changes: Any) -> Sight:
    return replace(WELL, meta=replace(META, **changes))


LAGGING = replace(N2, lag=3)
QUIET = replace(N2, silent=5.1)
BROKEN = replace(N2, silent=30.1, current=False)
NEVER = Peer("n2", current=False, lag=7)
ERROR, WARNING = Severity.ERROR, Severity.WARNING


@pytest.mark.parametrize(
    ("sight", "told"),
    [
        (WELL, []),
        (replace(WELL, routed={**ROUTED, "ID3b": "n3"}), [("routes", "one server named n3", "2 servers", ERROR)]),
        (replace(WELL, routed={**ROUTED, "ID1b": "n1"}), [("routes", "one server named n1", "2 servers", ERROR)]),
        (replace(WELL, routed={"ID2": "n2"}), [("routes", "a route to n3", "none", ERROR)]),
        (
            replace(WELL, passing=frozenset({"n3"})),
            [("routes", "a route to n3", "one that has just been made", ERROR)],
        ),
        (replace(WELL, routed={**ROUTED, "ID4": "n4"}), [("routes", "none but to n1, n2, n3", "one to n4", ERROR)]),
        (meta(leader=""), [("meta group", "a leader", "none", ERROR)]),
        (meta(leader="n4"), [("meta group", "a leader out of n1, n2, n3", "n4", ERROR)]),
        (meta(leader="n2", peers=()), []),
        (meta(size=4), [("meta group", "3 servers", "4", ERROR)]),
        (meta(peers=(N2,)), [("meta group", "n1, n2, n3 in it", "not n3", ERROR)]),
        (meta(peers=(N2, N3, Peer("n4"))), [("meta group", "none but n1, n2, n3", "n4", ERROR)]),
        (meta(peers=without("n2", LAGGING)), [("meta group", "every peer in step", "n2 3 behind", ERROR)]),
        (
            meta(peers=without("n2", QUIET)),
            [("meta group", "every peer in step", "n2 not heard of for 5 seconds", ERROR)],
        ),
        (replace(WELL, meta=None, groups=()), []),
        (groups(OTHERS), []),
        (groups(replace(LED, leader="")), [("streams", "a leader for each", "none for S", ERROR)]),
        (groups(replace(READER, leader="")), [("consumers", "a leader for each", "none for S > reader", WARNING)]),
        (groups(replace(LED, key=("A", "S"), leader="")), [("streams", "a leader for each", "none for A > S", ERROR)]),
        (
            groups(*(replace(LED, key=("$G", f"S{number}"), leader="") for number in range(7))),
            [("streams", "a leader for each", "none for S0, S1, S2, S3, S4 and 2 more", ERROR)],
        ),
        (
            groups(replace(LED, is_joined=False, peers=())),
            [("streams", "each in the group of its replicas", "not S", ERROR)],
        ),
        (
            groups(replace(READER, is_joined=False, peers=())),
            [("consumers", "each in the group of its replicas", "not S > reader", WARNING)],
        ),
        (groups(replace(LED, peers=(N2,))), [("streams", "as many replicas as it is to have", "S 2 of 3", ERROR)]),
        (groups(replace(LED, size=1, peers=())), []),
        (
            groups(replace(LED, peers=without("n2", LAGGING))),
            [("streams", "every replica in step", "S (n2 3 behind)", ERROR)],
        ),
        (
            groups(replace(LED, peers=without("n2", replace(N2, current=False)))),
            [("streams", "every replica in step", "S (n2 not current)", ERROR)],
        ),
        (
            groups(replace(LED, peers=without("n2", replace(N2, offline=True, lag=1)))),
            [("streams", "every replica in step", "S (n2 offline and 1 behind)", ERROR)],
        ),
        # who does not answer for a stream is an error, for a consumer alone a warning
        (
            groups(replace(LED, peers=without("n2", BROKEN))),
            [("streams", "every replica in step", "S (n2 not heard of for 30 seconds)", ERROR)],
        ),
        (
            groups(replace(READER, peers=without("n2", BROKEN))),
            [("consumers", "every replica in step", "S > reader (n2 not heard of for 30 seconds)", WARNING)],
        ),
        (
            groups(replace(READER, peers=without("n2", NEVER))),
            [("consumers", "every replica in step", "S > reader (n2 not heard of and 7 behind)", WARNING)],
        ),
        (
            groups(replace(READER, peers=without("n2", QUIET))),
            [("consumers", "every replica in step", "S > reader (n2 not heard of for 5 seconds)", ERROR)],
        ),
        (
            groups(replace(READER, peers=without("n2", LAGGING))),
            [("consumers", "every replica in step", "S > reader (n2 3 behind)", ERROR)],
        ),
        # who is away has no consumer of its own to be broken
        (
            Sight({"ID3": "n3"}, META, (replace(READER, peers=without("n2", BROKEN)),)),
            [
                ("routes", "a route to n2", "none", ERROR),
                ("consumers", "every replica in step", "S > reader (n2 not heard of for 30 seconds)", ERROR),
            ],
        ),
        (
            Sight(ROUTED, replace(META, peers=without("n2", QUIET)), (replace(READER, peers=without("n2", BROKEN)),)),
            [
                ("meta group", "every peer in step", "n2 not heard of for 5 seconds", ERROR),
                ("consumers", "every replica in step", "S > reader (n2 not heard of for 30 seconds)", ERROR),
            ],
        ),
    ],
)
def test_what_a_member_tells_of_its_cluster(sight: Sight, told: list[tuple[str, str, str, Severity]]) -> None:
    found = list(cluster.findings(sight, OWN, MEMBERS))
    assert [(each.what, each.expected, each.found, each.severity) for each in found] == told
    assert all(each.remedy for each in found)


@pytest.mark.parametrize(
    ("varz", "severity"),
    [(OWN, WARNING), (NEW, ERROR), ({**NEW, "now": "2026-11-30T10:00:10Z"}, WARNING), ({**OWN, "now": "?"}, WARNING)],
)
def test_a_broken_consumer_is_waited_for_after_a_start(varz: dict[str, Any], severity: Severity) -> None:
    for broken in (replace(READER, leader=""), replace(READER, peers=without("n2", NEVER))):
        (finding,) = cluster.findings(groups(broken), varz, MEMBERS)
        assert finding.severity is severity


def replica(name: str, **told: Any) -> dict[str, Any]:
    return {"name": name, "current": True, "active": 400_000_000, "peer": "P", **told}


def in_group(leader: str, *replicas: dict[str, Any], group: str | None = "G-R3F") -> dict[str, Any]:
    return {"cluster": {"name": "rosey", "leader": leader, "replicas": list(replicas), "raft_group": group}}


@pytest.mark.parametrize(
    ("meant", "size"),
    [
        ({"durable_name": "c"}, 3),
        ({"durable_name": "c", "num_replicas": 1}, 1),
        ({"durable_name": "c", "num_replicas": 5}, 3),
        ({}, 1),
        ({"num_replicas": 3}, 3),
    ],
)
def test_a_consumer_has_the_replicas_of_its_stream_or_its_own(meant: dict[str, Any], size: int) -> None:
    consumer = {"name": "c", "config": meant, **in_group("n1")}
    stream = {**stream_detail("S", 1, num_replicas=3), **in_group("n1"), "consumer_detail": [consumer]}
    _stream, found = cluster.asset_groups("$G", stream)
    assert (found.key, found.size) == (("$G", "S", "c"), size)


def test_a_consumer_by_interest_has_the_replicas_of_its_stream() -> None:
    stream = {**stream_detail("S", 1, num_replicas=3, retention="interest"), "consumer_detail": [{"name": "c"}]}
    assert [each.size for each in cluster.asset_groups("$G", stream)] == [3, 3]


@pytest.mark.parametrize(("replicas", "group", "is_joined"), [(3, "G", True), (3, None, False), (1, None, True)])
def test_without_its_group_a_server_calls_itself_the_leader(replicas: int, group: str | None, is_joined: bool) -> None:
    stream = {**stream_detail("S", 1, num_replicas=replicas), **in_group("n1", group=group)}
    (found,) = cluster.asset_groups("$G", stream)
    assert (found.leader, found.is_joined) == ("n1", is_joined)


@pytest.mark.parametrize(
    ("group", "routed", "expected"),
    [
        ({"leader": "n1", "replicas": [replica("n2"), replica("n3")]}, "n2 n3", Standing("n1", True, ())),
        ({"leader": "n2"}, "n2 n3", Standing("n2", False, ())),
        ({"leader": "n2"}, "n2", Standing("n2", False, ("n3",))),
        ({"leader": "n2", "replicas": [replica("n3", active=6 * 10**9)]}, "n2 n3", Standing("n2", False, ())),
        (
            {"leader": "n1", "replicas": [replica("n2", active=6 * 10**9), replica("n3", lag=3)]},
            "n2 n3",
            Standing("n1", True, ("n2",)),
        ),
        ({}, "n2 n3", Standing(None, False, ())),
        (None, "", Standing(None, False, ("n2", "n3"), is_off=True)),
        (None, "n2 n3", Standing(None, False, (), is_off=True)),
    ],
)
def test_how_a_member_stands(group: dict[str, Any] | None, routed: str, expected: Standing) -> None:
    jsz = {} if group is None else {"meta_cluster": {"cluster_size": 3, **group}}
    routes = [{"remote_id": f"ID{name}", "remote_name": name} for name in routed.split()]
    assert cluster.standing(OWN, jsz, {"routes": routes}, MEMBERS) == expected


NOW = "2026-11-30T10:00:01.5Z"


@pytest.mark.parametrize(
    ("starts", "passing"),
    [
        (["2026-11-30T10:00:00.5Z"], set()),
        (["2026-11-30T10:00:00.6Z"], {"n2"}),
        (["2026-11-30T10:00:00.6Z", "2026-11-30T09:00:00Z"], set()),
        (["?"], set()),
        ([None], set()),
        ([], set()),
    ],
)
def test_a_route_has_to_last_for_a_second(starts: list[str | None], passing: set[str]) -> None:
    routes = [{"remote_id": "ID2", "remote_name": "n2", "start": start} for start in starts]
    sight = cluster.sight_of_routes({"now": NOW, "routes": routes})
    assert (sight.passing, sight.reached) == (passing, {"n2"} - passing if starts else set())
    gone = cluster.standing({**OWN}, {}, {"now": NOW, "routes": routes}, ("n1", "n2")).gone
    assert gone == (("n2",) if passing or not starts else ())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from(["name", "cluster", "config", "leader", "replicas", "consumer_detail", "active", "lag"])


@given(st.dictionaries(FIELDS, JSON | st.dictionaries(FIELDS, JSON)))
def test_no_answer_of_strange_types_is_more_than_a_finding(stream: dict[str, Any]) -> None:
    found = tuple(cluster.asset_groups("$G", stream))
    assert list(cluster.findings(Sight(ROUTED, cluster.meta_group({"meta_cluster": stream}), found), OWN, MEMBERS))


def routez(*names: str) -> dict[str, Any]:
    routes = [{"remote_id": f"ID{name}", "remote_name": name} for name in names]
    return {**IDENTITY, "num_routes": len(routes), "routes": routes}


@pytest.mark.parametrize(
    ("lags", "looks", "left"),
    [
        ([0], 1, 0),
        ([2, 0], 2, 0),
        # in step once is enough, as long as it is heard of
        ([2, 2, 0], 3, 0),
        ([2] * 9, 5, 2),
    ],
)
def test_a_peer_that_is_behind_is_looked_at_again(lags: list[int], looks: int, left: int) -> None:
    seen = iter(lags)

    def details(query: dict[str, str]) -> dict[str, Any]:
        lag = next(seen) if "acc" in query else 0
        stream = {**stream_detail("S", 1, num_replicas=3), **in_group("n1", replica("n2", lag=lag), replica("n3"))}
        answer: dict[str, Any] = jsz_of({"name": "$G", "id": "$G", "stream_detail": [stream]})(query)
        return {**answer, "meta_cluster": {"leader": "n2", "cluster_size": 3}}

    pauses: list[float] = []
    with fake_monitoring({"/jsz": details, "/routez": routez("n2", "n3")}) as server:
        sight = cluster_reading.look(monitoring.Monitor(server.url), "n1", pause=pauses.append)
    assert len(pauses) == looks - 1
    (group,) = sight.groups
    assert group.peers[0].lag == left


def test_two_peers_behind_in_turns_are_both_in_step() -> None:
    one, other = (replace(LED, peers=without(name, Peer(name, silent=0.4, lag=1))) for name in ("n2", "n3"))
    (found,) = cluster.at_best([one], [other])
    assert found == LED


@pytest.mark.parametrize("now", [replace(N2, offline=True), replace(N2, silent=9.0)])
def test_a_peer_that_was_in_step_and_is_lost_is_not(now: Peer) -> None:
    later = replace(LED, peers=without("n2", now))
    assert cluster.at_best([LED], [later]) == (later,)


def test_a_server_without_jetstream_is_asked_for_its_routes_alone() -> None:
    with fake_monitoring({"/jsz": {**JSZ, "disabled": True}, "/routez": routez("n2")}) as server:
        sight = cluster_reading.look(monitoring.Monitor(server.url), "n1")
        assert [path for path, _query in server.asked] == ["/jsz", "/routez"]
    assert sight == Sight({"IDn2": "n2"})
