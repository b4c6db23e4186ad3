# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One sound change of every option of the table, at every place where the option can stand."""

from __future__ import annotations

import contextlib
import itertools
import random
import socket
import typing as t
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._server.options import formats, model, reading
from ansible_collections.rosey.nats.plugins.module_utils._server.options.model import ANY_NAME, Form, Kind, Option
from ansible_collections.rosey.nats.tests.integration.material import (
    EXPORTED,
    EXPORTER,
    ROWS,
    TOP,
    USER,
    Config,
    Material,
    Name,
    nkey,
    places,
)

Pair = tuple[t.Any, t.Any]  # a value before and after, None for unset
PORTS_EACH = 4
# The kernel gives none of these to a connection that goes out.
PORTS = range(12_000, 32_000)
NOBODY = "nats://127.0.0.1:1"


@dataclass(frozen=True, eq=False)
class Change:
    """One change of the option at path, and the whole configurations around it."""

    path: model.Path
    before: Config
    after: Config
    back: bool = False

    @property
    def option(self) -> str:
        return ".".join(map(str, self.path))

    @property
    def name(self) -> str:
        return f"{self.option} back" if self.back else self.option

    @property
    def reversed(self) -> Change:
        return Change(self.path, self.after, self.before, not self.back)


@dataclass(frozen=True)
class World:
    """What a change may use: files, ports that nothing listens on, a directory of its own."""

    material: Material
    ports: tuple[int, ...]
    directory: Path


# Beginnings, by the part of the configuration

Make = Callable[[World], t.Any]

SOURCE = {"account": EXPORTER, "subject": "events.a"}
LISTENING = ("cluster", "gateway", "leafnodes", "websocket", "mqtt")
ONE_KEY, OTHER_KEY = (nkey(USER, bytes([number] * 32)) for number in range(2))
HASHES = "0" * 64, "1" * 64

# What a block needs to be sound, whatever changes in it.
BASES: dict[str, Make] = {
    TOP: lambda w: {"server_name": "s", "host": "127.0.0.1", "port": w.ports[0], "http_port": w.ports[1]},
    "jetstream": lambda w: {"store_dir": str(w.directory / "store")},
    "jetstream.limits": lambda _: {"max_ha_assets": 5},
    "authorization": lambda _: {"user": "u", "password": "p"},
    "client_authorization": lambda _: {"user": "u", "password": "p"},
    "leafnodes.authorization": lambda _: {"user": "u", "password": "p"},
    "user": lambda _: {"user": "u", "password": "p"},
    "leafnodes.user": lambda _: {"user": "u", "password": "p"},
    "auth_callout": lambda w: {"issuer": w.material.account_keys[0], "auth_users": ["u"]},
    "permissions": lambda _: {"publish": "a.>"},
    "subjects": lambda _: {"allow": "a.>"},
    "allow_responses": lambda _: {"max": 5},
    "compression": lambda _: {"mode": "s2_fast"},
    **{block: lambda w: {"host": "127.0.0.1", "port": w.ports[2]} for block in ("leafnodes", "mqtt")},
    **{block: lambda w: {"name": "b", "host": "127.0.0.1", "port": w.ports[2]} for block in ("cluster", "gateway")},
    "websocket": lambda w: {"host": "127.0.0.1", "port": w.ports[2], "no_tls": True},
    "leafnodes.remote": lambda _: {"urls": [NOBODY]},
    "gateway.remote": lambda _: {"name": "west", "urls": [NOBODY]},
    "tls": lambda w: {"cert_file": w.material.certificates[0], "key_file": w.material.keys[0]},
    "ocsp_peer": lambda _: {"verify": True},
    "ocsp": lambda _: {"mode": "auto"},
    "ocsp_cache": lambda _: {"type": "none"},
    "accounts": lambda _: {EXPORTER: EXPORTED, "OTHER": EXPORTED},
    "account.limits": lambda _: {"max_connections": 500},
    "account.jetstream": lambda _: {"max_streams": 5},
    "mapping": lambda _: {"destination": "to.a", "weight": 50},
    "export": lambda _: {"service": "own.*"},
    "latency": lambda _: {"subject": "latency.a"},
    "import": lambda _: {"service": SOURCE},
    "import.source": lambda _: SOURCE,
    "resolver": lambda w: {"type": "full", "dir": str(w.directory / "jwt")},
    "resolver_preload": lambda w: {w.material.account_keys[0]: w.material.account_jwts[0]},
}
FREE_KEYS: dict[str, Make] = {
    "accounts": lambda _: "APP",
    "mappings": lambda _: "a.b",
    "resolver_preload": lambda w: w.material.account_keys[0],
    "default_js_domain": lambda _: "$G",
}


