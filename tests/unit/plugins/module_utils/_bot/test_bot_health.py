# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import pwd
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._bot import (
    bot_expectation,
    bot_health,
    bot_python,
    round_trip,
    round_trips,
)
from ansible_collections.rosey.nats.plugins.module_utils._bot.bot_expectation import Expectation, Mode, Plugin, place
from ansible_collections.rosey.nats.plugins.module_utils._bot.bot_health import Judgement, Snapshot, Told, judge
from ansible_collections.rosey.nats.plugins.module_utils._bot.round_trips import RoundTrip, Trips
from ansible_collections.rosey.nats.plugins.module_utils._server.http_reader import MonitoringError
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import BOT

ANSWER = BOT
NATS: dict[str, Any] = BOT["nats"]
LEGACY = {name: value for name, value in ANSWER.items() if name != "nats"}
QUOTES = Plugin("quotes", ("rosey.prod.commands.quote", "rosey.prod.commands.addquote"))
TRIVIA = Plugin("trivia", ("rosey.prod.cytube.chat.message",))
TRIP = RoundTrip("rosey.prod.commands.quote", "{}", 200, 100.0)


def judged(answer: dict[str, Any], *, status: int = 200, held: Any = None, **expected: Any) -> Judgement:
    return judge(Snapshot(Told(status, answer), held), Expectation(**expected))


def told(judgement: Judgement) -> list[tuple[str, str, str, str]]:
    """Give the findings without their remedies, each of which has to say something."""
    assert all(finding.remedy for finding in judgement.findings)
    return [(each.what, each.expected, each.found, str(each.severity)) for each in judgement.findings]


def test_the_guides_example_passes_with_nothing_to_say() -> None:
    judgement = judged(ANSWER, servers=(place("nats://localhost:4222"),), subjects=15, required=bot_expectation.KEYS)
    assert judgement == Judgement((), ("bot connected to nats://localhost:4222",), ANSWER)
    assert judgement.passed


def changed(**changes: Any) -> dict[str, Any]:
    return {**ANSWER, **changes}


def with_nats(**changes: Any) -> dict[str, Any]:
    return changed(nats={**NATS, **changes})


HERE = {"servers": (place("nats://localhost:4222"), place("nats://bus.example.com"))}
EITHER = "nats://localhost:4222 or nats://bus.example.com:4222"


