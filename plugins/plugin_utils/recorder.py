# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a callback that records a run takes notice of."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible import context
from ansible.plugins.callback import CallbackBase

from ansible_collections.rosey.nats.plugins.plugin_utils import run_record


class Recorder(CallbackBase):
    """A callback that records a run from `begin` on. A run may have several playbooks, and its record has all."""

    def __init__(self) -> None:
        super().__init__()
        self.run: run_record.Run | None = None
        self._playbook = ""
        self._play = ""

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        """Remember which playbook it is."""
        self._playbook = Path(playbook._file_name).name

    def begin(self) -> None:
        """Record from here on."""
        self.run = run_record.Run.begin(check_mode=bool(context.CLIARGS.get("check")))

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        """Note the hosts, also those of which nothing more will be heard."""
        self._play = play.get_name()
        if self.run:
            hosts = play.get_variable_manager().get_vars(play=play).get("ansible_play_hosts_all") or []
            self.run.add_play(self._playbook, hosts)

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """Take notice of what went well."""
        changed = result._result.get("changed")
        self._note(result, run_record.Status.CHANGED if changed else run_record.Status.OK)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        """Take notice of a failure."""
        self._note(result, run_record.Status.IGNORED if ignore_errors else run_record.Status.FAILED)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        """Take notice of a host that can't be reached."""
        is_ignored = result._task.ignore_unreachable
        self._note(result, run_record.Status.IGNORED if is_ignored else run_record.Status.UNREACHABLE)

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        """Note how it ended for each host."""
        if self.run:
            self.run.failed = {host for host in stats.processed if stats.summarize(host)["failures"]}
            self.run.ending = run_record.Ending.WHOLE
            self.run.seconds = self.run.elapsed()

    def _note(self, result: t.Any, status: run_record.Status) -> None:
        if self.run:
            task = result._task
            action = task.resolved_action or task.action
            host = result._host.get_name()
            self.run.note(host, status, result._result, play=self._play, task=result.task_name, action=action)
