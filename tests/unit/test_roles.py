# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles keep what is theirs to themselves, and their tasks show an order: what is decided, is decided in Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from jinja2 import nodes

ROOT = Path(__file__).parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
OWN = re.compile(rf"__({'|'.join(sorted(ROLES, key=len, reverse=True))})_\w+")
PLACES = ("roles", "playbooks", "molecule", "tests", "bench", "inventories", "plugins", "docs", "README.md")
TEXTS = {".yml", ".yaml", ".j2", ".py", ".md", ".rst", ".sh"}

SIMPLE = (nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const)
# What words are made with may be longer: the message of a failure is no decision.
WORDS = {"fail_msg", "msg", "success_msg"}
FILTERS_OF_CONDITIONS = {"default", "bool", "length"}
FILTERS_OF_ARGUMENTS = {"default", "bool", "rosey.nats.lease_claim"}


def texts() -> Iterator[tuple[Path, str]]:
    for place in PLACES:
        path = ROOT / place
        found = [path] if path.is_file() else sorted(path.rglob("*"))
        for each in found:
            if each.is_file() and each.suffix in TEXTS and "output" not in each.parts:
                yield each.relative_to(ROOT), each.read_text(encoding="utf-8")


def foreign_names(path: Path, text: str) -> list[str]:
    """Give what a file names of what a role, other than its own, keeps to itself."""
    return [f"{path}: {match[0]}" for match in OWN.finditer(text) if path.parts[:2] != ("roles", match[1])]


def test_no_role_names_what_another_keeps_to_itself() -> None:
    assert [each for path, text in texts() for each in foreign_names(path, text)] == []


DESCRIBING_ROLES = ("nats_server", "bot_config", "bot_plugins")


def test_each_describing_role_ends_with_one_plain_value() -> None:
    for role in DESCRIBING_ROLES:
        tasks = "".join(path.read_text() for path in (ROOT / "roles" / role / "tasks").glob("*.yml"))
        assert f"{role}_description:" in tasks


def unlisted(role: str, variables: dict[str, Any]) -> list[str]:
    """Name the entries of a role that no description would have."""
    listed = set(re.findall(r"\w+", yaml.safe_dump(variables[f"__{role}_entries"])))
    return [name for name in variables if name.startswith(f"__{role}_entry_") and name not in listed]


@pytest.mark.parametrize("role", DESCRIBING_ROLES)
def test_each_entry_is_described(role: str) -> None:
    variables = yaml.safe_load((ROOT / "roles" / role / "vars/main.yml").read_text(encoding="utf-8"))
    assert unlisted(role, variables) == []
    assert unlisted(role, {**variables, f"__{role}_entry_forgotten": {}}) == [f"__{role}_entry_forgotten"]


def tasks(source: Any) -> Iterator[dict[str, Any]]:
    """Give every task of a file, those of blocks and plays among them."""
    for item in source or []:
        inner = [key for key in ("tasks", "pre_tasks", "post_tasks", "block", "rescue", "always") if key in item]
        for key in inner:
            yield from tasks(item[key])
        if not {"hosts", "ansible.builtin.import_playbook"} & item.keys():
            yield item


def gives_outline(path: Path) -> bool:
    """Say whether tasks give what follows from the configuration, by themselves or by what they import."""
    name = "ansible.builtin.import_tasks"
    own = yaml.safe_load(path.read_text(encoding="utf-8"))
    return any(
        "nats_server_outline" in task.get("ansible.builtin.set_fact", {})
        or (name in task and gives_outline(path.with_name(task[name])))
        for task in tasks(own)
    )


def test_what_follows_from_a_configuration_is_of_the_instance_at_hand() -> None:
    """A fact outlives the vars of a role: of two instances on a host, the one would be stopped as the other is."""
    files = sorted((ROOT / "roles/nats_server/tasks").glob("*.yml"))
    assert files
    assert [path.name for path in files if not gives_outline(path)] == []


FILES = sorted((*ROOT.glob("roles/*/tasks/**/*.yml"), *ROOT.glob("playbooks/**/*.yml")))
# Each with the words that name it.
TASKS: dict[str, dict[str, Any]] = {
    f"{path.relative_to(ROOT)}:{number}:{task.get('name', '')}": task
    for path in FILES
    for number, task in enumerate(tasks(yaml.safe_load(path.read_text(encoding="utf-8"))))
}
# It only reads: whether there are such filters and tests is for Ansible to know.
ENVIRONMENT = jinja2.Environment(autoescape=True)


