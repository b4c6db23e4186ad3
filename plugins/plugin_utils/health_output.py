# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a look at the health of all hosts is told as, for people and for machines. This runs on the controller alone."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from ansible_collections.rosey.nats.plugins.module_utils._watch import exposition
from ansible_collections.rosey.nats.plugins.module_utils._watch.check_limits import Status, Unit, Worse, worst
from ansible_collections.rosey.nats.plugins.module_utils._watch.check_table import KINDS, which
from ansible_collections.rosey.nats.plugins.plugin_utils import failure

TABLE = "table"
_NAMESPACE = "rosey_nats"

CheckResult = Mapping[str, t.Any]
"""A check as the module bus_health_info returns it."""


@dataclass(frozen=True)
class Host:
    """A host. problem: why it has no checks, empty where it has."""

    name: str
    checks: tuple[CheckResult, ...] = ()
    problem: str = ""

    @property
    def status(self) -> Status:
        """The worst that was found."""
        return worst(Status(check["status"]) for check in self.checks)

    @property
    def told(self) -> tuple[CheckResult, ...]:
        """The checks as a person reads them: those that one cause kept from being made are one, after all others.

        Where a check that is critical names that cause, the remedy is told there alone.
        """
        kept: dict[str, list[CheckResult]] = {}
        for check in self.checks:
            if check["status"] == Status.UNKNOWN and check["cause"]:
                kept.setdefault(check["cause"], []).append(check)
        named = {check["cause"] for check in self.checks if check["status"] == Status.CRITICAL}
        joined = {
            cause: {
                **alike[0],
                "name": f"{alike[0]['name']} and {len(alike) - 1} more",
                "summary": f"{cause}; so nothing is known of {', '.join(check['name'] for check in alike)}",
                "remedy": "" if cause in named else alike[0]["remedy"],
            }
            for cause, alike in kept.items()
            if len(alike) > 1
        }
        return (
            *(check for check in self.checks if check["status"] != Status.UNKNOWN or check["cause"] not in joined),
            *joined.values(),
        )


@dataclass(frozen=True)
class Format:
    """A way to tell it. exit_status: of ansible-playbook, where something reads it for that.

    render: takes the hosts, and why there are none, empty where there are some.
    """

    render: Callable[[tuple[Host, ...], str], str]
    exit_status: Mapping[Status, int]


def hosts(results: Mapping[str, Mapping[str, t.Any]]) -> tuple[Host, ...]:
    """Read what Ansible has of each host: the result of bus_health_info or of the task that failed, or nothing."""
    return tuple(_host(name, results[name]) for name in sorted(results))


def render(results: Mapping[str, Mapping[str, t.Any]], form: str, *, problem: str = "") -> str:
    """Give the text, with a line feed at its end. problem: why there are no hosts."""
    return FORMATS[form].render(hosts(results), "" if results else problem).rstrip("\n") + "\n"


def exit_status(results: Mapping[str, Mapping[str, t.Any]], form: str) -> int:
    """Give the exit status that goes with the text."""
    return FORMATS[form].exit_status[_worst(hosts(results))]


def _host(name: str, result: Mapping[str, t.Any]) -> Host:
    if "checks" in result:
        return Host(name, tuple(result["checks"]))
    reason = " ".join(failure.reason(result).split())
    if result.get("unreachable"):
        return Host(name, problem=f"can't be reached: {reason}")
    return Host(name, problem=reason or "was not looked at, since a step before failed")


def _worst(all_hosts: Iterable[Host]) -> Status:
    return worst(host.status for host in all_hosts)


# A table for people

_HEADINGS = ("HOST", "CHECK", "STATUS", "VALUE", "WARNING", "CRITICAL", "FOUND")


def _table(all_hosts: tuple[Host, ...], problem: str) -> str:
    rows = [_HEADINGS, *(row for host in all_hosts for row in _rows(host))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, tuple("-" * width for width in (*widths[:-1], len(_HEADINGS[-1]))))
    lines = [" | ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    remedies = [
        f"- {host.name}: {check['name']} is {check['status']}: {check['remedy']}."
        for host in all_hosts
        for check in host.told
        if check["remedy"]
    ]
    total = f"{_worst(all_hosts)}: {problem or _counted(all_hosts)}"
    return "\n".join([*lines, "", *remedies, *([""] if remedies else []), total])


def _rows(host: Host) -> Iterator[tuple[str, ...]]:
    if host.problem:
        yield (host.name, "-", str(host.status), "", "", "", host.problem)
    for check in host.told:
        bound = "<" if check["worse"] == Worse.LOWER else ">"
        numbers = (
            _shown(check["value"], check["unit"]),
            *(_shown(check[level], check["unit"], bound) for level in ("warning", "critical")),
        )
        yield (host.name, check["name"], check["status"], *numbers, check["summary"])


def _shown(value: float | None, unit: str, before: str = "") -> str:
    return "" if value is None else f"{before} {_number(value)} {unit}".strip()


def _number(value: float) -> str:
    return f"{round(value, 4):.15g}"


