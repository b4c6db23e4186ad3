# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A list or a mapping that is text is refused with what to write: -e and INI inventories make text of what looks so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.rosey.nats.plugins.plugin_utils import variables

ROOT = Path(__file__).parents[4]
# The first steps of each role that read its variables.
ENTRIES = {
    "nats_server": ("describe", "outline"),
    "bot_config": ("describe",),
    "bot_plugins": ("describe",),
    "nats_monitoring": ("describe",),
    "health": ("main",),
    "diagnosis": ("main",),
    "release": ("main",),
}
# What other roles hand over, and nobody writes.
HANDED_OVER = {"release_parts", "release_server", "release_watched"}
TEXTS = {"dict": '{"a": {"b": 1}}', "list": '["a", "b"]'}
WORDS = {"dict": "a mapping", "list": "a list"}


def options() -> dict[tuple[str, str, str, str], str]:
    """Give the role, the step, the name and the kind of all lists and mappings that users write, with a text for each.

    Where there are choices, Ansible itself refuses what has none of them, and names them.
    """
    found: dict[tuple[str, str, str, str], str] = {}
    for role, entries in ENTRIES.items():
        specs = yaml.safe_load((ROOT / "roles" / role / "meta/argument_specs.yml").read_text())["argument_specs"]
        for spec in specs.values():
            for name, option in (spec.get("options") or {}).items():
                if option["type"] in TEXTS and name not in HANDED_OVER:
                    text = option.get("choices", [TEXTS[option["type"]]])[0]
                    found |= dict.fromkeys(((role, entry, name, option["type"]) for entry in entries), text)
    return found


OPTIONS = options()


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give what each step says of each variable, each on a host of its own."""
    directory = tmp_path_factory.mktemp("kinds")
    hosts = {
        f"{entry}-{name}": {"role": role, "entry": entry, name: text}
        for (role, entry, name, _kind), text in OPTIONS.items()
    }
    always = {"bot_config_environment": "development", "ansible_connection": "local", "release_dir": "/nowhere"}
    always["ansible_python_interpreter"] = sys.executable
    (directory / "hosts.yml").write_text(json.dumps({"all": {"hosts": hosts, "vars": always}}))
    step = {"include_role": {"name": "rosey.nats.{{ role }}", "tasks_from": "{{ entry }}"}}
    note = {"set_fact": {"said": "{{ ansible_failed_result.msg }}"}}
    all_of = "ansible_play_hosts_all | map('extract', hostvars) | map(attribute='said', default='nothing')"
    told = f"{{{{ dict(ansible_play_hosts_all | zip({all_of})) | to_json }}}}"
    tell = {"copy": {"content": told, "dest": f"{directory}/said.json"}, "run_once": True}
    tasks = [{"block": [step], "rescue": [note]}, tell]
    (directory / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    words = ["ansible-playbook", f"{directory}/play.yml", "-i", f"{directory}/hosts.yml"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, str] = json.loads((directory / "said.json").read_text())
    return found


@pytest.mark.parametrize(("role", "entry", "name", "kind"), OPTIONS)
def test_text_is_refused_with_what_to_write(said: dict[str, str], role: str, entry: str, name: str, kind: str) -> None:
    host = f"{entry}-{name}"
    example = {"dict": "{...}", "list": "[...]"}[kind]
    assert f"{host}: {name} is text; expected {WORDS[kind]}, and nothing was touched. " in said[host]
    assert f"""-e '{{"{name}": {example}}}'""" in said[host]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("{}", "text"),
        ("a,b", "text"),
        ("", "text"),
        # what comes of a template may be one
        ('{"a": "{{ b }}"}', ""),
        ("{% if a %}{{ b }}{% else %}{{ c }}{% endif %}", ""),
        (None, "null"),
        ("{{ lookup('file', 'config.yml') | from_yaml }}", ""),
        ({}, ""),
        ([], ""),
    ],
)
def test_what_is_neither_a_list_nor_a_mapping(value: Any, found: str) -> None:
    assert len(variables.wrong_kinds("nats_server", {"nats_server_config": value, "other": "{}"})) == bool(found)
    assert all(f" is {found}; " in each for each in variables.wrong_kinds("nats_server", {"nats_server_config": value}))
