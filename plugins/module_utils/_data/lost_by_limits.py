# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What limits, memory and accounts would cut off."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping, Sequence

from ansible_collections.rosey.nats.plugins.module_utils._data.assets import (
    MEMORY,
    Stream,
)
from ansible_collections.rosey.nats.plugins.module_utils._data.before_change import (
    Situation,
    account_limits,
    beyond_limits,
    is_clustered,
    limited,
    size_of,
)
from ansible_collections.rosey.nats.plugins.module_utils._host import figures
from ansible_collections.rosey.nats.plugins.module_utils._server import plan

# Limits


def smaller_store(situation: Situation) -> str:
    """Say what the store has no room for."""
    return limited(situation, lambda config, streams: [*_unreserved(config, streams), *_overcommitted(config)])


def _overcommitted(config: Mapping[str, t.Any]) -> Iterator[str]:
    """Say where accounts may have more together than the server, which does not start then (sufficientResources)."""
    for name in ("max_file", "max_mem"):
        limit = plan.store_limit(config, name)
        limits = [size_of(("accounts", of, "jetstream", name), block.get(name)) for of, block in account_limits(config)]
        together = sum(each for each in limits if each is not None and each > 0)
        if limit is not None and not is_clustered(config) and together > limit >= 0:
            has, taken = figures.sizes(limit, together)
            yield (
                f"jetstream.{name}: {has}, and the accounts may have {taken} together; expected that for the server, "
                "else it does not start, and nobody reaches what it holds"
            )


def _unreserved(config: Mapping[str, t.Any], streams: Sequence[Stream]) -> list[str]:
    """Say which limits of files are below what streams reserve, which the server does not take up then.

    Where nothing is left beside that, it takes up none without a max_bytes (server/jetstream.go, checkBytesLimits).
    """
    said = []
    for name, limit, own in _file_limits(config, streams):
        reserved = sum(max(0, each.limits.max_bytes) for each in own if each.limits)
        has_open = any(each.limits is None or each.limits.max_bytes <= 0 for each in own)
        if limit < reserved or (own and limit == reserved and has_open):
            have, need = figures.sizes(limit, reserved)
            said.append(
                f"{name}: {have}, and streams reserve {need} by their max_bytes; expected more than that, else "
                "the server does not take all of them up again"
            )
    return said


def full_store(situation: Situation) -> str:
    """Say what can't be written once it is full."""
    return limited(situation, _unwritable)


def _unwritable(config: Mapping[str, t.Any], streams: Sequence[Stream]) -> list[str]:
    return [
        "{}: {}, and {} are held, so that no more is stored".format(name, *figures.sizes(limit, held))
        for name, limit, own in (*_file_limits(config, streams), *_memory_limits(config, streams))
        if limit < (held := sum(each.bytes or 0 for each in own))
    ]


def _memory_limits(
    config: Mapping[str, t.Any], streams: Sequence[Stream]
) -> Iterator[tuple[str, int, Sequence[Stream]]]:
    """Give the accounts' limits of memory, which a reload changes; with a restart nothing is held there."""
    for account, block in account_limits(config):
        limit = size_of(("accounts", account, "jetstream", "max_mem"), block.get("max_mem"))
        if limit is not None and limit >= 0:
            own = [each for each in streams if each.storage == MEMORY and each.account == account]
            yield f"accounts.{account}.jetstream.max_mem", limit, own


def _file_limits(config: Mapping[str, t.Any], streams: Sequence[Stream]) -> Iterator[tuple[str, int, Sequence[Stream]]]:
    """Give each limit of what is kept in files, with the streams to which it applies."""
    files = [stream for stream in streams if stream.storage != MEMORY]
    limit = plan.store_limit(config, "max_file")
    if limit is not None and limit >= 0:
        yield "jetstream.max_file", limit, files
    for account, block in account_limits(config):
        limit = size_of(("accounts", account, "jetstream", "max_file"), block.get("max_file"))
        if limit is not None and limit >= 0:
            yield f"accounts.{account}.jetstream.max_file", limit, [each for each in files if each.account == account]


def smaller_limits(situation: Situation) -> str:
    """Say what lies beyond the limits of its account."""
    return limited(situation, beyond_limits)
