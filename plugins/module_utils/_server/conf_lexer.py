# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a configuration as items, read as nats-server 2.10.7 reads it (conf/lex.go)."""

from __future__ import annotations

import bisect
import re
import typing as t
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from ansible_collections.rosey.nats.plugins.module_utils._server.options.model import (
    SPACES,
)


class ConfError(ValueError):
    """What is wrong with a text or a mapping.

    line: the line of the text, counted from 1, or None where a mapping could not be written. reason: one sentence,
    which never shows a value.
    """

    def __init__(self, line: int | None, reason: str) -> None:
        super().__init__(reason if line is None else f"line {line}: {reason}")
        self.line = line
        self.reason = reason


# Reading: text to items (conf/lex.go)

_END = "\0"  # the server reads a NUL character as it reads the end of the text
_BLANKS = re.compile(r"[\t ]*")
_SPACE_RUN = re.compile(f"[{SPACES}]*")
_TOP_GAP = re.compile(f"[{SPACES}{{]*")
_COMMENT = re.compile(r"(?:#|//)[^\r\n\0]*")
_BARE_KEY = re.compile(f"[^{SPACES}:=\0]*")
BARE_TEXT = re.compile(r"[^\\\r\n\0;,\]}\t ']*")
_DOUBLE_QUOTED = re.compile(r'[^"\\\0]*')
_SINGLE_QUOTED = re.compile(r"[^'\0]*")
_BARE_INCLUDE = re.compile(r"[^\r\n\0;}\t ']*")
_BLOCK_END = re.compile(r"\n\)(?=\n|\0|\Z)")
_DIGITS = re.compile(r"\d+")
_DATE_AFTER_YEAR = re.compile(r"\d\d-\d\dT\d\d:\d\d:\d\dZ")
_ADDRESS_REST = re.compile(r"[\d.:-]*")
_SIZE_REST = re.compile(r"[bBiI]*")
_SIZE_BROKEN = re.compile(r"(?:\d[ \t]+|\d\.\d+)\Z")
_SIZE_GOES_ON = re.compile(r"(?:[kmgtpe]i?b?|b)(?=[\s,;}\]]|\Z)", re.IGNORECASE)
_HEX_BYTE = re.compile(r"[0-9a-fA-F]{2}")
_NUMBER_ENDS = "\r\n\0};,\t "
_SIZE_LETTERS = "kKmMgGtTpPeE"
_ESCAPES = {"t": b"\t", "n": b"\n", "r": b"\r", '"': b'"', "\\": b"\\"}
BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class Kind(Enum):
    """What an item of the text is."""

    KEY = auto()
    STRING = auto()
    BOOLEAN = auto()
    INTEGER = auto()
    FLOAT = auto()
    DATETIME = auto()
    VARIABLE = auto()
    INCLUDE = auto()
    MAP_START = auto()
    MAP_END = auto()
    ARRAY_START = auto()
    ARRAY_END = auto()


@dataclass(frozen=True)
class Item:
    """One piece of the text; start and end are offsets into it, quotes included."""

    kind: Kind
    text: str
    line: int
    start: int
    end: int


_State = Callable[[], t.Any]  # gives the next state, or None at the end of the text


