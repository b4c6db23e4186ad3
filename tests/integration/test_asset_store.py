# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read from a store, against what the server that wrote it says, and the one that starts on it next."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client

from ansible_collections.rosey.nats.plugins.module_utils._data import asset_store, assets

START_SECONDS = 20
MINUTE = 60 * 10**9
LARGE = 100_000
# More than one block of 8 MB
LARGE_COUNT = 120
LIMIT_NAMES = ("retention", "max_age", "max_msgs", "max_bytes", "max_msgs_per_subject")
NUMBERS = ("messages", "bytes", "first_seq", "last_seq")
Numbers = tuple[int | None, ...]


class Server:
    """One store, and whichever nats-server runs on it."""

    def __init__(self, directory: Path, port: int, user: str = "", key: str = "", options: str = "") -> None:
        self.data = directory / "store" / "jetstream"
        self.port = port
        self.address = f"nats://{user}127.0.0.1:{port}"
        self.config = directory / "nats-server.conf"
        store = directory / "store"
        self.config.write_text(
            f'host: 127.0.0.1\nport: {port}\njetstream {{ store_dir: "{store}"\n{key}\n}}\n{options}\n'
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, binary: Path) -> None:
        self.process = subprocess.Popen([binary, "-c", self.config], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def stop(self, with_signal: signal.Signals = signal.SIGINT) -> None:
        if self.process:
            self.process.send_signal(with_signal)
            self.process.wait(20)
            self.process = None

    def do(self, *works: Callable[[Client], Awaitable[Any]]) -> Any:
        """Do things with a connection to the server; give what the last one gave."""

        async def connected() -> Any:
            client = await nats.connect(self.address)
            try:
                return [await work(client) for work in works][-1]
            finally:
                await client.close()

        return asyncio.run(connected())

    def read(self) -> dict[str, assets.Stream]:
        return {stream.name: stream for stream in asset_store.read(self.data).in_order()}


async def ask(client: Client, subject: str, **request: Any) -> dict[str, Any]:
    message = await client.request(f"$JS.API.{subject}", json.dumps(request).encode(), timeout=20)
    answer: dict[str, Any] = json.loads(message.data)
    assert "error" not in answer, (subject, answer)
    return answer


def create(name: str, **config: Any) -> Callable[[Client], Awaitable[Any]]:
    async def work(client: Client) -> None:
        request = {"name": name, "subjects": [f"{name}.>"], "storage": "file", **config}
        await ask(client, f"STREAM.CREATE.{name}", **request)

    return work


def consume(stream: str, name: str, **config: Any) -> Callable[[Client], Awaitable[Any]]:
    async def work(client: Client) -> None:
        request = {"stream_name": stream, "config": {"name": name, "ack_policy": "explicit", **config}}
        await ask(client, f"CONSUMER.CREATE.{stream}.{name}", **request)

    return work


def publish(name: str, count: int, size: int = 50, subjects: int = 1) -> Callable[[Client], Awaitable[Any]]:
    async def work(client: Client) -> None:
        for number in range(count):
            await client.jetstream().publish(f"{name}.{number % subjects}", os.urandom(size // 2).ljust(size, b"x"))

    return work


def delete(name: str, *numbers: int, no_erase: bool = True) -> Callable[[Client], Awaitable[Any]]:
    async def work(client: Client) -> None:
        for number in numbers:
            await ask(client, f"STREAM.MSG.DELETE.{name}", seq=number, no_erase=no_erase)

    return work


def purge(name: str) -> Callable[[Client], Awaitable[Any]]:
    async def work(client: Client) -> None:
        await ask(client, f"STREAM.PURGE.{name}")

    return work


def acknowledge(stream: str, consumer: str, fetched: int, *places: int) -> Callable[[Client], Awaitable[Any]]:
    """Fetch from a durable consumer, and acknowledge the messages that came at these places."""

    async def work(client: Client) -> None:
        subscription = await client.jetstream().pull_subscribe_bind(consumer, stream)
        messages = await subscription.fetch(fetched, timeout=5)
        for place in places:
            await messages[place].ack_sync()

    return work


async def told(client: Client) -> dict[str, assets.Stream]:
    """Ask the server itself, and leave out what is in memory alone."""
    found = {}
    for name in (await ask(client, "STREAM.NAMES"))["streams"] or []:
        info = await ask(client, f"STREAM.INFO.{name}")
        config, state = info["config"], info["state"]
        if config["storage"] == "file":
            consumers = (await ask(client, f"CONSUMER.LIST.{name}"))["consumers"]
            found[name] = assets.Stream(
                "$G",
                name,
                created=info["created"],
                storage=config["storage"],
                replicas=config["num_replicas"],
                **{each: state[each] for each in NUMBERS},
                limits=assets.Limits(
                    **{each: config[each] for each in LIMIT_NAMES},
                    rollup=config.get("allow_rollup_hdrs", False),
                    max_consumers=config["max_consumers"],
                    duplicate_window=config.get("duplicate_window", 0),
                    first_seq=config.get("first_seq", 0),
                    compressed=config.get("compression", "none") != "none",
                ),
                consumers=tuple(
                    assets.Consumer(
                        each["name"],
                        each["created"],
                        each["ack_floor"]["stream_seq"],
                        passing="durable_name" not in each["config"] or "inactive_threshold" in each["config"],
                        max_ack_pending=each["config"].get("max_ack_pending", 0),
                        max_batch=each["config"].get("max_batch", 0),
                    )
                    for each in sorted(consumers, key=lambda each: str(each["name"]))
                    if not each["config"].get("mem_storage")
                ),
            )
    return found


def numbers(stream: assets.Stream) -> Numbers:
    """Give the numbers; where no message ever was, a server begins at 0 when it makes the stream, later at 1."""
    return stream.messages, stream.bytes, stream.first_seq if stream.last_seq else 0, stream.last_seq


def is_unknown(stream: assets.Stream) -> bool:
    return (stream.messages, stream.first_seq, stream.last_seq) == (None, None, None)


def normal(streams: dict[str, assets.Stream], *inexact: str) -> dict[str, assets.Stream]:
    """Leave out what only the store tells, when some consumers were made, and where an empty stream begins."""
    return {
        name: replace(
            stream,
            blocks=None,
            first_seq=numbers(stream)[2],
            consumers=tuple(replace(each, created=None) if each.name in inexact else each for each in stream.consumers),
        )
        for name, stream in streams.items()
    }


ALL_KINDS = (
    create("FRESH"),
    create("LATER", first_seq=500),
    create("MEMORY", storage="memory"),
    create("PLAIN", max_age=60 * MINUTE, max_msgs=1000, max_bytes=10**6),
    publish("PLAIN", 12, subjects=3),
    create("PURGED"),
    publish("PURGED", 5),
    purge("PURGED"),
    create("ONCE"),
    publish("ONCE", 1),
    purge("ONCE"),
    create("HOLES"),
    publish("HOLES", 5000, size=10),
    delete("HOLES", 1, 3, 2500, 4990, 5000),
    delete("HOLES", 7, 8, 4000, no_erase=False),
    create("EMPTIED"),
    publish("EMPTIED", 3),
    delete("EMPTIED", 1, 2, 3),
    create("COMPRESSED", compression="s2"),
    publish("COMPRESSED", LARGE_COUNT, size=LARGE),
    create("BLOCKS"),
    publish("BLOCKS", LARGE_COUNT, size=LARGE),
    delete("BLOCKS", 2, 4),
    create("KV_x", subjects=["KV_x.>"], max_msgs_per_subject=1, allow_rollup_hdrs=True, discard="new"),
    publish("KV_x", 40, subjects=7),
    create("WORK", retention="workqueue"),
    publish("WORK", 7),
    consume("WORK", "worker", durable_name="worker"),
    acknowledge("WORK", "worker", 7, *range(7)),
    create("INTEREST", retention="interest"),
    consume("INTEREST", "interested", durable_name="interested"),
    publish("INTEREST", 4),
    acknowledge("INTEREST", "interested", 3, 0),
    consume("PLAIN", "part", durable_name="part"),
    acknowledge("PLAIN", "part", 8, 0, 1, 2, 5),
    consume("PLAIN", "untouched", durable_name="untouched"),
    consume("PLAIN", "newest", durable_name="newest", deliver_policy="new"),
    consume("PLAIN", "ephemeral", inactive_threshold=MINUTE),
    consume("PLAIN", "idle", durable_name="idle", inactive_threshold=MINUTE),
    consume("PLAIN", "forgetful", durable_name="forgetful", mem_storage=True),
)


@pytest.fixture
def make_server(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Callable[..., Server]]:
    """Give a function that makes the test's server with further options; it is stopped in the end."""
    with ExitStack() as made:

        def make(**options: str) -> Server:
            server = Server(tmp_path, free_port(), **options)
            made.callback(server.stop)
            return server

        yield make


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    return make_server()


@pytest.mark.parametrize("fixture", ["nats_server", "newer_server"])
def test_a_store_says_what_its_server_said(server: Server, fixture: str, request: pytest.FixtureRequest) -> None:
    binary = request.getfixturevalue(fixture)
    server.start(binary)
    said = server.do(*ALL_KINDS, told)
    server.stop()
    # Until it starts again, a server tells that a consumer was made a moment before the time that it stored.
    names = {consumer.name for stream in said.values() for consumer in stream.consumers}
    assert normal(server.read(), *names) == normal(said, *names)
    assert numbers(said["FRESH"]) == (0, 0, 0, 0)
    assert numbers(said["EMPTIED"]) == (0, 0, 4, 3)
    assert [each.ack_floor for each in said["PLAIN"].consumers] == [0, 0, 0, 3, 0]

    server.start(binary)
    said = server.do(told)
    server.stop()
    # When it started, it overwrote with zero when this one was made.
    assert normal(server.read()) == normal(said, "ephemeral")


def test_what_a_restarted_server_changes_gets_the_time_of_its_start(server: Server, nats_server: Path) -> None:
    server.start(nats_server)
    server.do(create("PLAIN"), consume("PLAIN", "part", durable_name="part"))
    server.stop()
    made = server.read()["PLAIN"]
    server.start(nats_server)

    async def change(client: Client) -> None:
        await ask(client, "STREAM.UPDATE.PLAIN", name="PLAIN", subjects=["PLAIN.>"], description="changed")

    server.do(change, consume("PLAIN", "part", durable_name="part", description="changed"))
    said = server.do(told)["PLAIN"]
    server.stop()
    stored = server.read()["PLAIN"]
    assert (said.created, said.consumers) == (made.created, made.consumers)
    assert made.created and made.consumers[0].created and stored.created and stored.consumers[0].created
    assert made.consumers[0].created < stored.created < stored.consumers[0].created
    server.start(nats_server)
    assert normal(server.do(told)) == normal({"PLAIN": stored})


def test_accounts_are_told_apart_by_their_directories(make_server: Callable[..., Server], nats_server: Path) -> None:
    options = "accounts { ROSEY { jetstream: enabled, users: [{ user: a, password: b }] } }"
    server = make_server(user="a:b@", options=options)
    server.start(nats_server)
    server.do(create("CHAT"), publish("CHAT", 3))
    server.stop()
    assert [(key, stream.messages) for key, stream in asset_store.read(server.data).streams.items()] == [
        (("ROSEY", "CHAT"), 3)
    ]


@pytest.mark.parametrize("pause", [0.0, 0.3])
@pytest.mark.parametrize(
    ("name", "work"),
    [
        pytest.param("PLAIN", None, id="nothing"),
        pytest.param("PLAIN", publish("PLAIN", 5), id="publish"),
        pytest.param("FRESH", publish("FRESH", 5), id="first publish"),
        pytest.param("PLAIN", delete("PLAIN", 1, 4, 12), id="delete"),
        pytest.param("PLAIN", delete("PLAIN", 1, 4, 12, no_erase=False), id="erase"),
        pytest.param("PLAIN", purge("PLAIN"), id="purge"),
        pytest.param("KV", publish("KV", 3, subjects=3), id="replace"),
        pytest.param("WORK", acknowledge("WORK", "worker", 5, 0, 1, 3), id="work"),
        pytest.param("WORK", acknowledge("WORK", "worker", 7, *range(7)), id="all work"),
        pytest.param("BLOCKS", publish("BLOCKS", LARGE_COUNT, LARGE), id="another block"),
        pytest.param("BLOCKS", delete("BLOCKS", *range(1, 90)), id="delete a block"),
        pytest.param("COMPRESSED", publish("COMPRESSED", LARGE_COUNT, LARGE), id="another compressed block"),
    ],
)
def test_after_a_kill_numbers_are_right_or_unknown(
    server: Server, nats_server: Path, name: str, work: Callable[[Client], Awaitable[Any]] | None, pause: float
) -> None:
    server.start(nats_server)
    server.do(
        create("FRESH"),
        create("PLAIN"),
        publish("PLAIN", 12),
        create("KV", max_msgs_per_subject=1),
        publish("KV", 5, subjects=5),
        create("WORK", retention="workqueue"),
        publish("WORK", 7),
        consume("WORK", "worker", durable_name="worker"),
        create("BLOCKS"),
        create("COMPRESSED", compression="s2"),
        *(publish(each, LARGE_COUNT, LARGE) for each in (name,) if each in ("BLOCKS", "COMPRESSED")),
    )
    server.stop()
    server.start(nats_server)
    if work:
        server.do(work)
    time.sleep(pause)
    before = server.do(told)
    server.stop(signal.SIGKILL)
    found = server.read()
    server.start(nats_server)
    after = server.do(told)
    print(f"{name}: {numbers(found[name])}, before {numbers(before[name])}, after {numbers(after[name])}")
    for each, stream in found.items():
        if each != name or work is None or not is_unknown(stream):
            assert numbers(stream) == numbers(before[each]) == numbers(after[each])


def test_a_store_that_was_never_stopped_is_unknown(server: Server, nats_server: Path) -> None:
    server.start(nats_server)
    said = server.do(create("PLAIN"), publish("PLAIN", 12), told)
    server.stop(signal.SIGKILL)
    found = server.read()["PLAIN"]
    assert is_unknown(found)
    assert (found.created, found.limits, found.bytes) == (
        said["PLAIN"].created,
        said["PLAIN"].limits,
        said["PLAIN"].bytes,
    )


def test_what_is_damaged_is_unknown(server: Server, nats_server: Path, tmp_path: Path) -> None:
    server.start(nats_server)
    server.do(create("BLOCKS"), publish("BLOCKS", LARGE_COUNT, LARGE), delete("BLOCKS", 2, 4, 119))
    server.stop()
    right = server.read()["BLOCKS"]
    messages = server.data / "$G" / "streams" / "BLOCKS" / "msgs"
    whole = tmp_path / "whole"
    shutil.copytree(messages, whole)
    assert sorted(path.name for path in whole.iterdir()) == ["1.blk", "2.blk", "index.db"]

    def damaged(change: Callable[[], object]) -> assets.Stream:
        change()
        found = server.read()["BLOCKS"]
        shutil.rmtree(messages)
        shutil.copytree(whole, messages)
        assert server.read()["BLOCKS"] == right
        return found

    def cut(name: str) -> None:
        """Cut a block in half in a way that its time does not show."""
        status = (messages / name).stat()
        os.truncate(messages / name, status.st_size // 2)
        os.utime(messages / name, ns=(status.st_atime_ns, status.st_mtime_ns))

    for name in ("1.blk", "2.blk", "index.db"):
        assert is_unknown(damaged((messages / name).unlink))
        assert is_unknown(damaged(partial(cut, name)))
    assert is_unknown(damaged((messages / "1.blk").touch))
    assert is_unknown(damaged((messages / "3.blk").touch))

    index = messages / "index.db"
    content = index.read_bytes()
    unknown = 0
    for place in range(len(content)):
        for bit in range(8):
            index.write_bytes(content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :])
            found = server.read()["BLOCKS"]
            assert is_unknown(found) or numbers(found) == numbers(right)
            unknown += is_unknown(found)
        index.write_bytes(content[:place])
        assert is_unknown(server.read()["BLOCKS"])
    print(f"{unknown} of {8 * len(content)} flipped bits make it unknown; the others change none of its numbers")


def test_an_encrypted_store_tells_names_and_bytes(make_server: Callable[..., Server], nats_server: Path) -> None:
    server = make_server(key='key: "secret"')
    server.start(nats_server)
    server.do(create("PLAIN"), publish("PLAIN", 12), consume("PLAIN", "part", durable_name="part"))
    server.stop()
    blocks = server.data / "$G" / "streams" / "PLAIN" / "msgs"
    assert server.read() == {
        "PLAIN": assets.Stream(
            "$G",
            "PLAIN",
            bytes=sum(path.stat().st_size for path in blocks.glob("*.blk")),
            consumers=(assets.Consumer("part"),),
            encrypted=True,
            blocks=1,
        )
    }


def test_the_older_line_keeps_no_index(server: Server, older_server: Path) -> None:
    server.start(older_server)
    server.do(create("PLAIN"), publish("PLAIN", 12), consume("PLAIN", "part", durable_name="part"))
    server.do(acknowledge("PLAIN", "part", 8, 0, 1))
    server.stop()
    server.start(older_server)
    said = server.do(told)["PLAIN"]
    server.stop()
    found = server.read()["PLAIN"]
    assert is_unknown(found)
    assert said.consumers[0].ack_floor == 2
    assert (found.created, found.limits, found.bytes, found.consumers) == (
        said.created,
        said.limits,
        said.bytes,
        said.consumers,
    )


def test_an_index_that_the_older_line_left_alone_does_not_count(
    server: Server, nats_server: Path, older_server: Path
) -> None:
    server.start(nats_server)
    server.do(create("PLAIN"), publish("PLAIN", 12))
    server.stop()
    server.start(older_server)
    assert server.do(delete("PLAIN", 1, 5, 6), told)["PLAIN"].messages == 9
    server.stop()
    assert is_unknown(server.read()["PLAIN"])
    # What was deleted is back, and the newer line has removed what made the index doubtful.
    server.start(nats_server)
    assert server.do(told)["PLAIN"].messages == 12
    server.stop()
    assert server.read()["PLAIN"].messages == 12
