# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Desired against observed: what of a described tree differs on this host, and how it gets there in one step.

`compare` looks and writes nothing. `apply` stages every new file and link beside its place, lets the validating
commands try the staged files, and only then renames them. `rehearse` is what check mode does instead of `apply`.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import grp
import itertools
import json
import operator
import os
import pwd
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
import typing as t
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.rosey.nats.plugins.module_utils._host import (
    access,
    environment_file,
    redaction,
    sealed,
    splice,
    system,
)
from ansible_collections.rosey.nats.plugins.module_utils._host.action import Action, Reason


class State(StrEnum):
    """What stands at a path, or in the file at a path."""

    DIRECTORY = "directory"
    OWNED = "owned"
    FILE = "file"
    SECTION = "section"
    VARIABLES = "variables"
    LINK = "link"
    ABSENT = "absent"


class Redact(StrEnum):
    """How much of a file's text a diff or an error may show."""

    NONE = "none"
    NATS_CONF = "nats_conf"
    ALL = "all"


Redactor: t.TypeAlias = "Callable[[str], str]"
Redactors: t.TypeAlias = "Mapping[str, Redactor]"


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


ENTRY_SPEC: dict[str, dict[str, t.Any]] = {
    "path": {"type": "path", "required": True},
    "state": {"type": "str", "required": True, "choices": [str(state) for state in State]},
    "content": {"type": "str"},
    "secret_content": {"type": "str", "no_log": True},
    "key": {"type": "str", "no_log": False},
    "variables": {"type": "dict"},
    "secret_variables": {"type": "dict", "no_log": True},
    "target": {"type": "str"},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "mode": {"type": "str"},
    "recurse": {"type": "bool", "default": False},
    "manifest": {"type": "str"},
    "validate": {"type": "str"},
    "validate_user": {"type": "str"},
    "validate_group": {"type": "str"},
    "shown_keys": {"type": "list", "elements": "str", "no_log": False},
    "redact": {"type": "str", "default": str(Redact.NONE), "choices": [str(redact) for redact in Redact]},
    "reader": {"type": "str"},
}

_OPTIONS: dict[State, frozenset[str]] = {
    State.DIRECTORY: frozenset({"owner", "group", "mode", "recurse", "manifest", "reader"}),
    State.OWNED: frozenset({"owner", "group", "mode", "recurse", "reader"}),
    State.FILE: frozenset(
        {"content", "secret_content", "owner", "group", "mode", "validate", "validate_user", "validate_group"}
        | {"redact", "shown_keys", "reader"}
    ),
    State.SECTION: frozenset({"key", "content", "owner", "group", "mode", "reader"}),
    State.VARIABLES: frozenset({"variables", "secret_variables", "owner", "group", "mode", "reader"}),
    State.LINK: frozenset({"target", "owner", "group", "reader"}),
    State.ABSENT: frozenset({"reader"}),
}
_IN_A_FILE = (State.FILE, State.SECTION, State.VARIABLES)
_FORMATS = {State.DIRECTORY: stat.S_IFDIR, State.LINK: stat.S_IFLNK, **dict.fromkeys(_IN_A_FILE, stat.S_IFREG)}
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
# What a section that somebody else wrote by hand may hold, in a comment too.
_MAY_BE_SECRET = re.compile(rb"(?i)pass|token|secret|seed|://[^\s/]*@")
_LONGEST_NAME = 255  # bytes, NAME_MAX of linux/limits.h
_LEAVE = -1  # chown(2): this id stays as it is
_UNKNOWN = -2  # of an account that the host does not have, and that nobody asks about
_NO_ID = 2**32 - 1  # which is -1 in the 32 bits of an id
_SHORTEST_SECRET_PART = 8  # characters; hiding fewer would cut common words and so betray that the secret holds them
_VALIDATE_SECONDS = 60
_FLUSHED_AT_ONCE = 16
_EXAMPLES_SHOWN = 3


class StateError(Exception):
    """The description, or the host, does not allow it. Its text is one or more whole sentences.

    touched: whether something has taken its place on the host before it failed.
    """

    def __init__(self, text: str, *, touched: bool = False) -> None:
        super().__init__(text)
        self.touched = touched


@dataclass(frozen=True)
class Entry:
    """One path as it was described, checked.

    content: the bytes of a file, or of a section; of a change, always those of the whole file. key: of the section.
    variables: what an environment file holds, None for what it must not. target: what a link leads to. validate: a
    command in which %s is the staged file, empty for none. validate_as: the user and group that run it, empty for
    whoever runs this and for the user's own. shown_keys: the keys of a YAML file whose values may be seen, none where
    the file is not told apart by keys. owner, group: a name, or a number as text; mode: permission
    bits; None leaves them as they are. manifest: the name of the file that lists what was put into a directory.
    reader: who has to take it up anew when it changes. last: whether it waits until all else is in place.
    redactor: what hides the secrets of its text where not all of that is hidden.
    """

    path: Path
    state: State
    content: bytes = field(default=b"", repr=False)
    secret: bool = False
    key: str = ""
    variables: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    target: str = ""
    owner: str | None = None
    group: str | None = None
    mode: int | None = None
    recurse: bool = False
    validate: str = ""
    validate_as: tuple[str, str] = ("", "")
    redact: Redact = Redact.NONE
    redactor: Redactor | None = None
    shown_keys: tuple[str, ...] = ()
    manifest: str = ""
    reader: str = ""
    last: bool = False


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
    uid: int = _LEAVE
    gid: int = _LEAVE
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


