# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics of answers that are made up; tests/integration/test_monitoring.py has those of a real server."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ansible_collections.rosey.nats.plugins.module_utils._server import endpoints
from ansible_collections.rosey.nats.plugins.module_utils._watch import exposition
from ansible_collections.rosey.nats.plugins.module_utils._watch.exposition import Kind
from ansible_collections.rosey.nats.plugins.plugin_utils import server_metrics

TIME = 1764186361.5
VARZ = {
    "version": "2.10.7",
    "start": "2026-11-23T19:56:42.5Z",
    "config_load_time": "2026-11-23T20:56:42.5+01:00",
    "cpu": 12.5,
    "mem": 13_000_000,
    "connections": 5,
    "max_connections": 50,
    "total_connections": 7,
    "subscriptions": 61,
    "in_msgs": 11,
    "in_bytes": 12,
    "out_msgs": 13,
    "out_bytes": 14,
    "slow_consumers": 2,
    "max_pending": 67_108_864,
}
JSZ = {
    "config": {"max_memory": 512, "max_storage": 5000},
    "memory": 1,
    "storage": 2,
    "streams": 3,
    "consumers": 4,
    "messages": 5,
    "meta_cluster": {"leader": "n2", "cluster_size": 3},
}
ANSWERS: dict[str, Any] = {
    "varz": VARZ,
    "healthz": {"status": "ok"},
    "connz": {"connections": [{"cid": 1, "pending_bytes": 3}, {"cid": 2, "pending_bytes": 4}]},
    "routez": {"routes": [{"remote_id": "NA"}, {"remote_id": "NB"}, {"remote_id": "NA"}]},
    "jsz": JSZ,
    "certificates": [
        {"purpose": "clients", "not_after": "2025-11-26T19:47:41Z"},
        {"purpose": "monitoring", "fault": "connection refused"},
    ],
}
ALL = {
    "textfile_time_seconds": TIME,
    "up": 1,
    "info": 1,
    "healthy": 1,
    "start_time_seconds": 1795463802.5,
    "config_load_time_seconds": 1795463802.5,
    "cpu_ratio": 0.125,
    "memory_bytes": 13_000_000,
    "connections": 5,
    "connections_limit": 50,
    "connections_total": 7,
    "subscriptions": 61,
    "received_messages_total": 11,
    "received_bytes_total": 12,
    "sent_messages_total": 13,
    "sent_bytes_total": 14,
    "slow_consumers_total": 2,
    "pending_bytes": 7,
    "pending_limit_bytes": 67_108_864,
    "routed_servers": 2,
    "jetstream_meta_leader": 1,
    "jetstream_meta_servers": 3,
    "jetstream_memory_bytes": 1,
    "jetstream_memory_limit_bytes": 512,
    "jetstream_storage_bytes": 2,
    "jetstream_storage_limit_bytes": 5000,
    "jetstream_streams": 3,
    "jetstream_consumers": 4,
    "jetstream_messages": 5,
    "certificate_not_after_time_seconds": TIME + 99.5,
    "certificate_expires_in_seconds": 99.5,
}


def values(answers: dict[str, Any]) -> dict[str, float]:
    """Give the number of each metric by the end of its name."""
    found = {}
    for metric in server_metrics.of_server("rosey", answers, TIME):
        for sample in metric.samples:
            assert sample.labels["server_id"] == "rosey"
            found[metric.name.removeprefix("rosey_nats_")] = sample.value
    return found


def test_all_of_a_server() -> None:
    assert values(ANSWERS) == ALL


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"healthz": {"status": "unavailable"}}, {"healthy": 0}),
        ({"connz": {"connections": []}, "routez": {"routes": []}}, {"pending_bytes": 0, "routed_servers": 0}),
        ({"varz": VARZ | {"start": "yesterday"}}, {"start_time_seconds": None}),
        ({"varz": {name: value for name, value in VARZ.items() if name != "cpu"}}, {"cpu_ratio": None}),
        (
            {"jsz": JSZ | {"config": None}},
            dict.fromkeys(("jetstream_memory_limit_bytes", "jetstream_storage_limit_bytes")),
        ),
        ({"jsz": JSZ | {"meta_cluster": {"cluster_size": 3}}}, {"jetstream_meta_leader": 0}),
        (
            {"jsz": {name: value for name, value in JSZ.items() if name != "meta_cluster"}},
            dict.fromkeys(("jetstream_meta_leader", "jetstream_meta_servers")),
        ),
        (
            {"jsz": {"disabled": True, "streams": 0}},
            dict.fromkeys(name for name in ALL if name.startswith("jetstream_")),
        ),
        ({"certificates": []}, dict.fromkeys(name for name in ALL if name.startswith("certificate_"))),
    ],
    ids=[
        *("not well", "nobody", "no time", "no cpu", "no limits", "no leader", "no cluster", "JetStream off", "no TLS"),
    ],
)
def test_what_an_answer_lacks_is_left_out(changed: dict[str, Any], expected: dict[str, float | None]) -> None:
    wanted = {name: value for name, value in (ALL | expected).items() if value is not None}
    assert values(ANSWERS | changed) == wanted


@pytest.mark.parametrize(
    ("varz", "labels"),
    [
        ({}, {"server_id": "rosey", "version": "2.10.7"}),
        ({"cluster": {}}, {"server_id": "rosey", "version": "2.10.7"}),
        ({"cluster": {"name": "bus"}}, {"server_id": "rosey", "version": "2.10.7", "cluster": "bus"}),
    ],
)
def test_a_server_names_the_cluster_that_it_is_in(varz: dict[str, Any], labels: dict[str, str]) -> None:
    metrics = server_metrics.of_server("rosey", {**ANSWERS, "varz": VARZ | varz}, TIME)
    (info,) = [metric for metric in metrics if metric.name == "rosey_nats_info"]
    assert [dict(sample.labels) for sample in info.samples] == [labels]


def test_a_server_that_does_not_answer() -> None:
    assert values({}) == {"textfile_time_seconds": TIME, "up": 0}


def test_prometheus_reads_them() -> None:
    metrics = server_metrics.of_server('a "name"', ANSWERS, TIME)
    families = list(text_string_to_metric_families(exposition.render(metrics)))
    assert len(families) == len(metrics) == len(ALL)
    for family in families:
        (sample,) = family.samples
        assert sample.labels["server_id"] == 'a "name"'
        assert family.documentation
    info = next(family for family in families if family.name == "rosey_nats_info")
    assert info.samples[0].labels["version"] == "2.10.7"


def test_a_counter_is_called_one_and_nothing_else_is() -> None:
    for metric in server_metrics.of_server("rosey", ANSWERS, TIME):
        assert (metric.kind is Kind.COUNTER) == metric.name.endswith("_total")


def test_only_what_the_server_has_is_asked_for() -> None:
    assert {reading.endpoint for reading in server_metrics.READINGS} <= set(endpoints.ENDPOINTS)
