# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._host import service
from ansible_collections.rosey.nats.plugins.module_utils._host.unit_file import Setting

UNIT = {
    "LoadState": "loaded",
    "UnitFileState": "enabled",
    "MainPID": "0",
    "ActiveState": "inactive",
    "SubState": "dead",
    "NRestarts": "0",
    "NeedDaemonReload": "no",
}


def look_up(root: Path = Path("/nowhere"), **changes: str) -> service.Service:
    """Look a service up that systemd shows with these changes."""
    shown = "".join(f"{name}={value}\n" for name, value in {**UNIT, **changes}.items())
    return service.look_up("nats", lambda _command: (0, shown, ""), root)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, service.Service(exists=True, enabled=True, running=None)),
        ({"UnitFileState": "enabled-runtime"}, service.Service(exists=True, enabled=True, running=None)),
        ({"UnitFileState": "disabled"}, service.Service(exists=True, enabled=False, running=None)),
        (
            {"LoadState": "not-found", "UnitFileState": ""},
            service.Service(exists=False, enabled=False, running=None),
        ),
        (
            {"ActiveState": "failed", "SubState": "failed"},
            service.Service(exists=True, enabled=True, running=None, failing=True),
        ),
        (
            {"ActiveState": "activating", "SubState": "auto-restart"},
            service.Service(exists=True, enabled=True, running=None, failing=True),
        ),
        (
            {"ActiveState": "activating", "SubState": "start-pre", "NRestarts": "1"},
            service.Service(exists=True, enabled=True, running=None, failing=True),
        ),
        ({"NeedDaemonReload": "yes"}, service.Service(exists=True, enabled=True, running=None, unread=True)),
        (
            {"ActiveState": "activating", "SubState": "start"},
            service.Service(exists=True, enabled=True, running=None),
        ),
    ],
)
def test_a_unit_is_read(changes: dict[str, str], expected: service.Service) -> None:
    assert look_up(**changes) == expected


def test_its_process_is_found() -> None:
    found = look_up(MainPID=str(os.getpid()), ActiveState="active", SubState="running")
    assert found.running is not None
    assert found.running.pid == os.getpid()


def test_a_systemd_that_does_not_answer_is_told() -> None:
    with pytest.raises(service.ServiceError, match="systemctl does not answer: no bus"):
        service.look_up("nats", lambda _command: (1, "", "no bus\n"))


class Systemd:
    """Answers as systemctl and journalctl do."""

    def __init__(self, *states: tuple[str, int], journal: str = "") -> None:
        self.states, self.journal = iter(states), journal
        self.read: Sequence[str] = ()

    def __call__(self, words: Sequence[str]) -> tuple[int, str, str]:
        if words[0] == "journalctl":
            self.read = words
            return 0, self.journal, ""
        state, restarts = next(self.states)
        return 0, f"ActiveState={state}\nNRestarts={restarts}\nExecMainStartTimestamp=@{1000 + restarts}\n", ""


@pytest.mark.parametrize(
    ("states", "hopeless"),
    [
        ([("active", 0)], [False]),
        ([("failed", 0)], [True]),
        ([("activating", 0), ("activating", 1), ("active", 2)], [False, False, True]),
        # what was long ago does not count
        ([("active", 7), ("active", 8), ("active", 9)], [False, False, True]),
    ],
)
def test_a_service_that_ends_again_and_again_is_hopeless(states: list[tuple[str, int]], hopeless: list[bool]) -> None:
    attempts = service.Attempts("nats", Systemd(*states))
    assert [attempts.is_hopeless() for _look in states] == hopeless


def test_where_systemd_does_not_answer_there_is_hope() -> None:
    assert not service.Attempts("nats", lambda _words: (1, "", "no bus")).is_hopeless()


def test_what_an_earlier_failure_wrote_is_not_told() -> None:
    systemd = Systemd(("activating", 3), ("activating", 4), ("activating", 5))
    attempts = service.Attempts("nats", systemd)
    while not attempts.is_hopeless():
        pass
    attempts.last_words()
    assert "--since=@1003" in systemd.read


def test_no_secret_of_the_journal_is_shown() -> None:
    said = "nats-server: lame duck grace period\nerror parsing route url nats://rosey:hunter2@h:1\n"
    words = service.Attempts("nats", Systemd(journal=said)).last_words()
    assert words.startswith("nats-server: lame duck")
    assert "hunter2" not in words


def test_what_a_service_is_made_of_is_read(tmp_path: Path) -> None:
    unit = tmp_path / "etc/systemd/system/nats.service"
    drop_in = tmp_path / "etc/systemd/system/nats.service.d/override.conf"
    drop_in.parent.mkdir(parents=True)
    unit.write_text("[Service]\nUser=nats\n")
    drop_in.write_text("[Service]\nUser=root\n")
    found = look_up(tmp_path)
    assert found.unit == (Setting("Service", "User", "nats", str(unit)),)
    assert found.drop_ins == (Setting("Service", "User", "root", str(drop_in)),)


