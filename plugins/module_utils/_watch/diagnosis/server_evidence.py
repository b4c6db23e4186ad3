# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be seen of a server, whether it runs or not. Looking changes nothing, and what can't be seen says so."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import time
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._data import asset_reading, cluster_store, lost_streams
from ansible_collections.rosey.nats.plugins.module_utils._host import (
    access,
    architecture,
    background,
    command_line,
    process,
    redaction,
    sockets,
    system,
)
from ansible_collections.rosey.nats.plugins.module_utils._host.needed_path import Need, NeededPath
from ansible_collections.rosey.nats.plugins.module_utils._host.service import RunCommand
from ansible_collections.rosey.nats.plugins.module_utils._host.system import Account
from ansible_collections.rosey.nats.plugins.module_utils._server import (
    answers,
    certificates,
    cluster,
    cluster_reading,
    conf,
    conf_lexer,
    http_reader,
    monitoring,
    requirements,
    served_certificates,
    server_files,
)
from ansible_collections.rosey.nats.plugins.module_utils._server.served_certificates import Served
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import evidence
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.evidence import Unit
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import NotSeenError, attempt, seen

Answer = answers.Answer
STORE = requirements.STORE_OPTION
UNIT_OPTION = "ReadWritePaths of the unit"
COMMAND_LINE = "the command line (-c)"


@dataclass(frozen=True)
class Described:
    """What was meant, as the role describes it.

    service: empty where it is a process of its own, whose number is in pid_file. container: that it runs in, if any.
    account, group: who runs it. release_dir: where the host keeps what it held when it was last proven, None where
    that is not compared. version: which nats-server it is meant to be. members: the server names of the cluster that it
    is in, none where it stands alone. asked_at: the time of the machine that asks, in seconds since 1970.
    """

    service: str
    container: str
    account: str
    group: str
    binary: Path
    config_file: Path
    pid_file: Path
    monitoring_url: str | None
    release_dir: Path | None = None
    version: str = ""
    members: tuple[str, ...] = ()
    asked_at: float | None = None


@dataclass(frozen=True)
class Part:
    """A server's part in its cluster: what it tells of that, and the names of all members.

    apart: the seconds by which the host's clock is ahead of that of who asked, None where that is not known. peers: the
    ids of the servers that were in a cluster with the one whose store it runs on; none where that does not tell.
    """

    sight: cluster.Sight
    varz: Answer
    members: tuple[str, ...]
    apart: float | None = None
    peers: frozenset[str] = frozenset()

    @property
    def own(self) -> str:
        """The server's name."""
        return str(self.varz["server_name"])


@dataclass(frozen=True)
class Binary:
    """The program. target: what a link leads to.

    fault: why the system does not execute it, and errno's name for it. is_tried: it was executed, or could not be.
    """

    path: Path
    target: Path
    exists: bool
    fault: str = ""
    name: str = ""
    is_tried: bool = False


@dataclass(frozen=True)
class Trial:
    """What the program said of the configuration, and how it ended."""

    status: int
    said: str


@dataclass(frozen=True)
class Place:
    """A path that the server needs.

    option: which names it. needed: what of it has to be there. fault: what keeps who runs the server from it.
    free_bytes, free_inodes: of its file system; None where it has no such limit.
    """

    option: str
    need: Need
    needed: Path
    fault: access.Fault | None = None
    device: int = 0
    free_bytes: int | None = None
    free_inodes: int | None = None


