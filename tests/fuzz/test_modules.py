# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a host holds and its server answers: whole modules end with a result or a sentence of ours.

FUZZ_CASES says how many hosts there are, a hundred damaged samples each; FUZZ_SEED which.
"""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.rosey.nats.plugins.module_utils import archive, asset_record, lease, sealed
from ansible_collections.rosey.nats.tests.fuzz import damage, samples
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import FakeMonitoring, Reply, fake_monitoring

HOSTS = max(10, int(os.environ.get("FUZZ_CASES", "2000")) // 100)
SEED = int(os.environ.get("FUZZ_SEED", "1"))
LONGEST_SECONDS = 30.0

RunModule = Callable[..., dict[str, Any]]


class Host:
    """A directory that stands for a host under the process runtime, with all that modules read of it."""

    def __init__(self, root: Path, port: int, monitoring: FakeMonitoring) -> None:
        self.root, self.monitoring = root, monitoring
        self.config_file, self.releases = root / "nats-server.conf", root / "releases"
        self.config = (
            f"host: 127.0.0.1\nport: {port}\nhttp_port: {monitoring.url.rpartition(':')[2]}\n"
            f'log_file: "{root}/nats.log"\npid_file: "{root}/server.pid"\n'
            f'jetstream {{ store_dir: "{root}/store", max_mem: 64M, max_file: 128M }}\n'
        )

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
        }
        bodies = {
            self.releases / "releases" / f"{samples.RELEASE}.json": self._record(),
            self.releases / asset_record.PROVEN: {"time": "2026-11-26T13:00:35Z", "assets": samples.TABLE},
            self.releases / "checkpoint.json": samples.CHECKPOINT,
            self.releases / lease.NAME: samples.LEASE,
        }
        stream = self.root / "store" / "jetstream" / "$G" / "streams" / "CHAT"
        files |= {stream / name: content for name, content in samples.STORE.items()}
        for path, body in bodies.items():
            whole = {"format": sealed.FORMAT, "sha256": sealed.sha256(sealed.canonical(body)), "body": body}
            files[path] = f"{sealed.canonical(whole)}\n".encode()
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o600)
        (self.root / "nats-server").symlink_to(self.root / "lib" / "2.10.7" / "nats-server")

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
        self.monitoring.answers = {f"/{name}": answer for name, answer in samples.ANSWERS.items()}
        for name in luck.sample(sorted(samples.ANSWERS), luck.randint(0, 3)):
            kind = luck.choice(sorted(REPLIES))
            self.monitoring.answers[f"/{name}"] = REPLIES[kind](luck, samples.ANSWERS[name])
            told.append(f"/{name}: {kind}")
        return ", ".join(told) or "nothing"


def _content(luck: random.Random, path: Path) -> None:
    path.write_bytes(damage.damaged_bytes(luck, path.read_bytes()))


def _sealed(luck: random.Random, path: Path) -> None:
    """Write what another version may have sealed."""
    try:
        body = damage.damaged_value(luck, json.loads(path.read_bytes())["body"])
        text = {"format": sealed.FORMAT, "sha256": sealed.sha256(sealed.canonical(body)), "body": body}
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


def modules(host: Host) -> dict[str, dict[str, Any]]:
    """Give the modules that look at such a host, with what they are asked."""
    entry = {"path": str(host.config_file), "state": "file", "mode": "0640", "content": host.config}
    return {
        "nats_plan": {
            "runtime": "process",
            "pid_file": str(host.root / "pid"),
            "version": "2.10.7",
            "directory": str(host.root / "lib"),
            "link": str(host.root / "nats-server"),
            "config_file": str(host.config_file),
            "releases": str(host.releases),
            "copies": str(host.releases / "stores"),
            "settings": {"version": "2.10.7"},
            "entries": [entry],
            "accept": ["all"],
        },
        "config_tree": {"entries": [entry]},
        "nats_health": {"url": host.monitoring.url, "config_file": str(host.config_file), "wait": 0, "timeout": 1},
        "nats_info": {"url": host.monitoring.url, "gather": list(samples.ANSWERS), "details": True, "timeout": 1},
        "bus_health": {
            "url": host.monitoring.url,
            "releases": str(host.releases),
            "jetstream": True,
            "cluster": True,
            "timeout": 1,
        },
        "nats_release_info": {"releases": str(host.releases)},
    }


def test_whole_modules_end_with_a_result_or_a_sentence(
    tmp_path: Path, free_port: Callable[[], int], run_module: RunModule
) -> None:
    failures = []
    refused = 0
    with fake_monitoring() as monitoring:
        host = Host(tmp_path / "host", free_port(), monitoring)
        host.root.mkdir()
        for number in range(HOSTS):
            luck = random.Random(f"{SEED} {number}")
            host.restore()
            told = host.damage(luck)
            for name, arguments in modules(host).items():
                started = time.monotonic()
                try:
                    result = run_module(name, check_mode=name == "config_tree", **arguments)
                    refused += bool(result.get("failed"))
                    assert not result.get("failed") or result["msg"].strip()
                    assert time.monotonic() - started < LONGEST_SECONDS
                except Exception as error:
                    failures.append(f"{name}, host {number}: {told}: {type(error).__name__}: {error!s:.200}")
    print(f"modules: {HOSTS} hosts, {refused} refused")
    assert not failures, "\n".join(failures)
