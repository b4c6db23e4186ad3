# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a run does nothing of what it was asked: Ansible ends well without such a host, tag, task or inventory."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

# What Ansible itself gives a meaning. Of these, --tags may have the first and, where there are tags, the second.
_ALL, _TAGGED = "all", "tagged"
_TAGS_OF_ANSIBLE = frozenset({_ALL, _TAGGED, "always", "never", "untagged"})
_GROUPS_OF_ANSIBLE = frozenset({"all", "ungrouped"})
# Where Ansible looks if no inventory is given: nobody asked for it.
_DEFAULT_INVENTORY = "/etc/ansible/hosts"
_NOTHING_DONE = "Nothing was done."
_ALIKE = 0.5
_VERY_MUCH_ALIKE = 0.8
_MOST_NAMES = 20


def inventory_problem(sources: Iterable[str], read: Collection[str]) -> str:
    """Say which inventory is not there or can't be read; empty where there is none such.

    sources: as Ansible has them, with whole paths. read: the paths of the files that it has read.
    """
    for source in sources:
        # a list of hosts has a comma, and a source of another kind its own mark
        if "," in source or source.startswith("@") or source == _DEFAULT_INVENTORY:
            continue
        path = Path(source)
        if not path.exists():
            return f"The inventory {source} does not exist. {_NOTHING_DONE} Give one that does with -i."
        if path.is_file() and source not in read:
            return f"The inventory {source} can't be read; Ansible's warnings say why. {_NOTHING_DONE} Correct it."
    return ""


def tags_problem(given: Iterable[str], skipped: Iterable[str], known: Collection[str], playbook: str) -> str:
    """Say which tag is one of no task; empty where there is none such.

    given, skipped: what --tags and --skip-tags have; without them Ansible gives all, and none.
    """
    own = sorted({*known} - _TAGS_OF_ANSIBLE)
    wrong = [("--tags", tag) for tag in given if tag not in (*own, _ALL, *([_TAGGED] if own else []))]
    # one that skips nothing does no harm, and Molecule always gives some, but where another was meant
    wrong += [
        ("--skip-tags", tag) for tag in skipped if tag not in own and (tag in _TAGS_OF_ANSIBLE or _is_like(tag, own))
    ]
    if not wrong:
        return ""
    option, tag = wrong[0]
    if not own:
        return f"{option} {tag}: {playbook} has no tags. {_NOTHING_DONE} Run it without {option}."
    return (
        f"{option} {tag}: {playbook} has no such tag. {_NOTHING_DONE} {_advice(tag, own)}Its tags are {_listed(own)}."
    )


def hosts_problem(
    playbook: str, patterns: Sequence[str], limit: str | None, groups: Mapping[str, Sequence[str]]
) -> str:
    """Say why no host was there to do anything on.

    patterns: of the plays. limit: that of the run. groups: all of them, with their hosts, those beyond the limit as
    well.
    """
    pattern = ", ".join(dict.fromkeys(patterns))
    begin = f"{playbook}: no host matches {pattern}{f' within --limit {limit}' if limit else ''}. {_NOTHING_DONE}"
    own = {name: hosts for name, hosts in groups.items() if name not in _GROUPS_OF_ANSIBLE}
    hosts = sorted({host for each in groups.values() for host in each})
    if not hosts:
        return f"{begin} The inventory has no host. Give the inventory of your servers with -i."
    meant = sorted({host for each in patterns for host in own.get(each, ())})
    if limit and meant:
        return f"{begin} {_advice(limit, meant)}The hosts of {pattern} are {_listed(meant)}."
    advice = _advice(pattern, [*({*own, *hosts} - {*patterns})]) or f"Put your servers into {pattern}. "
    there = "; ".join(f"{name} ({_listed(each)})" for name, each in sorted(own.items()) if each)
    return f"{begin} {advice}The groups are {there}." if there else f"{begin} {advice}The hosts are {_listed(hosts)}."


def tasks_problem(playbook: str) -> str:
    """Say that hosts were there, and nothing to do on them."""
    return f"{playbook}: no task was run on any host. Look at what --tags, --skip-tags and --start-at-task leave of it."


def _advice(given: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(given, known, n=1, cutoff=_ALIKE)
    return f"Write {nearest[0]}, if that is meant. " if nearest else ""


def _is_like(given: str, known: Iterable[str]) -> bool:
    return bool(difflib.get_close_matches(given, known, n=1, cutoff=_VERY_MUCH_ALIKE))


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
