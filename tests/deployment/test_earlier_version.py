# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that an earlier version deployed, and what today's playbooks make of it: the tests are one story, in order.

Nothing of today's code stands between a test and the host: what a version has left is read as the files that it is, and
both versions are asked by their playbooks alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats
import pytest

from ansible_collections.rosey.nats.tests.integration.conftest import (
    QUOTES,
    ROOT,
    Deployment,
    Variables,
    free_ports,
    install_bot,
    merged,
    run_playbook,
    stop_all,
)

# 0.1.0, as hosts have it that were deployed before streams were recorded.
EARLIER = "7996721"
# What has another name by now.
OF_EARLIER = {"nats_server_install_method": "go"}
MESSAGES = [f"message {number}".encode() for number in range(100)]
# The gate of the bot waits in vain: the plugin can't open its database, and holds no subscription.
BROKEN_PLUGIN = {"bot_plugins_declared": [{**QUOTES, "config": {"database": "/proc/quotes.db"}}]}


@dataclass(frozen=True)
class Host:
    """A host, the inventory that either version deploys it with, and the tree of the earlier one."""

    deployment: Deployment
    earlier: Path

    @property
    def inventory(self) -> Path:
        return self.deployment.directory / "hosts.yml"

    @property
    def records(self) -> Path:
        return self.deployment.directory / "root/var/lib/rosey-nats"

    @property
    def current(self) -> str:
        return (self.records / "current").read_text().strip()

    @property
    def is_leased(self) -> bool:
        return json.loads((self.records / "lease.json").read_text())["body"]["holder"] is not None

    def describe(self, changes: Variables, root: Path = ROOT) -> None:
        if root == self.earlier:
            changes = {**changes, **OF_EARLIER}
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        variables = merged({**self.deployment.variables, "bot_config_round_trip": False}, changes)
        self.inventory.write_text(json.dumps({"rosey": {"hosts": {"here": variables | local}}}))

    def deploy(self, changes: Variables, *options: str, root: Path = ROOT) -> str:
        self.describe(changes, root)
        return run_playbook("site.yml", self.inventory, *options, root=root)

    def rollback(self, to: str) -> str:
        return run_playbook("playbooks/rollback.yml", self.inventory, "-e", f"rollback_to={to}")

    def server(self) -> tuple[str, str]:
        """Tell one run of the server from another: its process, and when it has started."""
        pid = (self.deployment.directory / "root/var/lib/nats/nats-server.pid").read_text().strip()
        return pid, self.deployment.varz()["start"]


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the tree of the earlier version, out of the history."""
    directory = tmp_path_factory.mktemp("earlier")
    archive = directory.with_suffix(".tar")
    git = ["git", "-C", str(ROOT), "archive", "--output", str(archive), EARLIER]
    try:
        done = subprocess.run(git, capture_output=True, text=True, check=False)
        reason = done.stderr.strip() if done.returncode else ""
    except OSError as error:
        reason = str(error)
    if reason:
        pytest.fail(
            f"This test deploys with commit {EARLIER} of this repository's history, which {ROOT.resolve()} can't give "
            f"({reason}); run it in a full clone, which `git fetch --unshallow` makes of a shallow one.",
            pytrace=False,
        )
    shutil.unpack_archive(archive, directory)
    return directory


@pytest.fixture(scope="module")
def host(earlier: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host with a bot and a stream, as the earlier version has left it."""
    deployment = Deployment(tmp_path_factory.mktemp("host"), *free_ports(3))
    deployment.home.parent.mkdir(parents=True)
    install_bot(deployment.home, deployment.bot_port)
    deployed = Host(deployment, earlier)
    try:
        said = deployed.deploy({}, root=earlier)
        assert said.startswith("exit 0"), said
        # no other collection of this name stood in for it
        assert f"included: {earlier}/collections/ansible_collections/rosey/nats/roles/release/" in said
        asyncio.run(publish(deployment.port))
        yield deployed
    finally:
        stop_all(deployment.directory)


@pytest.fixture(scope="module")
def first(host: Host) -> str:
    """The release that the earlier version has recorded."""
    return host.current


@pytest.fixture(scope="module")
def started(host: Host) -> tuple[str, str]:
    return host.server()


