# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that the modules meet: each is told, and the server and the bot go on with what they had."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file
from ansible_collections.rosey.nats.tests.faults.client import Publisher
from ansible_collections.rosey.nats.tests.faults.damage import immutable
from ansible_collections.rosey.nats.tests.faults.steps import CLAIM, QUOTES, FailedError, Host, Wanted
from ansible_collections.rosey.nats.tests.integration.conftest import free_ports, install_bot
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import Reply, fake_monitoring

Break = Callable[[Host], AbstractContextManager["Wanted | None"]]
Tell = Callable[..., None]

NEXT = count(101)
NEWER = "2.10.29"
ELSEWHERE = {"controller": "0123456789ab-0123456789ab", "pid": 4711, "started": "1"}


@dataclass(frozen=True)
class Row:
    """A deployment that has to fail.

    fails: the module that tells it. expected: parts of what it says. wanted: what is deployed. broken: breaks the host
    and mends it again; what it yields is deployed instead. restarts: whether the server is another process afterwards,
    on what it had.
    """

    name: str
    fails: str
    expected: tuple[str, ...]
    wanted: Wanted = field(default_factory=Wanted)
    broken: Break = lambda _host: nullcontext()
    restarts: bool = False
    sample: bool = False


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, nats_server: Path) -> Iterator[tuple[Host, Publisher]]:
    host = Host(tmp_path_factory.mktemp("host"), free_ports(3), {"2.10.7": nats_server})
    install_bot(host.home, host.bot_port)
    publisher = Publisher(f"nats://127.0.0.1:{host.port}")
    yield host, publisher
    publisher.stop()
    for pid_file in (host.home / "bot.pid", host.pid_file):
        if pid_file.exists():
            os.kill(int(pid_file.read_text()), signal.SIGINT)


@pytest.fixture
def host(running: tuple[Host, Publisher], run_module: Callable[..., dict[str, Any]]) -> Host:
    """A host on which a deployment has just passed."""
    host, publisher = running
    host.run_module = run_module
    host.deploy(good())
    if not publisher.acknowledged:
        publisher.start()
    return host


@pytest.fixture
def publisher(running: tuple[Host, Publisher]) -> Publisher:
    return running[1]


def good() -> Wanted:
    """Give a deployment that nothing is wrong with, and that changes something."""
    return Wanted(config={"max_connections": next(NEXT)})


@contextmanager
def file_instead(path: Path, make: Callable[[Path], object]) -> Iterator[None]:
    """Put something else in a file's place for a while."""
    away = path.with_name(f"{path.name}.away")
    path.rename(away)
    make(path)
    try:
        yield
    finally:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        away.rename(path)


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """Let no file of this process grow past a size, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def taken_port(write: Callable[[int], Wanted]) -> Iterator[Wanted]:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        yield write(holder.getsockname()[1])


@contextmanager
def garbage_certificate(host: Host) -> Iterator[Wanted]:
    certificate = host.directory / "garbage.pem"
    certificate.write_text("no certificate\n")
    yield Wanted(config={"tls": {"cert_file": str(certificate), "key_file": str(certificate)}})


@contextmanager
def binary(host: Host, script: str) -> Iterator[Wanted]:
    """Have a newer version that was verified and is of no use; it judges configurations as the pinned one does."""
    real = host.directory / "lib" / "2.10.7" / "nats-server"
    host.install(NEWER, script.replace("{real}", str(real)).encode())
    try:
        yield Wanted(config={"max_connections": next(NEXT)}, version=NEWER)
    finally:
        host.uninstall(NEWER)


@contextmanager
def dying_binary(host: Host) -> Iterator[Wanted]:
    newer = Path(os.environ["NATS_SERVER_BINARY_NEWER"])
    script = f'#!/bin/bash\ncase "$*" in *-t*) ;; *) (sleep 2; kill -KILL $$) & esac\nexec -a {newer} {newer} "$@"\n'
    with binary(host, script) as wanted:
        yield wanted


@contextmanager
def hanging_monitoring(_host: Host) -> Iterator[Wanted]:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        yield Wanted(config={"max_connections": next(NEXT)}, url=f"http://127.0.0.1:{port}")


@contextmanager
def other_monitoring(answers: dict[str, Any]) -> Iterator[Wanted]:
    with fake_monitoring(answers) as fake:
        yield Wanted(config={"max_connections": next(NEXT)}, url=fake.url)


@contextmanager
def second_server(host: Host) -> Iterator[Wanted]:
    """Lead the bot to a server that is not the deployed one."""
    (port,) = free_ports(1)
    command = [host.directory / "lib" / "2.10.7" / "nats-server", "-a", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as other:
        try:
            yield Wanted(servers=(f"nats://localhost:{port}",))
        finally:
            other.terminate()


@contextmanager
def held_lease(host: Host, claim: dict[str, Any]) -> Iterator[None]:
    """Have another deployment at work."""
    asked: dict[str, Any] = {"release_dir": str(host.releases), "claim": claim, "take_over": True}
    host.module("nats_release", state="begun", **asked)
    try:
        yield
    finally:
        host.module("nats_release", state="ended", release_dir=str(host.releases), claim=claim)


@contextmanager
def another_deployment(host: Host) -> Iterator[None]:
    with subprocess.Popen(["sleep", "600"]) as other, held_lease(host, {**CLAIM, "pid": other.pid, "started": "1"}):
        try:
            yield
        finally:
            other.kill()


def bot_file(host: Host) -> Path:
    return host.environment / "config.yaml"


def with_bot_file(text: str) -> Break:
    """Put a text in the place of the bot's file."""
    return lambda host: file_instead(bot_file(host), lambda path: path.write_text(text))


