# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration language of nats-server: text to mapping, mapping to text, and text without its secrets.

The reader does what conf/lex.go and conf/parse.go of nats-server 2.10.7 do, quirks included, for its verdict has to be
the server's. It is stricter in what the server swallows silently: a number with an unknown suffix, a number that
overflows, a file that includes itself.
"""

from __future__ import annotations

import bisect
import datetime
import decimal
import itertools
import math
import posixpath
import re
import typing as t
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from ansible_collections.rosey.nats.plugins.module_utils._host.redaction import HIDDEN
from ansible_collections.rosey.nats.plugins.module_utils._server import units
from ansible_collections.rosey.nats.plugins.module_utils._server.options import model, reading, table
from ansible_collections.rosey.nats.plugins.module_utils._server.options.model import (
    INCLUDE,
    SPACES,
    VARIABLE,
    is_reference,
)

Path = model.Path
Include = Callable[[str], str]

_DEEPEST = 100
_INDENT = "  "
_INT64 = range(-(2**63), 2**63)


class ConfError(ValueError):
    """What is wrong with a text or a mapping.

    line: the line of the text, counted from 1, or None where a mapping could not be written. reason: one sentence,
    which never shows a value.
    """

    def __init__(self, line: int | None, reason: str) -> None:
        super().__init__(reason if line is None else f"line {line}: {reason}")
        self.line = line
        self.reason = reason


def parse(text: str, *, variables: Mapping[str, str] | None = None, include: Include | None = None) -> dict[str, t.Any]:
    """Read a configuration text into what it means to the server.

    variables: the environment that the server would see, name to text; without it, a reference that the text itself
    does not define stays {"$variable": name}. include: gives the text of an included file by its path relative to the
    first text; without it, the files of a block stay under its key "$include", a path or a list of paths, at the place
    of the first. Sizes come out in bytes, the quoted ones of jetstream too. A definition that serves as a variable only
    is left out. Raises ConfError.
    """
    return t.cast("dict[str, t.Any]", _plain(_Reader(text, variables, include).read(), ()))


def render(config: Mapping[str, t.Any], *, header: str = "") -> str:
    """Write a configuration as text: one setting a line, in the order of the mapping, always the same for the same.

    header: lines for a comment at the top. A size keeps its spelling and is written bare, so that the server reads it
    as decimal; every other text is quoted unless it is a simple word. {"$variable": name} becomes a reference and the
    key "$include" its lines. Raises ConfError naming the option that the language cannot express.
    """
    lines = [*comment(header).splitlines(), ""] if header else []
    previous_is_block = False
    for position, (key, value) in enumerate(config.items()):
        is_block = isinstance(value, Mapping) and not is_reference(value)
        if position and (is_block or previous_is_block):
            lines.append("")
        lines.extend(_setting_lines(key, value, ()))
        previous_is_block = is_block
    return "".join(f"{line}\n" for line in lines)


def comment(text: str) -> str:
    """Write a text as a comment that nothing in it can leave: a configuration's, and as well a unit's of systemd.

    Whatever one of their readers, or an editor, takes for the end of a line begins a new one, a NUL character too.
    """
    return "\n".join(f"# {line}".rstrip() for line in text.replace("\0", "\n").splitlines())


def redact(text: str) -> str:
    """Give the same text, line for line, with every value that is or may be secret replaced by asterisks.

    Hidden are the values of secret options, of options that the server does not know, of definitions that a secret
    option uses, and the rest of a comment that names a secret option. A text that the server cannot read is hidden
    whole.
    """
    reader = _Reader(text, None, None)
    try:
        reader.read()
    except ConfError:
        return "(hidden: this is not a configuration that nats-server can read)\n"
    hidden = [(scalar.start, scalar.end, f'"{HIDDEN}"') for scalar in reader.secret_scalars()]
    hidden += [(start, end, HIDDEN) for start, end in _secret_comments(text, reader.comments)]
    parts, position = [], 0
    for start, end, asterisks in sorted(hidden):
        parts += [text[position:start], asterisks, "\n" * text.count("\n", start, end)]
        position = end
    return "".join([*parts, text[position:]])


# What hides the secrets of a file, by the word that its description has for `redact`.
REDACTORS: Mapping[str, Callable[[str], str]] = {"nats_conf": redact}


def has_credentials(value: t.Any) -> bool:
    """Tell whether a value holds a URL with a user or a password."""
    return _CREDENTIALS.search(str(value)) is not None


# Reading: text to items (conf/lex.go)

_END = "\0"  # the server reads a NUL character as it reads the end of the text
_BLANKS = re.compile(r"[\t ]*")
_SPACE_RUN = re.compile(f"[{SPACES}]*")
_TOP_GAP = re.compile(f"[{SPACES}{{]*")
_COMMENT = re.compile(r"(?:#|//)[^\r\n\0]*")
_BARE_KEY = re.compile(f"[^{SPACES}:=\0]*")
_BARE_TEXT = re.compile(r"[^\\\r\n\0;,\]}\t ']*")
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
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_CREDENTIALS = re.compile(r"://[^/\s]*@")
_VALUE_KEY = "pk"  # under this key the server reads the value of an environment variable
_DATETIME = "%Y-%m-%dT%H:%M:%SZ"
_BCRYPT = "2a$"  # such a value needs no quotes: the server sees that it is no variable


class _Kind(Enum):
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
class _Item:
    """One piece of the text; start and end are offsets into it, quotes included."""

    kind: _Kind
    text: str
    line: int
    start: int
    end: int


_State = Callable[[], t.Any]  # gives the next state, or None at the end of the text


class _Lexer:
    """A state machine like the server's: each state reads one piece and gives the next state."""

    def __init__(self, text: str) -> None:
        self.comments: list[tuple[int, int]] = []
        self._text = text
        self._position = 0
        self._newlines = [match.start() for match in re.finditer("\n", text)]
        self._ready: list[_Item] = []
        self._after_value: list[_State] = []

    def items(self) -> Iterator[_Item]:
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

    def _emit(self, kind: _Kind, start: int, text: str | None = None) -> None:
        value = self._text[start : self._position] if text is None else text
        self._ready.append(_Item(kind, value, self._line(start), start, self._position))

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
        self._emit(_Kind.KEY, start)
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
        self._emit(_Kind.KEY, start)
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
        self._emit(_Kind.MAP_END, self._position - 1)
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
        self._emit(_Kind.ARRAY_END, self._position - 1)
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
        self._emit(_Kind.KEY, start)
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
        self._emit(_Kind.INCLUDE, start, name)
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
        self._emit(_Kind.MAP_START, start)
        return self._map_key

    def _array_start(self, start: int) -> _State:
        self._position += 1
        self._emit(_Kind.ARRAY_START, start)
        return self._element

    def _single_quoted(self, start: int) -> _State | None:
        self._position += 1
        text = self._skip(_SINGLE_QUOTED)
        if not self._at("'"):
            self._reject_end_inside_quotes(text)
            return None
        self._position += 1
        self._emit(_Kind.STRING, start, text)
        return self._value_ended()

    def _double_quoted(self, start: int) -> _State | None:
        self._position += 1
        parts: list[bytes] = []
        while True:
            piece = self._skip(_DOUBLE_QUOTED)
            parts.append(_to_bytes(piece))
            if self._at('"'):
                break
            if not self._at("\\"):
                self._reject_end_inside_quotes(piece)
                return None
            parts.append(self._escape())
        self._position += 1
        self._emit(_Kind.STRING, start, _to_text(parts))
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
            self._skip(_BARE_TEXT)
            if not self._at("\\"):
                break
            parts.append(_to_bytes(self._text[piece_start : self._position]))
            parts.append(self._escape())
            piece_start = self._position
        text = self._text[start : self._position]
        parts.append(_to_bytes(self._text[piece_start : self._position]))
        if self._at("'"):  # the server lets a single quote end any text
            self._position += 1
            self._emit(_Kind.STRING, start, _to_text(parts))
        elif len(parts) > 1:
            self._emit(_Kind.STRING, start, _to_text(parts))
        elif text.lower() in _BOOLEANS:
            self._emit(_Kind.BOOLEAN, start)
        elif text.startswith("$"):
            self._emit(_Kind.VARIABLE, start, text[1:])
        else:
            self._emit(_Kind.STRING, start)
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
        self._emit(_Kind.STRING, start, self._text[start + 1 : text_end])
        return self._value_ended()

    def _number_or_text(self, start: int) -> _State:
        self._skip(_DIGITS)
        if self._at("-"):
            self._position += 1
            if len(_to_bytes(self._text[start : self._position])) != len("2006-") or not self._skip(_DATE_AFTER_YEAR):
                raise self._error("a date has to be written in full, like 2006-01-02T15:04:05Z")
            self._emit(_Kind.DATETIME, start)
            return self._value_ended()
        if self._at("."):
            return self._fraction_or_address(start)
        if self._at(_SIZE_LETTERS):
            return self._suffix(start)
        if self._at(_NUMBER_ENDS):
            self._emit(_Kind.INTEGER, start)
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
        self._emit(_Kind.INTEGER, start)
        return self._value_ended()

    def _fraction_or_address(self, start: int) -> _State:
        self._position += 1
        if not self._skip(_DIGITS):
            raise self._error("a digit was expected after the decimal point")
        if self._at("."):
            self._skip(_ADDRESS_REST)
            self._emit(_Kind.STRING, start)
        else:
            self._emit(_Kind.FLOAT, start)
        return self._value_ended()

    def _suffix(self, start: int) -> _State:
        self._position += 1
        self._skip(_SIZE_REST)
        if self._at(_NUMBER_ENDS) or self._peek().isdecimal():
            self._emit(_Kind.INTEGER, start)
            return self._value_ended()
        return self._bare_text(start)


