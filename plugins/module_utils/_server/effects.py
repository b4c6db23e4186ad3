# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an option of the configuration can be seen to do, where /varz does not show it."""

from __future__ import annotations

import socket
import typing as t
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from ansible_collections.rosey.nats.plugins.module_utils._host import system
from ansible_collections.rosey.nats.plugins.module_utils._server import health_model, monitoring
from ansible_collections.rosey.nats.plugins.module_utils._server.conditions import Answer
from ansible_collections.rosey.nats.plugins.module_utils._server.health_model import Expectation, Seen
from ansible_collections.rosey.nats.plugins.module_utils._server.options.model import Effect
from ansible_collections.rosey.nats.plugins.module_utils._server.server_log import Log

_PROCESS_NAME = "nats-server"
_CONNECT_SECONDS = 1.0


def _look_at_pid_file(
    value: t.Any, expectation: Expectation, _varz: Answer, log: Log | None, _monitor: monitoring.Monitor
) -> Seen:
    path = expectation.local(value)
    if path is None:
        return health_model.UNKNOWN
    try:
        noted = system.read_text(path, "replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return Seen(False, f"no {path}")
    except OSError as error:
        return Seen(None, f"{path}, which can't be looked at: {error.strerror}")
    if log:
        return Seen(noted == str(log.pid), f"{noted[:20]!r} in {path}, while the log is of process {log.pid}")
    try:
        name = Path("/proc", noted, "comm").read_text(encoding="utf-8", errors="replace").strip()
    except (OSError, ValueError):
        return Seen(False, f"{noted[:20]!r} in {path}, which is no process")
    return Seen(name == _PROCESS_NAME or None, f"{noted} in {path}, which is a process named {name}")


def _look_at_ports_file(
    value: t.Any, expectation: Expectation, varz: Answer, log: Log | None, _monitor: monitoring.Monitor
) -> Seen:
    directory = expectation.local(value)
    if directory is None:
        return health_model.UNKNOWN
    try:
        files = directory.glob(f"*_{log.pid}.ports" if log else "*.ports")
        holds = any(f':{varz["port"]}"' in system.read_text(file, "replace") for file in files)
    except OSError as error:
        return Seen(None, f"{directory}, which can't be looked at: {error.strerror}")
    return Seen(holds, f"no file of this server in {directory}")


def _look_at_profiler(
    value: t.Any, _expectation: Expectation, _varz: Answer, _log: Log | None, monitor: monitoring.Monitor
) -> Seen:
    if not isinstance(value, int) or value <= 0:
        return health_model.UNKNOWN
    address = (urlsplit(monitor.url).hostname, value)
    try:
        with socket.create_connection(address, timeout=_CONNECT_SECONDS) as connection:
            connection.sendall(b"HEAD /debug/pprof/ HTTP/1.0\r\n\r\n")
            return Seen(connection.recv(5) == b"HTTP/", f"something else than HTTP at port {value}")
    except OSError as error:
        return Seen(False, f"no answer at port {value}: {error}")


LOOKS: dict[Effect, Callable[[t.Any, Expectation, Answer, Log | None, monitoring.Monitor], Seen]] = {
    Effect.PID_FILE: _look_at_pid_file,
    Effect.PORTS_FILE: _look_at_ports_file,
    Effect.PROFILER: _look_at_profiler,
}
