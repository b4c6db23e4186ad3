# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks look at, and what is meant of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ansible_collections.rosey.nats.plugins.module_utils._bot import bot_expectation, bot_health
from ansible_collections.rosey.nats.plugins.module_utils._data import lost_streams
from ansible_collections.rosey.nats.plugins.module_utils._host.service import Service
from ansible_collections.rosey.nats.plugins.module_utils._server import (
    server_files,
)
from ansible_collections.rosey.nats.plugins.module_utils._server.answers import Answer
from ansible_collections.rosey.nats.plugins.module_utils._server.cluster import Sight
from ansible_collections.rosey.nats.plugins.module_utils._server.http_reader import MonitoringError
from ansible_collections.rosey.nats.plugins.module_utils._server.served_certificates import Served

ENDPOINTS = ("varz", "healthz", "jsz", "connz", "subsz", "routez")


@dataclass(frozen=True)
class Expectation:
    """What was meant.

    jetstream: whether it is to be on, None where nothing was said. cluster: whether there are other servers to have
    routes to. members: the server names of the cluster, where they are known. client_url: where clients connect, None
    where that can't be tried. service: what runs the server, for a person, None where that can't be looked at. bot,
    bot_service: likewise of the bot, None where no bot is looked at. released_bot: the release of the host that has a
    bot, empty where it has none. released_legacy: likewise the one that has the bot without NATS. plugins_fault: why it
    can't be told which plugins were meant.
    """

    server_name: str | None = None
    version: str | None = None
    jetstream: bool | None = None
    cluster: bool = False
    members: tuple[str, ...] = ()
    client_url: str | None = None
    service: str | None = None
    bot: bot_expectation.Expectation | None = None
    bot_service: str | None = None
    released_bot: str = ""
    released_legacy: str = ""
    plugins_fault: str = ""


@dataclass(frozen=True)
class Connected:
    """A connection as a client makes it. seconds: until the server presented itself. server_id: as whom."""

    seconds: float
    server_id: str


@dataclass(frozen=True)
class Snapshot:
    """A host at one moment; what gave no answer has its error.

    answers: those of the monitoring endpoint, by name. connected: why not, as text. told, held: as a Snapshot of
    bot_health has them. no_bot: why there is no bot to look at; empty where there is one. streams: beside those that
    were proven, None where nothing was or they are not compared. is_off: the server was stopped in good order, and does
    not start with the host. certificates: what each listener with TLS shows. cluster: what a member tells of its
    cluster. peers: the ids of the servers that its store knows, where it is on this host. apart: the seconds by which
    the host's clock is ahead of that of who asked, None where that is not known.
    """

    answers: Mapping[str, Answer | MonitoringError]
    connected: Connected | str | None = None
    service: Service | str | None = None
    told: bot_health.Told | MonitoringError | None = None
    held: Mapping[str, Collection[str]] | MonitoringError | None = None
    bot_service: Service | str | None = None
    no_bot: str = ""
    streams: lost_streams.Comparison | lost_streams.NotComparedError | MonitoringError | None = None
    files: server_files.Look | str | None = None
    is_off: bool = False
    certificates: tuple[Served, ...] = ()
    cluster: Sight | MonitoringError | None = None
    peers: frozenset[str] = frozenset()
    apart: float | None = None

    def answer(self, endpoint: str) -> Answer:
        """Give an answer of the server; MonitoringError where there is none."""
        found = self.answers[endpoint]
        if isinstance(found, MonitoringError):
            raise found
        return found
