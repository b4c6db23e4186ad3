# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The worst faults through site.yml, on a host with systemd: told, undone, and mended by a good run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.tests.faults.client import Publisher
from ansible_collections.rosey.nats.tests.integration.conftest import QUOTES, ROOT, Container, Variables

Tell = Callable[..., None]
NEXT = count(101)
NEWER = "2.10.29"
# Else the server takes them from what is free.
LIMITS = {"max_mem": "64M", "max_file": "1G"}
BACK, UNCHANGED = "is back at release", "was not changed"
HEALTH = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8000/api/health', timeout=5).read().decode())"
FILES = "find /etc/nats /opt/rosey-bot/environments ! -name fill -type f -exec sha256sum {} + | sort"
UNIT = "/etc/systemd/system/nats.service"
# A newer version that was verified, tests as the pinned one does, and is of no use.
BINARY = """
mkdir /usr/local/lib/nats-server/2.10.29; cd /usr/local/lib/nats-server/2.10.29
printf '%s\\n' '#!/bin/bash' 'case "$*" in *-t*) exec /usr/local/lib/nats-server/2.10.7/nats-server "$@" ;; esac' \
'{script}' > nats-server
chmod 755 nats-server
printf '{{"archive_sha256": "%064d", "binary_sha256": "%.64s"}}' 0 "$(sha256sum < nats-server)" > verified.json
"""
FILLED = "cd /var/lib/rosey-nats; dd if=/dev/zero of=fill bs=4k || true; truncate -s -4096 fill"
EMPTIED = "rm /var/lib/rosey-nats/fill"
# Room for what is kept while a deployment is at work; a record takes as much again.
TO_THE_RECORD = f"{FILLED}; truncate -s -$((4096 * (3 + $(stat -c %s releases/$(cat current).json) / 4096))) fill"
NO_BINARY = "rm -r /usr/local/lib/nats-server/2.10.29"


@dataclass(frozen=True)
class Row:
    """A play that has to fail. breaks, mends: shell commands on the host. story: what the play says of the host;
    restarts: whether the server is another process then."""

    name: str
    expected: tuple[str, ...]
    changes: Variables = field(default_factory=dict)
    breaks: str = "true"
    mends: str = "true"
    story: str = BACK
    restarts: bool = False


def store(directory: str) -> Variables:
    return {
        "nats_server_config": {"jetstream": {"store_dir": directory, **LIMITS}},
        "nats_server_accept": ["other_store"],
    }


ROWS = [
    Row(
        "unit masked",
        (f"nats.service is masked ({UNIT})", "systemctl unmask nats"),
        breaks=f"mv {UNIT} /root/unit; ln -s /dev/null {UNIT}; systemctl daemon-reload",
        mends=f"mv /root/unit {UNIT}; systemctl daemon-reload",
        story="",
    ),
    Row(
        "full disk at staging",
        ("/etc/nats/nats-server.conf: staging it", "are free in /etc/nats"),
        {"nats_server_config": {"server_tags": [f"tag:{number:0>100}" for number in range(100)]}},
        breaks="dd if=/dev/zero of=/etc/nats/fill bs=1k || true",
        mends="rm /etc/nats/fill",
        story=UNCHANGED,
    ),
    Row(
        "full disk where releases are kept",
        ("are free in /var/lib/rosey-nats",),
        breaks=FILLED,
        mends=EMPTIED,
        story="",
    ),
    Row(
        "full disk at the record",
        ("trying whether", "are free in /var/lib/rosey-nats"),
        breaks=TO_THE_RECORD,
        mends=EMPTIED,
        story=UNCHANGED,
    ),
    Row(
        "log where the service can't write",
        ("log_file: /root/nats.log: ProtectHome=true of the unit hides /root",),
        {"nats_server_config": {"log_file": "/root/nats.log"}},
        story="",
    ),
    Row(
        "store that is read-only",
        ("jetstream.store_dir: /srv/readonly: the file system of /srv/readonly is mounted read-only",),
        store("/srv/readonly"),
        story="",
    ),
    Row(
        "store that is full",
        ("jetstream.store_dir: /srv/full/jetstream: 0 bytes are free there", "Make room"),
        store("/srv/full"),
        breaks="dd if=/dev/zero of=/srv/full/fill bs=1k || true",
        mends="rm /srv/full/fill",
        story="",
    ),
    Row(
        "store that is another's",
        (
            "jetstream.store_dir: /srv/others: nats may not write to /srv/others",
            "Mend it: chown -R nats:nats /srv/others",
        ),
        store("/srv/others"),
        breaks="mkdir -p /srv/others; chmod 700 /srv/others",
        story="",
    ),
    Row(
        "binary that only tests",
        ("connection refused", "The journal ends with: no licence today"),
        {"nats_server_version": NEWER},
        breaks=BINARY.format(script="echo no licence today >&2; exit 3"),
        mends=NO_BINARY,
        restarts=True,
    ),
    Row(
        "binary that dies after 2 s",
        ("Gate | The server proves that it runs with what was meant",),
        {"nats_server_version": NEWER},
        breaks=BINARY.format(script='(sleep 2; kill -KILL $$) & exec /usr/local/lib/nats-newer "$@"'),
        mends=NO_BINARY,
        restarts=True,
    ),
]


