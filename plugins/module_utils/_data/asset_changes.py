# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What went missing of JetStream's assets between two looks: compare() gives findings, a sentence each.

What a stream lets go by itself, by its limits or as its consumers acknowledge, is no loss. Nothing here looks anywhere.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

from ansible_collections.rosey.nats.plugins.module_utils._data.assets import (
    LIMITS,
    WORK_QUEUE,
    Assets,
    Consumer,
    Key,
    Stream,
)
from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Finding, Severity
from ansible_collections.rosey.nats.plugins.module_utils._host.python import StrEnum
from ansible_collections.rosey.nats.plugins.module_utils._server.answers import moment

_MOMENT = timedelta(seconds=1)
# What a server says of each stream as it takes it up again (server/jetstream.go, EnableJetStream).
_RESTORED = re.compile(r"Restored ([\d,]{1,26}) messages for stream '(.+) > ([^\s>]+)' in ")

# Says whether it was accepted that a stream, or one of its consumers, goes.
Accepted: t.TypeAlias = "Callable[[Stream, Consumer | None], bool]"


class Doing(StrEnum):
    """Whose doing it was, as a sentence goes on."""

    RESTART = "by the restart"
    RELOAD = "by the reload"
    OTHER = "by somebody else meanwhile"


# How bad it is that something has become less, by whose doing it was.
_SEVERITY = {Doing.RESTART: Severity.ERROR, Doing.RELOAD: Severity.ERROR, Doing.OTHER: Severity.WARNING}


@dataclass(frozen=True)
class Loss:
    """What is missing. stream: as it was. consumer: as it was, where that is what is missing. finding: in words."""

    stream: Stream
    consumer: Consumer | None
    finding: Finding


def nothing_accepted(_stream: Stream, _consumer: Consumer | None) -> bool:
    """Accept no loss."""
    return False


def losses(
    before: Assets,
    after: Assets,
    doing: Doing,
    *,
    restored: Mapping[Key, int] | None = None,
    accepted: Accepted = nothing_accepted,
) -> tuple[Loss, ...]:
    """Name what is missing of what was there before, in the order of the streams.

    Streams and consumers that are gone are errors, whoever did it, and so is all that a restart or a reload has lost.
    Messages and acknowledgements that went by somebody else's doing are a warning, and so is all that was accepted.
    restored: how many messages of each stream the server had as it took them up, before any client could do anything.
    """
    judged = []
    for stream in before.in_order():
        for loss in _of_stream(stream, before, after, doing, restored or {}):
            was_accepted = accepted(loss.stream, loss.consumer)
            severity = Severity.WARNING if was_accepted else loss.finding.severity
            judged.append(replace(loss, finding=replace(loss.finding, severity=severity)))
    return tuple(judged)


def restored_in(log: str) -> dict[Key, int]:
    """Read out of a server's log how many messages it took up again, by stream; the last start counts."""
    return {(found[2], found[3]): int(found[1].replace(",", "")) for found in _RESTORED.finditer(log)}


def _of_stream(was: Stream, before: Assets, after: Assets, doing: Doing, restored: Mapping[Key, int]) -> Iterator[Loss]:
    now = after.streams.get(was.key)
    if now is None:
        yield Loss(was, None, _gone(was, before, after, doing))
        return
    # What one server has of a replicated stream may be behind, and is for its group to bring up to date.
    is_alone = (was.replicas or 1) <= 1
    if is_alone and _has_fallen(was.last_seq, now.last_seq):
        found = f"{now.last_seq}, {_anew(was.created, now.created)} {doing}"
        yield Loss(was, None, Finding(f"stream {was}", f"last sequence {was.last_seq}", found, _REMEDY))
    elif is_alone and (
        missing := _missing(was, now, restored.get(was.key), doing, lambda: _was_asked_for(was, before, after, doing))
    ):
        found = f"{_messages(missing)} fewer, gone {doing}"
        yield Loss(was, None, _fewer(was, _holding(was), found, doing))
    elif doing is Doing.RESTART and _has_lost_blocks(was, now, restored):
        found = f"{now.blocks}, though the server counts the messages of those that are gone {doing}"
        yield Loss(was, None, _fewer(was, f"{was.blocks} files with its messages", found, doing))
    yield from _of_consumers(was, now, doing, is_alone=is_alone)


def _of_consumers(was: Stream, now: Stream, doing: Doing, *, is_alone: bool) -> Iterator[Loss]:
    present = {consumer.name: consumer for consumer in now.consumers}
    for consumer in was.consumers:
        # The server removes these by itself, and their clients make them again.
        if consumer.passing:
            continue
        what, expected = f"consumer {consumer.name} of stream {was}", _acknowledged(consumer)
        is_now = present.get(consumer.name)
        if is_now is None:
            yield Loss(was, consumer, Finding(what, expected, f"none, gone {doing}", _CONSUMER_REMEDY))
        elif is_alone and _has_fallen(consumer.ack_floor, is_now.ack_floor):
            found = f"{_acknowledged(is_now)}, {_anew(consumer.created, is_now.created)} {doing}"
            yield Loss(was, consumer, Finding(what, expected, found, _CONSUMER_REMEDY, _SEVERITY[doing]))


