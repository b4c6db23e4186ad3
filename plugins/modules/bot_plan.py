#!/usr/bin/python
# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bot_plan
short_description: Tell what a deployment would change at the bot, and why
version_added: 0.1.0
author: Rosey-Robot Team (@rosey-robot)
description:
  - Looks at a host once and compares what it has of the bot's configuration with what was described. Changes nothing.
  - Says whether the bot is installed, which files differ, and whether the bot has to be restarted for that. A bot has
    to be when a file that it reads differs in its content, or is newer than the running bot, and when it runs with
    another O(command).
  - Where the bot is not installed, nothing is compared, so that a later installation finds its directory empty.
attributes:
  check_mode:
    description: Only looks, in check mode as well.
    support: full
  diff_mode:
    description: Has no diff; M(rosey.nats.config_tree) shows it.
    support: none
options:
  home:
    description: The directory of the bot. Where it is not there, the bot is not installed.
    type: path
    required: true
  runtime:
    description: What runs the bot.
    type: str
    required: true
    choices: [systemd, process]
  service:
    description: The name of the service under systemd, with or without C(.service).
    type: str
    default: cytube-bot
  owner:
    description:
      - The account that the bot's files belong to. The module fails where something that is laid over the unit of the
        service runs the bot as another. It fails, too, where the service is masked, or systemd can't use its unit.
    type: str
  command:
    description: With O(runtime=process), what the bot is started with, as M(rosey.nats.bot_process) takes it.
    type: list
    elements: str
    default: []
  pid_file:
    description: With O(runtime=process), the file that holds the number of its process.
    type: path
  described:
    description: The parts of a release that O(settings) and O(entries) describe.
    type: list
    elements: str
    choices: [bot, plugins]
    default: [bot]
extends_documentation_fragment:
  - rosey.nats.entries
  - rosey.nats.entries.observed
  - rosey.nats.entries.run
seealso:
  - module: rosey.nats.bot_gate
  - module: rosey.nats.config_tree
  - module: rosey.nats.nats_plan
"""

EXAMPLES = r"""
- name: Ask what a new section would mean for the bot
  rosey.nats.bot_plan:
    home: /opt/rosey-bot
    runtime: systemd
    entries:
      - path: /opt/rosey-bot/environments/production/config.yaml
        state: section
        key: nats
        content: |
          nats:
            servers: ["nats://localhost:4222"]
            prefix: rosey.prod
  register: plan

- name: Show it
  ansible.builtin.debug:
    msg: "{{ plan.action }}: {{ plan.reasons | join(', ') }}"
"""

RETURN = r"""
installed:
  description: Whether the bot is there. Where it is not, all that follows is empty.
  returned: success
  type: bool
packages:
  description: The distribution's packages that the host's Python lacks for the modules of this collection.
  returned: success
  type: list
  elements: str
  sample: [python3-yaml]
changes:
  description:
    - What differs in the files, each with C(path) and C(what).
    - A section is not compared as long as python3-yaml is missing.
  returned: success
  type: list
  elements: dict
unmanaged:
  description: The files in the described directories that somebody else put there. They stay.
  returned: success
  type: list
  elements: str
service:
  description: >-
    The service, with C(exists), C(enabled), C(pid) and C(failing), whether it ended with an error and systemd counts
    its starts.
  returned: success
  type: dict
drop_ins:
  description: What is laid over the service's unit, by the file, with what it sets.
  returned: success
  type: list
  elements: str
action:
  description: What a deployment asks of the bot, one of V(nothing), V(restart), V(start).
  returned: success
  type: str
reasons:
  description: Why, a sentence each.
  returned: success
  type: list
  elements: str
release:
  description: What the host keeps of releases, with O(release_dir) alone.
  returned: when O(release_dir) is given
  type: dict
  contains:
    current:
      description: The id of the current release, null where there is none.
      returned: always
      type: str
    recorded:
      description: Whether the current release has recorded just these settings and entries.
      returned: always
      type: bool
    lease:
      description: The lease of the deployment that is at work, as M(rosey.nats.nats_release) returns it, or null.
      returned: always
      type: dict
    sequence:
      description: How many leases the host has given, as M(rosey.nats.nats_release) takes it.
      returned: always
      type: int
    damaged:
      description: The names of the files that are damaged. They are left out of account.
      returned: always
      type: list
      elements: str
    no_way_back:
      description: Why the host could not go back to its current release, empty where it could. It is a warning, too.
      returned: always
      type: str
    drops:
      description: The parts of the current release that the next one does not have, by what was accepted in O(run).
      returned: always
      type: list
      elements: str
"""

from ansible_collections.rosey.nats.plugins.module_utils._host import python

python.check()

from ansible_collections.rosey.nats.plugins.module_utils._bus import bot_plan
from ansible_collections.rosey.nats.plugins.module_utils._deploy import entries
from ansible_collections.rosey.nats.plugins.module_utils._host import service


def main() -> None:
    """Run the module."""
    module = entries.EntriesModule(argument_spec=bot_plan.ARGUMENTS, supports_check_mode=True, **bot_plan.CONSTRAINTS)
    try:
        planned = bot_plan.plan(service.params_of(module), service.run_with(module))
    except bot_plan.ERRORS as error:
        module.fail_json(msg=str(error))
    for warning in planned.warnings:
        module.warn(warning)
    module.exit_json(changed=False, **planned.result)


if __name__ == "__main__":
    main()
