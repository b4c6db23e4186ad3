# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What JetStream holds on one server: streams with their consumers, as a plain model that is compared and kept.

``asset_reading`` asks a server for it, ``asset_store`` reads it from the disk, ``asset_changes`` compares.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass

from ansible_collections.rosey.nats.plugins.module_utils._host import python, typed

# Account, stream; and the consumer where one is meant.
Key = tuple[str, str]
GLOBAL = "$G"
FILE, MEMORY = "file", "memory"
LIMITS, INTEREST, WORK_QUEUE = "limits", "interest", "workqueue"


@dataclass(frozen=True)
class Consumer:
    """One consumer. What is None is not known.

    created: when it was made, as the server writes it, which may move with a restart. ack_floor: the
    stream sequence up to which everything is acknowledged. passing: the server removes it by itself once nobody uses
    it (no durable name, or an inactive_threshold). in_memory: its state is kept in memory alone (mem_storage, or its
    stream's storage). max_ack_pending, max_batch: its own limits, which a server may not take up; 0 where it has none.
    """

    name: str
    created: str | None = None
    ack_floor: int | None = None
    passing: bool = False
    in_memory: bool = False
    max_ack_pending: int = 0
    max_batch: int = 0


@dataclass(frozen=True)
class Limits:
    """The limits of a stream, by which it lets messages go by itself; 0 or less is none, as in its configuration.

    retention: limits, interest or workqueue. max_age, duplicate_window: nanoseconds. rollup: a message may replace
    earlier ones. max_consumers, duplicate_window: limits beyond the server's own keep it from taking the stream up.
    first_seq: the sequence at which it was to begin. compressed: its blocks are.
    """

    retention: str = LIMITS
    max_age: int = 0
    max_msgs: int = -1
    max_bytes: int = -1
    max_msgs_per_subject: int = -1
    rollup: bool = False
    max_consumers: int = -1
    duplicate_window: int = 0
    first_seq: int = 0
    compressed: bool = False


@dataclass(frozen=True)
class Stream:
    """One stream. What is None is not known, which is never the same as 0.

    account: its id, which names its directory in the store. created: as of a Consumer. storage: FILE or MEMORY.
    encrypted: it is kept encrypted, so that a store without its server tells its name and bytes alone. blocks: how
    many files have its messages, which only the store tells. first_time: when its first message came, which only a
    server tells.
    """

    account: str
    name: str
    created: str | None = None
    storage: str | None = None
    replicas: int | None = None
    messages: int | None = None
    bytes: int | None = None
    first_seq: int | None = None
    last_seq: int | None = None
    limits: Limits | None = None
    consumers: tuple[Consumer, ...] = ()
    encrypted: bool = False
    blocks: int | None = None
    first_time: str | None = None

    @property
    def key(self) -> Key:
        """What names it on its server."""
        return self.account, self.name

    def __str__(self) -> str:
        return self.name if self.account == GLOBAL else f"{self.account}/{self.name}"


@dataclass(frozen=True)
class Assets:
    """All that JetStream holds on one server, at one moment.

    streams: by account and name. api_calls: how many requests of JetStream's API each account has made since the
    server started; None where only the store was read.
    """

    streams: Mapping[Key, Stream]
    api_calls: Mapping[str, int] | None = None

    def in_order(self) -> Iterator[Stream]:
        """Give the streams in the order of their names."""
        return (self.streams[key] for key in sorted(self.streams))

    def names(self) -> frozenset[tuple[str, ...]]:
        """Name the streams and the consumers that last, whatever they hold."""
        found: set[tuple[str, ...]] = set(self.streams)
        for key, stream in self.streams.items():
            found |= {(*key, each.name) for each in stream.consumers if not each.passing}
        return frozenset(found)

    def counts(self) -> dict[str, int | None]:
        """Give how many streams, consumers, messages and bytes there are; null where some are not known."""
        streams = self.streams.values()
        return {
            "streams": len(streams),
            "consumers": sum(len(stream.consumers) for stream in streams),
            "messages": _sum(stream.messages for stream in streams),
            "bytes": _sum(stream.bytes for stream in streams),
        }


def limits_of(config: Mapping[str, t.Any]) -> Limits:
    """Read the limits in a stream's configuration, as /jsz and meta.inf have it (server/stream.go, StreamConfig)."""
    return Limits(
        retention=str(config.get("retention", LIMITS)),
        max_age=int(config.get("max_age") or 0),
        max_msgs=int(config.get("max_msgs") or 0),
        max_bytes=int(config.get("max_bytes") or 0),
        max_msgs_per_subject=int(config.get("max_msgs_per_subject") or 0),
        rollup=bool(config.get("allow_rollup_hdrs")),
        max_consumers=int(config.get("max_consumers") or 0),
        duplicate_window=int(config.get("duplicate_window") or 0),
        first_seq=int(config.get("first_seq") or 0),
        compressed=is_compressed(config),
    )


def is_compressed(config: Mapping[str, t.Any]) -> bool:
    """Tell by a stream's configuration whether its blocks are compressed."""
    return config.get("compression") not in (None, "", "none")


def is_passing(config: Mapping[str, t.Any]) -> bool:
    """Tell by a consumer's configuration whether the server removes it once nobody uses it (server/consumer.go)."""
    return not config.get("durable_name") or bool(config.get("inactive_threshold"))


def of(streams: Iterable[Stream], api_calls: Mapping[str, int] | None = None) -> Assets:
    """Make assets from streams."""
    return Assets({stream.key: stream for stream in streams}, api_calls)


def _sum(numbers: Iterable[int | None]) -> int | None:
    found = list(numbers)
    return None if None in found else sum(t.cast("list[int]", found))


# As text

_STREAM = (
    "created",
    "storage",
    "replicas",
    "messages",
    "bytes",
    "first_seq",
    "last_seq",
    "encrypted",
    "blocks",
    "first_time",
)


def as_table(assets: Assets) -> dict[str, t.Any]:
    """Write assets as plain values, short, for a file; from_table() reads them."""
    accounts: dict[str, dict[str, t.Any]] = {}
    for stream in assets.in_order():
        accounts.setdefault(stream.account, {})[stream.name] = [
            *(getattr(stream, name) for name in _STREAM),
            list(astuple(stream.limits)) if stream.limits else None,
            [list(astuple(consumer)) for consumer in stream.consumers],
        ]
    return {"accounts": accounts, "api_calls": None if assets.api_calls is None else dict(assets.api_calls)}


def from_table(table: Mapping[str, t.Any]) -> Assets:
    """Read what as_table() has written; ValueError where it is not that."""
    try:
        return typed.make(Assets, {each.key: each for each in _streams(table["accounts"])}, _calls(table["api_calls"]))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"no table of assets: {error}") from error


def _streams(accounts: Mapping[str, t.Any]) -> Iterator[Stream]:
    for account, rows in accounts.items():
        for name, (*values, limits, consumers) in rows.items():
            yield typed.make(
                Stream,
                account,
                name,
                **dict(python.rows(_STREAM, values)),
                limits=typed.make(Limits, *limits) if limits else None,
                consumers=tuple(typed.make(Consumer, *each) for each in consumers),
            )


def _calls(table: t.Any) -> dict[str, int] | None:
    if table is None:
        return None
    if not all(isinstance(count, int) and not isinstance(count, bool) for count in table.values()):
        raise TypeError("api_calls")
    return dict(table)
