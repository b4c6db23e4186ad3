# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that somebody has set up by hand, as root, on a host where nobody passes what root makes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from .conftest import run_playbook

if TYPE_CHECKING:
    from .conftest import Container

LOG = "/var/log/nats/nats-server.log"
BY_HAND = f"""
groupadd operators
useradd --system --no-user-group --gid operators --no-create-home nats
mkdir -p /etc/nats /var/log/nats /var/lib/nats
cat > /etc/nats/nats-server.conf <<'END'
host: 127.0.0.1
http_port: 8222
server_name: by_hand
log_file: {LOG}
jetstream {{ store_dir: /var/lib/nats, max_mem: 64M, max_file: 1G }}
END
cat > /etc/systemd/system/nats.service <<'END'
[Service]
ExecStart=/opt/nats-server -c /etc/nats/nats-server.conf
END
systemctl daemon-reload
systemctl start nats
mv /usr/bin/python3 /usr/bin/python3.plain
printf '#!/bin/sh\\numask 077\\nexec /usr/bin/python3.plain "$@"\\n' > /usr/bin/python3
chmod 755 /usr/bin/python3
"""
CONFIG = {
    "server_name": "adopted",
    "ports_file_dir": "/srv/deep/down/data",
    "jetstream": {"store_dir": "/var/lib/nats", "max_mem": "64M", "max_file": "1G"},
}
ALWAYS = {"nats_server_data_dir": "/srv/deep/down/data", "release_dir": "/srv/deep/kept/releases"}


@pytest.fixture(scope="module")
def host(start_container: Callable[..., Container]) -> Container:
    container = start_container("rosey-test-adoption", nats_server_config=CONFIG, nats_server_gate_wait=10, **ALWAYS)
    binary = os.environ["NATS_SERVER_BINARY"]
    subprocess.run(["docker", "cp", "-q", binary, f"{container.name}:/opt/nats-server"], check=True)
    container.run(BY_HAND)
    return container


def owner(container: Container, path: str) -> str:
    return container.run(f"stat -c %U:%G {path}").strip()


def played(host: Container, *options: str) -> str:
    """Run the role; give what it printed, without the breaks of its lines."""
    said = " ".join(host.play(None, *options).split())
    assert said.startswith("exit 0"), said
    return said


def test_it_is_adopted(host: Container) -> None:
    """Root's log and store are given to the account, whose own group is not the service's."""
    assert owner(host, LOG) == "root:root"
    said = played(host)
    for path in (LOG, "/var/lib/nats/jetstream"):
        assert f"{path} owner: root -> nats (nothing)" in said
        assert owner(host, path) == "nats:root"
    assert host.varz()["server_name"] == "adopted"


def test_the_account_passes_what_was_made_above_its_directories(host: Container) -> None:
    modes = host.run("stat -c %a /srv/deep /srv/deep/down /srv/deep/kept /srv/deep/kept/releases").split()
    assert modes == ["755", "755", "755", "700"]
    assert host.run("ls /srv/deep/down/data").strip().endswith(".ports")


def test_what_is_written_has_its_mode_whatever_the_umask(host: Container) -> None:
    program = "/usr/local/lib/nats-server"
    written = ("/etc/nats/nats-server.conf", "/etc/systemd/system/nats.service", f"{program}/2.10.7/nats-server")
    modes = host.run(f"stat -c %a {program} {program}/2.10.7 {' '.join(written)}").split()
    assert modes == ["755", "755", "640", "644", "755"]


@pytest.mark.thorough
def test_what_is_taken_from_the_account_is_seen_and_given_back(host: Container) -> None:
    host.run(f"chown root:adm {LOG}; chown -R root:root /var/lib/nats")
    health = run_playbook("playbooks/health.yml", host.inventory)
    assert health.startswith("exit 2"), health
    for told in (f"nats may not write {LOG}; {LOG} is of root:adm", "nats may not write to /var/lib/nats/jetstream"):
        assert told in health
    for said in (played(host, "--check"), played(host)):
        assert "plan: nothing; " in said
        assert f"{LOG} owner: root -> nats (nothing)" in said
    assert (owner(host, LOG), owner(host, "/var/lib/nats/jetstream")) == ("nats:adm", "nats:root")
    host.run("systemctl restart nats")
    assert host.run("systemctl is-active nats").strip() == "active"


def test_a_place_that_the_account_can_not_use_is_refused_untouched(host: Container) -> None:
    started = host.varz()["start"]
    host.run("install -d -m 700 /srv/closed")
    said = host.play({"nats_server_config": {"log_file": "/srv/closed/logs/x.log", "pid_file": "nats.pid"}})
    assert said.startswith("exit 2"), said
    for told in (
        "log_file: /srv/closed/logs/x.log: nats may not pass /srv/closed; /srv/closed is of root:root with mode 0700. "
        "Mend it: chmod o+x /srv/closed; or name another place.",
        "pid_file: nats.pid: nats may not write to /; / is of root:root with mode 0755. A relative path begins at /, "
        "where the server is started.",
    ):
        assert told in said, said
    assert (host.varz()["start"], host.varz()["config_load_time"] >= started) == (started, True)
