# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A credential for each client of the bus, all of them from one secret: what the server gets, and what the client.

The server gets a hash or a public key. Nothing is stored: whoever has the secret can derive all of it again. This runs
on the controller alone.
"""

from __future__ import annotations

import base64
import posixpath
import typing as t
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ansible_collections.rosey.nats.plugins.module_utils._bot import credentials
from ansible_collections.rosey.nats.plugins.module_utils._host import environment_file
from ansible_collections.rosey.nats.plugins.module_utils._server import nkeys
from ansible_collections.rosey.nats.plugins.plugin_utils import authorization, derived, permissions
from ansible_collections.rosey.nats.plugins.plugin_utils.permissions import Permissions
from ansible_collections.rosey.nats.plugins.plugin_utils.plugins import READER

HAS_CRYPTOGRAPHY = derived.HAS_CRYPTOGRAPHY and nkeys.HAS_LIBRARY
PASSWORD, NKEY = "password", "nkey"
# When a plugin reads its credential, in place of whenever it connects.
AT_START = "start"
_PURPOSE = "rosey.nats client"
_NUMBERS = range(1, 1_000_000)
_MODE = "0600"
_SEED = "seed"
_SUFFIXES = {PASSWORD: ".env", NKEY: ".nk"}


@dataclass(frozen=True)
class Asked:
    """How the clients of an environment are to prove themselves, as the variables bot_plugins_credentials_* have it.

    secret: what all follows from. numbers: by client, which one of its credentials counts, the first where it is not
    named. given: by client, a `password` or a `seed` in place of a derived one. owners: by plugin, whose account its
    files are of, in place of the bot's.
    """

    kind: str
    secret: str
    numbers: Mapping[str, int]
    given: Mapping[str, Mapping[str, str]]
    owners: Mapping[str, str]


@dataclass(frozen=True)
class Client:
    """A client and its credential. user: its name, with a password. salt: of the hash; empty for a given password."""

    permissions: Permissions
    user: str = ""
    password: str = ""
    seed: str = ""
    salt: bytes = b""

    @property
    def name(self) -> str:
        """Its name."""
        return self.permissions.client

    def as_user(self, server_name: str) -> dict[str, t.Any]:
        """Give it as one of `users` in the server's configuration; CredentialsError without bcrypt."""
        limits = self.permissions.as_config()
        allowed = {"permissions": limits} if limits else {}
        if self.seed:
            return {"nkey": nkeys.public_key(self.seed), **allowed}
        hashed = (
            authorization.hash_of_random(self.password, self.salt)
            if self.salt
            else authorization.hash_of(self.password, self.user, server_name)
        )
        return {"user": self.user, "password": hashed, **allowed}

    def login(self, seed_file: str) -> dict[str, str]:
        """Give what it proves itself with, by the names of credentials.LOGIN."""
        own = {"nkey": seed_file} if self.seed else {"user": self.user, "password": self.password}
        return {**own, "inbox_prefix": self.permissions.inbox}


def described(
    effective: Iterable[Mapping[str, t.Any]],
    prefix: str,
    bot: Mapping[str, t.Any],
    asked: Mapping[str, t.Any],
    places: Mapping[str, t.Any],
) -> dict[str, t.Any]:
    """Give all that a deployment needs of the clients, as the filter bus_clients returns it; CredentialsError.

    effective: the plugins, see plugins.effective. bot: its `subscriptions` and `publishes`. asked: by the fields of
    Asked. places: `server_name`, `servers`, and, each a directory and an account, `bot` and `server`; of the bot also
    its environment `file` and when plugins `read` their credential; `questions`, the subjects that the gate asks for
    besides commands.
    """
    if not HAS_CRYPTOGRAPHY:
        raise credentials.CredentialsError(
            "the controller's Python has no library cryptography, which derives the credentials of the clients; "
            "install it, as requirements.txt does"
        )
    plugins_enabled = [plugin for plugin in effective if plugin["enabled"]]
    wanted = Asked(**asked)
    if found := problems(wanted, [plugin["name"] for plugin in plugins_enabled]):
        return {"problems": found}
    compiled = permissions.compiled(plugins_enabled, bot, prefix, places["questions"])
    clients = {each.name: each for each in with_credentials(compiled, wanted, prefix)}
    of_server = [clients[name] for name in permissions.OWN if name != permissions.BOT]
    of_plugins = [clients[plugin["name"]] for plugin in plugins_enabled]
    own, at_bot, at_server = clients[permissions.BOT], places["bot"], places["server"]
    seed_file = file_of(own.name, at_bot["directory"], NKEY)
    read_by_bot = {**at_bot["account"], "reader": READER}
    of_plugin = read_by_bot if at_bot["read"] == AT_START else at_bot["account"]
    files = {
        own.name: at_bot["file"],
        **{each.name: file_of(each.name, at_bot["directory"]) for each in of_plugins},
        **{each.name: file_of(each.name, at_server["directory"]) for each in of_server},
    }
    return {
        "problems": [],
        "warnings": permissions.warnings(compiled, prefix),
        "config": server_block(clients.values(), places["server_name"]),
        "bot": credentials.login_environment(own.login(seed_file), places["servers"]),
        "entries": {
            "plugins": [
                *([seed_entry(own, seed_file, read_by_bot)] if own.seed else []),
                *(
                    entry
                    for each in of_plugins
                    for entry in entries([each], at_bot["directory"], {**of_plugin, **_owner(each.name, wanted)})
                ),
            ],
            "server": entries(of_server, at_server["directory"], at_server["account"]),
        },
        "clients": [
            {"name": each.name, "file": files[each.name], "permissions": each.permissions.as_config()}
            for each in clients.values()
        ],
    }


