# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build a nats-server, once, and put its binary where the tests take it from: tests.server DESTINATION [VERSION].

Without a version it is the one that the role pins. The archive goes to the cache that the role looks into, so that the
scenarios need not build it again.
"""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import yaml

from ansible_collections.rosey.nats.plugins.module_utils._server import archive, go_build, programs

ROOT = Path(__file__).resolve().parent.parent
# Versions that the role does not pin.
MODULE_SUMS = {
    "2.10.29": "h1:IJ8TrZaiMZUrPGavMvP7hNAE9lYnHTThuthpwlsdlbc=",
    "2.11.4": "h1:oQhvy6He6ER926sGqIKBKuYHH4BGnUQCNb0Y5Qa+M54=",
    "2.9.25": "h1:USQ91yDrsRohuEAW8vJpal7Z9p+EWTGk53wchamzqFo=",
}


def main(destination: Path, version: str | None = None) -> None:
    """Write the binary of a version, or of the pinned one, to `destination`."""
    defaults = yaml.safe_load((ROOT / "roles/nats_server/defaults/main.yml").read_text())
    version = version or str(defaults["nats_server_version"])
    cache = Path.home() / ".cache" / "rosey-nats"
    architecture = programs.find_architecture(platform.machine())
    module_sum = {**defaults["nats_server_module_sums"], **MODULE_SUMS}[version]
    built, now = go_build.build(version, architecture, cache, module_sum=module_sum)
    print(f"{built.path} {'built' if now else 'is there'}: {built.toolchain}")
    destination.unlink(missing_ok=True)
    archive.unpack(built.path, destination)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), *sys.argv[2:])
    except programs.ArchiveError as error:
        sys.exit(f"nats-server can't be built: {error}")
