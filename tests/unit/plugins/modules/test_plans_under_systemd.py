# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plans say of a service under systemd, of which only the answers are made up."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._deploy import release

RunModule = Callable[..., dict[str, Any]]
UNIT = """\
[Service]
User=nats
ExecStart=/usr/local/bin/nats-server -c {root}/nats-server.conf
InaccessiblePaths={root}/hidden
PrivateUsers=true
"""
SHOWN = "LoadState={load}\nUnitFileState=enabled\nMainPID={pid}\nActiveState=active\nNeedDaemonReload=no\n"


class Host:
    """A host whose systemd shows a unit in this state, and can't apply a setting."""

    def __init__(self, root: Path, run_module: RunModule, port: int) -> None:
        self.root, self.run_module, self.port = root, run_module, port
        self.calls = root / "calls"

    def answers(self, *, load: str = "loaded", pid: int = 0, fails: str = "nothing") -> None:
        shown = SHOWN.format(load=load, pid=pid).replace("\n", "\\n")
        self._program("systemctl", f"printf '{shown}'")
        self._program("systemd-run", f'case "$*" in *{fails}*) exit 217 ;; esac')
        self._program("journalctl", "true")

    def _program(self, name: str, script: str) -> None:
        program = self.root / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.calls}\n{script}\n')
        program.chmod(0o755)

    def trials(self) -> int:
        return self.calls.read_text().count("systemd-run --wait")

    def plan(self, config: str = "", *, unit_is_there: bool = False) -> dict[str, Any]:
        unit = self.root / "nats.service"
        content = UNIT.format(root=self.root)
        if unit_is_there:
            unit.write_text(content)
        entries = [
            {"path": f"{self.root}/nats-server.conf", "state": "file", "content": f"port: {self.port}\n{config}"},
            {"path": str(unit), "state": "file", "content": content},
        ]
        return self.run_module("nats_plan", **self._given(), entries=entries)

    def _given(self) -> dict[str, Any]:
        return {
            "runtime": "systemd",
            "version": "2.10.7",
            "directory": str(self.root / "lib"),
            "link": str(self.root / "nats-server"),
            "config_file": str(self.root / "nats-server.conf"),
        }

    def go_back(self) -> dict[str, Any]:
        """Plan as the way back from a deployment that failed does, to a release with the same unit."""
        config = {"path": f"{self.root}/nats-server.conf", "state": "file", "content": f"port: {self.port}\n"}
        unit = {"path": f"{self.root}/nats.service", "state": "file", "content": UNIT.format(root=self.root)}
        releases = self.root / "releases"
        part = release.Part({"version": "2.10.7"}, [config, unit])
        written = release.Store(releases).write(
            {"server": part}, controller="here", plan=[], gates=[], keep=10, now=datetime.now(UTC)
        )
        back = {"release_dir": str(releases), "id": written.release, "parts": ["server"]}
        return self.run_module("nats_plan", **self._given(), release=back, accept=["all"])


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: RunModule, free_port: Callable[[], int]) -> Host:
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    return Host(tmp_path, run_module, free_port())


def test_a_sandbox_is_tried_where_nothing_has_shown_that_it_can_be_applied(host: Host) -> None:
    host.answers()
    assert host.plan()["action"] == "start"
    assert host.trials() == 1
    # it is there, and does not run
    host.plan(unit_is_there=True)
    assert host.trials() == 2


def test_a_sandbox_that_something_runs_in_is_not_tried_again(host: Host) -> None:
    host.answers(pid=os.getpid())
    host.plan(unit_is_there=True)
    assert host.trials() == 0


def test_a_sandbox_that_is_to_change_is_tried_beside_what_runs(host: Host) -> None:
    host.answers(pid=os.getpid())
    host.plan()
    assert host.trials() == 1


def test_what_the_host_can_not_apply_is_refused(host: Host) -> None:
    host.answers(fails="PrivateUsers")
    said = host.plan()["msg"]
    assert said.startswith(
        "nats.service: this host can't apply PrivateUsers=true (systemd says: status=217/USER). Set "
    )


def test_a_host_without_a_journal_is_told_the_step(host: Host) -> None:
    host.answers(fails="PrivateUsers")
    (host.root / "bin" / "journalctl").unlink()
    assert "systemd says: status=217/USER" in host.plan()["msg"]


def test_going_back_takes_what_there_is(host: Host) -> None:
    host.answers(load="masked", fails="PrivateUsers")
    assert "masked" in host.plan()["msg"]
    assert "msg" not in host.go_back()


def test_a_path_that_the_sandbox_hides_is_refused_before_anybody_makes_it(host: Host) -> None:
    host.answers()
    said = host.plan(f"log_file: {host.root}/hidden/x.log")["msg"]
    assert said.startswith(
        f"log_file: {host.root}/hidden/x.log: InaccessiblePaths={host.root}/hidden of the unit hides"
    )


def test_a_link_that_makes_way_for_a_file_leads_nowhere(host: Host) -> None:
    host.answers()
    hidden = host.root / "hidden" / "nats-server.conf"
    hidden.parent.mkdir()
    hidden.write_text(f"port: {host.port}\n")
    (host.root / "nats-server.conf").symlink_to(hidden)
    found = host.plan("max_connections: 7\n")
    assert "msg" not in found, found["msg"]
    assert found["action"] == "start"


@pytest.mark.parametrize(
    ("load", "there", "refused"),
    [("bad-setting", True, "can't be started. systemd says: "), ("bad-setting", False, ""), ("not-found", True, "")],
)
def test_a_unit_that_is_broken_is_written_anew_or_refused(host: Host, load: str, there: bool, refused: str) -> None:
    host.answers(load=load)
    result = host.plan(unit_is_there=there)
    assert refused in result["msg"] if refused else "msg" not in result


def test_drop_ins_are_told(host: Host) -> None:
    host.answers()
    assert host.plan()["drop_ins"] == []


@pytest.mark.parametrize(
    ("load", "refused"), [("masked", "systemctl unmask cytube-bot"), ("bad-setting", "systemd says")]
)
def test_a_bot_that_nothing_can_start_is_refused(host: Host, load: str, refused: str) -> None:
    host.answers(load=load)
    given: dict[str, Any] = {"runtime": "systemd", "owner": "rosey", "entries": []}
    assert refused in host.run_module("bot_plan", home=str(host.root), **given)["msg"]
    # nobody has asked for a bot that is not installed
    assert host.run_module("bot_plan", home=str(host.root / "none"), **given)["installed"] is False


def test_a_bot_without_a_service_is_told_as_before(host: Host) -> None:
    host.answers(load="not-found")
    result = host.run_module("bot_plan", home=str(host.root), runtime="systemd", entries=[])
    assert result["service"]["exists"] is False
    assert result["action"] == "nothing"


@pytest.mark.parametrize(("address", "is_refused"), [("10.0.0.5", True), ("127.0.0.1", False), ("::1", False)])
def test_a_localhost_that_the_unit_shuts_out_is_refused(
    host: Host, monkeypatch: pytest.MonkeyPatch, address: str, is_refused: bool
) -> None:
    host.answers()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_asked, **_more: [(0, 0, 0, "", (address, 0))])
    monkeypatch.setattr(sys.modules[__name__], "UNIT", f"{UNIT}IPAddressDeny=any\nIPAddressAllow=localhost\n")
    said = host.plan("host: localhost\n").get("msg", "")
    assert (f"port: localhost is {address} on this host, which the unit shuts out; expected 127.0.0.1." in said) is (
        is_refused
    )
