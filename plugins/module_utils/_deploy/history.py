# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who brought a host to which release, and when; and which one it had at a time, or came to have by a run.

A release says that of itself. A way back to one is kept in a file of its own, of which a version that does not know it
takes no notice: what such a version did to a host is then missing here, and is found out by what does not follow.
"""

from __future__ import annotations

import difflib
import re
import typing as t
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._deploy import lease
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file

NAME = "ways_back.json"
# What was damaged is kept under this name, with the time behind it.
DAMAGED = f"{NAME}.damaged-"
_DAMAGED_TIME = "%Y%m%dT%H%M%SZ"
OPTION = "rosey_run"
# What rollback_to means by itself.
_WORDS = ("current", "previous", "list", "legacy")
_MOST = 100
_SHOWN = 5
_COMMIT_DIGITS = 12
_UNCOMMITTED = "+"

_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_NO_RUN = re.compile(r"(\d{4}-\d{2}-\d{2}(T.*)?|\d{8}T\d{6}Z-.*)", re.ASCII)
_LIKE_A_TIME = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?", re.ASCII | re.DOTALL)
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2})?)(Z| ?UTC|[+-]\d{2}:\d{2})", re.ASCII)
_CONTROLLER = re.compile(r"(.+?)(-[0-9a-f]{8}){2}", re.ASCII)


class PointError(Exception):
    """Why there is nothing to go back to there, to follow the name of the host and a colon."""


@dataclass(frozen=True)
class Origin:
    """Who deploys, in which run, and by what. Each is empty where it is not known.

    run: its name. process: what names its process for good. user: who started it. commit: that of the inventory, with
    a plus behind it where something of the inventory was not committed.
    """

    run: str = ""
    process: str = ""
    user: str = ""
    commit: str = ""


UNKNOWN = Origin()

ARGUMENT: dict[str, t.Any] = {
    "type": "dict",
    "default": {},
    "options": {each.name: {"type": "str", "default": ""} for each in fields(Origin)},
}


@dataclass(frozen=True)
class Turn:
    """A host came to have a release. time: ISO 8601, UTC.

    release: its id, None for none. before: of the one that it had before, None for none; "" where nobody knows.
    """

    time: str
    release: str | None
    before: str | None
    controller: str
    origin: Origin = UNKNOWN


def origin_of(raw: t.Any) -> Origin:
    """Read an origin, of a module's arguments or of a file, where None stands for one that was never kept.

    AttributeError or TypeError where it is none.
    """
    values = {} if raw is None else {each.name: raw.get(each.name, "") for each in fields(Origin)}
    if not all(isinstance(value, str) for value in values.values()):
        raise TypeError("origin")
    return Origin(**values)


def told(origin: Origin, controller: str) -> str:
    """Say in a line who deployed, from where and by what."""
    commit = origin.commit[:_COMMIT_DIGITS]
    more = " with uncommitted changes" if origin.commit.endswith(_UNCOMMITTED) else ""
    who = f"by {origin.user}, " if origin.user else ""
    return ", ".join(
        [
            *([origin.run] if origin.run else []),
            f"{who}from {machine(controller)}",
            *([f"inventory {commit}{more}"] if commit else []),
        ]
    )


def machine(controller: str) -> str:
    """Give the name of a machine that deploys, without what tells it from another one of that name."""
    match = _CONTROLLER.fullmatch(controller)
    return match[1] if match else controller


def is_name(text: str) -> bool:
    """Say whether a run can have this name."""
    return bool(_RUN.fullmatch(text)) and text not in _WORDS and not _NO_RUN.fullmatch(text)


def name_problem(name: str) -> str:
    """Say why a run can't have this name, as a whole sentence; empty where it can."""
    if is_name(name):
        return ""
    return (
        f"{OPTION}: {name!r}; expected up to 64 letters, digits, full stops, hyphens and underscores, a letter or a "
        f"digit first, and neither a time, nor the id of a release, nor one of {', '.join(_WORDS)}. "
        "Nothing was touched; give the run another name, such as deploy-4711."
    )


def moment_of(text: str) -> datetime | None:
    """Read a time that somebody names; None where it is none. PointError where it can't be told which it is."""
    if not _LIKE_A_TIME.fullmatch(text):
        return None
    match = _TIME.fullmatch(text)
    zone = match[3].strip() if match else ""
    try:
        if match:
            return datetime.fromisoformat(f"{match[1]}T{match[2]}{'+00:00' if zone in ('Z', 'UTC') else zone}")
    except ValueError:
        pass
    raise PointError(
        f"{text} is no time that means the same everywhere; expected a date, a time and a zone, such as "
        "2026-11-29T14:00:00Z or 2026-11-29T15:00:00+01:00"
    )


