# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Severity
from ansible_collections.rosey.nats.plugins.plugin_utils import contract, plugins

ROOT = Path(__file__).parents[4]
DECLARED: list[plugins.Plugin] = yaml.safe_load((ROOT / "inventories" / "common" / "plugins.yml").read_text())[
    "bot_plugins_declared"
]
PREFIX = "rosey.prod"
BOT = {
    "subscriptions": ["cytube.chat.message", "plugin.*.response", "plugin.*.event"],
    "publishes": ["cytube.>", "commands.>", "system.>", "plugin.*.request"],
}
SILENT: dict[str, list[str]] = {"subscriptions": [], "publishes": []}
Found = list[tuple[str, str, Any]]


def check(*declared: dict[str, Any], bot: dict[str, Any] | None = None) -> contract.Contract:
    return contract.check(plugins.effective(list(declared), {}, PREFIX), PREFIX, BOT if bot is None else bot)


def found(checked: contract.Contract) -> Found:
    return [(str(finding.severity), finding.plugin, finding.subject) for finding in checked.findings]


def said(checked: contract.Contract) -> list[str]:
    return [str(finding) for finding in checked.findings]


def test_the_guides_plugins_fit_but_for_trivia_which_hears_itself() -> None:
    checked = check(*DECLARED)
    assert said(checked) == [
        'trivia: "rosey.prod.cytube.chat.message" is published and listened to by this plugin, so that it '
        "hears itself; make sure that it ignores what it sent, or remove one of the two"
    ]
    assert found(checked)[0][0] == "warning"


@pytest.mark.parametrize(
    ("subject", "problem"),
    [
        ("commands..quote", '"commands..quote" is no subject, for it has an empty token'),
        ("", '"" is no subject, for it is empty'),
        ("commands.a b", '"commands.a b" is no subject, for it has whitespace in it'),
        ("commands.>.x", '"commands.>.x" is no subject, for it goes on after >'),
        (
            "rosey.staging.commands.quote",
            '"rosey.staging.commands.quote" has the prefix of staging; expected rosey.prod; '
            "write it without a prefix, as commands.quote",
        ),
        ("rosey.dev.x", '"rosey.dev.x" has the prefix of development; expected rosey.prod; write it without'),
        ("rosey.prod", '"rosey.prod" is neither relative nor one of rosey.prod.>; write it without a prefix'),
        ("rosey.prod2.commands.a", '"rosey.prod2.commands.a" is neither relative nor one of rosey.prod.>'),
        ("rosey.*.commands.a", '"rosey.*.commands.a" is neither relative nor one of rosey.prod.>'),
        ("rosey.>", '"rosey.>" is neither relative nor one of rosey.prod.>'),
        (
            "command.quote",
            '"rosey.prod.command.quote" has the root command, which is none of cytube, commands, plugin, system; '
            "the nearest is commands",
        ),
        ("zzz", '"rosey.prod.zzz" has the root zzz, which is none of cytube, commands, plugin, system; begin it'),
        ("$SYS.a", '"rosey.prod.$SYS.a" has the root $SYS, which is none of'),
    ],
)
def test_a_misplaced_subject_is_an_error_and_nothing_else(subject: str, problem: str) -> None:
    checked = check({"name": "quotes", "subscriptions": [subject]})
    assert [finding.severity for finding in checked.findings] == [Severity.ERROR]
    assert said(checked)[0].startswith(f"quotes: {problem}")
    assert [route.subject for route in checked.routes] == [route.subject for route in check().routes]
    assert said(check({"name": "quotes", "publishes": [subject]}))[0] == said(checked)[0]
    assert said(check(bot={**BOT, "subscriptions": [subject]}))[0].startswith(f"the bot: {problem}")


@pytest.mark.parametrize(
    ("subject", "problem"),
    [
        ("commands.*", "is published with a wildcard, and only a subscription may have one; name each subject"),
        ("cytube.>", "is published with a wildcard"),
        ("plugin.*.response", "is published with a wildcard"),
        ("plugin.trivia.response", "is the response of plugin trivia; remove it, for only trivia answers there"),
        ("plugin.trivia.response.more", "is the response of plugin trivia"),
    ],
)
def test_what_may_not_be_published_is_an_error(subject: str, problem: str) -> None:
    checked = check({"name": "quotes", "publishes": [subject]})
    assert [finding.severity for finding in checked.findings] == [Severity.ERROR]
    assert said(checked)[0].startswith(f'quotes: "rosey.prod.{subject}" {problem}')


