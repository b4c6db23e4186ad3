# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two hosts on which a user becomes root by sudo, whose umask keeps everybody out; the second is lost in mid-run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from ansible_collections.rosey.nats.tests.integration.conftest import (
    BOOTED,
    QUOTES,
    ROOT,
    Container,
    Variables,
    run_playbook,
)

Tell = Callable[..., None]
NAMES = ("faults-kept", "faults-lost")
# The bot is installed as root, whose umask is the usual one.
LOGIN = """
apt-get -qq update && apt-get -qq install --no-install-recommends sudo
useradd --create-home deploy
printf '%s\\n' 'Defaults umask=0077, umask_override' 'deploy ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/deploy
python3 /root/rosey-bot.pyz --environment development --owner rosey --port 8000 --systemd --home /opt/rosey-bot
"""
VARIABLES: Variables = {
    "ansible_connection": "community.docker.docker",
    "ansible_user": "deploy",
    "ansible_python_interpreter": "/usr/bin/python3",
    "nats_server_install_method": "build",
    "nats_server_data_dir": "/srv/deep/down/data",
    "nats_server_config": {"server_name": "lost", "jetstream": {"max_mem": "64M", "max_file": "1G"}},
    "bot_config_environment": "development",
    "bot_config_nats": {"name": "rosey-bot-development"},
    "bot_plugins_declared": [QUOTES],
}
BOT = "/opt/rosey-bot/environments/development"
# What is written, and all that is made above it: mode, owner and group
MEANT = {
    "/etc/nats": "750 root:nats",
    "/etc/nats/nats-server.conf": "640 root:nats",
    "/etc/systemd/system/nats.service": "644 root:root",
    "/usr/local/bin/nats-server": "777 root:root",
    "/usr/local/lib/nats-server": "755 root:root",
    "/usr/local/lib/nats-server/2.10.7": "755 root:root",
    "/usr/local/lib/nats-server/2.10.7/nats-server": "755 root:root",
    "/var/log/nats": "750 nats:nats",
    "/srv/deep": "755 root:root",
    "/srv/deep/down": "755 root:root",
    "/srv/deep/down/data": "700 nats:nats",
    "/var/lib/rosey-nats": "700 root:root",
    f"{BOT}/config.yaml": "644 rosey:rosey",
    f"{BOT}/secrets.env": "600 rosey:rosey",
    f"{BOT}/plugins/quotes.yaml": "640 rosey:rosey",
}


@pytest.fixture(scope="module")
def hosts(start_container: Callable[..., Container], tmp_path_factory: pytest.TempPathFactory) -> list[Container]:
    pack = tmp_path_factory.mktemp("pack") / "rosey-bot.pyz"
    subprocess.run([sys.executable, ROOT / "tests" / "bot" / "pack.py", pack], check=True)
    started = [start_container(name) for name in NAMES]
    for host in started:
        subprocess.run(["docker", "cp", "-q", pack, f"{host.name}:/root/rosey-bot.pyz"], check=True)
        host.run(LOGIN)
    return started


def play(inventory: Path) -> str:
    inventory.write_text(json.dumps({"rosey": {"hosts": dict.fromkeys(NAMES, VARIABLES)}}))
    return run_playbook("site.yml", inventory, environment={"ANSIBLE_PIPELINING": "0"})


def kill_when_it_is_configured(host: Container) -> None:
    host.run("timeout 110 sh -c 'until test -e /etc/nats/nats-server.conf; do sleep 0.1; done'")
    subprocess.run(["docker", "kill", host.name], stdout=subprocess.DEVNULL, check=True)


def test_the_next_run_brings_both_to_what_is_meant(hosts: list[Container], tmp_path: Path, tell: Tell) -> None:
    kept, lost = hosts
    assert kept.run("runuser -u deploy -- sudo sh -c umask").strip() == "0077"
    end = Thread(target=kill_when_it_is_configured, args=[lost])
    end.start()
    said = play(tmp_path / "hosts.yml")
    end.join()
    assert said.startswith("exit 4"), said
    assert re.search(rf"^{lost.name} .* unreachable=1 ", said, re.MULTILINE), said
    told = f"{lost.name} was at work when it was lost; look at it."
    shown = " ".join(said.split())
    assert told in shown
    assert f"{kept.name} was changed, and has no release to go back to; it is left as it is" in shown

    subprocess.run(["docker", "start", lost.name], stdout=subprocess.DEVNULL, check=True)
    lost.run(BOOTED)
    said = play(tmp_path / "hosts.yml")
    assert said.startswith("exit 0"), said
    for host in hosts:
        found = host.run(f"stat -c '%n %a %U:%G' {' '.join(MEANT)}").splitlines()
        assert dict(line.split(maxsplit=1) for line in found) == MEANT
        assert host.varz()["server_name"] == "lost"
    said = play(tmp_path / "hosts.yml")
    assert said.startswith("exit 0"), said
    assert said.count("changed=0 ") == len(hosts), said
    tell("systemd: host lost in mid-run", told, "on both: the new one, after the next run", 0.0)
