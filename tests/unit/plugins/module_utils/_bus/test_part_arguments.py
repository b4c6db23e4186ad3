# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.rosey.nats.plugins.module_utils._bus import part_arguments, server_gate
from ansible_collections.rosey.nats.plugins.module_utils._deploy import usable

ROOT = Path(__file__).parents[5]
BOT: dict[str, Any] = {
    "home": "/bot",
    "environment": "development",
    "environment_file": "/bot/secrets.env",
    "mode": "nats",
    "runtime": "process",
    "become": False,
    "command": ["bot"],
    "pid_file": "/bot.pid",
    "health_url": "http://h",
    "servers": ["tls://h:4222"],
}
PLUGINS: dict[str, Any] = {"plugins": [{"name": "quotes", "subscriptions": ["rosey.dev.commands.quote"]}]}
OPTIONS = {"tls_hostname": "bus", "tls_handshake_first": True, "user_credentials": "/creds"}


def of_bot(**changes: Any) -> dict[str, Any]:
    """Give the settings of a bot, with defaults for what is not given."""
    parts = {"bot": {"settings": {**BOT, **changes}, "entries": []}}
    assert usable.problem(parts) == ""
    return usable.settings(parts, Path("/releases"))["bot"]


@pytest.mark.parametrize("round_trip", [True, False])
def test_clients_meet_the_certificate_as_the_bot_does(round_trip: bool) -> None:
    asked = part_arguments.bot_gate(of_bot(login=OPTIONS, round_trip=round_trip), {**PLUGINS, "clients": []})
    assert (asked["tls_hostname"], asked["tls_handshake_first"]) == ("bus", True)
    assert ("round_trip" in asked) is round_trip


def test_without_tls_nothing_is_said_of_it() -> None:
    asked = part_arguments.bot_gate(of_bot(), {**PLUGINS, "clients": []})
    assert not {"tls_hostname", "tls_handshake_first"} & asked.keys()


def test_the_step_asks_what_the_plan_asks() -> None:
    (step,) = yaml.safe_load((ROOT / "roles" / "release" / "tasks" / "bot" / "gate.yml").read_text())
    settings = of_bot(
        login=OPTIONS, round_trip=True, client_name="b", monitoring_url="http://m", python="/p", owner="o"
    )
    asked = {**part_arguments.bot_gate(settings, {**PLUGINS, "clients": []})}
    assert asked.keys() <= step["rosey.nats.bot_gate"].keys()


SERVER: dict[str, Any] = {
    "runtime": "process",
    "monitoring_url": "http://h:8222",
    "version": "2.10.7",
    "config_file": "/nats.conf",
    "service": "nats",
    "pid_file": "/nats.pid",
    "gate_wait": 30,
    "gate_soak": 0,
}
AT_REST: dict[str, Any] = {"action": "nothing", "mark": None, "store": {"data": None}, "accepted": []}


@pytest.mark.parametrize(
    ("cluster", "members"),
    [
        ({}, None),
        ({"cluster": {}}, None),
        ({"cluster": {"name": "rosey", "members": {"a": "bus_a", "b": "bus_b"}}}, ["bus_a", "bus_b"]),
    ],
)
def test_the_gate_of_a_member_is_told_of_all(cluster: dict[str, Any], members: list[str] | None) -> None:
    asked = part_arguments.server_gate({**SERVER, **cluster}, AT_REST)
    assert asked.get("cluster_members") == members
    assert set(asked) <= set(server_gate.ARGUMENTS)


@pytest.mark.parametrize(
    ("accepted", "asks"), [([], True), (["memory_assets"], True), (["quorum"], False), (["all"], False)]
)
def test_a_cluster_that_need_not_be_whole_is_not_asked_for(accepted: list[str], asks: bool) -> None:
    cluster = {"name": "rosey", "members": {"a": "bus_a", "b": "bus_b"}}
    asked = part_arguments.server_gate({**SERVER, "cluster": cluster}, {**AT_REST, "accepted": accepted})
    assert ("cluster_members" in asked) is asks


def test_the_role_gives_the_gate_of_the_server_all_that_it_is_asked() -> None:
    (step,) = yaml.safe_load((ROOT / "roles" / "release" / "tasks" / "server" / "gate.yml").read_text())
    cluster = {"name": "rosey", "members": {"a": "bus_a", "b": "bus_b"}}
    settings = {**SERVER, "runtime": "systemd", "cluster": cluster}
    asked = part_arguments.server_gate(settings, {**AT_REST, "action": "reload", "mark": {}})
    of_process = part_arguments.server_gate({**settings, "runtime": "process"}, AT_REST)
    assert {*asked, *of_process} <= step["rosey.nats.nats_gate"].keys()
