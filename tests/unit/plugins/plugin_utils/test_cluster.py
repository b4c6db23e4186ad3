# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.filter.nats_cluster import nats_cluster
from ansible_collections.rosey.nats.plugins.module_utils._server.options import check
from ansible_collections.rosey.nats.plugins.plugin_utils import cluster
from ansible_collections.rosey.nats.plugins.plugin_utils.cluster import Host

OWN = {"name": "rosey"}
STAGING = [Host(name, OWN, f"192.0.2.{number}", "staging") for number, name in enumerate("abc", 1)]
THREE = [Host("a", OWN, "192.0.2.1"), Host("b", OWN, "192.0.2.2"), Host("c", {**OWN, "port": 7000}, "2001:db8::3")]
SECRET = "of no host that anybody could reach, but long"


def test_each_member_has_a_name_of_its_own_and_routes_to_the_others_alone() -> None:
    found = cluster.described(OWN, THREE, "b", "bus")
    assert found == {
        "problems": [],
        "members": {"a": "bus_a", "b": "bus_b", "c": "bus_c"},
        "config": {
            "server_name": "bus_b",
            "cluster": {
                "name": "rosey",
                "host": "192.0.2.2",
                "port": 6222,
                "no_advertise": True,
                "routes": ["nats://192.0.2.1:6222", "nats://[2001:db8::3]:7000"],
            },
        },
        "peers": ["192.0.2.1", "2001:db8::3"],
        "url": "nats://192.0.2.2:6222",
    }
    assert check.problems(found["config"]) == []


@pytest.mark.parametrize(
    ("host", "listens", "address"),
    [
        (Host("a.example.org", OWN), "0.0.0.0", "a.example.org"),
        (Host("a", OWN, "bus.example.org"), "0.0.0.0", "bus.example.org"),
        (Host("a", {**OWN, "address": "192.0.2.9"}, "bus.example.org"), "192.0.2.9", "192.0.2.9"),
        (Host("a", {**OWN, "address": "198.51.100.1", "host": "10.0.0.1"}), "10.0.0.1", "198.51.100.1"),
        (Host("a", OWN, "2001:db8::1"), "2001:db8::1", "2001:db8::1"),
    ],
)
def test_a_member_listens_where_the_others_reach_it(host: Host, listens: str, address: str) -> None:
    found = cluster.described(host.cluster, [host, Host("b", OWN)], host.name, "bus")
    assert found["config"]["cluster"]["host"] == listens
    other = cluster.described(OWN, [host, Host("b", OWN)], "b", "bus")
    assert other["peers"] == [address]


def test_who_has_another_name_or_none_is_no_member() -> None:
    hosts = [*THREE, Host("d", {"name": "other"}), Host("e", {}), Host("f", None), Host("g", "rosey")]
    assert [*cluster.described(OWN, hosts, "a", "bus")["members"]] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("own", "hosts", "words"),
    [
        ({}, THREE, "name is None; expected a word"),
        ({"name": "two words"}, THREE, "name is 'two words'; expected a word"),
        ({"name": 3}, THREE, "name is 3; expected a word"),
        ({**OWN, "routes": []}, THREE, "routes: it has no such option; expected some of name, address, port, host"),
        (
            OWN,
            [THREE[0], Host("b", {"name": "other"})],
            "a is the only host that has it; expected it on each host of the",
        ),
        (OWN, [THREE[0], Host("b", {"name": "other"})], "found 'other' of b"),
        (OWN, [THREE[0], Host("b", None)], "found no other host with nats_server_cluster in the group"),
        (OWN, THREE[1:], "a is in no cluster rosey that the inventory knows"),
        (OWN, [*THREE, Host("d", {**OWN, "port": 0})], "port of d is 0; expected a number"),
        (OWN, [*THREE, Host("d", {**OWN, "port": "x"})], "port of d is 'x'; expected a number"),
        (OWN, [*THREE, Host("d", {**OWN, "port": 65536})], "port of d is 65536; expected a number"),
        (OWN, [*THREE, Host("d", {**OWN, "port": True})], "port of d is True; expected a number"),
        (OWN, [*THREE, Host("d", {**OWN, "address": "http://x"})], "address of d is 'http://x'; expected a name"),
        (OWN, [*THREE, Host("d", {**OWN, "host": "a b"})], "host of d is 'a b'; expected a name"),
        (
            OWN,
            [*STAGING, Host("d", OWN, "192.0.2.4", "production")],
            "name is 'rosey' in production and staging; expected",
        ),
        (OWN, [*THREE, Host("d", OWN, "192.0.2.1")], "a and d have the same address, 192.0.2.1:6222"),
    ],
)
def test_what_is_no_cluster_is_told(own: dict[str, Any], hosts: list[Host], words: str) -> None:
    found = cluster.described(own, hosts, "a", "bus")
    assert any(words in problem for problem in found["problems"]), found["problems"]
    assert not found["config"]


def test_an_environment_that_is_not_known_is_no_other_one() -> None:
    assert cluster.described(OWN, [*STAGING[:2], Host("c", OWN, "192.0.2.3")], "a", "bus")["problems"] == []


def test_several_members_at_one_address_have_ports_of_their_own() -> None:
    hosts = [Host(name, {**OWN, "address": "127.0.0.1", "port": port}) for name, port in (("a", 6222), ("b", 6223))]
    assert cluster.described(OWN, hosts, "a", "bus")["config"]["cluster"]["routes"] == ["nats://127.0.0.1:6223"]


def asked(secret: str | None, config: dict[str, Any] | None = None) -> dict[str, Any]:
    hosts = [(each.name, each.cluster, each.ansible_host) for each in THREE]
    return nats_cluster(OWN, "a", {"server_name": "bus", **(config or {})}, hosts, secret=secret)


def test_the_password_follows_from_the_secret_and_the_name_alone() -> None:
    first, again = asked(SECRET)["config"], asked(SECRET)["config"]
    assert first == again
    password = first["cluster"]["authorization"]["password"]
    assert first["cluster"]["routes"] == [
        f"nats://route:{password}@192.0.2.2:6222",
        f"nats://route:{password}@[2001:db8::3]:7000",
    ]
    assert password.isalnum()
    assert asked(SECRET + "!")["config"]["cluster"]["authorization"]["password"] != password
    assert password not in str(asked(None))


@pytest.mark.parametrize(
    ("secret", "config", "words"),
    [
        ("", {}, "nats_server_cluster_secret is not set"),
        ("short", {}, "nats_server_cluster_secret has 5 characters; expected 32"),
        (SECRET, {"cluster": {"pool_size": 1}}, ""),
        (SECRET, {"cluster": {"name": "x", "routes": []}}, "cluster.name, cluster.routes in nats_server_config"),
    ],
)
def test_what_is_missing_or_said_twice_is_told(secret: str, config: dict[str, Any], words: str) -> None:
    found = asked(secret, config)
    assert "".join(found["problems"]).startswith(words)
    assert bool(found["problems"]) is bool(words)
    assert bool(found["config"]) is not bool(words)
