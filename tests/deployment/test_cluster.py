# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three hosts that are one bus, step by step: each test goes on from what the one before it left."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ansible_collections.rosey.nats.tests import fleet as fleets
from ansible_collections.rosey.nats.tests.fleet import (
    HOSTS,
    SECRET,
    Fleet,
    killed_once_it_is_started_anew,
    memory,
    order,
)
from ansible_collections.rosey.nats.tests.sampling import sampled

SUMS = {
    "2.10.7": "h1:f5VDy+GMu7JyuFA0Fef+6TfulfCs5nBTgq7MMkFJx5Y=",
    "2.10.29": "h1:IJ8TrZaiMZUrPGavMvP7hNAE9lYnHTThuthpwlsdlbc=",
}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleets.made(tmp_path_factory.mktemp("fleet")) as made:
        yield made


def test_a_group_and_a_name_are_a_cluster(fleet: Fleet) -> None:
    said = fleet.deploy({})
    assert SECRET not in said
    assert {fleet.ask(name, "varz")["server_name"] for name in HOSTS} == {f"bus_{name}" for name in HOSTS}
    assert {fleet.ask(name, "jsz")["meta_cluster"]["cluster_size"] for name in HOSTS} == {3}
    for name in HOSTS:
        routed = {each["remote_name"] for each in fleet.ask(name, "routez")["routes"]}
        assert routed == {f"bus_{other}" for other in HOSTS if other != name}
    assert not order(said)


def test_a_second_run_changes_nothing(fleet: Fleet) -> None:
    before = fleet.ids()
    assert fleet.deploy({}).count("changed=0") == len(HOSTS)
    assert fleet.ids() == before


@pytest.mark.thorough
def test_a_second_run_asks_each_host_as_often_as_one_that_stands_alone(fleet: Fleet, tmp_path: Path) -> None:
    with fleets.made(tmp_path, ["alone"]) as single:
        by_itself = {"alone": {"nats_server_cluster": {}}}
        single.deploy({}, hosts=by_itself)
        (trips,) = round_trips(single.deploy({}, "-vvv", hosts=by_itself), ["alone"])
    assert trips > 0
    assert round_trips(fleet.deploy({}, "-vvv"), HOSTS) == [trips] * len(HOSTS)


def round_trips(said: str, names: Sequence[str]) -> list[int]:
    """Count what Ansible runs on each host."""
    return [said.count(f"<{name}> EXEC ") for name in names]


@pytest.mark.thorough
def test_one_host_of_it_is_deployed_by_itself(fleet: Fleet) -> None:
    assert "changed=0" in fleet.deploy({}, "--limit", "two")


@pytest.mark.thorough
def test_what_takes_a_reload_is_reloaded_everywhere(fleet: Fleet) -> None:
    before = fleet.ids()
    said, published = fleet.meanwhile(lambda: fleet.deploy({"nats_server_config_overrides": {"max_payload": 2000000}}))
    assert not order(said)
    assert fleet.ids() == before
    assert {fleet.ask(name, "varz")["max_payload"] for name in HOSTS} == {2000000}
    assert (published.lost, published.failed) == (0, 0)


def test_a_roll_is_foretold(fleet: Fleet) -> None:
    before, leader = (fleet.ids(), fleet.files()), fleet.leader()
    said = fleet.deploy(memory("300M"), "--check", "--diff")
    assert order(said)[-1] == leader
    assert sorted(order(said)) == sorted(HOSTS)
    assert f"{leader}, which leads the meta group" in said
    assert "jetstream.max_mem: unset -> 300M (restart)" in " ".join(said.split())
    assert (fleet.ids(), fleet.files()) == before


@pytest.mark.thorough
def test_a_roll_restarts_one_after_another_and_nothing_is_lost(fleet: Fleet) -> None:
    before, leader = fleet.ids(), fleet.leader()
    said, published = fleet.meanwhile(lambda: fleet.deploy(memory("300M")))
    after = fleet.ids()
    assert all(after[name] != before[name] for name in HOSTS)
    assert order(said)[-1] == leader
    assert set(fleet.limits().values()) == {300_000_000}
    assert (published.lost, published.failed) == (0, 0)
    assert fleet.deploy(memory("300M")).count("changed=0") == len(HOSTS)


