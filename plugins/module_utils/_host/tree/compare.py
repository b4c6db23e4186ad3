# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a described tree differs on this host."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import grp
import os
import pwd
import re
import stat
import time
import typing as t
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.rosey.nats.plugins.module_utils._host import (
    environment_file,
    system,
    yaml_section,
)
from ansible_collections.rosey.nats.plugins.module_utils._host.held import Directories
from ansible_collections.rosey.nats.plugins.module_utils._host.python import StrEnum
from ansible_collections.rosey.nats.plugins.module_utils._host.tree import manifest, spec
from ansible_collections.rosey.nats.plugins.module_utils._host.tree.spec import Entry, Redactors, State, StateError


class Aspect(StrEnum):
    """What of a path can differ."""

    CREATED = "created"
    ASIDE = "set aside"
    REMOVED = "removed"
    CONTENT = "content"
    TARGET = "target"
    OWNER = "owner"
    GROUP = "group"
    MODE = "mode"
    TIME = "time"
    BELOW = "ownership below"


# A change of these alone is none for a reader that has the file open or reads it as the same user.
METADATA = frozenset({Aspect.OWNER, Aspect.GROUP, Aspect.MODE, Aspect.TIME, Aspect.BELOW})
FORMATS = {State.DIRECTORY: stat.S_IFDIR, State.LINK: stat.S_IFLNK, **dict.fromkeys(spec.IN_A_FILE, stat.S_IFREG)}
# What can be given to another account; what a link leads to has an entry of its own, if any.
_OWNABLE = (stat.S_IFDIR, stat.S_IFREG)
_NOUNS = {
    stat.S_IFDIR: "directory",
    stat.S_IFREG: "file",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "named pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
}
LEAVE = -1  # chown(2): this id stays as it is
UNKNOWN = -2  # of an account that the host does not have, and that nobody asks about
_NO_ID = 2**32 - 1  # which is -1 in the 32 bits of an id
_EXAMPLES_SHOWN = 3


@dataclass(frozen=True)
class Difference:
    """One aspect that differs; before and after as text, None where there is nothing to say."""

    aspect: Aspect
    before: str | None = None
    after: str | None = None

    def __str__(self) -> str:
        sides = " -> ".join(side for side in (self.before, self.after) if side is not None)
        return f"{self.aspect}: {sides}" if sides else str(self.aspect)


@dataclass(frozen=True)
class Repair:
    """Who shall own everything below a directory, except what has an entry of its own.

    uid, gid: -1 leaves an id. skipped: paths with an entry of their own. closed: those of them that speak for all that
    lies below them.
    """

    directory: Path
    uid: int
    gid: int
    skipped: frozenset[Path]
    closed: frozenset[Path]

    def covers(self, path: Path) -> bool:
        """Tell whether what stands at a path is repaired."""
        return self.directory in path.parents and path not in self.skipped and self.closed.isdisjoint(path.parents)


@dataclass(frozen=True)
class Change:
    """All that differs at one path.

    before: the bytes of the file that is there, None where there is none. written: when that was, in nanoseconds, where
    its content stays. uid, gid, mode: what the path shall have in the end; -1 leaves an id. unknown: accounts that this
    host lacks, such as "user nats". repair: given where something below the directory belongs to another. aside: where
    what stands in the way is moved to.
    """

    entry: Entry
    differences: tuple[Difference, ...]
    before: bytes | None = field(default=None, repr=False)
    written: int | None = None
    uid: int = LEAVE
    gid: int = LEAVE
    mode: int = 0
    unknown: tuple[str, ...] = ()
    repair: Repair | None = None
    aside: Path | None = None

    @property
    def path(self) -> str:
        """Where it is."""
        return str(self.entry.path)

    @property
    def created(self) -> bool:
        """Whether nothing is there yet."""
        return self.differences[0].aspect == Aspect.CREATED

    @property
    def what(self) -> tuple[str, ...]:
        """The names of the aspects that differ; of something new, only that it is."""
        return (str(Aspect.CREATED),) if self.created else tuple(str(item.aspect) for item in self.differences)

    def as_result(self) -> dict[str, str | list[str]]:
        """Give it as a module that only looks does."""
        return {"path": self.path, "what": list(self.what)}

    @property
    def reasons(self) -> tuple[str, ...]:
        """The differences, each as a text with before and after. No content is in it."""
        return tuple(str(item) for item in self.differences)


@dataclass(frozen=True)
class Look:
    """What was found on this host.

    changes: what differs from the description, in the order in which it is to be made; an account that is not there yet
    is named in its change. unmanaged: what stands in a directory that has a manifest, and is neither described nor on
    the list; directories are left out.
    """

    changes: list[Change]
    unmanaged: list[str]


