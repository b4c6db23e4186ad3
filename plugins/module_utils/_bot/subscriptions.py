# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the subjects that a plugin listens to its server holds for the bot."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sized

from ansible_collections.rosey.nats.plugins.module_utils._bot import remedies
from ansible_collections.rosey.nats.plugins.module_utils._bot.bot_expectation import Expectation, Plugin
from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Finding
from ansible_collections.rosey.nats.plugins.module_utils._server import subjects
from ansible_collections.rosey.nats.plugins.module_utils._server.answers import Answer
from ansible_collections.rosey.nats.plugins.module_utils._server.http_reader import MonitoringError
from ansible_collections.rosey.nats.plugins.module_utils._server.monitoring import Monitor

# What the server holds

# In place of a connection's name, no client can have it: what clients of other servers of the cluster hold.
ELSEWHERE = "\0elsewhere"


class _Subjects:
    """Subjects that are held; literals are looked up, wildcards are found by their tokens."""

    def __init__(self, held: Iterable[str]) -> None:
        self._literals = frozenset(held)
        self._wildcards = subjects.Index()
        for subject in self._literals:
            if subjects.has_wildcard(subject):
                self._wildcards.add(subject, subject)

    def cover(self, subject: str) -> bool:
        """Tell whether one of them covers it."""
        if subject in self._literals:
            return True
        return any(subjects.covers(wide, subject) for wide in self._wildcards.overlapping(subject))


class Held:
    """What a plugin holds of all that connections do.

    A plugin has a connection of its own, or the one that all share; who else listens is no plugin. Where no connection
    bears the bot's name, all count. Of one that is connected to another server of the cluster it is known only what
    clients hold there.

    by_name: the subjects that connections hold, by the names of these, and by ELSEWHERE.
    """

    def __init__(self, by_name: Mapping[str, Collection[str]], client_name: str | None) -> None:
        self._by_name = by_name
        self._bot = client_name
        self._is_named = bool(client_name) and any(
            name == client_name or name.startswith(f"{client_name}-") for name in by_name
        )
        self._of_all = _Subjects(subject for each in by_name.values() for subject in each)
        self._elsewhere = _Subjects(by_name.get(ELSEWHERE, ()))

    def has_own(self, plugin: Plugin) -> bool:
        """Tell whether the plugin has a connection of its own."""
        return f"{self._bot}-{plugin.name}" in self._by_name

    def unheld(self, plugin: Plugin) -> list[str]:
        """Give what the plugin declares and does not hold."""
        own = self._of_all
        if self._is_named:
            name = self._connection(plugin)
            own = _Subjects(self._by_name[name] if name else ())
        unheld = [subject for subject in plugin.subscriptions if not own.cover(subject)]
        if self.has_own(plugin):
            return unheld
        return [subject for subject in unheld if not self._elsewhere.cover(subject)]

    def found(self, plugin: Plugin) -> str:
        """Say what was found instead of it."""
        if not self._is_named:
            return f"none on the server, nor a connection named {self._bot}" if self._bot else "none on the server"
        name = self._connection(plugin)
        if name:
            return f"none that the connection {name} holds"
        return f"no connection {self._bot}-{plugin.name}, nor {self._bot}"

    def _connection(self, plugin: Plugin) -> str | None:
        return next((name for name in (f"{self._bot}-{plugin.name}", self._bot) if name in self._by_name), None)


def missing(
    held: Mapping[str, Collection[str]] | MonitoringError | None, expectation: Expectation
) -> list[Finding] | None:
    """Give a finding for each subscription that is declared and not held; None where that is not known."""
    if held is None or isinstance(held, MonitoringError):
        return None
    known = Held(held, expectation.client_name)
    return [
        Finding(
            f"plugin {plugin.name}",
            f"a subscription that covers {subject}",
            known.found(plugin),
            remedies.UNHELD_REMEDY,
        )
        for plugin in expectation.plugins
        for subject in known.unheld(plugin)
    ]


def held_by_name(connz: Answer, url: str) -> dict[str, set[str]]:
    """Give the subjects that connections hold, by their names, from the whole /connz of the server at url."""
    held: dict[str, set[str]] = {}
    for connection in connz["connections"]:
        name, listed = connection.get("name", ""), connection.get("subscriptions_list") or []
        if (
            not isinstance(name, str)
            or not isinstance(listed, list)
            or not all(isinstance(each, str) for each in listed)
        ):
            raise MonitoringError(f"{url}/connz", f"connection {connection['cid']} has no list of subjects")
        held.setdefault(name, set()).update(listed)
    return held


def held_elsewhere(routez: Answer) -> dict[str, set[str]]:
    """Give the subjects that clients of other servers of the cluster hold, from /routez with its subjects."""
    listed = [route.get("subscriptions_list") or [] for route in routez["routes"]]
    return {ELSEWHERE: {subject for each in listed if isinstance(each, list) for subject in each}} if listed else {}


def elsewhere(monitor: Monitor, servers: Sized) -> dict[str, set[str]]:
    """Ask for these, where a bot has several servers, and so may be connected to another one; MonitoringError."""
    return held_elsewhere(monitor.read("routez", details=True)) if len(servers) > 1 else {}
