# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cluster of processes shows is broken for real in tests/diagnosis. Here is what comes of it together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._server.cluster import Group, Peer, Sight
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import server, server_cluster
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.server_evidence import Evidence, Part
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import NotSeenError
from ansible_collections.rosey.nats.tests.unit.plugins.module_utils._watch.diagnosis.test_server import HEALTHY

VARZ = {
    "server_name": "n1",
    "version": "2.10.7",
    "start": "2026-11-30T10:00:00Z",
    "now": "2026-11-30T11:00:00Z",
}
N2, N3 = Peer("n2", silent=0.4), Peer("n3", silent=0.4)
META = Group((), "n1", 3, (N2, N3))
STREAM = Group(("$G", "S"), "n1", 3, (N2, N3))
READER = replace(STREAM, key=("$G", "S", "reader"))
SIGHT = Sight({"ID2": "n2", "ID3": "n3"}, META, (STREAM, READER))
NO_N3 = {"ID2": "n2"}
QUIET = replace(N3, silent=9.0)
LOST = (N2, replace(N3, silent=99.0, current=False, lag=7))
REFUSED = "[7] 2026/11/30 19:01:36.653549 [ERR] 127.0.0.1:52541 - rid:4974 - Route Error 'Authorization Violation'\n"
UNREACHED = "[7] 2026/11/30 19:02:12.868686 [ERR] Error trying to connect to route (attempt 2): dial tcp: refused\n"


def member(log: str | NotSeenError = "", version: str = "", apart: float | None = None, **sight: Any) -> Evidence:
    """Give the evidence of a member that sees its cluster so."""
    part = Part(replace(SIGHT, **sight), VARZ, ("n1", "n2", "n3"), apart)
    described = replace(HEALTHY.described, version=version)
    return replace(HEALTHY, described=described, log=log, cluster=part)


def led(*peers: Peer) -> dict[str, Any]:
    return {"meta": replace(META, peers=peers), "groups": (replace(STREAM, peers=peers), replace(READER, peers=peers))}


def causes(evidence: Evidence) -> list[tuple[str, str]]:
    return [(cause.name, cause.confidence.name.lower()) for cause in server.diagnosis(evidence).causes]


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (member(), []),
        (member(version="2.10.7", apart=29.0), []),
        (member(routed=NO_N3, **led(*LOST)), [("peer_gone", "likely")]),
        (member(UNREACHED, routed=NO_N3, **led(*LOST)), [("peer_gone", "certain")]),
        # what was said last is why
        (member(REFUSED + UNREACHED, routed=NO_N3), [("peer_gone", "certain")]),
        (member(UNREACHED + REFUSED, routed=NO_N3), [("route_credentials", "certain")]),
        (member(REFUSED.replace("[7]", "[6]"), routed=NO_N3), [("peer_gone", "likely")]),
        (
            member(NotSeenError("the log", "it is gone", "see"), routed=NO_N3),
            [("peer_gone", "likely"), ("not_seen", "possible")],
        ),
        (member(REFUSED), []),
        (member(REFUSED, passing=frozenset({"n3"})), [("route_credentials", "certain")]),
        (member(**led(N2, QUIET)), [("peer_silent", "certain")]),
        # who is heard of in one group is there, and has trouble with another
        (
            member(groups=(replace(STREAM, peers=(N2, replace(QUIET, lag=3))), READER)),
            [("replicas_behind", "certain")],
        ),
        (member(groups=(replace(STREAM, peers=(N2, replace(N3, lag=3))),)), [("replicas_behind", "certain")]),
        (member(meta=replace(META, leader="", peers=())), [("no_quorum", "certain")]),
        (member(routed={}, meta=replace(META, leader="n2", peers=())), [("no_quorum", "likely")]),
        (
            member(REFUSED, routed={}, meta=replace(META, leader="")),
            [("route_credentials", "certain"), ("no_quorum", "certain")],
        ),
        (
            member(**led(replace(QUIET, name="n2"), QUIET)),
            [("peer_silent", "certain"), ("peer_silent", "certain"), ("no_quorum", "likely")],
        ),
        (member(meta=replace(META, leader="n2", size=2, peers=())), [("peer_left_out", "certain")]),
        (member(meta=replace(META, size=2, peers=(N2,))), [("peer_left_out", "certain")]),
        (
            member(meta=replace(META, size=4, peers=(N2, N3, replace(N3, name="n4", silent=99.0)))),
            [("peer_left_over", "certain")],
        ),
        (member(routed={**SIGHT.routed, "ID4": "n4"}, meta=replace(META, size=4)), [("peer_unknown", "certain")]),
        (member(meta=None, routed=NO_N3, groups=()), [("peer_gone", "likely")]),
        (member(groups=(replace(STREAM, leader=""), replace(READER, leader=""))), [("stream_leaderless", "certain")]),
        (member(groups=(STREAM, replace(READER, leader=""))), [("consumer_broken", "certain")]),
        (
            member(meta=replace(META, leader=""), groups=(replace(STREAM, leader=""),)),
            [("no_quorum", "certain")],
        ),
        (member(groups=(STREAM,) * 9 + (READER,)), [("leaders_uneven", "likely")]),
        (member(groups=(STREAM,) * 8 + (replace(STREAM, leader="n2"),) * 2), []),
        (member(groups=(STREAM,) * 9), []),
        # where one is away, the others lead what it led
        (member(UNREACHED, routed=NO_N3, groups=(STREAM,) * 10), [("peer_gone", "certain")]),
        (member(apart=-31.0), [("clock_apart", "likely")]),
        (member(version="2.10.29"), [("versions_mixed", "likely")]),
    ],
)
def test_what_comes_of_what_a_member_sees(evidence: Evidence, expected: list[tuple[str, str]]) -> None:
    assert causes(evidence) == expected


def test_a_server_that_stands_alone_is_asked_nothing_of_a_cluster() -> None:
    assert server_cluster.questions(HEALTHY) == ()
    assert len(server.diagnosis(member()).healthy) == len(server.diagnosis(HEALTHY).healthy) + len(
        server_cluster.CLUSTER
    )


def test_a_member_that_does_not_tell_is_not_seen() -> None:
    unseen = replace(HEALTHY, cluster=NotSeenError("what the server tells", "it is gone", "see"))
    assert causes(unseen) == [("not_seen", "possible")]
