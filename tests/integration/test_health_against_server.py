# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate and the information module against the real server: what it shows, and how soon."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nats
import pytest

from ansible_collections.rosey.nats.plugins.module_utils._server import conf, endpoints
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import make_certificate

RunModule = Callable[..., dict[str, Any]]
ROOT = Path(__file__).parents[2]
USERS = [{"user": "app", "password": "hunter2"}, {"user": "other", "password": "hunter2"}]


class Server:
    """A nats-server with a configuration of its own, in a directory of its own."""

    def __init__(self, binary: Path, directory: Path, free_port: Callable[[], int], certificate: Path) -> None:
        self.binary = binary
        self.directory = directory
        self.certificate = certificate
        self.port, self.monitoring_port = free_port(), free_port()
        self.config_file = directory / "nats-server.conf"
        self.config: dict[str, Any] = {
            "server_name": "proven",
            "host": "127.0.0.1",
            "port": self.port,
            "http_port": self.monitoring_port,
            "log_file": str(directory / "log"),
            "max_connections": 50,
            "ping_interval": "1m",
            "jetstream": {"store_dir": str(directory / "store"), "max_mem": "64M", "max_file": "128M"},
        }
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.monitoring_port}"

    @property
    def asked(self) -> dict[str, Any]:
        return {"monitoring_url": self.url, "config_file": str(self.config_file), "wait": 10}

    def write(self, **changes: Any) -> None:
        self.config = {name: value for name, value in (self.config | changes).items() if value is not None}
        staged = self.config_file.with_suffix(".new")
        staged.write_text(conf.render(self.config))
        staged.replace(self.config_file)

    def start(self) -> None:
        self.process = subprocess.Popen([self.binary, "-c", self.config_file], stderr=subprocess.DEVNULL)

    def signal(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)

    def stop(self) -> None:
        if self.process:
            self.signal(signal.SIGINT)
            self.process.wait(10)
            self.process = None


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server(nats_server: Path, tmp_path: Path, free_port: Callable[[], int], certificate: Path) -> Iterator[Server]:
    made = Server(nats_server, tmp_path, free_port, certificate)
    made.write()
    yield made
    made.stop()


def findings(result: dict[str, Any]) -> list[str]:
    return [finding["what"] for finding in result["findings"]]


def test_the_guides_options_are_proven(server: Server, run_module: RunModule) -> None:
    server.write(
        debug=True, trace=False, logtime=True, max_control_line=4096, max_payload=1048576, ping_max=2, log_max_num=5
    )
    server.start()
    result = run_module("nats_gate", version="2.10.7", **server.asked)
    assert result.get("msg") is None
    # nobody has talked yet, so nothing tells whether the server traces
    assert result["summary"] == "17 of 19 proven, 2 taken on trust: log_max_num, trace"


def test_tracing_is_proven_once_a_client_has_talked(server: Server, run_module: RunModule) -> None:
    async def talk() -> None:
        client = await nats.connect(f"nats://127.0.0.1:{server.port}")
        await client.publish("rosey.dev.commands.quote", b"x")
        await client.close()

    for trace in (False, True):
        server.write(trace=trace)
        server.start()
        run_module("nats_gate", monitoring_url=server.url)
        asyncio.run(talk())
        assert run_module("nats_gate", **server.asked)["trusted"] == []
        server.write(trace=not trace)
        assert findings(run_module("nats_gate", **{**server.asked, "wait": 0})) == ["trace"]
        server.stop()


EFFECTS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"debug": True}, {"debug": False}, "debug"),
    ({"debug": False}, {"debug": True}, "debug"),
    ({"logtime": True}, {"logtime": False}, "logtime"),
    ({"logtime": False}, {"logtime": True}, "logtime"),
    ({"max_connections": 50}, {"max_connections": 51}, "max_connections"),
    ({"ping_interval": "1m"}, {"ping_interval": "2m"}, "ping_interval"),
    ({"max_payload": "1M"}, {"max_payload": "1MB"}, "max_payload"),
    ({"server_tags": ["a", "b"]}, {"server_tags": ["a"]}, "server_tags"),
    ({"authorization": {"users": USERS}}, {"authorization": {"token": "t"}}, ""),
    ({"write_deadline": "3s"}, {"write_deadline": "4s"}, "write_deadline"),
    ({"mqtt": {"ack_wait": "9s"}}, {"mqtt": {"ack_wait": "8s"}}, "mqtt.ack_wait"),
]


