# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.filter.report_problem import FilterModule
from ansible_collections.rosey.nats.plugins.plugin_utils import report_file

problem = FilterModule().filters()["report_problem"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("", "rosey_report is ''; expected the path of a file"),
        (True, "rosey_report is True; expected the path of a file"),
        (".", "rosey_report is ., which is a directory"),
        ("nowhere/report.html", "expected a directory, found no "),
        ("file/report.html", "expected a directory, found no "),
        ("report.html", "rosey_report is report.html, and nothing writes it"),
    ],
)
def test_a_report_that_can_not_be_written(
    asked: Any, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(report_file.BEING_WRITTEN, raising=False)
    Path("file").touch()
    assert said in problem(asked)


def test_a_directory_that_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # root may write anywhere
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert f"found {tmp_path} closed to you" in problem(str(tmp_path / "report.html"))


def test_a_report_that_is_written_by_this_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(report_file.BEING_WRITTEN, str(tmp_path / "report.html"))
    assert problem("report.html") is None
    assert problem(str(tmp_path / "report.html")) is None
    assert "nothing writes it" in problem("other.html")
