# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rosey.nats.plugins.module_utils._data import asset_changes, asset_gate, assets
from ansible_collections.rosey.nats.plugins.module_utils._data.asset_changes import Doing
from ansible_collections.rosey.nats.plugins.module_utils._data.asset_record import Checkpoint
from ansible_collections.rosey.nats.plugins.module_utils._data.assets import Assets, Consumer, Limits, Stream
from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Severity

BEFORE, LATER = "2026-01-01T00:00:00.5Z", "2026-01-02T00:00:00.5Z"
READER = Consumer("reader", BEFORE, 300)
CHAT = Stream("$G", "CHAT", BEFORE, assets.FILE, 1, 400, 1000, 1, 400, Limits(), (READER,))
KEY = CHAT.key


def of(*streams: Stream, calls: int = 0) -> Assets:
    return assets.of(streams, {"$G": calls})


def chat(**changes: Any) -> Stream:
    return replace(CHAT, **changes)


def limited(**limits: Any) -> Stream:
    return chat(limits=Limits(**limits))


def told(before: Assets, after: Assets, doing: Doing, **more: Any) -> list[tuple[str, str]]:
    return [
        (str(loss.finding), str(loss.finding.severity)) for loss in asset_changes.losses(before, after, doing, **more)
    ]


YOUNG = replace(
    limited(max_age=365 * 24 * 3600 * 1_000_000_000), first_time=datetime.now(UTC).isoformat().replace("+00:00", "Z")
)
# doing, before, after, how many messages the log says were taken up, what is found
TABLE = [
    (Doing.RESTART, CHAT, CHAT, None, ""),
    (Doing.RESTART, CHAT, None, None, "stream CHAT: expected with 400 messages, found none, gone by the restart"),
    (Doing.RELOAD, CHAT, None, None, "found none, gone by the reload"),
    (Doing.OTHER, CHAT, None, None, "found none, gone by somebody else meanwhile"),
    (Doing.RESTART, CHAT, chat(account="APP"), None, "found none there, but one in account APP, gone by the restart"),
    (Doing.RESTART, CHAT, chat(last_seq=399), None, "last sequence 400, found 399, lost by the restart"),
    (Doing.OTHER, CHAT, chat(last_seq=2, created=LATER), None, f"found 2, made anew at {LATER} by somebody else"),
    # a later time of creation alone is what an update and a restart leave
    (Doing.RESTART, CHAT, chat(created=LATER), None, ""),
    (Doing.RESTART, CHAT, chat(messages=200), None, "with 400 messages, found 200 messages fewer, gone by the restart"),
    (Doing.RELOAD, CHAT, chat(messages=399), None, "found 1 message fewer, gone by the reload"),
    (Doing.RESTART, CHAT, chat(messages=401, last_seq=401), None, ""),
    (Doing.RESTART, chat(messages=None), chat(messages=1), None, ""),
    (Doing.RESTART, CHAT, chat(messages=None), None, ""),
    # what the log says of the start counts, whatever clients did afterwards
    (Doing.RESTART, CHAT, chat(messages=0, first_seq=401), 400, ""),
    (Doing.RESTART, CHAT, chat(messages=400), 200, "found 200 messages fewer"),
    (Doing.RESTART, limited(max_age=1), limited(max_age=1), 200, ""),
    (Doing.RESTART, limited(retention="workqueue"), limited(retention="workqueue"), 200, "200 messages fewer"),
    # nothing can have aged where the first message is younger than that
    (Doing.RESTART, YOUNG, YOUNG, 200, "200 messages fewer"),
    (Doing.RELOAD, YOUNG, replace(YOUNG, messages=200), None, "200 messages fewer"),
    (Doing.RESTART, replace(YOUNG, first_time="2020-01-01T00:00:00Z"), YOUNG, 200, ""),
    (Doing.RELOAD, CHAT, chat(messages=400), 200, ""),
    # what a stream lets go by itself
    (Doing.RESTART, limited(max_age=1), replace(limited(max_age=1), messages=0, first_seq=401), None, ""),
    (Doing.RESTART, limited(max_msgs=400), replace(limited(max_msgs=400), messages=399, last_seq=401), None, ""),
    (Doing.RESTART, limited(max_msgs=400), replace(limited(max_msgs=400), messages=399), None, "1 message fewer"),
    (Doing.RESTART, limited(max_bytes=9), replace(limited(max_bytes=9), messages=399, last_seq=401), None, ""),
    (
        Doing.RESTART,
        limited(max_msgs_per_subject=1),
        replace(limited(max_msgs_per_subject=1), messages=399, last_seq=401),
        None,
        "",
    ),
    (Doing.RESTART, limited(rollup=True), replace(limited(rollup=True), messages=1, last_seq=401), None, ""),
    (Doing.RESTART, CHAT, chat(messages=399, last_seq=401), None, "1 message fewer"),
    (Doing.RESTART, limited(retention="interest"), replace(limited(retention="interest"), messages=0), None, ""),
    (Doing.RESTART, limited(retention="workqueue"), replace(limited(retention="workqueue"), messages=9), None, ""),
    (
        Doing.RESTART,
        replace(limited(retention="workqueue"), consumers=()),
        replace(limited(retention="workqueue"), consumers=(), messages=9),
        None,
        "391 messages fewer",
    ),
    (Doing.RESTART, chat(limits=None), chat(limits=None, messages=9), None, ""),
    # consumers
    (Doing.RESTART, CHAT, chat(consumers=()), None, "consumer reader of stream CHAT: expected acknowledged up to 300"),
    (Doing.OTHER, CHAT, chat(consumers=()), None, "found none, gone by somebody else meanwhile"),
    (Doing.RESTART, CHAT, chat(consumers=(replace(READER, ack_floor=299),)), None, "up to 299, lost by the restart"),
    (Doing.RESTART, CHAT, chat(consumers=(replace(READER, ack_floor=301, created=LATER),)), None, ""),
    (Doing.RESTART, CHAT, chat(consumers=(replace(READER, ack_floor=None),)), None, ""),
    (Doing.RESTART, chat(consumers=(replace(READER, passing=True),)), chat(consumers=()), None, ""),
    # of a replicated stream one server may be behind
    (Doing.RESTART, chat(replicas=3), chat(replicas=3, messages=9, last_seq=9), 9, ""),
    (Doing.RESTART, chat(replicas=3), None, None, "gone by the restart"),
    (Doing.RESTART, chat(replicas=3), chat(replicas=3, consumers=()), None, "consumer reader"),
]


