# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of the diagnosis may ask for: a host to break, and the table that is printed at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from ansible_collections.rosey.nats.tests.diagnosis.ground import Ground, start_ground
from ansible_collections.rosey.nats.tests.integration import conftest as integration
from ansible_collections.rosey.nats.tests.integration.conftest import Container

start_container = integration.start_container
SHOWN = 90


@dataclass(frozen=True)
class Line:
    """One row of the table. made: what was broken; found: what was named first, and what to do."""

    made: str
    found: str
    remedy: str


TABLE: list[Line] = []
Tell = Callable[[str, str, str], None]


@pytest.fixture(scope="module")
def ground(start_container: Callable[..., Container]) -> Ground:
    """Give a host with everything on it."""
    return start_ground(start_container)


@pytest.fixture
def tell() -> Tell:
    """Give a function that adds a row to the table."""
    return lambda made, found, remedy: TABLE.append(Line(made, found, remedy))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "sample: what every run of all tests has")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not TABLE:
        return
    terminalreporter.section(f"{len(TABLE)} diagnoses")
    made = max(len(line.made) for line in TABLE)
    found = max(len(line.found) for line in TABLE)
    terminalreporter.line(f"{'made':{made}}  {'found first':{found}}  remedy")
    for line in TABLE:
        remedy = line.remedy if len(line.remedy) <= SHOWN else f"{line.remedy[: SHOWN - 3]}..."
        terminalreporter.line(f"{line.made:{made}}  {line.found:{found}}  {remedy}")
