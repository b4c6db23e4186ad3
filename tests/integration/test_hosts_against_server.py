# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts, hosts to advertise and base paths: the option table takes those with which the real server can be reached."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._server import http_reader, monitoring
from ansible_collections.rosey.nats.plugins.module_utils._server.options import check, model

from .live import PAUSE, SECONDS, Live

OPTIONS: dict[str, dict[str, list[str]]] = {
    "host": {
        "taken": ["127.0.0.1", "127.0.0.2", "localhost", "0.0.0.0", ""],
        "refused": ["[::1]", "127.0.0.1:14222", "127.1", "a b", " 127.0.0.1", "2130706433", "localhost:4222", "-a"],
    },
    "client_advertise": {
        "taken": ["nats", "10.0.0.1:4222", "[2001:db8::1]", "[2001:db8::1]:4222", ""],
        "refused": ["2001:db8::1", "nats:", "nats:port", "nats://nats:4222"],
    },
    "http_base_path": {
        "taken": ["/nats", "nats/", "/a//b", "/a/../b", "/a.b~c", ""],
        "refused": ["/a?b", "/a#b", "/a%20"],
    },
}


CASES = [
    (option, value, judgement == "taken")
    for option, values in OPTIONS.items()
    for judgement in values
    for value in values[judgement]
]


@pytest.fixture
def start(nats_server: Path, tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Callable[..., Live]]:
    """Give a function that starts a server with these options, on ports of its own."""
    with ExitStack() as started:
        yield lambda config: started.enter_context(
            Live(nats_server, tmp_path / "server", {"port": free_port(), "http_port": free_port(), **config})
        )


def can_be_reached(server: Live) -> bool:
    """Wait until a server answers; false where it ends, or answers something else."""
    deadline = time.monotonic() + SECONDS
    while server.process.poll() is None and time.monotonic() < deadline:
        try:
            return bool(monitoring.Monitor(server.varz_url.removesuffix("/varz")).varz())
        except http_reader.MonitoringError as error:
            if "connection refused" not in str(error):
                return False
            time.sleep(PAUSE)
    return False


@pytest.mark.parametrize("option, value, taken", CASES)
def test_the_table_takes_what_the_server_can_be_reached_with(
    start: Callable[[dict[str, Any]], Live], option: str, value: str, taken: bool
) -> None:
    problems = check.problems({option: value})
    assert all(each.path == option and each.stage is model.Stage.RUN for each in problems)
    assert (not problems) is taken
    config = {"host": "127.0.0.1", option: value}
    assert can_be_reached(start(config)) is taken
