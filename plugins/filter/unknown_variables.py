# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter unknown_variables."""

from __future__ import annotations

import typing as t

from ansible.parsing.dataloader import DataLoader
from ansible.utils.vars import load_extra_vars

from ansible_collections.rosey.nats.plugins.plugin_utils import variables


def unknown_variables(names: t.Sequence[str], *, extra: bool = False) -> list[str]:
    """Say which of these names, and with extra of the run's extra variables, are of no variable that counts."""
    # those that the run was started with: Ansible keeps what it has read
    return variables.unknown(names, load_extra_vars(DataLoader()) if extra else ())


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"unknown_variables": unknown_variables}
