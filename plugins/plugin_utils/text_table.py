# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table in plain text, of which a cell may have several lines. This runs on the controller alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence


def laid_out(headings: Sequence[str], rows: Iterable[Sequence[Sequence[str]]]) -> list[str]:
    """Lay out rows below their headings, a line of text each or more. rows: of each cell its lines."""
    cells = [[[heading] for heading in headings], *rows]
    lines = [line for row in cells for line in itertools.zip_longest(*row, fillvalue="")]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, tuple("-" * width for width in widths))
    return [" | ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
