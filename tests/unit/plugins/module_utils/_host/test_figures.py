# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._host import figures


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (18_957_382_656, "17.7 GiB"),
        (2**63 - 1, "8 EiB"),
        (2**80, "1048576 EiB"),
        (-2048, "-2 KiB"),
    ],
)
def test_a_size_is_written_in_its_largest_unit(count: int, expected: str) -> None:
    assert figures.size(count) == expected


def test_sizes_that_would_read_alike_are_written_in_bytes() -> None:
    assert figures.sizes(2**30, 2**31) == ("1 GiB", "2 GiB")
    assert figures.sizes(2**30, 2**30) == ("1 GiB", "1 GiB")
    assert figures.sizes(2**30, 2**30 + 1) == ("1073741824 bytes", "1073741825 bytes")
