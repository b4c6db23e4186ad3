# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the gate proves of JetStream's assets: that a deployment has lost none, and which ones there are from now on."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.rosey.nats.plugins.module_utils._data import asset_changes, assets
from ansible_collections.rosey.nats.plugins.module_utils._data.asset_changes import Accepted, Doing, Loss
from ansible_collections.rosey.nats.plugins.module_utils._data.asset_record import Checkpoint
from ansible_collections.rosey.nats.plugins.module_utils._data.assets import Assets


def losses(seen: Checkpoint, now: Assets, accepted: Accepted) -> tuple[Loss, ...]:
    """Name what a deployment has lost, or somebody else meanwhile. seen: what it has kept; now: what there is.

    accepted: which losses by the restart or the reload were meant.
    """
    all_losses: list[Loss] = []
    latest = seen.observed
    if seen.before is not None and seen.doing is not None:
        if latest is not None and latest is not seen.before:
            all_losses += asset_changes.losses(latest, seen.before, Doing.OTHER)
        # A reload has no moment at which it is done, so the gate's own look is the one after it.
        latest = seen.after or now
        all_losses += asset_changes.losses(seen.before, latest, seen.doing, restored=seen.restored, accepted=accepted)
    if latest is not None and latest is not now:
        all_losses += asset_changes.losses(latest, now, Doing.OTHER)
    return tuple(all_losses)


def known_from_now_on(proven: Assets | None, now: Assets, given_up: Accepted) -> Assets:
    """Give the assets that a later look has to find: those that there are, and those that are missed.

    A stream that was proven to be there and is gone stays known until its loss is accepted. given_up: which ones are.
    """
    missed = [] if proven is None else [stream for stream in gone(proven, now) if not given_up(stream, None)]
    return assets.of([*now.streams.values(), *missed], now.api_calls)


def gone(proven: Assets, now: Assets) -> Iterable[assets.Stream]:
    """Give the streams that were proven to be there and are not, those in memory aside: they go with every restart."""
    return [stream for stream in proven.in_order() if stream.key not in now.streams and stream.storage != assets.MEMORY]
