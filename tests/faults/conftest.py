# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault matrix: what every row may ask for, and the table that is printed at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from ansible_collections.rosey.nats.tests.integration import conftest as integration

# Hosts are those of the integration tests.
start_container = integration.start_container
SHOWN = 100


@dataclass(frozen=True)
class Line:
    """One row of the table. said: the first line of the message. runs: what ran afterwards. gap: the longest time
    without an acknowledgement, in seconds."""

    name: str
    said: str
    runs: str
    gap: float


TABLE: list[Line] = []
Tell = Callable[..., None]


@pytest.fixture
def tell() -> Tell:
    """Give a function that adds a row to the table."""

    def add(name: str, said: str, runs: str, gap: float) -> None:
        TABLE.append(Line(name, said, runs, gap))

    return add


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "sample: a row that every run of all tests has")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not TABLE:
        return
    terminalreporter.section(f"{len(TABLE)} faults")
    width = max(len(line.name) for line in TABLE)
    runs = max(len(line.runs) for line in TABLE)
    terminalreporter.line(f"{'fault':{width}}  {'no ack':>7}  {'afterwards':{runs}}  message")
    for line in TABLE:
        said = line.said if len(line.said) <= SHOWN else f"{line.said[: SHOWN - 3]}..."
        terminalreporter.line(f"{line.name:{width}}  {line.gap:6.2f}s  {line.runs:{runs}}  {said}")
    terminalreporter.line(f"longest time without an acknowledgement: {max(line.gap for line in TABLE):.2f} s")
