# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What taking a host's deployments away means: what goes and what stays, what is lost, and which steps there are."""

from __future__ import annotations

import os
import re
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._bus import remains, removal, removal_guard
from ansible_collections.rosey.nats.plugins.module_utils._bus.decisions import BOT, SERVER
from ansible_collections.rosey.nats.plugins.module_utils._bus.remains import Remains
from ansible_collections.rosey.nats.plugins.module_utils._bus.removal import Kept, RemovalError
from ansible_collections.rosey.nats.plugins.module_utils._data import asset_record, asset_watch, store_tree
from ansible_collections.rosey.nats.plugins.module_utils._deploy import history, lease, record_guard, release, usable
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file, service, system, yaml_section
from ansible_collections.rosey.nats.plugins.module_utils._host.tree import apply, spec

_SYSTEMD, _DOCKER, _PROCESS = "systemd", "docker", "process"
# The label that the metrics of a server have its name in, and what stands for the id of a release in what is said.
_SERVER_LABEL = re.compile(r'server_id="([^"]*)"')
_UNTOUCHED = "Nothing was touched."
_OF_KEPT = f"which {remains.KEPT} tells of"
# What is lost, or can't be known, of a host that can't be looked at: whole sentences.
ERRORS: tuple[type[Exception], ...] = (
    RemovalError,
    atomic_file.ReleaseError,
    service.ServiceError,
    spec.StateError,
    store_tree.StoreError,
)


@dataclass(frozen=True)
class Host:
    """What a host keeps of its deployments, and what they have put there.

    damage: of its files, a sentence each. owners: whose all that is, as remains.owners() has it.
    """

    releases: Path
    listing: release.Listing
    known: Remains
    damage: tuple[str, ...]
    owners: Sequence[Mapping[str, str]] = ()

    @property
    def leftovers(self) -> list[Path]:
        """Name what is kept, but for what tells of data."""
        return [each for each in removal_guard.records(self.releases) if each.name != remains.KEPT]

    @property
    def is_there(self) -> bool:
        """Whether anything was ever deployed, as far as the host tells."""
        return bool(removal_guard.records(self.releases))


def read(releases: Path) -> Host:
    """Read what a host keeps; ReleaseError."""
    listing = release.Store(releases).listing()
    kept, owners, damage = None, [], list(_damage(releases, listing))
    try:
        kept = atomic_file.read(releases / remains.KEPT)
        remains.read_kept(kept)
        owners = remains.owners(None, kept)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (atomic_file.DamagedError, AttributeError, KeyError, TypeError, ValueError) as error:
        kept = None
        damage.append(_told_of_damage(releases / remains.KEPT, str(error), releases))
    return Host(releases, listing, remains.of_listing(listing, releases, kept), tuple(damage), owners)


def _damage(releases: Path, listing: release.Listing) -> Iterator[str]:
    """Say what of the releases can't be trusted. Without it nobody knows whose the rest is, or all that is there."""
    # what was kept aside tells no more than how the host came to its releases
    damaged = [file for file in listing.damaged if not file.name.startswith(history.DAMAGED)]
    of_records = [file for file in damaged if file.name not in (release.CURRENT, history.NAME)]
    for file in damaged:
        if file.name != release.CURRENT:
            directory = releases / release.DIRECTORY if file in of_records else releases
            yield _told_of_damage(directory / file.name, file.reason, releases)
        elif listing.records or of_records or listing.pointer is None:
            # one that names the last of releases that are gone is left by a removal that was cut off
            yield _told_of_pointer(releases, file.reason)
    if listing.records and listing.pointer is None and all(file.name != release.CURRENT for file in damaged):
        yield _told_of_pointer(releases, "it is missing, beside releases")
    try:
        asset_record.Book(releases).proven()
    except atomic_file.DamagedError as error:
        yield _told_of_damage(releases / asset_record.PROVEN, str(error), releases)


def _told_of_damage(path: Path, reason: str, releases: Path) -> str:
    return (
        f"{path} is damaged: {reason}; expected it whole, so that it is known what was deployed, and whose it is. "
        f"Put it back from a backup; or look for what it tells of yourself, and move it out of {releases}. "
        "Nothing was touched."
    )


def _told_of_pointer(releases: Path, reason: str) -> str:
    return (
        f"{releases / release.CURRENT} is damaged: {reason}; expected the release that the host has, so that it is "
        "known whose all of it is. Deploy again, or go back to the release that it has, and run again. Nothing was "
        "touched."
    )


