# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import socket
import subprocess
import syslog
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._server import http_reader
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import (
    JSZ,
    SERVER_ID,
    STARTED,
    VARZ,
    Reply,
    fake_monitoring,
    raw_server,
)

RunModule = Callable[..., dict[str, Any]]
CONFIG = """
server_name: rosey_nats_test
port: 4222
max_connections: 50
ping_interval: "1m"
jetstream { store_dir: "/s", max_mem: 512M, max_file: 5G }
lame_duck_duration: "40s"
"""


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "nats-server.conf"
    path.write_text(CONFIG)
    return path


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_server_that_runs_as_meant_passes(run_module: RunModule, config_file: Path, check_mode: bool) -> None:
    with fake_monitoring() as server:
        result = run_module(
            "nats_gate",
            check_mode=check_mode,
            monitoring_url=server.url,
            version="2.10.7",
            config_file=str(config_file),
        )
        assert server.connections == 1
    assert result.pop("invocation")
    seconds = [result.pop(name) for name in ("first_answer_seconds", "gate_passed_seconds")]
    assert all(0 <= each < 1 for each in seconds)
    assert result == {
        "changed": False,
        "passed": True,
        "summary": "9 of 10 proven, 1 taken on trust: lame_duck_duration",
        "findings": [],
        "meant": 10,
        "proven": 9,
        "trusted": ["lame_duck_duration"],
        "server": {"id": SERVER_ID, "name": "rosey_nats_test", "version": "2.10.7"},
        "mark": {"config_load_time": STARTED, "log_size": None},
    }


def test_a_server_that_does_not_fails_with_all_findings(run_module: RunModule, config_file: Path) -> None:
    answers = {
        "/varz": {**VARZ, "version": "2.10.6", "max_connections": 65536, "jetstream": {}},
        "/jsz": {**JSZ, "disabled": True},
        "/healthz": {"status": "error", "errors": [{"error": "not accepting connections"}]},
    }
    with fake_monitoring(answers) as server:
        result = run_module(
            "nats_gate", monitoring_url=server.url, version="2.10.7", config_file=str(config_file), wait=0
        )
    assert (result["failed"], result["passed"], result["proven"], result["meant"]) == (True, False, 3, 10)
    heading, *lines = result["msg"].splitlines()
    assert heading == (
        f"nats-server at {server.url} has not proven what was meant within 0 seconds: "
        "3 of 10 proven, 1 taken on trust: lame_duck_duration."
    )
    assert [line.partition(":")[0] for line in lines] == [
        *("- version", "- jetstream", "- max_connections"),
        *("- jetstream.store_dir", "- jetstream.max_mem", "- jetstream.max_file", "- /healthz"),
    ]
    assert lines[2] == (
        "- max_connections: expected 50, found 65536; reload the server, and look at its log where it refuses."
    )
    assert result["findings"][2] == {
        "what": "max_connections",
        "expected": "50",
        "found": "65536",
        "severity": "error",
        "remedy": "reload the server, and look at its log where it refuses",
    }
    assert "gate_passed_seconds" not in result


def test_it_waits_until_the_server_has_recovered(run_module: RunModule) -> None:
    replies = iter([Reply(b"", status=500), {"status": "unavailable", "error": "recovering"}, {"status": "ok"}])
    with fake_monitoring({"/healthz": lambda _query: next(replies)}) as server:
        result = run_module("nats_gate", monitoring_url=server.url, wait=5)
    assert result["passed"] is True
    assert result["gate_passed_seconds"] < 1


