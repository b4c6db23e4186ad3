# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that run without a service manager: started, noted, held and stopped."""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import subprocess
import tempfile
import time
import typing as t
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._host import architecture, redaction, sockets, system
from ansible_collections.rosey.nats.plugins.module_utils._host import process as processes
from ansible_collections.rosey.nats.plugins.module_utils._host.process import Process
from ansible_collections.rosey.nats.plugins.module_utils._host.sockets import Endpoint

Result = t.TypeVar("Result")
_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.05
_SHOWN_LINES = 20
_LAST_LINES = 5
_SHOWN_BYTES = 64 * 1024
# The line before what a program writes, without which what an earlier one wrote would be taken for its own.
_STARTED = "rosey.nats: started "


class ProcessError(Exception):
    """Why a process could not be started, stopped or signalled, in words for the user."""


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

    binary: the binary or a link to it. config_file: its configuration file. pid_file: holds the number of its process.
    """

    binary: Path
    config_file: Path
    pid_file: Path

    @property
    def command(self) -> tuple[str, ...]:
        """What it is started with, and known by."""
        return (str(self.binary), "-c", str(self.config_file))

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
            return f"process {process.pid} was not started with {self.config_file}"
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
            elif processes.is_same(self.process):
                os.kill(self.process.pid, number)
        except ProcessLookupError:
            return

    def wait(self, seconds: float) -> bool:
        """Wait until the process has ended, at most so long; says whether it has."""
        if self._descriptor is not None:
            ended = select.poll()
            ended.register(self._descriptor, select.POLLIN)
            return bool(ended.poll(seconds * 1000))
        return any(not processes.is_same(self.process) for _attempt in _pauses(seconds))


def mismatch(process: Process, program: Program, uid: int) -> str:
    """Say why a process is not this program, run by the user uid; empty when it is."""
    if difference := program.difference(process):
        return difference
    if process.uid != uid:
        return f"process {process.pid} runs as {system.user_name(process.uid)}, not as {system.user_name(uid)}"
    return ""


def find(program: Program, uid: int | None = None) -> Process | None:
    """Give the running process of a program: the one of its pid file, or one that a lost pid file no longer names.

    uid: of the user who runs it; without one, this user.
    """
    uid = os.geteuid() if uid is None else uid
    for pid in (*processes.noted_pids(program.pid_file), *processes.pids()):
        process = processes.read(pid)
        if process and not mismatch(process, program, uid):
            return process
    return None


def output_file(pid_file: Path) -> Path:
    """Name the file that takes what a program writes to its standard output, where no other was asked for."""
    return pid_file.with_suffix(".out")


def last_lines(output: Path) -> str:
    """Give the end of what a program wrote since it was started last, less what looks like a secret; OSError."""
    return "\n".join(since_start(redaction.redact(system.tail(output, _SHOWN_BYTES)))[-_LAST_LINES:])


def since_start(text: str) -> list[str]:
    """Give the lines of an output that are of the program that was started last, as far as it can be told."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines, start=1) if line.startswith(_STARTED)]
    return lines[starts[-1] :] if starts else lines


def noted(pid_file: Path) -> int | None:
    """Give the number in a pid file; None where it has none."""
    return next(iter(processes.noted_pids(pid_file)), None)


def forget(pid_file: Path) -> None:
    """Take a pid file away, or what stands in its place; ProcessError."""
    try:
        system.make_way(pid_file)
        pid_file.unlink(missing_ok=True)
    except OSError as error:
        raise ProcessError(f"pid_file {pid_file} can't be removed: {error.strerror}") from error


def is_noted(program: Program, pid: int) -> bool:
    """Say whether the pid file names this process."""
    return processes.noted_pids(program.pid_file) == (pid,)


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
    descriptor = processes.handle_of(process)
    try:
        # Its number may have gone to another process between the look and the hold.
        yield Hold(process, descriptor) if processes.is_same(process) else None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def check_files(server: Server, output: Path) -> None:
    """Raise ProcessError when a start can't succeed since a file or directory is missing."""
    for name, path in (("binary", server.binary), ("config_file", server.config_file)):
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
    held = sockets.taken(endpoints, allowed)
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
    try:
        with _appending(output) as stream:
            _mark_start(output, stream)
            logs = {path: system.size(path) for path in (output, log_file) if path}
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
    wanted = sockets.resolve(endpoints)
    for _attempt in _pauses(seconds):
        if child.poll() is not None or sockets.serves(child.pid, wanted):
            break
    process = processes.read(child.pid)
    if process:
        return process
    # It has ended, or it is one that could not be recognised later: then it is not left running either.
    child.kill()
    forget(program.pid_file)
    said = _new_lines(logs, secrets) or "it wrote nothing"
    raise ProcessError(f"{program.command[0]} ended with {child.wait()} while it started: {said}")


def _mark_start(output: Path, stream: t.BinaryIO) -> None:
    """Write the line before what a program writes. A full disk keeps no program from its start."""
    with suppress(OSError):
        cut_off = "" if system.tail(output, 1) in ("", "\n") else "\n"
        line = f"{cut_off}{_STARTED}{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}\n"
        # past the buffer, which would fail once more as it is closed
        os.write(stream.fileno(), line.encode())


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
