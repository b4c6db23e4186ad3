# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import json
import os
import shutil
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rosey.nats.plugins.module_utils._deploy import known, lease, release, release_id
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
CLAIM = lease.Claim("ops-11111111-22222222", 4711, "100")


def entry(text: str) -> dict[str, Any]:
    return {"path": "/etc/nats/nats-server.conf", "state": "file", "secret_content": text}


def server(text: str) -> dict[str, release.Part]:
    return {"server": release.Part({"version": "2.10.7"}, [entry(text)])}


class Host:
    """A store that is written to every hour."""

    def __init__(self, directory: Path) -> None:
        self.store = release.Store(directory)
        self.now = NOW

    def write(self, parts: dict[str, release.Part], keep: int = 10) -> release.Written:
        self.now += timedelta(hours=1)
        return self.store.write(parts, controller="ops", plan=["reload"], gates=["33 of 34"], keep=keep, now=self.now)

    def deploy(self, text: str, keep: int = 10) -> str:
        written = self.write(server(text), keep)
        assert written.release
        return written.release

    def ids(self) -> list[str]:
        return [record.id for record in self.store.listing().records]

    def path(self, identity: str) -> Path:
        return self.store.directory / "releases" / f"{identity}.json"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "rosey-nats")


# What was proven

SERVER, BOT = ["server: 3 of 3 proven"], ["bot: connected"]


@pytest.mark.parametrize(
    ("runs", "hours"),
    [
        ([("one", SERVER)], 1),
        ([("one", ["33 of 34"])], None),
        # a run for the bot alone proves nothing of the server
        ([("one", SERVER), ("one", BOT)], 1),
        ([("one", SERVER), ("two", SERVER), ("two", BOT)], 2),
        ([("one", SERVER), ("two", BOT)], None),
        ([("one", SERVER), ("two", SERVER), ("one", BOT)], None),
        ([("one", SERVER), ("one", [*SERVER, *BOT])], 2),
    ],
)
def test_a_part_was_proven_when_its_own_gate_passed(
    host: Host, runs: list[tuple[str, list[str]]], hours: int | None
) -> None:
    for number, (text, gates) in enumerate(runs):
        bot = {"bot": release.Part({}, [entry(f"run {number}")])}
        moment = NOW + timedelta(hours=number + 1)
        host.store.write({**server(text), **bot}, controller="ops", plan=[], gates=gates, keep=10, now=moment)
    found = host.store.proven("server")
    assert found
    assert found.part == server(runs[-1][0])["server"]
    assert found.at == (NOW + timedelta(hours=hours) if hours else None)
    assert host.store.proven("plugins") is None


ENVIRONMENT = {"environment": None}


@pytest.mark.parametrize(
    ("runs", "kept"),
    [
        ([], False),
        ([(ENVIRONMENT, SERVER)], True),
        # its gate was off
        ([(ENVIRONMENT, [])], False),
        # by an earlier version, and once gone back to, it is the current one again
        ([({}, SERVER)], False),
        ([({}, SERVER), (ENVIRONMENT, SERVER), ({}, SERVER)], True),
        # a run for the bot alone takes its server's part over
        ([({}, SERVER), ({}, BOT)], False),
    ],
)
def test_streams_are_kept_where_a_server_was_proven_by_a_version_that_keeps_them(
    host: Host, runs: list[tuple[dict[str, Any], list[str]]], kept: bool
) -> None:
    for number, (settings, gates) in enumerate(runs):
        part = release.Part(settings, [entry(f"run {number}")])
        host.store.write({"server": part}, controller="ops", plan=[], gates=gates, keep=10, now=NOW)
    assert host.store.kept_streams() is kept


# Records


