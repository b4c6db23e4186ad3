# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a server with TLS can use its certificates, and shows those that its files have."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

from ansible_collections.rosey.nats.plugins.module_utils._host import command_line
from ansible_collections.rosey.nats.plugins.module_utils._server import certificates
from ansible_collections.rosey.nats.plugins.module_utils._server.served_certificates import Served
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.server_evidence import (
    Evidence,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.server_words import (
    restart_command,
    server_cause,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import (
    Cause,
    Confidence,
    NotSeenError,
    Question,
    seen,
)

# What the server says of them as it reads its configuration (server/opts.go, GenTLSConfig).
_KEY_PAIR = "X509 certificate/key pair"


def _ask_keys(evidence: Evidence) -> Iterator[Cause]:
    for flaw, all_served in _flaws(evidence).items():
        listener = all_served[0].listener
        is_key = flaw.kind is certificates.Kind.KEY_DOES_NOT_FIT
        yield server_cause(
            "key_mismatch" if is_key else "certificate_unusable",
            "the server's certificate and its key do not belong together"
            if is_key
            else "the server's certificate or its key is none that it can use",
            f"{listener.cert_file} and {listener.key_file}, for {_purposes(all_served)}: {flaw}",
            remedy=f"put the two that belong together there, then {restart_command(evidence)}",
            # one that runs has others, and would not start again
            confidence=Confidence.LIKELY if evidence.runs else Confidence.CERTAIN,
        )


def _flaws(evidence: Evidence) -> dict[certificates.Problem, list[Served]]:
    """Give what is wrong with the files of certificates, and whose they are."""
    found: dict[certificates.Problem, list[Served]] = {}
    for served in seen(evidence.certificates):
        if served.flaw:
            found.setdefault(served.flaw, []).append(served)
    return found


def _ask_renewed(evidence: Evidence) -> Iterator[Cause]:
    """Look for files of certificates that the running server has not read."""
    by_file: dict[str | None, list[Served]] = {}
    for served in seen(evidence.certificates):
        if served.is_stale and not served.flaw:
            by_file.setdefault(served.listener.cert_file, []).append(served)
    for file, all_served in by_file.items():
        shown, kept = (t.cast("certificates.Certificate", each) for each in (all_served[0].shown, all_served[0].kept))
        service = evidence.described.service
        yield server_cause(
            "certificate_not_read",
            "the server shows another certificate than its file has: nobody told it to read that",
            f"{file} has the one with serial number {kept.serial}, until {certificates.shown(kept.not_after)}",
            f"the server shows {shown.serial}, until {certificates.shown(shown.not_after)}, to {_purposes(all_served)}",
            remedy=f"{f'systemctl reload {service}, or ' if service else ''}deploy: {command_line.deploy()}",
        )


def _purposes(all_served: list[Served]) -> str:
    return ", ".join(each.listener.purpose for each in all_served)


def has_told(said: str, evidence: Evidence) -> bool:
    """Tell whether what the program says is about a certificate or a key that is told already."""
    return not isinstance(evidence.certificates, NotSeenError) and bool(_flaws(evidence)) and _KEY_PAIR in said


def questions(evidence: Evidence) -> tuple[Question[Evidence], ...]:
    """Give what there is to ask of a server; nothing of one without TLS."""
    if not isinstance(evidence.certificates, NotSeenError) and not evidence.certificates:
        return ()
    return (KEYS, RENEWED) if evidence.runs else (KEYS,)


KEYS: Question[Evidence] = Question("certificates with their keys", _ask_keys)
RENEWED: Question[Evidence] = Question("certificates as their files have them", _ask_renewed)
