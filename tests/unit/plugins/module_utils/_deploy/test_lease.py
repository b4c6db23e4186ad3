# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import multiprocessing
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._deploy import lease
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
FIRST = lease.Claim("ops-11111111-22222222", 4711, "100")
LATER_RUN = replace(FIRST, pid=4712, started="200")
REBOOTED = lease.Claim("ops-11111111-33333333", 4711, "100")
OTHER = lease.Claim("laptop-44444444-55555555", 4711, "100")
GONE = lease.Process(4711, "100")

FORK = multiprocessing.get_context("fork")


def acquire(directory: Path, claim: lease.Claim, **other: Any) -> lease.Acquired:
    asked: dict[str, Any] = {"seen_sequence": 0, "seconds": 60, "may_take_over": False, "now": NOW, **other}
    return lease.acquire(directory, claim, **asked)


def test_whoever_is_refused_is_told_for_whom(tmp_path: Path) -> None:
    acquire(tmp_path, replace(FIRST, user="anna"))
    for attempt in (
        lambda: acquire(tmp_path, OTHER),
        lambda: lease.check_held(lease.look(tmp_path), OTHER),
    ):
        with pytest.raises(atomic_file.ReleaseError) as error:
            attempt()
        said = "anna, process 4711 of ops-11111111-22222222, since 2026-01-31T12:00:00Z"
        assert said in str(error.value)
    # the lease of a version that kept no user
    body = atomic_file.read(tmp_path / lease.NAME)
    del body["holder"]["user"]
    atomic_file.write(tmp_path / lease.NAME, body)
    found = lease.look(tmp_path)
    assert not found.damage
    assert str(found.holder).startswith("process 4711 of ops-")


def test_a_free_lease_is_given_and_given_back(tmp_path: Path) -> None:
    directory = tmp_path / "rosey-nats"
    assert lease.look(directory) == lease.Look()
    given = acquire(directory, FIRST)
    assert given == lease.Acquired(
        lease.Lease(
            run=FIRST.run,
            controller=FIRST.controller,
            pid=4711,
            started="100",
            since="2026-01-31T12:00:00Z",
            expires="2026-01-31T12:01:00Z",
            sequence=1,
        ),
        taken_over=False,
        stale=False,
    )
    assert lease.look(directory) == lease.Look(given.lease, 1)
    assert lease.end(directory, FIRST)
    assert lease.look(directory) == lease.Look(None, 1)
    assert not lease.end(directory, FIRST)
    assert acquire(directory, OTHER, seen_sequence=1).lease.sequence == 2


def test_nothing_is_made_to_end_what_is_not_there(tmp_path: Path) -> None:
    assert not lease.end(tmp_path / "rosey-nats", FIRST)
    assert not (tmp_path / "rosey-nats").exists()


REFUSED, TAKEN = "refused", "taken over"


