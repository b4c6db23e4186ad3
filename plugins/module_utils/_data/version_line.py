# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which change of the version needs a copy of the store."""

from __future__ import annotations

from ansible_collections.rosey.nats.plugins.module_utils._data.store_tree import StoreError
from ansible_collections.rosey.nats.plugins.module_utils._server import programs

# Versions


def minor(version: str) -> tuple[int, int]:
    """Give the line that a version belongs to, such as (2, 10); StoreError."""
    try:
        first, second, *_rest = programs.check_version(version).split(".")
    except programs.ArchiveError as error:
        raise StoreError(str(error)) from error
    return int(first), int(second)


def patch(version: str) -> int:
    """Give the number of a version within its line; StoreError."""
    minor(version)
    return int(version.split(".")[2].split("-", maxsplit=1)[0])


def needs_copy(from_version: str, to_version: str) -> bool:
    """Say whether the store is to be copied before to_version starts on what from_version wrote: another line."""
    return minor(from_version) != minor(to_version)


def is_downgrade(from_version: str, to_version: str) -> bool:
    """Say whether to_version is of an older line than from_version; within one line no order matters."""
    return minor(to_version) < minor(from_version)
