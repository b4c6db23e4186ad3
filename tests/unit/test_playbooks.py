# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no run of a playbook as root would show."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ROLES = ROOT / "roles"
# What looks at what may lie in directories of another account: the file of a role, and the module.
LOOKS = [
    ("release/tasks/look.yml", "rosey.nats.bus_plan"),
    ("release/tasks/watch.yml", "rosey.nats.bot_plan"),
    ("health/tasks/main.yml", "rosey.nats.bus_health_info"),
    ("diagnosis/tasks/look.yml", "rosey.nats.diagnosis_info"),
]
WATCHED = {
    "Watch | The server": "release_watched.server.become",
    "Watch | The bot": "release_watched.bot.become",
    "Watch | The server again": "release_watched.server.become",
}
# Likewise, of the steps of a deployment.
STEPS = {
    "Install the server": "release_plan.become.server",
    "Configure | Directories, files, sections and units": "release_plan.become.any",
    "Run the server": "release_plan.become.server",
    "Prove the server": "release_plan.become.server",
    "Run the bot": "release_plan.become.bot",
    "Prove the bot": "release_plan.become.bot",
}


def tasks(file: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((ROLES / file).read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize(("file", "module"), LOOKS)
def test_whoever_looks_at_a_program_has_its_rights(file: str, module: str) -> None:
    found = [task["become"] for task in tasks(file) if module in task]
    assert found
    # a variable of the role, which follows the account of what is looked at
    assert all("become" in each.strip("{} ") for each in found)


def test_whoever_watches_a_program_has_its_rights() -> None:
    gates = [
        task["ansible.builtin.include_tasks"] for task in tasks("release/tasks/watch.yml") if task["name"] in WATCHED
    ]
    assert [each["apply"]["become"].strip("{} ") for each in gates] == [*WATCHED.values()]


@pytest.mark.parametrize("name", STEPS)
def test_a_step_has_the_rights_of_what_it_changes(name: str) -> None:
    (task,) = (task for task in tasks("release/tasks/steps.yml") if task["name"] == name)
    assert task["become"] == f"{{{{ {STEPS[name]} }}}}"


def test_what_steps_ask_of_the_running_server_is_there() -> None:
    """A name that is not there is left out by `default(omit)`: the server was stopped without a look at its streams."""
    variables = yaml.safe_load((ROLES / "release/vars/main.yml").read_text(encoding="utf-8"))
    (known,) = (value for name, value in variables.items() if name.endswith("_release_running"))
    texts = [path.read_text(encoding="utf-8") for path in (ROLES / "release/tasks").rglob("*.yml")]
    asked = {name for text in texts for name in re.findall(r"_release_running\.(\w+)", text)}
    assert asked
    assert asked <= {*known, "enabled"}


PLAYBOOKS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "site.yml", *ROOT.glob("playbooks/*.yml")))


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_a_playbook_works_from_any_directory(name: str, tmp_path: Path) -> None:
    """Without ansible.cfg, too, which Ansible does not read in a clone that anybody may write to."""
    environment = {each: value for each, value in os.environ.items() if not each.startswith("ANSIBLE_")}
    words = ["ansible-playbook", str(ROOT / name), "-i", str(ROOT / "inventories/production"), "--list-tasks"]
    done = subprocess.run(
        words, cwd=tmp_path, env={**environment, "HOME": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
