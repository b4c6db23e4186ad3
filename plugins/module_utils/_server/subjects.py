# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Subjects of nats-server 2.10.7: which are valid, which patterns match, and how this bus names its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import MappingProxyType

SEPARATOR = "."
WILDCARD = "*"
FULL_WILDCARD = ">"
# What server/sublist.go, IsValidSubject, refuses; the lines of the client protocol end or split at all but \f.
_WHITESPACE = frozenset("\t\n\f\r ")

PREFIXES = MappingProxyType({"development": "rosey.dev", "staging": "rosey.staging", "production": "rosey.prod"})
"""The prefix of the subjects of each standard environment, in the order in which a change goes through them."""
ROOTS = ("cytube", "commands", "plugin", "system")
"""What follows the prefix in a subject of the bus."""


INBOX = "_inbox"
"""What follows the prefix where answers to one client go, who has a credential of its own."""


def fault(subject: str) -> str | None:
    """Say why a subject is invalid, as the rest of a sentence about it; None where it is valid.

    It tells what server/sublist.go, IsValidSubject, tells.
    """
    *before, last = tokens = subject.split(SEPARATOR)
    if not subject:
        return "is empty"
    if _WHITESPACE & set(subject):
        return "has whitespace in it"
    if "" in tokens:
        return "has an empty token: a dot at its start or end, or two dots in a row"
    if FULL_WILDCARD in before:
        return f"goes on after {FULL_WILDCARD}, which stands for all the rest ({last} is too much)"
    return None


def is_valid(subject: str) -> bool:
    """Tell whether a client may subscribe to it."""
    return fault(subject) is None


def has_wildcard(subject: str) -> bool:
    """Tell whether one of its tokens is a wildcard; a wildcard's character within a longer token is none."""
    return bool({WILDCARD, FULL_WILDCARD} & set(subject.split(SEPARATOR)))


def is_literal(subject: str) -> bool:
    """Tell whether a client may publish on it: it is valid, and stands for itself alone."""
    return is_valid(subject) and not has_wildcard(subject)


def matches(pattern: str, literal: str) -> bool:
    """Tell whether who subscribes to the pattern gets what is published on the literal."""
    return is_literal(literal) and covers(pattern, literal)


def covers(wide: str, narrow: str) -> bool:
    """Tell whether every literal that ``narrow`` matches, ``wide`` matches too. What is invalid neither covers nor is.

    The answer is that of the server's deliveries. Its subjectIsSubsetMatch also takes a token such as ``*a`` for a
    wildcard, which no delivery does.
    """
    if not (is_valid(wide) and is_valid(narrow)):
        return False
    *head, last = wide.split(SEPARATOR)
    given = narrow.split(SEPARATOR)
    if last != FULL_WILDCARD:
        head.append(last)
        if len(given) != len(head):
            return False
    elif len(given) <= len(head):
        return False
    return all(one == other or (one == WILDCARD and other != FULL_WILDCARD) for one, other in zip(head, given))


def overlaps(one: str, other: str) -> bool:
    """Tell whether a literal exists that both match; nothing overlaps what is invalid.

    The answer is that of the server's deliveries; on SubjectsCollide, see `covers`.
    """
    if not (is_valid(one) and is_valid(other)):
        return False
    index = Index()
    index.add(one, "")
    return bool(index.overlapping(other))


@dataclass
class _Node:
    below: dict[str, _Node] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)


class Index:
    """Who uses which valid subject, by its tokens: overlaps are found without a comparison of all with all."""

    def __init__(self) -> None:
        self._root = _Node()

    def add(self, subject: str, name: str) -> None:
        """Note that ``name`` uses the subject."""
        node = self._root
        for token in subject.split(SEPARATOR):
            node = node.below.setdefault(token, _Node())
        node.names.add(name)

    def overlapping(self, subject: str) -> set[str]:
        """Name all that use a subject which overlaps this one."""
        return set().union(*(node.names for node in self._overlapping(subject.split(SEPARATOR))))

    def _overlapping(self, tokens: list[str]) -> Iterator[_Node]:
        waiting = [(self._root, 0)]  # a node, and how many tokens led there; no recursion, a subject may be long
        while waiting:
            node, depth = waiting.pop()
            if depth == len(tokens):
                yield node
                continue
            token = tokens[depth]
            if FULL_WILDCARD in node.below and token != FULL_WILDCARD:
                yield node.below[FULL_WILDCARD]
            for name, child in _steps(node, token):
                if token == FULL_WILDCARD:
                    yield child
                    waiting.append((child, depth))
                elif name != FULL_WILDCARD:
                    waiting.append((child, depth + 1))


def _steps(node: _Node, token: str) -> Iterator[tuple[str, _Node]]:
    """Give the nodes below that a token of a subject may lead to."""
    if token in (WILDCARD, FULL_WILDCARD):
        yield from node.below.items()
    else:
        yield from ((name, node.below[name]) for name in (token, WILDCARD) if name in node.below)


def resolve(subject: str, prefix: str) -> str:
    """Give the full subject. One that begins as the prefix does is full already, and is kept, right or wrong."""
    first = prefix.partition(SEPARATOR)[0]
    is_full = subject.partition(SEPARATOR)[0] == first
    return subject if is_full else f"{prefix}{SEPARATOR}{subject}"


def relative(subject: str, prefix: str) -> str | None:
    """Give what a full subject has after the prefix; None where it does not carry this prefix."""
    start = f"{prefix}{SEPARATOR}"
    return subject.removeprefix(start) if subject.startswith(start) else None
