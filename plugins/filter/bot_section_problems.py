# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter bot_section_problems."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.module_utils._bot import client_options
from ansible_collections.rosey.nats.plugins.plugin_utils import environments


def bot_section_problems(
    section: t.Any, environment: str, further: Mapping[str, t.Any] | None = None
) -> dict[str, list[str]]:
    """Name everything that is wrong with the bot's nats: section in an environment, a sentence each.

    further: environments besides the standard ones.
    """
    if not isinstance(section, Mapping):
        raise AnsibleFilterError(f"bot_section_problems: expected a mapping of options, not {type(section).__name__}")
    try:
        known = environments.known({} if further is None else further)
    except environments.EnvironmentsError as error:
        raise AnsibleFilterError(f"bot_section_problems: {error}") from None
    prefixes = {name: each.prefix for name, each in known.items()}
    found = client_options.problems(section, environment, prefixes)
    return {"errors": list(found.errors), "warnings": list(found.warnings)}


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"bot_section_problems": bot_section_problems}
