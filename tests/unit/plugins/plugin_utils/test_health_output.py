# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ansible_collections.rosey.nats.plugins.module_utils._watch.check_table import KINDS
from ansible_collections.rosey.nats.plugins.plugin_utils import health_output
from ansible_collections.rosey.nats.plugins.plugin_utils.health_output import exit_status, render


def check(name: str, status: str = "ok", **fields: Any) -> dict[str, Any]:
    kind = KINDS[name]
    return {
        "name": name,
        "status": status,
        "summary": f"{name} as it was found",
        "value": None,
        "unit": str(kind.unit),
        "worse": str(kind.worse),
        "warning": None,
        "critical": None,
        "remedy": "" if status == "ok" else f"mend {name}",
        "cause": "",
        **fields,
    }


WELL = {
    "checks": [
        check("server"),
        check("connections", value=2.597402, warning=90.0, critical=95.0),
        check("uptime", value=12345678.9, warning=300.0, critical=60.0),
        check("memory", value=14594048.0),
        check("meta", warning=0.0),
    ]
}
WARNED = {"checks": [check("slow_consumers", "warning", value=3.0, warning=0.0), check("server")]}
BROKEN = {
    "checks": [
        check("server", "critical", summary="no answer | at\nall"),
        check("subscriptions", "unknown"),
        check("plugins", "warning", value=1.0),
    ]
}
GONE = {"unreachable": True, "msg": "No route\n to host"}
FAILED = {"msg": "wrong thresholds"}
SKIPPED: dict[str, Any] = {}
ALL = {"b": WARNED, "a": WELL, "c": BROKEN, "d": GONE, "e": FAILED, "f": SKIPPED}
PROBLEMS = {
    "d": "can't be reached: No route to host",
    "e": "wrong thresholds",
    "f": "was not looked at, since a step before failed",
}
# What was found, with the exit status for Nagios and for all others.
CASES = [
    ({"a": WELL}, 0, 0),
    ({"a": WELL, "b": WARNED}, 1, 0),
    ({"a": WELL, "b": WARNED, "d": GONE}, 3, 2),
    ({"a": FAILED}, 3, 2),
    ({"a": WELL, "f": SKIPPED}, 3, 2),
    (ALL, 2, 2),
    ({}, 3, 2),
]


@pytest.mark.parametrize(("results", "nagios", "others"), CASES)
def test_the_exit_status(results: dict[str, Any], nagios: int, others: int) -> None:
    assert {form: exit_status(results, form) for form in health_output.FORMATS} == {
        "table": others,
        "json": others,
        "prometheus": others,
        "nagios": nagios,
    }


@pytest.mark.parametrize("form", health_output.FORMATS)
def test_every_host_is_in_every_format(form: str) -> None:
    text = render(ALL, form)
    for host in ALL:
        assert re.search(rf"\b{host}\b", text)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_only_the_table_is_for_people() -> None:
    assert health_output.MACHINES == ("json", "prometheus", "nagios")


# The table


def test_the_table_of_one_host() -> None:
    assert render({"a": WELL}, "table").splitlines() == [
        "HOST | CHECK       | STATUS | VALUE        | WARNING | CRITICAL | FOUND",
        "---- | ----------- | ------ | ------------ | ------- | -------- | -----",
        "a    | server      | ok     |              |         |          | server as it was found",
        "a    | connections | ok     | 2.5974 %     | > 90 %  | > 95 %   | connections as it was found",
        "a    | uptime      | ok     | 12345678.9 s | < 300 s | < 60 s   | uptime as it was found",
        "a    | memory      | ok     | 14594048 B   |         |          | memory as it was found",
        "a    | meta        | ok     |              | > 0     |          | meta as it was found",
        "",
        "ok: 1 host, 5 ok",
    ]


