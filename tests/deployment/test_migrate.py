# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environments, each with an inventory of its own: from one to the next, and no way from one into another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from ansible_collections.rosey.nats.tests.integration.conftest import free_ports, install_bot, local_bot, stop_all
from ansible_collections.rosey.nats.tests.sampling import sampled

ROOT = Path(__file__).parents[2]
# Two bots in one environment, as two servers would have them, and an environment of a user's own in place of staging.
HOSTS = {"development": ["one", "two"], "qa": ["test"], "production": ["live"]}
QA = {"qa": {"prefix": "rosey.qa", "after": "staging"}}
MEANT = "-emigrate_stages=development,qa,production"
LOGIN = {"user": "rosey", "password": "known to both sides"}


@dataclass(frozen=True)
class Host:
    """One server with its bot, as processes of this user in a directory."""

    root: Path
    environment: str
    port: int
    monitoring_port: int
    bot_port: int

    @property
    def home(self) -> Path:
        return self.root / "opt" / "rosey-bot"

    @property
    def variables(self) -> dict[str, Any]:
        login = {} if self.environment == "development" else {"nats_server_credentials": LOGIN}
        return {
            **local_bot(self.home, self.bot_port, self.environment),
            **login,
            **({"bot_config_environments": QA} if self.environment == "qa" else {}),
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "nats_server_runtime": "process",
            "nats_server_install_method": "build",
            "nats_server_prefix": str(self.root),
            "nats_server_config": {
                "server_name": f"rosey_{self.environment}",
                "port": self.port,
                "http_port": self.monitoring_port,
            },
        }

    def server_id(self) -> str | None:
        """Name the process of the server; None where none answers."""
        try:
            answer = requests.get(f"http://127.0.0.1:{self.monitoring_port}/varz", timeout=5)
        except requests.ConnectionError:
            return None
        return str(answer.json()["server_id"])

    def section(self) -> dict[str, Any] | None:
        path = self.home / "environments" / self.environment / "config.yaml"
        section: dict[str, Any] | None = yaml.safe_load(path.read_text()).get("nats")
        return section


