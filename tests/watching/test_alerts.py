# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alert rules, as Prometheus's own promtool reads and tries them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import Symptom
from ansible_collections.rosey.nats.plugins.plugin_utils import health_output, server_metrics
from ansible_collections.rosey.nats.tests import promtool

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "roles/nats_monitoring/files/alerts.yml"
RULES = {rule["alert"]: rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]}

EXPORTER = {"instance": "here:7777", "job": "nats", "server_id": "rosey"}
NODE = {"instance": "here:9100", "job": "node"}
TEXTFILE = NODE | {"server_id": "rosey"}
HEALTH = NODE | {"host": "here"}
GIB = 2**30

# Values as promtool writes them, each a minute after the one before: 0x60 is a 0 and 60 more of it.
Series = Mapping[str, str]


DAY = 86400
# At half an hour after 1970, when a rule is asked, it has so many days yet.
NOW = 30 * 60


def expiring(days: float) -> Series:
    return {"rosey_nats_certificate_not_after_time_seconds": f"{NOW + days * DAY:.0f}x60"}


@dataclass(frozen=True)
class Case:
    """Series that make an alert fire after so many minutes, and the same series as they are where all is well.

    labels, more: those of the series, beside those in its name. dropped: labels of the series that the alert hasn't.
    summary: of the alert that fires.
    """

    alert: str
    labels: Mapping[str, str]
    firing: Series
    quiet: Series
    summary: str
    more: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)
    minutes: int = 30


def near(name: str, limit: str, most: int, *values: int) -> tuple[Series, Series]:
    """Give series of a number that is near its limit, and of one that is not."""
    firing, quiet = ({name: f"{value}x60", limit: f"{most}x60"} for value in values)
    return firing, quiet


