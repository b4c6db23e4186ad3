# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._deploy import history, record_guard, release
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
OPS = "ops-1-11111111-22222222"


def hour(number: float) -> str:
    return (NOON + timedelta(hours=number)).strftime("%Y-%m-%dT%H:%M:%SZ")


def turn(number: float, to: str | None, before: str | None, run: str = "") -> history.Turn:
    return history.Turn(hour(number), to, before, OPS, history.Origin(run=run))


# Who, from where and by what

COMMIT = "4f2c0d1e9a77b3c4d5e6f708192a3b4c5d6e7f80"


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (history.Origin(), "from ops-1"),
        (
            history.Origin("deploy-4711", "x", "alice", COMMIT),
            "deploy-4711, by alice, from ops-1, inventory 4f2c0d1e9a77",
        ),
        (
            history.Origin("deploy-4711", commit=f"{COMMIT}+"),
            "deploy-4711, from ops-1, inventory 4f2c0d1e9a77 with uncommitted changes",
        ),
    ],
)
def test_who_deployed_is_told_in_a_line(origin: history.Origin, expected: str) -> None:
    assert history.told(origin, OPS) == expected


@pytest.mark.parametrize(("controller", "expected"), [(OPS, "ops-1"), ("ops", "ops"), ("", "")])
def test_a_machine_is_told_by_its_name(controller: str, expected: str) -> None:
    assert history.machine(controller) == expected


@pytest.mark.parametrize(
    "name", ["deploy-4711", "4711", "v1.2_3", "a" * 64, "2026-11-29-evening", "run-20261129T140000Z-1"]
)
def test_a_run_has_such_a_name(name: str) -> None:
    assert history.name_problem(name) == ""


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a" * 65,
        "-a",
        ".a",
        "a b",
        "a/b",
        "a\n",
        "ä",
        "{{ x }}",
        "previous",
        "current",
        "list",
        "legacy",
        "2026-11-29",
        "2026-11-29T14",
        "20260131T120000Z-3f2a9c",
    ],
)
def test_a_run_has_no_name_that_means_something_else(name: str) -> None:
    found = history.name_problem(name)
    assert found.startswith(f"rosey_run: {name!r}; expected up to 64 letters, ")
    assert found.endswith("Nothing was touched; give the run another name, such as deploy-4711.")


# Times


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T12:00:00Z", NOON),
        ("2026-01-31T12:00Z", NOON),
        ("2026-01-31 12:00 UTC", NOON),
        ("2026-01-31T13:00:00+01:00", NOON),
        ("2026-01-31 07:00-05:00", NOON),
        # as YAML reads a time, and Jinja writes it
        ("2026-01-31 12:00:00+00:00", NOON),
        ("deploy-4711", None),
        ("20260131T120000Z-3f2a9c", None),
        ("2026-11-29-evening", None),
        ("", None),
    ],
)
def test_a_time_is_read(text: str, expected: datetime | None) -> None:
    assert history.moment_of(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31",
        "2026-01-31T12:00",
        "2026-01-31 12:00:00",
        "2026-01-31T12Z",
        "2026-01-31T12:00:00 CET",
        "2026-01-31T25:00Z",
        "2026-02-30T12:00Z",
        "2026-01-31T12:00+25:00",
    ],
)
def test_a_time_that_is_another_elsewhere_is_refused(text: str) -> None:
    with pytest.raises(history.PointError, match=r" is no time that means the same everywhere; expected .* a zone"):
        history.moment_of(text)


# What a host had

DEPLOYED = [turn(1, "a", None, "one"), turn(2, "b", "a", "two"), turn(4, "c", "b", "three")]
BACK = [turn(1, "a", None, "one"), turn(2, "b", "a", "two"), turn(3, "a", "b", "back"), turn(4, "c", "a", "three")]
# An earlier version has taken the host back at some time, and did not say so.
UNTOLD = [BACK[0], BACK[1], BACK[3]]


@pytest.mark.parametrize(
    ("turns", "current", "at", "expected"),
    [
        (DEPLOYED, "c", 1, "a"),
        (DEPLOYED, "c", 1.5, "a"),
        (DEPLOYED, "c", 3.9, "b"),
        (DEPLOYED, "c", 5, "c"),
        (BACK, "c", 2.5, "b"),
        (BACK, "c", 3, "a"),
        (BACK, "c", 3.5, "a"),
        (UNTOLD, "c", 1.5, "a"),
        # before a record that can't be read, nobody knows better
        ([BACK[0], turn(2, "b", "")], "b", 1.5, "a"),
    ],
)
def test_what_a_host_had_at_a_time(turns: list[history.Turn], current: str, at: float, expected: str) -> None:
    moment = NOON + timedelta(hours=at)
    assert history.had_at(turns, current, moment, NOON + timedelta(hours=9)) == expected