def test_what_was_recorded_is_read_back(host: Host) -> None:
    content = 'a\n"\\\udcff\u2028\0'
    part = release.Part({"version": "2.10.7", "deep": {"list": [1, None, True]}}, [entry(content)])
    written = host.write({"server": part})
    record = host.store.read(str(written.release))
    assert record == release.Record(
        id=str(written.release),
        time="2026-01-31T13:00:00Z",
        controller="ops",
        parts={"server": part},
        plan=("reload",),
        gates=("33 of 34",),
        previous=None,
    )
    assert written == release.Written(record.id, changed=True)
    assert host.store.listing().current == record


def test_only_the_owner_can_look(host: Host) -> None:
    host.store.directory.mkdir(0o755)
    before = os.umask(0)
    try:
        host.deploy("a")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in host.store.directory.rglob("*")}
    assert modes.pop("releases") == stat.S_IMODE(host.store.directory.stat().st_mode) == 0o700
    assert set(modes.values()) == {0o600}


def test_everybody_passes_what_is_made_above(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        atomic_file.prepare(tmp_path / "a" / "b" / "releases")
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b", "a/b/releases")] == [
        0o755,
        0o755,
        0o700,
    ]


def test_the_same_is_not_recorded_twice(host: Host) -> None:
    first = host.deploy("a")
    assert host.write(server("a")) == release.Written(first, changed=False)
    assert host.store.rehearse(server("a"), keep=10) == release.Written(first, changed=False)
    assert host.store.rehearse(server("b"), keep=10) == release.Written(None, changed=True)
    assert host.ids() == [first]
    second = host.deploy("b")
    assert host.ids() == [second, first]
    assert host.store.read(second).previous == first


def test_a_part_that_is_not_given_is_carried_over(host: Host) -> None:
    bot = {"bot": release.Part({}, [])}
    host.deploy("a")
    both = host.write(bot)
    assert both.changed
    assert host.store.read(str(both.release)).parts == {**server("a"), **bot}
    assert not host.write(bot).changed
    third = host.deploy("b")
    assert host.store.read(third).parts == {**server("b"), **bot}


def test_old_releases_go_but_not_what_one_goes_back_to(host: Host) -> None:
    first, second, third = (host.deploy(text, keep=3) for text in "abc")
    host.store.set_current(first)
    fourth = host.write(server("d"), keep=2)
    assert fourth.pruned == (second,)
    assert host.ids() == [fourth.release, third, first]
    fifth = host.write(server("e"), keep=1)
    assert set(fifth.pruned) == {third, first}
    assert host.ids() == [fifth.release, fourth.release]


def test_what_was_not_proven_together_is_in_no_release_together(host: Host) -> None:
    bot = release.Part({"mode": "nats"}, [{"path": "/opt/secrets.env", "state": "variables"}])
    given = {"controller": "ops", "plan": [], "gates": [], "keep": 10}

    def write(parts: dict[str, release.Part], *drops: str) -> tuple[list[str], tuple[str, ...], bool]:
        is_new = host.store.rehearse(parts, keep=10, drops=drops).changed
        host.now += timedelta(hours=1)
        written = host.store.write(parts, **given, now=host.now, drops=drops)
        assert written.changed is is_new
        current = host.store.listing().current
        assert current
        return sorted(current.parts), written.dropped, written.changed

    assert write({**server("a"), "bot": bot}) == (["bot", "server"], (), True)
    # a part that is not given stays, and what is given is never dropped
    assert write(server("b")) == (["bot", "server"], (), True)
    assert write({**server("c"), "bot": bot}, "bot", "plugins") == (["bot", "server"], (), True)
    # also where the others are as they were
    assert write(server("c"), "bot", "plugins") == (["server"], ("bot",), True)
    assert write(server("c"), "bot", "plugins") == (["server"], (), False)


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["/etc/nats/nats-server.conf"], []),
        (["/opt/a/b", "/opt/a", "/opt/a-b", "/opt/c", "/opt/c"], ["/opt/a-b", "/opt/a/b", "/opt/c"]),
        ([], []),
    ],
)
def test_what_is_none_of_a_release_is_named_once(host: Host, paths: list[str], expected: list[str]) -> None:
    assert release.left_behind(host.store.read(host.deploy("a")), paths) == expected


