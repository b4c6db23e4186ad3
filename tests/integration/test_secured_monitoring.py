# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server whose monitoring endpoint has a certificate of an authority that the host has been told to trust."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import run_playbook

if TYPE_CHECKING:
    from .conftest import Container
    from .material import Material

pytestmark = pytest.mark.thorough

TRUSTED = "/usr/local/share/ca-certificates/bus.crt"
CONFIG = {"host": "localhost", "http_port": None, "https_port": 8222, "jetstream": None}


def copy(container: Container, source: str, destination: str) -> None:
    subprocess.run(["docker", "cp", source, f"{container.name}:{destination}"], check=True, capture_output=True)


@pytest.fixture(scope="module")
def secured(start_container: Callable[..., Container], material: Material) -> Container:
    certificate, key = (Path(each[0]).read_text(encoding="ascii") for each in (material.certificates, material.keys))
    return start_container(
        "rosey-test-secured",
        nats_server_config=CONFIG,
        nats_server_tls={"certificate": certificate, "key": key, "authorities": certificate},
        nats_server_gate_wait=5,
    )


def test_it_is_refused_until_the_host_trusts_the_certificate(secured: Container) -> None:
    said = secured.play()
    assert not said.startswith("exit 0"), said
    assert "self-signed certificate" in said, said
    assert "update-ca-certificates" in said, said


def test_it_is_proven_once_the_host_trusts_the_certificate(secured: Container, material: Material) -> None:
    copy(secured, material.certificates[0], TRUSTED)
    secured.run("update-ca-certificates")
    said = secured.play()
    assert said.startswith("exit 0"), said
    assert re.search(r"proven: '?\d+ of \d+ proven", said), said


@pytest.mark.parametrize("playbook", ["health", "diagnose"])
def test_it_is_well_and_seen_to_be(secured: Container, playbook: str) -> None:
    said = run_playbook(f"playbooks/{playbook}.yml", secured.inventory)
    assert said.startswith("exit 0"), said
