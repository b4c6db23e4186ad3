#!/usr/bin/python
# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: config_tree
short_description: Put described directories, files and links on a host in one step
version_added: 0.1.0
author: Rosey-Robot Team (@rosey-robot)
description:
  - Brings a whole tree of directories, files, links, owners, modes and absences on to the host in one call, and also
    sections and variables into files that somebody else keeps.
  - Every new file is written beside its place and tried by its O(entries[].validate) command. Only when all of them are
    written and accepted does one after the other take its place, each atomically. What fails before that leaves the
    host as it was.
  - What is already right is not written.
attributes:
  check_mode:
    description: >-
      Predicts the same changes, also on a host that has neither the directories nor the accounts yet. Files are
      validated where the host has what the command needs.
    support: full
  diff_mode:
    description: >-
      Shows contents as unified diffs, as far as O(entries[].redact) allows, and owners, modes and targets. Of a section
      it shows the section alone, and of variables their names.
    support: full
notes:
  - Works as an ordinary user too, with paths that this user may write.
  - A validating command sees the other files of the same call as they were before. A file that can't be judged without
    another one that is new as well needs a call of its own, after the other.
extends_documentation_fragment:
  - rosey.nats.entries
  - rosey.nats.entries.working
seealso:
  - module: rosey.nats.nats_plan
"""

EXAMPLES = r"""
- name: Configure nats-server, tried by the binary itself
  rosey.nats.config_tree:
    entries:
      - path: /etc/nats
        state: directory
        group: nats
        mode: "0750"
      - path: /var/lib/nats
        state: directory
        owner: nats
        group: nats
        mode: "0700"
        recurse: true
      - path: /etc/nats/nats-server.conf
        state: file
        secret_content: "{{ nats_server_config | rosey.nats.to_nats_conf }}"
        group: nats
        mode: "0640"
        redact: nats_conf
        validate: /usr/local/bin/nats-server -t -c %s
        validate_user: nats
      - path: /etc/nats/old.conf
        state: absent

- name: Configure the bot and its plugins
  rosey.nats.config_tree:
    entries:
      - path: /opt/rosey-bot/environments/production/config.yaml
        state: section
        key: nats
        content: |
          nats:
            servers:
              - "nats://localhost:4222"
            prefix: "rosey.prod"
        reader: bot
      - path: /opt/rosey-bot/environments/production/secrets.env
        state: variables
        variables:
          NATS_USER: rosey
        secret_variables:
          NATS_PASSWORD: "{{ vault_nats_password }}"
          NATS_TOKEN: null
        owner: rosey
        reader: bot
      - path: /opt/rosey-bot/environments/production/plugins
        state: directory
        manifest: .manifest
        reader: bot
      - path: /opt/rosey-bot/environments/production/plugins/quotes.yaml
        state: file
        content: "{{ lookup('ansible.builtin.template', 'quotes.yaml.j2') }}"
        reader: bot
"""

RETURN = r"""
changes:
  description: What differed and was brought about, or would be, in the order of its doing.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The path.
      returned: always
      type: str
      sample: /etc/nats/nats-server.conf
    what:
      description: >-
        The aspects that differ, of V(content), V(target), V(owner), V(group), V(mode), V(ownership below).
        V(created) or V(removed) alone for what is new or goes away.
      returned: always
      type: list
      elements: str
      sample: [content, mode]
    reasons:
      description: The same with before and after, where these are no secret. An account that is missing yet is named.
      returned: always
      type: list
      elements: str
      sample: ["content", "mode: 0644 -> 0640"]
    reader:
      description: Who reads it.
      returned: when O(entries[].reader) is given
      type: str
      sample: bot
    validated:
      description: Whether the validating command has accepted the file. False only in check mode.
      returned: when O(entries[].validate) is given
      type: bool
    not_validated_because:
      description: What the command would need that the host does not have yet.
      returned: when RV(changes[].validated) is false
      type: str
      sample: this host has no group nats yet
touched:
  description: Whether something had taken its place on the host already.
  returned: failure
  type: bool
unmanaged:
  description:
    - The files in the directories with a O(entries[].manifest) that are neither described nor on its list. They stay.
  returned: success
  type: list
  elements: str
  sample: [/opt/rosey-bot/environments/production/plugins/by_hand.yaml]
"""

from ansible_collections.rosey.nats.plugins.module_utils._host import python

python.check()

import typing as t
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._deploy import entries, lease
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file, held
from ansible_collections.rosey.nats.plugins.module_utils._host.tree import apply, compare, show, spec
from ansible_collections.rosey.nats.plugins.module_utils._server import conf


def report(changes: Sequence[compare.Change], untried: Mapping[str, str]) -> list[dict[str, t.Any]]:
    """Give the changes as the module returns them. untried: the reason for each path that was not validated."""
    result = []
    for change in changes:
        item: dict[str, t.Any] = {"path": change.path, "what": list(change.what), "reasons": list(change.reasons)}
        if change.entry.reader:
            item["reader"] = change.entry.reader
        if change.entry.validate:
            item["validated"] = change.path not in untried
            if change.path in untried:
                item["not_validated_because"] = untried[change.path]
        result.append(item)
    return result


def main() -> None:
    """Run the module."""
    module = entries.EntriesModule(
        argument_spec={"release_dir": {"type": "path"}, **entries.SPEC},
        supports_check_mode=True,
    )
    given = module.params["entries"]
    untried: Mapping[str, str] = {}
    try:
        with lease.working(module.params["release_dir"], check_mode=module.check_mode):
            if module.params["release_dir"] and not module.check_mode:
                # With the lease, nobody else is at work here; and what was left may hold secrets.
                with held.Directories() as places:
                    for directory in sorted({Path(entry["path"]).parent for entry in given}):
                        with suppress(OSError):
                            atomic_file.sweep(places.into(directory))
            found = compare.look(given, conf.REDACTORS)
            changes = found.changes
            shown = {"diff": show.diff(changes)} if module._diff else {}
            if module.check_mode:
                untried = apply.rehearse(changes)
            else:
                apply.apply(changes, label=apply.label_with(module))
    except atomic_file.ReleaseError as error:
        module.fail_json(msg=str(error), touched=False)
    except spec.StateError as error:
        module.fail_json(msg=str(error), touched=error.touched)
    module.exit_json(
        changed=bool(changes),
        changes=report(changes, untried),
        unmanaged=found.unmanaged,
        **shown,
    )


if __name__ == "__main__":
    main()
