# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that nats-server 2.10.7 refuses at its start, after ``-t`` accepted it, tried on the real one.

Drawn from NewServer and Start in server/server.go and all that they call: every error that is returned, every Fatalf.
The option table refuses each, or it can't be known before the host is asked, and the row says who tells it then.
"""

from __future__ import annotations

import itertools
import typing as t
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._server import conf
from ansible_collections.rosey.nats.plugins.module_utils._server.options import check, lookup, reading
from ansible_collections.rosey.nats.plugins.module_utils._server.options.model import Stage

from .material import Config, Material
from .starting import Starter

PORT = 1  # stands for a free one
SETTLED = 0.05
USER = {"user": "rosey", "password": "x"}
STORE = {"store_dir": "store"}
TLS = {"cert_file": "<certificate>", "key_file": "<key>"}
ISSUER = "AAAACAQDAQCQMBYIBEFAWDANBYHRAEISCMKBKFQXDAMRUGY4DUPB776S"
TRUSTED = "OAAACAQDAQCQMBYIBEFAWDANBYHRAEISCMKBKFQXDAMRUGY4DUPB7JSU"
CLUSTER = {"name": "C", "port": -1, "routes": ["nats://127.0.0.1:7"]}
GATEWAY = {"name": "G", "port": -1}
WEBSOCKET = {"port": -1, "no_tls": True}
OPERATOR = {"operator": "<operator>", "resolver": "MEMORY"}
FULL = {"type": "full", "dir": "accounts"}
REMOTE = {"urls": ["nats://127.0.0.1:7"]}
BAD_TIMES = {"mode": "auto", "rtt_thresholds": ["5ms", "1ms"]}
NO_ADDRESS = "a:b:c"

# Source, configuration, a part of what the server says, and the option that the table names.
Row = tuple[str, Config, str, str]
KNOWN: list[Row] = [
    # server/server.go
    ("validateOptions", {"lame_duck_grace_period": "2m"}, "lame duck grace period", "lame_duck_grace_period"),
    ("validateOptions", {"max_payload": 100, "max_pending": 99}, "max_payload (100)", "max_payload"),
    (
        "validateCluster",
        {"gateway": GATEWAY, "cluster": {"name": "C"}},
        "cluster name conflicts between cluster and gateway",
        "gateway.name",
    ),
    (
        "validateCluster",
        {"cluster": {"pool_size": -1, "accounts": ["A"]}},
        "pool_size cannot be negative",
        "cluster.pool_size",
    ),
    (
        "validateCluster",
        {"cluster": {"pool_size": -1, "accounts": "A"}},
        "pool_size cannot be negative",
        "cluster.pool_size",
    ),
    ("validateCluster", {"cluster": {"accounts": ["A", "A"]}}, "duplicate account name", "cluster.accounts"),
    (
        "validateAndNormalizeCompressionOption",
        {"cluster": {"compression": "banana"}},
        "unsupported compression mode",
        "cluster.compression",
    ),
    (
        "validateAndNormalizeCompressionOption",
        {"cluster": {"compression": BAD_TIMES}},
        "ascending order",
        "cluster.compression.rtt_thresholds",
    ),
    (
        "validateAndNormalizeCompressionOption",
        {"leafnodes": {"compression": {**BAD_TIMES, "mode": "on"}}},
        "ascending order",
        "leafnodes.compression.rtt_thresholds",
    ),
    (
        "validateAndNormalizeCompressionOption",
        {"leafnodes": {"port": -1, "compression": {"rtt_thresholds": ["5ms", "1ms"]}}},
        "ascending order",
        "leafnodes.compression.rtt_thresholds",
    ),
    (
        "validateAndNormalizeCompressionOption",
        {"leafnodes": {"remotes": [{**REMOTE, "compression": {"rtt_thresholds": ["0s"]}}]}},
        "at least one RTT threshold",
        "leafnodes.remotes.0.compression.rtt_thresholds",
    ),
    (
        "validateAndNormalizeCompressionOption",
        {"cluster": {"compression": {"mode": "auto", "rtt_thresholds": ["1ms", "0s", "0s", "0s", "4ms"]}}},
        "no more than 4 RTT thresholds",
        "cluster.compression.rtt_thresholds",
    ),
    ("configureAccounts", {"system_account": "NONE"}, "account missing", "system_account"),
    ("configureAccounts", {"system_account": "$SYS"}, "account missing", "system_account"),
    ("configureAccounts", {"system_account": "$SYS", "no_system_account": True}, "account missing", "system_account"),
    ("configureAccounts", {**OPERATOR, "system_account": "SYS"}, "valid account keys", "system_account"),
    ("configureAccounts", {**OPERATOR, "system_account": "<account>"}, "account missing", "system_account"),
    (
        "configureResolver",
        {"resolver": "URL(http://127.0.0.1:7/)", "resolver_preload": {"<account>": "<jwt>"}},
        "resolver preloads only available",
        "resolver_preload",
    ),
    ("NewServer", {"resolver": "URL(ftp://127.0.0.1/)"}, "unsupported protocol scheme", "resolver"),
    ("NewServer", {"operator": "<operator>"}, "unsupported protocol scheme", "resolver"),
    (
        "setSystemAccount",
        {"trusted_keys": [TRUSTED], "system_account": "S", "accounts": {"S": {}}},
        "account validation failed",
        "system_account",
    ),
    (
        "setSystemAccount",
        {"trusted_keys": [TRUSTED], "accounts": {"$SYS": {}}},
        "account validation failed",
        "accounts.$SYS",
    ),
    ("StartMonitoring", {"http_port": -1, "https_port": -1, "tls": TLS}, "both HTTP", "https_port"),
    ("StartMonitoring", {"https_port": -1}, "TLS cert and key required", "https_port"),
    ("startMonitoring", {"http_port": 70000}, "invalid port", "http_port"),
    ("startMonitoring", {"port": PORT, "http_port": PORT}, "address already in use", "http_port"),
    ("StartProfiler", {"prof_port": 70000}, "invalid port", "prof_port"),
    ("StartProfiler", {"http_port": PORT, "prof_port": PORT}, "address already in use", "prof_port"),
    ("AcceptLoop", {"port": 70000}, "invalid port", "port"),
    ("AcceptLoop", {"client_advertise": NO_ADDRESS}, "ClientAdvertise value of a:b:c", "client_advertise"),
    ("AcceptLoop", {"host": "[::1]"}, "missing port in address", "host"),
    ("AcceptLoop", {"port": -2}, "invalid port", "port"),
    ("AcceptLoop", {"listen": "127.0.0.1:70000"}, "invalid port", "listen"),
    (
        "Start",
        {"jetstream": STORE, "accounts": {"$SYS": {"jetstream": True}}},
        "on the system account",
        "accounts.$SYS.jetstream",
    ),
    (
        "Start",
        {"jetstream": STORE, "system_account": "S", "accounts": {"S": {"jetstream": {"max_mem": 1}}}},
        "on the system account",
        "accounts.S.jetstream",
    ),
    # server/jwt.go
    ("validateTrustedOperators", {**OPERATOR, "accounts": {"A": {}}}, "do not allow Accounts", "accounts"),
    (
        "validateTrustedOperators",
        {**OPERATOR, "authorization": {"users": [USER]}},
        "do not allow users",
        "authorization.users",
    ),
    ("validateTrustedOperators", {**OPERATOR, "trusted_keys": [TRUSTED]}, "conflicting options", "trusted_keys"),
    (
        "validateTrustedOperators",
        {"operator": "<operator>", "resolver": FULL},
        "system account needs to be specified",
        "system_account",
    ),
    (
        "validateTrustedOperators",
        {"operator": "<operator>", "resolver": {**FULL, "type": "cache"}},
        "system account needs to be specified",
        "system_account",
    ),
    (
        "validateTrustedOperators",
        {**OPERATOR, "resolver_pinned_accounts": ["A"]},
        "not a valid public account nkey",
        "resolver_pinned_accounts.0",
    ),
    (
        "validateTrustedOperators",
        {**OPERATOR, "authorization": {"auth_callout": {"issuer": ISSUER, "auth_users": ["u"]}}},
        "do not allow authorization callouts",
        "authorization.auth_callout",
    ),
    # server/auth.go
    ("validateNoAuthUser", {"no_auth_user": "x"}, "users are not defined", "no_auth_user"),
    (
        "validateNoAuthUser",
        {"no_auth_user": "x", "authorization": {"users": [USER]}},
        "not present as user",
        "no_auth_user",
    ),
    ("validateNoAuthUser", {**OPERATOR, "no_auth_user": "x"}, "not compatible", "no_auth_user"),
    # server/leafnode.go
    (
        "validateLeafNode",
        {"leafnodes": {"remotes": [{**REMOTE, "account": "A"}]}},
        "cannot find local account",
        "leafnodes.remotes.0.account",
    ),
    (
        "validateLeafNode",
        {"leafnodes": {"authorization": {"account": "A"}}},
        "cannot find local account",
        "leafnodes.authorization.account",
    ),
    (
        "validateLeafNode",
        {"leafnodes": {"authorization": {"users": [{**USER, "account": "A"}]}}},
        "cannot find local account",
        "leafnodes.authorization.users.0.account",
    ),
    (
        "validateLeafNode",
        {**OPERATOR, "leafnodes": {"authorization": {"users": [USER]}}},
        "does not allow specifying user",
        "leafnodes.authorization.users",
    ),
    (
        "validateLeafNode",
        {**OPERATOR, "leafnodes": {"remotes": [REMOTE]}},
        "requires account nkeys",
        "leafnodes.remotes.0.account",
    ),
    (
        "validateLeafNode",
        {**OPERATOR, "leafnodes": {"port": -1, "authorization": {**USER, "account": "A"}}},
        "non account nkeys are incompatible",
        "leafnodes.authorization.account",
    ),
    (
        "validateLeafNode",
        {"leafnodes": {"remotes": [{"urls": ["nats://127.0.0.1:7", " WS://127.0.0.1:7"]}]}},
        "mix of websocket and non-websocket",
        "leafnodes.remotes.0.urls",
    ),
    (
        "validateLeafNode",
        {"leafnodes": {"port": -1}, "gateway": GATEWAY},
        "require a system account",
        "system_account",
    ),
    ("startLeafNodeAcceptLoop", {"leafnodes": {"port": 70000}}, "invalid port", "leafnodes.port"),
    (
        "startLeafNodeAcceptLoop",
        {"leafnodes": {"port": -1, "advertise": NO_ADDRESS}},
        "LeafNode.Advertise value of a:b:c",
        "leafnodes.advertise",
    ),
    # server/gateway.go
    ("validateGatewayOptions", {"gateway": {"port": -1}}, "gateway has no name", "gateway.port"),
    ("validateGatewayOptions", {"gateway": {"name": "G"}}, "has no port", "gateway.name"),
    ("validateGatewayOptions", {"gateway": {"name": "G", "port": 0}}, "has no port", "gateway.name"),
    ("validateGatewayOptions", {"gateway": {"name": "G", "listen": "127.0.0.1:0"}}, "has no port", "gateway.name"),
    (
        "validateGatewayOptions",
        {"gateway": {**GATEWAY, "gateways": [{"urls": ["nats://127.0.0.1:7"]}]}},
        "has no name",
        "gateway.gateways.0",
    ),
    (
        "validateGatewayOptions",
        {"gateway": {**GATEWAY, "gateways": [{"name": "B"}]}},
        "has no URL",
        "gateway.gateways.0",
    ),
    (
        "validateGatewayOptions",
        {"gateway": {**GATEWAY, "gateways": [{"name": "B", "urls": []}]}},
        "has no URL",
        "gateway.gateways.0",
    ),
    ("startGatewayAcceptLoop", {"gateway": {"name": "G", "port": 70000}}, "invalid port", "gateway.port"),
    (
        "startGatewayAcceptLoop",
        {"gateway": {**GATEWAY, "advertise": NO_ADDRESS}},
        "Gateway.Advertise value of a:b:c",
        "gateway.advertise",
    ),
    # server/mqtt.go
    ("validateMQTTOptions", {"mqtt": {"port": -1}}, "requires JetStream", "mqtt"),
    (
        "validateMQTTOptions",
        {"mqtt": {"port": -1}, "cluster": {"name": "C", "port": -1}},
        "name to be explicitly set",
        "server_name",
    ),
    (
        "validateMQTTOptions",
        {"mqtt": {"port": -1, "no_auth_user": "x"}, "jetstream": STORE},
        "users are not defined",
        "mqtt.no_auth_user",
    ),
    (
        "validateMQTTOptions",
        {
            "mqtt": {"port": -1, "authorization": {"user": "u"}},
            "jetstream": STORE,
            "authorization": {"users": [USER]},
        },
        "username not compatible",
        "mqtt.authorization.user",
    ),
    (
        "validateMQTTOptions",
        {
            "mqtt": {"port": -1, "authorization": {"token": "x"}},
            "jetstream": STORE,
            "authorization": {"users": [USER]},
        },
        "token not compatible",
        "mqtt.authorization.token",
    ),
    (
        "validateMQTTOptions",
        {"mqtt": {"port": -1, "ack_wait": "-1s"}, "jetstream": STORE},
        "ack wait must be a positive value",
        "mqtt.ack_wait",
    ),
    ("startMQTT", {"mqtt": {"port": 70000}, "jetstream": STORE}, "invalid port", "mqtt.port"),
    # server/websocket.go
    ("validateWebsocketOptions", {"websocket": {"port": -1}}, "requires TLS", "websocket"),
    (
        "validateWebsocketOptions",
        {"websocket": {**WEBSOCKET, "allowed_origins": ["http://a b"]}},
        "unable to parse allowed origin",
        "websocket.allowed_origins",
    ),
    (
        "validateWebsocketOptions",
        {"websocket": {**WEBSOCKET, "allowed_origins": "%zz"}},
        "unable to parse allowed origin",
        "websocket.allowed_origins",
    ),
    (
        "validateWebsocketOptions",
        {"websocket": {**WEBSOCKET, "no_auth_user": "x"}},
        "users are not defined",
        "websocket.no_auth_user",
    ),
    (
        "validateWebsocketOptions",
        {"websocket": {**WEBSOCKET, "authorization": {"user": "u"}}, "authorization": {"users": [USER]}},
        "username not compatible",
        "websocket.authorization.user",
    ),
    (
        "validateWebsocketOptions",
        {"websocket": {**WEBSOCKET, "authorization": {"token": "x"}}, "authorization": {"users": [USER]}},
        "token not compatible",
        "websocket.authorization.token",
    ),
    (
        "validateWebsocketOptions",
        {"websocket": {**WEBSOCKET, "jwt_cookie": "c"}},
        "trusted operators or trusted keys",
        "websocket.jwt_cookie",
    ),
    ("startWebsocketServer", {"websocket": {**WEBSOCKET, "port": 70000}}, "invalid port", "websocket.port"),
    (
        "startWebsocketServer",
        {"websocket": {**WEBSOCKET, "advertise": NO_ADDRESS}},
        "too many colons in address",
        "websocket.advertise",
    ),
    # server/jetstream.go
    ("validateJetStreamOptions", {"default_js_domain": {"A": "x"}}, "non existing account", "default_js_domain.A"),
    (
        "validateJetStreamOptions",
        {"default_js_domain": {"A": "x"}, "accounts": {"A": {"jetstream": True}}},
        "with enabled JetStream",
        "default_js_domain.A",
    ),
    (
        "validateJetStreamOptions",
        {**OPERATOR, "default_js_domain": {"A": "x"}},
        "not a valid public account nkey",
        "default_js_domain.A",
    ),
    (
        "validateJetStreamOptions",
        {"default_js_domain": {"S": ""}, "accounts": {"S": {}}, "system_account": "S"},
        "can not be in default_js_domain",
        "default_js_domain.S",
    ),
    (
        "validateJetStreamOptions",
        {"default_js_domain": {"A": "a..b"}, "accounts": {"A": {}}},
        "invalid domain name",
        "default_js_domain.A",
    ),
    ("validateJetStreamOptions", {"jetstream": {**STORE, "domain": "a b"}}, "domain name", "jetstream.domain"),
    ("validateJetStreamOptions", {"jetstream": {**STORE, "domain": "eu.west"}}, "domain name", "jetstream.domain"),
    ("validateJetStreamOptions", {"jetstream": STORE, "cluster": CLUSTER}, "requires `server_name`", "server_name"),
    (
        "validateJetStreamOptions",
        {"jetstream": STORE, "server_name": "s", "cluster": {**CLUSTER, "name": ""}},
        "requires `cluster.name`",
        "cluster.name",
    ),
    (
        "validateJetStreamOptions",
        {"jetstream": {**STORE, "max_outstanding_catchup": -1}, "server_name": "s", "cluster": CLUSTER},
        "max catchup cannot be negative",
        "jetstream.max_outstanding_catchup",
    ),
    (
        "EnableJetStream of an account",
        {"jetstream": STORE, "system_account": "$G"},
        "can not be enabled on the system account",
        "system_account",
    ),
    (
        "enableJetStream",
        {"jetstream": STORE, "trusted_keys": [TRUSTED]},
        "system account not setup",
        "system_account",
    ),
    ("enableJetStream", {"jetstream": STORE, **OPERATOR}, "system account not setup", "system_account"),
    (
        "sufficientResources",
        {"jetstream": {**STORE, "max_mem": "1M"}, "accounts": {"A": {"jetstream": {"max_mem": "2M"}}}},
        "insufficient memory",
        "jetstream.max_mem",
    ),
    (
        "sufficientResources",
        {"jetstream": {**STORE, "max_mem": 0}, "accounts": {"A": {"jetstream": {"max_mem": "2M"}}}},
        "insufficient memory",
        "jetstream.max_mem",
    ),
    (
        "sufficientResources",
        {
            "jetstream": {**STORE, "max_file": "3M"},
            "accounts": {"A": {"jetstream": {"max_file": "2M"}}, "B": {"jetstream": {"max_file": "2M"}}},
        },
        "insufficient storage",
        "jetstream.max_file",
    ),
    # server/jetstream_cluster.go
    (
        "enableJetStreamClustering",
        {"jetstream": STORE, "server_name": "s", "cluster": {**CLUSTER, "routes": []}},
        "requires configured routes",
        "cluster.routes",
    ),
    (
        "enableJetStreamClustering",
        {"jetstream": STORE, "gateway": GATEWAY},
        "requires configured routes",
        "cluster.routes",
    ),
    (
        "enableJetStreamClustering",
        {
            "jetstream": STORE,
            "server_name": "s",
            "cluster": {**CLUSTER, "routes": []},
            "leafnodes": {"remotes": [REMOTE]},
        },
        "requires configured routes",
        "cluster.routes",
    ),
    # server/accounts.go
    ("getOperatorKeys", {"resolver": FULL}, "no operator key found", "resolver"),
    ("getOperatorKeys", {"resolver": {**FULL, "type": "cache"}}, "no operator key found", "resolver"),
    # server/ocsp_peer.go
    ("plugTLSOCSPPeer", {"tls": {**TLS, "ocsp_peer": True}}, "requires TLS verify", "tls.ocsp_peer"),
    # server/route.go
    ("startRouteAcceptLoop", {"cluster": {"name": "C", "port": 70000}}, "invalid port", "cluster.port"),
    (
        "startRouteAcceptLoop",
        {"cluster": {"name": "C", "port": -1, "advertise": NO_ADDRESS}},
        "Cluster.Advertise value of a:b:c",
        "cluster.advertise",
    ),
]

# What starts, or starts and does something else than was meant, beside its neighbours above.
SOUND: list[Config] = [
    {"port": -1, "jetstream": {**STORE, "domain": "eu-west"}},
    {"system_account": "$G"},
    {"system_account": "$SYS", "accounts": {"$SYS": {"users": [USER]}}},
    {"jetstream": STORE, "accounts": {"$SYS": {"jetstream": False}, "A": {"jetstream": True}}},
    {"jetstream": STORE, "system_account": "$G", "accounts": {"A": {}}},
    {"jetstream": STORE, "no_system_account": True},
    {"mappings": {"a.*": f"b.$1.${30 * '9'}"}},
    {"mappings": {"a.*": "b.$-1.$0"}},
    {"accounts": {"$SYS": {"jetstream": True}}},
    {
        "jetstream": {**STORE, "max_file": "3M"},
        "accounts": {"A": {"jetstream": {"max_file": "1M"}}, "B": {"jetstream": {"max_file": "2M"}}},
    },
    {"jetstream": {**STORE, "max_mem": -1}, "accounts": {"A": {"jetstream": {"max_mem": "2M"}}}},
    {**OPERATOR, "jetstream": STORE, "system_account": "<account>", "resolver_preload": {"<account>": "<jwt>"}},
    {"operator": "<operator>", "resolver": FULL, "system_account": "<account>"},
    {"operator": "<operator file>", "resolver": FULL, "system_account": "<account>"},
    {**OPERATOR, "accounts": {}, "authorization": USER},
    {**OPERATOR, "leafnodes": {"remotes": [{**REMOTE, "account": "<account>"}]}},
    {**OPERATOR, "default_js_domain": {"<account>": "x"}},
    {**OPERATOR, "resolver_pinned_accounts": ["<account>"], "websocket": {**WEBSOCKET, "jwt_cookie": "c"}},
    {"resolver": {**FULL, "type": "mem"}, "resolver_pinned_accounts": ["A"]},
    {"resolver_preload": {"<account>": "<jwt>"}},
    {"leafnodes": {"compression": {"mode": "fast", "rtt_thresholds": ["5ms", "1ms"]}}},
    {"leafnodes": {"compression": {"rtt_thresholds": ["5ms", "1ms"]}}},
    {"cluster": {"compression": {"mode": "on", "rtt_thresholds": ["5ms", "1ms"]}}},
    {"leafnodes": {"compression": {"mode": "auto", "rtt_thresholds": ["1ms", "0s", "2ms", "3ms", "0s"]}}},
    {"leafnodes": {"compression": ""}},
    {"leafnodes": {"port": -1}, "gateway": GATEWAY, "system_account": "S", "accounts": {"S": {}}},
    {"leafnodes": {"remotes": [{**REMOTE, "account": "$SYS"}, {"urls": ["ws://127.0.0.1:7", "wss://127.0.0.1:7"]}]}},
    {
        "jetstream": STORE,
        "server_name": "s",
        "cluster": {**CLUSTER, "routes": []},
        "leafnodes": {"remotes": [{**REMOTE, "account": "$SYS"}]},
    },
    {"jetstream": STORE, "server_name": "s", "cluster": CLUSTER},
    {"jetstream": STORE, "server_name": "s", "gateway": GATEWAY, "cluster": {"port": -1, "routes": CLUSTER["routes"]}},
    {"jetstream": {**STORE, "max_outstanding_catchup": -1}},
    {"cluster": {"pool_size": -1}},
    {"gateway": {}},
    {"gateway": {"port": 0}},
    {"websocket": {"no_tls": True, "allowed_origins": ["%zz"]}},
    {"mqtt": {"port": -1}, "leafnodes": {"port": -1}},
    {"mqtt": {"port": -1}, "jetstream": STORE},
    {"https_port": -1, "tls": TLS},
    {"http_port": 0, "port": -1},
    {"host": "", "http_port": -1},
    {"tls": {**TLS, "verify": True, "ocsp_peer": True}},
]

# What only the host can tell: source, configuration, what the server says, and who tells it before or after the start.
ON_THE_HOST: list[Row] = [
    ("logPid", {"pid_file": "none/pid"}, "Could not write pidfile", "nats_plan asks for the directory"),
    (
        "enableJetStream",
        {"jetstream": {"store_dir": "/proc/x"}},
        "could not create",
        "nats_plan asks for the directory",
    ),
    ("enableJetStream", {"jetstream": {"store_dir": "server.conf"}}, "not a directory", "the gate, from the log"),
    ("AcceptLoop", {"host": "192.0.2.1"}, "cannot assign requested address", "the gate, from the log"),
    ("AcceptLoop", {"host": "host.invalid"}, "no such host", "the gate, from the log"),
    ("NewServer", {"resolver": "URL(http://127.0.0.1:7/)"}, "connection refused", "the gate, from the log"),
    (
        "sufficientResources",
        {"jetstream": STORE, "accounts": {"A": {"jetstream": {"max_mem": "900T"}}}},
        "insufficient memory",
        "the gate, from the log",
    ),
    ("NewOCSPMonitor", {"ocsp": {"mode": "always"}, "tls": TLS}, "no issuers found", "the gate, from the log"),
    (
        "validateTrustedOperators",
        {"operator": "<operator file>", "resolver": FULL},
        "system account needs to be specified",
        "the gate, from the log",
    ),
]


@pytest.fixture(scope="module")
def starter(nats_server: Path, tmp_path_factory: pytest.TempPathFactory) -> Starter:
    return Starter(nats_server, tmp_path_factory.mktemp("starts"))


@pytest.fixture
def given(material: Material, free_port: Callable[[], int]) -> Callable[[Config], Config]:
    """Give a function that puts what is real into a configuration, and has clients listened for on any port."""
    real: dict[t.Any, t.Any] = {
        "<certificate>": material.certificates[0],
        "<key>": material.keys[0],
        "<operator>": material.operator_jwt,
        "<operator file>": material.operator_file,
        "<account>": material.account_keys[0],
        "<jwt>": material.account_jwts[0],
    }
    port = free_port()

    def put(value: t.Any) -> t.Any:
        if isinstance(value, dict):
            return {put(key): put(item) for key, item in value.items()}
        if isinstance(value, list):
            return [put(item) for item in value]
        return port if value == PORT and not isinstance(value, bool) else real.get(value, value)

    def complete(config: Config) -> Config:
        found: Config = put(config)
        return found if {"port", "listen"} & set(found) else {"port": -1, **found}

    return complete


def listens_for_routes(config: Config) -> bool:
    return "cluster" in {listener.purpose for listener in lookup.listeners(reading.canonical(config))}


def named(rows: list[Row]) -> list[t.Any]:
    return [pytest.param(*row, id=f"{row[0]}-{row[3]}-{place}") for place, row in enumerate(rows)]


@pytest.mark.parametrize("_source, config, said, option", named(KNOWN))
def test_what_the_start_refuses_the_table_refuses(
    starter: Starter, given: Callable[[Config], Config], _source: str, config: Config, said: str, option: str
) -> None:
    config = given(config)
    found = check.problems(config)
    assert {problem.path for problem in found} == {option}, list(map(str, found))
    assert Stage.CHECK not in {problem.stage for problem in found}
    assert said in starter.complaint(conf.render(config), clustered=listens_for_routes(config))


@pytest.mark.parametrize("config", SOUND, ids=str)
def test_what_starts_the_table_takes(starter: Starter, given: Callable[[Config], Config], config: Config) -> None:
    config = given(config)
    clustered = listens_for_routes(config)
    assert starter.complaint(conf.render(config), settled=SETTLED, clustered=clustered) == ""
    assert [str(problem) for problem in check.problems(config)] == []


@pytest.mark.parametrize("_source, config, said, _told", named(ON_THE_HOST))
def test_what_only_the_host_can_tell(
    starter: Starter, given: Callable[[Config], Config], _source: str, config: Config, said: str, _told: str
) -> None:
    config = given(config)
    assert [str(problem) for problem in check.problems(config)] == []
    assert said in starter.complaint(conf.render(config))


# Each way to listen, on a host where that can be chosen alone.
LISTENERS: dict[str, Callable[[str, int], Config]] = {
    "clients": lambda host, port: {"listen": f"{host}:{port}"},
    "http": lambda host, port: {"http": f"{host}:{port}"},
    "https": lambda host, port: {"https": f"{host}:{port}", "tls": TLS},
    "cluster": lambda host, port: {"cluster": {"name": "C", "host": host, "port": port}},
    "gateway": lambda host, port: {"gateway": {"name": "C", "host": host, "port": port}},
    "leafnodes": lambda host, port: {
        "leafnodes": {"listen": f"{host}:{port}"},
        "system_account": "S",
        "accounts": {"S": {}},
    },
    "websocket": lambda host, port: {"websocket": {"no_tls": True, "listen": f"{host}:{port}"}},
    "mqtt": lambda host, port: {"mqtt": {"host": host, "port": port}, "jetstream": STORE},
    "profiler": lambda host, port: {"host": host, "prof_port": port},
}
PAIRS = [
    pair
    for pair in itertools.combinations(LISTENERS, 2)
    if pair not in (("http", "https"), ("clients", "profiler"))  # one monitoring port, one host
]
HOSTS = [
    ("127.0.0.1", "127.0.0.1", False),
    ("127.0.0.1", "localhost", False),
    ("127.0.0.1", "0.0.0.0", False),
    ("127.0.0.1", "127.0.0.2", True),
]


@pytest.mark.parametrize("one, other", PAIRS)
def test_two_listeners_on_one_port(
    starter: Starter, given: Callable[[Config], Config], free_port: Callable[[], int], one: str, other: str
) -> None:
    for host, other_host, fits in HOSTS:
        port = free_port()
        config = given({"server_name": "s", **LISTENERS[one](host, port), **LISTENERS[other](other_host, port)})
        if {one, other} & {"cluster", "gateway"} and "jetstream" in config:
            config["cluster"] = {"name": "C", "port": -1, **config.get("cluster", {}), "routes": CLUSTER["routes"]}
        said = starter.complaint(conf.render(config), clustered=listens_for_routes(config))
        assert ("address already in use" in said, said == "") == (not fits, fits), said
        found = [(problem.stage, problem.fault) for problem in check.problems(config)]
        assert len(found) == int(not fits), found
        assert all(stage is Stage.START and "is listened on for" in fault for stage, fault in found)
