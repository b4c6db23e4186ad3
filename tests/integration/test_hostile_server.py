# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Something that means ill listens where the server, its monitoring or the bot should, and answers as no server does.

Who asks ends in time, with little memory, and with words of ours; nothing that was answered is run, obeyed by a
terminal or taken for markup. The table of times and of memory is printed at the end of the module.
"""

from __future__ import annotations

import json
import os
import re
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.tests.integration.conftest import ROOT, Deployment, free_ports, run_playbook
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import ANSWERS, BOT, fake_monitoring, raw_server

Talk = Callable[[socket.socket], None]
SECONDS = 1.0  # that an answer may take
MOST_SECONDS = 15.0  # on a machine that has much to do
MOST_MEMORY = 400  # MiB
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>"
EVIL = f"\x1b[2J\x1b]0;x\x07{MARKUP}{{{{ lookup('pipe', 'touch %s') }}}}\n\u2028\u202e"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
INFO = b'INFO {"server_id": "N", "version": "2.10.7", "max_payload": 1048576}\r\n'

# Who asks runs in a process of its own, so that its memory is seen.
ASK = """
import json, sys, time
given = json.load(sys.stdin)
from ansible_collections.rosey.nats.plugins.module_utils._bot import access, bot_expectation, bot_python, round_trips
from ansible_collections.rosey.nats.plugins.module_utils._server import http_reader, login, monitoring
url = given["url"]
nats = url.replace("http", "nats")
def monitor():
    return monitoring.Monitor(url, timeout=given["seconds"]).varz()
def streams():
    return monitoring.Monitor(url, timeout=given["seconds"]).account_streams("$G", lambda stream: None)
def bot():
    return http_reader.Reader(url, bot_expectation.BOT, timeout=given["seconds"]).ask(url)
def gate():
    rules = {"publish": {"allow": ["x"]}}
    client = access.Client("quotes", {"user": "a", "password": "hush"}, rules, {"publish": ["y"], "subscribe": []})
    return access.prove(access.Server([nats], login.Trust(), given["seconds"]), [client])
def trips():
    trip = round_trips.RoundTrip("a", "b", 10, 100)
    python = bot_python.BotPython(sys.executable, None, None)
    return round_trips.make_trips(
        trip, python=python, servers=[nats], options={}, credentials={}, name="n", timeout=given["seconds"]
    )
begin = time.monotonic()
try:
    said = str([str(each) for each in found]) if isinstance(found := globals()[given["who"]](), list) else str(found)
except http_reader.MonitoringError as error:
    said = str(error)
