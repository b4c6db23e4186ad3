# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that is wrong with a configuration, in the order in which the server would tell."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from ansible_collections.rosey.nats.plugins.module_utils._host.redaction import HIDDEN
from ansible_collections.rosey.nats.plugins.module_utils._server.options import (
    conflicts,
    faults,
    formats,
    lookup,
    model,
    reading,
    table,
)
from ansible_collections.rosey.nats.plugins.module_utils._server.options.model import (
    Config,
    Form,
    Format,
    Kind,
    Option,
    Path,
    Problem,
    Relation,
    Stage,
)


def problems(config: Config) -> list[Problem]:
    """Name everything that is wrong with a configuration; an empty list means that nats-server takes it.

    No text shows a secret. Where a file is included, only what stands outside of it is judged.
    Left to ``nats-server -t``: files that are missing or no certificates, the signature of a JWT, the functions of a
    mapping's destination, and imports that form a circle.
    """
    if not config:
        return [Problem("the configuration", "", "is empty", "at least one option", "set server_name")]
    read = reading.resolved(config)
    found = list(_problems_of_block("top", read, (), (), reading.references(read)))
    whole = reading.canonical(read)
    for check in conflicts.CONFLICTS if reading.has_include(config) else (*conflicts.CONFLICTS, *conflicts.OMISSIONS):
        found.extend(check(whole))
    return list(dict.fromkeys(found))


def _problems_of_block(
    block: str, config: Config, path: Path, without: tuple[str, ...], variables: frozenset[str]
) -> Iterator[Problem]:
    names: dict[str, str] = {}
    for key, value in config.items():
        if key == model.INCLUDE:
            continue
        here = (*path, key)
        if not isinstance(key, str):
            yield Problem(model.dotted(here), "", "is no name", "a text", "put it in quotes")
            continue
        row = reading.row_of(block, key)
        if row is None:
            yield _unknown(block, here) if key not in variables else _too_late(here)
            continue
        if row.name != model.ANY_NAME and row.name in names:
            first = model.dotted((*path, names[row.name]))
            fault = f"is another name of {first}"
            yield Problem(model.dotted(here), "", fault, "an option once", "remove one of them", Stage.RUN)
        names[row.name] = key
        yield from _problems_of_option(row, value, here, without, variables)
    given = {name for name, key in names.items() if formats.is_given(config[key], reading.ROWS[block][name])}
    yield from _problems_of_rules(block, given, path, complete=model.INCLUDE not in config)


def _problems_of_option(
    row: Option, value: Any, path: Path, without: tuple[str, ...], variables: frozenset[str]
) -> Iterator[Problem]:
    where = model.dotted(path)
    if row.key_format and not formats.FORMATS[row.key_format].accepts(str(path[-1])):
        rule = formats.FORMATS[row.key_format]
        yield Problem(where, "", f"has a name that {rule.fault}", rule.expected, rule.remedy)
    if row.name in without and formats.is_given(value, row):
        wanted = _options_of(row.block, without)
        yield Problem(where, "", f"is no option that {faults.SERVER} takes at this place", wanted, "remove it")
        return
    if not row.forms:
        yield Problem(where, "", f"cannot be set: {row.note}", "no value", "remove it")
        return
    if value is None:
        yield Problem(
            where,
            "",
            "has no value",
            model.joined(map(faults.expected_of_kind, row.forms), "or"),
            "set it or remove it",
        )
        return
    hidden = _bears_secret(row)
    unseen = row.unchecked and not any(faults.has_type(form, value) for form in row.forms)
    for fault in faults.faults(row.forms, value):
        stage = Stage.RUN if unseen else fault.stage
        is_word = not row.secret and str(fault.value).lower() in faults.WORDS
        text = HIDDEN if hidden and not is_word and not model.is_container(fault.value) else model.display(fault.value)
        yield Problem(model.dotted((*path, *fault.path)), text, fault.fault, fault.expected, fault.remedy, stage)
    for place, item in lookup.blocks_in(value):
        form = _block_form(row)
        if form:
            yield from _problems_of_block(form.block, item, (*path, *place), form.without, variables)


def _options_of(block: str, without: tuple[str, ...]) -> str:
    """Name what a block takes at a place."""
    names = [name for name, row in reading.ROWS[block].items() if name == row.name and name not in without]
    return f"one of {', '.join(names)}" if len(names) <= faults.MOST_CHOICES_NAMED else "another option"


def _block_form(row: Option) -> Form | None:
    forms = (*row.forms, *(item for form in row.forms for item in form.items))
    return next((form for form in forms if form.kind is Kind.BLOCK), None)


def _bears_secret(row: Option, above: frozenset[str] = frozenset()) -> bool:
    """Tell whether a value of this option may be, or hold, or be mistaken for, what must not be shown."""
    form = _block_form(row)
    if row.secret or any(part.format in _KEY_FORMATS for part in row.forms):
        return True
    if form is None or form.block in above:
        return False
    return any(_bears_secret(inner, above | {form.block}) for inner in reading.ROWS[form.block].values())


