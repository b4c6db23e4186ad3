# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import grp
import os
import pwd
from pathlib import Path

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._host import system

NOBODY = pwd.getpwnam("nobody")
GROUP = grp.getgrgid(NOBODY.pw_gid).gr_name


@pytest.mark.parametrize(
    ("name", "group", "expected"),
    [
        ("nobody", "", ("nobody", GROUP, NOBODY.pw_gid)),
        (str(NOBODY.pw_uid), "", ("nobody", GROUP, NOBODY.pw_gid)),
        ("nobody", "root", ("nobody", "root", 0)),
        ("nobody", "0", ("nobody", "root", 0)),
    ],
)
def test_an_account_has_a_name_or_a_number(name: str, group: str, expected: tuple[str, str, int]) -> None:
    found = system.account(name, group)
    assert (found.name, found.group, found.gid) == expected
    assert (found.uid, found.gid in found.groups) == (NOBODY.pw_uid, True)


@pytest.mark.parametrize("others", [["root"], ["0", str(NOBODY.pw_gid)]])
def test_an_account_may_be_in_other_groups(others: list[str]) -> None:
    assert system.account("nobody", "", others).groups == {*system.account("nobody").groups, 0}
    with pytest.raises(KeyError):
        system.account("nobody", "", ["no-such-group"])


@pytest.mark.parametrize(
    ("name", "group"), [("no-such-account", ""), ("4294967290", ""), ("root", "no-such-group"), ("root", "4294967290")]
)
def test_an_account_may_not_be_there(name: str, group: str) -> None:
    with pytest.raises(KeyError):
        system.account(name, group)


def test_without_a_name_an_account_is_whoever_runs_this(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4294967290)
    monkeypatch.setattr(os, "getegid", lambda: NOBODY.pw_gid)
    found = system.account("")
    assert (found.name, found.uid, found.group) == ("4294967290", 4294967290, GROUP)
    assert found.gid in found.groups


def test_only_root_runs_something_as_another_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    given = {"user": NOBODY.pw_uid, "group": NOBODY.pw_gid}
    assert system.run_as(str(NOBODY.pw_uid)) == {**given, "extra_groups": system.account("nobody").groups}
    found = system.account("nobody", "root", ["1"])
    assert system.run_as(found) == {**given, "group": 0, "extra_groups": found.groups}
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert system.run_as("no-such-account") == {}


@pytest.mark.parametrize(
    ("most", "since", "expected"),
    [(100, 0, "0123\ufffd56789"), (3, 0, "789"), (100, 8, "89"), (1, 8, "9"), (100, 100, ""), (0, 0, "")],
)
def test_the_end_of_a_file_is_read(tmp_path: Path, most: int, since: int, expected: str) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"0123\xff56789")
    assert system.tail(path, most, since) == expected


def test_a_file_that_is_not_there_has_no_size(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert system.size(path) == 0
    path.write_text("four")
    assert system.size(path) == 4


def test_only_the_packages_of_libraries_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(system.PACKAGES, "no_such_library", "python3-no-such-library")
    assert system.missing_packages(["requests", "no_such_library", "yaml"]) == ["python3-no-such-library"]


@pytest.mark.parametrize("name", ["", "file", "none/yet/file"], ids=["the directory", "in it", "below it"])
def test_room_is_that_of_the_place_that_is_full(name: str, tmp_path: Path) -> None:
    told = system.remedy(tmp_path / name, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert told.endswith(f"B are free in {tmp_path}. Make room and run again.")
