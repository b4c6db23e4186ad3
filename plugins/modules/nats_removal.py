#!/usr/bin/python
# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nats_removal
short_description: Take away what deployments have put on a host
version_added: 0.2.0
author: Rosey-Robot Team (@rosey-robot)
description:
  - Says what deployments have put on a host, as its releases tell, what of it can be taken away and what stays, and
    takes it away.
  - A file that was deployed goes, also one that only an older release had, as long as it is what some release has. A
    directory goes when nothing is left in it.
    The section and the variables that were put into files of others are taken out of these.
  - What another server, service or deployment on the host uses stays, and so does what a link or a mount leads to.
  - JetStream's store, the copies of it and the log stay, unless O(data) is set. The host keeps where they are, and
    whose, so that they can go later. A container takes its log with it.
  - It fails, and takes nothing away, while what tells of it is damaged, of this deployment or of another on the host.
attributes:
  check_mode:
    description: Predicts the same and changes nothing.
    support: full
  diff_mode:
    description: Has no diff; RV(takes) has a line for each path.
    support: none
options:
  release_dir:
    description: The directory that holds the releases.
    type: path
    required: true
  state:
    description:
      - V(planned) only looks.
      - V(files_removed) takes the files away. It fails while the server still runs.
      - V(forgotten) takes away the releases, which tell what was deployed. That comes last.
    type: str
    required: true
    choices: [planned, files_removed, forgotten]
  data:
    description: Whether JetStream's store, the copies of it and the log go as well.
    type: bool
    default: false
  expected:
    description: Paths at which a deployment would have put something, to be named where no release tells of them.
    type: list
    elements: path
    default: []
  watching:
    description: Where that is which watches the server, an empty text for what is not to go.
    type: dict
    suboptions:
      unit:
        description: The unit of the exporter. One that is not known to watch this server alone stays.
        type: str
      directory:
        description: The directory of the exporter's binaries.
        type: str
      textfile:
        description: The file with metrics for node_exporter. One that is not of this server alone stays.
        type: str
  run:
    description:
      - Whose run this is. The releases of the host say what speaks against it, and what an earlier removal has kept.
        Without it, only damage does.
    type: dict
    suboptions:
      environment:
        description: The environment of the inventory, empty where it is not known.
        type: str
        default: ""
      server:
        description: What runs the server, as the inventory has it.
        type: dict
        default: {}
        suboptions:
          runtime:
            description: V(systemd), V(docker) or V(process).
            type: str
          service:
            description: The name of the service.
            type: str
          container:
            description: The name of the container.
            type: str
          config_file:
            description: The configuration, by which a process is known.
            type: path
      parts:
        description: Has no meaning here.
        type: list
        elements: str
        choices: [server, bot, plugins]
        default: []
      accept:
        description: What may speak against it.
        type: list
        elements: str
        choices: [other_environment, other_instance, absent_bot, unproven_bot, mixed_runs]
        default: []
seealso:
  - module: rosey.nats.nats_release
  - module: rosey.nats.config_tree
"""

EXAMPLES = r"""
- name: What would be taken away
  rosey.nats.nats_removal:
    release_dir: /var/lib/rosey-nats
    state: planned
  register: found

- name: Take it away, with the streams
  rosey.nats.nats_removal:
    release_dir: /var/lib/rosey-nats
    state: files_removed
    data: true
"""

RETURN = r"""
found:
  description: Whether anything was ever deployed here, as far as the host tells.
  returned: with O(state=planned)
  type: bool
refusals:
  description: What speaks against taking it away, whole sentences.
  returned: with O(state=planned)
  type: list
  elements: str
takes:
  description: What would be taken away, a line each.
  returned: with O(state=planned)
  type: list
  elements: str
  sample: [service nats, file /etc/nats/nats-server.conf, directory /etc/nats]
keeps:
  description: What stays, each with its reason.
  returned: with O(state=planned)
  type: list
  elements: str
  sample: ["/etc/nats: it holds ca.pem"]
loses:
  description: The streams that would be lost, with their messages; the log of a container; the bots of others that use
    the server.
  returned: with O(state=planned)
  type: list
  elements: str
  sample: ["stream QUOTES: 3 messages, 120 bytes"]
streams:
  description: The streams that stay, likewise.
  returned: with O(state=planned)
  type: list
  elements: str
unrecorded:
  description: Those of O(expected) that are there though no release tells of them.
  returned: with O(state=planned)
  type: list
  elements: str
servers:
  description: The settings of the newest release's server, where it is to be stopped and kept from starting with the
    host.
  returned: with O(state=planned)
  type: list
  elements: dict
containers:
  description: The settings of the newest release's server, where its container is to be removed.
  returned: with O(state=planned)
  type: list
  elements: dict
volumes:
  description: The names of the volumes that are to be removed.
  returned: with O(state=planned)
  type: list
  elements: str
users:
  description: The users that go, since nothing of theirs is left.
  returned: with O(state=planned)
  type: list
  elements: str
groups:
  description: The groups that go, likewise.
  returned: with O(state=planned)
  type: list
  elements: str
bot:
  description: The C(parts) of the bot as it is without NATS, as the role release takes them, and its C(settings).
  returned: with O(state=planned)
  type: dict
watching:
  description: Whether the C(exporter) and the C(textfile) go.
  returned: with O(state=planned)
  type: dict
lease:
  description: The lease of the deployment that is at work, as M(rosey.nats.nats_release) returns it, or null.
  returned: with O(state=planned)
  type: dict
sequence:
  description: How many leases the host has given.
  returned: with O(state=planned)
  type: int
steps:
  description: Whether each step is taken, and whether C(any) is.
  returned: with O(state=planned)
  type: dict
  sample: {any: true, bot: true, reload: true, forget: true}
stayed:
  description: What could not be taken away, with the reason.
  returned: with O(state=files_removed)
  type: list
  elements: str
"""

from ansible_collections.rosey.nats.plugins.module_utils._host import python

python.check()

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rosey.nats.plugins.module_utils._bus import removal_plan
from ansible_collections.rosey.nats.plugins.module_utils._deploy import lease, record_guard
from ansible_collections.rosey.nats.plugins.module_utils._host import service
from ansible_collections.rosey.nats.plugins.module_utils._host.tree import apply


def reach(module: AnsibleModule) -> dict[str, t.Any]:
    """Bring the host into the state, and give the result; one of removal_plan.ERRORS."""
    given = module.params
    if given["state"] == "planned":
        return {"changed": False, **removal_plan.plan(given, service.run_with(module))}
    if not module.check_mode and given["state"] == "files_removed":
        with lease.working(given["release_dir"]):
            return {"changed": True, "stayed": removal_plan.take(given, apply.label_with(module))}
    if not module.check_mode:
        removal_plan.forget(given)
    return {"changed": True}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "release_dir": {"type": "path", "required": True},
            "state": {"type": "str", "required": True, "choices": ["planned", "files_removed", "forgotten"]},
            "data": {"type": "bool", "default": False},
            "expected": {"type": "list", "elements": "path", "default": []},
            "watching": {
                "type": "dict",
                "options": {name: {"type": "str"} for name in ("unit", "directory", "textfile")},
            },
            "run": record_guard.ARGUMENT,
        },
        supports_check_mode=True,
    )
    try:
        result = reach(module)
    except removal_plan.ERRORS as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}. Run as its owner, or with become.")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
