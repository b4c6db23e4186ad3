# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a host from taking a deployment of nats-server, before anything is touched."""

from __future__ import annotations

import os
import typing as t
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._data import dangers
from ansible_collections.rosey.nats.plugins.module_utils._host import (
    access,
    figures,
    hardening,
    process,
    service,
    sockets,
    system,
    unit_checks,
    unit_file,
)
from ansible_collections.rosey.nats.plugins.module_utils._host.needed_path import Need, NeededPath
from ansible_collections.rosey.nats.plugins.module_utils._host.tree import compare, ownership
from ansible_collections.rosey.nats.plugins.module_utils._server import (
    answers,
    certificates,
    health,
    plan,
    requirements,
    server_files,
)
from ansible_collections.rosey.nats.plugins.module_utils._server.answering import Answering
from ansible_collections.rosey.nats.plugins.module_utils._server.options import reading

# A server starts on a full disk, and then stores nothing.
LEAST_ROOM = 1 << 20


class ObstacleError(Exception):
    """What keeps the host from taking the deployment: whole sentences that say what to do."""


def _goes_back(params: Mapping[str, t.Any]) -> bool:
    """Tell whether the host goes back because a deployment failed: then nothing better can be had than what can be."""
    return bool(params["release"]) and dangers.ALL in params["accept"]


def check_startable(params: Mapping[str, t.Any], service_now: service.Service) -> None:
    """Refuse a service that nothing can start; a unit that is broken is written anew."""
    if service_now.masked and not _goes_back(params):
        raise ObstacleError(unit_checks.not_startable(params["service"], service_now))


def check_unit(
    params: Mapping[str, t.Any],
    service_now: service.Service,
    paths: Iterable[NeededPath],
    changes: Sequence[compare.Change],
    run_command: service.RunCommand,
) -> None:
    """Refuse what systemd would not do with the unit that is meant, and what is laid over it."""
    unit = _unit(params)
    if not unit or _goes_back(params):
        return
    whole = [*unit, *service_now.drop_ins]
    is_new = service_now.unread or any(unit_file.is_unit(change.path) for change in changes)
    problems = [*unit_checks.overridden("nats_server", unit, service_now.drop_ins, unit_checks.SERVER_SETTINGS)]
    if service_now.broken and not is_new and not problems:
        problems.append(str(unit_checks.not_startable(params["service"], service_now)))
    needed = [NeededPath("link", params["link"], Need.FILE), *paths]
    anew = _made_anew(changes)
    problems += unit_checks.out_of_reach(whole, needed, lambda path: path if path in anew else os.path.realpath(path))
    # what runs has shown that it can be run
    if not problems and (is_new or not service_now.running):
        trial = service.Trial(params["service"], run_command)
        faults = hardening.faults(hardening.to_try(whole), trial)
        problems += filter(None, [unit_checks.not_applied(params["service"], faults)])
    if problems:
        raise ObstacleError("\n".join(problems))


def _unit(params: Mapping[str, t.Any]) -> tuple[unit_file.Setting, ...]:
    """Read the unit that is meant; nothing where there is none."""
    texts = [entry["content"] for entry in params["entries"] if unit_file.is_unit(entry["path"]) and entry["content"]]
    return unit_file.parse(texts[0]) if texts else ()


def check_addresses(params: Mapping[str, t.Any], config: Mapping[str, t.Any], running: process.Process | None) -> None:
    """Refuse what the server can't listen on, or not be reached at."""
    _check_localhost(params, config)
    _check_ports(config, running)


def _check_localhost(params: Mapping[str, t.Any], config: Mapping[str, t.Any]) -> None:
    """Refuse to listen on localhost where that is no address which the unit lets through."""
    if not unit_file.value(_unit(params), "IPAddressDeny") or _goes_back(params):
        return
    for endpoint in requirements.endpoints(config):
        for address, _port in sockets.resolve([(endpoint.host, endpoint.port)] if endpoint.host == "localhost" else []):
            if not address.is_loopback:
                raise ObstacleError(
                    f"{endpoint.option}: localhost is {address} on this host, which the unit shuts out; expected "
                    "127.0.0.1. Correct /etc/hosts, or write 127.0.0.1 in place of localhost."
                )


