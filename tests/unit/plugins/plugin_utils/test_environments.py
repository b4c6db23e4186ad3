# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which environments there are, and which inventories are theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.plugin_utils import environments

QA: dict[str, Any] = {"qa": {"prefix": "rosey.qa", "after": "staging"}}


@pytest.mark.parametrize(
    ("given", "order"),
    [
        ({}, "development staging production"),
        (QA, "development staging qa production"),
        ({**QA, "uat": {"prefix": "uat", "after": "qa"}}, "development staging qa uat production"),
        ({"eu": {"prefix": "eu.rosey", "after": "production"}}, "development staging production eu"),
    ],
)
def test_an_entry_adds_an_environment_behind_another(given: dict[str, Any], order: str) -> None:
    assert " ".join(environments.known(given)) == order


def test_a_standard_one_may_have_another_prefix_and_further_inventories() -> None:
    found = environments.known({"production": {"prefix": "acme.live", "inventories": ["eu", "us"]}})
    assert found["production"] == environments.Environment("acme.live", ("eu", "us"))
    assert found["staging"] == environments.Environment("rosey.staging")


FAULTS: dict[str, tuple[Any, str]] = {
    "text": ("qa", 'bot_config_environments is "qa"; expected a mapping'),
    "no entry": ({"qa": "rosey.qa"}, 'qa is "rosey.qa"; expected a mapping with prefix, after, inventories'),
    "a key": ({"qa": {**QA["qa"], "before": "production"}}, "expected a mapping with prefix, after, inventories"),
    "a name": ({"a/b": QA["qa"]}, '"a/b" is no name of an environment'),
    "a dotted name": ({"..": QA["qa"]}, '".." is no name of an environment'),
    "no prefix": ({"qa": {"after": "staging"}}, "qa: prefix is null"),
    "a wildcard": ({"qa": {"prefix": "rosey.*", "after": "staging"}}, 'qa: prefix is "rosey.*"'),
    "a dot": ({"qa": {"prefix": "rosey.qa.", "after": "staging"}}, 'qa: prefix is "rosey.qa."'),
    "a root": ({"qa": {"prefix": "commands.qa", "after": "staging"}}, "none of cytube, commands"),
    "the server's": ({"qa": {"prefix": "$JS.qa", "after": "staging"}}, 'qa: prefix is "$JS.qa"'),
    "of production": ({"qa": {"prefix": "rosey.prod", "after": "staging"}}, "lies on that of production, rosey.prod"),
    "in production": ({"qa": {"prefix": "rosey.prod.qa", "after": "staging"}}, "lies on that of production"),
    "over all": ({"qa": {"prefix": "rosey", "after": "staging"}}, "lies on that of qa, rosey"),
    "no place": ({"qa": {"prefix": "rosey.qa"}}, "qa: after is null; expected the environment"),
    "nowhere": ({"qa": {"prefix": "rosey.qa", "after": "stagin"}}, "one of development, staging, production"),
    "itself": ({"qa": {"prefix": "rosey.qa", "after": "qa"}}, 'qa: after is "qa"'),
    "two in one place": (
        {**QA, "uat": {"prefix": "rosey.uat", "after": "staging"}},
        "qa and uat both come after staging",
    ),
    "another order": ({"production": {"after": "development"}}, "production has its place in the order"),
    "inventories": ({"production": {"inventories": "eu"}}, 'inventories is "eu"; expected a list'),
    "another's inventories": ({"production": {"inventories": ["staging"]}}, "has staging, which belongs to staging"),
    "shared inventories": (
        {"production": {"inventories": ["eu"]}, "staging": {"inventories": ["eu"]}},
        "has eu, which belongs to",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_an_entry_that_would_not_keep_environments_apart_is_refused(name: str) -> None:
    given, words = FAULTS[name]
    with pytest.raises(environments.EnvironmentsError) as caught:
        environments.known(given)
    assert words in str(caught.value)
    # a host is not touched then either
    assert environments.problem("staging", given, None) == f"{caught.value} Nothing was touched."


def test_an_unknown_one_is_told_with_the_known_and_with_where_to_add_it() -> None:
    assert environments.problem("qa", {}, None) == (
        'bot_config_environment: the environment "qa" is unknown; expected one of development, staging, production. '
        "Take one of these, or add it to bot_config_environments in the group_vars of its own group, such as "
        "group_vars/qa: "
        'bot_config_environments: {"qa": {"prefix": "rosey.qa", "after": "staging"}}. Nothing was touched.'
    )
    assert "expected one of development, staging, qa, production" in environments.problem("uat", QA, None)
    assert "unknown" in environments.problem(None, QA, None)
    assert environments.problem("qa", QA, None) == ""


EU = {"production": {"inventories": ["eu"]}}
# The environment, what bot_config_environments has, the inventory, and a word of the refusal, empty where it is none.
PLACES: list[tuple[str, dict[str, Any], str, str]] = [
    ("production", {}, "inventories/production", ""),
    ("production", {}, "inventories/production/eu", ""),
    ("production", {}, "inventories/eu/production", ""),
    ("production", {}, "inventories/staging", "in the inventory of staging"),
    ("production", {}, "inventories/staging/production", "in the inventory of staging"),
    ("production", {}, "anywhere/staging", "in the inventory of staging"),
    ("production", {}, "inventories/qa", "expected a directory called production"),
    ("production", QA, "inventories/qa", "in the inventory of qa"),
    ("qa", QA, "inventories/qa", ""),
    ("qa", QA, "inventories/production", "in the inventory of production"),
    ("production", {}, "inventories/pre-production", "expected a directory called production"),
    ("production", {}, "inventories/eu", '{"production": {"inventories": ["eu"]}}'),
    ("production", EU, "inventories/eu", ""),
    # such as a copy of that one
    ("production", EU, "inventories/us", "expected a directory called production"),
    ("staging", EU, "inventories/eu", "in the inventory of production"),
    # not among inventories that are told apart by their directories
    ("production", {}, "etc/ansible", ""),
    ("production", {}, "inventories", ""),
    ("production", {}, "development/rosey", ""),
]


# The environment, the file, and a word of the refusal.
FILES: list[tuple[str, str, str]] = [
    ("production", "inventories/production.yml", ""),
    ("staging", "inventories/staging", ""),
    ("staging", "inventories/production.yml", "in the inventory of production, {file}; expected production"),
    ("production", "anywhere/staging.ini", "in the inventory of staging, {file}; expected staging"),
    ("production", "inventories/staging/production.yml", "in the inventory of staging"),
    ("production", "inventories/production/hosts.yml", ""),
    ("production", "inventories/production/eu.yml", ""),
    ("production", "inventories/eu.yml", ""),
]


@pytest.mark.parametrize(("name", "file", "words"), FILES)
def test_a_file_that_is_called_after_an_environment_is_its_inventory(
    name: str, file: str, words: str, tmp_path: Path
) -> None:
    said = environments.problem(name, {}, str(tmp_path / file))
    assert words.format(file=tmp_path / file) in said
    assert bool(said) is bool(words)


def test_directories_anywhere_may_be_called_after_environments(tmp_path: Path) -> None:
    for name in ("prod", "staging"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "hosts.yml").touch()
    said = environments.problem("staging", {}, str(tmp_path / "prod/hosts.yml"))
    assert "expected a directory called staging" in said


@pytest.mark.parametrize(("name", "given", "place", "words"), PLACES)
def test_an_inventory_is_one_of_the_environment_that_its_directory_is_called_after(
    name: str, given: dict[str, Any], place: str, words: str, tmp_path: Path
) -> None:
    said = environments.problem(name, given, str(tmp_path / place / "hosts.yml"))
    assert words in said
    assert bool(said) is bool(words)
    assert not said or said.endswith("Nothing was touched.")


def test_a_copy_beside_the_inventory_of_an_environment_needs_a_name_of_its_own(tmp_path: Path) -> None:
    copy = tmp_path / "qa" / "hosts.yml"
    assert environments.problem("production", {}, str(copy)) == ""
    original = tmp_path / "production" / "hosts.yml"
    original.parent.mkdir()
    assert environments.problem("production", {}, str(copy)) == ""
    original.touch()
    assert "among those of other environments" in environments.problem("production", {}, str(copy))


def test_inventories_that_contradict_each_other_are_told() -> None:
    assert environments.merged([{}, QA, QA]) == QA
    # each says for itself where its hosts stand
    us = {"production": {"inventories": ["us"]}}
    assert [*environments.known(environments.merged([EU, us]))] == ["development", "staging", "production"]
    with pytest.raises(environments.EnvironmentsError, match="expected the same in all that are given"):
        environments.merged([QA, {"qa": {"prefix": "rosey.qa", "after": "development"}}])
