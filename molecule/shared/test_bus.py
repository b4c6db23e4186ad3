# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds in every environment.

The pinned server carries messages, stores them and is heard on loopback alone; the bot answers through it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import nats.errors
import nats.js.errors
import pytest
from nats.aio.client import Client
from nats.js.client import JetStreamContext
from testinfra.host import Host


def test_the_pinned_version_runs(monitor: Callable[..., dict[str, Any]]) -> None:
    assert monitor("varz")["version"] == "2.10.7"


def test_a_message_arrives(converse: Callable[..., Any]) -> None:
    async def conversation(client: Client) -> bytes:
        subscription = await client.subscribe("rosey.test.chat")
        await client.publish("rosey.test.chat", b"hello")
        return (await subscription.next_msg(timeout=5)).data

    assert converse(conversation) == b"hello"


async def stored(jetstream: JetStreamContext, subject: str, content: bytes) -> int:
    """Store a message, and give its sequence; of a new stream, the other servers of a cluster hear a moment later."""
    while True:
        try:
            return (await jetstream.publish(subject, content)).seq
        except nats.js.errors.NoStreamResponseError:
            await asyncio.sleep(0.1)


def test_jetstream_stores_and_returns_a_message(converse: Callable[..., Any]) -> None:
    async def conversation(client: Client) -> bytes | None:
        jetstream = client.jetstream()
        await jetstream.add_stream(name="trial", subjects=["rosey.test.stored"])
        try:
            sequence = await asyncio.wait_for(stored(jetstream, "rosey.test.stored", b"kept"), 10)
            return (await jetstream.get_msg("trial", seq=sequence)).data
        finally:
            await jetstream.delete_stream("trial")

    assert converse(conversation) == b"kept"


# Of hosts whose clients come from others, too.
CLUSTER = {f"rosey-cluster-{number}" for number in (1, 2, 3)}
OPEN = {("rosey-secure-password", 4222), *((name, 4222) for name in CLUSTER)}


@pytest.mark.parametrize("port", [4222, 8222])
def test_other_addresses_of_the_host_are_refused(host: Host, port: int) -> None:
    address = host.check_output("hostname -I").split()[0]
    is_open = (host.backend.get_hostname(), port) in OPEN
    assert host.run(f"timeout 5 bash -c '</dev/tcp/127.0.0.1/{port}'").succeeded
    assert host.run(f"timeout 5 bash -c '</dev/tcp/{address}/{port}'").succeeded is is_open


def test_a_chat_command_comes_back_as_the_plugins_chat_message(
    converse: Callable[..., Any], host: Host, prefix: str
) -> None:
    # a plugin answers one user every few seconds alone, and the bots of a cluster hear of all of them
    question = {"user": f"somebody at {host.backend.get_hostname()}", "message": "!quote"}

    async def conversation(client: Client) -> list[dict[str, str]]:
        subject = f"{prefix}.cytube.chat.message"
        chat = await client.subscribe(subject)
        await client.publish(subject, json.dumps(question).encode())
        return [json.loads((await chat.next_msg(timeout=5)).data) for _message in range(2)]

    asked, answered = converse(conversation)
    assert asked == question
    assert answered["user"] == "rosey"
    assert answered["message"].startswith("Quote ")


@pytest.mark.parametrize("change", [{"password": "wrong"}, {"user": "somebody"}, {"user": None, "password": None}])
def test_a_client_that_does_not_know_the_password_is_refused(
    converse: Callable[..., Any], login: dict[str, str], change: dict[str, str | None]
) -> None:
    async def conversation(client: Client) -> str:
        return "connected"

    said: list[str] = []

    async def listen(error: Exception) -> None:
        said.append(str(error))

    if not login:
        assert converse(conversation, **change) == "connected"
        return
    if "nkeys_seed_str" in login:
        change = {**change, "nkeys_seed_str": None}
    with pytest.raises((nats.errors.Error, asyncio.TimeoutError)):
        converse(conversation, error_cb=listen, max_reconnect_attempts=1, **change)
    assert "nats: 'Authorization Violation'" in said


def test_the_bot_says_that_it_holds_all_subjects(
    monitor: Callable[..., dict[str, Any]], host: Host, trust: dict[str, Any]
) -> None:
    said = monitor("api/health", port=8000)
    # the six of quotes and trivia, and the bot's own
    assert said["status"] == "connected"
    server = said["nats"].pop("server")
    assert said["nats"] == {"connected": True, "subjects": 7}
    # it stays where it went to while its own server was restarted
    if host.backend.get_hostname() not in CLUSTER:
        assert server == f"{'tls' if trust else 'nats'}://localhost:4222"


def test_the_bots_own_configuration_stays_as_it_was(host: Host) -> None:
    path = host.check_output("find / -xdev -path '*/rosey-bot/environments/*/config.yaml'")
    before, _section = host.file(path).content_string.split("nats:\n", 1)
    assert before.startswith("---\n# Rosey's configuration.")
    assert before.endswith("logging:\n  level: INFO\n")


def test_the_secrets_are_the_bots_alone(host: Host, login: dict[str, str]) -> None:
    if not login:
        return
    secrets = host.file(host.check_output("ls -d /opt/rosey-bot/environments/*/secrets.env"))
    assert (secrets.user, secrets.group, secrets.mode) == ("rosey", "rosey", 0o600)
