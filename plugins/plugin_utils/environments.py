# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environments that there are: those of the guide, and what the variable bot_config_environments adds to them."""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._server import subjects

OPTION = "bot_config_environments"
# How directories in one of this name are called says whose inventories they hold.
INVENTORIES = "inventories"
_KEYS = ("prefix", "after", "inventories")
# It is also the name of a directory on the host.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
# What begins with these is the server's and its clients' own.
_RESERVED = ("$", "_")


@dataclass(frozen=True)
class Environment:
    """prefix: of its subjects. inventories: how directories of its inventories are called, besides by its name."""

    prefix: str
    inventories: tuple[str, ...] = ()


class EnvironmentsError(ValueError):
    """What is wrong with bot_config_environments, as a whole sentence."""


def known(declared: t.Any) -> dict[str, Environment]:
    """Give all environments in the order in which a change goes through them, by their names; EnvironmentsError.

    declared: the value of bot_config_environments, a mapping of names to entries.
    """
    if not isinstance(declared, Mapping):
        raise EnvironmentsError(
            f"{OPTION} is {_shown(declared)}; expected a mapping of names to entries. Write, say, {_example('qa')}."
        )
    environments = {name: Environment(prefix) for name, prefix in subjects.PREFIXES.items()}
    followers: dict[str, str] = {}
    for name, entry in declared.items():
        _check_entry(name, entry)
        if name in environments:
            environments[name] = _laid_over(environments[name], name, entry)
        else:
            environments = _with(environments, followers, name, entry)
    for fault in _clashes(environments):
        raise EnvironmentsError(f"{OPTION}: {fault}")
    return environments


def merged(values: Iterable[Mapping[str, t.Any]]) -> dict[str, t.Any]:
    """Put together what the inventories of several hosts say in bot_config_environments; EnvironmentsError."""
    entries: dict[str, t.Any] = {}
    for each in values:
        for name, given_entry in each.items():
            # where the hosts of an environment stand, each of its inventories says for itself
            entry = {key: value for key, value in given_entry.items() if key != "inventories"}
            if entries.setdefault(name, entry) != entry:
                raise EnvironmentsError(
                    f"{OPTION}: {name} is {_shown(entries[name])} in one inventory and {_shown(entry)} in another; "
                    "expected the same in all that are given. Correct one of them."
                )
    return entries


def unknown(name: t.Any, environments: Mapping[str, Environment]) -> str:
    """Say that an environment is none of these, and where to add one; empty where it is one."""
    if isinstance(name, str) and name in environments:
        return ""
    added = name if isinstance(name, str) and _NAME.fullmatch(name) else "qa"
    return (
        f"the environment {_shown(name)} is unknown; expected one of {', '.join(environments)}. Take one of these, or "
        f"add it to {OPTION} in the group_vars of its own group, such as group_vars/{added}: {_example(added)}."
    )


def problem(name: t.Any, declared: t.Any, inventory: str | None) -> str:
    """Say what keeps a host from being one of an environment, as a sentence; empty where nothing does.

    name, declared: the values of bot_config_environment and bot_config_environments. inventory: the file that the host
    stands in, None where it is in none.
    """
    try:
        environments = known(declared)
    except EnvironmentsError as error:
        return f"{error} Nothing was touched."
    fault = unknown(name, environments)
    if fault:
        return f"bot_config_environment: {fault} Nothing was touched."
    fault = _misplacement(name, environments, Path(inventory)) if inventory else ""
    return f"bot_config_environment is {_shown(name)}, but {fault} Nothing was touched." if fault else ""


def _misplacement(name: str, environments: Mapping[str, Environment], inventory: Path) -> str:
    """Say that the directory of an inventory is not one of this environment; empty where it may be.

    A file counts like a directory where it is called after an environment.
    Where it has no name of an environment, it may be called anything, but among inventories that are told apart by
    their directories: a copy of one may have kept the environment of what it was copied from.
    """
    directory = inventory.parent
    above, below = directory.parts[:-1], directory.parts[-1:]
    is_one_of_several = INVENTORIES in above
    if is_one_of_several:
        below = directory.parts[len(above) - above[::-1].index(INVENTORIES) :]
    names = {owner: {owner, *each.inventories} for owner, each in environments.items()}
    nearest = directory
    if any(inventory.stem in own for own in names.values()):
        below, nearest = (*below, inventory.stem), inventory
    others = [other for other, own in names.items() if other != name and own & {*below}]
    if others:
        return (
            f"the host stands in the inventory of {others[0]}, {nearest}; expected {others[0]}. A bot that took "
            "another environment's prefix would hear and send its messages. Remove the setting, or take the inventory "
            "that is meant."
        )
    if names[name] & {*below}:
        return ""
    is_one_of_several |= any((directory.parent / other / inventory.name).is_file() for other in names)
    if not is_one_of_several:
        return ""
    return (
        f"the host stands in the inventory {directory}, among those of other environments; expected a directory called "
        f"{name}. Where {below[-1]} is an environment of its own, set bot_config_environment to it, and add it to "
        f"{OPTION}; where it is {name} as well, say so in the group_vars of a group that its hosts alone are in, since "
        f"those of all count for the hosts of each inventory that is given: {OPTION}: "
        f"{json.dumps({name: {'inventories': [below[-1]]}})}."
    )


