# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide's values of every environment and profile, as one table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.rosey.nats.plugins.module_utils._bot import client_options
from ansible_collections.rosey.nats.plugins.module_utils._server import subjects
from ansible_collections.rosey.nats.plugins.module_utils._server.options import reading

ROOT = Path(__file__).parents[2]

EVERYWHERE = {
    "host": "127.0.0.1",
    "port": 4222,
    "http_port": 8222,
    "log_file": "{{ nats_server_log_dir }}/nats-server.log",
    "log_size_limit": 104857600,
    "log_max_num": 5,
    "debug": False,
    "trace": False,
    "logtime": True,
    "max_control_line": 4096,
    "max_payload": 1048576,
    "ping_max": 2,
}
STORE = {"store_dir": "{{ nats_server_data_dir }}"}
ENVIRONMENTS = {
    "development": {"server_name": "rosey_nats_dev", "jetstream": STORE},
    "staging": {
        "server_name": "rosey_nats_test",
        "debug": True,
        "max_connections": 50,
        "ping_interval": "1m",
        "jetstream": {**STORE, "max_mem": "512M", "max_file": "5G"},
    },
    "production": {
        "server_name": "rosey_nats_prod",
        "max_connections": 200,
        "ping_interval": "2m",
        "jetstream": {**STORE, "max_mem": "2G", "max_file": "20G"},
    },
}
PROFILES = {
    "standard": {},
    "high_traffic": {
        "max_connections": 500,
        "max_payload": 2097152,
        "jetstream": {**STORE, "max_mem": "4G", "max_file": "50G"},
    },
}
CLIENT = {
    "development": {
        "name": "rosey-bot-dev",
        "reconnect_time_wait": 2,
        "max_reconnect_attempts": 60,
        "ping_interval": 30,
        "max_outstanding_pings": 2,
    },
    "staging": {
        "name": "rosey-bot-staging",
        "reconnect_time_wait": 2,
        "max_reconnect_attempts": 60,
        "ping_interval": 30,
        "max_outstanding_pings": 2,
    },
    "production": {
        "name": "rosey-bot-prod",
        "reconnect_time_wait": 5,
        "max_reconnect_attempts": -1,
        "ping_interval": 60,
        "max_outstanding_pings": 3,
    },
}
CLIENT_PROFILES = {
    "standard": {},
    "low_latency": {"ping_interval": 15, "max_outstanding_pings": 1, "reconnect_time_wait": 1},
    "unreliable_network": {
        "ping_interval": 120,
        "max_outstanding_pings": 5,
        "reconnect_time_wait": 10,
        "max_reconnect_attempts": -1,
    },
}
# Where others than the developer are served.
SERVED = [name for name in subjects.PREFIXES if name != "development"]
PATHS = {"nats_server_log_dir": "/var/log/nats", "nats_server_data_dir": "/var/lib/nats"}


def load(path: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    return loaded


def test_each_environment_has_an_inventory_and_its_rows_here() -> None:
    inventories = {path.name for path in (ROOT / "inventories").iterdir()} - {"common"}
    assert inventories == set(subjects.PREFIXES) == set(ENVIRONMENTS) == set(CLIENT)


def lines() -> Iterator[tuple[str, str]]:
    """Give each line of what is run, with where it stands."""
    for place in ("plugins", "roles", "playbooks"):
        for path in sorted((ROOT / place).rglob("*")):
            if path.suffix in {".yml", ".j2", ".py"}:
                for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                    yield f"{path.relative_to(ROOT)}:{number}", line


def lists(line: str) -> bool:
    """Tell whether a line lists the standard environments, other than for people."""
    names = re.findall(r"(?<!V\()(?<!inventories/)\b(development|staging|production)\b", line)
    return len({*names}) == len(subjects.PREFIXES) and not line.lstrip().startswith("#")


def test_they_are_listed_in_one_place_alone() -> None:
    found = [place.partition(":")[0] for place, line in lines() if lists(line)]
    assert found == ["plugins/module_utils/_server/subjects.py"]


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("choices: [development, staging, production]", True),
        ("  - V(development), V(staging) or V(production)", False),
        ("from staging to production", False),
    ],
)
def test_a_second_list_would_be_found(line: str, *, is_one: bool) -> None:
    assert lists(line) is is_one


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_has_the_guides_values_and_no_others(environment: str, profile: str) -> None:
    defaults = load("roles/nats_server/defaults/main.yml")
    inventory = load(f"inventories/{environment}/group_vars/{environment}/nats.yml")
    effective = reading.merge(
        reading.merge(defaults["nats_server_config_defaults"], inventory["nats_server_config"]),
        defaults["nats_server_profiles"][profile],
    )
    assert effective == {**EVERYWHERE, **ENVIRONMENTS[environment], **PROFILES[profile]}


@pytest.mark.parametrize("name", PATHS)
def test_the_guides_directories(name: str) -> None:
    defaults = load("roles/nats_server/defaults/main.yml")
    assert defaults[name] == f"{{{{ nats_server_prefix }}}}{PATHS[name]}"
    assert not defaults["nats_server_prefix"]


def test_an_inventory_repeats_no_default() -> None:
    defaults = load("roles/nats_server/defaults/main.yml")
    for environment in ENVIRONMENTS:
        for name, value in load(f"inventories/{environment}/group_vars/{environment}/nats.yml").items():
            assert defaults[name] != value
            if isinstance(value, dict):
                assert not [k for k, v in value.items() if defaults["nats_server_config_defaults"].get(k) == v]


@pytest.mark.parametrize("environment", SERVED)
def test_the_hosts_are_placeholders_that_no_network_resolves(environment: str) -> None:
    inventory = load(f"inventories/{environment}/hosts.yml")
    assert inventory["rosey"] == {"children": {environment: None}}
    assert list(inventory[environment]["hosts"]) == [f"{environment}.example.invalid"]


@pytest.mark.parametrize("profile", CLIENT_PROFILES)
@pytest.mark.parametrize("environment", CLIENT)
def test_a_bot_has_the_guides_values_and_no_others(environment: str, profile: str) -> None:
    defaults = load("roles/bot_config/defaults/main.yml")
    inventory = load(f"inventories/{environment}/group_vars/{environment}/bot.yml")
    assert inventory["bot_config_environment"] == environment
    effective = {
        **defaults["bot_config_nats_defaults"],
        **inventory["bot_config_nats"],
        **defaults["bot_config_profiles"][profile],
    }
    assert effective == {**CLIENT[environment], **CLIENT_PROFILES[profile]}
    section = {**effective, "servers": ["nats://localhost:4222"], "prefix": subjects.PREFIXES[environment]}
    assert client_options.problems(section, environment) == client_options.Problems((), ())


@pytest.mark.parametrize("environment", CLIENT)
def test_the_inventories_share_one_file_of_plugins(environment: str) -> None:
    shared = ROOT / "inventories" / environment / "group_vars" / "all" / "plugins.yml"
    assert shared.is_symlink()
    assert shared.resolve() == ROOT / "inventories" / "common" / "plugins.yml"


@pytest.mark.parametrize("environment", SERVED)
def test_authentication_is_on_where_others_are_served(environment: str) -> None:
    credentials = load(f"inventories/{environment}/group_vars/{environment}/nats.yml")["nats_server_credentials"]
    assert credentials["user"] == "rosey"
    assert "vault_nats_password" in credentials["password"]


def test_no_round_trips_on_the_bot_that_people_talk_to() -> None:
    assert load("inventories/production/group_vars/production/bot.yml")["bot_config_round_trip"] is False
    assert load("roles/bot_config/defaults/main.yml")["bot_config_round_trip"] is True
