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


ADDRESS = {"host": "127.0.0.1", "port": 4222}


@pytest.mark.parametrize(
    ("configs", "merged"),
    [
        ((ADDRESS, {"listen": "0.0.0.0:5222"}), {"listen": "0.0.0.0:5222"}),
        ((ADDRESS, {"net": "::1"}, {"listen": 5222}), {"listen": 5222}),
        (({"listen": "::1:5222"}, {"port": 1}), {"listen": "::1:5222", "port": 1}),
        (({"listen": "[::1]:5222"}, {"port": 1}), {"host": "::1", "port": 1}),
        # as with Docker, whose host is laid over what a user has: the port stays
        ((ADDRESS, {"listen": "127.0.0.1:5222"}, {"host": "0.0.0.0"}), {"host": "0.0.0.0", "port": 5222}),
        (({"listen": 5222}, {"host": "::1"}), {"host": "::1", "port": 5222}),
        (({"listen": ":5222"}, {"port": 1}), {"host": "0.0.0.0", "port": 1}),
        (({"http_port": 8222}, {"http": "127.0.0.1:9222"}), {"http": "127.0.0.1:9222"}),
        (({"http": "127.0.0.1:9222"}, {"monitor_port": 8222}), {"http_port": 8222}),
        (({"http_port": 8222}, {"https": "127.0.0.1:9222"}), {"http_port": 8222, "https": "127.0.0.1:9222"}),
        ((ADDRESS, {"listen": None}), ADDRESS),
        (({"cluster": ADDRESS}, {"cluster": {"listen": "::1:1"}}), {"cluster": {"listen": "::1:1"}}),
        # of one configuration both are told as a problem; names of accounts are no options
        (({}, {"listen": "::1:1", "port": 2}), {"listen": "::1:1", "port": 2}),
        (({"accounts": {"port": {}}}, {"accounts": {"listen": {}}}), {"accounts": {"port": {}, "listen": {}}}),
    ],
)
def test_of_two_options_that_say_the_same_the_one_laid_over_stays(
    configs: tuple[dict[str, t.Any], ...], merged: dict[str, t.Any]
) -> None:
    assert nats_merge(*configs) == merged


@pytest.mark.parametrize(
    ("option", "given", "merged"),
    [
        ("max_connections", "64K", 64000),
        ("max_connections", "64KB", 65536),
        ("max_connections", "64", "64"),
        ("max_connections", "many", "many"),
        ("port", "4k", 4000),
        ("max_payload", "1MB", "1MB"),
        ("server_name", "64K", "64K"),
    ],
)
def test_a_number_with_a_unit_is_the_number(option: str, given: str, merged: t.Any) -> None:
    assert nats_merge({option: given}) == {option: merged}


@pytest.mark.parametrize("configs", [([],), ({}, "text"), ({}, {}, None)])
def test_what_is_no_mapping_is_refused(configs: tuple[t.Any, ...]) -> None:
    with pytest.raises(AnsibleFilterError, match=rf"a mapping of options was expected at place {len(configs)}, not"):
        nats_merge(*configs)
