# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.filter.release_turns import release_turns

MEMBERS = {"a": "bus_a", "b": "bus_b", "c": "bus_c"}


def plan(action: str = "restart", *, leads: bool = False, bot: bool = False, **more: Any) -> dict[str, Any]:
    standing = {
        "leader": "bus_b",
        "is_leader": leads,
        "gone": more.pop("gone", ()),
        "is_off": more.pop("is_off", False),
    }
    return {
        "settings": {
            "server": {
                "cluster": {"name": "rosey", "members": MEMBERS},
                "monitoring_url": more.pop("url", "http://new"),
            }
        },
        "steps": {"run_server": action != "nothing", "run_bot": bot},
        "server": {"action": action, "cluster": standing, **more},
    }


def turns(plans: dict[str, Any], part: str = "server") -> dict[str, Any]:
    return {host: release_turns(plans, host)[part] for host in plans}


def own(plans: dict[str, Any], part: str = "server") -> dict[str, int]:
    found = turns(plans, part)
    assert len({tuple(each["every"]) for each in found.values()}) == 1
    return {host: each["own"] for host, each in found.items()}


@pytest.mark.parametrize(
    ("plans", "expected"),
    [
        # followers first, and who leads the meta group last
        ({"a": plan(), "b": plan(leads=True), "c": plan()}, {"a": 1, "b": 3, "c": 2}),
        ({"c": plan(leads=True), "b": plan(), "a": plan()}, {"a": 1, "b": 2, "c": 3}),
        # who takes no part is restarted before those that the bus lives on
        ({"a": plan(), "b": plan(leads=True), "c": plan(is_off=True)}, {"a": 2, "b": 3, "c": 1}),
        # who is only reloaded, or was not there, waits for nobody
        ({"a": plan("reload"), "b": plan(), "c": plan(leads=True)}, {"a": 0, "b": 1, "c": 2}),
        ({"a": plan("start"), "b": plan(), "c": plan()}, {"a": 0, "b": 1, "c": 2}),
        ({"a": plan("nothing"), "b": plan(), "c": plan()}, {"a": 0, "b": 1, "c": 2}),
        ({"a": plan("reload"), "b": plan("reload"), "c": plan("reload")}, {"a": 0, "b": 0, "c": 0}),
        ({"a": plan("start"), "b": plan("start"), "c": plan("start")}, {"a": 0, "b": 0, "c": 0}),
        # one alone finds the others whole again, too
        ({"a": plan("nothing"), "b": plan(), "c": plan("reload")}, {"a": 0, "b": 1, "c": 0}),
        ({"b": plan()}, {"b": 1}),
        # servers that were none of a cluster until now find nobody to wait for
        ({name: plan(cluster=None) for name in MEMBERS}, {"a": 0, "b": 0, "c": 0}),
    ],
)
def test_one_server_at_a_time_is_restarted(plans: dict[str, Any], expected: dict[str, int]) -> None:
    assert own(plans) == expected
    every = turns(plans)[next(iter(plans))]["every"]
    assert every == [*range(max(expected.values()) + 1)]


def test_each_member_is_asked_where_it_answers_then() -> None:
    plans = {
        "a": plan(monitoring_url="http://old/a", url="http://new/a"),
        "b": plan(leads=True, monitoring_url="http://old/b", url="http://new/b"),
        "c": plan("start", monitoring_url=None, url="http://new/c"),
    }
    # c runs by then, and b comes after a
    assert release_turns(plans, "a")["peers"] == {"b": "http://old/b", "c": "http://new/c"}
    assert release_turns(plans, "b")["peers"] == {"a": "http://new/a", "c": "http://new/c"}
    # for those that are left out, what this one is to have is all that is known
    assert release_turns({"a": plans["a"]}, "a")["peers"] == {"b": "http://new/a", "c": "http://new/a"}
    alone = {"settings": {"server": {"cluster": None}}, "steps": {}, "server": {"action": "restart"}}
    assert release_turns({"a": alone}, "a")["peers"] == {}


def test_bots_are_started_anew_one_at_a_time_whatever_their_servers_do() -> None:
    plans = {"a": plan("nothing", bot=True), "b": plan(leads=True), "c": plan(bot=True)}
    assert own(plans, "bot") == {"a": 1, "b": 0, "c": 2}


@pytest.mark.parametrize(
    ("groups", "action", "accepted", "is_refused"),
    [
        (["x", "y"], "start", [], True),
        (["x", "y"], "restart", [], True),
        (["x", "y"], "start", ["quorum"], True),
        (["x", "y"], "start", ["foreign_store"], False),
        (["x", "y"], "start", ["all"], False),
        (["x", "r"], "start", [], False),
        (None, "start", [], False),
        ([], "start", [], False),
    ],
)
def test_nobody_is_started_on_the_store_of_another_cluster(
    groups: list[str] | None, action: str, accepted: list[str], is_refused: bool
) -> None:
    others = {"b": plan("nothing", stream_groups=["r", "s"]), "c": plan("nothing", stream_groups=["s", "t"])}
    plans = {"a": plan(action, cluster=None, stream_groups=groups), **others}
    problems = {host: release_turns(plans, host, accepted)["problem"] for host in plans}
    assert problems["a"].startswith("the store of its server has streams with replicas, and none of") is is_refused
    assert not problems["b"]
    # where no server is stopped or started, nothing happens
    assert not release_turns({**plans, "a": plan("reload", stream_groups=groups)}, "a")["problem"]
    # and where not all are looked at, one of the others may have what this one has
    assert not release_turns({"a": plans["a"], "b": plans["b"]}, "a", ["quorum"])["problem"]


