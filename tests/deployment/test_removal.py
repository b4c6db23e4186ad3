# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host from which deployments are taken away, step by step: each test goes on from what the one before it left."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import nats
import pytest
import requests

from ansible_collections.rosey.nats.tests.integration.conftest import (
    ROOT,
    Deployment,
    free_ports,
)
from ansible_collections.rosey.nats.tests.sampling import sampled

REMOVE = "playbooks/remove.yml"
NAMED = ("-e", "remove_hosts=here")
TAGS = ("--tags", "nats_server")
# What a second instance has for itself.
PLACES = {"config": "etc", "data": "var/lib", "log": "var/log"}


def deploy(host: Deployment) -> None:
    said = host.play({"bot_config_round_trip": False})
    assert said.startswith("exit 0"), said


def remove(host: Deployment, *options: str) -> str:
    return host.play({}, *options, playbook=REMOVE)


def told(said: str) -> str:
    return " ".join(said.replace("'", " ").split())


def everything(host: Deployment) -> dict[str, bytes]:
    """Give every file below the root, but what the bot itself comes with."""
    root = host.directory / "root"
    found = [path for path in root.rglob("*") if path.is_file() and "venv" not in path.parts]
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


def own_file(host: Deployment) -> Path:
    """Give where the bot's user has a plugin that no deployment put there."""
    return host.home / "environments/development/plugins/dice.yaml"


def bot_says(host: Deployment) -> dict[str, Any]:
    answer: dict[str, Any] = requests.get(f"http://127.0.0.1:{host.bot_port}/api/health", timeout=5).json()
    return answer


async def publish(host: Deployment, count: int) -> None:
    client = await nats.connect(f"nats://127.0.0.1:{host.port}")
    jetstream = client.jetstream()
    await jetstream.add_stream(name="KEPT", subjects=["kept.*"])
    for number in range(count):
        await jetstream.publish("kept.here", str(number).encode())
    await client.close()


async def messages(host: Deployment) -> int:
    client = await nats.connect(f"nats://127.0.0.1:{host.port}")
    try:
        return (await client.jetstream().stream_info("KEPT")).state.messages
    finally:
        await client.close()


def test_a_host_that_was_never_deployed_has_nothing(deployed: Deployment) -> None:
    before = everything(deployed)
    said = remove(deployed, *NAMED)
    assert said.startswith("exit 0"), said
    assert "no deployment has put anything here" in told(said)
    assert everything(deployed) == before


@pytest.mark.parametrize("options", [(), (*NAMED, "--check")])
def test_it_is_only_said(deployed: Deployment, options: tuple[str, ...]) -> None:
    if not (deployed.directory / "root/etc").exists():
        deploy(deployed)
        asyncio.run(publish(deployed, 5))
    before = {path: text for path, text in everything(deployed).items() if "/log/" not in path}
    said = remove(deployed, *options)
    assert said.startswith("exit 0"), said
    root = deployed.directory / "root"
    for line in (
        f"takes away: the process with {root}/etc/nats/nats-server.conf",
        f"takes away: section nats: of {deployed.home}/environments/development/config.yaml",
        f"takes away: file {deployed.home}/environments/development/plugins/quotes.yaml",
        f"takes away: link {root}/usr/local/bin/nats-server",
        f"keeps: {root}/var/lib/nats/jetstream: data; -e remove_data=true takes it too",
        "keeps: stream KEPT: 5 messages",
    ):
        assert line in told(said), said
    assert ("To take it away: -e remove_hosts=here" in told(said)) == (not options)
    assert {path: text for path, text in everything(deployed).items() if "/log/" not in path} == before
    assert bot_says(deployed)["nats"]["connected"]


@pytest.mark.parametrize(
    ("named", "stranger"),
    # the shell's words: of the third, Ansible takes what comes before the blank
    sampled([("here,there", "there"), ("all", "all"), ("[here, there]", "[here"), ("here,", "")], 2),
)
def test_a_name_that_is_no_host_is_an_error(deployed: Deployment, named: str, stranger: str) -> None:
    said = remove(deployed, "-e", f"remove_hosts={named}")
    assert said.startswith("exit 2"), said
    assert "which is no host of this run; expected of here. Nothing was touched." in told(said)
    assert f'remove_hosts names "{stranger}"' in told(said)
    assert bot_says(deployed)["nats"]["connected"]


def test_all_but_the_data_goes(deployed: Deployment) -> None:
    by_hand = own_file(deployed)
    by_hand.write_text("# mine\nname: dice\nenabled: false\n")
    said = remove(deployed, *NAMED)
    assert said.startswith("exit 0"), said
    assert "nats" not in bot_says(deployed)
    with pytest.raises(requests.ConnectionError):
        deployed.varz()
    left = {path for path in everything(deployed) if not path.startswith("opt/")}
    assert {path.split("/nats")[0] for path in left} == {"var/lib", "var/log", "var/lib/rosey-nats/kept.json"}, left
    assert not (deployed.directory / "root/usr/local/bin/nats-server").is_symlink()
    environment = deployed.home / "environments/development"
    assert by_hand.is_file()
    assert [path.name for path in (environment / "plugins").iterdir()] == ["dice.yaml"]
    assert "NATS" not in (environment / "secrets.env").read_text()


