# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest

from ansible_collections.rosey.nats.plugins.module_utils import service

UNIT = {
    "LoadState": "loaded",
    "UnitFileState": "enabled",
    "MainPID": "0",
    "ActiveState": "inactive",
    "SubState": "dead",
}


def look_up(**changes: str) -> service.Service:
    """Look a service up that systemd shows with these changes."""
    shown = "".join(f"{name}={value}\n" for name, value in {**UNIT, **changes}.items())
    return service.look_up("nats", lambda _command: (0, shown, ""))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, service.Service(exists=True, enabled=True, running=None)),
        ({"UnitFileState": "enabled-runtime"}, service.Service(exists=True, enabled=True, running=None)),
        ({"UnitFileState": "disabled"}, service.Service(exists=True, enabled=False, running=None)),
        (
            {"LoadState": "not-found", "UnitFileState": ""},
            service.Service(exists=False, enabled=False, running=None),
        ),
        (
            {"ActiveState": "failed", "SubState": "failed"},
            service.Service(exists=True, enabled=True, running=None, failing=True),
        ),
        (
            {"ActiveState": "activating", "SubState": "auto-restart"},
            service.Service(exists=True, enabled=True, running=None, failing=True),
        ),
        (
            {"ActiveState": "activating", "SubState": "start"},
            service.Service(exists=True, enabled=True, running=None),
        ),
    ],
)
def test_a_unit_is_read(changes: dict[str, str], expected: service.Service) -> None:
    assert look_up(**changes) == expected


def test_its_process_is_found() -> None:
    found = look_up(MainPID=str(os.getpid()), ActiveState="active", SubState="running")
    assert found.running is not None
    assert found.running.pid == os.getpid()


def test_a_systemd_that_does_not_answer_is_told() -> None:
    with pytest.raises(service.ServiceError, match="systemctl does not answer: no bus"):
        service.look_up("nats", lambda _command: (1, "", "no bus\n"))
