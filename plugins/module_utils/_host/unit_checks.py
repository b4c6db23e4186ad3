# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a host's systemd from running a service as it is meant, in whole sentences that say what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from ansible_collections.rosey.nats.plugins.module_utils._host import (
    hardening,
    redaction,
    service,
    unit_file,
)
from ansible_collections.rosey.nats.plugins.module_utils._host.needed_path import NeededPath

# The settings of the server's unit without which it is not what is deployed. All others may have their reasons.
SERVER_SETTINGS = (
    *("ExecStart", "User", "Group", "DynamicUser", "RootDirectory", "RootImage"),
    *("Type", "ExecReload", "KillSignal"),
)
# The bot's unit comes with the bot. Its files belong to this account alone.
BOT_SETTINGS = ("User",)
_VARIABLES = {
    ("nats_server", "User"): "nats_server_user",
    ("nats_server", "Group"): "nats_server_group",
    ("bot_config", "User"): "bot_config_owner",
}


def not_startable(name: str, service_now: service.Service) -> str | None:
    """Say why nothing can start a service that systemd knows; None where something can.

    name: of the service. service_now: what systemd knows of it.
    """
    if service_now.masked:
        return (
            f"{name}.service is masked ({service_now.masked}), so that nothing can start it. "
            f"systemctl unmask {name}, and run again."
        )
    if service_now.broken:
        return (
            f"{name}.service can't be started. systemd says: {service_now.broken} "
            f"Correct the unit (systemctl cat {name}, systemd-analyze verify {name}.service), and run again."
        )
    return None


def told(drop_ins: Iterable[unit_file.Setting]) -> list[str]:
    """Name drop-ins and what they set, one each, less what looks like a secret."""
    by_file: dict[str, list[str]] = {}
    for setting in drop_ins:
        by_file.setdefault(setting.file, []).append(redaction.redact(str(setting)))
    return [f"{file} sets {', '.join(settings)}" for file, settings in by_file.items()]


def overridden(
    role: str, unit: Sequence[unit_file.Setting], drop_ins: Sequence[unit_file.Setting], settings: Iterable[str]
) -> Iterator[str]:
    """Say which drop-ins contradict the unit that is meant. role: whose variables may be set instead."""
    for override in unit_file.overrides(unit, drop_ins, settings):
        meant = f"{override.name}={override.meant}" if override.meant else f"no {override.name}"
        by = "; ".join(told(override.by))
        variable = _VARIABLES.get((role, override.name))
        instead = f", or set {variable}: {override.found}" if variable and override.found else ""
        yield (
            f"The drop-in {by}, and the unit that is meant has {redaction.redact(meant)}. A restart can't bring what "
            f"is meant as long as that is there. Take it out of the drop-in, or remove the file{instead}; then run "
            "again."
        )


def out_of_reach(
    settings: Sequence[unit_file.Setting], paths: Iterable[NeededPath], resolve: Callable[[str], str] = str
) -> Iterator[str]:
    """Say which paths the service can't use in its sandbox. settings: of its unit, and of the drop-ins over it."""

    def setting(name: str) -> str:
        return unit_file.value(settings, name)

    for path in paths:
        obstacle = hardening.obstacle(setting, path, resolve)
        if obstacle:
            less = hardening.level_without([obstacle.directive.partition("=")[0]])
            leave_out = f", or leave it out: nats_server_hardening: {less}" if less else ""
            yield (
                f"{path.option}: {path.path}: {obstacle.directive} of the unit {obstacle.what}, and nats-server needs "
                f"{path.need}. Name another directory, such as one in /var/lib or /var/log{leave_out}."
            )


def not_applied(name: str, faults: Sequence[hardening.Fault]) -> str | None:
    """Say which directives of the sandbox a host can't apply; None where there are none."""
    if not faults:
        return None
    by_words: dict[str, list[str]] = {}
    for fault in faults:
        by_words.setdefault(fault.words, []).append(fault.setting)
    what = "; ".join(f"{', '.join(settings)} (systemd says: {words})" for words, settings in by_words.items())
    less = hardening.level_without(fault.name for fault in faults)
    remedy = "Take it out of the drop-in that has it."
    if less:
        score, best = (hardening.score(level, is_local=True) for level in (less, hardening.Level.FULL))
        remedy = (
            f"Set nats_server_hardening: {less} (systemd-analyze security: {score}, where all of it has {best}), or "
            "let the host do it: a container needs SYS_PTRACE or nesting, a kernel user.max_user_namespaces above 0."
        )
    return f"{name}.service: this host can't apply {what}. {remedy}"
