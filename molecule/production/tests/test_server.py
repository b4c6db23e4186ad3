# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide's production server, on the oldest Debian that is served, and on the newest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_the_server_runs_with_the_values_of_the_guide(monitor: Callable[..., dict[str, Any]]) -> None:
    varz = monitor("varz")
    assert varz["server_name"] == "rosey_nats_prod"
    assert varz["max_connections"] == 200
    assert varz["max_payload"] == 1024**2
    assert varz["max_control_line"] == 4096
    assert varz["ping_interval"] == 120 * 10**9
    assert varz["ping_max"] == 2
    jetstream = varz["jetstream"]["config"]
    assert jetstream["max_memory"] == 2 * 10**9
    assert jetstream["max_storage"] == 20 * 10**9
