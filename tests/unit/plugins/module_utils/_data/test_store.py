# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._data import (
    assets,
    store,
    store_tree,
    store_users,
    version_line,
)
from ansible_collections.rosey.nats.plugins.module_utils._host import process

VERSIONS = {"from_version": "2.10.7", "to_version": "2.9.25"}
CHAT = store.Stream("$G", "CHAT", messages=10, bytes=900, first_seq=1, last_seq=10)


def fill(directory: Path) -> Path:
    """Make a store with files of several kinds; give its data."""
    data = directory / store_tree.DATA
    messages = data / "$G" / "streams" / "CHAT" / "msgs"
    messages.mkdir(parents=True)
    (messages / "1.blk").write_bytes(os.urandom(5000))
    with (messages / "2.blk").open("wb") as stream:
        stream.write(b"begin")
        stream.seek(4 * 1024 * 1024)
        stream.write(b"middle")
        stream.truncate(8 * 1024 * 1024)
    (messages / "empty").touch()
    (data / "link").symlink_to("$G/streams/CHAT")
    (messages / "1.blk").chmod(0o640)
    os.utime(messages / "1.blk", ns=(1_000_000_000, 1_234_567_891))
    os.utime(data / "link", ns=(1, 5_000_000_000), follow_symlinks=False)
    closed = data / "closed"
    closed.mkdir()
    (closed / "inner").write_text("x")
    closed.chmod(0o710)
    os.utime(data, ns=(1, 7_000_000_000))
    return data


def picture(data: Path) -> dict[str, tuple[Any, ...]]:
    """Give all that a copy has to keep, by path."""
    found = {}
    for path in sorted([data, *data.rglob("*")]):
        status = path.lstat()
        content: Any = None
        if path.is_symlink():
            content = path.readlink()
        elif path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        found[str(path.relative_to(data))] = (
            status.st_mode,
            status.st_uid,
            status.st_gid,
            status.st_mtime_ns,
            content,
        )
    return found


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    return tmp_path / "copies"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    fill(tmp_path / "store")
    return tmp_path / "store"


def copy_now(source: Path, copies: Path, *streams: store.Stream) -> store.Copy:
    with store.opened(copies):
        store.clear(store.leftovers(copies))
        found = store.plan(source, copies, "2.10.7")
        return store.make(source, copies, found, **VERSIONS, streams=streams)


def made(version: str, time: str) -> store.Copy:
    return store.Copy(Path(f"/copies/{version}-{time}"), version, "2.9.25", time, 1, 1, ())


@pytest.mark.parametrize(
    ("before", "after", "needed", "down"),
    [
        ("2.10.7", "2.10.29", False, False),
        ("2.10.29", "2.10.7", False, False),
        ("2.9.25", "2.10.7", True, False),
        ("2.10.7", "2.9.25", True, True),
        ("2.10.7", "2.11.0-RC.1", True, False),
        ("2.10.7", "3.9.0", True, False),
        ("3.0.0", "2.10.7", True, True),
    ],
)
def test_another_line_needs_a_copy_either_way(before: str, after: str, needed: bool, down: bool) -> None:
    assert version_line.needs_copy(before, after) is needed
    assert version_line.is_downgrade(before, after) is down


def test_a_line_is_a_pair_of_numbers() -> None:
    assert version_line.minor("2.10.7") == (2, 10)
    with pytest.raises(
        store_tree.StoreError, match=r"version 'latest' is no version of nats-server; expected one such as"
    ):
        version_line.minor("latest")


def test_a_copy_tells_of_streams_in_files() -> None:
    found = assets.of([assets.Stream("$G", "CHAT", messages=5, bytes=50, first_seq=1, last_seq=5)])
    memory = assets.Stream("$G", "RAM", storage=assets.MEMORY)
    both = assets.of([*found.in_order(), memory])
    assert store.streams_of_assets(both) == (store.Stream("$G", "CHAT", 5, 50, 1, 5),)


