# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of a store while the account that it belongs to puts links there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._data import store, store_tree

NOBODY = 65534
STREAM = Path("$G", "streams", "KEPT")
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root owns what another account may not")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Give the data of a store of another account's, beside a directory that it may not look into."""
    data = tmp_path / "store" / store_tree.DATA
    (data / STREAM / "msgs").mkdir(parents=True)
    (data / STREAM / "msgs" / "1.blk").write_text("a message")
    for path in (data.parent, data, *data.rglob("*")) if os.geteuid() == 0 else ():
        os.chown(path, NOBODY, NOBODY)
    outside = tmp_path / "outside"
    (outside / "streams").mkdir(parents=True)
    outside.chmod(0o700)
    (outside / "1.blk").write_text("hidden")
    return data


def outside(data: Path) -> dict[str, tuple[Any, ...]]:
    top = data.parents[1] / "outside"
    return {
        str(path): (status.st_uid, status.st_gid, status.st_mode, status.st_mtime_ns)
        for path in (top, *top.rglob("*"))
        for status in [path.lstat()]
    }


def replaced(path: Path, target: Path) -> None:
    """Do what the account of the store may do at any moment."""
    path.rename(path.with_name("moved"))
    path.symlink_to(target)
    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def made(data: Path) -> store.Copy:
    copies = data.parents[1] / "copies"
    with store.opened(copies):
        planned = store.plan(data.parent, copies, "2.10.7")
        return store.make(data.parent, copies, planned, from_version="2.10.7", to_version="2.9.25", streams=())


@pytest.mark.parametrize(
    ("part", "target"), [(STREAM / "msgs" / "1.blk", "outside/1.blk"), (STREAM / "msgs", "outside")]
)
def test_nothing_but_what_was_in_the_store_is_copied(
    data: Path, monkeypatch: pytest.MonkeyPatch, part: Path, target: str
) -> None:
    inventory_of = store_tree.inventory_of

    def then_replaced(directory: Path) -> Any:
        found = inventory_of(directory)
        if not (data / part).is_symlink():
            (data / part).rename((data / part).with_name("moved"))
            (data / part).symlink_to(data.parents[1] / target)
        return found

    copies = data.parents[1] / "copies"
    with store.opened(copies):
        planned = store.plan(data.parent, copies, "2.10.7")
        monkeypatch.setattr(store_tree, "inventory_of", then_replaced)
        with pytest.raises(store_tree.StoreError, match=r"was replaced|Too many levels"):
            store.make(data.parent, copies, planned, from_version="2.10.7", to_version="2.9.25", streams=())
    assert not [*copies.iterdir()]


@AS_ROOT
@pytest.mark.parametrize("part", ["$G", "$G/streams", "."])
def test_nothing_is_brought_back_behind_a_link_of_the_account(data: Path, part: str) -> None:
    copy, before = made(data), outside(data)
    replaced(data / part, data.parents[1] / "outside")
    with pytest.raises(store_tree.StoreError, match="is a link of nobody's, which root does not follow"):
        store.bring_back(data.parent, copy, [("$G", "KEPT")])
    assert outside(data) == before


@AS_ROOT
@pytest.mark.parametrize("swap", [replaced, lambda path, _target: given(path)])
def test_nor_where_the_link_takes_the_place_of_what_is_written(
    data: Path, monkeypatch: pytest.MonkeyPatch, swap: Callable[[Path, Path], None]
) -> None:
    copy, before = made(data), outside(data)
    mkdir = Path.mkdir

    def then_replaced(path: Path, *arguments: Any, **named: Any) -> None:
        mkdir(path, *arguments, **named)
        if path.name.startswith(".rosey-"):
            monkeypatch.undo()
            swap(path, data.parents[1] / "outside")

    monkeypatch.setattr(Path, "mkdir", then_replaced)
    with pytest.raises(store_tree.StoreError):
        store.bring_back(data.parent, copy, [("$G", "KEPT")])
    assert outside(data) == before


def given(path: Path) -> None:
    """Put a directory of the account's in the place of one."""
    path.rename(path.with_name("moved"))
    path.mkdir()
    os.chown(path, NOBODY, NOBODY)


def test_a_store_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    assert store_tree.inventory_of(tmp_path / "none") == {}
