# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter nats_tls_problems."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from ansible_collections.rosey.nats.plugins.plugin_utils import tls


def nats_tls_problems(given: Mapping[str, t.Any], urls: Iterable[str], *, to_peers: bool = False) -> list[str]:
    """Name what keeps clients, which connect to these URLs, from meeting a nats-server with this TLS."""
    return tls.problems(given, urls, datetime.now(UTC), to_peers=to_peers)


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"nats_tls_problems": nats_tls_problems}
