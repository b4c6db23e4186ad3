# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of whole deployments may ask for: the hosts of the integration tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from ansible_collections.rosey.nats.tests.integration import conftest as integration

deployment = integration.deployment
deployed = integration.deployed
bot_deployment = integration.bot_deployment
material = integration.material


def sampled(rows: Iterable[Any], count: int) -> list[Any]:
    """Give rows to parametrize by, of which `make test` has the first ones and `make test-faults` the others."""
    return [
        row if number < count else pytest.param(*(row if type(row) is tuple else [row]), marks=pytest.mark.thorough)
        for number, row in enumerate(rows)
    ]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "thorough: what only `make test-faults` has")
