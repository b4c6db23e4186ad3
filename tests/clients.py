# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clients of a bus where each has a credential of its own: what the contract lets each do, and what a server lets.

What the contract comes to is written down here anew, so that it is compared with what was compiled.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import shlex
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nats.aio.client import Client

from ansible_collections.rosey.nats.plugins.module_utils._server import subjects

OWN = ("probe", "deployment", "operator", "system")
BOT = {
    "subscriptions": ["cytube.chat.message", "plugin.*.response", "plugin.*.event"],
    "publishes": ["cytube.>", "commands.>", "system.>", "plugin.*.request"],
}
ASSETS = ("$JS.API.>", "$JS.ACK.>", "$JS.FC.>", "$KV.>", "$O.>")
ABOUT_ITSELF = "$SYS.REQ.USER.INFO"
EVERYTHING = (">",)
TOKENS = ("rosey", "dev", "prod", "commands", "quote", "cytube", "_inbox", "bot", "trivia", "$JS", "API", "$SYS")
MADE_UP = 200
# The client tells of a refusal in a task of its own, after what it asked for: none came for so long.
QUIET_SECONDS = 0.05


@dataclass(frozen=True)
class Party:
    """What a client may say and hear: full subjects, with wildcards."""

    says: Sequence[str]
    hears: Sequence[str]


def parties(plugins: Iterable[Mapping[str, Any]], prefix: str) -> dict[str, Party]:
    """Give what the contract lets each client do, by its name. plugins: declarations, with subjects of no prefix."""
    declared = {"bot": BOT, **{plugin["name"]: plugin for plugin in plugins}}

    def full(name: str, key: str) -> list[str]:
        return [f"{prefix}.{subject}" for subject in declared[name][key]]

    commands = [each for name in declared for each in full(name, "subscriptions") if each.startswith(f"{prefix}.comm")]
    heard = {name: full(name, "subscriptions") for name in declared}
    # who is asked something answers into the inbox of whoever asked
    asked = {
        name for name in declared if any(".commands." in each or each.endswith(".request") for each in heard[name])
    }
    answers = {name: [f"{prefix}._inbox.>"] if name in asked else [] for name in declared}
    said = {**{name: full(name, "publishes") + answers[name] for name in declared}, "probe": commands}
    said["deployment"] = [*ASSETS]
    return {
        **{
            name: Party((*said[name], ABOUT_ITSELF), (*heard.get(name, ()), f"{prefix}._inbox.{name}.>"))
            for name in said
        },
        "operator": Party(EVERYTHING, EVERYTHING),
    }


def to_try(clients: Mapping[str, Party]) -> list[str]:
    """Give a subject of each rule of the contract, and made-up ones of the words that subjects are made of."""
    rules = {rule for party in clients.values() for rule in (*party.says, *party.hears)}
    literal = {rule.replace("*", "quotes").replace(">", "some.where") for rule in rules}
    made_up = sorted(".".join(each) for each in itertools.permutations(TOKENS, 3))
    return sorted(literal | {*random.Random(1).sample(made_up, MADE_UP)})


def allowed(rules: Iterable[str], tried: Iterable[str]) -> set[str]:
    """Choose what some of these rules cover."""
    found = [*rules]
    return {subject for subject in tried if any(subjects.covers(rule, subject) for rule in found)}


async def try_all(client: Client, errors: list[str], tried: Iterable[str]) -> tuple[set[str], set[str]]:
    """Say and hear each of these; give which the server let it say, and hear. errors: what error_cb of it collects."""
    every = [*tried]

    async def let(ask: Callable[[str], Awaitable[object]]) -> set[str]:
        errors.clear()
        for subject in every:
            await ask(subject)
        await client.flush()
        seen = -1
        while seen != len(errors):
            seen = len(errors)
            await asyncio.sleep(QUIET_SECONDS)
        said = "\n".join(errors).lower()
        return {subject for subject in every if f'"{subject.lower()}"' not in said}

    return await let(lambda subject: client.publish(subject, b"")), await let(client.subscribe)


def variables(text: str) -> dict[str, str]:
    """Give what a shell reads in a client's file."""
    return dict(word.split("=", 1) for word in shlex.split(text, comments=True))


def login(given: Mapping[str, str], read: Callable[[str], str]) -> dict[str, str]:
    """Give the options of nats.connect() that a client's variables come to. read: gives the text of the host's file."""
    own = (
        {"nkeys_seed_str": read(given["NATS_NKEY"]).strip()}
        if "NATS_NKEY" in given
        else {"user": given["NATS_USER"], "password": given["NATS_PASSWORD"]}
    )
    return {**own, "inbox_prefix": given["NATS_INBOX_PREFIX"]}
