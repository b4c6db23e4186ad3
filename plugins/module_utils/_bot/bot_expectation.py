# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is meant of a bot: where it answers, what it has to say, and its plugins."""

from __future__ import annotations

import ipaddress
import math
import re
import typing as t
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from ansible_collections.rosey.nats.plugins.module_utils._host.python import StrEnum
from ansible_collections.rosey.nats.plugins.module_utils._server import http_reader

URL = "http://localhost:8000/api/health"
BOT = http_reader.Advice(
    form=f"write it as {URL}",
    address="check that url is that of the bot's health endpoint",
    start="check that the bot runs and that the address has the port of its health endpoint",
    path="check the path of url: the bot's health endpoint has to be there",
    log="look at the log of the bot",
)


class Mode(StrEnum):
    """Whether the bot is meant to use NATS, or to run without."""

    NATS = "nats"
    LEGACY = "legacy"


@dataclass(frozen=True)
class Place:
    """Where a NATS server listens. Two are equal where they mean the same; all names of this machine do.

    shown: the URL for a person, without user and password.
    """

    scheme: str
    host: str
    port: int
    shown: str = field(compare=False)


@dataclass(frozen=True)
class Plugin:
    """An enabled plugin. subscriptions: the full subjects that it declares."""

    name: str
    subscriptions: tuple[str, ...]


@dataclass(frozen=True)
class Expectation:
    """What was meant.

    servers: the bot is connected to one of them; without any all will do. subjects: the least number that it holds,
    None for as many as the plugins declare. required: names in KEYS that it has to tell. client_name: the name of the
    bot's connection, with which those of its plugins' connections begin.
    """

    mode: Mode = Mode.NATS
    servers: tuple[Place, ...] = ()
    subjects: int | None = None
    required: Collection[str] = ()
    plugins: tuple[Plugin, ...] = ()
    client_name: str | None = None

    @property
    def declared(self) -> int:
        """How many subscriptions the plugins declare."""
        return sum(len(plugin.subscriptions) for plugin in self.plugins)


def place(url: str) -> Place:
    """Read the URL of a NATS server as the client does; ValueError where it is none."""
    scheme, _divider, rest = url.strip().rpartition("://")
    parts = urlsplit(f"{scheme or 'nats'}://{without_credentials(rest)}")
    host, default = parts.hostname, _PORTS.get(parts.scheme)
    if not host or default is None:
        raise ValueError(f"no URL of a NATS server: {without_credentials(url)}")
    port = default if parts.port is None else parts.port
    address = f"[{host}]" if ":" in host else host
    return Place(parts.scheme, is_same_host(host), port, f"{parts.scheme}://{address}:{port}")


def place_or_none(url: str) -> Place | None:
    """Read the URL of a NATS server; None where it is none."""
    try:
        return place(url)
    except ValueError:
        return None


def without_credentials(url: str) -> str:
    """Give a URL from its host on, or all of it where no user or password stands before that."""
    return url.rpartition("@")[2]


def secrets_of(url: str) -> set[str]:
    """Give what of a URL no output may show: the user with the password, and the password as it is written and read."""
    given = url.rpartition("@")[0].rpartition("://")[2]
    password = given.partition(":")[2]
    return {each for each in (given, password, unquote(password)) if each}


# What the bot tells

_PORTS = {"nats": 4222, "tls": 4222, "ws": 80, "wss": 443}
URL_FORM = re.compile(r"\burl\b")


@dataclass(frozen=True)
class Kind:
    """The values that a key may have. noun: in words."""

    noun: str
    accepts: Callable[[t.Any], bool]


def _is_number(value: t.Any) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _is_whole(value: t.Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_TEXT = Kind("a text", lambda value: isinstance(value, str))
_SWITCH = Kind("true or false", lambda value: isinstance(value, bool))
_NUMBER = Kind("a number", _is_number)
_COUNT = Kind("a whole number", _is_whole)
# The guide's example.
KEYS: Mapping[str, Kind] = {
    "status": _TEXT,
    "connected": _SWITCH,
    "channel": _TEXT,
    "uptime": _NUMBER,
    "version": _TEXT,
    "user_count": _COUNT,
    "requests": _COUNT,
    "errors": _COUNT,
    "nats.connected": _SWITCH,
    "nats.server": _TEXT,
    "nats.subjects": _COUNT,
}


def is_same_host(host: str) -> str:
    """Give one name for all that mean the same host: this machine, or an address however it is written."""
    name = host.lower().rstrip(".")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name
    return "localhost" if address.is_loopback else str(address)
