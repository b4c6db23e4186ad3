# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._bot import bot_python, round_trip
from ansible_collections.rosey.nats.plugins.module_utils._bot.round_trips import Trips
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import plugin
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.bot_evidence import Client, File
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.plugin_evidence import (
    Evidence,
    Plugin,
    Running,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.refusals import Refused, ServerLog
from ansible_collections.rosey.nats.tests.unit.plugins.module_utils._watch.diagnosis import test_bot as of_bot

DIRECTORY = of_bot.DESCRIBED.directory / "plugins"
LOG = "/opt/rosey-bot/logs/plugins/quotes.log"
QUOTE, ADDQUOTE = "rosey.prod.commands.quote", "rosey.prod.commands.addquote"
QUOTES = f"""name: quotes
enabled: true
subscriptions: [{QUOTE}, {ADDQUOTE}]
"""
BOT, OWN, OTHER = "rosey-bot-prod", "rosey-bot-prod-quotes", "rosey-bot-prod-trivia"
GONE = of_bot.GONE
ENDED = "FileNotFoundError: [Errno 2] No such file or directory: '/nowhere.json'"
DENIED = Trips(stopped=round_trip.SILENCE, cause=f'nats: permissions violation for publish to "{QUOTE}"')


MAY_QUOTE = {"publish": {"allow": ["rosey.prod.cytube.chat.message"]}, "subscribe": {"allow": [QUOTE, ADDQUOTE]}}
OF_EACH = replace(of_bot.DESCRIBED, clients={"quotes": Client("/p/quotes.env", MAY_QUOTE)})


def each_refused(**refused: Refused) -> ServerLog:
    return ServerLog(clients=refused)


def file(text: str | None = QUOTES, **facts: Any) -> File:
    return File(DIRECTORY / "quotes.yaml", None if text is None else text.encode(), **facts)


def quotes(**changes: Any) -> Plugin:
    given = {"file": file(), "processes": (Running(9, "S", 100.0),), **changes}
    return Plugin("quotes", (QUOTE, ADDQUOTE), **given)


def connections(**held: list[str]) -> tuple[dict[str, Any], ...]:
    """Give what the server has, by the last part of the connection's name; the bot's own is there."""
    own = {"cid": 1, "name": BOT, "subscriptions_list": ["rosey.prod.cytube.chat.message"]}
    return (
        own,
        *({"cid": 2, "name": f"{BOT}-{name}", "subscriptions_list": subjects} for name, subjects in held.items()),
    )


HELD = connections(quotes=[QUOTE, ADDQUOTE])
ON_BUS = replace(of_bot.SEEN, told=of_bot.TELLS, connections=HELD, section=of_bot.section())
SEEN = Evidence(ON_BUS, (quotes(),), ServerLog(), bot_age=100.0, probed=QUOTE, trips=Trips((0.5,)))


def seen(*plugins: Plugin, bot: dict[str, Any] | None = None, **changes: Any) -> Evidence:
    return replace(SEEN, bot=replace(ON_BUS, **(bot or {})), plugins=plugins or SEEN.plugins, **changes)


def lost(held: tuple[dict[str, Any], ...] = connections(other=[]), **changes: Any) -> dict[str, Any]:
    """Give the changes to a bot whose server does not hold what quotes declares."""
    return {"connections": held, **changes}


def found(evidence: Evidence) -> list[tuple[str, str]]:
    """Give the causes by name, each with the rest of it as a text."""
    causes = plugin.diagnosis(evidence).causes
    assert all(cause.evidence and cause.remedy for cause in causes)
    return [(cause.name, f"{cause.cause}: {of_bot.text(cause)}") for cause in causes]


def test_a_healthy_plugin_has_nothing_to_explain() -> None:
    diagnosis = plugin.diagnosis(SEEN)
    assert diagnosis.causes == ()
    assert diagnosis.healthy == ("the prefix of the bot", "the plugins quotes")


@pytest.mark.parametrize(
    ("evidence", "name", "said"),
    [
        # its file
        (
            seen(quotes(file=file(None))),
            "plugin_file_missing",
            "plugin quotes: its file is not there: certain: no /opt",
        ),
        (seen(quotes(file=file(forbidden=Path("/opt")))), "plugin_file_unreadable", "it is stopped at /opt;"),
        (
            seen(quotes(file=file(forbidden=DIRECTORY / "quotes.yaml"))),
            "plugin_file_unreadable",
            "rosey may not read /opt/rosey-bot/environments/production/plugins/quotes.yaml; chown",
        ),
        (seen(quotes(file=file("a: ["))), "plugin_file_broken", "quotes.yaml: line 1 is no YAML;"),
        (seen(quotes(file=file("enabled: false"))), "plugin_disabled", "enabled: expected true, found false"),
        (seen(quotes(file=file("enabled: 'yes'"))), "plugin_disabled", "enabled: expected true, found yes"),
        (
            seen(quotes(file=file(f"subscriptions: [{ADDQUOTE}]")), bot=lost()),
            "subscription_not_in_file",
            f"quotes.yaml: subscriptions: expected {QUOTE}, found none that covers it;",
        ),
        (
            seen(quotes(file=file("subscriptions: rosey.prod.>")), bot=lost()),
            "subscription_not_in_file",
            f"expected {ADDQUOTE}",
        ),
        (
            seen(quotes(file=file(f"subscriptions: [rosey.dev.commands.quote, {ADDQUOTE}]")), bot=lost()),
            "prefix_mixed_up",
            f"quotes.yaml: expected {QUOTE}, found rosey.dev.commands.quote;",
        ),
        (
            seen(bot={"section": of_bot.section(of_bot.SECTION.replace("rosey.prod\n", "rosey.dev\n"))}),
            "bot_prefix_mixed_up",
            "config.yaml: nats.prefix: expected rosey.prod, found rosey.dev; deploy again",
        ),
        # what the server holds of it
        (seen(quotes(file=file(is_newer=True)), bot=lost()), "plugin_not_restarted", "systemctl restart cytube-bot"),
        (
            seen(bot=lost(connections(quotes=[ADDQUOTE])), log=ServerLog(unheard=frozenset({QUOTE, "other"}))),
            "subscribe_denied",
            f"certain: the log of nats-server: Subscription Violation, Subject {QUOTE};",
        ),
        (
            seen(bot=lost(limits={"max_connections": 2, "connections": 2})),
            "max_connections_reached",
            "2 open; they are of rosey-bot-prod (1), rosey-bot-prod-other (1);",
        ),
        (
            seen(bot=lost(limits={"max_subscriptions": 1}), log=ServerLog(limits=frozenset({"max_subscriptions"}))),
            "max_subscriptions_reached",
            "max_subscriptions: 1; quotes declares 2;",
        ),
        (
            seen(quotes(said=("a", ENDED)), bot=lost()),
            "plugin_dies",
            f"likely: process 9 is 100 seconds old; {LOG}: {ENDED}",
        ),
        (
            seen(quotes(processes=(Running(9, "S", 0.5),)), bot=lost()),
            "plugin_dies",
            "process 9 is 0 seconds old",
        ),
        (
            seen(
                quotes(processes=()),
                Plugin("trivia", (), file("enabled: true"), (Running(8, "S", 100.0),)),
                bot=lost(),
            ),
            "plugin_dies",
            "it has no process;",
        ),
        # what another connection holds does not count
        (
            seen(bot=lost(connections(quotes=[ADDQUOTE], trivia=[QUOTE]))),
            "subscription_not_held",
            f"likely: no subscription that covers {QUOTE} is held by it; look",
        ),
        (
            seen(bot=lost((*connections(quotes=[ADDQUOTE]), {"cid": 3, "name": BOT, "subscriptions_list": [QUOTE]}))),
            "subscription_not_held",
            QUOTE,
        ),
        (seen(quotes(processes=(Running(9, "S", 98.5),)), bot=lost(limits=GONE)), "subscription_not_held", QUOTE),
        # a bot whose plugins have no processes of their own
        (seen(quotes(processes=()), bot=lost()), "subscription_not_held", f"no subscription that covers {QUOTE}"),
        (seen(quotes(said=("x",)), bot=lost()), "subscription_not_held", f"is held by it; {LOG}: x;"),
        # whether it answers
        (seen(quotes(processes=(Running(9, "T", 100.0),))), "plugin_hangs", "process 9 is in state T"),
        (seen(quotes(processes=(Running(9, "t", 100.0),))), "plugin_hangs", "process 9 is in state t"),
        (
            seen(log=ServerLog("rosey", unsaid=frozenset({QUOTE, "rosey.prod.cytube.chat.message"})), trips=DENIED),
            "publish_denied",
            f"certain: the log of nats-server: Publish Violation, Subject {QUOTE};",
        ),
        # whose they are is not known, where the bot has no user's name
        (seen(log=ServerLog(unsaid=frozenset({QUOTE}))), "publish_denied", "possible: the log of nats-server"),
        # where each client has a credential of its own
        (
            seen(
                bot=lost(connections(quotes=[ADDQUOTE]), described=OF_EACH),
                log=each_refused(quotes=Refused(unheard=frozenset({QUOTE}))),
            ),
            "subscribe_denied",
            f"Subject {QUOTE}; deploy again, which lets quotes do what is declared of it: commands.quote",
        ),
        (
            seen(bot={"described": OF_EACH}, log=each_refused(bot=Refused(unsaid=frozenset({QUOTE, "rosey.prod.x"})))),
            "publish_denied",
            f"certain: the log of nats-server: Publish Violation, Subject {QUOTE}; add commands.quote to publishes of "
            "bot_plugins_bot",
        ),
        (
            seen(
                bot={"described": OF_EACH}, log=each_refused(quotes=Refused(unsaid=frozenset({"rosey.prod.system.x"})))
            ),
            "plugin_refused",
            "certain: the log of nats-server: quotes was refused to publish rosey.prod.system.x; add system.x to "
            "publishes of plugin quotes in bot_plugins_declared, or take it out of the plugin's code",
        ),
        (seen(trips=Trips(stopped=round_trip.SILENCE)), "plugin_silent", f"likely: a request on {QUOTE}: silence;"),
        (seen(trips=DENIED), "plugin_silent", f"silence, {DENIED.cause};"),
        (seen(trips=Trips(stopped=round_trip.NOBODY)), "plugin_silent", "nobody"),
        (
            seen(quotes(added=("Traceback (most recent call last):", "sqlite3.OperationalError: no such table", ""))),
            "plugin_fails",
            f"likely: {LOG}: sqlite3.OperationalError: no such table;",
        ),
        (
            seen(bot={"described": replace(of_bot.DESCRIBED, published=("cytube.>", QUOTE))}),
            "nobody_publishes",
            f"possible: {ADDQUOTE} is among the publishes of no plugin",
        ),
        # what could not be looked at
        (seen(bot={"connections": GONE}), "not_seen", "it is gone"),
        (seen(bot={"connections": ({"cid": 1, "name": 3},)}), "not_seen", "connection 1 has no list of subjects"),
        (seen(quotes(file=GONE)), "not_seen", "it is gone"),
        (seen(trips=Trips(stopped=bot_python.NO_PYTHON, cause="python: gone")), "not_seen", "python: gone"),
        (seen(bot=lost(), log=GONE), "not_seen", "it is gone"),
    ],
)
def test_a_cause_is_named(evidence: Evidence, name: str, said: str) -> None:
    causes = found(evidence)
    assert [each for each, _text in causes] == [name]
    assert said in causes[0][1]


@pytest.mark.parametrize(
    "evidence",
    [
        # what the server holds counts more than what a file says
        seen(quotes(file=file("name: quotes"))),
        seen(quotes(file=file(is_newer=True))),
        seen(
            quotes(file=file("subscriptions: ['rosey.prod.commands.*']")),
            bot=lost(connections(quotes=["rosey.prod.>"])),
        ),
        # all plugins share the bot's connection
        seen(bot=lost(({"cid": 1, "name": BOT, "subscriptions_list": [QUOTE, ADDQUOTE]},))),
        # no connection bears the bot's name, so any counts
        seen(bot=lost(({"cid": 1, "name": "", "subscriptions_list": ["rosey.>"]},))),
        seen(trips=None),
        seen(probed="rosey.prod.commands.roll", trips=DENIED),
        seen(quotes(said=(ENDED,))),
        seen(quotes(added=("INFO all is well",))),
        seen(
            log=ServerLog(
                "rosey", frozenset({QUOTE}), frozenset({"rosey.prod.commands.roll"}), frozenset({"max_subscriptions"})
            )
        ),
        seen(bot={"described": replace(of_bot.DESCRIBED, published=("commands.>",))}),
        seen(bot={"described": replace(of_bot.DESCRIBED, legacy=True), "told": {}}),
    ],
)
def test_what_is_no_cause_is_not_named(evidence: Evidence) -> None:
    assert found(evidence) == []


@pytest.mark.parametrize(
    ("evidence", "names"),
    [
        # the bot's causes come first, and of the plugins what their files say
        (
            seen(
                quotes(file=file("enabled: false")),
                bot={"told": {}, "connections": (), "section": of_bot.section("a: b")},
            ),
            ["section_missing", "plugin_disabled"],
        ),
        (
            seen(bot={"told": {}, "connections": (), "unit": of_bot.unit(ActiveState="inactive")}),
            ["bot_stopped"],
        ),
        # of one plugin what comes later is not asked; others are
        (
            seen(
                quotes(file=file("enabled: false"), processes=(Running(9, "T", 1.0),)),
                Plugin("trivia", ("rosey.prod.commands.trivia",), file(None)),
            ),
            ["plugin_disabled", "plugin_file_missing"],
        ),
        # what all have is told once
        (
            seen(
                quotes(),
                Plugin("trivia", (QUOTE,), file()),
                bot=lost(limits={"max_connections": 1, "connections": 1}),
            ),
            ["max_connections_reached"],
        ),
    ],
)
def test_what_comes_first(evidence: Evidence, names: list[str]) -> None:
    assert [name for name, _text in found(evidence)] == names


@pytest.mark.parametrize(
    ("number", "healthy"),
    [
        (0, []),
        (1, ["the plugins p0"]),
        (5, ["the plugins p0, p1, p2, p3, p4"]),
        (8, ["the plugins p0, p1, p2, p3, p4 and 3 more"]),
    ],
)
def test_healthy_plugins_are_named_up_to_a_number(number: int, healthy: list[str]) -> None:
    many = tuple(Plugin(f"p{each}", (), file("enabled: true")) for each in range(number))
    diagnosis = plugin.diagnosis(replace(SEEN, plugins=(*many, quotes(file=file(None)))))
    assert diagnosis.healthy == ("the prefix of the bot", *healthy)
    assert [cause.name for cause in diagnosis.causes] == ["plugin_file_missing"]


def test_of_a_bot_that_is_not_on_the_bus_nothing_is_healthy() -> None:
    assert plugin.diagnosis(seen(bot={"told": {}, "connections": ()})).healthy == ()


def test_a_bot_without_nats_has_no_plugins_to_explain() -> None:
    legacy = seen(bot={"described": replace(of_bot.DESCRIBED, legacy=True)})
    assert plugin.diagnosis(legacy).healthy == ("without NATS no plugin is described to listen",)
