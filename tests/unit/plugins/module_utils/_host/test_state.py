# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The described tree against a real file system."""

from __future__ import annotations

import errno
import os
import pwd
import re
import resource
import shutil
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.rosey.nats.plugins.module_utils._host.tree import apply, compare, show, spec
from ansible_collections.rosey.nats.plugins.module_utils._server import conf
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import make_certificate

NOBODY = 65534
ACCEPT = f"{sys.executable} -c pass %s"
REFUSE = f"{sys.executable} -c 'import sys; sys.exit(\"line 3: no such option\")' %s"
CONF = 'port: 4222\nauthorization {{\n  user: rosey\n  password: "{}"\n}}\n'


def file(path: Path, content: str = "text\n", **more: Any) -> dict[str, Any]:
    return {"path": str(path), "state": "file", "content": content, **more}


def secret(path: Path, content: str, **more: Any) -> dict[str, Any]:
    return {"path": str(path), "state": "file", "secret_content": content, **more}


def directory(path: Path, **more: Any) -> dict[str, Any]:
    return {"path": str(path), "state": "directory", **more}


def link(path: Path, target: str, **more: Any) -> dict[str, Any]:
    return {"path": str(path), "state": "link", "target": target, **more}


def a_link(path: Path, **more: Any) -> dict[str, Any]:
    return link(path, "x", **more)


def absent(path: Path) -> dict[str, Any]:
    return {"path": str(path), "state": "absent"}


def put(*entries: dict[str, Any]) -> list[compare.Change]:
    changes = compare.compare(entries, conf.REDACTORS)
    apply.apply(changes, label=lambda new, place: None)
    return changes


def what(*entries: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    return {change.path: change.what for change in compare.compare(entries)}


def refusal(*entries: dict[str, Any]) -> str:
    with pytest.raises(spec.StateError) as caught:
        put(*entries)
    return str(caught.value)


def snapshot(top: Path) -> dict[str, tuple[Any, ...]]:
    """Give all that there is of a tree, with the inodes, so that even an equal file written anew shows."""
    found = {}
    for path in (top, *sorted(top.rglob("*"))):
        status = path.lstat()
        content = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
        # A directory's times move when a file in it is staged; what matters is what it holds.
        times = None if stat.S_ISDIR(status.st_mode) else (status.st_mtime_ns, status.st_ctime_ns)
        found[str(path)] = (status.st_ino, status.st_mode, status.st_uid, status.st_gid, times, content)
    return found


def make_full_directory(path: Path) -> None:
    (path / "inner").mkdir(parents=True)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Be a user without privileges; one who has none anyway stays who they are."""
    if os.geteuid() != 0:
        yield
        return
    groups = os.getgroups()
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, 0)
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
        os.setgroups(groups)


@pytest.fixture
def own_path() -> Iterator[Path]:
    """Give a directory that belongs to the ordinary user and that they can reach."""
    path = Path(tempfile.mkdtemp(prefix="rosey-test-"))
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def other_group() -> tuple[str, bool]:
    """Name a group other than this process's, and tell whether the process may give a file to it."""
    if os.geteuid() == 0:
        return "54321", True
    own = [group for group in os.getgroups() if group != os.getegid()]
    return (str(own[0]), True) if own else ("54321", False)


# Description


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"path": "etc/nats", "state": "directory"}, "path: 'etc/nats' is not absolute"),
        ({"path": "", "state": "directory"}, "path: '' is empty"),
        ({"path": "/etc/na\0ts", "state": "directory"}, "holds a NUL character"),
        ({"path": "/etc/\ud800", "state": "directory"}, "can't be written in this host's encoding"),
        ({"path": "/etc/../nats", "state": "directory"}, "goes up with '..'"),
        ({"path": "//", "state": "absent"}, "is the root directory"),
        ({"path": "/d/f", "state": "file"}, "/d/f: content is missing"),
        (
            {"path": "/d/f", "state": "file", "content": "a", "secret_content": "b"},
            "content and secret_content are both",
        ),
        ({"path": "/d/f", "state": "file", "content": "a\ud800"}, "character 1 of the content"),
        ({"path": "/d/f", "state": "file", "content": "a", "mode": "416"}, "mode '416' is not an octal mode"),
        ({"path": "/d/f", "state": "file", "content": "a", "mode": "u=rw"}, "such as '0640'"),
        ({"path": "/d/f", "state": "file", "content": "a", "mode": "0888"}, "mode '0888'"),
        ({"path": "/d/f", "state": "file", "content": "a", "mode": ""}, "mode ''"),
        ({"path": "/d/f", "state": "file", "content": "a", "owner": ""}, "/d/f: owner '' is empty"),
        ({"path": "/d/f", "state": "file", "content": "a", "group": "na\0ts"}, "group 'na\\x00ts' holds a NUL"),
        ({"path": "/d/f", "state": "file", "content": "a", "validate": "true"}, "Write %s in its place"),
        ({"path": "/d/f", "state": "file", "content": "a", "validate": "true '%s"}, "Close the quote"),
        ({"path": "/d/f", "state": "file", "content": "a", "recurse": True}, "recurse has no meaning for state file"),
        ({"path": "/d/f", "state": "link"}, "target is missing"),
        ({"path": "/d/f", "state": "link", "target": ""}, "target '' is empty"),
        ({"path": "/d/f", "state": "link", "target": "/a", "mode": "0777"}, "mode has no meaning for state link"),
        ({"path": "/d/f", "state": "directory", "content": ""}, "content has no meaning for state directory"),
        ({"path": "/d/f", "state": "absent", "redact": "all"}, "redact has no meaning for state absent"),
    ],
)
def test_a_description_that_cannot_be_meant_is_refused(entry: dict[str, Any], told: str) -> None:
    with pytest.raises(spec.StateError) as caught:
        compare.compare([entry])
    assert told in str(caught.value)


