# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role with its defaults alone: a systemd service that starts with the host and is locked down."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from nats.aio.client import Client
from testinfra.host import Host

Monitor = Callable[..., dict[str, Any]]

BINARY = "/usr/local/lib/nats-server/2.10.7/nats-server"
LOG = "/var/log/nats/nats-server.log"
WAIT_FOR_THE_SERVER = "timeout 30 bash -c 'until </dev/tcp/127.0.0.1/8222; do sleep 0.1; done' 2>&1"
WAIT_FOR_SYSTEMD = (
    "timeout 60 sh -c 'until systemctl is-system-running --wait | grep -Eq running\\|degraded; do :; done'"
)


def show(host: Host, *properties: str) -> dict[str, str]:
    """Give these properties of the service, as systemd tells them."""
    said = host.check_output(f"systemctl show nats --property={','.join(properties)}")
    return dict(line.split("=", 1) for line in said.splitlines())


@pytest.fixture
def store(converse: Callable[..., Any]) -> Iterator[Callable[[], bytes | None]]:
    """Store a message in a stream and give a function that fetches it."""

    async def put(client: Client) -> None:
        await client.jetstream().add_stream(name="kept", subjects=["rosey.test.kept"])
        await client.jetstream().publish("rosey.test.kept", b"over a restart")

    async def get(client: Client) -> bytes | None:
        return (await client.jetstream().get_last_msg("kept", "rosey.test.kept")).data

    async def remove(client: Client) -> None:
        await client.jetstream().delete_stream("kept")

    converse(put)
    yield lambda: converse(get)
    converse(remove)


def test_the_service_runs_and_starts_with_the_host(host: Host) -> None:
    service = host.service("nats")
    assert service.is_running
    assert service.is_enabled


def test_the_unit_is_hardened(host: Host) -> None:
    said = host.check_output("systemd-analyze security --no-pager nats")
    exposure = re.search(r"Overall exposure level for nats.service: ([\d.]+)", said)
    assert exposure is not None
    assert float(exposure[1]) <= 1.0, said


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/etc/nats", "directory root:nats 750"),
        ("/etc/nats/nats-server.conf", "regular file root:nats 640"),
        ("/etc/systemd/system/nats.service", "regular file root:root 644"),
        ("/var/log/nats", "directory nats:nats 750"),
        (LOG, "regular file nats:nats 600"),
        ("/var/lib/nats", "directory nats:nats 700"),
        ("/var/lib/nats/jetstream", "directory nats:nats 700"),
        (BINARY, "regular file root:root 755"),
    ],
)
def test_a_path_has_its_owner_and_mode(host: Host, path: str, expected: str) -> None:
    assert host.check_output(f"stat --format='%F %U:%G %a' {path}") == expected


def test_the_link_leads_to_the_pinned_binary(host: Host) -> None:
    link = host.file("/usr/local/bin/nats-server")
    assert link.is_symlink
    assert link.linked_to == BINARY
    assert host.check_output("nats-server --version") == "nats-server: v2.10.7"


def test_the_account_can_not_log_in(host: Host) -> None:
    user = host.user("nats")
    assert (user.shell, user.group, user.groups) == ("/usr/sbin/nologin", "nats", ["nats"])
    assert user.uid < 1000
    assert host.check_output("passwd --status nats").split()[1] == "L"


def test_the_server_runs_under_its_account(host: Host) -> None:
    pid = show(host, "MainPID")["MainPID"]
    assert host.file(f"/proc/{pid}").user == "nats"
    assert host.check_output(f"readlink /proc/{pid}/exe") == BINARY


def test_the_log_is_this_servers(host: Host, monitor: Monitor) -> None:
    assert re.search(rf"ID: +{monitor('varz')['server_id']}\n", host.file(LOG).content_string)


def test_a_reload_keeps_the_process(host: Host, monitor: Monitor) -> None:
    pid, before = show(host, "MainPID"), monitor("varz")
    host.check_output("systemctl reload nats")
    deadline = time.monotonic() + 10
    while (after := monitor("varz"))["config_load_time"] == before["config_load_time"]:
        assert time.monotonic() < deadline
    assert show(host, "MainPID") == pid
    assert after["server_id"] == before["server_id"]


def test_a_stop_is_clean(host: Host, monitor: Monitor) -> None:
    before = monitor("varz")["server_id"]
    host.check_output("systemctl stop nats")
    stopped = show(host, "ActiveState", "Result", "KillSignal", "ExecMainCode", "ExecMainStatus")
    said = host.check_output(f"tail --lines=20 {LOG}")
    host.check_output("systemctl start nats")
    host.check_output(WAIT_FOR_THE_SERVER)
    # 2 is SIGINT; code 1 says that the process ended by itself, with that status.
    assert stopped == {
        "ActiveState": "inactive",
        "Result": "success",
        "KillSignal": "2",
        "ExecMainCode": "1",
        "ExecMainStatus": "0",
    }
    assert "Initiating Shutdown..." in said
    assert "Server Exiting.." in said
    assert monitor("varz")["server_id"] != before


def test_a_killed_server_comes_back(host: Host, monitor: Monitor, store: Callable[[], bytes | None]) -> None:
    killed = show(host, "MainPID")["MainPID"]
    host.check_output(f"kill -KILL {killed}")
    host.check_output(f"timeout 30 sh -c 'until [ ! -d /proc/{killed} ]; do sleep 0.05; done'")
    host.check_output(WAIT_FOR_THE_SERVER)
    assert show(host, "NRestarts")["NRestarts"] == "1"
    assert monitor("healthz") == {"status": "ok"}
    assert store() == b"over a restart"


def test_the_service_is_back_after_a_reboot(host: Host, monitor: Monitor, store: Callable[[], bytes | None]) -> None:
    before = monitor("varz")["server_id"]
    container = host.backend.get_hostname()
    # The signal that asks systemd, as process 1, to halt.
    for command in (["kill", "--signal=SIGRTMIN+3"], ["wait"], ["start"]):
        subprocess.run(["docker", *command, container], stdout=subprocess.DEVNULL, check=True, timeout=120)
    host.check_output(WAIT_FOR_SYSTEMD)
    host.check_output(WAIT_FOR_THE_SERVER)
    assert host.service("nats").is_running
    assert monitor("varz")["server_id"] != before
    assert store() == b"over a restart"