def test_a_mask_that_systemd_has_not_read_yet_counts(tmp_path: Path) -> None:
    unit = tmp_path / "etc/systemd/system/nats.service"
    unit.parent.mkdir(parents=True)
    unit.symlink_to("/dev/null")
    assert look_up(tmp_path).masked == str(unit)
    assert look_up(LoadState="masked", FragmentPath="/run/nats.service").masked == "/run/nats.service"


# systemd 252, as it wrote it into the journal
BAD = """\
Started nats.service - NATS server.
nats.service: Main process exited, code=exited, status=1/FAILURE
nats.service: Failed with result 'exit-code'.
nats.service: Service has more than one ExecStart= setting, which is only allowed for Type=oneshot services. Refusing.
"""
NOT_APPLIED = """\
Starting nats-trial-7.service - /bin/true...
Failed to attach 56 to compat systemd cgroup /system.slice/nats-trial-7.service: No such file or directory
{unit}: Failed to set up user namespacing: No such file or directory
{unit}: Failed at step USER spawning /bin/true: No such file or directory
{unit}: Main process exited, code=exited, status=217/USER
{unit}: Failed with result 'exit-code'.
Failed to start {unit} - /bin/true.
"""


@pytest.mark.parametrize(
    ("journal", "expected"),
    [
        (BAD, "than one ExecStart= setting, which is only allowed for Type=oneshot services. Refusing."),
        ("", 'BadUnitSetting "Unit nats.service has a bad unit file setting."'),
    ],
)
def test_a_unit_that_systemd_can_not_use_is_told_in_its_words(journal: str, expected: str) -> None:
    error = 'LoadError=org.freedesktop.systemd1.BadUnitSetting "Unit nats.service has a bad unit file setting."\n'
    shown = "".join(f"{name}={value}\n" for name, value in {**UNIT, "LoadState": "bad-setting"}.items()) + error

    def answer(words: Sequence[str]) -> tuple[int, str, str]:
        return 0, journal if words[0] == "journalctl" else shown, ""

    assert service.look_up("nats", answer).broken.endswith(expected)


class Trier:
    """Answers as systemd-run and journalctl do. fails: the setting that can't be applied."""

    def __init__(self, fails: str = "", unknown: str = "", journal: str = NOT_APPLIED, error: str = "") -> None:
        self.fails, self.unknown, self.journal, self.error = fails, unknown, journal, error
        self.unit = ""
        self.given: list[str] = []

    def __call__(self, words: Sequence[str]) -> tuple[int, str, str]:
        if words[0] == "journalctl":
            return 0, self.journal.format(unit=self.unit), ""
        self.given = [word.removeprefix("--property=") for word in words if word.startswith("--property=")]
        self.unit = next(word for word in words if word.startswith("--unit=")).removeprefix("--unit=")
        if self.unknown in self.given:
            return 1, "", f"Unknown assignment: {self.unknown}\n"
        return 217 if self.fails in self.given else 0, "", self.error


def test_a_trial_gives_the_words_of_systemd() -> None:
    trier = Trier("PrivateUsers=true")
    trial = service.Trial("nats", trier)
    assert trial(["PrivateTmp=true"]) == ""
    assert trial(["PrivateUsers=true"]) == (
        "Failed to set up user namespacing: No such file or directory; Failed at step USER spawning /bin/true: No such "
        "file or directory; Main process exited, code=exited, status=217/USER"
    )
    assert trier.given == ["User=nobody", "PrivateUsers=true"]


def test_without_a_journal_the_step_is_told() -> None:
    assert service.Trial("nats", Trier("A=b", journal=""))(["A=b"]) == "status=217/USER"


def test_a_setting_that_an_older_systemd_does_not_know_is_left_out() -> None:
    trier = Trier(unknown="PrivateIPC=true")
    assert service.Trial("nats", trier)(["PrivateIPC=true", "PrivateTmp=true"]) == ""
    assert trier.given == ["User=nobody", "PrivateTmp=true"]


def test_what_systemd_run_can_not_do_is_no_fault_of_a_setting() -> None:
    assert service.Trial("nats", Trier("A=b", error="Failed to connect to bus"))(["A=b"]) == ""


def test_a_start_that_fails_is_told_in_the_words_of_systemd() -> None:
    def answer(words: Sequence[str]) -> tuple[int, str, str]:
        # what an earlier failure wrote is not told
        if words[0] == "journalctl" and any(word.startswith("--since=@") for word in words):
            return 0, NOT_APPLIED.format(unit="nats.service"), ""
        return 1, "", "Job for nats.service failed.\n"

    with pytest.raises(service.ServiceError) as caught:
        service.Manager("nats", answer).do("start")
    assert "systemd says: Failed to set up user namespacing" in str(caught.value)


def test_a_program_that_wrote_nothing_leaves_it_to_systemd() -> None:
    class Silent(Systemd):
        def __call__(self, words: Sequence[str]) -> tuple[int, str, str]:
            if words[0] == "journalctl" and "--identifier=nats-server" not in words:
                return 0, NOT_APPLIED.format(unit="nats.service"), ""
            return super().__call__(words)

    assert "status=217/USER" in service.Attempts("nats", Silent()).last_words()
