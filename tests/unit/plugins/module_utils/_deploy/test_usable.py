# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.rosey.nats.plugins.module_utils._deploy import usable
from ansible_collections.rosey.nats.plugins.module_utils._server import requirements
from ansible_collections.rosey.nats.tests import recorded

ROLES = Path(__file__).parents[5] / "roles"
WHOLE: dict[str, dict[str, Any]] = {"server": recorded.SERVER, "bot": recorded.BOT, "plugins": recorded.PLUGINS}
GONE = object()


def parts(part: str = "server", **changes: Any) -> dict[str, dict[str, Any]]:
    """Give a release of all parts, of which one has other settings, or lacks some."""
    found = {name: {"settings": settings, "entries": []} for name, settings in WHOLE.items()}
    changed = {**WHOLE.get(part, {}), **changes}
    changed = {name: value for name, value in changed.items() if value is not GONE}
    return {**found, part: {"settings": changed, "entries": []}}


@pytest.mark.parametrize(
    ("role", "variable", "part"),
    [
        ("nats_server", "nats_server_settings", "server"),
        ("bot_config", "bot_config_settings", "bot"),
        ("bot_plugins", "bot_plugins_settings", "plugins"),
    ],
)
def test_what_the_roles_record_is_what_is_taken(role: str, variable: str, part: str) -> None:
    described = yaml.safe_load((ROLES / role / "vars" / "main.yml").read_text())[variable]
    assert list(usable.SETTINGS[part]["options"]) == list(described) == list(WHOLE[part])


def test_what_is_whole_is_given_as_it_is(tmp_path: Path) -> None:
    assert usable.problem(parts()) == ""
    assert usable.settings(parts(), tmp_path) == WHOLE
    assert usable.settings({"bot": parts()["bot"]}, tmp_path) == {"bot": WHOLE["bot"]}


@pytest.mark.parametrize(
    ("part", "lacking", "meant"),
    [
        ("server", "stop", asdict(requirements.stop({}))),
        ("server", "environment", None),
        ("server", "copies", "/releases/stores"),
        ("server", "gate", True),
        ("server", "gate_soak", 3),
        ("bot", "prefix", None),
        ("bot", "round_trip", False),
        ("bot", "login", {}),
        ("bot", "required", []),
        ("plugins", "clients", []),
    ],
)
@pytest.mark.parametrize("absent", [GONE, None])
def test_what_an_older_version_did_not_record_is_known(part: str, lacking: str, meant: Any, absent: object) -> None:
    old = parts(part, **{lacking: absent})
    assert usable.problem(old) == ""
    assert usable.settings(old, Path("/releases"))[part][lacking] == meant


@pytest.mark.parametrize(
    ("part", "changes", "said"),
    [
        ("server", {"become": GONE}, "missing required arguments: become found in server -> settings"),
        ("server", {"version": None}, "missing required arguments: version"),
        ("server", {"become": "x"}, "The value 'x' is not a valid boolean"),
        ("server", {"stop": "INT"}, "argument 'stop' is of type"),
        (
            "server",
            {"stop": {"signal": "INT"}},
            "missing required arguments: timeout found in server -> settings -> stop",
        ),
        ("server", {"config_file": ["/c"]}, "server.config_file: a mapping or a list; expected a text"),
        ("server", {"runtime": 5}, "value of runtime must be one of"),
        ("server", {"gate_wait": "{{ 1 }}"}, "argument 'gate_wait' is of type"),
        ("server", {"pid_file": GONE}, "runtime is process but all of the following are missing: pid_file"),
        ("server", {"invented": 1}, "invented"),
        ("bot", {"login": [1]}, "argument 'login' is of type"),
        ("bot", {"servers": GONE}, "missing required arguments: servers"),
        ("plugins", {"plugins": [{"name": "quotes"}]}, "missing required arguments: subscriptions"),
        ("weird", {}, "weird"),
    ],
)
def test_what_can_not_be_applied_is_told(part: str, changes: dict[str, Any], said: str) -> None:
    assert said in usable.problem(parts(part, **changes))


@pytest.mark.parametrize("wrong", [{"state": "weird"}, {"invented": 1}])
def test_entries_are_read_too(wrong: dict[str, Any]) -> None:
    entry = {"path": "/a", "state": "file", **wrong}
    said = usable.problem({"server": {"settings": recorded.SERVER, "entries": [entry] * 9}})
    assert "server" in said
    assert "entries" in said
    assert set(wrong) & set(said.replace(".", " ").split())
