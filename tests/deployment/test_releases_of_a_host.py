# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a host's releases are, and what they say against a run that is another's or leaves the bot out."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Iterator
from typing import Any

import nats
import pytest
import requests

from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file
from ansible_collections.rosey.nats.tests.integration.conftest import (
    QUOTES,
    Deployment,
    free_ports,
    install_bot,
    run_playbook,
    stop_all,
)
from ansible_collections.rosey.nats.tests.sampling import sampled

ROLLBACK = "playbooks/rollback.yml"
# A database that its plugin can't open.
BROKEN = {"bot_plugins_declared": [{**QUOTES, "config": {"database": "/proc/quotes.db"}}], "bot_config_gate_wait": 4}


class Host:
    """A host with a bot, as its release has it."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment, self.root = deployment, deployment.directory / "root"
        self.releases = self.root / "var/lib/rosey-nats"

    @property
    def release(self) -> str:
        return (self.releases / "current").read_text().strip()

    @property
    def parts(self) -> dict[str, Any]:
        return dict(atomic_file.read(self.releases / "releases" / f"{self.release}.json")["parts"])

    def deploy(self, changes: dict[str, Any] | None = None, *options: str) -> str:
        return self.deployment.play({"bot_config_round_trip": False, **(changes or {})}, *options)

    def play(self, playbook: str, *options: str) -> str:
        return run_playbook(playbook, self.deployment.directory / "hosts.yml", *options)

    def is_connected(self) -> bool:
        url = f"http://127.0.0.1:{self.deployment.bot_port}/api/health"
        return bool(requests.get(url, timeout=5).json()["nats"]["connected"])

    def state(self) -> tuple[Any, ...]:
        pids = [path.read_text() for path in (*self.root.rglob("bot.pid"), *self.root.rglob("nats-server.pid"))]
        return self.release, self.deployment.files(), pids, self.deployment.varz()["config_load_time"]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    deployment = Deployment(tmp_path_factory.mktemp("host"), *free_ports(3))
    deployment.home.parent.mkdir(parents=True)
    install_bot(deployment.home, deployment.bot_port)
    deployed = Host(deployment)
    said = deployed.deploy()
    assert said.startswith("exit 0"), said
    yield deployed
    stop_all(deployment.directory)


def told(said: str) -> str:
    return " ".join(said.split())


STAGING = {"bot_config_environment": "staging"}


@pytest.mark.parametrize("options", sampled([["--check"], ["--tags", "bot_plugins"]], 1))
def test_a_host_of_another_environment_is_not_touched(host: Host, options: list[str]) -> None:
    before = host.state()
    said = host.deploy({**STAGING, "nats_server_config": {"max_connections": 10}}, *options)
    assert said.startswith("exit 2"), said
    assert f"The release of this host, {host.release}, is of development, and this run is of staging." in said
    assert "release_accept: [other_environment]" in said
    assert host.state() == before
    assert not (host.deployment.home / "environments/staging").exists()


def test_a_record_from_before_says_its_environment_by_its_bot(host: Host) -> None:
    path = host.releases / "releases" / f"{host.release}.json"
    body = atomic_file.read(path)
    kept = json.loads(json.dumps(body))
    del body["parts"]["server"]["settings"]["environment"]
    atomic_file.write(path, body)
    try:
        said = host.deploy(STAGING, "--tags", "nats_server", "--check")
        assert f"The release of this host, {host.release}, is of development" in said, said
        # one of the server alone is anybody's
        del body["parts"]["bot"], body["parts"]["plugins"]
        atomic_file.write(path, body)
        said = host.deploy(STAGING, "--tags", "nats_server", "--check")
        assert said.startswith("exit 0"), said
    finally:
        atomic_file.write(path, kept)


@pytest.mark.thorough
def test_what_is_left_behind_by_another_environment_is_named(host: Host) -> None:
    before = host.release
    staging = {**STAGING, "release_accept": ["other_environment"], "bot_config_gate_wait": 3}
    said = host.deploy({**staging, "nats_server_credentials": {"user": "rosey", "password": "a secret"}})
    directory = host.deployment.home / "environments/staging"
    assert said.startswith("exit 2"), said
    assert f"here is back at release {before}, as its gate has proven; left behind, and not of that release: " in said
    for name in ("config.yaml", "secrets.env", "plugins/quotes.yaml"):
        assert f"{directory}/{name}" in said
    assert host.is_connected()
    shutil.rmtree(directory)


@pytest.mark.thorough
def test_a_second_instance_has_releases_of_its_own(host: Host) -> None:
    before = host.state()
    port, monitoring = free_ports(2)
    second = {
        "nats_server_config_dir": str(host.root / "etc/two"),
        "nats_server_data_dir": str(host.root / "var/lib/two"),
        "nats_server_log_dir": str(host.root / "var/log/two"),
        "nats_server_config": {"server_name": "two", "port": port, "http_port": monitoring},
        "bot_config_gate": "never",
        "bot_config_home": str(host.root / "opt/two"),
    }
    other = Deployment(host.deployment.directory / "two", *host_ports(host, port, monitoring))
    other.directory.mkdir()
    said = play_there(host, other, second)
    own = f"{host.releases}-two"
    assert said.startswith("exit 2"), said
    assert f"Set release_dir: {own}, and a nats_server_config_dir, nats_server_data_dir and " in told(said)
    said = run_playbook(ROLLBACK, other.directory / "hosts.yml", "--check", "-e", f"rollback_to={host.release}")
    assert "are of the process with" in said
    assert not (host.root / "etc/two").exists()
    assert host.state() == before
    said = play_there(host, other, {**second, "release_dir": own})
    assert said.startswith("exit 0"), said
    assert other.varz()["server_name"] == "two"
    assert (host.release, host.deployment.varz()["config_load_time"]) == (before[0], before[3])


async def stream_of(port: int, *, messages: int) -> list[bytes]:
    """Publish to a stream, of which all messages are given."""
    client = await nats.connect(f"nats://127.0.0.1:{port}")
    try:
        jetstream = client.jetstream()
        await jetstream.add_stream(name="KEPT", subjects=["kept"])
        for number in range(messages):
            await jetstream.publish("kept", str(number).encode())
        state = (await jetstream.stream_info("KEPT")).state
        found = [await jetstream.get_msg("KEPT", each) for each in range(state.first_seq, state.last_seq + 1)]
        return [message.data or b"" for message in found]
    finally:
        await client.close()


@pytest.mark.thorough
def test_a_second_instance_does_not_write_to_the_store_of_the_first(host: Host) -> None:
    port, monitoring = free_ports(2)
    other = Deployment(host.deployment.directory / "on-one-store", *host_ports(host, port, monitoring))
    other.directory.mkdir()
    config = host.root / "etc/shared/nats-server.conf"
    second = {
        "nats_server_config_dir": str(config.parent),
        "release_dir": f"{host.releases}-shared",
        "nats_server_config": {"server_name": "shared", "jetstream": {"max_mem": "32MB", "max_file": "64MB"}},
        "bot_config_gate": "never",
        "bot_config_home": str(host.root / "opt/shared"),
    }
    kept = asyncio.run(stream_of(host.deployment.port, messages=5))
    before, data, log = host.state(), host.root / "var/lib/nats", host.root / "var/log/nats/nats-server.log"
    pid = (data / "nats-server.pid").read_text().strip()
    first = f"nats-server (process {pid}, with {host.root}/etc/nats/nats-server.conf)"
    said = play_there(host, other, second)
    assert said.startswith("exit 2"), said
    assert (
        f"jetstream.store_dir: {data}/jetstream: {first} has it as jetstream.store_dir; expected that the server with "
        f"{config} has it to itself, since either acknowledges messages that the other overwrites. Give the second "
        "instance a nats_server_data_dir of its own, or a jetstream.store_dir where nats_server_config names one, or "
        f"stop process {pid}."
    ) in told(said)
    assert f"log_file: {log}: {first} has it as log_file; " in told(said)
    assert f"the pid file of the process: {data}/nats-server.pid: {first} has it" in told(said)
    own_files = {**second, "nats_server_data_dir": str(host.root / "var/lib/shared")}
    own_files["nats_server_log_dir"] = str(host.root / "var/log/shared")
    own_files["nats_server_config"] = {"server_name": "shared", "jetstream": {"store_dir": str(data)}}
    said = play_there(host, other, own_files, "--check")
    assert said.startswith("exit 2"), said
    assert f"jetstream.store_dir: {data}/jetstream: {first} has it" in told(said)
    assert "log_file: " not in told(said)
    assert host.state() == before
    assert not config.parent.exists()
    assert asyncio.run(stream_of(host.deployment.port, messages=0)) == kept == [b"0", b"1", b"2", b"3", b"4"]


def host_ports(host: Host, port: int, monitoring: int) -> tuple[int, int, int]:
    return port, monitoring, host.deployment.bot_port


def play_there(host: Host, other: Deployment, changes: dict[str, Any], *options: str) -> str:
    prefix = {"nats_server_prefix": str(host.root)}
    return other.play({**prefix, "bot_config_round_trip": False, **changes}, *options)


@pytest.mark.thorough
def test_what_the_bot_connects_by_is_not_changed_without_it(host: Host) -> None:
    before = host.state()
    password = {"nats_server_credentials": {"user": "rosey", "password": "another secret"}}
    said = host.deploy(password, "--tags", "nats_server_configure")
    assert said.startswith("exit 2"), said
    assert f"authorization: it changes, and the bot of release {host.release}, which this run leaves out" in said
    assert host.state() == before
    # what does not concern it goes on alone
    said = host.deploy({"nats_server_config": {"max_connections": 78}}, "--tags", "nats_server")
    assert said.startswith("exit 0"), said
    assert {*host.parts} == {"server", "bot", "plugins"}
    logs = f"{host.root}/var/log/other"
    said = host.deploy({**password, "nats_server_log_dir": logs})
    assert said.startswith("exit 0"), said
    assert host.is_connected()
    # and back, with what each had; what only this one had is named before and after
    for options in (["--check"], []):
        said = host.play(ROLLBACK, *options)
        assert said.startswith("exit 0"), said
        assert f"files: left behind, and not of that release: {logs}" in told(said)
    assert host.is_connected()


@pytest.mark.thorough
def test_a_release_leaves_out_a_bot_that_was_not_proven_with_it(host: Host) -> None:
    said = host.deploy({"nats_server_config": {"max_connections": 20}, "bot_config_gate": "never"})
    assert said.startswith("exit 0"), said
    assert {*host.parts} == {"server"}
    said = host.deploy()
    assert said.startswith("exit 0"), said
    assert {*host.parts} == {"server", "bot", "plugins"}


@pytest.fixture
def without_home(host: Host) -> Iterator[Host]:
    """The bot's home is not mounted."""
    home = host.deployment.home
    away = home.with_name("away")
    home.rename(away)
    yield host
    away.rename(home)


