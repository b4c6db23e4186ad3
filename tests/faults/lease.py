# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another deployment of this controller, at work on a host."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.rosey.nats.plugins.plugin_utils import controller
from ansible_collections.rosey.nats.tests.integration.conftest import ROOT


@contextmanager
def held(release_dir: Path) -> Iterator[None]:
    """Hold a host's lease while the context lasts."""
    with subprocess.Popen(["sleep", "600"]) as other:
        claim = {**controller.claim(None), "pid": other.pid, "started": controller.started(other.pid)}
        words = ["ansible", "localhost", "-m", "rosey.nats.nats_release", "-a"]
        for state in ("begun", "ended"):
            given = {"release_dir": str(release_dir), "state": state, "claim": claim}
            subprocess.run([*words, json.dumps(given)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
            if state == "begun":
                try:
                    yield
                finally:
                    other.kill()
