# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the tests: python3 -m tests.run [PART ...]; without a name, all parts.

A part starts as soon as those that it needs are done, three at a time: each waits for a part of its time, and two cores
serve them. What it says goes to tests/output/<part>.log. At the end stands a table of times and counts, what failed,
and a line that sums them up. It needs nothing but the standard library.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from . import engine
from .summary import Counts, Result, count_command, table

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "tests" / "output"
ENVIRONMENT = ROOT / ".venv-test"
SERVER = ENVIRONMENT / "nats-server"
# Other versions, for what a change of version does: a later one of the same line, and one of an older line.
NEWER, OLDER = ENVIRONMENT / "nats-server-newer", ENVIRONMENT / "nats-server-older"
NEWER_VERSION, OLDER_VERSION = "2.10.29", "2.9.25"
# The line after it, for what its features leave in a store.
NEXT, NEXT_VERSION = ENVIRONMENT / "nats-server-next", "2.11.4"
# The tools of Galaxy and of the documentation's site: they want older versions of what the tests need.
GALAXY = ROOT / ".venv-galaxy"
# The longest ones first.
SCENARIOS = sorted(
    (path.parent.name for path in ROOT.glob("molecule/*/molecule.yml")),
    key=lambda name: (name not in {"cluster", "rollback"}, name),
)
KILL_PHASES = ("first", "reload", "version", "rotation", "roll")
NEEDS_OF_A_SCENARIO = {"rollback": ("servers",), "cluster": ("servers",), "production": ("oldest-image",)}

# What `make test` leaves to `make test-faults`, which has these suites whole.
SUITES = ("deployment", "integration", "watching", "documented")
NOT_THOROUGH = "-m 'not thorough'"

LINTERS = (
    "ruff check",
    "ruff format --check",
    "mypy plugins tests/run.py tests/sanity.py tests/server.py tests/promtool.py tests/bot",
    # What hosts run may use no library that came later: 3.10 is the oldest that mypy knows.
    "mypy --python-version 3.10 plugins/modules plugins/module_utils",
    "yamllint --strict .",
    "ansible-lint",
)

WORKERS = 3
# Seconds after which a command is taken to hang. A machine that others use, too, may take twice the usual time.
PATIENCE = 4800
LINES_SHOWN = 25
LINES_SHOWN_OF_A_FAILURE = 150


@dataclass(frozen=True)
class Command:
    """A command line, and the pattern of the JUnit files that it writes into the tree, if it writes any."""

    words: tuple[str, ...]
    reports: str | None = None


@dataclass(frozen=True)
class Part:
    """Commands that run one after another, and the names of the parts that have to be done before.

    What only prepares the ground is no test: it counts when it fails.
    """

    name: str
    commands: tuple[Command, ...]
    needs: tuple[str, ...] = ("environment",)
    is_test: bool = True
    patience: int = PATIENCE


def preparation(name: str, lines: Iterable[str], *needs: str) -> Part:
    """Describe a part that only prepares the ground."""
    return Part(name, tuple(Command(tuple(line.split())) for line in lines), needs, is_test=False)


def build_line(destination: Path, version: str = "") -> str:
    """Give the command line that builds a nats-server; without a version, the pinned one."""
    return f"env PYTHONPATH=collections python -m tests.server {destination.relative_to(ROOT)} {version}"


def pytest_part(name: str, tests: str, *needs: str, patience: int = PATIENCE) -> Part:
    """Describe a part that pytest runs."""
    report = f"tests/output/{name}.xml"
    command = Command(("python", "-m", "pytest", *shlex.split(tests), f"--junit-xml={report}"), report)
    return Part(name, (command,), needs, patience=patience)


def scenario_part(name: str, part: str, options: str = "") -> Part:
    """Describe the part that is a Molecule scenario; its verifier has the options from PYTEST_ADDOPTS."""
    report = f"tests/output/{part}.xml"
    given = f"PYTEST_ADDOPTS=--junit-xml={ROOT / report} {options}"
    command = Command(("env", given, "molecule", "test", "--scenario-name", name), report)
    return Part(part, (command,), ("images", "server", *NEEDS_OF_A_SCENARIO.get(name, ())))


