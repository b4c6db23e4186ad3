# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter nats_config_problems."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.module_utils._server import requirements
from ansible_collections.rosey.nats.plugins.module_utils._server.options import check


def nats_config_problems(config: t.Any) -> list[str]:
    """Name everything that is wrong with a configuration of nats-server, a sentence each."""
    if not isinstance(config, Mapping):
        found = type(config).__name__
        raise AnsibleFilterError(f"nats_config_problems: a mapping of options was expected, not {found}")
    return [str(problem) for problem in check.problems(config) or requirements.problems(config)]


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"nats_config_problems": nats_config_problems}
