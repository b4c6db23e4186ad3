# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What taking a host's deployments away means: what goes and what stays, what is lost, and which steps there are."""

from __future__ import annotations

import os
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._bus import remains, removal, removal_guard
from ansible_collections.rosey.nats.plugins.module_utils._bus.decisions import BOT, SERVER
from ansible_collections.rosey.nats.plugins.module_utils._bus.remains import Remains
from ansible_collections.rosey.nats.plugins.module_utils._bus.removal import Kept, RemovalError
from ansible_collections.rosey.nats.plugins.module_utils._data import asset_record, asset_watch, store_tree
from ansible_collections.rosey.nats.plugins.module_utils._deploy import lease, record_guard, release, usable
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file, service, system
from ansible_collections.rosey.nats.plugins.module_utils._host.tree import apply, spec

_SYSTEMD, _DOCKER, _PROCESS = "systemd", "docker", "process"
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
    """What a host keeps of its deployments, and what they have put there. damage: of its files, a sentence each."""

    releases: Path
    listing: release.Listing
    known: Remains
    damage: tuple[str, ...]

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
    damage = [f"{each.name} is damaged ({each.reason}): what it alone tells of stays" for each in listing.damaged]
    kept = None
    try:
        kept = atomic_file.read(releases / remains.KEPT)
        remains.read_kept(kept)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (atomic_file.DamagedError, KeyError, TypeError, ValueError) as error:
        kept = None
        damage.append(f"{releases / remains.KEPT} is damaged ({error}): the data that it tells of stays")
    current = [listing.current] if listing.current else []
    others = [each for each in listing.records if each not in current]
    return Host(releases, listing, remains.of([*current, *others], releases, kept), tuple(damage))


def plan(params: Mapping[str, t.Any], run_command: service.RunCommand) -> dict[str, t.Any]:
    """Look at the host and give the module's result; one of ERRORS. params: of the module nats_removal."""
    host = read(Path(params["release_dir"]))
    known = host.known
    home = Path(known.bot.settings["home"]) if known.bot else None
    others = removal_guard.Others(known, host.releases)
    found = removal.look(known, others, data=params["data"])
    users, groups, stay = removal.accounts(known, found, others)
    servers = [_with_defaults(each, host.releases) for each in known.servers]
    to_stop = [each for each in servers if _is_to_be_stopped(each, others, run_command)]
    goes_on = bool(home and home.is_dir()) and (known.bot.settings.get("mode") == "nats" if known.bot else False)
    lost, streams_kept = _streams(servers, known, host.releases, data=params["data"])
    containers = [each["container"] for each in servers if each["runtime"] == _DOCKER]
    volumes = known.data.volumes if params["data"] else ()
    watching = _watching(params["watching"], servers)
    is_any = bool(host.leftovers or found.takes or found.changes or users or groups or volumes)
    looked = lease.look(host.releases)
    return {
        "found": host.is_there,
        "refusals": _refusals(params, host, home),
        "takes": [
            *(f"what watches the server: {name}" for name, goes in watching.items() if goes),
            *(str(record_guard.instance(each)) for each in to_stop),
            *(f"the container {each}" for each in containers),
            *found.said,
            *(f"volume {each}" for each in volumes),
            *(f"user {each}" for each in users),
            *(f"group {each}" for each in groups),
            *_of_releases(host),
        ],
        "keeps": [str(each) for each in [*found.keeps, *stay, *_kept_besides(params, host)]] + list(host.damage),
        "loses": lost,
        "streams": streams_kept,
        "unrecorded": [] if host.is_there else [each for each in params["expected"] if os.path.lexists(each)],
        "servers": to_stop,
        "containers": [each for each in servers if each["runtime"] == _DOCKER],
        "volumes": list(volumes),
        "users": users,
        "groups": groups,
        "bot": {
            "parts": remains.without_nats(known),
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
    current = host.listing.current
    no_bot = f"{home} is not there" if home and not home.is_dir() else ""
    run = record_guard.run_of(params["run"])
    return [*record_guard.judge(run, host.releases, current, current, no_bot=no_bot).refusals]


def _watching(given: Mapping[str, t.Any] | None, servers: Sequence[Mapping[str, t.Any]]) -> dict[str, bool]:
    """Tell what of that which watches a server goes with it. given: where it is, empty where it is unmanaged.

    An exporter that watches another server stays.
    """
    unit, directory, textfile = ((given or {}).get(name) or "" for name in ("unit", "directory", "textfile"))
    text = ""
    if unit and Path(unit).is_file():
        text = system.read_text(Path(unit), "replace")
    is_own = not text or any(each["monitoring_url"] and each["monitoring_url"] in text for each in servers)
    is_there = bool(unit) and any(os.path.lexists(each) for each in (unit, directory) if each)
    return {"exporter": is_there and is_own, "textfile": bool(textfile) and os.path.lexists(textfile)}


def _plain(part: release.Part) -> dict[str, t.Any]:
    return {"settings": part.settings, "entries": []}


def _with_defaults(settings: Mapping[str, t.Any], releases: Path) -> dict[str, t.Any]:
    """Give the settings of a server with defaults for what an older version did not record."""
    return usable.settings({SERVER: {"settings": settings, "entries": []}}, releases)[SERVER]


def _is_to_be_stopped(
    settings: Mapping[str, t.Any], others: removal_guard.Others, run_command: service.RunCommand
) -> bool:
    if settings["runtime"] == _SYSTEMD:
        found = service.look_up(settings["service"], run_command)
        return bool(found.exists and (found.enabled or found.running or found.failing))
    return settings["runtime"] == _PROCESS and (bool(others.own) or os.path.lexists(settings["pid_file"]))


def _of_releases(host: Host) -> Iterator[str]:
    count = len(host.listing.records)
    if host.leftovers:
        yield f"what is kept in {host.releases}: {count} release{'s' if count != 1 else ''}"


def _kept_besides(params: Mapping[str, t.Any], host: Host) -> Iterator[Kept]:
    """Name what stays of what no entry tells of: volumes, and what others have put into the directory of releases."""
    if not params["data"]:
        for each in host.known.data.volumes:
            yield Kept(f"volume {each}", removal.TELL_DATA)
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
    removal.check_at_rest(host.known, others, data=params["data"])
    found = removal.look(host.known, others, data=params["data"])
    return [str(each) for each in removal.take(found, label)]


def forget(params: Mapping[str, t.Any]) -> None:
    """Take away what the host keeps of its deployments, but for what tells where data is; one of ERRORS."""
    host = read(Path(params["release_dir"]))
    data = host.known.data
    is_left = any(removal.data_of(data)) or (bool(data.volumes) and not params["data"])
    # a directory in which somebody else has something goes when that is gone
    directories = {*host.known.directories, *data.directories}
    left = replace(data, directories=tuple(each for each in sorted(directories) if Path(each).is_dir()))
    removal.forget(host.releases, left if is_left else None)
