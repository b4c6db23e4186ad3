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


@dataclass(frozen=True)
class Race:
    """One row of the table of races. done: how often the attacker got something done; ended: how each run ended; gap:
    the longest time without an answer of the server, in seconds; gained: how much is the attacker's that was not."""

    who: str
    what: str
    runs: int
    done: int
    ended: list[str]
    gap: float
    gained: int


TABLE: list[Line] = []
RACES: list[Race] = []
Tell = Callable[..., None]
TellRace = Callable[[Race], None]


@pytest.fixture
def tell() -> Tell:
    """Give a function that adds a row to the table."""

    def add(name: str, said: str, runs: str, gap: float) -> None:
        TABLE.append(Line(name, said, runs, gap))

    return add


@pytest.fixture
def tell_race() -> TellRace:
    """Give a function that adds a row to the table of races."""
    return RACES.append


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "sample: a row that every run of all tests has")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TABLE:
        show_faults(terminalreporter)
    if RACES:
        show_races(terminalreporter)


def show_faults(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section(f"{len(TABLE)} faults")
    width = max(len(line.name) for line in TABLE)
    runs = max(len(line.runs) for line in TABLE)
    terminalreporter.line(f"{'fault':{width}}  {'no ack':>7}  {'afterwards':{runs}}  message")
    for line in TABLE:
        said = line.said if len(line.said) <= SHOWN else f"{line.said[: SHOWN - 3]}..."
        terminalreporter.line(f"{line.name:{width}}  {line.gap:6.2f}s  {line.runs:{runs}}  {said}")
    terminalreporter.line(f"longest time without an acknowledgement: {max(line.gap for line in TABLE):.2f} s")


def show_races(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section(f"{len(RACES)} races")
    width = max(len(race.what) for race in RACES)
    terminalreporter.line(f"{'who':5}  {'what':{width}}  runs  {'attacks':>9}  no answer  gained  ended")
    for race in RACES:
        ended = "; ".join(f"{race.ended.count(each)} {each[:SHOWN]}" for each in dict.fromkeys(race.ended))
        figures = f"{race.runs:4}  {race.done:9}  {race.gap:8.2f}s  {race.gained:6}"
        terminalreporter.line(f"{race.who:5}  {race.what:{width}}  {figures}  {ended}")
    terminalreporter.line(
        f"{sum(race.done for race in RACES)} attacks on {sum(race.runs for race in RACES)} runs, "
        f"{sum(race.gained for race in RACES)} gained"
    )