@pytest.fixture(autouse=True)
def unharmed(host: Host, first: str, started: tuple[str, str]) -> Iterator[None]:
    """Whatever a test does, it is the same run of the server that has all the messages."""
    yield
    assert host.server() == started
    assert asyncio.run(kept(host.deployment.port)) == MESSAGES


async def publish(port: int) -> None:
    client = await nats.connect(f"nats://127.0.0.1:{port}")
    jetstream = client.jetstream()
    await jetstream.add_stream(name="KEPT", subjects=["kept"])
    for message in MESSAGES:
        await jetstream.publish("kept", message)
    await client.close()


async def kept(port: int) -> list[bytes | None]:
    client = await nats.connect(f"nats://127.0.0.1:{port}")
    jetstream = client.jetstream()
    state = (await jetstream.stream_info("KEPT")).state
    found = [await jetstream.get_msg("KEPT", number) for number in range(state.first_seq, state.last_seq + 1)]
    await client.close()
    return [message.data for message in found]


def assert_proven(said: str) -> None:
    assert said.startswith("exit 0"), said
    assert "- 'proven: " in said
    assert "bot proven: bot connected" in said


def test_it_is_deployed_as_it_is(host: Host, first: str) -> None:
    said = host.deploy({})
    assert_proven(said)
    assert "- 'plan: nothing'" in said
    assert host.current != first


@pytest.mark.parametrize(
    ("task", "changes", "max_connections"),
    [
        # right after the lease was taken
        pytest.param("release : Configure | Directories", {}, 78, id="begun", marks=pytest.mark.thorough),
        # the server has reloaded, the bot was restarted, and its gate waits
        pytest.param(
            "bot_config : Gate | The bot proves", {**BROKEN_PLUGIN, "bot_config_gate_wait": 5}, 79, id="at the gate"
        ),
    ],
)
def test_the_lease_of_a_run_that_was_killed_is_taken_over(
    host: Host, task: str, changes: Variables, max_connections: int
) -> None:
    meant: dict[str, Any] = {"nats_server_config": {"max_connections": max_connections}}
    before = host.current
    kill_earlier(host, {**meant, **changes}, task)
    assert host.is_leased
    assert_proven(host.deploy(meant))
    assert not host.is_leased
    assert host.deployment.varz()["max_connections"] == max_connections
    assert host.current != before


def kill_earlier(host: Host, changes: Variables, task: str) -> None:
    """Deploy with the earlier version, and kill the run as it comes to a task."""
    host.describe(changes, host.earlier)
    # A file, not a pipe: what outlives the run would hold a pipe open.
    said = host.deployment.directory / "said.log"
    with said.open("w") as output:
        run = subprocess.Popen(
            ["ansible-playbook", "site.yml", "-i", str(host.inventory)],
            cwd=host.earlier,
            env={**os.environ, "COLUMNS": "1000", "ANSIBLE_NOCOLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        while task not in said.read_text() and run.poll() is None:
            time.sleep(0.01)
        assert run.poll() is None, said.read_text()
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()


def test_the_releases_of_both_are_listed(host: Host, first: str) -> None:
    said = host.rollback("list")
    assert said.startswith("exit 0"), said
    assert "is damaged" not in said
    table = [line.strip(" -'").split() for line in said.splitlines() if "nats-server 2.10.7" in line]
    assert table[0][:2] == [host.current, "current"]
    # between them is what was deployed as it was
    assert len(table) > 2
    assert table[-1][0] == first


def test_what_is_recorded_by_now_is_no_damage_to_it(host: Host, first: str) -> None:
    """A team's second engineer may have the earlier version still."""
    said = run_playbook("playbooks/rollback.yml", host.inventory, "-e", "rollback_to=list", root=host.earlier)
    assert said.startswith("exit 0"), said
    assert "is damaged" not in said
    assert re.search(rf"{host.current}  current", said)
    assert first in said


def test_what_it_recorded_is_gone_back_to(host: Host, first: str) -> None:
    said = host.rollback(first)
    assert said.startswith("exit 0"), said
    assert f"release: {first}" in said
    assert re.search(r"- 'server: \d+ of \d+ proven", said)
    assert "- 'bot: bot connected" in said
    assert host.deployment.varz()["max_connections"] == 77
    assert host.current == first


def test_streams_are_recorded_from_now_on(host: Host) -> None:
    (host.records / "assets.json").unlink()
    said = host.deploy({}, "--check")
    assert said.startswith("exit 2"), said
    assert "assets.json: it is gone" in said
