# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nats
import pytest

from ansible_collections.rosey.nats.plugins.module_utils._bus import server_obstacles
from ansible_collections.rosey.nats.plugins.module_utils._data import asset_record, assets, store, store_tree
from ansible_collections.rosey.nats.plugins.module_utils._deploy import release
from ansible_collections.rosey.nats.plugins.module_utils._server import answers

DANGERS = ["fewer_connections", "smaller_store", "other_store", "no_jetstream"]


def stored(directory: Path | str | None, before: str | None, *, needs_copy: bool) -> dict[str, Any]:
    """Give what the module tells of a store in this directory."""
    data = None if directory is None else f"{directory}/jetstream"
    named = None if directory is None else str(directory)
    told = {"directory": named, "data": data, "next": named, "back": None}
    return {**told, "before": before, "needs_copy": needs_copy}


RunModule = Callable[..., dict[str, Any]]


class Host:
    """A directory that stands for a host under the process runtime."""

    def __init__(self, root: Path, port: int, run_module: RunModule) -> None:
        self.root, self.port, self.run_module = root, port, run_module
        self.config_file = root / "nats-server.conf"
        self.monitoring = ""

    def store(self, **limits: str) -> str:
        """Write a block jetstream."""
        given = {"store_dir": str(self.root / "store"), "max_mem": "64M", "max_file": "128M", **limits}
        return "jetstream {" + ", ".join(f"{name}: {value}" for name, value in given.items()) + "}\n"

    def record(
        self, loaded: str, *others: dict[str, Any], gates: tuple[str, ...] = (), by_earlier_version: bool = False
    ) -> None:
        """Let this configuration, and these other entries, be what the host's current release has of the server.

        by_earlier_version: one that recorded no environment, and no streams.
        """
        entry = {"path": str(self.config_file), "state": "file", "secret_content": loaded}
        settings = {"version": "2.10.7", **({} if by_earlier_version else {"environment": None})}
        part = release.Part(settings, [entry, *others])
        release.Store(self.root / "releases").write(
            {"server": part}, controller="here", plan=[], gates=gates, keep=10, now=datetime.now(UTC)
        )
        if not by_earlier_version:
            asset_record.Book(self.root / "releases").prove(asset_record.proven_now(assets.of([])))

    def plan(self, config: str, *, loaded: str | None = None, **changes: Any) -> dict[str, Any]:
        """Plan for this configuration. loaded: what the host's current release has of it."""
        if loaded is not None:
            self.record(loaded)
            changes["release_dir"] = str(self.root / "releases")
        arguments: dict[str, Any] = {
            "runtime": "process",
            "pid_file": str(self.root / "pid"),
            "version": "2.10.7",
            "directory": str(self.root / "lib"),
            "link": str(self.root / "nats-server"),
            "config_file": str(self.config_file),
            "entries": [self.entry(config)],
        }
        return self.run_module("nats_plan", **{**arguments, **changes})

    def entry(self, config: str) -> dict[str, Any]:
        content = f"host: 127.0.0.1\nport: {self.port}\n{config}"
        return {"path": str(self.config_file), "state": "file", "mode": "0640", "content": content}

    def deploy(self, config: str) -> None:
        self.config_file.write_text(f"host: 127.0.0.1\nport: {self.port}\n{config}")
        self.config_file.chmod(0o640)


