# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server that runs on a host, found by the configurations that it may have been started with."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._server import (
    answers,
    health,
    health_model,
    http_reader,
    monitoring,
    requirements,
)
from ansible_collections.rosey.nats.plugins.module_utils._server.options import check, reading

MONITORING_SECONDS = 1.0


@dataclass(frozen=True)
class Answering:
    """A running server that answers, and where.

    varz, jsz: what it shows; jsz is None where it does not tell. mark: how it is, to prove a reload later.
    """

    url: str
    varz: answers.Answer
    jsz: answers.Answer | None
    mark: health_model.Mark


def find(meant: Mapping[str, t.Any], *configs: dict[str, t.Any] | str | None) -> Answering | None:
    """Give the running server that one of these configurations leads to; None where none answers."""
    if not http_reader.HAS_REQUESTS:
        return None
    for config in configs:
        if not isinstance(config, dict) or check.problems(config) or requirements.unknown(config):
            continue
        url = requirements.monitoring_url(config)
        if url is None:
            continue
        log_file = reading.canonical(config).get("log_file")
        try:
            # a configuration that somebody wrote by hand may give no URL
            monitor = monitoring.Monitor(url, timeout=MONITORING_SECONDS)
            varz = monitor.varz()
        except http_reader.MonitoringError:
            continue
        try:
            jsz = monitor.jsz()
        except http_reader.MonitoringError:
            jsz = None
        mark = health.mark(varz, log_file and Path(log_file))
        return Answering(url, health.with_jetstream(varz, jsz), jsz, mark)
    return None
