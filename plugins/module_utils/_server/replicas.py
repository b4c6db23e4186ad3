# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the replicas of a stream hold the same, as each server tells of its own.

A leader knows how far the others are in the log of its group, and nothing of what they have stored: 2.10.7 has called
one in step that had lost most of its messages after its disk was full. Where such a one is the next to lead, these
messages are gone for every client.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Finding, first_of
from ansible_collections.rosey.nats.plugins.module_utils._server import answers, http_reader

_REMEDY = (
    "let no server be restarted, and back the stream up; once a server leads it that has all, give the stream one "
    "replica, and then as many as it had, so that the others are made anew"
)
_MOST_NAMED = 5


@dataclass(frozen=True)
class Replica:
    """What a server holds of a stream. first, last: sequences.

    is_steady: whether all replicas lose the same messages as one of the log's entries is applied, which is so with
    limits alone; of what expires or is acknowledged, each server takes its leave in its own time.
    """

    messages: int
    first: int
    last: int
    is_steady: bool

    @property
    def holes(self) -> int:
        """How many sequences between the first and the last it has no message for."""
        return self.last - self.first + 1 - self.messages if self.messages else 0

    def begins_before(self, other: Replica) -> bool:
        """Whether it has messages at its begin that another one lacks; without any it begins at 0."""
        return self.is_steady and self.messages > 0 and self.first < other.first

    def __str__(self) -> str:
        return f"{self.messages} messages, {self.first} to {self.last}"


@dataclass(frozen=True)
class Look:
    """What one server held at one time, by the names of the streams."""

    server: str
    streams: Mapping[str, Replica]

    def as_result(self) -> dict[str, t.Any]:
        """Give it as a module returns it, for a later look."""
        return {"server": self.server, "streams": {name: asdict(held) for name, held in self.streams.items()}}


def look_of(result: Mapping[str, t.Any]) -> Look:
    """Read what as_result() has given; KeyError, TypeError."""
    return Look(result["server"], {name: Replica(**held) for name, held in result["streams"].items()})


def replica_of(stream: answers.Answer) -> Replica | None:
    """Read a server's own replica out of the details of a stream in /jsz; None where the stream has but one."""
    about = answers.mapping(stream)
    config, state = answers.mapping(about.get("config")), answers.mapping(about.get("state"))
    numbers: list[t.Any] = [config.get("num_replicas"), *map(state.get, ("messages", "first_seq", "last_seq"))]
    if not all(isinstance(number, int) and answers.is_number(number) for number in numbers):
        return None
    copies, messages, first, last = numbers
    if copies <= 1:
        return None
    return Replica(messages, first, last, config.get("retention") == "limits" and not config.get("max_age"))


def findings(looks: Sequence[Look]) -> Iterator[Finding]:
    """Tell of each server what its replicas lack. looks: in the order of their time.

    While clients publish, what is seen later is more. So one that is looked at later has to have what another one had
    earlier, and may not begin behind what another one has afterwards. With a first and a last look at one of the
    servers, all are judged.
    """
    lacking: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for look in looks for name in look.streams):
        held = [(look.server, look.streams[name]) for look in looks if name in look.streams]
        for server, told in _lacking(held):
            lacking.setdefault(server, []).append(f"{http_reader.excerpt(name)} ({told})")
    for server, texts in lacking.items():
        shown = first_of(texts, _MOST_NAMED)
        yield Finding("streams", f"at {server} all that the other servers have", shown, _REMEDY)


Held: t.TypeAlias = "tuple[str, Replica]"


def _lacking(held: Sequence[Held]) -> Iterator[tuple[str, str]]:
    """Name the servers that lack something of one stream, each once, with what it has and who has more."""
    told = set()
    for place, (server, replica) in enumerate(held):
        earlier, later = held[:place], held[place + 1 :]
        fuller = [
            *_others(server, (each for each in earlier if each[1].last > replica.last)),
            *_others(server, (each for each in later if each[1].begins_before(replica))),
            *_with_less_holes(server, held),
        ]
        if fuller and server not in told:
            told.add(server)
            other, more = fuller[0]
            yield server, f"{replica}, where {other} has {more}"


def _others(server: str, held: Iterable[Held]) -> list[Held]:
    return [each for each in held if each[0] != server]


def _with_less_holes(server: str, held: Sequence[Held]) -> list[Held]:
    """Give those that never lack as much in between as this server does at all times."""
    own = [replica for name, replica in held if name == server]
    others = _others(server, held)
    if not others or not all(replica.is_steady for _name, replica in held):
        return []
    least = min(replica.holes for replica in own)
    return others if least > max(replica.holes for _name, replica in others) else []
