# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bot's gate against the real server, with nats-py clients that stand in for the bot and its plugins."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from ansible_collections.rosey.nats.plugins.module_utils._server import conf
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import BOT, fake_monitoring, make_certificate

RunModule = Callable[..., dict[str, Any]]
ROOT = Path(__file__).parents[2]
NAME = "rosey-bot-prod"
QUOTE = "rosey.prod.commands.quote"
PLUGINS = [
    {"name": "quotes", "subscriptions": [QUOTE, "rosey.prod.commands.addquote", "rosey.prod.commands.delquote"]},
    {
        "name": "trivia",
        "subscriptions": [
            "rosey.prod.commands.trivia",
            "rosey.prod.commands.triviastop",
            "rosey.prod.cytube.chat.message",
        ],
    },
]
QUOTES, TRIVIA = ([str(subject) for subject in plugin["subscriptions"]] for plugin in PLUGINS)
LOGIN = {"user": "rosey", "password": "h-u-n-t-e-r-2"}
AUTHORIZATION = {"users": [{**LOGIN}]}


class Bus:
    """A nats-server, a loop in which clients live, and a bot's health endpoint that tells what is set here."""

    def __init__(self, binary: Path, directory: Path, port: int, monitoring_port: int) -> None:
        self.binary, self.directory, self.port, self.monitoring_port = binary, directory, port, monitoring_port
        self.url = f"nats://localhost:{port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.clients: list[Client] = []
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.health: dict[str, Any] = {**BOT, "nats": {**BOT["nats"], "server": self.url, "subjects": 6}}

    def start(self, **config: Any) -> None:
        """Start the server and wait until it listens."""
        file = self.directory / "nats-server.conf"
        file.write_text(
            conf.render({"host": "127.0.0.1", "port": self.port, "http_port": self.monitoring_port, **config})
        )
        self.process = subprocess.Popen([self.binary, "-c", file], stderr=subprocess.DEVNULL)
        for port in (self.port, self.monitoring_port):
            self._wait_for(port)

    @staticmethod
    def _wait_for(port: int) -> None:
        end = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except ConnectionRefusedError:
                assert time.monotonic() < end
                time.sleep(0.01)
            else:
                return

    def stop(self) -> None:
        for client in self.clients:
            self.run(client.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
        if self.process:
            self.process.terminate()
            self.process.wait(10)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(work, self.loop)
        return future.result(10)

    def hold(
        self,
        name: str | None,
        subjects: Sequence[str],
        *,
        answer: Callable[[Msg], Coroutine[Any, Any, None]] | None = None,
        **options: Any,
    ) -> None:
        """Connect a client of this name that subscribes to these subjects; by default it never answers."""

        async def ignore(_message: Msg) -> None:
            """Say nothing."""

        async def connect() -> None:
            client = await nats.connect(self.url, name=name, **options)
            self.clients.append(client)
            for subject in subjects:
                await client.subscribe(subject, cb=answer or ignore)
            await client.flush()

        self.run(connect())


async def respond(message: Msg) -> None:
    if message.reply:
        await message.respond(b"a quote")


@pytest.fixture
def bus(nats_server: Path, tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Bus]:
    made = Bus(nats_server, tmp_path, free_port(), free_port())
    yield made
    made.stop()


Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(bus: Bus, run_module: RunModule) -> Iterator[Ask]:
    """Give a function that runs the module on the bus."""
    with fake_monitoring({"/api/health": lambda _query: bus.health}) as endpoint:

        def run(**changes: Any) -> dict[str, Any]:
            arguments = {
                "health_url": f"{endpoint.url}/api/health",
                "monitoring_url": f"http://127.0.0.1:{bus.monitoring_port}",
                "servers": [f"nats://127.0.0.1:{bus.port}"],
                "client_name": NAME,
                "plugins": PLUGINS,
                "wait": 0,
                "timeout": 3,
            }
            return run_module("bot_gate", **{**arguments, **changes})

        yield run


def trip(**changes: Any) -> dict[str, Any]:
    return {"round_trip": {"subject": QUOTE, **changes}, "python": sys.executable}


def missing(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (finding["what"], finding["expected"].rpartition(" ")[2], finding["found"])
        for finding in result["findings"]
        if finding["severity"] == "error"
    ]


def test_what_each_plugin_declares_is_found_on_its_own_connection(bus: Bus, ask: Ask) -> None:
    bus.start()
    bus.hold(NAME, ["rosey.prod.>"])
    bus.hold(f"{NAME}-quotes", QUOTES)
    bus.hold(f"{NAME}-trivia", ["rosey.prod.commands.*", "rosey.prod.cytube.>"])
    result = ask()
    assert result.get("msg") is None
    assert result["summary"] == f"bot connected to {bus.url}, 6 of 6 subscriptions held"
    assert ask(check_mode=True)["passed"] is True


def test_what_is_missing_is_named_though_another_connection_holds_it(bus: Bus, ask: Ask) -> None:
    bus.start()
    bus.hold(NAME, [">"])
    bus.hold(f"{NAME}-quotes", QUOTES[:2])
    bus.hold(f"{NAME}-trivia", TRIVIA)
    own = f"none that the connection {NAME}-quotes holds"
    assert missing(ask()) == [("plugin quotes", QUOTES[2], own)]


def test_without_names_any_connection_counts(bus: Bus, ask: Ask) -> None:
    bus.start()
    bus.hold(None, [*QUOTES, *TRIVIA[:2]])
    assert missing(ask()) == [("plugin trivia", TRIVIA[2], f"none on the server, nor a connection named {NAME}")]
    bus.hold("another", ["rosey.*.cytube.chat.message"])
    assert ask()["subscriptions"] == {"declared": 6, "held": 6}


def test_it_waits_until_a_plugin_has_subscribed(bus: Bus, ask: Ask) -> None:
    bus.start()
    bus.hold(f"{NAME}-quotes", QUOTES)
    late = threading.Timer(0.5, bus.hold, (f"{NAME}-trivia", TRIVIA))
    late.start()
    begin = time.monotonic()
    result = ask(wait=10)
    late.join()
    assert result["passed"] is True
    assert 0.4 < time.monotonic() - begin < 2


def test_a_subscription_on_the_last_page_of_connections_is_found(bus: Bus, ask: Ask) -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    bus.start(max_connections=2000)
    sockets = [socket.create_connection(("127.0.0.1", bus.port)) for _number in range(1100)]
    for connection in sockets:
        connection.sendall(b'CONNECT {"verbose":false,"name":"other"}\r\nSUB _INBOX.x.* 1\r\nPING\r\n')
    for connection in sockets:
        while b"PONG" not in connection.recv(4096):
            pass
    bus.hold(f"{NAME}-quotes", QUOTES)
    bus.hold(f"{NAME}-trivia", TRIVIA)
    result = ask()
    for connection in sockets:
        connection.close()
    assert result["subscriptions"] == {"declared": 6, "held": 6}


def test_a_round_trip_is_measured_with_authorization_on(bus: Bus, ask: Ask) -> None:
    bus.start(authorization=AUTHORIZATION)
    bus.hold(f"{NAME}-quotes", QUOTES, answer=respond, **LOGIN)
    bus.hold(f"{NAME}-trivia", TRIVIA, answer=None, **LOGIN)
    result = ask(**trip(count=250), credentials=LOGIN)
    assert result.get("msg") is None
    measured = result["round_trip"]
    assert (measured["trips"], measured["skipped"]) == (250, False)
    assert 0 < measured["p50_milliseconds"] <= measured["p99_milliseconds"] < 100
    assert result["summary"].endswith(" over 250")
    assert LOGIN["password"] not in json.dumps(result)


@pytest.mark.parametrize("login", [{}, {"user": "rosey", "password": "wr-o-ng"}, {"token": "wr-o-ng"}])
def test_a_round_trip_with_a_wrong_password_is_an_error(bus: Bus, ask: Ask, login: dict[str, str]) -> None:
    bus.start(authorization=AUTHORIZATION)
    bus.hold(NAME, ["rosey.prod.>"], answer=respond, **LOGIN)
    result = ask(**trip(), credentials=login)
    assert (
        "- round trip: expected a connection to the bus, found none: nats: 'Authorization Violation'" in result["msg"]
    )
    assert "wr-o-ng" not in json.dumps(result)


@pytest.mark.parametrize("trusted", [True, False])
def test_a_round_trip_trusts_whom_the_bot_trusts(bus: Bus, ask: Ask, tmp_path: Path, trusted: bool) -> None:
    certificate = make_certificate(tmp_path)
    bus.start(tls={"cert_file": str(certificate), "key_file": str(certificate)})
    trust = ssl.create_default_context(cafile=certificate)
    bus.hold(NAME, ["rosey.prod.>"], answer=respond, tls=trust, tls_hostname="127.0.0.1")
    variables = tmp_path / "secrets.env"
    variables.write_text(f"SSL_CERT_FILE={certificate}\n" if trusted else "")
    result = ask(**trip(), environment_file=str(variables))
    assert result["passed"] is trusted
    assert trusted or "certificate verify failed" in result["msg"]


def test_a_round_trip_to_a_server_that_is_not_there_is_an_error(
    bus: Bus, ask: Ask, free_port: Callable[[], int]
) -> None:
    bus.start()
    bus.hold(NAME, ["rosey.prod.>"])
    away = f"nats://127.0.0.1:{free_port()}"
    bus.health["nats"]["server"] = away
    result = ask(**trip(), servers=[away])
    assert "- round trip: expected a connection to the bus, found none: " in result["msg"]


def test_a_round_trip_takes_the_server_that_answers(bus: Bus, ask: Ask, free_port: Callable[[], int]) -> None:
    bus.start()
    bus.hold(NAME, ["rosey.prod.>"], answer=respond)
    for _order in range(4):  # the client tries them in a random order
        assert ask(**trip(), servers=[f"nats://127.0.0.1:{free_port()}", bus.url])["round_trip"]["trips"] == 200


def test_a_plugin_that_never_answers_is_an_error_soon(bus: Bus, ask: Ask) -> None:
    bus.start()
    bus.hold(NAME, ["rosey.prod.>"])
    begin = time.monotonic()
    result = ask(**trip(), timeout=1)
    assert time.monotonic() - begin < 5
    assert (
        f"- round trip: expected an answer to a request on {QUOTE}, found none after 0 trips; look at the"
        in result["msg"]
    )
    assert result["round_trip"] == {"p50_milliseconds": None, "p99_milliseconds": None, "trips": 0, "skipped": False}


def test_a_subject_that_nobody_listens_to_is_an_error(bus: Bus, ask: Ask) -> None:
    bus.start()
    bus.hold(NAME, ["rosey.prod.commands.>", "rosey.prod.cytube.>"])
    result = ask(**trip(subject="rosey.prod.system.ping"))
    assert "expected an answer to a request on rosey.prod.system.ping, found nobody who listens to it" in result["msg"]


def test_a_subject_that_the_user_may_not_publish_on_is_told(bus: Bus, ask: Ask) -> None:
    limited = {"user": "rosey", "password": LOGIN["password"], "permissions": {"publish": ["_INBOX.>"]}}
    bus.start(authorization={"users": [limited]})
    bus.hold(NAME, ["rosey.prod.>"], answer=respond, **LOGIN)
    result = ask(**trip(), credentials=LOGIN, timeout=1)
    assert f'none after 0 trips; the server said: nats: permissions violation for publish to "{QUOTE}"' in result["msg"]


def test_a_plugin_that_falls_silent_is_told_with_what_it_did(bus: Bus, ask: Ask) -> None:
    count = 0

    async def some(message: Msg) -> None:
        nonlocal count
        count += 1
        if count <= 55:
            await message.respond(b"")

    bus.start()
    bus.hold(NAME, ["rosey.prod.>"], answer=some)
    result = ask(**trip(), timeout=1)
    assert "found none after 50 trips" in result["msg"]  # the first five are no part of the measurement
    assert result["round_trip"]["trips"] == 50


def test_a_slow_plugin_is_an_error_that_gives_the_time(bus: Bus, ask: Ask) -> None:
    async def slow(message: Msg) -> None:
        await asyncio.sleep(0.012)
        await message.respond(b"")

    bus.start()
    bus.hold(NAME, ["rosey.prod.>"], answer=slow)
    result = ask(**trip(limit_milliseconds=10), timeout=3)
    assert "- round trip: expected a p99 of at most 10 ms, found " in result["msg"]
    assert result["round_trip"]["p50_milliseconds"] >= 12
    assert ask(**trip(limit_milliseconds=1000), timeout=3)["passed"] is True


def test_the_time_for_all_trips_is_bounded(bus: Bus, ask: Ask) -> None:
    async def slow(message: Msg) -> None:
        await asyncio.sleep(0.5)
        await message.respond(b"")

    bus.start()
    bus.hold(NAME, ["rosey.prod.>"], answer=slow)
    begin = time.monotonic()
    result = ask(**trip(limit_milliseconds=10), timeout=2)
    assert time.monotonic() - begin < 7
    assert "expected 200 trips on rosey.prod.commands.quote, found 3 when the time for them was up" in result["msg"]


def test_no_secret_is_where_other_users_see_it(bus: Bus, ask: Ask, tmp_path: Path) -> None:
    """The program's arguments and environment are looked at while it runs, from the plugin that it asks."""
    seen: list[str] = []

    async def look(message: Msg) -> None:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if int(process.joinpath("stat").read_text().rpartition(")")[2].split()[1]) == os.getpid():
                    seen.extend(process.joinpath(name).read_text() for name in ("cmdline", "environ"))
            except (OSError, ValueError):
                continue
        await message.respond(b"")

    bus.start(authorization=AUTHORIZATION)
    bus.hold(NAME, ["rosey.prod.>"], answer=look, **LOGIN)
    result = ask(**trip(), credentials=LOGIN)
    assert result["passed"] is True
    assert any("def travel(" in text for text in seen)
    assert LOGIN["password"] not in "".join(seen) + json.dumps(result)


def test_a_python_without_the_library_is_a_warning(bus: Bus, ask: Ask, tmp_path: Path) -> None:
    bus.start()
    bus.hold(NAME, ["rosey.prod.>"])
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {Path(sys.executable).resolve()} -S "$@"\n')
    bare.chmod(0o755)
    for python in (bare, tmp_path / "none"):
        result = ask(**{**trip(), "python": str(python)})
        assert result["passed"] is True
        assert result["round_trip"]["skipped"] is True
        assert result["summary"].endswith("round trip skipped")
        assert "the round trip was skipped" in json.dumps(result["warnings"])


def test_a_play_carries_the_probe_to_the_host(bus: Bus, tmp_path: Path) -> None:
    """The program is read from the archive that Ansible makes of the module."""
    bus.start(authorization=AUTHORIZATION)
    bus.hold(NAME, ["rosey.prod.>"], answer=respond, **LOGIN)
    task: dict[str, Any] = {
        "servers": [bus.url],
        "plugins": PLUGINS,
        "client_name": NAME,
        "monitoring_url": f"http://127.0.0.1:{bus.monitoring_port}",
        **trip(),
        "credentials": LOGIN,
    }
    with fake_monitoring({"/api/health": lambda _query: bus.health}) as endpoint:
        arguments = tmp_path / "arguments.json"
        arguments.write_text(json.dumps({**task, "health_url": f"{endpoint.url}/api/health"}))
        play = [
            {
                "hosts": "localhost",
                "gather_facts": False,
                "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
                "tasks": [{"rosey.nats.bot_gate": "{{ lookup('file', '" + str(arguments) + "') | from_json }}"}],
            }
        ]
        playbook = tmp_path / "play.yml"
        playbook.write_text(json.dumps(play))
        done = subprocess.run(
            ["ansible-playbook", "-i", "localhost,", "-vvv", str(playbook)],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_INJECT_FACT_VARS": "False"},
            capture_output=True,
            text=True,
            check=False,
        )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "6 of 6 subscriptions held, round trip p50 " in " ".join(said.split())
    assert LOGIN["password"] not in said