def plugin(**changes: Any) -> tuple[dict[str, Any], ...]:
    return ({**QUOTES, **changes},)


DENIED = """
authorization { users: [{ user: anybody, password: "pw-of-nobody",
  permissions: { subscribe: { deny: ["rosey.dev.commands.delquote"] } } }] }
no_auth_user: anybody
"""
REFUSED = "nats-server would not accept this"

ROWS = [
    # What is refused before anything is touched.
    Row(
        "port is taken",
        "nats_plan",
        ("is taken", f"process {os.getpid()}"),
        broken=lambda _host: taken_port(lambda port: Wanted(config={"port": port})),
    ),
    Row(
        "directory of the log is missing",
        "nats_plan",
        ("log_file: /nowhere/log", "install -d"),
        Wanted(config={"log_file": "/nowhere/log"}),
        sample=True,
    ),
    Row(
        "unknown option",
        "nats_plan",
        (REFUSED, "max_conections", "max_connections"),
        Wanted(config={"max_conections": 5}),
    ),
    Row(
        "lame duck's grace above its duration",
        "nats_plan",
        (REFUSED, "lame_duck_grace_period"),
        Wanted(config={"lame_duck_duration": "30s", "lame_duck_grace_period": "60s"}),
    ),
    Row(
        "unknown no_auth_user",
        "nats_plan",
        (REFUSED, 'no_auth_user: "nobody" names no user'),
        Wanted(config={"no_auth_user": "nobody"}),
    ),
    Row(
        "fewer connections than clients",
        "nats_plan",
        ("max_connections: 1, and", "fewer_connections"),
        Wanted(config={"max_connections": 1}),
        sample=True,
    ),
    Row(
        "max_file that leaves no stream any room",
        "nats_plan",
        ("jetstream.max_file: 0 bytes", "smaller_store"),
        Wanted(config={"jetstream": {"store_dir": "{directory}/store", "max_file": 0}}),
    ),
    Row(
        "another store_dir",
        "nats_plan",
        ("store_dir", "1 stream with", "other_store"),
        Wanted(config={"jetstream": {"store_dir": "{directory}/other"}}),
    ),
    Row(
        "JetStream off with streams",
        "nats_plan",
        ("jetstream: off", "1 stream with", "no_jetstream"),
        Wanted(config={"jetstream": None}),
    ),
    Row(
        "a cluster beside streams, without a copy",
        "nats_plan",
        ("cluster: added to a single server that holds 1 stream with", "added_cluster"),
        Wanted(
            config={
                "server_name": "alone",
                "cluster": {"name": "c", "listen": "127.0.0.1:16222", "routes": ["nats://127.0.0.1:16223"]},
            },
            plan={"store_copy": False},
        ),
        sample=True,
    ),
    Row(
        "two sections nats in the bot's file",
        "bot_plan",
        ("config.yaml: ", "line 3"),
        broken=with_bot_file("nats:\n  name: a\nnats:\n  name: b\n"),
        sample=True,
    ),
    Row("a tab in the bot's file", "bot_plan", ("config.yaml: ", "line 2"), broken=with_bot_file("a:\n\tb: 1\n")),
    Row(
        "two documents in the bot's file",
        "bot_plan",
        ("config.yaml: ", "line 2"),
        broken=with_bot_file("a: 1\n---\nb: 2\n"),
    ),
    Row(
        "an anchor of the section used elsewhere",
        "bot_plan",
        ("config.yaml: ", "line 2"),
        broken=with_bot_file("nats: &n {name: a}\nother: *n\n"),
    ),
    # One deployment at a time.
    Row(
        "two deployments at once",
        "nats_release",
        ("Another deployment is at work on this host", "release_take_over"),
        broken=another_deployment,
        sample=True,
    ),
    Row(
        "a lease of another controller",
        "nats_release",
        ("process 4711 of 0123456789ab", "Nothing was touched"),
        broken=lambda host: held_lease(host, ELSEWHERE),
    ),
    Row(
        "a truncated lease",
        "nats_release",
        ("lease.json: truncated", "release_take_over"),
        broken=lambda host: file_instead(host.releases / "lease.json", lambda path: path.write_text('{"format"')),
    ),
    Row(
        "a lease that others may write",
        "nats_release",
        ("lease.json: mode", "release_take_over"),
        broken=lambda host: file_instead(
            host.releases / "lease.json", lambda path: (path.write_text("{}\n"), path.chmod(0o666))
        ),
    ),
    # What fails before the first rename.
    Row(
        "-t rejects it",
        "config_tree",
        ("refused it with exit status 1", "No file was changed", "PEM"),
        broken=garbage_certificate,
        sample=True,
    ),
    Row(
        "full disk at staging",
        "config_tree",
        ("staging it", "are free in", "Make room"),
        Wanted(config={"server_tags": [f"tag:{number:0>100}" for number in range(2000)]}),
        broken=lambda _host: small_files(150_000),
        sample=True,
    ),
    Row(
        "full disk at the record",
        "nats_release",
        ("trying whether", "bytes can be written there failed", "Make room and run again"),
        Wanted(config={"max_payload": 2048000}),
        broken=lambda _host: small_files(4096),
        sample=True,
    ),
    Row(
        "binary that does not start",
        "config_tree",
        ("can't be run", "Exec format error"),
        broken=lambda host: binary(host, "\x7fELF of nothing"),
    ),
    # What fails between two renames.
    Row(
        "plugin's file that can't be replaced",
        "config_tree",
        ("quotes.yaml: renaming it into place failed",),
        Wanted(config={"max_payload": 2048000}, plugins=plugin(enabled=True, publishes=["rosey.dev.cytube.x"])),
        broken=lambda host: immutable(host.environment / "plugins" / "quotes.yaml"),
        sample=True,
    ),
    # What the server says at its start.
    Row(
        "grace, past our table",
        "nats_process",
        ("should be strictly lower",),
        Wanted(raw='lame_duck_duration: "30s"\nlame_duck_grace_period: "60s"\n'),
        restarts=True,
    ),
    Row(
        "no_auth_user, past our table",
        "nats_process",
        ("no_auth_user", "nobody"),
        Wanted(raw="no_auth_user: nobody\n"),
        restarts=True,
    ),
    Row(
        "missing log directory, past our table",
        "nats_process",
        ("no such file or directory",),
        Wanted(raw="log_file: /nowhere/log\n"),
        restarts=True,
    ),
    Row(
        "JetStream that does not come up",
        "nats_process",
        ("Can't start JetStream",),
        Wanted(raw="jetstream { store_dir: /proc/nowhere }\n"),
        restarts=True,
        sample=True,
    ),
    Row(
        "port is taken meanwhile",
        "nats_process",
        ("is taken",),
        broken=lambda _host: taken_port(lambda port: Wanted(raw=f"websocket {{ port: {port}, no_tls: true }}\n")),
    ),
    Row(
        "binary that only tests",
        "nats_process",
        ("ended with 3", "no licence today"),
        broken=lambda host: binary(
            host,
            '#!/bin/bash\ncase "$*" in *-t*) exec {real} "$@" ;; esac\necho no licence today >&2\nexit 3\n',
        ),
        restarts=True,
    ),
    # What the server's gate says.
    Row(
        "binary that dies after 2 s",
        "nats_gate",
        ("but not for as long as it was watched",),
        broken=dying_binary,
        restarts=True,
    ),
    Row(
        "a reload that the server refuses",
        "nats_gate",
        ("reload", "server_name"),
        Wanted(raw="server_name: another\n", action="reload"),
        sample=True,
    ),
    Row("monitoring that hangs", "nats_gate", ("no whole answer",), broken=hanging_monitoring),
    Row(
        "monitoring that answers garbage",
        "nats_gate",
        ("JSON",),
        broken=lambda _host: other_monitoring({"/varz": Reply(b"<html>It works!</html>")}),
    ),
    Row(
        "monitoring of another server",
        "nats_gate",
        ("server_name: expected faults, found rosey_nats_test",),
        broken=lambda _host: other_monitoring({}),
    ),
    # What the bot's gate says.
    Row(
        "bot that does not come back",
        "bot_gate",
        ("quotes", "rosey.dev.commands.addquote"),
        Wanted(plugins=plugin(config={**QUOTES["config"], "database": "/proc/quotes.db"})),
    ),
    Row("bot on another server", "bot_gate", ("rosey-bot-development",), broken=second_server),
    Row(
        "bot that misses one subscription",
        "bot_gate",
        ("rosey.dev.commands.delquote", "quotes"),
        Wanted(raw=DENIED),
        restarts=True,
    ),
]


