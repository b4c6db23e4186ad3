# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._bot import credentials
from ansible_collections.rosey.nats.plugins.plugin_utils import authorization

LOGIN = {"user": "rosey", "password": "s3cret"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"user": "rosey"}, "user together; expected user and password, or token alone"),
        ({"password": "p4ss"}, "password together; expected user and password, or token alone"),
        ({**LOGIN, "token": "t0ken"}, "password, token, user together; expected user and password, or token alone"),
        ({"user": "rosey", "token": "t0ken"}, "token, user together; expected"),
        ({"username": "rosey"}, "username: no credential has this name; expected user and password, or token"),
        ({**LOGIN, "password": ""}, "password is empty"),
        ({**LOGIN, "password": "p4ss\nword"}, "password holds a line break"),
        ({**LOGIN, "password": "p4ss\0word"}, "password holds a line break or another character"),
        ({**LOGIN, "user": "ro\nsey"}, "user holds a line break"),
        ({**LOGIN, "password": 12345}, "password is no text; write it in quotes"),
        ({**LOGIN, "password": "p" * 73}, "password has 73 bytes; bcrypt takes 72 at most"),
        ({**LOGIN, "password": "é" * 37}, "password has 74 bytes; bcrypt takes 72 at most"),
        ({"token": "t" * 73}, "token has 73 bytes; bcrypt takes 72 at most"),
    ],
)
def test_a_refusal_names_the_credential_and_never_the_secret(given: dict[str, Any], said: str) -> None:
    (problem,) = credentials.problems(given)
    assert problem.startswith(said)
    assert not any(secret in problem for secret in ("p4ss", "t0ken", "12345", "ppp", "ttt"))
    for call in (lambda: authorization.block(given, "n"), lambda: credentials.environment(given, ["nats://h"])):
        with pytest.raises(credentials.CredentialsError, match=re.escape(said)):
            call()


@pytest.mark.parametrize(
    "given", [{}, LOGIN, {"token": "t"}, {**LOGIN, "password": "p" * 72}, {**LOGIN, "token": None}]
)
def test_what_a_client_can_have_is_no_problem(given: dict[str, Any]) -> None:
    assert credentials.problems(given) == []


def test_the_environment_has_every_variable_and_takes_away_what_must_not_be_there() -> None:
    servers = ["nats://one:4222", "nats://two:4222"]
    assert credentials.environment(LOGIN, servers) == {
        "variables": {
            "NATS_SERVER": "nats://one:4222,nats://two:4222",
            "NATS_USER": "rosey",
            # what it had while each client had a credential of its own
            "NATS_NKEY": None,
            "NATS_INBOX_PREFIX": None,
        },
        "secret_variables": {"NATS_PASSWORD": "s3cret", "NATS_TOKEN": None},
    }
    assert credentials.environment({"token": "t"}, servers)["secret_variables"] == {
        "NATS_PASSWORD": None,
        "NATS_TOKEN": "t",
    }
    nothing = credentials.environment({}, [])
    assert {*nothing["variables"].values(), *nothing["secret_variables"].values()} == {None}
