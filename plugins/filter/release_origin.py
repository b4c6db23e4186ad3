# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter release_origin."""

from __future__ import annotations

import typing as t

from ansible_collections.rosey.nats.plugins.plugin_utils import origin


def release_origin(name: t.Any, inventory_dir: t.Any = None) -> dict[str, str]:
    """Say who deploys, in which run, and by which commit of the inventory."""
    return origin.of_this_run(str(name), str(inventory_dir or ""))


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"release_origin": release_origin}
