# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The worst faults through site.yml, on a server and a bot that are processes: told, undone, and then mended."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import requests

from ansible_collections.rosey.nats.plugins.module_utils._server import archive
from ansible_collections.rosey.nats.tests.faults import lease
from ansible_collections.rosey.nats.tests.faults.client import Publisher
from ansible_collections.rosey.nats.tests.faults.damage import immutable
from ansible_collections.rosey.nats.tests.integration.conftest import (
    QUOTES,
    Deployment,
    Variables,
    free_ports,
    install_bot,
    stop_all,
)

Tell = Callable[..., None]
Break = Callable[[Deployment], AbstractContextManager[None]]
NEXT = count(101)
NEWER = "2.10.29"
# Else the server takes them from what is free.
LIMITS = {"jetstream": {"max_mem": "64M", "max_file": "1G"}}
BACK, UNCHANGED = "is back at release", "was not changed"


@dataclass(frozen=True)
class Row:
    """A play that has to fail. story: what it says of the host. restarts: whether the server is another process."""

    name: str
    expected: tuple[str, ...]
    changes: Variables = field(default_factory=dict)
    broken: Break = lambda _deployed: nullcontext()
    story: str = BACK
    restarts: bool = False


def good() -> Variables:
    """Give a deployment that nothing is wrong with, and that changes something."""
    return {"nats_server_config": {"max_connections": next(NEXT), **LIMITS}}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Deployment, Publisher]]:
    deployed = Deployment(tmp_path_factory.mktemp("faults"), *free_ports(3))
    deployed.home.parent.mkdir(parents=True)
    install_bot(deployed.home, deployed.bot_port)
    said = deployed.play(good())
    assert said.startswith("exit 0"), said
    publisher = Publisher(f"nats://127.0.0.1:{deployed.port}")
    publisher.start()
    yield deployed, publisher
    publisher.stop()
    stop_all(deployed.directory)


def bot_health(deployed: Deployment) -> dict[str, Any]:
    return dict(requests.get(f"http://127.0.0.1:{deployed.bot_port}/api/health", timeout=5).json())


def served(deployed: Deployment) -> dict[str, Any]:
    """Give what must be the same after a deployment that failed."""
    varz, bot = deployed.varz(), bot_health(deployed)
    return {
        **{name: varz[name] for name in ("version", "max_connections", "max_payload")},
        "jetstream": varz["jetstream"]["config"],
        "bot": (bot["connected"], bot["nats"]),
        "files": {path: text for path, text in deployed.files().items() if not path.endswith(".log")},
    }


def current(deployed: Deployment) -> str:
    return (deployed.directory / "root" / "var" / "lib" / "rosey-nats" / "current").read_text().strip()


@contextmanager
def binary(deployed: Deployment, script: str) -> Iterator[None]:
    """Have a newer version that was verified, tests as the pinned one does, and is of no use."""
    lib = deployed.directory / "root" / "usr" / "local" / "lib" / "nats-server"
    place = lib / NEWER / "nats-server"
    place.parent.mkdir()
    place.write_text(script.replace("{real}", str(lib / "2.10.7" / "nats-server")))
    place.chmod(0o755)
    sums = {"archive_sha256": "0" * 64, "binary_sha256": sha256(place.read_bytes()).hexdigest()}
    (place.parent / archive.VERIFIED).write_text(json.dumps(sums))
    try:
        yield
    finally:
        shutil.rmtree(place.parent)


def dying_binary(deployed: Deployment) -> AbstractContextManager[None]:
    newer = os.environ["NATS_SERVER_BINARY_NEWER"]
    return binary(
        deployed, f'#!/bin/bash\ncase "$*" in *-t*) ;; *) (sleep 6; kill -KILL $$) & esac\nexec {newer} "$@"\n'
    )


@contextmanager
def garbage_certificate(deployed: Deployment) -> Iterator[None]:
    (deployed.directory / "garbage.pem").write_text("no certificate\n")
    yield


