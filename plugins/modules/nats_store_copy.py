#!/usr/bin/python
# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nats_store_copy
short_description: Copy JetStream's store before a change that could cost what is in it, and bring that back
version_added: 0.1.0
author: Rosey-Robot Team (@rosey-robot)
description:
  - An older minor version of nats-server can silently lose messages that a newer one stored. A copy brings them back.
  - A copy is a directory of O(copies) with the data as the server kept it, and C(copy.json) with the facts. It takes
    its name only when it is whole and on the disk. What a run leaves that was cut off, the next one removes.
  - To bring streams back, see with V(compared) what is missing, stop the server, hand RV(missed) to V(restored), and
    start the server.
attributes:
  check_mode:
    description: >-
      Can run in check mode and predict the result without a change. The space is checked; that the store is in use is
      told and is no failure, since the server runs on.
    support: full
  diff_mode:
    description: Shows which copies there are, before and after.
    support: full
options:
  store:
    description:
      - The C(store_dir) of the server, an absolute path. The server keeps its data in C(jetstream) in it.
      - Required with O(state=copied) and O(state=restored).
    type: path
  copies:
    description:
      - The directory that holds the copies. It is made, for this user alone, where it is missing.
      - On the file system of O(store) a copy can take its place by a rename, and needs no space where that file system
        can share blocks between files.
    type: path
    required: true
  from_version:
    description:
      - The version that wrote the store.
      - Required with O(state=copied).
    type: str
  to_version:
    description:
      - The version that is to start on the store.
      - With O(state=reported), the version whose line is to be gone back to. RV(since) is about the newest copy of any
        line without it.
      - Required with O(state=copied).
    type: str
  keep:
    description:
      - How many copies to keep. The newest of each O(from_version) always stays, and so does the newest of the current
        release in O(release_dir) and of the one before.
    type: int
    default: 2
  release:
    description: With O(state=copied), the release of M(rosey.nats.nats_release) that the host leaves, if any.
    type: str
  copy:
    description:
      - The copy that is meant, as RV(copies[].path) names it.
      - Required with O(state=compared), O(state=restored) and O(state=served).
    type: path
  wait:
    description: With O(state=compared), the seconds that the server may take to be on.
    type: float
    default: 30.0
  missed:
    description:
      - The streams to be brought back, as RV(missed) gives them.
      - Required with O(state=restored).
    type: list
    elements: dict
    suboptions:
      account:
        description: The account.
        type: str
        required: true
      name:
        description: The name of the stream.
        type: str
        required: true
      found:
        description: What there is of it.
        type: str
  state:
    description:
      - V(compared) says which streams of O(copy) are missing by now, or have lost messages. One that has gone beyond
        the copy is none of these. Nothing is changed. The server at O(monitoring_url) is waited for until it has taken
        up its streams.
      - V(restored) puts the streams that O(missed) names from O(copy) into O(store). The server has to be stopped. What
        stands in their place is set aside, and the other streams stay as they are.
      - V(served) lets no later return come back to O(copy).
      - V(copied) copies the store, unless a copy that O(from_version) left already holds the same. The server has to be
        stopped.
      - V(reported) lists the copies and says what was written since. Nothing is changed.
    type: str
    choices: [copied, reported, compared, restored, served]
    default: copied
  streams:
    description:
      - The streams that the server has, or had before it was stopped, as RV(streams) gives them.
      - Without them a copy knows the names of its streams alone, and nobody can tell what was written since.
    type: list
    elements: dict
    suboptions:
      account:
        description: The account.
        type: str
        required: true
      name:
        description: The name of the stream.
        type: str
        required: true
      messages:
        description: How many messages it holds.
        type: int
      bytes:
        description: The bytes of these.
        type: int
      first_seq:
        description: The sequence number of the first one.
        type: int
      last_seq:
        description: The sequence number of the last one.
        type: int
  monitoring_url:
    description:
      - The monitoring endpoint to ask for O(streams), with O(state=reported) and O(state=compared).
      - Ask it before the stop, and hand RV(streams) to O(state=copied) after it.
    type: str
requirements:
  - requests (a Python library) on the host where the module runs, with O(monitoring_url)
extends_documentation_fragment:
  - rosey.nats.entries.working
seealso:
  - module: rosey.nats.nats_process
  - module: rosey.nats.nats_info
"""

EXAMPLES = r"""
- name: Ask what the server has
  rosey.nats.nats_store_copy:
    copies: /var/lib/rosey-nats/stores
    state: reported
    monitoring_url: http://127.0.0.1:8222
  register: before

- name: Stop the server
  ansible.builtin.systemd_service:
    name: nats
    state: stopped

