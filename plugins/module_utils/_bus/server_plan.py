# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment of nats-server means for a host: what it changes, and what that asks of the running server."""

from __future__ import annotations

import grp
import platform
import pwd
import typing as t
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._bus import (
    cluster_plan,
    server_obstacles,
    server_reasons,
    server_store,
    turns,
)
from ansible_collections.rosey.nats.plugins.module_utils._bus.results import Planned
from ansible_collections.rosey.nats.plugins.module_utils._bus.server_obstacles import ObstacleError
from ansible_collections.rosey.nats.plugins.module_utils._bus.server_reasons import Read
from ansible_collections.rosey.nats.plugins.module_utils._bus.server_store import Known, Risks
from ansible_collections.rosey.nats.plugins.module_utils._data import asset_record, dangers, store_tree
from ansible_collections.rosey.nats.plugins.module_utils._deploy import entries, known, record_guard, release
from ansible_collections.rosey.nats.plugins.module_utils._host import (
    atomic_file,
    background,
    service,
    system,
    unit_checks,
    unit_file,
)
from ansible_collections.rosey.nats.plugins.module_utils._host.action import Action, Reason, least
from ansible_collections.rosey.nats.plugins.module_utils._host.architecture import Architecture
from ansible_collections.rosey.nats.plugins.module_utils._host.tree import compare, ownership, spec
from ansible_collections.rosey.nats.plugins.module_utils._server import (
    answering,
    archive,
    client_access,
    conf,
    conf_lexer,
    http_reader,
    included_files,
    programs,
    requirements,
)
from ansible_collections.rosey.nats.plugins.module_utils._server.included_files import Whole
from ansible_collections.rosey.nats.plugins.module_utils._server.options import check, reading

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "runtime": {"type": "str", "required": True, "choices": ["systemd", "docker", "process"]},
    "service": {"type": "str", "default": "nats"},
    "user": {"type": "str"},
    "group": {"type": "str"},
    "pid_file": {"type": "path"},
    "version": {"type": "str", "required": True},
    "checksums": {"type": "dict", "default": {}},
    "archive_for": {"type": "list", "elements": "str", "default": []},
    "directory": {"type": "path", "required": True},
    "link": {"type": "path", "required": True},
    "config_file": {"type": "path", "required": True},
    "release_dir": {"type": "path"},
    "settings": {"type": "dict"},
    "run": record_guard.ARGUMENT,
    **entries.SPEC,
    "store_copy": {"type": "bool", "default": True},
    "copies": {"type": "path"},
    "ran_last": {"type": "str"},
    "back": {"type": "str"},
    "accept": {
        "type": "list",
        "elements": "str",
        "choices": [dangers.ALL, *dangers.WORDS, server_store.UNCOPIED_STORE, turns.QUORUM],
        "default": [],
    },
}
# What the arguments ask of each other, beside those of entries.SPEC.
CONSTRAINTS: dict[str, t.Any] = {"required_if": [("runtime", "process", ["pid_file"])]}

# What keeps a host from being looked at, or from taking the deployment: whole sentences, that say what to do.
ERRORS: tuple[type[Exception], ...] = (
    ObstacleError,
    programs.ArchiveError,
    conf_lexer.ConfError,
    http_reader.MonitoringError,
    background.ProcessError,
    atomic_file.ReleaseError,
    service.ServiceError,
    spec.StateError,
    store_tree.StoreError,
)


def plan(params: Mapping[str, t.Any], run_command: service.RunCommand) -> Planned:
    """Look at the host and give what a deployment means for it, as ARGUMENTS ask; one of ERRORS where it can't be done.

    params: with entries, which EntriesModule has read of a release.
    """
    if not params["release_dir"]:
        return _observe(params, run_command)
    changed = _changed_access(params)
    drops = record_guard.consult(params, access=changed, files=asset_record.WRITTEN)
    planned = _observe(params, run_command)
    releases = known.observe(Path(params["release_dir"]), ["server"], params["settings"], params["entries"])
    kept = {**releases, "drops": list(drops), "access": list(changed)}
    return Planned({**planned.result, "release": kept}, (*entries.no_way_back(releases), *planned.warnings))


