# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Python 3.9, which Debian 11 and RHEL 9 have, lacks of a newer one."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Sequence
from enum import Enum


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
