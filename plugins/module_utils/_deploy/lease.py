# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One deployment at a time: the lease of a host, and the lock of the modules that write to it.

The lease is held by a run of ansible-playbook, over many modules. It outlives a run that was killed, and so does the
module that the run had started: that one is known by the lock, which the kernel takes from it when it ends.
"""

from __future__ import annotations

import fcntl
import typing as t
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file, typed

NAME = "lease.json"
LOCK = "lock"
_RUN_DIGITS = 12
_SHARED_SECONDS = 30.0


@dataclass(frozen=True)
class Process:
    """A process on a controller; started tells it from a later one with the same number."""

    pid: int
    started: str


@dataclass(frozen=True)
class Claim:
    """Who asks for the lease: a process on a controller.

    controller: the machine, a hyphen, and what names its boot. gone: the holder's process, where the controller has
    seen that it is one of its own and no longer runs. user: on that machine, for people.
    """

    controller: str
    pid: int
    started: str
    gone: Process | None = None
    user: str = ""

    @property
    def run(self) -> str:
        """What names this run for good."""
        return atomic_file.sha256(f"{self.controller}/{self.pid}/{self.started}")[:_RUN_DIGITS]


@dataclass(frozen=True)
class Lease:
    """A lease that is held. started: of the holder's process. since, expires: ISO 8601, UTC.

    sequence: how many leases this host has given, with this one. user: empty where the run did not tell.
    """

    run: str
    controller: str
    pid: int
    started: str
    since: str
    expires: str
    sequence: int
    user: str = ""

    def __str__(self) -> str:
        by = f"{self.user}, process" if self.user else "process"
        return f"{by} {self.pid} of {self.controller}, since {self.since}"


class HeldError(atomic_file.ReleaseError):
    """Another deployment holds the lease. holder: its."""

    def __init__(self, holder: Lease) -> None:
        super().__init__(
            f"Another deployment is at work on this host: {holder}, until {holder.expires} at the latest. Nothing was "
            "touched, and this run does not wait: run again when that one has ended, or set release_take_over: true if "
            "you know that it is dead."
        )
        self.holder = holder


@dataclass(frozen=True)
class Look:
    """How the lease was found. sequence outlives the holder. damage: why it can't be told, empty where it can."""

    holder: Lease | None = None
    sequence: int = 0
    damage: str = ""


@dataclass(frozen=True)
class Acquired:
    """A lease that was given.

    taken_over: whether it replaces one that had not been ended. stale: whether something may have been done to the host
    since it was looked at, so that the look has to be taken again.
    """

    lease: Lease
    taken_over: bool
    stale: bool


@dataclass(frozen=True)
class Idle:
    """What a wait has found. waited: whether a module of an earlier run was still at work. ended: whether it is not."""

    waited: bool
    ended: bool


def claim(raw: Mapping[str, t.Any]) -> Claim:
    """Read a claim as the filter lease_claim gives it."""
    gone = raw.get("gone")
    return Claim(
        controller=raw["controller"],
        pid=raw["pid"],
        started=raw["started"],
        gone=Process(gone["pid"], gone["started"]) if gone else None,
        user=raw.get("user") or "",
    )


def look(directory: Path) -> Look:
    """Look at the lease and change nothing."""
    try:
        body = atomic_file.read(directory / NAME)
        holder = None if body["holder"] is None else typed.make(Lease, **body["holder"])
        if holder:
            moment(holder.expires)
        return typed.make(Look, holder, body["sequence"])
    except FileNotFoundError:
        return Look()
    except atomic_file.DamagedError as error:
        return Look(damage=str(error))
    except (KeyError, TypeError, ValueError):
        return Look(damage="wrong type, expected a lease")


def decide(
    lease_now: Look, claimed: Claim, *, seen_sequence: int, seconds: int, may_take_over: bool, now: datetime
) -> Acquired:
    """Give the lease that the claim gets; ReleaseError where another holds it.

    seen_sequence: the sequence when the caller looked at the host.
    """
    holder = lease_now.holder
    own = holder is not None and is_own(holder, claimed)
    if lease_now.damage and not may_take_over:
        raise atomic_file.ReleaseError(
            f"{NAME}: {lease_now.damage}: it can't be told whether a deployment is at work on this host. Make sure "
            "that none is, and set release_take_over: true."
        )
    if holder and not own and not may_take_over and now < moment(holder.expires) and not _is_gone(holder, claimed):
        raise HeldError(holder)
    taken_over = bool(lease_now.damage) or (holder is not None and not own)
    sequence = lease_now.sequence + (0 if own else 1)
    if lease_now.damage:
        # The count is lost; this is past all that anybody can have seen.
        sequence = int(now.timestamp())
    before = {sequence - 1, sequence} if own else {sequence - 1}
    lease = Lease(
        run=claimed.run,
        controller=claimed.controller,
        pid=claimed.pid,
        started=claimed.started,
        since=holder.since if holder and own else timestamp(now),
        expires=timestamp(now + timedelta(seconds=seconds)),
        sequence=sequence,
        user=claimed.user,
    )
    return Acquired(lease, taken_over, stale=taken_over or seen_sequence not in before)