@pytest.mark.parametrize(
    ("answer", "expected", "finding"),
    [
        (changed(status="disconnected"), {}, ("status", "connected", "disconnected", "error")),
        (changed(status=""), {}, ("status", "connected", '""', "error")),
        (changed(connected=False), {}, ("connected", "true", "false", "error")),
        (with_nats(connected=False), {}, ("nats.connected", "true", "false", "error")),
        (with_nats(server="nats://h:4222"), HERE, ("nats.server", EITHER, "nats://h:4222", "error")),
        (with_nats(server="nats://localhost:4223"), HERE, ("nats.server", EITHER, "nats://localhost:4223", "error")),
        (with_nats(server="tls://localhost:4222"), HERE, ("nats.server", EITHER, "tls://localhost:4222", "error")),
        (with_nats(server="nats://me:hunter2@h"), HERE, ("nats.server", EITHER, "nats://h:4222", "error")),
        (with_nats(server="me:hunter2@h:x"), HERE, ("nats.server", EITHER, "h:x", "error")),
        (with_nats(server=""), HERE, ("nats.server", EITHER, '""', "error")),
        (ANSWER, {"subjects": 16}, ("nats.subjects", "at least 16", "15", "error")),
        (with_nats(subjects=2), {"plugins": (QUOTES, TRIVIA)}, ("nats.subjects", "at least 3", "2", "error")),
        (LEGACY, {}, ("nats", "what the bot tells of its connection to NATS", "nothing", "error")),
        (changed(nats=None), {}, ("nats", "what the bot tells of its connection to NATS", "nothing", "error")),
        (changed(nats={}), {}, ("nats", "what the bot tells of its connection to NATS", "nothing", "error")),
        (changed(status=5), {}, ("status", "a text", "5", "error")),
        (changed(connected="yes"), {}, ("connected", "true or false", "yes", "error")),
        (changed(connected=1), {}, ("connected", "true or false", "1", "error")),
        (changed(channel=["c"]), {}, ("channel", "a text", "a list", "error")),
        (changed(uptime=True), {}, ("uptime", "a number", "true", "error")),
        (changed(uptime=float("nan")), {}, ("uptime", "a number", "NaN", "error")),
        (changed(requests=1.5), {}, ("requests", "a whole number", "1.5", "error")),
        (with_nats(connected="true"), {}, ("nats.connected", "true or false", "true", "error")),
        (with_nats(server=["nats://me:hunter2@h"]), HERE, ("nats.server", "a text", "a list", "error")),
        (with_nats(subjects="15"), {"subjects": 16}, ("nats.subjects", "a whole number", "15", "error")),
        (changed(channel=None), {}, ("channel", "a text", "nothing", "warning")),
        (changed(channel=None), {"required": ("channel",)}, ("channel", "a text", "nothing", "error")),
        (changed(status=None), {}, ("status", "a text", "nothing", "warning")),
        (with_nats(subjects=None), {"subjects": 9}, ("nats.subjects", "a whole number", "nothing", "warning")),
        (
            with_nats(subjects=None),
            {"required": ("nats.subjects",)},
            ("nats.subjects", "a whole number", "nothing", "error"),
        ),
    ],
)
def test_each_fault_of_the_answer_is_one_finding(
    answer: dict[str, Any], expected: dict[str, Any], finding: tuple[str, str, str, str]
) -> None:
    judgement = judged(answer, **expected)
    assert told(judgement)[0] == finding
    assert [each for each in told(judgement)[1:] if each[3] == "error"] == []
    assert judgement.passed is (finding[3] == "warning")
    assert "hunter2" not in str(judgement)


def test_a_list_for_the_object_is_one_finding() -> None:
    (finding, *more) = told(judged(changed(nats=[1])))
    assert finding == ("nats", "an object", "a list", "error")
    assert {each[3] for each in more} <= {"error"}


def test_an_answer_with_another_status_tells_both() -> None:
    assert told(judged(changed(status="starting"), status=503)) == [
        ("HTTP status", "200", "503", "error"),
        ("status", "connected", "starting", "error"),
    ]


@pytest.mark.parametrize("mode", Mode)
def test_another_service_is_named_as_such(mode: Mode) -> None:
    assert told(judged({"detail": "Not Found"}, status=404, mode=mode)) == [
        ("HTTP status", "200", "404", "error"),
        ("health", "what the bot tells of itself", "none of its keys", "error"),
    ]


@pytest.mark.parametrize(
    ("answer", "findings"),
    [
        (LEGACY, []),
        (changed(nats=None), []),
        (changed(nats={}), []),
        (changed(nats={"connected": False}), []),
        (changed(nats={"connected": False, "server": "", "subjects": 0}), []),
        ({"status": "connected"}, []),
        ({"connected": True}, []),
        (ANSWER, [("nats.connected", "false, or no nats at all", "true", "error")]),
        (
            changed(nats={"subjects": 3}),
            [("nats.connected", "false, or no nats at all", "nats.subjects without a word on it", "error")],
        ),
        ({**LEGACY, "connected": False}, [("connected", "true", "false", "error")]),
        ({**LEGACY, "status": "error"}, [("status", "connected", "error", "error")]),
        ({"channel": "c"}, [("status", "status or connected, to tell that the bot is connected", "neither", "error")]),
        ({**LEGACY, "nats": "off"}, [("nats", "an object", "a text", "error")]),
    ],
)
def test_legacy_mode_wants_a_bot_that_runs_without_nats(
    answer: dict[str, Any], findings: list[tuple[str, str, str, str]]
) -> None:
    judgement = judged(answer, mode=Mode.LEGACY)
    assert [each for each in told(judgement) if each[3] == "error"] == findings
    assert not any(what.startswith("nats") for what, *_rest, severity in told(judgement) if severity == "warning")
    assert judgement.summary == ("bot not proven to run without NATS" if findings else "bot runs without NATS")


