#!/usr/bin/python
# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bot_process
short_description: Run the bot as a plain process of a user
version_added: 0.1.0
author: Rosey-Robot Team (@rosey-robot)
description:
  - Starts, stops and restarts a bot that no service manager looks after, such as one for development. Root is not
    needed.
  - The bot runs on when the task, the play and the login end. It inherits the environment of the task.
  - A process gets a signal only when it runs as this user, with exactly O(command), or where O(pid_file) was written
    just as it was started, so that the bot is known after a change of O(command). A pid file that names any other
    process is taken for a leftover.
attributes:
  check_mode:
    description: Can run in check mode and predict the result without a change.
    support: full
  diff_mode:
    description: Shows whether the bot runs, before and after.
    support: full
options:
  command:
    description:
      - The program, as an absolute path, and its arguments.
      - Every user of the host can read them in the process list, so a secret does not belong here.
    type: list
    elements: str
    required: true
  pid_file:
    description: The file that holds the number of its process.
    type: path
    required: true
  output:
    description:
      - The file that takes what the bot writes to its output.
      - The default is O(pid_file) with the suffix C(.out).
    type: path
  state:
    description:
      - V(started) starts the bot where it does not run, and restarts it where it runs with another O(command).
      - V(stopped) stops it with SIGTERM.
      - V(restarted) stops it where it runs, and starts it.
    type: str
    choices: [started, stopped, restarted]
    default: started
  stop_timeout:
    description: How long a stop may take, in seconds, before the bot is killed.
    type: int
    default: 30
extends_documentation_fragment:
  - rosey.nats.entries.working
seealso:
  - module: rosey.nats.bot_gate
  - module: rosey.nats.nats_process
"""

EXAMPLES = r"""
- name: Run a bot in the home directory
  rosey.nats.bot_process:
    command: [/home/rosey/bot/venv/bin/python, -m, rosey_bot]
    pid_file: ~/bot/bot.pid

- name: Stop it
  rosey.nats.bot_process:
    command: [/home/rosey/bot/venv/bin/python, -m, rosey_bot]
    pid_file: ~/bot/bot.pid
    state: stopped
"""

RETURN = r"""
action:
  description: What was done, or would be in check mode. One of V(none), V(started), V(stopped), V(restarted).
  returned: success
  type: str
  sample: started
pid:
  description: The number of the bot's process, null where none runs, or none yet in check mode.
  returned: success
  type: int
  sample: 4711
"""

from ansible_collections.rosey.nats.plugins.module_utils._host import python

python.check()

import signal
import typing as t
from collections.abc import Mapping
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rosey.nats.plugins.module_utils._deploy import lease
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file, background, process

# How long the bot may take to open its health endpoint; a slower one is left to the gate.
_START_SECONDS = 10
_ACTIONS = {
    ("started", False): "started",
    ("started", True): "none",
    ("stopped", False): "none",
    ("stopped", True): "stopped",
    ("restarted", False): "restarted",
    ("restarted", True): "restarted",
}


def action_for(state: str, bot: background.Bot, running: process.Process | None) -> str:
    """Say what has to be done, or would be."""
    if state == "started" and running and running.command != bot.command:
        return "restarted"
    return _ACTIONS[state, running is not None]


def reach(bot: background.Bot, action: str, params: Mapping[str, t.Any]) -> process.Process | None:
    """Do what has to be done and give the process that runs then."""
    if action in ("stopped", "restarted"):
        with background.hold(bot) as held:
            if held:
                background.stop(held, bot, signal.SIGTERM, params["stop_timeout"])
    if action in ("started", "restarted"):
        output = Path(params["output"] or background.output_file(bot.pid_file)).absolute()
        return background.start(bot, output, [], seconds=_START_SECONDS)
    return background.find(bot)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "command": {"type": "list", "elements": "str", "required": True},
            "pid_file": {"type": "path", "required": True},
            "output": {"type": "path"},
            "state": {"type": "str", "choices": ["started", "stopped", "restarted"], "default": "started"},
            "stop_timeout": {"type": "int", "default": 30},
            "release_dir": {"type": "path"},
        },
        supports_check_mode=True,
    )
    state = module.params["state"]
    bot = background.Bot(tuple(module.params["command"]), Path(module.params["pid_file"]).absolute())
    try:
        with lease.working(module.params["release_dir"], check_mode=module.check_mode):
            running = background.find(bot)
            action = action_for(state, bot, running)
            after = running if module.check_mode else background.outlive(lambda: reach(bot, action, module.params))
    except (background.ProcessError, atomic_file.ReleaseError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=action != "none",
        action=action,
        pid=after.pid if after and not (module.check_mode and action != "none") else None,
        diff={
            "before": {"running": running is not None, "action": "none"},
            "after": {"running": state != "stopped", "action": action},
        },
    )


if __name__ == "__main__":
    main()
