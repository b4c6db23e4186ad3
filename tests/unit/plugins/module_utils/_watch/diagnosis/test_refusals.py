# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of a server's log, and what is said to do; tests/deployment/test_refused_client.py has a real one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import refusals
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.bot_evidence import Client
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.refusals import (
    Refused,
    ServerLog,
    read_server_log,
)
from ansible_collections.rosey.nats.tests.unit.plugins.module_utils._watch.diagnosis.test_bot import DESCRIBED

QUOTE = "rosey.prod.commands.quote"
KEY = "UCKWMI23SHYRIV3K2OL73KVQTFY5WGSNRAWP57FTHBQA7EPVBFKQ5UEP"
CLIENTS = {"bot.1": "bot", "quotes.2": "quotes", KEY: "trivia"}
MAY: dict[str, Any] = {
    "publish": {"allow": ["rosey.prod.cytube.chat.message"]},
    "subscribe": {"allow": ["rosey.prod.>"], "deny": ["rosey.prod._inbox.bot.>"]},
}
OF_EACH = replace(DESCRIBED, clients={"quotes": Client("/p/quotes.env", MAY), "bot": Client("/p/secrets.env", MAY)})


@pytest.mark.parametrize(
    ("text", "user", "expected"),
    [
        ("", "", ServerLog()),
        ("no log of a server", "", ServerLog()),
        (
            '[7] 2026/11/26 19:56:08.445463 [ERR] 127.0.0.1:1 - cid:6 - Subscription Violation - User "rosey", '
            f'Subject "{QUOTE}", SID 1\n[7] [ERR] 127.0.0.1:1 - cid:6 - Publish Violation - User "a", Subject "b"\n',
            "",
            ServerLog("", frozenset({QUOTE}), frozenset({"b"})),
        ),
        # those of others are none of the bot's
        (
            f'[7] [ERR] x - Subscription Violation - User "rosey", Subject "{QUOTE}", Queue: "q", SID 1\n'
            '[7] [ERR] x - Subscription Violation - User "rose", Subject "a", SID 1\n'
            '[7] [ERR] x - Publish Violation - Nkey "rosey", Subject "b"\n'
            '[7] [ERR] x - Publish Violation - User "rosey", Subject "c"\n',
            "rosey",
            ServerLog("rosey", frozenset({QUOTE}), frozenset({"c"})),
        ),
        ('[7] [ERR] x - Publish Violation - Nkey "U", Subject "b"\n', "", ServerLog(unsaid=frozenset({"b"}))),
        (
            "[7] [ERR] 127.0.0.1:35306 - cid:6 - maximum subscriptions exceeded\n"
            "[7] [ERR] 127.0.0.1:37004 - cid:7 - maximum connections exceeded\n",
            "",
            ServerLog(limits=frozenset({"max_subscriptions", "max_connections"})),
        ),
        # what the gate tries in vain
        (
            '[7] [ERR] x - Publish Violation - User "rosey", Subject "rosey.prod._proof.quotes"\n'
            '[7] [ERR] x - Subscription Violation - User "rosey", Subject "rosey.dev._proof.quotes", SID 2\n'
            '[7] [ERR] x - Publish Violation - User "rosey", Subject "rosey.prod._proofs"\n',
            "",
            ServerLog(unsaid=frozenset({"rosey.prod._proofs"})),
        ),
        # an earlier process, and what was before the last configuration, are told no more
        (
            '[6] [ERR] x - Publish Violation - User "a", Subject "b"\n[7] [INF] Starting nats-server\n',
            "",
            ServerLog(),
        ),
        (
            '[7] [ERR] x - Publish Violation - User "a", Subject "b"\n[7] [INF] Reloaded server configuration\n'
            '[7] [ERR] x - Publish Violation - User "a", Subject "c"\n',
            "",
            ServerLog(unsaid=frozenset({"c"})),
        ),
    ],
)
def test_the_servers_log_is_read(text: str, user: str, expected: ServerLog) -> None:
    assert read_server_log(text, user) == expected


