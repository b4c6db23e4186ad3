# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter rollback_verdict."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible_collections.rosey.nats.plugins.plugin_utils import rollback


def rollback_verdict(chosen: Mapping[str, t.Any], wanted: t.Any, accept: t.Sequence[str] = ()) -> dict[str, t.Any]:
    """Say whether the hosts of a way back go to the same point."""
    return {
        "problem": rollback.problem(str(wanted), chosen, accept),
        "notes": rollback.notes(str(wanted), chosen),
    }


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"rollback_verdict": rollback_verdict}
