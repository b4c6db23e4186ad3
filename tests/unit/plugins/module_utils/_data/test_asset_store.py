# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read from a store's files: those a server would write, and everything else that can stand there."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.rosey.nats.plugins.module_utils._data import asset_store, assets

TIME = "2026-01-02T03:04:05.678901234Z"
CONFIG = {
    "Created": TIME,
    "name": "CHAT",
    "retention": "workqueue",
    "max_msgs": 5,
    "max_bytes": -1,
    "max_age": 7,
    "max_msgs_per_subject": 3,
    "storage": "file",
    "num_replicas": 3,
    "allow_rollup_hdrs": True,
}
LIMITS = assets.Limits("workqueue", 7, 5, -1, 3, rollup=True, max_consumers=0)
CHECKSUM = b"checksum"
BLOCK_SIZE = 600
NOTHING = (None, None, None)
# 2.10.7 wrote these: of a stream that never had a message, and of one whose only message was purged.
FRESH = bytes.fromhex("0b01000000000000000101000100000000010000000000000000662d293c72faee77")
PURGED = bytes.fromhex(
    "0b010000020001fafbd2fab5a9beec31000101000200 01fafbd2fab5a9beec3100010000000000000000 06e7e6ed1e3322c7"
)


def number(value: int) -> bytes:
    """Write as AppendUvarint of Go's encoding/binary does."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def all_numbers(values: Iterable[int]) -> bytes:
    return b"".join(map(number, values))


def deleted(count: int, version: int = 2, nodes: int = 1) -> bytes:
    words = {1: 64, 2: 32}.get(version, 32)
    node = bytes(8) + b"\xff" * words * 8 + bytes(2)
    return bytes([22, version]) + nodes.to_bytes(4, "little") + count.to_bytes(4, "little") + node * nodes


def block(name: int, first: int, last: int, size: int, holes: int = 0, *, holes_as: bytes | None = None) -> bytes:
    times = number(2**64 - 1)
    head = number(name) + number(size) + number(first) + times + number(last) + times + number(holes)
    return head + (deleted(holes) if holes and holes_as is None else holes_as or b"")


def index(
    numbers: tuple[int, int, int, int] = (95, 900, 11, 110),
    blocks: Iterable[bytes] = (block(1, 11, 60, 400, holes=5), block(2, 61, 110, 500)),
    *,
    subjects: Iterable[tuple[bytes, int]] = ((b"CHAT.a", 1), (b"CHAT.b" * 50, 94)),
    last: int = 2,
    head: bytes = b"\x0b\x01",
    tail: bytes = CHECKSUM + b"the hash",
) -> bytes:
    messages, size, first_seq, last_seq = numbers
    blocks, subjects = list(blocks), list(subjects)
    told = [number(len(each)) + each + all_numbers((count, 1, 2) if count > 1 else (1, 1)) for each, count in subjects]
    return b"".join(
        (
            head,
            all_numbers((messages, size, first_seq, 2**63, last_seq, 2**64 - 1, len(subjects))),
            *told,
            number(len(blocks)),
            *blocks,
            number(last),
            tail,
        )
    )


class Store:
    """A store with one stream."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.place = data / "$G" / "streams" / "CHAT"
        self.messages = self.place / "msgs"
        self.messages.mkdir(parents=True)

    def put(self, path: str, content: bytes, time: int = 1000) -> None:
        file = self.place / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        os.utime(file, (time, time))

    def fill(self, content: bytes = index()) -> None:
        self.put("meta.inf", json.dumps(CONFIG).encode())
        for name in ("1", "2"):
            self.put(f"msgs/{name}.blk", bytes(BLOCK_SIZE - len(CHECKSUM)) + CHECKSUM)
        self.put("msgs/index.db", content)

    def read(self) -> assets.Stream:
        (stream,) = asset_store.read(self.data).in_order()
        return stream

    def numbers(self) -> tuple[int | None, ...]:
        stream = self.read()
        return stream.messages, stream.first_seq, stream.last_seq


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "jetstream")
    made.fill()
    return made


@pytest.fixture(scope="module")
def scratch() -> Iterator[Store]:
    """A store for tests that hypothesis repeats."""
    with tempfile.TemporaryDirectory() as directory:
        made = Store(Path(directory))
        made.fill()
        yield made


