# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reading of a configuration, whatever names, spellings and units it was written with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from ansible_collections.rosey.nats.plugins.module_utils._server import units
from ansible_collections.rosey.nats.plugins.module_utils._server.options import faults, formats, model, table
from ansible_collections.rosey.nats.plugins.module_utils._server.options.model import (
    Config,
    Format,
    Kind,
    Option,
    Path,
    Place,
    Unit,
)


def _rows_by_name() -> dict[str, dict[str, Option]]:
    rows: dict[str, dict[str, Option]] = {}
    for option in table.OPTIONS:
        rows.setdefault(option.block, {}).update(dict.fromkeys((option.name, *option.aliases), option))
    return rows


ROWS = _rows_by_name()
# server/opts.go reads these with a look-up instead of a switch: names that it does not look for go unseen.
BLOCKS_IGNORING_UNKNOWN_NAMES = frozenset({"resolver", "latency"})


def row_of(block: str, name: str) -> Option | None:
    """Give the option that a block has under a name, as the server finds it; None for none."""
    rows = ROWS.get(block, {})
    row = rows.get(name)
    if row is None:
        row = rows.get(name.lower())
        if row is not None and row.case_sensitive:
            return None
    return row or rows.get(model.ANY_NAME)


def inner_block(option: Option) -> str | None:
    """Give the name of the block that the option's value, or each item of its list, is."""
    forms = (*option.forms, *(item for form in option.forms for item in form.items))
    return next((form.block for form in forms if form.block), None)


_PATHS_REMEMBERED = 1 << 12


def find(path: Iterable[str | int]) -> Option | None:
    """Give the option that a path of keys, and of numbers for list positions, leads to; None when there is none.

    Aliases and the case of names are taken as the server takes them. What depends on the place (reloadable, varz, log)
    is the place's: ``("cluster", "tls", "timeout")`` is shown in ``cluster.tls_timeout``.
    """
    return _find(tuple(path))


@lru_cache(maxsize=_PATHS_REMEMBERED)
def _find(path: Path) -> Option | None:
    block: str | None = "top"
    option: Option | None = None
    place: tuple[str, ...] = ()
    positions: list[int] = []
    fixed = False
    log = ""
    for part in path:
        if isinstance(part, int):
            if option is None or not any(form.kind is Kind.LIST for form in option.forms):
                return None
            positions.append(part)
            continue
        row = row_of(block, part) if block and isinstance(part, str) else None
        if row is None:
            return None
        here = table.PLACES.get(place, Place())
        fixed = fixed or row.name in here.fixed or model.ANY_NAME in here.fixed
        reloadable = row.reloadable and not fixed
        log = here.log.get(row.name) or row.log or log
        option = replace(
            row,
            reloadable=reloadable,
            varz=(here.varz.get(row.name) or row.varz).format(*positions, 0),  # 0: a block where a list belongs
            log=log if reloadable else "",
        )
        block = inner_block(row)
        place = (*place, row.name)
    return option


def canonical(config: Config) -> dict[str, Any]:
    """Give the configuration with every option under its one name, in lower case; values and unknown keys untouched.

    Where two names of one option stand in a block, the later one in the mapping's order stays, at its place.
    """
    return _canonical_block("top", config)


def _canonical_block(block: str, config: Config) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in config.items():
        row = row_of(block, key) if isinstance(key, str) and key != model.INCLUDE else None
        name = key if row is None or row.name == model.ANY_NAME else row.name
        result.pop(name, None)
        result[name] = _canonical_value(row, value)
    return result


def _canonical_value(row: Option | None, value: Any) -> Any:
    inner = inner_block(row) if row else None
    if inner is None or model.is_reference(value):
        return value
    if isinstance(value, Mapping):
        return _canonical_block(inner, value)
    if model.is_list(value):
        return [_canonical_value(row, item) for item in value]
    return value


