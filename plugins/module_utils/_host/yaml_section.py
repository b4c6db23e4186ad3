# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One top-level section of a YAML file, cut out and in; everything else stays byte for byte.

PyYAML's events say where the section is: it reaches from its key to the end of the line in which its value ends. So the
comments in it and behind its last value are a part of it, and the ones in the lines before and after are not.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ansible_collections.rosey.nats.plugins.module_utils._host import python

try:
    import yaml
except ImportError:
    HAS_YAML = False
else:
    HAS_YAML = True

_BOM = "\ufeff"
# PyYAML ends a line, and so a comment, at each of these.
_BREAKS = ("\n", "\r", "\x85", "\u2028", "\u2029")
_BREAK = re.compile(f"\r\n|[{''.join(_BREAKS)}]")
_END_OF_LINE = re.compile("\r\n|\n|\r")
_MERGE = "tag:yaml.org,2002:merge"
_BLOCK_SCALARS = ("|", ">")


class SpliceError(Exception):
    """Why a section can't be cut out or in: the line, the reason and what to do. No value is in it."""


def put(text: bytes, key: str, section: bytes) -> bytes:
    """Give the file with this section, which begins with its key and ends with a line break.

    It takes the place of the section that is there, or comes to the end. A file whose section says the same already is
    given back as it is. Raises SpliceError.
    """
    wanted, meant = _wanted(section, key)
    document = _Document(_decode(text))
    present = document.find(key)
    if present is not None and document.meaning(present) == meant:
        return text
    end_of_line = next(iter(_END_OF_LINE.findall(document.text)), "\n")
    wanted = _END_OF_LINE.sub(end_of_line, wanted)
    if present is None:
        document.check_layout()
        start = end = document.end
        before = document.text[:start]
        if before.strip(_BOM) and not before.endswith(_BREAKS):
            before += end_of_line
    else:
        start, end = document.extent(present)
        before = document.text[:start]
        if not document.text[start:end].endswith(_BREAKS) and not _ends_in_block_scalar(section):
            wanted = wanted.removesuffix(end_of_line)
    after = document.text[end:]
    _check(document, key, _Document(before + wanted + after), before + after, meant)
    return (before + wanted + after).encode()


def cut(text: bytes, key: str) -> bytes:
    """Give the file without this section. Raises SpliceError."""
    document = _Document(_decode(text))
    present = document.find(key)
    if present is None:
        return text
    start, end = document.extent(present)
    rest = document.text[:start] + document.text[end:]
    _check(document, key, _Document(rest), rest, None)
    return rest.encode()


def find(text: bytes, key: str) -> bytes | None:
    """Give the section's own text, None where there is none. Raises SpliceError."""
    document = _Document(_decode(text))
    present = document.find(key)
    if present is None:
        return None
    start, end = document.extent(present)
    return document.text[start:end].encode()


@dataclass(frozen=True)
class _Item:
    """One key of the top level: its events and its value's, and the nodes that were made of them."""

    events: Sequence[t.Any]
    key: t.Any
    value: t.Any


