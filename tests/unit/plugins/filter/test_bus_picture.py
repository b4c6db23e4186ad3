# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.filter.bus_picture import FORMS, FilterModule

from .conftest import PLUGINS

bus_picture = FilterModule().filters()["bus_picture"]
BOT = {"subscriptions": [], "publishes": ["commands.>"]}


def test_the_example_gives_what_it_says(run_example: t.Callable[[str], tuple[t.Any, str]]) -> None:
    drawn, promised = run_example("bus_picture")
    assert drawn == f"{promised}\n"


@pytest.mark.parametrize(
    ("arguments", "begin"),
    [
        ({}, "<svg "),
        ({"form": "svg"}, "<svg "),
        ({"form": "mermaid"}, "---\n"),
        ({"form": "markdown"}, "```mermaid\n---\n"),
    ],
)
def test_each_form_is_drawn(arguments: dict[str, str], begin: str) -> None:
    assert bus_picture([], "rosey.dev", BOT, **arguments).startswith(begin)


def test_the_forms_are_those_that_are_documented() -> None:
    page = yaml.safe_load((PLUGINS / "bus_picture.yml").read_text())["DOCUMENTATION"]
    assert page["options"]["form"]["choices"] == list(FORMS)


def test_another_form_is_refused() -> None:
    with pytest.raises(
        AnsibleFilterError, match="bus_picture: form: 'png' is no form of a picture; expected one of svg, mermaid, mark"
    ):
        bus_picture([], "rosey.dev", BOT, form="png")


def test_traffic_that_is_no_list_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="bus_picture: the bot: publishes: "):
        bus_picture([], "rosey.dev", {"publishes": "commands.>"})