def test_damaged_releases_are_pruned_when_they_are_older_than_what_is_kept(host: Host) -> None:
    first, second = host.deploy("a"), host.deploy("b")
    for identity in (first, second):
        host.path(identity).write_text("")
    (host.path(first).parent / "notes.txt").write_text("")
    third, fourth = host.deploy("c", keep=1), host.write(server("d"), keep=1)
    assert third in host.ids()
    assert not host.path(second).exists()
    assert (host.path(first).parent / "notes.txt").exists()
    assert fourth.pruned == ()


@pytest.mark.parametrize("keep", [0, -1])
def test_nothing_to_keep_is_refused(host: Host, keep: int) -> None:
    for call in (host.write, host.store.rehearse):
        with pytest.raises(atomic_file.ReleaseError, match=f"keep: {keep}; expected 1 or more"):
            call(server("a"), keep=keep)
    assert not host.store.directory.exists()


# Digests

VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5))
ENTRIES = st.lists(
    st.fixed_dictionaries(
        {"path": st.sampled_from(["/a", "/b", "/c"]), "state": st.just("file"), "content": st.text(max_size=5)},
        optional={"mode": st.sampled_from([None, "0600"]), "recurse": st.booleans(), "redact": st.just("none")},
    ),
    max_size=4,
)


@given(ENTRIES, st.dictionaries(st.text(max_size=3), VALUES, max_size=3), st.randoms(use_true_random=False))
def test_a_digest_leaves_out_what_says_nothing(
    entries: list[dict[str, Any]], settings: dict[str, Any], by: Any
) -> None:
    other = [
        {"mode": None, "recurse": False, "redact": "none", "owner": None, **dict(reversed(each.items()))}
        for each in entries
    ]
    by.shuffle(other)
    more = {**settings, "nothing": None}
    assert release.digest(release.Part(settings, entries)) == release.digest(release.Part(more, other))


@pytest.mark.parametrize(
    "part",
    [
        release.Part({"a": 1}, [entry("x")]),
        release.Part({}, [entry("y")]),
        release.Part({}, [entry("x"), entry("x")]),
        release.Part({}, []),
        release.Part({}, [{**entry("x"), "recurse": True}]),
        release.Part({}, [{**entry("x"), "redact": "all"}]),
        release.Part({}, [{**entry("x"), "mode": "0600"}]),
        release.Part({}, [{"path": entry("x")["path"], "state": "file", "content": "x"}]),
    ],
)
def test_a_digest_tells_what_differs(part: release.Part) -> None:
    assert release.digest(part) != release.digest(release.Part({}, [entry("x")]))


def test_a_variable_to_be_removed_is_no_variable_left_out() -> None:
    removes, leaves = (
        release.Part({}, [{"path": "/e", "state": "variables", "variables": variables}])
        for variables in ({"A": None}, {})
    )
    assert release.digest(removes) != release.digest(leaves)


# Ids

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2999, 12, 31), timezones=st.just(UTC))


@given(st.lists(MOMENTS, max_size=8))
def test_ids_grow_whatever_the_clock_does(clock: list[datetime]) -> None:
    ids: list[str] = []
    for moment in clock:
        ids.append(release_id.next_id(moment, ids))
    assert all(map(release_id.is_id, ids))
    assert ids == sorted(set(ids))


def test_an_id_is_the_time_where_that_can_be() -> None:
    assert release_id.next_id(NOW, ["20260131T115959Z-ffffff"]).startswith("20260131T120000Z-")
    assert release_id.next_id(NOW, ["20260131T120000Z-000000"]).startswith("20260131T120001Z-")


def test_an_id_is_past_the_damaged_ones_too(host: Host) -> None:
    later = "20990101T000000Z-abcdef"
    host.deploy("a")
    host.path(later).write_text("")
    assert host.deploy("b") > later