def copy_of(*streams: assets.Stream) -> store.Copy:
    return store.Copy(Path("/c"), "2.10.7", "2.10.7", "2025", 1, 1, (), "r", assets.of(streams))


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ({"messages": 5, "last_seq": 5}, False),
        (None, True),
        ({"messages": 2, "last_seq": 2}, True),
        ({"messages": 1, "last_seq": 5}, True),
        # it was let go since, and what there is is newer
        ({"messages": 1, "last_seq": 6}, False),
        ({"messages": 6, "last_seq": 6}, False),
    ],
)
def test_only_what_is_not_beyond_a_copy_is_missed(now: dict[str, int] | None, *, expected: bool) -> None:
    was = assets.Stream("$G", "S", messages=5, last_seq=5, limits=assets.Limits())
    there = [] if now is None else [replace(was, **now)]
    assert bool(store.missed(copy_of(was), assets.of(there))) is expected


def test_what_was_in_memory_is_in_no_copy() -> None:
    assert store.missed(copy_of(assets.Stream("$G", "S", storage=assets.MEMORY, messages=5)), assets.of([])) == {}


@pytest.mark.parametrize(
    ("before", "now", "count", "lines"),
    [
        (10, 10, 0, ()),
        (10, 11, 1, ("CHAT: 1 message written since the copy",)),
        (10, 27, 17, ("CHAT: 17 messages written since the copy",)),
        (10, 9, None, ("CHAT: written to, nobody knows how much, since the copy",)),
        (None, 9, None, ("CHAT: written to, nobody knows how much, since the copy",)),
        (10, None, None, ("CHAT: written to, nobody knows how much, since the copy",)),
    ],
)
def test_what_was_written_is_counted_by_sequences(
    before: int | None, now: int | None, count: int | None, lines: tuple[str, ...]
) -> None:
    copy = store.Copy(Path("/c"), "2.10.7", "2.9.25", "2025", 1, 1, (store.Stream("$G", "CHAT", last_seq=before),))
    stream = store.Stream("$G", "CHAT", last_seq=now)
    found = store.since(copy, [stream])
    assert (found.written, found.new, found.gone) == (((stream, count),), (), ())
    assert found.lines == lines


def test_new_streams_and_those_that_are_gone_are_told_apart_by_account() -> None:
    copy = store.Copy(Path("/c"), "2.10.7", "2.9.25", "2025", 1, 1, (CHAT,))
    other = store.Stream("APP", "CHAT", messages=1)
    found = store.since(copy, [other])
    assert (found.written, found.new, found.gone) == ((), (other,), (CHAT,))
    assert found.lines == (
        "APP/CHAT: new since the copy, with 1 message",
        "CHAT: gone since the copy, which has 10 messages",
    )


@pytest.mark.parametrize(
    ("names", "keep", "gone"),
    [
        (["2.10.7-5", "2.10.7-4", "2.10.7-3"], 2, ["2.10.7-3"]),
        (["2.10.7-5", "2.10.7-4", "2.9.25-3"], 2, []),
        (["2.10.7-5", "2.10.7-4", "2.9.25-3", "2.9.25-2"], 1, ["2.10.7-4", "2.9.25-2"]),
        (["2.10.7-5"], 1, []),
        ([], 2, []),
    ],
)
def test_the_newest_of_each_version_stays(names: list[str], keep: int, gone: list[str]) -> None:
    copies = [made(*name.split("-")) for name in names]
    assert [copy.path.name for copy in store.superfluous(copies, keep)] == gone


def test_the_newest_of_a_line_is_found() -> None:
    copies = [made("2.9.25", "5"), made("2.10.29", "4"), made("2.10.7", "3")]
    found = store.newest_of_line(copies, "2.10.7")
    assert found
    assert found.path.name == "2.10.29-4"
    assert store.newest_of_line(copies, "2.11.0") is None


