# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment does, as tables: what was found, and the steps; what came of them, and the end."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._bus import decisions
from ansible_collections.rosey.nats.plugins.module_utils._bus.decisions import End, Observed, Outcomes

KNOWN = {"current": "20260131T120000Z-3f2a9c", "recorded": True, "lease": None, "sequence": 1, "drops": []}
OTHER = {**KNOWN, "recorded": False}
SERVER: dict[str, Any] = {
    "action": "nothing",
    "reasons": [],
    "changes": [],
    "packages": [],
    "unit_changed": False,
    "binary": {"installed": True, "linked": True},
    "group_exists": True,
    "user_exists": True,
    "service": {"enabled": True, "pid": 7},
    "store": {"needs_copy": False, "back": None, "next": "/var/lib/nats"},
    "release": KNOWN,
}
BOT: dict[str, Any] = {
    "installed": True,
    "packages": [],
    "changes": [],
    "uncompared": [],
    "action": "nothing",
    "reasons": [],
    "service": {"exists": True},
    "release": KNOWN,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "server": {"runtime": "systemd", "gate": True, "become": True, "monitoring_url": "http://127.0.0.1:8222"},
    "bot": {"gate": "auto", "become": True, "mode": "nats", "home": "/opt/rosey-bot", "service": "cytube-bot"},
    "plugins": {"plugins": []},
}
CHANGE = [{"path": "/etc/nats/nats-server.conf"}]
EMPTY_HOST = {
    "action": "start",
    "changes": CHANGE,
    "packages": ["python3-requests"],
    "unit_changed": True,
    "binary": {"installed": False, "linked": False},
    "group_exists": False,
    "user_exists": False,
    "service": {"enabled": False, "pid": None},
    "release": {**OTHER, "current": None},
}


def observed(
    server: dict[str, Any] | None = None,
    bot: dict[str, Any] | None = None,
    settings: dict[str, dict[str, Any]] | None = None,
    without: str = "",
    **more: Any,
) -> Observed:
    """Give a host on which nothing is to be done, but for what is said."""
    laid_over = {name: {**SETTINGS[name], **(settings or {}).get(name, {})} for name in SETTINGS}
    found: dict[str, Any] = {
        "parts": ("server", "bot", "plugins"),
        "settings": laid_over,
        "server": {**SERVER, **(server or {})},
        "bot": {**BOT, **(bot or {})},
    }
    return Observed(**{**found, **more, **({without: None} if without else {})})


def taken(seen: Observed, proven: tuple[str, ...] = ()) -> set[str]:
    return {name for name, is_taken in decisions.as_result(decisions.steps(seen, proven)).items() if is_taken} - {"any"}


