# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a plugin's file and its log are, and what they tell of one that does not listen."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._bot.bot_expectation import Plugin
from ansible_collections.rosey.nats.plugins.module_utils._host import background, redaction, system
from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Finding

_WINDOW = 1 << 16
_LINES = 3


@dataclass(frozen=True)
class Places:
    """Where a bot is. directory: of its environment. service: under systemd, else empty; a process has its pid_file."""

    home: Path
    directory: Path
    service: str = ""
    pid_file: Path | None = None

    def file(self, name: str) -> Path:
        """Name the file of a plugin."""
        return self.directory / "plugins" / f"{name}.yaml"

    def log(self, name: str) -> Path:
        """Name the file that a plugin writes to, where its own file names no other."""
        return self.home / "logs" / "plugins" / f"{name}.log"

    @property
    def own_log(self) -> str:
        """What shows the log of the bot itself, which starts the plugins; empty where that is not known."""
        if self.service:
            return f"journalctl -u {self.service}"
        return f"tail {background.output_file(self.pid_file)}" if self.pid_file else ""


def explained(
    findings: Iterable[Finding], plugins: Iterable[Plugin], places: Places, secrets: Collection[str] = ()
) -> Iterator[Finding]:
    """Name, in what was found of a plugin, its file and logs, and once the last lines of its log without secrets."""
    names = {f"plugin {plugin.name}": plugin.name for plugin in plugins}
    told: set[str] = set()
    for finding in findings:
        name = names.get(finding.what)
        if name is None:
            yield finding
            continue
        said = "" if name in told else _last_lines(places.log(name), secrets)
        told.add(name)
        logs = f"its log {places.log(name)}" + (f", the bot's: {places.own_log}" if places.own_log else "")
        yield replace(
            finding,
            found=f"{finding.found}; its log ends with: {said}" if said else finding.found,
            remedy=f"{finding.remedy} (its file is {places.file(name)}, {logs})",
        )


def _last_lines(path: Path, secrets: Collection[str]) -> str:
    try:
        said = redaction.redact(system.tail(path, _WINDOW), secrets)
    except OSError:
        return ""
    return " / ".join([line.strip() for line in said.splitlines() if line.strip()][-_LINES:])
