# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a nats-server with a given configuration touches on its host: sockets, files and directories, peers, its end."""

from __future__ import annotations

import ipaddress
import posixpath
import typing as t
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from ansible_collections.rosey.nats.plugins.module_utils import options, units

ALL_ADDRESSES = "0.0.0.0"  # noqa: S104  # not bound here: the server's own default (server/const.go, DEFAULT_HOST)


@dataclass(frozen=True)
class Endpoint:
    """One listening socket of the server.

    purpose: what it serves, such as "clients". option: the option that sets its port. host, port: where it binds.
    """

    purpose: str
    option: str
    host: str
    port: int


class Need(StrEnum):
    """What has to be on the host for an option that names a path."""

    FILE = "a file that the server can read"
    DIRECTORY = "a directory that the server can write to"
    PARENT = "a directory around it that the server can write to"


@dataclass(frozen=True)
class Path:
    """One path that the configuration names.

    option: its dotted path. path: the value. need: what has to be there before the server starts.
    """

    option: str
    path: str
    need: Need

    @property
    def required(self) -> str:
        """The path that has to be on the host. A relative one begins at the root, where the server is started."""
        path = posixpath.join("/", self.path)
        return posixpath.dirname(path) if self.need is Need.PARENT else path


@dataclass(frozen=True)
class Stop:
    """How the server is stopped. signal: its name. timeout: seconds after which it is killed."""

    signal: str
    timeout: int


@dataclass(frozen=True)
class _Listener:
    purpose: str
    block: str
    default_port: int | None  # None: the server doesn't listen unless a port is set


# server/opts.go and setBaselineOptions at v2.10.7
_LISTENERS = (
    _Listener("clients", "", 4222),
    _Listener("cluster", "cluster", None),
    _Listener("gateway", "gateway", None),
    _Listener("leafnodes", "leafnodes", None),
    _Listener("websocket", "websocket", None),
    _Listener("mqtt", "mqtt", None),
)
# The last part of an option's name tells what its path has to be, in whatever block it stands.
_NEEDS = {
    "log_file": Need.PARENT,
    "pid_file": Need.PARENT,
    "ports_file_dir": Need.DIRECTORY,
    "store_dir": Need.DIRECTORY,
    "cert_file": Need.FILE,
    "key_file": Need.FILE,
    "ca_file": Need.FILE,
    "credentials": Need.FILE,
}
_MONITORING_SCHEMES = ("http", "https")
_PEER_BLOCKS = ("cluster", "gateway", "leafnodes")
_SECONDS_TO_END = 30
_OUTGOING_OPTIONS = (*_PEER_BLOCKS, "resolver")


def endpoints(config: Mapping[str, t.Any]) -> tuple[Endpoint, ...]:
    """Name every socket that the server opens with this configuration, clients first.

    config: the mapping that is rendered. A port that the server picks at random (-1) is left out.
    """
    config = options.canonical(config)
    found = [_listening(config, listener) for listener in _LISTENERS]
    clients = found[0]
    found += [_monitoring(config, scheme, clients) for scheme in _MONITORING_SCHEMES]
    if "prof_port" in config and clients:
        found.append(Endpoint("profiling", "prof_port", clients.host, int(config["prof_port"])))
    return tuple(endpoint for endpoint in found if endpoint and endpoint.port > 0)


def monitoring_url(config: Mapping[str, t.Any]) -> str | None:
    """Give the URL under which the server itself reaches its monitoring endpoint, or None where that is off."""
    for endpoint in endpoints(config):
        if endpoint.purpose == "monitoring":
            scheme = endpoint.option.partition("_")[0]
            host = "127.0.0.1" if _is_wildcard(endpoint.host) else endpoint.host
            # as the server cleans it (server/opts.go, normalizeBasePath)
            base = posixpath.normpath(f"/{options.canonical(config).get('http_base_path', '')}").strip("/")
            return f"{scheme}://{_in_url(host)}:{endpoint.port}" + (f"/{base}" if base else "")
    return None