def _to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _to_text(parts: Sequence[bytes]) -> str:
    return b"".join(parts).decode("utf-8", "surrogateescape")


# Reading: items to values (conf/parse.go)


@dataclass(frozen=True)
class _Reference:
    """A variable that could not be resolved."""

    name: str


@dataclass
class _Setting:
    """A value of the text and what became of it; source is the definition that a variable stands for."""

    value: t.Any
    line: int
    used: bool = False
    source: _Setting | None = None


@dataclass(frozen=True)
class _Included:
    """A file that stays an include. settings: how many values stand before it in the text."""

    name: str
    line: int
    settings: int


@dataclass(frozen=True)
class _Scalar:
    """A value that is no block and no list, at its place in the text; names_variable: it may be shown as it is."""

    path: Path
    start: int
    end: int
    setting: _Setting
    names_variable: bool


class _Reader:
    def __init__(
        self,
        text: str,
        variables: Mapping[str, str] | None,
        include: Include | None,
        *,
        directory: str = ".",
        inside: tuple[str, ...] = (),
    ) -> None:
        self._lexer = _Lexer(text)
        self._variables = variables
        self._include = include
        self._directory = directory
        self._inside = inside  # the files and variables that are being read around this text
        self._root: dict[str, _Setting] = {}
        self._open: list[dict[str, _Setting] | list[_Setting]] = [self._root]
        self._opened_at: list[str | int] = []
        self._keys: list[str] = []
        self._settings = 0
        self._scalars: list[_Scalar] = []

    @property
    def comments(self) -> list[tuple[int, int]]:
        return self._lexer.comments

    def read(self) -> dict[str, _Setting]:
        last: _Item | None = None
        for item in self._lexer.items():
            self._take(item)
            last = item
        if last and last.kind is _Kind.KEY and last.text != "}":  # a closing brace is allowed, as JSON ends so
            raise ConfError(last.line, "the last key has no value")
        return self._root

    def secret_scalars(self) -> list[_Scalar]:
        """Name the values that may not be shown, the definitions that a secret option uses among them."""
        hidden: list[_Scalar] = []
        secret_sources: set[int] = set()
        for scalar in reversed(self._scalars):  # a use comes after its definition
            option, setting = reading.find(scalar.path), scalar.setting
            if (
                (option.secret if option else not setting.used)
                or id(setting) in secret_sources
                or has_credentials(setting.value)
            ):
                secret_sources.add(id(setting.source))
                if not scalar.names_variable:
                    hidden.append(scalar)
        return hidden

    def _take(self, item: _Item) -> None:
        match item.kind:
            case _Kind.KEY:
                if item.text in (VARIABLE, INCLUDE):
                    raise ConfError(item.line, f"the key {item.text} stands for something else in the mapping")
                self._keys.append(item.text)
            case _Kind.MAP_START:
                self._enter({}, item)
            case _Kind.ARRAY_START:
                self._enter([], item)
            case _Kind.MAP_END | _Kind.ARRAY_END:
                self._opened_at.pop()
                self._set(_Setting(self._open.pop(), item.line))
            case _Kind.INCLUDE:
                self._take_include(item)
            case _:
                setting = self._variable(item) if item.kind is _Kind.VARIABLE else _Setting(_scalar(item), item.line)
                path = (*self._opened_at, self._place())
                names_variable = item.kind is _Kind.VARIABLE and bool(_VARIABLE_NAME.fullmatch(item.text))
                self._scalars.append(_Scalar(path, item.start, item.end, setting, names_variable))
                self._set(setting)

    def _enter(self, container: dict[str, _Setting] | list[_Setting], item: _Item) -> None:
        if len(self._open) > _DEEPEST:
            raise ConfError(item.line, f"more than {_DEEPEST} blocks and lists stand inside each other")
        self._opened_at.append(self._place())
        self._open.append(container)

    def _place(self) -> str | int:
        container = self._open[-1]
        return len(container) if isinstance(container, list) else self._keys[-1]

    def _set(self, setting: _Setting) -> None:
        self._settings += 1
        container = self._open[-1]
        if isinstance(container, list):
            container.append(setting)
        else:
            self._assign(container, self._keys.pop(), setting)

    @staticmethod
    def _assign(container: dict[str, _Setting], key: str, setting: _Setting) -> None:
        container.pop(key, None)  # the last one wins, and stands where it was written
        container[key] = setting

    def _take_include(self, item: _Item) -> None:
        container = t.cast("dict[str, _Setting]", self._open[-1])
        include = self._include
        if include is None:
            files = container.setdefault(INCLUDE, _Setting([], item.line))
            files.value.append(_Included(item.text, item.line, self._settings))
            return
        path = posixpath.normpath(f"{self._directory}/{item.text}").lstrip("/")  # as Go's filepath.Join
        included = self._nested(item, f"the file {path}", lambda: include(path), posixpath.dirname(path))
        for key, setting in included.items():
            self._assign(container, key, setting)

    def _variable(self, item: _Item) -> _Setting:
        """Resolve a reference: a bcrypt hash, a definition of the text, innermost block first, or the environment."""
        name = item.text
        if name.startswith(_BCRYPT):
            return _Setting(f"${name}", item.line)
        for container in reversed(self._open):
            if isinstance(container, dict) and name in container:
                source = container[name]
                source.used = True
                return _Setting(source.value, item.line, source=source)
        if self._variables is None:
            return _Setting(_Reference(name), item.line)
        value = self._variables.get(name)
        found: dict[str, _Setting] = {}
        if value is not None:
            found = self._nested(item, f"the variable {name}", lambda: f"{_VALUE_KEY}={value}", ".")
        if _VALUE_KEY not in found:
            shown = name if _VARIABLE_NAME.fullmatch(name) else "whose name is hidden: quote a text that begins with $,"
            raise ConfError(item.line, f"the variable {shown} is not defined")
        return _Setting(found[_VALUE_KEY].value, item.line)

    def _nested(self, item: _Item, what: str, text: Callable[[], str], directory: str) -> dict[str, _Setting]:
        """Read the text that an include or a variable stands for."""
        if what in self._inside:
            raise ConfError(item.line, f"{what} refers to itself")
        inside = (*self._inside, what)
        try:
            return _Reader(text(), self._variables, self._include, directory=directory, inside=inside).read()
        except OSError as error:
            raise ConfError(item.line, f"{what} cannot be read: {error.strerror or error}") from error
        except ConfError as error:
            raise ConfError(item.line, f"{what}: {error}") from error


