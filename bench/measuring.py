# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of a program costs, and the tables that say so."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ansible_collections.rosey.nats.plugins.module_utils._server import go_build, programs

ROOT = Path(__file__).resolve().parents[1]
PLAYS = ROOT / "bench" / "plays"
VERSION = "2.10.7"
COUNTING_DOCKER = '#!/bin/sh\ncase " $* " in *" exec "*|*" cp "*) echo >> "$ROUND_TRIPS" ;; esac\nexec {docker} "$@"\n'

Variables = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One run of a program.

    seconds: wall clock. processor: what it and its children used, user and system, seconds. memory: the most that one
    of these processes held at a time, MiB. round_trips: calls of `docker exec` and `docker cp`, None where nothing
    counts them. changed: what a playbook changed.
    """

    seconds: float
    processor: float
    memory: float
    round_trips: int | None = None
    changed: int = 0


def run(words: Sequence[str], *, environment: Mapping[str, str] | None = None, given: Path | None = None) -> Run:
    """Run a program, which has to succeed. environment: what is added to this one's; given: its standard input."""
    with (given or Path(os.devnull)).open("rb") as source, tempfile.TemporaryFile("w+") as said:
        started = time.perf_counter()
        process = subprocess.Popen(
            words, cwd=ROOT, env={**os.environ, **(environment or {})}, stdin=source, stdout=said, stderr=said
        )
        _pid, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        output = said.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{output}")
    changed = sum(map(int, re.findall(r"^\S+ +: ok=\d+ +changed=(\d+)", output, re.MULTILINE)))
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, changed=changed)


def play(playbook: Path, hosts: Mapping[str, Variables], values: Sequence[Path] = ()) -> Run:
    """Run a playbook on these hosts, each with its variables. values: files of variables."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        counting, trips, inventory = (directory / name for name in ("docker", "trips", "hosts.json"))
        counting.write_text(COUNTING_DOCKER.format(docker=shutil.which("docker")))
        counting.chmod(0o755)
        trips.touch()
        inventory.write_text(json.dumps({"rosey": {"hosts": dict(hosts)}}))
        found = run(
            ["ansible-playbook", str(playbook), "-i", str(inventory), *(f"-e@{path}" for path in values)],
            environment={
                "PATH": f"{directory}:{os.environ['PATH']}",
                "ROUND_TRIPS": str(trips),
                "ANSIBLE_NOCOLOR": "1",
            },
        )
        return Run(found.seconds, found.processor, found.memory, len(trips.read_text().splitlines()), found.changed)


def median(runs: Sequence[Run]) -> Run:
    """Give the medians of the times, the most memory, the trips of the last run, and all changes."""
    return Run(
        statistics.median(each.seconds for each in runs),
        statistics.median(each.processor for each in runs),
        max(each.memory for each in runs),
        runs[-1].round_trips,
        sum(each.changed for each in runs),
    )


def per_further_host(one: Run, many: Run, number: int) -> Run:
    """Give what each host beyond the first costs."""
    further = number - 1
    seconds, processor = many.seconds - one.seconds, many.processor - one.processor
    return Run(seconds / further, processor / further, (many.memory - one.memory) / further)


def in_turns(ways: Sequence[Callable[[], Run]], times: int) -> list[list[Run]]:
    """Run each way so many times, by turns, so that all see the same machine; give the runs of each."""
    rounds = [[way() for way in ways] for _time in range(times)]
    return [list(runs) for runs in zip(*rounds, strict=True)]


def tell_changes(name: str, runs: Sequence[Run]) -> None:
    """Say so where runs that should have had nothing to do changed something: their figures mean something else."""
    if changed := sum(each.changed for each in runs):
        print(f"NOT UNCHANGED: {name} changed {changed} things in {len(runs)} runs")


def tell_machine() -> None:
    """Say on what was measured."""
    one, five, _fifteen = os.getloadavg()
    print(f"{os.cpu_count()} cores; load {one:.1f}, in the last five minutes {five:.1f}\n")


@dataclass(frozen=True)
class Mirror:
    """A local HTTP server with the archive."""

    url: str
    built: go_build.Built
    architecture: str

    @property
    def variables(self) -> Variables:
        """What the role and the naive plays have to know to install from it."""
        return {
            "nats_server_archive_url": self.url,
            "nats_server_checksums": {VERSION: {self.architecture: self.built.sha256}},
            "archive": self.built.path.name,
            "checksum": self.built.sha256,
        }


@contextmanager
def mirror(address: str) -> Iterator[Mirror]:
    """Serve the archive on an address of this machine."""
    architecture = programs.find_architecture(os.uname().machine)
    directory = Path.home() / ".cache" / "rosey-nats"
    built, _now = go_build.build(VERSION, architecture, directory)
    handler = functools.partial(QuietHandler, directory=str(built.path.parent))
    with ThreadingHTTPServer((address, 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Mirror(f"http://{address}:{server.server_address[1]}", built, architecture.name)
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    """Serve files without a line for each."""

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""
