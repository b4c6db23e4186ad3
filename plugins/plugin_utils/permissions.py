# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each client of the bus may say and hear: what the declarations say, and nothing else.

A client is the bot, an enabled plugin, or one of those that a deployment has for itself. This runs on the controller
alone.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ansible_collections.rosey.nats.plugins.module_utils._bot.credentials import DEPLOYMENT, OPERATOR, PROBE, SYSTEM
from ansible_collections.rosey.nats.plugins.module_utils._server import subjects
from ansible_collections.rosey.nats.plugins.plugin_utils import jetstream_rights, plugins, text_table

BOT = "bot"
# Those of a deployment itself; a plugin of such a name could not be told from them.
OWN = (BOT, PROBE, DEPLOYMENT, OPERATOR, SYSTEM)
# What every client may ask the server of itself (server/accounts.go), so that it can be proven what it may do.
ASK_OF_ITSELF = "$SYS.REQ.USER.INFO"
_COMMANDS = "commands"
# What assets are made with and read with (server/jetstream_api.go).
_OF_ASSETS = ("$JS.API.>", "$JS.ACK.>", "$JS.FC.>", "$KV.>", "$O.>")
_EVERYTHING = subjects.FULL_WILDCARD
HEADINGS = ("client", "may publish", "may listen to")
_UNLIMITED = {OPERATOR: "everything", SYSTEM: "everything of the account $SYS"}


@dataclass(frozen=True)
class Permissions:
    """What one client may do; the server's rules, see server/opts.go, Permissions.

    client: its name. publish, subscribe: subjects, with wildcards. unheard: what of its subscriptions does not reach
    it. inbox: where answers to it go. is_unlimited: whether nothing of that counts.
    """

    client: str
    inbox: str
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    unheard: tuple[str, ...] = ()
    is_unlimited: bool = False

    def as_config(self) -> dict[str, t.Any]:
        """Give them as `permissions` of a user in the server's configuration; empty for an unlimited client."""
        if self.is_unlimited:
            return {}
        return {
            "publish": _rule(self.publish),
            "subscribe": _rule(self.subscribe, self.unheard),
        }

    def as_result(self) -> dict[str, t.Any]:
        """Give them as a filter returns them, with the client as `name`."""
        return {
            "name": self.client,
            "publish": list(self.publish),
            "subscribe": list(self.subscribe),
            "unheard": list(self.unheard),
            "is_unlimited": self.is_unlimited,
        }


def compiled(
    described: Iterable[Mapping[str, t.Any]], bot: Mapping[str, t.Any], prefix: str, asked: Iterable[str] = ()
) -> list[Permissions]:
    """Compile what each client may do: the bot, each enabled plugin by its name, and those of OWN.

    described: the effective plugins, see plugins.effective. bot: its `subscriptions` and `publishes`, written as those
    of a plugin. asked: subjects that the gate asks for, besides the plugins' commands. Raises PluginsError.
    """
    (own,) = plugins.effective([{**bot, "name": BOT}], {}, prefix)
    enabled = [plugin for plugin in described if plugin["enabled"]]
    commands = f"{prefix}{subjects.SEPARATOR}{_COMMANDS}{subjects.SEPARATOR}{subjects.FULL_WILDCARD}"
    questions = {
        *asked,
        *(heard for plugin in enabled for heard in plugin["subscriptions"] if subjects.covers(commands, heard)),
    }
    clients = [
        _of(own, prefix),
        *(_of(plugin, prefix) for plugin in enabled),
        _own(PROBE, prefix, questions),
        _own(DEPLOYMENT, prefix, _OF_ASSETS),
        Permissions(OPERATOR, inbox_of(OPERATOR, prefix), is_unlimited=True),
        Permissions(SYSTEM, inbox_of(SYSTEM, prefix), is_unlimited=True),
    ]
    inboxes = {client.client: _below(client.inbox) for client in clients}
    return [replace(client, unheard=_others(client, inboxes)) for client in clients]


def table(clients: Iterable[Permissions]) -> list[str]:
    """Lay out what each client may say and hear, a subject a line, for a person."""
    return text_table.laid_out(HEADINGS, map(cells, clients))