def _always(one: t.Any, other: t.Any) -> Callable[[World], Pair]:
    return lambda _world: (one, other)


def _ports(world: World) -> Pair:
    return world.ports[2], world.ports[3]


def _addresses(world: World) -> Pair:
    return f"127.0.0.1:{world.ports[2]}", f"127.0.0.1:{world.ports[3]}"


def _directories(world: World) -> Pair:
    return str(world.directory / "one"), str(world.directory / "two")


def _files(world: World) -> Pair:
    return str(world.directory / "one.file"), str(world.directory / "two.file")


def _secure(world: World) -> Config:
    """What monitoring over TLS needs."""
    return {"http_port": None, "tls": BASES["tls"](world)}


# Values that have to fit something: the machine, files, other options.
VALUES: dict[Name, Callable[[World], Pair]] = {
    **{(block, "port"): _ports for block in LISTENING},
    **{(block, "listen"): _addresses for block in (TOP, *LISTENING)},
    **{(block, "host"): _always("127.0.0.1", "127.0.0.2") for block in LISTENING},
    **{(TOP, name): _ports for name in ("https_port", "prof_port")},
    **{(TOP, name): _addresses for name in ("http", "https")},
    **dict.fromkeys(((TOP, "store_dir"), ("jetstream", "store_dir")), _directories),
    **{(TOP, name): _files for name in ("log_file", "pid_file")},
    ("resolver", "dir"): _directories,
    ("leafnodes.remote", "credentials"): _files,
    (TOP, "max_connections"): _always(1000, 1001),
    ("authorization", "password"): _always("p", "q"),
    ("authorization", "token"): _always("s", "t"),
    ("user", "password"): _always("p", "q"),
    (TOP, "host"): _always("127.0.0.1", "0.0.0.0"),
    (TOP, "port"): lambda w: (w.ports[0], w.ports[3]),
    (TOP, "http_port"): lambda w: (w.ports[1], w.ports[3]),
    (TOP, "client_advertise"): _always("one:4222", "two:4222"),
    (TOP, "accounts"): _always(None, {"APP": {"users": [{"user": "u", "password": "p"}]}}),
    (TOP, "ports_file_dir"): lambda w: (None, str(w.directory)),
    (TOP, "remote_syslog"): lambda w: tuple(f"udp://127.0.0.1:{port}" for port in w.ports[2:4]),
    (TOP, "operator"): lambda w: (None, w.material.operator_file),
    (TOP, "resolver_preload"): lambda w: (None, BASES["resolver_preload"](w)),
    (TOP, "system_account"): _always(EXPORTER, "OTHER"),
    (TOP, "no_auth_user"): _always("u", "v"),
    (TOP, "default_js_domain"): _always(None, {"$G": "one"}),
    ("websocket", "no_auth_user"): _always("u", "v"),
    ("mqtt", "no_auth_user"): _always("u", "v"),
    ("cluster", "accounts"): _always([EXPORTER], ["OTHER"]),
    ("cluster", "advertise"): _always("one:6222", "two:6222"),
    ("gateway", "advertise"): _always("one:6222", "two:6222"),
    ("leafnodes", "advertise"): _always("one:7422", "two:7422"),
    ("websocket", "advertise"): _always("one:443", "two:443"),
    ("leafnodes.remote", "urls"): _always([NOBODY], ["nats://127.0.0.1:2"]),
    ("leafnodes.remote", "account"): _always(EXPORTER, "OTHER"),
    ("leafnodes.remote", "jetstream_cluster_migrate"): _always(None, True),
    ("leafnodes.authorization", "users"): _always([{"user": "u"}], [{"user": "v"}]),
    ("leafnodes.authorization", "account"): _always(EXPORTER, "OTHER"),
    ("leafnodes.user", "account"): _always(EXPORTER, "OTHER"),
    ("gateway.remote", "urls"): _always([NOBODY], ["nats://127.0.0.1:2"]),
    ("gateway.remote", "url"): _always(NOBODY, "nats://127.0.0.1:2"),
    ("tls", "cert_file"): lambda w: w.material.certificates,
    ("tls", "key_file"): lambda w: w.material.keys,
    ("tls", "ca_file"): lambda w: w.material.certificates,
    ("tls", "pinned_certs"): _always([HASHES[0]], [HASHES[1]]),
    ("jetstream", "cipher"): _always("chacha", "aes"),
    (TOP, "resolver_pinned_accounts"): lambda w: (None, [w.material.account_keys[1]]),
    ("resolver", "type"): _always("full", "cache"),
    ("resolver_preload", ANY_NAME): lambda w: w.material.account_jwts,
    ("user", "nkey"): _always(ONE_KEY, OTHER_KEY),
    ("auth_callout", "issuer"): lambda w: w.material.account_keys,
    ("auth_callout", "auth_users"): _always(["u"], ["u", "v"]),
    ("auth_callout", "account"): _always(EXPORTER, "OTHER"),
    ("import", "stream"): _always(SOURCE, SOURCE | {"subject": "events.b"}),
    ("import", "service"): _always(SOURCE, SOURCE | {"subject": "events.b"}),
    ("import", "to"): _always("local.a", "local.b"),
    ("import.source", "account"): _always(EXPORTER, "OTHER"),
    ("import.source", "subject"): _always("events.a", "events.b"),
    ("export", "stream"): _always("own.*", "own.*.>"),
    ("export", "service"): _always("own.*", "own.*.>"),
    ("export", "accounts"): _always([EXPORTER], ["OTHER"]),
    ("export", "account_token_position"): _always(None, 2),
    ("latency", "subject"): _always("latency.a", "latency.b"),
    ("account", "nkey"): lambda w: w.material.account_keys,
}
USERS = [{"user": name, "password": "p"} for name in ("u", "v")]
# What stands beside an option while it changes, laid over what its block has anyway; None takes that away.
BESIDE: dict[Name, Make] = {
    **{(block, "listen"): lambda _: {"host": None, "port": None} for block in (TOP, *LISTENING)},
    **{("authorization", name): lambda _: {"user": None, "password": None} for name in ("token", "users")},
    (TOP, "http"): lambda _: {"http_port": None},
    (TOP, "https"): _secure,
    (TOP, "https_port"): _secure,
    (TOP, "store_dir"): lambda _: {"jetstream": True},
    # Without it the server looks for a syslog of the machine, and ends where there is none.
    (TOP, "syslog"): lambda w: {"remote_syslog": f"udp://127.0.0.1:{w.ports[2]}"},
    (TOP, "system_account"): lambda w: {"accounts": BASES["accounts"](w)},
    (TOP, "no_auth_user"): lambda _: {"authorization": {"users": USERS}},
    ("authorization", "auth_callout"): lambda _: {"user": None, "password": None, "users": USERS},
    ("client_authorization", "token"): lambda _: {"user": None, "password": None},
    ("leafnodes.authorization", "users"): lambda _: {"user": None, "password": None},
    ("user", "nkey"): lambda _: {"user": None, "password": None},
    ("gateway.remote", "url"): lambda _: {"urls": None},
    ("websocket", "no_tls"): lambda w: {"tls": BASES["tls"](w)},
    ("tls", "ocsp_peer"): lambda _: {"verify": True},
    ("import", "stream"): lambda _: {"service": None},
    ("import", "prefix"): lambda _: {"service": None, "stream": SOURCE},
    ("export", "stream"): lambda _: {"service": None},
    ("export", "accounts"): lambda _: {"service": "own.a"},
    ("resolver", "ttl"): lambda _: {"type": "cache"},
    ("resolver", "hard_delete"): lambda _: {"allow_delete": True},
}