@pytest.mark.parametrize("second", ["/d/f", "/d//f", "/d/./f", "//d/f/"])
def test_a_path_is_described_once(second: str) -> None:
    with pytest.raises(spec.StateError, match="/d/f: the path is described twice"):
        compare.compare([file(Path("/d/f")), {**file(Path("/d/f")), "path": second}])


def test_a_path_is_described_once_whatever_links_lead_to_it(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "way").symlink_to("real")
    told = refusal(file(tmp_path / "real" / "f"), file(tmp_path / "way" / "f"))
    assert f"{tmp_path}/way/f: the path is described twice, there as {tmp_path}/real/f" in told


@pytest.mark.parametrize(
    "above", [file(Path("/d")), link(Path("/d"), "/etc"), absent(Path("/d"))], ids=lambda entry: entry["state"]
)
def test_only_a_directory_holds_something(above: dict[str, Any]) -> None:
    with pytest.raises(spec.StateError, match=f"/d/f: it lies below /d, which is described as {above['state']}"):
        compare.compare([above, file(Path("/d/f"))])


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    told = refusal(file(tmp_path / "f", mode="0999"), directory(Path("relative")))
    assert "0999" in told
    assert "relative" in told


# Comparison


def test_an_empty_host_is_compared_without_a_trace(tmp_path: Path) -> None:
    before = snapshot(tmp_path)
    entries = [
        file(tmp_path / "etc" / "nats" / "f", owner="no-such-user", group="no-such-group", mode="0640"),
        directory(tmp_path / "etc" / "nats", owner="no-such-user"),
        link(tmp_path / "etc" / "nats" / "l", "f"),
        absent(tmp_path / "gone" / "file"),
    ]
    changes = compare.compare(entries)
    assert [(change.path, change.what) for change in changes] == [
        (f"{tmp_path}/etc", ("created",)),
        (f"{tmp_path}/etc/nats", ("created",)),
        (f"{tmp_path}/etc/nats/f", ("created",)),
        (f"{tmp_path}/etc/nats/l", ("created",)),
    ]
    assert changes[2].reasons == (
        "created: absent -> file",
        "content",
        "owner: no-such-user (no such user yet)",
        "group: no-such-group (no such group yet)",
        "mode: 0640",
    )
    assert "This host has no group no-such-group, user no-such-user. Nothing was touched." in refusal(*entries)
    assert snapshot(tmp_path) == before


def test_each_aspect_is_named(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("old\n")
    (tmp_path / "f").chmod(0o644)
    (tmp_path / "l").symlink_to("old")
    (tmp_path / "d").mkdir(0o755)
    (tmp_path / "gone").write_text("")
    entries = [
        file(tmp_path / "f", "new\n", mode="0600"),
        link(tmp_path / "l", "new"),
        directory(tmp_path / "d", mode="0700", owner="no-such-user"),
        absent(tmp_path / "gone"),
    ]
    me = pwd.getpwuid(os.geteuid()).pw_name
    assert {change.path: change.reasons for change in compare.compare(entries)} == {
        f"{tmp_path}/d": (f"owner: {me} -> no-such-user (no such user yet)", "mode: 0755 -> 0700"),
        f"{tmp_path}/f": ("content", "mode: 0644 -> 0600"),
        f"{tmp_path}/l": ("target: old -> new",),
        f"{tmp_path}/gone": ("removed: file -> absent",),
    }


LONG_AGO = 1_700_000_000.0
DAY = 86_400.0


def set_time(path: Path, moment: float) -> None:
    os.utime(path, (moment, moment))


def test_a_time_that_is_yet_to_come_is_named_and_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("same\n")
    set_time(path, time.time() + DAY)
    touched = path.stat().st_ctime_ns
    (change,) = compare.compare([file(path, "same\n")])
    assert change.what == ("time",)
    assert re.fullmatch(r"time: [-\d]{10}T[\d:]{8}Z, which is yet to come -> [-\d]{10}T[\d:]{8}Z", *change.reasons)
    put(file(path, "same\n"))
    # when it was touched, not now: who has read it since need not do so again
    assert path.stat().st_mtime_ns == touched
    assert compare.compare([file(path, "same\n")]) == []


def test_a_clock_that_was_set_back_leaves_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    path.write_text("same\n")
    now = time.time_ns() - int(DAY * 1e9)
    monkeypatch.setattr(time, "time_ns", lambda: now)
    (change,) = compare.compare([file(path, "same\n")])
    assert (change.what, change.written) == (("time",), now)


def test_only_another_content_is_written_now(tmp_path: Path) -> None:
    for name in ("same", "other"):
        (tmp_path / name).write_text("same\n")
        (tmp_path / name).chmod(0o644)
        set_time(tmp_path / name, LONG_AGO)
    entries = [file(tmp_path / "same", "same\n", mode="0600"), file(tmp_path / "other", "new\n", mode="0600")]
    put(*entries)
    assert (tmp_path / "same").stat().st_mtime == LONG_AGO
    assert abs((tmp_path / "other").stat().st_mtime - time.time()) < DAY


def test_no_content_is_in_the_text_of_a_change(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("old-hidden")
    (change,) = compare.compare([secret(tmp_path / "f", "new-hidden")])
    assert "hidden" not in repr(change)


@pytest.mark.parametrize(
    ("make", "wanted", "told"),
    [
        (
            lambda path: path.symlink_to("/"),
            directory,
            "a link to / stands where the description has a directory. Write / in its place where that is meant",
        ),
        (Path.mkdir, a_link, "a directory stands where the description has a link"),
        (lambda path: path.write_text(""), a_link, "a file stands where the description has a link"),
        (lambda path: path.write_text(""), directory, "a file stands where the description has a directory"),
        (make_full_directory, file, "a directory stands where the description has a file"),
        (make_socket, file, "a socket stands where the description has a file"),
    ],
)
def test_what_stands_in_the_way_is_named(tmp_path: Path, make: Any, wanted: Any, told: str) -> None:
    make(tmp_path / "x")
    before = snapshot(tmp_path)
    answer = refusal(wanted(tmp_path / "x"), file(tmp_path / "innocent"))
    assert f"{tmp_path}/x: {told}" in answer
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda path: path.symlink_to("/else"), "link to /else"),
        (Path.mkdir, "directory"),
        (os.mkfifo, "named pipe"),
    ],
)
def test_what_is_nobody_s_is_set_aside_for_a_file(tmp_path: Path, make: Any, found: str) -> None:
    (tmp_path / "x.aside").write_text("of an earlier time")
    make(tmp_path / "x")
    (change,) = compare.compare([file(tmp_path / "x")])
    assert change.reasons[0] == f"set aside: {found} -> x.aside.2"
    assert "created" not in change.what
    before = (tmp_path / "x").lstat().st_mode
    put(file(tmp_path / "x"))
    assert (tmp_path / "x").read_bytes() == (tmp_path / "x").resolve().read_bytes()
    assert not (tmp_path / "x").is_symlink()
    assert (tmp_path / "x.aside.2").lstat().st_mode == before
    assert compare.compare([file(tmp_path / "x")]) == []


