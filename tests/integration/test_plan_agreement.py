# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan against the real server: what it calls a reload, the server takes on SIGHUP, and it refuses all else.

One change for every option of the table at every place where it can stand.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._host.action import Action, least
from ansible_collections.rosey.nats.plugins.module_utils._server import plan
from ansible_collections.rosey.nats.plugins.module_utils._server.options import reading
from ansible_collections.rosey.nats.tests.integration.changes import Change, changes
from ansible_collections.rosey.nats.tests.integration.live import Live, Outcome
from ansible_collections.rosey.nats.tests.integration.material import SETTABLE, Material

PARALLEL = 2 * (os.cpu_count() or 1)

# To these the server says yes and goes on as before, so that only a restart brings them into effect, see
# server/reload.go, copyRemoteLNConfigForReloadCompare, server/websocket.go, startWebsocketServer, and
# server/gateway.go, updateRemotesTLSConfig.
IGNORED = {
    "leafnodes.remotes.0.deny_imports": "left out of the comparison, and read when the remote is set up",
    "leafnodes.remotes.0.deny_exports": "left out of the comparison, and read when the remote is set up",
    "websocket.tls": "the listener is made, with TLS or without, at the start",
    "gateway.gateways.0.tls": "once there it is not taken away again",
}


def test_the_planned_action_is_what_the_server_does(
    nats_server: Path, material: Material, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def outcomes_of(change: Change) -> list[tuple[Change, Outcome]]:
        return [(each, outcome(each)) for each in (change, change.reversed)]

    def outcome(change: Change) -> Outcome:
        with Live(nats_server, tmp_path / change.name.replace(" ", "_"), change.before) as server:
            return server.reload(change.after)

    with ThreadPoolExecutor(PARALLEL) as pool:
        outcomes = dict(itertools.chain.from_iterable(pool.map(outcomes_of, changes(material, tmp_path))))
    planned = {change: least(plan.reasons(change.before, change.after)) for change in outcomes}
    count = Counter(planned.values())
    rows = {(option.block, option.name) for change in outcomes if (option := reading.find(change.path))}
    with capsys.disabled():
        actions = ", ".join(f"{number} {action}" for action, number in count.items())
        print(f"\nplan: {len(outcomes)} changes of {len(rows)} options: {actions}; none is left untried")
        print("\n".join(f"accepted without effect, so restart: {name}, {why}" for name, why in IGNORED.items()))
    wrong = [said for change, outcome in outcomes.items() if (said := _disagreement(change, planned[change], outcome))]
    assert not wrong, "\n".join(wrong)
    assert rows == {(row.block, row.name) for row in SETTABLE}


def _disagreement(change: Change, planned: Action, outcome: Outcome) -> str:
    if outcome.fault:
        return f"{change.name}: can't be tried: {outcome.fault}"
    wanted = Action.RELOAD if outcome.accepted and change.option not in IGNORED else Action.RESTART
    if planned is wanted and (outcome.accepted or change.option not in IGNORED):
        return ""
    return f"{change.name}: {planned} planned, and the server: {outcome.said or 'reloaded'}"
