# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that a service of systemd is made of: its unit, and the drop-ins that are laid over it.

systemd.unit(5) has where they are and how they are read.
"""

from __future__ import annotations

import os
import re
import shlex
import typing as t
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._host import system

# Where units and drop-ins are looked for; of two files of one name the first counts.
_DIRECTORIES = (
    "etc/systemd/system.control",
    "run/systemd/system.control",
    "run/systemd/transient",
    "run/systemd/generator.early",
    "etc/systemd/system",
    "etc/systemd/system.attached",
    "run/systemd/system",
    "run/systemd/system.attached",
    "run/systemd/generator",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
    "run/systemd/generator.late",
)
_COMMENTS = ("#", ";")
_SERVICE = ".service"
_SERVICE_NAME = re.compile(r"[A-Za-z0-9:_.\\@-]+")
_OTHER_KINDS = frozenset(
    {"socket", "device", "mount", "automount", "swap", "target", "path", "timer", "slice", "scope"}
)
# Of all settings these add up; an empty one takes away what came before.
_LISTS = frozenset({"ExecStart", "ExecReload", "ReadWritePaths", "InaccessiblePaths", "TemporaryFileSystem"})


@dataclass(frozen=True)
class Setting:
    """One line of a unit, such as User=nats. file: where it stands."""

    section: str
    name: str
    value: str
    file: str = ""

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


@dataclass(frozen=True)
class Files:
    """What a service is made of on a host. unit: of its unit's file. masked: that file, where it masks the unit."""

    unit: tuple[Setting, ...] = ()
    drop_ins: tuple[Setting, ...] = ()
    masked: str = ""


@dataclass(frozen=True)
class Override:
    """A setting of a unit that drop-ins give another value. meant, found: as the unit has it, and with the drop-ins.

    by: the settings of the drop-ins that do so.
    """

    name: str
    meant: str
    found: str
    by: tuple[Setting, ...]


def directories(root: Path = Path("/")) -> tuple[Path, ...]:
    """Give where units are looked for on a host."""
    return tuple(root / each for each in _DIRECTORIES)


def is_unit(path: str) -> bool:
    """Tell whether a file is the unit of a service."""
    return path.endswith(_SERVICE)


def service_name(name: str) -> str:
    """Give the name of a service without .service, with which it may be written; ValueError. Empty stands for none."""
    short = name.removesuffix(_SERVICE)
    kind = short.rpartition(".")[2] if "." in short else ""
    if name and (not _SERVICE_NAME.fullmatch(short) or kind in _OTHER_KINDS):
        raise ValueError(
            f"the service is called {name!r}; expected letters, digits and :-_.\\@ alone, with or without .service. "
            "Correct it."
        )
    return short


def with_service_names(params: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Give a module's options with each `service` as service_name has it, also those of its suboptions; ValueError."""
    return {name: _with_service_name(name, given) for name, given in params.items()}


def _with_service_name(name: str, option: t.Any) -> t.Any:
    if isinstance(option, dict):
        return with_service_names(option)
    return service_name(option) if name == "service" and option else option


def parse(text: str, file: str = "") -> tuple[Setting, ...]:
    """Read a unit or a drop-in. What is no setting is left out, as systemd does."""
    return tuple(_settings(text, file))


def _settings(text: str, file: str) -> Iterator[Setting]:
    section, begun = "", ""
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith(_COMMENTS) or not (bare or begun):
            continue
        whole = f"{begun}{bare}"
        if whole.endswith("\\"):
            begun = f"{whole[:-1]} "
            continue
        begun = ""
        name, equals, value = whole.partition("=")
        if whole.startswith("["):
            section = whole.strip("[]")
        elif equals:
            yield Setting(section, name.strip(), value.strip(), file)


def values(settings: Iterable[Setting], name: str, section: str = "Service") -> tuple[str, ...]:
    """Give the values of a setting that count: of a list all since the last empty one, of any other the last."""
    kept: list[str] = []
    for setting in settings:
        if (setting.section, setting.name) == (section, name):
            kept = [*(kept if name in _LISTS and setting.value else []), *filter(None, [setting.value])]
    return tuple(kept)


def value(settings: Iterable[Setting], name: str, section: str = "Service") -> str:
    """Give the value of a setting that counts; empty where there is none."""
    return " ".join(values(settings, name, section))


def overrides(unit: Sequence[Setting], drop_ins: Sequence[Setting], names: Iterable[str]) -> Iterator[Override]:
    """Name those of the service's settings that drop-ins change."""
    for name in names:
        meant, found = value(unit, name), value([*unit, *drop_ins], name)
        if meant.split() != found.split():
            by = [each for each in drop_ins if (each.section, each.name) == ("Service", name)]
            yield Override(name, meant, found, tuple([each for each in by if each.value] or by))


def look(service: str, root: Path = Path("/")) -> Files:
    """Read what a service is made of; OSError. root: of the host."""
    file = _find(service, root)
    masked = str(file) if file and _is_mask(file) else ""
    return Files(_read([file] if file and not masked else []), _read(_drop_ins(service, root)), masked)


def _find(service: str, root: Path) -> Path | None:
    found = (root / directory / f"{service}.service" for directory in _DIRECTORIES)
    return next((path for path in found if os.path.lexists(path)), None)


def _is_mask(path: Path) -> bool:
    return os.path.realpath(path) == os.devnull or (path.is_file() and path.stat().st_size == 0)


def _drop_ins(service: str, root: Path) -> tuple[Path, ...]:
    """Give the drop-ins of a service in the order in which they are laid over its unit."""
    by_name: dict[str, Path] = {}
    for name in _drop_in_names(f"{service}.service"):
        for directory in _DIRECTORIES:
            directory_of_unit = root / directory / name
            for path in directory_of_unit.glob("*.conf") if directory_of_unit.is_dir() else ():
                by_name.setdefault(path.name, path)
    # one that is a link to /dev/null takes away what has the same name elsewhere; /lib is a link on most hosts
    return tuple(path for _name, path in sorted(by_name.items()) if not _is_mask(path))


def _drop_in_names(unit: str) -> Iterator[str]:
    """Name the directories of a unit's drop-ins: its own, those of all units that begin like it, that of its type."""
    yield f"{unit}.d"
    stem, _dot, kind = unit.rpartition(".")
    parts = stem.split("-")
    for length in range(len(parts) - 1, 0, -1):
        yield f"{'-'.join(parts[:length])}-.{kind}.d"
    yield f"{kind}.d"


def _read(paths: Iterable[Path]) -> tuple[Setting, ...]:
    return tuple(setting for path in paths for setting in parse(_text(path), str(path)))


def _text(path: Path) -> str:
    """Give what a file says; nothing where it is none, or only root may read it and nobody else has to."""
    try:
        return system.read_text(path, "replace")
    except OSError:
        return ""


def quoted(word: str) -> str:
    """Write a path or another word as a unit has it, where it has nothing that systemd would read in another way."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"' if escaped != word or " " in word or "'" in word else word


def argument(word: str) -> str:
    """Write a word of a command line as ExecStart= has it."""
    return quoted(word).replace("$", "$$")


def unquoted(words: str) -> tuple[str, ...]:
    """Read the words of a setting as systemd does; one whose quotes don't match is taken as it stands."""
    try:
        found = shlex.split(words)
    except ValueError:
        found = words.split()
    return tuple(word.replace("%%", "%") for word in found)
