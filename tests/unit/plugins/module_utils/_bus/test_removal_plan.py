# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a removal means on a host that is a directory: what speaks against it, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._bus import remains, removal_guard, removal_plan
from ansible_collections.rosey.nats.plugins.module_utils._bus.removal import RemovalError
from ansible_collections.rosey.nats.plugins.module_utils._deploy.release import Part, Record
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file

ID, OLDER = "20260131T120000Z-3f2a9c", "20260130T120000Z-3f2a9c"
URL = "http://127.0.0.1:8222"


class Host:
    """A directory with releases. config: of the server."""

    def __init__(self, root: Path) -> None:
        self.root, self.releases, self.config = root, root / "lib/rosey-nats", root / "etc/nats-server.conf"

    def server(self, text: str = "server_name: first\nport: 4222\n", **changes: Any) -> Part:
        settings: dict[str, Any] = {
            "runtime": "process",
            "environment": "production",
            "version": "2.10.7",
            "directory": f"{self.root}/lib/nats",
            "link": f"{self.root}/bin/nats-server",
            "config_file": str(self.config),
            "config_dir": str(self.config.parent),
            "data_dir": f"{self.root}/data",
            "pid_file": f"{self.root}/nats-server.pid",
            "monitoring_url": URL,
        }
        entries = [{"path": str(self.config), "state": "file", "content": text}]
        return Part({**settings, **changes}, entries)

    def record(self, identity: str = ID, directory: str = "rosey-nats", **parts: Part) -> None:
        releases = self.releases.with_name(directory)
        (releases / "releases").mkdir(parents=True, exist_ok=True)
        body = asdict(Record(identity, "2026-01-31T12:00:00Z", "here-1", parts))
        atomic_file.write(releases / "releases" / f"{identity}.json", body)
        (releases / "current").write_text(f"{identity}\n")

    def params(self, *, environment: str = "production", accept: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
        run = {
            "environment": environment,
            "server": {"runtime": "process", "config_file": str(self.config)},
            "parts": [],
            "accept": list(accept),
        }
        given = {"release_dir": str(self.releases), "data": True, "expected": [], "watching": None, "run": run}
        return {**given, **more}

    def plan(self, **given: Any) -> dict[str, Any]:
        return removal_plan.plan(self.params(**given), lambda _words: pytest.fail("no command"))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    host = Host(tmp_path)
    host.record(OLDER, server=host.server())
    host.record(server=host.server())
    return host


def test_nothing_speaks_against_a_whole_one(host: Host) -> None:
    # of long ago
    (host.releases / "ways_back.json.damaged-20260101T120000Z").write_text("{}")
    assert host.plan()["refusals"] == []


def lose_pointer(host: Host) -> None:
    (host.releases / "current").unlink()


def write(name: str, text: str = "{}") -> Callable[[Host], None]:
    return lambda host: void((host.releases / name).write_text(text))


def void(_value: object) -> None:
    """Return nothing."""


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lose_pointer, "current"),
        (write("current", "nothing\n"), "current"),
        (write("current", "20270131T120000Z-3f2a9c\n"), "current"),
        (write(f"releases/{ID}.json"), f"releases/{ID}.json"),
        (write(f"releases/{OLDER}.json"), f"releases/{OLDER}.json"),
        (write("kept.json"), "kept.json"),
        (write("ways_back.json"), "ways_back.json"),
        (write("assets.json"), "assets.json"),
    ],
)
def test_nothing_is_taken_away_while_what_tells_of_it_is_damaged(
    host: Host, damage: Callable[[Host], None], named: str
) -> None:
    damage(host)
    said = host.plan()["refusals"]
    assert any(each.startswith(f"{host.releases / named} is damaged: ") for each in said), said
    # whose it is is known from the releases that are whole
    strange = host.plan(environment="development")["refusals"]
    assert any("is of production, and this run is of development" in each for each in strange)
    for do in (lambda: removal_plan.take(host.params(), lambda _new, _place: None), lambda: forget(host)):
        with pytest.raises(RemovalError, match="is damaged"):
            do()
    assert (host.releases / "releases" / f"{OLDER}.json").exists()


def forget(host: Host, **given: Any) -> None:
    removal_plan.forget(host.params(**given))


def test_what_a_removal_that_was_cut_off_has_left_goes(host: Host) -> None:
    for each in (host.releases / "releases").iterdir():
        each.unlink()
    assert host.plan()["refusals"] == []
    forget(host)
    assert not host.releases.exists()


def test_what_was_kept_belongs_to_its_environment_and_server(host: Host) -> None:
    (host.root / "data/jetstream").mkdir(parents=True)
    forget(host, data=False)
    # noted again by a second run
    forget(host, data=False)
    assert host.plan()["refusals"] == []
    (said,) = host.plan(environment="development")["refusals"]
    assert "which kept.json tells of, is of production, and this run is of development" in said
    assert host.plan(environment="development", accept=("other_environment",))["refusals"] == []
    host.config = host.config.with_name("second.conf")
    (said,) = host.plan()["refusals"]
    assert "release_accept: [other_instance]" in said
    # another deployment in its place changes nothing of that
    host.record(server=host.server(environment="development"))
    said = host.plan(environment="development")["refusals"]
    assert any("which kept.json tells of, is of production" in each for each in said)


