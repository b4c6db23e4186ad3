# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.filter.nats_config_problems import FilterModule

nats_config_problems = FilterModule().filters()["nats_config_problems"]


def test_the_example_gives_what_it_says(run_example: t.Callable[[str], tuple[t.Any, str]]) -> None:
    problems, promised = run_example("nats_config_problems")
    assert problems == yaml.safe_load(promised)


def test_nothing_is_wrong_with_a_good_configuration() -> None:
    assert nats_config_problems({"server_name": "rosey", "jetstream": {"store_dir": "/var/lib/nats"}}) == []


def test_each_problem_is_a_text() -> None:
    assert [type(problem) for problem in nats_config_problems({"port": "x", "debug": "y"})] == [str, str]


@pytest.mark.parametrize("config", [None, [], "port: 4222"])
def test_what_is_no_mapping_is_refused(config: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="a mapping of options was expected, not"):
        nats_config_problems(config)
