# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter bot_environment."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence

from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.module_utils._bot import credentials


def bot_environment(given: Mapping[str, t.Any], servers: Sequence[str]) -> dict[str, dict[str, str | None]]:
    """Make an entry's variables, of the bot's environment, from its credentials and servers."""
    try:
        return credentials.environment(given, servers)
    except credentials.CredentialsError as error:
        # The error's own context holds the credentials.
        raise AnsibleFilterError(f"bot_environment: {error}") from None


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"bot_environment": bot_environment}
