# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nats-server is given to know a client by: a hash of its credentials. This runs on the controller alone."""

from __future__ import annotations

import base64
import functools
import hashlib
import typing as t
from collections.abc import Mapping

from ansible_collections.rosey.nats.plugins.module_utils._bot import credentials

try:
    import bcrypt
except ImportError:
    HAS_BCRYPT = False
else:
    HAS_BCRYPT = True

_COST = 11  # of the guide's own hash; nats-server hashes once for each connection
# Of 256 random bits nothing is to be guessed, however fast a guess can be tried.
_LEAST_COST = 4
_BCRYPT_ALPHABET = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
)
SALT_BYTES, _SALT_CHARACTERS = 16, 22


def block(given: Mapping[str, t.Any], server_name: str) -> dict[str, t.Any]:
    """Give the block `authorization` of nats-server, empty for no credentials.

    The hash depends on nothing but the credentials and the server's name, so that an unchanged password is no change.
    Raises credentials.CredentialsError.
    """
    if found := credentials.problems(given):
        raise credentials.CredentialsError("; ".join(found))
    match {name: str(value) for name, value in given.items() if value is not None}:
        case {"user": user, "password": password}:
            return {"users": [{"user": user, "password": hash_of(password, user, server_name)}]}
        case {"token": token}:
            return {"token": hash_of(token, "", server_name)}
    return {}


@functools.cache
def hash_of(secret: str, user: str, server_name: str) -> str:
    """Hash what a person may have chosen; CredentialsError without bcrypt."""
    # The salt is public. Drawn with a fast digest it would let a guess be tried without the slow hash.
    salt = hashlib.scrypt(secret.encode(), salt=f"{user}\n{server_name}".encode(), n=2**14, r=8, p=1, dklen=SALT_BYTES)
    return _hash(secret, salt, _COST)


def hash_of_random(secret: str, salt: bytes) -> str:
    """Hash a secret of 256 random bits, so that a login costs the server next to nothing; likewise."""
    return _hash(secret, salt, _LEAST_COST)


def _hash(secret: str, salt: bytes, cost: int) -> str:
    if not HAS_BCRYPT:
        raise credentials.CredentialsError(
            "the controller's Python has no library bcrypt, which hashes the password for nats-server; install it, as "
            "requirements.txt does"
        )
    encoded = base64.b64encode(salt)[:_SALT_CHARACTERS].translate(_BCRYPT_ALPHABET)
    hashed: bytes = bcrypt.hashpw(secret.encode(), b"$2a$%02d$%s" % (cost, encoded))
    return hashed.decode()
