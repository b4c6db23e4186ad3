# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A path that a program is told to use, and what has to be there before it starts."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from ansible_collections.rosey.nats.plugins.module_utils._host.python import StrEnum

# Of these, a device or a process decides who may open what is in them.
_OF_THE_KERNEL = ("/dev/", "/proc/", "/sys/")


class Need(StrEnum):
    """What has to be on the host for an option that names a path."""

    FILE = "a file that the server can read"
    DIRECTORY = "a directory that the server can write to"
    PARENT = "a directory around it that the server can write to"


@dataclass(frozen=True)
class NeededPath:
    """One path that a program is told to use.

    option: what tells it, such as a dotted path. path: the value. need: what has to be there before the program starts.
    own: the part of a directory that the program made itself and writes to again, "" for all of it.
    """

    option: str
    path: str
    need: Need
    own: str = ""

    @property
    def required(self) -> str:
        """The path that has to be on the host. A relative one begins at the root, where the program is started."""
        path = posixpath.join("/", self.path)
        return posixpath.dirname(path) if self.need is Need.PARENT else path

    @property
    def is_of_the_kernel(self) -> bool:
        """Whether it is a device, or another file that is none of a disk."""
        return posixpath.join("/", self.path).startswith(_OF_THE_KERNEL)

    @property
    def kept(self) -> str | None:
        """What the program made, and writes to again: a file, or a directory with all below it; None for none."""
        path = posixpath.join("/", self.path)
        if self.own:
            return posixpath.join(path, self.own)
        return path if self.need is Need.PARENT else None