PROVE = {"prove_server", "prove_bot"}
ALONE: dict[str, Any] = {"parts": ("server",), "without": "bot"}


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(observed(), PROVE, id="nothing differs"),
        pytest.param(
            observed(EMPTY_HOST),
            {"claim", "add_packages", "install_binary", "bring_archive", "add_group", "add_user", "configure"}
            | {"run_server"}
            | PROVE,
            id="an empty host",
        ),
        pytest.param(
            observed(EMPTY_HOST, is_only_predicted=True),
            {"add_packages", "install_binary", "bring_archive", "add_group", "add_user", "configure", "run_server"},
            id="an empty host in check mode claims and proves nothing",
        ),
        pytest.param(
            observed({"action": "reload", "changes": CHANGE}),
            {"claim", "configure", "run_server"} | PROVE,
            id="a reload",
        ),
        pytest.param(
            observed({"binary": {"installed": True, "linked": False}}),
            {"claim", "install_binary"} | PROVE,
            id="a binary that is there is only linked",
        ),
        pytest.param(
            observed({"service": {"enabled": False, "pid": 7}}), {"run_server"} | PROVE, id="a service to be enabled"
        ),
        pytest.param(observed({"unit_changed": True}), {"run_server"} | PROVE, id="a unit that systemd has not read"),
        pytest.param(
            observed({"store": {"needs_copy": True, "back": None, "next": "/x"}}),
            {"copy_store"} | PROVE,
            id="a store to be copied",
        ),
        pytest.param(
            observed({"store": {"needs_copy": False, "back": "/copy", "next": "/x"}}),
            {"bring_back"} | PROVE,
            id="streams to be brought back",
        ),
        pytest.param(
            observed(
                {"store": {"needs_copy": False, "back": "/copy", "next": "/x"}},
                settings={"server": {"monitoring_url": None}},
            ),
            PROVE,
            id="nobody to ask what is missing",
        ),
        pytest.param(observed({"release": OTHER}), {"claim"} | PROVE, id="a release to be recorded"),
        pytest.param(
            observed({"release": OTHER}, settings={"server": {"gate": False}}),
            {"prove_bot"},
            id="what is not proven is not recorded",
        ),
        pytest.param(observed({"release": {**KNOWN, "lease": {}}}), {"claim"} | PROVE, id="a lease that was left"),
        pytest.param(observed(release="20260131T120000Z-3f2a9c"), {"claim"} | PROVE, id="a release to go to"),
        pytest.param(observed(bot={"release": OTHER}), {"claim"} | PROVE, id="a bot to be recorded"),
        pytest.param(
            observed(bot={"release": OTHER}, settings={"bot": {"gate": "never"}}),
            {"prove_server"},
            id="a bot that is not asked",
        ),
        pytest.param(
            observed(bot={"release": {**KNOWN, "drops": ["bot"]}}), {"claim"} | PROVE, id="a bot that is let go"
        ),
        pytest.param(
            observed(bot={"action": "restart", "changes": CHANGE}),
            {"claim", "configure", "run_bot"} | PROVE,
            id="a bot to be restarted",
        ),
        pytest.param(
            observed(bot={"action": "restart", "changes": CHANGE}, stops_bot_first=True),
            {"claim", "stop_bot", "configure", "run_bot"} | PROVE,
            id="a bot to be stopped first",
        ),
        pytest.param(observed(stops_bot_first=True), PROVE, id="a bot that is as it shall be is not stopped"),
        pytest.param(
            observed(bot={"action": "restart", "changes": CHANGE}, is_only_predicted=True),
            {"configure", "run_bot", "prove_server"},
            id="what is only predicted is not proven",
        ),
        pytest.param(
            observed(bot={"installed": False, "service": {"exists": False}, "changes": CHANGE}),
            {"claim", "prove_server"},
            id="a bot that is not installed has no files",
        ),
        pytest.param(
            observed(bot={"service": {"exists": False}}, settings={"bot": {"gate": "always"}}),
            PROVE,
            id="a bot that has to be there",
        ),
        pytest.param(
            observed(bot={"packages": ["python3-yaml"]}),
            {"claim", "add_packages", "configure"} | PROVE,
            id="a bot's file that can't be read yet",
        ),
        pytest.param(
            observed(settings={"server": {"runtime": "docker"}}, **ALONE),
            {"run_server", "prove_server"},
            id="a container is for Docker to look at",
        ),
        pytest.param(
            observed({"binary": {"installed": False, "linked": False}}, settings={"server": {"runtime": "docker"}}),
            {"run_server"} | PROVE,
            id="a container brings its binary",
        ),
    ],
)
def test_the_steps_of_a_deployment(seen: Observed, expected: set[str]) -> None:
    assert taken(seen) == expected


@pytest.mark.parametrize(
    ("seen", "at_once"),
    [
        (observed(), True),
        (observed(is_only_predicted=True), True),
        (observed(**ALONE), True),
        (observed({"action": "reload", "changes": CHANGE}), False),
        (observed({"release": OTHER}), False),
        (observed({"unit_changed": True}), False),
        (observed(settings={"bot": {"become": False}}), False),
        (observed(settings={"server": {"runtime": "docker"}}), False),
        (observed(release="20260131T120000Z-3f2a9c"), False),
    ],
)
def test_only_a_host_with_nothing_to_do_is_proven_at_once(seen: Observed, at_once: bool) -> None:
    assert seen.can_be_proven_at_once is at_once
    if at_once:
        assert taken(seen, ("server", "bot")) == set()


def test_nothing_is_asked_twice() -> None:
    assert taken(observed(), ("server",)) == {"prove_bot"}


def test_what_is_not_there_is_said() -> None:
    assert decisions.absent(observed()) == decisions.absent(observed(**ALONE)) == []
    assert "/opt/rosey-bot is not there" in decisions.absent(observed(bot={"installed": False}))[0]
    assert "cytube-bot.service is not there" in decisions.absent(observed(bot={"service": {"exists": False}}))[0]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (observed(), []),
        (observed({"packages": ["python3-requests"]}), ["the running server: python3-requests"]),
        (observed({"packages": ["python3-requests"], "service": {"enabled": True, "pid": None}}), []),
        (
            observed(
                {"packages": ["python3-requests"], "service": {"enabled": True, "pid": None}},
                settings={"server": {"runtime": "docker"}},
            ),
            ["the running server: python3-requests"],
        ),
        (
            observed(bot={"packages": ["python3-yaml"], "uncompared": ["/opt/x.yaml"]}, is_only_predicted=True),
            ["/opt/x.yaml: python3-yaml"],
        ),
        (
            observed(bot={"packages": ["python3-yaml"]}, is_only_predicted=True, release="20260131T120000Z-3f2a9c"),
            ["the bot's file: python3-yaml"],
        ),
    ],
)
def test_what_can_not_be_predicted_is_said(seen: Observed, expected: list[str]) -> None:
    found = decisions.unpredicted(seen)
    assert len(found) == len(expected)
    assert all(line.startswith(begin) for line, begin in zip(found, expected, strict=True))


HELD = {"lease": {"lease": {"sequence": 1}}}
CHANGED, FAILED, SKIPPED = {"changed": True}, {"failed": True}, {"changed": False, "skipped": True}


