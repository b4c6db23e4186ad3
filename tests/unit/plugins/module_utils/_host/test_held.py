# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories that are held, and what an account may put on the way to one."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._host import system
from ansible_collections.rosey.nats.plugins.module_utils._host.held import Directories
from ansible_collections.rosey.nats.plugins.module_utils._host.tree import apply, compare, spec

NOBODY = 65534
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root owns what another account may not")


def link_of_nobody(link: Path, target: Path) -> None:
    link.symlink_to(target)
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)


def put_in_the_place_of(path: Path, target: Path) -> None:
    """Do what the owner of the directory around may do at any moment."""
    path.rename(path.with_name("moved"))
    link_of_nobody(path, target)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give a directory that belongs to another account, beside one that it has no business in."""
    home = tmp_path / "home"
    (home / "environments" / "dev").mkdir(parents=True)
    for path in (home, home / "environments", home / "environments" / "dev"):
        os.chown(path, NOBODY, NOBODY)
    (tmp_path / "outside" / "dev").mkdir(parents=True)
    (tmp_path / "outside" / "dev").chmod(0o700)
    (tmp_path / "outside" / "dev" / "x.yaml").write_text("nobody's business\n")
    return home


def outside(home: Path) -> dict[str, tuple[Any, ...]]:
    found = {}
    for path in (home.parent / "outside", *(home.parent / "outside").rglob("*")):
        status = path.lstat()
        found[str(path)] = (status.st_ino, status.st_uid, status.st_gid, status.st_mode, status.st_mtime_ns)
    return found


def unlabelled(_new: Path, _place: Path) -> None:
    return


# The way


@pytest.mark.parametrize("target", ["outside", "../{top}/outside", "{whole}/outside", "home/way"])
def test_a_link_that_root_made_leads_on(tmp_path: Path, home: Path, target: str) -> None:
    (home / "way").symlink_to("../outside")
    (tmp_path / "link").symlink_to(target.format(top=tmp_path.name, whole=tmp_path))
    with Directories() as places:
        assert places.at(tmp_path / "link" / "dev" / "x.yaml").read_text() == "nobody's business\n"


@AS_ROOT
def test_a_link_of_another_account_does_not(home: Path) -> None:
    (home / "environments").rename(home / "moved")
    link_of_nobody(home / "environments", home.parent / "outside")
    with Directories() as places, pytest.raises(OSError, match="Errno") as caught:
        places.at(home / "environments" / "dev" / "x.yaml")
    assert caught.value.errno == errno.ELOOP
    assert caught.value.strerror.startswith(f"{home}/environments is a link of nobody's, which root does not follow")


def test_what_is_no_directory_and_a_circle_are_told_as_the_kernel_tells_them(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "circle").symlink_to("circle")
    with Directories() as places:
        for path, error in (("none/f", FileNotFoundError), ("file/f", NotADirectoryError)):
            with pytest.raises(error):
                places.at(tmp_path / path)
        with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
            places.at(tmp_path / "circle" / "f")


def test_a_directory_that_is_held_stays_what_it_was_and_is_let_go(tmp_path: Path, home: Path) -> None:
    environment = home / "environments" / "dev"
    before = len([*Path("/proc/self/fd").iterdir()])
    with Directories() as places:
        place = places.at(environment / "x.yaml")
        put_in_the_place_of(environment, tmp_path / "outside" / "dev")
        assert not place.exists()
        assert places.at(environment / "x.yaml") == place
    assert len([*Path("/proc/self/fd").iterdir()]) == before


# The tree


def entries_of(home: Path) -> list[dict[str, Any]]:
    environment = home / "environments" / "dev"
    return [
        {"path": str(environment), "state": "directory", "owner": str(NOBODY), "mode": "0750", "manifest": ".list"},
        {"path": str(environment / "x.yaml"), "state": "file", "content": "new\n", "owner": str(NOBODY)},
        {"path": str(environment / "x.env"), "state": "variables", "variables": {"A": "b"}, "owner": str(NOBODY)},
        {"path": str(environment / "old"), "state": "absent"},
        {"path": str(environment / "kept"), "state": "owned", "owner": str(NOBODY), "recurse": True},
    ]


@AS_ROOT
@pytest.mark.parametrize("part", ["environments", "environments/dev"])
def test_nothing_is_done_behind_a_link_of_another_account(home: Path, part: str) -> None:
    target = home.parent / "outside" / Path(part).relative_to("environments")
    before = outside(home)
    changes = compare.compare(entries_of(home))
    put_in_the_place_of(home / part, target)
    with pytest.raises(spec.StateError, match="a link"):
        compare.compare(entries_of(home))
    with pytest.raises(spec.StateError) as caught:
        apply.apply(changes, label=unlabelled)
    assert not caught.value.touched
    assert outside(home) == before


@AS_ROOT
@pytest.mark.parametrize("part", ["environments", "environments/dev"])
@pytest.mark.parametrize("at", ["x.yaml", "x.env"])
def test_what_is_being_written_goes_where_it_was_begun(home: Path, part: str, at: str) -> None:
    before = outside(home)

    def act(_new: Path, place: Path) -> None:
        if place.name == at:
            put_in_the_place_of(home / part, home.parent / "outside" / Path(part).relative_to("environments"))

    apply.apply(compare.compare(entries_of(home)), label=act)
    assert outside(home) == before
    assert [path.read_text() for path in home.rglob("x.yaml")] == ["new\n"]


@AS_ROOT
def test_what_is_undone_is_what_was_done(home: Path) -> None:
    before = outside(home)

    def act(_new: Path, place: Path) -> None:
        put_in_the_place_of(home / "environments" / "dev", home.parent / "outside" / "dev")
        raise OSError(errno.EIO, "no label")

    changes = compare.compare(entries_of(home))
    with pytest.raises(spec.StateError, match="no label"):
        apply.apply(changes, label=act)
    assert outside(home) == before


@pytest.mark.parametrize("name", ["x.env", ".list"])
def test_no_content_comes_by_a_link_that_came_in_between(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    environment = home / "environments" / "dev"
    apply.apply(compare.compare(entries_of(home)), label=unlabelled)
    (home.parent / "outside" / "root.env").write_text("PASSWORD=hidden\n")
    read = system.read

    def reading(path: Path, *, follow: bool = True) -> bytes:
        if path.name == name:
            (environment / name).unlink()
            link_of_nobody(environment / name, home.parent / "outside" / "root.env")
        return read(path, follow=follow)

    monkeypatch.setattr(system, "read", reading)
    with pytest.raises(spec.StateError, match="can't be looked at: Too many levels of symbolic links"):
        compare.compare(entries_of(home))


def test_a_file_with_another_name_is_given_to_nobody(home: Path) -> None:
    kept = home / "environments" / "dev" / "kept"
    (kept / "stream").mkdir(parents=True)
    (kept / "own").write_text("")
    (kept / "stream" / "linked").hardlink_to(home.parent / "outside" / "dev" / "x.yaml")
    before = outside(home)
    given = [{"path": str(kept), "state": "owned", "group": "54321", "recurse": True}]
    if os.geteuid() == 0:
        apply.apply(compare.compare(given), label=unlabelled)
        assert (kept / "own").stat().st_gid == 54321
    assert outside(home) == before
    (kept / "alone").hardlink_to(home.parent / "outside" / "dev" / "x.yaml")
    assert compare.compare([{"path": str(kept / "alone"), "state": "owned", "group": "54321"}]) == []


@AS_ROOT
@pytest.mark.parametrize("swap", [os.mkfifo, os.mkdir, lambda path: link_of_nobody(path, Path("/etc/shadow"))])
def test_what_takes_the_place_of_a_staged_file_holds_nobody_up(home: Path, swap: Callable[[Path], None]) -> None:
    before = outside(home), Path("/etc/shadow").stat()

    def act(new: Path, place: Path) -> None:
        if place.name == "x.yaml":
            new.unlink()
            swap(new)

    # what is no file can't be seen on the disk, or is put where it came from
    with suppress(spec.StateError):
        apply.apply(compare.compare(entries_of(home)), label=act)
    assert (outside(home), Path("/etc/shadow").stat()) == before