def test_nobody_is_restarted_while_one_runs_on_the_store_of_another_cluster() -> None:
    plans = {"a": plan(), "b": plan("nothing", foreign="the store at /s: expected that of bus_b"), "c": plan("reload")}
    problems = {host: release_turns(plans, host)["problem"] for host in plans}
    assert problems["a"].startswith("b: the store at /s: expected that of bus_b")
    assert not problems["b"]
    assert not problems["c"]
    assert not release_turns(plans, "a", ["foreign_store"])["problem"]
    assert release_turns(plans, "a", ["quorum"])["problem"]


def test_routes_are_made_anew_where_all_are_told_alone() -> None:
    plans = {"a": plan(tells_all_first=True), "b": plan(tells_all_first=True)}
    problem = release_turns(plans, "a")["problem"]
    assert problem.startswith("what the routes of the cluster are made with changes, and c would not be told")
    assert not release_turns(plans, "a", ["all"])["problem"]
    assert not release_turns(plans, "a", ["quorum"])["problem"]
    assert not release_turns({**plans, "c": plan("reload")}, "a")["problem"]
    assert not release_turns({"a": plan(reload_first=True), "b": plan()}, "a")["problem"]


KEPT, EMPTY = {"assets": {"streams": 3}, "lacks_group": False}, {"assets": None, "lacks_group": True}


@pytest.mark.parametrize(
    ("a", "b", "c", "is_refused"),
    [
        (plan("nothing", **KEPT), plan("start", **EMPTY), plan("start", **EMPTY), True),
        (plan(**KEPT), plan("start", **EMPTY), plan("start", **EMPTY), True),
        (plan("nothing", **KEPT), plan("start", **EMPTY), plan("nothing", **KEPT), False),
        (plan("nothing", **KEPT), plan("start", **KEPT), plan("start", **EMPTY), False),
        # a first run, and one that was cut off
        (plan("start", **EMPTY), plan("start", **EMPTY), plan("start", **EMPTY), False),
        (plan("nothing", lacks_group=False), plan("start", **EMPTY), plan("start", **EMPTY), False),
    ],
)
def test_servers_without_a_store_do_not_outvote_those_that_have_one(
    a: dict[str, Any], b: dict[str, Any], c: dict[str, Any], is_refused: bool
) -> None:
    problem = release_turns({"a": a, "b": b, "c": c}, "c", ["quorum"])["problem"]
    assert problem.startswith("b, c have no store, and a streams; expected fewer") is is_refused
    assert bool(problem) is is_refused


def test_hosts_of_other_clusters_and_of_none_do_not_count() -> None:
    alone = {"settings": {"server": {"cluster": {}}}, "steps": {"run_server": True}, "server": {"action": "restart"}}
    of_bot = {"settings": {}, "steps": {"run_bot": True}, "server": {}}
    plans = {"a": plan(), "x": alone, "y": of_bot, "b": plan()}
    found = turns(plans)
    assert [found["x"], found["y"]] == [{"own": 0, "every": [0]}] * 2
    assert (found["a"]["own"], found["b"]["own"]) == (1, 2)


def test_the_first_one_tells_the_order() -> None:
    plans = {"a": plan(reload_first=True), "b": plan(leads=True), "c": plan("reload")}
    told = {host: release_turns(plans, host)["told"] for host in plans}
    assert told == {
        "a": [
            "cluster rosey: 2 of 3 servers are restarted, one after another",
            "first, all of them are reloaded: what they show each other counts for the routes that are made anew",
            "1. a",
            "2. b, which leads the meta group",
        ],
        "b": [],
        "c": [],
    }


@pytest.mark.parametrize(
    ("gone", "accepted", "is_refused"),
    [((), [], False), (("bus_c",), [], True), (("bus_c",), ["quorum"], False), (("bus_c",), ["all"], False)],
)
def test_nobody_is_restarted_while_another_one_is_gone(
    gone: tuple[str, ...], accepted: list[str], is_refused: bool
) -> None:
    plans = {"a": plan(gone=gone), "b": plan("reload", leads=True)}
    problems = {host: release_turns(plans, host, accepted)["problem"] for host in plans}
    assert bool(problems["a"]) is is_refused
    assert not problems["b"]
    assert not release_turns({**plans, "c": plan("start", cluster=None)}, "a", accepted)["problem"]
    assert not release_turns({**plans, "c": plan(is_off=True)}, "a", accepted)["problem"]
    assert bool(release_turns({**plans, "c": plan("reload", is_off=True)}, "a", accepted)["problem"]) is is_refused
    if is_refused:
        assert problems["a"].startswith("bus_c: expected every server of the cluster there before one of the 3 is")
