# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong with three servers that are one bus: nothing acknowledged is lost, and the next run mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from ansible_collections.rosey.nats.tests import cluster
from ansible_collections.rosey.nats.tests.authority import Authority
from ansible_collections.rosey.nats.tests.faults import bus, lease
from ansible_collections.rosey.nats.tests.faults.bus import Broken, Ground
from ansible_collections.rosey.nats.tests.fleet import HERE, HOSTS, memory
from ansible_collections.rosey.nats.tests.integration.conftest import Variables, free_ports

Tell = Callable[..., None]
AUTHORITY, OTHERS = Authority("one"), Authority("another")
MEGABYTES = count(300)
# Messages a second.
RATE = 50
# By which the servers reach each other.
WIRED = ("127.0.0.11", "127.0.0.12", "127.0.0.13")
TAKEN = free_ports(1)[0]


def tls(*names: str, authority: Authority = AUTHORITY, **more: Any) -> Variables:
    pair = authority.issue([*names])
    given = {"certificate": pair.certificate, "key": pair.key, "authorities": authority.pem}
    return {"nats_server_tls": {name: value for name, value in {**given, **more}.items() if value is not None}}


def of_cluster(**more: Any) -> Variables:
    return {"nats_server_cluster": more}


@dataclass(frozen=True)
class Fault:
    """A row. changes, hosts: what is deployed, to all and to single ones.

    words: what the run says, with {leader} and, by their turns, {first} and {second}.

    rolls: whether all servers are to be restarted. broken: what is wrong meanwhile; the same run again is well without
    it. touches: whether a host is changed, and goes back. options: of the run. ends: how it does.
    """

    name: str
    changes: Variables = field(default_factory=dict)
    hosts: Mapping[str, Variables] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    rolls: bool = False
    broken: Callable[[Ground], Broken] = lambda _ground: nullcontext()
    touches: bool = False
    options: tuple[str, ...] = ()
    ends: str = "exit 2"
    needs_disk: bool = False


def before_the_roll(name: str, gone: str, make: Callable[[Ground, str], Broken]) -> Fault:
    """A row of a server that is not there as a roll is to begin. gone: which one, as words name it."""
    return Fault(
        name,
        words=(f"bus_{{{gone}}}: expected every server of the cluster there", "nats_server_accept: [quorum]"),
        rolls=True,
        broken=lambda ground: bus.silent(make(ground, ground.names()[gone])),
    )


def in_the_roll(name: str, make: Callable[[Ground, str], Broken]) -> Fault:
    """A row of a server that goes in the turn of the one before it."""
    return Fault(
        name,
        rolls=True,
        words=("expected a route to bus_{second}, found none", "start it; where it runs"),
        broken=lambda ground: bus.in_the_roll(ground, lambda _first, second: make(ground, second)),
        touches=True,
    )


def cut_off(ground: Ground, host: str) -> Broken:
    return ground.wires.without(host)