def came(**outcomes: Any) -> Outcomes:
    return Outcomes(**outcomes)


@pytest.mark.parametrize(
    ("outcomes", "action", "expected"),
    [
        ({}, "restart", False),
        ({"tree": CHANGED}, "restart", False),  # without the lease nothing was begun
        (HELD, "restart", False),
        ({**HELD, "tree": CHANGED}, "restart", True),
        ({**HELD, "tree": {**FAILED, "touched": False}}, "restart", False),
        ({**HELD, "tree": {**FAILED, "touched": True}}, "restart", True),
        ({**HELD, "tree": FAILED}, "restart", True),  # it died
        ({**HELD, "binary": CHANGED}, "restart", True),
        ({**HELD, "binary": FAILED}, "restart", False),  # it refused
        ({**HELD, "binary": {**FAILED, "module_stdout": ""}}, "restart", True),  # it died
        ({**HELD, "stopped": CHANGED}, "restart", True),
        ({**HELD, "stopped": FAILED}, "restart", True),
        ({**HELD, "brought_back": FAILED}, "nothing", True),
        ({**HELD, "server": {"changed": False}}, "restart", True),
        ({**HELD, "server": FAILED}, "restart", False),
        ({**HELD, "server": {"changed": False}}, "nothing", False),
        ({**HELD, "server": CHANGED}, "nothing", True),
        ({**HELD, "bot": FAILED}, "nothing", True),
        ({**HELD, "packages": CHANGED, "group": CHANGED, "user": CHANGED}, "start", False),  # what is never taken back
        ({**HELD, "copied": CHANGED}, "nothing", False),
    ],
)
def test_a_host_goes_back_where_something_has_changed_on_it(
    outcomes: dict[str, Any], action: str, expected: bool
) -> None:
    assert decisions.has_switched(came(**outcomes), action, stops_bot=False) is expected
    assert decisions.has_switched(came(**outcomes), action, stops_bot=True) is ("lease" in outcomes)


def plan(seen: Observed) -> dict[str, Any]:
    return seen.as_result()


PASSED = {"passed": True}
BOTH = {"server_gate": PASSED, "bot_gate": PASSED}
DIFFERS = observed({"action": "reload", "changes": CHANGE, "release": OTHER})
LEGACY = {"bot": {"mode": "legacy"}}


@pytest.mark.parametrize(
    ("seen", "outcomes", "expected"),
    [
        pytest.param(observed(), BOTH, End.NONE, id="no lease"),
        pytest.param(
            DIFFERS,
            {**HELD, **BOTH, "tree": {"changes": [], **CHANGED}, "server": CHANGED},
            End.RECORDED,
            id="proven",
        ),
        pytest.param(DIFFERS, {**HELD, "tree": {"changes": []}, "server": CHANGED}, End.ENDED, id="not asked"),
        pytest.param(DIFFERS, {**HELD, **BOTH, "server": CHANGED}, End.ENDED, id="files left out by a tag"),
        pytest.param(DIFFERS, {**HELD, **BOTH, "tree": {"changes": []}}, End.ENDED, id="a reload left out by a tag"),
        pytest.param(
            observed(bot={"action": "restart", "changes": CHANGE}),
            {**HELD, **BOTH, "tree": {"changes": []}},
            End.ENDED,
            id="the bot's restart left out by a tag",
        ),
        pytest.param(observed({"release": OTHER}), {**HELD, **BOTH}, End.RECORDED, id="only to be recorded"),
        pytest.param(
            observed(release="20260131T120000Z-3f2a9c"), {**HELD, **BOTH}, End.CURRENT, id="a release was gone to"
        ),
        pytest.param(
            observed(settings=LEGACY, parts=("bot",), without="server"), HELD, End.CURRENT, id="legacy, and not asked"
        ),
        pytest.param(
            observed(settings=LEGACY, parts=("bot",)), {**HELD, "bot_gate": PASSED}, End.RECORDED, id="legacy, proven"
        ),
    ],
)
def test_how_the_lease_ends(seen: Observed, outcomes: dict[str, Any], expected: End) -> None:
    assert decisions.end(plan(seen), came(**outcomes)) is expected


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ({}, []),
        ({"server_gate": PASSED}, ["server"]),
        ({"bot_gate": PASSED}, ["bot", "plugins"]),
        (BOTH, ["server", "bot", "plugins"]),
        ({"server_gate": {"passed": False}, "bot_gate": SKIPPED}, []),
    ],
)
def test_what_was_proven(outcomes: dict[str, Any], expected: list[str]) -> None:
    assert decisions.proven_parts(("server", "bot", "plugins"), came(**outcomes)) == expected


def test_rights_are_those_of_what_is_applied() -> None:
    other = {"bot": {"become": False}}
    assert plan(observed(settings=other))["become"] == {"server": True, "bot": False, "any": True}
    alone = observed(settings=other, parts=("bot",))
    assert plan(Observed(alone.parts, alone.settings, None, alone.bot))["become"] == {
        "server": False,
        "bot": False,
        "any": False,
    }