def _scalar(item: _Item) -> t.Any:
    text = item.text
    match item.kind:
        case _Kind.BOOLEAN:
            return _BOOLEANS[text.lower()]
        case _Kind.INTEGER:
            try:
                return units.size(text, quoted=False)
            except units.UnitError as error:
                raise ConfError(item.line, f"a number {error}") from error
        case _Kind.FLOAT:
            number = float(text)
            if math.isinf(number) or not text.isascii():
                raise ConfError(item.line, "a number with a decimal point is out of range")
            return number
        case _Kind.DATETIME:
            if not text.isascii():
                raise ConfError(item.line, "a date has to be written in ASCII digits")
            try:
                return datetime.datetime.strptime(text, _DATETIME).replace(tzinfo=datetime.UTC)
            except ValueError as error:
                raise ConfError(item.line, "there is no such date") from error
    return text


def _plain(value: t.Any, path: Path, line: int = 1) -> t.Any:
    """Give the value without the marks of the reading."""
    if isinstance(value, _Reference):
        return {VARIABLE: value.name}
    if isinstance(value, dict):
        return {
            key: _included(setting) if key == INCLUDE else _plain(setting.value, (*path, key), setting.line)
            for key, setting in value.items()
            if key == INCLUDE or not (setting.used and reading.is_variable_alone((*path, key)))
        }
    if isinstance(value, list):
        return [_plain(setting.value, (*path, index), setting.line) for index, setting in enumerate(value)]
    option = reading.find(path)
    if isinstance(value, str) and option and option.kind is model.Kind.STORAGE_SIZE:
        try:
            return units.size(value, quoted=True)
        except units.UnitError as error:
            raise ConfError(line, f"the quoted size of {path[-1]} {error}") from error
    if isinstance(value, str) and option and option.kind is model.Kind.SIZE and _is_size(value):
        raise ConfError(line, f"{path[-1]} is a text, and the server takes no size that is quoted: remove the quotes")
    return value


