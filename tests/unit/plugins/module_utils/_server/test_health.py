# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rosey.nats.plugins.module_utils._host import redaction
from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Severity
from ansible_collections.rosey.nats.plugins.module_utils._server import (
    effects,
    endpoints,
    health,
    health_model,
    http_reader,
    monitoring,
    server_log,
)
from ansible_collections.rosey.nats.plugins.module_utils._server.health_model import Mark, Seen, Snapshot, Threshold
from ansible_collections.rosey.nats.plugins.module_utils._server.options import model, table
from ansible_collections.rosey.nats.plugins.module_utils._server.server_log import Log
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import (
    JSZ,
    SERVER_ID,
    STARTED,
    VARZ,
    fake_monitoring,
    raw_server,
)

RELOADED = {"config_load_time": "2026-11-23T20:00:00Z"}
OK = {"status": "ok", "errors": [], "status_code": 200}
QUIET = Log(pid=7, whole=True, debug=False, trace=False, timestamps=True, started="2026/11/23 19:56:42.036989")
HIDDEN = redaction.HIDDEN
REFUSED, ACCEPTED = "Failed to reload server configuration: ", "Reloaded server configuration"


def log(**facts: Any) -> Log:
    return Log(**{**QUIET.__dict__, **facts})


def judge(
    config: Mapping[str, Any],
    varz: Mapping[str, Any] | None = None,
    *,
    healthz: Mapping[str, Any] | None = None,
    jsz: Mapping[str, Any] | None = None,
    log: Log | None = None,
    seen: Mapping[model.Path, Seen] | None = None,
    **expected: Any,
) -> health_model.Judgement:
    snapshot = Snapshot({**VARZ, **(varz or {})}, {**OK, **(healthz or {})}, {**JSZ, **(jsz or {})}, log, seen or {})
    return health.judge(snapshot, health.expect(config, **expected))


PRIVATE = {"tls": {"cert_file": "/c", "key_file": "/k"}}
PLAIN: dict[str, Any] = {"cid": 3, "name": "dash", "ip": "192.0.2.7", "type": "nats"}


@pytest.mark.parametrize(
    ("config", "connections", "told"),
    [
        (PRIVATE, [PLAIN], "1 in plain text, as they were before: dash (192.0.2.7, cid 3)"),
        (PRIVATE, [PLAIN] * 7, "7 in plain text, as they were before: dash (192.0.2.7, cid 3), "),
        (PRIVATE, [{**PLAIN, "name": "a\x1b[2Jb"}], "[2Jb (192.0.2.7, cid 3)"),
        (PRIVATE, [{"cid": 4}], "without a name (, cid 4)"),
        (PRIVATE, [{**PLAIN, "tls_version": "1.3"}, {**PLAIN, "type": "mqtt"}], ""),
        ({**PRIVATE, "allow_non_tls": True}, [PLAIN], ""),
        ({}, [PLAIN], ""),
    ],
)
def test_who_talks_in_plain_text_is_named(config: dict[str, Any], connections: list[dict[str, Any]], told: str) -> None:
    expectation = health.expect(config)
    varz = {**VARZ, "tls_required": True}
    seen = tuple(connections) if expectation.is_private else ()
    judgement = health.judge(Snapshot(varz, OK, JSZ, connections=seen), expectation)
    warnings = [str(each) for each in judgement.findings if each.severity is Severity.WARNING]
    assert [told in each for each in warnings] == ([True] if told else [])
    assert "\x1b" not in "".join(warnings)
    if len(connections) > 5:
        assert warnings[0].count("dash") == 5
        assert "and 2 more" in warnings[0]


def outcome(judgement: health_model.Judgement) -> str:
    """Give what became of the one thing that was meant."""
    assert judgement.meant == 1
    if judgement.proven:
        assert judgement.passed and not judgement.trusted
        return "proven"
    return "refuted" if not judgement.passed else "trusted"


