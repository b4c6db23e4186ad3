# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of JetStream's store: when a change of version needs one, how it is made, and what was written since.

A copy is a directory `<from_version>-<UTC time>` with the data as the server kept it and copy.json beside it. It gets
that name only when it is whole and on the disk."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import tempfile
import typing as t
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._data import (
    asset_changes,
    assets,
    store_tree,
    store_users,
    version_line,
)
from ansible_collections.rosey.nats.plugins.module_utils._data.assets import Assets, Key
from ansible_collections.rosey.nats.plugins.module_utils._data.store_tree import StoreError
from ansible_collections.rosey.nats.plugins.module_utils._host import figures, system, typed
from ansible_collections.rosey.nats.plugins.module_utils._host.held import Directories

FACTS = "copy.json"

_FORMAT = 1
_TEMPORARY = ".rosey-"
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_TIME_IN_NAME = "%Y%m%dT%H%M%SZ"
_SMALLEST_MARGIN = 64 * 1024 * 1024
_MARGIN_DIVISOR = 20


@dataclass(frozen=True)
class Stream:
    """One stream that is kept in files; the numbers are None where nobody told them."""

    account: str
    name: str
    messages: int | None = None
    bytes: int | None = None
    first_seq: int | None = None
    last_seq: int | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What names it on its server."""
        return self.account, self.name

    def __str__(self) -> str:
        return self.name if self.account == "$G" else f"{self.account}/{self.name}"


@dataclass(frozen=True)
class Copy:
    """A whole copy. files, bytes: of its data. streams: those in it, with their numbers if these were told.

    release: the one that the host left, None where it had none. held: what the server had at its stop, None where that
    is not known.
    """

    path: Path
    from_version: str
    to_version: str
    time: str
    files: int
    bytes: int
    streams: tuple[Stream, ...]
    release: str | None = None
    held: Assets | None = field(default=None, repr=False)

    @property
    def data(self) -> Path:
        """What takes the place of the server's data."""
        return self.path / store_tree.DATA

    def as_result(self) -> dict[str, t.Any]:
        """Give it as a module does."""
        shown = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "held"}
        return {**shown, "path": str(self.path), "streams": [asdict(stream) for stream in self.streams]}