def _included(setting: _Setting) -> str | list[str]:
    """Give the files that are included at one place; a mapping has no way to say two."""
    files: list[_Included] = setting.value
    for one, next_one in itertools.pairwise(files):
        if one.settings != next_one.settings:
            reason = "a file is included after a setting that stands behind another include, and the last of them wins"
            raise ConfError(next_one.line, f"{reason}: put the includes together")
    return files[0].name if len(files) == 1 else [file.name for file in files]


# Writing

_SIMPLE_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*", re.ASCII)
_SIMPLE_TEXT = re.compile(r"(?:[A-Za-z][A-Za-z0-9_.-]*|[0-9]{1,3}(?:\.[0-9]{1,3}){3})(?::[0-9]+)?", re.ASCII)
_QUOTED_CHARACTERS = {"\\": "\\\\", '"': '\\"', "\t": "\\t", "\n": "\\n", "\r": "\\r"}


def _setting_lines(key: t.Any, value: t.Any, path: Path) -> Iterator[str]:
    if not isinstance(key, str):
        raise ConfError(None, f"{_dotted((*path, key))}: the name of an option has to be text")
    if key == INCLUDE:
        for file in value if isinstance(value, list | tuple) else [value]:
            yield f"include {_delimited(file, (*path, key))}"
        return
    first, *rest = _value_lines(value, (*path, key))
    separator = " " if _is_block(value) else ": "
    yield f"{_key_text(key, path)}{separator}{first}"
    yield from rest


