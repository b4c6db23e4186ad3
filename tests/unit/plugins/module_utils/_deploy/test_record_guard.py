# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._deploy import record_guard, release
from ansible_collections.rosey.nats.plugins.module_utils._deploy.record_guard import Instance, Run, Word
from ansible_collections.rosey.nats.plugins.module_utils._deploy.release import Part, Record
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file

DIRECTORY = Path("/var/lib/rosey-nats")
ID = "20260131T120000Z-3f2a9c"
NATS = {"runtime": "systemd", "service": "nats"}
BOT = {"environment": "production", "mode": "nats"}
OF_NATS = Instance("the service nats", "nats")
OF_TWO = Instance("the service nats-two", "nats-two")
WHOLE = ("server", "bot", "plugins")


def record(**settings: dict[str, Any]) -> Record:
    parts = {name: Part(each, []) for name, each in settings.items()}
    return Record(id=ID, time="2026-01-31T12:00:00Z", controller="here-1", parts=parts)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (NATS, OF_NATS),
        ({**NATS, "service": "nats-two.service"}, OF_TWO),
        # of those that other runtimes need nothing counts
        ({**NATS, "container": "nats-dev", "config_file": "/etc/nats/nats-server.conf"}, OF_NATS),
        ({"runtime": "docker", "service": "nats", "container": "one"}, Instance("the container one", "one")),
        (
            {"runtime": "process", "config_file": "/home/a/etc/two/nats-server.conf"},
            Instance("the process with /home/a/etc/two/nats-server.conf", "two"),
        ),
        ({}, None),
        ({"runtime": None, "service": None, "container": None, "config_file": None}, None),
        ({"runtime": "docker"}, None),
    ],
)
def test_an_instance_is_what_runs_the_server(settings: dict[str, Any], expected: Instance | None) -> None:
    assert record_guard.instance(settings) == expected


@pytest.mark.parametrize(
    ("run", "kept", "expected"),
    [
        (Run("production", OF_NATS, WHOLE), record(server=NATS, bot=BOT), []),
        (Run("staging", OF_NATS, WHOLE), record(server=NATS, bot=BOT), [Word.OTHER_ENVIRONMENT]),
        # a part of the host alone
        (Run("staging", OF_NATS, ("server",)), record(server=NATS, bot=BOT), [Word.OTHER_ENVIRONMENT]),
        (
            Run("staging", OF_NATS, WHOLE),
            record(server={**NATS, "environment": "production"}),
            [Word.OTHER_ENVIRONMENT],
        ),
        # what was recorded before a server knew its environment, and a run that knows none
        (Run("staging", OF_NATS, WHOLE), record(server=NATS), []),
        (Run("", OF_NATS, ("server",)), record(server=NATS, bot=BOT), []),
        (Run("production", OF_TWO, WHOLE), record(server=NATS, bot=BOT), [Word.OTHER_INSTANCE]),
        (Run("production", OF_TWO, WHOLE), record(bot=BOT), []),
        (Run("production", None, WHOLE), record(server=NATS, bot=BOT), []),
        (Run("staging", OF_TWO, WHOLE), record(server=NATS, bot=BOT), [Word.OTHER_ENVIRONMENT, Word.OTHER_INSTANCE]),
        (Run("staging", OF_TWO, WHOLE), None, []),
    ],
)
def test_another_environment_or_instance_is_refused_until_its_word_is_given(
    run: Run, kept: Record | None, expected: list[Word]
) -> None:
    assert words(record_guard.judge(run, DIRECTORY, kept, kept).refusals) == expected
    accepting = Run(run.environment, run.instance, run.parts, frozenset(expected))
    assert record_guard.judge(accepting, DIRECTORY, kept, kept) == record_guard.Verdict()


def words(refusals: tuple[str, ...]) -> list[Word]:
    return [word for line in refusals for word in Word if f"set release_accept: [{word}]" in line]


def test_a_refusal_says_what_to_do() -> None:
    kept = record(server=NATS, bot=BOT)
    refusals = record_guard.judge(Run("staging", OF_TWO, WHOLE), DIRECTORY, kept, kept, no_bot="/opt/x is not there")
    assert refusals.refusals == (
        f"The release of this host, {ID}, is of production, and this run is of staging. Take the inventory of "
        "production; where both are to be on the host, set release_dir: /var/lib/rosey-nats-staging, and what else "
        "each needs of its own; where the host is to change from one to the other, set release_accept: "
        "[other_environment]. "
        "Nothing was touched.",
        "The releases in /var/lib/rosey-nats are of the service nats, and this run is of the service nats-two, so that "
        "each would go back to what the other had. Set release_dir: /var/lib/rosey-nats-nats-two, and a "
        "nats_server_config_dir, nats_server_data_dir and nats_server_log_dir of its own; where this one takes the "
        "place of that one, set release_accept: [other_instance]. Nothing was touched.",
        f"The release of this host, {ID}, has a bot, and /opt/x is not there. Bring it back, such as by mounting what "
        "is missing; where the bot is gone for good, set release_accept: [absent_bot]. Nothing was touched.",
    )


