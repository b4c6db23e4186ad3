# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try every change on bare servers, undo it, and compare every message."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ansible_collections.rosey.nats.tests.assets import changes
from ansible_collections.rosey.nats.tests.assets.binaries import BINARIES
from ansible_collections.rosey.nats.tests.assets.changes import Change
from ansible_collections.rosey.nats.tests.assets.ground import Seen, Server, declare, digest, fill

DEFAULT_STORE = Path("/tmp/nats")
RESULTS = os.environ.get("LAB_RESULTS", "")
READY_SECONDS = 20.0
CLUSTER_TRIES = 5


@dataclass
class Row:
    """What came of one change in one of the ways in which it comes into force."""

    name: str
    found: str = ""
    said: list[str] = field(default_factory=list)
    back: str = ""
    seconds: float = 0.0

    def text(self) -> str:
        return f"{self.name} | {self.found} | {'; '.join(self.said)} | {self.back} | {self.seconds:.1f} s"


class Trial:
    """A change, tried on one server or on a cluster of them."""

    def __init__(self, change: Change, how: str, directory: Path) -> None:
        self.change, self.how = change, how
        self.servers = [Server(directory / str(number), number) for number in range(1, change.nodes + 1)]
        self.changed = self.servers if change.all_nodes else self.servers[-1:]
        if change.nodes > 1:
            routes = [f"nats://127.0.0.1:{each.cluster_port}" for each in self.servers]
            for number, server in enumerate(self.servers, 1):
                server.base |= {
                    "server_tags": [f"n{number}"],
                    "cluster": {"name": "c", "listen": f"127.0.0.1:{server.cluster_port}", "routes": routes},
                }
        self.changing = False
        self.row = Row(f"{change.name} [{how}]")

    def run(self) -> str:
        """Fill, change, look, undo, look; give the class."""
        before = self.fill()
        self.changing = True
        if self.apply():
            return changes.REFUSED
        after = self.look("after", forward=True, expected=before, settle=self.change.settle)
        lacks = after.lacks(before)
        self.tell(after, lacks)
        if differs := after.differs(before):
            self.row.said.append(f"other configuration: {differs}")
        gone = self.undo(before)
        if gone and not lacks:
            self.restart(forward=True)
            again = self.look("redone", forward=True, expected=before, settle=self.change.settle).lacks(before)
            self.row.back += f"; changed again: {f'lacks {again}' if again else 'all'}"
            return changes.UNDOING_DESTROYS if again else changes.CONVERTS
        if gone:
            return changes.DESTROYS
        if lacks:
            return changes.HIDES
        return changes.STOPS if after.refused else changes.HARMLESS

    def fill(self) -> Seen:
        self.launch(self.servers, forward=False, first=True)
        for label, holds in self.change.held.items():
            fill(self.servers[0], self.change.who[label], holds)
        if self.change.nodes > 1:
            self.wait_for_health()
        before = self.look("before", forward=False)
        assert not before.errors and before.messages, before.errors
        return before

    def apply(self) -> bool:
        """Bring the change into force; tell whether a reload was all that was wanted, and was refused."""
        change = self.change
        refusal = self.reload(forward=True) if self.how in (changes.RELOAD, changes.LATER) else ""
        if refusal:
            self.row.said.append(f"reload refused: {refusal}")
        if self.how != changes.RELOAD:
            self.restart(forward=True)
        if self.how == changes.DECLARED:
            logins = change.who_after or change.who
            for label, holds in change.held.items():
                self.row.said += [f"declared: {each}" for each in declare(self.servers[0], logins[label], holds)]
        return bool(refusal) and self.how == changes.RELOAD

    def undo(self, before: Seen) -> str:
        """Undo the change in the way in which it was made; give what is missing then."""
        change = self.change
        refusal = self.reload(forward=False) if self.how == changes.RELOAD else ""
        if refusal:
            self.row.back = f"undoing by reload refused: {refusal}; "
        if refusal or self.how != changes.RELOAD:
            self.restart(forward=False)
        if change.recreate:
            said = declare(self.servers[0], change.who["a"], change.recreate, update=change.update_again)
            self.row.back += f"created again ({', '.join(said)}) and restarted: "
            self.restart(forward=False)
        undone = self.look("undone", forward=False, expected=before)
        gone = undone.lacks(before)
        if gone and self.how == changes.RELOAD:
            self.row.back += f"undone by reload: lacks {gone}; "
            self.restart(forward=False)
            undone = self.look("restarted", forward=False, expected=before)
            gone = undone.lacks(before)
        self.row.back += f"lacks {gone} (healthz {undone.healthz[:90]})" if gone else "all"
        if differs := undone.differs(before):
            self.row.back += f", other configuration: {differs}"
        return gone

    def tell(self, seen: Seen, lacks: str) -> None:
        self.row.said.append(f"lacks {lacks}" if lacks else "all there")
        self.row.said.append(seen.figures)
        self.row.said.append(f"healthz {seen.healthz[:90]}")
        self.row.said += [f"client: {each}" for each in seen.errors]
        if seen.refused:
            self.row.said.append(f"writes refused: {', '.join(seen.refused)[:120]}")
        self.row.said.append("log: " + (" / ".join(each[:110] for each in seen.log[:2]) or "nothing"))

    def write(self, server: Server, forward: bool) -> None:
        change = self.change
        if forward:
            server.write(change.before, change.after)
        elif self.changing and change.undone is not None:
            server.write(change.before, change.undone)
        else:
            server.write(change.before)

    def launch(self, servers: list[Server], *, forward: bool, first: bool = False) -> None:
        change = self.change
        for server in servers:
            if first:
                change.prepare(server.directory)
            self.write(server, forward)
        environment = change.environment
        if forward and change.environment_after is not None:
            environment = change.environment_after
        binary = BINARIES[(change.binary_after or change.binary) if forward else change.binary]
        for server in servers:
            server.start(binary, environment)
        for server in servers:
            if not server.wait():
                self.row.said.append("does not start" if forward else "UNDONE, does not start")

    def restart(self, *, forward: bool) -> None:
        self.marks = [server.mark() for server in self.changed]
        for server in self.changed:
            server.stop()
        for server in self.changed:
            (self.change.step if forward else self.change.step_back)(server.directory)
        self.launch(self.changed, forward=forward)
        if self.change.nodes > 1 and not forward:
            self.wait_for_health()

    def reload(self, *, forward: bool) -> str:
        self.marks = [server.mark() for server in self.changed]
        for server in self.changed:
            self.write(server, forward)
        return "; ".join(filter(None, [server.reload() for server in self.changed]))

    def wait_for_health(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and not all(each.healthz() == "ok" for each in self.servers):
            time.sleep(0.1)

    def look(self, word: str, *, forward: bool, expected: Seen | None = None, settle: float = 0.0) -> Seen:
        """Read all. settle: seconds to wait first, for what a server does after its start."""
        time.sleep(settle)
        logins = self.change.who_after if forward and self.change.who_after else self.change.who
        tries = CLUSTER_TRIES if self.change.nodes > 1 else 1
        for attempt in range(tries):
            if attempt:
                time.sleep(1)
            seen = digest(self.servers[0], logins, domain=self.change.domain)
            if not seen.errors and (expected is None or not seen.lacks(expected)):
                break
        if forward:
            seen.refused = digest(self.servers[0], logins, domain=self.change.domain, write=word).refused
        if forward and expected is not None:
            seen.healthz = "/".join(dict.fromkeys(each.healthz() for each in self.changed))
            if self.change.nodes > 1:
                seen.figures += f", changed node: {self.changed[-1].figures()}"
            seen.log = [
                line for server, mark in zip(self.changed, self.marks, strict=True) for line in server.log(mark)
            ]
        return seen


@pytest.fixture(scope="module")
def rows() -> Iterator[list[Row]]:
    found: list[Row] = []
    yield found
    print("\n\nchange | class | what the bare server did | after undoing | seconds")
    for row in found:
        print(row.text())
    print(f"{len(found)} trials, {sum(row.seconds for row in found):.0f} seconds in all")


# One of each kind, of those that take a second or less.
SAMPLE = {
    "cluster: name, listen, routes to nobody [restart]",
    "restart: a stream in memory [restart]",
    "restart: a mem_storage durable consumer on a file stream [restart]",
    "restart: a stream with first_seq, its first message still there [restart]",
    "accounts: users of $G moved into APP with jetstream [reload]",
    "accounts: APP (jetstream) declared, a user stays in $G [later]",
    "account max_file below reserved [later]",
    "max_file below held [restart]",
    "key added [restart]",
    "key removed [restart]",
    "store_dir: another directory [restart]",
    "store: an empty directory in its place [restart]",
    "jetstream removed [restart]",
    "2.10.7 -> 2.9.25: compressed [restart]",
    "domain changed [restart]",
    "server_name changed [restart]",
}

CASES = [
    pytest.param(
        change,
        how,
        expected,
        id=(name := f"{change.name} [{how}]"),
        marks=[pytest.mark.sample] if name in SAMPLE else [],
    )
    for change in changes.ALL
    for how, expected in change.classes.items()
]


@pytest.mark.parametrize(("change", "how", "expected"), CASES)
def test_change(change: Change, how: str, expected: str, tmp_path: Path, rows: list[Row]) -> None:
    if "/tmp/nats" in change.name:
        assert not DEFAULT_STORE.exists(), f"{DEFAULT_STORE} belongs to somebody"
    trial = Trial(change, how, tmp_path)
    started = time.monotonic()
    try:
        trial.row.found = trial.run()
    finally:
        for server in trial.servers:
            server.stop()
        trial.row.seconds = time.monotonic() - started
        rows.append(trial.row)
        if "/tmp/nats" in change.name:
            shutil.rmtree(DEFAULT_STORE, ignore_errors=True)
        if RESULTS:
            with Path(RESULTS).open("a") as results:
                verdict = "" if trial.row.found == expected else f"  <- expected {expected!r}"
                results.write(f"{trial.row.text()}{verdict}\n")
    assert trial.row.found == expected, trial.row.text()