def test_no_answer_is_a_finding_beside_what_the_server_holds() -> None:
    error = MonitoringError("http://h/api/health", "connection refused", "start it")
    judgement = judge(Snapshot(error, {"": ["rosey.prod.>"]}), Expectation(plugins=(QUOTES,)))
    assert told(judgement) == [("health", "an answer of the bot at http://h/api/health", "connection refused", "error")]
    assert (judgement.summary, judgement.seen) == ("no answer of the bot, 2 of 2 subscriptions held", {})


def test_a_server_that_does_not_answer_is_an_error() -> None:
    error = MonitoringError("http://h/connz", "connection refused", "check that url is right")
    judgement = judged(ANSWER, held=error, plugins=(QUOTES,))
    assert told(judgement) == [
        ("monitoring", "an answer of nats-server at http://h/connz", "connection refused", "error")
    ]
    assert judgement.findings[0].remedy == "check that monitoring_url is right"
    assert judgement.held is None


def test_what_was_seen_has_known_keys_without_secrets_alone() -> None:
    answer = changed(
        secret="hunter2",
        uptime="soon",
        version="v" * 500,
        channel="nats://me:hunter2@h",
        nats={**NATS, "password": "hunter2"},
    )
    answer["nats"]["server"] = "nats://me:hunter2@Bus.example.com"
    seen = judged(answer).seen
    assert seen["nats"] == {"connected": True, "server": "nats://bus.example.com:4222", "subjects": 15}
    assert seen.keys() == ANSWER.keys() - {"uptime"}
    assert len(seen["version"]) < 100
    assert "hunter2" not in json.dumps(seen)


def test_keys_with_a_dot_are_no_keys_of_nats() -> None:
    assert told(judged({**LEGACY, "nats.connected": True}))[0][0] == "nats"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("nats://localhost:4222", "nats://localhost", True),
        ("nats://localhost:4222", "nats://localhost:4222/", True),
        ("nats://localhost:4222", "localhost", True),
        ("nats://localhost:4222", "localhost:4222", True),
        ("nats://localhost:4222", "NATS://LocalHost", True),
        ("nats://localhost:4222", "nats://127.0.0.1", True),
        ("nats://localhost:4222", "nats://[::1]:4222", True),
        ("nats://localhost:4222", "nats://me:pa/ss@localhost", True),
        ("nats://[2001:db8::1]", "nats://[2001:0db8:0::1]:4222", True),
        ("nats://bus.example.com", "nats://bus.example.com.", True),
        ("nats://localhost", "nats://localhost:4223", False),
        ("nats://localhost", "tls://localhost", False),
        ("nats://localhost", "nats://10.0.0.1", False),
        ("ws://localhost", "ws://localhost:80", True),
        ("wss://localhost", "wss://localhost:443", True),
    ],
)
def test_places_are_compared_by_what_they_mean(one: str, other: str, same: bool) -> None:
    assert (place(one) == place(other)) is same


@pytest.mark.parametrize(
    "url", ["", "nats://", "http://h:1", "nats://h:banana", "nats://h:99999", "nats://[::1", "://h:x"]
)
def test_what_is_no_place_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        place(url)


ALL = QUOTES.subscriptions + TRIVIA.subscriptions


