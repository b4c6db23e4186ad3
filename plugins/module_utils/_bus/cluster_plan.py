# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change of one member means for its cluster: how it stands there, and what all members have to know first."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from ansible_collections.rosey.nats.plugins.module_utils._bus import part_arguments
from ansible_collections.rosey.nats.plugins.module_utils._bus.server_obstacles import ObstacleError
from ansible_collections.rosey.nats.plugins.module_utils._host.action import Action, Reason, least
from ansible_collections.rosey.nats.plugins.module_utils._server import answering, cluster, http_reader, monitoring
from ansible_collections.rosey.nats.plugins.module_utils._server.answering import Answering

# What the servers of a cluster have to agree on for a route to be made. A reload takes it, and leaves those routes as
# they are that there are (server/reload.go, reloadClusterPermissions and clusterOption).
_OF_ROUTES = ("cluster.authorization", "cluster.tls", "cluster.pool_size")
# A certificate of its own may be another one on each.
_OF_ALL = ("cluster.authorization", "cluster.tls.ca_file", "cluster.pool_size")


def standing(server: Answering | None, settings: Mapping[str, t.Any] | None) -> dict[str, t.Any] | None:
    """Tell how a running server stands in its cluster; None where it runs in none, or does not tell."""
    members = part_arguments.members(settings or {})
    if not members or server is None or server.jsz is None or not (server.varz.get("cluster") or {}).get("name"):
        return None
    try:
        routez = monitoring.Monitor(server.url, timeout=answering.MONITORING_SECONDS).read("routez")
    except http_reader.MonitoringError:
        return None
    return asdict(cluster.standing(server.varz, server.jsz, routez, members))


def of_routes(configured: Iterable[Reason]) -> list[Reason]:
    """Give why routes have to be made anew, once all members have read what they show each other from then on.

    configured: what a member's configuration and files change. ObstacleError where a restart is asked for as well: the
    first member to have both would find no other that lets it in.
    """
    found = list(configured)
    agreed = [reason for reason in found if reason.option.startswith(_OF_ROUTES)]
    if not agreed:
        return []
    if least(found) is Action.RESTART:
        others = [reason.option for reason in found if reason.action is Action.RESTART]
        raise ObstacleError(
            f"{agreed[0].option} changes together with {', '.join(others)}, which takes a restart; expected it to "
            "change by itself, since all servers of the cluster have to have it before the first one is restarted. "
            "Nothing was touched. Deploy one of the two first, then the other"
        )
    return [Reason("routes", "as they are", "made anew", Action.RESTART)]


def tells_all_first(configured: Iterable[Reason]) -> bool:
    """Tell whether a member that has not read what changes would let the others in no more."""
    return any(reason.option == "cluster.tls" or reason.option.startswith(_OF_ALL) for reason in configured)


def advice(settings: Mapping[str, t.Any] | None) -> str:
    """Say what speaks against the number of servers in a cluster; nothing where nothing does."""
    number = len(part_arguments.members(settings or {}))
    if number % 2 or not number:
        return ""
    may_fail = number // 2 - 1
    stops = f"one more than {may_fail} that fails" if may_fail else "any one that fails"
    return (
        f"cluster: {number} servers go on as long as {number - may_fail} of them are there, so {stops} stops "
        f"JetStream; expected an odd number. With {number - 1} as many may fail, at less cost, and with {number + 1} "
        "one more"
    )


def mixing(settings: Mapping[str, t.Any] | None, running: Iterable[str], wanted: str) -> str:
    """Say what a change of version does to what is published meanwhile; nothing where there is none in a cluster.

    running: the versions that run here now, as far as they are known.
    """
    others = [version for version in running if version != wanted]
    if not others or not part_arguments.members(settings or {}):
        return ""
    return (
        f"cluster: servers of {others[0]} and of {wanted} are beside each other until the last one is restarted, and a "
        "message that is published again with its Nats-Msg-Id meanwhile may be lost or there twice; expected that none "
        "is. Let whoever publishes with this header rest until the run has ended"
    )
