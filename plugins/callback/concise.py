# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Callback concise."""

from __future__ import annotations

DOCUMENTATION = r"""
name: concise
type: stdout
short_description: Show what changes, what fails, what is told, and the step that takes its time
version_added: 0.2.0
author: Rosey-Robot Team (@rosey-robot)
description:
  - Ansible's own output without what is as it shall be. A task whose result is well, changes nothing and says nothing
    is not shown, nor are the files that tasks come from.
  - A step that may take its time, such as a download or a gate, is shown while it is at work, and not where its
    condition lets it be skipped.
  - Of a failure the message is shown, once, and what the module wrote where there is none.
  - With C(-v) everything is shown as C(ansible.builtin.default) does.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
seealso:
  - plugin: ansible.builtin.default
    plugin_type: callback
  - plugin: rosey.nats.summary
    plugin_type: callback
"""

EXAMPLES = r"""
# In ansible.cfg, as it is in a clone of this collection:
# [defaults]
# stdout_callback = rosey.nats.concise
"""

import sys
import threading
import typing as t
from textwrap import indent

from ansible import constants
from ansible.plugins.callback.default import CallbackModule as Default

from ansible_collections.rosey.nats.plugins.module_utils._host import redaction
from ansible_collections.rosey.nats.plugins.plugin_utils import failure

# What waits for something outside, or moves much.
_LONG = frozenset(
    {
        "ansible.builtin.apt",
        "ansible.builtin.get_url",
        "community.docker.docker_container",
        "rosey.nats.bot_gate",
        "rosey.nats.bot_process",
        "rosey.nats.bus_health_info",
        "rosey.nats.diagnosis_info",
        "rosey.nats.nats_archive",
        "rosey.nats.nats_gate",
        "rosey.nats.nats_process",
        "rosey.nats.nats_service",
        "rosey.nats.nats_store_copy",
    }
)
# Ansible tells that a task begins before it looks at its condition, and of nothing until it ends. What is skipped has
# ended by then, in seconds.
_SKIPPED_BY = 0.5
# What a program, or a module that broke, has written.
_WRITTEN = frozenset({"module_stderr", "module_stdout", "stderr", "stdout"})


class CallbackModule(Default):
    """Make the callback known to Ansible."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "rosey.nats.concise"

    def __init__(self) -> None:
        super().__init__()
        self._at_work: dict[tuple[str, str], threading.Timer] = {}
        # of a result and a timer at once, only one shows the banner
        self._lock = threading.RLock()
        self._begun: dict[str, t.Any] = {}

    def _task_start(self, task: t.Any, prefix: str | None = None) -> None:
        """Remember the task; its name is shown with the first result that is."""
        self._begun[task._uuid] = task
        super()._task_start(task, prefix)

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        """Remember the task, likewise."""
        if self._is_whole:
            super().v2_playbook_on_task_start(task, is_conditional)
            return
        self._begun[task._uuid] = task
        self._task_type_cache[task._uuid] = "TASK"
        self._last_task_name = task.get_name().strip()

    def v2_runner_on_start(self, host: t.Any, task: t.Any) -> None:
        """Show a step that may take its time, as soon as its first host is at work."""
        super().v2_runner_on_start(host, task)
        if not self._is_whole and _action(task) in _LONG:
            key = (host.get_name(), task._uuid)
            timer = self._at_work[key] = threading.Timer(_SKIPPED_BY, self._show_at_work, (key, task))
            timer.daemon = True
            timer.start()

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """Show what changed or says something, and how a step ended that may take its time."""
        self._end(result)
        shown = self._last_task_banner == result._task._uuid or _action(result._task) in _LONG
        if self._is_whole or shown or _says(result):
            super().v2_runner_on_ok(result)

    def v2_runner_on_skipped(self, result: t.Any) -> None:
        """Show no banner of what has not run."""
        self._end(result)
        super().v2_runner_on_skipped(result)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        """Show why."""
        self._end(result)
        super().v2_runner_on_unreachable(result)

    def v2_runner_item_on_ok(self, result: t.Any) -> None:
        """Show what changed or says something; likewise."""
        if self._is_whole or _says(result):
            super().v2_runner_item_on_ok(result)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        """Show the message alone, line by line as it is; of a program also what it has written."""
        self._end(result)
        said = _with_reason(result)
        if self._is_whole or not said.get("msg") or "results" in said or said.keys() & _WRITTEN:
            super().v2_runner_on_failed(result, ignore_errors)
            return
        self._print_task_banner(result._task)
        self._handle_warnings(said)
        # it may have words of whoever answered on a port
        message = "\n".join(map(redaction.readable, str(said["msg"]).split("\n")))
        text = f"fatal: [{self.host_label(result)}]: FAILED! =>\n{indent(message, ' ' * 4)}"
        self._display.display(text, color=constants.COLOR_ERROR, stderr=self.get_option("display_failed_stderr"))
        if ignore_errors:
            self._display.display("...ignoring", color=constants.COLOR_SKIP)

    def v2_runner_item_on_failed(self, result: t.Any) -> None:
        """Show why."""
        _with_reason(result)
        super().v2_runner_item_on_failed(result)

    def v2_playbook_on_include(self, included_file: t.Any) -> None:
        """Show no names of files."""
        if self._is_whole:
            super().v2_playbook_on_include(included_file)

    def _show_at_work(self, key: tuple[str, str], task: t.Any) -> None:
        with self._lock:
            if key in self._at_work:
                self._print_task_banner(task)
                # into a pipe, it would be shown when the step has ended
                sys.stdout.flush()

    def _end(self, result: t.Any) -> None:
        with self._lock:
            if timer := self._at_work.pop((result._host.get_name(), result._task._uuid), None):
                timer.cancel()

    def _print_task_banner(self, task: t.Any) -> None:
        with self._lock:
            if self._last_task_banner != task._uuid:
                # what a task was given is shown, where that is asked for, as it is written: a result has the values
                super()._print_task_banner(self._begun.get(task._uuid, task))

    @property
    def _is_whole(self) -> bool:
        return bool(self._display.verbosity)


def _with_reason(result: t.Any) -> dict[str, t.Any]:
    """Give a result whose message is the reason, also where no module answered: Ansible's own tells of JSON alone."""
    said: dict[str, t.Any] = result._result
    if {"module_stderr", "module_stdout"} & said.keys():
        said["msg"] = failure.reason(said)
    return said


def _says(result: t.Any) -> bool:
    return any(result._result.get(name) for name in ("changed", "_ansible_verbose_always", "warnings", "deprecations"))


def _action(task: t.Any) -> str:
    return str(task.resolved_action or task.action)
