# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client proves itself with, and what its environment is given for it.

Credentials are a mapping: user and password, or token, or nothing where the server asks for nothing.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence

# Which variable of the bot's environment carries which credential (the guide's names).
VARIABLES = {"user": "NATS_USER", "password": "NATS_PASSWORD", "token": "NATS_TOKEN"}
# With those of a client that has a credential of its own: as the program nats has them, the file of its seed, and where
# the answers to it go.
LOGIN = {**VARIABLES, "nkey": "NATS_NKEY", "inbox_prefix": "NATS_INBOX_PREFIX"}
SERVER_VARIABLE = "NATS_SERVER"
# With which OpenSSL names a file of the authorities that are trusted, see SSL_CTX_set_default_verify_paths(3).
CA_FILE_VARIABLE = "SSL_CERT_FILE"
SECRETS = frozenset({"password", "token"})
# The clients that a deployment has for itself, where each client has a credential of its own.
PROBE, DEPLOYMENT, OPERATOR, SYSTEM = "probe", "deployment", "operator", "system"
OF_DEPLOYMENT = frozenset({PROBE, DEPLOYMENT, OPERATOR, SYSTEM})

_FORMS = (frozenset[str](), frozenset({"user", "password"}), frozenset({"token"}))
# bcrypt ignores what comes after (crypt_blowfish), so a longer password would be less than it seems.
_MOST_BYTES = 72


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


def environment(credentials: Mapping[str, t.Any], servers: Sequence[str]) -> dict[str, dict[str, str | None]]:
    """Give the bot's environment as an entry of state.ENTRY_SPEC has it: variables and secret_variables.

    A variable that must not be there is None. Raises CredentialsError.
    """
    if found := problems(credentials):
        raise CredentialsError("; ".join(found))
    return login_environment(credentials, servers)


def login_environment(login: Mapping[str, t.Any], servers: Sequence[str]) -> dict[str, dict[str, str | None]]:
    """Give the same for what a client with a credential of its own proves itself with, by the names of LOGIN."""
    variables: dict[str, str | None] = {SERVER_VARIABLE: ",".join(servers) or None}
    secret: dict[str, str | None] = {}
    for name, variable in LOGIN.items():
        (secret if name in SECRETS else variables)[variable] = login.get(name)
    return {"variables": variables, "secret_variables": secret}


def given_by(variables: Mapping[str, str]) -> dict[str, str]:
    """Give the credentials that the bot's environment has."""
    found = {name: variables.get(variable, "") for name, variable in VARIABLES.items()}
    return {name: value for name, value in found.items() if value}


def options_given_by(variables: Mapping[str, str]) -> dict[str, str]:
    """Give the same as options of connect() of nats-py, with those of a client that has a credential of its own.

    nkey: the file of its seed.
    """
    options = {"nkey": "nkeys_seed"}
    found = {options.get(name, name): variables.get(variable, "") for name, variable in LOGIN.items()}
    return {name: value for name, value in found.items() if value}


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