def _has_lost_blocks(was: Stream, now: Stream, restored: Mapping[Key, int]) -> bool:
    """Tell whether files are gone that have to be there, since the server took up as many messages as there were."""
    numbers = (was.messages, now.messages, was.last_seq, now.last_seq)
    if None in numbers or restored.get(was.key) != was.messages or was.first_seq != now.first_seq:
        return False
    messages, messages_now, last, last_now = t.cast("tuple[int, int, int, int]", numbers)
    # with every message that came since, so that none has gone
    return last_now - last == messages_now - messages and _has_fallen(was.blocks, now.blocks)


def _has_fallen(was: int | None, now: int | None) -> bool:
    return was is not None and now is not None and now < was


def _gone(was: Stream, before: Assets, after: Assets, doing: Doing) -> Finding:
    elsewhere = sorted(account for account, name in after.streams.keys() - before.streams.keys() if name == was.name)
    found = f"none there, but one in account {elsewhere[0]}" if elsewhere else "none"
    return Finding(f"stream {was}", _holding(was), f"{found}, gone {doing}", _REMEDY)


def _fewer(was: Stream, expected: str, found: str, doing: Doing) -> Finding:
    return Finding(f"stream {was}", expected, found, _REMEDY, _SEVERITY[doing])


def _missing(was: Stream, now: Stream, restored: int | None, doing: Doing, was_asked_for: Callable[[], bool]) -> int:
    """Give how many messages are missing that nothing explains."""
    if was.messages is None:
        return 0
    if doing is Doing.RESTART and restored is not None:
        # What became of them later is the clients' doing, and only age takes messages away while a stream is taken up.
        return 0 if _ages(was, now) else max(0, was.messages - restored)
    if now.messages is None or now.messages >= was.messages or _lets_go(was, now):
        return 0
    if doing is not Doing.OTHER and was_asked_for():
        return 0
    return was.messages - now.messages


def _ages(was: Stream, now: Stream) -> bool:
    """Tell whether a message of a stream may have become too old. The first one goes first."""
    limits = now.limits or was.limits
    if limits is None or limits.max_age <= 0:
        return limits is None
    first = moment(was.first_time) if was.first_time else None
    soon = datetime.now(timezone.utc) + _MOMENT
    return first is None or first + timedelta(microseconds=limits.max_age // 1000) <= soon


def _lets_go(was: Stream, now: Stream) -> bool:
    """Tell whether a stream may have let messages go by itself."""
    limits = now.limits or was.limits
    if limits is None or _ages(was, now):
        return True
    if limits.retention != LIMITS:
        # A work queue lets go of what a consumer has acknowledged; interest also goes with the consumers.
        return limits.retention != WORK_QUEUE or bool(was.consumers or now.consumers)
    has_grown = was.last_seq is None or now.last_seq is None or now.last_seq > was.last_seq
    is_bounded = limits.rollup or any(
        limit > 0 for limit in (limits.max_msgs, limits.max_bytes, limits.max_msgs_per_subject)
    )
    return has_grown and is_bounded


def _was_asked_for(was: Stream, before: Assets, after: Assets, doing: Doing) -> bool:
    """Tell whether a client may have removed messages, by a request of JetStream's API; a server counts from 0."""
    if after.api_calls is None:
        return True
    calls = after.api_calls.get(was.account, 0)
    if doing is Doing.RESTART:
        return calls > 0
    return before.api_calls is None or calls > before.api_calls.get(was.account, 0)


def _anew(created: str | None, now: str | None) -> str:
    """Say whether what has fallen was made anew. By itself a later time tells nothing.

    After an update the server gives the time of its own start from the next start on, and of a consumer a moment's
    difference (server/consumer.go, addConsumerWithAssignment).
    """
    made, made_now = (moment(text) if text else None for text in (created, now))
    is_later = made is not None and made_now is not None and made_now - made > _MOMENT
    return f"made anew at {now}" if is_later else "lost"


def _holding(stream: Stream) -> str:
    if stream.messages is None:
        return "with an unknown number of messages"
    return f"with {_messages(stream.messages)}"


def _messages(count: int) -> str:
    return f"{count} message{'' if count == 1 else 's'}"


def _acknowledged(consumer: Consumer) -> str:
    if consumer.ack_floor is None:
        return "as it was"
    return f"acknowledged up to {consumer.ack_floor}"


_REMEDY: t.Final = (
    "look in the log of the server and in its store for why; a copy of the store, where there is one, is in the stores "
    "of the releases"
)
_CONSUMER_REMEDY: t.Final = "look in the log of the server for why; its clients have to make it again"