@pytest.mark.parametrize(
    ("config", "varz", "expected"),
    [
        # the guide's own values, in the unit of /varz
        ({"max_connections": 50}, {}, "proven"),
        ({"max_connections": 200}, {}, "refuted"),
        ({"max_conn": 50}, {}, "proven"),
        ({"max_payload": "1MB"}, {}, "proven"),
        ({"max_payload": "1M"}, {}, "refuted"),
        ({"ping_interval": "1m"}, {}, "proven"),
        ({"ping_interval": "60s"}, {}, "proven"),
        ({"ping_interval": 60}, {}, "refuted"),
        ({"ping_interval": 2_000_000}, {"ping_interval": 2_000_000 * 10**9}, "refuted"),  # an unquoted 2m
        ({"server_name": "rosey_nats_test"}, {}, "proven"),
        ({"server_name": "rosey_nats_prod"}, {}, "refuted"),
        ({"listen": "127.0.0.1:4222"}, {}, "proven"),
        ({"listen": "127.0.0.1:4333"}, {}, "refuted"),
        ({"http": ":8222"}, {"http_host": "0.0.0.0", "http_port": 8222}, "proven"),
        ({"write_deadline": "3s"}, {"write_deadline": 3_000_000_000}, "proven"),
        ({"tls": {"timeout": 3}}, {"tls_timeout": 3}, "proven"),
        ({"tls": {"timeout": 3}}, {"tls_timeout": 2}, "refuted"),
        ({"server_tags": ["B", "a"]}, {"tags": ["a", "b"]}, "proven"),
        ({"server_tags": ["a"]}, {}, "refuted"),
        ({"cluster": {"name": "bus"}}, {"cluster": {"name": "bus"}}, "proven"),
        ({"cluster": {"routes": ["nats://u:p@h1:6222"]}}, {"cluster": {"urls": ["h1:6222"]}}, "proven"),
        ({"cluster": {"routes": ["nats://u:p@h1:6222"]}}, {"cluster": {"urls": ["h2:6222"]}}, "refuted"),
        ({"gateway": {"name": "west"}}, {"gateway": {"name": "west"}}, "proven"),
        ({"gateway": {"gateways": [{"name": "e"}]}}, {"gateway": {"gateways": [{"name": "e"}]}}, "proven"),
        ({"leafnodes": {"port": 7422}}, {"leaf": {"port": 7422}}, "proven"),
        ({"authorization": {"token": "s3cret"}}, {"auth_required": True}, "trusted"),  # some token
        ({"tls": {"cert_file": "/c"}}, {"tls_required": True}, "trusted"),  # some certificate
        ({"tls": {"cert_file": "/c"}}, {}, "refuted"),
        ({"tls": {"verify": True}}, {"tls_verify": True}, "proven"),
        ({"authorization": {"token": "s3cret"}}, {}, "refuted"),
        # what nothing shows
        ({"lame_duck_duration": "40s"}, {}, "trusted"),
        ({"max_connections": 0}, {}, "trusted"),  # asks for the default
        ({"port": -1}, {}, "trusted"),  # the server picks one
        ({"server_name": {"$variable": "NAME"}}, {}, "trusted"),
        ({"debug": {"$variable": "DEBUG"}}, {}, "trusted"),
        # after a reload /varz goes on showing the old value of these, so it proves nothing
        ({"server_tags": ["a"]}, {**RELOADED, "tags": ["old"]}, "trusted"),
        ({"cluster": {"pool_size": 5}}, {**RELOADED, "cluster": {"pool_size": 3}}, "trusted"),
        ({"max_connections": 50}, RELOADED, "proven"),
        ({"max_connections": 51}, RELOADED, "refuted"),
    ],
)
def test_an_option_is_judged_by_varz(config: dict[str, Any], varz: dict[str, Any], expected: str) -> None:
    assert outcome(judge(config, varz)) == expected


@pytest.mark.parametrize(
    ("config", "varz", "found"),
    [
        ({"ping_interval": "2m"}, {}, "ping_interval: expected 2m0s, found 1m0s; reload the server"),
        ({"max_connections": 200}, {}, "max_connections: expected 200, found 50; reload the server"),
        (
            {"ping_interval": 2_000_000},
            {},
            'ping_interval: expected a number with a unit, such as "30s", "2m" or "1h30m", found 2000000 in the '
            "configuration, which is no duration; add the unit",
        ),
        ({"host": "10.0.0.1"}, {}, "host: expected 10.0.0.1, found 127.0.0.1; restart the server"),
        ({"listen": 5}, {}, "listen: expected *:5, found 127.0.0.1:4222; restart the server"),
        (
            {"server_name": "x"},
            {},
            "server_name: expected x, found rosey_nats_test; check that url leads to this server",
        ),
        ({"cluster": {"name": "x"}}, {}, 'cluster.name: expected x, found ""; reload the server'),
        ({"server_tags": ["b", "a"]}, {}, "server_tags: expected [a, b], found []; reload the server"),
        (
            {"authorization": {"user": "me", "token": "s3cret"}},
            {},
            "authorization.token: expected true, found false; reload the server",
        ),
    ],
)
def test_a_finding_says_expected_found_and_what_to_do(config: dict[str, Any], varz: dict[str, Any], found: str) -> None:
    assert any(str(finding).startswith(found) for finding in judge(config, varz).findings)


def test_what_was_not_meant_is_not_judged() -> None:
    judgement = judge({})
    assert (judgement.meant, judgement.findings, judgement.summary) == (0, (), "0 of 0 proven")


@pytest.mark.parametrize(
    ("meant", "found", "expected"),
    [("2.10.7", "2.10.7", "proven"), ("2.10.7", "2.10.6", "refuted")],
)
def test_the_version(meant: str, found: str, expected: str) -> None:
    assert outcome(judge({}, {"version": found}, version=meant)) == expected


@pytest.mark.parametrize(
    ("jetstream", "disabled", "expected"),
    [
        (True, False, "proven"),
        (True, True, "refuted"),  # every variant of /healthz would say ok
        (False, True, "proven"),
        (False, False, "refuted"),
        ("enabled", False, "proven"),
        ("disabled", False, "refuted"),
        ({}, False, "proven"),
        ({}, True, "refuted"),
        ({"enabled": False}, True, "proven"),
        ({"enabled": True}, True, "refuted"),
    ],
)
def test_jetstream_is_on_when_that_was_meant(jetstream: Any, disabled: bool, expected: str) -> None:
    assert outcome(judge({"jetstream": jetstream}, jsz={"disabled": disabled})) == expected


