# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill a deployment at a point, deploy again, and see what has become of the host."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats
import requests
from nats.errors import Error as ClientError
from nats.js.errors import Error as StreamError

from ansible_collections.rosey.nats.plugins.module_utils._deploy import lease, release
from ansible_collections.rosey.nats.plugins.module_utils._host import background, process
from ansible_collections.rosey.nats.tests.integration.conftest import (
    QUOTES,
    Deployment,
    Variables,
    free_ports,
    install_bot,
    merged,
)
from ansible_collections.rosey.nats.tests.kill import points
from ansible_collections.rosey.nats.tests.kill.points import Point, Trace

VERSIONS = ("2.10.7", "2.10.29")
NEWER_SUM = "h1:IJ8TrZaiMZUrPGavMvP7hNAE9lYnHTThuthpwlsdlbc="
POLL_SECONDS = 0.02
# What the scheduler of a busy machine may add to an outage.
SLACK = 0.5


@dataclass
class Watch:
    """A poll of the server's port, fifty times a second."""

    port: int
    outages: list[float] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._poll)
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def longest(self) -> float:
        return max(self.outages, default=0.0)

    def _poll(self) -> None:
        # A server that was never up is not down.
        last_up: float | None = None
        was_up = True
        while not self._over.is_set():
            up = is_served(self.port)
            now = time.monotonic()
            if up and last_up is not None and not was_up:
                self.outages.append(now - last_up)
            if up:
                last_up = now
            was_up = up
            time.sleep(POLL_SECONDS)
        if last_up is not None and not was_up:
            self.outages.append(time.monotonic() - last_up)


class Publisher:
    """A client that publishes with acknowledgements, and remembers what was acknowledged.

    connections: how many it had, one after another.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._over = threading.Event()
        self.acknowledged: dict[int, bytes] = {}
        self.connections = 0

    def __enter__(self) -> Publisher:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._publish()))
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
        self._thread.join()

    async def _publish(self) -> None:
        number = 0
        while not self._over.is_set():
            try:
                client = await connected(self._url)
            except (ClientError, OSError, TimeoutError):
                await asyncio.sleep(0.05)
                continue
            self.connections += 1
            stream = client.jetstream(timeout=1)
            try:
                await stream.add_stream(name="KILL", subjects=["kill.>"])
                while not self._over.is_set():
                    number += 1
                    payload = f"message {number} of {id(self)}".encode()
                    said = await stream.publish("kill.messages", payload)
                    self.acknowledged[said.seq] = payload
                    await asyncio.sleep(0.02)
            except (ClientError, StreamError, OSError, TimeoutError):
                pass
            finally:
                await client.close()


async def connected(url: str) -> Any:
    async def ignore(_error: Exception) -> None:
        return

    return await nats.connect(url, allow_reconnect=False, connect_timeout=1, error_cb=ignore)


async def lost(url: str, acknowledged: dict[int, bytes]) -> list[int]:
    """Name the acknowledged messages that the server does not have any more."""
    if not acknowledged:
        return []
    client = await connected(url)
    try:
        stream = client.jetstream()
        found = []
        for sequence, payload in acknowledged.items():
            try:
                message = await stream.get_msg("KILL", sequence)
            except StreamError:
                found.append(sequence)
                continue
            if message.data != payload:
                found.append(sequence)
        return found
    finally:
        await client.close()


def is_served(port: int) -> bool:
    """Say whether a nats-server greets on a port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as client:
            return client.recv(5) == b"INFO "
    except OSError:
        return False


@dataclass(frozen=True)
class Outcome:
    """What one point has come to. faults: what should not be."""

    point: Point
    outage: float
    acknowledged: int
    faults: tuple[str, ...]


