# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes and sockets of a Linux host: what runs without a service manager, and who listens where."""

from __future__ import annotations

import ipaddress
import multiprocessing
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import typing as t
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._host import architecture, redaction, system

Address: t.TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"
Endpoint = tuple[str, int]
Result = t.TypeVar("Result")
# The states of a process that was stopped, by a signal or by a debugger, see proc(5).
STOPPED = frozenset("Tt")
# Those of one that has ended, and may only wait for its parent to be told.
ENDED = frozenset("ZXx")

_PROC = Path("/proc")
_DELETED = " (deleted)"
# Field 22 of stat, counted from the one after the name.
_STARTED_FIELD = 19
_LISTENING = "0A"
_IPV6 = 6
_IPV4_DIGITS = 8
_WORD_DIGITS = 8
_CONFIG_OPTION = re.compile(r"--?c(?:onfig)?(?:=(?P<value>.*))?", re.DOTALL)
_SOCKET_FD = re.compile(r"socket:\[(\d+)\]")
_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.05
_SHOWN_LINES = 20
_LAST_LINES = 5
_SHOWN_BYTES = 64 * 1024
# The kernel counts the start of a process in ticks of a hundredth of a second.
_TICK = 0.05
# A pid file is written at once after the start, and then as soon as a busy host gets to it.
_NOTED_SECONDS = 10


class ProcessError(Exception):
    """Why a process could not be started, stopped or signalled, in words for the user."""


