# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import socket
import syslog
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from ansible_collections.rosey.nats.plugins.doc_fragments import bot as bot_fragment
from ansible_collections.rosey.nats.plugins.module_utils._bot import bot_expectation, round_trips
from ansible_collections.rosey.nats.plugins.module_utils._bot.bot_python import BotPython
from ansible_collections.rosey.nats.plugins.module_utils._server import http_reader
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import BOT, IDENTITY, Reply, fake_monitoring, raw_server

RunModule = Callable[..., dict[str, Any]]
ANSWER = {**BOT, "nats": {**BOT["nats"], "subjects": 2}}
PLUGINS = [{"name": "quotes", "subscriptions": ["rosey.prod.commands.quote", "rosey.prod.commands.addquote"]}]
CONNECTIONS: list[dict[str, Any]] = [
    {"cid": 1, "name": "rosey-bot-prod", "subscriptions_list": ["rosey.prod.>"]},
    {"cid": 2, "name": "rosey-bot-prod-quotes", "subscriptions_list": ["rosey.prod.commands.*"]},
    {"cid": 3},
]


def connz(connections: list[dict[str, Any]]) -> dict[str, Any]:
    return {**IDENTITY, "total": len(connections), "connections": connections}


ANSWERS = {"/api/health": ANSWER, "/connz": connz(CONNECTIONS)}


def asked(url: str) -> dict[str, Any]:
    return {
        "health_url": f"{url}/api/health",
        "monitoring_url": url,
        "servers": ["nats://localhost:4222"],
        "plugins": PLUGINS,
        "client_name": "rosey-bot-prod",
        "wait": 0,
    }


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_bot_that_is_on_the_bus_passes(run_module: RunModule, check_mode: bool) -> None:
    with fake_monitoring(ANSWERS) as server:
        result = run_module("bot_gate", check_mode=check_mode, **asked(server.url))
    assert result.pop("invocation")
    assert result == {
        "changed": False,
        "passed": True,
        "summary": "bot connected to nats://localhost:4222, 2 of 2 subscriptions held",
        "findings": [],
        "seen": ANSWER,
        "subscriptions": {"declared": 2, "held": 2},
    }


def test_a_bot_that_is_not_fails_with_all_findings(run_module: RunModule) -> None:
    quiet = {**CONNECTIONS[1], "subscriptions_list": None}
    answers = {
        "/api/health": {**ANSWER, "status": "reconnecting", "nats": {"connected": False}},
        "/connz": connz([CONNECTIONS[0], quiet]),
    }
    with fake_monitoring(answers) as server:
        result = run_module("bot_gate", **asked(server.url))
    assert (result["failed"], result["passed"]) == (True, False)
    heading, *lines = result["msg"].splitlines()
    assert heading == (
        f"the bot at {server.url}/api/health has not proven what was meant within 0 seconds: "
        "bot not connected to NATS, 0 of 2 subscriptions held."
    )
    assert lines[2] == (
        "- plugin quotes: expected a subscription that covers rosey.prod.commands.quote, found none that the "
        "connection rosey-bot-prod-quotes holds; look at the log of the plugin and restart the bot; where the plugin "
        "does not listen to this subject, take it out of its subscriptions."
    )
    assert [line.partition(":")[0] for line in lines] == [
        *("- status", "- nats.connected", "- plugin quotes", "- plugin quotes", "- nats.server", "- nats.subjects")
    ]
    assert result["findings"][-1]["severity"] == "warning"


def test_it_waits_until_the_bot_has_come_up(run_module: RunModule) -> None:
    replies = iter([Reply(b"", status=502), {**ANSWER, "nats": {"connected": False}}, ANSWER])
    with fake_monitoring({**ANSWERS, "/api/health": lambda _query: next(replies)}) as server:
        result = run_module("bot_gate", **{**asked(server.url), "wait": 5})
        assert server.connections == 2  # one kept-alive session each for the bot and the server
    assert result["passed"] is True


@pytest.mark.parametrize("left_out", ["monitoring_url", "plugins"])
def test_the_server_is_not_asked_without_need(run_module: RunModule, left_out: str) -> None:
    with fake_monitoring(ANSWERS) as server:
        arguments = asked(server.url)
        del arguments[left_out]
        result = run_module("bot_gate", **arguments)
        assert [path for path, _query in server.asked] == ["/api/health"]
    assert "subscriptions" not in result


def test_legacy_mode_looks_at_the_bot_alone(run_module: RunModule) -> None:
    legacy = {name: value for name, value in ANSWER.items() if name != "nats"}
    trip = {"round_trip": {"subject": "rosey.prod.commands.quote"}, "python": "/nowhere"}
    with fake_monitoring({**ANSWERS, "/api/health": legacy}) as server:
        passed = run_module("bot_gate", **{**asked(server.url), **trip, "mode": "legacy"})
        assert [path for path, _query in server.asked] == ["/api/health"]
        refused = run_module("bot_gate", **asked(server.url))
    assert passed["summary"] == "bot runs without NATS"
    assert "round_trip" not in passed
    assert "- nats: expected what the bot tells of its connection to NATS, found nothing" in refused["msg"]