@pytest.mark.parametrize(
    ("turns", "current", "at", "expected"),
    [
        ([], None, 1, "it has no release"),
        (DEPLOYED, "c", 10, "2026-01-31T22:00:00Z is yet to come: the clock of this host says 2026-01-31T21:00:00Z"),
        (DEPLOYED, "c", 0.5, "it was first deployed then"),
        (DEPLOYED[1:], "c", 0.5, "releases before that are not kept any more"),
        (
            UNTOLD,
            "c",
            3,
            "it had b since 2026-01-31T14:00:00Z, and a before 2026-01-31T16:00:00Z, but since when nobody",
        ),
        (DEPLOYED, "a", 5, "it had c since 2026-01-31T16:00:00Z, and a now, but since when nobody has recorded"),
        (DEPLOYED, None, 5, "and none now, but since when nobody has recorded"),
        ([DEPLOYED[0], turn(2, None, "a")], None, 3, "it had no release at 2026-01-31T15:00:00Z"),
    ],
)
def test_what_a_host_had_at_a_time_may_not_be_known(
    turns: list[history.Turn], current: str | None, at: float, expected: str
) -> None:
    with pytest.raises(history.PointError) as caught:
        history.had_at(turns, current, NOON + timedelta(hours=at), NOON + timedelta(hours=9))
    assert expected in str(caught.value)


def test_what_a_run_brought(tmp_path: Path) -> None:
    gone_back = [BACK[2]]
    found = [history.brought_by(BACK, gone_back, run) for run in ("one", "two", "back", "three")]
    assert found == ["a", "b", "a", "c"]
    # a run may have several stages
    assert history.brought_by([*DEPLOYED, turn(5, "d", "c", "three")], [], "three") == "d"
    # what it recorded counts, and not where it went back to afterwards
    again = turn(5, "b", "c", "three")
    assert history.brought_by([*DEPLOYED, again], [again], "three") == "c"
    with pytest.raises(history.PointError, match="no release of the run four; its last ones are three, back, two, one"):
        history.brought_by(BACK, gone_back, "four")
    with pytest.raises(history.PointError, match=r"no release of the run four; no run of it is known by name$"):
        history.brought_by([turn(1, "a", None)], [], "four")


@pytest.mark.parametrize(
    ("written", "meant"), [("prevous", "previous"), ("Current", "current"), ("lst", "list"), ("legcy", "legacy")]
)
def test_a_word_that_is_misspelled_is_no_run(written: str, meant: str) -> None:
    with pytest.raises(history.PointError, match=rf"{written}; .*\. Write {meant}, if that is meant$"):
        history.brought_by(DEPLOYED, [], written)


def test_a_way_back_that_happens_by_itself_records_nothing() -> None:
    """What a run brought would be another release, were it a turn of that run."""
    tasks = Path(__file__).parents[5] / "roles/release/tasks"
    asking = {path.name for path in tasks.rglob("*.yml") if "record.yml" in path.read_text(encoding="utf-8")}
    assert asking == {"main.yml"}


def test_a_time_that_is_none_is_left_out() -> None:
    odd = history.Turn("yesterday", "x", None, OPS)
    assert history.in_order([DEPLOYED[1], odd, DEPLOYED[0]]) == DEPLOYED[:2]


# On a host


def write(store: release.Store, text: str, number: float, run: str = "", **other: Any) -> str:
    part = release.Part({}, [{"path": "/c", "state": "file", "content": text}])
    written = store.write(
        {"server": part},
        controller=OPS,
        plan=[],
        gates=[],
        keep=other.pop("keep", 10),
        now=NOON + timedelta(hours=number),
        origin=history.Origin(run=run, process=f"process of {run}"),
    )
    assert written.release
    return written.release


@pytest.fixture
def store(tmp_path: Path) -> release.Store:
    return release.Store(tmp_path / "rosey-nats")


def test_a_host_goes_to_a_run_and_to_a_time(store: release.Store) -> None:
    first, second = write(store, "a", 1, "one"), write(store, "b", 2, "two")
    assert (store.select("one").id, store.select("two").id) == (first, second)
    assert store.select(hour(1.5)).id == first
    assert store.select(second).origin == history.Origin(run="two", process="process of two")
    store.set_current(first, controller=OPS, origin=history.Origin(run="back", process="p"))
    assert store.select("back").id == first
    (way_back,) = store.listing().ways_back
    assert (way_back.release, way_back.before, way_back.origin.run) == (first, second, "back")
    with pytest.raises(atomic_file.ReleaseError, match="no release of the run x; its last ones are back, two, one"):
        store.select("x")
    with pytest.raises(atomic_file.ReleaseError, match="rollback_to: 2026-01-31 is no time"):
        store.select("2026-01-31")


