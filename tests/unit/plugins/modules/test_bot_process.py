# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._host import background, process

RunModule = Callable[..., dict[str, Any]]


class Bot:
    """A program that listens on a port, as the bot's health endpoint does."""

    def __init__(self, directory: Path, port: int, run_module: RunModule) -> None:
        self.command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
        self.pid_file = directory / "bot.pid"
        self._run_module = run_module

    def run(self, state: str, **other: Any) -> dict[str, Any]:
        given = {"command": self.command, "pid_file": str(self.pid_file), **other}
        return self._run_module("bot_process", state=state, **given)

    def plan(self) -> dict[str, Any]:
        given = {"command": self.command, "pid_file": str(self.pid_file), "runtime": "process", "entries": []}
        return self._run_module("bot_plan", home=str(self.pid_file.parent), **given)

    def find(self) -> process.Process | None:
        return background.find(background.Bot(tuple(self.command), self.pid_file))


@pytest.fixture
def bot(tmp_path: Path, free_port: Callable[[], int], run_module: RunModule) -> Iterator[Bot]:
    made = Bot(tmp_path, free_port(), run_module)
    yield made
    made.run("stopped")


def test_a_bot_is_started_once(bot: Bot) -> None:
    first = bot.run("started")
    assert (first["changed"], first["action"]) == (True, "started")
    assert bot.pid_file.read_text() == f"{first['pid']}\n"
    second = bot.run("started")
    assert (second["changed"], second["action"], second["pid"]) == (False, "none", first["pid"])


def test_a_restart_is_another_process(bot: Bot) -> None:
    first = bot.run("restarted")
    second = bot.run("restarted")
    assert first["action"] == second["action"] == "restarted"
    assert first["pid"] != second["pid"]
    assert process.read(first["pid"]) is None


def test_a_stop_is_done_once(bot: Bot) -> None:
    bot.run("started")
    assert bot.run("stopped")["action"] == "stopped"
    assert bot.find() is None
    assert not bot.pid_file.exists()
    assert bot.run("stopped")["changed"] is False


@pytest.mark.parametrize("state", ["stopped", "restarted"])
def test_check_mode_predicts_and_does_nothing(bot: Bot, state: str) -> None:
    pid = bot.run("started")["pid"]
    assert bot.run(state, check_mode=True)["action"] == state
    running = bot.find()
    assert running is not None
    assert running.pid == pid


def test_check_mode_starts_nothing(bot: Bot) -> None:
    predicted = bot.run("started", check_mode=True)
    assert (predicted["changed"], predicted["pid"]) == (True, None)
    assert bot.find() is None


def test_a_leftover_pid_file_ends_no_other_process(bot: Bot) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        bot.pid_file.write_text(f"{other.pid}\n")
        # as an earlier bot's, whose number was given to this process since
        os.utime(bot.pid_file, (bot.pid_file.stat().st_mtime - 60,) * 2)
        assert bot.run("restarted")["pid"] != other.pid
        assert other.poll() is None
        other.terminate()


@pytest.mark.parametrize(
    ("state", "action", "goes_on"),
    [
        ("started", "restarted", True),
        ("restarted", "restarted", True),
        ("stopped", "stopped", False),
    ],
)
def test_another_command_leaves_no_second_bot(bot: Bot, state: str, action: str, *, goes_on: bool) -> None:
    before = bot.run("started")["pid"]
    assert bot.plan()["action"] == "nothing"
    bot.command = [*bot.command, "--directory", "/"]
    planned = bot.plan()
    assert (planned["action"], planned["reasons"], planned["service"]["pid"]) == (
        "restart",
        ["command: as it was started -> as described (restart)"],
        before,
    )
    assert bot.run(state, check_mode=True)["action"] == action
    assert process.read(before) is not None
    assert bot.run(state)["action"] == action
    assert process.read(before) is None
    assert (bot.find() is not None) is goes_on


def test_a_lost_pid_file_loses_no_bot(bot: Bot) -> None:
    pid = bot.run("started")["pid"]
    bot.pid_file.unlink()
    assert bot.run("started")["pid"] == pid


def test_a_bot_that_ends_at_once_is_said_with_its_last_words(bot: Bot) -> None:
    said = bot.run("started", command=[sys.executable, "-c", "raise SystemExit('no configuration')"])
    assert said["failed"]
    assert "ended with 1 while it started: no configuration" in said["msg"]
    assert not bot.pid_file.exists()


def test_a_program_that_is_not_there_is_named(bot: Bot) -> None:
    said = bot.run("started", command=["/nowhere/python", "-m", "rosey_bot"])
    assert said["msg"] == "/nowhere/python can't be executed: No such file or directory"


def test_a_place_for_the_pid_file_that_is_missing_leaves_no_process(bot: Bot, tmp_path: Path) -> None:
    said = bot.run("started", pid_file=str(tmp_path / "nowhere" / "bot.pid"), output=str(tmp_path / "out"))
    assert "pid_file" in said["msg"]
    assert bot.find() is None