def plan(params: Mapping[str, t.Any], run_command: service.RunCommand) -> dict[str, t.Any]:
    """Look at the host and give the module's result; one of ERRORS. params: of the module nats_removal."""
    host = read(Path(params["release_dir"]))
    known = host.known
    home = Path(known.bot.settings["home"]) if known.bot else None
    others = removal_guard.Others(known, host.releases)
    look = removal.look(known, others, data=params["data"])
    users, groups, stay = removal.accounts(known, look, others)
    servers = [_with_defaults(each, host.releases) for each in known.servers]
    to_stop = [each for each in servers[:1] if _is_to_be_stopped(each, others, run_command)]
    goes_on = bool(home and home.is_dir()) and (known.bot.settings.get("mode") == "nats" if known.bot else False)
    lost, streams_kept = _streams(servers, known, host.releases, data=params["data"])
    # what only an older release had may be somebody else's by now, under the same name
    current = servers[:1]
    containers = [each for each in current if each["runtime"] == _DOCKER]
    lost += [f"the log of the container {each['container']}" for each in containers]
    if current:
        lost += [f"the server of {each}" for each in others.bots(known.port)]
    volumes = known.data.volumes if params["data"] else ()
    watching, watching_kept = _watching(params["watching"], known, others)
    is_any = bool(host.leftovers or look.takes or look.changes or users or groups or volumes)
    looked = lease.look(host.releases)
    return {
        "found": host.is_there,
        "refusals": [*_obstacles(host, others), *_refusals(params, host, home)],
        "takes": [
            *(f"what watches the server: {name}" for name, goes in watching.items() if goes),
            *(str(record_guard.instance(each)) for each in to_stop),
            *(f"the container {each['container']}" for each in containers),
            *look.said,
            *(f"volume {each}" for each in volumes),
            *(f"user {each}" for each in users),
            *(f"group {each}" for each in groups),
            *_of_releases(host),
        ],
        "keeps": [str(each) for each in [*look.keeps, *watching_kept, *stay, *_kept_besides(params, host)]],
        "loses": lost,
        "streams": streams_kept,
        "unrecorded": [] if host.is_there else [each for each in params["expected"] if os.path.lexists(each)],
        "servers": to_stop,
        "containers": containers,
        "volumes": list(volumes),
        "users": users,
        "groups": groups,
        "bot": {
            "parts": remains.without_nats(known, [each.path for each in look.keeps if each.why == removal.CHANGED]),
            "settings": usable.settings({BOT: _plain(known.bot)}, host.releases).get(BOT, {}) if known.bot else {},
        },
        "watching": watching,
        "lease": asdict(looked.holder) if looked.holder else None,
        "sequence": looked.sequence,
        "steps": {
            "any": is_any,
            "bot": goes_on,
            "reload": is_any and any(each["runtime"] == _SYSTEMD for each in servers),
            "forget": bool(host.leftovers) or (params["data"] and host.is_there),
        },
    }


def _refusals(params: Mapping[str, t.Any], host: Host, home: Path | None) -> list[str]:
    """Say what the releases have against a run: of another environment or server, or without the bot's home."""
    if params["run"] is None:
        return []
    latest = host.listing.latest
    no_bot = f"{home} is not there" if home and not home.is_dir() else ""
    run = record_guard.run_of(params["run"])
    refusals = [*record_guard.judge(run, host.releases, latest, latest, no_bot=no_bot).refusals]
    for owner in host.owners:
        refusals += _refusals_of_kept(run, host.releases, owner)
    return list(dict.fromkeys(refusals))


def _refusals_of_kept(run: record_guard.Run, releases: Path, owner: Mapping[str, str]) -> Sequence[str]:
    """Say what speaks against taking away what an earlier removal has kept of an owner."""
    if owner:
        kept = release.Record(_OF_KEPT, "", "", {SERVER: release.Part(owner, [])})
        return record_guard.judge(run, releases, kept, kept).refusals
    word = record_guard.Word.OTHER_ENVIRONMENT
    if word in run.accept:
        return ()
    return [
        f"{releases / remains.KEPT} does not tell whose the data is that it names, since an earlier version wrote it. "
        f"Look at it; where it is of this inventory, set {record_guard.OPTION}: [{word}]. Nothing was touched."
    ]


def _obstacles(host: Host, others: removal_guard.Others) -> Iterator[str]:
    """Say what makes it unknown what may be taken away, whole sentences: whoever runs it."""
    yield from host.damage
    for directory, reason in others.unreadable.items():
        yield (
            f"{directory} has the releases of another deployment, which can't be read: {reason}; expected them to be "
            "whole, so that nothing is taken away that it needs. Repair them, or move them away where they are of no "
            "use any more. Nothing was touched."
        )
    sections = [section for section in host.known.parts_of_files if section["state"] == spec.State.SECTION]
    if not yaml_section.HAS_YAML:
        for section in sections:
            if os.path.lexists(section["path"]):
                yield (
                    f"{section['path']}: its section {section['key']}: can't be taken out without "
                    f"{system.PACKAGES['yaml']}. Install that package, and run again. Nothing was touched."
                )


