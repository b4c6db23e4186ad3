# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.rosey.nats.plugins.module_utils._bus import bot_gate
from ansible_collections.rosey.nats.plugins.module_utils._bus.results import GateError
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import BOT, fake_monitoring

NAMES = ("bot", "quotes", "trivia", "probe", "deployment", "operator", "system")
OWNERS = {"bot": "nobody", "quotes": "nobody", "trivia": "daemon"}
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another account")


def params_of(**given: Any) -> dict[str, Any]:
    validated = ArgumentSpecValidator(bot_gate.ARGUMENTS, **bot_gate.CONSTRAINTS).validate(given)
    assert validated.error_messages == []
    return dict(validated.validated_parameters)


def test_what_is_secret_is_told_before_anything_can_fail(tmp_path: Path) -> None:
    variables = tmp_path / "environment"
    variables.write_text("NATS_USER=rosey\nNATS_PASSWORD=hunter2\n")
    params = params_of(
        servers=["nats://me:s3cret@h"],
        environment_file=str(variables),
        round_trip={"subject": "a"},
        python="/bot/python",
        health_url="http://127.0.0.1:1/api/health",
    )
    hidden: set[str] = set()
    with pytest.raises(GateError, match="servers: h has a user or password before it"):
        bot_gate.prove(params, hidden.update, check_mode=False)
    assert {"s3cret", "hunter2"} <= hidden
    assert params["credentials"] is None


@pytest.fixture
def passable() -> Iterator[Path]:
    """Give a directory that other accounts can pass."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o711)
        yield Path(made)


def asked_as_nobody(directory: Path, url: str) -> dict[str, Any]:
    """Give what the gate is asked by root, of a bot whose Python notes what it is given; each client has its file."""
    clients = []
    for name in NAMES:
        file = directory / f"{name}.env"
        file.write_text(f"NATS_USER={name}.1\nNATS_PASSWORD=of-{name}\nNATS_INBOX_PREFIX=rosey.dev._inbox.{name}\n")
        file.chmod(0o600)
        shutil.chown(file, OWNERS.get(name, "root"))
        clients.append({"name": name, "file": str(file), "permissions": {}})
    noted = directory / "noted"
    noted.touch()
    noted.chmod(0o666)
    python = directory / "python"
    python.write_text(f"#!/bin/sh\ncat > {noted}\necho '{{}}'\n")
    python.chmod(0o755)
    return params_of(
        health_url=f"{url}/api/health",
        servers=["nats://localhost:4222"],
        clients=clients,
        python=str(python),
        user="nobody",
        wait=0,
    )


@needs_root
def test_the_account_of_the_bot_is_given_no_credential_to_log_in_with(passable: Path) -> None:
    with fake_monitoring({"/api/health": BOT}) as server:
        proof = bot_gate.prove(asked_as_nobody(passable, server.url), lambda _secrets: None, check_mode=False)
    assert proof.result["clients"] == [*NAMES]
    assert (passable / "noted").read_text() == ""


@needs_root
@pytest.mark.parametrize("planted", ["link", "seed", "seed link", "pipe"])
def test_the_account_of_the_bot_is_given_nothing_that_it_only_names(passable: Path, planted: str) -> None:
    hushed = passable / "shadow"
    hushed.write_text("NATS_USER=root\nNATS_PASSWORD=hunter2\n")
    hushed.chmod(0o600)
    file = passable / "quotes.env"
    with fake_monitoring({"/api/health": BOT}) as server:
        asked = asked_as_nobody(passable, server.url)
        if planted.startswith("seed"):
            seed = passable / "quotes.nk"
            seed.symlink_to(hushed)
            file.write_text(f"NATS_NKEY={seed if 'link' in planted else hushed}\n")
        else:
            file.unlink()
            file.symlink_to(hushed) if planted == "link" else os.mkfifo(file)
        with pytest.raises(GateError, match=r"it belongs to root; expected nobody|no regular file") as raised:
            bot_gate.prove(asked, lambda _secrets: None, check_mode=False)
    assert "hunter2" not in str(raised.value)
    assert (passable / "noted").read_text() == ""