def test_the_table_tells_what_to_do_and_how_much_is_wrong() -> None:
    lines = render(ALL, "table").splitlines()
    assert [line for line in lines if line.startswith("- ")] == [
        "- b: slow_consumers is warning: mend slow_consumers.",
        "- c: server is critical: mend server.",
        "- c: subscriptions is unknown: mend subscriptions.",
        "- c: plugins is warning: mend plugins.",
    ]
    assert lines[-1] == "critical: 6 hosts, 1 critical, 4 unknown, 2 warning, 6 ok"
    for host, problem in PROBLEMS.items():
        assert any(re.fullmatch(rf"{host} +\| - +\| unknown .*\| {re.escape(problem)}", line) for line in lines)


def test_the_table_of_no_host_says_so() -> None:
    assert render({}, "table").splitlines()[-1] == "unknown: 0 hosts, nothing was looked at"


# One cause that keeps many checks from being made

REFUSED = {"remedy": "start it", "cause": "no answer at http://h:8222: refused"}
UNANSWERED = ("uptime", "cpu", "memory", "connections")


def stopped(server: dict[str, Any]) -> dict[str, Any]:
    unknown = [check(name, "unknown", **REFUSED) for name in UNANSWERED]
    return {"checks": [server, *unknown, check("bot", "critical"), check("routes", "unknown", cause="another")]}


STOPPED = {"a": stopped(check("server", "critical", **REFUSED))}


def test_checks_that_one_cause_kept_from_being_made_are_one_line_with_the_remedy_told_once() -> None:
    rows, remedies, (total,) = (part.splitlines() for part in render(STOPPED, "table").strip().split("\n\n"))
    assert [row.split(" | ")[1].strip() for row in rows[2:]] == ["server", "bot", "routes", "uptime and 3 more"]
    said = "no answer at http://h:8222: refused; so nothing is known of uptime, cpu, memory, connections"
    assert rows[-1].endswith(f" | {said}")
    assert remedies == [
        "- a: server is critical: start it.",
        "- a: bot is critical: mend bot.",
        "- a: routes is unknown: mend routes.",
    ]
    assert total == "critical: 1 host, 2 critical, 5 unknown"
    # where no other check tells it, that line does
    assert "- a: uptime and 3 more is unknown: start it." in render({"a": stopped(check("server"))}, "table")


def test_nagios_has_them_in_one_line_after_what_is_critical_and_machines_have_each() -> None:
    assert render(STOPPED, "nagios").splitlines()[1:] == [
        "a: bot critical, bot as it was found",
        "a: routes unknown, routes as it was found",
        "a: uptime and 3 more unknown, no answer at http://h:8222: refused; so nothing is known of uptime, cpu, "
        "memory, connections",
    ]
    assert len(json.loads(render(STOPPED, "json"))["hosts"][0]["checks"]) == len(STOPPED["a"]["checks"])
    codes = [code for (name, _labels), code in samples(STOPPED).items() if name == "rosey_nats_check_status_code"]
    assert sorted(codes) == [2, 2, 3, 3, 3, 3, 3]


# JSON


def test_json_has_all_that_is_known() -> None:
    said = json.loads(render(ALL, "json"))
    assert said["status"] == "critical"
    statuses = {"a": "ok", "b": "warning", "c": "critical", "d": "unknown", "e": "unknown", "f": "unknown"}
    assert [(host["host"], host["status"]) for host in said["hosts"]] == list(statuses.items())
    assert {host["host"]: host["problem"] for host in said["hosts"] if host["problem"]} == PROBLEMS
    assert {host["host"]: host["checks"] for host in said["hosts"]} == {
        name: result.get("checks", []) for name, result in ALL.items()
    }


# Prometheus


