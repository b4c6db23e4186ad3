#!/usr/bin/python
# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nats_release
short_description: Let one deployment at a time be at work, and record what it has proven
version_added: 0.1.0
author: Rosey-Robot Team (@rosey-robot)
description:
  - Takes and gives back the lease of a host, which keeps a second deployment away as long as one is at work.
  - Records what a host has, secrets included, as a release to go back to. The files are readable by their owner alone,
    and each is whole or not there, whenever the host fails.
  - Taking or giving back the lease is no change, recording is one.
attributes:
  check_mode:
    description: Can run in check mode and predict the result without a change. The lease is not taken then.
    support: full
  diff_mode:
    description: Has no diff, since a release holds secrets.
    support: none
options:
  release_dir:
    description: The directory that holds the releases and the lease. It is made with the mode V(0700).
    type: path
    required: true
  state:
    description:
      - V(begun) takes the lease for O(claim), and waits until no module of an earlier run is at work any more. It fails
        where another deployment holds the lease.
      - V(recorded) records O(parts) as a release, lets it be the current one and gives the lease back. Where the
        current release has recorded the same, nothing is written.
      - V(current) lets the release O(release) be the current one, as after going back to it, and gives the lease back.
      - V(ended) gives the lease back. A lease that another deployment holds stays.
    type: str
    required: true
    choices: [begun, recorded, current, ended]
  claim:
    description: Who asks, as the filter P(rosey.nats.lease_claim#filter) gives it.
    type: dict
    required: true
    suboptions:
      controller:
        description: The machine that runs the deployment, a hyphen, and its boot.
        type: str
        required: true
      pid:
        description: The number of its process.
        type: int
        required: true
      started:
        description: What tells that process from a later one with the same number.
        type: str
        required: true
      user:
        description: Who runs it, as others are told.
        type: str
        default: ""
      gone:
        description: The holder's process, where it was of the same machine and runs no more. Its lease is taken over.
        type: dict
        suboptions:
          pid:
            description: The number of the process.
            type: int
            required: true
          started:
            description: What tells it from a later one.
            type: str
            required: true
  sequence:
    description: With O(state=begun), the sequence of the lease when the host was looked at.
    type: int
    default: 0
  lease_seconds:
    description: With O(state=begun), how long the lease keeps others away when it is not given back.
    type: int
    default: 1800
  take_over:
    description: With O(state=begun), whether the lease is taken although another deployment holds it.
    type: bool
    default: false
  idle_seconds:
    description: With O(state=begun), how long to wait for a module of an earlier run that is still at work.
    type: int
    default: 60
  monitoring_url:
    description:
      - With O(state=begun), the monitoring endpoint of the server that runs. It is asked for its streams. They are kept
        in O(release_dir), so that it can be proven in the end that they are still there.
    type: str
  data:
    description:
      - With O(state=begun), the directory C(jetstream) of the server's C(store_dir), which is read where no server
        answers.
    type: path
  anew:
    description:
      - With O(state=begun), whether to forget what the deployment has seen of JetStream so far, and to look anew.
        Without it, what a run has seen that was cut off goes on.
    type: bool
    default: false
  described:
    description:
      - The id of what the run has described, as M(rosey.nats.bus_plan) gives it. With O(state=begun), what other runs
        have described is taken away; where the lease is refused, this is.
      - With O(state=recorded), its parts O(proven) are recorded, in place of O(parts).
    type: str
  proven:
    description: The parts of O(described) that are recorded.
    type: list
    elements: str
    choices: [server, bot, plugins]
    default: []
  plan:
    description: With O(state=recorded), what the deployment did and why, a text each.
    type: list
    elements: str
    default: []
  gates:
    description: With O(state=recorded), what was proven, a text each.
    type: list
    elements: str
    default: []
  keep:
    description:
      - With O(state=recorded), how many releases are kept.
      - The current one and the one before it are always kept.
    type: int
    default: 10
  drops:
    description:
      - With O(state=recorded), the parts of the release before that this one does not have, unless they are among
        O(parts), since the host no longer has them, or nobody has proven them together with these.
    type: list
    elements: str
    choices: [server, bot, plugins]
    default: []
  release:
    description: With O(state=current), the id of the release. An empty text means none.
    type: str
extends_documentation_fragment:
  - rosey.nats.entries.parts
  - rosey.nats.entries.origin
seealso:
  - module: rosey.nats.nats_release_info
  - module: rosey.nats.config_tree
  - plugin: rosey.nats.lease_claim
    plugin_type: filter
  - plugin: rosey.nats.release_origin
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Look at the releases and the lease
  rosey.nats.nats_release_info:
    release_dir: /var/lib/rosey-nats
  register: found

- name: Keep other deployments away
  rosey.nats.nats_release:
    release_dir: /var/lib/rosey-nats
    state: begun
    claim: "{{ found.lease | rosey.nats.lease_claim }}"
    sequence: "{{ found.sequence }}"

- name: Record what was deployed and proven
  rosey.nats.nats_release:
    release_dir: /var/lib/rosey-nats
    state: recorded
    claim: "{{ found.lease | rosey.nats.lease_claim }}"
    parts:
      - name: server
        settings:
          version: 2.10.7
        entries:
          - path: /etc/nats/nats-server.conf
            state: file
            secret_content: "{{ nats_server_config | rosey.nats.to_nats_conf }}"
    gates: [33 of 34 options proven]
"""

RETURN = r"""
lease:
  description: The lease that was taken, or would be in check mode.
  returned: with O(state=begun)
  type: dict
  contains:
    run:
      description: What names the run that holds it.
      returned: always
      type: str
    controller:
      description: The machine that runs the deployment, and its boot.
      returned: always
      type: str
    pid:
      description: The number of its process.
      returned: always
      type: int
    started:
      description: What tells that process from a later one.
      returned: always
      type: str
    user:
      description: Who runs it, empty where that run did not tell.
      returned: always
      type: str
    since:
      description: When it was taken, ISO 8601 in UTC.
      returned: always
      type: str
    expires:
      description: Until when it keeps others away, ISO 8601 in UTC.
      returned: always
      type: str
    sequence:
      description: How many leases the host has given, with this one.
      returned: always
      type: int
holder:
  description: The lease of the deployment that is at work, with the keys of RV(lease).
  returned: where O(state=begun) is refused because of it
  type: dict
taken_over:
  description: Whether it replaces the lease of another deployment that has not given it back.
  returned: with O(state=begun)
  type: bool
stale:
  description: Whether somebody may have changed the host since O(sequence) was looked at. Then look again.
  returned: with O(state=begun)
  type: bool
waited:
  description: Whether a module of an earlier run was still at work, and has ended by now.
  returned: with O(state=begun)
  type: bool
release:
  description: The id of the current release, null in check mode where it would be a new one, and where there is none.
  returned: with O(state=recorded) and O(state=current)
  type: str
  sample: 20260131T120000Z-3f2a9c
pruned:
  description: The ids of the releases that were taken away.
  returned: with O(state=recorded)
  type: list
  elements: str
dropped:
  description: The parts of the release before that this one does not have, by O(drops).
  returned: with O(state=recorded)
  type: list
  elements: str
ended:
  description: Whether the lease was held by O(claim) and was given back, or would be.
  returned: with O(state=recorded), O(state=current) and O(state=ended)
  type: bool
"""

from ansible_collections.rosey.nats.plugins.module_utils._host import python

python.check()

import typing as t
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._data import asset_record, asset_watch
from ansible_collections.rosey.nats.plugins.module_utils._deploy import described, entries, history, lease, release
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file


def begin(given: Mapping[str, t.Any], claim: lease.Claim, check_mode: bool) -> dict[str, t.Any]:
    """Take the lease and wait for those who are still at work; ReleaseError."""
    directory = Path(given["release_dir"])
    asked = {
        "seen_sequence": given["sequence"],
        "seconds": given["lease_seconds"],
        "may_take_over": given["take_over"],
        "now": datetime.now(timezone.utc),
    }
    release.Store(directory).check_places(asset_record.WRITTEN)
    if check_mode:
        acquired, idle = lease.decide(lease.look(directory), claim, **asked), lease.Idle(waited=False, ended=True)
    else:
        release.Store(directory).try_out()
        try:
            acquired = lease.acquire(directory, claim, **asked)
        except atomic_file.ReleaseError:
            if given["described"]:
                described.forget_one(directory, given["described"])
            raise
        described.forget(directory, but=given["described"] or "")
        # another run that has ended since takes what waits with it, and may have changed the host
        is_forgotten = bool(given["described"]) and described.find(directory, given["described"]) is None
        acquired = replace(acquired, stale=acquired.stale or is_forgotten)
        idle = lease.wait_idle(directory, given["idle_seconds"])
    if not check_mode and idle.ended:
        observed = asset_watch.look(given["monitoring_url"], Path(given["data"]) if given["data"] else None)
        try:
            asset_record.Book(directory).begin(observed, anew=given["anew"])
        except atomic_file.ReleaseError:
            lease.end(directory, claim)
            raise
    if not idle.ended:
        lease.end(directory, claim)
        raise atomic_file.ReleaseError(
            f"A module of an earlier deployment is still at work on this host after {given['idle_seconds']} s. "
            f"Nothing was touched; see with `fuser -v {directory / lease.LOCK}` which one, wait for it or end it, and "
            "run again."
        )
    return {
        "lease": asdict(acquired.lease),
        "taken_over": acquired.taken_over,
        "stale": acquired.stale or idle.waited,
        "waited": idle.waited,
    }


def parts_of(given: Mapping[str, t.Any]) -> dict[str, release.Part]:
    """Give the parts to be recorded: those that were given, or of what the run has described those that are proven."""
    if given["parts"] is not None:
        return {part["name"]: release.Part(part["settings"], part["entries"]) for part in given["parts"]}
    found = described.find(Path(given["release_dir"]), given["described"])
    if found is None:
        raise atomic_file.ReleaseError(
            f"described: {given['described']} is not there any more, so that what was applied can't be recorded. Run "
            "again."
        )
    unknown = [name for name in given["proven"] if name not in found.parts]
    if unknown:
        raise atomic_file.ReleaseError(
            f"proven: {', '.join(unknown)} was not described; expected of {', '.join(found.parts)}. Correct it."
        )
    return {name: found.parts[name] for name in given["proven"]}


def record(given: Mapping[str, t.Any], claim: lease.Claim, check_mode: bool) -> dict[str, t.Any]:
    """Record the parts as the current release; ReleaseError."""
    store = release.Store(Path(given["release_dir"]))
    parts = parts_of(given)
    if check_mode:
        written = store.rehearse(parts, keep=given["keep"], drops=given["drops"])
    else:
        lease.check_held(lease.look(store.directory), claim)
        written = store.write(
            parts,
            controller=claim.controller,
            plan=given["plan"],
            gates=given["gates"],
            keep=given["keep"],
            now=datetime.now(timezone.utc),
            drops=given["drops"],
            origin=history.origin_of(given["origin"]),
        )
    return {
        "changed": written.changed,
        "release": written.release,
        "pruned": list(written.pruned),
        "dropped": list(written.dropped),
        **end(given, claim, check_mode),
    }


def point(given: Mapping[str, t.Any], claim: lease.Claim, check_mode: bool) -> dict[str, t.Any]:
    """Let a release be the current one, or none; ReleaseError."""
    store = release.Store(Path(given["release_dir"]))
    if not check_mode:
        lease.check_held(lease.look(store.directory), claim)
    wanted = given["release"] or None
    changed = store.set_current(
        wanted, rehearse=check_mode, controller=claim.controller, origin=history.origin_of(given["origin"])
    )
    return {"changed": changed, "release": wanted, **end(given, claim, check_mode)}


def end(given: Mapping[str, t.Any], claim: lease.Claim, check_mode: bool) -> dict[str, t.Any]:
    """Give the lease back; ReleaseError."""
    directory = Path(given["release_dir"])
    if check_mode:
        return {"ended": lease.holds(lease.look(directory), claim)}
    if lease.holds(lease.look(directory), claim):
        asset_record.Book(directory).end()
        described.forget(directory)
    return {"ended": lease.end(directory, claim)}


_DOINGS = {"begun": begin, "recorded": record, "current": point, "ended": end}


def main() -> None:
    """Run the module."""
    module = entries.EntriesModule(
        argument_spec={
            "release_dir": {"type": "path", "required": True},
            "state": {"type": "str", "required": True, "choices": ["begun", "recorded", "current", "ended"]},
            "claim": {
                "type": "dict",
                "required": True,
                "options": {
                    "controller": {"type": "str", "required": True},
                    "pid": {"type": "int", "required": True},
                    "started": {"type": "str", "required": True},
                    "user": {"type": "str", "default": ""},
                    "gone": {
                        "type": "dict",
                        "options": {
                            "pid": {"type": "int", "required": True},
                            "started": {"type": "str", "required": True},
                        },
                    },
                },
            },
            "sequence": {"type": "int", "default": 0},
            "lease_seconds": {"type": "int", "default": 1800},
            "take_over": {"type": "bool", "default": False},
            "idle_seconds": {"type": "int", "default": 60},
            "monitoring_url": {"type": "str"},
            "data": {"type": "path"},
            "anew": {"type": "bool", "default": False},
            "parts": entries.PARTS_SPEC,
            "described": {"type": "str"},
            "proven": {"type": "list", "elements": "str", "choices": list(release.PARTS), "default": []},
            "plan": {"type": "list", "elements": "str", "default": []},
            "gates": {"type": "list", "elements": "str", "default": []},
            "keep": {"type": "int", "default": release.KEEP},
            "drops": {"type": "list", "elements": "str", "choices": list(release.PARTS), "default": []},
            "release": {"type": "str"},
            "origin": history.ARGUMENT,
        },
        required_if=[("state", "recorded", ["parts", "described"], True), ("state", "current", ["release"])],
        supports_check_mode=True,
    )
    try:
        claim = lease.claim(module.params["claim"])
        result = _DOINGS[module.params["state"]](module.params, claim, module.check_mode)
    except lease.HeldError as error:
        module.fail_json(msg=str(error), holder=asdict(error.holder))
    except atomic_file.ReleaseError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**{"changed": False, **result})


if __name__ == "__main__":
    main()
