# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host, change by change, in this order: each test goes on from what the one before it left.

After every step the bot answers a chat command over the bus, or says that it runs without; the messages that were
stored at the beginning are all there; and what its owner wrote by hand stands as it was.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import Any

import nats.errors
import pytest
from testinfra.host import Host

testinfra_hosts = ["ansible://rosey-rollback"]

Play = Callable[..., str]

CONFIG = "/opt/rosey-bot/environments/staging/config.yaml"
SERVER_CONFIG = "/etc/nats/nats-server.conf"


@pytest.fixture(scope="module")
def remembered() -> dict[str, str]:
    """Give a place for what later tests compare with."""
    return {}


@pytest.fixture(autouse=True)
def nothing_is_lost(remembered: dict[str, str], rosey: Any, others_edits: Callable[[], str]) -> Iterator[None]:
    """Prove after each step that the messages are there, and the other people's edits."""
    if not remembered:
        remembered["messages"], remembered["edits"] = rosey.store(500, 1000), others_edits()
    yield
    assert rosey.stored(500) == remembered["messages"]
    assert others_edits() == remembered["edits"]


@pytest.fixture
def by_hand(host: Host) -> Iterator[Callable[[str, str], None]]:
    """Give a function that lays a setting of one's own over a unit, until the end of the test."""
    laid: list[str] = []

    def lay(unit: str, setting: str) -> None:
        directory = f"/etc/systemd/system/{unit}.service.d"
        laid.append(directory)
        host.check_output(f"mkdir {directory} && printf '[Service]\\n{setting}\\n' > {directory}/hand.conf")
        host.check_output("systemctl daemon-reload")

    yield lay
    for directory in laid:
        host.check_output(f"rm -rf {directory} && systemctl daemon-reload")


@pytest.mark.thorough
def test_a_plan_can_be_asked_for_without_a_change(deploy: Play, rosey: Any) -> None:
    before = rosey.host.file(SERVER_CONFIG).content, rosey.release(), rosey.varz("config_load_time")
    said = deploy("--check", "--diff", server={"max_connections": 60, "max_payload": 2097152})
    assert re.search(r"plan: reload; .*max_connections: 50 -> 60 \(reload\)", said)
    assert "-max_connections: 50" in said
    assert (rosey.host.file(SERVER_CONFIG).content, rosey.release(), rosey.varz("config_load_time")) == before


def test_a_change_is_proven_and_recorded(deploy: Play, rosey: Any, remembered: dict[str, str]) -> None:
    remembered["first"], server = rosey.release(), rosey.varz("server_id")
    deploy(server={"max_connections": 60})
    remembered["second"] = rosey.release()
    assert remembered["second"] != remembered["first"]
    assert (rosey.varz("max_connections"), rosey.varz("server_id")) == (60, server)
    assert rosey.answers()


def test_a_change_that_breaks_the_server_undoes_itself(
    deploy: Play, rosey: Any, by_hand: Callable[[str, str], None], remembered: dict[str, str]
) -> None:
    by_hand("nats", f'ExecStartPre=/bin/sh -c "! grep -q another_name {SERVER_CONFIG}"')
    change = {"max_connections": 70, "server_name": "another_name"}
    said = deploy(succeeds=False, server=change, nats_server_gate_wait=8)
    assert "systemd says: Control process exited, code=exited, status=1/FAILURE" in said
    assert f"rosey-rollback is back at release {remembered['second']}, as its gate has proven" in said
    assert rosey.release() == remembered["second"]
    assert rosey.varz("max_connections") == 60
    assert rosey.answers()


def test_a_change_that_breaks_the_bot_undoes_itself(deploy: Play, rosey: Any, remembered: dict[str, str]) -> None:
    elsewhere = {"bot_config_servers": ["nats://localhost:4999"], "bot_config_gate_wait": 4}
    said = deploy(succeeds=False, server={"max_connections": 70}, **elsewhere)
    assert f"rosey-rollback is back at release {remembered['second']}, as its gate has proven" in said
    assert rosey.varz("max_connections") == 60
    assert rosey.answers()


