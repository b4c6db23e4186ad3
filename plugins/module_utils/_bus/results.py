# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes of a plan and of a gate."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass


@dataclass(frozen=True)
class Planned:
    """What a deployment means for a host. result: as a module returns it."""

    result: dict[str, t.Any]
    warnings: tuple[str, ...] = ()


class GateError(Exception):
    """What keeps a gate from looking at all: whole sentences that say what to do."""


@dataclass(frozen=True)
class Proof:
    """What a gate saw. result: as a module returns it. failure: why it has not passed, empty where it has."""

    result: dict[str, t.Any]
    failure: str
    warnings: tuple[str, ...] = ()