def cells(client: Permissions) -> tuple[list[str], ...]:
    """Say below HEADINGS what a client may do, of each its lines."""
    if client.is_unlimited:
        return [client.client], [_UNLIMITED[client.client]], [_UNLIMITED[client.client]]
    return (
        [client.client],
        [*client.publish],
        [*client.subscribe, *(f"but not {subject}" for subject in client.unheard)],
    )


def name_problems(names: Iterable[str]) -> list[str]:
    """Say which plugins have a name that is none for them, a sentence each."""
    return [
        f"bot_plugins_declared: a plugin is called {name}, which is the name of a client that each deployment has; "
        f"expected another than {', '.join(OWN)}. Rename the plugin"
        for name in names
        if name.lower() in OWN
    ]


def warnings(clients: Iterable[Permissions], prefix: str) -> list[str]:
    """Say which plugins hear more than may be meant, a sentence each."""
    return [
        f"{each.client}: hears everything below {prefix}, since it subscribes to it as a whole; where it need not, "
        "name what it is to hear"
        for each in clients
        if each.client not in OWN and sees_everything(each, prefix)
    ]


def inbox_of(client: str, prefix: str) -> str:
    """Give where answers to a client go: subjects that begin with this.

    They lie below the prefix, so that they pass where only the prefix passes.
    """
    return subjects.SEPARATOR.join((prefix, subjects.INBOX, client))


def sees_everything(permissions: Permissions, prefix: str) -> bool:
    """Tell whether a client hears whatever is said below the prefix."""
    whole = [_below(subjects.SEPARATOR.join((prefix, root))) for root in subjects.ROOTS]
    return any(all(subjects.covers(heard, each) for each in whole) for heard in permissions.subscribe)


def _of(party: Mapping[str, t.Any], prefix: str) -> Permissions:
    """Give what a party may do that is declared: the bot or a plugin."""
    name = party["name"]
    inbox = inbox_of(name, prefix)
    of_assets = jetstream_rights.rights(party["uses"])
    return Permissions(
        name,
        inbox,
        publish=_unique(
            *party["publishes"], *_answers(party["subscriptions"], prefix), *sorted(of_assets.publish), ASK_OF_ITSELF
        ),
        subscribe=_unique(*party["subscriptions"], *sorted(of_assets.subscribe), _below(inbox)),
    )


def _own(name: str, prefix: str, publish: Iterable[str]) -> Permissions:
    inbox = inbox_of(name, prefix)
    return Permissions(name, inbox, publish=_unique(*sorted(publish), ASK_OF_ITSELF), subscribe=(_below(inbox),))


def _answers(heard: Iterable[str], prefix: str) -> list[str]:
    """Give where somebody may publish who is asked something: the inboxes.

    Not `allow_responses`: whoever asks names the subject of the answer, which may be one of JetStream's API.
    """
    is_asked = any(_is_request(each, prefix) for each in heard)
    return [_below(subjects.SEPARATOR.join((prefix, subjects.INBOX)))] if is_asked else []


def _is_request(heard: str, prefix: str) -> bool:
    """Tell whether what is heard may want an answer: a command, or a request to a plugin."""
    return any(
        subjects.overlaps(heard, f"{prefix}{subjects.SEPARATOR}{wanted}")
        for wanted in (f"{_COMMANDS}.>", "plugin.*.request")
    )


def _others(client: Permissions, inboxes: Mapping[str, str]) -> tuple[str, ...]:
    """Name the inboxes of others that what a client hears would reach into."""
    return tuple(
        inbox
        for name, inbox in inboxes.items()
        if name != client.client and any(subjects.overlaps(heard, inbox) for heard in client.subscribe)
    )


def _below(subject: str) -> str:
    return f"{subject}{subjects.SEPARATOR}{subjects.FULL_WILDCARD}"


def _unique(*given: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(given))


def _rule(allowed: Iterable[str], denied: Iterable[str] = ()) -> dict[str, list[str]]:
    """Give one rule. An empty list of what is allowed would allow everything, and a deny alone the rest."""
    listed = [*allowed]
    if not listed:
        return {"deny": [_EVERYTHING]}
    return {"allow": listed, **({"deny": [*denied]} if denied else {})}