@dataclass(frozen=True)
class Process:
    """A process as /proc shows it, see proc(5).

    uid: its effective user. executable: the file that it was started from, which may be another or gone by now.
    command: its arguments. started: clock ticks from boot to its start; with the pid it names one process for good.
    """

    pid: int
    uid: int
    executable: Path
    command: tuple[str, ...]
    started: int

    @property
    def started_at(self) -> str:
        """When it was started: ISO 8601, UTC, to the second."""
        booted = next(
            int(line.split()[1]) for line in (_PROC / "stat").read_text().splitlines() if line.startswith("btime ")
        )
        moment = datetime.fromtimestamp(booted + self.started / os.sysconf("SC_CLK_TCK"), UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def age(self) -> float:
        """How many seconds ago it was started, to a clock tick."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) - self.started / os.sysconf("SC_CLK_TCK")

    @property
    def started_at_second(self) -> float:
        """When it was started by the clock of now, in seconds, to a clock tick."""
        return time.time() - self.age

    def is_older_than(self, file: Path) -> bool:
        """Tell whether a file was written after the process was started, which so has not read it at its start."""
        try:
            return system.written(file.stat()) / 1e9 > self.started_at_second + _TICK
        except OSError:
            return False

    def is_noted_since_its_start(self, pid_file: Path) -> bool:
        """Tell whether its own user wrote its number to a pid file just as it was started.

        Written at another time, such as before the host was booted, the number is that of an earlier process.
        """
        try:
            written = pid_file.lstat()
        except OSError:
            return False
        is_at_its_start = abs(written.st_mtime - self.started_at_second) < _NOTED_SECONDS
        return is_at_its_start and written.st_uid == self.uid and _noted(pid_file) == (self.pid,)


class Program(t.Protocol):
    """What runs without a service manager."""

    @property
    def pid_file(self) -> Path:
        """Give the file that holds the number of its process."""

    @property
    def command(self) -> tuple[str, ...]:
        """Give what it is started with, and known by; the program first, as an absolute path."""

    def difference(self, process: Process) -> str:
        """Say why a process is not this program; empty when it is."""


@dataclass(frozen=True)
class Server:
    """A nats-server; all paths are absolute.

    binary: the binary or a link to it. config: its configuration file. pid_file: holds the number of its process.
    """

    binary: Path
    config: Path
    pid_file: Path

    @property
    def command(self) -> tuple[str, ...]:
        """What it is started with, and known by."""
        return (str(self.binary), "-c", str(self.config))

    def difference(self, process: Process) -> str:
        """Say why a process is not this server; empty when it is."""
        binary = system.real(self.binary)
        executable = process.executable
        # Versions stand side by side, and since the start the link may have been switched to another or removed.
        is_version = executable.parent.parent == binary.parent.parent
        is_known = executable == binary or is_version or process.command[:1] == self.command[:1]
        if executable.name != binary.name or not is_known:
            return f"process {process.pid} runs {executable}, not {binary}"
        if process.command[1:] != self.command[1:]:
            return f"process {process.pid} was not started with {self.config}"
        return ""


@dataclass(frozen=True)
class Bot:
    """A bot, known by its command line; where that has been changed since its start, by its pid file."""

    command: tuple[str, ...]
    pid_file: Path

    def difference(self, process: Process) -> str:
        """Say why a process is not this bot; empty when it is."""
        if process.command == self.command or process.is_noted_since_its_start(self.pid_file):
            return ""
        return f"process {process.pid} was not started as the bot is"


@dataclass(frozen=True)
class Socket:
    """A listening TCP socket, from /proc/net/tcp or tcp6. uid: of the user who opened it."""

    address: Address
    port: int
    uid: int
    inode: int


@dataclass(frozen=True)
class Listener:
    """Who listens on a socket.

    owner: the user's name, or the number where it has no name. pids: the processes that hold the socket, none where
    this user may not see them. command: the name of the first one's program.
    """

    socket: Socket
    owner: str
    pids: tuple[int, ...] = ()
    command: str = ""

    def __str__(self) -> str:
        host = f"[{self.socket.address}]" if self.socket.address.version == _IPV6 else str(self.socket.address)
        place = f"listens on {host}:{self.socket.port}"
        if self.pids:
            return f"{self.command} (process {self.pids[0]} of user {self.owner}) {place}"
        return f"a process of user {self.owner}, which this user may not see, {place}"


@dataclass(frozen=True)
class Taken:
    """An address that a server is to listen on and that another process holds."""

    host: str
    port: int
    holder: Listener

    def __str__(self) -> str:
        return f"{self.host}:{self.port} is taken: {self.holder}"


class Hold:
    """A hold on one process, so that no signal reaches a later process that was given the same number."""

    def __init__(self, process: Process, descriptor: int | None) -> None:
        self.process = process
        self._descriptor = descriptor

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when the process has ended."""
        try:
            if self._descriptor is not None:
                signal.pidfd_send_signal(self._descriptor, number)
            elif _is_same(self.process):
                os.kill(self.process.pid, number)
        except ProcessLookupError:
            return

    def wait(self, seconds: float) -> bool:
        """Wait until the process has ended, at most so long; says whether it has."""
        if self._descriptor is not None:
            ended = select.poll()
            ended.register(self._descriptor, select.POLLIN)
            return bool(ended.poll(seconds * 1000))
        return any(not _is_same(self.process) for _attempt in _pauses(seconds))


def parse_stat(text: str) -> tuple[str, int]:
    """Read the state and the start (clock ticks after boot) of a process out of /proc/<pid>/stat; ValueError."""
    # The second field is the program's name in brackets, which may hold spaces and brackets itself.
    fields = text.rpartition(")")[2].split()
    if len(fields) <= _STARTED_FIELD:
        raise ValueError(f"no text of /proc/<pid>/stat: {text!r}")
    return fields[0], int(fields[_STARTED_FIELD])


def state(directory: Path) -> str:
    """Give the state of a process, or of one of its threads, by its directory in /proc; empty where it has ended."""
    try:
        return parse_stat((directory / "stat").read_text(errors="replace"))[0]
    except (OSError, ValueError):
        return ""


def parse_listening(text: str) -> list[Socket]:
    """Read the listening sockets out of the text of /proc/net/tcp or /proc/net/tcp6."""
    return [found for line in text.splitlines()[1:] if (found := _listening(line))]


def _listening(line: str) -> Socket | None:
    fields = line.split()
    try:
        address, port = fields[1].split(":")
        if fields[3] == _LISTENING:
            return Socket(_address(address), int(port, 16), int(fields[7]), int(fields[9]))
    except (IndexError, ValueError, OverflowError):
        pass
    return None


def conflicts(wanted: Address, port: int, taken: Socket) -> bool:
    """Say whether nats-server can't listen on an address while this socket does; or whether the socket serves it.

    A wildcard of either family stands for all addresses of both: Go listens on :: for 0.0.0.0, too.
    """
    if port != taken.port:
        return False
    return wanted == taken.address or wanted.is_unspecified or taken.address.is_unspecified


def mismatch(process: Process, program: Program, uid: int) -> str:
    """Say why a process is not this program, run by the user uid; empty when it is."""
    if difference := program.difference(process):
        return difference
    if process.uid != uid:
        return f"process {process.pid} runs as {system.user_name(process.uid)}, not as {system.user_name(uid)}"
    return ""


def read(pid: int, *, by_command: bool = False) -> Process | None:
    """Look at a process; None when it has ended or this user may not see what it runs.

    by_command: in that case its command line tells that, since whoever named the process knows it. In a container
    without SYS_PTRACE even root does not see what other users run.
    """
    directory = _PROC / str(pid)
    try:
        state, started = parse_stat((directory / "stat").read_text(errors="replace"))
        if state in ENDED:
            return None
        command = (directory / "cmdline").read_bytes().removesuffix(b"\0").split(b"\0")
        executable = _executable(directory, os.fsdecode(command[0]) if by_command else "")
        uid = directory.stat().st_uid
    except (OSError, ValueError):
        return None
    return Process(pid, uid, Path(executable), tuple(map(os.fsdecode, command)), started)


def _executable(directory: Path, command: str) -> str:
    """Give what a process runs; what its command line says where nobody may see more and that is to do."""
    try:
        return str((directory / "exe").readlink()).removesuffix(_DELETED)
    except PermissionError:
        if not command:
            raise
        return os.path.realpath(command)


def account(process: Process) -> system.Account | None:
    """Give who a process runs as, with the groups that it was started with; None where it has ended."""
    try:
        lines = (_PROC / str(process.pid) / "status").read_text(errors="replace").splitlines()
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    # the effective ones are the second
    uid, gid = (int(fields[name].split()[1]) for name in ("Uid", "Gid"))
    groups = frozenset({gid, *map(int, fields["Groups"].split())})
    return system.Account(system.user_name(uid), system.group_name(gid), uid, gid, groups)


def environment(process: Process) -> dict[str, str]:
    """Give the environment that a process was started with; empty where this user may not see it."""
    try:
        text = (_PROC / str(process.pid) / "environ").read_bytes().decode(errors="surrogateescape")
    except OSError:
        return {}
    return dict(line.split("=", 1) for line in text.split("\0") if "=" in line)


def config_file(server: Process) -> Path | None:
    """Give the configuration file that a nats-server was started with; None where its command line names none."""
    named = config_argument(server.command)
    if named is None:
        return None
    try:
        directory = (_PROC / str(server.pid) / "cwd").readlink()
    except OSError:
        directory = Path("/")  # where both systemd and start() put it
    return directory / named


def config_argument(command: Sequence[str]) -> str | None:
    """Give the configuration file that a command line of nats-server names, as it stands there: the last one counts."""
    found = None
    for place, argument in enumerate(command[1:], start=2):
        option = _CONFIG_OPTION.fullmatch(argument)
        if option and option["value"] is not None:
            found = option["value"]
        elif option and place < len(command):
            found = command[place]
    return found


def find(program: Program, uid: int | None = None) -> Process | None:
    """Give the running process of a program: the one of its pid file, or one that a lost pid file no longer names.

    uid: of the user who runs it; without one, this user.
    """
    uid = os.geteuid() if uid is None else uid
    for pid in (*_noted(program.pid_file), *_pids()):
        process = read(pid)
        if process and not mismatch(process, program, uid):
            return process
    return None


def output_file(pid_file: Path) -> Path:
    """Name the file that takes what a program writes to its standard output, where no other was asked for."""
    return pid_file.with_suffix(".out")


def last_lines(output: Path) -> str:
    """Give the end of what a program wrote, less what looks like a secret; OSError."""
    return "\n".join(redaction.redact(system.tail(output, _SHOWN_BYTES)).splitlines()[-_LAST_LINES:])


def owner(file: Path) -> int | None:
    """Say who wrote a file, such as a pid file, and so runs its program; None where there is none.

    Another program of the host may make root look at it.
    """
    try:
        return file.stat().st_uid
    except OSError:
        return None


def noted(pid_file: Path) -> int | None:
    """Give the number in a pid file; None where it has none."""
    return next(iter(_noted(pid_file)), None)


def forget(pid_file: Path) -> None:
    """Take a pid file away, or what stands in its place; ProcessError."""
    try:
        system.make_way(pid_file)
        pid_file.unlink(missing_ok=True)
    except OSError as error:
        raise ProcessError(f"pid_file {pid_file} can't be removed: {error.strerror}") from error


def is_noted(program: Program, pid: int) -> bool:
    """Say whether the pid file names this process."""
    return _noted(program.pid_file) == (pid,)


def note(program: Program, pid: int) -> None:
    """Write the number of the program's process to the pid file, in one rename; ProcessError."""
    try:
        with tempfile.TemporaryDirectory(prefix=f".{program.pid_file.name}-", dir=program.pid_file.parent) as staging:
            staged = Path(staging) / program.pid_file.name
            staged.write_text(f"{pid}\n", encoding="ascii")
            system.make_way(program.pid_file)
            staged.replace(program.pid_file)
    except OSError as error:
        raise ProcessError(f"pid_file {program.pid_file} can't be written: {error.strerror}") from error


@contextmanager
def hold(program: Program) -> Iterator[Hold | None]:
    """Hold on to the running process of a program, its identity checked; None when it does not run."""
    process = find(program)
    if process is None:
        yield None
        return
    descriptor = _open(process)
    try:
        # Its number may have gone to another process between the look and the hold.
        yield Hold(process, descriptor) if _is_same(process) else None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def check_files(server: Server, output: Path) -> None:
    """Raise ProcessError when a start can't succeed since a file or directory is missing."""
    for name, path in (("binary", server.binary), ("config", server.config)):
        if not path.is_file():
            raise ProcessError(f"{name} {path} is no file; expected it to be there before the server is started")
    for name, path in (("pid_file", server.pid_file), ("output", output)):
        if not os.access(path.parent, os.W_OK | os.X_OK):
            user = system.user_name(os.geteuid())
            raise ProcessError(
                f"{name} {path}: its directory is not there or {user} may not write to it; make it first"
            )


def check_free(endpoints: Collection[Endpoint], allowed: Collection[int] = ()) -> None:
    """Raise ProcessError when an address is taken. allowed: pids that may hold it, such as the server's own."""
    held = taken(endpoints, allowed)
    if held:
        raise ProcessError(f"{'; '.join(map(str, held))}. Stop what holds it, or give the server another port")


def start(
    program: Program,
    output: Path,
    endpoints: Collection[Endpoint],
    *,
    log_file: Path | None = None,
    secrets: Collection[str] = (),
    seconds: float,
) -> Process:
    """Start a program that outlives this process, and write its pid file.

    Returns when it listens on all of its endpoints, or on any address when none are given, and at the latest after so
    many seconds. output: takes what it writes before its log opens. Raises ProcessError with the last lines of output
    and log_file, less the secrets, when it ends.
    """
    logs = {path: system.size(path) for path in (output, log_file) if path}
    try:
        with _appending(output) as stream:
            child = subprocess.Popen(
                program.command,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o077,
            )
    except OSError as error:
        if error.filename == str(output):
            raise ProcessError(f"output {output} can't be written: {error.strerror}") from error
        raise ProcessError(architecture.why_not_executed(Path(program.command[0]), error)) from error
    try:
        note(program, child.pid)
    except ProcessError:
        child.kill()
        child.wait()
        raise
    wanted = _resolve(endpoints)
    for _attempt in _pauses(seconds):
        if child.poll() is not None or _serves(child.pid, wanted):
            break
    process = read(child.pid)
    if process:
        return process
    # It has ended, or it is one that could not be recognised later: then it is not left running either.
    child.kill()
    forget(program.pid_file)
    said = _new_lines(logs, secrets) or "it wrote nothing"
    raise ProcessError(f"{program.command[0]} ended with {child.wait()} while it started: {said}")


@contextmanager
def _appending(output: Path) -> Iterator[t.BinaryIO]:
    """Open a file to be written at its end, new ones for this user alone; a pipe that nobody reads is an OSError."""
    descriptor = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    os.set_blocking(descriptor, True)
    with os.fdopen(descriptor, "ab") as stream:
        yield stream


def outlive(action: Callable[[], Result]) -> Result:
    """Do what must not end half-way in a process of its own, which goes on when this one is killed.

    Between its stop and its start a program is down, and nobody is there to start it. Gives what the action gives, and
    raises ProcessError as it does. Locks that are held stay until that process has ended, too.
    """
    reader, writer = multiprocessing.Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        try:
            reader.close()
            os.setsid()
            # Who waits for the end of the output waits for this process, not for the one that it goes on without.
            nothing = os.open(os.devnull, os.O_RDWR)
            for descriptor in range(3):
                os.dup2(nothing, descriptor)
            try:
                writer.send((action(), None))
            except ProcessError as error:
                writer.send((None, str(error)))
            except Exception as error:
                writer.send((None, f"{type(error).__name__}: {error}"))
        finally:
            os._exit(0)
    writer.close()
    try:
        result, failure = reader.recv()
    except EOFError:
        result, failure = None, f"process {child}, which stops and starts, ended before it was done; run again"
    finally:
        reader.close()
        os.waitpid(child, 0)
    if failure is not None:
        raise ProcessError(failure)
    return t.cast(Result, result)


def stop(held: Hold, program: Program, number: signal.Signals, seconds: float) -> bool:
    """Stop the program's process and remove its pid file.

    Says whether it had to be killed since it did not end in so many seconds. ProcessError when even that is no help.
    """
    held.send(number)
    killed = not held.wait(seconds)
    if killed:
        held.send(signal.SIGKILL)
        if not held.wait(seconds):
            raise ProcessError(f"process {held.process.pid} does not end, not even on SIGKILL")
    forget(program.pid_file)
    return killed


def listeners() -> list[Listener]:
    """Name everything that listens on TCP in this network namespace."""
    holders = _holders(_pids())
    found = []
    for each in _sockets():
        pids = tuple(holders[each.inode])
        found.append(Listener(each, system.user_name(each.uid), pids, _program(pids[0]) if pids else ""))
    return found


def taken(endpoints: Iterable[Endpoint], allowed: Collection[int] = ()) -> list[Taken]:
    """Name the addresses that a server can't listen on since another process does.

    endpoints: (host, port) as nats-server is given them. allowed: pids that may hold them, such as the server's own.
    """
    # of a process that this user may not look into, only its account is known
    accounts = set(_owners(allowed))
    everyone = [
        each
        for each in listeners()
        if not set(each.pids) & set(allowed) and not (not each.pids and each.socket.uid in accounts)
    ]
    found = []
    for host, port in endpoints:
        for address in _addresses(host):
            holder = next((each for each in everyone if conflicts(address, port, each.socket)), None)
            # A listener on :: may leave IPv4 to others, which no table shows: only the system can tell.
            if holder and not _can_bind(address, port):
                found.append(Taken(host, port, holder))
    return found


def _owners(pids: Iterable[int]) -> Iterator[int]:
    for pid in pids:
        try:
            yield (_PROC / str(pid)).stat().st_uid
        except OSError:
            continue


def _address(digits: str) -> Address:
    # The kernel prints each 32-bit word of the address in the machine's byte order.
    words = [digits[start : start + _WORD_DIGITS] for start in range(0, len(digits), _WORD_DIGITS)]
    packed = b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words)
    if len(digits) == _IPV4_DIGITS:
        return ipaddress.IPv4Address(packed)
    address = ipaddress.IPv6Address(packed)
    return address.ipv4_mapped or address


