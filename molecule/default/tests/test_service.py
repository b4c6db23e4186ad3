# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role with its defaults alone: a systemd service that starts with the host and is locked down."""

from __future__ import annotations

import re

from testinfra.host import Host


def test_the_service_runs_and_starts_with_the_host(host: Host) -> None:
    service = host.service("nats")
    assert service.is_running
    assert service.is_enabled


def test_the_unit_is_hardened(host: Host) -> None:
    said = host.check_output("systemd-analyze security --no-pager nats")
    exposure = re.search(r"Overall exposure level for nats.service: ([\d.]+)", said)
    assert exposure is not None
    assert float(exposure[1]) <= 1.0, said
