# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.rosey.nats.plugins.plugin_utils import run_input

TAGS = {"always", "nats_server", "nats_server_gate", "bot_config"}
LIST = "Its tags are bot_config, nats_server, nats_server_gate."


@pytest.mark.parametrize(
    ("given", "skipped", "known", "expected"),
    [
        (["all"], [], TAGS, ""),
        (["tagged"], [], TAGS, ""),
        (["nats_server", "bot_config"], ["nats_server_gate"], TAGS, ""),
        (["nats-server"], [], TAGS, "--tags nats-server: site.yml has no such tag. Nothing was done. "
         f"Write nats_server, if that is meant. {LIST}"),
        (["nats_server", "zzz"], [], TAGS, f"--tags zzz: site.yml has no such tag. Nothing was done. {LIST}"),
        (["untagged"], [], TAGS, f"--tags untagged: site.yml has no such tag. Nothing was done. {LIST}"),
        (["all"], ["always"], TAGS, f"--skip-tags always: site.yml has no such tag. Nothing was done. {LIST}"),
        (["all"], [], {"always"}, ""),
        (["tagged"], [], {"always"}, "--tags tagged: site.yml has no tags. Nothing was done. Run it without --tags."),
        (["all"], ["molecule-notest", "notest"], TAGS, ""),
        (["all"], ["x"], set(), ""),
    ],
)  # fmt: skip
def test_a_tag_that_no_task_has(given: list[str], skipped: list[str], known: set[str], expected: str) -> None:
    assert run_input.tags_problem(given, skipped, known, "site.yml") == expected


GROUPS = {"all": ["a1", "a2", "w1"], "ungrouped": [], "rosey": ["a1", "a2"], "web": ["w1"], "empty": []}
BEGIN = "site.yml: no host matches"


@pytest.mark.parametrize(
    ("patterns", "limit", "groups", "expected"),
    [
        (["rosey"], None, {"all": [], "ungrouped": []}, f"{BEGIN} rosey. Nothing was done. The inventory has no host. "
         "Give the inventory of your servers with -i."),
        (["rosy"], None, GROUPS, f"{BEGIN} rosy. Nothing was done. Write rosey, if that is meant. The groups are rosey "
         "(a1, a2); web (w1)."),
        (["empty"], None, GROUPS, f"{BEGIN} empty. Nothing was done. Put your servers into empty. The groups are rosey "
         "(a1, a2); web (w1)."),
        (["rosey", "rosey"], "web", GROUPS, f"{BEGIN} rosey within --limit web. Nothing was done. The hosts of rosey "
         "are a1, a2."),
        (["rosey"], None, {"all": ["a"], "ungrouped": ["a"]}, f"{BEGIN} rosey. Nothing was done. Put your servers into "
         "rosey. The hosts are a."),
        (["x"], None, {"g": [f"h{number}" for number in range(22)]}, f"{BEGIN} x. Nothing was done. Put your servers "
         f"into x. The groups are g ({', '.join(f'h{number}' for number in range(20))} and 2 more)."),
    ],
)  # fmt: skip
def test_no_host(patterns: list[str], limit: str | None, groups: dict[str, list[str]], expected: str) -> None:
    assert run_input.hosts_problem("site.yml", patterns, limit, groups) == expected


def test_an_inventory_that_does_not_count(tmp_path: Path) -> None:
    good, broken, gone = tmp_path / "good", tmp_path / "broken", tmp_path / "gone"
    good.touch()
    broken.touch()
    fine = [str(good), str(tmp_path), "a,b", "@controller", "/etc/ansible/hosts"]
    assert run_input.inventory_problem(fine, [str(good)]) == ""
    expected = f"The inventory {gone} does not exist. Nothing was done. Give one that does with -i."
    assert run_input.inventory_problem([*fine, str(gone)], [str(good)]) == expected
    expected = f"The inventory {broken} can't be read; Ansible's warnings say why. Nothing was done. Correct it."
    assert run_input.inventory_problem([*fine, str(broken)], [str(good)]) == expected