@pytest.mark.parametrize(("meant", "other", "name"), EFFECTS, ids=[str(row[0]) for row in EFFECTS])
def test_what_is_meant_is_told_from_what_is_not(
    server: Server, run_module: RunModule, meant: dict[str, Any], other: dict[str, Any], name: str
) -> None:
    server.write(**meant)
    server.start()
    result = run_module("nats_gate", **server.asked)
    assert result["passed"] is True
    assert not name or name not in result["trusted"]
    server.write(**other)
    if name:
        assert findings(run_module("nats_gate", **{**server.asked, "wait": 0})) == [name]


def test_files_and_ports_that_the_server_makes_are_looked_at(
    server: Server, run_module: RunModule, free_port: Callable[[], int]
) -> None:
    files = {
        "pid_file": str(server.directory / "pid"),
        "ports_file_dir": str(server.directory),
        "prof_port": free_port(),
    }
    server.write(**files)
    server.start()
    assert run_module("nats_gate", **server.asked)["trusted"] == []
    server.write(log_file=None)
    assert run_module("nats_gate", **server.asked)["trusted"] == []
    (server.directory / "pid").write_text("1")
    for file in server.directory.glob("*.ports"):
        file.unlink()
    server.write(prof_port=free_port(), log_file=str(server.directory / "log"))
    result = run_module("nats_gate", **{**server.asked, "wait": 0})
    assert findings(result) == ["prof_port", "pid_file", "ports_file_dir"]


def test_a_jetstream_that_is_not_there_is_found_although_the_server_calls_itself_healthy(
    server: Server, run_module: RunModule
) -> None:
    jetstream = server.config["jetstream"]
    server.write(jetstream=None)
    server.start()
    assert run_module("nats_gate", **server.asked)["passed"] is True
    server.write(jetstream=jetstream)
    result = run_module("nats_gate", **{**server.asked, "wait": 0})
    assert findings(result)[0] == "jetstream"
    assert "jetstream: expected on, found off" in result["msg"]


def test_a_duration_without_a_unit_is_found(server: Server, run_module: RunModule) -> None:
    server.config_file.write_text(server.config_file.read_text().replace('"1m"', "2m"))
    server.start()
    result = run_module("nats_gate", **{**server.asked, "wait": 1})
    assert findings(result) == ["ping_interval"]


RELOADS: list[tuple[dict[str, Any], list[str]]] = [
    ({"max_connections": 60, "ping_interval": "90s"}, []),
    ({"debug": True}, []),
    ({"debug": True, "max_traced_msg_len": 512}, []),
    ({"server_tags": ["new"]}, []),
    ({"authorization": {"users": USERS}}, ["authorization.users.0.password", "authorization.users.1.password"]),
    ({"client_advertise": "nats.example.com:4222"}, []),
    ({"connect_error_reports": 7, "reconnect_error_reports": 2}, []),
    ({"pid_file": "{directory}/pid"}, []),
    ({"log_file": "{directory}/other.log"}, []),
]


@pytest.mark.parametrize(("changes", "trusted"), RELOADS, ids=[str(row[0]) for row in RELOADS])
def test_a_reload_is_proven_and_so_is_the_next_run(
    server: Server, run_module: RunModule, changes: dict[str, Any], trusted: list[str]
) -> None:
    server.start()
    before = run_module("nats_gate", **server.asked)
    server.write(
        **{
            name: value.format(directory=server.directory) if isinstance(value, str) else value
            for name, value in changes.items()
        }
    )
    assert not run_module("nats_gate", **{**server.asked, "wait": 0}, since=before["mark"])["passed"]
    server.signal(signal.SIGHUP)
    after = run_module("nats_gate", **server.asked, since=before["mark"])
    assert after.get("msg") is None
    unproven = [name for name in after["trusted"] if name not in before["trusted"]]
    assert [name for name in unproven if name not in trusted] == []
    # without the mark there is less evidence, and never a false alarm
    assert run_module("nats_gate", **server.asked)["passed"] is True


def test_debug_is_known_to_be_off_again(server: Server, run_module: RunModule) -> None:
    server.write(debug=True)
    server.start()
    for debug in (False, True, False):
        before = run_module("nats_gate", **server.asked)
        server.write(debug=debug)
        server.signal(signal.SIGHUP)
        after = run_module("nats_gate", **server.asked, since=before["mark"])
        assert (after["passed"], after["trusted"]) == (True, [])


def test_a_refused_reload_is_found_with_its_reason(server: Server, run_module: RunModule) -> None:
    server.start()
    before = run_module("nats_gate", **server.asked)
    server.write(max_pending="32MB", lame_duck_duration="50s")
    server.signal(signal.SIGHUP)
    started = time.monotonic()
    result = run_module("nats_gate", **{**server.asked, "wait": 60}, since=before["mark"])
    assert time.monotonic() - started < 5  # the refusal is final
    assert findings(result) == ["max_pending", "reload"]
    assert "the server refused the new one: config reload not supported for" in result["findings"][1]["found"]


