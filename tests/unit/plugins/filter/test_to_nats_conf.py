# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.filter.to_nats_conf import FilterModule

to_nats_conf = FilterModule().filters()["to_nats_conf"]


def test_the_example_gives_what_it_says(run_example: t.Callable[[str], tuple[t.Any, str]]) -> None:
    text, promised = run_example("to_nats_conf")
    assert text == promised + "\n"


def test_it_writes_a_header() -> None:
    assert to_nats_conf({"port": 4222}, "one\ntwo") == "# one\n# two\n\nport: 4222\n"


def test_it_names_every_problem() -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        to_nats_conf({"port": "banana", "max_payload": "1 MB", "max_conections": 5, "ping_interval": 120})
    message = str(caught.value)
    for option in ("port", "max_payload", "max_conections", "ping_interval"):
        assert f"\n{option}" in message
    assert "max_connections" in message


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (["port"], "a mapping of options was expected, not list"),
        (None, "a mapping of options was expected, not NoneType"),
        ({"server_name": "\ud800"}, "server_name: the text holds half a character"),
    ],
)
def test_it_refuses_what_cannot_be_written(config: t.Any, reason: str) -> None:
    with pytest.raises(AnsibleFilterError, match=reason):
        to_nats_conf(config)