class Ground:
    """A host that is deployed, killed and deployed again."""

    def __init__(self, directory: Path) -> None:
        self.deployment = Deployment(directory, *free_ports(3))
        self._template = directory / "template"
        # The configuration names the port, so the home is made once and copied.
        self.deployment.home.parent.mkdir(parents=True)
        install_bot(self.deployment.home, self.deployment.bot_port)
        shutil.copytree(directory / "root", self._template, symlinks=True)
        self.temporary = directory / "tmp"
        self.temporary.mkdir()
        # of somebody who may publish everything, where not everybody may
        self.login = ""
        self.plain = 0.0
        self.known: set[str] = set()
        self.programs: list[str] = []

    @property
    def server(self) -> background.Server:
        root = self.deployment.directory / "root"
        return background.Server(
            root / "usr/local/bin/nats-server",
            root / "etc/nats/nats-server.conf",
            root / "var/lib/nats/nats-server.pid",
        )

    @property
    def url(self) -> str:
        return f"nats://{self.login}127.0.0.1:{self.deployment.port}"

    def wipe(self) -> None:
        """Make it a host that nothing was deployed to."""
        self.stop()
        shutil.rmtree(self.deployment.directory / "root")
        shutil.copytree(self._template, self.deployment.directory / "root", symlinks=True)

    def stop(self) -> None:
        for running in self.running():
            os.kill(running.pid, signal.SIGKILL)
        for _attempt in range(500):
            if not self.running():
                return
            time.sleep(0.01)

    def running(self) -> list[process.Process]:
        """Give every server and bot of this host, known to the product or not."""
        root = str(self.deployment.directory / "root")
        found = filter(
            None, (process.read(int(each.name)) for each in Path("/proc").iterdir() if each.name.isdecimal())
        )
        return [each for each in found if each.command and each.command[0].startswith(root)]

    def names(self) -> list[str]:
        """Name the programs that run, one by one."""
        return sorted(" ".join(each.command[:3]) for each in self.running())

    def play(self, changes: Variables, **environment: str) -> tuple[int, str]:
        """Deploy; give the exit status, negative for a signal, and what was said."""
        fast = {
            "bot_config_round_trip": False,
            "bot_config_gate_wait": 20,
            "nats_server_gate_wait": 20,
            "nats_server_module_sums": {VERSIONS[1]: NEWER_SUM},
        }
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        variables = merged(merged(self.deployment.variables, fast), changes) | local
        inventory = self.deployment.directory / "hosts.yml"
        inventory.write_text(json.dumps({"rosey": {"hosts": {"here": variables}}}))
        return points.play(inventory, self.temporary, **environment)

    def traced(self, changes: Variables, point: Point | None = None) -> tuple[int, str, Trace]:
        """Deploy, killed at the point where one is given."""
        trace = self.deployment.directory / "trace"
        code, said = self.play(changes, **points.killing(trace, point))
        return code, said, points.read(trace)

    def deploy(self, changes: Variables) -> Trace:
        """Deploy as a whole, and take what is on the host then as what belongs there."""
        code, said, trace = self.traced(changes)
        assert code == 0, said
        self.known |= set(self.hidden())
        self.programs = self.names()
        return trace

    def measure(self, times: int = 3) -> None:
        """Measure what a plain restart costs here and now: the longest of some."""
        with Watch(self.deployment.port) as watch:
            time.sleep(0.1)
            for _time in range(times):
                with background.hold(self.server) as held:
                    assert held
                    background.stop(held, self.server, signal.SIGINT, 30)
                output = self.server.pid_file.with_suffix(".out")
                background.start(self.server, output, [("127.0.0.1", self.deployment.port)], seconds=30)
                time.sleep(0.1)
        self.plain = watch.longest

    def hidden(self) -> Iterator[str]:
        """Name what looks like something that was left, wherever that may be."""
        root = self.deployment.directory / "root"
        for path in root.rglob("*"):
            if path.name.startswith(".") and "venv" not in path.parts:
                yield str(path.relative_to(root))
        for path in self.temporary.iterdir():
            # What Ansible itself leaves of a module that is killed is not the collection's.
            if not path.name.startswith("ansible"):
                yield str(path)

    def try_point(self, point: Point, changes: Variables, *, thrice: bool, keeps_clients: bool = False) -> Outcome:
        """Kill a deployment of the changes at the point, and deploy them again; a third one has nothing to change.

        keeps_clients: none of the two may end a connection that it does not concern.
        """
        faults = []
        with Watch(self.deployment.port) as watch, Publisher(self.url) as publisher:
            code, said, trace = self.traced(changes, point)
            # A module that is killed when it has told its result has told it: the play goes on.
            expected = {0, 2} if point.what == "module" else {-signal.SIGKILL}
            if code not in expected or trace.has_ended(point):
                faults.append(f"the point was not reached, or the play ended with {code}: {said[-1500:]}")
            code, said = self.play(changes)
            if code != 0:
                faults.append(f"the same play again ended with {code}: {said[-3000:]}")
            elif "'proven: " not in said or "bot proven: bot connected" not in said:
                faults.append(f"the same play again has not proven: {said[-1500:]}")
        if thrice:
            code, third = self.play(changes)
            if code != 0 or "changed=0 " not in third:
                faults.append(f"a third play ended with {code} and changed something: {third[-1500:]}")
        faults += self._look(changes)
        if watch.longest > 2 * self.plain + SLACK:
            faults.append(f"the server was down for {watch.longest:.2f} s")
        if keeps_clients and publisher.connections != 1:
            faults.append(f"a client that was not concerned connected {publisher.connections} times")
        missing = asyncio.run(lost(self.url, publisher.acknowledged))
        if missing:
            faults.append(f"{len(missing)} of {len(publisher.acknowledged)} acknowledged messages are lost")
        return Outcome(point, watch.longest, len(publisher.acknowledged), tuple(faults))

    def _look(self, changes: Variables) -> Iterator[str]:
        root = self.deployment.directory / "root"
        releases = root / "var/lib/rosey-nats"
        listing = release.Store(releases).listing()
        if listing.damaged:
            yield f"damaged records: {listing.damaged}"
        if listing.current is None:
            yield "no release is recorded"
        looked = lease.look(releases)
        if looked.holder or looked.damage:
            yield f"the lease was not given back: {looked}"
        if left := sorted(set(self.hidden()) - self.known):
            yield f"left behind: {left}"
        if (names := self.names()) != self.programs:
            yield f"expected {self.programs} to run, found {names}"
        if not background.is_noted(self.server, self.running_server()):
            yield "the server's pid file does not name it"
        try:
            varz = self.deployment.varz()
        except requests.RequestException as error:
            yield f"the server does not answer: {type(error).__name__}"
            return
        for name, value in changes.get("nats_server_config", {}).items():
            if varz[name] != value:
                yield f"{name} is {varz[name]}, not {value}"
        if varz["version"] != changes.get("nats_server_version", VERSIONS[0]):
            yield f"the server is {varz['version']}"

    def running_server(self) -> int:
        found = background.find(self.server)
        return found.pid if found else 0


