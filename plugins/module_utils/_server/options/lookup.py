# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a configuration says about one matter: listeners, accounts, JetStream."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.rosey.nats.plugins.module_utils._server.options import faults, formats, model, reading
from ansible_collections.rosey.nats.plugins.module_utils._server.options.model import Config, Path


def blocks_in(value: Any) -> Iterator[tuple[Path, Config]]:
    """Give the blocks that a value is or lists, each with its path within the value."""
    if model.is_block(value):
        yield (), value
    elif model.is_list(value):
        yield from (((place,), item) for place, item in enumerate(value) if model.is_block(item))


def value_at(config: Any, *path: str) -> Any:
    """Give the value at a path of a canonical configuration; None where there is none or only a reference to it."""
    for name in path:
        config = config.get(name) if model.is_block(config) else None
    return None if model.is_reference(config) else config


def text_at(config: Any, *path: str) -> str:
    """Give the text at a path; "" for what is no text or not there."""
    value = value_at(config, *path)
    return value if isinstance(value, str) else ""


def meaning_at(config: Config, *path: str, default: int = 0) -> int:
    """Give the number that an option means, of an address its port; the default where it is unset, zero or wrong."""
    option, value = reading.find(path), value_at(config, *path)
    if option is None or value is None or model.is_container(value) or faults.kind_of(option, value) is None:
        return default
    meaning = reading.effective(option, value)
    meaning = meaning[-1] if isinstance(meaning, tuple) else meaning
    return meaning if isinstance(meaning, int) and meaning else default


def lame_duck_duration(config: Config) -> int:
    """Give the nanoseconds that a server takes to let its clients go; server/const.go: 2 minutes are the default."""
    return meaning_at(config, "lame_duck_duration", default=120 * model.SECOND)


def named_blocks(config: Any, *path: str) -> list[tuple[int, Config]]:
    """Give the blocks of a list, with their positions."""
    return [(place, item) for place, item in enumerate(list_at(config, *path)) if model.is_block(item)]


def list_at(config: Any, *path: str) -> Sequence[Any]:
    """Give the list at a path; an empty one for what is no list or not there."""
    value = value_at(config, *path)
    return value if isinstance(value, (list, tuple)) else ()


def port_of(config: Config, *path: str) -> int:
    """Give the port at which a block listens; 0 where it says none."""
    return meaning_at(config, *path, "port") or meaning_at(config, *path, "listen")


def accounts(config: Config) -> dict[str, Config]:
    """Give the accounts by name; empty blocks for those of the short form, a list of names."""
    accounts = value_at(config, "accounts")
    if model.is_list(accounts):
        return {name: {} for name in accounts if isinstance(name, str)}
    return (
        {name: block for name, block in accounts.items() if model.is_block(block)} if model.is_block(accounts) else {}
    )


def users(config: Config) -> Iterator[tuple[Path, Config]]:
    """Give every user of a list of users, with its path."""
    for place, user in named_blocks(config, "authorization", "users"):
        yield ("authorization", "users", place), user
    for name, account in accounts(config).items():
        for place, user in named_blocks(account, "users"):
            yield ("accounts", name, "users", place), user


@dataclass(frozen=True)
class Listener:
    """One socket that the server listens with.

    purpose: what it serves, such as "clients". option, host_option: what its port and its host are from, dotted.
    host, port: as the server takes them, "" for all addresses and -1 for a port that it picks; a reference, or what is
    no host or port, as it is.
    """

    purpose: str
    option: str
    host_option: str
    host: Any
    port: Any


_LISTENING = ("", "cluster", "gateway", "leafnodes", "websocket", "mqtt")
CLIENTS = "clients"
CLIENTS_PORT = 4222
_WILDCARDS = ("", model.ALL_ADDRESSES, "::")


def listeners(config: Config) -> Iterator[Listener]:
    """Give every socket that the server listens with, clients first; server/opts.go, setBaselineOptions.

    config: a canonical one. A port of 0 asks for none, but for clients.
    """
    clients = None
    for block in _LISTENING:
        values = value_at(config, *filter(None, (block,)))
        for found in _listening(block or CLIENTS, block, values, "listen", "port"):
            clients = clients or found
            yield found
    for scheme in ("http", "https"):
        for found in _listening("monitoring", "", config, scheme, f"{scheme}_port"):
            own = found.option == scheme and found.host
            yield (
                found if own or clients is None else replace(found, host=clients.host, host_option=clients.host_option)
            )
    for found in _listening("profiling", "", config, "", "prof_port"):
        yield found if clients is None else replace(found, host=clients.host, host_option=clients.host_option)


def _listening(purpose: str, block: str, values: Any, listen: str, port: str) -> Iterator[Listener]:
    """Give the listener that two options of a block make: one for an address or a port, and one for a port."""
    if not model.is_block(values):
        return
    option = listen if listen in values else port
    value = values.get(option)
    host_option, host = ("host", values.get("host") or "") if option == port else (option, "")
    address = formats.ADDRESS.fullmatch(value) if option == listen and isinstance(value, str) else None
    if address:
        host, value = address["host"].strip("[]"), int(address["port"])
    if not value and purpose == CLIENTS:
        value = CLIENTS_PORT
    if value:
        yield Listener(purpose, f"{block}.{option}".lstrip("."), f"{block}.{host_option}".lstrip("."), host, value)


def is_wildcard(host: str) -> bool:
    """Tell whether a host stands for all addresses; Go listens on those of both versions of IP for each of them."""
    return host in _WILDCARDS


def is_one_address(host: str, other: str) -> bool:
    """Tell whether two hosts can't both be listened on with one port."""
    return is_wildcard(host) or is_wildcard(other) or _ip_address(host) == _ip_address(other)


def _ip_address(host: str) -> str:
    text = "127.0.0.1" if host.lower() == "localhost" else host.lower()
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    return str(getattr(address, "ipv4_mapped", None) or address)


def system_account(config: Config) -> str:
    """Give the name of the system account (server/const.go, DEFAULT_SYSTEM_ACCOUNT)."""
    return text_at(config, "system_account") or "$SYS"


def is_jwt(text: str) -> bool:
    """Tell whether a text is a JWT and no path of one, as server/jwt.go, readOperatorJWT, tells."""
    return text.startswith("eyJ")


def jetstream_is_on(config: Config) -> bool:
    """Tell whether a canonical configuration, or one account of it, has JetStream."""
    value = value_at(config, "jetstream")
    if model.is_block(value):
        return value_at(value, "enabled") is not False
    return value is True or str(value).lower() in ("enabled", "enable")


def is_unset(config: Config, *path: str) -> bool:
    """Tell whether nothing, not even a reference, stands at the path."""
    block = value_at(config, *path[:-1])
    return not model.is_block(block) or not block.get(path[-1])
