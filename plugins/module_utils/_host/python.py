# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The oldest Python that a host may have, and what that lacks of a newer one.

Every module asks for check() before it imports anything else, so this file has to be one that older ones can read.
"""

from __future__ import annotations

import sys
import typing as t
from collections.abc import Iterator, Sequence
from enum import Enum

# Debian 11 and RHEL 9 have it.
OLDEST = (3, 9)


def check() -> None:
    """Raise ImportError, with what to do, where this Python is too old."""
    if sys.version_info < OLDEST:
        found, wanted = (".".join(map(str, version)) for version in (sys.version_info[:3], OLDEST))
        raise ImportError(
            f"{sys.executable} on this host is Python {found}, rosey.nats needs Python {wanted} or later there: "
            "install it, and set ansible_python_interpreter to its path."
        )


class StrEnum(str, Enum):
    """What enum.StrEnum is since Python 3.11: a member is its text, and auto() stands for its name in small letters."""

    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[t.Any]) -> str:
        return name.lower()

    def __str__(self) -> str:
        return str(self.value)


def rows(*columns: Sequence[t.Any]) -> Iterator[tuple[t.Any, ...]]:
    """Give what zip(strict=True) gives since Python 3.10; ValueError where one is longer than another."""
    if len({len(column) for column in columns}) > 1:
        raise ValueError(f"columns of {', '.join(str(len(column)) for column in columns)} make no rows")
    return zip(*columns)
