# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pages name is there: links, files, commands, tags, variables, and each block is run or says why not."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.rosey.nats.plugins.filter.nats_merge import nats_merge
from ansible_collections.rosey.nats.plugins.module_utils._server.options import check
from ansible_collections.rosey.nats.plugins.plugin_utils import plugins, variables
from ansible_collections.rosey.nats.tests.docs.blocks import PAGES, ROOT, Block, blocks

RST = ROOT / "docs" / "docsite" / "rst"
LABELS = "ansible_collections.rosey.nats.docsite."
README_LINES = 200
MARKDOWN = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "docs/a-value.md")
# What a page may call like a variable of a role: what roles leave, what others take, and what is no variable.
LEFT = {"bot_config_settings", "bot_plugins_settings", "nats_server_settings", "health_look"}
TEXTS = {path: path.read_text(encoding="utf-8") for path in PAGES}


def role_options() -> dict[str, dict[str, Any]]:
    """Give the variables of all roles, as their argument_specs have them."""
    found: dict[str, dict[str, Any]] = {}
    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(path.read_text())["argument_specs"].values():
            found |= entry.get("options", {})
    return found


def test_the_readme_is_read_in_minutes() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LINES


def test_each_page_stands_in_the_table_of_contents_and_in_the_readme() -> None:
    contents = yaml.safe_load((RST.parent / "extra-docs.yml").read_text())["sections"]
    listed = [page for section in contents for page in section["toctree"]]
    assert sorted(listed) == sorted(path.stem for path in RST.glob("*.rst"))
    readme = (ROOT / "README.md").read_text()
    assert [page for page in listed if f"(docs/docsite/rst/{page}.rst)" not in readme] == []


