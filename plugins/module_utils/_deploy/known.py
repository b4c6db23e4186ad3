# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment has to know of the releases and the lease of a host, before it begins."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._deploy import lease, release


def observe(
    directory: Path, names: Sequence[str], settings: Mapping[str, t.Any] | None, entries: Sequence[Mapping[str, t.Any]]
) -> dict[str, t.Any]:
    """Tell what a deployment of these parts has to know of the releases and the lease, as a module returns it.

    settings, entries: those of all these parts together.
    """
    listing = release.Store(directory).listing()
    looked = lease.look(directory)
    return {
        "current": listing.current.id if listing.current else None,
        "recorded": listing.current is not None
        and _holds(listing.current, names, release.Part(settings or {}, entries)),
        "lease": asdict(looked.holder) if looked.holder else None,
        "sequence": looked.sequence,
        "damaged": [item.name for item in listing.damaged] + ([lease.NAME] if looked.damage else []),
        "no_way_back": _no_way_back(listing),
    }


def _no_way_back(listing: release.Listing) -> str:
    """Say why the host could not go back to its current release; empty where it could, or has none."""
    if listing.current is not None:
        obstacle = listing.current.obstacle
        return f"release {listing.current.id} can't be gone back to: {obstacle}" if obstacle else ""
    names = (release.CURRENT, f"{listing.pointer}{release.SUFFIX}")
    return "; ".join(f"{each.name} is damaged: {each.reason}" for each in listing.damaged if each.name in names)


def _holds(current: release.Record, names: Sequence[str], described: release.Part) -> bool:
    parts = [current.parts[name] for name in names if name in current.parts]
    settings = {key: value for part in parts for key, value in part.settings.items()}
    together = release.Part(settings, [entry for part in parts for entry in part.entries])
    return len(parts) == len(names) and release.digest(together) == release.digest(described)
