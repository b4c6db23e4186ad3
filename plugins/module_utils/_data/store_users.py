# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who uses a store now."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._data import store_tree
from ansible_collections.rosey.nats.plugins.module_utils._host import process
from ansible_collections.rosey.nats.plugins.module_utils._server import requirements, server_files

SHOWN_USERS = 3
_PROC = Path("/proc")


# Who uses it


def users(store: Path) -> tuple[str, ...]:
    """Name who has a store's data in use; StoreError."""
    data = store / store_tree.DATA
    with store_tree.explained(data, "looking at it"):
        return users_among(store, store_tree.inventory_of(data).values()) if data.is_dir() else ()


def users_among(store: Path, inventory: Iterable[os.stat_result]) -> tuple[str, ...]:
    """Name who uses a store with this inventory."""
    return tuple(_named_users(store, inventory))


def _named_users(store: Path, inventory: Iterable[os.stat_result]) -> Iterator[str]:
    """Name the processes that have a file of the store open, and every nats-server that runs on it."""
    # By device and inode, since another path may lead to the same file in a container.
    inodes = {(status.st_dev, status.st_ino) for status in inventory}
    for pid in sorted(int(path.name) for path in _PROC.iterdir() if path.name.isdecimal()):
        running = process.read(pid)
        if running is None or pid == os.getpid():
            continue
        if _runs_on(running, store) or not inodes.isdisjoint(_open_files(pid)):
            yield f"{running.executable.name} (process {pid})"


def _open_files(pid: int) -> Iterator[tuple[int, int]]:
    with suppress(OSError):
        for descriptor in (_PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):
                status = descriptor.stat()
                yield status.st_dev, status.st_ino


def _runs_on(running: process.Process, store: Path) -> bool:
    """Say whether a process is a nats-server with this store_dir; one that has no stream has no file open."""
    server = server_files.server(running)
    named = (path.path for path in server.own if path.option == requirements.STORE_OPTION) if server else ()
    with suppress(OSError):
        return any(server.path(each).samefile(store) for each in named) if server else False
    return False