def test_a_file_that_is_too_large_to_be_meant_is_replaced(tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as large:
        large.truncate(1 << 30)
    put(file(tmp_path / "x", mode="0640"))
    assert (tmp_path / "x").stat().st_size < 100


@pytest.mark.parametrize("entry", [file, a_link])
def test_a_missing_directory_is_named(tmp_path: Path, entry: Any) -> None:
    assert f"its directory {tmp_path}/none does not exist. Describe it too" in refusal(entry(tmp_path / "none" / "x"))


def test_a_file_in_the_place_of_a_directory_above_is_named(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    assert f"a file stands where its directory {tmp_path}/f should be" in refusal(file(tmp_path / "f" / "x"))
    assert f"{tmp_path}/f/x/y: its directory {tmp_path}/f/x can't be looked at: Not a directory" in refusal(
        directory(tmp_path / "f" / "x" / "y")
    )


@pytest.mark.parametrize("entry", [file, directory, absent])
def test_a_directory_that_cannot_be_written_is_refused(own_path: Path, entry: Any) -> None:
    with ordinary_user():
        (own_path / "d" / "x").mkdir(parents=True)
        (own_path / "d" / "x").rmdir()
        if entry is absent:
            (own_path / "d" / "x").write_text("")
        (own_path / "d").chmod(0o555)
        told = refusal(entry(own_path / "d" / "x"), file(own_path / "innocent"))
        (own_path / "d").chmod(0o755)
    assert f"{own_path}/d/x: its directory {own_path}/d (" in told
    assert "0555) can't be written by" in told
    assert not (own_path / "innocent").exists()


def test_what_cannot_be_read_is_refused(own_path: Path) -> None:
    with ordinary_user():
        (own_path / "f").write_text("x")
        (own_path / "f").chmod(0o000)
        assert f"{own_path}/f: it can't be looked at: Permission denied" in refusal(file(own_path / "f"))


# Application


def test_a_whole_tree_is_put_and_then_right(tmp_path: Path) -> None:
    (tmp_path / "old" / "sub").mkdir(parents=True)
    (tmp_path / "old" / "sub" / "f").write_text("")
    entries = [
        file(tmp_path / "a" / "b" / "f", "héllo\n", mode="0640"),
        file(tmp_path / "a" / "empty", ""),
        secret(tmp_path / "a" / "s", "hidden"),
        link(tmp_path / "a" / "l", "./b/f"),
        directory(tmp_path / "a", mode="0750"),
        directory(tmp_path / "a" / "b", mode="0700"),
        absent(tmp_path / "old"),
        absent(tmp_path / "old" / "sub"),
    ]
    put(*entries)
    assert (tmp_path / "a" / "b" / "f").read_text() == "héllo\n"
    assert [mode(tmp_path / "a" / name) for name in (".", "b", "b/f", "s")] == [0o750, 0o700, 0o640, 0o600]
    assert (tmp_path / "a" / "l").read_text() == "héllo\n"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b", "empty", "f", "l", "s"]
    before = snapshot(tmp_path)
    assert put(*entries) == []
    assert snapshot(tmp_path) == before


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    put(file(tmp_path / "same", mode="0600"), file(tmp_path / "other", mode="0600"))
    before = snapshot(tmp_path)
    put(file(tmp_path / "same", mode="0600"), file(tmp_path / "other", "new\n"))
    after = snapshot(tmp_path)
    assert {path for path in after if after[path] != before[path]} == {str(tmp_path / "other")}
    assert mode(tmp_path / "other") == 0o600


def test_what_is_not_given_follows_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        put(directory(tmp_path / "a" / "d"), file(tmp_path / "a" / "f"))
    finally:
        os.umask(old)
    assert [mode(tmp_path / "a" / name) for name in (".", "d", "f")] == [0o755, 0o750, 0o640]


@pytest.mark.parametrize("umask", [0o077, 0o027, 0])
def test_everybody_passes_the_directories_that_are_made_above(tmp_path: Path, umask: int) -> None:
    old = os.umask(umask)
    try:
        put(directory(tmp_path / "a" / "b" / "c", mode="0700", recurse=True))
    finally:
        os.umask(old)
    assert [mode(tmp_path / name) for name in ("a", "a/b", "a/b/c")] == [0o755, 0o755, 0o700]


def test_content_is_never_readable_before_its_mode_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    write, rename = os.write, Path.rename
    monkeypatch.setattr(
        os, "write", lambda fd, data: seen.append(stat.S_IMODE(os.fstat(fd).st_mode)) or write(fd, data)
    )
    monkeypatch.setattr(Path, "rename", lambda old, new: seen.append(mode(old)) or rename(old, new))
    old = os.umask(0)
    try:
        put(file(tmp_path / "f", mode="0644"))
    finally:
        os.umask(old)
    assert seen == [0o600, 0o644]


def test_all_is_on_the_disk_before_and_after_it_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    fsync, rename = os.fsync, Path.rename
    monkeypatch.setattr(
        os, "fsync", lambda fd: seen.append(Path(f"/proc/self/fd/{fd}").readlink().suffix or "directory") or fsync(fd)
    )
    monkeypatch.setattr(Path, "rename", lambda old, new: seen.append("rename") or rename(old, new))
    put(file(tmp_path / "x.conf"))
    assert seen == [".conf", "rename", "directory"]


def test_a_mode_without_any_bit_is_a_mode(tmp_path: Path) -> None:
    put(directory(tmp_path / "d"))
    assert put(directory(tmp_path / "d", mode="0000"))[0].reasons[0].endswith(" -> 0000")
    assert mode(tmp_path / "d") == 0


def test_bytes_that_are_no_text_are_kept(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"\xff\x00\n")
    assert what(file(tmp_path / "f", b"\xff\x00\n".decode("utf-8", "surrogateescape"))) == {}


def test_new_things_are_labelled_before_they_are_in_use(tmp_path: Path) -> None:
    calls = []

    def label(new: Path, place: Path) -> None:
        calls.append((place, new.name == place.name, os.path.lexists(new), os.path.lexists(place)))

    entries = [directory(tmp_path / "d"), file(tmp_path / "d" / "f"), link(tmp_path / "d" / "l", "f")]
    apply.apply(compare.compare(entries), label=label)
    assert calls == [
        (tmp_path / "d", True, True, True),
        (tmp_path / "d" / "f", False, True, False),
        (tmp_path / "d" / "l", False, True, False),
    ]


def test_a_link_is_switched_without_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "l").symlink_to("old")
    present = []
    rename = Path.rename
    monkeypatch.setattr(Path, "rename", lambda old, new: present.append(os.path.lexists(new)) or rename(old, new))
    put(link(tmp_path / "l", "new"))
    assert present == [True]
    assert (tmp_path / "l").readlink() == Path("new")


def test_an_absent_link_leaves_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_text("")
    (tmp_path / "l").symlink_to("d")
    put(absent(tmp_path / "l"))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["d", "f"]


def test_a_long_name_can_be_staged(tmp_path: Path) -> None:
    put(file(tmp_path / ("é" * 127)))
    assert what(file(tmp_path / ("é" * 127))) == {}


# Ownership


@pytest.mark.parametrize("kind", [file, directory, a_link])
def test_a_group_is_given_or_its_refusal_told(tmp_path: Path, other_group: tuple[str, bool], kind: Any) -> None:
    group, allowed = other_group
    entry = kind(tmp_path / "x")
    put(entry)
    before = snapshot(tmp_path)
    entry["group"] = group
    if allowed:
        assert put(entry)[0].what == ("group",)
        assert (tmp_path / "x").lstat().st_gid == int(group)
        assert put(entry) == []
    else:
        assert "may not do that: run as the owner, or with become. No file was changed." in refusal(entry)
        assert {path: seen[:4] for path, seen in snapshot(tmp_path).items()} == {
            path: seen[:4] for path, seen in before.items()
        }


@pytest.mark.parametrize("number", [str(2**32 - 1), str(2**70)])
def test_a_number_that_is_no_id_is_an_unknown_account(tmp_path: Path, number: str) -> None:
    assert f"This host has no user {number}." in refusal(file(tmp_path / "f", owner=number))


def test_the_owner_of_a_replaced_file_stays_or_the_refusal_is_told(own_path: Path) -> None:
    (own_path / "f").write_text("old")
    (own_path / "f").chmod(0o644)
    owner = (own_path / "f").stat().st_uid
    with ordinary_user():
        mine = owner == os.geteuid()
        if mine:
            put(file(own_path / "f", "new"))
        else:
            assert "may not do that: run as the owner" in refusal(file(own_path / "f", "new"))
    assert (own_path / "f").read_text() == ("new" if mine else "old")
    put(file(own_path / "f", "newest"))
    assert (own_path / "f").stat().st_uid == owner


def test_ownership_is_repaired_below_a_directory(tmp_path: Path, other_group: tuple[str, bool]) -> None:
    group, allowed = other_group
    top = tmp_path / "store"
    for name in ("stream", "own", "gone"):
        (top / name).mkdir(parents=True)
        (top / name / "f").write_text("")
    (top / "way-out").symlink_to(tmp_path)
    mine = os.getegid()
    entries = [
        directory(top, group=group, recurse=True),
        directory(top / "own", group=str(mine), recurse=True),
        absent(top / "gone"),
        file(top / "new"),
        directory(top / "x" / "y"),
    ]
    changes = {change.path: change for change in compare.compare(entries)}
    assert changes[str(top)].what == ("group", "ownership below")
    assert "3 owned by others" in changes[str(top)].reasons[1]
    if not allowed:
        assert "may not do that" in refusal(*entries)
        return
    put(*entries)
    groups = {str(path.relative_to(tmp_path)): path.lstat().st_gid for path in tmp_path.rglob("*")}
    theirs = int(group)
    assert groups == {
        "store": theirs,
        "store/stream": theirs,
        "store/stream/f": theirs,
        "store/way-out": theirs,
        "store/new": theirs,
        "store/x": theirs,
        "store/x/y": theirs,
        "store/own": mine,
        "store/own/f": mine,
    }
    assert tmp_path.stat().st_gid == mine
    assert put(*entries) == []


def owned(path: Path, **more: Any) -> dict[str, Any]:
    return {"path": str(path), "state": "owned", **more}


def test_what_is_there_is_given_to_another_whatever_it_holds(tmp_path: Path, other_group: tuple[str, bool]) -> None:
    group, allowed = other_group
    (tmp_path / "log").write_text("kept\n")
    (tmp_path / "store" / "stream").mkdir(parents=True)
    (tmp_path / "link").symlink_to("log")
    names = ("log", "store", "link", "missing", "none/at/all")
    entries = [owned(tmp_path / name, group=group, recurse=True) for name in names]
    found = {change.path: change.what for change in compare.compare(entries)}
    assert found == {str(tmp_path / "log"): ("group",), str(tmp_path / "store"): ("group", "ownership below")}
    if not allowed:
        assert "may not do that" in refusal(*entries)
        return
    put(*entries)
    theirs = {path.name for path in tmp_path.rglob("*") if path.lstat().st_gid == int(group)}
    assert theirs == {"log", "store", "stream"}
    assert (tmp_path / "log").read_text() == "kept\n"
    assert put(*entries) == []


def test_recurse_without_an_owner_leaves_everything(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    assert what(directory(tmp_path, recurse=True)) == {}


# Validation and failure


def test_a_refused_file_leaves_the_host_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir(0o755)
    (tmp_path / "d" / "first").write_text("old")
    (tmp_path / "gone").write_text("")
    before = snapshot(tmp_path)
    told = refusal(
        directory(tmp_path / "d", mode="0700"),
        directory(tmp_path / "new" / "deep"),
        file(tmp_path / "new" / "f"),
        file(tmp_path / "d" / "first", "new", validate=ACCEPT),
        file(tmp_path / "d" / "second", validate=REFUSE),
        link(tmp_path / "d" / "l", "first"),
        absent(tmp_path / "gone"),
    )
    assert told == (
        f"{tmp_path}/d/second: `{REFUSE}` refused it with exit status 1. No file was changed. "
        "It said: line 3: no such option"
    )
    assert snapshot(tmp_path) == before


def test_every_file_is_tried_before_any_is_in_place(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    looks = f"""{sys.executable} -c 'import sys; sys.exit(open("{tmp_path}/a").read() != "old")' %s"""
    put(file(tmp_path / "a", "new", validate=looks), file(tmp_path / "b", validate=looks))
    assert (tmp_path / "a").read_text() == "new"


def test_a_command_gets_the_staged_file_with_its_mode_and_no_shell(tmp_path: Path) -> None:
    script = tmp_path / "tell.py"
    script.write_text(
        "import os, pathlib, sys\n"
        "file = pathlib.Path(sys.argv[1])\n"
        "print(file.parent, file.suffix, oct(file.stat().st_mode), sys.argv[2:], file.read_text())\n"
        "sys.exit(7)\n"
    )
    entry = file(tmp_path / "n.conf", "x\n", mode="0640", validate=f"{sys.executable} {script} %s ; touch '$HOME'")
    told = refusal(entry)
    assert "exit status 7" in told
    assert told.endswith(f"It said: {tmp_path} .conf 0o100640 [';', 'touch', '$HOME'] x")


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("/no/such/binary -t %s", "`/no/such/binary -t %s` can't be run: No such file or directory"),
        ("/etc/passwd %s", "`/etc/passwd %s` can't be run: Permission denied"),
        ("false %s", "It said: (nothing)"),
    ],
)
def test_a_command_that_fails_otherwise_is_told(tmp_path: Path, command: str, told: str) -> None:
    assert told in refusal(file(tmp_path / "f", validate=command))
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "_VALIDATE_SECONDS", 0.1)
    assert "was still running after 0.1 s" in refusal(
        file(tmp_path / "f", validate=f"{sys.executable} -c 'import time; time.sleep(60)' %s")
    )
    assert list(tmp_path.iterdir()) == []