def test_a_copy_keeps_everything(source: Path, copies: Path) -> None:
    before = picture(source / "jetstream")
    copy = copy_now(source, copies, CHAT)
    assert picture(copy.data) == before
    assert picture(source / "jetstream") == before
    assert stat.S_IMODE(copies.stat().st_mode) == stat.S_IMODE(copy.path.stat().st_mode) == 0o700
    facts = json.loads((copy.path / "copy.json").read_text())
    assert facts == {
        "format": 1,
        **VERSIONS,
        "time": copy.time,
        "files": 4,
        "bytes": 5000 + 8 * 1024 * 1024 + 1,
        "streams": [{"account": "$G", "name": "CHAT", "messages": 10, "bytes": 900, "first_seq": 1, "last_seq": 10}],
        "release": None,
        "held": None,
    }
    assert store.list_copies(copies) == ([copy], [])


def test_what_a_directory_forbids_is_copied_into_it_all_the_same(source: Path, copies: Path) -> None:
    (source / "jetstream" / "closed").chmod(0o500)
    assert picture(copy_now(source, copies).data) == picture(source / "jetstream")


def test_a_copy_has_the_holes_of_the_store(source: Path, copies: Path) -> None:
    copy = copy_now(source, copies)
    file = Path("$G", "streams", "CHAT", "msgs", "2.blk")
    assert (copy.data / file).stat().st_blocks <= (source / "jetstream" / file).stat().st_blocks < 1024


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_copy_keeps_owners(source: Path, copies: Path) -> None:
    os.chown(source / "jetstream" / "closed" / "inner", 4321, 4322)
    os.chown(source / "jetstream" / "link", 4323, 4324, follow_symlinks=False)
    os.chown(source / "jetstream", 4325, 4326)
    copy = copy_now(source, copies)
    assert picture(copy.data) == picture(source / "jetstream")


def test_without_numbers_the_streams_are_named(source: Path, copies: Path) -> None:
    assert copy_now(source, copies).streams == (store.Stream("$G", "CHAT"),)


def test_a_copy_shares_blocks_where_it_can(source: Path, copies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cloned = []

    def clone(descriptor: int, request: int, origin: int) -> int:
        assert request == 0x40049409
        cloned.append(descriptor)
        os.pwrite(descriptor, os.pread(origin, 1 << 24, 0), 0)
        return 0

    monkeypatch.setattr(fcntl, "ioctl", clone)
    found = store.plan(source, copies, "2.10.7")
    assert (found.reflink, found.needed) == (True, 0)
    copy = copy_now(source, copies)
    assert picture(copy.data) == picture(source / "jetstream")
    assert len(cloned) == 2 + 4  # the trials, then each file


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL])
def test_where_blocks_can_not_be_shared_they_are_copied(
    source: Path, copies: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_arguments: Any) -> int:
        raise OSError(number, "refused")

    monkeypatch.setattr(fcntl, "ioctl", refuse)
    monkeypatch.setattr(os, "copy_file_range", refuse)
    found = store.plan(source, copies, "2.10.7")
    assert found.reflink is False
    assert found.needed == found.bytes + 64 * 1024 * 1024
    assert picture(copy_now(source, copies).data) == picture(source / "jetstream")


def test_a_clone_that_fails_half_way_becomes_a_copy(
    source: Path, copies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_tree, "can_reflink", lambda *_arguments: True)
    monkeypatch.setattr(store_tree, "_clone", lambda *_arguments: False)
    assert picture(copy_now(source, copies).data) == picture(source / "jetstream")


def test_a_failing_disk_is_no_reason_to_try_another_way(
    source: Path, copies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "copy_file_range", fail)
    with pytest.raises(store_tree.StoreError, match="No space left on device"):
        copy_now(source, copies)
    assert list(copies.iterdir()) == []


class Space:
    """What statvfs says."""

    f_frsize = 4096

    def __init__(self, free: int) -> None:
        self.f_bavail = free // self.f_frsize


