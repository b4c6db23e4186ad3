# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of TLS for the server's clients, as nats_server_tls has it. This runs on the controller alone."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from ansible_collections.rosey.nats.plugins.module_utils._server import certificates

_TEXTS = ("certificate", "key")
_FILES = ("certificate_file", "key_file")
_AUTHORITIES, _NAMES, _HANDSHAKE_FIRST = "authorities", "names", "handshake_first"
_OPTIONS = (*_TEXTS, *_FILES, _AUTHORITIES, _NAMES, _HANDSHAKE_FIRST)


def problems(tls: Mapping[str, t.Any], urls: Iterable[str], now: datetime, *, to_peers: bool = False) -> list[str]:
    """Say all that keeps clients from meeting a server with this, a sentence each; nothing of the key is in it.

    urls: where clients connect. now: with its zone. to_peers: whether the server shows it to those that it connects to,
    too. What stands in files of the host is judged there.
    """
    if found := [*_problems_of_form(tls)]:
        return found
    if _TEXTS[0] not in tls:
        return []
    if not certificates.HAS_CRYPTOGRAPHY:
        return ["the controller's Python has no library cryptography, which certificates are judged by; install it"]
    authorities = tls.get(_AUTHORITIES)
    judged = certificates.problems(
        tls["certificate"].encode(),
        tls["key"].encode(),
        authorities.encode() if authorities else None,
        certificates.reached_by(urls, tls.get(_NAMES, ())),
        now,
        to_peers=to_peers,
    )
    found = [str(problem).removesuffix(".") for problem in judged]
    return found or [*_problems_of_trust(tls)]


def _problems_of_trust(tls: Mapping[str, t.Any]) -> Iterator[str]:
    """Name a certificate that nobody can have signed whom a host trusts by itself."""
    leaf = certificates.read(tls["certificate"].encode())[0]
    if leaf.is_self_issued and not tls.get(_AUTHORITIES):
        yield f"the certificate of {leaf.shown} is signed by itself, and authorities names nobody; name it there, too"


def _problems_of_form(tls: Mapping[str, t.Any]) -> Iterator[str]:
    if unknown := sorted({*map(str, tls)} - {*_OPTIONS}):
        yield f"{', '.join(unknown)}: it has no such option; expected some of {', '.join(_OPTIONS)}"
    given = [name for name in (*_TEXTS, *_FILES) if name in tls]
    if tuple(given) not in (_TEXTS, _FILES):
        found = f"{', '.join(given)} alone" if len(given) == 1 else ", ".join(given) or "neither"
        yield f"{found}: expected {' and '.join(_TEXTS)}, or {' and '.join(_FILES)}"
    for name in (*_TEXTS, _AUTHORITIES):
        if name in tls and not (isinstance(tls[name], str) and tls[name].strip()):
            yield f"{name} is no text; expected PEM, which begins with -----BEGIN"
    for name in _FILES:
        if name in tls and not (isinstance(tls[name], str) and tls[name].startswith("/")):
            yield f"{name} is no absolute path; expected that of a file of the host"
    if not isinstance(tls.get(_HANDSHAKE_FIRST, True), bool):
        yield f"{_HANDSHAKE_FIRST} is {tls[_HANDSHAKE_FIRST]!r}; expected true or false"
    wanted = tls.get(_NAMES, [])
    if not isinstance(wanted, list) or not all(isinstance(name, str) and name for name in wanted):
        yield f"{_NAMES} is no list of names; expected such as [bus.example.org, 192.0.2.7]"
