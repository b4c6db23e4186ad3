# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter bot_plugins."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.plugin_utils import plugins


def bot_plugins(declared: t.Any, overlays: t.Any, prefix: str) -> list[plugins.Plugin]:
    """Give the declared plugins as one environment has them."""
    try:
        return plugins.effective(declared, overlays, prefix)
    except plugins.PluginsError as error:
        raise AnsibleFilterError(f"bot_plugins: the plugins can't be used:\n{error}") from error


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"bot_plugins": bot_plugins}
