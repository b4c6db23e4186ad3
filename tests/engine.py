# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring up what the tests stand on: Debian packages and a Docker engine.

Where something is missing, root installs and starts it; anyone else is told what to do.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import time
from pathlib import Path

STARTED_WITHIN = 60.0
PID_FILES = {
    Path("/var/run/docker.pid"): "dockerd",
    Path("/var/run/docker/containerd/containerd.pid"): "containerd",
}
LOG = Path("/var/log/dockerd.log")


def missing_packages(*, for_engine: bool) -> list[str]:
    """Name the Debian packages that this machine lacks."""
    there: dict[str, object] = {
        "git": shutil.which("git"),
        "openssl": shutil.which("openssl"),
        "python3-venv": importlib.util.find_spec("ensurepip"),
    }
    if for_engine:
        there["docker.io"] = engine_answers() or shutil.which("dockerd")
        # Where root can't install it, images are pulled.
        there["mmdebstrap"] = shutil.which("mmdebstrap") or os.geteuid() != 0
    return [package for package, found in there.items() if not found]


def install_packages(*, for_engine: bool) -> None:
    """Install what is missing; only root can."""
    install(missing_packages(for_engine=for_engine))


def install(packages: list[str]) -> None:
    """Install these Debian packages; only root can."""
    if not packages:
        return
    if os.geteuid() != 0:
        raise SystemExit(f"As root, first: apt-get install {' '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "--quiet", "--yes", "--option", "DPkg::Lock::Timeout=120"]
    for command in ([*apt, "update"], [*apt, "install", *packages]):
        if subprocess.run(command, env=environment, check=False).returncode:
            raise SystemExit(f"{' '.join(command)} failed; what it says above is the reason.")


def engine_answers() -> bool:
    """Tell whether a Docker engine answers this user."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0


def runs(pid_file: Path, program: str) -> bool:
    """Tell whether the process that a pid file names is this program, and is more than an entry in the table."""
    try:
        status = (Path("/proc") / pid_file.read_text().strip() / "status").read_text()
    except OSError:
        return False
    found = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    return found["Name"] == program and not found["State"].startswith("Z")


def forget_ended_engine() -> None:
    """Remove the pid files of an engine that was killed: a new one would take any process of that number for it."""
    for pid_file, program in PID_FILES.items():
        if not runs(pid_file, program):
            pid_file.unlink(missing_ok=True)


def start() -> None:
    """Start a Docker engine where none answers. It is left running, for a `molecule test` by hand."""
    if engine_answers():
        return
    if os.geteuid() != 0:
        raise SystemExit("No Docker engine answers this user: start one as root, or join the group docker.")
    forget_ended_engine()
    with LOG.open("ab") as log:
        booted_by_systemd = Path("/run/systemd/system").is_dir()
        command = ["systemctl", "start", "docker"] if booted_by_systemd else ["dockerd"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + STARTED_WITHIN
    while not engine_answers():
        if process.poll() or time.monotonic() > deadline:
            end = "\n".join(LOG.read_text(errors="replace").splitlines()[-5:])
            raise SystemExit(f"{' '.join(command)} brought no Docker engine up. {LOG} ends with:\n{end}")
        time.sleep(0.2)


if __name__ == "__main__":
    install_packages(for_engine=True)
    start()
