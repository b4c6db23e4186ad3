#!/usr/bin/python
# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bus_plan
short_description: Decide what a deployment of the event bus does on a host, and prove it where that is nothing
version_added: 0.1.0
author: Rosey-Robot Team (@rosey-robot)
description:
  - Looks at everything that a deployment of server, bot and plugins needs to know of a host, as M(rosey.nats.nats_plan)
    and M(rosey.nats.bot_plan) do, in one call, and says which steps a deployment takes.
  - Where there is nothing to do, the gates M(rosey.nats.nats_gate) and M(rosey.nats.bot_gate) are asked in the same
    call, without waiting. A gate that does not pass so is a step then, which waits.
  - Nothing is changed but what is kept in O(release_dir). There, what is to be applied waits for
    M(rosey.nats.config_tree) and M(rosey.nats.nats_release), as RV(applies).
  - Fails where the host can't take it, before anything is touched.
attributes:
  check_mode:
    description: Can run in check mode and tell the same. Nothing is kept then.
    support: full
  diff_mode:
    description: Returns the change itself, in RV(server) and RV(bot).
    support: none
options:
  release:
    description:
      - A release that the host goes to, in place of O(parts). Its id, V(previous), V(current), a time or the name of a
        run, as in the option C(select) of M(rosey.nats.nats_release_info).
    type: str
  names:
    description: The parts of O(release) that are applied. Without it these are all that it has.
    type: list
    elements: str
    choices: [server, bot, plugins]
  bot:
    description: The settings of the bot, where only its plugins are applied.
    type: dict
  release_dir:
    description: The directory of M(rosey.nats.nats_release).
    type: path
    required: true
  stop_bot_first:
    description: Whether the bot is stopped before its files change, as legacy mode asks for.
    type: bool
    default: false
extends_documentation_fragment:
  - rosey.nats.entries.parts
  - rosey.nats.entries.run
  - rosey.nats.entries.planned
  - rosey.nats.entries.origin
seealso:
  - module: rosey.nats.nats_plan
  - module: rosey.nats.bot_plan
  - module: rosey.nats.config_tree
  - module: rosey.nats.nats_release
"""

EXAMPLES = r"""
- name: What would going back do
  rosey.nats.bus_plan:
    release_dir: /var/lib/rosey-nats
    release: previous
  register: plan

- name: Say it
  ansible.builtin.debug:
    msg: "{{ plan.server.action }}: {{ plan.server.reasons | join(', ') }}"
"""

RETURN = r"""
parts:
  description: The parts that are applied.
  returned: success
  type: list
  elements: str
  sample: [server, bot, plugins]
settings:
  description: The settings of each part, and of a bot whose plugins alone are applied.
  returned: success
  type: dict
server:
  description: What M(rosey.nats.nats_plan) returns of it, empty where it is not applied.
  returned: success
  type: dict
bot:
  description: What M(rosey.nats.bot_plan) returns of it, empty where neither the bot nor its plugins are applied.
  returned: success
  type: dict
become:
  description: Whether C(server), C(bot) or C(any) of them needs the rights of another user.
  returned: success
  type: dict
differing:
  description: The parts whose files are not as they are meant.
  returned: success
  type: list
  elements: str
packages:
  description: The distribution's packages that the modules lack on the host.
  returned: success
  type: list
  elements: str
release:
  description: What the host keeps of releases and who is at work, as M(rosey.nats.nats_plan) returns it.
  returned: success
  type: dict
going_to:
  description: The id of the release that the host goes to, empty where parts were described.
  returned: success
  type: str
going_to_time:
  description: When that release was proven, ISO 8601, UTC.
  returned: success
  type: str
paths:
  description: All paths that were described.
  returned: success
  type: list
  elements: str
left_behind:
  description:
    - What of the host's release neither the release that it goes to has, nor a change takes away. It stays on the host.
    - A directory is named only where nothing in it is.
  returned: success
  type: list
  elements: str
applies:
  description: The id by which M(rosey.nats.config_tree) takes what is to be applied. Empty where nothing is.
  returned: success
  type: str
stops_bot:
  description: Whether the bot is stopped before its files change.
  returned: success
  type: bool
absent:
  description: What of the bot is not there, and so is left out, a sentence each.
  returned: success
  type: list
  elements: str
staging:
  description:
    - Where on the host an archive may stand while a deployment is at work, another place for each call.
    - Whoever ends the deployment, or begins the next one, takes it away.
  returned: success
  type: str
  sample: /var/lib/rosey-nats/.rosey-5f0c1a2b.tar.gz
gates:
  description: What M(rosey.nats.nats_gate) and M(rosey.nats.bot_gate) are to be asked, empty for nothing.
  returned: success
  type: dict
proofs:
  description: What these have returned in this call, where they have passed.
  returned: success
  type: dict
steps:
  description: Whether each step of a deployment is taken, and whether C(any) is.
  returned: success
  type: dict
  sample: {any: true, claim: true, configure: true, run_server: true, prove_server: true}
unpredicted:
  description: In check mode, what only a deployment can find out.
  returned: success
  type: list
  elements: str
"""

from ansible_collections.rosey.nats.plugins.module_utils._host import python

python.check()

import typing as t

from ansible.module_utils.common.parameters import remove_values

from ansible_collections.rosey.nats.plugins.module_utils._bus import bus_plan
from ansible_collections.rosey.nats.plugins.module_utils._deploy import entries
from ansible_collections.rosey.nats.plugins.module_utils._host import service

# What is said. The rest is what the next steps go by: a password that is a word of a path would change that.
SAID = ("msg", "exception", "proofs", "unpredicted")


class BusPlanModule(entries.EntriesModule):
    """A module that hides all secrets in what it says. A part's plan has been cleared of its own."""

    no_log_values: set[str]

    def _return_formatted(self, kwargs: dict[str, t.Any]) -> None:
        for name in SAID:
            if name in kwargs:
                kwargs[name] = remove_values(kwargs[name], self.no_log_values)
        self.no_log_values.clear()
        super()._return_formatted(kwargs)


def main() -> None:
    """Run the module."""
    module = BusPlanModule(argument_spec=bus_plan.ARGUMENTS, supports_check_mode=True, **bus_plan.CONSTRAINTS)
    try:
        planned = bus_plan.plan(
            module.params, service.run_with(module), module.no_log_values.update, check_mode=module.check_mode
        )
    except bus_plan.ERRORS as error:
        module.fail_json(msg=str(error))
    for warning in planned.warnings:
        module.warn(remove_values(warning, module.no_log_values))
    module.exit_json(changed=False, **planned.result)


if __name__ == "__main__":
    main()