def test_the_values_of_jetstream() -> None:
    meant = {"jetstream": {"store_dir": "/s", "max_mem": "512M", "max_file": "5G"}}
    assert judge(meant).summary == "4 of 4 proven"
    binary = {"jetstream": {"store_dir": "/s", "max_mem": "512MB", "max_file": "5G"}}
    assert [finding.what for finding in judge(binary).findings] == ["jetstream.max_mem"]
    off = {"jetstream": {**meant["jetstream"], "enabled": False}}
    assert judge(off, {"jetstream": {}}, jsz={"disabled": True}).proven == 1


@pytest.mark.parametrize(
    ("config", "facts", "expected"),
    [
        # before any reload the effect tells
        ({"debug": True}, {"debug": True}, "proven"),
        ({"debug": True}, {}, "refuted"),
        ({"debug": False}, {}, "proven"),
        ({"debug": False}, {"debug": True}, "refuted"),
        ({"debug": True}, {"whole": False}, "trusted"),
        ({"debug": False}, {"whole": False}, "trusted"),
        ({"debug": True}, {"whole": False, "debug": True}, "proven"),
        ({"trace": True}, {"trace": True}, "proven"),
        ({"trace": True}, {}, "trusted"),  # nobody talked
        ({"trace": False}, {}, "trusted"),
        ({"trace": False}, {"trace": True}, "refuted"),
        ({"trace_verbose": True}, {"trace": True}, "proven"),
        ({"logtime": True}, {}, "proven"),
        ({"logtime": False}, {}, "refuted"),
        ({"logtime": False}, {"timestamps": False, "started": ""}, "proven"),
        ({"logtime_utc": True}, {}, "proven"),
        ({"logtime_utc": True}, {"started": "2026/11/23 14:56:42.036989"}, "refuted"),
        ({"logtime_utc": False}, {"started": "2026/11/23 14:56:42.036989"}, "proven"),
        ({"logtime_utc": False}, {}, "trusted"),  # local time may be UTC
        ({"logtime_utc": True}, {"started": ""}, "trusted"),
        ({"logtime_utc": True}, {"started": "2026/99/99 19:56:42.0"}, "trusted"),
        ({"logtime_utc": True}, {"whole": False}, "trusted"),
    ],
)
def test_an_option_is_judged_by_its_effect_on_the_log(
    config: dict[str, Any], facts: dict[str, Any], expected: str
) -> None:
    assert outcome(judge(config, log=log(**facts))) == expected


@pytest.mark.parametrize(
    ("trace", "expected"), [(True, ["proven"]), (False, ["refuted"])], ids=["there are lines", "there are none"]
)
def test_tracing_shows_when_clients_talk(trace: bool, expected: list[str]) -> None:
    assert [outcome(judge({"trace": True}, {"in_msgs": 3}, log=log(trace=trace)))] == expected
    assert [outcome(judge({"trace": False}, {"in_msgs": 3}, log=log(trace=not trace)))] == expected


def test_trace_and_trace_verbose_look_alike() -> None:
    judgement = judge({"trace": False, "trace_verbose": True}, log=log(trace=True))
    assert (judgement.proven, judgement.trusted) == (1, ("trace",))


@pytest.mark.parametrize(
    ("config", "reloads", "expected"),
    [
        ({"debug": True}, ["Reloaded: debug = true"], "proven"),
        ({"debug": True}, ["Reloaded: debug = true", "Reloaded: debug = false"], "refuted"),
        ({"debug": False}, ["Reloaded: debug = true", "Reloaded: debug = false"], "proven"),
        ({"trace": True}, ["Reloaded: trace_verbose = false"], "trusted"),
        ({"max_traced_msg_len": "1KB"}, ["Reloaded: max_traced_msg_len = 1024"], "proven"),
        ({"max_traced_msg_len": "1KB"}, ["Reloaded: max_traced_msg_len = 1000"], "refuted"),
        ({"client_advertise": "h:1"}, ["Reload: client_advertise = h:1"], "proven"),
        ({"connect_error_reports": 5}, ["Reloaded: connect_error_reports = 50"], "refuted"),
        ({"connect_error_reports": 5}, [], "trusted"),
    ],
)
def test_after_a_reload_the_last_line_about_an_option_tells(
    config: dict[str, Any], reloads: list[str], expected: str
) -> None:
    # debug lines stay in the log when debug is off again
    facts = log(debug=True, whole=True, reloads=tuple(reloads))
    assert outcome(judge(config, RELOADED, log=facts)) == expected


@pytest.mark.parametrize(
    ("config", "since_mark", "expected"),
    [
        ({"server_tags": ["a"]}, ["Reloaded: tags"], "proven"),
        ({"server_tags": ["a"]}, [], "trusted"),
        ({"cluster": {"no_advertise": True}}, ["Reloaded: cluster"], "proven"),
        ({"cluster": {"no_advertise": True}}, ["Reloaded: accounts"], "trusted"),
        ({"authorization": {"token": "t"}}, ["Reloaded: authorization token"], "proven"),
    ],
)
def test_a_line_without_a_value_counts_only_since_the_mark(
    config: dict[str, Any], since_mark: list[str], expected: str
) -> None:
    facts = log(reloads=("Reloaded: tags", "Reloaded: cluster"), since_mark=tuple(since_mark))
    assert outcome(judge(config, {**RELOADED, "auth_required": True}, log=facts)) == expected


