# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several real nats-servers that are one cluster, as processes of this host: each can be stopped, killed or held still.

>>> with cluster.running(binary, directory) as members:
...     members["n1"].pause()
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import nats
from nats.aio.client import Client
from nats.js.client import JetStreamContext

from ansible_collections.rosey.nats.plugins.module_utils._server import conf
from ansible_collections.rosey.nats.tests.integration.conftest import free_ports

HOST = "127.0.0.1"
NAMES = ("n1", "n2", "n3")
USER, PASSWORD = "route", "spoon-and-fork"
SYSTEM = {"user": "admin", "password": "admin"}
# A leader is found within a second or two; a busy machine takes its time.
SECONDS = 30.0
PAUSE = 0.05
BULK = "BULK"

Config = dict[str, Any]


class Member:
    """One server of a cluster, with a directory of its own. config: what its next start reads."""

    def __init__(self, binary: Path, directory: Path, name: str) -> None:
        self.binary, self.directory, self.name = binary, directory, name
        self.port, self.monitoring_port, self.route_port = free_ports(3)
        self.config_file, self.log, self.pid_file = (
            directory / name for name in ("nats-server.conf", "log", "nats-server.pid")
        )
        self.config: Config = {}
        self.process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True)

    @property
    def client_url(self) -> str:
        return f"nats://{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """Of the monitoring endpoint."""
        return f"http://{HOST}:{self.monitoring_port}"

    @property
    def data(self) -> Path:
        """Where JetStream keeps what it has."""
        return Path(self.config["jetstream"]["store_dir"]) / "jetstream"

    def write(self, **changes: Any) -> None:
        """Write the configuration, with these changes to its sections."""
        self.config |= changes
        self.config_file.write_text(conf.render(self.config))

    def start(self) -> None:
        """Start it by its configuration; it needs not be ready yet."""
        with (self.directory / "output").open("ab") as output:
            command = [self.binary, "-c", self.config_file]
            self.process = subprocess.Popen(command, stdout=output, stderr=output)

    def send(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """End it, in an orderly way, and wait until it has; nothing where it does not run."""
        if self.process:
            self.send(number)
            self.send(signal.SIGCONT)
            self.process.wait(SECONDS)
            self.process = None

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    def pause(self) -> None:
        """Hold it still, as a host does that hangs: its connections stay."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        self.send(signal.SIGCONT)

    def ask(self, endpoint: str, **query: str | int) -> Config:
        """Ask its monitoring endpoint; OSError."""
        url = f"{self.url}/{endpoint}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:
            found: Config = json.load(answer)
            return found