@pytest.mark.parametrize(
    ("reply", "finding"),
    [
        (
            Reply(b"<html>"),
            "(HTTP status 200) is no JSON, and says: <html>; check that url is that of the bot's health",
        ),
        (Reply(b"nope", status=404), "(HTTP status 404) is no JSON, and says: nope; check the path of url"),
        (Reply(b"oops", status=500), "(HTTP status 500) is no JSON, and says: oops; look at the log of the bot"),
        (Reply(b'{"status": "conn'), "is half an answer"),
        (Reply(b'{"status": "conn', announced=900), "the connection was closed after half an answer"),
        (Reply(b"[]"), "found the answer is a list; expected an object"),
        (Reply(b"", status=307, headers={"Location": "http://me:hunter2@h/"}), "a redirect to http://"),
        (Reply(b'"nats://me:hunter2@localhost'), 'and says: "nats://'),
        ({**ANSWER, "user_count": "many"}, "- user_count: expected a whole number, found many; "),
        (Reply(json.dumps(ANSWER).encode(), status=503), "- HTTP status: expected 200, found 503; look at the log"),
    ],
)
def test_a_malformed_answer_is_a_finding(run_module: RunModule, reply: Any, finding: str) -> None:
    with fake_monitoring({**ANSWERS, "/api/health": reply}) as server:
        result = run_module("bot_gate", **asked(server.url))
    assert finding in result["msg"]
    assert "hunter2" not in json.dumps(result)


@pytest.mark.parametrize(
    ("talk", "cause"),
    [
        (lambda connection: connection.sendall(b"INFO {}\r\n"), "this is the port for clients of nats-server"),
        (lambda connection: connection.recv(1000) and connection.recv(1000), "no whole answer within 0.5 seconds"),
    ],
    ids=["the port for clients", "a hang"],
)
def test_something_else_at_the_port_is_a_finding(
    run_module: RunModule, talk: Callable[[socket.socket], None], cause: str
) -> None:
    def bounded(connection: socket.socket) -> None:
        connection.settimeout(1)
        talk(connection)

    with raw_server(bounded) as url:
        result = run_module("bot_gate", health_url=f"{url}/api/health", wait=0, timeout=0.5)
    assert f"- health: expected an answer of the bot at {url}/api/health, found {cause}" in result["msg"]
    assert result["seen"] == {}


def test_a_bot_that_does_not_run_is_told_as_such(run_module: RunModule, free_port: Callable[[], int]) -> None:
    result = run_module("bot_gate", health_url=f"http://127.0.0.1:{free_port()}/api/health", wait=0)
    assert "connection refused, nothing listens there; check that the bot runs and that the address" in result["msg"]


@pytest.mark.parametrize("listed", [5, "rosey.>", [5], {}])
def test_malformed_connections_are_a_finding(run_module: RunModule, listed: Any) -> None:
    broken = connz([{"cid": 7, "subscriptions_list": listed or {"a": 1}}])
    with fake_monitoring({**ANSWERS, "/connz": broken}) as server:
        result = run_module("bot_gate", **asked(server.url))
    assert "connection 7 has no list of subjects; check that the address has the port" in result["msg"]