def _is_block(value: t.Any) -> bool:
    return isinstance(value, Mapping) and value.keys() != {VARIABLE}


def _value_lines(value: t.Any, path: Path) -> list[str]:
    if len(path) > _DEEPEST:
        raise ConfError(None, f"{_dotted(path[:3])}: more than {_DEEPEST} blocks and lists stand inside each other")
    if _is_block(value):
        inner = [line for key, entry in value.items() for line in _setting_lines(key, entry, path)]
        return _enclosed("{", inner, "}")
    if isinstance(value, list | tuple):
        inner = [line for index, entry in enumerate(value) for line in _value_lines(entry, (*path, index))]
        return _enclosed("[", inner, "]")
    return [_scalar_text(value, path)]


def _enclosed(opening: str, inner: list[str], closing: str) -> list[str]:
    if not inner:
        return [opening + closing]
    return [opening, *(_INDENT + line for line in inner), closing]


def _scalar_text(value: t.Any, path: Path) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() if int(value) in _INT64:  # a subclass of int would be sought one by one
            return str(int(value))
        case float() if math.isfinite(value):
            digits = format(decimal.Decimal(repr(float(value))), "f")
            return digits if "." in digits else f"{digits}.0"
        case datetime.datetime() if value.microsecond == 0:
            utc = value.astimezone(datetime.UTC) if value.tzinfo else value
            return utc.strftime(_DATETIME).rjust(len("2006-01-02T15:04:05Z"), "0")
        case str():
            return _text(str(value), path)
        case Mapping() if isinstance(name := value[VARIABLE], str) and _is_readable_variable(name):
            return f"${name}"
    raise ConfError(None, f"{_dotted(path)}: the configuration language has no way to write {_describe(value)}")


