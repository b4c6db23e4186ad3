# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The versions of nats-server that changes go between, by the names that the table of changes has for them."""

from __future__ import annotations

import os
from pathlib import Path

VERSIONS = {"pinned": "2.10.7", "newer": "2.10.29", "older": "2.9.25", "next": "2.11.4"}
BINARIES = {
    "pinned": Path(os.environ["NATS_SERVER_BINARY"]),
    "newer": Path(os.environ["NATS_SERVER_BINARY_NEWER"]),
    "older": Path(os.environ["NATS_SERVER_BINARY_OLDER"]),
    "next": Path(os.environ.get("NATS_SERVER_BINARY_NEXT", "")),
}
