# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.rosey.nats.plugins.module_utils._bot import bot_expectation, bot_health
from ansible_collections.rosey.nats.plugins.module_utils._data import asset_record, assets, cluster_store, lost_streams
from ansible_collections.rosey.nats.plugins.module_utils._host.access import Fault
from ansible_collections.rosey.nats.plugins.module_utils._host.access import Kind as FaultKind
from ansible_collections.rosey.nats.plugins.module_utils._host.process import Process
from ansible_collections.rosey.nats.plugins.module_utils._host.service import Service
from ansible_collections.rosey.nats.plugins.module_utils._host.system import Account
from ansible_collections.rosey.nats.plugins.module_utils._host.unit_file import Setting
from ansible_collections.rosey.nats.plugins.module_utils._server import (
    certificates,
    cluster,
    http_reader,
    monitoring,
    server_files,
)
from ansible_collections.rosey.nats.plugins.module_utils._server.http_reader import MonitoringError
from ansible_collections.rosey.nats.plugins.module_utils._server.served_certificates import Served
from ansible_collections.rosey.nats.plugins.module_utils._server.tls_listener import TlsListener
from ansible_collections.rosey.nats.plugins.module_utils._watch import (
    check_kinds,
    check_limits,
    check_table,
    checks,
    health_snapshot,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.check_limits import Check, Limits, Status, Unit, Worse
from ansible_collections.rosey.nats.plugins.module_utils._watch.check_table import KINDS
from ansible_collections.rosey.nats.plugins.module_utils._watch.checks import Observer, judge
from ansible_collections.rosey.nats.plugins.module_utils._watch.health_snapshot import Connected, Expectation, Snapshot
from ansible_collections.rosey.nats.plugins.modules import bus_health_info
from ansible_collections.rosey.nats.tests.certificates import DAY, NOW, make
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import (
    BOT,
    IDENTITY,
    JSZ,
    SERVER_ID,
    VARZ,
    Reply,
    fake_monitoring,
    raw_server,
)

ROOT = Path(__file__).parents[5]
DEFAULTS = yaml.safe_load((ROOT / "roles/health/defaults/main.yml").read_text())["health_thresholds_defaults"]
# What every host has once, where it has it.
SINGLE = [name for name, kind in KINDS.items() if not kind.label]
ALONE = [name for name in SINGLE if not KINDS[name].in_clusters]
RUNNING = Process(4711, 0, Path("/usr/bin/program"), ("program",), 1)
SERVICE = Service(exists=True, enabled=True, running=RUNNING)
QUOTE, ADD = "rosey.prod.commands.quote", "rosey.prod.commands.addquote"


def connection(number: int, name: str = "", *subscriptions: str, **fields: Any) -> dict[str, Any]:
    return {"cid": number, "name": name, "pending_bytes": 0, "subscriptions_list": list(subscriptions), **fields}


def connz(*connections: dict[str, Any]) -> dict[str, Any]:
    return {**IDENTITY, "total": len(connections), "connections": list(connections)}


def peers(*states: bool, leader: str | None = VARZ["server_name"]) -> dict[str, Any]:
    """Give what the leader says of a cluster, whose other servers are current or not."""
    replicas = [{"name": f"peer{number}", "current": current} for number, current in enumerate(states)]
    return {"meta_cluster": {"leader": leader, "cluster_size": len(states) + 1, "replicas": replicas}}


def route(*remotes: str) -> dict[str, Any]:
    return {**IDENTITY, "num_routes": 0, "routes": [{"remote_id": each, "remote_name": f"n{each}"} for each in remotes]}


HEALTHY: dict[str, Any] = {
    "varz": {**VARZ, "cpu": 20, "cores": 2, "max_pending": 1000},
    "healthz": {"status": "ok", "errors": []},
    "jsz": {**JSZ, "config": {"max_memory": 1000, "max_storage": 2000}, "memory": 10, "storage": 20},
    "connz": connz(connection(1, "rosey-bot-prod")),
    "subsz": {"num_subscriptions": 57},
    "routez": {**IDENTITY, "num_routes": 0, "routes": []},
}
MEANT = Expectation(
    server_name="rosey_nats_test",
    version="2.10.7",
    jetstream=True,
    client_url="nats://localhost:4222",
    service="nats.service",
    bot=bot_expectation.Expectation(
        servers=(bot_expectation.place("nats://localhost:4222"),),
        plugins=(bot_expectation.Plugin("quotes", (QUOTE, ADD)),),
        client_name="rosey-bot-prod",
    ),
    bot_service="cytube-bot.service",
)
KEPT = assets.Stream("$G", "HISTORY", created="2026-11-23T19:56:42Z", storage="file", messages=12, last_seq=12)
PROVEN = asset_record.Proven("2026-11-26T11:43:13Z", assets.of([KEPT, replace(KEPT, name="EVENTS", messages=1)]))


def compared(*streams: assets.Stream, data: Path | None = None, **changes: Any) -> lost_streams.Comparison:
    """Compare these streams with two that were proven."""
    return lost_streams.compare(Path("/releases"), PROVEN, assets.of(streams), data, **changes)


NATS = Account("nats", "nats", 990, 990, frozenset({990}))
WELL = Snapshot(
    answers=HEALTHY,
    connected=Connected(0.001, SERVER_ID),
    service=SERVICE,
    told=bot_health.Told(200, BOT),
    held={"rosey-bot-prod": (), "rosey-bot-prod-quotes": (QUOTE, ADD)},
    bot_service=SERVICE,
    streams=compared(*PROVEN.assets.streams.values()),
    files=server_files.Look(NATS, ()),
)
OTHERS = frozenset({cluster_store.peer_id("x1")})
N2, N3 = (cluster.Peer(name, silent=0.4) for name in ("n2", "n3"))
GROUPS = tuple(cluster.Group(("$G", f"S{number}"), "rosey_nats_test", 3, (N2, N3)) for number in range(8))
LED_META = cluster.Group((), "rosey_nats_test", 3, (N2, N3))
SIGHT = cluster.Sight({"A": "n2", "B": "n3"}, LED_META, (*GROUPS[:4], replace(GROUPS[4], leader="n2")))
IN_CLUSTER = replace(MEANT, cluster=True, members=("rosey_nats_test", "n2", "n3"))
MEMBER = replace(
    WELL,
    answers={
        **HEALTHY,
        "varz": {**HEALTHY["varz"], "now": "2026-11-23T20:56:43Z"},
        "jsz": {**HEALTHY["jsz"], **peers(True, True)},
        "routez": {**IDENTITY, "routes": [{"remote_id": f"ID{each}", "remote_name": each} for each in ("n2", "n3")]},
    },
    cluster=SIGHT,
    apart=-1.2,
)


def seen(**changes: Any) -> Snapshot:
    """Give a member that sees its cluster so."""
    return replace(MEMBER, cluster=replace(SIGHT, **changes))


def behind(group: cluster.Group, **changes: Any) -> cluster.Group:
    """Give a group of which a peer is not in step."""
    return replace(group, peers=(replace(N2, **changes), N3))


CLOSED = Fault(
    "jetstream.store_dir",
    "/var/lib/nats",
    Path("/var/lib/nats"),
    FaultKind.FORBIDDEN,
    "nats may not pass /var/lib/nats",
    "/var/lib/nats is of root:root with mode 0700",
    "chown -R nats:nats /var/lib/nats",
)
SHARED = server_files.Clash(
    "jetstream.store_dir",
    "/s/jetstream",
    "nats-server (process 7, with /a.conf)",
    server_files.Server(Process(9, 0, Path("/b/nats-server"), ("nats-server", "-c", "/b.conf"), 0), ()),
    "jetstream.store_dir",
)
SILENT_FOR = ("connection refused, nothing listens there", "start it")
SILENT = MonitoringError("http://h:8222/varz", *SILENT_FOR)


def having(**answers: Any) -> Snapshot:
    """Give a host of which some answers have other fields, or are errors."""
    laid = {
        name: answer if isinstance(answer, MonitoringError) else {**HEALTHY[name], **answer}
        for name, answer in answers.items()
    }
    return replace(WELL, answers={**HEALTHY, **laid})


def made(snapshot: Snapshot, expectation: Expectation = MEANT, **given: Limits) -> dict[str, Check]:
    return {check.name: check for check in judge(snapshot, expectation, {**check_table.limits(DEFAULTS), **given})}


def not_well(found: dict[str, Check]) -> dict[str, Status]:
    return {name: check.status for name, check in found.items() if check.status is not Status.OK}


def test_every_check_has_what_reads_it() -> None:
    assert list(check_kinds.READERS) == SINGLE
    assert list(check_kinds.READERS_OF_EACH) == [name for name, kind in KINDS.items() if kind.label]


def test_a_healthy_host_is_green_with_every_check_and_the_limits_of_the_role() -> None:
    for snapshot, expectation, names in ((WELL, MEANT, ALONE), (MEMBER, IN_CLUSTER, SINGLE)):
        found = made(snapshot, expectation)
        assert not_well(found) == {}
        assert list(found) == names
        assert all(check.summary and not check.remedy for check in found.values())
        assert checks.summary(found.values()) == f"{len(names)} ok"


def test_what_a_member_does_not_tell_of_its_cluster_is_unknown() -> None:
    found = made(replace(MEMBER, cluster=SILENT), IN_CLUSTER)
    assert not_well(found) == dict.fromkeys(("meta", "routes", "replicas", "leaders"), Status.UNKNOWN)


def test_the_roles_limits_are_for_all_values_and_no_others() -> None:
    assert list(DEFAULTS) == [name for name, kind in KINDS.items() if kind.limited]
    assert all(set(pair) == {"warning", "critical"} for pair in DEFAULTS.values())


def test_each_value_with_limits_is_described_and_whether_they_are_the_least() -> None:
    options = yaml.safe_load(bus_health_info.DOCUMENTATION)["options"]
    lines = options["thresholds"]["description"]
    told = {name: line for line in lines for name in re.findall(r"V\((\w+)\)", line)}
    limited = {name: kind.worse is Worse.LOWER for name, kind in KINDS.items() if kind.limited}
    assert {name: "are the least" in told.get(name, "") for name in limited} == limited
    assert limited.keys() <= told.keys()


def shows(purpose: str, days: float, **more: Any) -> Served:
    """Give a listener that shows a certificate which has so many days yet."""
    listener = TlsListener(purpose, "tls://127.0.0.1:4222", "/etc/nats/cert.pem", None, first=False)
    shown = certificates.read(make("bus", names=["bus"], until=NOW + days * DAY).pem)[0]
    return Served(listener, NOW, shown, **more)


# What a check measures, as a snapshot and the value that is in it.
MEASURED: dict[str, tuple[Snapshot, float]] = {
    "connection": (replace(WELL, connected=Connected(0.75, SERVER_ID)), 0.75),
    "uptime": (having(varz={"start": "2026-11-23T19:56:42Z", "now": "2026-11-23T19:57:43.5Z"}), 61.5),
    "certificate": (replace(WELL, certificates=(shows("clients", 60.5),)), 60.5),
    "cpu": (having(varz={"cpu": 150.0, "cores": 2}), 75.0),
    "memory": (having(varz={"mem": 1234}), 1234),
    "connections": (having(varz={"connections": 40, "max_connections": 50}), 80),
    "subscriptions": (having(subsz={"num_subscriptions": 99}), 99),
    "slow_consumers": (having(varz={"slow_consumers": 3}), 3),
    "pending": (having(connz=connz(connection(1, pending_bytes=50), connection(2, "slow", pending_bytes=250))), 25),
    "jetstream_memory": (having(jsz={"memory": 800}), 80),
    "jetstream_storage": (having(jsz={"storage": 1800}), 90),
    "meta": (having(jsz=peers(True, False)), 1),
    "routes": (having(routez=route("A", "A", "A", "B")), 2),
    "replicas": (seen(groups=(behind(GROUPS[0], lag=2), GROUPS[1], behind(GROUPS[2], current=False))), 2),
    "leaders": (seen(groups=(*GROUPS, replace(GROUPS[0], leader="n2"), replace(GROUPS[1], leader="n3"))), 80),
    "clock": (replace(MEMBER, apart=-12.5), 12.5),
    "bot_errors": (replace(WELL, told=bot_health.Told(200, {**BOT, "requests": 50, "errors": 5})), 10),
    "plugins": (replace(WELL, held={"rosey-bot-prod-quotes": (QUOTE,)}), 1),
}


# Those of which a host has several.
NAMES = {"certificate": "certificate_clients"}


def test_every_value_that_can_have_limits_is_measured_below() -> None:
    assert list(MEASURED) == list(DEFAULTS)


@pytest.mark.parametrize("name", MEASURED)
def test_each_limit_fires_just_beyond_its_value(name: str) -> None:
    snapshot, value = MEASURED[name]
    expectation = IN_CLUSTER if KINDS[name].in_clusters else replace(MEANT, cluster=name == "routes")
    step = -0.5 if KINDS[name].worse is Worse.HIGHER else 0.5

    def status(**limits: float) -> tuple[Status, float | None, bool]:
        check = made(snapshot, expectation, **{name: Limits(**limits)})[NAMES.get(name, name)]
        return check.status, check.value, bool(check.remedy)

    assert status() == (Status.OK, value, False)
    assert status(warning=value, critical=value) == (Status.OK, value, False)
    assert status(warning=value + step) == (Status.WARNING, value, True)
    assert status(critical=value + step) == (Status.CRITICAL, value, True)
    assert status(warning=value + step, critical=value) == (Status.WARNING, value, True)
    assert status(warning=value + step, critical=value + step) == (Status.CRITICAL, value, True)
    found = made(snapshot, expectation, **{name: Limits(warning=value + step)})[NAMES.get(name, name)]
    assert found.remedy == KINDS[name].remedy


TOLD = bot_health.Told


@pytest.mark.parametrize(
    ("snapshot", "expectation", "expected", "said"),
    [
        (having(varz={"server_name": "other"}), MEANT, {"server": "critical"}, "expected rosey_nats_test, found other"),
        (having(varz={"version": "2.9.25"}), MEANT, {"server": "critical"}, "expected 2.10.7, found 2.9.25"),
        (having(healthz={"status": "unavailable", "error": "lame duck"}), MEANT, {"server": "critical"}, "lame duck"),
        (having(healthz=SILENT), MEANT, {"server": "critical"}, "connection refused"),
        (having(subsz=SILENT), MEANT, {"subscriptions": "unknown"}, "connection refused"),
        (having(routez=SILENT), MEANT, {"routes": "unknown"}, "connection refused"),
        (having(jsz={"server_id": "ANOTHER"}), MEANT, {"server": "critical"}, "2 that answer in turn"),
        (having(jsz={"disabled": True}), MEANT, {"jetstream": "critical"}, "expected on, found off"),
        (WELL, replace(MEANT, jetstream=False), {"jetstream": "critical"}, "expected off, found on"),
        (
            having(jsz=peers(True, False)),
            MEANT,
            {"meta": "warning"},
            "3 servers led by rosey_nats_test, lost: peer1",
        ),
        (having(jsz=peers(False, False)), MEANT, {"meta": "critical"}, "more than 1 of 3 servers, found 1"),
        (having(jsz=peers(True, True, leader=None)), MEANT, {"meta": "critical"}, "expected a leader, found none"),
        (WELL, replace(MEANT, cluster=True), {"routes": "critical"}, "routes to 0 other servers"),
        (seen(routed={"A": "n2"}), IN_CLUSTER, {"routes": "warning"}, "expected a route to n3, found none"),
        (seen(routed={**SIGHT.routed, "C": "n4"}), IN_CLUSTER, {"routes": "critical"}, "found one to n4"),
        (seen(routed={**SIGHT.routed, "C": "n3"}), IN_CLUSTER, {"routes": "critical"}, "one server named n3, found 2"),
        (seen(meta=replace(LED_META, size=4)), IN_CLUSTER, {"meta": "critical"}, "expected 3 servers, found 4"),
        (
            replace(MEMBER, peers=OTHERS),
            IN_CLUSTER,
            {"meta": "critical"},
            "a server of another",
        ),
        (seen(meta=behind(LED_META, silent=9.0)), IN_CLUSTER, {"meta": "warning"}, "n2 not heard of for 9 seconds"),
        (
            replace(
                seen(meta=replace(LED_META, leader="")),
                answers={**MEMBER.answers, "jsz": {**HEALTHY["jsz"], **peers(True, True, leader=None)}},
            ),
            IN_CLUSTER,
            {"meta": "critical"},
            "jetstream cluster: expected a leader, found none",
        ),
        (
            seen(groups=(behind(GROUPS[0], lag=2),)),
            IN_CLUSTER,
            {"replicas": "warning"},
            "1 of 2 copies in step, of 1 streams and consumers led here; streams: expected every replica in step, "
            "found S0 (n2 2 behind)",
        ),
        (seen(groups=(replace(GROUPS[0], leader=""),)), IN_CLUSTER, {"replicas": "critical"}, "found none for S0"),
        (
            seen(groups=(replace(GROUPS[0], key=("$G", "S", "reader"), leader=""),)),
            IN_CLUSTER,
            {"replicas": "warning"},
            "found none for S > reader",
        ),
        (replace(WELL, connected="Connection refused"), MEANT, {"connection": "critical"}, "Connection refused"),
        (replace(WELL, connected=Connected(0.1, "NOTHER")), MEANT, {"connection": "critical"}, "another server"),
        (replace(WELL, service=replace(SERVICE, running=None)), MEANT, {"service": "critical"}, "nothing that runs"),
        (
            replace(WELL, service=Service(exists=False, enabled=False, running=None)),
            MEANT,
            {"service": "critical"},
            "no such service",
        ),
        (
            replace(WELL, service=replace(SERVICE, exists=False, running=None, masked="/etc/nats.service")),
            MEANT,
            {"service": "critical"},
            "masked by /etc/nats.service",
        ),
        (
            replace(WELL, service=replace(SERVICE, broken="It has no ExecStart=.")),
            MEANT,
            {"service": "critical"},
            "systemd says: It has no ExecStart=.",
        ),
        (
            replace(WELL, service=replace(SERVICE, drop_ins=(Setting("Service", "User", "root", "/x.conf"),))),
            MEANT,
            {"service": "warning"},
            "expected User as its unit has it, found that /x.conf sets User=root",
        ),
        (
            replace(WELL, files=server_files.Look(NATS, [CLOSED])),
            MEANT,
            {"files": "critical"},
            "nats may not pass /var/lib/nats; /var/lib/nats is of root:root with mode 0700",
        ),
        (
            replace(WELL, files=server_files.Look(NATS, (), [SHARED])),
            MEANT,
            {"files": "critical"},
            "jetstream.store_dir: expected that nats-server (process 7, with /a.conf) has it to itself, since either "
            "acknowledges messages that the other overwrites, found /s/jetstream, where nats-server (process 9, with "
            "/b.conf) has it as jetstream.store_dir",
        ),
        (replace(WELL, files="/etc/nats can't be read"), MEANT, {"files": "warning"}, "/etc/nats can't be read"),
        (replace(WELL, service=replace(SERVICE, failing=True)), MEANT, {"service": "warning"}, "started again"),
        (replace(WELL, service=replace(SERVICE, enabled=False)), MEANT, {"service": "warning"}, "it does not"),
        (replace(WELL, service="no systemctl"), MEANT, {"service": "critical"}, "no systemctl"),
        (
            replace(WELL, bot_service=replace(SERVICE, running=None)),
            MEANT,
            {"bot_service": "critical"},
            "cytube-bot.service: expected a process",
        ),
        (replace(WELL, told=TOLD(200, {**BOT, "status": "degraded"})), MEANT, {"bot": "critical"}, "found degraded"),
        (replace(WELL, told=TOLD(503, BOT)), MEANT, {"bot": "critical"}, "found 503"),
        (replace(WELL, told=SILENT), MEANT, {"bot": "critical"}, "connection refused"),
        (
            replace(WELL, told=TOLD(200, {**BOT, "nats": {**BOT["nats"], "connected": False}})),
            MEANT,
            {"bot": "critical"},
            "nats.connected: expected true, found false",
        ),
        (
            replace(WELL, told=TOLD(200, {**BOT, "nats": {**BOT["nats"], "server": "nats://h:1"}})),
            MEANT,
            {"bot": "critical"},
            "found nats://h:1",
        ),
        (replace(WELL, held={"rosey-bot-prod": ()}), MEANT, {"plugins": "critical"}, f"covers {QUOTE}"),
        (having(connz=SILENT), MEANT, {"pending": "unknown"}, "connection refused"),
        (replace(WELL, held=SILENT), MEANT, {"plugins": "unknown"}, "connection refused"),
        (
            replace(WELL, held=None, told=TOLD(200, {**BOT, "nats": {**BOT["nats"], "subjects": 1}})),
            MEANT,
            {"bot": "critical"},
            "nats.subjects: expected at least 2, found 1",
        ),
    ],
)
def test_what_is_wrong_has_its_check_and_no_other(
    snapshot: Snapshot, expectation: Expectation, expected: dict[str, str], said: str
) -> None:
    found = made(snapshot, expectation)
    assert not_well(found) == expected
    (name,) = expected
    assert said in found[name].summary
    assert found[name].remedy


def test_a_server_that_does_not_answer_is_critical_and_the_rest_is_made() -> None:
    answers = {name: MonitoringError(f"http://h:8222/{name}", *SILENT_FOR) for name in health_snapshot.ENDPOINTS}
    found = made(replace(WELL, answers=answers, held=SILENT, streams=SILENT))
    assert list(found) == ALONE
    well = {"service", "files", "connection", "bot_service", "bot", "bot_errors"}
    unknown = dict.fromkeys({*ALONE} - well - {"server"}, Status.UNKNOWN)
    assert not_well(found) == {"server": Status.CRITICAL, **unknown}
    assert check_limits.worst(check.status for check in found.values()) is Status.CRITICAL
    assert all(check.remedy == "start it" for check in found.values() if check.status is not Status.OK)
    # one cause, whichever endpoint was asked
    assert {check.cause for check in found.values() if check.status is not Status.OK} == {
        "no answer at http://h:8222: connection refused, nothing listens there"
    }
    assert not any(check.cause for check in found.values() if check.status is Status.OK)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"varz": {**VARZ}}, {"cpu", "pending"}),
        ({"varz": {**HEALTHY["varz"], "cpu": None}}, {"cpu"}),
        ({"varz": {**HEALTHY["varz"], "now": "noon"}}, {"uptime"}),
        ({"varz": {**HEALTHY["varz"], "cores": "two"}}, {"cpu"}),
        ({"jsz": {**JSZ}}, {"jetstream_memory", "jetstream_storage"}),
        ({"jsz": {**HEALTHY["jsz"], "meta_cluster": [5]}}, {"meta"}),
        ({"routez": {**IDENTITY, "routes": [{}]}}, {"routes"}),
        ({"connz": connz(connection(1, pending_bytes="much"))}, {"pending"}),
    ],
)
def test_an_answer_that_no_server_gives_is_unknown(answers: dict[str, Any], expected: set[str]) -> None:
    found = made(replace(WELL, answers={**HEALTHY, **answers}))
    assert {name for name, status in not_well(found).items() if status is Status.UNKNOWN} == expected


