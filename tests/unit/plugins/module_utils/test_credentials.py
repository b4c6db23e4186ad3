# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import builtins
import re
from typing import Any

import bcrypt
import pytest

from ansible_collections.rosey.nats.plugins.module_utils import credentials

LOGIN = {"user": "rosey", "password": "s3cret"}
BCRYPT = re.compile(r"\$2a\$11\$[./A-Za-z0-9]{53}")


def hash_of(given: dict[str, Any], server_name: str = "rosey_nats_prod") -> str:
    block = credentials.authorization(given, server_name)
    found: str = block["token"] if "token" in block else block["users"][0]["password"]
    return found


def test_no_credentials_are_no_authorization() -> None:
    assert credentials.authorization({}, "rosey_nats_prod") == {}
    assert credentials.authorization({"user": None, "token": None}, "rosey_nats_prod") == {}


def test_a_login_is_a_user_with_a_hash() -> None:
    block = credentials.authorization(LOGIN, "rosey_nats_prod")
    assert block == {"users": [{"user": "rosey", "password": hash_of(LOGIN)}]}
    assert BCRYPT.fullmatch(hash_of(LOGIN))
    assert bcrypt.checkpw(b"s3cret", hash_of(LOGIN).encode())


def test_a_token_is_a_hash() -> None:
    block = credentials.authorization({"token": "s3cret"}, "rosey_nats_prod")
    assert list(block) == ["token"]
    assert bcrypt.checkpw(b"s3cret", block["token"].encode())


def test_the_same_gives_the_same_and_any_difference_another_salt() -> None:
    credentials._hash.cache_clear()
    first = hash_of(LOGIN)
    credentials._hash.cache_clear()
    assert hash_of(LOGIN) == first
    others = [
        hash_of({**LOGIN, "password": "s3creT"}),
        hash_of({**LOGIN, "user": "r"}),
        hash_of(LOGIN, "rosey_nats_test"),
    ]
    salts = {each[:29] for each in (first, *others)}
    assert len(salts) == 4


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
    for call in (lambda: credentials.authorization(given, "n"), lambda: credentials.environment(given, ["nats://h"])):
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
        "variables": {"NATS_SERVER": "nats://one:4222,nats://two:4222", "NATS_USER": "rosey"},
        "secret_variables": {"NATS_PASSWORD": "s3cret", "NATS_TOKEN": None},
    }
    assert credentials.environment({"token": "t"}, servers)["secret_variables"] == {
        "NATS_PASSWORD": None,
        "NATS_TOKEN": "t",
    }
    nothing = credentials.environment({}, [])
    assert {*nothing["variables"].values(), *nothing["secret_variables"].values()} == {None}


def test_a_controller_without_bcrypt_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without_bcrypt(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "bcrypt":
            raise ImportError(name)
        return real_import(name, *arguments, **options)

    credentials._hash.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without_bcrypt)
    with pytest.raises(credentials.CredentialsError, match=r"no library bcrypt.*install it"):
        credentials.authorization(LOGIN, "n")
