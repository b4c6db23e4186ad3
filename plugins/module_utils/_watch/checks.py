# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health of one host of the bus, as checks with a status and limits: an Observer looks once, judge() compares.

The names are those of natscli's ``nats server check`` and of its performance data, where it has such a check. Looking
never stops at a failure: what is not known is a check too."""

from __future__ import annotations

import socket
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from ansible_collections.rosey.nats.plugins.module_utils._bot import bot_expectation, bot_health, subscriptions
from ansible_collections.rosey.nats.plugins.module_utils._data import cluster_store, lost_streams
from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Severity
from ansible_collections.rosey.nats.plugins.module_utils._host.service import Service
from ansible_collections.rosey.nats.plugins.module_utils._server import (
    cluster,
    cluster_reading,
    http_reader,
    info_line,
    monitoring,
    served_certificates,
    server_files,
)
from ansible_collections.rosey.nats.plugins.module_utils._server.http_reader import MonitoringError
from ansible_collections.rosey.nats.plugins.module_utils._server.tls_listener import TlsListener
from ansible_collections.rosey.nats.plugins.module_utils._watch import (
    check_kinds,
    check_limits,
    check_table,
    health_snapshot,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.check_limits import Check, Limits, Reading, Status
from ansible_collections.rosey.nats.plugins.module_utils._watch.check_table import Kind
from ansible_collections.rosey.nats.plugins.module_utils._watch.health_snapshot import (
    Connected,
    Expectation,
    Snapshot,
)


def judge(
    snapshot: Snapshot, expectation: Expectation, limits_by_name: Mapping[str, Limits] | None = None
) -> tuple[Check, ...]:
    """Make all checks that this host has, in the order of KINDS."""
    given = limits_by_name or {}
    made = (
        _made(own_name, read, kind, check_kinds.is_off_on_purpose(snapshot, expectation), given.get(name, Limits()))
        for name, kind in check_table.KINDS.items()
        for own_name, read in check_kinds.of_host(name, snapshot, expectation)
    )
    return tuple(check for check in made if check)


def summary(made: Iterable[Check]) -> str:
    """Say in one line how many checks there were, and which are not well."""
    named: dict[Status, list[str]] = {status: [] for status in reversed(check_limits.ORDER)}
    for check in made:
        named[check.status].append(check.name)
    well = named.pop(Status.OK)
    parts = [f"{status}: {', '.join(names)}" for status, names in named.items() if names]
    return "; ".join([*parts, f"{len(well)} {Status.OK}"])


def _made(name: str, read: check_kinds.Read, kind: Kind, is_off: bool, limit: Limits) -> Check | None:
    value, cause = None, ""
    try:
        reading = read()
        if reading is None:
            return None
        status, remedy = _status(reading, kind, limit)
        text, value = reading.summary, reading.value
    except MonitoringError as error:
        if is_off:
            return None
        status, text, remedy = kind.unanswered, f"no answer at {error.url}: {error.cause}", error.remedy
        # each endpoint is asked by itself, and one server gives them all
        cause = f"no answer at {_server_of(error.url)}: {error.cause}"
    except lost_streams.NotComparedError as error:
        status, text, remedy = Status.UNKNOWN, str(error), error.remedy
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        # only some fields of an answer are checked when it is read
        status, text = Status.UNKNOWN, "the answer of the server is none that nats-server gives"
        cause, remedy = text, http_reader.NATS_SERVER.address
    return Check(name, status, text, value, kind.unit, kind.worse, limit.warning, limit.critical, remedy, cause)


def _server_of(url: str) -> str:
    """Give a URL without its path."""
    scheme, _separator, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def _status(reading: Reading, kind: Kind, limit: Limits) -> tuple[Status, str]:
    """Give the status, and the remedy of what is worst."""
    found = [(_OF_SEVERITY[finding.severity], finding.remedy) for finding in reading.findings]
    if reading.value is not None:
        for status, bound in ((Status.CRITICAL, limit.critical), (Status.WARNING, limit.warning)):
            if bound is not None and check_limits.exceeds(reading.value, bound, kind.worse):
                found.append((status, kind.remedy))
    return max(found, key=lambda each: check_limits.ORDER.index(each[0]), default=(Status.OK, ""))


_OF_SEVERITY = {Severity.ERROR: Status.CRITICAL, Severity.WARNING: Status.WARNING}


# Looking


@dataclass(frozen=True)
class Observer:
    """Looks once.

    bot_monitor: of the server that the bot is connected to, None where what plugins hold is not looked at. service,
    bot_service, no_bot, files, is_off: as a Snapshot has them. record: of the streams, why there is none to compare
    with, or None where they are not compared. listeners: those with TLS. local_files: whether what they show comes from
    files of this host. apart: as a Snapshot has it.
    """

    monitor: monitoring.Monitor
    expectation: Expectation
    bot: http_reader.Reader | None = None
    bot_monitor: monitoring.Monitor | None = None
    service: Service | str | None = None
    bot_service: Service | str | None = None
    no_bot: str = ""
    record: lost_streams.Record | lost_streams.NotComparedError | None = None
    files: server_files.Look | str | None = None
    is_off: bool = False
    listeners: Sequence[TlsListener] = ()
    local_files: bool = True
    apart: float | None = None

    def look(self) -> Snapshot:
        """Give the present state."""
        url = self.expectation.client_url
        snapshot = Snapshot(
            answers=self.monitor.read_each(health_snapshot.ENDPOINTS, detailed=("connz",)),
            connected=connect(url, self.monitor.timeout) if url else None,
            service=self.service,
            bot_service=self.bot_service,
            no_bot=self.no_bot,
            files=self.files,
            is_off=self.is_off,
            certificates=tuple(
                served_certificates.look(each, seconds=self.monitor.timeout, files=self.local_files)
                for each in self.listeners
            ),
            apart=self.apart,
        )
        snapshot = replace(
            snapshot,
            streams=self._streams(snapshot),
            cluster=self._cluster(snapshot),
            peers=self._peers(snapshot),
        )
        if self.bot is None or self.no_bot:
            return snapshot
        return replace(snapshot, told=bot_health.ask(self.bot), held=self._held(snapshot))

    def _cluster(self, snapshot: Snapshot) -> cluster.Sight | MonitoringError | None:
        if not self.expectation.members:
            return None
        try:
            varz, jsz = snapshot.answer("varz"), snapshot.answer("jsz")
            return cluster_reading.look(self.monitor, varz["server_name"], jsz)
        except MonitoringError as error:
            return error

    def _peers(self, snapshot: Snapshot) -> frozenset[str]:
        varz = snapshot.answers["varz"]
        if not self.expectation.members or not self.local_files or isinstance(varz, MonitoringError):
            return frozenset()
        return cluster_store.peers_of(varz)

    def _streams(
        self, snapshot: Snapshot
    ) -> lost_streams.Comparison | lost_streams.NotComparedError | MonitoringError | None:
        if self.record is None or self.expectation.jetstream is False:
            return None
        if isinstance(self.record, lost_streams.NotComparedError):
            return self.record
        try:
            proven = lost_streams.read(self.record.release_dir)
            if proven is None:
                return None
            return self.record.compare(proven, snapshot.answer("healthz"), snapshot.answer("jsz"))
        except (lost_streams.NotComparedError, MonitoringError) as error:
            return error

    def _held(self, snapshot: Snapshot) -> Mapping[str, Collection[str]] | MonitoringError | None:
        if self.bot_monitor is None:
            return None
        url = self.bot_monitor.url
        is_asked = url == self.monitor.url
        try:
            connz = snapshot.answer("connz") if is_asked else self.bot_monitor.read("connz", details=True)
            servers = self.expectation.bot.servers if self.expectation.bot else ()
            return {**subscriptions.held_by_name(connz, url), **subscriptions.elsewhere(self.bot_monitor, servers)}
        except MonitoringError as error:
            return error


_LONGEST_INFO = 1 << 16


def connect(url: str, timeout: float) -> Connected | str:
    """Connect as a client does, until the server has presented itself; else say why not. It logs in as nobody."""
    started = time.monotonic()
    # localhost may have two addresses, and not the same may be wrong with each
    causes: dict[str, None] = {}
    try:
        host, port = urlsplit(url).hostname, bot_expectation.place(url).port
        for family, kind, protocol, _name, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            try:
                with socket.socket(family, kind, protocol) as connection:
                    connection.settimeout(timeout)
                    connection.connect(address)
                    return _presented(connection, started)
            except OSError as error:
                causes[str(error.strerror or error)] = None
    except (OSError, UnicodeError) as error:  # no name in IDNA is a UnicodeError
        causes[str(getattr(error, "strerror", None) or error)] = None
    return http_reader.excerpt("; ".join(causes))


def _presented(connection: socket.socket, started: float) -> Connected | str:
    """Read what the server says first; OSError."""
    said = connection.makefile("rb").readline(_LONGEST_INFO)
    seconds = time.monotonic() - started
    line = said.decode("utf-8", "replace")
    info = info_line.read(line)
    if info is None or "server_id" not in info:
        return f"no nats-server, it says: {http_reader.excerpt(line) or 'nothing'}"
    return Connected(seconds, str(info["server_id"]))
