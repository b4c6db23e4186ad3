# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
import typing as t

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.rosey.nats.plugins.module_utils._server.options import (
    check,
    faults,
    formats,
    model,
    proof,
    reading,
    table,
)
from ansible_collections.rosey.nats.plugins.module_utils._server.options.model import Effect, Evidence, Kind, Stage

Config = dict[str, t.Any]

# How long a case takes depends on what else the machine does.
patiently = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

ROWS: dict[str, list[model.Option]] = {}
for row in table.OPTIONS:
    ROWS.setdefault(row.block, []).append(row)

USER_KEY = formats.FORMATS[model.Format.USER_KEY].example
ACCOUNT_KEY = formats.FORMATS[model.Format.ACCOUNT_KEY].example
VARIABLE = {"$variable": "NAME"}
OPERATED = {"operator": "o.jwt", "system_account": "A"}
MARKER = "hunter2marker"


def named(*path: str | int) -> model.Option:
    option = reading.find(path)
    assert option, path
    return option


def forms_of(option: model.Option) -> list[model.Form]:
    return [*option.forms, *(item for form in option.forms for item in form.items)]


# --- the table -------------------------------------------------------------------------------------------------------


def test_the_table_has_each_name_of_a_block_once() -> None:
    for block, rows in ROWS.items():
        names = [name for option in rows for name in (option.name, *option.aliases)]
        assert len(names) == len(set(names)), block


def test_the_table_refers_to_blocks_and_options_that_it_has() -> None:
    for option in table.OPTIONS:
        for form in forms_of(option):
            assert not form.block or form.block in ROWS, option
            assert set(form.without) <= {row.name for row in ROWS.get(form.block, [])}, option
    for rule in table.RULES:
        assert set(rule.options) <= {row.name for row in ROWS[rule.block]}, rule
    for path, place in table.PLACES.items():
        parent = named(*path)
        inner = next(form.block for form in forms_of(parent) if form.block)
        names = {row.name for row in ROWS[inner]} | {model.ANY_NAME}
        assert place.fixed | place.varz.keys() | place.log.keys() <= names, path


def test_an_option_without_a_form_says_why() -> None:
    assert all(option.note for option in table.OPTIONS if not option.forms)


@pytest.mark.parametrize("format_", model.Format)
def test_the_example_of_a_format_is_accepted(format_: model.Format) -> None:
    assert formats.FORMATS[format_].accepts(formats.FORMATS[format_].example)


@pytest.mark.parametrize(
    "format_, text, accepted",
    [
        ("address", ":4222", True),
        ("address", "[::1]:4222", True),
        ("address", "::1:4222", False),
        ("address", "localhost", False),
        ("host", "127.0.0.1", True),
        ("host", "::1", True),
        ("host", "fe80::1%eth0", True),
        ("host", "localhost", True),
        ("host", "nats_1.example.org.", True),
        ("host", "", True),
        ("host", "[::1]", False),
        ("host", "127.0.0.1:14222", False),
        ("host", "localhost:4222", False),
        ("host", "127.1", False),
        ("host", "0.0.0.0", True),
        ("host", "010.0.0.1", False),
        ("host", "10.0.0.00", False),
        ("host", "::ffff:010.0.0.1", False),
        ("host", "::0010:10.0.0.1", True),
        ("host", "2001:0db8::01", True),
        ("host", "fe80::1%eth0.010", True),
        ("host", "256.0.0.1", False),
        ("host", "a b", False),
        ("host", "a..b", False),
        ("host", "-a", False),
        ("host", "b\u00fccher.example", False),
        ("host", "a" * 64, False),
        ("host", ".".join(["a" * 63] * 4), False),
        ("advertised", "nats.example.org", True),
        ("advertised", "10.0.0.1:4222", True),
        ("advertised", "[2001:db8::1]", True),
        ("advertised", "[2001:db8::1]:4222", True),
        ("advertised", "", True),
        ("advertised", "2001:db8::1", False),
        ("advertised", "a:b", False),
        ("advertised", "a:", False),
        ("advertised", ":4222", False),
        ("advertised", "a:65536", False),
        ("advertised", "nats://a:4222", False),
        ("base_path", "/nats", True),
        ("base_path", "nats/a.b~c", True),
        ("base_path", "", True),
        ("base_path", "/a?b", False),
        ("base_path", "/a#b", False),
        ("base_path", "/a%20", False),
        ("base_path", "/a b", False),
        ("base_path", "/{a}", False),
        ("url", "localhost:6222", True),
        ("url", " nats://a:1 ", True),
        ("url", "nats://a:b", False),
        ("url", "nats://u:p@h ost", False),
        ("url", "://a", False),
        ("url", "nats://%zz", False),
        ("url", "nats://[::1", False),
        ("url", "nats://a\x01", False),
        ("url", "nats://u^:p@a:1", False),
        ("url", "nats://%zz@a:1", False),
        ("url", "a/%zz", False),
        ("url", "a:b:c", True),
        ("url", "1:b", False),
        ("url", "//a:b", False),
        ("url", "///a:b", True),
        ("url", "nats://a#\x01", True),
        ("subject", "a.*.>", True),
        ("subject", "a..b", False),
        ("subject", "a.>.b", False),
        ("subject", "a b", False),
        ("subject", "", False),
        ("permission", "a.> queue", True),
        ("permission", "a b c", False),
        ("destination", "a.{{wildcard(1)}}", True),
        ("destination", "a.*", False),
        ("user_key", ACCOUNT_KEY, False),
        ("user_key", USER_KEY[:-1] + "A", False),
        ("user_key", "é", False),
        ("account_name", "$G", False),
        ("account_jwt", "eyJ.eyJ", False),
        ("fingerprint", "ab" * 31, False),
        ("leafnode_version", "v2.10.0", True),
        ("leafnode_version", "2.7.9", False),
        ("leafnode_version", "2.8", False),
        ("resolver", "url(http://a/)", True),
        ("resolver", "URL(:a)", False),
        ("resolver", "full", False),
        ("percentage", "0", True),
        ("percentage", "101%", False),
        ("percentage", "x%", False),
        ("sampling", " Headers ", True),
        ("sampling", "0%", False),
        ("password", "$2a$11$...", False),
        ("password", "$ecret", True),
        ("password", "$2b$04$" + "a" * 53, True),
        ("password", "$2b$03$" + "a" * 53, False),
    ],
)
def test_format(format_: str, text: str, accepted: bool) -> None:
    assert formats.FORMATS[model.Format(format_)].accepts(text) is accepted


# --- find ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path, block, name",
    [
        (("port",), "top", "port"),
        (("Max_Conn",), "top", "max_connections"),
        (("jetstream", "max_memory_store"), "jetstream", "max_mem"),
        (("JetStream", "LIMITS", "max_ha_assets"), "jetstream.limits", "max_ha_assets"),
        (("leaf", "remotes", 2, "url"), "leafnodes.remote", "urls"),
        (("accounts", "Any Name", "users", 0, "pass"), "user", "password"),
        (("accounts", "port"), "accounts", "*"),
        (("mappings", "a.b", 0, "dest"), "mapping", "destination"),
        (("mappings", "a.b", "weight"), "mapping", "weight"),
        (("server_tags", 1), "top", "server_tags"),
        (("ocsp", "mode"), "ocsp", "mode"),
        (("resolver_preload", "ABC"), "resolver_preload", "*"),
    ],
)
def test_find(path: model.Path, block: str, name: str) -> None:
    option = named(*path)
    assert (option.block, option.name) == (block, name)


@pytest.mark.parametrize(
    "path",
    [
        (),
        ("nonsense",),
        ("port", "port"),
        ("port", 0),
        (0,),
        ("jetstream", "port"),
        ("server_tags", 0, "x"),
        ("ocsp", "Mode"),
        ("System_Account",),
        ("resolver", "DIR"),
    ],
)
def test_find_nothing(path: model.Path) -> None:
    assert reading.find(path) is None


