# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install the packed bot on this host; the pack runs it. It says what it changed, and nothing when all was there."""

from __future__ import annotations

import argparse
import compileall
import importlib.util
import os
import pwd
import shutil
import string
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

SERVICE = "cytube-bot"
UNIT = Path(f"/etc/systemd/system/{SERVICE}.service")
SEES_SYSTEM = "include-system-site-packages = true"
# Of PyNaCl, which is compiled, and therefore not in the pack.
COMPILED = "nacl"


def say(change: str) -> None:
    """Tell a change."""
    print(f"changed: {change}", flush=True)


def write(path: Path, content: bytes) -> bool:
    """Write a file unless it says the same."""
    if path.is_file() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    say(str(path))
    return True


def ensure_account(name: str, home: Path) -> None:
    """Make the account of the bot."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        options = ("--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin")
        subprocess.run(["useradd", *options, "--home-dir", home, name], check=True)
        say(f"account {name}")


def ensure_directory(path: Path, owner: str) -> None:
    """Make a directory that the bot writes into."""
    if not path.is_dir():
        path.mkdir(parents=True)
        say(str(path))
        if owner:
            shutil.chown(path, owner, owner)


def install_packages(pack: zipfile.ZipFile, home: Path) -> bool:
    """Make the virtual environment with the bot and its libraries."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = home / "venv" / "lib" / version / "site-packages"
    described = home / "venv" / "pyvenv.cfg"
    if not (packages.is_dir() and described.is_file() and SEES_SYSTEM in described.read_text()):
        venv.create(home / "venv", symlinks=True, with_pip=False, system_site_packages=True)
        say(str(home / "venv"))
    names = [name for name in pack.namelist() if name.startswith("packages/")]
    written = [write(packages / name.removeprefix("packages/"), pack.read(name)) for name in names]
    compiled = importlib.util.find_spec(COMPILED)
    if sys.prefix != sys.base_prefix and compiled and compiled.origin:
        # The system's packages are those of the Python that this environment was made from, not the environment's own.
        place = f"{Path(compiled.origin).parent.parent}\n"
        written.append(write(packages / f"{COMPILED}.pth", place.encode()))
    if any(written):
        # The bot's account can't write there: without this, every start would compile all anew.
        compileall.compile_dir(packages, quiet=1)
    return any(written)


def run_service(*, reload: bool, restart: bool) -> None:
    """Enable and start the bot, anew where it changed."""

    def is_(state: str) -> bool:
        return subprocess.run(["systemctl", "--quiet", f"is-{state}", SERVICE], check=False).returncode == 0

    if reload:
        subprocess.run(["systemctl", "daemon-reload"], check=True)
    if not is_("enabled"):
        subprocess.run(["systemctl", "--quiet", "enable", SERVICE], check=True)
        say(f"{SERVICE} enabled")
    if restart or not is_("active"):
        subprocess.run(["systemctl", "restart", SERVICE], check=True)
        say(f"{SERVICE} started")


def main() -> None:
    """Install what the command line describes."""
    parser = argparse.ArgumentParser(prog="installer")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--environment", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--owner", default="", help="account that the bot runs as; made when it is missing")
    parser.add_argument("--systemd", action="store_true")
    given = parser.parse_args()
    if given.systemd and not Path("/run/systemd/system").is_dir():
        raise SystemExit("systemd does not run here, and nothing was touched. Set bot_config_runtime: process.")
    os.umask(0o022)
    values = {"home": given.home, "environment": given.environment, "port": given.port, "owner": given.owner}
    with zipfile.ZipFile(sys.argv[0]) as pack:

        def fill(name: str) -> bytes:
            return string.Template(pack.read(f"files/{name}").decode()).substitute(values).encode()

        if given.owner:
            ensure_account(given.owner, given.home)
        for name in ("data", "logs", "logs/plugins"):
            ensure_directory(given.home / name, given.owner)
        # What somebody else may have changed since is left alone.
        for name, path in (
            ("config.yaml", given.home / "environments" / given.environment / "config.yaml"),
            ("trivia.json", given.home / "data" / "trivia.json"),
        ):
            if not path.exists():
                write(path, fill(name))
        changed = install_packages(pack, given.home)
        if given.systemd:
            unit_changed = write(UNIT, fill(f"{SERVICE}.service"))
            run_service(reload=unit_changed, restart=changed or unit_changed)


main()