@pytest.mark.parametrize(
    ("claim", "after", "may_take_over", "outcome"),
    [
        (FIRST, 0, False, "own"),
        (FIRST, 3600, False, "own"),
        (OTHER, 0, False, REFUSED),
        (OTHER, 59, False, REFUSED),
        (OTHER, 60, False, TAKEN),
        (OTHER, 0, True, TAKEN),
        (LATER_RUN, 0, False, REFUSED),
        (replace(LATER_RUN, gone=GONE), 0, False, TAKEN),
        (replace(LATER_RUN, gone=lease.Process(4711, "99")), 0, False, REFUSED),
        (replace(LATER_RUN, gone=lease.Process(4710, "100")), 0, False, REFUSED),
        (replace(REBOOTED, gone=GONE), 0, False, TAKEN),
        (REBOOTED, 0, False, REFUSED),
        (replace(OTHER, gone=GONE), 0, False, REFUSED),
        (replace(FIRST, started="101"), 0, False, REFUSED),
        (replace(FIRST, controller="ops-99999999-22222222"), 0, False, REFUSED),
    ],
)
def test_who_gets_a_held_lease(
    tmp_path: Path, claim: lease.Claim, after: int, may_take_over: bool, outcome: str
) -> None:
    held = acquire(tmp_path, FIRST).lease
    asked = {"seen_sequence": 1, "now": NOW + timedelta(seconds=after), "may_take_over": may_take_over}
    if outcome == REFUSED:
        with pytest.raises(atomic_file.ReleaseError) as error:
            acquire(tmp_path, claim, **asked)
        assert str(error.value) == (
            "Another deployment is at work on this host: process 4711 of ops-11111111-22222222, since "
            "2026-01-31T12:00:00Z, until 2026-01-31T12:01:00Z at the latest. Nothing was touched, and this run does "
            "not wait: run again when that one has ended, or set release_take_over: true if you know that it is dead."
        )
        assert lease.look(tmp_path).holder == held
        assert not lease.end(tmp_path, claim)
        return
    given = acquire(tmp_path, claim, **asked)
    assert lease.look(tmp_path).holder == given.lease
    assert lease.is_own(given.lease, claim)
    assert given.taken_over is given.stale is (outcome == TAKEN)
    assert given.lease.sequence == (2 if outcome == TAKEN else 1)
    assert given.lease.since == (held.since if outcome == "own" else lease.timestamp(asked["now"]))
    assert given.lease.expires == lease.timestamp(asked["now"] + timedelta(seconds=60))


@pytest.mark.parametrize(("seen", "stale"), [(0, True), (1, True), (2, False), (3, True)])
def test_a_deployment_since_the_look_is_told(tmp_path: Path, seen: int, stale: bool) -> None:
    for claim in (FIRST, OTHER):
        acquire(tmp_path, claim)
        lease.end(tmp_path, claim)
    assert acquire(tmp_path, FIRST, seen_sequence=seen).stale is stale


@pytest.mark.parametrize(("seen", "stale"), [(0, False), (1, False), (2, True)])
def test_ones_own_lease_is_no_deployment_of_another(tmp_path: Path, seen: int, stale: bool) -> None:
    acquire(tmp_path, FIRST)
    assert acquire(tmp_path, FIRST, seen_sequence=seen).stale is stale


DAMAGES: list[tuple[Callable[[Path], Any], str]] = [
    (lambda path: path.write_text(""), "truncated"),
    (lambda path: path.write_text(path.read_text().replace("4711", "4712")), "checksum"),
    (lambda path: atomic_file.write(path, {}), "wrong type, expected a lease"),
    (lambda path: atomic_file.write(path, {"holder": {}, "sequence": 1}), "wrong type, expected a lease"),
    (lambda path: atomic_file.write(path, {"holder": None, "sequence": None}), "wrong type, expected a lease"),
    (lambda path: path.rename(path.with_name("was")).with_name(path.name).symlink_to("was"), "symlink"),
]


@pytest.mark.parametrize(("damage", "reason"), DAMAGES)
def test_a_damaged_lease_keeps_deployments_away(tmp_path: Path, damage: Callable[[Path], Any], reason: str) -> None:
    acquire(tmp_path, FIRST)
    damage(tmp_path / lease.NAME)
    assert lease.look(tmp_path) == lease.Look(damage=reason)
    assert not lease.end(tmp_path, FIRST)
    with pytest.raises(atomic_file.ReleaseError, match=rf"^lease.json: {reason}: .* set release_take_over: true\.$"):
        acquire(tmp_path, FIRST)
    given = acquire(tmp_path, FIRST, may_take_over=True)
    assert (given.taken_over, given.stale) == (True, True)
    assert given.lease.sequence == int(NOW.timestamp())
    assert lease.look(tmp_path) == lease.Look(given.lease, given.lease.sequence)


def test_a_lost_lease_is_known(tmp_path: Path) -> None:
    with pytest.raises(atomic_file.ReleaseError, match="nobody holds it"):
        lease.check_held(lease.look(tmp_path), FIRST)
    acquire(tmp_path, FIRST)
    lease.check_held(lease.look(tmp_path), FIRST)
    with pytest.raises(atomic_file.ReleaseError, match="held by process 4711 of ops-11111111-22222222, since 2026-"):
        lease.check_held(lease.look(tmp_path), OTHER)


