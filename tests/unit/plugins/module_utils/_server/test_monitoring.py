# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._server import endpoints, http_reader
from ansible_collections.rosey.nats.plugins.module_utils._server.http_reader import MonitoringError
from ansible_collections.rosey.nats.plugins.module_utils._server.monitoring import ListSplitter, Monitor
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import (
    ANSWERS,
    IDENTITY,
    VARZ,
    Reply,
    fake_monitoring,
    make_certificate,
    raw_server,
    server_context,
)

TIMEOUT = 0.15
ROOT = Path(__file__).parents[5]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize("details", [False, True])
@pytest.mark.parametrize("endpoint", endpoints.ENDPOINTS)
def test_each_endpoint_is_read(endpoint: str, details: bool) -> None:
    answers: dict[str, Any] = {}
    if details:
        answers["/accountz"] = lambda query: {
            **IDENTITY,
            **({"account_detail": {"account_name": query["acc"]}} if query else {"accounts": ["$G", "$SYS"]}),
        }
    with fake_monitoring(answers) as server:
        answer = Monitor(server.url).read(endpoint, details=details)
        assert server.asked[0][0] == f"/{endpoint}"
    expected = {name: value for name, value in ANSWERS[f"/{endpoint}"].items() if value is not None}
    if endpoint == "connz":
        expected["limit"] = 0
    assert answer.items() >= expected.items()
    if endpoint == "accountz" and details:
        assert answer["account_details"] == [{"account_name": "$G"}, {"account_name": "$SYS"}]


def test_lists_are_never_null() -> None:
    with fake_monitoring({"/connz": {**ANSWERS["/connz"], "connections": None}}) as server:
        monitor = Monitor(server.url)
        assert monitor.read("leafz")["leafs"] == []
        assert monitor.read("connz")["connections"] == []
        assert monitor.read("subsz", details=True)["subscriptions_list"] == []
        assert monitor.healthz()["errors"] == []


@pytest.mark.parametrize(("total", "page"), [(0, 1024), (1, 1024), (1024, 1024), (1025, 1024), (2500, 1024), (7, 3)])
def test_connections_are_paged_to_the_end(total: int, page: int) -> None:
    def connz(query: dict[str, str]) -> dict[str, Any]:
        # a server that gives no more than a page, whatever it is asked for
        offset, limit = int(query["offset"]), min(page, int(query["limit"]))
        connections = [{"cid": number} for number in range(total)][offset : offset + limit]
        return {**ANSWERS["/connz"], "total": total, "connections": connections, "num_connections": len(connections)}

    with fake_monitoring({"/connz": connz}) as server:
        answer = Monitor(server.url).read("connz")
    assert [connection["cid"] for connection in answer["connections"]] == list(range(total))
    assert answer["num_connections"] == total


def test_paging_ends_although_the_total_is_never_reached() -> None:
    page = {**ANSWERS["/connz"], "total": 9, "connections": [{"cid": 1}, {"cid": 2}]}
    with fake_monitoring({"/connz": page}) as server:
        assert len(Monitor(server.url).read("connz")["connections"]) == 2


@pytest.mark.parametrize("endpoint", ["connz", "subsz", "jsz"])
def test_what_has_no_stable_pages_is_asked_for_at_once(endpoint: str) -> None:
    with fake_monitoring() as server:
        Monitor(server.url).read(endpoint, details=True)
        ((_path, query),) = server.asked
    assert int(query["limit"]) > 1_000_000


def test_no_answer_shows_the_token_of_a_client() -> None:
    with fake_monitoring() as server:
        Monitor(server.url).read("connz", details=True)
        assert "auth" not in server.asked[0][1]


def test_one_connection_is_kept_alive() -> None:
    with fake_monitoring() as server:
        monitor = Monitor(server.url)
        for _time in range(3):
            monitor.varz()
            monitor.healthz()
        assert server.connections == 1


@pytest.mark.parametrize("base", ["/base", "/base/", "/a/b"])
def test_a_base_path_stands_before_each_endpoint(base: str) -> None:
    with fake_monitoring({f"{base.rstrip('/')}/varz": VARZ}) as server:
        assert Monitor(server.url + base).varz()["server_name"] == "rosey_nats_test"


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with fake_monitoring() as server:
        assert Monitor(server.url).varz()["version"] == "2.10.7"


