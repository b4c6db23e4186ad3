# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the server's configuration decides whether a client gets on the bus, and whether it is heard there."""

from __future__ import annotations

import typing as t
from collections.abc import Collection, Mapping

from ansible_collections.rosey.nats.plugins.module_utils._host.python import StrEnum
from ansible_collections.rosey.nats.plugins.module_utils._server import plan, tls_listener
from ansible_collections.rosey.nats.plugins.module_utils._server.options import model, reading

# Where clients connect, what they prove themselves with, and what they may (processClientConnect and processConnect in
# server/client.go, configureAuthorization in server/auth.go).
_DECIDES = frozenset(
    {
        "accounts",
        "allow_non_tls",
        "authorization",
        "default_js_domain",
        "host",
        "listen",
        "mappings",
        "no_auth_user",
        "operator",
        "port",
        "resolver",
        "resolver_preload",
        "resolver_tls",
        "system_account",
        "tls",
        "trusted_keys",
        "websocket",
    }
)
# Of these only less than before keeps a client away, or what it sends. The server's own values are in server/const.go.
_LIMITS = {"max_connections": 64 << 10, "max_control_line": 4096, "max_payload": 1 << 20, "max_subscriptions": 0}
_UNLIMITED = float("inf")


def changes(before: Mapping[str, t.Any], after: Mapping[str, t.Any]) -> tuple[str, ...]:
    """Name the options, in order, by whose change a client that is connected may no longer be. No value is in it."""
    old, new = reading.canonical(before), reading.canonical(after)
    found = {reason.option.partition(".")[0] for reason in plan.reasons(before, after)} & _DECIDES
    found |= {name for name in _DECIDES if _includes(old.get(name)) != _includes(new.get(name))}
    found |= {model.INCLUDE} if old.get(model.INCLUDE) != new.get(model.INCLUDE) else set()
    found |= {name for name, default in _LIMITS.items() if _limit(name, new, default) < _limit(name, old, default)}
    return tuple(sorted(found))


def _includes(value: t.Any) -> list[t.Any]:
    """Give what a block includes, on whatever level."""
    inner: list[t.Any] = value if isinstance(value, list) else []
    if isinstance(value, Mapping):
        inner = [each for name, each in value.items() if name != model.INCLUDE]
    own = [value[model.INCLUDE]] if isinstance(value, Mapping) and model.INCLUDE in value else []
    return own + [found for each in inner for found in _includes(each)]


def _limit(name: str, config: Mapping[str, t.Any], default: int) -> float:
    option, value = reading.find((name,)), config.get(name)
    number = default if option is None or value is None else reading.effective(option, value)
    # a reference to the server's environment is known to nobody; 0 and less are no limit
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        return _UNLIMITED
    return float(number) if number > 0 else _UNLIMITED


class Way(StrEnum):
    """How a client begins to talk to a server, as the rest of a sentence."""

    PLAIN = "in plain text"
    GREETED = "with TLS once the server has greeted them"
    FIRST = "with TLS before the server says anything"


def ways(config: Mapping[str, t.Any]) -> frozenset[Way]:
    """Give how clients may begin (server/server.go, createClientEx)."""
    known = reading.canonical(config)
    tls = known.get("tls")
    if not (isinstance(tls, Mapping) and tls.get("cert_file")):
        return frozenset({Way.PLAIN})
    greets, begins = tls_listener.begins(tls)
    found = {Way.GREETED: greets, Way.FIRST: begins, Way.PLAIN: greets and known.get("allow_non_tls") is True}
    return frozenset(way for way, is_open in found.items() if is_open)


def told_of_ways(before: Mapping[str, t.Any], after: Mapping[str, t.Any]) -> str:
    """Say who does not get on the bus any more for how he begins to talk; nothing where everybody does."""
    lost, taken = ways(before) - ways(after), ways(after)
    if not lost:
        return ""
    talks = Way.GREETED in lost and Way.PLAIN in taken
    is_plain = "; one that does not insist on TLS talks in plain text then" if talks else ""
    return (
        f"tls: clients that begin {_listed(lost)} are let in until now, and not any more from their next connection "
        f"on; expected of each that it begins {_listed(taken)}{is_plain}. The bot of this deployment is told; change "
        "those clients that it does not write before they connect again"
    )


def _listed(found: Collection[Way]) -> str:
    return " or ".join(each for each in Way if each in found)
