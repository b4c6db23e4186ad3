# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a described tree comes about in one step, all of it or nothing."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
import typing as t
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rosey.nats.plugins.module_utils._host import (
    atomic_file,
    system,
)
from ansible_collections.rosey.nats.plugins.module_utils._host.held import Directories
from ansible_collections.rosey.nats.plugins.module_utils._host.tree import compare, show, spec
from ansible_collections.rosey.nats.plugins.module_utils._host.tree.compare import Change, Repair
from ansible_collections.rosey.nats.plugins.module_utils._host.tree.spec import Entry, State, StateError

_VALIDATE_SECONDS = 60
_FLUSHED_AT_ONCE = 16


Label = Callable[[Path, Path], None]
"""Give the first path, new and not yet in use, the security label that the second one has or should have.

A file that is staged has another name than its place.
"""


def label_with(module: AnsibleModule) -> Label:
    """Give a function that labels a new path for SELinux: as what it replaces, or as the policy says for its place."""

    def label(new: Path, stands_at: Path) -> None:
        replaced = new.name != stands_at.name and os.path.lexists(stands_at)
        context = module.selinux_context(str(stands_at)) if replaced else module.selinux_default_context(str(stands_at))
        module.set_context_if_different(str(new), context, changed=False)

    return label


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
    with Directories() as places, ExitStack() as opened, ExitStack() as made:
        for change in of_state[State.DIRECTORY]:
            _put_directory(change, places, opened, made, label)
        with ExitStack() as temporary:
            new = [change for state in (*spec.IN_A_FILE, State.LINK) for change in of_state[state]]
            staged = [(change, _stage(change, places, temporary, label)) for change in new]
            files = [(change.entry.path, name) for change, name in staged if change.entry.state in spec.IN_A_FILE]
            _flush([(path, places.at(name)) for path, name in files])
            for change, name in staged:
                if change.entry.validate:
                    _validate(change, *_trial(change, name, staged, places, temporary))
            made.pop_all()
            _switch(places, staged, of_state[State.ABSENT], of_state[State.DIRECTORY], of_state[State.OWNED])


def rehearse(changes: Sequence[Change]) -> dict[str, str]:
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
            _validate_copy(change, [each for each in changes if each is not change])
    return untried


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


