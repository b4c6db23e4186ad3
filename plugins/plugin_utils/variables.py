# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables that count. Ansible says nothing of one that nothing reads: its value would just not count."""

from __future__ import annotations

import difflib
import typing as t
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ansible.module_utils.common.yaml import yaml_load


@dataclass(frozen=True)
class _Kind:
    """A kind of value, and how one is written as JSON."""

    name: str
    example: str


# What was called otherwise in 0.1.0. meta/runtime.yml has the modules and filters.
RENAMED: Mapping[str, str] = {
    "bot_plugins_overlays": "bot_plugins_overrides",
    "diagnosis_release_directory": "diagnosis_release_dir",
    "health_release_directory": "health_release_dir",
    "nats_monitoring_textfile_directory": "nats_monitoring_textfile_dir",
    "nats_server_archive_cache": "nats_server_cache_dir",
    "nats_server_told": "nats_server_summary",
    "nats_server_url": "nats_server_archive_url",
    "release_directory": "release_dir",
    "release_told": "release_summary",
    "rosey_soak_seconds": "rosey_watch_seconds",
}
# Names that anybody's inventory may have for something else: they were of the playbooks as extra variables only.
RENAMED_EXTRA: Mapping[str, str] = {
    "picture": "contract_picture",
    "report": "rosey_report",
    "symptom": "diagnose_symptom",
}
# What playbooks take, by what the names begin with: the playbook's own name, or rosey where several take it.
OF_PLAYBOOKS: Mapping[str, frozenset[str]] = {
    "contract": frozenset({"contract_picture"}),
    "diagnose": frozenset({"diagnose_symptom"}),
    "migrate": frozenset({"migrate_stages"}),
    "remove": frozenset({"remove_bot", "remove_data", "remove_hosts"}),
    "rollback": frozenset({"rollback_stop_nats", "rollback_to"}),
    "rosey": frozenset({"rosey_hosts", "rosey_report", "rosey_run", "rosey_serial", "rosey_watch_seconds"}),
}
_ROLES = Path(__file__).parents[2] / "roles"
_KINDS = {"dict": _Kind("a mapping", "{...}"), "list": _Kind("a list", "[...]")}
# A variable of a user's own may begin with the name of a role, and is then like none of the role's.
_ALIKE = 0.8
# An extra variable that does not even begin like one of ours.
_VERY_MUCH_ALIKE = 0.9


@cache
def of_role(role: str) -> frozenset[str]:
    """Name what a role takes and what it makes."""
    home = _ROLES / role
    names = {*_options(role)}
    for kind in ("defaults", "vars"):
        path = home / kind / "main.yml"
        names |= {*yaml_load(path.read_bytes())} if path.exists() else set()
    return frozenset(names)


@cache
def _options(role: str) -> Mapping[str, Mapping[str, t.Any]]:
    """Give what a role takes, as its specification has it."""
    entries = yaml_load((_ROLES / role / "meta" / "argument_specs.yml").read_bytes())["argument_specs"].values()
    return {name: option for entry in entries for name, option in entry.get("options", {}).items()}


@cache
def roles() -> tuple[str, ...]:
    """Name the roles of the collection."""
    return tuple(sorted(path.name for path in _ROLES.iterdir()))


def wrong_kinds(role: str, given: Mapping[str, t.Any]) -> list[str]:
    """Say which variables of a role are text, or nothing, where it takes a list or a mapping.

    given: variables as they are written. What has a template in it may give anything, and is let be.
    """
    return [
        f"{name} is {found}; expected {_KINDS[kind].name}, and nothing was touched. Write it into a YAML file of the "
        f"inventory, or give it as JSON: -e '{{\"{name}\": {_KINDS[kind].example}}}'."
        for name, option in sorted(_options(role).items())
        if name in given and (kind := option.get("type")) in _KINDS and (found := _not_structured(given[name]))
    ]


def _not_structured(value: t.Any) -> str:
    """Say what a value is that is no list and no mapping; empty for what may be one."""
    if value is None:
        return "null"
    is_template = isinstance(value, str) and any(mark in value for mark in ("{{", "{%", "{#"))
    return "text" if isinstance(value, str) and not is_template else ""


def unknown(names: Iterable[str], extra: Iterable[str] = ()) -> list[str]:
    """Say which names are of no variable that counts, but were of one once, or are much like one.

    extra: the names of the extra variables of the run, of which also the first letters may be wrong.
    """
    renamed = {name: RENAMED[name] for name in names if name in RENAMED}
    renamed |= {name: RENAMED_EXTRA[name] for name in extra if name in RENAMED_EXTRA}
    return [
        *(
            f"{name} is called {new} by now, so that it would not count; nothing was touched. Write {new}."
            for name, new in sorted(renamed.items())
        ),
        *(
            f"{name} is no variable of {whose}, so that it would not count; nothing was touched. Write {nearest}, or "
            "give a variable of your own another name."
            for name in sorted({*names} - {*renamed})
            for whose, prefix, known in _takers()
            if name.startswith(prefix) and name not in known and (nearest := _nearest(name, prefix, known))
        ),
        *(
            f"{name} is no variable of the playbooks or their roles, so that it would not count; nothing was touched. "
            f"Write {alike[0]}, or give a variable of your own another name."
            for name in sorted({*extra} - {*renamed})
            if not any(name.startswith(prefix) for _whose, prefix, _known in _takers())
            and (alike := difflib.get_close_matches(name, _all_names(), n=1, cutoff=_VERY_MUCH_ALIKE))
        ),
    ]


@cache
def _all_names() -> tuple[str, ...]:
    """Name every variable that anybody takes."""
    return tuple(sorted({name for _whose, prefix, known in _takers() for name in known if name.startswith(prefix)}))


def _takers() -> Iterable[tuple[str, str, frozenset[str]]]:
    """Give who takes variables, what the names of these begin with, and the names."""
    yield from ((f"the role {role}", f"{role}_", of_role(role)) for role in roles())
    yield from (("the playbooks", f"{prefix}_", names) for prefix, names in OF_PLAYBOOKS.items())


def _nearest(name: str, prefix: str, known: Iterable[str]) -> str | None:
    """Give the variable that a name is much like, apart from what the names of all of them begin with."""
    own = [each.removeprefix(prefix) for each in known if each.startswith(prefix)]
    found = difflib.get_close_matches(name.removeprefix(prefix), own, n=1, cutoff=_ALIKE)
    return f"{prefix}{found[0]}" if found else None
