# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text and surroundings that are unusual and right: each is taken as it is, and a second run changes nothing."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest
import yaml

from ansible_collections.rosey.nats.tests.integration.conftest import (
    ROOT,
    Deployment,
    free_ports,
    install_bot,
    stop_all,
)

pytestmark = pytest.mark.thorough

NAME = "my clone é'q 100%d #1"
PASSWORD = "{{ inventory_hostname }} p{#q {% if"
SETTING = "{{ 1 / 0 }} {% raw"
# The keys and values of a plugin's settings that YAML, Jinja and JSON understand differently.
SETTINGS = """\
database: data/quotes.db
max_quote_length: 500
cooldown: 0
since: 2024-02-29
at: 2024-02-29 01:02:03
mode: 0644
quoted: "0644"
on: 5
"""
# What others have in the bot's file: it stays byte for byte, and none of it is the section.
OTHERS = """
defaults: &defaults {retries: 3}
merged:
  <<: *defaults
  retries: 4
notes: |
  nats:
    servers: [nats://nobody:1]
  🎉 emoji
"""
NO_ANSWER = "http://127.0.0.1:9"
PROXIES = {
    **{name: NO_ANSWER for each in ("http_proxy", "https_proxy", "all_proxy") for name in (each, each.upper())},
    "no_proxy": "",
    "NO_PROXY": "",
}


class Clone:
    """A clone of the collection in a directory with an unusual name, and what it deploys in itself."""

    def __init__(self, place: Path) -> None:
        self.directory = place / NAME
        ignored = shutil.ignore_patterns(".git", ".venv*", ".cache", ".*_cache", "__pycache__", "output", ".dev")
        shutil.copytree(ROOT, self.directory, symlinks=True, ignore=ignored)
        self.deployment = Deployment(self.directory / ".dev", *free_ports(3))
        self.bot = self.deployment.home / "environments" / "development"
        self.key = place / "key"
        self.key.write_text("of the vault\n")
        self.inventory = place / "inventory"
        (self.inventory / "host_vars" / "here").mkdir(parents=True)

    def vault(self, *words: str) -> str:
        command = ["ansible-vault", *words[:1], "--vault-password-file", self.key, *words[1:]]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def describe(self, password: str = PASSWORD) -> None:
        """Write the inventory: a password by encrypt_string, and a file that is encrypted as a whole."""
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        hosts = {"rosey": {"hosts": {"here": {**self.deployment.variables, **local}}}}
        (self.inventory / "hosts.yml").write_text(json.dumps(hosts))
        variables = self.inventory / "host_vars" / "here"
        settings = SETTINGS.replace("\n", "\n      ")
        (variables / "described.yml").write_text(
            f"{self.vault('encrypt_string', '--name', 'vault_nats_password', password)}\n"
            'nats_server_credentials: {user: rosey, password: "{{ vault_nats_password }}"}\n'
            "bot_plugins_declared:\n"
            "  - name: quotes\n"
            "    subscriptions: [commands.quote, commands.addquote, commands.delquote]\n"
            "    publishes: [cytube.chat.message]\n"
            f'    config:\n      {settings}key: "{{{{ vault_key }}}}"\n'
            f"      greeting: !unsafe '{SETTING}'\n"
        )
        whole = variables / "vault.yml"
        whole.write_text(f"vault_key: !unsafe '{SETTING}'\n")
        self.vault("encrypt", str(whole))

    def play(self, *options: str, environment: dict[str, str] | None = None) -> str:
        """Run site.yml of the clone; give what it printed, and its exit status in front."""
        command = ["ansible-playbook", "site.yml", "-i", self.inventory, "--vault-password-file", self.key, *options]
        done = subprocess.run(
            command,
            cwd=self.directory,
            env={**os.environ, **(environment or {}), "COLUMNS": "1000", "ANSIBLE_NOCOLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        return f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"

    def files(self) -> dict[str, bytes]:
        return self.deployment.files()


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    made = Clone(tmp_path_factory.mktemp("surroundings"))
    made.deployment.home.parent.mkdir(parents=True)
    install_bot(made.deployment.home, made.deployment.bot_port)
    config = made.bot / "config.yaml"
    config.write_bytes((config.read_text() + OTHERS).replace("\n", "\r\n").encode())
    made.describe()
    yield made
    stop_all(made.directory)


@pytest.fixture(scope="module")
def deployed(clone: Clone) -> Clone:
    """The clone after its first run, which is seen to be its own."""
    before = (clone.bot / "config.yaml").read_bytes()
    said = clone.play("-vv", "--diff")
    assert said.startswith("exit 0"), said
    assert f"task path: {clone.directory}/" in said
    assert SETTING not in said
    assert "p{#q" not in said
    assert (clone.bot / "config.yaml").read_bytes().startswith(before)
    return clone


def test_a_second_run_asks_past_all_proxies_and_changes_nothing(deployed: Clone) -> None:
    before = deployed.files()
    said = deployed.play(environment=PROXIES)
    assert said.startswith("exit 0"), said
    assert "changed=0 " in said
    assert "3 of 3 subscriptions held, round trip p50" in " ".join(said.split())
    assert deployed.files() == before


def test_a_password_that_looks_like_a_template_is_taken_literally(deployed: Clone) -> None:
    async def connect() -> bool:
        client = await nats.connect(
            f"nats://127.0.0.1:{deployed.deployment.port}",
            user="rosey",
            password=PASSWORD,
            allow_reconnect=False,
        )
        await client.close()
        return True

    assert asyncio.run(connect())
    assert deployed.deployment.varz()["auth_required"] is True


def test_a_file_of_the_bot_keeps_what_others_wrote(deployed: Clone) -> None:
    text = (deployed.bot / "config.yaml").read_bytes()
    assert b"\n" not in text.replace(b"\r\n", b"")
    read = yaml.safe_load(text)
    assert read["merged"] == {"retries": 4}
    assert read["notes"] == "nats:\n  servers: [nats://nobody:1]\n🎉 emoji\n"
    assert read["nats"]["servers"] == [f"nats://localhost:{deployed.deployment.port}"]


def test_a_plugin_reads_the_settings_that_were_described(deployed: Clone) -> None:
    file = yaml.safe_load((deployed.bot / "plugins" / "quotes.yaml").read_text())
    assert file["config"] == {**yaml.safe_load(SETTINGS), "key": SETTING, "greeting": SETTING}


def test_no_error_evaluates_or_shows_a_secret(deployed: Clone) -> None:
    before = deployed.files()
    deployed.describe("{{ 6 * 7 }} hunter2 {% if" + "x" * 72)
    try:
        said = deployed.play("--check", "-vvv")
    finally:
        deployed.describe()
    assert said.startswith("exit 2"), said
    assert "here: nats_server_credentials can't be used; nothing was touched." in said
    assert "password has 97 bytes; bcrypt takes 72 at most" in " ".join(said.split())
    assert "hunter2" not in said
    assert "42 hunter2" not in said
    assert deployed.files() == before