@pytest.fixture
def host(tmp_path: Path, free_port: Callable[[], int], run_module: RunModule) -> Host:
    return Host(tmp_path, free_port(), run_module)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def served(host: Host, nats_server: Path, config: str, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server on this configuration, from the versions' directory, through the link."""
    binary = host.root / "lib" / "2.10.7" / "nats-server"
    binary.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(nats_server, binary)
    link = host.root / "nats-server"
    if not link.is_symlink():
        link.symlink_to(binary)
    host.deploy(config)
    command = [str(link), *(options or ("-c", str(host.config_file)))]
    with subprocess.Popen(command, cwd=host.root, stderr=subprocess.DEVNULL) as server:
        (host.root / "pid").write_text(f"{server.pid}\n")
        try:
            while not listens(host.port):
                assert server.poll() is None
            yield server
        finally:
            server.terminate()


@pytest.fixture
def running(host: Host, nats_server: Path) -> Iterator[Host]:
    with served(host, nats_server, "debug: false"):
        yield host


@pytest.fixture
def monitored(host: Host, nats_server: Path, free_port: Callable[[], int]) -> Iterator[Host]:
    """A server with monitoring and JetStream, and one stream of three messages in it."""
    host.monitoring = f"http_port: {free_port()}\n"
    with served(host, nats_server, host.monitoring + host.store()):
        asyncio.run(fill(host.port))
        yield host


async def fill(port: int) -> None:
    client = await nats.connect(f"nats://127.0.0.1:{port}")
    stream = client.jetstream()
    await stream.add_stream(name="kept", subjects=["kept"])
    for _message in range(3):
        await stream.publish("kept", b"x" * 1000)
    await client.close()


def test_an_empty_host_is_a_start(host: Host) -> None:
    result = host.plan("debug: false")
    assert result["action"] == "start"
    assert result["reasons"] == []
    assert result["changes"] == [{"path": str(host.config_file), "what": ["created"]}]
    assert not result["binary"]["installed"]
    assert result["archive"].startswith("nats-server-v2.10.7-linux-")
    assert result["monitoring_url"] is None
    assert not result["changed"]
    assert not host.config_file.exists()


@pytest.mark.parametrize(
    ("config", "action", "reasons"),
    [
        ("debug: false", "nothing", []),
        ("# a comment\ndebug = off", "nothing", []),
        ("debug: true", "reload", ["debug: False -> True (reload)"]),
        ("max_pending: 1MB", "restart", ["debug: False -> unset (reload)", "max_pending: unset -> 1MiB (restart)"]),
    ],
)
def test_a_running_server_is_disturbed_as_little_as_possible(
    running: Host, config: str, action: str, reasons: list[str]
) -> None:
    result = running.plan(config)
    assert (result["action"], result["reasons"]) == (action, reasons)


def test_a_repair_is_told_and_asks_for_nothing(running: Host) -> None:
    running.config_file.chmod(0o666)
    logs = {"path": str(running.root / "logs"), "state": "directory", "mode": "0750"}
    entries = [{**running.entry("debug: false"), "mode": "0640"}, logs]
    result = running.plan("", entries=entries)
    assert (result["action"], result["reasons"]) == ("nothing", [f"{running.config_file} mode: 0666 -> 0640 (nothing)"])


def test_another_binary_asks_for_a_restart(running: Host) -> None:
    result = running.plan("debug: false", version="2.10.8")
    assert result["action"] == "restart"
    assert "2.10.8" in result["reasons"][0]


def test_a_link_above_the_binary_is_no_other_binary(host: Host, nats_server: Path) -> None:
    (host.root / "real").mkdir()
    (host.root / "lib").symlink_to("real")
    with served(host, nats_server, "debug: false"):
        result = host.plan("debug: false")
    assert (result["action"], result["reasons"]) == ("nothing", [])


def test_the_running_servers_own_port_is_not_taken(running: Host) -> None:
    assert "failed" not in running.plan("debug: true")


def test_a_taken_port_names_its_holder(host: Host) -> None:
    with socket.create_server(("127.0.0.1", host.port)):
        result = host.plan("")
    assert result["failed"]
    assert f"port: {host.port}" in result["msg"]
    assert f"process {os.getpid()}" in result["msg"]


@pytest.mark.parametrize(
    ("config", "changes", "expected"),
    [
        ('log_file: "/nowhere/log"', {}, "log_file: /nowhere/log: this host has no /nowhere"),
        ("log_file: nowhere/log", {}, "this host has no /nowhere, and nats-server needs a directory around it"),
        ("jetstream { store_dir: nowhere }", {}, "A relative path begins at /, where the server is started."),
        ('include "nowhere.conf"', {}, "nowhere.conf, and nats-server needs a file that the server can read"),
        ('tls { cert_file: "/nowhere/c.pem", key_file: "/nowhere/k.pem" }', {}, "tls.cert_file: /nowhere/c.pem"),
        ("", {"checksums": {"sparc": "0" * 64}}, "expected one of sparc"),
        ("", {"archive_for": ["arm7"]}, "the archive at hand is for arm7, and this host is "),
        ("", {"entries": []}, "entries has no"),
        ("port: banana", {}, "banana"),
        ("", {"version": "latest"}, "latest"),
        ("", {"version": "v2.10.7"}, "expected one such as 2.10.7, without a v"),
    ],
)
def test_an_obstacle_is_named(host: Host, config: str, changes: dict[str, Any], expected: str) -> None:
    result = host.plan(config, **changes)
    assert result["failed"]
    assert expected in result["msg"]


def test_a_new_store_needs_room(monitored: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_obstacles, "LEAST_ROOM", 1 << 60)
    other = monitored.monitoring + monitored.store(store_dir=str(monitored.root / "lib"))
    result = monitored.plan(other, accept=["other_store"])
    assert result["failed"]
    for part in (
        f"jetstream.store_dir: {monitored.root / 'lib' / 'jetstream'}: ",
        " are free there; expected at least 1 EiB",
        "Make room",
    ):
        assert part in result["msg"]
    # what fills the disk may be the store itself
    assert "failed" not in monitored.plan(monitored.monitoring + monitored.store() + "debug: true")
    assert "failed" not in monitored.plan(monitored.monitoring, accept=["no_jetstream"])


def test_a_store_that_another_server_has_is_refused(monitored: Host, free_port: Callable[[], int]) -> None:
    second = Host(monitored.root, free_port(), monitored.run_module)
    second.config_file = monitored.root / "second.conf"
    result = second.plan(second.store(), pid_file=str(monitored.root / "second.pid"))
    pid = (monitored.root / "pid").read_text().strip()
    assert result["failed"]
    assert result["msg"] == (
        f"jetstream.store_dir: {monitored.root}/store/jetstream: nats-server (process {pid}, with "
        f"{monitored.config_file}) has it as jetstream.store_dir; expected that the server with {second.config_file} "
        "has it to itself, since either acknowledges messages that the other overwrites. Give the second instance a "
        "nats_server_data_dir of its own, or a jetstream.store_dir where nats_server_config names one, or stop process "
        f"{pid}."
    )
    own = second.store(store_dir=str(monitored.root / "second"))
    (monitored.root / "second").mkdir()
    assert second.plan(own, pid_file=str(monitored.root / "second.pid"))["action"] == "start"
    # the one that is replaced is no other
    assert "failed" not in monitored.plan(monitored.monitoring + monitored.store())


def test_an_unsupported_architecture_names_those_that_are(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "sparc64")
    result = host.plan("")
    assert result["failed"]
    for part in ("sparc64", "386", "amd64", "arm6", "arm7", "arm64"):
        assert part in result["msg"]
    assert not host.config_file.exists()


def test_no_secret_is_shown(running: Host) -> None:
    running.deploy("authorization { user: rosey, password: old-secret }")
    content = f"host: 127.0.0.1\nport: {running.port}\nauthorization {{ user: rosey, password: new-secret }}"
    entry = {"path": str(running.config_file), "state": "file", "secret_content": content}
    result = running.plan("", entries=[entry])
    assert result["action"] == "reload"
    assert "secret" not in str(result["reasons"])
    assert "new-secret" not in str(result)
    assert "old-secret" not in str(result)


FILE = "configuration file: "


def test_a_file_that_was_never_read_asks_for_a_restart_unless_it_is_known_what_was(monitored: Host) -> None:
    config = monitored.monitoring + monitored.store()
    proven = monitored.config_file.read_text()
    monitored.deploy(config + "ping_max: 5")
    wanted = config + "ping_max: 6"
    unknown = monitored.plan(wanted)
    assert unknown["action"] == "restart"
    assert [FILE in reason for reason in unknown["reasons"]] == [True, False]
    known = monitored.plan(wanted, loaded=proven)
    assert known["action"] == "reload"
    assert known["reasons"][0].startswith(f"{FILE}read ")
    assert known["reasons"][0].endswith(" -> written since (reload)")
    assert known["reasons"][1:] == ["ping_max: unset -> 6 (reload)"]
    # the file as it was, written again: a reload makes the server read it
    back = monitored.plan(config, loaded=proven)
    assert (back["action"], len(back["reasons"])) == ("reload", 1)
    fixed = monitored.plan(config + "max_pending: 32MB", loaded=proven)
    assert fixed["action"] == "restart"


PASSED = "server: 3 of 3 proven"


@pytest.mark.parametrize(
    ("gate", "by_hand", "action"),
    [
        (PASSED, "ping_max: 5", "nothing"),
        # nothing says that the server runs with what was recorded
        ("bot: connected", "ping_max: 5", "reload"),
        # somebody changed it meanwhile, and the server may not have read that
        (PASSED, "ping_max: 6", "reload"),
    ],
)
def test_another_spelling_of_what_the_server_was_proven_with_is_not_read_again(
    *, host: Host, nats_server: Path, free_port: Callable[[], int], gate: str, by_hand: str, action: str
) -> None:
    host.monitoring = f"http_port: {free_port()}\n"
    with served(host, nats_server, host.monitoring + "ping_max: 5"):
        spelled = host.monitoring + "# a comment\nPING_MAX = 5"
        host.deploy(spelled)
        time.sleep(1)
        host.record(host.config_file.read_text(), gates=(gate,))
        host.deploy(host.monitoring + by_hand)
        result = host.plan(spelled, release_dir=str(host.root / "releases"))
    assert result["action"] == action
    assert len(result["reasons"]) == (action != "nothing")


@pytest.mark.parametrize("is_copy", [False, True], ids=["written anew", "a copy put back, with its time"])
def test_what_was_read_and_taken_back_by_hand_after_the_proof_is_read_again(monitored: Host, is_copy: bool) -> None:
    text, server = monitored.config_file.read_text(), int((monitored.root / "pid").read_text())
    time.sleep(1)
    monitored.record(text, gates=(PASSED,))
    wanted = {"config": monitored.monitoring + monitored.store(), "release_dir": str(monitored.root / "releases")}
    assert monitored.plan(**wanted)["action"] == "nothing"
    loaded = monitored.plan(**wanted)["mark"]["config_load_time"]
    copy = shutil.copy2(monitored.config_file, f"{monitored.config_file}.bak")
    monitored.config_file.write_text(text + "ping_max: 7")
    os.kill(server, signal.SIGHUP)
    while monitored.plan(**wanted)["mark"]["config_load_time"] == loaded:
        time.sleep(0.05)
    if is_copy:
        Path(copy).rename(monitored.config_file)
    else:
        monitored.config_file.write_text(text)
    assert monitored.plan(**wanted)["reasons"][0].endswith(" -> written since (reload)")


@pytest.mark.parametrize("running", [True, False])
def test_streams_are_not_given_up_for_a_record_that_can_t_be_read(host: Host, nats_server: Path, running: bool) -> None:
    config, releases = host.store(), host.root / "releases"
    with served(host, nats_server, config):
        host.record(host.config_file.read_text(), gates=(PASSED,))
        if running:
            _refused_for_a_record(host, config, releases)
    if not running:
        _refused_for_a_record(host, config, releases)


def _refused_for_a_record(host: Host, config: str, releases: Path) -> None:
    kept, given = releases / asset_record.PROVEN, {"config": config, "release_dir": str(releases)}
    assert "msg" not in host.plan(**given)
    for damage, why in (
        (lambda: kept.write_text("garbage"), "it is damaged (truncated)"),
        (kept.unlink, "it is gone"),
    ):
        damage()
        for check_mode in (True, False):
            refused = host.plan(**given, check_mode=check_mode)["msg"]
            assert refused.startswith(f"{kept}: {why}, so that it can't be told whether a stream of the last proven ")
            assert "Set nats_server_accept: [gone_streams] to do it all the same." in refused
        assert "msg" not in host.plan(**given, accept=["gone_streams"])


def test_streams_that_an_earlier_version_did_not_record_are_not_missed(host: Host, nats_server: Path) -> None:
    config, given = host.store(), {"release_dir": str(host.root / "releases")}
    with served(host, nats_server, config):
        host.record(host.config_file.read_text(), gates=(PASSED,), by_earlier_version=True)
        assert host.plan(config, **given)["action"] == "nothing"


def test_a_time_that_is_yet_to_come_costs_one_reload(monitored: Host) -> None:
    wanted = monitored.monitoring + monitored.store()
    tomorrow, proven = time.time() + 86400, monitored.config_file.read_text()
    os.utime(monitored.config_file, (tomorrow, tomorrow))
    first = monitored.plan(wanted, loaded=proven)
    assert {"path": str(monitored.config_file), "what": ["time"]} in first["changes"]
    assert first["action"] == "reload"
    os.kill(int((monitored.root / "pid").read_text()), signal.SIGHUP)
    deadline = time.monotonic() + 10
    while monitored.plan(wanted, loaded=proven)["action"] != "nothing":
        assert time.monotonic() < deadline


def test_what_was_read_before_the_clock_was_set_back_is_read_again(
    monitored: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven, to_come = monitored.config_file.read_text(), datetime.now(UTC) + timedelta(days=1)
    monkeypatch.setattr(answers, "moment", lambda _text: to_come)
    result = monitored.plan(monitored.monitoring + monitored.store(), loaded=proven)
    assert result["reasons"] == [f"{FILE}read {to_come:%F %T}, which is yet to come -> as described (reload)"]


@pytest.mark.parametrize("damage", ["removed", "unreadable"])
def test_a_file_that_is_gone_is_no_reason_to_do_nothing(monitored: Host, damage: str) -> None:
    config, proven = monitored.monitoring + monitored.store(), monitored.config_file.read_text()
    monitored.config_file.unlink()
    if damage == "unreadable":
        monitored.config_file.write_text("port: [")
        monitored.config_file.chmod(0o640)
    assert monitored.plan(config)["action"] == "restart"
    known = monitored.plan(config, loaded=proven)
    assert (known["action"], len(known["reasons"])) == ("reload", 1)
    assert known["mark"]


def test_a_record_that_can_not_be_read_is_none(monitored: Host) -> None:
    config = monitored.monitoring + monitored.store()
    monitored.deploy(config + "ping_max: 5")
    assert monitored.plan(config, loaded="port: [")["action"] == "restart"


def test_what_was_changed_by_hand_and_read_is_the_truth(
    host: Host, nats_server: Path, free_port: Callable[[], int]
) -> None:
    host.monitoring = f"http_port: {free_port()}\n"
    host.deploy(host.monitoring + "ping_max: 5")
    proven = host.config_file.read_text()
    with served(host, nats_server, host.monitoring + "ping_max: 6"):
        assert host.plan(host.monitoring + "ping_max: 6", loaded=proven)["reasons"] == []
        result = host.plan(host.monitoring + "ping_max: 5", loaded=proven)
    assert result["reasons"] == [
        f"{FILE}as last proven -> changed and read since (nothing)",
        "ping_max: 6 -> 5 (reload)",
    ]
    assert result["action"] == "reload"


@pytest.fixture
def plan_of_service(host: Host, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Give a function that plans for a process as if systemd had started it."""
    systemctl = host.root / "bin" / "systemctl"
    systemctl.parent.mkdir()
    monkeypatch.setenv("PATH", f"{systemctl.parent}:{os.environ['PATH']}")

    def plan(server: subprocess.Popen[bytes], config: str, *, unread: str = "no", **changes: Any) -> dict[str, Any]:
        systemctl.write_text(
            f"#!/bin/sh\nprintf 'LoadState=loaded\\nUnitFileState=enabled\\nMainPID={server.pid}\\n'\n"
            f"printf 'ActiveState=active\\nSubState=running\\nNRestarts=0\\nNeedDaemonReload={unread}\\n'\n"
        )
        systemctl.chmod(0o755)
        return host.plan(config, runtime="systemd", **changes)

    return plan


@pytest.mark.parametrize(
    ("options", "config", "reasons", "action"),
    [
        ((), "server_name: meant", [], "nothing"),
        (("--debug",), "server_name: meant", [], "nothing"),
        (("--name", "other"), "server_name: meant", ["server_name: other at /varz -> meant (restart)"], "restart"),
        (("--name", "other"), "# nothing is meant", [], "nothing"),
    ],
)
def test_what_the_command_line_overrides_is_seen(
    *,
    host: Host,
    nats_server: Path,
    free_port: Callable[[], int],
    plan_of_service: Callable[..., dict[str, Any]],
    options: tuple[str, ...],
    config: str,
    reasons: list[str],
    action: str,
) -> None:
    config = f"http_port: {free_port()}\n{config}"
    with served(host, nats_server, config, "-c", str(host.config_file), *options) as server:
        result = plan_of_service(server, config)
    assert (result["reasons"], result["action"]) == (reasons, action)


def test_a_unit_that_is_not_in_effect_yet_is_taken_up(
    host: Host, nats_server: Path, plan_of_service: Callable[..., dict[str, Any]]
) -> None:
    config, unit = "debug: false", host.root / "nats.service"
    entries = [
        {
            "path": str(host.config_file),
            "state": "file",
            "content": f"host: 127.0.0.1\nport: {host.port}\n{config}",
        },
        {"path": str(unit), "state": "file", "content": "[Service]\n"},
    ]
    unit.write_text("[Service]\n")
    with served(host, nats_server, config) as server:
        planned = plan_of_service(server, config, entries=entries)
        assert (planned["unit_changed"], planned["action"]) == (False, "nothing")
        planned = plan_of_service(server, config, entries=entries, unread="yes")
        assert (planned["unit_changed"], planned["action"]) == (True, "restart")
        time.sleep(0.1)
        unit.touch()
        planned = plan_of_service(server, config, entries=entries)
    assert planned["reasons"] == [f"unit: {unit} -> not in effect yet (restart)"]


@pytest.mark.parametrize(
    ("before", "action"),
    [
        ("# of another user\n[Service]\nLimitNOFILE=65536\n", "nothing"),
        ("[Service]\n\n; a comment\nLimitNOFILE=65536\n", "nothing"),
        ("# of another user\n[Service]\nLimitNOFILE=1024\n", "restart"),
        (None, "restart"),
    ],
)
def test_a_comment_of_the_unit_restarts_nothing(
    host: Host, nats_server: Path, plan_of_service: Callable[..., dict[str, Any]], before: str | None, action: str
) -> None:
    config, unit = "debug: false", host.root / "nats.service"
    text = f"host: 127.0.0.1\nport: {host.port}\n{config}"
    of_unit = {"path": str(unit), "state": "file", "content": "# of this user\n[Service]\nLimitNOFILE=65536\n"}
    entries = [{"path": str(host.config_file), "state": "file", "content": text}, of_unit]
    if before:
        unit.write_text(before)
    with served(host, nats_server, config) as server:
        planned = plan_of_service(server, config, entries=entries)
        assert (planned["unit_changed"], planned["action"]) == (True, action)
        if action == "restart":
            return
        time.sleep(1)
        unit.write_text(of_unit["content"])
        assert plan_of_service(server, config, entries=entries)["action"] == "restart"
        host.record(text, of_unit, gates=(PASSED,))
        planned = plan_of_service(server, config, entries=entries, release_dir=str(host.root / "releases"))
    assert (planned["unit_changed"], planned["action"]) == (False, "nothing")


@pytest.mark.parametrize(
    ("linked", "proven", "wanted", "copied_from"),
    [
        (None, None, "2.10.7", None),
        ("2.10.7", "2.10.7", "2.10.29", None),
        ("2.10.7", None, "2.9.25", "2.10.7"),
        (None, "2.10.7", "2.9.25", "2.10.7"),
        # the upgrade was cut off, or crashed: whichever ran, the store is not one of the line that is wanted
        ("2.10.7", "2.9.25", "2.10.7", "2.9.25"),
        ("2.10.7", "2.9.25", "2.9.25", "2.10.7"),
    ],
)
def test_where_no_server_answers_the_link_tells_what_ran(
    host: Host, linked: str | None, proven: str | None, wanted: str, copied_from: str | None
) -> None:
    if linked:
        (host.root / "nats-server").symlink_to(host.root / "lib" / linked / "nats-server")
    changes: dict[str, Any] = {}
    if proven:
        releases = host.root / "releases"
        release.Store(releases).write(
            {"server": release.Part({"version": proven}, [])},
            controller="here",
            plan=[],
            gates=[],
            keep=10,
            now=datetime.now(UTC),
        )
        changes["release_dir"] = str(releases)
    (host.root / "store").mkdir()
    planned = host.plan(host.store(), version=wanted, **changes)["store"]
    assert planned["needs_copy"] is bool(copied_from)
    if copied_from:
        assert planned["before"] == copied_from
    # the caller saw what ran
    assert host.plan(host.store(), version=wanted, ran_last=wanted, **changes)["store"]["needs_copy"] is False


def test_on_the_way_back_an_older_version_starts_without_a_copy_where_none_is_made(host: Host) -> None:
    (host.root / "store").mkdir()
    (host.root / "nats-server").symlink_to(host.root / "lib" / "2.10.7" / "nats-server")
    asked = {"version": "2.9.25", "store_copy": False}
    # nobody can tell that such a stream has nothing that only the newer version reads
    (host.root / "store" / "jetstream" / "$G" / "streams" / "CHAT").mkdir(parents=True)
    assert "can silently lose" in host.plan(host.store(), **asked)["msg"]
    for word in ("all", "older_version"):
        planned = host.plan(host.store(), **asked, accept=[word])["store"]
        assert planned == stored(host.root / "store", "2.10.7", needs_copy=False)


@pytest.mark.parametrize(
    ("config", "directory"),
    [
        ('jetstream {{ store_dir: "{root}/store" }}', "{root}/store"),
        ('jetstream: true\nstore_dir: "{root}/store"', "{root}/store"),
        ('jetstream: enabled\nstore_dir: "{root}/store/"', "{root}/store"),
        ('jetstream {{ max_mem: 1M }}\nstore_dir: "{root}/store"', "{root}/store"),
        ("jetstream: true", "/tmp/nats"),
    ],
)
def test_the_store_is_named_wherever_the_configuration_has_it(host: Host, config: str, directory: str) -> None:
    (host.root / "store").mkdir()
    planned = host.plan(config.format(root=host.root), version="2.9.25", ran_last="2.10.7")["store"]
    assert planned == stored(directory.format(root=host.root), "2.10.7", needs_copy=True)


def test_a_store_that_a_variable_names_can_not_be_copied(host: Host) -> None:
    config = "jetstream { store_dir: $STORE }"
    result = host.plan(config, version="2.9.25", ran_last="2.10.7")
    assert result["failed"]
    assert "jetstream.store_dir: a variable gives it" in result["msg"]
    assert "nats_server_store_copy" in result["msg"]
    assert host.plan(config, version="2.10.29", ran_last="2.10.7")["store"]["directory"] is None
    assert host.plan(config, version="2.9.25", ran_last="2.10.7", accept=["all"])["store"]["needs_copy"] is False


def test_the_copy_of_a_store_needs_room(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_SMALLEST_MARGIN", 1 << 60)
    monkeypatch.setattr(store_tree, "can_reflink", lambda *_arguments: False)
    data = host.root / "store" / "jetstream"
    data.mkdir(parents=True)
    (data / "1.blk").write_text("a message")
    copies = host.root / "copies"
    asked = {"version": "2.9.25", "ran_last": "2.10.7", "copies": str(copies)}
    result = host.plan(host.store(), **asked)
    assert result["failed"]
    assert f"{copies}: " in result["msg"]
    assert "are free; expected 1 EiB for a copy" in result["msg"]
    # nothing is copied within a line, nor where it is not wanted
    assert "failed" not in host.plan(host.store(), **{**asked, "version": "2.10.29"})
    assert "failed" not in host.plan(host.store(), **{**asked, "version": "2.11.0"}, store_copy=False)
    assert not copies.exists()


def test_a_link_to_what_is_no_version_tells_nothing(host: Host) -> None:
    (host.root / "store").mkdir()
    (host.root / "nats-server").symlink_to(host.root / "lib" / "current" / "nats-server")
    planned = host.plan(host.store())["store"]
    assert planned == stored(host.root / "store", None, needs_copy=False)


@pytest.mark.parametrize(
    ("options", "started_with"),
    [
        (("-c", "{root}/other.conf"), "{root}/other.conf"),
        (("--config={root}/other.conf",), "{root}/other.conf"),
        (("-config", "other.conf"), "{root}/other.conf"),
        (("-c={root}/link.conf",), ""),
        (("--config", "nats-server.conf"), ""),
        (("-p", "{port}"), "None"),
    ],
)
def test_another_configuration_file_of_the_process_is_named(
    host: Host,
    nats_server: Path,
    plan_of_service: Callable[..., dict[str, Any]],
    options: tuple[str, ...],
    started_with: str,
) -> None:
    facts = {"root": str(host.root), "port": str(host.port)}
    host.deploy("")
    (host.root / "other.conf").write_text(host.config_file.read_text())
    (host.root / "link.conf").symlink_to(host.config_file)
    with served(host, nats_server, "", *(option.format(**facts) for option in options)) as server:
        result = plan_of_service(server, "")
    named = started_with.format(**facts)
    assert result["reasons"] == ([f"{FILE}{named} -> {host.config_file} (restart)"] if named else [])
    assert result["action"] == ("restart" if named else "nothing")


def test_jetstream_that_a_reload_turned_on_and_off_needs_nothing_more(
    host: Host, nats_server: Path, free_port: Callable[[], int]
) -> None:
    (host.root / "store").mkdir()
    monitoring = f"http_port: {free_port()}\n"
    with served(host, nats_server, monitoring) as server:
        for config in (monitoring + host.store(), monitoring + "jetstream: false", monitoring + host.store()):
            before = host.plan(config)
            assert before["action"] == "reload"
            host.deploy(config)
            server.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + 5
            while (after := host.plan(config))["mark"] == before["mark"]:
                assert time.monotonic() < deadline, after
            assert after["reasons"] == []


@pytest.mark.parametrize(
    ("config", "name", "figures"),
    [
        (
            "{monitoring}jetstream {{ store_dir: {root}/store, max_mem: 64M, max_file: 0 }}",
            "smaller_store",
            "0 bytes",
        ),
        ("{monitoring}jetstream {{ store_dir: {root}/other }}", "other_store", "1 stream with 3 messages (kept)"),
        ("{monitoring}", "no_jetstream", "1 stream with 3 messages (kept)"),
        (
            "{monitoring}{store}server_name: n\ncluster {{ name: c, port: {other}, routes: [nats://h:{other}] }}",
            "added_cluster",
            "1 stream with 3 messages (kept)",
        ),
        (
            "{monitoring}{store}accounts {{ APP {{ users: [{{user: u, password: p}}], jetstream: enabled }} }}",
            "other_account",
            "1 stream with 3 messages (kept)",
        ),
    ],
)
def test_what_would_be_lost_is_refused_unless_it_is_accepted(
    monitored: Host, free_port: Callable[[], int], config: str, name: str, figures: str
) -> None:
    (monitored.root / "other").mkdir()
    config = config.format(
        monitoring=monitored.monitoring, store=monitored.store(), root=monitored.root, other=free_port()
    )
    refused = monitored.plan(config)
    assert refused["failed"]
    assert figures in refused["msg"]
    assert f"Set nats_server_accept: [{name}] to do it all the same; the store is copied first." in refused["msg"]
    assert monitored.plan(config, accept=[other for other in DANGERS if other != name])["failed"]
    accepted = monitored.plan(config, accept=[name])
    assert "failed" not in accepted
    assert figures in accepted["dangers"][0]
    assert accepted["accepted"] == [name]
    # a store is only copied while nobody writes to it
    assert {**accepted["store"], "next": ""} == {
        **stored(monitored.root / "store", "2.10.7", needs_copy=True),
        "next": "",
    }
    assert accepted["action"] == "restart"


def test_clients_that_would_be_cut_off_are_counted(monitored: Host) -> None:
    config = monitored.monitoring + monitored.store() + "max_connections: "

    async def plans() -> list[dict[str, Any]]:
        clients = [await nats.connect(f"nats://127.0.0.1:{monitored.port}") for _client in range(3)]
        try:
            return [
                await asyncio.to_thread(monitored.plan, config + "2"),
                await asyncio.to_thread(monitored.plan, config + "2", accept=["fewer_connections"]),
                await asyncio.to_thread(monitored.plan, config + "3"),
            ]
        finally:
            for client in clients:
                await client.close()

    refused, accepted, harmless = asyncio.run(plans())
    assert refused["msg"] == (
        "max_connections: 2, and 3 clients are connected; expected at least 3, else the server cuts off 1 of them at "
        "random. Set nats_server_accept: [fewer_connections] to do it all the same."
    )
    assert len(accepted["dangers"]) == 1
    assert harmless["dangers"] == []


def test_rotating_secrets_is_no_danger(monitored: Host) -> None:
    result = monitored.plan(monitored.monitoring + monitored.store() + "authorization { token: other-secret }")
    assert (result["action"], result["dangers"]) == ("reload", [])


@pytest.mark.parametrize("runtime", ["docker", "process"])
def test_another_version_is_seen_by_what_the_server_says(monitored: Host, runtime: str) -> None:
    config = monitored.monitoring + monitored.store()
    assert monitored.plan(config, runtime=runtime)["action"] == "nothing"
    result = monitored.plan(config, runtime=runtime, version="2.10.8")
    assert result["action"] == "restart"
    assert len(result["reasons"]) == 1


def test_what_stops_writes_is_warned_of(monitored: Host) -> None:
    small = f"jetstream {{ store_dir: {monitored.root}/store, max_mem: 64M, max_file: 1K }}"
    planned = monitored.plan(monitored.monitoring + small)
    assert (planned["action"], planned["accepted"]) == ("restart", [])
    assert planned["dangers"][0] in str(planned["warnings"])
    assert "jetstream.max_file: 1000 bytes, and 3" in planned["dangers"][0]
    assert planned["store"]["needs_copy"] is False


def test_what_there_is_is_counted(monitored: Host) -> None:
    planned = monitored.plan(monitored.monitoring + monitored.store())
    assert {**planned["assets"], "bytes": 0} == {"streams": 1, "consumers": 0, "messages": 3, "bytes": 0}
    assert planned["action"] == "nothing"


def test_a_link_that_leads_elsewhere_is_another_store_and_a_spelling_is_none(monitored: Host) -> None:
    store_dir = monitored.root / "store"
    (monitored.root / "same").symlink_to(store_dir)
    (monitored.root / "empty").mkdir()
    (monitored.root / "elsewhere").symlink_to(monitored.root / "empty")

    def plan(directory: str) -> dict[str, Any]:
        block = f'jetstream {{ store_dir: "{directory}", max_mem: 64M, max_file: 128M }}'
        return monitored.plan(monitored.monitoring + block)

    for spelling in (f"{store_dir}/", f"{monitored.root}/./store", f"{monitored.root}/same"):
        assert plan(spelling)["dangers"] == []
    assert "other_store" in plan(f"{monitored.root}/elsewhere")["msg"]
    # the same text, and another disk where it leads
    store_dir.rename(monitored.root / "unmounted")
    store_dir.mkdir()
    refused = monitored.plan(monitored.monitoring + monitored.store() + "server_name: another")
    assert "1 stream with 3 messages (kept) are not there" in refused["msg"]


def test_a_variable_and_an_include_are_looked_through(
    monitored: Host, nats_server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (monitored.root / "part.conf").write_text(f"jetstream {{ store_dir: {monitored.root}/other }}\n")
    (monitored.root / "other").mkdir()
    assert "other_store" in monitored.plan(f"{monitored.monitoring}include part.conf\n")["msg"]
    block = f"STORE: {monitored.root}/other\njetstream {{ store_dir: $STORE }}\n"
    assert "other_store" in monitored.plan(monitored.monitoring + block)["msg"]
    unknown = monitored.plan(monitored.monitoring + "jetstream { store_dir: $NOWHERE_SET }")["msg"]
    assert "only the server's environment gives it" in unknown


def test_an_included_file_counts_as_it_was_and_as_it_is_described(
    host: Host, nats_server: Path, free_port: Callable[[], int]
) -> None:
    part = host.root / "part.conf"
    part.write_text(host.store())
    config = f"http_port: {free_port()}\ninclude part.conf\n"
    with served(host, nats_server, config):
        asyncio.run(fill(host.port))
        (host.root / "other").mkdir()

        def plan(text: str, **more: Any) -> dict[str, Any]:
            entry = {"path": str(part), "state": "file", "content": text}
            return host.plan(config, entries=[host.entry(config), entry], **more)

        assert plan(host.store())["action"] == "nothing"
        refused = plan(host.store(store_dir=str(host.root / "other")))["msg"]
        assert "other_store" in refused
        # what was proven stands in the record, whatever a deployment that was cut off wrote since
        proven = {"path": str(part), "state": "file", "content": host.store()}
        host.record(host.entry(config)["content"], proven)
        time.sleep(0.02)  # longer than the clock of files stands still
        part.write_text(f"{host.store()}debug: true\n")
        found = plan(f"{host.store()}debug: true\n", release_dir=str(host.root / "releases"))
        assert found["action"] == "reload"
        assert [reason.partition(": ")[0] for reason in found["reasons"]] == [f"included file {part}", "debug"]


def test_it_is_known_where_the_running_server_answers(monitored: Host, free_port: Callable[[], int]) -> None:
    before = f"http://127.0.0.1:{monitored.monitoring.split()[1]}"
    moved = f"http_port: {free_port()}\nhttp_base_path: /nats\n" + monitored.store()
    assert monitored.plan(monitored.monitoring + monitored.store())["monitoring_url"] == before
    assert monitored.plan(moved, version="2.9.25")["monitoring_url"] == before


def test_a_container_with_streams_is_guarded_too(monitored: Host) -> None:
    assert "no_jetstream" in monitored.plan(monitored.monitoring, runtime="docker")["msg"]


@pytest.mark.parametrize("version", ["2.9.25", "2.11.0"])
def test_the_store_of_a_container_is_not_copied_and_so_guarded(monitored: Host, version: str) -> None:
    config = monitored.monitoring + monitored.store()
    refused = monitored.plan(config, runtime="docker", version=version)["msg"]
    assert f"nats_server_version is {version}, and 2.10.7 ran here; the store of a container can't be copied" in refused
    assert "Set nats_server_accept: [uncopied_store] to do it all the same" in refused
    for accept in ("uncopied_store", "all"):
        planned = monitored.plan(config, runtime="docker", version=version, accept=[accept])
        assert planned["store"] == stored(None, "2.10.7", needs_copy=False)


def test_what_was_proven_is_never_shown(monitored: Host) -> None:
    proven = monitored.config_file.read_text() + "authorization { token: the-old-secret }"
    monitored.deploy(monitored.monitoring)
    result = monitored.plan(monitored.monitoring, loaded=proven, accept=DANGERS)
    assert "the-old-secret" not in str(result)


@pytest.mark.parametrize(
    ("put", "found"),
    [
        (lambda path: path.mkdir(), "directory"),
        (lambda path: path.symlink_to("/nowhere"), "link"),
        (os.mkfifo, "pipe"),
        (lambda path: path.write_bytes(b"\xff\0{[("), "garbage"),
        (lambda path: path.write_text('host: "[::1]"\nhttp_port: 8222\n'), "host in brackets"),
    ],
)
def test_a_configuration_that_is_none_is_planned_to_be_written(
    host: Host, put: Callable[[Path], Any], found: str
) -> None:
    put(host.config_file)
    result = host.plan("max_connections: 5\n", loaded="max_connections: 4\n")
    assert not result.get("failed"), (found, result)
    assert [change["path"] for change in result["changes"]] == [str(host.config_file)]
    assert result["action"] == "start"
