# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter nats_merge."""

from __future__ import annotations

import functools
import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.module_utils._server import requirements
from ansible_collections.rosey.nats.plugins.module_utils._server.options import reading


def nats_merge(base: t.Any, *over: t.Any) -> dict[str, t.Any]:
    """Lay configurations of nats-server on another, each on the result of those before, and write paths in one way."""
    for position, config in enumerate((base, *over), start=1):
        if not isinstance(config, Mapping):
            found = type(config).__name__
            raise AnsibleFilterError(f"nats_merge: a mapping of options was expected at place {position}, not {found}")
    return requirements.one_spelling(functools.reduce(reading.merge, over, reading.merge(base, {})))


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"nats_merge": nats_merge}
