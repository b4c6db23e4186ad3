# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of /varz that may have a limit."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping
from dataclasses import dataclass


def _percent_connected(varz: Mapping[str, t.Any]) -> float:
    limit = varz["max_connections"]
    return 100 * float(varz["connections"]) / limit if limit > 0 else 0.0


@dataclass(frozen=True)
class Measure:
    """A number of /varz that may have a threshold.

    unit: as it follows the number. read: takes it from the answer. remedy: what to do when it is too much.
    """

    unit: str
    read: Callable[[Mapping[str, t.Any]], float]
    remedy: str


MEASURES: Mapping[str, Measure] = {
    "memory": Measure(
        " bytes",
        lambda varz: float(varz["mem"]),
        "look at /connz for pending bytes, and at the limits of JetStream's memory",
    ),
    "slow_consumers": Measure(
        "",
        lambda varz: float(varz["slow_consumers"]),
        "look at /connz for the clients with pending bytes; the number falls to 0 with a restart",
    ),
    "connections": Measure(" percent of max_connections", _percent_connected, "close clients or raise max_connections"),
}
