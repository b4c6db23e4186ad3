# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter misspelled_variables."""

from __future__ import annotations

import typing as t

from ansible_collections.rosey.nats.plugins.plugin_utils import role_variables


def misspelled_variables(names: t.Sequence[str]) -> list[str]:
    """Say which of these names are much like a variable of a role, and are none."""
    return role_variables.misspelled(names)


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"misspelled_variables": misspelled_variables}
