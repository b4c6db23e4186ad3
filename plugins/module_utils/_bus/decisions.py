# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment does on a host: the steps that it takes, whether it has to go back, what it records.

Nothing here looks at a host. Before the steps, `steps` decides by what was observed; after them, `ending` by what came
of each.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from ansible_collections.rosey.nats.plugins.module_utils._host.action import Action
from ansible_collections.rosey.nats.plugins.module_utils._host.python import StrEnum

SERVER, BOT, PLUGINS = "server", "bot", "plugins"
OF_BOT = (BOT, PLUGINS)

_DOCKER, _SYSTEMD = "docker", "systemd"
_YAML = "python3-yaml"
_NOTHING: Mapping[str, t.Any] = {}

Settings: t.TypeAlias = "Mapping[str, t.Any]"
Result: t.TypeAlias = "Mapping[str, t.Any]"


@dataclass(frozen=True)
class Observed:
    """What a host was found to have, before the first step.

    parts: of a release, those that the run applies. settings: by part, also of a bot whose plugins alone are applied.
    server, bot: what nats_plan and bot_plan found, None for what is not applied. release: the id of the one that the
    host goes to, empty where a description is applied. is_only_predicted: in check mode. stops_bot_first: as legacy
    mode asks for.
    """

    parts: tuple[str, ...]
    settings: Mapping[str, Settings]
    server: Result | None
    bot: Result | None
    release: str = ""
    is_only_predicted: bool = False
    stops_bot_first: bool = False

    @property
    def bot_parts(self) -> tuple[str, ...]:
        """Name the parts that the bot reads."""
        return tuple(name for name in self.parts if name in OF_BOT)

    @property
    def packages(self) -> list[str]:
        """Name the distribution's packages that the modules lack on the host."""
        found = [*(self.server or _NOTHING).get("packages", ()), *(self.bot or _NOTHING).get("packages", ())]
        return list(dict.fromkeys(found))

    @property
    def differing(self) -> tuple[str, ...]:
        """Name the parts whose files are not as they are meant. Without PyYAML, the bot's can't be compared."""
        server, bot = self.server, self.bot
        parts = [SERVER] if server and server["changes"] else []
        if bot and bot["installed"] and (bot["changes"] or bot["packages"]):
            parts += self.bot_parts
        return tuple(parts)

    @property
    def has_binary(self) -> bool:
        """Whether no binary is to be installed; a container brings its own."""
        if self.server is None or self.settings[SERVER]["runtime"] == _DOCKER:
            return True
        return bool(self.server["binary"]["installed"] and self.server["binary"]["linked"])

    @property
    def is_unchanged(self) -> bool:
        """Whether the host is as it is meant, as far as looking tells."""
        server, bot = self.server, self.bot
        is_server = not server or (_asks(server) is Action.NOTHING and not server["changes"] and self.has_binary)
        return not self.packages and is_server and (not bot or (_asks(bot) is Action.NOTHING and not bot["changes"]))

    @property
    def stops_bot(self) -> bool:
        """Whether the bot is stopped before its files change. One that is as it shall be need not be."""
        return bool(self.stops_bot_first and self.bot and _asks(self.bot) is not Action.NOTHING)

    @property
    def is_bot_asked(self) -> bool:
        """Whether the bot's gate is asked. It is never left out where it was asked for."""
        if self.bot is None:
            return False
        gate = self.settings[BOT]["gate"]
        return gate == "always" or (gate == "auto" and bool(self.bot["installed"] and self.bot["service"]["exists"]))

    @property
    def is_unrecorded(self) -> bool:
        """Whether the host's release is another than what is applied."""
        server, bot = self.server, self.bot
        return bool(
            (server and self.settings[SERVER]["gate"] and not server["release"]["recorded"])
            or (bot and self.is_bot_asked and not bot["release"]["recorded"])
            or (bot and bot["release"]["drops"])
        )

    @property
    def known(self) -> Result:
        """What the host keeps of releases, and who is at work."""
        plan_of_part = self.server or self.bot
        return plan_of_part["release"] if plan_of_part else {"current": None, "lease": None, "sequence": 0}

    @property
    def writes(self) -> bool:
        """Whether the host is written to: to change it, to record it, or to end what another run has left open."""
        return not self.is_only_predicted and bool(
            not self.is_unchanged
            or self.stops_bot
            or self.is_unrecorded
            or self.release
            or self.known["lease"] is not None
        )

    @property
    def can_be_proven_at_once(self) -> bool:
        """Whether there is nothing to do but to ask the gates, all with the same rights."""
        becomes = {self.settings[name]["become"] for name in self._asked}
        runs = self.server is not None and _is_run(self.settings[SERVER]["runtime"], self.server)
        return self.is_unchanged and not self.writes and not runs and len(becomes) == 1

    @property
    def _asked(self) -> list[str]:
        return [*([SERVER] if self.server else []), *([BOT] if self.bot else [])]

    def as_result(self) -> dict[str, t.Any]:
        """Give what the steps have to know, as a module returns it."""
        becomes = {name: name in self._asked and self.settings[name]["become"] for name in (SERVER, BOT)}
        return {
            "parts": list(self.parts),
            "settings": self.settings,
            "server": self.server or {},
            "bot": self.bot or {},
            "become": {**becomes, "any": any(becomes.values())},
            "differing": list(self.differing),
            "packages": self.packages,
            "release": self.known,
            "going_to": self.release,
            "stops_bot": self.stops_bot,
            "absent": absent(self),
            "unpredicted": unpredicted(self) if self.is_only_predicted else [],
        }


