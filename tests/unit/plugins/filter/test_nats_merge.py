# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.filter.nats_merge import FilterModule

nats_merge = FilterModule().filters()["nats_merge"]


def test_the_example_gives_what_it_says(run_example: t.Callable[[str], tuple[t.Any, str]]) -> None:
    merged, promised = run_example("nats_merge")
    assert merged == yaml.safe_load(promised)


def test_the_last_one_wins() -> None:
    assert nats_merge({"port": 1}, {"port": 2, "Debug": True}, {"port": 3}) == {"port": 3, "debug": True}


def test_one_alone_becomes_canonical() -> None:
    assert nats_merge({"NET": "127.0.0.1", "max_conn": None}) == {"host": "127.0.0.1"}


def test_a_path_gets_one_spelling() -> None:
    assert nats_merge({"jetstream": {"store_dir": "/srv/bus//var/"}}) == {"jetstream": {"store_dir": "/srv/bus/var"}}


@pytest.mark.parametrize("configs", [([],), ({}, "text"), ({}, {}, None)])
def test_what_is_no_mapping_is_refused(configs: tuple[t.Any, ...]) -> None:
    with pytest.raises(AnsibleFilterError, match=rf"a mapping of options was expected at place {len(configs)}, not"):
        nats_merge(*configs)
