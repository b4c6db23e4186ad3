# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with what the bot reads: its section, its secrets, its service."""

from __future__ import annotations

import difflib
import json
import re
import typing as t
from collections.abc import Iterator, Mapping

from ansible_collections.rosey.nats.plugins.module_utils._bot import bot_expectation, client_options, credentials
from ansible_collections.rosey.nats.plugins.module_utils._host import (
    environment_file,
    hardening,
    redaction,
    service,
    unit_checks,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.bot_evidence import (
    SECTION,
    BrokenError,
    Evidence,
    File,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.bot_words import (
    DEPLOY,
    bot_cause,
    how_to_correct,
    source_of_servers,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.evidence import Unit
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import (
    Cause,
    Confidence,
    NotSeenError,
    finds,
    seen,
)


def ask_where(evidence: Evidence) -> Iterator[Cause]:
    """Compare where the bot says that it is with where it was told to go."""
    server = evidence.tells("server")
    if not isinstance(server, str) or not evidence.described.servers:
        return
    if bot_expectation.place_or_none(server) not in map(bot_expectation.place_or_none, evidence.described.servers):
        yield bot_cause(
            "other_server",
            "the bot is connected to another server than the one that is described",
            f"it is connected to {bot_expectation.without_credentials(server)}, by {source_of_servers(evidence)}",
            f"described: {', '.join(evidence.described.servers)}",
            remedy=how_to_correct(evidence),
        )


def unexplained(evidence: Evidence) -> Iterator[Cause]:
    """Name a bot that says that it is not connected, while all that it reads is sound."""
    says_nothing = evidence.says_connected is None
    if says_nothing and isinstance(evidence.connections, NotSeenError):
        return
    said = () if isinstance(evidence.unit, NotSeenError) else _words(evidence.unit)[-1:]
    yield bot_cause(
        "bot_not_connected",
        "the bot is not connected, and nothing that was looked at says why",
        "the server has no connection of it" if says_nothing else "it tells so itself",
        *(f"its last words: {line}" for line in said),
        remedy=f"look at the log of the bot: {evidence.described.log}",
        confidence=Confidence.LIKELY,
    )


# What it reads


def ask_section(evidence: Evidence) -> Iterator[Cause]:
    """Look at its section of the configuration file."""
    file = seen(evidence.section)
    cause = _file_cause(evidence, file)
    if cause:
        yield cause
        return
    try:
        section = file.mapping().get(SECTION)
    except BrokenError as error:
        yield bot_cause(
            "bot_file_broken",
            "the bot's file is no YAML, so the bot can't start",
            f"{file.path}: {error}",
            remedy=f"correct {file.path}, then {evidence.described.restart}",
        )
        return
    if not isinstance(section, Mapping):
        yield bot_cause(
            "section_missing",
            "the bot's file has no section nats, so the bot runs without NATS",
            f"{file.path}: expected {SECTION}: with servers, name and prefix, found none",
            remedy=DEPLOY,
        )
    elif not section.get(client_options.PREFIX):
        yield bot_cause(
            "prefix_missing",
            "the bot's section has no prefix, so the bot does not know its subjects",
            f"{file.path}: {SECTION}.{client_options.PREFIX}: expected {evidence.described.prefix}, found nothing",
            remedy=DEPLOY,
        )
    else:
        yield from _option_causes(file, section)


def _file_cause(evidence: Evidence, file: File) -> Cause | None:
    if file.content is None:
        return bot_cause("bot_file_missing", "the bot's file is not there", f"no {file.path}", remedy=DEPLOY)
    if file.forbidden:
        account = evidence.described.account
        return bot_cause(
            "bot_file_unreadable",
            "the bot's account may not read the bot's file",
            f"{account} may not read {file.path}",
            *([f"it is stopped at {file.forbidden}"] if file.forbidden != file.path else []),
            remedy=f"chown {account} {file.path}, or {DEPLOY}; then {evidence.described.restart}",
        )
    return None


def _option_causes(file: File, section: Mapping[str, t.Any]) -> Iterator[Cause]:
    for name, value in section.items():
        if name == client_options.PREFIX or name in client_options.SECRET_OPTIONS:
            continue
        shown = redaction.redact(json.dumps(value, default=str))
        kind = client_options.OPTIONS.get(name)
        if kind is None:
            near = difflib.get_close_matches(str(name), client_options.OPTIONS, 1)
            yield bot_cause(
                "option_unknown",
                "the bot's section has an option that the NATS client does not know, which ends its connect()",
                f"{file.path}: {SECTION}.{name}" + (f"; the nearest is {near[0]}" if near else ""),
                remedy=f"take {name} out of bot_config_nats, or correct it there; then deploy again",
                confidence=Confidence.LIKELY,
            )
        elif not kind.accepts(value):
            yield bot_cause(
                "option_wrong",
                "the bot's section has a value that the NATS client can't use",
                f"{file.path}: {SECTION}.{name}: expected {kind.expected}, found {shown}",
                remedy=f"correct {name} in bot_config_nats; then deploy again",
                confidence=Confidence.LIKELY,
            )


def ask_secrets(evidence: Evidence) -> Iterator[Cause]:
    """Look at its file of secrets."""
    file = seen(evidence.secrets)
    if file.content is None:
        return
    try:
        found = environment_file.get(file.content)
    except environment_file.EnvironmentFileError as error:
        yield bot_cause(
            "secrets_broken",
            "the bot's environment file can't be read as systemd reads it",
            f"{file.path}: {error}",
            remedy=f"correct {file.path}, or {DEPLOY}; then {evidence.described.restart}",
        )
        return
    text = file.content.decode(errors="replace")
    for name in (credentials.SERVER_VARIABLE, *credentials.VARIABLES.values()):
        if name not in found and re.search(rf"^[^#;\n]*\b{name}[ \t]*\+?=", text, re.MULTILINE):
            yield bot_cause(
                "secrets_misread",
                "the bot's environment file sets a variable in a way that systemd does not read",
                f"{file.path}: {name}: expected {name}=... in a line of its own, found it set as only a shell reads it",
                remedy=f"write {name}=... in a line of its own, or {DEPLOY}; then {evidence.described.restart}",
            )


# Its service

_NO_MODULE = re.compile(r"No module named '([\w.]+)'")
_NOT_EXECUTED = "203"


def ask_service(evidence: Evidence) -> Iterator[Cause]:
    """Look at its service."""
    unit, name = seen(evidence.unit), f"{evidence.described.service}.service"
    if unit["LoadState"] == "not-found":
        yield bot_cause(
            "bot_unit_missing",
            "the bot's service is not there",
            f"systemd knows no {name}",
            remedy="install the bot's service, or name it in bot_config_service",
        )
    elif unit["LoadState"] == "masked":
        yield bot_cause(
            "bot_unit_masked",
            "the bot's service is masked, so nothing starts it",
            f"{name} is a link to /dev/null",
            remedy=f"systemctl unmask {evidence.described.service}, then systemctl start {evidence.described.service}",
        )
    elif unit.broken:
        yield bot_cause(
            "bot_unit_broken",
            "systemd can't use the unit of the bot's service",
            f"systemd says: {unit.broken}",
            *unit_checks.told(unit.files.drop_ins),
            remedy=f"correct it: systemctl cat {evidence.described.service}, and systemd-analyze verify {name}; then "
            f"systemctl daemon-reload and {evidence.described.restart}",
        )
    elif unit["ActiveState"] == "inactive":
        yield bot_cause(
            "bot_stopped",
            "the bot's service is stopped",
            f"{name} is inactive, and ended without an error",
            remedy=evidence.described.restart,
        )
    elif service.is_failing(unit.properties):
        yield from _dying_causes(evidence, unit)


def _dying_causes(evidence: Evidence, unit: Unit) -> Iterator[Cause]:
    confidence = Confidence.LIKELY if unit.number("MainPID") else Confidence.CERTAIN
    step = hardening.STEPS.get(unit.number("ExecMainStatus"))
    # systemd tells in two lines what it could not apply, and at which step it gave up
    last = [f"its last words: {line}" for line in _words(unit)[-2 if step else -1 :]]
    missing = next((found[1] for line in reversed(_words(unit)) if (found := _NO_MODULE.search(line))), None)
    if missing:
        yield bot_cause(
            "library_missing",
            "the bot's Python lacks a library, so the bot ends as it starts",
            *last,
            remedy=f"install {missing} into the bot's virtual environment in {evidence.described.home}/venv",
        )
    elif not files_explain(evidence):
        status = unit["ExecMainStatus"]
        program = f", can't execute {unit.command[0]}" if status == _NOT_EXECUTED and unit.command else ""
        yield bot_cause(
            "bot_dies",
            "the bot ends as it starts, and systemd starts it again",
            f"{evidence.described.service}.service: {unit['Result']}, status {status}{program}",
            *last,
            remedy="install the bot anew"
            if program
            else f"take out of its unit what this host can't apply: systemctl edit {evidence.described.service}"
            if step
            else f"look at the log of the bot: {evidence.described.log}",
            confidence=confidence,
        )


def _words(unit: Unit) -> tuple[str, ...]:
    """Give what the bot wrote last, nothing where that could not be seen."""
    return () if isinstance(unit.said, NotSeenError) else unit.said


def files_explain(evidence: Evidence) -> bool:
    """Tell whether its files may be why it is not connected."""
    return any(finds(ask, evidence, Confidence.POSSIBLE) for ask in (ask_section, ask_secrets))


NATS_SERVER, CLIENTS = "nats-server", "clients"