def test_a_bot_that_the_release_has_is_missed(without_home: Host) -> None:
    host = without_home
    before, home = host.state()[0], host.deployment.home
    lacks = f"has a bot, and {home} is not there"
    said = host.deploy({"nats_server_config": {"max_connections": 79}})
    assert said.startswith("exit 2"), said
    assert f"The release of this host, {before}, {lacks}." in said
    said = host.play(ROLLBACK, "-e", f"rollback_to={before}", "--check")
    assert said.startswith("exit 2"), said
    assert host.release == before
    assert host.deployment.varz()["max_connections"] == 77


@pytest.mark.thorough
def test_a_part_that_can_not_go_back_is_told(without_home: Host) -> None:
    host = without_home
    before, home = host.release, host.deployment.home
    pid_file = home.with_name("away") / "bot.pid"
    os.kill(int(pid_file.read_text()), signal.SIGINT)
    pid_file.unlink()
    broken = {"bot_config_gate": "always", "bot_config_gate_wait": 1, "release_accept": ["absent_bot"]}
    said = host.deploy({**broken, "nats_server_config": {"max_connections": 79}})
    assert said.startswith("exit 2"), said
    assert (
        f"here is back at release {before} ONLY IN PART: the server, as its gate has proven; the bot, which does NOT "
        f"run, since {home} is not there"
    ) in told(said)


@pytest.mark.thorough
def test_a_bot_that_is_gone_for_good_is_let_go(without_home: Host) -> None:
    host = without_home
    said = host.deploy({"release_accept": ["absent_bot"]})
    assert said.startswith("exit 0"), said
    assert {*host.parts} == {"server"}
    said = host.deploy()
    assert said.startswith("exit 0"), said
    assert "changed=0" in said
