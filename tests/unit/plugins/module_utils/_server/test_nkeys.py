# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of users: the library that clients have reads the same in them."""

from __future__ import annotations

import base64

import nkeys as library
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rosey.nats.plugins.module_utils._server import nkeys

SEED = nkeys.user_seed(bytes(range(32)))


@given(st.binary(min_size=32, max_size=32))
def test_the_library_finds_the_same_public_key(raw: bytes) -> None:
    seed = nkeys.user_seed(raw)
    pair = library.from_seed(bytearray(seed.encode()))
    assert pair.public_key.decode() == nkeys.public_key(seed)
    assert (seed[:2], nkeys.public_key(seed)[0]) == ("SU", "U")


@pytest.mark.parametrize("missing", ["HAS_CRYPTOGRAPHY", "HAS_NACL"])
def test_either_library_serves(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = library.from_seed(bytearray(SEED.encode()))
    monkeypatch.setattr(nkeys, missing, False)
    assert nkeys.public_key(SEED) == pair.public_key.decode()
    signed = base64.urlsafe_b64decode(nkeys.signature(SEED, "abc") + "==")
    assert pair.verify(b"abc", signed)


@given(st.integers(0, len(SEED) - 1), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
def test_one_wrong_character_is_found(place: int, character: str) -> None:
    wrong = SEED[:place] + character + SEED[place + 1 :]
    if wrong != SEED:
        with pytest.raises(nkeys.NkeyError):
            nkeys.public_key(wrong)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has another checksum"),
        ("one of 1890", "is no Base32"),
        (SEED.lower(), "is no Base32"),
        (SEED[:-1], "is no Base32"),
        (SEED[:-2] + "AA", "has another checksum"),
        (nkeys.public_key(SEED), "is no seed"),
        (library.encode_seed(bytes(32), library.PREFIX_BYTE_ACCOUNT).decode(), "is no seed of a user"),
    ],
)
def test_what_is_no_seed_of_a_user_is_told_without_it(text: str, said: str) -> None:
    with pytest.raises(nkeys.NkeyError, match=said) as error:
        nkeys.public_key(text)
    assert not text or text not in str(error.value)
