# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import multiprocessing
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.plugin_utils import controller

FIRST = "pid:[4026531836]"
NODE = controller.name("ops", "machine", "boot", FIRST)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs."""
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def holder(pid: int, **other: Any) -> dict[str, Any]:
    return {"controller": str(controller.this()), "pid": pid, "started": controller.started(pid), **other}


def test_a_run_claims_as_itself() -> None:
    assert controller.claim(None) == {
        "controller": str(controller.this()),
        "pid": os.getpid(),
        "started": controller.started(os.getpid()),
        "user": controller.user(),
        "gone": None,
    }
    assert controller.started(os.getpid()).isdecimal()
    assert controller.claim(holder(os.getpid()))["gone"] is None


def test_a_run_names_who_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    account = controller.account_name(os.geteuid())
    # the account is the system's word, not that of the environment
    monkeypatch.setenv("LOGNAME", "anna")
    monkeypatch.setenv("SUDO_USER", "ben")
    assert controller.user() == f"ben (as {account})"


def test_a_worker_claims_for_the_run_that_forked_it() -> None:
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    worker = context.Process(target=lambda: queue.put(controller.claim(None)))
    worker.start()
    assert queue.get() == controller.claim(None)
    worker.join()


def test_a_process_that_runs_is_not_gone(sleeper: subprocess.Popen[bytes]) -> None:
    held = holder(sleeper.pid)
    assert controller.claim(held)["gone"] is None
    assert controller.claim({**held, "started": "1"})["gone"] == {"pid": sleeper.pid, "started": "1"}
    assert controller.claim({**held, "controller": "laptop-1-2", "started": "1"})["gone"] is None


def test_a_process_that_was_killed_is_gone(sleeper: subprocess.Popen[bytes]) -> None:
    held = holder(sleeper.pid)
    sleeper.kill()
    # Nobody has asked how it ended yet: its number is still taken.
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert Path("/proc", str(sleeper.pid)).exists()
    gone = {"pid": held["pid"], "started": held["started"]}
    assert controller.claim(held)["gone"] == gone
    sleeper.wait()
    assert controller.claim(held)["gone"] == gone


def test_a_process_that_can_not_be_looked_into_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", kill)
    assert controller.is_running(2**22 + 1, "100")


def test_a_process_of_an_earlier_boot_is_gone(sleeper: subprocess.Popen[bytes]) -> None:
    here = controller.this()
    held = holder(sleeper.pid, controller=f"{here.machine}-00000000")
    assert controller.is_gone(held, here)
    assert not controller.is_gone({**held, "controller": f"x{here.machine}-00000000"}, here)


@pytest.mark.parametrize(
    ("given", "same_machine", "same_boot"),
    [
        (("ops", "machine", "boot", FIRST), True, True),
        (("ops", "machine", "later", FIRST), True, False),
        (("laptop", "machine", "boot", FIRST), False, True),
        (("ops", "other", "boot", FIRST), False, True),
        (("ops", "machine", "boot", "pid:[4026532001]"), False, True),
    ],
)
def test_what_makes_a_machine(given: tuple[str, str, str, str], same_machine: bool, same_boot: bool) -> None:
    found = controller.name(*given)
    assert (found.machine == NODE.machine, found.boot == NODE.boot) == (same_machine, same_boot)
    assert "machine" not in str(found)


@pytest.mark.parametrize(("machine_id", "namespace"), [("", FIRST), ("machine", "pid:[4026532001]")])
def test_what_nothing_tells_apart_is_another_machine_after_a_boot(machine_id: str, namespace: str) -> None:
    before, after = (controller.name("ops", machine_id, boot, namespace) for boot in ("boot", "later"))
    assert before.machine != after.machine


def test_a_node_may_have_hyphens() -> None:
    here = controller.name("ops-1-eu", "machine", "boot", FIRST)
    held = {"controller": str(controller.name("ops-1-eu", "machine", "earlier", FIRST)), "pid": 1, "started": "1"}
    assert controller.is_gone(held, here)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "root"),
        ({"SUDO_USER": "alice"}, "alice (as root)"),
        ({"SUDO_USER": "root"}, "root"),
        ({"GITHUB_ACTOR": "octocat"}, "octocat (as root)"),
        ({"GITLAB_USER_LOGIN": "bob"}, "bob (as root)"),
        ({"SUDO_USER": " "}, "root"),
        ({"SUDO_USER": "a\nb {{ c }}"}, "a_b____c___ (as root)"),
        ({"GITHUB_ACTOR": "x" * 100}, f"{'x' * 64} (as root)"),
    ],
)
def test_who_deploys(environment: dict[str, str], expected: str) -> None:
    assert controller.user_of("root", environment) == expected


def test_an_account_without_a_name_is_its_number() -> None:
    assert controller.account_name(2**31 - 5) == str(2**31 - 5)
