# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._server import info_line


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('INFO {"server_id": "N", "port": 4222}\r\n', {"server_id": "N", "port": 4222}),
        ("INFO {", None),
        ('INFO {"a":' + "[" * 100_000, None),
        ("INFO 7", None),
        ("HTTP/1.1 400 Bad Request", None),
        ("", None),
    ],
)
def test_a_greeting_is_read(line: str, expected: dict[str, Any] | None) -> None:
    assert info_line.read(line) == expected