def _addresses(host: str) -> list[Address]:
    """Give the address that a Go server listens on for a host: none when it can't be resolved."""
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass
    try:
        found = [ipaddress.ip_address(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except (OSError, ValueError):
        return []
    # Of a name's addresses Go takes the first, IPv4 before IPv6.
    return sorted(found, key=lambda address: address.version)[:1]


def _resolve(endpoints: Iterable[Endpoint]) -> list[tuple[Address, int]]:
    return [(address, port) for host, port in endpoints for address in _addresses(host)]


def _serves(pid: int, wanted: Collection[tuple[Address, int]]) -> bool:
    own = _holders([pid])
    sockets = [each for each in _sockets() if each.inode in own]
    return bool(sockets) and all(any(conflicts(*each, found) for found in sockets) for each in wanted)


def _can_bind(address: Address, port: int) -> bool:
    """Try to take an address for a moment as Go's net.Listen does."""
    host, family = str(address), socket.AF_INET if address.version != _IPV6 else socket.AF_INET6
    if address.is_unspecified and socket.has_dualstack_ipv6():
        host, family = "::", socket.AF_INET6
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not address.is_unspecified)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _sockets() -> list[Socket]:
    tables = [_PROC / "net" / name for name in ("tcp", "tcp6")]
    # Without IPv6 there is no table for it.
    return [each for table in tables if table.exists() for each in parse_listening(table.read_text())]


def _holders(pids: Iterable[int]) -> Mapping[int, list[int]]:
    """Give, for each socket's inode, which of these processes hold it."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    for pid in pids:
        try:
            descriptors = list((_PROC / str(pid) / "fd").iterdir())
        except OSError:
            continue
        for descriptor in descriptors:
            try:
                is_socket = _SOCKET_FD.fullmatch(str(descriptor.readlink()))
            except OSError:
                continue
            if is_socket:
                found[int(is_socket[1])].append(pid)
    return found


def _pids() -> list[int]:
    return sorted(int(each.name) for each in _PROC.iterdir() if each.name.isdecimal())


def _noted(pid_file: Path) -> tuple[int, ...]:
    try:
        return (int(system.read_text(pid_file)),)
    except (OSError, ValueError):
        return ()


def _is_same(process: Process) -> bool:
    now = read(process.pid)
    return now is not None and now.started == process.started


def _open(process: Process) -> int | None:
    """Open a descriptor of a process; None where the system has no such thing or forbids it."""
    try:
        return os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        return None


def _program(pid: int) -> str:
    """Give the name of a process's program, and no argument: arguments may be secret."""
    try:
        return (_PROC / str(pid) / "comm").read_text(errors="replace").strip()
    except OSError:
        return "a program that has just ended"


def _pauses(seconds: float) -> Iterator[None]:
    """Yield at once and then after growing pauses, until the time is up."""
    deadline = time.monotonic() + seconds
    pause = _FIRST_PAUSE
    while True:
        yield
        if time.monotonic() >= deadline:
            return
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _new_lines(logs: Mapping[Path, int], secrets: Collection[str]) -> str:
    """Give the last lines that were written to these files since they had these sizes."""
    lines: list[str] = []
    for path, size in logs.items():
        try:
            lines += redaction.redact(system.tail(path, _SHOWN_BYTES, size), secrets).splitlines()
        except OSError:
            continue
    return "\n".join(line for line in lines[-_SHOWN_LINES:] if line.strip())
