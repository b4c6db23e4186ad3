# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a host's deployments can be taken away, what has to stay, and taking it away.

A file that was deployed goes, a directory only when nothing is left in it, and nothing that somebody else uses, or that
lies behind a link or a mount. So whatever is not known stays, and is named.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import typing as t
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._bus import remains, removal_guard
from ansible_collections.rosey.nats.plugins.module_utils._bus.remains import Data, Remains
from ansible_collections.rosey.nats.plugins.module_utils._data import store, store_tree, store_users
from ansible_collections.rosey.nats.plugins.module_utils._data.assets import Assets
from ansible_collections.rosey.nats.plugins.module_utils._host import (
    atomic_file,
    figures,
    system,
    unit_file,
    yaml_section,
)
from ansible_collections.rosey.nats.plugins.module_utils._host.held import Directories
from ansible_collections.rosey.nats.plugins.module_utils._host.tree import apply, compare, spec
from ansible_collections.rosey.nats.plugins.module_utils._server import archive, programs

_NAMED = 5
TELL_DATA = "data; -e remove_data=true takes it too"
CHANGED = "it is not as it was deployed"
# a log that was rotated has its moment behind the name (server/log.go)
_ROTATED = re.compile(r"(\.\d+)+")


class RemovalError(Exception):
    """Why something can't be taken away: whole sentences."""