def look(entries: Iterable[Mapping[str, t.Any]], redactors: Redactors | None = None) -> Look:
    """Compare a description, entries as ENTRY_SPEC has them, with this host; write nothing.

    redactors: what hides the secrets of a text, by the word of `redact`; all of a text is hidden where it is missing.
    Raises StateError, with all that is wrong, for a description that can't be meant or that this host can't take.
    """
    described = spec.read_entries(entries, redactors or {})
    with Directories() as places:
        changes = _Comparison(manifest.with_manifests(described, places), places).changes()
        return Look(changes, sorted(manifest.unmanaged(described, places)))


def compare(entries: Iterable[Mapping[str, t.Any]], redactors: Redactors | None = None) -> list[Change]:
    """Give the changes alone, see `look`."""
    return look(entries, redactors).changes


# Looking


class _Comparison:
    """One look at the host; it remembers each account and each directory that it has asked for."""

    def __init__(self, described: Mapping[Path, Entry], places: Directories) -> None:
        self._described = described
        self._places = places
        self._umask = os.umask(0)
        os.umask(self._umask)
        self._uid = functools.cache(functools.partial(_id, _uid))
        self._gid = functools.cache(functools.partial(_id, _gid))
        self._user_name = functools.cache(system.user_name)
        self._group_name = functools.cache(system.group_name)
        self._directory_problem = functools.cache(self._ask_directory)
        self._to_be_made: set[Path] = set()

    def changes(self) -> list[Change]:
        """Compare every entry, in the order in which it is to be made."""
        problems: list[str] = []
        changes: list[Change] = []
        for entry in sorted(self._with_parents(), key=_turn):
            try:
                change = self._change(entry)
                if change is not None:
                    self._check_place(change)
                    changes.append(change)
            except StateError as error:
                problems.append(str(error))
            except OSError as error:
                problems.append(f"{entry.path}: it can't be looked at: {error.strerror}.")
        if problems:
            raise StateError(" ".join(problems))
        return changes

    def _with_parents(self) -> list[Entry]:
        """Add the directories that are missing above the described ones."""
        every = dict(self._described)
        for entry in self._described.values():
            if entry.state != State.DIRECTORY:
                continue
            for path in (entry.path, *entry.path.parents):
                try:
                    path.stat()
                    break
                except FileNotFoundError:
                    self._to_be_made.add(path)
                    missing = Entry(path, State.DIRECTORY, mode=system.DIRECTORY_MODE)
                    every.setdefault(path, spec.inherited(missing, spec.at_or_above(path.parent, self._described)))
                except OSError:
                    break
        return list(every.values())

    def _change(self, entry: Entry) -> Change | None:
        try:
            at = self._places.at(entry.path)
            status = at.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return self._created(entry)
        if entry.state == State.ABSENT:
            gone = Difference(Aspect.REMOVED, _noun(status), str(State.ABSENT))
            return Change(entry, (gone,))
        if entry.state == State.OWNED and not is_ownable(status):
            return None
        if entry.state != State.OWNED and stat.S_IFMT(status.st_mode) != FORMATS[entry.state]:
            leads = f" to {at.readlink()}" if stat.S_ISLNK(status.st_mode) else ""
            if entry.state != State.FILE or not system.may_be_moved(at, status):
                raise StateError(
                    f"{entry.path}: a {_noun(status)}{leads} stands where the description has a "
                    f"{_NOUNS[FORMATS[entry.state]]}. {_remedy(entry)}"
                )
            return self._set_aside(entry, system.beside(at).name, f"{_noun(status)}{leads}")
        differences: list[Difference] = []
        before, written = None, None
        if entry.state in spec.IN_A_FILE:
            before = self._content(entry, at)
            entry = _with_whole_content(entry, before or b"")
            if before != entry.content:
                differences.append(Difference(Aspect.CONTENT))
            else:
                # where the clock was set back nobody knows
                written = min(system.written(status), time.time_ns())
                if system.is_ahead(status.st_mtime_ns):
                    is_then = f"{_clock(status.st_mtime_ns)}, which is yet to come"
                    differences.append(Difference(Aspect.TIME, is_then, _clock(written)))
        elif entry.state == State.LINK and (target := at.readlink()) != Path(entry.target):
            differences.append(Difference(Aspect.TARGET, str(target), entry.target))
        change = self._with_metadata(Change(entry, tuple(differences), before, written), status)
        if entry.recurse and stat.S_ISDIR(status.st_mode):
            change = self._with_ownership_below(change)
        return change if change.differences else None

    @staticmethod
    def _content(entry: Entry, at: Path) -> bytes | None:
        """Read what is there; None where a file can't be read of which nothing is kept."""
        try:
            return system.read(at, follow=False)
        except OSError:
            # what nobody could read afterwards, either, is left to its owner
            if entry.state == State.FILE and entry.mode is not None:
                return None
            raise

    def _set_aside(self, entry: Entry, name: str, in_its_place: str) -> Change | None:
        """Make what is described all the same, and keep what stands in its place beside it, under another name."""
        change = self._created(entry)
        if change is None:
            return None
        moved = Difference(Aspect.ASIDE, in_its_place, name)
        aside = entry.path.with_name(name)
        return dataclasses.replace(change, differences=(moved, *change.differences[1:]), aside=aside)

    def _created(self, entry: Entry) -> Change | None:
        entry = _with_whole_content(entry, b"")
        if entry.state in (State.ABSENT, State.OWNED) or (
            entry.state in (State.SECTION, State.VARIABLES) and not entry.content
        ):
            return None
        differences = [Difference(Aspect.CREATED, str(State.ABSENT), _NOUNS[FORMATS[entry.state]])]
        if entry.state in spec.IN_A_FILE:
            differences.append(Difference(Aspect.CONTENT))
        elif entry.state == State.LINK:
            differences.append(Difference(Aspect.TARGET, None, entry.target))
        return self._with_metadata(Change(entry, tuple(differences)), None)

    def _with_metadata(self, change: Change, status: os.stat_result | None) -> Change:
        entry = change.entry
        differences = list(change.differences)
        unknown: list[str] = []
        ids = {}
        for aspect, kind, wanted, now, id_of, name_of in (
            (Aspect.OWNER, "user", entry.owner, status and status.st_uid, self._uid, self._user_name),
            (Aspect.GROUP, "group", entry.group, status and status.st_gid, self._gid, self._group_name),
        ):
            ids[aspect] = LEAVE if now is None else now
            if wanted is None:
                continue
            number = id_of(wanted)
            if number is None:
                unknown.append(f"{kind} {wanted}")
            else:
                ids[aspect] = number
            if now is None or number != now:
                missing = f" (no such {kind} yet)" if number is None else ""
                before = None if now is None else name_of(now)
                differences.append(Difference(aspect, before, wanted + missing))
        mode_now = None if status is None else stat.S_IMODE(status.st_mode)
        if entry.mode is not None and entry.mode != mode_now:
            before = None if mode_now is None else f"{mode_now:04o}"
            differences.append(Difference(Aspect.MODE, before, f"{entry.mode:04o}"))
        mode = next(mode for mode in (entry.mode, mode_now, self._new_mode(entry)) if mode is not None)
        return dataclasses.replace(
            change,
            differences=tuple(differences),
            uid=ids[Aspect.OWNER],
            gid=ids[Aspect.GROUP],
            mode=mode,
            unknown=tuple(unknown),
        )

    def _new_mode(self, entry: Entry) -> int:
        if entry.secret:
            return 0o600
        return (0o777 if entry.state == State.DIRECTORY else 0o666) & ~self._umask

    def _with_ownership_below(self, change: Change) -> Change:
        """Add what lies below a directory and belongs to another."""
        entry = change.entry
        uid = self._uid(entry.owner) if entry.owner else None
        gid = self._gid(entry.group) if entry.group else None
        inside = {path: other for path, other in self._described.items() if entry.path in path.parents}
        repair = Repair(
            directory=entry.path,
            uid=LEAVE if uid is None else uid,
            gid=LEAVE if gid is None else gid,
            skipped=frozenset(inside),
            closed=frozenset(path for path, other in inside.items() if other.recurse or other.state == State.ABSENT),
        )
        strays = [str(path) for path, _descriptor in strays_of(repair, self._places)]
        if not strays:
            return change
        examples = ", ".join(strays[:_EXAMPLES_SHOWN]) + (", ..." if len(strays) > _EXAMPLES_SHOWN else "")
        after = ":".join(name for name in (entry.owner, entry.group) if name)
        below = Difference(Aspect.BELOW, f"{len(strays)} owned by others ({examples})", after)
        return dataclasses.replace(change, differences=(*change.differences, below), repair=repair)

    def _check_place(self, change: Change) -> None:
        """Refuse a change that the directory around it does not allow."""
        entry = change.entry
        stays = entry.state in (State.DIRECTORY, State.OWNED) and not change.created
        if not stays and entry.path.parent not in self._to_be_made:
            problem = self._directory_problem(entry.path.parent)
            if problem:
                raise StateError(f"{entry.path}: {problem}")

    def _ask_directory(self, path: Path) -> str | None:
        try:
            status = path.stat()
            inside = self._places.into(path) if stat.S_ISDIR(status.st_mode) else path
        except FileNotFoundError:
            return f"its directory {path} does not exist. Describe it too, with state directory, or make it."
        except OSError as error:
            return f"its directory {path} can't be looked at: {error.strerror}."
        if not stat.S_ISDIR(status.st_mode):
            return f"a {_noun(status)} stands where its directory {path} should be. Move it away."
        if not os.access(inside, os.W_OK | os.X_OK):
            return (
                f"its directory {path} ({self._user_name(status.st_uid)}:{self._group_name(status.st_gid)}, "
                f"{stat.S_IMODE(status.st_mode):04o}) can't be written by {self._user_name(os.geteuid())}. "
                "Run as its owner or with become, and see that it is not mounted read-only or immutable."
            )
        return None