class Cluster(Mapping[str, Member]):
    """The members by their names."""

    def __init__(self, members: Mapping[str, Member]) -> None:
        self._members = members

    def __getitem__(self, name: str) -> Member:
        return self._members[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    @property
    def servers(self) -> list[str]:
        """Where clients connect."""
        return [member.client_url for member in self.values()]

    def leader(self, *, among: tuple[str, ...] = ()) -> Member:
        """Give the leader of the meta group, once the members that run agree on one and it has all of these as peers.

        among: the names of the peers; without them all members but the leader.
        """
        return wait_for(lambda: self._leader(among), "meta leader that all members agree on")

    def gather(self) -> None:
        """Wait until all members are in the meta group.

        A later version leaves one out at a fifth of the first starts (2.10.29; not 2.10.7): it joins at its next.
        """
        try:
            wait_for(lambda: self._leader(()), "meta leader", SECONDS / 3)
        except AssertionError:
            for member in self._left_out():
                member.stop()
                member.start()
            self.leader()

    def _left_out(self) -> list[Member]:
        groups = {name: member.ask("jsz").get("meta_cluster") or {} for name, member in self.items()}
        known = {each["name"] for group in groups.values() for each in group.get("replicas") or []}
        return [member for name, member in self.items() if name not in {*known, groups[name].get("leader")}]

    def leader_of(self, stream: str) -> Member:
        """Give the member that leads a stream of the global account, once all that keep it say the same."""
        return wait_for(lambda: self._leader_of(stream), f"leader of {stream} that all agree on")

    def _leader_of(self, stream: str) -> Member | None:
        said = set()
        for member in self.values():
            if member.process is not None:
                (account,) = member.ask("jsz", acc="$G", streams=1)["account_details"]
                said |= {each["cluster"].get("leader") for each in account["stream_detail"] if each["name"] == stream}
        return self.get(said.pop() or "") if len(said) == 1 else None

    def followers(self) -> list[Member]:
        leader = self.leader()
        return [member for member in self.values() if member is not leader]

    def _leader(self, among: tuple[str, ...]) -> Member | None:
        groups = {name: member.ask("jsz").get("meta_cluster") or {} for name, member in self.items() if member.process}
        named = {group.get("leader") for group in groups.values()}
        name = named.pop() if len(named) == 1 else None
        if name not in groups:
            return None
        replicas = groups[name].get("replicas") or []
        current = {each["name"] for each in replicas if each["current"] and not each.get("offline")}
        return self[name] if current >= (set(among or self) - {name}) else None


@contextmanager
def running(
    binary: Path,
    directory: Path,
    changes: Mapping[str, Config] | None = None,
    *,
    names: tuple[str, ...] = NAMES,
    wait: bool = True,
) -> Iterator[Cluster]:
    """Run a cluster while the context lasts. changes: to the configuration of each; wait: until it is whole."""
    members = {name: Member(binary, directory / name, name) for name in names}
    cluster = Cluster(members)
    try:
        for member in members.values():
            member.write(**{**config_of(member, cluster), **(changes or {}).get(member.name, {})})
            member.start()
        if wait:
            cluster.gather()
        yield cluster
    finally:
        for member in members.values():
            member.kill()


def config_of(member: Member, peers: Mapping[str, Member]) -> Config:
    """Give the configuration of a member: what the role makes of `nats_server_cluster`, on this host's addresses."""
    return {
        "server_name": member.name,
        "host": HOST,
        "port": member.port,
        "http_port": member.monitoring_port,
        "log_file": str(member.log),
        "pid_file": str(member.pid_file),
        "jetstream": {"store_dir": str(member.directory / "store"), "max_mem": "64M", "max_file": "256M"},
        "accounts": {"$SYS": {"users": [SYSTEM]}},
        "cluster": cluster_section(member, peers),
    }


def cluster_section(member: Member, peers: Mapping[str, Member], password: str = PASSWORD) -> Config:
    """Give the section `cluster` of a member. password: of the routes, its own and that which it gives to its peers."""
    others = [peer for peer in peers.values() if peer is not member]
    return {
        "name": "rosey",
        "host": HOST,
        "port": member.route_port,
        "no_advertise": True,
        "authorization": {"user": USER, "password": password},
        "routes": [f"nats://{USER}:{password}@{HOST}:{peer.route_port}" for peer in others],
    }


async def add_stream(jetstream: JetStreamContext, **config: Any) -> None:
    """Make a stream, again until the cluster has a place for it: its leader hears last of what its peers have."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            await jetstream.add_stream(**config)
        except (nats.js.errors.APIError, nats.errors.TimeoutError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(PAUSE)
        else:
            return


async def add_streams(members: Cluster, *names: str) -> None:
    """Make a stream with three replicas of each name, and of its subject."""
    client = await nats.connect(members.servers)
    for name in names:
        await add_stream(client.jetstream(timeout=20), name=name, subjects=[name.lower()], num_replicas=3)
    await client.close()


async def add_bulk(servers: list[str]) -> None:
    """Make a stream, or add to it, that has more than one file for its messages."""
    client = await nats.connect(servers)
    jetstream = client.jetstream(timeout=20)
    await add_stream(jetstream, name=BULK, subjects=["bulk"], num_replicas=3)
    # the other servers hear of it a moment later, and of each message
    await asyncio.sleep(1)
    for _message in range(20):
        await jetstream.publish("bulk", bytes(900_000))
    await asyncio.sleep(1)
    await client.close()


def without_a_file(stream: Path) -> None:
    """Take some of a stream's messages away."""
    sorted((stream / "msgs").glob("*.blk"))[1].unlink()
    # by which a server believes that it has what it had at its last orderly end
    (stream / "msgs" / "index.db").unlink(missing_ok=True)


def without_all(stream: Path) -> None:
    """Take a stream away."""
    shutil.rmtree(stream)


async def step_down(client: Client, stream: str, is_wanted: Callable[[str], bool]) -> None:
    """Have others lead a stream until the one that does is wanted."""
    jetstream = client.jetstream(timeout=20)
    while not ((leader := (await jetstream.stream_info(stream)).cluster.leader) and is_wanted(leader)):
        if leader:
            await client.request(f"$JS.API.STREAM.LEADER.STEPDOWN.{stream}", timeout=20)
        await asyncio.sleep(1)


async def make_replicas_anew(servers: list[str], stream: str, short: str) -> None:
    """Have a server lead a stream that has all of it, and make its other replicas anew. short: the one that has not."""
    client = await nats.connect(servers)
    jetstream = client.jetstream(timeout=20)
    await step_down(client, stream, lambda leader: leader != short)
    config = (await jetstream.stream_info(stream)).config
    for number in (1, config.num_replicas):
        await jetstream.update_stream(config, num_replicas=number)
        # until the others have heard of it
        await asyncio.sleep(3)
    await client.close()


Found = TypeVar("Found")


def wait_for(look: Callable[[], Found | None], what: str, seconds: float = SECONDS) -> Found:
    """Look until there is something, and give it; a server that does not answer has nothing."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if found := look():
                return found
        except OSError:
            pass
        time.sleep(PAUSE)
    raise AssertionError(f"no {what} within {seconds:g} seconds")
