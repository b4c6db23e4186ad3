# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring promtool, which tries rules for Prometheus, out of Debian's package.

The package is not installed, since it would start a Prometheus.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

PACKAGE = "prometheus"


def bring(directory: Path) -> Path:
    """Give the machine's own promtool, or else one that is kept in this directory."""
    own = shutil.which("promtool")
    kept = directory / "promtool"
    if own or kept.exists():
        return Path(own or kept)
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory) as work:
        # apt's own user can't write there, so that it would say so
        apt = ["apt-get", "--quiet=2", "--option=APT::Sandbox::User=root"]
        if os.geteuid() == 0:
            subprocess.run([*apt, "update"], check=True)
        subprocess.run([*apt, "download", PACKAGE], cwd=work, check=True)
        (package,) = Path(work).glob("*.deb")
        subprocess.run(["dpkg-deb", "--extract", package, Path(work) / "files"], check=True)
        (Path(work) / "files" / "usr" / "bin" / "promtool").replace(kept)
    return kept
