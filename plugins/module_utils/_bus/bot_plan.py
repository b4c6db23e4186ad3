# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment of the bot means for a host: what it changes, and whether the bot has to be restarted."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._bus.results import Planned
from ansible_collections.rosey.nats.plugins.module_utils._deploy import entries, known, record_guard
from ansible_collections.rosey.nats.plugins.module_utils._host import (
    atomic_file,
    background,
    process,
    service,
    system,
    unit_checks,
    unit_file,
    yaml_section,
)
from ansible_collections.rosey.nats.plugins.module_utils._host.action import Action, Reason, least
from ansible_collections.rosey.nats.plugins.module_utils._host.tree import compare, ownership, spec

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "home": {"type": "path", "required": True},
    "runtime": {"type": "str", "required": True, "choices": ["systemd", "process"]},
    "service": {"type": "str", "default": "cytube-bot"},
    "owner": {"type": "str"},
    "command": {"type": "list", "elements": "str", "default": []},
    "pid_file": {"type": "path"},
    "release_dir": {"type": "path"},
    "settings": {"type": "dict"},
    "run": record_guard.ARGUMENT,
    "described": {"type": "list", "elements": "str", "choices": ["bot", "plugins"], "default": ["bot"]},
    **entries.SPEC,
}
# What the arguments ask of each other, beside those of entries.SPEC.
CONSTRAINTS: dict[str, t.Any] = {"required_if": [("runtime", "process", ["pid_file"])]}

# What keeps a host from being looked at, or from taking the deployment: whole sentences, that say what to do.
ERRORS: tuple[type[Exception], ...] = (
    background.ProcessError,
    atomic_file.ReleaseError,
    service.ServiceError,
    spec.StateError,
)


def plan(params: Mapping[str, t.Any], run_command: service.RunCommand) -> Planned:
    """Look at the host and give what a deployment means for its bot, as ARGUMENTS ask; one of ERRORS where it can't be.

    params: with entries, which EntriesModule has read of a release.
    """
    plan_now = _observe(params, run_command)
    if not params["release_dir"]:
        return Planned(plan_now)
    drops = record_guard.consult(params, no_bot=_why_no_bot(params, plan_now))
    releases = known.observe(Path(params["release_dir"]), params["described"], params["settings"], params["entries"])
    return Planned({**plan_now, "release": {**releases, "drops": list(drops)}}, entries.no_way_back(releases))


def _observe(params: Mapping[str, t.Any], run_command: service.RunCommand) -> dict[str, t.Any]:
    """Look at the host and give the module's result; StateError, ServiceError."""
    installed = Path(params["home"]).is_dir()
    bot = background.Bot(tuple(params["command"]), Path(params["pid_file"])) if params["runtime"] == "process" else None
    service_now = _service(params, bot, run_command)
    problems = _unit_problems(params, service_now) if installed and bot is None else []
    if problems:
        raise service.ServiceError("\n".join(problems))
    described = [each for each in params["entries"] if installed and _is_comparable(each)]
    seen = compare.look(described)
    reasons = [
        *_command_reasons(bot, service_now),
        *_reasons(seen.changes),
        *_stale_reasons(described, service_now.running),
    ]
    return {
        "installed": installed,
        "packages": system.missing_packages(["requests", "yaml"]) if installed else [],
        "changes": [change.as_result() for change in seen.changes],
        "unmanaged": seen.unmanaged,
        "service": service_now.as_result(),
        "drop_ins": unit_checks.told(service_now.drop_ins),
        "action": str(_action(installed, service_now, reasons)),
        "reasons": [
            str(each) for each in (*(reasons if service_now.running else ()), *ownership.repairs(seen.changes))
        ],
    }


def _is_comparable(entry: Mapping[str, t.Any]) -> bool:
    return yaml_section.HAS_YAML or entry["state"] != spec.State.SECTION


def _service(
    params: Mapping[str, t.Any], bot: background.Bot | None, run_command: service.RunCommand
) -> service.Service:
    if bot is None:
        return service.look_up(params["service"], run_command)
    return service.Service(exists=bool(bot.command), enabled=True, running=background.find(bot))


def _unit_problems(params: Mapping[str, t.Any], service_now: service.Service) -> list[str]:
    """Say why the bot's service can't be started as it is meant. Its unit comes with the bot, its account is known."""
    not_startable = unit_checks.not_startable(params["service"], service_now)
    sets_account = any(each.name in unit_checks.BOT_SETTINGS for each in service_now.drop_ins)
    meant = [unit_file.Setting("Service", "User", params["owner"])] if params["owner"] else service_now.unit
    overridden = unit_checks.overridden("bot_config", meant, service_now.drop_ins, unit_checks.BOT_SETTINGS)
    return [*filter(None, [not_startable]), *(overridden if sets_account else [])]


def _command_reasons(bot: background.Bot | None, service_now: service.Service) -> Iterator[Reason]:
    """Name a command that the running bot was not started with; neither is shown, arguments may be secret."""
    if bot and service_now.exists and service_now.running and service_now.running.command != bot.command:
        yield Reason("command", "as it was started", "as described", Action.RESTART)


def _reasons(changes: Iterable[compare.Change]) -> Iterator[Reason]:
    """Name what a running bot only takes up with a new process."""
    for change in changes:
        read = [str(item.aspect) for item in change.differences if item.aspect not in compare.METADATA]
        if read and change.entry.state != spec.State.DIRECTORY and change.entry.reader:
            yield Reason("file", change.path, read[0], Action.RESTART)


def _stale_reasons(described: Sequence[Mapping[str, t.Any]], running: process.Process | None) -> Iterator[Reason]:
    """Name a file that the running bot never read, as after a deployment that was cut off."""
    if running is None:
        return
    for entry in described:
        # the list of a directory is written when a file of it comes or goes
        path = Path(entry["path"], entry.get("manifest") or "")
        if entry.get("reader") and path.is_file() and running.is_older_than(path):
            yield Reason("file", str(path), "written since the bot was started", Action.RESTART)


def _action(installed: bool, service_now: service.Service, reasons: Sequence[Reason]) -> Action:
    if not installed or not service_now.exists:
        return Action.NOTHING
    return least(reasons) if service_now.running else Action.START


def _why_no_bot(params: Mapping[str, t.Any], plan_now: Mapping[str, t.Any]) -> str:
    """Say why the host has no bot; empty where it has one."""
    if not plan_now["installed"]:
        return f"{params['home']} is not there"
    return "" if plan_now["service"]["exists"] else f"{params['service']}.service is not there"
