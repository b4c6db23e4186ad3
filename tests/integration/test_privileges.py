# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run needs to become root on a host, and what it says where it can't; each on one that runs another change."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Container

pytestmark = pytest.mark.thorough

LOGINS = """
apt-get -qq update && apt-get -qq install --no-install-recommends sudo
for user in free asked none; do useradd --create-home $user; done
echo asked:hunter2 | chpasswd
printf '%s\\n' 'free ALL=(ALL) NOPASSWD: ALL' 'asked ALL=(ALL) ALL' > /etc/sudoers.d/logins
"""
# Where there is no sudo, root needs none.
WITHOUT_SUDO = "mv /usr/bin/sudo /root/sudo"
PASSWORD = {"ansible_become_password": "hunter2"}


@pytest.fixture(scope="module")
def host(start_container: Callable[..., Container]) -> Container:
    started = start_container("rosey-test-privileges", nats_server_config={"server_name": "privileges"})
    started.run(LOGINS)
    return started


@pytest.mark.parametrize(
    ("user", "given"),
    [
        ("asked", PASSWORD),
        ("free", {}),
        ("root", {"ansible_become": False}),
    ],
)
def test_each_way_to_be_root_deploys_and_is_looked_at(host: Container, user: str, given: dict[str, object]) -> None:
    if user == "root":
        host.run(WITHOUT_SUDO)
    number = 70 + len(user)
    extra = ("-e", json.dumps({"ansible_user": user, **given}))
    said = host.play({"nats_server_config": {"max_connections": number}}, *extra)
    assert said.startswith("exit 0"), said
    assert host.varz()["max_connections"] == number
    assert "changed=0 " in host.play({"nats_server_config": {"max_connections": number}}, *extra)
    if user == "root":
        host.run("mv /root/sudo /usr/bin/sudo")


@pytest.mark.parametrize(
    ("user", "given", "why"),
    [
        ("asked", {}, "password"),
        ("asked", {"ansible_become_password": "wrong"}, "password"),
        ("none", PASSWORD, "password"),
    ],
)
def test_who_can_not_become_root_is_told_so_and_nothing_is_touched(
    host: Container, user: str, given: dict[str, object], why: str
) -> None:
    before = host.run("find /etc/nats /var/lib/rosey-nats -newer /etc/sudoers.d/logins -type f | xargs -r md5sum")
    extra = ("-e", json.dumps({"ansible_user": user, **given}))
    said = host.play({"nats_server_config": {"max_connections": 99}}, *extra)
    assert not said.startswith("exit 0"), said
    assert why in said.lower()
    assert "hunter2" not in said
    assert "changed=0 " in said
    after = host.run("find /etc/nats /var/lib/rosey-nats -newer /etc/sudoers.d/logins -type f | xargs -r md5sum")
    assert before == after
