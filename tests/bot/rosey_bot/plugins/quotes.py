# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quotes, kept in SQLite."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable
from typing import Any

FIRST_QUOTES = ("Be excellent to each other.", "So long, and thanks for all the fish.", "It's a trap!")


class Quotes:
    """The commands quote [number], addquote and delquote."""

    def __init__(
        self, config: dict[str, Any], _say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.longest = int(config.get("max_quote_length", 500))
        self.cooldown = float(config.get("cooldown", 0))
        self.clock = clock
        self.last: dict[str, float] = {}
        self.database = sqlite3.connect(config["database"], isolation_level=None)
        new = not self.database.execute("SELECT 1 FROM sqlite_master WHERE name = 'quotes'").fetchone()
        if new:
            self.database.execute("CREATE TABLE quotes (id INTEGER PRIMARY KEY, user TEXT, text TEXT)")
            self.database.executemany("INSERT INTO quotes (user, text) VALUES ('rosey', ?)", zip(FIRST_QUOTES))

    def command(self, word: str, user: str, text: str, *, is_request: bool) -> str | None:
        """Do a command."""
        if word == "quote":
            return self.show(text) if is_request or self.may_ask(user) else None
        if word == "addquote":
            return self.add(user, text)
        return self.delete(text) if word == "delquote" else None

    def chat(self, _user: str, _text: str) -> None:
        """Hear nothing."""

    def may_ask(self, user: str) -> bool:
        """Tell whether the user's last quote is long enough ago, and if so, count this one."""
        now = self.clock()
        if now - self.last.get(user, -math.inf) < self.cooldown:
            return False
        self.last[user] = now
        return True

    def show(self, number: str) -> str:
        """Give one quote, any when no number is given."""
        one, any_one = "WHERE id = ?", "WHERE ? = '' ORDER BY random() LIMIT 1"
        row = self.database.execute(f"SELECT id, text FROM quotes {one if number else any_one}", [number]).fetchone()
        return f"Quote {row[0]}: {row[1]}" if row else "There is no such quote."

    def add(self, user: str, text: str) -> str:
        """Keep a quote."""
        if not text or len(text) > self.longest:
            return f"A quote has 1 to {self.longest} characters."
        row = self.database.execute("INSERT INTO quotes (user, text) VALUES (?, ?)", [user, text])
        return f"Quote {row.lastrowid} added."

    def delete(self, number: str) -> str:
        """Forget a quote."""
        gone = self.database.execute("DELETE FROM quotes WHERE id = ?", [number]).rowcount
        return f"Quote {number} deleted." if gone else "There is no such quote."