def test_what_a_host_does_not_have_has_no_check() -> None:
    bare = Snapshot(HEALTHY)
    names = set(made(bare, Expectation()))
    assert {*ALONE} - names == {
        *("streams", "service", "files", "connection", "bot_service", "bot", "bot_errors", "plugins")
    }
    absent = Snapshot(HEALTHY, no_bot="no bot is installed at /opt/rosey-bot")
    found = made(absent, replace(MEANT, service=None, client_url=None))
    assert {"bot_service", "bot_errors", "plugins"}.isdisjoint(found)
    assert (found["bot"].status, found["bot"].summary) == (Status.OK, "no bot is installed at /opt/rosey-bot")


def test_a_bot_that_the_release_has_is_missed() -> None:
    absent = Snapshot(HEALTHY, no_bot="no bot is installed at /opt/rosey-bot")
    found = made(absent, replace(MEANT, service=None, client_url=None, released_bot="20260131T120000Z-3f2a9c"))
    assert not_well(found) == {"bot": Status.CRITICAL}
    expected = "expected the bot of release 20260131T120000Z-3f2a9c, found no bot is installed at /opt/rosey-bot"
    assert found["bot"].summary == f"bot: {expected}"
    assert "release_accept" in found["bot"].remedy
    # one that is there is judged by what it tells
    assert not_well(made(WELL, replace(MEANT, released_bot="20260131T120000Z-3f2a9c"))) == {}


