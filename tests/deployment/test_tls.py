# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS on, renewed, by another authority, off, step by step: each test goes on from what the one before it left."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nats
import pytest
import requests
from cryptography import x509
from nats.aio.client import Client

from ansible_collections.rosey.nats.tests import clients
from ansible_collections.rosey.nats.tests.authority import Authority, Pair
from ansible_collections.rosey.nats.tests.integration.conftest import Deployment, Variables
from ansible_collections.rosey.nats.tests.sampling import sampled

CLIENTS = 200
FIRST, SECOND = Authority("first"), Authority("second")
PAIR = FIRST.issue()


def tls(pair: Pair, *authorities: Authority, **more: Any) -> Variables:
    given = {"certificate": pair.certificate, "key": pair.key, "authorities": "".join(each.pem for each in authorities)}
    return {"nats_server_tls": {**given, **more}}


def deploy(host: Deployment, changes: Variables, *options: str) -> str:
    said = host.play(changes, *options)
    assert said.startswith("exit 0"), said
    return said


def trusting(*authorities: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cadata="".join(each.pem for each in authorities))


def rows(host: Deployment) -> list[dict[str, Any]]:
    url = f"http://127.0.0.1:{host.monitoring_port}/connz?limit=1000"
    found: list[dict[str, Any]] = requests.get(url, timeout=5).json()["connections"]
    return found