PARTS = (
    preparation(
        "environment",
        [f"{sys.executable} -m tests.environment {ENVIRONMENT.name} requirements-test.txt requirements-go.txt"],
    ),
    preparation("images", [f"{sys.executable} -m tests.images bookworm trixie"]),
    # By itself: mirrors drop an old release some day, which must be seen, and not keep the rest from being tested.
    preparation("oldest-image", [f"{sys.executable} -m tests.images bullseye"]),
    preparation("server", [build_line(SERVER)], "environment"),
    preparation("servers", [build_line(NEWER, NEWER_VERSION), build_line(OLDER, OLDER_VERSION)], "environment"),
    # The long ones start first.
    pytest_part("deployment", f"tests/deployment {NOT_THOROUGH}", "server"),
    pytest_part("assets-sample", "-s -m sample tests/assets", "server", "servers"),
    Part(
        "sanity",
        (Command(("python", "-m", "tests.sanity", ".venv-test/sanity"), ".venv-test/sanity/**/output/junit/*.xml"),),
    ),
    pytest_part("integration", f"tests/integration {NOT_THOROUGH}", "images", "server", "servers"),
    pytest_part("watching", f"tests/watching {NOT_THOROUGH}", "images", "server"),
    pytest_part("faults-sample", "tests/faults -m sample", "images", "server", "servers"),
    pytest_part("diagnosis-sample", "-m sample tests/diagnosis", "images", "server"),
    pytest_part("kill-sample", "-s tests/kill/test_sample.py", "server", "servers"),
    *(scenario_part(name, f"molecule-{name}", NOT_THOROUGH) for name in SCENARIOS),
    pytest_part("unit", "tests/unit", "server"),
    pytest_part("fuzz-sample", "-s tests/fuzz", "server"),
    Part("lint", tuple(Command(tuple(line.split())) for line in LINTERS)),
    pytest_part("docs", "-s tests/docs", "environment"),
    pytest_part("documented", f"tests/documented {NOT_THOROUGH}", "server"),
    preparation("galaxy-tools", [f"{sys.executable} -m tests.environment {GALAXY.name} requirements-galaxy.txt"]),
    pytest_part("galaxy", "-s tests/galaxy", "environment", "galaxy-tools"),
)
# Only when they are asked for.
EXTRA_PARTS = (
    preparation("next-server", [build_line(NEXT, NEXT_VERSION)], "environment"),
    pytest_part("assets", "-s tests/assets", "server", "servers", "next-server", patience=4 * 3600),
    pytest_part("faults", "tests/faults", "images", "server", "servers", patience=4 * 3600),
    *(
        pytest_part(f"{suite}-whole", f"tests/{suite}", "images", "server", "servers", patience=4 * 3600)
        for suite in SUITES
    ),
    scenario_part("rollback", "rollback"),
    pytest_part("diagnosis", "tests/diagnosis", "images", "server", patience=4 * 3600),
    pytest_part("fuzz", "-s tests/fuzz", "server", patience=8 * 3600),
    pytest_part("agreement", "-s tests/integration/test_agreement.py", "server", patience=4 * 3600),
    *(
        pytest_part(f"kill-{phase}", f"-s tests/kill/test_all.py -k {phase}", "servers", patience=4 * 3600)
        for phase in KILL_PHASES
    ),
    Part(
        "bench",
        tuple(
            Command(("env", "PYTHONPATH=collections", "python", f"bench/{name}.py"))
            for name in ("run", "disturbance", "streams", "reconnects", "rolls")
        ),
        ("images", "server"),
        patience=3600,
    ),
    Part(
        "bench-fleet",
        (Command(("env", "PYTHONPATH=collections", "python", "bench/fleet.py")),),
        ("server",),
        patience=3600,
    ),
)
BY_NAME = {part.name: part for part in (*PARTS, *EXTRA_PARTS)}
GROUPS = {
    "thorough": [f"{suite}-whole" for suite in SUITES],
    "molecule": [f"molecule-{name}" for name in SCENARIOS],
    "kill": [f"kill-{phase}" for phase in KILL_PHASES],
}


def with_needs(names: Iterable[str]) -> list[Part]:
    """Give the parts with these names and all that they need, in the order of the table."""
    wanted: set[str] = set()
    open_names = list(names)
    while open_names:
        name = open_names.pop()
        wanted.add(name)
        open_names += BY_NAME[name].needs
    return [part for part in BY_NAME.values() if part.name in wanted]


def environment() -> dict[str, str]:
    """Give the environment of every command: the tools of .venv-test first, plain output, the built server."""
    return {
        **os.environ,
        "PATH": f"{ENVIRONMENT / 'bin'}:{os.environ['PATH']}",
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "ANSIBLE_NOCOLOR": "1",
        "MOLECULE_COMMAND_BORDERS": "false",
        "NATS_SERVER_BINARY": str(SERVER),
        "NATS_SERVER_BINARY_NEWER": str(NEWER),
        "NATS_SERVER_BINARY_OLDER": str(OLDER),
        "NATS_SERVER_BINARY_NEXT": str(NEXT),
    }


