#!/usr/bin/python
# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: diagnosis_info
short_description: Find out why a server does not start, a bot can't connect, a plugin hears nothing or latency is high
version_added: 0.1.0
author: Rosey-Robot Team (@rosey-robot)
description:
  - Looks at a host for each symptom, and gives causes with their evidence and remedy, the most likely first.
  - It changes nothing, and does not fail on a host that is half broken. What could not be looked at is a cause of its
    own, with the confidence V(possible).
  - It sends requests on the bus, to a plugin that does what they say. Name a subject in O(bot.round_trip) that does no
    harm.
  - It shows no password and no token.
options:
  symptoms:
    description:
      - What to look at, V(server) for one that does not start, V(bot) for one that can't connect, V(plugin) for one
        that receives nothing, V(latency) for messages that take long.
    type: list
    elements: str
    choices: [server, bot, plugin, latency]
    default: [server, bot, plugin, latency]
  server:
    description: The server, as it was meant.
    type: dict
    required: true
    suboptions:
      service:
        description:
          - The name of its service, with or without C(.service).
          - Without one it is a process whose number is in O(server.pid_file).
        type: str
        default: ""
      container:
        description: The container that it runs in. Nothing but its monitoring endpoint is looked at then.
        type: str
        default: ""
      account:
        description: Who runs it, where its service does not say it. Without one it is whoever runs the module.
        type: str
        default: ""
      group:
        description: The group that it runs in, likewise.
        type: str
        default: ""
      binary:
        description: The program, or a link to it, where its service does not say it.
        type: path
        required: true
      config_file:
        description: Its configuration, where its service does not say it.
        type: path
        required: true
      pid_file:
        description: The file that holds the number of its process.
        type: path
        required: true
      monitoring_url:
        description: Its monitoring endpoint. Without one it is the one of its configuration.
        type: str
      version:
        description: Which nats-server it is meant to be.
        type: str
        default: ""
      release_dir:
        description:
          - The directory of M(rosey.nats.nats_release), where the host keeps which streams JetStream had when it was
            last proven. Those of them that are gone come first, as V(streams_hidden) where their files still stand and
            as V(streams_gone) otherwise.
          - Without it, and where the server does not run, streams are not compared.
        type: path
      cluster_members:
        description:
          - The names of all servers of the cluster that it is in, its own too; none for a server that stands alone.
          - With them it is asked why it and the others are not one bus, as V(route_credentials) or V(no_quorum).
        type: list
        elements: str
        default: []
      asked_at:
        description:
          - The time of the machine that asks, in seconds since 1970. Without it the clock of a cluster's server is not
            compared.
        type: float
  faults:
    description: What is wrong with the description itself, by the symptom that it matters to. Each becomes a cause.
    type: dict
    default: {}
attributes:
  check_mode:
    description: It changes nothing anyway.
    support: full
  diff_mode:
    description: It changes nothing.
    support: none
extends_documentation_fragment:
  - rosey.nats.bot.diagnosis
seealso:
  - module: rosey.nats.nats_gate
  - module: rosey.nats.bot_gate
"""

EXAMPLES = r"""
- name: See why the server does not start
  rosey.nats.diagnosis_info:
    symptoms: [server]
    server:
      service: nats
      account: nats
      group: nats
      binary: /usr/local/bin/nats-server
      config_file: /etc/nats/nats-server.conf
      pid_file: /var/lib/nats/nats-server.pid
      release_dir: /var/lib/rosey-nats
  become: true
  register: diagnosis

- name: Tell it
  ansible.builtin.debug:
    msg: "{{ diagnosis.report }}"

