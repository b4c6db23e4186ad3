# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter nats_footprint."""

from __future__ import annotations

import dataclasses
import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.module_utils._server import footprint


def nats_footprint(config: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Tell what a server with this configuration touches: sockets, directories, its end."""
    try:
        return _footprint(config)
    except footprint.UnknownError as error:
        raise AnsibleFilterError(f"nats_footprint: {error}") from error


def _footprint(config: Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {
        "endpoints": [dataclasses.asdict(endpoint) for endpoint in footprint.endpoints(config)],
        "client_url": footprint.client_url(config),
        "monitoring_url": footprint.monitoring_url(config),
        "writable_directories": list(footprint.writable_directories(config)),
        "kept": [{"path": path} for path in footprint.kept(config)],
        "stop": dataclasses.asdict(footprint.stop(config)),
        "is_local": footprint.is_local(config),
        "greeting_url": footprint.greeting_url(config),
        **dataclasses.asdict(footprint.identity(config)),
    }


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"nats_footprint": nats_footprint}
