# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.filter.health_output import FilterModule
from ansible_collections.rosey.nats.plugins.plugin_utils import health_output as output

ROOT = Path(__file__).parents[4]
health_output = FilterModule().filters()["health_output"]


def test_the_example_gives_what_it_says(run_example: t.Callable[[str], tuple[t.Any, str]]) -> None:
    found, promised = run_example("health_output")
    assert found == " ".join(promised.splitlines()) + "\n"


def test_a_table_is_what_nobody_need_ask_for() -> None:
    assert health_output({}) == health_output({}, "table")
    assert health_output({}).startswith("HOST | ")


def test_another_format_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="'xml' is no format; expected one of table, json, prometheus, nagios"):
        health_output({}, "xml")


def test_the_formats_are_those_that_are_documented() -> None:
    page = yaml.safe_load((ROOT / "plugins" / "filter" / "health_output.yml").read_text())["DOCUMENTATION"]
    role = yaml.safe_load((ROOT / "roles" / "health" / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    assert page["options"]["form"]["choices"] == list(output.FORMATS)
    assert role["main"]["options"]["health_output"]["choices"] == list(output.FORMATS)
