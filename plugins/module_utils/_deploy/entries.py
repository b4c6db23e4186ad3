# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that take a described tree: from the controller, or from a release that the host itself keeps."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values

from ansible_collections.rosey.nats.plugins.module_utils._deploy import described, release, usable
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file
from ansible_collections.rosey.nats.plugins.module_utils._host.tree import spec

_ENTRIES: dict[str, t.Any] = {"type": "list", "elements": "dict", "options": spec.ENTRY_SPEC}

# What a module takes that is given one tree, either way.
SPEC: dict[str, dict[str, t.Any]] = {
    "entries": _ENTRIES,
    "release": {
        "type": "dict",
        "options": {
            "release_dir": {"type": "path", "required": True},
            "id": {"type": "str", "required": True},
            "parts": {"type": "list", "elements": "str", "required": True, "choices": list(release.PARTS)},
        },
    },
}

# What a module takes that is given the parts of a release.
PARTS_SPEC: dict[str, t.Any] = {
    "type": "list",
    "elements": "dict",
    "options": {
        "name": {"type": "str", "required": True, "choices": list(release.PARTS)},
        "settings": {"type": "dict", "default": {}},
        "entries": {**_ENTRIES, "required": True},
    },
}


class EntriesModule(AnsibleModule):
    """A module that takes entries, as SPEC or PARTS_SPEC has them.

    AnsibleModule logs a list as Python would write it, in which a secret of several lines is no longer the text that it
    knows to hide. So the host's journal gets the paths alone. Entries of a release are read on the host, into
    params["entries"], and what is secret of them is hidden likewise.
    """

    # Whether the entries are as they have to be; AnsibleModule itself reports where they are not.
    _were_read = False

    def __init__(self, **arguments: t.Any) -> None:
        if "release" in arguments["argument_spec"] and "entries" in arguments["argument_spec"]:
            arguments |= {"mutually_exclusive": [("entries", "release")], "required_one_of": [("entries", "release")]}
        super().__init__(**arguments)
        if "entries" in self.params and self.params["entries"] is None:
            self._read_release(self.params["release"])
        self._were_read = True
        # Variables that came as one text are only known to it as a whole.
        self.no_log_values.update(secrets_of(_described(self.params)))

    def _read_release(self, given: Mapping[str, t.Any]) -> None:
        try:
            self.params["entries"] = taken(
                given["id"], recorded(Path(given["release_dir"]), given["id"], given["parts"])
            )
        except atomic_file.ReleaseError as error:
            self.fail_json(msg=str(error), touched=False)

    def _log_invocation(self) -> None:
        what = self._paths()
        if "entries" in self.params and self.params["entries"] is None:
            what = [f"release {self.params['release']['id']}"]
        self.log(f"Invoked for {', '.join(what) or 'nothing that is described'}")

    def _return_formatted(self, kwargs: dict[str, t.Any]) -> None:
        # What it was given is shown at -vvv; the files of a thousand plugins would go all the way back for that.
        rest = {name: value for name, value in self.params.items() if name not in ("entries", "parts")}
        kwargs["invocation"] = {"module_args": {**rest, "paths": self._paths() if self._were_read else "not valid"}}
        super()._return_formatted(kwargs)

    def _paths(self) -> list[str]:
        return [entry["path"] for entry in _described(self.params)]


def taken(identity: str, entries: Sequence[Mapping[str, t.Any]]) -> list[Mapping[str, t.Any]]:
    """Give entries of a release with defaults for what is not recorded; ReleaseError. Secrets are not in its words."""
    # The validator that AnsibleModule itself uses.
    checked = ArgumentSpecValidator({"entries": _ENTRIES}).validate({"entries": [*entries]})
    if checked.error_messages:
        raise atomic_file.ReleaseError(
            remove_values(
                f"release: {identity} {usable.NOT_TAKEN}: {checked.errors.msg} Use the version that recorded it, or "
                "choose another release.",
                checked._no_log_values,
            )
        )
    found: list[Mapping[str, t.Any]] = checked.validated_parameters["entries"]
    return found


def secrets_of(entries: Iterable[Mapping[str, t.Any]]) -> set[str]:
    """Give what is secret of entries, and is to be hidden wherever it appears."""
    values = [
        value
        for entry in entries
        for value in (entry.get("secret_content"), *(entry.get("secret_variables") or {}).values())
    ]
    return {value for value in values if isinstance(value, str) and value}


def recorded(directory: Path, identity: str, parts: Sequence[str]) -> list[Mapping[str, t.Any]]:
    """Give the entries of some parts of a release, or of what a run described; ReleaseError."""
    record = described.find(directory, identity) or release.Store(directory).read(identity)
    for name in parts:
        if name not in record.parts:
            raise atomic_file.ReleaseError(
                f"release.parts: {name}: release {identity} has no such part; expected one of "
                f"{', '.join(record.parts)}."
            )
    return [entry for name in parts for entry in record.parts[name].entries]


def _described(params: Mapping[str, t.Any]) -> Iterator[Mapping[str, t.Any]]:
    """Give every entry that a module was given."""
    yield from params.get("entries") or []
    for part in params.get("parts") or []:
        yield from part["entries"]


def no_way_back(known: Mapping[str, t.Any]) -> tuple[str, ...]:
    """Give what is to be warned of before a change that can't be taken back. known: as known.observe has it."""
    why = known["no_way_back"]
    return (f"{why}. A deployment that fails after its first change stays as it is then.",) if why else ()