CASES = [
    Case(
        "NatsExporterDown",
        {"instance": "here:7777", "job": "nats"},
        {"up": "0x60"},
        {"up": "1x60"},
        "The exporter of NATS at here:7777 does not answer",
    ),
    Case(
        "NatsServerDown",
        EXPORTER,
        {"gnatsd_healthz_status_value": "0x60"},
        {"gnatsd_healthz_status_value": "1x60"},
        "nats-server rosey does not answer",
        more={"value": "unreachable"},
    ),
    Case(
        "NatsServerDown",
        TEXTFILE,
        {"rosey_nats_up": "0x60"},
        {"rosey_nats_up": "1x60"},
        "nats-server rosey does not answer",
    ),
    Case(
        "NatsServerDown",
        HEALTH,
        {"rosey_nats_check_status_code": "2x60"},
        {"rosey_nats_check_status_code": "0x60"},
        "nats-server here does not answer",
        more={"check": "server"},
    ),
    Case(
        "NatsServerUnhealthy",
        EXPORTER,
        {"gnatsd_healthz_status_value": "0x60"},
        {"gnatsd_healthz_status_value": "1x60"},
        "nats-server rosey is not well",
        more={"value": "unavailable"},
    ),
    Case(
        "NatsServerUnhealthy",
        TEXTFILE,
        {"rosey_nats_healthy": "0x60"},
        {"rosey_nats_healthy": "1x60"},
        "nats-server rosey is not well",
    ),
    Case(
        "NatsConnectionsNearLimit",
        EXPORTER,
        *near("gnatsd_varz_connections", "gnatsd_varz_max_connections", 200, 182, 180),
        "nats-server rosey has 91% of max_connections",
    ),
    Case(
        "NatsConnectionsNearLimit",
        TEXTFILE,
        *near("rosey_nats_connections", "rosey_nats_connections_limit", 200, 182, 180),
        "nats-server rosey has 91% of max_connections",
    ),
    Case(
        "NatsJetStreamStorageNearLimit",
        EXPORTER,
        *near("gnatsd_varz_jetstream_stats_storage", "gnatsd_varz_jetstream_config_max_storage", 100, 76, 75),
        "JetStream of rosey has 76% of max_file",
    ),
    Case(
        "NatsJetStreamStorageNearLimit",
        TEXTFILE,
        *near("rosey_nats_jetstream_storage_bytes", "rosey_nats_jetstream_storage_limit_bytes", 100, 76, 75),
        "JetStream of rosey has 76% of max_file",
    ),
    Case(
        "NatsMemoryHigh",
        EXPORTER,
        *near("gnatsd_varz_mem", "gnatsd_varz_jetstream_config_max_memory", GIB, 2 * GIB, GIB),
        "nats-server rosey uses 2GiB of memory",
    ),
    Case(
        "NatsMemoryHigh",
        EXPORTER,
        {"gnatsd_varz_mem": f"{GIB}x60"},
        {"gnatsd_varz_mem": f"{GIB // 2}x60"},
        "nats-server rosey uses 1GiB of memory",
    ),
    Case(
        "NatsMemoryHigh",
        TEXTFILE,
        *near("rosey_nats_memory_bytes", "rosey_nats_jetstream_memory_limit_bytes", GIB, 2 * GIB, GIB),
        "nats-server rosey uses 2GiB of memory",
    ),
    Case(
        "NatsMemoryHigh",
        TEXTFILE,
        {"rosey_nats_memory_bytes": f"{GIB}x60"},
        {"rosey_nats_memory_bytes": f"{GIB // 2}x60"},
        "nats-server rosey uses 1GiB of memory",
    ),
    Case(
        "NatsCertificateExpires",
        TEXTFILE,
        expiring(10),
        expiring(22),
        "The certificate that rosey shows for clients is valid for 10d 0h 0m 0s yet",
        more={"listener": "clients"},
    ),
    Case(
        "NatsCertificateExpires",
        HEALTH,
        {"rosey_nats_check_certificate": "10.5x60"},
        {"rosey_nats_check_certificate": "21x60"},
        "The certificate that here shows for monitoring is valid for 10d 12h 0m 0s yet",
        more={"listener": "monitoring"},
    ),
    Case(
        "NatsCertificateExpiresSoon",
        TEXTFILE,
        expiring(6),
        expiring(10),
        "The certificate that rosey shows for clients is valid for 6d 0h 0m 0s yet",
        more={"listener": "clients"},
    ),
    Case(
        "NatsCertificateExpiresSoon",
        HEALTH,
        {"rosey_nats_check_certificate": "-1x60"},
        {"rosey_nats_check_certificate": "7x60"},
        "The certificate that here shows for monitoring is valid for -1d 0h 0m 0s yet",
        more={"listener": "monitoring"},
    ),
    Case(
        "NatsRouteLost",
        EXPORTER,
        {"gnatsd_varz_remotes": "2x20 1x40"},
        {"gnatsd_varz_remotes": "1x20 2x40"},
        "nats-server rosey has routes to fewer servers than before: 1",
    ),
    Case(
        "NatsRouteLost",
        TEXTFILE,
        {"rosey_nats_routed_servers": "2x20 0x40"},
        {"rosey_nats_routed_servers": "2x60"},
        "nats-server rosey has routes to fewer servers than before: 0",
    ),
    Case(
        "NatsNoMetaLeader",
        TEXTFILE,
        {"rosey_nats_jetstream_meta_leader": "0x60"},
        {"rosey_nats_jetstream_meta_leader": "1x60"},
        "JetStream of rosey has no leader in its cluster",
    ),
    Case(
        "NatsPeerLost",
        HEALTH,
        {"rosey_nats_check_meta": "1x60"},
        {"rosey_nats_check_meta": "0x60"},
        "here, which leads JetStream, has lost 1 servers of its cluster",
    ),
    Case(
        "NatsClusterBroken",
        HEALTH,
        {"rosey_nats_check_status_code": "2x60"},
        {"rosey_nats_check_status_code": "1x60"},
        "here has routes to none of its cluster, or to servers that are not of it",
        more={"check": "routes"},
    ),
    Case(
        "NatsStreamWithoutLeader",
        HEALTH,
        {"rosey_nats_check_status_code": "2x60"},
        {"rosey_nats_check_status_code": "1x60"},
        "A stream on here has no leader, or lacks copies",
        more={"check": "replicas"},
    ),
    Case(
        "NatsReplicasBehind",
        HEALTH,
        {"rosey_nats_check_replicas": "2x60"},
        # for a moment it is so at every write
        {"rosey_nats_check_replicas": "2x28 0x1 2x31"},
        "2 copies of streams and consumers that here leads are behind",
    ),
    Case(
        "NatsLeadersUneven",
        HEALTH,
        {"rosey_nats_check_leaders_percent": "90x120"},
        {"rosey_nats_check_leaders_percent": "90x40 60x80"},
        "One server of the cluster of here leads 90 % of the streams",
        minutes=90,
    ),
    Case(
        "NatsClockOff",
        HEALTH,
        {"rosey_nats_check_clock_seconds": "61x60"},
        {"rosey_nats_check_clock_seconds": "3x60"},
        "The clock of here is 1m 1s off",
    ),
    Case(
        "NatsVersionsMixed",
        {"cluster": "bus"},
        {'rosey_nats_info{version="2.10.7"}': "1x120", 'rosey_nats_info{version="2.10.29"}': "1x120"},
        # an upgrade takes its time
        {'rosey_nats_info{version="2.10.7"}': "1x120", 'rosey_nats_info{version="2.10.29"}': "_x60 1x60"},
        "The servers of cluster bus run 2 versions",
        minutes=90,
    ),
    Case(
        "NatsSlowConsumers",
        EXPORTER,
        {"gnatsd_varz_slow_consumers": "1x20 2x40"},
        # a restart sets it to 0
        {"gnatsd_varz_slow_consumers": "1x20 0x40"},
        "nats-server rosey has cut off clients that were too slow",
    ),
    Case(
        "NatsSlowConsumers",
        TEXTFILE,
        {"rosey_nats_slow_consumers_total": "1x20 2x40"},
        {"rosey_nats_slow_consumers_total": "1x60"},
        "nats-server rosey has cut off clients that were too slow",
    ),
    Case(
        "NatsMessagesPending",
        EXPORTER,
        *near("gnatsd_connz_pending_bytes", "gnatsd_varz_max_pending", 20 * 2**20, 4 * 2**20, 2**20),
        "4MiB wait for the clients of nats-server rosey",
    ),
    Case(
        "NatsMessagesPending",
        TEXTFILE,
        *near("rosey_nats_pending_bytes", "rosey_nats_pending_limit_bytes", 20 * 2**20, 4 * 2**20, 2**20),
        "4MiB wait for the clients of nats-server rosey",
    ),
    Case(
        "NatsLatencyHigh",
        HEALTH,
        {"rosey_nats_check_connection_seconds": "0.25x60"},
        {"rosey_nats_check_connection_seconds": "0.1x60"},
        "A client of here waits 250ms for nats-server",
    ),
    Case(
        "NatsBotNotConnected",
        HEALTH,
        {"rosey_nats_check_status_code": "2x60"},
        {"rosey_nats_check_status_code": "1x60"},
        "The bot on here is not connected to NATS",
        dropped={"check": "bot"},
    ),
    Case(
        "NatsBotNotConnected",
        HEALTH,
        {"rosey_nats_check_status_code": "2x60"},
        {"rosey_nats_check_status_code": "1x60"},
        "The bot on here is not connected to NATS",
        dropped={"check": "bot_service"},
    ),
    Case(
        "NatsJetStreamMismatch",
        HEALTH,
        {"rosey_nats_check_status_code": "2x60"},
        {"rosey_nats_check_status_code": "3x60"},
        "JetStream on here is not on or off as it was meant",
        more={"check": "jetstream"},
    ),
    Case(
        "NatsHealthUnknown",
        HEALTH,
        {"rosey_nats_health_status_code": "3x60"},
        {"rosey_nats_health_status_code": "2x60"},
        "The health of NATS on here is unknown",
    ),
    Case(
        "NatsPluginWithoutSubscription",
        HEALTH,
        {"rosey_nats_check_plugins": "2x60"},
        {"rosey_nats_check_plugins": "0x60"},
        "2 subscriptions of plugins on here are held by nobody",
    ),
    Case(
        "NatsMetricsStale",
        TEXTFILE,
        {"rosey_nats_textfile_time_seconds": "60x60"},
        {"rosey_nats_textfile_time_seconds": "0+60x60"},
        "The metrics of nats-server rosey are 29m 0s old",
    ),
    Case(
        "NatsHealthStale",
        NODE | {"file": "/var/lib/prometheus/node-exporter/rosey_nats_health.prom"},
        {"node_textfile_mtime_seconds": "60x60"},
        {"node_textfile_mtime_seconds": "0+60x60"},
        "The health of NATS in /var/lib/prometheus/node-exporter/rosey_nats_health.prom is 29m 0s old",
    ),
]


