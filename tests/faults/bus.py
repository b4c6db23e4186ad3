# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three hosts that are one bus, and what can be wrong with one of them while a run is at work."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.rosey.nats.tests import cluster
from ansible_collections.rosey.nats.tests import fleet as fleets
from ansible_collections.rosey.nats.tests.faults.wires import Wires
from ansible_collections.rosey.nats.tests.fleet import HERE, HOSTS, Fleet, memory, once_it_is_started_anew
from ansible_collections.rosey.nats.tests.integration.conftest import Variables, free_ports, stop_all

ALWAYS = {"ansible_connection": "losable", "nats_server_gate_wait": 15}
# A leader calls one silent after five seconds.
SILENCE = 7
# The host with a disk of its own.
DISK = "three"
# What is known of a server's own streams tells that another store is there, too, and first.
STREAMS_ARE_MEANT = ("-e", "{nats_server_accept: [gone_streams]}")
Broken = AbstractContextManager[Any]


@dataclass
class Ground:
    """Three hosts that are one bus. base: what is deployed to them; lost: a directory that names who can't be reached.

    has_disk: whether a host has a disk of its own, which can be full.
    """

    fleet: Fleet
    wires: Wires
    lost: Path
    base: Variables = field(default_factory=dict)
    has_disk: bool = False

    def followers(self) -> list[str]:
        """In the order in which they are restarted."""
        leader = self.fleet.leader()
        return [name for name in HOSTS if name != leader]

    def names(self) -> dict[str, str]:
        """Name the leader, and who is restarted first and second."""
        first, second = self.followers()
        return {"first": first, "second": second, "leader": self.fleet.leader()}

    def play(self, changes: Variables, *options: str, hosts: Mapping[str, Variables] | None = None) -> str:
        return self.fleet.play(
            {**ALWAYS, **self.base, **changes},
            *options,
            hosts=hosts,
            environment={
                "LOST_HOSTS": str(self.lost),
                "ANSIBLE_CONNECTION_PLUGINS": str(Path(__file__).parent / "connection_plugins"),
            },
        )

    def deploy(self, changes: Variables) -> None:
        """Deploy what is well, and keep it."""
        said = self.play(changes)
        assert said.startswith("exit 0"), said
        self.base = {**self.base, **changes}


@contextmanager
def made(directory: Path) -> Iterator[Ground]:
    """Give hosts on which nothing is deployed yet, and end their servers when the context does."""
    ports = fleets.found_ports()
    with Wires({name: routes for name, (_port, _monitoring, routes) in ports.items()}).up() as wires:
        lost = directory / "lost"
        lost.mkdir()
        ground = Ground(Fleet(directory, ports, wires.addresses), wires, lost)
        disk = ground.fleet.store(DISK)
        disk.mkdir(parents=True)
        mount = ["mount", "-t", "tmpfs", "-o", "size=256M,mode=0700", "none", str(disk)]
        ground.has_disk = not subprocess.run(mount, capture_output=True, check=False).returncode
        try:
            yield ground
        finally:
            stop_all(directory)
            if ground.has_disk:
                subprocess.run(["umount", "--lazy", str(disk)], check=True)


@contextmanager
def held_still(ground: Ground, *hosts: str) -> Iterator[None]:
    """Let servers hang."""
    pids = [ground.fleet.pid(name) for name in hosts]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextmanager
def killed(ground: Ground, *hosts: str) -> Iterator[None]:
    for name in hosts:
        os.kill(ground.fleet.pid(name), signal.SIGKILL)
    yield


@contextmanager
def listening(port: int) -> Iterator[None]:
    with socket.create_server((HERE, port)):
        yield


@contextmanager
def out_of_reach(ground: Ground, host: str) -> Iterator[None]:
    """Let a host be one that the controller can't reach."""
    name = ground.lost / host
    name.touch()
    try:
        yield
    finally:
        name.unlink()


@contextmanager
def full(ground: Ground) -> Iterator[None]:
    """Leave no room where the server of DISK keeps its streams."""
    filling = ground.fleet.store(DISK) / "filling"
    subprocess.run(["dd", "if=/dev/zero", f"of={filling}", "bs=64k"], stderr=subprocess.DEVNULL, check=False)
    try:
        yield
    finally:
        filling.unlink()


@contextmanager
def stranger(ground: Ground) -> Iterator[None]:
    """Run another server that has a member's name and password."""
    text = (ground.fleet.directory / "three" / "etc" / "nats" / "nats-server.conf").read_text()
    for port, other in zip(ground.fleet.ports["three"], free_ports(3), strict=True):
        text = text.replace(f": {port}", f": {other}")
    place = ground.fleet.directory / "stranger"
    for needed in ("log", "lib"):
        (place / "var" / needed / "nats").mkdir(parents=True, exist_ok=True)
    config = place / "nats-server.conf"
    config.write_text(text.replace(str(ground.fleet.directory / "three"), str(place)))
    with subprocess.Popen([os.environ["NATS_SERVER_BINARY"], "-c", str(config)], stderr=subprocess.DEVNULL) as server:
        try:
            yield
            assert server.poll() is None
        finally:
            server.kill()