@dataclass(frozen=True)
class Evidence:
    """What was seen; of what could not be, why not.

    unit: None where no service manager runs it. binary, config_file: what is started, and with what. account: None
    where it is not there. config: None where there is no such file; fault: why it is none that can be read, config is
    empty then. tested: None where it was not tried. taken: who holds its addresses. clashes: who has its files. absent:
    its hosts that are not this one's, and why. pid, state: of its process, as proc(5) writes it, 0 where there is none.
    log: the end of its log file, without secrets. monitor: asks it; a server that has not answered is not waited for
    again. available: the bytes of memory that are left. streams: beside those that were proven, None where nothing was
    or none can be compared. certificates: what each listener with TLS shows, and what its files have. cluster: None
    where it stands alone or does not run.
    """

    described: Described
    unit: Unit | NotSeenError | None
    binary: Binary
    config_file: Path
    account: Account | None
    config: Mapping[str, t.Any] | NotSeenError | None = field(repr=False)
    monitor: monitoring.Monitor | NotSeenError
    fault: str = ""
    tested: Trial | NotSeenError | None = None
    places: tuple[Place, ...] | NotSeenError = ()
    taken: tuple[sockets.Taken, ...] | NotSeenError = ()
    clashes: tuple[server_files.Clash, ...] | NotSeenError = ()
    absent: Mapping[str, str] = field(default_factory=dict)
    pid: int = 0
    state: str = ""
    log: str | NotSeenError = ""
    health: Answer | NotSeenError = field(default_factory=dict)
    available: int | None = None
    streams: lost_streams.Comparison | NotSeenError | None = None
    certificates: tuple[Served, ...] | NotSeenError = ()
    cluster: Part | NotSeenError | None = None

    @property
    def runs(self) -> bool:
        """Whether it has a process."""
        return bool(self.pid)

    @property
    def start(self) -> str:
        """What a person types to start it."""
        service = self.described.service
        return f"systemctl start {service}" if service else command_line.deploy()


_SETTLE_SECONDS = 4.0
# How long a process has to be stopped for that to count.
_STOPPED_SECONDS = 1.0
_SETTLE_PAUSE = 0.2
# A process that has lived so long has come through its start.
_GROWN_UP = 2.0
_SECONDS = 10
_WINDOW = 256 * 1024
_PROGRAM = "nats-server"


def look(described: Described, run_command: RunCommand) -> Evidence:
    """Look at a server; a start that is under way is waited for. run_command: AnsibleModule's."""
    unit = attempt(lambda: _settled(described.service, run_command)) if described.service else None
    command = unit.command if isinstance(unit, Unit) else ()
    named = process.config_argument(command)
    config_file = Path("/", named) if named else described.config_file
    runs_as: tuple[str, str, t.Sequence[str]] = (described.account, described.group, ())
    if isinstance(unit, Unit) and command:
        runs_as = (unit["User"] or "root", unit["Group"], unit["SupplementaryGroups"].split())
    account = evidence.account(*runs_as)
    binary = _look_at_binary(Path(command[0]) if command else described.binary, account)
    config, fault = _read_config(config_file)
    known = config if isinstance(config, Mapping) else {}
    pid = _pid(described, unit, known)
    url = described.monitoring_url or _monitoring_url(known)
    monitor = attempt(lambda: evidence.monitor(url))
    health = attempt(lambda: evidence.ask_server(monitor, "healthz"))
    asked = health if isinstance(health, NotSeenError) else monitor
    has_streams = described.release_dir is not None and (pid or described.container)
    testable = binary.is_tried and not binary.fault and config is not None
    return Evidence(
        described=described,
        unit=unit,
        binary=binary,
        config_file=config_file,
        account=account,
        config=config,
        monitor=asked,
        fault=fault,
        tested=attempt(lambda: _try(binary.path, config_file, account)) if account and testable else None,
        places=attempt(lambda: tuple(_places(known, config_file, unit, account))),
        taken=attempt(lambda: tuple(sockets.taken(_addresses(known), [pid]))),
        clashes=attempt(lambda: tuple(_clashes(described, known, config_file, pid))),
        absent=dict(_absent(known)),
        pid=pid,
        state=_state(pid),
        log=attempt(lambda: redaction.redact(evidence.end_of_log(known, _WINDOW))),
        health=health,
        available=_available(),
        streams=attempt(lambda: _streams(described, asked, health)) if has_streams else None,
        # the files of one in a container are elsewhere
        certificates=() if described.container else attempt(lambda: tuple(_certificates(known, is_asked=bool(pid)))),
        cluster=attempt(lambda: _part(described, asked)) if described.members and pid else None,
    )


