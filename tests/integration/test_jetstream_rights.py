# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `uses` grants, against the real server and nats-py: each right does what it is for, with 40 MB, and with one of
its subjects taken away it does not; what is another's stays out of reach."""

from __future__ import annotations

import asyncio
import io
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats
import nats.errors
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import ObjectMeta
from nats.js.errors import APIError, KeyNotFoundError
from nats.js.object_store import ObjectStore

from ansible_collections.rosey.nats.plugins.module_utils._server import subjects
from ansible_collections.rosey.nats.plugins.plugin_utils import jetstream_rights
from ansible_collections.rosey.nats.tests.integration.conftest import free_ports
from ansible_collections.rosey.nats.tests.integration.live import Live

MAKER = "maker"
INBOX = "rosey.prod._inbox"
WHO_AM_I = "$SYS.REQ.USER.INFO"
SOON = 1.0  # seconds; a denied request looks like one that nobody answers
STALLED = 5.0  # seconds; 40 MB take one
MANY = 400
VALUE = os.urandom(1000) * 100
CLIP = VALUE * MANY  # 40 MB
FAILURES = (asyncio.TimeoutError, nats.errors.Error)

Work = Callable[[JetStreamContext, int], Awaitable[None]]


async def read_bucket(js: JetStreamContext, count: int) -> None:
    bucket = await js.key_value("quotes")
    for number in range(count):
        assert (await bucket.get(f"many.{number}")).value == VALUE


async def write_bucket(js: JetStreamContext, count: int) -> None:
    bucket = await js.key_value("written")
    for number in range(count):
        await bucket.put(f"trivia.{number}", VALUE)
    assert (await bucket.get(f"trivia.{count - 1}")).value == VALUE
    await bucket.delete("trivia.0")
    last = await bucket.create("trivia.0", b"first")
    await bucket.update("trivia.0", b"second", last=last)
    await bucket.purge("trivia.0")


async def watch_bucket(js: JetStreamContext, count: int) -> None:
    bucket = await js.key_value("quotes")
    await bucket.get("many.0")
    watcher = await bucket.watchall()
    seen = set()
    while entry := await watcher.updates(timeout=SOON):
        assert entry.value == VALUE
        seen.add(entry.key)
    await watcher.stop()
    assert seen == {f"many.{number}" for number in range(MANY)}
    assert set(await bucket.keys()) == seen
    assert len(await bucket.history("many.0")) == 1


async def publish(js: JetStreamContext, count: int) -> None:
    for _each in range(count):
        await js.publish("rosey.prod.history.published", VALUE)


async def read_stream(js: JetStreamContext, count: int) -> None:
    for number in range(count):
        assert (await js.get_msg("chat_history", number + 1)).data == VALUE
    assert (await js.get_last_msg("chat_history", "rosey.prod.history.pulled")).data == VALUE


async def pull(js: JetStreamContext, count: int) -> None:
    pulled = await js.pull_subscribe_bind(consumer="answers", stream="chat_history")
    for _each in range(count):
        (message,) = await pulled.fetch(1, timeout=SOON)
        assert message.data == VALUE
        await message.in_progress()
        await message.ack_sync(timeout=SOON)


async def read_object(js: JetStreamContext, count: int) -> None:
    name, content = ("long", CLIP) if count == MANY else ("short", VALUE)
    store = await js.object_store("clips")
    await expect_object(store, name, content)
    assert len(await asyncio.wait_for(store.list(), timeout=STALLED)) == 2


async def write_object(js: JetStreamContext, count: int) -> None:
    content = VALUE * count
    store = await js.object_store("written")
    for _twice in range(2):  # the second takes the place of the first
        await store.put("new", content)
    await expect_object(store, "new", content)
    await store.update_meta("new", ObjectMeta(name="new", description="a clip"))
    await store.delete("new")


async def expect_object(store: ObjectStore, name: str, content: bytes) -> None:
    into = io.BytesIO()
    await asyncio.wait_for(store.get(name, writeinto=into), timeout=STALLED)  # it would wait for ever
    assert into.getvalue() == content


