# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pack the bot, the libraries that it needs and its installer into one file that a host's Python runs.

    python tests/bot/pack.py DESTINATION

The host needs no network and nothing but Python: nats-py and PyYAML, without its compiled part, come from here. So
does nkeys, where this Python has it; PyNaCl, which nkeys needs, is compiled, and comes from the host's distribution.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

BOT = Path(__file__).resolve().parent
LIBRARIES = ("nats-py", "PyYAML")
# For a login with a key alone; without it, the bot says so when it needs it.
OPTIONAL_LIBRARIES = ("nkeys",)


def find_files() -> Iterator[tuple[str, Path]]:
    """Give each file with its name in the pack."""
    yield "__main__.py", BOT / "installer.py"
    for path in sorted((BOT / "files").iterdir()):
        yield f"files/{path.name}", path
    for path in sorted((BOT / "rosey_bot").rglob("*.py")):
        yield f"packages/{path.relative_to(BOT)}", path
    for library in (*LIBRARIES, *OPTIONAL_LIBRARIES):
        try:
            files = importlib.metadata.files(library)
        except importlib.metadata.PackageNotFoundError:
            files = None
        if not files and library in OPTIONAL_LIBRARIES:
            continue
        if not files:
            sys.exit(f"{library} is missing for {sys.executable}: install it there, the bot is packed with it.")
        for file in files:
            if file.suffix not in {".so", ".pyc"} and ".." not in file.parts:
                yield f"packages/{file}", Path(str(file.locate()))


def main(destination: Path) -> None:
    """Write the pack; two that do so at the same time don't disturb each other."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    working = destination.with_suffix(f".{os.getpid()}")
    with zipfile.ZipFile(working, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, path in find_files():
            pack.write(path, name)
    working.replace(destination)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
