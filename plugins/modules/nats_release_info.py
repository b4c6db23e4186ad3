#!/usr/bin/python
# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nats_release_info
short_description: List the releases that a host keeps
version_added: 0.1.0
author: Rosey-Robot Team (@rosey-robot)
description:
  - Lists what was deployed to a host and proven, the newest first, and says who is at work. Changes nothing.
  - What a release has in its files is never returned.
attributes:
  check_mode:
    description: Only looks, in check mode as well.
    support: full
  diff_mode:
    description: Changes nothing.
    support: none
options:
  release_dir:
    description: The directory of M(rosey.nats.nats_release). It need not be there.
    type: path
    required: true
  select:
    description:
      - A release to be looked up, by its id. The module fails where there is none, or it can't be gone back to.
      - V(current) is the one that the host has. V(previous) is the one before it, or the newest where there is none.
      - A date, a time and a zone, such as V(2026-11-29T14:00:00Z), name the one that the host had then.
      - The name of a run names the one that the host came to have by it.
    type: str
  choose:
    description: The same, but what speaks against it is returned in RV(chosen).
    type: str
  beside:
    description: With O(select), paths that a deployment has written, or may have.
    type: list
    elements: path
    default: []
seealso:
  - module: rosey.nats.nats_release
"""

EXAMPLES = r"""
- name: Find the release to go back to
  rosey.nats.nats_release_info:
    release_dir: /var/lib/rosey-nats
    select: previous
  register: found

- name: Show it
  ansible.builtin.debug:
    msg: "{{ found.selected.id }} of {{ found.selected.time }}"
"""

RETURN = r"""
releases:
  description: The releases, the newest first.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: What names it.
      returned: always
      type: str
      sample: 20260131T120000Z-3f2a9c
    time:
      description: When its gate had passed, ISO 8601 in UTC.
      returned: always
      type: str
    controller:
      description: The machine that deployed it, and its boot.
      returned: always
      type: str
    run:
      description: The name of the run that deployed it, empty where that was not kept.
      returned: always
      type: str
      sample: deploy-4711
    user:
      description: Who started that run, likewise.
      returned: always
      type: str
    commit:
      description: >-
        The commit of its inventory, with a plus behind it where something of it was not committed; empty where there
        was none.
      returned: always
      type: str
    deployed:
      description: All of that in a line.
      returned: always
      type: str
      sample: deploy-4711, by alice, from ops, inventory 4f2c0d1e9a77
    ways_back:
      description: When and by whom the host was taken back to it, a line each.
      returned: always
      type: list
      elements: str
    version:
      description: The version of nats-server, null where it is not known.
      returned: always
      type: str
    plan:
      description: What the deployment did and why.
      returned: always
      type: list
      elements: str
    gates:
      description: What was proven.
      returned: always
      type: list
      elements: str
    parts:
      description: The names of its parts, of V(server) and V(bot).
      returned: always
      type: list
      elements: str
    current:
      description: Whether the host has it.
      returned: always
      type: bool
    obstacle:
      description: Why it can't be gone back to, empty where it can.
      returned: always
      type: str
damaged:
  description: The files that are damaged, each with C(name) and C(reason). They are left out of account.
  returned: success
  type: list
  elements: dict
current:
  description: The id of the current release, null where there is none.
  returned: success
  type: str
lease:
  description: The lease of the deployment that is at work, as M(rosey.nats.nats_release) returns it, or null.
  returned: success
  type: dict
sequence:
  description: How many leases the host has given.
  returned: success
  type: int
selected:
  description: The release that O(select) names, with C(id), C(time) and the C(settings) by the name of the part.
  returned: when O(select) is given
  type: dict
chosen:
  description:
    - The release that O(choose) names, with its C(release), C(time) and C(run), of which each is empty where there is
      none.
    - C(is_current) says whether the host has it already. C(problem) says why it can't go there, empty where it can.
  returned: when O(choose) is given
  type: dict
left_behind:
  description:
    - What stands on the host of the paths in O(beside) and is none of the selected release. A directory is named only
      where nothing in it is.
  returned: when O(select) is given
  type: list
  elements: str
"""

from ansible_collections.rosey.nats.plugins.module_utils._host import python

python.check()

import os
import typing as t
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rosey.nats.plugins.module_utils._deploy import history, lease, release
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file


def look(
    directory: Path, select: str | None, beside: Sequence[str] = (), choose: str | None = None
) -> dict[str, t.Any]:
    """Give the module's result; ReleaseError."""
    store = release.Store(directory)
    found = store.listing()
    looked = lease.look(directory)
    damaged = [asdict(item) for item in found.damaged]
    if looked.damage:
        damaged.append({"name": lease.NAME, "reason": looked.damage})
    result: dict[str, t.Any] = {
        "releases": [_describe(record, found) for record in found.records],
        "damaged": damaged,
        "current": found.current.id if found.current else None,
        "lease": asdict(looked.holder) if looked.holder else None,
        "sequence": looked.sequence,
    }
    if choose is not None:
        result["chosen"] = _choice(store, choose)
    if select is not None:
        record = store.select_usable(select)
        result["selected"] = {"id": record.id, "time": record.time, "settings": record.settings(directory)}
        result["left_behind"] = release.left_behind(record, [path for path in beside if os.path.lexists(path)])
    return result


def _choice(store: release.Store, wanted: str) -> dict[str, t.Any]:
    """Give what a host would go back to, or why it can't."""
    try:
        record = store.select_usable(wanted)
    except atomic_file.ReleaseError as error:
        why = str(error).removeprefix("rollback_to: ")
        return {"release": "", "time": "", "run": "", "is_current": False, "problem": why}
    return {
        "release": record.id,
        "time": record.time,
        "run": record.origin.run,
        "is_current": record.id == store.listing().pointer,
        "problem": "",
    }


def _describe(record: release.Record, found: release.Listing) -> dict[str, t.Any]:
    server = record.parts.get("server")
    return {
        "id": record.id,
        "time": record.time,
        "controller": record.controller,
        "run": record.origin.run,
        "user": record.origin.user,
        "commit": record.origin.commit,
        "deployed": history.told(record.origin, record.controller),
        "ways_back": [
            f"{turn.time}, {history.told(turn.origin, turn.controller)}"
            for turn in found.ways_back
            if turn.release == record.id
        ],
        "version": server.settings.get("version") if server else None,
        "plan": list(record.plan),
        "gates": list(record.gates),
        "parts": list(record.parts),
        "current": record == found.current,
        "obstacle": record.obstacle,
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "release_dir": {"type": "path", "required": True},
            "select": {"type": "str"},
            "beside": {"type": "list", "elements": "path", "default": []},
            "choose": {"type": "str"},
        },
        supports_check_mode=True,
    )
    try:
        given = module.params
        result = look(Path(given["release_dir"]), given["select"], given["beside"], given["choose"])
    except atomic_file.ReleaseError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