# The same, while something changes within the block that the option is.
BESIDE_BLOCK: dict[Name, Make] = {
    ("websocket", "tls"): lambda _: {"no_tls": None},
}


def _with_operator(world: World) -> Config:
    return {
        "operator": world.material.operator_file,
        "system_account": world.material.account_keys[0],
        "resolver": {"type": "full", "dir": str(world.directory / "jwt")},
        "resolver_preload": BASES["resolver_preload"](world),
    }


def _with_accounts(world: World) -> Config:
    return {"accounts": BASES["accounts"](world)}


def _with_jetstream(world: World) -> Config:
    return {"jetstream": BASES["jetstream"](world)}


def _with_jetstream_and_users(world: World) -> Config:
    return _with_jetstream(world) | {"authorization": {"users": USERS}}


# What the whole configuration needs, by the beginning of the path; of several beginnings the longest counts.
AROUND: dict[str, Make] = {
    "mqtt": _with_jetstream,
    "mqtt.no_auth_user": _with_jetstream_and_users,
    "websocket.no_auth_user": lambda _: {"authorization": {"users": USERS}},
    "cluster.accounts": _with_accounts,
    "leafnodes.remotes.0.account": _with_accounts,
    "leafnodes.authorization.account": _with_accounts,
    "leafnodes.authorization.users.0.account": _with_accounts,
    "authorization.auth_callout.account": _with_accounts,
    "accounts.NAME.jetstream": _with_jetstream,
    "operator": lambda w: {"resolver": "MEMORY", "resolver_preload": BASES["resolver_preload"](w)},
    **{f"resolver.{name}": _with_operator for name in ROWS["resolver"]},
    "websocket.jwt_cookie": _with_operator,
    "resolver_preload": _with_operator,
    "resolver_pinned_accounts": _with_operator,
    "resolver_tls": _with_operator,
    "default_js_domain": _with_jetstream,
}


