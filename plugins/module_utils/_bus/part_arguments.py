# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What plans and gates ask, by the settings of a release's parts as `usable.SETTINGS` has them."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping

from ansible_collections.rosey.nats.plugins.module_utils._bus import turns
from ansible_collections.rosey.nats.plugins.module_utils._host.action import Action
from ansible_collections.rosey.nats.plugins.module_utils._server import subjects

Settings: t.TypeAlias = "Mapping[str, t.Any]"

_SYSTEMD, _DOCKER, _PROCESS = "systemd", "docker", "process"


def server(settings: Settings) -> dict[str, t.Any]:
    """Give what tells nats_plan of a server; what is of another runtime is left out."""
    runtime = settings["runtime"]
    return _given(
        {
            "runtime": runtime,
            "service": settings["service"] if runtime == _SYSTEMD else None,
            "user": settings["user"] if runtime == _SYSTEMD else None,
            "group": settings["group"] if runtime == _SYSTEMD else None,
            "pid_file": settings["pid_file"] if runtime == _PROCESS else None,
            "version": settings["version"],
            "directory": settings["directory"],
            "link": settings["link"],
            "config_file": settings["config_file"],
            "copies": settings["copies"],
        }
    )


def server_gate(settings: Settings, plan: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Give what nats_gate is asked about a server. plan: what nats_plan found."""
    runtime, action = settings["runtime"], plan["action"]
    is_started = action in (Action.START, Action.RESTART)
    return _given(
        {
            "monitoring_url": settings["monitoring_url"],
            "version": settings["version"],
            "config_file": settings["config_file"],
            "local_files": runtime != _DOCKER,
            "since": plan["mark"] if action == Action.RELOAD else None,
            "service": settings["service"] if runtime == _SYSTEMD else None,
            "pid_file": settings["pid_file"] if runtime == _PROCESS else None,
            "data": plan["store"]["data"],
            "restarted": runtime == _DOCKER and is_started,
            "accepted": plan["accepted"],
            "cluster_members": None if turns.accepts_quorum(plan["accepted"]) else members(settings) or None,
            "wait": settings["gate_wait"],
            # a server that was just started may still die
            "soak": settings["gate_soak"] if is_started else 0,
        }
    )


def members(settings: Settings) -> list[str]:
    """Name all servers of the cluster that a server is in; none where it stands alone, or was recorded earlier."""
    return list((settings.get("cluster") or {}).get("members", {}).values())


def bot(settings: Settings) -> dict[str, t.Any]:
    """Give what tells bot_plan of a bot."""
    return _given(
        {
            "home": settings["home"],
            "runtime": settings["runtime"],
            "service": settings["service"],
            "owner": settings["owner"] or None,
            "command": settings["command"],
            "pid_file": settings["pid_file"],
        }
    )


def bot_gate(settings: Settings, plugins: Settings | None) -> dict[str, t.Any]:
    """Give what bot_gate is asked about a bot.

    plugins: the settings of that part, None where a run leaves it out, and so can't ask for what it says.
    """
    is_connected = settings["mode"] == "nats"
    held = plugins["plugins"] if plugins and is_connected else []
    subject = settings["round_trip_subject"] or _first_command(held, _prefix(settings))
    trip = {
        "subject": subject,
        "limit_milliseconds": settings["round_trip_limit"],
        "options": settings["login"],
    }
    return _given(
        {
            "health_url": settings["health_url"],
            "mode": settings["mode"],
            "servers": settings["servers"],
            "required": settings["required"],
            "plugins": held,
            "client_name": settings["client_name"] or None,
            "monitoring_url": settings["monitoring_url"] or None,
            "round_trip": trip if settings["round_trip"] and is_connected and subject else None,
            "python": settings["python"] or None,
            "user": settings["owner"] or None,
            "environment_file": settings["environment_file"],
            "clients": plugins["clients"] if plugins and is_connected else [],
            "tls_hostname": settings["login"].get("tls_hostname"),
            "tls_handshake_first": settings["login"].get("tls_handshake_first"),
            "home": settings["home"],
            "service": settings["service"] if settings["runtime"] == _SYSTEMD else None,
            "pid_file": settings["pid_file"] if settings["runtime"] == _PROCESS else None,
            "wait": settings["gate_wait"],
        }
    )


def _given(arguments: Settings) -> dict[str, t.Any]:
    """Leave out what is null: to a module, such an argument is given."""
    return {name: value for name, value in arguments.items() if value is not None}


def _prefix(settings: Settings) -> str | None:
    """Give the prefix of a bot's subjects; an earlier version recorded none, and knew the standard environments."""
    return settings.get("prefix") or subjects.PREFIXES.get(settings["environment"])


def _first_command(plugins: t.Iterable[Mapping[str, t.Any]], prefix: str | None) -> str:
    """Give the first command that a plugin listens to, without wildcards; empty where there is none."""
    if not prefix:
        return ""
    command = re.compile(rf"{re.escape(prefix)}\.commands\.[^*>]+")
    heard = (subject for plugin in plugins for subject in plugin["subscriptions"])
    return next((subject for subject in heard if command.fullmatch(subject)), "")
