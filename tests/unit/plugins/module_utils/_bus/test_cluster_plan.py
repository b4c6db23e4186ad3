# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._bus import cluster_plan
from ansible_collections.rosey.nats.plugins.module_utils._bus.server_obstacles import ObstacleError
from ansible_collections.rosey.nats.plugins.module_utils._host.action import Action, Reason


def reason(option: str, action: Action) -> Reason:
    return Reason(option, "one", "another", action)


RELOADED = reason("max_payload", Action.RELOAD)


@pytest.mark.parametrize("option", ["cluster.authorization.password", "cluster.tls.cert_file", "cluster.pool_size"])
def test_what_routes_are_made_with_is_read_by_all_and_then_they_are_made_anew(option: str) -> None:
    found = cluster_plan.of_routes([RELOADED, reason(option, Action.RELOAD)])
    assert [(str(each), each.action) for each in found] == [
        ("routes: as they are -> made anew (restart)", Action.RESTART)
    ]


@pytest.mark.parametrize("reasons", [[], [RELOADED], [reason("cluster.routes", Action.RELOAD)]])
def test_nothing_else_asks_for_new_routes(reasons: list[Reason]) -> None:
    assert cluster_plan.of_routes(reasons) == []


def test_a_restart_for_something_else_would_come_too_early() -> None:
    asked = [reason("cluster.authorization.password", Action.RELOAD), reason("jetstream.max_mem", Action.RESTART)]
    with pytest.raises(ObstacleError, match=r"changes together with jetstream.max_mem, which takes a restart"):
        cluster_plan.of_routes(asked)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, ""),
        (1, ""),
        (2, "2 servers go on as long as 2 of them are there, so any one that fails stops JetStream"),
        (3, ""),
        (4, "4 servers go on as long as 3 of them are there, so one more than 1 that fails stops JetStream"),
    ],
)
def test_an_even_number_is_advised_against(number: int, words: str) -> None:
    found = cluster_plan.advice({"cluster": {"members": {str(each): "bus" for each in range(number)}}})
    assert words in found
    assert bool(found) is bool(words)


@pytest.mark.parametrize(
    ("running", "members", "is_told"),
    [
        (["2.10.29"], 3, True),
        (["2.10.7"], 3, False),
        ([], 3, False),
        (["2.10.29"], 0, False),
    ],
)
def test_versions_beside_each_other_are_warned_of(running: list[str], members: int, is_told: bool) -> None:
    settings = {"cluster": {"members": {str(each): "bus" for each in range(members)}}}
    found = cluster_plan.mixing(settings, running, "2.10.7")
    assert ("Nats-Msg-Id" in found and "2.10.29 and of 2.10.7" in found) is is_told
