# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the role on a fleet where there is nothing to do, beside the naive role: make bench-fleet, FLEET=n hosts.

A host is a directory of this user with a nats-server process, deployed by the role itself; no root, no container. The
naive role goes to directories of its own, by plays/naive_below_prefix.yml: group and account are the user's own, and
its last task looks for the server that the role deployed, by its port, where the original asks systemd.

The modules run on this machine, too. Each is run by an interpreter that adds up what it uses, which is taken from what
ansible-playbook and its children used: the rest is the controller's. Wall clock is of both.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.rosey.nats.bench.measuring import (
    PLAYS,
    Mirror,
    Run,
    Variables,
    in_turns,
    median,
    mirror,
    play,
    tell_changes,
    tell_machine,
)
from ansible_collections.rosey.nats.tests.integration.conftest import free_ports

RUNS = 3
# Seconds that servers have to end.
PATIENCE = 30.0
LIMITS = {"max_connections": 10, "jetstream": {"max_mem": "1M", "max_file": "1M"}}
# Not in a pipe, whose parts have children of their own. `times` says what the shell and its children used.
MEASURED_PYTHON = """#!/bin/sh
{python} "$@"
status=$?
times >> {used}
exit $status
"""


@dataclass
class Fleet:
    """Hosts of this machine; two ports for each."""

    directory: Path
    number: int
    source: Mirror
    ports: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.ports = free_ports(2 * self.number)
        python = self.directory / "python"
        python.write_text(MEASURED_PYTHON.format(python=sys.executable, used=self.used))
        python.chmod(0o755)
        self.directory.chmod(0o755)

    @property
    def used(self) -> Path:
        """Where each module's use of the processor is noted."""
        return self.directory / "used"

    def hosts(self, kind: str, describe: Callable[[Path, int], Variables]) -> dict[str, Variables]:
        """Give all hosts with their variables; describe: those that follow from prefix and number of a host."""
        found = {}
        for each in range(self.number):
            prefix = self.directory / kind / str(each)
            connection = {"ansible_connection": "local", "ansible_python_interpreter": str(self.directory / "python")}
            found[f"{kind}-{each}"] = {**connection, **self.source.variables, **describe(prefix, each)}
        return found

    def role(self, prefix: Path, each: int) -> Variables:
        """Describe a host of the role."""
        port, monitoring_port = self.ports[2 * each : 2 * each + 2]
        given = {"server_name": f"fleet_{each}", "port": port, "http_port": monitoring_port}
        return {
            "nats_server_runtime": "process",
            "nats_server_prefix": str(prefix),
            "nats_server_gate_soak": 0,
            "nats_server_config": {**given, **LIMITS},
        }

    def naive(self, prefix: Path, each: int) -> Variables:
        """Describe a host of the naive role."""
        for name in ("opt", "usr/local/bin", "var/log", "var/lib", "etc/logrotate.d", "etc/systemd/system"):
            (prefix / name).mkdir(parents=True)
        account, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
        return {"prefix": str(prefix), "account": account, "account_group": group, "port": self.ports[2 * each]}

    def measure(self, playbook: str, hosts: dict[str, Variables]) -> Run:
        """Run a playbook on all hosts; what the modules used is taken off."""
        self.used.write_text("")
        found = play(PLAYS / playbook, hosts)
        # each word: user or system, of the shell or of its children
        modules = sum(seconds(word) for line in self.used.read_text().splitlines() for word in line.split())
        return Run(found.seconds, found.processor - modules, found.memory, None, found.changed)


def seconds(said: str) -> float:
    """Read what a shell's `times` says, such as 0m1.25s."""
    minutes, rest = said.removesuffix("s").split("m")
    return 60 * int(minutes) + float(rest)


@contextmanager
def fleet(number: int, source: Mirror) -> Iterator[Fleet]:
    """Give room for the hosts, and see that their servers end."""
    directory = Path(tempfile.mkdtemp(prefix="rosey-bench-fleet-"))
    try:
        yield Fleet(directory, number, source)
    finally:
        servers = [int(pid_file.read_text()) for pid_file in directory.rglob("nats-server.pid")]
        for process in servers:
            # one that was given up may be gone
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGINT)
        deadline = time.monotonic() + PATIENCE
        while any(Path(f"/proc/{process}").exists() for process in servers) and time.monotonic() < deadline:
            time.sleep(0.05)
        shutil.rmtree(directory)


def report(name: str, runs: list[Run], number: int) -> None:
    """Print a line."""
    found = median(runs)
    per_host = found.processor / number
    print(f"{name:34}{found.seconds:12.1f}s{found.processor:17.1f}s{per_host:10.2f}s{found.memory:15.0f} MiB")
    tell_changes(name, runs)


def main(number: int) -> None:
    """Deploy, measure and print."""
    tell_machine()
    with mirror("127.0.0.1") as source, fleet(number, source) as hosts:
        ours, naive = hosts.hosts("role", hosts.role), hosts.hosts("naive", hosts.naive)
        for playbook, of_playbook in (("role.yml", ours), ("naive_below_prefix.yml", naive)):
            hosts.measure(playbook, of_playbook)
        ways = (lambda: hosts.measure("role.yml", ours), lambda: hosts.measure("naive_below_prefix.yml", naive))
        found, beside = in_turns(ways, RUNS)
    title = f"{number} hosts, unchanged"
    print(f"{title:34}{'wall clock':>13}{'controller CPU':>18}{'per host':>11}{'peak memory':>19}")
    report("rosey.nats.nats_server", found, number)
    report("(c) a naive role", beside, number)
    one, other = median(found), median(beside)
    print(
        f"of (c): wall clock {one.seconds / other.seconds:.0%}, controller CPU {one.processor / other.processor:.0%}, "
        f"peak memory {one.memory / other.memory:.0%}"
    )


if __name__ == "__main__":
    main(int(os.environ.get("FLEET", "50")))
