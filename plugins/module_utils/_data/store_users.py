# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who uses a store now."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._data import store_tree
from ansible_collections.rosey.nats.plugins.module_utils._host import process, system
from ansible_collections.rosey.nats.plugins.module_utils._server import conf, programs
from ansible_collections.rosey.nats.plugins.module_utils._server.options import reading

SHOWN_USERS = 3
_PROC = Path("/proc")
_STORE_FLAG = re.compile(r"--?(sd|store_dir)(=(?P<value>.*))?")
_CONFIG_FLAG = re.compile(r"--?(c|config)(=(?P<value>.*))?")


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
    if programs.EXECUTABLE not in running.executable.name:
        return False
    place = _PROC / str(running.pid)
    with suppress(OSError, ValueError):
        named = _flag(running.command, _STORE_FLAG) or _configured_store(running, place)
        return bool(named) and _seen(place, named).samefile(store)
    return False


def _configured_store(running: process.Process, place: Path) -> str:
    """Give the store_dir of the configuration that a server was started with; OSError, ValueError."""
    file = _flag(running.command, _CONFIG_FLAG)
    if not file:
        return ""
    config = _seen(place, file)
    parsed = reading.canonical(
        conf.parse(
            system.read_text(config, "surrogateescape"),
            variables=process.environment(running),
            include=lambda name: system.read_text(config.parent / name, "surrogateescape"),
        )
    )
    jetstream = parsed.get("jetstream")
    inner = jetstream.get("store_dir") if isinstance(jetstream, Mapping) else None
    return str(inner or parsed.get("store_dir") or "")


def _seen(place: Path, name: str) -> Path:
    """Give a path as the process of /proc/<pid> sees it, which may be in a container."""
    return place / "root" / name.lstrip("/") if name.startswith("/") else place / "cwd" / name


def _flag(command: Sequence[str], pattern: re.Pattern[str]) -> str:
    """Give the value of a flag of a command line, written -x value or -x=value."""
    for position, word in enumerate(command):
        found = pattern.fullmatch(word)
        if found:
            return found["value"] if found["value"] is not None else "".join(command[position + 1 : position + 2])
    return ""
