# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.filter.lease_claim import FilterModule

lease_claim = FilterModule().filters()["lease_claim"]


def test_a_claim_names_this_run() -> None:
    claim = lease_claim(None)
    assert (claim["pid"], claim["gone"]) == (os.getpid(), None)
    holder = {**claim, "started": "1"}
    assert lease_claim(holder) == {**claim, "gone": {"pid": os.getpid(), "started": "1"}}


@pytest.mark.parametrize("holder", ["", 1, [], {}, {"controller": "a-b-c", "pid": 1}])
def test_what_is_no_holder_is_refused(holder: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match=f"lease_claim: {type(holder).__name__} is no holder of a lease; "):
        lease_claim(holder)