took = time.monotonic() - begin
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
print(json.dumps({"said": said[:2000], "took": took, "peak": int(peak) // 1024}))
"""


@dataclass(frozen=True)
class Row:
    """What answers, how, and a part of what is told of it."""

    name: str
    who: str
    talk: Talk
    told: str


LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
TABLE: list[tuple[str, str, float, int, str]] = []


@pytest.fixture(scope="module", autouse=True)
def _table() -> Iterator[None]:
    yield
    print(f"\n{'who':8} {'what':36} {'took':>7} {'peak':>9}  told")
    for who, name, took, peak, told in TABLE:
        print(f"{who:8} {name:36} {took:6.2f}s {peak:5} MiB  {told[:90]!r}")


def body(content: bytes) -> Talk:
    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(OK + b"Content-Length: %d\r\n\r\n" % len(content) + content)

    return talk


def forever(head: bytes, piece: bytes, *, pause: float = 0, after: bytes = b"") -> Talk:
    """Give a server that says the same again and again. after: what it hears before."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(head if after else b"")
        heard = b""
        while after not in heard or not heard:
            if not after and head.startswith(b"INFO"):
                break
            heard += connection.recv(65536)
        connection.sendall(b"" if after else head)
        while True:
            connection.sendall(piece)
            time.sleep(pause)

    return talk


def silent(connection: socket.socket) -> None:
    connection.settimeout(30)
    while connection.recv(65536):
        pass


def redirect(location: bytes) -> Talk:
    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n")

    return talk


def answering(payload: bytes) -> Talk:
    """Give a server that lets everybody in, and has this answer to a client that asks what it may do."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(INFO)
        heard = b""
        while b"PING" not in heard:
            heard += connection.recv(65536)
        connection.sendall(b"PONG\r\n")
        while b"PUB " not in heard:
            heard += connection.recv(65536)
        connection.sendall(b"MSG i 1 %d\r\n" % len(payload) + payload + b"\r\nPONG\r\n")
        silent(connection)

    return talk


def says(words: bytes) -> Talk:
    def talk(connection: socket.socket) -> None:
        connection.sendall(words)
        silent(connection)

    return talk


LENGTH = b"Content-Length: 2147483648\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
CHUNK = b"10000\r\n" + b"x" * 65536 + b"\r\n"
NO_ANSWER, NO_HTTP, TOO_MUCH = "no whole answer within 1 seconds", "does not speak HTTP", "the answer has more than"
HTTP = [
    ("a body of 2 GB", forever(OK + LENGTH, b"[1," * (1 << 18)), f"{TOO_MUCH}|{NO_ANSWER}"),
    ("chunks without end", forever(OK + CHUNKED, CHUNK), f"{TOO_MUCH}|{NO_ANSWER}"),
    ("a header without end", forever(OK + b"X: ", b"x" * 65536), NO_HTTP),
    ("headers without end", forever(OK, b"X: y\r\n" * 1000), NO_HTTP),
    ("a header, a byte now and then", forever(OK + b"X: ", b"x", pause=0.1), NO_ANSWER),
    ("a body, a byte now and then", forever(OK + LENGTH, b"{", pause=0.1), NO_ANSWER),
    ("silence", silent, NO_ANSWER),
    ("a redirect to itself", redirect(b"/"), "a redirect to /; expected an answer"),
    ("a redirect to a file", redirect(b"file:///etc/shadow"), "a redirect to file:///etc/shadow; expected an answer"),
    ("lists, 100,000 deep", body(b"[" * 100_000 + b"]" * 100_000), "half an answer"),
    ("objects, 100,000 deep", body(b'{"a":' * 100_000 + b"1" + b"}" * 100_000), "half an answer"),
    (
        "a million keys",
        body(json.dumps(dict.fromkeys(map(str, range(10**6)), 0)).encode()),
        f"has no |200, |{NO_ANSWER}",
    ),
    ("a number of 5,000 digits", body(b'{"server_id": ' + b"9" * 5000 + b"}"), "half an answer|is a number|200, "),
    ("NaN", body(b'{"server_id": NaN}'), "half an answer"),
    ("a terminal's escapes", body(json.dumps(EVIL).encode()), "the answer is a text; expected an object"),
]
DEEP, MANY = b"[" * 400_000, json.dumps({"data": {"permissions": dict.fromkeys(map(str, range(50_000)), 1)}}).encode()
EVIL_RULES = {"data": {"account": EVIL, "permissions": {EVIL: {EVIL: [EVIL, {}, 1]}, "publish": EVIL}}}
NATS = [
    ("INFO of 100 MB", says(b'INFO {"a": "' + b"x" * 100_000_000 + b'"}\r\n'), "in a line|exceed the limit|timed out"),
    ("INFO without end", forever(b'INFO {"a": "', b"x" * 65536), "in a line|exceed the limit|timed out"),
    ("INFO, a byte now and then", forever(b"INFO {", b"x", pause=0.1), "timed out|Timeout"),
    ("INFO, 400,000 deep", says(b"INFO {" + DEEP + b"\r\n"), "no greeting|limit|timed out"),
    ("PING without end", forever(INFO, b"PING\r\n" * 1000), "timed out|silence|Timeout"),
    (
        "an error with a terminal's escapes",
        says(INFO + f"-ERR '{EVIL}'".replace("\n", " ").encode() + b"\r\n"),
        "script",
    ),
    ("silence", silent, "timed out|Timeout"),
    ("silence after its greeting", says(INFO), "timed out|Timeout|silence"),
]
ASKED = [
    ("rules with a terminal's escapes", answering(json.dumps(EVIL_RULES).encode()), "expected account"),
    ("an answer, 400,000 deep", answering(DEEP), "nested too deep"),
    ("50,000 rules", answering(MANY), "expected no rule"),
    ("an answer of NaN", answering(b'{"data": {"account": NaN, "permissions": NaN}}'), "found nan"),
    ("an answer of 1 GB", says(INFO + b"PONG\r\nMSG i 1 1000000000\r\n" + b"x" * 1000), "announced 1000000002 bytes"),
]
# Who else reads HTTP, or asks with the bot's own library, has a few of these.
BOT_TOO, TRIPS_TOO = {"a body of 2 GB", "silence"}, {"INFO without end", "PING without end", "silence", NATS[5][0]}
ROWS = [
    *(Row(name, "monitor", talk, told) for name, talk, told in HTTP),
    *(Row(name, "bot", talk, told) for name, talk, told in HTTP if name in BOT_TOO),
    *(Row(name, "streams", talk, told) for name, talk, told in HTTP[:2]),
    *(Row(name, "gate", talk, told) for name, talk, told in (*NATS, *ASKED)),
    *(Row(name, "trips", talk, told) for name, talk, told in NATS if name in TRIPS_TOO),
]


def asked(who: str, url: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        input=json.dumps({"who": who, "url": url, "seconds": SECONDS}),
        env={**os.environ, "PYTHONPATH": str(ROOT / "collections")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("row", [pytest.param(row, id=f"{row.who}: {row.name}") for row in ROWS])
def test_it_ends_in_time_with_words_of_ours(row: Row) -> None:
    with raw_server(row.talk) as url:
        found = asked(row.who, url)
    TABLE.append((row.who, row.name, found["took"], found["peak"], found["said"]))
    assert re.search(row.told, found["said"]), found["said"]
    assert found["said"].isprintable()
    assert found["took"] < MOST_SECONDS
    assert found["peak"] < MOST_MEMORY


def evil(value: Any, marker: Path) -> Any:
    """Put what does harm in the place of every text, but of those that have a form."""
    if isinstance(value, dict):
        formed = {"start", "now", "config_load_time", "uptime", "status"}
        return {name: each if name in formed else evil(each, marker) for name, each in value.items()}
    if isinstance(value, list):
        return [evil(each, marker) for each in value]
    return EVIL % marker if isinstance(value, str) else value


def test_nothing_of_an_answer_is_run_or_obeyed(tmp_path: Path) -> None:
    marker, page = tmp_path / "run", tmp_path / "report.html"
    port, monitoring_port, bot_port = free_ports(3)
    answers = {path: evil(answer, marker) for path, answer in ANSWERS.items()}
    with fake_monitoring({**answers, "/api/health": evil(BOT, marker)}) as server:
        host = Deployment(tmp_path, port, monitoring_port, bot_port)
        play = [
            {
                "hosts": "all",
                "gather_facts": False,
                "tasks": [
                    {
                        "rosey.nats.nats_info": {"monitoring_url": server.url, "gather": ["varz", "connz"]},
                        "register": "seen",
                    },
                    {"ansible.builtin.debug": {"msg": "{{ seen.varz.server_name }} {{ seen.connz }}"}},
                    {"ansible.builtin.fail": {"msg": "{{ seen.varz.version }}"}},
                ],
            }
        ]
        (tmp_path / "play.yml").write_text(json.dumps(play))
        settings = {"ANSIBLE_STDOUT_CALLBACK": "rosey.nats.concise"}
        (tmp_path / "one.yml").write_text(json.dumps({"all": {"hosts": {"here": LOCAL}}}))
        said = run_playbook(str(tmp_path / "play.yml"), tmp_path / "one.yml", environment=settings)
        assert said.startswith("exit 2"), said
        assert "touch" in said
        changes = {
            "nats_server_config": {"http_port": int(server.url.rpartition(":")[2])},
            "bot_config_health_url": f"{server.url}/api/health",
        }
        looked = [
            host.play(changes, f"-erosey_report={page}", playbook=f"playbooks/{name}.yml", environment=settings)
            for name in ("health", "diagnose")
        ]
    # what the task before shows as it is, is shown in Ansible's own way
    for each in (said.partition("fatal:")[2], *looked):
        assert "Traceback" not in each
        assert not [character for character in each if not character.isprintable() and character not in "\n\t"]
    assert server.asked
    assert not marker.exists()
    assert "<script>alert" not in page.read_text()
    assert "<img src=x" not in page.read_text()


@pytest.mark.parametrize("number", [10_000])
def test_many_connections_are_no_reason_to_wait(nats_server: Path, tmp_path: Path, number: int) -> None:
    port, monitoring_port = free_ports(2)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < number + 1000:
        pytest.skip(f"this machine lets a process open {hard} files")
    words = [nats_server, "-a", "127.0.0.1", "-p", str(port), "-m", str(monitoring_port)]
    with ExitStack() as opened:
        opened.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (number + 1000, hard))
        server = opened.enter_context(subprocess.Popen(words, stderr=subprocess.DEVNULL))
        opened.callback(server.terminate)
        time.sleep(1)
        held = []
        for each in (port, monitoring_port):
            held += [opened.enter_context(socket.create_connection(("127.0.0.1", each))) for _one in range(number // 2)]
        for who, listens in (("monitor", monitoring_port), ("gate", port), ("trips", port)):
            found = asked(who, f"http://127.0.0.1:{listens}")
            TABLE.append((who, f"{number} connections held", found["took"], found["peak"], found["said"]))
            assert found["took"] < MOST_SECONDS
            assert "timed out" not in found["said"]
            assert found["said"].isprintable()