def test_what_an_earlier_version_kept_is_of_nobody_known(host: Host) -> None:
    body = remains.of([], host.releases).data.as_body()
    atomic_file.write(host.releases / "kept.json", body)
    (said,) = host.plan()["refusals"]
    assert said.startswith(f"{host.releases}/kept.json does not tell whose the data is")
    assert host.plan(accept=("other_environment",))["refusals"] == []


def test_the_releases_of_another_deployment_have_to_be_whole(host: Host) -> None:
    host.record(directory="second", server=host.server())
    assert host.plan()["refusals"] == []
    (host.releases.with_name("second") / "releases" / f"{ID}.json").write_text("{}")
    (said,) = host.plan()["refusals"]
    assert said.startswith(f"{host.releases.with_name('second')} has the releases of another deployment")


def test_a_section_can_be_taken_out_or_nothing_is(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    config = host.root / "config.yaml"
    config.write_text("nats: {}\n")
    entry = {"path": str(config), "state": "section", "key": "nats", "content": "nats: {}\n"}
    host.record(server=host.server(), bot=Part({"mode": "legacy", "home": str(host.root)}, [entry]))
    monkeypatch.setattr(removal_plan.yaml_section, "HAS_YAML", False)
    (said,) = host.plan()["refusals"]
    assert "can't be taken out without python3-yaml. Install that package" in said
    with pytest.raises(RemovalError, match="python3-yaml"):
        removal_plan.take(host.params(), lambda _new, _place: None)
    config.unlink()
    assert host.plan()["refusals"] == []


def test_a_container_goes_by_the_newest_release_alone_and_takes_its_log(host: Host) -> None:
    docker = {"runtime": "docker", "image": "nats:2.10.7"}
    host.record(OLDER, server=host.server(container="old", **docker))
    host.record(server=host.server(container="new", **docker))
    found = host.plan(run=None)
    assert [each["container"] for each in found["containers"]] == ["new"]
    assert found["volumes"] == ["new"]
    assert "the log of the container new" in found["loses"]
    assert "container and volume old: only an older release had it; look whose it is by now" in found["keeps"]


@pytest.mark.parametrize(
    ("servers", "mode", "is_named"),
    [
        (["nats://127.0.0.1:4222"], "nats", True),
        (["nats://localhost"], "nats", True),
        (["nats://bus.example.org:4222"], "nats", True),
        (["nats://127.0.0.1:4333"], "nats", False),
        (["nats://127.0.0.1:4222"], "legacy", False),
    ],
)
def test_a_bot_of_another_deployment_that_uses_the_server_is_named(
    host: Host, servers: list[str], mode: str, is_named: bool
) -> None:
    host.record(directory="second", bot=Part({"mode": mode, "home": "/opt/second", "servers": servers}, []))
    named = any("the server of the bot in /opt/second" in each for each in host.plan()["loses"])
    assert named == is_named


@pytest.mark.parametrize(
    ("unit", "other", "goes"),
    [
        (f'ExecStart="/x" "first,{URL}"', "", True),
        (f'ExecStart="/x" "first,{URL}2"', "", False),
        ("", "", False),
        (None, "", False),
        (f'ExecStart="/x" "first,{URL}"', "ExecStart=-{directory}/0.19.2/exporter", False),
    ],
)
def test_an_exporter_goes_that_is_known_to_be_of_the_server_alone(
    host: Host, monkeypatch: pytest.MonkeyPatch, unit: str | None, other: str, goes: bool
) -> None:
    units, directory = host.root / "units", host.root / "exporter"
    monkeypatch.setattr(removal_guard.unit_file, "directories", lambda: (units,))
    directory.mkdir()
    units.mkdir()
    own = units / "exporter.service"
    if unit is not None:
        own.write_text(f"[Service]\n{unit}\n")
    (units / "other.service").write_text(f"[Service]\n{other.format(directory=directory)}\n")
    found = host.plan(watching={"unit": str(own), "directory": str(directory), "textfile": ""})
    assert found["watching"]["exporter"] == goes
    kept = [each for each in found["keeps"] if each.startswith((str(own), str(directory)))]
    assert bool(kept) != goes


@pytest.mark.parametrize(
    ("text", "goes"),
    [
        ('rosey_nats_up{server_id="first"} 1\n', True),
        ('rosey_nats_up{server_id="second"} 1\n', False),
        ('a{server_id="first"} 1\na{server_id="second"} 1\n', False),
        ("", False),
    ],
)
def test_metrics_go_that_are_of_the_server_alone(host: Host, text: str, goes: bool) -> None:
    textfile = host.root / "rosey_nats.prom"
    textfile.write_text(text)
    found = host.plan(watching={"unit": "", "directory": "", "textfile": str(textfile)})
    assert found["watching"]["textfile"] == goes
    assert any(each.startswith(str(textfile)) for each in found["keeps"]) != goes