def served(host: Deployment) -> int:
    """Give the serial number of the certificate that the server shows."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", host.port), 5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        return x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"").serial_number


class Crowd:
    """Clients that are connected while something is done, and count how often they are thrown out."""

    def __init__(self, host: Deployment, **options: Any) -> None:
        self._host, self._options = host, options
        self.dropped = 0

    def meanwhile(self, act: Callable[[], Any]) -> Any:
        return asyncio.run(self._stay(act))

    async def _stay(self, act: Callable[[], Any]) -> Any:
        clients = await asyncio.gather(*(self._connect() for _each in range(CLIENTS)))
        done = await asyncio.to_thread(act)
        await asyncio.gather(*(each.flush(timeout=10) for each in clients if each.is_connected))
        self.dropped += sum(not each.is_connected for each in clients)
        await asyncio.gather(*(each.close() for each in clients))
        return done

    async def _connect(self) -> Client:
        async def ignore(_error: Exception) -> None:
            """One that is thrown out does not come back, and is counted."""

        client: Client = await nats.connect(
            f"nats://127.0.0.1:{self._host.port}",
            **self._options,
            error_cb=ignore,
            connect_timeout=10,
            allow_reconnect=False,
        )

        return client


def secured(*authorities: Authority) -> dict[str, Any]:
    return {"tls": trusting(*authorities), "tls_hostname": "127.0.0.1", "tls_handshake_first": True}


def connections(host: Deployment) -> Variables:
    return {"nats_server_config": {"max_connections": CLIENTS + 50}}


def test_a_bus_without_it_comes_first(deployed: Deployment) -> None:
    deploy(deployed, connections(deployed))
    assert not any("tls_version" in row for row in rows(deployed))


def test_it_is_predicted(deployed: Deployment) -> None:
    before = deployed.files()
    said = deploy(deployed, {**connections(deployed), **tls(PAIR, FIRST)}, "--check", "--diff")
    assert "handshake_first: true" in said
    assert "tls_handshake_first: true" in said
    assert PAIR.key.splitlines()[1] not in said
    assert deployed.files() == before


def test_on_the_bot_is_private_and_nobody_is_thrown_out(deployed: Deployment) -> None:
    crowd = Crowd(deployed)
    said = crowd.meanwhile(lambda: deploy(deployed, {**connections(deployed), **tls(PAIR, FIRST)}, "-vvv"))
    assert PAIR.key.splitlines()[1] not in said
    assert crowd.dropped == 0
    assert "reload" in said
    private = {row["name"] for row in rows(deployed) if row.get("tls_version")}
    assert private == {"rosey-bot-development", "rosey-bot-development-quotes"}
    assert served(deployed) == PAIR.serial
    key = deployed.directory / "root" / "etc" / "nats" / "tls" / "server.key"
    assert key.stat().st_mode & 0o777 == 0o640


def test_a_second_run_changes_nothing(deployed: Deployment) -> None:
    assert "changed=0" in deploy(deployed, {**connections(deployed), **tls(PAIR, FIRST)})


def test_plain_text_is_refused(deployed: Deployment) -> None:
    with socket.create_connection(("127.0.0.1", deployed.port), 5) as plain:
        plain.sendall(b'CONNECT {"verbose": false}\r\nPING\r\n')
        plain.settimeout(10)
        # no greeting, and no word but an alert of TLS
        assert b"PONG" not in plain.recv(1000)


def test_renewed_it_is_taken_up_and_nobody_is_thrown_out(deployed: Deployment) -> None:
    renewed = FIRST.issue()
    server = deployed.varz()["server_id"]
    crowd = Crowd(deployed, **secured(FIRST))
    said = crowd.meanwhile(lambda: deploy(deployed, {**connections(deployed), **tls(renewed, FIRST)}))
    assert crowd.dropped == 0
    assert "reload" in said
    assert (served(deployed), deployed.varz()["server_id"]) == (renewed.serial, server)


@pytest.mark.thorough
def test_another_authority_comes_in_order(deployed: Deployment) -> None:
    by_second = SECOND.issue()
    crowd = Crowd(deployed, **secured(FIRST, SECOND))
    for pair, authorities in ((PAIR, (FIRST, SECOND)), (by_second, (FIRST, SECOND)), (by_second, (SECOND,))):
        crowd.meanwhile(
            lambda pair=pair, authorities=authorities: deploy(
                deployed, {**connections(deployed), **tls(pair, *authorities)}
            )
        )
        # whoever has just looked at the certificate is a connection for a moment
        assert all(row.get("tls_version") for row in rows(deployed))
        assert served(deployed) == pair.serial
    assert crowd.dropped == 0


def encrypted(pair: Pair) -> str:
    return pair.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY")


@pytest.mark.parametrize(
    ("given", "words"),
    sampled(
        [
            (tls(FIRST.issue(), SECOND), "authorit"),
            (tls(FIRST.issue(until=-0.1), FIRST), "expired at"),
            (tls(FIRST.issue(["bus.example.org"]), FIRST), "expected that it is for localhost as well"),
            (tls(FIRST.issue(since=1), FIRST), "is valid from"),
            (tls(Pair(PAIR.certificate, SECOND.issue().key, 0), FIRST), "is not that of the certificate"),
            (tls(Pair(PAIR.certificate, encrypted(PAIR), 0), FIRST), "is encrypted with a passphrase"),
            (tls(Pair(PAIR.certificate, "hush", 0), FIRST), "There is no private key"),
            (tls(Pair("hello", PAIR.key, 0), FIRST), "there is no certificate in it"),
            (tls(PAIR, FIRST, names=["bus.example.org"]), "bus.example.org as well"),
            (tls(PAIR, FIRST, names="bus"), "names is no list of names"),
            (tls(PAIR, FIRST, handshake_first="yes"), "handshake_first is 'yes'; expected true or false"),
            (
                tls(PAIR, FIRST, certificate_file="/x"),
                "certificate, key, certificate_file: expected certificate and key",
            ),
            (tls(PAIR, FIRST, verify=True), "verify: it has no such option"),
            ({"nats_server_tls": {"certificate": PAIR.certificate}}, "certificate alone: expected"),
            ({"nats_server_tls": {"authorities": FIRST.pem}}, "neither: expected certificate and key"),
            ({"nats_server_tls": {"certificate_file": "x", "key_file": "/y"}}, "certificate_file is no absolute path"),
            ({"nats_server_tls": {"certificate": 1, "key": 2}}, "certificate is no text"),
            (
                {**tls(PAIR, FIRST), "nats_server_config": {"tls": {"verify": True}}},
                "tls stands in nats_server_config as well",
            ),
        ],
        3,
    ),
)
def test_what_no_client_would_take_is_refused_and_nothing_touched(
    deployed: Deployment, given: Variables, words: str
) -> None:
    before, number = deployed.files(), served(deployed)
    said = deployed.play(given)
    assert said.startswith("exit 2"), said
    assert words in " ".join(said.split())
    assert "nothing was touched" in said
    for text in (PAIR.key, "hush"):
        assert text.splitlines()[-2 if text is PAIR.key else 0] not in said
    assert (deployed.files(), served(deployed)) == (before, number)


@pytest.mark.parametrize(
    ("pair", "words"),
    sampled(
        [
            (FIRST.issue(until=-0.1), "server.crt: The certificate of CN=bus expired at"),
            (
                Pair(PAIR.certificate, SECOND.issue().key, 0),
                "server.crt: The private key is not that of the certificate",
            ),
            (FIRST.issue(["bus.example.org"]), "expected that it is for localhost as well"),
            (Pair(PAIR.certificate, "", 0), "There is no private key in the file of the key"),
            (None, "server.crt: this host has no "),
        ],
        2,
    ),
)
def test_files_of_the_host_are_judged_there(
    deployed: Deployment, tmp_path: Path, pair: Pair | None, words: str
) -> None:
    files = {"certificate_file": str(tmp_path / "server.crt"), "key_file": str(tmp_path / "server.key")}
    if pair:
        (tmp_path / "server.crt").write_text(pair.certificate)
        (tmp_path / "server.key").write_text(pair.key)
    before, number = deployed.files(), served(deployed)
    said = deployed.play({**connections(deployed), "nats_server_tls": {**files, "authorities": FIRST.pem}})
    assert said.startswith("exit 2"), said
    assert words in " ".join(said.split())
    assert (deployed.files(), served(deployed)) == (before, number)


@pytest.mark.thorough
def test_files_that_others_renew_are_taken_up_by_their_hook(deployed: Deployment, tmp_path: Path) -> None:
    certificate, key = tmp_path / "server.crt", tmp_path / "server.key"
    first, renewed = FIRST.issue(), FIRST.issue()
    given = {"certificate_file": str(certificate), "key_file": str(key), "authorities": FIRST.pem}

    def write(pair: Pair) -> None:
        certificate.write_text(pair.certificate)
        key.write_text(pair.key)

    write(first)
    assert "reload" in deploy(deployed, {**connections(deployed), "nats_server_tls": given})
    assert served(deployed) == first.serial
    write(renewed)
    (pid_file,) = deployed.directory.rglob("nats-server.pid")
    os.kill(int(pid_file.read_text()), signal.SIGHUP)
    for _attempt in range(50):
        if served(deployed) == renewed.serial:
            break
        time.sleep(0.1)
    assert served(deployed) == renewed.serial
    assert "changed=0" in deploy(deployed, {**connections(deployed), "nats_server_tls": given})
    # without the hook, the next run does it
    write(first)
    server = deployed.varz()["server_id"]
    said = deploy(deployed, {**connections(deployed), "nats_server_tls": given})
    assert f"certificate for clients: {certificate} -> another one than the server shows (reload)" in " ".join(
        said.split()
    )
    assert (served(deployed), deployed.varz()["server_id"]) == (first.serial, server)
    assert "changed=0" in deploy(deployed, {**connections(deployed), "nats_server_tls": given})


@pytest.mark.thorough
def test_off_again_the_bot_goes_back_to_plain_text(deployed: Deployment) -> None:
    crowd = Crowd(deployed, **secured(FIRST))
    foretold = deploy(deployed, connections(deployed), "--check")
    assert "clients that begin with TLS before the server says anything are let in until now" in foretold
    assert served(deployed)
    crowd.meanwhile(lambda: deploy(deployed, connections(deployed)))
    assert crowd.dropped == 0
    assert not any("tls_version" in row for row in rows(deployed))
    assert "changed=0" in deploy(deployed, connections(deployed))


@pytest.mark.thorough
def test_with_a_system_user_who_talks_in_plain_text_is_called_back(deployed: Deployment) -> None:
    each = {
        **connections(deployed),
        "bot_plugins_credentials": "each",
        "bot_plugins_credentials_secret": "of no host that anybody could reach, but long",
    }
    deploy(deployed, each)
    operator = deployed.directory / "root" / "etc" / "nats" / "clients" / "operator.env"
    login = clients.login(clients.variables(operator.read_text()), lambda path: Path(path).read_text())

    async def stay() -> tuple[int, str]:
        closed = 0

        async def note() -> None:
            nonlocal closed
            closed += 1

        plain = [
            await nats.connect(
                f"nats://127.0.0.1:{deployed.port}", **login, name="dashboard", closed_cb=note, allow_reconnect=False
            )
            for _each in range(CLIENTS)
        ]
        foretold = await asyncio.to_thread(deploy, deployed, {**each, **tls(PAIR, FIRST)}, "--check")
        assert all(client.is_connected for client in plain)
        assert "told to connect again" not in foretold
        said = await asyncio.to_thread(deploy, deployed, {**each, **tls(PAIR, FIRST)})
        for _attempt in range(50):
            if closed == CLIENTS:
                break
            await asyncio.sleep(0.1)
        return closed, said

    closed, said = asyncio.run(stay())
    assert closed == CLIENTS
    assert "told to connect again, since they talked in plain text: dashboard (127.0.0.1, cid " in said
    assert all(row.get("tls_version") for row in rows(deployed))
