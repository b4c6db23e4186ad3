# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the store of a stopped nats-server holds, read from its files alone; nothing is written.

A stream's numbers stand in msgs/index.db, which the server writes when it stops and about once a minute while it runs
(server/filestore.go, writeFullState). What came later stands in the blocks alone. So an index counts where it is whole
and no block shows a later change; otherwise the numbers are not known.

A message that ran out of time leaves no trace in the blocks (server/filestore.go, removeMsg). After a kill an index may
still count it, as the server itself does when it starts, before it lets the message go again.
"""

from __future__ import annotations

import json
import os
import stat
import typing as t
from collections.abc import Callable, Mapping
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._data import assets

Read = t.TypeVar("Read")

_HEADER = 2
# fullStateMagic and fullStateVersion of server/filestore.go
_INDEX_HEADER = bytes((11, 1))
# checkConsumerHeader of server/filestore.go
_CONSUMER_MAGIC, _CONSUMER_VERSIONS = 22, (1, 2)
# server/avl/seqset.go: two numbers of 32 bits follow the header; how many words of 64 bits a node has, by version
_DELETED_MAGIC, _DELETED_WORDS, _DELETED_NUMBERS = 22, {1: 64, 2: 32}, 8
_WORD, _HEIGHT = 8, 2
# checksumSize of server/filestore.go, and highwayhash.Size64
_CHECKSUM = 8
# CompressionInfo.MarshalMetadata of server/filestore.go
_COMPRESSED = b"cmp"
_BLOCK = ".blk"
# Far more than an index of millions of subjects.
_LARGEST = 1 << 29
_NUMBERS_OF_LIMITS = ("max_age", "max_msgs", "max_bytes", "max_msgs_per_subject")
_RETENTIONS = (assets.LIMITS, assets.INTEREST, assets.WORK_QUEUE)
_ZERO_TIME = "0001-01-01T00:00:00Z"
_SIGN = 1 << 63
_SEVEN_BITS, _LAST_SHIFT = 0x7F, 63


class _Block(t.NamedTuple):
    """A file with messages, as the index describes it."""

    name: str
    bytes: int
    first_seq: int
    last_seq: int
    messages: int


class _Cursor:
    """A place in what Go's encoding/binary wrote; IndexError or ValueError where that is cut or no number."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.position = _HEADER

    def number(self) -> int:
        value = shift = 0
        while True:
            byte = self.content[self.position]
            self.position += 1
            value |= (byte & _SEVEN_BITS) << shift
            if byte <= _SEVEN_BITS:
                return _checked(value, value < 2 * _SIGN)
            _checked(byte, shift < _LAST_SHIFT)
            shift += 7

    def pass_numbers(self, count: int) -> None:
        """Go past numbers; those with a sign, such as times, are as long as those without."""
        for _each in range(count):
            self.number()

    def take(self, size: int) -> bytes:
        start, self.position = self.position, self.position + size
        return self.content[start : self.position]


def read(data: Path) -> assets.Assets:
    """Read the streams and consumers in a stopped server's data (`<store_dir>/jetstream`).

    Each directory `<account>/streams/<name>` is a stream, unless its name begins with a dot: that is half deleted
    (server/jetstream.go, EnableJetStream). A consumer with mem_storage has no directory (server/filestore.go,
    ConsumerStore), nor has a stream in memory. Where the index doesn't count, a stream's bytes are the size of its
    blocks: more than the server tells where messages were deleted, less where they are compressed.

    All is told as the server tells it from its next start on. One that was killed may have known a later ack_floor. A
    consumer was created a moment earlier, since the time is taken once more for its file (server/filestore.go,
    ConsumerStore); what was changed since the last start has that start's time as created (UpdateConfig there). A
    stream that never had a message begins at 0, as its maker says; the next start says 1 (recoverFullState there).

    OSError where the data is there but can't be listed.
    """
    return assets.of(
        _stream(account, name, f"{data}/{account}/streams/{name}")
        for account in (_directories(f"{data}") if data.exists() else [])
        for name in _known(_directories, f"{data}/{account}/streams") or []
    )


def _known(read_it: Callable[..., Read], *arguments: t.Any) -> Read | None:
    """Give what can be read; None where it is not there, not readable or not what the server writes."""
    try:
        return read_it(*arguments)
    # json follows whatever is nested until Python's stack ends.
    except (OSError, ValueError, IndexError, RecursionError):
        return None


def _checked(value: Read, is_good: bool) -> Read:
    if not is_good:
        raise ValueError
    return value


