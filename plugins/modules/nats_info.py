#!/usr/bin/python
# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nats_info
short_description: Ask a nats-server about itself
version_added: 0.1.0
author: Rosey-Robot Team (@rosey-robot)
description:
  - Gives the answers of the monitoring endpoint of a server, under the names that the server itself uses.
  - Lists are complete, whatever the server's pages hold. A list that the server gives as null comes as an empty one.
  - Durations are in nanoseconds and sizes in bytes, as the server gives them.
  - With O(tls_listeners) it looks at the certificate that each of these shows, too.
  - It fails where one of O(gather) gives no answer, and returns those of the others all the same.
extends_documentation_fragment:
  - rosey.nats.monitoring
  - rosey.nats.monitoring.tls
  - rosey.nats.monitoring.listeners
options:
  gather:
    description: What to ask for.
    type: list
    elements: str
    choices: [varz, connz, subsz, routez, leafz, gatewayz, jsz, healthz, accountz]
    default: [varz]
  details:
    description:
      - Whether to list the single things behind the numbers too, which are the subscriptions in RV(connz), RV(subsz),
        RV(routez) and RV(leafz), the accounts in RV(gatewayz) and RV(accountz), and the accounts, streams and consumers
        in RV(jsz).
      - That can be much on a busy server.
    type: bool
    default: false
seealso:
  - module: rosey.nats.nats_gate
"""

EXAMPLES = r"""
- name: See with what a server runs
  rosey.nats.nats_info:
    monitoring_url: http://127.0.0.1:8222
  register: nats

- name: Tell its version and its limit of connections
  ansible.builtin.debug:
    msg: "nats-server {{ nats.varz.version }}, at most {{ nats.varz.max_connections }} connections"

- name: Look for what piles up
  hosts: nats
  module_defaults:
    group/rosey.nats.monitoring:
      monitoring_url: http://127.0.0.1:8222
  tasks:
    - name: Ask for connections and streams
      rosey.nats.nats_info:
        gather: [connz, jsz]
        details: true
      register: nats

    - name: Name the clients with pending bytes
      ansible.builtin.debug:
        msg: "{{ nats.connz.connections | selectattr('pending_bytes') | map(attribute='name') }}"

- name: Ask a server that speaks TLS and has a base path
  rosey.nats.nats_info:
    monitoring_url: https://nats.example.com:8222/base
    ca_path: /etc/ssl/certs/example.pem
    gather: [varz, healthz]
"""

RETURN = r"""
varz:
  description: The state of the server and the configuration that it runs with.
  returned: when asked for and answered
  type: dict
  contains:
    server_id: {description: The id that the server gave itself at its start., type: str}
    server_name: {description: The name of the server., type: str, sample: rosey_nats_prod}
    version: {description: The version of the server., type: str, sample: 2.10.7}
    host: {description: The address for clients., type: str, sample: 127.0.0.1}
    port: {description: The port for clients., type: int, sample: 4222}
    max_connections: {description: The most clients that it takes., type: int, sample: 200}
    max_payload: {description: The most bytes of a message., type: int, sample: 1048576}
    ping_interval: {description: The nanoseconds between pings., type: int, sample: 120000000000}
    start: {description: When the server was started., type: str, sample: "2025-11-18T10:00:00.123456789Z"}
    config_load_time:
      description: When it loaded its configuration.
      type: str
      sample: "2025-11-18T10:00:00.123456789Z"
    mem: {description: The bytes of memory that it uses., type: int, sample: 13180928}
    connections: {description: The clients that are connected., type: int, sample: 5}
    slow_consumers: {description: The clients that were too slow since the start., type: int, sample: 0}
    jetstream: {description: Configuration and use of JetStream. Empty where it is off., type: dict}
connz:
  description: The connections.
  returned: when asked for and answered
  type: dict
  contains:
    server_id: {description: The id of the server., type: str}
    total: {description: How many connections there are., type: int, sample: 1}
    num_connections: {description: How many of them are listed., type: int, sample: 1}
    connections:
      description: Every connection, by its number.
      type: list
      elements: dict
      contains:
        cid: {description: The number of the connection., type: int, sample: 5}
        name: {description: The name that the client gave., type: str, sample: rosey-bot-prod}
        ip: {description: The address of the client., type: str, sample: 127.0.0.1}
        pending_bytes: {description: What waits to be sent to it., type: int, sample: 0}
        subscriptions: {description: How many subscriptions it has., type: int, sample: 15}
        subscriptions_list: {description: "Their subjects, with O(details).", type: list, elements: str}
subsz:
  description: The subscriptions.
  returned: when asked for and answered
  type: dict
  contains:
    num_subscriptions: {description: How many there are., type: int, sample: 57}
    subscriptions_list:
      description: Every subscription of a client, with O(details).
      type: list
      elements: dict
      contains:
        subject: {description: The subject., type: str, sample: rosey.prod.commands.quote}
        account: {description: The account., type: str, sample: $G}
        cid: {description: The number of the connection., type: int, sample: 5}
