# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bot of the tests is a real one: over a real nats-server with a login, in real processes."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nats
import pytest
import requests
import yaml
from nats.aio.client import Client

from ansible_collections.rosey.nats.tests.bot.rosey_bot.bus import Bus

PACKAGE = Path(__file__).parents[1] / "bot"
CHAT = "rosey.dev.cytube.chat.message"
PASSWORD = "hunter2 $x"
# Seconds. Two cores and other tests beside these.
PATIENCE = 15


def until(check: Callable[[], Any], what: str) -> Any:
    """Poll until the check gives something true; what it raises on the way means not yet."""
    deadline = time.monotonic() + PATIENCE
    seen: Any = None
    while time.monotonic() < deadline:
        try:
            seen = check()
            if seen:
                return seen
        except (requests.RequestException, AssertionError) as error:
            seen = error
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come in {PATIENCE} s; last seen: {seen}")


def command_lines(home: Path) -> dict[int, str]:
    """Give the processes that have to do with this home."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if "rosey_bot" in line and str(home) in line:
            found[int(path.parent.name)] = line
    return found


class Bot:
    """A bot in a home of its own."""

    def __init__(self, home: Path, nats_port: int, health_port: int) -> None:
        self.home = home
        self.nats_port = nats_port
        self.url = f"http://localhost:{health_port}/api/health"
        self.directory = home / "environments" / "development"
        (self.directory / "plugins").mkdir(parents=True)
        (home / "data").mkdir()
        questions = [{"question": "How many?", "answer": "Two"}]
        (home / "data" / "trivia.json").write_text(json.dumps(questions))
        self.own = {"channel": "mychannel", "health": {"host": "localhost", "port": health_port}}
        self.configure()
        self.set_password(PASSWORD)
        self.declare("quotes", ["commands.quote", "commands.addquote"], database="data/quotes.db", cooldown=60)
        self.declare("trivia", ["commands.trivia", "cytube.chat.message"], questions_file="data/trivia.json")
        self.process: subprocess.Popen[bytes] | None = None

    def configure(self, *, legacy: bool = False) -> None:
        options = {
            "servers": [f"nats://localhost:{self.nats_port}"],
            "name": "rosey-bot-dev",
            "reconnect_time_wait": 0.1,
            "max_reconnect_attempts": 2,
            "prefix": "rosey.dev",
        }
        config = self.own if legacy else self.own | {"nats": options}
        (self.directory / "config.yaml").write_text(yaml.safe_dump(config))

    def set_password(self, password: str) -> None:
        (self.directory / "secrets.env").write_text(f"NATS_USER=rosey\nNATS_PASSWORD='{password}'\n")

    def set_logins(self, logins: Mapping[str, Mapping[str, str]]) -> None:
        """Give the bot and its plugins a login each, by their names; the variables of each."""
        for name, variables in logins.items():
            file = "secrets.env" if name == "bot" else f"plugins/{name}.env"
            (self.directory / file).write_text("".join(f"{key}='{value}'\n" for key, value in variables.items()))

    def declare(self, name: str, subjects: list[str], **config: Any) -> None:
        declared = {
            "name": name,
            "enabled": True,
            "type": "isolated",
            "subscriptions": [f"rosey.dev.{subject}" for subject in subjects],
            "publishes": [CHAT],
            "config": config,
        }
        (self.directory / "plugins" / f"{name}.yaml").write_text(yaml.safe_dump(declared))

    def start(self, python: str = sys.executable, **variables: str) -> None:
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("NATS_", "PYTHON"))}
        # What is installed finds its own code.
        code = {"PYTHONPATH": str(PACKAGE)} if python == sys.executable else {}
        command = [python, "-m", "rosey_bot", "--home", str(self.home), "--environment", "development"]
        with (self.home / "bot.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=plain | code | variables, stdout=log, stderr=log)

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def health(self) -> dict[str, Any]:
        return dict(requests.get(self.url, timeout=5).json())

    def until_health(self, **expected: Any) -> dict[str, Any]:
        """Wait until the health page, and its part `nats`, say this."""

        def check() -> dict[str, Any]:
            said = self.health()
            flat = {**said.get("nats", {}), "bus": said.get("nats", {}).get("connected"), "status": said["status"]}
            assert flat | expected == flat, said
            return said

        return dict(until(check, f"health with {expected}"))

    def plugin_pid(self, name: str) -> int:
        found = [pid for pid, line in command_lines(self.home).items() if f"/{name}.yaml" in line]
        return int(until(lambda: found, f"a process of {name}")[0])

    def logs(self) -> str:
        return "".join(path.read_text() for path in (self.home / "bot.log", *self.home.glob("logs/plugins/*")))

    def until_logged(self, text: str, *, times: int = 1) -> None:
        until(lambda: self.logs().count(text) >= times, f"{text!r} in the logs")


@contextmanager
def serve(directory: Path, config: str) -> Iterator[dict[str, int]]:
    """Run a server; give its ports by what they are for."""
    ports = directory / "ports"
    ports.mkdir()
    file = directory / "nats.conf"
    file.write_text(f"host: 127.0.0.1\nport: -1\n{config}\n")
    with subprocess.Popen(
        [os.environ["NATS_SERVER_BINARY"], "-c", file, "--ports_file_dir", ports], stderr=subprocess.DEVNULL
    ) as server:
        try:
            (told,) = until(lambda: list(ports.glob("*.ports")), "the server's ports")
            found = until(lambda: json.loads(told.read_text() or "{}"), "the server's ports")
            yield {purpose: int(urls[0].rpartition(":")[2]) for purpose, urls in found.items()}
        finally:
            # it would end what it has begun with
            server.kill()


@pytest.fixture(scope="module")
def nats_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Give the port of a server that wants a login."""
    login = f"authorization {{ user: rosey, password: '{PASSWORD}' }}"
    with serve(tmp_path_factory.mktemp("server"), login) as ports:
        yield ports["nats"]