def _text(value: str, path: Path) -> str:
    option = reading.find(path)
    if option and option.kind in (model.Kind.SIZE, model.Kind.STORAGE_SIZE) and _is_size(value):
        return value
    if _SIMPLE_TEXT.fullmatch(value) and value.lower() not in _BOOLEANS and not (option and option.secret):
        return value
    try:
        _to_bytes(value)
    except UnicodeEncodeError as error:
        raise ConfError(None, f"{_dotted(path)}: the text holds half a character (a lone surrogate)") from error
    return '"' + "".join(_quoted_character(character) for character in value) + '"'


def _quoted_character(character: str) -> str:
    if character in _QUOTED_CHARACTERS:
        return _QUOTED_CHARACTERS[character]
    if character < " " or character == "\x7f" or "\udc80" <= character <= "\udcff":
        return f"\\x{_to_bytes(character).hex()}"
    return character


def _is_size(value: str) -> bool:
    try:
        units.size(value, quoted=False)
    except units.UnitError:
        return False
    return True


def _key_text(key: str, path: Path) -> str:
    if _SIMPLE_KEY.fullmatch(key) and key.lower() != "include":
        return key
    return _delimited(key, (*path, key))


def _delimited(text: t.Any, path: Path) -> str:
    """Put a key or the name of a file into quotes; in both the language knows no escapes."""
    if not isinstance(text, str):
        raise ConfError(None, f"{_dotted(path)}: the name of a file was expected")
    for quote in "\"'":
        if quote not in text and "\0" not in text:
            return f"{quote}{text}{quote}"
    raise ConfError(None, f"{_dotted(path)}: a name cannot hold a NUL character or both kinds of quotes")


def _is_readable_variable(name: str) -> bool:
    return bool(name and _BARE_TEXT.fullmatch(name)) and not name.startswith(_BCRYPT)


def _describe(value: t.Any) -> str:
    if value is None:
        return "null; leave the option out"
    if isinstance(value, int | float):
        return "a number of this size"
    return "this name of a variable" if isinstance(value, Mapping) else f"a value of type {type(value).__name__}"


def _dotted(path: Path) -> str:
    return ".".join(str(part) for part in path)


# Hiding


def _secret_comments(text: str, comments: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Give, for each comment that seems to set a secret option or to hold credentials, the part to be hidden."""
    names = {name for option in table.OPTIONS if option.secret for name in (option.name, *option.aliases)}
    any_name = "|".join(sorted(names - {model.ANY_NAME}))
    setting = re.compile(
        rf"""(?<![a-z0-9_])(?:{any_name})["']?\s*(?:[:=]\s*|\s(?=["']))|(?={_CREDENTIALS.pattern})""", re.IGNORECASE
    )
    for start, end in comments:
        found = setting.search(text, start, end)
        if found and found.end() < end:
            yield found.end(), end
