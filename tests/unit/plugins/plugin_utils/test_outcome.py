# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._bus import decisions
from ansible_collections.rosey.nats.plugins.plugin_utils import outcome

WHOLE = ["server", "bot", "plugins"]
SAME = {"recorded": True, "drops": [], "access": []}
OTHER = {**SAME, "recorded": False}
GONE = {**SAME, "recorded": False, "drops": ["bot", "plugins"]}


@pytest.mark.parametrize(
    ("server", "bot", "applied", "proven", "expected"),
    [
        (SAME, SAME, WHOLE, WHOLE, []),
        (OTHER, OTHER, WHOLE, WHOLE, []),
        # a gate that was not asked: what is as the release has it stays in the next one, and else does not
        (OTHER, SAME, WHOLE, ["server"], []),
        (OTHER, OTHER, WHOLE, ["server"], ["bot", "plugins"]),
        (OTHER, OTHER, WHOLE, ["bot", "plugins"], ["server"]),
        (SAME, OTHER, WHOLE, ["bot", "plugins"], []),
        # the bot is as it was, and was not proven with what it connects by now
        ({**OTHER, "access": ["authorization"]}, SAME, WHOLE, ["server"], ["bot", "plugins"]),
        ({**OTHER, "access": ["authorization"]}, SAME, WHOLE, WHOLE, []),
        # a run of one part leaves the others in
        (OTHER, None, ["server"], ["server"], []),
        ({**OTHER, "drops": ["bot", "plugins"]}, None, ["server"], ["server"], ["bot", "plugins"]),
        (None, OTHER, ["plugins"], ["plugins"], []),
        (None, OTHER, ["plugins"], [], ["plugins"]),
        (SAME, GONE, WHOLE, ["server"], ["bot", "plugins"]),
    ],
)
def test_a_release_has_only_what_was_proven_together(
    server: dict[str, Any] | None,
    bot: dict[str, Any] | None,
    applied: list[str],
    proven: list[str],
    expected: list[str],
) -> None:
    plan = {"parts": applied, "server": {"release": server} if server else {}, "bot": {"release": bot} if bot else {}}
    assert decisions.drops(plan, proven) == expected


RELEASE = "20260131T120000Z-3f2a9c"
PROVEN = f"is back at release {RELEASE}, as its gate has proven"
BACK: dict[str, Any] = {
    "release": RELEASE,
    "has": WHOLE,
    "back": WHOLE,
    "server": {"passed": True},
    "bot": {"passed": True, "installed": True, "serves": True, "home": "/opt/rosey-bot", "service": "cytube-bot"},
    "left": [],
    "left_behind": [],
    "store": "",
}


def back(*, server: bool = True, bot: bool = True, has: dict[str, Any] | None = None, **found: Any) -> dict[str, Any]:
    of_bot = {**BACK["bot"], "passed": bot, **(has or {})}
    return {**BACK, "server": {"passed": server}, "bot": of_bot, **found}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (back(), PROVEN),
        (back(bot=False, back=["server"]), f"{PROVEN}; its bot was left out of this run, and was not asked"),
        ({**back(), "has": ["server"], "back": ["server"]}, PROVEN),
        (back(server=False, back=["plugins"]), PROVEN),
        (
            back(server=False, bot=False),
            f"is back at release {RELEASE}, without proof, since no gate was asked for",
        ),
        # one gate proves nothing of the other part
        (
            back(bot=False),
            f"is back at release {RELEASE}: the server, as its gate has proven; the bot, without proof, since no gate "
            "was asked for",
        ),
        (
            back(bot=False, has={"installed": False}),
            f"is back at release {RELEASE} ONLY IN PART: the server, as its gate has proven; the bot, which does NOT "
            "run, since /opt/rosey-bot is not there",
        ),
        (
            back(bot=False, has={"serves": False}),
            f"is back at release {RELEASE} ONLY IN PART: the server, as its gate has proven; the bot, which does NOT "
            "run, since cytube-bot.service is not there",
        ),
        (
            back(server=False),
            f"is back at release {RELEASE}: the server, without proof, since no gate was asked for; the bot, as its "
            "gate has proven",
        ),
        (
            back(back=[], left=["bot_config", "bot_plugins"]),
            f"could NOT go back; release {RELEASE} has nothing of bot_config and bot_plugins, left as deployed",
        ),
        (
            back(left_behind=["/opt/a/secrets.env"], store="copied"),
            f"{PROVEN}; left behind, and not of that release: /opt/a/secrets.env; store: copied",
        ),
        (
            back(left_behind=[f"/{number}" for number in range(11)]),
            f"{PROVEN}; left behind, and not of that release: /0, /1, /2, /3, /4, /5, /6, /7, 3 more",
        ),
    ],
)
def test_each_part_is_told_by_its_own_proof(found: dict[str, Any], expected: str) -> None:
    assert outcome.way_back(found) == expected