@pytest.fixture
def bot(tmp_path: Path, nats_port: int, free_port: Callable[[], int]) -> Iterator[Bot]:
    """Give a bot that is not started yet; at the end none of its processes is left, nor was a secret written."""
    made = Bot(tmp_path / "home", nats_port, free_port())
    yield made
    if made.process and made.process.poll() is None:
        made.stop(signal.SIGKILL)
        until(lambda: not command_lines(made.home), "the end of the plugins")
    if made.process:
        assert "hunter2" not in made.logs()


@pytest.fixture
def talk(nats_port: int) -> Callable[[Callable[[Client], Awaitable[Any]]], Any]:
    """Give a function that runs a coroutine function with a client of the bus."""

    def run(conversation: Callable[[Client], Awaitable[Any]]) -> Any:
        async def session() -> Any:
            client = await nats.connect(f"nats://127.0.0.1:{nats_port}", user="rosey", password=PASSWORD)
            try:
                return await conversation(client)
            finally:
                await client.close()

        return asyncio.run(session())

    return run


def chat(text: str, user: str = "ann") -> bytes:
    return json.dumps({"user": user, "message": text}).encode()


def test_chat_and_requests_go_over_the_bus(bot: Bot, talk: Callable[..., Any]) -> None:
    bot.declare("dice", ["commands.roll"])
    bot.start()
    said = bot.until_health(status="connected", subjects=6)
    assert (said.pop("uptime"), said) == (
        pytest.approx(PATIENCE / 2, abs=PATIENCE / 2),
        {
            "status": "connected",
            "connected": True,
            "channel": "mychannel",
            "version": "2.0.0",
            "user_count": 0,
            "requests": 0,
            "errors": 0,
            "nats": {"connected": True, "server": f"nats://localhost:{bot.nats_port}", "subjects": 6},
        },
    )
    assert requests.get(bot.url.replace("health", "other"), timeout=5).status_code == 404

    async def conversation(client: Client) -> None:
        heard = await client.subscribe("rosey.dev.>")

        async def say(text: str, *subjects: str, user: str = "ann") -> list[str]:
            """Chat, and give what is then said on these subjects in turn."""
            await client.publish(CHAT, chat(text, user))
            seen = [await heard.next_msg(PATIENCE) for _subject in (CHAT, *subjects)]
            assert [message.subject for message in seen] == [CHAT, *subjects]
            return [json.loads(message.data)["message"] for message in seen[1:]]

        async def ask(subject: str, data: bytes) -> bytes:
            answer = (await client.request(f"rosey.dev.{subject}", data, timeout=PATIENCE)).data
            assert (await heard.next_msg(PATIENCE)).subject == f"rosey.dev.{subject}"
            return bytes(answer)

        command, answer = await say("!quote 1", "rosey.dev.commands.quote", CHAT)
        assert (command, answer) == ("!quote 1", "Quote 1: Be excellent to each other.")
        # The cooldown holds in the chat alone; nothing that the bot itself says is a command.
        await say("!quote", "rosey.dev.commands.quote")
        assert json.loads(await ask("commands.quote", chat("!quote 2")))["message"].startswith("Quote 2: ")
        await say("!quote", user="rosey")

        assert json.loads(await ask("commands.addquote", chat("!addquote by ann")))["message"] == "Quote 4 added."
        assert await ask("commands.roll", b"any bytes") == b"any bytes"
        assert b"Send" in await ask("commands.quote", b"any bytes")

        assert (await say("!trivia", "rosey.dev.commands.trivia", CHAT))[1] == "Trivia: How many?"
        await say("three", user="ben")
        assert await say("two", CHAT, user="ben") == ["ben is right: Two. Points: 10."]
        assert (await say("!roll", "rosey.dev.commands.roll")) == ["!roll"]

    talk(conversation)
    said = bot.health()
    assert (said["user_count"], said["requests"], said["errors"]) == (2, 4, 0)
    with sqlite3.connect(bot.home / "data" / "quotes.db") as database:
        assert database.execute("SELECT user, text FROM quotes WHERE id = 4").fetchall() == [("ann", "by ann")]
    assert "Connected to NATS" in (bot.home / "logs" / "plugins" / "quotes.log").read_text()


