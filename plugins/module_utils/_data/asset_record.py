# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host keeps of its JetStream assets: those of the last proven state, and those that a deployment has seen.

Both are sealed files in the directory of the releases, so that lists of thousands never leave the host.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._data import assets
from ansible_collections.rosey.nats.plugins.module_utils._data.asset_changes import Doing
from ansible_collections.rosey.nats.plugins.module_utils._data.assets import Assets, Key
from ansible_collections.rosey.nats.plugins.module_utils._deploy import lease
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file

PROVEN = "assets.json"
DAMAGED = f"{PROVEN}.damaged-"
_CHECKPOINT = "checkpoint.json"
_LOOKS = ("observed", "before", "after")


@dataclass(frozen=True)
class Checkpoint:
    """What a deployment has seen. None where it has not looked.

    observed: as it began. before: right before the server was first stopped, or told to reload; doing: which of the
    two; stops: how often it was.
    log_size: the bytes that its log had then. settled: what it had at its very end is known. after: right
    after it was ready again. restored: how many messages of each stream the server took up at that start, as its log
    says.
    """

    observed: Assets | None = None
    before: Assets | None = None
    doing: Doing | None = None
    log_size: int = 0
    settled: bool = False
    stops: int = 0
    after: Assets | None = None
    restored: Mapping[Key, int] | None = None


@dataclass(frozen=True)
class Proven:
    """The assets of the last proven state. time: when that was, ISO 8601, UTC."""

    time: str
    assets: Assets


# what is written as a deployment goes on; what stands in the place of PROVEN is kept beside it
WRITTEN = (_CHECKPOINT,)


class Book:
    """The two files of one host."""

    def __init__(self, releases: Path) -> None:
        self._directory = releases

    @property
    def path(self) -> Path:
        """Where it stands what was last proven."""
        return self._directory / PROVEN

    def proven(self) -> Proven | None:
        """Give what was there when it was last proven; None where nothing ever was. DamagedError: nobody can tell."""
        try:
            body = atomic_file.read(self.path)
            return Proven(str(body["time"]), assets.from_table(body["assets"]))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (AttributeError, KeyError, TypeError, ValueError):
            raise atomic_file.DamagedError("it has no streams") from None

    def prove(self, proven: Proven) -> None:
        """Write down what is there by now; ReleaseError. A file that is damaged is kept beside it."""
        body = {"time": proven.time, "assets": assets.as_table(proven.assets)}
        with self._guarded():
            try:
                self.proven()
            except atomic_file.DamagedError:
                atomic_file.set_aside(self.path, f"{DAMAGED}{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}")
            atomic_file.write(self.path, body)

    def checkpoint(self) -> Checkpoint:
        """Give what the deployment at work has seen; nothing where none is, or the file is damaged."""
        body = self._read(_CHECKPOINT)
        try:
            restored, doing = body.get("restored"), body.get("doing")
            return Checkpoint(
                **{name: _assets(body.get(name)) for name in _LOOKS},
                doing=Doing(doing) if doing else None,
                log_size=int(body.get("log_size", 0)),
                settled=bool(body.get("settled")),
                stops=int(body.get("stops", 0)),
                restored=None if restored is None else {(row[0], row[1]): int(row[2]) for row in restored},
            )
        except (AttributeError, KeyError, IndexError, TypeError, ValueError):
            return Checkpoint()

    def begin(self, observed: Assets | None, *, anew: bool = False) -> None:
        """Begin a checkpoint; ReleaseError.

        One that is there is of a deployment that was cut off, and goes on, since nobody has judged it. anew: without.
        """
        seen = Checkpoint() if anew else self.checkpoint()
        self._put(seen if seen.observed is not None else replace(seen, observed=observed))

    def note(self, **seen: t.Any) -> None:
        """Add what was seen to the checkpoint, by the names of its fields; ReleaseError."""
        self._put(replace(self.checkpoint(), **seen))

    def end(self) -> None:
        """Take the checkpoint away; ReleaseError."""
        atomic_file.remove(self._directory / _CHECKPOINT)

    def _put(self, checkpoint: Checkpoint) -> None:
        looks = {name: getattr(checkpoint, name) for name in _LOOKS}
        body: dict[str, t.Any] = {name: assets.as_table(look) for name, look in looks.items() if look is not None}
        doing = None if checkpoint.doing is None else str(checkpoint.doing)
        body |= {"doing": doing, "log_size": checkpoint.log_size}
        body |= {"settled": checkpoint.settled, "stops": checkpoint.stops}
        if checkpoint.restored is not None:
            body["restored"] = [[*key, count] for key, count in sorted(checkpoint.restored.items())]
        self._write(_CHECKPOINT, body)

    def _read(self, name: str) -> dict[str, t.Any]:
        try:
            return dict(atomic_file.read(self._directory / name))
        except (FileNotFoundError, NotADirectoryError, atomic_file.DamagedError):
            return {}

    def _write(self, name: str, body: Mapping[str, t.Any]) -> None:
        with self._guarded():
            atomic_file.write(self._directory / name, body)

    def _guarded(self) -> AbstractContextManager[None]:
        atomic_file.prepare(self._directory)
        return atomic_file.guard(self._directory)


def _assets(table: Mapping[str, t.Any] | None) -> Assets | None:
    return assets.from_table(table) if table is not None else None


def proven_now(found: Assets) -> Proven:
    """Give assets as proven at this moment."""
    return Proven(lease.timestamp(datetime.now(timezone.utc)), found)