@pytest.mark.parametrize(("missing", "refused"), [(0, False), (4096, True)])
def test_a_copy_needs_space(
    source: Path, copies: Path, monkeypatch: pytest.MonkeyPatch, missing: int, refused: bool
) -> None:
    monkeypatch.setattr(store_tree, "can_reflink", lambda *_arguments: False)
    blocks = sum(path.lstat().st_blocks for path in (source / "jetstream").rglob("*")) * 512
    needed = blocks + 64 * 1024 * 1024
    monkeypatch.setattr(os, "statvfs", lambda _path: Space(-(-needed // 4096) * 4096 - missing))
    found = store.plan(source, copies, "2.10.7")
    assert (found.bytes, found.needed) == (blocks, needed)
    if refused:
        with pytest.raises(
            store_tree.StoreError, match=rf"copies: \d+ bytes are free; expected {needed} bytes for a copy"
        ):
            store.check(found, copies)
    else:
        store.check(found, copies)


def test_the_margin_grows_with_the_store() -> None:
    assert store.Plan(bytes=40 * 1024**3).needed == 42 * 1024**3


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda directory: None, "store/jetstream is not there, so there is nothing to copy"),
        (lambda directory: (directory / "jetstream").mkdir(parents=True), "holds no file, so there is nothing to copy"),
        (lambda directory: (directory / "jetstream/$G").mkdir(parents=True), "holds no file"),
    ],
)
def test_an_empty_store_is_not_copied(
    tmp_path: Path, copies: Path, build: Callable[[Path], object], reason: str
) -> None:
    build(tmp_path / "store")
    found = store.plan(tmp_path / "store", copies, "2.10.7")
    assert reason in found.reason
    assert not copies.exists()


def test_copies_do_not_lie_in_the_store(source: Path) -> None:
    with pytest.raises(store_tree.StoreError, match="lies in the store"):
        store.plan(source, source / "jetstream" / "copies", "2.10.7")


def test_what_is_copied_already_is_known(source: Path, copies: Path) -> None:
    copy = copy_now(source, copies)
    found = store.plan(source, copies, "2.10.7")
    assert found.present == copy
    assert found.reason == f"{copy.path} already holds what is in {source / 'jetstream'}"
    assert store.plan(source, copies, "2.10.8").present is None


@pytest.mark.parametrize(
    "change",
    [
        lambda data: (data / "closed" / "inner").write_text("y"),
        lambda data: (data / "closed" / "inner").write_text("longer"),
        lambda data: (data / "closed" / "inner").chmod(0o600),
        lambda data: (data / "closed").chmod(0o700),
        lambda data: (data / "new").touch(),
        lambda data: (data / "link").unlink(),
    ],
)
def test_what_changed_is_copied_again(source: Path, copies: Path, change: Callable[[Path], object]) -> None:
    copy_now(source, copies)
    change(source / "jetstream")
    assert store.plan(source, copies, "2.10.7").reason == ""


def test_a_pipe_in_the_store_is_refused(source: Path, copies: Path) -> None:
    os.mkfifo(source / "jetstream" / "pipe")
    with pytest.raises(store_tree.StoreError, match="pipe is no file, directory or link"):
        copy_now(source, copies)
    assert list(copies.iterdir()) == []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: (path / "copy.json").unlink(), "No such file or directory"),
        (lambda path: (path / "copy.json").write_text("{"), "copy.json: Expecting"),
        (lambda path: (path / "copy.json").write_text("[]"), "list indices"),
        (lambda path: (path / "copy.json").write_text('{"format": 2}'), "its format is 2; expected 1"),
        (lambda path: shutil.rmtree(path / "jetstream"), "jetstream is not there"),
    ],
)
def test_a_damaged_copy_is_named_and_left_alone(
    source: Path, copies: Path, damage: Callable[[Path], object], said: str
) -> None:
    copy = copy_now(source, copies)
    damage(copy.path)
    whole, damaged = store.list_copies(copies)
    assert whole == []
    assert len(damaged) == 1
    assert str(copy.path) in damaged[0]
    assert said in damaged[0]
    assert copy.path.exists()


def test_two_runs_do_not_meet(copies: Path) -> None:
    message = "another run makes a copy there"
    with store.opened(copies), pytest.raises(store_tree.StoreError, match=message), store.opened(copies):
        pass
    with store.opened(copies):
        pass


