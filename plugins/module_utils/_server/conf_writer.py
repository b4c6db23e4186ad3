# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mapping as the text of a configuration."""

from __future__ import annotations

import datetime
import decimal
import math
import re
import typing as t
from collections.abc import Callable, Iterator, Mapping

from ansible_collections.rosey.nats.plugins.module_utils._server import conf_lexer, conf_reader
from ansible_collections.rosey.nats.plugins.module_utils._server.conf_lexer import ConfError
from ansible_collections.rosey.nats.plugins.module_utils._server.conf_reader import Path
from ansible_collections.rosey.nats.plugins.module_utils._server.options import model, reading
from ansible_collections.rosey.nats.plugins.module_utils._server.options.model import (
    INCLUDE,
    VARIABLE,
)

_INDENT = "  "


# Writing

_SIMPLE_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*", re.ASCII)
_SIMPLE_TEXT = re.compile(r"(?:[A-Za-z][A-Za-z0-9_.-]*|[0-9]{1,3}(?:\.[0-9]{1,3}){3})(?::[0-9]+)?", re.ASCII)
_QUOTED_CHARACTERS = {"\\": "\\\\", '"': '\\"', "\t": "\\t", "\n": "\\n", "\r": "\\r"}


def setting_lines(key: t.Any, value: t.Any, path: Path) -> Iterator[str]:
    """Give the lines of one setting; ConfError for what the language can't hold."""
    if not isinstance(key, str):
        raise ConfError(None, f"{conf_reader.dotted((*path, key))}: the name of an option has to be text")
    if key == INCLUDE:
        for file in value if isinstance(value, (list, tuple)) else [value]:
            yield f"include {_delimited(file, (*path, key))}"
        return
    first, *rest = _value_lines(value, (*path, key))
    separator = " " if _is_block(value) else ": "
    yield f"{_key_text(key, path)}{separator}{first}"
    yield from rest


def _is_block(value: t.Any) -> bool:
    return isinstance(value, Mapping) and value.keys() != {VARIABLE}


def _value_lines(value: t.Any, path: Path) -> list[str]:
    if len(path) > conf_reader.DEEPEST:
        raise ConfError(
            None,
            f"{conf_reader.dotted(path[:3])}: more than {conf_reader.DEEPEST} blocks and lists stand inside each other",
        )
    if _is_block(value):
        inner = [line for key, entry in value.items() for line in setting_lines(key, entry, path)]
        return _enclosed("{", inner, "}")
    if isinstance(value, (list, tuple)):
        inner = [line for index, entry in enumerate(value) for line in _value_lines(entry, (*path, index))]
        return _enclosed("[", inner, "]")
    return [_scalar_text(value, path)]


def _enclosed(opening: str, inner: list[str], closing: str) -> list[str]:
    if not inner:
        return [opening + closing]
    return [opening, *(_INDENT + line for line in inner), closing]


def _scalar_text(value: t.Any, path: Path) -> str:
    if isinstance(value, str):
        return _text(str(value), path)
    written = next((write(value) for kind, write in _WRITERS if isinstance(value, kind)), None)
    if written is None:
        raise ConfError(
            None,
            f"{conf_reader.dotted(path)}: the configuration language has no way to write {conf_reader.describe(value)}",
        )
    return written


def _boolean_text(value: bool) -> str:
    return "true" if value else "false"


def _integer_text(value: int) -> str | None:
    number = int(value)  # a subclass of int would be sought one by one
    return str(number) if number in conf_reader.INT64 else None


def _float_text(value: float) -> str | None:
    if not math.isfinite(value):
        return None
    digits = format(decimal.Decimal(repr(float(value))), "f")
    return digits if "." in digits else f"{digits}.0"


def _date_text(value: datetime.datetime) -> str | None:
    if value.microsecond:
        return None
    utc = value.astimezone(datetime.timezone.utc) if value.tzinfo else value
    return utc.strftime(conf_reader.DATETIME).rjust(len("2006-01-02T15:04:05Z"), "0")


def _variable_text(value: Mapping[str, t.Any]) -> str | None:
    name = value[VARIABLE]
    return f"${name}" if isinstance(name, str) and _is_readable_variable(name) else None


# What is no text, by its type, the first that fits; None where a value of the type can't be written.
_WRITERS: tuple[tuple[type, Callable[[t.Any], str | None]], ...] = (
    (bool, _boolean_text),
    (int, _integer_text),
    (float, _float_text),
    (datetime.datetime, _date_text),
    (Mapping, _variable_text),
)


def _text(value: str, path: Path) -> str:
    option = reading.find(path)
    if option and option.kind in (model.Kind.SIZE, model.Kind.STORAGE_SIZE) and conf_reader.is_size(value):
        return value
    if _SIMPLE_TEXT.fullmatch(value) and value.lower() not in conf_lexer.BOOLEANS and not (option and option.secret):
        return value
    try:
        conf_lexer.to_bytes(value)
    except UnicodeEncodeError as error:
        raise ConfError(
            None, f"{conf_reader.dotted(path)}: the text holds half a character (a lone surrogate)"
        ) from error
    return '"' + "".join(_quoted_character(character) for character in value) + '"'


def _quoted_character(character: str) -> str:
    if character in _QUOTED_CHARACTERS:
        return _QUOTED_CHARACTERS[character]
    if character < " " or character == "\x7f" or "\udc80" <= character <= "\udcff":
        return f"\\x{conf_lexer.to_bytes(character).hex()}"
    return character


def _key_text(key: str, path: Path) -> str:
    if _SIMPLE_KEY.fullmatch(key) and key.lower() != "include":
        return key
    return _delimited(key, (*path, key))


def _delimited(text: t.Any, path: Path) -> str:
    """Put a key or the name of a file into quotes; in both the language knows no escapes."""
    if not isinstance(text, str):
        raise ConfError(None, f"{conf_reader.dotted(path)}: the name of a file was expected")
    for quote in "\"'":
        if quote not in text and "\0" not in text:
            return f"{quote}{text}{quote}"
    raise ConfError(None, f"{conf_reader.dotted(path)}: a name cannot hold a NUL character or both kinds of quotes")


def _is_readable_variable(name: str) -> bool:
    return bool(name and conf_lexer.BARE_TEXT.fullmatch(name)) and not name.startswith(conf_reader.BCRYPT)
