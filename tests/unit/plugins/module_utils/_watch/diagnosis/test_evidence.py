# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import time

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._server import http_reader
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import evidence
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.evidence import Unit
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import NotSeenError


def entry(message: object, **changes: object) -> str:
    said = {"MESSAGE": message, "SYSLOG_IDENTIFIER": "nats-server", "_PID": "7", "__REALTIME_TIMESTAMP": "1500000"}
    return json.dumps({**said, **changes})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (entry("nats-server: unknown field"), "nats-server: unknown field"),
        (entry("Started nats.service", SYSLOG_IDENTIFIER="systemd"), None),
        (entry("Failed at step EXEC spawning /x", SYSLOG_IDENTIFIER="(s-server)"), "Failed at step EXEC spawning /x"),
        (entry("about to execute", SYSLOG_IDENTIFIER="(s-server)"), None),
        (entry("  "), None),
        (entry([1, 2]), None),
        (entry("of whom?", _PID=["6", "7"]), None),
        (entry("when?", __REALTIME_TIMESTAMP="today"), None),
        ("half a li", None),
        (entry("password: spoon"), "password: ********"),
    ],
)
def test_a_line_of_the_journal_is_of_the_process_itself(line: str, expected: str | None) -> None:
    assert evidence.read_journal_line(line) == (expected and evidence.Written("7", 1.5, expected))


@pytest.mark.parametrize(
    ("state", "writers", "seconds", "said"),
    [
        # the last attempt counts, and the one before where that has said nothing yet
        ("ActiveState=failed\nNRestarts=3\n", ["6", "7"], 5, ["of 7"]),
        ("ActiveState=active\nNRestarts=3\n", ["5", "6"], 5, ["of 6"]),
        ("ActiveState=active\nNRestarts=0\n", ["5", "6"], 5, []),
        ("ActiveState=active\nNRestarts=3\n", [], 5, []),
        # the last of all attempts has none, or what was said is of another time: it has run well since
        ("ActiveState=failed\nNRestarts=3\n", ["5", "6"], 5, []),
        ("ActiveState=active\nNRestarts=3\n", ["5", "6"], 600, []),
    ],
)
def test_the_last_words_of_a_service_that_is_started_again_and_again(
    state: str, writers: list[str], seconds: int, said: list[str]
) -> None:
    moment = str(int((time.time() - seconds) * 1e6))
    lines = "\n".join(entry(f"of {pid}", _PID=pid, __REALTIME_TIMESTAMP=moment) for pid in writers)

    def answer(command: list[str]) -> tuple[int, str, str]:
        return (0, f"{state}ExecMainPID=7\n" if command[0] == "systemctl" else lines, "")

    assert evidence.ask_systemd("nats", answer).said == tuple(said)


SHOWN = """ActiveState=failed
Result=exit-code
ExecMainPID=7
ExecStart={ path=/usr/bin/nats ; argv[]=/usr/bin/nats -c /etc/x.conf ; ignore_errors=no ; start_time=[n/a] }
MainPID=0
"""


def answer(command: list[str]) -> tuple[int, str, str]:
    return (0, SHOWN, "") if command[0] == "systemctl" else (0, f"{entry('last words')}\n{entry('x', _PID='6')}\n", "")


def test_systemd_is_asked_for_the_unit_and_the_journal_for_its_last_process() -> None:
    unit = evidence.ask_systemd("nats", answer)
    assert (unit["ActiveState"], unit.number("ExecMainPID"), unit["StateDirectory"], unit.number("Result")) == (
        "failed",
        7,
        "",
        0,
    )
    assert unit.command == ("/usr/bin/nats", "-c", "/etc/x.conf")
    assert unit.said == ("last words",)


def test_what_systemd_is_never_asked_for_is_no_property() -> None:
    with pytest.raises(KeyError, match="LimitNOFILE is none of _PROPERTIES"):
        evidence.ask_systemd("nats", answer)["LimitNOFILE"]


def test_a_unit_without_a_command_starts_nothing() -> None:
    assert Unit("nats", {}).command == ()


def no_systemctl(_command: list[str]) -> tuple[int, str, str]:
    return 1, "", "System has not been booted with systemd"


def no_journal(command: list[str]) -> tuple[int, str, str]:
    return (0, SHOWN, "") if command[0] == "systemctl" else (1, "", "No journal files were opened")


def test_a_systemd_that_does_not_answer_is_told() -> None:
    with pytest.raises(NotSeenError, match="not been booted"):
        evidence.ask_systemd("nats", no_systemctl)


def test_a_journal_that_can_t_be_read_keeps_nobody_from_the_unit() -> None:
    unit = evidence.ask_systemd("nats", no_journal)
    assert unit["Result"] == "exit-code"
    assert isinstance(unit.said, NotSeenError)
    assert "No journal files" in unit.said.why


def test_an_account_is_looked_up_or_not_there() -> None:
    found = evidence.account("root", "")
    assert found is not None
    assert (found.name, found.group, found.uid, 0 in found.groups) == ("root", "root", 0, True)
    assert evidence.account("nobody-of-that-name", "") is None
    assert evidence.account("root", "no-group-of-that-name") is None


@pytest.mark.parametrize(
    ("url", "has_requests", "why"),
    [
        (None, True, "http_port"),
        ("http://127.0.0.1:8222", False, "no requests"),
        ("ftp://127.0.0.1:8222", True, "http://"),
    ],
)
def test_a_server_that_can_t_be_asked_says_why(
    monkeypatch: pytest.MonkeyPatch, url: str | None, has_requests: bool, why: str
) -> None:
    monkeypatch.setattr(http_reader, "HAS_REQUESTS", has_requests)
    with pytest.raises(NotSeenError, match=why):
        evidence.monitor(url)
