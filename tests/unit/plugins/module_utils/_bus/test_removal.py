# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a host goes and what stays, on a host that is a directory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._bus import remains, removal, removal_guard
from ansible_collections.rosey.nats.plugins.module_utils._data import assets
from ansible_collections.rosey.nats.plugins.module_utils._deploy import history
from ansible_collections.rosey.nats.plugins.module_utils._deploy.release import Part, Record
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file

ID = "20260131T120000Z-3f2a9c"


def record(root: Path, name: str = "") -> Record:
    """Give what a deployment records that has put everything below a directory; of a second one, with its name."""
    config, data, log = (f"{root}/{each}{name}" for each in ("etc/nats", "var/lib/nats", "var/log/nats"))
    text = f"log_file: {log}/nats-server.log\njetstream {{\n  store_dir: {data}\n}}\n"
    settings: dict[str, Any] = {
        "runtime": "process",
        "version": "2.10.7",
        "directory": f"{root}/lib",
        "link": f"{root}/bin/nats-server",
        "config_file": f"{config}/nats-server.conf",
        "data_dir": data,
        "pid_file": f"{data}/nats-server.pid",
    }
    entries = [{"path": each, "state": "directory"} for each in (config, data, log)]
    entries.append({"path": settings["config_file"], "state": "file", "content": text})
    return Record(ID, "2026-01-31T12:00:00Z", "here-1", {"server": Part(settings, entries)})


