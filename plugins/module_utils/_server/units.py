# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes and durations as nats-server 2.10.7 reads them, and moments as it writes them.

A size means two things: unquoted it is a number of the configuration language (``2G`` is 2,000,000,000, ``2GB`` is
binary), quoted it is a storage size of JetStream (``"2G"`` is binary, ``"2GB"`` is an error). A duration is text in
the form of Go's ``time.ParseDuration`` and has to be quoted: unquoted, ``2m`` is the number 2,000,000.
"""

from __future__ import annotations

import re
from datetime import datetime
from fractions import Fraction

# conf/parse.go, processItem, itemInteger: one letter is decimal, a letter with b, i or ib is binary.
SIZE_SUFFIXES: dict[str, int] = {"": 1} | {
    letter + tail: (1024 if tail else 1000) ** power
    for power, letter in enumerate("kmgtpe", start=1)
    for tail in ("", "b", "i", "ib")
}
# server/opts.go, getStorageSize: one capital letter, always binary.
STORAGE_SUFFIXES: dict[str, int] = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
# Go, time/format.go, unitMap: nanoseconds of each unit; the micro sign has two code points.
DURATION_UNITS: dict[str, int] = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,
    "\u03bcs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
# Characters of a size or a duration: Python reads no number of more than 4300 digits.
_LONGEST = 1000
INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1


def integer(text: str) -> int | None:
    """Give the number that Go's strconv.Atoi reads; None where it reads none, be it that it has more than 64 bits."""
    digits = text.lstrip("+-").lstrip("0")
    if len(digits) > len(str(INT64_MAX)) or not re.fullmatch("[+-]?[0-9]+", text):
        return None
    return value if INT64_MIN <= (value := int(digits or "0") * (-1 if text[0] == "-" else 1)) <= INT64_MAX else None


SIZE_EXPECTED = "a number of bytes or one with a unit, such as 1MB"
STORAGE_SIZE_EXPECTED = 'a whole number with one of the units K, M, G and T, such as "2G"'
DURATION_EXPECTED = 'a number with a unit, such as "30s", "2m" or "1h30m"'

_SIZE = re.compile(r"(?P<number>-?[0-9]+)(?P<suffix>[a-z]*)", re.IGNORECASE | re.ASCII)
_STORAGE_SIZE = re.compile(r"(?P<number>[+-]?[0-9]+)(?P<suffix>[A-Z])")
_DURATION_TERM = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)[^0-9.]+"
_DURATION = re.compile(rf"(?P<sign>[+-]?)(?P<terms>(?:{_DURATION_TERM})+|0)")
_DURATION_TERMS = re.compile(r"(?P<number>[0-9]*\.?[0-9]*)(?P<unit>[^0-9.]+)")


class UnitError(ValueError):
    """A text that is no size or no duration: what is wrong, what was expected, what to do."""

    def __init__(self, fault: str, expected: str, remedy: str) -> None:
        super().__init__(f"{fault}; expected {expected}; {remedy}")
        self.fault = fault
        self.expected = expected
        self.remedy = remedy


def size(text: str, *, quoted: bool) -> int:
    """Give the bytes that ``text`` stands for.

    ``quoted`` tells how it stands in the configuration: unquoted as a number of the language (any option, conf/lex.go
    lexConvenientNumber and conf/parse.go processItem), quoted as a storage size (the sizes of the jetstream block,
    server/opts.go getStorageSize). Raises UnitError when nats-server would not read it as a size.
    """
    if len(text) > _LONGEST:
        raise UnitError("is out of range", "at most 8EiB less one byte", "make it smaller")
    if quoted and not text:
        return 0  # getStorageSize takes an empty text for none
    suffixes = STORAGE_SUFFIXES if quoted else SIZE_SUFFIXES
    match = (_STORAGE_SIZE if quoted else _SIZE).fullmatch(text)
    suffix = (match["suffix"] if quoted else match["suffix"].lower()) if match else ""
    if match is None or suffix not in suffixes:
        expected = STORAGE_SIZE_EXPECTED if quoted else SIZE_EXPECTED
        raise UnitError("is no size", expected, _size_remedy(text, quoted=quoted))
    value = int(match["number"]) * suffixes[suffix]
    if not INT64_MIN <= value <= INT64_MAX:
        raise UnitError("is out of range", "at most 8EiB less one byte", "make it smaller")
    return value