_BYTE_ORDER_MARK = "\ufeff"
# Blocks of the top level that other servers have.
_OF_OTHERS = {"streaming": "remove it: it is of NATS Streaming, in whose place JetStream is (jetstream)"}


def _unknown(block: str, path: Path) -> Problem:
    """Say which known option is nearest to an unknown one: in its block by preference, else in any."""
    name = str(path[-1]).lower()
    where = model.dotted(path[:-1]) or "the top level"
    if name in _OF_OTHERS and block == "top":
        return Problem(name, "", f"is no option of {faults.SERVER}", f"an option of {where}", _OF_OTHERS[name])
    if name.startswith(_BYTE_ORDER_MARK):
        fault = "begins with a byte order mark, which the server reads as a part of the name"
        return Problem(name[1:], "", fault, "a text without one", "save the file as UTF-8 without a byte order mark")
    seen = block in reading.BLOCKS_IGNORING_UNKNOWN_NAMES or name in reading.ROWS.get(block, {})
    nearest = _nearest(block, name, model.dotted(path[:-1]))
    return Problem(
        model.dotted(path),
        "",
        f"is no option of {faults.SERVER}",
        f"an option of {where}",
        f"the nearest is {nearest}" if nearest else "remove it",
        Stage.RUN if seen else Stage.CHECK,
    )


def _too_late(path: Path) -> Problem:
    """Say that a name which is no option is used as a variable where the server has not read it yet."""
    wanted = "its definition before its first use, in the same block or in one around it"
    return Problem(
        model.dotted(path), "", f"is used as a variable before {faults.SERVER} has read it", wanted, "move it up"
    )


def _nearest(block: str, name: str, where: str) -> str:
    here = difflib.get_close_matches(name, reading.ROWS.get(block, {}), 1, 0.75)
    if here:
        return f"{where}.{reading.ROWS[block][here[0]].name}".lstrip(".")
    elsewhere = {
        alias: other for other, rows in reversed(reading.ROWS.items()) for alias in rows if alias != model.ANY_NAME
    }
    known = [name] if name in elsewhere else difflib.get_close_matches(name, elsewhere, 1, 0.75)
    if known:
        other = elsewhere[known[0]]
        return f"{_SHOWN_BLOCKS.get(other, '')}.{reading.ROWS[other][known[0]].name}".lstrip(".")
    here = difflib.get_close_matches(name, reading.ROWS.get(block, {}), 1)
    return f"{where}.{reading.ROWS[block][here[0]].name}".lstrip(".") if here else ""


def _paths_of_blocks() -> dict[str, str]:
    """Give, for each block, the dotted path of the first place where it stands."""
    paths, waiting = {"top": ""}, ["top"]
    while waiting:
        block = waiting.pop(0)
        for row in reading.ROWS[block].values():
            inner = reading.inner_block(row)
            if inner and inner not in paths:
                items = any(form.kind is Kind.LIST for form in row.forms)
                paths[inner] = f"{paths[block]}.{row.name}{'[]' if items else ''}".lstrip(".")
                waiting.append(inner)
    return paths


_KEY_FORMATS = frozenset({Format.USER_KEY, Format.ACCOUNT_KEY, Format.OPERATOR_KEY, Format.CURVE_KEY})
_SHOWN_BLOCKS = _paths_of_blocks()


def _problems_of_rules(block: str, given: set[str], path: Path, *, complete: bool) -> Iterator[Problem]:
    """Apply RULES to the options that are given in a block; what is missing is not judged unless it is complete."""
    where = model.dotted(path) or "the configuration"
    for rule in table.RULES:
        if rule.block != block:
            continue
        first, *others = rule.options
        if rule.relation is Relation.EXCLUDES and first in given:
            for other in (name for name in others if name in given):
                fault = f"excludes {model.dotted((*path, other))}"
                yield Problem(
                    model.dotted((*path, first)), "", fault, f"one of them: {rule.reason}", "remove one", rule.stage
                )
        if not complete:
            continue
        if rule.relation is Relation.NEEDS and first in given and not given & set(others):
            wanted = model.joined(others, "or")
            yield Problem(model.dotted((*path, first)), "", f"needs {wanted}", "both", f"add {wanted}", rule.stage)
        if rule.relation is Relation.NEEDS_ALWAYS:
            for name in (name for name in rule.options if name not in given):
                yield Problem(where, "", f"has no {name}", f"a value for {name}", f"add {name}", rule.stage)
        if rule.relation is Relation.NEEDS_ONE and not given & set(rule.options):
            wanted = model.joined(rule.options, "or")
            yield Problem(
                where, "", f"has neither {model.joined(rule.options, 'nor')}", wanted, f"add {wanted}", rule.stage
            )
