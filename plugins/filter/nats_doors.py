# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter nats_doors."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible_collections.rosey.nats.plugins.plugin_utils import doors


def nats_doors(config: Mapping[str, t.Any]) -> list[str]:
    """Name what of a configuration of nats-server lets in others than the users that are yet to be added to it."""
    return doors.doors(config)


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"nats_doors": nats_doors}
