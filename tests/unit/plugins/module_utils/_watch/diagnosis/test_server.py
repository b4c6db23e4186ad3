# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container shows is broken for real in tests/diagnosis. Here is what it can't show, from recorded journals."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._data import assets, lost_streams
from ansible_collections.rosey.nats.plugins.module_utils._data.asset_record import Proven
from ansible_collections.rosey.nats.plugins.module_utils._host import access, process, sockets, unit_file
from ansible_collections.rosey.nats.plugins.module_utils._host.needed_path import Need
from ansible_collections.rosey.nats.plugins.module_utils._host.system import Account
from ansible_collections.rosey.nats.plugins.module_utils._server import certificates, server_files
from ansible_collections.rosey.nats.plugins.module_utils._server.certificates import Kind
from ansible_collections.rosey.nats.plugins.module_utils._server.served_certificates import Served
from ansible_collections.rosey.nats.plugins.module_utils._server.tls_listener import TlsListener
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import (
    server,
    server_certificates,
    server_words,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.evidence import Unit
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.server_evidence import (
    COMMAND_LINE,
    STORE,
    UNIT_OPTION,
    Binary,
    Described,
    Evidence,
    Place,
    Trial,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import Cause, Confidence, NotSeenError
from ansible_collections.rosey.nats.tests.certificates import NOW, make

BINARY, FILE = Path("/usr/local/bin/nats-server"), Path("/etc/nats/nats-server.conf")
GONE = NotSeenError("it", "it is gone", "bring it back")
NATS = Account("nats", "nats", 990, 990, frozenset({990}))
DESCRIBED = Described("nats", "", "nats", "nats", BINARY, FILE, Path("/var/lib/nats/nats-server.pid"), None)
PROPERTIES = {
    "LoadState": "loaded",
    "UnitFileState": "enabled",
    "ActiveState": "active",
    "SubState": "running",
    "Result": "success",
    "ExecMainPID": "7",
    "ExecMainStatus": "0",
    "NRestarts": "0",
    "User": "nats",
    "ExecStart": f"{{ path={BINARY} ; argv[]={BINARY} -c {FILE} ; ignore_errors=no }}",
    "LimitAS": "infinity",
    "MemoryMax": "infinity",
    "ProtectSystem": "strict",
    "ReadWritePaths": "/var/lib/nats /var/log/nats",
}


LOG = Place("log_file", Need.PARENT, Path("/var/log/nats"), device=1, free_bytes=1 << 30)
KEPT = Place(STORE, Need.DIRECTORY, Path("/var/lib/nats"), device=1, free_bytes=1 << 30)
CONFIG = Place(COMMAND_LINE, Need.FILE, FILE, device=1, free_bytes=0)


def at_fault(
    place: Place, remedy: str, where: str = "", kind: access.Kind = access.Kind.FORBIDDEN
) -> dict[str, tuple[Place, ...]]:
    """Give a place at which the account is stopped."""
    where = where or str(place.needed)
    seen = f"{where} is of root:root with mode 0700" if kind is access.Kind.FORBIDDEN else ""
    found = access.Fault(place.option, str(place.needed), Path(where), kind, f"nats may not {where}", seen, remedy)
    return {"places": (replace(place, fault=found),)}


HEALTHY = Evidence(
    described=DESCRIBED,
    unit=Unit("nats", PROPERTIES),
    binary=Binary(BINARY, BINARY, exists=True),
    config_file=FILE,
    account=NATS,
    config={"host": "127.0.0.1", "port": 4222, "http_port": 8222},
    monitor=GONE,
    tested=Trial(0, f"nats-server: configuration file {FILE} is valid"),
    places=(CONFIG, LOG, KEPT),
    pid=7,
    state="S",
    health={"status": "ok", "errors": []},
)


HOME = Place("tls.cert_file", Need.FILE, Path("/home/x"), device=1)


def files(drop_in: str) -> unit_file.Files:
    """Give what a service is made of, with a drop-in."""
    unit = unit_file.parse("[Service]\nUser=nats\nExecStart=/usr/local/bin/nats-server\n", "/nats.service")
    return unit_file.Files(unit, unit_file.parse(f"[Service]\n{drop_in}", "/x.conf"))


def ended(*said: str, evidence: Evidence = HEALTHY, **properties: str) -> Evidence:
    """Give the evidence of a server that has ended, with what it said."""
    down = {"ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code", "ExecMainStatus": "1"}
    unit = Unit("nats", {**PROPERTIES, **down, **properties}, said)
    return replace(evidence, unit=unit, pid=0, state="", health=GONE)


def with_config(**options: Any) -> dict[str, Any]:
    assert isinstance(HEALTHY.config, dict)
    return {**HEALTHY.config, **options}


def first(evidence: Evidence) -> Cause:
    return server.diagnosis(evidence).causes[0]


def test_a_healthy_server_has_no_cause_and_every_part_is_told() -> None:
    found = server.diagnosis(HEALTHY)
    assert found.causes == ()
    assert len(found.healthy) == len((server.UNIT, *server.RUNNING))


# systemd 252 and nats-server 2.10.7, as they wrote it.
OUT_OF_MEMORY = ("fatal error: runtime: out of memory", "runtime: mmap: errno=12")
PANIC = (
    "panic: runtime error: slice bounds out of range [:4294967295] with capacity 65536",
    "goroutine 1 [running]:",
    "github.com/nats-io/nats-server/v2/server.(*msgBlock).indexCacheBuf(0xc0001ae000)",
)
SECRET = "hunter2"
WITH_SECRETS = f"{{ argv[]={BINARY} -c {FILE} --user rosey --pass {SECRET} -x ; }}"
META = "Can't start JetStream: Error decoding our meta state: corrupt snapshot"


@pytest.mark.parametrize(
    ("evidence", "name", "says"),
    [
        (ended(Result="oom-kill", ExecMainStatus="9"), "memory_short", "Result=oom-kill"),
        (ended(Result="oom-kill", ExecMainStatus="9", MemoryMax="67108864"), "memory_short", "raise MemoryMax"),
        (ended(*OUT_OF_MEMORY, ExecMainStatus="2"), "memory_short", "out of memory"),
        (replace(ended(Result="oom-kill"), available=12 << 20), "memory_short", "12 MiB"),
        (ended(Result="signal", ExecMainStatus="9"), "killed", "signal 9 (KILL)"),
        (ended(Result="core-dump", ExecMainStatus="11"), "killed", "signal 11 (SEGV)"),
        (ended(*PANIC, ExecMainStatus="2"), "crashed", "slice bounds"),
        (replace(ended(), log=f"[7] 2026/11/26 19:52:00.046284 [FTL] {META}"), "store_damaged", "corrupt snapshot"),
        (ended("nats-server: accept4: too many open files"), "files_short", "LimitNOFILE"),
        (ended("2026/11/26 19:51:53 error opening file: open /x: permission denied"), "path_forbidden", "SELinux"),
        (ended("nats-server: write /var/lib/nats/x: no space left on device"), "disk_full", "is not now"),
        (
            replace(
                ended(), log="[7] 2026/11/26 [FTL] Error listening on port: 127.0.0.1:4222: address already in use"
            ),
            "port_taken",
            "free by now",
        ),
        (ended("nats-server: lame duck grace period (40s)", "goroutine 1"), "configuration_refused", "lame duck"),
        (ended(NRestarts="4"), "ended", "started again 4 times"),
        (ended("flag provided but not defined: -x", Result="success"), "command_line_refused", "-x"),
        (
            ended("flag provided but not defined: -x", Result="success", ExecStart=WITH_SECRETS),
            "command_line_refused",
            f"the unit starts {BINARY} -c {FILE} --user ********",
        ),
        (ended(ExecStart=WITH_SECRETS), "ended", f"run it by hand, as nats: {BINARY} -c {FILE} --user ********"),
        (ended(Result="success", ActiveState="inactive"), "stopped", "systemctl start nats"),
        (
            ended(Result="success", ActiveState="inactive", UnitFileState="disabled"),
            "stopped",
            "systemctl enable --now nats",
        ),
        (replace(HEALTHY, state="t"), "suspended", "debugger"),
    ],
)
def test_how_it_ended_is_read_from_systemd_journal_and_log(evidence: Evidence, name: str, says: str) -> None:
    cause = first(evidence)
    assert cause.name == name
    assert says in " ".join((cause.cause, *cause.evidence, cause.remedy))
    assert SECRET not in repr(cause)


def test_of_a_server_that_is_down_nobody_says_that_it_is_well() -> None:
    explained = replace(ended("nats-server: open x: permission denied"), binary=Binary(BINARY, BINARY, exists=False))
    healthy = server.diagnosis(explained).healthy
    assert "paths" in healthy
    assert not {"state of the service", "health of the server", "JetStream's store"} & set(healthy)


@pytest.mark.parametrize(
    ("log", "fatal"),
    [
        ("[6] 2026/11/25 [FTL] of another process\n[7] 2026/11/26 [INF] Starting", ""),
        ("[7] 2026/11/26 [FTL] one\n[7] 2026/11/26 [FTL] two\n", "two"),
        ("[77] 2026/11/26 [FTL] of a longer number\n", ""),
        ("", ""),
    ],
)
def test_the_last_words_are_of_the_process_that_ended(log: str, fatal: str) -> None:
    assert server_words.last_fatal(log, "7") == fatal


@pytest.mark.parametrize(
    ("changes", "name", "says"),
    [
        ({"unit": Unit("nats", {"LoadState": "not-found"})}, "unit_missing", "/etc/systemd/system/nats.service"),
        ({"unit": Unit("nats", {"LoadState": "bad-setting"})}, "unit_missing", "can't read nats.service"),
        (
            {"unit": Unit("nats", {"LoadState": "bad-setting"}, broken="It has no ExecStart=.")},
            "unit_missing",
            "systemd says: It has no ExecStart=.",
        ),
        ({"unit": Unit("nats", {"LoadState": "masked"})}, "unit_masked", "unmask"),
        ({"unit": Unit("nats", PROPERTIES, files=files("User=root"))}, "unit_overridden", "/x.conf sets User=root"),
        (
            {"unit": Unit("nats", PROPERTIES, files=files("ExecStart=\nExecStart=/x --pass spoon"))},
            "unit_overridden",
            "/x.conf sets ExecStart=/x --pass ********",
        ),
        (
            {"unit": Unit("nats", {**PROPERTIES, "ProtectHome": "yes"}), "places": (HOME,)},
            "unit_forbids",
            "ProtectHome=yes of the unit hides /home from the service",
        ),
        ({"binary": Binary(BINARY, Path("/lib/nats"), exists=False)}, "binary_missing", "a link to /lib/nats"),
        ({"binary": Binary(BINARY, BINARY, True, "its mode", "EACCES")}, "binary_not_executable", "chmod 755"),
        ({"binary": Binary(BINARY, BINARY, True, "for arm64", "ENOEXEC")}, "binary_unusable", "architecture"),
        ({"binary": Binary(BINARY, BINARY, True, "no answer")}, "binary_unusable", "does not run"),
        ({"account": None}, "account_missing", "useradd --system --user-group nats"),
        ({"config": None, "places": (LOG,)}, "configuration_missing", str(FILE)),
        ({"fault": "line 3: no value", "tested": Trial(1, "Parse error")}, "configuration_invalid", "line 3"),
        ({"tested": Trial(1, "nats-server: x:3:1: unknown field")}, "configuration_invalid", "unknown field"),
        ({"config": with_config(port="x"), "tested": None}, "configuration_invalid", "port"),
        ({"absent": {"192.0.2.7": "no such address"}}, "address_absent", "192.0.2.7"),
        ({"health": {"status": "error", "error": "JetStream is off", "errors": []}}, "unhealthy", "JetStream is off"),
        (
            {"health": {"status": "ok", "errors": [{"error": "x: no leader"}]}},
            "unhealthy",
            "/healthz: ok: x: no leader",
        ),
        ({"log": "[7] x [WRN] Stream metafile HISTORY: checksums do not match"}, "store_damaged", "HISTORY"),
        (at_fault(LOG, "install -d", kind=access.Kind.MISSING), "path_missing", "install -d, or deploy again"),
        (at_fault(LOG, "chown x"), "path_forbidden", "mode 0700 chown x, or deploy again"),
        (at_fault(LOG, "chown x"), "path_forbidden", "and the server runs as nats"),
        (at_fault(LOG, "chown x", "/var/log/nats/x.log"), "path_forbidden", "chown x, or deploy again"),
        (at_fault(CONFIG, "chgrp nats"), "path_forbidden", "chgrp nats, or deploy again"),
        (at_fault(KEPT, "", kind=access.Kind.READ_ONLY), "path_read_only", "/var/lib/nats"),
        (at_fault(KEPT, "move it", kind=access.Kind.WRONG), "store_damaged", "where a copy of the store was made"),
        (at_fault(LOG, "move it", kind=access.Kind.WRONG), "path_wrong", "move it"),
        (
            {**at_fault(LOG, ""), "account": Account("nobody", "nogroup", 65534, 65534, frozenset({65534}))},
            "path_forbidden",
            "runs as nobody",
        ),
        ({"places": (replace(KEPT, needed=Path("/srv")),)}, "unit_forbids", "ReadWritePaths=/srv"),
        ({"places": (replace(LOG, free_bytes=0), KEPT)}, "disk_full", "log_file"),
        ({"places": (replace(LOG, free_inodes=0), KEPT)}, "disk_full", "no inodes"),
    ],
)
def test_what_is_wrong_with_what_it_needs_is_certain(changes: dict[str, Any], name: str, says: str) -> None:
    cause = first(replace(HEALTHY, **changes))
    assert cause.name == name
    assert says in " ".join((cause.cause, *cause.evidence, cause.remedy))
    assert cause.confidence >= Confidence.LIKELY


def test_a_deployment_is_no_remedy_for_what_it_does_not_own() -> None:
    for place, where in ((LOG, "/var"), (Place("tls.key_file", Need.FILE, Path("/key.pem")), "")):
        assert first(replace(HEALTHY, **at_fault(place, "chmod o+x", where))).remedy == "chmod o+x"


def test_two_paths_on_one_full_disk_are_one_cause() -> None:
    full = (replace(LOG, free_bytes=0), replace(KEPT, free_bytes=0))
    (cause,) = server.diagnosis(replace(HEALTHY, places=full)).causes
    assert [line.partition(":")[0] for line in cause.evidence] == ["log_file", STORE]


@pytest.mark.parametrize(
    "place",
    [
        replace(KEPT, free_bytes=0, need=Need.FILE),
        replace(KEPT, free_bytes=0, option=UNIT_OPTION),
        replace(KEPT, needed=Path("/var/lib/nats/jetstream")),
        replace(KEPT, free_inodes=None),
    ],
    ids=["it is only read", "only the unit names it", "below an allowed one", "no inodes"],
)
def test_what_does_no_harm_is_no_cause(place: Place) -> None:
    assert server.diagnosis(replace(HEALTHY, places=(place,))).causes == ()


def test_two_addresses_that_one_program_holds_are_one_cause() -> None:
    address = ipaddress.ip_address("127.0.0.1")
    holders = [
        sockets.Listener(sockets.Socket(address, port, 0, port), "root", (9,), "nats-server") for port in (4222, 8222)
    ]
    taken = tuple(sockets.Taken("127.0.0.1", each.socket.port, each) for each in holders)
    (cause,) = server.diagnosis(replace(HEALTHY, taken=taken)).causes
    assert (cause.name, len(cause.evidence)) == ("port_taken", 2)
    assert "a second nats-server" in cause.cause
    assert "kill 9" in cause.remedy


def shared(option: str, pid: int = 9) -> server_files.Clash:
    other = process.Process(pid, 0, Path("/b/nats-server"), ("nats-server", "-c", "/b.conf"), 0)
    return server_files.Clash(option, f"/{option}", "nats-server (process 7)", server_files.Server(other, ()), option)


@pytest.mark.parametrize(
    ("clashes", "expected"),
    [
        ((), []),
        ((shared("log_file"),), [("files_shared", 1)]),
        ((shared("log_file"), shared(STORE)), [("store_shared", 2)]),
        ((shared(STORE), shared("log_file", 10)), [("store_shared", 1), ("files_shared", 1)]),
    ],
)
def test_a_server_that_shares_files_is_one_cause(
    clashes: tuple[server_files.Clash, ...], expected: list[tuple[str, int]]
) -> None:
    found = server.diagnosis(replace(HEALTHY, clashes=clashes)).causes
    assert [(cause.name, len(cause.evidence)) for cause in found] == expected
    assert all("nats-server (process " in cause.evidence[0] for cause in found)
    assert all("stop one of the two at once" in cause.remedy for cause in found)


def test_what_explains_the_end_is_told_instead_of_the_last_words() -> None:
    down = replace(ended("nats-server: open: permission denied"), **at_fault(LOG, "chown x"))
    found = server.diagnosis(down)
    assert [cause.name for cause in found.causes if cause.confidence is Confidence.CERTAIN] == ["path_forbidden"]
    assert "SELinux" not in found.causes[0].remedy


def test_a_file_that_is_missing_is_told_once_and_not_as_an_invalid_configuration() -> None:
    place = Place("tls.cert_file", Need.FILE, Path("/etc/nats/x.pem"))
    [missing] = at_fault(place, "bring it there", kind=access.Kind.MISSING)["places"]
    tested = Trial(1, "nats-server: x:3:1: open /etc/nats/x.pem: no such file or directory")
    assert [each.name for each in server.diagnosis(replace(HEALTHY, places=(missing,), tested=tested)).causes] == [
        "path_missing"
    ]


def test_what_only_a_start_finds_is_told_with_the_last_words() -> None:
    lame_duck = with_config(lame_duck_duration="30s", lame_duck_grace_period="40s")
    found = server.diagnosis(replace(ended("nats-server: lame duck grace period (40s)"), config=lame_duck)).causes
    assert (found[0].name, found[0].confidence) == ("configuration_refused", Confidence.CERTAIN)
    assert any("lame_duck_grace_period" in line for line in found[0].evidence)
    assert any("its last words" in line for line in found[0].evidence)
    assert [each.name for each in found].count("configuration_refused") == 1


def test_what_the_program_takes_and_the_table_does_not_is_only_possible() -> None:
    (cause,) = server.diagnosis(replace(HEALTHY, config=with_config(max_conections=5))).causes
    assert (cause.name, cause.confidence) == ("configuration_invalid", Confidence.POSSIBLE)


@pytest.mark.parametrize(
    ("changes", "unseen"),
    [
        ({"unit": GONE}, 2),
        ({"config": GONE}, 1),
        ({"tested": GONE}, 1),
        ({"places": GONE}, 2),
        ({"taken": GONE}, 1),
        ({"health": GONE}, 1),
        ({"log": GONE}, 1),
    ],
    ids=lambda changes: next(iter(changes), "") if isinstance(changes, dict) else "",
)
def test_a_look_that_failed_is_a_cause_that_is_possible(changes: dict[str, Any], unseen: int) -> None:
    found = server.diagnosis(replace(HEALTHY, **changes))
    assert {(each.name, each.confidence) for each in found.causes} == {("not_seen", Confidence.POSSIBLE)}
    assert len(found.healthy) == len((server.UNIT, *server.RUNNING)) - unseen


def test_a_process_without_a_service_manager_has_stopped_or_not() -> None:
    alone = replace(HEALTHY, described=replace(DESCRIBED, service=""), unit=None)
    assert server.diagnosis(alone).causes == ()
    assert "unit" not in server.diagnosis(alone).healthy
    cause = first(replace(alone, pid=0, state="", health=GONE))
    assert (cause.name, cause.confidence) == ("stopped", Confidence.CERTAIN)
    assert "/var/lib/nats/nats-server.out" in cause.remedy


def test_of_a_container_only_what_the_server_says_counts() -> None:
    contained = replace(
        HEALTHY, described=replace(DESCRIBED, container="nats-dev"), binary=Binary(BINARY, BINARY, False)
    )
    assert server.diagnosis(contained).causes == ()
    cause = first(replace(contained, health=GONE))
    assert (cause.name, cause.confidence) == ("not_seen", Confidence.POSSIBLE)
    assert "docker logs nats-dev" in cause.remedy


KEPT_STREAM = assets.Stream("$G", "HISTORY", created="2026-11-23T19:56:42Z", storage="file", messages=12)
RECREATED = '  Error recreating stream "HISTORY": insufficient storage resources available (10047)'


def lost(data: Path | None, *, is_off: bool = False, names: tuple[str, ...] = ("HISTORY",)) -> Evidence:
    """Give a healthy server that has lost these streams."""
    proven = Proven("2026-11-26T11:43:13Z", assets.of(replace(KEPT_STREAM, name=name) for name in names))
    found = lost_streams.compare(Path("/releases"), proven, assets.of([]), data, is_off=is_off)
    return replace(HEALTHY, streams=found)


def test_streams_that_are_there_are_told_as_healthy() -> None:
    found = server.diagnosis(lost(None, names=()))
    assert found.causes == ()
    assert found.healthy[0] == "streams that were there when it was last proven"


def test_lost_streams_are_named_first_whatever_else_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "$G" / "streams" / "KEPT").mkdir(parents=True)
    evidence = replace(
        lost(tmp_path, names=("HISTORY", "KEPT")),
        unit=Unit("nats", {**PROPERTIES, "LoadState": "masked"}),
        places=(CONFIG, LOG, replace(KEPT, free_bytes=0)),
        log=f'[6] 2026/11/26 [WRN]   Error recreating stream "OLD"\n[7] 2026/11/26 [WRN] {RECREATED}',
    )
    hidden, gone, *others = server.diagnosis(evidence).causes
    assert [cause.name for cause in (hidden, gone, *others)] == [
        "streams_hidden",
        "streams_gone",
        "unit_masked",
        "disk_full",
    ]
    assert {cause.confidence for cause in (hidden, gone)} == {Confidence.CERTAIN}
    assert hidden.cause == (
        "the server does not show 1 stream that it had at 2026-11-26T11:43:13Z, though the files still stand"
    )
    assert hidden.evidence == (
        f"stream KEPT: with 12 messages then, now none; its files stand in {tmp_path}/$G/streams/KEPT",
        f"2026/11/26 [WRN] {RECREATED}",
    )
    assert (
        "restart it (systemctl restart nats); where that was meant: ansible-playbook site.yml -i <inventory> -e "
        in hidden.remedy
    )
    assert gone.cause == "gone since 2026-11-26T11:43:13Z, 1 stream"
    assert "restore them from a backup, or from a copy in /releases/stores; where that was meant" in gone.remedy


def test_streams_are_hidden_where_jetstream_is_off() -> None:
    (cause,) = server.diagnosis(lost(None, is_off=True)).causes
    assert (cause.name, cause.confidence) == ("streams_hidden", Confidence.CERTAIN)
    assert "since JetStream is off" in cause.cause
    assert cause.remedy.startswith("JetStream is off: turn it on as it was")


def test_of_many_lost_streams_a_few_are_named() -> None:
    (cause,) = server.diagnosis(lost(None, names=tuple("ABCDEFG"))).causes
    assert cause.name == "streams_gone"
    assert cause.evidence[5:] == ("and 2 more",)


def test_streams_that_could_not_be_compared_are_told_last_and_once() -> None:
    found = server.diagnosis(replace(HEALTHY, streams=GONE, health=GONE))
    assert [(cause.name, cause.confidence) for cause in found.causes] == [("not_seen", Confidence.POSSIBLE)]
    assert found.healthy[0] == "unit"


def test_a_log_that_could_not_be_read_does_not_hide_lost_streams(tmp_path: Path) -> None:
    (tmp_path / "$G" / "streams" / "HISTORY").mkdir(parents=True)
    assert first(replace(lost(tmp_path), log=GONE)).name == "streams_hidden"


def test_streams_of_a_server_in_a_container_are_missed_too() -> None:
    contained = replace(lost(None), described=replace(DESCRIBED, container="nats-dev"), unit=None)
    cause = first(contained)
    assert (cause.name, "whether its files stand is not known" in cause.evidence[0]) == ("streams_gone", True)


# systemd 252, as it wrote it
NOT_APPLIED = (
    "nats.service: Failed to set up user namespacing: Operation not permitted",
    "nats.service: Failed at step USER spawning /usr/local/bin/nats-server: Operation not permitted",
)


def test_a_sandbox_that_the_host_can_not_apply_is_told_in_the_words_of_systemd() -> None:
    found = first(ended(*NOT_APPLIED, ExecMainStatus="217"))
    assert found.name == "sandbox_not_applied"
    assert found.evidence == (
        "systemd: Result=exit-code, exit status 217/USER",
        *(f"systemd says: {line}" for line in NOT_APPLIED),
    )
    assert "nats_server_hardening" in found.remedy


def test_an_account_that_is_missing_is_no_fault_of_the_sandbox() -> None:
    evidence = replace(ended(*NOT_APPLIED, ExecMainStatus="217"), account=None)
    assert [cause.name for cause in server.diagnosis(evidence).causes] == ["account_missing"]


def test_a_drop_in_may_be_why_a_server_is_down_and_may_not() -> None:
    down = ended("nats-server: no licence")
    assert isinstance(down.unit, Unit)
    evidence = replace(down, unit=replace(down.unit, files=files("User=root")))
    assert [(cause.name, cause.confidence.name) for cause in server.diagnosis(evidence).causes] == [
        ("configuration_refused", "CERTAIN"),
        ("unit_overridden", "LIKELY"),
    ]


def test_a_drop_in_explains_what_the_account_may_not_do() -> None:
    down = ended("nats-server: error opening file: open /var/log/nats/nats-server.log: permission denied")
    assert isinstance(down.unit, Unit)
    assert first(down).name == "path_forbidden"
    found = first(replace(down, unit=replace(down.unit, files=files("User=root"))))
    assert found.name == "unit_overridden"
    assert "permission denied" in found.evidence[-1]


def test_a_drop_in_that_harms_nothing_is_no_cause() -> None:
    unit = Unit("nats", PROPERTIES, files=files("LimitNOFILE=9"))
    assert server.diagnosis(replace(HEALTHY, unit=unit)).causes == ()


LISTENER = TlsListener("clients", "tls://127.0.0.1:4222", "/etc/nats/cert.pem", "/etc/nats/key.pem", first=False)
SHOWN, RENEWED = (certificates.read(make("bus", names=["bus"]).pem)[0] for _each in range(2))
KEY, NOTHING = (certificates.Problem(kind, "It is so.") for kind in (Kind.KEY_DOES_NOT_FIT, Kind.NO_CERTIFICATE))


@pytest.mark.parametrize(
    ("shown", "runs", "expected"),
    [
        ({}, True, []),
        ({"kept": SHOWN}, True, []),
        ({"kept": "Permission denied"}, True, []),
        ({"kept": RENEWED}, True, [("certificate_not_read", "CERTAIN")]),
        ({"kept": RENEWED, "flaw": KEY}, True, [("key_mismatch", "LIKELY")]),
        ({"kept": RENEWED, "flaw": KEY}, False, [("key_mismatch", "CERTAIN")]),
        ({"flaw": NOTHING}, False, [("certificate_unusable", "CERTAIN")]),
    ],
)
def test_what_is_wrong_with_certificates_is_told_once_for_all_that_show_them(
    shown: dict[str, Any], runs: bool, expected: list[tuple[str, str]]
) -> None:
    clients = Served(LISTENER, NOW, SHOWN, **shown)
    said = "nats-server: error parsing X509 certificate/key pair: tls: private key does not match public key"
    evidence = HEALTHY if runs else replace(ended(said), tested=Trial(1, said))
    both = (clients, replace(clients, listener=replace(LISTENER, purpose="monitoring")))
    found = server.diagnosis(replace(evidence, certificates=both)).causes
    assert [(each.name, each.confidence.name) for each in found] == expected


def test_a_server_without_tls_has_nothing_more_to_be_asked() -> None:
    assert server_certificates.questions(HEALTHY) == ()
    assert len(server_certificates.questions(replace(HEALTHY, certificates=(Served(LISTENER, NOW, SHOWN),)))) == 2
