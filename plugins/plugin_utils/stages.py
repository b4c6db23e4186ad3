# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way of a change through the environments: which hosts follow which."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.rosey.nats.plugins.plugin_utils.environments import Environment

OPTION = "migrate_stages"
_SIZE = re.compile(r"\d+|\d+(\.\d+)?%", re.ASCII)


class StagesError(ValueError):
    """Why a change can't go through these stages, as a whole sentence."""


@dataclass(frozen=True)
class Migration:
    """The stages with their hosts, in order. left_out: what is not migrated, a line each."""

    stages: Mapping[str, tuple[str, ...]]
    left_out: tuple[str, ...]

    @property
    def lines(self) -> list[str]:
        """Say it for a person."""
        hosts = (", ".join(each) for each in self.stages.values())
        return [*(f"{title}: {each}" for title, each in zip(self._titles, hosts, strict=True)), *self.left_out]

    @property
    def titles(self) -> dict[str, str]:
        """Give the title of each host's stage."""
        stages = zip(self._titles, self.stages.values(), strict=True)
        return {host: title for title, hosts in stages for host in hosts}

    @property
    def _titles(self) -> list[str]:
        return [f"{number} of {len(self.stages)}, {name}" for number, name in enumerate(self.stages, 1)]

    def batches(self, serial: t.Any) -> Iterator[tuple[str, ...]]:
        """Give the hosts that are deployed together; StagesError.

        serial: how many of a stage, a number or a share such as 25%; of several, the last one counts from there on.
        """
        given = serial if isinstance(serial, list) and serial else [serial]
        for hosts in self.stages.values():
            sizes = [_size(each, len(hosts)) for each in given]
            start = 0
            while start < len(hosts):
                size = sizes.pop(0) if len(sizes) > 1 else sizes[0]
                yield hosts[start : start + size]
                start += size


def plan(hosts: Mapping[str, str], environments: Mapping[str, Environment], meant: Sequence[str] | str) -> Migration:
    """Order the hosts by their environments; StagesError.

    hosts: the environment of each, which is one of these. meant: the names of the stages, also as one text with commas;
    none for all that have a host.
    """
    given = meant.split(",") if isinstance(meant, str) else meant
    wanted = [name for each in given if (name := str(each).strip())]
    stages = {name: tuple(host for host, own in hosts.items() if own == name) for name in environments}
    for name in wanted:
        if name not in stages:
            raise StagesError(f'{OPTION} has "{name}"; expected some of {", ".join(stages)}. Correct it.')
        if not stages[name]:
            raise StagesError(f"{OPTION} has {name}, of which no host is given. Give its inventory with -i.")
    present = [name for name in stages if stages[name]]
    if not present:
        raise StagesError("No host is given. Give the inventories of the stages with -i.")
    order = [*stages]
    before = order[: order.index(present[-1])]
    skipped = [name for name in before if not stages[name]]
    if skipped and not wanted:
        raise StagesError(
            f"{present[-1]} comes after {' and '.join(skipped)}, of which no host is given, so that a change would "
            f"come to it unproven. Give the inventory with -i; where these are all the stages that are meant, "
            f"-e {OPTION}={','.join(present)}."
        )
    return Migration(
        {name: stages[name] for name in order if name in (wanted or present)},
        tuple(
            f"not migrated: {name}, "
            + (f"which {OPTION} does not have: {', '.join(own)}" if own else "of which no host is given")
            for name, own in stages.items()
            if name not in (wanted or present)
        ),
    )


def _size(serial: t.Any, hosts: int) -> int:
    """Give the size of a batch as Ansible's serial has it."""
    text = str(serial)
    if not _SIZE.fullmatch(text):
        raise StagesError(
            f"rosey_serial is {text}; expected so many hosts of a stage at a time, a number such as 1 or a share such "
            "as 25%, or a list of these. Correct it."
        )
    if text.endswith("%"):
        return max(1, int(float(text[:-1]) / 100 * hosts))
    return max(1, int(text))
