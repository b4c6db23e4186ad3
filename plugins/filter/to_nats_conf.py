# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter to_nats_conf."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.module_utils._server import conf, conf_lexer
from ansible_collections.rosey.nats.plugins.module_utils._server.options import check


def to_nats_conf(config: t.Any, header: str = "") -> str:
    """Write a mapping as the text of a nats-server configuration."""
    if not isinstance(config, Mapping):
        raise AnsibleFilterError(f"to_nats_conf: a mapping of options was expected, not {type(config).__name__}")
    problems = check.problems(config)
    if problems:
        raise AnsibleFilterError("\n".join(["to_nats_conf: nats-server would not accept this:", *map(str, problems)]))
    try:
        return conf.render(config, header=header)
    except conf_lexer.ConfError as error:
        raise AnsibleFilterError(f"to_nats_conf: {error}") from error


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"to_nats_conf": to_nats_conf}
