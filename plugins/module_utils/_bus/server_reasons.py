# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a running server has to be reloaded or restarted, so that it has what is meant."""

from __future__ import annotations

import time
import typing as t
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._deploy import release
from ansible_collections.rosey.nats.plugins.module_utils._host import process, service, system, unit_file
from ansible_collections.rosey.nats.plugins.module_utils._host.action import Action, Reason
from ansible_collections.rosey.nats.plugins.module_utils._host.tree import compare, spec
from ansible_collections.rosey.nats.plugins.module_utils._server import (
    answers,
    archive,
    included_files,
    plan,
    read_files,
    requirements,
    served_certificates,
)
from ansible_collections.rosey.nats.plugins.module_utils._server.answering import Answering
from ansible_collections.rosey.nats.plugins.module_utils._server.included_files import Whole


def of_process(
    service_now: service.Service,
    binary: archive.Installation,
    changes: Iterable[compare.Change],
    entries: Iterable[Mapping[str, t.Any]],
    recorded: release.Proven | None,
) -> Iterator[Reason]:
    """Name what a running server only takes up with a new process."""
    if service_now.running and not _runs(service_now.running, binary):
        yield Reason("binary", str(service_now.running.executable), str(binary.binary), Action.RESTART)
    changed = {change.path: change for change in changes}
    for entry in (entry for entry in entries if unit_file.is_unit(entry["path"])):
        path, change = entry["path"], changed.get(entry["path"])
        if change and _is_another_unit(change):
            yield Reason("unit", path, _what_differs(change), Action.RESTART)
        elif service_now.running and (service_now.unread or not _has_taken_up(service_now.running, entry, recorded)):
            yield Reason("unit", path, "not in effect yet", Action.RESTART)


def _is_another_unit(change: compare.Change) -> bool:
    """Tell whether a unit comes, goes, or means something else; a comment and a mode are nothing to its process."""
    if change.entry.state is not spec.State.FILE or change.before is None:
        return True
    before, after = (content.decode(errors="replace") for content in (change.before, change.entry.content))
    return unit_file.parse(before) != unit_file.parse(after)


def _what_differs(change: compare.Change) -> str:
    """Name the directives of a unit that differ; what else does of one that comes or goes."""
    if change.entry.state is not spec.State.FILE or change.before is None:
        return ", ".join(change.what)
    before, after = (content.decode(errors="replace") for content in (change.before, change.entry.content))
    differing = {*unit_file.parse(before)} ^ {*unit_file.parse(after)}
    return f"another {', '.join(sorted({each.name for each in differing}) or change.what)}"


def _has_taken_up(running: process.Process, entry: Mapping[str, t.Any], recorded: release.Proven | None) -> bool:
    """Tell whether a process was started with what a unit means, whenever its file was written since."""
    path = entry["path"]
    if not running.is_older_than(Path(path)):
        return True
    proven = [each.get("content") or "" for each in recorded.part.entries if each["path"] == path] if recorded else []
    meant = unit_file.parse(entry.get("content") or "")
    return _is_proven_since(recorded, running.started_at_second) and meant in map(unit_file.parse, proven)


def _is_proven_since(recorded: release.Proven | None, moment: float) -> bool:
    """Tell whether the record is of what was taken up at this moment, in seconds, and of nothing that came later."""
    return bool(recorded and recorded.at and moment <= recorded.at.timestamp() <= time.time())


def _runs(running: process.Process, binary: archive.Installation) -> bool:
    """Tell whether a process was started from the pinned binary; /proc has its path without the links to it."""
    return running.executable == system.real(binary.binary)


def of_server(
    params: Mapping[str, t.Any], service_now: service.Service, binary: archive.Installation, server: Answering | None
) -> Iterator[Reason]:
    """Name what a running server was started with instead of what is meant."""
    version = params["version"]
    runs_it = service_now.running is None or _runs(service_now.running, binary)
    if server and runs_it and server.varz["version"] != version:
        yield Reason("version", server.varz["version"], version, Action.RESTART)
    config_file = Path(params["config_file"])
    if service_now.running:
        started_with = process.config_file(service_now.running)
        if started_with is None or system.real(started_with) != system.real(config_file):
            yield Reason("configuration file", str(started_with), str(config_file), Action.RESTART)


def of_configuration(
    unread: tuple[str, str, str] | None,
    present: dict[str, t.Any] | str | None,
    loaded: dict[str, t.Any] | None,
    meant: Mapping[str, t.Any],
    server: Answering | None,
) -> Iterator[Reason]:
    """Name what differs between what the server runs with and what is meant."""
    if unread:
        # Where it is known what the server runs with, a reload makes it read what then stands there.
        action = Action.RESTART if loaded is None else Action.RELOAD
        yield Reason(*unread, action)
    known = loaded if unread else present
    before = present if known is None else known
    if not isinstance(before, dict):
        return
    reasons = plan.reasons(before, meant, server.varz if server and known is not None else None)
    if reasons and not unread and loaded is not None and plan.reasons(loaded, before):
        yield Reason("configuration file", "as last proven", "changed and read since", Action.NOTHING)
    yield from reasons


