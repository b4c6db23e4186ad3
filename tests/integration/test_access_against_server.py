# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said that an account may do, beside what a real server then does as that account."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats
import pytest

from ansible_collections.rosey.nats.plugins.module_utils._host import access, sockets
from ansible_collections.rosey.nats.plugins.module_utils._host.access import Kind
from ansible_collections.rosey.nats.plugins.module_utils._host.system import Account
from ansible_collections.rosey.nats.plugins.module_utils._server import conf, requirements
from ansible_collections.rosey.nats.tests.integration.conftest import free_ports
from ansible_collections.rosey.nats.tests.integration.material import make_material

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a server as another account")

NOBODY = 65534
GROUP = 54321  # of nobody
TROUBLE = re.compile(r"\[ERR\]|\[FTL\]|error opening file|permission denied|nats-server: |Error recovering")
READY = "Server is ready"
SECONDS = 5.0

Prepare = Callable[[Path], object]


def make(path: Path, owner: int, mode: int, group: int | None = None) -> Path:
    """Make a file."""
    path.touch()
    os.chown(path, owner, owner if group is None else group)
    path.chmod(mode)
    return path


def directory(path: Path, owner: int, mode: int = 0o750) -> Path:
    path.mkdir()
    os.chown(path, owner, owner)
    path.chmod(mode)
    return path


def with_acl(path: Path) -> None:
    """Make a file of root that an access control list lets nobody write to (linux/posix_acl_xattr.h)."""
    make(path, 0, 0o660)
    entries = [(0x01, 6, -1), (0x02, 6, NOBODY), (0x04, 4, -1), (0x10, 6, -1), (0x20, 0, -1)]
    packed = b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(path, "system.posix_acl_access", struct.pack("<I", 2) + packed)
    except OSError as error:
        pytest.skip(f"no access control lists here: {error}")


def read_only(path: Path) -> None:
    directory(path, NOBODY)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"ro,uid={NOBODY},mode=0700", "none", path], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no mount here: {mounted.stderr.decode()}")


@dataclass(frozen=True)
class Row:
    """prepare: what a directory holds beside "own", a directory of nobody, with root in it. config: with {d} for it.
    kind: of what is said, None for nothing. member: whether nobody is in GROUP. streams: whether a stream is there,
    whose files prepare then has."""

    name: str
    config: dict[str, Any]
    kind: Kind | None = None
    prepare: Prepare = lambda _directory: None
    member: bool = False
    stream: bool = False


def log(name: str) -> dict[str, Any]:
    return {"log_file": "{d}/" + name}


def store(name: str) -> dict[str, Any]:
    return {"jetstream": {"store_dir": "{d}/" + name, "max_mem": "16M", "max_file": "64M"}}


TLS = {"tls": {"cert_file": "{d}/own/server-cert.pem", "key_file": "{d}/own/server-key.pem"}}


def key(mode: int, group: int = 0) -> Prepare:
    def prepare(at: Path) -> None:
        found = make_material(directory(at / "own" / "material", 0))
        for name, file in (("cert", found.certificates[0]), ("key", found.keys[0])):
            shutil.copy(file, at / "own" / f"server-{name}.pem")
        os.chown(at / "own" / "server-key.pem", 0, group)
        (at / "own" / "server-key.pem").chmod(mode)
        (at / "own" / "server-cert.pem").chmod(0o644)

    return prepare


def as_certbot_leaves_it(at: Path) -> None:
    """A certificate and its key that anybody could read, were they not in directories of root alone."""
    key(0o644)(at)
    closed = directory(at / "closed", 0, 0o700)
    for name in ("server-cert.pem", "server-key.pem"):
        (at / "own" / name).rename(closed / name)


def link_behind_a_closed_directory(at: Path) -> None:
    """Let what the configuration names be links in a directory of root alone, to files that anybody can read."""
    key(0o644)(at)
    closed = directory(at / "closed", 0, 0o700)
    for name in ("server-cert.pem", "server-key.pem"):
        (closed / name).symlink_to(f"../own/{name}")


def closed_link_to_its_log(at: Path) -> None:
    """Let the log be a link in a directory of root alone, to a file that the server could make."""
    (directory(at / "closed", 0, 0o700) / "link").symlink_to("../own/x.log")


CLOSED = {"tls": {"cert_file": "{d}/closed/server-cert.pem", "key_file": "{d}/closed/server-key.pem"}}

