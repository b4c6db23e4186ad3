# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every option of nats-server 2.10.7: name, type, bounds, and how each is proven and changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.rosey.nats.plugins.module_utils._host.needed_path import Need
from ansible_collections.rosey.nats.plugins.module_utils._server.options import model
from ansible_collections.rosey.nats.plugins.module_utils._server.options.model import (
    Effect,
    Form,
    Format,
    Kind,
    Option,
    Place,
    Relation,
    Rule,
    Stage,
    Unit,
)

BOOLEAN = Form(Kind.BOOLEAN)
_INTEGER = Form(Kind.INTEGER)
_NUMBER = Form(Kind.NUMBER)
_SIZE = Form(Kind.SIZE)
_STORAGE_SIZE = Form(Kind.STORAGE_SIZE)
DURATION = Form(Kind.DURATION)
_TEXT = Form(Kind.TEXT)
_FILE = Form(Kind.TEXT, format=Format.FILE)
# A host is tried only where a port makes the server listen.
HOST = Form(Kind.TEXT, format=Format.HOST, stage=Stage.RUN)
_ADVERTISED = Form(Kind.TEXT, format=Format.ADVERTISED, stage=Stage.RUN)
_BASE_PATH = Form(Kind.TEXT, format=Format.BASE_PATH, stage=Stage.RUN)
_URL = Form(Kind.TEXT, format=Format.URL)
_SUBJECT_UNCHECKED = Form(Kind.TEXT, format=Format.SUBJECT, stage=Stage.RUN)
_PASSWORD = Form(Kind.TEXT, format=Format.PASSWORD, stage=Stage.RUN)
_PERMISSION = Form(Kind.TEXT, format=Format.PERMISSION)
_ACCOUNT_KEY = Form(Kind.TEXT, format=Format.ACCOUNT_KEY)
PORT = Form(Kind.INTEGER, minimum=-1, maximum=65535, stage=Stage.START)
_INT32_SIZE = Form(Kind.SIZE, maximum=(1 << 31) - 1)
_SWITCH_WORDS = ("enabled", "enable", "disabled", "disable")


def _choice(*choices: str, exact: bool = False, stage: Stage = Stage.CHECK) -> Form:
    return Form(Kind.TEXT, choices=choices, exact=exact, stage=stage)


def list_of(*items: Form, unique: bool = False, minimum: int | None = None) -> Form:
    """Give the form of a list of such items."""
    return Form(Kind.LIST, items=items, unique=unique, minimum=minimum)


def _block(name: str, *, without: tuple[str, ...] = ()) -> Form:
    return Form(Kind.BLOCK, block=name, without=without)


_TEXTS = list_of(_TEXT)
_URLS = list_of(_URL, unique=True)
_PERMISSIONS = (_PERMISSION, list_of(_PERMISSION))
_LISTEN = (Form(Kind.TEXT, format=Format.ADDRESS), PORT)
_SECONDS = (_NUMBER, DURATION)
_TLS_OF_CLIENTS = _block("tls", without=("verify_cert_and_check_known_urls",))
_AUTHORIZATION_OF_SERVERS = _block("authorization", without=("token", "users", "auth_callout"))
_AUTHORIZATION_OF_ROUTES = _block("authorization", without=("token", "users", "auth_callout", "default_permissions"))
_COMPRESSION_MODE = _choice(
    *("on", "enabled", "true", "off", "disabled", "false", "not supported", "not_supported", "accept"),
    *("auto", "s2_auto", "fast", "s2_fast", "better", "s2_better", "best", "s2_best", ""),
    stage=Stage.START,
)
_COMPRESSION = (_COMPRESSION_MODE, BOOLEAN, _block("compression"))
_DESTINATION = Form(Kind.TEXT, format=Format.DESTINATION)
_MAPPING_DESTINATION = (_DESTINATION, list_of(_block("mapping")), _block("mapping"))
# server/ciphersuites.go, cipherMap and curvePreferenceMap.
_CIPHER_SUITES = _choice(
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_RSA_WITH_RC4_128_SHA",
    exact=True,
)
_CURVES = _choice("X25519", "CurveP256", "CurveP384", "CurveP521", exact=True)


def _row(name: str, *forms: Form, aliases: str = "", **facts: Any) -> Option:
    return Option("", name, forms, aliases=tuple(aliases.split()), **facts)


def _of(block: str, *rows: Option, reloadable: bool = False) -> Iterator[Option]:
    """Put rows into a block; ``reloadable`` says it of all of them, a log line of the one that has it."""
    return (replace(row, block=block, reloadable=row.reloadable or reloadable or bool(row.log)) for row in rows)


