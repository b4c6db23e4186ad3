# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._server import replicas
from ansible_collections.rosey.nats.plugins.module_utils._server.replicas import Look, Replica

# A server, and what it has of one stream: the first and the last sequence, and how many are missing in between.
Row = tuple[str, int, int, int]


def looks(rows: list[Row], *, is_steady: bool = True) -> list[Look]:
    return [
        Look(server, {"CHAT": Replica(last - first + 1 - holes, first, last, is_steady)})
        for server, first, last, holes in rows
    ]


WELL: list[Row] = [("a", 1, 100, 0), ("b", 1, 110, 0), ("c", 1, 110, 0), ("a", 1, 120, 0)]


@pytest.mark.parametrize(
    ("changed", "lacking"),
    [
        ({}, set()),
        # looked at later, with less
        ({1: ("b", 1, 99, 0)}, {"b"}),
        ({2: ("c", 1, 109, 0)}, {"c"}),
        ({0: ("a", 1, 40, 0), 3: ("a", 1, 41, 0)}, {"a"}),
        ({1: ("b", 1, 50, 0), 2: ("c", 1, 60, 0)}, {"b", "c"}),
        # begins behind what another one has afterwards
        ({1: ("b", 50, 110, 0)}, {"b"}),
        ({2: ("c", 50, 110, 0)}, {"c"}),
        ({0: ("a", 50, 100, 0), 3: ("a", 50, 120, 0)}, {"a"}),
        # has nothing at all
        ({1: ("b", 0, 0, 1)}, {"b"}),
        ({2: ("c", 0, 0, 1)}, {"c"}),
        ({0: ("a", 0, 0, 1), 3: ("a", 0, 0, 1)}, {"a"}),
        # the oldest go meanwhile
        ({1: ("b", 20, 110, 0), 2: ("c", 30, 110, 0), 3: ("a", 40, 120, 0)}, set()),
        # in between
        ({1: ("b", 1, 110, 7)}, {"b"}),
        ({0: ("a", 1, 100, 7), 3: ("a", 1, 120, 7)}, {"a"}),
        # somebody deletes meanwhile
        ({2: ("c", 1, 110, 3), 3: ("a", 1, 120, 3)}, set()),
        ({1: ("b", 1, 110, 3), 2: ("c", 1, 110, 3), 3: ("a", 1, 120, 5)}, set()),
    ],
)
def test_what_a_replica_lacks_is_seen(changed: dict[int, Row], lacking: set[str]) -> None:
    rows = [changed.get(place, row) for place, row in enumerate(WELL)]
    found = list(replicas.findings(looks(rows)))
    assert {each.expected.split()[1] for each in found} == lacking
    assert all("CHAT (" in each.found and "where " in each.found for each in found)


@pytest.mark.parametrize(
    ("changed", "lacking"),
    [
        ({1: ("b", 50, 110, 0)}, set()),
        ({1: ("b", 1, 110, 7)}, set()),
        ({1: ("b", 1, 99, 0)}, {"b"}),
    ],
)
def test_what_goes_in_each_servers_own_time_is_not_compared(changed: dict[int, Row], lacking: set[str]) -> None:
    rows = [changed.get(place, row) for place, row in enumerate(WELL)]
    found = replicas.findings(looks(rows, is_steady=False))
    assert {each.expected.split()[1] for each in found} == lacking


def test_a_stream_that_only_some_have_is_judged_among_these() -> None:
    only = Look("c", {})
    assert not list(replicas.findings([*looks([("a", 1, 9, 0), ("b", 1, 9, 0)]), only]))


def test_a_stream_that_is_empty_has_no_holes() -> None:
    purged = looks([(server, 101, 100, 0) for server in ("a", "b", "a")])
    assert not list(replicas.findings(purged))
    (found,) = replicas.findings([*looks([("a", 101, 101, 0)]), purged[1]])
    assert "(0 messages, 101 to 100, where a has 1 messages, 101 to 101)" in found.found


def test_many_are_counted() -> None:
    full = Look("a", {f"S{number}": Replica(9, 1, 9, is_steady=True) for number in range(8)})
    less = Look("b", {f"S{number}": Replica(4, 1, 4, is_steady=True) for number in range(8)})
    (found,) = replicas.findings([full, less])
    assert found.found.endswith("and 3 more")
    assert "S0 (4 messages, 1 to 4, where a has 9 messages, 1 to 9)" in found.found


DETAILS: dict[str, Any] = {
    "config": {"num_replicas": 3, "retention": "limits", "max_age": 0},
    "state": {"messages": 9, "first_seq": 2, "last_seq": 10},
}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, Replica(9, 2, 10, is_steady=True)),
        ({"max_age": 1}, Replica(9, 2, 10, is_steady=False)),
        ({"retention": "interest"}, Replica(9, 2, 10, is_steady=False)),
        ({"num_replicas": 1}, None),
        ({"num_replicas": "3"}, None),
    ],
)
def test_a_replica_is_read(config: dict[str, Any], expected: Replica | None) -> None:
    assert replicas.replica_of({**DETAILS, "config": {**DETAILS["config"], **config}}) == expected


@pytest.mark.parametrize(
    "answer",
    [
        {},
        "CHAT",
        {"config": 1, "state": {}},
        {**DETAILS, "state": {"messages": "9"}},
        {**DETAILS, "state": {**DETAILS["state"], "messages": 1 << 70}},
        {**DETAILS, "state": {**DETAILS["state"], "messages": True}},
    ],
)
def test_what_is_no_replica_is_none(answer: Any) -> None:
    assert replicas.replica_of(answer) is None


def test_a_look_is_given_and_read() -> None:
    (look,) = looks([("a", 1, 9, 2)])
    assert replicas.look_of(look.as_result()) == look
