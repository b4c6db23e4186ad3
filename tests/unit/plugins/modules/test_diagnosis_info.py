# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module beside a real server that is a process of its own; services are looked at in tests/diagnosis."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nats
import pytest

from ansible_collections.rosey.nats.plugins.module_utils._data import asset_reading, asset_record
from ansible_collections.rosey.nats.plugins.module_utils._deploy import release
from ansible_collections.rosey.nats.plugins.module_utils._server.monitoring import Monitor
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import IDENTITY, fake_monitoring

ModuleResult = dict[str, Any]
RunModule = Callable[..., ModuleResult]
PASSWORD = "hunter2"
QUOTE = "rosey.prod.commands.quote"


@dataclass(frozen=True)
class Server:
    """A server that may be started. port: for clients."""

    directory: Path
    binary: Path
    port: int
    run_module: RunModule

    def configure(self, *lines: str) -> None:
        self.config.write_text("\n".join((f"port: {self.port}", "host: 127.0.0.1", *lines)))

    @property
    def config(self) -> Path:
        return self.directory / "nats-server.conf"

    @property
    def pid_file(self) -> Path:
        return self.directory / "nats-server.pid"

    @property
    def releases(self) -> Path:
        return self.directory / "releases"

    @contextmanager
    def run(self) -> Iterator[None]:
        """Run it, once it takes clients."""
        process = subprocess.Popen([self.binary, "-c", self.config], stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 10
            while not takes_clients(self.port):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield
        finally:
            process.terminate()
            process.wait()

    def diagnose(self, *symptoms: str, **arguments: Any) -> ModuleResult:
        files = {"binary": self.binary, "config_file": self.config, "pid_file": self.pid_file}
        server = {name: str(path) for name, path in {**files, "release_dir": self.releases}.items()}
        return self.run_module("diagnosis_info", symptoms=list(symptoms or ("server",)), server=server, **arguments)


def takes_clients(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def server(tmp_path: Path, nats_server: Path, free_port: Callable[[], int], run_module: RunModule) -> Server:
    found = Server(tmp_path, nats_server, free_port(), run_module)
    found.configure()
    return found


@pytest.fixture
def running(server: Server, free_port: Callable[[], int]) -> Iterator[Server]:
    """Give a server that runs, and that only its configuration tells the monitoring endpoint of."""
    users = f"authorization {{ user: rosey, password: {PASSWORD} }}"
    server.configure(f"http_port: {free_port()}", f'pid_file: "{server.pid_file}"', users)
    process = subprocess.Popen([server.binary, "-c", server.config], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while not server.pid_file.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        yield server
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def fake_bot(tmp_path: Path) -> Iterator[Callable[[str | None], dict[str, Any]]]:
    """Give a function that describes a bot which says that it is connected, with the monitoring endpoint given."""
    plugins = tmp_path / "environments" / "production" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "quotes.yaml").write_text(f"subscriptions: [{QUOTE}]\n")
    (plugins.parent / "config.yaml").write_text("nats: {prefix: rosey.prod}\n")
    with fake_monitoring({"/health": {"nats": {"connected": True}}}) as health:
        yield lambda url: {
            "environment": "production",
            "prefix": "rosey.prod",
            "home": str(tmp_path),
            "health_url": f"{health.url}/health",
            "client_name": "rosey-bot-prod",
            "plugins": [{"name": "quotes", "subscriptions": [QUOTE]}],
            **({} if url is None else {"monitoring_url": url}),
        }


def names(result: ModuleResult) -> list[str]:
    return [cause["name"] for cause in result["causes"]]


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_server_that_runs_has_no_cause(running: Server, check_mode: bool) -> None:
    result = running.diagnose(check_mode=check_mode)
    assert (names(result), result["changed"], result["symptoms"]) == ([], False, ["server"])
    assert "health of the server" in result["healthy"]
    assert result["report"] == [f"healthy: {', '.join(result['healthy'])}"]


def test_streams_that_were_proven_and_are_gone_come_first(server: Server, free_port: Callable[[], int]) -> None:
    """One that a client has deleted, and one that the server leaves out when it starts with a lower limit."""

    async def change(*, add: bool) -> None:
        client = await nats.connect(f"nats://127.0.0.1:{server.port}")
        stream = client.jetstream()
        if add:
            await stream.add_stream(name="DELETED", subjects=["deleted"])
            await stream.add_stream(name="HIDDEN", subjects=["hidden"], max_bytes=1 << 20)
            await stream.publish("hidden", b"kept")
        else:
            await stream.delete_stream("DELETED")
        await client.close()

    monitoring_port = free_port()

    def configure(max_file: str) -> None:
        jetstream = f'jetstream {{ store_dir: "{server.directory}/store", max_mem: 8M, max_file: {max_file} }}'
        log = f'log_file: "{server.directory}/nats-server.log"'
        server.configure(f"http_port: {monitoring_port}", f'pid_file: "{server.pid_file}"', log, jetstream)

    configure("2M")
    with server.run():
        asyncio.run(change(add=True))
        there = asset_reading.ask(Monitor(f"http://127.0.0.1:{monitoring_port}"))
        assert names(server.diagnose()) == []
        asset_record.Book(server.releases).prove(asset_record.proven_now(there))
        result = server.diagnose()
        assert names(result) == []
        assert result["healthy"][0] == "streams that were there when it was last proven"
        asyncio.run(change(add=False))
        (gone,) = server.diagnose()["causes"]
        assert (gone["name"], gone["confidence"]) == ("streams_gone", "certain")
        assert f"its files are gone from {server.directory}/store/jetstream/$G/streams/DELETED" in gone["evidence"][0]
    configure("512K")
    with server.run():
        found = server.diagnose("server", "bot")
        hidden = found["causes"][0]
        assert names(found)[:2] == ["streams_hidden", "streams_gone"]
        assert "stream HIDDEN: with 1 message then, now none; its files stand in " in hidden["evidence"][0]
        assert 'Error recreating stream "HIDDEN": ' in hidden["evidence"][1]
    configure("2M")
    with server.run():
        assert names(server.diagnose()) == ["streams_gone"]


def test_a_server_that_does_not_run_is_told(server: Server) -> None:
    result = server.diagnose()
    assert "stopped" in names(result)
    assert str(server.pid_file) in str(result["causes"])


def test_a_server_is_not_taken_for_who_was_given_its_number(server: Server) -> None:
    server.pid_file.write_text(f"{os.getpid()}\n")
    assert "stopped" in names(server.diagnose())


def test_a_server_that_runs_is_found_without_its_number(running: Server) -> None:
    running.pid_file.write_text(f"{os.getpid()}\n")
    assert names(running.diagnose()) == []


@pytest.mark.parametrize(
    ("line", "name", "says"),
    [
        ("max_conections: 5", "configuration_invalid", "max_conections"),
        ("jetstream {", "configuration_invalid", "-t"),
        ('log_file: "/nowhere/at/all/nats.log"', "path_missing", "/nowhere/at/all"),
        ('include "gone.conf"', "configuration_invalid", "gone.conf"),
        ("host: 192.0.2.7", "address_absent", "192.0.2.7"),
        ('host: "nats..local"', "configuration_refused", "nats..local"),
        (f"authorization {{ user: rosey, password: {PASSWORD}, nonsense: 1 }}", "configuration_invalid", "nonsense"),
    ],
)
def test_what_the_configuration_can_t_have_is_told(server: Server, line: str, name: str, says: str) -> None:
    server.configure(line)
    result = server.diagnose()
    first = result["causes"][0]
    assert first["name"] == name
    assert says in str(first)
    assert PASSWORD not in str(result)


def test_who_holds_the_port_is_named(server: Server) -> None:
    with socket.create_server(("127.0.0.1", server.port)):
        assert names(server.diagnose())[0] == "port_taken"


def test_a_program_that_is_none_is_told(server: Server) -> None:
    program = server.directory / "nats-server"
    program.write_bytes(b"\x7fELF no program")
    program.chmod(0o755)
    broken = Server(server.directory, program, server.port, server.run_module)
    assert names(broken.diagnose())[0] == "binary_unusable"


BOT = {"environment": "production", "prefix": "rosey.prod", "service": "cytube-bot", "plugins": [{"name": "quotes"}]}


@pytest.mark.parametrize(
    ("bot", "healthy"),
    [
        ({}, "no bot is described to be looked at"),
        ({"bot": {**BOT, "home": "/nowhere", "optional": True}}, "no bot is installed at /nowhere"),
    ],
)
def test_without_a_bot_there_is_nothing_wrong_with_it(running: Server, bot: dict[str, Any], healthy: str) -> None:
    result = running.diagnose("latency", "plugin", "bot", **bot)
    assert result["symptoms"] == ["bot", "plugin", "latency"]
    assert (result["causes"], result["healthy"]) == ([], [healthy])


def test_a_bot_that_the_release_has_is_missed(running: Server) -> None:
    parts = {"server": release.Part({}, []), "bot": release.Part({"mode": "nats"}, [])}
    store, now = release.Store(running.releases), datetime.now(UTC)
    identity = store.write(parts, controller="here", plan=[], gates=[], keep=10, now=now).release
    result = running.diagnose("latency", "plugin", "bot", bot={**BOT, "home": "/nowhere", "optional": True})
    (cause,) = result["causes"]
    assert (cause["name"], cause["confidence"]) == ("bot_missed", "certain")
    assert cause["evidence"] == [f"release {identity} has a bot", "no bot is installed at /nowhere"]
    assert result["healthy"] == []
    # the releases of another server say nothing of this one
    other = {"server": release.Part({"runtime": "process", "config_file": "/etc/b/nats.conf"}, [])}
    store.write(other, controller="here", plan=[], gates=[], keep=10, now=now)
    result = running.diagnose("server", "bot", bot={**BOT, "home": "/nowhere", "optional": True})
    (cause,) = result["causes"]
    assert cause["name"] == "description_faulty"
    said = f"are of the process with /etc/b/nats.conf, not of the process with {running.config}"
    assert said in cause["evidence"][0]


@pytest.mark.parametrize("bot", [{"home": "/nowhere"}, {"optional": True}])
def test_a_bot_that_has_to_be_there_or_is_is_looked_at(running: Server, bot: dict[str, Any]) -> None:
    given = {**BOT, "home": str(running.directory), **bot}
    assert "bot_file_missing" in names(running.diagnose("bot", bot=given))


def test_a_bot_that_runs_without_nats_is_not_asked_how_long_messages_take(running: Server) -> None:
    trip = {"mode": "legacy", "python": sys.executable, "round_trip": {"subject": "rosey.prod.commands.quote"}}
    result = running.diagnose("latency", bot={**BOT, **trip, "home": str(running.directory)})
    assert (result["causes"], result["healthy"]) == ([], ["without NATS no message is on its way"])


def test_what_the_bots_server_holds_is_asked_at_its_own_endpoint(
    running: Server, fake_bot: Callable[[str], dict[str, Any]]
) -> None:
    connection = {"cid": 1, "name": "rosey-bot-prod", "subscriptions_list": [QUOTE]}
    with fake_monitoring({"/connz": {**IDENTITY, "total": 1, "connections": [connection]}}) as other:
        result = running.diagnose("plugin", bot=fake_bot(other.url))
    assert (result["causes"], result["healthy"]) == ([], ["the prefix of the bot", "the plugins quotes"])


@pytest.mark.parametrize(
    ("url", "name", "says"),
    [(None, "subscription_not_held", QUOTE), ("", "not_seen", "bot_config_monitoring_url is empty")],
)
def test_without_an_endpoint_of_the_bots_server_this_hosts_is_asked_and_with_an_empty_one_none(
    running: Server, fake_bot: Callable[..., dict[str, Any]], url: str | None, name: str, says: str
) -> None:
    (cause,) = running.diagnose("plugin", bot=fake_bot(url))["causes"]
    assert cause["name"] == name
    assert says in str(cause)


def test_what_is_wrong_with_the_description_is_a_cause(running: Server) -> None:
    (cause,) = running.diagnose(faults={"server": "max_conections is no option", "bot": "it has no home"})["causes"]
    assert (cause["name"], cause["confidence"]) == ("description_faulty", "possible")
    assert cause["evidence"] == ["max_conections is no option"]