def had_at(turns: Sequence[Turn], current: str | None, moment: datetime, now: datetime) -> str:
    """Give the id of the release that a host had at a time; PointError. current: that of the one that it has.

    turns: as `in_order` gives them.
    """
    asked = lease.timestamp(moment)
    if moment > now:
        raise PointError(f"{asked} is yet to come: the clock of this host says {lease.timestamp(now)}")
    if not turns:
        raise PointError("it has no release")
    passed = [number for number, turn in enumerate(turns) if lease.moment(turn.time) <= moment]
    if not passed:
        first = turns[0]
        why = "releases before that are not kept any more" if first.before else "it was first deployed then"
        raise PointError(
            f"it had no release at {asked} that is known: the oldest, {first.release}, is of {first.time}; {why}"
        )
    last = turns[passed[-1]]
    later = turns[passed[-1] + 1] if passed[-1] + 1 < len(turns) else None
    came = later.before if later else current
    if came not in (last.release, ""):
        raise PointError(
            f"it can't be told which release it had at {asked}: it had {last.release or 'none'} since {last.time}, and "
            f"{came or 'none'} {f'before {later.time}' if later else 'now'}, but since when nobody has recorded"
        )
    if last.release is None:
        raise PointError(f"it had no release at {asked}")
    return last.release


def brought_by(turns: Sequence[Turn], gone_back: Sequence[Turn], run: str) -> str:
    """Give the id of the release that a host came to have by a run, which has a name; PointError.

    turns: as `in_order` gives them. gone_back: those of them that are ways back.

    It is the last one that the run recorded, also where it went back afterwards; where it recorded none, the last one
    that it went back to. A way back that happens by itself is no turn: it ends before anything is recorded.
    """
    deployed = [turn for turn in turns if turn not in gone_back]
    for some in (deployed, gone_back):
        releases = [turn.release for turn in some if turn.origin.run == run and turn.release]
        if releases:
            return releases[-1]
    known = list(dict.fromkeys(turn.origin.run for turn in reversed(turns) if turn.origin.run))
    known_ones = f"its last ones are {', '.join(known[:_SHOWN])}" if known else "no run of it is known by name"
    meant = difflib.get_close_matches(run.lower(), _WORDS, n=1)
    hint = f". Write {meant[0]}, if that is meant" if meant else ""
    raise PointError(f"it has no release of the run {run}; {known_ones}{hint}")


def check_known(damaged: Mapping[str, str], moment: datetime) -> None:
    """Make sure that no file which is damaged tells of a time; PointError. damaged: the reasons, by their names."""
    for name, reason in damaged.items():
        aside = _aside(name)
        if name == NAME or (aside and moment < aside):
            raise PointError(
                f"it can't be told which release it had at {lease.timestamp(moment)}: {name} is damaged ({reason}); "
                "expected the id of a release, which rollback_to=list shows"
            )


def in_order(turns: Iterable[Turn]) -> list[Turn]:
    """Order turns by their times, and leave those out whose time is none."""

    def time_of(turn: Turn) -> datetime | None:
        try:
            return lease.moment(turn.time)
        except ValueError:
            return None

    dated = [(time, turn) for turn in turns if (time := time_of(turn))]
    return [turn for _time, turn in sorted(dated, key=lambda each: each[0])]


def ways_back(directory: Path) -> list[Turn]:
    """Read the ways back that a host has gone; DamagedError."""
    try:
        body = atomic_file.read(directory / NAME)
    except FileNotFoundError:
        return []
    try:
        return [_turn(each) for each in body["turns"]]
    except (AttributeError, KeyError, TypeError):
        raise atomic_file.DamagedError("wrong type, expected ways back") from None


def look(directory: Path) -> tuple[list[Turn], dict[str, str]]:
    """Read the ways back, and give the reasons of the files that are damaged, also of those kept aside, by names."""
    damaged = {
        name: f"the ways back until {lease.timestamp(aside)}, which can't be read"
        for name in atomic_file.names(directory)
        if (aside := _aside(name))
    }
    try:
        return ways_back(directory), damaged
    except atomic_file.DamagedError as error:
        return [], {NAME: str(error), **damaged}


def _aside(name: str) -> datetime | None:
    if not name.startswith(DAMAGED):
        return None
    try:
        return datetime.strptime(name[len(DAMAGED) :], _DAMAGED_TIME).replace(tzinfo=timezone.utc)
    except ValueError:
        return None


def keep_way_back(directory: Path, turn: Turn) -> None:
    """Add a way back to the file. One that is damaged is kept beside it: what it told of is not known any more."""
    try:
        before = ways_back(directory)
    except atomic_file.DamagedError:
        atomic_file.set_aside(directory / NAME, f"{DAMAGED}{lease.moment(turn.time):{_DAMAGED_TIME}}")
        before = []
    atomic_file.write(directory / NAME, {"turns": [asdict(each) for each in [*before, turn][-_MOST:]]})


def _turn(raw: Mapping[str, t.Any]) -> Turn:
    ids = (raw["release"], raw["before"])
    if not all(isinstance(value, str) for value in (raw["time"], raw["controller"], *(each or "" for each in ids))):
        raise TypeError("turn")
    return Turn(raw["time"], *ids, raw["controller"], origin_of(raw["origin"]))


def now() -> datetime:
    """Give the time of this host's clock."""
    return datetime.now(timezone.utc)
