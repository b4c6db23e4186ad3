# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of subjects against the real server: what it accepts, and what it delivers to whom."""

from __future__ import annotations

import itertools
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._server import subjects

LITERAL_TOKENS = ("a", "b", "*a", "a>")
PATTERN_TOKENS = (*LITERAL_TOKENS, "*")
NEW = "new"  # a token that no pattern has


def joined(*tokens: Iterable[str]) -> list[str]:
    return [".".join(each) for each in itertools.product(*tokens)]


# All of at most three tokens; a literal with one more, so that each pair of these patterns has its witnesses.
SHORT_PATTERNS = [
    subject for length in range(3) for subject in joined(*[PATTERN_TOKENS] * length, (*PATTERN_TOKENS, ">"))
]
PATTERNS = [*SHORT_PATTERNS, "rosey.prod.commands.quote", "rosey.*.commands.*", "rosey.prod.>"]
LITERALS = [
    *(subject for length in range(1, 5) for subject in joined(*[(*LITERAL_TOKENS, NEW)] * length)),
    "rosey.prod.commands.quote",
    "rosey.dev.commands.quote",
    "rosey.prod",
    "rosey.prod.cytube.chat.message",
    "Rosey.prod.commands.quote",
    "rosey.prod.größe",
]
TRIED = [
    subject
    for length in range(1, 5)
    for subject in joined(*[("", "a", "*", ">", "*a", ">>", "ö\x0b")] * length)
    if subject  # the protocol can't say it
]


class Connection:
    """A client that speaks the server's protocol itself, since a library would keep bad subjects back."""

    def __init__(self, port: int, **options: bool) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.lines = self.socket.makefile("rb")
        self.lines.readline()  # INFO
        self.send(f"CONNECT {json.dumps({'verbose': False, 'pedantic': False, **options})}")
        assert self.answers() == []

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lines.close()
        self.socket.close()

    def send(self, *commands: str) -> None:
        self.socket.sendall("".join(f"{command}\r\n" for command in commands).encode())

    def until_pong(self) -> list[str]:
        """Give the lines that the server sends before its answer to the next PING."""
        received: list[str] = []
        while (line := self.lines.readline()) != b"PONG\r\n":
            assert line, f"the server hung up after {received[-3:]}"
            received.append(line.decode().rstrip("\r\n"))
        return received

    def answers(self) -> list[str]:
        """Give the lines that the server sends until it has dealt with all that was sent."""
        self.send("PING")
        return self.until_pong()


@pytest.fixture(scope="module")
def port(nats_server: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    directory = tmp_path_factory.mktemp("server")
    command = [str(nats_server), "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", str(directory)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    ports = directory / f"{nats_server.name}_{process.pid}.ports"
    try:
        for _attempt in range(1000):
            if ports.exists() and (text := ports.read_text()):
                break
            time.sleep(0.01)
        yield int(json.loads(text)["nats"][0].rpartition(":")[2])
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def delivered(port: int) -> dict[str, frozenset[str]]:
    """Publish every literal, and give by pattern which of them arrived."""
    arrived: dict[str, set[str]] = {pattern: set() for pattern in PATTERNS}
    with Connection(port) as listener, Connection(port) as sender:
        listener.send(*(f"SUB {pattern} {number}" for number, pattern in enumerate(PATTERNS)))
        assert listener.answers() == []
        for literal in LITERALS:
            sender.send(f"PUB {literal} 0\r\n")
        assert sender.answers() == []
        for line in filter(None, listener.answers()):  # a message without content is an empty line
            _msg, literal, number, _size = line.split(" ")
            arrived[PATTERNS[int(number)]].add(literal)
    return {pattern: frozenset(literals) for pattern, literals in arrived.items()}


def test_a_pattern_matches_what_is_delivered(delivered: dict[str, frozenset[str]]) -> None:
    assert len(PATTERNS) * len(LITERALS) >= 5000
    wrong = [
        (pattern, literal)
        for pattern, literal in itertools.product(PATTERNS, LITERALS)
        if subjects.matches(pattern, literal) is not (literal in delivered[pattern])
    ]
    assert wrong == []


def test_a_pattern_covers_another_where_it_gets_all_that_this_gets(delivered: dict[str, frozenset[str]]) -> None:
    wrong = [
        (wide, narrow)
        for wide, narrow in itertools.product(SHORT_PATTERNS, SHORT_PATTERNS)
        if subjects.covers(wide, narrow) is not (delivered[narrow] <= delivered[wide])
    ]
    assert wrong == []


def test_patterns_overlap_where_both_get_the_same_message(delivered: dict[str, frozenset[str]]) -> None:
    wrong = [
        (one, other)
        for one, other in itertools.product(SHORT_PATTERNS, SHORT_PATTERNS)
        if subjects.overlaps(one, other) is delivered[one].isdisjoint(delivered[other])
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("command", "error", "is_accepted"),
    [
        ("SUB {} {}", "-ERR 'Invalid Subject'", subjects.is_valid),
        ("PUB {} 0\r\n", "-ERR 'Invalid Publish Subject'", subjects.is_literal),
    ],
)
def test_the_server_accepts_what_is_valid(
    port: int, command: str, error: str, is_accepted: Callable[[str], bool]
) -> None:
    with Connection(port, pedantic=True) as client:
        client.send(*(f"{command.format(subject, number)}\r\nPING" for number, subject in enumerate(TRIED)))
        refused = [subject for subject in TRIED if error in client.until_pong()]
    assert refused == [subject for subject in TRIED if not is_accepted(subject)]
    assert 0 < len(refused) < len(TRIED)


@pytest.mark.parametrize("character", [" ", "\t", "\n", "\r", "\f", "\v", "\u00a0", "x"])
def test_the_server_refuses_the_same_whitespace(nats_server: Path, tmp_path: Path, character: str) -> None:
    # The protocol takes whitespace for the end of a subject, so this asks how a configuration is read.
    subject = f"a{character}b.c"
    config = tmp_path / "nats-server.conf"
    config.write_bytes(f'mappings {{ "{subject}": "d" }}'.encode())
    done = subprocess.run([nats_server, "-t", "-c", config], capture_output=True, check=False, timeout=10)
    assert (done.returncode == 0) is subjects.is_valid(subject), done.stderr
