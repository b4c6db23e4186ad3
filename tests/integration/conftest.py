# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What integration tests may ask for: hosts with systemd, each a container, that the role can be played on."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
IMAGE = "rosey-nats-test:bookworm"
# What systemd and the hardening of its units need.
FLAGS = (
    "--cap-add=SYS_ADMIN",
    "--cap-add=SYS_PTRACE",
    "--security-opt=seccomp=unconfined",
    "--cgroupns=private",
    "--tmpfs=/run",
    "--tmpfs=/run/lock",
)
BOOTED = "timeout 60 sh -c 'until systemctl is-system-running --wait | grep -Eq running\\|degraded; do sleep 0.1; done'"
VARZ = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8222/varz', timeout=5).read().decode())"

Variables = dict[str, Any]


@dataclass(frozen=True)
class Container:
    """A host. variables: those of the role that every play has; inventory: the file that a play writes."""

    name: str
    inventory: Path
    variables: Variables = field(default_factory=dict)

    def run(self, command: str) -> str:
        """Run a shell command that has to succeed, and give its output."""
        return self.attempt(command, check=True).stdout

    def attempt(self, command: str, *, check: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a shell command."""
        words = ["docker", "exec", self.name, "bash", "-c", command]
        return subprocess.run(words, capture_output=True, text=True, check=check, timeout=120)

    def play(self, changes: Variables | None = None, *options: str) -> str:
        """Run the role with these changes to its variables; give what it printed, and its exit status in front."""
        variables = {"nats_server_install_method": "go", **self.variables, **(changes or {})}
        variables["nats_server_config"] = {
            **self.variables.get("nats_server_config", {}),
            **variables.get("nats_server_config", {}),
        }
        connection = {
            "ansible_connection": "community.docker.docker",
            "ansible_user": "root",
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        self.inventory.write_text(json.dumps({"rosey": {"hosts": {self.name: {**connection, **variables}}}}))
        done = subprocess.run(
            ["ansible-playbook", "site.yml", "-i", str(self.inventory), *options],
            cwd=ROOT,
            env={**os.environ, "COLUMNS": "1000", "ANSIBLE_NOCOLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        return f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"

    def varz(self) -> dict[str, Any]:
        """Ask the server's monitoring endpoint, which only the host itself can reach."""
        answer: dict[str, Any] = json.loads(self.run(f'python3 -c "{VARZ}"'))
        return answer


@pytest.fixture(scope="module")
def start_container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Container]]:
    """Give a function that starts a host, with further flags of `docker run`, and waits until it has booted."""
    with ExitStack() as started:

        def start(name: str, *flags: str, **variables: Any) -> Container:
            remove = ["docker", "rm", "--force", "--volumes", name]
            subprocess.run(remove, capture_output=True, check=False)
            run = ["docker", "run", "--detach", "--name", name, *FLAGS, *flags, IMAGE, "/lib/systemd/systemd"]
            started.callback(subprocess.run, remove, capture_output=True, check=False)
            subprocess.run(run, stdout=subprocess.DEVNULL, check=True)
            container = Container(name, tmp_path_factory.mktemp("inventory") / "hosts.yml", variables)
            container.run(BOOTED)
            return container

        yield start
