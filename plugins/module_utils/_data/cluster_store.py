# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose store it is that a server of a cluster finds: what stands there of the groups that it was in.

With a store of another cluster, a server brings that cluster's log of streams along. Where it is the longer one, it
counts as soon as another server leads, and all streams of this cluster are deleted: tests/assets/test_foreign_store.py.
"""

from __future__ import annotations

import hashlib
import re
import string
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._host import system

# server/jetstream_cluster.go: defaultStoreDirName, defaultMetaGroupName; server/raft.go: peerStateFile
_GROUPS, _META, _PEERS = "_js_", "_meta_", "peers.idx"
# groupNameForStream of server/jetstream_cluster.go; a stream with one replica has no group
_OF_STREAM = re.compile(r"S-R\d+[FM]-\w+", re.ASCII)
# server/events.go, getHashSize
_DIGITS, _ID = string.digits + string.ascii_uppercase + string.ascii_lowercase, 8
# server/raft.go, encodePeerState: two numbers of 32 bits, the second of which is that of the ids
_NUMBER = 4
_MOST = 1 << 10
# What a plan carries to the controller of each host.
MOST_TOLD = 1 << 12


def peer_id(server_name: str) -> str:
    """Give the id of a server in the groups of its cluster, which follows from its name."""
    return "".join(_DIGITS[byte % len(_DIGITS)] for byte in hashlib.sha256(server_name.encode()).digest()[:_ID])


def peers(data: Path, system_account: str) -> frozenset[str]:
    """Give the ids of the servers that were in the meta group; none where the store does not tell.

    data: JetStream's data (`<store_dir>/jetstream`). system_account: its name, under which the groups are kept.
    """
    try:
        content = system.read(data / system_account / _GROUPS / _META / _PEERS)
    except (OSError, ValueError):
        return frozenset()
    count, ids = int.from_bytes(content[_NUMBER : 2 * _NUMBER], "little"), content[2 * _NUMBER :]
    if not 0 < count <= _MOST or len(ids) < count * _ID:
        return frozenset()
    return frozenset(ids[place * _ID : (place + 1) * _ID].decode("ascii", "replace") for place in range(count))


def stream_groups(data: Path, system_account: str) -> list[str] | None:
    """Name the groups of streams with replicas; None where they are too many to be told."""
    try:
        found = [path.name for path in (data / system_account / _GROUPS).iterdir()]
    except (OSError, ValueError):
        return []
    groups = sorted(filter(_OF_STREAM.fullmatch, found))
    return groups if len(groups) <= MOST_TOLD else None
