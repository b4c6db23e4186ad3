# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages that a user reads, and the code blocks in them.

A console block is run by tests/documented, a YAML block is checked by test_pages.py, and any other one is marked by a
comment before it: "not run, because ...".
"""

from __future__ import annotations

import re
import shlex
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted(ROOT.glob("docs/docsite/rst/*.rst")))
_REASON = r"not run, because (?P<reason>[^\n]*?)"
_FORMS = {
    ".md": re.compile(rf"^(?:<!-- {_REASON} -->\n)?```(?P<language>\S+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL),
    ".rst": re.compile(
        rf"^(?:\.\. {_REASON}\n\n)?\.\. code-block:: (?P<language>\S+)\n\n(?P<text>(?:(?:    [^\n]*)?\n)+)",
        re.MULTILINE,
    ),
}


@dataclass(frozen=True)
class Block:
    """A code block. reason: why it is not run, None where it has to be."""

    page: Path
    line: int
    language: str
    text: str
    reason: str | None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command line."""
        joined = re.sub(r"\\\n\s*", "", self.text)
        return [shlex.split(line[2:]) for line in joined.splitlines() if line.startswith("$ ")]

    @property
    def shown(self) -> list[str]:
        """What each of its commands is shown to say."""
        joined = re.sub(r"\\\n\s*", "", self.text)
        return [said.partition("\n")[2] for said in re.split(r"^\$ ", joined, flags=re.MULTILINE)[1:]]


def blocks() -> list[Block]:
    """Give the blocks of all pages, as they come."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in _FORMS[page.suffix].finditer(text):
            line = text.count("\n", 0, match.start("text")) + 1
            body = textwrap.dedent(match["text"]).strip("\n")
            found.append(Block(page, line, match["language"], body, match["reason"]))
    return found
