# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter nats_requirements."""

from __future__ import annotations

import dataclasses
import typing as t
from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.module_utils._server import requirements


def nats_requirements(config: Mapping[str, t.Any], peers: Iterable[str] = ()) -> dict[str, t.Any]:
    """Tell what a server with this configuration touches: sockets, directories, its end."""
    try:
        return _requirements(config, list(peers))
    except requirements.UnknownError as error:
        raise AnsibleFilterError(f"nats_requirements: {error}") from error


def _requirements(config: Mapping[str, t.Any], peers: list[str]) -> dict[str, t.Any]:
    return {
        "endpoints": [dataclasses.asdict(endpoint) for endpoint in requirements.endpoints(config)],
        "client_url": requirements.client_url(config),
        "client_urls": requirements.client_urls(config, peers),
        "tls_listeners": [dataclasses.asdict(listener) for listener in requirements.tls_listeners(config)],
        "monitoring_url": requirements.monitoring_url(config),
        "writable_directories": list(requirements.writable_directories(config)),
        "kept": [{"path": path} for path in requirements.kept(config)],
        "stop": dataclasses.asdict(requirements.stop(config)),
        "is_local": requirements.is_local(config),
        "peers": list(requirements.peers(config, peers) or ()),
        "greeting_url": requirements.greeting_url(config),
        **dataclasses.asdict(requirements.identity(config)),
    }


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"nats_requirements": nats_requirements}