def test_it_announces_its_start_and_its_stop_and_leaves_no_process(bot: Bot, talk: Callable[..., Any]) -> None:
    async def conversation(client: Client) -> list[str]:
        heard = await client.subscribe("rosey.dev.system.*")
        await client.flush()
        bot.start()
        subjects = [(await heard.next_msg(PATIENCE)).subject]
        await asyncio.to_thread(bot.until_health, status="connected", subjects=5)
        assert len(command_lines(bot.home)) == 3
        assert await asyncio.to_thread(bot.stop) == 0
        assert not command_lines(bot.home)
        return [*subjects, (await heard.next_msg(PATIENCE)).subject]

    assert talk(conversation) == ["rosey.dev.system.startup", "rosey.dev.system.shutdown"]


def test_plugins_end_with_a_bot_that_was_killed(bot: Bot) -> None:
    bot.start()
    bot.until_health(status="connected", subjects=5)
    bot.stop(signal.SIGKILL)
    until(lambda: not command_lines(bot.home), "the end of the plugins")


def test_a_plugin_that_was_killed_comes_back(bot: Bot) -> None:
    bot.start()
    bot.until_health(status="connected", subjects=5)
    killed = bot.plugin_pid("quotes")
    os.kill(killed, signal.SIGKILL)
    assert bot.until_health(status="degraded", subjects=3)["connected"] is False
    bot.until_health(status="connected", subjects=5)
    assert bot.plugin_pid("quotes") != killed


def test_a_plugin_that_can_not_start_is_seen(bot: Bot) -> None:
    bot.declare("trivia", ["commands.trivia"], questions_file="data/nowhere.json")
    bot.start()
    bot.until_health(status="degraded", subjects=3)
    bot.until_logged("data/nowhere.json")


def test_a_wrong_password_is_seen_and_a_restart_with_the_right_one_helps(bot: Bot) -> None:
    bot.set_password("hunter2 wrong")
    bot.start()
    bot.until_logged("Failed to connect to NATS", times=3)
    said = bot.until_health(status="connecting", bus=False, subjects=0)
    assert (said["connected"], said["nats"]["server"]) == (False, f"nats://localhost:{bot.nats_port}")
    assert bot.stop() == 0
    assert not command_lines(bot.home)
    bot.set_password(PASSWORD)
    bot.start()
    bot.until_health(status="connected", subjects=5)


# Of PASSWORD: a hash that a server needs far more than seconds for, and the cheapest that there is.
HASHES = {
    "costly": "$2a$18$xKBIxBVP7p1FnWK/Eb4Cqe4QOoSOWwFEO6baMB6r6X2S5cyL3nebK",
    "cheap": "$2a$04$9hldqdZldUM2EeArCYAhku9OLy248PDkWY8GEu48z6A50Y3qpBWCW",
}