Label = Callable[[Path, Path], None]
"""Give the first path, new and not yet in use, the security label that the second one has or should have."""


@dataclass(frozen=True)
class Look:
    """What was found on this host.

    changes: what differs from the description, in the order in which it is to be made; an account that is not there yet
    is named in its change. strangers: what stands in a directory that has a manifest, and is neither described nor on
    the list; directories are left out.
    """

    changes: list[Change]
    strangers: list[str]


def look(entries: Iterable[Mapping[str, t.Any]], redactors: Redactors | None = None) -> Look:
    """Compare a description, entries as ENTRY_SPEC has them, with this host; write nothing.

    redactors: what hides the secrets of a text, by the word of `redact`; all of a text is hidden where it is missing.
    Raises StateError, with all that is wrong, for a description that can't be meant or that this host can't take.
    """
    described = _read(entries, redactors or {})
    changes = _Comparison(_with_manifests(described)).changes()
    return Look(changes, sorted(_strangers(described)))


def compare(entries: Iterable[Mapping[str, t.Any]], redactors: Redactors | None = None) -> list[Change]:
    """Give the changes alone, see `look`."""
    return look(entries, redactors).changes


def repairs(changes: Iterable[Change]) -> Iterator[Reason]:
    """Name who owns what is there, and what may be done with it, where that changes, which nobody reads anew."""
    for change in changes:
        for item in () if change.created else change.differences:
            # a time that is yet to come is told with what it means for who reads the file
            if item.aspect in METADATA - {Aspect.TIME}:
                yield Reason(f"{change.path} {item.aspect}", str(item.before), str(item.after), Action.NOTHING)


def outcome(changes: Iterable[Change], account: system.Account) -> access.Outcome:
    """Give what stands where once these changes are made. account: one that may be made before them."""
    at = {Path(os.path.realpath(change.entry.path)): change for change in changes if change.entry.state != State.LINK}
    repairs = [change for change in at.values() if change.repair]

    def found(path: Path, now: access.Step | None) -> access.Step | None:
        if path in at:
            return _step_of(at[path], now, account)
        repairing = next((each for each in repairs if each.repair and each.repair.covers(path)), None)
        return _owned_by(repairing, now, account) if repairing and now else now

    return found


def _step_of(change: Change, now: access.Step | None, account: system.Account) -> access.Step | None:
    entry = change.entry
    if entry.state == State.ABSENT:
        return None
    kind = now.kind if now else _FORMATS[entry.state]
    step = access.Step(entry.path, "", kind, os.geteuid(), os.getegid(), change.mode, bool(now and now.has_acl))
    return _owned_by(change, step, account)


def _owned_by(change: Change, step: access.Step, account: system.Account) -> access.Step:
    """Give what a path belongs to another by a change; an account that is not there yet has no number."""
    owner, group = change.entry.owner, change.entry.group
    uid, gid = change.uid, change.gid
    if f"user {owner}" in change.unknown:
        uid = account.uid if owner == account.name else _UNKNOWN
    if f"group {group}" in change.unknown:
        gid = account.gid if group == account.group else _UNKNOWN
    uid, gid = (
        before if number == _LEAVE and name is None else number
        for number, name, before in ((uid, owner, step.uid), (gid, group, step.gid))
    )
    return dataclasses.replace(step, uid=uid, gid=gid, owner=f"{system.user_name(uid)}:{system.group_name(gid)}")


def diff(changes: Iterable[Change]) -> list[dict[str, t.Any]]:
    """Make Ansible's diff of changes that were not applied yet: content and the rest as items of their own."""
    return [item for change in changes for item in _diff_items(change)]


def apply(changes: Sequence[Change], *, label: Label) -> None:
    """Bring the changes on to the host.

    Whatever fails before the first rename, a validating command among it, leaves the host as it was. Raises StateError.
    """
    unknown = sorted({account for change in changes for account in change.unknown})
    if unknown:
        lacking = ", ".join(unknown)
        raise StateError(
            f"This host has no {lacking}. Nothing was touched. Create it first, or name one that is there."
        )
    of_state = {state: [change for change in changes if change.entry.state == state] for state in State}
    with ExitStack() as made:
        for change in of_state[State.DIRECTORY]:
            _put_directory(change, made, label)
        with ExitStack() as temporary:
            new = [change for state in (*_IN_A_FILE, State.LINK) for change in of_state[state]]
            staged = [(change, _stage(change, temporary, label)) for change in new]
            _flush([(change.entry.path, name) for change, name in staged if change.entry.state in _IN_A_FILE])
            for change, name in staged:
                if change.entry.validate:
                    _validate(change, name)
            made.pop_all()
            _switch(staged, of_state[State.ABSENT], of_state[State.DIRECTORY], of_state[State.OWNED])


