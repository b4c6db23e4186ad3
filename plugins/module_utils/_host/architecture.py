# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The architectures that a program is built for, and why one is not executed."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._host import system

ELF_HEADER = 20  # bytes
_ELF_BITS = {1: 32, 2: 64}


@dataclass(frozen=True)
class Architecture:
    """One architecture that nats-server is released for.

    name: as the release's files name it. machines: as `uname -m` names it. goarch, goarm: as Go names it.
    elf: (bits, machine number) of its executables' header, see elf(5).
    """

    name: str
    machines: tuple[str, ...]
    goarch: str
    elf: tuple[int, int]
    goarm: str = ""


ARCHITECTURES = (
    Architecture("amd64", ("x86_64",), "amd64", (64, 62)),
    Architecture("arm64", ("aarch64",), "arm64", (64, 183)),
    Architecture("arm7", ("armv7l", "armv8l"), "arm", (32, 40), goarm="7"),
    Architecture("arm6", ("armv6l",), "arm", (32, 40), goarm="6"),
    Architecture("386", ("i386", "i686"), "386", (32, 3)),
)


def built_for(binary: Path) -> tuple[str, ...]:
    """Give the names of the architectures whose executable this is; none for what is no ELF file of a supported one."""
    with system.opened(binary) as stream:
        return built_for_header(stream.read(ELF_HEADER))


def built_for_header(header: bytes) -> tuple[str, ...]:
    """Do the same with the ELF_HEADER bytes that the executable begins with."""
    if len(header) < ELF_HEADER or not header.startswith(b"\x7fELF"):
        return ()
    # The byte at 4 is the class, those at 18 the machine; every supported one is little-endian.
    found = (_ELF_BITS.get(header[4], 0), int.from_bytes(header[18:20], "little"))
    return tuple(each.name for each in ARCHITECTURES if each.elf == found)


def why_not_executed(binary: Path, error: OSError) -> str:
    """Say why the system refused to execute the binary."""
    if error.errno == errno.ENOEXEC:
        made_for = " or ".join(built_for(binary)) or "no architecture that is known here"
        return f"{binary} is built for {made_for}, this machine is {os.uname().machine}"
    if error.errno == errno.EACCES:
        return f"{binary} may not be executed: its mode, or the file system is mounted noexec"
    return f"{binary} can't be executed: {error.strerror}"