OPTIONS: tuple[Option, ...] = (
    *_of(
        "top",
        _row("listen", *_LISTEN, varz="host+port", unit=Unit.ADDRESS, note="instead of host and port"),
        _row("client_advertise", _ADVERTISED, log="Reload: client_advertise = {}"),
        _row("port", PORT, varz="port", zero_is_default=True, note="-1 takes a free port"),
        _row("server_name", _TEXT, varz="server_name", zero_is_default=True),
        _row("host", HOST, aliases="net", varz="host", zero_is_default=True),
        _row("debug", BOOLEAN, log="Reloaded: debug = {}", effect=Effect.DEBUG_LINES),
        _row("trace", BOOLEAN, log="Reloaded: trace = {}", effect=Effect.TRACE_LINES),
        _row(
            "trace_verbose",
            BOOLEAN,
            log="Reloaded: trace_verbose = {}",
            effect=Effect.TRACE_LINES,
            note="sets trace too",
        ),
        _row("logtime", BOOLEAN, log="Reloaded: logtime = {}", effect=Effect.TIMESTAMPS),
        _row("logtime_utc", BOOLEAN, log="Reloaded: logtime_utc = {}", effect=Effect.UTC_TIMESTAMPS),
        _row("mappings", _block("mappings"), aliases="maps", log="Reloaded: accounts"),
        _row("disable_sublist_cache", BOOLEAN, aliases="no_sublist_cache"),
        _row(
            "accounts",
            _block("accounts"),
            list_of(Form(Kind.TEXT, format=Format.ACCOUNT_NAME), unique=True),
            log="Reloaded: accounts",
            unchecked=True,
        ),
        _row("authorization", _block("authorization"), reloadable=True),
        _row("http", *_LISTEN, varz="http_host+http_port", unit=Unit.ADDRESS),
        _row("https", *_LISTEN, varz="http_host+https_port", unit=Unit.ADDRESS),
        _row("http_port", PORT, aliases="monitor_port", varz="http_port"),
        _row("https_port", PORT, varz="https_port"),
        _row("http_base_path", _BASE_PATH, varz="http_base_path"),
        _row("cluster", _block("cluster"), note="a reload can neither add nor remove it"),
        _row("gateway", _block("gateway")),
        _row("leafnodes", _block("leafnodes"), aliases="leaf"),
        _row(
            "store_dir",
            _TEXT,
            aliases="storedir",
            varz="jetstream.config.store_dir",
            unit=Unit.STORE_DIR,
            need=Need.DIRECTORY,
        ),
        _row(
            "jetstream",
            _block("jetstream"),
            BOOLEAN,
            _choice(*_SWITCH_WORDS),
            varz="jetstream.config",
            unit=Unit.ENABLED,
            log="Reloaded: JetStream",
        ),
        _row(
            "log_file",
            _TEXT,
            aliases="logfile",
            log="Reloaded: log_file = {}",
            effect=Effect.LOG_FILE,
            need=Need.PARENT,
        ),
        _row("log_size_limit", _SIZE, aliases="logfile_size_limit"),
        _row("log_max_num", _INTEGER, aliases="logfile_max_num"),
        _row("syslog", BOOLEAN, log="Reloaded: syslog = {}"),
        _row("remote_syslog", _TEXT, log="Reloaded: remote_syslog = {}"),
        _row(
            "pid_file",
            _TEXT,
            aliases="pidfile",
            log="Reloaded: pid_file = {}",
            effect=Effect.PID_FILE,
            need=Need.PARENT,
        ),
        _row(
            "ports_file_dir", _TEXT, log="Reloaded: ports_file_dir = {}", effect=Effect.PORTS_FILE, need=Need.DIRECTORY
        ),
        _row("prof_port", PORT, effect=Effect.PROFILER),
        _row("prof_block_rate", _INTEGER, log="Reloaded: block_prof_rate = {}"),
        _row(
            "max_control_line",
            _INT32_SIZE,
            varz="max_control_line",
            log="Reloaded: max_control_line = {}",
            zero_is_default=True,
        ),
        _row(
            "max_payload",
            _INT32_SIZE,
            varz="max_payload",
            log="Reloaded: max_payload = {}",
            zero_is_default=True,
            note="connected clients are not told",
        ),
        _row("max_pending", _SIZE, varz="max_pending", zero_is_default=True),
        _row(
            "max_connections",
            _INTEGER,
            aliases="max_conn",
            varz="max_connections",
            log="Reloaded: max_connections = {}",
            zero_is_default=True,
            note="a reload that lowers it closes clients at random",
        ),
        _row("max_traced_msg_len", _SIZE, log="Reloaded: max_traced_msg_len = {}"),
        _row("max_subscriptions", _INTEGER, aliases="max_subs", varz="max_subscriptions"),
        _row("max_sub_tokens", Form(Kind.INTEGER, minimum=1, maximum=255), aliases="max_subscription_tokens"),
        _row(
            "ping_interval",
            DURATION,
            varz="ping_interval",
            unit=Unit.NANOSECONDS,
            log="Reloaded: ping_interval = {}",
            zero_is_default=True,
        ),
        _row("ping_max", _INTEGER, varz="ping_max", log="Reloaded: ping_max = {}", zero_is_default=True),
        _row("tls", _TLS_OF_CLIENTS, log="Reloaded: tls = enabled"),
        _row("ocsp", BOOLEAN, _block("ocsp"), log="Reloaded: OCSP"),
        _row("allow_non_tls", BOOLEAN),
        _row(
            "write_deadline",
            DURATION,
            varz="write_deadline",
            unit=Unit.NANOSECONDS,
            log="Reloaded: write_deadline = {}",
            zero_is_default=True,
        ),
        _row("lame_duck_duration", Form(Kind.DURATION, minimum=30_000_000_000)),
        _row("lame_duck_grace_period", Form(Kind.DURATION, minimum=0)),
        _row(
            "operator",
            _FILE,
            aliases="operators roots root root_operators root_operator",
            need=Need.FILE,
            note="one file or JWT; the server's reader refuses every list, an empty one too",
        ),
        _row(
            "resolver",
            Form(Kind.TEXT, format=Format.RESOLVER),
            _block("resolver"),
            aliases="account_resolver accounts_resolver",
            log="Reloaded: accounts",
            stays=True,
        ),
        _row("resolver_tls", _TLS_OF_CLIENTS, log="Reloaded: accounts"),
        _row("resolver_preload", _block("resolver_preload"), log="Reloaded: accounts"),
        _row("resolver_pinned_accounts", list_of(_TEXT), _TEXT, any_order=True, reloadable=True),
        _row("no_auth_user", _TEXT),
        _row(
            "system_account", _TEXT, aliases="system", varz="system_account", zero_is_default=True, case_sensitive=True
        ),
        _row("no_system_account", BOOLEAN, aliases="no_system no_sys_acc"),
        _row("no_header_support", BOOLEAN),
        _row(
            "trusted_keys",
            list_of(Form(Kind.TEXT, format=Format.OPERATOR_KEY)),
            Form(Kind.TEXT, format=Format.OPERATOR_KEY),
            aliases="trusted",
        ),
        _row("connect_error_reports", _INTEGER, log="Reloaded: connect_error_reports = {}"),
        _row("reconnect_error_reports", _INTEGER, log="Reloaded: reconnect_error_reports = {}"),
        _row("websocket", _block("websocket"), aliases="ws"),
        _row("mqtt", _block("mqtt")),
        _row("server_tags", _TEXTS, _TEXT, varz="tags", unit=Unit.TAGS, log="Reloaded: tags"),
        _row("default_js_domain", _block("default_js_domain")),
        _row("ocsp_cache", BOOLEAN, _block("ocsp_cache"), log="Reloaded OCSP peer cache"),
    ),
    *_of(
        "jetstream",
        _row(
            "store_dir",
            _TEXT,
            aliases="store storedir",
            varz="jetstream.config.store_dir",
            unit=Unit.STORE_DIR,
            need=Need.DIRECTORY,
            with_block=True,
        ),
        _row(
            "sync_interval",
            DURATION,
            _choice("always"),
            aliases="sync",
            varz="jetstream.config.sync_interval+jetstream.config.sync_always",
            unit=Unit.ALWAYS,
        ),
        _row(
            "max_mem",
            _STORAGE_SIZE,
            aliases="max_memory_store max_mem_store",
            varz="jetstream.config.max_memory",
            with_block=True,
        ),
        _row(
            "max_file",
            _STORAGE_SIZE,
            aliases="max_file_store",
            varz="jetstream.config.max_storage",
            with_block=True,
        ),
        _row("domain", Form(Kind.TEXT, format=Format.DOMAIN, stage=Stage.START), varz="jetstream.config.domain"),
        _row("enabled", BOOLEAN, aliases="enable", reloadable=True, varz="jetstream.config", unit=Unit.ENABLED),
        _row("encryption_key", _TEXT, aliases="key ek", secret=True),
        _row("prev_encryption_key", _TEXT, aliases="prev_key prev_ek", secret=True),
        _row("cipher", _choice("chacha", "chachapoly", "aes")),
        _row("extension_hint", _choice("will_extend", "no_extend", "", stage=Stage.RUN)),
        _row("limits", _block("jetstream.limits")),
        _row("unique_tag", _TEXT, varz="jetstream.config.unique_tag", unit=Unit.LOWER_CASE),
        _row("max_outstanding_catchup", _STORAGE_SIZE),
    ),
    *_of(
        "jetstream.limits",
        _row("max_ack_pending", _INTEGER),
        _row("max_ha_assets", _INTEGER),
        _row("max_request_batch", _INTEGER),
        _row("duplicate_window", DURATION),
    ),
    *_of(
        "authorization",
        _row("user", _TEXT, aliases="username", unit=Unit.PRESENCE),
        _row("password", _PASSWORD, aliases="pass", secret=True),
        _row("token", _PASSWORD, unit=Unit.PRESENCE, secret=True),
        _row(
            "timeout",
            _NUMBER,
            unit=Unit.SECONDS,
            zero_is_default=True,
            unchecked=True,
            note="seconds; a duration is taken for one second",
        ),
        _row("users", list_of(_block("user")), any_order=True),
        _row("default_permissions", _block("permissions"), aliases="default_permission permissions"),
        _row("auth_callout", _block("auth_callout"), aliases="auth_hook"),
        reloadable=True,
    ),
    *_of(
        "user",
        _row("nkey", Form(Kind.TEXT, format=Format.USER_KEY), unit=Unit.PRESENCE),
        _row("user", _TEXT, aliases="username", unit=Unit.PRESENCE),
        _row("password", _PASSWORD, aliases="pass", secret=True),
        _row("permissions", _block("permissions"), aliases="permission authorization"),
        _row(
            "allowed_connection_types",
            list_of(_choice("STANDARD", "WEBSOCKET", "LEAFNODE", "LEAFNODE_WS", "MQTT", "MQTT_WS")),
            _choice("STANDARD", "WEBSOCKET", "LEAFNODE", "LEAFNODE_WS", "MQTT", "MQTT_WS"),
            aliases="connection_types clients",
            any_order=True,
        ),
        reloadable=True,
    ),
    *_of(
        "auth_callout",
        _row("issuer", _ACCOUNT_KEY),
        _row("account", _TEXT, aliases="acc"),
        _row("auth_users", list_of(_TEXT, minimum=1), aliases="users"),
        _row("xkey", Form(Kind.TEXT, format=Format.CURVE_KEY), aliases="key"),
    ),
    *_of(
        "permissions",
        _row("publish", _block("subjects"), *_PERMISSIONS, aliases="pub import", any_order=True),
        _row("subscribe", _block("subjects"), *_PERMISSIONS, aliases="sub export", any_order=True),
        _row("allow_responses", BOOLEAN, _block("allow_responses"), aliases="publish_allow_responses"),
        reloadable=True,
    ),
    *_of(
        "subjects",
        _row("allow", *_PERMISSIONS, any_order=True),
        _row("deny", *_PERMISSIONS, any_order=True),
        reloadable=True,
    ),
    *_of(
        "allow_responses",
        _row("max", _INTEGER, aliases="max_msgs max_messages max_responses"),
        _row("expires", DURATION, aliases="expiration ttl"),
        reloadable=True,
    ),
    *_of(
        "cluster",
        _row("name", _TEXT, varz="cluster.name", zero_is_default=True, log="Reloaded: cluster"),
        _row("listen", *_LISTEN, varz="cluster.addr+cluster.cluster_port", unit=Unit.ADDRESS),
        _row("port", PORT, varz="cluster.cluster_port"),
        _row("host", HOST, aliases="net", varz="cluster.addr", zero_is_default=True),
        _row("authorization", _AUTHORIZATION_OF_ROUTES, log="Reloaded: cluster"),
        _row(
            "routes",
            _URLS,
            varz="cluster.urls",
            unit=Unit.URL_HOSTS,
            secret=True,
            any_order=True,
            log="Reloaded: cluster routes",
        ),
        _row("tls", _block("tls"), log="Reloaded: cluster"),
        _row("advertise", _ADVERTISED, aliases="cluster_advertise", log="Reloaded: cluster"),
        _row("no_advertise", BOOLEAN, log="Reloaded: cluster"),
        _row("connect_retries", _INTEGER, log="Reloaded: cluster"),
        _row("permissions", _block("permissions", without=("allow_responses",)), log="Reloaded: cluster"),
        _row("pool_size", _INTEGER, varz="cluster.pool_size", zero_is_default=True, log="Reloaded: cluster"),
        _row("accounts", _TEXTS, _TEXT, any_order=True, log="Reloaded: cluster"),
        _row("compression", *_COMPRESSION, log="Reloaded: cluster"),
    ),
    *_of(
        "compression",
        _row("mode", _COMPRESSION_MODE),
        _row("rtt_thresholds", list_of(DURATION), aliases="thresholds rtts rtt"),
        reloadable=True,
    ),
    *_of(
        "leafnodes",
        _row("listen", *_LISTEN, varz="leaf.host+leaf.port", unit=Unit.ADDRESS),
        _row("port", PORT, varz="leaf.port"),
        _row("host", HOST, aliases="net", varz="leaf.host", zero_is_default=True),
        _row("authorization", _block("leafnodes.authorization")),
        _row("remotes", list_of(_block("leafnodes.remote"))),
        _row("reconnect", _INTEGER, aliases="reconnect_delay reconnect_interval", note="seconds"),
        _row("tls", _TLS_OF_CLIENTS),
        _row("advertise", _ADVERTISED, aliases="leafnode_advertise"),
        _row("no_advertise", BOOLEAN),
        _row("min_version", Form(Kind.TEXT, format=Format.LEAFNODE_VERSION), aliases="minimum_version"),
        _row("compression", *_COMPRESSION, log="Reloaded: LeafNode compression settings"),
    ),
    *_of(
        "leafnodes.authorization",
        _row("user", _TEXT, aliases="username"),
        _row("password", _PASSWORD, aliases="pass", secret=True),
        _row(
            "timeout",
            _NUMBER,
            varz="leaf.auth_timeout",
            unit=Unit.SECONDS,
            zero_is_default=True,
            unchecked=True,
            note="seconds; a duration is taken for one second",
        ),
        _row("users", list_of(_block("leafnodes.user")), any_order=True),
        _row("account", _TEXT),
    ),
    *_of(
        "leafnodes.user",
        _row("user", _TEXT, aliases="username"),
        _row("password", _PASSWORD, aliases="pass", secret=True),
        _row("account", _TEXT),
    ),
    *_of(
        "leafnodes.remote",
        _row("no_randomize", BOOLEAN, aliases="dont_randomize"),
        _row("urls", _URLS, _URL, aliases="url", varz="leaf.remotes.{}.urls", unit=Unit.REMOTE_HOSTS, secret=True),
        _row("account", _TEXT, aliases="local", varz="leaf.remotes.{}.local_account", zero_is_default=True),
        _row("credentials", _TEXT, aliases="creds", need=Need.FILE),
        _row("tls", _TLS_OF_CLIENTS),
        _row("hub", BOOLEAN),
        _row(
            "deny_imports",
            *reversed(_PERMISSIONS),
            aliases="deny_import",
            varz="leaf.remotes.{}.deny.imports",
            unit=Unit.WORDS,
        ),
        _row(
            "deny_exports",
            *reversed(_PERMISSIONS),
            aliases="deny_export",
            varz="leaf.remotes.{}.deny.exports",
            unit=Unit.WORDS,
        ),
        _row("ws_compression", BOOLEAN, aliases="ws_compress websocket_compress websocket_compression"),
        _row("ws_no_masking", BOOLEAN, aliases="websocket_no_masking"),
        _row(
            "jetstream_cluster_migrate",
            Form(Kind.BOOLEAN, choices=("true",), stage=Stage.RUN),
            aliases="js_cluster_migrate",
            unchecked=True,
            note="any value turns it on, false too",
        ),
        _row("compression", *_COMPRESSION, log="Reloaded: LeafNode compression settings"),
    ),
    *_of(
        "tls",
        _row("cert_file", _FILE, need=Need.FILE, unit=Unit.PRESENCE, hidden_by="allow_non_tls"),
        _row("key_file", _FILE, need=Need.FILE),
        _row("ca_file", _FILE, need=Need.FILE),
        _row("insecure", BOOLEAN),
        _row("verify", BOOLEAN, unit=Unit.PRESENCE),
        _row("verify_and_map", BOOLEAN, unit=Unit.PRESENCE),
        _row("verify_cert_and_check_known_urls", BOOLEAN, note="for servers that connect to servers"),
        _row("cipher_suites", list_of(_CIPHER_SUITES, minimum=1)),
        _row("curve_preferences", list_of(_CURVES, minimum=1)),
        _row("timeout", *_SECONDS, unit=Unit.SECONDS, zero_is_default=True),
        _row("connection_rate_limit", _INTEGER, note="only clients have one"),
        _row("pinned_certs", list_of(Form(Kind.TEXT, format=Format.FINGERPRINT)), unit=Unit.TAGS),
        _row("cert_store", note="on Windows only"),
        _row("cert_match_by", _choice("subject", "issuer"), note="with cert_store"),
        _row("cert_match", Form(Kind.TEXT, minimum=1), note="with cert_store"),
        _row(
            "handshake_first",
            BOOLEAN,
            _choice("true", "on", "false", "off", "auto", "auto_fallback"),
            DURATION,
            aliases="first immediate",
        ),
        _row("ocsp_peer", BOOLEAN, _block("ocsp_peer"), unit=Unit.PRESENCE),
        reloadable=True,
    ),
    *_of(
        "ocsp_peer",
        _row("verify", BOOLEAN),
        _row("allowed_clockskew", *_SECONDS),
        _row("ca_timeout", *_SECONDS),
        _row("cache_ttl_when_next_update_unset", *_SECONDS),
        _row("warn_only", BOOLEAN),
        _row("unknown_is_good", BOOLEAN),
        _row("allow_when_ca_unreachable", BOOLEAN),
        reloadable=True,
    ),
    *_of(
        "ocsp",
        _row("mode", _choice("always", "must", "never", "auto"), case_sensitive=True),
        _row("urls", case_sensitive=True, note="the server's reader fails on every value: use url"),
        _row("url", _TEXT, case_sensitive=True),
        reloadable=True,
    ),
    *_of(
        "ocsp_cache",
        _row("type", _choice("none", "local")),
        _row("local_store", _TEXT, need=Need.DIRECTORY),
        _row("preserve_revoked", BOOLEAN),
        _row("save_interval", *_SECONDS, note="at least one second"),
        reloadable=True,
    ),
    *_of(
        "websocket",
        _row("listen", *_LISTEN, varz="websocket.host+websocket.port", unit=Unit.ADDRESS),
        _row("port", PORT, varz="websocket.port"),
        _row("host", HOST, aliases="net", varz="websocket.host", zero_is_default=True),
        _row("advertise", _ADVERTISED, varz="websocket.advertise"),
        _row("no_tls", BOOLEAN, varz="websocket.no_tls"),
        _row("tls", _TLS_OF_CLIENTS),
        _row("same_origin", BOOLEAN, varz="websocket.same_origin"),
        _row(
            "allowed_origins",
            _TEXTS,
            _TEXT,
            aliases="allowed_origin allow_origins allow_origin origins origin",
            varz="websocket.allowed_origins",
            unit=Unit.WORDS,
        ),
        _row(
            "handshake_timeout",
            DURATION,
            _INTEGER,
            varz="websocket.handshake_timeout",
            unit=Unit.NANOSECONDS,
            note="a whole number is seconds",
        ),
        _row("compression", BOOLEAN, aliases="compress", varz="websocket.compression"),
        _row("authorization", _block("client_authorization"), aliases="authentication"),
        _row("jwt_cookie", _TEXT, varz="websocket.jwt_cookie"),
        _row("no_auth_user", _TEXT, varz="websocket.no_auth_user"),
    ),
    *_of(
        "client_authorization",
        _row("user", _TEXT, aliases="username", unit=Unit.PRESENCE),
        _row("password", _PASSWORD, aliases="pass", secret=True),
        _row("token", _PASSWORD, unit=Unit.PRESENCE, secret=True),
        _row(
            "timeout",
            _NUMBER,
            unit=Unit.SECONDS,
            zero_is_default=True,
            unchecked=True,
            note="seconds; a duration is taken for one second",
        ),
    ),
    *_of(
        "mqtt",
        _row("listen", *_LISTEN, varz="mqtt.host+mqtt.port", unit=Unit.ADDRESS),
        _row("port", PORT, varz="mqtt.port"),
        _row("host", HOST, aliases="net", varz="mqtt.host", zero_is_default=True),
        _row("tls", _TLS_OF_CLIENTS, reloadable=True),
        _row("authorization", _block("client_authorization"), aliases="authentication"),
        _row("no_auth_user", _TEXT, varz="mqtt.no_auth_user"),
        _row(
            "ack_wait",
            DURATION,
            aliases="ackwait",
            varz="mqtt.ack_wait",
            unit=Unit.NANOSECONDS,
            log="Reloaded: MQTT ack_wait = {}",
        ),
        _row(
            "max_ack_pending",
            Form(Kind.INTEGER, minimum=0, maximum=65535),
            aliases="max_pending max_inflight",
            varz="mqtt.max_ack_pending",
            log="Reloaded: MQTT max_ack_pending = {}",
        ),
        _row("js_domain", _TEXT, varz="mqtt.js_domain"),
        _row("stream_replicas", _INTEGER, log="Reloaded: MQTT stream_replicas = {}"),
        _row("consumer_replicas", note="the server ignores it and warns: remove it"),
        _row("consumer_memory_storage", BOOLEAN, log="Reloaded: MQTT consumer_memory_storage = {}"),
        _row(
            "consumer_inactive_threshold",
            DURATION,
            aliases="consumer_auto_cleanup",
            log="Reloaded: MQTT consumer_inactive_threshold = {}",
        ),
        _row("reject_qos2_publish", BOOLEAN),
        _row("downgrade_qos2_subscribe", BOOLEAN),
    ),
    *_of(
        "gateway",
        _row("name", _TEXT, varz="gateway.name"),
        _row("listen", *_LISTEN, varz="gateway.host+gateway.port", unit=Unit.ADDRESS),
        _row("port", PORT, varz="gateway.port"),
        _row("host", HOST, aliases="net", varz="gateway.host", zero_is_default=True),
        _row("authorization", _AUTHORIZATION_OF_SERVERS),
        _row("tls", _block("tls")),
        _row("advertise", _ADVERTISED, varz="gateway.advertise"),
        _row("connect_retries", _INTEGER, varz="gateway.connect_retries"),
        _row("gateways", list_of(_block("gateway.remote")), any_order=True),
        _row("reject_unknown_cluster", BOOLEAN, aliases="reject_unknown", varz="gateway.reject_unknown"),
    ),
    *_of(
        "gateway.remote",
        _row("name", _TEXT, varz="gateway.gateways.{}.name"),
        _row("tls", _block("tls")),
        _row("url", _URL, varz="gateway.gateways.{}.urls", unit=Unit.URL_HOSTS, secret=True),
        _row("urls", _URLS, varz="gateway.gateways.{}.urls", unit=Unit.URL_HOSTS, secret=True),
    ),
    *_of(
        "accounts",
        _row(model.ANY_NAME, _block("account"), key_format=Format.ACCOUNT_NAME, log="Reloaded: accounts"),
        reloadable=True,
    ),
    *_of(
        "account",
        _row("nkey", _ACCOUNT_KEY),
        _row("imports", list_of(_block("import"))),
        _row("exports", list_of(_block("export"))),
        _row("jetstream", _block("account.jetstream"), BOOLEAN, _choice(*_SWITCH_WORDS)),
        _row("users", list_of(_block("user")), any_order=True),
        _row("default_permissions", _block("permissions")),
        _row("mappings", _block("mappings"), aliases="maps"),
        _row("limits", _block("account.limits")),
        reloadable=True,
    ),
    *_of(
        "account.limits",
        _row("max_connections", _INTEGER, aliases="max_conn"),
        _row("max_subscriptions", _INTEGER, aliases="max_subs"),
        _row("max_payload", _SIZE, aliases="max_pay"),
        _row("max_leafnodes", _INTEGER, aliases="max_leafs"),
        reloadable=True,
    ),
    *_of(
        "account.jetstream",
        _row("max_mem", _SIZE, aliases="max_memory mem memory"),
        _row("max_file", _SIZE, aliases="max_store max_disk store disk"),
        _row("max_streams", _INTEGER, aliases="streams"),
        _row("max_consumers", _INTEGER, aliases="consumers"),
        _row("max_bytes_required", BOOLEAN, aliases="max_stream_bytes max_bytes"),
        _row("mem_max_stream_bytes", _SIZE, aliases="memory_max_stream_bytes"),
        _row("disk_max_stream_bytes", _SIZE, aliases="store_max_stream_bytes"),
        _row("max_ack_pending", _INTEGER),
        reloadable=True,
    ),
    *_of("mappings", _row(model.ANY_NAME, *_MAPPING_DESTINATION, key_format=Format.SUBJECT), reloadable=True),
    *_of(
        "mapping",
        _row("destination", _DESTINATION, aliases="dest"),
        _row("weight", Form(Kind.INTEGER, minimum=0, maximum=100), Form(Kind.TEXT, format=Format.PERCENTAGE)),
        _row("cluster", _TEXT),
        reloadable=True,
    ),
    *_of(
        "export",
        _row("stream", _SUBJECT_UNCHECKED),
        _row("service", _SUBJECT_UNCHECKED),
        _row("response_type", _choice("single", "singleton", "stream", "chunk", "chunked"), aliases="response"),
        _row("response_threshold", DURATION, aliases="threshold response_max_time response_time"),
        _row("accounts", _TEXTS, any_order=True),
        _row("latency", _block("latency"), _SUBJECT_UNCHECKED),
        _row("account_token_position", _INTEGER),
        reloadable=True,
    ),
    *_of(
        "latency",
        _row(
            "sampling",
            Form(Kind.INTEGER, minimum=1, maximum=100),
            Form(Kind.TEXT, format=Format.SAMPLING),
            case_sensitive=True,
        ),
        _row("subject", _SUBJECT_UNCHECKED, case_sensitive=True),
        reloadable=True,
    ),
    *_of(
        "import",
        _row("stream", _block("import.source")),
        _row("service", _block("import.source")),
        _row("prefix", _TEXT),
        _row("to", _SUBJECT_UNCHECKED),
        _row("share", BOOLEAN),
        reloadable=True,
    ),
    *_of(
        "import.source",
        _row("account", Form(Kind.TEXT, minimum=1)),
        _row("subject", _SUBJECT_UNCHECKED),
        reloadable=True,
    ),
    *_of(
        "resolver",
        _row("type", _choice("full", "cache", "mem", "memory"), case_sensitive=True),
        _row("dir", _TEXT, case_sensitive=True, need=Need.DIRECTORY, note="checking the configuration creates it"),
        _row("allow_delete", BOOLEAN, case_sensitive=True),
        _row("hard_delete", BOOLEAN, case_sensitive=True),
        _row("limit", _INTEGER, case_sensitive=True),
        _row("ttl", Form(Kind.DURATION, minimum=0), case_sensitive=True),
        _row("interval", DURATION, case_sensitive=True),
        _row("timeout", Form(Kind.DURATION, minimum=1), case_sensitive=True),
        reloadable=True,
    ),
    *_of(
        "resolver_preload",
        _row(model.ANY_NAME, Form(Kind.TEXT, format=Format.ACCOUNT_JWT), secret=True),
        reloadable=True,
    ),
    *_of("default_js_domain", _row(model.ANY_NAME, _TEXT)),
)

