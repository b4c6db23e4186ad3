# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with one value, by the type of its option."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.rosey.nats.plugins.module_utils._server import units
from ansible_collections.rosey.nats.plugins.module_utils._server.options import formats, model, table
from ansible_collections.rosey.nats.plugins.module_utils._server.options.model import Form, Kind, Option, Path, Stage


def size_in_bytes(value: Any) -> int:
    """Give the bytes of a size; a text that is none unquoted is a storage size, which is written quoted."""
    if not isinstance(value, str):
        return int(value)
    try:
        return units.size(value, quoted=False)
    except units.UnitError:
        return units.size(value, quoted=True)


def kind_of(option: Option, value: Any) -> Kind | None:
    """Give the kind of the form that the value fits, among those that the option accepts; None when it fits none."""
    return next((form.kind for form in option.forms if not faults((form,), value)), None)


_TYPES: dict[Kind, tuple[type, ...]] = {
    Kind.BOOLEAN: (bool,),
    Kind.INTEGER: (int,),
    Kind.NUMBER: (int, float),
    Kind.SIZE: (int, str),
    Kind.STORAGE_SIZE: (int, str),
    Kind.DURATION: (str,),
    Kind.TEXT: (str,),
    Kind.LIST: (list, tuple),
    Kind.BLOCK: (Mapping,),
}
_NOUNS: dict[Kind, str] = {
    Kind.BOOLEAN: "boolean",
    Kind.INTEGER: "whole number",
    Kind.NUMBER: "number",
    Kind.SIZE: "size",
    Kind.STORAGE_SIZE: "size",
    Kind.DURATION: "duration",
    Kind.TEXT: "text",
    Kind.LIST: "list",
    Kind.BLOCK: "mapping",
}
_EXPECTED: dict[Kind, str] = {
    Kind.BOOLEAN: "true or false",
    Kind.INTEGER: "a whole number",
    Kind.NUMBER: "a number of seconds",
    Kind.SIZE: units.SIZE_EXPECTED,
    Kind.STORAGE_SIZE: units.SIZE_EXPECTED,
    Kind.DURATION: units.DURATION_EXPECTED,
    Kind.TEXT: "a text",
    Kind.BLOCK: "a mapping of options",
}
_MILLION = 1_000_000  # what the language takes the m of an unquoted 2m for
MOST_CHOICES_NAMED = 9
# What a value says that is no secret, whatever option it stands at.
WORDS = frozenset(("true", "false", "yes", "no", "on", "off", "enabled", "enable", "disabled", "disable"))
_BOOLEAN_WORDS = ("true", "false")
SERVER = "nats-server 2.10.7"


@dataclass(frozen=True)
class _Fault:
    """What is wrong with a value, or with the part of it that ``path`` leads to."""

    path: Path
    value: Any
    fault: str
    expected: str
    remedy: str
    stage: Stage = Stage.CHECK


def has_type(form: Form, value: Any) -> bool:
    """Tell whether a value is of the type that the form is for, whatever its bounds."""
    return isinstance(value, _TYPES[form.kind]) and (form.kind is Kind.BOOLEAN or not isinstance(value, bool))


def faults(forms: Sequence[Form], value: Any, path: Path = ()) -> list[_Fault]:
    """Tell what keeps the value from having any of these forms; what a block holds is not looked at."""
    if model.is_reference(value):
        return []
    candidates = [form for form in forms if has_type(form, value)]
    if not candidates:
        return [_fault_of_kind(forms, value, path)]
    found: list[_Fault] = []
    for form in candidates:
        of_this = _faults_of_list(form, value, path) if form.kind is Kind.LIST else _faults_of_scalar(form, value, path)
        if not of_this:
            return []
        found.extend(of_this)
    if isinstance(value, str) and value.lower() in _BOOLEAN_WORDS and table.BOOLEAN in forms:
        wanted = model.joined((expected_of_kind(form) for form in forms), "or")
        return [replace(found[0], expected=wanted, remedy="take the quotes away")]
    if len(candidates) == 1:
        return found
    # The fault is as harmless as that of the form which the server takes most of.
    stage = max((fault.stage for fault in found), key=list(Stage).index)
    wanted = model.joined((expected_of_kind(form) for form in forms), "or")
    return [replace(found[0], fault="is no value of this option", expected=wanted, stage=stage)]


def _fault_of_kind(forms: Sequence[Form], value: Any, path: Path) -> _Fault:
    wanted = model.joined((expected_of_kind(form) for form in forms), "or")
    return _Fault(path, value, f"is no {_nouns(forms)}", wanted, _remedy({form.kind for form in forms}, value))


def _nouns(forms: Sequence[Form]) -> str:
    return model.joined((_NOUNS[form.kind] for form in forms), "or")


def _remedy(kinds: set[Kind], value: Any) -> str:
    """Say how a value of another kind becomes one of these kinds."""
    if isinstance(value, str) and kinds & {Kind.INTEGER, Kind.NUMBER}:
        return _remedy_of_number(kinds, value)
    if isinstance(value, str) and Kind.BOOLEAN in kinds:
        return "write true or false, without quotes"
    if isinstance(value, (int, float)) and not isinstance(value, bool) and (said := _remedy_for_number(kinds, value)):
        return said
    if not isinstance(value, (str, Mapping)) and not model.is_list(value) and Kind.TEXT in kinds:
        return "put it in quotes"
    if Kind.LIST in kinds and not model.is_list(value):
        return "put it in a list"
    return "write its options below it" if Kind.BLOCK in kinds else "write one value"


