# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import yaml

from ansible_collections.rosey.nats.plugins.filter.bot_plugin_problems import FilterModule

bot_plugin_problems = FilterModule().filters()["bot_plugin_problems"]


def test_the_example_gives_what_it_says(run_example: t.Callable[[str], tuple[t.Any, str]]) -> None:
    problems, promised = run_example("bot_plugin_problems")
    assert problems == yaml.safe_load(promised)


def test_nothing_is_wrong_with_good_plugins() -> None:
    assert bot_plugin_problems([{"name": "quotes"}], {"quotes": {"enabled": False}}) == []