def test_an_id_that_nothing_can_follow_stops_nobody(host: Host) -> None:
    first, last = host.deploy("a"), "99991231T235959Z-abcdef"
    body = atomic_file.read(host.path(first))
    atomic_file.write(host.path(last), {**body, "id": last})
    second = host.deploy("b")
    assert (host.store.select("current").id, host.store.select("previous").id) == (second, first)
    host.store.set_current(last)
    third = host.deploy("c")
    assert (host.store.select("current").id, host.store.select("previous").id) == (third, last)
    assert third > second


@pytest.mark.parametrize(
    "text",
    [
        "",
        "../../etc/passwd",
        "20260131T120000Z-3f2a9c/../x",
        "20260131T120000Z-3f2a9c\n",
        "20260131T120000Z-3F2A9C",
        "20260131T120000Z-3f2a9",
        "20261331T120000Z-3f2a9c",
        "\N{ARABIC-INDIC DIGIT TWO}0260131T120000Z-3f2a9c",
    ],
)
def test_what_is_no_id_is_never_a_path(host: Host, text: str) -> None:
    newest = host.deploy("a")
    assert not release_id.is_id(text)
    for call in (host.store.read, host.store.select, host.store.set_current):
        with pytest.raises(atomic_file.ReleaseError, match=f"is no release of this host; expected one of {newest}"):
            call(text)


# Damage


def reseal(path: Path, **changes: Any) -> None:
    body = {**json.loads(path.read_text())["body"], **changes}
    atomic_file.write(path, body)


def change(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}) + "\n")


