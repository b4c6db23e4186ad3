# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter released_archive."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from pathlib import Path

from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.module_utils._host import architecture
from ansible_collections.rosey.nats.plugins.module_utils._server import archive, programs


def released_archive(
    path: t.Any, version: t.Any, checksums: t.Any, program: str = programs.NATS_SERVER.name
) -> dict[str, list[str]]:
    """Look at an archive on the controller: what is wrong with it, a sentence each, and the architectures it is for."""
    if program not in programs.PROGRAMS:
        raise AnsibleFilterError(
            f"released_archive: program is {program}; expected one of {', '.join(programs.PROGRAMS)}"
        )
    if isinstance(checksums, str):
        checksums = {version: {each.name: checksums for each in architecture.ARCHITECTURES}}
    if not isinstance(checksums, Mapping) or not all(isinstance(each, Mapping) for each in checksums.values()):
        raise AnsibleFilterError(
            "released_archive: expected a checksum, or a mapping of version to those per architecture"
        )
    sums = {str(each): {str(name): str(text) for name, text in given.items()} for each, given in checksums.items()}
    try:
        found = archive.architectures_of(Path(path), str(version), sums, programs.PROGRAMS[program])
    except programs.ArchiveError as error:
        return {"problems": [str(error)], "architectures": []}
    return {"problems": [], "architectures": list(found)}


class FilterModule:
    """Make the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Give the filter by its name."""
        return {"released_archive": released_archive}
