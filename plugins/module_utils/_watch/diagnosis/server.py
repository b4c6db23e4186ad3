# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why the server does not start, or does not serve: what is asked of the evidence. Nothing here looks at the host."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._data import lost_streams
from ansible_collections.rosey.nats.plugins.module_utils._host import (
    access,
    hardening,
    process,
    redaction,
    sockets,
    unit_checks,
    unit_file,
)
from ansible_collections.rosey.nats.plugins.module_utils._host.needed_path import Need, NeededPath
from ansible_collections.rosey.nats.plugins.module_utils._server import conditions
from ansible_collections.rosey.nats.plugins.module_utils._server.options import check, model
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.evidence import Unit
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.server_evidence import (
    COMMAND_LINE,
    STORE,
    UNIT_OPTION,
    Evidence,
    Place,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import (
    Cause,
    Confidence,
    Diagnosis,
    NotSeenError,
    Question,
    Symptom,
    diagnose,
    finds,
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
    return diagnose(Symptom.SERVER, (*first, *unit, *questions), evidence)


def _cause(name: str, cause: str, *evidence: str, remedy: str, confidence: Confidence = Confidence.CERTAIN) -> Cause:
    return Cause(Symptom.SERVER, name, cause, evidence, remedy, confidence)


# What it had


_MOST_STREAMS = 5
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
        yield _cause(
            "streams_hidden",
            f"the server does not show {_counted(hidden)} that it had at {found.time}, "
            f"{'since JetStream is off' if found.is_off else 'though the files still stand'}",
            *_told(hidden),
            *_lines(evidence, _LEFT_OUT),
            remedy=f"{lost_streams.remedy_of_off() if found.is_off else lost_streams.remedy_of_hidden()}"
            f" ({_restart(evidence)}); {lost_streams.MEANT}",
        )
    if gone:
        yield _cause(
            "streams_gone",
            f"gone since {found.time}, {_counted(gone)}",
            *_told(gone),
            remedy=f"{lost_streams.remedy_of_gone(found.releases)}; {lost_streams.MEANT}",
        )


def _counted(lost: list[lost_streams.Lost]) -> str:
    return f"{len(lost)} stream{'' if len(lost) == 1 else 's'}"


def _told(lost: list[lost_streams.Lost]) -> Iterator[str]:
    for each in lost[:_MOST_STREAMS]:
        had = lost_streams.holding(each.stream)
        yield f"stream {lost_streams.named(each.stream)}: {had} then, now {each}"
    if len(lost) > _MOST_STREAMS:
        yield f"and {len(lost) - _MOST_STREAMS} more"


# The unit


def _ask_unit(evidence: Evidence) -> Iterator[Cause]:
    unit = _unit(evidence)
    if unit is None:
        return
    name, state = f"{unit.service}.service", unit["LoadState"]
    file = unit["FragmentPath"] or f"/etc/systemd/system/{name}"
    said = f"systemd: LoadState={state}, from {file}"
    if state == "masked":
        yield _cause(
            "unit_masked",
            f"{name} is masked, so that nothing can start it",
            said,
            remedy=f"systemctl unmask {unit.service}, and deploy again where the unit is gone by now",
        )
    words = _last_words(evidence) if not isinstance(unit.said, NotSeenError) else ""
    for each in _overrides(unit):
        yield _cause(
            "unit_overridden",
            f"a drop-in changes what {name} is deployed with",
            *unit_checks.told(each.by),
            f"{file} has {f'{each.name}={redaction.redact(each.meant)}' if each.meant else f'no {each.name}'}",
            *filter(None, (words and f"its last words: {words}",)),
            remedy="take that out of the drop-in, or remove the file; then systemctl daemon-reload and "
            f"{_restart(evidence)}",
            # where the server is down, something else may be why
            confidence=Confidence.CERTAIN if evidence.runs or unit.broken else Confidence.LIKELY,
        )
    if state not in ("masked", "loaded"):
        yield _cause(
            "unit_missing",
            f"systemd has no {name}" if state == "not-found" else f"systemd can't read {name}",
            said,
            *filter(None, (unit.broken and f"systemd says: {unit.broken}",)),
            remedy=f"deploy again, which writes {file}; then {evidence.start}",
        )


def _overrides(unit: Unit) -> Iterator[unit_file.Override]:
    return unit_file.overrides(unit.files.unit, unit.files.drop_ins, unit_checks.SERVER_SETTINGS)


def _unit(evidence: Evidence) -> Unit | None:
    """Give the unit, None where no service manager runs the server; NotSeenError."""
    return None if evidence.unit is None else seen(evidence.unit)


# What it is started from


def _ask_binary(evidence: Evidence) -> Iterator[Cause]:
    binary = evidence.binary
    deploy = "deploy again, which installs it"
    way = str(binary.path) if binary.path == binary.target else f"{binary.path}, a link to {binary.target}"
    if not binary.exists:
        yield _cause("binary_missing", "the program is not there", f"no {way}", remedy=deploy)
    elif binary.name == "EACCES":
        yield _cause(
            "binary_not_executable",
            "the program may not be executed",
            f"{way}: {binary.fault}",
            remedy=f"chmod 755 {binary.target}, or {deploy}",
        )
    elif binary.fault:
        wrong = "is for another architecture, or no program" if binary.name == "ENOEXEC" else "does not run"
        yield _cause("binary_unusable", f"the program {wrong}", f"{way}: {binary.fault}", remedy=deploy)


def _ask_account(evidence: Evidence) -> Iterator[Cause]:
    if evidence.account is None:
        unit = evidence.unit
        name = (isinstance(unit, Unit) and unit["User"]) or evidence.described.account
        yield _cause(
            "account_missing",
            f"the account {name}, or its group, which the server is to run as, is not on this host",
            f"{name} is not in the databases of users and groups",
            remedy=f"deploy again, which makes it; or useradd --system --user-group {name}",
        )


# What it reads and writes


def _ask_config_file(evidence: Evidence) -> Iterator[Cause]:
    if evidence.config is None:
        yield _cause(
            "configuration_missing",
            "the configuration is not there",
            f"no {evidence.config_file}, which the server is started with",
            remedy=f"deploy again, which writes it; or correct the unit that names it: {_edit(evidence)}",
        )


def _ask_paths(evidence: Evidence) -> Iterator[Cause]:
    if evidence.config is None:
        return
    stranger = _stranger(evidence)
    if stranger:
        yield stranger
    told: set[tuple[str, Path]] = set()
    for place in seen(evidence.places):
        for cause, where in _faults(place, evidence):
            if (cause.name, where) not in told and not (stranger and cause.name == stranger.name):
                told.add((cause.name, where))
                yield cause


def _stranger(evidence: Evidence) -> Cause | None:
    """Tell of an account that is not meant to run the server, and that is stopped somewhere."""
    account, meant = evidence.account, evidence.described.account
    if account is None or not meant or account.name == meant:
        return None
    forbidden = (place.fault for place in seen(evidence.places) if place.option != UNIT_OPTION)
    stopped = [fault for fault in forbidden if fault and fault.kind is access.Kind.FORBIDDEN]
    if not stopped:
        return None
    return _cause(
        "path_forbidden",
        f"the server runs as {account.name}, which may not reach what belongs to {meant}",
        *dict.fromkeys(fault.seen for fault in stopped),
        remedy=f"let the unit run it as {meant} again: {_edit(evidence)}, or deploy again",
    )


def _faults(place: Place, evidence: Evidence) -> Iterator[tuple[Cause, Path]]:
    """Say what is wrong with a path, and where."""
    if place.fault:
        yield _cause_of(place, place.fault, evidence), place.fault.where
        if place.fault.kind is not access.Kind.FORBIDDEN:
            return
    if place.option == UNIT_OPTION:
        return
    if (obstacle := _kept_from(evidence.unit, place)) is not None:
        is_read = place.need is Need.FILE
        cause = _cause(
            "unit_forbids",
            f"the unit lets the server {'see' if is_read else 'write'} nothing in {place.needed}",
            f"{place.option} is there, and {obstacle.directive} of the unit {obstacle.what}",
            remedy="name another path, or deploy again, which writes the unit to fit and says what can't be"
            if is_read or not obstacle.directive.startswith("ProtectSystem")
            else f"deploy again, which writes the unit to fit; or add ReadWritePaths={place.needed}: {_edit(evidence)}",
        )
        yield cause, place.needed


def _cause_of(place: Place, fault: access.Fault, evidence: Evidence) -> Cause:
    account = evidence.account.name if evidence.account else evidence.described.account
    name, what = _FAULTS[fault.kind]
    copied = ""
    if place.option == STORE and fault.kind is access.Kind.WRONG:
        name, copied = (
            "store_damaged",
            f", then {evidence.start}; where a copy of the store was made, put it there first",
        )
    return _cause(
        name,
        what.format(what=fault.what, account=account),
        f"{place.option} needs it" if fault.seen else f"{place.option}: {fault.path}",
        *filter(None, (fault.seen,)),
        remedy=f"{fault.remedy}{copied}{', or deploy again' if _is_mended(place, fault) else ''}",
    )


# What it is called, and how it is told.
_FAULTS = {
    access.Kind.MISSING: ("path_missing", "{what}"),
    access.Kind.FORBIDDEN: ("path_forbidden", "{what}, and the server runs as {account}"),
    access.Kind.READ_ONLY: ("path_read_only", "{what}"),
    access.Kind.WRONG: ("path_wrong", "{what}"),
}


def _is_mended(place: Place, fault: access.Fault) -> bool:
    """Tell whether a deployment mends it, which owns what it describes and what the server itself has made."""
    is_described = place.option in (STORE, COMMAND_LINE) or place.need is Need.PARENT
    is_at_it = fault.where == place.needed or place.needed in fault.where.parents
    return is_described and is_at_it and fault.kind in (access.Kind.FORBIDDEN, access.Kind.MISSING)


def _kept_from(unit: Unit | NotSeenError | None, place: Place) -> hardening.Obstacle | None:
    """Give what of the unit's sandbox keeps the server from a place."""
    if not isinstance(unit, Unit):
        return None
    need = Need.FILE if place.need is Need.FILE else Need.DIRECTORY
    return hardening.obstacle(unit.__getitem__, NeededPath(place.option, str(place.needed), need))


_LEAST_BYTES = 64 * 1024


def _ask_disk(evidence: Evidence) -> Iterator[Cause]:
    full: dict[int, list[Place]] = {}
    for place in seen(evidence.places):
        writes = place.need is not Need.FILE and place.option != UNIT_OPTION
        is_read_only = place.fault is not None and place.fault.kind is access.Kind.READ_ONLY
        if writes and not is_read_only and _is_full(place):
            full.setdefault(place.device, []).append(place)
    for places in full.values():
        first = places[0]
        no_inodes = first.free_inodes == 0
        yield _cause(
            "disk_full",
            f"the file system of {first.needed} has no {'inodes' if no_inodes else 'space'} left",
            *(f"{place.option}: {place.needed}, where {_left(place)}" for place in places),
            remedy=f"make room (df -h {first.needed}; df -i {first.needed}), then {_restart(evidence)}, since "
            "JetStream does not try again by itself",
        )


def _is_full(place: Place) -> bool:
    return place.free_inodes == 0 or (place.free_bytes is not None and place.free_bytes < _LEAST_BYTES)


def _left(place: Place) -> str:
    inodes = "" if place.free_inodes is None else f" and {place.free_inodes} inodes"
    return f"{place.free_bytes} bytes{inodes} are left"


# The configuration


def _ask_configuration(evidence: Evidence) -> Iterator[Cause]:
    if evidence.config is None:
        return
    found = [] if evidence.fault else check.problems(seen(evidence.config))
    yield from _refused_at_start(
        evidence, [str(problem) for problem in found if problem.stage is not model.Stage.CHECK]
    )
    trial = None if isinstance(evidence.tested, NotSeenError) else evidence.tested
    said = ""
    if trial and trial.status and not _is_of_a_path(trial.said, evidence):
        said = f"{evidence.binary.path} -t: {trial.said.splitlines()[-1] if trial.said else trial.status}"
    by_table = [str(problem) for problem in found if problem.stage is model.Stage.CHECK]
    if evidence.fault:
        by_table.append(f"{evidence.config_file}: {evidence.fault}")
    if said or by_table:
        yield _cause(
            "configuration_invalid",
            f"{evidence.config_file} is no configuration that nats-server takes",
            *([said] if said else []),
            *by_table,
            remedy="correct it, or deploy again, which writes it as it is described",
            # what the server itself accepts can't be what keeps it from starting
            confidence=Confidence.CERTAIN if said or trial is None else Confidence.POSSIBLE,
        )
    else:
        seen(evidence.tested)


def _refused_at_start(evidence: Evidence, problems: list[str]) -> Iterator[Cause]:
    """Tell what the program does not find when it tries a configuration, but when it starts with it."""
    words = _last_words(evidence) if isinstance(evidence.unit, Unit) else ""
    if problems:
        yield _cause(
            "configuration_refused",
            "the server refuses to start with its configuration, though it takes it when it only tries it",
            *problems,
            *filter(None, (words and f"its last words: {words}",)),
            remedy=f"correct {evidence.config_file}, or deploy again, which writes it as it is described",
        )


def _is_of_a_path(said: str, evidence: Evidence) -> bool:
    """Tell whether what the program says is about a path, which was told already."""
    return any(str(path) in said for path in _paths_told(evidence))


def _paths_told(evidence: Evidence) -> Iterator[Path]:
    if isinstance(evidence.places, NotSeenError):
        return
    for place in evidence.places:
        for _cause_of_it, _where in _faults(place, evidence):
            yield place.needed


# Its addresses


def _ask_ports(evidence: Evidence) -> Iterator[Cause]:
    holders: dict[tuple[int, ...], list[sockets.Taken]] = {}
    for taken in seen(evidence.taken):
        holders.setdefault(taken.holder.pids, []).append(taken)
    for pids, held in holders.items():
        by_hand = "a second nats-server" if held[0].holder.command == "nats-server" else "another program"
        yield _cause(
            "port_taken",
            f"{by_hand} listens where the server is to listen",
            *map(str, held),
            remedy=f"stop it{f' (kill {pids[0]})' if pids else ''}, or give the server another port; "
            f"then {evidence.start}",
        )


def _ask_addresses(evidence: Evidence) -> Iterator[Cause]:
    for host, why in evidence.absent.items():
        yield _cause(
            "address_absent",
            f"the server is to listen on {host}, which is not an address of this host",
            f"listening there: {why}",
            remedy="set host in nats_server_config to an address of this host (ip address), and deploy again",
        )


# Whether and how it ended


def _ask_state(evidence: Evidence) -> Iterator[Cause]:
    unit = _unit(evidence)
    if unit is None:
        if not evidence.runs:
            yield _cause(
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
    return _cause(
        "suspended",
        "the server's process is stopped, and answers nobody until it is let go on",
        f"process {evidence.pid} is in state {evidence.state}",
        remedy=f"let it go on: kill -s SIGCONT {evidence.pid}; where a debugger holds it, end that",
    )


def _memory(evidence: Evidence, unit: Unit) -> Cause | None:
    words = [line for line in _words(unit) if _MEMORY.search(line)]
    if unit["Result"] != "oom-kill" and not words:
        return None
    limits = [f"{name}={unit[name]}" for name in ("LimitAS", "MemoryMax") if unit[name] not in ("", "infinity")]
    left = "" if evidence.available is None else f"{evidence.available >> 20} MiB of memory are left on the host"
    return _cause(
        "memory_short",
        "the server was killed for want of memory" if not words else "the server gets no memory",
        f"systemd: {_ended(unit)}",
        *words[:1],
        *filter(None, (", ".join(limits) and f"the unit has {', '.join(limits)}", left)),
        remedy=f"raise {' and '.join(each.partition('=')[0] for each in limits)} in the unit: {_edit(evidence)}"
        if limits
        else "give the host memory, or lower jetstream.max_mem; journalctl -k says what took it",
    )


def _killed(_evidence: Evidence, unit: Unit) -> Cause | None:
    if unit["Result"] not in ("signal", "core-dump"):
        return None
    number = unit.number("ExecMainStatus")
    name = signal.Signals(number).name.removeprefix("SIG") if number in set(signal.Signals) else "?"
    return _cause(
        "killed",
        "the server was killed",
        f"systemd: {_ended(unit)}, by signal {number} ({name})",
        remedy=f"systemctl start {unit.service}; journalctl -k and the audit log may tell who did it"
        + (", the kernel where memory ran out" if name == "KILL" else ""),
    )


def _refused_command_line(evidence: Evidence, unit: Unit) -> Cause | None:
    words = [line for line in _words(unit) if line.startswith(_UNKNOWN_FLAG)]
    if evidence.runs or not words:
        return None
    return _cause(
        "command_line_refused",
        "the unit starts the server with what it does not know, upon which it prints its usage and ends well",
        words[0],
        f"the unit starts {_shown(unit)}",
        remedy=f"correct ExecStart: {_edit(evidence)}",
    )


def _not_applied(evidence: Evidence, unit: Unit) -> Cause | None:
    """Tell of a sandbox that the host can't apply: systemd gives up before the program runs."""
    status = unit.number("ExecMainStatus")
    if evidence.runs or evidence.account is None or unit["Result"] != "exit-code" or status not in hardening.STEPS:
        return None
    return _cause(
        "sandbox_not_applied",
        "this host can't apply something of the unit's sandbox, so systemd does not start the server",
        f"systemd: {_ended(unit)}",
        *(f"systemd says: {line}" for line in dict.fromkeys(_words(unit)[-_MOST_LINES:])),
        *unit_checks.told(unit.files.drop_ins),
        remedy="deploy again with --check, which names the directive, and the nats_server_hardening that the host can "
        "do; or let the host do it: a container needs SYS_PTRACE or nesting, a kernel user.max_user_namespaces above 0",
    )


def _shown(unit: Unit) -> str:
    """Give what it starts, less what looks like a secret."""
    return redaction.redact(" ".join(unit.command))


def _refused(evidence: Evidence, unit: Unit) -> Cause | None:
    """Tell the last words of a server that ended by itself, where nothing else explains its end."""
    if evidence.runs or unit["Result"] == "success" or _is_explained(evidence):
        return None
    words = _last_words(evidence)
    name, cause, remedy = next(told for pattern, *told in _LAST_WORDS if pattern.search(words))
    # what runs as another, or with other files, is kept from those of the unit's account
    if name == "path_forbidden" and any(_overrides(unit)):
        return None
    about = {
        "command": _shown(unit),
        "account": evidence.account.name if evidence.account else evidence.described.account,
        "file": evidence.config_file,
        "service": unit.service,
    }
    return _cause(
        name,
        cause,
        *filter(None, (words and f"its last words: {words}", f"systemd: {_ended(unit)}")),
        remedy=remedy.format_map(about),
        confidence=Confidence.CERTAIN if words else Confidence.POSSIBLE,
    )


def _stopped(evidence: Evidence, unit: Unit) -> Cause | None:
    if evidence.runs or unit["ActiveState"] != "inactive" or unit["Result"] != "success":
        return None
    enabled = unit["UnitFileState"] in ("enabled", "enabled-runtime")
    return _cause(
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
# What the server says of its end itself, not Go's traceback.
_OWN_WORDS = re.compile(r"nats-server: |fatal error: |panic: |.*\[FTL\] |.*error opening file: ")
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


def _last_words(evidence: Evidence) -> str:
    """Give what a server that does not run said last, to its log or else to the journal."""
    if evidence.runs or not isinstance(evidence.unit, Unit):
        return ""
    said = _words(evidence.unit)
    fatal = last_fatal(evidence.log, evidence.unit["ExecMainPID"]) if isinstance(evidence.log, str) else ""
    return fatal or next((line for line in reversed(said) if _OWN_WORDS.match(line)), next(reversed(said), ""))


def last_fatal(log: str, pid: str) -> str:
    """Give the error that a process wrote last into its log as the reason for its end; empty where it wrote none."""
    found = [line for line in log.splitlines() if line.startswith(f"[{pid}] ") and "[FTL] " in line]
    return found[-1].partition("[FTL] ")[2] if found else ""


def _words(unit: Unit) -> tuple[str, ...]:
    return seen(unit.said)


def _ended(unit: Unit) -> str:
    restarts = unit.number("NRestarts")
    again = f", started again {restarts} times" if restarts else ""
    step = hardening.STEPS.get(unit.number("ExecMainStatus"))
    return f"Result={unit['Result']}, exit status {unit['ExecMainStatus']}{f'/{step}' if step else ''}{again}"


def _is_explained(evidence: Evidence) -> bool:
    """Tell whether something that is wrong with what it needs is why it ended."""
    return any(finds(question.ask, evidence, Confidence.CERTAIN) for question in _NEEDS)


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
        yield _cause(
            "unhealthy",
            "the server runs, and says itself that it is not well",
            f"{finding.what}: {finding.found}",
            remedy="see what it names, and look at its log",
            confidence=Confidence.LIKELY,
        )


def _ask_store(evidence: Evidence) -> Iterator[Cause]:
    seen(evidence.log)
    lines = _lines(evidence, _STORE_TROUBLE)
    if lines:
        yield _cause(
            "store_damaged",
            "the server left out a part of JetStream's store that it could not read",
            *lines,
            remedy="put back a copy of what it names (/var/lib/rosey-nats/stores has those of upgrades) while the "
            "server is stopped; without one, remove it and make the stream anew",
        )


def _lines(evidence: Evidence, pattern: re.Pattern[str]) -> list[str]:
    """Give what the process wrote into its log, as far as that can be read, a few lines at most."""
    if isinstance(evidence.log, NotSeenError):
        return []
    own = f"[{evidence.pid}] "
    found = [line for line in evidence.log.splitlines() if line.startswith(own) and pattern.search(line)]
    return [line.partition("] ")[2] for line in found[:_MOST_LINES]]


_MOST_LINES = 3
_STORE_TROUBLE = re.compile(r"checksums? do(?:es)? not match|[Ee]rror recovering|corrupt|Error unmarshalling .*meta")


def _edit(evidence: Evidence) -> str:
    return f"systemctl edit {evidence.described.service}" if evidence.described.service else "see what starts it"


def _restart(evidence: Evidence) -> str:
    return evidence.start.replace("systemctl start", "systemctl restart")


_IN_A_CONTAINER: tuple[Question[Evidence], ...] = (Question("server in its container", _ask_container),)
_NEEDS: tuple[Question[Evidence], ...] = (
    Question("program", _ask_binary),
    Question("account", _ask_account),
    Question("configuration file", _ask_config_file),
    Question("paths", _ask_paths),
    Question("disk", _ask_disk),
    Question("configuration, by the program and the table of options", _ask_configuration),
    Question("ports free or its own", _ask_ports),
    Question("addresses", _ask_addresses),
)
STREAMS: Question[Evidence] = Question("streams that were there when it was last proven", _ask_streams)
UNIT: Question[Evidence] = Question("unit", _ask_unit)
DOWN: tuple[Question[Evidence], ...] = (
    *_NEEDS,
    Question("", _ask_state),
)
RUNNING: tuple[Question[Evidence], ...] = (
    *_NEEDS,
    Question("state of the service", _ask_state),
    Question("health of the server", _ask_service),
    Question("JetStream's store", _ask_store),
)
