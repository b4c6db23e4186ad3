# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter bus_clients."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.module_utils._bot.credentials import CredentialsError
from ansible_collections.rosey.nats.plugins.plugin_utils import clients


def bus_clients(
    effective: Iterable[Mapping[str, t.Any]],
    prefix: str,
    bot: Mapping[str, t.Any],
    credentials: Mapping[str, t.Any],
    places: Mapping[str, t.Any],
) -> dict[str, t.Any]:
    """Give each client of an environment's bus its credential, and compile what it may do."""
    try:
        return clients.described(effective, prefix, bot, credentials, places)
    except CredentialsError as error:
        # The error's own context holds the credentials.
        raise AnsibleFilterError(f"bus_clients: {error}") from None


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"bus_clients": bus_clients}
