# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of a nats-server, as far as it proves what the server took up."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._host import redaction, system
from ansible_collections.rosey.nats.plugins.module_utils._host.redaction import HIDDEN


@dataclass(frozen=True)
class Log:
    """What the log file says of the server that was asked.

    pid: of its process. whole: the file has everything that the process wrote since its start. debug, trace: there are
    such lines. timestamps: lines carry the time. started: the time at which the server told its id, as written.
    reloads: messages about reloads, in order. since_mark: those after the mark. rejection: why the last reload was
    refused, if it was.
    """

    pid: int
    whole: bool
    debug: bool
    trace: bool
    timestamps: bool
    started: str
    reloads: tuple[str, ...] = ()
    since_mark: tuple[str, ...] = ()
    rejection: str = ""

    @property
    def is_rejected_since_mark(self) -> bool:
        """Whether the last reload after the mark was refused."""
        return bool(_rejection(self.since_mark))


# Looking

WINDOW = 4 << 20
_FATAL = re.compile(r"\[FTL\] (.*)")
_LINE = re.compile(
    rb"\[(?P<pid>\d{1,10})\] (?:(?P<time>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d+) )?\[(?P<level>[A-Z]{3})\] (?P<message>.*)"
)
_FIRST_LINE = b"Starting nats-server"
_OF_RELOADS = b"eload"
ACCEPTED = "Reloaded server configuration"
_REJECTED = "Failed to reload server configuration"
_NEW_LOG_FILE = "Reloaded: log_file = "
# Old and new values, and what stands in quotes, may be secrets; the name of an option is none.
_VALUES = re.compile(r"(unknown field \"[^\"]*\")|(: old=.*)|'[^']*'?|\"[^\"]*\"?")

Identity = tuple[str, int, int]  # the id of a server; device and inode of its log file


def last_words(log_file: Path | None) -> str | None:
    """Give the error with which a server that doesn't answer ended, without secrets; None where its log has none."""
    if log_file is None:
        return None
    try:
        with system.opened(log_file) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - WINDOW))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return None
    # An older fatal error is none of this end: a server that writes no log, or was killed, left none.
    last = _FATAL.search(text.rstrip("\n").rpartition("\n")[2])
    return redaction.redact(last[1]) if last else None


def read_log(window: bytes, server_id: str, mark: int | None = None) -> Log | None:
    """Read the end of a log file: what the process of this server wrote; None where no line is of a nats-server.

    window: the last bytes of the file. mark: where in it the messages after the mark begin, None without a mark.
    """
    at_id = window.rfind(b"  ID:       " + server_id.encode())
    # Where the start of the process is not in the window, the last line is the surest to be of it.
    own = _line_at(window, at_id if at_id >= 0 else window.rfind(b"\n[") + 1)
    if own is None:
        return None
    pid, begin = own["pid"], 0
    if at_id >= 0:
        first = window.rfind(_FIRST_LINE, 0, at_id)
        begin = window.rfind(b"\n", 0, first) + 1 if first >= 0 else own.start()
    last = _line_at(window, window.rfind(b"\n[" + pid + b"] ") + 1)
    reloads = _reloads(window, pid, begin)
    return Log(
        pid=int(pid),
        whole=at_id >= 0 and not any(message.startswith(_NEW_LOG_FILE) for message in reloads),
        debug=_has_level(window, pid, begin, b"DBG"),
        trace=_has_level(window, pid, begin, b"TRC"),
        timestamps=bool(last and last["time"]),
        started=(own["time"] or b"").decode("ascii"),
        reloads=reloads,
        since_mark=() if mark is None else _reloads(window, pid, max(mark, begin)),
        rejection=_rejection(reloads),
    )


def _line_at(window: bytes, offset: int) -> re.Match[bytes] | None:
    """Give the line around this place, parsed."""
    return _LINE.match(window, window.rfind(b"\n", 0, offset) + 1)


def _lines_with(window: bytes, pid: bytes, begin: int, text: bytes) -> Iterator[re.Match[bytes]]:
    """Give the lines of a process that hold this text; looking for it first is what makes that quick in a long log."""
    offset = window.find(text, begin)
    while offset >= 0:
        line = _line_at(window, offset)
        if line and line["pid"] == pid:
            yield line
        end = window.find(b"\n", offset)
        offset = window.find(text, end) if end >= 0 else -1


def _has_level(window: bytes, pid: bytes, begin: int, level: bytes) -> bool:
    return any(line["level"] == level for line in _lines_with(window, pid, begin, b"[" + level + b"] "))


def _reloads(window: bytes, pid: bytes, begin: int) -> tuple[str, ...]:
    found = (line["message"].decode("utf-8", "replace") for line in _lines_with(window, pid, begin, _OF_RELOADS))
    return tuple(message for message in found if message.startswith(("Reload", _REJECTED)))


def _rejection(reloads: Sequence[str]) -> str:
    for message in reversed(reloads):
        if message.startswith(ACCEPTED):
            return ""
        if message.startswith(_REJECTED):
            said = message.removeprefix(_REJECTED).lstrip(": ")
            return redaction.redact(_VALUES.sub(_without_value, said)) or "without a reason"
    return ""


def _without_value(value: re.Match[str]) -> str:
    known, values = value.groups()
    return known or ("" if values else HIDDEN)