@dataclass(frozen=True)
class World:
    """All environments below a directory."""

    directory: Path
    hosts: dict[str, Host]

    def play(self, playbook: str, environments: list[str], *options: str) -> str:
        """Run a playbook with the inventories of some environments; give its output, the exit status in front."""
        inventories = [f"-i{self.directory / 'inventories' / each}" for each in environments]
        done = subprocess.run(
            ["ansible-playbook", playbook, *inventories, *options],
            cwd=ROOT,
            env={**os.environ, "COLUMNS": "1000", "ANSIBLE_NOCOLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        return f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"

    def running(self) -> list[str]:
        return sorted(name for name, host in self.hosts.items() if host.server_id())


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    hosts = {}
    ports = free_ports(12)
    for environment, names in HOSTS.items():
        for name in names:
            host = Host(tmp_path / name, environment, *(ports.pop() for _each in range(3)))
            host.home.parent.mkdir(parents=True)
            install_bot(host.home, host.bot_port, environment)
            hosts[name] = host
        inventory = tmp_path / "inventories" / environment
        inventory.mkdir(parents=True)
        described = {
            environment: {"hosts": {name: hosts[name].variables for name in names}},
            "rosey": {"children": {environment: None}},
        }
        (inventory / "hosts.yml").write_text(json.dumps(described))
    yield World(tmp_path, hosts)
    stop_all(tmp_path)


@pytest.mark.thorough
def test_the_stages_follow_each_other_and_a_second_time_changes_nothing(world: World) -> None:
    # in whatever order their inventories are given
    said = world.play("playbooks/migrate.yml", [*reversed(HOSTS)], MEANT, "-erosey_watch_seconds=2")
    assert said.startswith("exit 0"), said
    assert world.running() == ["live", "one", "test", "two"]
    titles = ["1 of 3, development", "2 of 3, qa", "3 of 3, production"]
    assert all(f"{title}: {', '.join(names)}" in said for title, names in zip(titles, HOSTS.values(), strict=True))
    assert "not migrated: staging, of which no host is given" in said
    plays = said.split("PLAY [")[2:]
    assert [play.partition("Begin a stage")[2].partition("msg: '")[2].partition(":")[0] for play in plays] == titles
    assert [sorted({name for name in world.hosts if f"[{name}]" in play}) for play in plays] == [*HOSTS.values()]
    assert all("watched for 2 seconds; all proofs held" in play for play in plays)
    prefixes = {name: (host.section() or {})["prefix"] for name, host in world.hosts.items()}
    assert prefixes == {"one": "rosey.dev", "two": "rosey.dev", "test": "rosey.qa", "live": "rosey.prod"}

    ids = {name: host.server_id() for name, host in world.hosts.items()}
    again = world.play("playbooks/migrate.yml", list(HOSTS), MEANT, "-erosey_watch_seconds=1")
    assert again.startswith("exit 0"), again
    assert "changed=0" in again
    assert not [line for line in again.splitlines() if "changed=" in line and "changed=0" not in line]
    assert {name: host.server_id() for name, host in world.hosts.items()} == ids


@pytest.mark.thorough
def test_the_first_gate_that_does_not_pass_ends_it(world: World) -> None:
    data = world.hosts["test"].home / "data"
    data.rename(data.with_name("away"))
    data.write_text("no directory")
    options = (MEANT, "-erosey_watch_seconds=1", "-ebot_config_gate_wait=4")
    said = world.play("playbooks/migrate.yml", list(HOSTS), *options)
    assert said.startswith("exit 2"), said
    assert "rosey.qa.commands.quote" in said
    assert world.running() == ["one", "test", "two"]
    assert world.hosts["live"].section() is None


@pytest.mark.thorough
def test_check_mode_predicts_every_stage_and_watches_none(world: World) -> None:
    said = world.play("playbooks/migrate.yml", list(HOSTS), MEANT, "--check")
    assert said.startswith("exit 0"), said
    assert world.running() == []


@pytest.mark.parametrize(
    ("options", "words"),
    sampled(
        [
            ([], "production comes after staging, of which no host is given"),
            (["-emigrate_stages=staging,production"], "migrate_stages has staging, of which no host is given"),
            (["-emigrate_stages=development,prod"], 'migrate_stages has "prod"; expected some of'),
            (["-emigrate_stage=production"], "migrate_stage is no variable of the playbooks"),
            (["--tags=nats_server"], "--tags nats_server: a part of a change, which was not watched"),
        ],
        2,
    ),
)
def test_a_stage_that_would_be_passed_by_is_refused_before_the_first(
    options: list[str], words: str, tmp_path: Path
) -> None:
    # nothing is begun, so there need be no host
    inventories = tmp_path / "inventories"
    for environment in ("development", "production"):
        (inventories / environment).mkdir(parents=True)
        here = {"ansible_connection": "local", "bot_config_environment": environment}
        (inventories / environment / "hosts.yml").write_text(json.dumps({"rosey": {"hosts": {environment: here}}}))
    said = World(tmp_path, {}).play("playbooks/migrate.yml", ["development", "production"], *options)
    assert said.startswith("exit 2"), said
    assert words in " ".join(said.split())
    assert "Observe" not in said


@pytest.mark.thorough
def test_a_limit_leaves_the_others_alone(world: World) -> None:
    said = world.play("site.yml", ["development"], "--limit=two")
    assert said.startswith("exit 0"), said
    assert world.running() == ["two"]
    assert world.hosts["one"].section() is None


def test_an_overlay_changes_one_setting_of_a_plugin(tmp_path: Path) -> None:
    # The plugins' own settings are templates, which Ansible renders while they are laid over each other.
    overlays = {"bot_plugins_overrides": {"trivia": {"config": {"time_limit": 5}}}}
    shown = tmp_path / "show.yml"
    role = {"name": "rosey.nats.bot_plugins", "tasks_from": "describe"}
    tasks = [{"import_role": role}, {"debug": {"msg": "{{ bot_plugins_effective[1].config }}"}}]
    shown.write_text(yaml.safe_dump([{"hosts": "rosey", "gather_facts": False, "tasks": tasks}]))
    words = ["ansible-playbook", str(shown), "-iinventories/development", "-ebot_config_home=/home"]
    done = subprocess.run([*words, f"-e{json.dumps(overlays)}"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "time_limit: 5\n" in done.stdout, done.stdout
    assert "questions_file: /home/data/trivia.json\n" in done.stdout
    assert "points_correct: 10\n" in done.stdout


# The one that deploys, and one that takes away, first.
PLAYBOOKS = sorted(
    (path.stem for path in (ROOT / "playbooks").glob("*.yml")), key=lambda name: (name not in ("site", "remove"), name)
)

# What somebody could try to bring a bot of staging on to the subjects of production.
INTO_PRODUCTION: dict[str, dict[str, Any]] = {
    "the environment": {"bot_config_environment": "production"},
    "the prefix in a profile": {
        "bot_config_profiles": {"standard": {"prefix": "rosey.prod"}},
    },
    "a wildcard": {"bot_plugins_overrides": {"quotes": {"subscriptions": ["rosey.*.commands.quote"]}}},
    "the prefix": {"bot_config_nats": {"prefix": "rosey.prod"}},
    "the prefix among the defaults": {"bot_config_nats_defaults": {"prefix": "rosey.prod"}},
    "a wider prefix": {"bot_config_nats": {"prefix": "rosey"}},
    "a prefix with a wildcard": {"bot_config_nats": {"prefix": "rosey.*"}},
    "a subscription": {"bot_plugins_overrides": {"quotes": {"subscriptions": ["rosey.prod.commands.quote"]}}},
    "all": {"bot_plugins_overrides": {"quotes": {"subscriptions": ["rosey.>"]}}},
    "a publish": {"bot_plugins_overrides": {"quotes": {"publishes": ["rosey.prod.cytube.chat.message"]}}},
    "the bot's own": {"bot_plugins_bot": {"publishes": ["rosey.prod.>"], "subscriptions": []}},
    "the inbox": {"bot_config_nats": {"inbox_prefix": "rosey.prod.commands"}},
    "the round trip": {"bot_config_round_trip_subject": "rosey.prod.commands.quote"},
}


@pytest.mark.parametrize("what", sampled(INTO_PRODUCTION, 3))
def test_no_variable_brings_staging_on_to_the_prefix_of_production(what: str, tmp_path: Path) -> None:
    # It is refused before a host is touched, so there need be none.
    inventory = tmp_path / "staging" / "hosts.yml"
    inventory.parent.mkdir()
    host = Host(tmp_path / "test", "staging", 4222, 8222, 8000)
    inventory.write_text(json.dumps({"rosey": {"hosts": {"test": host.variables}}}))
    done = subprocess.run(
        ["ansible-playbook", "site.yml", f"-i{inventory}", f"-e{json.dumps(INTO_PRODUCTION[what])}"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "1000", "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stdout
    assert "Observe" not in done.stdout
    assert "rosey.staging" in done.stdout or "in the inventory of staging" in " ".join(done.stdout.split())
    assert not host.root.exists()


@pytest.mark.parametrize("playbook", sampled(PLAYBOOKS, 2))
def test_a_copied_inventory_that_kept_its_environment_is_refused_by_each_playbook(
    playbook: str, tmp_path: Path
) -> None:
    copy = tmp_path / "inventories" / "qa" / "hosts.yml"
    copy.parent.mkdir(parents=True)
    host = Host(tmp_path / "live", "production", 4222, 8222, 8000)
    copy.write_text(json.dumps({"rosey": {"hosts": {"live": host.variables}}}))
    said = World(tmp_path, {}).play(f"playbooks/{playbook}.yml", ["qa"])
    assert said.startswith("exit 2"), said
    said = " ".join(said.split())
    assert f"the host stands in the inventory {copy.parent}, among those of other environments" in said
    assert "Nothing was touched." in said
    assert not host.root.exists()


@pytest.mark.parametrize("place", ["ansible", "inventories/production", "inventories/eu"])
def test_an_inventory_that_is_meant_is_taken(place: str, tmp_path: Path) -> None:
    file = tmp_path / place / "hosts.yml"
    file.parent.mkdir(parents=True)
    meant = {"bot_config_environments": {"production": {"inventories": ["eu"]}}} if place.endswith("eu") else {}
    variables = {**Host(tmp_path / "live", "production", 4222, 8222, 8000).variables, **meant}
    file.write_text(json.dumps({"rosey": {"hosts": {"live": variables}}}))
    done = subprocess.run(
        ["ansible-playbook", "playbooks/contract.yml", f"-i{file}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
