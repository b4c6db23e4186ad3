# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What deployments have put on a host, as its releases tell: also what an older one had, and the newest has no more.

Nothing here looks at a host.
"""

from __future__ import annotations

import posixpath
import typing as t
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._bus.decisions import BOT, PLUGINS, SERVER
from ansible_collections.rosey.nats.plugins.module_utils._deploy import record_guard, release
from ansible_collections.rosey.nats.plugins.module_utils._host import background, typed
from ansible_collections.rosey.nats.plugins.module_utils._host.tree.spec import State
from ansible_collections.rosey.nats.plugins.module_utils._server import conf, conf_lexer, requirements
from ansible_collections.rosey.nats.plugins.module_utils._server.options import lookup

# In the directory of the releases: what was kept when all else was taken away.
KEPT = "kept.json"
_DOCKER = "docker"
_LOG = "log_file"
_PID_FILE = "pid_file"
# By which it is told whose what was kept is, as the settings of a server have it.
_OWNER = ("runtime", "service", "container", "config_file")

Entry: t.TypeAlias = "Mapping[str, t.Any]"


@dataclass(frozen=True)
class Account:
    """Who ran a service. home: as a deployment makes it."""

    user: str
    group: str
    home: str


@dataclass(frozen=True)
class Data:
    """What holds messages and words of the past, and where it lies. It outlives the rest, unless told otherwise.

    stores: each store_dir, whose data is below it. logs: each log, beside which the older ones lie. directories: made
    for these. copies: where copies of a store lie. accounts: whose all of it is. volumes: of Docker.
    """

    stores: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    accounts: tuple[Account, ...] = ()
    volumes: tuple[str, ...] = ()

    def with_also(self, other: Data) -> Data:
        """Give both together."""
        mine, its = ({name: getattr(each, name) for name in asdict(each)} for each in (self, other))
        return Data(**{name: tuple(dict.fromkeys((*mine[name], *its[name]))) for name in mine})

    def as_body(self) -> dict[str, t.Any]:
        """Give it as it is kept in a file."""
        return asdict(self)


@dataclass(frozen=True)
class Remains:
    """What was put on a host.

    files: by path, every content that was recorded. directories: those that were described. manifests: by directory,
    the name of the list of what was put there. parts_of_files: entries that take sections and variables out of files
    of others. links, programs: what leads to a binary, and the directories of versions. pid_files: and what a process
    wrote to its standard output. servers: the settings of each instance, the newest first. bot: the newest part, and
    plugins that of its plugins. current: the files of the newest part of the server. server_name, port: what its
    configuration says, empty and None where it does not. old_containers: those that only an older release had.
    """

    files: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)
    directories: frozenset[str] = frozenset()
    manifests: Mapping[str, str] = field(default_factory=dict)
    parts_of_files: tuple[Entry, ...] = field(default=(), repr=False)
    links: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    pid_files: tuple[str, ...] = ()
    servers: tuple[Mapping[str, t.Any], ...] = ()
    bot: release.Part | None = None
    plugins: release.Part | None = None
    current: frozenset[str] = frozenset()
    server_name: str = ""
    port: int | None = None
    old_containers: tuple[str, ...] = ()
    data: Data = field(default_factory=Data)

    @property
    def units(self) -> tuple[str, ...]:
        """Name the units of systemd among the files."""
        return tuple(path for path in self.files if path.endswith(".service"))

    @property
    def places(self) -> set[str]:
        """Name all that another deployment must not take away."""
        of_data = {*self.data.stores, *self.data.logs, *self.data.copies, *self.data.directories}
        return {*self.files, *self.directories, *self.links, *self.programs, *self.pid_files, *of_data}


def of_listing(listing: release.Listing, releases: Path, kept: Mapping[str, t.Any] | None) -> Remains:
    """Tell of all releases that a host keeps, the one that it has before the others."""
    current = [listing.current] if listing.current else []
    return of([*current, *(each for each in listing.records if each not in current)], releases, kept)


def of(records: Sequence[release.Record], releases: Path, kept: Mapping[str, t.Any] | None = None) -> Remains:
    """Tell of releases, the newest first, what they had put on the host.

    releases: their directory. kept: what an earlier removal left there, as as_body() has it.
    """
    parts = [part for record in records for part in record.parts.values()]
    entries = [entry for part in parts for entry in part.entries]
    of_server = [record.parts[SERVER] for record in records if SERVER in record.parts]
    servers = _instances(part.settings for part in of_server)
    binaries = [each for each in _settings(of_server) if each.get("runtime") != _DOCKER and each.get("directory")]
    data = Data()
    pid_files: list[str] = []
    for part in of_server:
        data_of_part = _data(part, releases)
        # a volume is known by its name alone, so that nothing is taken for it that an older release had
        is_current = record_guard.instance(part.settings) == record_guard.instance(servers[0]) if servers else True
        data = data.with_also(data_of_part if is_current else replace(data_of_part, volumes=()))
        pid_files += _pid_files(part)
    config = _config(of_server[0]) if of_server else {}
    return Remains(
        files=_files(entries),
        directories=frozenset(
            {entry["path"] for entry in entries if entry["state"] == State.DIRECTORY}
            | {each["directory"] for each in binaries}
        ),
        manifests={entry["path"]: entry["manifest"] for entry in entries if entry.get("manifest")},
        parts_of_files=tuple(_parts_of_files(entries)),
        links=tuple(dict.fromkeys(each["link"] for each in binaries if each.get("link"))),
        programs=tuple(dict.fromkeys(f"{each['directory']}/{each['version']}" for each in binaries)),
        pid_files=tuple(dict.fromkeys(pid_files)),
        servers=servers,
        bot=next((record.parts[BOT] for record in records if BOT in record.parts), None),
        plugins=next((record.parts[PLUGINS] for record in records if PLUGINS in record.parts), None),
        current=frozenset(_files(of_server[0].entries)) if of_server else frozenset(),
        server_name=str(config.get("server_name") or ""),
        port=_port(config) if of_server else None,
        old_containers=tuple(each["container"] for each in servers[1:] if each.get("runtime") == _DOCKER),
        data=data.with_also(read_kept(kept)) if kept else data,
    )


def read_kept(body: Mapping[str, t.Any]) -> Data:
    """Read what as_body() wrote; KeyError, TypeError or ValueError where it is something else."""
    accounts = tuple(typed.make(Account, **each) for each in body["accounts"])
    return typed.make(Data, **{name: accounts if name == "accounts" else tuple(body[name]) for name in asdict(Data())})


def owners(record: release.Record | None, kept: Mapping[str, t.Any] | None = None) -> list[dict[str, str]]:
    """Tell whose that is which a release, and an earlier removal, tell of; TypeError or ValueError.

    One without anything stands for what was kept by a version that did not note that.
    """
    noted = [] if kept is None else kept.get("owners", [{}])
    noted_owners = [{str(name): str(value) for name, value in dict(each).items()} for each in noted]
    if record is not None:
        settings = record.parts[SERVER].settings if SERVER in record.parts else {}
        server = {name: str(settings[name]) for name in _OWNER if settings.get(name)}
        noted_owners += [{**server, "environment": each} for each in record_guard.environments(record) or ("",)]
    return [each for number, each in enumerate(noted_owners) if each not in noted_owners[:number]]


def without_nats(remains: Remains, stay: Collection[str] = ()) -> list[dict[str, t.Any]]:
    """Describe the bot as it is to be: without its section, what it logs in with, and the plugins of the bus.

    stay: the paths of what is not as it was deployed.
    """
    if remains.bot is None:
        return []
    bot = {**remains.bot.settings, "mode": "legacy"}
    described = [{"name": BOT, "settings": bot, "entries": [_without(each) for each in remains.bot.entries]}]
    if remains.plugins:
        entries = [dict(each) for each in remains.plugins.entries if each["state"] in (State.DIRECTORY, State.ABSENT)]
        # what is described as there is not taken away with the rest of the list of its directory
        listed = [each for each in stay if posixpath.dirname(each) in remains.manifests]
        entries += [{"path": each, "state": str(State.OWNED)} for each in listed]
        described.append({"name": PLUGINS, "settings": {"plugins": []}, "entries": entries})
    return described


def _without(entry: Entry) -> dict[str, t.Any]:
    """Give an entry of the bot as it is without NATS."""
    plain = {name: value for name, value in entry.items() if name not in ("content", "secret_variables")}
    if entry["state"] == State.SECTION:
        return {**plain, "content": ""}
    if entry["state"] == State.VARIABLES:
        return {**plain, "variables": dict.fromkeys(_variables(entry))}
    return dict(entry)


def _parts_of_files(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Give what takes sections and variables away, once for each file. Whose the file is stays."""
    sections = {(entry["path"], entry["key"]) for entry in entries if entry["state"] == State.SECTION}
    for path, key in sorted(sections):
        yield {"path": path, "state": str(State.SECTION), "key": key, "content": ""}
    names: dict[str, dict[str, None]] = {}
    for entry in entries:
        if entry["state"] == State.VARIABLES:
            names.setdefault(entry["path"], {}).update(dict.fromkeys(_variables(entry)))
    for path, variables in sorted(names.items()):
        yield {"path": path, "state": str(State.VARIABLES), "variables": variables}


