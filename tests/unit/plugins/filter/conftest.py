# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every test of a filter may ask for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2.nativetypes import NativeEnvironment

PLUGINS = Path(__file__).parents[4] / "plugins" / "filter"

RunExample = Callable[[str], tuple[Any, str]]


@pytest.fixture
def run_example() -> RunExample:
    """Give a function that runs the documented example of a filter: what it yields, and what its comment promises."""

    def run(name: str) -> tuple[Any, str]:
        example = yaml.safe_load((PLUGINS / f"{name}.yml").read_text())["EXAMPLES"]
        (task,) = yaml.safe_load(example)
        module = importlib.import_module(f"ansible_collections.rosey.nats.plugins.filter.{name}")
        environment = NativeEnvironment()
        environment.filters[f"rosey.nats.{name}"] = module.FilterModule().filters()[name]
        template = environment.from_string(task["ansible.builtin.debug"]["msg"])
        comment = [
            line.strip().removeprefix("#").removeprefix(" ")
            for line in example.splitlines()
            if line.strip().startswith("#")
        ]
        return template.render(task.get("vars", {})), "\n".join(comment)

    return run
