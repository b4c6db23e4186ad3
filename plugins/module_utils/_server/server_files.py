# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a running server may read and write what its configuration names: now, and when it is next started."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._host import access, process
from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Finding
from ansible_collections.rosey.nats.plugins.module_utils._host.needed_path import Need, NeededPath
from ansible_collections.rosey.nats.plugins.module_utils._host.system import Account
from ansible_collections.rosey.nats.plugins.module_utils._server import conf, conf_lexer, footprint


class UnseenError(Exception):
    """Why it can't be told, as half a sentence."""


def wanted(config_file: Path, environment: Mapping[str, str]) -> list[NeededPath]:
    """Name what a server with this configuration reads and writes, that and what it includes first; UnseenError."""
    read: list[Path] = [config_file]

    def include(name: str) -> str:
        read.append(Path(os.path.normpath(config_file.parent / name)))
        return read[-1].read_text(encoding="utf-8", errors="surrogateescape")

    named: list[NeededPath] = []
    try:
        text = config_file.read_text(encoding="utf-8", errors="surrogateescape")
        named += footprint.paths(conf.parse(text, variables=environment, include=include))
    except FileNotFoundError:
        pass  # it is among those that were to be read, and told as such
    except OSError as error:
        raise UnseenError(f"{read[-1]} can't be read: {error.strerror}") from error
    except (conf_lexer.ConfError, TypeError, ValueError) as error:
        raise UnseenError(f"{config_file} is no configuration that nats-server reads") from error
    files = (NeededPath("configuration", str(path), Need.FILE) for path in dict.fromkeys(read))
    return [*files, *named]


@dataclass(frozen=True)
class Look:
    """Who runs a server, and what keeps them from what it needs."""

    account: Account
    faults: Sequence[access.Fault]

    @property
    def findings(self) -> list[Finding]:
        """Give the faults as what a gate or a check finds."""
        return [
            Finding(
                each.option,
                f"{each.path} that {self.account.name} may use",
                f"{each.what}{each.seen and f'; {each.seen}'}",
                each.remedy,
            )
            for each in self.faults
        ]


def look(running: process.Process) -> Look:
    """Look as who runs a server; UnseenError."""
    account, config_file = process.account(running), process.config_file(running)
    if account is None or config_file is None:
        raise UnseenError(f"process {running.pid} tells neither its account nor its configuration")
    paths = wanted(config_file, process.environment(running))
    try:
        return Look(account, access.faults(paths, account))
    except OSError as error:
        raise UnseenError(f"{error.filename} can't be looked at: {error.strerror}") from error