def another_deployment(deployed: Deployment) -> AbstractContextManager[None]:
    """Have another deployment of this controller at work."""
    return lease.held(deployed.directory / "root" / "var" / "lib" / "rosey-nats")


@contextmanager
def second_server(deployed: Deployment) -> Iterator[None]:
    link = deployed.directory / "root" / "usr" / "local" / "bin" / "nats-server"
    with subprocess.Popen([link, "-a", "127.0.0.1", "-p", str(OTHER_PORT)], stderr=subprocess.DEVNULL) as other:
        try:
            yield
        finally:
            other.terminate()


(OTHER_PORT,) = free_ports(1)
DENIED = {
    "authorization": {
        "users": [
            {
                "user": "anybody",
                # in clear: with a hash, the server lets nobody in as no_auth_user
                "password": "anything",
                "permissions": {"subscribe": {"deny": ["rosey.dev.commands.delquote"]}},
            }
        ]
    },
    "no_auth_user": "anybody",
}
TESTS_ONLY = '#!/bin/bash\ncase "$*" in *-t*) exec {real} "$@" ;; esac\necho no licence today >&2\nexit 3\n'

ROWS = [
    Row(
        "-t rejects it",
        ("refused it with exit status 1", "PEM", "No file was changed"),
        {
            "nats_server_config": {
                "tls": {"cert_file": "{directory}/garbage.pem", "key_file": "{directory}/garbage.pem"}
            }
        },
        garbage_certificate,
        story=UNCHANGED,
    ),
    Row(
        "fewer connections than clients",
        ("max_connections: 1, and", "nats_server_accept: [fewer_connections]"),
        {"nats_server_config": {"max_connections": 1}},
        story="",
    ),
    Row(
        "two deployments at once",
        ("the lease of another deployment is there, of ", "this run does not wait", "release_take_over"),
        broken=another_deployment,
        story=UNCHANGED,
    ),
    Row(
        "plugin's file that can't be replaced",
        ("quotes.yaml: renaming it into place failed", "Already done"),
        {"bot_plugins_declared": [{**QUOTES, "config": {"cooldown": 1}}]},
        lambda deployed: immutable(deployed.home / "environments" / "development" / "plugins" / "quotes.yaml"),
    ),
    Row(
        "binary that only tests",
        ("ended with 3", "no licence today"),
        {"nats_server_version": NEWER},
        lambda deployed: binary(deployed, TESTS_ONLY),
        restarts=True,
    ),
    Row(
        "binary that dies after 6 s",
        ("has proven what was meant, but not for as long as it was watched",),
        {"nats_server_version": NEWER, "nats_server_gate_soak": 10},
        dying_binary,
        restarts=True,
    ),
    Row(
        "bot that does not come back",
        ("quotes", "rosey.dev.commands.addquote"),
        {"bot_plugins_declared": [{**QUOTES, "config": {"database": "/proc/quotes.db"}}], "bot_config_gate_wait": 6},
    ),
    Row(
        "bot on another server",
        ("rosey-bot-development",),
        {"bot_config_servers": [f"nats://localhost:{OTHER_PORT}"], "bot_config_gate_wait": 6},
        second_server,
    ),
    Row(
        "bot that misses one subscription",
        ("rosey.dev.commands.delquote", "quotes"),
        {"nats_server_config": DENIED, "bot_config_gate_wait": 6},
        restarts=True,
    ),
]


