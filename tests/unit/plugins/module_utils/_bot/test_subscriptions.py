# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._bot.bot_expectation import Plugin
from ansible_collections.rosey.nats.plugins.module_utils._bot.subscriptions import ELSEWHERE, Held, held_elsewhere

QUOTES = Plugin("quotes", ("a.quote", "a.addquote"))


@pytest.mark.parametrize(
    ("by_name", "unheld"),
    [
        ({"bot-quotes": {"a.quote", "a.addquote"}}, []),
        ({"bot-quotes": {"a.*"}}, []),
        # one that has a connection here holds all of it there
        ({"bot-quotes": {"a.quote"}, ELSEWHERE: {"a.addquote"}}, ["a.addquote"]),
        ({"bot-quotes": set(), "bot": {"a.quote", "a.addquote"}}, ["a.quote", "a.addquote"]),
        # the bot is here, and the plugin at another server
        ({"bot": set(), ELSEWHERE: {"a.quote", "a.>"}}, []),
        ({"bot": {"a.quote"}, ELSEWHERE: {"a.addquote"}}, []),
        ({"bot": set(), ELSEWHERE: {"a.quote"}}, ["a.addquote"]),
        # neither is here
        ({ELSEWHERE: {"a.quote", "a.addquote"}}, []),
        ({"other": {"x"}, ELSEWHERE: {"a.quote"}}, ["a.addquote"]),
        ({"bot": set()}, ["a.quote", "a.addquote"]),
    ],
)
def test_what_a_plugin_holds_at_another_server_counts_where_it_is_not_here(
    by_name: dict[str, set[str]], unheld: list[str]
) -> None:
    assert Held(by_name, "bot").unheld(QUOTES) == unheld


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ([], {}),
        ([{"remote_id": "A"}, {"remote_id": "A", "subscriptions_list": ["a", "b"]}], {ELSEWHERE: {"a", "b"}}),
        ([{"remote_id": "A", "subscriptions_list": None}, {"remote_id": "B"}], {ELSEWHERE: set()}),
    ],
)
def test_routes_tell_what_is_held_elsewhere(routes: list[dict[str, object]], expected: dict[str, set[str]]) -> None:
    assert held_elsewhere({"routes": routes}) == expected
