# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connected clients stay connected through a reload of every option, except where the server closes them by design."""

from __future__ import annotations

import asyncio
import itertools
import ssl
import typing as t
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client

from ansible_collections.rosey.nats.plugins.module_utils._host.action import Action, least
from ansible_collections.rosey.nats.plugins.module_utils._server import conf, plan
from ansible_collections.rosey.nats.plugins.module_utils._server.options import reading
from ansible_collections.rosey.nats.tests.integration.changes import PORTS_EACH, Change, World, change, free_ports
from ansible_collections.rosey.nats.tests.integration.live import Live
from ansible_collections.rosey.nats.tests.integration.material import Config, Material, Name, places

CLIENTS = 200
SETTLED = 0.04  # seconds, in which the server has closed whom it closes, and the clients have noticed
FEWER = "max_connections below"
ONE_USER, LISTED_USER = "debug, with one user", "debug, with a list of users"

# Who connects with a key has to sign: that takes a library that the tests do without.
WITH_KEYS = ("accounts.NAME.users.0.nkey", "authorization.users.0.nkey")
# Whom the server closes, and why: those who could not come in again (server/reload.go, reloadAuthorization), and those
# that are too many. How many of them, where it is not all.
CLOSED = {
    "accounts": "they have no credentials where some are wanted now",
    "accounts.NAME.users": "they have no credentials where some are wanted now",
    "accounts.NAME.users.0.user": "their user is gone",
    "accounts.NAME.users.0.password": "their password is another now",
    "accounts.NAME.users.0.allowed_connection_types": "their kind of connection is allowed no more",
    "authorization": "they have no credentials where some are wanted now",
    "authorization.user": "their user is gone",
    "authorization.password": "their password is another now",
    "authorization.token": "their token is another now",
    "authorization.users": "they have no credentials where some are wanted now",
    # server/reload.go, clientHasMovedToDifferentAccount, looks for users in the list alone.
    "authorization.timeout": "a user outside of a list counts as gone, whatever changes",
    ONE_USER: "a user outside of a list counts as gone, whatever changes",
    FEWER: "they are more than there may be",
}


class Crowd:
    """Clients that do not come back when they are cut off."""

    def __init__(self, port: int, user_jwt: str) -> None:
        self.port = port
        self.user_jwt = user_jwt
        self.clients: list[Client] = []

    async def fill(self, config: Config) -> None:
        """Connect as many as are missing, as this configuration wants it."""
        self.clients = [client for client in self.clients if client.is_connected]
        missing = CLIENTS - len(self.clients)
        self.clients += await asyncio.gather(*(self._connected(config) for _client in range(missing)))

    async def _connected(self, config: Config) -> Client:
        tls = config.get("tls")
        context = ssl.create_default_context(cafile=tls["cert_file"]) if tls else None
        if context:
            context.load_cert_chain(tls["cert_file"], tls["key_file"])
        scheme = "tls" if tls else "nats"
        return await nats.connect(
            f"{scheme}://127.0.0.1:{self.port}",
            tls=context,
            tls_hostname="localhost" if tls else None,
            tls_handshake_first=bool(tls and tls.get("handshake_first") is True),
            allow_reconnect=False,
            error_cb=_nothing,
            **self._credentials(config),
        )

    def _credentials(self, config: Config) -> dict[str, t.Any]:
        if "operator" in config:
            return {"user_jwt_cb": self.user_jwt.encode, "signature_cb": lambda _nonce: b""}
        for block in (config.get("authorization", {}), *config.get("accounts", {}).values()):
            if "token" in block:
                return {"token": block["token"]}
            for user in (block, *block.get("users", ())):
                if "user" in user:
                    return {"user": user["user"], "password": user.get("password", "")}
        return {}

    async def lost(self) -> int:
        """Count those that were cut off."""
        before, lost = -1, 0
        while lost != before:
            # a busy machine does not get to all of them at once
            await asyncio.sleep(SETTLED)
            before, lost = lost, sum(not client.is_connected for client in self.clients)
        return lost

    async def close(self) -> None:
        await asyncio.gather(*(client.close() for client in self.clients if not client.is_closed))


