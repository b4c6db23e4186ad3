# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment goes back to, records and claims, on ways that are seldom taken."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import pytest
import requests

from ansible_collections.rosey.nats.tests.integration.conftest import (
    QUOTES,
    Deployment,
    free_ports,
    install_bot,
    run_playbook,
    stop_all,
)
from ansible_collections.rosey.nats.tests.integration.material import Material

pytestmark = pytest.mark.thorough

ROLLBACK = "playbooks/rollback.yml"
# Its plugin can't open its database.
BROKEN = {
    "bot_plugins_declared": [{**QUOTES, "config": {"database": "/proc/quotes.db"}}],
    "bot_config_gate_wait": 4,
    "bot_config_round_trip": False,
}
OLDER_SUM = "h1:USQ91yDrsRohuEAW8vJpal7Z9p+EWTGk53wchamzqFo="
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}


class Host:
    """A deployed server with its bot."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.inventory = deployment.directory / "hosts.yml"

    @property
    def release(self) -> str:
        return (self.deployment.directory / "root/var/lib/rosey-nats/current").read_text().strip()

    def deploy(self, changes: dict[str, Any] | None = None, *options: str) -> str:
        return self.deployment.play({"bot_config_round_trip": False, **(changes or {})}, *options)

    def rollback(self, *options: str) -> str:
        return run_playbook(ROLLBACK, self.inventory, *options)

    def health(self) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.deployment.bot_port}/api/health"
        return dict(requests.get(url, timeout=5).json())


@pytest.fixture
def host(bot_deployment: Deployment) -> Iterator[Host]:
    """The host as it was described first, whatever the test before did."""
    deployed = Host(bot_deployment)
    said = deployed.deploy()
    assert said.startswith("exit 0"), said
    return deployed


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    deployment = Deployment(tmp_path_factory.mktemp("second"), *free_ports(3))
    deployment.home.parent.mkdir(parents=True)
    install_bot(deployment.home, deployment.bot_port)
    deployed = Host(deployment)
    said = deployed.deploy()
    assert said.startswith("exit 0"), said
    yield deployed
    stop_all(deployment.directory)


def both(tmp_path: Path, *hosts: tuple[str, dict[str, Any]]) -> Path:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(json.dumps({"rosey": {"hosts": dict(hosts)}}))
    return inventory


def test_what_an_earlier_run_put_over_is_gone_back_from(host: Host, material: Material, tmp_path: Path) -> None:
    before = host.release
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(Path(material.certificates[0]).read_bytes())
    key.write_bytes(Path(material.keys[0]).read_bytes())
    leafnodes = {"host": "127.0.0.1", "port": free_ports(1)[0]}
    changes = {
        "nats_server_config": {"leafnodes": {**leafnodes, "tls": {"cert_file": str(certificate), "key_file": str(key)}}}
    }
    # cut off after its files
    said = host.deploy(changes, "--tags", "nats_server_configure")
    assert said.startswith("exit 0"), said
    certificate.write_text("garbage\n")
    said = host.deploy(changes)
    assert said.startswith("exit 2"), said
    assert f"here is back at release {before}, as its gate has proven" in said
    assert host.deployment.varz()["leaf"].get("port") is None
    assert host.release == before


@pytest.mark.parametrize(
    ("changes", "tag", "outcome"),
    [
        # a reload would have to be seen
        ({"nats_server_config": {"max_connections": 81}}, "nats_server_gate", "exit 2"),
        ({"bot_config_profile": "low_latency"}, "bot_config_gate", "exit 0"),
        ({"nats_server_config": {"server_name": "other"}}, "nats_server_gate", "exit 0"),
    ],
)
def test_a_gate_alone_records_nothing_that_is_not_there(
    host: Host, changes: dict[str, Any], tag: str, outcome: str
) -> None:
    before = host.release
    said = host.deploy(changes, "--tags", tag)
    assert said.startswith(outcome), said
    assert outcome == "exit 0" or "here was not changed" in said
    assert host.release == before


def test_no_part_is_taken_out_of_its_steps(host: Host) -> None:
    said = host.deploy({"bot_config_profile": "low_latency"}, "--skip-tags", "bot_plugins,nats_server_gate")
    assert said.startswith("exit 2"), said
    assert (
        "--skip-tags bot_plugins,nats_server_gate would leave a deployment half done, and nothing was touched" in said
    )


def test_legacy_is_a_release_to_come_back_from_and_to(host: Host) -> None:
    with_nats = host.release
    said = host.rollback("-e", "rollback_to=legacy")
    assert said.startswith("exit 0"), said
    legacy = host.release
    assert legacy != with_nats
    # once more, there is nothing to do
    said = host.rollback("-e", "rollback_to=legacy")
    assert said.startswith("exit 0"), said
    assert "changed=0 " in said
    assert "nats" not in host.health()
    # the repair fails: the bot runs as it did a moment ago
    said = host.deploy(BROKEN)
    assert f"here is back at release {legacy}, as its gate has proven" in said
    assert "nats" not in host.health()
    said = host.rollback("--check")
    assert f"release: {with_nats}" in said
    assert "What going back would do" in said
    assert "bot: restart" in said
    said = host.rollback()
    assert said.startswith("exit 0"), said
    assert host.release == with_nats
    assert host.health()["nats"]["connected"]


def test_health_warns_of_what_legacy_left_on_purpose(host: Host) -> None:
    said = host.rollback("-e", "rollback_to=legacy", "-e", "rollback_stop_nats=true")
    assert said.startswith("exit 0"), said
    said = run_playbook("playbooks/health.yml", host.inventory)
    assert said.startswith("exit 0"), said
    assert f"that it was stopped on purpose, as release {host.release} has the bot without NATS" in said
    assert f"found that it runs without, as release {host.release} has it" in said
    assert "| critical" not in said
    assert "| unknown" not in said


def test_a_release_without_a_part_says_what_it_left(second: Host) -> None:
    said = second.deploy({"nats_server_config": {"max_connections": 79}, "bot_config_gate": "never"})
    assert said.startswith("exit 0"), said
    (second.deployment.directory / "root/var/lib/rosey-nats/current").unlink()
    said = second.deploy({"nats_server_config": {"max_connections": 80}}, "--tags", "nats_server")
    assert said.startswith("exit 0"), said
    only_server = second.release
    said = second.deploy(BROKEN)
    # the gate says where to look
    home = second.deployment.home
    assert f"its file is {home}/environments/development/plugins/quotes.yaml" in said
    assert f"its log {home}/logs/plugins/quotes.log" in said
    assert re.search(r"its log ends with: .*unable to open database file", said)
    assert f"here could NOT go back; release {only_server} has nothing of" not in said
    assert f"is back at release {only_server}" in said
    assert f"; release {only_server} has nothing of bot_config and bot_plugins, left as deployed" in said


def test_one_that_can_not_go_back_keeps_no_other_from_it(host: Host, second: Host, tmp_path: Path) -> None:
    said = second.deploy()
    assert said.startswith("exit 0"), said
    before = host.release
    sick = second.deployment
    inventory = both(
        tmp_path,
        ("here", {**host.deployment.variables, **BROKEN, **LOCAL}),
        ("sick", {**sick.variables, **BROKEN, **LOCAL}),
    )
    data = sick.home / "data"
    away = data.with_name("data.away")
    data.rename(away)
    data.write_text("no directory")
    try:
        said = run_playbook("site.yml", inventory)
    finally:
        data.unlink()
        away.rename(data)
    assert said.startswith("exit 2"), said
    assert f"here is back at release {before}, as its gate has proven" in said
    assert "sick could NOT go back to release" in said
    assert "The step that failed: ?" not in said
    assert host.health()["nats"]["connected"]


def test_a_copy_that_fails_leaves_the_version_that_ran(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, *free_ports(3))
    older = {"nats_server_version": "2.9.25", "nats_server_module_sums": {"2.9.25": OLDER_SUM}}
    store = {"jetstream": {"max_mem": "16M", "max_file": "16M"}}
    try:
        said = deployment.play({**older, "nats_server_config": {**store, "log_max_num": None}})
        assert said.startswith("exit 0"), said
        before = Host(deployment).release
        # a file in the way of the copies
        (tmp_path / "root/var/lib/rosey-nats/stores").write_text("no directory\n")
        asyncio.run(stored(deployment.port))
        said = deployment.play({"nats_server_config": store})
        assert said.startswith("exit 2"), said
        assert "Copy | The store" in said
        assert f"here is back at release {before}, as its gate has proven" in said
        assert deployment.varz()["version"] == "2.9.25"
    finally:
        stop_all(tmp_path)


def test_another_minor_version_copies_the_store_of_a_server_that_moves(tmp_path: Path) -> None:
    ports = free_ports(4)
    deployment = Deployment(tmp_path, *ports[:3])
    kept, copies = tmp_path / "kept", tmp_path / "root/var/lib/rosey-nats/stores"
    kept.mkdir()
    older = {"nats_server_version": "2.9.25", "nats_server_module_sums": {"2.9.25": OLDER_SUM}}
    store = {"jetstream": True, "store_dir": str(kept)}
    try:
        said = deployment.play({**older, "nats_server_config": {**store, "log_max_num": None}})
        assert said.startswith("exit 0"), said
        asyncio.run(stored(deployment.port))
        said = deployment.play({"nats_server_config": {**store, "http_port": ports[3]}})
        assert said.startswith("exit 0"), said
        said = run_playbook(ROLLBACK, tmp_path / "hosts.yml")
        assert said.startswith("exit 0"), said
        assert deployment.varz()["version"] == "2.9.25"
        # one of the way there, and one of the way back; each server told what it had, at its own address
        facts = [json.loads(file.read_text()) for file in sorted(copies.glob("*/copy.json"))]
        assert [copy["from_version"] for copy in facts] == ["2.10.7", "2.9.25"]
        for copy in facts:
            assert [(stream["name"], stream["messages"]) for stream in copy["streams"]] == [("kept", 1)]
    finally:
        stop_all(tmp_path)


async def stored(port: int) -> None:
    """Store a message, so that there is something to copy."""
    client = await nats.connect(f"nats://127.0.0.1:{port}")
    stream = client.jetstream()
    await stream.add_stream(name="kept", subjects=["kept"])
    await stream.publish("kept", b"message")
    await client.close()


def test_no_batch_begins_after_a_host_that_can_not_be_reached(host: Host, tmp_path: Path) -> None:
    lost = {**host.deployment.variables, "ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_connection": "ssh"}
    inventory = both(tmp_path, ("lost", lost), ("here", {**host.deployment.variables, **LOCAL}))
    said = run_playbook("site.yml", inventory, "-e", "rosey_serial=1")
    assert "here: nothing was begun here, since lost failed or could not be reached" in said
    assert not said.startswith("exit 0")


def test_nothing_but_a_deployment_needs_the_password_of_the_vault(host: Host, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("open sesame\n")
    with_password = ("--vault-password-file", str(password))
    encrypted = subprocess.run(
        ["ansible-vault", "encrypt_string", *with_password, "--name", "vault_nats_password", "a marked secret"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (tmp_path / "group_vars" / "rosey").mkdir(parents=True)
    (tmp_path / "group_vars" / "rosey" / "vault.yml").write_text(encrypted)
    credentials = {"user": "rosey", "password": "{{ vault_nats_password }}"}
    inventory = both(
        tmp_path, ("here", {**host.deployment.variables, "nats_server_credentials": credentials, **LOCAL})
    ).parent
    said = run_playbook("site.yml", inventory, *with_password)
    assert said.startswith("exit 0"), said
    for playbook, *options in (
        (ROLLBACK, "-e", "rollback_to=list"),
        ("playbooks/contract.yml",),
        ("playbooks/watch.yml", "-e", "rosey_watch_seconds=1"),
        (ROLLBACK,),
        ("playbooks/stop.yml",),
    ):
        said = run_playbook(playbook, inventory, *options)
        assert said.startswith("exit 0"), (playbook, said)
        assert "a marked secret" not in said
