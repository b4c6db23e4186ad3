# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status of a check, and the limits at which it is a warning or critical."""

from __future__ import annotations

import math
import typing as t
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Finding
from ansible_collections.rosey.nats.plugins.module_utils._host.python import StrEnum


class Status(StrEnum):
    """How a check ended. Unknown: it could not be made."""

    OK = "ok"
    WARNING = "warning"
    UNKNOWN = "unknown"
    CRITICAL = "critical"


ORDER = tuple(Status)


def worst(statuses: Iterable[Status]) -> Status:
    """Give the worst of these. What could not be looked at is worse than a warning, and unknown where there is none."""
    return max(statuses, key=ORDER.index, default=Status.UNKNOWN)


class LimitsError(Exception):
    """Which limits can't be used, a line for each."""


class Worse(StrEnum):
    """Which values of a check are the worse ones."""

    HIGHER = "higher"
    LOWER = "lower"


class Unit(StrEnum):
    """What a value is counted in, as the plugins of Nagios write it."""

    COUNT = ""
    SECONDS = "s"
    PERCENT = "%"
    BYTES = "B"


@dataclass(frozen=True)
class Limits:
    """What a value may be at most, or at least where lower is worse, without a warning and without being critical."""

    warning: float | None = None
    critical: float | None = None


@dataclass(frozen=True)
class Check:
    """What came of one check.

    value: None where it has none, or none is known. remedy: empty where it is well. cause: what kept it from being
    made, the same text for all that it kept; empty where it was made.
    """

    name: str
    status: Status
    summary: str
    value: float | None
    unit: Unit
    worse: Worse
    warning: float | None
    critical: float | None
    remedy: str
    cause: str = ""

    def as_result(self) -> dict[str, t.Any]:
        """Give it as the module returns it."""
        return {name: str(value) if isinstance(value, StrEnum) else value for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Reading:
    """What a check has found, in words and as a number. An error among the findings makes it critical."""

    summary: str
    value: float | None = None
    findings: tuple[Finding, ...] = ()


def number(value: t.Any) -> float | None:
    """Give a number that is finite; None for anything else."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def are_crossed(pair: Limits, worse: Worse) -> bool:
    """Tell whether the warning of a pair comes after its critical."""
    if pair.warning is None or pair.critical is None:
        return False
    return pair.critical < pair.warning if worse is Worse.HIGHER else pair.critical > pair.warning


def exceeds(value: float, bound: float, worse: Worse) -> bool:
    """Tell whether a value is beyond a bound."""
    return value > bound if worse is Worse.HIGHER else value < bound