def _variables(entry: Entry) -> list[str]:
    return [*(entry.get("variables") or {}), *(entry.get("secret_variables") or {})]


def _files(entries: Iterable[Entry]) -> dict[str, frozenset[str]]:
    contents_of: dict[str, set[str]] = {}
    for entry in entries:
        if entry["state"] == State.FILE:
            contents_of.setdefault(entry["path"], set()).add(_content(entry))
    return {path: frozenset(contents) for path, contents in contents_of.items()}


def _content(entry: Entry) -> str:
    return str(entry.get("content") or entry.get("secret_content") or "")


def _settings(parts: Iterable[release.Part]) -> Iterator[Mapping[str, t.Any]]:
    for part in parts:
        yield part.settings


def _instances(settings: Iterable[Mapping[str, t.Any]]) -> tuple[Mapping[str, t.Any], ...]:
    """Give the settings of each instance once, those of the newest release that had it."""
    by_instance: dict[str, Mapping[str, t.Any]] = {}
    for part in settings:
        instance = record_guard.instance(part)
        if instance:
            by_instance.setdefault(str(instance), part)
    return tuple(by_instance.values())


def _data(part: release.Part, releases: Path) -> Data:
    """Tell where a server has its data."""
    settings = part.settings
    account = Account(settings.get("user") or "", settings.get("group") or "", settings.get("data_dir") or "")
    copies = (settings.get("copies") or str(releases / "stores"),)
    if settings.get("runtime") == _DOCKER:
        return Data(copies=copies, volumes=(settings["container"],))
    named = _written(part)
    return Data(
        stores=tuple(named.get(requirements.STORE_OPTION, ()) or filter(None, [settings.get("data_dir")])),
        logs=tuple(named.get(_LOG, ())),
        directories=tuple(_directories_of_data(part, named)),
        copies=copies,
        accounts=(account,) if settings.get("runtime") == "systemd" else (),
    )


