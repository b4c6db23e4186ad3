# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of the modules that look at a bot."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator, Mapping

from ansible_collections.rosey.nats.plugins.module_utils._bot import bot_expectation
from ansible_collections.rosey.nats.plugins.module_utils._bot.bot_expectation import Expectation, Mode, Plugin
from ansible_collections.rosey.nats.plugins.module_utils._server import subjects

# What modules take

PLUGINS_ARGUMENT: dict[str, t.Any] = {
    "type": "list",
    "elements": "dict",
    "default": [],
    "options": {
        "name": {"type": "str", "required": True},
        "subscriptions": {"type": "list", "elements": "str", "default": []},
    },
}
CLIENTS_ARGUMENT: dict[str, t.Any] = {
    "type": "list",
    "elements": "dict",
    "default": [],
    "options": {
        "name": {"type": "str", "required": True},
        "file": {"type": "path", "required": True},
        "permissions": {"type": "dict", "required": True},
    },
}
ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "health_url": {"type": "str", "default": bot_expectation.URL},
    "mode": {"type": "str", "choices": list(Mode), "default": str(Mode.NATS)},
    "servers": {"type": "list", "elements": "str", "default": []},
    "required": {"type": "list", "elements": "str", "choices": list(bot_expectation.KEYS), "default": []},
    "plugins": PLUGINS_ARGUMENT,
    "client_name": {"type": "str"},
}
ROUND_TRIP_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "payload": {"type": "json", "default": '{"user": "test", "message": "!quote"}'},
    "limit_milliseconds": {"type": "float", "default": 100.0},
    "options": {"type": "dict", "default": {}},
}


def plugins_of(given: Iterable[Mapping[str, t.Any]]) -> tuple[Plugin, ...]:
    """Read plugins as PLUGINS_ARGUMENT has them."""
    return tuple(Plugin(each["name"], tuple(each["subscriptions"])) for each in given)


def expectation_of(params: Mapping[str, t.Any]) -> Expectation:
    """Read what was meant, as ARGUMENTS has it; ValueError where a server's URL is none."""
    return Expectation(
        mode=Mode(params["mode"]),
        servers=tuple(bot_expectation.place(url) for url in params["servers"]),
        required=frozenset(params["required"]),
        plugins=plugins_of(params["plugins"]),
        client_name=params["client_name"],
    )


def server_faults(option: str, urls: Iterable[str], instead: str) -> Iterator[str]:
    """Name which URLs of servers can't be taken; no secret is in it. instead: where user and password go."""
    for url in urls:
        shown = bot_expectation.without_credentials(url)
        if shown != url:
            yield f"{option}: {shown} has a user or password before it; {instead}"
        elif bot_expectation.place_or_none(url) is None:
            yield f"{option}: {url} is no URL of a NATS server; write it as nats://localhost:4222"


def plugins_faults(option: str, plugins: Iterable[Mapping[str, t.Any]]) -> Iterator[str]:
    """Name what is wrong with plugins as PLUGINS_ARGUMENT has them."""
    for plugin in plugins:
        for subject in plugin["subscriptions"]:
            if fault := subjects.fault(subject):
                yield f"{option}: {plugin['name']}: {subject!r} {fault}; correct the subscription"
