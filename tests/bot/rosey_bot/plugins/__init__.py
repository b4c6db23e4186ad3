# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plugins that have code of their own. Any other answers each request with an echo of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from .quotes import Quotes
from .trivia import Trivia


class Plugin(Protocol):
    """A plugin's code. What a method returns is said in the chat, or to who sent the request."""

    def command(self, word: str, user: str, text: str, *, is_request: bool) -> str | None:
        """Do a command. text: what follows the word."""

    def chat(self, user: str, text: str) -> str | None:
        """Hear a chat message of somebody else that is no command."""


# Made with the plugin's config and a function that says something in the chat unasked.
KINDS: dict[str, Callable[[dict[str, Any], Callable[[str], None]], Plugin]] = {"quotes": Quotes, "trivia": Trivia}
