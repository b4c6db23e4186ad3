# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes and sockets as /proc shows them; test_process_runtime.py runs whole servers."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rosey.nats.plugins.module_utils._host import background, process, redaction, sockets, system

BINARY = Path("/opt/nats-server/2.10.7/nats-server")
CONFIG = Path("/etc/nats/nats-server.conf")
PID_FILE = Path("/run/nats-server.pid")
SERVER = background.Server(BINARY, CONFIG, PID_FILE)
HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


@pytest.mark.parametrize(
    ("name", "state"), [("nats-server", "S"), ("a b", "R"), ("a) S 1 (b", "Z"), ("((", "S"), ("))", "D"), ("\n", "S")]
)
def test_parse_stat(name: str, state: str) -> None:
    fields = [state, *(str(number) for number in range(4, 53))]
    assert process.parse_stat(f"4711 ({name}) {' '.join(fields)}\n") == (state, 22)


@pytest.mark.parametrize("text", ["", "4711 (sleep) S 1 2", "x"])
def test_what_is_no_stat(text: str) -> None:
    with pytest.raises(ValueError, match="no text of"):
        process.parse_stat(text)


def test_the_state_of_a_process_and_of_its_threads() -> None:
    assert process.state(Path("/proc/self")) == "R"
    assert process.state(Path(f"/proc/self/task/{threading.get_native_id()}")) == "R"
    assert process.state(Path("/proc/0")) == ""


def test_who_wrote_a_file_owns_it(tmp_path: Path) -> None:
    assert process.owner(tmp_path) == os.geteuid()
    assert process.owner(tmp_path / "gone") is None


@pytest.mark.parametrize(
    ("number", "owner", "seconds", "expected"),
    [
        (0, 0, 0, True),
        (0, 0, -60, False),  # of an earlier process, whose number this one was given
        (0, 0, 60, False),  # a copy of another program's pid file
        (1, 0, 0, False),
        (0, 1, 0, False),
    ],
)
def test_a_pid_file_names_the_process_that_it_was_written_for(
    tmp_path: Path, number: int, owner: int, seconds: int, *, expected: bool
) -> None:
    pid_file = tmp_path / "pid"
    with subprocess.Popen(["sleep", "60"]) as started:
        found = process.read(started.pid)
        assert found is not None
        assert not found.is_noted_since_its_start(pid_file)
        pid_file.write_text(f"{started.pid + number}\n")
        os.utime(pid_file, (pid_file.stat().st_mtime + seconds,) * 2)
        assert replace(found, uid=found.uid + owner).is_noted_since_its_start(pid_file) is expected
        started.kill()


def hexadecimal(text: str) -> str:
    packed = ipaddress.ip_address(text).packed
    words = [packed[start : start + 4] for start in range(0, len(packed), 4)]
    return "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)


def line(address: str, port: int, state: str = "0A", uid: int = 1000, inode: int = 4242) -> str:
    rest = f"00000000:00000000 00:00000000 00000000  {uid}        0 {inode} 1 0000000000000000 100 0 0 10 0"
    return f"   0: {hexadecimal(address)}:{port:04X} {hexadecimal(address)}:0000 {state} {rest}\n"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("", []),
        (line("127.0.0.1", 4222), [("127.0.0.1", 4222, 1000, 4242)]),
        (line("0.0.0.0", 65535, uid=0, inode=1), [("0.0.0.0", 65535, 0, 1)]),
        (line("::", 4222), [("::", 4222, 1000, 4242)]),
        (line("::1", 4222), [("::1", 4222, 1000, 4242)]),
        (line("2001:db8::17", 8222), [("2001:db8::17", 8222, 1000, 4242)]),
        (line("::ffff:10.1.2.3", 4222), [("10.1.2.3", 4222, 1000, 4242)]),
        (line("127.0.0.1", 4222, state="01") + line("127.0.0.1", 4222, state="06"), []),
        (
            line("127.0.0.1", 1, state="01") + line("10.0.0.1", 2) + line("10.0.0.2", 3),
            [("10.0.0.1", 2, 1000, 4242), ("10.0.0.2", 3, 1000, 4242)],
        ),
    ],
)
def test_parse_listening(lines: str, expected: list[tuple[str, int, int, int]]) -> None:
    found = sockets.parse_listening(HEADER + lines)
    assert [(str(each.address), each.port, each.uid, each.inode) for each in found] == expected


