# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what a restart of a cluster does to who publishes, side by side in one run: all at once, in turn, and a roll.

Each way restarts the same three servers, deployed by the role, five times, while 200 messages a second are published to
a stream with three replicas, each until it is acknowledged. A stall is the time between two acknowledgements.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

import requests

from ansible_collections.rosey.nats.tests import fleet
from ansible_collections.rosey.nats.tests.fleet import Fleet
from ansible_collections.rosey.nats.tests.publisher import Published, Publisher

BINARY = os.environ["NATS_SERVER_BINARY"]
RUNS = 5
LIMITS = ("300M", "400M")
# Seconds before and after, in which nothing but publishing goes on.
SETTLING = 3.0

Way = Callable[[Fleet, str], None]


def restart(hosts: Fleet, names: Collection[str]) -> None:
    """End these hosts' servers together, as `systemctl stop` does, start them, and wait until each is healthy."""
    pids = [hosts.pid(name) for name in names]
    for pid in pids:
        os.kill(pid, signal.SIGINT)
    for pid in pids:
        with suppress(ChildProcessError):
            # one that was started here stays until somebody has asked for its end
            os.waitpid(pid, 0)
        while Path(f"/proc/{pid}").exists():
            time.sleep(0.01)
    for name in names:
        config = hosts.directory / name / "etc" / "nats" / "nats-server.conf"
        subprocess.Popen(
            [BINARY, "-c", config, "-P", hosts.pid_file(name)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    for name in names:
        while not healthy(hosts, name):
            time.sleep(0.01)


def healthy(hosts: Fleet, name: str) -> bool:
    """Tell whether a host's server says that it is."""
    with suppress(requests.RequestException, ValueError):
        return bool(hosts.ask(name, "healthz")["status"] == "ok")
    return False


def all_at_once(hosts: Fleet, _limit: str) -> None:
    """Restart all, as a play does that has no `serial`."""
    restart(hosts, hosts.ports)


def in_turn(hosts: Fleet, _limit: str) -> None:
    """Restart one after another, each as soon as the one before it is healthy, as a play does with `serial: 1`."""
    for name in hosts.ports:
        restart(hosts, [name])


def roll(hosts: Fleet, limit: str) -> None:
    """Deploy a change that takes a restart."""
    hosts.deploy(fleet.memory(limit))


def measure(way: Way) -> list[tuple[float, Published]]:
    """Restart servers of their own five times; give the seconds of each and what came of what was published."""
    found = []
    with tempfile.TemporaryDirectory() as directory, fleet.made(Path(directory)) as hosts:
        hosts.deploy(fleet.memory(LIMITS[-1]))
        for number in range(RUNS):
            found.append(hosts.meanwhile(lambda number=number: timed(way, hosts, LIMITS[number % 2])))
    return found


def timed(way: Way, hosts: Fleet, limit: str) -> float:
    """Restart them in the midst of what is published, and say how many seconds that took."""
    time.sleep(SETTLING)
    began = time.monotonic()
    way(hosts, limit)
    seconds = time.monotonic() - began
    time.sleep(SETTLING)
    return seconds


def main() -> None:
    """Measure and print."""
    ways: dict[str, Way] = {
        "all at once": all_at_once,
        "one after another (serial: 1)": in_turn,
        "rosey.nats: a roll": roll,
    }
    print(f"A publisher waits {Publisher.TIMEOUT:.1f} s for an acknowledgement, and tries again. Medians of {RUNS}.")
    print(f"{'':32}{'stall':>8}{'longest':>9}{'tried again':>13}{'given up':>10}{'lost':>6}{'took':>8}")
    for name, way in ways.items():
        found = measure(way)
        stalls = [published.stall for _seconds, published in found]
        again = statistics.median(published.retries for _seconds, published in found)
        given_up, lost = (sum(getattr(each, what) for _seconds, each in found) for what in ("failed", "lost"))
        seconds = statistics.median(seconds for seconds, _published in found)
        print(
            f"{name:32}{statistics.median(stalls):7.2f}s{max(stalls):8.2f}s{again:13.0f}{given_up:10}{lost:6}"
            f"{seconds:7.1f}s",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
