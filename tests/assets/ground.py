# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bare nats-servers on directories, what is put into their JetStream, and the digest of every message of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import nats
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from ansible_collections.rosey.nats.plugins.module_utils._server import conf

Config = dict[str, Any]
REJECTED = "Failed to reload server configuration: "
NOTABLE = re.compile(r"(?:\[(?:WRN|ERR|FTL)\]|nats-server:).*")
SECONDS = 15.0
PAUSE = 0.01
SETTLE = 0.3
BATCH = 100
MESSAGES = 500
ACKED, FETCHED = 60, 100
API = "$JS.API"


@dataclass(frozen=True)
class Login:
    """Who connects; without a user it is anybody."""

    user: str = ""
    password: str = ""

    def __str__(self) -> str:
        return self.user or "anybody"


ANYBODY = Login()


@dataclass(frozen=True)
class Hold:
    """A stream to be held.

    consumer: what its first consumer differs in from a durable one with a moved ack floor. more: further durable ones.
    early: the consumers are there before the messages. twice: every subject gets two messages.
    update: what is changed of the stream afterwards. headers: of every message.
    """

    name: str
    stream: Mapping[str, Any] = field(default_factory=dict)
    consumer: Mapping[str, Any] | None = field(default_factory=dict)
    more: tuple[Mapping[str, Any], ...] = ()
    fetch: bool = True
    early: bool = False
    twice: bool = False
    update: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    messages: int = MESSAGES
    size: int = 100
    subject: str = ""

    @property
    def prefix(self) -> str:
        return self.subject or f"{self.name.lower()}."

    def config(self) -> dict[str, Any]:
        return {"name": self.name, "subjects": [f"{self.prefix}>"], "storage": "file", **self.stream}


@dataclass
class Seen:
    """What could be read.

    consumers: the ack floor of each. errors: what kept it from being read. refused: why new messages were.
    """

    messages: dict[tuple[str, str, int], str] = field(default_factory=dict)
    consumers: dict[tuple[str, str, str], int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    healthz: str = ""
    log: list[str] = field(default_factory=list)
    figures: str = ""
    configs: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)

    def differs(self, before: Seen) -> str:
        """Tell which fields of the configurations are others, where stream or consumer are there."""
        found = set()
        for key, old in before.configs.items():
            new = self.configs.get(key)
            if new is not None:
                found |= {name for name in {*old, *new} if old.get(name) != new.get(name)}
        return ", ".join(sorted(found))

    def lacks(self, before: Seen) -> str:
        """Tell what is missing or different; an empty text where nothing is."""
        gone = [key for key, value in before.messages.items() if self.messages.get(key) != value]
        parts = []
        if gone:
            streams = sorted({stream for _who, stream, _sequence in gone})
            parts.append(f"{len(gone)} of {len(before.messages)} messages of {','.join(streams)}")
        consumers = [key for key, value in before.consumers.items() if self.consumers.get(key) != value]
        if consumers:
            now = {self.consumers.get(key) for key in consumers}
            how = "gone" if now == {None} else f"ack floor {sorted(str(each) for each in now)}"
            parts.append(f"{len(consumers)} of {len(before.consumers)} consumers ({how})")
        return ", ".join(parts)