@pytest.mark.parametrize(
    ("held", "missing"),
    [
        ({"bot-quotes": QUOTES.subscriptions, "bot-trivia": TRIVIA.subscriptions}, []),
        ({"bot-quotes": ["rosey.prod.commands.*"], "bot-trivia": ["rosey.prod.>"]}, []),
        ({"": ALL}, []),
        ({"bot": ["rosey.prod.commands.*", "rosey.prod.cytube.>"]}, []),
        ({"one": QUOTES.subscriptions, "two": TRIVIA.subscriptions}, []),
        ({"bot": ALL, "bot-quotes": QUOTES.subscriptions}, []),
        # the connection of the plugin has to hold it where there is one
        ({"bot-quotes": [], "bot": ALL}, [0, 1]),
        # somebody who only listens is no plugin
        ({"bot-quotes": QUOTES.subscriptions, "": TRIVIA.subscriptions}, [2]),
        ({"bot": [], "bot-trivia": TRIVIA.subscriptions, "NATS CLI Version 0.1.1": [">"]}, [0, 1]),
        ({"bot-trivia": ["rosey.prod.>"]}, [0, 1]),
        ({"bot-quotes": QUOTES.subscriptions[:1], "bot-trivia": ["*.*.cytube.chat.*"]}, [1]),
        ({"bot-quotes": QUOTES.subscriptions, "bot-trivia": ["rosey.prod.cytube.*"]}, [2]),
        ({"bot-quotes": ["rosey.staging.>"], "bot-trivia": [">"]}, [0, 1]),
        ({}, [0, 1, 2]),
    ],
)
def test_each_subscription_that_is_not_held_is_named(held: dict[str, Any], missing: list[int]) -> None:
    judgement = judged(ANSWER, held=held, plugins=(QUOTES, TRIVIA), client_name="bot")
    names = ["quotes", "quotes", "trivia"]
    assert [(what, wanted) for what, wanted, _found, _severity in told(judgement)] == [
        (f"plugin {names[each]}", f"a subscription that covers {ALL[each]}") for each in missing
    ]
    assert judgement.passed is not bool(missing)
    assert judgement.held == 3 - len(missing)
    assert judgement.facts[1] == f"{3 - len(missing)} of 3 subscriptions held"


@pytest.mark.parametrize(
    ("client_name", "held", "found"),
    [
        ("bot", {"bot-quotes": []}, "none that the connection bot-quotes holds"),
        ("bot", {"bot": []}, "none that the connection bot holds"),
        ("bot", {"bot-trivia": []}, "no connection bot-quotes, nor bot"),
        ("bot", {"other": []}, "none on the server, nor a connection named bot"),
        (None, {"-quotes": [], "None-quotes": []}, "none on the server"),
    ],
)
def test_a_missing_subscription_says_where_it_was_looked_for(
    client_name: str | None, held: dict[str, Any], found: str
) -> None:
    judgement = judged(ANSWER, held=held, plugins=(QUOTES,), client_name=client_name)
    assert [each.found for each in judgement.findings] == [found, found]


def test_a_declared_wildcard_needs_one_that_covers_it() -> None:
    plugin = Plugin("log", ("rosey.prod.commands.*",))
    assert not judged(ANSWER, held={"": ["rosey.prod.commands.quote"]}, plugins=(plugin,)).passed
    assert judged(ANSWER, held={"": ["rosey.prod.commands.>"]}, plugins=(plugin,)).passed


@pytest.mark.parametrize(
    ("expected", "held", "severity"),
    [
        ({}, None, "error"),
        ({}, {"": ["rosey.>"]}, "warning"),
        ({"subjects": 2}, {"": ["rosey.>"]}, "error"),
        ({}, MonitoringError("http://h/connz", "refused"), "error"),
    ],
)
def test_fewer_subjects_than_declared_are_a_warning_once_each_is_proven(
    expected: dict[str, Any], held: Any, severity: str
) -> None:
    judgement = judged(with_nats(subjects=1), held=held, plugins=(QUOTES,), **expected)
    assert ("nats.subjects", "at least 2", "1", severity) in told(judgement)


def test_a_thousand_plugins_and_thousands_of_connections_are_quick() -> None:
    plugins = tuple(
        Plugin(f"p{number}", tuple(f"rosey.prod.plugin.p{number}.{kind}" for kind in ("request", "a", "b")))
        for number in range(1000)
    )
    held = {f"client-{number}": [f"_INBOX.{number}.*", f"rosey.prod.plugin.p{number}.*"] for number in range(3000)}
    begin = time.process_time()
    assert judged(with_nats(subjects=9000), held=held, plugins=plugins, client_name="bot").passed
    assert time.process_time() - begin < 3


