# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.rosey.nats.plugins.filter.nats_metrics import FilterModule
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import VARZ

SILENT = (
    "# HELP rosey_nats_textfile_time_seconds When this was written.\n"
    "# TYPE rosey_nats_textfile_time_seconds gauge\n"
    'rosey_nats_textfile_time_seconds{server_id="rosey"} 12.5\n'
    "# HELP rosey_nats_up Whether the server answers.\n"
    "# TYPE rosey_nats_up gauge\n"
    'rosey_nats_up{server_id="rosey"} 0\n'
)


def test_what_the_module_returns_beside_the_answers_does_not_matter() -> None:
    nats_metrics = FilterModule().filters()["nats_metrics"]
    failed = {"changed": False, "failed": True, "msg": "connection refused"}
    assert nats_metrics(failed, "rosey", 12.5) == SILENT
    assert 'rosey_nats_up{server_id="rosey"} 1\n' in nats_metrics(failed | {"varz": VARZ}, "rosey", 12.5)
    healthy = nats_metrics({"changed": False, "healthz": {"status": "ok"}}, "rosey", time=12.5)
    assert healthy.endswith('rosey_nats_healthy{server_id="rosey"} 1\n')
