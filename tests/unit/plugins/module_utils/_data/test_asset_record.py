# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._data import asset_record, assets
from ansible_collections.rosey.nats.plugins.module_utils._data.asset_changes import Doing
from ansible_collections.rosey.nats.plugins.module_utils._data.assets import Limits, Stream
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file

CHAT = assets.of([Stream("$G", "CHAT", "2026", assets.FILE, 1, 4, 10, 1, 4, Limits(max_age=5))], {"$G": 7})


@pytest.fixture
def book(tmp_path: Path) -> asset_record.Book:
    return asset_record.Book(tmp_path / "releases")


def test_nothing_is_known_at_first(book: asset_record.Book) -> None:
    assert book.proven() is None
    assert book.checkpoint() == asset_record.Checkpoint()


def test_what_is_kept_is_read_back(book: asset_record.Book, tmp_path: Path) -> None:
    book.prove(asset_record.Proven("2026-01-31T12:00:00Z", CHAT))
    assert book.proven() == asset_record.Proven("2026-01-31T12:00:00Z", CHAT)
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.rglob("*"))


def test_a_checkpoint_grows_and_ends(book: asset_record.Book) -> None:
    book.begin(CHAT)
    book.note(before=CHAT, doing=Doing.RESTART, log_size=5, settled=True)
    book.note(after=assets.of([]), restored={("$G", "CHAT"): 4})
    assert book.checkpoint() == asset_record.Checkpoint(
        CHAT, CHAT, Doing.RESTART, 5, settled=True, after=assets.of([]), restored={("$G", "CHAT"): 4}
    )
    # one that was cut off goes on
    book.begin(assets.of([]))
    assert book.checkpoint().observed == book.checkpoint().before == CHAT
    book.begin(None, anew=True)
    assert book.checkpoint() == asset_record.Checkpoint()
    book.end()
    book.end()
    assert book.checkpoint() == asset_record.Checkpoint()


@pytest.mark.parametrize("text", ["", "{}", "garbage", '{"body": {"accounts": 5}}'])
def test_a_damaged_file_is_told_from_none_and_kept(book: asset_record.Book, tmp_path: Path, text: str) -> None:
    book.prove(asset_record.Proven("2026", CHAT))
    book.begin(CHAT)
    for name in ("assets.json", "checkpoint.json"):
        (tmp_path / "releases" / name).write_text(text)
    with pytest.raises(atomic_file.DamagedError):
        book.proven()
    assert book.checkpoint() == asset_record.Checkpoint()
    book.prove(asset_record.Proven("2027", CHAT))
    assert book.proven() == asset_record.Proven("2027", CHAT)
    (kept,) = (tmp_path / "releases").glob("assets.json.damaged-*")
    assert kept.read_text() == text


@pytest.mark.parametrize(
    "body",
    [
        {"time": "2026"},
        {"time": "2026", "assets": {"accounts": {"A": {"B": []}}, "api_calls": None}},
        {"time": "2026", "assets": {"accounts": {"A": {"B": [1, 2]}}, "api_calls": None}},
        {"time": "2026", "assets": {"accounts": [], "api_calls": None}},
    ],
)
def test_a_whole_file_of_another_shape_is_damaged(book: asset_record.Book, body: dict[str, object]) -> None:
    book._write("assets.json", body)
    with pytest.raises(atomic_file.DamagedError, match="it has no streams"):
        book.proven()
