# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be seen of the bot and of its way to NATS. Looking changes nothing, and what can't be seen says so."""

from __future__ import annotations

import ipaddress
import os
import socket
import typing as t
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._bot import (
    bot_expectation,
    credentials,
    plugin_files,
    subscriptions,
)
from ansible_collections.rosey.nats.plugins.module_utils._host import (
    access,
    background,
    command_line,
    environment_file,
    process,
    redaction,
    sockets,
    system,
)
from ansible_collections.rosey.nats.plugins.module_utils._host.needed_path import Need, NeededPath
from ansible_collections.rosey.nats.plugins.module_utils._host.service import RunCommand
from ansible_collections.rosey.nats.plugins.module_utils._host.system import PACKAGES, Account
from ansible_collections.rosey.nats.plugins.module_utils._server import (
    answers,
    http_reader,
    login,
    monitoring,
    served_certificates,
)
from ansible_collections.rosey.nats.plugins.module_utils._server.login import Step
from ansible_collections.rosey.nats.plugins.module_utils._server.served_certificates import Served
from ansible_collections.rosey.nats.plugins.module_utils._server.tls_listener import TlsListener
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import evidence
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.evidence import Unit
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import NotSeenError, attempt, seen

try:
    import yaml
except ImportError:
    HAS_YAML = False
else:
    HAS_YAML = True

Answer = answers.Answer
SECTION = "nats"
# What the server shows a diagnosis as.
CLIENT_NAME = "rosey-diagnosis"


@dataclass(frozen=True)
class Client:
    """A client of the bus. file: what it proves itself with. permissions: as the server's configuration has them."""

    file: str
    permissions: Mapping[str, t.Any]


@dataclass(frozen=True)
class Described:
    """What was meant, as the roles describe it.

    prefix: of the environment's subjects. service: of the bot; empty where it is a process of its own, with this
    command and pid_file. account: that it runs
    as, empty for whoever looks. servers: the URLs that it is given. client_name: of its connection. monitoring_url: of
    the server that it goes to, empty for none, None for that of this host's server. legacy: it is meant to run without
    NATS. optional: it may be missing. version, server_service, container: of the server, the container where it runs
    in one. published: the subjects that somebody publishes, families of them among them; None where that is not known.
    clients: those that have a credential of their own, by name; none where all share one.
    """

    environment: str
    prefix: str
    home: Path
    service: str
    account: str
    servers: tuple[str, ...]
    client_name: str
    health_url: str
    monitoring_url: str | None
    version: str
    server_service: str = "nats"
    container: str = ""
    command: tuple[str, ...] = ()
    pid_file: Path | None = None
    legacy: bool = False
    optional: bool = False
    plugins: tuple[bot_expectation.Plugin, ...] = ()
    published: tuple[str, ...] | None = None
    clients: Mapping[str, Client] = field(default_factory=dict)

    @property
    def directory(self) -> Path:
        """The directory of the environment."""
        return self.home / "environments" / self.environment

    @property
    def section_file(self) -> Path:
        """The file with the section."""
        return self.directory / "config.yaml"

    @property
    def secrets_file(self) -> Path:
        """The file with the environment variables."""
        return self.directory / "secrets.env"

    def plugin_file(self, name: str) -> Path:
        """Name the file of a plugin."""
        return self._places.file(name)

    def plugin_log(self, name: str) -> Path:
        """Name the file that a plugin writes to, where its own file names no other."""
        return self._places.log(name)

    @property
    def _places(self) -> plugin_files.Places:
        return plugin_files.Places(self.home, self.directory)

    @property
    def restart(self) -> str:
        """What makes the bot read its files again."""
        return f"systemctl restart {self.service}" if self.service else "start the bot anew"

    @property
    def start_server(self) -> str:
        """What makes the server start."""
        return f"systemctl start {self.server_service}" if self.server_service else command_line.deploy()

    @property
    def log(self) -> str:
        """Where the bot writes to."""
        if self.service:
            return f"journalctl -u {self.service}"
        return str(background.output_file(self.pid_file)) if self.pid_file else "its standard output"


