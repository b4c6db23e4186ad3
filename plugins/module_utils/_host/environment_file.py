# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of environment variables, as systemd's `EnvironmentFile=` and a shell's `. file` read it.

The two agree on less than it seems (systemd: src/basic/env-file.c; shell: POSIX, 2.2 Quoting). A comment behind a value
is part of it for systemd. `export NAME=value` is no variable for systemd. Quotes in the middle of a bare word, a bare
`$`, and a carriage return are read differently. What is written here is read alike by both: one pair of double quotes,
in which `"`, `$`, the backquote and the backslash each have a backslash before them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")
# Of all ways to write a value, those that systemd and a shell read alike.
_ALIKE = re.compile(
    r"""[ \t]*[A-Za-z_]\w*=(?:[\w@%+,./:=-]*|'[^'\r]*'|"(?:[^"\\$`\r]|\\[^\r\n])*")[ \t]*\n?""", re.ASCII
)
_ESCAPED = re.compile(r'["\\$`]')
_BLANK = " \t"
_BREAK = "\n\r"
_COMMENT = "#;"
# What Unicode keeps free: this range, and the last two characters of each plane.
_NONCHARACTERS = range(0xFDD0, 0xFDF0)
_END_OF_PLANE = 0xFFFE


class EnvironmentFileError(Exception):
    """Why a variable can't be written, or a file not be changed; no value is in it."""


@dataclass(frozen=True)
class _Assignment:
    """What systemd takes for one assignment: text[start:end], with the line break. line counts from 1."""

    name: str
    value: str
    start: int
    end: int
    line: int


def get(text: bytes) -> dict[str, str]:
    """Give the variables that systemd finds in a file. Raises EnvironmentFileError."""
    found = _assignments(_decode(text))
    return {each.name: each.value for each in found if _NAME.fullmatch(each.name)}


def put(text: bytes, variables: Mapping[str, str | None]) -> bytes:
    """Give the file with these variables, each once; None takes one out.

    All other lines stay byte for byte, and so does the line of a variable that systemd and a shell already read as
    meant. A new variable comes to the end. Raises EnvironmentFileError.
    """
    for name, value in variables.items():
        _check(name, value)
    present = text
    for name, value in variables.items():
        present = _put_one(_decode(present), name, value).encode("utf-8", "surrogateescape")
    read = get(present)
    if any(read.get(name) != value for name, value in variables.items()):
        raise EnvironmentFileError("what would be written is not read as it is meant. Make the file simpler.")
    return present


def _check(name: str, value: str | None) -> None:
    if not _NAME.fullmatch(name):
        raise EnvironmentFileError(f"{name!r} is no name of a variable. Use letters, digits and _, no digit first.")
    if value is None:
        return
    if not isinstance(value, str):
        raise EnvironmentFileError(f"{name}: its value is no text. Write it in quotes.")
    for position, character in enumerate(value, start=1):
        if fault := _fault(character):
            raise EnvironmentFileError(f"{name}: character {position} of its value {fault}. Choose a value without it.")


def _fault(character: str) -> str | None:
    """Say why a character can't be in a value that both are to read."""
    if character in _BREAK:
        return "is a line break"
    category = unicodedata.category(character)
    if category == "Cc":
        return "is a control character"
    if category == "Cs" or ord(character) in _NONCHARACTERS or ord(character) & _END_OF_PLANE == _END_OF_PLANE:
        return "is none that systemd takes for text"
    return None


def _put_one(text: str, name: str, value: str | None) -> str:
    lines = [each for each in _assignments(text) if _is_of(each, name, text)]
    if value is None:
        return _replace(text, lines, "")
    wanted = f'{name}="{_ESCAPED.sub(_with_backslash, value)}"\n'
    if not lines:
        return text + ("\n" if text and not text.endswith("\n") else "") + wanted
    *others, last = lines
    if last.name == name and last.value == value and _ALIKE.fullmatch(text[last.start : last.end]):
        return _replace(text, others, "")
    if any(each.name != name for each in lines):
        # A shell goes on exporting it; systemd skips a line without an equals sign.
        wanted = f"export {name}\n{wanted}"
    return _replace(_replace(text, [last], wanted), others, "")


def _with_backslash(match: re.Match[str]) -> str:
    return "\\" + match[0]


