# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at JetStream's assets around the stop and the start of a server, and keeps what it sees for the gate.

The looks are within the call that stops and starts, so that what is missing between them was lost by that.
"""

from __future__ import annotations

import time
import typing as t
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._data import (
    asset_changes,
    asset_reading,
    asset_record,
    asset_store,
    assets,
)
from ansible_collections.rosey.nats.plugins.module_utils._data.asset_changes import Doing
from ansible_collections.rosey.nats.plugins.module_utils._data.assets import Assets, Stream
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file, system
from ansible_collections.rosey.nats.plugins.module_utils._server import conditions, http_reader, monitoring

# What a module takes to look: nothing is looked at without the directory of the releases.
ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "monitoring_url": {"type": "str"},
    "next_monitoring_url": {"type": "str"},
    "log_file": {"type": "path"},
    "data": {"type": "path"},
}

# A server that takes longer is looked at by the gate, which waits as long as it is told to.
READY_SECONDS = 5.0
_ANSWER_SECONDS = 1.0
_PAUSE = 0.01


@dataclass(frozen=True)
class Watch:
    """One stop and start, or reload.

    book: where it is kept. url: where the server answers that is to be stopped, None where none does. next_url: where
    the one answers that is started. log_file: of that one. data: where the first one keeps its streams, which is
    looked at where it does not answer. Each may be None where it is not known.
    """

    book: asset_record.Book
    url: str | None = None
    next_url: str | None = None
    log_file: Path | None = None
    data: Path | None = None

    def before(self, doing: Doing) -> None:
        """Look right before the server is stopped or reloaded; ReleaseError where that can't be kept.

        Of several stops in one deployment the first counts: what was seen before it stays.
        """
        seen = self.book.checkpoint()
        if seen.before is None:
            self._note_before(doing, settled=False)
        else:
            # clients had it in between, so that what the log says of a start is not all
            self.book.note(stops=seen.stops + 1, settled=False, after=None, restored=None)

    def before_start(self) -> None:
        """Look before a server is started that does not run; it is started whatever can't be read or kept."""
        with suppress(OSError, ValueError, atomic_file.ReleaseError):
            if self.book.checkpoint().before is None:
                self._note_before(Doing.RESTART, settled=True)

    def stopped(self) -> None:
        """Look at the store of the server that has just ended: what clients still did before its end is in it.

        The server is started whatever can't be read or kept.
        """
        with suppress(OSError, ValueError, atomic_file.ReleaseError):
            seen = self.book.checkpoint()
            if seen.before is not None and seen.stops == 1 and self.data is not None and self.data.is_dir():
                self.book.note(before=at_rest(seen.before, asset_store.read(self.data)), settled=True)

    def _note_before(self, doing: Doing, *, settled: bool) -> None:
        log_size = system.size(self.log_file) if self.log_file else 0
        before = look(self.url, self.data)
        self.book.note(
            before=before, doing=doing, stops=1, log_size=log_size, settled=settled, after=None, restored=None
        )

    def after(self, is_hopeless: Callable[[], bool] = lambda: False) -> None:
        """Look as soon as the server is ready, where it is within READY_SECONDS. What fails is left to the gate."""
        if self.next_url is None or not http_reader.HAS_REQUESTS:
            return
        with suppress(http_reader.MonitoringError, atomic_file.ReleaseError):
            monitor = monitoring.Monitor(self.next_url, timeout=_ANSWER_SECONDS)
            if _is_ready(monitor, is_hopeless):
                url = self.next_url
                self.note_after(lambda: ask(url))

    def note_after(self, ask_server: Callable[[], Assets]) -> None:
        """Keep what a server holds that has just become ready; MonitoringError, ReleaseError."""
        # first, so that a file that is gone since, as its messages are, is told by the server's count
        blocks = self._blocks()
        found = ask_server()
        seen = (replace(each, blocks=blocks.get(each.key)) for each in found.in_order())
        self.book.note(after=assets.of(seen, found.api_calls), restored=self._restored())

    def _blocks(self) -> dict[assets.Key, int | None]:
        """Count the files that have a stream's messages: a server counts what was in a missing one until it is read."""
        with suppress(OSError):
            if self.data is None or not self.data.is_dir():
                return {}
            return {key: each.blocks for key, each in asset_store.read(self.data).streams.items()}
        return {}

    def _restored(self) -> dict[tuple[str, str], int] | None:
        """Read in the log what the server took up at its start; None where there is no log to be read."""
        checkpoint = self.book.checkpoint()
        # Where it is not known what was there at the stop, clients may have removed messages until then.
        if self.log_file is None or not checkpoint.settled:
            return None
        try:
            size = system.size(self.log_file)
            with system.opened(self.log_file) as file:
                # a smaller file is a new one
                file.seek(checkpoint.log_size if 0 <= checkpoint.log_size <= size else 0)
                return asset_changes.restored_in(file.read(system.LARGEST).decode("utf-8", "replace"))
        except OSError:
            return None


