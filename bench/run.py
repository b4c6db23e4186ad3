# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the role beside what else one could do, all in one run on one machine: make bench.

Each contestant has a fresh Debian 12 container with systemd, and gets nats-server from the same local HTTP mirror.
A round trip is one call of `docker exec` or `docker cp` that ansible-playbook makes.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._server import archive, go_build, programs

ROOT = Path(__file__).resolve().parents[1]
PLAYS = ROOT / "bench" / "plays"
PRODUCTION = (ROOT / "inventories" / "production" / "group_vars" / "production" / "nats.yml",)
SITE = (
    *PRODUCTION,
    ROOT / "inventories" / "production" / "group_vars" / "production" / "bot.yml",
    ROOT / "inventories" / "common" / "plugins.yml",
)
VERSION = "2.10.7"
IMAGE = "rosey-nats-test:bookworm"
UNCHANGED_RUNS = 3
GATE_RUNS = 5
NUMBERS = (10, 100, 1000)
# So many items of a loop are measured; more would take most of an hour.
LOOPED = 50
SERVER_START_DELAY = 3.0
LEAST_HEAD_START = 0.2
CAPABILITIES = ("--cap-add=SYS_ADMIN", "--cap-add=SYS_PTRACE", "--security-opt=seccomp=unconfined")
TEMPORARY = ("--tmpfs=/run", "--tmpfs=/run/lock", "--cgroupns=private")
COUNTING_DOCKER = '#!/bin/sh\ncase " $* " in *" exec "*|*" cp "*) echo >> "$ROUND_TRIPS" ;; esac\nexec {docker} "$@"\n'


@dataclass
class Run:
    """One timed run. seconds: wall clock. round_trips: calls to the host, None where nothing counts them."""

    seconds: float
    round_trips: int | None = None


@dataclass
class Contestant:
    """What is measured. apply brings the host (its container's name) into the wanted state."""

    name: str
    apply: Callable[[str], Run]
    first: Run = field(default_factory=lambda: Run(0))
    unchanged: list[Run] = field(default_factory=list)


@dataclass(frozen=True)
class Mirror:
    """A local HTTP server with the archive."""

    url: str
    built: go_build.Built


@contextmanager
def mirror() -> Iterator[Mirror]:
    """Serve the archive to the containers, on the address that Docker's bridge has on this machine."""
    architecture = programs.find_architecture(os.uname().machine)
    directory = Path.home() / ".cache" / "rosey-nats"
    built = go_build.find_built(VERSION, architecture, directory, None) or go_build.build(
        VERSION, architecture, directory, None, go_build.find_toolchain(None, architecture)
    )
    inspect = ["docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"]
    address = subprocess.run(inspect, capture_output=True, text=True, check=True).stdout.strip() or "172.17.0.1"
    handler = functools.partial(QuietHandler, directory=str(built.path.parent))
    with ThreadingHTTPServer((address, 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Mirror(f"http://{address}:{server.server_address[1]}", built)
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    """Serve files without a line for each."""

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@contextmanager
def host(name: str) -> Iterator[str]:
    """Give a fresh container in which systemd has booted."""
    subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True, check=False)
    subprocess.run(
        ["docker", "run", "--detach", "--name", name, *CAPABILITIES, *TEMPORARY, IMAGE, "/lib/systemd/systemd"],
        stdout=subprocess.DEVNULL,
        check=True,
    )
    wait = "until systemctl is-system-running --wait | grep -Eq 'running|degraded'; do sleep 0.1; done"
    prepare = "apt-get update -qq && apt-get install -qq -y --no-install-recommends python3-requests python3-yaml"
    try:
        for command in (wait, prepare):
            subprocess.run(["docker", "exec", name, "sh", "-c", command], capture_output=True, check=True)
        yield name
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True, check=False)


def play(playbook: Path, variables: dict[str, object], values: Sequence[Path] = PRODUCTION) -> Callable[[str], Run]:
    """Give what runs a playbook. values: files of variables."""

    def apply(target: str) -> Run:
        with tempfile.TemporaryDirectory() as temporary:
            directory = Path(temporary)
            (directory / "docker").write_text(COUNTING_DOCKER.format(docker=shutil.which("docker")))
            (directory / "docker").chmod(0o755)
            trips = directory / "trips"
            trips.touch()
            inventory = directory / "hosts.yml"
            connection = {"ansible_connection": "community.docker.docker", "ansible_user": "root"}
            inventory.write_text(json.dumps({"rosey": {"hosts": {target: {**connection, **variables}}}}))
            started = time.perf_counter()
            done = subprocess.run(
                ["ansible-playbook", str(playbook), "-i", str(inventory), *(f"-e@{path}" for path in values)],
                cwd=ROOT,
                env={**os.environ, "PATH": f"{directory}:{os.environ['PATH']}", "ROUND_TRIPS": str(trips)},
                capture_output=True,
                text=True,
                check=False,
            )
            seconds = time.perf_counter() - started
            if done.returncode:
                raise SystemExit(f"{playbook.name} failed:\n{done.stdout}\n{done.stderr}")
            return Run(seconds, len(trips.read_text().splitlines()))

    return apply


