# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What shall stand at which path, checked in itself."""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import shlex
import typing as t
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._host import (
    environment_file,
)
from ansible_collections.rosey.nats.plugins.module_utils._host.python import StrEnum


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


Redactor = Callable[[str], str]
Redactors = Mapping[str, Redactor]


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
IN_A_FILE = (State.FILE, State.SECTION, State.VARIABLES)
_LONGEST_NAME = 255  # bytes, NAME_MAX of linux/limits.h


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


# The description


def read_entries(entries: Iterable[Mapping[str, t.Any]], redactors: Redactors) -> dict[Path, Entry]:
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
    above = functools.cache(lambda directory: at_or_above(directory, described))
    for path, entry in described.items():
        nearest = next(iter(above(path.parent)), None)
        if nearest and nearest.state != State.DIRECTORY and {nearest.state, entry.state} != {State.ABSENT}:
            problems.append(
                f"{path}: it lies below {nearest.path}, which is described as {nearest.state}. "
                "Only a directory can hold something: correct one of the two."
            )
    if problems:
        raise StateError(" ".join(problems))
    return {path: inherited(entry, above(path.parent)) for path, entry in described.items()}


def _entry(raw: Mapping[str, t.Any], redactors: Redactors) -> Entry:
    path = _path(raw["path"])
    state = State(raw["state"])
    given_names = {name for name, value in raw.items() if value is not None and value is not False} - {"path", "state"}
    if raw.get("redact") == Redact.NONE:
        given_names.discard("redact")
    for name in sorted(given_names - _OPTIONS[state]):
        raise StateError(f"{path}: {name} has no meaning for state {state}. Leave it out.")
    for name in sorted(
        given_names & {"target", "owner", "group", "validate", "validate_user", "validate_group", "key", "reader"}
    ):
        if fault := _fault(raw[name]):
            raise StateError(f"{path}: {name} {raw[name]!r} {fault}. Correct it or leave it out.")
    if state == State.LINK and "target" not in given_names:
        raise StateError(f"{path}: target is missing. A link needs the path that it leads to.")
    if state == State.SECTION and not {"key", "content"} <= given_names:
        raise StateError(f"{path}: key or content is missing. A section needs both; content '' removes it.")
    secret = "secret_content" in given_names or state == State.VARIABLES
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
    contents = [raw[name] for name in ("content", "secret_content") if raw.get(name) is not None]
    if not contents:
        raise StateError(f"{path}: content is missing. A file needs content or secret_content; '' makes an empty file.")
    if len(contents) > 1:
        raise StateError(f"{path}: content and secret_content are both given. A file takes one of the two.")
    try:
        return bytes(contents[0].encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError as error:
        position = f"character {error.start}"
        # The error itself would carry the text on.
        raise StateError(f"{path}: {position} of the content can't be written as UTF-8. Give text or bytes.") from None


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
    if name is not None and not is_plain_name(name):
        raise StateError(
            f"{path}: manifest {name!r} is no name of a file in the directory itself. "
            "Give a name alone, such as .manifest."
        )
    return name or ""


def is_plain_name(name: object) -> bool:
    """Tell whether a name is one of a file, and no path."""
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


def at_or_above(directory: Path, described: Mapping[Path, Entry]) -> list[Entry]:
    """Give what is described at a path and above it, the nearest first."""
    return [described[path] for path in (directory, *directory.parents) if path in described]


def inherited(entry: Entry, above: Iterable[Entry]) -> Entry:
    """Give an entry the owner and group of the nearest directory above that repairs everything below itself.

    Without it, the repair and the entry would undo each other on every run.
    """
    repairing = next((directory for directory in above if directory.recurse), None)
    if repairing is None or entry.state == State.ABSENT:
        return entry
    return dataclasses.replace(entry, owner=entry.owner or repairing.owner, group=entry.group or repairing.group)