def acquire(
    directory: Path, claimed: Claim, *, seen_sequence: int, seconds: int, may_take_over: bool, now: datetime
) -> Acquired:
    """Take the lease, or make one's own last longer; ReleaseError where another holds it."""
    with atomic_file.guard(directory):
        decision = decide(
            look(directory),
            claimed,
            seen_sequence=seen_sequence,
            seconds=seconds,
            may_take_over=may_take_over,
            now=now,
        )
        atomic_file.sweep(directory)
        atomic_file.write(directory / NAME, {"holder": asdict(decision.lease), "sequence": decision.lease.sequence})
    return decision


def end(directory: Path, claimed: Claim) -> bool:
    """Give the lease back. Says whether it was held by the claim; another's stays."""
    if not holds(look(directory), claimed):
        return False
    with atomic_file.guard(directory):
        lease_now = look(directory)
        if not holds(lease_now, claimed):
            return False
        atomic_file.sweep(directory)
        atomic_file.write(directory / NAME, {"holder": None, "sequence": lease_now.sequence})
    return True


def check_held(lease_now: Look, claimed: Claim) -> None:
    """Raise ReleaseError where the lease is not, or no longer, held by the claim."""
    if not holds(lease_now, claimed):
        holder = lease_now.holder
        by = f"it is held by {holder}" if holder else "nobody holds it"
        raise atomic_file.ReleaseError(
            f"The lease of this host is not held by process {claimed.pid} of {claimed.controller}: {by}. Another "
            "deployment may have changed the host. Nothing was written; deploy again."
        )


def is_own(holder: Lease, claimed: Claim) -> bool:
    """Say whether the claim is the holder's own."""
    return (holder.controller, holder.pid, holder.started) == (claimed.controller, claimed.pid, claimed.started)


@contextmanager
def working(releases: str | Path | None, *, check_mode: bool = False) -> Iterator[None]:
    """Let others see, while this lasts, that a module writes to the host. Without a directory, nobody asks."""
    if releases is None or check_mode:
        yield
        return
    directory = Path(releases)
    atomic_file.prepare(directory)
    with atomic_file.lock_file(directory / LOCK) as descriptor:
        if not atomic_file.lock(descriptor, fcntl.LOCK_SH, _SHARED_SECONDS):
            raise atomic_file.ReleaseError(
                f"{directory / LOCK}: another process has kept it to itself for {_SHARED_SECONDS:.0f} s. "
                f"See with `fuser -v {directory / LOCK}` which one, end it and run again."
            )
        yield


def wait_idle(directory: Path, seconds: float) -> Idle:
    """Wait until no module writes to the host any more, at most so long."""
    atomic_file.prepare(directory)
    with atomic_file.lock_file(directory / LOCK) as descriptor:
        if atomic_file.lock(descriptor, fcntl.LOCK_EX, 0):
            return Idle(waited=False, ended=True)
        return Idle(waited=True, ended=atomic_file.lock(descriptor, fcntl.LOCK_EX, seconds))


def timestamp(moment: datetime) -> str:
    """Write a moment: ISO 8601, UTC, to the second."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    """Read what timestamp() wrote; ValueError."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def holds(lease_now: Look, claimed: Claim) -> bool:
    """Say whether the lease is held by the claim."""
    return lease_now.holder is not None and is_own(lease_now.holder, claimed)


def _is_gone(holder: Lease, claimed: Claim) -> bool:
    """Say whether the claim comes from the holder's own machine, and that has seen its process gone."""
    same_machine = _machine(holder.controller) == _machine(claimed.controller)
    return same_machine and claimed.gone == Process(holder.pid, holder.started)


def _machine(controller: str) -> str:
    return controller.rpartition("-")[0]
