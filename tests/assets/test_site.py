# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What site.yml says of each danger, does where it is accepted, and brings back: by the digest of every message.

The rows are those of the table of changes; what the bare server does with each is tried in test_bare.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.tests.assets import changes
from ansible_collections.rosey.nats.tests.assets.binaries import VERSIONS
from ansible_collections.rosey.nats.tests.assets.changes import Change
from ansible_collections.rosey.nats.tests.assets.clients import Clients
from ansible_collections.rosey.nats.tests.assets.ground import (
    Hold,
    Login,
    Seen,
    Server,
    digest,
    fill,
    fill_in,
    lay_over,
)
from ansible_collections.rosey.nats.tests.integration.conftest import play_role, run_playbook


@dataclass(frozen=True)
class Row:
    """A danger as a deployment meets it.

    change: by its name in the table. word: what accepts it. back: what does not come back after accepting and rolling
    back, an empty text where all of it does. told: what the way back says of that.
    """

    change: str
    word: str
    back: str = ""
    told: str = ""
    sample: bool = False

    def of(self) -> Change:
        return next(each for each in changes.ALL if each.name == self.change)


IN_MEMORY = "what was in memory"
ROWS = (
    Row("cluster: name, listen, routes to nobody", "added_cluster"),
    Row("leafnodes: a remote for $SYS, will_extend", "added_cluster"),
    Row("restart: a stream in memory", "memory_assets", IN_MEMORY),
    Row("restart: a mem_storage durable consumer on a file stream", "memory_assets", IN_MEMORY),
    Row(
        "restart: a stream with first_seq, its first message still there",
        "first_sequence",
        "what the version itself empties whenever it starts",
        "which still has them",
    ),
    Row("accounts: users of $G moved into APP with jetstream", "other_account", sample=True),
    Row("accounts: APP (jetstream) declared, a user stays in $G", "other_account"),
    Row("accounts: APP renamed to SITE", "other_account"),
    Row("accounts: user moved from APP to BACK, both stay", "other_account"),
    Row("accounts: jetstream of APP removed, alone", "other_account"),
    Row("no_auth_user: to a user of APP (jetstream), anybody was in $G", "other_account"),
    Row("key removed", "other_key"),
    Row("key changed", "other_key"),
    Row("store_dir: another directory", "other_store"),
    Row("store: an empty directory in its place", "other_store"),
    Row("max_file below one stream's max_bytes", "smaller_store"),
    Row("account max_file below reserved", "smaller_store"),
    Row("jetstream.limits duplicate_window below a stream's", "smaller_limits"),
    Row("jetstream removed", "no_jetstream"),
    Row("2.10.7 -> 2.9.25: compressed", "older_version"),
)
# Nothing is said of these, and nothing is lost.
HARMLESS = (
    Row("domain added", ""),
    Row("key added", ""),
    Row("server_name changed", ""),
    Row("authorization added, nobody moves (stays in $G)", ""),
    Row("max_file below held", ""),
)
RUNS = int(os.environ.get("BUSY_RUNS", "3"))


@dataclass
class Told:
    """A line of the table."""

    change: str
    classes: str
    refused: str = ""
    accepted: str = ""
    back: str = ""
    seconds: float = 0.0
    lost_without_a_word: int = 0

    def text(self) -> str:
        return f"{self.change} | {self.classes} | {self.refused} | {self.accepted} | {self.back} | {self.seconds:.0f} s"


