# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A listener that shows a certificate, as a configuration has it and as a module is told of it."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "tls_listeners": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "purpose": {"type": "str", "required": True},
            "url": {"type": "str", "required": True},
            "cert_file": {"type": "path"},
            "key_file": {"type": "path"},
            "first": {"type": "bool", "default": True},
        },
    }
}


@dataclass(frozen=True)
class TlsListener:
    """A listening socket that shows a certificate.

    purpose: what it serves, as an Endpoint has it. url: where it is reached on the server's host. cert_file, key_file:
    what it shows; None where that is not known. first: whether it waits for TLS, and says nothing before it.
    """

    purpose: str
    url: str
    cert_file: str | None
    key_file: str | None
    first: bool

    @property
    def is_of_servers(self) -> bool:
        """Whether servers alone meet there: whoever looks shows no certificate, and is an error in the server's log."""
        return self.purpose in ("cluster", "gateway")


def given(listeners: Iterable[Mapping[str, t.Any]]) -> list[TlsListener]:
    """Read what a module was given as ARGUMENTS have it."""
    return [TlsListener(**each) for each in listeners]


def begins(tls: Mapping[str, t.Any]) -> tuple[bool, bool]:
    """Tell whether a client may wait until it is greeted, and whether it may begin with the handshake.

    tls: the block of the listener. With a time, or auto, the server waits for so long (server/opts.go, parseTLS).
    """
    word = str(tls.get("handshake_first", False)).lower()
    return word not in ("true", "on"), word not in ("false", "off")