def samples(results: dict[str, Any]) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Read the text with the official parser; every family has to have its help and its type."""
    found = {}
    for family in text_string_to_metric_families(render(results, "prometheus")):
        assert family.documentation.endswith(".")
        assert family.type == "gauge"
        for sample in family.samples:
            key = (sample.name, tuple(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


def test_prometheus_has_the_status_of_each_host_and_check_and_the_values() -> None:
    found = samples(ALL)
    codes = {"ok": 0, "warning": 1, "critical": 2, "unknown": 3}
    hosts = {"a": 0, "b": 1, "c": 2, "d": 3, "e": 3, "f": 3}
    expected: dict[Any, float] = {
        ("rosey_nats_health_status_code", (("host", host),)): code for host, code in hosts.items()
    }
    expected |= {
        ("rosey_nats_check_status_code", (("host", host), ("check", each["name"]))): codes[each["status"]]
        for host, result in ALL.items()
        for each in result.get("checks", [])
    }
    expected |= {
        ("rosey_nats_check_connections_percent", (("host", "a"),)): 2.597402,
        ("rosey_nats_check_uptime_seconds", (("host", "a"),)): 12345678.9,
        ("rosey_nats_check_memory_bytes", (("host", "a"),)): 14594048,
        ("rosey_nats_check_slow_consumers", (("host", "b"),)): 3,
        ("rosey_nats_check_plugins", (("host", "c"),)): 1,
    }
    assert found == expected


def test_prometheus_reads_any_host_name() -> None:
    name = 'a"b\\c\nd{}=,é'
    assert samples({name: FAILED}) == {("rosey_nats_health_status_code", (("host", name),)): 3}


# Nagios

# label=value[unit];[warning];[critical] of https://nagios-plugins.org/doc/guidelines.html
DATUM = re.compile(r"'(?P<label>[^'=]+)'=(?P<value>-?[0-9.]+)(?P<unit>s|%|B|)(?:;(?P<bounds>[0-9.:;]*))?")


@pytest.mark.parametrize(("results", "code", "_others"), CASES)
def test_nagios_has_the_status_in_the_first_line_with_performance_data(
    results: dict[str, Any], code: int, _others: int
) -> None:
    first, *more = render(results, "nagios").splitlines()
    status, _bar, data = first.partition(" | ")
    assert status.startswith(f"NATS {('OK', 'WARNING', 'CRITICAL', 'UNKNOWN')[code]} - ")
    values = sum(each["value"] is not None for result in results.values() for each in result.get("checks", []))
    assert len(re.findall(DATUM, data)) == values
    assert not DATUM.sub("", data).strip()
    assert not any("|" in line for line in (status, *more))


def test_nagios_tells_the_worst_first_and_all_that_is_wrong() -> None:
    first, *more = render(ALL, "nagios").splitlines()
    assert first.partition(" | ")[0] == (
        "NATS CRITICAL - c: server critical, no answer / at all (6 hosts, 1 critical, 4 unknown, 2 warning, 6 ok)"
    )
    assert more == [
        "c: subscriptions unknown, subscriptions as it was found",
        *(f"{host}: {problem}" for host, problem in PROBLEMS.items()),
        "b: slow_consumers warning, slow_consumers as it was found",
        "c: plugins warning, plugins as it was found",
    ]


def test_nagios_writes_a_range_as_its_guidelines_have_it() -> None:
    data = render({"it's=1": WELL}, "nagios").partition(" | ")[2].strip()
    assert data == ("'its1 connections'=2.5974%;90;95 'its1 uptime'=12345678.9s;300:;60: 'its1 memory'=14594048B")
    only_critical = {"a": {"checks": [check("plugins", value=0.0, critical=0.0)]}}
    assert render(only_critical, "nagios") == "NATS OK - 1 host, 1 ok | 'a plugins'=0;;0\n"


def test_the_checks_of_one_kind_are_one_metric_told_apart_by_a_label() -> None:
    check = {"status": "ok", "value": 60.5}
    checks = [check | {"name": f"certificate_{name}"} for name in ("clients", "mqtt")]
    lines = render({"a": {"checks": checks}}, "prometheus").splitlines()
    assert [line for line in lines if line.startswith("rosey_nats_check_certificate")] == [
        'rosey_nats_check_certificate{host="a",listener="clients"} 60.5',
        'rosey_nats_check_certificate{host="a",listener="mqtt"} 60.5',
    ]
    assert 'rosey_nats_check_status_code{host="a",check="certificate_mqtt"} 0' in lines
