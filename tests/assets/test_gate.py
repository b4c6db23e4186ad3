# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is taken away between a stop and the next start is named; what clients and streams do by themselves is not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._data import (
    asset_changes,
    asset_gate,
    asset_record,
    asset_watch,
)
from ansible_collections.rosey.nats.tests.assets.clients import Clients
from ansible_collections.rosey.nats.tests.assets.ground import ANYBODY, Hold, Server, fill

pytestmark = pytest.mark.sample

RunModule = Callable[..., dict[str, Any]]

TIMES = 1000
RESTARTS = 20
# Two blocks of the server's own size make it certain that half of the messages are in the first.
BLOCKS = Hold("BLOCKS", messages=600, size=20_000)
PLAIN = Hold("PLAIN")


class Host:
    """A server that the modules run, and a hand that does something whenever one is started."""

    def __init__(self, directory: Path, nats_server: Path, run_module: RunModule) -> None:
        self.server = Server(directory / "host")
        self.server.base["log_file"] = str(directory / "nats-server.log")
        self.server.base["server_name"] = "host"
        self.releases = directory / "releases"
        self.data = self.server.directory / "store" / "jetstream"
        self.streams = self.data / "$G" / "streams"
        self._run_module = run_module
        versions = directory / "lib"
        real, self._binary = versions / "real" / "nats-server", versions / "hand" / "nats-server"
        for path in (real, self._binary):
            path.parent.mkdir(parents=True)
        os.link(nats_server, real)
        self._real = real
        self.hand("")
        self.server.write()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.monitoring_port}"

    def hand(self, commands: str) -> None:
        """Have these commands done each time before the server starts."""
        self._binary.write_text(f'#!/bin/sh\n{commands}\nexec "{self._real}" "$@"\n')
        self._binary.chmod(0o755)

    def run(self, state: str) -> dict[str, Any]:
        result = self._run_module(
            "nats_process",
            binary=str(self._binary),
            config_file=str(self.server.config_file),
            pid_file=str(self.server.directory / "nats-server.pid"),
            release_dir=str(self.releases),
            monitoring_url=self.url,
            next_monitoring_url=self.url,
            log_file=str(self.server.base["log_file"]),
            data=str(self.data),
            state=state,
        )
        assert "failed" not in result, result
        return result

    def begin(self, *, anew: bool = True) -> None:
        asset_record.Book(self.releases).begin(asset_watch.look(self.url, self.data), anew=anew)

    def gate(self, **given: Any) -> dict[str, Any]:
        return self._run_module(
            "nats_gate",
            monitoring_url=self.url,
            config_file=str(self.server.config_file),
            release_dir=str(self.releases),
            deploying=True,
            data=str(self.data),
            wait=10,
            **given,
        )

    def known(self) -> set[str]:
        proven = asset_record.Book(self.releases).proven()
        return {stream.name for stream in proven.assets.in_order()} if proven else set()


@pytest.fixture
def host(tmp_path: Path, nats_server: Path, run_module: RunModule) -> Iterator[Host]:
    found = Host(tmp_path, nats_server, run_module)
    found.run("started")
    fill(found.server, ANYBODY, [PLAIN, BLOCKS])
    found.begin()
    assert found.gate()["passed"]
    yield found
    found.hand("")
    found.run("stopped")


def test_a_restart_that_loses_nothing_passes(host: Host) -> None:
    host.begin()
    host.run("restarted")
    gate = host.gate()
    assert gate["passed"]
    assert gate["findings"] == []
    seen = asset_record.Book(host.releases).checkpoint()
    assert seen.restored == {("$G", "PLAIN"): 500, ("$G", "BLOCKS"): 600}
    assert seen.settled
    assert host.known() == {"PLAIN", "BLOCKS"}


@pytest.mark.parametrize(
    ("hand", "expected"),
    [
        ('rm -r "{streams}/PLAIN"', ["stream PLAIN: expected with 500 messages, found none, gone by the restart"]),
        (
            'rm -r "{streams}/PLAIN/obs/reader"',
            ["consumer reader of stream PLAIN: expected acknowledged up to 60, found none, gone by the restart"],
        ),
        (
            'rm "{streams}/BLOCKS/msgs/1.blk"',
            ["stream BLOCKS: expected 2 files with its messages, found 1", "gone by the restart"],
        ),
        (
            'mkdir -p "{data}/APP" && mv "{data}/$G/streams" "{data}/APP/streams"',
            ["stream PLAIN: expected with 500 messages, found none", "stream BLOCKS: "],
        ),
        (
            'rm "{streams}/PLAIN/obs/reader/o.dat"',
            ["acknowledged up to 60, found acknowledged up to 0, lost by the restart"],
        ),
        (
            'rm -r "{streams}/PLAIN/msgs"',
            ["stream PLAIN: expected last sequence 500, found 0, lost by the restart"],
        ),
    ],
    ids=["stream", "consumer", "half of a stream", "another account", "acknowledgements", "all messages"],
)
def test_what_a_hand_takes_between_stop_and_start_is_named(host: Host, hand: str, expected: list[str]) -> None:
    host.begin()
    host.hand(hand.replace("{streams}", str(host.streams)).replace("{data}", str(host.data)).replace("$G", r"\$G"))
    host.run("restarted")
    gate = host.gate()
    assert gate["failed"]
    for said in expected:
        assert said in gate["msg"]
    # what was proven to be there stays known
    assert host.known() == {"PLAIN", "BLOCKS"}
    accepted = host.gate(accepted=["all"])
    # the server itself does not get over streams of an account that it does not have
    assert accepted["passed"] is not hand.startswith("mkdir")
    assert host.known() == {"PLAIN", "BLOCKS"}