class Host:
    """A host of the process runtime, on which the role itself runs the server."""

    def __init__(self, directory: Path) -> None:
        self.server = Server(directory)
        (directory / "other").mkdir()
        self.directory = directory
        self._root = directory / "root"
        self._inventory = directory / "hosts.yml"
        self.server.base |= {"server_name": "host", "jetstream": {**self.server.base["jetstream"]}}

    def variables(self, *above: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        config = self.server.base
        for each in above:
            config = lay_over(config, fill_in(each, self.server.words))
        # what the role has by default, and is not meant here
        config = {**{name: None for name in ("jetstream",) if name not in config}, **config}
        return {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "bot_config_environment": "development",
            "bot_config_home": str(self._root / "no-bot"),
            "bot_config_runtime": "process",
            "bot_config_command": ["/bin/false"],
            "bot_config_owner": "",
            "bot_config_group": "",
            "nats_server_runtime": "process",
            "nats_server_install_method": "build",
            "nats_server_prefix": str(self._root),
            "nats_server_data_dir": str(self.directory / "store"),
            "nats_server_gate_wait": 4,
            "nats_server_gate_soak": 0,
            "nats_server_config": config,
            **more,
        }

    def play(self, *above: Mapping[str, Any], **more: Any) -> str:
        return play_role("here", self._inventory, self.variables(*above, **more))

    def roll_back(self, **more: Any) -> str:
        """Go back to the release before, with what the inventory has by now."""
        options = [f"--extra-vars={json.dumps({name: value})}" for name, value in more.items()]
        return run_playbook("playbooks/rollback.yml", self._inventory, *options)

    def see(self, logins: Mapping[str, Login]) -> Seen:
        return digest(self.server, logins)

    def stop(self) -> None:
        for pid_file in self.directory.rglob("nats-server.pid"):
            try:
                os.kill(int(pid_file.read_text()), signal.SIGINT)
            except (OSError, ValueError):
                continue


@pytest.fixture(scope="module")
def table() -> Iterator[list[Told]]:
    found: list[Told] = []
    yield found
    print("\n\nchange | on the bare server | site.yml | where it is accepted | after rolling back | seconds")
    for told in found:
        print(told.text())
    print(f"{sum(told.lost_without_a_word for told in found)} messages lost without a word that accepts it")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    found = Host(tmp_path)
    yield found
    found.stop()
    shutil.rmtree(tmp_path, ignore_errors=True)


def cases(rows: tuple[Row, ...]) -> list[Any]:
    marks = {True: [pytest.mark.sample], False: []}
    return [pytest.param(row, id=row.change, marks=marks[row.sample]) for row in rows]


def version_of(name: str) -> dict[str, str]:
    return {"nats_server_version": VERSIONS[name]}


def hold(host: Host, change: Change) -> Seen:
    """Deploy what was before, and put into it what is held."""
    change.prepare(host.directory)
    said = host.play(change.before, **version_of(change.binary))
    assert said.startswith("exit 0"), said
    for label, holds in change.held.items():
        fill(host.server, change.who[label], holds)
    # deployed again, these streams are known
    said = host.play(change.before, **version_of(change.binary))
    assert said.startswith("exit 0"), said
    before = host.see(change.who)
    assert before.messages
    return before


def sentence(said: str, word: str) -> str:
    """Give the refusal, of all that a run has said."""
    found = re.search(rf"[^\n]*Set nats_server_accept: \[{word}\][^\n]*", said)
    return found[0].strip().strip('",') if found else ""


def outcome(said: str) -> str:
    """Give in a few words how a run ended."""
    if said.startswith("exit 0"):
        return "deployed and proven"
    back = re.search(r"is back at release \S+", said)
    return "failed its gate, and went back" if back else "failed"


@pytest.mark.parametrize("row", cases(ROWS))
def test_a_danger_is_refused_and_what_was_accepted_comes_back(row: Row, host: Host, table: list[Told]) -> None:
    change, started = row.of(), time.monotonic()
    told = Told(change.name, "/".join(dict.fromkeys(change.classes.values())))
    table.append(told)
    before = hold(host, change)
    after = change.after or {"max_pending": 60_000_000}
    version = version_of(change.binary_after or change.binary)
    # what somebody does to the disk is there as the deployment begins
    change.step(host.server.directory)
    refused = host.play(change.before, after, **version)
    assert refused.startswith("exit 2"), refused
    told.refused = sentence(refused, row.word)
    assert told.refused, refused
    if change.step_back is not changes.same:
        change.step_back(host.server.directory)
    untouched = host.see(change.who)
    told.lost_without_a_word = len(before.messages) - len(untouched.messages)
    assert untouched.lacks(before) == ""

    change.step(host.server.directory)
    accepted = host.play(change.before, after, nats_server_accept=[row.word], **version)
    told.accepted = outcome(accepted)
    assert told.accepted != "failed", accepted
    if told.accepted == "deployed and proven":
        change.step_back(host.server.directory)
        rolled = host.roll_back(nats_server_accept=[row.word])
        assert rolled.startswith("exit 2" if row.told else "exit 0"), rolled
        assert row.told in rolled
    back = host.see(change.who).lacks(before)
    told.back = back or "all of it, by digest"
    told.seconds = time.monotonic() - started
    if row.back:
        told.back = f"{row.back}; {back}"
        assert back, "it is there all the same"
    else:
        assert back == "", accepted


@pytest.mark.parametrize("row", cases(HARMLESS))
def test_what_is_harmless_is_left_alone(row: Row, host: Host, table: list[Told]) -> None:
    change, started = row.of(), time.monotonic()
    told = Told(change.name, "/".join(dict.fromkeys(change.classes.values())))
    table.append(told)
    before = hold(host, change)
    said = host.play(change.before, change.after)
    assert said.startswith("exit 0"), said
    told.accepted = outcome(said)
    assert "nats_server_accept" not in said
    assert host.see(change.who_after or change.who).lacks(before) == ""
    rolled = host.roll_back()
    assert rolled.startswith("exit 0"), rolled
    told.back = host.see(change.who).lacks(before) or "all of it, by digest"
    told.seconds = time.monotonic() - started
    assert told.back.startswith("all")


def test_a_cluster_is_not_added_to_a_server_that_holds_streams(host: Host) -> None:
    """500 messages were deleted by this once, and every gate was green."""
    change = Row("cluster: name, listen, routes to nobody", "added_cluster").of()
    before = hold(host, change)
    refused = host.play(change.before, change.after)
    assert "cluster: added to a single server that holds 3 streams with 1500 messages" in refused
    assert host.see(change.who).lacks(before) == ""


def test_a_copy_serves_one_return_and_no_later_one(host: Host) -> None:
    """What was let go long since does not come back, and what is newer stays, when a later deployment fails."""
    change = Row("cluster: name, listen, routes to nobody", "added_cluster").of()
    before = hold(host, change)
    accepted = host.play(change.before, change.after, nats_server_accept=["added_cluster"])
    assert outcome(accepted) == "failed its gate, and went back"
    assert "brought back from" in accepted
    assert host.see(change.who).lacks(before) == ""
    Clients(host.server.port).once("STREAM.PURGE.PLAIN")
    Clients(host.server.port).once("STREAM.DELETE.COMPRESSED")
    fill(host.server, changes.ANYBODY, [Hold("NEW", messages=50, consumer=None)])
    left = host.see(change.who)
    failed = host.play({"max_pending": 60_000_000}, bot_config_gate="always", nats_server_accept=["gone_streams"])
    assert outcome(failed) == "failed its gate, and went back"
    assert "brought back" not in failed
    back = host.see(change.who)
    assert back.lacks(left) == ""
    assert len(back.messages) == len(left.messages)


def test_a_stream_that_somebody_deleted_is_named_until_that_is_accepted(host: Host) -> None:
    assert host.play().startswith("exit 0")
    fill(host.server, changes.ANYBODY, [changes.PLAIN, Hold("OTHER", messages=10, consumer=None)])
    assert host.play().startswith("exit 0")
    Clients(host.server.port).once("STREAM.DELETE.PLAIN")
    refused = host.play()
    assert "1 stream with 500 messages (PLAIN): gone, and the last proven state had them" in refused
    health = run_playbook("playbooks/health.yml", host.directory / "hosts.yml")
    assert health.startswith("exit 2")
    assert re.search(r"here \| streams +\| critical", health)
    accepted = host.play(nats_server_accept=["gone_streams"])
    assert accepted.startswith("exit 0"), accepted
    assert host.play().startswith("exit 0")


@pytest.mark.thorough
def test_deployments_under_busy_clients_find_nothing(host: Host) -> None:
    """Each run restarts the server, while streams age, drain, are published to and purged."""
    assert host.play().startswith("exit 0")
    with Clients(host.server.port) as clients:
        for number in range(RUNS):
            said = host.play({"max_pending": 60_000_000 + number})
            assert said.startswith("exit 0"), said
            assert "restart" in said
        assert clients.are_busy()
