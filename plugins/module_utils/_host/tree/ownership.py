# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an account may do once the changes are made, and whose a path will be."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._host import (
    access,
    system,
)
from ansible_collections.rosey.nats.plugins.module_utils._host.action import Action, Reason
from ansible_collections.rosey.nats.plugins.module_utils._host.tree import compare
from ansible_collections.rosey.nats.plugins.module_utils._host.tree.compare import Aspect, Change
from ansible_collections.rosey.nats.plugins.module_utils._host.tree.spec import State


def repairs(changes: Iterable[Change]) -> Iterator[Reason]:
    """Name who owns what is there, and what may be done with it, where that changes, which nobody reads anew."""
    for change in changes:
        for item in () if change.created else change.differences:
            # a time that is yet to come is told with what it means for who reads the file
            if item.aspect in compare.METADATA - {Aspect.TIME}:
                yield Reason(f"{change.path} {item.aspect}", str(item.before), str(item.after), Action.NOTHING)


def outcome(changes: Iterable[Change], account: system.Account) -> access.Outcome:
    """Give what stands where once these changes are made. account: one that may be made before them."""
    at = {Path(os.path.realpath(change.entry.path)): change for change in changes if change.entry.state != State.LINK}
    repairs = [change for change in at.values() if change.repair]

    def found(path: Path, now: access.Step | None) -> access.Step | None:
        if path in at:
            return _step_of(at[path], now, account)
        repairing = next((each for each in repairs if each.repair and each.repair.covers(path)), None)
        return _owned_by(repairing, now, account) if repairing and now else now

    return found


def _step_of(change: Change, now: access.Step | None, account: system.Account) -> access.Step | None:
    entry = change.entry
    if entry.state == State.ABSENT:
        return None
    kind = now.kind if now else compare.FORMATS[entry.state]
    step = access.Step(entry.path, "", kind, os.geteuid(), os.getegid(), change.mode, bool(now and now.has_acl))
    return _owned_by(change, step, account)


def _owned_by(change: Change, step: access.Step, account: system.Account) -> access.Step:
    """Give what a path belongs to another by a change; an account that is not there yet has no number."""
    owner, group = change.entry.owner, change.entry.group
    uid, gid = change.uid, change.gid
    if f"user {owner}" in change.unknown:
        uid = account.uid if owner == account.name else compare.UNKNOWN
    if f"group {group}" in change.unknown:
        gid = account.gid if group == account.group else compare.UNKNOWN
    uid, gid = (
        before if number == compare.LEAVE and name is None else number
        for number, name, before in ((uid, owner, step.uid), (gid, group, step.gid))
    )
    return dataclasses.replace(step, uid=uid, gid=gid, owner=f"{system.user_name(uid)}:{system.group_name(gid)}")
