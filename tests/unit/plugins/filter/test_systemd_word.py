# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.rosey.nats.plugins.filter.systemd_word import FilterModule


def test_the_filter_writes_a_word_of_a_command_line() -> None:
    assert FilterModule().filters()["systemd_word"]("/my opt/100$") == '"/my opt/100$$"'