@dataclass(frozen=True)
class Case:
    """A right, and what it is for. publishes: the subjects of the declaration that the work needs besides."""

    name: str
    uses: dict[str, Any]
    work: Work
    publishes: tuple[str, ...] = ()

    @property
    def granted(self) -> list[str]:
        return sorted({*jetstream_rights.rights(self.uses).publish, *self.publishes})


CASES = [
    Case("read_bucket", {"buckets": {"quotes": "read"}}, read_bucket),
    Case("write_bucket", {"buckets": {"written": "write"}}, write_bucket),
    Case("watch_bucket", {"buckets": {"quotes": "watch"}}, watch_bucket),
    Case("read_keys", {"buckets": {"quotes": {"rights": "read", "keys": "many.>"}}}, read_bucket),
    Case("write_keys", {"buckets": {"written": {"rights": "write", "keys": "trivia.>"}}}, write_bucket),
    Case("publish", {"streams": {"chat_history": "publish"}}, publish, ("rosey.prod.history.published",)),
    Case("read_stream", {"streams": {"chat_history": "read"}}, read_stream),
    Case("pull", {"consumers": {"chat_history.answers": "pull"}}, pull),
    Case("pull_of_any_stream", {"consumers": {"answers": "pull"}}, pull),
    Case("read_object", {"objects": {"clips": "read"}}, read_object),
    Case("write_object", {"objects": {"written": "write"}}, write_object),
]
# What nobody here declares: all of a bucket by number, what changes or shows an asset, and other assets.
NEVER = [
    "$JS.API.INFO",
    *(f"$JS.API.DIRECT.GET.KV_{bucket}" for bucket in ("quotes", "written", "other")),
    *(
        f"$JS.API.STREAM.{verb}.KV_quotes"
        for verb in ("MSG.GET", "MSG.DELETE", "PURGE", "UPDATE", "DELETE", "SNAPSHOT")
    ),
    *(f"$JS.API.STREAM.{verb}.OBJ_clips" for verb in ("MSG.DELETE", "PURGE", "UPDATE", "DELETE", "SNAPSHOT")),
    *(f"$JS.API.CONSUMER.{verb}.KV_quotes.other" for verb in ("CREATE", "DURABLE.CREATE", "DELETE", "MSG.NEXT")),
    "$JS.API.CONSUMER.CREATE.KV_quotes.other.$KV.quotes.>",
    "$JS.API.CONSUMER.CREATE.chat_history",
    "$JS.API.CONSUMER.MSG.NEXT.chat_history.others",
    "$JS.ACK.chat_history.others.1.1.1.1.0",
    "$JS.API.STREAM.INFO.KV_other",
    "$JS.API.DIRECT.GET.KV_other.$KV.other.many.0",
    "$JS.API.CONSUMER.CREATE.KV_other",
    "$KV.other.many.0",
    "$KV.quotes.many.0",
    "$KV.written",
    "$O.written.X.0",
    "$O.other.C.0",
    "$O.clips.M.0",
]
# Each with one of its subjects taken away.
TAKEN = [(case, subject) for case in CASES for subject in case.granted]
FLOW_CONTROL = "$JS.FC."
# A watch of some keys, if the filter that a client may name in the subject were the way.
FURTHER = {
    "watch_keys": [
        *jetstream_rights.rights({"buckets": {"quotes": {"rights": "read", "keys": "many.>"}}}).publish,
        "$JS.API.CONSUMER.CREATE.KV_quotes.*.$KV.quotes.many.>",
        "$JS.API.CONSUMER.INFO.KV_quotes.*",
        "$JS.FC.KV_quotes.>",
    ]
}


def user(name: str, publish: list[str]) -> dict[str, Any]:
    permissions = {
        "publish": {"allow": [WHO_AM_I, *publish]},
        "subscribe": {"allow": [f"{INBOX}.{name}.>"]},
    }
    return {"user": name, "password": name, "permissions": permissions}


def literal(pattern: str) -> str:
    return ".".join({"*": "0", ">": "0"}.get(token, token) for token in pattern.split("."))


def without(case: Case, subject: str) -> str:
    return f"{case.name}-{case.granted.index(subject)}"