def _observe(params: Mapping[str, t.Any], run_command: service.RunCommand) -> Planned:
    """Look at the host and give what a deployment means for it; ObstacleError where it can't be done."""
    architecture = programs.find_architecture(platform.machine())
    checksum = _checksum(params, architecture)
    service_now = _service(params, run_command)
    server_obstacles.check_startable(params, service_now)
    changes = compare.compare(params["entries"])
    binary = archive.installed(Path(params["directory"]), params["version"], checksum)
    if binary.status is not archive.Status.VERIFIED:
        archive.check_offered(params["archive_for"], architecture, params["version"])
    meant = _meant(params)
    texts_meant = included_files.texts_of(params["entries"])
    present = _present(Path(params["config_file"]))
    recorded = _recorded(params["release_dir"])
    texts_recorded = included_files.texts_of(recorded.part.entries) if recorded else included_files.HOST
    loaded = _loaded(recorded, params["config_file"])
    now = (
        included_files.whole_of(present, params["config_file"], included_files.HOST)
        if isinstance(present, dict)
        else None
    )
    proven = None if loaded is None else included_files.whole_of(loaded, params["config_file"], texts_recorded)
    then = included_files.whole_of(meant, params["config_file"], texts_meant)
    found_there, known_loaded = now.config if now else present, proven.config if proven else None
    server = answering.find(meant, known_loaded, found_there)
    # a file of somebody else is as it is before and after
    own = [path for path in (now.included if now and now.is_known else ()) if path in {**texts_recorded, **texts_meant}]
    unread = server_reasons.unread([params["config_file"], *own], found_there, known_loaded, server, recorded)
    configured = [
        *server_reasons.of_configuration(unread, found_there, known_loaded, then.config, server),
        *server_reasons.of_files(
            params, changes, (now or Whole({}), then), Read(service_now.running, server, recorded)
        ),
    ]
    standing = cluster_plan.standing(server, params["settings"])
    of_routes = cluster_plan.of_routes(configured) if standing else []
    reasons = [
        *server_reasons.of_process(service_now, binary, changes, params["entries"], recorded),
        *server_reasons.of_server(params, service_now, binary, server),
        *configured,
        *of_routes,
        *(
            server_reasons.of_certificates(then.config, params["entries"], seconds=answering.MONITORING_SECONDS)
            if server
            else ()
        ),
    ]
    # Whether a container runs is for Docker's own module to find out.
    started = service_now.running or (params["runtime"] == "docker" and present is not None)
    running_versions = [server.varz["version"]] if server and programs.is_version(server.varz["version"]) else []
    before = running_versions or server_store.versions_before(params, recorded)
    # what is in a file that the server has not read yet is nothing that it runs with
    is_unknown = loaded is None and unread is not None
    ran = None if is_unknown else loaded if loaded is not None else present
    texts_ran = included_files.HOST if loaded is None else texts_recorded
    jetstream = Known(params, service_now.running, server, ran, texts_ran, meant, texts_meant, before)
    # what the sandbox hides can't be mended by giving it to the account
    server_obstacles.check_unit(params, service_now, jetstream.paths, changes, run_command)
    if params["runtime"] != "docker":
        _check_host(jetstream, changes, service_now)
    data = jetstream.data()
    held = jetstream.held(data)
    back = server_store.copy_to_bring_back(params)
    copies = params["store_copy"] and params["runtime"] != "docker"

    def risks(action: Action) -> Risks:
        situation = jetstream.situation(action, held, data)
        return Risks(
            situation, dangers.find(situation), frozenset(params["accept"]), back, bool(params["release"]), copies
        )

    asked = risks(least(reasons) if started else Action.START)
    if asked.copied_for and asked.situation.action is Action.RELOAD:
        # a store is only copied while nobody writes to it
        reasons.append(Reason("store", "in use", "copied first", Action.RESTART))
        asked = risks(Action.RESTART)
    if asked.refusals:
        raise ObstacleError("\n".join(asked.refusals))
    repairs = ownership.repairs(change for change in changes if not unit_file.is_unit(change.path))
    result = {
        "architecture": architecture.name,
        "archive": programs.release_name(params["version"], architecture),
        "packages": system.missing_packages(_libraries(params)),
        "user_exists": _exists(pwd.getpwnam, params["user"]),
        "group_exists": _exists(grp.getgrnam, params["group"]),
        "binary": {
            "installed": binary.status is archive.Status.VERIFIED,
            "linked": archive.look_at_link(Path(params["link"])).target == str(binary.binary),
            "reason": binary.reason,
        },
        "changes": [change.as_result() for change in changes],
        "unit_changed": service_now.unread or any(unit_file.is_unit(change.path) for change in changes),
        "service": service_now.as_result(),
        "drop_ins": unit_checks.told(service_now.drop_ins),
        "mark": asdict(server.mark) if server else None,
        "monitoring_url": server.url if server else None,
        "action": str(asked.situation.action),
        "reasons": [str(reason) for reason in (*(reasons if started else ()), *repairs)],
        "dangers": [danger.what for danger in asked.found],
        "accepted": asked.accepted,
        "assets": held.counts() if held else None,
        "log_file": reading.canonical(meant).get("log_file"),
        "cluster": standing,
        "reload_first": bool(of_routes),
        "tells_all_first": bool(of_routes) and cluster_plan.tells_all_first(configured),
        "stream_groups": jetstream.stream_groups(),
        "foreign": jetstream.foreign if standing else "",
        "lacks_group": asked.situation.lacks_group,
        "store": server_store.result_of(params, data, before, asked),
    }
    return Planned(result, (*asked.warnings, *filter(None, _warnings(jetstream))))