def test_a_foreign_wildcard_that_is_published_is_both() -> None:
    problems = [finding.problem for finding in check({"name": "a", "publishes": ["rosey.dev.cytube.>"]}).findings]
    assert [problem.split(",")[0] for problem in problems] == [
        "has the prefix of development; expected rosey.prod",
        "is published with a wildcard",
    ]


@pytest.mark.parametrize(
    "declared",
    [
        {"publishes": ["plugin.quotes.response"]},
        {"publishes": ["plugin.quotes.event"]},
        {"publishes": ["cytube.chat.message"]},
        {"publishes": ["rosey.prod.cytube.chat.message"]},
        {"subscriptions": ["commands.*"]},
        {"subscriptions": [">"]},
        {"subscriptions": ["*.chat.message"]},
        {"subscriptions": ["plugin.quotes.request"]},
        {"subscriptions": ["system.started"]},
    ],
)
def test_what_fits_is_no_finding(declared: dict[str, Any]) -> None:
    assert said(check({"name": "quotes", **declared})) == []


def test_another_plugins_response_may_be_listened_to() -> None:
    asked = {"name": "trivia", "publishes": ["plugin.trivia.response"]}
    assert said(check(asked, {"name": "quotes", "subscriptions": ["plugin.trivia.response"]})) == []


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ({"publishes": ["commands.roll"]}, [("warning", "a", "rosey.prod.commands.roll")]),
        ({"subscriptions": ["plugin.b.event"]}, [("warning", "a", "rosey.prod.plugin.b.event")]),
        ({"subscriptions": ["plugin.b.>"]}, []),
        ({"subscriptions": ["plugin.*.event"]}, [("warning", "a", "rosey.prod.plugin.*.event")]),
        (
            {"subscriptions": ["cytube.>"], "publishes": ["cytube.chat.message"]},
            [("warning", "a", "rosey.prod.cytube.chat.message")],
        ),
        ({"publishes": ["commands.roll", "commands.roll"]}, [("warning", "a", "rosey.prod.commands.roll")]),
    ],
)
def test_what_may_be_an_oversight_is_a_warning(declared: dict[str, Any], expected: Found) -> None:
    assert found(check({"name": "a", **declared})) == expected


def test_the_warnings_say_what_to_do() -> None:
    checked = check({"name": "a", "publishes": ["commands.roll"], "subscriptions": ["plugin.b.event"]})
    assert checked.texts(Severity.WARNING) == [
        'a: "rosey.prod.plugin.b.event" is listened to, and nobody sends it; '
        "let somebody publish it, or remove it from subscriptions",
        'a: "rosey.prod.commands.roll" is published, and nobody listens to it; '
        "let somebody subscribe to it, or remove it from publishes",
    ]
    assert checked.texts(Severity.ERROR) == []


def test_another_plugin_is_enough_to_be_heard() -> None:
    sender = {"name": "a", "publishes": ["plugin.a.event"]}
    listener = {"name": "b", "subscriptions": ["plugin.*.event"]}
    assert said(check(sender, listener, bot=SILENT)) == []
    assert found(check(sender, {**listener, "enabled": False}, bot=SILENT)) == [
        ("warning", "a", "rosey.prod.plugin.a.event")
    ]
    assert found(check({**sender, "enabled": False}, listener, bot=SILENT)) == [
        ("warning", "b", "rosey.prod.plugin.*.event")
    ]


def test_a_disabled_plugin_counts_as_absent() -> None:
    absent = {"name": "a", "enabled": False, "subscriptions": ["x..y"], "publishes": ["rosey.dev.a", "cytube.*"]}
    assert check(absent) == check()


def test_only_what_the_bot_names_itself_can_be_an_oversight_of_the_bot() -> None:
    bot = {"subscriptions": ["plugin.roll.event", "plugin.*.response"], "publishes": ["system.started", "system.>"]}
    assert found(check(bot=bot)) == [
        ("warning", "the bot", "rosey.prod.plugin.roll.event"),
        ("warning", "the bot", "rosey.prod.system.started"),
    ]
    assert found(check(bot={"subscriptions": ["cytube.a"], "publishes": ["cytube.a"]})) == []


