# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How causes at the server and their remedies are put into words."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.rosey.nats.plugins.module_utils._data import lost_streams
from ansible_collections.rosey.nats.plugins.module_utils._host import (
    figures,
    hardening,
    redaction,
    unit_checks,
    unit_file,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.evidence import Unit
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.server_evidence import (
    Evidence,
    Place,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import (
    Cause,
    Confidence,
    NotSeenError,
    Symptom,
    seen,
)


def server_cause(
    name: str, cause: str, *evidence: str, remedy: str, confidence: Confidence = Confidence.CERTAIN
) -> Cause:
    """Give a cause of the server's."""
    return Cause(Symptom.SERVER, name, cause, evidence, remedy, confidence)


# What it had


_MOST_STREAMS = 5


def count_of_streams(lost: list[lost_streams.Lost]) -> str:
    """Say how many streams were lost."""
    return f"{len(lost)} stream{'' if len(lost) == 1 else 's'}"


def told_of_streams(lost: list[lost_streams.Lost]) -> Iterator[str]:
    """Say of each lost stream what it held and what there is, for the first few."""
    for each in lost[:_MOST_STREAMS]:
        had = lost_streams.holding(each.stream)
        yield f"stream {lost_streams.named(each.stream)}: {had} then, now {each}"
    if len(lost) > _MOST_STREAMS:
        yield f"and {len(lost) - _MOST_STREAMS} more"


def overriding(unit: Unit) -> Iterator[unit_file.Override]:
    """Give what drop-ins lay over the unit's settings that matter to the server."""
    return unit_file.overrides(unit.files.unit, unit.files.drop_ins, unit_checks.SERVER_SETTINGS)


def unit_of(evidence: Evidence) -> Unit | None:
    """Give the unit, None where no service manager runs the server; NotSeenError."""
    return None if evidence.unit is None else seen(evidence.unit)


def what_is_left(place: Place) -> str:
    """Say what room a place has."""
    room = "" if place.free_bytes is None else figures.size(place.free_bytes)
    inodes = "" if place.free_inodes is None else f"{place.free_inodes} inodes"
    return f"{' and '.join(filter(None, [room, inodes]))} are left"


def shown_command(unit: Unit) -> str:
    """Give what it starts, less what looks like a secret."""
    return redaction.redact(" ".join(unit.command))


# What the server says of its end itself, not Go's traceback.
_OWN_WORDS = re.compile(r"nats-server: |fatal error: |panic: |.*\[FTL\] |.*error opening file: ")


def last_words_of(evidence: Evidence) -> str:
    """Give what a server that does not run said last, to its log or else to the journal."""
    if evidence.runs or not isinstance(evidence.unit, Unit):
        return ""
    said = words_of(evidence.unit)
    fatal = last_fatal(evidence.log, evidence.unit["ExecMainPID"]) if isinstance(evidence.log, str) else ""
    return fatal or next((line for line in reversed(said) if _OWN_WORDS.match(line)), next(reversed(said), ""))


def last_fatal(log: str, pid: str) -> str:
    """Give the error that a process wrote last into its log as the reason for its end; empty where it wrote none."""
    found = [line for line in log.splitlines() if line.startswith(f"[{pid}] ") and "[FTL] " in line]
    return found[-1].partition("[FTL] ")[2] if found else ""


def words_of(unit: Unit) -> tuple[str, ...]:
    """Give what the service said last; NotSeenError."""
    return seen(unit.said)


def end_of(unit: Unit) -> str:
    """Say how systemd saw the service end."""
    restarts = unit.number("NRestarts")
    again = f", started again {restarts} times" if restarts else ""
    step = hardening.STEPS.get(unit.number("ExecMainStatus"))
    return f"Result={unit['Result']}, exit status {unit['ExecMainStatus']}{f'/{step}' if step else ''}{again}"


def lines_of_log(evidence: Evidence, pattern: re.Pattern[str]) -> list[str]:
    """Give what the process wrote into its log, as far as that can be read, a few lines at most."""
    return own_lines(evidence, pattern)[:MOST_LINES]


def own_lines(evidence: Evidence, pattern: re.Pattern[str]) -> list[str]:
    """Give all such lines that the process wrote into its log, as far as that can be read."""
    if isinstance(evidence.log, NotSeenError):
        return []
    own = f"[{evidence.pid}] "
    found = [line for line in evidence.log.splitlines() if line.startswith(own) and pattern.search(line)]
    return [line.partition("] ")[2] for line in found]


MOST_LINES = 3


def edit_unit(evidence: Evidence) -> str:
    """Give the command that edits the unit."""
    return f"systemctl edit {evidence.described.service}" if evidence.described.service else "see what starts it"


def restart_command(evidence: Evidence) -> str:
    """Give the command that restarts the server."""
    return evidence.start.replace("systemctl start", "systemctl restart")
