# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._data import asset_record, assets, lost_streams
from ansible_collections.rosey.nats.plugins.module_utils._data.asset_record import Book, Proven
from ansible_collections.rosey.nats.plugins.module_utils._data.assets import Consumer, Stream
from ansible_collections.rosey.nats.plugins.module_utils._data.lost_streams import Files
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file, system
from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Severity

TIME = "2026-11-26T11:43:13Z"
KEPT = Stream("$G", "HISTORY", created="2026-11-23T19:56:42Z", storage="file", messages=12, last_seq=12)
ANEW = replace(KEPT, created="2026-11-27T00:00:00Z", messages=0, last_seq=0)
READER = Consumer("reader", created="2026-11-23T19:56:43Z", ack_floor=5)


def compare(was: Stream, *now: Stream, data: Path | None = None) -> lost_streams.Comparison:
    return lost_streams.compare(Path("/releases"), Proven(TIME, assets.of([was])), assets.of(now), data)


def test_all_that_is_there_is_no_loss() -> None:
    found = compare(KEPT, KEPT, replace(KEPT, name="NEW"))
    assert (found.lost, found.others, found.there, found.count) == ((), (), 1, 1)


@pytest.mark.parametrize(
    ("was", "now", "what", "said"),
    [
        (replace(KEPT, storage="memory"), [], "stream HISTORY", "none, gone"),
        (replace(KEPT, consumers=(READER,)), [KEPT], "consumer reader of stream HISTORY", "none, gone"),
        (KEPT, [ANEW], "stream HISTORY", "0, made anew at 2026-11-27T00:00:00Z"),
    ],
    ids=["in memory", "consumer gone", "made anew"],
)
def test_what_is_not_lost_for_good_is_a_warning(was: Stream, now: list[Stream], what: str, said: str) -> None:
    found = compare(was, *now)
    assert found.lost == ()
    (warning,) = found.others
    assert (warning.what, warning.severity) == (what, Severity.WARNING)
    assert warning.found == said
    assert warning.remedy


@pytest.mark.parametrize(
    "now",
    [
        replace(KEPT, messages=0),
        replace(KEPT, consumers=(READER, replace(READER, name="new"))),
        replace(KEPT, consumers=(replace(READER, ack_floor=0),)),
        replace(KEPT, created="2026-11-27T00:00:00Z", consumers=(READER,)),
    ],
    ids=["purged", "another consumer", "consumer that begins again", "updated"],
)
def test_what_clients_do_with_messages_is_nothing(now: Stream) -> None:
    was = replace(KEPT, consumers=(replace(READER, name="passing", passing=True), READER))
    assert compare(was, replace(now, consumers=now.consumers or (READER,))).others == ()


@pytest.mark.parametrize("name", ["HISTORY", "a/b"])
def test_whether_files_stand_is_looked_up(tmp_path: Path, name: str) -> None:
    was = replace(KEPT, account="APP", name=name)
    (lost,) = compare(was, data=tmp_path).lost
    assert (lost.files, str(lost)) == (Files.GONE, f"none; its files are gone from {tmp_path}/APP/streams/{name}")
    (tmp_path / "APP" / "streams" / name).mkdir(parents=True)
    (lost,) = compare(was, data=tmp_path).lost
    assert (lost.files, str(lost)) == (Files.STAND, f"none; its files stand in {tmp_path}/APP/streams/{name}")
    (lost,) = compare(was).lost
    assert (lost.files, str(lost)) == (Files.UNKNOWN, "none; whether its files stand is not known")


def test_files_that_can_t_be_looked_at_are_not_taken_for_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> os.stat_result:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "lstat", refuse)
    (lost,) = compare(KEPT, data=tmp_path).lost
    assert lost.files is Files.UNKNOWN
    assert f"stand in {tmp_path}/$G/streams/HISTORY is not known" in str(lost)


def test_a_stream_that_another_account_has_by_now_is_told() -> None:
    (lost,) = compare(KEPT, replace(KEPT, account="APP")).lost
    assert lost.found == "none there, but one in account APP"


def test_a_name_can_t_end_the_line() -> None:
    assert lost_streams.named(replace(KEPT, name="A\nB\x1b[1m")) == "A B [1m"


def test_nothing_was_proven_where_there_is_no_record(tmp_path: Path) -> None:
    assert lost_streams.read(tmp_path) is None
    assert lost_streams.read(tmp_path / "nowhere") is None


def test_what_was_proven_is_read(tmp_path: Path) -> None:
    proven = Proven(TIME, assets.of([KEPT]))
    Book(tmp_path).prove(proven)
    assert lost_streams.read(tmp_path) == proven
    assert (tmp_path / asset_record.PROVEN).exists()


def test_a_damaged_record_is_not_taken_for_none(tmp_path: Path) -> None:
    Book(tmp_path).prove(Proven(TIME, assets.of([KEPT])))
    path = tmp_path / asset_record.PROVEN
    path.write_text(path.read_text().replace("HISTORY", "MISTERY"))
    with pytest.raises(lost_streams.NotComparedError, match=r"assets\.json: it is damaged: checksum"):
        lost_streams.read(tmp_path)
    atomic_file.write(path, {"time": TIME})
    with pytest.raises(lost_streams.NotComparedError, match="it is damaged: it has no streams") as caught:
        lost_streams.read(tmp_path)
    assert (
        "see for yourself that no stream is missing; where all are there: ansible-playbook site.yml -i <inventory> -e"
        in caught.value.remedy
    )


def test_a_record_of_another_user_says_who_may_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Book(tmp_path).prove(Proven(TIME, assets.of([KEPT])))

    def refuse(path: Path) -> dict[str, object]:
        raise atomic_file.DamagedError("not readable, Permission denied")

    monkeypatch.setattr(atomic_file, "read", refuse)
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    with pytest.raises(lost_streams.NotComparedError) as caught:
        lost_streams.read(tmp_path)
    user = system.user_name(os.geteuid())
    assert str(caught.value) == f"{tmp_path}/assets.json: it can't be read as {user}"
    assert caught.value.remedy == f"run as {user}"
