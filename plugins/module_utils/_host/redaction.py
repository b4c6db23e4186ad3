# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes out of a text what must not be seen of it."""

from __future__ import annotations

import re
from collections.abc import Collection

HIDDEN = "********"

# What the server's own messages, and its command line, may carry of a secret whose value is not known here. Names of
# environment variables stay readable, any other text after a $ may be a password that was not quoted.
_SECRETS = (
    # of a command line the rest, since a value may have blanks in it
    (re.compile(r"(?<!\S)(--?(?:auth|pass|routes|user)[ \t=])[^\n]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?<=://)[^\"'\n]*@"), f"{HIDDEN}@"),
    (re.compile(r"\$?2[abxy]\$\d\d\$[./A-Za-z0-9]*"), HIDDEN),
    (re.compile(r"\bS[A-Z][A-Z2-7]{56}\b"), HIDDEN),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), HIDDEN),
    (re.compile(r"(?<=variable reference for ')(?![A-Z_][A-Z0-9_]*')[^']*"), HIDDEN),
    # "key" ends many names; to look for their beginnings takes the square of the length of a long word
    (re.compile(r"(?i)((?:pass\w*|token|secret|seed|jwt|key)\\?[\"']?\s*[:=]\s*)[^\n]+"), rf"\1{HIDDEN}"),
)


def readable(text: str) -> str:
    """Give a foreign text on one line, without what a terminal would obey."""
    return "".join(character if character.isprintable() else " " for character in text)


def redact(text: str, secrets: Collection[str] = ()) -> str:
    """Give a text without these secrets, and without whatever looks like one."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text