@pytest.mark.thorough
def test_a_way_back_that_fails_too_says_which_step_and_what_to_do(
    deploy: Play, play: Play, rosey: Any, by_hand: Callable[[str, str], None], remembered: dict[str, str]
) -> None:
    by_hand("nats", "ExecStartPre=/bin/false")
    said = deploy(succeeds=False, server={"server_name": "another_name"}, nats_server_gate_wait=4)
    assert f"could NOT go back to release {remembered['second']}" in said
    assert f"playbooks/rollback.yml -i <inventory> -e rollback_to={remembered['second']} --limit" in said
    # what a person does then
    rosey.host.check_output("rm /etc/systemd/system/nats.service.d/hand.conf && systemctl daemon-reload")
    play("rollback", rollback_to=remembered["second"])
    assert rosey.varz("server_name") == "rosey_nats_test"
    assert rosey.answers()


def test_previous_is_the_release_before(play: Play, rosey: Any, remembered: dict[str, str]) -> None:
    said = play("rollback", rollback_to="previous")
    assert f"release: {remembered['first']}" in said
    assert rosey.release() == remembered["first"]
    assert rosey.varz("max_connections") == 50
    assert rosey.answers()


@pytest.mark.thorough
def test_a_release_is_named_by_its_id(play: Play, rosey: Any, remembered: dict[str, str]) -> None:
    play("rollback", rollback_to=remembered["second"])
    assert rosey.release() == remembered["second"]
    assert rosey.varz("max_connections") == 60
    assert rosey.answers()


def test_legacy_takes_the_section_and_leaves_nats_running(play: Play, rosey: Any) -> None:
    server = rosey.varz("server_id")
    play("rollback", rollback_to="legacy")
    said = rosey.monitor("api/health", port=8000)
    assert said["status"] == "connected"
    assert "nats" not in said
    assert not rosey.host.file(CONFIG).contains("^nats:")
    assert rosey.varz("server_id") == server


def test_the_next_deployment_brings_nats_back(deploy: Play, rosey: Any) -> None:
    deploy(server={"max_connections": 60})
    assert rosey.varz("max_connections") == 60
    assert rosey.answers()


@pytest.mark.thorough
def test_a_server_that_is_stopped_with_it_stays_away_until_the_next_deployment(
    play: Play, deploy: Play, rosey: Any
) -> None:
    play("rollback", rollback_to="legacy", rollback_stop_nats=True)
    server = rosey.host.service("nats")
    assert (server.is_running, server.is_enabled) == (False, False)
    deploy(server={"max_connections": 60})
    assert (server.is_running, server.is_enabled) == (True, True)
    assert rosey.answers()


@pytest.mark.thorough
def test_a_bot_that_can_not_run_without_gets_its_section_back(
    play: Play, rosey: Any, by_hand: Callable[[str, str], None]
) -> None:
    by_hand("cytube-bot", f"ExecStartPre=/bin/grep -q ^nats: {CONFIG}")
    before = rosey.release()
    said = play("rollback", rollback_to="legacy", bot_config_gate_wait=8, succeeds=False)
    assert f"rosey-rollback is back at release {before}" in said
    assert rosey.host.file(CONFIG).contains("^nats:")
    assert rosey.answers()


@pytest.mark.thorough
def test_a_release_of_the_plugins_alone_keeps_the_server_in_it(deploy: Play, play: Play, rosey: Any) -> None:
    before = rosey.release()
    deploy("--tags", "bot_plugins", bot_plugins_overrides={"quotes": {"config": {"cooldown": 9}}})
    assert rosey.release() != before
    listed = play("rollback", rollback_to="list")
    assert re.search(rf"{rosey.release()}  current  nats-server 2\.10\.7  bot, plugins, server", listed)
    play("rollback")
    assert rosey.release() == before
    assert rosey.answers()


@pytest.mark.thorough
def test_a_rotated_password_holds_at_once_and_the_old_one_no_more(
    deploy: Play, play: Play, rosey: Any, watch: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    new = "rotated it's $new"
    with watch(new) as away:
        deploy(server={"max_connections": 60}, vault_nats_password=new)
    with capsys.disabled():
        print(f"\nCut off by another password: a client {away['client']:.3f} s, the bot {away['bot']:.3f} s.")
    assert rosey.answers(password=new)
    with pytest.raises((nats.errors.Error, asyncio.TimeoutError)):
        rosey.answers(max_reconnect_attempts=1)
    # the release before has the password of its time
    play("rollback")
    assert rosey.answers()