WHOLE = assets.Stream("$G", "CHAT", TIME, "file", 3, 95, 900, 11, 110, LIMITS, blocks=2)
WITHOUT_NUMBERS = replace(WHOLE, messages=None, bytes=2 * BLOCK_SIZE, first_seq=None, last_seq=None)


def test_a_whole_index_tells_the_numbers(store: Store) -> None:
    assert store.read() == WHOLE
    assert asset_store.read(store.data).api_calls is None


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(
            index(blocks=(block(1, 11, 60, 400, 5, holes_as=deleted(5, 1)), block(2, 61, 110, 500))), 95, id="old map"
        ),
        pytest.param(
            index(blocks=(block(1, 11, 60, 400, 5, holes_as=deleted(5, 2, 3)), block(2, 61, 110, 500))), 95, id="nodes"
        ),
        pytest.param(index((0, 0, 111, 110), (block(1, 61, 110, 0, 50), block(2, 111, 110, 0))), 0, id="all deleted"),
        pytest.param(
            index((2**62, 900, 1, 2**62), (block(1, 1, 2**62 - 1, 400), block(2, 2**62, 2**62, 500))), 2**62, id="many"
        ),
        pytest.param(b"", None, id="empty"),
        pytest.param(index(head=b"\x0b\x02"), None, id="version"),
        pytest.param(index(head=b"\x16\x01"), None, id="magic"),
        pytest.param(index() + b"\0", None, id="longer"),
        pytest.param(index()[:-1], None, id="shorter"),
        pytest.param(index(tail=b"checksuX" + bytes(8)), None, id="checksum"),
        pytest.param(index(last=1), None, id="last block"),
        pytest.param(index((96, 900, 11, 110)), None, id="messages"),
        pytest.param(index((95, 901, 11, 110)), None, id="bytes"),
        pytest.param(index((95, 900, 12, 110)), None, id="first"),
        pytest.param(index((95, 900, 11, 111)), None, id="last"),
        pytest.param(index((0, 0, 0, 0), ()), None, id="no block"),
        pytest.param(index((50, 500, 61, 110), (block(2, 61, 110, 500),)), None, id="block too few"),
        pytest.param(index((95, 900, 11, 110), (block(1, 11, 60, 400, 5), block(3, 61, 110, 500))), None, id="name"),
        pytest.param(index((50, 500, 61, 110), (block(2, 61, 110, 500),) * 2), None, id="twice"),
        pytest.param(index((95, 901, 11, 110), (block(1, 11, 60, 1, 5), block(2, 61, 110, 900))), None, id="too large"),
        pytest.param(index((0, 0, 11, 110), (block(1, 61, 11, 0), block(2, 61, 110, 0, 50))), None, id="order"),
        pytest.param(
            index(blocks=(block(1, 11, 60, 400, 5, holes_as=deleted(4)), block(2, 61, 110, 500))), None, id="count"
        ),
        pytest.param(
            index(blocks=(block(1, 11, 60, 400, 5, holes_as=deleted(5, 3)), block(2, 61, 110, 500))), None, id="map"
        ),
        pytest.param(b"\x0b\x01" + b"\xff" * 100, None, id="endless number"),
        pytest.param(b"\x0b\x01" + bytes(6) + number(2**63) + bytes(50), None, id="endless subjects"),
    ],
)
def test_an_index_counts_where_it_is_whole(store: Store, content: bytes, expected: int | None) -> None:
    store.fill(content)
    found = store.read()
    assert found.messages == expected
    if expected is None:
        assert found == WITHOUT_NUMBERS


@pytest.mark.parametrize(
    "change",
    [
        lambda store: (store.messages / "index.db").unlink(),
        lambda store: (store.messages / "1.blk").unlink(),
        lambda store: (store.messages / "2.blk").unlink(),
        lambda store: os.truncate(store.messages / "1.blk", 399),
        lambda store: os.truncate(store.messages / "2.blk", 0),
        lambda store: store.put("msgs/3.blk", b""),
        lambda store: store.put("msgs/1.idx", b""),
        lambda store: os.utime(store.messages / "1.blk", (1000, 1001)),
        lambda store: (store.messages / "index.db").rename(store.messages / "index.db.123"),
    ],
)
def test_an_index_that_does_not_fit_its_blocks_does_not_count(store: Store, change: Callable[[Store], None]) -> None:
    change(store)
    assert store.numbers() == NOTHING
    assert store.read().bytes == sum(path.stat().st_size for path in store.messages.glob("*.blk"))