def test_a_log_that_was_rotated_away_is_known_by_its_growing(server: Server, run_module: RunModule) -> None:
    server.start()
    assert run_module("nats_gate", **server.asked)["passed"] is True
    log = server.directory / "log"
    log.rename(server.directory / "log.1")
    assert findings(run_module("nats_gate", **{**server.asked, "wait": 0})) == ["log_file"]
    log.touch()
    assert findings(run_module("nats_gate", **{**server.asked, "wait": 0})) == ["log_file"]
    server.signal(signal.SIGUSR1)  # the server opens its log anew
    assert run_module("nats_gate", **server.asked)["passed"] is True


def test_a_server_in_lame_duck_mode_does_not_pass(server: Server, run_module: RunModule) -> None:
    server.start()
    run_module("nats_gate", **server.asked)

    async def hold_on() -> dict[str, Any]:
        client = await nats.connect(f"nats://127.0.0.1:{server.port}")
        server.signal(signal.SIGUSR2)
        await asyncio.sleep(0.2)
        try:
            return await asyncio.to_thread(run_module, "nats_gate", **{**server.asked, "wait": 0})
        finally:
            await client.close()

    assert "/healthz" in findings(asyncio.run(hold_on()))


def test_another_server_on_the_port_is_named(server: Server, run_module: RunModule) -> None:
    server.start()
    run_module("nats_gate", **server.asked)
    server.write(server_name="meant")
    result = run_module("nats_gate", **{**server.asked, "wait": 0})
    assert "- server_name: expected meant, found proven; check that url leads to this server" in result["msg"]


def test_the_port_for_clients_is_named(server: Server, run_module: RunModule) -> None:
    server.start()
    run_module("nats_gate", **server.asked)
    result = run_module("nats_gate", monitoring_url=f"http://127.0.0.1:{server.port}", wait=0)
    assert "found this is the port for clients of nats-server" in result["msg"]


def test_tls_and_a_base_path(server: Server, run_module: RunModule) -> None:
    file = str(server.certificate)
    tls = {"cert_file": file, "key_file": file, "ca_file": file, "verify": True, "timeout": 3}
    server.write(http_port=None, https_port=server.monitoring_port, http_base_path="/bus", tls=tls)
    server.start()
    url = f"https://127.0.0.1:{server.monitoring_port}/bus"
    trusting = {"monitoring_url": url, "ca_path": file, "client_cert": file, "client_key": file}
    result = run_module("nats_gate", **{**server.asked, **trusting})
    assert result.get("msg") is None
    assert result["trusted"] == ["tls.cert_file", "tls.key_file", "tls.ca_file"]
    assert run_module("nats_info", **trusting)["varz"]["http_base_path"] == "/bus"
    refused = run_module("nats_info", **{**trusting, "ca_path": None})
    assert f"{url}/varz: the certificate of the server is not trusted" in refused["msg"]
    lost = run_module("nats_info", **{**trusting, "monitoring_url": url.removesuffix("/bus")})
    assert "HTTP status 404" in lost["msg"]


def test_information_is_complete(server: Server, run_module: RunModule) -> None:
    clients = 1100  # more than one page of the server's, and more than an ordinary user's limit of open files
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    server.write(max_connections=2000, authorization={"users": USERS})
    server.start()
    run_module("nats_gate", **server.asked)

    async def fill() -> None:
        client = await nats.connect(f"nats://app:hunter2@127.0.0.1:{server.port}")
        stream = client.jetstream()
        for name in ("ONE", "TWO"):
            await stream.add_stream(name=name, subjects=[f"{name}.>"])
        await stream.publish("ONE.x", b"message")
        await client.close()

    asyncio.run(fill())
    sockets = [socket.create_connection(("127.0.0.1", server.port)) for _number in range(clients)]
    for connection in sockets:
        connection.sendall(
            b'CONNECT {"verbose":false,"user":"app","pass":"hunter2","name":"c"}\r\nSUB rosey.> 1\r\nPING\r\n'
        )
    for connection in sockets:
        while b"PONG" not in connection.recv(4096):
            pass
    result = run_module("nats_info", monitoring_url=server.url, gather=list(endpoints.ENDPOINTS), details=True)
    for connection in sockets:
        connection.close()
    assert result["connz"]["total"] == len(result["connz"]["connections"]) == clients
    assert sum(each["subject"] == "rosey.>" for each in result["subsz"]["subscriptions_list"]) == clients
    (account,) = result["jsz"]["account_details"]
    assert sorted(stream["name"] for stream in account["stream_detail"]) == ["ONE", "TWO"]
    assert (result["jsz"]["messages"], result["healthz"]["status"]) == (1, "ok")
    assert [account["account_name"] for account in result["accountz"]["account_details"]]
    assert "hunter2" not in json.dumps(result)