def _put_directory(change: Change, places: Directories, opened: ExitStack, made: ExitStack, label: Label) -> None:
    """Make a directory or set its metadata; `made` takes what undoes it, and `opened` what that needs."""
    path = change.entry.path
    with _explained(path, "making the directory" if change.created else "setting owner and mode"):
        at = places.at(path)
        if change.created:
            at.mkdir(0o700)
            made.callback(_undo, at.rmdir)
            label(at, path)
        descriptor = os.open(at, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        opened.callback(os.close, descriptor)
        now = os.fstat(descriptor)
        if not change.created:
            made.callback(_undo, os.fchmod, descriptor, stat.S_IMODE(now.st_mode))
            made.callback(_undo, os.fchown, descriptor, now.st_uid, now.st_gid)
        _set_metadata(descriptor, change)


def _set_metadata(descriptor: int, change: Change) -> None:
    """Owner first: a change of owner may clear bits of the mode."""
    if (change.uid, change.gid) != (compare.LEAVE, compare.LEAVE):
        os.fchown(descriptor, change.uid, change.gid)
    os.fchmod(descriptor, change.mode)


def _undo(action: Callable[..., None], *arguments: t.Any) -> None:
    # The failure that leads here is the one to be told.
    with suppress(OSError):
        action(*arguments)


def _name_beside(path: Path) -> Path:
    """Give a new name beside a path. Its end stays, since a validating command may go by it."""
    return path.with_name(f"{atomic_file.temporary_name()}.{path.name[-50:]}")


def _stage(change: Change, places: Directories, temporary: ExitStack, label: Label) -> Path:
    """Write a new file or link beside its place, ready but for its name; `temporary` takes what removes it."""
    name = _name_beside(change.entry.path)
    with _explained(change.entry.path, f"staging it ({len(change.entry.content)} bytes)"):
        at = places.at(name)
        if change.entry.state == State.LINK:
            at.symlink_to(change.entry.target)
            temporary.callback(_undo, at.unlink)
            os.chown(at, change.uid, change.gid, follow_symlinks=False)
        else:
            _write(change, at, temporary)
        label(at, change.entry.path)
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


def _trial(
    change: Change, name: Path, staged: Sequence[tuple[Change, Path]], places: Directories, temporary: ExitStack
) -> tuple[Path, dict[Path, Path]]:
    """Give the file that a validating command tries, and where it finds each one that changes with it.

    The staged file itself, or a copy of it that names the others as they are staged: what it says of them in their
    places would be of those from before.
    """
    others = {
        other.entry.path: as_name for other, as_name in staged if other is not change and _names(change, other.entry)
    }
    if not others:
        return name, others
    copy = _name_beside(change.entry.path)
    with _explained(change.entry.path, "writing a copy of it to be validated"):
        _write(_renamed(change, others), places.at(copy), temporary)
    return copy, others


def _names(change: Change, other: Entry) -> bool:
    """Tell whether the content of a file names another one."""
    return bool(re.search(_path_alone(other.path), change.entry.content))


def _renamed(change: Change, names: Mapping[Path, Path]) -> Change:
    """Give a file with other names for the paths in its content."""
    content = change.entry.content
    for path, name in names.items():
        content = re.sub(_path_alone(path), os.fsencode(name).replace(b"\\", rb"\\"), content)
    return replace(change, entry=replace(change.entry, content=content))


def _path_alone(path: Path) -> bytes:
    return rb"(?<![\w./-])%b(?![\w./-])" % re.escape(os.fsencode(path))


def _validate(change: Change, name: Path, others: Mapping[Path, Path]) -> None:
    """Let the validating command try the file `name`, which finds the others under their names."""
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
        output = b"\n".join(part.strip() for part in (done.stderr, done.stdout) if part.strip()).decode(
            errors="replace"
        )
        # It names the staged files, which nobody knows; and the path is no secret, whatever the file holds.
        for path, as_name in others.items():
            output = output.replace(str(as_name), str(path))
        output = str(entry.path).join(show.without_secrets(piece, entry) for piece in output.split(str(name)))
        outcome = f"refused it with exit status {done.returncode}. No file was changed."
        raise StateError(f"{command} {outcome} It said: {output or '(nothing)'}")


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


def _validate_copy(change: Change, others: Iterable[Change]) -> None:
    """Let the validating command try a copy in a private directory, with the file's neighbours linked beside it.

    others: what changes with it; of those that it names there are copies, too.
    """
    entry = change.entry
    trial = Path(tempfile.gettempdir(), entry.path.name)
    with (
        _explained(trial, f"writing a copy of {entry.path} to be validated"),
        tempfile.TemporaryDirectory(prefix="rosey-") as made,
        ExitStack() as temporary,
    ):
        directory = Path(made)
        copy = directory / entry.path.name
        if entry.path.parent.is_dir():
            for neighbour in entry.path.parent.iterdir():
                if neighbour != entry.path:
                    (directory / neighbour.name).symlink_to(neighbour)
        names = {}
        for number, other in enumerate(each for each in others if each.entry.state in spec.IN_A_FILE):
            if _names(change, other.entry) and not other.unknown:
                names[other.entry.path] = directory / f"{atomic_file.temporary_name()}.{number}"
                _write(other, names[other.entry.path], temporary)
        _write(_renamed(change, names), copy, temporary)
        os.chown(directory, change.uid, change.gid)
        # The command may run as another user: who may read the file may come in, and nobody may look around.
        directory.chmod(0o700 | (change.mode & (0o040 if entry.secret else 0o044)) >> 2)
        _validate(change, copy, names)


def _switch(
    places: Directories,
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
                        places.at(change.entry.path).rename(places.at(change.aside))
                    places.at(name).rename(places.at(change.entry.path))
                done.append(change.entry.path)
        for change in () if last else gone:
            # with what was above it, too
            with _explained(change.entry.path, "removing it", done), suppress(FileNotFoundError):
                _remove(places.at(change.entry.path))
            done.append(change.entry.path)
    for change in owned:
        with _explained(change.entry.path, "setting owner and mode", done):
            _own_itself(change, places)
        done.append(change.entry.path)
    for change in (*directories, *owned):
        if change.repair is not None:
            with _explained(change.entry.path, "repairing the ownership below it", done):
                _own(change.repair, places)
    applied = (*(change for change, _temporary in staged), *gone, *directories)
    changed = {change.entry.path.parent for change in applied}
    # One of them may have been removed with all that was in it.
    _flush([(directory, places.into(directory)) for directory in changed if directory.exists()], done)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _own_itself(change: Change, places: Directories) -> None:
    """Set the metadata of what is there, also where it is written to meanwhile."""
    with suppress(FileNotFoundError):
        descriptor = os.open(places.at(change.entry.path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if compare.is_ownable(os.fstat(descriptor)):
                _set_metadata(descriptor, change)
        finally:
            os.close(descriptor)


def _own(repair: Repair, places: Directories) -> None:
    for path, directory in compare.strays_of(repair, places):
        with suppress(FileNotFoundError):
            descriptor = os.open(path.name, os.O_PATH | os.O_NOFOLLOW, dir_fd=directory)
            try:
                # what is there by now; a link is given by its name, since a descriptor of it leads on
                status = os.fstat(descriptor)
                if stat.S_ISLNK(status.st_mode):
                    os.chown(path.name, repair.uid, repair.gid, dir_fd=directory, follow_symlinks=False)
                elif not compare.is_shared(status):
                    os.chown(f"/proc/self/fd/{descriptor}", repair.uid, repair.gid)
            finally:
                os.close(descriptor)


def _flush(paths: Iterable[tuple[Path, Path]], already: Collection[Path] = ()) -> None:
    """See files or directories on the disk; with each of them the path to be named where that fails."""

    def flush(path: Path, name: Path) -> None:
        with _explained(path, "writing it to the disk", already):
            system.flush(name)

    # The disk takes several at a time: a thousand files are through in a seventh of the time.
    with ThreadPoolExecutor(_FLUSHED_AT_ONCE) as pool:
        list(pool.map(lambda pair: flush(*pair), paths))
