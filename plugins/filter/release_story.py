# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter release_story."""

from __future__ import annotations

import typing as t

from ansible_collections.rosey.nats.plugins.plugin_utils import outcome


def release_story(state: t.Any, left: t.Any, left_behind: t.Any, stuck: t.Any) -> str:
    """Tell where a host is whose deployment failed."""
    return outcome.story(outcome.run_of(state), left, left_behind, stuck)


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"release_story": release_story}
