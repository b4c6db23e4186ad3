# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's Python that is too old is named before anything is imported, and what Python 3.9 lacks is made up for."""

from __future__ import annotations

import ast
import subprocess
import sys
from enum import auto
from pathlib import Path

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._host import python

ROOT = Path(__file__).parents[5]
PLUGINS = "ansible_collections.rosey.nats.plugins"
PRETEND = f"""
import sys
sys.path.insert(0, {str(ROOT / "collections")!r})
sys.version_info = (3, 8, 10, "final", 0)
try:
    import {PLUGINS}.modules.%s
except ImportError as error:
    print(error)
print(sorted(name for name in sys.modules if name.startswith("{PLUGINS}.module_utils._")))
"""


@pytest.mark.parametrize("module", sorted(path.stem for path in ROOT.glob("plugins/modules/*.py")))
def test_a_python_that_is_too_old_is_named_before_anything_else(module: str) -> None:
    said, loaded = subprocess.check_output([sys.executable, "-c", PRETEND % module], text=True).splitlines()
    assert said == (
        f"{sys.executable} on this host is Python 3.8.10, rosey.nats needs Python 3.9 or later there: "
        "install it, and set ansible_python_interpreter to its path."
    )
    assert loaded == f"['{PLUGINS}.module_utils._host', '{PLUGINS}.module_utils._host.python']"


class Colour(python.StrEnum):
    RED = "red"
    DARK_BLUE = auto()


def test_a_member_is_its_text() -> None:
    assert (str(Colour.RED), f"{Colour.RED}", Colour.RED) == ("red", "red", "red")
    assert str(Colour.DARK_BLUE) == "dark_blue"


def test_columns_make_rows() -> None:
    assert list(python.rows("ab", [1, 2], (True, False))) == [("a", 1, True), ("b", 2, False)]


@pytest.mark.parametrize("columns", [("ab", [1]), ([], [1]), ("ab", [1, 2], ())])
def test_columns_of_other_lengths_make_none(columns: tuple[str, list[int]]) -> None:
    with pytest.raises(ValueError, match="make no rows"):
        python.rows(*columns)


@pytest.mark.parametrize("place", ["plugins/modules", "plugins/module_utils", "tests/bot"])
def test_no_value_is_compared_with_a_union_of_classes(place: str) -> None:
    """Python has these since 3.10, and neither an import nor a type checker misses them."""
    calls = [
        (path.relative_to(ROOT).as_posix(), node)
        for path in sorted((ROOT / place).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("isinstance", "issubclass")
    ]
    assert calls
    assert [f"{path}:{node.lineno}" for path, node in calls if isinstance(node.args[1], ast.BinOp)] == []
