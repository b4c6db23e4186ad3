# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever somebody did to a host: the next deployment and the next rollback work all the same."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file
from ansible_collections.rosey.nats.tests.integration.conftest import Deployment, free_ports, run_playbook, stop_all

NEXT = count(101)


def configuration(deployed: Deployment) -> Path:
    return deployed.directory / "root" / "etc" / "nats" / "nats-server.conf"


def records(deployed: Deployment) -> Path:
    return deployed.directory / "root" / "var" / "lib" / "rosey-nats"


def record(deployed: Deployment) -> Path:
    return records(deployed) / "releases" / f"{(records(deployed) / 'current').read_text().strip()}.json"


def garble(deployed: Deployment) -> None:
    configuration(deployed).write_bytes(b"\xff\0{[(" * 1000)


def close_directory(deployed: Deployment) -> None:
    configuration(deployed).unlink()
    configuration(deployed).mkdir(0o000)


def link_nowhere(deployed: Deployment) -> None:
    configuration(deployed).unlink()
    configuration(deployed).symlink_to("/nowhere/nats-server.conf")


def put_pipe(deployed: Deployment) -> None:
    configuration(deployed).unlink()
    os.mkfifo(configuration(deployed))


def put_host_in_brackets(deployed: Deployment) -> None:
    with configuration(deployed).open("a") as file:
        file.write('\nhost: "[::1]"\nhttp_base_path: "/a?b"\n')


def truncate_record(deployed: Deployment) -> None:
    record(deployed).write_bytes(record(deployed).read_bytes()[:100])


def write_record_of_another_version(deployed: Deployment) -> None:
    whole = json.loads(record(deployed).read_text())
    body = {**whole["body"], "parts": {"server": {"settings": [], "entries": {}}}}
    whole = {"format": atomic_file.FORMAT, "sha256": atomic_file.sha256(atomic_file.canonical(body)), "body": body}
    record(deployed).write_text(atomic_file.canonical(whole) + "\n")


def forget_settings(deployed: Deployment) -> None:
    """Leave a record as a version may have written it that knew of fewer settings."""
    body = atomic_file.read(record(deployed))
    for name in ("stop", "copies", "environment", "gate_soak"):
        body["parts"]["server"]["settings"].pop(name, None)
    atomic_file.write(record(deployed), body)


def garble_pid_file(deployed: Deployment) -> None:
    (pid_file,) = deployed.directory.rglob("nats-server.pid")
    pid_file.write_bytes(b"\xff" * 5000)


def put_directory_for_pid_file(deployed: Deployment) -> None:
    (pid_file,) = deployed.directory.rglob("nats-server.pid")
    pid_file.unlink()
    pid_file.mkdir()


SAMPLE: tuple[Callable[[Deployment], None], ...] = (put_host_in_brackets, close_directory)
DAMAGES = (
    *SAMPLE,
    garble,
    link_nowhere,
    put_pipe,
    truncate_record,
    write_record_of_another_version,
    forget_settings,
    garble_pid_file,
    put_directory_for_pid_file,
)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    made = Deployment(tmp_path_factory.mktemp("broken"), *free_ports(3))
    for _each in range(2):
        said = made.play({"nats_server_config": {"max_connections": next(NEXT)}})
        assert said.startswith("exit 0"), said
    yield made
    stop_all(made.directory)


@pytest.mark.parametrize(
    "damage",
    [pytest.param(each, id=each.__name__, marks=[pytest.mark.sample] if each in SAMPLE else []) for each in DAMAGES],
)
def test_a_broken_host_is_deployed_to_and_taken_back(
    deployed: Deployment, damage: Callable[[Deployment], None]
) -> None:
    wanted = next(NEXT)
    damage(deployed)
    said = deployed.play({"nats_server_config": {"max_connections": wanted}})
    assert said.startswith("exit 0"), said
    assert "Traceback" not in said
    assert deployed.varz()["max_connections"] == wanted

    before = {path.stem for path in (records(deployed) / "releases").iterdir()}
    damage(deployed)
    said = run_playbook("playbooks/rollback.yml", deployed.directory / "hosts.yml")
    assert said.startswith("exit 0"), said
    assert "Traceback" not in said
    assert deployed.varz()["max_connections"] < wanted
    assert {path.stem for path in (records(deployed) / "releases").iterdir()} >= before
    for path in configuration(deployed).parent.glob("*.aside*"):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def test_streams_that_can_t_be_compared_stop_a_deployment_until_that_is_accepted(deployed: Deployment) -> None:
    known, given = records(deployed) / "assets.json", {"nats_server_config": {"max_connections": next(NEXT)}}
    known.unlink(missing_ok=True)
    known.mkdir()
    (known / "mine").touch()
    before = deployed.varz()["max_connections"]
    for options in (["--check"], []):
        said = " ".join(deployed.play(given, *options).split())
        assert said.startswith("exit 2"), said
        assert f"{known}: it is damaged (wrong type, expected a regular file), so that it can't be told whether" in said
        assert deployed.varz()["max_connections"] == before
    said = deployed.play({**given, "nats_server_accept": ["gone_streams"]})
    assert said.startswith("exit 0"), said
    assert [path.name for path in known.parent.glob("assets.json.damaged-*/*")] == ["mine"]
    assert deployed.play(given).startswith("exit 0")


def test_a_release_that_can_not_be_gone_back_to_is_told_before_the_change(deployed: Deployment) -> None:
    body, current = atomic_file.read(record(deployed)), record(deployed).stem
    body["parts"]["server"]["settings"] |= {"become": "x", "stop": "INT"}
    atomic_file.write(record(deployed), body)
    why = f"release {current} can't be gone back to: it holds what this version of the collection does not take: "
    given, inventory = {"nats_server_config": {"max_connections": next(NEXT)}}, deployed.directory / "hosts.yml"
    said = " ".join(deployed.play(given, "--check").split())
    assert why in said, said
    assert "A deployment that fails after its first change stays as it is then." in said
    listed = " ".join(run_playbook("playbooks/rollback.yml", inventory, "-e", "rollback_to=list").split())
    assert "can''t be gone back to: it holds what this version" in listed, listed
    refused = " ".join(run_playbook("playbooks/rollback.yml", inventory, "-e", f"rollback_to={current}").split())
    assert f"here: {current} can't be gone back to: it holds what" in refused, refused
    # a deployment that is proven takes its place
    said = deployed.play(given)
    assert said.startswith("exit 0"), said
