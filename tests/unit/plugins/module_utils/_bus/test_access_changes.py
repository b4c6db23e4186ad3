# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of clients; tests/deployment/test_each_client.py sees it in a run."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._bus import access_changes

SECRET, OTHER = "one-long-and-secret-text", "another-and-secret-text"


def client(name: str = "trivia", permissions: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"name": name, "file": f"/plugins/{name}.env", "permissions": permissions or {}}


def may(
    publish: list[str], subscribe: list[str] | None = None, deny: list[str] | None = None, **more: Any
) -> dict[str, Any]:
    heard = {"allow": subscribe or ["a._inbox.trivia.>"], **({"deny": deny} if deny else {})}
    return {"publish": {"allow": publish} if publish else {"deny": [">"]}, "subscribe": heard, **more}


def password(user: str, secret: str) -> list[dict[str, Any]]:
    content = f'NATS_USER="{user}"\nNATS_PASSWORD="{secret}"\nNATS_INBOX_PREFIX="a._inbox.trivia"\n'
    return [{"path": "/plugins/trivia.env", "state": "file", "secret_content": content}]


def nkey(seed: str) -> list[dict[str, Any]]:
    content = 'NATS_NKEY="/plugins/trivia.nk"\nNATS_INBOX_PREFIX="a._inbox.trivia"\n'
    return [
        {"path": "/plugins/trivia.env", "state": "file", "secret_content": content},
        {"path": "/plugins/trivia.nk", "state": "file", "secret_content": f"{seed}\n"},
    ]


def of_bot(secret: str, server: str) -> list[dict[str, Any]]:
    variables = {"NATS_SERVER": server, "NATS_USER": "bot.1", "NATS_NKEY": None}
    return [
        {
            "path": "/plugins/trivia.env",
            "state": "variables",
            "variables": variables,
            "secret_variables": {"NATS_PASSWORD": secret, "NATS_TOKEN": None},
        }
    ]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (may(["a.b"]), may(["a.b"]), []),
        # the same in another order
        (may(["a.b", "a.c"]), may(["a.c", "a.b"]), []),
        (may(["a.b"]), may(["a.b", "a.c", "a.d"]), ["may also publish a.c, a.d"]),
        (may(["a.b", "a.c"]), may(["a.b"]), ["may no longer publish a.c"]),
        (may([]), may(["a.b"]), ["may also publish a.b"]),
        (may(["a.b"]), may([]), ["may no longer publish a.b"]),
        # what is allowed by other words is no change
        (may(["a.>"]), may(["a.>", "a.b"]), []),
        (may(["a.b"]), may(["a.>"]), ["may also publish a.>"]),
        (may(["a.>"]), may(["a.b"]), ["may no longer publish a.>"]),
        (may([], ["a.b"]), may([], ["a.c"]), ["may also listen to a.c", "may no longer listen to a.b"]),
        # what is denied
        (may([], ["a.>"]), may([], ["a.>"], deny=["a._inbox.x.>"]), ["may no longer listen to a._inbox.x.>"]),
        (may([], ["a.>"], deny=["a._inbox.x.>"]), may([], ["a.>"]), ["may also listen to a._inbox.x.>"]),
        (may([], ["a.>"], deny=["a._inbox.x.>"]), may([], ["a.b"]), ["may no longer listen to a.>"]),
        (may([], ["a.b"]), may([], ["a.>"], deny=["a._inbox.x.>"]), ["may also listen to a.>"]),
        ({}, may(["a.b"]), ["may no longer do everything, but what is declared of it"]),
        (may(["a.b"]), {}, ["may do everything"]),
        ({}, {}, []),
    ],
)
def test_what_a_client_gains_and_loses_is_said(before: dict[str, Any], after: dict[str, Any], said: list[str]) -> None:
    logins = password("trivia.1", SECRET), password("trivia.1", SECRET)
    found = access_changes.changes([client(permissions=before)], [client(permissions=after)], logins)
    assert found == [f"trivia: {each}" for each in said]


@pytest.mark.parametrize(
    ("before", "after", "is_another"),
    [
        (password("trivia.1", SECRET), password("trivia.1", SECRET), False),
        (password("trivia.1", SECRET), password("trivia.2", OTHER), True),
        (password("trivia.1", SECRET), password("trivia.1", OTHER), True),
        (password("trivia.1", SECRET), nkey(SECRET), True),
        (nkey(SECRET), nkey(SECRET), False),
        (nkey(SECRET), nkey(OTHER), True),
        (of_bot(SECRET, "nats://a"), of_bot(SECRET, "nats://b"), False),
        (of_bot(SECRET, "nats://a"), of_bot(OTHER, "nats://a"), True),
        # of what is not recorded nothing is said
        ([], password("trivia.1", SECRET), False),
    ],
)
def test_another_credential_is_said_without_it(before: list[Any], after: list[Any], *, is_another: bool) -> None:
    found = access_changes.changes([client()], [client()], (before, after))
    assert found == (["trivia: another credential"] if is_another else [])


def test_who_comes_and_goes_is_named() -> None:
    bot, quotes, trivia = client("bot"), client("quotes"), client("trivia")
    assert access_changes.changes([bot, quotes], [bot, trivia], ([], [])) == [
        "quotes is no client any more",
        "new client trivia",
    ]
    (begun,) = access_changes.changes([], [bot, trivia], ([], []))
    assert begun == "each client gets a credential of its own, and may do what is declared of it: bot, trivia"
    (ended,) = access_changes.changes([bot, trivia], [], ([], []))
    assert ended == "all clients share one credential, and may do everything: bot, trivia had one each"
    assert access_changes.changes([], [], ([], [])) == []


def test_the_servers_reasons_about_its_users_are_not_said_beside_it() -> None:
    of_users = [
        "authorization.users.5.user: trivia.1 -> trivia.2 (reload)",
        "accounts.$SYS.users.0.user: a -> b (reload)",
    ]
    others = ["authorization.timeout: 2s -> 3s (reload)", "max_payload: 1MiB -> 2MiB (reload)"]
    told = ["trivia: another credential"]
    assert access_changes.instead([*of_users, *others], told) == [*told, *others]
    # as of a file that somebody edited
    assert access_changes.instead([*of_users, *others], []) == [*of_users, *others]