@pytest.fixture(scope="module")
def running(
    start_container: Callable[..., Container], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Container, Publisher]]:
    flags = [f"--tmpfs={place}" for place in ("/etc/nats:size=64k", "/srv/full:size=64k,mode=777")]
    flags.append("--tmpfs=/var/lib/rosey-nats:size=32m")
    flags.append(f"--volume={tmp_path_factory.mktemp('readonly')}:/srv/readonly:ro")
    always = {
        # the client is outside
        "nats_server_config": {"server_name": "faults", "host": "0.0.0.0", "jetstream": LIMITS},
        "nats_server_gate_wait": 6,
        "bot_config_gate_wait": 10,
        "bot_config_nats": {"name": "rosey-bot-development"},
        "bot_plugins_declared": [QUOTES],
    }
    container = start_container("faults-systemd", *flags, **always)
    pack = tmp_path_factory.mktemp("pack") / "rosey-bot.pyz"
    subprocess.run([sys.executable, ROOT / "tests" / "bot" / "pack.py", pack], check=True)
    newer = os.environ["NATS_SERVER_BINARY_NEWER"]
    for source, place in ((pack, "/root/rosey-bot.pyz"), (Path(newer), "/usr/local/lib/nats-newer")):
        subprocess.run(["docker", "cp", source, f"{container.name}:{place}"], check=True, stdout=subprocess.DEVNULL)
    container.run(
        "python3 /root/rosey-bot.pyz --environment development --owner rosey --port 8000 --systemd "
        "--home /opt/rosey-bot"
    )
    said = container.play(good())
    assert said.startswith("exit 0"), said
    address = json.loads(subprocess.run(["docker", "inspect", container.name], capture_output=True, check=True).stdout)
    publisher = Publisher(f"nats://{address[0]['NetworkSettings']['IPAddress']}:4222")
    publisher.start()
    yield container, publisher
    publisher.stop()


def good() -> Variables:
    """Give a deployment that nothing is wrong with, and that changes something."""
    return {"nats_server_config": {"max_connections": next(NEXT)}}


def served(container: Container) -> dict[str, Any]:
    """Give what must be the same after a deployment that failed."""
    varz, bot = container.varz(), json.loads(container.run(f'python3 -c "{HEALTH}"'))
    return {
        **{name: varz[name] for name in ("version", "max_connections", "max_payload")},
        "jetstream": varz["jetstream"]["config"],
        "bot": (bot["connected"], bot["nats"]),
        "files": container.run(FILES),
    }


def current(container: Container) -> str:
    return container.run("cat /var/lib/rosey-nats/current")


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS])
def test_a_fault_under_systemd(running: tuple[Container, Publisher], tell: Tell, row: Row) -> None:
    container, publisher = running
    before, server, release = served(container), container.varz()["server_id"], current(container)
    number = next(NEXT)
    changes = {**row.changes}
    changes["nats_server_config"] = {"max_connections": number, **changes.get("nats_server_config", {})}
    with publisher.watch() as seen:
        container.run(row.breaks)
        try:
            said = container.play(changes)
        finally:
            container.run(row.mends)
        assert said.startswith("exit 2"), said
        assert not [part for part in (*row.expected, row.story) if part not in said], said
        assert "Traceback" not in said, said
        assert served(container) == before
        assert (container.varz()["server_id"] == server) is not row.restarts
        assert current(container) == release
        proven_by_a_good_run(container, release)
    assert seen.lost == []
    runs = "what it had" + ", restarted" * row.restarts
    tell(f"systemd: {row.name}", row.expected[0], runs, seen.gap)


@pytest.mark.parametrize(
    ("damage", "restarts"),
    [
        ("rm -r /usr/local/lib/nats-server/2.10.7", False),
        ("rm /usr/local/bin/nats-server", False),
        ("chown -R root:root /var/lib/nats", False),
        ("systemctl kill --signal=KILL nats; systemctl stop nats", True),
        ("rm /etc/nats/nats-server.conf", False),
        # where the sandbox lets the service see nothing
        ("mv /etc/nats/nats-server.conf /root/; ln -s /root/nats-server.conf /etc/nats/nats-server.conf", False),
    ],
    ids=[
        "link's target removed",
        "link removed",
        "store of another",
        "server stopped",
        "configuration removed",
        "configuration behind a link",
    ],
)
def test_what_was_damaged_by_hand_is_mended_by_the_next_run(
    running: tuple[Container, Publisher], tell: Tell, damage: str, restarts: bool
) -> None:
    container, publisher = running
    release, server = current(container), container.varz()["server_id"]
    with publisher.watch() as seen:
        container.run(damage)
        proven_by_a_good_run(container, release)
        assert (container.varz()["server_id"] == server) is not restarts
    assert seen.lost == []
    tell(f"systemd: {damage}", "(mended)", "the new one", seen.gap)


def proven_by_a_good_run(container: Container, release: str) -> None:
    mended = good()
    said = container.play(mended)
    assert said.startswith("exit 0"), said
    assert container.varz()["max_connections"] == mended["nats_server_config"]["max_connections"]
    assert current(container) != release
