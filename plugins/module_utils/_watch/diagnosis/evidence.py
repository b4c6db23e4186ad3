# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every symptom looks at: what systemd says of a service, who runs it, and what that account may reach."""

from __future__ import annotations

import json
import re
import stat
import time
import typing as t
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._host import redaction, system, unit_file
from ansible_collections.rosey.nats.plugins.module_utils._host.service import (
    RunCommand,
    is_failing,
    properties,
    why_broken,
)
from ansible_collections.rosey.nats.plugins.module_utils._host.system import Account
from ansible_collections.rosey.nats.plugins.module_utils._server import answers, http_reader, monitoring
from ansible_collections.rosey.nats.plugins.module_utils._server.options import reading
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import NotSeenError, seen

SECONDS = 3.0

_LINES = 200
# What a service that ends again and again said last is no older than an attempt and the pause before the next one.
_ATTEMPT_SECONDS = 60.0
_PROPERTIES = (
    *("LoadState", "LoadError", "UnitFileState", "ActiveState", "SubState", "Result", "FragmentPath", "NRestarts"),
    *("MainPID", "ExecMainPID", "ExecMainCode", "ExecMainStatus", "StateChangeTimestamp"),
    *("ExecStart", "User", "Group", "SupplementaryGroups", "LimitAS", "MemoryMax"),
    *("ProtectSystem", "ProtectHome", "PrivateTmp", "ReadWritePaths", "InaccessiblePaths", "TemporaryFileSystem"),
    *("StateDirectory", "LogsDirectory", "CacheDirectory", "RuntimeDirectory"),
    *("EnvironmentFiles", "PrivateNetwork", "NetworkNamespacePath"),
    *("RestrictAddressFamilies", "IPAddressDeny", "IPAddressAllow"),
)
# Of what systemd says in the name of a program that it is about to start, only these tell of the program.
_ABOUT_TO_START, _NOT_STARTED = "(", ("Failed at step", ": Failed to ")


@dataclass(frozen=True)
class Unit:
    """A service, by the names of systemd's properties.

    said: what its last process wrote into the journal. broken: why systemd can't use the unit, in its own words.
    """

    service: str
    properties: Mapping[str, str]
    said: tuple[str, ...] | NotSeenError = ()
    broken: str = ""
    files: unit_file.Files = field(default_factory=unit_file.Files)

    def __getitem__(self, name: str) -> str:
        """Give a property; empty where systemd has no such. KeyError where systemd is never asked for it."""
        if name not in _PROPERTIES:
            raise KeyError(f"{name} is none of _PROPERTIES, for which systemd is asked")
        return self.properties.get(name, "")

    def number(self, name: str) -> int:
        """Give a property that is a number; 0 where it has none."""
        value = self[name]
        return int(value) if re.fullmatch("[0-9]{1,18}", value) else 0

    @property
    def command(self) -> tuple[str, ...]:
        """What it starts: the program and its arguments."""
        said = self["ExecStart"].partition("argv[]=")[2].partition(" ; ")[0]
        return tuple(said.split())


def ask_systemd(service: str, run_command: RunCommand) -> Unit:
    """Ask for a service; NotSeenError. run_command: AnsibleModule's."""
    name = f"{service}.service"
    status, said, error = run_command(["systemctl", "show", f"--property={','.join(_PROPERTIES)}", name])
    if status:
        why = f"systemctl does not answer: {error.strip() or f'exit status {status}'}"
        raise NotSeenError(f"what systemd knows of {name}", why, "see that systemd runs, and run as root")
    found = properties(said)
    try:
        files = unit_file.look(service)
    except OSError as failure:
        raise NotSeenError(
            f"the files of {name}", f"{failure.filename}: {failure.strerror}", "run as root"
        ) from failure
    journal = _journal(name, found, run_command)
    return Unit(service, found, journal, why_broken(name, found, run_command), files)