def test_parse_listening_of_a_recorded_line() -> None:
    localhost = {"little": "0100007F", "big": "7F000001"}[sys.byteorder]
    text = (
        f"   0: {localhost}:107E 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 19211 1 0 100\n"
    )
    (found,) = sockets.parse_listening(HEADER + text)
    assert (str(found.address), found.port, found.uid, found.inode) == ("127.0.0.1", 4222, 999, 19211)


@given(st.ip_addresses(), st.integers(0, 65535))
def test_every_address_is_read_back(address: sockets.Address, port: int) -> None:
    (found,) = sockets.parse_listening(HEADER + line(str(address), port))
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    assert (found.address, found.port) == (mapped or address, port)


@pytest.mark.parametrize(
    ("wanted", "taken", "conflict"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "0.0.0.0", True),
        ("127.0.0.1", "::", True),
        ("0.0.0.0", "127.0.0.1", True),
        ("0.0.0.0", "10.0.0.1", True),
        ("0.0.0.0", "::1", True),
        ("::", "127.0.0.1", True),
        ("::1", "::1", True),
        ("::1", "::", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1", "10.0.0.1", False),
        ("127.0.0.1", "::1", False),
        ("::1", "127.0.0.1", False),
    ],
)
def test_conflicts(wanted: str, taken: str, conflict: bool) -> None:
    held = sockets.Socket(ipaddress.ip_address(taken), 4222, 0, 1)
    assert sockets.conflicts(ipaddress.ip_address(wanted), 4222, held) is conflict
    assert not sockets.conflicts(ipaddress.ip_address(wanted), 4223, held)


@pytest.mark.parametrize(
    ("executable", "arguments", "uid", "message"),
    [
        ("/opt/nats-server/2.10.7/nats-server", ["-c", str(CONFIG)], 1000, ""),
        ("/opt/nats-server/2.11.0/nats-server", ["-c", str(CONFIG)], 1000, ""),
        ("/usr/bin/nats-server", ["-c", str(CONFIG)], 1000, "runs /usr/bin/nats-server, not"),
        ("/opt/nats-server/2.10.7/other", ["-c", str(CONFIG)], 1000, "runs /opt/nats-server/2.10.7/other, not"),
        ("/usr/bin/sleep", ["-c", str(CONFIG)], 1000, "runs /usr/bin/sleep, not"),
        (str(BINARY), ["-c", "/etc/nats/other.conf"], 1000, f"was not started with {CONFIG}"),
        (str(BINARY), [], 1000, f"was not started with {CONFIG}"),
        (str(BINARY), ["-t", "-c", str(CONFIG)], 1000, f"was not started with {CONFIG}"),
        (str(BINARY), ["--signal", "reload", "-c", str(CONFIG)], 1000, f"was not started with {CONFIG}"),
        (str(BINARY), ["-c", str(CONFIG)], 4_000_000, "runs as 4000000, not as"),
    ],
)
def test_mismatch(executable: str, arguments: list[str], uid: int, message: str) -> None:
    found = process.Process(4711, uid, Path(executable), ("nats-server", *arguments), 1)
    said = background.mismatch(found, SERVER, 1000)
    assert (message in said) if message else not said
    assert said.startswith("process 4711 ") or not said


def test_a_removed_link_does_not_hide_what_was_started_with_it() -> None:
    found = process.Process(4711, 0, Path("/lib/2.9.1/nats-server"), SERVER.command, 1)
    assert background.mismatch(found, SERVER, 0) == ""
    other = process.Process(4711, 0, Path("/usr/bin/sleep"), SERVER.command, 1)
    assert "runs /usr/bin/sleep" in background.mismatch(other, SERVER, 0)


def test_mismatch_follows_the_link(tmp_path: Path) -> None:
    link = tmp_path / "nats-server"
    link.symlink_to(BINARY)
    server = background.Server(link, CONFIG, PID_FILE)
    for executable in (BINARY, BINARY.parent.parent / "2.9.1" / "nats-server", link):
        found = process.Process(4711, 0, executable, server.command, 1)
        assert background.mismatch(found, server, 0) == ""


SEED = "SUACBNSFZQ5DMHKUMBNMIPSZ3XGYOQ4DKFJHWDOYD2PZC36RBZ3XLBZKPE"
BCRYPT = "$2a$11$PWIFAL8RsWyGI3jVZtO9Nu8.6jOxzxfZo7c/W0eLk017hjgUKWrhy"


