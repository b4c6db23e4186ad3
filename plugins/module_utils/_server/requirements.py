# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a nats-server with a given configuration touches on its host: sockets, files and directories, peers, its end."""

from __future__ import annotations

import ipaddress
import posixpath
import re
import typing as t
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from ansible_collections.rosey.nats.plugins.module_utils._host.needed_path import Need, NeededPath
from ansible_collections.rosey.nats.plugins.module_utils._server import tls_listener, units
from ansible_collections.rosey.nats.plugins.module_utils._server.options import lookup, model, reading
from ansible_collections.rosey.nats.plugins.module_utils._server.tls_listener import TlsListener


@dataclass(frozen=True)
class Endpoint:
    """One listening socket of the server.

    purpose: what it serves, such as "clients". option: the option that sets its port. host, port: where it binds.
    """

    purpose: str
    option: str
    host: str
    port: int


class UnknownError(ValueError):
    """An option has a value that is not known here, such as that of a variable; the text says which and what to do."""


@dataclass(frozen=True)
class Stop:
    """How the server is stopped. signal: its name. timeout: seconds after which it is killed."""

    signal: str
    timeout: int


STORE_OPTION = "jetstream.store_dir"
_STORES = (STORE_OPTION, "store_dir")
_STORE = "jetstream"  # server/jetstream.go, JetStreamStoreDir
# The file in it is called by the server's process (server/server.go, portFile).
_SHARED = ("ports_file_dir",)
_PEER_BLOCKS = ("cluster", "gateway", "leafnodes")
_SECONDS_TO_END = 30
# An operator's JWT may name an account server, and OCSP asks the addresses that stand in certificates.
_OUTGOING_OPTIONS = (*_PEER_BLOCKS, "resolver", "operator", "ocsp")
_OCSP_OF_CLIENTS = "ocsp_peer"


