# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Count the tasks of a play, and kill it where a task begins.

KILL_POINT is a point as JSON; without it nothing is killed. KILL_TRACE names the file that takes what was seen.
"""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: kill_point
type: notification
short_description: Kill ansible-playbook where a task begins
description: For the tests of this collection alone.
"""

END = "the end of the play"


class CallbackModule(CallbackBase):
    """Make the callback known to Ansible."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "kill_point"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._point: dict[str, Any] = json.loads(os.environ.get("KILL_POINT", "{}"))
        self._seen: Counter[str] = Counter()

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._reach(task.get_name())

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._reach(END)

    def _reach(self, task: str) -> None:
        self._seen[task] += 1
        here = {"task": task, "occurrence": self._seen[task]}
        with Path(os.environ["KILL_TRACE"]).open("a") as trace:
            print(json.dumps(here), file=trace)
        # The modules of the task take it from their environment.
        os.environ["KILL_TASK"] = json.dumps(here)
        os.environ["KILL_PLAYBOOK"] = str(os.getpid())
        if here.items() <= self._point.items() and self._point["what"] == "boundary":
            os.killpg(os.getpgid(0), signal.SIGKILL)
