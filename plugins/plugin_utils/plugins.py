# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bot's plugins: what is declared for all environments, what one of them makes of it, and the files that say so.

A declaration is a mapping with the keys of KEYS and any others, an overlay such a mapping in part. What is wrong with
subjects is for ``contract`` to say. This runs on the controller alone.
"""

from __future__ import annotations

import difflib
import json
import posixpath
import re
import typing as t
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass

from ansible_collections.rosey.nats.plugins.module_utils._server import subjects
from ansible_collections.rosey.nats.plugins.plugin_utils import bot_yaml, jetstream_rights

Plugin = dict[str, t.Any]

FILE_MODE = "0640"
READER = "bot"
SUBJECT_KEYS = ("subscriptions", "publishes")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
_LONGEST_SHOWN = 60
_NOUNS = ((dict, "a mapping"), (list, "a list"), (str, "a text"), (object, "a single value"))


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the declarations, each part as text for a person.

    where: the plugin or the overlay. key: "" where it is the whole of it. value: as declared. fault: what is wrong.
    """

    where: str
    key: str
    value: str
    fault: str
    expected: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.where}: {self.key}" if self.key else self.where
        return f"{place}: {self.value} {self.fault}; expected {self.expected}; {self.remedy}"


class PluginsError(Exception):
    """The declarations can't be used. ``problems`` has all that is wrong, and the text too, one a line."""

    def __init__(self, found: Iterable[Problem]) -> None:
        self.problems = tuple(found)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True)
class _Key:
    """What a key of a plugin may be, in the words of an error.

    default: its value where it is not declared. hidden: whether an error has to keep the value to itself. written:
    whether the plugin's file has it; what is for the deployment alone stays on the controller.
    """

    accepts: Callable[[t.Any], bool]
    fault: str
    expected: str
    remedy: str
    default: t.Any = None
    hidden: bool = False
    written: bool = True


def _is_name(value: t.Any) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _is_boolean(value: t.Any) -> bool:
    return isinstance(value, bool)


def _is_word(value: t.Any) -> bool:
    return isinstance(value, str) and value.split() == [value]


