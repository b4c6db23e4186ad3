# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a release can be gone back to: what applying it needs, as the roles record it, part by part.

The roles' variables ``nats_server_settings``, ``bot_config_settings`` and ``bot_plugins_settings`` have these
settings. What has a default here was not recorded by every version, and the default is what those versions did.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from pathlib import Path

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.rosey.nats.plugins.module_utils._host.tree import spec

NOT_TAKEN = "holds what this version of the collection does not take"

_TEXT: dict[str, t.Any] = {"type": "str"}
_NEEDED: dict[str, t.Any] = {"type": "str", "required": True}
_YES_OR_NO: dict[str, t.Any] = {"type": "bool", "required": True}
_TEXTS: dict[str, t.Any] = {"type": "list", "elements": "str", "default": []}
_WAIT: dict[str, t.Any] = {"type": "int", "default": 30}
_SHOWN = 5
# of a server that stands alone, as requirements.stop() has it
_STOP = {"signal": "INT", "timeout": 90}

SETTINGS: dict[str, dict[str, t.Any]] = {
    "server": {
        "options": {
            "environment": _TEXT,
            "runtime": {**_NEEDED, "choices": ["systemd", "docker", "process"]},
            "version": _NEEDED,
            "service": _TEXT,
            "user": _TEXT,
            "group": _TEXT,
            "container": _TEXT,
            "image": _TEXT,
            "published_ports": _TEXTS,
            "become": _YES_OR_NO,
            "directory": _NEEDED,
            "link": _NEEDED,
            "config_dir": _TEXT,
            "config_file": _NEEDED,
            "pid_file": _TEXT,
            "data_dir": _TEXT,
            "copies": _TEXT,
            "monitoring_url": _TEXT,
            "tls": {"type": "dict", "default": {}},
            "cluster": {"type": "dict", "default": {}},
            "stop": {
                "type": "dict",
                "default": _STOP,
                "options": {"signal": _NEEDED, "timeout": {"type": "int", "required": True}},
            },
            "gate": {"type": "bool", "default": True},
            "gate_wait": _WAIT,
            "gate_soak": {"type": "int", "default": 3},
        },
        "required_if": [
            ("runtime", "systemd", ["service", "user", "group", "data_dir"]),
            ("runtime", "docker", ["container", "image", "config_dir", "data_dir"]),
            ("runtime", "process", ["pid_file"]),
            ("gate", True, ["monitoring_url"]),
        ],
    },
    "bot": {
        "options": {
            "home": _NEEDED,
            "environment": _NEEDED,
            "prefix": _TEXT,
            "mode": {**_NEEDED, "choices": ["nats", "legacy"]},
            "runtime": {**_NEEDED, "choices": ["systemd", "process"]},
            "service": {"type": "str", "default": ""},
            "command": _TEXTS,
            "pid_file": {"type": "str", "default": ""},
            "become": _YES_OR_NO,
            "owner": {"type": "str", "default": ""},
            "environment_file": _NEEDED,
            "servers": {"type": "list", "elements": "str", "required": True},
            "login": {"type": "dict", "default": {}},
            "client_name": {"type": "str", "default": ""},
            "health_url": _NEEDED,
            "required": _TEXTS,
            "monitoring_url": {"type": "str", "default": ""},
            "gate": {"type": "str", "default": "auto", "choices": ["auto", "always", "never"]},
            "gate_wait": _WAIT,
            "round_trip": {"type": "bool", "default": False},
            "round_trip_subject": {"type": "str", "default": ""},
            "round_trip_limit": {"type": "float", "default": 100},
            "python": {"type": "str", "default": ""},
        },
        "required_if": [("runtime", "systemd", ["service"]), ("runtime", "process", ["pid_file"])],
    },
    "plugins": {
        "options": {
            "plugins": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {"name": _NEEDED, "subscriptions": {"type": "list", "elements": "str", "required": True}},
            },
            "clients": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {"name": _NEEDED, "file": _NEEDED, "permissions": {"type": "dict", "required": True}},
            },
        },
    },
}
_PARTS = {
    name: {
        "type": "dict",
        "options": {
            "settings": {"type": "dict", "required": True, **settings},
            "entries": {"type": "list", "elements": "dict", "required": True, "options": spec.ENTRY_SPEC},
        },
    }
    for name, settings in SETTINGS.items()
}

Parts: t.TypeAlias = "Mapping[str, Mapping[str, t.Any]]"


def problem(parts: Parts) -> str:
    """Say why the parts of a release can't be applied, each with its settings and entries; empty where they can."""
    return _read(parts)[1]


def settings(parts: Parts, releases: Path) -> dict[str, dict[str, t.Any]]:
    """Give the settings of parts that can be applied, by the name of the part, with defaults for what is not recorded.

    releases: the directory that the release is kept in.
    """
    found = {name: dict(part["settings"]) for name, part in _read(parts)[0].items() if part}
    if "server" in found:
        found["server"]["copies"] = found["server"]["copies"] or str(releases / "stores")
    return found


def _read(parts: Parts) -> tuple[dict[str, t.Any], str]:
    wrong = [
        f"{part}.{name}: a mapping or a list; expected a text"
        for part, options in SETTINGS.items()
        for name, option in options["options"].items()
        if option["type"] == "str" and isinstance(_settings(parts.get(part)).get(name), (Mapping, list))
    ]
    # what is null was not recorded
    said = {name: {**part, "settings": _without_nulls(_settings(part))} for name, part in parts.items()}
    checked = ArgumentSpecValidator(_PARTS).validate(said)
    return checked.validated_parameters, "; ".join(list(dict.fromkeys([*wrong, *checked.error_messages]))[:_SHOWN])


def _settings(part: Mapping[str, t.Any] | None) -> Mapping[str, t.Any]:
    return part["settings"] if part else {}


def _without_nulls(values: Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {name: value for name, value in values.items() if value is not None}
