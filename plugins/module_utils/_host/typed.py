# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes values of a dataclass from what a file or a server says, each field looked at."""

from __future__ import annotations

import functools
import types
import typing as t

Made = t.TypeVar("Made")


def make(kind: type[Made], *values: t.Any, **named: t.Any) -> Made:
    """Give a value of a dataclass; TypeError where a field is missing, unknown, or of another type than it says."""
    made = kind(*values, **named)
    for name, wanted in _fields(t.cast("t.Hashable", kind)).items():
        value = getattr(made, name)
        # true is a number to Python, and none to who wrote it
        if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
            raise TypeError(f"{name} of another type")
    return made


@functools.cache
def _fields(kind: t.Any) -> dict[str, tuple[type, ...]]:
    return {name: _types(wanted) for name, wanted in t.get_type_hints(kind).items()}


def _types(wanted: t.Any) -> tuple[type, ...]:
    """Give the types that a hint allows; of a container, only that it is one."""
    if isinstance(wanted, types.UnionType):
        return tuple(each for one in t.get_args(wanted) for each in _types(one))
    return (t.get_origin(wanted) or wanted,)