- name: Copy its store
  rosey.nats.nats_store_copy:
    store: /var/lib/nats
    copies: /var/lib/rosey-nats/stores
    from_version: 2.10.7
    to_version: 2.9.25
    streams: "{{ before.streams }}"

- name: See what is missing of a copy
  rosey.nats.nats_store_copy:
    state: compared
    copies: /var/lib/rosey-nats/stores
    copy: /var/lib/rosey-nats/stores/2.10.7-20251118T100000Z
    monitoring_url: http://127.0.0.1:8222
  register: compared

- name: Bring it back, while the server is stopped
  rosey.nats.nats_store_copy:
    state: restored
    store: /var/lib/nats
    copies: /var/lib/rosey-nats/stores
    copy: /var/lib/rosey-nats/stores/2.10.7-20251118T100000Z
    missed: "{{ compared.missed }}"

- name: Say what going back to 2.10 would lose
  rosey.nats.nats_store_copy:
    copies: /var/lib/rosey-nats/stores
    to_version: 2.10.7
    state: reported
    monitoring_url: http://127.0.0.1:8222
"""

RETURN = r"""
action:
  description: What was done, or would be in check mode, V(copied) or V(none).
  returned: with O(state=copied)
  type: str
  sample: copied
reason:
  description: Why nothing is copied. Empty where something is.
  returned: with O(state=copied)
  type: str
  sample: /var/lib/nats/jetstream is not there, so there is nothing to copy
copy:
  description: The copy that was made or already holds the same, as in RV(copies). Null where there is none yet.
  returned: with O(state=copied)
  type: dict
bytes:
  description: What the store takes on its disk. Zero where nothing is copied.
  returned: with O(state=copied)
  type: int
  sample: 104857600
needed:
  description: The bytes that had to be free.
  returned: with O(state=copied)
  type: int
  sample: 171966464
free:
  description: The bytes that were free. Zero where nothing is copied.
  returned: with O(state=copied)
  type: int
  sample: 85899345920
reflink:
  description: Whether the copy shares the blocks of the store.
  returned: with O(state=copied)
  type: bool
users:
  description: Who has the store in use, in check mode.
  returned: with O(state=copied)
  type: list
  elements: str
  sample: ["nats-server (process 4711)"]
removed:
  description: What was removed, or would be in check mode, which are copies beyond O(keep) and what earlier runs left.
  returned: with O(state=copied)
  type: list
  elements: str
  sample: [/var/lib/rosey-nats/stores/2.9.24-20251118T100000Z]
copies:
  description: The copies, newest first.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Where it is.
      type: str
      sample: /var/lib/rosey-nats/stores/2.10.7-20251118T100000Z
    from_version:
      description: The version that wrote the store.
      type: str
      sample: 2.10.7
    to_version:
      description: The version that was to start on it.
      type: str
      sample: 2.9.25
    time:
      description: When it was made, ISO 8601 in UTC.
      type: str
      sample: "2025-11-18T10:00:00Z"
    files:
      description: How many files it has.
      type: int
      sample: 12
    bytes:
      description: The bytes of these files.
      type: int
      sample: 104857600
    streams:
      description: Its streams, with null for numbers that nobody told.
      type: list
      elements: dict
streams:
  description: The streams that the server has, as they were asked for or given.
  returned: with O(state=reported)
  type: list
  elements: dict
missed:
  description: The streams of O(copy) that are missing by now, or have lost messages.
  returned: with O(state=compared)
  type: list
  elements: dict
  contains:
    account: {description: The account., type: str, sample: $G}
    name: {description: The stream., type: str, sample: CHAT}
    found: {description: What there is of it., type: str, sample: "CHAT: none"}
aside:
  description: Where that stands now which the streams of the copy have replaced. Null where there was nothing.
  returned: with O(state=restored)
  type: str
  sample: /var/lib/nats/jetstream-replaced-20251118T100000Z
since:
  description: What became of the streams since the copy was made. Null without such a copy or without streams.
  returned: with O(state=reported) and O(state=restored)
  type: dict
  contains:
    path:
      description: Which copy it is about.
      type: str
      sample: /var/lib/rosey-nats/stores/2.10.7-20251118T100000Z
    lines:
      description: The same in one sentence for each stream that differs.
      type: list
      elements: str
      sample: ["CHAT: 17 messages written since the copy"]
    written:
      description: The streams that the copy has too. RV(since.written[].count) is null where it can't be known.
      type: list
      elements: dict
      contains:
        account:
          description: The account.
          type: str
          sample: $G
        name:
          description: The stream.
          type: str
          sample: CHAT
        count:
          description: How many messages it took that the copy lacks.
          type: int
          sample: 17
    new:
      description: The streams that the copy lacks.
      type: list
      elements: dict
    gone:
      description: The streams that only the copy has.
      type: list
      elements: dict