@pytest.mark.parametrize("name", ["index.db.123", "1.key", "1.blk.tmp", "2.new"])
def test_what_else_stands_beside_blocks_changes_nothing(store: Store, name: str) -> None:
    store.put(f"msgs/{name}", b"x" * 10_000, time=2000)
    assert store.read() == WHOLE


def test_a_compressed_block_may_be_smaller_than_its_messages(store: Store) -> None:
    store.put("msgs/1.blk", b"cmp" + bytes(50))
    assert store.read() == WHOLE


@pytest.mark.parametrize(("content", "numbers"), [(FRESH, (0, 0, 0)), (PURGED, (0, 2, 1))])
def test_zero_is_told_by_an_index_alone(tmp_path: Path, content: bytes, numbers: tuple[int, int, int]) -> None:
    store = Store(tmp_path)
    store.put("msgs/1.blk", b"")
    assert store.numbers() == NOTHING
    store.put("msgs/index.db", content)
    assert store.numbers() == numbers
    store.put("msgs/1.blk", bytes(22) + CHECKSUM)
    assert store.numbers() == NOTHING


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe{",
        b"[" * 100_000,
        b"[]",
        b"null",
        json.dumps({**CONFIG, "max_age": "7"}).encode(),
        json.dumps({**CONFIG, "max_age": True}).encode(),
        json.dumps({**CONFIG, "max_age": 2**63}).encode(),
        json.dumps({**CONFIG, "num_replicas": 1.0}).encode(),
        json.dumps({**CONFIG, "storage": 22}).encode(),
        json.dumps({**CONFIG, "retention": "forever"}).encode(),
        json.dumps({**CONFIG, "allow_rollup_hdrs": 1}).encode(),
        json.dumps({**CONFIG, "Created": None}).encode(),
    ],
)
def test_a_configuration_that_no_server_writes_is_unknown(store: Store, content: bytes) -> None:
    store.put("meta.inf", content)
    assert store.read() == replace(WHOLE, created=None, storage=None, replicas=None, limits=None)


def test_what_a_configuration_leaves_out_is_zero(store: Store) -> None:
    store.put("meta.inf", b'{"storage":"file","retention":"limits"}')
    assert store.read() == replace(
        WHOLE, created=None, replicas=0, limits=assets.Limits("limits", 0, 0, 0, 0, max_consumers=0)
    )


def state(*values: int, version: int = 2) -> bytes:
    return bytes([22, version]) + all_numbers(values)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (state(0, 0, 0, 0, 0, 0), 0),
        (state(3, 40, 9, 90, 0, 0), 40),
        (state(3, 40, 9, 90, 2, 1000, 5, 6, 7, 8, 9, 10, 1, 4, 2), 40),
        (state(3, 40, 9, 90, 2, 1000, 5, 6, 7, 8, 1, 4, 2, version=1), 40),
        (state(3, 40, 6, 10, 0, 0, version=1), 40),
        (state(3, 40, 6, 10, 0, 0), None),
        (state(3, 40, 9, 90, 0, 0, version=3), None),
        (state(3, 40, 9, 90, 0), None),
        (state(3, 40, 9, 90, 0, 0, 0), None),
        (state(3, 40, 9, 90, 2, 1000, 5, 6, 7, 8, 9, 0), None),
        (state(3, 2**63, 9, 2**63 + 1, 0, 0), None),
        (state(3, 40, 9, 90, 2**64 - 1), None),
        (b"\x17\x02" + bytes(6), None),
        (b"\x16", None),
        (b"", None),
        (None, None),
    ],
)
def test_an_ack_floor_is_told_where_the_state_decodes(
    store: Store, content: bytes | None, expected: int | None
) -> None:
    store.put("obs/reader/meta.inf", b'{"Created":"' + TIME.encode() + b'","durable_name":"reader"}')
    if content is not None:
        store.put("obs/reader/o.dat", content)
    assert store.read().consumers == (assets.Consumer("reader", TIME, expected),)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"durable_name": "c", "Created": TIME}, assets.Consumer("c", TIME)),
        ({"durable_name": "c", "inactive_threshold": 0}, assets.Consumer("c")),
        ({"durable_name": "c", "inactive_threshold": 1}, assets.Consumer("c", passing=True)),
        ({"Created": "0001-01-01T00:00:00Z"}, assets.Consumer("c", passing=True)),
        ({"durable_name": "c", "mem_storage": True}, assets.Consumer("c", in_memory=True)),
        ({"durable_name": 1, "Created": TIME}, assets.Consumer("c")),
        (None, assets.Consumer("c")),
    ],
)
def test_a_consumer_is_its_directory(store: Store, config: dict[str, Any] | None, expected: assets.Consumer) -> None:
    (store.place / "obs" / "c").mkdir(parents=True)
    (store.place / "obs" / ".gone").mkdir()
    store.put("obs/file", b"")
    if config is not None:
        store.put("obs/c/meta.inf", json.dumps(config).encode())
    assert store.read().consumers == (expected,)