ROWS = (
    Row("log in its own directory", log("own/x.log")),
    Row("log without its directory", log("none/x.log"), Kind.MISSING),
    Row("log behind a closed directory", log("closed/x.log"), Kind.FORBIDDEN, lambda d: directory(d / "closed", 0)),
    Row("log in a directory of root", log("x.log"), Kind.FORBIDDEN),
    Row("its own log in a directory of root", log("x.log"), None, lambda d: make(d / "x.log", NOBODY, 0o640)),
    Row("log of root", log("own/x.log"), Kind.FORBIDDEN, lambda d: make(d / "own/x.log", 0, 0o644)),
    Row("log of root and a group", log("own/x.log"), Kind.FORBIDDEN, lambda d: make(d / "own/x.log", 0, 0o660, GROUP)),
    Row("log of its group", log("own/x.log"), None, lambda d: make(d / "own/x.log", 0, 0o660, GROUP), member=True),
    Row(
        "its own log without the right",
        log("own/x.log"),
        Kind.FORBIDDEN,
        lambda d: make(d / "own/x.log", NOBODY, 0o460),
    ),
    Row("log that an access list gives it", log("own/x.log"), None, lambda d: with_acl(d / "own/x.log")),
    Row("directory in the log's place", log("own"), Kind.WRONG),
    Row(
        "file in the place of the log's directory",
        log("file/x.log"),
        Kind.WRONG,
        lambda d: make(d / "file", NOBODY, 0o777),
    ),
    Row("link to its own log", log("link"), None, lambda d: (d / "link").symlink_to("own/x.log")),
    Row("link to another's log", log("own/link"), Kind.FORBIDDEN, lambda d: (d / "own/link").symlink_to("../x.log")),
    Row("link behind a closed directory to its own log", log("closed/link"), Kind.FORBIDDEN, closed_link_to_its_log),
    Row("relative log", {"log_file": "x.log"}, Kind.FORBIDDEN),
    Row("log on what is read-only", log("ro/x.log"), Kind.READ_ONLY, lambda d: read_only(d / "ro")),
    Row("pid file in its own directory", {"pid_file": "{d}/own/x.pid"}),
    Row("pid file in a directory of root", {"pid_file": "{d}/x.pid"}, Kind.FORBIDDEN),
    Row("pid file of root", {"pid_file": "{d}/own/x.pid"}, Kind.FORBIDDEN, lambda d: make(d / "own/x.pid", 0, 0o644)),
    Row("ports in its own directory", {"ports_file_dir": "{d}/own"}),
    Row("ports in a directory of root", {"ports_file_dir": "{d}"}, Kind.FORBIDDEN),
    Row("ports without their directory", {"ports_file_dir": "{d}/none"}, Kind.MISSING),
    Row("store in its own directory", store("own")),
    Row("store in a directory of root", store("root"), Kind.FORBIDDEN, lambda d: directory(d / "root", 0, 0o755)),
    Row("file in the store's place", store("own/file"), Kind.WRONG, lambda d: make(d / "own/file", NOBODY, 0o600)),
    Row("store of root in its own", store("own"), Kind.FORBIDDEN, lambda d: directory(d / "own/jetstream", 0, 0o755)),
    Row(
        "its own store in one of root",
        store("root"),
        None,
        lambda d: directory(directory(d / "root", 0, 0o755) / "jetstream", NOBODY),
    ),
    Row("store on what is read-only", store("ro"), Kind.READ_ONLY, lambda d: read_only(d / "ro")),
    Row("store with a stream", store("own"), stream=True),
    Row(
        "store with a stream of root",
        store("own"),
        Kind.FORBIDDEN,
        lambda d: chown_below(d / "own", "*/streams/KEPT"),
        stream=True,
    ),
    Row(
        "store with messages of root",
        store("own"),
        Kind.FORBIDDEN,
        lambda d: chown_below(d / "own", "*/streams/KEPT/msgs/*"),
        stream=True,
    ),
    Row("key of its group", TLS, None, key(0o640, GROUP), member=True),
    Row("key of another group", TLS, Kind.FORBIDDEN, key(0o640, GROUP)),
    Row("key of root", TLS, Kind.FORBIDDEN, key(0o600)),
    Row(
        "certificate behind a closed directory",
        CLOSED,
        Kind.FORBIDDEN,
        as_certbot_leaves_it,
    ),
    Row("link behind a closed directory", CLOSED, Kind.FORBIDDEN, link_behind_a_closed_directory),
    Row("key that is not there", TLS, Kind.MISSING),
)


def chown_below(top: Path, pattern: str) -> None:
    found = list((top / "jetstream").glob(pattern))
    assert found
    for path in found:
        os.chown(path, 0, 0)
        path.chmod(0o700 if path.is_dir() else 0o600)


@pytest.fixture(scope="module")
def ground(nats_server: Path) -> Iterator[Path]:
    """A directory that everybody reaches, with the server in it."""
    with tempfile.TemporaryDirectory(prefix="rosey-access-") as made:
        Path(made).chmod(0o755)
        shutil.copy(nats_server, Path(made, "nats-server"))
        yield Path(made)


