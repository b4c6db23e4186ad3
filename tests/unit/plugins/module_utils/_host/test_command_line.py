# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a remedy tells to type."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._host import command_line

ROOT = Path(__file__).parents[5]
PLUGINS = ROOT / "plugins"
ACCEPTED = {"nats_server_accept": ["gone_streams"]}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (command_line.deploy(), ["site.yml", "-i", "here"]),
        (command_line.deploy(**ACCEPTED), ["site.yml", "-i", "here", "-e", json.dumps(ACCEPTED)]),
        (
            command_line.run("playbooks/rollback.yml", "-e rollback_to=previous", "--limit one"),
            ["playbooks/rollback.yml", "-i", "here", "-e", "rollback_to=previous", "--limit", "one"],
        ),
    ],
)
def test_a_shell_takes_it_once_the_inventory_is_there_and_not_before(line: str, expected: list[str]) -> None:
    assert shlex.split(line.replace("<inventory>", "here")) == ["ansible-playbook", *expected]
    assert (ROOT / expected[0]).is_file()
    told = subprocess.run(["sh", "-c", line], cwd="/", capture_output=True, text=True, check=False)
    assert told.returncode
    assert "ansible-playbook" not in told.stderr


def test_no_other_text_has_a_command_line_of_its_own() -> None:
    """One without an inventory would deploy to the machine that it is typed on."""
    written = {
        str(path.relative_to(PLUGINS))
        for path in (*PLUGINS.glob("module_utils/**/*.py"), *PLUGINS.glob("plugin_utils/*.py"))
        if re.search(r"ansible-playbook (site|playbooks/)|[\w/]\.yml -e ", path.read_text(encoding="utf-8"))
    }
    assert written == set()
