# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the server ended, by systemd's words and its own."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator

from ansible_collections.rosey.nats.plugins.module_utils._host import (
    hardening,
    process,
    unit_checks,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import server_needs, server_words
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.evidence import Unit
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.server_evidence import (
    Evidence,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.server_words import (
    edit_unit,
    end_of,
    last_words_of,
    overriding,
    server_cause,
    shown_command,
    unit_of,
    words_of,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import (
    Cause,
    Confidence,
)

# Whether and how it ended


def ask_state(evidence: Evidence) -> Iterator[Cause]:
    """Look at how the server's process is, or ended."""
    unit = unit_of(evidence)
    if unit is None:
        if not evidence.runs:
            yield server_cause(
                "stopped",
                "the server does not run",
                f"{evidence.described.pid_file} names no process, and nothing serves its port",
                remedy=f"{evidence.start}; its last words are in {evidence.described.pid_file.with_suffix('.out')}",
            )
        return
    if unit["LoadState"] != "loaded":
        return
    for ending in _ENDINGS:
        found = ending(evidence, unit)
        if found:
            yield found
            return


def _suspended(evidence: Evidence, _unit_of: Unit) -> Cause | None:
    if evidence.state not in process.STOPPED:
        return None
    return server_cause(
        "suspended",
        "the server's process is stopped, and answers nobody until it is let go on",
        f"process {evidence.pid} is in state {evidence.state}",
        remedy=f"let it go on: kill -s SIGCONT {evidence.pid}; where a debugger holds it, end that",
    )


def _memory(evidence: Evidence, unit: Unit) -> Cause | None:
    words = [line for line in words_of(unit) if _MEMORY.search(line)]
    if unit["Result"] != "oom-kill" and not words:
        return None
    limits = [f"{name}={unit[name]}" for name in ("LimitAS", "MemoryMax") if unit[name] not in ("", "infinity")]
    left = "" if evidence.available is None else f"{evidence.available >> 20} MiB of memory are left on the host"
    return server_cause(
        "memory_short",
        "the server was killed for want of memory" if not words else "the server gets no memory",
        f"systemd: {end_of(unit)}",
        *words[:1],
        *filter(None, (", ".join(limits) and f"the unit has {', '.join(limits)}", left)),
        remedy=f"raise {' and '.join(each.partition('=')[0] for each in limits)} in the unit: {edit_unit(evidence)}"
        if limits
        else "give the host memory, or lower jetstream.max_mem; journalctl -k says what took it",
    )


def _killed(_evidence: Evidence, unit: Unit) -> Cause | None:
    if unit["Result"] not in ("signal", "core-dump"):
        return None
    number = unit.number("ExecMainStatus")
    name = signal.Signals(number).name.removeprefix("SIG") if number in set(signal.Signals) else "?"
    return server_cause(
        "killed",
        "the server was killed",
        f"systemd: {end_of(unit)}, by signal {number} ({name})",
        remedy=f"systemctl start {unit.service}; journalctl -k and the audit log may tell who did it"
        + (", the kernel where memory ran out" if name == "KILL" else ""),
    )


def _refused_command_line(evidence: Evidence, unit: Unit) -> Cause | None:
    words = [line for line in words_of(unit) if line.startswith(_UNKNOWN_FLAG)]
    if evidence.runs or not words:
        return None
    return server_cause(
        "command_line_refused",
        "the unit starts the server with what it does not know, upon which it prints its usage and ends well",
        words[0],
        f"the unit starts {shown_command(unit)}",
        remedy=f"correct ExecStart: {edit_unit(evidence)}",
    )


def _not_applied(evidence: Evidence, unit: Unit) -> Cause | None:
    """Tell of a sandbox that the host can't apply: systemd gives up before the program runs."""
    status = unit.number("ExecMainStatus")
    if evidence.runs or evidence.account is None or unit["Result"] != "exit-code" or status not in hardening.STEPS:
        return None
    return server_cause(
        "sandbox_not_applied",
        "this host can't apply something of the unit's sandbox, so systemd does not start the server",
        f"systemd: {end_of(unit)}",
        *(f"systemd says: {line}" for line in dict.fromkeys(words_of(unit)[-server_words.MOST_LINES :])),
        *unit_checks.told(unit.files.drop_ins),
        remedy="deploy again with --check, which names the directive, and the nats_server_hardening that the host can "
        "do; or let the host do it: a container needs SYS_PTRACE or nesting, a kernel user.max_user_namespaces above 0",
    )


def _refused(evidence: Evidence, unit: Unit) -> Cause | None:
    """Tell the last words of a server that ended by itself, where nothing else explains its end."""
    if evidence.runs or unit["Result"] == "success" or server_needs.is_explained(evidence):
        return None
    words = last_words_of(evidence)
    name, cause, remedy = next(told for pattern, *told in _LAST_WORDS if pattern.search(words))
    # what runs as another, or with other files, is kept from those of the unit's account
    if name == "path_forbidden" and any(overriding(unit)):
        return None
    about = {
        "command": shown_command(unit),
        "account": evidence.account.name if evidence.account else evidence.described.account,
        "file": evidence.config_file,
        "service": unit.service,
    }
    return server_cause(
        name,
        cause,
        *filter(None, (words and f"its last words: {words}", f"systemd: {end_of(unit)}")),
        remedy=remedy.format_map(about),
        confidence=Confidence.CERTAIN if words else Confidence.POSSIBLE,
    )


def _stopped(evidence: Evidence, unit: Unit) -> Cause | None:
    if evidence.runs or unit["ActiveState"] != "inactive" or unit["Result"] != "success":
        return None
    enabled = unit["UnitFileState"] in ("enabled", "enabled-runtime")
    return server_cause(
        "stopped",
        "the server was stopped, and nobody has started it since",
        f"systemd: ActiveState=inactive, Result=success, since {unit['StateChangeTimestamp'] or 'the boot'}",
        *(() if enabled else (f"it is not started at boot: UnitFileState={unit['UnitFileState'] or 'none'}",)),
        remedy=evidence.start if enabled else f"systemctl enable --now {unit.service}",
    )


_ENDINGS: tuple[Callable[[Evidence, Unit], Cause | None], ...] = (
    _suspended,
    _memory,
    _killed,
    _refused_command_line,
    _not_applied,
    _refused,
    _stopped,
)
_UNKNOWN_FLAG = "flag provided but not defined"
_MEMORY = re.compile(r"cannot allocate memory|out of memory|failed to reserve page summary|errno=12", re.IGNORECASE)
# What the cause is where the last words are such, and what to do. The first that fits counts.
_LAST_WORDS: tuple[tuple[re.Pattern[str], str, str, str], ...] = (
    (
        re.compile(r"address already in use"),
        "port_taken",
        "an address of the server was taken when it was started, and is free by now",
        "systemctl restart {service}; ss -ltnp shows who listens where",
    ),
    (
        re.compile(r"no space left on device"),
        "disk_full",
        "a file system was full when the server was started, and is not now",
        "systemctl restart {service}, and see what fills the disk (df -h)",
    ),
    (
        re.compile(r"too many open files"),
        "files_short",
        "the server may not open as many files as it needs",
        "raise LimitNOFILE in the unit: systemctl edit {service}",
    ),
    (
        re.compile(r"permission denied|read-only file system|operation not permitted|not writable"),
        "path_forbidden",
        "something keeps the server from a path that its account may reach: its unit, or SELinux or AppArmor",
        "compare systemctl cat {service} with the path, and look for a denial in the kernel's log",
    ),
    (
        re.compile(r"^panic: |^fatal error: "),
        "crashed",
        "the server crashed",
        "journalctl -u {service} has where; look for it among the known errors of nats-server, or take a newer one",
    ),
    (
        re.compile(r"JetStream|checksum|corrupt"),
        "store_damaged",
        "the server does not get along with JetStream's store",
        "look at what it names; a copy of the store, where there is one, is in /var/lib/rosey-nats/stores",
    ),
    (
        re.compile(r"."),
        "configuration_refused",
        "the server refuses to run with its configuration",
        "correct {file}, or deploy again, which writes it as it is described",
    ),
    (
        re.compile(r""),
        "ended",
        "the server ends as soon as it is started, and does not say why",
        "run it by hand, as {account}: {command}",
    ),
)
