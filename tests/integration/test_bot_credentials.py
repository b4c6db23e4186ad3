# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bot of the tests and its plugins with a login each, on a server that lets each do only what is its own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats
import nkeys
import pytest
import requests

from ansible_collections.rosey.nats.tests.bot.rosey_bot.settings import secret_options
from ansible_collections.rosey.nats.tests.integration.conftest import IMAGE
from ansible_collections.rosey.nats.tests.integration.test_bot import (
    CHAT,
    PACKAGE,
    PATIENCE,
    Bot,
    chat,
    command_lines,
    serve,
    until,
)

PREFIX = "rosey.dev"
# What each client publishes and subscribes to, besides its inbox; `probe` is who asks.
SUBJECTS = {
    "bot": ([f"{PREFIX}.commands.>", f"{PREFIX}.system.*", CHAT], [CHAT]),
    "quotes": ([CHAT], [f"{PREFIX}.commands.quote", f"{PREFIX}.commands.addquote"]),
    "trivia": ([CHAT], [f"{PREFIX}.commands.trivia", CHAT]),
    "probe": ([f"{PREFIX}.commands.quote"], []),
}
REFUSED = "the permissions of this login do not allow"


@dataclass(frozen=True)
class Login:
    """A client's. variables: its environment file; user: its entry in the server's configuration."""

    variables: dict[str, str]
    user: dict[str, Any]

    @property
    def shown(self) -> str:
        """Give what /connz calls it."""
        return str(self.user.get("nkey") or self.user["user"])


def make_seed() -> bytes:
    """Make the seed of a user's key."""
    return bytes(nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER))


def make_login(client: str, kind: str, directory: Path) -> Login:
    """Make a client's login, with a password or with the seed of a key in a file."""
    publishes, subscriptions = SUBJECTS[client]
    inbox = f"{PREFIX}._inbox.{client}"
    permissions = {
        "publish": {"allow": [*publishes, f"{PREFIX}._inbox.>"]},
        "subscribe": {"allow": [*subscriptions, f"{inbox}.>"]},
    }
    variables = {"NATS_INBOX_PREFIX": inbox}
    if kind == "password":
        name, password = f"{client}.1", f"hunter2 {client}"
        variables |= {"NATS_USER": name, "NATS_PASSWORD": password}
        return Login(variables, {"user": name, "password": password, "permissions": permissions})
    seed = make_seed()
    file = directory / f"{client}.nk"
    file.write_bytes(seed + b"\n")
    key = nkeys.from_seed(bytearray(seed)).public_key.decode()
    return Login(variables | {"NATS_NKEY": str(file)}, {"nkey": key, "permissions": permissions})


@dataclass(frozen=True)
class Bus:
    """A bot that is not started yet, the logins of all clients, and the server's ports by what they are for."""

    bot: Bot
    logins: dict[str, Login]
    ports: dict[str, int]

    def users(self) -> dict[str, str]:
        """Give the user that each connection of the bot has, by the connection's name."""
        url = f"http://127.0.0.1:{self.ports['monitoring']}/connz?auth=1"
        connections = requests.get(url, timeout=5).json()["connections"]
        return {each["name"]: each["authorized_user"] for each in connections}

    async def ask(self, text: str) -> str:
        """Send the command quote as a request, as the client probe."""
        options = secret_options(self.logins["probe"].variables)
        client = await nats.connect(f"nats://127.0.0.1:{self.ports['nats']}", **options)
        try:
            answer = await client.request(f"{PREFIX}.commands.quote", chat(text), timeout=PATIENCE)
            return str(json.loads(answer.data)["message"])
        finally:
            await client.close()

    def say(self, text: str) -> subprocess.CompletedProcess[str]:
        """Say something in the chat, with what the bot's files have."""
        words = (sys.executable, "-m", "rosey_bot.chat", "--home", self.bot.home, "--environment", "development", text)
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PACKAGE)}
        return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def bus(request: pytest.FixtureRequest, tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Bus]:
    """Give a bot with a login for each; its parameter: the kind of each client's."""
    kinds = getattr(request, "param", ("password",) * 4)
    logins = {client: make_login(client, kind, tmp_path) for client, kind in zip(SUBJECTS, kinds, strict=True)}
    users = json.dumps([login.user for login in logins.values()])
    with serve(tmp_path, f"http: '127.0.0.1:-1'\nauthorization {{ users: {users} }}") as ports:
        bot = Bot(tmp_path / "home", ports["nats"], free_port())
        bot.set_logins({name: logins[name].variables for name in ("bot", "quotes", "trivia")})
        yield Bus(bot, logins, ports)
        if bot.process:
            bot.stop()
            until(lambda: not command_lines(bot.home), "the end of the plugins")
            assert "hunter2" not in bot.logs()
            assert "Traceback" not in bot.logs()


