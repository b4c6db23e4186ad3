#!/usr/bin/python
# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bus_health_info
short_description: Look once at the health of the event bus on a host
version_added: 0.1.0
author: Rosey-Robot Team (@rosey-robot)
description:
  - Looks once at the streams that there were, the server, its certificates, JetStream, connections, subscriptions,
    routes, the bot and its plugins, and gives a check with a status for each.
  - It never stops at a failure. What gave no answer is a check that is critical or unknown, and the others are made.
  - Where the host's release has the bot without NATS, though it was meant to use it, that is a warning. So is then a
    server that was stopped in good order and does not start with the host. What only a server tells has no check then.
  - The names of the checks are those of C(nats server check) and of its performance data, where it has the check.
extends_documentation_fragment:
  - rosey.nats.bot.health
  - rosey.nats.monitoring
  - rosey.nats.monitoring.tls
  - rosey.nats.monitoring.listeners
options:
  server_name:
    description: The name that the server was given. Without it any will do.
    type: str
  version:
    description: The version that was meant. Without it any will do.
    type: str
  jetstream:
    description:
      - Whether JetStream was meant to be on, as C(jetstream) of the server's configuration says it; of a block, its
        C(enabled). Without it either will do.
    type: raw
  cluster:
    description: Whether the server was meant to be in a cluster, and so to have routes.
    type: bool
    default: false
  cluster_members:
    description:
      - The names of all servers of the cluster, its own too. With them the routes and the group that leads JetStream
        have to be of these, and there are checks of the replicas and of the clock.
      - What the others make up for is a warning, as a member that is down.
    type: list
    elements: str
    default: []
  asked_at:
    description: The time of the machine that asks, in seconds since 1970. Without it the clock is not compared.
    type: float
  client_url:
    description: Where clients connect to the server, such as V(nats://localhost:4222). Without it that is not tried.
    type: str
  release_dir:
    description:
      - The directory of M(rosey.nats.nats_release), where the host keeps which streams JetStream had when it was last
        proven. A stream of these that is gone is critical.
      - The module needs to read it. Without it, and before anything was proven, streams are not compared.
    type: path
  local_files:
    description:
      - Whether the server's store is on the host where the module runs. Set it to V(false) for a server in a container
        or on another host, of whose lost streams can't be told whether their files still stand.
    type: bool
    default: true
  service:
    description: The name of the server's service under systemd, with or without C(.service).
    type: str
  process:
    description: The server that runs as a process of this user, in place of O(service).
    type: dict
    suboptions:
      binary:
        description: The binary, or a link to it.
        type: path
        required: true
      config_file:
        description: The configuration that it was started with.
        type: path
        required: true
      pid_file:
        description: The file that holds the number of its process.
        type: path
        required: true
  thresholds:
    description:
      - The limits of values, by the name of the check, each with C(warning) and C(critical) or one of them. A value
        beyond its limit has that status.
      - Without a limit a value is told and not judged.
      - Those of V(uptime), in seconds, V(certificate), in days, and V(routes), the number of other servers, are the
        least that is well. V(certificate) is the limit of each C(certificate_*), one for each of O(tls_listeners).
      - All others are the most. V(connection) is in seconds and V(memory) in bytes. In percent are V(cpu),
        V(connections) (of C(max_connections)), V(pending) (of C(max_pending)), V(jetstream_memory),
        V(jetstream_storage) and V(bot_errors) (of all requests since the bot started, and of at least ten). Counted are
        V(subscriptions), V(slow_consumers), V(meta) (servers of the JetStream cluster that its leader has lost) and
        V(plugins) (subscriptions that are declared and not held).
      - With O(cluster_members) there are V(replicas), counted, V(leaders), in percent of at least ten, and V(clock), in
        seconds.
    type: dict
    default: {}
seealso:
  - module: rosey.nats.nats_gate
  - module: rosey.nats.bot_gate
"""

EXAMPLES = r"""
- name: Look at the bus
  rosey.nats.bus_health_info:
    monitoring_url: http://127.0.0.1:8222
    server_name: rosey_nats_prod
    version: 2.10.7
    jetstream: true
    client_url: nats://localhost:4222
    tls_listeners:
      - {purpose: clients, url: "tls://127.0.0.1:4222", cert_file: /etc/nats/server.pem, first: false}
    service: nats
    release_dir: /var/lib/rosey-nats
    bot:
      home: /opt/rosey-bot
      service: cytube-bot
      servers: [nats://localhost:4222]
      client_name: rosey-bot-prod
      monitoring_url: http://127.0.0.1:8222
      plugins:
        - name: quotes
          subscriptions: [rosey.prod.commands.quote]
    thresholds:
      connections: {warning: 80, critical: 95}
      plugins: {critical: 0}
  register: bus

- name: Tell what is not well
  ansible.builtin.debug:
    msg: "{{ bus.checks | rejectattr('status', 'eq', 'ok') | map(attribute='summary') }}"
"""

RETURN = r"""
status:
  description: The worst status of a check, where V(unknown) is worse than V(warning).
  returned: always
  type: str
  sample: ok
summary:
  description: Which checks are not well, and how many are, in one line.
  returned: always
  type: str
  sample: "critical: plugins; 18 ok"
checks:
  description: All checks that this host has.
  returned: always
  type: list
  elements: dict
  contains:
    name: {description: The name of the check., type: str, sample: connections}
    status: {description: "One of V(ok), V(warning), V(critical) and V(unknown).", type: str, sample: ok}
    summary: {description: What was found., type: str, sample: 3 of 200 connections}
    value: {description: "The value, or null where there is none.", type: float, sample: 1.5}
    unit:
      description: "What the value is counted in, V(s), V(%), V(B), or nothing for a number."
      type: str
      sample: "%"
    worse: {description: "Which values are worse, V(higher) or V(lower) ones.", type: str, sample: higher}
    warning: {description: "The limit of a warning, or null.", type: float, sample: 80.0}
    critical: {description: "The limit of what is critical, or null.", type: float, sample: 95.0}
    remedy: {description: "What to do, empty where it is well.", type: str, sample: raise max_connections}
    cause:
      description: What kept it from being made, the same text for all that it kept. Empty where it was made.
      type: str
      sample: "no answer at http://127.0.0.1:8222: connection refused"
"""

from ansible_collections.rosey.nats.plugins.module_utils._host import python

python.check()

import os
import time
import typing as t
from collections.abc import Mapping
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.rosey.nats.plugins.module_utils._bot import bot_arguments, bot_expectation, bot_health
from ansible_collections.rosey.nats.plugins.module_utils._data import asset_reading, lost_streams
from ansible_collections.rosey.nats.plugins.module_utils._deploy import record_guard, release
from ansible_collections.rosey.nats.plugins.module_utils._host import background, process, service
from ansible_collections.rosey.nats.plugins.module_utils._server import (
    health,
    http_reader,
    monitoring,
    server_files,
    tls_listener,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch import (
    check_limits,
    check_table,
    checks,
    health_snapshot,
)

BOT = {
    **bot_arguments.ARGUMENTS,
    "home": {"type": "path", "required": True},
    "optional": {"type": "bool", "default": False},
    "monitoring_url": {"type": "str"},
    "plugins_fault": {"type": "str", "default": ""},
    "service": {"type": "str"},
    "process": {
        "type": "dict",
        "options": {
            "command": {"type": "list", "elements": "str", "required": True},
            "pid_file": {"type": "path", "required": True},
        },
    },
}
PROCESS = {
    "binary": {"type": "path", "required": True},
    "config_file": {"type": "path", "required": True},
    "pid_file": {"type": "path", "required": True},
}

Given = Mapping[str, t.Any]


class HealthModule(AnsibleModule):
    """AnsibleModule logs its options before it can be told that a URL holds a password."""

    def _log_invocation(self) -> None:
        self.log("Invoked")


def faults(params: Given) -> list[str]:
    """Name what is wrong with the module's parameters; no secret is in it."""
    bot = params["bot"] or {"servers": [], "plugins": []}
    leave_out = "leave these out"
    return [
        *bot_arguments.server_faults("client_url", filter(None, [params["client_url"]]), leave_out),
        *bot_arguments.server_faults("bot.servers", bot["servers"], leave_out),
        *bot_arguments.plugins_faults("bot.plugins", bot["plugins"]),
    ]


def expectation_of(params: Given, current: release.Record | None) -> health_snapshot.Expectation:
    """Make the expectation from the module's parameters, and the current release of the host."""
    bot = params["bot"]
    jetstream = params["jetstream"]
    released = current.id if current and record_guard.has_bot(current) else ""
    return health_snapshot.Expectation(
        server_name=params["server_name"],
        version=params["version"],
        jetstream=None if jetstream is None else health.meant_jetstream({"jetstream": jetstream}),
        cluster=params["cluster"],
        members=tuple(params["cluster_members"]),
        client_url=params["client_url"],
        service=_name(params, "nats-server"),
        bot=bot_arguments.expectation_of(bot) if bot else None,
        bot_service=_name(bot, "the bot") if bot else None,
        released_bot=released,
        released_legacy=released if record_guard.has_legacy_bot(current) else "",
        plugins_fault=bot["plugins_fault"] if bot else "",
    )


def _name(given: Given, program: str) -> str | None:
    """Name what runs a program; None where that can't be looked at."""
    return f"{given['service']}.service" if given["service"] else program if given["process"] else None


def look_up(given: Given, program: background.Program | None, run_command: service.RunCommand) -> service.Service | str:
    """Give what runs a program, or why that is not known. program: that of a process, without a service."""
    try:
        if program is None:
            return service.look_up(given["service"], run_command)
        running = background.find(program, process.owner(program.pid_file))
        return service.Service(exists=bool(program.command), enabled=True, running=running)
    except (service.ServiceError, background.ProcessError) as error:
        return str(error)


def server_of(given: Given) -> background.Server | None:
    """Give the server that runs as a process."""
    options = given["process"]
    return background.Server(**{name: Path(options[name]) for name in PROCESS}) if options else None


def bot_of(given: Given) -> background.Bot | None:
    """Give the bot that runs as a process."""
    options = given["process"]
    return background.Bot(tuple(options["command"]), Path(options["pid_file"])) if options else None


def current_of(params: Given) -> release.Record | lost_streams.NotComparedError | None:
    """Give the current release of the host, None where it has none, or say whose it is where it is another server's."""
    if not params["release_dir"]:
        return None
    directory = Path(params["release_dir"])
    current = release.Store(directory).current()
    settings = {"runtime": "systemd", "service": params["service"]}
    if params["process"]:
        settings = {"runtime": "process", "config_file": params["process"]["config_file"]}
    if why := record_guard.of_another(directory, current, settings):
        return lost_streams.NotComparedError(params["monitoring_url"], why, "name its own in release_dir")
    return current


def observer_of(
    params: Given,
    expectation: health_snapshot.Expectation,
    current: release.Record | lost_streams.NotComparedError | None,
    run_command: service.RunCommand,
) -> checks.Observer:
    """Make the one that looks; MonitoringError where a URL can't be one."""
    bot = params["bot"]

    def look_up_if_named(given: Given, program: background.Program | None) -> service.Service | str | None:
        return look_up(given, program, run_command) if given["service"] or program else None

    found = look_up_if_named(bot, bot_of(bot)) if bot else None
    is_monitored = bot and bot["monitoring_url"] and bot["mode"] == bot_expectation.Mode.NATS
    serving = look_up_if_named(params, server_of(params))
    return checks.Observer(
        monitor=monitoring.connect(params),
        expectation=expectation,
        bot=http_reader.Reader(bot["health_url"], bot_expectation.BOT, timeout=params["timeout"]) if bot else None,
        bot_monitor=monitoring.connect({**params, "monitoring_url": bot["monitoring_url"]}) if is_monitored else None,
        service=serving,
        files=files_of(serving, server_of(params)) if params["local_files"] else None,
        is_off=is_off(serving, server_of(params)),
        listeners=tls_listener.given(params["tls_listeners"]),
        local_files=params["local_files"],
        apart=None if params["asked_at"] is None else time.time() - params["asked_at"],
        bot_service=found,
        no_bot=bot_health.why_no_bot(bot, found) if bot else "",
        record=record_of(params, current) if params["release_dir"] else None,
    )


def is_off(found: service.Service | str | None, program: background.Server | None) -> bool:
    """Tell whether the server was stopped in good order, and does not start with the host.

    program: where it runs as a process, which nothing starts with the host, and which leaves no pid file.
    """
    if not isinstance(found, service.Service) or found.running:
        return False
    if program:
        return not os.path.lexists(program.pid_file)
    return found.exists and not (found.enabled or found.failing or found.masked or found.broken)


def files_of(
    found: service.Service | str | None, program: background.Server | None = None
) -> server_files.Look | str | None:
    """Look at what the server reads and writes; why that is not known, or None where none runs.

    program: where it runs as a process.
    """
    if not isinstance(found, service.Service) or found.running is None:
        return None
    try:
        return server_files.look(found.running, program.pid_file if program else None)
    except server_files.UnseenError as error:
        return str(error)


def record_of(
    params: Given, current: release.Record | lost_streams.NotComparedError | None
) -> lost_streams.Record | lost_streams.NotComparedError:
    """Make what compares the streams with those that were proven; MonitoringError where the URL can't be one."""
    if isinstance(current, lost_streams.NotComparedError):
        return current
    timeout = max(params["timeout"], asset_reading.SECONDS)
    monitor = monitoring.connect({**params, "timeout": timeout})
    return lost_streams.Record(Path(params["release_dir"]), monitor, params["local_files"])


def main() -> None:
    """Run the module."""
    module = HealthModule(
        argument_spec={
            **monitoring.ARGUMENTS,
            **tls_listener.ARGUMENTS,
            "server_name": {"type": "str"},
            "version": {"type": "str"},
            "jetstream": {"type": "raw"},
            "cluster": {"type": "bool", "default": False},
            "cluster_members": {"type": "list", "elements": "str", "default": []},
            "asked_at": {"type": "float"},
            "client_url": {"type": "str"},
            "release_dir": {"type": "path"},
            "local_files": {"type": "bool", "default": True},
            "service": {"type": "str"},
            "process": {"type": "dict", "options": PROCESS},
            "bot": {"type": "dict", "options": BOT, "mutually_exclusive": [("service", "process")]},
            "thresholds": {"type": "dict", "default": {}},
        },
        required_by=monitoring.REQUIRED_BY,
        mutually_exclusive=[("service", "process")],
        supports_check_mode=True,
    )
    params = service.params_of(module)
    bot = params["bot"] or {"servers": [], "health_url": "", "monitoring_url": ""}
    urls = (bot["health_url"], bot["monitoring_url"] or "", params["monitoring_url"], params["client_url"] or "")
    for url in (*bot["servers"], *urls):
        module.no_log_values.update(bot_expectation.secrets_of(url))
    if not http_reader.HAS_REQUESTS:
        module.fail_json(msg=missing_required_lib("requests"))
    if found := faults(params):
        module.fail_json(msg="\n".join(found))
    try:
        limits = check_table.limits(params["thresholds"])
        current = current_of(params)
        expectation = expectation_of(params, current if isinstance(current, release.Record) else None)
        observer = observer_of(params, expectation, current, service.run_with(module))
    except check_limits.LimitsError as error:
        module.fail_json(msg="\n".join(f"thresholds: {line}" for line in str(error).splitlines()))
    except http_reader.MonitoringError as error:
        module.fail_json(msg=str(error))
    made = checks.judge(observer.look(), expectation, limits)
    module.exit_json(
        changed=False,
        status=str(check_limits.worst(check.status for check in made)),
        summary=checks.summary(made),
        checks=[check.as_result() for check in made],
    )


if __name__ == "__main__":
    main()