def client_url(config: Mapping[str, t.Any]) -> str | None:
    """Give the URL under which a client on the server's host reaches it, or None where the port is a random one."""
    for endpoint in endpoints(config):
        if endpoint.purpose == "clients":
            is_here = _is_wildcard(endpoint.host) or endpoint.host == "127.0.0.1"
            return f"nats://{'localhost' if is_here else _in_url(endpoint.host)}:{endpoint.port}"
    return None


def paths(config: Mapping[str, t.Any]) -> Iterator[Path]:
    """Name every path that the configuration gives, with what has to be there."""
    for path, _option, value in options.leaves(options.canonical(config)):
        need = _NEEDS.get(str(path[-1]))
        if need and isinstance(value, str):
            yield Path(".".join(str(part) for part in path), value, need)


def one_spelling(config: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Give the configuration with each path written in one way: no slash twice or at the end, no part that is a dot.

    The server compares a path as text (server/reload.go, diffOptions), and so refuses to reload another spelling of
    store_dir. Parts that go up stay, since a link on the way gives them another meaning.
    """
    return {name: _one_spelling((name,), value) for name, value in config.items()}


def _one_spelling(path: options.Path, value: t.Any) -> t.Any:
    if isinstance(value, Mapping):
        return {name: _one_spelling((*path, name), each) for name, each in value.items()}
    if isinstance(value, list):
        return [_one_spelling((*path, place), each) for place, each in enumerate(value)]
    option = options.find(path)
    is_path = isinstance(value, str) and value and option is not None and option.name in _NEEDS
    return str(PurePosixPath(value)) if is_path else value


def writable_directories(config: Mapping[str, t.Any]) -> tuple[str, ...]:
    """Name the directories that the server writes to, sorted."""
    return tuple(sorted({path.required for path in paths(config) if path.need is not Need.FILE}))


def stop(config: Mapping[str, t.Any]) -> Stop:
    """Tell how the server is stopped: its clients are asked to go where they have another server to go to.

    Where it stands alone they come back soonest after a plain, clean stop. server/signal.go has what signals mean.
    """
    known = options.canonical(config)
    if any(block in known for block in _PEER_BLOCKS):
        return Stop("USR2", options.lame_duck_duration(known) // units.DURATION_UNITS["s"] + _SECONDS_TO_END)
    return Stop("INT", 3 * _SECONDS_TO_END)


def is_local(config: Mapping[str, t.Any]) -> bool:
    """Tell whether the server, with this configuration, exchanges packets with this machine alone."""
    if any(option in options.canonical(config) for option in _OUTGOING_OPTIONS):
        return False
    return all(_is_loopback(endpoint.host) for endpoint in endpoints(config))


def _listening(config: Mapping[str, t.Any], listener: _Listener) -> Endpoint | None:
    block = config.get(listener.block) if listener.block else config
    if not isinstance(block, Mapping):
        return None
    option = f"{listener.block}.port".lstrip(".")
    host, port = str(block.get("host", ALL_ADDRESSES)), block.get("port", listener.default_port)
    if "listen" in block:
        host, port = _address(block["listen"], ALL_ADDRESSES)
        option = f"{listener.block}.listen".lstrip(".")
    return None if port is None else Endpoint(listener.purpose, option, host, int(port))


def _monitoring(config: Mapping[str, t.Any], scheme: str, clients: Endpoint | None) -> Endpoint | None:
    same_host = clients.host if clients else ALL_ADDRESSES
    if scheme in config:
        host, port = _address(config[scheme], same_host)
        return Endpoint("monitoring", scheme, host, port)
    option = f"{scheme}_port"
    return Endpoint("monitoring", option, same_host, int(config[option])) if option in config else None


def _address(value: t.Any, default_host: str) -> tuple[str, int]:
    """Split what the server takes as an address: a port alone, or host:port, or [host]:port."""
    host, _colon, port = str(value).rpartition(":")
    return host.strip("[]") or default_host, int(port)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_wildcard(host: str) -> bool:
    return host in (ALL_ADDRESSES, "::", "")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
