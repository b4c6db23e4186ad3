# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter release_failure."""

from __future__ import annotations

import typing as t

from ansible_collections.rosey.nats.plugins.plugin_utils import outcome


def release_failure(
    state: t.Any, task: t.Any = "", result: t.Any = None, *, keep_proven: bool = False
) -> dict[str, t.Any]:
    """Give what a deployment that failed leaves, and how the host goes back."""
    return outcome.failed(outcome.run_of(state), task, result, keep_proven=keep_proven)


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"release_failure": release_failure}