@pytest.mark.parametrize("keep_proven", sampled([False, True], 1))
def test_a_server_that_fails_stops_the_roll(fleet: Fleet, keep_proven: bool) -> None:
    before, limits, leader = fleet.ids(), fleet.limits(), fleet.leader()
    # followers go in the order of the inventory
    first, second = (name for name in HOSTS if name != leader)
    killing = killed_once_it_is_started_anew(fleet, second)

    def deploy() -> str:
        return fleet.play(memory("400M"), "-e", json.dumps({"release_keep_proven": keep_proven}))

    said, published = fleet.meanwhile(deploy)
    killing.join()
    assert said.startswith("exit 2"), said
    assert order(said)[:3] == [first, second, leader]
    # nobody has begun with the last one
    assert fleet.ids()[leader] == before[leader]
    assert f"{second} is back at release" in said
    assert fleet.limits() == {**limits, **({first: 400_000_000} if keep_proven else {})}
    assert (published.lost, published.failed) == (0, 0)
    assert (f"{first} is back at release" in said) is not keep_proven
    assert (f"{first} runs what was asked for, as its gate has proven" in said) is keep_proven


@pytest.mark.thorough
def test_the_next_run_makes_one_of_them_again(fleet: Fleet) -> None:
    said, published = fleet.meanwhile(lambda: fleet.deploy(memory("400M")))
    assert len(order(said)) == 2
    assert set(fleet.limits().values()) == {400_000_000}
    assert (published.lost, published.failed) == (0, 0)
    assert fleet.deploy(memory("400M")).count("changed=0") == len(HOSTS)


@pytest.mark.thorough
def test_the_password_of_the_routes_is_told_to_all_before_they_are_made_anew(fleet: Fleet) -> None:
    another = {**memory("400M"), "nats_server_cluster_secret": SECRET + ", and another one"}
    before = fleet.ids()
    said, published = fleet.meanwhile(lambda: fleet.deploy(another))
    assert "first, all of them are reloaded" in said
    assert sorted(order(said)) == sorted(HOSTS)
    assert all(fleet.ids()[name] != before[name] for name in HOSTS)
    assert (published.lost, published.failed) == (0, 0)
    assert fleet.deploy(another).count("changed=0") == len(HOSTS)

    together = {**memory("500M"), "nats_server_cluster_secret": SECRET}
    files = fleet.files()
    said = fleet.play(together)
    assert said.startswith("exit 2"), said
    assert "changes together with jetstream.max_mem, which takes a restart" in " ".join(said.split())
    assert fleet.files() == files


@pytest.mark.thorough
def test_nobody_is_restarted_while_another_one_is_gone(fleet: Fleet) -> None:
    secret = {"nats_server_cluster_secret": SECRET + ", and another one"}
    leader = fleet.leader()
    gone = next(name for name in HOSTS if name != leader)
    others = ",".join(name for name in HOSTS if name != gone)
    os.kill(fleet.pid(gone), signal.SIGKILL)
    time.sleep(1)
    before, files = {name: fleet.pid(name) for name in HOSTS}, fleet.files()
    said = fleet.play({**memory("500M"), **secret}, "--limit", others)
    assert said.startswith("exit 2"), said
    assert f"bus_{gone}: expected every server of the cluster there before one of the 3 is restarted" in said
    assert ({name: fleet.pid(name) for name in HOSTS}, fleet.files()) == (before, files)
    # a run of all of them starts it first
    said = fleet.deploy({**memory("500M"), **secret})
    assert sorted(order(said)) == sorted(others.split(","))
    assert set(fleet.limits().values()) == {500_000_000}


@pytest.mark.thorough
def test_another_version_and_back(fleet: Fleet) -> None:
    given = {**memory("500M"), "nats_server_cluster_secret": SECRET + ", and another one"}
    for version in ("2.10.29", "2.10.7"):
        said, published = fleet.meanwhile(
            lambda version=version: fleet.deploy(
                {**given, "nats_server_version": version, "nats_server_module_sums": SUMS}
            ),
            known=False,
        )
        assert "published again with its Nats-Msg-Id" in said
        assert {fleet.ask(name, "varz")["version"] for name in HOSTS} == {version}
        assert len(order(said)) == len(HOSTS)
        assert (published.lost, published.failed) == (0, 0)