def script(url: str) -> Callable[[str], Run]:
    """Give the contestant that runs the guide's steps as a shell script on the host."""

    def apply(target: str) -> Run:
        started = time.perf_counter()
        with (ROOT / "bench" / "guide.sh").open("rb") as steps:
            subprocess.run(
                ["docker", "exec", "--interactive", target, "sh", "-s", url],
                stdin=steps,
                capture_output=True,
                check=True,
            )
        return Run(time.perf_counter() - started)

    return apply


def measure(contestants: list[Contestant]) -> None:
    """Run every contestant on a fresh host; the unchanged runs take turns, so that all see the same machine."""
    with_hosts = []
    for number, contestant in enumerate(contestants):
        context = host(f"rosey-bench-{number}")
        target = context.__enter__()
        with_hosts.append((contestant, context, target))
        contestant.first = contestant.apply(target)
    for _run in range(UNCHANGED_RUNS):
        for contestant, _context, target in with_hosts:
            contestant.unchanged.append(contestant.apply(target))
    for _contestant, context, _target in with_hosts:
        context.__exit__(None, None, None)


def report(contestants: list[Contestant], naive: Contestant) -> None:
    """Print the table. Ratios are to the naive role."""
    slowest = statistics.median(run.seconds for run in naive.unchanged)
    print(f"{'':34}{'first':>9}{'trips':>7}{'unchanged':>12}{'trips':>7}{'of (c)':>9}")
    for contestant in contestants:
        again = statistics.median(run.seconds for run in contestant.unchanged)
        trips = [
            "-" if run.round_trips is None else str(run.round_trips)
            for run in (contestant.first, contestant.unchanged[-1])
        ]
        print(
            f"{contestant.name:34}{contestant.first.seconds:8.2f}s{trips[0]:>7}{again:11.2f}s{trips[1]:>7}"
            f"{again / slowest:8.0%}"
        )


def site(variables: dict[str, object]) -> Contestant:
    """Measure the whole of site.yml on a host with a bot: server, bot, plugins and their proof."""
    contestant = Contestant("site.yml, with a bot", play(ROOT / "site.yml", variables, SITE))
    with host("rosey-bench-site") as target, tempfile.TemporaryDirectory() as temporary:
        pack = Path(temporary) / "rosey-bot.pyz"
        subprocess.run([sys.executable, ROOT / "tests" / "bot" / "pack.py", pack], check=True)
        subprocess.run(["docker", "cp", pack, f"{target}:/root/rosey-bot.pyz"], check=True, capture_output=True)
        install = "python3 /root/rosey-bot.pyz --home /opt/rosey-bot --environment production --owner rosey --port 8000"
        subprocess.run(["docker", "exec", target, *install.split(), "--systemd"], check=True, capture_output=True)
        contestant.first = contestant.apply(target)
        contestant.unchanged = [contestant.apply(target) for _run in range(UNCHANGED_RUNS)]
    return contestant


def declared(number: int) -> dict[str, object]:
    """Declare so many plugins."""
    plugins = [
        {
            "name": f"plugin{each}",
            "subscriptions": [f"commands.word{each}", f"commands.other{each}"],
            "publishes": ["cytube.chat.message"],
            "config": {"cooldown": 5},
        }
        for each in range(number)
    ]
    return {"bot_plugins_declared": plugins}


