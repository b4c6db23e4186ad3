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
from collections.abc import Collection
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._host import system
from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Finding
from ansible_collections.rosey.nats.plugins.module_utils._server import answers

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

GIVE_BACK = "bring its own disk back, or move the store away, so that the server is given what the others have"


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


def peers_of(varz: answers.Answer) -> frozenset[str]:
    """Give the ids as peers does, of the store on this host that a server runs on. varz: its answer."""
    data, account = answers.store_directory(varz), varz.get("system_account")
    return peers(Path(data), account) if data and isinstance(account, str) else frozenset()


def is_foreign(known: Collection[str], *names: str) -> bool:
    """Tell whether a store is of a cluster that none of these servers was in. known: the ids of its peers."""
    return bool(known and names) and {peer_id(name) for name in names}.isdisjoint(known)


def foreign(varz: answers.Answer, known: Collection[str]) -> Finding | None:
    """Find that a server runs on the store of another cluster. varz: its answer; known: the ids of the store's peers.

    The members of a cluster set a server right whose log is the shorter one: it is found as long as it is dangerous.
    """
    if not is_foreign(known, str(varz["server_name"])):
        return None
    return Finding(
        f"the store at {answers.store_directory(varz)}",
        f"that of {varz['server_name']}",
        "that of a server of another cluster, whose streams can take the place of all streams of this one as soon as "
        "another server leads",
        f"stop this server, and restart no other before; {GIVE_BACK}",
    )


def stream_groups(data: Path, system_account: str) -> list[str] | None:
    """Name the groups of streams with replicas; None where they are too many to be told."""
    try:
        found = [path.name for path in (data / system_account / _GROUPS).iterdir()]
    except (OSError, ValueError):
        return []
    groups = sorted(filter(_OF_STREAM.fullmatch, found))
    return groups if len(groups) <= MOST_TOLD else None
