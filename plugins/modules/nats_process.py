#!/usr/bin/python
# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nats_process
short_description: Run nats-server as a plain process of a user
version_added: 0.1.0
author: Rosey-Robot Team (@rosey-robot)
description:
  - Starts, stops, reloads and restarts a nats-server that no service manager looks after, such as one for development.
    Root is not needed.
  - The server runs on when the task, the play and the login end. It inherits the environment of the task.
  - A process gets a signal only when it runs as this user, from O(binary) or another version beside it, with
    O(config_file). A pid file that names any other process is taken for a leftover.
  - A server whose pid file was lost is found by what it runs.
attributes:
  check_mode:
    description: Can run in check mode and predict the result without a change.
    support: full
  diff_mode:
    description: Shows whether the server runs, before and after.
    support: full
options:
  binary:
    description: The path of nats-server, or of a link to it.
    type: path
    required: true
  config_file:
    description:
      - The path of the configuration file.
      - It is read to know which addresses have to be free, when the server is up, where its log is, and what must not
        be shown of that.
    type: path
    required: true
  pid_file:
    description: The file that holds the number of its process.
    type: path
    required: true
  output:
    description:
      - The file that takes what the server writes before its log opens, and when it crashes.
      - The default is O(pid_file) with the suffix C(.out).
    type: path
  state:
    description:
      - V(started) starts the server where it does not run.
      - V(stopped) stops it.
      - V(reloaded) makes it read its configuration again, and starts it where it does not run. Whether it accepted the
        configuration is for M(rosey.nats.nats_gate) to prove.
      - V(restarted) stops it where it runs, and starts it.
    type: str
    choices: [started, stopped, reloaded, restarted]
    default: started
  stop_signal:
    description:
      - What a server is stopped with.
      - V(INT) ends it at once and cleanly.
      - V(USR2) lets its clients go over to other servers first; O(stop_timeout) has to be longer than the
        C(lame_duck_duration) of the configuration then.
    type: str
    choices: [INT, USR2]
    default: INT
  stop_timeout:
    description: How long a stop may take, in seconds, before the server is killed.
    type: int
    default: 30
extends_documentation_fragment:
  - rosey.nats.entries.working
  - rosey.nats.assets
seealso:
  - module: rosey.nats.nats_binary
  - module: rosey.nats.nats_gate
"""

EXAMPLES = r"""
- name: Run a server in the home directory
  rosey.nats.nats_process:
    binary: ~/nats/bin/nats-server
    config_file: ~/nats/nats-server.conf
    pid_file: ~/nats/nats-server.pid

- name: Let it read a changed configuration
  rosey.nats.nats_process:
    binary: ~/nats/bin/nats-server
    config_file: ~/nats/nats-server.conf
    pid_file: ~/nats/nats-server.pid
    state: reloaded

- name: Stop it
  rosey.nats.nats_process:
    binary: ~/nats/bin/nats-server
    config_file: ~/nats/nats-server.conf
    pid_file: ~/nats/nats-server.pid
    state: stopped
"""

RETURN = r"""
action:
  description:
    - What was done, or would be in check mode.
    - One of V(none), V(started), V(stopped), V(reloaded), V(restarted).
    - V(noted) is a pid file that was written for a server that ran, V(forgotten) one that was removed where none ran.
  returned: success
  type: str
  sample: started
pid:
  description: The number of the server's process, null where none runs, or none yet in check mode.
  returned: success
  type: int
  sample: 4711
started_at:
  description: When that process was started, ISO 8601 in UTC, null where RV(pid) is.
  returned: success
  type: str
  sample: "2026-01-31T12:00:00Z"
executable:
  description:
    - The file that the process was started from, null where RV(pid) is.
    - It is another than O(binary) leads to when the link was switched since.
  returned: success
  type: str
  sample: /home/rosey/nats/lib/2.10.7/nats-server
killed:
  description: Whether the server did not stop in time and was killed.
  returned: success
  type: bool
"""

from ansible_collections.rosey.nats.plugins.module_utils._host import python

python.check()

import os
import signal
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rosey.nats.plugins.module_utils._data import asset_watch
from ansible_collections.rosey.nats.plugins.module_utils._data.asset_changes import Doing
from ansible_collections.rosey.nats.plugins.module_utils._deploy import lease
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file, background, process, sockets, system
from ansible_collections.rosey.nats.plugins.module_utils._server import conf, requirements
from ansible_collections.rosey.nats.plugins.module_utils._server.options import reading

# How long the server may take to listen; one that recovers a large store longer is left to the gate.
_START_SECONDS = 10


@dataclass(frozen=True)
class Meant:
    """What a configuration says of the process: where it listens and logs, and what must not be shown."""

    endpoints: tuple[sockets.Endpoint, ...] = ()
    log_file: Path | None = None
    secrets: tuple[str, ...] = ()


def read_config(path: Path) -> Meant:
    """Read what the configuration means; nothing of what can't be read, since the server itself says why."""
    try:
        config = conf.parse(
            system.read_text(path),
            variables=os.environ,
            include=lambda name: system.read_text(path.parent / name),
        )
    except (OSError, ValueError):
        return Meant()
    try:
        endpoints = tuple((each.host, each.port) for each in requirements.endpoints(config))
    except (TypeError, ValueError):
        endpoints = ()
    log_file = reading.canonical(config).get("log_file")
    return Meant(
        endpoints=endpoints,
        log_file=Path(log_file) if isinstance(log_file, str) else None,
        secrets=tuple(str(value) for _path, option, value in reading.leaves(config) if option.secret),
    )