@dataclass(frozen=True)
class Taken:
    """What goes. what: a file, a unit, a link, a directory, or all of a tree."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.what} {self.path}"


@dataclass(frozen=True)
class Kept:
    """What stays. path: or what else it is."""

    path: str
    why: str

    def __str__(self) -> str:
        return f"{self.path}: {self.why}"


@dataclass(frozen=True)
class Look:
    """What was found. takes: in the order in which it goes. changes: of files that somebody else keeps."""

    takes: tuple[Taken, ...]
    keeps: tuple[Kept, ...]
    changes: tuple[compare.Change, ...] = field(default=(), repr=False)

    @property
    def said(self) -> list[str]:
        """Name all that goes, a line each."""
        return [*(_said_of_change(each) for each in self.changes), *map(str, self.takes)]


def look(known: Remains, others: removal_guard.Others, *, data: bool) -> Look:
    """Look at the host; StateError, StoreError, OSError. data: whether streams, logs and copies go as well."""
    return _Looking(known, others, data=data).result()


class _Looking:
    """One look: what goes is noted in its order, and what stays with its reason."""

    def __init__(self, known: Remains, others: removal_guard.Others, *, data: bool) -> None:
        self._known, self._others, self._data = known, others, data
        self._takes: dict[str, Taken] = {}
        self._keeps: dict[str, Kept] = {}
        # by directory, the link that leads into it and stays
        self._led: dict[str, str] = {}
        self._places = removal_guard.Places([*known.directories, *known.data.directories, *known.data.copies])

    def result(self) -> Look:
        listed = self._listed()
        for path in sorted({*self._known.files, *listed}):
            self._file(path)
        for link in self._known.links:
            self._link(link)
        for directory in self._known.programs:
            user = self._led.get(directory) or self._others.use_of_program(Path(directory), self._known.links)
            for name in (programs.EXECUTABLE, archive.VERIFIED):
                self._whole(Path(directory, name), "file", user)
        for path in self._known.pid_files:
            self._whole(Path(path), "file")
        self._of_data()
        self._directories()
        for unit in self._known.units:
            if Path(f"{unit}.d").is_dir():
                self._keeps[f"{unit}.d"] = Kept(f"{unit}.d", "it was put there by somebody else")
        return Look(tuple(self._takes.values()), tuple(self._keeps.values()), tuple(self._changes()))

    def _changes(self) -> list[compare.Change]:
        """Find what of the deployments stands in files of others."""
        there = [
            part
            for part in self._known.parts_of_files
            if Path(part["path"]).is_file() and (part["state"] != spec.State.SECTION or yaml_section.HAS_YAML)
        ]
        return compare.compare(there)

    def _listed(self) -> set[str]:
        """Name what the list of a directory says was put there, and the list itself."""
        names: set[str] = set()
        for directory, name in self._known.manifests.items():
            if Path(directory, name).is_file():
                entry = {"path": directory, "state": str(spec.State.DIRECTORY), "manifest": name}
                changes = compare.compare([entry])
                names |= {each.path for each in changes if each.entry.state is spec.State.ABSENT}
                names.add(f"{directory}/{name}")
        return names

    def _file(self, path: str) -> None:
        contents = self._known.files.get(path, frozenset())
        reason = self._others.active_units.get(path, "")
        is_list = any(path == str(Path(*each)) for each in self._known.manifests.items())
        if Path(path).is_file() and not is_list and not reason:
            is_known = system.read(Path(path)).decode("utf-8", "surrogateescape") in contents
            reason = "" if is_known else CHANGED
        self._whole(Path(path), "unit" if unit_file.is_unit(path) else "file", reason)

    def _link(self, path: str) -> None:
        link = Path(path)
        if not link.is_symlink():
            if os.path.lexists(path):
                self._keeps[path] = Kept(path, "it is no link, as a deployment makes it")
            return
        target = Path(os.path.normpath(link.parent / link.readlink()))
        if not any(Path(each) == target.parent for each in self._known.programs):
            self._keeps[path] = Kept(path, f"it leads to {target}, which was not deployed here")
        elif user := self._others.use(link) or self._others.use(target):
            self._keeps[path] = Kept(path, user)
            self._led[str(target.parent)] = f"{path} leads to it, and stays, since {user}"
        else:
            self._takes[path] = Taken(path, "link")

    def _whole(self, path: Path, what: str, reason: str = "") -> None:
        """Note a file, which goes unless something else stands there or somebody else needs it, or for a reason."""
        try:
            status = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return
        strange = "" if stat.S_ISREG(status.st_mode) else "it is no file, as a deployment makes it"
        self._note(path, what, strange or reason)

    def _tree(self, path: Path, what: str) -> None:
        """Note a directory, which goes with all that is in it."""
        if not os.path.lexists(path):
            return
        reason = "it is a link" if path.is_symlink() else self._places.strange_below(path)
        self._note(path, what, reason)

    def _note(self, path: Path, what: str, reason: str) -> None:
        reason = reason or self._places.obstacle(path) or self._others.use(path)
        if reason:
            self._keeps[str(path)] = Kept(str(path), reason)
        else:
            self._takes[str(path)] = Taken(str(path), what)

    def _of_data(self) -> None:
        for path, what in data_of(self._known.data):
            if not self._data:
                self._keeps[str(path)] = Kept(str(path), TELL_DATA)
            elif path.is_dir():
                self._tree(path, what)
            else:
                self._whole(path, what)

    def _directories(self) -> None:
        """Note the directories in which nothing is left, the deepest first."""
        data = self._known.data
        every = {*self._known.directories, *self._known.programs, *data.directories, *data.copies}
        for name in sorted(every, key=lambda each: (-each.count("/"), each)):
            path = Path(name)
            if not path.is_dir():
                continue
            left = [each for each in sorted(path.iterdir()) if not self._goes(each)]
            untold = [each.name for each in left if not self._is_told(each)]
            if untold:
                more = ", ..." if len(untold) > _NAMED else ""
                self._keeps[name] = Kept(name, f"it holds {', '.join(untold[:_NAMED])}{more}")
            elif not left:
                self._note(path, "directory", "it is a link" if path.is_symlink() else "")

    def _goes(self, path: Path) -> bool:
        return str(path) in self._takes or atomic_file.is_temporary(path.name)

    def _is_told(self, path: Path) -> bool:
        return any(path == Path(each) or path in Path(each).parents for each in self._keeps)


def data_of(data: Data) -> Iterator[tuple[Path, str]]:
    """Give what is there of data, each with what it is."""
    for each in data.stores:
        if os.path.lexists(path := Path(each, store_tree.DATA)):
            yield path, "store"
    for each in data.logs:
        log = Path(each)
        with suppress(FileNotFoundError, NotADirectoryError):
            for path in sorted(log.parent.iterdir()):
                if path == log or (path.name.startswith(log.name) and _ROTATED.fullmatch(path.name[len(log.name) :])):
                    yield path, "log"
    for each in data.copies:
        for copy in store.list_copies(Path(each))[0]:
            yield copy.path, "copy of the store"


def _said_of_change(change: compare.Change) -> str:
    entry = change.entry
    if entry.state is spec.State.SECTION:
        return f"section {entry.key}: of {entry.path}"
    names = (each for each in sorted(entry.variables) if each.encode() in (change.before or b""))
    return f"variables {', '.join(names)} of {entry.path}"


# Taking it away


def check_at_rest(known: Remains, others: removal_guard.Others, *, data: bool) -> None:
    """Make sure that the server has ended and, where it goes, that nobody has the data; RemovalError, StoreError."""
    if others.own:
        raise RemovalError(
            f"{others.own[0]} still runs; expected it to be stopped, before its files go. Nothing was taken away. "
            "Stop it, and run again."
        )
    for directory in known.data.stores if data else ():
        if users := store_users.users(Path(directory)):
            raise RemovalError(
                f"{directory}/{store_tree.DATA}: {', '.join(users[: store_users.SHOWN_USERS])} has it in use; expected "
                "nobody. Nothing was taken away. End that, and run again."
            )


def take(going: Look, label: apply.Label) -> list[Kept]:
    """Take away what was found to go, and give what stayed all the same; RemovalError, StateError."""
    apply.apply(going.changes, label=label)
    stayed = []
    with Directories() as places:
        for taken in going.takes:
            path = Path(taken.path)
            try:
                _take(places.at(path), taken.what)
            except FileNotFoundError:
                continue
            except OSError as error:
                if taken.what != "directory":
                    raise RemovalError(system.failure(path, "taking it away", error)) from error
                stayed.append(Kept(taken.path, f"it could not be taken away: {error.strerror}"))
    flush({Path(taken.path).parent for taken in going.takes})
    return stayed


def _take(path: Path, what: str) -> None:
    if what == "directory":
        atomic_file.sweep(path)
        path.rmdir()
    elif path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def flush(directories: Collection[Path]) -> None:
    """See on the disk that what was in directories is gone: what knows of it goes after that."""
    for directory in directories:
        with suppress(FileNotFoundError):
            system.flush(directory)


# What a host keeps of its deployments


def forget(releases: Path, kept: Mapping[str, t.Any] | None) -> None:
    """Take away what the host keeps of its deployments, the lease last; ReleaseError, RemovalError.

    kept: of what stays on the host and is to be known of later, with its owners; None for nothing.
    """
    if kept:
        atomic_file.write(releases / remains.KEPT, kept)
    places = [each for each in removal_guard.records(releases) if kept is None or each.name != remains.KEPT]
    try:
        atomic_file.sweep(releases)
        for path in places:
            if path.is_dir():
                atomic_file.sweep(path)
                with suppress(OSError):
                    path.rmdir()
            else:
                path.unlink()
        flush([releases])
        if not any(releases.iterdir()):
            releases.rmdir()
    except FileNotFoundError:
        return
    except OSError as error:
        raise RemovalError(system.failure(Path(error.filename or releases), "taking it away", error)) from error


def streams(assets: Assets, *, data: bool) -> tuple[list[str], list[str]]:
    """Tell which streams are lost, and which stay, a line each; one in memory ends with its server."""
    lost: list[str] = []
    stays: list[str] = []
    for stream in assets.in_order():
        in_memory = stream.storage == "memory"
        (lost if data or in_memory else stays).append(
            f"stream {stream}: {_number(stream.messages)} messages, {_size(stream.bytes)}"
            f"{', kept in memory alone' if in_memory else ''}"
        )
    return lost, stays


def _number(count: int | None) -> str:
    return "an unknown number of" if count is None else str(count)


def _size(count: int | None) -> str:
    return "of an unknown size" if count is None else figures.size(count)


# The accounts


def accounts(known: Remains, going: Look, others: removal_guard.Others) -> tuple[list[str], list[str], list[Kept]]:
    """Name the users and groups that go, and those that stay, with the reason.

    One goes when nothing is left of it, and only as a deployment makes it.
    """
    users: list[str] = []
    groups: list[str] = []
    keeps: list[Kept] = []
    left = [Path(account.path) for account in going.keeps if account.path.startswith("/")]
    for account in known.data.accounts:
        for kind, name, reason in removal_guard.reasons_to_stay(account, left, others, users):
            if reason:
                keeps.append(Kept(f"{kind} {name}", reason))
            else:
                (users if kind == "user" else groups).append(name)
    return users, groups, keeps