_TLS_FIELDS = {"cert_file": "tls_required", "timeout": "tls_timeout", "verify": "tls_verify"}


def _under(prefix: str, fields: Mapping[str, str]) -> dict[str, str]:
    return {option: f"{prefix}.{name}" for option, name in fields.items()}


# server/monitor.go, createVarz; server/reload.go, diffOptions. ANY_NAME in a path stands for every free key.
PLACES: dict[tuple[str, ...], Place] = {
    ("authorization",): Place(
        varz={"user": "auth_required", "token": "auth_required", "timeout": "auth_timeout"},
        log={
            "user": "Reloaded: authorization username",
            "password": "Reloaded: authorization password",
            "token": "Reloaded: authorization token",
            "timeout": "Reloaded: authorization timeout = {}",
            "users": "Reloaded: authorization users",
            "default_permissions": "Reloaded: authorization users",
        },
        fixed=frozenset({"auth_callout"}),
    ),
    ("authorization", "users"): Place(varz={"user": "auth_required", "nkey": "auth_required"}),
    ("accounts", model.ANY_NAME, "users"): Place(varz={"user": "auth_required", "nkey": "auth_required"}),
    ("cluster", "authorization"): Place(varz={"timeout": "cluster.auth_timeout"}),
    ("gateway", "authorization"): Place(
        varz={"timeout": "gateway.auth_timeout"}, fixed=frozenset({"user", "password", "timeout"})
    ),
    ("websocket", "authorization"): Place(varz={"timeout": "websocket.auth_timeout"}),
    ("mqtt", "authorization"): Place(varz={"timeout": "mqtt.auth_timeout"}),
    ("tls",): Place(
        varz={**_TLS_FIELDS, "verify_and_map": "tls_verify", "ocsp_peer": "tls_ocsp_peer_verify"},
        log={
            "timeout": "Reloaded: tls timeout = {}",
            "pinned_certs": "Reloaded: {} pinned_certs",
            "handshake_first": "Reloaded: Client TLS handshake first",
        },
        fixed=frozenset({"verify_and_map", "connection_rate_limit"}),
    ),
    ("cluster", "tls"): Place(varz=_under("cluster", _TLS_FIELDS)),
    ("gateway", "tls"): Place(
        varz=_under("gateway", _TLS_FIELDS),
        fixed=frozenset({"timeout", "verify_and_map", "verify_cert_and_check_known_urls", "pinned_certs"}),
    ),
    ("gateway", "gateways", "tls"): Place(
        varz={"timeout": "gateway.gateways.{}.tls_timeout"}, fixed=frozenset({"timeout"})
    ),
    ("leafnodes", "tls"): Place(
        varz=_under("leaf", {**_TLS_FIELDS, "verify_and_map": "tls_verify", "ocsp_peer": "tls_ocsp_peer_verify"}),
        log={"handshake_first": "Reloaded: LeafNode TLS HandshakeFirst value is"},
        fixed=frozenset({"timeout", "verify_and_map", "pinned_certs"}),
    ),
    ("leafnodes", "remotes", "tls"): Place(
        varz=_under("leaf.remotes.{}", {"timeout": "tls_timeout", "ocsp_peer": "tls_ocsp_peer_verify"}),
        fixed=frozenset({"timeout"}),
    ),
    ("websocket", "tls"): Place(
        varz=_under(
            "websocket",
            {"verify_and_map": "tls_map", "pinned_certs": "tls_pinned_certs", "ocsp_peer": "tls_ocsp_peer_verify"},
        ),
        fixed=frozenset({"verify_and_map", "pinned_certs"}),
    ),
    ("mqtt", "tls"): Place(
        varz=_under(
            "mqtt",
            {
                "timeout": "tls_timeout",
                "verify_and_map": "tls_map",
                "pinned_certs": "tls_pinned_certs",
                "ocsp_peer": "tls_ocsp_peer_verify",
            },
        ),
        fixed=frozenset({"timeout", "verify_and_map", "pinned_certs"}),
    ),
}

