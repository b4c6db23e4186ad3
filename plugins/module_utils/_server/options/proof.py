# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How /varz shows an option of the configuration."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.rosey.nats.plugins.module_utils._host import python
from ansible_collections.rosey.nats.plugins.module_utils._server import units
from ansible_collections.rosey.nats.plugins.module_utils._server.options import faults, model, reading, table
from ansible_collections.rosey.nats.plugins.module_utils._server.options.model import Evidence, Kind, Option, Unit


def expected(option: Option, value: Any) -> Any:
    """Give what shown() reads from /varz when the server runs with this value; only where evidence() says VARZ."""
    meaning = reading.effective(option, value)
    form = _EXPECTED.get(option.unit)
    return form(meaning) if form else meaning


def _host(url: str) -> str:
    return (
        re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*:", "", url.strip(model.SPACES))
        .removeprefix("//")
        .partition("/")[0]
        .rpartition("@")[2]
    )


def _with_port(host: str) -> str:
    """Add the port that the server takes for a remote leaf node without one (server/const.go)."""
    return host if re.search(r":[0-9]+$", host) else f"{host.rstrip(':')}:7422"


# Where /varz shows a value in another form than it is written in.
_EXPECTED: Mapping[Unit | None, Callable[[Any], Any]] = {
    Unit.PRESENCE: lambda _meaning: True,
    Unit.ALWAYS: lambda meaning: (None, True) if meaning == "always" else (meaning, False),
    Unit.URL_HOSTS: lambda meaning: sorted(_host(url) for url in meaning),
    Unit.REMOTE_HOSTS: lambda meaning: sorted(_with_port(_host(url)) for url in meaning),
    Unit.STORE_DIR: lambda meaning: posixpath.join(posixpath.normpath(meaning), "jetstream"),
}


def shown(option: Option, varz: Mapping[str, Any]) -> Any:
    """Give what an answer of /varz shows for the option, in the form of expected().

    /varz leaves out what is false, zero or empty, so a missing field is read as that.
    """
    found = [_field(varz, name.split(".")) for name in option.varz.split("+")]
    form = _SHOWN.get(option.unit)
    if form:
        return form(found)
    if found[0] is not None:
        return found[0]
    return {Kind.BOOLEAN: False, Kind.TEXT: ""}.get(option.kind or Kind.TEXT, 0)


def _words(found: Sequence[Any]) -> list[Any]:
    return sorted(found[0] or [])


def _is_there(found: Sequence[Any]) -> bool:
    return bool(found[0])


# How the fields of /varz are read into the form of expected().
_SHOWN: Mapping[Unit | None, Callable[[Sequence[Any]], Any]] = {
    Unit.ADDRESS: tuple,
    Unit.ALWAYS: lambda found: (found[0], bool(found[1])),
    Unit.PRESENCE: _is_there,
    Unit.ENABLED: _is_there,
    Unit.WORDS: _words,
    Unit.TAGS: _words,
    Unit.URL_HOSTS: _words,
    Unit.REMOTE_HOSTS: _words,
}


def _field(answer: Any, names: Sequence[str]) -> Any:
    for name in names:
        if isinstance(answer, Mapping):
            answer = answer.get(name)
        elif model.is_list(answer) and name.isdecimal() and int(name) < len(answer):
            answer = answer[int(name)]
        else:
            return None
    return answer


def agrees(meant: Any, found: Any) -> bool:
    """Tell whether what shown() read is what expected() wants; None in a pair stands for anything."""
    if isinstance(meant, tuple) and isinstance(found, tuple):
        return all(part is None or part == other for part, other in python.rows(meant, found))
    return bool(meant == found)


def evidence(option: Option, value: Any, *, reloaded: bool) -> Evidence:
    """Tell how it is proven that the server uses this value: since its start, or since a reload changed it."""
    stale = reloaded and option.reloadable and not option.varz_follows_reload
    if option.varz and not stale and _is_shown(option, value):
        return Evidence.VARZ
    if reloaded and option.log:
        return Evidence.LOG
    return Evidence.EFFECT if option.effect else Evidence.TRUST


def _is_shown(option: Option, value: Any) -> bool:
    """Tell whether /varz shows the value itself: not a default that it asks for, nor a port that the server picks."""
    if model.refers(value) or faults.kind_of(option, value) is None:
        return False
    if not value and (option.zero_is_default or option.unit is Unit.PRESENCE):
        return False
    meaning = reading.effective(option, value)
    port = meaning[-1] if isinstance(meaning, tuple) else meaning
    return not (table.PORT in option.forms and port < 0)


def reload_line(option: Option, value: Any) -> str:
    """Give the beginning of the line that the server logs when a reload changed the option to this value, else "".

    It ends where the value would follow, when that is known to the server alone.
    """
    kind = faults.kind_of(option, value)
    if "{}" not in option.log or kind is None or model.is_reference(value):
        return option.log.partition("{}")[0]
    if isinstance(value, bool):
        text = str(value).lower()
    elif kind is Kind.DURATION and option.unit is not Unit.SECONDS:
        text = units.duration_text(units.duration(value))
    elif kind is Kind.LIST:
        text = str(len(value))
    else:
        meaning = reading.effective(option, value)
        text = f"{meaning:g}" if isinstance(meaning, float) else str(meaning)
    return option.log.format(text)
