# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import nkeys as library
import pytest

from ansible_collections.rosey.nats.plugins.module_utils._server import nkeys
from ansible_collections.rosey.nats.plugins.module_utils._server.login import (
    Flaw,
    Login,
    LoginError,
    Step,
    Trust,
    log_in,
    session,
)
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import make_certificate, raw_server, server_context

LOGIN = MappingProxyType({"user": "rosey", "password": "hunter2"})
INFO = b'INFO {"server_id": "N", "version": "2.10.7"}\r\n'
Talk = Callable[[socket.socket], None]


def heard(connection: socket.socket) -> bytes:
    """Read what the client says, to the end of its PING."""
    said = b""
    while not said.endswith(b"PING\r\n") and (piece := connection.recv(4096)):
        said += piece
    return said


def says(greeting: bytes, answer: bytes = b"") -> Talk:
    """Give a server that greets so, and answers so to whatever the client says."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(greeting)
        heard(connection)
        connection.sendall(answer)

    return talk


def tried(talk: Talk, credentials: Mapping[str, str] | None = LOGIN, scheme: str = "nats", **trust: Any) -> Login:
    with raw_server(talk) as url:
        return log_in(f"{scheme}://{url.partition('://')[2]}", credentials, Trust(**trust), name="tried", seconds=1)


@pytest.mark.parametrize(
    ("talk", "failed", "error"),
    [
        (says(INFO, b"PONG\r\n"), Step.DONE, ""),
        (says(INFO, b"PING\r\n+OK\r\nPONG\r\n"), Step.DONE, ""),
        (says(INFO, b"-ERR 'Authorization Violation'\r\n"), Step.LOG_IN, "Authorization Violation"),
        (says(INFO), Step.LOG_IN, "the other side ended the connection"),
        (says(b"-ERR 'maximum connections exceeded'\r\n"), Step.LOG_IN, "maximum connections exceeded"),
        (says(b"SSH-2.0-OpenSSH_9.2\r\n"), Step.GREET, "no greeting of a NATS server"),
        (says(b"INFO []\r\n"), Step.GREET, "no greeting of a NATS server"),
        (says(b"INFO {\r\n"), Step.GREET, "no greeting of a NATS server"),
        (says(b'INFO {"a":' + b"[" * 100_000 + b"\r\n"), Step.GREET, "no greeting of a NATS server"),
        (lambda _connection: None, Step.GREET, "the other side ended the connection"),
        (lambda connection: connection.recv(1) and None, Step.GREET, "timed out"),
        (says(b'INFO {"tls_required": true}\r\nno TLS'), Step.ENCRYPT, None),
    ],
)
def test_the_step_that_fails_is_told(talk: Talk, failed: Step, error: str | None) -> None:
    login = tried(talk)
    assert (login.failed, login.addresses) == (failed, ("127.0.0.1",))
    assert login.error == error or (error is None and login.error)
    assert login.succeeded is (failed is Step.DONE)


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        (LOGIN, {"user": "rosey", "pass": "hunter2"}),
        ({"token": "hunter2"}, {"auth_token": "hunter2"}),
        ({}, {}),
    ],
)
def test_the_client_says_who_it_is(credentials: dict[str, str], expected: dict[str, str]) -> None:
    said: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        connection.sendall(INFO)
        said.append(heard(connection))
        connection.sendall(b"PONG\r\n")

    login = tried(talk, credentials)
    assert login.info["version"] == "2.10.7"
    given = json.loads(said[0].removeprefix(b"CONNECT ").partition(b"\r\n")[0])
    assert {name: given[name] for name in given.keys() & {"user", "pass", "auth_token"}} == expected
    assert "hunter2" not in repr(login)


def test_credentials_of_another_kind_are_not_tried() -> None:
    said: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        connection.sendall(INFO)
        said.append(connection.recv(10))

    assert tried(talk, None).succeeded
    assert said == [b""]


def secured(certificate: Path, greeting: bytes = b'INFO {"tls_required": true}\r\n') -> Talk:
    def talk(connection: socket.socket) -> None:
        connection.settimeout(5)
        connection.sendall(greeting)
        with server_context(certificate).wrap_socket(connection, server_side=True) as encrypted:
            heard(encrypted)
            encrypted.sendall(b"PONG\r\n")

    return talk


@pytest.mark.parametrize(
    ("trusted", "name", "flaw", "names"),
    [
        (True, None, None, ()),
        (False, None, Flaw.UNTRUSTED, ()),
        (True, "bus.internal", Flaw.NAME, ("127.0.0.1",)),
    ],
)
def test_a_certificate_is_judged(
    tmp_path: Path, trusted: bool, name: str | None, flaw: Flaw | None, names: tuple[str, ...]
) -> None:
    certificate = make_certificate(tmp_path)
    login = tried(secured(certificate), ca_file=str(certificate) if trusted else None, name=name)
    assert (login.failed, login.flaw, login.names) == (Step.ENCRYPT if flaw else Step.DONE, flaw, names)


def test_a_client_that_asks_for_encryption_takes_what_is_offered(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    offered = secured(certificate, b'INFO {"tls_available": true}\r\n')
    assert tried(offered, scheme="tls", ca_file=str(certificate)).succeeded
    assert tried(says(INFO, b"PONG\r\n"), scheme="tls").succeeded


def test_encryption_may_come_first(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)

    def talk(connection: socket.socket) -> None:
        with server_context(certificate).wrap_socket(connection, server_side=True) as encrypted:
            encrypted.sendall(INFO)
            heard(encrypted)
            encrypted.sendall(b"PONG\r\n")

    assert tried(talk, ca_file=str(certificate), first=True).succeeded


@pytest.mark.parametrize("name", ["nats..local", ".local", f"{'n' * 64}.local"])
def test_a_name_that_no_certificate_is_for(tmp_path: Path, name: str) -> None:
    login = tried(secured(make_certificate(tmp_path)), name=name)
    assert login.failed == Step.ENCRYPT
    assert login.error


def test_an_authority_that_is_not_there_is_told(tmp_path: Path) -> None:
    login = tried(secured(make_certificate(tmp_path)), ca_file=str(tmp_path / "none.pem"))
    assert (login.failed, login.error) == (Step.ENCRYPT, "No such file or directory")


@pytest.mark.parametrize("name", ["bus.invalid", "nats..local", f"{'n' * 64}.local"])
def test_a_name_that_means_nothing(name: str) -> None:
    login = log_in(f"nats://{name}:4222", LOGIN, Trust(), name="tried", seconds=1)
    assert (login.failed, login.addresses) == (Step.RESOLVE, ())
    assert login.error


def test_a_port_on_which_nothing_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        login = log_in(f"nats://127.0.0.1:{port}", LOGIN, Trust(), name="tried", seconds=1)
    assert (login.failed, login.error, login.port) == (Step.CONNECT, "127.0.0.1: Connection refused", port)


def test_a_key_signs_what_the_server_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        connection.sendall(b'INFO {"nonce": "abc"}\r\n')
        said.append(heard(connection))
        connection.sendall(b"PONG\r\n")

    seed = nkeys.user_seed(bytes(range(32)))
    assert tried(talk, {"nkeys_seed_str": seed}).succeeded
    given = json.loads(said[0].removeprefix(b"CONNECT ").partition(b"\r\n")[0])
    assert (given["name"], given["nkey"]) == ("tried", nkeys.public_key(seed))
    signed = base64.urlsafe_b64decode(given["sig"] + "==")
    assert library.from_seed(bytearray(seed.encode())).verify(b"abc", signed)
    assert seed not in said[0].decode()

    monkeypatch.setattr(nkeys, "HAS_LIBRARY", False)
    login = tried(talk, {"nkeys_seed_str": seed})
    assert login.failed is Step.LOG_IN
    assert "has no cryptography or PyNaCl (python3-nacl)" in login.error


def test_a_seed_that_is_none_is_told_without_it() -> None:
    login = tried(says(INFO), {"nkeys_seed_str": "SUAHUSH"})
    assert (login.failed, "HUSH" in login.error) == (Step.LOG_IN, False)
    assert "checksum" in login.error


def answers(*said: bytes) -> Talk:
    """Give a server that lets a client in, and says so when it is asked something."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(INFO)
        heard(connection)
        connection.sendall(b"PONG\r\n")
        heard(connection)
        for piece in said:
            connection.sendall(piece)

    return talk


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ((b"MSG i 1 5\r\nhello\r\nPONG\r\n",), (b"hello", [])),
        # in any order, in any pieces, and a question of the server's own in between
        ((b"PING\r\nPONG\r\nMSG i 1 ", b"7\r\nhe\r\n", b"llo\r\n"), (b"he\r\nllo", [])),
        (
            (b"-ERR 'Permissions Violation for Publish to \"x\"'\r\nMSG i 1 0\r\n\r\nPONG\r\n",),
            (b"", ['Permissions Violation for Publish to "x"']),
        ),
        ((b"-ERR 'Stale Connection'\r\n",), "Stale Connection"),
        ((b"HMSG i 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\nPONG\r\n",), "nobody answers"),
        ((b"PONG\r\n",), "the other side ended the connection"),
        ((b"MSG i 1 2000000000\r\n",), "announced 2000000002 bytes"),
        ((b"MSG i 1 -5\r\n",), "announced -3 bytes"),
        ((b"MSG i 1 x\r\n",), "invalid literal"),
        ((b"x" * (1 << 20) + b"xx\r\n",), "more than 1048576 bytes in a line"),
    ],
)
def test_what_a_client_is_told(said: tuple[bytes, ...], expected: tuple[bytes, list[str]] | str) -> None:
    with (
        raw_server(answers(*said)) as url,
        session(f"nats://{url.partition('://')[2]}", LOGIN, Trust(), name="tried", seconds=5) as opened,
    ):
        if isinstance(expected, str):
            with pytest.raises((OSError, ValueError), match=expected):
                opened.ask("who", "i", publish=["x"])
        else:
            assert opened.ask("who", "i", publish=["x"]) == expected