def test_a_bot_that_runs_without_nats_has_no_plugins_to_look_at() -> None:
    legacy = replace(MEANT, bot=bot_expectation.Expectation(mode=bot_expectation.Mode.LEGACY))
    told = bot_health.Told(200, {name: value for name, value in BOT.items() if name != "nats"})
    found = made(replace(WELL, told=told), legacy)
    assert not_well(found) == {}
    assert "plugins" not in found
    assert made(WELL, legacy)["bot"].status is Status.CRITICAL


SENT = replace(MEANT, released_legacy="20260131T120000Z-3f2a9c")
WITHOUT = bot_health.Told(200, {name: value for name, value in BOT.items() if name != "nats"})
STOPPED = replace(
    WELL,
    answers=dict.fromkeys(health_snapshot.ENDPOINTS, SILENT),
    connected="Connection refused",
    service=Service(exists=True, enabled=False, running=None),
    told=WITHOUT,
    held=SILENT,
    streams=SILENT,
    files=None,
    is_off=True,
)


@pytest.mark.parametrize(
    ("snapshot", "expectation", "expected"),
    [
        (replace(WELL, told=WITHOUT), SENT, {"bot": "warning"}),
        # nobody meant it
        (replace(WELL, told=WITHOUT), MEANT, {"bot": "critical"}),
        # it does not do well without, either
        (
            replace(WELL, told=bot_health.Told(200, {**WITHOUT.answer, "status": "disconnected"})),
            SENT,
            {"bot": "critical"},
        ),
        # somebody has connected it again
        (WELL, SENT, {}),
        (STOPPED, SENT, {"service": "warning", "bot": "warning"}),
    ],
)
def test_a_bot_that_was_sent_to_legacy_and_a_server_that_was_stopped_for_it_are_warnings(
    snapshot: Snapshot, expectation: Expectation, expected: dict[str, str]
) -> None:
    found = made(snapshot, expectation)
    assert not_well(found) == expected
    for check in found.values():
        if check.status is Status.WARNING:
            assert "20260131T120000Z-3f2a9c" in check.summary
            assert "ansible-playbook site.yml -i <inventory>" in check.remedy
    assert ("plugins" in found) == (snapshot is WELL or expectation is MEANT or expected == {"bot": "critical"})


