# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plugins of the bot of the tests answer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.tests.bot.rosey_bot.plugins.quotes import FIRST_QUOTES, Quotes
from ansible_collections.rosey.nats.tests.bot.rosey_bot.plugins.trivia import Trivia


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make_quotes(directory: Path, clock: Clock, **config: Any) -> Quotes:
    config = {"database": str(directory / "quotes.db"), "cooldown": 5, "max_quote_length": 10, **config}
    return Quotes(config, print, clock)


def ask(plugin: Quotes | Trivia, line: str, user: str = "ann", *, is_request: bool = False) -> str | None:
    word, _space, text = line.partition(" ")
    return plugin.command(word, user, text, is_request=is_request)


def test_quotes_are_kept(tmp_path: Path, clock: Clock) -> None:
    quotes = make_quotes(tmp_path, clock)
    assert ask(quotes, "addquote hi there") == f"Quote {len(FIRST_QUOTES) + 1} added."
    assert ask(quotes, "delquote 1") == "Quote 1 deleted."
    again = make_quotes(tmp_path, clock)
    assert ask(again, f"quote {len(FIRST_QUOTES) + 1}") == f"Quote {len(FIRST_QUOTES) + 1}: hi there"
    assert ask(again, "quote 1", "ben") == "There is no such quote."
    assert ask(again, "delquote 1") == "There is no such quote."
    assert "Quote " in str(ask(again, "quote", "eve"))


@pytest.mark.parametrize(("text", "taken"), [("", False), ("x", True), ("x" * 10, True), ("x" * 11, False)])
def test_a_quote_has_its_length(tmp_path: Path, clock: Clock, text: str, taken: bool) -> None:
    said = str(ask(make_quotes(tmp_path, clock), f"addquote {text}"))
    assert said.endswith("added.") if taken else said == "A quote has 1 to 10 characters."


def test_each_user_waits_for_the_next_quote(tmp_path: Path, clock: Clock) -> None:
    quotes = make_quotes(tmp_path, clock)
    assert ask(quotes, "quote")
    clock.now = 4.9
    assert ask(quotes, "quote") is None
    assert ask(quotes, "quote", "ben")
    assert ask(quotes, "quote", is_request=True)
    clock.now = 5
    assert ask(quotes, "quote")


def test_an_unknown_command_is_not_answered(tmp_path: Path, clock: Clock) -> None:
    assert ask(make_quotes(tmp_path, clock), "roll") is None


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "trivia.json"
    file.write_text(json.dumps([{"question": "How many?", "answer": "Two"}]))
    return {"questions_file": str(file), "time_limit": 30, "points_correct": 10, "points_wrong": -1}


def test_a_round_of_trivia(config: dict[str, Any], said: list[str]) -> None:
    async def play() -> None:
        trivia = Trivia(config, said.append)
        assert trivia.chat("ann", "two") is None
        assert ask(trivia, "trivia") == "Trivia: How many?"
        assert trivia.chat("ben", "three") is None
        assert trivia.chat("ben", " tWO ") == "ben is right: Two. Points: 9."
        assert trivia.chat("ann", "two") is None
        assert ask(trivia, "trivia") == "Trivia: How many?"
        assert ask(trivia, "triviastop") == "Trivia stopped. The answer was Two."
        assert ask(trivia, "triviastop") == "No trivia is running."

    asyncio.run(play())
    assert said == []


def test_a_round_that_nobody_wins_ends_in_time(config: dict[str, Any], said: list[str]) -> None:
    async def play() -> None:
        trivia = Trivia({**config, "time_limit": 0.05}, said.append)
        # A round that was stopped does not end a second time.
        ask(trivia, "trivia")
        ask(trivia, "triviastop")
        ask(trivia, "trivia")
        await asyncio.sleep(0.2)
        assert trivia.chat("ann", "two") is None

    asyncio.run(play())
    assert said == ["Time is up. The answer was Two."]
