# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster that the hosts of an inventory are: its members, and what each one's server is configured with.

nats_server_cluster is the same mapping on each of them. This runs on the controller alone.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.rosey.nats.plugins.module_utils._server.options import model
from ansible_collections.rosey.nats.plugins.plugin_utils import derived

NAME, ADDRESS, PORT, LISTENS = "name", "address", "port", "host"
_OPTIONS = (NAME, ADDRESS, PORT, LISTENS)
_PORT, _PORTS = 6222, range(1, 1 << 16)
_USER = "route"
_PURPOSE = "rosey.nats route"
_GIVEN_HERE = ("name", "host", "port", "listen", "routes", "authorization", "no_advertise", "tls")
# What a server takes in its name and its cluster's: server/opts.go refuses spaces.
_WORD = re.compile(r"[^\s]+")


@dataclass(frozen=True)
class Member:
    """A host of a cluster. host: as the inventory has it. address, port: where the other members reach it."""

    host: str
    server_name: str
    address: str
    port: int

    def route(self, login: str = "") -> str:
        """Give the URL of a route to it. login: what it is shown, with its colon."""
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"nats://{login}{'@' if login else ''}{address}:{self.port}"


@dataclass(frozen=True)
class Host:
    """A host of the inventory.

    cluster: its nats_server_cluster. ansible_host: how Ansible reaches it, and environment: which it is of, if known.
    """

    name: str
    cluster: t.Any
    ansible_host: t.Any = None
    environment: t.Any = None


def members(name: str, hosts: Iterable[Host], base: str) -> tuple[Member, ...]:
    """Give those of the hosts that are in a cluster of this name, in their order.

    base: what the name of each server begins with.
    """
    return tuple(
        Member(
            each.name,
            f"{base}_{each.name}",
            str(each.cluster.get(ADDRESS) or each.ansible_host or each.name),
            int(each.cluster.get(PORT, _PORT)),
        )
        for each in hosts
        if isinstance(each.cluster, Mapping) and each.cluster.get(NAME) == name
    )


def described(own: Mapping[str, t.Any], hosts: Sequence[Host], host: str, base: str) -> dict[str, t.Any]:
    """Give the cluster of a host: `problems`, sentences, or what follows where there is none.

    members: the names of the servers, by host. config: what its server is configured with, without any secret. peers:
    the addresses of the others. url: where they reach this one.
    """
    if found := [*problems(own, hosts, host)]:
        return {"problems": found, "members": {}, "config": {}, "peers": [], "url": ""}
    every = members(own[NAME], hosts, base)
    this = next(each for each in every if each.host == host)
    others = [each for each in every if each is not this]
    return {
        "problems": [],
        "members": {each.host: each.server_name for each in every},
        "config": {
            "server_name": this.server_name,
            "cluster": {
                "name": own[NAME],
                "host": own.get(LISTENS) or _listens_at(this.address),
                "port": this.port,
                "no_advertise": True,
                "routes": [each.route() for each in others],
            },
        },
        "peers": [each.address for each in others],
        "url": this.route(),
    }


def secured(config: Mapping[str, t.Any], secret: str) -> dict[str, t.Any]:
    """Give what the configuration of a member has besides, so that nobody else is let in: it is a secret.

    config: as described() gives it. secret: what the password of the routes follows from, the same on each member.
    """
    if not config:
        return {}
    cluster = config["cluster"]
    # letters and digits need no percent-encoding in a URL
    password = derived.derive(secret, _PURPOSE, cluster["name"]).hex()
    login = f"//{_USER}:{password}@"
    return {
        "cluster": {
            "authorization": {"user": _USER, "password": password},
            "routes": [url.replace("//", login, 1) for url in cluster["routes"]],
        }
    }


def _listens_at(address: str) -> str:
    """Give where a member listens whom the others reach at an address: there, where it is one, else everywhere."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return model.ALL_ADDRESSES


def problems(own: Mapping[str, t.Any], hosts: Iterable[Host], host: str) -> Iterator[str]:
    """Say all that keeps the hosts from being a cluster, a sentence each."""
    if unknown := sorted({*map(str, own)} - {*_OPTIONS}):
        yield f"{', '.join(unknown)}: it has no such option; expected some of {', '.join(_OPTIONS)}"
    if not (isinstance(own.get(NAME), str) and _WORD.fullmatch(own[NAME])):
        yield f"name is {own.get(NAME)!r}; expected a word, the same on each host of the cluster"
        return
    clusters = [each for each in hosts if isinstance(each.cluster, Mapping)]
    known = [each for each in clusters if each.cluster.get(NAME) == own[NAME]]
    if host not in [each.name for each in known]:
        yield (
            f"{host} is in no cluster {own[NAME]} that the inventory knows; expected nats_server_cluster among the "
            "variables of the inventory, where it is seen for the other hosts, too, and this host in the group that "
            "the bus is deployed to"
        )
    elif len(known) == 1:
        others = [f"{each.cluster.get(NAME)!r} of {each.name}" for each in clusters if each.name != host]
        yield (
            f"name is {own[NAME]!r}, and {host} is the only host that has it; expected it on each host of the cluster, "
            f"found {', '.join(others) or 'no other host with nats_server_cluster in the group'}"
        )
    if len(environments := sorted({str(each.environment) for each in known if each.environment})) > 1:
        yield (
            f"name is {own[NAME]!r} in {' and '.join(environments)}; expected another one in each environment, else "
            "their servers are one bus. Give each its own, such as rosey-prod"
        )
    for each in known:
        yield from _problems_of_member(each)
    found = members(own[NAME], [each for each in known if not [*_problems_of_member(each)]], "")
    for place in sorted({(each.address, each.port) for each in found}):
        if len(twice := [each.host for each in found if (each.address, each.port) == place]) > 1:
            yield (
                f"{' and '.join(twice)} have the same address, {place[0]}:{place[1]}; expected one for each, by which "
                "the others reach it. Give it in address of nats_server_cluster, as a variable of the host"
            )


def _problems_of_member(host: Host) -> Iterator[str]:
    port = host.cluster.get(PORT, _PORT)
    if isinstance(port, bool) or not str(port).isdigit() or int(port) not in _PORTS:
        yield f"port of {host.name} is {port!r}; expected a number from 1 to 65535"
    for option in (ADDRESS, LISTENS):
        value = host.cluster.get(option, "")
        if not isinstance(value, str) or "/" in value or re.search(r"\s", value):
            yield f"{option} of {host.name} is {value!r}; expected a name or an address, such as 192.0.2.7"


def problems_of_secret(secret: t.Any) -> list[str]:
    """Say what keeps a secret from being one that the routes' password can follow from."""
    return derived.problems("nats_server_cluster_secret", secret, "the password of the routes follows from")


def conflicts(config: t.Any) -> list[str]:
    """Name what a configuration says of a cluster that follows from the inventory."""
    given = config.get("cluster") if isinstance(config, Mapping) else None
    named = [f"cluster.{option}" for option in _GIVEN_HERE if isinstance(given, Mapping) and option in given]
    return (
        [f"{', '.join(named)} in nats_server_config: it follows from nats_server_cluster; give one of the two"]
        if named
        else []
    )