def test_a_server_that_was_stopped_on_purpose_is_told_and_what_it_would_tell_is_left_out() -> None:
    found = made(STOPPED, SENT)
    assert list(found) == ["service", "bot_service", "bot", "bot_errors"]
    assert "that it was stopped on purpose" in found["service"].summary
    # one that was to run, one that has ended by itself, and one that nobody stopped for a bot
    for snapshot, expectation in ((replace(STOPPED, is_off=False), SENT), (STOPPED, MEANT)):
        assert {"service", "server", "connection"} <= {
            name for name, status in not_well(made(snapshot, expectation)).items() if status is Status.CRITICAL
        }


# Of these each bus has its own amount.
WITHOUT_DEFAULT_LIMIT = {"uptime", "memory", "subscriptions"}


def test_the_worst_value_of_every_check_is_not_well_by_default() -> None:
    limited = {name: kind for name, kind in KINDS.items() if kind.limited}
    limits = check_table.limits(DEFAULTS)
    assert limits.keys() == limited.keys()
    without = {name for name in limited if limits[name] == Limits()}
    assert without == WITHOUT_DEFAULT_LIMIT
    for name, kind in limited.items():
        # errors that are counted since a start don't go away when all is well again; who leads is nothing critical
        if kind.unit is Unit.PERCENT and name not in {"bot_errors", "leaders"}:
            assert limits[name].critical is not None, name


