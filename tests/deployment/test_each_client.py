# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A credential for each client, step by step: each test goes on from what the one before it left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nats
import nkeys
import pytest
import requests
from nats.aio.client import Client

from ansible_collections.rosey.nats.tests import clients
from ansible_collections.rosey.nats.tests.integration.conftest import (
    QUOTES,
    Deployment,
    Variables,
)
from ansible_collections.rosey.nats.tests.sampling import sampled

SECRET = "seventeen crocodiles write one long and secret text"
EACH: Variables = {"bot_plugins_credentials": "each", "bot_plugins_credentials_secret": SECRET}
TRIVIA = {
    "name": "trivia",
    "subscriptions": ["commands.trivia", "cytube.chat.message"],
    "publishes": ["cytube.chat.message"],
    "config": {"questions_file": "data/trivia.json", "time_limit": 30},
}
ECHO = {"name": "echo", "subscriptions": ["plugin.echo.request"], "publishes": ["plugin.echo.response"]}
PLUGINS: Variables = {"bot_plugins_declared": [QUOTES, TRIVIA, ECHO]}
CLIENTS = ("bot", "quotes", "trivia", "echo", *clients.OWN)
PREFIX = "rosey.dev"


def file_of(host: Deployment, client: str) -> Path:
    environment = host.home / "environments" / "development"
    if client == "bot":
        return environment / "secrets.env"
    directory = (
        host.directory / "root" / "etc" / "nats" / "clients" if client in clients.OWN else environment / "plugins"
    )
    return directory / f"{client}.env"


def variables_of(host: Deployment, client: str) -> dict[str, str]:
    return clients.variables(file_of(host, client).read_text())


async def connected(host: Deployment, client: str, errors: list[str]) -> Client:
    async def note(error: Exception) -> None:
        errors.append(str(error))

    return await nats.connect(
        f"nats://127.0.0.1:{host.port}",
        **clients.login(variables_of(host, client), lambda path: Path(path).read_text()),
        error_cb=note,
        allow_reconnect=False,
    )


def users(host: Deployment) -> dict[str, str]:
    """Give who is connected, by the names of the connections."""
    url = f"http://127.0.0.1:{host.monitoring_port}/connz?auth=1"
    return {
        each["name"]: each.get("authorized_user", "") for each in requests.get(url, timeout=5).json()["connections"]
    }


def deploy(host: Deployment, *options: str, **changes: Any) -> str:
    said = host.play({**PLUGINS, **EACH, **changes}, *options)
    assert said.startswith("exit 0"), said
    return said


def test_without_a_secret_nothing_is_touched(deployed: Deployment) -> None:
    said = deployed.play({**PLUGINS, "bot_plugins_credentials": "each"})
    assert said.startswith("exit 2"), said
    assert "bot_plugins_credentials_secret is not set; expected a random text from vault" in said
    assert not (deployed.directory / "root" / "etc").exists()


def test_the_first_run_proves_each(deployed: Deployment) -> None:
    said = deploy(deployed)
    assert f"{len(CLIENTS)} clients proven" in said
    assert SECRET not in said
    name = "rosey-bot-development"
    assert users(deployed) == {
        name: "bot.1",
        **{f"{name}-{each['name']}": f"{each['name']}.1" for each in (QUOTES, TRIVIA, ECHO)},
    }
    for client in CLIENTS:
        assert file_of(deployed, client).stat().st_mode & 0o777 == 0o600
        assert variables_of(deployed, client)["NATS_PASSWORD"] not in said


def test_the_second_changes_nothing_and_adds_nothing_to_the_log(deployed: Deployment) -> None:
    log = deployed.directory / "root" / "var" / "log" / "nats" / "nats-server.log"
    before = log.read_text()
    said = deploy(deployed)
    assert "changed=0" in said, said
    assert f"{len(CLIENTS)} clients proven" in said
    assert "[ERR]" not in log.read_text().removeprefix(before)


def test_every_client_may_do_what_is_declared_and_nothing_else(deployed: Deployment) -> None:
    parties = clients.parties(PLUGINS["bot_plugins_declared"], PREFIX)
    every = clients.to_try(parties)

    async def try_all(client: str) -> tuple[set[str], set[str]]:
        errors: list[str] = []
        connection = await connected(deployed, client, errors)
        said_and_heard = await clients.try_all(connection, errors, every)
        await connection.close()
        return said_and_heard

    assert {*parties, "system"} == {*CLIENTS}
    for client, party in parties.items():
        said, heard = asyncio.run(try_all(client))
        assert said == clients.allowed(party.says, every), client
        assert heard == clients.allowed(party.hears, every), client


def test_one_is_rotated_alone(deployed: Deployment) -> None:
    before = {client: file_of(deployed, client).read_bytes() for client in CLIENTS}
    said = deploy(deployed, bot_plugins_credentials_numbers={"trivia": 2})
    assert f"{len(CLIENTS)} clients proven" in said
    changed = [client for client in CLIENTS if file_of(deployed, client).read_bytes() != before[client]]
    assert changed == ["trivia"]
    assert "plan: reload; trivia: another credential'" in " ".join(said.split())
    assert users(deployed)["rosey-bot-development-trivia"] == "trivia.2"