@pytest.mark.parametrize(
    ("reply", "status", "error"),
    [
        ({"status": "ok"}, 200, None),
        (Reply(b'{"status":"unavailable","error":"JetStream is off"}', status=503), 503, "JetStream is off"),
        (Reply(b'{"status":"error","errors":[{"type":"CONNECTION","error":"closed"}]}'), 200, None),
    ],
)
def test_the_body_of_healthz_counts_whatever_the_status(reply: Any, status: int, error: str | None) -> None:
    with fake_monitoring({"/healthz": reply}) as server:
        answer = Monitor(server.url).healthz()
        assert server.asked == [("/healthz", {"details": "true"})]
    assert (answer["status_code"], answer.get("error")) == (status, error)


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        pytest.param(Reply(b"<html>hello</html>"), "no JSON, and says: <html>hello</html>", id="not JSON"),
        pytest.param(Reply(b""), "no JSON, and empty", id="empty"),
        pytest.param(Reply(b"\xff\xfe\x00"), "no JSON", id="no text"),
        pytest.param(Reply(b"[" * 100_000), "half an answer", id="deeply nested"),
        pytest.param(Reply(b'{"server_id": "N'), "half an answer", id="cut JSON"),
        pytest.param(Reply(b'{"server_id": "N', announced=500), "half an answer", id="half a body"),
        pytest.param(Reply(b"[1, 2]"), "a list; expected an object", id="a list"),
        pytest.param(Reply(b"null"), "null; expected an object", id="null"),
        pytest.param(Reply(b"4"), "a number; expected an object", id="a number"),
        pytest.param(Reply(b"true"), "true or false; expected an object", id="a boolean"),
        pytest.param({"hello": "world"}, "has no server_id", id="another service"),
        pytest.param({**VARZ, "version": None}, "version is null", id="null for a text"),
        pytest.param({**VARZ, "version": 2}, "version is a number, 2; expected a text", id="number for a text"),
        pytest.param({**VARZ, "mem": "13M"}, 'mem is a text, "13M"; expected a number', id="text for a number"),
        pytest.param({**VARZ, "mem": True}, "mem is true or false, true; expected a number", id="boolean for a number"),
        pytest.param({**VARZ, "connections": [1]}, "connections is a list; expected a number", id="list for a number"),
        pytest.param({**VARZ, "jetstream": []}, "jetstream is a list; expected an object", id="list for an object"),
        pytest.param({**VARZ, "start": "yesterday"}, "start is no time: yesterday", id="no time"),
        pytest.param({**VARZ, "start": "2026-11-23T19:56:42"}, "start is no time", id="a time without zone"),
        pytest.param(Reply(b"oops\n", status=500), "HTTP status 500, and says: oops; look at the log", id="500"),
        pytest.param(Reply(b"", status=503), "HTTP status 503, and empty; look at the log", id="503"),
        pytest.param(Reply(b"nope", status=404), "HTTP status 404, and says: nope; check the path of url", id="404"),
        pytest.param(Reply(b"nope", status=401), "HTTP status 401, and says: nope", id="401"),
        pytest.param(Reply(b"x" * 500, status=400), f"says: {'x' * 80}...; ", id="a long text is cut"),
        pytest.param(
            Reply(b"", status=302, headers={"Location": "http://elsewhere/varz"}),
            "HTTP status 302, a redirect to http://elsewhere/varz",
            id="redirect",
        ),
    ],
)
def test_a_malformed_answer_names_url_and_cause(reply: Any, cause: str) -> None:
    with fake_monitoring({"/varz": reply}) as server, pytest.raises(MonitoringError) as raised:
        Monitor(server.url).varz()
    assert str(raised.value).startswith(f"{server.url}/varz: ")
    assert cause in str(raised.value)


@pytest.mark.parametrize("connections", [[1], [{}], [{"cid": "1"}], "none"])
def test_malformed_connections_name_the_cause(connections: Any) -> None:
    page = {**ANSWERS["/connz"], "total": 1, "connections": connections}
    with fake_monitoring({"/connz": page}) as server, pytest.raises(MonitoringError, match="connection"):
        Monitor(server.url).read("connz")


