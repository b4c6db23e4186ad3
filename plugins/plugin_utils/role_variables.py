# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables that the roles have. Ansible says nothing of one that no role has: its value would just not count."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from ansible.module_utils.common.yaml import yaml_load

_ROLES = Path(__file__).parents[2] / "roles"
# A variable of a user's own may begin with the name of a role, and is then like none of the role's.
_ALIKE = 0.8


@cache
def known(role: str) -> frozenset[str]:
    """Name what a role takes and what it makes."""
    home = _ROLES / role
    names: set[str] = set()
    for entry in yaml_load((home / "meta" / "argument_specs.yml").read_bytes())["argument_specs"].values():
        names |= {*entry.get("options", {})}
    for kind in ("defaults", "vars"):
        path = home / kind / "main.yml"
        names |= {*yaml_load(path.read_bytes())} if path.exists() else set()
    return frozenset(names)


@cache
def roles() -> tuple[str, ...]:
    """Name the roles of the collection."""
    return tuple(sorted(path.name for path in _ROLES.iterdir()))


def misspelled(names: Iterable[str]) -> list[str]:
    """Say which names are of no variable of a role, but begin with its name and are much like one."""
    return [
        f"{name} is no variable of the role {role}, so that it would not count; nothing was touched. Write {nearest}, "
        "or give a variable of your own another name."
        for name in sorted({*names})
        for role in roles()
        if name.startswith(f"{role}_") and name not in known(role) and (nearest := _nearest(name, role))
    ]


def _nearest(name: str, role: str) -> str | None:
    """Give the variable of a role that a name is much like, apart from what the names of all of them begin with."""
    prefix = f"{role}_"
    own = [each.removeprefix(prefix) for each in known(role) if each.startswith(prefix)]
    found = difflib.get_close_matches(name.removeprefix(prefix), own, n=1, cutoff=_ALIKE)
    return f"{prefix}{found[0]}" if found else None
