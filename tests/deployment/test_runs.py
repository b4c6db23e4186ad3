# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who deployed what to two hosts, and how both go back to the same point: the tests are one story, in order."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file
from ansible_collections.rosey.nats.tests.integration.conftest import (
    Deployment,
    free_ports,
    merged,
    run_playbook,
    stop_all,
)
from ansible_collections.rosey.nats.tests.sampling import sampled

# molecule/rollback/tests/test_batch.py has three hosts that go back together
pytestmark = pytest.mark.thorough

ROLLBACK = "playbooks/rollback.yml"
# Of a remote that a password belongs to, which nobody shall see.
URL = "https://deployer:correct-horse@git.example.org/inventory.git"


class Fleet:
    """Two hosts, and their inventory in a repository."""

    def __init__(self, directory: Path) -> None:
        self.inventory = directory / "inventory/hosts.yml"
        self.inventory.parent.mkdir()
        self.hosts = {name: Deployment(directory / name, *free_ports(3)) for name in ("web1", "web2")}
        self.git("init", "-q", ".")
        self.git("remote", "add", "origin", URL)

    def git(self, *arguments: str) -> str:
        own = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
        command = ["git", *own, "-C", str(self.inventory.parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def describe(self, limits: dict[str, int]) -> None:
        """Write the inventory. limits: the clients that each host may have."""
        local = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "bot_config_gate": "never",
        }
        hosts = {
            name: merged(host.variables, {"nats_server_config": {"max_connections": limits[name]}}) | local
            for name, host in self.hosts.items()
        }
        self.inventory.write_text(json.dumps({"rosey": {"hosts": hosts}}))

    def commit(self) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "x")
        return self.git("rev-parse", "HEAD")

    def deploy(self, limits: dict[str, int], run: str, *options: str) -> str:
        self.describe(limits)
        return self.play("site.yml", "-e", f"rosey_run={run}", *options)

    def rollback(self, to: str, *options: str) -> str:
        return self.play(ROLLBACK, "-e", f"rollback_to={to}", *options)

    def play(self, playbook: str, *options: str) -> str:
        return run_playbook(playbook, self.inventory, *options, environment={"GITHUB_ACTOR": "octocat"})

    def limits(self) -> list[int]:
        return [host.varz()["max_connections"] for host in self.hosts.values()]

    def records(self, name: str) -> list[dict[str, Any]]:
        """Give what a host has of releases, the oldest first."""
        directory = self.hosts[name].directory / "root/var/lib/rosey-nats/releases"
        return [atomic_file.read(path) for path in sorted(directory.glob("*.json"))]

    def state(self) -> list[Any]:
        """Tell whether anything was done to a host."""
        return [
            (
                host.files(),
                host.varz()["config_load_time"],
                host.varz()["start"],
                self.records(name),
                self.current(name),
            )
            for name, host in self.hosts.items()
        ]

    def current(self, name: str) -> str:
        return (self.hosts[name].directory / "root/var/lib/rosey-nats/current").read_text().strip()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two hosts that two runs have deployed both, and a third one of them."""
    directory = tmp_path_factory.mktemp("fleet")
    made = Fleet(directory)
    try:
        for host in made.hosts.values():
            host.directory.mkdir()
        made.describe({"web1": 51, "web2": 51})
        made.commit()
        for run, limits in (("deploy-1", (51, 51)), ("deploy-2", (52, 52)), ("deploy-3", (53, 52))):
            said = made.deploy({"web1": limits[0], "web2": limits[1]}, run)
            assert said.startswith("exit 0"), said
            # so that times differ
            time.sleep(1.1)
        assert made.limits() == [53, 52]
        yield made
    finally:
        stop_all(directory)


def told(said: str) -> str:
    return " ".join(said.split())


def test_a_release_says_who_deployed_it(fleet: Fleet) -> None:
    first, second, third = (record["origin"] for record in fleet.records("web1"))
    commit = fleet.git("rev-parse", "HEAD")
    assert [each["run"] for each in (first, second, third)] == ["deploy-1", "deploy-2", "deploy-3"]
    assert first["commit"] == commit
    # the inventory was written anew since
    assert second["commit"] == f"{commit}+"
    assert re.fullmatch(r"octocat \(as \S+\)", first["user"])
    # one run has one process, whatever the host
    assert [record["origin"] for record in fleet.records("web2")] == [first, second]
    assert "correct-horse" not in json.dumps([*fleet.records("web1"), *fleet.records("web2")])


def test_all_of_it_is_listed(fleet: Fleet, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    said = fleet.rollback("list", "-e", f"rosey_report={page}")
    commit = fleet.git("rev-parse", "HEAD")[:12]
    found = re.findall(
        rf"deploy-2, by octocat \(as \S+\), from \S+, inventory {commit} with uncommitted changes", told(said)
    )
    assert len(found) == 2, said
    assert all(len(each) <= 120 for each in found)
    assert "deploy-2, by octocat" in page.read_text()
    assert "correct-horse" not in said + page.read_text()


def test_a_host_that_lacks_the_run_keeps_all_from_going_back(fleet: Fleet) -> None:
    before = fleet.state()
    for options in (["--check"], ["-e", "rosey_serial=1"]):
        said = fleet.rollback("deploy-3", *options)
        assert said.startswith("exit 2"), said
        assert "rollback_to: deploy-3: 1 of 2 hosts can't go there. Nothing was touched." in said
        assert "web2: it has no release of the run deploy-3; its last ones are deploy-2, deploy-1" in told(said)
        assert f"web1: would go to {fleet.current('web1')} of deploy-3, " in told(said)
        assert fleet.state() == before


def test_previous_does_not_mix_what_runs_deployed(fleet: Fleet) -> None:
    before = fleet.state()
    # also where no batch has more than one of them
    said = fleet.play(ROLLBACK, "-e", "rosey_serial=1")
    assert said.startswith("exit 2"), said
    assert f"web1: {fleet.records('web1')[1]['id']} of deploy-2" in said
    assert f"web2: {fleet.records('web2')[0]['id']} of deploy-1" in said
    assert "Name the run, such as -e rollback_to=deploy-2, " in told(said)
    accepted = fleet.play(ROLLBACK, "--check", "-e", '{"release_accept": ["mixed_runs"]}')
    assert accepted.startswith("exit 0"), accepted
    alone = fleet.play(ROLLBACK, "--check", "--limit", "web1")
    assert alone.startswith("exit 0"), alone
    assert fleet.state() == before


@pytest.mark.parametrize(
    ("wanted", "expected"),
    sampled(
        [
            ("2026-01-01", "2026-01-01 is no time that means the same everywhere"),
            ("2999-01-01T00:00:00Z", "2999-01-01T00:00:00Z is yet to come"),
            ("2020-01-01T00:00:00Z", "it had no release at 2020-01-01T00:00:00Z that is known: the oldest, "),
            ("not/a-run", "not/a-run is no release of this host"),
        ],
        2,
    ),
)
def test_a_point_that_no_host_has_is_named(fleet: Fleet, wanted: str, expected: str) -> None:
    before = fleet.state()
    said = fleet.rollback(wanted)
    assert said.startswith("exit 2"), said
    assert f"rollback_to: {wanted}: 2 of 2 hosts can't go there. Nothing was touched." in said
    assert f"- web1: {expected}" in told(said)
    assert f"- web2: {expected}" in told(said)
    assert fleet.state() == before


def test_an_id_of_another_host_leads_to_its_run(fleet: Fleet) -> None:
    before = fleet.state()
    wanted = fleet.records("web1")[0]["id"]
    said = fleet.rollback(wanted)
    assert said.startswith("exit 2"), said
    assert f"web2: {wanted} is no release of this host" in told(said)
    assert "An id is of one host; name its run, -e rollback_to=deploy-1" in told(said)
    assert fleet.state() == before


def test_a_name_is_that_of_one_run(fleet: Fleet) -> None:
    before = fleet.state()
    for run, expected in (("deploy-1", "is the name of another run"), ("a/b", "expected up to 64 letters")):
        said = fleet.deploy({"web1": 59, "web2": 59}, run, "--check")
        assert said.startswith("exit 2"), said
        assert f"rosey_run: {run if run == 'deploy-1' else repr(run)}" in told(said)
        assert expected in told(said)
    assert fleet.state() == before


def test_both_go_back_by_a_run(fleet: Fleet) -> None:
    untouched = fleet.state()[1]
    said = fleet.rollback("deploy-2", "-e", "rosey_run=back-to-2", "-e", "rosey_serial=1")
    assert said.startswith("exit 0"), said
    assert fleet.limits() == [52, 52]
    # who has it already is left alone
    assert fleet.state()[1] == untouched
    listed = told(fleet.rollback("list", "--limit", "web1"))
    assert re.search(r"gone back to at \S+Z, back-to-2, by octocat ", listed)
    # by now both would go back to what the first one deployed
    assert fleet.play(ROLLBACK, "--check").startswith("exit 0")


def test_both_go_back_by_a_time(fleet: Fleet) -> None:
    time.sleep(1.1)
    said = fleet.deploy({"web1": 54, "web2": 54}, "deploy-4")
    assert said.startswith("exit 0"), said
    assert fleet.limits() == [54, 54]
    first = max(fleet.records(name)[0]["time"] for name in fleet.hosts)
    said = fleet.rollback(first)
    assert said.startswith("exit 0"), said
    assert fleet.limits() == [51, 51]
    # what each had before that was of different runs, and a way back of its own
    third = datetime.fromisoformat(fleet.records("web1")[2]["time"]).astimezone(UTC)
    said = fleet.rollback(third.isoformat())
    assert said.startswith("exit 0"), said
    assert fleet.limits() == [53, 52]


def test_a_host_is_damaged_there(fleet: Fleet) -> None:
    identity = fleet.records("web2")[0]["id"]
    path = fleet.hosts["web2"].directory / f"root/var/lib/rosey-nats/releases/{identity}.json"
    kept = path.read_text()
    path.write_text("{}")
    try:
        said = fleet.rollback(max(record["time"] for record in fleet.records("web1")[:1]))
        assert said.startswith("exit 2"), said
        assert f"web2: {identity} is damaged" in told(said)
        assert fleet.limits() == [53, 52]
    finally:
        path.write_text(kept)


def test_a_run_that_nobody_named_has_a_name(fleet: Fleet) -> None:
    fleet.describe({"web1": 55, "web2": 55})
    commit = fleet.commit()
    said = fleet.play("site.yml")
    assert said.startswith("exit 0"), said
    origins = [fleet.records(name)[-1]["origin"] for name in fleet.hosts]
    assert origins[0] == origins[1]
    assert re.fullmatch(r"run-\d{8}T\d{6}Z-[0-9a-f]{6}", origins[0]["run"])
    assert origins[0]["commit"] == commit
    assert said.count(f"'run: {origins[0]['run']}, by octocat ") == 2
