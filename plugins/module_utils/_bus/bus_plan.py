# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment of server, bot and plugins means for a host and, where it means nothing, their proof."""

from __future__ import annotations

import os
import typing as t
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values

from ansible_collections.rosey.nats.plugins.module_utils._bus import (
    access_changes,
    bot_gate,
    bot_plan,
    decisions,
    part_arguments,
    server_gate,
    server_plan,
)
from ansible_collections.rosey.nats.plugins.module_utils._bus.decisions import BOT, PLUGINS, SERVER
from ansible_collections.rosey.nats.plugins.module_utils._bus.results import GateError, Planned, Proof
from ansible_collections.rosey.nats.plugins.module_utils._deploy import (
    described,
    entries,
    history,
    record_guard,
    release,
    usable,
)
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file, service, yaml_section
from ansible_collections.rosey.nats.plugins.module_utils._host.tree import spec

Hide: t.TypeAlias = "t.Callable[[Iterable[str]], None]"

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "parts": entries.PARTS_SPEC,
    "release": {"type": "str"},
    "names": {"type": "list", "elements": "str", "choices": list(release.PARTS)},
    "bot": {"type": "dict"},
    "release_dir": {"type": "path", "required": True},
    "run": record_guard.ARGUMENT,
    "origin": history.ARGUMENT,
    "stop_bot_first": {"type": "bool", "default": False},
    **{
        name: server_plan.ARGUMENTS[name]
        for name in ("checksums", "archive_for", "accept", "store_copy", "ran_last", "back")
    },
}
# What the arguments ask of each other.
CONSTRAINTS: dict[str, t.Any] = {
    "mutually_exclusive": [("parts", "release")],
    "required_one_of": [("parts", "release")],
}
ERRORS: tuple[type[Exception], ...] = (*server_plan.ERRORS, *bot_plan.ERRORS)

# Seconds for the gates where nothing was done that they would have to wait for.
_AT_ONCE: Mapping[str, Mapping[str, t.Any]] = {
    SERVER: {"wait": 1.0},
    # what is refused stands in the server's log, which an unchanged run adds nothing to
    BOT: {"wait": 1.0, "refusals": False},
}
_GATES = {SERVER: server_gate.ARGUMENTS, BOT: bot_gate.ARGUMENTS}


@dataclass(frozen=True)
class Wanted:
    """What a host is to have.

    parts: by name, as they are recorded. settings: likewise, with defaults for what was not recorded, and with those of
    a bot whose plugins alone are applied. release: the id that they are of, empty where they were described.
    time: of that release.
    """

    parts: Mapping[str, release.Part]
    settings: Mapping[str, Mapping[str, t.Any]]
    release: str = ""
    time: str = ""

    @property
    def of_bot(self) -> list[str]:
        """Name the parts that the bot reads."""
        return [name for name in decisions.OF_BOT if name in self.parts]

    def entries(self, names: Iterable[str]) -> list[Mapping[str, t.Any]]:
        """Give what shall stand on the host, of some parts."""
        return [entry for name in names for entry in self.parts[name].entries]


