# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-doc has a page with an example for all that the collection gives; a playbook begins with its own."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.rosey.nats.plugins.plugin_utils import variables

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = "rosey.nats"
MODULES = sorted(path.stem for path in ROOT.glob("plugins/modules/*.py"))
FILTERS = sorted(path.stem for path in ROOT.glob("plugins/filter/*.yml"))
ROLES = sorted(path.parents[1].name for path in ROOT.glob("roles/*/meta/argument_specs.yml"))
PLAYBOOKS = sorted(ROOT.glob("playbooks/*.yml"))
DEPLOY = (ROOT / "docs/docsite/rst/deploy.rst").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


def pages(kind: str, names: list[str]) -> dict[str, Any]:
    """Give what ansible-doc knows of the plugins with these names."""
    words = ["ansible-doc", "--json", "--type", kind, *(f"{COLLECTION}.{name}" for name in names)]
    said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(said.stdout)
    return found


@pytest.fixture(scope="module")
def documented() -> dict[str, dict[str, Any]]:
    return {"module": pages("module", MODULES), "filter": pages("filter", FILTERS), "role": pages("role", ROLES)}


@pytest.mark.parametrize(
    ("kind", "name"), [*(("module", name) for name in MODULES), *(("filter", name) for name in FILTERS)]
)
def test_a_plugin_has_a_page_with_a_runnable_example(
    documented: dict[str, dict[str, Any]], kind: str, name: str
) -> None:
    page = documented[kind][f"{COLLECTION}.{name}"]
    assert page["doc"]["short_description"]
    assert page["return"]
    assert f"{COLLECTION}.{name}" in page["examples"]
    assert isinstance(yaml.safe_load(page["examples"]), list)


@pytest.mark.parametrize("name", ROLES)
def test_a_role_has_a_page_with_a_runnable_example(documented: dict[str, dict[str, Any]], name: str) -> None:
    for entry_point in documented["role"][f"{COLLECTION}.{name}"]["entry_points"].values():
        assert entry_point["short_description"]
        assert all(option.get("description") for option in entry_point["options"].values())
        assert f"{COLLECTION}.{name}" in entry_point["examples"]
        assert isinstance(yaml.safe_load(entry_point["examples"]), list)


@pytest.mark.parametrize("name", ROLES)
def test_a_role_documents_exactly_its_defaults(documented: dict[str, dict[str, Any]], name: str) -> None:
    defaults = yaml.safe_load((ROOT / "roles" / name / "defaults" / "main.yml").read_text())
    entry_point = documented["role"][f"{COLLECTION}.{name}"]["entry_points"]["main"]
    optional = {name for name, option in entry_point["options"].items() if not option.get("required")}
    assert optional == set(defaults)


@pytest.mark.parametrize("name", ROLES)
def test_the_default_of_each_variable_is_told_as_it_is(documented: dict[str, dict[str, Any]], name: str) -> None:
    """Without one ansible-doc says null; what follows from other variables is told in a sentence."""
    defaults = yaml.safe_load((ROOT / "roles" / name / "defaults" / "main.yml").read_text())
    for entry_point in documented["role"][f"{COLLECTION}.{name}"]["entry_points"].values():
        optional = {key: option for key, option in entry_point["options"].items() if not option.get("required")}
        given = {key: option["default"] for key, option in optional.items() if "default" in option}
        assert {key: defaults.get(key, value) for key, value in given.items()} == given
        untold = [key for key in optional.keys() - given.keys() if "default" not in str(optional[key]["description"])]
        assert untold == [], "give its default, or a sentence that says what it follows from"


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.stem)
def test_a_playbook_begins_with_how_to_run_it(playbook: Path) -> None:
    head = itertools.takewhile(lambda line: line.startswith(("---", "#")), playbook.read_text().splitlines())
    assert any(re.match(rf"# ansible-playbook \S*\b{playbook.stem}\b", line) for line in head)


@pytest.mark.parametrize("name", ROLES)
def test_an_example_takes_only_what_a_role_documents(documented: dict[str, dict[str, Any]], name: str) -> None:
    roles = documented["role"]
    for entry_point in roles[f"{COLLECTION}.{name}"]["entry_points"].values():
        taken = re.findall(rf"name: ({COLLECTION}\S+)\n +tasks_from: (\S+)", entry_point["examples"])
        assert [(role, tasks) for role, tasks in taken if tasks not in roles[role]["entry_points"]] == []