def _remedy_for_number(kinds: set[Kind], value: float) -> str:
    """Say how a number becomes a value of one of these kinds; empty where it is just none."""
    if Kind.DURATION in kinds:
        unquoted = f', or "{value // _MILLION}m" with its quotes' if value and value % _MILLION == 0 else ""
        return f'add the unit, such as "{value}s" for seconds{unquoted}'
    if Kind.BOOLEAN in kinds and value in (0, 1):
        return f"write {_BOOLEAN_WORDS[not value]}"
    return f"write {value:.0f}" if Kind.INTEGER in kinds and value % 1 == 0 else ""


def _remedy_of_number(kinds: set[Kind], text: str) -> str:
    """Say how a text becomes a number, of seconds where it need not be whole."""
    if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text):
        return "remove the quotes"
    try:
        seconds = units.duration(text) / model.SECOND
    except units.UnitError:
        return "write a number"
    return f"write {seconds:g}: {SERVER} reads no unit here" if Kind.NUMBER in kinds else "write a number"


def expected_of_kind(form: Form) -> str:
    """Say what a value of this form is, without its bounds."""
    if len(form.choices) > MOST_CHOICES_NAMED:
        return f"one of the {len(form.choices)} names that {SERVER} knows"
    if form.choices:
        return model.joined((json.dumps(choice) if form.kind is Kind.TEXT else choice for choice in form.choices), "or")
    if form.format:
        return formats.FORMATS[form.format].expected
    if form.kind is Kind.LIST:
        return f"a list, each item of which is {model.joined((expected_of_kind(item) for item in form.items), 'or')}"
    return _EXPECTED[form.kind] + _bounds(form)


def _bounds(form: Form) -> str:
    if form.kind is Kind.TEXT:
        return " that is not empty" if form.minimum else ""
    write: Callable[[int], str] = units.duration_text if form.kind is Kind.DURATION else str
    if form.minimum is not None and form.maximum is not None:
        return f" from {write(form.minimum)} to {write(form.maximum)}"
    if form.minimum is not None:
        return f", at least {write(form.minimum)}"
    return "" if form.maximum is None else f", at most {write(form.maximum)}"


def _faults_of_list(form: Form, value: Sequence[Any], path: Path) -> list[_Fault]:
    if form.minimum is not None and len(value) < form.minimum:
        return [_Fault(path, value, "is an empty list", expected_of_kind(form), "add an item or remove the option")]
    found = [fault for place, item in enumerate(value) for fault in faults(form.items, item, (*path, place))]
    if form.unique:
        texts = [item for item in value if isinstance(item, str)]
        repeated = {text for text in texts if texts.count(text) > 1}
        found += [
            _Fault((*path, place), item, "stands twice in the list", "items that differ", "remove one of them")
            for place, item in enumerate(value)
            if isinstance(item, str) and item in repeated and item in value[:place]
        ]
    return found


def _faults_of_scalar(form: Form, value: Any, path: Path) -> list[_Fault]:
    if form.kind is Kind.BLOCK:
        return []
    if form.choices:
        return _faults_of_choice(form, value, path)
    if form.format:
        rule = formats.FORMATS[form.format]
        return [] if rule.accepts(value) else [_Fault(path, value, rule.fault, rule.expected, rule.remedy, form.stage)]
    try:
        number = _magnitude(form, value)
    except units.UnitError as error:
        return [_Fault(path, value, error.fault, error.expected, error.remedy)]
    below = form.minimum is not None and number < form.minimum
    above = form.maximum is not None and number > form.maximum
    remedy = "choose another value"
    return (
        [_Fault(path, value, "is out of range", expected_of_kind(form), remedy, form.stage)] if below or above else []
    )


def _faults_of_choice(form: Form, value: Any, path: Path) -> list[_Fault]:
    text = str(value).lower() if isinstance(value, bool) else value
    if text in form.choices or (not form.exact and text.lower() in map(str.lower, form.choices)):
        return []
    nearest = difflib.get_close_matches(text, form.choices, 1)
    remedy = f"the nearest is {nearest[0]}" if nearest else "choose another value or remove the option"
    return [_Fault(path, value, "is no value of this option", expected_of_kind(form), remedy, form.stage)]


def _magnitude(form: Form, value: Any) -> Any:
    """Give what the bounds of the form are about; raise UnitError when the value is none."""
    if form.kind in (Kind.SIZE, Kind.STORAGE_SIZE) and isinstance(value, str):
        return size_in_bytes(value) if form.kind is Kind.STORAGE_SIZE else units.size(value, quoted=False)
    if form.kind is Kind.DURATION:
        return units.duration(value)
    if form.kind is Kind.TEXT:
        return len(value)
    if isinstance(value, int) and not isinstance(value, bool) and not units.INT64_MIN <= value <= units.INT64_MAX:
        raise units.UnitError("is out of range", "a number of 64 bits", "write a smaller one")
    return value