def _drip(connection: socket.socket) -> None:
    """Answer so slowly that no single wait for bytes is ever long, and longer than the time that is given."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _byte in range(16):
        connection.sendall(b" ")
        time.sleep(TIMEOUT / 8)


def _drip_header(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for _byte in range(16):
        connection.sendall(b"X: ")
        time.sleep(TIMEOUT / 8)


def _hang(connection: socket.socket) -> None:
    connection.settimeout(1)
    while connection.recv(1024):
        pass


@pytest.mark.parametrize(
    ("talk", "cause"),
    [
        pytest.param(_hang, "no whole answer within 0.15 seconds", id="a hang"),
        pytest.param(_drip, "no whole answer within 0.15 seconds", id="a drip"),
        pytest.param(_drip_header, "no whole answer within 0.15 seconds", id="a drip in the header"),
        pytest.param(
            lambda connection: connection.sendall(b'INFO {"server_id":"NA","version":"2.10.7"} \r\n'),
            "this is the port for clients of nats-server",
            id="the port for clients",
        ),
        pytest.param(
            lambda connection: connection.sendall(b"220 mail ready\r\n"),
            "does not speak HTTP, it says: 220 mail ready",
            id="another protocol",
        ),
        pytest.param(
            lambda connection: connection.sendall(b"\x15\x03\x01\x00\x02\x02\x16\r\n"),
            "does not speak HTTP",
            id="TLS, spoken to without",
        ),
        pytest.param(
            lambda connection: connection.sendall(b"x" * 70_000 + b"\r\n"), "does not speak HTTP", id="an endless line"
        ),
        pytest.param(lambda connection: connection.recv(4096), "closed without an answer", id="closed at once"),
        pytest.param(
            lambda connection: (connection.recv(4096), connection.sendall(b'HTTP/1.0 200 OK\r\n\r\n{"server_id"'))[0],
            "half an answer",
            id="half a body without a length",
        ),
        pytest.param(
            lambda connection: (
                connection.recv(4096),
                connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            )[0],
            "connection was closed",
            id="a broken chunk",
        ),
    ],
)
def test_something_else_at_the_port_is_named(talk: Callable[[socket.socket], None], cause: str) -> None:
    with raw_server(talk) as url, pytest.raises(MonitoringError) as raised:
        Monitor(url, timeout=TIMEOUT).varz()
    assert str(raised.value).startswith(f"{url}/varz: ")
    assert cause in str(raised.value)


def test_after_a_hang_the_next_answer_is_not_that_of_the_last_question() -> None:
    slow = iter([0.3, 0, 0])

    def varz(_query: dict[str, str]) -> dict[str, Any]:
        time.sleep(next(slow))
        return VARZ

    with fake_monitoring({"/varz": varz}) as server:
        monitor = Monitor(server.url, timeout=TIMEOUT)
        with pytest.raises(MonitoringError, match="no whole answer"):
            monitor.varz()
        assert monitor.healthz()["status"] == "ok"
        assert monitor.varz() == VARZ


def test_an_answer_beyond_all_measure_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_reader, "_LARGEST_ANSWER", 1000)
    with (
        fake_monitoring({"/varz": Reply(b" " * 2000)}) as server,
        pytest.raises(MonitoringError, match="more than 1000"),
    ):
        Monitor(server.url).varz()


def _drip_chunks(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _chunk in range(16):
        connection.sendall(b"1\r\nx\r\n")
        time.sleep(TIMEOUT / 8)


def test_what_comes_too_late_is_nobody_s() -> None:
    taken: list[bytes] = []
    with raw_server(_drip_chunks) as url:
        monitor = Monitor(url, timeout=TIMEOUT)
        with pytest.raises(MonitoringError, match="no whole answer"):
            monitor._fetch(f"{url}/jsz", {}, taken.append)
        before = len(taken)
        time.sleep(TIMEOUT)
    assert before
    assert len(taken) == before


def test_many_items_behind_a_large_one_take_a_moment() -> None:
    taken: list[Any] = []
    split = ListSplitter("stream_detail", taken.append)
    # what was waited for has doubled by the time that it is whole
    text = b'{"stream_detail": ["' + b"x" * (1 << 23) + b'"' + b',{"a":1}' * (1 << 19) + b"]}"
    started = time.process_time()
    for at in range(0, len(text), 1 << 16):
        split.feed(text[at : at + (1 << 16)])
    assert split.rest() == '{"stream_detail": []}'
    assert len(taken) == 1 + (1 << 19)
    assert time.process_time() - started < 10


def test_nothing_at_the_port_is_named(free_port: Callable[[], int]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(MonitoringError, match="connection refused, nothing listens there") as raised:
        Monitor(url).varz()
    assert raised.value.url == f"{url}/varz"


def test_a_name_that_does_not_resolve_is_named() -> None:
    with pytest.raises(MonitoringError, match=r"the name nats\.invalid can't be resolved|no whole answer"):
        Monitor("http://nats.invalid:8222", timeout=TIMEOUT).varz()


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("", "has to begin with http"),
        ("127.0.0.1:8222", "has to begin with http"),
        ("nats://127.0.0.1:4222", "has to begin with http"),
        ("http://:8222", "has to begin with http"),
        ("http://h:0", "has to begin with http"),
        ("http://h:banana", "is no URL"),
        ("http://h:99999", "is no URL"),
        ("http://[::1", "is no URL"),
        ("http://h:8222/varz?x=1", "has a query"),
        ("http://h:8222/#top", "has a fragment|has a query"),
        ("http://me:hunter2@h:8222", "holds a user or a password"),
        ("http://me:hunter2@h:banana", "holds a user or a password"),
        ("me:hunter2@h", "holds a user or a password"),
    ],
)
def test_a_url_that_can_not_be_one_is_refused_without_showing_a_password(url: str, cause: str) -> None:
    with pytest.raises(MonitoringError, match=cause) as raised:
        Monitor(url)
    assert "hunter2" not in str(raised.value)


def test_tls_with_an_authority_and_without_checking(certificate: Path) -> None:
    with fake_monitoring(tls=server_context(certificate)) as server:
        assert Monitor(server.url, ca_path=str(certificate)).varz() == VARZ
        assert Monitor(server.url, validate_certs=False).varz() == VARZ


@pytest.mark.parametrize("key", [False, True])
def test_a_server_may_ask_for_a_certificate(certificate: Path, key: bool) -> None:
    with fake_monitoring(tls=server_context(certificate, ask_client=True)) as server:
        file = str(certificate)
        monitor = Monitor(server.url, ca_path=file, client_cert=file, client_key=file if key else None)
        assert monitor.varz() == VARZ


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ({}, "the certificate of the server is not trusted"),
        ({"ca_path": "/nowhere.pem"}, "/nowhere.pem"),
        ({"validate_certs": False, "client_cert": "/nowhere.pem"}, "/nowhere.pem"),
    ],
)
def test_a_fault_of_tls_is_named(certificate: Path, arguments: dict[str, Any], cause: str) -> None:
    with fake_monitoring(tls=server_context(certificate)) as server, pytest.raises(MonitoringError) as raised:
        Monitor(server.url, **arguments).varz()
    assert str(raised.value).startswith(f"{server.url}/varz: ")
    assert cause in str(raised.value)


def test_a_missing_client_certificate_is_named(certificate: Path) -> None:
    with (
        fake_monitoring(tls=server_context(certificate, ask_client=True)) as server,
        pytest.raises(MonitoringError, match=r"no TLS connection|the connection was closed"),
    ):
        Monitor(server.url, ca_path=str(certificate)).varz()


def test_tls_spoken_to_a_server_without_is_named() -> None:
    with fake_monitoring() as server, pytest.raises(MonitoringError, match="no TLS connection: wrong version number"):
        Monitor(server.url.replace("http:", "https:")).varz()


def test_it_imports_where_requests_is_not_installed() -> None:
    program = """
import sys
sys.modules["requests"] = None
from ansible_collections.rosey.nats.plugins.module_utils._server import health, http_reader
print(http_reader.HAS_REQUESTS)
"""
    said = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT / "collections")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "False\n"


def test_what_is_answered_can_be_given_as_json() -> None:
    with fake_monitoring() as server:
        assert json.dumps({name: Monitor(server.url).read(name) for name in endpoints.ENDPOINTS})
