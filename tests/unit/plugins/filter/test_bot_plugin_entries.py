# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import yaml


def test_the_example_gives_what_it_says(run_example: t.Callable[[str], tuple[t.Any, str]]) -> None:
    entries, promised = run_example("bot_plugin_entries")
    assert entries == yaml.safe_load(promised)
