# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the ``uses`` of a plugin's declaration grants: the subjects that nats-py needs of nats-server 2.10.7 for it.

``uses`` has the rights to buckets, streams, consumers and objects, each by the name of the asset: one right, a list of
them, or a mapping with ``rights`` and, of a bucket, ``keys``, the pattern of the keys that they are for. Besides these
subjects a client needs its own inbox alone, in which all answers and messages arrive.
"""

from __future__ import annotations

import difflib
import re
import typing as t
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ansible_collections.rosey.nats.plugins.module_utils._server import subjects

Uses = Mapping[t.Any, t.Any]


@dataclass(frozen=True)
class Rights:
    """The subjects, or patterns of them, that a client may publish to, and subscribe to besides its own inbox."""

    publish: frozenset[str] = frozenset()
    subscribe: frozenset[str] = frozenset()


class Problem(t.NamedTuple):
    """One thing that is wrong with ``uses``.

    key: the path below it, "" where it is the whole of it. value: as declared, whatever it is. fault: what is wrong,
    as the rest of a sentence about the value.
    """

    key: str
    value: t.Any
    fault: str
    expected: str
    remedy: str


@dataclass(frozen=True)
class _Kind:
    """A kind of asset. rights: what each of its rights grants, with {name}, {keys} or {stream} for what is declared.

    whole: the rights that can't be had for some keys alone, with the reason; None where there are no keys at all.
    """

    noun: str
    rights: Mapping[str, Rights]
    name: re.Pattern[str]
    name_expected: str
    whole: Mapping[str, str] | None = None


def _publish(*granted: str, also: Rights | None = None) -> Rights:
    return Rights(publish=frozenset(granted) | (also.publish if also else frozenset()))


# nats-server takes more in a name, but no dot, blank, wildcard or path separator, and at most 255 characters, which
# the KV_ or OBJ_ before the name of a bucket or store counts to.
_ONE_NAME = r"[A-Za-z0-9_-]{1,251}"
_PLAIN = re.compile(_ONE_NAME)
_PLAIN_EXPECTED = "at most 251 letters (a to z, A to Z), digits, _ and -, as a text"
# What clients take for a key, and wildcards.
_KEYS = re.compile(r"[A-Za-z0-9_=/.*>-]+")
_ALL_KEYS = ">"
_ANY_STREAM = "*"
_BUCKET_READ = _publish(
    "$JS.API.STREAM.INFO.KV_{name}",
    "$JS.API.DIRECT.GET.KV_{name}.$KV.{name}.{keys}",
)
_OBJECTS_READ = _publish(
    "$JS.API.STREAM.INFO.OBJ_{name}",
    "$JS.API.STREAM.MSG.GET.OBJ_{name}",
    "$JS.API.STREAM.NAMES",
    "$JS.API.CONSUMER.CREATE.OBJ_{name}",
    "$JS.FC.OBJ_{name}.>",
)
# Each set is the least: tests/integration/test_jetstream_rights.py takes away one subject after the other.
KINDS: Mapping[str, _Kind] = {
    "buckets": _Kind(
        noun="bucket",
        rights={
            "read": _BUCKET_READ,
            "write": _publish("$KV.{name}.{keys}", also=_BUCKET_READ),
            "watch": _publish(
                "$JS.API.CONSUMER.CREATE.KV_{name}",
                "$JS.API.CONSUMER.INFO.KV_{name}.*",
                "$JS.FC.KV_{name}.>",  # without it the server stops after some messages
                also=_BUCKET_READ,
            ),
        },
        name=_PLAIN,
        name_expected=_PLAIN_EXPECTED,
        whole={"watch": "a client that may watch some keys can make the server send it all of them"},
    ),
    "streams": _Kind(
        noun="stream",
        # to publish, a client needs the subject alone, which stands in publishes
        rights={"publish": Rights(), "read": _publish("$JS.API.STREAM.MSG.GET.{name}")},
        name=_PLAIN,
        name_expected=_PLAIN_EXPECTED,
    ),
    "consumers": _Kind(
        noun="consumer",
        rights={"pull": _publish("$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}", "$JS.ACK.{stream}.{name}.>")},
        name=re.compile(rf"({_ONE_NAME}\.)?{_ONE_NAME}"),
        name_expected="letters (a to z, A to Z), digits, _ and -, as a text, and before them as needed the stream "
        "and a dot",
    ),
    "objects": _Kind(
        noun="store of objects",
        rights={
            "read": _OBJECTS_READ,
            "write": _publish(
                "$O.{name}.C.*",
                "$O.{name}.M.*",
                "$JS.API.STREAM.PURGE.OBJ_{name}",  # the parts of the object that another one replaces
                also=_OBJECTS_READ,
            ),
        },
        name=_PLAIN,
        name_expected=_PLAIN_EXPECTED,
    ),
}


def rights(uses: Uses) -> Rights:
    """Give what ``uses`` grants. Raises ValueError where `problems` finds anything, so that no name widens a right."""
    found = problems(uses)
    if found:
        raise ValueError(f"uses grants nothing while it has problems: {found}")
    granted = [
        (subject.format(**_placeholders(name, given)), is_published)
        for kind, named in uses.items()
        for name, given in named.items()
        for right in _listed(given)
        for subject, is_published in _templates(KINDS[kind].rights[right])
    ]
    return Rights(
        publish=frozenset(subject for subject, is_published in granted if is_published),
        subscribe=frozenset(subject for subject, is_published in granted if not is_published),
    )


def problems(uses: Uses) -> list[Problem]:
    """Name all that is wrong with ``uses``, a mapping of whatever content."""
    return list(_problems(uses))


def _problems(uses: Uses) -> Iterator[Problem]:
    for key, named in uses.items():
        kind = KINDS.get(key) if isinstance(key, str) else None
        if kind is None:
            yield Problem("", key, "is no kind of asset", _choice(KINDS), _nearest(key, KINDS))
        elif not isinstance(named, dict):
            expected = f"rights by the name of the {kind.noun}"
            yield Problem(key, named, "is no mapping", expected, f"write name: {min(kind.rights)}, one a line")
        else:
            for name, given in named.items():
                yield from _problems_of_asset(key, kind, name, given)


def _problems_of_asset(key: str, kind: _Kind, name: t.Any, given: t.Any) -> Iterator[Problem]:
    if not isinstance(name, str) or not kind.name.fullmatch(name):
        remedy = "rename it, or put quotes around what YAML reads as no text"
        yield Problem(key, name, f"can't name a {kind.noun}", kind.name_expected, remedy)
        return
    path = f"{key}.{name}"
    known = ("rights", "keys") if kind.whole is not None else ("rights",)
    if isinstance(given, dict):
        for other in given:
            if other not in known:
                yield Problem(path, other, f"is no key of a {kind.noun}", _choice(known), _nearest(other, known))
    listed = _listed(given)
    if not isinstance(listed, list) or not listed:
        yield Problem(path, given, "names no right", _choice(kind.rights), "name one, or a list of them")
        return
    for right in listed:
        if not isinstance(right, str) or right not in kind.rights:
            remedy = _nearest(right, kind.rights)
            yield Problem(path, right, f"is no right to a {kind.noun}", _choice(kind.rights), remedy)
    if kind.whole is not None and isinstance(given, dict) and "keys" in given:
        yield from _problems_of_keys(path, kind.whole, given["keys"], listed)


def _problems_of_keys(path: str, whole: Mapping[str, str], keys: t.Any, listed: list[t.Any]) -> Iterator[Problem]:
    fault = "is no text" if not isinstance(keys, str) else subjects.fault(keys)
    if fault is None and not all(token in ("*", ">") or not {"*", ">"} & set(token) for token in keys.split(".")):
        fault = "has a wildcard within a token"
    if fault is None and not _KEYS.fullmatch(keys):
        fault = "has a character that no key has"
    if fault is not None:
        expected = "one pattern of keys: tokens of letters, digits, _, -, = and /, with dots between, * or a last >"
        remedy = "write the start of the keys and a >, for example trivia.>"
        yield Problem(f"{path}.keys", keys, fault, expected, remedy)
    for right, reason in whole.items():
        if right in listed:
            remedy = "leave keys out, or give these keys a bucket of their own"
            yield Problem(path, right, f"can't be had for some keys alone: {reason}", "no keys", remedy)


def _listed(given: t.Any) -> t.Any:
    """Give the rights of a declaration as a list, in whichever of its forms it is; what is of none as it is."""
    named = given.get("rights") if isinstance(given, dict) else given
    return [named] if isinstance(named, str) else named


def _placeholders(name: str, given: t.Any) -> dict[str, str]:
    stream, _dot, own = name.rpartition(".")
    keys = given.get("keys", _ALL_KEYS) if isinstance(given, dict) else _ALL_KEYS
    return {"name": own, "stream": stream or _ANY_STREAM, "keys": keys}


def _templates(granted: Rights) -> Iterator[tuple[str, bool]]:
    yield from ((subject, True) for subject in granted.publish)
    yield from ((subject, False) for subject in granted.subscribe)


def _choice(words: t.Collection[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _nearest(word: t.Any, words: t.Collection[str]) -> str:
    nearest = difflib.get_close_matches(str(word), words, 1)
    return f"the nearest is {nearest[0]}" if nearest else "write it as expected, or leave it out"
