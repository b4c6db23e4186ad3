# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter release_unpredicted."""

from __future__ import annotations

import typing as t

from ansible_collections.rosey.nats.plugins.plugin_utils import outcome


def release_unpredicted(state: t.Any, archive_url: str = "") -> list[str]:
    """Say what only a deployment can find out."""
    return outcome.unpredicted(outcome.run_of(state), archive_url)


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"release_unpredicted": release_unpredicted}