routez:
  description: The routes to the other servers of the cluster.
  returned: when asked for and answered
  type: dict
  contains:
    num_routes: {description: How many connections there are. A pair of servers has several., type: int, sample: 8}
    routes:
      description: Every connection.
      type: list
      elements: dict
      contains:
        remote_id: {description: The id of the other server., type: str}
        remote_name: {description: The name of the other server., type: str}
leafz:
  description: The leaf nodes.
  returned: when asked for and answered
  type: dict
  contains:
    leafnodes: {description: How many there are., type: int, sample: 0}
    leafs: {description: Every leaf node., type: list, elements: dict}
gatewayz:
  description: The gateways to other clusters.
  returned: when asked for and answered
  type: dict
  contains:
    outbound_gateways: {description: Those that this server has opened., type: dict}
    inbound_gateways: {description: Those that others have opened to it., type: dict}
jsz:
  description: The state of JetStream.
  returned: when asked for and answered
  type: dict
  contains:
    disabled: {description: True where JetStream is off., type: bool}
    config: {description: The configuration of JetStream., type: dict}
    memory: {description: The bytes of messages in memory., type: int, sample: 0}
    storage: {description: The bytes of messages on disk., type: int, sample: 1024}
    streams: {description: How many streams there are., type: int, sample: 2}
    consumers: {description: How many consumers there are., type: int, sample: 3}
    messages: {description: How many messages the streams hold., type: int, sample: 100}
    bytes: {description: The bytes of these messages., type: int, sample: 1024}
    meta_cluster: {description: The group of servers that leads JetStream in a cluster., type: dict}
    account_details:
      description: The accounts with their streams and consumers, with O(details).
      type: list
      elements: dict
healthz:
  description: What the server says of its own health.
  returned: when asked for and answered
  type: dict
  contains:
    status: {description: V(ok) where it is well., type: str, sample: ok}
    status_code: {description: The HTTP status. It is 200 even of a server that is not well., type: int, sample: 200}
    error: {description: What is wrong., type: str, returned: where something is}
    errors: {description: All that is wrong., type: list, elements: dict}
accountz:
  description: The accounts.
  returned: when asked for and answered
  type: dict
  contains:
    system_account: {description: The system account., type: str, sample: $SYS}
    accounts: {description: The names of all accounts., type: list, elements: str, sample: [$G, $SYS]}
    account_details: {description: "Every account, with O(details).", type: list, elements: dict}
certificates:
  description: What each of O(tls_listeners) shows, in their order.
  returned: always
  type: list
  elements: dict
  contains:
    purpose: {description: What the listener serves., type: str, sample: clients}
    subject: {description: Whose the certificate is., type: str, sample: CN=nats.example.com}
    issuer: {description: Who signed it., type: str, sample: CN=Example CA}
    names: {description: The names and addresses that it is for., type: list, elements: str}
    serial: {description: Its serial number in hexadecimal., type: str, sample: 0ABC}
    not_before: {description: Since when it is valid., type: str, sample: "2026-01-31T12:00:00Z"}
    not_after: {description: When it expires., type: str, sample: "2027-01-31T12:00:00Z"}
    fault: {description: "Why there is none to see, in place of all the others.", type: str}
"""

from ansible_collections.rosey.nats.plugins.module_utils._host import python

python.check()

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.rosey.nats.plugins.module_utils._server import (
    endpoints,
    http_reader,
    monitoring,
    served_certificates,
    tls_listener,
)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **monitoring.ARGUMENTS,
            **tls_listener.ARGUMENTS,
            "gather": {"type": "list", "elements": "str", "choices": list(endpoints.ENDPOINTS), "default": ["varz"]},
            "details": {"type": "bool", "default": False},
        },
        required_by=monitoring.REQUIRED_BY,
        supports_check_mode=True,
    )
    if not http_reader.HAS_REQUESTS:
        module.fail_json(msg=missing_required_lib("requests"))
    try:
        monitor = monitoring.connect(module.params)
    except http_reader.MonitoringError as error:
        module.fail_json(msg=str(error))
    gather = module.params["gather"]
    found = monitor.read_each(gather, detailed=gather if module.params["details"] else ())
    errors = {str(answer): None for answer in found.values() if isinstance(answer, http_reader.MonitoringError)}
    answers = {name: answer for name, answer in found.items() if not isinstance(answer, http_reader.MonitoringError)}
    listeners, seconds = tls_listener.given(module.params["tls_listeners"]), module.params["timeout"]
    looks = [served_certificates.look(each, seconds=seconds, files=False) for each in listeners]
    seen = {**answers, "certificates": [each.as_result for each in looks]}
    if errors:
        module.fail_json(msg="\n".join(errors), **seen)
    module.exit_json(changed=False, **seen)


if __name__ == "__main__":
    main()