@dataclass(frozen=True)
class Steps:
    """The steps of a deployment, in their order: whether each is taken."""

    claim: bool = False
    add_packages: bool = False
    install_binary: bool = False
    bring_archive: bool = False
    add_group: bool = False
    add_user: bool = False
    stop_bot: bool = False
    configure: bool = False
    copy_store: bool = False
    run_server: bool = False
    bring_back: bool = False
    prove_server: bool = False
    run_bot: bool = False
    prove_bot: bool = False


def steps(seen: Observed, proven: Sequence[str] = ()) -> Steps:
    """Decide which steps a host needs. proven: the parts whose gate has been asked already, and has passed."""
    server, bot = seen.server, seen.bot
    taken: dict[str, bool] = {
        "claim": seen.writes,
        "add_packages": bool(seen.packages),
        "configure": bool(seen.differing),
        "stop_bot": seen.stops_bot,
    }
    if server:
        settings = seen.settings[SERVER]
        acts = _asks(server) is not Action.NOTHING
        taken |= {
            "install_binary": not seen.has_binary,
            "bring_archive": not seen.has_binary and not server["binary"]["installed"],
            "add_group": settings["runtime"] == _SYSTEMD and not server["group_exists"],
            "add_user": settings["runtime"] == _SYSTEMD and not server["user_exists"],
            "copy_store": bool(server["store"]["needs_copy"]),
            "run_server": _is_run(settings["runtime"], server),
            "bring_back": all((server["store"]["back"], server["store"]["next"], settings["monitoring_url"])),
            # what is only predicted can't be proven
            "prove_server": settings["gate"] and SERVER not in proven and not (seen.is_only_predicted and acts),
        }
    if bot:
        taken |= {
            "run_bot": _asks(bot) is not Action.NOTHING,
            "prove_bot": seen.is_bot_asked
            and BOT not in proven
            and not (seen.is_only_predicted and not seen.is_unchanged),
        }
    return Steps(**taken)


def _is_run(runtime: str, server: Result) -> bool:
    if runtime == _DOCKER:
        # whether a container runs is for Docker's own module to find out
        return True
    # a comment of the unit is nothing to the server, and systemd reads it all the same
    is_unread = runtime == _SYSTEMD and (not server["service"]["enabled"] or server["unit_changed"])
    return _asks(server) is not Action.NOTHING or is_unread


def _asks(plan: Result) -> Action:
    return Action(plan["action"])


def unpredicted(seen: Observed) -> list[str]:
    """Say what only a deployment can find out, a line each."""
    server, bot = seen.server, seen.bot
    lines = []
    if (
        server
        and "python3-requests" in server["packages"]
        and (server["service"]["pid"] is not None or _in_docker(seen))
    ):
        lines.append(
            "the running server: python3-requests is not there to ask it, so what it holds and what it would reload is "
            "not known"
        )
    if bot and _YAML in bot["packages"] and seen.is_only_predicted:
        why = f"{_YAML} is not there to read it, so what would change in it is not known"
        lines += [f"the bot's file: {why}"] if seen.release else [f"{path}: {why}" for path in bot["uncompared"]]
    return lines


def absent(seen: Observed) -> list[str]:
    """Say what of the bot is not there, and so is left out."""
    if seen.bot is None:
        return []
    settings = seen.settings[BOT]
    if not seen.bot["installed"]:
        return [
            f"{settings['home']} is not there: the bot is not installed, so its files and its service are left out. "
            "Install the bot, then run again."
        ]
    if not seen.bot["service"]["exists"]:
        return [
            f"{settings['service']}.service is not there, so nothing was restarted. Install the bot's service, or name "
            "it in bot_config_service."
        ]
    return []