@pytest.mark.parametrize(
    ("milliseconds", "p50", "p99"),
    [
        ([float(each) for each in range(1, 201)], 100, 198),
        ([3.0, 1.0, 2.0], 2, 3),
        ([5.0], 5, 5),
        ([1.0] * 198 + [500.0] * 2, 1, 1),
        ([1.0] * 197 + [500.0] * 3, 1, 500),
        ([], None, None),
    ],
)
def test_percentiles_are_times_that_were_measured(
    milliseconds: list[float], p50: float | None, p99: float | None
) -> None:
    trips = Trips(tuple(milliseconds))
    assert (trips.percentile(50), trips.percentile(99)) == (p50, p99)
    assert round_trips.trips_result(trips) == {
        "p50_milliseconds": p50,
        "p99_milliseconds": p99,
        "trips": len(milliseconds),
        "skipped": False,
    }


SUBJECT = TRIP.subject


@pytest.mark.parametrize(
    ("trips", "findings", "fact"),
    [
        (Trips((0.8,) * 200), [], "round trip p50 0.8 ms, p99 0.8 ms over 200"),
        (Trips((100.0,) * 200), [], "round trip p50 100.0 ms, p99 100.0 ms over 200"),
        (
            Trips((1.0,) * 190 + (150.0,) * 10),
            [("a p99 of at most 100 ms", "150.0 ms", "error")],
            "round trip p50 1.0 ms, p99 150.0 ms over 200",
        ),
        (
            Trips(stopped=bot_python.NO_PYTHON, cause="/x: No such file"),
            [("the bot's Python, to measure it with", "none that runs: /x: No such file", "warning")],
            "round trip skipped",
        ),
        (
            Trips(stopped=round_trip.NO_LIBRARY, cause="No module named 'nats'"),
            [("nats-py in the bot's Python, to measure it with", "none: No module named 'nats'", "warning")],
            "round trip skipped",
        ),
        (Trips(stopped=round_trips.NOT_YET), [], "round trip skipped"),
        (
            Trips(stopped=bot_python.NO_RESULT, cause="exit status 1: x"),
            [("a result of the probe", "exit status 1: x", "error")],
            "no round trip",
        ),
        (
            Trips(stopped=round_trip.NO_CONNECTION, cause="refused"),
            [("a connection to the bus", "none: refused", "error")],
            "no round trip",
        ),
        (
            Trips(stopped=round_trip.NOBODY),
            [(f"an answer to a request on {SUBJECT}", "nobody who listens to it", "error")],
            "no round trip",
        ),
        (
            Trips((1.0,) * 7, stopped=round_trip.SILENCE),
            [(f"an answer to a request on {SUBJECT}", "none after 7 trips", "error")],
            "round trip p50 1.0 ms, p99 1.0 ms over 7",
        ),
        (
            Trips(stopped=round_trip.SILENCE, cause="permissions violation"),
            [
                (
                    f"an answer to a request on {SUBJECT}",
                    "none after 0 trips; the server said: permissions violation",
                    "error",
                )
            ],
            "no round trip",
        ),
        (
            Trips((120.0,) * 170, stopped=round_trip.NO_TIME),
            [
                (f"200 trips on {SUBJECT}", "170 when the time for them was up", "error"),
                ("a p99 of at most 100 ms", "120.0 ms", "error"),
            ],
            "round trip p50 120.0 ms, p99 120.0 ms over 170",
        ),
    ],
)
def test_each_outcome_of_the_round_trips_is_told(trips: Trips, findings: list[tuple[str, str, str]], fact: str) -> None:
    judgement = bot_health.with_trips(judged(ANSWER), TRIP, trips)
    assert told(judgement) == [("round trip", *finding) for finding in findings]
    assert judgement.facts[1:] == (fact,)
    assert round_trips.trips_result(trips)["skipped"] is (fact == "round trip skipped")