@pytest.mark.parametrize(
    "path, varz, reloadable, log",
    [
        ("tls.timeout", "tls_timeout", True, "Reloaded: tls timeout = {}"),
        ("tls.cert_file", "tls_required", True, "Reloaded: tls = enabled"),
        ("tls.verify_and_map", "tls_verify", False, ""),
        ("cluster.tls.timeout", "cluster.tls_timeout", True, "Reloaded: cluster"),
        ("leafnodes.tls.timeout", "leaf.tls_timeout", False, ""),
        ("leafnodes.tls.cert_file", "leaf.tls_required", True, ""),
        ("leafnodes.remotes.3.tls.timeout", "leaf.remotes.3.tls_timeout", False, ""),
        ("websocket.tls.timeout", "", True, ""),
        ("authorization.user", "auth_required", True, "Reloaded: authorization username"),
        ("authorization.users.0.password", "", True, "Reloaded: authorization users"),
        ("authorization.users.0.permissions.publish.allow", "", True, "Reloaded: authorization users"),
        ("authorization.auth_callout.issuer", "", False, ""),
        ("cluster.authorization.user", "", True, "Reloaded: cluster"),
        ("cluster.authorization.timeout", "cluster.auth_timeout", True, "Reloaded: cluster"),
        ("gateway.authorization.user", "", False, ""),
        ("gateway.authorization.default_permissions.publish", "", True, ""),
        ("gateway.gateways.1.url", "gateway.gateways.1.urls", False, ""),
        ("accounts.APP.users.0.user", "auth_required", True, "Reloaded: accounts"),
        ("jetstream.enabled", "jetstream.config", True, "Reloaded: JetStream"),
        ("jetstream.max_mem", "jetstream.config.max_memory", False, ""),
        ("websocket.tls", "", False, ""),
        ("mqtt.tls", "", True, ""),
    ],
)
def test_find_gives_what_holds_at_the_place(path: str, varz: str, reloadable: bool, log: str) -> None:
    option = named(*(int(part) if part.isdecimal() else part for part in path.split(".")))
    assert (option.varz, option.reloadable, option.log) == (varz, reloadable, log)


# --- canonical, merge ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config, expected",
    [
        ({}, {}),
        ({"NET": "a", "Max_Conn": 5}, {"host": "a", "max_connections": 5}),
        ({"host": "a", "port": 1, "net": "b"}, {"port": 1, "host": "b"}),
        ({"jetstream": {"max_file_store": "1G"}, "ws": {"Compress": True}}, None),
        ({"accounts": {"App": {"Users": [{"username": "u", "pass": "p"}]}}}, None),
        ({"mappings": {"A.B": [{"dest": "C"}]}}, {"mappings": {"A.B": [{"destination": "C"}]}}),
        ({"Unknown": 1, "$include": ["a"], "leaf": VARIABLE}, {"Unknown": 1, "$include": ["a"], "leafnodes": VARIABLE}),
        ({"SYSTEM_ACCOUNT": "x"}, {"SYSTEM_ACCOUNT": "x"}),
        ({"jetstream": True, "server_tags": ["B"]}, {"jetstream": True, "server_tags": ["B"]}),
        ({5: 1}, {5: 1}),
    ],
)
def test_canonical(config: Config, expected: Config | None) -> None:
    known: dict[str, Config] = {
        "jetstream": {"jetstream": {"max_file": "1G"}, "websocket": {"compression": True}},
        "accounts": {"accounts": {"App": {"users": [{"user": "u", "password": "p"}]}}},
    }
    wanted = known[next(iter(config))] if expected is None else expected
    found = reading.canonical(config)
    assert found == wanted
    assert list(found) == list(wanted)


@pytest.mark.parametrize(
    "base, over, expected",
    [
        ({"port": 1}, {}, {"port": 1}),
        ({"port": 1}, {"PORT": 2}, {"port": 2}),
        ({"max_connections": 1}, {"max_conn": 2}, {"max_connections": 2}),
        ({"port": 1, "debug": True}, {"port": None}, {"debug": True}),
        ({"port": None}, {}, {}),
        ({"jetstream": {"max_mem": 1, "domain": "a"}}, {"JetStream": {"max_memory_store": 2}}, None),
        ({"jetstream": {"domain": "a"}}, {"jetstream": {"domain": None}}, {"jetstream": {}}),
        ({"jetstream": {"domain": "a"}}, {"jetstream": False}, {"jetstream": False}),
        ({"jetstream": "enabled"}, {"jetstream": {"domain": "a"}}, {"jetstream": {"domain": "a"}}),
        ({}, {"jetstream": {"domain": None, "limits": {"max_ha_assets": None}}}, {"jetstream": {"limits": {}}}),
        ({"server_tags": ["a", "b"]}, {"server_tags": ["c"]}, {"server_tags": ["c"]}),
        ({"authorization": {"user": "u"}}, {"authorization": VARIABLE}, {"authorization": VARIABLE}),
        ({"authorization": VARIABLE}, {"authorization": {"user": "u"}}, {"authorization": {"user": "u"}}),
        ({"$include": "a"}, {"$include": ["b"]}, {"$include": ["b"]}),
    ],
)
def test_merge(base: Config, over: Config, expected: Config | None) -> None:
    wanted = {"jetstream": {"max_mem": 2, "domain": "a"}} if expected is None else expected
    assert reading.merge(base, over) == wanted


def spellings(name: str) -> st.SearchStrategy[str]:
    return st.sampled_from([name, name.upper(), name.title()])


def values(option: model.Option, depth: int) -> st.SearchStrategy[t.Any]:
    simple = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.lists(st.text(max_size=2)))
    inner = next((form.block for form in forms_of(option) if form.block), None)
    if inner is None or depth == 0:
        return st.one_of(simple, st.just(VARIABLE))
    return st.one_of(simple, blocks(inner, depth - 1), st.lists(blocks(inner, depth - 1), max_size=2))


def blocks(block: str, depth: int) -> st.SearchStrategy[Config]:
    free = st.sampled_from(["a", "A", "$include"])

    def entry(option: model.Option) -> st.SearchStrategy[tuple[str, t.Any]]:
        keys = [free] if option.name == model.ANY_NAME else list(map(spellings, (option.name, *option.aliases)))
        return st.tuples(st.one_of(keys), values(option, depth))

    return st.lists(st.sampled_from(ROWS[block]).flatmap(entry), max_size=5).map(dict)


CONFIGS = blocks("top", 2)


def is_block(value: t.Any) -> bool:
    return isinstance(value, dict) and value != VARIABLE


def has_none(value: t.Any) -> bool:
    return value is None or (is_block(value) and any(map(has_none, value.values())))


def wins(over: Config, merged: Config) -> bool:
    """Tell whether every setting of ``over`` is in ``merged``, and every one that it removes is not."""
    return all(
        key not in merged
        if value is None
        else wins(value, merged[key])
        if is_block(value)
        else merged[key] == value and key in merged
        for key, value in over.items()
    )


@patiently
@given(CONFIGS)
def test_canonical_is_idempotent(config: Config) -> None:
    once = reading.canonical(config)
    assert reading.canonical(once) == once
    known = {option.name for option in ROWS["top"]}
    assert all(key in known for key in once if key.lower() in known and key not in ("SYSTEM_ACCOUNT", "System_Account"))


@patiently
@given(CONFIGS, CONFIGS)
def test_merge_is_idempotent_and_over_wins(base: Config, over: Config) -> None:
    before = copy.deepcopy((base, over))
    merged = reading.merge(base, over)
    assert (base, over) == before
    assert reading.merge(merged, over) == merged
    assert not has_none(merged)
    assert wins(reading.canonical(over), merged)