async def _nothing(_error: Exception) -> None:
    """Say nothing of what is counted anyway."""


def _reloads(world: World) -> Iterator[Change]:
    """Give one change for every option that a reload takes, those of one part of the configuration together."""
    seen: set[Name] = set()
    for path in dict.fromkeys(places()):
        option = reading.find(path)
        made = change(path, world)
        planned = least(plan.reasons(made.before, made.after))
        if made.option in WITH_KEYS:
            continue
        if option and planned is Action.RELOAD and (option.block, option.name) not in seen:
            seen.add((option.block, option.name))
            yield made


def _beyond(world: World) -> Iterator[Change]:
    """Give changes in which more matters than the option."""
    connections, debug = (change((name,), world) for name in ("max_connections", "debug"))
    yield replace(connections, path=(FEWER,), after={**connections.before, "max_connections": CLIENTS // 2})
    user = {"user": "u", "password": "p"}
    for name, authorization in ((ONE_USER, user), (LISTED_USER, {"users": [user]})):
        block = {"authorization": authorization}
        yield replace(debug, path=(name,), before=debug.before | block, after=debug.after | block)


class Stage:
    """The server that runs, with the clients on it."""

    def __init__(self, binary: Path, directory: Path, crowd: Crowd) -> None:
        self.binary = binary
        self.directory = directory
        self.crowd = crowd
        self.numbers = itertools.count()
        self.server: Live | None = None
        self.config: Config = {}

    async def set(self, config: Config) -> None:
        """Bring a server up with a configuration: the one that runs where a reload does it, else a new one."""
        planned = least(plan.reasons(self.config, config))
        same_clients = ("tls" in self.config, "operator" in self.config) == ("tls" in config, "operator" in config)
        if not (self.server and same_clients and planned is not Action.RESTART and await self.reload(config)):
            await self.close()
            self.server = Live(self.binary, self.directory / str(next(self.numbers)), config)
            assert self.server.wait(), self.server.output.read_text()
            self.config = config
        await self.crowd.lost()
        await self.crowd.fill(config)

    async def reload(self, config: Config) -> bool:
        """Give the server another configuration; tell whether it takes it."""
        assert self.server
        before = await asyncio.to_thread(self.server.wait)
        assert before, self.server.output.read_text()
        self.server.config_file.write_text(conf.render(config))
        outcome = await asyncio.to_thread(self.server.signal, before)
        self.config = config
        return outcome.accepted

    async def close(self) -> None:
        await self.crowd.close()
        if self.server:
            self.server.__exit__()


async def _lost_by_change(stage: Stage, tried: list[Change]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in tried:
        await stage.set(each.before)
        assert await stage.reload(each.after), each.name
        found[each.name] = await stage.crowd.lost()
    await stage.close()
    return found


def test_clients_stay_unless_the_server_means_to_close_them(
    nats_server: Path, material: Material, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ports = tuple(itertools.islice(free_ports(), PORTS_EACH))
    files = tmp_path / "files"
    files.mkdir()
    world = World(material, ports, files)
    tried = [*_reloads(world), *_beyond(world)]
    stage = Stage(nats_server, tmp_path, Crowd(ports[0], material.user_jwt))
    lost = asyncio.run(_lost_by_change(stage, tried))
    closed = {name: count for name, count in lost.items() if count}
    with capsys.disabled():
        print(f"\nclients: {len(lost)} reloads with {CLIENTS} clients each, {len(lost) - len(closed)} lost none")
        print("\n".join(f"closed by the server: {name}, {count}: {CLOSED.get(name)}" for name, count in closed.items()))
    assert closed == {name: CLIENTS // 2 if name == FEWER else CLIENTS for name in CLOSED}