def test_where_each_has_a_credential_of_its_own_refusals_are_told_by_client() -> None:
    log = (
        '[7] [ERR] x - Publish Violation - User "quotes.2", Subject "a"\n'
        '[7] [ERR] x - Publish Violation - User "quotes.2", Subject "rosey.prod._proof.quotes"\n'
        f'[7] [ERR] x - Subscription Violation - Nkey "{KEY}", Subject "b", SID 1\n'
        '[7] [ERR] x - Publish Violation - User "quotes.1", Subject "c"\n'
        "[7] [ERR] x - maximum connections exceeded\n"
    )
    found = read_server_log(log, "bot.1", CLIENTS)
    assert found == ServerLog(
        limits=frozenset({"max_connections"}),
        clients={"quotes": Refused(unsaid=frozenset({"a"})), "trivia": Refused(unheard=frozenset({"b"}))},
    )
    assert found.of("bot") == Refused()
    assert ServerLog(unsaid=frozenset({"a"})).of("whoever") == Refused(unsaid=frozenset({"a"}))


def unsaid(*named: str) -> Refused:
    return Refused(unsaid=frozenset(named))


def unheard(*named: str) -> Refused:
    return Refused(unheard=frozenset(named))


@pytest.mark.parametrize(
    ("client", "refused", "remedy"),
    [
        (
            "quotes",
            unsaid("rosey.prod.system.b", "rosey.prod.system.a"),
            "add system.a, system.b to publishes of plugin quotes in bot_plugins_declared, or take it out of the "
            "plugin's code",
        ),
        (
            "bot",
            unheard("rosey.dev.x"),
            "add rosey.dev.x to subscriptions of bot_plugins_bot, or take it out of the bot's code",
        ),
        (
            "quotes",
            unsaid("rosey.prod.cytube.chat.message"),
            "deploy again, which lets quotes do what is declared of it: cytube.chat.message",
        ),
        # what it is denied is not declared
        (
            "quotes",
            unheard("rosey.prod._inbox.bot.>"),
            "add _inbox.bot.> to subscriptions of plugin quotes in bot_plugins_declared, or take it out of the "
            "plugin's code",
        ),
        (
            "quotes",
            unheard("_INBOX.abc.*"),
            "give inbox_prefix to the connection of quotes in the bot's code, NATS_INBOX_PREFIX of /p/quotes.env",
        ),
        (
            "quotes",
            unsaid("rosey.prod._inbox.probe.1"),
            "declare the command or the request (plugin.quotes.request) that quotes answers among its subscriptions",
        ),
        (
            "quotes",
            unsaid("$JS.API.STREAM.INFO.KV_quotes", "$KV.quotes.a"),
            "name in uses of plugin quotes in bot_plugins_declared what asks JetStream for "
            "$JS.API.STREAM.INFO.KV_quotes, $KV.quotes.a, or take it out of the plugin's code",
        ),
        # one that is not described
        (
            "song",
            unsaid("rosey.prod.x"),
            "add x to publishes of plugin song in bot_plugins_declared, or take it out of",
        ),
        (
            "quotes",
            Refused(frozenset({"rosey.dev.x"}), frozenset({"rosey.dev.y"})),
            "add rosey.dev.x to subscriptions of plugin quotes in bot_plugins_declared, or take it out of the plugin's "
            "code; add rosey.dev.y to publishes of",
        ),
        ("quotes", unsaid(*(f"a.{number}" for number in range(7))), "add a.0, a.1, a.2, a.3, a.4, and 2 more to"),
    ],
)
def test_what_to_declare_is_said(client: str, refused: Refused, remedy: str) -> None:
    assert refusals.remedy(client, refused, OF_EACH).startswith(remedy)


def test_who_was_refused_what_is_said() -> None:
    assert refusals.lines("quotes", Refused(frozenset({"a"}), frozenset({"b"}))) == [
        "quotes was refused to subscribe to a",
        "quotes was refused to publish b",
    ]
    assert refusals.lines("quotes", unsaid(*(f"a.{number}" for number in range(7))))[-1] == "and 2 more"