@dataclass
class Bus:
    """A server with a user for each case, and for each case with a subject taken away. denied: in lower case."""

    port: int
    denied: list[str] = field(default_factory=list)

    async def connect(self, name: str) -> Client:
        self.denied.clear()

        async def note(error: Exception) -> None:
            # as nats-py tells it: in lower case
            self.denied.append(str(error).rpartition(' to "')[2].rstrip('"'))

        address = f"nats://127.0.0.1:{self.port}"
        return await nats.connect(
            address, user=name, password=name, inbox_prefix=f"{INBOX}.{name}", error_cb=note, allow_reconnect=False
        )

    def do(self, name: str, work: Callable[[Client], Awaitable[Any]]) -> Any:
        """Do something with a connection of this user; ``denied`` has what the server refused meanwhile."""

        async def connected() -> Any:
            client = await self.connect(name)
            try:
                return await work(client)
            finally:
                await client.close()

        return asyncio.run(connected())

    def attempt(self, name: str, case: Case, count: int) -> None:
        self.do(name, lambda client: case.work(client.jetstream(timeout=SOON), count))


async def make_assets(client: Client) -> None:
    js = client.jetstream()
    for bucket in ("quotes", "written", "other"):
        await js.create_key_value(bucket=bucket, direct=True)
    for store in ("clips", "written", "other"):
        await js.create_object_store(bucket=store)
    await js.add_stream(name="chat_history", subjects=["rosey.prod.history.>"])
    await js.add_consumer("chat_history", durable_name="answers", filter_subject="rosey.prod.history.pulled")
    quotes = await js.key_value("quotes")
    for number in range(MANY):
        await quotes.put(f"many.{number}", VALUE)
    for _each in range(2 * MANY + 100):  # both cases that pull take theirs
        await js.publish("rosey.prod.history.pulled", VALUE)
    clips = await js.object_store("clips")
    await clips.put("long", CLIP)
    await clips.put("short", VALUE)