def _with_whole_content(entry: Entry, before: bytes) -> Entry:
    """Give an entry with the content of the whole file, of which it may describe a part."""
    try:
        if entry.state is State.SECTION:
            if not yaml_section.HAS_YAML:
                raise StateError(
                    f"{entry.path}: {missing_required_lib('PyYAML')} Debian has it as {system.PACKAGES['yaml']}."
                )
            key, wanted = entry.key, entry.content
            content = yaml_section.put(before, key, wanted) if wanted else yaml_section.cut(before, key)
        elif entry.state is State.VARIABLES:
            content = environment_file.put(before, entry.variables)
        else:
            return entry
    except (yaml_section.SpliceError, environment_file.EnvironmentFileError) as error:
        raise StateError(f"{entry.path}: {error}") from None
    return dataclasses.replace(entry, content=content)


def _turn(entry: Entry) -> tuple[bool, int, int]:
    """Directories, files, links, absences, each from the root down; manifests when all of these are done."""
    return entry.last, list(State).index(entry.state), len(entry.path.parts)


def _clock(moment: int) -> str:
    """Write a moment, given in nanoseconds."""
    return datetime.datetime.fromtimestamp(moment / 1e9, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _remedy(entry: Entry) -> str:
    """Say what to do about what stands where something else is described."""
    if entry.state == State.DIRECTORY and entry.path.is_dir():
        return f"Write {os.path.realpath(entry.path)} in its place where that is meant, or move the link away."
    return "Move it away, or describe what is there."


def _noun(status: os.stat_result) -> str:
    return _NOUNS[stat.S_IFMT(status.st_mode)]


def _id(look_up: Callable[[str], int], name: str) -> int | None:
    """Give the number of an account, None where the host does not know it; a number stands for itself."""
    try:
        return look_up(name)
    except KeyError:
        number = int(name) if re.fullmatch("[0-9]{1,10}", name) else _NO_ID
        return number if number < _NO_ID else None


def _uid(name: str) -> int:
    return pwd.getpwnam(name).pw_uid


def _gid(name: str) -> int:
    return grp.getgrnam(name).gr_gid


def is_ownable(status: os.stat_result) -> bool:
    """Tell whether what has a status can be given to another account."""
    return stat.S_IFMT(status.st_mode) in _OWNABLE and not is_shared(status)


def is_shared(status: os.stat_result) -> bool:
    """Tell whether a file has another name, by which it may be another account's or a service's."""
    return stat.S_ISREG(status.st_mode) and status.st_nlink > 1


def strays_of(repair: Repair, places: Directories) -> Iterator[tuple[Path, int]]:
    """Find what below a directory belongs to another, each with a descriptor of the directory that it stands in.

    Whoever may write there could swap a directory for a link meanwhile; what is reached by its name from the descriptor
    stays what it was.
    """
    held = places.at(repair.directory)
    for top, subdirectories, files, descriptor in os.fwalk(held, onerror=_raise):
        above = repair.directory / Path(top).relative_to(held)
        paths = [above / name for name in (*subdirectories, *files)]
        subdirectories[:] = [name for name in subdirectories if above / name not in repair.closed]
        for path in paths:
            if path in repair.skipped:
                continue
            # A running server removes its files at any time.
            with suppress(FileNotFoundError):
                status = os.stat(path.name, dir_fd=descriptor, follow_symlinks=False)
                is_of_another = repair.uid not in (LEAVE, status.st_uid) or repair.gid not in (LEAVE, status.st_gid)
                if is_of_another and not is_shared(status):
                    yield path, descriptor


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
