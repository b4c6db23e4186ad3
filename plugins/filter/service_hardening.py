# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter service_hardening."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable

from ansible_collections.rosey.nats.plugins.module_utils._host import hardening


def service_hardening(
    level: str, writable: Iterable[str] = (), *, is_local: bool = False, peers: Iterable[str] = ()
) -> dict[str, t.Any]:
    """Give the lines of a unit that are its sandbox, in groups, and what systemd makes of them."""
    groups: dict[str, list[str]] = {}
    for directive in hardening.directives(level, writable, is_local=is_local, peers=peers):
        groups.setdefault(directive.group, []).append(str(directive))
    return {"groups": groups, "score": hardening.score(level, is_local=is_local, has_peers=bool(peers))}


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"service_hardening": service_hardening}
