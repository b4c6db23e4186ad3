# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide's symptoms on one host: how each is looked at and judged. What several of them look at is seen once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from ansible_collections.rosey.nats.plugins.module_utils._bot import bot_health
from ansible_collections.rosey.nats.plugins.module_utils._deploy import record_guard, release
from ansible_collections.rosey.nats.plugins.module_utils._host.service import RunCommand
from ansible_collections.rosey.nats.plugins.module_utils._server.monitoring import Monitor
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import (
    bot,
    bot_evidence,
    evidence,
    latency,
    latency_evidence,
    plugin,
    plugin_evidence,
    refusals,
    server,
    server_evidence,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import (
    Cause,
    Confidence,
    Diagnosis,
    NothingToSeeError,
    NotSeenError,
    Question,
    Symptom,
    attempt,
    diagnose,
    together,
)


class _MissedError(Exception):
    """The release of the host has a bot, and the host has none. release: its id; why: in words."""

    def __init__(self, release: str, why: str) -> None:
        super().__init__(why)
        self.release, self.why = release, why


@dataclass
class Host:
    """What is looked at. server, bot: None where none is described, or it can't be looked into.

    faults: what is wrong with the descriptions themselves, by the symptom that they matter to.
    """

    server: server_evidence.Described
    bot: bot_evidence.Described | None
    probe: plugin_evidence.Probe | None
    faults: Mapping[Symptom, str]
    run_command: RunCommand

    @cached_property
    def server_seen(self) -> server_evidence.Evidence:
        """The server."""
        return server_evidence.look(self.server, self.run_command)

    @cached_property
    def bot_seen(self) -> bot_evidence.Evidence:
        """The bot; NothingToSeeError where there is none, and none has to be."""
        if self.bot is None:
            raise NothingToSeeError("no bot is described to be looked at")
        # of one that is installed, a service that is missing is a cause
        if why := bot_health.why_no_bot({"optional": self.bot.optional, "home": self.bot.home}, None):
            raise _MissedError(self._releases_bot, why) if self._releases_bot else NothingToSeeError(why)
        return bot_evidence.look(self.bot, self.run_command, self._monitor(self.bot), self.server_seen.config or {})

    @cached_property
    def _releases_bot(self) -> str:
        """The release of the host that has a bot, empty where it has none."""
        directory = self.server.release_dir
        current = release.Store(directory).current() if directory else None
        return current.id if current and record_guard.has_bot(current) else ""

    def _monitor(self, bot: bot_evidence.Described) -> Monitor | NotSeenError:
        """Give what asks the server that the bot goes to."""
        url = bot.monitoring_url
        if url in (None, self.server.monitoring_url):
            return self.server_seen.monitor
        if not url:
            why = "bot_config_monitoring_url is empty"
            return NotSeenError("what the bot's server holds", why, "name its monitoring endpoint there")
        return attempt(lambda: evidence.monitor(url))

    @cached_property
    def plugins_seen(self) -> plugin_evidence.Evidence:
        """The plugins; NothingToSeeError where there is no bot, and none has to be."""
        return plugin_evidence.look(self.bot_seen, self.probe)

    @cached_property
    def latency_seen(self) -> latency_evidence.Evidence:
        """How long messages take; NotSeenError where none can be sent, NothingToSeeError where none are to be."""
        return latency_evidence.look(self.server_seen, self.plugins_seen, self.probe)


_DIAGNOSES: Mapping[Symptom, Callable[[Host], Diagnosis]] = {
    Symptom.SERVER: lambda host: server.diagnosis(host.server_seen),
    Symptom.BOT: lambda host: bot.diagnosis(host.bot_seen, attempt(lambda: refusals.look(host.bot_seen))),
    Symptom.PLUGIN: lambda host: plugin.diagnosis(host.plugins_seen),
    Symptom.LATENCY: lambda host: latency.diagnosis(host.latency_seen),
}


def examine(host: Host, symptoms: Iterable[Symptom]) -> Diagnosis:
    """Look at a host for each of these symptoms."""
    return together(_examine(host, symptom) for symptom in symptoms)


def _examine(host: Host, symptom: Symptom) -> Diagnosis:
    try:
        found = _DIAGNOSES[symptom](host)
    except NothingToSeeError as error:
        found = Diagnosis(healthy=(str(error),))
    except _MissedError as error:
        found = Diagnosis((_missed(error),))
    except NotSeenError as error:
        found = diagnose(symptom, (Question("", _raise),), error)
    fault = host.faults.get(symptom)
    return together((found, Diagnosis((_faulty(symptom, fault),)))) if fault else found


def _missed(error: _MissedError) -> Cause:
    return Cause(
        Symptom.BOT,
        "bot_missed",
        "the bot that the release of this host has is not there",
        (f"release {error.release} has a bot", error.why),
        bot_health.MISSED_REMEDY,
    )


def _faulty(symptom: Symptom, fault: str) -> Cause:
    return Cause(
        symptom,
        "description_faulty",
        "what is described can't be deployed, so that nothing could be compared with it",
        tuple(fault.splitlines()),
        "correct the variables that it names",
        Confidence.POSSIBLE,
    )


def _raise(error: NotSeenError) -> Iterable[Cause]:
    raise error