def changes(material: Material, directory: Path) -> Iterator[Change]:
    """Give one change for every option at every place."""
    paths = list(dict.fromkeys(places()))
    ports = free_ports()
    for path in paths:
        own = directory / ("files-" + ".".join(map(str, path)))
        own.mkdir()
        yield change(path, World(material, tuple(itertools.islice(ports, PORTS_EACH)), own))


def free_ports() -> Iterator[int]:
    """Name ports of 127.0.0.1 that nothing listens on, one after the other."""
    begin = random.choice(PORTS)
    for port in (*range(begin, PORTS.stop), *range(PORTS.start, begin)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            yield port


def change(path: model.Path, world: World) -> Change:
    """Give the change of one option."""
    before, after = (_block(TOP, path, value, world) for value in _pair(path, world))
    return Change(path, before, after)


def _pair(path: model.Path, world: World) -> Pair:
    option = reading.find(path)
    assert option
    name = option.block, option.name
    if name in VALUES:
        return VALUES[name](world)
    return _values(option, option.forms[0], world)


def _values(option: Option, form: Form, world: World) -> Pair:
    """Give two values of one form."""
    low = form.minimum or 0
    if form.kind is Kind.BLOCK:
        return None, BASES.get(form.block, _nothing)(world)
    if form.kind is Kind.LIST:
        _one, two = _values(option, form.items[0], world)
        return None, [two]
    if form.choices:
        return form.choices[0], next(choice for choice in form.choices[1:] if choice)
    if form.format:
        return None, formats.FORMATS[form.format].example
    return {
        Kind.BOOLEAN: (False, True),
        Kind.INTEGER: (low + 10, low + 11),
        Kind.NUMBER: (3, 4),
        Kind.SIZE: ("1MB", "2MB"),
        Kind.STORAGE_SIZE: ("64M", "65M"),
        Kind.DURATION: ("40s", "50s"),
        Kind.TEXT: ("one", "two"),
    }[form.kind]


def _block(block: str, path: model.Path, value: t.Any, world: World) -> Config:
    name, *rest = path
    row = ROWS[block][ANY_NAME if name == "NAME" else str(name)]
    key = FREE_KEYS[block](world) if row.name == ANY_NAME else row.name
    made = {**BASES.get(block, _nothing)(world), **BESIDE.get((block, row.name), _nothing)(world)}
    if rest:
        made |= BESIDE_BLOCK.get((block, row.name), _nothing)(world)
    if block == TOP:
        made |= _around(path)(world)
    if rest:
        inner = next(form.block for form in _all_forms(row) if form.block)
        made[key] = (
            [_block(inner, tuple(rest[1:]), value, world)] if rest[0] == 0 else _block(inner, tuple(rest), value, world)
        )
    else:
        made[key] = value
    return {other: each for other, each in made.items() if each is not None}


def _around(path: model.Path) -> Make:
    names = [str(part) for part in path]
    beginnings = (".".join(names[:count]) for count in range(len(names), 0, -1))
    return next((AROUND[beginning] for beginning in beginnings if beginning in AROUND), _nothing)


def _nothing(_world: World) -> Config:
    return {}


def _all_forms(row: Option) -> Iterator[Form]:
    for form in row.forms:
        yield form
        yield from form.items
