# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._data import cluster_store

# As 2.10.7 has written it for three servers, n1, n2 and n3.
PEERS = b"\x03\x00\x00\x00\x03\x00\x00\x0044jzkV9DBXScrY9ifjFyEjc1\x00\x00"


def write(data: Path, content: bytes, account: str = "$SYS") -> None:
    directory = data / account / "_js_" / "_meta_"
    directory.mkdir(parents=True)
    (directory / "peers.idx").write_bytes(content)


def test_a_store_tells_whose_it_is(tmp_path: Path) -> None:
    write(tmp_path, PEERS)
    assert cluster_store.peers(tmp_path, "$SYS") == {cluster_store.peer_id(name) for name in ("n1", "n2", "n3")}
    assert cluster_store.peers(tmp_path, "ADMIN") == frozenset()


@pytest.mark.parametrize("content", [b"", PEERS[:7], PEERS[:-3], PEERS[:4] + b"\xff\xff\xff\xff" + PEERS[8:]])
def test_what_is_damaged_tells_nothing(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, content)
    assert cluster_store.peers(tmp_path, "$SYS") == frozenset()


def varz(name: str, data: Path | None) -> dict[str, Any]:
    return {
        "server_name": name,
        "system_account": "$SYS",
        "jetstream": {"config": {"store_dir": str(data)}} if data else {},
    }


def test_a_server_that_runs_on_the_store_of_another_cluster_is_found(tmp_path: Path) -> None:
    write(tmp_path, PEERS)

    def found(told: dict[str, Any]) -> str:
        return str(cluster_store.foreign(told, cluster_store.peers_of(told)) or "")

    assert found(varz("x1", tmp_path)).startswith(f"the store at {tmp_path}: expected that of x1, found that of")
    assert not found(varz("n2", tmp_path))
    assert not found(varz("x1", tmp_path / "none"))
    assert not found(varz("x1", None))
    assert not found({**varz("x1", tmp_path), "system_account": 7})


def test_what_is_not_there_tells_nothing(tmp_path: Path) -> None:
    assert cluster_store.peers(tmp_path / "none", "$SYS") == frozenset()
    assert cluster_store.stream_groups(tmp_path / "none", "$SYS") == []


def groups(data: Path, *names: str) -> list[str] | None:
    for name in names:
        (data / "$SYS" / "_js_" / name).mkdir(parents=True)
    return cluster_store.stream_groups(data, "$SYS")


def test_the_groups_of_streams_are_named(tmp_path: Path) -> None:
    assert groups(tmp_path, "_meta_", "S-R3F-a", "C-R3F-b", "S-R3M-c", "S-R3F-\udcff") == ["S-R3F-a", "S-R3M-c"]


def test_too_many_are_not_told(tmp_path: Path) -> None:
    assert groups(tmp_path, *(f"S-R3F-{number}" for number in range(cluster_store.MOST_TOLD + 1))) is None


@pytest.mark.parametrize("account", ["a\x00b", "\ud800"])
def test_an_account_that_is_no_name_of_a_directory_tells_nothing(tmp_path: Path, account: str) -> None:
    assert cluster_store.peers(tmp_path, account) == frozenset()
    assert cluster_store.stream_groups(tmp_path, account) == []
