# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import typing as t

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.filter.bus_permissions import FilterModule
from ansible_collections.rosey.nats.plugins.plugin_utils import permissions, plugins

bus_permissions = FilterModule().filters()["bus_permissions"]
BOT = {"publishes": ["commands.>"], "subscriptions": []}


def of(*declared: dict[str, t.Any]) -> dict[str, t.Any]:
    found = bus_permissions(plugins.effective([*declared], {}, "rosey.dev"), "rosey.dev", BOT, ["rosey.dev.commands.x"])
    assert json.loads(json.dumps(found)) == found
    return dict(found)


def test_the_example_gives_what_it_says(run_example: t.Callable[[str], tuple[t.Any, str]]) -> None:
    found, promised = run_example("bus_permissions")
    assert found == yaml.safe_load(promised)


def test_it_is_what_the_server_gets() -> None:
    clients = {each["name"]: each for each in of({"name": "quotes", "publishes": ["cytube.chat"]})["clients"]}
    assert [*clients] == ["bot", "quotes", *permissions.OWN[1:]]
    assert clients["quotes"] == {
        "name": "quotes",
        "publish": ["rosey.dev.cytube.chat", "$SYS.REQ.USER.INFO"],
        "subscribe": ["rosey.dev._inbox.quotes.>"],
        "unheard": [],
        "is_unlimited": False,
    }
    assert "rosey.dev.commands.x" in clients["probe"]["publish"]


def test_who_hears_everything_and_who_has_the_name_of_another_client_is_warned_of() -> None:
    found = of({"name": "all", "subscriptions": [">"]}, {"name": "Probe"}, {"name": "system", "enabled": False})
    called, hears = found["warnings"]
    assert called.startswith("bot_plugins_declared: a plugin is called Probe")
    assert hears.startswith("all: hears everything below rosey.dev, since it subscribes to it as a whole")
    lines = found["table"]
    assert [line.split("|")[2].strip() for line in lines if "but not" in line][:2] == [
        "but not rosey.dev._inbox.bot.>",
        "but not rosey.dev._inbox.Probe.>",
    ]


def test_traffic_that_is_no_list_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="bus_permissions: plugin bot: publishes: "):
        bus_permissions([], "rosey.dev", {"publishes": "commands.>"})