FAULTS = [
    # While the log of this cluster is the shorter one: later it would set the other right.
    Fault(
        "a server that runs on the store of another cluster",
        rolls=True,
        broken=lambda ground: bus.running_on_foreign_store(ground, *cluster.NAMES),
        words=("is the store of a server that was in a cluster, and not that of bus_one", "[foreign_store]"),
        options=bus.STREAMS_ARE_MEANT,
    ),
    Fault("no secret", {"nats_server_cluster_secret": ""}, words=("nats_server_cluster_secret is not set",)),
    Fault("a short secret", {"nats_server_cluster_secret": "short"}, words=("has 5 characters; expected 32",)),
    Fault(
        "a secret that is no text", {"nats_server_cluster_secret": ["x" * 40]}, words=("nats_server_cluster_secret",)
    ),
    Fault(
        "an address twice",
        hosts=dict.fromkeys(("one", "two"), of_cluster(address=HERE, port=7777)),
        words=("one and two have the same address, 127.0.0.1:7777",),
    ),
    Fault(
        "a name of two words", hosts=dict.fromkeys(HOSTS, of_cluster(name="two words")), words=("name is 'two words'",)
    ),
    Fault("an option that is none", hosts={"two": of_cluster(routes=[])}, words=("routes: it has no such option",)),
    Fault("a port that is none", hosts={"two": of_cluster(port=70000)}, words=("port of two is 70000",)),
    Fault(
        "routes by hand",
        hosts={"two": {"nats_server_config": {"cluster": {"routes": ["nats://x:1"]}}}},
        words=("cluster.routes in nats_server_config",),
    ),
    Fault(
        "a user for nobody",
        {
            "nats_server_config_overrides": {
                "no_auth_user": "x",
                "authorization": {"users": [{"user": "x", "password": "y"}]},
            }
        },
        words=("no_auth_user", "CVE-2026-58253"),
    ),
    Fault(
        "TLS without authorities",
        tls("localhost", "127.0.0.1", authorities=None),
        words=("nats_server_tls has no authorities",),
    ),
    Fault("a certificate for another address", tls("localhost"), words=("it is for 127.0.0.11 as well",)),
    Fault("a container", {"nats_server_runtime": "docker"}, words=("nats_server_runtime is docker",)),
    Fault(
        "a port that is taken",
        hosts={"three": of_cluster(port=TAKEN)},
        words=(f"127.0.0.1:{TAKEN} is taken",),
        broken=lambda _ground: bus.listening(TAKEN),
    ),
    Fault(
        "another cluster's name on one",
        hosts={"three": of_cluster(name="other")},
        words=("three is the only host that has it", "'rosey' of one, 'rosey' of two"),
    ),
    Fault("one that leaves by itself", hosts={"three": {"nats_server_cluster": {}}}, words=("replicated_streams",)),
    Fault(
        "other names of all servers",
        {"nats_server_config_overrides": {"server_name": "else"}},
        words=("other_server_name",),
    ),
    Fault(
        "another secret on one",
        hosts={"three": {"nats_server_cluster_secret": "x" * 40}},
        words=("three is back at release",),
        touches=True,
    ),
    Fault(
        "another pool of routes on one",
        hosts={"three": {"nats_server_config": {"cluster": {"pool_size": 7}}}},
        words=("three is back at release",),
        touches=True,
    ),
    Fault(
        "a name of another cluster's server on one",
        hosts={"three": {"nats_server_config": {"server_name": "other"}}},
        words=("other_server_name",),
    ),
    Fault(
        "a certificate of another authority on one",
        tls("localhost", HERE, *WIRED),
        hosts={"three": tls("localhost", HERE, *WIRED, authority=OTHERS)},
        words=(
            "expected a route to bus_three, found none",
            "address and TLS of the cluster",
            "three is back at release",
        ),
        touches=True,
    ),
    Fault(
        "a host that is no member any more, and runs",
        hosts={"three": {"nats_server_cluster": {}}},
        words=("expected none but to bus_one, bus_two, found one to bus_three", "make it a member"),
        touches=True,
        options=("--limit", "one,two"),
    ),
    Fault(
        "another deployment at work on one",
        rolls=True,
        broken=lambda ground: lease.held(ground.fleet.releases("three")),
        words=("the lease of another deployment is there", "three"),
    ),
    Fault(
        "another deployment in the roll",
        rolls=True,
        broken=lambda ground: bus.in_the_roll(ground, lambda _first, _second: bus.another_run(ground)),
        ends="exit 0",
    ),
    before_the_roll("a follower hangs", "first", bus.held_still),
    before_the_roll("the leader hangs", "leader", bus.held_still),
    in_the_roll("the next one hangs in the roll", bus.held_still),
    before_the_roll("a follower alone", "first", cut_off),
    in_the_roll("the next one alone in the roll", cut_off),
    in_the_roll("one is killed in another's turn", bus.killed),
    Fault(
        "the leader is killed in another's turn",
        rolls=True,
        words=("expected a route to bus_{leader}, found none", "start it; where it runs"),
        broken=lambda ground: bus.in_the_roll(
            ground, lambda _first, _second: bus.killed(ground, ground.fleet.leader())
        ),
        touches=True,
    ),
    Fault(
        "a stranger of the same name",
        rolls=True,
        broken=lambda ground: bus.silent(bus.stranger(ground)),
        words=("expected one server named bus_three, found 2 servers", "stop the one that is not meant"),
    ),
    Fault(
        "a host that can't be reached",
        rolls=True,
        broken=lambda ground: bus.out_of_reach(ground, "three"),
        words=("three",),
        ends="exit 4",
    ),
    Fault(
        "a host that can't be reached, and is left out",
        rolls=True,
        broken=lambda ground: bus.out_of_reach(ground, "three"),
        words=("three",),
        options=("--limit", "one,two"),
        touches=True,
        ends="exit",
    ),
    Fault(
        "the next one can't be reached in the roll",
        rolls=True,
        words=("{first}: {second} can't be reached; expected", "{second} was at work when it was lost; look at it"),
        broken=lambda ground: bus.in_the_roll(ground, lambda _first, second: bus.out_of_reach(ground, second)),
        touches=True,
        ends="exit 4",
    ),
    Fault(
        "the one before can't be reached in the roll",
        rolls=True,
        words=("{second}: {first} can't be reached; expected", "{first} was at work when it was lost; look at it"),
        broken=lambda ground: bus.in_the_next_turn(ground, lambda first: bus.out_of_reach(ground, first)),
        touches=True,
        ends="exit 4",
    ),
    Fault(
        "the majority is gone, and left out",
        rolls=True,
        broken=lambda ground: bus.killed(ground, "two", "three"),
        words=("bus_three, bus_two: expected every server of the cluster there",),
        options=("--limit", "one"),
    ),
    Fault(
        "one is gone and left out, which is accepted",
        rolls=True,
        broken=lambda ground: bus.killed(ground, "three"),
        options=("--limit", "one,two", "-e", "{nats_server_accept: [quorum]}"),
        ends="exit 0",
    ),
    Fault("one is gone", rolls=True, broken=lambda ground: bus.killed(ground, ground.followers()[0]), ends="exit 0"),
    Fault(
        "the majority is gone", rolls=True, broken=lambda ground: bus.killed(ground, *ground.followers()), ends="exit 0"
    ),
    Fault("all are gone", rolls=True, broken=lambda ground: bus.killed(ground, *HOSTS), ends="exit 0"),
    Fault(
        "the store of another cluster",
        rolls=True,
        broken=lambda ground: bus.foreign_store(ground, *cluster.NAMES),
        words=("is the store of a server that was in a cluster, and not that of bus_one", "[foreign_store]"),
    ),
    Fault(
        "the store of another cluster of the same names",
        rolls=True,
        broken=lambda ground: bus.foreign_store(ground, *(f"bus_{name}" for name in HOSTS)),
        words=("one: the store of its server has streams with replicas, and none of those", "[foreign_store]"),
        options=bus.STREAMS_ARE_MEANT,
    ),
    Fault(
        "a replica that lacks messages",
        rolls=True,
        broken=lambda ground: bus.short_replica(ground, ground.followers()[0], cluster.without_a_file),
        words=("at bus_{first} all that the other servers have", "BULK (", "one replica, and then as many as it had"),
        touches=True,
    ),
    Fault(
        "a replica that lost its directory",
        rolls=True,
        broken=lambda ground: bus.short_replica(ground, ground.followers()[1], cluster.without_all),
        words=(
            "at bus_{second} all that the other servers have",
            "BULK (",
            "let no server be restarted",
        ),
        touches=True,
        options=bus.STREAMS_ARE_MEANT,
    ),
    Fault(
        "a disk that becomes full in the roll",
        rolls=True,
        words=(
            "bus_three not heard of for",
            "JetStream not enabled (10076)",
            "are free there; expected at least 1 MiB",
        ),
        broken=lambda ground: bus.in_the_roll(ground, lambda _first, _second: bus.full(ground)),
        touches=True,
        needs_disk=True,
    ),
]

