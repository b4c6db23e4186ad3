# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made of what a server says of a client; tests/deployment/test_each_client.py asks a server."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._bot import access
from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Finding
from ansible_collections.rosey.nats.plugins.module_utils._server import login
from ansible_collections.rosey.nats.tests.integration.conftest import free_ports
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import raw_server
from ansible_collections.rosey.nats.tests.unit.plugins.module_utils._server.test_login import INFO as GREETING
from ansible_collections.rosey.nats.tests.unit.plugins.module_utils._server.test_login import answers, heard

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
    b"-ERR 'Permissions Violation for Publish to \"rosey.prod._proof.quotes\"'\r\n",
    b"-ERR 'Permissions Violation for Subscription to \"rosey.prod._proof.quotes\"'\r\n",
]
INFO = {"user": "quotes.1", "account": "$G", "permissions": IN_FORCE}


def client(name: str = "quotes", permissions: Mapping[str, Any] | None = None, **changes: Any) -> access.Client:
    given = {"login": {"user": f"{name}.1", "password": "hush", "inbox_prefix": "p"}, "tried": TRIED, **changes}
    return access.Client(name, permissions=COMPILED if permissions is None else permissions, **given)


def found(said: Sequence[bytes], asked: access.Client) -> list[Finding]:
    """Give what is found at a server that says so, once somebody has logged in and asks."""
    with raw_server(answers(*said)) as url:
        server = access.Server([f"nats://{url.partition('://')[2]}"], login.Trust(), 1)
        return access.prove(server, [asked])


def message(info: Any, server: str = "N") -> bytes:
    """Give an answer as the server has it, or another one of its cluster."""
    said = json.dumps({"server": {"id": server}, "data": info}).encode()
    return b"MSG p._proof 1 %d\r\n%b\r\n" % (len(said), said)


DONE = b"PONG\r\n"
FINE = [*REFUSED, message(INFO), DONE]


@pytest.mark.parametrize(
    ("said", "problems"),
    [
        (FINE, []),
        # in whatever order the server has them
        (
            [
                *REFUSED,
                message({**INFO, "permissions": {**IN_FORCE, "subscribe": {"allow": SUBSCRIBE[::-1]}}}),
                DONE,
            ],
            [],
        ),
        (
            [*REFUSED, message({**INFO, "permissions": {**IN_FORCE, "publish": {"allow": [*PUBLISH, ">"]}}}), DONE],
            [
                "client quotes: publish: expected allow rosey.prod.cytube.chat.message, "
                "found allow rosey.prod.cytube.chat.message, >"
            ],
        ),
        (
            [*REFUSED, message({"user": "quotes.1", "account": "$G"}), DONE],
            ["client quotes: publish: expected", "client quotes: subscribe:"],
        ),
        (
            [*REFUSED, message({**INFO, "account": "OTHER"}), DONE],
            ["client quotes: expected account $G, found OTHER"],
        ),
        (
            [REFUSED[0], message(INFO), DONE],
            ["client quotes: subscribe: expected rosey.prod._proof.quotes refused, found allowed"],
        ),
        (
            [REFUSED[1], message(INFO), DONE],
            ["client quotes: publish: expected rosey.prod._proof.quotes refused, found allowed"],
        ),
        (
            [b"-ERR 'Authorization Violation'\r\n"],
            ["client quotes: expected a login and what it may do, found no answer: Authorization Violation"],
        ),
        ([b"MSG i 1 4\r\nhell\r\n", DONE], ["client quotes: expected a login and what it may do, found no answer: "]),
        (
            [b"MSG i 1 200000\r\n" + b"[" * 200_000 + b"\r\n", DONE],
            ["client quotes: expected a login and what it may do, found no answer: its answer is nested too deep"],
        ),
        # whatever stands in its place
        (
            [*REFUSED, message({**INFO, "permissions": {**IN_FORCE, "publish": "all"}}), DONE],
            [f"client quotes: publish: expected allow {PUBLISH[0]}, found none, but all"],
        ),
        (
            [*REFUSED, message({**INFO, "permissions": {**IN_FORCE, "publish": {"allow": [{}, 1, "a"]}}}), DONE],
            [f"client quotes: publish: expected allow {PUBLISH[0]}, found allow {{}}, 1, a"],
        ),
        ([*REFUSED, message({**INFO, "account": {}}), DONE], ["client quotes: expected account $G, found {}"]),
        (
            [*REFUSED, message({**INFO, "permissions": {**IN_FORCE, "x\x1b[31m\n": {"\x1b[2J": "\u2028"}}}), DONE],
            ["client quotes: x [31m: expected no rule, found  [2J"],
        ),
        (
            [*REFUSED, message({**INFO, "permissions": {f"a{number}": 1 for number in range(100)} | IN_FORCE}), DONE],
            [f"client quotes: a{number}: expected no rule, found none, but 1" for number in [0, 1, *range(10, 18)]],
        ),
        (
            [b"-ERR '\x1b[2J\xe2\x80\xa8x'\r\n"],
            ["client quotes: expected a login and what it may do, found no answer: [2J x"],
        ),
        (
            [*REFUSED, message(["no", "mapping"]), DONE],
            [
                "client quotes: expected account $G, found None",
                "client quotes: publish: expected",
                "client quotes: subscribe: expected",
            ],
        ),
    ],
)
def test_what_is_otherwise_than_it_was_compiled_is_told(said: Sequence[bytes], problems: list[str]) -> None:
    told = found(said, client())
    assert len(told) == len(problems)
    for finding, words in zip(map(str, told), problems, strict=True):
        assert words in finding
        assert "hush" not in finding
        assert finding.isprintable()


