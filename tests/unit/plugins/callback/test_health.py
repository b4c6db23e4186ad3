# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import io
import json
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.callback.health import CallbackModule

Event = tuple[str, str, dict[str, Any]]
FAULT: Event = ("failed", "rosey.nats.bot_plugins", {"msg": "commands..new has an empty token"})
NO_SUDO: Event = ("failed", "rosey.nats.bus_health_info", {"msg": "a password is required"})
GONE: Event = ("unreachable", "rosey.nats.bus_health_info", {"msg": "no route to host"})
LOOKED: Event = ("ok", "rosey.nats.bus_health_info", {"checks": []})
NOT_WELL: Event = ("failed", "ansible.builtin.assert", {"msg": "it is not well"})


def problem(*events: Event) -> str | None:
    """Give why the host was not looked at, as the callback tells it after these events."""
    manager = SimpleNamespace(
        extra_vars={"health_output": "json"}, get_vars=lambda play: {"ansible_play_hosts_all": ["here"]}
    )
    play = SimpleNamespace(get_variable_manager=lambda: manager)
    callback = CallbackModule()
    callback.v2_playbook_on_start(SimpleNamespace(get_plays=lambda: [play]))
    callback._out = io.StringIO()
    callback.v2_playbook_on_play_start(play)
    for kind, action, result in events:
        task = SimpleNamespace(action=action, resolved_action=action)
        host = SimpleNamespace(get_name=lambda: "here")
        getattr(callback, f"v2_runner_on_{kind}")(SimpleNamespace(_host=host, _task=task, _result=result))
    with pytest.raises(SystemExit):
        sys.exit(0)
    (told,) = json.loads(callback._out.getvalue())["hosts"]
    found: str | None = told["problem"]
    return found


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((FAULT,), "commands..new has an empty token"),
        ((FAULT, NO_SUDO), "a password is required"),
        ((FAULT, GONE, NOT_WELL), "can't be reached: no route to host"),
        ((FAULT, LOOKED, NOT_WELL), None),
        ((), "was not looked at, since a step before failed"),
    ],
)
def test_the_reason_is_what_kept_the_host_from_being_looked_at(
    monkeypatch: pytest.MonkeyPatch, events: tuple[Event, ...], expected: str | None
) -> None:
    # both are taken by the callback, and given back at the end
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO()))
    monkeypatch.setattr(sys, "exit", sys.exit)
    assert problem(*events) == expected
