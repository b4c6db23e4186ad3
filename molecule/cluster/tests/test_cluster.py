# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three hosts that are one bus, after it was changed in every way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nats.aio.client import Client
from testinfra.host import Host

HOSTS = {f"rosey-cluster-{number}" for number in (1, 2, 3)}
NAMES = {f"rosey_nats_prod_{host}" for host in HOSTS}

Monitor = Callable[..., dict[str, Any]]


def test_each_is_a_member(monitor: Monitor, host: Host) -> None:
    name = f"rosey_nats_prod_{host.backend.get_hostname()}"
    assert monitor("varz")["server_name"] == name
    assert monitor("jsz")["meta_cluster"]["cluster_size"] == len(HOSTS)
    routes = monitor("routez")["routes"]
    assert {each["remote_name"] for each in routes} == NAMES - {name}


def test_routes_are_private_and_of_named_peers(host: Host) -> None:
    peers = {f"172.31.250.1{number}" for number in (1, 2, 3)} - {host.check_output("hostname -I").split()[0]}
    unit = host.file("/etc/systemd/system/nats.service").content_string
    # clients come from everywhere
    assert "IPAddressDeny" not in unit
    for peer in sorted(peers):
        ask = f"openssl s_client -connect {peer}:6222 -CAfile /etc/nats/tls/authorities.crt -verify_return_error -brief"
        assert "Verification: OK" in host.run(f"{ask} </dev/null 2>&1").stdout


def test_a_message_goes_from_one_to_another(converse: Callable[..., Any]) -> None:
    async def conversation(client: Client) -> Any:
        answer = await client.jetstream().stream_info("LOAD")
        return answer.config.num_replicas, sorted(peer.current for peer in answer.cluster.replicas)

    assert converse(conversation) == (3, [True, True])


def test_the_bot_knows_all_of_them_its_own_first(host: Host) -> None:
    section = host.file("/opt/rosey-bot/environments/production/config.yaml").content_string
    own = host.check_output("hostname -I").split()[0]
    others = [f"tls://172.31.250.1{number}:4222" for number in (1, 2, 3) if not own.endswith(f"1{number}")]
    places = [section.index(url) for url in ("tls://localhost:4222", *others)]
    assert places == sorted(places)
    assert f"tls://{own}:4222" not in section
