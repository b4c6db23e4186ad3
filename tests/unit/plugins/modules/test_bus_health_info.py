# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._data import assets
from ansible_collections.rosey.nats.plugins.module_utils._data.asset_record import Book, Proven
from ansible_collections.rosey.nats.plugins.module_utils._deploy import release
from ansible_collections.rosey.nats.plugins.module_utils._host import background, service
from ansible_collections.rosey.nats.plugins.modules import bus_health_info
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import (
    BOT,
    IDENTITY,
    JSZ,
    VARZ,
    FakeMonitoring,
    fake_monitoring,
)

RunModule = Callable[..., dict[str, Any]]
SLEEPER = (sys.executable, "-c", "import time; time.sleep(60)")
QUOTE = "rosey.prod.commands.quote"
HELD = {
    **IDENTITY,
    "total": 1,
    "connections": [{"cid": 1, "name": "rosey-bot-prod-quotes", "pending_bytes": 0, "subscriptions_list": [QUOTE]}],
}


@pytest.fixture
def fake() -> Iterator[FakeMonitoring]:
    answers = {
        "/varz": {**VARZ, "cpu": 1, "cores": 2, "max_pending": 1000},
        "/jsz": {**JSZ, "config": {"max_memory": 10, "max_storage": 10}, "memory": 0, "storage": 0},
        "/connz": HELD,
        "/api/health": {**BOT, "nats": {**BOT["nats"], "subjects": 1}},
    }
    with fake_monitoring(answers) as served:
        yield served


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Give the options of a bot that is a process of this user."""
    pid_file = tmp_path / "bot.pid"
    with subprocess.Popen(SLEEPER) as running:
        pid_file.write_text(f"{running.pid}\n")
        while background.find(background.Bot(SLEEPER, pid_file)) is None:
            time.sleep(0.01)
        yield {"command": list(SLEEPER), "pid_file": str(pid_file)}
        running.kill()


Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(fake: FakeMonitoring, tmp_path: Path, run_module: RunModule) -> Ask:
    """Give a function that runs the module; bot: changes to the options of a bot that is well."""

    def run(*, bot: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        own = {
            "health_url": f"{fake.url}/api/health",
            "home": str(tmp_path),
            "servers": ["nats://localhost:4222"],
            "client_name": "rosey-bot-prod",
            "monitoring_url": fake.url,
            "plugins": [{"name": "quotes", "subscriptions": [QUOTE]}],
        }
        asked = {"monitoring_url": fake.url, "bot": {**own, **(bot or {})}, **changes}
        return run_module("bus_health_info", **asked)

    return run


def statuses(result: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["status"] for check in result["checks"] if check["status"] != "ok"}


def test_a_look_at_a_healthy_host_is_green_and_changes_nothing(ask: Ask, sleeper: dict[str, Any]) -> None:
    meant = {"server_name": "rosey_nats_test", "version": "2.10.7", "jetstream": True, "bot": {"process": sleeper}}
    for check_mode in (False, True):
        result = ask(**meant, check_mode=check_mode)
        assert (result.get("msg"), result["changed"], result["status"]) == (None, False, "ok")
        assert result["summary"] == f"{len(result['checks'])} ok"


def test_what_was_meant_is_compared(ask: Ask) -> None:
    result = ask(
        server_name="a",
        jetstream="disabled",
        cluster=True,
        bot={"mode": "legacy", "required": ["channel"]},
        thresholds={"connections": {"warning": 5}, "routes": {"critical": 1}},
    )
    assert statuses(result) == {
        "server": "critical",
        "connections": "warning",
        "jetstream": "critical",
        "routes": "critical",
        "bot": "critical",
    }
    assert result["status"] == "critical"
    assert result["summary"].startswith("critical: server, jetstream, routes, bot; warning: connections; ")


def test_what_plugins_hold_is_asked_where_it_is_told_to(ask: Ask, fake: FakeMonitoring) -> None:
    fake.answers["/connz"] = {**HELD, "connections": []}

    def unheld(**bot: Any) -> list[float]:
        return [check["value"] for check in ask(bot=bot)["checks"] if check["name"] == "plugins"]

    with fake_monitoring({"/connz": HELD}) as other:
        assert unheld() == [1]
        assert unheld(monitoring_url=other.url) == [0]
        assert unheld(monitoring_url=None) == []
        other.asked.clear()
        assert unheld(monitoring_url=other.url, mode="legacy") == []
        assert other.asked == []


@pytest.mark.parametrize(
    ("jetstream", "expected"),
    [(True, {}), ("enabled", {}), (False, {"jetstream": "critical"}), ("disabled", {"jetstream": "critical"})],
)
def test_jetstream_is_meant_as_the_configuration_says_it(ask: Ask, jetstream: Any, expected: dict[str, str]) -> None:
    assert statuses(ask(jetstream=jetstream)) == expected
    assert statuses(ask()) == {}


def test_streams_are_compared_with_those_that_were_proven(ask: Ask, fake: FakeMonitoring, tmp_path: Path) -> None:
    def streams(**given: Any) -> tuple[str, str]:
        (check,) = (check for check in ask(release_dir=str(tmp_path), **given)["checks"] if check["name"] == "streams")
        return check["status"], check["summary"]

    assert ask(release_dir=str(tmp_path))["summary"] == ask()["summary"]
    proven = assets.of([assets.Stream("$G", "HISTORY", storage="file", messages=12)])
    Book(tmp_path).prove(Proven("2026-11-26T11:43:13Z", proven))
    assert ask()["status"] == "ok"
    fake.answers["/jsz"] = {**fake.answers["/jsz"], "config": {"max_memory": 10, "max_storage": 10, "store_dir": "/s"}}
    lost = "0 of 1 streams of 2026-11-26T11:43:13Z there; stream HISTORY: expected with 12 messages, found none; "
    assert streams() == ("critical", f"{lost}its files are gone from /s/$G/streams/HISTORY")
    assert streams(local_files=False) == ("critical", f"{lost}whether its files stand is not known")
    assert ask(release_dir=str(tmp_path))["checks"][0]["name"] == "streams"


def test_a_process_that_is_gone_is_critical(ask: Ask, tmp_path: Path) -> None:
    command = {"command": ["/nowhere/bot"], "pid_file": str(tmp_path / "no.pid")}
    server = {name: str(tmp_path / name) for name in ("binary", "config_file", "pid_file")}
    assert statuses(ask(process=server, bot={"process": command})) == {"service": "critical", "bot_service": "critical"}


@pytest.mark.parametrize(
    ("has_systemctl", "said"), [(True, "not booted"), (False, "systemctl: No such file or directory")]
)
def test_a_host_without_systemd_says_so(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_systemctl: bool, said: str
) -> None:
    if has_systemctl:
        systemctl = tmp_path / "systemctl"
        systemctl.write_text("#!/bin/sh\necho 'not booted' >&2\nexit 1\n")
        systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    result = ask(service="nats", bot={"service": "cytube-bot"})
    assert statuses(result) == {"service": "critical", "bot_service": "critical"}
    assert f"nats.service: expected what runs it, found systemctl does not answer: {said}" in str(result)
    without_bot = ask(bot={"service": "cytube-bot", "home": "/nowhere", "optional": True})
    assert statuses(without_bot) == {}


@pytest.mark.parametrize(
    ("bot", "said"),
    [
        ({"home": "/nowhere", "optional": True}, "no bot is installed at /nowhere"),
        (
            {"home": "/", "optional": True, "process": {"command": [], "pid_file": "/no.pid"}},
            "the bot at / has no service",
        ),
    ],
)
def test_a_bot_that_need_not_be_there_is_left_out(
    ask: Ask, fake: FakeMonitoring, bot: dict[str, Any], said: str
) -> None:
    result = ask(bot=bot)
    assert statuses(result) == {}
    of_bot = [check for check in result["checks"] if check["name"] in ("bot", "bot_service", "bot_errors", "plugins")]
    assert [check["name"] for check in of_bot] == ["bot"]
    assert said in of_bot[0]["summary"]
    assert "/api/health" not in [path for path, _query in fake.asked]
    assert "bot_errors" in [check["name"] for check in ask(bot={**bot, "optional": False})["checks"]]


def released(directory: Path, **settings: dict[str, Any]) -> str:
    parts = {name: release.Part(each, []) for name, each in settings.items()}
    now = datetime.now(UTC)
    return str(release.Store(directory).write(parts, controller="here", plan=[], gates=[], keep=10, now=now).release)


def test_a_bot_that_the_release_has_is_missed(ask: Ask, tmp_path: Path) -> None:
    directory = tmp_path / "releases"
    process_of = {"binary": "/no/nats-server", "config_file": "/etc/a/nats.conf", "pid_file": "/no.pid"}
    given = {"bot": {"home": "/nowhere", "optional": True}, "release_dir": str(directory)}
    released(directory, server={"runtime": "process", "config_file": "/etc/a/nats.conf"})
    assert "bot" not in statuses(ask(**given))
    identity = released(directory, bot={"mode": "nats"})
    result = ask(**given, process=process_of)
    assert statuses(result)["bot"] == "critical"
    assert f"expected the bot of release {identity}, found no bot is installed at /nowhere" in str(result)
    # the releases of another server say nothing of this one
    other = ask(**given, process={**process_of, "config_file": "/etc/b/nats.conf"})
    assert "bot" not in statuses(other)
    assert f"the releases in {directory} are of the process with /etc/a/nats.conf, not of the process" in str(other)
    assert statuses(other)["streams"] == "unknown"


def test_a_server_that_was_stopped_for_a_bot_without_nats_is_a_warning(
    ask: Ask, fake: FakeMonitoring, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    fake.answers["/api/health"] = {name: value for name, value in BOT.items() if name != "nats"}
    directory, pid_file = tmp_path / "releases", tmp_path / "nats.pid"
    process_of = {"binary": "/no/nats-server", "config_file": "/etc/a/nats.conf", "pid_file": str(pid_file)}
    server = {"runtime": "process", "config_file": "/etc/a/nats.conf"}
    nowhere = f"http://127.0.0.1:{free_port()}"
    given = {"release_dir": str(directory), "process": process_of, "monitoring_url": nowhere}
    released(directory, server=server, bot={"mode": "nats"})
    assert statuses(ask(**given))["service"] == "critical"
    identity = released(directory, server=server, bot={"mode": "legacy"})
    result = ask(**given)
    assert statuses(result) == {"service": "warning", "bot": "warning"}
    assert f"as release {identity} has" in str(result)
    # its pid file was left: it has ended by itself
    pid_file.write_text("1\n")
    assert statuses(ask(**given))["service"] == "critical"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (service.Service(exists=True, enabled=False, running=None), True),
        (service.Service(exists=True, enabled=True, running=None), False),
        (service.Service(exists=True, enabled=False, running=None, failing=True), False),
        (service.Service(exists=False, enabled=False, running=None), False),
        (service.Service(exists=True, enabled=False, running=None, masked="/etc/systemd/system/nats.service"), False),
        ("systemctl does not answer", False),
        (None, False),
    ],
)
def test_a_service_is_off_where_somebody_stopped_and_disabled_it(found: Any, expected: bool) -> None:
    assert bus_health_info.is_off(found, None) is expected


def test_nothing_answers_and_everything_is_told(ask: Ask, run_module: RunModule, free_port: Callable[[], int]) -> None:
    result = ask(
        client_url=f"nats://127.0.0.1:{free_port()}",
        bot={"health_url": f"http://127.0.0.1:{free_port()}/api/health"},
    )
    assert statuses(result) == {"connection": "critical", "bot": "critical"}
    result = run_module("bus_health_info", monitoring_url=f"http://127.0.0.1:{free_port()}")
    assert {check["status"] for check in result["checks"]} == {"critical", "unknown"}
    assert result["status"] == "critical"
    assert "failed" not in result


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"monitoring_url": "ftp://h"}, "write it as http://127.0.0.1:8222"),
        ({"bot": {"monitoring_url": "nats://h"}}, "h: the URL has to begin with http://"),
        ({"timeout": 0}, "timeout is 0"),
        ({"client_url": "http://h"}, "client_url: http://h is no URL of a NATS server; write it as nats://"),
        ({"bot": {"servers": ["nats://h:x"]}}, "bot.servers: nats://h:x is no URL of a NATS server"),
        ({"bot": {"plugins": [{"name": "p", "subscriptions": ["a..b"]}]}}, "bot.plugins: p: 'a..b' has an empty token"),
        ({"thresholds": {"cpu": 1, "nope": {}}}, "thresholds: cpu is 1; expected warning and critical, or one of them"),
        ({"thresholds": {"cpu": 1, "nope": {}}}, "\nthresholds: nope is no check with limits"),
        ({"service": "a", "process": {"binary": "/b", "config_file": "/c", "pid_file": "/p"}}, "mutually exclusive"),
        (
            {"bot": {"service": "a", "process": {"command": ["/b"], "pid_file": "/p"}}},
            "mutually exclusive: service|process found in bot",
        ),
    ],
)
def test_options_that_make_no_sense_are_refused(
    ask: Ask, run_module: RunModule, changes: dict[str, Any], said: str
) -> None:
    result = run_module("bus_health_info", **changes) if "monitoring_url" in changes else ask(**changes)
    assert result["failed"] is True
    assert said in result["msg"]


def test_no_password_of_a_url_is_shown_or_logged(ask: Ask, journal: list[str]) -> None:
    result = ask(
        client_url="nats://rosey:h%75nter2@localhost:4222",
        bot={
            "servers": ["nats://rosey:h%75nter2@localhost:4222"],
            "monitoring_url": "http://rosey:h%75nter2@localhost:8222",
        },
    )
    assert "bot.servers: localhost:4222 has a user or password before it; leave these out" in result["msg"]
    assert "client_url: localhost:4222 has a user or password" in result["msg"]
    shown = json.dumps(result) + "".join(journal)
    assert "h%75nter2" not in shown
    assert "hunter2" not in shown