@pytest.mark.parametrize(
    ("since", "loaded", "passed"),
    [
        (STARTED, STARTED, False),
        (STARTED, "2026-11-23T19:56:42.0314Z", False),
        (STARTED, "2026-11-23T19:56:42.031575Z", True),
        (STARTED, "2026-11-23T19:56:43Z", True),
    ],
)
def test_the_configuration_has_to_be_loaded_after_the_mark(since: str, loaded: str, passed: bool) -> None:
    judgement = judge({}, {"config_load_time": loaded}, since=Mark(since))
    assert judgement.passed is passed
    assert [finding.what for finding in judgement.findings] == ([] if passed else ["reload"])


def test_a_refused_reload_is_told_where_something_is_not_as_meant() -> None:
    refused = log(rejection="config reload not supported for MaxSubs")
    judgement = judge({"max_connections": 51}, log=refused)
    assert [finding.what for finding in judgement.findings] == ["max_connections", "reload"]
    assert "config reload not supported for MaxSubs" in judgement.findings[1].found
    assert judge({"max_connections": 50}, log=refused).findings == ()


@pytest.mark.parametrize(
    ("shown", "jsz", "passed"),
    [
        ({"config": {"max_storage": 1000}}, {}, True),
        ({"config": {"max_storage": 1000}}, {"config": {"max_storage": 2000}}, False),
        ({"config": {"max_storage": 2000}}, {"config": {"max_storage": 1000}}, True),
        ({"stats": {}}, {"config": {"max_storage": 1000}}, True),
        ({"config": {"max_storage": 1000}}, {"disabled": True, "config": {"max_storage": 1000}}, False),
    ],
)
def test_jsz_knows_what_jetstream_runs_with_after_a_reload(
    shown: dict[str, Any], jsz: dict[str, Any], *, passed: bool
) -> None:
    assert judge({"jetstream": {"max_file": 1000}}, {**RELOADED, "jetstream": shown}, jsz=jsz).passed is passed


MAX_SUBS = REFUSED + "config reload not supported for MaxSubs"


@pytest.mark.parametrize(
    ("since_mark", "final"),
    [
        ((), False),
        ((MAX_SUBS,), True),
        ((ACCEPTED,), False),
        ((MAX_SUBS, ACCEPTED), False),
        ((ACCEPTED, MAX_SUBS), True),
    ],
)
def test_a_reload_that_was_refused_since_the_mark_is_final(since_mark: tuple[str, ...], final: bool) -> None:
    seen = log(reloads=(MAX_SUBS, *since_mark), since_mark=since_mark, rejection="config reload not supported")
    judgement = judge({}, RELOADED, log=seen, since=Mark(STARTED))
    assert judgement.final is final
    assert [finding.what for finding in judgement.findings] == (["reload"] if final else [])


@pytest.mark.parametrize(
    ("effect", "seen", "expected"),
    [
        ("log_file", Seen(True, ""), "proven"),
        ("log_file", Seen(False, "no /l"), "refuted"),
        ("log_file", Seen(None, ""), "trusted"),
        ("log_file", Seen(None, "/l, which can't be looked at: Permission denied"), "trusted"),
        ("pid_file", Seen(True, ""), "proven"),
        ("pid_file", Seen(False, "'1' in /l"), "refuted"),
        ("ports_file_dir", Seen(True, ""), "proven"),
    ],
)
@pytest.mark.parametrize("varz", [{}, RELOADED])
def test_an_option_is_judged_by_what_was_seen(effect: str, seen: Seen, expected: str, varz: dict[str, Any]) -> None:
    judgement = judge({effect: "/l"}, varz, seen={(effect,): seen})
    assert outcome(judgement) == expected
    assert [finding.severity for finding in judgement.findings] == (
        [Severity.ERROR] if seen.holds is False else [Severity.WARNING] if seen.found else []
    )


@pytest.mark.parametrize(
    ("healthz", "found"),
    [
        ({}, None),
        ({"status": "unavailable", "error": "JetStream is not current"}, "unavailable: JetStream is not current"),
        ({"status": "error", "errors": [{"type": "STREAM", "error": "S is lost"}]}, "error: S is lost"),
        ({"status": "ok", "errors": [{"error": "S is lost"}]}, "ok: S is lost"),
        ({"status": "error", "errors": [{"error": f"S{n}"} for n in range(7)]}, "S4 and 2 more"),
        ({"status": "na", "errors": ["text"]}, "na: text"),
        ({"status": "na"}, "na"),
    ],
)
def test_the_body_of_healthz_tells(healthz: dict[str, Any], found: str | None) -> None:
    findings = judge({}, healthz=healthz).findings
    assert [finding.what for finding in findings] == ([] if found is None else ["/healthz"])
    assert found is None or findings[0].found.endswith(found)


ONLINE, OFFLINE, LOST = {"name": "x", "current": True}, {"name": "x", "offline": True}, {"name": "x", "current": False}


