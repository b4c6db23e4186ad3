# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the steps of this scenario are taken with: the playbooks, and a client that looks at the outcome."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from testinfra.host import Host

VAULT = Path(__file__).parents[2] / "shared" / "vars" / "main.yml"
OUTAGE = Path(__file__).parent / "outage.py"
BOT_PYTHON = "/opt/rosey-bot/venv/bin/python"
CONFIG = "/opt/rosey-bot/environments/staging/config.yaml"
STRANGER = "/opt/rosey-bot/environments/staging/plugins/dice.yaml"
# What somebody else wrote: a line of the bot's own file, and a plugin that is described nowhere.
EDIT = "user: rosey            # renamed by hand on a Sunday"
DICE = "# mine\nname: dice\nenabled: false\n"


@pytest.fixture(scope="session")
def play(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Give a function that runs one of the collection's playbooks.

    It gives what was printed, each message in one line. The test fails where the play does not end as said with
    `succeeds`. Without `vault`, Ansible knows no password.
    """
    given = tmp_path_factory.mktemp("variables") / "given.json"

    def run(
        name: str,
        *options: str,
        limit: str = "rosey-rollback",
        vault: bool = False,
        succeeds: bool = True,
        **given_: Any,
    ) -> str:
        given.write_text(json.dumps(given_))
        words = ["ansible-playbook", f"rosey.nats.{name}", "-i", os.environ["MOLECULE_INVENTORY_FILE"], "-l", limit]
        words += [f"-e@{VAULT}"] if vault else []
        done = subprocess.run(
            [*words, f"-e@{given}", *options],
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        print(done.stdout, done.stderr)
        assert (done.returncode == 0) is succeeds
        return (done.stdout + done.stderr).replace("\\n", " ").replace('\\"', '"')

    return run


@pytest.fixture(scope="session")
def deploy(play: Callable[..., str]) -> Callable[..., str]:
    """Give a function that runs site.yml with these options of nats-server laid over staging's."""

    def run(*options: str, server: dict[str, Any] | None = None, **variables: Any) -> str:
        profile = {"nats_server_profile": "changed", "nats_server_profiles": {"changed": server or {}}}
        return play("site", *options, vault=True, **{**profile, **variables})

    return run


@dataclass(frozen=True)
class Rosey:
    """A host with the bot and its bus, as its clients find it."""

    host: Host
    monitor: Callable[..., dict[str, Any]]
    converse: Callable[..., Any]
    prefix: str

    def release(self) -> str:
        """Give the id of the release that the host has."""
        return str(self.host.check_output("cat /var/lib/rosey-nats/current"))

    def varz(self, name: str) -> Any:
        """Give what the server shows under this name."""
        return self.monitor("varz")[name]

    def answers(self, **options: Any) -> bool:
        """Write !quote in the chat, over the bus, and tell whether the plugin writes a quote there."""

        async def conversation(client: Client) -> str:
            subject = f"{self.prefix}.cytube.chat.message"
            chat = await client.subscribe(subject)
            # each time somebody else: the plugin answers nobody twice within a few seconds
            asked = {"user": uuid.uuid4().hex, "message": "!quote"}
            await client.publish(subject, json.dumps(asked).encode())
            said = [json.loads((await chat.next_msg(timeout=5)).data)["message"] for _message in range(2)]
            return str(said[-1])

        return str(self.converse(conversation, **options)).startswith("Quote ")

    def store(self, count: int, size: int) -> str:
        """Store so many messages in the stream `kept`, each acknowledged; give the digest of these."""

        async def conversation(client: Client) -> str:
            jetstream = client.jetstream(publish_async_max_pending=500)
            await jetstream.add_stream(name="kept", subjects=["rosey.test.kept"])
            digest, acknowledged = hashlib.sha256(), []
            for _message in range(count):
                body = os.urandom(size)
                digest.update(body)
                acknowledged.append(await jetstream.publish_async("rosey.test.kept", body))
            await jetstream.publish_async_completed()
            assert len({each.result().seq for each in acknowledged}) == count
            return digest.hexdigest()

        return str(self.converse(conversation))

    def stored(self, count: int) -> str:
        """Read the first messages of the stream `kept`; give their digest."""

        async def conversation(client: Client) -> str:
            stream = await client.jetstream().subscribe("rosey.test.kept", ordered_consumer=True)
            digest = hashlib.sha256()
            for _message in range(count):
                digest.update((await stream.next_msg(timeout=10)).data)
            return digest.hexdigest()

        return str(self.converse(conversation))


@pytest.fixture
def rosey(host: Host, monitor: Callable[..., dict[str, Any]], converse: Callable[..., Any], prefix: str) -> Rosey:
    """Give the host with its bot and its bus."""
    return Rosey(host, monitor, converse, prefix)


@pytest.fixture
def others_edits(host: Host) -> Callable[[], str]:
    """Give a function that returns what the bot's owner wrote by hand: what stands beside the section, and a plugin."""

    def read() -> str:
        own = re.sub(r"(?m)^nats:\n(?:[ -].*\n)*", "", host.file(CONFIG).content_string)
        return own + host.file(STRANGER).content_string

    if not host.file(STRANGER).exists:
        host.check_output(f"sed -i 's/^user: rosey .*/{EDIT}/' {CONFIG}")
        host.check_output(f"printf '{DICE}' > {STRANGER}")
    return read


@pytest.fixture
def watch(host: Host, login: dict[str, str]) -> Callable[..., AbstractContextManager[dict[str, float]]]:
    """Give a context for the change to a new password; after it, how long that kept a client and the bot away."""

    @contextmanager
    def run(new: str) -> Iterator[dict[str, float]]:
        words = ["docker", "exec", "-i", host.backend.get_hostname(), BOT_PYTHON, "-c", OUTAGE.read_text()]
        seen: dict[str, float] = {}
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as watcher:
            assert watcher.stdin is not None
            assert watcher.stdout is not None
            watcher.stdin.write(json.dumps({"user": login["user"], "old": login["password"], "new": new}) + "\n")
            watcher.stdin.flush()
            assert watcher.stdout.readline() == "watching\n"
            yield seen
            said, _nothing = watcher.communicate(timeout=30)
        seen.update(json.loads(said))

    return run