@pytest.mark.parametrize(
    ("requests", "errors", "percent", "expected"),
    [(1, 1, 10, {}), (3, 3, 30, {"bot_errors": "warning"}), (100, 100, 100, {"bot_errors": "warning"})],
)
def test_errors_of_the_bot_have_limits_and_one_of_one_is_not_many(
    requests: int, errors: int, percent: float, expected: dict[str, str]
) -> None:
    found = made(replace(WELL, told=bot_health.Told(200, {**BOT, "requests": requests, "errors": errors})))
    assert not_well(found) == expected
    assert found["bot_errors"].value == percent


def test_what_plugins_hold_has_no_check_where_it_is_not_looked_at() -> None:
    found = made(replace(WELL, held=None))
    assert not_well(found) == {}
    assert {*ALONE} - found.keys() == {"plugins"}


def test_what_the_bot_need_not_tell_is_nothing_wrong() -> None:
    told = bot_health.Told(200, {"status": "connected", "nats": BOT["nats"]})
    found = made(replace(WELL, told=told))
    assert not_well(found) == {}
    assert found["bot_errors"].value is None


MEANT_SO = (
    'where that was meant: ansible-playbook site.yml -i <inventory> -e \'{"nats_server_accept": ["gone_streams"]}\''
)
ANEW = replace(KEPT, created="2026-11-27T00:00:00Z", messages=3, last_seq=3)


def test_streams_that_are_gone_come_first_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "$G" / "streams" / "HISTORY").mkdir(parents=True)
    found = made(replace(WELL, streams=compared(data=tmp_path)))
    assert next(iter(found)) == "streams"
    assert not_well(found) == {"streams": Status.CRITICAL}
    check = found["streams"]
    assert check.value == 2
    assert check.summary == (
        "0 of 2 streams of 2026-11-26T11:43:13Z there; "
        f"stream EVENTS: expected with 1 message, found none; its files are gone from {tmp_path}/$G/streams/EVENTS; "
        f"stream HISTORY: expected with 12 messages, found none; its files stand in {tmp_path}/$G/streams/HISTORY"
    )
    assert check.remedy == (
        'where the files still stand: look in the log of the server for "Error recreating stream" or "Error '
        'decrypting", undo what was changed, such as a key or a limit, and restart it; where the files are gone: '
        f"restore them from a backup, or from a copy in /releases/stores; {MEANT_SO}"
    )


