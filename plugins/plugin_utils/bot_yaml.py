# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the bot's YAML files are laid out. This runs on the controller alone."""

from __future__ import annotations

import functools
import io
import math
import typing as t
from collections.abc import Collection, Mapping

import yaml

_TEXT_TAG = "tag:yaml.org,2002:str"
# Keys and words come again with every plugin.
_analysis = functools.lru_cache(4096)(yaml.SafeDumper(io.StringIO(), allow_unicode=True).analyze_scalar)


def dump(data: Mapping[str, t.Any], *, plain: Collection[str] = ()) -> str:
    """Write a mapping as the guide lays its files out. Texts stand in quotes, as most of them do there.

    plain: keys whose text stands without. No text is broken into lines, so that what begins a line is a key or a dash.
    """
    words = {key: _Word(value) if key in plain and isinstance(value, str) else value for key, value in data.items()}
    text: str = yaml.dump(words, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=math.inf)
    return text


class _Word(str):
    """A text without quotes, where YAML needs none."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """Writes YAML in the guide's layout. libyaml's emitter can't indent the items of a list."""

    def ignore_aliases(self, data: t.Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)

    def analyze_scalar(self, scalar: str) -> t.Any:
        return _analysis(scalar)

    def represent_word(self, data: str) -> yaml.ScalarNode:
        # The emitter takes a line separator for a line break, and so loses it, where it does not quote.
        return self.represent_scalar(_TEXT_TAG, data, style=None if data.isprintable() else '"')

    def represent_text(self, data: str) -> yaml.ScalarNode:
        return self.represent_scalar(_TEXT_TAG, data, style='"')

    def represent_mapping(self, tag: str, mapping: t.Any, flow_style: bool | None = None) -> yaml.MappingNode:
        node = super().represent_mapping(tag, mapping, flow_style)
        node.value = [
            (self.represent_word(key.value) if key.tag == _TEXT_TAG else key, value) for key, value in node.value
        ]
        return node


_Dumper.add_representer(str, _Dumper.represent_text)
_Dumper.add_representer(_Word, _Dumper.represent_word)
# What Ansible hands over is often of a class of its own, derived from the plain one.
for _kind, _represent in _Dumper.yaml_representers.items():
    if _kind not in (None, _Word):
        _Dumper.add_multi_representer(_kind, _represent)
