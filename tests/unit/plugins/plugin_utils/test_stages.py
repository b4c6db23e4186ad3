# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts follow which, on the way of a change through the environments."""

from __future__ import annotations

import pytest

from ansible_collections.rosey.nats.plugins.filter.migration_plan import migration_plan
from ansible_collections.rosey.nats.plugins.plugin_utils import environments, stages

KNOWN = environments.known({"qa": {"prefix": "rosey.qa", "after": "staging"}})
# as the inventories are given, in another order than the stages have
HOSTS = {"live": "production", "one": "development", "check": "qa", "test": "staging", "two": "development"}


def only(*names: str) -> dict[str, str]:
    return {host: environment for host, environment in HOSTS.items() if environment in names}


def test_the_stages_have_the_order_of_the_environments() -> None:
    plan = stages.plan(HOSTS, KNOWN, [])
    assert plan.lines == [
        "1 of 4, development: one, two",
        "2 of 4, staging: test",
        "3 of 4, qa: check",
        "4 of 4, production: live",
    ]
    assert plan.titles["two"] == "1 of 4, development"
    assert [*plan.batches("100%")] == [("one", "two"), ("test",), ("check",), ("live",)]


@pytest.mark.parametrize("serial", [1, "1", "50%", "1%"])
def test_no_batch_has_hosts_of_two_stages(serial: int | str) -> None:
    assert [*stages.plan(HOSTS, KNOWN, []).batches(serial)] == [("one",), ("two",), ("test",), ("check",), ("live",)]


def test_a_canary_goes_first_and_of_several_sizes_the_last_one_counts_on() -> None:
    hosts = dict.fromkeys("abcdefgh", "production")
    batches = stages.plan(hosts, KNOWN, "production").batches([1, "25%", 3])
    assert ["".join(batch) for batch in batches] == ["a", "bc", "def", "gh"]


def test_what_comes_after_the_last_stage_is_left_out_and_named() -> None:
    plan = stages.plan(only("development", "staging"), KNOWN, [])
    assert plan.lines == [
        "1 of 2, development: one, two",
        "2 of 2, staging: test",
        "not migrated: qa, of which no host is given",
        "not migrated: production, of which no host is given",
    ]


@pytest.mark.parametrize("meant", ["staging,production", "production, staging", ["production", "staging"]])
def test_the_stages_that_are_meant_are_migrated_alone(meant: str | list[str]) -> None:
    assert stages.plan(only("development", "staging", "production"), KNOWN, meant).lines == [
        "1 of 2, staging: test",
        "2 of 2, production: live",
        "not migrated: development, which migrate_stages does not have: one, two",
        "not migrated: qa, of which no host is given",
    ]


@pytest.mark.parametrize(
    ("given", "meant", "words"),
    [
        (["staging", "production"], "", "production comes after development and qa, of which no host is given"),
        (["staging", "production"], "", "-e migrate_stages=staging,production."),
        (["production"], [], "-e migrate_stages=production."),
        (["staging"], "production", "migrate_stages has production, of which no host is given"),
        (["staging"], ["stagin"], 'migrate_stages has "stagin"; expected some of development, staging, qa, production'),
        ([], [], "No host is given"),
    ],
)
def test_a_change_passes_no_stage_by_unless_that_is_meant(given: list[str], meant: str | list[str], words: str) -> None:
    with pytest.raises(stages.StagesError) as caught:
        stages.plan(only(*given), KNOWN, meant)
    assert words in str(caught.value)


@pytest.mark.parametrize("serial", ["abc", "", "%", "-1", "1.5", "x%", "nan%", []])
@pytest.mark.parametrize("among", [False, True])
def test_a_size_of_batches_that_is_none_is_told_with_what_was_expected(serial: object, among: bool) -> None:
    said = migration_plan({"one": {"environment": "development", "further": {}}}, [], [1, serial] if among else serial)[
        "problem"
    ]
    assert said.startswith(f"rosey_serial is {serial}; expected so many hosts of a stage at a time, a number such as 1")