@pytest.mark.parametrize(
    ("streams", "status", "said", "remedy"),
    [
        (compared(*PROVEN.assets.streams.values()), Status.OK, "2 of 2 streams of 2026-11-26T11:43:13Z there", ""),
        (
            compared(KEPT),
            Status.CRITICAL,
            "none; whether its files stand is not known",
            "where the files still stand: ",
        ),
        (compared(KEPT, is_off=True), Status.CRITICAL, "stream EVENTS", "JetStream is off: turn it on as it was"),
        (compared(KEPT, data=Path("/nowhere")), Status.CRITICAL, "gone from /nowhere", "the files are gone: restore"),
        (lost_streams.NotComparedError("/f", "it can't be read", "run as root"), Status.UNKNOWN, "/f: it", "run as"),
        (SILENT, Status.UNKNOWN, "no answer at http://h:8222/varz", "start it"),
    ],
)
def test_streams_have_a_status(
    streams: lost_streams.Comparison | Exception, status: Status, said: str, remedy: str
) -> None:
    check = made(replace(WELL, streams=streams))["streams"]
    assert (check.status, check.value is None) == (status, status is Status.UNKNOWN)
    assert said in check.summary
    assert check.remedy.startswith(remedy)


def test_what_else_is_missing_of_streams_is_a_warning() -> None:
    check = made(replace(WELL, streams=compared(ANEW, replace(KEPT, name="EVENTS", messages=0))))["streams"]
    assert (check.status, check.value) == (Status.WARNING, 0)
    assert check.summary.startswith(
        "2 of 2 streams of 2026-11-26T11:43:13Z there; stream HISTORY: expected last sequence 12, "
    )
    assert "EVENTS" not in check.summary


def test_many_streams_that_are_gone_stay_one_line() -> None:
    many = assets.of(replace(KEPT, name=f"s{number:02}") for number in range(15))
    proven = asset_record.Proven(PROVEN.time, many)
    found = lost_streams.compare(Path("/releases"), proven, assets.of([]), None)
    summary = made(replace(WELL, streams=found))["streams"].summary
    assert all(f"stream s{number:02}: " in summary for number in range(10))
    assert summary.endswith("; and 5 more")
    assert "\n" not in summary


def test_streams_are_not_missed_where_jetstream_was_meant_to_be_off() -> None:
    off = replace(having(jsz={"disabled": True, "config": {}}), streams=compared(is_off=True))
    assert "streams" not in made(off, replace(MEANT, jetstream=False))
    assert made(off)["streams"].status is Status.CRITICAL


def test_jetstream_that_was_not_meant_and_is_off_is_well() -> None:
    off = having(jsz={"disabled": True, "config": {}})
    for meant in (None, False):
        found = made(off, replace(MEANT, jetstream=meant))
        assert not_well(found) == {}
        assert {found[name].summary for name in ("jetstream", "jetstream_memory", "jetstream_storage")} == {
            "JetStream is off"
        }


def test_many_things_that_are_wrong_stay_one_line() -> None:
    plugins = tuple(bot_expectation.Plugin(f"p{number}", (f"rosey.prod.commands.p{number}",)) for number in range(9))
    expectation = replace(MEANT, bot=bot_expectation.Expectation(plugins=plugins, client_name="rosey-bot-prod"))
    summary = made(WELL, expectation)["plugins"].summary
    assert summary.startswith("0 of 9 subscriptions of the plugins held; plugin p0: expected")
    assert summary.endswith("; and 6 more")
    assert "\n" not in summary
    errors = [{"error": f"stream {number}"} for number in range(4)]
    wrong = {"server_name": "a", "version": "b"}
    snapshot = replace(
        having(varz=wrong, healthz={"status": "no", "errors": errors}, jsz={"server_id": "X"}), connected=None
    )
    assert made(snapshot)["server"].summary.endswith("; and 1 more")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"cpu": {"warning": 1}}, {"cpu": Limits(1, None)}),
        ({"cpu": {"warning": None, "critical": "2.5"}}, {"cpu": Limits(None, 2.5)}),
        ({"uptime": {"warning": 300, "critical": 60}}, {"uptime": Limits(300, 60)}),
        ({"cpu": {"warning": 5, "critical": 5}}, {"cpu": Limits(5, 5)}),
    ],
)
def test_limits_are_read(given: dict[str, Any], expected: dict[str, Limits]) -> None:
    assert check_table.limits(given) == expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"conections": {}}, "conections is no check with limits; expected one of connection, uptime"),
        ({"conections": {}}, "the nearest is connections"),
        ({"server": {"warning": 1}}, "server is no check with limits"),
        ({"cpu": 5}, "cpu is 5; expected warning and critical"),
        ({"cpu": {"warn": 5}}, 'cpu is {"warn": 5}; expected warning and critical'),
        ({"cpu": {"warning": "much"}}, "cpu.warning is 'much'; expected a number"),
        ({"cpu": {"critical": True}}, "cpu.critical is True; expected a number"),
        ({"cpu": {"critical": "nan"}}, "cpu.critical is 'nan'; expected a number"),
        ({"cpu": {"critical": [1]}}, "cpu.critical is [1]; expected a number"),
        ({"cpu": {"warning": 2, "critical": 1}}, "cpu.critical is 1 and its warning 2; expected a critical limit"),
        ({"uptime": {"warning": 1, "critical": 2}}, "expected a critical limit that is lower, or the same"),
    ],
)
def test_limits_that_make_no_sense_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(check_limits.LimitsError, match=re.escape(said)):
        check_table.limits(given)


def test_all_limits_that_make_no_sense_are_told_at_once() -> None:
    with pytest.raises(check_limits.LimitsError, match=r"^cpu is 1; .*\nmemory is 2; [^\n]*$"):
        check_table.limits({"cpu": 1, "memory": 2, "routes": {"warning": 1}})


