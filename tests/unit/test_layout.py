# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known stands in packages that use each other in one direction, and no module ships what it has no use for."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "plugins"
KNOWLEDGE = PLUGINS / "module_utils"
PREFIX = "ansible_collections.rosey.nats.plugins.module_utils."
# Each may use itself and those before it.
PACKAGES = ("_host", "_deploy", "_server", "_data", "_bot", "_bus", "_watch")
MODULES = sorted((PLUGINS / "modules").glob("*.py"))

MOST_LINES = 500
TABLES = {"_server/options/table.py"}

LANGUAGE = {"_server/conf", "_server/conf_lexer", "_server/conf_reader", "_server/conf_writer", "_server/options"}
OTHERS = {*PACKAGES} - {"_host", "_deploy"}
# What a module has no use for, a file or a package.
NOT_SHIPPED = {
    "nats_release_info": OTHERS,
    "nats_release": {"_bot", "_bus", "_watch", "_server/health", *LANGUAGE},
    "nats_service": {"_bot", "_bus", "_watch", "_server/health", *LANGUAGE},
    "nats_archive": {"_data", "_bot", "_bus", "_watch", *LANGUAGE},
    "nats_binary": {"_data", "_bot", "_bus", "_watch", *LANGUAGE},
    "nats_info": {"_data", "_bot", "_bus", "_watch", "_server/archive", *LANGUAGE},
    "bot_process": OTHERS,
    "bot_plan": {"_data", "_watch", *LANGUAGE},
    "bot_health": {"_data", "_deploy", "_watch", *LANGUAGE},
    "config_tree": {"_data", "_bot", "_bus", "_watch"},
    "nats_plan": {"_bot", "_watch"},
    "bus_plan": {"_watch"},
    "nats_health": {"_bot", "_watch"},
}


def lines(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())


@cache
def used(file: Path) -> frozenset[Path]:
    """Give the files of knowledge that a file imports itself."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PREFIX.removesuffix(".")):
            names = (node.module, *(f"{node.module}.{each.name}" for each in node.names))
            found |= {KNOWLEDGE / f"{name.removeprefix(PREFIX).replace('.', '/')}.py" for name in names if name}
    return frozenset(path for path in found if path.is_file())


def shipped(module: Path) -> dict[str, int]:
    """Give what goes to a host with a module, by package and name, with its lines."""
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        new = used(waiting.pop()) - found
        found |= new
        waiting += new
    return {path.relative_to(KNOWLEDGE).with_suffix("").as_posix(): lines(path) for path in sorted(found)}


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_in_one_direction(package: str) -> None:
    allowed = PACKAGES[: PACKAGES.index(package) + 1]
    wrong = [
        f"{file.relative_to(KNOWLEDGE)} uses {path.relative_to(KNOWLEDGE)}"
        for file in sorted((KNOWLEDGE / package).rglob("*.py"))
        for path in sorted(used(file))
        if path.relative_to(KNOWLEDGE).parts[0] not in allowed
    ]
    assert wrong == []


def test_a_file_can_be_read_at_a_sitting() -> None:
    long = {path.relative_to(KNOWLEDGE).as_posix() for path in KNOWLEDGE.rglob("*.py") if lines(path) > MOST_LINES}
    assert long - TABLES == set()


def test_there_is_no_other_package() -> None:
    assert {path.name for path in KNOWLEDGE.iterdir()} - {"__pycache__"} == {*PACKAGES}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_module_ships_what_it_has_a_use_for(module: Path) -> None:
    ships = shipped(module)
    print(f"{module.stem}: {sum(ships.values())} lines in {len(ships)} files: {', '.join(ships)}")
    needless = tuple(f"{name}/" for name in NOT_SHIPPED.get(module.stem, ()))
    assert [name for name in ships if f"{name}/".startswith(needless)] == []
