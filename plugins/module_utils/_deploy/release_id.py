# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ids of releases, which sort as they were recorded."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

_ID = re.compile(r"(\d{8}T\d{6}Z)-[0-9a-f]{6}", re.ASCII)
_TIME = "%Y%m%dT%H%M%SZ"
_BYTES = 3
_SECOND = timedelta(seconds=1)
_LAST = datetime.max.replace(microsecond=0, tzinfo=timezone.utc)


def is_id(text: str) -> bool:
    """Say whether a text can be the id of a release."""
    return time_of(text) is not None


def next_id(now: datetime, taken: Sequence[str]) -> str:
    """Give an id that sorts after all that are taken, whatever the clock does, but for one that nothing can follow."""
    moment = now.astimezone(timezone.utc).replace(microsecond=0)
    followed = [time for time in map(time_of, taken) if time and time < _LAST]
    moment = max([moment, *(time + _SECOND for time in followed)])
    return f"{moment:{_TIME}}-{secrets.token_hex(_BYTES)}"


def time_of(text: str) -> datetime | None:
    """Give the time in an id, UTC; None where the text is none."""
    if not (match := _ID.fullmatch(text)):
        return None
    try:
        return datetime.strptime(match[1], _TIME).replace(tzinfo=timezone.utc)
    except ValueError:
        return None
