# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is compiled from declarations; tests/deployment/test_each_client.py tries it on a server."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rosey.nats.plugins.module_utils._server import subjects
from ansible_collections.rosey.nats.plugins.plugin_utils import permissions, plugins

PREFIX = "rosey.prod"
BOT = {"subscriptions": ["cytube.chat.message", "plugin.*.response"], "publishes": ["commands.>", "plugin.*.request"]}
ITSELF = "$SYS.REQ.USER.INFO"


def compiled(*declared: dict[str, Any], asked: tuple[str, ...] = ()) -> dict[str, permissions.Permissions]:
    effective = plugins.effective([*declared], {}, PREFIX)
    return {each.client: each for each in permissions.compiled(effective, BOT, PREFIX, asked)}


def plugin(name: str = "quotes", **keys: Any) -> dict[str, Any]:
    return {"name": name, **keys}


@pytest.mark.parametrize(
    ("declared", "config"),
    [
        (
            plugin(subscriptions=["commands.quote"], publishes=["cytube.chat.message"]),
            {
                "publish": {"allow": ["rosey.prod.cytube.chat.message", "rosey.prod._inbox.>", ITSELF]},
                "subscribe": {"allow": ["rosey.prod.commands.quote", "rosey.prod._inbox.quotes.>"]},
            },
        ),
        (
            plugin(subscriptions=["plugin.quotes.request"]),
            {
                "publish": {"allow": ["rosey.prod._inbox.>", ITSELF]},
                "subscribe": {"allow": ["rosey.prod.plugin.quotes.request", "rosey.prod._inbox.quotes.>"]},
            },
        ),
        # who hears nothing that is asked of it has nothing to answer
        (
            plugin(subscriptions=["cytube.chat.message"]),
            {
                "publish": {"allow": [ITSELF]},
                "subscribe": {"allow": ["rosey.prod.cytube.chat.message", "rosey.prod._inbox.quotes.>"]},
            },
        ),
        # an empty list would allow everything
        (plugin(), {"publish": {"allow": [ITSELF]}, "subscribe": {"allow": ["rosey.prod._inbox.quotes.>"]}}),
        (
            plugin(uses={"buckets": {"quotes": "write"}}),
            {
                "publish": {
                    "allow": [
                        "$JS.API.DIRECT.GET.KV_quotes.$KV.quotes.>",
                        "$JS.API.STREAM.INFO.KV_quotes",
                        "$KV.quotes.>",
                        ITSELF,
                    ]
                },
                "subscribe": {"allow": ["rosey.prod._inbox.quotes.>"]},
            },
        ),
    ],
)
def test_a_plugin_may_do_what_it_declares(declared: dict[str, Any], config: dict[str, Any]) -> None:
    assert compiled(declared)["quotes"].as_config() == config


@pytest.mark.parametrize("whole", [">", "*.>"])
def test_who_hears_everything_does_not_hear_the_answers_to_others(whole: str) -> None:
    found = compiled(plugin("all", subscriptions=[whole]), plugin("quotes", subscriptions=["*.message", "cytube.>"]))
    assert found["all"].as_config()["subscribe"]["deny"] == [
        f"rosey.prod._inbox.{name}.>" for name in ("bot", "quotes", "probe", "deployment", "operator", "system")
    ]
    assert permissions.sees_everything(found["all"], PREFIX)
    assert not permissions.sees_everything(found["quotes"], PREFIX)
    assert not any(found[name].unheard for name in ("bot", "quotes", "probe"))


def test_the_gate_may_ask_what_plugins_answer() -> None:
    declared = (
        plugin(subscriptions=["commands.quote", "cytube.chat.message"]),
        plugin("off", enabled=False, subscriptions=["commands.off"]),
    )
    probe = compiled(*declared, asked=("rosey.prod.commands.ping",))["probe"]
    assert probe.publish == ("rosey.prod.commands.ping", "rosey.prod.commands.quote", ITSELF)
    assert probe.subscribe == ("rosey.prod._inbox.probe.>",)


def test_one_that_is_off_is_no_client() -> None:
    assert [*compiled(plugin("off", enabled=False))] == [*permissions.OWN]


def test_a_person_and_the_system_may_do_everything_of_their_account() -> None:
    found = compiled()
    assert [name for name, each in found.items() if not each.as_config()] == ["operator", "system"]


@given(st.lists(st.sampled_from(["commands.>", "commands.*", "*.chat", ">", "cytube.chat", "*.>", "plugin.a.request"])))
def test_no_rule_is_empty_and_no_inbox_of_another_is_heard(heard: list[str]) -> None:
    for client in compiled(plugin(subscriptions=heard), plugin("other")).values():
        config = client.as_config()
        if not config:
            continue
        assert config["publish"]["allow"]
        assert config["subscribe"]["allow"]
        for other in {"bot", "quotes", "other", "probe"} - {client.client}:
            inbox = f"rosey.prod._inbox.{other}.x"
            allowed = any(subjects.covers(rule, inbox) for rule in config["subscribe"]["allow"])
            denied = any(subjects.covers(rule, inbox) for rule in config["subscribe"].get("deny", ()))
            assert denied or not allowed
