# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of running servers: whether a server may use what its configuration names, now and when it is next started,
and whether it has to itself what it writes to.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ansible_collections.rosey.nats.plugins.module_utils._host import access, process, system
from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Finding
from ansible_collections.rosey.nats.plugins.module_utils._host.needed_path import Need, NeededPath
from ansible_collections.rosey.nats.plugins.module_utils._host.system import Account
from ansible_collections.rosey.nats.plugins.module_utils._server import conf, conf_lexer, programs, requirements


class UnseenError(Exception):
    """Why it can't be told, as half a sentence."""


def wanted(config_file: Path, environment: Mapping[str, str]) -> list[NeededPath]:
    """Name what a server with this configuration reads and writes, that and what it includes first; UnseenError."""
    read: list[Path] = [config_file]

    def include(name: str) -> str:
        read.append(Path(os.path.normpath(config_file.parent / name)))
        return system.read_text(read[-1], "surrogateescape")

    named: list[NeededPath] = []
    try:
        text = system.read_text(config_file, "surrogateescape")
        named += requirements.paths(conf.parse(text, variables=environment, include=include))
    except FileNotFoundError:
        pass  # it is among those that were to be read, and told as such
    except OSError as error:
        raise UnseenError(f"{read[-1]} can't be read: {error.strerror}") from error
    except (conf_lexer.ConfError, TypeError, ValueError) as error:
        raise UnseenError(f"{config_file} is no configuration that nats-server reads") from error
    files = (NeededPath("configuration", str(path), Need.FILE) for path in dict.fromkeys(read))
    return [*files, *named]


# What several servers write to


@dataclass(frozen=True)
class Server:
    """A nats-server that runs on this host, and what it alone may have, as it names that itself."""

    running: process.Process
    own: tuple[NeededPath, ...]

    def __str__(self) -> str:
        return _named(self.running.pid, process.config_argument(self.running.command))

    def path(self, name: str) -> Path:
        """Give a path that it names, as others see it: it may be in a container."""
        return _seen(self.running.pid, name)


@dataclass(frozen=True)
class Clash:
    """A path that a server is to have to itself, and that another one has.

    option, path: as the server names it. server: that one, named. other: who has it as well, by its other_option.
    """

    option: str
    path: str
    server: str
    other: Server
    other_option: str

    @property
    def finding(self) -> Finding:
        """Give it as what a gate or a check finds."""
        remedy = f"stop one of the two at once, and give it {self._own_place}"
        return Finding(self.option, self._expected, f"{self.path}, where {self._found}", remedy)

    @property
    def refusal(self) -> str:
        """Say before anything is touched what is wrong."""
        return (
            f"{self.option}: {self.path}: {self._found}; expected {self._expected}. "
            f"Give the second instance {self._own_place}, or stop process {self.other.running.pid}."
        )

    @property
    def _expected(self) -> str:
        return f"that {self.server} has it to itself, since {_HARM.get(self.option, _ANY_HARM)}"

    @property
    def _found(self) -> str:
        return f"{self.other} has it as {self.other_option}"

    @property
    def _own_place(self) -> str:
        return _OWN_PLACES.get(self.option, f"a {self.option} of its own")


CONFIG_FILE = "config_file"
RUNTIME_PID_FILE = "the pid file of the process"
_OPEN_FILE = "an open file"
_ANY_HARM = "each would overwrite what the other wrote"
_WRONG_SERVER = "what is meant for the one would reach the other"
_HARM = {
    # nats-server takes no lock (server/filestore.go)
    requirements.STORE_OPTION: "either acknowledges messages that the other overwrites",
    "log_file": "their lines can't be told apart",
    "pid_file": _WRONG_SERVER,
    RUNTIME_PID_FILE: _WRONG_SERVER,
    CONFIG_FILE: _WRONG_SERVER,
}
# What a person sets, where the role has a variable for it.
_DATA_DIRECTORY = "a nats_server_data_dir of its own"
_OWN_PLACES = {
    requirements.STORE_OPTION: f"{_DATA_DIRECTORY}, or a jetstream.store_dir where nats_server_config names one",
    "log_file": "a nats_server_log_dir of its own, or a log_file where nats_server_config names one",
    RUNTIME_PID_FILE: _DATA_DIRECTORY,
    CONFIG_FILE: "a nats_server_config_dir of its own",
}
# The flags that stand above the configuration (server/opts.go, ConfigureOptions).
_FLAGS = {
    requirements.STORE_OPTION: ("sd", "store_dir"),
    "log_file": ("l", "log"),
    "pid_file": ("P", "pid"),
}
_TRIES_ALONE = frozenset({"-t", "--t"})


def _named(pid: int, config: str | None) -> str:
    return f"nats-server (process {pid}, {f'with {config}' if config else 'without a configuration'})"