class _Document:
    """A YAML file whose top level can hold a section."""

    def __init__(self, text: str) -> None:
        self.text = text
        events: list[t.Any] = _read(text, lambda: list(yaml.parse(text, Loader=yaml.SafeLoader)))
        starts = [event for event in events if isinstance(event, yaml.DocumentStartEvent)]
        if len(starts) > 1:
            raise _error(starts[1], "a second document begins here", "Keep one document in the file")
        ends: list[t.Any] = [event for event in events if isinstance(event, yaml.DocumentEndEvent) and event.explicit]
        # A new section comes before the dots that end the document.
        self.end = int(ends[0].start_mark.index) if ends else len(text)
        self._layout_fault: SpliceError | None = None
        self.items = self._items(events)

    def _items(self, events: Sequence[t.Any]) -> list[_Item]:
        root = _read(self.text, lambda: yaml.compose(self.text, Loader=yaml.SafeLoader))
        content = events[2:-2]
        if root is None or (len(content) == 1 and _is_nothing(content[0])):
            return []
        if not isinstance(root, yaml.MappingNode):
            raise _error(content[0], "the file is no mapping", "Its top level has to consist of keys with values")
        self._layout_fault = self._fault_of_layout(content[0], content[1], root)
        parts = _parts(content[1:-1])
        pairs = python.rows(parts[::2], parts[1::2], root.value)
        return [_Item((*key, *value), *nodes) for key, value, nodes in pairs]

    def _fault_of_layout(self, start: t.Any, first_key: t.Any, root: t.Any) -> SpliceError | None:
        if root.flow_style:
            return _error(start, "the top level is written in braces", "Write each of its keys in a line of its own")
        if self._before(first_key).startswith(" "):
            return _error(first_key, "the top level is indented", "Move it to the left margin")
        return None

    def check_layout(self) -> None:
        """Refuse a top level of which nothing can be cut out, and to which nothing can be added."""
        if self._layout_fault is not None:
            raise self._layout_fault

    def _before(self, event: t.Any) -> str:
        """Give what stands before an event in its line."""
        mark = event.start_mark
        return self.text[mark.index - mark.column : mark.index]

    def find(self, key: str) -> _Item | None:
        """Give the item of this key."""
        items = [item for item in self.items if isinstance(item.key, yaml.ScalarNode) and item.key.value == key]
        if len(items) > 1:
            raise _error(items[1].events[0], f"{key} is there a second time", "Remove one of the two")
        for item in self.items:
            if item.key.tag == _MERGE and key in _merged_keys(item.value):
                raise _error(item.events[0], f"the merged mapping holds {key} too", f"Take {key} out of it")
        return items[0] if items else None

    def meaning(self, item: _Item) -> t.Any:
        """Give an item's value in a form in which equal data are equal; None where Python has no data for it."""
        loader = yaml.SafeLoader("")
        try:
            return _comparable(loader.construct_document(item.value))
        # What PyYAML lets through for a value that does not fit its tag.
        except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError):
            return None
        finally:
            loader.dispose()

    def rest(self, key: str) -> list[tuple[t.Any, ...]]:
        """Give all other items in a form in which an equal tree of nodes is equal."""
        mine = self.find(key)
        return [_form(event) for item in self.items if item is not mine for event in item.events]

    def extent(self, item: _Item) -> tuple[int, int]:
        """Tell from where to where an item reaches; refuse one that can't be cut out."""
        self.check_layout()
        self._check_anchors(item)
        start = self._start(item)
        end = self._end_of_value(item)
        at = _BREAK.search(self.text, end)
        remark = self.text[end : at.start() if at else len(self.text)].strip(" \t")
        if self.text[:end].endswith(_BREAKS):
            return start, end
        if remark and not remark.startswith("#"):
            raise _error(item.events[-1], "something else follows in the same line", "Move it to a line of its own")
        return start, at.end() if at else len(self.text)

    def _start(self, item: _Item) -> int:
        before = self._before(item.events[0])
        if before.rstrip(" ") not in ("", "?") or before.startswith(" "):
            raise _error(item.events[0], "the key does not begin its line", "Write it at the left margin")
        return int(item.events[0].start_mark.index) - len(before)

    def _end_of_value(self, item: _Item) -> int:
        # The mark at the end of a block collection is that of whatever comes next.
        last = next(event for event in reversed(item.events) if not _ends_block(event))
        end = int(last.end_mark.index)
        if isinstance(last, yaml.ScalarEvent) and last.style in _BLOCK_SCALARS and not _keeps_blank_lines(last.value):
            content = self.text[:end].rstrip(" \t\r\n")
            at = _BREAK.search(self.text, len(content))
            end = at.end() if at else len(self.text)
        return end

    def _check_anchors(self, item: _Item) -> None:
        inside: dict[t.Any, bool] = {}
        for other in self.items:
            for event in other.events:
                anchor = getattr(event, "anchor", None)
                if not isinstance(event, yaml.AliasEvent):
                    inside[anchor] = anchor is not None and other is item
                elif other is not item and inside[anchor]:
                    reason = f"the anchor {anchor}, which is defined in {item.key.value}, is used here"
                    raise _error(event, reason, "Define it where it is used")


def _wanted(section: bytes, key: str) -> tuple[str, t.Any]:
    """Check a section that is to be put in; give its text and its meaning."""
    text = _decode(section)
    document = _Document(text)
    item = document.find(key)
    if item is None or len(document.items) > 1 or document.extent(item) != (0, len(text)):
        raise SpliceError(f"The new text is not {key} alone. Begin it with {key}: and end it with its value.")
    if not text.endswith("\n"):
        raise SpliceError(f"The new text of {key} does not end with a line break. Add it.")
    if any(getattr(event, "anchor", None) for event in item.events):
        raise SpliceError(f"The new text of {key} has an anchor or an alias. Write the values out.")
    meant = document.meaning(item)
    if meant is None:
        raise SpliceError(f"The new text of {key} has a tag that plain YAML does not know. Leave it out.")
    return text, meant


