# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start the real server with a configuration, and tell whether it comes up."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

READY = b"Server is ready"
# Routes are listened for after the server has called itself ready (server/server.go, StartRouting).
CLUSTERED, ROUTES_READY = b"Cluster name is", b"Listening for route connections"
SETTLED = 0.005
LOOK_EVERY = 0.002
PATIENCE = 10
HANGS = "the server neither becomes ready nor ends"


@dataclass(frozen=True)
class Starter:
    """Starts servers below a directory, as many at a time as are asked for.

    What they would put into the system's directory for temporary files stays there, too, and their log.
    """

    binary: Path
    directory: Path
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def complaint(self, text: str, *, settled: float = SETTLED, clustered: bool = False) -> str:
        """Give what the server says when it does not come up with this configuration; empty where it does.

        text: the configuration. clustered: whether it listens for routes. settled: the seconds that it has to live on.
        """
        place = self.directory / f"start-{next(self.numbers)}"
        place.mkdir()
        (place / "server.conf").write_text(text)
        # The log goes to a file of ours, that is not rotated away, whatever the configuration says.
        command: list[str | Path] = [
            self.binary,
            "-c",
            place / "server.conf",
            "-l",
            place / "server.log",
            "-log_size_limit",
            "0",
        ]
        with (place / "output").open("wb") as output:
            server = subprocess.Popen(
                command, cwd=place, env={**os.environ, "TMPDIR": str(place)}, stdout=output, stderr=output
            )
        try:
            return self._verdict(server, place, settled, clustered=clustered)
        finally:
            server.kill()
            server.wait()
            shutil.rmtree(place, ignore_errors=True)

    def _verdict(self, server: subprocess.Popen[bytes], place: Path, settled: float, *, clustered: bool) -> str:
        log, wanted = place / "server.log", [READY, *([ROUTES_READY] if clustered else [])]
        until = time.monotonic() + PATIENCE
        ready = False
        while time.monotonic() < until:
            ended = server.poll() is not None
            said = log.read_bytes() if log.exists() else b""
            if ended:
                lines = ((place / "output").read_bytes() + said).decode(errors="replace").splitlines()
                told = [line for line in lines if "[INF]" not in line and "[WRN]" not in line]
                return "\n".join(told)[:2000] or "the server ended without a word"
            if ready:
                return ""
            ready = all(line in said for line in wanted)
            time.sleep(settled if ready else LOOK_EVERY)
        return HANGS
