# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a configuration lets in others than the users that are yet to be added to it.

This runs on the controller alone.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping

from ansible_collections.rosey.nats.plugins.module_utils._server.options import lookup, model, reading

# What says who is let in, or which account has the streams.
_OF_USERS = (
    *("authorization", "accounts", "no_auth_user", "system_account"),
    *("operator", "resolver", "resolver_preload", "trusted_keys"),
)
# Where servers are let in, which may say and hear everything; each has an authorization of its own.
_OF_SERVERS = ("cluster", "gateway", "leafnodes")
# Where clients are let in besides the port for clients, as one of the users.
_OF_CLIENTS = ("websocket", "mqtt")


def doors(config: Mapping[str, t.Any]) -> list[str]:
    """Name what of a configuration, to which the users are yet to be added, lets in somebody else.

    Each is an option, with what is wrong with it where that is not its being there.
    """
    return [*_doors(reading.canonical(config))]


def _doors(config: Mapping[str, t.Any]) -> Iterator[str]:
    yield from (name for name in _OF_USERS if name in config)
    # whatever an included file says, nobody knows here
    if model.INCLUDE in config:
        yield model.INCLUDE
    yield from (
        f"{name}.{model.INCLUDE}" for name in (*_OF_SERVERS, *_OF_CLIENTS) if reading.has_include(config.get(name))
    )
    yield from (f"{name}.no_auth_user" for name in _OF_CLIENTS if "no_auth_user" in _block_at(config, name))
    listening = {listener.option.partition(".")[0] for listener in lookup.listeners(config)}
    for name in _OF_SERVERS:
        if name in listening and not _asks_servers(_block_at(config, name)):
            yield f"{name}, which lets every server in, without authorization or tls.verify"


def _asks_servers(block: Mapping[str, t.Any]) -> bool:
    """Tell whether a server has to prove itself to a block that listens for servers."""
    asked = _block_at(block, "authorization")
    logins = [
        each for each in (asked, *(user for _place, user in lookup.named_blocks(asked, "users"))) if "user" in each
    ]
    is_asked = bool(logins) and all(each["user"] and each.get("password") for each in logins)
    return is_asked or _block_at(block, "tls").get("verify") is True


def _block_at(config: Mapping[str, t.Any], name: str) -> Mapping[str, t.Any]:
    return dict(lookup.blocks_in(config.get(name))).get((), {})
