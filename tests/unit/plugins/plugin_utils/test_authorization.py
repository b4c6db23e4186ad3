# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from typing import Any

import bcrypt
import pytest

from ansible_collections.rosey.nats.plugins.module_utils._bot import credentials
from ansible_collections.rosey.nats.plugins.plugin_utils import authorization

LOGIN = {"user": "rosey", "password": "s3cret"}
BCRYPT = re.compile(r"\$2a\$11\$[./A-Za-z0-9]{53}")


def hash_of(given: dict[str, Any], server_name: str = "rosey_nats_prod") -> str:
    block = authorization.block(given, server_name)
    found: str = block["token"] if "token" in block else block["users"][0]["password"]
    return found


def test_no_credentials_are_no_authorization() -> None:
    assert authorization.block({}, "rosey_nats_prod") == {}
    assert authorization.block({"user": None, "token": None}, "rosey_nats_prod") == {}


def test_a_login_is_a_user_with_a_hash() -> None:
    block = authorization.block(LOGIN, "rosey_nats_prod")
    assert block == {"users": [{"user": "rosey", "password": hash_of(LOGIN)}]}
    assert BCRYPT.fullmatch(hash_of(LOGIN))
    assert bcrypt.checkpw(b"s3cret", hash_of(LOGIN).encode())


def test_a_token_is_a_hash() -> None:
    block = authorization.block({"token": "s3cret"}, "rosey_nats_prod")
    assert list(block) == ["token"]
    assert bcrypt.checkpw(b"s3cret", block["token"].encode())


def test_the_same_gives_the_same_and_any_difference_another_salt() -> None:
    authorization.hash_of.cache_clear()
    first = hash_of(LOGIN)
    authorization.hash_of.cache_clear()
    assert hash_of(LOGIN) == first
    others = [
        hash_of({**LOGIN, "password": "s3creT"}),
        hash_of({**LOGIN, "user": "r"}),
        hash_of(LOGIN, "rosey_nats_test"),
    ]
    salts = {each[:29] for each in (first, *others)}
    assert len(salts) == 4


def test_a_controller_without_bcrypt_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    authorization.hash_of.cache_clear()
    monkeypatch.setattr(authorization, "HAS_BCRYPT", False)
    with pytest.raises(credentials.CredentialsError, match=r"no library bcrypt.*install it"):
        authorization.block(LOGIN, "n")
