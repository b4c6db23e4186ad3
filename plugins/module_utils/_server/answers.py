# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the answers of a server's monitoring endpoint say, whoever has asked for them."""

from __future__ import annotations

import typing as t
from datetime import datetime

from ansible_collections.rosey.nats.plugins.module_utils._server import units

Answer = dict[str, t.Any]

# The server's numbers have 64 bits.
_BEYOND_ALL_NUMBERS = 1 << 65


def mapping(value: t.Any) -> Answer:
    """Give a value where it is a mapping, and else an empty one: whoever answers may be another program."""
    return value if isinstance(value, dict) else {}


def is_number(value: t.Any) -> bool:
    """Tell whether a value is a number that the server may have given."""
    is_any = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_any and -_BEYOND_ALL_NUMBERS < value < _BEYOND_ALL_NUMBERS


def store_directory(varz: Answer) -> str | None:
    """Give where a server says that JetStream keeps its data, `<store_dir>/jetstream`; None where it says nothing."""
    shown = mapping(mapping(varz.get("jetstream")).get("config")).get("store_dir")
    return shown if isinstance(shown, str) else None


def moment(text: str) -> datetime | None:
    """Read a point in time as the server writes it; None where the text is none."""
    try:
        return units.moment(text)
    except ValueError:
        return None


def routed_servers(routez: Answer) -> dict[str, str]:
    """Name the other servers that routes lead to, by their ids; several routes lead to the same server."""
    return {route["remote_id"]: str(route.get("remote_name")) for route in routez["routes"]}