def test_what_is_encrypted_tells_names_and_bytes(store: Store) -> None:
    store.put("meta.key", b"x")
    store.put("obs/c/meta.inf", b'{"Created":"x"}')
    store.put("obs/c/o.dat", state(0, 0, 0, 0, 0, 0))
    assert store.read() == assets.Stream(
        "$G", "CHAT", bytes=2 * BLOCK_SIZE, consumers=(assets.Consumer("c"),), encrypted=True, blocks=2
    )


def test_streams_are_directories_of_accounts(tmp_path: Path) -> None:
    for name in ("$G/streams/B", "$G/streams/A", "$G/streams/.C", "$G/other/D", "X/streams/A", "$SYS/_js_/_meta_"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("file", "Y", "$G/streams/file", "$G/file"):
        (tmp_path / name).touch()
    (tmp_path / "nowhere").symlink_to("missing")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "Z").mkdir()
    (tmp_path / "Z" / "streams").touch()
    for name in ("missing", "circle"):
        (tmp_path / "X" / "streams" / name).symlink_to(name)
    assert list(asset_store.read(tmp_path).in_order()) == [
        assets.Stream("$G", "A"),
        assets.Stream("$G", "B"),
        assets.Stream("X", "A"),
        assets.Stream("X", "circle"),
        assets.Stream("X", "missing"),
    ]


def test_a_stream_on_another_disk_is_read(store: Store, tmp_path: Path) -> None:
    store.place.rename(tmp_path / "elsewhere")
    assert asset_store.read(store.data).streams == {}
    store.place.symlink_to(tmp_path / "elsewhere")
    assert store.read() == WHOLE


@pytest.mark.parametrize("name", ["meta.inf", "msgs", "msgs/index.db", "msgs/1.blk", "obs", "obs/c/meta.inf"])
def test_what_is_no_file_is_not_waited_for(store: Store, name: str) -> None:
    path = store.place / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        path.rename(store.data.parent / "away")
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    found = store.read()
    assert found.key == ("$G", "CHAT")
    assert "msgs" not in name or found.messages is None


def test_missing_data_has_no_streams_and_a_file_is_none(tmp_path: Path) -> None:
    assert asset_store.read(tmp_path / "missing").streams == {}
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        asset_store.read(tmp_path / "file")


def test_reading_writes_nothing(store: Store) -> None:
    def picture() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in store.data.rglob("*")}

    before = picture()
    store.read()
    assert picture() == before


@given(st.binary(max_size=400))
@example(index())
@settings(max_examples=300)
def test_no_bytes_as_any_file_raise(scratch: Store, content: bytes) -> None:
    for name in ("msgs/index.db", "meta.inf", "obs/c/meta.inf", "obs/c/o.dat"):
        scratch.put(name, content)
    found = scratch.read()
    expected = (95, 11, 110) if content == index() else NOTHING
    assert (found.messages, found.first_seq, found.last_seq) == expected


@given(st.integers(0, len(index()) - 1), st.binary(max_size=3), st.integers(0, 3))
@settings(max_examples=500)
def test_a_changed_index_is_unknown_or_tells_the_same(scratch: Store, place: int, content: bytes, cut: int) -> None:
    scratch.fill(index()[:place] + content + index()[place + cut :])
    assert scratch.numbers() in (NOTHING, (95, 11, 110))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists), st.sampled_from(sorted(CONFIG)))
def test_no_configuration_raises(scratch: Store, value: Any, name: str) -> None:
    scratch.put("meta.inf", json.dumps({**CONFIG, name: value}).encode())
    scratch.put("obs/c/meta.inf", json.dumps({"durable_name": value, "inactive_threshold": value}).encode())
    found = scratch.read()
    assert found.limits is None or found.storage in (assets.FILE, assets.MEMORY)