def _read(config: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Give a configuration under its canonical names, with the variables that it defines itself in their places."""
    return reading.canonical(reading.resolved(config))


def endpoints(config: Mapping[str, t.Any]) -> tuple[Endpoint, ...]:
    """Name every socket that the server opens with this configuration, clients first.

    config: the mapping that is rendered. A port that the server picks at random (-1) is left out. UnknownError where a
    host or a port is not known.
    """
    listeners = list(lookup.listeners(_read(config)))
    for listener in listeners:
        _known(listener.option, listener.port, int)
        _known(listener.host_option, listener.host, str)
    return tuple(
        Endpoint(each.purpose, each.option, each.host or model.ALL_ADDRESSES, each.port)
        for each in listeners
        if each.port > 0
    )


@dataclass(frozen=True)
class Identity:
    """What others know of a server, and is no secret.

    server_name, log_file: empty where there is none, or a variable. jetstream: what tells whether it is on, None where
    it is not configured. is_clustered: whether it is one of a cluster.
    """

    server_name: str
    log_file: str
    jetstream: t.Any
    is_clustered: bool


_TELLING = ("enabled", model.VARIABLE)


def identity(config: Mapping[str, t.Any]) -> Identity:
    """Give what others may know of a server with this configuration."""
    known = reading.canonical(config)
    name, log_file = known.get("server_name"), known.get("log_file")
    jetstream = known.get("jetstream")
    if isinstance(jetstream, Mapping):
        # such a block may hold a secret
        jetstream = {key: value for key, value in jetstream.items() if key in _TELLING}
    return Identity(
        server_name=name if isinstance(name, str) else "",
        log_file=log_file if isinstance(log_file, str) else "",
        jetstream=jetstream,
        is_clustered="cluster" in known,
    )


def greeting_url(config: Mapping[str, t.Any]) -> str | None:
    """Give where a server presents itself to who has just connected; None where it listens at no known place.

    One that waits for the client to begin with TLS does not present itself.
    """
    tls = reading.canonical(config).get("tls")
    waits = isinstance(tls, Mapping) and tls.get("handshake_first")
    return None if waits else client_url(config)


def _known(option: str, value: t.Any, kind: type) -> None:
    if model.is_reference(value):
        raise UnknownError(str(_unknown(option, value, _ADDRESS)))
    if not isinstance(value, kind) or isinstance(value, bool):
        raise UnknownError(f"{option} has no value that nats-server takes; correct it")


_ADDRESS = "an address that is known before the server starts: the gate asks it there"
_WRITABLE = "a path that is known before the server starts: its unit lets it write to no other"


def _unknown(option: str, value: t.Any, wanted: str) -> model.Problem:
    fault, remedy = "is a variable", "write the value itself"
    return model.Problem(option, f"${value[model.VARIABLE]}", fault, wanted, remedy, model.Stage.RUN)


def unknown(config: Mapping[str, t.Any]) -> list[model.Problem]:
    """Name the variables that stand in addresses of the server, where a deployment has to know the value."""
    known = _read(config)
    named = [("http_base_path", known.get("http_base_path"))]
    for each in lookup.listeners(known):
        named += [(each.option, each.port), (each.host_option, each.host)]
    found = [_unknown(option, value, _ADDRESS) for option, value in named if model.is_reference(value)]
    return list(dict.fromkeys(found))


def problems(config: Mapping[str, t.Any]) -> list[model.Problem]:
    """Name what nats-server takes and the roles don't deploy.

    Variables where a value has to be known, and streams in the directory that the server takes where none is named.
    """
    all_problems = unknown(config)
    all_problems += [
        _unknown(".".join(map(str, path)), value, _WRITABLE)
        for path, option, value in reading.leaves(reading.resolved(config))
        if option.need in (Need.DIRECTORY, Need.PARENT) and model.is_reference(value)
    ]
    known = _read(config)
    block = known.get("jetstream")
    directory = (block.get("store_dir") if isinstance(block, Mapping) else None) or known.get("store_dir")
    if lookup.jetstream_is_on(known) and not directory and not reading.has_include(known):
        wanted = "a directory that stays: without one, streams are kept in /tmp and gone with the service"
        remedy = "set jetstream.store_dir"
        all_problems.append(model.Problem("jetstream", "", "has no store_dir", wanted, remedy, model.Stage.RUN))
    if known.get("no_auth_user") and (peers := [block for block in _PEER_BLOCKS if block in known]):
        fault = f"lets in whoever reaches the port of {' and '.join(peers)}, without a credential (CVE-2026-58253)"
        wanted, remedy = "none beside these", "take it out, and give each client a credential"
        all_problems.append(model.Problem("no_auth_user", "", fault, wanted, remedy, model.Stage.RUN))
    return all_problems


def warnings(config: Mapping[str, t.Any]) -> list[str]:
    """Tell what a server of the pinned version is weak in with this configuration, a sentence each."""
    known = _read(config)
    return [*filter(None, (_of_maps(known), _of_monitoring(known)))]


_MAPS = tuple((*block, "tls", "verify_and_map") for block in ((), ("websocket",), ("mqtt",), ("leafnodes",)))


def _of_maps(known: Mapping[str, t.Any]) -> str:
    maps = [".".join(path) for path in _MAPS if lookup.value_at(known, *path)]
    if not maps:
        return ""
    return (
        f"{', '.join(maps)}: nats-server 2.10.7 is known to be weak where certificates stand for users "
        "(CVE-2026-33248); expected that users prove themselves with keys or passwords. Use verify, which asks for a "
        "certificate and takes it for nobody, and give each client a credential"
    )


def _of_monitoring(known: Mapping[str, t.Any]) -> str:
    for each in lookup.listeners(known):
        host = each.host or model.ALL_ADDRESSES
        has_own_host = each.host_option == each.option
        if each.purpose == "monitoring" and not has_own_host and not _is_loopback(str(host)):
            scheme = each.option.partition("_")[0]
            return (
                f"{each.option}: the monitoring endpoint asks nobody who he is, and listens where host lets clients in "
                f"({host}); expected an address of its own. Set {scheme}_port: null, and {scheme}: "
                f"127.0.0.1:{each.port}, or the address by which others are meant to see it"
            )
    return ""


def monitoring_url(config: Mapping[str, t.Any]) -> str | None:
    """Give the URL under which the server itself reaches its monitoring endpoint, or None where that is off."""
    for endpoint in endpoints(config):
        if endpoint.purpose == "monitoring":
            scheme = endpoint.option.partition("_")[0]
            host = "127.0.0.1" if lookup.is_wildcard(endpoint.host) else endpoint.host
            path = _read(config).get("http_base_path", "")
            _known("http_base_path", path, str)
            # as the server cleans it (server/opts.go, normalizeBasePath)
            base = posixpath.normpath(f"/{path}").strip("/")
            return f"{scheme}://{_in_url(host)}:{endpoint.port}" + (f"/{base}" if base else "")
    return None


def client_url(config: Mapping[str, t.Any]) -> str | None:
    """Give the URL under which a client on the server's host reaches it, or None where the port is a random one."""
    for endpoint in endpoints(config):
        if endpoint.purpose == "clients":
            is_here = lookup.is_wildcard(endpoint.host) or endpoint.host == "127.0.0.1"
            scheme = "tls" if is_private(config) else "nats"
            return f"{scheme}://{'localhost' if is_here else _in_url(endpoint.host)}:{endpoint.port}"
    return None


# Those that present themselves before TLS; any other listener begins with it (server/server.go, server/leafnode.go).
_GREETING = ("clients", "leafnodes")


def tls_listeners(config: Mapping[str, t.Any]) -> tuple[TlsListener, ...]:
    """Name every socket at which the server shows a certificate, clients first; UnknownError as endpoints() does."""
    known = _read(config)
    found = []
    for endpoint in endpoints(config):
        tls = _tls_of(known, endpoint)
        if tls:
            host = "127.0.0.1" if lookup.is_wildcard(endpoint.host) else endpoint.host
            greets, _begins = tls_listener.begins(tls)
            found.append(
                TlsListener(
                    purpose=endpoint.purpose,
                    url=f"tls://{_in_url(host)}:{endpoint.port}",
                    cert_file=lookup.text_at(tls, "cert_file") or None,
                    key_file=lookup.text_at(tls, "key_file") or None,
                    first=not greets or endpoint.purpose not in _GREETING,
                )
            )
    return tuple(found)


def _tls_of(known: Mapping[str, t.Any], endpoint: Endpoint) -> Mapping[str, t.Any]:
    """Give the block of TLS that a listener goes by; an empty one where it has none."""
    block = endpoint.option.rpartition(".")[0]
    is_plain = endpoint.purpose == "profiling" or endpoint.option in ("http", "http_port")
    if is_plain or lookup.value_at(known, *filter(None, (block,)), "no_tls"):
        return {}
    tls = lookup.value_at(known, *filter(None, (block,)), "tls")
    return tls if isinstance(tls, Mapping) else {}


def is_private(config: Mapping[str, t.Any]) -> bool:
    """Tell whether clients have to encrypt what they say."""
    known = reading.canonical(config)
    tls = known.get("tls")
    return isinstance(tls, Mapping) and bool(tls.get("cert_file")) and known.get("allow_non_tls") is not True


def paths(config: Mapping[str, t.Any]) -> Iterator[NeededPath]:
    """Name every path that the configuration gives, with what has to be there."""
    for path, option, value in reading.leaves(reading.resolved(config)):
        if option.need and isinstance(value, str) and value and not lookup.is_jwt(value):
            name = ".".join(map(str, path))
            yield NeededPath(name, value, option.need, _STORE if name in _STORES else "")


def path_of(option: str, value: str) -> NeededPath:
    """Give the path that an option of the top level, or the store's, has."""
    row = reading.find(tuple(option.split(".")))
    need = row.need if row and row.need else Need.FILE
    return NeededPath(option, value, need, _STORE if option in _STORES else "")


def written(named: Iterable[NeededPath]) -> Iterator[NeededPath]:
    """Give those of a server's paths that no other server may write to, the store under one name."""
    for path in named:
        is_written = path.need is not Need.FILE and not path.is_of_the_kernel
        if is_written and path.option not in _SHARED:
            yield replace(path, option=STORE_OPTION) if path.option in _STORES else path


def one_spelling(config: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Give the configuration with each path written in one way: no slash twice or at the end, no part that is a dot.

    A number with a unit, such as 64K connections, which the server takes wherever it takes one, becomes the number.
    The server compares a path as text (server/reload.go, diffOptions), and so refuses to reload another spelling of
    store_dir. Parts that go up stay, since a link on the way gives them another meaning.
    """
    return {name: _one_spelling((name,), value) for name, value in config.items()}


def _one_spelling(path: model.Path, value: t.Any) -> t.Any:
    if isinstance(value, Mapping):
        return {name: _one_spelling((*path, name), each) for name, each in value.items()}
    if isinstance(value, list):
        return [_one_spelling((*path, place), each) for place, each in enumerate(value)]
    option = reading.find(path)
    if isinstance(value, str) and option is not None and {form.kind for form in option.forms} == {model.Kind.INTEGER}:
        return _number(value)
    is_path = isinstance(value, str) and value and option is not None and option.need is not None
    # Python keeps two slashes at the beginning, of which the server knows nothing
    return re.sub("^//", "/", str(PurePosixPath(value))) if is_path else value


def _number(text: str) -> int | str:
    """Give the number of a text with a unit; any other text as it is, also one that has but digits."""
    try:
        return text if units.integer(text) is not None else units.size(text, quoted=False)
    except units.UnitError:
        return text


def writable_directories(config: Mapping[str, t.Any]) -> tuple[str, ...]:
    """Name the directories that the server writes to, sorted; problems() names a variable that gives one."""
    return tuple(sorted({path.required for path in paths(config) if path.need is not Need.FILE}))


def kept(config: Mapping[str, t.Any]) -> tuple[str, ...]:
    """Name what a server with this configuration made earlier, and writes to again, sorted.

    A path that goes up is left out, since a link on the way makes another place of it.
    """
    found = {str(PurePosixPath(path.kept)) for path in paths(config) if path.kept and not path.is_of_the_kernel}
    return tuple(sorted(path for path in found if ".." not in path.split("/")))


def stop(config: Mapping[str, t.Any]) -> Stop:
    """Tell how the server is stopped: its clients are asked to go where they have another server to go to.

    Where it stands alone they come back soonest after a plain, clean stop. server/signal.go has what signals mean.
    """
    known = _read(config)
    if any(block in known for block in _PEER_BLOCKS):
        return Stop("USR2", lookup.lame_duck_duration(known) // units.DURATION_UNITS["s"] + _SECONDS_TO_END)
    return Stop("INT", 3 * _SECONDS_TO_END)


def peers(config: Mapping[str, t.Any], members: Iterable[str]) -> tuple[str, ...] | None:
    """Name the addresses of other machines that the server exchanges packets with; None where that may be anybody.

    members: the addresses of the other servers of its cluster.
    """
    known = _read(config)
    outgoing = [option for option in _OUTGOING_OPTIONS if option in known]
    if (outgoing and outgoing != ["cluster"]) or _asks_about_certificates(known):
        return None
    addresses = tuple(members)
    if outgoing and not (addresses and all(map(_is_address, addresses))):
        return None
    hosts = [each.host for each in lookup.listeners(known) if each.purpose != "cluster"]
    hosts += [_host_of_log(known["remote_syslog"])] if known.get("remote_syslog") else []
    return addresses if all(isinstance(host, str) and _is_loopback(host) for host in hosts) else None


def is_local(config: Mapping[str, t.Any]) -> bool:
    """Tell whether the server, with this configuration, exchanges packets with this machine alone."""
    return peers(config, ()) == ()


def client_urls(config: Mapping[str, t.Any], members: Iterable[str]) -> list[str]:
    """Give where a client on the server's host reaches the bus: here first, and at the other servers of its cluster.

    members: their addresses; they listen at the same port. Where clients are let in from this machine alone, at none.
    """
    own = client_url(config)
    listener = next((each for each in endpoints(config) if each.purpose == "clients"), None)
    if own is None or listener is None:
        return []
    others = [] if _is_loopback(listener.host) else list(members)
    scheme = own.partition(":")[0]
    return [own, *(f"{scheme}://{_in_url(address)}:{listener.port}" for address in others)]


def _asks_about_certificates(known: Mapping[str, t.Any]) -> bool:
    return any(
        path[-1] == _OCSP_OF_CLIENTS or _OCSP_OF_CLIENTS in path[:-1] for path, _option, _value in reading.leaves(known)
    )


def _host_of_log(address: t.Any) -> str | None:
    """Give the host that a remote syslog is on, as logger/syslog.go takes it; None where that is not known."""
    try:
        parts = urlsplit(address) if isinstance(address, str) else None
        return parts and ("localhost" if parts.scheme == "unix" else parts.hostname)
    except ValueError:
        return None


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
