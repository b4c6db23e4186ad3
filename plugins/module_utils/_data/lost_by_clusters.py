# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server loses, or makes others lose, that enters a cluster, leaves one, or finds the store of another one.

Each is a row of ``dangers``: a sentence, "" where a change is none.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping

from ansible_collections.rosey.nats.plugins.module_utils._data import cluster_store
from ansible_collections.rosey.nats.plugins.module_utils._data.before_change import (
    Situation,
    counted,
    is_clustered,
    mapping,
)
from ansible_collections.rosey.nats.plugins.module_utils._server import plan


def replicated_streams(situation: Situation) -> str:
    """Name the streams with replicas that a server without a cluster does not take up."""
    streams = [stream for stream in situation.files if (stream.replicas or 1) > 1]
    if not situation.starts or not streams or is_clustered(situation.after):
        return ""
    return (
        f"a restart without a cluster: {counted(streams)}, of more than one replica, which a single server does not "
        "take up again; expected num_replicas: 1 of each, which an update sets, or a cluster"
    )


def added_cluster(situation: Situation) -> str:
    """Name the streams that a cluster does not know, and so deletes."""
    if not (situation.starts and is_clustered(situation.after)):
        return ""
    was_alone = situation.before is None or not is_clustered(situation.before)
    # in its place there is none after the disk was full, and under another system account
    alone = [each for each in situation.files if (each.replicas or 1) == 1]
    if not was_alone and situation.lacks_group and alone:
        return (
            f"cluster: the store has nothing of the cluster's group, and {counted(alone)} of one replica; expected the "
            "group, which a full disk takes away and another system_account looks for elsewhere, else the cluster, "
            "which knows none of them from here, deletes them all within seconds"
        )
    if not (was_alone and situation.files):
        return ""
    return (
        f"cluster: added to a single server that holds {counted(situation.files)}; expected none, else the cluster, "
        "which knows none of them, deletes them all within seconds"
    )


def other_server_name(situation: Situation) -> str:
    """Say that a member takes another name, so that the cluster takes it for a new one."""
    old, new = _in_cluster(situation, lambda config: config.get("server_name"))
    if old == new:
        return ""
    return (
        f"server_name: {old} -> {new}, in a cluster, and the server holds {counted(situation.files)}; expected the "
        "same name, else the cluster takes it for a new server, and what it has is deleted"
    )


def foreign_store(situation: Situation) -> str:
    """Say that a member takes up the store of another cluster."""
    known = (mapping(config).get("server_name") for config in (situation.before, situation.after))
    names = {name for name in known if isinstance(name, str) and name}
    # of a server without a name of its own, nobody knows what it was called
    if not (situation.starts and situation.peers and names and is_clustered(situation.after)):
        return ""
    if not cluster_store.is_foreign(situation.peers, *names):
        return _moved(situation, situation.peers)
    return (
        f"jetstream.store_dir: {plan.store_directory(situation.after)} is the store of a server that was in a cluster, "
        f"and not that of {', '.join(sorted(names))}; expected its own, else what that cluster had can take the place "
        f"of all streams of this one. {cluster_store.GIVE_BACK.capitalize()}"
    )


def _moved(situation: Situation, peers: frozenset[str]) -> str:
    """Say that a server leaves the cluster of its store for another one; that all of one take another name is none."""
    old, new = (mapping(mapping(config).get("cluster")).get("name") for config in (situation.before, situation.after))
    if old in (None, new) or peers <= {cluster_store.peer_id(name) for name in situation.members}:
        return ""
    return (
        f"cluster: {old} -> {new}, and {plan.store_directory(situation.after)} is the store of a member of {old}, with "
        f"servers that {new} does not have; expected a store of {new}, or none, else what {old} had can take the place "
        f"of all streams of {new}. Move the store away, so that the server is given what the others have"
    )


def other_cluster(situation: Situation) -> str:
    """Say that a server that holds streams goes to another cluster, or leaves its own."""
    old, new = _in_cluster(situation, lambda config: mapping(config.get("cluster")).get("name"))
    if situation.before and is_clustered(situation.before) and not is_clustered(situation.after) and situation.files:
        old, new = "a cluster", "none"
    if old == new:
        return ""
    return (
        f"cluster: {old} -> {new}, and the server holds {counted(situation.files)}; expected the same cluster, else "
        "its clients reach none of them"
    )


def _in_cluster(situation: Situation, take: Callable[[Mapping[str, t.Any]], t.Any]) -> tuple[t.Any, t.Any]:
    """Give what a server that holds streams, and stays in a cluster, has before and after; else the same twice."""
    before, after = situation.before, situation.after
    if before is None or not (situation.starts and situation.files and is_clustered(before) and is_clustered(after)):
        return None, None
    return take(before), take(after)
