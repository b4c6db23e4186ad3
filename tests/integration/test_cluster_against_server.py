# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate at the members of a real cluster: a whole one passes, and each fault is what it is told to be."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.js.client import JetStreamContext

from ansible_collections.rosey.nats.plugins.module_utils._bot import access
from ansible_collections.rosey.nats.plugins.module_utils._server import cluster as judging
from ansible_collections.rosey.nats.plugins.module_utils._server import login
from ansible_collections.rosey.nats.tests import cluster

RunModule = Callable[..., dict[str, Any]]
Told = set[tuple[str, str, str]]
ALL = ", ".join(cluster.NAMES)
SILENT = "not heard of for"


class Bus:
    """A cluster that is asked by the gate."""

    def __init__(self, members: cluster.Cluster, run_module: RunModule, names: tuple[str, ...] = cluster.NAMES) -> None:
        self.members = members
        self._run_module = run_module
        self._names = list(names)

    def ask(self, member: cluster.Member, **asked: Any) -> dict[str, Any]:
        """Let the gate look at a member, once unless it is told to wait."""
        given = {"wait": 0, "cluster_members": self._names, **asked}
        return self._run_module("nats_gate", monitoring_url=member.url, **given)

    def told(self, member: cluster.Member) -> Told:
        """Give what the gate finds: what, what was expected, and what was found."""
        return {(each["what"], each["expected"], each["found"]) for each in self.ask(member)["findings"]}

    def checks(self, member: cluster.Member) -> dict[str, str]:
        """Give the status of each check of the member's part in the cluster."""
        result = self._run_module(
            "bus_health_info",
            monitoring_url=member.url,
            cluster=True,
            cluster_members=self._names,
            asked_at=time.time(),
        )
        names = ("server", "meta", "routes", "replicas", "leaders", "clock")
        return {each["name"]: each["status"] for each in result["checks"] if each["name"] in names}

    def is_whole(self) -> None:
        """Wait until every member passes, and has nothing to tell: a consumer that catches up is a warning."""
        for member in self.members.values():
            result = self.ask(member, wait=cluster.SECONDS)
            assert result.get("msg") is None
            cluster.wait_for(partial(self.is_quiet, member), f"{member.name} that is well")

    def is_quiet(self, member: cluster.Member) -> bool:
        return not self.told(member)


def with_streams(members: cluster.Cluster, use: Callable[[JetStreamContext], Any]) -> Any:
    """Do something over a client of the cluster."""

    async def talk() -> Any:
        client = await nats.connect(members.servers)
        try:
            return await use(client.jetstream(timeout=10))
        finally:
            await client.close()

    return asyncio.run(talk())


async def make_streams(jetstream: JetStreamContext) -> None:
    await cluster.add_stream(jetstream, name="KEPT", subjects=["kept.>"], num_replicas=3)
    await jetstream.add_consumer("KEPT", durable_name="reader", ack_policy="explicit")
    await cluster.add_stream(jetstream, name="ALONE", subjects=["alone.>"], num_replicas=1)
    await jetstream.add_consumer("KEPT", name="passing", ack_policy="explicit", inactive_threshold=600)
    await publish(jetstream)


async def publish(jetstream: JetStreamContext, number: int = 10) -> None:
    for _each in range(number):
        await jetstream.publish("kept.x", b"x")


