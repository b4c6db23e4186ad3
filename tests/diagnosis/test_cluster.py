# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Break a cluster of three processes in every way, and see that the diagnosis of one member names it first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.tests import cluster
from ansible_collections.rosey.nats.tests.diagnosis.breakages import cluster as breaking
from ansible_collections.rosey.nats.tests.diagnosis.breakages.cluster import BREAKAGES, Breakage

RunModule = Callable[..., dict[str, Any]]
Tell = Callable[[str, str, str], None]
BY_NAME = {breakage.name: breakage for breakage in BREAKAGES}


@pytest.fixture
def members(nats_server: Path, tmp_path: Path) -> Iterator[cluster.Cluster]:
    with cluster.running(nats_server, tmp_path / "members") as running:
        breaking.over(running, breaking.make_streams)
        yield running


def diagnosed(run_module: RunModule, member: cluster.Member, **asked: Any) -> list[dict[str, Any]]:
    server = {
        "binary": str(member.binary),
        "config_file": str(member.config_file),
        "pid_file": str(member.pid_file),
        "monitoring_url": member.url,
        "version": "2.10.7",
        "cluster_members": list(cluster.NAMES),
        "asked_at": time.time(),
        **asked,
    }
    result = run_module("diagnosis_info", symptoms=["server"], server=server)
    assert "causes" in result, result
    causes: list[dict[str, Any]] = result["causes"]
    return causes


def is_well(run_module: RunModule, member: cluster.Member) -> bool:
    return not diagnosed(run_module, member)


def sure(causes: list[dict[str, Any]]) -> list[str]:
    return [cause["name"] for cause in causes if cause["confidence"] != "possible"]


@pytest.mark.sample
def test_every_member_of_a_whole_cluster_is_well(members: cluster.Cluster, run_module: RunModule) -> None:
    for member in members.values():
        cluster.wait_for(partial(is_well, run_module, member), f"{member.name} that is well")


def test_every_breakage_of_a_cluster_has_a_neighbour_with_another_cause() -> None:
    assert len(BY_NAME) == len(BREAKAGES)
    for breakage in BREAKAGES:
        assert BY_NAME[breakage.neighbour].cause != breakage.cause


@pytest.mark.parametrize(
    "breakage",
    [pytest.param(each, id=each.name, marks=[pytest.mark.sample] if each.sample else []) for each in BREAKAGES],
)
def test_what_was_broken_in_a_cluster_is_named_first(
    members: cluster.Cluster, tmp_path: Path, run_module: RunModule, tell: Tell, breakage: Breakage
) -> None:
    with breaking.broken(breakage, members, tmp_path) as asked:
        last: list[dict[str, Any]] = []

        def is_named() -> bool:
            last[:] = diagnosed(run_module, asked, **breakage.asked())
            return bool(last) and last[0]["name"] == breakage.cause and breakage.says in str(last[0])

        try:
            cluster.wait_for(is_named, breakage.cause)
        except AssertionError:
            pytest.fail(f"{breakage.cause} is not named first: {last}")
        assert BY_NAME[breakage.neighbour].cause not in sure(last), last
        assert cluster.PASSWORD not in str(last)
    tell(f"cluster: {breakage.name}", f"{last[0]['name']}, {last[0]['confidence']}", str(last[0]["remedy"]))