@pytest.mark.parametrize(
    ("talk", "cause"),
    [
        (lambda connection: connection.sendall(b"INFO {}\r\n"), "this is the port for clients of nats-server"),
        (lambda connection: connection.recv(1000), "the connection was closed without an answer"),
        (lambda connection: connection.recv(1000) and connection.recv(1000), "no whole answer within 0.5 seconds"),
    ],
    ids=["the port for clients", "closed", "a hang"],
)
def test_no_usable_answer_is_a_finding_too(
    run_module: RunModule, talk: Callable[[socket.socket], None], cause: str
) -> None:
    def bounded(connection: socket.socket) -> None:
        connection.settimeout(1)
        talk(connection)

    with raw_server(bounded) as url:
        result = run_module("nats_gate", monitoring_url=url, wait=0, timeout=0.5)
    assert result["failed"] is True
    assert f"- monitoring: expected an answer of nats-server at {url}/varz, found {cause}" in result["msg"]
    assert (result["findings"][0]["what"], result["proven"], "server" in result) == ("monitoring", 0, False)


@pytest.mark.parametrize(
    ("arguments", "varz", "failed", "warned"),
    [
        ({}, {}, False, []),
        ({}, {"slow_consumers": 1}, False, ["slow_consumers: expected at most 0, found 1"]),
        ({}, {"connections": 46}, False, ["connections: expected at most 90 percent of max_connections, found 92"]),
        ({}, {"mem": 1 << 40}, False, []),
        ({"slow_consumers_limit": 0}, {"slow_consumers": 1}, True, []),
        ({"slow_consumers_limit": 5}, {"slow_consumers": 1}, False, []),
        ({"connections_limit": 9}, {}, True, []),
        ({"memory_limit": 1000}, {}, True, []),
    ],
)
def test_a_limit_of_the_caller_is_an_error_and_a_default_a_warning(
    run_module: RunModule,
    monkeypatch: pytest.MonkeyPatch,
    *,
    arguments: dict[str, Any],
    varz: dict[str, Any],
    failed: bool,
    warned: list[str],
) -> None:
    warnings: list[str] = []
    monkeypatch.setattr("ansible.module_utils.basic.AnsibleModule.warn", lambda _self, text: warnings.append(text))
    with fake_monitoring({"/varz": {**VARZ, **varz}}) as server:
        result = run_module("nats_gate", monitoring_url=server.url, wait=0, **arguments)
    assert result.get("failed", False) is failed
    assert len(warnings) == len(warned)
    assert all(map(str.startswith, warnings, warned))


def test_a_mark_shows_whether_a_reload_was_taken(run_module: RunModule) -> None:
    with fake_monitoring() as server:
        before = run_module("nats_gate", monitoring_url=server.url)
        late = run_module("nats_gate", monitoring_url=server.url, since=before["mark"], wait=0)
        server.answers["/varz"] = {**VARZ, "config_load_time": "2026-11-23T20:00:00Z"}
        after = run_module("nats_gate", monitoring_url=server.url, since=before["mark"])
    assert f"reload: expected a configuration loaded after {STARTED}, found the one loaded at {STARTED}" in late["msg"]
    assert after["passed"] is True


def test_a_configuration_is_read_with_its_includes(run_module: RunModule, tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "nats.conf").write_text("include part/limits.conf\nserver_name: $NAME\n")
    (tmp_path / "part/limits.conf").write_text("max_connections: 50\n")
    with fake_monitoring() as server:
        result = run_module("nats_gate", monitoring_url=server.url, config_file=str(tmp_path / "nats.conf"))
    assert result["summary"] == "1 of 2 proven, 1 taken on trust: server_name"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"config_file": "/nowhere/n.conf"}, "config_file: /nowhere/n.conf can't be read: No such file or directory; "),
        ({"since": {"config_load_time": "now"}}, "since.config_load_time: now is no time; expected one with its zone"),
        ({"since": {"config_load_time": "2026-11-23 19:00"}}, "since.config_load_time: 2026-11-23 19:00 is no time"),
        ({"since": {}}, "missing required arguments: config_load_time"),
        ({"monitoring_url": "http://me:hunter2@h:1"}, "the URL holds a user or a password"),
        ({"version": "v2.10.7"}, "version 'v2.10.7' is no version of nats-server; expected one such as 2.10.7"),
        ({"wait": "long"}, "wait"),
        ({"wait": -1}, "wait: -1; expected seconds"),
        ({"wait": "nan"}, "wait: nan; expected seconds"),
        ({"wait": "inf"}, "wait: inf; expected seconds"),
        ({"timeout": 0}, "timeout is 0; give the seconds"),
        ({"timeout": -1}, "timeout is -1; give the seconds"),
        ({"timeout": "inf"}, "timeout is inf; give the seconds"),
    ],
)
def test_a_fault_of_the_caller_is_named_at_once(run_module: RunModule, arguments: dict[str, Any], message: str) -> None:
    result = run_module("nats_gate", **{"monitoring_url": "http://127.0.0.1:1", **arguments})
    assert result["failed"] is True
    assert message in result["msg"]


