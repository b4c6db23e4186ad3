# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration with the files that it includes, as they are on a host or as they are meant to be."""

from __future__ import annotations

import errno
import os
import typing as t
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._host import system
from ansible_collections.rosey.nats.plugins.module_utils._host.tree import spec
from ansible_collections.rosey.nats.plugins.module_utils._server import conf, conf_lexer
from ansible_collections.rosey.nats.plugins.module_utils._server.options import reading

# The text of a file by its path, None of one that is not to be there. What is not in it is as the host has it.
Texts: t.TypeAlias = "Mapping[str, str | None]"
HOST: Texts = {}


def texts_of(described: Iterable[Mapping[str, t.Any]]) -> dict[str, str | None]:
    """Give what the files of a description hold."""
    absent = {entry["path"]: None for entry in described if entry["state"] == spec.State.ABSENT}
    files = (entry for entry in described if entry["state"] == spec.State.FILE)
    return {**absent, **{entry["path"]: entry.get("content") or entry.get("secret_content") or "" for entry in files}}


def resolved(
    config: Mapping[str, t.Any],
    config_file: str,
    texts: Texts,
    environments: Iterable[Mapping[str, str] | None] = (None,),
    included: list[str] | None = None,
) -> Mapping[str, t.Any]:
    """Give a configuration with what it includes, as it is where that can't be read.

    environments: of the server, the first that does. included: takes the paths of the files.
    """
    directory = Path(config_file).parent

    def include(name: str) -> str:
        path = os.path.normpath(directory / name)
        if included is not None:
            included.append(path)
        text = texts.get(path) if path in texts else system.read_text(Path(path))
        if text is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return text

    for variables in environments:
        try:
            return conf.parse(conf.render(config), variables=variables, include=include)
        except (OSError, ValueError, conf_lexer.ConfError):
            continue
    return config


@dataclass(frozen=True)
class Whole:
    """A configuration with what it includes.

    included: the paths of what it includes. is_known: whether all of that could be read.
    """

    config: dict[str, t.Any]
    included: tuple[str, ...] = ()
    is_known: bool = True


def whole_of(config: dict[str, t.Any], config_file: str, texts: Texts) -> Whole:
    """Give a configuration with what it includes. texts: of the files that go with it."""
    if not reading.has_include(config):
        return Whole(config)
    included: list[str] = []
    whole = dict(resolved(config, config_file, texts, included=included))
    return Whole(whole, tuple(dict.fromkeys(included)), not reading.has_include(whole))
