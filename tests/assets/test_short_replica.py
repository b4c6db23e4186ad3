# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a replica that lacks messages which the others have; tried on bare servers."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nats
import pytest

from ansible_collections.rosey.nats.plugins.module_utils._server import replicas
from ansible_collections.rosey.nats.tests import cluster

STREAM = "BULK"
# For which a replica that is restored by itself has been restored, as those of a store that is gone are.
SETTLED_SECONDS = 5
Harm = Callable[[Path], None]


def without_a_file(directory: Path) -> None:
    sorted((directory / "msgs").glob("*.blk"))[1].unlink()
    # by which a server believes that it has what it had at its last orderly end
    (directory / "msgs" / "index.db").unlink()


def without_all(directory: Path) -> None:
    shutil.rmtree(directory)


@pytest.fixture
def members(nats_server: Path, tmp_path: Path) -> Iterator[cluster.Cluster]:
    with cluster.running(nats_server, tmp_path) as running:
        asyncio.run(fill(running))
        yield running


async def fill(members: cluster.Cluster) -> None:
    """Store more than a file of a stream has room for."""
    await cluster.add_streams(members, STREAM)
    client = await nats.connect(members.servers)
    for _message in range(20):
        await client.jetstream(timeout=20).publish(STREAM.lower(), bytes(900_000))
    await client.close()


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
    leader = members.leader_of(STREAM)
    victim = next(member for member in members.followers() if member is not leader)
    victim.stop()
    harm(victim.data / "$G" / "streams" / STREAM)
    victim.start()
    members.leader()
    time.sleep(SETTLED_SECONDS)
    return victim


@pytest.mark.parametrize("harm", [without_a_file, without_all])
def test_nobody_restores_it_until_it_is_made_anew(members: cluster.Cluster, harm: Harm) -> None:
    victim = with_a_short_one(members, harm)
    leader = members.leader_of(STREAM)
    (account,) = leader.ask("jsz", acc="$G", streams=1)["account_details"]
    peers = {each["name"]: each for each in account["stream_detail"][0]["cluster"]["replicas"]}
    assert peers[victim.name]["current"]
    assert not peers[victim.name].get("lag")
    (said,) = lacking(members)
    assert said.startswith(f"streams: expected at {victim.name} all that the other servers have")

    asyncio.run(cluster.make_replicas_anew(members.servers, STREAM, victim.name))
    cluster.wait_for(lambda: has_all(members), "whole stream")
    assert {look(member).streams[STREAM].messages for member in members.values()} == {20}