def put(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


class Host:
    """A directory that was deployed to."""

    def __init__(self, root: Path) -> None:
        self.root, self.releases = root, root / "var/lib/rosey-nats"
        deployed = record(root)
        (config,) = (each for each in deployed.parts["server"].entries if each["state"] == "file")
        put(Path(config["path"]), config["content"])
        put(root / "lib/2.10.7/nats-server")
        put(root / "lib/2.10.7/verified.json")
        (root / "bin").mkdir()
        (root / "bin/nats-server").symlink_to(root / "lib/2.10.7/nats-server")
        put(root / "var/lib/nats/jetstream/$G/streams/KEPT/meta.inf")
        put(root / "var/log/nats/nats-server.log")
        put(root / "var/log/nats/nats-server.log.2026.01.31.12.00.00.123")
        self.record(self.releases, deployed)
        self.known = remains.of([deployed], self.releases)

    @staticmethod
    def record(releases: Path, deployed: Record) -> None:
        (releases / "releases").mkdir(parents=True)
        atomic_file.write(releases / "releases" / f"{ID}.json", asdict(deployed))
        (releases / "current").write_text(f"{ID}\n")

    def look(self, *, data: bool = True) -> removal.Look:
        return removal.look(self.known, removal_guard.Others(self.known, self.releases), data=data)

    def left(self) -> set[str]:
        found = [Path(top, name) for top, _directories, names in os.walk(self.root) for name in names]
        return {str(path.relative_to(self.root)) for path in found if self.releases not in path.parents}

    def kept(self, found: removal.Look) -> dict[str, str]:
        return {str(Path(each.path).relative_to(self.root)): each.why for each in found.keeps}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_everything_goes_and_nothing_twice(host: Host) -> None:
    found = host.look()
    assert found.keeps == ()
    assert removal.take(found, lambda _new, _place: None) == []
    assert host.left() == set()
    assert host.look() == removal.Look((), (), ())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root owns what another account may not")
def test_nothing_is_taken_away_behind_a_link_of_another_account(host: Host, tmp_path: Path) -> None:
    found = host.look()
    files = [Path(each.path) for each in found.takes if each.what == "file"]
    (host.root / "etc").rename(tmp_path / "moved")
    (host.root / "etc").symlink_to(tmp_path / "moved")
    os.chown(host.root / "etc", 65534, 65534, follow_symlinks=False)
    with pytest.raises(removal.RemovalError, match="etc is a link of nobody's, which root does not follow"):
        removal.take(found, lambda _new, _place: None)
    assert [path for path in files if host.root / "etc" in path.parents and path.exists()]


def test_data_stays_unless_told(host: Host) -> None:
    found = host.look(data=False)
    removal.take(found, lambda _new, _place: None)
    assert {path.split("/")[1] for path in host.left()} == {"lib", "log"}
    assert host.kept(found) == dict.fromkeys(
        (
            "var/lib/nats/jetstream",
            "var/log/nats/nats-server.log",
            "var/log/nats/nats-server.log.2026.01.31.12.00.00.123",
        ),
        removal.TELL_DATA,
    )


def link_away(name: str) -> Callable[[Host], None]:
    """Give what moves a directory somewhere else and leaves a link."""

    def damage(host: Host) -> None:
        shutil.move(host.root / name, host.root / "elsewhere")
        (host.root / name).symlink_to(host.root / "elsewhere")

    return damage


def write(name: str) -> Callable[[Host], None]:
    return lambda host: put(host.root / name)


def replace_link(host: Host) -> None:
    (host.root / "bin/nats-server").unlink()
    (host.root / "bin/nats-server").symlink_to("/usr/bin/true")


def replace_by_file(host: Host) -> None:
    (host.root / "bin/nats-server").unlink()
    put(host.root / "bin/nats-server")


def make_directory(host: Host) -> None:
    (host.root / "etc/nats/nats-server.conf").unlink()
    put(host.root / "etc/nats/nats-server.conf/mine")


def link_in_store(host: Host) -> None:
    put(host.root / "disk/1.blk")
    (host.root / "var/lib/nats/jetstream/$G/streams/FAR").symlink_to(host.root / "disk")


def deploy_beside(host: Host) -> None:
    """Let another deployment have a program, a link and a log directory in common with this one."""
    host.record(host.releases.with_name("rosey-nats-second"), record(host.root, "-second"))


def damage_beside(host: Host) -> None:
    deploy_beside(host)
    put(host.releases.with_name("rosey-nats-second") / "releases" / f"{ID}.json", "{}")


def go_back_beside(host: Host) -> None:
    """Let another deployment have a version of its own, and this one in a release that it may go back to."""
    newest = record(host.root, "-second")
    server = newest.parts["server"]
    server = replace(server, settings={**server.settings, "version": "2.10.8"})
    newest = replace(newest, parts={**newest.parts, "server": server})
    beside = host.releases.with_name("rosey-nats-second")
    host.record(beside, record(host.root, "-second"))
    later = ID.replace("2026", "2027")
    atomic_file.write(beside / "releases" / f"{later}.json", asdict(replace(newest, id=later)))
    (beside / "current").write_text(f"{later}\n")


def link_beside(host: Host) -> None:
    (host.root / "bin/nats").symlink_to(host.root / "lib/2.10.7/nats-server")


def change(host: Host) -> None:
    put(host.root / "etc/nats/nats-server.conf", "port: 4223\n")


CHANGED_FILE = "it is not as it was deployed"
STRANGE = [
    (change, {"etc/nats/nats-server.conf": CHANGED_FILE}, {"etc/nats/nats-server.conf"}),
    (link_beside, {"lib/2.10.7/nats-server": "bin/nats leads to it"}, {"lib/2.10.7/nats-server"}),
    (go_back_beside, {"lib/2.10.7/nats-server": "the deployment whose releases are in"}, {"lib/2.10.7/nats-server"}),
    (damage_beside, {"lib/2.10.7/nats-server": "can't be known", "etc/nats/nats-server.conf": ""}, None),
    (write("etc/nats/ca.pem"), {"etc/nats": "it holds ca.pem"}, {"etc/nats/ca.pem"}),
    (write("var/lib/nats/notes.txt"), {"var/lib/nats": "it holds notes.txt"}, {"var/lib/nats/notes.txt"}),
    # no rotated one
    (write("var/log/nats/nats-server.log.old"), {"var/log/nats": "it holds nats-server.log.old"}, None),
    (write("lib/2.10.7/notes"), {"lib/2.10.7": "it holds notes", "lib": ""}, {"lib/2.10.7/notes"}),
    (link_away("etc/nats"), {"etc/nats/nats-server.conf": "is a link", "etc/nats": ""}, {"elsewhere/nats-server.conf"}),
    (link_away("var/lib/nats"), {"var/lib/nats/jetstream": "is a link"}, None),
    (link_away("var/lib/nats/jetstream"), {"var/lib/nats/jetstream": "it is a link"}, None),
    (link_away("lib/2.10.7"), {"lib/2.10.7/nats-server": "is a link"}, None),
    (link_in_store, {"var/lib/nats/jetstream": "is a link"}, None),
    (replace_link, {"bin/nats-server": "which was not deployed here"}, None),
    (replace_by_file, {"bin/nats-server": "it is no link"}, {"bin/nats-server"}),
    (make_directory, {"etc/nats/nats-server.conf": "it is no file"}, {"etc/nats/nats-server.conf/mine"}),
    (deploy_beside, {"bin/nats-server": "the deployment whose releases are in", "lib/2.10.7/nats-server": ""}, None),
]


@pytest.mark.parametrize(("damage", "kept", "left"), STRANGE)
def test_what_is_not_known_stays_and_is_named(
    host: Host, damage: Callable[[Host], None], kept: dict[str, str], left: set[str] | None
) -> None:
    damage(host)
    before = host.left()
    found = host.look()
    said = host.kept(found)
    assert {path: why for path, why in kept.items() if why and why not in said.get(path, "")} == {}
    removal.take(found, lambda _new, _place: None)
    taken = before - host.left()
    assert all(
        any(each.path.endswith(path) or path.startswith("var/lib/nats/jet") for each in found.takes) for path in taken
    )
    if left is not None:
        assert left <= host.left()
    for path in kept:
        assert os.path.lexists(host.root / path)
    # what stayed stays
    assert host.look().takes == ()


@pytest.mark.parametrize(
    "line",
    [
        "ExecStart={link} -c /etc/mine.conf",
        # what systemd takes off before the path
        *(f"ExecStart={prefix}{{link}}" for prefix in ("-", "+", "!!", "@", ":", "-/bin/true --server=")),
        "ExecStart={root}//bin/nats-server",
        # another version may be beside it
        "ExecStart={root}/lib/2.11.0/nats-server",
        "EnvironmentFile=-{root}/lib/2.10.7/verified.json",
    ],
)
@pytest.mark.parametrize("name", ["mine.service", "mine.service.d/override.conf"])
def test_what_a_unit_names_stays_with_what_it_leads_to(
    host: Host, monkeypatch: pytest.MonkeyPatch, line: str, name: str
) -> None:
    units = host.root / "units"
    put(units / name, f"[Service]\n{line.format(root=host.root, link=host.root / 'bin/nats-server')}\n")
    monkeypatch.setattr(removal_guard.unit_file, "directories", lambda: (units,))
    found = host.look()
    assert {"lib/2.10.7/nats-server", "lib/2.10.7/verified.json"} <= host.kept(found).keys()
    removal.take(found, lambda _new, _place: None)
    assert (host.root / "lib/2.10.7/nats-server").is_file()


@pytest.mark.parametrize(("is_enabled", "is_kept"), [(True, True), (False, False)])
def test_a_unit_that_only_an_older_release_had_stays_with_its_service(
    host: Host, is_enabled: bool, is_kept: bool
) -> None:
    unit = host.root / "units/old.service"
    put(unit, "[Service]\n")
    if is_enabled:
        (host.root / "units/multi-user.target.wants").mkdir()
        (host.root / "units/multi-user.target.wants/old.service").symlink_to(unit)
    entry = {"path": str(unit), "state": "file", "content": "[Service]\n"}
    old = Record(ID, "2026-01-31T12:00:00Z", "here-1", {"server": Part({"runtime": "systemd"}, [entry])})
    host.known = remains.of([record(host.root), old], host.releases)
    assert ("units/old.service" in host.kept(host.look())) == is_kept


def test_what_no_release_tells_of_stays_though_a_list_has_it(host: Host) -> None:
    plugins = host.root / "opt/plugins"
    put(plugins / "mine.yaml", "name: mine\n")
    put(plugins / ".rosey-nats", '["mine.yaml"]\n')
    entries = [{"path": str(plugins), "state": "directory", "manifest": ".rosey-nats"}]
    part = Part({"plugins": []}, entries)
    host.known = remains.of([replace(record(host.root), parts={"plugins": part})], host.releases)
    found = host.look()
    assert host.kept(found)["opt/plugins/mine.yaml"] == CHANGED_FILE
    kept = [each.path for each in found.keeps]
    assert remains.without_nats(replace(host.known, bot=Part({}, [])), kept)[1]["entries"] == [
        entries[0],
        {"path": str(plugins / "mine.yaml"), "state": "owned"},
    ]


def test_a_mount_is_left_alone(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    line = f"36 35 98:0 /x {host.root}/var/lib/nats rw,noatime master:1 - ext3 /dev/root rw\n"
    monkeypatch.setattr(removal_guard.system, "read_text", lambda path, _errors: line if "proc" in str(path) else "")
    assert "is a mount of its own" in host.kept(host.look())["var/lib/nats/jetstream"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", set()),
        ("1 2 8:1 / / rw - ext4 /dev/a rw\n3 1 0:4 / /proc rw - proc proc rw\n", {"/", "/proc"}),
        ("1 2 8:1 / /mnt/a\\040b rw - ext4 /dev/a rw\n", {"/mnt/a b"}),
        ("nothing of the kind\n", set()),
    ],
)
def test_mounts_are_read(text: str, expected: set[str]) -> None:
    assert removal_guard.mounts(text) == expected


def test_copies_of_the_store_are_data(host: Host) -> None:
    put(host.releases / "stores/2.9.25-20260131T120000Z/notes")
    assert host.kept(host.look())["var/lib/rosey-nats/stores"] == "it holds 2.9.25-20260131T120000Z"


def test_a_stream_in_memory_is_lost_in_any_case() -> None:
    streams = [
        assets.Stream("$G", "KEPT", storage="file", messages=5, bytes=200),
        assets.Stream("A", "FAST", storage="memory", messages=3, bytes=100),
    ]
    kept, fast = "stream KEPT: 5 messages, 200 bytes", "stream A/FAST: 3 messages, 100 bytes, kept in memory alone"
    assert removal.streams(assets.of(streams), data=False) == ([fast], [kept])
    assert removal.streams(assets.of(streams), data=True) == ([kept, fast], [])


def test_the_releases_go_last_and_what_was_kept_is_noted(host: Host) -> None:
    put(host.releases / "notes")
    put(host.releases / "lease.json")
    put(host.releases / history.NAME)
    put(host.releases / f"{history.DAMAGED}20260131T120000Z")
    put(host.releases / ".rosey-0a1b2c3d")
    removal.forget(host.releases, host.known.data.as_body())
    assert {each.name for each in host.releases.iterdir()} == {"notes", "kept.json"}
    assert remains.read_kept(atomic_file.read(host.releases / "kept.json")) == host.known.data
    (host.releases / "notes").unlink()
    removal.forget(host.releases, None)
    assert not host.releases.exists()
    # and again
    removal.forget(host.releases, None)


def test_the_current_release_goes_after_the_others_and_before_what_names_it(host: Host) -> None:
    later = ID.replace("2026", "2027")
    atomic_file.write(host.releases / "releases" / f"{later}.json", asdict(replace(record(host.root), id=later)))
    names = [each.name for each in removal_guard.records(host.releases)]
    assert names == [f"{later}.json", f"{ID}.json", "releases", "current"]


def test_an_account_goes_only_when_nothing_of_it_is_left(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    account = remains.Account("root", "root", "/root")
    known = replace(host.known, data=replace(host.known.data, accounts=(account,)))
    others = removal_guard.Others(known, host.releases)
    users, groups, keeps = removal.accounts(known, host.look(), others)
    assert (users, groups) == ([], [])
    user, group = map(str, keeps)
    assert user == "user root: it is not as a deployment makes it"
    assert group.startswith("group root: root")
