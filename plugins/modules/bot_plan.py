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
    description: The name of the service under systemd.
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
    description: With O(runtime=process), the file that holds the number of the bot's process.
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
seealso:
  - module: rosey.nats.bot_health
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
strangers:
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
  description: What the host keeps of releases, with O(releases) alone.
  returned: when O(releases) is given
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

import typing as t
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._deploy import record_guard, release
from ansible_collections.rosey.nats.plugins.module_utils._deploy.entries import SPEC, EntriesModule, warn_of_no_way_back
from ansible_collections.rosey.nats.plugins.module_utils._host import (
    background,
    process,
    sealed,
    service,
    splice,
    system,
    unit_checks,
    unit_file,
)
from ansible_collections.rosey.nats.plugins.module_utils._host.action import Action, Reason, least
from ansible_collections.rosey.nats.plugins.module_utils._host.tree import compare, ownership, spec


def observe(params: Mapping[str, t.Any], run_command: service.RunCommand) -> dict[str, t.Any]:
    """Look at the host and give the module's result; StateError, ServiceError."""
    installed = Path(params["home"]).is_dir()
    bot = background.Bot(tuple(params["command"]), Path(params["pid_file"])) if params["runtime"] == "process" else None
    found = _service(params, bot, run_command)
    problems = _unit_problems(params, found) if installed and bot is None else []
    if problems:
        raise service.ServiceError("\n".join(problems))
    entries = [each for each in params["entries"] if installed and _is_comparable(each)]
    seen = compare.look(entries)
    reasons = [*_command_reasons(bot, found), *_reasons(seen.changes), *_stale_reasons(entries, found.running)]
    return {
        "installed": installed,
        "packages": system.missing_packages(system.PACKAGES) if installed else [],
        "changes": [change.as_result() for change in seen.changes],
        "strangers": seen.strangers,
        "service": found.as_result(),
        "drop_ins": unit_checks.told(found.drop_ins),
        "action": str(_action(installed, found, reasons)),
        "reasons": [str(each) for each in (*(reasons if found.running else ()), *ownership.repairs(seen.changes))],
    }


def _is_comparable(entry: Mapping[str, t.Any]) -> bool:
    return splice.HAS_YAML or entry["state"] != spec.State.SECTION


def _service(
    params: Mapping[str, t.Any], bot: background.Bot | None, run_command: service.RunCommand
) -> service.Service:
    if bot is None:
        return service.look_up(params["service"], run_command)
    return service.Service(exists=bool(bot.command), enabled=True, running=background.find(bot))


def _unit_problems(params: Mapping[str, t.Any], found: service.Service) -> list[str]:
    """Say why the bot's service can't be started as it is meant. Its unit comes with the bot, its account is known."""
    not_startable = unit_checks.not_startable(params["service"], found)
    sets_account = any(each.name in unit_checks.BOT_SETTINGS for each in found.drop_ins)
    meant = [unit_file.Setting("Service", "User", params["owner"])] if params["owner"] else found.unit
    overridden = unit_checks.overridden("bot_config", meant, found.drop_ins, unit_checks.BOT_SETTINGS)
    return [*filter(None, [not_startable]), *(overridden if sets_account else [])]


def _command_reasons(bot: background.Bot | None, found: service.Service) -> Iterator[Reason]:
    """Name a command that the running bot was not started with; neither is shown, arguments may be secret."""
    if bot and found.exists and found.running and found.running.command != bot.command:
        yield Reason("command", "as it was started", "as described", Action.RESTART)


def _reasons(changes: Iterable[compare.Change]) -> Iterator[Reason]:
    """Name what a running bot only takes up with a new process."""
    for change in changes:
        read = [str(item.aspect) for item in change.differences if item.aspect not in compare.METADATA]
        if read and change.entry.state != spec.State.DIRECTORY and change.entry.reader:
            yield Reason("file", change.path, read[0], Action.RESTART)


def _stale_reasons(entries: Sequence[Mapping[str, t.Any]], running: process.Process | None) -> Iterator[Reason]:
    """Name a file that the running bot never read, as after a deployment that was cut off."""
    if running is None:
        return
    for entry in entries:
        # the list of a directory is written when a file of it comes or goes
        path = Path(entry["path"], entry.get("manifest") or "")
        if entry.get("reader") and path.is_file() and running.is_older_than(path):
            yield Reason("file", str(path), "written since the bot was started", Action.RESTART)


def _action(installed: bool, found: service.Service, reasons: Sequence[Reason]) -> Action:
    if not installed or not found.exists:
        return Action.NOTHING
    return least(reasons) if found.running else Action.START


def _why_no_bot(params: Mapping[str, t.Any], found: Mapping[str, t.Any]) -> str:
    """Say why the host has no bot; empty where it has one."""
    if not found["installed"]:
        return f"{params['home']} is not there"
    return "" if found["service"]["exists"] else f"{params['service']}.service is not there"


def main() -> None:
    """Run the module."""
    module = EntriesModule(
        argument_spec={
            "home": {"type": "path", "required": True},
            "runtime": {"type": "str", "required": True, "choices": ["systemd", "process"]},
            "service": {"type": "str", "default": "cytube-bot"},
            "owner": {"type": "str"},
            "command": {"type": "list", "elements": "str", "default": []},
            "pid_file": {"type": "path"},
            "releases": {"type": "path"},
            "settings": {"type": "dict"},
            "run": record_guard.ARGUMENT,
            "described": {"type": "list", "elements": "str", "choices": ["bot", "plugins"], "default": ["bot"]},
            **SPEC,
        },
        required_if=[("runtime", "process", ["pid_file"])],
        supports_check_mode=True,
    )
    try:
        given = module.params
        found = observe(given, service.run_with(module))
        if given["releases"]:
            drops = record_guard.consult(given, no_bot=_why_no_bot(given, found))
            known = release.observe(Path(given["releases"]), given["described"], given["settings"], given["entries"])
            found["release"] = {**known, "drops": list(drops)}
            warn_of_no_way_back(module, known)
    except (background.ProcessError, sealed.ReleaseError, service.ServiceError, spec.StateError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