def test_a_record_of_an_earlier_version_is_read_as_it_is(store: release.Store) -> None:
    first = write(store, "a", 1, "one")
    path = store.directory / "releases" / f"{first}.json"
    body = atomic_file.read(path)
    del body["origin"]
    atomic_file.write(path, body)
    assert store.read(first).origin == history.UNKNOWN
    assert store.select(hour(1)).id == first
    atomic_file.write(path, {**body, "origin": {"run": 1}})
    assert [item.reason for item in store.listing().damaged] == ["wrong type, expected a release"]


def test_a_release_that_is_damaged_is_named_by_a_time(store: release.Store) -> None:
    _first, second, third = (write(store, text, number) for number, text in enumerate("abc"))
    (store.directory / "releases" / f"{second}.json").write_text("{}")
    with pytest.raises(atomic_file.ReleaseError, match=f"{second} is damaged"):
        store.select(hour(1.5))
    assert store.select(hour(2)).id == third


def test_a_release_that_was_pruned_is_named_by_a_time(store: release.Store) -> None:
    ids = [write(store, text, number, f"run{number}", keep=2) for number, text in enumerate("abc")]
    assert [record.id for record in store.listing().records] == [ids[2], ids[1]]
    with pytest.raises(atomic_file.ReleaseError, match="releases before that are not kept any more"):
        store.select(hour(0.5))
    with pytest.raises(atomic_file.ReleaseError, match="its last ones are run2, run1"):
        store.select("run0")


@pytest.mark.parametrize("text", ["", "{}", '{"format": 1}\n'])
def test_damaged_ways_back_are_named_and_kept_aside(
    store: release.Store, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = write(store, "a", 1, "one"), write(store, "b", 2)

    def go_back(to: str, number: float) -> None:
        monkeypatch.setattr(history, "now", lambda: NOON + timedelta(hours=number))
        store.set_current(to)

    go_back(first, 3)
    go_back(second, 4)
    assert store.select(hour(3.5)).id == first
    (store.directory / history.NAME).write_text(text)
    assert [item.name for item in store.listing().damaged] == [history.NAME]
    # as though the host had had the second one all the time
    with pytest.raises(atomic_file.ReleaseError, match=r"had at 2026-01-31T15:30:00Z: ways_back\.json is damaged"):
        store.select(hour(3.5))
    assert store.select("one").id == first
    go_back(first, 5)
    (kept,) = store.directory.glob("ways_back.json.damaged-*")
    assert (kept.read_text(), len(store.listing().ways_back)) == (text, 1)
    assert [item.name for item in store.listing().damaged] == [kept.name]
    monkeypatch.setattr(history, "now", lambda: NOON + timedelta(hours=6))
    with pytest.raises(atomic_file.ReleaseError, match=rf"had at 2026-01-31T15:30:00Z: {kept.name} is damaged"):
        store.select(hour(3.5))
    assert store.select(hour(5.5)).id == first
    (store.directory / f"{history.DAMAGED}mine").touch()
    assert [item.name for item in store.listing().damaged] == [kept.name]
    atomic_file.write(store.directory / history.NAME, {"turns": [{"release": second}]})
    assert [item.name for item in store.listing().damaged] == [history.NAME, kept.name]


def test_no_more_ways_back_are_kept_than_anybody_reads(store: release.Store) -> None:
    for number in range(history._MOST + 5):
        history.keep_way_back(prepared(store), turn(number, "a", "b"))
    found = history.ways_back(store.directory)
    assert (len(found), found[-1].time) == (history._MOST, hour(history._MOST + 4))


def prepared(store: release.Store) -> Path:
    atomic_file.prepare(store.directory)
    return store.directory


# The name of a run is its own


@pytest.mark.parametrize(
    ("run", "process", "refused"),
    [
        ("one", "process of one", ""),
        ("", "other", ""),
        ("two", "other", ""),
        ("one", "other", "one is the name of another run, which brought this host to "),
        ("back", "other", "back is the name of another run, which brought this host to "),
        ("a b", "other", "'a b'; expected up to 64 letters"),
    ],
)
def test_a_name_is_that_of_one_run(store: release.Store, run: str, process: str, refused: str) -> None:
    first = write(store, "a", 1, "one")
    write(store, "b", 2)
    store.set_current(first, controller=OPS, origin=history.Origin(run="back", process="p"))
    origin = history.Origin(run=run, process=process)
    if not refused:
        record_guard.check_name(store.directory, origin)
        return
    with pytest.raises(atomic_file.ReleaseError, match=f"^rosey_run: {refused}") as caught:
        record_guard.check_name(store.directory, origin)
    assert "Nothing was touched; give th" in str(caught.value)
