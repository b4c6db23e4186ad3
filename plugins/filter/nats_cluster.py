# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter nats_cluster."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping

from ansible_collections.rosey.nats.plugins.plugin_utils import cluster


def nats_cluster(
    own: Mapping[str, t.Any],
    host: str,
    config: Mapping[str, t.Any],
    hosts: Iterable[Iterable[t.Any]],
    *,
    secret: str | None = None,
) -> dict[str, t.Any]:
    """Give the cluster that the hosts of an inventory are, as one of them sees it."""
    known = [cluster.Host(*each) for each in hosts]
    found = cluster.described(own, known, host, str(config.get("server_name") or "nats"))
    found["problems"] += cluster.conflicts(config)
    if secret is None:
        return found
    found["problems"] += cluster.problems_of_secret(secret)
    return {**found, "config": cluster.secured(found["config"], secret) if not found["problems"] else {}}


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"nats_cluster": nats_cluster}