def test_two_plugins_of_one_name_are_an_error() -> None:
    twin = plugins.effective([{"name": "a", "subscriptions": ["commands.a"]}], {}, PREFIX)
    checked = contract.check(twin * 2, PREFIX, BOT)
    assert said(checked) == ["a: 2 plugins have this name; rename or remove all but one"]
    assert found(checked) == [("error", "a", None)]
    assert said(contract.check([*twin, {**twin[0], "enabled": False}], PREFIX, BOT)) == []


def test_errors_come_first_and_each_in_order() -> None:
    one = {"name": "b", "subscriptions": ["plugin.x.event"], "publishes": ["x.y"]}
    other = {"name": "a", "subscriptions": ["plugin.y.event"], "publishes": ["y.z"]}
    assert [line[:2] for line in found(check(one, other))] == [
        *(("error", "b"), ("error", "a"), ("warning", "b"), ("warning", "a"))
    ]


@pytest.mark.parametrize("bot", [{"subscriptions": "cytube.>"}, {"publishes": [5]}, {"publishes": None}])
def test_traffic_of_the_bot_that_is_no_list_is_refused(bot: dict[str, Any]) -> None:
    with pytest.raises(plugins.PluginsError, match=r"^the bot: (subscriptions|publishes): .* is no list of subjects"):
        check(bot=bot)


def test_a_finding_as_data() -> None:
    (finding,) = check({"name": "a", "publishes": ["commands.roll"]}).findings
    assert finding.as_result() == {
        "severity": "warning",
        "plugin": "a",
        "subject": "rosey.prod.commands.roll",
        "problem": "is published, and nobody listens to it",
        "remedy": "let somebody subscribe to it, or remove it from publishes",
    }


def test_the_table_shows_who_reaches_whom() -> None:
    bot = {"subscriptions": ["cytube.chat.message"], "publishes": ["commands.>"]}
    quotes = {
        "name": "quotes",
        "subscriptions": ["commands.quote"],
        "publishes": ["cytube.chat.message", "plugin.quotes.event"],
    }
    trivia = {"name": "trivia", "subscriptions": ["cytube.>", "rosey.dev.x"], "publishes": ["cytube.chat.message"]}
    assert contract.table(check(trivia, quotes, bot=bot).routes) == [
        "subject                        | published by   | listened to by",
        "------------------------------ | -------------- | ---------------",
        "rosey.prod.commands.>          | the bot        | quotes",
        "rosey.prod.commands.quote      | the bot        | quotes",
        "rosey.prod.cytube.>            | quotes, trivia | the bot, trivia",
        "rosey.prod.cytube.chat.message | quotes, trivia | the bot, trivia",
        "rosey.prod.plugin.quotes.event | quotes         | -",
    ]


def test_the_table_breaks_long_lists_of_names() -> None:
    listeners = [{"name": f"listener-{number}", "subscriptions": ["commands.all"]} for number in range(4)]
    bot = {"subscriptions": [], "publishes": ["commands.all"]}
    assert contract.table(check(*listeners, bot=bot).routes)[2:] == [
        "rosey.prod.commands.all | the bot      | listener-0, listener-1, listener-2,",
        "                        |              | listener-3",
    ]


def test_the_table_of_nothing_is_its_head() -> None:
    assert contract.table(()) == [
        "subject | published by | listened to by",
        "------- | ------------ | --------------",
    ]


@pytest.mark.parametrize(
    ("subscriptions", "publishes"),
    [
        (["commands.c{0}", "plugin.p{0}.request"], ["cytube.chat.message", "plugin.p{0}.event"]),
        (["plugin.p{0}.>", "commands.*.c{0}"], ["plugin.p{0}.event", "cytube.{0}.{0}"]),
    ],
)
def test_a_thousand_plugins_take_no_time(subscriptions: list[str], publishes: list[str]) -> None:
    described = [
        {
            "name": f"p{number}",
            "subscriptions": [subject.format(number) for subject in subscriptions],
            "publishes": [subject.format(number) for subject in publishes],
        }
        for number in range(1000)
    ]
    effective = plugins.effective(described, {}, PREFIX)
    started = time.process_time()
    contract.table(contract.check(effective, PREFIX, BOT).routes)
    assert time.process_time() - started < 5  # a comparison of all with all takes 30 s
