# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter nats_metrics."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible_collections.rosey.nats.plugins.module_utils._watch import exposition
from ansible_collections.rosey.nats.plugins.plugin_utils import server_metrics


def nats_metrics(answers: Mapping[str, t.Any], server_name: str, time: float) -> str:
    """Write what a server answers in the format that Prometheus reads."""
    return exposition.render(server_metrics.of_server(server_name, answers, time))


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"nats_metrics": nats_metrics}