@pytest.fixture(scope="module")
def members(nats_server: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[cluster.Cluster]:
    with cluster.running(nats_server, tmp_path_factory.mktemp("cluster")) as running:
        with_streams(running, make_streams)
        yield running


@pytest.fixture
def bus(members: cluster.Cluster, run_module: RunModule) -> Bus:
    """Give a cluster that is whole, whatever was done to it before."""
    for member in members.values():
        if member.process is None:
            member.start()
    found = Bus(members, run_module)
    found.is_whole()
    return found


def others(members: cluster.Cluster, *left_out: cluster.Member) -> list[cluster.Member]:
    return [member for member in members.values() if member not in left_out]


def test_a_whole_cluster_passes_in_two_looks_a_second_apart(bus: Bus) -> None:
    for member in bus.members.values():
        assert bus.ask(member)["passed"] is True
        assert set(bus.checks(member).values()) == {"ok"}


def test_a_cluster_that_is_written_to_passes(bus: Bus) -> None:
    """Whoever is not asked first for a message is one behind at many a moment: in a sixth of the looks at this pace."""

    async def write_and_look(jetstream: JetStreamContext) -> list[Any]:
        async def write() -> None:
            while True:
                await asyncio.gather(*(jetstream.publish("kept.busy", b"x" * 500) for _each in range(50)))

        writing = asyncio.ensure_future(write())
        looks = [await asyncio.to_thread(bus.told, member) for member in bus.members.values() for _each in range(30)]
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing
        return looks

    assert with_streams(bus.members, write_and_look) == [set()] * 90


def test_what_its_replicas_hold_is_the_same_while_it_is_written_to(bus: Bus) -> None:
    first, *rest = bus.members.values()

    def compare(less: int) -> dict[str, Any]:
        """Look at all, at the first one again at the end. less: how many messages the second one is taken to lack."""
        held = [bus.ask(member, wait=20)["held"] for member in (first, *rest)]
        for number in ("messages", "last"):
            held[1]["streams"]["KEPT"][number] -= less
        return bus.ask(first, wait=20, held_elsewhere=held)

    async def write_and_look(jetstream: JetStreamContext) -> list[dict[str, Any]]:
        async def write() -> None:
            while True:
                await asyncio.gather(*(jetstream.publish("kept.busy", b"x" * 500) for _each in range(50)))

        writing = asyncio.ensure_future(write())
        looks = [await asyncio.to_thread(compare, less) for less in (0, 0, 10**6)]
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing
        return looks

    *well, lacking = with_streams(bus.members, write_and_look)
    assert [each["findings"] for each in well] == [[], []]
    (finding,) = lacking["findings"]
    assert finding["expected"] == f"at {rest[0].name} all that the other servers have"
    assert f"where {first.name} has" in finding["found"]
    assert "not all that JetStream held is there" in lacking["msg"]


def test_only_a_leader_knows_of_its_replicas(bus: Bus) -> None:
    """What the judgement leaves out: on a follower the other one is behind by all that there is, for ever."""
    leader = bus.members.leader_of("KEPT")
    for member in bus.members.values():
        (account,) = member.ask("jsz", acc="$G", streams=1)["account_details"]
        (stream,) = [each for each in account["stream_detail"] if each["name"] == "KEPT"]
        behind = {each["name"] for each in stream["cluster"]["replicas"] if not each["current"]}
        aside = {each.name for each in bus.members.values()} - {leader.name, member.name}
        assert behind == (set() if member is leader else aside)
        group = member.ask("jsz")["meta_cluster"]
        assert ("replicas" in group) is (group["leader"] == member.name)


def test_a_member_that_was_killed_has_no_route(bus: Bus) -> None:
    victim, *_rest = bus.members.followers()
    victim.kill()
    for member in others(bus.members, victim):
        assert ("routes", f"a route to {victim.name}", "none") in bus.told(member)
        standing = standing_of(member)
        assert standing.gone == (victim.name,)
        assert standing.is_leader is (standing.leader == member.name)
        # the others make up for it
        assert bus.checks(member)["routes"] == "warning"
        assert "critical" not in bus.checks(member).values()


def standing_of(member: cluster.Member, names: tuple[str, ...] = cluster.NAMES) -> judging.Standing:
    return judging.standing(*(member.ask(each) for each in ("varz", "jsz", "routez")), names)


def test_a_member_that_is_held_still_is_not_heard_of(bus: Bus) -> None:
    """Its routes stay, so that its leaders alone know, and the server calls it current for ten seconds."""
    leader, (victim, other) = bus.members.leader(), bus.members.followers()
    victim.pause()
    try:

        def told() -> list[str]:
            return [found for what, _expected, found in bus.told(leader) if what == "meta group"]

        (found,) = cluster.wait_for(told, "word of a silent member")
        assert found.startswith(f"{victim.name} {SILENT} ")
        assert standing_of(leader) == judging.Standing(leader.name, is_leader=True, gone=(victim.name,))
        assert standing_of(other).gone == ()
        assert not {what for what, _expected, _found in bus.told(other)} & {"routes", "meta group"}
    finally:
        victim.resume()


@pytest.mark.thorough
def test_a_replica_that_has_less_is_behind_by_that(bus: Bus) -> None:
    leader = bus.members.leader_of("KEPT")
    victim, other = others(bus.members, leader)
    victim.pause()
    try:
        with_streams(cluster.Cluster({each.name: each for each in (leader, other)}), lambda js: publish(js, 25))

        def told() -> list[str]:
            found = [found for what, _expected, found in bus.told(leader) if what == "streams"]
            return [each for each in found if SILENT in each]

        (found,) = cluster.wait_for(told, "word of a replica")
        assert found.startswith(f"KEPT ({victim.name} {SILENT} ")
        assert found.endswith(" seconds and 25 behind)")
    finally:
        victim.resume()


@pytest.mark.parametrize("other", ["password", pytest.param("name", marks=pytest.mark.thorough)])
def test_members_that_do_not_agree_have_no_route(bus: Bus, other: str) -> None:
    odd, *rest = others(bus.members)
    section = odd.config["cluster"]
    odd.stop()
    if other == "password":
        odd.write(cluster=cluster.cluster_section(odd, bus.members, "other"))
    else:
        odd.write(cluster={**section, "name": "other"})
    odd.start()
    try:
        cluster.wait_for(lambda: odd.ask("varz"), "answer")
        # with another password, a route is there and gone a thousand times a second
        for _look in range(20):
            expected = {("routes", f"a route to {each.name}") for each in rest}
            assert {each[:2] for each in bus.told(odd) if each[0] == "routes"} == expected
            assert set(standing_of(odd).gone) == {each.name for each in rest}
            for member in rest:
                assert ("routes", f"a route to {odd.name}") in {each[:2] for each in bus.told(member)}
                assert standing_of(member).gone == (odd.name,)
    finally:
        odd.stop()
        odd.write(cluster=section)


@pytest.mark.thorough
@pytest.mark.parametrize("twin", [True, False])
def test_a_server_too_many_is_named(bus: Bus, nats_server: Path, tmp_path: Path, twin: bool) -> None:
    """One of another's name, or one that nobody knows of."""
    name = bus.members["n2"].name if twin else "n4"
    fourth = cluster.Member(nats_server, tmp_path / "fourth", name)
    config = cluster.config_of(fourth, bus.members)
    if twin:
        # with it, the group would take the one for the other
        del config["jetstream"]
        config["cluster"]["routes"] = config["cluster"]["routes"][:1]
    fourth.write(**config)
    fourth.start()
    first = bus.members["n1"]
    wanted, found = (f"one server named {name}", "2 servers") if twin else (f"none but to {ALL}", f"one to {name}")
    try:
        cluster.wait_for(lambda: ("routes", wanted, found) in bus.told(first), "word of the fourth")
        if not twin:
            cluster.wait_for(lambda: ("meta group", "3 servers", "4") in bus.told(first), "word of its place")
    finally:
        fourth.stop()
    if not twin:
        remove_peer(bus.members, name)


def remove_peer(members: cluster.Cluster, name: str) -> None:
    """Take a server out of the group that leads JetStream, as `nats server raft peer-remove` does."""

    async def ask() -> None:
        client = await nats.connect(members.leader(among=cluster.NAMES).client_url, **cluster.SYSTEM)
        await client.request("$JS.API.SERVER.REMOVE", f'{{"peer": "{name}"}}'.encode(), timeout=10)
        await client.close()

    asyncio.run(ask())


@pytest.mark.thorough
def test_without_a_quorum_nothing_has_a_leader(bus: Bus) -> None:
    last, *gone = others(bus.members)
    for member in gone:
        member.kill()
    expected = {
        ("meta group", "a leader", "none"),
        ("streams", "a leader for each", "none for KEPT"),
        *(("routes", f"a route to {member.name}", "none") for member in gone),
    }
    cluster.wait_for(lambda: expected <= bus.told(last), "word of everything")
    found = bus.checks(last)
    assert [found[name] for name in ("meta", "routes", "replicas")] == ["critical", "warning", "critical"]


@pytest.mark.thorough
def test_a_stream_without_its_majority_is_told_where_the_cluster_has_one(
    nats_server: Path, tmp_path: Path, run_module: RunModule
) -> None:
    names = ("n1", "n2", "n3", "n4", "n5")
    with cluster.running(nats_server, tmp_path / "five", names=names) as members:
        bus = Bus(members, run_module, names)
        with_streams(members, make_streams)
        bus.is_whole()
        keeping = [member for member in members.values() if keeps(member, "KEPT")]
        assert len(keeping) == 3
        last, *gone = keeping
        for member in gone:
            member.kill()
        expected = ("streams", "a leader for each", "none for KEPT")
        cluster.wait_for(lambda: expected in bus.told(last), "word of a stream")
        away = tuple(member.name for member in gone)
        assert members.leader(among=tuple(set(names) - set(away)))
        assert "a leader" not in {wanted for what, wanted, _found in bus.told(last) if what == "meta group"}
        assert set(standing_of(last, names).gone) == set(away)


def keeps(member: cluster.Member, name: str) -> bool:
    """Tell whether a member has a copy of a stream."""
    (account,) = member.ask("jsz", acc="$G", streams=1)["account_details"]
    return name in {each["name"] for each in account.get("stream_detail") or []}


@pytest.mark.thorough
@pytest.mark.parametrize("kept", ["C", "S"])
def test_what_can_not_be_kept_together_is_told(bus: Bus, kept: str) -> None:
    """Where the log of a group can't be opened, the server calls itself the leader, and healthy."""
    damaged = []
    for member in others(bus.members)[:2]:
        member.stop()
        for group in (member.directory / "store" / "jetstream" / "$SYS" / "_js_").glob(f"{kept}-R3F-*"):
            shutil.rmtree(group)
            group.write_text("no directory")
            damaged.append(group)
        member.start()
    assert damaged
    first = bus.members["n1"]
    what, name = ("consumers", "KEPT > reader") if kept == "C" else ("streams", "KEPT")
    expected = (what, "each in the group of its replicas", f"not {name}")
    try:
        cluster.wait_for(lambda: expected in bus.told(first), "word of it")
        if kept == "C":
            # it is waited for, and then keeps the server from nothing
            assert bus.ask(first, wait=cluster.SECONDS)["passed"] is True
        else:
            assert bus.ask(first)["passed"] is False
    finally:
        for member in bus.members.values():
            member.stop()
        for group in damaged:
            group.unlink()


def test_a_client_is_told_what_it_may_do_by_the_server_that_it_is_connected_to(
    nats_server: Path, tmp_path: Path
) -> None:
    permissions = {"publish": {"allow": ["$SYS.REQ.USER.INFO"]}, "subscribe": {"allow": ["rosey.prod._inbox.quotes.>"]}}
    proof = {"user": "quotes.1", "password": "hush", "inbox_prefix": "rosey.prod._inbox.quotes"}
    users = [{"user": proof["user"], "password": proof["password"], "permissions": permissions}]
    client = access.Client("quotes", proof, permissions, access.not_for("quotes", permissions, ["rosey.prod"]))
    changes = {name: {"authorization": {"users": users}} for name in cluster.NAMES}
    with cluster.running(nats_server, tmp_path, changes) as members:
        for member in members.values():
            server = access.Server([member.client_url], login.Trust(), cluster.SECONDS)
            # another one is the first to answer once in a hundred times, or in twenty
            assert access.prove(server, [client] * 200) == []
