# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter subject_prefix."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.module_utils._server import subjects


def subject_prefix(environment: str) -> str:
    """Give the prefix that all subjects of an environment carry."""
    if environment not in subjects.PREFIXES:
        known = ", ".join(subjects.PREFIXES)
        raise AnsibleFilterError(f"subject_prefix: the environment {environment!r} is unknown; expected one of {known}")
    return subjects.PREFIXES[environment]


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"subject_prefix": subject_prefix}