def test_one_who_says_a_little_again_and_again_keeps_nobody() -> None:
    def talk(connection: socket.socket) -> None:
        while connection.send(b"x"):
            time.sleep(0.05)

    since = time.monotonic()
    login = tried(talk)
    assert (login.failed, login.error) == (Step.GREET, "timed out")
    assert time.monotonic() - since < 3


@pytest.mark.parametrize("said", [b"PING\r\n", b"+OK\r\n", b"-ERR 'Permissions Violation for Publish to \"x\"'\r\n"])
@pytest.mark.parametrize("when", ["before it is let in", "once it asks"])
def test_who_says_something_again_and_again_is_heard_for_a_moment(said: bytes, when: str) -> None:
    def talk(connection: socket.socket) -> None:
        connection.sendall(INFO)
        heard(connection)
        if when == "once it asks":
            connection.sendall(b"PONG\r\n")
            heard(connection)
        elif b"ERR" in said:
            return
        while True:
            connection.sendall(said * 100)

    begin = time.monotonic()
    with (
        raw_server(talk) as url,
        pytest.raises((LoginError, OSError), match=r"timed out|ended the connection|[Rr]eset|[Bb]roken pipe"),
        session(f"nats://{url.partition('://')[2]}", LOGIN, Trust(), name="x", seconds=0.3) as opened,
    ):
        opened.ask("a", "i")
    assert time.monotonic() - begin < 3
