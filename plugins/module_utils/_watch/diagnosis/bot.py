# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why the bot can't connect to NATS: what is asked of the evidence, from what the bot reads to what the server answers.

Nothing here looks at the host. Credentials are compared, and never part of a cause."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from ansible_collections.rosey.nats.plugins.module_utils._bot import bot_expectation, credentials
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import bot_files, bot_login, refusals
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.bot_evidence import (
    Evidence,
    variables_of,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.bot_words import (
    address_of,
    bot_cause,
    how_to_correct,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.refusals import Refused, ServerLog
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import (
    Cause,
    Confidence,
    Diagnosis,
    NotSeenError,
    Question,
    Symptom,
    diagnose,
    ranked,
    seen,
)

_NOTHING = ServerLog()


def diagnosis(evidence: Evidence, log: ServerLog | NotSeenError = _NOTHING) -> Diagnosis:
    """Say why the bot can't connect, or is not let do what it tries. log: of the server."""
    if evidence.described.legacy:
        return Diagnosis(healthy=("the bot is described to run without NATS",))
    if evidence.is_connected:
        questions: tuple[Question[Evidence], ...] = (
            Question("", _ask_encryption),
            Question("bot connected to its server", bot_files.ask_where),
            Question("", lambda connected: _ask_refusals(connected, log)),
        )
        return diagnose(Symptom.BOT, questions, evidence)
    found = diagnose(Symptom.BOT, QUESTIONS, evidence)
    if any(cause.confidence > Confidence.POSSIBLE for cause in found.causes):
        return found
    return Diagnosis(ranked((*bot_files.unexplained(evidence), *found.causes)), found.healthy)


def _ask_encryption(evidence: Evidence) -> Iterator[Cause]:
    """Look whether a bot that asks for TLS has it: its client goes on without where the server does not ask for it."""
    if isinstance(evidence.told, NotSeenError) or isinstance(evidence.limits, NotSeenError):
        return
    place = bot_expectation.place_or_none(str(evidence.tells("server")))
    described = [bot_expectation.place_or_none(each) for each in evidence.described.servers]
    is_described = place is not None and any(each and replace(each, scheme=place.scheme) == place for each in described)
    if place and is_described and place.scheme == "tls" and not evidence.limits.get("tls_required"):
        yield bot_cause(
            "tls_not_used",
            "the bot asks for TLS, the server has none, and all that they say is in the clear",
            f"the bot is connected to {place.shown}",
            "/varz of the server has no tls_required",
            remedy="give the server tls in nats_server_config, without allow_non_tls; or write nats:// where that is "
            f"meant: {how_to_correct(evidence)}",
        )


def _ask_refusals(evidence: Evidence, log: ServerLog | NotSeenError) -> Iterator[Cause]:
    if not evidence.described.clients:
        return
    looked = seen(log)
    refused = looked.of(refusals.BOT)
    if looked.clients is not None and refused != Refused():
        yield bot_cause(
            "bot_refused",
            "the server does not let the bot do what is not declared of it",
            *(f"the log of nats-server: {line}" for line in refusals.lines(refusals.BOT, refused)),
            remedy=refusals.remedy(refusals.BOT, refused, evidence.described),
        )


# What is left where the server would let it in


def _ask_age(evidence: Evidence) -> Iterator[Cause]:
    unit, files = seen(evidence.unit), (evidence.secrets, evidence.section)
    running = evidence.running
    if running is None or bot_files.files_explain(evidence):
        return
    now = variables_of(evidence.secrets)
    path = str(evidence.described.secrets_file)
    stale = []
    if path in unit["EnvironmentFiles"]:
        names = (credentials.SERVER_VARIABLE, *credentials.VARIABLES.values())
        stale = [name for name in names if seen(running).get(name) != now.get(name)]
    newer = [str(file.path) for file in files if not isinstance(file, NotSeenError) and file.is_newer]
    if stale or newer:
        yield bot_cause(
            "bot_not_restarted",
            "the running bot has not read what its files say now",
            *(f"{each} was written since the bot was started" for each in newer),
            *([f"{', '.join(stale)} of the running bot differ from {path}"] if stale else []),
            remedy=evidence.described.restart,
            confidence=Confidence.CERTAIN if stale else Confidence.LIKELY,
        )


def _families_denied(value: str) -> bool:
    """Read RestrictAddressFamilies as systemctl shows it: what is allowed, or after a ~ what is not."""
    allowed = not value.startswith("~")
    return bool(value) and ("AF_INET" in value.lstrip("~").split()) is not allowed


# Properties of a unit, with what tells that no connection to a server is possible.
_CONFINING: Mapping[str, Callable[[str], bool]] = {
    "PrivateNetwork": lambda value: value == "yes",
    "NetworkNamespacePath": bool,
    "RestrictAddressFamilies": _families_denied,
    "IPAddressDeny": lambda value: "0.0.0.0/0" in value or "127.0.0.0/8" in value,
}


def _ask_confinement(evidence: Evidence) -> Iterator[Cause]:
    unit = seen(evidence.unit)
    found = [name for name, denies in _CONFINING.items() if denies(unit[name])]
    if found and not ("IPAddressDeny" in found and unit["IPAddressAllow"]):
        yield bot_cause(
            "bot_confined",
            "the bot's unit keeps the bot from the network, while others on this host reach the server",
            *(f"{name}={unit[name]} in {evidence.described.service}.service" for name in found),
            remedy=f"take {' and '.join(found)} out of the unit (systemctl cat {evidence.described.service}), then "
            f"systemctl daemon-reload and {evidence.described.restart}",
        )


def _ask_version(evidence: Evidence) -> Iterator[Cause]:
    for login in seen(evidence.logins):
        version = login.info.get("version")
        if version and version != evidence.described.version:
            yield bot_cause(
                "other_version",
                "another version of nats-server answers than the one that is described",
                f"{address_of(login)}: expected {evidence.described.version}, found {version}",
                remedy="deploy again, or see what else listens there",
                confidence=Confidence.POSSIBLE,
            )


QUESTIONS: tuple[Question[Evidence], ...] = (
    Question("the bot's section", bot_files.ask_section),
    Question("the bot's environment file", bot_files.ask_secrets),
    Question("the bot's service", bot_files.ask_service),
    Question(
        "the server lets the bot's login in",
        bot_login.ask_servers,
        below=(
            Question("the running bot has read its files", _ask_age),
            Question("the bot's unit allows the network", _ask_confinement),
            Question("the server's version", _ask_version),
        ),
    ),
)
