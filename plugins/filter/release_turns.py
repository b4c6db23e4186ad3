# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter release_turns."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping

from ansible_collections.rosey.nats.plugins.module_utils._bus import turns


def release_turns(
    plans: Mapping[str, Mapping[str, t.Any]], host: str, accepted: Iterable[str] = ()
) -> dict[str, t.Any]:
    """Say when it is a host's turn to be disturbed, among those that are one bus with it."""
    cluster = turns.members(plans, host)
    return {
        "server": turns.of_server(cluster, host).as_result(),
        "bot": turns.of_bot(cluster, host).as_result(),
        "peers": turns.monitoring_urls(cluster, host),
        "told": turns.told(cluster, host),
        "problem": turns.problem(cluster, host, accepted),
    }


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"release_turns": release_turns}
