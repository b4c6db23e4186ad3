# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module nats_process where nothing runs; tests/integration/test_process_runtime.py runs servers."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.modules import nats_process

RunModule = Callable[..., dict[str, Any]]
STATES = ("started", "stopped", "reloaded", "restarted")


@pytest.fixture
def wanted(tmp_path: Path, nats_server: Path, free_port: Callable[[], int]) -> dict[str, Any]:
    """Give the arguments of a server that could be started."""
    config = tmp_path / "nats-server.conf"
    config.write_text(f"host: 127.0.0.1\nport: {free_port()}\n")
    return {"binary": str(nats_server), "config_file": str(config), "pid_file": str(tmp_path / "nats-server.pid")}


@pytest.mark.parametrize(
    ("state", "changed", "action"),
    [
        ("started", True, "started"),
        ("stopped", False, "none"),
        ("reloaded", True, "started"),
        ("restarted", True, "started"),
    ],
)
def test_check_mode_on_an_empty_host(
    run_module: RunModule, tmp_path: Path, state: str, changed: bool, action: str
) -> None:
    given = {name: str(tmp_path / "missing" / name) for name in ("binary", "config_file", "pid_file")}
    result = run_module("nats_process", check_mode=True, state=state, **given)
    assert (result["changed"], result["action"], result["pid"]) == (changed, action, None)
    assert (result["started_at"], result["executable"], result["killed"]) == (None, None, False)
    assert result["diff"]["before"] == {"running": False, "action": "none"}
    assert result["diff"]["after"] == {"running": state != "stopped", "action": action}
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that is no nats-server."""
    with subprocess.Popen(["/bin/sleep", "60"]) as child:
        yield child
        child.kill()


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_pid_file_that_names_another_process_is_a_leftover(
    run_module: RunModule, wanted: dict[str, Any], stranger: subprocess.Popen[bytes], check_mode: bool
) -> None:
    pid_file = Path(wanted["pid_file"])
    pid_file.write_text(f"{stranger.pid}\n")
    result = run_module("nats_process", check_mode=check_mode, state="stopped", **wanted)
    assert (result["changed"], result["action"], result["killed"]) == (True, "forgotten", False)
    assert pid_file.exists() is check_mode
    with pytest.raises(subprocess.TimeoutExpired):
        stranger.wait(0.05)
    if not check_mode:
        assert run_module("nats_process", state="stopped", **wanted)["changed"] is False


@pytest.mark.parametrize("missing", ["binary", "config_file"])
@pytest.mark.parametrize("state", ["started", "restarted", "reloaded"])
def test_what_is_missing_is_named(run_module: RunModule, wanted: dict[str, Any], missing: str, state: str) -> None:
    wanted[missing] = "/nowhere/x"
    failed = run_module("nats_process", state=state, **wanted)
    assert failed["failed"]
    assert f"{missing} /nowhere/x is no file" in failed["msg"]
    assert not Path(wanted["pid_file"]).exists()


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_taken_port_is_told_before_anything_is_done(
    run_module: RunModule, wanted: dict[str, Any], check_mode: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        Path(wanted["config_file"]).write_text(f"host: 127.0.0.1\nport: {port}\n")
        failed = run_module("nats_process", check_mode=check_mode, **wanted)
    assert failed["failed"]
    assert f"127.0.0.1:{port} is taken: " in failed["msg"]
    # the module runs in a fork of this process, which holds the socket too, and may have the smaller number
    assert re.search(r"\(process \d+ of user ", failed["msg"])
    assert "give the server another port" in failed["msg"]
    assert sorted(path.name for path in Path(wanted["config_file"]).parent.iterdir()) == ["nats-server.conf"]


def test_read_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATS_TEST_PASSWORD", "of-the-environment")
    (tmp_path / "users.conf").write_text(
        "users: [{user: a, password: of-the-include}, {user: b, password: $NATS_TEST_PASSWORD}]\n"
    )
    config = tmp_path / "nats-server.conf"
    config.write_text(
        "listen: 127.0.0.1:4555\nmonitor_port: 8555\nlogfile: /var/log/nats.log\n"
        "authorization {\n  include users.conf\n}\n"
    )
    found = nats_process.read_config(config)
    assert found.endpoints == (("127.0.0.1", 4555), ("127.0.0.1", 8555))
    assert found.log_file == Path("/var/log/nats.log")
    assert {"of-the-include", "of-the-environment"} <= set(found.secrets)


@pytest.mark.parametrize(
    "text", ["port: [", "port: banana\n", "include missing.conf\n", "password: $UNSET_HERE\n", "\xff"]
)
def test_a_config_that_can_not_be_read_is_left_to_the_server(tmp_path: Path, text: str) -> None:
    config = tmp_path / "nats-server.conf"
    config.write_bytes(text.encode("latin-1"))
    assert nats_process.read_config(config).endpoints == ()
    assert nats_process.read_config(tmp_path / "missing") == nats_process.Meant()