def server(running: process.Process) -> Server | None:
    """Give a process as a server; None where it is none."""
    if programs.EXECUTABLE not in running.executable.name or _TRIES_ALONE & {*running.command}:
        return None
    config = process.config_argument(running.command)
    named: list[NeededPath] = []
    if config:
        # what it names can't be known where nobody can read it
        with suppress(UnseenError, OSError):
            named = wanted(_seen(running.pid, config), process.environment(running))
    flag_values = {option: process.argument(running.command, *flags) for option, flags in _FLAGS.items()}
    by_flag = [requirements.path_of(option, value) for option, value in flag_values.items() if value]
    by_config = [each for each in requirements.written(named) if not flag_values.get(each.option)]
    # its configuration may have been changed since it was started
    opened = requirements.written(NeededPath(_OPEN_FILE, each, Need.PARENT) for each in process.open_files(running.pid))
    own_config = [NeededPath(CONFIG_FILE, config, Need.PARENT)] if config else []
    return Server(running, (*by_config, *by_flag, *own_config, *opened))


def _seen(pid: int, name: str) -> Path:
    process_directory = process.PROC / str(pid)
    return process_directory / "root" / name.lstrip("/") if name.startswith("/") else process_directory / "cwd" / name


def servers(apart_from: Collection[int] = ()) -> Iterator[Server]:
    """Give the servers that run on this host, as far as this user may see them. apart_from: their pids."""
    for pid in process.pids():
        running = process.read(pid) if pid not in apart_from else None
        running_server = server(running) if running else None
        if running_server:
            yield running_server


def has(other: Server, path: Path) -> str:
    """Say as what a running server has a path, or something in it; empty where it has neither."""
    here = _marks(path)
    whole = NeededPath("", str(path), Need.DIRECTORY)
    for its in other.own:
        if _is_one(whole, here, its, _marks(other.path(_place(its)))):
            return its.option
    executable = other.running.executable
    return "its program" if path in (executable, *executable.parents) else ""


def clashes(
    paths: Iterable[NeededPath], config_file: Path, running: process.Process | None, pid_file: Path | None = None
) -> list[Clash]:
    """Name what other servers have of what a server is to have to itself, once for each of them.

    paths: what its configuration names. running: its own process, if any. pid_file: that of what runs it.
    """
    named = _named(running.pid, str(config_file)) if running else f"the server with {config_file}"
    own_config = NeededPath(CONFIG_FILE, str(config_file), Need.PARENT)
    own = [(each, _marks(Path("/", _place(each)))) for each in (*requirements.written(paths), own_config)]
    by_place: dict[tuple[str, str, int], Clash] = {}
    for other in servers([running.pid] if running else []):
        for its in other.own:
            there = _marks(other.path(_place(its)))
            for path, here in own:
                if _is_one(path, here, its, there):
                    clash = Clash(path.option, _place(path), named, other, its.option)
                    by_place.setdefault((path.option, clash.path, other.running.pid), clash)
        if pid_file and other.running.is_noted_since_its_start(pid_file):
            clash = Clash(RUNTIME_PID_FILE, str(pid_file), named, other, RUNTIME_PID_FILE)
            by_place[clash.option, clash.path, other.running.pid] = clash
    return list(by_place.values())


def _place(path: NeededPath) -> str:
    """Give what a server writes to, of what it names."""
    return str(PurePosixPath(path.path, path.own))


# What tells a file apart: its device, its inode, and the way from there to one that is not there yet.
_Mark = tuple[int, int, tuple[str, ...]]


def _marks(path: Path) -> list[_Mark]:
    """Give what tells a path apart, whatever leads to it, and then what tells those above it apart."""
    marks: list[_Mark] = []
    missing: list[tuple[str, ...]] = [()]
    for directory in (path, *path.parents):
        try:
            status = directory.stat()
        except (FileNotFoundError, NotADirectoryError):
            missing = [(directory.name, *rest) for rest in missing] + [()]
            continue
        except OSError:
            return []
        marks += [(status.st_dev, status.st_ino, rest) for rest in missing]
        missing = [()]
    return marks


def _is_one(path: NeededPath, here: Sequence[_Mark], other: NeededPath, there: Sequence[_Mark]) -> bool:
    """Tell whether two places are one, or the one is in the directory that the other is."""
    if not here or not there:
        return False
    is_in_the_other = other.need is Need.DIRECTORY and there[0] in here
    return here[0] == there[0] or is_in_the_other or (path.need is Need.DIRECTORY and here[0] in there)


# What a server may use


@dataclass(frozen=True)
class Look:
    """Who runs a server, what keeps them from what it needs, and what another one writes to."""

    account: Account
    faults: Sequence[access.Fault]
    clashes: Sequence[Clash] = ()

    @property
    def findings(self) -> list[Finding]:
        """Give all of it as what a gate or a check finds, what loses data first."""
        return [each.finding for each in self.clashes] + [
            Finding(
                each.option,
                f"{each.path} that {self.account.name} may use",
                f"{each.what}{each.seen and f'; {each.seen}'}",
                each.remedy,
            )
            for each in self.faults
        ]


def look(running: process.Process, pid_file: Path | None = None) -> Look:
    """Look as who runs a server; UnseenError. pid_file: that of what runs it."""
    account, config_file = process.account(running), process.config_file(running)
    if account is None or config_file is None:
        raise UnseenError(f"process {running.pid} tells neither its account nor its configuration")
    paths = wanted(config_file, process.environment(running))
    try:
        return Look(account, access.faults(paths, account), clashes(paths, config_file, running, pid_file))
    except OSError as error:
        raise UnseenError(f"{error.filename} can't be looked at: {error.strerror}") from error
