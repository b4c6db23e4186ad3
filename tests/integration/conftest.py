# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What integration tests may ask for: hosts that the role can be played on, containers with systemd or a directory."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats
import pytest
import requests

from ansible_collections.rosey.nats.tests.integration.material import Material, make_material

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

# The smallest declaration of a plugin that the bot of the tests has code for.
QUOTES = {
    "name": "quotes",
    "subscriptions": ["commands.quote", "commands.addquote", "commands.delquote"],
    "publishes": ["cytube.chat.message"],
    "config": {"database": "data/quotes.db", "max_quote_length": 500, "cooldown": 0},
}


def local_bot(home: Path, port: int, environment: str = "development") -> Variables:
    """Give the variables of a bot that is a process of this user."""
    command = [f"{home}/venv/bin/python", "-m", "rosey_bot", "--home", str(home), "--environment", environment]
    return {
        "bot_config_environment": environment,
        "bot_config_home": str(home),
        "bot_config_owner": "",
        "bot_config_group": "",
        "bot_config_runtime": "process",
        "bot_config_command": command,
        "bot_config_nats": {"name": f"rosey-bot-{environment}"},
        "bot_config_health_url": f"http://localhost:{port}/api/health",
        "bot_plugins_declared": [QUOTES],
    }


def install_bot(home: Path, port: int, environment: str = "development") -> None:
    """Install the bot of the tests, as a user of the collection has to install the real one."""
    pack = home.parent / "rosey-bot.pyz"
    subprocess.run([sys.executable, ROOT / "tests" / "bot" / "pack.py", pack], check=True)
    given = ["--home", str(home), "--environment", environment, "--owner", "", "--port", str(port)]
    subprocess.run([sys.executable, pack, *given], stdout=subprocess.DEVNULL, check=True)


def merged(variables: Variables, changes: Variables) -> Variables:
    """Lay changes over the role's variables; those of nats_server_config option by option."""
    name = "nats_server_config"
    return {**variables, **changes, name: {**variables.get(name, {}), **changes.get(name, {})}}


def play_role(
    host: str,
    inventory: Path,
    variables: Variables,
    *options: str,
    environment: dict[str, str] | None = None,
    playbook: str = "site.yml",
) -> str:
    """Run a playbook on one host; give what it printed, and its exit status in front."""
    inventory.write_text(json.dumps({"rosey": {"hosts": {host: variables}}}))
    return run_playbook(playbook, inventory, *options, environment=environment)