# Why two options that say the same thing stand in each other's way.
LAST_WINS = "the last one read wins"
RULES: tuple[Rule, ...] = (
    Rule("authorization", Relation.EXCLUDES, ("token", "user", "password", "users"), reason="a token, or users"),
    Rule("authorization", Relation.EXCLUDES, ("users", "user"), reason="one user, or a list of them"),
    Rule("user", Relation.NEEDS_ONE, ("user", "nkey")),
    Rule("user", Relation.EXCLUDES, ("nkey", "user", "password"), reason="a key needs neither name nor password"),
    Rule("auth_callout", Relation.NEEDS_ALWAYS, ("issuer", "auth_users")),
    Rule("tls", Relation.NEEDS, ("cert_file", "key_file")),
    Rule("tls", Relation.NEEDS, ("key_file", "cert_file")),
    Rule("mapping", Relation.NEEDS_ALWAYS, ("weight",)),
    Rule("mapping", Relation.NEEDS_ALWAYS, ("destination",), Stage.RUN),
    Rule("latency", Relation.NEEDS_ALWAYS, ("subject",)),
    Rule("export", Relation.EXCLUDES, ("stream", "service", "response_type", "latency"), reason="a stream has none"),
    Rule("export", Relation.EXCLUDES, ("stream", "response_threshold"), Stage.RUN, reason="a stream has none"),
    Rule("export", Relation.NEEDS_ONE, ("stream", "service"), Stage.RUN),
    Rule("import", Relation.EXCLUDES, ("stream", "service"), reason="an import is one or the other"),
    Rule("import", Relation.EXCLUDES, ("prefix", "to"), Stage.RUN, reason="a subject is renamed in one way"),
    Rule("import", Relation.NEEDS_ONE, ("stream", "service"), Stage.RUN),
    Rule("import.source", Relation.NEEDS_ALWAYS, ("account", "subject")),
    Rule("resolver", Relation.NEEDS_ALWAYS, ("type",)),
    # Without a name and a port there is no gateway, and nobody looks at what is to be reached through it.
    Rule("gateway", Relation.NEEDS, ("port", "name"), Stage.START),
    Rule("gateway", Relation.NEEDS, ("listen", "name"), Stage.START),
    Rule("gateway", Relation.NEEDS, ("name", "port", "listen"), Stage.START),
    Rule("gateway", Relation.NEEDS, ("gateways", "name"), Stage.RUN),
    Rule("gateway.remote", Relation.NEEDS_ALWAYS, ("name",), Stage.START),
    Rule("gateway.remote", Relation.NEEDS_ONE, ("urls", "url"), Stage.START),
    Rule("leafnodes.remote", Relation.NEEDS_ALWAYS, ("urls",), Stage.RUN),
    Rule("gateway.remote", Relation.EXCLUDES, ("url", "urls"), Stage.RUN, reason=LAST_WINS),
    Rule("top", Relation.EXCLUDES, ("http", "http_port"), Stage.RUN, reason=LAST_WINS),
    Rule("top", Relation.EXCLUDES, ("https", "https_port"), Stage.RUN, reason=LAST_WINS),
    *(
        Rule(block, Relation.EXCLUDES, ("listen", "host", "port"), Stage.RUN, reason=LAST_WINS)
        for block in ("top", "cluster", "leafnodes", "websocket", "mqtt", "gateway")
    ),
)
