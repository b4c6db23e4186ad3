# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change of configuration asks of a running server: nothing, a reload or a restart, and why."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ansible_collections.rosey.nats.plugins.module_utils import options

# A reload that adds or removes one of these is refused whole (server/reload.go at v2.10.7).
_BLOCKS_FIXED_AT_START = ("cluster", "gateway", "leafnodes", "mqtt", "websocket")
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
    fixed = {block for block in _BLOCKS_FIXED_AT_START if (block in before) != (block in after)}
    old, new = _settings(before), _settings(after)
    for path in sorted(old.keys() | new.keys(), key=str):
        if old.get(path) == new.get(path):
            continue
        option = options.find(path)
        reload = option is not None and option.reloadable and path[0] not in fixed
        secret = option is None or option.secret
        yield Reason(
            option=".".join(str(part) for part in path),
            before=_text(old.get(path), secret=secret),
            after=_text(new.get(path), secret=secret),
            action=Action.RELOAD if reload else Action.RESTART,
        )


def _settings(config: Mapping[str, t.Any]) -> dict[tuple[str | int, ...], t.Any]:
    return {path: options.effective(option, value) for path, option, value in options.leaves(config)}


def _text(value: t.Any, *, secret: bool) -> str:
    if value is None:
        return "unset"
    return _HIDDEN if secret else str(value)