def watch_of(params: t.Mapping[str, t.Any]) -> Watch | None:
    """Make a watch from the parameters of a module that has ARGUMENTS and releases; None without the latter."""
    if params["release_dir"] is None:
        return None
    return Watch(
        book=asset_record.Book(Path(params["release_dir"])),
        url=params["monitoring_url"],
        next_url=params["next_monitoring_url"],
        log_file=Path(params["log_file"]) if params["log_file"] else None,
        data=Path(params["data"]) if params["data"] else None,
    )


def ask(url: str) -> Assets:
    """Ask a server for its assets; MonitoringError."""
    return asset_reading.ask(monitoring.Monitor(url, timeout=asset_reading.SECONDS))


def look(url: str | None, data: Path | None) -> Assets | None:
    """Give the assets of a server that answers, or else of its store; None where neither can be had.

    A server that has just been started is waited for until it has taken up its streams, at most READY_SECONDS; one that
    is still on its way has none that count.
    """
    if url is not None and http_reader.HAS_REQUESTS:
        with suppress(http_reader.MonitoringError):
            if has_started(url, READY_SECONDS, answers=True):
                return ask(url)
    with suppress(OSError):
        if data is not None and data.is_dir():
            return asset_store.read(data)
    return None


def has_started(url: str, seconds: float, *, answers: bool = False) -> bool:
    """Wait until a server has taken up its streams, healthy or not, at most so long; says whether it has.

    answers: one that does not answer at all is not waited for.
    """
    monitor = monitoring.Monitor(url, timeout=http_reader.TIMEOUT)
    started = False

    def has_ended() -> bool:
        nonlocal started
        try:
            started = not conditions.is_starting(monitor.healthz())
        except http_reader.MonitoringError:
            return answers
        return started

    _wait(has_ended, seconds)
    return started


def at_rest(seen: Assets, stored: Assets) -> Assets:
    """Give what a server held at its end. seen: as it told shortly before; stored: what its store has now.

    A stop can lose the last acknowledgements, so that the floor of a consumer is that of its file, too.
    """

    def last(stream: Stream) -> Stream:
        kept = stored.streams.get(stream.key)
        if stream.storage != assets.FILE:
            return stream
        if kept is None:
            kept = replace(stream, messages=None)
        floors = {each.name: each.ack_floor for each in kept.consumers if each.ack_floor is not None}
        return replace(
            stream,
            consumers=tuple(
                replace(each, ack_floor=floors.get(each.name, each.ack_floor)) for each in stream.consumers
            ),
            messages=kept.messages,
            bytes=kept.bytes,
            blocks=kept.blocks,
            first_seq=kept.first_seq,
            last_seq=stream.last_seq if kept.last_seq is None else kept.last_seq,
        )

    return replace(seen, streams={key: last(stream) for key, stream in seen.streams.items()})


def _is_ready(monitor: monitoring.Monitor, is_hopeless: Callable[[], bool]) -> bool:
    """Wait until a server calls itself healthy, at most READY_SECONDS; says whether it does."""
    ready = False

    def has_ended() -> bool:
        nonlocal ready
        try:
            ready = bool(monitor.healthz()["status"] == "ok")
        except http_reader.MonitoringError:
            return is_hopeless()
        return ready

    _wait(has_ended, READY_SECONDS)
    return ready


def _wait(has_ended: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not has_ended() and time.monotonic() < deadline:
        time.sleep(_PAUSE)