def rehearse(changes: Iterable[Change]) -> dict[str, str]:
    """Let the validating commands try private copies of the new files, as check mode can.

    Returns the reason for each path that could not be tried. Raises StateError where a command refuses its file.
    """
    untried = {}
    for change in changes:
        if not change.entry.validate:
            continue
        reason = _cannot_rehearse(change, shlex.split(change.entry.validate))
        if reason:
            untried[change.path] = reason
        else:
            _validate_copy(change)
    return untried


# The description


def _read(entries: Iterable[Mapping[str, t.Any]], redactors: Redactors) -> dict[Path, Entry]:
    """Check the description in itself and give its entries by path, with what they inherit."""
    described: dict[Path, Entry] = {}
    seen: dict[Path, Path] = {}
    problems: list[str] = []
    real_directory = functools.cache(os.path.realpath)
    for raw in entries:
        try:
            entry = _entry(raw, redactors)
            real = Path(real_directory(entry.path.parent), entry.path.name)
            if real in seen:
                same = "" if seen[real] == entry.path else f", there as {seen[real]}"
                raise StateError(f"{entry.path}: the path is described twice{same}. Describe it once.")
        except StateError as error:
            problems.append(str(error))
        else:
            seen[real] = entry.path
            described[entry.path] = entry
    # a thousand neighbours have the same above them
    above = functools.cache(lambda directory: _at_or_above(directory, described))
    for path, entry in described.items():
        nearest = next(iter(above(path.parent)), None)
        if nearest and nearest.state != State.DIRECTORY and {nearest.state, entry.state} != {State.ABSENT}:
            problems.append(
                f"{path}: it lies below {nearest.path}, which is described as {nearest.state}. "
                "Only a directory can hold something: correct one of the two."
            )
    if problems:
        raise StateError(" ".join(problems))
    return {path: _inherited(entry, above(path.parent)) for path, entry in described.items()}


def _entry(raw: Mapping[str, t.Any], redactors: Redactors) -> Entry:
    path = _path(raw["path"])
    state = State(raw["state"])
    given = {name for name, value in raw.items() if value is not None and value is not False} - {"path", "state"}
    if raw.get("redact") == Redact.NONE:
        given.discard("redact")
    for name in sorted(given - _OPTIONS[state]):
        raise StateError(f"{path}: {name} has no meaning for state {state}. Leave it out.")
    for name in sorted(
        given & {"target", "owner", "group", "validate", "validate_user", "validate_group", "key", "reader"}
    ):
        if fault := _fault(raw[name]):
            raise StateError(f"{path}: {name} {raw[name]!r} {fault}. Correct it or leave it out.")
    if state == State.LINK and "target" not in given:
        raise StateError(f"{path}: target is missing. A link needs the path that it leads to.")
    if state == State.SECTION and not {"key", "content"} <= given:
        raise StateError(f"{path}: key or content is missing. A section needs both; content '' removes it.")
    secret = "secret_content" in given or state == State.VARIABLES
    redact = Redact(raw.get("redact") or Redact.NONE)
    redactor = redactors.get(redact)
    is_hidden = redactor is None and (secret or redact != Redact.NONE)
    return Entry(
        path=path,
        state=state,
        content=_content(path, raw) if state in (State.FILE, State.SECTION) else b"",
        secret=secret,
        key=raw.get("key") or "",
        variables=_variables(path, raw) if state == State.VARIABLES else {},
        target=raw.get("target") or "",
        owner=raw.get("owner"),
        group=raw.get("group"),
        mode=_mode(path, raw.get("mode")),
        recurse=bool(raw.get("recurse")),
        validate=_command(path, raw.get("validate")),
        validate_as=(raw.get("validate_user") or "", raw.get("validate_group") or ""),
        redact=Redact.ALL if is_hidden else redact,
        redactor=redactor,
        shown_keys=tuple(raw.get("shown_keys") or ()),
        manifest=_plain_name(path, raw.get("manifest")),
        reader=raw.get("reader") or "",
    )


def _path(text: str) -> Path:
    wanted = "Give the whole path from the root, such as /etc/nats/nats-server.conf."
    if fault := _fault(text):
        raise StateError(f"path: {text!r} {fault}. {wanted}")
    if not text.startswith("/"):
        raise StateError(f"path: {text!r} is not absolute. {wanted}")
    if ".." in text.split("/"):
        raise StateError(f"path: {text!r} goes up with '..', which a link on the way makes another place. {wanted}")
    path = Path("/", text.lstrip("/"))
    if not path.name:
        raise StateError(f"path: {text!r} is the root directory, which is not to be described. {wanted}")
    return path


def _fault(text: str) -> str | None:
    """Say why the system can't take a text as a name."""
    if not text:
        return "is empty"
    if "\0" in text:
        return "holds a NUL character"
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return "can't be written in this host's encoding"
    return None