def _settled(service: str, run_command: RunCommand) -> Unit:
    """Ask for a service, again while it is on its way through a start: what came of that is what counts."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        unit = evidence.ask_systemd(service, run_command)
        running = process.read(unit.number("MainPID"))
        is_young = running is not None and running.age < _GROWN_UP
        on_its_way = unit["ActiveState"] in ("activating", "deactivating") and unit["SubState"] != "auto-restart"
        if not (is_young or on_its_way) or time.monotonic() > deadline:
            return unit
        time.sleep(_SETTLE_PAUSE)


def _look_at_binary(path: Path, account: Account | None) -> Binary:
    target = Path(os.path.realpath(path))
    if not target.is_file():
        return Binary(path, target, exists=False)
    if account is None or target.name != _PROGRAM:
        # nobody to run it as; or another program, of which nobody knows what it would do
        return Binary(path, target, exists=True)
    try:
        _run([path, "--version"], account)
    except OSError as error:
        fault = architecture.why_not_executed(target, error)
        return Binary(path, target, True, fault, errno.errorcode.get(error.errno or 0, ""), is_tried=True)
    except subprocess.TimeoutExpired:
        return Binary(path, target, True, f"{path} --version gave no answer in {_SECONDS} s", is_tried=True)
    return Binary(path, target, exists=True, is_tried=True)


def _run(words: Sequence[str | Path], account: Account) -> subprocess.CompletedProcess[str]:
    """Run the program as who runs the server."""
    return subprocess.run(
        words,
        **system.run_as(account),
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        timeout=_SECONDS,
    )


def _read_config(path: Path) -> tuple[Mapping[str, t.Any] | NotSeenError | None, str]:
    def read(file: Path) -> str:
        return system.read_text(file, "surrogateescape")

    try:
        return conf.parse(read(path), include=lambda included: read(path.parent / included)), ""
    except conf_lexer.ConfError as error:
        return {}, str(error)
    except FileNotFoundError as error:
        if error.filename == str(path):
            return None, ""
        return {}, f"it includes {error.filename}, which is not there"
    except OSError as error:
        return NotSeenError(str(path), f"{error.strerror}", "run as root"), ""


def _try(binary: Path, config_file: Path, account: Account) -> Trial:
    """Have the program try the configuration."""
    try:
        done = _run([binary, "-t", "-c", config_file], account)
    except OSError as error:
        raise NotSeenError(f"{binary} -t", error.strerror or str(error), "see what is said of the program") from error
    except subprocess.TimeoutExpired as error:
        why = f"it gave no answer in {_SECONDS} s"
        raise NotSeenError(f"{binary} -t", why, "look at the load of the host") from error
    return Trial(done.returncode, redaction.redact(done.stdout.strip()))


def _places(
    config: Mapping[str, t.Any], config_file: Path, unit: Unit | NotSeenError | None, account: Account | None
) -> Iterator[Place]:
    """Look at every path that the server needs, each once."""
    wanted = [NeededPath(COMMAND_LINE, str(config_file), Need.FILE), *requirements.paths(config)]
    if isinstance(unit, Unit):
        named = unit["ReadWritePaths"].split()
        wanted += [NeededPath(UNIT_OPTION, each, Need.DIRECTORY) for each in named if each[0] == "/"]
    known = set()
    for path in wanted:
        if path.required not in known or path.option != UNIT_OPTION:
            known.add(path.required)
            # what the unit names is for systemd to find
            yield _place(path, account if path.option != UNIT_OPTION else None)


def _place(wanted: NeededPath, account: Account | None) -> Place:
    """Look at a path as an account, or as whoever looks."""
    try:
        fault = next(iter(access.faults([wanted], account or system.account(""))), None)
        nearest = access.steps(Path(wanted.required))[-1].path
        system_of = os.statvfs(nearest)
        return Place(
            wanted.option,
            wanted.need,
            Path(wanted.required),
            fault,
            nearest.stat().st_dev,
            system_of.f_bavail * system_of.f_frsize,
            system_of.f_favail if system_of.f_files else None,
        )
    except OSError as error:
        raise NotSeenError(f"{wanted.option}: {wanted.path}", error.strerror or str(error), "run as root") from error


def _addresses(config: Mapping[str, t.Any]) -> list[sockets.Endpoint]:
    try:
        return [(each.host, each.port) for each in requirements.endpoints(config)]
    except (TypeError, ValueError):
        return []  # what is no port is told with the configuration


def _clashes(
    described: Described, config: Mapping[str, t.Any], config_file: Path, pid: int
) -> list[server_files.Clash]:
    """Name the other servers that have files of one that runs."""
    running = process.read(pid) if pid else None
    pid_file = None if described.service else described.pid_file
    return server_files.clashes(requirements.paths(config), config_file, running, pid_file) if running else []


def _monitoring_url(config: Mapping[str, t.Any]) -> str | None:
    try:
        return requirements.monitoring_url(config)
    except (TypeError, ValueError):
        return None


def _certificates(config: Mapping[str, t.Any], *, is_asked: bool) -> Iterator[Served]:
    try:
        listeners = requirements.tls_listeners(config)
    except (TypeError, ValueError):
        return  # what is no port is told with the configuration
    if listeners and not certificates.HAS_CRYPTOGRAPHY:
        install = f"install {system.PACKAGES['cryptography']} there"
        raise NotSeenError("the certificates of the server", "this host's Python has no cryptography", install)
    for each in listeners:
        if is_asked:
            yield served_certificates.look(each, seconds=evidence.SECONDS)
        else:
            yield served_certificates.unasked(each)


def _absent(config: Mapping[str, t.Any]) -> Iterator[tuple[str, str]]:
    """Name the hosts to listen on that this host does not have, by taking a port of each for a moment."""
    for host in {host for host, _port in _addresses(config)}:
        try:
            family, kind, protocol, _name, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.bind(address)
        except UnicodeError as error:  # no name in IDNA
            yield host, str(error)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
                yield host, error.strerror or str(error)


def _pid(described: Described, unit: Unit | NotSeenError | None, config: Mapping[str, t.Any]) -> int:
    """Give the server's process: systemd's, or where that tells nothing the noted one, or who serves its port."""
    if isinstance(unit, Unit):
        return unit.number("MainPID")
    program = background.Server(described.binary, described.config_file, described.pid_file)
    ports = [port for _host, port in _addresses(config)]
    try:
        noted = background.find(program, process.owner(described.pid_file))
        if noted:
            return noted.pid
        serving = (each for each in sockets.listeners() if each.socket.port in ports and each.command == _PROGRAM)
        return next((each.pids[0] for each in serving), 0)
    except OSError:
        return 0


def _streams(
    described: Described, asked: monitoring.Monitor | NotSeenError, healthz: Answer | NotSeenError
) -> lost_streams.Comparison | None:
    """Compare the streams with those that were proven; None where none were. NotSeenError."""
    if described.release_dir is None:
        return None
    try:
        # What was never proven needs no server that answers.
        proven = lost_streams.read(described.release_dir)
        if proven is None:
            return None
        patient = monitoring.Monitor(seen(asked).url, timeout=asset_reading.SECONDS)
        record = lost_streams.Record(described.release_dir, patient, local_files=not described.container)
        return record.compare(proven, seen(healthz), evidence.ask_server(asked, "jsz"))
    except lost_streams.NotComparedError as error:
        raise NotSeenError(error.what, error.why, error.remedy) from error
    except http_reader.MonitoringError as error:
        raise NotSeenError(f"what the server tells at {error.url}", error.cause, error.remedy) from error


def _part(described: Described, asked: monitoring.Monitor | NotSeenError) -> Part:
    """Ask a server for its part in the cluster; NotSeenError."""
    varz = evidence.ask_server(asked, "varz")
    monitor = seen(asked)
    try:
        sight = cluster_reading.look(monitor, varz["server_name"])
    except http_reader.MonitoringError as error:
        raise NotSeenError(f"what the server tells at {error.url}", error.cause, error.remedy) from error
    apart = None if described.asked_at is None else time.time() - described.asked_at
    return Part(sight, varz, described.members, apart, cluster_store.peers_of(varz))


def _state(pid: int) -> str:
    """Give the state of a process; of one that is stopped for a moment alone, the one that it goes on with."""
    deadline = time.monotonic() + _STOPPED_SECONDS
    while True:
        state = process.state(Path("/proc", str(pid)))
        if state not in process.STOPPED or time.monotonic() > deadline:
            return state
        time.sleep(_STOPPED_SECONDS / 20)


def _available() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