@contextmanager
def silent(broken: Broken) -> Iterator[None]:
    """Have it for as long as a leader takes to call one silent."""
    with broken:
        time.sleep(SILENCE)
        yield


@contextmanager
def in_the_roll(ground: Ground, make: Callable[[str, str], Broken]) -> Iterator[None]:
    """Have it as soon as the first server is started anew. make: takes that one and the next one."""
    first, second = ground.followers()
    with ExitStack() as had:
        waiting = once_it_is_started_anew(ground.fleet, first, lambda _pid: had.enter_context(make(first, second)))
        yield
        waiting.join()


@contextmanager
def in_the_next_turn(ground: Ground, make: Callable[[str], Broken]) -> Iterator[None]:
    """Have it as soon as the second server is started anew. make: takes the first one."""
    first, second = ground.followers()
    with ExitStack() as had:
        waiting = once_it_is_started_anew(ground.fleet, second, lambda _pid: had.enter_context(make(first)))
        yield
        waiting.join()


@contextmanager
def another_run(ground: Ground) -> Iterator[None]:
    """Deploy something else, which has to be kept away."""
    said = ground.play(memory("999M"))
    yield
    assert "the lease of another deployment is there" in said, said


@contextmanager
def foreign_store(ground: Ground, *names: str, streams: int = 1) -> Iterator[None]:
    """Have a server killed, and the store of another cluster, of servers with these names, in place of its own."""
    directory = ground.fleet.directory / "foreign"
    with cluster.running(Path(os.environ["NATS_SERVER_BINARY"]), directory, names=names) as members:
        asyncio.run(cluster.add_streams(members, *(f"FOREIGN{number}" for number in range(streams))))
        store = members.leader().data
    os.kill(ground.fleet.pid("one"), signal.SIGKILL)
    own = ground.fleet.store("one")
    aside = own.rename(own.with_name("own"))
    shutil.copytree(store, own)
    # with the pid files of servers that are no more
    shutil.rmtree(directory)
    yield
    shutil.rmtree(own)
    aside.rename(own)


@contextmanager
def short_replica(ground: Ground, victim: str, harm: Callable[[Path], None]) -> Iterator[None]:
    """Have a server lack what others have of a stream, as bad blocks of a disk leave it; none is restarted meanwhile.

    harm: takes something of the stream's directory away.
    """
    asyncio.run(cluster.add_bulk(ground.fleet.servers))
    os.kill(ground.fleet.pid(victim), signal.SIGKILL)
    harm(ground.fleet.store(victim) / "$G" / "streams" / cluster.BULK)
    others = ground.fleet.ids(*(name for name in HOSTS if name != victim))
    yield
    assert ground.fleet.ids(*others) == others
    asyncio.run(cluster.make_replicas_anew(ground.fleet.servers, cluster.BULK, f"bus_{victim}"))


def made_anew(ground: Ground, said: str) -> bool:
    """Do what a run says of replicas that lack messages, and tell whether it says so."""
    named = re.search(r"at bus_(\w+) all that the other servers have, found (.*?);", " ".join(said.split()))
    if named is None:
        return False
    server, found = named.groups()
    for stream in re.findall(r"(\w+) \(", found):
        asyncio.run(cluster.make_replicas_anew(ground.fleet.servers, stream, f"bus_{server}"))
    return True


@contextmanager
def running_on_foreign_store(ground: Ground, *names: str) -> Iterator[None]:
    """Have a server run on the store of another cluster, with the longer log; nobody else is restarted meanwhile."""
    pid_file = ground.fleet.pid_file("one")
    command = Path("/proc", str(ground.fleet.pid("one")), "cmdline").read_text().split("\0")[:-1]
    # the log that is longer counts, and the other is set right
    with foreign_store(ground, *names, streams=40), subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        pid_file.write_text(str(server.pid))
        try:
            cluster.wait_for(lambda: ground.fleet.ask("one", "varz"), "answer of the one with another store")
            said = ground.play({}, *STREAMS_ARE_MEANT, hosts={"two": memory("999M")})
            for words in ("exit 2", "one: the store at", "restart no other before", "[foreign_store]"):
                assert words in " ".join(said.split()), said
            said = ground.play({}, *STREAMS_ARE_MEANT)
            for words in ("exit 2", "expected that of bus_one, found that of a server of another cluster"):
                assert words in " ".join(said.split()), said
            yield
        finally:
            server.kill()
