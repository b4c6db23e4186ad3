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
    "bot_gate": {"_data", "_deploy", "_watch", *LANGUAGE},
    "config_tree": {"_data", "_bot", "_bus", "_watch"},
    "nats_plan": {"_bot", "_watch"},
    "bus_plan": {"_watch"},
    "nats_gate": {"_bot", "_watch"},
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


def wrong_ways(package: str) -> list[str]:
    """Name what a package uses and may not."""
    allowed = PACKAGES[: PACKAGES.index(package) + 1]
    return [
        f"{file.relative_to(KNOWLEDGE)} uses {path.relative_to(KNOWLEDGE)}"
        for file in sorted((KNOWLEDGE / package).rglob("*.py"))
        for path in sorted(used(file))
        if path.relative_to(KNOWLEDGE).parts[0] not in allowed
    ]


def too_long() -> set[str]:
    """Name the files that nobody reads at a sitting."""
    long = {path.relative_to(KNOWLEDGE).as_posix() for path in KNOWLEDGE.rglob("*.py") if lines(path) > MOST_LINES}
    return long - TABLES


def strange() -> set[str]:
    """Name what stands beside the packages."""
    return {path.name for path in KNOWLEDGE.iterdir()} - {"__pycache__", *PACKAGES}


def needless(module: Path) -> list[str]:
    """Name what a module ships and has no use for."""
    unwanted = tuple(f"{name}/" for name in NOT_SHIPPED.get(module.stem, ()))
    return [name for name in shipped(module) if f"{name}/".startswith(unwanted)]


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_in_one_direction(package: str) -> None:
    assert (KNOWLEDGE / package).is_dir()
    assert wrong_ways(package) == []


def test_a_file_can_be_read_at_a_sitting() -> None:
    assert too_long() == set()


def test_there_is_no_other_package() -> None:
    assert strange() == set()


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_module_ships_what_it_has_a_use_for(module: Path) -> None:
    ships = shipped(module)
    print(f"{module.stem}: {sum(ships.values())} lines in {len(ships)} files: {', '.join(ships)}")
    assert needless(module) == []


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a small tree of packages that the rules are held against, to be broken."""
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "it.py").write_text("X = 1\n")
    monkeypatch.setitem(globals(), "KNOWLEDGE", tmp_path)
    return tmp_path


def imports(package: str) -> str:
    return f"from {PREFIX}{package} import it\n"


@pytest.mark.parametrize(("package", "other"), [("_host", "_server"), ("_deploy", "_bus"), ("_bus", "_watch")])
def test_an_import_in_the_other_direction_is_found(broken: Path, package: str, other: str) -> None:
    (broken / other / "it.py").write_text(imports(package))
    assert wrong_ways(other) == []
    (broken / package / "more.py").write_text(imports(other))
    assert wrong_ways(package) == [f"{package}/more.py uses {other}/it.py"]


def test_a_file_that_is_too_long_is_found(broken: Path) -> None:
    (broken / "_host" / "it.py").write_text("X = 1\n" * (MOST_LINES + 1))
    assert too_long() == {"_host/it.py"}


def test_another_package_is_found(broken: Path) -> None:
    (broken / "_more").mkdir()
    assert strange() == {"_more"}


def test_what_a_module_has_no_use_for_is_found_however_it_comes(broken: Path) -> None:
    module = broken / "nats_release_info.py"
    module.write_text(imports("_deploy"))
    assert needless(module) == []
    (broken / "_deploy" / "it.py").write_text(imports("_server"))
    used.cache_clear()
    assert needless(module) == ["_server/it"]