@pytest.mark.parametrize(("doing", "before", "after", "restored", "expected"), TABLE)
def test_what_is_missing_is_named(
    doing: Doing, before: Stream, after: Stream | None, restored: int | None, expected: str
) -> None:
    taken_up = None if restored is None else {KEY: restored}
    found = told(of(before), of(*([after] if after else [])), doing, restored=taken_up)
    assert len(found) == bool(expected)
    for said, severity in found:
        assert expected in said
        assert severity == Severity.ERROR


def test_messages_that_somebody_else_removed_are_a_warning() -> None:
    ((said, severity),) = told(of(CHAT), of(chat(messages=100)), Doing.OTHER)
    assert "300 messages fewer, gone by somebody else meanwhile" in said
    assert severity == Severity.WARNING


@pytest.mark.parametrize(
    ("doing", "calls_before", "calls_after", "expected"),
    [
        (Doing.RESTART, 5, 0, 1),
        (Doing.RESTART, 5, 1, 0),  # a server counts from its start
        (Doing.RELOAD, 5, 5, 1),
        (Doing.RELOAD, 5, 6, 0),
        (Doing.OTHER, 5, 6, 1),
    ],
)
def test_a_client_may_have_purged_where_one_has_asked_for_anything(
    doing: Doing, calls_before: int, calls_after: int, expected: int
) -> None:
    found = told(of(CHAT, calls=calls_before), of(chat(messages=0), calls=calls_after), doing)
    assert len(found) == expected


def test_what_was_accepted_is_a_warning() -> None:
    found = told(of(CHAT), of(), Doing.RESTART, accepted=lambda stream, consumer: stream.name == "CHAT")
    assert [severity for _said, severity in found] == [Severity.WARNING]


def test_the_log_says_what_was_taken_up() -> None:
    log = """[7] 2026/11/29 10:09:19.874852 [INF]   Restored 1 messages for stream '$G > CHAT' in 0s
[8] 2026/11/29 10:09:20.874852 [INF]   Restored 1,234,567 messages for stream '$G > CHAT' in 1.5s
[8] 2026/11/29 10:09:20.874852 [INF]   Restored 0 messages for stream 'A > B > KV_x' in 0s
"""
    assert asset_changes.restored_in(log) == {("$G", "CHAT"): 1_234_567, ("A > B", "KV_x"): 0}


