# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nats_release, nats_release_info, and what other modules take from a release."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.rosey.nats.plugins.doc_fragments import entries as entries_fragment
from ansible_collections.rosey.nats.plugins.module_utils._deploy import entries, lease
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file
from ansible_collections.rosey.nats.tests import recorded

RunModule = Callable[..., dict[str, Any]]

PASSWORD = "correct-horse-battery"
CLAIM = {"controller": "ops-11111111-22222222", "pid": 4711, "started": "100", "gone": None}
OTHER = {**CLAIM, "pid": 4712}


class Host:
    """A directory of releases."""

    def __init__(self, directory: Path, run_module: RunModule) -> None:
        self.directory, self._run_module = directory, run_module

    def run(self, state: str, claim: dict[str, Any] | None = None, **other: Any) -> dict[str, Any]:
        given = {"release_dir": str(self.directory), "state": state, "claim": claim or CLAIM, **other}
        return self._run_module("nats_release", **given)

    def info(self, **other: Any) -> dict[str, Any]:
        return self._run_module("nats_release_info", release_dir=str(self.directory), **other)

    def deploy(self, *parts: dict[str, Any], **other: Any) -> dict[str, Any]:
        self.run("begun", sequence=self.info()["sequence"])
        return self.run("recorded", parts=parts, **other)


@pytest.fixture
def host(tmp_path: Path, run_module: RunModule) -> Host:
    return Host(tmp_path / "rosey-nats", run_module)


def server(path: Path, content: str, **more: Any) -> dict[str, Any]:
    entry = {"path": str(path), "state": "file", "secret_content": content, **more}
    return {"name": "server", "settings": recorded.SERVER, "entries": [entry]}


def bot(path: Path, variables: dict[str, str] | str) -> dict[str, Any]:
    return {
        "name": "bot",
        "settings": recorded.BOT,
        "entries": [{"path": str(path), "state": "variables", "secret_variables": variables}],
    }


def test_a_deployment_begins_is_recorded_and_ends(host: Host, tmp_path: Path) -> None:
    begun = host.run("begun", sequence=0)
    assert not begun["changed"]
    assert begun["lease"]["sequence"] == 1
    assert (begun["taken_over"], begun["stale"], begun["waited"]) == (False, False, False)
    assert host.info()["lease"] == begun["lease"]
    part = server(tmp_path / "c", "first text")
    done = host.run("recorded", parts=[part], plan=["reload"], gates=["33 of 34"])
    assert (done["changed"], done["pruned"], done["ended"]) == (True, [], True)
    found = host.info(select="current")
    assert (found["lease"], found["sequence"], found["damaged"]) == (None, 1, [])
    assert found["current"] == done["release"]
    (listed,) = found["releases"]
    assert found["selected"] == {
        "id": listed["id"],
        "time": listed.pop("time"),
        "settings": {"server": part["settings"]},
    }
    assert listed == {
        "id": done["release"],
        "controller": CLAIM["controller"],
        "run": "",
        "user": "",
        "commit": "",
        "deployed": "from ops",
        "ways_back": [],
        "version": "2.10.7",
        "plan": ["reload"],
        "gates": ["33 of 34"],
        "parts": ["server"],
        "current": True,
        "obstacle": "",
    }
    again = host.deploy(part)
    assert (again["changed"], again["release"], again["ended"]) == (False, done["release"], True)


@pytest.mark.parametrize("name", ["checkpoint.json", "current", "lease.json", "releases"])
def test_what_can_not_be_written_in_the_end_is_told_in_the_beginning(
    host: Host, run_module: RunModule, tmp_path: Path, name: str
) -> None:
    place = host.directory / name
    host.directory.mkdir(mode=0o700)
    if name == "releases":
        place.touch()
    else:
        place.mkdir()
        (place / "mine").touch()
    wanted = "a directory" if name == "releases" else "a file, or nothing"
    said = (
        f"{place}: something else stands there; expected {wanted}, else what is deployed could not be recorded. Move "
        "it away and run again. Nothing was touched."
    )
    for check_mode in (True, False):
        assert host.run("begun", check_mode=check_mode)["msg"] == said
    assert [path.name for path in host.directory.iterdir()] == [name]