@pytest.fixture
def reader(source: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has a file of the store open, under another path."""
    other = source.parent / "elsewhere"
    os.link(source / "jetstream" / "closed" / "inner", other)
    code = f"import sys; f = open({str(other)!r}); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        yield child


def test_an_open_file_keeps_a_store_from_being_copied(
    source: Path, copies: Path, reader: subprocess.Popen[bytes]
) -> None:
    found = store.plan(source, copies, "2.10.7")
    assert [f"(process {reader.pid})" in user for user in found.users] == [True]
    with pytest.raises(
        store_tree.StoreError, match=rf"is in use by python\S* \(process {reader.pid}\); expected nobody"
    ):
        store.check_unused(found, source)
    reader.communicate()
    store.check_unused(store.plan(source, copies, "2.10.7"), source)


@pytest.mark.parametrize(
    ("arguments", "config", "runs"),
    [
        (["-c", "{home}/conf"], 'jetstream {{ store_dir: "{home}/store" }}', True),
        (["--config={home}/conf"], 'store_dir: "{home}/store"\njetstream: true', True),
        (["-c", "conf"], 'jetstream {{ store_dir: "{home}/other/../store" }}', True),
        (["-c", "{home}/conf"], "jetstream {{ store_dir: $STORE }}", True),
        (["-c", "{home}/conf"], 'jetstream {{ store_dir: "{home}/other" }}', False),
        (["-c", "{home}/conf"], "jetstream {{", False),
        (["-c", "{home}/missing"], "", False),
        (["-c", "{home}/conf", "-sd", "{home}/store"], 'jetstream {{ store_dir: "{home}/other" }}', True),
        (["-js", "--store_dir={home}/store"], "", True),
        (["-sd"], "", False),
        ([], "", False),
    ],
)
def test_a_server_without_open_files_is_known_by_its_store_dir(
    source: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], config: str, runs: bool
) -> None:
    home = source.parent
    (home / "other").mkdir()
    (home / "conf").write_text(config.format(home=home))
    environment = {**os.environ, "STORE": str(home / "store")}
    with subprocess.Popen(
        ["cat"], cwd=home, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as child:
        assert child.stdin
        assert child.stdout
        # /proc shows its environment a moment after it has begun.
        child.stdin.write(b"x")
        child.stdout.read(1)
        command = ("nats-server", *(word.format(home=home) for word in arguments))
        running = process.Process(child.pid, 0, Path("/usr/bin/nats-server"), command, 0)
        assert store_users._runs_on(running, source) is runs
        other = process.Process(child.pid, 0, Path("/usr/bin/vi"), command, 0)
        assert store_users._runs_on(other, source) is False


CRASHING = (
    (store_tree, "_copy_file"),
    (store_tree, "_set_metadata"),
    (store, "_write_facts"),
    (store_tree, "flush"),
    (Path, "rename"),
    (Path, "mkdir"),
    (Path, "chmod"),
    (shutil, "rmtree"),
)


def crash_after(steps: int, action: Callable[[], object]) -> bool:
    """Run something in a process that is killed before its step number `steps`; says whether it got through."""
    child = os.fork()
    if child == 0:
        left = steps

        def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
            def step(*arguments: Any, **options: Any) -> Any:
                nonlocal left
                if left == 0:
                    os._exit(9)
                left -= 1
                return function(*arguments, **options)

            return step

        for home, name in CRASHING:
            setattr(home, name, guarded(getattr(home, name)))
        try:
            action()
        except BaseException:
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 9)
    return status == 0


def test_a_crash_at_any_step_leaves_the_store_and_only_whole_copies(source: Path, copies: Path) -> None:
    before = picture(source / "jetstream")
    steps = 0
    while not crash_after(steps, lambda: copy_now(source, copies)):
        whole, damaged = store.list_copies(copies)
        assert damaged == []
        assert all(picture(copy.data) == before for copy in whole)
        assert picture(source / "jetstream") == before
        if whole:  # it was cut off after the rename; the next run finds that all is done
            assert store.plan(source, copies, "2.10.7").present == whole[0]
            store.remove(whole)
        assert len(store.leftovers(copies)) <= 1
        steps += 1
    assert steps > 15
    assert [picture(copy.data) for copy in store.list_copies(copies)[0]] == [before]
    assert store.leftovers(copies) == []


def test_a_crash_while_an_old_copy_is_removed_leaves_no_half_copy(source: Path, copies: Path) -> None:
    copy = copy_now(source, copies)
    for steps in range(2):
        assert not crash_after(steps, lambda: store.remove([copy]))
    assert store.list_copies(copies) == ([], [])
    store.clear(store.leftovers(copies))
    assert list(copies.iterdir()) == []


def stream_in(data: Path, name: str, text: str) -> Path:
    """Make the directory of a stream, with a file in it."""
    messages = data / "$G" / "streams" / name / "msgs"
    messages.mkdir(parents=True)
    (messages / "1.blk").write_text(text)
    return messages / "1.blk"


def test_streams_are_brought_back_and_what_stands_there_is_set_aside(tmp_path: Path) -> None:
    source, copies = tmp_path / "source", tmp_path / "copies"
    data = source / store_tree.DATA
    kept, lost, gone = (stream_in(data, name, f"old {name}") for name in ("KEPT", "LOST", "GONE"))
    copies.mkdir()
    copy = copy_now(source, copies)
    kept.write_text("newer")
    lost.write_text("anew")
    shutil.rmtree(gone.parents[1])
    aside = store.bring_back(source, copy, [("$G", "LOST"), ("$G", "GONE"), ("APP", "NOT IN IT")])
    assert [path.read_text() for path in (kept, lost, gone)] == ["newer", "old LOST", "old GONE"]
    assert aside is not None
    assert (aside / "$G" / "streams" / "LOST" / "msgs" / "1.blk").read_text() == "anew"
    assert [path.name for path in (aside / "$G" / "streams").iterdir()] == ["LOST"]
    assert sorted(path.name for path in (data / "$G" / "streams").iterdir()) == ["GONE", "KEPT", "LOST"]
    # the copy itself is as it was, to be brought back again
    assert (copy.data / "$G" / "streams" / "LOST" / "msgs" / "1.blk").read_text() == "old LOST"


def test_streams_are_brought_back_into_a_store_that_is_not_there(tmp_path: Path) -> None:
    source, copies = tmp_path / "source", tmp_path / "copies"
    lost = stream_in(source / store_tree.DATA, "LOST", "old")
    copies.mkdir()
    copy = copy_now(source, copies)
    shutil.rmtree(source / store_tree.DATA)
    assert store.bring_back(source, copy, [("$G", "LOST")]) is None
    assert lost.read_text() == "old"


def test_bringing_back_needs_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, copies = tmp_path / "source", tmp_path / "copies"
    lost = stream_in(source / store_tree.DATA, "LOST", "old")
    copies.mkdir()
    copy = copy_now(source, copies)
    lost.write_text("anew")
    full = os.statvfs_result((4096, 4096, 100, 0, 0, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _path: full)
    with pytest.raises(store_tree.StoreError, match="0 bytes are free; expected "):
        store.bring_back(source, copy, [("$G", "LOST")])
    assert lost.read_text() == "anew"


def test_a_copy_is_tied_to_a_release_and_freed(source: Path, copies: Path) -> None:
    copy = copy_now(source, copies)
    tied = store.tie(copy, "20260131T120000Z-3f2a9c", assets.of([assets.Stream("$G", "CHAT")]))
    assert store.list_copies(copies) == ([tied], [])
    freed = store.tie(tied, None, None)
    (found,), _damaged = store.list_copies(copies)
    assert found == freed
    assert (found.release, found.held) == (None, tied.held)


def test_the_copy_of_a_release_to_go_back_to_stays(source: Path, copies: Path) -> None:
    copy = copy_now(source, copies)
    made = [
        replace(copy, path=copies / str(number), release=each) for number, each in enumerate(("r3", "r2", "r1", "r1"))
    ]
    assert store.superfluous(made, 1) == made[1:]
    assert store.superfluous(made, 1, ["r1", "r2"]) == [made[3]]
