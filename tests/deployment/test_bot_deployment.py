# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bot on its bus as a process: what a change of the description does to files, bot and subscriptions."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nats
import pytest
import requests
import yaml

from ansible_collections.rosey.nats.tests.sampling import sampled

if TYPE_CHECKING:
    from ansible_collections.rosey.nats.tests.integration.conftest import Deployment

QUOTES = {
    "name": "quotes",
    "subscriptions": ["commands.quote", "commands.addquote", "commands.delquote"],
    "publishes": ["cytube.chat.message"],
    "config": {"database": "data/quotes.db", "max_quote_length": 500, "cooldown": 0},
}
ROLL = {"name": "roll", "subscriptions": ["commands.roll"], "publishes": ["cytube.chat.message"]}


class Bot:
    """What can be seen of a deployed bot."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.directory = deployment.home / "environments" / "development"

    @property
    def pid(self) -> int:
        return int((self.deployment.home / "bot.pid").read_text())

    @property
    def plugin_files(self) -> list[str]:
        return sorted(path.name for path in (self.directory / "plugins").iterdir() if path.suffix == ".yaml")

    def health(self) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.deployment.bot_port}/api/health"
        answer: dict[str, Any] = requests.get(url, timeout=5).json()
        return answer

    def state(self) -> tuple[int, str, dict[str, bytes]]:
        """Give what tells whether a test has left anything else: bot, server, and files."""
        varz = self.deployment.varz()
        return self.pid, f"{varz['server_id']} {varz['config_load_time']}", self.deployment.files()

    def held(self) -> set[str]:
        """Give the subjects of the bus that are held on the server."""
        url = f"http://127.0.0.1:{self.deployment.monitoring_port}/connz?subs=1"
        connections = requests.get(url, timeout=5).json()["connections"]
        subjects = {subject for each in connections for subject in each.get("subscriptions_list", [])}
        return {subject for subject in subjects if subject.startswith("rosey.")}

    def play(self, changes: dict[str, Any], *options: str) -> str:
        return self.deployment.play(changes, *options)

    def ask(self, command: str) -> str:
        """Say a command in the chat and give what a plugin answers."""

        async def conversation() -> str:
            client = await nats.connect(f"nats://127.0.0.1:{self.deployment.port}")
            try:
                chat = await client.subscribe("rosey.dev.cytube.chat.message")
                said = json.dumps({"user": "somebody", "message": command}).encode()
                await client.publish("rosey.dev.cytube.chat.message", said)
                await chat.next_msg(timeout=5)
                return str(json.loads((await chat.next_msg(timeout=5)).data)["message"])
            finally:
                await client.close()

        return asyncio.run(conversation())


@pytest.fixture
def bot(bot_deployment: Deployment) -> Iterator[Bot]:
    """The bot as it was described first, whatever the test before did."""
    deployed = Bot(bot_deployment)
    before = deployed.state()
    yield deployed
    if deployed.state() != before:
        said = bot_deployment.play({})
        assert said.startswith("exit 0"), said


def test_an_unchanged_run_changes_nothing_and_restarts_nothing(bot: Bot) -> None:
    pid, server, files = bot.pid, bot.deployment.varz()["server_id"], bot.deployment.files()
    said = bot.play({})
    assert "changed=0" in said
    assert "bot connected to nats://localhost:" in said
    assert "4 of 4" not in said
    assert "3 of 3 subscriptions held, round trip p50" in " ".join(said.split())
    assert (bot.pid, bot.deployment.varz()["server_id"], bot.deployment.files()) == (pid, server, files)
    assert bot.ask("!quote").startswith("Quote ")


def test_the_section_is_all_that_differs_in_the_bots_file(bot: Bot) -> None:
    text = (bot.directory / "config.yaml").read_text()
    section = yaml.safe_load(text)["nats"]
    assert section == {
        "servers": [f"nats://localhost:{bot.deployment.port}"],
        "name": "rosey-bot-development",
        "reconnect_time_wait": 2,
        "max_reconnect_attempts": 60,
        "ping_interval": 30,
        "max_outstanding_pings": 2,
        "prefix": "rosey.dev",
    }
    assert "channel: mychannel     # on CyTube\n" in text


@pytest.mark.thorough
def test_what_the_bot_does_not_read_restarts_nothing(bot: Bot) -> None:
    pid = bot.pid
    said = bot.play({"nats_server_config": {"max_connections": 78}})
    assert "bot: " in said
    assert bot.pid == pid
    assert bot.deployment.varz()["max_connections"] == 78


@pytest.mark.thorough
def test_a_profile_restarts_the_bot_alone(bot: Bot) -> None:
    pid, server = bot.pid, bot.deployment.varz()["server_id"]
    said = bot.play({"bot_config_profile": "low_latency"}, "--diff")
    assert "-  ping_interval: 30" in said
    assert "+  ping_interval: 15" in said
    assert "mychannel" not in said
    assert bot.pid != pid
    assert bot.deployment.varz()["server_id"] == server


def test_check_mode_predicts_and_touches_nothing(bot: Bot) -> None:
    pid, files = bot.pid, bot.deployment.files()
    changes = {"bot_config_profile": "low_latency", "bot_plugins_declared": [ROLL]}
    said = bot.play(changes, "--check", "--diff")
    assert said.startswith("exit 0"), said
    assert "+  ping_interval: 15" in said
    assert "roll.yaml" in said
    assert "quotes.yaml" in said
    assert (bot.pid, bot.deployment.files()) == (pid, files)


@pytest.mark.thorough
def test_a_file_that_the_bot_never_read_restarts_it(bot: Bot) -> None:
    # as after a run that was cut off between writing and restarting
    pid = bot.pid
    (bot.directory / "plugins" / "quotes.yaml").touch()
    tomorrow = time.time() + 86400
    os.utime(bot.directory / "secrets.env", (tomorrow, tomorrow))
    said = bot.play({}, "--diff")
    assert "written since the bot was started" in said
    assert "which is yet to come" in said
    assert bot.pid != pid
    # once, whatever the file's time was
    restarted, said = bot.pid, bot.play({})
    assert re.search(r"changed=0 .*failed=0", said), said
    assert bot.pid == restarted


@pytest.mark.thorough
def test_a_disabled_plugin_keeps_its_file_and_loses_its_subscriptions(bot: Bot) -> None:
    said = bot.play({"bot_plugins_declared": [QUOTES, ROLL], "bot_plugins_overrides": {"quotes": {"enabled": False}}})
    assert said.startswith("exit 0"), said
    assert "1 of 1 subscriptions held" in " ".join(said.split())
    assert yaml.safe_load((bot.directory / "plugins" / "quotes.yaml").read_text())["enabled"] is False
    assert bot.held() == {"rosey.dev.commands.roll", "rosey.dev.cytube.chat.message"}


@pytest.mark.thorough
def test_a_renamed_plugin_follows(bot: Bot) -> None:
    said = bot.play({"bot_plugins_declared": [{**ROLL, "name": "dice", "subscriptions": ["commands.dice"]}]})
    assert said.startswith("exit 0"), said
    assert bot.plugin_files == ["dice.yaml"]
    assert bot.held() == {"rosey.dev.commands.dice", "rosey.dev.cytube.chat.message"}


@pytest.mark.thorough
def test_a_removed_plugin_goes_and_a_hand_made_file_stays_and_is_named(bot: Bot) -> None:
    by_hand = bot.directory / "plugins" / "by_hand.yaml"
    by_hand.write_text("name: by_hand\nenabled: false\n")
    try:
        said = bot.play({"bot_plugins_declared": [ROLL]})
        assert said.startswith("exit 0"), said
        assert bot.plugin_files == ["by_hand.yaml", "roll.yaml"]
        assert bot.held() == {"rosey.dev.commands.roll", "rosey.dev.cytube.chat.message"}
        assert f"not described here, and left alone: {by_hand}" in " ".join(said.split())
    finally:
        by_hand.unlink()


@pytest.mark.thorough
def test_legacy_mode_takes_the_bus_away_and_proves_that_the_bot_runs_without(bot: Bot) -> None:
    said = bot.play({"bot_config_mode": "legacy"})
    assert said.startswith("exit 0"), said
    assert "nats" not in yaml.safe_load((bot.directory / "config.yaml").read_text())
    assert "NATS" not in (bot.directory / "secrets.env").read_text()
    assert "nats" not in bot.health()
    assert bot.held() == set()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("tag", "written"),
    [
        ("bot_plugins", ["plugins/.rosey-nats", "plugins/quotes.yaml", "plugins/roll.yaml"]),
        ("bot_config", ["config.yaml"]),
        ("nats_server", []),
    ],
)
def test_a_tag_applies_its_part_alone(bot: Bot, tag: str, written: list[str]) -> None:
    before = bot.deployment.files()
    changed = {**QUOTES, "config": {**QUOTES["config"], "cooldown": 1}}
    changes = {
        "bot_config_profile": "low_latency",
        "bot_plugins_declared": [changed, ROLL],
        "nats_server_config": {"max_connections": 79},
    }
    said = bot.play(changes, "--tags", tag)
    assert said.startswith("exit 0"), said
    after = bot.deployment.files()
    names = [str(Path(path).relative_to(bot.directory)) for path in after if "environments" in path]
    assert [name for name in sorted(names) if after[path_of(bot, name)] != before.get(path_of(bot, name))] == written
    assert (bot.deployment.varz()["max_connections"] == 79) is (tag == "nats_server")


def path_of(bot: Bot, name: str) -> str:
    return str(bot.directory / name)


def test_a_password_reaches_server_and_bot_from_one_variable(bot: Bot) -> None:
    login = {"user": "rosey", "password": "pa ss'\"$#\\w"}
    said = bot.play({"nats_server_credentials": login})
    assert said.startswith("exit 0"), said
    assert "3 of 3 subscriptions held, round trip p50" in " ".join(said.split())
    again = bot.play({"nats_server_credentials": login})
    assert "changed=0" in again
    assert bot.deployment.varz()["auth_required"] is True
    assert (bot.directory / "secrets.env").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("text", "said"),
    sampled(
        [
            ("nats:\n  name: a\nnats:\n  name: b\n", "line 3"),
            ("a: 1\n---\nb: 2\n", "line 2"),
            ("{nats: {name: a}}\n", "line 1"),
            ("- a\n", "line 1"),
            ("nats: &n {name: a}\nother: *n\n", "line 2"),
            ("a:\n\tb: 1\n", "line 2"),
        ],
        2,
    ),
    ids=["two sections", "two documents", "flow style", "no mapping", "anchor used outside", "tab"],
)
def test_a_file_that_can_not_be_cut_is_refused_before_anything_is_touched(bot: Bot, text: str, said: str) -> None:
    config = bot.directory / "config.yaml"
    kept = config.read_text()
    try:
        config.write_text(text)
        files, server = bot.deployment.files(), bot.deployment.varz()
        output = " ".join(bot.play({"nats_server_config": {"max_connections": 80}}).split())
        assert output.startswith("exit 2")
        assert f"{config}: " in output
        assert said in output
        assert bot.deployment.files() == files
        assert bot.deployment.varz()["config_load_time"] == server["config_load_time"]
        assert bot.ask("!quote").startswith("Quote ")
    finally:
        config.write_text(kept)


BAD: dict[str, tuple[dict[str, Any], list[str]]] = {
    "another prefix": (
        {"bot_config_nats": {"prefix": "rosey.prod"}},
        ['prefix: "rosey.prod" is the prefix of production; expected rosey.dev'],
    ),
    "another environment's subject": (
        {"bot_plugins_declared": [{**ROLL, "subscriptions": ["rosey.prod.commands.roll"]}]},
        ["roll", "rosey.prod.commands.roll"],
    ),
    "user and token": (
        {"nats_server_credentials": {"user": "rosey", "password": "hunter2", "token": "hunter2"}},
        ["nats_server_credentials", "password, token, user together"],
    ),
    "no command for the process": ({"bot_config_command": []}, ["bot_config_command is empty"]),
    "unknown profile": ({"bot_config_profile": "fast"}, ["bot_config_profile", '"fast"', "low_latency"]),
    "unknown environment": ({"bot_config_environment": "prod"}, ["bot_config_environment", "prod", "development"]),
    "servers twice": ({"bot_config_nats": {"servers": ["nats://h"]}}, ["servers stands in bot_config_nats"]),
    "negative time": ({"bot_config_nats": {"ping_interval": -5}}, ["ping_interval: -5 is not a number of seconds"]),
    "a gate without an end": ({"bot_config_gate_wait": 10**20}, ["bot_config_gate_wait is 1000", "from 0 to 86400"]),
    "wrong type": ({"bot_config_nats": {"max_outstanding_pings": "2"}}, ['max_outstanding_pings: "2" is not a whole']),
    "secret in the section": ({"bot_config_nats": {"password": "hunter2"}}, ["password is a secret"]),
    "long password": (
        {"nats_server_credentials": {"user": "rosey", "password": "hunter2" * 11}},
        ["password has 77 bytes; bcrypt takes 72 at most"],
    ),
    "line break": (
        {"nats_server_credentials": {"user": "rosey", "password": "hunter2\n"}},
        ["password holds a line break"],
    ),
    "authorization twice": (
        {
            "nats_server_credentials": {"token": "hunter2"},
            "nats_server_config": {"authorization": {"token": "$2a$11$" + "a" * 53}},
        },
        ["authorization stands in nats_server_config as well"],
    ),
    "path in a name": (
        {"bot_plugins_declared": [{**ROLL, "name": "../roll"}]},
        ['name: "../roll" can\'t name a plugin'],
    ),
    "two of one name": ({"bot_plugins_declared": [ROLL, {**ROLL, "name": "Roll"}]}, ['"Roll" is there already']),
    "unknown overlay": ({"bot_plugins_overrides": {"qutes": {}}}, ['"qutes" is no declared plugin', "quotes"]),
    "another environment's subject, overlaid": (
        {"bot_plugins_overrides": {"quotes": {"publishes": ["rosey.prod.cytube.chat.message"]}}},
        ["quotes", "rosey.prod.cytube.chat.message"],
    ),
    "another environment's traffic": (
        {"bot_plugins_bot": {"publishes": ["rosey.prod.commands.>"], "subscriptions": []}},
        ["rosey.prod.commands.>"],
    ),
    "wildcard in a publish": ({"bot_plugins_declared": [{**ROLL, "publishes": ["cytube.*"]}]}, ["roll", "cytube.*"]),
    "foreign root": ({"bot_plugins_declared": [{**ROLL, "publishes": ["chat.message"]}]}, ["roll", "chat.message"]),
}


@pytest.mark.parametrize("row", sampled(BAD, 2))
def test_a_bad_description_is_refused_before_the_host_is_touched(bot_deployment: Deployment, row: str) -> None:
    changes, expected = BAD[row]
    files, server = bot_deployment.files(), bot_deployment.varz()
    said = " ".join(bot_deployment.play(changes).split())
    assert said.startswith("exit 2")
    for part in (*expected, "here"):
        assert part in said
    assert "hunter2" not in said
    assert "Observe" not in said
    assert bot_deployment.files() == files
    assert bot_deployment.varz()["config_load_time"] == server["config_load_time"]


@pytest.mark.thorough
def test_a_bot_that_is_not_installed_is_said_and_left_out(deployment: Deployment) -> None:
    said = " ".join(deployment.play({}).split())
    assert said.startswith("exit 0")
    assert f"{deployment.home} is not there: the bot is not installed" in said
    assert "bot proven: nothing, since the bot is not installed" in said
    assert not deployment.home.exists()


@pytest.mark.thorough
def test_a_gate_that_was_asked_for_is_not_left_out(deployment: Deployment) -> None:
    said = " ".join(deployment.play({"bot_config_gate": "always", "bot_config_gate_wait": 1}).split())
    assert said.startswith("exit 2")
    assert f"the bot at http://localhost:{deployment.bot_port}/api/health has not proven what was meant" in said


@pytest.mark.thorough
def test_a_bot_that_does_not_come_up_fails_the_deployment(bot: Bot) -> None:
    data = bot.deployment.home / "data"
    moved = data.with_name("data.away")
    shutil.move(data, moved)
    data.write_text("no directory")
    try:
        changed = {**QUOTES, "config": {**QUOTES["config"], "cooldown": 2}}
        said = bot.play({"bot_plugins_declared": [changed], "bot_config_gate_wait": 2})
        assert said.startswith("exit 2")
        assert "quotes: rosey.dev.commands.quote" in said or "quotes" in said
        assert "rosey.dev.commands.addquote" in said
    finally:
        data.unlink()
        shutil.move(moved, data)
