#!/usr/bin/python
# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nats_plan
short_description: Compare what a host should have with what it has
version_added: 0.1.0
author: Rosey-Robot Team (@rosey-robot)
description:
  - Looks at everything that a deployment of nats-server needs to know of a host, in one call, and changes nothing.
  - Says what a deployment would change, and what that asks of the running server, which is nothing, a reload, a restart
    or a start, with the reasons.
  - Included files are compared by what they say. Another content of a certificate, a key or a CA that the configuration
    names asks for a reload; that of the operator's JWT or of a leafnode's credentials for a restart, since no reload
    takes it up.
  - Fails where the host can't take it, such as when another process holds a port, or another server has its store, log
    or pid file, before anything is touched.
attributes:
  check_mode:
    description: Can run in check mode and tell the same.
    support: full
  diff_mode:
    description: Returns the change itself, in RV(changes) and RV(reasons).
    support: none
options:
  runtime:
    description: What runs the server.
    type: str
    required: true
    choices: [systemd, docker, process]
  service:
    description: The name of the service under systemd, with or without C(.service).
    type: str
    default: nats
  user:
    description: The account that the service needs.
    type: str
  group:
    description: The group that the service needs.
    type: str
  pid_file:
    description: With O(runtime=process), the file that holds the number of its process.
    type: path
  version:
    description: The version of nats-server.
    type: str
    required: true
  directory:
    description: The directory in which the versions stand side by side.
    type: path
    required: true
  link:
    description: The link to the binary.
    type: path
    required: true
  config_file:
    description: The configuration of the server. One of O(entries) holds its new text.
    type: path
    required: true
  copies:
    description:
      - The directory of the copies, as M(rosey.nats.nats_store_copy) takes it.
      - With it, the module fails where there is no room for the copy that the deployment makes.
    type: path
extends_documentation_fragment:
  - rosey.nats.entries
  - rosey.nats.entries.observed
  - rosey.nats.entries.run
  - rosey.nats.entries.planned
seealso:
  - module: rosey.nats.config_tree
  - module: rosey.nats.nats_gate
  - module: rosey.nats.nats_store_copy
"""

EXAMPLES = r"""
- name: Ask what another value of max_payload would mean for the running server
  rosey.nats.nats_plan:
    runtime: systemd
    version: 2.10.7
    directory: /usr/local/lib/nats-server
    link: /usr/local/bin/nats-server
    config_file: /etc/nats/nats-server.conf
    entries:
      - path: /etc/nats/nats-server.conf
        state: file
        content: |
          http_port: 8222
          max_payload: 2MB
  register: plan

- name: Show it
  ansible.builtin.debug:
    msg: "{{ plan.action }}: {{ plan.reasons | join(', ') }}"
"""

RETURN = r"""
architecture:
  description: The host's architecture, as releases of nats-server name it.
  returned: success
  type: str
  sample: amd64
archive:
  description: The name of the release archive for this host.
  returned: success
  type: str
  sample: nats-server-v2.10.7-linux-amd64.tar.gz
packages:
  description: The distribution's packages that the host's Python lacks to ask a server.
  returned: success
  type: list
  elements: str
  sample: [python3-requests]
user_exists:
  description: Whether the account is there. True where none is needed.
  returned: success
  type: bool
group_exists:
  description: Whether the group is there. True where none is needed.
  returned: success
  type: bool
binary:
  description: The pinned binary, with C(installed), which says that it is there, verified and linked, and C(reason).
  returned: success
  type: dict
changes:
  description: What differs in the files, each with C(path) and C(what).
  returned: success
  type: list
  elements: dict
unit_changed:
  description: Whether systemd has to read its units again.
  returned: success
  type: bool
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
  sample: ["/etc/systemd/system/nats.service.d/override.conf sets LimitNOFILE=100000"]
mark:
  description:
    - How the running server was, as M(rosey.nats.nats_gate) takes it in O(rosey.nats.nats_gate#module:since) to
      prove a reload. Null where no server answers.
  returned: success
  type: dict
monitoring_url:
  description:
    - The monitoring endpoint at which the running server answers, also where the deployment gives it another one. Null
      where no server answers.
  returned: success
  type: str
  sample: http://127.0.0.1:8222
action:
  description: What a deployment asks of the server, one of V(nothing), V(reload), V(restart), V(start).
  returned: success
  type: str
reasons:
  description: Why, a sentence each. Secrets are hidden.
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
    access:
      description: >-
        The options by whose change a client that is connected may no longer be, beside the server's configuration of
        the current release.
      returned: always
      type: list
      elements: str
dangers:
  description: What the change cuts off or loses, a sentence each, accepted in O(accept), and what stops writes.
  returned: success
  type: list
  elements: str
accepted:
  description:
    - The words for what is going to happen, whether given in O(accept) or excused by a copy that is brought back, and
      V(all) where that was given, as M(rosey.nats.nats_gate) takes them.
  returned: success
  type: list
  elements: str
assets:
  description: How much JetStream holds, null where nobody can tell.
  returned: success
  type: dict
  contains:
    streams: {description: The number of streams., type: int}
    consumers: {description: The number of consumers., type: int}
    messages: {description: "The number of messages, null where it is not known.", type: int}
    bytes: {description: "The bytes of these, likewise.", type: int}
log_file:
  description: The log of the server, null where it has none.
  returned: success
  type: str
store:
  description: >-
    JetStream's store, with C(directory), its C(store_dir), and C(data) in that, C(next), that of the server to come,
    each null where only the server's environment gives it or it is in a container,
    C(before), the version that ran last on it, null where none is known, C(needs_copy), whether it has to be copied
    before the server starts, and C(back), the copy that was made as the host left O(release), null where there is none.
  returned: success
  type: dict
"""

from ansible_collections.rosey.nats.plugins.module_utils._host import python

python.check()

from ansible_collections.rosey.nats.plugins.module_utils._bus import server_plan
from ansible_collections.rosey.nats.plugins.module_utils._deploy import entries
from ansible_collections.rosey.nats.plugins.module_utils._host import service


def main() -> None:
    """Run the module."""
    module = entries.EntriesModule(
        argument_spec=server_plan.ARGUMENTS, supports_check_mode=True, **server_plan.CONSTRAINTS
    )
    try:
        planned = server_plan.plan(service.params_of(module), service.run_with(module))
    except server_plan.ERRORS as error:
        module.fail_json(msg=str(error))
    for warning in planned.warnings:
        module.warn(warning)
    module.exit_json(changed=False, **planned.result)


if __name__ == "__main__":
    main()
