# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes values of a dataclass from what a file or a server says, each field looked at."""

from __future__ import annotations

import ast
import builtins
import dataclasses
import functools
import sys
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
    names = {**vars(builtins), **vars(sys.modules[kind.__module__])}
    return {
        field.name: tuple(_types(ast.parse(str(field.type), mode="eval").body, names))
        for field in dataclasses.fields(kind)
    }


def _types(hint: ast.expr, names: t.Mapping[str, t.Any]) -> t.Iterator[type]:
    """Give the types that a hint allows; of a container, only that it is one. Before 3.10 no Python evaluates A | B."""
    if isinstance(hint, ast.BinOp):
        yield from _types(hint.left, names)
        yield from _types(hint.right, names)
    elif isinstance(hint, ast.Subscript):
        yield from _types(hint.value, names)
    else:
        found = names[hint.id] if isinstance(hint, ast.Name) else ast.literal_eval(hint)
        yield type(None) if found is None else t.get_origin(found) or found
