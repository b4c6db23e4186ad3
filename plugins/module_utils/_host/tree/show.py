# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a diff or an error may show of a file."""

from __future__ import annotations

import dataclasses
import itertools
import operator
import re
import typing as t
from collections.abc import Collection, Iterable, Iterator

from ansible_collections.rosey.nats.plugins.module_utils._host import (
    environment_file,
    python,
    redaction,
    yaml_section,
)
from ansible_collections.rosey.nats.plugins.module_utils._host.tree.compare import Aspect, Change
from ansible_collections.rosey.nats.plugins.module_utils._host.tree.spec import Entry, Redact, Redactor, State

# What a section that somebody else wrote by hand may hold, in a comment too.
_MAY_BE_SECRET = re.compile(rb"(?i)pass|token|secret|seed|://[^\s/]*@")
_SHORTEST_SECRET_PART = 8  # characters; hiding fewer would cut common words and so betray that the secret holds them


def diff(changes: Iterable[Change]) -> list[dict[str, t.Any]]:
    """Make Ansible's diff of changes that were not applied yet: content and the rest as items of their own."""
    return [item for change in changes for item in _diff_items(change)]


# Showing


def _diff_items(change: Change) -> Iterator[dict[str, t.Any]]:
    headers = {"before_header": change.path, "after_header": change.path}
    metadata = [item for item in change.differences if item.aspect != Aspect.CONTENT]
    if metadata:
        before, after = {}, {}
        for item in metadata:
            key = "state" if item.aspect in (Aspect.CREATED, Aspect.REMOVED) else str(item.aspect)
            if item.before is not None:
                before[key] = item.before
            if item.after is not None:
                after[key] = item.after
        yield {"before": before, "after": after, **headers}
    if len(metadata) < len(change.differences):
        old, new = change.before or b"", change.entry.content
        if change.entry.state == State.SECTION:
            # What else is in the file may be secret.
            old, new = (yaml_section.find(text, change.entry.key) or b"" for text in (old, new))
            if _MAY_BE_SECRET.search(old + new):
                change = dataclasses.replace(change, entry=dataclasses.replace(change.entry, redact=Redact.ALL))
        shown_old, shown_new = _shown(old, change.entry), _shown(new, change.entry)
        if shown_old == shown_new and old != new:
            shown_new += "(what differs is hidden)\n"
        if change.entry.state == State.VARIABLES and (names := _names_that_differ(old, new)):
            shown_new += f"(what differs: {', '.join(names)})\n"
        yield {"before": shown_old, "after": shown_new, **headers}


def _names_that_differ(old: bytes, new: bytes) -> list[str]:
    before, after = environment_file.get(old), environment_file.get(new)
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _shown(content: bytes, entry: Entry) -> str:
    """Give the content of a file as far as it may be seen."""
    if not content:
        return ""
    if entry.redact == Redact.ALL:
        return "(hidden)\n"
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return f"({len(content)} bytes that are no text)\n"
    if entry.shown_keys:
        return "".join(_lines_of_keys(text, entry.shown_keys))
    return entry.redactor(text) if entry.redactor else text


def _lines_of_keys(text: str, keys: Collection[str]) -> Iterator[str]:
    """Give the lines of a YAML mapping with the values of these keys alone; what is not clearly theirs is hidden."""
    shown = False
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith("#"):
            # what is commented out may be secret as well
            continue
        if line.startswith((" ", "-", "\n")):
            if shown or not line.strip():
                yield line
            continue
        key = line.partition(":")[0].strip("\"'")
        shown = key in keys
        yield line if shown else f"{key if key.isidentifier() else ''}: {redaction.HIDDEN}\n"


def without_secrets(output: str, entry: Entry) -> str:
    """Hide in what a command said every part of what must not be seen of the file."""
    if entry.redact == Redact.NONE:
        return output
    text = entry.content.decode(errors="replace")
    size = _SHORTEST_SECRET_PART
    cover = [False] * len(output)
    for value in _secret_values(text, entry.redactor) if entry.redactor else _all_values(text):
        parts = {value[start : start + size] for start in range(len(value) - size + 1)}
        spans = [range(start, start + size) for start in range(len(output)) if output[start : start + size] in parts]
        if 0 < len(value) < size:
            # Hidden inside of words and positions, as in file:6:1, it would take the message with it.
            spans = [
                range(*match.span()) for match in re.finditer(rf"(?<![\w:/-]){re.escape(value)}(?![\w/-])", output)
            ]
        for at in itertools.chain.from_iterable(spans):
            cover[at] = True
    pieces = []
    for covered, run in itertools.groupby(python.rows(cover, output), key=operator.itemgetter(0)):
        pieces.append(redaction.HIDDEN if covered else "".join(character for _covered, character in run))
    return "".join(pieces)


def _secret_values(text: str, redactor: Redactor) -> list[str]:
    """Find what a redactor takes out of a text; all of the text where that can't be told."""
    first, *rest = re.split(f'"?{re.escape(redaction.HIDDEN)}"?', redactor(text))
    if not text.startswith(first):
        return _all_values(text)
    values, at = [], len(first)
    for piece in rest:
        end = text.find(piece, at) if piece else len(text)
        if end < 0:
            return _all_values(text)
        values.append(text[at:end].strip("\"'"))
        at = end + len(piece)
    return values if at == len(text) else _all_values(text)


def _all_values(text: str) -> list[str]:
    return [text, *re.findall(r"[^\s\"'(){}\[\],;:=]{3,}", text)]