def test_absent_keys_are_warnings_unless_required(run_module: RunModule, monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    monkeypatch.setattr("ansible.module_utils.basic.AnsibleModule.warn", lambda _self, text: warnings.append(text))
    answer = {name: ANSWER[name] for name in ("status", "connected", "nats")}
    with fake_monitoring({**ANSWERS, "/api/health": answer}) as server:
        result = run_module("bot_gate", **asked(server.url))
        assert result["passed"] is True
        assert [text.partition(":")[0] for text in warnings] == [
            *("channel", "uptime", "version", "user_count", "requests", "errors")
        ]
        result = run_module("bot_gate", **asked(server.url), required=["version"])
    assert "- version: expected a text, found nothing; run a version of the bot that tells it" in result["msg"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"wait": -1}, "wait: -1; expected seconds"),
        ({"timeout": 0}, "timeout is 0; give the seconds"),
        ({"health_url": "localhost:8000"}, "the URL has to begin with http:// or https://"),
        ({"health_url": "localhost:8000"}, "write it as http://localhost:8000/api/health"),
        ({"health_url": "http://me:hunter2@h/api/health"}, "the URL holds a user or a password"),
        ({"monitoring_url": "http://me:hunter2@h:1", "plugins": PLUGINS}, "the URL holds a user or a password"),
        (
            {"servers": ["nats://me:hunter2@h"]},
            "servers: h has a user or password before it; give these as credentials",
        ),
        ({"servers": ["nats://hunter2@h"]}, "servers: h has a user or password before it"),
        ({"servers": ["http://h"]}, "servers: http://h is no URL of a NATS server; write it as nats://localhost:4222"),
        ({"servers": ["nats://h:banana"]}, "servers: nats://h:banana is no URL"),
        ({"required": ["nats.name"]}, "value of required must be one or more of: status, connected"),
        ({"mode": "none"}, "value of mode must be one of: nats, legacy"),
        ({"plugins": [{"name": "quotes", "subscriptions": ["a..b"]}]}, "plugins: quotes: 'a..b' has an empty token"),
        ({"round_trip": {"subject": "a"}}, "missing parameter(s) required by 'round_trip': python"),
        ({"round_trip": {"subject": "a"}, "python": "p"}, "round_trip: servers names none to connect to"),
        ({"round_trip": {"subject": "a.*"}, "python": "p"}, "round_trip.subject: 'a.*' is no subject to publish on"),
        (
            {"round_trip": {"subject": "a", "count": 199}, "python": "p"},
            "round_trip.count: 199; expected 200 to 100000",
        ),
        ({"round_trip": {"subject": "a", "limit_milliseconds": 0}, "python": "p"}, "limit_milliseconds: 0; give"),
        ({"round_trip": {"subject": "a", "limit_milliseconds": "nan"}, "python": "p"}, "limit_milliseconds: nan; give"),
        ({"round_trip": {"subject": "a", "limit_milliseconds": 5001}, "python": "p"}, "limit_milliseconds: 5001; give"),
        ({"credentials": {"password": "hunter2"}}, "credentials: password together; expected user and password"),
        (
            {"credentials": {"user": "u", "password": "hunter2", "token": "t0ken"}},
            "expected user and password, or token",
        ),
    ],
)
def test_a_fault_of_the_caller_is_named_at_once(
    run_module: RunModule, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], message: str
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(syslog, "syslog", lambda *words: logged.append(repr(words)))
    result = run_module("bot_gate", **arguments)
    assert result["failed"] is True
    assert message in result["msg"]
    assert "hunter2" not in json.dumps(result) + "".join(logged)


def test_the_round_trip_waits_for_a_bot_that_passes(run_module: RunModule, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, Any]] = []
    milliseconds = (1.0,) * 190 + (150.0,) * 10

    def make(trip: round_trips.RoundTrip, **given: Any) -> round_trips.Trips:
        made.append({"trip": trip, **given})
        return round_trips.Trips(milliseconds)

    monkeypatch.setattr(round_trips, "make_trips", make)
    trip = {"subject": "rosey.prod.commands.quote", "payload": {"user": "me"}}
    asks = {"round_trip": trip, "python": "/bot/python", "credentials": {"user": "rosey", "password": "hunter2"}}
    with fake_monitoring(ANSWERS) as server:
        slow = run_module("bot_gate", **asked(server.url), **asks)
        fine = run_module(
            "bot_gate", **asked(server.url), **{**asks, "round_trip": {**trip, "limit_milliseconds": 150}}
        )
        server.answers["/connz"] = connz([])
        failed = run_module("bot_gate", **asked(server.url), **asks)
    assert len(made) == 2
    assert made[0] == {
        "trip": round_trips.RoundTrip("rosey.prod.commands.quote", '{"user": "me"}', 200, 100.0),
        "python": BotPython("/bot/python", None, None),
        "servers": ["nats://localhost:4222"],
        "credentials": {"user": "rosey", "password": "hunter2"},
        "name": "rosey-round-trip",
        "timeout": 5.0,
        "options": {},
    }
    assert "- round trip: expected a p99 of at most 100 ms, found 150.0 ms; look at the load of the host" in slow["msg"]
    measured = {"p50_milliseconds": 1.0, "p99_milliseconds": 150.0, "trips": 200, "skipped": False}
    assert (slow["failed"], slow["round_trip"], fine["passed"], fine["round_trip"]) == (True, measured, True, measured)
    assert fine["summary"].endswith("2 of 2 subscriptions held, round trip p50 1.0 ms, p99 150.0 ms over 200")
    assert failed["round_trip"]["skipped"] is True
    assert failed["summary"].endswith("0 of 2 subscriptions held, round trip skipped")
    assert "hunter2" not in json.dumps([slow, fine, failed])


def test_a_host_without_requests_is_told_so(run_module: RunModule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_reader, "HAS_REQUESTS", False)
    assert run_module("bot_gate")["msg"].startswith("Failed to import the required Python library (requests)")


def test_the_keys_are_documented() -> None:
    options = yaml.safe_load(bot_fragment.ModuleDocFragment.DOCUMENTATION)["options"]
    assert options["required"]["choices"] == list(bot_expectation.KEYS)
    assert options["health_url"]["default"] == bot_expectation.URL
