# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one server writes belongs to one server: real ones run beside the one that is to be."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._data import store_users
from ansible_collections.rosey.nats.plugins.module_utils._host import process
from ansible_collections.rosey.nats.plugins.module_utils._host.needed_path import Need, NeededPath
from ansible_collections.rosey.nats.plugins.module_utils._server import conf, requirements, server_files
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import server_evidence
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.server_evidence import Described
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import seen

STORE = "jetstream.store_dir"
A_STORE = "jetstream {{ store_dir: {}, max_mem: 8M, max_file: 8M }}\n"


@contextmanager
def served(nats_server: Path, home: Path, port: int, config: str, *options: str) -> Iterator[process.Process]:
    """Run a server with this configuration."""
    file = home / f"{port}.conf"
    file.write_text(f"host: 127.0.0.1\nport: {port}\n{config}")
    command = [str(nats_server), "-c", str(file), *options]
    with subprocess.Popen(command, cwd=home, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as child:
        # its log or its ports file is there by then, too
        deadline = time.monotonic() + 10
        running = None
        while running is None or str(nats_server.resolve()) != str(running.executable) or not _listens(child.pid):
            assert child.poll() is None
            assert time.monotonic() < deadline
            running = process.read(child.pid)
            time.sleep(0.01)
        try:
            yield running
        finally:
            child.terminate()


def _listens(pid: int) -> bool:
    try:
        return sum("socket:" in str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()) > 0
    except OSError:
        return False


def clashes(
    config: str, home: Path, running: process.Process | None = None, file: str = "own.conf"
) -> list[server_files.Clash]:
    return server_files.clashes(requirements.paths(conf.parse(config)), home / file, running)


@pytest.mark.parametrize(
    ("other", "options", "own", "expected"),
    [
        (A_STORE.format("{home}/store"), "", A_STORE.format("{home}/store"), {STORE: STORE}),
        # by whatever way
        (A_STORE.format("{home}/store"), "", A_STORE.format("{home}/link"), {STORE: STORE}),
        (A_STORE.format("store/"), "", A_STORE.format("{home}/link/../store"), {STORE: STORE}),
        ("store_dir: {home}/store\njetstream: true\n", "", A_STORE.format("{home}/store"), {STORE: STORE}),
        ("", "-js -sd {home}/store", "store_dir: {home}/store", {STORE: STORE}),
        ("", "-js --store_dir={home}/b", A_STORE.format("{home}/a"), {}),
        # the one below the other
        (A_STORE.format("{home}/store"), "", A_STORE.format("{home}/store/jetstream/x"), {STORE: STORE}),
        (A_STORE.format("{home}/a/jetstream/x"), "", A_STORE.format("{home}/a"), {STORE: STORE}),
        (A_STORE.format("{home}/store"), "", A_STORE.format("{home}/store/other"), {}),
        (A_STORE.format("{home}/store"), "", A_STORE.format("{home}/store2"), {}),
        # other files
        ("log_file: {home}/log", "", "log_file: {home}/log", {"log_file": "log_file"}),
        ("", "-l log", "log_file: {home}/log", {"log_file": "log_file"}),
        ("log_file: {home}/log", "", "log_file: {home}/log.2", {}),
        ("log_file: {home}/log", "", "pid_file: {home}/log", {"pid_file": "log_file"}),
        ("pid_file: {home}/pid", "", "pid_file: {home}/pid", {"pid_file": "pid_file"}),
        ("", "--pid {home}/pid", "pid_file: {home}/pid", {"pid_file": "pid_file"}),
        ("log_file: /dev/null", "", "log_file: /dev/null", {}),
        # each server has a file of its own in it
        ("ports_file_dir: {home}", "", "ports_file_dir: {home}", {}),
        ("", "", "debug: true", {}),
    ],
)
def test_what_another_server_has_is_named(
    *,
    tmp_path: Path,
    nats_server: Path,
    free_port: Callable[[], int],
    other: str,
    options: str,
    own: str,
    expected: dict[str, str],
) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "link").symlink_to("store")
    words = options.format(home=tmp_path).split()
    with served(nats_server, tmp_path, free_port(), other.replace("{home}", str(tmp_path)), *words) as running:
        found = clashes(own.replace("{home}", str(tmp_path)), tmp_path)
        assert {each.option: each.other_option for each in found} == expected
        assert {each.other.running.pid for each in found} <= {running.pid}
        # the server itself is no other
        assert clashes(own.replace("{home}", str(tmp_path)), tmp_path, running) == []


def test_a_server_that_has_a_configuration_or_a_pid_file_is_named(
    tmp_path: Path, nats_server: Path, free_port: Callable[[], int]
) -> None:
    with served(nats_server, tmp_path, free_port(), "") as running:
        file, pid_file = process.config_file(running), tmp_path / "pid"
        assert file
        (clash,) = clashes("", tmp_path, file=file.name)
        assert (clash.option, clash.path) == ("config_file", str(file))
        pid_file.write_text(f"{running.pid}\n")
        (clash,) = server_files.clashes([], tmp_path / "own.conf", None, pid_file)
        assert clash.refusal == (
            f"the pid file of the process: {pid_file}: nats-server (process {running.pid}, with {file}) has it as the "
            f"pid file of the process; expected that the server with {tmp_path}/own.conf has it to itself, since what "
            "is meant for the one would reach the other. Give the second instance a nats_server_data_dir of its own, "
            f"or stop process {running.pid}."
        )


def test_what_a_server_has_open_counts_whatever_its_configuration_says_by_now(
    tmp_path: Path, nats_server: Path, free_port: Callable[[], int]
) -> None:
    with served(nats_server, tmp_path, free_port(), f"log_file: {tmp_path}/log") as running:
        file = process.config_file(running)
        assert file
        file.write_text("")
        (clash,) = clashes(f"log_file: {tmp_path}/log", tmp_path)
        assert (clash.option, clash.other_option) == ("log_file", "an open file")


def test_two_servers_on_one_store_are_not_well(tmp_path: Path, nats_server: Path, free_port: Callable[[], int]) -> None:
    config = A_STORE.format(tmp_path / "store")
    with served(nats_server, tmp_path, free_port(), config) as one:
        assert server_files.look(one).findings == []
        with served(nats_server, tmp_path, free_port(), config) as two:
            (finding,) = server_files.look(one).findings
            assert (finding.what, finding.severity) == (STORE, "error")
            assert f"nats-server (process {one.pid}, with " in finding.expected
            assert f"nats-server (process {two.pid}, with " in finding.found
            assert finding.remedy.startswith("stop one of the two at once, and give it a nats_server_data_dir of its")
            described = Described(
                "", "", "", "", nats_server, process.config_file(one) or tmp_path, tmp_path / "pid", None
            )
            (clash,) = seen(server_evidence.look(described, lambda _words: (1, "", "")).clashes)
            assert (clash.option, clash.other.running.pid) == (STORE, two.pid)
            users = [f"{nats_server.name} (process {each.pid})" for each in (one, two)]
            assert sorted(store_users.users(tmp_path / "store")) == sorted(users)


@pytest.mark.parametrize(("option", "is_one"), [("-D", True), ("-t", False)])
def test_a_program_that_only_tries_a_configuration_writes_nothing(tmp_path: Path, option: str, is_one: bool) -> None:
    command = ("nats-server", option, "-l", str(tmp_path / "log"))
    found = server_files.server(process.Process(1, 0, Path("/usr/bin/nats-server"), command, 0))
    assert bool(found) is is_one
    assert found is None or NeededPath("log_file", str(tmp_path / "log"), Need.PARENT) in found.own