def test_the_server_says_why_in_its_own_words_and_no_secret(tmp_path: Path, nats_server: Path) -> None:
    text = CONF.format("pass-hidden-word") + "prot: 1\n"
    told = refusal(secret(tmp_path / "n.conf", text, redact="nats_conf", validate=f"{nats_server} -t -c %s"))
    assert f'{tmp_path}/n.conf:6:1: unknown field "prot"' in told
    text = 'port: "hidden-word"\n'
    told = refusal(secret(tmp_path / "n.conf", text, validate=f"{nats_server} -t -c %s"))
    assert "hidden" not in told
    assert "exit status 1" in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("redact", "content", "said", "shown"),
    [
        ("none", "top secret", "top secret", "top secret"),
        ("all", "the top secret", "at 3: 'top secret' bad", "at 3: '********' bad"),
        ("all", "a long secret", "got long secr", "got********"),
        ("all", "ab", "no ab, no", "no ********, no"),
        ("all", "", "empty", "empty"),
        ("nats_conf", CONF.format("hidden-word"), "token hidden-word: port", "token ********: port"),
        ("nats_conf", CONF.format("hidden-word"), "near dden-wor", "near ********"),
        ("nats_conf", CONF.replace('"', "").format("hidden"), "near hidden: port", "near ********: port"),
        ("nats_conf", CONF.format("hunter2hunter2"), "interface", "interface"),
        ("nats_conf", CONF.format("ab"), "got ab: port", "got ********: port"),
        ("nats_conf", "authorization { token: s3cr", "bad: s3cr", "bad: ********"),
        ("all", "key = 'abc'\n", "3:1: no abc key of s3cr", "3:1: no ******** ******** of s3cr"),
        ("nats_conf", "port: 1\n", "port: 1", "port: 1"),
        (
            "nats_conf",
            "prot: 1\nauthorization { token: ab, password: cd }",
            "x:1:1: 1 ab abc cd",
            "x:1:1: ******** ******** abc ********",
        ),
    ],
)
def test_what_a_command_says_holds_no_secret(tmp_path: Path, redact: str, content: str, said: str, shown: str) -> None:
    code = "import sys; sys.exit(sys.argv[1])"
    entry = file(tmp_path / "f", content, redact=redact, validate=f'{sys.executable} -c "{code}" "{said}" %s')
    assert refusal(entry).endswith(f"It said: {shown}")


