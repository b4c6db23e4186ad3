# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd knows of a service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rosey.nats.plugins.module_utils import process

RunCommand = Callable[..., tuple[int, str, str]]

_PROPERTIES = (
    *("LoadState", "UnitFileState", "MainPID", "ActiveState", "SubState", "NRestarts", "NeedDaemonReload"),
    "SupplementaryGroups",
)
_ENABLED = ("enabled", "enabled-runtime")
_LAST_LINES = 5
# What a shell gives for a program that is not there.
_NOT_FOUND = 127
# One restart may have had a cause that is gone; a third attempt meets what the first two met.
_RESTARTS = 2


class ServiceError(Exception):
    """Why a service can't be looked at, in words for the user."""


@dataclass(frozen=True)
class Service:
    """What runs a program.

    enabled: it starts with the host. running: its process, None where none runs. failing: it has ended with an error,
    and systemd starts it again until it gives up; from then on it refuses to start it for others too, for a while.
    unread: systemd has not read its unit since that was written. groups: those that its unit gives it beside its own.
    """

    exists: bool
    enabled: bool
    running: process.Process | None
    failing: bool = False
    unread: bool = False
    groups: tuple[str, ...] = ()

    def as_result(self) -> dict[str, bool | int | None]:
        """Give it as a module does."""
        return {
            "exists": self.exists,
            "enabled": self.enabled,
            "pid": self.running.pid if self.running else None,
            "failing": self.failing,
        }


def run_with(module: AnsibleModule) -> RunCommand:
    """Give what runs a command, and tells of a program that is not there as a shell does."""

    def run(words: list[str]) -> tuple[int, str, str]:
        try:
            status, said, error = module.run_command(words, handle_exceptions=False)
        except OSError as failure:
            return _NOT_FOUND, "", f"{words[0]}: {failure.strerror}"
        return status, said, error

    return run


def look_up(name: str, run_command: RunCommand) -> Service:
    """Ask systemd for a service. run_command: AnsibleModule's. Raises ServiceError."""
    show = ["systemctl", "show", f"--property={','.join(_PROPERTIES)}", f"{name}.service"]
    status, said, error = run_command(show)
    if status:
        raise ServiceError(f"systemctl does not answer: {error.strip()}. Choose another runtime than systemd.")
    unit = properties(said)
    return Service(
        exists=unit["LoadState"] == "loaded",
        enabled=unit["UnitFileState"] in _ENABLED,
        running=process.read(int(unit["MainPID"])),
        failing=is_failing(unit),
        unread=unit["NeedDaemonReload"] == "yes",
        groups=tuple(unit.get("SupplementaryGroups", "").split()),
    )


class Manager:
    """Has systemd do something with a service. run_command: AnsibleModule's."""

    def __init__(self, name: str, run_command: RunCommand) -> None:
        self._unit, self._run = f"{name}.service", run_command

    def do(self, verb: str) -> None:
        """Start, stop, reload or enable it; ServiceError, with systemd's own words."""
        self._call(verb, self._unit)

    def read_units(self) -> None:
        """Let systemd read its units again; ServiceError."""
        self._call("daemon-reload")

    def _call(self, *words: str) -> None:
        status, said, error = self._run(["systemctl", *words])
        if status:
            words_of_systemd = process.redact((error or said).strip())
            raise ServiceError(f"systemctl {' '.join(words)} failed: {words_of_systemd}")


def is_failing(unit: Mapping[str, str]) -> bool:
    """Tell by its ActiveState, SubState and NRestarts whether a service has ended with an error, perhaps repeatedly."""
    # on its way through another attempt it is in none of these two states
    return unit.get("ActiveState") == "failed" or unit.get("SubState") == "auto-restart" or _restarts(unit) > 0


class Attempts:
    """Counts how often systemd has started a service anew, from the first look on."""

    def __init__(self, name: str, run_command: RunCommand) -> None:
        self._name, self._run = f"{name}.service", run_command
        self._before: int | None = None
        self._since = ""

    def is_hopeless(self) -> bool:
        """Say whether the service has ended for good, or again and again. Where systemd can't be asked it has not."""
        wanted = "--property=ActiveState,NRestarts,ExecMainStartTimestamp"
        _status, said, _error = self._run(["systemctl", "show", "--timestamp=unix", wanted, self._name])
        unit = properties(said)
        restarts = _restarts(unit)
        if self._before is None:
            self._before, self._since = restarts, unit.get("ExecMainStartTimestamp", "")
        return unit.get("ActiveState") == "failed" or restarts - self._before >= _RESTARTS

    def last_words(self) -> str:
        """Give the last that the program itself wrote into the journal, less what looks like a secret.

        What it wrote before the attempt that was the first one looked at is of another failure.
        """
        words = ["--unit", self._name, "--identifier=nats-server", f"--lines={_LAST_LINES}", "--output=cat"]
        since = [f"--since={self._since}"] if self._since.startswith("@") else []
        _status, said, _error = self._run(["journalctl", "--no-pager", "--quiet", *words, *since])
        return process.redact(said.strip())


def properties(said: str) -> dict[str, str]:
    """Read what systemctl show says."""
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)


def _restarts(unit: Mapping[str, str]) -> int:
    return int(unit.get("NRestarts") or 0)