def free_ports(number: int) -> list[int]:
    """Give ports of 127.0.0.1 that nothing listens on, each another."""
    probes = [socket.socket() for _each in range(number)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def lay_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> Config:
    """Lay one configuration over another; None takes an option away."""
    merged = dict(below)
    for key, value in above.items():
        lower = merged.get(key)
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(lower, Mapping):
            merged[key] = lay_over(lower, value)
        elif isinstance(value, Mapping):
            merged[key] = lay_over({}, value)
        else:
            merged[key] = value
    return merged


def fill_in(value: Any, words: Mapping[str, str]) -> Any:
    """Replace every {word} in the texts of a configuration."""
    if isinstance(value, Mapping):
        return {key: fill_in(each, words) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [fill_in(each, words) for each in value]
    if isinstance(value, str):
        for word, replacement in words.items():
            value = value.replace(f"{{{word}}}", replacement)
    return value


class Server:
    """A nats-server on its own directory; it can be stopped and started, also as another version."""

    def __init__(self, directory: Path, number: int = 1) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.port, self.monitoring_port, self.cluster_port, self.other_port = free_ports(4)
        self.config_file = directory / "nats-server.conf"
        self.output = directory / "output"
        self.process: subprocess.Popen[bytes] | None = None
        self.words = {
            "directory": str(directory),
            "cluster": str(self.cluster_port),
            "other": str(self.other_port),
            "number": str(number),
        }
        self.base: Config = {
            "server_name": f"bare_{number}",
            "host": "127.0.0.1",
            "port": self.port,
            "http_port": self.monitoring_port,
            "jetstream": {"store_dir": str(directory / "store"), "max_mem": 64_000_000, "max_file": 1_000_000_000},
        }

    def write(self, *above: Mapping[str, Any]) -> None:
        """Write the configuration that lays others over the base, one after the other."""
        whole = self.base
        for each in above:
            whole = lay_over(whole, fill_in(each, self.words))
        # A variable stands before its use.
        whole = dict(sorted(whole.items(), key=lambda item: isinstance(item[1], Mapping)))
        if isinstance(whole.get("jetstream"), dict) and not whole["jetstream"]:
            whole["jetstream"] = "enabled"
        self.config_file.write_text(conf.render(whole))

    def start(self, binary: Path, environment: Mapping[str, str]) -> None:
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [binary, "-c", self.config_file],
                cwd=self.directory,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **fill_in(environment, self.words)},
            )

    def wait(self) -> bool:
        """Wait until it answers; tell whether it does."""
        assert self.process
        deadline = time.monotonic() + SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            if self.ask("varz") and "failed to be ready" not in self.healthz():
                return True
            time.sleep(PAUSE)
        return False

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(30)
        self.process = None

    def reload(self) -> str:
        """Let it read its file; give the words with which it refuses, or nothing."""
        before = (self.ask("varz") or {}).get("config_load_time")
        mark = self.output.stat().st_size
        assert self.process
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            said = self.output.read_bytes()[mark:].decode(errors="replace")
            if REJECTED in said:
                return said.partition(REJECTED)[2].partition("\n")[0].strip()
            if (self.ask("varz") or {}).get("config_load_time", before) != before:
                return ""
            time.sleep(PAUSE)
        return "neither taken nor refused"

    def ask(self, endpoint: str) -> dict[str, Any] | None:
        """Ask the monitoring; None where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.monitoring_port}/{endpoint}", timeout=5) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            return dict(json.loads(error.read() or b"{}"))
        except OSError:
            return None

    def healthz(self) -> str:
        answer = self.ask("healthz")
        return "does not answer" if answer is None else f"{answer.get('status')} {answer.get('error', '')}".strip()

    def figures(self) -> str:
        """Give the server's own count of what it has."""
        found = self.ask("jsz") or {}
        if found.get("disabled"):
            return "JetStream off"
        return f"{found.get('streams', '?')} streams, {found.get('messages', '?')} messages"

    def mark(self) -> int:
        return self.output.stat().st_size if self.output.exists() else 0

    def log(self, mark: int) -> list[str]:
        """Give the warnings and errors that it wrote since a mark."""
        lines = self.output.read_bytes()[mark:].decode(errors="replace").splitlines() if self.output.exists() else []
        found = [match[0] for line in lines if (match := NOTABLE.search(line)) and "Plaintext passwords" not in line]
        return list(dict.fromkeys(found))


async def connect(port: int, login: Login) -> Client:
    """Connect, or raise at once."""
    words: dict[str, Any] = {"user": login.user, "password": login.password} if login.user else {}

    async def quiet(_error: Exception) -> None:
        pass

    return await nats.connect(
        f"nats://127.0.0.1:{port}",
        allow_reconnect=False,
        connect_timeout=3,
        max_reconnect_attempts=1,
        error_cb=quiet,
        **words,
    )


async def request(
    client: Client, subject: str, body: Mapping[str, Any] | None = None, seconds: float = 5
) -> dict[str, Any]:
    answer = await client.request(
        subject, json.dumps(body or {}).encode() if body is not None else b"", timeout=seconds
    )
    return dict(json.loads(answer.data))


