# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No cause is known that nothing proves: each is named by a breakage of a real host, or by a row of a unit test."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[6]
CODE = ROOT / "plugins/module_utils/_watch/diagnosis"
TESTS = (
    *ROOT.glob("tests/diagnosis/breakages/*.py"),
    *Path(__file__).parent.glob("test_*.py"),
    ROOT / "tests/unit/plugins/modules/test_diagnosis_info.py",
)
NAME = re.compile("[a-z]+(_[a-z]+)*")


def called(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def constants(node: ast.expr) -> list[str]:
    """Give the texts that an expression may be."""
    if isinstance(node, ast.IfExp):
        return [*constants(node.body), *constants(node.orelse)]
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def is_sentence(node: ast.expr) -> bool:
    if isinstance(node, ast.IfExp):
        return is_sentence(node.body)
    return isinstance(node, ast.JoinedStr) or any({" ", "{"} & {*text} for text in constants(node))


def causes(source: str) -> Iterator[str]:
    """Give the names of causes: each stands before a sentence, where a cause is made or in a tuple that one is from."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Tuple):
            row = node.elts
        elif isinstance(node, ast.Call) and called(node.func).lower().endswith("cause"):
            row = node.args
        else:
            continue
        for name, told in pairwise(row):
            if is_sentence(told):
                yield from filter(NAME.fullmatch, constants(name))


def test_each_cause_is_proven() -> None:
    known = {name for path in CODE.glob("*.py") for name in causes(path.read_text(encoding="utf-8"))}
    proven = {name for path in TESTS for name in re.findall(r'"([a-z_]+)"', path.read_text(encoding="utf-8"))}
    print(f"{len(known)} causes: {', '.join(sorted(known))}")
    assert {"port_taken", "files_short", "tls_failed", "path_missing", "store_shared"} <= known
    assert known - proven == set()


def test_a_cause_is_found_however_it_is_made() -> None:
    source = """
yield Cause(Symptom.BOT, "one", f"it is {what}", ("seen",), "mend it")
yield self.cause("two" if here else "three", f"{it} is" if here else "it is not", "seen", remedy="mend it")
name, cause = "four", "it is so"
_TOLD = {Flaw.NAME: ("five", "it is so", "mend it"), Kind.GONE: (pattern, "six", "{what} is so", "mend it")}
_WORDS = ("seven", "eight-nine")
"""
    assert sorted(causes(source)) == ["five", "four", "one", "six", "three", "two"]
