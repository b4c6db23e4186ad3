# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.filter.bot_plugins import FilterModule

bot_plugins = FilterModule().filters()["bot_plugins"]


def test_the_example_gives_what_it_says(run_example: t.Callable[[str], tuple[t.Any, str]]) -> None:
    effective, promised = run_example("bot_plugins")
    assert effective == yaml.safe_load(promised)


def test_all_problems_are_in_the_error() -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        bot_plugins([{"name": "../x"}], {"y": {}}, "rosey.dev")
    head, *problems = caught.value.message.splitlines()
    assert head == "bot_plugins: the plugins can't be used:"
    assert [problem.partition(":")[0] for problem in problems] == ["bot_plugins_overrides", "plugin number 1"]