def test_the_system_is_in_an_account_of_its_own() -> None:
    said = [message({"user": "s", "account": "$SYS"}), DONE]
    assert found(said, client("system", {}, tried={"publish": [], "subscribe": []})) == []


def test_one_that_is_not_there_has_a_stand_in() -> None:
    (port,) = free_ports(1)
    with raw_server(answers(*FINE)) as url:
        servers = [f"nats://127.0.0.1:{port}", f"nats://{url.partition('://')[2]}"]
        assert access.prove(access.Server(servers, login.Trust(), 1), [client()]) == []
        (finding,) = access.prove(access.Server(servers[:1], login.Trust(), 1), [client()])
    assert "Connection refused" in str(finding)


@pytest.mark.parametrize(
    ("others", "problem"), [(1, ""), (19, ""), (20, "no answer: only other servers of its cluster answer")]
)
def test_a_client_asks_until_its_own_server_is_the_first_to_answer(others: int, problem: str) -> None:
    unknown = message({"user": "quotes.1", "account": "$G"}, "ANOTHER")
    answers_in_turn = [b"".join((*REFUSED, unknown, DONE)), *[unknown + DONE] * (others - 1), message(INFO) + DONE]

    def talk(connection: socket.socket) -> None:
        connection.sendall(GREETING)
        heard(connection)
        connection.sendall(DONE)
        while heard(connection):
            connection.sendall(answers_in_turn.pop(0))

    with raw_server(talk) as url:
        server = access.Server([f"nats://{url.partition('://')[2]}"], login.Trust(), 1)
        told = access.prove(server, [client()])
    assert [problem in str(finding) for finding in told] == [True] * bool(problem)
    assert len(answers_in_turn) == len(told)


@pytest.mark.parametrize(
    ("silent", "problem"),
    [
        (0, ""),
        (2, ""),
        (3, "found no answer: timed out; see what keeps the server: its log, and the load of its host"),
    ],
)
@pytest.mark.parametrize("is_known", [False, True], ids=["login", "question"])
def test_one_who_says_nothing_is_asked_again(silent: int, problem: str, is_known: bool) -> None:
    begun: list[int] = []

    def talk(connection: socket.socket) -> None:
        begun.append(len(begun))
        connection.sendall(GREETING)
        heard(connection)
        if is_known or begun[-1] >= silent:
            connection.sendall(DONE)
            heard(connection)
        if begun[-1] >= silent:
            connection.sendall(b"".join(FINE))
        heard(connection)

    with raw_server(talk) as url:
        server = access.Server([f"nats://{url.partition('://')[2]}"], login.Trust(), 0.2)
        told = access.prove(server, [client()])
    assert [problem in str(finding) for finding in told] == [True] * bool(problem)
    assert len(begun) == min(silent + 1, 3)


def test_those_that_a_server_ended_are_named() -> None:
    said: list[bytes] = []
    answers_in_turn = [{"server": {}}, {"server": {}, "error": {"code": 500, "description": "no such client id"}}]

    def talk(connection: socket.socket) -> None:
        connection.sendall(b"INFO {}\r\n")
        heard(connection)
        connection.sendall(DONE)
        said.append(heard(connection))
        body = json.dumps(answers_in_turn.pop(0)).encode()
        connection.sendall(b"MSG p._proof 1 %d\r\n%b\r\n%b" % (len(body), body, DONE))

    gone = [{"cid": 7, "name": "dash", "ip": "h"}, {"cid": 8, "name": "left", "ip": "h"}]
    with raw_server(talk) as url:
        server = access.Server([f"nats://{url.partition('://')[2]}"], login.Trust(), 1)
        assert access.call_back(server, client("system"), "SERVER", gone) == ["dash (h, cid 7)"]
    asked = [f'PUB $SYS.REQ.SERVER.SERVER.KICK p._proof 10\r\n{{"cid": {each}}}\r\n'.encode() for each in (7, 8)]
    assert [line in what for line, what in zip(asked, said, strict=True)] == [True, True]


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
