# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is going to apply, kept on the host from the plan on: it is applied and recorded by its id alone.

So it crosses to the host once, and what is recorded is what was applied. It is no release until its gates have passed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._deploy import lease, release, release_id
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file

DIRECTORY = "described"


def keep(releases: Path, parts: Mapping[str, release.Part], *, now: datetime) -> str:
    """Keep parts under a new id, and give that; ReleaseError. releases: the directory of the host's releases."""
    directory = releases / DIRECTORY
    with atomic_file.guard(releases):
        atomic_file.prepare(directory)
        atomic_file.sweep(directory)
        record = release.Record(release_id.next_id(now, []), lease.timestamp(now), "", parts)
        atomic_file.write(directory / f"{record.id}{release.SUFFIX}", asdict(record))
    return record.id


def find(releases: Path, identity: str) -> release.Record | None:
    """Give what was described under an id, None where nothing was; ReleaseError where it is damaged."""
    path = releases / DIRECTORY / f"{identity}{release.SUFFIX}"
    try:
        return release.read_file(path)
    except FileNotFoundError:
        return None
    except atomic_file.DamagedError as error:
        raise atomic_file.ReleaseError(f"{path} is damaged: {error}. Run again, which describes it anew.") from error


def forget(releases: Path, *, but: str = "") -> None:
    """Take away what runs have described, but for one id; ReleaseError. Only one run at a time applies anything."""
    directory = releases / DIRECTORY
    atomic_file.sweep(directory)
    for name in atomic_file.names(directory):
        if name != f"{but}{release.SUFFIX}":
            atomic_file.remove(directory / name)


def forget_one(releases: Path, identity: str) -> None:
    """Take away what was described under an id; ReleaseError."""
    atomic_file.remove(releases / DIRECTORY / f"{identity}{release.SUFFIX}")
