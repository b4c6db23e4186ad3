# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which streams a host had when it was last proven and has no more, and whether their files still stand.

The check of ``bus_health_info`` and the diagnosis tell it, each in its own words.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._data import (
    asset_changes,
    asset_gate,
    asset_reading,
    asset_record,
)
from ansible_collections.rosey.nats.plugins.module_utils._data.asset_changes import Doing, Loss
from ansible_collections.rosey.nats.plugins.module_utils._data.asset_record import Proven
from ansible_collections.rosey.nats.plugins.module_utils._data.assets import Assets, Stream
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file, command_line, system
from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Finding, Severity
from ansible_collections.rosey.nats.plugins.module_utils._server import conditions
from ansible_collections.rosey.nats.plugins.module_utils._server.answers import Answer
from ansible_collections.rosey.nats.plugins.module_utils._server.http_reader import excerpt
from ansible_collections.rosey.nats.plugins.module_utils._server.monitoring import Monitor

RECREATING = "Error recreating stream"
_ACCEPTING = command_line.deploy(nats_server_accept=["gone_streams"])
MEANT = f"where that was meant: {_ACCEPTING}"
LOOK = "bring it back from a backup of the host, or see for yourself that no stream is missing"
WHOLE = f"where all are there: {_ACCEPTING} keeps the damaged file aside and writes it anew"
_IN_MEMORY = "its clients have to make it anew, since what is in memory goes with every restart"


class NotComparedError(Exception):
    """Why nothing could be compared. what: could not be used; why: in words; remedy: what to do."""

    def __init__(self, what: Path | str, why: str, remedy: str) -> None:
        super().__init__(f"{what}: {why}")
        self.what = str(what)
        self.why = why
        self.remedy = remedy


class Files(Enum):
    """What the store has of a stream."""

    STAND = auto()
    GONE = auto()
    UNKNOWN = auto()


@dataclass(frozen=True)
class Lost:
    """A stream kept in files that is gone. found: what is in its place. place: of its files, None where not known."""

    stream: Stream
    found: str
    place: Path | None
    files: Files

    def __str__(self) -> str:
        what = {
            Files.STAND: f"its files stand in {self.place}",
            Files.GONE: f"its files are gone from {self.place}",
            Files.UNKNOWN: f"whether its files stand{f' in {self.place}' if self.place else ''} is not known",
        }
        return f"{self.found}; {what[self.files]}"


@dataclass(frozen=True)
class Comparison:
    """What was proven beside what there is.

    release_dir: what it is kept in. time: when it was proven. count: how many streams there were; there: how many of
    these there are. is_off: JetStream is off. lost: those kept in files that are gone. others: what else is missing,
    each a warning.
    """

    release_dir: Path
    time: str
    count: int
    there: int
    is_off: bool
    lost: tuple[Lost, ...]
    others: tuple[Finding, ...]


@dataclass(frozen=True)
class Record:
    """What a host keeps of its streams, and the server that has to have them.

    release_dir: the directory that it is kept in. monitor: its timeout is that of asset_reading. local_files: whether
    the server's files are those of this host.
    """

    release_dir: Path
    monitor: Monitor
    local_files: bool = True

    def compare(self, proven: Proven, healthz: Answer, jsz: Answer) -> Comparison:
        """Ask the server for its streams; MonitoringError, NotComparedError. healthz, jsz: what it said there."""
        if conditions.is_starting(healthz):
            why = "the server is not ready for connections, so that it may not have taken up its streams yet"
            raise NotComparedError(f"{self.monitor.url}/healthz", why, "wait until it is, or look at its log")
        now = asset_reading.ask(self.monitor)
        config = jsz.get("config")
        shown = config.get("store_dir") if isinstance(config, Mapping) and self.local_files else None
        data = Path(shown) if isinstance(shown, str) and shown.startswith("/") else None
        return compare(self.release_dir, proven, now, data, is_off=bool(jsz.get("disabled")))


def read(release_dir: Path) -> Proven | None:
    """Give what was proven; None where nothing ever was. NotComparedError."""
    book = asset_record.Book(release_dir)
    try:
        return book.proven()
    except atomic_file.DamagedError as error:
        if _is_unreadable(book.path):
            why = f"it can't be read as {system.user_name(os.geteuid())}"
            raise NotComparedError(book.path, why, f"run as {_owner(release_dir)}") from error
        raise NotComparedError(book.path, f"it is damaged: {error}", f"{LOOK}; {WHOLE}") from error


