# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no run of a playbook as root would show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
# The steps of a role that look at what may lie in directories of another account.
LOOKS = {
    ("rosey.nats.bot_config", "look.yml"): "{{ __bot_config_target.become }}",
    ("rosey.nats.bot_config", "gate.yml"): "{{ __bot_config_target.become }}",
    ("rosey.nats.nats_server", "gate.yml"): "{{ __nats_server_target.become }}",
}


@pytest.mark.parametrize("playbook", sorted(path.name for path in ROOT.glob("playbooks/*.yml")))
def test_whoever_looks_at_a_program_has_its_rights(playbook: str) -> None:
    plays: list[dict[str, Any]] = yaml.safe_load((ROOT / "playbooks" / playbook).read_text(encoding="utf-8"))
    for task in (task for play in plays for task in play.get("tasks", [])):
        role = task.get("ansible.builtin.import_role", {})
        become = LOOKS.get((role.get("name"), role.get("tasks_from")))
        assert become is None or become.strip("{} ") in str(task.get("become")), task["name"]