@pytest.mark.parametrize(
    ("kept", "no_bot", "expected"),
    [
        (record(server=NATS, bot=BOT), "gone", [Word.ABSENT_BOT]),
        (record(server=NATS, bot={**BOT, "mode": "legacy"}), "gone", [Word.ABSENT_BOT]),
        (record(server=NATS, bot=BOT), "", []),
        (record(server=NATS), "gone", []),
        (None, "gone", []),
    ],
)
def test_a_bot_that_is_gone_is_missed_until_it_is_let_go(
    kept: Record | None, no_bot: str, expected: list[Word]
) -> None:
    verdict = record_guard.judge(Run(parts=WHOLE), DIRECTORY, kept, kept, no_bot=no_bot)
    assert words(verdict.refusals) == expected
    accepting = Run(parts=WHOLE, accept=frozenset(Word))
    verdict = record_guard.judge(accepting, DIRECTORY, kept, kept, no_bot=no_bot)
    assert (verdict.refusals, verdict.drops) == ((), ("bot", "plugins") if expected else ())


@pytest.mark.parametrize(
    ("parts", "kept", "access", "expected"),
    [
        (("server",), record(server=NATS, bot=BOT), ["authorization"], [Word.UNPROVEN_BOT]),
        (("server", "plugins"), record(server=NATS, bot=BOT), ["authorization"], [Word.UNPROVEN_BOT]),
        (("server",), record(server=NATS, bot=BOT), [], []),
        (WHOLE, record(server=NATS, bot=BOT), ["authorization"], []),
        (("bot",), record(server=NATS, bot=BOT), ["authorization"], []),
        (("server",), record(server=NATS), ["authorization"], []),
        # a bot that runs without NATS goes over nothing
        (("server",), record(server=NATS, bot={**BOT, "mode": "legacy"}), ["authorization"], []),
        (("server",), None, ["authorization"], []),
    ],
)
def test_what_a_bot_connects_by_is_not_changed_without_it(
    parts: tuple[str, ...], kept: Record | None, access: list[str], expected: list[Word]
) -> None:
    verdict = record_guard.judge(Run(parts=parts), DIRECTORY, kept, kept, access=access)
    assert words(verdict.refusals) == expected
    accepting = Run(parts=parts, accept=frozenset(Word))
    verdict = record_guard.judge(accepting, DIRECTORY, kept, kept, access=access)
    assert (verdict.refusals, verdict.drops) == ((), ("bot", "plugins") if expected else ())


def test_going_back_is_judged_by_where_it_leads() -> None:
    # the host was put into staging by mistake; the way home is open from production's inventory, and from no other
    staging, production = record(server=NATS, bot={**BOT, "environment": "staging"}), record(server=NATS, bot=BOT)
    home = record_guard.judge(Run("production", OF_NATS, WHOLE), DIRECTORY, production, staging)
    assert home.refusals == ()
    away = record_guard.judge(Run("staging", OF_NATS, WHOLE), DIRECTORY, production, staging)
    assert words(away.refusals) == [Word.OTHER_ENVIRONMENT]


@pytest.mark.parametrize("damage", ["the release", "what names it", "nothing"])
def test_a_release_that_is_damaged_lets_nobody_in(tmp_path: Path, damage: str) -> None:
    store = release.Store(tmp_path)
    for hour in (1, 2):
        parts = {"server": Part({**NATS, "environment": "production", "hour": hour}, [])}
        now = datetime(2026, 1, 31, hour, tzinfo=UTC)
        written = store.write(parts, controller="here-1", plan=[], gates=[], keep=5, now=now)
    if damage == "the release":
        (tmp_path / "releases" / f"{written.release}.json").write_text("")
    elif damage == "what names it":
        (tmp_path / "current").write_text("")
    run = {"environment": "staging", "server": NATS, "parts": ["server"], "accept": []}
    with pytest.raises(atomic_file.ReleaseError, match="is of production, and this run is of staging"):
        record_guard.consult({"release_dir": str(tmp_path), "release": None, "run": run})


def test_nothing_is_known_of_a_run_that_says_nothing() -> None:
    assert record_guard.run_of(None) == Run()
    given = {"environment": "staging", "server": NATS, "parts": ["server"], "accept": ["absent_bot"]}
    assert record_guard.run_of(given) == Run("staging", OF_NATS, ("server",), frozenset({Word.ABSENT_BOT}))
