# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every test may ask for: the pinned server, a free port, a module run in this process."""

from __future__ import annotations

import importlib
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils import _internal, basic
from ansible.module_utils.common import warnings
from ansible.module_utils.testing import patch_module_args
from hypothesis import HealthCheck, settings

from ansible_collections.rosey.nats.tests import run

# A file that pytest runs by itself has the tools and servers of tests.run, too; one may name other servers.
SERVERS = {name: path for name, path in os.environ.items() if name.startswith("NATS_SERVER_BINARY")}
os.environ.update({**run.environment(), **SERVERS})

# How long an example takes says more about what else the machine does.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


ModuleResult = dict[str, Any]
RunModule = Callable[..., ModuleResult]


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Give a function that names a TCP port of 127.0.0.1 that nothing listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give what a module tells the host's journal."""
    told: list[str] = []
    monkeypatch.setattr(basic, "has_journal", False)
    monkeypatch.setattr(basic.syslog, "syslog", lambda priority, text: told.append(text))
    return told


@pytest.fixture(scope="session")
def nats_server() -> Path:
    """Give the path of the real nats-server 2.10.7."""
    return Path(os.environ["NATS_SERVER_BINARY"])


@pytest.fixture(scope="session")
def newer_server() -> Path:
    """Give the path of a later nats-server of the same minor version."""
    return Path(os.environ["NATS_SERVER_BINARY_NEWER"])


@pytest.fixture(scope="session")
def older_server() -> Path:
    """Give the path of a nats-server of an older minor version."""
    return Path(os.environ["NATS_SERVER_BINARY_OLDER"])


@pytest.fixture
def run_module(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> RunModule:
    """Give a function that runs a module of the collection in this process and returns its result."""

    def run(name: str, *, check_mode: bool = False, diff: bool = True, **arguments: Any) -> ModuleResult:
        # A module's warnings go with its result only where no controller and no earlier module was in this process.
        monkeypatch.setattr(_internal, "is_controller", False)
        monkeypatch.setattr(warnings, "_global_warnings", {})
        monkeypatch.setattr(warnings, "_global_deprecations", {})
        module = importlib.import_module(f"ansible_collections.rosey.nats.plugins.modules.{name}")
        sent = {**arguments, "_ansible_check_mode": check_mode, "_ansible_diff": diff}
        capsys.readouterr()
        with patch_module_args(sent), pytest.raises(SystemExit):
            module.main()
        return dict(json.loads(capsys.readouterr().out))

    return run
