# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other versions of nats-server on a store of more than 100 MB, there and back, in this order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

testinfra_hosts = ["ansible://rosey-rollback-third"]
pytestmark = pytest.mark.thorough

Play = Callable[..., str]

HOST = "rosey-rollback-third"
NEWER = {
    "nats_server_version": "2.10.29",
    "nats_server_module_sums": {"2.10.29": "h1:IJ8TrZaiMZUrPGavMvP7hNAE9lYnHTThuthpwlsdlbc="},
}
OLDER = {
    "nats_server_version": "2.9.25",
    "nats_server_module_sums": {"2.9.25": "h1:USQ91yDrsRohuEAW8vJpal7Z9p+EWTGk53wchamzqFo="},
}
COUNT, SIZE = 1100, 100_000


@pytest.fixture(scope="module")
def digest() -> list[str]:
    """Give a place for the digest of what was stored."""
    return []


@pytest.fixture(autouse=True)
def every_message_is_there(rosey: Any, digest: list[str]) -> Iterator[None]:
    """Store them before the first step, and prove after each that none is lost or changed."""
    if not digest:
        digest.append(rosey.store(COUNT, SIZE))
        assert rosey.monitor("jsz")["bytes"] > 100 * 10**6
    yield
    assert rosey.stored(COUNT) == digest[0]
    assert rosey.answers()


def test_a_newer_version_and_back(deploy: Play, play: Play, rosey: Any) -> None:
    deploy(limit=HOST, **NEWER)
    assert rosey.varz("version") == "2.10.29"
    play("rollback", limit=HOST)
    assert rosey.varz("version") == "2.10.7"


def test_the_way_back_names_the_copy_and_what_was_written_since(deploy: Play, play: Play, rosey: Any) -> None:
    # 2.9 does not know the option
    deploy(limit=HOST, server={"log_max_num": None}, **OLDER)
    assert rosey.varz("version") == "2.9.25"
    rosey.store(3, SIZE)
    said = play("rollback", limit=HOST)
    assert rosey.varz("version") == "2.10.7"
    assert re.search(
        "store: copied to /var/lib/rosey-nats/stores/2.9.25-.*; written since the copy at .*: kept: 3 ", said
    )
