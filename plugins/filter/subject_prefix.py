# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter subject_prefix."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.plugin_utils import environments


def subject_prefix(name: str, further: Mapping[str, t.Any] | None = None) -> str:
    """Give the prefix that all subjects of an environment carry. further: environments besides the standard ones."""
    try:
        known = environments.known({} if further is None else further)
    except environments.EnvironmentsError as error:
        raise AnsibleFilterError(f"subject_prefix: {error}") from None
    if fault := environments.unknown(name, known):
        raise AnsibleFilterError(f"subject_prefix: {fault}")
    return known[name].prefix


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"subject_prefix": subject_prefix}
