# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two clusters of one inventory, step by step: both together, one before the other, and not the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ansible_collections.rosey.nats.tests import fleet as fleets
from ansible_collections.rosey.nats.tests.fleet import Fleet, killed_once_it_is_started_anew, memory, order

pytestmark = pytest.mark.thorough

CANARY, OTHER = ("one", "two", "three"), ("four", "five", "six")
CANARY_FIRST = ("-e", json.dumps({"rosey_serial": [len(CANARY), "100%"]}))


@dataclass(frozen=True)
class Clusters:
    """Six hosts, and those of them that are one bus."""

    every: Fleet
    canary: Fleet
    other: Fleet

    def play(self, changes: dict[str, Any], *options: str) -> str:
        hosts = {name: {"nats_server_cluster": {"name": "other"}} for name in OTHER}
        return self.every.play(changes, *options, hosts=hosts)

    def deploy(self, changes: dict[str, Any], *options: str) -> str:
        said = self.play(changes, *options)
        assert said.startswith("exit 0"), said
        return said


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clusters]:
    with fleets.made(tmp_path_factory.mktemp("clusters"), (*CANARY, *OTHER)) as every:
        parts = [Fleet(every.directory, {name: every.ports[name] for name in names}) for names in (CANARY, OTHER)]
        yield Clusters(every, *parts)


def test_each_name_is_a_cluster(clusters: Clusters) -> None:
    clusters.deploy({})
    for cluster, names in ((clusters.canary, CANARY), (clusters.other, OTHER)):
        for name in names:
            routed = {each["remote_name"] for each in cluster.ask(name, "routez")["routes"]}
            assert routed == {f"bus_{other}" for other in names if other != name}


def test_a_second_run_changes_nothing(clusters: Clusters) -> None:
    before = clusters.every.ids()
    assert clusters.deploy({}).count("changed=0 ") == len(before)
    assert clusters.every.ids() == before


def test_both_roll_at_a_time_and_neither_loses_a_message(clusters: Clusters) -> None:
    leaders = {clusters.canary.leader(), clusters.other.leader()}
    (said, of_other), of_canary = clusters.canary.meanwhile(
        lambda: clusters.other.meanwhile(lambda: clusters.deploy(memory("300M")), rate=50), rate=50
    )
    rolled = order(said)
    assert sorted(rolled) == sorted([*CANARY, *OTHER])
    assert {rolled[2], rolled[5]} == leaders
    assert {*clusters.every.limits().values()} == {300_000_000}
    for published in (of_canary, of_other):
        assert (published.lost, published.failed) == (0, 0)


def test_where_the_canary_fails_the_other_is_not_begun(clusters: Clusters) -> None:
    ids, limits, files = clusters.other.ids(), clusters.every.limits(), clusters.other.files()
    second = [name for name in CANARY if name != clusters.canary.leader()][1]
    killing = killed_once_it_is_started_anew(clusters.every, second)
    said = clusters.play(memory("400M"), *CANARY_FIRST)
    killing.join()
    assert said.startswith("exit 2"), said
    assert f"{second} is back at release" in said
    assert clusters.every.limits() == limits
    assert (clusters.other.ids(), clusters.other.files()) == (ids, files)


def test_where_it_is_proven_the_other_follows(clusters: Clusters) -> None:
    said = clusters.deploy(memory("400M"), *CANARY_FIRST)
    assert [{*order(said)[:3]}, {*order(said)[3:]}] == [{*CANARY}, {*OTHER}]
    assert {*clusters.every.limits().values()} == {400_000_000}
