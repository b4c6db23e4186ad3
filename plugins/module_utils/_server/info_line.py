# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a NATS server presents itself to a client, before that says a word: server/client.go of nats-server 2.10.7."""

from __future__ import annotations

import json
import typing as t

_BEFORE = "INFO "
# What no other server begins with.
BANNER = f"{_BEFORE}{{"


def read(line: str) -> dict[str, t.Any] | None:
    """Give what the line says; None where it is no greeting of a NATS server."""
    if not line.startswith(BANNER):
        return None
    try:
        said: dict[str, t.Any] = json.loads(line.removeprefix(_BEFORE))
    except (ValueError, RecursionError):
        return None
    return said