def full(descriptor: int, data: bytes) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_host_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_text("old")
    before = snapshot(tmp_path)
    monkeypatch.setattr(os, "write", full)
    told = refusal(file(tmp_path / "f", "new"), directory(tmp_path / "d"), file(tmp_path / "d" / "g"))
    assert f"{tmp_path}/f: staging it (3 bytes) failed: No space left on device. " in told
    assert f"B are free in {tmp_path}. Make room and run again. No file was changed." in told
    assert snapshot(tmp_path) == before


def test_half_a_file_is_not_left_behind(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("old")
    before = snapshot(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        told = refusal(file(tmp_path / "a"), file(tmp_path / "f", "x" * 10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert f"{tmp_path}/f: staging it (10000 bytes) failed: File too large." in told
    assert snapshot(tmp_path) == before


def test_a_late_failure_names_what_is_in_place(tmp_path: Path) -> None:
    changes = compare.compare([file(tmp_path / "a"), file(tmp_path / "b")])
    (tmp_path / "b").mkdir()
    with pytest.raises(spec.StateError) as caught:
        apply.apply(changes, label=lambda new, place: None)
    told = str(caught.value)
    assert told == f"{tmp_path}/b: renaming it into place failed: Is a directory. Already done: {tmp_path}/a."
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


# Rehearsal


@pytest.mark.parametrize(
    ("command", "more", "reason"),
    [
        ("/no/such/nats-server -t -c %s", {}, "/no/such/nats-server is not there yet"),
        ("no-such-nats-server -t -c %s", {}, "no-such-nats-server is not there yet"),
        ("true -- /no/such/nats-server -t -c %s", {}, "/no/such/nats-server is not there yet"),
        ("true --ca=/no/ca.pem %s", {}, "/no/ca.pem is not there yet"),
        ("true %s", {"group": "no-such-group"}, "this host has no group no-such-group yet"),
        (
            "false -v {directory}:{directory}:ro %s",
            {},
            "the command names {directory}, so it can only try the file in its place",
        ),
    ],
)
def test_a_command_that_lacks_something_yet_is_not_run(
    tmp_path: Path, command: str, more: dict[str, str], reason: str
) -> None:
    entry = file(tmp_path / "f", validate=command.format(directory=tmp_path), **more)
    assert apply.rehearse(compare.compare([entry])) == {f"{tmp_path}/f": reason.format(directory=tmp_path)}


def test_a_rehearsal_tries_a_private_copy_beside_its_neighbours(tmp_path: Path, nats_server: Path) -> None:
    (tmp_path / "users.conf").write_text('authorization { token: "x" }\n')
    entry = file(tmp_path / "n.conf", "include users.conf\nport: 4222\n", validate=f"{nats_server} -t -c %s")
    before = snapshot(tmp_path)
    assert apply.rehearse(compare.compare([entry, file(tmp_path / "unchecked")])) == {}
    entry["content"] += "prot: 1\n"
    with pytest.raises(spec.StateError, match=r'n\.conf:3:1: unknown field "prot"'):
        apply.rehearse(compare.compare([entry]))
    assert snapshot(tmp_path) == before


def test_a_file_is_tried_with_what_changes_with_it(tmp_path: Path, nats_server: Path) -> None:
    with tempfile.TemporaryDirectory() as made:
        pem = make_certificate(Path(made)).read_text()
    tls, config = tmp_path / "tls", tmp_path / "n.conf"
    key, other = tls / "server.pem", tls / "server.pem.old"
    text = f'tls {{ cert_file: "{key}", key_file: "{key}" }} # not {other}\n'

    def described(content: str) -> list[dict[str, Any]]:
        tried = file(config, text, validate=f"{nats_server} -t -c %s", mode="0640")
        return [directory(tls), secret(key, content, mode="0640"), file(other, "x"), tried]

    assert apply.rehearse(compare.compare(described(pem))) == {}
    assert not tls.exists()
    put(*described(pem))
    assert config.read_text() == text

    # a change of both: what was there before would have passed
    config.write_text("port: 1\n")
    before = snapshot(tmp_path)
    with pytest.raises(spec.StateError) as rehearsed:
        apply.rehearse(compare.compare(described("no certificate")))
    for told in (refusal(*described("no certificate")), str(rehearsed.value)):
        assert f"{config}: " in told
        assert "failed to find any PEM data" in told
        assert not re.search(r"\.rosey|server\.pem\.\d", told)
    assert snapshot(tmp_path) == before


def test_a_rehearsal_can_be_read_by_the_account_that_may_read_the_file(tmp_path: Path) -> None:
    script = tmp_path / "read_as_nobody.py"
    script.write_text(
        "import os, sys\n"
        f"os.geteuid() or (os.setgroups([]), os.setgid({NOBODY}), os.setuid({NOBODY}))\n"
        "open(sys.argv[1])\n"
    )
    group = str(NOBODY if os.geteuid() == 0 else os.getegid())
    entry = file(tmp_path / "f", mode="0640", group=group, validate=f"{sys.executable} {script} %s")
    assert apply.rehearse(compare.compare([entry])) == {}


def test_a_command_runs_as_the_service_does(tmp_path: Path) -> None:
    """With its user's groups and the group that it was given, and not with what its user's own group is."""
    if os.geteuid() != 0:
        pytest.skip("only root runs a command as another")
    code = "import os, sys; sys.exit(f'{os.getuid()} {os.getgid()} {sorted(os.getgroups())} {os.getcwd()}')"
    entry = file(tmp_path / "f", validate=f'{sys.executable} -c "{code}" %s', validate_user="nobody")
    daemon = compare._gid("daemon")
    own = pwd.getpwnam("nobody").pw_gid
    for group, gid in (("", own), ("daemon", daemon), (str(daemon), daemon)):
        told = rf"It said: {NOBODY} {gid} \[{gid}\] /$"
        with pytest.raises(spec.StateError, match=told):
            put({**entry, "validate_group": group or None})
    assert "can't be run as no-such-user" in refusal({**entry, "validate_user": "no-such-user"})
    whys = apply.rehearse(compare.compare([{**entry, "validate_user": "no-such-user"}]))
    assert ["no-such-user" in why for why in whys.values()] == [True]


@pytest.mark.parametrize(
    ("more", "expected"),
    [({"mode": "0640"}, 0o710), ({"mode": "0644"}, 0o711), ({"mode": "0600"}, 0o700)],
)
def test_only_a_reader_of_the_file_reaches_its_copy(tmp_path: Path, more: dict[str, str], expected: int) -> None:
    code = "import os, sys; sys.exit(oct(os.stat(os.path.dirname(sys.argv[1])).st_mode & 0o777))"
    command = f'{sys.executable} -c "{code}" %s'
    with pytest.raises(spec.StateError, match=f"It said: {oct(expected)}$"):
        apply.rehearse(
            compare.compare([file(tmp_path / "d" / "f", validate=command, **more), directory(tmp_path / "d")])
        )


def test_a_secret_copy_is_out_of_reach_for_all_others(tmp_path: Path) -> None:
    code = "import os, sys; sys.exit(os.stat(os.path.dirname(sys.argv[1])).st_mode & 0o7)"
    entry = secret(tmp_path / "f", "hidden", mode="0644", validate=f'{sys.executable} -c "{code}" %s')
    assert apply.rehearse(compare.compare([entry])) == {}


# Diff


@pytest.mark.parametrize(
    ("old", "entry", "before", "after"),
    [
        ("old\n", {"content": "new\n"}, "old\n", "new\n"),
        (None, {"content": "new\n"}, "", "new\n"),
        (None, {"content": ""}, "", ""),
        (b"\xff", {"content": "new\n"}, "(1 bytes that are no text)\n", "new\n"),
        ("old\n", {"secret_content": "new\n"}, "(hidden)\n", "(hidden)\n(what differs is hidden)\n"),
        (None, {"secret_content": "new\n"}, "", "(hidden)\n"),
        ("old\n", {"content": "new\n", "redact": "all"}, "(hidden)\n", "(hidden)\n(what differs is hidden)\n"),
        (
            CONF.format("old-hidden"),
            {"secret_content": CONF.format("new-hidden").replace("4222", "4333"), "redact": "nats_conf"},
            CONF.format("********"),
            CONF.format("********").replace("4222", "4333"),
        ),
        (
            CONF.format("old-hidden"),
            {"secret_content": CONF.format("new-hidden"), "redact": "nats_conf"},
            CONF.format("********"),
            CONF.format("********") + "(what differs is hidden)\n",
        ),
        (
            'name: a\n# hidden-0\nconfig:\n- hidden-1\n\nhidden-3: |\n  hidden-4\n"sub":\n  - "x"\nhidden 5\n',
            {"content": 'name: b\n\nsub:\n  - "x"\n\nconfig: {a: hidden-6}\n', "shown_keys": ["name", "sub"]},
            'name: a\nconfig: ********\n\n: ********\n"sub":\n  - "x"\n: ********\n',
            'name: b\n\nsub:\n  - "x"\n\nconfig: ********\n',
        ),
        (
            "config:\n  a: hidden-1\n",
            {"content": "config:\n  a: hidden-2\n", "shown_keys": ["name"]},
            "config: ********\n",
            "config: ********\n(what differs is hidden)\n",
        ),
    ],
)
def test_a_diff_shows_contents_as_far_as_allowed(
    tmp_path: Path, old: str | bytes | None, entry: dict[str, Any], before: str, after: str
) -> None:
    path = tmp_path / "f"
    if old is not None:
        path.write_bytes(old if isinstance(old, bytes) else old.encode())
    items = show.diff(compare.compare([{"path": str(path), "state": "file", **entry}], conf.REDACTORS))
    assert items[-1] == {"before": before, "after": after, "before_header": str(path), "after_header": str(path)}


def test_nothing_of_a_text_is_shown_by_who_cannot_tell_its_secrets(tmp_path: Path) -> None:
    [item] = show.diff(compare.compare([file(tmp_path / "f", "port: 1\n", redact="nats_conf")]))[1:]
    assert item["after"] == "(hidden)\n"


def test_a_diff_shows_metadata_by_itself(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir(0o755)
    (tmp_path / "l").symlink_to("old")
    (tmp_path / "gone").write_text("hidden")
    entries = [
        directory(tmp_path / "d", mode="0700"),
        file(tmp_path / "d" / "f", mode="0600"),
        link(tmp_path / "l", "new"),
        absent(tmp_path / "gone"),
    ]
    items = [(item["before"], item["after"]) for item in show.diff(compare.compare(entries))]
    assert items == [
        ({"mode": "0755"}, {"mode": "0700"}),
        ({"state": "absent"}, {"state": "file", "mode": "0600"}),
        ("", "text\n"),
        ({"target": "old"}, {"target": "new"}),
        ({"state": "file"}, {"state": "absent"}),
    ]


# As a whole

NAMES = st.sampled_from(["a", "b", "ü", "c d"])
LEAVES = st.one_of(
    st.builds(lambda content, bits: {"state": "file", "content": content, "mode": bits}, st.text(), st.just("0640")),
    st.builds(lambda content: {"state": "file", "secret_content": content}, st.text(min_size=1)),
    st.builds(lambda target: {"state": "link", "target": target}, NAMES),
    st.just({"state": "absent"}),
)
TREES = st.recursive(LEAVES, lambda below: st.dictionaries(NAMES, below, max_size=3), max_leaves=8)


def described(top: Path, tree: Any) -> Iterator[dict[str, Any]]:
    if "state" in tree:
        yield {"path": str(top), **tree}
        return
    yield directory(top, mode="0755")
    for name, below in tree.items():
        yield from described(top / name, below)


def test_of_two_trees_the_second_is_refused_whole_or_put_whole() -> None:
    outcomes = set()

    @settings(max_examples=100, deadline=None, database=None)
    @given(TREES, TREES, st.booleans())
    def check(first: Any, second: Any, refuses: bool) -> None:
        with tempfile.TemporaryDirectory() as made:
            top = Path(made)
            put(*described(top / "tree", first))
            assert compare.compare(described(top / "tree", first)) == []
            before = snapshot(top)
            entries = list(described(top / "tree", second))
            if refuses:
                entries.append(file(top / "refused", validate="false %s"))
            try:
                put(*entries)
            except spec.StateError:
                outcomes.add("refused")
                assert snapshot(top) == before
            else:
                outcomes.add("put")
                assert not refuses
                assert compare.compare(entries) == []
                assert not [path for path in top.rglob("*") if path.name.startswith(".rosey-")]

    check()
    assert outcomes == {"refused", "put"}


def test_a_thousand_unchanged_files_are_a_matter_of_milliseconds(tmp_path: Path) -> None:
    entries = [directory(tmp_path / "plugins"), *(file(tmp_path / "plugins" / f"{n}.yaml") for n in range(1000))]
    put(*entries)
    started = time.process_time()
    assert put(*entries) == []
    assert time.process_time() - started < 0.5