@pytest.mark.parametrize("is_only_predicted", [True, False])
def test_what_going_back_leaves_behind_is_told(*, is_only_predicted: bool) -> None:
    plan = {"parts": [], "proofs": {}, "going_to": RELEASE, "going_to_time": "", "steps": {"any": False}}
    for left, told in (([], []), (["/etc/x"], ["files: left behind, and not of that release: /etc/x"])):
        state = {
            "host": "here",
            "is_only_predicted": is_only_predicted,
            "plan": {**plan, "left_behind": left},
            "came": {},
        }
        lines = outcome.rollback_report(outcome.run_of(state))
        assert [line for line in lines if line.startswith("files: ")] == told


@pytest.mark.parametrize(
    ("applied", "proven", "expected"),
    [
        (WHOLE, WHOLE, "as its gate has proven"),
        (["server"], ["server"], "as its gate has proven"),
        (["plugins"], ["plugins"], "as its gate has proven"),
        (WHOLE, [], "without proof, since no gate was asked for"),
        (
            WHOLE,
            ["server"],
            "the server, as its gate has proven; the bot, without proof, since no gate was asked for",
        ),
    ],
)
def test_what_runs_is_told_by_its_proof(applied: list[str], proven: list[str], expected: str) -> None:
    assert outcome.proof(applied, proven) == expected


def test_what_was_proven_with_the_look_stays_proven() -> None:
    proofs = {"server": {"passed": True, "summary": "17 of 22 proven"}, "bot": {}}
    came = {"server_gate": {"skipped": True, "changed": False}, "bot_gate": {"passed": True, "summary": "connected"}}
    plan = {"parts": ["server", "bot"], "proofs": proofs, "going_to": "", "server": {}, "bot": {}}
    run = outcome.run_of({"host": "here", "is_only_predicted": False, "plan": plan, "came": came})
    assert run.came.server_gate["summary"] == "17 of 22 proven"
    assert run.came.bot_gate["summary"] == "connected"
    after_a_change = {**plan, "proofs": {"server": {}, "bot": {}}}
    run = outcome.run_of({"host": "here", "is_only_predicted": False, "plan": after_a_change, "came": came})
    assert not run.came.proves("server")


def test_a_run_that_asks_for_no_part_is_told_as_well() -> None:
    plan = {"steps": {"any": False}, "absent": []}
    run = outcome.run_of({"host": "here", "is_only_predicted": False, "plan": plan, "came": {}})
    assert outcome.report(run, {}) == ["release: none, as it was"]
    assert outcome.failed(run, "", None)["goes_back"] is False
    assert outcome.story(run, outcome.failed(run, "", None), {}, {}) == "here was not changed."


@pytest.mark.parametrize(
    ("action", "profile", "head", "tells_places"),
    [
        ("nothing", "standard", "server: rosey, nats-server 2.10.7", False),
        ("reload", "high_traffic", "server: rosey, nats-server 2.10.7, profile high_traffic", True),
    ],
)
def test_where_everything_is_is_told_of_what_was_touched(
    action: str, profile: str, head: str, tells_places: bool
) -> None:
    settings = {
        "version": "2.10.7",
        "runtime": "systemd",
        "config_file": "/etc/nats/nats-server.conf",
        "data_dir": "/d",
    }
    release = {"current": RELEASE, "recorded": True}
    server = {"action": action, "reasons": [], "drop_ins": [], "binary": {"installed": True}, "release": release}
    plan = {"parts": ["server"], "proofs": {}, "settings": {"server": settings}, "server": server, "release": release}
    described = {"name": "rosey", "profile": profile, "origin": "", "listens": ["clients 127.0.0.1:4222"]}
    described |= {"log_file": "", "hardening": "", "stop": "systemctl stop nats"}
    run = outcome.run_of({"host": "here", "is_only_predicted": False, "plan": plan, "came": {}})
    lines = outcome.report(run, described)
    assert lines[0] == head
    assert ("stop it: systemctl stop nats" in lines) is tells_places
    assert ("configuration: /etc/nats/nats-server.conf" in lines) is tells_places