def rows(given: list[Any]) -> list[Any]:
    """Give pytest's parameters, the seeded ones marked."""
    return [pytest.param(row, id=row.name, marks=[pytest.mark.sample] if row.sample else []) for row in given]


def described(host: Host, wanted: Wanted) -> Wanted:
    """Give a deployment that differs from the present one, with this host's own paths."""
    config = json.loads(json.dumps(wanted.config).replace("{directory}", str(host.directory)))
    changes = {"max_connections": next(NEXT), **config}
    return Wanted(**{**wanted.__dict__, "config": changes})


@pytest.mark.parametrize("row", rows(ROWS))
def test_a_fault(host: Host, publisher: Publisher, tell: Tell, row: Row) -> None:
    before, server = host.served(), host.varz()["server_id"]
    release = (host.releases / "current").read_text()
    with publisher.watch() as seen:
        with row.broken(host) as broken, pytest.raises(FailedError) as failed:
            host.deploy(described(host, broken or row.wanted))
        said = failed.value.says
        assert failed.value.module == row.fails, said
        assert not [part for part in row.expected if part not in said], said
        assert "Traceback" not in said
        after = host.served()
        assert after == before
        assert (host.varz()["server_id"] == server) is not row.restarts
        assert (host.releases / "current").read_text() == release
        mended = good()
        host.deploy(mended)
        assert host.varz()["max_connections"] == mended.config["max_connections"]
        assert (host.releases / "current").read_text() != release
    assert seen.lost == []
    runs = "what it had, restarted" if row.restarts else "what it had"
    tell(row.name, said.splitlines()[0].replace(str(host.directory), ""), runs, seen.gap)


