# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the account that runs a server may do on its host: the kernel is asked as that account, and nothing is changed.

What is going to change before the server starts is judged by its mode. What a unit's sandbox lets through is not asked
here.
"""

from __future__ import annotations

import os
import stat
import typing as t
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from multiprocessing import Pipe
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._host import python, system
from ansible_collections.rosey.nats.plugins.module_utils._host.needed_path import Need, NeededPath
from ansible_collections.rosey.nats.plugins.module_utils._host.python import StrEnum
from ansible_collections.rosey.nats.plugins.module_utils._host.system import Account

Ask = Callable[[Sequence[tuple[str, int]]], list[bool]]
"""Tell of each path whether an account may do this there, as os.access() takes it."""

_ACCESS_LIST = "system.posix_acl_access"
# As the kernel; what is a circle of links can't be looked at.
_MOST_LINKS = 40
_WRITE = os.W_OK | os.X_OK
# Directories of many, which are given to nobody.
_SHARED = frozenset(
    map(
        Path,
        ("/", "/etc", "/home", "/opt", "/root", "/run", "/srv", "/usr", "/var", "/var/lib", "/var/log", "/var/run"),
    )
) | frozenset(map(Path, system.TEMPORARY))


class Kind(StrEnum):
    """What keeps an account from a path."""

    MISSING = "missing"
    FORBIDDEN = "forbidden"
    READ_ONLY = "read_only"
    WRONG = "wrong"


@dataclass(frozen=True)
class Step:
    """One part of a path, from the root on.

    owner: its user and group by name. kind: as stat.S_IFMT gives it. has_acl: its mode is not all there is.
    """

    path: Path
    owner: str
    kind: int
    uid: int
    gid: int
    mode: int
    has_acl: bool = False

    def permits(self, account: Account, access: int) -> bool:
        """Tell by the mode whether an account may do this, one or more of os.R_OK, os.W_OK and os.X_OK."""
        if account.uid == 0 or self.has_acl:
            return True
        place = 6 if self.uid == account.uid else 3 if self.gid in account.groups else 0
        return (self.mode >> place) & access == access

    def __str__(self) -> str:
        return f"{self.path} is of {self.owner} with mode {self.mode:04o}"


Outcome: t.TypeAlias = "Callable[[Path, Step | None], Step | None]"
"""Give what will stand at a path, by what stands there now."""


def as_it_is(_path: Path, now: Step | None) -> Step | None:
    """Take what stands there for what stays."""
    return now


@dataclass(frozen=True)
class Fault:
    """What keeps an account from what it needs.

    option, path: as the configuration has it. where: the part of the path that it is about. what: half a sentence.
    seen: how that part is. remedy: a command, or what else to do.
    """

    option: str
    path: str
    where: Path
    kind: Kind
    what: str
    seen: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.option}: {self.path}: {self.what}{f'; {self.seen}' if self.seen else ''}"

    @property
    def refusal(self) -> str:
        """Give it as sentences that say what to do before a deployment."""
        relative = "" if self.path.startswith("/") else " A relative path begins at /, where the server is started."
        return f"{self}.{relative} Mend it: {self.remedy}; or name another place."


def faults(wanted: Iterable[NeededPath], account: Account, outcome: Outcome = as_it_is) -> list[Fault]:
    """Name what keeps an account from the paths that it needs; OSError where that can't be seen.

    outcome: what will stand where, once a deployment has made its changes.
    """
    with asking(account) as ask:
        look = _Look(account, ask, outcome)
        return [fault for each in wanted for fault in look.at(each)]


def steps(path: Path, outcome: Outcome = as_it_is) -> tuple[Step, ...]:
    """Give the parts of a path that are there, or will be; OSError where it can't be looked at.

    A link stands for what it leads to; the directories that it is reached by are parts of the way, too.
    """
    on_the_way: list[Step] = []
    for part in _way(path):
        step = outcome(part, _step(part))
        if step is None:
            break
        on_the_way.append(step)
    return tuple(on_the_way)


def _way(path: Path) -> list[Path]:
    """Give what the kernel looks up, in its order and without the links themselves (path_resolution(7))."""
    at, passed, left, links = Path("/"), [Path("/")], list(path.parts[:0:-1]), 0
    while left:
        name = left.pop()
        at = at.parent if name == ".." else at / name
        if at.is_symlink() and links < _MOST_LINKS:
            links += 1
            target = at.readlink()
            left += [part for part in reversed(target.parts) if part != "/"]
            at = Path("/") if target.is_absolute() else at.parent
        passed.append(at)
    return [*(part for part in dict.fromkeys(passed) if part != at), at]


def _step(path: Path) -> Step | None:
    try:
        about = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    owner = f"{system.user_name(about.st_uid)}:{system.group_name(about.st_gid)}"
    mode = about.st_mode
    return Step(path, owner, stat.S_IFMT(mode), about.st_uid, about.st_gid, stat.S_IMODE(mode), _has_acl(path))


def _has_acl(path: Path) -> bool:
    try:
        return bool(os.getxattr(path, _ACCESS_LIST))
    except OSError:
        return False


@contextmanager
def asking(account: Account) -> Iterator[Ask | None]:
    """Give what asks the kernel as an account, None where this user can't be that account.

    It is asked in a process of its own, with the user and groups as systemd sets them.
    """
    if account.uid == os.geteuid() and account.groups <= {os.getegid(), *os.getgroups()}:
        yield _ask
        return
    if os.geteuid() != 0 or min(account.uid, account.gid) < 0:
        yield None
        return
    here, there = Pipe()
    child = os.fork()
    if child == 0:
        try:
            here.close()
            _serve(account, there)
        finally:
            os._exit(0)
    there.close()

    def ask(questions: Sequence[tuple[str, int]]) -> list[bool]:
        here.send(list(questions))
        return t.cast("list[bool]", here.recv())

    try:
        yield ask if here.recv() else None
    finally:
        here.close()
        os.waitpid(child, 0)


def _serve(account: Account, connection: t.Any) -> None:
    """Become the account, say whether that was possible, and answer until nobody asks."""
    try:
        os.setgroups(sorted(account.groups))
        os.setresgid(account.gid, account.gid, account.gid)
        os.setresuid(account.uid, account.uid, account.uid)
    except OSError:
        connection.send(False)
        return
    connection.send(True)
    while True:
        try:
            connection.send(_ask(connection.recv()))
        except EOFError:
            return


def _ask(questions: Sequence[tuple[str, int]]) -> list[bool]:
    return [os.access(path, access, effective_ids=True) for path, access in questions]


class _Look:
    """Looks at one path after the other as an account. ask: None where only modes can be compared."""

    def __init__(self, account: Account, ask: Ask | None, outcome: Outcome) -> None:
        self._account, self._ask, self._outcome = account, ask, outcome

    def at(self, wanted: NeededPath) -> Iterator[Fault]:
        """Give what is wrong with a path: on the way to it, or the first thing below it."""
        path = Path("/", wanted.path)
        if wanted.is_of_the_kernel:
            return
        kept = Path(wanted.kept) if wanted.kept and wanted.need is Need.DIRECTORY else None
        if wanted.need is Need.FILE:
            all_faults = self._on_the_way(wanted, path, os.R_OK)
        elif wanted.need is Need.PARENT and self._stands(path):
            all_faults = self._on_the_way(wanted, path, os.W_OK)
        elif path.is_symlink():
            # the file that it leads to is still to be made
            at_link = self._on_the_way(wanted, path.parent, os.X_OK)
            all_faults = chain(at_link, self._on_the_way(wanted, Path(os.path.realpath(path)).parent, _WRITE))
        else:
            needed = kept if kept and self._stands(kept) else Path(wanted.required)
            all_faults = self._on_the_way(wanted, needed, _WRITE)
        faults = list(dict.fromkeys(all_faults))
        yield from faults
        if kept and not faults:
            yield from self._below(wanted, kept)

    def _stands(self, path: Path) -> bool:
        return steps(path, self._outcome)[-1].path == Path(os.path.realpath(path))

    def _on_the_way(self, wanted: NeededPath, needed: Path, access: int) -> Iterator[Fault]:
        found = steps(needed, self._outcome)
        above, last = (found[:-1], found[-1]) if self._stands(needed) else (found, None)
        may = self._may
        for step in above:
            if step.kind != stat.S_IFDIR:
                yield self._fault(wanted, step.path, Kind.WRONG, f"{step.path} is no directory", "move it away")
                return
            if not may(step, os.X_OK):
                yield self._forbidden(wanted, step, os.X_OK)
                # the kernel lets the account see nothing behind it
                may = self._may_by_mode
        if last is None:
            if may == self._may:
                what = f"this host has no {needed}, and nats-server needs {wanted.need}"
                yield self._fault(wanted, needed, Kind.MISSING, what, self._make(wanted, needed))
            return
        is_directory = last.kind == stat.S_IFDIR
        if is_directory != bool(access & os.X_OK):
            need = "a file that the server can write to" if access == os.W_OK else wanted.need
            what = f"{last.path} is {'a' if is_directory else 'no'} directory, and nats-server needs {need}"
            yield self._fault(wanted, last.path, Kind.WRONG, what, "move it away")
        elif access & os.W_OK and os.statvfs(_nearest(last.path)).f_flag & os.ST_RDONLY:
            what = f"the file system of {last.path} is mounted read-only"
            remedy = f"see why (dmesg, findmnt --target {last.path}), then mount -o remount,rw"
            yield self._fault(wanted, last.path, Kind.READ_ONLY, what, remedy)
        elif not may(last, access):
            yield self._forbidden(wanted, last, access)

    def _below(self, wanted: NeededPath, top: Path) -> Iterator[Fault]:
        """Find the first of what the server keeps in a directory that its account may not read and write."""
        for directory, _subdirectories, files in os.walk(top):
            paths = [(directory, os.R_OK | _WRITE), *((f"{directory}/{name}", os.R_OK | os.W_OK) for name in files)]
            answers = self._ask(paths) if self._ask else [False] * len(paths)
            for (name, access), permitted in python.rows(paths, answers):
                # a running server removes its files at any time
                step = None if permitted else self._outcome(Path(name), _step(Path(name)))
                if step and not self._may(step, access):
                    yield self._forbidden(wanted, step, access)
                    return

    def _may(self, step: Step, access: int) -> bool:
        if self._ask and self._is_as_now(step.path):
            return self._ask([(str(step.path), access)])[0]
        return self._may_by_mode(step, access)

    def _may_by_mode(self, step: Step, access: int) -> bool:
        return step.permits(self._account, access)

    def _is_as_now(self, path: Path) -> bool:
        """Tell whether neither a path nor what is above it is going to change."""
        return all(self._outcome(part, now := _step(part)) == now for part in (path, *path.parents))

    def _forbidden(self, wanted: NeededPath, step: Step, access: int) -> Fault:
        what = f"{self._account.name} may not {_VERBS[access]} {step.path}"
        remedy = self._permit(wanted, step, access)
        return Fault(wanted.option, wanted.path, step.path, Kind.FORBIDDEN, what, str(step), remedy)

    def _permit(self, wanted: NeededPath, step: Step, access: int) -> str:
        """Say how the account gets what it needs, and no more than that."""
        who, path = f"{self._account.name}:{self._account.group}", step.path
        file = Path(os.path.realpath(Path("/", wanted.path)))
        own = Path(os.path.realpath(Path("/", wanted.required)))
        is_its_own = step.uid == self._account.uid
        if access == os.R_OK:
            give = f"chgrp {self._account.group} {path} && chmod g+r {path}"
            return f"chmod u+r {path}" if is_its_own else give
        if not path.is_relative_to(own) or (path in _SHARED and access == os.X_OK):
            return f"chmod o+x {path}"
        if path in _SHARED:
            return f"install -o {self._account.name} -g {self._account.group} -m 0640 /dev/null {file}"
        recursive = "-R " if wanted.need is Need.DIRECTORY else ""
        return f"chmod {recursive}u+rwX {path}" if is_its_own else f"chown {recursive}{who} {path}"

    def _make(self, wanted: NeededPath, needed: Path) -> str:
        if wanted.need is Need.FILE:
            return "bring it there"
        return f"install -d -o {self._account.name} -g {self._account.group} -m 0750 {needed}"

    @staticmethod
    def _fault(wanted: NeededPath, where: Path, kind: Kind, what: str, remedy: str) -> Fault:
        return Fault(wanted.option, wanted.path, where, kind, what, "", remedy)


_VERBS = {
    os.R_OK: "read",
    os.W_OK: "write",
    os.X_OK: "pass",
    _WRITE: "write to",
    os.R_OK | os.W_OK: "read and write",
    os.R_OK | _WRITE: "read and write in",
}


def _nearest(path: Path) -> Path:
    """Give the path, or the nearest above it that is there."""
    return next(each for each in (path, *path.parents) if each.exists())
