# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role nats_monitoring beside a real server under systemd.

The exporter is a stand-in, unless EXPORTER_ARCHIVE names the archive of the original.
"""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ansible_collections.rosey.nats.plugins.module_utils._server import archive
from ansible_collections.rosey.nats.tests.integration import conftest
from ansible_collections.rosey.nats.tests.sampling import sampled

if TYPE_CHECKING:
    from .conftest import Container

SERVICE = "prometheus-nats-exporter"
UNIT = f"/etc/systemd/system/{SERVICE}.service"
TEXTFILE = "/var/lib/prometheus/node-exporter/rosey_nats.prom"
CONFIG = {"server_name": "watched", "max_connections": 33, "jetstream": {"max_mem": "10M", "max_file": "100M"}}
FETCH = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:{port}/metrics', timeout=5).read().decode())"
ONLY = ("--tags", "nats_monitoring")
FOREIGN = rf'install_dir is \\?"/usr/local/lib\\?"; expected an absolute path that ends with /{SERVICE},'
ABSENT = {"nats_monitoring_exporter": "absent", "nats_monitoring_textfile": "absent"}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the archive of an exporter, with its files at the top, as in the original's."""
    if given := os.environ.get("EXPORTER_ARCHIVE"):
        return Path(given)
    directory = tmp_path_factory.mktemp("release")
    text = Path(__file__).with_name("stand_in_exporter.py").read_text()
    (directory / SERVICE).write_text(f"#!/usr/bin/python3\n{text}")
    with tarfile.open(directory / "exporter.tar.gz", "w:gz") as tar:
        tar.add(directory / SERVICE, SERVICE)
    return directory / "exporter.tar.gz"


@pytest.fixture(scope="module")
def wanted(release: Path) -> dict[str, Any]:
    return {
        "nats_monitoring_exporter": "present",
        "nats_monitoring_exporter_archive": str(release),
        "nats_monitoring_exporter_checksum": archive.sha256(release),
    }


@pytest.fixture(scope="module")
def empty(start_container: Callable[..., Container]) -> Container:
    return start_container("rosey-test-monitoring", nats_server_config=CONFIG)


@pytest.fixture(scope="module")
def host(empty: Container) -> Container:
    """Give a host with a server and nothing that watches it."""
    container = empty
    said = container.play()
    assert said.startswith("exit 0"), said
    assert "nats_monitoring :" not in said
    return container


@pytest.fixture(scope="module")
def watched(host: Container, wanted: dict[str, Any]) -> Container:
    said = host.play(wanted)
    assert said.startswith("exit 0"), said
    return host


def metrics(text: str) -> dict[str, tuple[dict[str, str], float]]:
    """Give labels and value of each metric that has one sample, by its name."""
    families = [family.samples for family in text_string_to_metric_families(text)]
    return {samples[0].name: (samples[0].labels, samples[0].value) for samples in families if len(samples) == 1}


def scraped(container: Container, port: int = 7777) -> dict[str, tuple[dict[str, str], float]]:
    return metrics(container.run(f'python3 -c "{FETCH.format(port=port)}"'))


def pid_of(container: Container, service: str) -> str:
    return container.run(f"systemctl show --property=MainPID {service}")


@pytest.mark.parametrize("options", sampled([["--check"], []], 1), ids=["dry run", "deployed"])
def test_a_directory_that_is_missing_is_named_before_anything_is_touched(empty: Container, options: list[str]) -> None:
    said = " ".join(empty.play({"nats_monitoring_textfile": "present"}, *options).split())
    assert said.startswith("exit 2"), said
    assert f"its directory {Path(TEXTFILE).parent} does not exist" in said
    assert "Install Debian's package prometheus-node-exporter" in said
    assert "nats_monitoring_textfile_dir" in said
    assert "release : Observe" not in said
    assert empty.attempt("ls -d /etc/nats /usr/local/lib/nats-server /var/lib/rosey-nats").stdout == ""


@pytest.mark.thorough
def test_an_empty_host_can_be_predicted_as_a_whole(empty: Container, wanted: dict[str, Any]) -> None:
    said = empty.play(wanted, "--check", "--diff")
    assert said.startswith("exit 0"), said
    assert f"{SERVICE}.service would be enabled, and started" in said


def test_a_dry_run_predicts_it_all_and_leaves_nothing(host: Container, wanted: dict[str, Any]) -> None:
    said = host.play(wanted, "--check", "--diff", *ONLY)
    assert said.startswith("exit 0"), said
    assert f'+ExecStart="/usr/local/lib/{SERVICE}/0.20.1/{SERVICE}"' in said
    assert f"{SERVICE}.service would be enabled, and started" in said
    assert not re.search(r"changed=0 ", said)
    assert host.attempt(f"ls {UNIT} /usr/local/lib/{SERVICE}").returncode != 0


