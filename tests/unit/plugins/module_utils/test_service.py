# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Sequence

import pytest

from ansible_collections.rosey.nats.plugins.module_utils import service


class Systemd:
    """Answers as systemctl and journalctl do."""

    def __init__(self, *states: tuple[str, int], journal: str = "") -> None:
        self.states, self.journal = iter(states), journal

    def __call__(self, words: Sequence[str]) -> tuple[int, str, str]:
        if words[0] == "journalctl":
            return 0, self.journal, ""
        state, restarts = next(self.states)
        return 0, f"ActiveState={state}\nNRestarts={restarts}\n", ""


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


def test_no_secret_of_the_journal_is_shown() -> None:
    said = "nats-server: lame duck grace period\nerror parsing route url nats://rosey:hunter2@h:1\n"
    words = service.Attempts("nats", Systemd(journal=said)).last_words()
    assert words.startswith("nats-server: lame duck")
    assert "hunter2" not in words
