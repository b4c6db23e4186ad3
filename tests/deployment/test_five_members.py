# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Five hosts that are one bus, grown from three: each test goes on from what the one before it left."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from ansible_collections.rosey.nats.tests import fleet as fleets
from ansible_collections.rosey.nats.tests.fleet import HOSTS, Fleet, memory, order

pytestmark = pytest.mark.thorough

FIVE = (*HOSTS, "four", "five")
NONE = {name: {"nats_server_cluster": {}} for name in FIVE if name not in HOSTS}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleets.made(tmp_path_factory.mktemp("fleet"), FIVE) as made:
        yield made


def test_three_of_them_are_a_cluster(fleet: Fleet) -> None:
    fleet.deploy({}, "--limit", ",".join(HOSTS), hosts=NONE)
    assert fleet.ask("one", "jsz")["meta_cluster"]["cluster_size"] == len(HOSTS)


@pytest.fixture
def three(fleet: Fleet) -> Fleet:
    """Those that were first, which a stream with three replicas is published to."""
    return Fleet(fleet.directory, {name: fleet.ports[name] for name in HOSTS})


def test_two_more_join_without_a_lost_message(fleet: Fleet, three: Fleet) -> None:
    before = three.ids()
    _said, published = three.meanwhile(lambda: fleet.deploy({}))
    assert (published.lost, published.failed) == (0, 0)
    # another list of routes takes a reload
    assert three.ids() == before
    assert {fleet.ask(name, "jsz")["meta_cluster"]["cluster_size"] for name in FIVE} == {len(FIVE)}
    assert fleet.deploy({}).count("changed=0 ") == len(FIVE)


def test_they_are_rolled_one_after_another(fleet: Fleet, three: Fleet) -> None:
    leader = fleet.leader()
    said, published = three.meanwhile(lambda: fleet.deploy(memory("300M")))
    assert order(said)[-1] == leader
    assert sorted(order(said)) == sorted(FIVE)
    assert {*fleet.limits().values()} == {300_000_000}
    assert (published.lost, published.failed) == (0, 0)


def test_two_that_are_gone_are_brought_back_first(fleet: Fleet) -> None:
    gone = [name for name in FIVE if name != fleet.leader()][:2]
    for name in gone:
        os.kill(fleet.pid(name), signal.SIGKILL)
    said = fleet.deploy(memory("400M"))
    assert sorted(order(said)) == sorted(name for name in FIVE if name not in gone)
    assert {*fleet.limits().values()} == {400_000_000}
