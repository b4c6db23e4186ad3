# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every listener of a real server shows, beside what its file has."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._server import (
    certificates,
    requirements,
    served_certificates,
)
from ansible_collections.rosey.nats.plugins.module_utils._server.certificates import Certificate
from ansible_collections.rosey.nats.plugins.plugin_utils import server_metrics
from ansible_collections.rosey.nats.tests.certificates import DAY, NAME, NOW, ROOT, Made, make
from ansible_collections.rosey.nats.tests.integration.conftest import Deployment, free_ports, stop_all
from ansible_collections.rosey.nats.tests.integration.live import Live

RunModule = Callable[..., dict[str, Any]]
Config = dict[str, Any]
LISTENERS = ("clients", "cluster", "gateway", "leafnodes", "websocket", "mqtt", "monitoring")
PAUSE = 0.05
SECONDS = 10.0


class Server:
    """A real server whose listeners all show one certificate. config: what it runs with."""

    def __init__(self, binary: Path, directory: Path, shown: Made, opened: ExitStack, **tls: Any) -> None:
        self.cert, self.key = directory / "cert.pem", directory / "key.pem"
        self.put(shown)
        self.config = self._config(directory, tls)
        self.live = opened.enter_context(Live(binary, directory / "live", self.config))
        self.before = self.live.wait()
        assert self.before, self.live.output.read_text()
        deadline = time.monotonic() + SECONDS
        while "Listening for route connections" not in self.live.output.read_text():
            assert time.monotonic() < deadline, self.live.output.read_text()
            time.sleep(PAUSE)

    def _config(self, directory: Path, more: Config) -> Config:
        tls = {"cert_file": str(self.cert), "key_file": str(self.key)}
        ports = dict(zip(LISTENERS, free_ports(len(LISTENERS)), strict=True))
        blocks: Config = {name: {"host": "127.0.0.1", "port": ports[name], "tls": tls} for name in LISTENERS[1:-1]}
        blocks["cluster"]["name"] = blocks["gateway"]["name"] = "one"
        blocks["cluster"]["routes"] = ["nats://127.0.0.1:1"]
        store = {"store_dir": str(directory / "store"), "max_mem": "64M", "max_file": "128M"}
        accounts = {"system_account": "SYSTEM", "accounts": {"SYSTEM": {"users": [{"user": "s", "password": "s"}]}}}
        top = {"host": "127.0.0.1", "port": ports["clients"], "https_port": ports["monitoring"], "tls": {**tls, **more}}
        return {"server_name": "one", "jetstream": store, **top, **blocks, **accounts}

    def put(self, made: Made, *, key: bool = True) -> None:
        self.cert.write_bytes(made.chain)
        if key:
            self.key.write_bytes(made.key_pem)

    def reload(self) -> None:
        before = self.live.varz()
        assert before
        outcome = self.live.signal(before)
        assert outcome.accepted, outcome

    def seen(self) -> dict[str, served_certificates.Served]:
        looks = (served_certificates.look(each, seconds=SECONDS) for each in requirements.tls_listeners(self.config))
        return {each.listener.purpose: each for each in looks}

    def checks(self, run_module: RunModule, **given: Any) -> dict[str, dict[str, Any]]:
        listeners = [asdict(each) for each in requirements.tls_listeners(self.config)]
        url = requirements.monitoring_url(self.config)
        thresholds = {"certificate": {"warning": 21, "critical": 7}}
        given = {"tls_listeners": listeners, "thresholds": thresholds, "validate_certs": False, **given}
        made = run_module("bus_health_info", monitoring_url=url, **given)["checks"]
        return {check["name"]: check for check in made}


Start = Callable[..., Server]