@pytest.mark.parametrize(
    ("text", "secrets", "expected"),
    [
        ("nothing here", [], "nothing here"),
        ("user said hunter2 twice: hunter2", ["hunter2"], "user said ******** twice: ********"),
        ("ab abc", ["ab", "abc"], "******** ********"),
        ("text", [""], "text"),
        ("got map[password:hun ter2 user:rosey]", [], "got map[password:********"),
        ('got {"pass": "a"}\n"token"= b', [], 'got {"pass": ********\n"token"= ********'),
        (r'(snip: "{\"pass\": \"a\"...', [], r'(snip: "{\"pass\": ********'),
        ('unknown field "password"', [], 'unknown field "password"'),
        ('route ["nats://rosey:hunter2@10.0.0.1:6222"]', [], 'route ["nats://********@10.0.0.1:6222"]'),
        ('parse "nats://rosey:hun ter/2@host": bad', [], 'parse "nats://********@host": bad'),
        (f"seed {SEED}.", [], "seed ********."),
        (f"hash {BCRYPT}", [], "hash ********"),
        ("variable reference for '2b$11$abc' on line 3", [], "variable reference for '********' on line 3"),
        ("variable reference for 'NATS_PASSWORD' on line 3", [], "variable reference for 'NATS_PASSWORD' on line 3"),
        ("variable reference for 'ecret' can not be found", [], "variable reference for '********' can not be found"),
        ("jwt eyJ0eXAi.eyJqdGkiOi.abc-_9", [], "jwt ********"),
        ("nats-server -c f --user rosey --pass hun ter2 -x\nend", [], "nats-server -c f --user ********\nend"),
        ("nats-server -js -pass=hunter2 -c f", [], "nats-server -js -pass=********"),
        ("nats-server --auth -hunter2", [], "nats-server --auth ********"),
        ("nats-server -routes=nats://u:hunter2@h:1", [], "nats-server -routes=********"),
        ("nats-server --user_credentials f --passive", [], "nats-server --user_credentials f --passive"),
    ],
)
def test_redact(text: str, secrets: list[str], expected: str) -> None:
    assert redaction.redact(text, secrets) == expected


def test_to_redact_a_long_word_takes_no_square_of_its_length() -> None:
    started = time.process_time()
    assert redaction.redact("x" * 50_000) == "x" * 50_000
    assert time.process_time() - started < 1


@given(st.text(min_size=1).filter(lambda text: text not in redaction.HIDDEN), st.text(), st.text())
def test_no_known_secret_is_left(secret: str, before: str, after: str) -> None:
    assert secret not in redaction.redact(before + secret + after, [secret]).replace(redaction.HIDDEN, "\0")


@contextmanager
def listening(host: str, port: int = 0, *, v6only: bool = True) -> Iterator[int]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as server:
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
        server.bind((host, port))
        server.listen()
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    ("held", "v6only", "wanted", "is_taken"),
    [
        ("127.0.0.1", True, "127.0.0.1", True),
        ("127.0.0.1", True, "localhost", True),
        ("127.0.0.1", True, "0.0.0.0", True),
        ("127.0.0.1", True, "::", True),
        ("127.0.0.1", True, "127.0.0.2", False),
        ("127.0.0.1", True, "::1", False),
        ("0.0.0.0", True, "127.0.0.1", True),
        ("0.0.0.0", True, "::1", False),
        ("::", False, "127.0.0.1", True),
        ("::", False, "::1", True),
        ("::", True, "127.0.0.1", False),
        ("::", True, "0.0.0.0", True),
        ("127.0.0.1", True, "no-such-host.invalid", False),
    ],
)
def test_taken(held: str, v6only: bool, wanted: str, is_taken: bool) -> None:
    with listening(held, v6only=v6only) as port:
        found = sockets.taken([(wanted, port)])
        assert bool(found) is is_taken
        assert sockets.taken([(wanted, port)], [os.getpid()]) == []
        if found:
            assert found[0].holder.pids == (os.getpid(),)
            assert str(found[0]).startswith(f"{wanted}:{port} is taken: ")
            assert f"(process {os.getpid()} of user " in str(found[0])
    assert sockets.taken([(wanted, port)]) == []