def replace(path: Path, make: Callable[[Path], Any]) -> None:
    path.rename(path.with_name("was"))
    make(path)


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "empty": (lambda path: path.write_text(""), "truncated"),
    "cut off": (lambda path: os.truncate(path, path.stat().st_size // 2), "truncated"),
    "without its end": (lambda path: os.truncate(path, path.stat().st_size - 1), "truncated"),
    "zeros": (lambda path: path.write_bytes(bytes(500)), "truncated"),
    "one character": (lambda path: path.write_text(path.read_text().replace("2.10.7", "2.10.8")), "checksum"),
    "no checksum": (lambda path: change(path, sha256=None), "checksum"),
    "no JSON": (lambda path: path.write_text("{]}\n"), "no JSON"),
    "too deep": (lambda path: path.write_text("[" * 100_000 + "]" * 100_000 + "}\n"), "no JSON"),
    "no text": (lambda path: path.write_bytes(b"\xff}\n"), "no text"),
    "no body": (lambda path: path.write_text("{}\n"), "wrong type, expected a sealed mapping"),
    "later format": (lambda path: change(path, format=2), "unknown format 2, expected 1"),
    "other id": (lambda path: reseal(path, id="20260131T120000Z-ffffff"), "wrong id inside, 20260131T120000Z-ffffff"),
    "no parts": (lambda path: reseal(path, parts=None), "wrong type, expected a release"),
    "entries": (lambda path: reseal(path, parts={"bot": {"settings": {}, "entries": {}}}), "wrong type, expected a "),
    "path": (lambda path: reseal(path, parts={"bot": {"settings": {}, "entries": [{}]}}), "wrong type, expected a "),
    "settings": (lambda path: reseal(path, parts={"bot": {"settings": 1, "entries": []}}), "wrong type, expected a "),
    "previous": (lambda path: reseal(path, previous="../x"), "wrong type, expected a release"),
    "gates": (lambda path: reseal(path, gates=[1]), "wrong type, expected a release"),
    "symlink": (lambda path: replace(path, lambda new: new.symlink_to(path.with_name("was"))), "symlink"),
    "directory": (lambda path: replace(path, Path.mkdir), "wrong type, expected a regular file"),
    "pipe": (lambda path: replace(path, os.mkfifo), "wrong type, expected a regular file"),
    "open to others": (lambda path: path.chmod(0o620), "mode 0620 lets others write to it"),
}


@pytest.mark.parametrize(("damage", "reason"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_release_is_named_and_skipped(host: Host, damage: Callable[[Path], Any], reason: str) -> None:
    first, second, third = (host.deploy(text) for text in "abc")
    damage(host.path(second))
    (host.path(second).parent / "was").unlink(missing_ok=True)
    found = host.store.listing()
    assert [record.id for record in found.records] == [third, first]
    ((name, said),) = [(item.name, item.reason) for item in found.damaged]
    assert name == f"{second}.json"
    assert said.startswith(reason)
    assert host.store.select("previous").id == first
    with pytest.raises(atomic_file.ReleaseError) as error:
        host.store.select(second)
    assert str(error.value) == f"rollback_to: {second} is damaged ({said}); expected one of {third}, {first}."
    fourth = host.deploy("d", keep=1)
    assert host.store.select("previous").id == third
    assert host.ids() == [fourth, third]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file away")
def test_a_file_of_somebody_else_is_not_trusted(host: Host) -> None:
    first = host.deploy("a")
    os.chown(host.path(first), 65534, -1)
    (found,) = host.store.listing().damaged
    assert found.reason.startswith("belongs to ")
    # All belongs to that user, whose releases root may read.
    os.chown(host.path(first).parent, 65534, -1)
    assert host.ids() == [first]


def test_an_unknown_name_is_damage(host: Host) -> None:
    host.deploy("a")
    (host.store.directory / "releases" / "x.json").write_text("")
    assert host.store.listing().damaged == (release.Damaged("x.json", "its name is none of a release"),)


@pytest.mark.parametrize("text", ["", "x\n", "../x\n", "20260131T120000Z-3f2a9c\n\n"])
def test_a_damaged_pointer_is_named_and_mended(host: Host, text: str) -> None:
    first, second = host.deploy("a"), host.deploy("b")
    (host.store.directory / "current").write_text(text)
    found = host.store.listing()
    assert (found.current, found.damaged) == (None, (release.Damaged("current", "names no release"),))
    assert host.store.set_current(first)
    assert not host.store.set_current(first)
    assert host.store.listing().damaged == ()
    assert host.ids() == [second, first]


def test_a_pointer_to_nothing_is_named(host: Host) -> None:
    first, second = host.deploy("a"), host.deploy("b")
    host.path(second).unlink()
    found = host.store.listing()
    assert found.current is None
    assert found.damaged == (release.Damaged("current", f"names {second}, which is not there"),)
    assert host.store.select("previous").id == first


def test_a_damaged_current_release_is_gone_back_from(host: Host) -> None:
    first, second = host.deploy("a"), host.deploy("b")
    host.path(second).write_text("")
    assert host.store.listing().current is None
    assert host.store.select("previous").id == first
    with pytest.raises(atomic_file.ReleaseError, match=f"this host has no current release; expected one of {first}"):
        host.store.select("current")
    third = host.deploy("c")
    assert host.store.read(third).previous == second
    assert host.store.select("previous").id == first


# Choosing


def test_what_is_chosen(host: Host) -> None:
    with pytest.raises(
        atomic_file.ReleaseError, match=r"rollback_to: this host has no previous release; there is none in "
    ):
        host.store.select("previous")
    first = host.deploy("a")
    with pytest.raises(atomic_file.ReleaseError, match=f"no previous release; expected one of {first}."):
        host.store.select("previous")
    second, third = host.deploy("b"), host.deploy("c")
    chosen = {wanted: host.store.select(wanted).id for wanted in ("current", "previous", first)}
    assert chosen == {"current": third, "previous": second, first: first}
    assert host.store.set_current(second)
    assert [host.store.select(wanted).id for wanted in ("current", "previous")] == [second, first]
    assert host.store.set_current(None, rehearse=True)
    assert host.store.listing().pointer == second
    assert host.store.set_current(None)
    assert not host.store.set_current(None)
    assert host.store.select("previous").id == third
    assert host.store.read(host.deploy("d")).previous is None


def test_an_observation_tells_what_a_deployment_has_to_know(host: Host) -> None:
    directory, part = host.store.directory, server("a")["server"]
    nothing = {"current": None, "recorded": False, "lease": None, "sequence": 0, "damaged": [], "no_way_back": ""}
    assert known.observe(directory, ["server"], part.settings, part.entries) == nothing
    assert not directory.exists()
    first = host.deploy("a")
    held = lease.acquire(directory, CLAIM, seen_sequence=0, seconds=60, may_take_over=False, now=NOW).lease
    found = known.observe(directory, ["server"], part.settings, part.entries)
    assert (found["current"], found["recorded"], found["sequence"]) == (first, True, 1)
    lacking = f"release {first} can't be gone back to: it holds what this version of the collection does not take: "
    assert found["no_way_back"].startswith(f"{lacking}missing required arguments: ")
    assert found["lease"] == {
        "run": held.run,
        "controller": CLAIM.controller,
        "pid": 4711,
        "started": "100",
        "since": "2026-01-31T12:00:00Z",
        "expires": "2026-01-31T12:01:00Z",
        "sequence": 1,
        "user": "",
    }
    for name, settings, entries in (
        ("server", None, part.entries),
        ("server", part.settings, []),
        ("bot", part.settings, part.entries),
    ):
        assert known.observe(directory, [name], settings, entries)["recorded"] is False
    host.path(first).write_text("")
    (directory / lease.NAME).write_text("")
    damaged = {"damaged": [f"{first}.json", "lease.json"], "no_way_back": f"{first}.json is damaged: truncated"}
    assert known.observe(directory, ["server"], part.settings, part.entries) == {**nothing, **damaged}


# Being cut off

CHANGING = ("write", "fsync", "rename", "unlink")


class Crash(BaseException):
    """The process is no more."""


class System:
    """The calls of the system that change a disk. The one with this number ends the process, or only fails."""

    def __init__(self, patch: pytest.MonkeyPatch, stop: int, how: str) -> None:
        self.calls: list[tuple[str, str]] = []
        self._stop, self._how, self._dead = stop, how, False
        for name in CHANGING:
            patch.setattr(os, name, self._replacement(name, getattr(os, name)))

    def _replacement(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if self._dead:
                raise Crash
            target = arguments[-1] if name == "rename" else arguments[0]
            self.calls.append((name, "" if isinstance(target, int) else Path(target).name))
            if len(self.calls) != self._stop:
                return original(*arguments, **options)
            if self._how == "fails":
                raise OSError(errno.ENOSPC, "No space left on device")
            self._dead = True
            if self._how == "half way" and name == "write":
                original(arguments[0], arguments[1][: len(arguments[1]) // 2])
            if self._how == "after":
                original(*arguments, **options)
            raise Crash

        return call


def leftovers(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.name.startswith(".rosey-")]


def cut_off_at_each_call(tmp_path: Path, how: str, base: Path, doing: Callable[[Path], Any]) -> list[Path]:
    """Do it over and over on copies of a directory, stopped at one call after the other; give the copies."""
    copies = []
    for stop in range(1, 100):
        copy = tmp_path / f"{how}-{stop}"
        shutil.copytree(base, copy)
        copies.append(copy)
        with pytest.MonkeyPatch.context() as patch:
            system = System(patch, stop, how)
            try:
                doing(copy)
            except (Crash, atomic_file.ReleaseError):
                continue
            if len(system.calls) < stop:
                return copies
    raise AssertionError("it does not come to an end")


@pytest.mark.parametrize("how", ["before", "half way", "after", "fails"])
def test_a_write_that_is_cut_off_loses_nothing(tmp_path: Path, host: Host, how: str) -> None:
    old = [host.deploy(text) for text in "abc"]
    base = host.store.directory
    (base / ".rosey-00000000").write_text("x")
    (base / "releases" / ".rosey-00000000").write_text("x")
    texts = dict(zip(old, "abc", strict=True))

    def again(directory: Path) -> release.Written:
        other = Host(directory)
        other.now = host.now
        return other.write(server("d"), keep=2)

    copies = cut_off_at_each_call(tmp_path, how, base, again)
    assert len(copies) > 10
    for copy in copies:
        other = Host(copy)
        found = other.store.listing()
        assert found.damaged == ()
        assert found.current
        for record in found.records:
            assert record.parts == server(texts.get(record.id, "d"))
        assert {record.id for record in found.records} >= set(old if found.current.id in old else old[2:])
        other.now = host.now + timedelta(days=1)
        other.deploy("d", keep=2)
        other.deploy("e", keep=2)
        assert leftovers(copy) == []
        now = other.store.listing()
        assert now.damaged == ()
        assert now.current
        assert now.current.parts == server("e")
        assert other.store.select("previous").parts == server("d")
        assert len(now.records) == 2


@pytest.mark.parametrize("how", ["before", "half way", "after", "fails"])
def test_a_pointer_that_is_cut_off_is_the_old_or_the_new_one(tmp_path: Path, host: Host, how: str) -> None:
    old = [host.deploy(text) for text in "ab"]
    for wanted in (old[0], None):
        copies = cut_off_at_each_call(
            tmp_path / str(wanted),
            how,
            host.store.directory,
            lambda copy, to=wanted: release.Store(copy).set_current(to),
        )
        assert len(copies) > 2
        for copy in copies:
            store = release.Store(copy)
            assert store.listing().pointer in (old[1], wanted)
            assert store.listing().damaged == ()
            store.set_current(wanted)
            assert store.listing().pointer == wanted
            assert (leftovers(copy) == []) or wanted is None


@pytest.mark.parametrize("how", ["before", "half way", "after", "fails"])
def test_a_lease_that_is_cut_off_is_held_or_not(tmp_path: Path, how: str) -> None:
    base = tmp_path / "base"

    def take(directory: Path, claim: lease.Claim = CLAIM) -> lease.Acquired:
        return lease.acquire(directory, claim, seen_sequence=0, seconds=60, may_take_over=False, now=NOW)

    take(base)
    lease.end(base, CLAIM)
    for copy in cut_off_at_each_call(tmp_path / "take", how, base, take):
        found = lease.look(copy)
        assert (found.damage, found.holder is not None) in (("", found.sequence == 2),)
        assert take(copy).lease.sequence == 2
        assert leftovers(copy) == []
    take(base)
    for copy in cut_off_at_each_call(tmp_path / "end", how, base, lambda copy: lease.end(copy, CLAIM)):
        assert (lease.look(copy).damage, lease.look(copy).sequence) == ("", 2)
        lease.end(copy, CLAIM)
        assert lease.look(copy) == lease.Look(None, 2)


def test_each_file_is_on_the_disk_before_it_counts(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = host.deploy("a"), host.deploy("b")
    system = System(monkeypatch, 0, "never")
    third = host.deploy("c", keep=1)
    put = [("write", ""), ("fsync", ""), ("rename", f"{third}.json"), ("fsync", "")]
    assert system.calls == [
        *put,
        *put[:2],
        ("rename", "current"),
        ("fsync", ""),
        ("unlink", f"{first}.json"),
        ("fsync", ""),
    ]
    assert host.ids() == [third, second]


def test_a_full_disk_is_told(host: Host) -> None:
    host.deploy("a")
    with pytest.MonkeyPatch.context() as patch:
        System(patch, 1, "fails")
        with pytest.raises(atomic_file.ReleaseError) as error:
            host.deploy("b")
    assert "writing it failed: No space left on device. " in str(error.value)
    assert f"B are free in {host.store.directory / 'releases'}. Make room and run again." in str(error.value)
    assert leftovers(host.store.directory) == []


def test_a_directory_of_somebody_else_is_refused(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.deploy("a")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(atomic_file.ReleaseError, match=r"it belongs to .*; expected 12345, who writes to it"):
        host.deploy("b")
