# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of JetStream's store, and what other versions make of it, with real servers and every message's digest."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import nats
import pytest
from nats.aio.client import Client

from ansible_collections.rosey.nats.plugins.module_utils._data import store_tree, version_line

RunModule = Callable[..., dict[str, Any]]
Digests = dict[str, dict[int, str]]
STREAMS = ("CHAT", "COMMANDS", "PLUGINS")
BATCH = 200
START_SECONDS = 20


class Server:
    """One store, and whichever nats-server runs on it."""

    def __init__(self, directory: Path, free_port: Callable[[], int], run_module: RunModule) -> None:
        self.port, self.monitoring_port = free_port(), free_port()
        self.store, self.copies = directory / "store", directory / "copies"
        self.config = directory / "nats-server.conf"
        self.config.write_text(
            f"host: 127.0.0.1\nport: {self.port}\nhttp_port: {self.monitoring_port}\n"
            f'jetstream {{ store_dir: "{self.store}", max_mem: 64M, max_file: 1G }}\n'
        )
        self.process: subprocess.Popen[bytes] | None = None
        self._run_module = run_module

    @property
    def data(self) -> Path:
        return self.store / store_tree.DATA

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.monitoring_port}"

    def start(self, binary: Path) -> str:
        """Start a server and wait until it is healthy; give its version."""
        self.process = subprocess.Popen([binary, "-c", self.config], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                assert self.ask("healthz")["status"] == "ok"
                return str(self.ask("varz")["version"])
            except URLError:
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def ask(self, endpoint: str) -> dict[str, Any]:
        with urlopen(f"{self.url}/{endpoint}", timeout=5) as answer:
            return dict(json.load(answer))

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(20)
            self.process = None

    def copy(self, to_version: str, **other: Any) -> dict[str, Any]:
        return self._run_module(
            "nats_store_copy",
            store=str(self.store),
            copies=str(self.copies),
            from_version="2.10.7",
            to_version=to_version,
            **other,
        )

    def report(self) -> dict[str, Any]:
        return self._run_module(
            "nats_store_copy",
            copies=str(self.copies),
            state="reported",
            to_version="2.10.7",
            monitoring_url=self.url,
        )

    def put_back(self, result: dict[str, Any]) -> None:
        """Let a copy take the place of the data."""
        shutil.rmtree(self.data)
        Path(result["copy"]["path"], store_tree.DATA).rename(self.data)

    def create(self, *names: str, **config: Any) -> None:
        async def work(client: Client) -> None:
            for name in names:
                request = {"name": name, "subjects": [f"{name}.>"], "storage": "file", "num_replicas": 1, **config}
                answer = await client.request(f"$JS.API.STREAM.CREATE.{name}", json.dumps(request).encode(), timeout=5)
                assert "error" not in json.loads(answer.data)

        self._run(work)

    def publish(self, payloads: dict[str, Sequence[bytes]]) -> Digests:
        """Publish to streams, each message acknowledged; give the digest of each by stream and sequence."""
        found: Digests = {name: {} for name in payloads}

        async def work(client: Client) -> None:
            jetstream = client.jetstream()
            for name, messages in payloads.items():
                for first in range(0, len(messages), BATCH):
                    batch = messages[first : first + BATCH]
                    acks = await asyncio.gather(*(jetstream.publish(f"{name}.x", each, timeout=20) for each in batch))
                    for ack, message in zip(acks, batch, strict=True):
                        assert not ack.duplicate
                        found[name][ack.seq] = hashlib.sha256(message).hexdigest()

        self._run(work)
        return found

    def read(self, *names: str) -> Digests:
        """Read whatever the streams can give, one sequence after the other: a damaged stream counts more than that."""
        found: Digests = {name: {} for name in names}

        async def work(client: Client) -> None:
            for name in names:
                last = (await client.jetstream().stream_info(name)).state.last_seq
                for first in range(1, last + 1, BATCH):
                    numbers = range(first, min(first + BATCH, last + 1))
                    for number, content in zip(
                        numbers, await asyncio.gather(*(get(client, name, each) for each in numbers)), strict=True
                    ):
                        if content is not None:
                            found[name][number] = hashlib.sha256(content).hexdigest()

        self._run(work)
        return found

    def _run(self, work: Callable[[Client], Any]) -> None:
        async def connected() -> None:
            client = await nats.connect(f"nats://127.0.0.1:{self.port}")
            await work(client)
            await client.close()

        asyncio.run(connected())


async def get(client: Client, stream: str, number: int) -> bytes | None:
    """Give a message of a stream; None where the stream does not have it."""
    request = json.dumps({"seq": number}).encode()
    answer = json.loads((await client.request(f"$JS.API.STREAM.MSG.GET.{stream}", request, timeout=20)).data)
    if "error" in answer:
        assert answer["error"]["description"] == "no message found"
        return None
    return base64.b64decode(answer["message"].get("data", ""))


@pytest.fixture
def server(tmp_path: Path, free_port: Callable[[], int], run_module: RunModule) -> Iterator[Server]:
    made = Server(tmp_path, free_port, run_module)
    yield made
    made.stop()


def payloads(number: int, size: int, seed: int) -> list[bytes]:
    """Make messages that no compression makes smaller, the same for the same seed."""
    source = random.Random(seed)
    return [source.randbytes(size) for _each in range(number)]


def test_a_copy_brings_every_message_back(server: Server, nats_server: Path) -> None:
    server.start(nats_server)
    server.create(*STREAMS)
    sizes = dict(zip(STREAMS, (10_000, 7_000, 3_000), strict=True))
    written = server.publish({name: payloads(size, 100, size) for name, size in sizes.items()})
    assert {name: len(found) for name, found in written.items()} == sizes

    refused = server.copy("2.9.25")
    assert refused["failed"]
    assert f"{server.data} is in use by nats-server (process " in refused["msg"]
    predicted = server.copy("2.9.25", check_mode=True)
    assert (predicted["changed"], predicted["action"]) == (True, "copied")
    assert [user.partition(" ")[0] for user in predicted["users"]] == ["nats-server"]

    before = server.report()
    assert {each["name"]: each["messages"] for each in before["streams"]} == sizes
    server.stop()
    done = server.copy("2.9.25", streams=before["streams"])
    assert (done["changed"], done["copy"]["streams"]) == (True, before["streams"])
    assert server.copy("2.9.25", streams=before["streams"])["changed"] is False

    for file in server.data.rglob("msgs/*"):
        file.write_bytes(b"damaged")
    server.start(nats_server)
    assert server.read(*STREAMS) != written
    server.stop()

    server.put_back(done)
    server.start(nats_server)
    assert server.read(*STREAMS) == written


def test_the_report_counts_what_was_written_since(server: Server, nats_server: Path) -> None:
    server.start(nats_server)
    server.create("CHAT", "COMMANDS", "OLD")
    server.publish({"CHAT": payloads(100, 50, 1), "COMMANDS": payloads(10, 50, 2), "OLD": payloads(3, 50, 3)})
    streams = server.report()["streams"]
    server.stop()
    server.copy("2.9.25", streams=streams)
    server.start(nats_server)

    async def delete(client: Client) -> None:
        await client.jetstream().delete_stream("OLD")
        await client.jetstream().purge_stream("CHAT")

    server._run(delete)
    server.create("NEW")
    server.create("MEMORY", storage="memory")
    server.publish({"CHAT": payloads(17, 50, 4), "NEW": payloads(1, 50, 5), "MEMORY": payloads(1, 50, 6)})
    assert server.report()["since"]["lines"] == [
        "CHAT: 17 messages written since the copy",
        "NEW: new since the copy, with 1 message",
        "OLD: gone since the copy, which has 3 messages",
    ]


def test_a_server_without_a_stream_uses_its_store(server: Server, nats_server: Path) -> None:
    server.start(nats_server)
    server.data.mkdir(exist_ok=True)
    (server.data / "file").touch()
    assert f"is in use by {nats_server.name} (process " in server.copy("2.9.25")["msg"]


def test_a_newer_patch_and_back_keeps_every_message(server: Server, nats_server: Path, newer_server: Path) -> None:
    assert server.start(nats_server) == "2.10.7"
    server.create("PLAIN")
    server.create("COMPRESSED", compression="s2")
    written = server.publish({"PLAIN": payloads(900, 65536, 1), "COMPRESSED": payloads(900, 65536, 2)})
    assert sum(file.stat().st_size for file in server.data.rglob("*.blk")) > 100_000_000
    server.stop()

    newer = server.start(newer_server)
    assert newer != "2.10.7"
    assert not version_line.needs_copy("2.10.7", newer)
    assert server.read("PLAIN", "COMPRESSED") == written
    for name, more in server.publish({"PLAIN": payloads(10, 65536, 3), "COMPRESSED": payloads(10, 65536, 4)}).items():
        written[name] |= more
    server.stop()

    assert server.start(nats_server) == "2.10.7"
    assert server.read("PLAIN", "COMPRESSED") == written


def test_an_older_line_loses_messages_and_a_copy_brings_them_back(
    server: Server, nats_server: Path, older_server: Path
) -> None:
    server.start(nats_server)
    server.create("CHAT", compression="s2")
    written = server.publish({"CHAT": [each * 4 for each in payloads(560, 32768, 1)]})
    streams = server.report()["streams"]
    server.stop()
    done = server.copy("2.9.25", streams=streams)
    assert done["changed"] is True

    older = server.start(older_server)
    assert version_line.is_downgrade("2.10.7", older)
    assert server.ask("healthz")["status"] == "ok"
    server.stop()
    server.start(nats_server)
    # It says that it is well and has them all.
    assert server.ask("healthz")["status"] == "ok"
    assert server.report()["streams"] == streams
    lost = len(written["CHAT"]) - len(server.read("CHAT")["CHAT"])
    print(f"2.10.7 to {older} and back: {lost} of {len(written['CHAT'])} messages lost")
    assert lost > len(written["CHAT"]) // 2
    server.stop()

    server.put_back(done)
    server.start(nats_server)
    assert server.read("CHAT") == written