@pytest.fixture(scope="module")
def tool() -> Path:
    return promtool.bring(ROOT / ".venv-test")


def shown(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{value}"' for name, value in labels.items())


def expected(case: Case) -> dict[str, Any]:
    """Give the alert as Prometheus has to make it."""
    labels = case.labels | case.more | RULES[case.alert]["labels"]
    description = RULES[case.alert]["annotations"]["description"]
    return {"exp_labels": labels, "exp_annotations": {"summary": case.summary, "description": description}}


def trial(case: Case, series: Series, alerts: list[dict[str, Any]]) -> dict[str, Any]:
    labels = shown(case.labels | case.more | case.dropped)
    named = ((name.rstrip("}").split("{"), values) for name, values in series.items())
    return {
        "interval": "1m",
        "input_series": [
            {"series": f"{name}{{{','.join([labels, *own])}}}", "values": values} for (name, *own), values in named
        ],
        "alert_rule_test": [{"eval_time": f"{case.minutes}m", "alertname": case.alert, "exp_alerts": alerts}],
    }


def attempt(tool: Path, directory: Path, *trials: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    path = directory / "test.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": list(trials)}))
    return subprocess.run([tool, "test", "rules", path], capture_output=True, text=True, check=False)


def test_prometheus_takes_the_rules(tool: Path) -> None:
    done = subprocess.run([tool, "check", "rules", ALERTS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(RULES)} rules found" in done.stdout


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.alert}-{case.labels.get('job', '')}")
def test_a_rule_fires_where_something_is_wrong_and_only_there(tool: Path, tmp_path: Path, case: Case) -> None:
    done = attempt(tool, tmp_path, trial(case, case.firing, [expected(case)]), trial(case, case.quiet, []))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("answers", [False, True])