def anchors(text: str) -> set[str]:
    """Give the anchors of the headings of Markdown, and of the titles of rst, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE) + re.findall(r"^(.+)\n[=-]{4,}$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", [*MARKDOWN, *(str(path.relative_to(ROOT)) for path in ROOT.glob("roles/*/README.md"))])
def test_each_link_of_markdown_leads_somewhere(name: str) -> None:
    page = ROOT / name
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith("https://"):
            continue
        place, _separator, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            broken.append(link)
    assert broken == []


def test_each_reference_of_the_pages_leads_to_a_label() -> None:
    labels = {label for text in TEXTS.values() for label in re.findall(r"^\.\. _(\S+):$", text, re.MULTILINE)}
    assert all(label.startswith(LABELS) for label in labels)
    referred = {name for text in TEXTS.values() for name in re.findall(r":ref:`[^`<]*<([^>`]+)>`", text)}
    assert referred
    assert referred <= labels


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_what_a_page_names_is_there(page: Path) -> None:
    text = TEXTS[page]
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:``|`|\$ )make ([a-z][a-z-]*)", text)) <= targets
    named = set(re.findall(r"(?<![\w/<])((?:playbooks|inventories|roles|tests|docs|plugins)/[\w./-]*\w)", text))
    # an environment of the reader's own
    named = {name for name in named if not name.startswith("inventories/qa")}
    assert {name for name in named if not (ROOT / name).exists()} - {
        "inventories/production/group_vars/production/vault.yml"
    } == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_each_variable_that_a_page_names_is_one(page: Path) -> None:
    roles = variables.roles()
    known = {name for role in roles for name in variables.of_role(role)}
    known |= {name for names in variables.OF_PLAYBOOKS.values() for name in names}
    known |= {f"{role}_{end}" for role in roles for end in ("description", "install", "configure", "service", "gate")}
    known |= {path.stem for path in (*ROOT.glob("plugins/modules/*"), *ROOT.glob("plugins/filter/*"))} | {*roles} | LEFT
    prefixes = tuple(f"{prefix}_" for prefix in (*roles, *variables.OF_PLAYBOOKS) if prefix != "rosey")
    named = set(re.findall(r"(?<![\w.-])[a-z]+(?:_[a-z]+)+\b(?!\.\w)", TEXTS[page]))
    assert {name for name in named if name.startswith(prefixes)} - known == set()


def test_each_extra_variable_and_tag_that_a_command_gives_is_one() -> None:
    known = {*role_options(), *(name for names in variables.OF_PLAYBOOKS.values() for name in names), "health_output"}
    given: set[str] = set()
    for text in TEXTS.values():
        given |= set(re.findall(r"-e ([a-z_]+)=", text))
    for block in blocks():
        for words in block.commands if block.language == "console" else ():
            values = [word for option, word in itertools.pairwise(words) if option == "-e" and word[0] == "{"]
            given |= {name for value in values for name in yaml.safe_load(value)}
    assert given
    assert given - known == set()
    site = (ROOT / "playbooks" / "site.yml").read_text()
    tags = {tag for text in TEXTS.values() for tag in re.findall(r"--tags ([a-z_]+)", text)}
    assert tags
    assert all(re.search(rf"(?:tags:|-) {tag}$", site, re.MULTILINE) for tag in tags)


def test_each_table_of_names_is_whole() -> None:
    reference = TEXTS[RST / "reference.rst"]
    playbooks = [path.stem for path in ROOT.glob("playbooks/*.yml")]
    extra = [name for names in variables.OF_PLAYBOOKS.values() for name in names]
    site = (ROOT / "playbooks" / "site.yml").read_text()
    tags = set(re.findall(r"^ +(?:- |tags: )((?:nats|bot)_\w+)$", site, re.MULTILINE))
    assert tags
    assert [name for name in (*playbooks, *extra, *tags) if f"    * - ``{name}``" not in reference] == []


class Loader(yaml.SafeLoader):
    """YAML as Ansible reads it."""


Loader.add_constructor("!unsafe", lambda _loader, node: str(node.value))


def problems(given: dict[str, Any]) -> list[str]:
    """Say what is wrong with variables, by the specification of their roles."""
    options = role_options()
    known = {name: {**options[name], "required": False} for name in given if name in options}
    validated = ArgumentSpecValidator(known).validate({name: given[name] for name in known})
    defaults = yaml.safe_load((ROOT / "roles/nats_server/defaults/main.yml").read_text())["nats_server_config_defaults"]
    places = {"log_file": "/var/log/nats/nats-server.log", "jetstream": {"store_dir": "/var/lib/nats"}}
    wrong = check.problems(nats_merge(defaults, places, given.get("nats_server_config", {})))
    undeclared = plugins.problems(given.get("bot_plugins_declared", []), given.get("bot_plugins_overrides", {}))
    unknown = [name for name in given if name not in options and not name.startswith("vault_")]
    return [*validated.error_messages, *map(str, [*wrong, *undeclared]), *unknown]


@pytest.mark.parametrize("block", [block for block in blocks() if block.language.startswith("yaml")], ids=str)
def test_each_block_of_variables_could_be_used(block: Block) -> None:
    assert problems(yaml.load(block.text, Loader)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"nats_server_runtime": "podman"},
        {"nats_server_config": {"max_conections": 5}},
        {"bot_plugins_declared": [{"subscriptions": []}]},
        {"nats_server_url": "https://mirror.example.org"},
    ],
    ids=str,
)
def test_a_block_that_could_not_be_used_is_found(wrong: dict[str, Any]) -> None:
    assert problems(wrong)


def test_each_block_is_run_or_checked_or_says_why_not() -> None:
    found = blocks()
    fences = sum(len(re.findall(r"^```\w|^ *\.\. code-block::", text, re.MULTILINE)) for text in TEXTS.values())
    assert len(found) == fences
    silent = [f"{block}: {block.language}" for block in found if block.reason is None]
    silent = [each for each in silent if each.split()[-1] not in ("console", "yaml", "yaml+jinja")]
    assert silent == []
    reasons = Counter(block.reason for block in found if block.reason)
    print(f"\n{len(found)} blocks, {sum(reasons.values())} of them not run:")
    for reason, count in reasons.most_common():
        print(f"  {count}, because {reason}")
