# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Callback report."""

from __future__ import annotations

DOCUMENTATION = r"""
name: report
type: notification
short_description: Write a page of what a run has done
version_added: 0.1.0
author: Rosey-Robot Team (@rosey-robot)
description:
  - Takes notice of what the modules of this collection find at each host, and writes it to one HTML page that needs
    nothing else. It has what was deployed where, the plan with its reasons, what the gates have proven, the releases,
    the round trips, the picture of the bus, and everything that asks for attention.
  - It does so only where the extra variable C(report) names the file, and is loaded by the playbooks of this collection
    themselves. With a playbook of your own, enable it as C(rosey.nats.report).
  - The page is there from the begin of the first play on, and is whole however the run ends. Of a run that was killed
    it says that it has not ended.
  - The file is private to the user who runs ansible-playbook. No secret is in it.
requirements:
  - The extra variable C(report).
seealso:
  - plugin: rosey.nats.report_problem
    plugin_type: filter
"""

EXAMPLES = r"""
# ansible-playbook rosey.nats.site -i inventories/production -e rosey_report=report.html
# With a playbook of your own, in ansible.cfg:
callbacks_enabled: rosey.nats.report
"""

import atexit
import os
import typing as t
from pathlib import Path

from ansible import context
from ansible.plugins.callback import CallbackBase

from ansible_collections.rosey.nats.plugins.plugin_utils import report, report_file, run_record


class CallbackModule(CallbackBase):
    """Make the callback known to Ansible."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "rosey.nats.report"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._playbook = ""
        self._play = ""
        self._place: Path | None = None
        self._run: run_record.Run | None = None

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        """Remember which playbook it is. A run may have several, and its report has them all."""
        self._playbook = Path(playbook._file_name).name

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        """Begin the report, where one is asked for, so that it is there whatever happens."""
        self._play = play.get_name()
        manager = play.get_variable_manager()
        if self._run is None:
            asked = manager.extra_vars.get("rosey_report")
            if not isinstance(asked, str) or not asked.strip():
                self.disabled = True
                return
            self._place = report_file.resolve(asked)
            self._run = run_record.Run.begin(check_mode=bool(context.CLIARGS.get("check")))
            atexit.register(self._end, os.getpid())
        self._run.add_play(self._playbook, manager.get_vars(play=play).get("ansible_play_hosts_all") or [])
        os.environ[report_file.BEING_WRITTEN] = str(self._place)
        self._write()

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """Take notice of what went well."""
        changed = result._result.get("changed")
        self._note(result, run_record.Status.CHANGED if changed else run_record.Status.OK)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        """Take notice of a failure."""
        self._note(result, run_record.Status.IGNORED if ignore_errors else run_record.Status.FAILED)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        """Take notice of a host that can't be reached."""
        self._note(result, run_record.Status.UNREACHABLE)

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        """Write the whole report."""
        if self._run:
            self._run.failed = {host for host in stats.processed if stats.summarize(host)["failures"]}
            self._run.ending = run_record.Ending.WHOLE
            if self._write():
                # what a machine reads from stdout stays clean
                self._display.display(f"Report: {self._place}", stderr=True)

    def _note(self, result: t.Any, status: run_record.Status) -> None:
        if self._run:
            task = result._task
            action = task.resolved_action or task.action
            host = result._host.get_name()
            self._run.note(host, status, result._result, play=self._play, task=result.task_name, action=action)

    def _end(self, pid: int) -> None:
        """Say of a run that did not come to its end that it was cut off."""
        if self._run and self._run.ending is run_record.Ending.OPEN and os.getpid() == pid:
            self._run.ending = run_record.Ending.CUT_OFF
            self._write()

    def _write(self) -> bool:
        """Write the page as it is now; what keeps it from being written never keeps the run from anything."""
        if self._run is None or self._place is None:
            return False
        self._run.seconds = self._run.elapsed()
        try:
            report.write(self._run, self._place)
        except Exception as error:  # whatever it is, it is a warning
            self._display.warning(f"No report was written to {self._place}: {error}")
            return False
        return True
