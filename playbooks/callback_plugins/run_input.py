# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of the playbooks that stand here fails where it does nothing of what it was asked: Ansible would not say so."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

from ansible import context
from ansible.plugins.callback import CallbackBase

from ansible_collections.rosey.nats.plugins.plugin_utils import run_input

_PLAYBOOKS = Path(__file__).resolve().parents[1]


class CallbackModule(CallbackBase):
    """Need not be enabled. It ends a run by sys.exit, which the callback health gives machines to read."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "rosey.nats.run_input"
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self) -> None:
        super().__init__()
        self._playbook = ""
        self._patterns: list[str] = []
        self._groups: dict[str, list[str]] = {}
        self._has_hosts = False

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        """Look at what was asked before anything is done."""
        self._playbook = Path(playbook._file_name).name
        plays = playbook.get_plays()
        if not all(Path(play.get_path()).resolve().is_relative_to(_PLAYBOOKS) for play in plays):
            self.disabled = True  # others' plays may have tags that are not seen from here, and no hosts for a reason
            return
        known = {tag for play in plays for block in play.compile() for task in _tasks(block) for tag in task.tags}
        asked = context.CLIARGS
        problem = run_input.inventory_problem(asked["inventory"], _read(plays))
        problem = problem or run_input.tags_problem(asked["tags"], asked["skip_tags"], known, self._playbook)
        if problem:
            sys.exit(problem)

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        """Remember whether any play has hosts."""
        variables = play.get_variable_manager().get_vars(play=play)
        self._has_hosts |= bool(variables["ansible_play_hosts_all"])
        self._groups = variables["groups"]
        self._patterns += play.hosts

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        """Fail where nothing was done."""
        if stats.processed:
            return
        if self._has_hosts:
            sys.exit(run_input.tasks_problem(self._playbook))
        limit = context.CLIARGS["subset"]
        sys.exit(run_input.hosts_problem(self._playbook, self._patterns, limit, self._groups))


def _tasks(block: t.Any) -> t.Iterator[t.Any]:
    """Give all tasks of a block, those of the blocks in it among them."""
    for each in (*block.block, *block.rescue, *block.always):
        yield from _tasks(each) if hasattr(each, "block") else [each]


def _read(plays: t.Sequence[t.Any]) -> list[str]:
    """Give the files that the inventory was read from."""
    return list(plays[0].get_variable_manager()._inventory._inventory.processed_sources)
