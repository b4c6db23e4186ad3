# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sockets of a Linux host: who listens where."""

from __future__ import annotations

import ipaddress
import re
import socket
import sys
import typing as t
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from ansible_collections.rosey.nats.plugins.module_utils._host import process as processes
from ansible_collections.rosey.nats.plugins.module_utils._host import system

Address: t.TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"
Endpoint = tuple[str, int]
_LISTENING = "0A"
_IPV6 = 6
_IPV4_DIGITS = 8
_WORD_DIGITS = 8
_SOCKET_FD = re.compile(r"socket:\[(\d+)\]")


@dataclass(frozen=True)
class Socket:
    """A listening TCP socket, from /proc/net/tcp or tcp6. uid: of the user who opened it."""

    address: Address
    port: int
    uid: int
    inode: int


@dataclass(frozen=True)
class Listener:
    """Who listens on a socket.

    owner: the user's name, or the number where it has no name. pids: the processes that hold the socket, none where
    this user may not see them. command: the name of the first one's program.
    """

    socket: Socket
    owner: str
    pids: tuple[int, ...] = ()
    command: str = ""

    def __str__(self) -> str:
        host = f"[{self.socket.address}]" if self.socket.address.version == _IPV6 else str(self.socket.address)
        place = f"listens on {host}:{self.socket.port}"
        if self.pids:
            return f"{self.command} (process {self.pids[0]} of user {self.owner}) {place}"
        return f"a process of user {self.owner}, which this user may not see, {place}"


@dataclass(frozen=True)
class Taken:
    """An address that a server is to listen on and that another process holds."""

    host: str
    port: int
    holder: Listener

    def __str__(self) -> str:
        return f"{self.host}:{self.port} is taken: {self.holder}"


def parse_listening(text: str) -> list[Socket]:
    """Read the listening sockets out of the text of /proc/net/tcp or /proc/net/tcp6."""
    return [found for line in text.splitlines()[1:] if (found := _listening(line))]


def _listening(line: str) -> Socket | None:
    fields = line.split()
    try:
        address, port = fields[1].split(":")
        if fields[3] == _LISTENING:
            return Socket(_address(address), int(port, 16), int(fields[7]), int(fields[9]))
    except (IndexError, ValueError, OverflowError):
        pass
    return None


def conflicts(wanted: Address, port: int, taken: Socket) -> bool:
    """Say whether nats-server can't listen on an address while this socket does; or whether the socket serves it.

    A wildcard of either family stands for all addresses of both: Go listens on :: for 0.0.0.0, too.
    """
    if port != taken.port:
        return False
    return wanted == taken.address or wanted.is_unspecified or taken.address.is_unspecified


def listeners() -> list[Listener]:
    """Name everything that listens on TCP in this network namespace."""
    holders = _holders(processes.pids())
    listening = []
    for bound in _sockets():
        pids = tuple(holders[bound.inode])
        listening.append(
            Listener(bound, system.user_name(bound.uid), pids, processes.program_name(pids[0]) if pids else "")
        )
    return listening


def taken(endpoints: Iterable[Endpoint], allowed: Collection[int] = ()) -> list[Taken]:
    """Name the addresses that a server can't listen on since another process does.

    endpoints: (host, port) as nats-server is given them. allowed: pids that may hold them, such as the server's own.
    """
    # of a process that this user may not look into, only its account is known
    accounts = set(_owners(allowed))
    everyone = [
        each
        for each in listeners()
        if not set(each.pids) & set(allowed) and not (not each.pids and each.socket.uid in accounts)
    ]
    conflicting = []
    for host, port in endpoints:
        for address in _addresses(host):
            holder = next((each for each in everyone if conflicts(address, port, each.socket)), None)
            # A listener on :: may leave IPv4 to others, which no table shows: only the system can tell.
            if holder and not _can_bind(address, port):
                conflicting.append(Taken(host, port, holder))
    return conflicting


def _owners(pids: Iterable[int]) -> Iterator[int]:
    for pid in pids:
        try:
            yield (processes.PROC / str(pid)).stat().st_uid
        except OSError:
            continue


def _address(digits: str) -> Address:
    # The kernel prints each 32-bit word of the address in the machine's byte order.
    words = [digits[start : start + _WORD_DIGITS] for start in range(0, len(digits), _WORD_DIGITS)]
    packed = b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words)
    if len(digits) == _IPV4_DIGITS:
        return ipaddress.IPv4Address(packed)
    address = ipaddress.IPv6Address(packed)
    return address.ipv4_mapped or address


def _addresses(host: str) -> list[Address]:
    """Give the address that a Go server listens on for a host: none when it can't be resolved."""
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass
    try:
        found = [ipaddress.ip_address(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except (OSError, ValueError):
        return []
    # Of a name's addresses Go takes the first, IPv4 before IPv6.
    return sorted(found, key=lambda address: address.version)[:1]


def resolve(endpoints: Iterable[Endpoint]) -> list[tuple[Address, int]]:
    """Give the addresses that a Go server listens on for these hosts."""
    return [(address, port) for host, port in endpoints for address in _addresses(host)]


def serves(pid: int, wanted: Collection[tuple[Address, int]]) -> bool:
    """Tell whether a process listens, and at all of these addresses."""
    own = _holders([pid])
    sockets = [each for each in _sockets() if each.inode in own]
    return bool(sockets) and all(any(conflicts(*each, found) for found in sockets) for each in wanted)


def _can_bind(address: Address, port: int) -> bool:
    """Try to take an address for a moment as Go's net.Listen does."""
    host, family = str(address), socket.AF_INET if address.version != _IPV6 else socket.AF_INET6
    if address.is_unspecified and socket.has_dualstack_ipv6():
        host, family = "::", socket.AF_INET6
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not address.is_unspecified)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _sockets() -> list[Socket]:
    tables = [processes.PROC / "net" / name for name in ("tcp", "tcp6")]
    # Without IPv6 there is no table for it.
    return [each for table in tables if table.exists() for each in parse_listening(table.read_text())]


def _holders(pids: Iterable[int]) -> Mapping[int, list[int]]:
    """Give, for each socket's inode, which of these processes hold it."""
    by_inode: defaultdict[int, list[int]] = defaultdict(list)
    for pid in pids:
        try:
            descriptors = list((processes.PROC / str(pid) / "fd").iterdir())
        except OSError:
            continue
        for descriptor in descriptors:
            try:
                is_socket = _SOCKET_FD.fullmatch(str(descriptor.readlink()))
            except OSError:
                continue
            if is_socket:
                by_inode[int(is_socket[1])].append(pid)
    return by_inode