def test_it_gives_the_servers_numbers(watched: Container) -> None:
    found = scraped(watched)
    assert found["gnatsd_varz_max_connections"] == ({"server_id": "watched"}, 33)
    assert found["gnatsd_healthz_status_value"] == ({"server_id": "watched", "value": "ok"}, 1)
    assert "enabled" in watched.run(f"systemctl is-enabled {SERVICE}")


def test_the_alert_rules_ask_for_metrics_that_it_gives(watched: Container) -> None:
    named = set(re.findall(r"\bgnatsd_\w+", (conftest.ROOT / "roles/nats_monitoring/files/alerts.yml").read_text()))
    assert len(named) > 5
    assert named <= set(scraped(watched))


def test_it_is_heard_on_localhost_alone(watched: Container) -> None:
    listening = watched.run("ss -Htln 'sport = :7777'")
    assert listening.split()[3] == "127.0.0.1:7777"


def test_it_is_hardened(watched: Container) -> None:
    said = watched.run(f"systemd-analyze security --no-pager {SERVICE}")
    exposure = re.search(rf"Overall exposure level for {SERVICE}.service: ([\d.]+)", said)
    assert exposure is not None
    assert float(exposure[1]) <= 1.0, said


def test_a_second_run_changes_nothing(watched: Container, wanted: dict[str, Any]) -> None:
    before = pid_of(watched, SERVICE)
    for options in ((), ("--check", "--diff")):
        said = watched.play(wanted, *options)
        assert re.search(r"changed=0 .* failed=0", said), said
    assert pid_of(watched, SERVICE) == before


@pytest.mark.thorough
def test_a_change_restarts_the_exporter_alone(watched: Container, wanted: dict[str, Any]) -> None:
    server, exporter = pid_of(watched, "nats"), pid_of(watched, SERVICE)
    said = watched.play({**wanted, "nats_monitoring_exporter_port": 7778}, *ONLY)
    assert said.startswith("exit 0"), said
    assert scraped(watched, 7778)["gnatsd_varz_max_connections"][1] == 33
    assert pid_of(watched, "nats") == server
    assert pid_of(watched, SERVICE) != exporter
    said = watched.play(wanted, *ONLY)
    assert said.startswith("exit 0"), said


@pytest.mark.thorough
def test_a_damaged_binary_is_replaced(watched: Container, wanted: dict[str, Any]) -> None:
    binary, before = f"/usr/local/lib/{SERVICE}/0.20.1/{SERVICE}", pid_of(watched, SERVICE)
    watched.run(f"rm {binary}; echo damaged > {binary}")
    said = watched.play(wanted, *ONLY)
    assert said.startswith("exit 0"), said
    assert pid_of(watched, SERVICE) != before
    assert watched.run("ls -d /tmp/nats-exporter.* | wc -l").strip() == "0"


@pytest.mark.thorough
def test_what_a_run_that_was_cut_off_had_written_is_taken_up(watched: Container, wanted: dict[str, Any]) -> None:
    watched.run(
        f"cp -p {UNIT} /root/unit; sed -i s/7777/7779/ {UNIT}; systemctl daemon-reload; systemctl restart {SERVICE};"
        f"sleep 1.1; cp /root/unit {UNIT}"
    )
    said = watched.play(wanted, *ONLY)
    assert said.startswith("exit 0"), said
    assert "gnatsd_varz_max_connections" in scraped(watched)
    assert "changed=0 " in watched.play(wanted, *ONLY)


@pytest.mark.thorough
def test_the_host_can_download_it(watched: Container, wanted: dict[str, Any], release: Path) -> None:
    watched.run(f"rm -r /usr/local/lib/{SERVICE}; mkdir -p /srv/mirror")
    subprocess.run(["docker", "cp", str(release), f"{watched.name}:/srv/mirror/exporter.tar.gz"], check=True)
    watched.run("systemd-run --unit mirror python3 -m http.server --bind 127.0.0.1 --directory /srv/mirror 8099")
    address = {"nats_monitoring_exporter_archive": "http://127.0.0.1:8099/exporter.tar.gz"}
    said = watched.play({**wanted, **address, "nats_monitoring_exporter_checksum": "0" * 64}, *ONLY)
    assert said.startswith("exit 2"), said
    assert "checksum" in said
    said = watched.play({**wanted, **address}, *ONLY)
    assert said.startswith("exit 0"), said
    watched.run("systemctl stop mirror")