"""

from ansible_collections.rosey.nats.plugins.module_utils._host import python

python.check()

import typing as t
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.rosey.nats.plugins.module_utils._data import (
    asset_record,
    asset_watch,
    store,
    store_tree,
    store_users,
    version_line,
)
from ansible_collections.rosey.nats.plugins.module_utils._deploy import lease, release
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file
from ansible_collections.rosey.nats.plugins.module_utils._server import http_reader


def copied(given: Mapping[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    """Copy the store where no copy holds the same, and remove what is superfluous; StoreError."""
    source, copies = Path(given["store"]), Path(given["copies"]).absolute()
    if check_mode:
        return _copied(given, source, copies, check_mode=True)
    with lease.working(given["release_dir"]), store.opened(copies):
        return _copied(given, source, copies, check_mode=False)


def _copied(given: Mapping[str, t.Any], source: Path, copies: Path, *, check_mode: bool) -> dict[str, t.Any]:
    before, _damaged = store.list_copies(copies)
    left = store.leftovers(copies)
    if not check_mode:
        store.clear(left)
    found = store.plan(source, copies, given["from_version"])
    store.check(found, copies)
    made = found.present
    after = list(before)
    if not found.reason and not check_mode:
        store.check_unused(found, source)
        made = store.make(
            source,
            copies,
            found,
            from_version=given["from_version"],
            to_version=given["to_version"],
            streams=store.streams_of(given["streams"] or ()),
            release=given["release"],
            held=_noted(given).before,
        )
        after.insert(0, made)
    elif made and given["release"] and not check_mode:
        made = store.tie(made, given["release"], _noted(given).before)
    elif not found.reason:
        after.insert(0, store.foreseen(copies, found, given["from_version"], given["to_version"]))
    superfluous = store.superfluous(after, given["keep"], _needed(given))
    if not check_mode:
        store.remove(superfluous)
    after = [copy for copy in after if copy not in superfluous]
    removed = [*map(str, left), *(str(copy.path) for copy in superfluous)]
    return {
        "changed": bool(removed) or not found.reason,
        "action": "none" if found.reason else "copied",
        "reason": found.reason,
        "copy": made.as_result() if made else None,
        "bytes": found.bytes,
        "needed": found.needed if not found.reason else 0,
        "free": found.free,
        "reflink": found.reflink,
        "users": list(found.users),
        "removed": removed,
        "copies": [copy.as_result() for copy in after],
        "diff": {"before": _names(before), "after": _names(after)},
    }


def compared(given: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Say which streams of a copy are missing; StoreError."""
    copy, url = _copy_of(given), given["monitoring_url"]
    if not asset_watch.has_started(url, given["wait"]):
        raise store_tree.StoreError(
            f"{url}: the server has not taken up its streams within {given['wait']:g} seconds, so that nobody can tell "
            f"what is missing of {copy.path}; look at its log"
        )
    found = store.missed(copy, asset_watch.ask(url))
    return {
        "changed": False,
        "missed": [{"account": account, "name": name, "found": said} for (account, name), said in found.items()],
        "copies": [copy.as_result()],
    }


