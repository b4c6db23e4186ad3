# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The docker runtime: ports on localhost alone, the log in the container's output, messages on the volume."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import nats
import requests
from testinfra.host import Host

CONTAINER = "rosey-docker-nats"
PORT, MONITORING_PORT = 24222, 28222


def inspect(host: Host) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(host.check_output("docker inspect %s", CONTAINER))
    return found[0]


def test_the_ports_are_published_on_localhost_alone(host: Host) -> None:
    ports = inspect(host)["NetworkSettings"]["Ports"]
    published = {name: binding for name, binding in ports.items() if binding}
    assert published == {
        f"{port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}] for port in (PORT, MONITORING_PORT)
    }


def test_the_configuration_is_mounted_as_a_directory_and_the_store_as_a_volume(host: Host) -> None:
    mounts = {mount["Destination"]: mount for mount in inspect(host)["Mounts"]}
    assert mounts["/etc/nats"]["Type"] == "bind"
    assert mounts["/etc/nats"]["RW"] is False
    assert [mount["Name"] for mount in mounts.values() if mount["Type"] == "volume"] == [CONTAINER]


def test_the_log_goes_to_the_containers_output(host: Host) -> None:
    logged = host.run("docker logs %s", CONTAINER)
    assert "Server is ready" in logged.stdout + logged.stderr
    assert "Reloaded: max_connections = 123" in logged.stdout + logged.stderr


def test_the_reloaded_value_is_in_effect(host: Host) -> None:
    varz = requests.get(f"http://127.0.0.1:{MONITORING_PORT}/varz", timeout=5).json()
    assert (varz["version"], varz["max_connections"]) == ("2.10.7", 123)


def test_jetstream_keeps_a_message_over_a_restart(host: Host) -> None:
    async def store() -> None:
        client = await nats.connect(f"nats://127.0.0.1:{PORT}")
        jetstream = client.jetstream()
        await jetstream.add_stream(name="trial", subjects=["rosey.dev.stored"])
        await jetstream.publish("rosey.dev.stored", b"kept")
        await client.close()

    async def fetch() -> bytes | None:
        client = await nats.connect(f"nats://127.0.0.1:{PORT}", max_reconnect_attempts=20, reconnect_time_wait=0.2)
        try:
            return (await client.jetstream().get_last_msg("trial", "rosey.dev.stored")).data
        finally:
            await client.jetstream().delete_stream("trial")
            await client.close()

    asyncio.run(store())
    host.check_output("docker restart %s", CONTAINER)
    assert asyncio.run(fetch()) == b"kept"