def plugins(variables: dict[str, object]) -> None:
    """Measure the plugins' files beside a template that is looped over them, and print the table.

    The loop does what the call does; the role checks subjects, observes and records besides.
    """
    directory = "/opt/rosey-bot/environments/production/plugins"
    bot = {"bot_config_environment": "production", "bot_config_home": "/opt/rosey-bot", "bot_config_gate": "never"}
    no_owner = {"bot_config_owner": "", "bot_config_group": ""}
    print(f"\n{'plugins':34}{'first':>9}{'trips':>7}{'unchanged':>12}{'trips':>7}")
    with host("rosey-bench-plugins") as target:

        def contest(name: str, playbook: str, number: int, runs: int) -> Contestant:
            wanted = {**variables, **bot, **no_owner, **declared(number)}
            contestant = Contestant(name, play(PLAYS / playbook, wanted, ()))
            empty = f"rm -rf {directory} && mkdir -p {directory}"
            subprocess.run(["docker", "exec", target, "sh", "-c", empty], check=True)
            contestant.first = contestant.apply(target)
            contestant.unchanged = [contestant.apply(target) for _run in range(runs)]
            again, last = statistics.median(run.seconds for run in contestant.unchanged), contestant.unchanged[-1]
            print(
                f"{name:34}{contestant.first.seconds:8.2f}s{contestant.first.round_trips:>7}"
                f"{again:11.2f}s{last.round_trips:>7}"
            )
            return contestant

        for number in NUMBERS:
            contest(f"role bot_plugins, {number}", "plugins.yml", number, 3)
        ours = {number: contest(f"one config_tree, {number}", "plugins_call.yml", number, 3) for number in NUMBERS}
        loop = contest(f"a looped template, {LOOPED}", "plugins_looped.yml", LOOPED, 1)
    most, least = ours[NUMBERS[-1]], ours[NUMBERS[0]]
    for what, of_loop, of_most, of_least in (
        ("first", loop.first.seconds, most.first.seconds, least.first.seconds),
        (
            "unchanged",
            loop.unchanged[0].seconds,
            *(statistics.median(run.seconds for run in each.unchanged) for each in (most, least)),
        ),
    ):
        scaled = of_loop * NUMBERS[-1] / LOOPED
        print(
            f"{what}: {NUMBERS[-1]} plugins take {of_most / of_least:.1f} times as long as {NUMBERS[0]}; the loop, "
            f"scaled from {LOOPED}, takes {scaled:.0f} s, {scaled / of_most:.0f} times as long"
        )


def gate(server: Path) -> list[float]:
    """Measure, inside the module, the seconds from the server's first answer to the gate's passing.

    The module runs before the server does.
    """
    found = []
    for _run in range(GATE_RUNS):
        with tempfile.TemporaryDirectory() as temporary:
            config = Path(temporary) / "nats-server.conf"
            config.write_text(
                "server_name: bench\nhost: 127.0.0.1\nport: 14222\nhttp_port: 18222\nmax_connections: 200\n"
                f'ping_interval: "2m"\nlog_file: "{temporary}/log"\n'
                f'jetstream {{ store_dir: "{temporary}/store", max_mem: 64M, max_file: 64M }}\n'
            )
            asked = {"url": "http://127.0.0.1:18222", "version": VERSION, "config_file": str(config), "wait": 30}
            module = subprocess.Popen(
                ["ansible", "localhost", "-m", "rosey.nats.nats_health", "-a", json.dumps(asked)],
                cwd=ROOT,
                env={
                    **os.environ,
                    "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1",
                    "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
                },
                stdout=subprocess.PIPE,
                text=True,
            )
            time.sleep(SERVER_START_DELAY)
            with subprocess.Popen([server, "-c", config], stderr=subprocess.DEVNULL) as process:
                said = json.loads(module.communicate(timeout=60)[0])
                process.terminate()
            result = said["plays"][0]["tasks"][0]["hosts"]["localhost"]
            if not result.get("passed") or result["first_answer_seconds"] < LEAST_HEAD_START:
                raise SystemExit(f"the gate failed, or it started after the server: {result}")
            found.append(float(result["gate_passed_seconds"]))
    return found


def main() -> None:
    """Measure and print."""
    with mirror() as source:
        name = source.built.path.name
        checksums = {VERSION: {programs.find_architecture(os.uname().machine).name: source.built.sha256}}
        variables: dict[str, object] = {
            "nats_server_url": source.url,
            "nats_server_checksums": checksums,
            "archive": name,
            "checksum": source.built.sha256,
            "vault_nats_password": "no secret",
        }
        naive = Contestant("(c) a naive role", play(PLAYS / "naive.yml", variables))
        contestants = [
            Contestant("rosey.nats.nats_server", play(PLAYS / "role.yml", variables)),
            Contestant("(a) an empty play", play(PLAYS / "empty.yml", variables)),
            Contestant("(b) the guide as a shell script", script(f"{source.url}/{name}")),
            naive,
            Contestant("(d) four tasks", play(PLAYS / "four_tasks.yml", variables)),
        ]
        measure(contestants)
        report([*contestants, site(variables)], naive)
    plugins({"vault_nats_password": "no secret"})
    with tempfile.TemporaryDirectory() as temporary:
        archive.unpack(source.built.path, Path(temporary) / "nats-server")
        passed = gate(Path(temporary) / "nats-server")
    print(f"\nfirst answer of the server to gate passed: median {statistics.median(passed) * 1000:.0f} ms,", end=" ")
    print(f"worst {max(passed) * 1000:.0f} ms of {GATE_RUNS}")


if __name__ == "__main__":
    sys.exit(main())
