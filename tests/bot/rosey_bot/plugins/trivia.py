# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trivia, with questions from a JSON file: a list of {"question": …, "answer": …}."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Trivia:
    """The commands trivia and triviastop; answers come from the chat."""

    def __init__(self, config: dict[str, Any], say: Callable[[str], None]) -> None:
        self.questions: list[dict[str, str]] = json.loads(Path(config["questions_file"]).read_text())
        self.time_limit = float(config.get("time_limit", 30))
        self.correct = int(config.get("points_correct", 10))
        self.wrong = int(config.get("points_wrong", 0))
        self.say = say
        self.points: Counter[str] = Counter()
        self.current: dict[str, str] | None = None
        self.timer: asyncio.TimerHandle | None = None

    def command(self, word: str, _user: str, _text: str, *, is_request: bool) -> str | None:
        """Do a command."""
        if word == "trivia":
            if self.current is None:
                self.current = random.choice(self.questions)
                self.timer = asyncio.get_running_loop().call_later(self.time_limit, self.expire)
            return f"Trivia: {self.current['question']}"
        if word == "triviastop":
            return f"Trivia stopped. The answer was {self.end()}." if self.current else "No trivia is running."
        return None

    def chat(self, user: str, text: str) -> str | None:
        """Judge an answer."""
        if self.current is None:
            return None
        if text.strip().casefold() != self.current["answer"].casefold():
            self.points[user] += self.wrong
            return None
        self.points[user] += self.correct
        return f"{user} is right: {self.end()}. Points: {self.points[user]}."

    def expire(self) -> None:
        """End a round that nobody won."""
        self.say(f"Time is up. The answer was {self.end()}.")

    def end(self) -> str:
        """End the round and give the answer."""
        assert self.current is not None
        assert self.timer is not None
        self.timer.cancel()
        answer, self.current = self.current["answer"], None
        return answer
