# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide's staging server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from testinfra.host import Host


def test_the_server_runs_with_the_values_of_the_guide(monitor: Callable[..., dict[str, Any]]) -> None:
    varz = monitor("varz")
    assert varz["server_name"] == "rosey_nats_test"
    assert varz["max_connections"] == 50
    assert varz["max_payload"] == 1024**2
    assert varz["max_control_line"] == 4096
    assert varz["ping_interval"] == 60 * 10**9
    assert varz["ping_max"] == 2
    jetstream = varz["jetstream"]["config"]
    assert jetstream["max_memory"] == 512 * 10**6
    assert jetstream["max_storage"] == 5 * 10**9


def test_debug_is_on(host: Host) -> None:
    assert "[DBG]" in host.file("/var/log/nats/nats-server.log").content_string