def _directories(path: str) -> list[str]:
    with os.scandir(path) as entries:
        # A link that leads nowhere counts, too: a disk may not be mounted.
        return [each.name for each in entries if each.name[0] != "." and (each.is_symlink() or each.is_dir())]


def _content(path: str, offset: int = 0, size: int = -1) -> tuple[bytes, int]:
    """Give the content of a file, or a part of it, and when it was written."""
    # What is no file, such as a pipe, must not make the reader wait.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        _checked(status, stat.S_ISREG(status.st_mode))
        _checked(status, size >= 0 or status.st_size - offset <= _LARGEST)
        file.seek(offset)
        return file.read(size) or b"", status.st_mtime_ns


def _stream(account: str, name: str, directory: str) -> assets.Stream:
    blocks = _known(_blocks, f"{directory}/msgs")
    known_fields: dict[str, t.Any] = {} if blocks is None else {"bytes": _size(blocks), "blocks": len(blocks)}
    consumers = sorted(_known(_directories, f"{directory}/obs") or [])
    # JetStreamMetaFileKey of server/filestore.go stands beside what is encrypted.
    if os.path.lexists(f"{directory}/meta.key"):
        names = tuple(assets.Consumer(each) for each in consumers)
        return assets.Stream(account, name, consumers=names, encrypted=True, **known_fields)
    known_fields |= _known(_configuration, f"{directory}/meta.inf") or {}
    known_fields |= _known(_numbers, f"{directory}/msgs", blocks or {}) or {}
    return assets.Stream(
        account, name, consumers=tuple(_consumer(each, f"{directory}/obs/{each}") for each in consumers), **known_fields
    )


def _size(blocks: Mapping[str, os.stat_result]) -> int:
    return sum(each.st_size for each in blocks.values())


def _fields(path: str) -> dict[str, t.Any]:
    content = json.loads(_content(path)[0])
    return _checked(content, isinstance(content, dict))


def _field(fields: Mapping[str, t.Any], name: str, zero: Read) -> Read:
    """Give a field; like Go's encoding/json, take one that is left out for zero and refuse another type."""
    value: Read = fields.get(name, zero)
    return _checked(value, type(value) is type(zero) and (not isinstance(value, int) or -_SIGN <= value < _SIGN))


def _created(fields: Mapping[str, t.Any]) -> str | None:
    created = _field(fields, "Created", "")
    # What a server writes of a consumer without durable_name when it starts (server/filestore.go, updateConfig).
    return None if created in ("", _ZERO_TIME) else created


def _configuration(path: str) -> dict[str, t.Any]:
    """Read a stream's meta.inf (server/filestore.go, FileStreamInfo)."""
    fields = _fields(path)
    storage, retention = _field(fields, "storage", ""), _field(fields, "retention", "")
    return {
        "created": _created(fields),
        "storage": _checked(storage, storage in (assets.FILE, assets.MEMORY)),
        "replicas": _field(fields, "num_replicas", 0),
        "limits": assets.Limits(
            retention=_checked(retention, retention in _RETENTIONS),
            **{name: _field(fields, name, 0) for name in _NUMBERS_OF_LIMITS},
            rollup=_field(fields, "allow_rollup_hdrs", False),
            max_consumers=_field(fields, "max_consumers", 0),
            duplicate_window=_field(fields, "duplicate_window", 0),
            first_seq=_field(fields, "first_seq", 0),
            compressed=assets.is_compressed(fields),
        ),
    }


def _blocks(messages: str) -> dict[str, os.stat_result]:
    with os.scandir(messages) as entries:
        status_of = {entry.name: entry.stat() for entry in entries if entry.name.endswith(_BLOCK)}
    return _checked(status_of, all(stat.S_ISREG(each.st_mode) for each in status_of.values()))