@patiently
@given(CONFIGS, CONFIGS, CONFIGS)
def test_merge_with_the_names_of_the_server_is_that_of_the_one_name(base: Config, over: Config, last: Config) -> None:
    canonical = [reading.canonical(config) for config in (base, over, last)]
    merged = reading.merge(reading.merge(base, over), last)
    assert merged == reading.merge(reading.merge(canonical[0], canonical[1]), canonical[2])


# --- leaves, effective, expected, shown, agrees ----------------------------------------------------------------------


def test_leaves() -> None:
    config = {
        "Net": "127.0.0.1",
        "unknown": 1,
        "$include": "more.conf",
        "jetstream": {"max_mem_store": "2G", "limits": {"max_ha_assets": 5}},
        "authorization": {"users": [{"user": "u", "pass": "p"}, {"nkey": "k"}]},
        "accounts": ["A", "B"],
        "cluster": {},
        "server_tags": ["a"],
        "max_payload": VARIABLE,
        "mappings": {"a.b": "c"},
    }
    assert [(path, value) for path, _option, value in reading.leaves(config)] == [
        (("host",), "127.0.0.1"),
        (("jetstream", "max_mem"), "2G"),
        (("jetstream", "limits", "max_ha_assets"), 5),
        (("authorization", "users", 0, "user"), "u"),
        (("authorization", "users", 0, "password"), "p"),
        (("authorization", "users", 1, "nkey"), "k"),
        (("accounts",), ["A", "B"]),
        (("cluster",), {}),
        (("server_tags",), ["a"]),
        (("max_payload",), VARIABLE),
        (("mappings", "a.b"), "c"),
    ]


def test_leaves_of_a_list_that_is_not_of_blocks_alone() -> None:
    found = [(path, value) for path, _option, value in reading.leaves({"authorization": {"users": [5, {"user": "u"}]}})]
    assert found == [(("authorization", "users", 0), 5), (("authorization", "users", 1, "user"), "u")]


@pytest.mark.parametrize("allow_non_tls, varz", [(False, "tls_required"), (True, "")])
def test_leaves_know_when_varz_is_silent(allow_non_tls: bool, varz: str) -> None:
    config = {"tls": {"cert_file": "a"}, "allow_non_tls": allow_non_tls}
    assert next(option.varz for path, option, _value in reading.leaves(config) if path[-1] == "cert_file") == varz


@patiently
@given(CONFIGS)
def test_every_leaf_is_found_by_its_path_and_has_a_meaning_and_evidence(config: Config) -> None:
    for path, option, value in reading.leaves(config):
        found = reading.find(path)
        assert found
        assert (found.block, found.name) == (option.block, option.name)
        reading.effective(option, value)
        if proof.evidence(option, value, reloaded=False) is Evidence.VARZ:
            proof.expected(option, value)
        if proof.evidence(option, value, reloaded=True) is Evidence.LOG:
            assert proof.reload_line(option, value)


SHOWN = [
    ("port", 4222, 4222, 4222, {"port": 4222}),
    ("max_payload", "1MB", 1 << 20, 1 << 20, {"max_payload": 1 << 20}),
    ("ping_interval", "2m", 120_000_000_000, 120_000_000_000, {"ping_interval": 120_000_000_000}),
    ("jetstream.max_mem", "2G", 2_000_000_000, 2_000_000_000, {"jetstream": {"config": {"max_memory": 2_000_000_000}}}),
    ("jetstream.max_mem", "+2G", 2 << 30, 2 << 30, {"jetstream": {"config": {"max_memory": 2 << 30}}}),
    ("jetstream.store_dir", "/a/", "/a/", "/a/jetstream", {"jetstream": {"config": {"store_dir": "/a/jetstream"}}}),
    (
        "jetstream.sync_interval",
        "Always",
        "always",
        (None, True),
        {"jetstream": {"config": {"sync_interval": 5, "sync_always": True}}},
    ),
    ("jetstream.sync_interval", "1s", 10**9, (10**9, False), {"jetstream": {"config": {"sync_interval": 10**9}}}),
    ("jetstream.unique_tag", " AZ:", "az:", "az:", {"jetstream": {"config": {"unique_tag": "az:"}}}),
    ("jetstream", "Enabled", True, True, {"jetstream": {"config": {"max_memory": 1}}}),
    ("jetstream", "disable", False, False, {"jetstream": {}}),
    ("jetstream.enabled", False, False, False, {}),
    ("listen", "[::1]:4222", ("::1", 4222), ("::1", 4222), {"host": "::1", "port": 4222}),
    ("listen", 4222, (None, 4222), (None, 4222), {"host": "0.0.0.0", "port": 4222}),
    ("http", ":8222", (None, 8222), (None, 8222), {"http_host": "127.0.0.1", "http_port": 8222}),
    ("tls.timeout", "1500ms", 1.5, 1.5, {"tls_timeout": 1.5}),
    ("tls.timeout", 2, 2.0, 2.0, {"tls_timeout": 2}),
    ("websocket.handshake_timeout", 2, 2 * 10**9, 2 * 10**9, {"websocket": {"handshake_timeout": 2 * 10**9}}),
    ("websocket.same_origin", False, False, False, {"websocket": {}}),
    ("websocket.allowed_origins", ["b", "a"], ["a", "b"], ["a", "b"], {"websocket": {"allowed_origins": ["b", "a"]}}),
    ("server_tags", "Az:B ", ["az:b"], ["az:b"], {"tags": ["az:b"]}),
    ("max_subscriptions", 0, 0, 0, {}),
    ("gateway.advertise", "", "", "", {}),
    ("authorization.user", "rosey", "rosey", True, {"auth_required": True}),
    ("tls.verify", True, True, True, {"tls_verify": True}),
    (
        "cluster.routes",
        ["nats://u:p@b:2/x", "nats://a:1"],
        ["nats://u:p@b:2/x", "nats://a:1"],
        ["a:1", "b:2"],
        {"cluster": {"urls": ["a:1", "b:2"]}},
    ),
    (
        "leafnodes.remotes.0.urls",
        ["nats://a", "nats://b:1"],
        ["nats://a", "nats://b:1"],
        ["a:7422", "b:1"],
        {"leaf": {"remotes": [{"urls": ["b:1", "a:7422"]}]}},
    ),
    ("leafnodes.remotes.1.account", "A", "A", "A", {"leaf": {"remotes": [{}, {"local_account": "A"}]}}),
]


@pytest.mark.parametrize("path, value, meaning, expected, varz", SHOWN)
def test_a_value_is_the_one_that_varz_shows(
    path: str, value: t.Any, meaning: t.Any, expected: t.Any, varz: Config
) -> None:
    option = named(*(int(part) if part.isdecimal() else part for part in path.split(".")))
    assert reading.effective(option, value) == meaning
    assert proof.expected(option, value) == expected
    assert proof.agrees(proof.expected(option, value), proof.shown(option, varz))


@pytest.mark.parametrize(
    "path, value, varz",
    [
        ("port", 4222, {"port": 4223}),
        ("port", 4222, {}),
        ("ping_interval", "2m", {"ping_interval": 120}),
        ("listen", "127.0.0.1:4222", {"host": "0.0.0.0", "port": 4222}),
        ("http", 8222, {"http_host": "a", "http_port": 0}),
        ("jetstream", True, {"jetstream": {}}),
        ("jetstream.enabled", False, {"jetstream": {"config": {"max_memory": 1}}}),
        ("jetstream.sync_interval", "always", {"jetstream": {"config": {"sync_interval": 5}}}),
        ("authorization.user", "rosey", {}),
        ("leafnodes.remotes.1.account", "A", {"leaf": {"remotes": [{"local_account": "A"}]}}),
        ("server_tags", ["a"], {"tags": ["a", "b"]}),
    ],
)
def test_another_value_is_not(path: str, value: t.Any, varz: Config) -> None:
    option = named(*(int(part) if part.isdecimal() else part for part in path.split(".")))
    assert proof.evidence(option, value, reloaded=False) is Evidence.VARZ
    assert not proof.agrees(proof.expected(option, value), proof.shown(option, varz))


