# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names and versions of what nats-server is released as."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.rosey.nats.plugins.module_utils._host.architecture import (
    ARCHITECTURES,
    Architecture,
)

EXECUTABLE = "nats-server"
MODULE = "github.com/nats-io/nats-server/v2"

_VERSION = re.compile(r"\d{1,9}\.\d{1,9}\.\d{1,9}(-[0-9A-Za-z][0-9A-Za-z.-]*)?")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ArchiveError(Exception):
    """What is wrong with an archive, a binary or a build, in words for the user."""


@dataclass(frozen=True)
class Program:
    """A program that is released in archives.

    name: of its executable, and of its releases. answer: what it says to --version. architectures: what its releases
    call an architecture where that is not the architecture's name here.
    """

    name: str
    answer: re.Pattern[str]
    architectures: Mapping[str, str] = field(default_factory=dict)


NATS_SERVER = Program(EXECUTABLE, re.compile(r"nats-server: v(\S+)"))
EXPORTER = Program(
    "prometheus-nats-exporter",
    re.compile(r"prometheus-nats-exporter version (\S+)"),
    {"amd64": "x86_64", "arm7": "armv7", "arm6": "armv6", "386": "i386"},
)
PROGRAMS = {program.name: program for program in (NATS_SERVER, EXPORTER)}


def find_architecture(text: str) -> Architecture:
    """Give the architecture that is called so by `uname -m` or by a release; ArchiveError lists the supported."""
    for architecture in ARCHITECTURES:
        if text == architecture.name or text in architecture.machines:
            return architecture
    supported = ", ".join(f"{each.name} ({', '.join(each.machines)})" for each in ARCHITECTURES)
    raise ArchiveError(f"architecture {text!r} is not supported; expected one of {supported}")


def is_version(text: str) -> bool:
    """Tell whether a text is a version, such as 2.10.7."""
    return bool(_VERSION.fullmatch(text))


def check_version(version: str, program: Program = NATS_SERVER) -> str:
    """Give the version back when it is one, such as 2.10.7; ArchiveError otherwise."""
    if not is_version(version):
        raise ArchiveError(
            f"version {version!r} is no version of {program.name}; expected one such as 2.10.7, without a v"
        )
    return version


def check_sha256(text: str) -> str:
    """Give the 64 hexadecimal digits of a checksum that may be written `sha256:...`; ArchiveError otherwise."""
    digits = text.strip().lower().removeprefix("sha256:")
    if not _SHA256.fullmatch(digits):
        raise ArchiveError(f"checksum {text!r} is no SHA-256; expected 64 hexadecimal digits")
    return digits


def release_stem(version: str, architecture: Architecture, program: Program = NATS_SERVER) -> str:
    """Give the name of a release without its suffix: the directory inside an archive of nats-server."""
    called = program.architectures.get(architecture.name, architecture.name)
    return f"{program.name}-v{check_version(version, program)}-linux-{called}"


def release_name(version: str, architecture: Architecture, program: Program = NATS_SERVER) -> str:
    """Give the file name of a release."""
    return f"{release_stem(version, architecture, program)}.tar.gz"