def test_a_claim_is_read_as_the_filter_gives_it() -> None:
    raw = {"controller": "ops-1-2", "pid": 1, "started": "2", "gone": None}
    assert lease.claim(raw) == lease.Claim("ops-1-2", 1, "2")
    assert lease.claim({**raw, "gone": {"pid": 3, "started": "4"}}).gone == lease.Process(3, "4")
    assert len({claim.run for claim in (FIRST, LATER_RUN, REBOOTED, OTHER, replace(FIRST, started="101"))}) == 5


def race(directory: Path, claim: lease.Claim, barrier: Any, results: Any) -> None:
    barrier.wait()
    try:
        acquire(directory, claim)
    except atomic_file.ReleaseError:
        results.put(None)
    else:
        results.put(claim.pid)


def test_of_two_at_once_exactly_one_gets_it(tmp_path: Path) -> None:
    for turn in range(20):
        barrier, results = FORK.Barrier(2), FORK.SimpleQueue()
        directory = tmp_path / str(turn)
        processes = [
            FORK.Process(target=race, args=(directory, claim, barrier, results)) for claim in (FIRST, LATER_RUN)
        ]
        for process in processes:
            process.start()
        told = {results.get(), results.get()}
        for process in processes:
            process.join()
        assert len(told - {None}) == 1
        holder = lease.look(directory).holder
        assert holder
        assert (holder.pid, holder.sequence) == ((told - {None}).pop(), 1)


def work(directory: Path, pipe: Any) -> None:
    with lease.working(directory):
        pipe.send("at work")
        pipe.poll(30)


@contextmanager
def at_work(directory: Path) -> Iterator[Any]:
    """Have another process hold the lock."""
    here, there = FORK.Pipe()
    process = FORK.Process(target=work, args=(directory, there))
    process.start()
    try:
        assert here.poll(10)
        yield process
    finally:
        process.kill()
        process.join()


def test_somebody_at_work_is_waited_for_so_long(tmp_path: Path) -> None:
    directory = tmp_path / "rosey-nats"
    assert lease.wait_idle(directory, 0) == lease.Idle(waited=False, ended=True)
    with at_work(directory), lease.working(directory):
        assert lease.wait_idle(directory, 0.1) == lease.Idle(waited=True, ended=False)
    assert lease.wait_idle(directory, 0) == lease.Idle(waited=False, ended=True)


def test_the_wait_ends_with_the_work(tmp_path: Path) -> None:
    with at_work(tmp_path) as process:
        timer = threading.Timer(0.2, process.kill)
        timer.start()
        began = time.monotonic()
        assert lease.wait_idle(tmp_path, 20) == lease.Idle(waited=True, ended=True)
        assert time.monotonic() - began < 10
        timer.join()


def test_what_a_module_starts_is_not_the_module(tmp_path: Path) -> None:
    with lease.working(tmp_path):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        assert lease.wait_idle(tmp_path, 0) == lease.Idle(waited=False, ended=True)
    finally:
        child.kill()
        child.wait()


def test_nothing_is_touched_where_nobody_asks(tmp_path: Path) -> None:
    with lease.working(None), lease.working(tmp_path / "a", check_mode=True):
        assert list(tmp_path.iterdir()) == []


def test_who_keeps_a_lock_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic_file, "_GUARD_SECONDS", 0.05)
    with atomic_file.guard(tmp_path), pytest.raises(atomic_file.ReleaseError, match=f"`fuser -v {tmp_path}/guard`"):
        acquire(tmp_path, FIRST)
    monkeypatch.setattr(lease, "_SHARED_SECONDS", 0.05)
    with atomic_file.lock_file(tmp_path / lease.LOCK) as descriptor:
        assert atomic_file.lock(descriptor, lease.fcntl.LOCK_EX, 0)
        with pytest.raises(atomic_file.ReleaseError, match=f"`fuser -v {tmp_path}/lock`"), lease.working(tmp_path):
            pass