def _check(before: _Document, key: str, after: _Document, rest: str, meant: t.Any) -> None:
    """Refuse a result in which anything else than the section became different."""
    item = after.find(key)
    text = after.text
    if item is not None:
        start, end = after.extent(item)
        text = text[:start] + text[end:]
    if (
        text != rest
        or before.rest(key) != after.rest(key)
        or (item is None) != (meant is None)
        or (item is not None and after.meaning(item) != meant)
    ):
        raise SpliceError(
            f"{key} can't be changed without changing what is around it: a comment, a blank line or the end of the "
            "file would become part of a text. Move the comments and blank lines that follow a block of text (| or >), "
            "and end the file with a line break."
        )


def _decode(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
    raise SpliceError(f"line {line}: the file is not UTF-8. Save it in UTF-8.")


_Result = t.TypeVar("_Result")


def _read(text: str, read: Callable[[], _Result]) -> _Result:
    """Let PyYAML read; its own errors would carry the text on."""
    try:
        return read()
    except yaml.reader.ReaderError as error:
        line = len(_BREAK.findall(text, 0, error.position)) + 1
        reason = f"the character U+{ord(text[error.position]):04X} is not allowed in YAML. Remove it."
    except yaml.MarkedYAMLError as error:
        mark: t.Any = error.problem_mark
        line = mark.line + 1
        tab = text[mark.index : mark.index + 1] == "\t"
        said = ", ".join(part for part in (error.context, error.problem) if part)
        reason = "a tab is not allowed here. Use spaces." if tab else f"this is no YAML: {said}. Correct it."
    except RecursionError:
        raise SpliceError("The file is nested too deeply. Make it simpler.") from None
    raise SpliceError(f"line {line}: {reason}")


def _error(at: t.Any, reason: str, remedy: str) -> SpliceError:
    return SpliceError(f"line {at.start_mark.line + 1}: {reason}. {remedy}.")


def _is_nothing(event: t.Any) -> bool:
    return isinstance(event, yaml.ScalarEvent) and (event.value, event.style, event.tag, event.anchor) == (
        "",
        None,
        None,
        None,
    )


def _parts(events: Sequence[t.Any]) -> list[list[t.Any]]:
    """Divide events into those of one node after the other."""
    parts: list[list[t.Any]] = []
    depth = 0
    for event in events:
        if depth == 0:
            parts.append([])
        parts[-1].append(event)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
    return parts


def _ends_block(event: t.Any) -> bool:
    """Tell whether it ends a collection in block style, which no character does."""
    if not isinstance(event, yaml.CollectionEndEvent):
        return False
    start, end = t.cast("tuple[t.Any, t.Any]", (event.start_mark, event.end_mark))
    return bool(start.index == end.index)


def _keeps_blank_lines(value: str) -> bool:
    """Tell whether blank lines at the end of a block scalar belong to its value."""
    return value == "\n" or value.endswith("\n\n") or value.rstrip("\n")[-1:] in (" ", "\t")


def _ends_in_block_scalar(section: bytes) -> bool:
    last = [event for event in yaml.parse(section, Loader=yaml.SafeLoader) if isinstance(event, yaml.ScalarEvent)][-1]
    return last.style in _BLOCK_SCALARS


def _merged_keys(node: t.Any) -> set[str]:
    """Give the keys that a merge brings; only a mapping or a list of mappings can be merged."""
    if isinstance(node, yaml.SequenceNode):
        return set().union(*map(_merged_keys, node.value))
    if not isinstance(node, yaml.MappingNode):
        return set()
    keys = {key.value for key, _value in node.value if isinstance(key, yaml.ScalarNode)}
    return keys.union(*(_merged_keys(value) for key, value in node.value if key.tag == _MERGE))


def _comparable(data: t.Any) -> t.Any:
    """For Python 1, 1.0 and True are equal, and not-a-number is not."""
    if isinstance(data, dict):
        return {repr(key): _comparable(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_comparable(value) for value in data]
    return repr(data)


def _form(event: t.Any) -> tuple[t.Any, ...]:
    return type(event), *(getattr(event, name, None) for name in ("anchor", "tag", "implicit", "value", "style"))
