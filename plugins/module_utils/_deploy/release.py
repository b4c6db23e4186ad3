# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases: what a host was meant to have when its gate passed, kept on the host to go back to.

A release has the parts server, bot and plugins, as far as they were deployed, each with the settings that applying it
needs and the entries as state.ENTRY_SPEC has them, secrets included. A file that is damaged is named and skipped, never
trusted.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._deploy import history, lease, release_id, usable
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file, system
from ansible_collections.rosey.nats.plugins.module_utils._host.tree import spec

PARTS = ("server", "bot", "plugins")
KEEP = 10

CURRENT = "current"
# of the releases, in the directory of all that is kept
DIRECTORY = "releases"
_PREVIOUS = "previous"
SUFFIX = ".json"
_LEAST_ROOM = 2**16


@dataclass(frozen=True)
class Part:
    """What one part of a release means. settings: a plain mapping without secrets. entries: as ENTRY_SPEC has them."""

    settings: Mapping[str, t.Any]
    entries: Sequence[Mapping[str, t.Any]] = field(repr=False)


@dataclass(frozen=True)
class Record:
    """One release. time: when its gate passed, ISO 8601, UTC. previous: the id of the one that was current before.

    origin: who deployed it; a version that did not keep that leaves it empty.
    """

    id: str
    time: str
    controller: str
    parts: Mapping[str, Part]
    plan: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    previous: str | None = None
    origin: history.Origin = history.UNKNOWN

    @property
    def kept_streams(self) -> bool:
        """Whether the streams that the server had were kept as its gate passed, in a file beside the releases.

        The version that kept none recorded no environment of the server, not even a null.
        """
        server = self.parts.get("server")
        return server is not None and "environment" in server.settings and self.has_proven("server")

    @property
    def paths(self) -> set[str]:
        """What its entries are of."""
        return {entry["path"] for part in self.parts.values() for entry in part.entries}

    def has_proven(self, part: str) -> bool:
        """Say whether the gate of a part itself has passed with this release."""
        return any(gate.startswith(f"{part}: ") for gate in self.gates)

    @property
    def obstacle(self) -> str:
        """Why it can't be gone back to; empty where it can."""
        problem = usable.problem(self._plain())
        return f"it {usable.NOT_TAKEN}: {problem}" if problem else ""

    def settings(self, releases: Path) -> dict[str, dict[str, t.Any]]:
        """Give the settings of each part, as applying it needs them. releases: the directory that it is kept in."""
        return usable.settings(self._plain(), releases)

    def _plain(self) -> dict[str, dict[str, t.Any]]:
        return {name: {"settings": part.settings, "entries": part.entries} for name, part in self.parts.items()}


@dataclass(frozen=True)
class Proven:
    """A part of the current release. at: when its own gate last passed with it; None where no record says that."""

    part: Part
    at: datetime | None


@dataclass(frozen=True)
class Damaged:
    """A file that is not trusted. name: as it stands in the directory."""

    name: str
    reason: str


@dataclass(frozen=True)
class Listing:
    """What was found. records: the whole ones, newest first. pointer: the id that is named current, whole or not.

    ways_back: to releases, the newest last.
    """

    records: tuple[Record, ...] = ()
    damaged: tuple[Damaged, ...] = ()
    pointer: str | None = None
    ways_back: tuple[history.Turn, ...] = ()

    @property
    def current(self) -> Record | None:
        """The release that the host has."""
        return self.find(self.pointer)

    @property
    def latest(self) -> Record | None:
        """The release that the host has or, where that can't be told, the newest that is whole."""
        return self.current or next(iter(self.records), None)

    @property
    def turns(self) -> list[history.Turn]:
        """How the host came to each release, in order of time, as far as that is known."""
        deployed = [
            history.Turn(each.time, each.id, each.previous, each.controller, each.origin) for each in self.records
        ]
        identities = (item.name.removesuffix(SUFFIX) for item in self.damaged)
        lost = [
            history.Turn(lease.timestamp(time), identity, "", "")
            for identity in identities
            if (time := release_id.time_of(identity))
        ]
        return history.in_order([*deployed, *lost, *self.ways_back])

    def find(self, release: str | None) -> Record | None:
        """Give the whole record of an id."""
        return next((record for record in self.records if record.id == release), None)

    def previous(self) -> Record | None:
        """Give what the host had before the current release; where it has none, the newest."""
        if self.pointer is None:
            return self.records[0] if self.records else None
        current = self.current
        # Of a damaged one it is not known what came before it: the next older stands in for that.
        wanted = current.previous if current else self.pointer
        if wanted is None:
            return None
        return next((record for record in self.records if record.id <= wanted and record.id != self.pointer), None)