class BrokenError(Exception):
    """Why a file is no mapping in YAML; no value of it is in that."""


@dataclass(frozen=True)
class File:
    """A file that the bot reads.

    content: None where it is not there. forbidden: the path at which the bot's account is stopped. is_newer: written
    since the running bot was started.
    """

    path: Path
    content: bytes | None = field(repr=False)
    forbidden: Path | None = None
    is_newer: bool = False

    def mapping(self) -> Mapping[str, t.Any]:
        """Read it as YAML; BrokenError, NotSeenError."""
        if not HAS_YAML:
            raise NotSeenError(str(self.path), "this host's Python has no PyYAML", f"install {PACKAGES['yaml']} there")
        try:
            content = yaml.safe_load(self.content or b"")
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            raise BrokenError(f"line {mark.line + 1} is no YAML" if mark else "it is no YAML") from None
        except (ValueError, TypeError, RecursionError, yaml.YAMLError):
            raise BrokenError("it is no YAML") from None
        if not isinstance(content, Mapping):
            raise BrokenError("its top level is no mapping")
        return content


@dataclass(frozen=True)
class Evidence:
    """What was seen; of what could not be, why not.

    told: what the bot tells of itself. connections: of the server, with their subjects. limits: its /varz. running: the
    variables of the bot's process, None where it has none. logins: what came of trying the servers that the bot goes
    to, none where it is connected. own_addresses: those that they mean and that are this host's. server: the server's
    configuration. certificates: what is shown where a login failed, by its URL. greets: the URLs at which a server
    greets that the bot meets with TLS. elsewhere: what clients of other servers of the cluster hold, where the bot may
    be connected to one of these.
    """

    described: Described
    told: Answer | NotSeenError
    connections: tuple[Answer, ...] | NotSeenError
    limits: Answer | NotSeenError
    unit: Unit | NotSeenError
    section: File | NotSeenError
    secrets: File | NotSeenError
    running: Mapping[str, str] | NotSeenError | None = field(repr=False)
    listeners: tuple[sockets.Listener, ...] | NotSeenError
    server: Mapping[str, t.Any] | NotSeenError = field(repr=False)
    logins: tuple[login.Login, ...] | NotSeenError = ()
    own_addresses: frozenset[str] = frozenset()
    certificates: Mapping[str, Served] = field(default_factory=dict)
    greets: frozenset[str] = frozenset()
    elsewhere: Mapping[str, set[str]] = field(default_factory=dict)

    @property
    def says_connected(self) -> bool | None:
        """Whether the bot says itself that it is on the bus; None where it says nothing of that."""
        said = None if isinstance(self.told, NotSeenError) else self.tells("connected")
        return said if isinstance(said, bool) else None

    @property
    def is_connected(self) -> bool:
        """Whether the bot is on the bus: what it says itself counts, and where it says nothing what the server has."""
        if self.says_connected is not None:
            return self.says_connected
        name = self.described.client_name
        return not isinstance(self.connections, NotSeenError) and any(
            each.get("name") == name for each in self.connections
        )

    def tells(self, name: str) -> t.Any:
        """Give what the bot tells of NATS; NotSeenError."""
        nats = seen(self.told).get("nats")
        return nats.get(name) if isinstance(nats, Mapping) else None


def variables_of(secrets: File | NotSeenError) -> Mapping[str, str]:
    """Give the variables that the bot is started with, as systemd reads them; none where they can't be read."""
    if isinstance(secrets, NotSeenError) or secrets.content is None:
        return {}
    try:
        return environment_file.get(secrets.content)
    except environment_file.EnvironmentFileError:
        return {}


def secrets_of(variables: Mapping[str, str]) -> set[str]:
    """Give what of the bot's variables nobody is to read."""
    return {value for name, value in credentials.given_by(variables).items() if name in credentials.SECRETS}


