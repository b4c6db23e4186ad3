# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rosey.nats.plugins.module_utils._data import asset_reading, assets
from ansible_collections.rosey.nats.plugins.module_utils._server import http_reader, monitoring
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import (
    JSZ,
    STARTED,
    Reply,
    fake_monitoring,
    jsz_of,
    stream_detail,
)

CONSUMER = {
    "name": "reader",
    "created": STARTED,
    "ack_floor": {"consumer_seq": 3, "stream_seq": 4},
    "config": {"durable_name": "reader", "max_ack_pending": 1000, "mem_storage": True},
}
TEXTS = st.text(max_size=20) | st.sampled_from(['"stream_detail": [', "]}", "\\", '"', "\u2028é"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
ITEMS = st.dictionaries(st.sampled_from(["name", "config", "state"]), VALUES, max_size=3)


@given(
    st.lists(st.lists(ITEMS, max_size=4), max_size=3),
    st.dictionaries(st.sampled_from(["a", "b"]), TEXTS),
    st.integers(1, 200),
    st.sampled_from([None, 2]),
)
def test_a_list_is_split_off_wherever_the_pieces_end(
    lists: list[list[dict[str, Any]]], other: dict[str, Any], size: int, indent: int | None
) -> None:
    accounts = [{"name": "A", "stream_detail": items} for items in lists]
    text = json.dumps({**other, "account_details": accounts}, indent=indent).encode()
    taken: list[dict[str, Any]] = []
    split = monitoring.ListSplitter("stream_detail", taken.append)
    for start in range(0, len(text), size):
        split.feed(text[start : start + size])
    rest = json.loads(split.rest())
    assert taken == [item for items in lists for item in items]
    assert rest == {**other, "account_details": [{"name": "A", "stream_detail": []} for _items in lists]}


def test_everything_of_a_server_is_read() -> None:
    chat = {**stream_detail("CHAT", 5, max_age=7, allow_rollup_hdrs=True), "consumer_detail": [CONSUMER]}
    streams = [chat, stream_detail("RAM", 0, storage="memory")]
    accounts = (
        {"name": "$G", "id": "$G", "api": {"total": 3}, "stream_detail": streams},
        {"name": "tag", "id": "APP", "stream_detail": None},
    )
    with fake_monitoring({"/jsz": jsz_of(*accounts)}) as server:
        found = asset_reading.ask(monitoring.Monitor(server.url))
        queries = [query for _path, query in server.asked]
    limits = assets.Limits("limits", 7, 0, 0, 0, rollup=True, max_consumers=0)
    reader = assets.Consumer("reader", STARTED, 4, in_memory=True, max_ack_pending=1000)
    assert found.streams["$G", "CHAT"] == assets.Stream(
        "$G", "CHAT", STARTED, assets.FILE, 1, 5, 50, 1, 5, limits, (reader,)
    )
    assert found.streams["$G", "RAM"].storage == assets.MEMORY
    assert found.api_calls == {"$G": 3, "APP": 0}
    assert found.counts() == {"streams": 2, "consumers": 1, "messages": 5, "bytes": 50}
    # one request for each account, since limit and offset are of accounts
    assert [query.get("acc") for query in queries] == [None, "$G", "APP"]


def test_an_account_that_has_gone_meanwhile_has_no_streams() -> None:
    names = {**JSZ, "account_details": [{"name": "GONE"}]}
    others = jsz_of({"name": "A", "stream_detail": [stream_detail("S", 1)]}, {"name": "B"})
    with fake_monitoring({"/jsz": lambda query: others(query) if "acc" in query else names}) as server:
        assert asset_reading.ask(monitoring.Monitor(server.url)) == assets.of([], {})


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(b"{", status=200), "half an answer"),
        (Reply(b"no", status=500), "HTTP status 500"),
        (Reply(b'{"account_details": [{"name": "A", "stream_detail": [{"name": ', status=200), "half an answer"),
        (Reply(b'{"account_details": [{"name": "A", "stream_detail": [5]}]}'), "a stream of account A has no name"),
        (Reply(b'{"account_details": [{"name": "A", "stream_detail": [{}]}]}'), "a stream of account A has no name"),
        (Reply(b"{}", announced=500), "half an answer"),
    ],
)
def test_what_is_no_answer_is_named(reply: Reply, expected: str) -> None:
    names = {**JSZ, "account_details": [{"name": "A"}]}
    with (
        fake_monitoring({"/jsz": lambda query: reply if "acc" in query else names}) as server,
        pytest.raises(http_reader.MonitoringError, match=expected),
    ):
        asset_reading.ask(monitoring.Monitor(server.url))


def test_an_account_without_a_name_is_none_of_a_server() -> None:
    with (
        fake_monitoring({"/jsz": {**JSZ, "account_details": [{}]}}) as server,
        pytest.raises(http_reader.MonitoringError, match="an account has no name"),
    ):
        asset_reading.ask(monitoring.Monitor(server.url))