def test_a_login_that_was_lost_to_the_client_is_told_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    users = ", ".join(f"{{user: {name}, password: '{hashed}'}}" for name, hashed in HASHES.items())

    async def connect(port: int) -> int:
        def read_options() -> dict[str, Any]:
            user = "cheap" if caplog.messages else "costly"
            return {"servers": [f"nats://localhost:{port}"], "user": user, "password": PASSWORD, "connect_timeout": 20}

        async def ignore(*_told: Any) -> None:
            """Nobody listens."""

        bus = Bus(read_options, {CHAT: ignore}, ignore)
        running = asyncio.create_task(bus.run())
        await asyncio.to_thread(until, lambda: bus.connected, "a connection")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return bus.errors

    caplog.set_level(logging.ERROR, "rosey.bus")
    with serve(tmp_path, f"authorization {{users: [{users}]}}") as ports:
        assert asyncio.run(connect(ports["nats"])) == 1
    (said,) = caplog.messages
    assert "the server took more than 2 seconds for this login" in said


def test_a_bus_that_is_away_for_long_is_found_again(bot: Bot, nats_server: Path, free_port: Callable[[], int]) -> None:
    bot.nats_port = free_port()
    bot.configure()
    bot.start()
    bot.until_health(status="connecting", bus=False)
    # The clients of all three processes give up, at first without a connection, then after they had one.
    for given_up in ("Failed to connect to NATS", "the connection was given up"):
        bot.until_logged(given_up, times=3)
        with subprocess.Popen(
            [nats_server, "-a", "127.0.0.1", "-p", str(bot.nats_port)], stderr=subprocess.DEVNULL
        ) as server:
            try:
                bot.until_health(status="connected", subjects=5)
            finally:
                server.terminate()
        bot.until_health(status="connecting", bus=False, subjects=0)


def test_from_legacy_mode_to_the_bus_and_back(bot: Bot) -> None:
    for legacy in (True, False, True):
        bot.configure(legacy=legacy)
        bot.start()
        said = bot.until_health(status="connected", **({} if legacy else {"subjects": 5}))
        assert said["connected"] is True
        assert ("nats" in said) is not legacy
        assert len(command_lines(bot.home)) == (1 if legacy else 3)
        assert bot.stop() == 0


def test_the_environment_outranks_the_file(bot: Bot) -> None:
    bot.set_password("hunter2 wrong")
    bot.start(NATS_USER="rosey", NATS_PASSWORD=PASSWORD)
    bot.until_health(status="connected", subjects=5)


def test_the_pack_installs_it_once_and_keeps_what_is_there(bot: Bot, tmp_path: Path) -> None:
    pack = tmp_path / "rosey-bot.pyz"
    subprocess.run([sys.executable, PACKAGE / "pack.py", pack], check=True)

    def install() -> list[str]:
        words = (sys.executable, pack, "--home", bot.home, "--environment", "development", "--port", "8000")
        return subprocess.check_output(words, text=True).splitlines()

    before = {path: path.read_bytes() for path in (*bot.home.rglob("*.yaml"), *bot.home.rglob("*.json"))}
    changes = install()
    assert f"changed: {bot.home / 'venv'}" in changes
    assert install() == []
    (code,) = bot.home.glob("venv/lib/python3.*/site-packages/rosey_bot/core.py")
    code.write_text("old")
    assert install() == [f"changed: {code}"]
    assert before == {path: path.read_bytes() for path in before}
    assert not list((bot.home / "venv").rglob("*.so"))
    # A login with a key finds its libraries: one in the pack, one in the environment of the Python that installed it.
    python = bot.home / "venv" / "bin" / "python"
    found = subprocess.check_output([python, "-c", "import nkeys, nacl; print(nkeys.__file__)"], text=True)
    assert found.startswith(str(bot.home / "venv"))
    described = bot.home / "venv" / "pyvenv.cfg"
    described.write_text(described.read_text().replace("= true", "= false"))
    assert install() == [f"changed: {bot.home / 'venv'}"]
    assert "include-system-site-packages = true" in described.read_text()
    bot.start(str(bot.home / "venv" / "bin" / "python"))
    bot.until_health(status="connected", subjects=5)
