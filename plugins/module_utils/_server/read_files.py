# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What another content of a file asks of a server that runs, whose configuration names the file."""

from __future__ import annotations

import posixpath
import typing as t
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ansible_collections.rosey.nats.plugins.module_utils._host.action import Action
from ansible_collections.rosey.nats.plugins.module_utils._host.needed_path import Need
from ansible_collections.rosey.nats.plugins.module_utils._server.options import lookup, reading

# By block and option. An included file is not here: what it says is compared as a part of the configuration.
TAKEN_UP: Mapping[tuple[str, str], Action] = {
    # opts.go, GenTLSConfig: read anew with the configuration, whatever block the tls is in. All listeners, and those
    # that connect to others (reload.go, applyOptions), take the new one for their next connection.
    ("tls", "cert_file"): Action.RELOAD,
    ("tls", "key_file"): Action.RELOAD,
    ("tls", "ca_file"): Action.RELOAD,
    # reload.go, diffOptions: it refuses other trusted operators
    ("top", "operator"): Action.RESTART,
    # leafnode.go, sendLeafConnect: read as a leafnode connects, and one that is connected stays who it was
    ("leafnodes.remote", "credentials"): Action.RESTART,
}
# What no option names may be read at the start alone, as what the unit's environment names is; only a new process has
# certainly read it.
UNNAMED = Action.RESTART
READER = "server"  # the word for the server in an entry


@dataclass(frozen=True)
class ReadFile:
    """A file that an option names. option: its dotted path. action: what another content asks for."""

    option: str
    path: str
    action: Action


def named(config: Mapping[str, t.Any]) -> Iterator[ReadFile]:
    """Name every file that a server with this configuration reads, in the order of the configuration.

    config: with what it includes. A path that a variable gives is left out.
    """
    for path, option, value in reading.leaves(reading.resolved(config)):
        if option.need is Need.FILE and isinstance(value, str) and value and not lookup.is_jwt(value):
            action = TAKEN_UP.get((option.block, option.name), UNNAMED)
            # a relative path begins where the server is started
            yield ReadFile(".".join(map(str, path)), posixpath.normpath(posixpath.join("/", value)), action)


def unnamed(path: str) -> ReadFile:
    """Give a file of which no option is known, only that the server reads it."""
    return ReadFile("file", path, UNNAMED)