@pytest.mark.parametrize("name", ROLES)
def test_a_role_has_a_page_of_its_own_with_its_example(documented: dict[str, dict[str, Any]], name: str) -> None:
    page = (ROOT / "roles" / name / "README.md").read_text()
    assert page.startswith(f"# {COLLECTION}.{name}\n")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert example.strip() == documented["role"][f"{COLLECTION}.{name}"]["entry_points"]["main"]["examples"].strip()
    words = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", page))
    named = {word for word in words for role in ROLES if word.startswith(f"{role}_")}
    left = {f"{role}_description" for role in ROLES}
    assert named <= {*ROLES, *left, *(variable for role in ROLES for variable in variables.of_role(role))}


def test_the_page_on_deploying_names_what_site_can_be_narrowed_to() -> None:
    site = (ROOT / "playbooks" / "site.yml").read_text()
    parts = [name for name in ROLES if re.search(rf"(?:tags:|-) {name}$", site, re.MULTILINE)]
    assert parts
    assert [part for part in parts if f"``{part}``" not in DEPLOY] == []


@pytest.mark.parametrize("pattern", ["module_utils/*/*", "plugin_utils/*.py"])
def test_contributors_are_told_every_home_of_knowledge(pattern: str) -> None:
    homes = {path.stem for path in (ROOT / "plugins").glob(pattern) if "__pycache__" not in path.parts}
    parts = {home for home in homes if any(home.startswith(f"{whole}_") for whole in homes)}
    assert [home for home in sorted(homes - parts) if f"`{home}`" not in CONTRIBUTING] == []


def test_there_is_something_to_document() -> None:
    assert MODULES
    assert FILTERS
    assert ROLES
    assert PLAYBOOKS


def test_the_role_takes_the_keys_that_the_module_knows(documented: dict[str, dict[str, Any]]) -> None:
    module = documented["module"][f"{COLLECTION}.bot_gate"]["doc"]["options"]["required"]
    role = documented["role"][f"{COLLECTION}.bot_config"]["entry_points"]["main"]["options"]
    assert role["bot_config_health_required"]["choices"] == module["choices"]


# What has one meaning wherever a module takes it. Others, such as state, mean what their module makes of them.
SHARED = {"client_name", "health_url", "home", "pid_file", "plugins", "stop_timeout", "timeout"}


def options_of(options: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, option in options.items():
        yield name, option
        yield from options_of(option.get("suboptions") or {})


@pytest.mark.parametrize("name", sorted(SHARED))
def test_what_means_the_same_has_one_type_and_one_description(documented: dict[str, dict[str, Any]], name: str) -> None:
    found = [
        option
        for module in documented["module"].values()
        for each, option in options_of(module["doc"]["options"])
        if each == name
    ]
    assert len(found) > 1
    assert len({option["type"] for option in found}) == 1
    texts = [option["description"] for option in found]
    said = [" ".join([text] if isinstance(text, str) else text) for text in texts]
    # the first words, whatever a module adds: under which condition it counts, and what it does with it
    beginnings = {" ".join(re.sub(r"^With O\(\S+\), t", "T", each).split()[:5]) for each in said}
    assert len(beginnings) == 1, said


def calls(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give what a module of the collection is given, wherever tasks stand."""
    for key, inner in value.items() if isinstance(value, dict) else ():
        if str(key).startswith(f"{COLLECTION}.") and isinstance(inner, dict):
            yield key, inner
        yield from calls(inner)
    for inner in value if isinstance(value, list) else ():
        yield from calls(inner)


def test_each_task_gives_a_module_what_it_takes(documented: dict[str, dict[str, Any]]) -> None:
    found = [
        (path, module, given)
        for place in ("roles", "playbooks", "molecule", "bench", "tests/bot")
        for path in sorted((ROOT / place).rglob("*.yml"))
        for module, given in calls(yaml.safe_load(path.read_text()))
        if module in documented["module"]
    ]
    assert len(found) > 30
    for path, module, given in found:
        options = documented["module"][module]["doc"]["options"]
        required = {name for name, option in options.items() if option.get("required")}
        assert given.keys() <= options.keys(), (path, module)
        assert required <= given.keys(), (path, module)