def _counted(all_hosts: Iterable[Host]) -> str:
    """Say how many hosts and checks of each status there are."""
    statuses = [Status(check["status"]) for host in all_hosts for check in host.checks]
    statuses += [host.status for host in all_hosts if host.problem]
    parts = [f"{count} {status}" for status in reversed(Status) if (count := statuses.count(status))]
    size = len(tuple(all_hosts))
    return f"{size} {'host' if size == 1 else 'hosts'}, {', '.join(parts) or 'nothing was looked at'}"


# JSON


def _json(all_hosts: tuple[Host, ...], problem: str) -> str:
    return json.dumps(
        {
            "status": _worst(all_hosts),
            "problem": problem or None,
            "hosts": [
                {
                    "host": host.name,
                    "status": host.status,
                    "problem": host.problem or None,
                    "checks": [dict(check) for check in host.checks],
                }
                for host in all_hosts
            ],
        },
        indent=2,
    )


# Prometheus

_CODES = {Status.OK: 0, Status.WARNING: 1, Status.CRITICAL: 2, Status.UNKNOWN: 3}
_SUFFIXES = {Unit.COUNT: "", Unit.SECONDS: "_seconds", Unit.PERCENT: "_percent", Unit.BYTES: "_bytes"}
_MEANING = "0 ok, 1 warning, 2 critical, 3 unknown"


def _prometheus(all_hosts: tuple[Host, ...], _problem: str) -> str:
    return exposition.render(_metrics(all_hosts))


def _metrics(all_hosts: tuple[Host, ...]) -> Iterator[exposition.Metric]:
    gauge = exposition.Kind.GAUGE
    yield exposition.Metric(
        f"{_NAMESPACE}_health_status_code",
        gauge,
        f"The worst status of a check of the host: {_MEANING}.",
        tuple(exposition.Sample(_CODES[host.status], {"host": host.name}) for host in all_hosts),
    )
    yield exposition.Metric(
        f"{_NAMESPACE}_check_status_code",
        gauge,
        f"The status of a check: {_MEANING}.",
        tuple(
            exposition.Sample(_CODES[Status(check["status"])], {"host": host.name, "check": check["name"]})
            for host in all_hosts
            for check in host.checks
        ),
    )
    for name, kind in KINDS.items():
        samples = tuple(
            exposition.Sample(check["value"], {"host": host.name, **({kind.label: of} if of else {})})
            for host in all_hosts
            for check in host.checks
            for its_kind, of in (which(check["name"]),)
            if its_kind == name and check["value"] is not None
        )
        title = f"{kind.title[0].upper()}{kind.title[1:]}."
        yield exposition.Metric(f"{_NAMESPACE}_check_{name}{_SUFFIXES[kind.unit]}", gauge, title, samples)


# Nagios: https://nagios-plugins.org/doc/guidelines.html


def _nagios(all_hosts: tuple[Host, ...], problem: str) -> str:
    status = _worst(all_hosts)
    problems = [each for level in reversed(Status) if level is not Status.OK for each in _problems(all_hosts, level)]
    data = [_performance(host, check) for host in all_hosts for check in host.checks if check["value"] is not None]
    first = f"{problems[0]} ({_counted(all_hosts)})" if problems else _plain(problem) or _counted(all_hosts)
    performance = f" | {' '.join(data)}" if data else ""
    return "\n".join([f"NATS {status.upper()} - {first}{performance}", *problems[1:]])


def _problems(all_hosts: Iterable[Host], level: Status) -> Iterator[str]:
    for host in all_hosts:
        if host.problem and level is host.status:
            yield _plain(f"{host.name}: {host.problem}")
        for check in host.told:
            if check["status"] == level:
                yield _plain(f"{host.name}: {check['name']} {level}, {check['summary']}")


def _plain(text: str) -> str:
    """Give a text on one line, without the bar that performance data begin with."""
    return " ".join(text.split()).replace("|", "/")


def _performance(host: Host, check: CheckResult) -> str:
    label = f"{host.name} {check['name']}".replace("'", "").replace("=", "").replace("|", "")
    # a range ends with the most that is well; one that begins with the least ends with a colon
    colon = ":" if check["worse"] == Worse.LOWER else ""
    bounds = (
        f"{_number(check[level])}{colon}" if check[level] is not None else "" for level in ("warning", "critical")
    )
    return ";".join([f"'{label}'={_number(check['value'])}{check['unit']}", *bounds]).rstrip(";")


_FAILS = {Status.OK: 0, Status.WARNING: 0, Status.CRITICAL: 2, Status.UNKNOWN: 2}
FORMATS: dict[str, Format] = {
    TABLE: Format(_table, _FAILS),
    "json": Format(_json, _FAILS),
    "prometheus": Format(_prometheus, _FAILS),
    "nagios": Format(_nagios, _CODES),
}
"""All ways to tell it. Nagios reads the exit status; for the others it is what ansible-playbook has for a failure."""
MACHINES = tuple(name for name in FORMATS if name != TABLE)
"""Those that are read by programs, which want nothing else on standard output."""