def test_room_for_the_record_is_looked_for_in_the_beginning(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    refused = host.run("begun")["msg"]
    assert refused.startswith(f"{host.directory}: trying whether 65536 bytes can be written there failed: No space")
    assert "Make room and run again." in refused
    assert host.info()["lease"] is None
    assert list(host.directory.glob(".rosey-*")) == []


def test_a_second_deployment_is_kept_away(host: Host, tmp_path: Path) -> None:
    host.run("begun")
    for check_mode in (True, False):
        refused = host.run("begun", OTHER, check_mode=check_mode)
        assert refused["msg"].startswith("Another deployment is at work on this host: process 4711 of ops-11111111-")
        assert not host.run("ended", OTHER, check_mode=check_mode)["ended"]
    refused = host.run("recorded", OTHER, parts=[server(tmp_path / "c", "first text")])
    assert "is not held by process 4712" in refused["msg"]
    assert "is not held by process 4712" in host.run("current", OTHER, release="")["msg"]
    assert host.info()["releases"] == []
    taken = host.run("begun", {**OTHER, "gone": {"pid": 4711, "started": "100"}}, sequence=1)
    assert (taken["taken_over"], taken["stale"], taken["lease"]["pid"]) == (True, True, 4712)
    assert host.run("begun", take_over=True, sequence=2)["taken_over"]
    assert host.run("ended")["ended"]
    assert not host.run("ended")["ended"]


def test_check_mode_writes_nothing(host: Host, tmp_path: Path) -> None:
    part = server(tmp_path / "c", "first text")
    assert host.run("begun", check_mode=True)["lease"]["sequence"] == 1
    predicted = host.run("recorded", parts=[part], check_mode=True)
    assert (predicted["changed"], predicted["release"], predicted["ended"]) == (True, None, False)
    assert host.run("current", release="", check_mode=True)["changed"] is False
    assert not host.directory.exists()
    done = host.deploy(part)
    before = {path: path.read_bytes() for path in host.directory.rglob("*") if path.is_file()}
    host.run("begun", check_mode=True, sequence=1)
    assert host.run("recorded", parts=[part], check_mode=True)["release"] == done["release"]
    assert host.run("recorded", parts=[server(tmp_path / "c", "other text")], check_mode=True)["changed"]
    assert host.run("current", release="", check_mode=True)["changed"]
    assert {path: path.read_bytes() for path in host.directory.rglob("*") if path.is_file()} == before


def test_the_pointer_follows_a_rollback(host: Host, tmp_path: Path) -> None:
    first, second = (host.deploy(server(tmp_path / "c", text))["release"] for text in ("first text", "other text"))
    assert host.info(select="previous")["selected"]["id"] == first
    host.run("begun", sequence=2)
    moved = host.run("current", release=first)
    assert (moved["changed"], moved["release"], moved["ended"]) == (True, first, True)
    assert [each["current"] for each in host.info()["releases"]] == [False, True]
    host.run("begun", sequence=3)
    assert host.run("current", release="")["release"] is None
    found = host.info(select="previous")
    assert (found["current"], found["selected"]["id"]) == (None, second)
    refused = host.info(select="20260131T120000Z-3f2a9c")
    assert refused["msg"] == (
        f"rollback_to: 20260131T120000Z-3f2a9c is no release of this host; expected one of {second}, {first}."
    )


def test_a_module_of_a_killed_run_is_waited_for(host: Host) -> None:
    host.run("begun")
    host.run("ended")
    with lease.working(host.directory):
        refused = host.run("begun", sequence=1, idle_seconds=0)
        assert "is still at work on this host after 0 s" in refused["msg"]
        assert host.info()["lease"] is None
    begun = host.run("begun", sequence=2, idle_seconds=0)
    assert (begun["stale"], begun["waited"]) == (False, False)


def test_what_a_module_waited_for_makes_the_look_stale(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "wait_idle", lambda directory, seconds: lease.Idle(waited=True, ended=True))
    begun = host.run("begun", sequence=0)
    assert (begun["taken_over"], begun["stale"], begun["waited"]) == (False, True, True)


@pytest.mark.parametrize("given", [{"A": PASSWORD, "B": "q7x'\"\\"}, "A=correct-horse-battery B=q7x"])
def test_no_secret_gets_out(
    host: Host, run_module: RunModule, tmp_path: Path, journal: list[str], given: dict[str, str] | str
) -> None:
    conf, environment = tmp_path / "n.conf", tmp_path / "secrets.env"
    text = f'authorization {{\n  password: "{PASSWORD}"\n  token: "staple"\n}}\n'
    parts = [server(conf, text), bot(environment, given)]
    told: list[Any] = [host.deploy(*parts), host.info(select="current")]
    assert journal[-2] == f"Invoked for {conf}, {environment}"
    identity = told[0]["release"]
    back = {"release_dir": str(host.directory), "id": identity, "parts": ["server", "bot"]}
    for check_mode in (True, False):
        told.append(run_module("config_tree", release=back, check_mode=check_mode))
        assert told[-1]["changed"]
        assert journal[-1] == f"Invoked for release {identity}"
    assert conf.read_text() == text
    assert PASSWORD in environment.read_text()
    told.append(run_module("config_tree", release={**back, "parts": ["bot"]}))
    assert not told[-1]["changed"]
    plan = {"home": str(tmp_path), "runtime": "process", "pid_file": str(tmp_path / "pid"), "command": ["/bin/bot"]}
    told.append(run_module("bot_plan", **plan, release=back, release_dir=str(host.directory)))
    assert told[-1]["changes"] == []
    (host.directory / "releases" / f"{identity}.json").write_text("")
    told.append(run_module("config_tree", release=back))
    assert told[-1]["msg"].startswith(f"release: {identity} is damaged (truncated); ")
    for part in ("correct", "staple", "q7x"):
        assert part not in json.dumps(told) + "".join(journal)


def test_one_of_entries_and_release_is_needed(host: Host, run_module: RunModule, tmp_path: Path) -> None:
    identity = host.deploy(server(tmp_path / "c", "first text"))["release"]
    back = {"release_dir": str(host.directory), "id": identity, "parts": ["server"]}
    assert "one of the following is required: entries, release" in run_module("config_tree")["msg"]
    assert "mutually exclusive: entries|release" in run_module("config_tree", entries=[], release=back)["msg"]
    lacking = run_module("config_tree", release={**back, "parts": ["bot"]})
    assert lacking["msg"] == (f"release.parts: bot: release {identity} has no such part; expected one of server.")


def test_a_release_of_a_later_version_is_refused(host: Host, run_module: RunModule, tmp_path: Path) -> None:
    identity = host.deploy(server(tmp_path / "c", "first text"))["release"]
    path = host.directory / "releases" / f"{identity}.json"
    body = atomic_file.read(path)
    body["parts"]["server"]["entries"][0]["invented"] = 1
    atomic_file.write(path, body)
    back = {"release_dir": str(host.directory), "id": identity, "parts": ["server"]}
    failed = run_module("config_tree", release=back)
    assert failed["msg"].startswith(f"release: {identity} holds what this version of the collection does not take: ")
    assert not (tmp_path / "c").exists()


def test_a_release_that_can_not_be_gone_back_to_is_told_before_a_change(
    host: Host, run_module: RunModule, tmp_path: Path
) -> None:
    part = bot(tmp_path / "secrets.env", {"A": PASSWORD})
    first, second = (host.deploy(part, server(tmp_path / "c", text))["release"] for text in ("one text", "other text"))
    path = host.directory / "releases" / f"{second}.json"
    body = atomic_file.read(path)
    del body["parts"]["bot"]["settings"]["servers"]
    atomic_file.write(path, body)
    why = (
        "it holds what this version of the collection does not take: missing required arguments: servers found in "
        "bot -> settings"
    )
    assert host.info(select="current")["msg"] == (
        f"rollback_to: {second} can't be gone back to: {why}. Use the version that recorded it, or choose another "
        f"release: {first}."
    )
    assert [each["obstacle"] for each in host.info()["releases"]] == [why, ""]
    assert host.info(select="previous")["selected"]["settings"]["bot"] == part["settings"]
    plan = {"home": str(tmp_path), "runtime": "process", "pid_file": str(tmp_path / "pid"), "command": ["/bin/bot"]}
    planned = run_module("bot_plan", **plan, entries=part["entries"], release_dir=str(host.directory))
    assert planned["release"]["no_way_back"] == f"release {second} can't be gone back to: {why}"


def test_defaults_of_a_recorded_entry_are_filled_in(host: Host, run_module: RunModule, tmp_path: Path) -> None:
    identity = host.deploy(server(tmp_path / "c", "first text"))["release"]
    path = host.directory / "releases" / f"{identity}.json"
    body = atomic_file.read(path)
    body["parts"]["server"]["entries"] = [{"path": str(tmp_path / "c"), "state": "file", "content": "a"}]
    atomic_file.write(path, body)
    back = {"release_dir": str(host.directory), "id": identity, "parts": ["server"]}
    assert run_module("config_tree", release=back)["changed"]


def test_a_plan_tells_what_is_recorded(host: Host, run_module: RunModule, tmp_path: Path) -> None:
    part = bot(tmp_path / "secrets.env", {"A": PASSWORD})
    plan = {"home": str(tmp_path), "runtime": "process", "pid_file": str(tmp_path / "pid"), "command": ["/bin/bot"]}
    given = {**plan, "entries": part["entries"], "settings": part["settings"]}
    assert "release" not in run_module("bot_plan", **given)
    assert run_module("bot_plan", **given, release_dir=str(host.directory))["release"]["current"] is None
    assert not host.directory.exists()
    done = host.deploy(part)
    found = run_module("bot_plan", **given, release_dir=str(host.directory))["release"]
    known = {"current": done["release"], "recorded": True, "lease": None, "sequence": 1}
    assert found == {**known, "damaged": [], "drops": [], "no_way_back": ""}
    for other in ({"settings": {"a": 1}}, {"entries": [{**part["entries"][0], "mode": "0600"}]}):
        assert not run_module("bot_plan", **{**given, **other}, release_dir=str(host.directory))["release"]["recorded"]


def test_a_plan_misses_a_bot_that_the_release_has(host: Host, run_module: RunModule, tmp_path: Path) -> None:
    home = tmp_path / "bot"
    part = bot(home / "secrets.env", {"A": PASSWORD})
    given = {"home": str(home), "runtime": "process", "pid_file": f"{home}/pid", "command": ["/bin/bot"]}
    given |= {"entries": part["entries"], "release_dir": str(host.directory)}
    run = {"parts": ["bot", "plugins"], "accept": []}
    # before there was a bot, one may be missing
    assert run_module("bot_plan", **given, run=run)["release"]["drops"] == []
    identity = host.deploy(part)["release"]
    refused = run_module("bot_plan", **given, run=run)
    assert refused["msg"].startswith(f"The release of this host, {identity}, has a bot, and {home} is not there. ")
    accepted = run_module("bot_plan", **given, run={**run, "accept": ["absent_bot"]})
    assert accepted["release"]["drops"] == ["bot", "plugins"]
    # a way back that happens by itself
    assert run_module("bot_plan", **given)["release"]["drops"] == []
    home.mkdir()
    assert run_module("bot_plan", **given, run=run)["installed"]
    service = {"runtime": "systemd", "service": "no-such-bot"}
    refused = run_module("bot_plan", **{**given, **service}, run=run)
    assert "no-such-bot.service is not there" in refused["msg"] or "systemctl does not answer" in refused["msg"]


def test_what_stands_beside_a_release_is_named(host: Host, tmp_path: Path) -> None:
    host.deploy(server(tmp_path / "c", "text"))
    for name in ("c", "d"):
        (tmp_path / name).touch()
    found = host.info(select="current", beside=[str(tmp_path / name) for name in ("c", "d", "gone")])
    assert found["left_behind"] == [str(tmp_path / "d")]
    assert "left_behind" not in host.info()
    # a release without it says that it was dropped
    done = host.deploy(bot(tmp_path / "d", {}), drops=["server"])
    assert (done["dropped"], host.info()["releases"][0]["parts"]) == (["server"], ["bot"])


def is_locked(directory: Path) -> bool:
    with atomic_file.lock_file(directory / lease.LOCK) as descriptor:
        return not atomic_file.lock(descriptor, fcntl.LOCK_EX, 0)


def test_a_module_that_writes_is_seen_at_work(
    run_module: RunModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    monkeypatch.setattr(
        "ansible_collections.rosey.nats.plugins.module_utils._host.tree.apply.apply",
        lambda changes, label: seen.append(is_locked(tmp_path)),
    )
    monkeypatch.setattr(
        "ansible_collections.rosey.nats.plugins.modules.nats_binary.install",
        lambda module: seen.append(is_locked(tmp_path)) or {},
    )
    for module in ("nats_process", "bot_process"):
        monkeypatch.setattr(
            f"ansible_collections.rosey.nats.plugins.modules.{module}.background.find",
            lambda program: seen.append(is_locked(tmp_path)),
        )
    releases = str(tmp_path)
    run_module("config_tree", entries=[], release_dir=releases)
    run_module("nats_binary", version="2.10.7", release_dir=releases)
    stopped = {"state": "stopped", "pid_file": f"{tmp_path}/pid", "release_dir": releases}
    run_module("nats_process", binary="/no/nats-server", config_file="/no/nats.conf", **stopped)
    run_module("bot_process", command=["/no/bot"], **stopped)
    assert len(seen) >= 4
    assert all(seen)
    assert not is_locked(tmp_path)


def test_the_documentation_is_that_of_the_arguments() -> None:
    def accepted(spec: dict[str, Any]) -> dict[str, Any]:
        bare = {key: value for key, value in spec.items() if key not in ("no_log", "options")}
        if "options" in spec:
            bare["suboptions"] = {name: accepted(option) for name, option in spec["options"].items()}
        return bare

    def documented(option: dict[str, Any]) -> dict[str, Any]:
        bare = {key: value for key, value in option.items() if key not in ("description", "suboptions")}
        if "suboptions" in option:
            bare["suboptions"] = {name: documented(each) for name, each in option["suboptions"].items()}
        return bare

    options = yaml.safe_load(entries_fragment.ModuleDocFragment.PARTS)["options"]
    assert documented(options["parts"]) == accepted(entries.PARTS_SPEC)
    fragment = yaml.safe_load(entries_fragment.ModuleDocFragment.DOCUMENTATION)["options"]
    assert {name: documented(option) for name, option in fragment.items()} == {
        name: accepted(option) for name, option in entries.SPEC.items()
    }