def _directories_of_data(part: release.Part, named: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Name the directories that were described for the store and the log."""
    inside = [path for paths in named.values() for path in paths]
    for entry in part.entries:
        if entry["state"] == State.DIRECTORY and any(f"{each}/".startswith(f"{entry['path']}/") for each in inside):
            yield entry["path"]


def _config(part: release.Part) -> dict[str, t.Any]:
    """Read a recorded configuration; nothing where it can't be read."""
    text = next((_content(each) for each in part.entries if each["path"] == part.settings.get("config_file")), "")
    with suppress(conf_lexer.ConfError, OSError, TypeError, ValueError):
        return conf.parse(text)
    return {}


def _port(config: Mapping[str, t.Any]) -> int | None:
    """Give the port of clients; None where the configuration does not say it by itself."""
    with suppress(requirements.UnknownError, TypeError, ValueError):
        return next((each.port for each in requirements.endpoints(config) if each.purpose == lookup.CLIENTS), None)
    return None


def _written(part: release.Part) -> dict[str, list[str]]:
    """Name what a recorded configuration lets the server write to, by option; nothing where it can't be read."""
    by_option: dict[str, list[str]] = {}
    with suppress(TypeError, ValueError):
        for path in requirements.written(requirements.paths(_config(part))):
            whole = posixpath.join("/", path.path)
            if ".." not in whole.split("/"):
                by_option.setdefault(path.option, []).append(posixpath.normpath(whole))
    return by_option


def _pid_files(part: release.Part) -> list[str]:
    """Name what a process is known by, and what it wrote to its standard output."""
    if part.settings.get("runtime") == _DOCKER:
        return []
    own = part.settings.get(_PID_FILE)
    of_process = [own, str(background.output_file(Path(own)))] if own else []
    return [*of_process, *_written(part).get(_PID_FILE, ())]