@pytest.mark.parametrize("value", [VARIABLE, "banana", None, [], {"a": 1}])
def test_what_an_option_does_not_accept_means_itself(value: t.Any) -> None:
    assert reading.effective(named("max_payload"), value) is value


# --- evidence --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path, value, started, reloaded",
    [
        ("max_payload", "1MB", Evidence.VARZ, Evidence.VARZ),
        ("max_payload", 0, Evidence.TRUST, Evidence.LOG),
        ("max_payload", VARIABLE, Evidence.TRUST, Evidence.LOG),
        ("max_pending", "1MB", Evidence.VARZ, Evidence.VARZ),
        ("server_tags", ["a"], Evidence.VARZ, Evidence.LOG),
        ("cluster.name", "c", Evidence.VARZ, Evidence.LOG),
        ("cluster.pool_size", 3, Evidence.VARZ, Evidence.LOG),
        ("cluster.tls.timeout", 2, Evidence.VARZ, Evidence.LOG),
        ("mqtt.ack_wait", "30s", Evidence.VARZ, Evidence.LOG),
        ("mqtt.max_ack_pending", 100, Evidence.VARZ, Evidence.LOG),
        ("jetstream", True, Evidence.VARZ, Evidence.LOG),
        ("jetstream.max_mem", "1G", Evidence.VARZ, Evidence.VARZ),
        ("debug", True, Evidence.EFFECT, Evidence.LOG),
        ("log_file", "/a", Evidence.EFFECT, Evidence.LOG),
        ("prof_port", 6060, Evidence.EFFECT, Evidence.EFFECT),
        ("log_size_limit", "1MB", Evidence.TRUST, Evidence.TRUST),
        ("authorization.password", "p", Evidence.TRUST, Evidence.LOG),
        ("authorization.user", "u", Evidence.VARZ, Evidence.VARZ),
        ("port", -1, Evidence.TRUST, Evidence.TRUST),
        ("listen", "127.0.0.1:-1", Evidence.TRUST, Evidence.TRUST),
        ("http", -1, Evidence.TRUST, Evidence.TRUST),
        ("tls.verify", False, Evidence.TRUST, Evidence.LOG),
        ("host", "", Evidence.TRUST, Evidence.TRUST),
        ("http_port", 0, Evidence.VARZ, Evidence.VARZ),
    ],
)
def test_evidence(path: str, value: t.Any, started: Evidence, reloaded: Evidence) -> None:
    option = named(*path.split("."))
    assert proof.evidence(option, value, reloaded=False) is started
    assert proof.evidence(option, value, reloaded=True) is reloaded


@pytest.mark.parametrize(
    "path, value, line",
    [
        ("debug", True, "Reloaded: debug = true"),
        ("max_payload", "1MB", "Reloaded: max_payload = 1048576"),
        ("ping_interval", "2m", "Reloaded: ping_interval = 2m0s"),
        ("tls.timeout", "1500ms", "Reloaded: tls timeout = 1.5"),
        ("tls.timeout", 2, "Reloaded: tls timeout = 2"),
        ("tls.pinned_certs", ["a" * 64, "b" * 64], "Reloaded: 2 pinned_certs"),
        ("prof_block_rate", 5, "Reloaded: block_prof_rate = 5"),
        ("client_advertise", "a:1", "Reload: client_advertise = a:1"),
        ("log_file", "/a", "Reloaded: log_file = /a"),
        ("server_tags", ["a"], "Reloaded: tags"),
        ("cluster.tls.timeout", 2, "Reloaded: cluster"),
        ("log_max_num", 5, ""),
        ("write_deadline", VARIABLE, "Reloaded: write_deadline = "),
        ("write_deadline", 5, "Reloaded: write_deadline = "),
    ],
)
def test_reload_line(path: str, value: t.Any, line: str) -> None:
    assert proof.reload_line(named(*path.split(".")), value) == line


def test_effects() -> None:
    found = {option.name: option.effect for option in table.OPTIONS if option.effect}
    assert found == {
        "debug": Effect.DEBUG_LINES,
        "trace": Effect.TRACE_LINES,
        "trace_verbose": Effect.TRACE_LINES,
        "logtime": Effect.TIMESTAMPS,
        "logtime_utc": Effect.UTC_TIMESTAMPS,
        "log_file": Effect.LOG_FILE,
        "pid_file": Effect.PID_FILE,
        "ports_file_dir": Effect.PORTS_FILE,
        "prof_port": Effect.PROFILER,
    }


@pytest.mark.parametrize(
    "path, value, kind",
    [
        ("max_payload", "1MB", Kind.SIZE),
        ("max_payload", 5, Kind.SIZE),
        ("max_payload", "1 MB", None),
        ("max_payload", True, None),
        ("jetstream", {}, Kind.BLOCK),
        ("jetstream", True, Kind.BOOLEAN),
        ("jetstream", "enabled", Kind.TEXT),
        ("tls.handshake_first", "300ms", Kind.DURATION),
        ("tls.handshake_first", "auto", Kind.TEXT),
        ("jetstream.max_mem", "", Kind.STORAGE_SIZE),
        ("leafnodes.remotes", [{}], Kind.LIST),
        ("ocsp.urls", ["a"], None),
        ("port", 1 << 63, None),
    ],
)
def test_kind_of(path: str, value: t.Any, kind: Kind | None) -> None:
    assert faults.kind_of(named(*path.split(".")), value) is kind


# --- problems --------------------------------------------------------------------------------------------------------

CERTIFICATES = {"cert_file": "cert.pem", "key_file": "key.pem"}
GUIDE = {
    "server_name": "rosey_nats_prod",
    "host": "127.0.0.1",
    "port": 4222,
    "http_port": 8222,
    "log_file": "/var/log/nats/nats-server.log",
    "debug": False,
    "trace": False,
    "logtime": True,
    "max_connections": 200,
    "max_control_line": 4096,
    "max_payload": 1048576,
    "ping_interval": "2m",
    "ping_max": 2,
    "jetstream": {"store_dir": "/var/lib/nats", "max_mem": "2G", "max_file": "20G"},
}


