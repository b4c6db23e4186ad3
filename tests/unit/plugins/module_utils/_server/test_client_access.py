# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._server import client_access

USER = {"user": "rosey", "password": "$2a$11$one"}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, ()),
        (
            {"server_name": "a", "http_port": 8222, "debug": False},
            {"server_name": "b", "http_port": 1, "debug": True},
            (),
        ),
        ({"jetstream": {"max_mem": "1G"}}, {"jetstream": False}, ()),
        # another way to say the same
        ({"net": "127.0.0.1", "port": 4222}, {"listen": "127.0.0.1:4222"}, ()),
        ({"max_payload": "1M"}, {"max_payload": 1000000}, ()),
        ({"port": 4222}, {"listen": "127.0.0.1:4223"}, ("host", "port")),
        ({"authorization": USER}, {"authorization": {**USER, "password": "$2a$11$two"}}, ("authorization",)),
        ({"authorization": USER}, {}, ("authorization",)),
        (
            {"authorization": {"users": [USER]}},
            {"authorization": {"users": [{**USER, "permissions": {"publish": "a"}}]}},
            ("authorization",),
        ),
        ({"accounts": {"A": {"users": [USER]}}}, {"accounts": {"B": {"users": [USER]}}}, ("accounts",)),
        ({}, {"tls": {"cert_file": "/a", "key_file": "/b"}, "allow_non_tls": True}, ("allow_non_tls", "tls")),
        ({"$include": "a.conf"}, {"$include": "b.conf"}, ("$include",)),
        ({"authorization": {"$include": "a"}}, {"authorization": {"$include": "b"}}, ("authorization",)),
        # a limit keeps somebody away only where it falls
        ({"max_connections": 50}, {"max_connections": 60}, ()),
        ({"max_connections": 60}, {"max_connections": 50}, ("max_connections",)),
        ({}, {"max_connections": 50}, ("max_connections",)),
        ({"max_connections": 50}, {}, ()),
        ({"max_payload": 2097152}, {}, ("max_payload",)),
        ({"max_subs": 0}, {"max_subscriptions": 10}, ("max_subscriptions",)),
        ({"max_subscriptions": 10}, {"max_subscriptions": 0}, ()),
        ({"max_control_line": 4096}, {"max_control_line": "2KiB"}, ("max_control_line",)),
        ({"max_connections": 60}, {"max_connections": {"$variable": "MAX"}}, ()),
    ],
)
def test_what_a_client_connects_by_is_named(
    before: dict[str, Any], after: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert client_access.changes(before, after) == expected


CERTIFICATE = {"cert_file": "/a", "key_file": "/b"}
GREETED, FIRST = {"tls": CERTIFICATE}, {"tls": {**CERTIFICATE, "handshake_first": True}}
EITHER = {"tls": {**CERTIFICATE, "handshake_first": "auto"}}
LENIENT = {"tls": CERTIFICATE, "allow_non_tls": True}


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        ({}, {}, ""),
        ({}, GREETED, "in plain text"),
        ({}, FIRST, "in plain text"),
        ({}, EITHER, "in plain text"),
        ({}, LENIENT, ""),
        (LENIENT, GREETED, "in plain text"),
        (GREETED, LENIENT, ""),
        (GREETED, FIRST, "with TLS once the server has greeted them"),
        (GREETED, EITHER, ""),
        (EITHER, FIRST, "with TLS once the server has greeted them"),
        (EITHER, GREETED, "with TLS before the server says anything"),
        (FIRST, EITHER, ""),
        (FIRST, {"tls": {**CERTIFICATE, "handshake_first": "off"}}, "with TLS before the server says anything"),
        (FIRST, {"tls": {**CERTIFICATE, "handshake_first": "300ms"}}, ""),
        (FIRST, {}, "with TLS before the server says anything"),
        (GREETED, {}, "with TLS once the server has greeted them"),
        (EITHER, {}, "with TLS once the server has greeted them or with TLS before the server says anything"),
    ],
)
def test_who_is_not_let_in_any_more_is_told(before: dict[str, Any], after: dict[str, Any], lost: str) -> None:
    told = client_access.told_of_ways(before, after)
    assert (
        told.startswith(f"tls: clients that begin {lost} are let in until now, and not any more") if lost else not told
    )
    assert ("talks in plain text then" in told) == (before in (GREETED, EITHER) and not after)
