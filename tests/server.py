# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the nats-server that the role pins, once, and put its binary where the tests take it from.

The archive goes to the cache that the role looks into, so that the scenarios need not build it again.
"""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import yaml

from ansible_collections.rosey.nats.plugins.module_utils import archive

ROOT = Path(__file__).resolve().parent.parent


def main(destination: Path) -> None:
    """Write the binary to `destination`."""
    defaults = yaml.safe_load((ROOT / "roles/nats_server/defaults/main.yml").read_text())
    version = str(defaults["nats_server_version"])
    cache = Path.home() / ".cache" / "rosey-nats"
    architecture = archive.find_architecture(platform.machine())
    module_sum = defaults["nats_server_module_sums"][version]
    built, now = archive.build(version, architecture, cache, module_sum=module_sum)
    print(f"{built.path} {'built' if now else 'is there'}: {built.toolchain}")
    destination.unlink(missing_ok=True)
    archive.unpack(built.path, destination)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except archive.ArchiveError as error:
        sys.exit(f"nats-server can't be built: {error}")