@pytest.mark.parametrize(
    "config",
    [
        GUIDE,
        {"authorization": {"users": [{"user": "rosey", "password": "$2b$11$" + "a" * 53}, {"nkey": USER_KEY}]}},
        {"authorization": {"token": VARIABLE}, "max_payload": VARIABLE, "jetstream": VARIABLE},
        {"NAME": "a variable's definition", "server_name": VARIABLE},
        {"$include": "more.conf", "no_auth_user": "there", "https_port": 2, "jetstream": True, "cluster": {"port": 1}},
        {"jetstream": "Enabled"},
        {
            "cluster": {
                "compression": False,
                "routes": ["nats://a:1"],
                "tls": {"verify_cert_and_check_known_urls": True},
            }
        },
        {"tls": {**CERTIFICATES, "verify_cert_and_check_known_urls": False, "handshake_first": "500ms"}},
        {"https_port": 8443, "tls": CERTIFICATES},
        {"authorization": {"users": [{"user": "a"}]}, "no_auth_user": "a"},
        {"accounts": {"S": {"users": [{"user": "a"}]}}, "system_account": "S", "no_auth_user": "a"},
        {"system_account": "$SYS", "accounts": {"$SYS": {}}},
        {"port": 4222, "cluster": {"port": -1}, "gateway": {"name": "g", "port": -1}},
        {"listen": "127.0.0.1:4222", "http": "127.0.0.2:4222"},
        {"port": {"$variable": "P"}, "http_port": {"$variable": "P"}},
        {"gateway": {"port": 0}},
        {"mappings": {"a.*": [{"destination": "b.$1", "weight": "40%"}, {"dest": "c.{{wildcard(1)}}", "weight": 60}]}},
        {"mappings": {"a.>": "b.>", "c": {"destination": "d", "weight": 5}}},
        {"mappings": {"a.*": f"b.$1.${5000 * '9'}"}},
        {
            "accounts": {
                "A": {
                    "exports": [{"service": "s.*", "latency": {"subject": "l"}}, {"stream": "t.>", "accounts": ["B"]}]
                },
                "B": {
                    "imports": [
                        {"service": {"account": "A", "subject": "s.x"}, "to": "y"},
                        {"stream": {"account": "A", "subject": "t.u"}, "prefix": "p"},
                    ]
                },
            }
        },
        {
            "accounts": {
                "A": {"exports": [{"stream": "a.*", "account_token_position": 2}]},
                "B": {"imports": [{"stream": {"account": "A", "subject": "a.B"}}]},
            }
        },
        {"jetstream": True, "server_name": "n", "cluster": {"name": "c", "port": 6222, "routes": ["nats://a:1"]}},
        {
            "jetstream": True,
            "server_name": "n",
            "cluster": {"port": 6222, "routes": ["nats://a:1"]},
            "gateway": {"name": "c", "port": 7222},
        },
        {"jetstream": False, "cluster": {"port": 6222}},
        {"mqtt": {"port": 1883}, "jetstream": True},
        {"mqtt": {"port": 1883}, "leafnodes": {"remotes": [{"url": "nats://a"}]}},
        {"websocket": {"port": 80, "no_tls": True, "no_auth_user": "a"}, "authorization": {"users": [{"user": "a"}]}},
        {"websocket": {"no_auth_user": "nobody", "jwt_cookie": "c"}},
        {
            **OPERATED,
            "resolver": {"type": "full", "dir": "d", "allow_delete": True, "hard_delete": True, "interval": "2m"},
        },
        {**OPERATED, "resolver": {"type": "CACHE", "dir": "d", "ttl": "1h"}},
        {"operator": "operator.jwt", "resolver": "MEMORY"},
        {"default_js_domain": {"A": "d", "$G": "e"}, "accounts": {"A": {}}},
        {
            "leafnodes": {
                "authorization": {"account": "A"},
                "compression": {"mode": "auto", "rtt_thresholds": ["1ms", "0s", "2ms"]},
            },
            "accounts": ["A"],
        },
        {"tls": {**CERTIFICATES, "verify": True, "ocsp_peer": True}, "ocsp_cache": True},
        {"lame_duck_duration": "31s", "lame_duck_grace_period": "30s"},
        {"listen": "0.0.0.0:-1", "http": 8222},
        {"authorization": {"user": "", "token": "t"}},
        {"port": 0, "http_port": 0, "https_port": 0},
    ],
)
def test_nothing_is_wrong(config: Config) -> None:
    assert [str(problem) for problem in check.problems(config)] == []


SENTENCES = [
    (
        {"max_payload": "1 MB"},
        'max_payload: "1 MB" is no size; expected a number of bytes or one with a unit, such as 1MB; remove the space',
    ),
    (
        {"port": "banana"},
        'port: "banana" is no whole number; expected a whole number from -1 to 65535; write a number',
    ),
    (
        {"ping_interval": 120},
        'ping_interval: 120 is no duration; expected a number with a unit, such as "30s", "2m" or "1h30m"; '
        'add the unit, such as "120s" for seconds',
    ),
    (
        {"jetstream": {"max_memory": "2G"}},
        "jetstream.max_memory is no option of nats-server 2.10.7; expected an option of jetstream; "
        "the nearest is jetstream.max_mem",
    ),
    (
        {"max_mem": "2G"},
        "max_mem is no option of nats-server 2.10.7; expected an option of the top level; "
        "the nearest is jetstream.max_mem",
    ),
    (
        {"authorization": {"users": [{"user": "rosey", "password": "$2a$11$..."}]}},
        "authorization.users.0.password: ******** begins like a bcrypt hash and is none; expected a password, "
        "or a whole bcrypt hash of 60 characters; put the real hash in place of the placeholder",
    ),
    (
        {"http_port": 8222, "https_port": 8443, "tls": CERTIFICATES},
        "https_port: 8443 stands beside http_port; expected one monitoring port; remove http_port or it",
    ),
    (
        {"lame_duck_duration": "10s", "lame_duck_grace_period": "5s"},
        'lame_duck_duration: "10s" is out of range; expected a number with a unit, such as "30s", "2m" or "1h30m", '
        "at least 30s; choose another value",
    ),
    (
        {"tls": {"handshake_first": "soon"}},
        'tls.handshake_first: "soon" is no value of this option; expected true or false, "true", "on", "false", "off", '
        '"auto" or "auto_fallback" or a number with a unit, such as "30s", "2m" or "1h30m"; the nearest is on',
    ),
    (
        {"server_tags": ["a", 5]},
        "server_tags.1: 5 is no text; expected a text; put it in quotes",
    ),
    ({}, "the configuration is empty; expected at least one option; set server_name"),
]


@pytest.mark.parametrize("config, sentence", SENTENCES)
def test_the_sentence(config: Config, sentence: str) -> None:
    assert [str(problem) for problem in check.problems(config)] == [sentence]


CHECK, START, RUN = Stage.CHECK, Stage.START, Stage.RUN
ACCOUNT = {"accounts": {"A": {}}}
# The configuration, then the path, the stage and a part of the sentence of its only problem.


def imports(*blocks: Config) -> Config:
    """Give a configuration in which account A has these imports and B exports everything below s."""
    exports = [{"stream": "s.>"}, {"service": "s.>"}]
    return {"accounts": {"A": {"imports": list(blocks)}, "B": {"exports": exports}}}