@dataclass(frozen=True)
class Written:
    """What writing came to. release: the id of the current release, None in a rehearsal of a new one.

    dropped: the parts that the release before had, and this one does not have.
    """

    release: str | None
    changed: bool
    pruned: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


def digest(part: Part) -> str:
    """Give what tells parts apart that mean something else. The order of entries and omitted defaults don't count."""
    entries = sorted(atomic_file.canonical(_normal(entry)) for entry in part.entries)
    settings = {name: value for name, value in part.settings.items() if value is not None}
    return atomic_file.sha256(atomic_file.canonical([settings, entries]))


class Store:
    """The releases of one host, in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._records = directory / DIRECTORY
        self._pointer = directory / CURRENT

    def check_places(self, files: Sequence[str] = ()) -> None:
        """Make sure, as far as looking tells, that a deployment can be recorded; ReleaseError. files: others' names."""
        atomic_file.check_place(self.directory, is_directory=True)
        atomic_file.check_place(self._records, is_directory=True)
        for name in (CURRENT, lease.NAME, history.NAME, *files):
            atomic_file.check_place(self.directory / name)

    def try_out(self) -> None:
        """Make sure that a deployment can be recorded, by writing as much as its record may take; ReleaseError."""
        atomic_file.prepare(self._records)
        sizes = [system.size(self._path(release)) for release in self._ids()[:1]]
        for directory in (self.directory, self._records):
            atomic_file.try_out(directory, _LEAST_ROOM + 2 * sum(sizes))

    def listing(self) -> Listing:
        """Read all that is there; nothing is written."""
        records, damaged = [], []
        for name in reversed(atomic_file.names(self._records)):
            try:
                records.append(self._read(name))
            except FileNotFoundError:
                # It was pruned meanwhile.
                continue
            except atomic_file.DamagedError as error:
                damaged.append(Damaged(name, str(error)))
        pointer = None
        try:
            pointer = self._read_pointer()
        except atomic_file.DamagedError as error:
            damaged.append(Damaged(CURRENT, str(error)))
        if pointer is not None and not any(pointer == record.id for record in records):
            lost = any(item.name == pointer + SUFFIX for item in damaged)
            damaged += [] if lost else [Damaged(CURRENT, f"names {pointer}, which is not there")]
        ways_back, unread = history.look(self.directory)
        damaged += [Damaged(*each) for each in unread.items()]
        return Listing(tuple(records), tuple(damaged), pointer, tuple(ways_back))

    def find(self, release: str) -> Record | None:
        """Give the whole record of an id, and read no other; None where there is none."""
        try:
            return self._read(f"{release}{SUFFIX}")
        except (FileNotFoundError, atomic_file.DamagedError):
            return None

    def current(self) -> Record | None:
        """Give the release that the host has, and read no other; None where there is none that is whole."""
        pointer = self._known_pointer()
        return self.find(pointer) if pointer else None

    def latest(self) -> Record | None:
        """Give the release that the host has or, where that can't be told, the newest that is whole."""
        return self.current() or self.listing().latest

    def kept_streams(self) -> bool:
        """Say whether the streams that were proven were ever kept, as far as the records go back."""
        return any(record.kept_streams for record in self.listing().records)

    def proven(self, part: str) -> Proven | None:
        """Give a part of the current release, and read no more than that takes; None where it has none.

        A part that a run left out was not proven by it.
        """
        record = self.current()
        if record is None or part not in record.parts:
            return None
        latest_part = record.parts[part]
        same = digest(latest_part)
        while record and part in record.parts and digest(record.parts[part]) == same:
            if record.has_proven(part):
                return Proven(latest_part, lease.moment(record.time))
            record = self.find(record.previous) if record.previous else None
        return Proven(latest_part, None)

    def read(self, release: str, *, option: str = "release") -> Record:
        """Give the release with this id; ReleaseError, which begins with the option that named it."""
        return self._find(self.listing(), release, option)

    def select(self, wanted: str, *, option: str = "rollback_to") -> Record:
        """Give a release by its id, the current or the previous one, that of a time or of a run; ReleaseError."""
        listing = self.listing()
        if wanted not in (CURRENT, _PREVIOUS):
            return self._find(listing, self._id_of(listing, wanted, option), option)
        record = listing.current if wanted == CURRENT else listing.previous()
        if record is None:
            raise atomic_file.ReleaseError(f"{option}: this host has no {wanted} release; {self._expected(listing)}")
        return record

    def select_usable(self, wanted: str, *, option: str = "rollback_to") -> Record:
        """Give a release as select() does; ReleaseError also where it can't be gone back to."""
        record = self.select(wanted, option=option)
        if obstacle := record.obstacle:
            others = ", ".join(each.id for each in self.listing().records if not each.obstacle)
            raise atomic_file.ReleaseError(
                f"{option}: {record.id} can't be gone back to: {obstacle}. Use the version that recorded it, or "
                f"{f'choose another release: {others}' if others else 'deploy again'}."
            )
        return record

    def write(
        self,
        parts: Mapping[str, Part],
        *,
        controller: str,
        plan: Sequence[str],
        gates: Sequence[str],
        keep: int,
        now: datetime,
        drops: Sequence[str] = (),
        origin: history.Origin = history.UNKNOWN,
    ) -> Written:
        """Record what the host has now, and let it be the current release.

        A part that is not given is the current release's, unless it is among drops: what was not proven together is in
        no release together. Nothing is written where that is the same already.
        """
        _check_keep(keep)
        with atomic_file.guard(self.directory):
            atomic_file.prepare(self._records)
            atomic_file.sweep(self.directory)
            atomic_file.sweep(self._records)
            listing = self.listing()
            if listing.current and _is_same(listing.current, parts, drops):
                return Written(listing.current.id, changed=False)
            kept = listing.current.parts if listing.current else {}
            record = Record(
                id=release_id.next_id(now, [*self._ids(), *([listing.pointer] if listing.pointer else [])]),
                time=lease.timestamp(now),
                controller=controller,
                parts={**{name: part for name, part in kept.items() if name not in drops}, **parts},
                plan=tuple(plan),
                gates=tuple(gates),
                previous=listing.pointer,
                origin=origin,
            )
            atomic_file.write(self._path(record.id), asdict(record))
            atomic_file.put(self._pointer, f"{record.id}\n")
            dropped = tuple(name for name in kept if name not in record.parts)
            return Written(record.id, changed=True, pruned=self._prune(keep), dropped=dropped)

    def rehearse(self, parts: Mapping[str, Part], *, keep: int, drops: Sequence[str] = ()) -> Written:
        """Say what writing would come to, as check mode does."""
        _check_keep(keep)
        current = self.listing().current
        if current and _is_same(current, parts, drops):
            return Written(current.id, changed=False)
        return Written(None, changed=True)

    def set_current(
        self,
        release: str | None,
        *,
        rehearse: bool = False,
        controller: str = "",
        origin: history.Origin = history.UNKNOWN,
    ) -> bool:
        """Let a release that is there be the current one, or none. Says whether that is a change."""
        if release is not None:
            self.read(release)
        if rehearse:
            return self._known_pointer() != release
        with atomic_file.guard(self.directory):
            atomic_file.sweep(self.directory)
            before = self._known_pointer()
            changed = before != release
            if changed:
                # first: where this is cut off, it is found that it did not come to it
                time = lease.timestamp(history.now())
                turn = history.Turn(time, release, before, controller, origin)
                history.keep_way_back(self.directory, turn)
            if changed and release is None:
                atomic_file.remove(self._pointer)
            elif changed:
                atomic_file.put(self._pointer, f"{release}\n")
            return changed

    def _known_pointer(self) -> str | None:
        """Give what is named current; "" where nobody can tell."""
        try:
            return self._read_pointer()
        except atomic_file.DamagedError:
            return ""

    def _path(self, release: str) -> Path:
        return self._records / f"{release}{SUFFIX}"

    def _ids(self) -> list[str]:
        """Name the releases that are there, whole or not, newest first."""
        stems = [name.removesuffix(SUFFIX) for name in atomic_file.names(self._records) if name.endswith(SUFFIX)]
        return sorted(filter(release_id.is_id, stems), reverse=True)

    def _read_pointer(self) -> str | None:
        try:
            text = atomic_file.read_text(self._pointer).removesuffix("\n")
        except FileNotFoundError:
            return None
        if not release_id.is_id(text):
            raise atomic_file.DamagedError("names no release")
        return text

    def _read(self, name: str) -> Record:
        return read_file(self._records / name)

    def _find(self, listing: Listing, release: str, option: str) -> Record:
        record = listing.find(release)
        if record is None:
            reasons = {item.name: item.reason for item in listing.damaged}
            reason = reasons.get(release + SUFFIX)
            wrong = f"is damaged ({reason})" if reason and release_id.is_id(release) else "is no release of this host"
            raise atomic_file.ReleaseError(f"{option}: {release} {wrong}; {self._expected(listing)}")
        return record

    def _id_of(self, listing: Listing, wanted: str, option: str) -> str:
        """Give the id of the release that the host had at a time, or came to have by a run; any other text as it is."""
        try:
            if (moment := history.moment_of(wanted)) is not None:
                history.check_known({item.name: item.reason for item in listing.damaged}, moment)
                return history.had_at(listing.turns, listing.pointer, moment, history.now())
            return history.brought_by(listing.turns, listing.ways_back, wanted) if history.is_name(wanted) else wanted
        except history.PointError as error:
            raise atomic_file.ReleaseError(f"{option}: {error}.") from None

    def _expected(self, listing: Listing) -> str:
        if listing.records:
            return f"expected one of {', '.join(record.id for record in listing.records)}."
        return f"there is none in {self._records} yet. Deploy first."

    def _prune(self, keep: int) -> tuple[str, ...]:
        """Take the oldest away, but never the current one nor what comes before it."""
        listing = self.listing()
        kept = {record.id for record in listing.records[:keep]}
        kept |= {record.id for record in (listing.current, listing.previous()) if record}
        oldest = min(kept, default="")
        pruned = []
        for release in self._ids():
            is_whole = listing.find(release) is not None
            if release not in kept and (is_whole or release < oldest) and not self._path(release).is_dir():
                atomic_file.remove(self._path(release))
                pruned.append(release)
        return tuple(pruned)


