# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Spelling against the real server: what the plan takes for no change, the server takes for none on SIGHUP.

Each option of the table, at every place where it can stand, is written in as many ways as there are; those that the
plan takes for equal are given to a running server one after the other.
"""

from __future__ import annotations

import itertools
import os
import re
import typing as t
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._server import conf, conf_lexer, plan, units
from ansible_collections.rosey.nats.plugins.module_utils._server.options import check, model, reading
from ansible_collections.rosey.nats.plugins.module_utils._server.options.model import ANY_NAME
from ansible_collections.rosey.nats.tests.integration.changes import FREE_KEYS, Make, World, change, free_ports
from ansible_collections.rosey.nats.tests.integration.live import Live
from ansible_collections.rosey.nats.tests.integration.material import (
    EXPORTER,
    OPERATOR,
    SETTABLE,
    TOP,
    Config,
    Material,
    Name,
    nkey,
    places,
)

PARALLEL = 2 * (os.cpu_count() or 1)
PORTS_EACH = 4


def _users(_world: World) -> list[Config]:
    return [{"user": name, "password": "p"} for name in ("u", "v")]


def _urls(_world: World) -> list[str]:
    return ["nats://127.0.0.1:2", "nats://127.0.0.1:1"]


# Lists that mean the same in any order, and that the server takes up anew in another.
IN_ORDER = {"Reloaded: cluster", "Reloaded: tags"}
RELOADED = re.compile(r"\[INF\] (Reloaded?:? .*)")


# What has items in any order, or in one that only this server knows, is written with two of them.
TWO: dict[Name, Make] = {
    (TOP, "resolver_pinned_accounts"): lambda w: list(w.material.account_keys),
    (TOP, "server_tags"): lambda _: ["One", "two"],
    (TOP, "trusted_keys"): lambda _: [nkey(OPERATOR, bytes([number] * 32)) for number in range(2)],
    **dict.fromkeys(((block, "users") for block in ("authorization", "account", "leafnodes.authorization")), _users),
    ("user", "allowed_connection_types"): lambda _: ["STANDARD", "MQTT"],
    ("auth_callout", "auth_users"): lambda _: ["u", "v"],
    **{("permissions", name): lambda _: ["a.>", "b.>"] for name in ("publish", "subscribe")},
    **{("subjects", name): lambda _: ["a.>", "b.>"] for name in ("allow", "deny")},
    **{("leafnodes.remote", name): lambda _: ["a.>", "b.>"] for name in ("deny_imports", "deny_exports")},
    ("leafnodes.remote", "urls"): _urls,
    ("cluster", "routes"): _urls,
    ("cluster", "accounts"): lambda _: [EXPORTER, "OTHER"],
    ("export", "accounts"): lambda _: [EXPORTER, "OTHER"],
    ("gateway", "gateways"): lambda w: [{"name": name, "urls": _urls(w)} for name in ("west", "east")],
    ("gateway.remote", "urls"): _urls,
    ("websocket", "allowed_origins"): lambda _: ["http://one", "http://two"],
    ("tls", "pinned_certs"): lambda _: ["a" * 64, "1" * 64],
    ("tls", "cipher_suites"): lambda _: ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"],
    ("tls", "curve_preferences"): lambda _: ["X25519", "CurveP256"],
    ("account", "imports"): lambda _: [
        {"service": {"account": EXPORTER, "subject": f"events.{name}"}} for name in ("a", "b")
    ],
    ("account", "exports"): lambda _: [{"service": "own.a"}, {"service": "own.b"}],
}


@dataclass(frozen=True)
class Spelled:
    """One way to write a configuration, and what is written in it in this way."""

    how: str
    config: Config


def ways(value: t.Any) -> Iterator[t.Any]:
    """Write a value in all the ways that could mean the same, whatever it is."""
    match value:
        case bool():
            yield from (str(value).lower(), "enabled" if value else "disabled", "on" if value else "off", {})
            yield {"enabled": value}
        case int():
            yield from (float(value), str(value), f"{value}B", f"{value}s", f"{value * 1000}ms")
            yield from (f"127.0.0.1:{value}", f":{value}", f"[127.0.0.1]:{value}", f"localhost:{value}")
            yield from (f"{value}%", value + 0.0)
        case float():
            yield from (int(value), f"{value}s")
        case str():
            yield from (f"{value}/", f"{value}//", value.replace("/", "//"), value.replace("/", "/./"))
            yield from (f" {value}", f"{value} ", f"{value}\t", value.upper(), value.lower(), value.title(), [value])
            yield from (value.replace("127.0.0.1", "localhost"), value.replace("nats:", "NATS:"), f"v{value}")
            yield from (f"[{host}]:{port}" for host, _colon, port in [value.rpartition(":")] if host and port)
            yield from (int(port) for port in [value.rpartition(":")[2]] if port.isdecimal())
            yield from ({"mode": value}, {"subject": value}, {"allow": value}, {"destination": value, "weight": 100})
            yield from (value.rstrip("%"), {"type": value})
            yield from _amounts(value)
            if value.lower() in ("true", "false", "on", "off", "enabled", "disabled"):
                yield value.lower() in ("true", "on", "enabled")
        case list():
            yield from (value[::-1], value + value[-1:], value[0] if len(value) == 1 else value, tuple(value))
            for place, item in enumerate(value):
                yield from ([*value[:place], each, *value[place + 1 :]] for each in ways(item))
        case Mapping() if value:
            yield dict(reversed(value.items()))
            yield from ({**value, "enabled": True}, {**value, "mode": "auto"})


def _amounts(text: str) -> Iterator[t.Any]:
    for quoted in (False, True):
        try:
            size = units.size(text, quoted=quoted)
        except units.UnitError:
            continue
        yield from (size, f"{size}", f"{size >> 10}KB", f"{size >> 10}KiB", f"{size >> 10}K", f"{size >> 20}M")
        yield from (f"{size >> 20}mb", f"{size // 1000}k")
    try:
        seconds = units.duration(text) // 1_000_000_000
    except units.UnitError:
        return
    yield from (seconds, float(seconds), f"{seconds}s", f"{seconds * 1000}ms", f"0h{seconds}s", f"{seconds}.0s")
    yield f"{seconds // 60}m{seconds % 60}s"


def spellings(path: model.Path, config: Config) -> Iterator[Spelled]:
    """Write the option at a path of a configuration, and its name, in every way that the plan takes for the same."""
    value = _at(config, path)
    tried = [Spelled(f"{each!r}", _put(config, path, path[-1], each)) for each in ways(value)]
    option = reading.find(path)
    if option and option.name != ANY_NAME and isinstance(path[-1], str):
        names = (*option.aliases, option.name.upper(), option.name.title())
        tried += [Spelled(f"as {name}", _put(config, path, name, value)) for name in names]
    tried.append(Spelled("in another order", _reversed(config)))
    seen = {conf.render(config)}
    for spelled in tried:
        try:
            text = conf.render(spelled.config)
        except conf_lexer.ConfError:
            continue
        if text not in seen and not check.problems(spelled.config) and not plan.reasons(config, spelled.config):
            seen.add(text)
            yield spelled


def _at(config: t.Any, path: model.Path) -> t.Any:
    for part in path:
        config = config[part]
    return config


def _put(config: t.Any, path: model.Path, name: str | int, value: t.Any) -> t.Any:
    first, *rest = path
    if isinstance(config, list):
        return [_put(each, tuple(rest), name, value) if place == first else each for place, each in enumerate(config)]
    if not rest:
        return {(name if key == first else key): (value if key == first else each) for key, each in config.items()}
    return {key: _put(each, tuple(rest), name, value) if key == first else each for key, each in config.items()}


def _reversed(config: t.Any) -> t.Any:
    if isinstance(config, Mapping):
        return {key: _reversed(each) for key, each in reversed(config.items())}
    return [_reversed(each) for each in config] if isinstance(config, list) else config


def _resolved(path: model.Path, world: World) -> model.Path:
    """Put a name that is there in the place of NAME."""
    found: list[str | int] = []
    for part in path:
        option = reading.find((*found, part))
        assert option
        found.append(FREE_KEYS[option.block](world) if part == "NAME" else part)
    return tuple(found)


@dataclass(frozen=True)
class Tried:
    """What became of the spellings of one option."""

    path: model.Path
    count: int
    wrong: tuple[str, ...]


def _try(binary: Path, path: model.Path, world: World) -> Tried:
    where, config = _resolved(path, world), change(path, world).after
    option = reading.find(where)
    if option and (option.block, option.name) in TWO:
        config = _put(config, where, where[-1], TWO[option.block, option.name](world))
    spelled = list(spellings(where, config))
    name = ".".join(map(str, path))
    wrong = []
    with Live(binary, world.directory / "server", config) as server:
        begun = server.wait()
        if begun is None:
            return Tried(path, 0, (f"{name}: the server does not start: {server.output.read_text()[-600:]}",))
        usual: list[str] = []
        for each in [Spelled("again", config), *spelled]:
            said = len(server.output.read_text())
            server.config_file.write_text(conf.render(each.config))
            outcome = server.signal(server.varz() or begun)
            told = RELOADED.findall(server.output.read_text()[said:])
            usual = usual or told
            if not outcome.accepted:
                wrong.append(f"{name}: {each.how}: {outcome.said or outcome.fault}")
            elif unexpected := set(told) - {*usual, *IN_ORDER}:
                wrong.append(f"{name}: {each.how}: {sorted(unexpected)}")
    return Tried(path, len(spelled), tuple(wrong))


def test_what_is_spelled_otherwise_is_no_change_to_the_server(
    nats_server: Path, material: Material, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ports = free_ports()
    worlds = []
    for path in dict.fromkeys(places()):
        own = tmp_path / ".".join(map(str, path))
        own.mkdir()
        worlds.append((path, World(material, tuple(itertools.islice(ports, PORTS_EACH)), own)))
    with ThreadPoolExecutor(PARALLEL) as pool:
        tried = list(pool.map(lambda each: _try(nats_server, *each), worlds))
    with capsys.disabled():
        print(f"\nspelling: {sum(each.count for each in tried)} spellings of {len(tried)} options at their places")
    wrong = [fault for each in tried for fault in each.wrong]
    assert not wrong, "\n".join(wrong)
    found = {(option.block, option.name) for each in tried if (option := reading.find(each.path))}
    assert {(row.block, row.name) for row in SETTABLE if row.any_order} <= TWO.keys()
    assert found == {(row.block, row.name) for row in SETTABLE}
