# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the bot's YAML files are laid out. This runs on the controller alone."""

from __future__ import annotations

import math
import typing as t
from collections.abc import Mapping

import yaml

_TEXT_TAG = "tag:yaml.org,2002:str"


def dump(data: Mapping[str, t.Any], *, quoted: bool = True) -> str:
    """Write a mapping as the guide lays its files out. quoted: whether texts stand in quotes, as most of them do."""
    dumper = _QuotingDumper if quoted else _Dumper
    text: str = yaml.dump(data, Dumper=dumper, allow_unicode=True, sort_keys=False, width=math.inf)
    return text


class _Dumper(yaml.SafeDumper):
    """Writes YAML in the guide's layout. libyaml's emitter can't indent the items of a list."""

    def ignore_aliases(self, data: t.Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)

    def represent_word(self, data: str) -> yaml.ScalarNode:
        # The emitter takes a line separator for a line break, and so loses it, where it does not quote.
        return self.represent_scalar(_TEXT_TAG, data, style=None if data.isprintable() else '"')


class _QuotingDumper(_Dumper):
    """Quotes every text that is no key."""

    def represent_text(self, data: str) -> yaml.ScalarNode:
        return self.represent_scalar(_TEXT_TAG, data, style='"')

    def represent_mapping(self, tag: str, mapping: t.Any, flow_style: bool | None = None) -> yaml.MappingNode:
        node = super().represent_mapping(tag, mapping, flow_style)
        node.value = [
            (self.represent_word(key.value) if key.tag == _TEXT_TAG else key, value) for key, value in node.value
        ]
        return node


_Dumper.add_representer(str, _Dumper.represent_word)
_QuotingDumper.add_representer(str, _QuotingDumper.represent_text)
# What Ansible hands over is often of a class of its own, derived from the plain one.
for _dumper in (_Dumper, _QuotingDumper):
    for _kind, _represent in _dumper.yaml_representers.items():
        if _kind is not None:
            _dumper.add_multi_representer(_kind, _represent)
