# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why the server does not start, or does not serve: what is asked of the evidence. Nothing here looks at the host."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.rosey.nats.plugins.module_utils._data import lost_streams
from ansible_collections.rosey.nats.plugins.module_utils._host import (
    process,
    redaction,
    unit_checks,
)
from ansible_collections.rosey.nats.plugins.module_utils._server import conditions, requirements, server_files
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import (
    server_certificates,
    server_cluster,
    server_end,
    server_needs,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.server_evidence import (
    Evidence,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.server_words import (
    count_of_streams,
    last_words_of,
    lines_of_log,
    overriding,
    restart_command,
    server_cause,
    told_of_streams,
    unit_of,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import (
    Cause,
    Confidence,
    Diagnosis,
    NotSeenError,
    Question,
    Symptom,
    diagnose,
    seen,
)


def diagnosis(evidence: Evidence) -> Diagnosis:
    """Say why the server does not start."""
    # What is lost comes before what does not run as it should.
    first = () if evidence.streams is None else (STREAMS,)
    if evidence.described.container:
        return diagnose(Symptom.SERVER, (*_IN_A_CONTAINER, *first), evidence)
    unit = () if evidence.unit is None else (UNIT,)
    questions = RUNNING if evidence.runs else DOWN
    certificates = server_certificates.questions(evidence)
    members = server_cluster.questions(evidence)
    return diagnose(Symptom.SERVER, (*first, *unit, *certificates, *members, *questions), evidence)


# What the server says as it leaves out a stream (server/jetstream.go, EnableJetStream).
_LEFT_OUT = re.compile(
    rf"{lost_streams.RECREATING}|Error decrypting|Error unmarshalling stream|Missing stream metafile"
)


def _ask_streams(evidence: Evidence) -> Iterator[Cause]:
    found = None if evidence.streams is None else seen(evidence.streams)
    if found is None or not found.lost:
        return
    # Where JetStream is off, nobody tells where the store is.
    hidden = [each for each in found.lost if found.is_off or each.files is lost_streams.Files.STAND]
    gone = [each for each in found.lost if each not in hidden]
    if hidden:
        yield server_cause(
            "streams_hidden",
            f"the server does not show {count_of_streams(hidden)} that it had at {found.time}, "
            f"{'since JetStream is off' if found.is_off else 'though the files still stand'}",
            *told_of_streams(hidden),
            *lines_of_log(evidence, _LEFT_OUT),
            remedy=f"{lost_streams.remedy_of_off() if found.is_off else lost_streams.remedy_of_hidden()}"
            f" ({restart_command(evidence)}); {lost_streams.MEANT}",
        )
    if gone:
        yield server_cause(
            "streams_gone",
            f"gone since {found.time}, {count_of_streams(gone)}",
            *told_of_streams(gone),
            remedy=f"{lost_streams.remedy_of_gone(found.release_dir)}; {lost_streams.MEANT}",
        )


# The unit


def _ask_unit(evidence: Evidence) -> Iterator[Cause]:
    unit = unit_of(evidence)
    if unit is None:
        return
    name, state = f"{unit.service}.service", unit["LoadState"]
    file = unit["FragmentPath"] or f"/etc/systemd/system/{name}"
    said = f"systemd: LoadState={state}, from {file}"
    if state == "masked":
        yield server_cause(
            "unit_masked",
            f"{name} is masked, so that nothing can start it",
            said,
            remedy=f"systemctl unmask {unit.service}, and deploy again where the unit is gone by now",
        )
    words = last_words_of(evidence) if not isinstance(unit.said, NotSeenError) else ""
    for each in overriding(unit):
        yield server_cause(
            "unit_overridden",
            f"a drop-in changes what {name} is deployed with",
            *unit_checks.told(each.by),
            f"{file} has {f'{each.name}={redaction.redact(each.meant)}' if each.meant else f'no {each.name}'}",
            *filter(None, (words and f"its last words: {words}",)),
            remedy="take that out of the drop-in, or remove the file; then systemctl daemon-reload and "
            f"{restart_command(evidence)}",
            # where the server is down, something else may be why
            confidence=Confidence.CERTAIN if evidence.runs or unit.broken else Confidence.LIKELY,
        )
    if state not in ("masked", "loaded"):
        yield server_cause(
            "unit_missing",
            f"systemd has no {name}" if state == "not-found" else f"systemd can't read {name}",
            said,
            *filter(None, (unit.broken and f"systemd says: {unit.broken}",)),
            remedy=f"deploy again, which writes {file}; then {evidence.start}",
        )


# Whether it is alone


def _ask_alone(evidence: Evidence) -> Iterator[Cause]:
    by_other: dict[int, list[server_files.Clash]] = {}
    for clash in seen(evidence.clashes):
        by_other.setdefault(clash.other.running.pid, []).append(clash)
    for clashes in by_other.values():
        is_of_store = any(each.option == requirements.STORE_OPTION for each in clashes)
        yield server_cause(
            "store_shared" if is_of_store else "files_shared",
            f"two servers have one {'store' if is_of_store else 'place to write to'}, and overwrite what the other "
            "wrote",
            *(f"{each.finding.what}: {each.finding.found}" for each in clashes),
            remedy=clashes[0].finding.remedy,
        )


# Whether it serves


def _ask_container(evidence: Evidence) -> Iterator[Cause]:
    name = evidence.described.container
    if isinstance(evidence.health, NotSeenError):
        look = f"look at it with docker ps --all, docker inspect {name} and docker logs {name}"
        raise NotSeenError(f"the server in the container {name}", evidence.health.why, look)
    yield from _health_causes(evidence)


def _ask_service(evidence: Evidence) -> Iterator[Cause]:
    if evidence.state not in process.STOPPED:
        yield from _health_causes(evidence)


def _health_causes(evidence: Evidence) -> Iterator[Cause]:
    for finding in conditions.health_findings(seen(evidence.health)):
        yield server_cause(
            "unhealthy",
            "the server runs, and says itself that it is not well",
            f"{finding.what}: {finding.found}",
            remedy="see what it names, and look at its log",
            confidence=Confidence.LIKELY,
        )


def _ask_store(evidence: Evidence) -> Iterator[Cause]:
    seen(evidence.log)
    lines = lines_of_log(evidence, _STORE_TROUBLE)
    if lines:
        yield server_cause(
            "store_damaged",
            "the server left out a part of JetStream's store that it could not read",
            *lines,
            remedy="put back a copy of what it names (/var/lib/rosey-nats/stores has those of upgrades) while the "
            "server is stopped; without one, remove it and make the stream anew",
        )


_STORE_TROUBLE = re.compile(r"checksums? do(?:es)? not match|[Ee]rror recovering|corrupt|Error unmarshalling .*meta")


_IN_A_CONTAINER: tuple[Question[Evidence], ...] = (Question("server in its container", _ask_container),)
STREAMS: Question[Evidence] = Question("streams that were there when it was last proven", _ask_streams)
UNIT: Question[Evidence] = Question("unit", _ask_unit)
DOWN: tuple[Question[Evidence], ...] = (
    *server_needs.NEEDS,
    Question("", server_end.ask_state),
)
RUNNING: tuple[Question[Evidence], ...] = (
    *server_needs.NEEDS,
    Question("files that no other server has", _ask_alone),
    Question("state of the service", server_end.ask_state),
    Question("health of the server", _ask_service),
    Question("JetStream's store", _ask_store),
)
