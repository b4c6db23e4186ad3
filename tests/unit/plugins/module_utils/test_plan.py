# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils import plan

Config = dict[str, Any]


@pytest.mark.parametrize(
    ("before", "after", "action", "expected"),
    [
        ({}, {}, plan.Action.NOTHING, []),
        ({"ping_interval": "2m"}, {"ping_interval": "120s"}, plan.Action.NOTHING, []),
        ({"max_conn": 5}, {"max_connections": 5}, plan.Action.NOTHING, []),
        ({"max_payload": "1MiB"}, {"max_payload": 1048576}, plan.Action.NOTHING, []),
        ({"debug": False}, {"debug": True}, plan.Action.RELOAD, ["debug: False -> True (reload)"]),
        ({}, {"max_connections": 5}, plan.Action.RELOAD, ["max_connections: unset -> 5 (reload)"]),
        ({"port": 4222}, {"port": 4223}, plan.Action.RESTART, ["port: 4222 -> 4223 (restart)"]),
        (
            {"debug": False, "port": 4222},
            {"debug": True, "port": 4223},
            plan.Action.RESTART,
            ["debug: False -> True (reload)", "port: 4222 -> 4223 (restart)"],
        ),
        (
            {"jetstream": {"max_mem": "1G"}},
            {"jetstream": {"max_mem": "2G"}},
            plan.Action.RESTART,
            ["jetstream.max_mem: 1000000000 -> 2000000000 (restart)"],
        ),
        ({}, {"cluster": {"name": "c"}}, plan.Action.RESTART, ["cluster.name: unset -> c (restart)"]),
    ],
)
def test_the_least_action_is_planned_with_its_reasons(
    before: Config, after: Config, action: plan.Action, expected: list[str]
) -> None:
    reasons = plan.reasons(before, after)
    assert [str(reason) for reason in reasons] == expected
    assert plan.action(reasons) == action


def test_a_secret_is_never_shown() -> None:
    before = {"authorization": {"user": "rosey", "password": "old-secret"}}
    after = {"authorization": {"user": "rosey", "password": "new-secret"}}
    (reason,) = plan.reasons(before, after)
    assert str(reason) == "authorization.password: ******** -> ******** (reload)"