def _warnings(wanted: Known) -> Iterator[str]:
    """Say what the user should know of a configuration."""
    params, server = wanted.params, wanted.server
    if server and isinstance(wanted.ran, dict):
        yield client_access.told_of_ways(wanted.ran, wanted.meant)
    yield from requirements.warnings(wanted.meant)
    yield cluster_plan.mixing(params["settings"], wanted.versions if server else (), params["version"])
    yield cluster_plan.advice(params["settings"])


def _libraries(params: Mapping[str, t.Any]) -> list[str]:
    """Name the libraries that looking at the server needs; certificates are judged by one of their own."""
    return ["requests", *(["cryptography"] if (params["settings"] or {}).get("tls") else [])]


def _check_host(wanted: Known, changes: Sequence[compare.Change], service_now: service.Service) -> None:
    """Refuse what the host itself, outside of any container, keeps the server from; ObstacleError."""
    params, config, running = wanted.params, wanted.meant, service_now.running
    server_obstacles.check_access(params, wanted.paths, changes, service_now)
    server_obstacles.check_certificate(params, config, datetime.now(timezone.utc))
    server_obstacles.check_addresses(params, config, running)
    server_obstacles.check_own(params, wanted.paths, running)
    server_obstacles.check_room(config, wanted.server)


def _checksum(params: Mapping[str, t.Any], architecture: Architecture) -> str | None:
    checksums = params["checksums"]
    if not checksums:
        return None
    if architecture.name not in checksums:
        raise ObstacleError(
            f"checksums of nats-server {params['version']} has none for {architecture.name}, the host's architecture; "
            f"expected one of {', '.join(sorted(checksums))}. Add the SHA-256 sum of that archive."
        )
    return str(checksums[architecture.name])


def _service(params: Mapping[str, t.Any], run_command: service.RunCommand) -> service.Service:
    if params["runtime"] == "process":
        server = background.Server(Path(params["link"]), Path(params["config_file"]), Path(params["pid_file"]))
        return service.Service(exists=True, enabled=True, running=background.find(server))
    if params["runtime"] == "docker":
        return service.Service(exists=True, enabled=True, running=None)
    return service.look_up(params["service"], run_command)


def _meant(params: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Give the configuration that the entries describe."""
    for entry in params["entries"]:
        if entry["path"] == params["config_file"]:
            config = conf.parse(entry["content"] or entry["secret_content"])
            problems = check.problems(config)
            if problems:
                raise ObstacleError("\n".join(["nats-server would not accept this:", *map(str, problems)]))
            if unknown := requirements.unknown(config):
                raise ObstacleError("\n".join(map(str, unknown)))
            return config
    raise ObstacleError(f"entries has no {params['config_file']}, which config_file names. Add its entry.")


def _present(config_file: Path) -> dict[str, t.Any] | str | None:
    """Give the configuration that is there: parsed, as the reason why it can't be, or None where there is none."""
    try:
        return conf.parse(system.read_text(config_file))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except conf_lexer.ConfError as error:
        return str(error)
    except OSError as error:
        return error.strerror or str(error)


def _recorded(releases: str | None) -> release.Proven | None:
    """Give what the host's current release says of the server."""
    return release.Store(Path(releases)).proven("server") if releases else None


def _loaded(recorded: release.Proven | None, config_file: str) -> dict[str, t.Any] | None:
    """Give the configuration that was last proven; without one that can be read there is only more to restart for."""
    for entry in recorded.part.entries if recorded else ():
        if entry["path"] == config_file:
            try:
                return conf.parse(entry.get("content") or entry.get("secret_content") or "")
            except conf_lexer.ConfError:
                return None
    return None


def _changed_access(params: Mapping[str, t.Any]) -> tuple[str, ...]:
    """Name what changes, beside the current release, of what a client connects by; nothing where that is not known."""
    current = release.Store(Path(params["release_dir"])).current()
    part = current.parts.get("server") if current else None
    config_file = str(part.settings.get("config_file") or params["config_file"]) if part else ""
    before = _loaded(release.Proven(part, None), config_file) if part else None
    if part is None or before is None:
        return ()
    return client_access.changes(
        included_files.resolved(before, config_file, included_files.texts_of(part.entries)),
        included_files.resolved(_meant(params), params["config_file"], included_files.texts_of(params["entries"])),
    )


def _exists(look_up: Callable[[str], object], name: str | None) -> bool:
    try:
        return name is None or bool(look_up(name))
    except KeyError:
        return False
