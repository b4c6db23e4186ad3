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
  - It does so only where the extra variable C(rosey_report) names the file, and is loaded by the playbooks of this
    collection themselves. With a playbook of your own, enable it as C(rosey.nats.report).
  - The page is there from the begin of the first play on, and is whole however the run ends. Of a run that was killed
    it says that it has not ended.
  - The file is private to the user who runs ansible-playbook. No secret is in it.
requirements:
  - The extra variable C(rosey_report).
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

from ansible_collections.rosey.nats.plugins.plugin_utils import recorder, report, report_file, run_record


class CallbackModule(recorder.Recorder):
    """Make the callback known to Ansible."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "rosey.nats.report"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._place: Path | None = None

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        """Begin the report, where one is asked for, so that it is there whatever happens."""
        if self.run is None:
            asked = play.get_variable_manager().extra_vars.get("rosey_report")
            if not isinstance(asked, str) or not asked.strip():
                self.disabled = True
                return
            self._place = report_file.resolve(asked)
            self.begin()
            atexit.register(self._end, os.getpid())
        super().v2_playbook_on_play_start(play)
        os.environ[report_file.BEING_WRITTEN] = str(self._place)
        self._write()

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        """Write the whole report."""
        super().v2_playbook_on_stats(stats)
        if self.run and self._write():
            # what a machine reads from stdout stays clean
            self._display.display(f"Report: {self._place}", stderr=True)

    def _end(self, pid: int) -> None:
        """Say of a run that did not come to its end that it was cut off."""
        if self.run and self.run.ending is run_record.Ending.OPEN and os.getpid() == pid:
            self.run.ending = run_record.Ending.CUT_OFF
            self._write()

    def _write(self) -> bool:
        """Write the page as it is now; what keeps it from being written never keeps the run from anything."""
        if self.run is None or self._place is None:
            return False
        self.run.seconds = self.run.elapsed()
        try:
            report.write(self.run, self._place)
        except Exception as error:  # whatever it is, it is a warning
            self._display.warning(f"No report was written to {self._place}: {error}")
            return False
        return True
