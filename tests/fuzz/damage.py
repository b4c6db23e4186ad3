# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damages real samples, by a seed: a text, the bytes of a file, or a value of JSON."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

# What breaks a reader at one place of a text.
PIECES = (
    b"\0",
    b"\xff",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\r\n",
    b"\r",
    b"\x1a",
    b"\xe2\x80\xa8",
    b"'",
    b'"',
    b"\\",
    b"#",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b"=",
    b"-",
    b"%",
    b"$",
    b"&a",
    b"*a",
    b"!!python/object",
    b"include 'x'",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-0",
    b"9" * 40,
    b"9" * 5000,
    b"[" * 3000,
    b'{"a":' * 3000,
    b"{ a " * 300,
    b"x" * 9000,
    b"\xf0\x9f\x98\x80",
)
ENCODINGS = ("utf-16", "utf-32", "latin-1", "cp037", "utf-8-sig")
# What may stand at any place of JSON instead of what is meant.
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63,
    2**64,
    -(2**70),
    10**400,
    0.5,
    float("nan"),
    float("inf"),
    float("-inf"),
    "",
    "x",
    "0",
    "\0",
    "a\nb",
    "../../x",
    "/" * 5000,
    "\ud800",
    "$G",
    "9999-99-99T99:99:99Z",
    [],
    [None],
    [[]],
    [1, "a", {}],
    {},
    {"": None},
    {"a": {"b": [{}]}},
)


def damaged_bytes(luck: random.Random, sample: bytes) -> bytes:
    """Damage the bytes of a file at up to three places."""
    content = bytearray(sample)
    for _each in range(luck.randint(1, 3)):
        start = luck.randint(0, len(content))
        end = min(len(content), start + luck.choice((0, 1, 2, 8, 64)))
        match luck.randint(0, 7):
            case 0:
                del content[start:]
            case 1:
                del content[start:end]
            case 2:
                content[start:start] = content[start:end] * luck.randint(1, 3)
            case 3 if content:
                content[luck.randrange(len(content))] ^= 1 << luck.randrange(8)
            case 4:
                content[start:end] = luck.choice(PIECES)
            case 5:
                content[start:start] = luck.choice(PIECES)
            case 6:
                content[start:end] = luck.randbytes(luck.randint(1, 16))
            case _:
                other = luck.randint(0, len(content))
                content[start:end], content[other:other] = b"", content[start:end]
    if luck.random() < 0.02:
        return bytes(content).decode("utf-8", "replace").encode(luck.choice(ENCODINGS), "replace")
    return bytes(content)


def damaged_text(luck: random.Random, sample: str) -> str:
    """Damage a text as it is read where what can't be decoded is replaced."""
    errors = luck.choice(("replace", "surrogateescape"))
    return damaged_bytes(luck, sample.encode()).decode("utf-8", errors)


def damaged_value(luck: random.Random, sample: Any) -> Any:
    """Damage a value of JSON at up to three places: another type, a key or an item that is gone or new."""
    value = copy.deepcopy(sample)
    for _each in range(luck.randint(1, 3)):
        places = list(_places(value))
        if not places or luck.random() < 0.01:
            return luck.choice(VALUES)
        holder, key = luck.choice(places)
        junk = copy.deepcopy(luck.choice(VALUES))
        match luck.randint(0, 4):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[luck.choice(("", "x", "name", "\0"))] = holder.pop(key)
            case 2 if isinstance(holder, list):
                holder.insert(key, junk)
            case _:
                holder[key] = junk
    return value


def damaged_json(luck: random.Random, sample: Any) -> bytes:
    """Damage a value of JSON, or how it is written."""
    if luck.random() < 0.2:
        return damaged_bytes(luck, json.dumps(sample).encode())
    return json.dumps(damaged_value(luck, sample)).encode()


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Give every place in a value, as what holds it and the key."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
        found += [(holder, key) for key in keys]
        waiting += [holder[key] for key in keys]
    return found