def test_the_second_run_changes_nothing(deployed: Deployment) -> None:
    before = everything(deployed)
    said = remove(deployed, *NAMED)
    assert said.startswith("exit 0"), said
    assert "changed=0" in said, said
    assert everything(deployed) == before


def test_a_directory_goes_when_somebody_else_has_emptied_it(deployed: Deployment) -> None:
    by_hand = own_file(deployed)
    by_hand.unlink()
    said = remove(deployed, *NAMED)
    assert said.startswith("exit 0"), said
    assert f"takes away: directory {by_hand.parent}" in told(said)
    assert not by_hand.parent.exists()


@pytest.mark.thorough
def test_another_deployment_finds_the_messages(deployed: Deployment) -> None:
    deploy(deployed)
    assert asyncio.run(messages(deployed)) == 5
    assert bot_says(deployed)["nats"]["connected"]


@pytest.mark.thorough
def test_the_data_goes_when_that_is_told_and_is_named_before(deployed: Deployment) -> None:
    said = remove(deployed, *NAMED, "-e", "remove_data=true", "-e", "remove_bot=stop")
    assert said.startswith("exit 0"), said
    assert "loses: stream KEPT: 5 messages" in told(said)
    assert [path for path in everything(deployed) if not path.startswith("opt/")] == []
    with pytest.raises(requests.ConnectionError):
        bot_says(deployed)
    assert "nats:" not in (deployed.home / "environments/development/config.yaml").read_text()


CUT_OFF = ("Remove | Keep deployments away", "Stop | Process of this user", "Remove | Files", "Remove | What tells of")


def cut_off(host: Deployment, task: str) -> None:
    """Take away until a task begins, and kill the run then."""
    words = ["ansible-playbook", REMOVE, "-i", str(host.directory / "hosts.yml"), *NAMED]
    # which names a task as it begins, also one that changes nothing
    environment = {**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default"}
    run = subprocess.Popen(
        words,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with run:
        assert run.stdout is not None
        said: list[str] = []
        while not said or task not in said[-1]:
            said.append(run.stdout.readline())
            assert said[-1], f"{task} never began: {''.join(said)}"
        # the module has begun or not, and comes to its end by itself; the next task is never reached
        time.sleep(random.uniform(0, 0.1))
        os.killpg(run.pid, signal.SIGKILL)


@pytest.mark.thorough
def test_the_same_command_brings_it_to_its_end(deployed: Deployment) -> None:
    deploy(deployed)
    asyncio.run(publish(deployed, 7))
    for task in CUT_OFF:
        cut_off(deployed, task)
    said = remove(deployed, *NAMED)
    assert said.startswith("exit 0"), said
    left = {path for path in everything(deployed) if not path.startswith("opt/")}
    assert {path.split("/nats")[0] for path in left} == {"var/lib", "var/log", "var/lib/rosey-nats/kept.json"}, left
    deploy(deployed)
    assert asyncio.run(messages(deployed)) == 7


@pytest.mark.thorough
def test_two_on_a_host_leave_each_other_alone(deployed: Deployment) -> None:
    deploy(deployed)
    root = deployed.directory / "root"
    second = Deployment(deployed.directory, *free_ports(3))
    own = {
        **{f"nats_server_{kind}_dir": str(root / f"{place}/nats-second") for kind, place in PLACES.items()},
        "release_dir": str(root / "var/lib/rosey-nats-second"),
    }
    said = second.play(own, *TAGS)
    assert said.startswith("exit 0"), said
    asyncio.run(publish(second, 3))
    said = remove(deployed, *NAMED, "-e", "remove_data=true")
    assert said.startswith("exit 0"), said
    for shared in ("bin/nats-server", "lib/nats-server/2.10.7/nats-server"):
        assert f"keeps: {root}/usr/local/{shared}: " in told(said), said
    assert asyncio.run(messages(second)) == 3
    assert not (root / "etc/nats").exists()
    assert not (root / "var/lib/rosey-nats").exists()
    # it can be started again, and be proven
    said = second.play({**own, "nats_server_config": {"max_payload": 2048, "server_name": "second"}}, *TAGS)
    assert said.startswith("exit 0"), said
    # of another instance nothing is taken away
    said = remove(deployed, *NAMED, "-e", f"release_dir={own['release_dir']}")
    assert said.startswith("exit 2"), said
    assert "release_accept: [other_instance]" in said
    said = second.play(own, *NAMED, "-e", "remove_data=true", playbook=REMOVE)
    assert said.startswith("exit 0"), said
    assert [path for path in everything(deployed) if not path.startswith("opt/")] == []