def test_who_listens_may_be_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "pids", list)
    with listening("127.0.0.1") as port:
        (found,) = sockets.taken([("127.0.0.1", port)])
    assert found.holder.pids == ()
    assert "a process of user " in str(found)
    assert f"which this user may not see, listens on 127.0.0.1:{port}" in str(found)
    with pytest.raises(background.ProcessError, match=rf"127\.0\.0\.1:{port} is taken: .*Stop what holds it"):
        raise_where_taken(port)


def raise_where_taken(port: int) -> None:
    with listening("127.0.0.1", port):
        background.check_free([("127.0.0.1", port)])


@pytest.mark.parametrize(
    ("address", "pids", "said"),
    [
        ("127.0.0.1", (12, 13), "sshd (process 12 of user rosey) listens on 127.0.0.1:4222"),
        ("::1", (12,), "sshd (process 12 of user rosey) listens on [::1]:4222"),
        ("0.0.0.0", (), "a process of user rosey, which this user may not see, listens on 0.0.0.0:4222"),
    ],
)
def test_a_listener_in_words(address: str, pids: tuple[int, ...], said: str) -> None:
    held = sockets.Socket(ipaddress.ip_address(address), 4222, 1000, 1)
    assert str(sockets.Listener(held, "rosey", pids, "sshd" if pids else "")) == said


def test_an_owner_without_a_name_is_a_number() -> None:
    assert system.user_name(4_000_000) == "4000000"


@contextmanager
def sleeping(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["/bin/sleep", "60", *arguments]) as child:
        try:
            yield child
        finally:
            child.kill()


def test_read() -> None:
    found = process.read(os.getpid())
    assert found
    assert (found.pid, found.uid) == (os.getpid(), os.geteuid())
    assert found.executable == Path(sys.executable).resolve()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found.started_at)


def test_a_program_that_begins_to_run_is_seen_with_its_own_command_line_or_not_at_all() -> None:
    for _start in range(50):
        with subprocess.Popen(["/bin/sh", "-c", "exec /bin/sleep 60"]) as child:
            seen = None
            while seen is None or seen.executable.name != "sleep":
                seen = process.read(child.pid)
            child.kill()
            assert seen.command == ("/bin/sleep", "60")


def test_one_that_goes_from_program_to_program_is_never_seen_as_two(tmp_path: Path) -> None:
    scripts = {"bash": tmp_path / "of_bash", "dash": tmp_path / "of_dash"}
    for name, other in (("bash", "dash"), ("dash", "bash")):
        scripts[name].write_text(f"exec /bin/{other} {scripts[other]}\n")
    seen = set()
    with subprocess.Popen(["/bin/dash", scripts["dash"]]) as child:
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            if found := process.read(child.pid):
                seen.add((found.executable.name, Path(found.command[0]).name))
        child.kill()
    assert seen == {("bash", "bash"), ("dash", "dash")}


def test_what_has_ended_is_not_there() -> None:
    with subprocess.Popen(["/bin/true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert Path(f"/proc/{child.pid}").exists()  # as a zombie
        assert process.read(child.pid) is None
    assert process.read(child.pid) is None


@pytest.mark.parametrize("content", ["", "x", "-1", "0", "99999999999", "1", "\xff"])
def test_a_pid_file_of_anything_else_is_a_leftover(tmp_path: Path, content: str) -> None:
    server = background.Server(BINARY, CONFIG, tmp_path / "pid")
    server.pid_file.write_text(content, encoding="latin-1")
    assert background.find(server) is None


def has_pidfd(monkeypatch: pytest.MonkeyPatch) -> None:
    assert monkeypatch


def has_no_pidfd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)


def may_not_use_pidfd(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "pidfd_open", refuse, raising=False)


PIDFD = pytest.mark.parametrize("system", [has_pidfd, has_no_pidfd, may_not_use_pidfd])


@contextmanager
def holding(child: subprocess.Popen[bytes]) -> Iterator[background.Hold]:
    found = process.read(child.pid)
    assert found
    descriptor = process.handle_of(found)
    yield background.Hold(found, descriptor)
    if descriptor is not None:
        os.close(descriptor)


@PIDFD
def test_a_held_process_is_signalled_and_waited_for(
    monkeypatch: pytest.MonkeyPatch, system: Callable[[pytest.MonkeyPatch], None]
) -> None:
    system(monkeypatch)
    with sleeping() as child, holding(child) as held:
        assert not held.wait(0.01)
        held.send(signal.SIGTERM)
        assert held.wait(5)
        child.wait()
        held.send(signal.SIGTERM)  # to nobody, and without a complaint
        assert held.wait(0)
        assert child.returncode == -signal.SIGTERM


def test_another_process_with_the_same_number_gets_no_signal() -> None:
    with sleeping() as child:
        now = process.read(child.pid)
        assert now
        before = process.Process(now.pid, now.uid, now.executable, now.command, now.started - 1)
        background.Hold(before, None).send(signal.SIGKILL)
        assert background.Hold(before, None).wait(0)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.05)