# What every run of all tests has.
SAMPLE = "one that leaves by itself"
ROWS = [
    pytest.param(fault, id=fault.name, marks=[pytest.mark.sample] if fault.name == SAMPLE else []) for fault in FAULTS
]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with bus.made(tmp_path_factory.mktemp("fleet")) as made:
        made.deploy(memory(f"{next(MEGABYTES)}M"))
        yield made


@pytest.mark.parametrize("fault", ROWS)
def test_a_fault(ground: Ground, tell: Tell, fault: Fault) -> None:
    fleet = ground.fleet
    if fault.needs_disk and not ground.has_disk:
        pytest.skip("only root can mount a disk of its own for a host")
    changes = memory(f"{next(MEGABYTES)}M") if fault.rolls else fault.changes
    before, names = (fleet.ids(), fleet.files()), ground.names()

    def deploy() -> tuple[str, str]:
        with fault.broken(ground):
            said = ground.play(changes, *fault.options, hosts=fault.hosts)
            files = fleet.files()
        if not fault.touches and fault.ends != "exit 0":
            assert files == before[1], said
        if not (fault.rolls or fault.touches):
            assert fleet.ids() == before[0], said
            return said, ""
        again = ground.play(changes if fault.rolls else {})
        # what a full disk takes from a replica depends on the moment in which it is full
        if fault.needs_disk and bus.made_anew(ground, again):
            again = ground.play(changes if fault.rolls else {})
        return said, again

    (said, again), published = fleet.meanwhile(deploy, rate=RATE)
    assert said.startswith(fault.ends), said
    for words in fault.words:
        assert words.format(**names) in " ".join(said.split()), said
    assert "Traceback" not in said, said
    if again:
        assert again.startswith("exit 0"), again
        ground.base = {**ground.base, **(changes if fault.rolls else {})}
    # one that was given up may be there all the same
    assert published.acknowledged <= published.stored <= published.acknowledged + published.failed
    asked = ground.base["nats_server_config_overrides"]["jetstream"]["max_mem"]
    assert {f"{limit // 1_000_000}M" for limit in fleet.limits().values()} == {asked}
    told = fault.words[0].format(**names) if fault.words else "all went well"
    tell(f"cluster: {fault.name}", told, "what was asked for" if fault.rolls else "what they had", published.stall)


def test_a_further_run_changes_nothing(ground: Ground) -> None:
    assert ground.play({}).count("changed=0 ") == len(HOSTS)
