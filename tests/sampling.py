# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of long tables `make test` tries, and what `make test-faults` alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def sampled(rows: Iterable[Any], count: int) -> list[Any]:
    """Give rows to parametrize by, of which `make test` has the first ones and `make test-faults` the others.

    rows: a tuple has the values of several names, anything else is one value.
    """
    return [row if number < count else _thorough(row) for number, row in enumerate(rows)]


def _thorough(row: Any) -> Any:
    values = row if isinstance(row, tuple) else [row]
    return pytest.param(*values, marks=pytest.mark.thorough)
