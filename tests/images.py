# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the Docker images that the tests use, where they are missing or were made in another way.

    python3 -m tests.images bookworm trixie     Debian with systemd, for the scenarios' hosts; bullseye, too
    python3 -m tests.images server ARCHIVE      nats-server from its release archive, for the docker runtime

No registry is needed: mmdebstrap makes Debian from its packages. Where it isn't there, the engine pulls debian:<suite>.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

REPOSITORY = "rosey-nats-test"
# What a small Debian server has anyway. What the roles need besides, they have to install themselves.
SERVER_PACKAGES = ("systemd", "systemd-sysv", "dbus", "python3", "iproute2")
# What a user's bot brings: the one of the tests logs in with a key by it.
BOT_PACKAGES = ("python3-nacl",)
PACKAGES = (*SERVER_PACKAGES, *BOT_PACKAGES)
# What apt says of a release that a mirror doesn't have, or no longer.
NOT_CARRIED = "does not have a Release file"
BOOT = ('CMD ["/lib/systemd/systemd"]', "ENV container=docker")
SERVE = ("ENV PATH=/usr/local/bin", 'CMD ["nats-server", "--config", "/etc/nats/nats-server.conf"]')


def is_there(image: str, label: str) -> bool:
    """Tell whether the engine has the image with this label `recipe`."""
    inspect = ["docker", "image", "inspect", "--format", '{{index .Config.Labels "recipe"}}', image]
    return subprocess.run(inspect, capture_output=True, text=True, check=False).stdout.strip() == label


def import_command(image: str, instructions: Sequence[str]) -> list[str]:
    """Give the command that makes an image of the tar on its standard input."""
    return ["docker", "import", *(word for each in instructions for word in ("--change", each)), "-", image]


def bootstrap(suite: str, image: str, instructions: Sequence[str], log: IO[str]) -> bool:
    """Make a Debian of its packages; tell whether that was done."""
    # not --quiet: that leaves out why apt failed
    words = ["mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", suite, "-"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log) as source:
        subprocess.run(import_command(image, instructions), stdin=source.stdout, stdout=subprocess.DEVNULL, check=True)
    if source.returncode:
        subprocess.run(["docker", "image", "rm", image], stdout=subprocess.DEVNULL, check=True)
    return not source.returncode


def pull(suite: str, image: str, instructions: Sequence[str], log: IO[str]) -> bool:
    """Make a Debian of the one in the engine's registry; tell whether that was done."""
    install = f"apt-get update --error-on=any && apt-get install --yes --no-install-recommends {' '.join(PACKAGES)}"
    recipe = [f"FROM debian:{suite}", f"RUN {install} && rm -rf /var/lib/apt/lists/*", *instructions]
    build = ["docker", "build", "--quiet", "--tag", image, "-"]
    done = subprocess.run(build, input="\n".join(recipe), text=True, stdout=log, stderr=log, check=False)
    return not done.returncode


def make_debian(suite: str, image: str, instructions: Sequence[str]) -> None:
    """Make a Debian in which systemd runs as process 1."""
    make = bootstrap if shutil.which("mmdebstrap") else pull
    with tempfile.TemporaryFile("w+") as log:
        if make(suite, image, instructions, log):
            return
        log.seek(0)
        said = log.read()
    print(said, file=sys.stderr)
    if NOT_CARRIED in said:
        raise SystemExit(f"The package mirrors that are used here don't carry Debian {suite}: nothing is tested on it.")
    raise SystemExit(f"Debian {suite} could not be made; what is said above is the reason.")


def make_server(archive: Path, image: str, instructions: Sequence[str]) -> None:
    """Make an image whose only file is the nats-server of a release archive."""
    layer = io.BytesIO()
    with tarfile.open(archive) as release, tarfile.open(fileobj=layer, mode="w") as target:
        binary = next(member for member in release if PurePosixPath(member.name).name == "nats-server")
        content = release.extractfile(binary)
        binary.name = "usr/local/bin/nats-server"
        target.addfile(binary, content)
    command = import_command(image, instructions)
    subprocess.run(command, input=layer.getvalue(), stdout=subprocess.DEVNULL, check=True)


def ensure(
    tag: str, ingredients: bytes, instructions: Sequence[str], make: Callable[[str, Sequence[str]], None]
) -> None:
    """Make the image with this tag unless it is there, made of the same ingredients; say which it was."""
    image = f"{REPOSITORY}:{tag}"
    label = hashlib.sha256(ingredients + "\n".join(instructions).encode()).hexdigest()
    if is_there(image, label):
        print(f"{image} is there")
    else:
        make(image, (*instructions, f"LABEL recipe={label}"))
        print(f"{image} made")


def main(arguments: Sequence[str]) -> None:
    """Make what the command line names."""
    if arguments[0] == "server":
        archive = Path(arguments[1])
        ensure("nats-server", archive.read_bytes(), SERVE, partial(make_server, archive))
    else:
        for suite in arguments:
            ensure(suite, " ".join(PACKAGES).encode(), BOOT, partial(make_debian, suite))


if __name__ == "__main__":
    main(sys.argv[1:])
