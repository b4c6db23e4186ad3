# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from ansible_collections.rosey.nats.plugins.module_utils import service

UNIT = {
    "LoadState": "loaded",
    "UnitFileState": "enabled",
    "MainPID": "0",
    "ActiveState": "inactive",
    "SubState": "dead",
    "NRestarts": "0",
    "NeedDaemonReload": "no",
}


def look_up(**changes: str) -> service.Service:
    """Look a service up that systemd shows with these changes."""
    shown = "".join(f"{name}={value}\n" for name, value in {**UNIT, **changes}.items())
    return service.look_up("nats", lambda _command: (0, shown, ""))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, service.Service(exists=True, enabled=True, running=None)),
        ({"UnitFileState": "enabled-runtime"}, service.Service(exists=True, enabled=True, running=None)),
        ({"UnitFileState": "disabled"}, service.Service(exists=True, enabled=False, running=None)),
        (
            {"LoadState": "not-found", "UnitFileState": ""},
            service.Service(exists=False, enabled=False, running=None),
        ),
        (
            {"ActiveState": "failed", "SubState": "failed"},
            service.Service(exists=True, enabled=True, running=None, failing=True),
        ),
        (
            {"ActiveState": "activating", "SubState": "auto-restart"},
            service.Service(exists=True, enabled=True, running=None, failing=True),
        ),
        (
            {"ActiveState": "activating", "SubState": "start-pre", "NRestarts": "1"},
            service.Service(exists=True, enabled=True, running=None, failing=True),
        ),
        ({"NeedDaemonReload": "yes"}, service.Service(exists=True, enabled=True, running=None, unread=True)),
        (
            {"ActiveState": "activating", "SubState": "start"},
            service.Service(exists=True, enabled=True, running=None),
        ),
    ],
)
def test_a_unit_is_read(changes: dict[str, str], expected: service.Service) -> None:
    assert look_up(**changes) == expected


def test_its_process_is_found() -> None:
    found = look_up(MainPID=str(os.getpid()), ActiveState="active", SubState="running")
    assert found.running is not None
    assert found.running.pid == os.getpid()


def test_a_systemd_that_does_not_answer_is_told() -> None:
    with pytest.raises(service.ServiceError, match="systemctl does not answer: no bus"):
        service.look_up("nats", lambda _command: (1, "", "no bus\n"))


class Systemd:
    """Answers as systemctl and journalctl do."""

    def __init__(self, *states: tuple[str, int], journal: str = "") -> None:
        self.states, self.journal = iter(states), journal
        self.read: Sequence[str] = ()

    def __call__(self, words: Sequence[str]) -> tuple[int, str, str]:
        if words[0] == "journalctl":
            self.read = words
            return 0, self.journal, ""
        state, restarts = next(self.states)
        return 0, f"ActiveState={state}\nNRestarts={restarts}\nExecMainStartTimestamp=@{1000 + restarts}\n", ""


@pytest.mark.parametrize(
    ("states", "hopeless"),
    [
        ([("active", 0)], [False]),
        ([("failed", 0)], [True]),
        ([("activating", 0), ("activating", 1), ("active", 2)], [False, False, True]),
        # what was long ago does not count
        ([("active", 7), ("active", 8), ("active", 9)], [False, False, True]),
    ],
)
def test_a_service_that_ends_again_and_again_is_hopeless(states: list[tuple[str, int]], hopeless: list[bool]) -> None:
    attempts = service.Attempts("nats", Systemd(*states))
    assert [attempts.is_hopeless() for _look in states] == hopeless


def test_where_systemd_does_not_answer_there_is_hope() -> None:
    assert not service.Attempts("nats", lambda _words: (1, "", "no bus")).is_hopeless()


def test_what_an_earlier_failure_wrote_is_not_told() -> None:
    systemd = Systemd(("activating", 3), ("activating", 4), ("activating", 5))
    attempts = service.Attempts("nats", systemd)
    while not attempts.is_hopeless():
        pass
    attempts.last_words()
    assert "--since=@1003" in systemd.read


def test_no_secret_of_the_journal_is_shown() -> None:
    said = "nats-server: lame duck grace period\nerror parsing route url nats://rosey:hunter2@h:1\n"
    words = service.Attempts("nats", Systemd(journal=said)).last_words()
    assert words.startswith("nats-server: lame duck")
    assert "hunter2" not in words
