# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter nats_credentials_problems."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.module_utils._bot import credentials


def nats_credentials_problems(given: t.Any) -> list[str]:
    """Name everything that is wrong with the credentials of a NATS client, a sentence each."""
    if not isinstance(given, Mapping):
        raise AnsibleFilterError("nats_credentials_problems: expected a mapping with user and password, or with token")
    return credentials.problems(given)


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"nats_credentials_problems": nats_credentials_problems}
