# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Break a host in every way, and see that the diagnosis names it first; what is well, it says so."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import combinations

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import Symptom
from ansible_collections.rosey.nats.tests.diagnosis.breakages import bot, latency, plugin, server
from ansible_collections.rosey.nats.tests.diagnosis.ground import BOT, LOGIN, SERVER, Breakage, Ground, Result

Tell = Callable[[str, str, str], None]

BREAKAGES = [*server.BREAKAGES, *bot.BREAKAGES, *plugin.BREAKAGES, *latency.BREAKAGES]
BY_NAME = {breakage.name: breakage for breakage in BREAKAGES}
ORDER = list(Symptom)
# Symptoms that a bot without a connection shows, too.
OF_THE_BOT = (Symptom.PLUGIN, Symptom.LATENCY)
SEED = 20240229
PAIRS = 10
# What is put into a store comes by a client that the other may keep out; a client goes where it restarts the server.
TURN = {"store": 0, "client": 2}
# What a diagnosis must not change: files, and the processes that run.
TRACES = (
    "find /etc /opt /usr/local /var/lib/nats /var/lib/rosey-nats -type f -printf '%p %s %T@ %m %u\\n' | sort; "
    f"systemctl show --property=MainPID,NRestarts {SERVER} {BOT}"
)
FULL = (
    "for place in /tmp /var/tmp; do mount -t tmpfs -o size=64k tmpfs $place; dd if=/dev/zero of=$place/fill; done; true"
)


def text(cause: dict[str, object]) -> str:
    evidence = cause["evidence"]
    assert isinstance(evidence, list)
    return " ".join(map(str, [cause["cause"], *evidence, cause["remedy"]]))


def names(found: Result, breakage: Breakage) -> bool:
    """Tell whether the first cause is the one that was made."""
    first = found.causes[0] if found.causes else {"name": "none", "cause": "", "evidence": [], "remedy": ""}
    return first["name"] == breakage.cause and breakage.says in text(first)


def diagnosed(ground: Ground, *breakages: Breakage, symptom: str | None = None) -> Result:
    """Break it, look, and mend it again."""
    try:
        for breakage in breakages:
            ground.container.attempt(breakage.make)
        return ground.diagnose(symptom)
    finally:
        for breakage in breakages:
            ground.container.attempt(breakage.mend)
        ground.mend()


def told(found: Result) -> tuple[str, str]:
    first = found.causes[0] if found.causes else {"name": "nothing", "confidence": "", "remedy": ""}
    return f"{first['name']}, {first['confidence']}", str(first["remedy"])


@pytest.mark.sample
def test_a_healthy_host_has_no_cause_and_nothing_is_changed(ground: Ground, tell: Tell) -> None:
    before = ground.run(TRACES)
    found = ground.diagnose()
    assert (found.causes, found.code) == ([], 0), found.said
    assert ground.run(TRACES) == before
    tell("nothing", *told(found))


def test_every_breakage_has_a_neighbour_with_the_same_symptom_and_another_cause() -> None:
    assert len(BY_NAME) == len(BREAKAGES) >= 30
    for breakage in BREAKAGES:
        neighbour = BY_NAME[breakage.neighbour]
        assert neighbour.symptom == breakage.symptom
        assert neighbour.cause != breakage.cause


@pytest.mark.parametrize(
    "breakage",
    [
        pytest.param(each, id=f"{each.symptom}: {each.name}", marks=[pytest.mark.sample] if each.sample else [])
        for each in BREAKAGES
    ],
)
def test_what_was_broken_is_named_first(ground: Ground, tell: Tell, breakage: Breakage) -> None:
    found = diagnosed(ground, breakage)
    tell(f"{breakage.symptom}: {breakage.name}", *told(found))
    assert names(found, breakage), found.said
    # what keeps the bot from the bus keeps its plugins from it, too
    told_as = {breakage.symptom, Symptom.BOT} if breakage.symptom in OF_THE_BOT else {breakage.symptom}
    assert found.causes[0]["symptom"] in told_as
    sure = {cause["name"] for cause in found.causes if cause["confidence"] != "possible"}
    assert BY_NAME[breakage.neighbour].cause not in sure, found.said
    assert found.code == (2 if sure else 0)
    assert LOGIN["password"] not in found.said