def _watching(
    watching: Mapping[str, t.Any] | None, known: Remains, others: removal_guard.Others
) -> tuple[dict[str, bool], list[Kept]]:
    """Tell what of that which watches a server goes with it, and what of it stays.

    watching: where it is, empty where it is unmanaged. Only an exporter goes whose unit names the newest server, and
    whose directory no other unit names, and only a file with metrics of that server.
    """
    unit, directory, textfile = ((watching or {}).get(name) or "" for name in ("unit", "directory", "textfile"))
    keeps: list[Kept] = []
    urls = [each["monitoring_url"] for each in known.servers[:1] if each.get("monitoring_url")]
    exporter = bool(unit) and Path(unit).is_file()
    if exporter:
        text = system.read_text(Path(unit), "replace")
        reason = "" if any(_has(text, each) for each in urls) else "it watches no server of these releases"
        reason = reason or (others.user_of_unit(Path(directory), unit) if directory else "")
        keeps += [Kept(unit, reason)] if reason else []
        exporter = not reason
    elif unit and directory and os.path.lexists(directory):
        keeps.append(Kept(directory, f"{unit} is not there, by which it is known whose it is"))
    metrics = bool(textfile) and Path(textfile).is_file()
    if metrics:
        labels = {*_SERVER_LABEL.findall(system.read_text(Path(textfile), "replace"))}
        metrics = bool(known.server_name) and labels == {known.server_name}
        keeps += [] if metrics else [Kept(textfile, "it is not known to be of the server of these releases alone")]
    return {"exporter": exporter, "textfile": metrics}, keeps


def _has(text: str, url: str) -> bool:
    return re.search(rf"(?<![\w./]){re.escape(url.rstrip('/'))}(?![\w.-])", text) is not None


def _plain(part: release.Part) -> dict[str, t.Any]:
    return {"settings": part.settings, "entries": []}


def _with_defaults(settings: Mapping[str, t.Any], releases: Path) -> dict[str, t.Any]:
    """Give the settings of a server with defaults for what an older version did not record."""
    return usable.settings({SERVER: {"settings": settings, "entries": []}}, releases)[SERVER]


def _is_to_be_stopped(
    settings: Mapping[str, t.Any], others: removal_guard.Others, run_command: service.RunCommand
) -> bool:
    if settings["runtime"] == _SYSTEMD:
        service_now = service.look_up(settings["service"], run_command)
        return bool(service_now.exists and (service_now.enabled or service_now.running or service_now.failing))
    return settings["runtime"] == _PROCESS and (bool(others.own) or os.path.lexists(settings["pid_file"]))


def _of_releases(host: Host) -> Iterator[str]:
    count = len(host.listing.records)
    if host.leftovers:
        yield f"what is kept in {host.releases}: {count} release{'s' if count != 1 else ''}"


def _kept_besides(params: Mapping[str, t.Any], host: Host) -> Iterator[Kept]:
    """Name what stays of what no entry tells of: volumes, and what others have put into the directory of releases."""
    if not params["data"]:
        for volume in host.known.data.volumes:
            yield Kept(f"volume {volume}", removal.TELL_DATA)
    for container in host.known.old_containers:
        yield Kept(f"container and volume {container}", "only an older release had it; look whose it is by now")
    if host.releases.is_dir():
        own = {*removal_guard.records(host.releases), *map(Path, host.known.data.copies)}
        names = [each for each in atomic_file.names(host.releases) if host.releases / each not in own]
        if names:
            yield Kept(str(host.releases), f"it holds {', '.join(names)}")


def _streams(
    servers: Sequence[Mapping[str, t.Any]], known: Remains, releases: Path, *, data: bool
) -> tuple[list[str], list[str]]:
    """Tell what the servers hold: as they say, else as their stores do, else as it was when it was last proven."""
    stores = [Path(each, store_tree.DATA) for each in known.data.stores]
    data_dir = next((each for each in stores if each.is_dir()), None)
    url = next((each["monitoring_url"] for each in servers if each["monitoring_url"]), None)
    assets = asset_watch.look(url, data_dir)
    if assets is None and (stores or known.data.volumes):
        try:
            proven = asset_record.Book(releases).proven()
        except atomic_file.DamagedError:
            proven = None
        assets = proven.assets if proven else None
    return removal.streams(assets, data=data) if assets else ([], [])


# Doing


def take(params: Mapping[str, t.Any], label: apply.Label) -> list[str]:
    """Take the files away, once nothing runs any more, and name what stayed all the same; one of ERRORS."""
    host = read(Path(params["release_dir"]))
    others = removal_guard.Others(host.known, host.releases)
    if obstacles := [*_obstacles(host, others)]:
        raise RemovalError("\n".join(obstacles).replace(_UNTOUCHED, "No file was taken away."))
    removal.check_at_rest(host.known, others, data=params["data"])
    look = removal.look(host.known, others, data=params["data"])
    return [str(each) for each in removal.take(look, label)]


def forget(params: Mapping[str, t.Any]) -> None:
    """Take away what the host keeps of its deployments, but for what tells where data is; one of ERRORS."""
    host = read(Path(params["release_dir"]))
    if host.damage:
        raise RemovalError("\n".join(host.damage).replace(_UNTOUCHED, "The releases were left as they are."))
    data = host.known.data
    is_left = any(removal.data_of(data)) or (bool(data.volumes) and not params["data"])
    owners = [*host.owners, *(each for each in remains.owners(host.listing.latest) if each not in host.owners)]
    # a directory in which somebody else has something goes when that is gone
    directories = {*host.known.directories, *data.directories}
    left = replace(data, directories=tuple(each for each in sorted(directories) if Path(each).is_dir()))
    removal.forget(host.releases, {**left.as_body(), "owners": owners} if is_left else None)