def merge(base: Config, over: Config) -> dict[str, Any]:
    """Lay ``over`` on ``base`` with the meaning that nats-server's names have, and give the result.

    Both are made canonical; blocks merge name by name, every other value and every list of ``over`` replaces that of
    ``base``, and None in ``over`` removes. Of two options that say the same, such as listen and port, that of ``over``
    stays. Nothing is None in the result, and neither input is changed.
    """
    return _merged("top", canonical(base), canonical(over))


def _merged(block: str | None, base: Config, over: Config) -> dict[str, Any]:
    result = {key: _without_none(value) for key, value in _making_way(block, base, over).items() if value is not None}
    for key, value in over.items():
        if value is None:
            result.pop(key, None)
        elif model.is_block(value) and model.is_block(result.get(key)):
            row = row_of(block, key) if block else None
            result[key] = _merged(inner_block(row) if row else None, result[key], value)
        else:
            result[key] = _without_none(value)
    return result


def _without_none(value: Any) -> Any:
    return _merged(None, {}, value) if model.is_block(value) else value


def _making_way(block: str | None, base: Config, over: Config) -> Config:
    """Give a block without what would stand beside an option that is laid over it and says the same."""
    given = {key for key, value in over.items() if value is not None}
    result = dict(base)
    for rule in table.RULES:
        whole, *parts = rule.options
        if rule.block != block or rule.reason != table.LAST_WINS:
            continue
        if whole in given:
            for part in parts:
                result.pop(part, None)
        elif whole in result and given & {*parts}:
            result |= {whole: None, **_parts_of(result[whole], parts)}
    return result


def _parts_of(address: Any, parts: Sequence[str]) -> dict[str, Any]:
    """Give what an address says as the options host and port, where a block has both; else as it is, to be told."""
    if len(parts) == 1:
        return {}
    match = formats.ADDRESS.fullmatch(address if isinstance(address, str) else f":{address}")
    if not match:
        return {"listen": address}
    return {"host": match["host"].strip("[]") or model.ALL_ADDRESSES, "port": int(match["port"])}


def leaves(config: Config) -> Iterator[tuple[Path, Option, Any]]:
    """Give every setting that was meant, in order: its canonical path, the option as it is there, and the value.

    A block gives its options, an empty block itself; a list of blocks gives theirs, any other list is one setting.
    Unknown names and includes are left out.
    """
    whole = canonical(config)
    for path, option, value in _leaves(whole, ()):
        silent = bool(option.hidden_by) and whole.get(option.hidden_by) is True
        yield path, replace(option, varz="") if silent else option, value


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Option, Any]]:
    inner: Iterable[tuple[str | int, Any]]
    if model.is_block(value) and (value or not path):
        inner = ((name, item) for name, item in value.items() if name != model.INCLUDE)
    elif model.is_list(value) and any(model.is_block(item) for item in value):
        inner = enumerate(value)
    else:
        option = find(path)
        if option is not None:
            yield path, option, value
        return
    for step, item in inner:
        yield from _leaves(item, (*path, step))


def effective(option: Option, value: Any) -> Any:
    """Give what a value means to the server, so that two spellings of one meaning are equal.

    Bytes of a size, nanoseconds of a duration (seconds where the option's unit is SECONDS), a pair of host (None for
    none) and port of an address, sorted texts of a list without an order. A reference, and a value that the option
    does not accept, are given back as they are.
    """
    if model.refers(value) or faults.kind_of(option, value) is None:
        return value
    reader = _READERS.get(option.unit)
    return reader(value) if reader else _number(option, value)


def _number(option: Option, value: Any) -> Any:
    """Give the number that a value of a numeric kind means; any other value as it is."""
    kind = faults.kind_of(option, value)
    text = isinstance(value, str)
    if kind in (Kind.SIZE, Kind.STORAGE_SIZE):
        return faults.size_in_bytes(value)
    if kind is Kind.DURATION:
        nanoseconds = units.duration(value)
        return nanoseconds / model.SECOND if option.unit is Unit.SECONDS else nanoseconds
    if option.unit is Unit.ALWAYS and text:
        return value.lower()
    if option.unit is Unit.NANOSECONDS:
        return value * model.SECOND
    return float(value) if option.unit is Unit.SECONDS and not text else value


