# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The look at the health of the bus: the playbook on a whole deployment, and the module against real servers."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import nats
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ansible_collections.rosey.nats.plugins.module_utils._data import asset_reading, asset_record
from ansible_collections.rosey.nats.plugins.module_utils._server.monitoring import Monitor
from ansible_collections.rosey.nats.plugins.module_utils._watch.check_table import KINDS
from ansible_collections.rosey.nats.tests.integration.conftest import QUOTES, ROOT, Deployment, merged
from ansible_collections.rosey.nats.tests.integration.live import Live

RunModule = Callable[..., dict[str, Any]]
PLAYBOOK = "playbooks/health.yml"
FORMATS = ("table", "json", "prometheus", "nagios")
MACHINES = FORMATS[1:]
SINGLE = [name for name, kind in KINDS.items() if not kind.label and not kind.in_clusters]
# How much more of this machine one look at one host may cost than one call of ansible-playbook that reaches it.
MOST = 5.0


@dataclass(frozen=True)
class Looked:
    """How ansible-playbook ended, and what it wrote."""

    status: int
    out: str
    error: str

    @property
    def hosts(self) -> dict[str, dict[str, str]]:
        """Give the statuses of the checks that are not well, by host, of what was told as JSON."""
        return {
            host["host"]: {check["name"]: check["status"] for check in host["checks"] if check["status"] != "ok"}
            for host in json.loads(self.out)["hosts"]
        }