def restored(given: Mapping[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    """Bring streams of a copy back; StoreError, ReleaseError."""
    copy, source = _copy_of(given), Path(given["store"])
    keys = [(each["account"], each["name"]) for each in given["missed"]]
    observed = _noted(given).observed
    before = () if observed is None else store.streams_of_assets(observed)
    aside = None
    if not check_mode:
        with lease.working(given["release_dir"]):
            store.check_unused(store.Plan(users=store_users.users(source)), source)
            aside = store.bring_back(source, copy, keys)
    return {
        "changed": bool(keys),
        "aside": str(aside) if aside else None,
        "since": _since(copy, before),
        "copies": [copy.as_result()],
    }


def served(given: Mapping[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    """Let no later return come back to a copy; StoreError."""
    copy = _copy_of(given)
    changed = copy.release is not None
    if changed and not check_mode:
        copy = store.tie(copy, None, None)
    return {"changed": False, "copies": [copy.as_result()]}


def _copy_of(given: Mapping[str, t.Any]) -> store.Copy:
    found = next(
        (each for each in store.list_copies(Path(given["copies"]))[0] if str(each.path) == given["copy"]), None
    )
    if found is None:
        raise store_tree.StoreError(f"copy: {given['copy']} is no whole copy in {given['copies']}; name one of these")
    return found


def _needed(given: Mapping[str, t.Any]) -> list[str]:
    """Name the releases that the host may go back to next: the one that it leaves, and the one before."""
    if given["release_dir"] is None:
        return []
    found = release.Store(Path(given["release_dir"])).listing()
    return [record.id for record in (found.current, found.previous()) if record]


def _noted(given: Mapping[str, t.Any]) -> asset_record.Checkpoint:
    """Give what the deployment at work has seen; nothing where none is."""
    return (
        asset_record.Book(Path(given["release_dir"])).checkpoint()
        if given["release_dir"]
        else asset_record.Checkpoint()
    )


def reported(given: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """List the copies and say what was written since; MonitoringError, StoreError."""
    copies, _damaged = store.list_copies(Path(given["copies"]).absolute())
    streams: Sequence[store.Stream] | None = None
    if given["monitoring_url"]:
        streams = store.streams_of_assets(asset_watch.ask(given["monitoring_url"]))
    elif given["streams"] is not None:
        streams = store.streams_of(given["streams"])
    wanted = given["to_version"]
    copy = store.newest_of_line(copies, wanted) if wanted else next(iter(copies), None)
    return {
        "changed": False,
        "copies": [each.as_result() for each in copies],
        "streams": [asdict(stream) for stream in streams or ()],
        "since": _since(copy, streams) if copy and streams is not None else None,
    }


def _since(copy: store.Copy, streams: Sequence[store.Stream]) -> dict[str, t.Any]:
    found = store.since(copy, streams)
    return {
        "path": str(copy.path),
        "lines": list(found.lines),
        "written": [{"account": each.account, "name": each.name, "count": count} for each, count in found.written],
        "new": [asdict(stream) for stream in found.new],
        "gone": [asdict(stream) for stream in found.gone],
    }


def _names(copies: Sequence[store.Copy]) -> str:
    return "".join(f"{copy.path}\n" for copy in copies)


_DOINGS: dict[str, Callable[[Mapping[str, t.Any], bool], dict[str, t.Any]]] = {
    "copied": lambda given, check_mode: copied(given, check_mode=check_mode),
    "reported": lambda given, _check_mode: reported(given),
    "compared": lambda given, _check_mode: compared(given),
    "restored": lambda given, check_mode: restored(given, check_mode=check_mode),
    "served": lambda given, check_mode: served(given, check_mode=check_mode),
}


def fault(given: Mapping[str, t.Any]) -> str:
    """Say what is wrong with the parameters; empty when nothing is. StoreError for what is no version."""
    for name in ("from_version", "to_version"):
        if given[name] is not None:
            version_line.minor(given[name])
    if given["state"] in ("copied", "restored") and not Path(given["store"]).is_absolute():
        return (
            f"store is {given['store']!r}; expected an absolute path, the server's store_dir, since a store that is "
            "looked for elsewhere is not copied; give it"
        )
    if given["keep"] < 1:
        return f"keep is {given['keep']}; expected at least 1, for the copy that is made; correct it"
    if given["state"] == "copied" and given["monitoring_url"]:
        return (
            "monitoring_url is given with state copied; expected streams, since the server does not run then; ask it "
            "with state reported before its stop"
        )
    return ""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "store": {"type": "path"},
            "copies": {"type": "path", "required": True},
            "from_version": {"type": "str"},
            "to_version": {"type": "str"},
            "keep": {"type": "int", "default": 2},
            "state": {"type": "str", "choices": list(_DOINGS), "default": "copied"},
            "release": {"type": "str"},
            "copy": {"type": "path"},
            "wait": {"type": "float", "default": 30.0},
            "missed": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "account": {"type": "str", "required": True},
                    "name": {"type": "str", "required": True},
                    "found": {"type": "str"},
                },
            },
            "streams": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "account": {"type": "str", "required": True},
                    "name": {"type": "str", "required": True},
                    "messages": {"type": "int"},
                    "bytes": {"type": "int"},
                    "first_seq": {"type": "int"},
                    "last_seq": {"type": "int"},
                },
            },
            "monitoring_url": {"type": "str"},
            "release_dir": {"type": "path"},
        },
        required_if=[
            ("state", "copied", ("store", "from_version", "to_version")),
            ("state", "compared", ("copy", "monitoring_url")),
            ("state", "served", ("copy",)),
            ("state", "restored", ("store", "copy", "missed")),
        ],
        mutually_exclusive=[("streams", "monitoring_url")],
        supports_check_mode=True,
    )
    given = module.params
    if given["monitoring_url"] and not http_reader.HAS_REQUESTS:
        module.fail_json(msg=missing_required_lib("requests"))
    try:
        if wrong := fault(given):
            module.fail_json(msg=wrong)
        for damaged in store.list_copies(Path(given["copies"]).absolute())[1]:
            module.warn(damaged)
        check_mode = bool(module.check_mode)
        result = _DOINGS[given["state"]](given, check_mode)
    except (atomic_file.ReleaseError, store_tree.StoreError, http_reader.MonitoringError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