def _address(value: Any) -> tuple[str | None, int]:
    if not isinstance(value, str):
        return None, value
    match = formats.ADDRESS.fullmatch(value)
    if match is None:
        raise units.UnitError("is no address", formats.FORMATS[Format.ADDRESS].expected, "add the port")
    return match["host"].strip("[]") or None, int(match["port"])


def _is_enabled(value: Any) -> bool:
    return value if isinstance(value, bool) else not str(value).lower().startswith("disable")


def _words(value: Any) -> list[str]:
    return sorted([value] if isinstance(value, str) else value)


_READERS: dict[Unit, Callable[[Any], Any]] = {
    Unit.ADDRESS: _address,
    Unit.ENABLED: _is_enabled,
    Unit.WORDS: _words,
    Unit.TAGS: lambda value: sorted(word.strip(model.SPACES).lower() for word in _words(value)),
    Unit.URL_HOSTS: lambda value: [value] if isinstance(value, str) else list(value),
    Unit.REMOTE_HOSTS: lambda value: [value] if isinstance(value, str) else list(value),
    Unit.LOWER_CASE: lambda value: str(value).strip(model.SPACES).lower(),
}


def resolved(config: Config) -> dict[str, Any]:
    """Give the configuration as the server reads it, with the variables that it defines itself put in their places.

    A reference means the nearest definition that stands before it (conf/parse.go, lookupVariable); what else it may
    mean stays a reference. A definition that the server then takes for nothing else is left out.
    """
    return _Resolver().resolved(config)


def is_variable_alone(path: Path) -> bool:
    """Tell whether the server takes a definition at this path, where it is used, for a variable and nothing else.

    server/opts.go, IsUsedVariable: so it does with every name that is no option, and with all in the block accounts.
    """
    option = find(path)
    return option is None or (option.block, option.name) == ("accounts", model.ANY_NAME)


class _Resolver:
    """Reads a configuration from its begin to its end, with the blocks that stand open around each place."""

    def __init__(self) -> None:
        self._open: list[tuple[Path, dict[str, Any]]] = []
        self._used: set[Path] = set()

    def resolved(self, config: Config) -> dict[str, Any]:
        read = self._read(config, ())
        return {name: self._without_definitions(value, (name,)) for name, value in self._kept(read, ())}

    def _read(self, value: Any, path: Path) -> Any:
        if model.is_reference(value):
            for block, read in reversed(self._open):
                if value[model.VARIABLE] in read:
                    self._used.add((*block, value[model.VARIABLE]))
                    return read[value[model.VARIABLE]]
            return value
        if model.is_list(value):
            return [self._read(item, (*path, place)) for place, item in enumerate(value)]
        if not isinstance(value, Mapping):
            return value
        found: dict[str, Any] = {}
        self._open.append((path, found))
        for name, item in value.items():
            found[name] = self._read(item, (*path, name))
        self._open.pop()
        return found

    def _without_definitions(self, value: Any, path: Path) -> Any:
        if model.is_list(value):
            return [self._without_definitions(item, (*path, place)) for place, item in enumerate(value)]
        if not model.is_block(value):
            return value
        return {name: self._without_definitions(item, (*path, name)) for name, item in self._kept(value, path)}

    def _kept(self, block: Config, path: Path) -> Iterator[tuple[str, Any]]:
        for name, item in block.items():
            here = (*path, name)
            if here not in self._used or not is_variable_alone(here):
                yield name, item


def references(value: Any) -> frozenset[str]:
    """Give the names of all variables that a configuration refers to."""
    if model.is_reference(value):
        return frozenset({value[model.VARIABLE]})
    inner = value.values() if isinstance(value, Mapping) else value if model.is_list(value) else ()
    return frozenset().union(*map(references, inner))


def has_include(value: Any) -> bool:
    """Tell whether a file is included anywhere in a configuration."""
    if isinstance(value, Mapping):
        return model.INCLUDE in value or any(map(has_include, value.values()))
    return model.is_list(value) and any(map(has_include, value))
