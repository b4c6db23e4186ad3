# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody did to the credentials of clients on a host: put right, or told, with a server that goes on serving."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client

from ansible_collections.rosey.nats.plugins.module_utils._bot import access
from ansible_collections.rosey.nats.plugins.module_utils._server.login import Trust
from ansible_collections.rosey.nats.tests import clients
from ansible_collections.rosey.nats.tests.integration.conftest import (
    QUOTES,
    Deployment,
    Variables,
    free_ports,
    install_bot,
    stop_all,
)

HELLO = {"name": "hello", "subscriptions": ["commands.hello"], "publishes": ["plugin.hello.event"]}
GIVEN: Variables = {
    "bot_plugins_declared": [QUOTES, HELLO],
    "bot_plugins_credentials": "each",
    "bot_plugins_credentials_secret": "what somebody did to this host is put right",
    "bot_config_gate_wait": 8,
}
KEYS: Variables = {**GIVEN, "bot_plugins_credentials_kind": "nkey"}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A host whose clients have passwords."""
    deployment = Deployment(tmp_path_factory.mktemp("host"), *free_ports(3))
    deployment.home.parent.mkdir(parents=True)
    install_bot(deployment.home, deployment.bot_port)
    said = deployment.play(GIVEN)
    assert said.startswith("exit 0"), said
    yield deployment
    stop_all(deployment.directory)


def plugins(host: Deployment) -> Path:
    return host.home / "environments" / "development" / "plugins"


def config(host: Deployment) -> Path:
    return host.directory / "root" / "etc" / "nats" / "nats-server.conf"


def login(file: Path) -> dict[str, str]:
    return clients.login(clients.variables(file.read_text()), lambda path: Path(path).read_text())


async def may_say_anything(host: Deployment) -> bool:
    """Tell whether the plugin hello may say what is not declared."""
    errors: list[str] = []

    async def note(error: Exception) -> None:
        errors.append(str(error))

    client: Client = await nats.connect(
        f"nats://127.0.0.1:{host.port}", **login(plugins(host) / "hello.env"), error_cb=note, allow_reconnect=False
    )
    said, _heard = await clients.try_all(client, errors, ["rosey.dev.commands.quote"])
    await client.close()
    return bool(said)


def let_hello_say_anything(host: Deployment) -> str:
    """Change the server's configuration by hand, so that it counts; give what it said before."""
    meant = config(host).read_text()
    declared = "rosey.dev.plugin.hello.event"
    assert meant.count(declared) == 1
    config(host).write_text(meant.replace(declared, '">"'))
    reload(host)
    assert asyncio.run(may_say_anything(host))
    return meant


def reload(host: Deployment) -> None:
    (pid_file,) = host.directory.rglob("nats-server.pid")
    os.kill(int(pid_file.read_text()), signal.SIGHUP)
    # until it has read it
    asyncio.run(asyncio.sleep(1))


def permissions(host: Deployment, name: str) -> dict[str, Any]:
    """Give what a client may do, as it is recorded."""
    records = host.directory / "root" / "var" / "lib" / "rosey-nats"
    current = (records / "current").read_text().strip()
    body = json.loads((records / "releases" / f"{current}.json").read_text())["body"]
    recorded: list[dict[str, Any]] = body["parts"]["plugins"]["settings"]["clients"]
    return next(each["permissions"] for each in recorded if each["name"] == name)


def differences(host: Deployment, file: str) -> set[str]:
    """Ask the server as the gate does, with a plugin's file, what is otherwise than it is meant for hello."""
    server = access.Server([f"nats://127.0.0.1:{host.port}"], Trust(), 5)
    tried: dict[str, list[str]] = {"publish": [], "subscribe": []}
    asked = access.Client("hello", login(plugins(host) / file), permissions(host, "hello"), tried)
    return {each.what for each in access.prove(server, [asked])}


def test_the_gate_names_the_client_that_has_the_credential_of_another(host: Deployment) -> None:
    assert differences(host, "hello.env") == set()
    assert differences(host, "quotes.env") == {"client hello: publish", "client hello: subscribe"}


@pytest.mark.thorough
def test_the_credential_of_another_is_put_right(host: Deployment) -> None:
    meant = (plugins(host) / "hello.env").read_bytes()
    (plugins(host) / "hello.env").write_bytes((plugins(host) / "quotes.env").read_bytes())
    said = host.play(GIVEN)
    assert said.startswith("exit 0"), said
    assert (plugins(host) / "hello.env").read_bytes() == meant


@pytest.mark.thorough
@pytest.mark.parametrize("is_put_back", [False, True])
def test_a_client_that_somebody_lets_do_anything_is_put_right(host: Deployment, is_put_back: bool) -> None:
    times = config(host).stat()
    meant = let_hello_say_anything(host)
    assert differences(host, "hello.env") == {"client hello: publish"}
    if is_put_back:
        # as a restore leaves it: the file is as it shall be, and seems to have been so for long
        config(host).write_text(meant)
        os.utime(config(host), ns=(times.st_atime_ns, times.st_mtime_ns))
    said = host.play(GIVEN)
    assert said.startswith("exit 0"), said
    assert config(host).read_text() == meant
    assert not asyncio.run(may_say_anything(host))


@pytest.mark.thorough
def test_without_a_library_for_keys_the_host_goes_back(host: Deployment) -> None:
    (library,) = host.home.rglob("nacl.pth")
    aside = library.rename(library.with_suffix(".aside"))
    before = host.files()
    said = host.play(KEYS)
    aside.rename(library)
    assert said.startswith("exit 2"), said
    assert "is back at release" in said
    assert "python3-nacl" in said
    assert host.files() == before
    assert asyncio.run(may_say_anything(host)) is False


@pytest.mark.thorough
def test_a_seed_that_is_lost_or_that_others_may_read_is_put_right(host: Deployment) -> None:
    said = host.play(KEYS)
    assert said.startswith("exit 0"), said
    lost, seen = plugins(host) / "hello.nk", plugins(host) / "quotes.nk"
    meant = lost.read_bytes()
    lost.write_bytes(b"")
    seen.chmod(0o644)
    said = host.play(KEYS)
    assert said.startswith("exit 0"), said
    assert lost.read_bytes() == meant
    assert {path.stat().st_mode & 0o777 for path in (lost, seen)} == {0o600}
