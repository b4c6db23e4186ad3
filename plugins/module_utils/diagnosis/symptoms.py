# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide's symptoms on one host: how each is looked at and judged. What several of them look at is seen once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from ansible_collections.rosey.nats.plugins.module_utils.diagnosis import (
    bot,
    bot_evidence,
    latency,
    latency_evidence,
    plugin,
    plugin_evidence,
    server,
    server_evidence,
)
from ansible_collections.rosey.nats.plugins.module_utils.diagnosis.tree import (
    Cause,
    Confidence,
    Diagnosis,
    NotSeenError,
    Question,
    Symptom,
    diagnose,
    together,
)
from ansible_collections.rosey.nats.plugins.module_utils.service import RunCommand


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
        """The bot; NotSeenError where none is described."""
        if self.bot is None:
            raise NotSeenError("the bot", "none is described", "describe it, with the variables of the role bot_config")
        server = self.server_seen
        return bot_evidence.look(self.bot, self.run_command, server.monitor, server.config or {})

    @cached_property
    def plugins_seen(self) -> plugin_evidence.Evidence:
        """The plugins; NotSeenError where no bot is described."""
        return plugin_evidence.look(self.bot_seen, self.probe)

    @cached_property
    def latency_seen(self) -> latency_evidence.Evidence:
        """How long messages take; NotSeenError where none can be sent."""
        return latency_evidence.look(self.server_seen, self.plugins_seen, self.probe)


_DIAGNOSES: Mapping[Symptom, Callable[[Host], Diagnosis]] = {
    Symptom.SERVER: lambda host: server.diagnosis(host.server_seen),
    Symptom.BOT: lambda host: bot.diagnosis(host.bot_seen),
    Symptom.PLUGIN: lambda host: plugin.diagnosis(host.plugins_seen),
    Symptom.LATENCY: lambda host: latency.diagnosis(host.latency_seen),
}


def examine(host: Host, symptoms: Iterable[Symptom]) -> Diagnosis:
    """Look at a host for each of these symptoms."""
    return together(_examine(host, symptom) for symptom in symptoms)


def _examine(host: Host, symptom: Symptom) -> Diagnosis:
    try:
        found = _DIAGNOSES[symptom](host)
    except NotSeenError as error:
        found = diagnose(symptom, (Question("", _raise),), error)
    fault = host.faults.get(symptom)
    return together((found, Diagnosis((_faulty(symptom, fault),)))) if fault else found


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