@pytest.mark.parametrize(
    "bus",
    [("password",) * 4, ("nkey",) * 4, ("nkey", "password", "nkey", "password"), ("password", "nkey") * 2],
    ids=["passwords", "keys", "a bot with a key", "a bot with a password"],
    indirect=True,
)
def test_the_bot_and_each_plugin_are_users_of_their_own(bus: Bus) -> None:
    # As under systemd, which reads the bot's file into the environment.
    bus.bot.start(**bus.logins["bot"].variables)
    bus.bot.until_health(status="connected", subjects=5)
    assert bus.users() == {
        "rosey-bot-dev": bus.logins["bot"].shown,
        "rosey-bot-dev-quotes": bus.logins["quotes"].shown,
        "rosey-bot-dev-trivia": bus.logins["trivia"].shown,
    }
    assert asyncio.run(bus.ask("!quote 1")) == "Quote 1: Be excellent to each other."
    assert bus.say("!quote 2").stdout == "you: !quote 2\nrosey: Quote 2: So long, and thanks for all the fish.\n"
    assert bus.bot.health()["errors"] == 0
    assert REFUSED not in bus.bot.logs()
    for name in ("quotes", "trivia"):
        handed = Path(f"/proc/{bus.bot.plugin_pid(name)}/environ").read_text()
        assert "NATS_" not in handed


def test_a_plugin_whose_login_is_refused_does_not_take_the_bots(bus: Bus) -> None:
    bus.bot.set_logins({"quotes": {"NATS_USER": "quotes.1", "NATS_PASSWORD": "hunter2 wrong"}})
    bus.bot.start(**bus.logins["bot"].variables)
    bus.bot.until_health(status="degraded", subjects=3)
    bus.bot.until_logged("NATS: the server does not take this login")
    assert set(bus.users()) == {"rosey-bot-dev", "rosey-bot-dev-trivia"}


def test_a_subject_that_the_login_may_not_use_is_named_and_not_counted(bus: Bus) -> None:
    bus.bot.declare("quotes", ["commands.quote", "commands.Secret"], database="data/quotes.db")
    bus.bot.start()
    bus.bot.until_health(status="connected", subjects=4)
    bus.bot.until_logged(f"{REFUSED}: subscription to rosey.dev.commands.secret")
    assert asyncio.run(bus.ask("!quote 1")) == "Quote 1: Be excellent to each other."


@pytest.mark.parametrize("bus", [("nkey", "password", "nkey", "password")], indirect=True)
def test_a_bot_without_the_library_for_keys_says_so_until_it_is_there(bus: Bus, tmp_path: Path) -> None:
    # A Python without PyNaCl: nkeys imports it first of all.
    hidden = tmp_path / "hidden" / "nacl.py"
    hidden.parent.mkdir()
    hidden.write_text("raise ModuleNotFoundError(\"No module named 'nacl'\", name='nacl')\n")
    bus.bot.start(PYTHONPATH=f"{hidden.parent}:{PACKAGE}")
    bus.bot.until_logged("NATS_NKEY needs the libraries nkeys and PyNaCl (Debian's python3-nacl)", times=4)
    bus.bot.until_health(status="connecting", bus=False, subjects=2)
    hidden.unlink()
    bus.bot.until_health(status="connected", subjects=5)


@pytest.mark.parametrize("bus", [("nkey", "password", "password", "password")], indirect=True)
def test_a_bot_whose_seed_is_missing_names_the_file_until_it_is_there(bus: Bus) -> None:
    seed = Path(bus.logins["bot"].variables["NATS_NKEY"])
    aside = seed.rename(seed.with_suffix(".aside"))
    bus.bot.start()
    bus.bot.until_logged(f"No such file or directory: '{seed}'", times=2)
    aside.rename(seed)
    bus.bot.until_health(status="connected", subjects=5)


def test_the_chat_says_in_one_line_why_nothing_came(bus: Bus) -> None:
    for login, said in (
        (bus.logins["probe"].variables, f"Nobody answered within 5 s. {REFUSED}: publish to {CHAT}"),
        # The server closes the connection at once, and its reason may be lost by that.
        ({"NATS_USER": "bot.1", "NATS_PASSWORD": "hunter2 wrong"}, "Failed to connect to NATS: "),
        ({"NATS_NKEY": "/nowhere/bot.nk"}, "No such file or directory: '/nowhere/bot.nk'"),
        # The seed itself, where its file's path belongs.
        ({"NATS_NKEY": make_seed().decode()}, "No such file or directory: '********'"),
    ):
        bus.bot.set_logins({"bot": login})
        done = bus.say("!quote")
        assert (done.returncode, done.stdout) == (1, "")
        (line,) = done.stderr.splitlines()
        assert said in line
        assert "hunter2" not in line


def test_a_debian_host_has_the_libraries_for_keys(tmp_path: Path) -> None:
    pack = tmp_path / "rosey-bot.pyz"
    subprocess.run([sys.executable, PACKAGE / "pack.py", pack], check=True)
    install = "python3 /rosey-bot.pyz --home /opt/rosey-bot --environment development --port 8000 >/dev/null"
    ask = '/opt/rosey-bot/venv/bin/python -c "import nkeys, nacl; print(nkeys.__file__, nacl.__file__)"'
    words = ["docker", "run", "--rm", f"--volume={pack}:/rosey-bot.pyz:ro", IMAGE, "sh", "-c", f"{install} && {ask}"]
    from_pack, from_debian = subprocess.check_output(words, text=True).split()
    assert from_pack.startswith("/opt/rosey-bot/venv/lib/")
    assert from_debian.startswith("/usr/lib/python3/dist-packages/")