STREAMS = st.builds(
    Stream,
    account=st.sampled_from(["$G", "APP"]),
    name=st.sampled_from(["A", "B"]),
    storage=st.sampled_from([None, assets.FILE, assets.MEMORY]),
    replicas=st.sampled_from([None, 1, 3]),
    messages=st.none() | st.integers(0, 9),
    last_seq=st.none() | st.integers(0, 9),
    limits=st.none() | st.builds(Limits, retention=st.sampled_from(["limits", "interest", "workqueue"])),
    consumers=st.lists(
        st.builds(Consumer, name=st.sampled_from("xy"), ack_floor=st.none() | st.integers(0, 9)),
        unique_by=lambda consumer: consumer.name,
    ).map(tuple),
)
ASSETS = st.lists(STREAMS).map(assets.of)


@given(ASSETS, st.sampled_from(list(Doing)))
def test_nothing_is_missing_of_what_stays(found: Assets, doing: Doing) -> None:
    assert asset_changes.losses(found, found, doing) == ()


@given(ASSETS, ASSETS, st.sampled_from(list(Doing)))
def test_every_stream_that_is_gone_is_named(before: Assets, after: Assets, doing: Doing) -> None:
    named = {loss.stream.key for loss in asset_changes.losses(before, after, doing) if loss.consumer is None}
    assert before.streams.keys() - after.streams.keys() <= named <= before.streams.keys()


@given(ASSETS)
def test_a_table_is_read_back(found: Assets) -> None:
    assert assets.from_table(assets.as_table(found)) == found


# The gate

MEMORY = Stream("$G", "CACHE", BEFORE, assets.MEMORY, 1, 3, 30, 1, 3, Limits())


@pytest.mark.parametrize(
    ("seen", "now", "expected"),
    [
        (Checkpoint(), of(), []),
        (Checkpoint(observed=of(CHAT)), of(), ["by somebody else"]),
        (Checkpoint(observed=of(CHAT)), of(CHAT), []),
        # gone before the stop, and told once
        (Checkpoint(observed=of(CHAT), before=of(), doing=Doing.RESTART, after=of()), of(), ["by somebody else"]),
        (Checkpoint(observed=of(CHAT), before=of(CHAT), doing=Doing.RESTART, after=of()), of(), ["by the restart"]),
        (Checkpoint(observed=of(CHAT), before=of(CHAT), doing=Doing.RESTART, after=of(CHAT)), of(), ["by somebody"]),
        # without a look right after the start, the gate's own is that
        (Checkpoint(observed=of(CHAT), before=of(CHAT), doing=Doing.RESTART), of(), ["by the restart"]),
        (Checkpoint(observed=of(CHAT), before=of(CHAT), doing=Doing.RELOAD), of(), ["by the reload"]),
        (Checkpoint(before=of(CHAT), doing=Doing.RESTART, after=of(CHAT)), of(CHAT), []),
        # what came in between is missed as well
        (
            Checkpoint(observed=of(), before=of(CHAT), doing=Doing.RESTART, after=of(CHAT, MEMORY)),
            of(CHAT),
            ["stream CACHE"],
        ),
    ],
)
def test_the_gate_names_each_loss_once(seen: Checkpoint, now: Assets, expected: list[str]) -> None:
    found = [str(loss.finding) for loss in asset_gate.losses(seen, now, asset_changes.nothing_accepted)]
    assert len(found) == len(expected)
    assert all(said in each for said, each in zip(expected, found, strict=True))


@pytest.mark.parametrize(
    ("proven", "now", "is_given_up", "expected"),
    [
        (None, of(CHAT), False, {"CHAT"}),
        (of(CHAT), of(), False, {"CHAT"}),
        (of(CHAT), of(), True, set()),
        (of(MEMORY), of(), False, set()),
        (of(MEMORY), of(CHAT), False, {"CHAT"}),
    ],
)
def test_what_is_gone_stays_known_until_that_is_accepted(
    proven: Assets | None, now: Assets, expected: set[str], *, is_given_up: bool
) -> None:
    known = asset_gate.known_from_now_on(proven, now, lambda _stream, _consumer: is_given_up)
    assert {stream.name for stream in known.in_order()} == expected