def unread(
    files: Sequence[str],
    present: dict[str, t.Any] | str | None,
    loaded: dict[str, t.Any] | None,
    server: Answering | None,
    recorded: release.Proven | None,
) -> tuple[str, str, str] | None:
    """Tell of a file that is not what the running server read, as after a deployment that was cut off.

    files: the configuration, and what it includes. What was written since and means what the server was proven with,
    after it had read that, is none.
    """
    what = "configuration file"
    if present is None:
        return what, "no such file", "as described"
    if isinstance(present, str):
        return what, f"not readable, {present}", "as described"
    read = answers.moment(server.mark.config_load_time) if server else None
    if read is None:
        return None
    if system.is_ahead(int(read.timestamp() * 1e9)):
        return what, f"read {read:%F %T}, which is yet to come", "as described"
    is_proven = loaded is not None and _is_proven_since(recorded, read.timestamp())
    # with its old time, a copy may have come back to its place after another file was read there
    moment = system.placed if loaded is not None else system.written
    later = [file for file in files if moment(Path(file).stat()) / 1e9 > read.timestamp()]
    if not later or (is_proven and loaded is not None and not plan.reasons(loaded, present)):
        return None
    return what if later[0] == files[0] else f"included file {later[0]}", f"read {read:%F %T}", "written since"


@dataclass(frozen=True)
class Read:
    """When a server read its files, as far as it is known: as it was started, and as it last read its configuration."""

    running: process.Process | None
    server: Answering | None
    recorded: release.Proven | None

    def has_taken_up(self, entry: Mapping[str, t.Any], action: Action) -> bool:
        """Tell whether it was written before, or says what was proven since; so too where nothing is known of that."""
        path = Path(entry["path"])
        if action is Action.RESTART:
            moment = self.running.started_at_second if self.running and self.running.is_older_than(path) else None
        else:
            moment = self._loaded_before(path)
        if moment is None:
            return True
        proven = included_files.texts_of(self.recorded.part.entries).get(entry["path"]) if self.recorded else None
        return proven == included_files.texts_of([entry]).get(entry["path"], "") and _is_proven_since(
            self.recorded, moment
        )

    def _loaded_before(self, path: Path) -> float | None:
        """Give when the configuration was read, in seconds, where that was before a file was written."""
        read = answers.moment(self.server.mark.config_load_time) if self.server else None
        try:
            is_before = read is not None and read.timestamp() < system.written(path.stat()) / 1e9
        except OSError:
            return None
        return read.timestamp() if read and is_before else None


def of_files(
    params: Mapping[str, t.Any], changes: Iterable[compare.Change], configs: tuple[Whole, Whole], read: Read
) -> Iterator[Reason]:
    """Name the files beside the configuration and the units that the server has to take up anew.

    configs: what is on the host, and what is meant.
    """
    compared = {params["config_file"], *(path for each in configs if each.is_known for path in each.included)}
    unknown = {path for each in configs if not each.is_known for path in each.included}
    named = [tuple(read_files.named(each.config)) for each in configs]
    entries = {entry["path"]: entry for entry in params["entries"]}
    changed = {change.path: change for change in changes}
    for path in dict.fromkeys((*entries, *changed)):
        change = changed.get(path)
        entry = {"state": change.entry.state, "reader": change.entry.reader} if change else entries[path]
        if (
            path in compared - unknown
            or unit_file.is_unit(path)
            or entry["state"] in (spec.State.DIRECTORY, spec.State.OWNED)
        ):
            continue
        before, after = ({file for file in each if _is_read(path, file)} for each in named)
        is_unknown = path in unknown or (entry["reader"] == read_files.READER and not before | after)
        # what one of them alone names comes or goes with its option
        found = before & after or ({read_files.unnamed(path)} if is_unknown else set())
        what = [aspect for aspect in change.what if aspect not in compare.METADATA] if change else []
        for file in sorted(found, key=lambda each: each.option):
            if what:
                yield Reason(file.option, path, ", ".join(what), file.action)
            elif path in entries and not read.has_taken_up(entries[path], file.action):
                yield Reason(file.option, path, "not in effect yet", file.action)


def of_certificates(
    config: Mapping[str, t.Any], entries: Iterable[Mapping[str, t.Any]], *, seconds: float
) -> Iterator[Reason]:
    """Name the certificates that others have renewed on the host, and that the server does not show yet.

    config: what is meant. Those among the entries are compared as files are.
    """
    own = {entry["path"] for entry in entries}
    for listener in requirements.tls_listeners(config):
        if listener.is_of_servers or listener.cert_file is None or listener.cert_file in own:
            continue
        seen = served_certificates.look(listener, seconds=seconds)
        if seen.is_stale and seen.flaw is None:
            option = f"certificate for {listener.purpose}"
            yield Reason(option, listener.cert_file, "another one than the server shows", Action.RELOAD)


def _is_read(path: str, file: read_files.ReadFile) -> bool:
    """Tell whether a path is a file, or a link on the way to it."""
    places = Path(file.path), system.real(Path(file.path))
    return any(Path(path) in (place, *place.parents) for place in places)