def _is_of(assignment: _Assignment, name: str, text: str) -> bool:
    """Tell whether systemd or a shell takes it for an assignment of this variable."""
    if assignment.name == name:
        return True
    *before, last = assignment.name.split() or [""]
    raw = text[assignment.start : assignment.end]
    if before == ["export"] and _ALIKE.fullmatch(raw.replace("export", "", 1).lstrip()):
        return last == name
    if (before and re.search(rf"[ \t]{name}\+?=", raw)) or last == f"{name}+":
        raise EnvironmentFileError(
            f"line {assignment.line}: only a shell can read how {name} is set here. Write {name}=... in a line of its "
            "own."
        )
    return False


def _replace(text: str, lines: list[_Assignment], by: str) -> str:
    for line in reversed(lines):
        text = text[: line.start] + by + text[line.end :]
    return text


def _decode(text: bytes) -> str:
    if b"\0" in text:
        line = text[: text.index(b"\0")].count(b"\n") + 1
        raise EnvironmentFileError(
            f"line {line}: there is a NUL character, so this is no file of variables. Remove it."
        )
    # A comment may be in another encoding.
    return text.decode("utf-8", "surrogateescape")


def _assignments(text: str) -> Iterator[_Assignment]:
    """Read a file as systemd does."""
    at = 0
    while at < len(text):
        start = at
        at = _skip(text, at, _BLANK + _BREAK)
        if at < len(text) and text[at] in _COMMENT:
            at = _end_of_comment(text, at)
            continue
        start = max(start, *(text.rfind(mark, start, at) + 1 for mark in _BREAK))
        equals = at
        while equals < len(text) and text[equals] not in "=" + _BREAK:
            equals += 1
        if equals == len(text) or text[equals] != "=":
            at = equals
            continue
        name = text[at:equals].rstrip(_BLANK)
        line = _line(text, at)
        value, end = _value(text, equals + 1, line)
        if any(unicodedata.category(character) == "Cs" for character in name + value):
            raise EnvironmentFileError(f"line {line}: it is not UTF-8, for which systemd refuses the file. Correct it.")
        at = end + (text[end : end + 2] == "\r\n") + (end < len(text))
        yield _Assignment(name, value, start, at, line)


def _end_of_comment(text: str, at: int) -> int:
    line = _line(text, at)
    while at < len(text) and text[at] not in _BREAK:
        at += 1
    if text[at - 1] == "\\":
        raise EnvironmentFileError(
            f"line {line}: the comment ends in a backslash, for which systemd before 254 skips the next line, and "
            "later ones do not. Remove the backslash."
        )
    return at


def _value(text: str, at: int, line: int) -> tuple[str, int]:
    """Read a value; give it, and where its line ends."""
    value = ""
    while True:
        # Between quoted parts, and before a bare word, blanks do not count.
        at = _skip(text, at, _BLANK)
        if at == len(text) or text[at] in _BREAK:
            return value, at
        if text[at] not in "'\"":
            word, at = _bare(text, at, line)
            return value + word, at
        part, at = _quoted(text, at, line)
        value += part


def _quoted(text: str, at: int, line: int) -> tuple[str, int]:
    quote, start = text[at], at + 1
    at = start
    while at < len(text) and text[at] != quote:
        at += 2 if quote == '"' and text[at] == "\\" else 1
    if at >= len(text):
        raise EnvironmentFileError(f"line {line}: its quote is not closed. Close it.")
    part = text[start:at]
    return (re.sub(r'\\(?:(["\\$`])|\n)', r"\1", part) if quote == '"' else part), at + 1


def _bare(text: str, at: int, line: int) -> tuple[str, int]:
    word, kept = "", 0
    while at < len(text) and text[at] not in _BREAK:
        if text[at] == "\\":
            at += 1
            if at == len(text):
                raise EnvironmentFileError(f"line {line}: it ends in a backslash, and so does the file. Remove it.")
            word += "" if text[at] in _BREAK else text[at]
            kept = len(word)
        else:
            word += text[at]
            kept = kept if text[at] in _BLANK else len(word)
        at += 1
    return word[:kept], at


def _skip(text: str, at: int, characters: str) -> int:
    while at < len(text) and text[at] in characters:
        at += 1
    return at


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
