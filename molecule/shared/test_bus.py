# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds in every environment: the pinned server carries messages, stores them and is heard on loopback alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from nats.aio.client import Client
from testinfra.host import Host


def test_the_pinned_version_runs(monitor: Callable[..., dict[str, Any]]) -> None:
    assert monitor("varz")["version"] == "2.10.7"


def test_a_message_arrives(converse: Callable[..., Any]) -> None:
    async def conversation(client: Client) -> bytes:
        subscription = await client.subscribe("rosey.test.chat")
        await client.publish("rosey.test.chat", b"hello")
        return (await subscription.next_msg(timeout=5)).data

    assert converse(conversation) == b"hello"


def test_jetstream_stores_and_returns_a_message(converse: Callable[..., Any]) -> None:
    async def conversation(client: Client) -> bytes | None:
        jetstream = client.jetstream()
        await jetstream.add_stream(name="trial", subjects=["rosey.test.stored"])
        try:
            stored = await jetstream.publish("rosey.test.stored", b"kept")
            return (await jetstream.get_msg("trial", seq=stored.seq)).data
        finally:
            await jetstream.delete_stream("trial")

    assert converse(conversation) == b"kept"


@pytest.mark.parametrize("port", [4222, 8222])
def test_other_addresses_of_the_host_are_refused(host: Host, port: int) -> None:
    address = host.check_output("hostname -I").split()[0]
    assert host.socket(f"tcp://127.0.0.1:{port}").is_listening
    assert host.run(f"timeout 5 bash -c '</dev/tcp/{address}/{port}'").failed