def parsed(expression: str) -> nodes.Node:
    """Give the one expression of a text."""
    output = ENVIRONMENT.parse("{{ " + expression + " }}").body[0]
    assert isinstance(output, nodes.Output)
    return output.nodes[0]


def is_plain(node: nodes.Node, filters: set[str]) -> bool:
    """Say whether an expression is a name, with no more than these filters."""
    if isinstance(node, nodes.Filter):
        return node.name in filters and node.node is not None and is_plain(node.node, filters)
    return isinstance(node, SIMPLE) and all(is_plain(each, filters) for each in node.iter_child_nodes())


def is_a_condition(node: nodes.Node) -> bool:
    """Say whether an expression is one name, or one comparison."""
    if isinstance(node, nodes.Not):
        return is_a_condition(node.node)
    if isinstance(node, nodes.Test):
        return is_plain(node.node, FILTERS_OF_CONDITIONS)
    if isinstance(node, nodes.Compare):
        sides = [node.expr, *(each.expr for each in node.ops)]
        return len(node.ops) == 1 and all(
            is_plain(each, FILTERS_OF_CONDITIONS) or isinstance(each, nodes.List) for each in sides
        )
    return is_plain(node, FILTERS_OF_CONDITIONS)


def conditions(task: dict[str, Any]) -> list[str]:
    said = task.get("when", [])
    return [str(each) for each in (said if isinstance(said, list) else [said])]


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if "when" in task])
def test_a_condition_is_one_name_or_one_comparison(name: str) -> None:
    assert [each for each in conditions(TASKS[name]) if not is_a_condition(parsed(each))] == []


def arguments(value: Any) -> Iterator[str]:
    """Give every text of a module's arguments, but those that are words."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from arguments(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            if name not in WORDS:
                yield from arguments(each)


def modules_arguments(task: dict[str, Any]) -> list[str]:
    return [text for key, value in task.items() if "." in key for text in arguments(value)]


def is_decided(text: str) -> bool:
    """Say whether a template decides anything, or makes one thing of another."""
    template = ENVIRONMENT.parse(text)
    filters = {each.name for each in template.find_all(nodes.Filter)} - FILTERS_OF_ARGUMENTS
    deciding = (nodes.CondExpr, nodes.And, nodes.Or, nodes.If, nodes.For, nodes.Add, nodes.Call)
    return bool(filters) or any(template.find_all(deciding))


# Whoever sets a fact describes a variable; who asserts, says a condition.
DESCRIBING = {"ansible.builtin.set_fact", "ansible.builtin.assert"}


def test_an_argument_is_a_name() -> None:
    found = [
        f"{name}: {text}"
        for name, task in TASKS.items()
        if not DESCRIBING & task.keys()
        for text in modules_arguments(task)
        if is_decided(text)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("ready", True),
        ("not ready", True),
        ("plan.steps.any", True),
        ("mode == 'nats'", True),
        ("runtime in ['systemd', 'process']", True),
        ("path is defined", True),
        ("found | default([]) | length > 0", True),
        ("ready and able", False),
        ("ready or able", False),
        ("found | map(attribute='path')", False),
        ("a == b == c", False),
        ("(a if b else c) == d", False),
        ("not (ready and able)", False),
    ],
)
def test_what_counts_as_one_condition(condition: str, *, holds: bool) -> None:
    assert is_a_condition(parsed(condition)) is holds


@pytest.mark.parametrize(
    ("argument", "decides"),
    [
        ("text", False),
        ("{{ name }}", False),
        ("{{ plan.server.path }}/{{ name }}", False),
        ("{{ name | default(omit, true) }}", False),
        ("{{ wanted | bool }}", False),
        ("{{ a if b else c }}", True),
        ("{{ a or b }}", True),
        ("{{ names | join(' ') }}", True),
        ("{{ a + b }}", True),
        ("{% if a %}b{% endif %}", True),
        ("{{ now() }}", True),
    ],
)
def test_what_counts_as_a_decision(argument: str, *, decides: bool) -> None:
    assert is_decided(argument) is decides


@pytest.mark.parametrize(
    ("path", "foreign"),
    [
        ("roles/release/tasks/main.yml", False),
        ("roles/health/tasks/main.yml", True),
        ("playbooks/site.yml", True),
        ("tests/deployment/test_it.py", True),
    ],
)
def test_what_counts_as_another_role(path: str, *, foreign: bool) -> None:
    text = "{{ " + "__" + "release_plan }}"
    assert bool(foreign_names(Path(path), text)) is foreign
