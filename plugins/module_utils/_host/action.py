# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change asks of a program that runs, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.rosey.nats.plugins.module_utils._host.python import StrEnum


class Action(StrEnum):
    """What has to be done to a program that runs, from the least disturbance to the most."""

    NOTHING = "nothing"
    RELOAD = "reload"
    RESTART = "restart"
    START = "start"


@dataclass(frozen=True)
class Reason:
    """One change of one option, or of what else a program was started with.

    option: its dotted path, or what else it is. before, after: the values as text, "unset" where there is none, hidden
    where secret. action: what this change alone asks for.
    """

    option: str
    before: str
    after: str
    action: Action

    def __str__(self) -> str:
        return f"{self.option}: {self.before} -> {self.after} ({self.action})"


def least(found: Iterable[Reason]) -> Action:
    """Give the least action that brings all of these changes into effect."""
    asked = {reason.action for reason in found}
    return next((step for step in (Action.RESTART, Action.RELOAD) if step in asked), Action.NOTHING)