def with_directory(changes: Variables, deployed: Deployment) -> Variables:
    changed: Variables = json.loads(json.dumps(changes).replace("{directory}", str(deployed.directory)))
    config = {"max_connections": next(NEXT), **LIMITS, **changed.get("nats_server_config", {})}
    return {**changed, "nats_server_config": config}


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS])
def test_a_fault_in_a_play(running: tuple[Deployment, Publisher], tell: Tell, row: Row) -> None:
    deployed, publisher = running
    before, server, release = served(deployed), deployed.varz()["server_id"], current(deployed)
    with publisher.watch() as seen:
        with row.broken(deployed):
            said = deployed.play(with_directory(row.changes, deployed))
        assert said.startswith("exit 2"), said
        assert not [part for part in (*row.expected, row.story) if part not in said], said
        assert "Traceback" not in said, said
        assert served(deployed) == before
        assert (deployed.varz()["server_id"] == server) is not row.restarts
        assert current(deployed) == release
        mended = good()
        said = deployed.play(mended)
        assert said.startswith("exit 0"), said
        assert deployed.varz()["max_connections"] == mended["nats_server_config"]["max_connections"]
        assert current(deployed) != release
    assert seen.lost == []
    runs = "what it had, restarted" if row.restarts else "what it had"
    tell(f"site.yml: {row.name}", row.expected[0], runs, seen.gap)


BROKEN_PLUGIN = {
    "bot_plugins_declared": [{**QUOTES, "config": {"database": "/proc/quotes.db"}}],
    "bot_config_gate_wait": 6,
}


def test_a_first_deployment_that_fails_leaves_its_evidence(tmp_path: Path, tell: Tell) -> None:
    deployed = Deployment(tmp_path, *free_ports(3))
    deployed.home.parent.mkdir(parents=True)
    install_bot(deployed.home, deployed.bot_port)
    try:
        said = deployed.play(BROKEN_PLUGIN)
        assert said.startswith("exit 2"), said
        assert "has no release to go back to; it is left as it is, to be looked at" in said
        assert deployed.varz()["max_connections"] == 77
        said = deployed.play({})
        assert said.startswith("exit 0"), said
        assert bot_health(deployed)["connected"]
        assert current(deployed)
    finally:
        stop_all(tmp_path)
    tell("site.yml: first deployment fails", "has no release to go back to; it is left as it is", "the new one", 0.0)


def test_a_release_that_is_damaged_is_not_gone_back_to(running: tuple[Deployment, Publisher], tell: Tell) -> None:
    deployed, publisher = running
    release = current(deployed)
    record = deployed.directory / "root" / "var" / "lib" / "rosey-nats" / "releases" / f"{release}.json"
    whole = record.read_bytes()
    with publisher.watch() as seen:
        record.write_bytes(whole[:100])
        said = deployed.play(BROKEN_PLUGIN)
        assert said.startswith("exit 2"), said
        assert f"has no release to go back to (damaged: {release}.json)" in said
        said = deployed.play(good())
        assert said.startswith("exit 0"), said
        assert bot_health(deployed)["connected"]
        assert current(deployed) > release
    assert seen.lost == []
    tell("site.yml: damaged release", "has no release to go back to (damaged: ...)", "the new one", seen.gap)


def test_a_return_that_fails_says_which_step_and_what_to_do(running: tuple[Deployment, Publisher], tell: Tell) -> None:
    deployed, publisher = running
    before, release = served(deployed), current(deployed)
    data = deployed.home / "data"
    away = data.with_name("data.away")
    with publisher.watch() as seen:
        data.rename(away)
        data.write_text("no directory")
        changed = {"bot_plugins_declared": [{**QUOTES, "config": {**QUOTES["config"], "cooldown": 2}}]}
        # the release that is gone back to waits as long as it was recorded with
        said = deployed.play({**changed, "bot_config_gate_wait": 3})
        data.unlink()
        away.rename(data)
        assert said.startswith("exit 2"), said
        step = "The step that failed: Gate | The bot proves that it is connected and holds what was declared: "
        assert f"could NOT go back to release {release}. {step}" in " ".join(said.split())
        assert f"rollback_to={release}" in said
        after = served(deployed)
        assert {name: after[name] for name in after if name != "bot"} == {
            name: before[name] for name in before if name != "bot"
        }
        said = deployed.play(good())
        assert said.startswith("exit 0"), said
        assert bot_health(deployed)["connected"]
    assert seen.lost == []
    tell("site.yml: return that fails", "could NOT go back to release ...", "server: what it had, bot: none", seen.gap)