- name: See why a plugin hears nothing
  rosey.nats.diagnosis_info:
    symptoms: [bot, plugin]
    server:
      service: nats
      binary: /usr/local/bin/nats-server
      config_file: /etc/nats/nats-server.conf
      pid_file: /var/lib/nats/nats-server.pid
      version: 2.10.7
    bot:
      environment: production
      prefix: rosey.prod
      home: /opt/rosey-bot
      service: cytube-bot
      account: rosey
      servers: [nats://localhost:4222]
      client_name: rosey-bot-prod
      python: /opt/rosey-bot/venv/bin/python
      round_trip:
        subject: rosey.prod.commands.quote
      plugins:
        - name: quotes
          subscriptions: [rosey.prod.commands.quote]
  become: true
"""

RETURN = r"""
causes:
  description: What explains the symptoms, the most likely first.
  returned: always
  type: list
  elements: dict
  contains:
    symptom: {description: The symptom that it explains., type: str, sample: server}
    name: {description: Its short name., type: str, sample: port_taken}
    cause: {description: What it is., type: str, sample: another program listens where the server is to listen}
    evidence: {description: What was seen., type: list, elements: str}
    remedy: {description: What to do., type: str}
    confidence:
      description:
        - V(certain) where it was seen itself, V(likely) where its marks were seen, V(possible) where nothing speaks
          against it.
      type: str
      sample: certain
    under:
      description:
        - The C(cause) that it is told under, since it may follow from that one or is the same of another plugin. Empty
          for one of its own.
      type: str
healthy:
  description: What was looked at and is well.
  returned: always
  type: list
  elements: str
symptoms:
  description: What was looked at.
  returned: always
  type: list
  elements: str
report:
  description: Causes and healthy parts, a line each, for a person.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.rosey.nats.plugins.module_utils._host import python

python.check()

import typing as t
from collections.abc import Mapping
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rosey.nats.plugins.module_utils._bot import bot_arguments, bot_expectation, round_trips
from ansible_collections.rosey.nats.plugins.module_utils._deploy import record_guard, release
from ansible_collections.rosey.nats.plugins.module_utils._host import service
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import (
    bot_evidence,
    plugin_evidence,
    server_evidence,
    symptoms,
    tree,
)

# Of which only whether one answers, and how soon, is asked.
_FEW = 20
_ROUND_TRIP = {
    **bot_arguments.ROUND_TRIP_ARGUMENTS,
    "subject": {"type": "str", "default": ""},
}
_SERVER = {
    "service": {"type": "str", "default": ""},
    "container": {"type": "str", "default": ""},
    "account": {"type": "str", "default": ""},
    "group": {"type": "str", "default": ""},
    "binary": {"type": "path", "required": True},
    "config_file": {"type": "path", "required": True},
    "pid_file": {"type": "path", "required": True},
    "monitoring_url": {"type": "str"},
    "version": {"type": "str", "default": ""},
    "release_dir": {"type": "path"},
    "cluster_members": {"type": "list", "elements": "str", "default": []},
    "asked_at": {"type": "float"},
}
_BOT = {
    "environment": {"type": "str", "required": True},
    "prefix": {"type": "str", "required": True},
    "home": {"type": "path", "required": True},
    "optional": {"type": "bool", "default": False},
    "mode": {"type": "str", "choices": list(bot_expectation.Mode), "default": str(bot_expectation.Mode.NATS)},
    "service": {"type": "str", "default": ""},
    "command": {"type": "list", "elements": "str", "default": []},
    "pid_file": {"type": "path"},
    "account": {"type": "str", "default": ""},
    "servers": {"type": "list", "elements": "str", "default": []},
    "client_name": {"type": "str", "default": ""},
    "health_url": {"type": "str", "default": bot_expectation.URL},
    "monitoring_url": {"type": "str"},
    "plugins": bot_arguments.PLUGINS_ARGUMENT,
    "published": {"type": "list", "elements": "str"},
    "clients": bot_arguments.CLIENTS_ARGUMENT,
    "python": {"type": "path"},
    "round_trip": {"type": "dict", "options": _ROUND_TRIP},
}


class DiagnosisModule(AnsibleModule):
    """AnsibleModule logs its arguments into the journal of the host, which is evidence here."""

    def _log_invocation(self) -> None:
        self.log("Invoked")


def of_another(params: Mapping[str, t.Any]) -> str:
    """Say that the releases of the host are of another server than the one that is described; empty else."""
    server = params["server"]
    if not server["release_dir"]:
        return ""
    directory = Path(server["release_dir"])
    runtime = "systemd" if server["service"] else "docker" if server["container"] else "process"
    return record_guard.of_another(directory, release.Store(directory).current(), {**server, "runtime": runtime})


def server_of(params: Mapping[str, t.Any], other: str) -> server_evidence.Described:
    """Give the server from the module's parameters. other: as of_another has it; then they say nothing of it."""
    server = params["server"]
    return server_evidence.Described(
        service=server["service"],
        container=server["container"],
        account=server["account"],
        group=server["group"],
        binary=Path(server["binary"]),
        config_file=Path(server["config_file"]),
        pid_file=Path(server["pid_file"]),
        monitoring_url=server["monitoring_url"],
        release_dir=Path(server["release_dir"]) if server["release_dir"] and not other else None,
        version=server["version"],
        members=tuple(server["cluster_members"]),
        asked_at=server["asked_at"],
    )


def bot_of(params: Mapping[str, t.Any]) -> bot_evidence.Described | None:
    """Give the bot from the module's parameters."""
    bot, server = params["bot"], params["server"]
    if bot is None:
        return None
    return bot_evidence.Described(
        environment=bot["environment"],
        prefix=bot["prefix"],
        home=Path(bot["home"]),
        service=bot["service"],
        account=bot["account"],
        servers=tuple(bot["servers"]),
        client_name=bot["client_name"],
        health_url=bot["health_url"],
        monitoring_url=bot["monitoring_url"],
        version=server["version"],
        server_service=server["service"],
        container=server["container"],
        command=tuple(bot["command"]),
        pid_file=Path(bot["pid_file"]) if bot["pid_file"] else None,
        legacy=bot["mode"] == bot_expectation.Mode.LEGACY,
        optional=bot["optional"],
        plugins=bot_arguments.plugins_of(bot["plugins"]),
        published=None if bot["published"] is None else tuple(bot["published"]),
        clients={each["name"]: bot_evidence.Client(each["file"], each["permissions"]) for each in bot["clients"]},
    )


def probe_of(params: Mapping[str, t.Any]) -> plugin_evidence.Probe | None:
    """Give the request to send from the module's parameters."""
    bot = params["bot"]
    if bot is None or not bot["round_trip"] or not bot["python"]:
        return None
    trip = bot["round_trip"]
    return plugin_evidence.Probe(
        trip=round_trips.RoundTrip(trip["subject"], trip["payload"], _FEW, trip["limit_milliseconds"]),
        python=bot["python"],
        options=trip["options"],
    )


def main() -> None:
    """Run the module."""
    module = DiagnosisModule(
        argument_spec={
            "symptoms": {
                "type": "list",
                "elements": "str",
                "choices": list(tree.Symptom),
                "default": list(tree.Symptom),
            },
            "server": {"type": "dict", "required": True, "options": _SERVER},
            "bot": {"type": "dict", "options": _BOT},
            "faults": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    params = service.params_of(module)
    other = of_another(params)
    faults = {str(name): str(fault) for name, fault in params["faults"].items()}
    if other:
        told = f"{other}; name its own in release_dir"
        faults[tree.Symptom.SERVER] = "\n".join(filter(None, [faults.get(tree.Symptom.SERVER), told]))
    host = symptoms.Host(
        server=server_of(params, other),
        bot=bot_of(params),
        probe=probe_of(params),
        faults={tree.Symptom(name): fault for name, fault in faults.items()},
        run_command=service.run_with(module),
    )
    # in the order in which one leads to the next
    asked = [symptom for symptom in tree.Symptom if symptom in params["symptoms"]]
    found = symptoms.examine(host, asked)
    module.exit_json(
        changed=False,
        causes=tree.results(found.causes),
        healthy=list(found.healthy),
        symptoms=[str(symptom) for symptom in asked],
        report=tree.report(found),
    )


if __name__ == "__main__":
    main()
