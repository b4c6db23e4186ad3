# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a host holds and its server answers: whole modules end with a result or a sentence of ours.

FUZZ_CASES says how many hosts there are, one for 125 damaged samples of a reader; FUZZ_SEED which.
"""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._data import asset_record, store, store_tree
from ansible_collections.rosey.nats.plugins.module_utils._deploy import lease
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file
from ansible_collections.rosey.nats.plugins.module_utils._server import archive, go_build, programs
from ansible_collections.rosey.nats.tests.fuzz import damage, samples
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import BOT, FakeMonitoring, Reply, fake_monitoring

HOSTS = max(10, int(os.environ.get("FUZZ_CASES", "5000")) // 125)
SEED = int(os.environ.get("FUZZ_SEED", "1"))
LONGEST_SECONDS = 30.0

RunModule = Callable[..., dict[str, Any]]

CLAIM = {"controller": "here-1", "pid": 4711, "started": "100"}
STREAM = {"account": "$G", "name": "CHAT"}
# What stands for systemd: it tells what a file says, and does nothing.
PROGRAMS = {
    "systemctl": 'case "$1" in show) cat "{directory}/unit" ;; esac',
    "journalctl": 'cat "{directory}/journal"',
    "systemd-run": "true",
    "go": 'cat "{directory}/journal"',
}


@dataclass(frozen=True)
class Run:
    """A module, with what it is asked."""

    module: str
    arguments: dict[str, Any]
    check_mode: bool = False


class Host:
    """A directory that stands for a host under the process runtime, with all that modules read of it."""

    def __init__(self, root: Path, free_port: Callable[[], int], monitoring: FakeMonitoring) -> None:
        self.root, self.monitoring = root, monitoring
        self.config_file, self.releases = root / "nats-server.conf", root / "releases"
        self.bot, self.copy = root / "bot", self.releases / "stores" / "2.10.7-20261126T130035Z"
        self.archive = root / "cache" / programs.release_name("2.10.7", programs.find_architecture("x86_64"))
        self.programs = root.with_name("programs")
        self.programs.mkdir()
        for name, script in PROGRAMS.items():
            (self.programs / name).write_text(f"#!/bin/sh\n{script.format(directory=self.programs)}\n")
            (self.programs / name).chmod(0o755)
        self.config = (
            f"host: 127.0.0.1\nport: {free_port()}\nhttp_port: {monitoring.url.rpartition(':')[2]}\n"
            f'log_file: "{root}/nats.log"\npid_file: "{root}/server.pid"\n'
            f'jetstream {{ store_dir: "{root}/store", max_mem: 64M, max_file: 128M }}\n'
        )
        # what nats_plan tells of a port that is taken would hide the rest
        self.described = self.config.replace(monitoring.url.rpartition(":")[2], str(free_port()))

    def restore(self) -> None:
        """Put everything in its place."""
        shutil.rmtree(self.root)
        files = {
            self.config_file: self.config.encode(),
            self.root / "pid": b"4242\n",
            self.root / "server.pid": b"4242\n",
            self.root / "nats.log": samples.LOG,
            self.root / "lib" / "2.10.7" / "nats-server": b"\x7fELF",
            self.root / "lib" / "2.10.7" / archive.VERIFIED: json.dumps(samples.VERIFIED).encode(),
            self.releases / "current": f"{samples.RELEASE}\n".encode(),
            self.bot / "bot.pid": b"4242\n",
            self.bot / "environments" / "production" / "config.yaml": samples.BOT_FILES[0],
            self.bot / "environments" / "production" / "secrets.env": samples.VARIABLES,
            self.bot / "environments" / "production" / "plugins" / "quotes.yaml": b"subscriptions: [a.b]\n",
            self.bot / "logs" / "plugins" / "quotes.log": samples.LOG,
            self.copy / store.FACTS: json.dumps({**samples.FACTS, "path": str(self.copy)}).encode(),
        }
        bodies = {
            self.releases / "releases" / f"{samples.RELEASE}.json": self._record(),
            self.releases / asset_record.PROVEN: {"time": "2026-11-26T13:00:35Z", "assets": samples.TABLE},
            self.releases / "checkpoint.json": samples.CHECKPOINT,
            self.releases / lease.NAME: samples.LEASE,
        }
        stream = self.root / "store" / "jetstream" / "$G" / "streams" / "CHAT"
        files |= {stream / name: content for name, content in samples.STORE.items()}
        kept = self.copy / store_tree.DATA / "$G" / "streams" / "CHAT"
        files |= {kept / name: content for name, content in samples.STORE.items()}
        for path, body in bodies.items():
            whole = {
                "format": atomic_file.FORMAT,
                "sha256": atomic_file.sha256(atomic_file.canonical(body)),
                "body": body,
            }
            files[path] = f"{atomic_file.canonical(whole)}\n".encode()
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o600)
        binary = self.root / "lib" / "2.10.7" / "nats-server"
        (self.root / "nats-server").symlink_to(binary)
        self.archive.parent.mkdir()
        go_build.pack(self.archive, "release", {"nats-server": binary})
        checksum = archive.sha256(self.archive)
        record = f"# h1:sum= built by go1.26.8 (/usr/bin/go)\n{checksum}  {self.archive.name}\n"
        self.archive.with_name(f"{self.archive.name}.sha256").write_text(record)

    def _record(self) -> dict[str, Any]:
        record: dict[str, Any] = copy.deepcopy(samples.RECORD)
        record["parts"]["server"]["entries"] = [
            {"path": str(self.config_file), "state": "file", "secret_content": self.config}
        ]
        return record

    def damage(self, luck: random.Random) -> str:
        """Damage up to three of its files, and what its server answers; say what."""
        told = []
        places = sorted(path for path in self.root.rglob("*") if path.is_file())
        for path in luck.sample(places, luck.randint(0, 3)):
            kind = luck.choice(sorted(KINDS))
            KINDS[kind](luck, path)
            told.append(f"{path.relative_to(self.root)}: {kind}")
        answers = {**samples.ANSWERS, "api/health": BOT}
        self.monitoring.answers = {f"/{name}": answer for name, answer in answers.items()}
        for name in luck.sample(sorted(answers), luck.randint(0, 3)):
            kind = luck.choice(sorted(REPLIES))
            self.monitoring.answers[f"/{name}"] = REPLIES[kind](luck, answers[name])
            told.append(f"/{name}: {kind}")
        for name, sample in (("unit", samples.UNIT), ("journal", samples.JOURNAL)):
            is_damaged = luck.random() < 0.5
            said = damage.damaged_bytes(luck, sample.encode()) if is_damaged else sample.encode()
            (self.programs / name).write_bytes(said)
            told += [f"{name}: {said!r:.100}"] if is_damaged else []
        return ", ".join(told) or "nothing"


def _content(luck: random.Random, path: Path) -> None:
    path.write_bytes(damage.damaged_bytes(luck, path.read_bytes()))


def _sealed(luck: random.Random, path: Path) -> None:
    """Write what another version may have sealed."""
    try:
        body = damage.damaged_value(luck, json.loads(path.read_bytes())["body"])
        text = {"format": atomic_file.FORMAT, "sha256": atomic_file.sha256(atomic_file.canonical(body)), "body": body}
    except (ValueError, TypeError, KeyError):
        return _content(luck, path)
    path.write_text(f"{json.dumps(text)}\n")
    return None


def _directory(_luck: random.Random, path: Path) -> None:
    path.unlink()
    path.mkdir()


def _full_directory(_luck: random.Random, path: Path) -> None:
    path.unlink()
    (path / "inner").mkdir(parents=True)


def _link(_luck: random.Random, path: Path) -> None:
    path.unlink()
    path.symlink_to("/nowhere")


def _circle(_luck: random.Random, path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _pipe(_luck: random.Random, path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _large(_luck: random.Random, path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


KINDS: dict[str, Callable[[random.Random, Path], None]] = {
    "content": _content,
    "sealed": _sealed,
    "empty": lambda _luck, path: path.write_bytes(b"") and None,
    "gone": lambda _luck, path: path.unlink(),
    "directory": _directory,
    "full directory": _full_directory,
    "link that leads nowhere": _link,
    "circle of links": _circle,
    "pipe": _pipe,
    "1 GiB": _large,
}
REPLIES: dict[str, Callable[[random.Random, Any], Reply]] = {
    "other values": lambda luck, answer: Reply(json.dumps(damage.damaged_value(luck, answer)).encode()),
    "other bytes": lambda luck, answer: Reply(damage.damaged_bytes(luck, json.dumps(answer).encode())),
    "cut off": lambda _luck, answer: Reply(json.dumps(answer).encode()[:50], announced=5000),
    "too long": lambda _luck, answer: Reply(json.dumps(answer).encode(), announced=10),
    "a page": lambda _luck, _answer: Reply(b"<html><body>It works!</body></html>"),
    "an error": lambda _luck, _answer: Reply(b"oops", status=500),
    "a redirect": lambda _luck, _answer: Reply(b"", status=302, headers={"Location": "http://127.0.0.1:1/"}),
    "nothing": lambda _luck, _answer: Reply(b""),
}


def runs(host: Host) -> list[Run]:
    """Give the modules that look at such a host, with what they are asked; the last ones change its releases."""
    entry = {"path": str(host.config_file), "state": "file", "mode": "0640", "content": host.described}
    installed = {"version": "2.10.7", "directory": str(host.root / "lib"), "link": str(host.root / "nats-server")}
    config, releases, url = str(host.config_file), str(host.releases), host.monitoring.url
    timeout = {"timeout": 1}
    asset_watch = {"monitoring_url": url, "log_file": str(host.root / "nats.log"), "data": str(host.root / "store")}
    server = {
        "binary": str(host.root / "nats-server"),
        "config_file": config,
        "pid_file": str(host.root / "pid"),
        "release_dir": releases,
        **asset_watch,
    }
    service = {"service": "nats", "release_dir": releases, **asset_watch}
    plan = {
        "runtime": "process",
        "pid_file": str(host.root / "pid"),
        **installed,
        "config_file": config,
        "release_dir": releases,
        "copies": str(host.releases / "stores"),
        "settings": {"version": "2.10.7"},
        "entries": [entry],
        "accept": ["all"],
    }
    bot_files = host.bot / "environments" / "production"
    of_bot = [
        {"path": str(bot_files / "config.yaml"), "state": "section", "key": "nats", "content": "nats:\n  name: a\n"},
        {"path": str(bot_files / "secrets.env"), "state": "variables", "secret_variables": {"NATS_USER": "a"}},
    ]
    plugins = [{"name": "quotes", "subscriptions": ["rosey.prod.commands.quote"]}]
    bot_process = {
        "command": ["/nowhere/bot"],
        "pid_file": str(host.bot / "bot.pid"),
    }
    bot_plan = {
        "home": str(host.bot),
        "release_dir": releases,
        "described": ["bot"],
        "settings": {},
        "entries": of_bot,
    }
    bus_plan = {
        "release_dir": releases,
        "accept": ["all"],
        "parts": [
            {
                "name": "server",
                "entries": [entry],
                "settings": {
                    "runtime": "process",
                    "become": False,
                    "config_file": config,
                    "pid_file": str(host.root / "pid"),
                    "monitoring_url": url,
                    **installed,
                },
            },
            {
                "name": "bot",
                "entries": of_bot,
                "settings": {
                    "home": str(host.bot),
                    "environment": "production",
                    "prefix": "rosey.prod",
                    "mode": "nats",
                    "runtime": "process",
                    "become": False,
                    "environment_file": str(bot_files / "secrets.env"),
                    "servers": ["nats://localhost:4222"],
                    "health_url": f"{url}/api/health",
                    **bot_process,
                },
            },
        ],
    }
    bot = {
        "health_url": f"{url}/api/health",
        "monitoring_url": url,
        "servers": ["nats://localhost:4222"],
        "plugins": plugins,
        "client_name": "rosey-bot-prod",
    }
    trip = {
        "round_trip": {"subject": "rosey.prod.commands.quote"},
        "python": "/nowhere/python",
        "environment_file": str(bot_files / "secrets.env"),
    }
    examined = {
        "server": {
            "binary": str(host.root / "nats-server"),
            "config_file": config,
            "pid_file": str(host.root / "pid"),
            "monitoring_url": url,
            "release_dir": releases,
        },
        "bot": {
            "environment": "production",
            "prefix": "rosey.prod",
            "home": str(host.bot),
            "health_url": f"{url}/api/health",
            "monitoring_url": url,
            "plugins": plugins,
        },
    }
    under_systemd = {name: {**each, "service": name} for name, each in examined.items()}
    copies = {"copies": str(host.releases / "stores"), "store": str(host.root / "store"), "wait": 0}
    copy = {**copies, "copy": str(host.copy)}
    built = {"version": "2.10.7", "architecture": "x86_64", "cache_dir": str(host.archive.parent)}
    packed = {"archive": str(host.archive), "checksum": _checksum(host.archive), **installed}
    claimed = {"release_dir": releases, "claim": CLAIM, "take_over": True, "idle_seconds": 0, "monitoring_url": url}
    parts = [{"name": "server", "settings": {"version": "2.10.7"}, "entries": [entry]}]
    begun = Run("nats_release", {**claimed, "state": "begun", "data": str(host.root / "store")})
    return [
        Run("nats_plan", plan),
        Run("nats_plan", {**plan, "runtime": "systemd", "service": "nats"}),
        Run("bot_plan", {**bot_plan, **bot_process, "runtime": "process"}),
        Run("bot_plan", {**bot_plan, "runtime": "systemd"}),
        Run("bus_plan", bus_plan),
        Run("bus_plan", {"release_dir": releases, "release": "current"}),
        Run("config_tree", {"entries": [entry, *of_bot]}, check_mode=True),
        Run("nats_gate", {"monitoring_url": url, "config_file": config, "wait": 0, **timeout}),
        Run("bot_gate", {**bot, **trip, "wait": 0, **timeout}),
        Run(
            "bus_health_info",
            {"monitoring_url": url, "release_dir": releases, "jetstream": True, "cluster": True, **timeout},
        ),
        Run("nats_info", {"monitoring_url": url, "gather": list(samples.ANSWERS), "details": True, **timeout}),
        Run("nats_release_info", {"release_dir": releases}),
        Run("diagnosis_info", examined),
        Run("diagnosis_info", under_systemd),
        Run("nats_process", {**server, "state": "started"}, check_mode=True),
        Run("nats_service", {**service, "state": "restarted"}, check_mode=True),
        Run("nats_archive", {**built, "module_sum": "h1:sum=", "go": str(host.programs / "go")}, check_mode=True),
        Run("nats_store_copy", {**copies, "state": "reported", "monitoring_url": url}),
        Run("nats_store_copy", {**copy, "state": "compared", "monitoring_url": url}),
        *(
            Run("nats_store_copy", {**copy, "state": state, **more}, check_mode=True)
            for state, more in (
                ("copied", {"from_version": "2.10.7", "to_version": "2.9.25"}),
                ("served", {}),
                ("restored", {"missed": [STREAM]}),
            )
        ),
        Run("nats_process", {**server, "state": "stopped"}),
        Run("nats_service", {**service, "state": "stopped"}),
        Run("bot_process", {**bot_process, "release_dir": releases, "state": "stopped"}),
        Run("nats_binary", {**packed, "release_dir": releases}),
        begun,
        Run("nats_release", {**claimed, "state": "recorded", "parts": parts}),
        begun,
        Run("nats_release", {**claimed, "state": "current", "release": samples.RELEASE}),
        begun,
        Run("nats_release", {**claimed, "state": "ended"}),
    ]


def _checksum(path: Path) -> str:
    """Give the sum of a damaged archive, as what lies between a controller and a host damages none."""
    return archive.sha256(path) if path.is_file() and path.stat().st_size < 1 << 20 else "0" * 64


def test_whole_modules_end_with_a_result_or_a_sentence(
    tmp_path: Path, free_port: Callable[[], int], run_module: RunModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = []
    refused: dict[str, int] = {}
    seconds: dict[str, float] = {}
    with fake_monitoring() as monitoring:
        host = Host(tmp_path / "host", free_port, monitoring)
        monkeypatch.setenv("PATH", str(host.programs), prepend=os.pathsep)
        host.root.mkdir()
        for number in range(HOSTS):
            luck = random.Random(f"{SEED} {number}")
            host.restore()
            told = host.damage(luck)
            for each in runs(host):
                started = time.monotonic()
                name = f"{each.module} {each.arguments.get('state', '')}".strip()
                try:
                    result = run_module(each.module, check_mode=each.check_mode, **each.arguments)
                    refused[name] = refused.get(name, 0) + bool(result.get("failed"))
                    assert not result.get("failed") or result["msg"].strip()
                    assert "Traceback" not in json.dumps(result)
                    assert time.monotonic() - started < LONGEST_SECONDS
                except Exception as error:
                    failures.append(f"{name}, host {number}: {told}: {type(error).__name__}: {error!s:.200}")
                seconds[name] = seconds.get(name, 0.0) + time.monotonic() - started
    for name, each in seconds.items():
        print(f"{name}: {HOSTS} hosts, {refused.get(name, 0)} refused, {each:.1f} s")
    assert not failures, "\n".join(failures)
