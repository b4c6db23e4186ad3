# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/contract.yml draws the bus and shows who may do what, of hosts that nobody could reach."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from ansible_collections.rosey.nats.tests.integration.conftest import ROOT, run_playbook
from ansible_collections.rosey.nats.tests.sampling import sampled

PLAYBOOK = "playbooks/contract.yml"
PRODUCTION = ROOT / "inventories" / "production"


@pytest.mark.thorough
def test_the_suffix_decides_what_is_drawn(tmp_path: Path) -> None:
    begins = {"bus.svg": "<svg ", "bus.md": "```mermaid\n---\n", "bus.MMD": "---\ntitle: "}
    for name, begin in begins.items():
        said = run_playbook(PLAYBOOK, PRODUCTION, "-e", f"contract_picture={tmp_path / name}")
        assert said.startswith("exit 0"), said
        assert (tmp_path / name).read_text().startswith(begin)
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o644
    assert ElementTree.parse(tmp_path / "bus.svg").getroot().get("role") == "img"


@pytest.mark.thorough
def test_a_relative_path_is_where_the_command_is_run(tmp_path: Path) -> None:
    for options, changed, there in ((["--check"], 1, False), ([], 1, True), ([], 0, True)):
        done = subprocess.run(
            [
                "ansible-playbook",
                str(ROOT / PLAYBOOK),
                "-i",
                str(PRODUCTION),
                "-e",
                "contract_picture=bus.svg",
                *options,
            ],
            cwd=tmp_path,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done
        assert f"changed={changed} " in done.stdout
        assert (tmp_path / "bus.svg").exists() is there


@pytest.mark.parametrize("name", sampled(["bus.png", "bus", ""], 1))
def test_another_suffix_is_an_error(tmp_path: Path, name: str) -> None:
    path = f"{tmp_path / name}" if name else ""
    said = run_playbook(PLAYBOOK, PRODUCTION, "-e", f"contract_picture={path}")
    assert (
        f"contract_picture is {json.dumps(path)}; expected a path that ends in one of .svg, .md, .mmd. Name such"
        in said
    )
    assert not said.startswith("exit 0")
    assert list(tmp_path.iterdir()) == []


def test_without_a_picture_nothing_is_drawn(tmp_path: Path) -> None:
    said = run_playbook(PLAYBOOK, PRODUCTION)
    assert said.startswith("exit 0"), said
    assert "changed=0" in said


def test_what_does_not_fit_is_drawn_too_and_as_nobody_else(tmp_path: Path) -> None:
    """Not even where all of the inventory is asked to become another user, which this machine may not have."""
    picture = tmp_path / "bus.svg"
    inventory = tmp_path / "hosts.yml"
    variables: dict[str, Any] = {
        "ansible_become": True,
        "ansible_become_user": "nobody-of-this-name",
        "bot_config_environment": "production",
        "bot_plugins_declared": [{"name": "roll", "publishes": ["rosey.dev.cytube.chat.message"]}],
    }
    hosts = {"one.example.invalid": None, "two.example.invalid": None}
    inventory.write_text(json.dumps({"all": {"vars": variables}, "rosey": {"hosts": hosts}}))
    said = run_playbook(PLAYBOOK, inventory, "-e", f"contract_picture={picture}")
    assert "the subjects of production do not hold together; nothing was touched" in said
    assert not said.startswith("exit 0")
    assert said.count("-> localhost]") == 1
    assert "has the prefix of development" in picture.read_text()


SECRET = """
bot_plugins_credentials_secret: !vault |
  $ANSIBLE_VAULT;1.1;AES256
  3030
"""


@pytest.mark.parametrize(
    ("variables", "heading"),
    [
        ("bot_plugins_credentials: shared", "Not in force, since bot_plugins_credentials is shared; with each it"),
        ("bot_plugins_credentials: each" + SECRET, "In force, since bot_plugins_credentials is each:"),
    ],
)
def test_who_may_do_what_is_shown_without_a_vault(tmp_path: Path, variables: str, heading: str) -> None:
    file = tmp_path / "more.yml"
    file.write_text(f"{variables}\nbot_plugins_overrides: {{quotes: {{subscriptions: ['>']}}}}\n")
    said = run_playbook(PLAYBOOK, PRODUCTION, "-e", f"@{file}")
    assert said.startswith("exit 0"), said
    assert heading in said
    assert "$SYS.REQ.USER.INFO             | but not rosey.prod._inbox.bot.>" in said
    assert "quotes: hears everything below rosey.prod" in said