def left_behind(record: Record, paths: Sequence[str]) -> list[str]:
    """Give, sorted, those paths that are none of a release; of a directory and what is in it, only the latter."""
    strangers = sorted({*paths} - record.paths)
    return [path for path in strangers if not any(each.startswith(f"{path}/") for each in strangers)]


def _normal(entry: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Give an entry without what it does not say: nulls and defaults."""
    defaults = {name: option.get("default") for name, option in spec.ENTRY_SPEC.items()}
    return {name: value for name, value in entry.items() if value is not None and value != defaults.get(name)}


def _is_same(current: Record, parts: Mapping[str, Part], drops: Sequence[str]) -> bool:
    if any(name in current.parts for name in drops if name not in parts):
        return False
    return all(name in current.parts and digest(current.parts[name]) == digest(part) for name, part in parts.items())


def _check_keep(keep: int) -> None:
    if keep < 1:
        raise atomic_file.ReleaseError(f"keep: {keep}; expected 1 or more releases to be kept.")


def read_file(path: Path) -> Record:
    """Read a release that is kept in a file of its name; FileNotFoundError, DamagedError."""
    release = path.name.removesuffix(SUFFIX)
    if not path.name.endswith(SUFFIX) or not release_id.is_id(release):
        raise atomic_file.DamagedError("its name is none of a release")
    body = atomic_file.read(path)
    try:
        record = _record(body)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise atomic_file.DamagedError("wrong type, expected a release") from None
    if record.id != release:
        raise atomic_file.DamagedError(f"wrong id inside, {record.id}")
    return record


def _record(body: Mapping[str, t.Any]) -> Record:
    """Read a record out of a sealed body; AttributeError, KeyError, TypeError or ValueError where it is none."""
    previous = body["previous"]
    if previous is not None and not release_id.is_id(previous):
        raise ValueError("previous")
    return Record(
        id=_text(body["id"]),
        time=_text(body["time"]),
        controller=_text(body["controller"]),
        parts={name: _part(part) for name, part in body["parts"].items()},
        plan=tuple(map(_text, body["plan"])),
        gates=tuple(map(_text, body["gates"])),
        previous=previous,
        origin=history.origin_of(body.get("origin")),
    )


def _part(body: Mapping[str, t.Any]) -> Part:
    entries = body["entries"]
    if not isinstance(entries, list):
        raise TypeError("entries")
    for entry in entries:
        _text(entry["path"])
        for name in ("content", "secret_content"):
            _text(entry.get(name) or "")
    return Part(dict(body["settings"]), [dict(entry) for entry in entries])


def _text(value: t.Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value