PROGRAMS = [
    ("exit 3", "no result", "exit status 3: "),
    ("echo Traceback >&2; echo 'Error: nats://me:hunter2@h' >&2; exit 1", "no result", "exit status 1: Error: nats://"),
    ("echo hello", "no result", "exit status 0: "),
    ("echo '[]'", "no result", "exit status 0: "),
    ("echo '{}'", "no result", "another one than the program gives"),
    ("printf '\\377'", "no result", "exit status 0: "),
]


def run(python: str, user: str | None = None, ca_file: str | None = None) -> Trips:
    return round_trips.make_trips(
        TRIP,
        python=bot_python.BotPython(python, user, ca_file),
        servers=["nats://h"],
        options={"inbox_prefix": "mine", "name": "bot"},
        credentials={},
        name="probe",
        timeout=1,
    )


def test_the_question_has_the_options_of_the_bot(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\ncat > {tmp_path}/question\n")
    python.chmod(0o755)
    run(str(python))
    question = json.loads((tmp_path / "question").read_text())
    assert question["options"] == {"inbox_prefix": "mine", "name": "probe", "servers": ["nats://h"]}


@pytest.mark.parametrize("ca_file", [None, "/ca.pem"])
def test_the_bots_python_trusts_whom_the_bot_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ca_file: str | None
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/of-this-process.pem")
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nprintf %s $SSL_CERT_FILE > {tmp_path}/trusted\n")
    python.chmod(0o755)
    run(str(python), ca_file=ca_file)
    assert (tmp_path / "trusted").read_text() == (ca_file or "/of-this-process.pem")


def test_what_the_bot_may_have_written_is_not_run_as_root() -> None:
    with TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        python = Path(directory, "python")
        python.write_text("""#!/bin/sh\necho '{"trips": [], "stopped": "no time", "cause": "'$(id -u)'"}'\n""")
        python.chmod(0o755)
        me, nobody = os.geteuid(), pwd.getpwnam("nobody").pw_uid
        assert run(str(python)).cause == str(me)
        assert run(str(python), "nobody").cause == str(me or nobody)


def test_an_account_that_is_not_there_can_run_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    trips = run("/bin/sh", "no-such-account")
    assert (trips.stopped, trips.cause) == (
        bot_python.NO_PYTHON,
        "/bin/sh: this host has no user no-such-account to run it",
    )


@pytest.mark.parametrize(("program", "stopped", "cause"), PROGRAMS)
def test_a_python_that_gives_no_result_is_told(tmp_path: Path, program: str, stopped: str, cause: str) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\ncat > /dev/null\n{program}\n")
    python.chmod(0o755)
    trips = run(str(python))
    assert (trips.stopped, trips.milliseconds) == (stopped, ())
    assert trips.cause.startswith(cause)
    assert "hunter2" not in trips.cause


@pytest.mark.parametrize(
    ("name", "cause"), [("none", "No such file or directory"), ("no-program", "Permission denied"), ("", "Permission")]
)
def test_no_python_is_told(tmp_path: Path, name: str, cause: str) -> None:
    (tmp_path / "no-program").touch()
    trips = run(str(tmp_path / name))
    assert trips.stopped == bot_python.NO_PYTHON
    assert cause in trips.cause


def test_a_python_without_the_library_is_told(tmp_path: Path) -> None:
    # -S leaves out what is installed beside the standard library
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {Path(sys.executable).resolve()} -S "$@"\n')
    python.chmod(0o755)
    assert run(str(python)) == Trips(stopped=round_trip.NO_LIBRARY, cause="No module named 'nats'")


def test_a_python_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot_python, "_SPARE_SECONDS", -22.5)
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec sleep 60\n")
    python.chmod(0o755)
    assert run(str(python)) == Trips(stopped=bot_python.NO_RESULT, cause="none after 0.5 seconds")
