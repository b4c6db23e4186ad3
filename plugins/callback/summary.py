# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Callback summary."""

from __future__ import annotations

DOCUMENTATION = r"""
name: summary
type: notification
short_description: End a run with a line for each host
version_added: 0.2.0
author: Rosey-Robot Team (@rosey-robot)
description:
  - After the recap of a deployment or a way back, each host has a line that says what came of it, what was done with
    the server and the bot, whether they have proven it, and which release the host has; or what failed. The last
    line says how long it took.
  - A run that deploys nothing ends without it.
  - It is loaded by the playbooks of this collection themselves. With a playbook of your own, enable it as
    C(rosey.nats.summary).
seealso:
  - plugin: rosey.nats.report
    plugin_type: callback
"""

EXAMPLES = r"""
# With a playbook of your own, in ansible.cfg:
callbacks_enabled: rosey.nats.summary
"""

import typing as t

from ansible_collections.rosey.nats.plugins.plugin_utils import recorder, run_summary


class CallbackModule(recorder.Recorder):
    """Make the callback known to Ansible."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "rosey.nats.summary"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        """Record each playbook by itself: the next one of the command has its own recap."""
        super().v2_playbook_on_start(playbook)
        self.begin()

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        """Write the lines."""
        super().v2_playbook_on_stats(stats)
        for line in run_summary.lines(self.run) if self.run else ():
            self._display.display(line)
