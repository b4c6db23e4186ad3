# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bot's nats: section: what connect() of nats-py takes, and the bot's own key prefix."""

from __future__ import annotations

import difflib
import json
import math
import typing as t
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ansible_collections.rosey.nats.plugins.module_utils._bot import credentials
from ansible_collections.rosey.nats.plugins.module_utils._server import subjects

PREFIX = "prefix"
_SCHEMES = ("nats", "tls", "ws", "wss")


@dataclass(frozen=True)
class Kind:
    """What values an option takes. accepts: whether a value is one of them; expected: the same in words."""

    accepts: Callable[[t.Any], bool]
    expected: str


@dataclass(frozen=True)
class Problems:
    """What is wrong with a section, a sentence each. warnings: what the client may not know."""

    errors: tuple[str, ...]
    warnings: tuple[str, ...]


def _is_number(value: t.Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: t.Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


_TEXT = Kind(lambda value: isinstance(value, str) and bool(value), "a text")
_SUBJECT = Kind(
    lambda value: isinstance(value, str) and subjects.is_literal(value), "a subject without wildcards or whitespace"
)
_SWITCH = Kind(lambda value: isinstance(value, bool), "true or false")
_SECONDS = Kind(lambda value: _is_number(value) and value > 0, "a number of seconds above 0, without a unit")
_PAUSE = Kind(lambda value: _is_number(value) and value >= 0, "a number of seconds, 0 or more, without a unit")
_COUNT = Kind(lambda value: _is_whole(value, 1), "a whole number of 1 or more")
_ATTEMPTS = Kind(lambda value: _is_whole(value, -1), "a whole number of 0 or more, or -1 for ever")
_SERVERS = Kind(lambda value: isinstance(value, list) and bool(value), "a list of URLs such as nats://localhost:4222")

# connect() of nats-py 2.16 (nats/aio/client.py), without what a YAML file can't hold, and without the credentials.
OPTIONS: Mapping[str, Kind] = {
    "servers": _SERVERS,
    "name": _TEXT,
    "pedantic": _SWITCH,
    "verbose": _SWITCH,
    "allow_reconnect": _SWITCH,
    "connect_timeout": _SECONDS,
    "reconnect_time_wait": _PAUSE,
    "max_reconnect_attempts": _ATTEMPTS,
    "ping_interval": _SECONDS,
    "max_outstanding_pings": _COUNT,
    "dont_randomize": _SWITCH,
    "flusher_queue_size": _COUNT,
    "no_echo": _SWITCH,
    "tls_hostname": _TEXT,
    "tls_handshake_first": _SWITCH,
    "drain_timeout": _SECONDS,
    "inbox_prefix": _SUBJECT,
    "pending_size": _COUNT,
    "flush_timeout": _SECONDS,
    "user_credentials": _TEXT,
    "nkeys_seed": _TEXT,
    "skip_subject_validation": _SWITCH,
}
# What would stand readable in a file that others may read.
SECRET_OPTIONS = frozenset({*credentials.VARIABLES, "nkeys_seed_str"})


def problems(
    section: Mapping[str, t.Any], environment: str, prefixes: Mapping[str, str] = subjects.PREFIXES
) -> Problems:
    """Name everything that is wrong with the section of an environment.

    prefixes: of all environments, by their names.
    """
    errors = [*_environment_errors(section, environment, prefixes)]
    warnings = []
    for name, value in section.items():
        if name == PREFIX:
            continue
        if name in SECRET_OPTIONS:
            errors.append(f"{name} is a secret, which does not belong into config.yaml; give it as credentials")
        elif name not in OPTIONS:
            warnings.append(f"{name} is no option of the NATS client{_nearest(name)}; it is written all the same")
        elif not OPTIONS[name].accepts(value):
            errors.append(f"{name}: {_shown(value)} is not {OPTIONS[name].expected}; correct it")
        elif name == "servers":
            errors += [f"servers: {fault}" for url in value if (fault := _server_fault(url))]
        elif name == "inbox_prefix" and environment in prefixes:
            errors += _inbox_errors(value, environment, prefixes)
    return Problems(tuple(errors), tuple(warnings))


def _environment_errors(section: Mapping[str, t.Any], environment: str, prefixes: Mapping[str, str]) -> list[str]:
    if environment not in prefixes:
        return [f"the environment {_shown(environment)} is unknown; expected one of {', '.join(prefixes)}"]
    own = prefixes[environment]
    prefix = section.get(PREFIX)
    if prefix == own:
        return []
    owner = next((name for name, other in prefixes.items() if other == prefix), None)
    whose = f"is the prefix of {owner}" if owner else "is no prefix"
    return [f"prefix: {_shown(prefix)} {whose}; expected {own}, the prefix of {environment}; leave prefix out"]


def _inbox_errors(inbox: str, environment: str, prefixes: Mapping[str, str]) -> list[str]:
    """Name the other environment whose subjects the answers would come on."""
    whole = f"{inbox}{subjects.SEPARATOR}"
    return [
        f"inbox_prefix: {_shown(inbox)} lies on the subjects of {name}; "
        f"expected one such as _INBOX, or below {prefixes[environment]}"
        for name, prefix in prefixes.items()
        if name != environment and subjects.relative(whole, prefix) is not None
    ]


def _server_fault(url: t.Any) -> str | None:
    if not isinstance(url, str):
        return f"{_shown(url)} is no text; expected a URL such as nats://localhost:4222"
    if "@" in url:
        return f"{url.rpartition('@')[2]} has a user or password before it; give these as credentials"
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in _SCHEMES and parts.hostname and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole or "," in url or parts.path.strip("/"):
        return f"{_shown(url)} is no URL of a server; expected one such as nats://localhost:4222"
    return None


def _nearest(name: t.Any) -> str:
    near = difflib.get_close_matches(str(name), [*OPTIONS, PREFIX], 1)
    return f"; the nearest is {near[0]}" if near else ""


def _shown(value: t.Any) -> str:
    return json.dumps(value, default=str)