def log_path(part: Part) -> Path:
    """Give the place of a part's log."""
    return OUTPUT / f"{part.name}.log"


def run_command(command: Command, log: Path, *, patience: int, live: bool) -> Counts:
    """Run one command into the log, shown as it grows where it is `live`, and count what it tested."""
    for old in ROOT.glob(command.reports) if command.reports else ():
        old.unlink()
    with log.open("a") as writer, log.open() as reader:
        print("$", *command.words, file=writer, flush=True)
        begin = writer.tell()
        # A file, not a pipe: what a command leaves running could hold a pipe open.
        process = subprocess.Popen(
            command.words, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL, stdout=writer, stderr=writer
        )
        reader.seek(0, os.SEEK_END)
        deadline = time.monotonic() + patience
        while process.poll() is None:
            time.sleep(0.1)
            if live:
                print(reader.read(), end="", flush=True)
            if time.monotonic() > deadline:
                print(f"Ended: it took longer than {patience} s.", file=writer, flush=True)
                process.kill()
        if live:
            print(reader.read(), end="", flush=True)
    reports = list(ROOT.glob(command.reports)) if command.reports else None
    output = log.read_bytes()[begin:].decode(errors="replace")
    return count_command(" ".join(command.words), process.returncode, reports, output)


def run_part(part: Part, *, live: bool) -> Result:
    """Run all commands of a part, each whether or not the one before it failed."""
    started = time.monotonic()
    log = log_path(part)
    log.unlink(missing_ok=True)
    counts = Counts()
    for command in part.commands:
        counts += run_command(command, log, patience=part.patience, live=live)
    if not part.is_test:
        counts = Counts(failed=counts.failed, failures=counts.failures)
    return Result(part.name, time.monotonic() - started, counts)


def show(part: Part, result: Result, *, live: bool) -> None:
    """Say how a part ended, with the end of its log unless it was shown as it grew."""
    log = log_path(part)
    if not live and (part.is_test or result.counts.failed):
        lines = log.read_text(errors="replace").splitlines()
        print("\n".join(lines[-(LINES_SHOWN_OF_A_FAILURE if result.counts.failed else LINES_SHOWN) :]))
    print(f"== {part.name}: {result.counts} in {result.seconds:.1f} s; {log.relative_to(ROOT)}\n", flush=True)


def run(parts: Sequence[Part]) -> list[Result]:
    """Run the parts, each as soon as a worker is free and its needs are met; give the results as they came."""
    live = sum(part.is_test for part in parts) == 1
    waiting = list(parts)
    running: dict[Future[Result], Part] = {}
    results: dict[str, Result] = {}
    with ThreadPoolExecutor(WORKERS) as pool:
        while waiting or running:
            for part in [part for part in waiting if set(part.needs) <= results.keys()]:
                broken = [name for name in part.needs if results[name].counts.failed]
                if broken:
                    why = f"{part.name}: not run, since {broken[0]} failed"
                    print(f"== {why}\n", flush=True)
                    results[part.name] = Result(part.name, 0.0, Counts(failed=1, failures=(why,)))
                elif len(running) < WORKERS:
                    print(f"== {part.name}: started", flush=True)
                    running[pool.submit(run_part, part, live=live)] = part
                else:
                    continue
                waiting.remove(part)
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                part = running.pop(future)
                results[part.name] = future.result()
                show(part, results[part.name], live=live)
    return list(results.values())


def status(parts: Iterable[Part], counts: Counts) -> int:
    """Give the exit status: 0 where nothing failed, and something was tested if that was asked for."""
    return 1 if counts.failed or (any(part.is_test for part in parts) and not counts.passed) else 0


def main(arguments: Sequence[str]) -> int:
    """Run what the command line names; 0 when that was well."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.run", description="Run the tests of this collection.")
    choices = [*(name for name, part in BY_NAME.items() if part.is_test), *GROUPS]
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of {', '.join(choices)}; all when none is named")
    names = parser.parse_args(arguments).parts or [part.name for part in PARTS]
    unknown = set(names) - {*BY_NAME, *GROUPS}
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(choices)}")
    parts = with_needs(member for name in names for member in GROUPS.get(name, [name]))
    started = time.monotonic()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    for_engine = any(part.name == "images" for part in parts)
    engine.install_packages(for_engine=for_engine)
    if for_engine:
        engine.start()
    results = run(parts)
    print(table(results, time.monotonic() - started))
    counts = sum((result.counts for result in results), Counts())
    return status(parts, counts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