@pytest.mark.parametrize(
    ("group", "passed"),
    [
        (None, True),
        ({"leader": "other", "cluster_size": 3}, True),
        ({"leader": "", "cluster_size": 3}, False),
        ({"cluster_size": 3}, False),
        ({"leader": "rosey_nats_test", "cluster_size": 3, "replicas": [ONLINE, ONLINE]}, True),
        ({"leader": "rosey_nats_test", "cluster_size": 3, "replicas": [ONLINE, OFFLINE]}, True),
        ({"leader": "rosey_nats_test", "cluster_size": 3, "replicas": [OFFLINE, OFFLINE]}, False),
        ({"leader": "rosey_nats_test", "cluster_size": 3, "replicas": [LOST, ONLINE]}, True),
        ({"leader": "rosey_nats_test", "cluster_size": 3, "replicas": [LOST, LOST]}, False),
        ({"leader": "rosey_nats_test", "cluster_size": 2, "replicas": [OFFLINE]}, False),
        ({"leader": "rosey_nats_test", "cluster_size": 1, "replicas": None}, True),
    ],
)
def test_jetstream_in_a_cluster_needs_a_quorum(group: Any, passed: bool) -> None:
    assert judge({"jetstream": True}, jsz={"meta_cluster": group}).passed is passed


CONSUMER = {"type": "CONSUMER", "error": "JetStream consumer '$G > S > c' is not current"}
STREAM = {"type": "STREAM", "error": "JetStream stream '$G > S' is not current"}


@pytest.mark.parametrize(
    ("errors", "members", "now", "passed"),
    [
        ([CONSUMER], ["rosey_nats_test"], RELOADED["config_load_time"], True),
        ([CONSUMER], ["rosey_nats_test"], STARTED, False),
        ([CONSUMER], [], RELOADED["config_load_time"], False),
        ([CONSUMER, STREAM], ["rosey_nats_test"], RELOADED["config_load_time"], False),
        ([], ["rosey_nats_test"], RELOADED["config_load_time"], False),
    ],
)
def test_a_broken_consumer_makes_no_member_of_a_cluster_unwell(
    errors: list[Any], members: list[str], now: str, passed: bool
) -> None:
    healthz = {"status": "error", "errors": errors}
    judgement = judge({}, {"now": now}, healthz=healthz, members=members)
    assert [finding.what for finding in judgement.findings] == ["/healthz"]
    assert judgement.passed is passed


@pytest.mark.parametrize(
    ("name", "limit", "varz", "found"),
    [
        ("memory", 13_000_000, {}, None),
        ("memory", 12_000_000, {}, "memory: expected at most 12000000 bytes, found 13000000 bytes"),
        ("slow_consumers", 0, {}, None),
        ("slow_consumers", 0, {"slow_consumers": 2}, "slow_consumers: expected at most 0, found 2"),
        ("connections", 10, {}, None),
        (
            "connections",
            90,
            {"connections": 46},
            "connections: expected at most 90 percent of max_connections, found 92",
        ),
        ("connections", 90, {"max_connections": -1}, None),
    ],
)
@pytest.mark.parametrize("severity", Severity)
def test_thresholds(name: str, limit: float, varz: dict[str, Any], found: str | None, severity: Severity) -> None:
    judgement = judge({}, varz, thresholds={name: Threshold(limit, severity)})
    assert len(judgement.findings) == (found is not None)
    if found:
        assert str(judgement.findings[0]).startswith(found)
        assert judgement.passed is (severity is Severity.WARNING)


def test_errors_come_before_warnings() -> None:
    warning = {"memory": Threshold(1, Severity.WARNING)}
    judgement = judge({}, healthz={"status": "error"}, thresholds=warning)
    assert [finding.severity for finding in judgement.findings] == [Severity.ERROR, Severity.WARNING]


def test_the_summary_names_what_is_taken_on_trust() -> None:
    users = [{"user": name, "password": "s3cret", "permissions": {"publish": ">"}} for name in ("a", "b")]
    judgement = judge({"max_connections": 50, "authorization": {"users": users}}, {"auth_required": True})
    assert judgement.summary == (
        "1 of 7 proven, 6 taken on trust: "
        "authorization.users.*.user, authorization.users.*.password, authorization.users.*.permissions.publish"
    )
    assert judgement.trusted[0] == "authorization.users.0.user"


def test_no_secret_is_in_a_judgement() -> None:
    secret = "hunter2"
    config = {
        "authorization": {
            "user": "me",
            "password": secret,
            "token": secret,
            "users": [{"user": "a", "password": secret}],
        },
        "cluster": {"routes": [f"nats://me:{secret}@h:1"], "authorization": {"password": secret}},
        "leafnodes": {"remotes": [{"url": f"nats://me:{secret}@h:1"}]},
        "jetstream": {"encryption_key": secret},
    }
    for varz in ({}, RELOADED):
        for facts in (None, QUIET):
            assert secret not in repr(judge(config, varz, log=facts))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = sorted({name.split(".")[0] for option in table.OPTIONS for name in option.varz.split("+") if name})


