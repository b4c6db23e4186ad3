# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small real servers that answer like nats-server's monitoring endpoint, or unlike it, and a certificate for them."""

from __future__ import annotations

import datetime
import http.server
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

SERVER_ID = "NAFAKE"
STARTED = "2026-11-23T19:56:42.03147487Z"
VARZ: dict[str, Any] = {
    "server_id": SERVER_ID,
    "server_name": "rosey_nats_test",
    "version": "2.10.7",
    "host": "127.0.0.1",
    "port": 4222,
    "max_connections": 50,
    "ping_interval": 60_000_000_000,
    "ping_max": 2,
    "max_payload": 1048576,
    "start": STARTED,
    "now": "2026-11-23T19:56:43Z",
    "config_load_time": STARTED,
    "mem": 13_000_000,
    "connections": 5,
    "total_connections": 7,
    "in_msgs": 0,
    "slow_consumers": 0,
    "jetstream": {"config": {"max_memory": 512_000_000, "max_storage": 5_000_000_000, "store_dir": "/s/jetstream"}},
}
# The guide's example of what a bot tells.
BOT: dict[str, Any] = {
    "status": "connected",
    "connected": True,
    "channel": "mychannel",
    "uptime": 12345,
    "version": "2.0.0",
    "user_count": 42,
    "requests": 1000,
    "errors": 3,
    "nats": {"connected": True, "server": "nats://localhost:4222", "subjects": 15},
}
IDENTITY = {"server_id": SERVER_ID, "now": "2026-11-23T19:56:43Z"}
JSZ = {**IDENTITY, "streams": 0, "consumers": 0, "messages": 0, "bytes": 0}


def jsz_of(*accounts: Mapping[str, Any]) -> Callable[[dict[str, str]], dict[str, Any]]:
    """Answer /jsz as the server does: all accounts without details, or the one that is asked for with them."""

    def answer(query: dict[str, str]) -> dict[str, Any]:
        if "acc" not in query:
            bare = [{name: value for name, value in each.items() if name != "stream_detail"} for each in accounts]
            return {**JSZ, "account_details": bare if "accounts" in query else None}
        wanted = [each for each in accounts if query["acc"] in (each["name"], each.get("id"))]
        return {**JSZ, "account_details": wanted or list(accounts)}

    return answer


def stream_detail(name: str, messages: int, **config: Any) -> dict[str, Any]:
    """Give a stream as /jsz shows it."""
    state = {"messages": messages, "bytes": 10 * messages, "first_seq": 1, "last_seq": messages}
    return {
        "name": name,
        "created": STARTED,
        "state": state,
        "config": {"storage": "file", "num_replicas": 1, "retention": "limits", **config},
    }


ANSWERS: dict[str, Any] = {
    "/varz": VARZ,
    "/jsz": JSZ,
    "/healthz": {"status": "ok"},
    "/connz": {**IDENTITY, "total": 0, "num_connections": 0, "offset": 0, "limit": 1024, "connections": []},
    "/subsz": {"num_subscriptions": 57},
    "/routez": {**IDENTITY, "num_routes": 0, "routes": []},
    "/leafz": {**IDENTITY, "leafnodes": 0, "leafs": None},
    "/gatewayz": {**IDENTITY, "outbound_gateways": {}, "inbound_gateways": {}},
    "/accountz": {**IDENTITY, "accounts": ["$G", "$SYS"]},
}


class Reply:
    """An HTTP answer. announced: the Content-Length, where it is not that of the body."""

    def __init__(
        self, body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None, announced: int | None = None
    ) -> None:
        self.body = body
        self.status = status
        self.headers = dict(headers or {})
        self.announced = len(body) if announced is None else announced


class FakeMonitoring:
    """What a fake server answers by path, a mapping, a Reply or a function of the query, and what it was asked."""

    def __init__(self, url: str, answers: dict[str, Any]) -> None:
        self.url = url
        self.answers = answers
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.connections = 0

    def reply(self, target: str) -> Reply:
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query))
        self.asked.append((parts.path, query))
        answer = self.answers.get(parts.path, Reply(b"404 page not found\n", status=404))
        if callable(answer):
            answer = answer(query)
        return answer if isinstance(answer, Reply) else Reply(json.dumps(answer).encode())


@contextmanager
def fake_monitoring(
    answers: Mapping[str, Any] | None = None, *, tls: ssl.SSLContext | None = None
) -> Iterator[FakeMonitoring]:
    """Serve these answers over those of a healthy server; paths begin with a slash."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # header and body in one packet, else each answer waits for an acknowledgement

        def setup(self) -> None:
            fake.connections += 1
            super().setup()

        def do_GET(self) -> None:
            reply = fake.reply(self.path)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(reply.announced))
            self.end_headers()
            self.wfile.write(reply.body)
            self.close_connection = reply.announced != len(reply.body)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_arguments: object) -> None:
            """Say nothing of clients that go away, as those do that do not trust the certificate."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
        fake = FakeMonitoring(url, {**ANSWERS, **(answers or {})})
        thread = threading.Thread(target=server.serve_forever, args=(0.005,))
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def raw_server(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve TCP with a function that is given each connection; gives the URL."""
    done = threading.Event()

    def accept() -> None:
        while not done.is_set():
            try:
                connection, _address = listener.accept()
            except TimeoutError:
                continue
            with connection:
                try:
                    talk(connection)
                except OSError:
                    continue

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.005)
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            done.set()
            thread.join()


def make_certificate(directory: Path) -> Path:
    """Write a self-signed certificate for 127.0.0.1 with its key into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fake")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / "certificate.pem"
    encoding = serialization.Encoding.PEM
    path.write_bytes(
        certificate.public_bytes(encoding)
        + key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


def server_context(certificate: Path, *, ask_client: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if ask_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificate)
    return context
