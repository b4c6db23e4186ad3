# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client proves itself with, and what the server and the client's environment are given for it.

Credentials are a mapping: user and password, or token, or nothing where the server asks for nothing.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import typing as t
from collections.abc import Mapping, Sequence
from types import ModuleType

# Which variable of the bot's environment carries which credential (the guide's names).
VARIABLES = {"user": "NATS_USER", "password": "NATS_PASSWORD", "token": "NATS_TOKEN"}
SERVER_VARIABLE = "NATS_SERVER"
SECRETS = frozenset({"password", "token"})

_FORMS = (frozenset[str](), frozenset({"user", "password"}), frozenset({"token"}))
# bcrypt ignores what comes after (crypt_blowfish), so a longer password would be less than it seems.
_MOST_BYTES = 72
_COST = 11  # of the guide's own hash; nats-server hashes once for each connection
_BCRYPT_ALPHABET = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
)
_SALT_BYTES, _SALT_CHARACTERS = 16, 22


class CredentialsError(Exception):
    """Why credentials can't be used, in words for the user; no secret is in it."""


def problems(credentials: Mapping[str, t.Any]) -> list[str]:
    """Say all that is wrong with credentials; no secret is in it."""
    given = {name for name, value in credentials.items() if value is not None}
    unknown = sorted(given - VARIABLES.keys())
    if unknown:
        return [f"{', '.join(unknown)}: no credential has this name; expected user and password, or token"]
    if given not in _FORMS:
        return [
            f"{', '.join(sorted(given))} together; expected user and password, or token alone, since a server takes "
            "one or the other; leave one out or add what is missing"
        ]
    return [f"{name} {fault}" for name in sorted(given) if (fault := _fault(name, credentials[name]))]


def authorization(credentials: Mapping[str, t.Any], server_name: str) -> dict[str, t.Any]:
    """Give the block `authorization` of nats-server, empty for no credentials.

    The hash depends on nothing but the credentials and the server's name, so that an unchanged password is no change.
    Raises CredentialsError.
    """
    if found := problems(credentials):
        raise CredentialsError("; ".join(found))
    match {name: str(value) for name, value in credentials.items() if value is not None}:
        case {"user": user, "password": password}:
            return {"users": [{"user": user, "password": _hash(password, user, server_name)}]}
        case {"token": token}:
            return {"token": _hash(token, "", server_name)}
    return {}


def environment(credentials: Mapping[str, t.Any], servers: Sequence[str]) -> dict[str, dict[str, str | None]]:
    """Give the bot's environment as an entry of state.ENTRY_SPEC has it: variables and secret_variables.

    A variable that must not be there is None. Raises CredentialsError.
    """
    if found := problems(credentials):
        raise CredentialsError("; ".join(found))
    variables: dict[str, str | None] = {SERVER_VARIABLE: ",".join(servers) or None}
    secret: dict[str, str | None] = {}
    for name, variable in VARIABLES.items():
        (secret if name in SECRETS else variables)[variable] = credentials.get(name)
    return {"variables": variables, "secret_variables": secret}


def _fault(name: str, value: t.Any) -> str | None:
    if not isinstance(value, str):
        return "is no text; write it in quotes"
    if not value:
        return "is empty; expected a text, since an empty one lets everybody in"
    if not value.isprintable():
        return "holds a line break or another character that can't be printed; choose one without"
    if name != "user" and len(value.encode()) > _MOST_BYTES:
        return f"has {len(value.encode())} bytes; bcrypt takes {_MOST_BYTES} at most; choose a shorter one"
    return None


@functools.cache
def _hash(secret: str, user: str, server_name: str) -> str:
    # The salt is public. Drawn with a fast digest it would let a guess be tried without the slow hash.
    salt = hashlib.scrypt(secret.encode(), salt=f"{user}\n{server_name}".encode(), n=2**14, r=8, p=1, dklen=_SALT_BYTES)
    encoded = base64.b64encode(salt)[:_SALT_CHARACTERS].translate(_BCRYPT_ALPHABET)
    hashed: bytes = _bcrypt().hashpw(secret.encode(), b"$2a$%02d$%s" % (_COST, encoded))
    return hashed.decode()


def _bcrypt() -> ModuleType:
    try:
        import bcrypt  # noqa: PLC0415  # only the controller needs it, and only with credentials
    except ImportError as error:
        raise CredentialsError(
            "the controller's Python has no library bcrypt, which hashes the password for nats-server; install it, as "
            "requirements.txt does"
        ) from error
    return bcrypt
