# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures as people read them."""

from __future__ import annotations

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def size(count: float) -> str:
    """Write a number of bytes in the largest unit that it has one of, to a tenth: 17.7 GiB."""
    power = max(0, min((int(abs(count)).bit_length() - 1) // 10, len(_UNITS) - 1))
    number = f"{count / 1024**power:.1f}".removesuffix(".0")
    return f"{number} {_UNITS[power]}"


def sizes(*counts: float) -> tuple[str, ...]:
    """Write numbers of bytes that are compared with each other: in bytes where they would read alike, and are not."""
    texts = tuple(size(count) for count in counts)
    return texts if len({*texts}) == len({*counts}) else tuple(f"{count:.0f} bytes" for count in counts)
