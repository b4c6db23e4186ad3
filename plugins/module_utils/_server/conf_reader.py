# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The items of a configuration as settings and values (conf/parse.go)."""

from __future__ import annotations

import datetime
import math
import posixpath
import re
import typing as t
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ansible_collections.rosey.nats.plugins.module_utils._server import conf_lexer, units
from ansible_collections.rosey.nats.plugins.module_utils._server.conf_lexer import ConfError, Item, Kind, Lexer
from ansible_collections.rosey.nats.plugins.module_utils._server.options import model, reading
from ansible_collections.rosey.nats.plugins.module_utils._server.options.model import (
    INCLUDE,
    VARIABLE,
)

Path = model.Path
Include = Callable[[str], str]

DEEPEST = 100
INT64 = range(-(2**63), 2**63)


def has_credentials(value: t.Any) -> bool:
    """Tell whether a value holds a URL with a user or a password."""
    return CREDENTIALS.search(str(value)) is not None


CREDENTIALS = re.compile(r"://[^/\s]*@")
_VALUE_KEY = "pk"  # under this key the server reads the value of an environment variable
DATETIME = "%Y-%m-%dT%H:%M:%SZ"
BCRYPT = "2a$"  # such a value needs no quotes: the server sees that it is no variable


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


class Reader:
    """Reads a text once, with what it includes."""

    def __init__(
        self,
        text: str,
        variables: Mapping[str, str] | None,
        include: Include | None,
        *,
        directory: str = ".",
        inside: tuple[str, ...] = (),
    ) -> None:
        self._lexer = Lexer(text)
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
        """Where the comments are that were read, as places of the text."""
        return self._lexer.comments

    def read(self) -> dict[str, _Setting]:
        """Give the settings by name; ConfError where the server would refuse the text."""
        last: Item | None = None
        for item in self._lexer.items():
            self._take(item)
            last = item
        if last and last.kind is Kind.KEY and last.text != "}":  # a closing brace is allowed, as JSON ends so
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

    def _take(self, item: Item) -> None:
        if item.kind is Kind.KEY:
            if item.text in (VARIABLE, INCLUDE):
                raise ConfError(item.line, f"the key {item.text} stands for something else in the mapping")
            self._keys.append(item.text)
        elif item.kind is Kind.MAP_START:
            self._enter({}, item)
        elif item.kind is Kind.ARRAY_START:
            self._enter([], item)
        elif item.kind in (Kind.MAP_END, Kind.ARRAY_END):
            self._opened_at.pop()
            self._set(_Setting(self._open.pop(), item.line))
        elif item.kind is Kind.INCLUDE:
            self._take_include(item)
        else:
            self._take_scalar(item)

    def _take_scalar(self, item: Item) -> None:
        setting = self._variable(item) if item.kind is Kind.VARIABLE else _Setting(_scalar(item), item.line)
        path = (*self._opened_at, self._place())
        names_variable = item.kind is Kind.VARIABLE and bool(conf_lexer.VARIABLE_NAME.fullmatch(item.text))
        self._scalars.append(_Scalar(path, item.start, item.end, setting, names_variable))
        self._set(setting)

    def _enter(self, container: dict[str, _Setting] | list[_Setting], item: Item) -> None:
        if len(self._open) > DEEPEST:
            raise ConfError(item.line, f"more than {DEEPEST} blocks and lists stand inside each other")
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

    def _take_include(self, item: Item) -> None:
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

    def _variable(self, item: Item) -> _Setting:
        """Resolve a reference: a bcrypt hash, a definition of the text, innermost block first, or the environment."""
        name = item.text
        if name.startswith(BCRYPT):
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
            shown = (
                name
                if conf_lexer.VARIABLE_NAME.fullmatch(name)
                else "whose name is hidden: quote a text that begins with $,"
            )
            raise ConfError(item.line, f"the variable {shown} is not defined")
        return _Setting(found[_VALUE_KEY].value, item.line)

    def _nested(self, item: Item, what: str, text: Callable[[], str], directory: str) -> dict[str, _Setting]:
        """Read the text that an include or a variable stands for."""
        if what in self._inside:
            raise ConfError(item.line, f"{what} refers to itself")
        inside = (*self._inside, what)
        try:
            return Reader(text(), self._variables, self._include, directory=directory, inside=inside).read()
        except OSError as error:
            raise ConfError(item.line, f"{what} cannot be read: {error.strerror or error}") from error
        except ConfError as error:
            raise ConfError(item.line, f"{what}: {error}") from error


