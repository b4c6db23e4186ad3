# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each console block of the documentation is run in a clone, and says what it is shown to say.

Numbers, moments and ids are others each time, and so are places; "..." stands for anything.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import nats
import pytest

from ansible_collections.rosey.nats.plugins.module_utils._host import process
from ansible_collections.rosey.nats.tests import authority as authorities
from ansible_collections.rosey.nats.tests import run, sanity
from ansible_collections.rosey.nats.tests.docs.blocks import Block, blocks

CHANGE = '{"nats_server_config": {"server_name": "rosey_nats_dev", "max_payload": 2097152}}'
SITE = ("ansible-playbook", "site.yml", "-i", "inventories/development")
NUMBER = r"\d+(?:\.\d+)?"
MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
RELEASE = r"\d{8}T\d{6}Z-[0-9a-f]{6}"


@dataclass(frozen=True)
class Clone:
    """A clone of the repository whose development environment listens on ports of its own."""

    root: Path
    port: int

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command as its user would, with the tools of the tests in place of those of `make dev`."""
        if words[0] == "make":
            planned = subprocess.check_output(["make", "--dry-run", *words[1:]], cwd=self.root, text=True)
            tools = [line.removeprefix(".venv/bin/") for line in planned.splitlines() if line.startswith(".venv/bin/")]
            words = ("sh", "-c", " && ".join(tools))
        names = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        return subprocess.run(
            words, cwd=self.root, env={**names, "ANSIBLE_NOCOLOR": "1"}, capture_output=True, text=True, check=False
        )

    def ask(self, work: Callable[[nats.js.JetStreamContext], Awaitable[object]]) -> None:
        """Let a client of the server do something with JetStream."""

        async def talk() -> None:
            client = await nats.connect(f"nats://127.0.0.1:{self.port}")
            await work(client.jetstream())
            await client.close()

        asyncio.run(talk())

    def add_stream(self, name: str, messages: int) -> None:
        """Make a stream with so many messages."""

        async def work(jetstream: nats.js.JetStreamContext) -> None:
            await jetstream.add_stream(name=name, subjects=[name.lower()])
            for _each in range(messages):
                await jetstream.publish(name.lower(), b"one")

        self.ask(work)

    def signal_trivia(self, number: int) -> None:
        """Send a signal to the plugin trivia."""
        running = [found for pid in process.pids() if (found := process.read(pid)) and found.command]
        plugins = f"{self.root}/.dev/opt/rosey-bot/environments/development/plugins"
        (pid,) = [each.pid for each in running if each.command[-1] == f"{plugins}/trivia.yaml"]
        os.kill(pid, number)

    def deploy(self, *options: str) -> None:
        """Run site.yml, which has to end well."""
        done = self.run(*SITE, *options)
        assert done.returncode == 0, done.stdout


def free_ports(count: int) -> list[int]:
    """Name TCP ports of 127.0.0.1 that nothing listens on."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _each in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    root = tmp_path_factory.mktemp("documented") / "clone"
    sanity.copy_tree(root)
    # the links of a clone, by which it is found as a collection
    for link in ("collections/ansible_collections/rosey/nats", "playbooks/collections"):
        (root / link).parent.mkdir(parents=True, exist_ok=True)
        (root / link).symlink_to((run.ROOT / link).readlink())
    port, http_port, bot_port = free_ports(3)
    defaults = root / "roles" / "nats_server" / "defaults" / "main.yml"
    text = defaults.read_text()
    defaults.write_text(
        text.replace("port: 4222", f"port: {port}").replace("http_port: 8222", f"http_port: {http_port}")
    )
    with (root / "inventories" / "development" / "group_vars" / "development" / "bot.yml").open("a") as bot:
        bot.write(f"\nbot_config_health_url: http://localhost:{bot_port}/api/health\n")
    made = Clone(root, port)
    yield made
    assert made.run("make", "dev-down").returncode == 0


def nothing(_clone: Clone) -> None:
    """There is nothing to prepare."""


def change(clone: Clone) -> None:
    clone.deploy("-e", CHANGE)


def lose_a_stream(clone: Clone) -> None:
    clone.add_stream("QUOTES", 3)
    clone.deploy()
    clone.ask(lambda jetstream: jetstream.delete_stream("QUOTES"))


def accept_the_loss(clone: Clone) -> None:
    clone.deploy("-e", '{"nats_server_accept": ["gone_streams"]}')


def add_an_environment(clone: Clone) -> None:
    entry = clone.root / "inventories" / "qa" / "group_vars" / "qa" / "environments.yml"
    entry.write_text("bot_config_environments: {qa: {prefix: rosey.qa, after: staging}}\n")


def choose_a_secret(clone: Clone) -> None:
    clients = clone.root / "inventories" / "development" / "group_vars" / "development" / "clients.yml"
    clients.write_text("bot_plugins_credentials_secret: a secret of no host that anybody could reach\n")