async def call(client: Client, subject: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Ask JetStream's API, again where a cluster is not ready; raise what it answers with otherwise."""
    for attempt in range(40):
        try:
            answer = await request(client, f"{API}.{subject}", body)
        except Exception:
            if attempt > 5:
                raise
            await asyncio.sleep(0.3)
            continue
        if "error" not in answer:
            return answer
        if answer["error"].get("err_code") not in (10008, 10009, 10118, 10005, 10074):
            break
        if answer["error"].get("err_code") in (10074, 10005) and attempt > 20:
            break
        await asyncio.sleep(0.3)
    raise RuntimeError(answer["error"]["description"])


async def _fill(port: int, login: Login, holds: Iterable[Hold]) -> None:
    client = await connect(port, login)
    try:
        for hold in holds:
            await call(client, f"STREAM.CREATE.{hold.name}", hold.config())
            if hold.early:
                await _consume(client, replace(hold, fetch=False))
            source = random.Random(hold.name)
            for first in range(0, hold.messages, BATCH):
                payloads = [source.randbytes(hold.size // 2) * 2 for _each in range(min(BATCH, hold.messages - first))]
                acks = await asyncio.gather(
                    *(
                        client.request(
                            f"{hold.prefix}{(first + number) % (hold.messages // 2 if hold.twice else hold.messages)}",
                            payload,
                            timeout=20,
                            headers=dict(hold.headers) or None,
                        )
                        for number, payload in enumerate(payloads)
                    )
                )
                assert all("error" not in json.loads(ack.data) for ack in acks)
            if hold.consumer is not None:
                await _consume(client, hold)
            if hold.update is not None:
                await call(client, f"STREAM.UPDATE.{hold.name}", {**hold.config(), **hold.update})
        await client.flush()
        # A consumer's ack floor reaches its file a little later; a stop before that loses it.
        await asyncio.sleep(SETTLE)
    finally:
        await client.close()


async def _consume(client: Client, hold: Hold) -> None:
    """Make a consumer, fetch and acknowledge, so that its ack floor moves."""
    assert hold.consumer is not None
    config = {"durable_name": "reader", "ack_policy": "explicit", "ack_wait": 300_000_000_000, **hold.consumer}
    config = {key: value for key, value in config.items() if value is not None}
    durable = config.get("durable_name")
    subject = f"CONSUMER.DURABLE.CREATE.{hold.name}.{durable}" if durable else f"CONSUMER.CREATE.{hold.name}"
    made = await call(client, subject, {"stream_name": hold.name, "config": config})
    for number, each in enumerate(hold.more):
        named = {"durable_name": f"reader_{number}", "ack_policy": "explicit", **each}
        body = {"stream_name": hold.name, "config": named}
        await call(client, f"CONSUMER.DURABLE.CREATE.{hold.name}.{named['durable_name']}", body)
    if not hold.fetch:
        return
    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox)
    pull = json.dumps({"batch": FETCHED, "expires": 3_000_000_000}).encode()
    fetched: list[Msg] = []
    # In a cluster the consumer may have no leader yet.
    for _attempt in range(5):
        await client.publish(f"{API}.CONSUMER.MSG.NEXT.{hold.name}.{made['name']}", pull, reply=inbox)
        try:
            while len(fetched) < FETCHED:
                message = await subscription.next_msg(timeout=2)
                if message.reply:
                    fetched.append(message)
            break
        except nats.errors.TimeoutError:
            continue
    assert len(fetched) == FETCHED
    for message in fetched[:ACKED]:
        await client.request(message.reply, b"+ACK", timeout=5)
    await subscription.unsubscribe()


async def _read(port: int, label: str, login: Login, seen: Seen, prefix: str) -> list[tuple[str, list[str]]]:
    """Read all that a login can see. Give the streams that are there, with their subjects."""
    client = await connect(port, login)
    found: list[tuple[str, list[str]]] = []
    try:
        names: list[str] = []
        while True:
            page = await request(client, f"{prefix}.STREAM.NAMES", {"offset": len(names)}, 3)
            if "error" in page:
                raise RuntimeError(page["error"]["description"])
            names += page["streams"] or []
            if len(names) >= page["total"] or not page["streams"]:
                break
        for name in names:
            try:
                info = await request(client, f"{prefix}.STREAM.INFO.{name}", None, 3)
            except Exception as error:
                info = {"error": {"description": type(error).__name__}}
            if "error" in info:
                seen.errors.append(f"{name}: {info['error']['description']}")
                continue
            state = info["state"]
            found.append((name, info["config"].get("subjects", [])))
            seen.configs[label, name, ""] = info["config"]
            numbers = range(state["first_seq"], state["last_seq"] + 1)
            for first in range(0, len(numbers), BATCH):
                part = numbers[first : first + BATCH]
                answers = await asyncio.gather(
                    *(request(client, f"{prefix}.STREAM.MSG.GET.{name}", {"seq": each}, 10) for each in part)
                )
                for number, answer in zip(part, answers, strict=True):
                    if message := answer.get("message"):
                        text = json.dumps(
                            [message["subject"], message.get("hdrs"), message.get("data"), message["time"]]
                        )
                        seen.messages[label, name, number] = hashlib.sha256(text.encode()).hexdigest()
            consumers = await request(client, f"{prefix}.CONSUMER.LIST.{name}", {"offset": 0}, 5)
            for each in consumers.get("consumers") or []:
                seen.consumers[label, name, each["name"]] = each["ack_floor"]["stream_seq"]
                seen.configs[label, name, each["name"]] = each["config"]
    finally:
        await client.close()
    return found


async def _write(port: int, login: Login, streams: Iterable[tuple[str, list[str]]], seen: Seen, word: str) -> None:
    client = await connect(port, login)
    try:
        for name, subjects in streams:
            if not subjects:
                continue
            try:
                answer = await request_bytes(client, subjects[0].replace(">", f"probe.{word}"), b"probe")
            except Exception as error:
                seen.refused.append(f"{name}: {type(error).__name__}")
                continue
            if "error" in answer:
                seen.refused.append(f"{name}: {answer['error']['description']}")
    finally:
        await client.close()


async def request_bytes(client: Client, subject: str, payload: bytes) -> dict[str, Any]:
    return dict(json.loads((await client.request(subject, payload, timeout=3)).data))


def fill(server: Server, login: Login, holds: Iterable[Hold]) -> None:
    """Put streams, messages and consumers into a server."""
    asyncio.run(_fill(server.port, login, holds))


async def _declare(port: int, login: Login, holds: Iterable[Hold], update: bool) -> list[str]:
    said = []
    client = await connect(port, login)
    try:
        for hold in holds:
            try:
                answer = await request(client, f"{API}.STREAM.CREATE.{hold.name}", hold.config())
                word = (
                    answer["error"]["description"]
                    if "error" in answer
                    else f"created with {answer['state']['messages']}"
                )
                if update:
                    answer = await request(client, f"{API}.STREAM.UPDATE.{hold.name}", hold.config())
                    word += f", updated {answer.get('error', '')}"
            except Exception as error:
                word = type(error).__name__
            said.append(f"{hold.name} {word}")
    finally:
        await client.close()
    return said


def declare(server: Server, login: Login, holds: Iterable[Hold], *, update: bool = False) -> list[str]:
    """Create the streams as a deployment does after a start; give what came of it. update: update them, too."""
    try:
        return asyncio.run(_declare(server.port, login, holds, update))
    except Exception as error:
        return [type(error).__name__]


def digest(server: Server, logins: Mapping[str, Login], *, domain: str = "", write: str = "") -> Seen:
    """Read every message and consumer that the logins see. write: a word for new messages to try afterwards."""
    seen = Seen(healthz=server.healthz(), figures=server.figures())
    prefix = f"$JS.{domain}.API" if domain else API
    if server.ask("varz") is None:
        seen.errors.append("the server does not answer")
        return seen
    for label, login in logins.items():
        try:
            streams = asyncio.run(_read(server.port, label, login, seen, prefix))
            if write:
                asyncio.run(_write(server.port, login, streams, seen, write))
        except Exception as error:
            seen.errors.append(f"{login}: {type(error).__name__} {error}".strip())
    return seen