def _check_entry(name: t.Any, entry: t.Any) -> None:
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise EnvironmentsError(
            f"{OPTION}: {_shown(name)} is no name of an environment; expected letters, digits, - and _, since "
            "directories are called so. Correct it."
        )
    if not isinstance(entry, Mapping) or not {*entry} <= {*_KEYS}:
        raise EnvironmentsError(
            f"{OPTION}: {name} is {_shown(entry)}; expected a mapping with {', '.join(_KEYS)}, such as "
            f"{_example(name)}. Correct it."
        )
    inventories = entry.get("inventories", [])
    if not isinstance(inventories, list) or not all(isinstance(each, str) and each for each in inventories):
        raise EnvironmentsError(
            f"{OPTION}: {name}: inventories is {_shown(inventories)}; expected a list of names of directories. "
            "Correct it."
        )


def _laid_over(environment: Environment, name: str, entry: Mapping[str, t.Any]) -> Environment:
    if "after" in entry:
        raise EnvironmentsError(
            f"{OPTION}: {name}: after is {_shown(entry['after'])}; expected none, since {name} has its place in the "
            "order. Remove it."
        )
    prefix = _prefix(name, entry["prefix"]) if "prefix" in entry else environment.prefix
    return replace(environment, prefix=prefix, inventories=tuple(entry.get("inventories", [])))


def _with(
    environments: Mapping[str, Environment], followers: dict[str, str], name: str, entry: Mapping[str, t.Any]
) -> dict[str, Environment]:
    """Add an environment behind the one that it comes after."""
    after = entry.get("after")
    if not isinstance(after, str) or after not in environments:
        raise EnvironmentsError(
            f"{OPTION}: {name}: after is {_shown(after)}; expected the environment whose changes it takes next, one of "
            f"{', '.join(environments)}. Correct it."
        )
    if after in followers:
        raise EnvironmentsError(
            f"{OPTION}: {followers[after]} and {name} both come after {after}; expected one after the other. Let "
            f"{name} come after {followers[after]}, or the other way round."
        )
    followers[after] = name
    environment = Environment(_prefix(name, entry.get("prefix")), tuple(entry.get("inventories", [])))
    ordered: dict[str, Environment] = {}
    for other, value in environments.items():
        ordered[other] = value
        if other == after:
            ordered[name] = environment
    return ordered


def _prefix(name: str, prefix: t.Any) -> str:
    if not (
        isinstance(prefix, str)
        and subjects.is_literal(prefix)
        and not prefix.startswith(_RESERVED)
        and prefix.partition(subjects.SEPARATOR)[0] not in subjects.ROOTS
    ):
        raise EnvironmentsError(
            f"{OPTION}: {name}: prefix is {_shown(prefix)}; expected what its subjects begin with, such as "
            f"rosey.{name}: tokens without wildcards, of which the first begins with neither $ nor _ and is none of "
            f"{', '.join(subjects.ROOTS)}. Correct it."
        )
    return prefix


def _clashes(environments: Mapping[str, Environment]) -> Iterator[str]:
    """Name environments whose messages, or whose inventories, could not be told apart."""
    for name, environment in environments.items():
        for other, their in environments.items():
            if name == other:
                continue
            if subjects.relative(f"{environment.prefix}{subjects.SEPARATOR}", their.prefix) is not None:
                yield (
                    f"the prefix of {name}, {environment.prefix}, lies on that of {other}, {their.prefix}; expected "
                    "one of its own, so that none hears the other's messages. Correct it."
                )
            shared = {name, *environment.inventories} & {*their.inventories}
            if shared:
                yield (
                    f"{other}: inventories has {', '.join(sorted(shared))}, which belongs to {name}; expected each "
                    "directory with one environment. Correct it."
                )


def _example(name: str) -> str:
    last = [*subjects.PREFIXES][-2]
    return f"{OPTION}: {json.dumps({name: {'prefix': f'rosey.{name}', 'after': last}})}"


def _shown(value: t.Any) -> str:
    return json.dumps(value, default=str)