def _content(path: Path, raw: Mapping[str, t.Any]) -> bytes:
    given = [raw[name] for name in ("content", "secret_content") if raw.get(name) is not None]
    if not given:
        raise StateError(f"{path}: content is missing. A file needs content or secret_content; '' makes an empty file.")
    if len(given) > 1:
        raise StateError(f"{path}: content and secret_content are both given. A file takes one of the two.")
    try:
        return bytes(given[0].encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError as error:
        place = f"character {error.start}"
        # The error itself would carry the text on.
        raise StateError(f"{path}: {place} of the content can't be written as UTF-8. Give text or bytes.") from None


def _variables(path: Path, raw: Mapping[str, t.Any]) -> Mapping[str, str | None]:
    given = [raw.get(name) for name in ("variables", "secret_variables")]
    if given == [None, None]:
        raise StateError(f"{path}: variables is missing. Give names with their values; null removes a variable.")
    plain, secret = (each or {} for each in given)
    if both := sorted(plain.keys() & secret.keys()):
        raise StateError(f"{path}: {', '.join(both)}: given as variables and as secret_variables. Give each once.")
    variables = {**plain, **secret}
    try:
        environment_file.put(b"", variables)
    except environment_file.EnvironmentFileError as error:
        raise StateError(f"{path}: variables: {error}") from None
    return dict(variables)


def _plain_name(path: Path, name: str | None) -> str:
    if name is not None and not _is_plain_name(name):
        raise StateError(
            f"{path}: manifest {name!r} is no name of a file in the directory itself. "
            "Give a name alone, such as .manifest."
        )
    return name or ""


def _is_plain_name(name: object) -> bool:
    if not isinstance(name, str) or _fault(name):
        return False
    return "/" not in name and name not in (".", "..") and len(os.fsencode(name)) <= _LONGEST_NAME


def _mode(path: Path, text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch("0[0-7]{3,4}", text):
        raise StateError(
            f"{path}: mode {text!r} is not an octal mode in quotes. Write it with its leading zero, such as '0640'; "
            "without quotes YAML makes another number of it."
        )
    return int(text, 8)


def _command(path: Path, text: str | None) -> str:
    if text is None:
        return ""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise StateError(f"{path}: validate {text!r} can't be split into words: {error}. Close the quote.") from error
    if not any("%s" in word for word in words):
        raise StateError(f"{path}: validate {text!r} does not say where the file goes. Write %s in its place.")
    return text


def _at_or_above(directory: Path, described: Mapping[Path, Entry]) -> list[Entry]:
    """Give what is described at a path and above it, the nearest first."""
    return [described[path] for path in (directory, *directory.parents) if path in described]


def _inherited(entry: Entry, above: Iterable[Entry]) -> Entry:
    """Give an entry the owner and group of the nearest directory above that repairs everything below itself.

    Without it, the repair and the entry would undo each other on every run.
    """
    repairing = next((directory for directory in above if directory.recurse), None)
    if repairing is None or entry.state == State.ABSENT:
        return entry
    return dataclasses.replace(entry, owner=entry.owner or repairing.owner, group=entry.group or repairing.group)


# Manifests


def _with_manifests(described: dict[Path, Entry]) -> dict[Path, Entry]:
    """Add what each manifest asks for: itself, and the absence of a listed file that is no longer described."""
    every = dict(described)
    for directory in described.values():
        if not directory.manifest:
            continue
        path = directory.path / directory.manifest
        inside = _inside(directory, described)
        if directory.manifest in inside:
            raise StateError(f"{path}: it is described, and is the manifest of its directory. Give it another name.")
        names = sorted(name for name, state in inside.items() if state == State.FILE)
        listed = _listed(directory)
        if not names and not listed:
            continue
        content = (json.dumps(names, indent=0, ensure_ascii=False) + "\n").encode("utf-8", "surrogateescape")
        manifest = Entry(path, State.FILE, content=content, last=True)
        every[path] = _inherited(manifest, _at_or_above(path.parent, described))
        for name in set(listed) - inside.keys() - {directory.manifest}:
            stale = directory.path / name
            # Whatever took its place since then is not ours.
            if stale.is_file() and not stale.is_symlink():
                every[stale] = Entry(stale, State.ABSENT, reader=directory.reader)
    return every


def _inside(directory: Entry, described: Mapping[Path, Entry]) -> dict[str, State]:
    """Give the names that are described directly in a directory, whatever links lead there."""
    real = functools.cache(os.path.realpath)
    place = real(directory.path)
    return {at.name: entry.state for at, entry in described.items() if real(at.parent) == place}


def _listed(directory: Entry) -> list[str]:
    """Give the names that a directory's manifest lists."""
    path = directory.path / directory.manifest
    try:
        names = json.loads(system.read_text(path, "surrogateescape"))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StateError(f"{path}: it can't be looked at: {error.strerror}.") from error
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(map(_is_plain_name, names)):
        raise StateError(
            f"{path}: this manifest is no list of names of files, so somebody else wrote to it. "
            "Correct it, or remove it; then what it listed stays, and is named as strange."
        )
    return names


def _strangers(described: Mapping[Path, Entry]) -> Iterator[str]:
    for directory in described.values():
        if directory.manifest:
            known = {*_listed(directory), *_inside(directory, described), directory.manifest}
            for path in _files(directory.path):
                if path.name not in known and not sealed.is_temporary(path.name):
                    yield str(path)


def _files(directory: Path) -> list[Path]:
    """Give all that stands in a directory, which may be missing, and is no directory."""
    try:
        with os.scandir(directory) as found:
            return [Path(each.path) for each in found if not each.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StateError(f"{directory}: it can't be looked at: {error.strerror}.") from error


# Looking


class _Comparison:
    """One look at the host; it remembers each account and each directory that it has asked for."""

    def __init__(self, described: Mapping[Path, Entry]) -> None:
        self._described = described
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
        found: list[Change] = []
        for entry in sorted(self._with_parents(), key=_turn):
            try:
                change = self._change(entry)
                if change is not None:
                    self._check_place(change)
                    found.append(change)
            except StateError as error:
                problems.append(str(error))
            except OSError as error:
                problems.append(f"{entry.path}: it can't be looked at: {error.strerror}.")
        if problems:
            raise StateError(" ".join(problems))
        return found

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
                    every.setdefault(path, _inherited(missing, _at_or_above(path.parent, self._described)))
                except OSError:
                    break
        return list(every.values())

    def _change(self, entry: Entry) -> Change | None:
        try:
            status = entry.path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return self._created(entry)
        if entry.state == State.ABSENT:
            gone = Difference(Aspect.REMOVED, _noun(status), str(State.ABSENT))
            return Change(entry, (gone,))
        if entry.state == State.OWNED and stat.S_IFMT(status.st_mode) not in _OWNABLE:
            return None
        if entry.state != State.OWNED and stat.S_IFMT(status.st_mode) != _FORMATS[entry.state]:
            leads = f" to {entry.path.readlink()}" if stat.S_ISLNK(status.st_mode) else ""
            if entry.state != State.FILE or not system.may_be_moved(entry.path, status):
                raise StateError(
                    f"{entry.path}: a {_noun(status)}{leads} stands where the description has a "
                    f"{_NOUNS[_FORMATS[entry.state]]}. "
                    "Move it away, or describe what is there."
                )
            return self._set_aside(entry, f"{_noun(status)}{leads}")
        differences: list[Difference] = []
        before, written = None, None
        if entry.state in _IN_A_FILE:
            before = self._content(entry)
            entry = _with_whole_content(entry, before or b"")
            if before != entry.content:
                differences.append(Difference(Aspect.CONTENT))
            else:
                # where the clock was set back nobody knows
                written = min(system.written(status), time.time_ns())
                if system.is_ahead(status.st_mtime_ns):
                    is_then = f"{_clock(status.st_mtime_ns)}, which is yet to come"
                    differences.append(Difference(Aspect.TIME, is_then, _clock(written)))
        elif entry.state == State.LINK and (target := entry.path.readlink()) != Path(entry.target):
            differences.append(Difference(Aspect.TARGET, str(target), entry.target))
        change = self._with_metadata(Change(entry, tuple(differences), before, written), status)
        if entry.recurse and stat.S_ISDIR(status.st_mode):
            change = self._with_ownership_below(change)
        return change if change.differences else None

    @staticmethod
    def _content(entry: Entry) -> bytes | None:
        """Read what is there; None where a file can't be read of which nothing is kept."""
        try:
            return system.read(entry.path)
        except OSError:
            # what nobody could read afterwards, either, is left to its owner
            if entry.state == State.FILE and entry.mode is not None:
                return None
            raise

    def _set_aside(self, entry: Entry, found: str) -> Change | None:
        """Make what is described all the same, and keep what stands in its place beside it."""
        aside = system.beside(entry.path)
        change = self._created(entry)
        if change is None:
            return None
        moved = Difference(Aspect.ASIDE, found, aside.name)
        return dataclasses.replace(change, differences=(moved, *change.differences[1:]), aside=aside)

    def _created(self, entry: Entry) -> Change | None:
        entry = _with_whole_content(entry, b"")
        if entry.state in (State.ABSENT, State.OWNED) or (
            entry.state in (State.SECTION, State.VARIABLES) and not entry.content
        ):
            return None
        differences = [Difference(Aspect.CREATED, str(State.ABSENT), _NOUNS[_FORMATS[entry.state]])]
        if entry.state in _IN_A_FILE:
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
            ids[aspect] = _LEAVE if now is None else now
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
            uid=_LEAVE if uid is None else uid,
            gid=_LEAVE if gid is None else gid,
            skipped=frozenset(inside),
            closed=frozenset(path for path, other in inside.items() if other.recurse or other.state == State.ABSENT),
        )
        strays = [str(path) for path, _descriptor in _strays(repair)]
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
        except FileNotFoundError:
            return f"its directory {path} does not exist. Describe it too, with state directory, or make it."
        except OSError as error:
            return f"its directory {path} can't be looked at: {error.strerror}."
        if not stat.S_ISDIR(status.st_mode):
            return f"a {_noun(status)} stands where its directory {path} should be. Move it away."
        if not os.access(path, os.W_OK | os.X_OK):
            return (
                f"its directory {path} ({self._user_name(status.st_uid)}:{self._group_name(status.st_gid)}, "
                f"{stat.S_IMODE(status.st_mode):04o}) can't be written by {self._user_name(os.geteuid())}. "
                "Run as its owner or with become, and see that it is not mounted read-only or immutable."
            )
        return None


def _with_whole_content(entry: Entry, before: bytes) -> Entry:
    """Give an entry with the content of the whole file, of which it may describe a part."""
    try:
        match entry.state:
            case State.SECTION if not splice.HAS_YAML:
                raise StateError(
                    f"{entry.path}: {missing_required_lib('PyYAML')} Debian has it as {system.PACKAGES['yaml']}."
                )
            case State.SECTION if entry.content:
                content = splice.put(before, entry.key, entry.content)
            case State.SECTION:
                content = splice.cut(before, entry.key)
            case State.VARIABLES:
                content = environment_file.put(before, entry.variables)
            case _:
                return entry
    except (splice.SpliceError, environment_file.EnvironmentFileError) as error:
        raise StateError(f"{entry.path}: {error}") from None
    return dataclasses.replace(entry, content=content)


def _turn(entry: Entry) -> tuple[bool, int, int]:
    """Directories, files, links, absences, each from the root down; manifests when all of these are done."""
    return entry.last, list(State).index(entry.state), len(entry.path.parts)


def _clock(moment: int) -> str:
    """Write a moment, given in nanoseconds."""
    return datetime.datetime.fromtimestamp(moment / 1e9, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


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


def _strays(repair: Repair) -> Iterator[tuple[Path, int]]:
    """Find what below a directory belongs to another, each with a descriptor of the directory that it stands in.

    Whoever may write there could swap a directory for a link meanwhile; what is reached by its name from the descriptor
    stays what it was.
    """
    for top, subdirectories, files, descriptor in os.fwalk(repair.directory, onerror=_raise):
        paths = [Path(top, name) for name in (*subdirectories, *files)]
        subdirectories[:] = [name for name in subdirectories if Path(top, name) not in repair.closed]
        for path in paths:
            if path in repair.skipped:
                continue
            # A running server removes its files at any time.
            with suppress(FileNotFoundError):
                status = os.stat(path.name, dir_fd=descriptor, follow_symlinks=False)
                if repair.uid not in (_LEAVE, status.st_uid) or repair.gid not in (_LEAVE, status.st_gid):
                    yield path, descriptor


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


# Showing


def _diff_items(change: Change) -> Iterator[dict[str, t.Any]]:
    headers = {"before_header": change.path, "after_header": change.path}
    metadata = [item for item in change.differences if item.aspect != Aspect.CONTENT]
    if metadata:
        before, after = {}, {}
        for item in metadata:
            key = "state" if item.aspect in (Aspect.CREATED, Aspect.REMOVED) else str(item.aspect)
            if item.before is not None:
                before[key] = item.before
            if item.after is not None:
                after[key] = item.after
        yield {"before": before, "after": after, **headers}
    if len(metadata) < len(change.differences):
        old, new = change.before or b"", change.entry.content
        if change.entry.state == State.SECTION:
            # What else is in the file may be secret.
            old, new = (splice.find(text, change.entry.key) or b"" for text in (old, new))
            if _MAY_BE_SECRET.search(old + new):
                change = dataclasses.replace(change, entry=dataclasses.replace(change.entry, redact=Redact.ALL))
        shown_old, shown_new = _shown(old, change.entry), _shown(new, change.entry)
        if shown_old == shown_new and old != new:
            shown_new += "(what differs is hidden)\n"
        if change.entry.state == State.VARIABLES and (names := _names_that_differ(old, new)):
            shown_new += f"(what differs: {', '.join(names)})\n"
        yield {"before": shown_old, "after": shown_new, **headers}


def _names_that_differ(old: bytes, new: bytes) -> list[str]:
    before, after = environment_file.get(old), environment_file.get(new)
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _shown(content: bytes, entry: Entry) -> str:
    """Give the content of a file as far as it may be seen."""
    if not content:
        return ""
    if entry.redact == Redact.ALL:
        return "(hidden)\n"
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return f"({len(content)} bytes that are no text)\n"
    if entry.shown_keys:
        return "".join(_lines_of_keys(text, entry.shown_keys))
    return entry.redactor(text) if entry.redactor else text


def _lines_of_keys(text: str, keys: Collection[str]) -> Iterator[str]:
    """Give the lines of a YAML mapping with the values of these keys alone; what is not clearly theirs is hidden."""
    shown = False
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith("#"):
            # what is commented out may be secret as well
            continue
        if line.startswith((" ", "-", "\n")):
            if shown or not line.strip():
                yield line
            continue
        key = line.partition(":")[0].strip("\"'")
        shown = key in keys
        yield line if shown else f"{key if key.isidentifier() else ''}: {redaction.HIDDEN}\n"


def _without_secrets(said: str, entry: Entry) -> str:
    """Hide in what a command said every part of what must not be seen of the file."""
    if entry.redact == Redact.NONE:
        return said
    text = entry.content.decode(errors="replace")
    size = _SHORTEST_SECRET_PART
    cover = [False] * len(said)
    for value in _secret_values(text, entry.redactor) if entry.redactor else _all_values(text):
        parts = {value[start : start + size] for start in range(len(value) - size + 1)}
        found = [range(start, start + size) for start in range(len(said)) if said[start : start + size] in parts]
        if 0 < len(value) < size:
            # Hidden inside of words and positions, as in file:6:1, it would take the message with it.
            found = [range(*match.span()) for match in re.finditer(rf"(?<![\w:/-]){re.escape(value)}(?![\w/-])", said)]
        for at in itertools.chain.from_iterable(found):
            cover[at] = True
    pieces = []
    for covered, run in itertools.groupby(zip(cover, said, strict=True), key=operator.itemgetter(0)):
        pieces.append(redaction.HIDDEN if covered else "".join(character for _covered, character in run))
    return "".join(pieces)


def _secret_values(text: str, redactor: Redactor) -> list[str]:
    """Find what a redactor takes out of a text; all of the text where that can't be told."""
    first, *rest = re.split(f'"?{re.escape(redaction.HIDDEN)}"?', redactor(text))
    if not text.startswith(first):
        return _all_values(text)
    values, at = [], len(first)
    for piece in rest:
        end = text.find(piece, at) if piece else len(text)
        if end < 0:
            return _all_values(text)
        values.append(text[at:end].strip("\"'"))
        at = end + len(piece)
    return values if at == len(text) else _all_values(text)


def _all_values(text: str) -> list[str]:
    return [text, *re.findall(r"[^\s\"'(){}\[\],;:=]{3,}", text)]


# Doing


@contextmanager
def _explained(path: Path, doing: str, already: Collection[Path] = ()) -> Iterator[None]:
    """Say of a system error which path it met, and what it left behind."""
    try:
        yield
    except OSError as error:
        advice = system.remedy(path, error)
        outcome = f"Already done: {', '.join(map(str, already))}." if already else "No file was changed."
        text = " ".join(filter(None, (system.failure(path, doing, error), advice, outcome)))
        raise StateError(text, touched=bool(already)) from error


def _put_directory(change: Change, made: ExitStack, label: Label) -> None:
    """Make a directory or set its metadata; `made` takes what undoes it."""
    path = change.entry.path
    with _explained(path, "making the directory" if change.created else "setting owner and mode"):
        if change.created:
            path.mkdir(0o700)
            made.callback(_undo, path.rmdir)
            label(path, path)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            now = os.fstat(descriptor)
            if not change.created:
                made.callback(_undo, path.chmod, stat.S_IMODE(now.st_mode))
                made.callback(_undo, os.chown, path, now.st_uid, now.st_gid)
            _set_metadata(descriptor, change)
        finally:
            os.close(descriptor)


def _set_metadata(descriptor: int, change: Change) -> None:
    """Owner first: a change of owner may clear bits of the mode."""
    if (change.uid, change.gid) != (_LEAVE, _LEAVE):
        os.fchown(descriptor, change.uid, change.gid)
    os.fchmod(descriptor, change.mode)


def _undo(action: Callable[..., None], *arguments: t.Any) -> None:
    # The failure that leads here is the one to be told.
    with suppress(OSError):
        action(*arguments)


def _stage(change: Change, temporary: ExitStack, label: Label) -> Path:
    """Write a new file or link beside its place, ready but for its name; `temporary` takes what removes it."""
    # The end of the name stays, since a validating command may go by it.
    name = change.entry.path.with_name(f"{sealed.temporary_name()}.{change.entry.path.name[-50:]}")
    with _explained(change.entry.path, f"staging it ({len(change.entry.content)} bytes)"):
        if change.entry.state == State.LINK:
            name.symlink_to(change.entry.target)
            temporary.callback(_undo, name.unlink)
            os.chown(name, change.uid, change.gid, follow_symlinks=False)
        else:
            _write(change, name, temporary)
        label(name, change.entry.path)
    return name


def _write(change: Change, name: Path, temporary: ExitStack) -> None:
    """Write the content to a new file that only this user can read until it has its owner and mode."""
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    temporary.callback(_undo, name.unlink)
    try:
        rest = memoryview(change.entry.content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        _set_metadata(descriptor, change)
        if change.written is not None:
            # who has read this content need not read it again
            os.utime(descriptor, ns=(change.written, change.written))
    finally:
        os.close(descriptor)


def _validate(change: Change, name: Path) -> None:
    """Let the validating command try the file `name`."""
    entry = change.entry
    words = [word.replace("%s", str(name)) for word in shlex.split(entry.validate)]
    command = f"{entry.path}: `{entry.validate}`"
    try:
        done = subprocess.run(
            words,
            **_runs_as(entry),
            cwd="/",  # where a service is started
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_VALIDATE_SECONDS,
        )
    except KeyError as error:
        raise StateError(
            f"{command} can't be run as {' and '.join(filter(None, entry.validate_as))}, since this host "
            "lacks one of these. Nothing was changed. Create it first, or name one that is there."
        ) from error
    except OSError as error:
        raise StateError(f"{command} can't be run: {error.strerror}. No file was changed.") from error
    except subprocess.TimeoutExpired as error:
        raise StateError(f"{command} was still running after {_VALIDATE_SECONDS} s. No file was changed.") from error
    if done.returncode:
        said = b"\n".join(part.strip() for part in (done.stderr, done.stdout) if part.strip()).decode(errors="replace")
        # It names the staged file, which nobody knows; and the path is no secret, whatever the file holds.
        said = str(entry.path).join(_without_secrets(piece, entry) for piece in said.split(str(name)))
        outcome = f"refused it with exit status {done.returncode}. No file was changed."
        raise StateError(f"{command} {outcome} It said: {said or '(nothing)'}")


def _runs_as(entry: Entry) -> dict[str, t.Any]:
    """Give what subprocess takes to run a command as a service runs, with its user's groups; KeyError."""
    user, group = entry.validate_as
    return system.run_as(system.account(user, group)) if user and os.geteuid() == 0 else {}


def _cannot_rehearse(change: Change, words: Sequence[str]) -> str | None:
    """Say why a command can't try a file before the host has what the command needs."""
    if change.unknown:
        return f"this host has no {', '.join(change.unknown)} yet"
    try:
        _runs_as(change.entry)
    except KeyError as error:
        return f"this host has no account as that which runs it yet ({error.args[0]})"
    if shutil.which(words[0]) is None:
        return f"{words[0]} is not there yet"
    parts = [Path(part) for word in words for part in re.split("[:=,]", word) if part.startswith("/")]
    if change.entry.path.parent in parts:
        return f"the command names {change.entry.path.parent}, so it can only try the file in its place"
    return next((f"{part} is not there yet" for part in parts if not part.exists()), None)


def _validate_copy(change: Change) -> None:
    """Let the validating command try a copy in a private directory, with the file's neighbours linked beside it."""
    entry = change.entry
    place = Path(tempfile.gettempdir(), entry.path.name)
    with (
        _explained(place, f"writing a copy of {entry.path} to be validated"),
        tempfile.TemporaryDirectory(prefix="rosey-") as made,
        ExitStack() as temporary,
    ):
        directory = Path(made)
        copy = directory / entry.path.name
        if entry.path.parent.is_dir():
            for neighbour in entry.path.parent.iterdir():
                if neighbour != entry.path:
                    (directory / neighbour.name).symlink_to(neighbour)
        _write(change, copy, temporary)
        os.chown(directory, change.uid, change.gid)
        # The command may run as another user: who may read the file may come in, and nobody may look around.
        directory.chmod(0o700 | (change.mode & (0o040 if entry.secret else 0o044)) >> 2)
        _validate(change, copy)


def _switch(
    staged: Sequence[tuple[Change, Path]],
    gone: Sequence[Change],
    directories: Sequence[Change],
    owned: Sequence[Change],
) -> None:
    """Rename what was staged, remove what shall be absent, repair ownership; then see it all on the disk.

    A manifest comes last, so that what was not yet removed is still listed when this is cut off.
    """
    done: list[Path] = []
    for last in (False, True):
        for change, name in staged:
            if change.entry.last == last:
                with _explained(change.entry.path, "renaming it into place", done):
                    if change.aside:
                        change.entry.path.rename(change.aside)
                    name.rename(change.entry.path)
                done.append(change.entry.path)
        for change in () if last else gone:
            with _explained(change.entry.path, "removing it", done):
                _remove(change.entry.path)
            done.append(change.entry.path)
    for change in owned:
        with _explained(change.entry.path, "setting owner and mode", done):
            _own_itself(change)
        done.append(change.entry.path)
    for change in (*directories, *owned):
        if change.repair is not None:
            with _explained(change.entry.path, "repairing the ownership below it", done):
                _own(change.repair)
    applied = (*(change for change, _temporary in staged), *gone, *directories)
    changed = {change.entry.path.parent for change in applied}
    # One of them may have been removed with all that was in it.
    _flush([(directory, directory) for directory in changed if directory.exists()], done)


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _own_itself(change: Change) -> None:
    """Set the metadata of what is there, also where it is written to meanwhile."""
    with suppress(FileNotFoundError):
        descriptor = os.open(change.entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if stat.S_IFMT(os.fstat(descriptor).st_mode) in _OWNABLE:
                _set_metadata(descriptor, change)
        finally:
            os.close(descriptor)


def _own(repair: Repair) -> None:
    for path, descriptor in _strays(repair):
        with suppress(FileNotFoundError):
            os.chown(path.name, repair.uid, repair.gid, dir_fd=descriptor, follow_symlinks=False)


def _flush(paths: Iterable[tuple[Path, Path]], already: Collection[Path] = ()) -> None:
    """See files or directories on the disk; with each of them the path to be named where that fails."""

    def flush(path: Path, name: Path) -> None:
        with _explained(path, "writing it to the disk", already):
            system.flush(name)

    # The disk takes several at a time: a thousand files are through in a seventh of the time.
    with ThreadPoolExecutor(_FLUSHED_AT_ONCE) as pool:
        list(pool.map(lambda pair: flush(*pair), paths))
