# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that can't take a deployment: a clear error, and what ran goes on with what it had."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import Container
    from .material import Material

pytestmark = pytest.mark.thorough

TOKEN = "hunter2-is-no-token"
CONFIG = {"server_name": "kept", "max_connections": 77, "authorization": {"token": TOKEN}}
CERTBOT = "/etc/letsencrypt"
TLS = {"tls": {"cert_file": f"{CERTBOT}/live/bus/fullchain.pem", "key_file": f"{CERTBOT}/live/bus/privkey.pem"}}
# As certbot leaves it: links in one closed directory to files in another.
AS_CERTBOT_LEAVES_IT = f"""
install -d -m 700 {CERTBOT}/live {CERTBOT}/archive
mkdir -m 755 {CERTBOT}/live/bus {CERTBOT}/archive/bus
cd {CERTBOT}/archive/bus
install -m 644 /root/server.pem fullchain1.pem
install -m 600 /root/server.key privkey1.pem
for each in fullchain privkey; do ln -s ../../archive/bus/${{each}}1.pem {CERTBOT}/live/bus/$each.pem; done
"""
NO_SOURCES = "/etc/apt/apt.conf.d/99-no-sources"


@pytest.fixture(scope="module")
def deployed(start_container: Callable[..., Container]) -> Container:
    """Start a host on which the server runs, its configuration on 64 KiB, and /tmp without programs."""
    mounts = ("--tmpfs=/etc/nats:size=64k", "--tmpfs=/tmp:noexec", "--tmpfs=/var/tmp:noexec")
    container = start_container("rosey-test-deployed", *mounts, nats_server_config=CONFIG)
    said = container.play(None, "--diff", "-vvvvv")
    assert said.startswith("exit 0"), said
    assert_secret(container, said)
    return container


@pytest.fixture(scope="module")
def fresh(start_container: Callable[..., Container]) -> Container:
    """Start a host on which nothing was ever done."""
    return start_container("rosey-test-fresh", nats_server_config=CONFIG)


def assert_secret(container: Container, said: str) -> None:
    """Assert that neither a play nor the journal of its host shows the token."""
    journal = container.run("journalctl --no-pager --output=cat")
    assert "Invoked with" in journal
    assert TOKEN not in said
    assert TOKEN not in journal


def assert_untouched(container: Container) -> None:
    assert container.run("ls -d /etc/nats /var/lib/nats /var/log/nats /usr/local/*/nats-server 2>&1 || true").count(
        "No such file"
    ) == len(("config", "data", "log", "binary and link"))
    assert container.attempt("getent passwd nats || getent group nats").returncode


@contextmanager
def kept(container: Container) -> Iterator[None]:
    """Assert that the server runs on as before, on the files that it had."""

    def look() -> tuple[Any, ...]:
        varz = container.varz()
        files = container.run(
            "find /etc/nats ! -name fill -type f -exec sha256sum {} + && sha256sum /etc/systemd/system/nats*"
        )
        return varz["server_id"], varz["config_load_time"], varz["max_connections"], files

    before = look()
    yield
    assert look() == before


def refused(container: Container, changes: dict[str, Any], expected: list[str]) -> str:
    """Assert that the role refuses, says all of this, and shows no secret."""
    said = container.play(changes, "--diff", "-vvvvv")
    assert not said.startswith("exit 0"), said
    assert "Traceback" not in said, said
    assert not [part for part in [container.name, *expected] if part not in said], said
    assert_secret(container, said)
    return said


def test_a_dry_run_on_a_fresh_host_shows_what_would_be(fresh: Container) -> None:
    fresh.run("mkdir /opt/rosey-bot")
    try:
        said = fresh.play(None, "--check", "--diff", "-vvvvv")
    finally:
        fresh.run("rmdir /opt/rosey-bot")
    assert said.startswith("exit 0"), said
    shown = " ".join(said.split())
    assert "config.yaml: python3-yaml is not there to read it, so what would change in it is not known" in shown
    assert "/etc/nats/nats-server.conf: nats-server has not tried it: this host has no " in shown
    assert re.search(r"^\s*\+max_connections: 77$", said, re.MULTILINE), said
    assert re.search(r'^\s*\+\s+token: "?\*{8}"?$', said, re.MULTILINE), said
    assert_secret(fresh, said)
    assert_untouched(fresh)


def test_a_host_without_requests_and_a_package_source(fresh: Container) -> None:
    fresh.run(f'echo \'Dir::Etc::sourcelist "/dev/null"; Dir::Etc::sourceparts "/dev/null";\' > {NO_SOURCES}')
    try:
        refused(fresh, {}, ["requests", "python3-requests", "package source", "/usr/bin/python3"])
    finally:
        fresh.run(f"rm {NO_SOURCES}")
    assert_untouched(fresh)


def test_what_stays_of_a_deployment_that_was_refused_is_told(fresh: Container) -> None:
    said = " ".join(refused(fresh, {"nats_server_link": "/srv"}, ["link /srv is a directory"]).split())
    assert "was not changed, but for what stays: the packages python3-requests" in said
    # what may be refused comes before the account
    assert_untouched(fresh)


def test_a_full_disk_at_the_configurations_place(deployed: Container) -> None:
    deployed.attempt("dd if=/dev/zero of=/etc/nats/fill bs=1k")
    try:
        with kept(deployed):
            long = [f"tag:{number:0>100}" for number in range(100)]
            refused(deployed, {"nats_server_config": {"server_tags": long}}, ["/etc/nats", "free"])
    finally:
        deployed.run("rm /etc/nats/fill")


def test_a_port_taken_by_another_process(deployed: Container) -> None:
    deployed.run("systemd-run --unit=holder python3 -m http.server --bind 127.0.0.1 4333")
    deployed.run("timeout 20 bash -c 'until </dev/tcp/127.0.0.1/4333; do sleep 0.1; done'")
    pid = deployed.run("systemctl show holder --property=MainPID --value").strip()
    try:
        with kept(deployed):
            refused(deployed, {"nats_server_config": {"port": 4333}}, ["4333", pid, "python3"])
    finally:
        deployed.run("systemctl stop holder")


def test_a_certificate_in_closed_directories(deployed: Container, material: Material) -> None:
    for file in (material.certificates[0], material.keys[0]):
        subprocess.run(["docker", "cp", "-q", file, f"{deployed.name}:/root/"], check=True)
    deployed.run(AS_CERTBOT_LEAVES_IT)
    with kept(deployed):
        said = refused(deployed, {"nats_server_config": TLS}, ["changed=0 "])
    closed = [(f"{CERTBOT}/{name}", f"chmod o+x {CERTBOT}/{name}") for name in ("live", "archive")]
    key = f"{CERTBOT}/archive/bus/privkey1.pem"
    for option, file, faults in (
        ("cert_file", "fullchain", closed),
        ("key_file", "privkey", [*closed, (key, f"chgrp nats {key} && chmod g+r {key}")]),
    ):
        for path, remedy in faults:
            told = rf"tls\.{option}: {CERTBOT}/live/bus/{file}\.pem: nats may not \w+ {path}; [^;]*Mend it: "
            assert re.search(told + re.escape(f"{remedy};"), said), said
            deployed.run(remedy)


def test_the_same_change_succeeds_without_the_obstacle(deployed: Container) -> None:
    """Nor is there one for the certificate, since that was mended as told."""
    said = deployed.play({"nats_server_config": {"port": 4333, **TLS}}, "--diff", "-vvvvv")
    assert said.startswith("exit 0"), said
    assert (deployed.varz()["port"], deployed.varz()["tls_required"]) == (4333, True)
    assert_secret(deployed, said)
