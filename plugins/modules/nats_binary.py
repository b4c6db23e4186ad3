#!/usr/bin/python
# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nats_binary
short_description: Install nats-server or its exporter out of a release archive
version_added: 0.1.0
author: Rosey-Robot Team (@rosey-robot)
description:
  - Verifies an archive that is on the host, unpacks the binary, asks it for its version, and puts it beside other
    versions.
  - Switches a link to the version in one step. The link is also switched, and the archive not looked at, when the
    version is there already.
  - A server that runs is not touched. It goes on with the binary that it was started from.
attributes:
  check_mode:
    description: Can run in check mode and predict the result without a change. The archive need not be there then.
    support: full
  diff_mode:
    description: Shows what is installed and what the link points to, before and after.
    support: full
options:
  archive:
    description: The release archive on the host. It is needed when the version is not there yet.
    type: path
  checksum:
    description:
      - The SHA-256 of the archive.
      - Nothing is installed without it. A version that was verified when it was installed is then accepted, whichever
        archive it is from.
    type: str
  archive_for:
    description:
      - The architectures that the archive is for, as releases of nats-server name them, where that is known before the
        host has it. The module fails where the host is of another one and has no such binary yet.
    type: list
    elements: str
    default: []
  program:
    description: What is installed. The exporter tells Prometheus what nats-server says of itself.
    type: str
    choices: [nats-server, prometheus-nats-exporter]
    default: nats-server
  version:
    description: The version of the program, such as V(2.10.7).
    type: str
    required: true
  architecture:
    description:
      - The host's architecture, as C(uname -m) or as releases of nats-server name it.
      - The default is what the host says.
    type: str
  directory:
    description:
      - The directory that versions are installed in, each as C(<version>/<program>).
      - The default is C(/usr/local/lib/<program>).
    type: path
  link:
    description:
      - The link that is switched to the version. A file that stands there is replaced, and a warning says so.
      - An empty string leaves links alone. The default is C(/usr/local/bin/<program>).
    type: path
extends_documentation_fragment:
  - rosey.nats.entries.working
seealso:
  - module: rosey.nats.nats_archive
  - module: rosey.nats.nats_process
"""

EXAMPLES = r"""
- name: Install the pinned version
  rosey.nats.nats_binary:
    archive: /var/tmp/nats-server-v2.10.7-linux-amd64.tar.gz
    checksum: 91f5b493ce3151baa0b15d8bf093279dc94106dd56a201704a20de567607bcf7
    version: 2.10.7

- name: Go back to a version that is there
  rosey.nats.nats_binary:
    version: 2.10.6

- name: Install the exporter
  rosey.nats.nats_binary:
    program: prometheus-nats-exporter
    archive: /var/tmp/prometheus-nats-exporter-v0.20.1-linux-x86_64.tar.gz
    checksum: "{{ nats_monitoring_exporter_checksum }}"
    version: 0.20.1
    link: ""
"""

RETURN = r"""
binary:
  description: The installed binary.
  returned: success
  type: str
  sample: /usr/local/lib/nats-server/2.10.7/nats-server
installed:
  description: Whether the binary was installed now, or would be in check mode.
  returned: success
  type: bool
linked:
  description: Whether the link was switched now, or would be in check mode.
  returned: success
  type: bool
reason:
  description: How the version was found on the host.
  returned: success
  type: str
  sample: /usr/local/lib/nats-server/2.10.7/nats-server is not there
replaced:
  description: What stood at the place of the link before. Empty where it is right, or where no link is wanted.
  returned: success
  type: str
  sample: link to /usr/local/lib/nats-server/2.10.6/nats-server
binary_sha256:
  description: The SHA-256 of the binary, empty in check mode where it is not there.
  returned: success
  type: str
"""

from ansible_collections.rosey.nats.plugins.module_utils._host import python

python.check()

import os
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rosey.nats.plugins.module_utils._deploy import lease
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file
from ansible_collections.rosey.nats.plugins.module_utils._host.architecture import Architecture
from ansible_collections.rosey.nats.plugins.module_utils._server import archive, programs


def install(module: AnsibleModule) -> dict[str, t.Any]:
    """Install the version where it is missing, switch the link, and give the result."""
    given = module.params
    program = programs.PROGRAMS[given["program"]]
    architecture = programs.find_architecture(given["architecture"] or os.uname().machine)
    directory = Path(given["directory"] or f"/usr/local/lib/{program.name}").absolute()
    checksum = programs.check_sha256(given["checksum"]) if given["checksum"] else None
    found = archive.installed(directory, given["version"], checksum, program)
    place = f"/usr/local/bin/{program.name}" if given["link"] is None else given["link"]
    link = Path(place).absolute() if place else None
    if given["release_dir"] and not module.check_mode:
        # With the lease, nobody else is at work here.
        for swept in (directory, *((link.parent,) if link else ())):
            atomic_file.sweep(swept)
    # A place that can't be linked is known before anything is written.
    linking = link is not None and archive.check_link(link, found.binary)
    before = archive.look_at_link(link) if link else archive.Link(archive.LinkKind.ABSENT)
    installing = found.status is not archive.Status.VERIFIED
    present = found
    if installing:
        archive.check_offered(given["archive_for"], architecture, given["version"], program)
        present = _install(module, found, directory, architecture, checksum)
    if link and linking and not module.check_mode:
        archive.switch_link(link, found.binary)
    if linking and before.kind is archive.LinkKind.FILE:
        module.warn(f"{link} was a file, not a link; it is replaced by a link to {found.binary}")
    shown = str(link) if link else "link"
    now = {"binary": str(archive.Status.VERIFIED), shown: str(archive.Link(archive.LinkKind.LINK, str(found.binary)))}
    return {
        "changed": installing or linking,
        "binary": str(found.binary),
        "installed": installing,
        "linked": linking,
        "reason": found.reason,
        "replaced": str(before) if linking else "",
        "binary_sha256": "" if installing and module.check_mode else present.binary_sha256,
        "diff": {
            "before": {"binary": str(found.status), shown: str(before)},
            "after": now if link else now | {shown: str(before)},
        },
    }


def _install(
    module: AnsibleModule,
    found: archive.Installation,
    directory: Path,
    architecture: Architecture,
    checksum: str | None,
) -> archive.Installation:
    given = module.params
    program = programs.PROGRAMS[given["program"]]
    source = Path(given["archive"]).absolute() if given["archive"] else None
    if module.check_mode:
        if source and checksum and source.exists():
            archive.verify(source, checksum)
        return found
    if source is None or checksum is None:
        missing = "archive" if source is None else "checksum"
        raise programs.ArchiveError(
            f"{found.reason}, and {missing} is not set; expected the archive of {program.name} {given['version']} on "
            "this host and its SHA-256. Name both"
        )
    present = archive.install(source, directory, given["version"], architecture, checksum, program=program)
    module.set_default_selinux_context(str(present.binary), False)
    return present


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "archive": {"type": "path"},
            "checksum": {"type": "str"},
            "archive_for": {"type": "list", "elements": "str", "default": []},
            "program": {"type": "str", "choices": list(programs.PROGRAMS), "default": programs.NATS_SERVER.name},
            "version": {"type": "str", "required": True},
            "architecture": {"type": "str"},
            "directory": {"type": "path"},
            "link": {"type": "path"},
            "release_dir": {"type": "path"},
        },
        supports_check_mode=True,
    )
    try:
        with lease.working(module.params["release_dir"], check_mode=module.check_mode):
            result = install(module)
    except (programs.ArchiveError, atomic_file.ReleaseError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
