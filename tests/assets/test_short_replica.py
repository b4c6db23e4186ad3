# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a replica that lacks messages which the others have; tried on bare servers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nats
import pytest

from ansible_collections.rosey.nats.plugins.module_utils._server import replicas
from ansible_collections.rosey.nats.tests import cluster

# For which a replica that is restored by itself has been restored, as those of a store that is gone are.
SETTLED_SECONDS = 5
Harm = Callable[[Path], None]


@pytest.fixture
def members(nats_server: Path, tmp_path: Path) -> Iterator[cluster.Cluster]:
    with cluster.running(nats_server, tmp_path) as running:
        asyncio.run(cluster.add_bulk(running.servers))
        yield running


def look(member: cluster.Member) -> replicas.Look:
    (account,) = member.ask("jsz", acc="$G", streams=1, config=1)["account_details"]
    found = {each["name"]: replicas.replica_of(each) for each in account["stream_detail"]}
    return replicas.Look(member.name, {name: replica for name, replica in found.items() if replica})


def lacking(members: cluster.Cluster) -> list[str]:
    looks = [look(member) for member in members.values()]
    return [str(finding) for finding in replicas.findings([*looks, look(next(iter(members.values())))])]


def has_all(members: cluster.Cluster) -> bool:
    return all(look(member).streams for member in members.values()) and not lacking(members)


def with_a_short_one(members: cluster.Cluster, harm: Harm) -> cluster.Member:
    """Take something away from what a server that does not lead the stream has of it, while it is down."""
    cluster.wait_for(lambda: has_all(members), "whole stream")
    leader = members.leader_of(cluster.BULK)
    victim = next(member for member in members.followers() if member is not leader)
    victim.stop()
    harm(victim.data / "$G" / "streams" / cluster.BULK)
    victim.start()
    members.leader()
    time.sleep(SETTLED_SECONDS)
    return victim


@pytest.mark.parametrize("harm", [cluster.without_a_file, cluster.without_all])
def test_nobody_restores_it_until_it_is_made_anew(members: cluster.Cluster, harm: Harm) -> None:
    victim = with_a_short_one(members, harm)
    leader = members.leader_of(cluster.BULK)
    (account,) = leader.ask("jsz", acc="$G", streams=1)["account_details"]
    peers = {each["name"]: each for each in account["stream_detail"][0]["cluster"]["replicas"]}
    assert peers[victim.name]["current"]
    assert not peers[victim.name].get("lag")
    (said,) = lacking(members)
    assert said.startswith(f"streams: expected at {victim.name} all that the other servers have")

    asyncio.run(cluster.make_replicas_anew(members.servers, cluster.BULK, victim.name))
    cluster.wait_for(lambda: has_all(members), "whole stream")
    assert {look(member).streams[cluster.BULK].messages for member in members.values()} == {20}


def test_what_is_published_while_an_empty_one_leads_is_stored_there_alone(members: cluster.Cluster) -> None:
    victim = with_a_short_one(members, cluster.without_all)
    asyncio.run(publish_to(members, victim.name))
    time.sleep(SETTLED_SECONDS)
    held = {name: str(look(member).streams[cluster.BULK]) for name, member in members.items()}
    assert held.pop(victim.name) == "3 messages, 1 to 3"
    assert set(held.values()) == {"20 messages, 1 to 20"}


async def publish_to(members: cluster.Cluster, leader: str) -> None:
    """Publish three messages, each acknowledged, once this server leads the stream."""
    client = await nats.connect(members.servers)
    jetstream = client.jetstream(timeout=20)
    await cluster.step_down(client, cluster.BULK, lambda name: name == leader)
    for _message in range(3):
        await jetstream.publish(cluster.BULK.lower(), b"acknowledged")
    await client.close()