FOUND = [
    # values
    ({"port": "4222"}, "port", CHECK, "remove the quotes"),
    ({"port": 70000}, "port", START, "out of range"),
    ({"port": 1 << 63}, "port", CHECK, "64 bits"),
    ({"listen": "a:70000"}, "listen", START, "has no port"),
    ({"listen": "a"}, "listen", CHECK, "write host:port"),
    ({"debug": "yes"}, "debug", CHECK, "without quotes"),
    ({"debug": None}, "debug", CHECK, "has no value"),
    ({"server_name": True}, "server_name", CHECK, "put it in quotes"),
    ({"server_name": ["a"]}, "server_name", CHECK, "write one value"),
    ({"debug": 1}, "debug", CHECK, "write true"),
    ({"debug": 0}, "debug", CHECK, "write false"),
    ({"debug": 2}, "debug", CHECK, "write one value"),
    ({"port": 4222.0}, "port", CHECK, "write 4222"),
    ({"ping_max": 2.5}, "ping_max", CHECK, "write one value"),
    ({"max_sub_tokens": 0}, "max_sub_tokens", CHECK, "from 1 to 255"),
    ({"max_payload": 1 << 31, "max_pending": "4GB"}, "max_payload", CHECK, "at most 2147483647"),
    ({"log_size_limit": "1.5MB"}, "log_size_limit", CHECK, "smaller unit"),
    ({"lame_duck_grace_period": "-1s"}, "lame_duck_grace_period", CHECK, "at least 0s"),
    ({"jetstream": "on"}, "jetstream", CHECK, '"enabled"'),
    ({"jetstream": {"max_mem": "512 M"}}, "jetstream.max_mem", CHECK, "is no size"),
    ({"jetstream": {"cipher": "des"}}, "jetstream.cipher", CHECK, "the nearest is aes"),
    ({"jetstream": {"extension_hint": "x"}}, "jetstream.extension_hint", RUN, '"no_extend"'),
    ({"jetstream": {"sync_interval": "now"}}, "jetstream.sync_interval", CHECK, '"always"'),
    ({"cluster": {"compression": "s2_fats"}}, "cluster.compression", START, "the nearest is s2_fast"),
    ({"cluster": {"routes": "nats://a:1"}}, "cluster.routes", CHECK, "put it in a list"),
    ({"cluster": {"routes": ["nats://a:x"]}}, "cluster.routes.0", CHECK, "is no URL"),
    ({"cluster": {"routes": ["nats://a:1", "nats://a:1"]}}, "cluster.routes.1", CHECK, "stands twice"),
    ({"cluster": []}, "cluster", CHECK, "write its options below it"),
    ({"tls": {"cipher_suites": []}}, "tls.cipher_suites", CHECK, "is an empty list"),
    ({"tls": {"cipher_suites": ["tls_aes_128_gcm_sha256"]}}, "tls.cipher_suites.0", CHECK, "24 names"),
    ({"tls": {"cert_match": ""}}, "tls.cert_match", CHECK, "that is not empty"),
    ({"tls": {"cert_store": "x"}}, "tls.cert_store", CHECK, "on Windows only"),
    ({"ocsp": {"urls": ["http://a"]}}, "ocsp.urls", CHECK, "use url"),
    ({"mqtt": {"consumer_replicas": 3}}, "mqtt.consumer_replicas", CHECK, "ignores it"),
    ({"operator": ["a.jwt"]}, "operator", CHECK, "path of a file"),
    ({"accounts": {"$G": {}}}, "accounts.$G", CHECK, "the server's own account"),
    ({"accounts": "A"}, "accounts", RUN, "is no"),
    ({"accounts": ["A", "A"]}, "accounts.1", CHECK, "stands twice"),
    ({"authorization": {"timeout": "2s"}}, "authorization.timeout", RUN, "a number of seconds"),
    ({"authorization": {"timeout": "2s"}}, "authorization.timeout", RUN, '"2s" is no number'),
    ({"authorization": {"timeout": "2s"}}, "authorization.timeout", RUN, "write 2: "),
    ({"ping_interval": 2_000_000}, "ping_interval", CHECK, '"2m" with its quotes'),
    ({"jetstream": "true"}, "jetstream", CHECK, 'jetstream: "true" is no value'),
    ({"jetstream": "true"}, "jetstream", CHECK, "take the quotes away"),
    ({"jetstream": "s3cret"}, "jetstream", CHECK, "jetstream: ********"),
    ({"streaming": {}}, "streaming", CHECK, "JetStream"),
    ({"\ufeffport": 1}, "port", CHECK, "save the file as UTF-8 without a byte order mark"),
    ({"mappings": {"a..b": "c"}}, "mappings.a..b", CHECK, "has a name that is no subject"),
    # variables
    ({"port": {"$variable": "P"}, "P": 1}, "P", CHECK, "move it up"),
    ({"jetstream": {"P": 1}, "port": {"$variable": "P"}}, "jetstream.P", CHECK, "move it up"),
    ({"accounts": {"A": {"subscribe": "a"}}, "host": {"$variable": "A"}}, "accounts.A.subscribe", CHECK, "no option"),
    ({"P": "x", "port": {"$variable": "P"}}, "port", CHECK, "is no whole number"),
    ({5: 1}, "5", CHECK, "is no name"),
    # names
    ({"max_conections": 5}, "max_conections", CHECK, "the nearest is max_connections"),
    ({"System_Account": "$SYS"}, "System_Account", RUN, "the nearest is system_account"),
    ({"resolver": {"type": "mem", "directory": "d"}}, "resolver.directory", RUN, "is no option"),
    ({"qqqqqq": 5}, "qqqqqq", CHECK, "remove it"),
    (
        {"authorization": {"auth_users": ["a"]}},
        "authorization.auth_users",
        CHECK,
        "authorization.auth_callout.auth_users",
    ),
    ({"host": "a", "net": "b"}, "net", RUN, "is another name of host"),
    # dependencies within a block
    ({"authorization": {"user": "u", "token": "t"}}, "authorization.token", CHECK, "excludes authorization.user"),
    ({"authorization": {"users": [], "user": "u"}}, "authorization.users", CHECK, "excludes authorization.user"),
    ({"authorization": {"users": [{"password": "p"}]}}, "authorization.users.0", CHECK, "has neither user nor nkey"),
    ({"authorization": {"users": [{"nkey": USER_KEY, "user": "u"}]}}, "authorization.users.0.nkey", CHECK, "excludes"),
    (
        {"authorization": {"auth_callout": {"issuer": ACCOUNT_KEY}}},
        "authorization.auth_callout",
        CHECK,
        "has no auth_users",
    ),
    ({"tls": {"cert_file": "c"}}, "tls.cert_file", CHECK, "needs key_file"),
    ({"tls": {"key_file": "c"}}, "tls.key_file", CHECK, "needs cert_file"),
    (
        {"tls": {"verify_cert_and_check_known_urls": True}},
        "tls.verify_cert_and_check_known_urls",
        CHECK,
        "at this place",
    ),
    (
        {"cluster": {"authorization": {"token": "t"}}},
        "cluster.authorization.token",
        CHECK,
        "expected one of user, password, timeout",
    ),
    (
        {"cluster": {"permissions": {"allow_responses": {}}}},
        "cluster.permissions.allow_responses",
        CHECK,
        "at this place",
    ),
    ({"mappings": {"a": {"destination": "b"}}}, "mappings.a", CHECK, "has no weight"),
    ({"accounts": {"A": {"exports": [{}]}}}, "accounts.A.exports.0", RUN, "has neither stream nor service"),
    (
        {"accounts": {"A": {"exports": [{"stream": "a", "service": "b"}]}}},
        "accounts.A.exports.0.stream",
        CHECK,
        "excludes",
    ),
    ({"accounts": {"A": {"imports": [{}]}}}, "accounts.A.imports.0", RUN, "has neither stream nor service"),
    (
        {"accounts": {"A": {"exports": [{"service": "s", "latency": {}}]}}},
        "accounts.A.exports.0.latency",
        CHECK,
        "subject",
    ),
    ({"resolver": {"dir": "d"}}, "resolver", CHECK, "has no type"),
    ({"gateway": {"port": 1}}, "gateway.port", START, "needs name"),
    ({"gateway": {"name": "g"}}, "gateway.name", START, "needs port or listen"),
    ({"gateway": {"name": "g", "listen": "a:0"}}, "gateway.name", START, "needs port or listen"),
    ({"gateway": {"gateways": [{"name": "g", "url": "nats://a"}]}}, "gateway.gateways", RUN, "needs name"),
    (
        {"gateway": {"name": "g", "port": 1, "gateways": [{"name": "b", "urls": []}]}},
        "gateway.gateways.0",
        START,
        "neither urls nor url",
    ),
    ({"http_port": 4222}, "http_port", START, "is listened on for clients (port) already"),
    ({"listen": "127.0.0.1:5", "http": "localhost:5"}, "http", START, "is listened on for clients (listen) already"),
    ({"host": "::ffff:127.0.0.1", "cluster": {"port": 4222, "host": "127.0.0.1"}}, "cluster.port", START, "already"),
    ({"cluster": {"listen": "0.0.0.0:5"}, "prof_port": 5}, "prof_port", START, "cluster (cluster.listen)"),
    ({"leafnodes": {"remotes": [{"urls": ["ws://a", "b"]}]}}, "leafnodes.remotes.0.urls", START, "mixes"),
    ({"jetstream": {"domain": "eu.west"}}, "jetstream.domain", START, "is no domain"),
    (
        {"jetstream": True, "accounts": {"$SYS": {"jetstream": True}}},
        "accounts.$SYS.jetstream",
        START,
        "the system account",
    ),
    ({"jetstream": True, "gateway": {"name": "g", "port": 1}}, "cluster.routes", START, "is missing"),
    ({"system_account": "$SYS"}, "system_account", START, "the server makes $SYS itself"),
    ({"resolver": {"type": "full", "dir": "d"}}, "resolver", START, "needs operator"),
    ({"leafnodes": {"remotes": [{}]}}, "leafnodes.remotes.0", RUN, "has no urls"),
    ({"listen": 1, "port": 1}, "listen", RUN, "excludes port"),
    ({"http": 1, "http_port": 1}, "http", RUN, "excludes http_port"),
    # dependencies between blocks
    ({"https_port": 8443}, "https_port", START, "needs certificates"),
    ({"lame_duck_grace_period": "3m"}, "lame_duck_grace_period", START, "less than 2m0s"),
    ({"lame_duck_duration": "30s", "lame_duck_grace_period": "30s"}, "lame_duck_grace_period", START, "is not shorter"),
    ({"max_payload": "65MB"}, "max_payload", START, "at most 67108864 bytes"),
    ({"max_pending": 1000}, "max_payload", START, "is more than max_pending"),
    (
        {"jetstream": True, "cluster": {"name": "c", "port": 1, "routes": ["nats://a:1"]}},
        "server_name",
        START,
        "is missing",
    ),
    (
        {"jetstream": {}, "server_name": "n", "cluster": {"listen": 1, "routes": ["nats://a:1"]}},
        "cluster.name",
        START,
        "is missing",
    ),
    (
        {"jetstream": {}, "server_name": "n", "cluster": {"name": "c", "port": 1}},
        "cluster.routes",
        START,
        "JetStream in a cluster needs them",
    ),
    ({"no_auth_user": "x"}, "no_auth_user", START, "names no user"),
    ({"mqtt": {"port": 1, "no_auth_user": "x"}, "jetstream": True}, "mqtt.no_auth_user", START, "names no user"),
    ({"system_account": "S", **ACCOUNT}, "system_account", START, "names no account"),
    (
        {"leafnodes": {"authorization": {"account": "B"}}, **ACCOUNT},
        "leafnodes.authorization.account",
        START,
        "names no",
    ),
    (
        {"leafnodes": {"remotes": [{"url": "a", "local": "B"}]}},
        "leafnodes.remotes.0.account",
        START,
        "names no account",
    ),
    (
        {"leafnodes": {"authorization": {"users": [{"user": "u", "account": "B"}]}}},
        "leafnodes.authorization.users.0.account",
        START,
        "names no account",
    ),
    ({"leafnodes": {"port": 1}, "gateway": {"name": "g", "port": 2}}, "system_account", START, "is missing"),
    (
        {"gateway": {"name": "g", "port": 2}, "cluster": {"name": "c"}},
        "gateway.name",
        START,
        "differs from cluster.name",
    ),
    ({"cluster": {"accounts": ["A", "A"]}}, "cluster.accounts", START, "twice"),
    ({"cluster": {"accounts": ["A"], "pool_size": -1}}, "cluster.pool_size", START, "excludes cluster.accounts"),
    ({"websocket": {"port": 80}}, "websocket", START, "needs certificates"),
    (
        {
            "websocket": {"port": 80, "no_tls": True, "authorization": {"user": "u"}},
            "authorization": {"users": [{"user": "a"}]},
        },
        "websocket.authorization.user",
        START,
        "stands beside lists of users",
    ),
    ({"websocket": {"port": 80, "no_tls": True, "jwt_cookie": "c"}}, "websocket.jwt_cookie", START, "trusted_keys"),
    ({"mqtt": {"port": 1}}, "mqtt", START, "needs JetStream"),
    ({"mqtt": {"port": 1}, "cluster": {"port": 2}}, "server_name", START, "is missing"),
    ({"mqtt": {"port": 1, "ack_wait": "-1s"}, "jetstream": True}, "mqtt.ack_wait", START, "is negative"),
    ({"tls": {**CERTIFICATES, "ocsp_peer": True}}, "tls.ocsp_peer", START, "set tls.verify"),
    ({"mqtt": {"tls": {**CERTIFICATES, "ocsp_peer": True}}}, "mqtt.tls.ocsp_peer", RUN, "block tls at the top"),
    ({"default_js_domain": {"A": "d"}}, "default_js_domain.A", START, "names no account"),
    ({"default_js_domain": {"$SYS": "d"}}, "default_js_domain.$SYS", START, "system account"),
    (
        {"default_js_domain": {"A": "d"}, "accounts": {"A": {"jetstream": True}}},
        "default_js_domain.A",
        START,
        "JetStream of its own",
    ),
    ({"operator": "o.jwt", "resolver": "MEM", **ACCOUNT}, "accounts", START, "stands beside operator"),
    (
        {"accounts": {"A": {"users": [{"user": "u"}]}}, "authorization": {"users": [{"user": "u"}]}},
        "accounts.A.users.0",
        CHECK,
        "the name of another user",
    ),
    (
        {"accounts": {"A": {"users": [{"user": "u"}]}}, "authorization": {"token": "t"}},
        "accounts.A.users.0",
        CHECK,
        "excludes authorization.token",
    ),
    (
        {"leafnodes": {"authorization": {"users": [{"user": "u"}, {"user": "u"}]}}},
        "leafnodes.authorization.users",
        CHECK,
        "has a name twice",
    ),
    (
        {"leafnodes": {"authorization": {"users": [{"user": "u"}], "user": "v"}}},
        "leafnodes.authorization.users",
        CHECK,
        "excludes leafnodes.authorization.user",
    ),
    ({"store_dir": "a", "jetstream": {"store_dir": "a"}}, "store_dir", CHECK, "set as jetstream.store_dir"),
    (
        {**OPERATED, "resolver": {"type": "full", "dir": "d", "ttl": "1s"}},
        "resolver.ttl",
        CHECK,
        "refused by a full resolver",
    ),
    (
        {**OPERATED, "resolver": {"type": "cache", "dir": "d", "interval": "1s"}},
        "resolver.interval",
        CHECK,
        "a cache resolver",
    ),
    (
        {**OPERATED, "resolver": {"type": "cache", "dir": "d", "hard_delete": False}},
        "resolver.hard_delete",
        CHECK,
        "a cache resolver",
    ),
    (
        {**OPERATED, "resolver": {"type": "full", "dir": "d", "hard_delete": True}},
        "resolver.hard_delete",
        CHECK,
        "needs allow_delete",
    ),
    ({**OPERATED, "resolver": {"type": "full"}}, "resolver", CHECK, "has no dir"),
    (
        {"cluster": {"compression": {"mode": "auto", "rtt_thresholds": ["2ms", "1ms"]}}},
        "cluster.compression.rtt_thresholds",
        START,
        "out of order",
    ),
    ({"mappings": {"a.>": "b"}}, "mappings.a.>", CHECK, "> on both sides"),
    ({"mappings": {"a.*": "b.$2"}}, "mappings.a.*", CHECK, "a wildcard that is not there"),
    ({"mappings": {"a.*": "b.$+2"}}, "mappings.a.*", CHECK, "a wildcard that is not there"),
    ({"mappings": {"a": "b.$-2"}}, "mappings.a", CHECK, "a wildcard that is not there"),
    (
        {"mappings": {"a.*": "b.{{wildcard(" + 5000 * "9" + ")}}"}},
        "mappings.a.*",
        CHECK,
        "a wildcard that is not there",
    ),
    ({"mappings": {"a": "b.{{partition(3,1)}}"}}, "mappings.a", CHECK, "a wildcard that is not there"),
    ({"mappings": {"a": ""}}, "mappings.a", RUN, "leads nowhere"),
    (
        {"mappings": {"a": [{"dest": "b", "weight": 1}, {"dest": "b", "weight": 2}]}},
        "mappings.a",
        CHECK,
        "has a destination twice",
    ),
    (
        {"accounts": {"A": {"mappings": {"a": [{"dest": "b", "weight": "60%"}, {"dest": "c", "weight": 41}]}}}},
        "accounts.A.mappings.a",
        CHECK,
        "more than 100",
    ),
    (
        {"accounts": {"A": {"exports": [{"stream": "a", "accounts": ["B"]}]}}},
        "accounts.A.exports.0.accounts",
        CHECK,
        '"B"',
    ),
    (
        {"accounts": {"A": {"exports": [{"stream": "a.b", "account_token_position": 2}]}}},
        "accounts.A.exports.0.account_token_position",
        CHECK,
        "is no wildcard",
    ),
    (
        {"accounts": {"A": {"exports": [{"service": "a.*", "latency": "a.b"}]}}},
        "accounts.A.exports.0.latency",
        CHECK,
        "no exported service",
    ),
    (
        {"accounts": {"A": {"exports": [{"service": "a", "latency": "b", "response": "stream"}]}}},
        "accounts.A.exports.0.latency",
        CHECK,
        "single responses",
    ),
    (
        {"accounts": {"A": {"exports": [{"service": "a", "latency": "b"}]}}, "no_system_account": True},
        "accounts.A.exports.0.latency",
        RUN,
        "needs the system account",
    ),
    (
        {"accounts": {"A": {"imports": [{"stream": {"account": "B", "subject": "s"}}]}}},
        "accounts.A.imports.0.stream",
        CHECK,
        "names no account",
    ),
    (
        {"accounts": {"A": {"imports": [{"stream": {"account": "B", "subject": "s"}}]}, "B": {}}},
        "accounts.A.imports.0.stream",
        CHECK,
        "is not exported to A by B",
    ),
    (
        {
            "accounts": {
                "A": {"imports": [{"stream": {"account": "B", "subject": "s.>"}}]},
                "B": {"exports": [{"stream": "s.*"}]},
            }
        },
        "accounts.A.imports.0.stream",
        CHECK,
        "is not exported to A by B",
    ),
    (
        {
            "accounts": {
                "A": {"imports": [{"stream": {"account": "B", "subject": "s"}, "prefix": "a.*"}]},
                "B": {"exports": [{"stream": "s"}]},
            }
        },
        "accounts.A.imports.0.prefix",
        CHECK,
        "has a wildcard",
    ),
    (
        imports({"stream": {"account": "B", "subject": "s.x"}}, {"stream": {"account": "B", "subject": "s.x"}}),
        "accounts.A.imports.1.stream",
        CHECK,
        "is imported twice",
    ),
    (
        imports(
            {"service": {"account": "B", "subject": "s.x"}, "to": "y"},
            {"service": {"account": "B", "subject": "s.y"}, "to": "y"},
        ),
        "accounts.A.imports.1.service",
        CHECK,
        "is the name of another import",
    ),
    *(
        (
            imports({kind: {"account": "B", "subject": subject}, "to": to}),
            "accounts.A.imports.0.to",
            CHECK,
            "no name for",
        )
        for kind in ("stream", "service")
        for subject, to in [("s.*", "y"), ("s.*", "y.$2"), ("s.*", "y.>"), ("s.>", "y.*"), ("s.>", "y")]
    ),
    (
        {
            "accounts": {"A": {"exports": [{"service": "a", "latency": "b", "response": "stream"}]}},
            "$include": "more.conf",
        },
        "accounts.A.exports.0.latency",
        CHECK,
        "single responses",
    ),
    (
        {"leafnodes": {"remotes": [{"url": "nats://a", "jetstream_cluster_migrate": False}]}},
        "leafnodes.remotes.0.jetstream_cluster_migrate",
        RUN,
        "expected true",
    ),
]


