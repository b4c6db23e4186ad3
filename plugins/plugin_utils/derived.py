# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that follow from one secret of a vault. Nothing is stored: whoever has it can derive all of them again."""

from __future__ import annotations

import typing as t

try:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
except ImportError:
    HAS_CRYPTOGRAPHY = False
else:
    HAS_CRYPTOGRAPHY = True

# Of a random secret of letters and digits, 190 bits.
LEAST_CHARACTERS = 32
_BYTES = 32


def derive(secret: str, *context: str) -> bytes:
    """Give 256 bits that follow from a secret by HKDF (RFC 5869). context: what they are for."""
    # No part holds a line break, so no two contexts are one.
    info = "\n".join(context).encode()
    return HKDF(hashes.SHA256(), _BYTES, salt=None, info=info).derive(secret.encode())


def problems(variable: str, secret: t.Any, use: str) -> list[str]:
    """Say what keeps a secret from being derived from. use: such as "which all credentials follow from"."""
    if not secret:
        return [
            f"{variable} is not set; expected a random text from vault, which {use}, of {LEAST_CHARACTERS} characters "
            "at least. Set it: openssl rand -base64 48 gives one"
        ]
    if not isinstance(secret, str):
        return [f"{variable} is no text; expected one from vault. Write it in quotes"]
    if len(secret) < LEAST_CHARACTERS:
        return [
            f"{variable} has {len(secret)} characters; expected {LEAST_CHARACTERS} at least, since whoever guesses it "
            "has all that follows from it. openssl rand -base64 48 gives one"
        ]
    return []