def _numbers(messages: str, files: Mapping[str, os.stat_result]) -> dict[str, int]:
    """Read the index and compare it with the blocks, as recoverFullState of server/filestore.go does, and by time.

    Its own hash is left alone, since Python has no HighwayHash; all that is told of the index stands twice in it.
    """
    content, written = _content(f"{messages}/index.db")
    _checked(content, content[:_HEADER] == _INDEX_HEADER)
    cursor = _Cursor(content)
    total, size, first = cursor.number(), cursor.number(), cursor.number()
    cursor.pass_numbers(1)
    last = cursor.number()
    cursor.pass_numbers(1)
    for _subject in range(cursor.number()):
        cursor.take(cursor.number())
        # How many messages it has and their first block; their last one only where there are more messages.
        cursor.pass_numbers(2 if cursor.number() > 1 else 1)
    blocks = [_block(cursor) for _each in range(cursor.number())]
    name, checksum = f"{cursor.number()}{_BLOCK}", cursor.take(_CHECKSUM)
    _checked(cursor, cursor.position + _CHECKSUM == len(content))

    kept = [each for each in blocks[:-1] if each.messages] + blocks[-1:]
    first_of_blocks = min(each.first_seq for each in kept)
    # A stream that never had a message begins at 0, its block at 1.
    never_used = (total, size, first, last, first_of_blocks) == (0, 0, 0, 0, 1)
    _checked(first, never_used or first == first_of_blocks)
    _checked(total, total == sum(each.messages for each in kept))
    _checked(size, size == sum(each.bytes for each in kept))
    _checked(last, last == max(each.last_seq for each in kept))

    _checked(blocks, len(blocks) == len(files) and {each.name for each in blocks} == files.keys())
    _checked(name, name == blocks[-1].name and checksum == _last_checksum(f"{messages}/{name}", files[name].st_size))
    for block in blocks:
        file = files[block.name]
        # 2.9 keeps what it deletes in these alone and never touches the index; 2.10 removes them (cleanupOldMeta).
        _checked(block, not os.path.lexists(f"{messages}/{block.name.removesuffix(_BLOCK)}.idx"))
        _checked(file, file.st_mtime_ns <= written)
        _checked(file, file.st_size >= block.bytes or _is_compressed(f"{messages}/{block.name}"))
    with_messages = sum(each.messages > 0 for each in blocks)
    return {"messages": total, "bytes": size, "first_seq": first, "last_seq": last, "blocks": with_messages}


def _block(cursor: _Cursor) -> _Block:
    name, size, first = f"{cursor.number()}{_BLOCK}", cursor.number(), cursor.number()
    cursor.pass_numbers(1)
    last = cursor.number()
    cursor.pass_numbers(1)
    deleted = cursor.number()
    if deleted:
        magic, version = cursor.take(_HEADER)
        numbers = cursor.take(_DELETED_NUMBERS)
        nodes, members = (int.from_bytes(half, "little") for half in (numbers[:4], numbers[4:]))
        _checked(members, magic == _DELETED_MAGIC and version in _DELETED_WORDS and members == deleted)
        # A node has its first sequence in one word, those that are set in the others, and its height.
        cursor.take(nodes * ((1 + _DELETED_WORDS[version]) * _WORD + _HEIGHT))
    return _Block(name, size, first, last, _checked(last + 1 - first - deleted, first + deleted <= last + 1))


def _last_checksum(path: str, size: int) -> bytes:
    """Give what ensureLastChecksumLoaded of server/filestore.go does: the end of a block, zeros where it is empty."""
    return _content(path, size - _CHECKSUM)[0] if size >= _CHECKSUM else bytes(_CHECKSUM)


def _is_compressed(path: str) -> bool:
    return _content(path, size=len(_COMPRESSED))[0] == _COMPRESSED


def _consumer(name: str, directory: str) -> assets.Consumer:
    ack_floor = _known(_ack_floor, f"{directory}/o.dat")
    return assets.Consumer(name, ack_floor=ack_floor, **_known(_consumer_configuration, f"{directory}/meta.inf") or {})


def _consumer_configuration(path: str) -> dict[str, t.Any]:
    """Read a consumer's meta.inf (server/filestore.go, FileConsumerInfo)."""
    fields = _fields(path)
    return {
        "created": _created(fields),
        "passing": _field(fields, "inactive_threshold", 0) > 0 or not _field(fields, "durable_name", ""),
        "in_memory": _field(fields, "mem_storage", False),
        "max_ack_pending": _field(fields, "max_ack_pending", 0),
        "max_batch": _field(fields, "max_batch", 0),
    }


def _ack_floor(path: str) -> int:
    """Read a consumer's o.dat (server/store.go, encodeConsumerState; server/filestore.go, decodeConsumerState)."""
    content = _content(path)[0]
    magic, version = content[:_HEADER]
    _checked(version, magic == _CONSUMER_MAGIC and version in _CONSUMER_VERSIONS)
    cursor = _Cursor(content)
    cursor.pass_numbers(1)
    floor = cursor.number()
    cursor.pass_numbers(1)
    delivered = cursor.number()
    pending = cursor.number()
    # Version 2 has one more number for each, its sequence at the consumer.
    cursor.pass_numbers(1 + pending * (1 + version) if pending else 0)
    cursor.pass_numbers(2 * cursor.number())
    _checked(cursor, cursor.position == len(content))
    # Version 1 counts what was delivered from the floor on.
    return _checked(floor, floor < _SIGN and (version == 1 or floor <= delivered))
