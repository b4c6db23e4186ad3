# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter bot_plugin_entries."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping

from ansible_collections.rosey.nats.plugins.plugin_utils import plugins


def bot_plugin_entries(
    effective: Iterable[Mapping[str, t.Any]], directory: str, owner: str | None = None, group: str | None = None
) -> list[dict[str, t.Any]]:
    """Describe the files of an environment's plugins for the module config_tree."""
    return plugins.entries(effective, directory, owner, group)


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"bot_plugin_entries": bot_plugin_entries}
