# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.rosey.nats.plugins.filter.service_hardening import FilterModule


def test_the_filter_gives_groups_of_lines_and_what_they_are_worth() -> None:
    harden = FilterModule().filters()["service_hardening"]
    assert harden("none") == {"groups": {"Files": ["UMask=0077"], "Privileges": ["RemoveIPC=true"]}, "score": 9.2}
    full = harden("full", ["/srv/my data"], is_local=True)
    assert list(full["groups"]) == ["Files", "Privileges", "Kernel", "Network"]
    assert full["groups"]["Files"][:3] == ["UMask=0077", "ProtectSystem=strict", 'ReadWritePaths="/srv/my data"']
    assert full["groups"]["Network"][-1] == "IPAddressAllow=localhost"