@dataclass(frozen=True)
class Plan:
    """What making a copy comes to, found without a write.

    reason: why nothing is copied, empty where something is. present: a copy that already holds just this. files, size:
    how many files there are and their bytes. bytes: what they take on their disk. free: what is free where the copies
    are. reflink: whether the copy shares the data's blocks and needs none of its own. users: who has the data in use.
    """

    reason: str = ""
    present: Copy | None = None
    files: int = 0
    size: int = 0
    bytes: int = 0
    free: int = 0
    reflink: bool = False
    users: tuple[str, ...] = ()

    @property
    def needed(self) -> int:
        """How many bytes have to be free."""
        return 0 if self.reflink else self.bytes + max(_SMALLEST_MARGIN, self.bytes // _MARGIN_DIVISOR)


@dataclass(frozen=True)
class Since:
    """What became of the streams since a copy was made.

    written: how many messages each stream took that the copy lacks; None where that can't be known, since the copy has
    no numbers of it or since the stream was made anew.
    """

    written: tuple[tuple[Stream, int | None], ...]
    new: tuple[Stream, ...]
    gone: tuple[Stream, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """One sentence for each stream that differs."""
        return (
            *(f"{stream}: {_written(count)} since the copy" for stream, count in self.written if count != 0),
            *(f"{stream}: new since the copy, with {_number(stream.messages)}" for stream in self.new),
            *(f"{stream}: gone since the copy, which has {_number(stream.messages)}" for stream in self.gone),
        )


# Streams


def streams_of(entries: Iterable[Mapping[str, t.Any]]) -> tuple[Stream, ...]:
    """Make streams from mappings with the names of Stream's fields."""
    return tuple(sorted((typed.make(Stream, **entry) for entry in entries), key=lambda stream: stream.key))


def streams_of_assets(all_assets: Assets) -> tuple[Stream, ...]:
    """Give what a copy tells of streams: those that are kept in files."""
    return tuple(
        Stream(stream.account, stream.name, stream.messages, stream.bytes, stream.first_seq, stream.last_seq)
        for stream in all_assets.in_order()
        if stream.storage != assets.MEMORY
    )


def read_streams(data: Path) -> tuple[Stream, ...]:
    """Name the streams that have a directory in a server's data. Their numbers stand nowhere that can be trusted."""
    found = [Stream(path.parents[1].name, path.name) for path in data.glob("*/streams/*") if path.is_dir()]
    return tuple(sorted(found, key=lambda stream: stream.key))


def since(copy: Copy, now: Sequence[Stream]) -> Since:
    """Compare a copy's streams with those that the server has now."""
    before = {stream.key: stream for stream in copy.streams}
    present = {stream.key for stream in now}
    return Since(
        written=tuple((stream, _newer(before[stream.key], stream)) for stream in now if stream.key in before),
        new=tuple(stream for stream in now if stream.key not in before),
        gone=tuple(stream for stream in copy.streams if stream.key not in present),
    )


def newest_of_line(copies: Iterable[Copy], version: str) -> Copy | None:
    """Give the newest copy that was written by the line of a version, from copies that come newest first."""
    return next((copy for copy in copies if version_line.minor(copy.from_version) == version_line.minor(version)), None)


def _newer(before: Stream, now: Stream) -> int | None:
    if before.last_seq is None or now.last_seq is None or now.last_seq < before.last_seq:
        return None
    return now.last_seq - before.last_seq


def _written(count: int | None) -> str:
    return "written to, nobody knows how much," if count is None else f"{_number(count)} written"


def _number(count: int | None) -> str:
    if count is None:
        return "an unknown number of messages"
    return f"{count} message{'' if count == 1 else 's'}"


def missed(copy: Copy, now: Assets) -> dict[Key, str]:
    """Say of each stream of a copy that is missing by now, or has lost messages, what there is; none where all is well.

    A stream that has gone beyond the copy stays as it is: what it lacks was let go since, and what it has is newer.
    """
    if copy.held is None:
        return {stream.key: f"{stream}: none" for stream in copy.streams if stream.key not in now.streams}
    lost = asset_changes.losses(copy.held, now, asset_changes.Doing.OTHER)
    return {
        loss.stream.key: f"{loss.stream}: {loss.finding.found}"
        for loss in lost
        if loss.consumer is None and loss.stream.storage != assets.MEMORY and not _is_beyond(loss.stream, now)
    }


def _is_beyond(was: assets.Stream, now: Assets) -> bool:
    is_now = now.streams.get(was.key)
    return (
        is_now is not None
        and is_now.last_seq is not None
        and was.last_seq is not None
        and is_now.last_seq > was.last_seq
    )


# Copies


def list_copies(copies: Path) -> tuple[list[Copy], list[str]]:
    """Give the whole copies, newest first, and a sentence about everything else that stands there; StoreError."""
    whole, damaged = [], []
    for path in store_tree.children(copies):
        if path.name.startswith(_TEMPORARY):
            continue
        try:
            whole.append(_read_facts(path))
        except (OSError, ValueError, KeyError, TypeError, RecursionError, StoreError) as error:
            cause = error.strerror if isinstance(error, OSError) else error
            damaged.append(f"{path} is no whole copy and is left alone: {FACTS}: {cause}; remove it by hand")
    return sorted(whole, key=lambda copy: (copy.time, copy.path.name), reverse=True), damaged


def plan(store: Path, copies: Path, from_version: str) -> Plan:
    """Look at what making a copy of the store's data comes to; nothing is written. StoreError."""
    data = store / store_tree.DATA
    if system.real(copies).is_relative_to(system.real(data)):
        raise StoreError(f"copies {copies} lies in the store {data}; expected a directory outside of it; name another")
    with store_tree.explained(data, "looking at it"):
        if not data.is_dir():
            return Plan(reason=f"{data} is not there, so there is nothing to copy")
        inventory = store_tree.inventory_of(data)
        files = [path for path, status in inventory.items() if stat.S_ISREG(status.st_mode)]
        if not files:
            return Plan(reason=f"{data} holds no file, so there is nothing to copy")
        users = store_users.users_among(store, inventory.values())
        present = next((copy for copy in list_copies(copies)[0] if copy.from_version == from_version), None)
        if present and store_tree.is_same(inventory, store_tree.inventory_of(present.data)):
            return Plan(reason=f"{present.path} already holds what is in {data}", present=present, users=users)
        there = next(path for path in (copies, *copies.absolute().parents) if path.is_dir())
    with store_tree.explained(there, "looking for space there"):
        space = os.statvfs(there)
        return Plan(
            files=len(files),
            size=sum(inventory[path].st_size for path in files),
            bytes=sum(status.st_blocks for status in inventory.values()) * store_tree.BLOCK,
            free=space.f_bavail * space.f_frsize,
            reflink=store_tree.can_reflink(
                next((data / path for path in files if inventory[path].st_size), None), there
            ),
            users=users,
        )


def check(planned: Plan, copies: Path) -> None:
    """Raise StoreError where there is no space for a copy."""
    if not planned.reason and planned.free < planned.needed:
        free, needed = figures.sizes(planned.free, planned.needed)
        raise StoreError(
            f"{copies}: {free} are free; expected {needed} for a copy of the store, which takes "
            f"{figures.size(planned.bytes)}; make room, remove old copies, or put the copies on another file system"
        )


def check_unused(planned: Plan, store: Path) -> None:
    """Raise StoreError while somebody has the data in use."""
    if planned.users:
        shown = ", ".join(planned.users[: store_users.SHOWN_USERS])
        raise StoreError(
            f"{store / store_tree.DATA} is in use by {shown}; expected nobody, for a copy of it; stop the server first"
        )


def foreseen(
    copies: Path,
    planned: Plan,
    from_version: str,
    to_version: str,
    streams: Sequence[Stream] = (),
    *,
    release: str | None = None,
    held: Assets | None = None,
) -> Copy:
    """Give the copy that make() would make now."""
    now = datetime.now(timezone.utc)
    return Copy(
        path=copies / f"{from_version}-{now.strftime(_TIME_IN_NAME)}",
        from_version=from_version,
        to_version=to_version,
        time=now.strftime(_TIME),
        files=planned.files,
        bytes=planned.size,
        streams=tuple(streams),
        release=release,
        held=held,
    )


def make(
    store: Path,
    copies: Path,
    planned: Plan,
    *,
    from_version: str,
    to_version: str,
    streams: Sequence[Stream],
    release: str | None = None,
    held: Assets | None = None,
) -> Copy:
    """Copy the store's data. planned: what plan() said; streams: what the server had, told before its stop. StoreError.

    release, held: as a Copy has them.

    Whatever fails, or cuts it off, leaves no copy and the store as it was.
    """
    data = store / store_tree.DATA
    known = streams or read_streams(data)
    copy = foreseen(copies, planned, from_version, to_version, known, release=release, held=held)
    with store_tree.explained(copies, f"copying {data} there"):
        work = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=copies))
        try:
            store_tree.copy_tree(data, work / store_tree.DATA, reflink=planned.reflink)
            _write_facts(copy, work / FACTS)
            store_tree.flush([work, *work.rglob("*")])
            work.rename(copy.path)
            store_tree.flush([copies])
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
    return copy