@pytest.mark.parametrize(
    ("changes", "message"),
    sampled(
        [
            ({"nats_monitoring_exporter_checksum": ""}, r'exporter_checksum is \\?"\\?"; expected the SHA-256'),
            ({"nats_monitoring_exporter_archive": "/nowhere"}, r'/nowhere\\?"; expected the address of the archive'),
            (
                {"nats_monitoring_exporter_checksum": "0" * 64},
                "archive .* is not the one of prometheus-nats-exporter 0.20.1",
            ),
            ({"nats_monitoring_exporter_port": 4222}, "exporter_port is 4222, on which the server itself listens"),
            (
                {"nats_monitoring_url": "bot:pw@nowhere"},
                r'nats_monitoring_url is \\?"nowhere\\?"; expected the address',
            ),
            ({"nats_server_config": {"http_port": None}}, r'nats_monitoring_url is \\?"\\?"; expected the address'),
            ({"nats_monitoring_exporter": "yes please"}, "must be one of: present, absent, unmanaged"),
            ({"nats_monitoring_exporter_install_dir": "/usr/local/lib"}, FOREIGN),
            ({"nats_monitoring_exporter": "absent", "nats_monitoring_exporter_install_dir": "/usr/local/lib"}, FOREIGN),
        ],
        3,
    ),
    ids=[
        "no checksum",
        "no archive",
        "another archive",
        "the server's port",
        "no address",
        "no port",
        "no such state",
        "foreign directory",
        "foreign, absent",
    ],
)
def test_what_is_wrong_is_said_before_anything_is_touched(
    watched: Container, wanted: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    before = pid_of(watched, SERVICE)
    said = watched.play({**wanted, **changes}, *ONLY)
    assert said.startswith("exit 2"), said
    assert re.search(message, said), said
    assert pid_of(watched, SERVICE) == before
    assert {"nats-server", SERVICE} <= set(watched.run("ls /usr/local/lib").split())


@pytest.mark.thorough
def test_only_the_exporter_needs_root_beside_a_server_of_a_user(host: Container, wanted: dict[str, Any]) -> None:
    no_root = {"ansible_become_exe": "no-sudo", "ansible_become_user": "nobody"}
    of_a_user = {"nats_server_runtime": "process", "nats_server_prefix": "/srv/bus", **no_root}
    for changes in (wanted, {"nats_monitoring_exporter": "absent"}):
        said = host.play({**changes, **of_a_user}, "--check", *ONLY)
        assert said.startswith("exit 2"), said
        assert "no-sudo" in said
    host.run(f"mkdir -p {Path(TEXTFILE).parent}")
    for state in ("present", "absent"):
        said = host.play({"nats_monitoring_textfile": state, **of_a_user}, "--check", *ONLY)
        assert said.startswith("exit 0"), said


@pytest.mark.thorough
def test_an_exporter_that_can_not_run_is_no_success(watched: Container, wanted: dict[str, Any]) -> None:
    watched.run("systemd-run --unit=holder python3 -m http.server --bind 127.0.0.1 7790")
    taken = {"nats_monitoring_exporter_port": 7790, "nats_monitoring_exporter_wait": 2}
    try:
        said = watched.play({**wanted, **taken})
    finally:
        watched.run("systemctl stop holder")
    assert said.startswith("exit 2"), said
    # what was deployed is told all the same
    assert "server: watched, nats-server 2.10.7" in said
    assert "whether another program has the port" in said
    assert watched.play(wanted, *ONLY).startswith("exit 0")


@pytest.mark.thorough
def test_a_server_that_is_gone_is_told(watched: Container, wanted: dict[str, Any]) -> None:
    watched.run("systemctl stop nats")
    try:
        assert scraped(watched)["gnatsd_healthz_status_value"][1] == 0
        said = watched.play({**wanted, "nats_monitoring_exporter_wait": 2}, *ONLY)
    finally:
        watched.run("systemctl start nats")
    assert said.startswith("exit 2"), said
    assert 'value="unreachable"' in said.replace("\\", "")


@pytest.mark.thorough
def test_it_can_be_removed(watched: Container) -> None:
    predicted = watched.play(ABSENT, "--check", *ONLY)
    assert predicted.startswith("exit 0"), predicted
    assert "changed=1 " in predicted
    assert watched.run(f"systemctl is-active {SERVICE}").strip() == "active"
    said = watched.play(ABSENT, *ONLY)
    assert said.startswith("exit 0"), said
    assert watched.attempt(f"ls {UNIT} /usr/local/lib/{SERVICE}").stdout == ""
    assert watched.run(f"systemctl show --property=LoadState,ActiveState {SERVICE}").split() == [
        "LoadState=not-found",
        "ActiveState=inactive",
    ]
    assert "changed=0 " in watched.play(ABSENT, *ONLY)


@pytest.fixture(scope="module")
def written(host: Container) -> Container:
    host.run(f"mkdir -p {Path(TEXTFILE).parent}")
    said = host.play({"nats_monitoring_textfile": "present"})
    assert said.startswith("exit 0"), said
    return host


def test_the_textfile_has_the_servers_numbers(written: Container) -> None:
    found = metrics(written.run(f"cat {TEXTFILE}"))
    assert found["rosey_nats_up"] == ({"server_id": "watched"}, 1)
    assert found["rosey_nats_info"] == ({"server_id": "watched", "version": "2.10.7"}, 1)
    assert found["rosey_nats_connections_limit"][1] == 33
    assert found["rosey_nats_healthy"][1] == 1
    assert found["rosey_nats_jetstream_memory_limit_bytes"][1] == 10_000_000
    assert found["rosey_nats_jetstream_storage_limit_bytes"][1] == 100_000_000
    assert found["rosey_nats_routed_servers"][1] == 0
    assert abs(found["rosey_nats_textfile_time_seconds"][1] - time.time()) < 60
    assert abs(found["rosey_nats_start_time_seconds"][1] - time.time()) < 3600
    assert written.run(f"stat --format=%a {TEXTFILE}").strip() == "644"
    assert written.run(f"ls -A {Path(TEXTFILE).parent}").split() == [Path(TEXTFILE).name]


def test_a_second_run_counts_as_no_change(written: Container) -> None:
    before = metrics(written.run(f"cat {TEXTFILE}"))["rosey_nats_textfile_time_seconds"][1]
    assert "changed=0 " in written.play({"nats_monitoring_textfile": "present"})
    assert metrics(written.run(f"cat {TEXTFILE}"))["rosey_nats_textfile_time_seconds"][1] > before


def test_the_playbook_tells_of_a_server_that_is_gone(written: Container) -> None:
    written.run("systemctl stop nats")
    try:
        said = conftest.run_playbook("playbooks/metrics.yml", written.inventory)
    finally:
        written.run("systemctl start nats")
    assert said.startswith("exit 0"), said
    found = metrics(written.run(f"cat {TEXTFILE}"))
    assert set(found) == {"rosey_nats_up", "rosey_nats_textfile_time_seconds"}
    assert found["rosey_nats_up"] == ({"server_id": "watched"}, 0)
    assert "no metrics were written" not in " ".join(said.split())


def test_a_fault_that_is_not_the_servers_is_none_of_its_metrics(written: Container) -> None:
    before = written.run(f"cat {TEXTFILE}")
    said = conftest.run_playbook("playbooks/metrics.yml", written.inventory, "-e", "nats_monitoring_url=nowhere")
    assert said.startswith("exit 2"), said
    assert "the URL has to begin with http:// or https://" in said
    assert written.run(f"cat {TEXTFILE}") == before


@pytest.mark.thorough
def test_the_textfile_can_be_removed(written: Container) -> None:
    assert "changed=1 " in written.play(ABSENT, *ONLY)
    assert written.attempt(f"ls {TEXTFILE}").returncode != 0
    assert "changed=0 " in written.play(ABSENT, *ONLY)


@pytest.mark.parametrize("state", ["absent", "unmanaged"])
def test_the_playbook_writes_only_where_it_is_wanted(written: Container, state: str) -> None:
    written.run(f"rm -f {TEXTFILE}")
    said = conftest.run_playbook("playbooks/metrics.yml", written.inventory, "-e", f"nats_monitoring_textfile={state}")
    assert said.startswith("exit 0"), said
    shown = " ".join(said.split())
    assert f"no metrics were written, since nats_monitoring_textfile is {state}; expected present" in shown
    assert written.attempt(f"ls {TEXTFILE}").returncode != 0


@pytest.mark.thorough
def test_a_removal_takes_both_away(host: Container, wanted: dict[str, Any]) -> None:
    host.run(f"mkdir -p {Path(TEXTFILE).parent}")
    said = host.play({**wanted, "nats_monitoring_textfile": "present"}, *ONLY)
    assert said.startswith("exit 0"), said
    named = ("playbooks/remove.yml", host.inventory, "-e", f"remove_hosts={host.name}")
    said = " ".join(conftest.run_playbook(*named).replace("'", " ").split())
    assert said.startswith("exit 0"), said
    for name in ("exporter", "textfile"):
        assert f"takes away: what watches the server: {name}" in said
    assert host.attempt(f"ls -d {UNIT} /usr/local/lib/{SERVICE} {TEXTFILE}").stdout == ""
    assert host.run(f"systemctl show --property=LoadState,ActiveState {SERVICE}").split() == [
        "LoadState=not-found",
        "ActiveState=inactive",
    ]
    assert host.attempt(f"pgrep -f {SERVICE}").returncode
    assert "changed=0 " in conftest.run_playbook(*named)
