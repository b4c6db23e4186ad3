# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several hosts at once, of which the second breaks: its bot is sent to a server that isn't there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

pytestmark = pytest.mark.thorough
# These look at all hosts themselves.
testinfra_hosts = ["ansible://rosey-rollback-second"]

FIRST, SECOND, THIRD = HOSTS = ("rosey-rollback", "rosey-rollback-second", "rosey-rollback-third")
BREAK_THE_SECOND = {
    "bot_config_gate_wait": 4,
    "bot_config_servers": [
        "{{ 'nats://localhost:4999' if inventory_hostname == 'rosey-rollback-second' else 'nats://localhost:4222' }}"
    ],
}
# What tells whether a host was touched: what it has, which release that is, and which processes run
FILES = "/etc/nats/nats-server.conf /opt/rosey-bot/environments/staging/config.yaml /var/lib/rosey-nats/current"
LOOK = f"cat {FILES}; systemctl show --property=MainPID nats cytube-bot"
CONNECTIONS = "grep ^max_connections /etc/nats/nats-server.conf"


@pytest.fixture
def hosts(host: Host) -> dict[str, Host]:
    """Give all hosts by their names."""
    return {name: testinfra.get_host(f"docker://{name}") for name in HOSTS}


def test_the_next_batch_is_not_begun(deploy: Callable[..., Any], hosts: dict[str, Host]) -> None:
    untouched = hosts[THIRD].check_output(LOOK)
    said = deploy(limit="all", rosey_serial=2, succeeds=False, server={"max_connections": 60}, **BREAK_THE_SECOND)
    assert f"{FIRST} is back at release" in said
    assert f"{SECOND} is back at release" in said
    assert f"{THIRD} was not begun" in said
    assert hosts[THIRD].check_output(LOOK) == untouched
    assert {host.check_output(CONNECTIONS) for host in hosts.values()} == {"max_connections: 50"}


def test_of_a_batch_those_go_back_that_have_changed(deploy: Callable[..., Any], hosts: dict[str, Host]) -> None:
    untouched = hosts[FIRST].check_output(LOOK)
    # the first has what is asked for
    many = "{{ 50 if inventory_hostname == 'rosey-rollback' else 60 }}"
    said = deploy(limit="all", succeeds=False, server={"max_connections": many}, **BREAK_THE_SECOND)
    assert f"{FIRST} was not changed" in said
    assert f"{SECOND} is back at release" in said
    assert f"{THIRD} is back at release" in said
    assert hosts[FIRST].check_output(LOOK) == untouched
    assert {host.check_output(CONNECTIONS) for host in hosts.values()} == {"max_connections: 50"}
