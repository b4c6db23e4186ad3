# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter environment_problem."""

from __future__ import annotations

import typing as t

from ansible_collections.rosey.nats.plugins.plugin_utils import environments


def environment_problem(name: t.Any, further: t.Any, inventory: str | None) -> str:
    """Say what keeps a host of this inventory from being one of an environment; empty where nothing does."""
    return environments.problem(name, further, inventory)


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"environment_problem": environment_problem}