def test_the_worst_is_critical_then_unknown_then_a_warning() -> None:
    order = [Status.OK, Status.WARNING, Status.UNKNOWN, Status.CRITICAL]
    for place, status in enumerate(order):
        assert check_limits.worst(order[: place + 1]) is status
    assert check_limits.worst([]) is Status.UNKNOWN


def test_the_summary_names_what_is_not_well_worst_first() -> None:
    found = made(replace(having(varz={"slow_consumers": 1}, subsz=SILENT), connected="refused"))
    assert checks.summary(found.values()) == (
        f"critical: connection; unknown: subscriptions; warning: slow_consumers; {len(ALONE) - 3} ok"
    )


def test_a_check_is_returned_as_plain_values() -> None:
    result = made(WELL)["connections"].as_result()
    assert json.loads(json.dumps(result)) == {
        "name": "connections",
        "status": "ok",
        "summary": "5 of 50 connections",
        "value": 10.0,
        "unit": "%",
        "worse": "higher",
        "warning": 90.0,
        "critical": 95.0,
        "remedy": "",
        "cause": "",
    }
    assert {type(value) for value in result.values()} == {str, float}


def test_the_units_are_those_of_nagios() -> None:
    assert set(Unit) == {"", "s", "%", "B"}


# Looking


def observer(url: str, **given: Any) -> Observer:
    expectation = given.pop("expectation", Expectation())
    return Observer(monitoring.Monitor(url, timeout=0.5), expectation, **given)


def test_a_look_asks_each_endpoint_once_and_the_bot() -> None:
    with fake_monitoring({"/api/health": BOT}) as fake:
        bot = http_reader.Reader(f"{fake.url}/api/health", bot_expectation.BOT)
        snapshot = observer(fake.url, bot=bot).look()
        assert [path for path, _query in fake.asked] == [
            *(f"/{name}" for name in health_snapshot.ENDPOINTS),
            "/api/health",
        ]
        assert [query.get("subs") for path, query in fake.asked if path == "/connz"] == ["1"]
    assert not any(isinstance(answer, MonitoringError) for answer in snapshot.answers.values())
    assert snapshot.told == bot_health.Told(200, BOT)


def test_a_look_goes_on_after_an_answer_that_is_none() -> None:
    with fake_monitoring({"/jsz": Reply(b"", status=500), "/api/health": Reply(b"{}", status=503)}) as fake:
        bot = http_reader.Reader(f"{fake.url}/api/health", bot_expectation.BOT)
        snapshot = observer(fake.url, bot=bot).look()
    failed = [name for name, answer in snapshot.answers.items() if isinstance(answer, MonitoringError)]
    assert failed == ["jsz"]
    assert snapshot.told == bot_health.Told(503, {})


def test_a_server_that_hangs_is_waited_for_once() -> None:
    asked: list[int] = []

    def hang(client: socket.socket) -> None:
        asked.append(1)
        client.recv(1 << 16)
        client.settimeout(2)
        client.recv(1)

    with raw_server(hang) as url:
        snapshot = observer(url).look()
    assert asked == [1]
    assert {str(answer) for answer in snapshot.answers.values()} == {
        f"{url}/varz: no whole answer within 0.5 seconds; raise timeout, or look at the log of the server"
    }


def test_what_plugins_hold_is_asked_of_the_server_that_the_bot_is_connected_to() -> None:
    held = connz(connection(1, "rosey-bot-prod-quotes", QUOTE))
    with fake_monitoring({"/api/health": BOT}) as fake, fake_monitoring({"/connz": held}) as other:
        bot = http_reader.Reader(f"{fake.url}/api/health", bot_expectation.BOT)

        def look(bot_monitor: monitoring.Monitor | None) -> Snapshot:
            return observer(fake.url, bot=bot, bot_monitor=bot_monitor).look()

        assert look(None).held is None
        assert look(monitoring.Monitor(fake.url)).held == {}
        assert fake.connections == 3  # two looks, and that at the bot
        assert look(monitoring.Monitor(other.url)).held == {"rosey-bot-prod-quotes": {QUOTE}}
        assert [path for path, _query in other.asked] == ["/connz"]
        for answer, said in (
            (Reply(b"", status=500), "HTTP status 500"),
            (connz({"cid": 1, "subscriptions_list": 5}), "connection 1 has no list of subjects"),
        ):
            other.answers["/connz"] = answer
            found = look(monitoring.Monitor(other.url)).held
            assert isinstance(found, MonitoringError)
            assert (found.url, said in found.cause) == (f"{other.url}/connz", True)


STARTING = {"errors": [{"error": "failed to be ready for connections after 1ms: startup did not complete"}]}


def test_streams_are_asked_for_once_and_only_where_some_were_proven(tmp_path: Path) -> None:
    def look(url: str, **given: Any) -> Snapshot:
        record = lost_streams.Record(tmp_path, monitoring.Monitor(url, timeout=5))
        return observer(url, record=record, **given).look()

    with fake_monitoring({"/jsz": {**JSZ, "config": {"store_dir": str(tmp_path)}}}) as fake:
        assert look(fake.url).streams is None
        assert len(fake.asked) == len(health_snapshot.ENDPOINTS)
        asset_record.Book(tmp_path).prove(PROVEN)
        fake.asked.clear()
        found = look(fake.url).streams
        assert isinstance(found, lost_streams.Comparison)
        assert [each.files for each in found.lost] == [lost_streams.Files.GONE] * 2
        assert [path for path, _query in fake.asked] == [*(f"/{name}" for name in health_snapshot.ENDPOINTS), "/jsz"]
        assert look(fake.url, expectation=Expectation(jetstream=False)).streams is None
        fake.answers["/healthz"] = {"status": "error", **STARTING}
        found = look(fake.url).streams
        assert isinstance(found, lost_streams.NotComparedError)
        assert "may not have taken up its streams yet" in found.why
        fake.answers["/varz"] = Reply(b"", status=500)
        assert isinstance(look(fake.url).streams, MonitoringError)


