# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a cluster, one server of which finds the store of another cluster; tried on bare servers."""

from __future__ import annotations

import asyncio
import shutil
from functools import partial
from pathlib import Path

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._data import cluster_store
from ansible_collections.rosey.nats.tests import cluster

SYSTEM_ACCOUNT = "$SYS"
# The other cluster has lived longer.
STREAMS = 20


def streams_of(member: cluster.Member) -> set[str]:
    accounts = member.ask("jsz", acc="$G", streams=1).get("account_details") or [{}]
    return {each["name"] for each in accounts[0].get("stream_detail") or []}


def has_lost(members: cluster.Cluster, name: str) -> bool:
    return all(name not in streams_of(member) for member in members.values())


def leads(member: cluster.Member) -> bool:
    return bool(member.ask("jsz")["meta_cluster"].get("leader") == member.name)


@pytest.mark.parametrize("names", [("x1", "x2", "x3"), cluster.NAMES], ids=["other names", "the same names"])
def test_what_the_cluster_had_is_deleted_with_the_next_leader(
    nats_server: Path, tmp_path: Path, names: tuple[str, ...]
) -> None:
    with cluster.running(nats_server, tmp_path / "others", names=names) as others:
        asyncio.run(cluster.add_streams(others, *(f"OTHER{number}" for number in range(STREAMS))))
        foreign = others.leader().data
        for member in others.values():
            member.stop()
    with cluster.running(nats_server, tmp_path / "own") as members:
        asyncio.run(cluster.add_streams(members, "KEPT"))
        leader, victim = members.leader(), members.followers()[0]
        victim.kill()
        own = victim.data
        kept = cluster_store.stream_groups(own, SYSTEM_ACCOUNT)
        assert cluster_store.peer_id(victim.name) in cluster_store.peers(own, SYSTEM_ACCOUNT)
        assert kept == cluster_store.stream_groups(leader.data, SYSTEM_ACCOUNT)
        shutil.rmtree(own)
        shutil.copytree(foreign, own)
        # by the one or the other it is told
        is_of_same_names = cluster_store.peer_id(victim.name) in cluster_store.peers(own, SYSTEM_ACCOUNT)
        assert is_of_same_names is (names == cluster.NAMES)
        assert not {*kept} & {*cluster_store.stream_groups(own, SYSTEM_ACCOUNT)}

        victim.start()
        cluster.wait_for(lambda: victim.ask("varz"), "answer of the one with another store")
        leader.stop()
        cluster.wait_for(partial(leads, victim), "leader with the longer log")
        leader.start()
        cluster.wait_for(partial(has_lost, members, "KEPT"), "loss of what the cluster had")
