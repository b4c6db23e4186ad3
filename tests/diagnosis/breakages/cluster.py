# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why the members of a cluster are not one bus. Each breaks a cluster of processes, and names the member to look at."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client

from ansible_collections.rosey.nats.tests import cluster
from ansible_collections.rosey.nats.tests.certificates import Made, make
from ansible_collections.rosey.nats.tests.cluster import Cluster, Member

STREAM, MORE_STREAMS = "KEPT", [f"S{number}" for number in range(12)]
Make = Callable[[Cluster, Path], Iterator[Member]]


@dataclass(frozen=True)
class Breakage:
    """One thing that is broken, and what a diagnosis of the member that make gives has to call it.

    says: what stands in its sentence, evidence or remedy. neighbour: the name of another breakage with another cause.
    asked: what the module is asked besides. sample: every run of all tests has it.
    """

    name: str
    cause: str
    says: str
    make: Make
    neighbour: str
    asked: Callable[[], Mapping[str, Any]] = dict
    sample: bool = field(default=False)


def over(members: Cluster, use: Callable[[Client], Awaitable[object]]) -> None:
    """Do something over a client of the cluster."""

    async def talk() -> None:
        client = await nats.connect(members.servers)
        try:
            await use(client)
        finally:
            await client.close()

    asyncio.run(talk())


async def make_streams(client: Client) -> None:
    jetstream = client.jetstream(timeout=20)
    await cluster.add_stream(jetstream, name=STREAM, subjects=["kept"], num_replicas=3)
    await jetstream.add_consumer(STREAM, durable_name="reader", ack_policy="explicit")
    await jetstream.publish("kept", b"x")


def changed(member: Member, **section: Any) -> Member:
    """Start a member with another section `cluster`."""
    member.stop()
    member.write(cluster={**member.config["cluster"], **section})
    member.start()
    return member


def other_password(members: Cluster, _directory: Path) -> Iterator[Member]:
    changed(members["n3"], **cluster.cluster_section(members["n3"], members, "other"))
    yield members["n1"]


def other_password_at_itself(members: Cluster, _directory: Path) -> Iterator[Member]:
    yield changed(members["n3"], **cluster.cluster_section(members["n3"], members, "other"))


def other_name(members: Cluster, _directory: Path) -> Iterator[Member]:
    changed(members["n3"], name="other")
    yield members["n1"]


def other_pool(members: Cluster, _directory: Path) -> Iterator[Member]:
    changed(members["n3"], pool_size=5)
    yield members["n1"]


def tls(directory: Path, authority: Made) -> dict[str, Any]:
    """Give a certificate for routes."""
    made = make("member", authority, names=[cluster.HOST])
    directory.mkdir()
    for name, content in (("cert", made.chain), ("key", made.key_pem), ("ca", authority.pem)):
        (directory / name).write_bytes(content)
    return {f"{name}_file": str(directory / name) for name in ("cert", "key", "ca")}


def other_authority(members: Cluster, directory: Path) -> Iterator[Member]:
    authorities = {name: make(name, authority=True) for name in ("root", "other")}
    for member in members.values():
        by = authorities["other" if member.name == "n3" else "root"]
        changed(member, tls=tls(directory / f"tls-{member.name}", by))
    yield members["n1"]


def no_tls(members: Cluster, directory: Path) -> Iterator[Member]:
    root = make("root", authority=True)
    for name in ("n1", "n2"):
        changed(members[name], tls=tls(directory / f"tls-{name}", root))
    yield members["n3"]


def fourth(members: Cluster, directory: Path, name: str) -> Iterator[Member]:
    """Run one server more, whose name another one may have."""
    more = Member(members["n1"].binary, directory / "fourth", name)
    more.write(**cluster.config_of(more, members))
    more.start()
    try:
        yield members["n1"]
    finally:
        more.kill()


def twin(members: Cluster, directory: Path) -> Iterator[Member]:
    yield from fourth(members, directory, "n2")


def stranger(members: Cluster, directory: Path) -> Iterator[Member]:
    yield from fourth(members, directory, "n4")


def left_over(members: Cluster, directory: Path) -> Iterator[Member]:
    """Let a server join that is no member, and go."""
    for asked in fourth(members, directory, "n4"):
        cluster.wait_for(partial(counts, asked, len(members) + 1), "fourth")
    yield members["n1"]


def counts(member: Member, size: int) -> bool:
    return bool(member.ask("jsz")["meta_cluster"]["cluster_size"] == size)


def killed(members: Cluster, _directory: Path) -> Iterator[Member]:
    members["n3"].kill()
    yield members["n1"]


def two_killed(members: Cluster, _directory: Path) -> Iterator[Member]:
    for name in ("n2", "n3"):
        members[name].kill()
    yield members["n1"]


def held_still(members: Cluster, _directory: Path) -> Iterator[Member]:
    leader, victim = members.leader(), members.followers()[0]
    victim.pause()
    yield leader