def plan(params: Mapping[str, t.Any], run_command: service.RunCommand, hide: Hide, *, check_mode: bool) -> Planned:
    """Look at the host, decide what is to be done, and where that is nothing ask the gates; one of ERRORS.

    What is to be done is kept on the host, but in check mode. hide: takes what is secret as soon as it is known.
    """
    wanted = _wanted(params)
    hide(entries.secrets_of(wanted.entries(wanted.parts)))
    directory = Path(params["release_dir"])
    if params["run"] is not None:
        # a way back that happens by itself goes on as the run that it is of
        record_guard.check_name(directory, history.origin_of(params["origin"]))
    run = {**params["run"], "parts": list(wanted.parts)} if params["run"] else None
    shared = {"release_dir": params["release_dir"], "run": run}
    server = _server(params, wanted, shared, run_command)
    bot = _bot(wanted, shared, run_command)
    if server:
        server = _with_clients(server, wanted, directory)
    seen = decisions.Observed(
        parts=tuple(wanted.parts),
        settings=wanted.settings,
        server=server.result if server else None,
        bot=bot.result if bot else None,
        release=wanted.release,
        is_only_predicted=check_mode,
        stops_bot_first=params["stop_bot_first"],
    )
    asked = _gates(seen, params["release_dir"])
    proofs = _prove(seen, asked, run_command, hide, check_mode=check_mode) if seen.can_be_proven_at_once else {}
    proven = [name for name, proof in proofs.items() if not proof.failure]
    taken = decisions.steps(seen, proven)
    applies = wanted.release
    if taken.claim and not applies:
        applies = described.keep(directory, wanted.parts, now=datetime.now(timezone.utc))
    planned = [each for each in (server, bot) if each]
    result = {
        **seen.as_result(),
        "going_to_time": wanted.time,
        "applies": applies,
        # those of a release are known to the host alone
        "paths": [] if wanted.release else [entry["path"] for entry in wanted.entries(wanted.parts)],
        # whoever ends the deployment, or begins the next one, takes away what has such a name
        "staging": str(directory / f"{atomic_file.temporary_name()}.tar.gz"),
        "left_behind": _left_behind(directory, wanted, planned),
        "gates": asked,
        "proofs": {name: proofs[name].result if name in proven else {} for name in _GATES},
        "steps": decisions.as_result(taken),
    }
    warnings = [warning for each in planned for warning in each.warnings]
    warnings += [warning for name in proven for warning in proofs[name].warnings]
    return Planned(result, tuple(dict.fromkeys(warnings)))


def _wanted(params: Mapping[str, t.Any]) -> Wanted:
    """Give what the arguments ask for, or what a release has; ReleaseError where it can't be applied."""
    directory = Path(params["release_dir"])
    if params["release"] is None:
        parts = {part["name"]: release.Part(part["settings"], part["entries"]) for part in params["parts"]}
        identity, time, bot = "", "", params["bot"]
    else:
        record = release.Store(directory).select_usable(params["release"])
        names = params["names"] or release.PARTS
        parts = {
            name: release.Part(part.settings, entries.taken(record.id, part.entries))
            for name, part in record.parts.items()
            if name in names
        }
        identity, time = record.id, record.time
        bot = record.parts[BOT].settings if BOT in record.parts else params["bot"]
    plain = {name: {"settings": part.settings, "entries": part.entries} for name, part in parts.items()}
    if PLUGINS in parts and BOT not in parts:
        # whose plugins they are, where the bot itself is left out
        plain[BOT] = {"settings": bot or {}, "entries": []}
    if problem := usable.problem(plain):
        raise atomic_file.ReleaseError(f"parts: {problem}. Describe them as the roles of the collection do.")
    settings = usable.settings(plain, directory)
    return Wanted({name: parts[name] for name in release.PARTS if name in parts}, settings, identity, time)


def _left_behind(directory: Path, wanted: Wanted, planned: Iterable[Planned]) -> list[str]:
    """Give what stands there of the host's release, and neither the wanted one has nor a change takes away."""
    store = release.Store(directory)
    record, current = store.find(wanted.release), store.current()
    if record is None or current is None:
        return []
    changed = {change["path"] for each in planned for change in each.result["changes"]}
    return release.left_behind(record, [path for path in current.paths - changed if os.path.lexists(path)])


def _server(
    params: Mapping[str, t.Any],
    wanted: Wanted,
    shared: Mapping[str, t.Any],
    run_command: service.RunCommand,
) -> Planned | None:
    if SERVER not in wanted.parts:
        return None
    own = wanted.entries([SERVER])
    arguments = {
        **part_arguments.server(wanted.settings[SERVER]),
        "settings": wanted.parts[SERVER].settings,
        **shared,
        **{name: params[name] for name in ("checksums", "archive_for", "accept", "store_copy", "ran_last", "back")},
        "entries": own,
        "release": _origin(params, wanted, [SERVER]),
    }
    planned = server_plan.plan(_with_defaults(server_plan.ARGUMENTS, arguments), run_command)
    return _without(planned, own)