@given(st.dictionaries(st.sampled_from(FIELDS), JSON), st.dictionaries(st.sampled_from(["meta_cluster"]), JSON))
def test_no_answer_of_strange_types_is_more_than_a_finding(varz: dict[str, Any], jsz: dict[str, Any]) -> None:
    typed = {name for shape in (endpoints.ENDPOINTS["varz"],) for name in (*shape.required, *shape.optional)}
    strange = {name: value for name, value in varz.items() if name not in typed}
    objects = {name: {"x": value} for name, value in varz.items() if name in endpoints.ENDPOINTS["varz"].optional}
    config = {
        "server_tags": ["a"],
        "ping_interval": "2m",
        "listen": "a:1",
        "http": "a:1",
        "tls": {"timeout": 2, "verify": True},
        "cluster": {"name": "c", "routes": ["nats://a:1"]},
        "gateway": {"name": "g", "gateways": [{"name": "x", "urls": ["nats://a:1"]}]},
        "leafnodes": {"remotes": [{"url": "nats://a:1", "deny_imports": ["x"]}]},
        "jetstream": {"store_dir": "/s", "max_mem": "1G", "sync_interval": "always"},
        "mqtt": {"ack_wait": "3s"},
    }
    group = {name: value for name, value in jsz.items() if isinstance(value, dict)}
    judgement = judge(config, {**strange, **objects}, jsz=group)
    assert judgement.proven + len(judgement.trusted) <= judgement.meant
    assert all(isinstance(part, str) for finding in judgement.findings for part in finding.as_result().values())


# The log

LINE = "[7] 2026/11/23 19:56:42.036989 [INF] "
START = f"{LINE}Starting nats-server\n{LINE}  Version:  2.10.7\n{LINE}  ID:       {SERVER_ID}\n{LINE}Server is ready\n"
OLDER = START.replace("[7]", "[5]").replace(SERVER_ID, "NAOLDER") + "[5] 2026/11/23 19:50:00.000000 [DBG] old\n"
DEBUG = "[7] 2026/11/23 19:56:43.000000 [DBG] Trapped\n"


def reloaded(*messages: str) -> str:
    return "".join(f"{LINE}{message}\n" for message in messages)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("no log at all\n", None),
        (START, QUIET),
        (OLDER + START, QUIET),
        (START + DEBUG, log(debug=True)),
        (START + DEBUG.replace("DBG", "TRC"), log(trace=True)),
        (f"{START}{LINE}a client said [DBG] \n", QUIET),
        (START.replace("INF", "DBG", 1), log(debug=True)),
        (START.replace("2026/11/23 19:56:42.036989 ", ""), log(timestamps=False, started="")),
        (
            START + "[7] [INF] Reloaded: logtime = false\n",
            log(timestamps=False, reloads=("Reloaded: logtime = false",)),
        ),
        (START + reloaded("Reloaded: debug = true"), log(reloads=("Reloaded: debug = true",))),
        # the process has begun to write elsewhere, so that this file no longer has everything
        (START + reloaded("Reloaded: log_file = /b"), log(whole=False, reloads=("Reloaded: log_file = /b",))),
        # the beginning was rotated away; what another process wrote does not count
        (OLDER + DEBUG, log(whole=False, debug=True, started="2026/11/23 19:56:43.000000")),
        (OLDER.replace("[5]", "[6]") + LINE + "x\n", log(whole=False)),
        (START[len(LINE) + 30 :] + DEBUG, log(debug=True)),
    ],
)
def test_the_log_of_the_process_is_read(text: str, expected: Log | None) -> None:
    assert server_log.read_log(text.encode(), SERVER_ID) == expected


def test_messages_after_the_mark() -> None:
    before, after = START + reloaded("Reloaded: tags"), reloaded("Reloaded: cluster")
    window = (before + after).encode()
    for mark, expected in [
        (None, ()),
        (0, ("Reloaded: tags", "Reloaded: cluster")),
        (-500, ("Reloaded: tags", "Reloaded: cluster")),
        (len(before), ("Reloaded: cluster",)),
        (len(window), ()),
    ]:
        found = server_log.read_log(window, SERVER_ID, mark)
        assert found is not None
        assert found.since_mark == expected


@pytest.mark.parametrize(
    ("messages", "rejection"),
    [
        ([], ""),
        (["Reloaded: tags", "Reloaded server configuration"], ""),
        (
            [REFUSED + "config reload not supported for MaxSubs: old=7, new=hunter2"],
            "config reload not supported for MaxSubs",
        ),
        (
            [REFUSED + "config reload not supported for jetstream max memory and store"],
            "jetstream max memory and store",
        ),
        ([REFUSED + "/etc/n.conf:3:1: error parsing 'hunter2'"], "/etc/n.conf:3:1: error parsing ********"),
        ([REFUSED + '/n.conf:3:1: unknown field "max_con"'], 'unknown field "max_con"'),
        ([REFUSED + 'bad "hunter2" and \'hunter2'], "bad ******** and ********"),
        ([REFUSED + "can't use url nats://me:hunter2@host"], "can********"),
        ([REFUSED + "invalid password: hunter2"], "invalid password: ********"),
        ([REFUSED], "without a reason"),
        ([REFUSED + "x", "Reloaded server configuration"], ""),
        (["Reloaded server configuration", REFUSED + "x"], "x"),
    ],
)
def test_the_reason_of_a_refused_reload_shows_no_value(messages: list[str], rejection: str) -> None:
    text = START + "".join(f"{LINE.replace('INF', 'ERR')}{message}\n" for message in messages)
    found = server_log.read_log(text.encode(), SERVER_ID)
    assert found is not None
    assert found.rejection.endswith(rejection) and bool(found.rejection) == bool(rejection)
    assert "hunter2" not in repr(found.rejection)