@pytest.fixture
def start(nats_server: Path, tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as opened:
        yield lambda made, **tls: Server(nats_server, tmp_path, made, opened, **tls)


def leaf(days: float = 100, **more: Any) -> Made:
    return make("bus", ROOT, names=[NAME, "127.0.0.1"], until=NOW + days * DAY, **more)


@pytest.mark.parametrize(
    "tls",
    [{}, {"handshake_first": True}, {"handshake_first": "auto"}, {"handshake_first": "300ms"}, "verify"],
    ids=str,
)
def test_what_each_listener_shows_is_seen_whoever_it_asks_first(start: Start, tls: Any, tmp_path: Path) -> None:
    if tls == "verify":
        (tmp_path / "ca.pem").write_bytes(ROOT.pem)
        tls = {"verify": True, "ca_file": str(tmp_path / "ca.pem")}
    first = leaf()
    server = start(first, **tls)
    (shown,) = certificates.read(first.chain)
    assert {name: each.shown for name, each in server.seen().items()} == dict.fromkeys(LISTENERS, shown)


def test_a_renewed_file_is_told_until_the_server_has_read_it(start: Start, run_module: RunModule) -> None:
    old, new = leaf(), leaf(200)
    server = start(old)
    assert not any(each.is_stale or each.flaw for each in server.seen().values())
    server.put(new)
    looks = server.seen()
    assert {name for name, each in looks.items() if each.is_stale} == {*LISTENERS}
    kept = looks["clients"].kept
    assert isinstance(kept, Certificate) and kept == certificates.read(new.chain)[0]
    found = server.checks(run_module, service=None)["certificate_clients"]
    assert (found["status"], round(found["value"])) == ("warning", 100)
    assert f"expected that of {server.cert}, with serial number {kept.serial}, until" in found["summary"]
    assert "found that the server shows another one, " in found["summary"]
    assert found["remedy"].startswith("let the server read it: deploy: ansible-playbook site.yml")
    server.reload()
    assert not any(each.is_stale for each in server.seen().values())
    found = server.checks(run_module)["certificate_clients"]
    assert (found["status"], round(found["value"])) == ("ok", 200)


def test_a_renewed_file_with_the_key_of_before_is_critical_since_no_start_can_use_it(
    start: Start, run_module: RunModule
) -> None:
    server = start(leaf())
    server.put(leaf(200), key=False)
    found = server.checks(run_module)["certificate_monitoring"]
    assert found["status"] == "critical"
    assert "The private key is not that of the certificate" in found["summary"]


# days that are left, status
DAYS = [(22, "ok"), (20.9, "warning"), (7.1, "warning"), (6.9, "critical"), (-1, "critical")]


@pytest.mark.parametrize(("days", "status"), DAYS)
def test_the_days_that_are_left_are_told_and_judged(
    start: Start, run_module: RunModule, days: float, status: str
) -> None:
    found = start(leaf(days)).checks(run_module)
    rows = {name: check for name, check in found.items() if name.startswith("certificate_")}
    assert list(rows) == [f"certificate_{name}" for name in LISTENERS]
    assert {check["status"] for check in rows.values()} == {status}
    assert all(check["value"] == pytest.approx(days, abs=0.02) for check in rows.values())
    assert ("expired" in rows["certificate_mqtt"]["summary"]) is (days < 0)
    assert bool(rows["certificate_mqtt"]["remedy"]) is (status != "ok")


def test_one_of_tomorrow_is_critical_and_told_apart(start: Start, run_module: RunModule) -> None:
    found = start(leaf(since=NOW + DAY)).checks(run_module)["certificate_clients"]
    assert found["status"] == "critical"
    assert "found that it is valid from " in found["summary"]
    assert "by the clock here" in found["summary"]


def test_a_server_without_tls_has_no_such_row_and_is_asked_nothing_more(
    nats_server: Path, tmp_path: Path, run_module: RunModule
) -> None:
    port, monitoring = free_ports(2)
    config = {"host": "127.0.0.1", "port": port, "http_port": monitoring}
    with Live(nats_server, tmp_path / "live", config) as live:
        before = live.wait()
        assert before
        url = f"http://127.0.0.1:{monitoring}"
        names = [each["name"] for each in run_module("bus_health_info", monitoring_url=url)["checks"]]
        assert not [name for name in names if name.startswith("certificate")]
        assert (live.varz() or {})["total_connections"] == 0
        # and one that was thought to have it is told to have none
        listener = {"purpose": "clients", "url": f"tls://127.0.0.1:{port}", "first": False}
        found = run_module("bus_health_info", monitoring_url=url, tls_listeners=[listener])["checks"]
        (row,) = [each for each in found if each["name"] == "certificate_clients"]
        assert (row["status"], row["value"]) == ("critical", None)
        assert "found the server offers no TLS there" in row["summary"]


def test_a_server_that_does_not_run_is_one_cause(run_module: RunModule) -> None:
    port, monitoring = free_ports(2)
    config = {"host": "127.0.0.1", "port": port, "http_port": monitoring, "tls": {"cert_file": "/c", "key_file": "/k"}}
    listeners = [asdict(each) for each in requirements.tls_listeners(config)]
    url = f"http://127.0.0.1:{monitoring}"
    found = run_module("bus_health_info", monitoring_url=url, tls_listeners=listeners)["checks"]
    rows = {each["name"]: each for each in found}
    assert rows["certificate_clients"]["status"] == "unknown"
    assert rows["certificate_clients"]["cause"] == rows["uptime"]["cause"] != ""


def test_a_host_without_the_library_is_told_what_to_install(
    start: Start, run_module: RunModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start(leaf())
    monkeypatch.setattr(certificates, "HAS_CRYPTOGRAPHY", False)
    found = server.checks(run_module)["certificate_clients"]
    assert (found["status"], found["value"]) == ("warning", None)
    assert "install python3-cryptography there" in found["summary"]


def test_the_metrics_have_when_each_certificate_expires(start: Start, run_module: RunModule) -> None:
    made = leaf(10)
    server = start(made)
    listeners = [asdict(each) for each in requirements.tls_listeners(server.config)]
    url = requirements.monitoring_url(server.config)
    told = run_module("nats_info", monitoring_url=url, validate_certs=False, tls_listeners=listeners)
    assert [each["purpose"] for each in told["certificates"]] == [*LISTENERS]
    assert {each["serial"] for each in told["certificates"]} == {certificates.read(made.pem)[0].serial}
    now, end = NOW.timestamp(), (NOW + 10 * DAY).timestamp()
    written = {metric.name: metric.samples for metric in server_metrics.of_server("bus", told, now)}
    for name, value in (("not_after_time_seconds", end), ("expires_in_seconds", 10 * 86400)):
        samples = written[f"rosey_nats_certificate_{name}"]
        labels = [{"server_id": "bus", "listener": purpose} for purpose in LISTENERS]
        assert [(sample.labels, sample.value) for sample in samples] == [(each, value) for each in labels]


def test_a_server_that_does_not_run_has_no_certificate_and_no_metric_of_one(run_module: RunModule) -> None:
    (port,) = free_ports(1)
    listener = {"purpose": "clients", "url": f"tls://127.0.0.1:{port}"}
    told = run_module("nats_info", monitoring_url=f"http://127.0.0.1:{port}", tls_listeners=[listener])
    assert told["failed"]
    assert told["certificates"] == [{"purpose": "clients", "fault": "127.0.0.1: Connection refused"}]
    metrics = server_metrics.of_server("bus", told, 0)
    assert not [each for each in metrics if "certificate" in each.name and each.samples]


def test_a_deployment_with_tls_has_a_row_and_a_metric_for_each_listener(tmp_path: Path) -> None:
    port, monitoring, bot_port = free_ports(3)
    host = Deployment(tmp_path, port, monitoring, bot_port)
    made, old = leaf(100), leaf(10)
    for name, content in {"cert.pem": old.chain, "key.pem": old.key_pem}.items():
        (tmp_path / name).write_bytes(content)
    tls = {"cert_file": str(tmp_path / "cert.pem"), "key_file": str(tmp_path / "key.pem")}
    given = {
        "nats_server_config": {"tls": tls},
        "nats_monitoring_textfile": "present",
        "nats_monitoring_textfile_dir": str(tmp_path),
    }
    try:
        said = host.play(given)
        assert said.startswith("exit 0"), said
        metrics = (tmp_path / "rosey_nats.prom").read_text()
        metric = 'rosey_nats_certificate_not_after_time_seconds{server_id="deployed",listener="clients"} '
        assert f"{metric}{(NOW + 10 * DAY).timestamp():.0f}\n" in metrics
        (tmp_path / "cert.pem").write_bytes(made.chain)
        (tmp_path / "key.pem").write_bytes(made.key_pem)
        said = host.play(given, playbook="playbooks/health.yml")
        row = next(line for line in said.splitlines() if "certificate_clients" in line)
        assert [" ".join(each.split()) for each in row.split("|")][2:6:2] == ["warning", "< 21"], said
        assert "days; expected that of " in row
    finally:
        stop_all(tmp_path)
