# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change of configuration asks of a running server: nothing, a reload or a restart, and why."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from enum import StrEnum

from ansible_collections.rosey.nats.plugins.module_utils import options

_HIDDEN = "********"


class Action(StrEnum):
    """What has to be done to the server, from the least disturbance to the most."""

    NOTHING = "nothing"
    RELOAD = "reload"
    RESTART = "restart"
    START = "start"


@dataclass(frozen=True)
class Reason:
    """One change of one option.

    option: its dotted path. before, after: the values as text, "unset" where there is none, hidden where secret.
    action: what this change alone asks for.
    """

    option: str
    before: str
    after: str
    action: Action

    def __str__(self) -> str:
        return f"{self.option}: {self.before} -> {self.after} ({self.action})"


def reasons(before: Mapping[str, t.Any], after: Mapping[str, t.Any]) -> tuple[Reason, ...]:
    """Compare two configurations by what they mean and name each difference, in the order of its option's path.

    A comment, an order or another spelling of the same value is no difference.
    """
    return tuple(_reasons(options.canonical(before), options.canonical(after)))


def action(found: Iterable[Reason]) -> Action:
    """Give the least action that brings all of these changes into effect."""
    asked = {reason.action for reason in found}
    return next((step for step in (Action.RESTART, Action.RELOAD) if step in asked), Action.NOTHING)


def _reasons(before: Mapping[str, t.Any], after: Mapping[str, t.Any]) -> Iterator[Reason]:
    old, new = _settings(before), _settings(after)
    blocks = _blocks(before) ^ _blocks(after)
    for path in sorted(old.keys() | new.keys(), key=str):
        if old.get(path) == new.get(path):
            continue
        option = options.find(path)
        secret = option is None or option.secret
        yield Reason(
            option=".".join(str(part) for part in path),
            before=_text(old.get(path), secret=secret),
            after=_text(new.get(path), secret=secret),
            action=_action(path, blocks, comes_or_goes=(path in old) != (path in new)),
        )


def _action(path: options.Path, blocks: Set[options.Path], *, comes_or_goes: bool) -> Action:
    """Give what a change of this option asks for. blocks: those that are added or removed."""
    around = [path[:length] for length in range(1, len(path)) if path[:length] in blocks]
    holders = [options.find(block) for block in around]
    option = options.find(path)
    taken = option and (option.reloadable or (option.with_block and around)) and not (option.stays and comes_or_goes)
    return (
        Action.RELOAD
        if taken and all(each and each.reloadable and not each.stays for each in holders)
        else Action.RESTART
    )


def _blocks(value: t.Any, path: options.Path = ()) -> set[options.Path]:
    """Give the paths of all blocks of a canonical configuration."""
    if isinstance(value, Mapping) and options.VARIABLE not in value:
        inner = (_blocks(each, (*path, name)) for name, each in value.items())
        return {path}.union(*inner)
    if isinstance(value, list):
        return set[options.Path]().union(*(_blocks(each, (*path, place)) for place, each in enumerate(value)))
    return set()


def _settings(config: Mapping[str, t.Any]) -> dict[tuple[str | int, ...], t.Any]:
    return {path: options.effective(option, value) for path, option, value in options.leaves(config)}


def _text(value: t.Any, *, secret: bool) -> str:
    if value is None:
        return "unset"
    return _HIDDEN if secret else str(value)
