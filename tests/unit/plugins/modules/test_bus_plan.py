# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._deploy import described
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file
from ansible_collections.rosey.nats.tests import recorded

CLAIM = {"controller": "here-1", "pid": 4711, "started": "100"}
OTHER = {"controller": "there-1", "pid": 4712, "started": "200"}


class Host:
    """A host without a server, on which one and a bot are described."""

    def __init__(self, root: Path, run_module: Callable[..., dict[str, Any]], free_port: Callable[[], int]) -> None:
        self.root, self._run_module = root, run_module
        self.releases, self.config = root / "rosey-nats", root / "nats-server.conf"
        port, monitoring = free_port(), free_port()
        self.secret = "start"
        self.text = f"host: 127.0.0.1\nport: {port}\nhttp_port: {monitoring}\n"
        self.server: dict[str, Any] = {
            **recorded.SERVER,
            "runtime": "process",
            "become": False,
            "directory": str(root / "lib"),
            "link": str(root / "nats-server"),
            "config_file": str(self.config),
            "pid_file": str(root / "pid"),
            "data_dir": str(root / "data"),
            "monitoring_url": f"http://127.0.0.1:{monitoring}",
        }
        self.home = root / "bot"
        self.home.mkdir()
        self.bot: dict[str, Any] = {
            **recorded.BOT,
            "home": str(self.home),
            "runtime": "process",
            "become": False,
            "command": ["/nowhere/bot"],
            "pid_file": str(root / "bot.pid"),
            "environment_file": str(self.home / "secrets.env"),
        }

    def parts(self) -> list[dict[str, Any]]:
        variables = {"NATS_PASSWORD": self.secret}
        return [
            {
                "name": "server",
                "settings": self.server,
                "entries": [{"path": str(self.config), "state": "file", "secret_content": self.text}],
            },
            {
                "name": "bot",
                "settings": self.bot,
                "entries": [
                    {"path": str(self.home / "secrets.env"), "state": "variables", "secret_variables": variables}
                ],
            },
        ]

    def plan(self, **more: Any) -> dict[str, Any]:
        asked = {"release_dir": str(self.releases), "run": {}, "checksums": {}, **more}
        if "release" not in asked and "parts" not in asked:
            asked["parts"] = self.parts()
        return self._run_module("bus_plan", **asked)

    def release(self, state: str, **more: Any) -> dict[str, Any]:
        asked = {"release_dir": str(self.releases), "state": state, "claim": CLAIM, "idle_seconds": 0, **more}
        return self._run_module("nats_release", **asked)

    def kept(self) -> list[str]:
        return sorted(path.stem for path in (self.releases / "described").glob("*.json"))


@pytest.fixture
def host(tmp_path: Path, run_module: Callable[..., dict[str, Any]], free_port: Callable[[], int]) -> Host:
    return Host(tmp_path, run_module, free_port)


def test_what_is_to_be_applied_waits_on_the_host(host: Host) -> None:
    found = host.plan()
    assert found["steps"]["claim"], found
    assert host.kept() == [found["applies"]]
    record = described.find(host.releases, found["applies"])
    assert record is not None
    assert record.parts["server"].entries[0]["secret_content"] == host.text
    path = host.releases / "described" / f"{found['applies']}.json"
    assert path.stat().st_mode & 0o777 == 0o600


def test_check_mode_keeps_nothing(host: Host) -> None:
    found = host.plan(check_mode=True)
    assert found["steps"]["any"]
    assert (found["applies"], host.releases.exists()) == ("", False)


def test_what_is_refused_is_not_kept(host: Host) -> None:
    host.text += "no_such_option: 1\n"
    assert "no_such_option" in host.plan()["msg"]
    assert not host.releases.exists()


def test_a_secret_that_is_a_word_of_the_plan_changes_nothing(host: Host) -> None:
    (host.home / "secrets.env").write_text("NATS_PASSWORD=another\n")
    found = host.plan()
    assert found["server"]["action"] == "start"
    assert found["bot"]["action"] == "start"
    assert found["settings"]["server"] == {**found["settings"]["server"], "config_file": str(host.config)}


def test_no_secret_is_said(host: Host) -> None:
    host.secret = "correct horse battery staple"
    for check_mode in (True, False):
        said = str(host.plan(check_mode=check_mode))
        assert host.secret not in said
        assert "http_port" not in said


def test_it_is_recorded_by_its_id_with_what_was_proven(host: Host) -> None:
    applies = host.plan()["applies"]
    host.release("begun", described=applies)
    done = host.release("recorded", described=applies, proven=["server"])
    assert done["changed"], done
    assert host.kept() == []
    went = host.plan(release="current")
    assert (went["going_to"], went["applies"], went["parts"]) == (done["release"], done["release"], ["server"])
    assert went["settings"]["server"]["config_file"] == str(host.config)
    assert went["paths"] == []


