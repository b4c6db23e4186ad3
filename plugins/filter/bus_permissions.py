# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter bus_permissions."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.plugin_utils import permissions, plugins


def bus_permissions(
    effective: Iterable[Mapping[str, t.Any]], prefix: str, bot: Mapping[str, t.Any], questions: Iterable[str] = ()
) -> dict[str, t.Any]:
    """Compile what each client of an environment's bus may say and hear, and lay it out.

    questions: subjects that the gate asks for besides the plugins' commands.
    """
    described = list(effective)
    try:
        compiled = permissions.compiled(described, bot, prefix, questions)
    except plugins.PluginsError as error:
        raise AnsibleFilterError(f"bus_permissions: {error}") from error
    names = [plugin["name"] for plugin in described if plugin["enabled"]]
    return {
        "clients": [client.as_result() for client in compiled],
        "warnings": [*permissions.name_problems(names), *permissions.warnings(compiled, prefix)],
        "table": permissions.table(compiled),
    }


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"bus_permissions": bus_permissions}
