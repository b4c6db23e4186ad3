#!/usr/bin/python
# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nats_gate
short_description: Wait until a nats-server proves that it runs with what was meant
version_added: 0.1.0
author: Rosey-Robot Team (@rosey-robot)
description:
  - Asks the monitoring endpoint of a server, again and again, until all that was meant is proven or the time is up.
  - Proves the version, that JetStream is on where it was meant to be, that the server calls itself healthy, and each
    option of O(config_file), by a field of C(/varz), by the log, or by what the option does.
  - Names the options that nothing can prove. They are taken on trust.
  - Does not judge what the server fills in for an option that the configuration leaves out.
  - Secrets stay on the host. The module takes the path of the configuration, not its content, and shows no value of a
    secret option.
extends_documentation_fragment:
  - rosey.nats.monitoring
  - rosey.nats.monitoring.tls
options:
  version:
    description: The version that the server has to have, such as V(2.10.7). Without it any will do.
    type: str
  config_file:
    description:
      - The configuration that the server has to run with, on the host where the module runs.
      - The module needs to read it, and the files that it includes.
    type: path
  local_files:
    description:
      - Whether the files that the configuration names, such as C(log_file) and C(pid_file), are those of the host where
        the module runs.
      - Set it to V(false) for a server in a container or on another host. What only these files could prove is then
        taken on trust.
    type: bool
    default: true
  since:
    description:
      - The RV(mark) of an earlier run of this module. The server has to have loaded its configuration after it.
      - Take it before a reload. A server that refuses a reload goes on with its old configuration, and says so in its
        log alone. Where the log says so the module fails at once, with the server's words.
    type: dict
    suboptions:
      config_load_time:
        description: The C(config_load_time) of C(/varz) at the mark.
        type: str
        required: true
      log_size:
        description: The bytes that the log file had at the mark. Without it the log proves less.
        type: int
  wait:
    description: The seconds after which the module gives up. With V(0) it looks once.
    type: float
    default: 30.0
  soak:
    description:
      - The seconds for which the server has to go on proving itself once it has, looked at every second. It has to stay
        the same process.
      - Without it a server that dies soon after its start has passed.
    type: float
    default: 0.0
  service:
    description:
      - The service of systemd that runs the server, with or without C(.service).
      - Where the server does not answer and the service has failed, or was started anew twice, waiting ends, and the
        message has the last lines of the server in the journal. Without it a server that ends at once is waited for.
    type: str
  pid_file:
    description:
      - The file that holds the number of its process, where no service manager runs it.
      - Where the server does not answer and that process has ended, waiting ends.
    type: path
  release_dir:
    description:
      - The directory of M(rosey.nats.nats_release), where the host keeps what JetStream held when it was last proven.
      - With it, and not in check mode, the module writes down there what there is by now, once it has passed. A stream
        that was known and is gone stays known until its loss is accepted.
    type: path
  deploying:
    description:
      - Whether a deployment is at work. What it has seen of JetStream in O(release_dir) is then compared with what
        there is. A stream or consumer that is gone is an error, and so is what a restart or a reload has lost of one.
      - Messages that somebody else has removed meanwhile are a warning.
    type: bool
    default: false
  data:
    description: The directory C(jetstream) of the C(store_dir) of the server that ran before, with O(deploying).
    type: path
  restarted:
    description:
      - With O(deploying), whether the server was restarted without a look right before its stop, as a container is.
        What there was as the deployment began stands for that.
    type: bool
    default: false
  accepted:
    description: What the change was allowed to lose, as RV(rosey.nats.nats_plan#module:accepted) has it.
    type: list
    elements: str
    default: []
  memory_limit:
    description:
      - The bytes of memory that the server may use at most. More is an error.
      - Without it memory is not judged.
    type: int
  slow_consumers_limit:
    description:
      - The slow consumers that the server may have counted since its start at most. More is an error.
      - Without it more than 0 is a warning.
    type: int
  connections_limit:
    description:
      - The connections that the server may have at most, in percent of its C(max_connections). More is an error.
      - Without it more than 90 is a warning.
    type: int
  cluster_members:
    description:
      - The names of all servers of the cluster that the server is in, its own too; none for a single server.
      - With them it also has to have a route to each of the others and to nobody else, the group that leads JetStream
        has to have a leader and these members, and each replica that this server leads has to be in step, in two looks
        that are a second apart.
      - With O(local_files) its store has to be that of this cluster as well, which V(foreign_store) in O(accepted)
        leaves out.
      - A consumer that is broken, as one without a leader, is a warning, as its stream is kept well.
    type: list
    elements: str
    default: []
  held_elsewhere:
    description:
      - What this module returned as RV(held) for servers of the cluster a moment before, in the order of their time.
      - No server of these, nor this one, may lack what another one has of a stream with replicas. A server that is
        asked first and last lets all be judged.
      - The leader of a stream knows how far its replicas are in the log that they share, and nothing of what they have
        stored.
    type: list
    elements: dict
    default: []
    version_added: 0.3.0
seealso:
  - module: rosey.nats.nats_info
"""

EXAMPLES = r"""
- name: Wait until the server has proven what its configuration means
  rosey.nats.nats_gate:
    monitoring_url: http://127.0.0.1:8222
    version: 2.10.7
    config_file: /etc/nats/nats-server.conf
  register: health

- name: Tell what is proven and what is taken on trust
  ansible.builtin.debug:
    msg: "{{ health.summary }}"

- name: Reload the server, and prove that it took the new configuration
  hosts: nats
  module_defaults:
    group/rosey.nats.monitoring:
      monitoring_url: http://127.0.0.1:8222
  tasks:
    - name: Prove the old configuration, and note how things are
      rosey.nats.nats_gate:
        config_file: /etc/nats/nats-server.conf
      register: before

    - name: Write the new configuration
      ansible.builtin.copy:
        src: nats-server.conf
        dest: /etc/nats/nats-server.conf
        mode: "0640"

    - name: Reload
      ansible.builtin.systemd_service:
        name: nats
        state: reloaded

    - name: Prove it
      rosey.nats.nats_gate:
        config_file: /etc/nats/nats-server.conf
        since: "{{ before.mark }}"

- name: Look once whether the server is well and not near its limits
  rosey.nats.nats_gate:
    monitoring_url: https://nats.example.com:8222/base
    ca_path: /etc/ssl/certs/example.pem
    wait: 0
    memory_limit: 2000000000
    slow_consumers_limit: 0
    connections_limit: 80

- name: Wait until the server is in step with the others of its cluster
  rosey.nats.nats_gate:
    monitoring_url: http://127.0.0.1:8222
    cluster_members: [rosey_nats_prod_n1, rosey_nats_prod_n2, rosey_nats_prod_n3]
"""

RETURN = r"""
passed:
  description: Whether everything that was meant and can be proven is proven, and nothing else is wrong.
  returned: always
  type: bool
summary:
  description: What is proven and what is taken on trust, in one line.
  returned: always
  type: str
  sample: "14 of 15 proven, 1 taken on trust: lame_duck_duration"
findings:
  description: What is not as it should be. Where RV(passed) is true there are at most warnings.
  returned: always
  type: list
  elements: dict
  contains:
    what:
      description: The option, or what else was judged.
      type: str
      sample: max_connections
    expected:
      description: What was meant.
      type: str
      sample: "200"
    found:
      description: What the server shows.
      type: str
      sample: "100"
    severity:
      description: V(error) or V(warning).
      type: str
      sample: error
    remedy:
      description: What to do.
      type: str
      sample: reload the server, and look at its log where it refuses
meant:
  description: How many things were meant, which are the options, the version, and whether JetStream is on.
  returned: always
  type: int
  sample: 15
proven:
  description: How many of these are proven.
  returned: always
  type: int
  sample: 14
trusted:
  description: The options that nothing can prove.
  returned: always
  type: list
  elements: str
  sample: [lame_duck_duration]
server:
  description: The server that answered.
  returned: when it answered
  type: dict
  contains:
    id:
      description: The id that the server gave itself at its start.
      type: str
    name:
      description: The name of the server.
      type: str
      sample: rosey_nats_prod
    version:
      description: The version of the server.
      type: str
      sample: 2.10.7
mark:
  description: How things are now, for O(since) of a later run.
  returned: when the server answered
  type: dict
  contains:
    config_load_time:
      description: When the server loaded its configuration.
      type: str
      sample: "2025-11-18T10:00:00.123456789Z"
    log_size:
      description: The bytes of the log file, null where it can't be looked at.
      type: int
      sample: 2048
held:
  description: What the server has of each stream with replicas.
  returned: with O(cluster_members), when the server answered
  type: dict
  contains:
    server:
      description: The name of the server.
      type: str
      sample: rosey_nats_prod_n1
    streams:
      description: For each stream, the number of its messages, its first and its last sequence, and in C(is_steady)
        whether its messages go by limits other than their age alone.
      type: dict
      sample: {CHAT: {messages: 100, first: 1, last: 100, is_steady: true}}
first_answer_seconds:
  description: The seconds from the begin of the module until the server gave its first answer.
  returned: when it answered
  type: float
  sample: 0.21
gate_passed_seconds:
  description: The seconds from the first answer of the server until everything was proven.
  returned: when RV(passed) is true
  type: float
  sample: 0.004
"""

from ansible_collections.rosey.nats.plugins.module_utils._host import python

python.check()

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rosey.nats.plugins.module_utils._bus import server_gate
from ansible_collections.rosey.nats.plugins.module_utils._bus.results import GateError
from ansible_collections.rosey.nats.plugins.module_utils._host import service


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=server_gate.ARGUMENTS, supports_check_mode=True, **server_gate.CONSTRAINTS)
    try:
        proof = server_gate.prove(service.params_of(module), service.run_with(module), check_mode=module.check_mode)
    except GateError as error:
        module.fail_json(msg=str(error))
    if proof.failure:
        module.fail_json(msg=proof.failure, **proof.result)
    for warning in proof.warnings:
        module.warn(warning)
    module.exit_json(changed=False, **proof.result)


if __name__ == "__main__":
    main()
