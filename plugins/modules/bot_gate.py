#!/usr/bin/python
# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bot_gate
short_description: Wait until the bot proves that it is on the bus with all its plugins, or runs without NATS
version_added: 0.1.0
author: Rosey-Robot Team (@rosey-robot)
description:
  - Asks the health endpoint of the bot, again and again, until all that was meant is proven or the time is up.
  - Proves that the bot is connected to its channel, and to one of the NATS servers that were configured.
  - With O(monitoring_url) it proves that the server really holds each subscription that a plugin declares. A
    subscription with wildcards that covers it counts.
  - With O(round_trip) it proves that a plugin answers on the bus, and how soon.
  - In legacy mode it proves that the bot runs without NATS.
  - It shows no user and no password, neither of a URL nor of O(credentials).
options:
  wait:
    description: The seconds after which the module gives up. With V(0) it looks once. O(round_trip) comes after it.
    type: float
    default: 30.0
  soak:
    description:
      - The seconds for which the bot has to go on proving itself once it has, looked at every second.
    type: float
    default: 0.0
  timeout:
    description: The seconds that one whole answer may take, be it of the bot, of the server or of a plugin.
    type: float
    default: 5.0
  validate_certs:
    description: Whether to check certificates, with an https O(health_url) or O(monitoring_url).
    type: bool
    default: true
  mode:
    description:
      - V(nats) for a bot that has to be connected to NATS.
      - V(legacy) for one that has to run without it. Then only O(health_url), O(wait), O(timeout), O(required) and the
        options of TLS count.
    type: str
    choices: [nats, legacy]
    default: nats
  servers:
    description:
      - The NATS URLs that the bot is configured with. What it is connected to has to be one of them.
      - Port 4222 is the default. V(localhost) and each loopback address mean the same host.
      - They take no user or password. Give these as O(credentials).
    type: list
    elements: str
    default: []
  subjects:
    description:
      - How many subjects the bot has to hold at least.
      - Without it these are as many as O(plugins) declare. Fewer of them are then a warning where O(monitoring_url)
        proves that each is held, since one with wildcards may stand for several.
    type: int
  client_name:
    description:
      - The C(name) of the bot's connection to NATS.
      - Where the server has a connection of this name, a V(-) and the name of a plugin, that one has to hold the
        subscriptions of the plugin. Where it has none, the connection of this name has to.
      - Without it, or where no connection bears such a name, those of any connection count, a person's among them who
        only listens.
    type: str
  monitoring_url:
    description:
      - The monitoring endpoint of the server that the bot is connected to, such as V(http://127.0.0.1:8222).
      - Without it what the server holds is not looked at.
    type: str
  round_trip:
    description:
      - Requests that a plugin has to answer, one after the other, on the reply subject of the request.
      - The plugin does what the requests say, so choose one that does no harm.
      - Without it no request is made.
    type: dict
    suboptions:
      subject:
        description: The command's subject, with the prefix of the environment.
        type: str
        required: true
      payload:
        description: What each request carries.
        type: json
        default: '{"user": "test", "message": "!quote"}'
      count:
        description: How many requests are measured, at least 200. A few more come before them.
        type: int
        default: 200
      options:
        description:
          - Further options of C(connect()) of nats-py, such as C(user_credentials) or C(inbox_prefix), where the bot
            has them.
        type: dict
        default: {}
      limit_milliseconds:
        description: What 99 of 100 requests may take at most, until the answer is there. More is an error.
        type: float
        default: 100.0
  python:
    description:
      - The Python of the bot's virtual environment, which has nats-py. It makes the round trips.
      - Where there is none, or none with nats-py, the round trips are skipped with a warning.
    type: path
  user:
    description:
      - Who runs O(python), such as the account that the bot's files belong to. What the bot may write is not to be run
        by root.
      - Only root can run something as somebody else; anybody else runs it himself.
    type: str
  credentials:
    description: What the round trips log in to NATS with. They go to O(python) over its standard input.
    type: dict
    suboptions:
      user:
        description: The user.
        type: str
      password:
        description: The user's password.
        type: str
      token:
        description: The token, where the server takes one instead.
        type: str
  environment_file:
    description:
      - The bot's file of environment variables. The round trips log in with C(NATS_USER), C(NATS_PASSWORD) and
        C(NATS_TOKEN) as they stand in it, in place of O(credentials), so that no secret has to travel. They trust whom
        the bot trusts, C(SSL_CERT_FILE).
      - A file that is not there holds none.
    type: path
  clients:
    description:
      - The clients of the bus that have credentials of their own. Once the bot has proven itself, the module logs in as
        each, two at a time, and the server has to say that it may do what is meant. Nothing of the bot is given their
        credentials for it. Keys need C(cryptography) or C(PyNaCl) (C(python3-nacl)) for the module.
      - The round trips are then made as the client C(probe), by O(python).
      - Where all of O(servers) are websockets, nobody logs in, and the result says that no client is proven.
      - Where all of O(servers) begin with C(tls), and one of the clients is C(system), that one has the server end the
        connections that are in plain text, since they are from before it wanted TLS. Those clients then connect again.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      file:
        description:
          - Its file of environment variables, with C(NATS_INBOX_PREFIX) and C(NATS_USER) and C(NATS_PASSWORD), or with
            C(NATS_NKEY), the file of its seed.
        type: path
        required: true
      permissions:
        description: What it may do, as a user's C(permissions) in the server's configuration. Empty for everything.
        type: dict
        required: true
  refusals:
    description:
      - Whether each of O(clients) also tries what it may not do, below its own prefix and below another environment's.
      - The server logs these refusals. Their subjects have C(_proof) as a token.
    type: bool
    default: true
  tls_hostname:
    description: The name that the server's certificate is for, where O(clients) reach it by another one.
    type: str
  tls_handshake_first:
    description: Whether O(clients) begin with the TLS handshake, as C(handshake_first) of the server wants it.
    type: bool
    default: false
  home:
    description:
      - The directory of the bot. With O(environment_file), what is found of a plugin names the plugin's file and
        log, with the last lines of the log, without what looks like a secret.
    type: path
  service:
    description: The name of the bot's service under systemd. Its journal is named with O(home).
    type: str
  pid_file:
    description:
      - The file that holds the number of its process. The bot's output stands beside it, and is named with O(home).
    type: path
extends_documentation_fragment:
  - rosey.nats.bot
  - rosey.nats.monitoring.tls
requirements:
  - requests (a Python library) on the host where the module runs
attributes:
  check_mode:
    description: Can run in check mode and tell the same.
    support: full
    details:
      - This module changes nothing on the host, and in check mode ends no connection. The requests of O(round_trip) are
        made in check mode too.
  diff_mode:
    description: Returns what changed.
    support: N/A
    details:
      - This module changes nothing.
seealso:
  - module: rosey.nats.nats_gate
"""

EXAMPLES = r"""
- name: Wait until the bot is on the bus with all its plugins
  rosey.nats.bot_gate:
    servers: [nats://localhost:4222]
    client_name: rosey-bot-prod
    monitoring_url: http://127.0.0.1:8222
    plugins:
      - name: quotes
        subscriptions:
          - rosey.prod.commands.quote
          - rosey.prod.commands.addquote
          - rosey.prod.commands.delquote
  register: health

- name: Tell what is proven
  ansible.builtin.debug:
    msg: "{{ health.summary }}"

- name: Prove that a plugin answers soon enough
  rosey.nats.bot_gate:
    servers: [nats://localhost:4222]
    round_trip:
      subject: rosey.staging.commands.quote
    python: /opt/rosey-bot/venv/bin/python
    credentials:
      user: rosey
      password: "{{ vault_nats_password }}"

- name: Prove that the bot runs without NATS
  rosey.nats.bot_gate:
    mode: legacy
    required: [version]
"""

RETURN = r"""
passed:
  description: Whether everything that was meant is proven.
  returned: always
  type: bool
summary:
  description: What is proven, in one line.
  returned: always
  type: str
  sample: >-
    bot connected to nats://localhost:4222, 6 of 6 subscriptions held, round trip p50 0.8 ms, p99 2.1 ms over 200
findings:
  description: What is not as it should be. Where RV(passed) is true there are at most warnings.
  returned: always
  type: list
  elements: dict
  contains:
    what:
      description: The key of the bot's answer, the plugin, or what else was judged.
      type: str
      sample: plugin quotes
    expected:
      description: What was meant.
      type: str
      sample: a subscription that covers rosey.prod.commands.quote
    found:
      description: What was seen.
      type: str
      sample: none that the connection rosey-bot-prod-quotes holds
    severity:
      description: V(error) or V(warning).
      type: str
      sample: error
    remedy:
      description: What to do.
      type: str
      sample: look at the log of the plugin and restart the bot
seen:
  description: What the bot told last. Of its keys only those that O(required) may name, with values of the right type.
  returned: always
  type: dict
  sample:
    status: connected
    nats: {connected: true, server: "nats://localhost:4222", subjects: 6}
subscriptions:
  description: What the plugins declare, and how much of it the server holds.
  returned: when O(monitoring_url) answered and O(plugins) are given
  type: dict
  contains:
    declared:
      description: How many subscriptions the plugins declare.
      type: int
      sample: 6
    held:
      description: How many of these the server holds.
      type: int
      sample: 6
clients:
  description: The clients whose permissions were looked at.
  returned: when O(clients) are given, and the bot has proven itself
  type: list
  elements: str
called_back:
  description: The clients that talked in plain text, and were told to connect again.
  returned: when O(clients) are given, and all of it was proven, not in check mode
  type: list
  elements: str
  sample: ["dashboard (192.0.2.7, cid 12)"]
round_trip:
  description: What the round trips showed.
  returned: when O(round_trip) is given, in mode V(nats)
  type: dict
  contains:
    p50_milliseconds:
      description: What half of the trips did not exceed, null without any trip.
      type: float
      sample: 0.8
    p99_milliseconds:
      description: What 99 of 100 trips did not exceed, null without any trip.
      type: float
      sample: 2.1
    trips:
      description: How many trips were measured.
      type: int
      sample: 200
    skipped:
      description: Whether they were skipped, since there is no nats-py, or since the rest did not pass.
      type: bool
      sample: false
"""

from ansible_collections.rosey.nats.plugins.module_utils._host import python

python.check()

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rosey.nats.plugins.module_utils._bus import bot_gate
from ansible_collections.rosey.nats.plugins.module_utils._bus.results import GateError


class HealthModule(AnsibleModule):
    """AnsibleModule logs a dictionary as Python would write it, in which it no longer finds a secret with a quote."""

    def _log_invocation(self) -> None:
        self.log("Invoked")


def main() -> None:
    """Run the module."""
    module = HealthModule(argument_spec=bot_gate.ARGUMENTS, supports_check_mode=True, **bot_gate.CONSTRAINTS)
    try:
        proof = bot_gate.prove(module.params, module.no_log_values.update, check_mode=module.check_mode)
    except GateError as error:
        module.fail_json(msg=str(error))
    if proof.failure:
        module.fail_json(msg=proof.failure, **proof.result)
    for warning in proof.warnings:
        module.warn(warning)
    module.exit_json(changed=False, **proof.result)


if __name__ == "__main__":
    main()
