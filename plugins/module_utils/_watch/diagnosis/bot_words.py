# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How causes at the bot and their remedies are put into words."""

from __future__ import annotations

from ansible_collections.rosey.nats.plugins.module_utils._bot import credentials
from ansible_collections.rosey.nats.plugins.module_utils._server.login import Login
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.bot_evidence import (
    Evidence,
    variables_of,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import (
    Cause,
    Confidence,
    Symptom,
)

DEPLOY = "deploy again, which writes it as it is described"


def bot_cause(name: str, cause: str, *evidence: str, remedy: str, confidence: Confidence = Confidence.CERTAIN) -> Cause:
    """Give a cause of the bot's."""
    return Cause(Symptom.BOT, name, cause, evidence, remedy, confidence)


def source_of_servers(evidence: Evidence) -> str:
    """Name where the bot has its servers from."""
    if variables_of(evidence.secrets).get(credentials.SERVER_VARIABLE):
        return f"{credentials.SERVER_VARIABLE} in {evidence.described.secrets_file}"
    return f"servers in {evidence.described.section_file}"


def what_is_asked(evidence: Evidence, login: Login) -> str:
    """Say where the bot goes, and by what."""
    return f"the bot asks {address_of(login)}, by {source_of_servers(evidence)}"


def how_to_correct(evidence: Evidence) -> str:
    """Say how its servers are corrected."""
    return f"correct {source_of_servers(evidence)}, or {DEPLOY}; then {evidence.described.restart}"


def address_of(login: Login) -> str:
    """Give host and port of a login."""
    return login.url.partition("://")[2]
