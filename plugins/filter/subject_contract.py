# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter subject_contract."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Severity
from ansible_collections.rosey.nats.plugins.plugin_utils import contract, environments, plugins


def subject_contract(
    effective: Iterable[Mapping[str, t.Any]],
    prefix: str,
    bot: Mapping[str, t.Any],
    further: Mapping[str, t.Any] | None = None,
) -> dict[str, t.Any]:
    """Check what the plugins of an environment and its bot publish and listen to, and lay it out.

    further: environments besides the standard ones.
    """
    try:
        known = environments.known({} if further is None else further)
        found = contract.check(effective, prefix, bot, {name: each.prefix for name, each in known.items()})
    except (plugins.PluginsError, environments.EnvironmentsError) as error:
        raise AnsibleFilterError(f"subject_contract: {error}") from error
    return {
        "errors": found.texts(Severity.ERROR),
        "warnings": found.texts(Severity.WARNING),
        "findings": [finding.as_result() for finding in found.findings],
        "table": contract.table(found.routes),
    }


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"subject_contract": subject_contract}