@pytest.fixture
def place(ground: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    at = directory(ground / re.sub(r"\W", "_", request.node.name), 0, 0o755)
    directory(at / "own", NOBODY)
    yield at
    subprocess.run(["umount", "-q", at / "ro"], check=False, capture_output=True)


def meant(config: Any, at: Path) -> Any:
    if isinstance(config, dict):
        return {name: meant(value, at) for name, value in config.items()}
    return config.replace("{d}", str(at)) if isinstance(config, str) else config


def run(ground: Path, at: Path, config: dict[str, Any], groups: set[int], do: Callable[[], None] = lambda: None) -> str:
    """Run the server as nobody until it is ready or has ended; give what it had to say of its troubles."""
    file, output = at / "nats-server.conf", at / "output"
    file.write_text(conf.render(config))
    log_file = Path(config["log_file"]) if config.get("log_file", "").startswith(str(at)) else output

    def said() -> str:
        return output.read_text() + (log_file.read_text() if log_file.is_file() else "")

    with output.open("wb") as stream:
        server = subprocess.Popen(
            [ground / "nats-server", "-c", file],
            user=NOBODY,
            group=NOBODY,
            extra_groups=groups,
            cwd="/",
            umask=0o077,
            stdout=stream,
            stderr=stream,
        )
    try:
        deadline = time.monotonic() + SECONDS
        while server.poll() is None and READY not in said() and time.monotonic() < deadline:
            time.sleep(0.01)
        if server.poll() is None:
            do()
            ports = config.get("ports_file_dir")
            while ports and not (list(Path(ports).glob("*.ports")) or TROUBLE.search(said())):
                time.sleep(0.01)
    finally:
        server.terminate()
        server.wait()
    lines = [line for line in said().splitlines() if TROUBLE.search(line)]
    return "\n".join(lines) or ("" if READY in said() else "it did not become ready")


def tree(at: Path) -> list[tuple[str, int, int, int, int]]:
    found = [at, *at.rglob("*")]
    about = [(path, path.lstat()) for path in found]
    return sorted((str(path), each.st_mode, each.st_uid, each.st_mtime_ns, each.st_ctime_ns) for path, each in about)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_is_said_is_what_the_server_meets(ground: Path, place: Path, row: Row) -> None:
    [port] = free_ports(1)
    groups = {NOBODY, *([GROUP] if row.member else [])}
    config = {"host": "127.0.0.1", "port": port, **meant(row.config, place)}
    if row.stream:

        async def fill() -> None:
            client = await nats.connect(f"nats://127.0.0.1:{port}")
            await client.jetstream().add_stream(name="KEPT", subjects=["kept"])
            await client.jetstream().publish("kept", b"kept")
            await client.close()

        assert run(ground, place, config, groups, lambda: asyncio.run(fill())) == ""
    row.prepare(place)
    before = tree(place)
    account = Account("nobody", "nogroup", NOBODY, NOBODY, frozenset(groups))
    found = access.faults(requirements.paths(config), account)
    assert tree(place) == before
    said = run(ground, place, config, groups)
    assert {fault.kind for fault in found} == ({row.kind} if row.kind else set())
    assert bool(said) is bool(row.kind), said


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda d: None, None),
        (lambda d: os.chown(d / "own/x.log", 0, 4), ("log_file", "chown nobody:nogroup {d}/own/x.log")),
        (
            lambda d: os.chown(d / "own/jetstream", 0, 0),
            ("jetstream.store_dir", "chown -R nobody:nogroup {d}/own/jetstream"),
        ),
        (lambda d: (d / "nats-server.conf").chmod(0o600), ("configuration", "chgrp nogroup {d}/nats-server.conf")),
        (lambda d: (d / "own/part.conf").unlink(), ("configuration", "bring it there")),
    ],
    ids=["nothing", "log of root", "store of root", "closed configuration", "include removed"],
)
def test_a_running_server_that_would_not_start_again_passes_no_gate_and_is_not_healthy(
    ground: Path, place: Path, run_module: Callable[..., dict[str, Any]], damage: Prepare, told: tuple[str, str] | None
) -> None:
    port, monitoring_port = free_ports(2)
    url = f"http://127.0.0.1:{monitoring_port}"
    file, pid_file = place / "nats-server.conf", place / "pid"
    (place / "own/part.conf").write_text("max_connections: 77")
    config = {
        "host": "127.0.0.1",
        "port": port,
        "http_port": monitoring_port,
        **meant({**log("own/x.log"), **store("own")}, place),
    }

    def look() -> None:
        damage(place)
        running = sockets.listeners()
        [pid] = {each.pids[0] for each in running if each.socket.port == port}
        pid_file.write_text(str(pid))
        os.chown(pid_file, NOBODY, NOBODY)
        proven = run_module("nats_gate", monitoring_url=url, pid_file=str(pid_file), wait=0.0)
        assert proven["passed"] is (told is None)
        assert [finding["what"] for finding in proven["findings"]] == ([told[0]] if told else [])
        gate = {"monitoring_url": url, "pid_file": str(pid_file), "wait": 0.0}
        assert run_module("nats_gate", check_mode=True, **gate)["passed"]
        assert "all that JetStream held" not in proven.get("msg", "")
        program = {"binary": str(ground / "nats-server"), "config_file": str(file), "pid_file": str(pid_file)}
        looked = run_module("bus_health_info", monitoring_url=url, process=program)
        [check] = [check for check in looked["checks"] if check["name"] == "files"]
        assert check["status"] == ("critical" if told else "ok")
        assert (told[1].format(d=place) if told else "") in check["remedy"]

    run(ground, place, {**config, "$include": str(place / "own/part.conf")}, {NOBODY}, look)