def section_of(file: File | NotSeenError) -> Mapping[str, t.Any]:
    """Give the section of the bot's file; empty where it can't be read."""
    try:
        found = seen(file).mapping().get(SECTION)
    except (NotSeenError, BrokenError):
        return {}
    return found if isinstance(found, Mapping) else {}


def servers_of(section: Mapping[str, t.Any], variables: Mapping[str, str], described: Iterable[str]) -> list[str]:
    """Give the URLs that the bot goes to: those of its environment come first, then those of its section."""
    given = variables.get(credentials.SERVER_VARIABLE)
    if given:
        return [url.strip() for url in given.split(",")]
    servers = section.get("servers") or list(described)
    return list(map(str, servers)) if isinstance(servers, list) else [str(servers)]


# Looking

_LINES = 40


def look(
    described: Described,
    run_command: RunCommand,
    monitor: monitoring.Monitor | NotSeenError,
    server: Mapping[str, t.Any] | NotSeenError,
) -> Evidence:
    """Look at the bot; where it is not connected, also at what its servers answer.

    run_command: AnsibleModule's. server: the server's configuration.
    """
    unit = attempt(lambda: _unit(described, run_command))
    number = 0 if isinstance(unit, NotSeenError) else unit.number("MainPID")
    running = process.read(number) if number else None

    def look_at(path: Path) -> File | NotSeenError:
        return attempt(lambda: read_file(path, running, described.account))

    secrets = look_at(described.secrets_file)
    if isinstance(unit, Unit):
        unit = _without(unit, secrets_of(variables_of(secrets)))
    seen_so_far = Evidence(
        described=described,
        told=attempt(lambda: _told(described.health_url)),
        connections=attempt(lambda: tuple(evidence.ask_server(monitor, "connz", details=True)["connections"])),
        limits=attempt(lambda: evidence.ask_server(monitor, "varz")),
        unit=unit,
        section=look_at(described.section_file),
        secrets=secrets,
        running=attempt(lambda: _environment(number)) if running else None,
        listeners=attempt(_listeners),
        server=server,
        elsewhere=_elsewhere(described, monitor),
    )
    # one that is meant to run without NATS has no login, and the server would write down that it was refused
    return seen_so_far if seen_so_far.is_connected or described.legacy else _with_logins(seen_so_far)


def _elsewhere(described: Described, monitor: monitoring.Monitor | NotSeenError) -> Mapping[str, set[str]]:
    """Ask for what is held at other servers; where nobody answers, nothing is known of it."""
    if len(described.servers) <= 1:
        return {}
    found = attempt(lambda: subscriptions.held_elsewhere(evidence.ask_server(monitor, "routez", details=True)))
    return {} if isinstance(found, NotSeenError) else found


def _unit(described: Described, run_command: RunCommand) -> Unit:
    """Ask what runs the bot; of a process of its own, what systemd would say of it."""
    if described.service:
        return evidence.ask_systemd(described.service, run_command)
    if not (described.command and described.pid_file):
        raise NotSeenError("the bot's process", "bot_config_command is empty", "say in it what the bot is started with")
    found = background.find(background.Bot(described.command, described.pid_file), process.owner(described.pid_file))
    try:
        output = system.read_text(background.output_file(described.pid_file), "replace")
    except OSError:
        output = ""
    state = {"LoadState": "loaded", "ActiveState": "active" if found else "inactive"}
    properties = {**state, "MainPID": str(found.pid if found else 0)}
    return Unit("", properties, tuple(background.since_start(redaction.redact(output))[-_LINES:]))


def _without(unit: Unit, secrets: set[str]) -> Unit:
    """Take the bot's own secrets out of what it said."""
    if isinstance(unit.said, NotSeenError):
        return unit
    return replace(unit, said=tuple(redaction.redact(line, secrets) for line in unit.said))


def read_file(path: Path, running: process.Process | None, account: str) -> File:
    """Read a file of the bot; NotSeenError. running: the bot's process. account: who has to read it."""
    try:
        content = system.read(path)
        forbidden = _forbidden(path, evidence.account(account) if account else None)
    except (FileNotFoundError, NotADirectoryError):
        return File(path, None)
    except OSError as error:
        raise NotSeenError(str(path), f"{error.strerror}", "run as root, or as the bot's account") from error
    return File(path, content, forbidden, bool(running and running.is_older_than(path)))