def run_playbook(
    playbook: str, inventory: Path, *options: str, environment: dict[str, str] | None = None, root: Path = ROOT
) -> str:
    """Run a playbook of the collection at root; give what it printed, and its exit status in front."""
    done = subprocess.run(
        ["ansible-playbook", playbook, "-i", str(inventory), *options],
        cwd=root,
        env={**os.environ, **(environment or {}), "COLUMNS": "1000", "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"


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

    def play(self, changes: Variables | None = None, *options: str, playbook: str = "site.yml") -> str:
        """Run a playbook with these changes to its variables; give what it printed, and its exit status in front."""
        connection = {
            "ansible_connection": "community.docker.docker",
            "ansible_user": "root",
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        always = {"nats_server_install_method": "build", "bot_config_environment": "development"}
        variables = merged({**always, **self.variables}, changes or {})
        return play_role(self.name, self.inventory, variables | connection, *options, playbook=playbook)

    def varz(self) -> dict[str, Any]:
        """Ask the server's monitoring endpoint, which only the host itself can reach."""
        answer: dict[str, Any] = json.loads(self.run(f'python3 -c "{VARZ}"'))
        return answer


@pytest.fixture(scope="module")
def start_container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Container]]:
    """Give a function that starts a host, with further flags of `docker run`, and waits until it has booted.

    lacks: the one of FLAGS that it does without.
    """
    with ExitStack() as started:

        def start(name: str, *flags: str, lacks: str = "", **variables: Any) -> Container:
            remove = ["docker", "rm", "--force", "--volumes", name]
            subprocess.run(remove, capture_output=True, check=False)
            given = (*(flag for flag in FLAGS if flag != lacks), *flags)
            run = ["docker", "run", "--detach", "--name", name, *given, IMAGE, "/lib/systemd/systemd"]
            started.callback(subprocess.run, remove, capture_output=True, check=False)
            subprocess.run(run, stdout=subprocess.DEVNULL, check=True)
            container = Container(name, tmp_path_factory.mktemp("inventory") / "hosts.yml", variables)
            container.run(BOOTED)
            return container

        yield start


@dataclass(frozen=True)
class Deployment:
    """A server that runs under the process runtime, deployed by the role itself."""

    directory: Path
    port: int
    monitoring_port: int
    bot_port: int

    @property
    def home(self) -> Path:
        """The bot's home, where install_bot() puts one."""
        return self.directory / "root" / "opt" / "rosey-bot"

    @property
    def variables(self) -> Variables:
        return {
            **local_bot(self.home, self.bot_port),
            "nats_server_runtime": "process",
            "nats_server_install_method": "build",
            "nats_server_prefix": str(self.directory / "root"),
            "nats_server_gate_wait": 5,
            "nats_server_gate_soak": 0,
            "nats_server_config": {
                "server_name": "deployed",
                "port": self.port,
                "http_port": self.monitoring_port,
                "max_connections": 77,
            },
        }

    def play(
        self,
        changes: Variables,
        *options: str,
        environment: dict[str, str] | None = None,
        playbook: str = "site.yml",
    ) -> str:
        """Run a playbook with these changes to its variables; give what it printed, and its exit status in front."""
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        variables = merged(self.variables, changes) | local
        inventory = self.directory / "hosts.yml"
        return play_role("here", inventory, variables, *options, environment=environment, playbook=playbook)

    def varz(self) -> dict[str, Any]:
        answer: dict[str, Any] = requests.get(f"http://127.0.0.1:{self.monitoring_port}/varz", timeout=5).json()
        return answer

    async def talk(self) -> bytes:
        """Send a message through the server and give what came back."""
        client = await nats.connect(f"nats://127.0.0.1:{self.port}")
        try:
            subscription = await client.subscribe("rosey.dev.commands.*")
            await client.publish("rosey.dev.commands.quote", b"still here")
            return bytes((await subscription.next_msg(timeout=5)).data)
        finally:
            await client.close()

    def files(self) -> dict[str, bytes]:
        roots = [self.directory / "root" / "etc", self.home / "environments"]
        return {str(path): path.read_bytes() for root in roots for path in root.rglob("*") if path.is_file()}


def free_ports(number: int) -> list[int]:
    """Name TCP ports of 127.0.0.1 that nothing listens on."""
    with ExitStack() as opened:
        probes = [opened.enter_context(socket.socket()) for _each in range(number)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    deployed = Deployment(tmp_path_factory.mktemp("deployment"), *free_ports(3))
    said = deployed.play({})
    assert said.startswith("exit 0"), said
    yield deployed
    stop_all(deployed.directory)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A host with a bot, for tests that deploy to it step by step; nothing was yet."""
    host = Deployment(tmp_path_factory.mktemp("host"), *free_ports(3))
    host.home.parent.mkdir(parents=True)
    install_bot(host.home, host.bot_port)
    yield host
    stop_all(host.directory)


@pytest.fixture(scope="module")
def bot_deployment(deployed: Deployment) -> Deployment:
    """A deployment with a bot on it."""
    said = deployed.play({})
    assert said.startswith("exit 0"), said
    return deployed


def stop_all(directory: Path) -> None:
    """End what the process runtime left running below a directory."""
    for pid_file in (*directory.rglob("bot.pid"), *directory.rglob("nats-server.pid")):
        os.kill(int(pid_file.read_text()), signal.SIGINT)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """Give the keys, certificates and files that options name."""
    return make_material(tmp_path_factory.mktemp("material"))