def pairs() -> list[tuple[Breakage, Breakage]]:
    """Give pairs of breakages, as many of one symptom as of two; the symptom first that leads to the other."""
    possible = [
        pair
        for pair in combinations(BREAKAGES, 2)
        if len({each.touches for each in pair}) == 2 and not any(each.touches == "service" for each in pair)
    ]
    chosen = random.Random(SEED)
    alike = [pair for pair in possible if pair[0].symptom == pair[1].symptom]
    mixed = [pair for pair in possible if pair[0].symptom != pair[1].symptom]
    found = [pair for kind in (alike, mixed) for pair in chosen.sample(kind, PAIRS // 2)]
    return [tuple(sorted(pair, key=lambda each: ORDER.index(Symptom(each.symptom)))) for pair in found]


@pytest.mark.parametrize("pair", [pytest.param(pair, id=f"{pair[0].name} + {pair[1].name}") for pair in pairs()])
def test_of_two_that_were_broken_one_is_named_first_and_the_other_where_it_can_be_seen(
    ground: Ground, tell: Tell, pair: tuple[Breakage, Breakage]
) -> None:
    first, second = pair
    found = diagnosed(ground, *sorted((second, first), key=lambda each: TURN.get(each.touches, 1)))
    named, remedy = told(found)
    both = {first.cause, second.cause} <= set(found.names)
    tell(f"{first.name} + {second.name}", f"{named}{', and the other' if both else ''}", remedy)
    if first.symptom != second.symptom:
        assert names(found, first), found.said
        assert first.hides or both, found.said
    else:
        assert names(found, first) or names(found, second), found.said


def test_one_symptom_is_looked_at_alone(ground: Ground) -> None:
    found = diagnosed(ground, BY_NAME["stopped by hand"], symptom="server")
    assert (found.names, found.code) == (["stopped"], 2), found.said
    assert not any("bot" in line for line in found.healthy)


@pytest.mark.parametrize(
    ("broken", "mended", "unseen"),
    [
        (
            "mv /usr/lib/python3/dist-packages/requests /root/",
            "mv /root/requests /usr/lib/python3/dist-packages/",
            "install python3-requests",
        ),
        (
            "mv /usr/lib/python3/dist-packages/yaml /root/",
            "mv /root/yaml /usr/lib/python3/dist-packages/",
            "install python3-yaml",
        ),
        ("mv /usr/bin/systemctl /root/", "mv /root/systemctl /usr/bin/", "systemctl does not answer"),
        ("mv /usr/bin/journalctl /root/", "mv /root/journalctl /usr/bin/", "journal"),
    ],
    ids=["no requests", "no PyYAML", "no systemctl", "no journalctl"],
)
def test_what_cannot_be_looked_at_is_told_and_the_rest_looked_at(
    ground: Ground, tell: Tell, broken: str, mended: str, unseen: str
) -> None:
    port = BY_NAME["port taken"]
    ground.container.attempt(f"{port.make}; {broken}")
    try:
        found = ground.diagnose()
    finally:
        ground.run(mended)
        ground.mend()
    tell(f"port taken, {broken}", *told(found))
    assert names(found, port), found.said
    assert [cause for cause in found.causes if cause["name"] == "not_seen" and unseen in text(cause)], found.said
    assert "Traceback" not in found.said


def test_a_host_whose_disks_are_full_can_be_looked_at(ground: Ground, tell: Tell) -> None:
    full = BY_NAME["disk of the store full"]
    ground.container.attempt(f"{full.make}; {FULL}")
    try:
        found = ground.diagnose()
    finally:
        ground.mend()
    tell("every disk full", *told(found))
    assert names(found, full), found.said


def test_a_host_without_a_bot_is_looked_at(ground: Ground, tell: Tell) -> None:
    ground.run(f"systemctl stop {BOT}; rm /etc/systemd/system/{BOT}.service; systemctl daemon-reload; mv /opt /root/")
    try:
        missed = ground.diagnose()
        # nor is it known ever to have had one
        ground.run("mv /var/lib/rosey-nats /root/")
        found = ground.diagnose()
    finally:
        ground.run("mv /root/opt /; test -e /var/lib/rosey-nats || mv /root/rosey-nats /var/lib/")
        ground.mend()
    tell("the bot of its release gone", *told(missed))
    assert [cause["name"] for cause in missed.causes] == ["bot_missed"], missed.said
    tell("no bot", *told(found))
    assert (found.causes, found.code) == ([], 0), found.said
    assert "no bot is installed at /opt/rosey-bot" in found.healthy


def test_a_faulty_description_is_told_and_the_host_looked_at(ground: Ground, tell: Tell) -> None:
    stopped = BY_NAME["stopped by hand"]
    ground.container.attempt(stopped.make)
    try:
        found = ground.diagnose(None, "-e", '{"nats_server_config": {"max_conections": 5}}')
    finally:
        ground.mend()
    tell("stopped, and the description faulty", *told(found))
    assert names(found, stopped), found.said
    assert [
        cause for cause in found.causes if cause["name"] == "description_faulty" and "max_conections" in text(cause)
    ]
