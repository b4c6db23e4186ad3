# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of the benches: containers of Debian 12 in which systemd runs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ansible_collections.rosey.nats.bench.measuring import ROOT, Variables

IMAGE = "rosey-nats-test:bench"
RECIPE = (
    "FROM rosey-nats-test:bookworm\n"
    "RUN apt-get update -qq && apt-get install -qq -y --no-install-recommends python3-requests python3-yaml\n"
)
CAPABILITIES = ("--cap-add=SYS_ADMIN", "--cap-add=SYS_PTRACE", "--security-opt=seccomp=unconfined")
TEMPORARY = ("--tmpfs=/run", "--tmpfs=/run/lock", "--cgroupns=private")
BOOTED = "until systemctl is-system-running --wait | grep -Eq 'running|degraded'; do sleep 0.1; done"
CONNECTION: Variables = {"ansible_connection": "community.docker.docker", "ansible_user": "root"}
INSTALL_BOT = "python3 /root/rosey-bot.pyz --home /opt/rosey-bot --environment production --owner rosey --port 8000"
AT_ONCE = 4


def bridge_address() -> str:
    """Give the address that Docker's bridge has on this machine."""
    inspect = ["docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"]
    return subprocess.run(inspect, capture_output=True, text=True, check=True).stdout.strip() or "172.17.0.1"


def execute(name: str, command: str) -> None:
    """Run a shell command that has to succeed."""
    subprocess.run(["docker", "exec", name, "sh", "-c", command], capture_output=True, check=True)


def prepare_image() -> None:
    """Make the image of the hosts, with the libraries that the modules need."""
    words = ["docker", "build", "--quiet", "--tag", IMAGE, "-"]
    subprocess.run(words, input=RECIPE.encode(), capture_output=True, check=True)


@contextmanager
def hosts(name: str, number: int) -> Iterator[list[str]]:
    """Give fresh containers in which systemd has booted, and see that they are gone in the end."""
    names = [f"rosey-bench-{name}-{each}" for each in range(number)]

    def remove() -> None:
        subprocess.run(["docker", "rm", "--force", "--volumes", *names], capture_output=True, check=False)

    def start(container: str) -> None:
        words = ["docker", "run", "--detach", "--name", container, *CAPABILITIES, *TEMPORARY, IMAGE]
        subprocess.run([*words, "/lib/systemd/systemd"], stdout=subprocess.DEVNULL, check=True)
        execute(container, BOOTED)

    with ExitStack() as stack:
        remove()
        stack.callback(remove)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(start, names))
        yield names


def install_bot(names: Sequence[str]) -> None:
    """Install the bot of the tests, as a user of the collection has to install the real one."""
    with tempfile.TemporaryDirectory() as temporary:
        pack = Path(temporary) / "rosey-bot.pyz"
        subprocess.run([sys.executable, ROOT / "tests" / "bot" / "pack.py", pack], check=True)

        def install(container: str) -> None:
            copy = ["docker", "cp", str(pack), f"{container}:/root/rosey-bot.pyz"]
            subprocess.run(copy, check=True, capture_output=True)
            execute(container, f"{INSTALL_BOT} --systemd")

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(install, names))