def test_a_configuration_that_can_not_be_parsed_is_named(run_module: RunModule, tmp_path: Path) -> None:
    path = tmp_path / "n.conf"
    for text, cause in [('port: 1\nlog_file: "', "line 2"), ("include none.conf", "none.conf")]:
        path.write_text(text)
        result = run_module("nats_gate", monitoring_url="http://127.0.0.1:1", config_file=str(path))
        assert result["msg"].startswith(f"config_file: {path}: ")
        assert cause in result["msg"]


def test_a_host_without_requests_is_told_so(run_module: RunModule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_reader, "HAS_REQUESTS", False)
    result = run_module("nats_gate", monitoring_url="http://127.0.0.1:1")
    assert result["msg"].startswith("Failed to import the required Python library (requests)")


def test_no_secret_is_in_the_result_or_the_hosts_journal(
    run_module: RunModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = ["hunter2", "tok3n-of-all", "k3y-of-store"]
    path = tmp_path / "n.conf"
    path.write_text(
        f'authorization {{ users: [ {{user: a, password: "{secrets[0]}"}} ], token: "{secrets[1]}" }}\n'
        f'cluster {{ routes: ["nats://a:{secrets[0]}@h:1"] }}\n'
        f'jetstream {{ encryption_key: "{secrets[2]}", store_dir: "/other" }}\nmax_connections: 1\n'
    )
    logged: list[str] = []
    monkeypatch.setattr(syslog, "syslog", lambda *arguments: logged.append(repr(arguments)))
    with fake_monitoring() as server:
        result = run_module("nats_gate", monitoring_url=server.url, config_file=str(path), wait=0)
    assert result["failed"] is True
    for secret in secrets:
        assert secret not in json.dumps(result) + "".join(logged)


@pytest.mark.parametrize("ends", [True, False])
def test_a_process_that_has_ended_is_not_waited_for(run_module: RunModule, tmp_path: Path, ends: bool) -> None:
    with subprocess.Popen(["true" if ends else "sleep", "60"]) as server:
        if ends:
            server.wait()
        (tmp_path / "pid").write_text(f"{server.pid}\n")
        begun = time.monotonic()
        result = run_module("nats_gate", monitoring_url="http://127.0.0.1:9", wait=1.5, pid_file=str(tmp_path / "pid"))
        assert result["failed"]
        assert (time.monotonic() - begun < 1) is ends
        server.kill()


def test_a_refused_reload_ends_the_waiting_at_once(run_module: RunModule, tmp_path: Path) -> None:
    log, config_file = tmp_path / "log", tmp_path / "n.conf"
    config_file.write_text(f"log_file: {log}\n")
    with fake_monitoring() as server:
        log.write_text(f"[7] [INF] Starting nats-server\n[7] [INF]   ID:       {SERVER_ID}\n")
        arguments = {"monitoring_url": server.url, "config_file": str(config_file)}
        before = run_module("nats_gate", **arguments)
        with log.open("a") as file:
            file.write(
                "[7] [ERR] Failed to reload server configuration: config reload not supported for MaxSubs: old=1\n"
            )
        result = run_module("nats_gate", **arguments, since=before["mark"], wait=60)
    assert result["failed"] is True
    assert "the server refused the new one: config reload not supported for MaxSubs;" in result["msg"]