ALLOWED = {"subscribe": ["a.>"]}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"port": VARIABLE}, {"port": VARIABLE}),
        ({"NAME": 1, "port": VARIABLE}, {"port": 1}),
        # what is an option stays one
        ({"port": 1, "http_port": {"$variable": "port"}}, {"port": 1, "http_port": 1}),
        # the nearest counts, and what is not read yet does not
        ({"NAME": 1, "mqtt": {"NAME": 2, "port": VARIABLE}, "port": VARIABLE}, {"mqtt": {"port": 2}, "port": 1}),
        ({"mqtt": {"NAME": 2}, "port": VARIABLE}, {"mqtt": {"NAME": 2}, "port": VARIABLE}),
        ({"port": VARIABLE, "NAME": 1}, {"port": VARIABLE, "NAME": 1}),
        ({"A": {"$variable": "B"}, "NAME": {"$variable": "A"}, "port": VARIABLE}, {"port": {"$variable": "B"}}),
        (
            {"accounts": {"NAME": ALLOWED, "APP": {"users": [{"user": "u", "permissions": VARIABLE}]}}},
            {"accounts": {"APP": {"users": [{"user": "u", "permissions": ALLOWED}]}}},
        ),
        ({"accounts": {"NAME": {}, "B": VARIABLE}}, {"accounts": {"B": {}}}),
        ({"accounts": {"NAME": {}}, "host": VARIABLE}, {"accounts": {"NAME": {}}, "host": VARIABLE}),
        # other blocks of free names have no variables
        ({"mappings": {"NAME": "a", "b": VARIABLE}}, {"mappings": {"NAME": "a", "b": "a"}}),
    ],
)
def test_a_variable_of_the_configuration_is_put_in_its_places(config: Config, expected: Config) -> None:
    assert reading.resolved(config) == expected


