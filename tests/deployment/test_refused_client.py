# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is diagnosed of a client that is refused what is not declared of it; each test goes on from the one before."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from ansible_collections.rosey.nats.tests.deployment.test_each_client import (
    EACH,
    PLUGINS,
    PREFIX,
    connected,
    deploy,
    variables_of,
)
from ansible_collections.rosey.nats.tests.integration.conftest import Deployment


@pytest.fixture(scope="module")
def deployed(deployed: Deployment) -> Deployment:
    deploy(deployed)
    return deployed


def diagnosed(host: Deployment, symptom: str) -> str:
    said = host.play({**PLUGINS, **EACH}, "-e", f"diagnose_symptom={symptom}", playbook="playbooks/diagnose.yml")
    for client in ("bot", "quotes", "operator"):
        assert variables_of(host, client)["NATS_PASSWORD"] not in said
    return " ".join(said.split())


def try_in_vain(host: Deployment, client: str) -> None:
    async def work() -> None:
        errors: list[str] = []
        connection = await connected(host, client, errors)
        await connection.publish(f"{PREFIX}.plugin.trivia.event", b"")
        await connection.subscribe("_INBOX.abc.*")
        await connection.flush()
        await asyncio.sleep(0.3)
        await connection.close()
        assert len(errors) == 2

    asyncio.run(work())


@pytest.mark.thorough
@pytest.mark.parametrize("symptom", ["bot", "plugin"])
def test_what_the_gate_tried_in_vain_is_no_cause(deployed: Deployment, symptom: str) -> None:
    log = deployed.directory / "root" / "var" / "log" / "nats" / "nats-server.log"
    assert "Violation" in log.read_text()
    said = diagnosed(deployed, symptom)
    assert said.startswith("exit 0"), said


@pytest.mark.parametrize(
    ("client", "symptom", "name", "declare"),
    [
        ("quotes", "plugin", "plugin_refused", "publishes of plugin quotes in bot_plugins_declared"),
        ("bot", "bot", "bot_refused", "publishes of bot_plugins_bot"),
    ],
)
def test_who_was_refused_what_and_what_to_declare_is_said(
    deployed: Deployment, client: str, symptom: str, name: str, declare: str
) -> None:
    try_in_vain(deployed, client)
    said = diagnosed(deployed, symptom)
    assert said.startswith("exit 2"), said
    assert f"[{name}, {symptom}, certain]" in said
    assert f"{client} was refused to publish {PREFIX}.plugin.trivia.event" in said
    assert f"{client} was refused to subscribe to _INBOX.abc.*" in said
    assert f"add plugin.trivia.event to {declare}" in said
    assert f"give inbox_prefix to the connection of {client}" in said


@pytest.mark.thorough
def test_one_that_is_let_do_all_and_fails_is_not_taken_for_it(deployed: Deployment) -> None:
    # what was refused before another configuration is told no more
    deploy(deployed, bot_plugins_credentials_numbers={"trivia": 2})
    with sqlite3.connect(deployed.home / "data" / "quotes.db") as database:
        database.execute("DROP TABLE quotes")
    said = diagnosed(deployed, "plugin")
    assert said.startswith("exit 2"), said
    assert "[plugin_fails, plugin, likely]" in said
    assert "plugin_refused" not in said
