#!/usr/bin/python
# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nats_service
short_description: Run nats-server as a service of systemd, and see what becomes of its data
version_added: 0.1.0
author: Rosey-Robot Team (@rosey-robot)
description:
  - Starts, stops, reloads and restarts the service, as M(ansible.builtin.systemd_service) does. Where that fails, it
    says why in systemd's own words.
  - Without O(release_dir), it does the same for the bot's service.
  - With O(release_dir), it looks at the streams and consumers of JetStream right before the service is stopped or
    reloaded, and as soon as it is ready again, and keeps that for M(rosey.nats.nats_gate), which proves that nothing
    is missing.
  - Between its stop and its start a server is down. The module ends that also where it is killed meanwhile.
attributes:
  check_mode:
    description: Can run in check mode and predict the result without a change, also where the unit is not there yet.
    support: full
  diff_mode:
    description: Shows whether the service runs, before and after.
    support: full
options:
  service:
    description: The name of the service, with or without C(.service).
    type: str
    required: true
  state:
    description:
      - V(started) starts it where it does not run, or where systemd tries that again and again.
      - V(stopped) stops it. A service that is not there does not run.
      - V(reloaded) makes it read its configuration again, and starts it where it does not run. Whether it accepted that
        is for M(rosey.nats.nats_gate).
      - V(restarted) stops it where it runs, and starts it.
      - V(enabled) only sees that it starts with the host, or does not, as O(enabled) says.
    type: str
    choices: [started, stopped, reloaded, restarted, enabled]
    required: true
  enabled:
    description: Whether it shall start with the host. Without it that stays as it is.
    type: bool
  daemon_reload:
    description: Whether systemd reads its units again first.
    type: bool
    default: false
extends_documentation_fragment:
  - rosey.nats.entries.working
  - rosey.nats.assets
seealso:
  - module: rosey.nats.nats_process
  - module: rosey.nats.nats_gate
"""

EXAMPLES = r"""
- name: Restart the server, and keep what its streams were
  rosey.nats.nats_service:
    service: nats
    state: restarted
    release_dir: /var/lib/rosey-nats
    monitoring_url: http://127.0.0.1:8222
    next_monitoring_url: http://127.0.0.1:8222
    data: /var/lib/nats/jetstream
    log_file: /var/log/nats/nats-server.log
"""

RETURN = r"""
action:
  description: What was done, or would be in check mode, one of V(none), V(started), V(stopped), V(reloaded),
    V(restarted), V(enabled) and V(disabled).
  returned: success
  type: str
  sample: restarted
"""

from ansible_collections.rosey.nats.plugins.module_utils._host import python

python.check()

import typing as t
from collections.abc import Mapping

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rosey.nats.plugins.module_utils._data import asset_watch
from ansible_collections.rosey.nats.plugins.module_utils._data.asset_changes import Doing
from ansible_collections.rosey.nats.plugins.module_utils._deploy import lease
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file, background, service


class Control:
    """One run of the module: what was found, what is done."""

    def __init__(self, given: Mapping[str, t.Any], run_command: service.RunCommand) -> None:
        """Look at the service; ServiceError."""
        self._systemd = service.Manager(given["service"], run_command)
        self._watch = asset_watch.watch_of(given)
        self._attempts = service.Attempts(given["service"], run_command)
        self.found = service.look_up(given["service"], run_command)

    def plan(self, state: str, enabled: bool | None) -> str:
        """Say what has to be done for a state."""
        at_boot = "none"
        if enabled is not None and enabled != self.found.enabled:
            at_boot = "enabled" if enabled else "disabled"
        if state == "enabled":
            return at_boot
        if state == "stopped":
            return "stopped" if self.found.running or (self.found.exists and self.found.failing) else at_boot
        is_well = self.found.running is not None and not self.found.failing
        if state == "started" and is_well:
            return at_boot
        return "started" if state == "reloaded" and not self.found.running else state

    def act(self, action: str, *, enabled: bool | None, daemon_reload: bool) -> None:
        """Do it, also where this process is killed meanwhile; ProcessError, ReleaseError, ServiceError."""
        if daemon_reload:
            self._systemd.read_units()
        if enabled:
            self._systemd.do("enable")
        elif enabled is False and self.found.enabled:
            self._systemd.do("disable")
        if action == "reloaded":
            if self._watch:
                self._watch.before(Doing.RELOAD)
            self._systemd.do("reload")
        elif action == "stopped":
            self._stop()
        elif action not in ("none", "enabled", "disabled"):
            background.outlive(self._restart)

    def _restart(self) -> None:
        try:
            # systemd counts the starts that failed, and then refuses others
            if self.found.failing:
                self._systemd.do("reset-failed")
            self._stop()
            self._systemd.do("start")
        except (atomic_file.ReleaseError, service.ServiceError) as error:
            raise background.ProcessError(str(error)) from error
        if self._watch:
            self._watch.after(self._attempts.is_hopeless)

    def _stop(self) -> None:
        if self._watch and self.found.running:
            self._watch.before(Doing.RESTART)
        elif self._watch:
            self._watch.before_start()
        # what systemd starts again and again has to be stopped as well, else it joins that attempt
        if self.found.exists or self.found.running:
            self._systemd.do("stop")
        if self._watch and self.found.running:
            self._watch.stopped()


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "service": {"type": "str", "required": True},
            "state": {
                "type": "str",
                "choices": ["started", "stopped", "reloaded", "restarted", "enabled"],
                "required": True,
            },
            "enabled": {"type": "bool"},
            "daemon_reload": {"type": "bool", "default": False},
            "release_dir": {"type": "path"},
            **asset_watch.ARGUMENTS,
        },
        supports_check_mode=True,
    )
    given = service.params_of(module)
    try:
        with lease.working(given["release_dir"], check_mode=module.check_mode):
            control = Control(given, service.run_with(module))
            action = control.plan(given["state"], given["enabled"])
            if not module.check_mode:
                control.act(action, enabled=given["enabled"], daemon_reload=given["daemon_reload"])
    except (background.ProcessError, atomic_file.ReleaseError, service.ServiceError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=action != "none",
        action=action,
        diff={
            "before": {"running": control.found.running is not None, "action": "none"},
            "after": {"running": action != "stopped", "action": action},
        },
    )


if __name__ == "__main__":
    main()