def connections(host: Deployment) -> dict[str, int]:
    """Give the numbers of the connections, by their names."""
    url = f"http://127.0.0.1:{host.monitoring_port}/connz"
    return {each["name"]: each["cid"] for each in requests.get(url, timeout=5).json()["connections"]}


@pytest.mark.thorough
def test_one_that_reads_its_credential_as_it_connects_comes_back_alone(deployed: Deployment) -> None:
    deploy(deployed, bot_plugins_credentials_numbers={"trivia": 2}, bot_plugins_credentials_read="connect")
    before, bot = connections(deployed), (deployed.home / "bot.pid").read_text()
    published = asyncio.run(publish_while(deployed, lambda: rotate(deployed)))
    after = connections(deployed)
    assert (deployed.home / "bot.pid").read_text() == bot
    assert [name for name in before if after.get(name) != before[name]] == ["rosey-bot-development-trivia"]
    assert users(deployed)["rosey-bot-development-trivia"] == "trivia.3"
    assert published["lost"] == 0
    assert published["acknowledged"] > 100
    deploy(deployed, bot_plugins_credentials_numbers={"trivia": 2})


def rotate(host: Deployment) -> None:
    deploy(host, bot_plugins_credentials_numbers={"trivia": 3}, bot_plugins_credentials_read="connect")


async def publish_while(host: Deployment, act: Callable[[], None]) -> dict[str, int]:
    """Publish into a stream with the operator's credential while something is done; count what came of it."""
    client = await connected(host, "operator", [])
    stream = client.jetstream()
    await stream.add_stream(name="KEPT", subjects=["kept.*"])
    acting = asyncio.create_task(asyncio.to_thread(act))
    acknowledged = 0
    while not acting.done():
        await stream.publish("kept.here", b"", timeout=30)
        acknowledged += 1
        await asyncio.sleep(0.005)
    await acting
    held = (await stream.stream_info("KEPT")).state.messages
    await client.close()
    return {"acknowledged": acknowledged, "lost": acknowledged - held}


def test_a_change_of_what_a_client_may_do_is_foretold_by_its_name(deployed: Deployment) -> None:
    declared = [
        QUOTES,
        {**TRIVIA, "publishes": ["plugin.trivia.event"]},
        {"name": "song", "publishes": ["cytube.chat"]},
    ]
    said = deploy(
        deployed, "--check", bot_plugins_declared=declared, bot_plugins_credentials_numbers={"trivia": 2, "system": 2}
    )
    told = (
        "plan: reload; echo is no client any more; new client song; "
        "trivia: may also publish rosey.dev.plugin.trivia.event; "
        "trivia: may no longer publish rosey.dev.cytube.chat.message; "
        "system: another credential'"
    )
    assert told in " ".join(said.split())
    shared = deployed.play({**PLUGINS, "bot_plugins_credentials": "shared"}, "--check")
    assert (
        "plan: reload; all clients share one credential, and may do everything: bot, quotes, trivia, echo,"
        in " ".join(shared.split())
    )


async def ask_for_a_purge(host: Deployment) -> int:
    """Let a plugin's answer go where JetStream empties a stream, and give what the stream has then."""
    client = await connected(host, "operator", [])
    stream = client.jetstream()
    await stream.add_stream(name="PURGED", subjects=["purged"])
    for _message in range(3):
        await stream.publish("purged", b"")
    await client.publish(f"{PREFIX}.commands.quote", b"{}", reply="$JS.API.STREAM.PURGE.PURGED")
    # the plugin has answered the next one by then, and so the one before it
    await client.request(f"{PREFIX}.commands.quote", b"{}", timeout=5)
    held = (await stream.stream_info("PURGED")).state.messages
    await client.close()
    return held


def test_an_answer_goes_to_inboxes_alone(deployed: Deployment) -> None:
    assert asyncio.run(ask_for_a_purge(deployed)) == 3


@pytest.mark.thorough
def test_what_is_hand_edited_to_let_all_in_is_put_right(deployed: Deployment) -> None:
    config = deployed.directory / "root" / "etc" / "nats" / "nats-server.conf"
    meant = config.read_bytes()
    text = config.read_text()
    config.write_text(text[: text.index("authorization")] + text[text.index("accounts") :])
    said = deploy(deployed, bot_plugins_credentials_numbers={"trivia": 2})
    assert "changed=0" not in said
    assert config.read_bytes() == meant