def bring_back(store: Path, copy: Copy, keys: Iterable[Key]) -> Path | None:
    """Put streams of a copy into a store that nobody uses. What stands in their place is set aside; gives where.

    Each stream has a directory of its own (server/jetstream.go), so that the others stay as they are. StoreError.
    """
    data, now = store / store_tree.DATA, datetime.now(timezone.utc).strftime(_TIME_IN_NAME)
    aside = store / f"{store_tree.DATA}-replaced-{now}"
    wanted = [Path(account, "streams", name) for account, name in keys]
    present = [path for path in wanted if (copy.data / path).is_dir()]
    with store_tree.explained(data, "bringing back what was copied"), Directories() as places:
        _check_room_for(data, [copy.data / path for path in present])
        for path in present:
            store_tree.make_directories_like(places, data, path.parent, copy.data.stat())
            # the server takes a name with a full stop for a stream that is half deleted, and removes it
            work = data / path.parent / f"{_TEMPORARY}{path.name}"
            shutil.rmtree(places.at(work), ignore_errors=True)
            store_tree.copy_tree(copy.data / path, places.at(work), reflink=True)
            store_tree.flush([places.at(work), *places.at(work).rglob("*")])
            if places.at(data / path).exists():
                store_tree.make_directories_like(places, aside, path.parent, copy.data.stat())
                places.at(data / path).rename(places.at(aside / path))
            places.at(work).rename(places.at(data / path))
            store_tree.flush([places.into(data / path.parent)])
    return aside if aside.exists() else None