def duration(text: str) -> int:
    """Give the nanoseconds that ``text`` stands for, read as Go's ``time.ParseDuration`` reads it.

    Raises UnitError when it is no duration, or one of more than 292 years.
    """
    if len(text) > _LONGEST:
        raise UnitError("is out of range", "a duration of at most 292 years", "make it shorter")
    match = _DURATION.fullmatch(text)
    terms = list(_DURATION_TERMS.finditer(match["terms"])) if match else []
    if match is None or any(term["unit"] not in DURATION_UNITS for term in terms):
        raise UnitError("is no duration", DURATION_EXPECTED, _duration_remedy(text))
    value = sum(int(Fraction(term["number"]) * DURATION_UNITS[term["unit"]]) for term in terms)
    value = -value if match["sign"] == "-" else value
    if not INT64_MIN <= value <= INT64_MAX:
        raise UnitError("is out of range", "a duration of at most 292 years", "make it shorter")
    return value


def duration_text(nanoseconds: int) -> str:
    """Write a duration as Go prints one (``time.Duration.String``), which is how the server's log shows it: 2m0s."""
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if rest == 0:
        return "0s"
    for unit in ("ns", "\u00b5s", "ms"):
        if rest < DURATION_UNITS[unit] * 1000:
            return f"{sign}{_decimal(rest, DURATION_UNITS[unit])}{unit}"
    hours, rest = divmod(rest, DURATION_UNITS["h"])
    minutes, rest = divmod(rest, DURATION_UNITS["m"])
    text = f"{_decimal(rest, DURATION_UNITS['s'])}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{text}"
    return f"{sign}{minutes}m{text}" if minutes else f"{sign}{text}"


def size_text(count: int) -> str:
    """Write bytes as a configuration may, unquoted and exactly, with the largest unit that divides them: 2G, 1MiB."""
    for power in range(len("kmgtpe"), 0, -1):
        for base, tail in ((1024, "iB"), (1000, "")):
            if count and count % base**power == 0:
                return f"{count // base**power}{'KMGTPE'[power - 1]}{tail}"
    return str(count)


def _decimal(count: int, unit: int) -> str:
    """Write ``count`` in terms of ``unit``, a power of ten, without trailing zeros."""
    whole, part = divmod(count, unit)
    digits = f"{part:0{len(str(unit)) - 1}d}".rstrip("0") if part else ""
    return f"{whole}.{digits}" if digits else str(whole)


def _size_remedy(text: str, *, quoted: bool) -> str:
    if any(character.isspace() for character in text):
        return "remove the space"
    if re.fullmatch(r"-?[0-9]*\.[0-9]+[a-z]*", text, re.IGNORECASE):
        return "write a whole number of a smaller unit"
    if quoted and _SIZE.fullmatch(text):
        return "use K, M, G or T alone, or take the quotes away"
    return "write a number such as 1048576 or 1MB"


def _duration_remedy(text: str) -> str:
    if any(character.isspace() for character in text):
        return "remove the space"
    if re.fullmatch(r"[+-]?[0-9.]+", text):
        return f"add the unit, such as {text}s for seconds"
    if re.search(r"[0-9](d|day|days|w)\b", text, re.IGNORECASE):
        return "write days as hours, such as 24h"
    return "use the units h, m, s, ms, us and ns"


_MOMENT = re.compile(r"(?P<seconds>[0-9-]{10}[T ][0-9:]{8})(?:\.(?P<fraction>[0-9]{1,9}))?(?P<zone>Z|[+-][0-9:]{5})")


def moment(text: str) -> datetime:
    """Read a point in time as the server writes it, Go's time.RFC3339Nano, to the microsecond; ValueError."""
    match = _MOMENT.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is no time with a zone")
    # what fromisoformat() reads before Python 3.11
    zone = match["zone"].replace("Z", "+00:00")
    return datetime.fromisoformat(f"{match['seconds']}.{(match['fraction'] or '')[:6]:0<6}{zone}")