# What stands in a file's place, by whoever put it there.
@pytest.mark.parametrize(
    ("place", "make"),
    [
        pytest.param(lambda host: host.config_file, lambda path: path.symlink_to("/dev/null"), id="link"),
        pytest.param(lambda host: host.config_file, Path.mkdir, id="directory"),
        pytest.param(lambda host: host.environment / "plugins" / "quotes.yaml", Path.mkdir, id="plugin's directory"),
    ],
)
def test_what_stands_in_the_place_of_a_file_is_kept_beside_it(
    host: Host, publisher: Publisher, place: Callable[[Host], Path], make: Callable[[Path], object]
) -> None:
    path, server, wanted = place(host), host.varz()["server_id"], good()
    before = set(path.parent.iterdir())
    with publisher.watch() as seen:
        path.unlink()
        make(path)
        host.deploy(wanted)
        assert path.is_file()
        assert not path.is_symlink()
        (aside,) = {each for each in path.parent.iterdir() if each not in before}
        assert aside.name.startswith(path.name)
        assert host.varz()["max_connections"] == wanted.config["max_connections"]
        assert host.varz()["server_id"] == server
    assert seen.lost == []
    aside.unlink() if aside.is_symlink() else aside.rmdir()


def rewritten(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    """Change what a sealed file says, and leave its seal as it is or make it anew."""

    def rewrite(path: Path) -> None:
        whole = json.loads(path.with_name(f"{path.name}.away").read_text())
        change(whole)
        path.write_text(json.dumps(whole) + "\n")

    return rewrite


def sealed_anew(body: dict[str, Any]) -> Callable[[Path], object]:
    return lambda path: atomic_file.write(path, body)


def renamed(whole: dict[str, Any]) -> None:
    whole["body"]["id"] = "20200101T000000Z-000000"
    whole["sha256"] = atomic_file.sha256(atomic_file.canonical(whole["body"]))


def open_to_all(path: Path) -> None:
    shutil.copy(path.with_name(f"{path.name}.away"), path)
    path.chmod(0o666)


def of_another(path: Path) -> None:
    shutil.copy(path.with_name(f"{path.name}.away"), path)
    os.chown(path, 12345, 12345)


# What stands in the place of the current release's record, and why it is not trusted.
RECORDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (lambda path: path.write_text('{"format": 1, "sha'), "truncated"),
    "empty": (Path.touch, "truncated"),
    "no JSON": (lambda path: path.write_text("{banana}\n"), "no JSON"),
    "changed by hand": (rewritten(lambda whole: whole["body"].update(time="2020-01-01T00:00:00Z")), "checksum"),
    "another format": (rewritten(lambda whole: whole.update(format=2)), "unknown format 2"),
    "no release": (sealed_anew({"a": 1}), "wrong type"),
    "another id inside": (rewritten(renamed), "wrong id inside"),
    "a link": (lambda path: path.symlink_to(f"{path}.away"), "symlink"),
    "a directory": (Path.mkdir, "wrong type"),
    "others may write": (open_to_all, "mode 0666 lets others write to it"),
    "another's": (of_another, "belongs to 12345"),
}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.sample] if kind == "changed by hand" else []) for kind in RECORDS]
)
def test_a_damaged_record_is_named_and_never_applied(host: Host, publisher: Publisher, tell: Tell, kind: str) -> None:
    damage, reason = RECORDS[kind]
    before, server = host.served(), host.varz()["server_id"]
    current = (host.releases / "current").read_text().strip()
    record = host.releases / "releases" / f"{current}.json"
    with publisher.watch() as seen:
        with file_instead(record, damage):
            found = host.module("nats_release_info", release_dir=str(host.releases))
            assert [item["name"] for item in found["damaged"] if reason in item["reason"]] == [record.name]
            assert found["current"] is None
            with pytest.raises(FailedError) as failed:
                host.go_back(current)
            assert f"{current} is damaged ({reason}" in failed.value.says
            assert (host.served(), host.varz()["server_id"]) == (before, server)
            release = host.deploy(good())
            assert release > current
        assert host.module("nats_release_info", release_dir=str(host.releases))["current"] == release
        # only the pointer names another one
        assert (host.releases / "current").read_text().strip() == release
    assert seen.lost == []
    tell(f"record: {kind}", failed.value.says, "what it had", seen.gap)


@pytest.mark.parametrize("text", ["20200101T000000Z-000000\n", "../../etc/passwd\n", ""], ids=["lost", "path", "empty"])
def test_a_damaged_pointer_is_named(host: Host, publisher: Publisher, tell: Tell, text: str) -> None:
    server = host.varz()["server_id"]
    pointer = host.releases / "current"
    with publisher.watch() as seen:
        pointer.write_text(text)
        found = host.module("nats_release_info", release_dir=str(host.releases))
        assert [item["name"] for item in found["damaged"]] == ["current"]
        with pytest.raises(FailedError) as failed:
            host.module("nats_release_info", release_dir=str(host.releases), select="current")
        release = host.deploy(good())
        found = host.module("nats_release_info", release_dir=str(host.releases))
        assert (found["damaged"], found["current"]) == ([], release)
        assert host.varz()["server_id"] == server
    assert seen.lost == []
    tell(f"pointer: {text.strip() or 'empty'}", failed.value.says, "what it had", seen.gap)
