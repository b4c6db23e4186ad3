# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter lease_claim."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.plugin_utils import controller


def lease_claim(holder: t.Any) -> dict[str, t.Any]:
    """Give this run's claim to the lease of a host that was seen with this holder, or with none."""
    if holder is not None and not (isinstance(holder, Mapping) and {"controller", "pid", "started"} <= holder.keys()):
        raise AnsibleFilterError(
            f"lease_claim: {type(holder).__name__} is no holder of a lease; expected a mapping with controller, pid "
            "and started, or null. Give what nats_release_info returns as lease."
        )
    return controller.claim(holder)


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"lease_claim": lease_claim}