@pytest.mark.parametrize(
    ("changes", "options", "words"),
    sampled(
        [
            ({}, ["--tags", "bot_plugins"], "so that server, bot and plugins are of one piece"),
            ({}, ["--tags", "nats_server"], "the users of the server follow from what the plugins declare"),
            (
                {"nats_server_managed": False},
                [],
                "nats_server_managed is false here, set bot_plugins_credentials: shared",
            ),
            (
                {"nats_server_config": {"no_auth_user": "x"}},
                [],
                "bot_plugins_credentials is each, and nats_server_config has no_auth_user",
            ),
            (
                {"nats_server_config": {"leafnodes": {"port": 7422}}},
                [],
                "nats_server_config has leafnodes, which lets every server in, without authorization or tls.verify",
            ),
            ({"bot_plugins_credentials_numbers": {"trivai": 2}}, [], "names 'trivai', which is no client"),
            ({"bot_plugins_credentials_numbers": {"trivia": 0}}, [], "trivia has 0; expected a whole number from 1 on"),
            ({"bot_plugins_credentials_secret": "short"}, [], "has 5 characters; expected 32 at least"),
            (
                {"bot_plugins_credentials_kind": "jwt"},
                [],
                "bot_plugins_credentials_kind must be one of: password, nkey",
            ),
            ({"bot_plugins_credentials": "all"}, [], "bot_plugins_credentials must be one of: shared, each, got: all"),
            (
                {"bot_plugins_declared": [QUOTES, {"name": "Probe", "publishes": ["cytube.chat.message"]}]},
                [],
                "a plugin is called Probe, which is the name of a client",
            ),
            (
                {"bot_plugins_declared": [TRIVIA, {"name": "Trivia", "publishes": ["cytube.chat.message"]}]},
                [],
                "is there already, as trivia; expected names that differ in more than the case of letters",
            ),
            ({"bot_plugins_credentials_given": {"trivia": {"seed": "SUAB"}}}, [], "trivia: its seed"),
            ({"bot_plugins_credentials_given": {"trivia": {"token": "x"}}}, [], "neither a password nor a seed alone"),
            ({"bot_config_nats": {"name": "b", "inbox_prefix": "x"}}, [], "bot_config_nats has inbox_prefix"),
        ],
        5,
    ),
)
def test_what_can_not_be_is_refused_and_nothing_touched(
    deployed: Deployment, changes: Variables, options: list[str], words: str
) -> None:
    before = deployed.files(), deployed.varz()["config_load_time"]
    said = deployed.play({**PLUGINS, **EACH, **changes}, *options)
    assert said.startswith("exit 2"), said
    assert words in " ".join(said.split())
    assert (deployed.files(), deployed.varz()["config_load_time"]) == before


@pytest.mark.thorough
def test_each_with_a_key_in_place_of_a_password(deployed: Deployment) -> None:
    said = deploy(deployed, bot_plugins_credentials_kind="nkey")
    assert f"{len(CLIENTS)} clients proven" in said
    keys = {}
    for client in CLIENTS:
        seed_file = Path(variables_of(deployed, client)["NATS_NKEY"])
        assert seed_file.name == f"{client}.nk"
        assert seed_file.stat().st_mode & 0o777 == 0o600
        assert "NATS_PASSWORD" not in variables_of(deployed, client)
        seed = seed_file.read_bytes().strip()
        assert seed.decode() not in said
        keys[client] = nkeys.from_seed(bytearray(seed)).public_key.decode()
    name = "rosey-bot-development"
    assert users(deployed) == {
        name: keys["bot"],
        **{f"{name}-{each['name']}": keys[each["name"]] for each in (QUOTES, TRIVIA, ECHO)},
    }
    assert "changed=0" in deploy(deployed, bot_plugins_credentials_kind="nkey")


@pytest.mark.thorough
def test_back_to_passwords_no_seed_is_left(deployed: Deployment) -> None:
    assert [*deployed.directory.rglob("*.nk")]
    said = deploy(deployed)
    assert f"{len(CLIENTS)} clients proven" in said
    assert [*deployed.directory.rglob("*.nk")] == []
    assert all("NATS_NKEY" not in variables_of(deployed, client) for client in CLIENTS)


@pytest.mark.thorough
def test_back_to_one_for_all(deployed: Deployment) -> None:
    said = deployed.play({**PLUGINS, "bot_plugins_credentials": "shared"})
    assert said.startswith("exit 0"), said
    assert {*users(deployed).values()} == {""}
    environment = deployed.home / "environments" / "development"
    assert "NATS_INBOX_PREFIX" not in (environment / "secrets.env").read_text()
    assert [*(environment / "plugins").glob("*.env")] == []
    # what was in a directory of the server's stays, and lets nobody in
    assert file_of(deployed, "operator").exists()


@pytest.mark.thorough
def test_what_was_stored_while_all_shared_one_is_there_for_each(deployed: Deployment) -> None:
    async def store() -> None:
        client = await nats.connect(f"nats://127.0.0.1:{deployed.port}")
        await client.jetstream().add_stream(name="kept", subjects=["kept"])
        await client.jetstream().publish("kept", b"from before")
        await client.close()

    async def stored() -> bytes | None:
        client = await connected(deployed, "deployment", [])
        message = await client.jetstream().get_last_msg("kept", "kept")
        await client.close()
        return message.data

    asyncio.run(store())
    server = deployed.varz()["server_id"]
    deploy(deployed, bot_plugins_credentials_kind="nkey")
    assert asyncio.run(stored()) == b"from before"
    assert deployed.varz()["server_id"] == server
