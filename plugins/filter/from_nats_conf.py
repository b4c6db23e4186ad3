# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter from_nats_conf."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.module_utils._server import conf, conf_lexer


def from_nats_conf(text: t.Any, variables: Mapping[str, str] | None = None) -> dict[str, t.Any]:
    """Read the text of a nats-server configuration into a mapping."""
    if not isinstance(text, str):
        raise AnsibleFilterError(f"from_nats_conf: the text of a configuration was expected, not {type(text).__name__}")
    try:
        return conf.parse(text, variables=variables)
    except conf_lexer.ConfError as error:
        raise AnsibleFilterError(f"from_nats_conf: {error}") from error


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"from_nats_conf": from_nats_conf}