def issue_a_certificate(clone: Clone) -> None:
    authority = authorities.Authority("authority of the bus")
    pair = authority.issue()
    texts = {"certificate": pair.certificate, "key": pair.key, "authorities": authority.pem}
    (clone.root / "tls.yml").write_text(json.dumps({"nats_server_tls": texts}))


@dataclass(frozen=True)
class Step:
    """A block by what only its commands have, and what its host has to have been through.

    is_thorough: whether only `make test-faults` has it.
    """

    mark: str
    before: Callable[[Clone], None] = nothing
    after: Callable[[Clone], None] = nothing
    is_thorough: bool = False


# In this order, on one host.
STEPS = (
    Step("make dev"),
    Step("playbooks/health.yml"),
    Step(
        "playbooks/remove.yml",
        lambda clone: clone.add_stream("QUOTES", 3),
        lambda clone: clone.ask(lambda jetstream: jetstream.delete_stream("QUOTES")),
    ),
    Step(
        "diagnose_symptom=plugin",
        lambda clone: clone.signal_trivia(signal.SIGSTOP),
        lambda clone: clone.signal_trivia(signal.SIGCONT),
    ),
    Step("max_conections"),
    Step("questions_file"),
    Step("added_cluster", lambda clone: clone.add_stream("CHAT", 12)),
    Step("rollback_to=list", change),
    Step("streams_gone", lose_a_stream, accept_the_loss, is_thorough=True),
    Step("-e @tls.yml", issue_a_certificate, Clone.deploy, is_thorough=True),
    Step("bot_plugins_credentials=each\n", choose_a_secret),
    Step("bot_plugins_credentials_numbers", is_thorough=True),
    Step("contract.yml -i inventories/production\n"),
    Step("contract_picture"),
    Step("cp -a inventories/staging"),
    Step("contract.yml -i inventories/qa\n", add_an_environment),
)


def to_run() -> list[Block]:
    return [block for block in blocks() if block.language == "console" and block.reason is None]


def pattern(shown: str, root: Path) -> re.Pattern[str]:
    """Give what the output of a command has to have, where the documentation shows this."""
    varying = {
        r"'binary: [^']*'": r"'binary: [^']*'",
        r"Quote \d+: [^']*'": r"Quote \d+: .*?'",
        r"nats-server 2\.10\.7": r"nats-server 2\.10\.7",
        r"/home/tester/clone": re.escape(str(root)),
        r"\btester\b": re.escape(getpass.getuser()),
        r"\.\.\.": ".*?",
        RELEASE: RELEASE,
        MOMENT: MOMENT,
        r"-{3,}": "-+",
        r"\*{3,}": r"\*+",
        NUMBER: NUMBER,
        r"\s+": r"\s+",
    }
    tokens = re.compile("|".join(f"({token})" for token in varying))
    by_number = dict(enumerate(varying.values(), 1))
    made, end = "", 0
    for match in tokens.finditer(shown.strip()):
        made += re.escape(shown.strip()[end : match.start()]) + by_number[match.lastindex or 0]
        end = match.end()
    return re.compile(made + re.escape(shown.strip()[end:]), re.DOTALL)


def test_each_block_has_its_step() -> None:
    found = {str(block): [step.mark for step in STEPS if step.mark in f"{block.text}\n"] for block in to_run()}
    assert [block for block, marks in found.items() if len(marks) != 1] == []
    assert sorted(mark for marks in found.values() for mark in marks) == sorted(step.mark for step in STEPS)


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(step, id=step.mark.strip(), marks=[pytest.mark.thorough] if step.is_thorough else [])
        for step in STEPS
    ],
)
def test_a_block_says_what_it_is_shown_to_say(clone: Clone, step: Step) -> None:
    (block,) = [block for block in to_run() if step.mark in f"{block.text}\n"]
    step.before(clone)
    try:
        for words, shown in zip(block.commands, block.shown, strict=True):
            done = clone.run(*words)
            said = f"{done.stdout}{done.stderr}"
            assert (done.returncode == 0) is not ("fatal:" in shown or "diagnose" in words[1]), said
            assert pattern(shown, clone.root).search(said), f"{block}: {' '.join(words)}\n{said}"
    finally:
        step.after(clone)


@pytest.mark.parametrize(
    ("shown", "said", "fits"),
    [
        ("- a 4 ms\n...\n- c", "- a 12.5 ms\n- b\n-   c\n", True),
        ("- a 4 ms\n- c", "- a 12.5 ms\n- b\n- c\n", False),
        ("- a 4 ms\n...\n- c", "- a 4 s\n- b\n- c\n", False),
        ("/home/tester/clone/.dev", "/clone/.dev", True),
        ("nats-server 2.10.7", "nats-server 2.10.8", False),
    ],
)
def test_what_is_shown_is_compared(shown: str, said: str, fits: bool) -> None:
    assert bool(pattern(shown, Path("/clone")).search(said)) is fits