@pytest.mark.parametrize("gone", [False, True])
def test_a_process_that_changes_hands_is_not_held(monkeypatch: pytest.MonkeyPatch, gone: bool) -> None:
    with sleeping() as child:
        now = process.read(child.pid)
        assert now
        then = process.Process(now.pid, now.uid, now.executable, now.command, now.started - 1)
        monkeypatch.setattr(background, "find", lambda server: None if gone else then)
        with background.hold(SERVER) as held:
            assert held is None


def test_check_files_names_what_is_missing(tmp_path: Path) -> None:
    binary, config = tmp_path / "nats-server", tmp_path / "nats-server.conf"
    server = background.Server(binary, config, tmp_path / "run" / "pid")
    for path, message in (
        (binary, f"binary {binary} is no file"),
        (config, f"config_file {config} is no file"),
        (tmp_path / "run" / "x", f"pid_file {server.pid_file}: its directory is not there"),
        (tmp_path / "out" / "x", f"output {tmp_path}/out/x: its directory is not there"),
    ):
        with pytest.raises(background.ProcessError, match=re.escape(message)):
            background.check_files(server, tmp_path / "out" / "x")
        path.parent.mkdir(exist_ok=True)
        path.touch()
    background.check_files(server, tmp_path / "out" / "x")


def test_note_replaces_the_pid_file(tmp_path: Path) -> None:
    server = background.Server(BINARY, CONFIG, tmp_path / "pid")
    for pid in (12, 4711):
        background.note(server, pid)
        assert background.is_noted(server, pid)
        assert server.pid_file.read_text() == f"{pid}\n"
    assert [each.name for each in tmp_path.iterdir()] == ["pid"]
    with pytest.raises(background.ProcessError, match="pid_file /proc/nowhere/pid can't be written"):
        background.note(background.Server(BINARY, CONFIG, Path("/proc/nowhere/pid")), 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x7fELF nothing", "is built for no architecture"),
        (
            b"#!/bin/sh\necho started; echo nats://rosey:hunter2@host; exit 3\n",
            "ended with 3 while it started: started",
        ),
        (b"#!/bin/sh\nexit 0\n", "ended with 0 while it started: it wrote nothing"),
        (b"#!/bin/sh\nkill -SEGV $$\n", "ended with -11 while it started"),
        (b"#!/bin/sh\nseq 1 100\n", "81\n82\n"),
    ],
)
def test_a_start_that_fails_says_what_was_said(tmp_path: Path, content: bytes, message: str) -> None:
    server = background.Server(tmp_path / "nats-server", tmp_path / "config", tmp_path / "pid")
    server.binary.write_bytes(content)
    server.binary.chmod(0o755)
    (tmp_path / "out").write_text("said before\n")
    with pytest.raises(background.ProcessError) as error:
        background.start(server, tmp_path / "out", [], seconds=5)
    assert message in str(error.value)
    assert "hunter2" not in str(error.value)
    assert "before" not in str(error.value)
    assert "\n80\n" not in str(error.value)
    assert not server.pid_file.exists()


