# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A nats-server without a service manager: started, reloaded, restarted, stopped, and never mistaken for another."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._host import background, process

RunModule = Callable[..., dict[str, Any]]
ROOT = Path(__file__).parents[2]


class Place:
    """A directory with one server's files."""

    def __init__(self, directory: Path, binary: Path, ports: tuple[int, int], run_module: RunModule) -> None:
        directory.mkdir()
        self.directory = directory
        self.port, self.monitor_port = ports
        self.binary = directory / "bin" / "nats-server"
        self.binary.parent.mkdir()
        self.binary.symlink_to(binary)
        self.config = directory / "nats-server.conf"
        self.pid_file = directory / "nats-server.pid"
        self._run_module = run_module
        self.configure()

    @property
    def server(self) -> background.Server:
        return background.Server(self.binary, self.config, self.pid_file)

    @property
    def arguments(self) -> dict[str, str]:
        return {"binary": str(self.binary), "config_file": str(self.config), "pid_file": str(self.pid_file)}

    def configure(self, more: str = "") -> None:
        text = f"host: 127.0.0.1\nport: {self.port}\nhttp_port: {self.monitor_port}\n{more}"
        self.config.write_text(text)

    def run(self, state: str, **other: Any) -> dict[str, Any]:
        return self._run_module("nats_process", state=state, **self.arguments | other)

    def varz(self) -> dict[str, Any]:
        with urlopen(f"http://127.0.0.1:{self.monitor_port}/varz", timeout=5) as answer:
            return dict(json.load(answer))

    def is_open(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
def make_place(
    tmp_path: Path, nats_server: Path, free_port: Callable[[], int], run_module: RunModule
) -> Iterator[Callable[..., Place]]:
    """Give a function that makes a place for a server; what still runs at the end is killed."""
    made: list[Place] = []

    def make(name: str = "nats", binary: Path = nats_server) -> Place:
        made.append(Place(tmp_path / name, binary, (free_port(), free_port()), run_module))
        return made[-1]

    yield make
    for place in made:
        with background.hold(place.server) as held:
            if held:
                held.send(signal.SIGKILL)
                held.wait(5)


@pytest.fixture
def place(make_place: Callable[..., Place]) -> Place:
    """Give a place for one server."""
    return make_place()


def test_from_start_to_stop(place: Place) -> None:
    started = place.run("started")
    assert (started["changed"], started["action"], started["killed"]) == (True, "started", False)
    assert place.is_open()
    assert place.pid_file.read_text() == f"{started['pid']}\n"
    assert Path(started["executable"]) == place.binary.resolve()

    again = place.run("started")
    assert (again["changed"], again["action"], again["pid"]) == (False, "none", started["pid"])
    assert again["started_at"] == started["started_at"]

    loaded = place.varz()["config_load_time"]
    place.configure("max_connections: 17\n")
    reloaded = place.run("reloaded")
    assert (reloaded["changed"], reloaded["action"], reloaded["pid"]) == (True, "reloaded", started["pid"])
    for _pause in background._pauses(5):
        if place.varz()["config_load_time"] != loaded:
            break
    assert place.varz()["max_connections"] == 17

    restarted = place.run("restarted")
    assert (restarted["changed"], restarted["action"], restarted["killed"]) == (True, "restarted", False)
    assert restarted["pid"] != started["pid"]
    assert place.is_open()

    stopped = place.run("stopped")
    assert (stopped["changed"], stopped["action"], stopped["pid"]) == (True, "stopped", None)
    assert not place.is_open()
    assert background.find(place.server) is None
    assert sorted(path.name for path in place.directory.iterdir()) == ["bin", "nats-server.conf", "nats-server.out"]
    assert (place.directory / "nats-server.out").stat().st_mode & 0o777 == 0o600
    assert place.run("stopped")["changed"] is False


def test_the_gate_tells_what_a_server_said_that_a_reload_has_ended(place: Place, run_module: RunModule) -> None:
    place.run("started")
    place.configure(f'log_file: "{place.directory}/none/x.log"\n')
    place.run("reloaded")
    gate = {"monitoring_url": f"http://127.0.0.1:{place.monitor_port}", "pid_file": str(place.pid_file), "wait": 5.0}
    result = run_module("nats_gate", **gate)
    assert result["failed"]
    _before, _marker, said = result["msg"].partition("\nIts output ends with: ")
    assert f"error opening file: open {place.directory}/none/x.log: no such file or directory" in said


@pytest.mark.parametrize("state", ["started", "stopped", "reloaded", "restarted"])
def test_check_mode_sends_no_signal(place: Place, state: str) -> None:
    running = place.run("started")
    before = place.varz()
    predicted = place.run(state, check_mode=True)
    assert predicted["action"] == ("none" if state == "started" else state)
    assert predicted["changed"] is (state != "started")
    now = place.varz()
    assert [now[name] for name in ("start", "config_load_time", "server_id")] == [
        before[name] for name in ("start", "config_load_time", "server_id")
    ]
    assert background.is_noted(place.server, running["pid"])


def test_a_server_survives_the_task_that_started_it(place: Place, tmp_path: Path) -> None:
    arguments = " ".join(f"{name}={value}" for name, value in place.arguments.items())
    ansible = Path(sys.executable).parent / "ansible"
    command = [ansible, "localhost", "-m", "rosey.nats.nats_process", "-a", arguments, "-B", "60", "-P", "1"]
    environment = os.environ | {
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "ANSIBLE_LOCALHOST_WARNING": "false",
        # by default the job's two halves look in a home of their own each, where HOME is not the account's
        "ANSIBLE_ASYNC_DIR": str(tmp_path / "async"),
    }
    subprocess.run([*command, "-i", "localhost,", "-c", "local"], cwd=ROOT, check=True, env=environment, timeout=60)
    running = background.find(place.server)
    assert running
    assert os.getsid(running.pid) == running.pid
    assert place.is_open()
    assert place.run("started")["changed"] is False
    assert place.run("stopped")["changed"]


def test_a_server_that_was_started_with_signals_ignored_reloads_and_stops(place: Place) -> None:
    ignored = [signal.SIGINT, signal.SIGHUP]
    before = [signal.signal(number, signal.SIG_IGN) for number in ignored]
    try:
        started = place.run("started")
    finally:
        for number, handler in zip(ignored, before, strict=True):
            signal.signal(number, handler)
    assert place.run("reloaded")["pid"] == started["pid"]
    assert place.is_open()
    assert place.run("stopped")["killed"] is False


def test_a_replaced_or_removed_binary_is_still_recognised(
    make_place: Callable[..., Place], tmp_path: Path, nats_server: Path
) -> None:
    versions = [tmp_path / "lib" / version / "nats-server" for version in ("2.10.6", "2.10.7")]
    for version in versions:
        version.parent.mkdir(parents=True)
        shutil.copy(nats_server, version)
    place = make_place(binary=versions[0])
    old = place.run("started")
    place.binary.unlink()
    place.binary.symlink_to(versions[1])
    shutil.rmtree(versions[0].parent)
    found = place.run("started")
    assert (found["changed"], found["pid"], found["executable"]) == (False, old["pid"], str(versions[0]))
    assert place.run("reloaded")["pid"] == old["pid"]
    new = place.run("restarted")
    assert (new["executable"], new["killed"]) == (str(versions[1]), False)
    assert process.read(old["pid"]) is None


@pytest.mark.parametrize("content", [None, "", "1\n"])
def test_a_server_whose_pid_file_was_lost_is_found(place: Place, content: str | None) -> None:
    running = place.run("started")
    place.pid_file.unlink()
    if content is not None:
        place.pid_file.write_text(content)
    for check_mode in (True, False):
        found = place.run("started", check_mode=check_mode)
        assert (found["changed"], found["action"], found["pid"]) == (True, "noted", running["pid"])
    assert place.run("started")["changed"] is False
    place.pid_file.unlink()
    assert place.run("stopped")["changed"]
    assert not place.is_open()


def test_another_server_is_never_signalled(make_place: Callable[..., Place]) -> None:
    ours, other = make_place("ours"), make_place("other")
    running = other.run("started")
    loaded = other.varz()["config_load_time"]
    shutil.copy(other.pid_file, ours.pid_file)
    assert ours.run("stopped")["action"] == "forgotten"
    shutil.copy(other.pid_file, ours.pid_file)
    started = ours.run("reloaded")
    assert started["action"] == "started"
    shutil.copy(other.pid_file, ours.pid_file)
    assert ours.run("restarted")["action"] == "restarted"
    assert process.read(started["pid"]) is None
    assert other.run("started")["pid"] == running["pid"]
    assert other.varz()["config_load_time"] == loaded


def test_a_server_that_does_not_stop_is_killed(place: Place) -> None:
    running = place.run("started")
    os.kill(running["pid"], signal.SIGSTOP)
    stopped = place.run("stopped", stop_timeout=1)
    assert (stopped["changed"], stopped["killed"]) == (True, True)
    assert background.find(place.server) is None


def test_a_lame_duck_without_clients_ends_at_once(place: Place) -> None:
    place.run("started")
    assert place.run("stopped", stop_signal="USR2")["killed"] is False


@pytest.mark.parametrize(
    ("more", "messages"),
    [
        ("no_such_option: 1\n", ['unknown field "no_such_option"', "ended with 1"]),
        ("max_payload: banana\n", ["ended with 1"]),
        ("authorization { users: {user: rosey, password: 'hun ter2'} }\n", ["Expected users field to be an array"]),
        ("authorization { password: $hunter2 }\n", ["variable reference for '********'"]),
        ("cluster { routes: ['nats://rosey:hun%zzter2@127.0.0.1:6222'] }\n", ["error parsing route url"]),
        ("lame_duck_duration: '30s'\nlame_duck_grace_period: '60s'\n", ["should be strictly lower"]),
        ("log_file: {directory}/log\njetstream { store_dir: /proc/nowhere }\n", ["Can't start JetStream"]),
        ("log_file: {directory}/nowhere/log\n", ["no such file or directory"]),
    ],
)
def test_a_start_that_fails_gives_the_servers_reason_and_no_secret(
    place: Place, more: str, messages: list[str]
) -> None:
    place.configure(more.replace("{directory}", str(place.directory)))
    failed = place.run("started")
    assert failed["failed"]
    for message in messages:
        assert message in failed["msg"]
    assert not any(part in str(failed["msg"]) for part in ("hunter2", "hun ter2", "ter2"))
    assert not place.pid_file.exists()
    assert not place.is_open()


# What the module calls it.
NAMES = {"config": "config_file"}


@pytest.mark.parametrize("fault", ["port", "binary", "config"])
def test_a_restart_that_can_not_succeed_leaves_the_server_alone(place: Place, fault: str) -> None:
    running = place.run("started")
    with socket.create_server(("0.0.0.0", 0)) as holder:
        if fault == "port":
            place.configure(f"websocket {{ port: {holder.getsockname()[1]}, no_tls: true }}\n")
        else:
            getattr(place, fault).rename(place.directory / "away")
        failed = place.run("restarted")
    assert failed["failed"]
    assert (
        "is taken" if fault == "port" else f"{NAMES.get(fault, fault)} {getattr(place, fault)} is no file"
    ) in failed["msg"]
    assert place.varz()["server_id"]
    assert process.read(running["pid"])
    # Without them it is still known, and stopped.
    assert place.run("stopped")["action"] == "stopped"


def test_a_server_that_crashed_is_started_anew(place: Place) -> None:
    crashed = place.run("started")
    os.kill(crashed["pid"], signal.SIGKILL)
    while process.read(crashed["pid"]):
        pass
    again = place.run("started")
    assert (again["changed"], again["action"]) == (True, "started")
    assert place.is_open()


def test_it_is_up_when_the_module_says_so(place: Place) -> None:
    place.configure(f"jetstream {{ store_dir: '{place.directory}/store' }}\n")
    for _restart in range(5):
        place.run("restarted")
        assert place.is_open()
        assert place.varz()["jetstream"]["config"]["store_dir"] == f"{place.directory}/store/jetstream"
