# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of NATS users, as nats-io/nkeys writes them: Ed25519, in Base32, with what they are of and a checksum.

A controller has cryptography, which ansible-core itself needs. On a host, PyNaCl serves as well, which the bot has for
its keys.
"""

from __future__ import annotations

import base64
import binascii

try:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
except ImportError:
    HAS_CRYPTOGRAPHY = False
else:
    HAS_CRYPTOGRAPHY = True
try:
    from nacl.signing import SigningKey
except ImportError:
    HAS_NACL = False
else:
    HAS_NACL = True

HAS_LIBRARY = HAS_CRYPTOGRAPHY or HAS_NACL

SEED_BYTES = 32
# nkeys/strkey.go: PrefixByteSeed and PrefixByteUser, each of which is a letter in Base32
_SEED, _USER = 18 << 3, 20 << 3
_CHECKSUM_BYTES = 2


class NkeyError(Exception):
    """Why a text is no seed of a user, as the rest of a sentence about it; nothing of it is in it."""


def user_seed(raw: bytes) -> str:
    """Write 32 bytes as the seed of a user, which begins with SU."""
    # the kind of key begins in the last three bits of the first byte
    return _encoded(bytes([_SEED | _USER >> 5, (_USER & 31) << 3]) + raw)


def public_key(seed: str) -> str:
    """Give the public key of a user's seed, which begins with U; NkeyError."""
    raw = _raw_seed(seed)
    if HAS_CRYPTOGRAPHY:
        key = Ed25519PrivateKey.from_private_bytes(raw).public_key()
        public = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    else:
        public = bytes(SigningKey(raw).verify_key)
    return _encoded(bytes([_USER]) + public)


def signature(seed: str, nonce: str) -> str:
    """Sign what a server asks to be signed, in Base64 as it expects it (server/auth.go); NkeyError."""
    raw = _raw_seed(seed)
    if HAS_CRYPTOGRAPHY:
        signed = Ed25519PrivateKey.from_private_bytes(raw).sign(nonce.encode())
    else:
        signed = SigningKey(raw).sign(nonce.encode()).signature
    return base64.urlsafe_b64encode(signed).decode().rstrip("=")


def _raw_seed(seed: str) -> bytes:
    raw = _decoded(seed)
    if len(raw) != SEED_BYTES + 2:
        raise NkeyError(f"is no seed; expected {SEED_BYTES} bytes in Base32, as nk -gen user gives them")
    if raw[:2] != bytes([_SEED | _USER >> 5, (_USER & 31) << 3]):
        raise NkeyError("is no seed of a user; expected one that begins with SU, as nk -gen user gives it")
    return raw[2:]


def _encoded(raw: bytes) -> str:
    return base64.b32encode(raw + _checksum(raw)).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    try:
        raw = base64.b32decode(text + "=" * (-len(text) % 8))
    except (ValueError, binascii.Error):
        raise NkeyError("is no Base32; expected a seed as nk -gen user gives it") from None
    # the last character has bits that stand for nothing
    if _encoded(raw[:-_CHECKSUM_BYTES]) != text:
        raise NkeyError("has another checksum than it should, so a character is wrong or missing; copy it anew")
    return raw[:-_CHECKSUM_BYTES]


def _checksum(raw: bytes) -> bytes:
    # CRC-16/XMODEM, the lower byte first (nkeys/crc16.go)
    return binascii.crc_hqx(raw, 0).to_bytes(_CHECKSUM_BYTES, "little")