def test_what_a_release_leaves_behind_is_named(host: Host) -> None:
    """Neither what is of both releases, nor what is gone, nor what the way back removes by its manifest."""
    (plugins := host.root / "plugins").mkdir()
    directory = {"path": str(plugins), "state": "directory", "manifest": ".rosey-nats"}
    files = [host.config, host.root / "further", host.root / "gone", plugins / "quotes.yaml"]
    entries = [directory, *({"path": str(path), "state": "file", "content": host.text} for path in files)]
    for kept in ([directory, entries[1]], entries):
        host.release("begun")
        part = {"name": "server", "settings": host.server, "entries": kept}
        assert host.release("recorded", parts=[part], proven=["server"])["changed"]
    for path in files:
        path.write_text("")
    (plugins / ".rosey-nats").write_text('["quotes.yaml"]')
    (host.root / "gone").unlink()
    assert host.plan(release="previous")["left_behind"] == [str(host.root / "further")]
    assert host.plan(release="current")["left_behind"] == []
    assert host.plan()["left_behind"] == []


def test_of_two_runs_the_one_with_the_lease_keeps_what_it_described(host: Host) -> None:
    first, second = host.plan()["applies"], host.plan()["applies"]
    assert host.kept() == sorted((first, second))
    host.release("begun", described=first)
    assert host.kept() == [first]
    third = host.plan()["applies"]
    assert "Another deployment is at work" in host.release("begun", claim=OTHER, described=third)["msg"]
    assert host.kept() == [first]
    host.release("ended")
    assert host.kept() == []


def test_what_was_not_described_is_not_recorded(host: Host) -> None:
    applies = host.plan()["applies"]
    host.release("begun", described=applies)
    said = host.release("recorded", described=applies, proven=["server", "plugins"])["msg"]
    assert "proven: plugins was not described; expected of bot, server" in said


def test_what_is_gone_is_not_recorded(host: Host) -> None:
    applies = host.plan()["applies"]
    host.release("begun", described=applies)
    (host.releases / "described" / f"{applies}.json").unlink()
    assert "is not there any more" in host.release("recorded", described=applies, proven=["server"])["msg"]


def test_what_is_damaged_is_not_applied(host: Host, run_module: Callable[..., dict[str, Any]]) -> None:
    applies = host.plan()["applies"]
    path = host.releases / "described" / f"{applies}.json"
    path.write_text(path.read_text().replace("127.0.0.1", "0.0.0.0"))
    source = {"release_dir": str(host.releases), "id": applies, "parts": ["server"]}
    assert "is damaged" in run_module("config_tree", release=source)["msg"]
    assert not host.config.exists()
    with pytest.raises(atomic_file.ReleaseError, match="is damaged"):
        described.find(host.releases, applies)


@pytest.mark.parametrize(
    ("parts", "names", "expected"),
    [(["server", "bot"], None, ["server", "bot"]), (["server", "bot"], ["bot", "plugins"], ["bot"])],
)
def test_of_a_release_the_parts_that_it_has_are_applied(
    host: Host, parts: list[str], names: list[str] | None, expected: list[str]
) -> None:
    applies = host.plan()["applies"]
    host.release("begun", described=applies)
    host.release("recorded", described=applies, proven=parts)
    more = {"names": names} if names else {}
    assert host.plan(release="current", **more)["parts"] == expected


def test_plugins_alone_need_the_settings_of_their_bot(host: Host) -> None:
    plugins = [{"name": "plugins", "settings": {"plugins": []}, "entries": []}]
    assert "bot" in host.plan(parts=plugins)["msg"]
    found = host.plan(parts=plugins, bot=host.bot)
    assert found["parts"] == ["plugins"]
    assert found["bot"]["installed"]


def test_who_lost_what_was_described_looks_again(host: Host) -> None:
    # while this run waited, another one that was at work as it looked came to its end
    host.release("begun", claim=OTHER)
    mine = host.plan()
    host.release("ended", claim=OTHER)
    assert host.kept() == []
    sequence = mine["release"]["sequence"]
    begun = host.release("begun", described=mine["applies"], sequence=sequence)
    assert begun["stale"]
    again = host.plan()["applies"]
    assert host.release("recorded", described=again, proven=["server"])["changed"]


def test_what_is_gone_touches_nothing(host: Host, run_module: Callable[..., dict[str, Any]]) -> None:
    source = {"release_dir": str(host.releases), "id": "20260131T120000Z-3f2a9c", "parts": ["server"]}
    failed = run_module("config_tree", release=source)
    assert failed["failed"]
    assert failed["touched"] is False


def test_the_bot_of_plugins_that_go_back_is_the_one_of_their_release(host: Host) -> None:
    plugins = {"name": "plugins", "settings": {"plugins": []}, "entries": []}
    applies = host.plan(parts=[*host.parts(), plugins])["applies"]
    host.release("begun", described=applies)
    host.release("recorded", described=applies, proven=["server", "bot", "plugins"])
    by_now = {**host.bot, "home": "/somewhere/else"}
    found = host.plan(release="current", names=["plugins"], bot=by_now)
    assert found["settings"]["bot"]["home"] == str(host.home)


def test_what_a_run_that_was_killed_left_is_taken_away(host: Host) -> None:
    host.plan()
    left = host.releases / "described" / atomic_file.temporary_name()
    left.write_text("a secret")
    host.plan()
    assert not left.exists()


def test_an_archive_goes_away_with_the_lease(host: Host) -> None:
    found = host.plan()
    archive = Path(found["staging"])
    assert archive.parent == host.releases
    assert archive != Path(host.plan()["staging"])
    for state in ("recorded", "ended"):
        host.release("begun", described=found["applies"])
        archive.write_text("an archive")
        host.release(state, described=found["applies"], proven=["server", "bot"])
        assert not archive.exists(), state
