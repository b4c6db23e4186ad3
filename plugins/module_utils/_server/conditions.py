# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a nats-server says of its own condition: its health, its start, its JetStream cluster."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator, Mapping

from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Finding, Severity, first_of
from ansible_collections.rosey.nats.plugins.module_utils._server import answers, http_reader

Answer = answers.Answer


def is_starting(healthz: Answer) -> bool:
    """Tell whether a server is on its way through its start, so that JetStream may not have taken up its streams yet.

    The monitoring endpoint answers before that (server/server.go, readyForConnections).
    """
    return any(_NOT_READY in finding.found for finding in health_findings(healthz))


_MOST_ERRORS_NAMED = 5
_CONSUMER = "CONSUMER"


def health_findings(healthz: Answer, *, consumers: Severity = Severity.ERROR) -> Iterator[Finding]:
    """Tell what the server says of its own health.

    With or without details, the body tells; the status is always 200 with them (server/monitor.go, healthz).
    consumers: how bad it is where only consumers are not well.
    """
    told = healthz["errors"]
    errors = [str(error.get("error", error)) if isinstance(error, Mapping) else str(error) for error in told]
    errors += [healthz["error"]] if healthz.get("error") else []
    if healthz["status"] == "ok" and not errors:
        return
    is_of_consumers = len(errors) == len(told) > 0 and all(_is_of_consumer(error) for error in told)
    severity = consumers if is_of_consumers else Severity.ERROR
    said = first_of(errors, _MOST_ERRORS_NAMED, "; ")
    found = f"{healthz['status']}: {said}" if said else str(healthz["status"])
    yield Finding("/healthz", "ok", found, "wait until the server has recovered, or look at its log", severity)


def _is_of_consumer(error: t.Any) -> bool:
    return isinstance(error, Mapping) and error.get("type") == _CONSUMER


def quorum_findings(varz: Answer, jsz: Answer) -> Iterator[Finding]:
    """Tell of a JetStream cluster without a leader, or whose leader is alone.

    A leader that lost its peers goes on saying ok at /healthz for a while, so look at the group itself.
    """
    group = jsz.get("meta_cluster")
    if not group:
        return
    remedy = "start the other servers of the cluster, or check that this one reaches them"
    leader, size = group.get("leader"), group.get("cluster_size")
    if not leader:
        yield Finding("jetstream cluster", "a leader", "none", remedy)
    elif leader == varz["server_name"] and isinstance(size, int):
        online = 1 + len(group.get("replicas") or []) - len(lost_peers(group))
        if online <= size // 2:
            yield Finding("jetstream cluster", f"more than {size // 2} of {size} servers", str(online), remedy)


def privacy_findings(connections: Iterable[Answer]) -> Iterator[Finding]:
    """Name the clients that talk in plain text to a server that wants TLS.

    Those that were connected when it came to want it go on as they are (server/reload.go, tlsOption).
    """
    if plain := plain_clients(connections):
        named = first_of([*map(client_name, plain)], _MOST_CLIENTS_NAMED)
        yield Finding(
            "tls",
            "every client encrypted",
            f"{len(plain)} in plain text, as they were before: {named}",
            "let them connect again: restart them",
            Severity.WARNING,
        )


_NATS = "nats"
_MOST_CLIENTS_NAMED = 5


def plain_clients(connections: Iterable[Answer]) -> list[Answer]:
    """Give the clients of /connz that talk in plain text; those of WebSocket and MQTT have listeners of their own."""
    return [each for each in connections if each.get("type", _NATS) == _NATS and not each.get("tls_version")]


def client_name(connection: Mapping[str, t.Any]) -> str:
    """Write who a connection of /connz is."""
    name = http_reader.excerpt(str(connection.get("name") or "without a name"))
    return f"{name} ({http_reader.excerpt(str(connection.get('ip', '')))}, cid {connection['cid']})"


def lost_peers(group: Answer) -> tuple[str, ...]:
    """Name the servers of a JetStream cluster that its leader has lost; who is no leader knows of none.

    One that was killed is not called offline for minutes, but after ten seconds it is not current any more.
    """
    return tuple(
        str(replica.get("name", "")) if isinstance(replica, Mapping) else ""
        for replica in group.get("replicas") or []
        if not isinstance(replica, Mapping) or replica.get("offline") or not replica.get("current", True)
    )


_NOT_READY = "failed to be ready for connections"
