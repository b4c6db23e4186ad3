# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is meant of a nats-server, and what was seen of it."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Finding, Severity, passed
from ansible_collections.rosey.nats.plugins.module_utils._server.cluster import Sight
from ansible_collections.rosey.nats.plugins.module_utils._server.conditions import Answer
from ansible_collections.rosey.nats.plugins.module_utils._server.options import model
from ansible_collections.rosey.nats.plugins.module_utils._server.options.model import Option
from ansible_collections.rosey.nats.plugins.module_utils._server.server_log import Log

Setting = tuple[model.Path, Option, t.Any]


@dataclass(frozen=True)
class Threshold:
    """A number of /varz that should not be exceeded, and how bad it is when it is."""

    limit: float
    severity: Severity


@dataclass(frozen=True)
class Mark:
    """How things were before a signal: config_load_time of /varz, and the bytes of the log file, None for unknown."""

    config_load_time: str
    log_size: int | None = None


@dataclass(frozen=True)
class Expectation:
    """What was meant.

    settings: what options.leaves() gives for the configuration. jetstream: whether it is meant to be on, None where
    nothing was said. problems: what is wrong with the values, by dotted path. since: the configuration has to be loaded
    after this mark. local_files: whether the files that the configuration names can be looked at from here. thresholds:
    by their name in MEASURES. is_private: whether whatever clients say is meant to be encrypted. members: the server
    names of the cluster that it is in, none for a single server.
    """

    version: str | None = None
    settings: tuple[Setting, ...] = ()
    jetstream: bool | None = None
    problems: Mapping[str, model.Problem] = field(default_factory=dict)
    since: Mark | None = None
    local_files: bool = True
    thresholds: Mapping[str, Threshold] = field(default_factory=dict)
    is_private: bool = False
    members: tuple[str, ...] = ()

    @property
    def log_file(self) -> Path | None:
        """The log file, where it can be looked at from here."""
        for path, _option, value in self.settings:
            if path == ("log_file",):
                return self.local(value)
        return None

    def local(self, value: t.Any) -> Path | None:
        """Give the path that an option names, where it can be looked at from here."""
        usable = self.local_files and isinstance(value, str) and value.startswith("/")
        return Path(value) if usable else None


@dataclass(frozen=True)
class Seen:
    """Whether an effect was seen, None where it could not be looked at; then found says why."""

    holds: bool | None
    found: str


@dataclass(frozen=True)
class Snapshot:
    """A server at one moment: its answers, what its log says, and what was seen of the options that have an effect.

    connections: of /connz, where clients are meant to be encrypted. cluster: what it tells of its cluster, where it is
    meant to be in one.
    """

    varz: Answer
    healthz: Answer
    jsz: Answer
    log: Log | None = None
    seen: Mapping[model.Path, Seen] = field(default_factory=dict)
    connections: tuple[Answer, ...] = ()
    cluster: Sight | None = None


@dataclass(frozen=True)
class Judgement:
    """What came of comparing. meant: how many options, with version and JetStream; proven: how many of these are.

    final: waiting changes nothing any more.
    """

    findings: tuple[Finding, ...]
    meant: int
    proven: int
    trusted: tuple[str, ...]
    final: bool = False

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return passed(self.findings)

    @property
    def summary(self) -> str:
        """One line: how much is proven, and what nothing can prove."""
        text = f"{self.proven} of {self.meant} proven"
        if not self.trusted:
            return text
        names = dict.fromkeys(re.sub(r"\.\d+(?=\.|$)", ".*", name) for name in self.trusted)
        return f"{text}, {len(self.trusted)} taken on trust: {', '.join(names)}"


UNKNOWN = Seen(None, "")