def _forbidden(path: Path, account: Account | None) -> Path | None:
    """Give the part of a path at which an account is stopped that wants to read it."""
    if account is None:
        return None
    wanted = NeededPath("", str(path), Need.FILE)
    return next((fault.where for fault in access.faults([wanted], account)), None)


def _told(url: str) -> Answer:
    if not http_reader.HAS_REQUESTS:
        raise NotSeenError(
            "what the bot tells", "this host's Python has no requests", f"install {PACKAGES['requests']} there"
        )
    try:
        return http_reader.Reader(url, bot_expectation.BOT, timeout=evidence.SECONDS).ask(url, any_status=True)[1]
    except http_reader.MonitoringError as error:
        raise NotSeenError(f"what the bot tells at {error.url}", error.cause, error.remedy) from error


def _environment(pid: int) -> dict[str, str]:
    try:
        text = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError as error:
        raise NotSeenError("the variables of the running bot", f"{error.strerror}", "run as root") from error
    return dict(each.split("=", 1) for each in map(os.fsdecode, text.split(b"\0")) if "=" in each)


def _listeners() -> tuple[sockets.Listener, ...]:
    try:
        return tuple(sockets.listeners())
    except OSError as error:
        raise NotSeenError("who listens on this host", str(error), "see that /proc is mounted") from error


def _with_logins(known: Evidence) -> Evidence:
    """Try each of the bot's servers as the bot does."""
    described, section, variables = known.described, section_of(known.section), variables_of(known.secrets)
    by_file = {"user_credentials", "nkeys_seed"} & section.keys()
    name = section.get("tls_hostname")
    trust = login.Trust(
        variables.get(credentials.CA_FILE_VARIABLE),
        name if isinstance(name, str) else None,
        bool(section.get("tls_handshake_first")),
    )

    def log_in(url: str) -> login.Login:
        try:
            place = bot_expectation.place(url).shown
        except ValueError as error:
            raise NotSeenError("the bot's servers", str(error), f"correct it, then {described.restart}") from error
        scheme = place.partition("://")[0]
        if scheme not in login.SCHEMES:
            what = f"the login at {place}"
            raise NotSeenError(what, f"{scheme} is not looked into", "look at the log of the bot for what it meets")
        given = None if by_file or "@" in url else credentials.given_by(variables)
        return login.log_in(place, given, trust, name=CLIENT_NAME, seconds=evidence.SECONDS)

    urls = servers_of(section, variables, described.servers)
    logins = attempt(lambda: tuple(log_in(url) for url in urls))
    met = () if isinstance(logins, NotSeenError) else logins
    own = frozenset(address for each in met for address in each.addresses if _is_own(address))
    looks = {each.url: _certificate(each, trust) for each in met if _asks_for_a_look(each)}
    greets = frozenset(each.url for each in met if trust.first and each.failed is Step.ENCRYPT and _greets(each.url))
    return replace(known, logins=logins, own_addresses=own, certificates=looks, greets=greets)


def _asks_for_a_look(met: login.Login) -> bool:
    """Tell whether a certificate would tell more of a login: one was refused, or TLS was waited for."""
    return met.failed is Step.GREET or (met.failed is Step.ENCRYPT and met.flaw is not None)


def _certificate(met: login.Login, trust: login.Trust) -> Served:
    first = trust.first or met.failed is Step.GREET
    return served_certificates.look(TlsListener("clients", met.url, None, None, first), seconds=evidence.SECONDS)


def _greets(url: str) -> bool:
    """Tell whether a server presents itself without being met with TLS."""
    return bool(login.log_in(url, None, login.Trust(), name=CLIENT_NAME, seconds=evidence.SECONDS).info)


def _is_own(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if ipaddress.ip_address(address).is_loopback:
        return True
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