def _with_clients(planned: Planned, wanted: Wanted, directory: Path) -> Planned:
    """Give the server's plan with reasons that name the clients of the bus, where it is known what these had before."""
    current = release.Store(directory).current()
    if PLUGINS not in wanted.parts or current is None or PLUGINS not in current.parts:
        return planned
    before, after = (part.settings.get("clients") or [] for part in (current.parts[PLUGINS], wanted.parts[PLUGINS]))
    logins = [entry for part in current.parts.values() for entry in part.entries], wanted.entries(wanted.parts)
    told = access_changes.changes(before, after, logins)
    return replace(
        planned, result={**planned.result, "reasons": access_changes.instead(planned.result["reasons"], told)}
    )


def _bot(wanted: Wanted, shared: Mapping[str, t.Any], run_command: service.RunCommand) -> Planned | None:
    if not wanted.of_bot:
        return None
    own = wanted.entries(wanted.of_bot)
    settings = {key: value for name in wanted.of_bot for key, value in wanted.parts[name].settings.items()}
    arguments = {
        **part_arguments.bot(wanted.settings[BOT]),
        **shared,
        "entries": own,
        "release": _origin(shared, wanted, wanted.of_bot),
        "settings": settings,
        "described": wanted.of_bot,
    }
    planned = bot_plan.plan(_with_defaults(bot_plan.ARGUMENTS, arguments), run_command)
    uncompared = (
        [] if yaml_section.HAS_YAML else [entry["path"] for entry in own if entry["state"] == spec.State.SECTION]
    )
    result = {**planned.result, "uncompared": uncompared if planned.result["installed"] else []}
    return _without(replace(planned, result=result), own)


def _origin(params: Mapping[str, t.Any], wanted: Wanted, names: Sequence[str]) -> dict[str, t.Any] | None:
    """Give the release that parts are of, as the plans take it."""
    if not wanted.release:
        return None
    return {"release_dir": params["release_dir"], "id": wanted.release, "parts": list(names)}


def _gates(seen: decisions.Observed, releases: str) -> dict[str, dict[str, t.Any]]:
    """Give what the gates are to be asked."""
    gates: dict[str, dict[str, t.Any]] = {SERVER: {}, BOT: {}}
    if seen.server and seen.settings[SERVER]["gate"]:
        gates[SERVER] = {
            **part_arguments.server_gate(seen.settings[SERVER], seen.server),
            "release_dir": releases,
        }
    if seen.is_bot_asked:
        gates[BOT] = part_arguments.bot_gate(
            seen.settings[BOT], seen.settings[PLUGINS] if PLUGINS in seen.parts else None
        )
    return gates


def _prove(
    seen: decisions.Observed,
    asked: Mapping[str, Mapping[str, t.Any]],
    run_command: service.RunCommand,
    hide: Hide,
    *,
    check_mode: bool,
) -> dict[str, Proof]:
    """Ask the gates, as they are asked after a change, but without waiting. What can't be asked now is asked then."""
    proofs = {}
    for name, gate_arguments in asked.items():
        if not gate_arguments:
            continue
        arguments = ArgumentSpecValidator(_GATES[name]).validate(
            {key: value for key, value in {**gate_arguments, **_AT_ONCE[name]}.items() if value is not None}
        )
        try:
            proofs[name] = (
                server_gate.prove(arguments.validated_parameters, run_command, check_mode=check_mode)
                if name == SERVER
                else bot_gate.prove(arguments.validated_parameters, hide, check_mode=check_mode)
            )
        except GateError:
            break
        if proofs[name].failure:
            break
    return proofs


def _with_defaults(spec_of: Mapping[str, Mapping[str, t.Any]], params: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Give all arguments of a module, as AnsibleModule would."""
    defaults = {name: option.get("default") for name, option in spec_of.items()}
    return {**defaults, **{name: value for name, value in params.items() if value is not None}}


# What is said of a part. The rest is what the steps go by: a secret that is a word of it would change that.
_SAID = ("reasons", "drop_ins", "dangers")


def _without(planned: Planned, own: Iterable[Mapping[str, t.Any]]) -> Planned:
    """Give a plan without what is secret of the entries that it is of, in what it says."""
    secret = entries.secrets_of(own)
    cleaned = {name: remove_values(planned.result[name], secret) for name in _SAID if name in planned.result}
    changes = [{**each, "what": remove_values(each["what"], secret)} for each in planned.result["changes"]]
    return replace(planned, result={**planned.result, **cleaned, "changes": changes})
