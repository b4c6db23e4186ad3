# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd knows of a service."""

from __future__ import annotations

import os
import re
import time
import typing as t
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rosey.nats.plugins.module_utils._host import hardening, process, redaction, unit_file

RunCommand = Callable[..., tuple[int, str, str]]

_PROPERTIES = (
    *("LoadState", "LoadError", "FragmentPath", "UnitFileState", "NeedDaemonReload"),
    *("MainPID", "ActiveState", "SubState", "NRestarts", "SupplementaryGroups"),
)
_NEEDED = frozenset({"LoadState", "UnitFileState", "NeedDaemonReload", "MainPID"})
_SHOWN = 200
_NO_UNIT, _MASKED, _BROKEN = "not-found", "masked", ("bad-setting", "error")
_ENABLED = ("enabled", "enabled-runtime")
_LAST_LINES = 5
# What a shell gives for a program that is not there.
_NOT_FOUND = 127
# How systemd-run says that it does not know a setting.
_UNKNOWN_SETTING = re.compile(r"Unknown assignment: (\w+)=")
_JOURNAL_LINES = 20
# Of what systemd says of a unit, this tells why it was not started; that it failed is known.
_WHY = re.compile(r"(?!Failed with result)(?:Failed|Main process exited|Control process exited)")
_REFUSAL = "Refusing."
_MOST_WORDS = 3
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
    masked: the file by which it is masked. broken: why systemd can't use its unit, in its own words. unit, drop_ins:
    what its unit has, and what is laid over that.
    """

    exists: bool
    enabled: bool
    running: process.Process | None
    failing: bool = False
    unread: bool = False
    groups: tuple[str, ...] = ()
    masked: str = ""
    broken: str = ""
    unit: tuple[unit_file.Setting, ...] = ()
    drop_ins: tuple[unit_file.Setting, ...] = ()

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
            status, output, error = module.run_command(words, handle_exceptions=False)
        except OSError as failure:
            return _NOT_FOUND, "", f"{words[0]}: {failure.strerror}"
        return status, output, error

    return run


def params_of(module: AnsibleModule) -> dict[str, t.Any]:
    """Give a module's options with the names of services in one spelling; what is no name fails the module."""
    try:
        return unit_file.with_service_names(module.params)
    except ValueError as error:
        module.fail_json(msg=f"service: {error}")
        raise


def look_up(name: str, run_command: RunCommand, root: Path = Path("/")) -> Service:
    """Ask systemd for a service. run_command: AnsibleModule's. root: where units are. Raises ServiceError."""
    show = ["systemctl", "show", f"--property={','.join(_PROPERTIES)}", f"{name}.service"]
    status, output, error = run_command(show)
    if status:
        raise ServiceError(f"systemctl does not answer: {error.strip()}. Choose another runtime than systemd.")
    unit = properties(output)
    if not unit.keys() >= _NEEDED or not _is_number(unit["MainPID"]):
        shown = redaction.redact(" ".join(output.split())[:_SHOWN]) or "nothing"
        raise ServiceError(
            f"`{' '.join(show)}` does not tell {', '.join(sorted(_NEEDED))}, it says: {shown}. See that systemctl is "
            "systemd's own, or choose another runtime than systemd."
        )
    state = unit["LoadState"]
    try:
        files = unit_file.look(name, root)
    except OSError as failure:
        raise ServiceError(f"{failure.filename}: {failure.strerror}. Run as root.") from failure
    return Service(
        exists=state not in (_NO_UNIT, _MASKED),
        enabled=unit["UnitFileState"] in _ENABLED,
        running=process.read(int(unit["MainPID"]), by_command=True),
        failing=is_failing(unit),
        unread=unit["NeedDaemonReload"] == "yes",
        groups=tuple(unit.get("SupplementaryGroups", "").split()),
        # what was written since systemd read the unit counts as well
        masked=files.masked or (unit.get("FragmentPath") or _MASKED if state == _MASKED else ""),
        broken=why_broken(f"{name}.service", unit, run_command),
        unit=files.unit,
        drop_ins=files.drop_ins,
    )


def why_broken(name: str, unit: Mapping[str, str], run_command: RunCommand) -> str:
    """Give why systemd can't use a unit, in its own words; empty where it can. unit: its properties."""
    if unit.get("LoadState") not in _BROKEN:
        return ""
    refusals = [line for line in _said_of(name, run_command) if line.endswith(_REFUSAL)]
    return next(reversed(refusals), "") or unit.get("LoadError") or f"LoadState={unit['LoadState']}"


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
        begun = int(time.time())
        status, output, error = self._run(["systemctl", *words])
        if status:
            words_of_systemctl = redaction.redact((error or output).strip())
            why = own_words(self._unit, self._run, f"@{begun}")
            raise ServiceError(
                f"systemctl {' '.join(words)} failed: {words_of_systemctl}{f' systemd says: {why}.' if why else ''}"
            )


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
        return redaction.redact(said.strip()) or own_words(self._name, self._run, self._since)


class Trial:
    """Tries whether systemd can start a service with some settings of a sandbox. It leaves nothing.

    service: whose sandbox it is. run_command: AnsibleModule's.
    """

    def __init__(self, service: str, run_command: RunCommand) -> None:
        self._unit, self._run = f"{service}-trial-{os.getpid()}.service", run_command
        self._unknown: set[str] = set()

    def __call__(self, settings: Sequence[str]) -> str:
        """Give systemd's words where the settings keep a program from being started, else nothing."""
        # the account of the service may still be missing
        base = ["systemd-run", "--wait", "--collect", "--quiet", f"--unit={self._unit}", "--property=User=nobody"]
        while True:
            known = [each for each in settings if each.partition("=")[0] not in self._unknown]
            status, _said, error = self._run([*base, *(f"--property={each}" for each in known), "/bin/true"])
            unknown = _UNKNOWN_SETTING.search(error)
            if not unknown:
                break
            # an older systemd skips it in a unit's file
            self._unknown.add(unknown[1])
        # what systemd-run itself can't do says nothing of the settings
        return self._words(status) if status and not error.strip() else ""

    def _words(self, status: int) -> str:
        return own_words(self._unit, self._run) or f"status={status}/{hardening.STEPS.get(status, '?')}"


def own_words(unit: str, run_command: RunCommand, since: str = "") -> str:
    """Give why systemd could not start a unit, in its own words; empty where the journal has none.

    since: a time as journalctl takes it, else all that it has counts.
    """
    why = [line for line in _said_of(unit, run_command, since) if _WHY.match(line)]
    return redaction.redact("; ".join(dict.fromkeys(why[-_MOST_WORDS:])))


def _said_of(unit: str, run_command: RunCommand, since: str = "") -> list[str]:
    """Give what systemd said of a unit last."""
    run_command(["journalctl", "--sync"])
    words = ["journalctl", "--no-pager", "--quiet", f"--unit={unit}", f"--lines={_JOURNAL_LINES}", "--output=cat"]
    _status, said, _error = run_command([*words, *([f"--since={since}"] if since.startswith("@") else [])])
    return [line.removeprefix(f"{unit}: ") for line in said.splitlines() if line.startswith(f"{unit}: ")]


def properties(output: str) -> dict[str, str]:
    """Read what systemctl show says."""
    return dict(line.split("=", 1) for line in output.splitlines() if "=" in line)


def _restarts(unit: Mapping[str, str]) -> int:
    count = unit.get("NRestarts", "")
    return int(count) if _is_number(count) else 0


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,18}", text) is not None