def _scalar(item: Item) -> t.Any:
    read = _SCALARS.get(item.kind)
    return read(item) if read else item.text


def _boolean(item: Item) -> bool:
    return conf_lexer.BOOLEANS[item.text.lower()]


def _integer(item: Item) -> int:
    try:
        return units.size(item.text, quoted=False)
    except units.UnitError as error:
        raise ConfError(item.line, f"a number {error}") from error


def _float(item: Item) -> float:
    number = float(item.text)
    if math.isinf(number) or not item.text.isascii():
        raise ConfError(item.line, "a number with a decimal point is out of range")
    return number


def _date(item: Item) -> datetime.datetime:
    if not item.text.isascii():
        raise ConfError(item.line, "a date has to be written in ASCII digits")
    try:
        return datetime.datetime.strptime(item.text, DATETIME).replace(tzinfo=datetime.timezone.utc)
    except ValueError as error:
        raise ConfError(item.line, "there is no such date") from error


_SCALARS: t.Mapping[Kind, Callable[[Item], t.Any]] = {
    Kind.BOOLEAN: _boolean,
    Kind.INTEGER: _integer,
    Kind.FLOAT: _float,
    Kind.DATETIME: _date,
}


def plain(value: t.Any, path: Path, line: int = 1) -> t.Any:
    """Give the value without the marks of the reading."""
    if isinstance(value, _Reference):
        return {VARIABLE: value.name}
    if isinstance(value, dict):
        return {
            key: _included(setting) if key == INCLUDE else plain(setting.value, (*path, key), setting.line)
            for key, setting in value.items()
            if key == INCLUDE or not (setting.used and reading.is_variable_alone((*path, key)))
        }
    if isinstance(value, list):
        return [plain(setting.value, (*path, index), setting.line) for index, setting in enumerate(value)]
    option = reading.find(path)
    if isinstance(value, str) and option and option.kind is model.Kind.STORAGE_SIZE:
        try:
            return units.size(value, quoted=True)
        except units.UnitError as error:
            raise ConfError(line, f"the quoted size of {path[-1]} {error}") from error
    if isinstance(value, str) and option and option.kind is model.Kind.SIZE and is_size(value):
        raise ConfError(line, f"{path[-1]} is a text, and the server takes no size that is quoted: remove the quotes")
    return value


def _included(setting: _Setting) -> str | list[str]:
    """Give the files that are included at one place; a mapping has no way to say two."""
    files: list[_Included] = setting.value
    for one, next_one in zip(files, files[1:]):
        if one.settings != next_one.settings:
            reason = "a file is included after a setting that stands behind another include, and the last of them wins"
            raise ConfError(next_one.line, f"{reason}: put the includes together")
    return files[0].name if len(files) == 1 else [file.name for file in files]


def is_size(value: str) -> bool:
    """Tell whether a text is a number with a unit, if it is not quoted."""
    try:
        units.size(value, quoted=False)
    except units.UnitError:
        return False
    return True


def describe(value: t.Any) -> str:
    """Say what a value is that the language has no form for."""
    if value is None:
        return "null; leave the option out"
    if isinstance(value, (int, float)):
        return "a number of this size"
    return "this name of a variable" if isinstance(value, Mapping) else f"a value of type {type(value).__name__}"


def dotted(path: Path) -> str:
    """Give a path as it is named in a message."""
    return ".".join(str(part) for part in path)