def _made_anew(changes: Iterable[compare.Change]) -> frozenset[str]:
    """Name the files for which what stands there makes way: whatever it is, or leads to, tells nothing of them."""
    return frozenset(change.path for change in changes if change.aside)


def check_access(
    params: Mapping[str, t.Any],
    paths: Iterable[NeededPath],
    changes: Sequence[compare.Change],
    service_now: service.Service,
) -> None:
    """Refuse what the account that runs the server can't read or write, as the host will be by then."""
    account = system.account_to_be(params["user"] or "", params["group"] or "", service_now.groups)
    try:
        # a file with the owner and mode that are described
        anew = _made_anew(changes)
        wanted = [path for path in paths if path.path not in anew]
        faults = access.faults(wanted, account, ownership.outcome(changes, account))
    except OSError as error:
        raise ObstacleError(f"{error.filename}: it can't be looked at: {error.strerror}. Run with become.") from error
    if faults:
        raise ObstacleError("\n".join(fault.refusal for fault in faults))


def check_certificate(params: Mapping[str, t.Any], config: Mapping[str, t.Any], now: datetime) -> None:
    """Refuse files of the host, kept by others, with which no client would take the server for the one that it means.

    The server itself accepts a certificate that has expired, or is for another name. now: with its zone.
    """
    wanted = (params["settings"] or {}).get("tls")
    tls = reading.canonical(reading.resolved(config)).get("tls")
    if not wanted or not isinstance(tls, Mapping) or _goes_back(params):
        return
    certificate, key = Path(tls["cert_file"]), Path(tls["key_file"])
    # what comes with the deployment was judged before, and without the library the host is looked at again with it
    if str(certificate) in {entry["path"] for entry in params["entries"]} or not certificates.HAS_CRYPTOGRAPHY:
        return
    try:
        pems = system.read(certificate), system.read(key)
    except OSError as error:
        raise ObstacleError(f"{error.filename}: it can't be looked at: {error.strerror}. Run with become.") from error
    authorities = wanted["authorities"].encode() or None
    names = certificates.reached_by(wanted["urls"], wanted["names"])
    if problems := certificates.problems(*pems, authorities, names, now, to_peers="cluster" in config):
        raise ObstacleError("\n".join(f"{certificate}: {problem}" for problem in problems))


def _check_ports(config: Mapping[str, t.Any], running: process.Process | None) -> None:
    """Refuse a port that a process holds, other than the server itself."""
    endpoints = {(endpoint.host, endpoint.port): endpoint.option for endpoint in requirements.endpoints(config)}
    for taken in sockets.taken(endpoints, [running.pid] if running else []):
        raise ObstacleError(
            f"{endpoints[taken.host, taken.port]}: {taken.port}: {taken}. Stop that process, or choose another port."
        )


def check_own(params: Mapping[str, t.Any], paths: Iterable[NeededPath], running: process.Process | None) -> None:
    """Refuse to share a store, a log or another file with a server that runs."""
    pid_file = Path(params["pid_file"]) if params["runtime"] == "process" else None
    if clashes := server_files.clashes(paths, Path(params["config_file"]), running, pid_file):
        raise ObstacleError("\n".join(each.refusal for each in clashes))


def check_room(config: Mapping[str, t.Any], server: Answering | None) -> None:
    """Look for room in a store that the running server does not have yet."""
    canonical = reading.canonical(config)
    directory = plan.store_directory(canonical)
    shown = answers.store_directory(server.varz) if server else None
    if directory is None or not health.meant_jetstream(canonical) or shown == directory:
        return
    there = next(path for path in (Path(directory), *Path(directory).parents) if path.is_dir())
    space = os.statvfs(there)
    free = space.f_bavail * space.f_frsize
    if free < LEAST_ROOM:
        raise ObstacleError(
            f"jetstream.store_dir: {directory}: {figures.size(free)} are free there; expected at least "
            f"{figures.size(LEAST_ROOM)}, else no message can be stored. Make room, or name another directory."
        )
