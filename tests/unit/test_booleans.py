# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boolean is read as users give it: -e and INI inventories make text of it, and the text "false" counts as true."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment, nodes

ROOT = Path(__file__).parents[2]
OPTIONS = {
    name
    for path in ROOT.glob("roles/*/meta/argument_specs.yml")
    for spec in yaml.safe_load(path.read_text())["argument_specs"].values()
    for name, option in (spec.get("options") or {}).items()
    if option.get("type") == "bool"
}
# Extra variables of playbooks have no specification: what is taken for false, or true, where it is not given, is one.
GIVEN = re.compile(r"\b([a-z]\w*)\s*\|\s*default\((?:true|false)\)")
FILES = [
    *sorted(ROOT.glob("playbooks/**/*.yml")),
    *(path for kind in ("tasks", "vars", "templates") for path in sorted(ROOT.glob(f"roles/*/{kind}/**/*.*"))),
]
# What a role makes is a boolean by then.
MADE = {name for path in ROOT.glob("roles/*/vars/main.yml") for name in yaml.safe_load(path.read_text())}
BOOLEANS = {*OPTIONS, *(name for path in FILES for name in GIVEN.findall(path.read_text()))} - MADE
PARSER = Environment(autoescape=False)


def unread(node: nodes.Node) -> Iterator[str]:
    """Name the booleans of an expression that are taken as they come."""
    if isinstance(node, nodes.Filter) and node.name == "bool":
        inner = node.node.node if isinstance(node.node, nodes.Filter) and node.node.name == "default" else node.node
        if isinstance(inner, nodes.Name):
            return
    if isinstance(node, nodes.Name) and node.name in BOOLEANS:
        yield node.name
    for each in node.iter_child_nodes():
        yield from unread(each)


def is_passed_on(tree: nodes.Template) -> bool:
    """Tell whether a template is nothing but a name: who is given it, a module or another role, reads it."""
    output = tree.body[0] if len(tree.body) == 1 else None
    only = output.nodes[0] if isinstance(output, nodes.Output) and len(output.nodes) == 1 else None
    return isinstance(only, nodes.Name) or (isinstance(only, nodes.Filter) and only.name == "default")


def expressions(value: Any, *, is_condition: bool = False) -> Iterator[str]:
    """Give the templates in a file of YAML; a condition has no braces."""
    if isinstance(value, str):
        yield f"{{{{ {value} }}}} " if is_condition else value
    for each in value if isinstance(value, list) else []:
        yield from expressions(each, is_condition=is_condition)
    for name, each in value.items() if isinstance(value, dict) else []:
        yield from expressions(each, is_condition=name in ("when", "that", "failed_when", "changed_when", "until"))


def taken_as_they_come(text: str, *, may_pass_on: bool) -> list[str]:
    tree = PARSER.parse(text)
    return [] if may_pass_on and is_passed_on(tree) else list(unread(tree))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_boolean_is_read_as_it_is_given(path: Path) -> None:
    text = path.read_text()
    whole = [text] if path.suffix == ".j2" else list(expressions(yaml.safe_load(text)))
    may_pass_on = path.parent.name != "vars"
    assert [each for part in whole for each in taken_as_they_come(part, may_pass_on=may_pass_on)] == []


@pytest.mark.parametrize(
    ("text", "passes_on", "taken"),
    [
        ("{{ nats_server_gate }}", True, []),
        ("{{ nats_server_gate }}", False, ["nats_server_gate"]),
        ("{{ nats_server_gate | bool }}", False, []),
        ("{{ nats_server_gate | default(false) | bool }}", False, []),
        ("{{ nats_server_gate | default(false) }} ", False, ["nats_server_gate"]),
        ("{{ 1 if nats_server_gate else 2 }}", True, ["nats_server_gate"]),
        ("{{ 1 if nats_server_gate | bool and release_take_over else 2 }}", True, ["release_take_over"]),
        ("{{ 'nats_server_gate: false' }}", False, []),
    ],
)
def test_what_counts_as_read(text: str, passes_on: bool, taken: list[str]) -> None:
    assert taken_as_they_come(text, may_pass_on=passes_on) == taken


SPELLINGS: dict[str, tuple[Any, bool]] = {
    "yaml-true": (True, True),
    "yaml-false": (False, False),
    **{f"text-{text}": (text, True) for text in ("true", "Yes", "1")},
    **{f"text-{text}": (text, False) for text in ("false", "no", "0")},
    "number-0": (0, False),
}


def test_a_description_says_the_same_however_it_is_spelled(tmp_path: Path) -> None:
    given = {
        name: {"nats_server_gate": said, "bot_config_round_trip": said} for name, (said, _means) in SPELLINGS.items()
    }
    always = {"bot_config_environment": "development", "bot_config_home": "/opt/rosey-bot", "nats_server_config": {}}
    always |= {"nats_server_runtime": "process", "nats_server_prefix": "/nowhere", "ansible_connection": "local"}
    always["ansible_python_interpreter"] = sys.executable
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(json.dumps({"rosey": {"hosts": given, "vars": always}}))
    roles = ["nats_server", "bot_config"]
    describe = [{"import_role": {"name": f"rosey.nats.{role}", "tasks_from": "describe"}} for role in roles]
    gate, round_trip = "nats_server_description.settings.gate", "bot_config_description.settings.round_trip"
    say = {"set_fact": {"said": [f"{{{{ {gate} }}}}", f"{{{{ {round_trip} }}}}"]}}
    hosts = "ansible_play_hosts | map('extract', hostvars)"
    found = f"dict({hosts} | map(attribute='inventory_hostname') | zip({hosts} | map(attribute='said')))"
    tell = {"copy": {"content": f"{{{{ {found} | to_json }}}}", "dest": f"{tmp_path}/said.json"}, "run_once": True}
    playbook = tmp_path / "describe.yml"
    playbook.write_text(json.dumps([{"hosts": "rosey", "gather_facts": False, "tasks": [*describe, say, tell]}]))
    words = ["ansible-playbook", str(playbook), f"-i{inventory}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    expected = {name: [means, means] for name, (_said, means) in SPELLINGS.items()}
    assert json.loads((tmp_path / "said.json").read_text()) == expected