@given(st.binary(max_size=300), st.integers(-10, 400))
def test_no_log_is_too_strange_to_be_read(junk: bytes, mark: int) -> None:
    for window in (junk, START.encode() + junk, junk + START.encode()):
        server_log.read_log(window, SERVER_ID, mark)


# Looking


def look(url: str, config: Mapping[str, Any], **expected: Any) -> tuple[Snapshot, health_model.Judgement]:
    expectation = health.expect(config, **expected)
    snapshot = health.Observer(monitoring.Monitor(url), expectation).look(1.0, lambda: None)
    return snapshot, health.judge(snapshot, expectation)


def findings(judgement: health_model.Judgement) -> str:
    return "\n".join(map(str, judgement.findings))


def test_the_log_file_with_the_start_of_the_server_is_its_own(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text(OLDER + START)
    with fake_monitoring() as server:
        snapshot, judgement = look(server.url, {"log_file": str(file), "debug": False})
        assert ("/healthz", {"js-enabled": "true"}) not in server.asked
    assert snapshot.log == QUIET
    assert judgement.proven == 2


@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize("before", ["", LINE + "x\n", OLDER])
def test_a_log_file_without_the_start_has_to_grow_when_the_server_is_asked(
    tmp_path: Path, before: str, rotated: bool
) -> None:
    file = tmp_path / "log"
    file.write_text(before)

    def healthz(query: dict[str, str]) -> dict[str, str]:
        if "js-enabled" in query:
            if rotated:
                file.rename(tmp_path / "log.1")
            with file.open("a") as log:
                log.write(f"[7] 2026/11/23 19:56:42.036989 [WRN] {monitoring.LOG_LINE}, use js-enabled-only instead\n")
        return {"status": "ok"}

    with fake_monitoring({"/healthz": healthz}) as server:
        expectation = health.expect({"log_file": str(file), "debug": False})
        observer = health.Observer(monitoring.Monitor(server.url), expectation)
        judgements = [health.judge(observer.look(1.0, lambda: None), expectation) for _time in range(3)]
        asked = [query for _path, query in server.asked].count({"js-enabled": "true"})
    assert [judgement.proven for judgement in judgements] == [1, 1, 1]
    assert judgements[0].trusted == ("debug",)
    assert asked == 1


def _loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("prepare", "holds", "found"),
    [
        (lambda path: None, False, "no /"),
        (lambda path: path.write_text("something else\n"), False, "that this server does not write to"),
        (lambda path: path.write_text(OLDER), False, "that this server does not write to"),
        (lambda path: path.symlink_to("/dev/null"), None, ""),
        (os.mkfifo, None, ""),
        (_loop, None, "log, which can't be looked at: Too many levels of symbolic links"),
    ],
    ids=["missing", "foreign", "of another server", "a device", "a pipe", "a loop"],
)
def test_a_log_file_that_is_not_the_servers(tmp_path: Path, prepare: Any, holds: bool | None, found: str) -> None:
    file = tmp_path / "log"
    prepare(file)
    with fake_monitoring() as server:
        snapshot, judgement = look(server.url, {"log_file": str(file)})
    assert snapshot.log is None
    assert snapshot.seen["log_file",].holds is holds
    assert found in findings(judgement)
    assert judgement.passed is (holds is None)


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_log, "WINDOW", 2000)
    file = tmp_path / "log"
    file.write_text(START + reloaded("Reloaded: tags") * 100)
    mark = file.stat().st_size
    with file.open("a") as log:
        log.write(reloaded("Reloaded: cluster"))
    with fake_monitoring({"/varz": {**VARZ, **RELOADED}}) as server:
        snapshot, _judgement = look(server.url, {"log_file": str(file)}, since=Mark(STARTED, mark))
        assert snapshot.log is None
        file.write_text(OLDER * 10 + START + reloaded("Reloaded: cluster"))
        snapshot, _judgement = look(server.url, {"log_file": str(file)}, since=Mark(STARTED, 10**6))
        assert snapshot.log is not None
        assert snapshot.log.since_mark == ("Reloaded: cluster",)


def test_files_of_another_host_are_taken_on_trust() -> None:
    config = {"log_file": "/nowhere/log", "pid_file": "/nowhere/pid", "ports_file_dir": "/nowhere", "debug": True}
    with fake_monitoring() as server:
        _snapshot, judgement = look(server.url, config, local_files=False)
    assert judgement.passed
    assert judgement.trusted == tuple(config)


@pytest.mark.parametrize("value", ["relative/log", {"$variable": "LOG"}])
def test_a_path_that_only_the_server_knows_is_taken_on_trust(value: Any) -> None:
    config = {"log_file": value, "pid_file": value, "ports_file_dir": value}
    with fake_monitoring() as server:
        _snapshot, judgement = look(server.url, config)
    assert judgement.trusted == tuple(config)


