# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with systemd after a removal: nothing is left of the deployment, in files, units or accounts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from .conftest import run_playbook

if TYPE_CHECKING:
    from .conftest import Container

REMOVE = "playbooks/remove.yml"
NAME = "rosey-test-removal"
# All that a deployment has a part in. The packages of the distribution that it installs stay.
TRACES = (
    "find /etc/nats /etc/systemd/system /usr/local/bin /usr/local/lib /opt /var/lib/nats /var/lib/rosey-nats"
    " /var/log/nats 2>&1 | sort;"
    " getent passwd; getent group; systemctl list-unit-files --no-legend | sort"
)


@pytest.fixture(scope="module")
def host(start_container: Callable[..., Container]) -> Container:
    return start_container(NAME, nats_server_config={"server_name": "removed"}, nats_server_gate_wait=15)


def remove(host: Container, *options: str) -> str:
    said = run_playbook(REMOVE, host.inventory, "-e", f"remove_hosts={NAME}", *options)
    assert said.startswith("exit 0"), said
    return " ".join(said.replace("'", " ").split())


@pytest.mark.thorough
def test_nothing_is_left(host: Container) -> None:
    before = host.run(TRACES)
    said = host.play()
    assert said.startswith("exit 0"), said
    host.run("touch /etc/nats/ca.pem")
    said = remove(host)
    assert "keeps: /etc/nats: it holds ca.pem" in said
    assert "keeps: user nats: it owns /var/lib/nats/jetstream" in said
    assert host.attempt("systemctl cat nats").returncode
    assert host.attempt("pgrep nats-server").returncode
    assert host.run("ls /var/lib/nats").split() == ["jetstream"]
    assert "changed=0" in remove(host)
    host.run("rm /etc/nats/ca.pem")
    said = remove(host, "-e", "remove_data=true")
    assert "takes away: user nats" in said
    assert "takes away: group nats" in said
    assert host.run(TRACES) == before
    assert "changed=0" in remove(host, "-e", "remove_data=true")
