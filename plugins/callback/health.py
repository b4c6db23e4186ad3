# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Callback health."""

from __future__ import annotations

DOCUMENTATION = r"""
name: health
type: notification
short_description: Give machines the health of the bus, and nothing else
version_added: 0.1.0
author: Rosey-Robot Team (@rosey-robot)
description:
  - Where the extra variable C(health_output) is C(json), C(prometheus) or C(nagios), standard output has just the text
    of that format, at the end of the run, with all hosts in it. Warnings and errors of Ansible itself go to standard
    error.
  - With C(nagios) the exit status is 0, 1, 2 or 3, as a plugin of Nagios has it. Else it is 2 where something is
    critical or unknown, and 0 where there are at most warnings.
  - A host that could not be reached, or failed before it was looked at, is told as unknown, with the reason.
  - The playbook C(rosey.nats.health) loads it by itself. With a playbook of your own, enable it as
    C(rosey.nats.health). Give one playbook alone.
requirements:
  - The extra variable C(health_output).
seealso:
  - plugin: rosey.nats.health_output
    plugin_type: filter
"""

EXAMPLES = r"""
# ansible-playbook rosey.nats.health -i inventories/production -e health_output=json | jq .status
# With a playbook of your own, in ansible.cfg:
callbacks_enabled: rosey.nats.health
"""

import os
import sys
import typing as t
from io import StringIO

from ansible.plugins.callback import CallbackBase

from ansible_collections.rosey.nats.plugins.plugin_utils import health_output

_LOOK = "rosey.nats.bus_health_info"


class CallbackModule(CallbackBase):
    """Make the callback known to Ansible."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "rosey.nats.health"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._form = ""
        self._out: t.TextIO = sys.stdout
        self._results: dict[str, t.Mapping[str, t.Any]] = {}

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        """Silence all others before they say anything, where a machine asks."""
        asked = [play.get_variable_manager().extra_vars.get("health_output") for play in playbook.get_plays()]
        # it is where this callback is enabled as well
        is_silent = isinstance(sys.stdout, StringIO)
        if is_silent or not any(asked) or asked[0] not in health_output.MACHINES:
            self.disabled = True
            return
        self._form, self._out = asked[0], sys.stdout
        sys.stdout = StringIO()  # which nobody reads
        self._tell_at_the_end()

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        """Remember all hosts, also those of which nothing more will be heard."""
        for host in play.get_variable_manager().get_vars(play=play).get("ansible_play_hosts_all") or []:
            self._results.setdefault(host, {})

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """Take what was found."""
        if _LOOK in (result._task.resolved_action, result._task.action):
            self._results[result._host.get_name()] = result._result

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        """Take why a host was not looked at; that something was found to be critical is no such reason."""
        self._note(result, _said(result))

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        """Take why a host could not be looked at."""
        self._note(result, {"unreachable": True, **_said(result)})

    def _tell_at_the_end(self) -> None:
        """Write the text when the run ends, however it does, so that nothing comes after it.

        An exit from here would cut other callbacks off.
        """
        leave, pid = sys.exit, os.getpid()

        def leave_with(natural: str | int | None = None) -> t.NoReturn:
            sys.exit = leave
            if os.getpid() != pid:
                leave(natural)
            # that of nothing known stands where this fails
            status = health_output.exit_status({}, self._form)
            problem = "the run ended before a host was looked at; standard error says why" if natural else ""
            try:
                if isinstance(natural, str):
                    problem = natural
                    sys.stderr.write(f"{natural}\n")
                self._out.write(health_output.render(self._results, self._form, problem=problem))
                self._out.flush()
                found = health_output.exit_status(self._results, self._form)
                # a failure of the run itself, which no host has, is not well, either
                status = found or (status if natural else 0)
            finally:
                leave(status)

        sys.exit = leave_with

    def _note(self, result: t.Any, found: t.Mapping[str, t.Any]) -> None:
        name = result._host.get_name()
        # an earlier failure may have been rescued, so that the later one is the reason
        if not {"checks", "unreachable"} & self._results.get(name, {}).keys():
            self._results[name] = found


def _said(result: t.Any) -> dict[str, t.Any]:
    """Keep what tells why a task failed."""
    return {
        name: result._result[name] for name in ("msg", "module_stderr", "module_stdout", "rc") if name in result._result
    }
