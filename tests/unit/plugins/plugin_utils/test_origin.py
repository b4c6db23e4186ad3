# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import multiprocessing
import os
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ansible import constants

from ansible_collections.rosey.nats.plugins.module_utils._deploy import history
from ansible_collections.rosey.nats.plugins.plugin_utils import origin

URL = "https://deployer:correct-horse@git.example.org/inventory.git"


@pytest.fixture(autouse=True)
def run_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that ansible-playbook makes for each run, and takes away in the end."""
    directory = tmp_path / "ansible-local"
    directory.mkdir()
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(directory))
    return directory


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """An inventory that is committed, in a repository with a remote that has a password in its address."""
    directory = tmp_path / "repository/inventories/production"
    directory.mkdir(parents=True)
    (directory / "hosts.yml").write_text("rosey:\n")
    (directory.parents[1] / ".gitignore").write_text("ignored\n*.pyc\n")
    git(directory.parents[1], "init", "-q", ".")
    git(directory, "remote", "add", "origin", URL)
    save(directory)
    return directory


def git(directory: Path, *arguments: str) -> str:
    own = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *own, "-C", directory, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def save(directory: Path) -> None:
    top = git(directory, "rev-parse", "--show-toplevel")
    git(Path(top), "add", "-A")
    git(Path(top), "commit", "-q", "-m", "x")


def edit(directory: Path) -> None:
    (directory / "hosts.yml").write_text("rosey: {}\n")


def add(directory: Path) -> None:
    (directory / "group_vars").mkdir()
    (directory / "group_vars/rosey.yml").write_text("---\n")


def edit_another(directory: Path) -> None:
    (directory.parent / "other.yml").write_text("---\n")


def add_ignored(directory: Path) -> None:
    (directory / "plugin.pyc").write_text("")


@pytest.mark.parametrize(
    ("change", "mark"), [(lambda _directory: None, ""), (edit, "+"), (add, "+"), (edit_another, ""), (add_ignored, "")]
)
def test_the_commit_is_that_of_the_inventory(inventory: Path, change: Callable[[Path], None], mark: str) -> None:
    change(inventory)
    assert origin.commit(inventory) == git(inventory, "rev-parse", "HEAD") + mark


def test_a_file_that_a_filter_encrypts_is_no_change(inventory: Path) -> None:
    git(inventory, "config", "filter.crypt.clean", "tr a-z n-za-m")
    git(inventory, "config", "filter.crypt.smudge", "tr a-z n-za-m")
    (inventory / ".gitattributes").write_text("secret.yml filter=crypt\n")
    (inventory / "secret.yml").write_text("password: x\n")
    save(inventory)
    assert git(inventory, "show", "HEAD:./secret.yml") == "cnffjbeq: k"
    # as by a copy: its contents are looked at
    os.utime(inventory / "secret.yml", (1, 1))
    assert origin.commit(inventory) == git(inventory, "rev-parse", "HEAD")


def test_no_monitor_of_files_is_started(inventory: Path, tmp_path: Path) -> None:
    traces = tmp_path / "traces"
    git(inventory, "config", "core.fsmonitor", f"touch {traces}; false")
    assert origin.commit(inventory)
    assert not traces.exists()


def no_directory(inventory: Path) -> Path:
    return inventory / "gone"


def no_repository(inventory: Path) -> Path:
    return inventory.parents[2]


def no_commit(inventory: Path) -> Path:
    directory = inventory.parents[2] / "new"
    directory.mkdir()
    git(directory, "init", "-q", ".")
    return directory


def bare(inventory: Path) -> Path:
    directory = inventory.parents[2] / "bare.git"
    git(inventory, "clone", "-q", "--bare", str(inventory.parents[1]), str(directory))
    return directory


def ignored(inventory: Path) -> Path:
    directory = inventory / "ignored"
    directory.mkdir()
    (directory / "hosts.yml").write_text("---\n")
    return directory


def broken(inventory: Path) -> Path:
    (inventory.parents[1] / ".git/HEAD").write_text("rubbish")
    return inventory


@pytest.mark.parametrize("make", [no_directory, no_repository, no_commit, bare, ignored, broken])
def test_there_may_be_no_commit(inventory: Path, make: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(inventory.parents[3]))
    assert origin.commit(make(inventory)) == ""


@pytest.mark.parametrize("script", [None, "exit 128", "echo '# branch.oid (initial)'", "echo rubbish", "kill -9 $$"])
def test_git_may_be_missing_or_refuse(
    inventory: Path, script: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "bin"
    directory.mkdir()
    if script is not None:
        (directory / "git").write_text(f"#!/bin/sh\n{script}\n")
        (directory / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(directory))
    assert origin.commit(inventory) == ""


def test_a_git_that_hangs_is_not_waited_for(inventory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(origin, "_GIT_SECONDS", 0.1)
    assert origin.commit(inventory) == ""


def test_a_hook_does_not_lead_git_to_another_repository(inventory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = origin.commit(inventory)
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert origin.commit(inventory) == expected != ""


def test_a_run_is_one_for_all_its_processes(inventory: Path, run_directory: Path) -> None:
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    workers = [
        context.Process(target=lambda: queue.put(origin.of_this_run("", str(inventory)))) for _number in range(4)
    ]
    for worker in workers:
        worker.start()
    found = [queue.get() for _worker in workers]
    for worker in workers:
        worker.join()
    assert [*found] == [found[0]] * 4
    assert re.fullmatch(r"run-\d{8}T\d{6}Z-[0-9a-f]{6}", found[0]["run"])
    assert history.name_problem(found[0]["run"]) == ""
    # what was looked at once is not looked at again
    edit(inventory)
    assert origin.of_this_run("", str(inventory)) == found[0]
    assert len([*run_directory.iterdir()]) == 2
    assert "correct-horse" not in "".join(path.read_text() for path in run_directory.iterdir())


def test_a_name_that_was_given_counts(inventory: Path) -> None:
    found = origin.of_this_run("deploy-4711", "")
    assert (found["run"], found["commit"]) == ("deploy-4711", "")
    assert found["process"] == origin.of_this_run("", "")["process"]


def test_a_run_without_a_directory_of_its_own_has_a_name_all_the_same(run_directory: Path, inventory: Path) -> None:
    run_directory.rmdir()
    assert origin.of_this_run("", str(inventory))["run"].startswith("run-")


def test_names_sort_by_time() -> None:
    early, late = (origin.made_name(datetime(2026, 1, day, tzinfo=UTC), "ffffffffffff") for day in (9, 10))
    assert early < late
