# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server's log says it has refused to whom, and what to do about it."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ansible_collections.rosey.nats.plugins.module_utils._bot import access, credentials
from ansible_collections.rosey.nats.plugins.module_utils._server import server_log, subjects
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import bot_evidence, evidence
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.bot_evidence import Described
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import seen

BOT = "bot"
_WINDOW = 1 << 20
_LINE = re.compile(r"\[(?P<pid>\d+)\] (?:\S+ \S+ )?\[(?P<level>[A-Z]{3})\] (?P<message>.*)")
# server/client.go of nats-server 2.10.7, pubPermissionViolation() and subPermissionViolation(); who logged in with a
# key stands there by that.
_VIOLATION = re.compile(
    r'(?P<what>Subscription|Publish) Violation - (?:User "(?P<user>[^"]*)"|Nkey "(?P<nkey>[^"]*)")?.*'
    r'Subject "(?P<subject>[^"]*)"'
)
_LIMITS = {"maximum subscriptions exceeded": "max_subscriptions", "maximum connections exceeded": "max_connections"}
_OF_JETSTREAM = ("$JS", "$KV", "$O")
_FOREIGN_INBOX = "_INBOX"
_MOST_NAMED = 5
# Where a remedy names them.
_SUBJECTS = "{subjects}"


@dataclass(frozen=True)
class Refused:
    """The subjects that somebody was not let subscribe to, and publish on."""

    unheard: frozenset[str] = frozenset()
    unsaid: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ServerLog:
    """What the server wrote since it was started, or took up another configuration.

    user: whose refusals count, empty for everybody's. unheard, unsaid: the subjects that it was not let subscribe to,
    and publish on. limits: the limits that were met, by their options. clients: where each has a credential of its own,
    what was refused to whom, by its name; None where all share one.
    """

    user: str = ""
    unheard: frozenset[str] = frozenset()
    unsaid: frozenset[str] = frozenset()
    limits: frozenset[str] = frozenset()
    clients: Mapping[str, Refused] | None = field(default=None)

    def of(self, client: str) -> Refused:
        """Give what was refused to a client, or to all where they share one credential."""
        if self.clients is None:
            return Refused(self.unheard, self.unsaid)
        return self.clients.get(client, Refused())


def look(bot: bot_evidence.Evidence) -> ServerLog:
    """Read what the server of a bot wrote; NotSeenError."""
    user = credentials.given_by(bot_evidence.variables_of(bot.secrets)).get("user", "")
    config = seen(bot.server)
    return read_server_log(evidence.end_of_log(config, _WINDOW), user, access.clients_of(config))


def read_server_log(text: str, user: str, clients: Mapping[str, str] | None = None) -> ServerLog:
    """Read the end of a log of nats-server. No line is kept, since one that refuses a login has the password in it.

    user: whose refusals count, empty for everybody's. clients: those that have a credential of their own, by user or
    key; then all of theirs count, and nobody else's.
    """
    lines = [line for each in text.splitlines() if (line := _LINE.match(each))]
    own = [line["message"] for line in lines if line["pid"] == lines[-1]["pid"]]
    loaded = max((place for place, message in enumerate(own) if message.startswith(server_log.ACCEPTED)), default=0)
    every = [violation for message in own[loaded:] if (violation := _VIOLATION.search(message))]
    # what the gate tries in vain is no fault
    meant = [each for each in every if access.PROOF not in each["subject"].split(subjects.SEPARATOR)]
    limits = frozenset(option for message in own[loaded:] for words, option in _LIMITS.items() if words in message)
    if clients:
        by_client = {name: [each for each in meant if clients.get(_who(each)) == name] for name in clients.values()}
        of_clients = {name: _refused(found) for name, found in by_client.items() if found}
        return ServerLog(limits=limits, clients=of_clients)
    found = _refused(each for each in meant if not user or each["user"] == user)
    return ServerLog(user, found.unheard, found.unsaid, limits)


def _who(violation: re.Match[str]) -> str:
    return violation["user"] or violation["nkey"] or ""


def _refused(violations: Iterable[re.Match[str]]) -> Refused:
    found = list(violations)
    return Refused(
        frozenset(each["subject"] for each in found if each["what"] == "Subscription"),
        frozenset(each["subject"] for each in found if each["what"] == "Publish"),
    )


# What is said of a client that has a credential of its own


def lines(client: str, refused: Refused) -> list[str]:
    """Say what was refused to a client, a line each."""
    return [
        *_first(f"{client} was refused to subscribe to {subject}" for subject in sorted(refused.unheard)),
        *_first(f"{client} was refused to publish {subject}" for subject in sorted(refused.unsaid)),
    ]


def remedy(client: str, refused: Refused, described: Described) -> str:
    """Say what to do so that a client is not refused this any more."""
    granted = described.clients.get(client)
    found: dict[str, list[str]] = {}
    for key, rule, every in (
        ("subscriptions", "subscribe", refused.unheard),
        ("publishes", "publish", refused.unsaid),
    ):
        for subject in sorted(every):
            how = _how(client, key, subject, described, granted.permissions.get(rule, {}) if granted else {})
            found.setdefault(how, []).append(subjects.relative(subject, described.prefix) or subject)
    return "; ".join(how.replace(_SUBJECTS, ", ".join(_first(named))) for how, named in found.items())


def _how(client: str, key: str, subject: str, described: Described, rule: Mapping[str, t.Any]) -> str:
    """Give the remedy for one subject, with a place for all subjects that it is the same for."""
    tokens = subject.split(subjects.SEPARATOR)
    allowed = any(subjects.covers(each, subject) for each in rule.get("allow", ()))
    if allowed and not any(subjects.covers(each, subject) for each in rule.get("deny", ())):
        return f"deploy again, which lets {client} do what is declared of it: {_SUBJECTS}"
    if tokens[0] == _FOREIGN_INBOX:
        file = described.clients[client].file if client in described.clients else "its environment file"
        return f"give inbox_prefix to the connection of {client} in the bot's code, NATS_INBOX_PREFIX of {file}"
    if key == "publishes" and subjects.INBOX in tokens:
        request = f"plugin.{client}.request"
        return f"declare the command or the request ({request}) that {client} answers among its subscriptions"
    declared = "bot_plugins_bot" if client == BOT else f"plugin {client} in bot_plugins_declared"
    code = "the bot's code" if client == BOT else "the plugin's code"
    if tokens[0] in _OF_JETSTREAM:
        return f"name in uses of {declared} what asks JetStream for {_SUBJECTS}, or take it out of {code}"
    return f"add {_SUBJECTS} to {key} of {declared}, or take it out of {code}"


def _first(every: Iterable[str]) -> Iterator[str]:
    """Give the first few, and how many more there are."""
    listed = list(every)
    yield from listed[:_MOST_NAMED]
    if len(listed) > _MOST_NAMED:
        yield f"and {len(listed) - _MOST_NAMED} more"