def look(inventory: Path, form: str, *options: str, playbook: str = PLAYBOOK, **environment: str) -> Looked:
    words = ["ansible-playbook", playbook, "-i", str(inventory), "-e", f"health_output={form}", *options]
    settings = {**os.environ, **environment, "COLUMNS": "1000", "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(words, cwd=ROOT, env=settings, capture_output=True, text=True, check=False)
    return Looked(done.returncode, done.stdout, done.stderr)


def cost(work: Callable[[], Looked]) -> tuple[Looked, float]:
    """Do something, and give the seconds of CPU that it took as well."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    looked = work()
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    return looked, now.ru_utime + now.ru_stime - spent.ru_utime - spent.ru_stime


@pytest.fixture
def inventory(bot_deployment: Deployment, tmp_path: Path) -> Callable[..., Path]:
    """Give a function that writes an inventory of hosts, each with changes to the variables of the deployment."""

    def write(**hosts: dict[str, Any]) -> Path:
        path = tmp_path / "hosts.json"
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        all_of_them = {
            name: {**merged(bot_deployment.variables, changes), **{**local, **changes.get("host", {})}}
            for name, changes in hosts.items()
        }
        path.write_text(json.dumps({"rosey": {"hosts": all_of_them}}))
        return path

    return write


FAULTY = {"bot_plugins_declared": [{"name": "new", "subscriptions": ["commands..new"]}]}
GONE = {"host": {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}}
PLACEHOLDER = {"host": {"ansible_connection": "ssh"}}


def test_a_healthy_deployment_is_green_in_every_format_and_quick(
    bot_deployment: Deployment, inventory: Callable[..., Path]
) -> None:
    before = bot_deployment.files()
    hosts = inventory(here={})
    ratios = []
    for form in FORMATS:
        reached, least = cost(partial(look, hosts, form, playbook="bench/plays/empty.yml"))
        assert reached.status == 0, reached
        looked, spent = cost(partial(look, hosts, form))
        ratios.append(spent / least)
        assert looked.status == 0, looked
        assert looked.error == ""
        if form != "nagios":
            assert [name for name in SINGLE if name not in looked.out] == []
    assert max(ratios) < MOST, ratios
    assert bot_deployment.files() == before


def test_the_table_is_shown_as_it_is_and_told_as_a_task(inventory: Callable[..., Path]) -> None:
    out = look(inventory(here={}), "table").out
    assert "changed=0" in out
    lines = [line.strip() for line in out.splitlines()]
    assert f"ok: 1 host, {len(SINGLE)} ok" in lines
    assert any(
        line.startswith("here | plugins ") and line.endswith("3 of 3 subscriptions of the plugins held")
        for line in lines
    )


@pytest.mark.thorough
def test_machines_get_nothing_else(inventory: Callable[..., Path], tmp_path: Path) -> None:
    """Whatever else tells of the run, at its end too, and whoever enabled the callback a second time."""
    hosts = inventory(here={})
    also = {"ANSIBLE_CALLBACKS_ENABLED": "rosey.nats.health,ansible.posix.profile_tasks"}
    assert json.loads(look(hosts, "json", **also).out)["status"] == "ok"
    families = list(text_string_to_metric_families(look(hosts, "prometheus", **also).out))
    assert {family.name for family in families} >= {"rosey_nats_check_status_code", "rosey_nats_check_plugins"}
    (line,) = look(hosts, "nagios", **also).out.splitlines()
    assert line.startswith(f"NATS OK - 1 host, {len(SINGLE)} ok | 'here streams'=0 'here connection'=")


BEYOND = -1
WARNS = {"warning": BEYOND, "critical": None}
FAILS = {"warning": None, "critical": BEYOND}
LIMITS: dict[str, dict[str, float | None]] = {
    "connection": FAILS,
    "uptime": {"warning": 1e9},
    "cpu": WARNS,
    "memory": FAILS,
    "connections": WARNS,
    "subscriptions": FAILS,
    "slow_consumers": WARNS,
    "pending": FAILS,
    "jetstream_memory": WARNS,
    "jetstream_storage": FAILS,
    "bot_errors": WARNS,
    "plugins": FAILS,
}


def test_each_limit_of_a_server_alone_is_below() -> None:
    # those of a cluster alone are tried with one
    others = {"meta", "routes", "replicas", "leaders", "clock", "certificate"}
    assert LIMITS.keys() | others == {name for name, kind in KINDS.items() if kind.limited}


def test_each_limit_is_a_variable(inventory: Callable[..., Path]) -> None:
    looked = look(inventory(here={"health_thresholds": LIMITS}), "json")
    levels = {name: "critical" if pair is FAILS else "warning" for name, pair in LIMITS.items()}
    assert looked.hosts == {"here": levels}
    assert looked.status == 2


def test_a_warning_is_told_and_is_no_failure_but_for_nagios(inventory: Callable[..., Path]) -> None:
    hosts = inventory(here={"health_thresholds": {"uptime": {"warning": 1e9}}})
    looked = {form: look(hosts, form) for form in FORMATS}
    assert {form: each.status for form, each in looked.items()} == {**dict.fromkeys(FORMATS, 0), "nagios": 1}
    assert looked["nagios"].out.startswith("NATS WARNING - here: uptime warning, up since ")
    assert "- here: uptime is warning: look in the log" in looked["table"].out


@pytest.mark.thorough
def test_hosts_that_can_not_be_looked_at_are_unknown_and_the_others_are_told(inventory: Callable[..., Path]) -> None:
    hosts = inventory(
        here={},
        gone=FAULTY | GONE,
        wrong={"health_thresholds": {"conections": {}}},
        **{"placeholder.example.invalid": PLACEHOLDER},
    )
    looked = {form: look(hosts, form) for form in FORMATS}
    assert {form: each.status for form, each in looked.items()} == {**dict.fromkeys(FORMATS, 2), "nagios": 3}
    for each in looked.values():
        for host in ("here", "gone", "wrong", "placeholder.example.invalid"):
            assert host in each.out
    problems = {host["host"]: host["problem"] for host in json.loads(looked["json"].out)["hosts"]}
    assert problems.pop("here") is None
    assert "Connection refused" in problems["gone"]
    assert "the nearest is connections" in problems["wrong"]
    assert problems["placeholder.example.invalid"].startswith("placeholder.example.invalid is a placeholder. ")
    assert "gone: it could not be reached" in looked["table"].out


@pytest.mark.parametrize(("form", "status"), [("json", 2), ("prometheus", 2), ("nagios", 3)])
def test_no_host_at_all_is_unknown(tmp_path: Path, form: str, status: int) -> None:
    path = tmp_path / "hosts.json"
    path.write_text('{"rosey": {"hosts": {}}}')
    looked = look(path, form)
    assert looked.status == status
    if form == "nagios":
        assert looked.out.startswith("NATS UNKNOWN - health.yml: no host matches rosey. ")


@pytest.mark.thorough
def test_a_stream_deleted_by_hand_since_the_last_deployment_is_named_first(
    bot_deployment: Deployment, inventory: Callable[..., Path]
) -> None:
    hosts = inventory(here={})
    book = asset_record.Book(bot_deployment.directory / "root" / "var" / "lib" / "rosey-nats")
    proven = book.proven()

    async def change(*, add: bool) -> None:
        client = await nats.connect(f"nats://127.0.0.1:{bot_deployment.port}")
        if add:
            await client.jetstream().add_stream(name="HISTORY", subjects=["history"])
            await client.jetstream().publish("history", b"kept")
        else:
            await client.jetstream().delete_stream("HISTORY")
        await client.close()

    try:
        asyncio.run(change(add=True))
        there = asset_reading.ask(Monitor(f"http://127.0.0.1:{bot_deployment.monitoring_port}"))
        # as the gate of a deployment that passes writes it down
        book.prove(asset_record.proven_now(there))
        assert look(hosts, "json").hosts == {"here": {}}
        asyncio.run(change(add=False))
        looked = look(hosts, "json")
        assert (looked.status, looked.hosts) == (2, {"here": {"streams": "critical"}})
        first = json.loads(looked.out)["hosts"][0]["checks"][0]
        assert (first["name"], first["value"]) == ("streams", 1)
        assert (
            "there; stream HISTORY: expected with 1 message, found none; its files are gone from /" in first["summary"]
        )
        assert f"or from a copy in {bot_deployment.directory}/root/var/lib/rosey-nats/stores; where" in first["remedy"]
        assert (
            """ansible-playbook site.yml -i <inventory> -e '{"nats_server_accept": ["gone_streams"]}'"""
            in first["remedy"]
        )
        table = look(hosts, "table")
        rows = [line.strip() for line in table.out.splitlines() if line.strip().startswith("here | ")]
        assert rows[0].startswith("here | streams ")
        assert "- here: streams is critical: the files are gone: restore them from a backup" in table.out
        nagios = look(hosts, "nagios")
        assert (nagios.status, nagios.out.startswith("NATS CRITICAL - here: streams critical, ")) == (2, True)
    finally:
        book.prove(proven or asset_record.proven_now(there))


NEW = {"bot_plugins_declared": [QUOTES, {"name": "new", "subscriptions": ["commands.new"]}]}


def test_a_failure_is_told_and_the_run_comes_to_its_own_end(inventory: Callable[..., Path], tmp_path: Path) -> None:
    """What others do at the end of a run, such as to write a report, is not cut off by the exit status."""
    hosts = inventory(here=NEW)
    report = tmp_path / "report.html"
    looked = look(hosts, "nagios", "-e", f"rosey_report={report}")
    assert looked.status == 2
    assert looked.out.startswith("NATS CRITICAL - here: plugins critical, 3 of 4 subscriptions of the plugins held; ")
    assert "plugin new: expected a subscription that covers rosey.dev.commands.new" in looked.out.splitlines()[0]
    assert "commands.new" in report.read_text()
    table = look(hosts, "table")
    assert table.status == 2
    assert "here: critical: plugins; " in table.out


def test_a_plugin_that_is_only_warned_of_makes_nothing_critical(inventory: Callable[..., Path]) -> None:
    looked = look(inventory(here={**NEW, "health_thresholds": {"plugins": {"warning": 0, "critical": None}}}), "json")
    assert looked.hosts == {"here": {"plugins": "warning"}}
    assert looked.status == 0


def test_a_description_that_is_faulty_keeps_nobody_from_looking(inventory: Callable[..., Path]) -> None:
    looked = look(inventory(here=FAULTY), "json")
    assert looked.hosts == {"here": {"plugins": "warning"}}
    assert "commands..new" in looked.out
    assert looked.status == 0


@pytest.mark.parametrize("without", [{"bot_config_environment": "{{ nobody_said }}"}, {"bot_config_gate": "never"}])
def test_a_server_without_a_bot_is_looked_at(inventory: Callable[..., Path], without: dict[str, Any]) -> None:
    no_root = {"ansible_become_exe": "no-sudo", "ansible_become_user": "nobody"}
    looked = look(inventory(here={**without, "bot_config_runtime": "systemd", "host": no_root}), "json")
    assert (looked.status, looked.hosts) == (0, {"here": {}}), looked
    assert '"bot"' not in looked.out


@pytest.mark.parametrize(
    ("url", "expected"), [("", {}), ("http://127.0.0.1:1", {"plugins": "unknown"})], ids=["nowhere", "elsewhere"]
)
def test_what_plugins_hold_is_asked_where_the_gate_asks(
    inventory: Callable[..., Path], url: str, expected: dict[str, str]
) -> None:
    looked = look(inventory(here={"bot_config_monitoring_url": url}), "json")
    assert (looked.status, looked.hosts) == (2 if expected else 0, {"here": expected}), looked
    assert ('"plugins"' in looked.out) == bool(expected)


def test_what_only_the_servers_environment_knows_is_not_missed(inventory: Callable[..., Path]) -> None:
    unknown = {"server_name": {"$variable": "NAME"}, "jetstream": {"$variable": "STREAMS"}}
    assert look(inventory(here={"nats_server_config": unknown}), "json").hosts == {"here": {}}


def test_other_playbooks_are_not_silenced(inventory: Callable[..., Path]) -> None:
    looked = look(inventory(here={}), "json", playbook="playbooks/contract.yml")
    assert "Who publishes and who listens" in looked.out
    assert looked.status == 0


def test_what_fails_besides_is_no_success(inventory: Callable[..., Path], tmp_path: Path) -> None:
    own = tmp_path / "own.yml"
    fails = '- {hosts: all, gather_facts: false, tasks: [{name: It fails, ansible.builtin.fail: {msg: "no"}}]}'
    own.write_text(f"- ansible.builtin.import_playbook: {ROOT / PLAYBOOK}\n{fails}\n")
    also = {"ANSIBLE_CALLBACKS_ENABLED": "rosey.nats.health"}
    assert look(inventory(here={}), "nagios", playbook=str(own), **also).status == 3


def test_no_vault_is_opened(inventory: Callable[..., Path]) -> None:
    closed = {"nats_server_credentials": {"user": "rosey", "password": "{{ vault | mandatory('closed') }}"}}
    assert look(inventory(here=closed), "nagios").status == 0


def test_the_server_and_then_the_bot_are_gone(
    bot_deployment: Deployment, inventory: Callable[..., Path], tmp_path: Path
) -> None:
    hosts = inventory(here={})
    stop = {program: bot_deployment.directory.rglob(f"{program}.pid") for program in ("nats-server", "bot")}
    bot_critical = {"bot": "critical", "bot_service": "critical"}
    try:
        (pid_file,) = stop["nats-server"]
        os.kill(int(pid_file.read_text()), signal.SIGKILL)
        looked = look(hosts, "json")
        unknown = {*SINGLE} - {"service", "server", "connection", "files", "bot", "bot_service", "bot_errors"}
        without_server = dict.fromkeys(unknown, "unknown") | dict.fromkeys(
            ("service", "server", "connection"), "critical"
        )
        # the bot takes a moment to see it
        # and may count an error of its own for it, as of an attempt to be there again
        found = {name: status for name, status in looked.hosts["here"].items() if name != "bot_errors"}
        assert {**found, "bot": "critical"} == {**without_server, "bot": "critical"}
        assert looked.status == 2
        (pid_file,) = stop["bot"]
        os.kill(int(pid_file.read_text()), signal.SIGKILL)
        deadline = time.monotonic() + 10
        while "bot_service" not in looked.hosts["here"]:
            assert time.monotonic() < deadline
            looked = look(hosts, "json")
        assert looked.hosts == {"here": {**without_server, **bot_critical}}
    finally:
        said = bot_deployment.play({})
        assert said.startswith("exit 0"), said
    assert look(hosts, "nagios").status == 0


# The module


@dataclass
class Member:
    """A real server of a cluster."""

    live: Live
    url: str
    client_url: str


@contextmanager
def cluster(binary: Path, directory: Path, free_port: Callable[[], int], size: int) -> Iterator[list[Member]]:
    with ExitStack() as running:
        ports = [free_port() for _member in range(size)]
        members = []
        for number, port in enumerate(ports):
            clients, monitoring = free_port(), free_port()
            routes = [f"nats://127.0.0.1:{other}" for other in ports if other != port]
            config: dict[str, Any] = {
                "server_name": f"n{number}",
                "host": "127.0.0.1",
                "port": clients,
                "http_port": monitoring,
                "jetstream": {"store_dir": str(directory / f"store{number}"), "max_mem": "64M", "max_file": "1M"},
            }
            if routes:
                config["cluster"] = {"name": "bus", "listen": f"127.0.0.1:{port}", "routes": routes}
            live = running.enter_context(Live(binary, directory / f"n{number}", config))
            urls = f"http://127.0.0.1:{monitoring}", f"nats://127.0.0.1:{clients}"
            members.append(Member(live, *urls))
        for member in members:
            assert member.live.wait()
        yield members


def wait_until(
    ask: Callable[[], dict[str, dict[str, Any]]], holds: Callable[[dict[str, dict[str, Any]]], bool]
) -> dict[str, dict[str, Any]]:
    """Look until something holds, and give the checks by their names."""
    deadline = time.monotonic() + 60
    while not holds(found := ask()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def test_a_cluster_that_loses_its_members(
    nats_server: Path, tmp_path: Path, free_port: Callable[[], int], run_module: RunModule
) -> None:
    with cluster(nats_server, tmp_path, free_port, 3) as members:

        def ask(member: Member) -> dict[str, dict[str, Any]]:
            limits = {"meta": {"warning": 0}, "routes": {"warning": 2, "critical": 1}}
            meant = {"jetstream": True, "cluster": True, "client_url": member.client_url, "thresholds": limits}
            result = run_module("bus_health_info", monitoring_url=member.url, **meant)
            return {check["name"]: check for check in result["checks"]}

        def statuses(found: dict[str, dict[str, Any]]) -> dict[str, str]:
            return {name: check["status"] for name, check in found.items() if check["status"] != "ok"}

        for member in members:
            found = wait_until(partial(ask, member), lambda found: not statuses(found))
            assert (found["routes"]["value"], found["meta"]["value"]) == (2, 0)
        leader = found["meta"]["summary"].removeprefix("3 servers led by ")
        members.sort(key=lambda member: (member.live.varz() or {})["server_name"] != leader)
        first, second, third = members
        third.live.process.kill()
        found = wait_until(partial(ask, first), lambda found: found["meta"]["value"] == 1)
        assert statuses(found) == {"meta": "warning", "routes": "warning"}
        second.live.process.kill()
        found = wait_until(partial(ask, first), lambda found: found["meta"]["status"] == "critical")
        assert statuses(found)["routes"] == "critical"
        assert all(found[name]["remedy"] for name in ("meta", "routes"))


@contextmanager
def deaf_client(url: str, subject: str) -> Iterator[None]:
    """Subscribe, and never take a message."""
    host, port = url.removeprefix("nats://").split(":")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deadline = time.monotonic() + 10
        # the monitoring endpoint answers before this port does
        while client.connect_ex((host, int(port))):
            assert time.monotonic() < deadline, url
        client.sendall(f'CONNECT {{"name":"deaf","verbose":false}}\r\nSUB {subject} 1\r\nPING\r\n'.encode())
        while b"PONG" not in client.recv(4096):
            pass
        yield


def test_a_client_that_does_not_take_its_messages_and_a_store_that_fills(
    nats_server: Path, tmp_path: Path, free_port: Callable[[], int], run_module: RunModule
) -> None:
    async def talk(url: str) -> None:
        client = await nats.connect(url)
        jetstream = client.jetstream()
        await jetstream.add_stream(name="kept", subjects=["kept"])
        await jetstream.publish("kept", bytes(800_000))
        for _message in range(40):
            await client.publish("flood", bytes(500_000))
        await client.flush()
        await client.close()

    with ExitStack() as started:
        (member,) = started.enter_context(cluster(nats_server, tmp_path, free_port, 1))
        started.enter_context(deaf_client(member.client_url, "flood"))
        asyncio.run(talk(member.client_url))
        limits = {"pending": {"warning": 10}, "jetstream_storage": {"warning": 75, "critical": 90}}
        result = run_module(
            "bus_health_info", monitoring_url=member.url, client_url=member.client_url, thresholds=limits
        )
        found = {check["name"]: check for check in result["checks"]}
        assert found["pending"]["status"] == "warning"
        assert 10 < found["pending"]["value"] < 40
        assert "wait for client deaf, of 64 MiB at most" in found["pending"]["summary"]
        assert found["jetstream_storage"]["status"] == "warning"
        assert found["connection"]["status"] == "ok"
        assert found["jetstream"]["summary"] == "JetStream is on; streams: 1, consumers: 0"


def test_another_server_at_the_port_of_clients_is_told(
    nats_server: Path, tmp_path: Path, free_port: Callable[[], int], run_module: RunModule
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with (
        cluster(nats_server, tmp_path / "one", free_port, 1) as (one,),
        cluster(nats_server, tmp_path / "two", free_port, 1) as (two,),
    ):
        result = run_module("bus_health_info", monitoring_url=one.url, client_url=two.client_url)
    (wrong,) = (check for check in result["checks"] if check["status"] == "critical" and check["name"] == "connection")
    assert "found another server" in wrong["summary"]