def test_what_was_given_up_is_forgotten_and_nothing_else_excused(host: Host) -> None:
    Clients(host.server.port).once("STREAM.DELETE.PLAIN")
    host.begin()
    assert host.gate()["passed"]
    assert host.known() == {"PLAIN", "BLOCKS"}
    assert host.gate(accepted=["gone_streams"])["passed"]
    assert host.known() == {"BLOCKS"}
    host.begin()
    host.hand(f'rm -r "{host.streams}/BLOCKS"'.replace("$G", r"\$G"))
    host.run("restarted")
    assert "stream BLOCKS" in host.gate(accepted=["gone_streams", "first_sequence"])["msg"]


def test_a_damaged_record_stays_until_its_word_is_given(host: Host) -> None:
    record = host.releases / asset_record.PROVEN
    record.write_text("garbage")
    for words in ([], ["all"]):
        assert host.gate(accepted=words)["passed"]
        assert record.read_text() == "garbage"
    assert host.gate(accepted=["gone_streams"])["passed"]
    assert host.known() == {"PLAIN", "BLOCKS"}
    assert [kept.read_text() for kept in host.releases.glob("assets.json.damaged-*")] == ["garbage"]


def test_a_run_that_was_cut_off_after_its_restart_is_judged_by_the_next(host: Host) -> None:
    host.begin()
    host.hand(f'rm -r "{host.streams}/PLAIN/obs/reader"'.replace("$G", r"\$G"))
    host.run("restarted")
    host.begin(anew=False)
    assert "consumer reader of stream PLAIN" in host.gate()["msg"]


def test_a_reload_is_looked_at_in_the_same_way(host: Host) -> None:
    host.begin()
    host.server.write({"max_payload": 2_000_000})
    host.run("reloaded")
    assert host.gate()["findings"] == []
    host.begin()
    account = {"users": [{"user": "u", "password": "p"}], "jetstream": "enabled"}
    host.server.write({"authorization": None, "accounts": {"APP": account}, "jetstream": {"enabled": False}})
    host.run("reloaded")
    gate = host.gate()
    assert gate["failed"]
    assert "stream PLAIN: expected with 500 messages, found none, gone by the reload" in gate["msg"]


@pytest.mark.parametrize(
    ("clients", "severity"), [("delete", "error"), ("purge", "warning")], ids=["a stream deleted", "a stream purged"]
)
def test_what_somebody_does_before_the_stop_is_his_doing(host: Host, clients: str, severity: str) -> None:
    host.begin()
    Clients(host.server.port).once(f"STREAM.{clients.upper()}.PLAIN")
    host.run("restarted")
    gate = host.gate()
    (finding,) = gate["findings"]
    assert finding["what"] == "stream PLAIN"
    assert "by somebody else meanwhile" in finding["found"]
    assert finding["severity"] == severity
    assert gate.get("failed", False) is (severity == "error")


def test_what_lives_by_itself_is_never_a_loss(host: Host) -> None:
    """A stream that ages, queues that drain, interest, clients that publish and one that purges all the while."""
    book = asset_record.Book(host.releases)
    worst = []
    with Clients(host.server.port) as clients:
        for _time in range(TIMES):
            book.begin(asset_watch.look(host.url, host.data), anew=True)
            now = asset_watch.ask(host.url)
            worst += asset_gate.losses(book.checkpoint(), now, asset_changes.nothing_accepted)
        assert clients.are_busy()
    purged = [loss for loss in worst if loss.stream.name == "PURGED" and loss.consumer is None]
    assert [str(loss.finding) for loss in worst if loss not in purged] == []
    assert all(loss.finding.severity == "warning" for loss in purged)


def test_restarts_under_busy_clients_lose_what_the_server_itself_has_emptied_at_most(host: Host) -> None:
    """A server that ends while it writes a consumer's state leaves an empty file (2.10.7, consumerFileStore.Stop)."""
    emptied = host.server.directory / "emptied"
    host.hand(f'find "{host.streams}" -name o.dat -empty >"{emptied}"'.replace("$G", r"\$G"))
    with Clients(host.server.port) as clients:
        for _time in range(RESTARTS):
            host.begin()
            host.run("restarted")
            gate = host.gate()
            states = [Path(line) for line in emptied.read_text().splitlines()]
            lost = {f"consumer {state.parent.name} of stream {state.parents[2].name}" for state in states}
            assert {finding["what"] for finding in gate["findings"]} <= {"stream PURGED"} | lost, gate
            assert gate["passed"] or lost, gate
        assert clients.are_busy()


def test_a_directory_that_can_not_be_written_stops_nothing(host: Host) -> None:
    shutil.rmtree(host.releases)
    host.releases.write_text("a file")
    refused = host._run_module(
        "nats_process",
        binary=str(host._binary),
        config_file=str(host.server.config_file),
        pid_file=str(host.server.directory / "nats-server.pid"),
        release_dir=str(host.releases),
        state="restarted",
    )
    assert refused["failed"]
    assert host.server.healthz() == "ok"
    host.releases.unlink()
