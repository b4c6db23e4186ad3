# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the server has what it needs before it starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._host import (
    access,
    hardening,
    sockets,
)
from ansible_collections.rosey.nats.plugins.module_utils._host.needed_path import Need, NeededPath
from ansible_collections.rosey.nats.plugins.module_utils._server.options import check, model
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import server_certificates
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.evidence import Unit
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.server_evidence import (
    COMMAND_LINE,
    STORE,
    UNIT_OPTION,
    Evidence,
    Place,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.server_words import (
    edit_unit,
    last_words_of,
    restart_command,
    server_cause,
    what_is_left,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import (
    Cause,
    Confidence,
    NotSeenError,
    Question,
    finds,
    seen,
)

# What it is started from


def _ask_binary(evidence: Evidence) -> Iterator[Cause]:
    binary = evidence.binary
    deploy = "deploy again, which installs it"
    way = str(binary.path) if binary.path == binary.target else f"{binary.path}, a link to {binary.target}"
    if not binary.exists:
        yield server_cause("binary_missing", "the program is not there", f"no {way}", remedy=deploy)
    elif binary.name == "EACCES":
        yield server_cause(
            "binary_not_executable",
            "the program may not be executed",
            f"{way}: {binary.fault}",
            remedy=f"chmod 755 {binary.target}, or {deploy}",
        )
    elif binary.fault:
        wrong = "is for another architecture, or no program" if binary.name == "ENOEXEC" else "does not run"
        yield server_cause("binary_unusable", f"the program {wrong}", f"{way}: {binary.fault}", remedy=deploy)


def _ask_account(evidence: Evidence) -> Iterator[Cause]:
    if evidence.account is None:
        unit = evidence.unit
        name = (isinstance(unit, Unit) and unit["User"]) or evidence.described.account
        yield server_cause(
            "account_missing",
            f"the account {name}, or its group, which the server is to run as, is not on this host",
            f"{name} is not in the databases of users and groups",
            remedy=f"deploy again, which makes it; or useradd --system --user-group {name}",
        )


# What it reads and writes


def _ask_config_file(evidence: Evidence) -> Iterator[Cause]:
    if evidence.config is None:
        yield server_cause(
            "configuration_missing",
            "the configuration is not there",
            f"no {evidence.config_file}, which the server is started with",
            remedy=f"deploy again, which writes it; or correct the unit that names it: {edit_unit(evidence)}",
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
    return server_cause(
        "path_forbidden",
        f"the server runs as {account.name}, which may not reach what belongs to {meant}",
        *dict.fromkeys(fault.seen for fault in stopped),
        remedy=f"let the unit run it as {meant} again: {edit_unit(evidence)}, or deploy again",
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
        cause = server_cause(
            "unit_forbids",
            f"the unit lets the server {'see' if is_read else 'write'} nothing in {place.needed}",
            f"{place.option} is there, and {obstacle.directive} of the unit {obstacle.what}",
            remedy="name another path, or deploy again, which writes the unit to fit and says what can't be"
            if is_read or not obstacle.directive.startswith("ProtectSystem")
            else f"deploy again, which writes the unit to fit; or add ReadWritePaths={place.needed}: "
            + edit_unit(evidence),
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
    return server_cause(
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
        yield server_cause(
            "disk_full",
            f"the file system of {first.needed} has no {'inodes' if no_inodes else 'space'} left",
            *(f"{place.option}: {place.needed}, where {what_is_left(place)}" for place in places),
            remedy=f"make room (df -h {first.needed}; df -i {first.needed}), then {restart_command(evidence)}, since "
            "JetStream does not try again by itself",
        )


def _is_full(place: Place) -> bool:
    return place.free_inodes == 0 or (place.free_bytes is not None and place.free_bytes < _LEAST_BYTES)


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
    tells = (_is_of_a_path, server_certificates.has_told)
    if trial and trial.status and not any(is_told(trial.said, evidence) for is_told in tells):
        said = f"{evidence.binary.path} -t: {trial.said.splitlines()[-1] if trial.said else trial.status}"
    by_table = [str(problem) for problem in found if problem.stage is model.Stage.CHECK]
    if evidence.fault:
        by_table.append(f"{evidence.config_file}: {evidence.fault}")
    if said or by_table:
        yield server_cause(
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
    words = last_words_of(evidence) if isinstance(evidence.unit, Unit) else ""
    if problems:
        yield server_cause(
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
        yield server_cause(
            "port_taken",
            f"{by_hand} listens where the server is to listen",
            *map(str, held),
            remedy=f"stop it{f' (kill {pids[0]})' if pids else ''}, or give the server another port; "
            f"then {evidence.start}",
        )


def _ask_addresses(evidence: Evidence) -> Iterator[Cause]:
    for host, why in evidence.absent.items():
        yield server_cause(
            "address_absent",
            f"the server is to listen on {host}, which is not an address of this host",
            f"listening there: {why}",
            remedy="set host in nats_server_config to an address of this host (ip address), and deploy again",
        )


def is_explained(evidence: Evidence) -> bool:
    """Tell whether something that is wrong with what it needs is why it ended."""
    return any(finds(question.ask, evidence, Confidence.CERTAIN) for question in (*NEEDS, server_certificates.KEYS))


# They are asked whether the server runs or not, and a certain cause among them explains an end: then no other is told.
NEEDS: tuple[Question[Evidence], ...] = (
    Question("program", _ask_binary),
    Question("account", _ask_account),
    Question("configuration file", _ask_config_file),
    Question("paths", _ask_paths),
    Question("disk", _ask_disk),
    Question("configuration, by the program and the table of options", _ask_configuration),
    Question("ports free or its own", _ask_ports),
    Question("addresses", _ask_addresses),
)
