# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd has on a host, or can't do there: told before anything is touched, and what harms nothing is let be.

The host has no SYS_PTRACE, without which systemd can't give a service user namespaces; LXC and a hardened kernel are
like that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._host import hardening

if TYPE_CHECKING:
    from .conftest import Container

LEVEL = {"nats_server_hardening": "without_user_namespaces"}
DROP_IN = "/etc/systemd/system/nats.service.d/override.conf"
UNIT = "/etc/systemd/system/nats.service"


@pytest.fixture(scope="module")
def poor(start_container: Callable[..., Container]) -> Container:
    lacks = "--cap-add=SYS_PTRACE"
    return start_container("rosey-test-poor", lacks=lacks, nats_server_config={"server_name": "poor"})


@contextmanager
def drop_in(container: Container, *lines: str) -> Iterator[None]:
    """Lay this over the unit, as systemctl edit does."""
    text = "\\n".join(("[Service]", *lines))
    container.run(f"mkdir -p {DROP_IN.rpartition('/')[0]} && printf '{text}\\n' > {DROP_IN}; systemctl daemon-reload")
    try:
        yield
    finally:
        container.run(f"rm {DROP_IN}; systemctl daemon-reload")


def refused(container: Container, changes: dict[str, Any], *options: str) -> str:
    """Play what has to be refused without a change; give what was said, in one line."""
    said = container.play(changes, *options)
    assert said.startswith("exit 2"), said
    assert re.search(r"changed=0 .* failed=1", said), said
    return said


def test_a_sandbox_that_the_host_can_not_apply_is_refused_on_an_empty_host(poor: Container) -> None:
    said = refused(poor, {}, "--check")
    assert "nats.service: this host can't apply PrivateUsers=true (systemd says: Failed to set up user namesp" in said
    assert "Set nats_server_hardening: without_user_namespaces (systemd-analyze security: 1.1," in said
    assert poor.attempt("getent passwd nats").returncode
    assert "trial" not in poor.run("systemctl list-units --all; ls /run/systemd/transient")


@pytest.mark.thorough
def test_the_level_that_the_host_can_do_is_told_with_its_score(poor: Container) -> None:
    said = poor.play(LEVEL)
    assert said.startswith("exit 0"), said
    score = hardening.score("without_user_namespaces", is_local=True)
    assert f"hardening: without_user_namespaces, systemd-analyze security: {score}" in said
    shown = poor.run("systemd-analyze security --no-pager nats")
    assert f"exposure level for nats.service: {score}" in shown


@pytest.mark.thorough
def test_a_drop_in_that_harms_nothing_is_told_and_let_be(poor: Container) -> None:
    server = poor.varz()["server_id"]
    with drop_in(poor, "LimitNOFILE=100000"):
        said = poor.play(LEVEL)
        assert re.search(r"changed=0 .* failed=0", said), said
        # a long line is shown as several
        assert f"drop-ins: {DROP_IN} sets LimitNOFILE=100000" in " ".join(said.split())
    assert poor.varz()["server_id"] == server


@pytest.mark.thorough
def test_what_contradicts_the_unit_or_is_hidden_by_it_is_refused_at_once(poor: Container) -> None:
    server = poor.varz()["server_id"]
    poor.run("install -d -m 777 /tmp/store")
    changes = {"nats_server_config": {"jetstream": {"store_dir": "/tmp/store"}}, "nats_server_accept": ["other_store"]}
    command = "/usr/local/bin/nats-server -c /etc/nats/other.conf"
    with drop_in(poor, "ExecStart=", f"ExecStart={command}", "User=root"):
        said = refused(poor, {**LEVEL, **changes})
    assert f"The drop-in {DROP_IN} sets ExecStart={command}, and the unit that is meant has ExecStart=" in said
    assert f"The drop-in {DROP_IN} sets User=root, and the unit that is meant has User=nats." in said
    assert "jetstream.store_dir: /tmp/store: PrivateTmp=true of the unit gives" in said
    assert poor.varz()["server_id"] == server


@pytest.mark.thorough
def test_a_masked_unit_is_refused(poor: Container) -> None:
    poor.run(f"mv {UNIT} /root/unit; ln -s /dev/null {UNIT}; systemctl daemon-reload")
    said = refused(poor, LEVEL)
    assert f"nats.service is masked ({UNIT}), so that nothing can start it. systemctl unmask nats" in said
    poor.run(f"mv /root/unit {UNIT}; systemctl daemon-reload")
    said = poor.play(LEVEL)
    assert re.search(r"changed=0 .* failed=0", said), said