def _is_unreadable(path: Path) -> bool:
    try:
        path.stat()
    except OSError:
        return True
    return not os.access(path, os.R_OK)


def _owner(directory: Path) -> str:
    try:
        return system.user_name(directory.stat().st_uid)
    except OSError:
        return "root"


def compare(release_dir: Path, proven: Proven, now: Assets, data: Path | None, *, is_off: bool = False) -> Comparison:
    """Compare what was proven with what there is. data: where the server keeps its streams, None where not known."""
    gone = {stream.key for stream in asset_gate.gone(proven.assets, now)}
    lost, others = [], []
    for loss in asset_changes.losses(proven.assets, now, Doing.OTHER):
        if loss.consumer is None and loss.stream.key in gone:
            lost.append(_lost(loss, data))
        elif _is_missing(loss, now):
            others.append(_other(loss, now))
    return Comparison(
        release_dir=release_dir,
        time=proven.time,
        count=len(proven.assets.streams),
        there=len(proven.assets.streams.keys() & now.streams.keys()),
        is_off=is_off,
        lost=tuple(lost),
        others=tuple(others),
    )


def _is_missing(loss: Loss, now: Assets) -> bool:
    """Tell whether a stream or a consumer is gone, or a stream was made anew: messages go as clients want them to."""
    there = now.streams.get(loss.stream.key)
    if there is None:
        return True
    if loss.consumer is not None:
        return all(each.name != loss.consumer.name for each in there.consumers)
    return (there.last_seq or 0) < (loss.stream.last_seq or 0)


def _lost(loss: Loss, data: Path | None) -> Lost:
    found = loss.finding.found.removesuffix(f", gone {Doing.OTHER}")
    # The server's own way to name it (server/jetstream.go, EnableJetStream; server/stream.go, setupStore).
    directory = data / loss.stream.account / "streams" / loss.stream.name if data else None
    return Lost(loss.stream, found, directory, _look(directory))


def _look(directory: Path | None) -> Files:
    if directory is None:
        return Files.UNKNOWN
    try:
        directory.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return Files.GONE
    except OSError:
        return Files.UNKNOWN
    return Files.STAND


def _other(loss: Loss, now: Assets) -> Finding:
    finding = loss.finding
    is_gone = loss.consumer is None and loss.stream.key not in now.streams
    return replace(
        finding,
        found=finding.found.removesuffix(f" {Doing.OTHER}"),
        remedy=_IN_MEMORY if is_gone else finding.remedy,
        severity=Severity.WARNING,
    )


def holding(stream: Stream) -> str:
    """Say how much a stream held."""
    if stream.messages is None:
        return "with an unknown number of messages"
    return f"with {stream.messages} message{'' if stream.messages == 1 else 's'}"


def named(stream: Stream) -> str:
    """Name a stream, as a line of a report can hold it."""
    return excerpt(str(stream))


def remedy_of_hidden() -> str:
    """Say what to do of streams that the server does not show though their files stand."""
    return (
        f'the files still stand: look in the log of the server for "{RECREATING}" or "Error decrypting", undo what was '
        "changed, such as a key or a limit, and restart it"
    )


def remedy_of_off() -> str:
    """Say what to do where JetStream is off."""
    return "JetStream is off: turn it on as it was, and restart the server"


def remedy_of_gone(release_dir: Path) -> str:
    """Say what to do of streams whose files are gone, too."""
    return f"the files are gone: restore them from a backup, or from a copy in {release_dir}/stores"


def remedy(comparison: Comparison) -> str:
    """Say what to do of all that are lost."""
    if comparison.is_off:
        return f"{remedy_of_off()}; {MEANT}"
    kinds = {each.files for each in comparison.lost}
    remedies = [remedy_of_hidden()] if kinds - {Files.GONE} else []
    remedies += [remedy_of_gone(comparison.release_dir)] if kinds - {Files.STAND} else []
    both = [f"where {each}" for each in remedies] if Files.UNKNOWN in kinds or len(remedies) > 1 else remedies
    return "; ".join([*both, MEANT])