def slow(members: Cluster, _directory: Path) -> Iterator[Member]:
    """Let a member run for a twentieth of the time: it answers, and does not keep up."""
    leader = members.leader_of(STREAM)
    victim, *_others = (each for each in members.values() if each is not leader)
    others = Cluster({name: each for name, each in members.items() if each is not victim})
    is_over = threading.Event()

    def hold() -> None:
        while not is_over.is_set():
            victim.pause()
            time.sleep(0.9)
            victim.resume()
            time.sleep(0.05)

    async def publish(client: Client) -> None:
        while not is_over.is_set():
            for _each in range(500):
                await client.publish("kept", b"x" * 1000)
            await client.flush()
            await asyncio.sleep(0.02)

    working = [threading.Thread(target=hold), threading.Thread(target=over, args=(others, publish))]
    for each in working:
        each.start()
    try:
        yield leader
    finally:
        is_over.set()
        for each in working:
            each.join()


def led_by_one(members: Cluster, _directory: Path) -> Iterator[Member]:
    asyncio.run(cluster.add_streams(members, *MORE_STREAMS))
    names = [STREAM, *MORE_STREAMS]
    while rest := [name for name in names if members.leader_of(name) is not members["n1"]]:

        async def step_down(client: Client, rest: list[str] = rest) -> None:
            for name in rest:
                with suppress(nats.errors.TimeoutError):
                    await client.request(f"$JS.API.STREAM.LEADER.STEPDOWN.{name}", b"", timeout=5)

        over(members, step_down)
    yield members["n2"]


def newer(members: Cluster, _directory: Path) -> Iterator[Member]:
    odd = members["n3"]
    odd.stop()
    odd.binary = odd.binary.with_name("nats-server-newer")
    odd.start()
    yield odd


def as_it_is(members: Cluster, _directory: Path) -> Iterator[Member]:
    yield members["n1"]


def damaged(members: Cluster, group: str) -> Iterator[Member]:
    """Keep two members from opening the log of a group: C is of consumers, S of streams."""
    for name in ("n1", "n2"):
        member = members[name]
        member.stop()
        for path in (member.directory / "store" / "jetstream" / "$SYS" / "_js_").glob(f"{group}-R3F-*"):
            shutil.rmtree(path)
            path.write_text("no directory")
        member.start()
    yield members["n1"]


def consumer_damaged(members: Cluster, _directory: Path) -> Iterator[Member]:
    yield from damaged(members, "C")


def stream_damaged(members: Cluster, _directory: Path) -> Iterator[Member]:
    yield from damaged(members, "S")


def foreign_store(members: Cluster, directory: Path) -> Iterator[Member]:
    """Start a member on what a server of another cluster has kept, which has a longer log."""
    kept, victim = directory / "kept", members.followers()[0]
    # while the member has its ports
    with cluster.running(victim.binary, directory / "others", names=("x1", "x2", "x3")) as others:
        asyncio.run(cluster.add_streams(others, *MORE_STREAMS))
        other = others.leader()
        other.stop()
        shutil.copytree(other.data, kept)
    victim.stop()
    shutil.rmtree(victim.data)
    kept.rename(victim.data)
    victim.start()
    yield victim


BREAKAGES = [
    Breakage(
        "another password",
        "route_credentials",
        "no route to n3",
        other_password,
        neighbour="another authority",
        sample=True,
    ),
    Breakage(
        "another password, seen there", "route_credentials", "n1 and n2", other_password_at_itself, neighbour="killed"
    ),
    Breakage("another authority", "route_tls", "certificate", other_authority, neighbour="another password"),
    Breakage("no TLS there", "route_tls", "no route to n1", no_tls, neighbour="killed"),
    Breakage("another name", "cluster_name_differs", "n3", other_name, neighbour="killed"),
    Breakage("another pool", "route_pool_differs", "n3", other_pool, neighbour="another password"),
    Breakage("another cluster's store", "foreign_store", "stop this server", foreign_store, neighbour="held still"),
    Breakage("a name twice", "name_twice", "one server named n2", twin, neighbour="a stranger"),
    Breakage("a stranger", "peer_unknown", "n4", stranger, neighbour="a name twice"),
    Breakage("a stranger that is gone", "peer_left_over", "found 4", left_over, neighbour="a stranger"),
    Breakage("killed", "peer_gone", "no route to n3", killed, neighbour="held still", sample=True),
    Breakage("held still", "peer_silent", "not heard of for", held_still, neighbour="killed"),
    Breakage("two killed", "no_quorum", "not there: n2", two_killed, neighbour="killed"),
    Breakage("too slow", "replicas_behind", "KEPT: ", slow, neighbour="held still"),
    Breakage("led by one", "leaders_uneven", "n1 leads 1", led_by_one, neighbour="too slow"),
    Breakage(
        "another clock",
        "clock_apart",
        "60 seconds ahead",
        as_it_is,
        neighbour="another version",
        asked=lambda: {"asked_at": time.time() - 60},
    ),
    Breakage("another version", "versions_mixed", "2.10.29", newer, neighbour="another clock"),
    Breakage("a consumer damaged", "consumer_broken", "KEPT > reader", consumer_damaged, neighbour="a stream damaged"),
    Breakage("a stream damaged", "replica_not_started", "not KEPT", stream_damaged, neighbour="a consumer damaged"),
]


@contextmanager
def broken(breakage: Breakage, members: Cluster, directory: Path) -> Iterator[Member]:
    """Break a cluster, and give the member to look at."""
    making = breakage.make(members, directory)
    for asked in making:
        try:
            yield asked
        finally:
            # whatever came of the look, what was broken is mended
            for _end in making:
                pass