def test_what_outlives_gives_its_result_or_its_reason() -> None:
    def fail() -> None:
        raise background.ProcessError("port 4222 is taken")

    assert background.outlive(lambda: (os.getpid() != os.getppid(), SERVER)) == (True, SERVER)
    with pytest.raises(background.ProcessError, match="port 4222 is taken"):
        background.outlive(fail)
    with pytest.raises(background.ProcessError, match="ended before it was done"):
        background.outlive(lambda: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(background.ProcessError, match="KeyError: 'x'"):
        background.outlive(lambda: dict[str, int]()["x"])


def test_what_outlives_goes_on_when_its_process_is_killed(tmp_path: Path) -> None:
    done, lock = tmp_path / "done", tmp_path / "lock"

    def act() -> None:
        (tmp_path / "begun").touch()
        time.sleep(0.3)
        done.touch()

    module = os.fork()
    if module == 0:
        descriptor = os.open(lock, os.O_CREAT | os.O_RDWR)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        background.outlive(act)
        os._exit(0)
    for _pause in background._pauses(5):
        if (tmp_path / "begun").exists():
            break
    os.kill(module, signal.SIGKILL)
    os.waitpid(module, 0)
    assert not done.exists()
    with lock.open("r+") as other:
        # Who waits for the lock waits for it, too.
        fcntl.flock(other, fcntl.LOCK_EX)
    assert done.exists()


def test_what_an_earlier_program_wrote_is_not_taken_for_the_words_of_this_one(tmp_path: Path) -> None:
    output, pid_file = tmp_path / "out", tmp_path / "pid"
    output.write_text("of a version that wrote nothing else\n")
    for script, said in (("printf first; exec sleep 60", "first"), ("exec sleep 60", "")):
        bot = background.Bot(("/bin/sh", "-c", script), pid_file)
        running = background.start(bot, output, [], seconds=0.3)
        os.kill(running.pid, signal.SIGKILL)
        assert background.last_lines(output) == said
    assert output.read_text().splitlines().count("first") == 1


def test_a_full_disk_keeps_no_program_from_its_start(tmp_path: Path) -> None:
    """Between its stop and its start a program is down; what it writes is another matter."""
    bot = background.Bot(("/bin/sleep", "60"), tmp_path / "pid")
    running = background.start(bot, Path("/dev/full"), [], seconds=0.3)
    os.kill(running.pid, signal.SIGKILL)
    assert running.command == bot.command


def test_output_that_can_not_be_written(tmp_path: Path) -> None:
    server = background.Server(Path("/bin/true"), tmp_path / "config", tmp_path / "pid")
    with pytest.raises(background.ProcessError, match="output /proc/nowhere can't be written"):
        background.start(server, Path("/proc/nowhere"), [], seconds=5)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("-c /n.conf", "/n.conf"),
        ("--c /n.conf", "/n.conf"),
        ("-config /n.conf", "/n.conf"),
        ("--config /n.conf", "/n.conf"),
        ("-c=/n.conf", "/n.conf"),
        ("--config=n=1.conf", "n=1.conf"),
        ("-D -c /n.conf -m 8222", "/n.conf"),
        ("-c /one.conf -c /two.conf", "/two.conf"),
        ("-cluster nats://h:1", None),
        ("--connect_retries 3", None),
        ("-c", None),
        ("", None),
    ],
)
def test_the_configuration_of_a_command_line(arguments: str, expected: str | None) -> None:
    assert process.config_argument(["/usr/local/bin/nats-server", *arguments.split()]) == expected


def test_what_may_not_be_seen_is_read_from_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: Path) -> Path:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "readlink", forbidden)
    assert process.read(os.getpid()) is None
    found = process.read(os.getpid(), by_command=True)
    assert found is not None
    assert found.executable == Path(os.path.realpath(found.command[0]))
    assert process.read(0, by_command=True) is None


def test_an_address_of_a_process_that_may_not_be_seen_is_its_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "_holders", lambda _pids: defaultdict(list))
    with socket.create_server(("127.0.0.1", 0)) as held:
        endpoint = held.getsockname()
        assert sockets.taken([endpoint], [os.getpid()]) == []
        assert [each.port for each in sockets.taken([endpoint])] == [endpoint[1]]
        monkeypatch.setattr(sockets, "_owners", lambda _pids: [os.geteuid() + 1])
        assert [each.port for each in sockets.taken([endpoint], [os.getpid()])] == [endpoint[1]]


@pytest.mark.parametrize(("touched", "older"), [("before", False), ("after", True)])
def test_a_time_that_is_yet_to_come_counts_as_of_when_it_was_set(tmp_path: Path, touched: str, older: bool) -> None:
    file, tomorrow = tmp_path / "file", time.time() + 86400

    def touch() -> None:
        file.touch()
        os.utime(file, (tomorrow, tomorrow))
        time.sleep(0.2)

    if touched == "before":
        touch()
    with subprocess.Popen(["sleep", "60"]) as child:
        running = process.read(child.pid)
        time.sleep(0.2)
        if touched == "after":
            touch()
        assert running
        assert running.is_older_than(file) is older
        child.kill()