def test_a_server_that_is_critical_is_unhealthy_where_it_answers_and_else_down(
    tool: Path, tmp_path: Path, answers: bool
) -> None:
    down = next(case for case in CASES if (case.alert, case.labels) == ("NatsServerDown", HEALTH))
    unhealthy = replace(down, alert="NatsServerUnhealthy", summary="nats-server here is not well")
    trials = [
        trial(down, down.firing, [] if answers else [expected(down)]),
        trial(unhealthy, down.firing, [expected(unhealthy)] if answers else []),
    ]
    if answers:
        for each in trials:
            uptime = trial(replace(down, more={}), {"rosey_nats_check_uptime_seconds": "0+60x60"}, [])
            each["input_series"] += uptime["input_series"]
    done = attempt(tool, tmp_path, *trials)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("days", [22, 10, 6, -1])
def test_a_certificate_is_one_alert_at_a_time(tool: Path, tmp_path: Path, days: float) -> None:
    fires = {"NatsCertificateExpires": 7 <= days < 21, "NatsCertificateExpiresSoon": days < 7}
    trials = []
    for case in CASES:
        if case.alert in fires and case.labels == TEXTFILE:
            told = replace(case, summary=f"{case.summary.rpartition(' for ')[0]} for {days}d 0h 0m 0s yet")
            trials.append(trial(told, expiring(days), [expected(told)] if fires[case.alert] else []))
    assert len(trials) == 2
    done = attempt(tool, tmp_path, *trials)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_bot_that_does_not_run_is_one_alert(tool: Path, tmp_path: Path) -> None:
    case = next(case for case in CASES if case.alert == "NatsBotNotConnected")
    both = trial(case, case.firing, [expected(case)])
    for check in ("bot_service", "bot_errors"):
        both["input_series"] += trial(replace(case, dropped={"check": check}), case.firing, [])["input_series"]
    done = attempt(tool, tmp_path, both)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("check", [name for name in health_output.KINDS if name not in ("bot", "bot_service")])
def test_other_checks_are_none_of_the_bots(tool: Path, tmp_path: Path, check: str) -> None:
    case = next(case for case in CASES if case.alert == "NatsBotNotConnected")
    done = attempt(tool, tmp_path, trial(replace(case, dropped={"check": check}), case.firing, []))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_host_that_is_not_looked_at_is_told() -> None:
    written = health_output.render({"here": {"unreachable": True, "msg": "gone"}}, "prometheus")
    assert 'rosey_nats_health_status_code{host="here"} 3' in written
    assert "rosey_nats_check_" not in re.sub("^#.*$", "", written, flags=re.MULTILINE)


def test_a_test_of_a_rule_can_fail(tool: Path, tmp_path: Path) -> None:
    case = CASES[0]
    for wrong in (trial(case, case.firing, []), trial(case, case.quiet, [expected(case)])):
        assert attempt(tool, tmp_path, wrong).returncode != 0


def test_every_rule_is_tried() -> None:
    assert {case.alert for case in CASES} == set(RULES)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_says_how_bad_it_is_and_what_to_do(name: str) -> None:
    rule = RULES[name]
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"].keys() == {"summary", "description"}
    named = re.search(
        r"ansible-playbook (?:playbooks/)?(\w+)\.yml -i <inventory>(?: -e diagnose_symptom=(\w+))?",
        rule["annotations"]["description"],
    )
    assert named is not None
    assert named[2] is None or named[2] in list(Symptom)


def test_the_rules_ask_for_metrics_that_are_written() -> None:
    selectors = [re.sub(r'"[^"]*"', "", rule["expr"]) for rule in RULES.values()]
    ours = {name for selector in selectors for name in re.findall(r"\brosey_nats_\w+", selector)}
    check = {"status": "ok", "value": 1.0}
    results = {"here": {"checks": [check | {"name": name} for name in health_output.KINDS]}}
    health = re.findall(r"^# TYPE (\w+)", health_output.render(results, "prometheus"), re.MULTILINE)
    answers = {"varz": {"version": "2.10.7", "start": "", "config_load_time": ""}}
    assert ours <= {metric.name for metric in server_metrics.of_server("rosey", answers, 0)} | set(health)