@pytest.fixture(scope="module")
def bus(nats_server: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    directory = tmp_path_factory.mktemp("rights")
    port, http_port = free_ports(2)
    cases = [user(case.name, case.granted) for case in CASES]
    further = [user(name, granted) for name, granted in FURTHER.items()]
    taken = [user(without(*each), [other for other in each[0].granted if other != each[1]]) for each in TAKEN]
    config = {
        "host": "127.0.0.1",
        "port": port,
        "http_port": http_port,
        "jetstream": {"store_dir": str(directory / "store")},
        "authorization": {"users": [{"user": MAKER, "password": MAKER}, *cases, *taken, *further]},
    }
    with Live(nats_server, directory / "server", config) as server:
        assert server.wait()
        made = Bus(port)
        made.do(MAKER, make_assets)
        yield made


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_right_does_what_it_is_for_with_40_megabytes(bus: Bus, case: Case) -> None:
    bus.attempt(case.name, case, MANY)
    assert bus.denied == []


@pytest.mark.parametrize(("case", "subject"), TAKEN, ids=lambda each: each if isinstance(each, str) else each.name)
def test_none_of_its_subjects_can_be_taken_away(bus: Bus, case: Case, subject: str) -> None:
    count = MANY if subject.startswith(FLOW_CONTROL) else 2
    with pytest.raises(FAILURES):
        bus.attempt(without(case, subject), case, count)
    assert bus.denied
    assert all(subjects.covers(subject.lower(), each) for each in bus.denied), bus.denied


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_else_can_be_asked_for(bus: Bus, case: Case) -> None:
    """Try what the others may, and what nobody may; the server tells which rights are in force, too."""
    tried = {literal(subject) for other in CASES for subject in other.granted} | set(NEVER)
    allowed = {each for each in tried if any(subjects.covers(own, each) for own in case.granted)}

    async def work(client: Client) -> dict[str, Any]:
        for subject in sorted(tried):
            await client.publish(subject, b"x")
        # the answer comes after all refusals
        told = json.loads((await client.request(WHO_AM_I, timeout=SOON)).data)
        permissions: dict[str, Any] = told["data"]["permissions"]
        return permissions

    permissions = bus.do(case.name, work)
    assert set(bus.denied) == {each.lower() for each in tried - allowed}
    assert set(permissions["publish"]["allow"]) == {WHO_AM_I, *case.granted}
    assert permissions["subscribe"]["allow"] == [f"{INBOX}.{case.name}.>"]
    assert allowed.isdisjoint(NEVER)


CREATE = "$JS.API.CONSUMER.CREATE.KV_quotes"


@pytest.mark.parametrize(
    ("name", "subject", "asked", "refusal"),
    [
        ("watch_bucket", CREATE, {"stream_name": "KV_other"}, "does not match"),
        ("watch_bucket", CREATE, {"config": {"durable_name": "stays", "deliver_subject": "x"}}, "to be ephemeral"),
        ("read_keys", "$JS.API.DIRECT.GET.KV_quotes.$KV.quotes.many.0", {"seq": 1}, "408"),
        ("watch_keys", f"{CREATE}.a.$KV.quotes.many.>", {"config": {"name": "a", "filter_subject": ">"}}, "10131"),
        ("watch_keys", f"{CREATE}.a.$KV.quotes.many.>", {"config": {"name": "a", "filter_subjects": [">"]}}, "10137"),
    ],
)
def test_a_request_does_not_reach_beyond_its_subject(
    bus: Bus, name: str, subject: str, asked: dict[str, Any], refusal: str
) -> None:
    request = json.dumps({"stream_name": "KV_quotes", **asked}).encode()
    answer = bus.do(name, lambda client: client.request(subject, request, timeout=SOON))
    assert refusal in f"{answer.headers} {answer.data.decode()}"


def test_a_watch_of_some_keys_asks_for_what_shows_all(bus: Bus) -> None:
    """It is why keys and watch are refused together: the filter could be held, but nats-py does not name it."""

    async def work(client: Client) -> None:
        await (await client.jetstream(timeout=SOON).key_value("quotes")).watch("many.>")

    with pytest.raises(FAILURES):
        bus.do("watch_keys", work)
    assert bus.denied == ["$js.api.consumer.create.kv_quotes"]


def test_what_no_permission_of_this_server_holds_back(bus: Bus) -> None:
    """The documentation says so: the names of all keys, where an answer goes, and a header that empties a bucket."""

    async def secret(client: Client) -> None:
        await (await client.jetstream().key_value("written")).put("quiz.secret", b"of another")

    async def reach_out(client: Client) -> Any:
        js = client.jetstream(timeout=SOON)
        await (await js.key_value("written")).put("trivia.chosen", b"chosen")
        shown = await client.request("$JS.API.STREAM.INFO.KV_written", b'{"subjects_filter": ">"}', timeout=SOON)
        await client.publish("$JS.API.DIRECT.GET.KV_written.$KV.written.trivia.chosen", reply="$KV.other.not.mine")
        await js.publish("$KV.written.trivia.last", headers={"Nats-Rollup": "all"})
        return json.loads(shown.data)["state"]["subjects"]

    async def look(client: Client) -> None:
        js = client.jetstream()
        assert (await (await js.key_value("other")).get("not.mine")).value == b"chosen"
        with pytest.raises(KeyNotFoundError):
            await (await js.key_value("written")).get("quiz.secret")

    async def take_header(client: Client) -> None:
        js = client.jetstream()
        config = (await js.stream_info("KV_written")).config
        await js.update_stream(config, allow_rollup_hdrs=False)

    async def keep(client: Client) -> None:
        js = client.jetstream(timeout=SOON)
        with pytest.raises(APIError, match="rollup not permitted"):
            await js.publish("$KV.written.trivia.last", headers={"Nats-Rollup": "all"})
        bucket = await js.key_value("written")
        await bucket.put("trivia.last", b"still")
        await bucket.delete("trivia.last")

    bus.do(MAKER, secret)
    assert "$KV.written.quiz.secret" in bus.do("write_keys", reach_out)
    bus.do(MAKER, look)
    # what the documentation says against the last
    bus.do(MAKER, take_header)
    bus.do("write_keys", keep)
    assert bus.denied == []
