# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter migration_plan."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence

from ansible_collections.rosey.nats.plugins.plugin_utils import environments, stages


def migration_plan(
    hosts: Mapping[str, Mapping[str, t.Any]], meant: Sequence[str] | str = (), serial: t.Any = "100%"
) -> dict[str, t.Any]:
    """Say which hosts follow which on the way of a change through their environments.

    hosts: of each its environment and the further environments that its inventory knows.
    """
    try:
        known = environments.known(environments.merged(host["further"] for host in hosts.values()))
        plan = stages.plan({name: host["environment"] for name, host in hosts.items()}, known, meant)
        batches = {host: number for number, batch in enumerate(plan.batches(serial), 1) for host in batch}
    except (environments.EnvironmentsError, stages.StagesError) as error:
        return {"problem": str(error), "lines": [], "titles": {}, "batches": {}}
    return {"problem": "", "lines": plan.lines, "titles": plan.titles, "batches": batches}


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"migration_plan": migration_plan}
