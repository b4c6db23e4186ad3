# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.plugin_utils.run_record import Ending, Kind, Outcome
from ansible_collections.rosey.nats.tests.unit.example_runs import (
    BOT_PLANNED,
    BOT_PROVEN,
    CHANGED,
    CHECKED,
    DIAGNOSED,
    FAILED,
    IGNORED,
    LISTED,
    OK,
    PLANNED,
    PROVEN,
    SECRET,
    STORY,
    UNREACHABLE,
    WAY_BACK,
    Note,
    deployed,
    make_run,
    returned,
    unproven,
)

HERE = "here"
LOST: Note = (HERE, "rosey.nats.nats_plan", UNREACHABLE, {"msg": "no route"})
REFUSED: Note = (HERE, "ansible.builtin.assert", FAILED, {"msg": "nats_server_config can't be used"})
CLOSED: Note = (HERE, "ansible.builtin.fail", FAILED, STORY)
BACK: Note = (HERE, "rosey.nats.nats_release_info", OK, WAY_BACK)
PLAN: Note = (HERE, "rosey.nats.nats_plan", OK, PLANNED)
BOT_PLAN: Note = (HERE, "rosey.nats.bot_plan", OK, BOT_PLANNED)
NO_BOT: Note = (HERE, "rosey.nats.bot_plan", OK, {**BOT_PLANNED, "installed": False})
NO_SERVICE: Note = (HERE, "rosey.nats.bot_plan", OK, {**BOT_PLANNED, "service": {"exists": False}})
OTHER_RELEASE = "20260130T120000Z-000001"


def look(going_to: str = "", *, proofs: bool = False) -> Note:
    """Give the one look at a whole host, with what it has proven at once."""
    proven = {"server": PROVEN if proofs else {}, "bot": BOT_PROVEN if proofs else {}}
    gates = {"bot": {"round_trip": {"limit_milliseconds": 100}}}
    plans = {"server": PLANNED, "bot": BOT_PLANNED}
    return (HERE, "rosey.nats.bus_plan", OK, {"going_to": going_to, "proofs": proven, "gates": gates, **plans})


def failed_look(release: str | None = None) -> Note:
    asked = {"module_args": {"release": release}}
    return (HERE, "rosey.nats.bus_plan", FAILED, {"msg": "a port is taken", "invocation": asked})


NO_CAUSE = {"causes": [], "healthy": ["server"]}


@pytest.mark.parametrize(
    ("notes", "failed", "outcome"),
    [
        (deployed(), False, Outcome.PROVEN),
        ([note for note in deployed() if "config_tree" not in note[1]], False, Outcome.UNCHANGED),
        ([PLAN, *deployed()[4:5]], False, Outcome.DONE),
        ([look(), *deployed()[3:]], False, Outcome.PROVEN),
        ([look(proofs=True)], False, Outcome.UNCHANGED),
        ([look()], False, Outcome.DONE),
        ([failed_look()], True, Outcome.REFUSED),
        ([look(), *unproven()[3:], look(OTHER_RELEASE), *returned()[9:]], True, Outcome.RETURNED),
        ([look(), *unproven()[3:], failed_look(OTHER_RELEASE), CLOSED], True, Outcome.STUCK),
        # a release that is asked for is no way back, however often its host is looked at
        ([look(OTHER_RELEASE), look(OTHER_RELEASE), *deployed()[4:]], False, Outcome.PROVEN),
        ([look(OTHER_RELEASE), look(OTHER_RELEASE), *unproven()[4:], CLOSED], True, Outcome.CHANGED),
        ([LOST], False, Outcome.UNREACHABLE),
        ([*deployed()[:6], LOST], True, Outcome.UNREACHABLE),
        ([REFUSED], True, Outcome.REFUSED),
        ([(HERE, "rosey.nats.nats_plan", FAILED, {"msg": "a port is taken"})], True, Outcome.REFUSED),
        ([*unproven(), CLOSED], True, Outcome.CHANGED),
        (returned(), True, Outcome.RETURNED),
        ([note for note in returned() if "gate" not in note[1]], True, Outcome.RETURNED_UNPROVEN),
        # one gate proves nothing of the other part
        ([*returned()[:11], BOT_PLAN, CLOSED], True, Outcome.RETURNED_UNPROVEN),
        ([*returned()[:11], NO_BOT, CLOSED], True, Outcome.RETURNED_PARTLY),
        ([*returned()[:11], NO_SERVICE, CLOSED], True, Outcome.RETURNED_PARTLY),
        ([note for note in deployed() if "bot_gate" not in note[1]], False, Outcome.PARTLY),
        ([PLAN, NO_BOT, *deployed()[3:6]], False, Outcome.PROVEN),
        # what failed may have changed the host
        ([PLAN, (HERE, "rosey.nats.config_tree", FAILED, {"touched": True}), CLOSED], True, Outcome.CHANGED),
        ([PLAN, (HERE, "rosey.nats.config_tree", FAILED, {"touched": False}), CLOSED], True, Outcome.REFUSED),
        ([PLAN, (HERE, "rosey.nats.nats_service", FAILED, {}), CLOSED], True, Outcome.CHANGED),
        # another host of the batch failed
        ([*deployed()[:6], *returned()[7:]], True, Outcome.RETURNED),
        # nothing of what was deployed is in the release
        ([*unproven(), BACK, CLOSED], True, Outcome.STUCK),
        ([*unproven(), BACK, PLAN, (HERE, "rosey.nats.nats_gate", FAILED, {}), CLOSED], True, Outcome.STUCK),
        ([*deployed()[:7], (HERE, "rosey.nats.nats_release", FAILED, {"msg": "full"})], True, Outcome.UNRECORDED),
        ([*deployed()[:7], (HERE, "rosey.nats.nats_release", IGNORED, {"msg": "full"})], True, Outcome.CHANGED),
        ([(HERE, "rosey.nats.bus_health_info", OK, CHECKED), REFUSED], True, Outcome.UNHEALTHY),
        ([(HERE, "rosey.nats.bus_health_info", OK, CHECKED)], False, Outcome.WARNED),
        ([(HERE, "rosey.nats.bus_health_info", OK, {"checks": CHECKED["checks"][:1]})], False, Outcome.HEALTHY),
        ([(HERE, "rosey.nats.diagnosis_info", OK, DIAGNOSED), CLOSED], True, Outcome.CAUSES),
        ([(HERE, "rosey.nats.diagnosis_info", OK, DIAGNOSED)], False, Outcome.CAUSES),
        ([(HERE, "rosey.nats.diagnosis_info", OK, NO_CAUSE)], False, Outcome.NO_CAUSE),
        ([(HERE, "rosey.nats.nats_release_info", OK, LISTED)], False, Outcome.DONE),
        # rollback.yml looks up what it goes to before it plans
        ([BACK, *deployed()], False, Outcome.PROVEN),
        ([BACK, *unproven(), *returned()[7:]], True, Outcome.RETURNED),
    ],
)
def test_what_came_of_a_run_for_a_host(notes: list[Note], failed: bool, outcome: Outcome) -> None:
    run = make_run(notes, failed=[HERE] if failed else [])
    assert run.outcome(HERE) is outcome
    assert run.worst() is outcome


