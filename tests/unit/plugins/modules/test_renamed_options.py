# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An option that had another name in 0.1.0 is refused, with what there is in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

RunModule = Callable[..., dict[str, Any]]

URL = "http://127.0.0.1:1"
CLAIM = {"controller": "ops-11111111-22222222", "pid": 4711, "started": "100", "gone": None}
# What each of them can't do without.
GIVEN: dict[str, dict[str, Any]] = {
    "bot_gate": {},
    "bot_process": {"command": ["/bot"], "pid_file": "/nowhere/pid"},
    "bus_health_info": {"monitoring_url": URL},
    "config_tree": {"entries": []},
    "nats_archive": {"version": "2.10.7", "architecture": "amd64"},
    "nats_binary": {"version": "2.10.7"},
    "nats_gate": {"monitoring_url": URL},
    "nats_info": {"monitoring_url": URL},
    "nats_process": {"binary": "/nowhere/b", "config_file": "/nowhere/c", "pid_file": "/nowhere/pid"},
    "nats_release": {"release_dir": "/nowhere", "state": "ended", "claim": CLAIM},
    "nats_release_info": {"release_dir": "/nowhere"},
    "nats_service": {"service": "nats", "state": "stopped"},
    "nats_store_copy": {"copies": "/nowhere", "state": "reported"},
}
RENAMED = [
    ("bot_gate", "url", "health_url"),
    ("bus_health_info", "url", "monitoring_url"),
    ("nats_archive", "directory", "cache_dir"),
    ("nats_gate", "url", "monitoring_url"),
    ("nats_info", "url", "monitoring_url"),
    ("nats_process", "config", "config_file"),
    *(
        (module, "releases", "release_dir")
        for module in GIVEN
        if module not in ("bot_gate", "nats_archive", "nats_info")
    ),
]


@pytest.mark.parametrize(("module", "old", "new"), RENAMED)
def test_a_former_option_is_refused_with_those_that_there_are(
    run_module: RunModule, module: str, old: str, new: str
) -> None:
    refused = run_module(module, **{**GIVEN[module], old: "/nowhere"})
    assert refused["failed"]
    begin, _separator, supported = refused["msg"].partition(f" module: {old}. Supported parameters include: ")
    assert begin.startswith("Unsupported parameters for ")
    assert new in supported.replace("(", "").replace(")", "").removesuffix(".").replace(", ", " ").split()


@pytest.mark.parametrize(("module", "old", "new"), [each for each in RENAMED if each[2] in GIVEN[each[0]]])
def test_without_what_took_its_place_that_is_what_is_missed(
    run_module: RunModule, module: str, old: str, new: str
) -> None:
    given = {name: value for name, value in GIVEN[module].items() if name != new}
    assert f"missing required arguments: {new}" in run_module(module, **{**given, old: "/nowhere"})["msg"]