@pytest.mark.parametrize("config, path, stage, part", FOUND)
def test_the_only_problem(config: Config, path: str, stage: Stage, part: str) -> None:
    found = check.problems(config)
    assert [(problem.path, problem.stage) for problem in found] == [(path, stage)], list(map(str, found))
    assert part in str(found[0])


def test_each_problem_is_named() -> None:
    found = check.problems({"port": "x", "debug": 1, "jetstream": {"max_mem": "x", "nonsense": 1}})
    assert [problem.path for problem in found] == ["port", "debug", "jetstream.max_mem", "jetstream.nonsense"]


def secret_paths() -> list[model.Path]:
    """Give a path to every secret option."""
    found: list[model.Path] = []

    def walk(block: str, path: model.Path) -> None:
        for option in ROWS[block]:
            here = (*path, "NAME" if option.name == model.ANY_NAME else option.name)
            found.extend([here] if option.secret else [])
            for form in forms_of(option):
                if form.block:
                    walk(form.block, (*here, 0) if any(item.block for item in option.forms[0].items) else here)

    walk("top", ())
    return found


def at(path: model.Path, value: t.Any) -> t.Any:
    for part in reversed(path):
        value = [value] if isinstance(part, int) else {part: value}
    return value


@pytest.mark.parametrize("path", secret_paths(), ids=lambda path: ".".join(map(str, path)))
def test_no_sentence_shows_a_secret(path: model.Path) -> None:
    values: list[t.Any] = [
        f"$2a$11${MARKER}",
        f"nats://u:{MARKER}@h:x",
        MARKER,
        {"a": MARKER},
        [[MARKER]],
        [{"a": MARKER}],
    ]
    for value in values:
        # The value where it belongs, and in place of each block that leads there.
        for end in range(1, len(path) + 1):
            for problem in check.problems(at(path[:end], value)):
                assert MARKER not in str(problem)


def test_no_sentence_shows_what_an_unknown_option_holds() -> None:
    assert MARKER not in "".join(map(str, check.problems({"pasword": MARKER, "autorization": {"password": MARKER}})))


@patiently
@given(CONFIGS)
def test_every_problem_is_a_sentence(config: Config) -> None:
    for problem in check.problems(config):
        assert problem.path
        assert problem.expected
        assert problem.remedy
        assert not str(problem).endswith(".")
