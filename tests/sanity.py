# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run `ansible-test sanity` on a copy of the tree: python -m tests.sanity DIRECTORY [ARGUMENT ...].

ansible-test refuses a checkout that is reached through a link, and keeps its environments under HOME: the copy and a
HOME of its own stand in DIRECTORY.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The version that the ansible-test of ansible-core 2.19 asks for.
PIP = "24.2"
# Stands in for the script that ansible-test would download: Python brings a pip, which fetches the wanted one. Inside
# this process, ensurepip would switch pip's settings off.
GET_PIP = """
import subprocess
import sys
subprocess.check_call([sys.executable, "-m", "ensurepip"])
options = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", *options]))
"""
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def copy_tree(destination: Path) -> None:
    """Copy what git would commit, as a repository of its own: ansible-test would ask the one around it."""
    shutil.rmtree(destination, ignore_errors=True)
    # Only a checkout needs the links to collections, and ansible-test allows no link to a directory.
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed += ["--", ":!collections", ":!playbooks/collections"]
    for name in subprocess.check_output(listed, cwd=ROOT, text=True).split("\0"):
        source, target = ROOT / name, destination / name
        if source.is_file() or source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    subprocess.run(["git", "init", "--quiet", str(destination)], check=True)


def prepare_home(home: Path) -> None:
    """Put what the pip of ansible-test needs into its HOME: the stand-in, and what it is not given as variables."""
    script = home / ".ansible" / "test" / "cache" / f"get_pip_{PIP.replace('.', '_')}.py"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(GET_PIP)
    settings = [
        f"{name.removeprefix('PIP_').lower().replace('_', '-')} = {value}\n"
        for name, value in os.environ.items()
        if name.startswith("PIP_")
    ]
    pip = home / ".config" / "pip" / "pip.conf"
    pip.parent.mkdir(parents=True, exist_ok=True)
    pip.touch(mode=0o600)
    pip.write_text("[global]\nquiet = 1\n" + "".join(settings))


def main(directory: Path, arguments: list[str]) -> int:
    """Give the exit code of ansible-test."""
    tree = directory / "ansible_collections" / "rosey" / "nats"
    copy_tree(tree)
    prepare_home(directory)
    bin_directory = Path(sys.executable).parent
    # Shims of a version manager among the system's directories would be taken for Pythons.
    environment = {**os.environ, "HOME": str(directory), "PATH": f"{bin_directory}:{SYSTEM_PATH}"}
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    words = ["ansible-test", "sanity", "--color", "no", "--junit", "--python", python, *arguments]
    return subprocess.run(words, cwd=tree, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), sys.argv[2:]))