def _journal(name: str, unit: Mapping[str, str], run_command: RunCommand) -> tuple[str, ...] | NotSeenError:
    """Give what the process of a unit wrote, less what looks like a secret."""
    fields = "--output-fields=MESSAGE,SYSLOG_IDENTIFIER,_PID"
    words = ["journalctl", "--no-pager", "--quiet", f"--lines={_LINES}", "--output=json", fields, f"--unit={name}"]
    status, said, error = run_command(words)
    if status:
        why = error.strip() or f"exit status {status}"
        return NotSeenError(f"the journal of {name}", why, f"look at {' '.join(words[:1])} -u {name} as root")
    written = [each for line in said.splitlines() if (each := read_journal_line(line))]
    writer = unit.get("ExecMainPID", "")
    is_at_it = is_failing(unit) and unit.get("ActiveState") != "failed"
    if written and is_at_it and writer not in {each.by for each in written} and written[-1].age < _ATTEMPT_SECONDS:
        # one attempt is like the other, and the present one has not come to its last words yet
        writer = written[-1].by
    return tuple(each.message for each in written if each.by == writer)


@dataclass(frozen=True)
class Written:
    """A line of the journal. by: the number of the process that wrote it. at: when, in seconds."""

    by: str
    at: float
    message: str

    @property
    def age(self) -> float:
        """How many seconds ago it was written."""
        return time.time() - self.at


def read_journal_line(line: str) -> Written | None:
    """Read a line of the journal, in JSON; None where systemd wrote it, or where it can't be told who did and when."""
    try:
        entry = json.loads(line)
        message, writer, by = entry["MESSAGE"], entry["SYSLOG_IDENTIFIER"], entry["_PID"]
        at = int(entry["__REALTIME_TIMESTAMP"]) / 1e6
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None
    if not isinstance(message, str) or not isinstance(writer, str) or not isinstance(by, str):
        return None
    if not message.strip() or writer == "systemd":
        return None
    if writer.startswith(_ABOUT_TO_START) and not any(each in message for each in _NOT_STARTED):
        return None
    return Written(by, at, redaction.redact(message))


def account(name: str, group: str = "", others: Iterable[str] = ()) -> Account | None:
    """Look up who runs a program; None where the host has no such account. Without a name it is whoever looks.

    others: the groups that it is in as well.
    """
    try:
        return system.account(name, group, others)
    except KeyError:
        return None


def ask_server(monitor: monitoring.Monitor | NotSeenError, endpoint: str, *, details: bool = False) -> answers.Answer:
    """Ask a server's monitoring endpoint; NotSeenError."""
    try:
        return seen(monitor).read(endpoint, details=details)
    except http_reader.MonitoringError as error:
        raise NotSeenError(f"what the server tells at {error.url}", error.cause, error.remedy) from error


def end_of_log(config: Mapping[str, t.Any], most: int) -> str:
    """Give the end of a server's log, at most so many bytes; empty where it writes no file. NotSeenError."""
    named = reading.canonical(config).get("log_file")
    if not isinstance(named, str) or not named.startswith("/"):
        return ""
    path = Path(named)
    try:
        # such as /dev/stdout has no end that could be read
        return system.tail(path, most) if stat.S_ISREG(path.stat().st_mode) else ""
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise NotSeenError(named, error.strerror or str(error), "run as root") from error


def monitor(url: str | None) -> monitoring.Monitor:
    """Give what asks a server; NotSeenError."""
    if not url:
        raise NotSeenError(
            "the monitoring endpoint", "nats_server_config sets no http_port", "set it, such as http_port: 8222"
        )
    if not http_reader.HAS_REQUESTS:
        raise NotSeenError(
            "the monitoring endpoint",
            "this host's Python has no requests",
            f"install {system.PACKAGES['requests']} there",
        )
    try:
        return monitoring.Monitor(url, timeout=SECONDS)
    except http_reader.MonitoringError as error:
        raise NotSeenError("the monitoring endpoint", error.cause, error.remedy) from error