def _in_docker(seen: Observed) -> bool:
    return bool(seen.settings[SERVER]["runtime"] == _DOCKER)


class End(StrEnum):
    """How the lease ends: with nothing more, with a release pointed to, or with one that is recorded."""

    NONE = "none"
    ENDED = "ended"
    CURRENT = "current"
    RECORDED = "recorded"


@dataclass(frozen=True)
class Outcomes:
    """What came of the steps, as Ansible registers it; empty for what was not done, or is not known."""

    lease: Result = field(default_factory=dict)
    packages: Result = field(default_factory=dict)
    group: Result = field(default_factory=dict)
    user: Result = field(default_factory=dict)
    binary: Result = field(default_factory=dict)
    stopped: Result = field(default_factory=dict)
    tree: Result = field(default_factory=dict)
    copied: Result = field(default_factory=dict)
    server: Result = field(default_factory=dict)
    brought_back: Result = field(default_factory=dict)
    server_gate: Result = field(default_factory=dict)
    bot: Result = field(default_factory=dict)
    bot_gate: Result = field(default_factory=dict)

    @property
    def holds_lease(self) -> bool:
        """Whether the host was claimed."""
        return "lease" in self.lease

    def proves(self, part: str) -> bool:
        """Whether the gate of a part has passed."""
        gate = self.server_gate if part == SERVER else self.bot_gate
        return bool(gate.get("passed"))


def has_switched(came: Outcomes, server_action: str, *, stops_bot: bool) -> bool:
    """Say whether a run has changed the host. What failed before that has left it as it was.

    server_action: what the plan asked of the server. Of a module that died, nobody can tell what it has done.
    """
    if not came.holds_lease:
        return False
    return bool(
        _changed(came.tree)
        or came.tree.get("touched", _failed(came.tree))
        or _changed(came.binary)
        or "module_stdout" in came.binary
        or any(_changed(each) or _failed(each) for each in (came.stopped, came.brought_back, came.bot))
        or was_run(came, server_action)
        or _changed(came.server)
        or stops_bot
    )


def was_run(came: Outcomes, server_action: str) -> bool:
    """Say whether the server was started, restarted or reloaded. What a container reloads is no change of it."""
    return "changed" in came.server and server_action not in ("", Action.NOTHING)


def proven_parts(parts: Sequence[str], came: Outcomes) -> list[str]:
    """Name the parts whose gate passed in this run; nothing else becomes a release."""
    return [name for name in parts if came.proves(name)]


def end(plan: Result, came: Outcomes) -> End:
    """Decide how the lease ends. plan: as bus_plan returns it."""
    proven = proven_parts(plan["parts"], came)
    if not came.holds_lease:
        return End.NONE
    if plan["going_to"] or (_is_legacy(plan) and not proven):
        return End.CURRENT
    return End.RECORDED if proven and _is_there(plan, came) else End.ENDED


def _is_legacy(plan: Result) -> bool:
    return bool(plan["bot"]) and plan["settings"][BOT]["mode"] == "legacy"


def _is_there(plan: Result, came: Outcomes) -> bool:
    """Say whether what was planned is on the host. A run that leaves steps out may prove what it had before."""
    asked = ((plan["server"], came.server), (plan["bot"], came.bot))
    return (not plan["differing"] or "changes" in came.tree) and all(
        not part or part["action"] == Action.NOTHING or "changed" in result for part, result in asked
    )


def drops(plan: Result, proven: Sequence[str]) -> list[str]:
    """Name the parts of the current release that one to be recorded does not have.

    What the host has otherwise than its release, and what was not proven with the server as it is now, would not be
    what anybody has proven.
    """
    server, bot = (plan[name].get("release", _NOTHING) for name in (SERVER, BOT))
    dropped = {*server.get("drops", ()), *bot.get("drops", ())}
    if SERVER in plan["parts"] and not server.get("recorded"):
        dropped.add(SERVER)
    of_bot = [part for part in plan["parts"] if part in OF_BOT]
    if of_bot and not bot.get("recorded"):
        dropped.update(of_bot)
    if of_bot and server.get("access"):
        dropped.update(OF_BOT)
    return sorted(dropped - set(proven))


def _changed(result: Result) -> bool:
    return bool(result.get("changed"))


def _failed(result: Result) -> bool:
    return bool(result.get("failed"))


def as_result(taken: Steps) -> dict[str, bool]:
    """Give the steps as a module returns them, with `any`, whether there is one at all."""
    of_steps = asdict(taken)
    return {**of_steps, "any": any(of_steps.values())}
