# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that has peers and listens on all addresses: what follows from its configuration, for its unit above all."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from .conftest import Deployment, free_ports, stop_all

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Container

CONFIG = {
    "host": "0.0.0.0",
    "server_name": "first",
    "cluster": {"name": "rosey", "host": "0.0.0.0", "port": 6222},
    # In a cluster, it would wait for its peers, and here are none.
    "jetstream": None,
    # The shortest that the server takes; without clients it ends at once.
    "lame_duck_duration": "30s",
}


@pytest.fixture(scope="module")
def peer(start_container: Callable[..., Container]) -> Container:
    container = start_container("rosey-test-peer", nats_server_config=CONFIG)
    said = container.play()
    assert said.startswith("exit 0"), said
    assert re.search(r"proven: '?\d+ of \d+ proven", said), said
    return container


def test_it_is_hardened(peer: Container) -> None:
    said = peer.run("systemd-analyze security --no-pager nats")
    exposure = re.search(r"Overall exposure level for nats.service: ([\d.]+)", said)
    assert exposure is not None
    assert float(exposure[1]) <= 1.2, said


def test_it_is_heard_on_the_hosts_other_addresses(peer: Container) -> None:
    address = peer.run("hostname -I").split()[0]
    assert peer.run(f"timeout 5 bash -c 'head -1 </dev/tcp/{address}/4222'").startswith("INFO ")
    assert peer.attempt(f"timeout 5 bash -c '</dev/tcp/{address}/6222'").returncode == 0


def test_a_second_run_changes_nothing(peer: Container) -> None:
    said = peer.play()
    assert re.search(r"changed=0 .* failed=0", said), said


@pytest.mark.thorough
def test_a_comment_of_another_user_restarts_nothing(peer: Container) -> None:
    show = "systemctl show nats --property=MainPID"
    before, read = peer.run(show), peer.varz()["config_load_time"]
    for changed in ("[1-9]", "0"):
        said = peer.play({"ansible_managed": "by another\n[Service]\rUser=root"})
        assert re.search(r"plan: nothing'?$", said, re.MULTILINE), said
        assert re.search(rf"changed={changed}.* failed=0", said), said
    assert (peer.run(show), peer.varz()["config_load_time"]) == (before, read)
    # systemd has read it all the same
    assert peer.run("systemctl show nats --property=NeedDaemonReload,User").split() == [
        "User=nats",
        "NeedDaemonReload=no",
    ]


def test_a_stop_drains(peer: Container) -> None:
    # 12 is SIGUSR2.
    asked = peer.run("systemctl show nats --property=KillSignal,TimeoutStopUSec").splitlines()
    assert sorted(asked) == ["KillSignal=12", "TimeoutStopUSec=1min"]
    peer.run("systemctl stop nats")
    # Code 1 says that the process ended by itself, with that status.
    stopped = peer.run("systemctl show nats --property=Result,ExecMainCode,ExecMainStatus").splitlines()
    assert sorted(stopped) == ["ExecMainCode=1", "ExecMainStatus=0", "Result=success"]
    assert "Entering lame duck mode" in peer.run("cat /var/log/nats/nats-server.log")


@pytest.mark.thorough
def test_a_restart_drains_without_systemd_too(tmp_path: Path) -> None:
    *ports, cluster = free_ports(4)
    deployment = Deployment(tmp_path, *ports)
    config = {**CONFIG, "host": "127.0.0.1", "cluster": {"name": "rosey", "host": "127.0.0.1", "port": cluster}}
    try:
        for name in ("first", "second"):
            said = deployment.play({"nats_server_config": {**config, "server_name": name}})
            assert said.startswith("exit 0"), said
        (log,) = tmp_path.rglob("nats-server.log")
        assert "Entering lame duck mode" in log.read_text()
    finally:
        stop_all(tmp_path)