@pytest.mark.parametrize(
    ("ending", "notes", "outcome"),
    [
        (Ending.CUT_OFF, deployed()[:5], Outcome.CUT_OFF),
        (Ending.OPEN, deployed()[:5], Outcome.OPEN),
        (Ending.OPEN, [], Outcome.OPEN),
        (Ending.CUT_OFF, [LOST], Outcome.UNREACHABLE),
        (Ending.WHOLE, [], Outcome.NOT_BEGUN),
    ],
)
def test_a_run_that_has_not_come_to_its_end(ending: Ending, notes: list[Note], outcome: Outcome) -> None:
    assert make_run(notes, hosts=[HERE], ending=ending).outcome(HERE) is outcome


def test_a_dry_run_only_predicts() -> None:
    assert make_run(deployed()[:5], check_mode=True).outcome(HERE) is Outcome.PREDICTED
    assert make_run([*deployed()[:5], REFUSED], failed=[HERE], check_mode=True).outcome(HERE) is Outcome.REFUSED


def test_a_host_is_stopped_by_another_and_the_worst_is_the_runs() -> None:
    notes = [PLAN, ("gone", *LOST[1:])]
    run = make_run(notes, hosts=[HERE, "gone", "later"])
    assert [run.outcome(host) for host in run.hosts] == [Outcome.STOPPED, Outcome.UNREACHABLE, Outcome.NOT_BEGUN]
    assert run.worst() is Outcome.UNREACHABLE
    # one of an earlier batch has ended well
    assert make_run([*deployed("earlier"), LOST]).outcome("earlier") is Outcome.PROVEN


def test_the_way_back_is_a_phase_of_its_own() -> None:
    run = make_run([*returned(), *deployed("other")], failed=[HERE])
    forth, back = run.phases(HERE)
    assert [event.kind for event in forth.of(Kind.PROOF)] == [Kind.PROOF] * 2
    assert [event.failed for event in forth.of(Kind.PROOF)] == [False, True]
    assert back.back_to == run.back_to(HERE) == "20260131T120000Z-3f2a9c"
    assert not any(event.failed for event in back.of(Kind.PROOF))
    assert len(forth.events) + len(back.events) == len(returned())
    assert run.back_to("other") == ""


def test_each_play_is_a_phase() -> None:
    run = make_run([PLAN])
    run.note(HERE, OK, PROVEN, play="Watch", task="Gate", action="rosey.nats.nats_gate")
    assert [phase.title for phase in run.phases(HERE)][1:] == ["Watch"]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ({"msg": "no"}, "no"),
        ({}, ""),
        ({"msg": "no", "censored": "hidden"}, "hidden"),
        (
            {"msg": "One or more items failed", "results": [{"msg": "a", "failed": True}, {"msg": "b"}]},
            "a\nOne or more items failed",
        ),
    ],
)
def test_what_a_failed_task_has_said(result: dict[str, Any], message: str) -> None:
    (event,) = make_run([(HERE, "ansible.builtin.command", FAILED, result)]).events
    assert event.message == message


def test_what_a_task_that_went_well_says_is_no_failure() -> None:
    notes: list[Note] = [
        (HERE, "ansible.builtin.command", CHANGED, {"msg": "done"}),
        (HERE, "x.y.z", OK, {"msg": "so"}),
    ]
    (event,) = make_run(notes).events
    assert event.message == ""


def test_only_what_is_named_is_taken_of_a_result() -> None:
    run = make_run([*returned(), (HERE, "rosey.nats.bot_plan", OK, {**BOT_PLANNED, "unknown": SECRET})])
    assert SECRET not in repr([asdict(event) for event in run.events])
    (limit,) = {event.facts["limit_milliseconds"] for event in run.events if "round_trip" in event.facts}
    assert limit == 100