def _is_texts(value: t.Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_mapping(value: t.Any) -> bool:
    return isinstance(value, dict)


_SUBJECTS = _Key(
    accepts=_is_texts,
    fault="is no list of subjects",
    expected="a list of texts",
    remedy="write one subject a line, each after a dash, or [] for none",
    default=[],
)
# In the guide's order, and then what it has not.
KEYS: Mapping[str, _Key] = {
    "name": _Key(
        accepts=_is_name,
        fault="can't name a plugin, for it becomes the name of a file and a token of subjects",
        expected="at most 64 letters (a to z, A to Z), digits, _ and -, the first one no -",
        remedy="choose such a name, for example quotes",
    ),
    "enabled": _Key(
        accepts=_is_boolean,
        fault="is no boolean",
        expected="true or false",
        remedy="write one of them, without quotes",
        default=True,
    ),
    "type": _Key(
        accepts=_is_word,
        fault="is no type of a plugin",
        expected="one word",
        remedy="write isolated for a plugin that runs in a process of its own",
        default="isolated",
    ),
    "subscriptions": _SUBJECTS,
    "publishes": _SUBJECTS,
    "config": _Key(
        accepts=_is_mapping,
        fault="is no mapping",
        expected="the plugin's own settings by their names",
        remedy="write one setting a line, as name: value, or {} for none",
        default={},
        hidden=True,
    ),
    "uses": _Key(
        accepts=_is_mapping,
        fault="is no mapping",
        expected="rights to buckets, streams, consumers and objects, by their names",
        remedy="write for example buckets: {quotes: write}, or {} for none",
        default={},
        written=False,
    ),
}
_WRITTEN = [key for key, rule in KEYS.items() if rule.written]
_OVERRIDES = "bot_plugins_overrides"
_HEAD = ("name", "enabled", "type")
SHOWN_KEYS = [*_HEAD, *SUBJECT_KEYS]


def problems(declared: t.Any, overlays: t.Any) -> list[Problem]:
    """Name all that is wrong with the declarations and one environment's overlays, see `effective`."""
    return [
        *_problems_of_shape(declared, overlays),
        *_problems_of_overlays(_declarations(declared), _overlays(overlays)),
        *_problems_of_plugins(_declarations(declared), _overlays(overlays)),
    ]


def effective(declared: t.Any, overlays: t.Any, prefix: str) -> list[Plugin]:
    """Give each plugin as one environment has it: overlaid, with every key, in order, its subjects full.

    declared: a list of declarations. overlays: what differs in this environment, by the plugin's name. Settings of
    ``config`` are merged name by name, any other value replaces the declared one. prefix: that of the environment. A
    subject that is invalid or has another prefix stays as it is. Raises PluginsError.
    """
    found = problems(declared, overlays)
    if found:
        raise PluginsError(found)
    laid = (_overlaid(plugin, overlays) for plugin in declared)
    return [{**plugin, **{key: _full(plugin[key], prefix) for key in SUBJECT_KEYS}} for plugin in laid]


def render(plugin: Mapping[str, t.Any]) -> str:
    """Write the YAML file of an effective plugin, with an empty line before each part, as the guide has them."""
    text = bot_yaml.dump({key: plugin[key] for key in _WRITTEN}, plain=_HEAD)
    for key in set(_WRITTEN) - set(_HEAD):
        text = text.replace(f"\n{key}:", f"\n\n{key}:")
    further = {key: value for key, value in plugin.items() if key not in KEYS}
    return f"{text}\n{bot_yaml.dump(further)}" if further else text


def entries(
    plugins: Iterable[Mapping[str, t.Any]], directory: str, owner: str | None = None, group: str | None = None
) -> list[dict[str, t.Any]]:
    """Describe the files of effective plugins for the module config_tree; a disabled plugin has one too.

    owner, group: of the files; nothing leaves them as they are.
    """
    owners = {key: value for key, value in (("owner", owner), ("group", group)) if value}
    return [
        {
            "path": posixpath.join(directory, f"{plugin['name']}.yaml"),
            "state": "file",
            "content": render(plugin),
            "mode": FILE_MODE,
            "reader": READER,
            # the plugin's own settings may be secret
            "shown_keys": SHOWN_KEYS,
            **owners,
        }
        for plugin in plugins
    ]


def _full(written: Iterable[str], prefix: str) -> list[str]:
    return [subjects.resolve(subject, prefix) if subjects.is_valid(subject) else subject for subject in written]


def _declarations(declared: t.Any) -> list[tuple[str, Plugin]]:
    """Give what can be looked into, each with the words for its place."""
    listed = enumerate(declared, start=1) if isinstance(declared, list) else ()
    return [(_place(position, plugin), plugin) for position, plugin in listed if isinstance(plugin, dict)]


def _place(position: int, plugin: Plugin) -> str:
    name = plugin.get("name")
    return f"plugin {name}" if _is_name(name) else f"plugin number {position}"


def _overlays(overlays: t.Any) -> dict[t.Any, Plugin]:
    found = overlays if isinstance(overlays, dict) else {}
    return {name: overlay for name, overlay in found.items() if isinstance(overlay, dict)}


def _overlaid(plugin: Plugin, overlays: Mapping[t.Any, Plugin]) -> Plugin:
    """Lay a plugin's overlay on it; all keys are there, first the guide's in its order."""
    name = plugin.get("name")
    overlay = overlays.get(name, {}) if isinstance(name, str) else {}
    defaults = {key: deepcopy(rule.default) for key, rule in KEYS.items()}
    laid = {**defaults, **plugin, **overlay}
    if isinstance(overlay.get("config"), dict) and isinstance(plugin.get("config"), dict):
        laid["config"] = _merged(plugin["config"], overlay["config"])
    return laid


def _merged(settings: Plugin, over: Plugin) -> Plugin:
    """Lay settings over others, mapping by mapping. Nothing is copied deep: what is yet to be templated can't be."""
    both = {name for name in over if isinstance(settings.get(name), dict) and isinstance(over[name], dict)}
    return {**settings, **over, **{name: _merged(settings[name], over[name]) for name in both}}


def _problems_of_shape(declared: t.Any, overlays: t.Any) -> Iterator[Problem]:
    remedy = f"describe each plugin with the keys {', '.join(KEYS)}"
    if not isinstance(declared, list):
        yield Problem("plugins", "", _shown(declared), "is no list", "a list of plugins", remedy)
    else:
        for position, plugin in enumerate(declared, start=1):
            if not isinstance(plugin, dict):
                where = f"plugin number {position}"
                yield Problem(where, "", _shown(plugin), "is no mapping", "a plugin", remedy)
    if not isinstance(overlays, dict):
        expected = "what differs in this environment, by the plugin's name"
        yield Problem(_OVERRIDES, "", _shown(overlays), "is no mapping", expected, "write {} for none")
        return
    for name, overlay in overlays.items():
        if not isinstance(overlay, dict):
            where, expected = f"{_OVERRIDES}: {_shown(name)}", "the keys of the plugin that differ"
            yield Problem(where, "", _shown(overlay), "is no mapping", expected, "remove it or give it some")


def _problems_of_overlays(declared: list[tuple[str, Plugin]], overlays: Mapping[t.Any, Plugin]) -> Iterator[Problem]:
    names = {name: None for _place, plugin in declared if isinstance(name := plugin.get("name"), str)}
    for name in overlays:
        if name not in names:
            nearest = difflib.get_close_matches(str(name), names, 1)
            remedy = f"the nearest is {nearest[0]}" if nearest else f"declare it or remove it from {_OVERRIDES}"
            yield Problem(
                _OVERRIDES, "", _shown(name), "is no declared plugin", "the name of one", _quotes(name) or remedy
            )


def _problems_of_plugins(declared: list[tuple[str, Plugin]], overlays: Mapping[t.Any, Plugin]) -> Iterator[Problem]:
    first: dict[str, str] = {}  # the name that was there first, by its small letters
    for where, plugin in declared:
        laid = _overlaid(plugin, overlays)
        for key, rule in KEYS.items():
            if not rule.accepts(laid[key]):
                value = _noun(laid[key]) if rule.hidden else _shown(laid[key])
                remedy = (key == "name" and _quotes(laid[key])) or rule.remedy
                yield Problem(where, key, value, rule.fault, rule.expected, remedy)
        if _is_mapping(laid["uses"]):
            for found in jetstream_rights.problems(laid["uses"]):
                key = ".".join(filter(None, ("uses", found.key)))
                yield Problem(where, key, _shown(found.value), found.fault, found.expected, found.remedy)
        name = laid["name"]
        if not _is_name(name):
            continue
        if name.lower() in first:
            fault = f"is there already, as {first[name.lower()]}"
            expected = "names that differ in more than the case of letters"
            yield Problem(where, "name", _shown(name), fault, expected, "rename or remove one of the two")
        first.setdefault(name.lower(), name)


def _quotes(name: t.Any) -> str:
    """Say how a name is written that YAML reads as something else; empty where it is none in quotes, either."""
    if isinstance(name, bool):
        return "put the word in quotes: without, YAML reads yes, no, on and off as true or false"
    is_text = isinstance(name, str) or name is None
    return "" if is_text or not _is_name(str(name)) else f'write it in quotes: "{name}"'


def _noun(value: t.Any) -> str:
    return next(noun for kind, noun in _NOUNS if isinstance(value, kind))


def _shown(value: t.Any) -> str:
    if isinstance(value, list) and not _is_texts(value):
        value = next(item for item in value if not isinstance(item, str))
        return f"a list with {_shown(value)} in it"
    if isinstance(value, dict | list):
        return _noun(value)
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
