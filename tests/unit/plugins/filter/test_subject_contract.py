# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import typing as t

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.filter.subject_contract import FilterModule

subject_contract = FilterModule().filters()["subject_contract"]


def test_the_example_gives_what_it_says(run_example: t.Callable[[str], tuple[t.Any, str]]) -> None:
    found, promised = run_example("subject_contract")
    findings = found.pop("findings")
    assert found == yaml.safe_load(promised)
    assert [finding["severity"] for finding in findings] == ["error", "warning"]
    assert json.loads(json.dumps(findings)) == findings


def test_traffic_that_is_no_list_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="subject_contract: the bot: publishes: "):
        subject_contract([], "rosey.dev", {"publishes": "commands.>"})
