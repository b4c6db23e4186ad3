# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real nats-server that is given another configuration while it runs."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import time
import typing as t
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._server import conf, requirements

REJECTED = "Failed to reload server configuration: "
SECONDS = 10.0
PAUSE = 0.005
UNVERIFIED = ssl._create_unverified_context()


@dataclass(frozen=True)
class Outcome:
    """What became of a reload. fault: why it could not be tried. said: the words with which the server refused."""

    accepted: bool
    said: str = ""
    fault: str = ""


class Live:
    """A server, from its start to its end."""

    def __init__(self, binary: Path, directory: Path, config: dict[str, t.Any]) -> None:
        self.binary = binary
        self.config_file = directory / "nats-server.conf"
        self.output = directory / "output"
        self.varz_url = f"{requirements.monitoring_url(config)}/varz"
        directory.mkdir()
        self.config_file.write_text(conf.render(config))
        with self.output.open("wb") as output:
            command = [binary, "-c", self.config_file]
            self.process = subprocess.Popen(command, cwd=directory, stdout=output, stderr=subprocess.STDOUT)

    def __enter__(self) -> Live:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.process.kill()
        self.process.wait()

    def varz(self) -> dict[str, t.Any] | None:
        """Ask for the state; None where the server does not answer."""
        try:
            with urllib.request.urlopen(self.varz_url, timeout=SECONDS, context=UNVERIFIED) as answer:
                found: dict[str, t.Any] = json.load(answer)
                return found
        except OSError:
            return None

    def wait(self) -> dict[str, t.Any] | None:
        """Wait until the server answers; None where it ended first."""
        deadline = time.monotonic() + SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            if found := self.varz():
                return found
            time.sleep(PAUSE)
        return None

    def reload(self, config: dict[str, t.Any]) -> Outcome:
        """Give the server another configuration, and tell whether it takes it."""
        before = self.wait()
        if before is None:
            return Outcome(False, fault=f"the server does not start: {self.output.read_text()[-600:]}")
        if fault := self.load(config):
            return Outcome(False, fault=fault)
        return self.signal(before)

    def signal(self, before: dict[str, t.Any]) -> Outcome:
        """Tell the server to read what stands in its file. before: what /varz showed."""
        refused_before = self.refusals()
        deadline = time.monotonic() + SECONDS
        self.process.send_signal(signal.SIGHUP)
        while time.monotonic() < deadline:
            now = self.varz()
            if now and now["config_load_time"] != before["config_load_time"]:
                return Outcome(True)
            if self.refusals() > refused_before:
                return Outcome(False, said=self.output.read_text().rpartition(REJECTED)[2].strip())
            if self.process.poll() is not None:
                return Outcome(False, fault=f"the server ended: {self.output.read_text()[-600:]}")
            time.sleep(PAUSE)
        return Outcome(False, fault=f"neither reloaded nor refused: {self.output.read_text()[-600:]}")

    def refusals(self) -> int:
        return self.output.read_text(errors="replace").count(REJECTED)

    def load(self, config: dict[str, t.Any]) -> str:
        """Write another configuration; give what the server has against it before it runs with it."""
        self.config_file.write_text(conf.render(config))
        checked = subprocess.run(
            [self.binary, "-t", "-c", self.config_file], capture_output=True, text=True, check=False
        )
        return checked.stderr if checked.returncode else ""