@pytest.mark.parametrize(
    ("content", "with_log", "expected"),
    [
        ("7", True, "proven"),
        ("7\n", True, "proven"),
        ("8", True, "refuted"),
        ("", True, "refuted"),
        ("0", False, "refuted"),
        ("junk/../..", False, "refuted"),
        (None, False, "refuted"),
        (str(os.getpid()), False, "trusted"),  # a process, and not one named nats-server
    ],
)
def test_the_pid_file(tmp_path: Path, content: str | None, with_log: bool, expected: str) -> None:
    (tmp_path / "log").write_text(START)
    if content is not None:
        (tmp_path / "pid").write_text(content)
    with fake_monitoring() as server:
        config = {"pid_file": str(tmp_path / "pid"), **({"log_file": str(tmp_path / "log")} if with_log else {})}
        _snapshot, judgement = look(server.url, config)
    assert (judgement.proven - with_log, judgement.passed) == (expected == "proven", expected != "refuted")


@pytest.mark.parametrize(
    ("name", "content", "with_log", "expected"),
    [
        ("nats-server_7.ports", '{"nats":["nats://127.0.0.1:4222"]}', True, True),
        ("nats-server_8.ports", '{"nats":["nats://127.0.0.1:4222"]}', True, False),
        ("nats-server_8.ports", '{"nats":["nats://127.0.0.1:4222"]}', False, True),
        ("nats-server_7.ports", '{"nats":["nats://127.0.0.1:42225"]}', False, False),
        ("other", "", False, False),
    ],
)
def test_the_ports_file(tmp_path: Path, name: str, content: str, with_log: bool, expected: bool) -> None:
    (tmp_path / "log").write_text(START)
    (tmp_path / name).write_text(content)
    with fake_monitoring() as server:
        config = {"ports_file_dir": str(tmp_path), **({"log_file": str(tmp_path / "log")} if with_log else {})}
        _snapshot, judgement = look(server.url, config)
    assert judgement.passed is expected


def test_the_profiler() -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")

    with fake_monitoring() as server:
        for talk, passed in [(answer, True), (lambda connection: connection.sendall(b"INFO {}\r\n"), False)]:
            with raw_server(talk) as profiler:
                _snapshot, judgement = look(server.url, {"prof_port": int(profiler.rpartition(":")[2])})
            assert judgement.passed is passed
        _snapshot, judgement = look(server.url, {"prof_port": int(profiler.rpartition(":")[2])})
        assert "no answer at port" in findings(judgement)


def test_two_servers_behind_one_url_are_told_apart() -> None:
    with (
        fake_monitoring({"/jsz": {**JSZ, "server_id": "NAOTHER"}}) as server,
        pytest.raises(http_reader.MonitoringError, match="two servers answer in turn, NAFAKE and NAOTHER"),
    ):
        look(server.url, {"jetstream": True})


def test_a_server_that_gives_no_answer_proves_nothing() -> None:
    error = http_reader.MonitoringError("http://h:1/varz", "connection refused", "start it")
    expectation = health.expect({"port": 4222, "jetstream": {"store_dir": "/s"}, "debug": True}, version="2.10.7")
    judgement = health.unanswered(error, expectation)
    answered = judge({"port": 4222, "jetstream": {"store_dir": "/s"}, "debug": True}, version="2.10.7")
    assert (judgement.passed, judgement.proven, judgement.meant) == (False, 0, answered.meant)
    assert str(judgement.findings[0]) == (
        "monitoring: expected an answer of nats-server at http://h:1/varz, found connection refused; start it"
    )


def test_a_mark(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("12345")
    (tmp_path / "file").write_text("")
    for path, size in [(None, None), (tmp_path / "log", 5), (tmp_path / "none", 0), (tmp_path / "file/x", None)]:
        assert health.mark(VARZ, path) == Mark(STARTED, size)


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (None, None),
        ("[1] 2025/11/18 [INF] Server is ready\n", None),
        ("[1] [FTL] an older one\n[2] [INF] Server is ready\n", None),
        ("[1] [FTL] an older one\n[2] [INF] again\n[2] [FTL] can't start: no routes\n", "can't start: no routes"),
        ("[1] [FTL] bad value for password: s3cret\n", "bad value for password: ********"),
    ],
)
def test_the_last_words_of_a_server_that_ended(tmp_path: Path, log: str | None, expected: str | None) -> None:
    path = tmp_path / "log"
    if log is not None:
        path.write_text(log)
    assert server_log.last_words(path) == expected
    assert server_log.last_words(None) is None


def test_every_effect_of_the_table_is_looked_at() -> None:
    looked_at = {model.Effect.LOG_FILE, *effects.LOOKS, *health._LOG_EFFECTS}
    assert looked_at == set(model.Effect)


def test_the_report_names_no_option_twice() -> None:
    text = health.judge(
        Snapshot(VARZ, OK, JSZ), health.expect({"host": "x", "port": 1, "server_name": "y"}, version="2")
    )
    names = [str(finding).partition(":")[0] for finding in text.findings]
    assert len(names) == len(set(names)) == 4
