# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made of what a server says of a client; tests/deployment/test_each_client.py asks a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._bot import access
from ansible_collections.rosey.nats.plugins.module_utils._bot.bot_python import BotPython

PUBLISH, SUBSCRIBE = ["rosey.prod.cytube.chat.message"], ["rosey.prod.commands.quote", "rosey.prod._inbox.quotes.>"]
COMPILED = {
    "publish": {"allow": PUBLISH},
    "subscribe": {"allow": SUBSCRIBE},
}
IN_FORCE = {
    "publish": {"allow": PUBLISH},
    "subscribe": {"allow": SUBSCRIBE},
}
TRIED = {"publish": ["rosey.prod._proof.quotes"], "subscribe": ["rosey.prod._proof.quotes"]}
REFUSED = [
    'nats: permissions violation for publish to "rosey.prod._proof.quotes"',
    'nats: permissions violation for subscription to "rosey.prod._proof.quotes"',
]
INFO = {"user": "quotes.1", "account": "$G", "permissions": IN_FORCE}
FINE = {"info": INFO, "refused": REFUSED, "error": ""}


def answering(tmp_path: Path, *said: dict[str, Any], stopped: str = "") -> BotPython:
    """Give a Python that answers so, whatever it is asked."""
    python = tmp_path / "python"
    (tmp_path / "answer").write_text(json.dumps({"clients": said, "stopped": stopped}))
    python.write_text(f"#!/bin/sh\ncat {tmp_path / 'answer'}\n")
    python.chmod(0o755)
    return BotPython(str(python), None, None)


def client() -> access.Client:
    return access.Client("quotes", {"user": "quotes.1", "password": "hush"}, COMPILED, TRIED)


@pytest.mark.parametrize(
    ("said", "problems"),
    [
        (FINE, []),
        # in whatever order the server has them
        ({**FINE, "info": {**INFO, "permissions": {**IN_FORCE, "subscribe": {"allow": SUBSCRIBE[::-1]}}}}, []),
        (
            {**FINE, "info": {**INFO, "permissions": {**IN_FORCE, "publish": {"allow": [*PUBLISH, ">"]}}}},
            [
                "client quotes: publish: expected allow rosey.prod.cytube.chat.message, "
                "found allow rosey.prod.cytube.chat.message, >"
            ],
        ),
        (
            {**FINE, "info": {"user": "quotes.1", "account": "$G"}},
            ["client quotes: publish: expected", "client quotes: subscribe:"],
        ),
        ({**FINE, "info": {**INFO, "account": "OTHER"}}, ["client quotes: expected account $G, found OTHER"]),
        (
            {**FINE, "refused": REFUSED[:1]},
            ["client quotes: subscribe: expected rosey.prod._proof.quotes refused, found allowed"],
        ),
        (
            {**FINE, "refused": REFUSED[1:]},
            ["client quotes: publish: expected rosey.prod._proof.quotes refused, found allowed"],
        ),
        (
            {"info": None, "refused": [], "error": "nats: 'Authorization Violation'"},
            ["client quotes: expected a login and what it may do, found no answer: nats: 'Authorization Violation'"],
        ),
        (
            {"info": None, "refused": [], "error": "No module named 'nkeys'"},
            ["No module named 'nkeys'; install nkeys and PyNaCl (python3-nacl)"],
        ),
    ],
)
def test_what_is_otherwise_than_it_was_compiled_is_told(
    tmp_path: Path, said: dict[str, Any], problems: list[str]
) -> None:
    found = access.prove(answering(tmp_path, said), ["nats://h"], [client()], 1)
    assert len(found) == len(problems)
    for finding, words in zip(map(str, found), problems, strict=True):
        assert words in finding
        assert "hush" not in finding


def test_the_system_is_in_an_account_of_its_own(tmp_path: Path) -> None:
    python = answering(tmp_path, {"info": {"user": "s", "account": "$SYS"}, "refused": [], "error": ""})
    system = access.Client("system", {}, {}, {"publish": [], "subscribe": []})
    assert access.prove(python, [], [system], 1) == []


@pytest.mark.parametrize(
    ("python", "said"),
    [
        (BotPython("/nowhere/python", None, None), "none: no Python: /nowhere/python: No such file or directory"),
        (BotPython("/bin/false", None, None), "none: no result: exit status 1"),
    ],
)
def test_what_can_not_be_asked_is_not_proven(python: BotPython, said: str) -> None:
    (finding,) = access.prove(python, [], [client()], 1)
    assert said in str(finding)


def test_a_program_is_read_where_another_thread_reads_one_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What one thread is given by linecache while another has emptied its cache.
    monkeypatch.setattr("linecache.getlines", lambda *_arguments: [])
    assert access.prove(answering(tmp_path, FINE), ["nats://h"], [client()], 1) == []


def test_a_python_without_nats_is_told(tmp_path: Path) -> None:
    (finding,) = access.prove(answering(tmp_path, stopped="No module named 'nats'"), [], [client()], 1)
    assert "found none: No module named 'nats'; name the bot's own Python" in str(finding)


@pytest.mark.parametrize(
    ("permissions", "tried"),
    [
        (COMPILED, {"publish": ["p._proof.x", "q._proof.x"], "subscribe": ["p._proof.x", "q._proof.x"]}),
        (
            {"publish": {"allow": ["a"]}, "subscribe": {"allow": ["p.>"]}},
            {"publish": ["p._proof.x", "q._proof.x"], "subscribe": ["q._proof.x"]},
        ),
        (
            {"publish": {"deny": [">"]}, "subscribe": {"allow": [">"]}},
            {"publish": ["p._proof.x", "q._proof.x"], "subscribe": []},
        ),
        ({}, {"publish": [], "subscribe": []}),
    ],
)
def test_nothing_is_tried_that_is_allowed(permissions: dict[str, Any], tried: dict[str, list[str]]) -> None:
    assert access.not_for("x", permissions, ["p", "q"]) == tried


@pytest.mark.parametrize(
    ("config", "clients"),
    [
        (
            {
                "authorization": {
                    "users": [
                        {"user": "quotes.1", "permissions": {"subscribe": {"allow": SUBSCRIBE}}},
                        {"nkey": "UABC", "permissions": {"subscribe": {"allow": ["rosey.prod._inbox.trivia.>"]}}},
                        # who hears all has an inbox of its own, too
                        {
                            "user": "all.1",
                            "permissions": {"subscribe": {"allow": ["rosey.>", "rosey._inbox.all.>"], "deny": ["x"]}},
                        },
                        {"user": "operator.1", "password": "hush"},
                    ]
                }
            },
            {"quotes.1": "quotes", "UABC": "trivia", "all.1": "all"},
        ),
        ({"authorization": {"user": "rosey", "password": "hush"}}, {}),
        ({"authorization": {"users": [{"user": "rosey", "permissions": {"subscribe": "a.>"}}]}}, {}),
        ({"authorization": {"users": [{"user": "rosey", "permissions": {"subscribe": {"allow": ["a._inbox"]}}}]}}, {}),
        ({"authorization": "x"}, {}),
        ({}, {}),
    ],
)
def test_clients_are_known_by_their_inboxes(config: dict[str, Any], clients: dict[str, str]) -> None:
    assert access.clients_of(config) == clients