def problems(asked: Asked, plugins: Iterable[str]) -> list[str]:
    """Say all that keeps each client from having a credential, a sentence each; no secret is in it.

    plugins: the names of the enabled ones.
    """
    names = [*plugins]
    known = {*names, *permissions.OWN}
    return [
        *permissions.name_problems(names),
        *_problems_of_secret(asked),
        *_problems_of_numbers(asked.numbers, known),
        *_problems_of_given(asked.given, known),
        *_problems_of_clients("bot_plugins_credentials_owners", asked.owners, names),
    ]


def with_credentials(compiled: Iterable[Permissions], asked: Asked, prefix: str) -> list[Client]:
    """Give each client its credential. prefix: that of the environment, which each has credentials of its own of."""
    return [_client(each, asked, prefix) for each in compiled]


def server_block(clients: Iterable[Client], server_name: str) -> dict[str, t.Any]:
    """Give what of the server's configuration lets these clients in: `authorization`, and `accounts` for the system's.

    A further user of the system account takes no stream from anybody, as a further account does. CredentialsError.
    """
    users = {each.name: each.as_user(server_name) for each in clients}
    system = users.pop(credentials.SYSTEM)
    return {"authorization": {"users": [*users.values()]}, "accounts": {"$SYS": {"users": [system]}}}


def _owner(client: str, asked: Asked) -> dict[str, str]:
    return {"owner": asked.owners[client]} if client in asked.owners else {}


def entries(clients: Iterable[Client], directory: str, attributes: Mapping[str, str]) -> list[dict[str, t.Any]]:
    """Describe the files that clients prove themselves with, for the module config_tree.

    attributes: what all of the files have, such as `owner`.
    """
    return [entry for each in clients for entry in _files(each, directory, attributes)]


def file_of(client: str, directory: str, kind: str = PASSWORD) -> str:
    """Name the file of environment variables of a client in a directory; with NKEY, that of its seed."""
    return posixpath.join(directory, f"{client}{_SUFFIXES[kind]}")


def seed_entry(client: Client, path: str, attributes: Mapping[str, str]) -> dict[str, t.Any]:
    """Describe the file with the seed of a client."""
    return {"path": path, "state": "file", "mode": _MODE, "secret_content": f"{client.seed}\n", **attributes}


def _files(client: Client, directory: str, attributes: Mapping[str, str]) -> list[dict[str, t.Any]]:
    seed_file = file_of(client.name, directory, NKEY)
    variables = {credentials.LOGIN[name]: value for name, value in client.login(seed_file).items()}
    content = environment_file.put(b"", variables).decode()
    described = [
        {
            "path": file_of(client.name, directory),
            "state": "file",
            "mode": _MODE,
            "secret_content": content,
            **attributes,
        }
    ]
    return [*described, seed_entry(client, seed_file, attributes)] if client.seed else described


def _client(limits: Permissions, asked: Asked, prefix: str) -> Client:
    name, number = limits.client, asked.numbers.get(limits.client, 1)
    given = asked.given.get(name, {})
    user = f"{name}.{number}"
    if _SEED in given:
        return Client(limits, seed=given[_SEED])
    if PASSWORD in given:
        return Client(limits, user, given[PASSWORD])
    raw = _derived(asked.secret, prefix, name, str(number), asked.kind)
    if asked.kind == NKEY:
        return Client(limits, seed=nkeys.user_seed(raw))
    salt = _derived(asked.secret, prefix, name, str(number), "salt")[: authorization.SALT_BYTES]
    return Client(limits, user, base64.urlsafe_b64encode(raw).decode().rstrip("="), salt=salt)


def _derived(secret: str, *context: str) -> bytes:
    return derived.derive(secret, _PURPOSE, *context)


def _problems_of_secret(asked: Asked) -> list[str]:
    return derived.problems("bot_plugins_credentials_secret", asked.secret, "all credentials follow from")


def _problems_of_numbers(numbers: Mapping[str, t.Any], known: Iterable[str]) -> list[str]:
    return [
        *_problems_of_clients("bot_plugins_credentials_numbers", numbers, known),
        *(
            f"bot_plugins_credentials_numbers: {name} has {number!r}; expected a whole number from 1 on. Correct it"
            for name, number in numbers.items()
            if isinstance(number, bool) or not isinstance(number, int) or number not in _NUMBERS
        ),
    ]


def _problems_of_given(given: Mapping[str, t.Any], known: Iterable[str]) -> list[str]:
    found = _problems_of_clients("bot_plugins_credentials_given", given, known)
    for name, login in given.items():
        if not isinstance(login, Mapping) or len(login) != 1 or not {*login} <= {PASSWORD, _SEED}:
            found.append(
                f"bot_plugins_credentials_given: {name} has neither a password nor a seed alone; expected one of "
                "{password: ...} and {seed: SU...}. Correct it"
            )
        elif PASSWORD in login:
            told = credentials.problems({"user": name, **login})
            found += [f"bot_plugins_credentials_given: {name}: {fault}" for fault in told]
        else:
            try:
                nkeys.public_key(str(login[_SEED]))
            except nkeys.NkeyError as error:
                found.append(f"bot_plugins_credentials_given: {name}: its seed {error}")
    return found


def _problems_of_clients(variable: str, named: Iterable[str], known: Iterable[str]) -> list[str]:
    clients = sorted(known)
    return [
        f"{variable} names {name!r}, which is no client; expected some of {', '.join(clients)}. Correct the name, or "
        "take it out"
        for name in named
        if name not in clients
    ]