def test_the_log_stays_quiet_about_an_ordinary_look(server: Server, run_module: RunModule) -> None:
    server.start()
    for _time in range(3):
        run_module("nats_gate", **server.asked)
    assert "[WRN]" not in (server.directory / "log").read_text()


def test_every_option_that_varz_shows_is_proven_by_the_real_server(
    server: Server, run_module: RunModule, free_port: Callable[[], int]
) -> None:
    server.write(
        max_control_line="8KB",
        max_payload="512KB",
        max_pending="32MB",
        max_subscriptions=1000,
        ping_max=4,
        write_deadline="7s",
        server_tags=["Region:West", "b"],
        authorization={"users": USERS, "timeout": 3},
        cluster={
            "name": "bus",
            "listen": f"127.0.0.1:{free_port()}",
            "pool_size": 5,
            "routes": ["nats://u:p@127.0.0.1:1"],
        },
        leafnodes={"listen": f"127.0.0.1:{free_port()}"},
        websocket={"listen": f"127.0.0.1:{free_port()}", "no_tls": True, "compression": True},
        mqtt={"listen": f"127.0.0.1:{free_port()}", "ack_wait": "9s", "max_ack_pending": 77},
        jetstream={**server.config["jetstream"], "sync_interval": "1m"},
    )
    server.start()
    # alone, the member of a cluster finds no leader for JetStream
    result = run_module("nats_gate", **{**server.asked, "wait": 0.5})
    assert {"/healthz", "jetstream cluster"} >= set(findings(result))
    users = [f"authorization.users.{number}.{name}" for number in range(2) for name in ("user", "password")]
    assert result["trusted"] == users


STARTS = 5
GATE_SECONDS = 0.1


def test_the_gate_passes_within_a_tenth_of_a_second_of_the_first_answer(server: Server) -> None:
    """The module runs as Ansible runs it, in a process of its own that is there before the server is."""
    passed = []
    program = "\n".join(
        (
            "import sys",
            "from ansible_collections.rosey.nats.plugins.modules import nats_gate",
            "print('ready', file=sys.stderr, flush=True)",
            "nats_gate.main()",
        )
    )
    for _start in range(STARTS):
        arguments = json.dumps({"ANSIBLE_MODULE_ARGS": {**server.asked, "version": "2.10.7"}})
        module = subprocess.Popen(
            [sys.executable, "-c", program, arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT / "collections")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert module.stderr
        assert module.stderr.readline() == "ready\n"
        time.sleep(0.3)
        server.start()
        said = json.loads(module.communicate(timeout=60)[0])
        assert said["passed"], said
        passed.append(said["gate_passed_seconds"])
        server.stop()
    print(f"first answer to gate passed: {', '.join(f'{seconds * 1000:.1f} ms' for seconds in passed)}")
    assert sorted(passed)[STARTS // 2] < GATE_SECONDS


def test_a_cluster_passes_with_a_quorum_and_not_without(
    server: Server, tmp_path: Path, free_port: Callable[[], int], run_module: RunModule
) -> None:
    members = []
    ports = [free_port() for _member in range(3)]
    for number, port in enumerate(ports):
        directory = tmp_path / str(number)
        directory.mkdir()
        member = Server(server.binary, directory, free_port, server.certificate)
        routes = [f"nats://127.0.0.1:{other}" for other in ports if other != port]
        member.write(server_name=f"n{number}", cluster={"name": "bus", "listen": f"127.0.0.1:{port}", "routes": routes})
        members.append(member)
    try:
        for member in members:
            member.start()
        for member in members:
            assert run_module("nats_gate", **{**member.asked, "wait": 30})["passed"] is True
        for member in members[1:]:
            assert member.process
            member.process.kill()
            member.process.wait()
            member.process = None
        result = run_module("nats_gate", **{**members[0].asked, "wait": 0})
        deadline = time.monotonic() + 30
        while result["passed"] and time.monotonic() < deadline:
            result = run_module("nats_gate", **{**members[0].asked, "wait": 0})
        assert {"/healthz", "jetstream cluster"} & set(findings(result))
    finally:
        for member in members:
            member.stop()
