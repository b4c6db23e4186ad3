# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The limits of the role health are those of the gate and of the alert rules, which can't read them."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from ansible_collections.rosey.nats.plugins.module_utils._bus import server_gate
from ansible_collections.rosey.nats.plugins.module_utils._host import gate
from ansible_collections.rosey.nats.plugins.module_utils._server import health_model
from ansible_collections.rosey.nats.plugins.modules import nats_gate

ROLES = Path(__file__).parents[2] / "roles"
LIMITS = yaml.safe_load((ROLES / "health/defaults/main.yml").read_text())["health_thresholds_defaults"]
ALERTS = yaml.safe_load((ROLES / "nats_monitoring/files/alerts.yml").read_text())["groups"]
EXPRESSIONS = {rule["alert"]: rule["expr"] for group in ALERTS for rule in group["rules"]}


@pytest.mark.parametrize(
    ("alert", "limit"),
    [
        ("NatsConnectionsNearLimit", LIMITS["connections"]["warning"] / 100),
        ("NatsJetStreamStorageNearLimit", LIMITS["jetstream_storage"]["warning"] / 100),
        ("NatsMessagesPending", LIMITS["pending"]["warning"] / 100),
        ("NatsSlowConsumers", LIMITS["slow_consumers"]["warning"]),
        ("NatsPluginWithoutSubscription", LIMITS["plugins"]["critical"]),
    ],
)
def test_an_alert_fires_at_the_limit_of_the_check(alert: str, limit: float) -> None:
    assert set(map(float, re.findall(r"[>*] ([\d.]+)", EXPRESSIONS[alert]))) == {limit}


@pytest.mark.parametrize(
    ("alert", "levels"),
    [("NatsCertificateExpires", {"warning", "critical"}), ("NatsCertificateExpiresSoon", {"critical"})],
)
def test_an_alert_of_a_certificate_fires_at_the_days_of_the_check(alert: str, levels: set[str]) -> None:
    days = {float(number) for number in re.findall(r"[<=] (\d+) \* 86400", EXPRESSIONS[alert])}
    assert days == {LIMITS["certificate"][level] for level in levels}


@pytest.mark.parametrize("name", ["connections", "slow_consumers"])
def test_the_gate_warns_at_the_limit_of_the_check_and_says_so(name: str) -> None:
    options = yaml.safe_load(nats_gate.DOCUMENTATION)["options"]
    warning = LIMITS[name]["warning"]
    given_none = server_gate.expectation_of(defaultdict(lambda: None)).thresholds
    assert given_none[name] == health_model.Threshold(warning, gate.Severity.WARNING)
    assert options[f"{name}_limit"]["description"][-1] == f"Without it more than {warning} is a warning."
