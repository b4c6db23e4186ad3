# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.filter.from_nats_conf import FilterModule

from_nats_conf = FilterModule().filters()["from_nats_conf"]


def test_the_example_gives_what_it_says(run_example: t.Callable[[str], tuple[t.Any, str]]) -> None:
    config, promised = run_example("from_nats_conf")
    assert config == yaml.safe_load(promised)


@pytest.mark.parametrize(
    ("variables", "port"), [(None, {"$variable": "PORT"}), ({"PORT": "4222"}, 4222)], ids=["left", "replaced"]
)
def test_variables(variables: dict[str, str] | None, port: t.Any) -> None:
    assert from_nats_conf("port: $PORT", variables) == {"port": port}


@pytest.mark.parametrize(
    ("text", "variables", "reason"),
    [
        (7, None, "the text of a configuration was expected, not int"),
        ("port: 1\nhost", None, "line 2: the last key has no value"),
        ("port: $PORT", {}, "line 1: the variable PORT is not defined"),
    ],
)
def test_it_refuses_what_the_server_does(text: t.Any, variables: dict[str, str] | None, reason: str) -> None:
    with pytest.raises(AnsibleFilterError, match=reason):
        from_nats_conf(text, variables)