class Phase:
    """A kind of deployment, which every point has a new one of."""

    name = ""
    keeps_clients = False

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    def next(self) -> Variables:
        raise NotImplementedError

    def probe(self) -> Trace:
        """Run it once as a whole."""
        return self.ground.deploy(self.next())

    def run(self, point: Point, *, thrice: bool) -> Outcome:
        return self.ground.try_point(point, self.next(), thrice=thrice, keeps_clients=self.keeps_clients)


class First(Phase):
    """Every deployment is the first one."""

    name = "first deployment"

    def next(self) -> Variables:
        self.ground.wipe()
        return {}


class Reload(Phase):
    """One option that a reload takes up, and one plugin's file, which the bot is restarted for."""

    name = "reload"
    _number = 0

    def next(self) -> Variables:
        self._number += 1
        plugin = {**QUOTES, "config": {**QUOTES["config"], "cooldown": self._number}}
        return {
            "nats_server_config": {"max_payload": 1024 * 1024 + self._number},
            "bot_plugins_declared": [plugin],
        }


class Version(Phase):
    """From one version to the other, up and down in turn, each installed anew."""

    name = "version change"
    _number = 0

    def next(self) -> Variables:
        self._number += 1
        version = VERSIONS[self._number % 2]
        installed = self.ground.deployment.directory / "root/usr/local/lib/nats-server" / version
        shutil.rmtree(installed, ignore_errors=True)
        return {"nats_server_version": version}


class Rotation(Phase):
    """Another credential for one plugin, which alone comes back with it; everybody else stays connected."""

    name = "rotation"
    keeps_clients = True
    who: tuple[str, ...] = ("quotes",)
    _number = 0

    def next(self) -> Variables:
        self._number += 1
        self.ground.login = "operator.1:known-here@"
        return {
            "bot_plugins_credentials": "each",
            "bot_plugins_credentials_secret": "nothing is to be kept secret here, but long",
            "bot_plugins_credentials_given": {"operator": {"password": "known-here"}},
            "bot_plugins_credentials_numbers": dict.fromkeys(self.who, self._number),
            "bot_plugins_credentials_read": "connect",
        }


class RotationOfAll(Rotation):
    """Another credential for all at once, but for the operator, who looks on."""

    name = "rotation of all"
    who = ("bot", "quotes", "probe", "deployment", "system")


def table(rows: Sequence[tuple[str, Sequence[Outcome], float]]) -> str:
    """Show what the points of each phase came to."""
    lines = [
        f"{'phase':<16}  points  boundaries  modules  plays  converged  outage (s)  plain restart (s)  damaged  lost"
    ]
    for name, outcomes, plain in rows:
        kinds = [outcome.point.what for outcome in outcomes]
        good = sum(not outcome.faults for outcome in outcomes)
        faults = [fault for outcome in outcomes for fault in outcome.faults]
        damaged = sum("damaged records" in fault for fault in faults)
        missing = sum("messages are lost" in fault for fault in faults)
        longest = max((outcome.outage for outcome in outcomes), default=0.0)
        lines.append(
            f"{name:<16}  {len(outcomes):6}  {kinds.count('boundary'):10}  {kinds.count('module'):7}  "
            f"{kinds.count('playbook'):5}  {good:9}  {longest:10.2f}  {plain:17.2f}  {damaged:7}  {missing:4}"
        )
    return "\n".join(lines)
