# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RunModule = Callable[..., dict[str, Any]]

# Tells of a unit what a file says, notes what else is asked of it, and fails at what another file names.
SYSTEMCTL = """#!/bin/sh
case "$1" in
show) cat "{directory}/unit" ;;
*)
    echo "$*" >> "{directory}/calls"
    if grep -qx "$1" "{directory}/failing"; then echo "Job for $2 failed: password=hunter2" >&2; exit 1; fi
    ;;
esac
"""
RUNNING = f"LoadState=loaded\nUnitFileState=enabled\nMainPID={os.getpid()}\nActiveState=active\nNeedDaemonReload=no\n"
STOPPED = "LoadState=loaded\nUnitFileState=enabled\nMainPID=0\nActiveState=inactive\nNeedDaemonReload=no\n"
FAILING = "LoadState=loaded\nUnitFileState=enabled\nMainPID=0\nActiveState=failed\nNeedDaemonReload=no\n"
ABSENT = "LoadState=not-found\nUnitFileState=\nMainPID=0\nActiveState=inactive\nNeedDaemonReload=no\n"
MASKED = RUNNING.replace("LoadState=loaded", "LoadState=masked")
DISABLED = RUNNING.replace("UnitFileState=enabled", "UnitFileState=disabled")


class Systemd:
    """What stands for systemd in a directory."""

    def __init__(self, directory: Path, run_module: RunModule) -> None:
        self._directory, self._run_module = directory, run_module
        (directory / "systemctl").write_text(SYSTEMCTL.format(directory=directory))
        (directory / "systemctl").chmod(0o755)
        (directory / "failing").touch()

    def run(self, unit: str, state: str, *, failing: str = "", **given: Any) -> dict[str, Any]:
        (self._directory / "unit").write_text(unit)
        (self._directory / "failing").write_text(f"{failing}\n")
        (self._directory / "calls").write_text("")
        return self._run_module("nats_service", **{"service": "nats", "state": state, **given})

    @property
    def calls(self) -> list[str]:
        return (self._directory / "calls").read_text().splitlines()


@pytest.fixture
def systemd(tmp_path: Path, run_module: RunModule, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return Systemd(tmp_path, run_module)


@pytest.mark.parametrize(
    ("unit", "state", "given", "action", "calls"),
    [
        (RUNNING, "restarted", {}, "restarted", ["stop nats.service", "start nats.service"]),
        (STOPPED, "restarted", {}, "restarted", ["stop nats.service", "start nats.service"]),
        # what systemd tries again and again counts as started for it, though nothing runs
        (
            FAILING,
            "started",
            {},
            "started",
            ["reset-failed nats.service", "stop nats.service", "start nats.service"],
        ),
        (
            ABSENT,
            "started",
            {"enabled": True, "daemon_reload": True},
            "started",
            ["daemon-reload", "enable nats.service", "start nats.service"],
        ),
        (RUNNING, "started", {}, "none", []),
        (DISABLED, "started", {"enabled": True}, "enabled", ["enable nats.service"]),
        (RUNNING, "reloaded", {}, "reloaded", ["reload nats.service"]),
        (RUNNING, "reloaded", {"service": "nats.service"}, "reloaded", ["reload nats.service"]),
        (STOPPED, "reloaded", {}, "started", ["stop nats.service", "start nats.service"]),
        (RUNNING, "stopped", {}, "stopped", ["stop nats.service"]),
        (FAILING, "stopped", {}, "stopped", ["stop nats.service"]),
        (MASKED, "stopped", {}, "stopped", ["stop nats.service"]),
        (STOPPED, "stopped", {}, "none", []),
        (ABSENT, "stopped", {}, "none", []),
        # one that is to stay away does not come back with the host
        (RUNNING, "stopped", {"enabled": False}, "stopped", ["disable nats.service", "stop nats.service"]),
        (STOPPED, "stopped", {"enabled": False}, "disabled", ["disable nats.service"]),
        (ABSENT, "stopped", {"enabled": False}, "none", []),
        (DISABLED, "enabled", {"enabled": True}, "enabled", ["enable nats.service"]),
        (RUNNING, "enabled", {}, "none", []),
    ],
)
def test_systemd_is_asked_for_what_a_state_needs(
    systemd: Systemd, unit: str, state: str, *, given: dict[str, Any], action: str, calls: list[str]
) -> None:
    predicted = systemd.run(unit, state, check_mode=True, **given)
    assert systemd.calls == []
    result = systemd.run(unit, state, **given)
    assert systemd.calls == calls
    assert predicted["action"] == result["action"] == action
    assert predicted["changed"] == result["changed"] == (action != "none")


def test_what_is_no_service_is_refused(systemd: Systemd) -> None:
    result = systemd.run(RUNNING, "restarted", service="nats.timer")
    assert result["msg"].startswith("service: the service is called 'nats.timer'; expected ")
    assert systemd.calls == []


@pytest.mark.parametrize(("state", "failing"), [("restarted", "start"), ("stopped", "stop"), ("reloaded", "reload")])
def test_systemd_is_quoted_without_secrets(systemd: Systemd, state: str, failing: str) -> None:
    result = systemd.run(RUNNING, state, failing=failing)
    assert result["failed"]
    assert result["msg"].startswith(f"systemctl {failing} nats.service failed: Job for nats.service failed: ")
    assert "hunter2" not in str(result)


def test_what_can_not_be_kept_leaves_the_server_as_it_runs(systemd: Systemd, tmp_path: Path) -> None:
    releases = tmp_path / "releases"
    releases.write_text("a file")
    result = systemd.run(RUNNING, "restarted", release_dir=str(releases))
    assert result["failed"]
    assert systemd.calls == []