def _check_room_for(data: Path, sources: Iterable[Path]) -> None:
    """Raise StoreError where there is no room for these directories beside what there is."""
    needed = (
        sum(status.st_blocks for source in sources for status in store_tree.inventory_of(source).values())
        * store_tree.BLOCK
    )
    there = next(path for path in (data, *data.parents) if path.is_dir())
    space = os.statvfs(there)
    free = space.f_bavail * space.f_frsize
    if free < needed:
        has, wants = figures.sizes(free, needed)
        raise StoreError(
            f"{data}: {has} are free; expected {wants} for the streams that are brought back; make room there, "
            "and roll back again"
        )


def tie(copy: Copy, release: str | None, held: Assets | None) -> Copy:
    """Say of a copy that is there which release the host leaves with it, None where none may go back to it; StoreError.

    held: as a Copy has it; without, what is known of it stays.
    """
    tied = replace(copy, release=release, held=held or copy.held)
    with store_tree.explained(copy.path, "noting the release in it"):
        work = copy.path / f"{_TEMPORARY}{FACTS}"
        _write_facts(tied, work)
        store_tree.flush([work])
        work.rename(copy.path / FACTS)
        store_tree.flush([copy.path])
    return tied


def superfluous(copies: Sequence[Copy], keep: int, needed: Collection[str | None] = ()) -> list[Copy]:
    """Give the copies beyond `keep`, from copies that come newest first.

    Never the newest of a from_version, nor the newest of a release that is needed, to go back to.
    """
    newest = {copy.from_version: copy for copy in reversed(copies)}
    of_release = {copy.release: copy for copy in reversed(copies) if copy.release in needed}
    kept = [*newest.values(), *of_release.values()]
    return [copy for copy in copies[keep:] if not any(copy is each for each in kept)]


def remove(copies: Iterable[Copy]) -> None:
    """Remove copies, each at once and whole; StoreError."""
    for copy in copies:
        with store_tree.explained(copy.path, "removing it"):
            # From here on it counts as a leftover, also when this is cut off.
            gone = copy.path.rename(copy.path.with_name(f"{_TEMPORARY}{copy.path.name}"))
            shutil.rmtree(gone)


def leftovers(copies: Path) -> list[Path]:
    """Name what an earlier run left that was cut off; StoreError."""
    return [path for path in store_tree.children(copies) if path.name.startswith(_TEMPORARY)]


def clear(paths: Iterable[Path]) -> None:
    """Remove leftovers; StoreError."""
    for path in paths:
        with store_tree.explained(path, "removing what an earlier run left"):
            shutil.rmtree(path)


@contextmanager
def opened(copies: Path) -> Iterator[None]:
    """Make the directory of the copies, for its owner alone, and keep other runs out of it; StoreError."""
    with store_tree.explained(copies, "opening it"):
        if not copies.is_dir():
            system.make_directories(copies.parent)
            copies.mkdir(0o700, exist_ok=True)
        descriptor = os.open(copies, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(f"{copies}: another run makes a copy there; expected none; wait until it ends") from error
        yield
    finally:
        os.close(descriptor)


def _read_facts(path: Path) -> Copy:
    facts = json.loads(system.read_text(path / FACTS))
    if facts["format"] != _FORMAT:
        raise StoreError(f"its format is {facts['format']}; expected {_FORMAT}")
    if not (path / store_tree.DATA).is_dir():
        raise StoreError(f"{store_tree.DATA} is not there")
    version_line.minor(facts["from_version"])
    datetime.strptime(facts["time"], _TIME)
    return typed.make(
        Copy,
        path=path,
        from_version=facts["from_version"],
        to_version=facts["to_version"],
        time=facts["time"],
        files=facts["files"],
        bytes=facts["bytes"],
        streams=streams_of(facts["streams"]),
        release=facts.get("release"),
        held=assets.from_table(facts["held"]) if facts.get("held") else None,
    )


def _write_facts(copy: Copy, path: Path) -> None:
    facts = {"format": _FORMAT, **copy.as_result(), "held": assets.as_table(copy.held) if copy.held else None}
    del facts["path"]
    path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    path.chmod(0o600)
