# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a directory were put there by an earlier deployment."""

from __future__ import annotations

import functools
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._host import (
    atomic_file,
    system,
)
from ansible_collections.rosey.nats.plugins.module_utils._host.held import Directories
from ansible_collections.rosey.nats.plugins.module_utils._host.tree import spec
from ansible_collections.rosey.nats.plugins.module_utils._host.tree.spec import Entry, State, StateError

# Manifests


def with_manifests(described: dict[Path, Entry], places: Directories) -> dict[Path, Entry]:
    """Add what each manifest asks for: itself, and the absence of a listed file that is no longer described."""
    every = dict(described)
    for directory in described.values():
        if not directory.manifest:
            continue
        path = directory.path / directory.manifest
        inside = _inside(directory, described)
        if directory.manifest in inside:
            raise StateError(f"{path}: it is described, and is the manifest of its directory. Give it another name.")
        names = sorted(name for name, state in inside.items() if state == State.FILE)
        listed = _listed(directory, places)
        if not names and not listed:
            continue
        content = (json.dumps(names, indent=0, ensure_ascii=False) + "\n").encode("utf-8", "surrogateescape")
        manifest = Entry(path, State.FILE, content=content, last=True)
        every[path] = spec.inherited(manifest, spec.at_or_above(path.parent, described))
        for name in set(listed) - inside.keys() - {directory.manifest}:
            stale = directory.path / name
            # Whatever took its place since then is not ours.
            if _is_file(stale, places):
                every[stale] = Entry(stale, State.ABSENT, reader=directory.reader)
    return every


def _inside(directory: Entry, described: Mapping[Path, Entry]) -> dict[str, State]:
    """Give the names that are described directly in a directory, whatever links lead there."""
    real = functools.cache(os.path.realpath)
    place = real(directory.path)
    return {at.name: entry.state for at, entry in described.items() if real(at.parent) == place}


def _is_file(path: Path, places: Directories) -> bool:
    try:
        return stat.S_ISREG(places.at(path).lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _listed(directory: Entry, places: Directories) -> list[str]:
    """Give the names that a directory's manifest lists."""
    path = directory.path / directory.manifest
    try:
        names = json.loads(system.read_text(places.at(path), "surrogateescape", follow=False))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StateError(f"{path}: it can't be looked at: {error.strerror}.") from error
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(map(spec.is_plain_name, names)):
        raise StateError(
            f"{path}: this manifest is no list of names of files, so somebody else wrote to it. "
            "Correct it, or remove it; then what it listed stays, and is named as strange."
        )
    return names


def unmanaged(described: Mapping[Path, Entry], places: Directories) -> Iterator[str]:
    """Name what stands in directories with a manifest, and was neither described nor put there by us."""
    for directory in described.values():
        if directory.manifest:
            known = {*_listed(directory, places), *_inside(directory, described), directory.manifest}
            for path in _files(directory.path):
                if path.name not in known and not atomic_file.is_temporary(path.name):
                    yield str(path)


def _files(directory: Path) -> list[Path]:
    """Give all that stands in a directory, which may be missing, and is no directory."""
    try:
        with os.scandir(directory) as found:
            return [Path(each.path) for each in found if not each.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StateError(f"{directory}: it can't be looked at: {error.strerror}.") from error