class Control:
    """One run of the module: what was found, what is done."""

    def __init__(self, module: AnsibleModule) -> None:
        """Take the module's parameters and look at the server."""
        given = module.params
        self._check_mode = bool(module.check_mode)
        pid_file = Path(given["pid_file"]).absolute()
        self._server = background.Server(
            Path(given["binary"]).absolute(), Path(given["config_file"]).absolute(), pid_file
        )
        self._output = Path(given["output"] or background.output_file(pid_file)).absolute()
        self._signal = signal.Signals[f"SIG{given['stop_signal']}"]
        self._stop_seconds = given["stop_timeout"]
        self._watch = asset_watch.watch_of(given)
        self.killed = False
        self.running = background.find(self._server)

    def reach(self, state: str) -> str:
        """Bring the server into a state and say what was done, also where this process is killed meanwhile."""

        def act() -> tuple[str, bool, process.Process | None]:
            return self._reach(state), self.killed, self.running

        action, self.killed, self.running = background.outlive(act)
        return action

    def _reach(self, state: str) -> str:
        if state == "stopped":
            return self._stopped()
        if self.running is None:
            return self._start("started")
        if state == "restarted":
            return self._start("restarted")
        if state == "reloaded":
            return self._reload()
        return self._note()

    def _stopped(self) -> str:
        if self.running:
            self._stop()
            self.running = None
            return "stopped"
        if not os.path.lexists(self._server.pid_file):
            return "none"
        if not self._check_mode:
            background.forget(self._server.pid_file)
        return "forgotten"

    def _start(self, action: str) -> str:
        meant = read_config(self._server.config_file)
        # All that can be known to fail is known before the running server is stopped.
        background.check_free(meant.endpoints, [self.running.pid] if self.running else [])
        if self._check_mode:
            self.running = None
            return action
        background.check_files(self._server, self._output)
        if self.running:
            self._stop()
        elif self._watch:
            self._watch.before_start()
        self.running = background.start(
            self._server,
            self._output,
            meant.endpoints,
            log_file=meant.log_file,
            secrets=meant.secrets,
            seconds=_START_SECONDS,
        )
        if self._watch:
            self._watch.after(lambda: background.find(self._server) is None)
        return action

    def _stop(self) -> None:
        if self._check_mode:
            return
        self._look(Doing.RESTART)
        with background.hold(self._server) as held:
            if held:
                self.killed = background.stop(held, self._server, self._signal, self._stop_seconds)
        if self._watch:
            self._watch.stopped()

    def _look(self, doing: Doing) -> None:
        """Keep what JetStream holds, before that may change; ReleaseError becomes the error of this module."""
        if self._watch:
            try:
                self._watch.before(doing)
            except atomic_file.ReleaseError as error:
                raise background.ProcessError(str(error)) from error

    def _reload(self) -> str:
        if not self._check_mode:
            self._look(Doing.RELOAD)
            with background.hold(self._server) as held:
                if held is None:
                    raise background.ProcessError("the server ended before it could be told to reload")
                held.send(signal.SIGHUP)
        self._note()
        return "reloaded"

    def _note(self) -> str:
        if self.running is None or background.is_noted(self._server, self.running.pid):
            return "none"
        if not self._check_mode:
            background.note(self._server, self.running.pid)
        return "noted"


def describe(running: process.Process | None) -> dict[str, t.Any]:
    """Give what the result says of the process."""
    return {
        "pid": running.pid if running else None,
        "started_at": running.started_at if running else None,
        "executable": str(running.executable) if running else None,
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "binary": {"type": "path", "required": True},
            "config_file": {"type": "path", "required": True},
            "pid_file": {"type": "path", "required": True},
            "output": {"type": "path"},
            "state": {
                "type": "str",
                "choices": ["started", "stopped", "reloaded", "restarted"],
                "default": "started",
            },
            "stop_signal": {"type": "str", "choices": ["INT", "USR2"], "default": "INT"},
            "stop_timeout": {"type": "int", "default": 30},
            "release_dir": {"type": "path"},
            **asset_watch.ARGUMENTS,
        },
        supports_check_mode=True,
    )
    try:
        with lease.working(module.params["release_dir"], check_mode=module.check_mode):
            control = Control(module)
            before = control.running
            action = control.reach(module.params["state"])
        now = describe(control.running)
    except (background.ProcessError, atomic_file.ReleaseError) as error:
        module.fail_json(msg=str(error))
    running = module.params["state"] != "stopped"
    module.exit_json(
        changed=action != "none",
        action=action,
        killed=control.killed,
        diff={
            "before": {"running": before is not None, "action": "none"},
            "after": {"running": running, "action": action},
        },
        **now,
    )


if __name__ == "__main__":
    main()