class Lexer:
    """A state machine like the server's: each state reads one piece and gives the next state."""

    def __init__(self, text: str) -> None:
        self.comments: list[tuple[int, int]] = []
        self._text = text
        self._position = 0
        self._newlines = [match.start() for match in re.finditer("\n", text)]
        self._ready: list[Item] = []
        self._after_value: list[_State] = []

    def items(self) -> Iterator[Item]:
        """Read on; ConfError where the server would refuse the text."""
        state: _State | None = self._top
        while state:
            state = state()
            yield from self._ready
            self._ready.clear()

    def _line(self, position: int) -> int:
        return bisect.bisect_left(self._newlines, position) + 1

    def _error(self, reason: str) -> ConfError:
        return ConfError(self._line(min(self._position, len(self._text))), reason)

    def _peek(self) -> str:
        return self._text[self._position] if self._position < len(self._text) else _END

    def _at(self, characters: str) -> bool:
        return self._peek() in characters

    def _skip(self, pattern: re.Pattern[str]) -> str:
        """Move over what the pattern matches here, and give it."""
        match = pattern.match(self._text, self._position)
        if not match:
            return ""
        self._position = match.end()
        return match[0]

    def _skip_comment(self) -> bool:
        start = self._position
        if not self._skip(_COMMENT):
            return False
        self.comments.append((start, self._position))
        return True

    def _emit(self, kind: Kind, start: int, text: str | None = None) -> None:
        value = self._text[start : self._position] if text is None else text
        self._ready.append(Item(kind, value, self._line(start), start, self._position))

    def _value_ended(self) -> _State:
        return self._after_value.pop()

    # The top level

    def _top(self) -> _State | None:
        self._skip(_TOP_GAP)
        if self._position >= len(self._text):
            return None
        if self._skip_comment():
            return self._top
        if self._at("/\0"):
            raise self._error("a key was expected")
        self._after_value.append(self._top_after_value)
        if self._at("\"'"):
            return self._top_quoted_key
        return self._top_key

    def _top_after_value(self) -> _State:
        self._skip(_BLANKS)
        if self._skip_comment():
            return self._top
        if self._at("/"):
            self._position += 1
            return self._top_after_value
        if not self._at("\r\n\0;,}"):
            self._reject_broken_size()
            raise self._error("a value at the top level has to end with a new line, a comment, a comma or a semicolon")
        self._position += 1
        return self._top

    def _top_key(self) -> _State:
        self._reject_separator()
        key, start = self._bare_key()
        if self._is_include(key):
            return self._include
        self._emit(Kind.KEY, start)
        return self._top_after_key

    def _top_quoted_key(self) -> _State | None:
        start = self._position + 1
        if self._quoted_key():
            return self._top_after_key
        if self._position > start:
            raise self._error("the text ends inside a quoted key")
        return None

    def _top_after_key(self) -> _State | None:
        self._skip(_SPACE_RUN)
        if self._at(_END):
            return None
        if self._at("=:"):
            self._position += 1
        return self._value

    # Blocks

    def _map_key(self) -> _State:
        self._skip(_SPACE_RUN)
        if self._skip_comment():
            return self._map_key
        if self._at("}"):
            return self._map_end
        self._reject_separator()
        if self._at("]\0"):
            raise self._error("a key or the end of the block was expected")
        if self._at("\"'"):
            if not self._quoted_key():
                raise self._error("the text ends inside a quoted key")
            return self._map_after_key
        if self._at("/"):  # the server skips a lone slash
            self._position += 1
        key, start = self._bare_key()
        if self._at(_END):
            raise self._error("the text ends inside a block")
        if self._is_include(key):
            self._after_value.append(self._map_after_value)
            return self._include
        self._emit(Kind.KEY, start)
        return self._map_after_key

    def _map_after_key(self) -> _State:
        self._skip(_SPACE_RUN)
        if self._at("=:"):
            self._position += 1
            self._skip(_SPACE_RUN)
        if self._at(","):
            raise self._error("a value was expected, not a comma")
        if self._at("}"):
            return self._map_end
        self._after_value.append(self._map_after_value)
        return self._value

    def _map_after_value(self) -> _State:
        self._skip(_BLANKS)
        if self._skip_comment():
            return self._map_after_value
        if self._at("}"):
            return self._map_end
        if not self._at("/;,\r\n"):
            self._reject_broken_size()
            raise self._error("the next setting of a block, or its end, was expected")
        self._position += 1
        return self._map_key

    def _map_end(self) -> _State:
        self._position += 1
        self._emit(Kind.MAP_END, self._position - 1)
        return self._value_ended()

    # Arrays

    def _element(self) -> _State:
        self._skip(_SPACE_RUN)
        if self._skip_comment():
            return self._element
        if self._at("]"):
            return self._array_end
        if self._at("/,"):
            raise self._error("a value of the list was expected")
        self._after_value.append(self._after_element)
        return self._value

    def _after_element(self) -> _State:
        self._skip(_BLANKS)
        if self._skip_comment():
            return self._after_element
        if self._at("]"):
            return self._array_end
        if not self._at("/,\r\n"):
            raise self._error("the next value of a list, or its end, was expected")
        self._position += 1
        return self._element

    def _array_end(self) -> _State:
        self._position += 1
        self._emit(Kind.ARRAY_END, self._position - 1)
        return self._value_ended()

    # Keys

    def _reject_broken_size(self) -> None:
        """Say what is wrong with a size, where the server only finds that something follows a number."""
        if _SIZE_BROKEN.search(self._text[: self._position]) and _SIZE_GOES_ON.match(self._text, self._position):
            raise self._error(
                "a size is a whole number with its unit right behind it, such as 1GB, or 10752MB in place of 10.5GB"
            )

    def _reject_separator(self) -> None:
        if self._at("=:"):
            raise self._error("a key was expected, not a separator")

    def _bare_key(self) -> tuple[str, int]:
        start = self._position
        self._position = min(start + 1, len(self._text))  # whatever the first character is
        self._skip(_BARE_KEY)
        return self._text[start : self._position], start

    def _quoted_key(self) -> bool:
        """Read a key between quotes; False where the text ends before it does."""
        quote = self._peek()
        self._position += 1
        start = self._position
        self._skip(re.compile(f"[^{quote}\0]*"))
        if not self._at(quote):
            return False
        self._emit(Kind.KEY, start)
        self._position += 1
        return True

    def _is_include(self, key: str) -> bool:
        return key.lower() == "include" and not self._at(":=\0")

    def _include(self) -> _State:
        self._skip(_BLANKS)
        start = self._position
        quote = self._peek()
        if quote in "[{(-\\\r\n" or quote.isdecimal():
            raise self._error("the name of a file to include was expected")
        if quote in "\"'":
            self._position += 1
            name = self._skip(re.compile(f"[^{quote}\0]*"))
            if not self._at(quote):
                raise self._error("the text ends inside the name of a file to include")
            self._position += 1
        else:
            name = self._skip(_BARE_INCLUDE)
            if self._at("'"):
                self._position += 1
        self._emit(Kind.INCLUDE, start, name)
        return self._value_ended()

    # Values

    def _value(self) -> _State | None:
        self._skip(_BLANKS)
        start, first = self._position, self._peek()
        if first in ".\r\n":
            raise self._error("a value was expected")
        if first.isdecimal():
            return self._number_or_text(start)
        forms: dict[str, Callable[[int], _State | None]] = {
            "{": self._map_start,
            "[": self._array_start,
            "'": self._single_quoted,
            '"': self._double_quoted,
            "(": self._block,
            "-": self._negative,
        }
        return forms.get(first, self._bare_text)(start)

    def _map_start(self, start: int) -> _State:
        self._position += 1
        self._emit(Kind.MAP_START, start)
        return self._map_key

    def _array_start(self, start: int) -> _State:
        self._position += 1
        self._emit(Kind.ARRAY_START, start)
        return self._element

    def _single_quoted(self, start: int) -> _State | None:
        self._position += 1
        text = self._skip(_SINGLE_QUOTED)
        if not self._at("'"):
            self._reject_end_inside_quotes(text)
            return None
        self._position += 1
        self._emit(Kind.STRING, start, text)
        return self._value_ended()

    def _double_quoted(self, start: int) -> _State | None:
        self._position += 1
        parts: list[bytes] = []
        while True:
            piece = self._skip(_DOUBLE_QUOTED)
            parts.append(to_bytes(piece))
            if self._at('"'):
                break
            if not self._at("\\"):
                self._reject_end_inside_quotes(piece)
                return None
            parts.append(self._escape())
        self._position += 1
        self._emit(Kind.STRING, start, _to_text(parts))
        return self._value_ended()

    def _reject_end_inside_quotes(self, last_piece: str) -> None:
        # The server takes the end of the text right after a quote or an escape for a proper end.
        if last_piece or self._position < len(self._text):
            raise self._error("the text ends inside quotes")

    def _bare_text(self, start: int) -> _State:
        """Read up to the end of a value without quotes; start may lie before the present position."""
        parts: list[bytes] = []
        piece_start = start
        while True:
            self._skip(BARE_TEXT)
            if not self._at("\\"):
                break
            parts.append(to_bytes(self._text[piece_start : self._position]))
            parts.append(self._escape())
            piece_start = self._position
        text = self._text[start : self._position]
        parts.append(to_bytes(self._text[piece_start : self._position]))
        if self._at("'"):  # the server lets a single quote end any text
            self._position += 1
            self._emit(Kind.STRING, start, _to_text(parts))
        elif len(parts) > 1:
            self._emit(Kind.STRING, start, _to_text(parts))
        elif text.lower() in BOOLEANS:
            self._emit(Kind.BOOLEAN, start)
        elif text.startswith("$"):
            self._emit(Kind.VARIABLE, start, text[1:])
        else:
            self._emit(Kind.STRING, start)
        return self._value_ended()

    def _escape(self) -> bytes:
        self._position += 1
        letter = self._peek()
        self._position += 1
        if letter == "x":
            digits = self._skip(_HEX_BYTE)
            if not digits:
                raise self._error("two hexadecimal digits were expected after \\x")
            return bytes.fromhex(digits)
        if letter not in _ESCAPES:
            raise self._error('an escape has to be one of \\xXX, \\t, \\n, \\r, \\", \\\\')
        return _ESCAPES[letter]

    def _block(self, start: int) -> _State:
        end = _BLOCK_END.search(self._text, start + 1)
        if not end or "\0" in self._text[start : end.start()]:
            raise self._error("the text ends inside a block string: its ) has to stand on a line of its own")
        self._position = end.end()
        # At the very end of the text the server takes the closing parenthesis for a part of the string.
        text_end = self._position - (self._position < len(self._text))
        self._emit(Kind.STRING, start, self._text[start + 1 : text_end])
        return self._value_ended()

    def _number_or_text(self, start: int) -> _State:
        self._skip(_DIGITS)
        if self._at("-"):
            self._position += 1
            if len(to_bytes(self._text[start : self._position])) != len("2006-") or not self._skip(_DATE_AFTER_YEAR):
                raise self._error("a date has to be written in full, like 2006-01-02T15:04:05Z")
            self._emit(Kind.DATETIME, start)
            return self._value_ended()
        if self._at("."):
            return self._fraction_or_address(start)
        if self._at(_SIZE_LETTERS):
            return self._suffix(start)
        if self._at(_NUMBER_ENDS):
            self._emit(Kind.INTEGER, start)
            return self._value_ended()
        self._position += 1  # the server takes this character into the text, even where it would end one
        return self._bare_text(start)

    def _negative(self, start: int) -> _State:
        self._position += 1
        if not self._skip(_DIGITS):
            raise self._error("a digit was expected after the minus sign")
        if self._at("."):
            return self._fraction_or_address(start)
        if self._at(_SIZE_LETTERS):
            return self._suffix(start)
        self._emit(Kind.INTEGER, start)
        return self._value_ended()

    def _fraction_or_address(self, start: int) -> _State:
        self._position += 1
        if not self._skip(_DIGITS):
            raise self._error("a digit was expected after the decimal point")
        if self._at("."):
            self._skip(_ADDRESS_REST)
            self._emit(Kind.STRING, start)
        else:
            self._emit(Kind.FLOAT, start)
        return self._value_ended()

    def _suffix(self, start: int) -> _State:
        self._position += 1
        self._skip(_SIZE_REST)
        if self._at(_NUMBER_ENDS) or self._peek().isdecimal():
            self._emit(Kind.INTEGER, start)
            return self._value_ended()
        return self._bare_text(start)


def to_bytes(text: str) -> bytes:
    """Give the bytes of a text whose bytes may be none of UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def _to_text(parts: Sequence[bytes]) -> str:
    return b"".join(parts).decode("utf-8", "surrogateescape")