def test_a_bot_that_is_not_there_is_not_asked() -> None:
    with fake_monitoring({"/api/health": BOT}) as fake:
        bot = http_reader.Reader(f"{fake.url}/api/health", bot_expectation.BOT)
        assert observer(fake.url, bot=bot, no_bot="none").look().told is None
        assert "/api/health" not in [path for path, _query in fake.asked]


INFO = b'INFO {"server_id":"NAFAKE","version":"2.10.7"} \r\n'


@pytest.mark.parametrize(
    ("greeting", "expected"),
    [
        (INFO, "NAFAKE"),
        (b"HTTP/1.1 400 Bad Request\r\n", "no nats-server, it says: HTTP/1.1 400 Bad Request"),
        (b"INFO {\r\n", "no nats-server, it says: INFO {"),
        (b"INFO []\r\n", "no nats-server, it says: INFO []"),
        (b"INFO {}\r\n", "no nats-server, it says: INFO {}"),
        (b"", "no nats-server, it says: nothing"),
        (None, "timed out"),
    ],
)
def test_a_connection_is_one_to_a_server_that_presents_itself(greeting: bytes | None, expected: str) -> None:
    def greet(client: socket.socket) -> None:
        if greeting is None:
            client.settimeout(2)
            client.recv(1)
        else:
            client.sendall(greeting)

    with raw_server(greet) as url:
        found = checks.connect(url.replace("http", "nats"), 0.3)
    if isinstance(found, Connected):
        assert found.server_id == expected
        assert 0 < found.seconds < 0.3
    else:
        assert found == expected


@pytest.mark.parametrize("host", ["nats..local", "n" * 64])
def test_a_name_that_can_be_none_of_a_host_is_no_connection(host: str) -> None:
    found = checks.connect(f"nats://{host}:4222", 1)
    assert isinstance(found, str)
    assert "label" in found


def test_a_port_that_nobody_listens_at_is_refused(free_port: Callable[[], int]) -> None:
    assert checks.connect(f"nats://127.0.0.1:{free_port()}", 1) == "Connection refused"


def test_a_drop_in_that_harms_nothing_is_well() -> None:
    harmless = replace(SERVICE, drop_ins=(Setting("Service", "Nice", "5", "/x.conf"),))
    assert not_well(made(replace(WELL, service=harmless, bot_service=harmless), MEANT)) == {}


def test_what_the_bot_is_started_with_is_its_own_affair() -> None:
    own = replace(SERVICE, drop_ins=(Setting("Service", "ExecStart", "/x", "/x.conf"),))
    assert not_well(made(replace(WELL, bot_service=own), MEANT)) == {}
    assert not_well(made(replace(WELL, service=own), MEANT)) == {"service": "warning"}


# The certificates


def renewed(days: float) -> dict[str, Any]:
    return {"kept": certificates.read(make("bus", names=["bus"], until=NOW + days * DAY).pem)[0]}


@pytest.mark.parametrize(
    ("served", "expected", "said"),
    [
        (shows("clients", 90), Status.OK, "CN=bus until "),
        (shows("clients", 90, kept="Permission denied"), Status.OK, "CN=bus until "),
        (shows("clients", 20), Status.WARNING, "CN=bus until "),
        (shows("clients", 6), Status.CRITICAL, "CN=bus until "),
        (shows("clients", -1), Status.CRITICAL, "found that it expired at "),
        (
            shows("clients", 90, **renewed(180)),
            Status.WARNING,
            "expected that of /etc/nats/cert.pem, with serial number ",
        ),
        (shows("clients", -1, **renewed(180)), Status.CRITICAL, "found that the server shows another one, "),
        (shows("clients", 90, flaw="The key is another."), Status.CRITICAL, "found The key is another."),
        (
            replace(shows("clients", 90), shown="refused"),
            Status.CRITICAL,
            "expected a certificate at tls://127.0.0.1:4222",
        ),
    ],
)
def test_a_certificate_is_judged_by_what_is_shown_and_what_is_kept(served: Served, expected: Status, said: str) -> None:
    found = made(replace(WELL, certificates=(served,)))["certificate_clients"]
    assert (found.status, said in found.summary) == (expected, True), found.summary
    assert bool(found.remedy) is (expected is not Status.OK)


@pytest.mark.parametrize(
    ("service", "remedy"),
    [
        ("bus.service", "let the server read it: systemctl reload bus, or deploy: ansible-playbook site.yml"),
        ("nats-server", "let the server read it: deploy: ansible-playbook site.yml"),
        (None, "let the server read it: deploy: ansible-playbook site.yml"),
    ],
)
def test_what_takes_up_a_renewed_file_is_told_of_the_service_that_runs(service: str | None, remedy: str) -> None:
    snapshot = replace(WELL, certificates=(shows("clients", 90, **renewed(180)),))
    assert made(snapshot, replace(MEANT, service=service))["certificate_clients"].remedy.startswith(remedy)


def test_each_listener_has_a_check_of_its_own_in_the_order_of_the_configuration() -> None:
    found = made(replace(WELL, certificates=(shows("clients", 90), shows("monitoring", 20), shows("mqtt", 6))))
    rows = [(name, check.status) for name, check in found.items() if name not in ALONE]
    assert rows == [
        ("certificate_clients", Status.OK),
        ("certificate_monitoring", Status.WARNING),
        ("certificate_mqtt", Status.CRITICAL),
    ]


def test_a_listener_of_a_server_that_does_not_answer_has_its_cause() -> None:
    answers = {name: MonitoringError(f"http://h:8222/{name}", *SILENT_FOR) for name in health_snapshot.ENDPOINTS}
    silent = replace(shows("clients", 90), shown="Connection refused")
    found = made(replace(WELL, answers=answers, held=SILENT, streams=SILENT, certificates=(silent,)))
    assert found["certificate_clients"].status is Status.UNKNOWN
    assert found["certificate_clients"].cause == found["cpu"].cause


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ("certificate_clients", ("certificate", "clients")),
        ("bot_errors", ("bot_errors", "")),
        ("cpu", ("cpu", "")),
    ],
)
def test_the_kind_of_a_check_is_told_by_its_name(check: str, expected: tuple[str, str]) -> None:
    assert check_table.which(check) == expected
