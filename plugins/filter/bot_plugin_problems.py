# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter bot_plugin_problems."""

from __future__ import annotations

import typing as t

from ansible_collections.rosey.nats.plugins.plugin_utils import plugins


def bot_plugin_problems(declared: t.Any, overlays: t.Any) -> list[str]:
    """Name everything that is wrong with the declared plugins and an environment's overlays, a sentence each."""
    return [str(problem) for problem in plugins.problems(declared, overlays)]


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"bot_plugin_problems": bot_plugin_problems}
