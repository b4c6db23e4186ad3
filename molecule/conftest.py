# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scenarios' tests may ask for besides testinfra's `host`: talks with the server on that host's loopback."""

from __future__ import annotations

import asyncio
import os
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import nats
import pytest
import requests
import yaml
from nats.aio.client import Client
from testinfra.host import Host

from ansible_collections.rosey.nats.tests import clients

# The guide's prefix of the environment that a scenario deploys, and of those that are not named here.
PREFIXES = {
    "staging": "rosey.staging",
    "production": "rosey.prod",
    "rollback": "rosey.staging",
    "secure": "rosey.prod",
    "cluster": "rosey.prod",
}
# Where each client has a credential of its own; elsewhere all of a scenario share one.
CLIENTS = "/etc/nats/clients"
DEVELOPMENT = "rosey.dev"
# A client that is refused would try for minutes.
CONNECT_SECONDS = 5
VARIABLES = Path(__file__).parent / "shared" / "vars" / "main.yml"

# Carries bytes between its own input and output and a port of the host that it runs on, until its input ends.
RELAY = "exec 3<>/dev/tcp/127.0.0.1/{port}; cat <&3 & cat >&3; kill $!"


@pytest.fixture(scope="session")
def prefix() -> str:
    """Give the prefix of the scenario's subjects."""
    return PREFIXES.get(os.environ["MOLECULE_SCENARIO_NAME"], DEVELOPMENT)


@pytest.fixture
def login(host: Host, prefix: str) -> dict[str, str]:
    """Give what a client has to log in with: nothing in development; the operator, where each has its own."""
    if prefix == DEVELOPMENT:
        return {}
    operator = host.file(f"{CLIENTS}/operator.env")
    if operator.exists:
        given = clients.variables(operator.content_string)
        return clients.login(given, lambda path: str(host.file(path).content_string))
    return {"user": "rosey", "password": yaml.safe_load(VARIABLES.read_text(encoding="utf-8"))["vault_nats_password"]}


@pytest.fixture
def trust(host: Host, prefix: str) -> dict[str, Any]:
    """Give what a client needs to know of the server's certificate, where it has one."""
    environment = {"rosey.prod": "production", "rosey.staging": "staging"}.get(prefix, "development")
    authorities = host.file(f"/opt/rosey-bot/environments/{environment}/authorities.crt")
    if not authorities.exists:
        return {}
    context = ssl.create_default_context(cadata=authorities.content_string)
    return {"tls": context, "tls_hostname": "localhost", "tls_handshake_first": True}


@pytest.fixture
def tunnel(host: Host) -> Iterator[Callable[[int], int]]:
    """Give a function that opens a local port which leads to a port of 127.0.0.1 on the host."""
    with ExitStack() as opened:

        def to(port: int) -> int:
            command = ["docker", "exec", "-i", host.backend.get_hostname(), "bash", "-c", RELAY.format(port=port)]

            class Carry(socketserver.BaseRequestHandler):
                def handle(self) -> None:
                    subprocess.run(command, stdin=self.request, stdout=self.request, check=False)

            server = opened.enter_context(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Carry))
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
            opened.callback(server.shutdown)
            return int(server.server_address[1])

        yield to


@pytest.fixture
def converse(tunnel: Callable[[int], int], login: dict[str, str], trust: dict[str, Any]) -> Callable[..., Any]:
    """Give a function that runs a coroutine function with a connected nats-py client and returns its result."""

    def run(conversation: Callable[[Client], Awaitable[Any]], *, port: int = 4222, **options: Any) -> Any:
        async def session() -> Any:
            connecting = nats.connect(f"nats://127.0.0.1:{tunnel(port)}", **{**trust, **login, **options})
            client = await asyncio.wait_for(connecting, CONNECT_SECONDS)
            try:
                return await conversation(client)
            finally:
                await client.close()

        return asyncio.run(session())

    return run


@pytest.fixture
def monitor(tunnel: Callable[[int], int]) -> Callable[..., dict[str, Any]]:
    """Give a function that asks the monitoring endpoint, as in monitor("varz")."""

    def ask(page: str, *, port: int = 8222) -> dict[str, Any]:
        answer = requests.get(f"http://127.0.0.1:{tunnel(port)}/{page}", timeout=5)
        answer.raise_for_status()
        said: dict[str, Any] = answer.json()
        return said

    return ask
