# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.rosey.nats.playbooks.callback_plugins.report import CallbackModule as Unasked
from ansible_collections.rosey.nats.plugins.callback import report as module
from ansible_collections.rosey.nats.plugins.callback.report import CallbackModule
from ansible_collections.rosey.nats.plugins.plugin_utils import report_file
from ansible_collections.rosey.nats.tests.unit.example_runs import BOT_UNPROVEN, PLANNED, PROVEN, SECRET


class Playbook:
    """What Ansible tells a callback in the course of a run on two hosts."""

    def __init__(self, callback: CallbackModule) -> None:
        self.callback = callback
        self.shown: list[tuple[str, bool]] = []
        self.warnings: list[str] = []
        display = SimpleNamespace(
            display=lambda text, stderr=False: self.shown.append((text, stderr)), warning=self.warnings.append
        )
        callback._display = display

    def start(self, name: str = "site.yml", **extra_vars: Any) -> None:
        self.callback.v2_playbook_on_start(SimpleNamespace(_file_name=f"/somewhere/{name}"))
        manager = SimpleNamespace(
            extra_vars=extra_vars, get_vars=lambda play: {"ansible_play_hosts_all": ["here", "there"]}
        )
        play = SimpleNamespace(get_name=lambda: "Deploy", get_variable_manager=lambda: manager)
        self.callback.v2_playbook_on_play_start(play)

    def result(self, action: str, result: dict[str, Any], host: str = "here", *, is_ignored: bool = False) -> Any:
        return SimpleNamespace(
            _host=SimpleNamespace(get_name=lambda: host),
            _task=SimpleNamespace(action=action, resolved_action=f"rosey.nats.{action}", ignore_unreachable=is_ignored),
            _result=result,
            task_name="A task",
        )

    def end(self, **failures: int) -> None:
        stats = SimpleNamespace(
            processed={"here": 1, "there": 1}, summarize=lambda host: {"failures": failures.get(host, 0)}
        )
        self.callback.v2_playbook_on_stats(stats)


@pytest.fixture
def at_exit(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    found: list[Callable[[], None]] = []
    registry = SimpleNamespace(register=lambda function, *given: found.append(partial(function, *given)))
    monkeypatch.setattr(module, "atexit", registry)
    return found


@pytest.fixture
def playbook(at_exit: list[Callable[[], None]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Playbook:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(report_file.BEING_WRITTEN, "")
    return Playbook(CallbackModule())


@pytest.mark.parametrize("extra_vars", [{}, {"rosey_report": ""}, {"rosey_report": True}, {"rosey_report": None}])
def test_a_run_that_is_asked_for_none_is_left_alone(
    playbook: Playbook, at_exit: list[Callable[[], None]], extra_vars: dict[str, Any]
) -> None:
    playbook.start(**extra_vars)
    assert playbook.callback.disabled
    playbook.end()
    assert not at_exit
    assert not os.environ[report_file.BEING_WRITTEN]
    assert not list(Path.cwd().iterdir())


def test_the_page_is_there_from_the_begin(playbook: Playbook) -> None:
    playbook.start(rosey_report="r.html")
    text = Path("r.html").read_text()
    assert "The run has not ended" in text
    assert "there" in text
    assert os.environ[report_file.BEING_WRITTEN] == str(Path("r.html").absolute())


def test_the_page_at_the_end_has_what_happened(playbook: Playbook, at_exit: list[Callable[[], None]]) -> None:
    playbook.start(rosey_report="r.html")
    playbook.callback.v2_runner_on_ok(playbook.result("nats_plan", {**PLANNED, "changed": True}))
    playbook.callback.v2_runner_on_ok(playbook.result("nats_gate", PROVEN, "there"))
    playbook.callback.v2_runner_on_failed(playbook.result("bot_gate", BOT_UNPROVEN))
    playbook.end(here=1)
    text = Path("r.html").read_text()
    for told in ("Failed after a change", "14 of 15 proven", "expected a subscription that covers", "there has proven"):
        assert told in text, told
    assert SECRET not in text
    assert playbook.shown == [(f"Report: {Path('r.html').absolute()}", True)]
    at_exit[0]()
    assert Path("r.html").read_text() == text


def test_a_failure_that_is_ignored_is_none(playbook: Playbook) -> None:
    playbook.start(rosey_report="r.html")
    playbook.callback.v2_runner_on_failed(playbook.result("nats_release", {"msg": "full"}), ignore_errors=True)
    lost = playbook.result("nats_gate", {"msg": "no route"}, is_ignored=True)
    playbook.callback.v2_runner_on_unreachable(lost)
    playbook.callback.v2_runner_on_unreachable(playbook.result("nats_plan", {"msg": "no route"}, "there"))
    playbook.end()
    text = Path("r.html").read_text()
    assert "ignored" in text
    assert not re.search(r"\bhere could not be reached", text)
    assert "there could not be reached" in text


def test_a_run_that_is_cut_off_says_so(playbook: Playbook, at_exit: list[Callable[[], None]]) -> None:
    playbook.start(rosey_report="r.html")
    playbook.callback.v2_runner_on_ok(playbook.result("nats_plan", PLANNED))
    at_exit[0]()
    text = Path("r.html").read_text()
    assert "The run was cut off" in text
    assert "max_payload" in text
    assert not playbook.shown


def test_a_worker_writes_nothing(
    playbook: Playbook, at_exit: list[Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    playbook.start(rosey_report="r.html")
    Path("r.html").unlink()
    monkeypatch.setattr(os, "getpid", lambda: 1)
    at_exit[0]()
    assert not Path("r.html").exists()


def test_several_playbooks_have_one_report(playbook: Playbook, at_exit: list[Callable[[], None]]) -> None:
    playbook.start("site.yml", rosey_report="r.html")
    playbook.callback.v2_runner_on_ok(playbook.result("nats_plan", PLANNED))
    playbook.end()
    playbook.start("health.yml", rosey_report="r.html")
    assert "The run has not ended" in Path("r.html").read_text()
    playbook.end()
    text = Path("r.html").read_text()
    assert "max_payload" in text
    assert "site.yml, health.yml" in text
    assert len(at_exit) == 1


def test_what_keeps_it_from_being_written_is_a_warning(playbook: Playbook) -> None:
    playbook.start(rosey_report="away/r.html")
    playbook.callback.v2_runner_on_ok(playbook.result("nats_plan", PLANNED))
    playbook.end()
    path = Path("away/r.html").absolute()
    assert [warning.partition(":")[0] for warning in playbook.warnings] == [f"No report was written to {path}"] * 2
    assert all("No such file or directory" in warning for warning in playbook.warnings)
    assert not playbook.shown


def test_only_beside_the_playbooks_it_need_not_be_enabled() -> None:
    assert CallbackModule.CALLBACK_NEEDS_ENABLED
    assert not Unasked.CALLBACK_NEEDS_ENABLED
