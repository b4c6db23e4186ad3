# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter nats_authorization."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.module_utils._bot import credentials
from ansible_collections.rosey.nats.plugins.plugin_utils import authorization


def nats_authorization(given: Mapping[str, t.Any], server_name: str) -> dict[str, t.Any]:
    """Make the block authorization of nats-server from a client's credentials."""
    try:
        return authorization.block(given, server_name)
    except credentials.CredentialsError as error:
        # The error's own context holds the credentials.
        raise AnsibleFilterError(f"nats_authorization: {error}") from None


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"nats_authorization": nats_authorization}
