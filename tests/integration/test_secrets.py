# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment with secrets leaves behind: the secrets where they belong, and nowhere else a trace of them."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import Container

ROOT = Path(__file__).parents[2]
# A part of each is searched for, since quoting changes the rest.
MARK = "hunter2secret"
PASSWORDS = [f"first {MARK} \"quoted\" $HOME `id` #1 \\n 'x'", f"second {MARK} ä!"]
TOKEN = f"token-{MARK}"
BCRYPT = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}")
SECRETS_FILE = "/opt/rosey-bot/environments/staging/secrets.env"
SERVER_FILE = "/etc/nats/nats-server.conf"
RELEASES = "/var/lib/rosey-nats/releases/"
# Where a deployment, its service or its bot may have written; what a kernel shows of processes is looked at meanwhile.
WHERE_FILES_ARE = "/etc /opt /root /run /tmp /usr/local /var /home"


@contextmanager
def watched_commands() -> Iterator[set[bytes]]:
    """Collect the command lines of all processes meanwhile, those in containers included."""
    seen: set[bytes] = set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.01):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_bytes())
                except OSError:
                    continue

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield seen
    finally:
        ended.set()
        watching.join()


@pytest.fixture(scope="module")
def host(start_container: Callable[..., Container], tmp_path_factory: pytest.TempPathFactory) -> Container:
    """A host of staging with the bot on it."""
    container = start_container(
        "rosey-secrets",
        bot_config_environment="staging",
        bot_config_nats={"name": "rosey-bot-staging"},
        nats_server_config={"server_name": "rosey_nats_test"},
    )
    pack = tmp_path_factory.mktemp("pack") / "rosey-bot.pyz"
    subprocess.run([sys.executable, ROOT / "tests" / "bot" / "pack.py", pack], check=True)
    subprocess.run(["docker", "cp", str(pack), f"{container.name}:/root/rosey-bot.pyz"], check=True)
    container.run(
        "python3 /root/rosey-bot.pyz --home /opt/rosey-bot --environment staging --owner rosey --port 8000 --systemd"
    )
    return container


def logins() -> list[dict[str, str]]:
    return [*({"user": "rosey", "password": password} for password in PASSWORDS), {"token": TOKEN}]


@pytest.mark.parametrize("login", logins(), ids=["a password", "another password", "a token"])
def test_no_secret_is_shown_or_left_anywhere_but_in_its_file(host: Container, login: dict[str, Any]) -> None:
    with watched_commands() as commands:
        said = host.play({"nats_server_credentials": login}, "--diff", "-vvv")
    assert said.startswith("exit 0"), said.replace(MARK, "********")
    assert "Gate | The bot proves" in said
    # that there was something to be seen
    assert any(b"ansible-playbook" in command for command in commands)
    assert SECRETS_FILE in said
    assert "(what differs is hidden)" in said or "********" in said

    assert MARK not in said
    assert not BCRYPT.search(said)
    for command in commands:
        assert MARK.encode() not in command
        assert not BCRYPT.search(command.decode(errors="replace"))
    journal = host.run("journalctl --no-pager --all --output=verbose")
    assert "python3" in journal or "ansible" in journal
    assert MARK not in journal
    assert not BCRYPT.search(journal)
    holders = host.attempt(f"grep -rlsF {MARK} {WHERE_FILES_ARE}").stdout.split()
    modes = {path: host.run(f"stat -c '%a %U:%G' {path}").strip() for path in holders}
    assert modes.pop(SECRETS_FILE) == "600 rosey:rosey"
    assert modes
    for path, mode in modes.items():
        assert path.startswith(RELEASES)
        assert mode == "600 root:root"
    assert host.run(f"stat -c '%a %U:%G' {RELEASES}").strip() == "700 root:root"
    assert host.run(f"stat -c '%a %U:%G' {SERVER_FILE}").strip() == "640 root:nats"
    assert BCRYPT.search(host.run(f"cat {SERVER_FILE}"))
    assert not [
        path for path in (Path.home() / ".ansible").rglob("*") if path.is_file() and MARK.encode() in path.read_bytes()
    ]


def test_a_failing_deployment_shows_no_secret_either(host: Container) -> None:
    login = {"user": "rosey", "password": PASSWORDS[0]}
    changes = {
        "nats_server_credentials": login,
        "bot_config_health_url": "http://localhost:8001/api/health",
        "bot_config_gate_wait": 1,
    }
    said = host.play(changes, "--diff", "-vvv")
    assert said.startswith("exit 2"), said.replace(MARK, "********")
    assert "has not proven what was meant" in said
    assert MARK not in said
    assert not BCRYPT.search(said)
