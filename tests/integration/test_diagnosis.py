# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The diagnosis of a server that is well and has no bot; what is broken is in tests/diagnosis."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.tests.integration.conftest import Deployment, Variables, run_playbook
from ansible_collections.rosey.nats.tests.sampling import sampled

SECRET = "hunt/er2"
# Who is not to become root does not need to be able to.
NO_ROOT: Variables = {"bot_config_runtime": "systemd", "ansible_become_exe": "no-sudo"}


def diagnosed(deployment: Deployment, directory: Path, changes: Variables, *options: str) -> str:
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory = directory / "hosts.json"
    inventory.write_text(json.dumps({"rosey": {"hosts": {"here": deployment.variables | local | changes}}}))
    return run_playbook("playbooks/diagnose.yml", inventory, *options)


@pytest.mark.parametrize(
    ("changes", "healthy"),
    sampled(
        [
            ({}, "no bot is installed at"),
            ({"bot_config_gate": "never", **NO_ROOT}, "no bot is described"),
            ({"bot_config_environment": "{{ nobody_said }}", **NO_ROOT}, "no bot is described"),
        ],
        1,
    ),
)
def test_a_host_without_a_bot_has_no_cause(
    deployment: Deployment, tmp_path: Path, changes: dict[str, Any], healthy: str
) -> None:
    said = diagnosed(deployment, tmp_path, changes)
    assert said.startswith("exit 0"), said
    assert "seen:" not in said
    assert said.count(healthy) == 1


def test_a_bot_that_has_to_be_there_is_a_cause(deployment: Deployment, tmp_path: Path) -> None:
    said = diagnosed(deployment, tmp_path, {"bot_config_gate": "always"})
    assert said.startswith("exit 2")
    assert "[bot_file_missing, bot, certain]" in said


def test_no_password_of_a_url_comes_to_the_host(deployment: Deployment, tmp_path: Path) -> None:
    server = {"bot_config_servers": [f"nats://rosey:{SECRET}@bus.invalid:4222"], "bot_config_gate": "always"}
    said = diagnosed(deployment, tmp_path, server, "-vvv")
    assert "nats://bus.invalid:4222" in said
    assert SECRET not in said
