# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter release_report."""

from __future__ import annotations

import typing as t

from ansible_collections.rosey.nats.plugins.plugin_utils import outcome


def release_report(state: t.Any, described: t.Any = None, of: str = "deployment") -> list[str]:
    """Give what a deployment ends with, a line each."""
    run = outcome.run_of(state)
    if of == "bot":
        return outcome.bot_report(run)
    return outcome.rollback_report(run) if of == "rollback" else outcome.report(run, described or {})


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"release_report": release_report}
