# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the configuration file of nats-server 2.10.7 accepts, and how the server shows what it took.

The table OPTIONS holds every option at every level, drawn from server/opts.go (what is read), server/reload.go (what a
reload takes) and server/monitor.go (what /varz shows) at v2.10.7. All else here works on that table: finding an
option, merging two configurations, naming what is wrong with one.

A configuration is a mapping as YAML gives it. Two values are special: ``{"$variable": "NAME"}`` is a reference to a
variable, and a key ``$include`` names one file, or a list of files, to include at that place.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import ipaddress
import json
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum, auto
from functools import lru_cache
from typing import Any, TypeAlias

from ansible_collections.rosey.nats.plugins.module_utils._host.needed_path import Need
from ansible_collections.rosey.nats.plugins.module_utils._host.redaction import HIDDEN
from ansible_collections.rosey.nats.plugins.module_utils._server import subjects, units

Path: TypeAlias = "tuple[str | int, ...]"
Config = Mapping[str, Any]

VARIABLE = "$variable"
INCLUDE = "$include"
ANY_NAME = "*"
# Go's unicode.IsSpace; Python's str.strip and str.split take four control characters more for spaces.
SPACES = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"


class Kind(StrEnum):
    """What a value is. SIZE and STORAGE_SIZE are written unquoted; a STORAGE_SIZE may also stand quoted (``"2G"``)."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    SIZE = "size"
    STORAGE_SIZE = "storage_size"
    DURATION = "duration"
    TEXT = "text"
    LIST = "list"
    BLOCK = "block"


class Stage(StrEnum):
    """Who finds a fault.

    CHECK: ``nats-server -t`` refuses the configuration. START: it accepts it, and the server then fails to start.
    RUN: nobody has to, and where the server starts it does something else than what was meant.
    """

    CHECK = "check"
    START = "start"
    RUN = "run"


class Evidence(StrEnum):
    """How the value that a running server uses is proven."""

    VARZ = "varz"
    LOG = "log"
    EFFECT = "effect"
    TRUST = "trust"


class Effect(StrEnum):
    """What can be seen of an option that neither /varz nor the log names."""

    DEBUG_LINES = "the log has [DBG] lines"
    TRACE_LINES = "the log has [TRC] lines when clients talk"
    TIMESTAMPS = "log lines begin with the process id and the time"
    UTC_TIMESTAMPS = "the times of the log are UTC"
    LOG_FILE = "the file exists and grows"
    PID_FILE = "the file holds the process id"
    PORTS_FILE = "the directory holds nats-server_<process id>.ports"
    PROFILER = "the port answers HTTP"


class Unit(StrEnum):
    """In what form /varz shows a value; see effective() and shown()."""

    PLAIN = "plain"
    NANOSECONDS = "nanoseconds"
    SECONDS = "seconds"
    PRESENCE = "presence"
    ENABLED = "enabled"
    ALWAYS = "always"
    ADDRESS = "address"
    URL_HOSTS = "url_hosts"
    REMOTE_HOSTS = "remote_hosts"
    WORDS = "words"
    TAGS = "tags"
    LOWER_CASE = "lower_case"
    STORE_DIR = "store_dir"


class Format(StrEnum):
    """What a text has to look like; FORMATS says it in words and checks it."""

    ADDRESS = auto()
    HOST = auto()
    ADVERTISED = auto()
    BASE_PATH = auto()
    DOMAIN = auto()
    URL = auto()
    SUBJECT = auto()
    DESTINATION = auto()
    PERMISSION = auto()
    USER_KEY = auto()
    ACCOUNT_KEY = auto()
    OPERATOR_KEY = auto()
    CURVE_KEY = auto()
    ACCOUNT_NAME = auto()
    ACCOUNT_JWT = auto()
    FINGERPRINT = auto()
    LEAFNODE_VERSION = auto()
    RESOLVER = auto()
    PERCENTAGE = auto()
    SAMPLING = auto()
    PASSWORD = auto()
    FILE = auto()


@dataclass(frozen=True)
class Form:
    """One form that the value of an option may take.

    choices: the only texts, or booleans as text, accepted (case matters when ``exact``). format: how a text looks.
    minimum, maximum: bounds of the number, of the bytes of a size, of the nanoseconds of a duration, of the length of
    a list or text. items, unique: what a list holds, and whether its items must differ. block: the block's name.
    without: options of the block that are refused here; of those that are booleans, only true is.
    stage: who enforces choices, format and bounds.
    """

    kind: Kind
    choices: tuple[str, ...] = ()
    exact: bool = False
    format: Format | None = None
    minimum: int | None = None
    maximum: int | None = None
    items: tuple[Form, ...] = ()
    unique: bool = False
    block: str = ""
    without: tuple[str, ...] = ()
    stage: Stage = Stage.CHECK


@dataclass(frozen=True)
class Option:
    """One option of one block.

    block, name, aliases: ``name`` is ANY_NAME where the block's keys are free (accounts, subjects).
    forms: what it accepts; empty where the server knows the name but accepts no value at all (the note says why).
    reloadable: whether a changed value takes effect on SIGHUP; of a block, whether adding or removing it does.
    stays: whether a reload refuses to add or to remove it, although it takes another value.
    any_order: whether the items of a list mean the same in any order.
    with_block: whether a reload takes it when its block is added or removed, although not alone.
    varz: the field of /varz that shows the value, dotted, two joined by ``+``; "" where none does.
    unit: in what form that field has it.
    hidden_by: an option of the top level that, when true, makes /varz silent about this one.
    log: the line that the server logs when a reload took the option, with {} for the value; "" where it logs none.
    effect: what else can be seen of it. secret: the value must not be shown.
    zero_is_default: whether 0 or "" asks for the server's default instead of itself.
    unchecked: whether the server accepts a value of any other kind and ignores it.
    case_sensitive: whether the server, which ignores the case of names, does not do so here.
    key_format: what a free key looks like. need: where the value is a path, what has to be there.
    """

    block: str
    name: str
    forms: tuple[Form, ...]
    aliases: tuple[str, ...] = ()
    reloadable: bool = False
    stays: bool = False
    with_block: bool = False
    any_order: bool = False
    varz: str = ""
    unit: Unit = Unit.PLAIN
    hidden_by: str = ""
    log: str = ""
    effect: Effect | None = None
    secret: bool = False
    zero_is_default: bool = False
    unchecked: bool = False
    case_sensitive: bool = False
    key_format: Format | None = None
    need: Need | None = None
    note: str = ""

    @property
    def kind(self) -> Kind | None:
        """The kind of the first, and usual, form; None where no value is accepted."""
        return self.forms[0].kind if self.forms else None

    @property
    def varz_follows_reload(self) -> bool:
        """Whether /varz shows a new value after a reload; else it goes on showing the one that it first showed."""
        return self.varz in _VARZ_FOLLOWING_A_RELOAD


@dataclass(frozen=True)
class Place:
    """How the options of a shared block differ where the block stands.

    fixed: those that a reload refuses, or takes without effect; ANY_NAME for all. varz, log: option to field, line.
    """

    fixed: frozenset[str] = frozenset()
    varz: Mapping[str, str] = field(default_factory=dict)
    log: Mapping[str, str] = field(default_factory=dict)


class Relation(StrEnum):
    """How options of one block depend on each other."""

    NEEDS = "needs"  # the first needs one of the others
    NEEDS_ALWAYS = "needs_always"  # the block needs each
    NEEDS_ONE = "needs_one"  # the block needs one of them
    EXCLUDES = "excludes"  # the first excludes each of the others


@dataclass(frozen=True)
class Rule:
    """One dependency between options of a block, and who enforces it."""

    block: str
    relation: Relation
    options: tuple[str, ...]
    stage: Stage = Stage.CHECK
    reason: str = ""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a configuration, as text for a person.

    path: dotted. value: as written, "" where there is none, HIDDEN where secret. fault: what is wrong with it.
    """

    path: str
    value: str
    fault: str
    expected: str
    remedy: str
    stage: Stage = Stage.CHECK

    def __str__(self) -> str:
        subject = f"{self.path}: {self.value} {self.fault}" if self.value else f"{self.path} {self.fault}"
        return f"{subject}; expected {self.expected}; {self.remedy}"


_BOOLEAN = Form(Kind.BOOLEAN)
_INTEGER = Form(Kind.INTEGER)
_NUMBER = Form(Kind.NUMBER)
_SIZE = Form(Kind.SIZE)
_STORAGE_SIZE = Form(Kind.STORAGE_SIZE)
_DURATION = Form(Kind.DURATION)
_TEXT = Form(Kind.TEXT)
_FILE = Form(Kind.TEXT, format=Format.FILE)
# A host is tried only where a port makes the server listen.
_HOST = Form(Kind.TEXT, format=Format.HOST, stage=Stage.RUN)
_ADVERTISED = Form(Kind.TEXT, format=Format.ADVERTISED, stage=Stage.RUN)
_BASE_PATH = Form(Kind.TEXT, format=Format.BASE_PATH, stage=Stage.RUN)
_URL = Form(Kind.TEXT, format=Format.URL)
_SUBJECT_UNCHECKED = Form(Kind.TEXT, format=Format.SUBJECT, stage=Stage.RUN)
_PASSWORD = Form(Kind.TEXT, format=Format.PASSWORD, stage=Stage.RUN)
_PERMISSION = Form(Kind.TEXT, format=Format.PERMISSION)
_ACCOUNT_KEY = Form(Kind.TEXT, format=Format.ACCOUNT_KEY)
_PORT = Form(Kind.INTEGER, minimum=-1, maximum=65535, stage=Stage.START)
_INT32_SIZE = Form(Kind.SIZE, maximum=(1 << 31) - 1)
_SWITCH_WORDS = ("enabled", "enable", "disabled", "disable")


def _choice(*choices: str, exact: bool = False, stage: Stage = Stage.CHECK) -> Form:
    return Form(Kind.TEXT, choices=choices, exact=exact, stage=stage)


def _list(*items: Form, unique: bool = False, minimum: int | None = None) -> Form:
    return Form(Kind.LIST, items=items, unique=unique, minimum=minimum)


def _block(name: str, *, without: tuple[str, ...] = ()) -> Form:
    return Form(Kind.BLOCK, block=name, without=without)


_TEXTS = _list(_TEXT)
_URLS = _list(_URL, unique=True)
_PERMISSIONS = (_PERMISSION, _list(_PERMISSION))
_LISTEN = (Form(Kind.TEXT, format=Format.ADDRESS), _PORT)
_SECONDS = (_NUMBER, _DURATION)
_TLS_OF_CLIENTS = _block("tls", without=("verify_cert_and_check_known_urls",))
_AUTHORIZATION_OF_SERVERS = _block("authorization", without=("token", "users", "auth_callout"))
_AUTHORIZATION_OF_ROUTES = _block("authorization", without=("token", "users", "auth_callout", "default_permissions"))
_COMPRESSION_MODE = _choice(
    *("on", "enabled", "true", "off", "disabled", "false", "not supported", "not_supported", "accept"),
    *("auto", "s2_auto", "fast", "s2_fast", "better", "s2_better", "best", "s2_best", ""),
    stage=Stage.START,
)
_COMPRESSION = (_COMPRESSION_MODE, _BOOLEAN, _block("compression"))
_DESTINATION = Form(Kind.TEXT, format=Format.DESTINATION)
_MAPPING_DESTINATION = (_DESTINATION, _list(_block("mapping")), _block("mapping"))
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
        _row("port", _PORT, varz="port", zero_is_default=True, note="-1 takes a free port"),
        _row("server_name", _TEXT, varz="server_name", zero_is_default=True),
        _row("host", _HOST, aliases="net", varz="host", zero_is_default=True),
        _row("debug", _BOOLEAN, log="Reloaded: debug = {}", effect=Effect.DEBUG_LINES),
        _row("trace", _BOOLEAN, log="Reloaded: trace = {}", effect=Effect.TRACE_LINES),
        _row(
            "trace_verbose",
            _BOOLEAN,
            log="Reloaded: trace_verbose = {}",
            effect=Effect.TRACE_LINES,
            note="sets trace too",
        ),
        _row("logtime", _BOOLEAN, log="Reloaded: logtime = {}", effect=Effect.TIMESTAMPS),
        _row("logtime_utc", _BOOLEAN, log="Reloaded: logtime_utc = {}", effect=Effect.UTC_TIMESTAMPS),
        _row("mappings", _block("mappings"), aliases="maps", log="Reloaded: accounts"),
        _row("disable_sublist_cache", _BOOLEAN, aliases="no_sublist_cache"),
        _row(
            "accounts",
            _block("accounts"),
            _list(Form(Kind.TEXT, format=Format.ACCOUNT_NAME), unique=True),
            log="Reloaded: accounts",
            unchecked=True,
        ),
        _row("authorization", _block("authorization"), reloadable=True),
        _row("http", *_LISTEN, varz="http_host+http_port", unit=Unit.ADDRESS),
        _row("https", *_LISTEN, varz="http_host+https_port", unit=Unit.ADDRESS),
        _row("http_port", _PORT, aliases="monitor_port", varz="http_port"),
        _row("https_port", _PORT, varz="https_port"),
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
            _BOOLEAN,
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
        _row("syslog", _BOOLEAN, log="Reloaded: syslog = {}"),
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
        _row("prof_port", _PORT, effect=Effect.PROFILER),
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
            _DURATION,
            varz="ping_interval",
            unit=Unit.NANOSECONDS,
            log="Reloaded: ping_interval = {}",
            zero_is_default=True,
        ),
        _row("ping_max", _INTEGER, varz="ping_max", log="Reloaded: ping_max = {}", zero_is_default=True),
        _row("tls", _TLS_OF_CLIENTS, log="Reloaded: tls = enabled"),
        _row("ocsp", _BOOLEAN, _block("ocsp"), log="Reloaded: OCSP"),
        _row("allow_non_tls", _BOOLEAN),
        _row(
            "write_deadline",
            _DURATION,
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
        _row("resolver_pinned_accounts", _list(_TEXT), _TEXT, any_order=True, reloadable=True),
        _row("no_auth_user", _TEXT),
        _row(
            "system_account", _TEXT, aliases="system", varz="system_account", zero_is_default=True, case_sensitive=True
        ),
        _row("no_system_account", _BOOLEAN, aliases="no_system no_sys_acc"),
        _row("no_header_support", _BOOLEAN),
        _row(
            "trusted_keys",
            _list(Form(Kind.TEXT, format=Format.OPERATOR_KEY)),
            Form(Kind.TEXT, format=Format.OPERATOR_KEY),
            aliases="trusted",
        ),
        _row("connect_error_reports", _INTEGER, log="Reloaded: connect_error_reports = {}"),
        _row("reconnect_error_reports", _INTEGER, log="Reloaded: reconnect_error_reports = {}"),
        _row("websocket", _block("websocket"), aliases="ws"),
        _row("mqtt", _block("mqtt")),
        _row("server_tags", _TEXTS, _TEXT, varz="tags", unit=Unit.TAGS, log="Reloaded: tags"),
        _row("default_js_domain", _block("default_js_domain")),
        _row("ocsp_cache", _BOOLEAN, _block("ocsp_cache"), log="Reloaded OCSP peer cache"),
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
            _DURATION,
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
        _row("enabled", _BOOLEAN, aliases="enable", reloadable=True, varz="jetstream.config", unit=Unit.ENABLED),
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
        _row("duplicate_window", _DURATION),
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
        _row("users", _list(_block("user")), any_order=True),
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
            _list(_choice("STANDARD", "WEBSOCKET", "LEAFNODE", "LEAFNODE_WS", "MQTT", "MQTT_WS")),
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
        _row("auth_users", _list(_TEXT, minimum=1), aliases="users"),
        _row("xkey", Form(Kind.TEXT, format=Format.CURVE_KEY), aliases="key"),
    ),
    *_of(
        "permissions",
        _row("publish", _block("subjects"), *_PERMISSIONS, aliases="pub import", any_order=True),
        _row("subscribe", _block("subjects"), *_PERMISSIONS, aliases="sub export", any_order=True),
        _row("allow_responses", _BOOLEAN, _block("allow_responses"), aliases="publish_allow_responses"),
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
        _row("expires", _DURATION, aliases="expiration ttl"),
        reloadable=True,
    ),
    *_of(
        "cluster",
        _row("name", _TEXT, varz="cluster.name", zero_is_default=True, log="Reloaded: cluster"),
        _row("listen", *_LISTEN, varz="cluster.addr+cluster.cluster_port", unit=Unit.ADDRESS),
        _row("port", _PORT, varz="cluster.cluster_port"),
        _row("host", _HOST, aliases="net", varz="cluster.addr", zero_is_default=True),
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
        _row("no_advertise", _BOOLEAN, log="Reloaded: cluster"),
        _row("connect_retries", _INTEGER, log="Reloaded: cluster"),
        _row("permissions", _block("permissions", without=("allow_responses",)), log="Reloaded: cluster"),
        _row("pool_size", _INTEGER, varz="cluster.pool_size", zero_is_default=True, log="Reloaded: cluster"),
        _row("accounts", _TEXTS, _TEXT, any_order=True, log="Reloaded: cluster"),
        _row("compression", *_COMPRESSION, log="Reloaded: cluster"),
    ),
    *_of(
        "compression",
        _row("mode", _COMPRESSION_MODE),
        _row("rtt_thresholds", _list(_DURATION), aliases="thresholds rtts rtt"),
        reloadable=True,
    ),
    *_of(
        "leafnodes",
        _row("listen", *_LISTEN, varz="leaf.host+leaf.port", unit=Unit.ADDRESS),
        _row("port", _PORT, varz="leaf.port"),
        _row("host", _HOST, aliases="net", varz="leaf.host", zero_is_default=True),
        _row("authorization", _block("leafnodes.authorization")),
        _row("remotes", _list(_block("leafnodes.remote"))),
        _row("reconnect", _INTEGER, aliases="reconnect_delay reconnect_interval", note="seconds"),
        _row("tls", _TLS_OF_CLIENTS),
        _row("advertise", _ADVERTISED, aliases="leafnode_advertise"),
        _row("no_advertise", _BOOLEAN),
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
        _row("users", _list(_block("leafnodes.user")), any_order=True),
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
        _row("no_randomize", _BOOLEAN, aliases="dont_randomize"),
        _row("urls", _URLS, _URL, aliases="url", varz="leaf.remotes.{}.urls", unit=Unit.REMOTE_HOSTS, secret=True),
        _row("account", _TEXT, aliases="local", varz="leaf.remotes.{}.local_account", zero_is_default=True),
        _row("credentials", _TEXT, aliases="creds", need=Need.FILE),
        _row("tls", _TLS_OF_CLIENTS),
        _row("hub", _BOOLEAN),
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
        _row("ws_compression", _BOOLEAN, aliases="ws_compress websocket_compress websocket_compression"),
        _row("ws_no_masking", _BOOLEAN, aliases="websocket_no_masking"),
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
        _row("insecure", _BOOLEAN),
        _row("verify", _BOOLEAN, unit=Unit.PRESENCE),
        _row("verify_and_map", _BOOLEAN, unit=Unit.PRESENCE),
        _row("verify_cert_and_check_known_urls", _BOOLEAN, note="for servers that connect to servers"),
        _row("cipher_suites", _list(_CIPHER_SUITES, minimum=1)),
        _row("curve_preferences", _list(_CURVES, minimum=1)),
        _row("timeout", *_SECONDS, unit=Unit.SECONDS, zero_is_default=True),
        _row("connection_rate_limit", _INTEGER, note="only clients have one"),
        _row("pinned_certs", _list(Form(Kind.TEXT, format=Format.FINGERPRINT)), unit=Unit.TAGS),
        _row("cert_store", note="on Windows only"),
        _row("cert_match_by", _choice("subject", "issuer"), note="with cert_store"),
        _row("cert_match", Form(Kind.TEXT, minimum=1), note="with cert_store"),
        _row(
            "handshake_first",
            _BOOLEAN,
            _choice("true", "on", "false", "off", "auto", "auto_fallback"),
            _DURATION,
            aliases="first immediate",
        ),
        _row("ocsp_peer", _BOOLEAN, _block("ocsp_peer"), unit=Unit.PRESENCE),
        reloadable=True,
    ),
    *_of(
        "ocsp_peer",
        _row("verify", _BOOLEAN),
        _row("allowed_clockskew", *_SECONDS),
        _row("ca_timeout", *_SECONDS),
        _row("cache_ttl_when_next_update_unset", *_SECONDS),
        _row("warn_only", _BOOLEAN),
        _row("unknown_is_good", _BOOLEAN),
        _row("allow_when_ca_unreachable", _BOOLEAN),
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
        _row("preserve_revoked", _BOOLEAN),
        _row("save_interval", *_SECONDS, note="at least one second"),
        reloadable=True,
    ),
    *_of(
        "websocket",
        _row("listen", *_LISTEN, varz="websocket.host+websocket.port", unit=Unit.ADDRESS),
        _row("port", _PORT, varz="websocket.port"),
        _row("host", _HOST, aliases="net", varz="websocket.host", zero_is_default=True),
        _row("advertise", _ADVERTISED, varz="websocket.advertise"),
        _row("no_tls", _BOOLEAN, varz="websocket.no_tls"),
        _row("tls", _TLS_OF_CLIENTS),
        _row("same_origin", _BOOLEAN, varz="websocket.same_origin"),
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
            _DURATION,
            _INTEGER,
            varz="websocket.handshake_timeout",
            unit=Unit.NANOSECONDS,
            note="a whole number is seconds",
        ),
        _row("compression", _BOOLEAN, aliases="compress", varz="websocket.compression"),
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
        _row("port", _PORT, varz="mqtt.port"),
        _row("host", _HOST, aliases="net", varz="mqtt.host", zero_is_default=True),
        _row("tls", _TLS_OF_CLIENTS, reloadable=True),
        _row("authorization", _block("client_authorization"), aliases="authentication"),
        _row("no_auth_user", _TEXT, varz="mqtt.no_auth_user"),
        _row(
            "ack_wait",
            _DURATION,
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
        _row("consumer_memory_storage", _BOOLEAN, log="Reloaded: MQTT consumer_memory_storage = {}"),
        _row(
            "consumer_inactive_threshold",
            _DURATION,
            aliases="consumer_auto_cleanup",
            log="Reloaded: MQTT consumer_inactive_threshold = {}",
        ),
        _row("reject_qos2_publish", _BOOLEAN),
        _row("downgrade_qos2_subscribe", _BOOLEAN),
    ),
    *_of(
        "gateway",
        _row("name", _TEXT, varz="gateway.name"),
        _row("listen", *_LISTEN, varz="gateway.host+gateway.port", unit=Unit.ADDRESS),
        _row("port", _PORT, varz="gateway.port"),
        _row("host", _HOST, aliases="net", varz="gateway.host", zero_is_default=True),
        _row("authorization", _AUTHORIZATION_OF_SERVERS),
        _row("tls", _block("tls")),
        _row("advertise", _ADVERTISED, varz="gateway.advertise"),
        _row("connect_retries", _INTEGER, varz="gateway.connect_retries"),
        _row("gateways", _list(_block("gateway.remote")), any_order=True),
        _row("reject_unknown_cluster", _BOOLEAN, aliases="reject_unknown", varz="gateway.reject_unknown"),
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
        _row(ANY_NAME, _block("account"), key_format=Format.ACCOUNT_NAME, log="Reloaded: accounts"),
        reloadable=True,
    ),
    *_of(
        "account",
        _row("nkey", _ACCOUNT_KEY),
        _row("imports", _list(_block("import"))),
        _row("exports", _list(_block("export"))),
        _row("jetstream", _block("account.jetstream"), _BOOLEAN, _choice(*_SWITCH_WORDS)),
        _row("users", _list(_block("user")), any_order=True),
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
        _row("max_bytes_required", _BOOLEAN, aliases="max_stream_bytes max_bytes"),
        _row("mem_max_stream_bytes", _SIZE, aliases="memory_max_stream_bytes"),
        _row("disk_max_stream_bytes", _SIZE, aliases="store_max_stream_bytes"),
        _row("max_ack_pending", _INTEGER),
        reloadable=True,
    ),
    *_of("mappings", _row(ANY_NAME, *_MAPPING_DESTINATION, key_format=Format.SUBJECT), reloadable=True),
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
        _row("response_threshold", _DURATION, aliases="threshold response_max_time response_time"),
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
        _row("share", _BOOLEAN),
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
        _row("allow_delete", _BOOLEAN, case_sensitive=True),
        _row("hard_delete", _BOOLEAN, case_sensitive=True),
        _row("limit", _INTEGER, case_sensitive=True),
        _row("ttl", Form(Kind.DURATION, minimum=0), case_sensitive=True),
        _row("interval", _DURATION, case_sensitive=True),
        _row("timeout", Form(Kind.DURATION, minimum=1), case_sensitive=True),
        reloadable=True,
    ),
    *_of("resolver_preload", _row(ANY_NAME, Form(Kind.TEXT, format=Format.ACCOUNT_JWT), secret=True), reloadable=True),
    *_of("default_js_domain", _row(ANY_NAME, _TEXT)),
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
    ("accounts", ANY_NAME, "users"): Place(varz={"user": "auth_required", "nkey": "auth_required"}),
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

# server/monitor.go, updateVarzConfigReloadableFields: all that /varz reads anew after a reload.
_VARZ_FOLLOWING_A_RELOAD = frozenset(
    (
        *("auth_required", "auth_timeout", "cluster.urls", "max_connections", "max_control_line", "max_payload"),
        *("max_pending", "mqtt.tls_pinned_certs", "ping_interval", "ping_max", "system_account"),
        *("tls_ocsp_peer_verify", "tls_required", "tls_timeout", "tls_verify"),
        *("websocket.tls_pinned_certs", "write_deadline"),
    )
)

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
    Rule("gateway.remote", Relation.EXCLUDES, ("url", "urls"), Stage.RUN, reason="the last one read wins"),
    Rule("top", Relation.EXCLUDES, ("http", "http_port"), Stage.RUN, reason="the last one read wins"),
    Rule("top", Relation.EXCLUDES, ("https", "https_port"), Stage.RUN, reason="the last one read wins"),
    *(
        Rule(block, Relation.EXCLUDES, ("listen", "host", "port"), Stage.RUN, reason="the last one read wins")
        for block in ("top", "cluster", "leafnodes", "websocket", "mqtt", "gateway")
    ),
)


@dataclass(frozen=True)
class FormatRule:
    """What a text of one format is: a predicate, the words for one that is none, and a text that is one."""

    accepts: Callable[[str], bool]
    fault: str
    expected: str
    remedy: str
    example: str


_ADDRESS = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*):(?P<port>[+-]?[0-9]{1,18})", re.DOTALL)
_ADVERTISED_ADDRESS = re.compile(r"(?:\[(?P<inside>[^\[\]]*)\]|(?P<host>[^:\[\]]*))(?::(?P<port>[+-]?[0-9]{1,18}))?")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)
_LONGEST_NAME = 253
_BASE_PATH_TEXT = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@/]*")
_BCRYPT_START = re.compile(r"\$2[abxy]\$[0-9]{2}\$")
_BCRYPT = re.compile(r"\$2[abxy]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
_LEAFNODE_VERSION = re.compile(r"v?([0-9]{1,18})\.?([0-9]{1,18})?\.?([0-9]{1,18})?", re.ASCII)
_RESOLVER_IN_MEMORY = re.compile(r"MEM|MEMORY", re.IGNORECASE)
_RESOLVER_URL = re.compile(r"URL(?:\(\"?([^\s\"]*)\"?\s*\))?", re.IGNORECASE)
_KEY_BYTES_AT_LEAST = 4


def _is_ip_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_host_of_socket(text: str) -> bool:
    """Tell whether Go listens on the text, or asks for it as a name (net/dnsclient.go, isDomainName); "" is none."""
    if not text or _is_ip_address(text):
        return True
    name = text.removesuffix(".")
    is_name = all(map(_LABEL.fullmatch, name.split("."))) and len(name) <= _LONGEST_NAME
    return is_name and re.search("[A-Za-z_]", name) is not None


def _is_advertised(text: str) -> bool:
    """Tell what server/util.go, parseHostPort, reads, with a host and a port that clients can use."""
    match = _ADVERTISED_ADDRESS.fullmatch(text)
    if not text or match is None:
        return not text
    host = match["host"] if match["inside"] is None else match["inside"]
    return bool(host) and _is_host_of_socket(host) and _is_whole(match["port"] or "0", minimum=-1, maximum=65535)


def _is_destination(text: str) -> bool:
    """Tell roughly what server/sublist.go, ValidateMappingDestination, tells; nats-server -t knows the functions."""
    return not text or (subjects.is_valid(re.sub(r"\{\{.*?\}\}", "function", text)) and "*" not in text.split("."))


def _is_permission(text: str) -> bool:
    """Tell what server/opts.go, checkPermSubjectArray, tells: a subject, or one and a queue group."""
    words = re.split(f"[{SPACES}]+", text.strip(SPACES))
    return subjects.is_valid(text) or (len(words) == len(("subject", "queue")) and subjects.is_valid(words[0]))


def _is_key(prefix: str) -> Callable[[str], bool]:
    """Make the check of a public key of package nkeys: base32 of the prefix, the key and its CRC."""

    def accepts(text: str) -> bool:
        try:
            raw = base64.b32decode(text + "=" * (-len(text) % 8))
        except ValueError:
            return False
        sound = len(raw) >= _KEY_BYTES_AT_LEAST and binascii.crc_hqx(raw[:-2], 0) == int.from_bytes(raw[-2:], "little")
        return sound and text.startswith(prefix)

    return accepts


def _key_rule(prefix: str, owner: str, example: str) -> FormatRule:
    wanted = f"the public key of a{'n' if owner[0] in 'ao' else ''} {owner}, 56 characters that begin with {prefix}"
    return FormatRule(_is_key(prefix), "is no such key", wanted, "copy the public key, never the seed", example)


def _is_whole(text: str, *, minimum: int, maximum: int) -> bool:
    return re.fullmatch(r"[+-]?[0-9]{1,18}", text) is not None and minimum <= int(text) <= maximum


def _is_sampling(text: str) -> bool:
    return text.strip(SPACES).lower() == "headers" or _is_whole(text.removesuffix("%"), minimum=1, maximum=100)


def _is_leafnode_version(text: str) -> bool:
    match = _LEAFNODE_VERSION.match(text)
    return match is not None and None not in match.groups() and tuple(map(int, match.groups())) >= (2, 8, 0)


def _is_resolver(text: str) -> bool:
    match = _RESOLVER_URL.search(text)
    return _RESOLVER_IN_MEMORY.search(text) is not None or (match is not None and _is_url(match[1] or ""))


def _is_url(text: str) -> bool:
    """Tell whether Go's ``url.Parse`` reads the text; server/opts.go, parseURL, trims it before."""
    rest, _mark, fragment = text.partition("#")
    if re.search(r"[\x00-\x1f\x7f]", rest) or rest.startswith(":"):
        return False
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", rest)
    rest = rest.removeprefix(scheme[0]).partition("?")[0] if scheme else rest.partition("?")[0]
    if not rest.startswith("/"):
        return _is_escaped(fragment) and (scheme is not None or (":" not in rest.split("/")[0] and _is_escaped(rest)))
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        return _is_authority(authority) and _is_escaped(slash + path) and _is_escaped(fragment)
    return _is_escaped(rest) and _is_escaped(fragment)


def _is_authority(text: str) -> bool:
    """Tell whether Go's url.parseAuthority reads the user and host of a URL."""
    user, _at_sign, host = text.rpartition("@")
    if not re.fullmatch(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*", user) or not _is_escaped(user):
        return False
    if host.startswith("["):
        inside, bracket, port = host[1:].rpartition("]")
        return bool(bracket) and re.fullmatch(r"(:[0-9]*)?", port) is not None and _is_host(inside)
    name, colon, port = host.rpartition(":")
    return re.fullmatch(r"[0-9]*", port if colon else "") is not None and _is_host(name if colon else host)


def _is_host(text: str) -> bool:
    character = r"[A-Za-z0-9!$&'()*+,;=:\]<>\"\-_.~]|[^\x00-\x7f]|%25|%[89A-Fa-f][0-9A-Fa-f]"
    return re.fullmatch(f"(?:{character})*", text) is not None


def _is_escaped(text: str) -> bool:
    return re.search(r"%(?![0-9A-Fa-f]{2})", text) is None


FORMATS: dict[Format, FormatRule] = {
    Format.ADDRESS: FormatRule(
        lambda text: _ADDRESS.fullmatch(text) is not None,
        "is no address",
        'an address with a port, such as "127.0.0.1:4222"',
        "write host:port",
        "127.0.0.1:4222",
    ),
    Format.HOST: FormatRule(
        _is_host_of_socket,
        "is no host",
        'an address or a name alone, such as "127.0.0.1", "::1" or "localhost"',
        "write it without brackets, and the port as the option port",
        "127.0.0.1",
    ),
    Format.ADVERTISED: FormatRule(
        _is_advertised,
        "is no host to advertise",
        'a host, or one with a port, such as "nats.example.org:4222" or "[2001:db8::1]:4222"',
        "write host:port, with brackets around an IPv6 address",
        "nats.example.org:4222",
    ),
    # The server takes any text, and is then asked in vain: what follows ? or # is no part of a path.
    Format.BASE_PATH: FormatRule(
        lambda text: _BASE_PATH_TEXT.fullmatch(text) is not None,
        "is no path of a URL",
        'a path of letters, digits and slashes, such as "/nats"',
        "remove ?, #, % and blanks",
        "/nats",
    ),
    Format.DOMAIN: FormatRule(
        lambda text: re.search(r"[ \t\r\n\f.*>]", text) is None,
        "is no domain of JetStream",
        "a name without dots, spaces, * and >",
        "write it with - in place of them",
        "eu-west",
    ),
    Format.URL: FormatRule(
        lambda text: _is_url(text.strip(SPACES)),
        "is no URL",
        'a URL, such as "nats://127.0.0.1:6222"',
        "write scheme://host:port",
        "nats://127.0.0.1:6222",
    ),
    Format.SUBJECT: FormatRule(
        subjects.is_valid,
        "is no subject",
        "tokens joined by dots, without spaces, and > only at the end",
        "remove spaces and empty tokens",
        "rosey.dev.>",
    ),
    Format.DESTINATION: FormatRule(
        _is_destination,
        "is no subject to map to",
        "tokens joined by dots, without spaces, with $1 in place of a wildcard *",
        "remove spaces, empty tokens and *",
        "rosey.dev",
    ),
    Format.PERMISSION: FormatRule(
        _is_permission,
        "is no subject",
        "a subject, or a subject and a queue group with a space between them",
        "remove spaces and empty tokens",
        "rosey.dev.> workers",
    ),
    Format.USER_KEY: _key_rule("U", "user", "UAAACAQDAQCQMBYIBEFAWDANBYHRAEISCMKBKFQXDAMRUGY4DUPB63NN"),
    Format.ACCOUNT_KEY: _key_rule("A", "account", "AAAACAQDAQCQMBYIBEFAWDANBYHRAEISCMKBKFQXDAMRUGY4DUPB776S"),
    Format.OPERATOR_KEY: _key_rule("O", "operator", "OAAACAQDAQCQMBYIBEFAWDANBYHRAEISCMKBKFQXDAMRUGY4DUPB7JSU"),
    Format.CURVE_KEY: _key_rule("X", "curve", "XAAACAQDAQCQMBYIBEFAWDANBYHRAEISCMKBKFQXDAMRUGY4DUPB7QO7"),
    Format.ACCOUNT_NAME: FormatRule(
        lambda text: text != "$G", "is the server's own account", "a name other than $G", "choose another name", "APP"
    ),
    Format.ACCOUNT_JWT: FormatRule(
        lambda text: re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", text, re.ASCII) is not None,
        "is no JWT",
        "the JWT of an account, three parts joined by dots",
        "copy it from the account server",
        "eyJ0eXAiOiJKV1QifQ.eyJuYW1lIjoiQVBQIn0.c2lnbmF0dXJl",
    ),
    Format.FINGERPRINT: FormatRule(
        lambda text: re.fullmatch(r"[A-Fa-f0-9]{64}", text) is not None,
        "is no fingerprint",
        "the SHA-256 of a certificate's public key, 64 hexadecimal digits",
        "remove colons and spaces",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ),
    Format.LEAFNODE_VERSION: FormatRule(
        _is_leafnode_version,
        "is no version that leaf nodes can have",
        'a version from "2.8.0" on',
        "write three numbers joined by dots",
        "2.8.0",
    ),
    Format.RESOLVER: FormatRule(
        _is_resolver,
        "is no account resolver",
        '"MEMORY", "URL(address of an account server)", or a mapping with type and dir',
        "choose one of them",
        "MEMORY",
    ),
    Format.PERCENTAGE: FormatRule(
        lambda text: _is_whole(text.removesuffix("%"), minimum=0, maximum=100),
        "is no percentage",
        'a percentage from "0%" to "100%"',
        "write a whole number and %",
        "50%",
    ),
    Format.SAMPLING: FormatRule(
        _is_sampling,
        "is no sampling rate",
        'a percentage from "1%" to "100%", or "headers"',
        "write a whole number and %",
        "50%",
    ),
    # A text that begins like a bcrypt hash is compared as one: nobody can log in when it is incomplete.
    Format.PASSWORD: FormatRule(
        lambda text: _BCRYPT_START.match(text) is None or _BCRYPT.fullmatch(text) is not None,
        "begins like a bcrypt hash and is none",
        "a password, or a whole bcrypt hash of 60 characters",
        "put the real hash in place of the placeholder",
        "$2a$11$" + "a" * 53,
    ),
    # Only the server can tell: it reads the file while it checks the configuration.
    Format.FILE: FormatRule(
        lambda _text: True, "is no file", "the path of a file", "correct the path", "/etc/nats/server.pem"
    ),
}


def _rows_by_name() -> dict[str, dict[str, Option]]:
    rows: dict[str, dict[str, Option]] = {}
    for option in OPTIONS:
        rows.setdefault(option.block, {}).update(dict.fromkeys((option.name, *option.aliases), option))
    return rows


_ROWS = _rows_by_name()
# server/opts.go reads these with a look-up instead of a switch: names that it does not look for go unseen.
_BLOCKS_IGNORING_UNKNOWN_NAMES = frozenset({"resolver", "latency"})


def _row_of(block: str, name: str) -> Option | None:
    rows = _ROWS.get(block, {})
    row = rows.get(name)
    if row is None:
        row = rows.get(name.lower())
        if row is not None and row.case_sensitive:
            return None
    return row or rows.get(ANY_NAME)


def _inner_block(option: Option) -> str | None:
    """Give the name of the block that the option's value, or each item of its list, is."""
    forms = (*option.forms, *(item for form in option.forms for item in form.items))
    return next((form.block for form in forms if form.block), None)


_PATHS_REMEMBERED = 1 << 12


def find(path: Iterable[str | int]) -> Option | None:
    """Give the option that a path of keys, and of numbers for list positions, leads to; None when there is none.

    Aliases and the case of names are taken as the server takes them. What depends on the place (reloadable, varz, log)
    is the place's: ``("cluster", "tls", "timeout")`` is shown in ``cluster.tls_timeout``.
    """
    return _find(tuple(path))


@lru_cache(maxsize=_PATHS_REMEMBERED)
def _find(path: Path) -> Option | None:
    block: str | None = "top"
    option: Option | None = None
    place: tuple[str, ...] = ()
    positions: list[int] = []
    fixed = False
    log = ""
    for part in path:
        if isinstance(part, int):
            if option is None or not any(form.kind is Kind.LIST for form in option.forms):
                return None
            positions.append(part)
            continue
        row = _row_of(block, part) if block and isinstance(part, str) else None
        if row is None:
            return None
        here = PLACES.get(place, Place())
        fixed = fixed or row.name in here.fixed or ANY_NAME in here.fixed
        reloadable = row.reloadable and not fixed
        log = here.log.get(row.name) or row.log or log
        option = replace(
            row,
            reloadable=reloadable,
            varz=(here.varz.get(row.name) or row.varz).format(*positions, 0),  # 0: a block where a list belongs
            log=log if reloadable else "",
        )
        block = _inner_block(row)
        place = (*place, row.name)
    return option


def canonical(config: Config) -> dict[str, Any]:
    """Give the configuration with every option under its one name, in lower case; values and unknown keys untouched.

    Where two names of one option stand in a block, the later one in the mapping's order stays, at its place.
    """
    return _canonical_block("top", config)


def _canonical_block(block: str, config: Config) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in config.items():
        row = _row_of(block, key) if isinstance(key, str) and key != INCLUDE else None
        name = key if row is None or row.name == ANY_NAME else row.name
        result.pop(name, None)
        result[name] = _canonical_value(row, value)
    return result


def _canonical_value(row: Option | None, value: Any) -> Any:
    inner = _inner_block(row) if row else None
    if inner is None or is_reference(value):
        return value
    if isinstance(value, Mapping):
        return _canonical_block(inner, value)
    if _is_list(value):
        return [_canonical_value(row, item) for item in value]
    return value


def merge(base: Config, over: Config) -> dict[str, Any]:
    """Lay ``over`` on ``base`` with the meaning that nats-server's names have, and give the result.

    Both are made canonical; blocks merge name by name, every other value and every list of ``over`` replaces that of
    ``base``, and None in ``over`` removes. Nothing is None in the result, and neither input is changed.
    """
    return _merged(canonical(base), canonical(over))


def _merged(base: Config, over: Config) -> dict[str, Any]:
    result = {key: _without_none(value) for key, value in base.items() if value is not None}
    for key, value in over.items():
        if value is None:
            result.pop(key, None)
        elif _is_block(value) and _is_block(result.get(key)):
            result[key] = _merged(result[key], value)
        else:
            result[key] = _without_none(value)
    return result


def _without_none(value: Any) -> Any:
    return _merged({}, value) if _is_block(value) else value


def leaves(config: Config) -> Iterator[tuple[Path, Option, Any]]:
    """Give every setting that was meant, in order: its canonical path, the option as it is there, and the value.

    A block gives its options, an empty block itself; a list of blocks gives theirs, any other list is one setting.
    Unknown names and includes are left out.
    """
    whole = canonical(config)
    for path, option, value in _leaves(whole, ()):
        silent = bool(option.hidden_by) and whole.get(option.hidden_by) is True
        yield path, replace(option, varz="") if silent else option, value


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Option, Any]]:
    inner: Iterable[tuple[str | int, Any]]
    if _is_block(value) and (value or not path):
        inner = ((name, item) for name, item in value.items() if name != INCLUDE)
    elif _is_list(value) and any(_is_block(item) for item in value):
        inner = enumerate(value)
    else:
        option = find(path)
        if option is not None:
            yield path, option, value
        return
    for step, item in inner:
        yield from _leaves(item, (*path, step))


def effective(option: Option, value: Any) -> Any:
    """Give what a value means to the server, so that two spellings of one meaning are equal.

    Bytes of a size, nanoseconds of a duration (seconds where the option's unit is SECONDS), a pair of host (None for
    none) and port of an address, sorted texts of a list without an order. A reference, and a value that the option
    does not accept, are given back as they are.
    """
    if _refers(value) or kind_of(option, value) is None:
        return value
    reader = _READERS.get(option.unit)
    return reader(value) if reader else _number(option, value)


def _number(option: Option, value: Any) -> Any:
    """Give the number that a value of a numeric kind means; any other value as it is."""
    kind = kind_of(option, value)
    text = isinstance(value, str)
    if kind in (Kind.SIZE, Kind.STORAGE_SIZE):
        return _bytes(value)
    if kind is Kind.DURATION:
        nanoseconds = units.duration(value)
        return nanoseconds / _SECOND if option.unit is Unit.SECONDS else nanoseconds
    if option.unit is Unit.ALWAYS and text:
        return value.lower()
    if option.unit is Unit.NANOSECONDS:
        return value * _SECOND
    return float(value) if option.unit is Unit.SECONDS and not text else value


def _bytes(value: Any) -> int:
    """Give the bytes of a size; a text that is none unquoted is a storage size, which is written quoted."""
    if not isinstance(value, str):
        return int(value)
    try:
        return units.size(value, quoted=False)
    except units.UnitError:
        return units.size(value, quoted=True)


def _address(value: Any) -> tuple[str | None, int]:
    if not isinstance(value, str):
        return None, value
    match = _ADDRESS.fullmatch(value)
    if match is None:
        raise units.UnitError("is no address", FORMATS[Format.ADDRESS].expected, "add the port")
    return match["host"].strip("[]") or None, int(match["port"])


def _is_enabled(value: Any) -> bool:
    return value if isinstance(value, bool) else not str(value).lower().startswith("disable")


def _words(value: Any) -> list[str]:
    return sorted([value] if isinstance(value, str) else value)


_READERS: dict[Unit, Callable[[Any], Any]] = {
    Unit.ADDRESS: _address,
    Unit.ENABLED: _is_enabled,
    Unit.WORDS: _words,
    Unit.TAGS: lambda value: sorted(word.strip(SPACES).lower() for word in _words(value)),
    Unit.URL_HOSTS: lambda value: [value] if isinstance(value, str) else list(value),
    Unit.REMOTE_HOSTS: lambda value: [value] if isinstance(value, str) else list(value),
    Unit.LOWER_CASE: lambda value: str(value).strip(SPACES).lower(),
}


def expected(option: Option, value: Any) -> Any:
    """Give what shown() reads from /varz when the server runs with this value; only where evidence() says VARZ."""
    meaning = effective(option, value)
    match option.unit:
        case Unit.PRESENCE:
            return True
        case Unit.ALWAYS:
            return (None, True) if meaning == "always" else (meaning, False)
        case Unit.URL_HOSTS:
            return sorted(_host(url) for url in meaning)
        case Unit.REMOTE_HOSTS:
            return sorted(_with_port(_host(url)) for url in meaning)
        case Unit.STORE_DIR:
            return posixpath.join(posixpath.normpath(meaning), "jetstream")
    return meaning


def _host(url: str) -> str:
    return (
        re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*:", "", url.strip(SPACES))
        .removeprefix("//")
        .partition("/")[0]
        .rpartition("@")[2]
    )


def _with_port(host: str) -> str:
    """Add the port that the server takes for a remote leaf node without one (server/const.go)."""
    return host if re.search(r":[0-9]+$", host) else f"{host.rstrip(':')}:7422"


def shown(option: Option, varz: Mapping[str, Any]) -> Any:
    """Give what an answer of /varz shows for the option, in the form of expected().

    /varz leaves out what is false, zero or empty, so a missing field is read as that.
    """
    found = [_field(varz, name.split(".")) for name in option.varz.split("+")]
    match option.unit:
        case Unit.ADDRESS:
            return tuple(found)
        case Unit.ALWAYS:
            return found[0], bool(found[1])
        case Unit.PRESENCE | Unit.ENABLED:
            return bool(found[0])
        case Unit.WORDS | Unit.TAGS | Unit.URL_HOSTS | Unit.REMOTE_HOSTS:
            return sorted(found[0] or [])
    if found[0] is not None:
        return found[0]
    return {Kind.BOOLEAN: False, Kind.TEXT: ""}.get(option.kind or Kind.TEXT, 0)


def _field(answer: Any, names: Sequence[str]) -> Any:
    for name in names:
        if isinstance(answer, Mapping):
            answer = answer.get(name)
        elif _is_list(answer) and name.isdecimal() and int(name) < len(answer):
            answer = answer[int(name)]
        else:
            return None
    return answer


def agrees(meant: Any, found: Any) -> bool:
    """Tell whether what shown() read is what expected() wants; None in a pair stands for anything."""
    if isinstance(meant, tuple) and isinstance(found, tuple):
        return all(part is None or part == other for part, other in zip(meant, found, strict=True))
    return bool(meant == found)


def evidence(option: Option, value: Any, *, reloaded: bool) -> Evidence:
    """Tell how it is proven that the server uses this value: since its start, or since a reload changed it."""
    stale = reloaded and option.reloadable and not option.varz_follows_reload
    if option.varz and not stale and _is_shown(option, value):
        return Evidence.VARZ
    if reloaded and option.log:
        return Evidence.LOG
    return Evidence.EFFECT if option.effect else Evidence.TRUST


def _is_shown(option: Option, value: Any) -> bool:
    """Tell whether /varz shows the value itself: not a default that it asks for, nor a port that the server picks."""
    if _refers(value) or kind_of(option, value) is None:
        return False
    if not value and (option.zero_is_default or option.unit is Unit.PRESENCE):
        return False
    meaning = effective(option, value)
    port = meaning[-1] if isinstance(meaning, tuple) else meaning
    return not (_PORT in option.forms and port < 0)


def reload_line(option: Option, value: Any) -> str:
    """Give the beginning of the line that the server logs when a reload changed the option to this value, else "".

    It ends where the value would follow, when that is known to the server alone.
    """
    kind = kind_of(option, value)
    if "{}" not in option.log or kind is None or is_reference(value):
        return option.log.partition("{}")[0]
    if isinstance(value, bool):
        text = str(value).lower()
    elif kind is Kind.DURATION and option.unit is not Unit.SECONDS:
        text = units.duration_text(units.duration(value))
    elif kind is Kind.LIST:
        text = str(len(value))
    else:
        meaning = effective(option, value)
        text = f"{meaning:g}" if isinstance(meaning, float) else str(meaning)
    return option.log.format(text)


def kind_of(option: Option, value: Any) -> Kind | None:
    """Give the kind of the form that the value fits, among those that the option accepts; None when it fits none."""
    return next((form.kind for form in option.forms if not _faults((form,), value)), None)


_SECOND = 1_000_000_000
_TYPES: dict[Kind, tuple[type, ...]] = {
    Kind.BOOLEAN: (bool,),
    Kind.INTEGER: (int,),
    Kind.NUMBER: (int, float),
    Kind.SIZE: (int, str),
    Kind.STORAGE_SIZE: (int, str),
    Kind.DURATION: (str,),
    Kind.TEXT: (str,),
    Kind.LIST: (list, tuple),
    Kind.BLOCK: (Mapping,),
}
_NOUNS: dict[Kind, str] = {
    Kind.BOOLEAN: "boolean",
    Kind.INTEGER: "whole number",
    Kind.NUMBER: "number",
    Kind.SIZE: "size",
    Kind.STORAGE_SIZE: "size",
    Kind.DURATION: "duration",
    Kind.TEXT: "text",
    Kind.LIST: "list",
    Kind.BLOCK: "mapping",
}
_EXPECTED: dict[Kind, str] = {
    Kind.BOOLEAN: "true or false",
    Kind.INTEGER: "a whole number",
    Kind.NUMBER: "a number of seconds",
    Kind.SIZE: units.SIZE_EXPECTED,
    Kind.STORAGE_SIZE: units.SIZE_EXPECTED,
    Kind.DURATION: units.DURATION_EXPECTED,
    Kind.TEXT: "a text",
    Kind.BLOCK: "a mapping of options",
}
_MILLION = 1_000_000  # what the language takes the m of an unquoted 2m for
_MOST_CHOICES_NAMED = 9
# What a value says that is no secret, whatever option it stands at.
_WORDS = frozenset(("true", "false", "yes", "no", "on", "off", "enabled", "enable", "disabled", "disable"))
_BOOLEAN_WORDS = ("true", "false")
_LONGEST_VALUE = 60
_SERVER = "nats-server 2.10.7"


@dataclass(frozen=True)
class _Fault:
    """What is wrong with a value, or with the part of it that ``path`` leads to."""

    path: Path
    value: Any
    fault: str
    expected: str
    remedy: str
    stage: Stage = Stage.CHECK


def is_reference(value: Any) -> bool:
    """Tell whether a value is the name of a variable, of the server's environment or of its configuration."""
    return isinstance(value, Mapping) and len(value) == 1 and isinstance(value.get(VARIABLE), str)


def _refers(value: Any) -> bool:
    """Tell whether a value is a reference, or a list that holds one."""
    return is_reference(value) or (_is_list(value) and any(map(is_reference, value)))


def _is_block(value: Any) -> bool:
    return isinstance(value, Mapping) and not is_reference(value)


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _is_given(value: Any, row: Option) -> bool:
    """Tell whether a value is more than an unset option: what is false or empty, and a port of 0, changes nothing."""
    address = _ADDRESS.fullmatch(value) if row.unit is Unit.ADDRESS and isinstance(value, str) else None
    if _PORT in row.forms and (value == 0 or (address and not int(address["port"]))):
        return False
    if _is_list(value) and not value and any(form.format is Format.URL for each in row.forms for form in each.items):
        return False
    return value is not None and value is not False and value != ""


def _has_type(form: Form, value: Any) -> bool:
    return isinstance(value, _TYPES[form.kind]) and (form.kind is Kind.BOOLEAN or not isinstance(value, bool))


def _join(words: Iterable[str], conjunction: str) -> str:
    *most, last = dict.fromkeys(words)
    return f"{', '.join(most)} {conjunction} {last}" if most else last


def _faults(forms: Sequence[Form], value: Any, path: Path = ()) -> list[_Fault]:
    """Tell what keeps the value from having any of these forms; what a block holds is not looked at."""
    if is_reference(value):
        return []
    candidates = [form for form in forms if _has_type(form, value)]
    if not candidates:
        return [_fault_of_kind(forms, value, path)]
    found: list[_Fault] = []
    for form in candidates:
        of_this = _faults_of_list(form, value, path) if form.kind is Kind.LIST else _faults_of_scalar(form, value, path)
        if not of_this:
            return []
        found.extend(of_this)
    if isinstance(value, str) and value.lower() in _BOOLEAN_WORDS and _BOOLEAN in forms:
        wanted = _join((_expected(form) for form in forms), "or")
        return [replace(found[0], expected=wanted, remedy="take the quotes away")]
    if len(candidates) == 1:
        return found
    # The fault is as harmless as that of the form which the server takes most of.
    stage = max((fault.stage for fault in found), key=list(Stage).index)
    wanted = _join((_expected(form) for form in forms), "or")
    return [replace(found[0], fault="is no value of this option", expected=wanted, stage=stage)]


def _fault_of_kind(forms: Sequence[Form], value: Any, path: Path) -> _Fault:
    wanted = _join((_expected(form) for form in forms), "or")
    return _Fault(path, value, f"is no {_nouns(forms)}", wanted, _remedy({form.kind for form in forms}, value))


def _nouns(forms: Sequence[Form]) -> str:
    return _join((_NOUNS[form.kind] for form in forms), "or")


def _remedy(kinds: set[Kind], value: Any) -> str:
    """Say how a value of another kind becomes one of these kinds."""
    if isinstance(value, str) and kinds & {Kind.INTEGER, Kind.NUMBER}:
        return _remedy_of_number(kinds, value)
    if isinstance(value, str) and Kind.BOOLEAN in kinds:
        return "write true or false, without quotes"
    if isinstance(value, (int, float)) and not isinstance(value, bool) and Kind.DURATION in kinds:
        unquoted = f', or "{value // _MILLION}m" with its quotes' if value and value % _MILLION == 0 else ""
        return f'add the unit, such as "{value}s" for seconds{unquoted}'
    if not isinstance(value, (str, Mapping)) and not _is_list(value) and Kind.TEXT in kinds:
        return "put it in quotes"
    if Kind.LIST in kinds and not _is_list(value):
        return "put it in a list"
    return "write its options below it" if Kind.BLOCK in kinds else "write one value"


def _remedy_of_number(kinds: set[Kind], text: str) -> str:
    """Say how a text becomes a number, of seconds where it need not be whole."""
    if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text):
        return "remove the quotes"
    try:
        seconds = units.duration(text) / _SECOND
    except units.UnitError:
        return "write a number"
    return f"write {seconds:g}: {_SERVER} reads no unit here" if Kind.NUMBER in kinds else "write a number"


def _expected(form: Form) -> str:
    if len(form.choices) > _MOST_CHOICES_NAMED:
        return f"one of the {len(form.choices)} names that {_SERVER} knows"
    if form.choices:
        return _join((json.dumps(choice) if form.kind is Kind.TEXT else choice for choice in form.choices), "or")
    if form.format:
        return FORMATS[form.format].expected
    if form.kind is Kind.LIST:
        return f"a list, each item of which is {_join((_expected(item) for item in form.items), 'or')}"
    return _EXPECTED[form.kind] + _bounds(form)


def _bounds(form: Form) -> str:
    if form.kind is Kind.TEXT:
        return " that is not empty" if form.minimum else ""
    write: Callable[[int], str] = units.duration_text if form.kind is Kind.DURATION else str
    if form.minimum is not None and form.maximum is not None:
        return f" from {write(form.minimum)} to {write(form.maximum)}"
    if form.minimum is not None:
        return f", at least {write(form.minimum)}"
    return "" if form.maximum is None else f", at most {write(form.maximum)}"


def _faults_of_list(form: Form, value: Sequence[Any], path: Path) -> list[_Fault]:
    if form.minimum is not None and len(value) < form.minimum:
        return [_Fault(path, value, "is an empty list", _expected(form), "add an item or remove the option")]
    found = [fault for place, item in enumerate(value) for fault in _faults(form.items, item, (*path, place))]
    if form.unique:
        texts = [item for item in value if isinstance(item, str)]
        repeated = {text for text in texts if texts.count(text) > 1}
        found += [
            _Fault((*path, place), item, "stands twice in the list", "items that differ", "remove one of them")
            for place, item in enumerate(value)
            if isinstance(item, str) and item in repeated and item in value[:place]
        ]
    return found


def _faults_of_scalar(form: Form, value: Any, path: Path) -> list[_Fault]:
    if form.kind is Kind.BLOCK:
        return []
    if form.choices:
        return _faults_of_choice(form, value, path)
    if form.format:
        rule = FORMATS[form.format]
        return [] if rule.accepts(value) else [_Fault(path, value, rule.fault, rule.expected, rule.remedy, form.stage)]
    try:
        number = _magnitude(form, value)
    except units.UnitError as error:
        return [_Fault(path, value, error.fault, error.expected, error.remedy)]
    below = form.minimum is not None and number < form.minimum
    above = form.maximum is not None and number > form.maximum
    remedy = "choose another value"
    return [_Fault(path, value, "is out of range", _expected(form), remedy, form.stage)] if below or above else []


def _faults_of_choice(form: Form, value: Any, path: Path) -> list[_Fault]:
    text = str(value).lower() if isinstance(value, bool) else value
    if text in form.choices or (not form.exact and text.lower() in map(str.lower, form.choices)):
        return []
    nearest = difflib.get_close_matches(text, form.choices, 1)
    remedy = f"the nearest is {nearest[0]}" if nearest else "choose another value or remove the option"
    return [_Fault(path, value, "is no value of this option", _expected(form), remedy, form.stage)]


def _magnitude(form: Form, value: Any) -> Any:
    """Give what the bounds of the form are about; raise UnitError when the value is none."""
    if form.kind in (Kind.SIZE, Kind.STORAGE_SIZE) and isinstance(value, str):
        return _bytes(value) if form.kind is Kind.STORAGE_SIZE else units.size(value, quoted=False)
    if form.kind is Kind.DURATION:
        return units.duration(value)
    if form.kind is Kind.TEXT:
        return len(value)
    if isinstance(value, int) and not isinstance(value, bool) and not units.INT64_MIN <= value <= units.INT64_MAX:
        raise units.UnitError("is out of range", "a number of 64 bits", "write a smaller one")
    return value


def problems(config: Config) -> list[Problem]:
    """Name everything that is wrong with a configuration; an empty list means that nats-server takes it.

    No text shows a secret. Where a file is included, only what stands outside of it is judged.
    Left to ``nats-server -t``: files that are missing or no certificates, the signature of a JWT, the functions of a
    mapping's destination, and imports that form a circle.
    """
    if not config:
        return [Problem("the configuration", "", "is empty", "at least one option", "set server_name")]
    read = resolved(config)
    found = list(_problems_of_block("top", read, (), (), _references(read)))
    whole = canonical(read)
    for check in _CONFLICTS if has_include(config) else (*_CONFLICTS, *_OMISSIONS):
        found.extend(check(whole))
    return list(dict.fromkeys(found))


def resolved(config: Config) -> dict[str, Any]:
    """Give the configuration as the server reads it, with the variables that it defines itself put in their places.

    A reference means the nearest definition that stands before it (conf/parse.go, lookupVariable); what else it may
    mean stays a reference. A definition that the server then takes for nothing else is left out.
    """
    return _Resolver().resolved(config)


def is_variable_alone(path: Path) -> bool:
    """Tell whether the server takes a definition at this path, where it is used, for a variable and nothing else.

    server/opts.go, IsUsedVariable: so it does with every name that is no option, and with all in the block accounts.
    """
    option = find(path)
    return option is None or (option.block, option.name) == ("accounts", ANY_NAME)


class _Resolver:
    """Reads a configuration from its begin to its end, with the blocks that stand open around each place."""

    def __init__(self) -> None:
        self._open: list[tuple[Path, dict[str, Any]]] = []
        self._used: set[Path] = set()

    def resolved(self, config: Config) -> dict[str, Any]:
        read = self._read(config, ())
        return {name: self._without_definitions(value, (name,)) for name, value in self._kept(read, ())}

    def _read(self, value: Any, path: Path) -> Any:
        if is_reference(value):
            for block, read in reversed(self._open):
                if value[VARIABLE] in read:
                    self._used.add((*block, value[VARIABLE]))
                    return read[value[VARIABLE]]
            return value
        if _is_list(value):
            return [self._read(item, (*path, place)) for place, item in enumerate(value)]
        if not isinstance(value, Mapping):
            return value
        found: dict[str, Any] = {}
        self._open.append((path, found))
        for name, item in value.items():
            found[name] = self._read(item, (*path, name))
        self._open.pop()
        return found

    def _without_definitions(self, value: Any, path: Path) -> Any:
        if _is_list(value):
            return [self._without_definitions(item, (*path, place)) for place, item in enumerate(value)]
        if not _is_block(value):
            return value
        return {name: self._without_definitions(item, (*path, name)) for name, item in self._kept(value, path)}

    def _kept(self, block: Config, path: Path) -> Iterator[tuple[str, Any]]:
        for name, item in block.items():
            here = (*path, name)
            if here not in self._used or not is_variable_alone(here):
                yield name, item


def _references(value: Any) -> frozenset[str]:
    """Give the names of all variables that a configuration refers to."""
    if is_reference(value):
        return frozenset({value[VARIABLE]})
    inner = value.values() if isinstance(value, Mapping) else value if _is_list(value) else ()
    return frozenset().union(*map(_references, inner))


def has_include(value: Any) -> bool:
    """Tell whether a file is included anywhere in a configuration."""
    if isinstance(value, Mapping):
        return INCLUDE in value or any(map(has_include, value.values()))
    return _is_list(value) and any(map(has_include, value))


def _problems_of_block(
    block: str, config: Config, path: Path, without: tuple[str, ...], variables: frozenset[str]
) -> Iterator[Problem]:
    names: dict[str, str] = {}
    for key, value in config.items():
        if key == INCLUDE:
            continue
        here = (*path, key)
        if not isinstance(key, str):
            yield Problem(_dotted(here), "", "is no name", "a text", "put it in quotes")
            continue
        row = _row_of(block, key)
        if row is None:
            yield _unknown(block, here) if key not in variables else _too_late(here)
            continue
        if row.name != ANY_NAME and row.name in names:
            first = _dotted((*path, names[row.name]))
            fault = f"is another name of {first}"
            yield Problem(_dotted(here), "", fault, "an option once", "remove one of them", Stage.RUN)
        names[row.name] = key
        yield from _problems_of_option(row, value, here, without, variables)
    given = {name for name, key in names.items() if _is_given(config[key], _ROWS[block][name])}
    yield from _problems_of_rules(block, given, path, complete=INCLUDE not in config)


def _problems_of_option(
    row: Option, value: Any, path: Path, without: tuple[str, ...], variables: frozenset[str]
) -> Iterator[Problem]:
    where = _dotted(path)
    if row.key_format and not FORMATS[row.key_format].accepts(str(path[-1])):
        rule = FORMATS[row.key_format]
        yield Problem(where, "", f"has a name that {rule.fault}", rule.expected, rule.remedy)
    if row.name in without and _is_given(value, row):
        wanted = _options_of(row.block, without)
        yield Problem(where, "", f"is no option that {_SERVER} takes at this place", wanted, "remove it")
        return
    if not row.forms:
        yield Problem(where, "", f"cannot be set: {row.note}", "no value", "remove it")
        return
    if value is None:
        yield Problem(where, "", "has no value", _join(map(_expected, row.forms), "or"), "set it or remove it")
        return
    hidden = _bears_secret(row)
    unseen = row.unchecked and not any(_has_type(form, value) for form in row.forms)
    for fault in _faults(row.forms, value):
        stage = Stage.RUN if unseen else fault.stage
        is_word = not row.secret and str(fault.value).lower() in _WORDS
        text = HIDDEN if hidden and not is_word and not _is_container(fault.value) else _display(fault.value)
        yield Problem(_dotted((*path, *fault.path)), text, fault.fault, fault.expected, fault.remedy, stage)
    for place, item in _blocks_in(value):
        form = _block_form(row)
        if form:
            yield from _problems_of_block(form.block, item, (*path, *place), form.without, variables)


def _options_of(block: str, without: tuple[str, ...]) -> str:
    """Name what a block takes at a place."""
    names = [name for name, row in _ROWS[block].items() if name == row.name and name not in without]
    return f"one of {', '.join(names)}" if len(names) <= _MOST_CHOICES_NAMED else "another option"


def _blocks_in(value: Any) -> Iterator[tuple[Path, Config]]:
    if _is_block(value):
        yield (), value
    elif _is_list(value):
        yield from (((place,), item) for place, item in enumerate(value) if _is_block(item))


def _block_form(row: Option) -> Form | None:
    forms = (*row.forms, *(item for form in row.forms for item in form.items))
    return next((form for form in forms if form.kind is Kind.BLOCK), None)


def _bears_secret(row: Option, above: frozenset[str] = frozenset()) -> bool:
    """Tell whether a value of this option may be, or hold, or be mistaken for, what must not be shown."""
    form = _block_form(row)
    if row.secret or any(part.format in _KEY_FORMATS for part in row.forms):
        return True
    if form is None or form.block in above:
        return False
    return any(_bears_secret(inner, above | {form.block}) for inner in _ROWS[form.block].values())


def _is_container(value: Any) -> bool:
    return isinstance(value, Mapping) or _is_list(value)


def _display(value: Any) -> str:
    if _is_container(value):
        return ""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "..."


def _dotted(path: Path) -> str:
    return ".".join(str(part) if part != "" else '""' for part in path)


_BYTE_ORDER_MARK = "\ufeff"
# Blocks of the top level that other servers have.
_OF_OTHERS = {"streaming": "remove it: it is of NATS Streaming, in whose place JetStream is (jetstream)"}


def _unknown(block: str, path: Path) -> Problem:
    """Say which known option is nearest to an unknown one: in its block by preference, else in any."""
    name = str(path[-1]).lower()
    where = _dotted(path[:-1]) or "the top level"
    if name in _OF_OTHERS and block == "top":
        return Problem(name, "", f"is no option of {_SERVER}", f"an option of {where}", _OF_OTHERS[name])
    if name.startswith(_BYTE_ORDER_MARK):
        fault = "begins with a byte order mark, which the server reads as a part of the name"
        return Problem(name[1:], "", fault, "a text without one", "save the file as UTF-8 without a byte order mark")
    seen = block in _BLOCKS_IGNORING_UNKNOWN_NAMES or name in _ROWS.get(block, {})
    nearest = _nearest(block, name, _dotted(path[:-1]))
    return Problem(
        _dotted(path),
        "",
        f"is no option of {_SERVER}",
        f"an option of {where}",
        f"the nearest is {nearest}" if nearest else "remove it",
        Stage.RUN if seen else Stage.CHECK,
    )


def _too_late(path: Path) -> Problem:
    """Say that a name which is no option is used as a variable where the server has not read it yet."""
    wanted = "its definition before its first use, in the same block or in one around it"
    return Problem(_dotted(path), "", f"is used as a variable before {_SERVER} has read it", wanted, "move it up")


def _nearest(block: str, name: str, where: str) -> str:
    here = difflib.get_close_matches(name, _ROWS.get(block, {}), 1, 0.75)
    if here:
        return f"{where}.{_ROWS[block][here[0]].name}".lstrip(".")
    elsewhere = {alias: other for other, rows in reversed(_ROWS.items()) for alias in rows if alias != ANY_NAME}
    known = [name] if name in elsewhere else difflib.get_close_matches(name, elsewhere, 1, 0.75)
    if known:
        other = elsewhere[known[0]]
        return f"{_SHOWN_BLOCKS.get(other, '')}.{_ROWS[other][known[0]].name}".lstrip(".")
    here = difflib.get_close_matches(name, _ROWS.get(block, {}), 1)
    return f"{where}.{_ROWS[block][here[0]].name}".lstrip(".") if here else ""


def _paths_of_blocks() -> dict[str, str]:
    """Give, for each block, the dotted path of the first place where it stands."""
    paths, waiting = {"top": ""}, ["top"]
    while waiting:
        block = waiting.pop(0)
        for row in _ROWS[block].values():
            inner = _inner_block(row)
            if inner and inner not in paths:
                items = any(form.kind is Kind.LIST for form in row.forms)
                paths[inner] = f"{paths[block]}.{row.name}{'[]' if items else ''}".lstrip(".")
                waiting.append(inner)
    return paths


_KEY_FORMATS = frozenset({Format.USER_KEY, Format.ACCOUNT_KEY, Format.OPERATOR_KEY, Format.CURVE_KEY})
_SHOWN_BLOCKS = _paths_of_blocks()


def _problems_of_rules(block: str, given: set[str], path: Path, *, complete: bool) -> Iterator[Problem]:
    """Apply RULES to the options that are given in a block; what is missing is not judged unless it is complete."""
    where = _dotted(path) or "the configuration"
    for rule in RULES:
        if rule.block != block:
            continue
        first, *others = rule.options
        if rule.relation is Relation.EXCLUDES and first in given:
            for other in (name for name in others if name in given):
                fault = f"excludes {_dotted((*path, other))}"
                yield Problem(
                    _dotted((*path, first)), "", fault, f"one of them: {rule.reason}", "remove one", rule.stage
                )
        if not complete:
            continue
        if rule.relation is Relation.NEEDS and first in given and not given & set(others):
            wanted = _join(others, "or")
            yield Problem(_dotted((*path, first)), "", f"needs {wanted}", "both", f"add {wanted}", rule.stage)
        if rule.relation is Relation.NEEDS_ALWAYS:
            for name in (name for name in rule.options if name not in given):
                yield Problem(where, "", f"has no {name}", f"a value for {name}", f"add {name}", rule.stage)
        if rule.relation is Relation.NEEDS_ONE and not given & set(rule.options):
            wanted = _join(rule.options, "or")
            yield Problem(where, "", f"has neither {_join(rule.options, 'nor')}", wanted, f"add {wanted}", rule.stage)


def _at(config: Any, *path: str) -> Any:
    """Give the value at a path of a canonical configuration; None where there is none or only a reference to it."""
    for name in path:
        config = config.get(name) if _is_block(config) else None
    return None if is_reference(config) else config


def _text_at(config: Any, *path: str) -> str:
    value = _at(config, *path)
    return value if isinstance(value, str) else ""


def meaning_at(config: Config, *path: str, default: int = 0) -> int:
    """Give the number that an option means, of an address its port; the default where it is unset, zero or wrong."""
    option, value = find(path), _at(config, *path)
    if option is None or value is None or _is_container(value) or kind_of(option, value) is None:
        return default
    meaning = effective(option, value)
    meaning = meaning[-1] if isinstance(meaning, tuple) else meaning
    return meaning if isinstance(meaning, int) and meaning else default


def lame_duck_duration(config: Config) -> int:
    """Give the nanoseconds that a server takes to let its clients go; server/const.go: 2 minutes are the default."""
    return meaning_at(config, "lame_duck_duration", default=120 * _SECOND)


def _blocks(config: Any, *path: str) -> list[tuple[int, Config]]:
    """Give the blocks of a list, with their positions."""
    return [(place, item) for place, item in enumerate(_list_at(config, *path)) if _is_block(item)]


def _list_at(config: Any, *path: str) -> Sequence[Any]:
    value = _at(config, *path)
    return value if isinstance(value, (list, tuple)) else ()


def _port_of(config: Config, *path: str) -> int:
    return meaning_at(config, *path, "port") or meaning_at(config, *path, "listen")


def _accounts(config: Config) -> dict[str, Config]:
    """Give the accounts by name; empty blocks for those of the short form, a list of names."""
    accounts = _at(config, "accounts")
    if _is_list(accounts):
        return {name: {} for name in accounts if isinstance(name, str)}
    return {name: block for name, block in accounts.items() if _is_block(block)} if _is_block(accounts) else {}


def _users(config: Config) -> Iterator[tuple[Path, Config]]:
    """Give every user of a list of users, with its path."""
    for place, user in _blocks(config, "authorization", "users"):
        yield ("authorization", "users", place), user
    for name, account in _accounts(config).items():
        for place, user in _blocks(account, "users"):
            yield ("accounts", name, "users", place), user


@dataclass(frozen=True)
class Listener:
    """One socket that the server listens with.

    purpose: what it serves, such as "clients". option, host_option: what its port and its host are from, dotted.
    host, port: as the server takes them, "" for all addresses and -1 for a port that it picks; a reference, or what is
    no host or port, as it is.
    """

    purpose: str
    option: str
    host_option: str
    host: Any
    port: Any


_LISTENING = ("", "cluster", "gateway", "leafnodes", "websocket", "mqtt")
_CLIENTS = "clients"
_CLIENTS_PORT = 4222
ALL_ADDRESSES = "0.0.0.0"  # noqa: S104  # not bound here: the server's own default (server/const.go, DEFAULT_HOST)
_WILDCARDS = ("", ALL_ADDRESSES, "::")


def listeners(config: Config) -> Iterator[Listener]:
    """Give every socket that the server listens with, clients first; server/opts.go, setBaselineOptions.

    config: a canonical one. A port of 0 asks for none, but for clients.
    """
    clients = None
    for block in _LISTENING:
        values = _at(config, *filter(None, (block,)))
        for found in _listening(block or _CLIENTS, block, values, "listen", "port"):
            clients = clients or found
            yield found
    for scheme in ("http", "https"):
        for found in _listening("monitoring", "", config, scheme, f"{scheme}_port"):
            own = found.option == scheme and found.host
            yield (
                found if own or clients is None else replace(found, host=clients.host, host_option=clients.host_option)
            )
    for found in _listening("profiling", "", config, "", "prof_port"):
        yield found if clients is None else replace(found, host=clients.host, host_option=clients.host_option)


def _listening(purpose: str, block: str, values: Any, listen: str, port: str) -> Iterator[Listener]:
    """Give the listener that two options of a block make: one for an address or a port, and one for a port."""
    if not _is_block(values):
        return
    option = listen if listen in values else port
    value = values.get(option)
    host_option, host = ("host", values.get("host") or "") if option == port else (option, "")
    address = _ADDRESS.fullmatch(value) if option == listen and isinstance(value, str) else None
    if address:
        host, value = address["host"].strip("[]"), int(address["port"])
    if not value and purpose == _CLIENTS:
        value = _CLIENTS_PORT
    if value:
        yield Listener(purpose, f"{block}.{option}".lstrip("."), f"{block}.{host_option}".lstrip("."), host, value)


def is_wildcard(host: str) -> bool:
    """Tell whether a host stands for all addresses; Go listens on those of both versions of IP for each of them."""
    return host in _WILDCARDS


def _is_one_address(host: str, other: str) -> bool:
    """Tell whether two hosts can't both be listened on with one port."""
    return is_wildcard(host) or is_wildcard(other) or _ip_address(host) == _ip_address(other)


def _ip_address(host: str) -> str:
    text = "127.0.0.1" if host.lower() == "localhost" else host.lower()
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    return str(getattr(address, "ipv4_mapped", None) or address)


def _system_account(config: Config) -> str:
    return _text_at(config, "system_account") or "$SYS"


def is_jwt(text: str) -> bool:
    """Tell whether a text is a JWT and no path of one, as server/jwt.go, readOperatorJWT, tells."""
    return text.startswith("eyJ")


def _operator_claims(config: Config) -> Config | None:
    """Give what the operator's JWT says, where the JWT itself stands in the configuration; None else."""
    text = _text_at(config, "operator")
    body = text.split(".")[1] if is_jwt(text) and text.count(".") == len("..") else ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except ValueError:
        return None
    return _at(claims, "nats") if _is_block(_at(claims, "nats")) else None


def jetstream_is_on(config: Config) -> bool:
    """Tell whether a canonical configuration, or one account of it, has JetStream."""
    value = _at(config, "jetstream")
    if _is_block(value):
        return _at(value, "enabled") is not False
    return value is True or str(value).lower() in ("enabled", "enable")


def _is_unset(config: Config, *path: str) -> bool:
    """Tell whether nothing, not even a reference, stands at the path."""
    block = _at(config, *path[:-1])
    return not _is_block(block) or not block.get(path[-1])


def _start_problem(path: Path, value: Any, fault: str, wanted: str, remedy: str) -> Problem:
    return Problem(_dotted(path), "" if value is None else _display(value), fault, wanted, remedy, Stage.START)


def _check_monitoring(config: Config) -> Iterator[Problem]:
    """server/server.go, StartMonitoring."""
    plain = [name for name in ("http_port", "http") if meaning_at(config, name)]
    secure = [name for name in ("https_port", "https") if meaning_at(config, name)]
    if plain and secure:
        fault = f"stands beside {plain[0]}"
        yield _start_problem((secure[0],), config[secure[0]], fault, "one monitoring port", f"remove {plain[0]} or it")


def _check_lame_duck(config: Config) -> Iterator[Problem]:
    """server/server.go, validateOptions; server/const.go: 10 seconds are the default of the grace period."""
    duration = lame_duck_duration(config)
    grace = meaning_at(config, "lame_duck_grace_period", default=10 * _SECOND)
    if grace >= duration:
        yield _start_problem(
            ("lame_duck_grace_period",),
            _at(config, "lame_duck_grace_period"),
            "is not shorter than lame_duck_duration",
            f"less than {units.duration_text(duration)}",
            "shorten it or lengthen lame_duck_duration",
        )


def _check_max_pending(config: Config) -> Iterator[Problem]:
    """server/server.go, validateOptions; server/const.go: 1 MiB and 64 MiB are the defaults."""
    pending = meaning_at(config, "max_pending", default=64 << 20)
    if meaning_at(config, "max_payload", default=1 << 20) > pending:
        yield _start_problem(
            ("max_payload",),
            _at(config, "max_payload"),
            "is more than max_pending",
            f"at most {pending} bytes",
            "lower it or raise max_pending",
        )


def _check_listeners(config: Config) -> Iterator[Problem]:
    """net.Listen: nobody can listen twice on one address. Ports that the server picks are free ones."""
    taken: list[Listener] = []
    for each in listeners(config):
        if _faults((_PORT,), each.port) or is_reference(each.port) or each.port < 0 or not isinstance(each.host, str):
            continue
        for other in taken:
            if each.port == other.port and _is_one_address(each.host, other.host):
                fault = f"is listened on for {other.purpose} ({other.option}) already"
                path = tuple(each.option.split("."))
                yield _start_problem(path, each.port, fault, "a port of its own", "choose another one")
                break
        taken.append(each)


def _check_clustered_jetstream(config: Config) -> Iterator[Problem]:
    """server/jetstream.go, validateJetStreamOptions; server/jetstream_cluster.go, enableJetStreamClustering."""
    peers = [block for block in ("cluster", "gateway") if _port_of(config, block)]
    if not jetstream_is_on(config) or not peers:
        return
    if "cluster" in peers:
        for path in (("server_name",), ("cluster", "name")):
            if _is_unset(config, *path) and not (path[0] == "cluster" and _text_at(config, "gateway", "name")):
                yield _start_problem(path, None, "is missing", "a name: JetStream in a cluster needs it", "set it")
        if meaning_at(config, "jetstream", "max_outstanding_catchup") < 0:
            path = ("jetstream", "max_outstanding_catchup")
            yield _start_problem(
                path, _at(config, *path), "is negative", "a positive size", "write it without the sign"
            )
    if _is_unset(config, "cluster", "routes") and not _extends_a_domain(config):
        expected = "the other servers: JetStream in a cluster needs them"
        yield _start_problem(("cluster", "routes"), None, "is missing", expected, "set it, or set jetstream: null")


def _extends_a_domain(config: Config) -> bool:
    """Tell roughly what server/jetstream.go, canExtendOtherDomain, tells; references are given the benefit of doubt."""
    for _place, remote in _blocks(config, "leafnodes", "remotes"):
        account = remote.get("account")
        if is_reference(account) or account == _system_account(config):
            denied = _at(remote, "deny_imports")
            subjects_denied = [denied] if isinstance(denied, str) else _list_at(remote, "deny_imports")
            return not any(
                isinstance(subject, str) and subjects.is_valid(subject) and subjects.covers(subject, "$NRG.>")
                for subject in subjects_denied
            )
    return False


def _check_jetstream_accounts(config: Config) -> Iterator[Problem]:
    """server/server.go, Start; server/jetstream.go, EnableJetStream and sufficientResources."""
    if not jetstream_is_on(config):
        return
    accounts, system = _accounts(config), _system_account(config)
    wanted, remedy = "JetStream in other accounts alone", "remove it there"
    if jetstream_is_on(accounts.get(system, {})):
        of_system = ("accounts", system, "jetstream")
        yield _start_problem(of_system, None, f"is on in {system}, the system account", wanted, remedy)
    if system == "$G" and not accounts:
        fault = "is the account that JetStream serves"
        yield _start_problem(("system_account",), system, fault, "an account of its own", "add it to accounts")
    if _port_of(config, "cluster") or _port_of(config, "gateway") or _extends_a_domain(config):
        return
    for name in ("max_mem", "max_file"):
        reserved = sum(
            max(0, meaning_at(config, "accounts", account, "jetstream", name))
            for account, block in accounts.items()
            if jetstream_is_on(block)
        )
        # Without a size, or with one below zero, the machine's own counts.
        if _at(config, "jetstream", name) is not None and 0 <= meaning_at(config, "jetstream", name) < reserved:
            fault = f"is less than the {reserved} bytes that accounts may take together"
            remedy = "raise it, or lower theirs"
            size = ("jetstream", name)
            yield _start_problem(size, _at(config, *size), fault, "as many bytes at least", remedy)


def _check_trust(config: Config) -> Iterator[Problem]:
    """server/jwt.go, validateTrustedOperators; server/server.go, setSystemAccount: accounts have to be signed."""
    signed = "operator" if not _is_unset(config, "operator") else "trusted_keys"
    if _is_unset(config, signed):
        return
    claims = _operator_claims(config) if signed == "operator" else {}
    named = _text_at(config, "system_account")
    known = claims is not None and _is_unset(config, "system_account") and not claims.get("system_account")
    if signed == "trusted_keys" and (named or "$SYS") in {*_accounts(config), "$G"}:
        path = ("system_account",) if named else ("accounts", "$SYS")
        wanted = "an account that comes from a resolver"
        yield _start_problem(path, None, "is signed by none of trusted_keys", wanted, "remove it")
    elif known and jetstream_is_on(config):
        wanted = f"an account: JetStream beside {signed} needs it"
        yield _start_problem(("system_account",), None, "is missing", wanted, "set it")


def _check_account_keys(config: Config) -> Iterator[Problem]:
    """server/jwt.go, validateTrustedOperators; server/leafnode.go, validateLeafNode; server/jetstream.go."""
    if _is_unset(config, "operator"):
        return
    remotes = ("leafnodes", "remotes")
    named: list[tuple[Path, Any]] = [
        ((*remotes, place, "account"), block.get("account", "")) for place, block in _blocks(config, *remotes)
    ]
    account = ("leafnodes", "authorization", "account")
    if _port_of(config, "leafnodes") and _text_at(config, *account):
        named.append((account, _at(config, *account)))
    domains = _at(config, "default_js_domain")
    named += [(("default_js_domain", name), name) for name in (domains if _is_block(domains) else ())]
    pinned = _at(config, "resolver_pinned_accounts")
    keys = [pinned] if isinstance(pinned, str) else _list_at(config, "resolver_pinned_accounts")
    named += [(("resolver_pinned_accounts", place), key) for place, key in enumerate(keys)]
    rule = FORMATS[Format.ACCOUNT_KEY]
    for path, key in named:
        if isinstance(key, str) and not rule.accepts(key):
            remedy = "beside an operator accounts have keys for names: copy it"
            yield _start_problem(path, None, "is no key of an account", rule.expected, remedy)
    users = ("leafnodes", "authorization", "users")
    if _blocks(config, *users):
        yield _start_problem(users, None, "stands beside operator", "users that come from the resolver", "remove it")


def _check_no_auth_user(config: Config) -> Iterator[Problem]:
    """server/auth.go, validateNoAuthUser."""
    names = {_text_at(user, "user") for _path, user in _users(config)}
    for path in (("no_auth_user",), ("websocket", "no_auth_user"), ("mqtt", "no_auth_user")):
        name = _text_at(config, *path)
        active = len(path) == 1 or _port_of(config, path[0])
        if name and active and name not in names:
            remedy = "add the user to authorization.users or to an account"
            yield _start_problem(path, name, "names no user", "the name of a user of a list of users", remedy)


def _check_system_account(config: Config) -> Iterator[Problem]:
    """server/server.go, configureAccounts and NewServer: the account has to be there, or come from the resolver."""
    name, path = _text_at(config, "system_account"), ("system_account",)
    claims = _operator_claims(config) or {}
    if not name:
        return
    if _is_unset(config, "operator"):
        if name not in {*_accounts(config), "$G"} and (
            _is_unset(config, "trusted_keys") or _is_unset(config, "resolver")
        ):
            remedy = "add it to accounts" if name != "$SYS" else "remove it, the server makes $SYS itself"
            yield _start_problem(path, name, "names no account", "the name of an account", remedy)
    elif _keeps_accounts_in_memory(config) and _is_unset(config, "resolver_preload", name):
        wanted = "the key of an account of resolver_preload"
        yield _start_problem(path, name, "names no account", wanted, "add it to resolver_preload")
    if claims.get("system_account") not in (None, "", name):
        wanted = "the system account of the operator's JWT"
        yield _start_problem(path, name, "differs from what the operator says", wanted, "remove it")


def _keeps_accounts_in_memory(config: Config) -> bool:
    resolver = _at(config, "resolver")
    if isinstance(resolver, str):
        return _RESOLVER_IN_MEMORY.search(resolver) is not None
    return _text_at(resolver, "type").lower() in ("mem", "memory")


def _check_leafnodes(config: Config) -> Iterator[Problem]:
    """server/leafnode.go, validateLeafNode."""
    if not _is_unset(config, "operator"):
        return
    known = {*_accounts(config), "$G", ""}
    if not _text_at(config, "system_account") and _at(config, "no_system_account") is not True:
        known.add("$SYS")
    named: list[tuple[Path, str]] = [
        (("leafnodes", "authorization", "account"), _text_at(config, "leafnodes", "authorization", "account"))
    ]
    for name, path in (("authorization", ("authorization", "users")), ("remotes", ("remotes",))):
        for place, block in _blocks(config, "leafnodes", *path):
            prefix = ("leafnodes", *path) if name == "remotes" else ("leafnodes", "authorization", "users")
            named.append(((*prefix, place, "account"), _text_at(block, "account")))
    for path_of_name, account in named:
        if account not in known:
            remedy = "add it to accounts"
            yield _start_problem(path_of_name, account, "names no account", "the name of an account", remedy)
    if _port_of(config, "leafnodes") and _text_at(config, "gateway", "name") and _is_unset(config, "system_account"):
        wanted = "an account: leaf nodes beside a gateway need it"
        yield _start_problem(("system_account",), None, "is missing", wanted, "set it")


def _check_gateway(config: Config) -> Iterator[Problem]:
    """server/server.go, validateCluster."""
    gateway, cluster = _text_at(config, "gateway", "name"), _text_at(config, "cluster", "name")
    if gateway and cluster and gateway != cluster:
        remedy = "give both the same name"
        yield _start_problem(("gateway", "name"), gateway, "differs from cluster.name", f'"{cluster}"', remedy)


def _check_remote_urls(config: Config) -> Iterator[Problem]:
    """server/leafnode.go, validateLeafNode."""
    for place, remote in _blocks(config, "leafnodes", "remotes"):
        urls = [url.strip(SPACES).lower() for url in _list_at(remote, "urls") if isinstance(url, str)]
        if len({url.startswith(("ws:", "wss:")) for url in urls}) > 1:
            path = ("leafnodes", "remotes", place, "urls")
            wanted = "all with ws:// or wss://, or none"
            yield _start_problem(path, None, "mixes WebSocket with other connections", wanted, "make two remotes of it")


def _check_cluster_accounts(config: Config) -> Iterator[Problem]:
    """server/server.go, validateCluster."""
    accounts = _at(config, "cluster", "accounts")
    names = [accounts] if isinstance(accounts, str) else _list_at(config, "cluster", "accounts")
    if names and meaning_at(config, "cluster", "pool_size") < 0:
        path = ("cluster", "pool_size")
        yield _start_problem(path, _at(config, *path), "excludes cluster.accounts", "a positive number", "raise it")
    if len({str(name) for name in names}) < len(names):
        yield _start_problem(("cluster", "accounts"), None, "names an account twice", "each once", "remove one")


def _check_origins(config: Config) -> Iterator[Problem]:
    """server/websocket.go, validateWebsocketOptions."""
    path = ("websocket", "allowed_origins")
    origins = _at(config, *path)
    for origin in [origins] if isinstance(origins, str) else _list_at(config, *path):
        if isinstance(origin, str) and not _is_url(origin) and _port_of(config, "websocket"):
            wanted = 'the address of a site, such as "https://rosey.example.org"'
            yield _start_problem(path, origin, "is no origin", wanted, "correct it")


def _check_tls(config: Config) -> Iterator[Problem]:
    """server/server.go, StartMonitoring; server/websocket.go, validateWebsocketOptions."""
    wanted = "a tls block with cert_file and key_file"
    for name in ("https_port", "https"):
        if meaning_at(config, name) and _is_unset(config, "tls") and "tls" not in config:
            yield _start_problem((name,), config[name], "needs certificates", wanted, "add tls, or use http_port")
    websocket = _at(config, "websocket")
    if websocket and _port_of(config, "websocket") and "tls" not in websocket and _at(websocket, "no_tls") is not True:
        remedy = "add websocket.tls, or set websocket.no_tls"
        yield _start_problem(("websocket",), None, "needs certificates", wanted, remedy)


def _check_addresses(config: Config) -> Iterator[Problem]:
    """The server reads any host and number in an address; both have to be what the table has for each alone."""
    for path, option, value in leaves(config):
        meaning = effective(option, value) if option.unit is Unit.ADDRESS and isinstance(value, str) else None
        if isinstance(meaning, tuple) and _faults((_PORT,), meaning[-1]):
            yield _start_problem(path, value, "has no port", f"a port that is {_expected(_PORT)}", "correct the port")
        if isinstance(meaning, tuple) and _faults((_HOST,), meaning[0] or ""):
            expected = FORMATS[Format.HOST].expected
            yield Problem(_dotted(path), _display(value), "has no host", expected, "correct the host", Stage.RUN)


def _check_ocsp_peer(config: Config) -> Iterator[Problem]:
    """server/ocsp_peer.go, plugTLSOCSPPeer: only certificates that clients have to show are looked at.

    For MQTT the server takes what the block tls at the top has (server/ocsp.go, configureOCSP).
    """
    for path in (("tls",), ("leafnodes", "tls"), ("websocket", "tls")):
        verifies = any(_at(config, *path, name) for name in ("verify", "verify_and_map"))
        if _asks_ocsp_peer(config, *path) and not verifies:
            remedy = f"set {_dotted((*path, 'verify'))}"
            yield _start_problem((*path, "ocsp_peer"), None, "needs verify", "both", remedy)
    if _asks_ocsp_peer(config, "mqtt", "tls") and not _asks_ocsp_peer(config, "tls"):
        where, wanted, remedy = "mqtt.tls.ocsp_peer", "tls.ocsp_peer as well", "set it in the block tls at the top"
        yield Problem(where, "", f"is not looked at by {_SERVER}", wanted, remedy, Stage.RUN)


def _asks_ocsp_peer(config: Config, *path: str) -> bool:
    peer = _at(config, *path, "ocsp_peer")
    return peer is True or _at(peer, "verify") is True


def _check_websocket_and_mqtt_users(config: Config) -> Iterator[Problem]:
    """server/websocket.go, validateWebsocketOptions; server/mqtt.go, validateMQTTOptions."""
    has_users = any(True for _user in _users(config))
    for block in ("websocket", "mqtt"):
        for name in ("user", "token"):
            path = (block, "authorization", name)
            if has_users and _port_of(config, block) and _text_at(config, *path):
                wanted = "the users of authorization and accounts alone"
                yield _start_problem(path, None, "stands beside lists of users", wanted, "remove it")


def _check_mqtt(config: Config) -> Iterator[Problem]:
    """server/mqtt.go, validateMQTTOptions."""
    if not _port_of(config, "mqtt"):
        return
    peers = [block for block in ("cluster", "gateway", "leafnodes") if _port_of(config, block)]
    if _is_unset(config, "server_name") and {"cluster", "gateway"} & set(peers):
        yield _start_problem(("server_name",), None, "is missing", "a name: MQTT beside servers needs it", "set it")
    if not peers and not _at(config, "leafnodes", "remotes") and not jetstream_is_on(config):
        yield _start_problem(("mqtt",), None, "needs JetStream", "jetstream to be on", "add jetstream")
    if meaning_at(config, "mqtt", "ack_wait") < 0:
        path = ("mqtt", "ack_wait")
        yield _start_problem(
            path, _at(config, *path), "is negative", "a positive duration", "write it without the sign"
        )


def _check_jwt_cookie(config: Config) -> Iterator[Problem]:
    """server/websocket.go, validateWebsocketOptions."""
    path = ("websocket", "jwt_cookie")
    trusts = not _is_unset(config, "operator") or not _is_unset(config, "trusted_keys")
    if _port_of(config, "websocket") and _text_at(config, *path) and not trusts:
        yield _start_problem(path, None, "needs operator or trusted_keys", "one of them", "add operator")


def _check_default_js_domain(config: Config) -> Iterator[Problem]:
    """server/jetstream.go, validateJetStreamOptions."""
    domains = _at(config, "default_js_domain")
    if not _is_block(domains):
        return
    accounts = _accounts(config)
    for name, domain in domains.items():
        path = ("default_js_domain", name)
        if name == _system_account(config):
            yield _start_problem(path, None, "is the system account", "another account", "remove it")
        elif name != "$G" and name not in accounts and _is_unset(config, "operator"):
            yield _start_problem(path, None, "names no account", "the name of an account", "add it to accounts")
        elif domain and jetstream_is_on(accounts.get(name, {})):
            wanted = "an account without JetStream of its own"
            yield _start_problem(path, None, "has JetStream of its own", wanted, "remove one of them")
        if isinstance(domain, str) and domain and not subjects.is_valid(f"$JS.{domain}.API.>"):
            rule = FORMATS[Format.DOMAIN]
            yield _start_problem(path, domain, rule.fault, rule.expected, rule.remedy)


def _check_operator(config: Config) -> Iterator[Problem]:
    """server/jwt.go, validateTrustedOperators."""
    if _is_unset(config, "operator"):
        return
    claims = _operator_claims(config)
    if claims is not None and _is_unset(config, "resolver") and not claims.get("account_server_url"):
        wanted = "where the operator's accounts come from"
        yield _start_problem(("resolver",), None, "is missing", wanted, "set it, such as resolver: MEMORY")
    kind = _text_at(config, "resolver", "type").lower()
    unnamed = claims is not None and _is_unset(config, "system_account") and not claims.get("system_account")
    if kind in _RESOLVERS_WITH_A_DIRECTORY and unnamed and not jetstream_is_on(config):
        wanted = f"an account: a {kind} resolver needs it"
        yield _start_problem(("system_account",), None, "is missing", wanted, "set it")
    for path in (("accounts",), ("authorization", "users"), ("authorization", "auth_callout"), ("trusted_keys",)):
        if not _is_unset(config, *path):
            wanted = "accounts and users that come from the resolver"
            yield _start_problem(path, None, "stands beside operator", wanted, "remove one of them")


_RESOLVERS_WITH_A_DIRECTORY = ("cache", "full")


def _check_resolver_starts(config: Config) -> Iterator[Problem]:
    """server/accounts.go, getOperatorKeys; server/server.go, NewServer and configureResolver."""
    resolver, path = _at(config, "resolver"), ("resolver",)
    kind = _text_at(config, "resolver", "type").lower()
    if kind in _RESOLVERS_WITH_A_DIRECTORY and _is_unset(config, "operator"):
        remedy = "set operator, or take the resolver away"
        yield _start_problem(path, None, "needs operator", f"the operator of a {kind} resolver's accounts", remedy)
    if isinstance(resolver, str) and not _keeps_accounts_in_memory(config):
        match = _RESOLVER_URL.search(resolver)
        if match and not (match[1] or "").lower().startswith(("http://", "https://")):
            wanted = "the address of an account server, http:// or https://"
            yield _start_problem(path, None, "has no address that can be asked", wanted, "correct it")
        if not _is_unset(config, "resolver_preload"):
            wanted = "MEMORY, or a resolver with a directory"
            yield _start_problem(("resolver_preload",), None, "needs another resolver", wanted, "remove one of them")


def _check_users(config: Config) -> Iterator[Problem]:
    """server/opts.go, processConfigFileLine (authorization) and parseAccounts."""
    seen: set[str] = set()
    for path, user in _users(config):
        name = _text_at(user, "nkey") or _text_at(user, "user")
        if name and name in seen:
            yield Problem(_dotted(path), "", "has the name of another user", "a name of its own", "rename or remove it")
        seen.add(name)
        for single in ("user", "token"):
            if path[0] == "accounts" and _text_at(config, "authorization", single):
                fault = f"excludes authorization.{single}"
                yield Problem(_dotted(path), "", fault, "users of accounts alone", f"remove authorization.{single}")
    names = [_text_at(user, "user") for _place, user in _blocks(config, "leafnodes", "authorization", "users")]
    where = "leafnodes.authorization.users"
    if len(set(names)) < len(names):
        yield Problem(where, "", "has a name twice", "names that differ", "rename or remove one")
    if names and _text_at(config, "leafnodes", "authorization", "user"):
        fault = "excludes leafnodes.authorization.user"
        yield Problem(where, "", fault, "one user or a list of them", "remove one of them")


def _check_store_dir(config: Config) -> Iterator[Problem]:
    """server/opts.go, processConfigFileLine (store_dir) and parseJetStream."""
    if _text_at(config, "store_dir") and _text_at(config, "jetstream", "store_dir"):
        yield Problem("store_dir", "", "is set as jetstream.store_dir too", "one of them", "remove store_dir")


def _check_resolver(config: Config) -> Iterator[Problem]:
    """server/opts.go, processConfigFileLine (resolver)."""
    resolver = _at(config, "resolver")
    if not _is_block(resolver):
        return
    kind = _text_at(resolver, "type").lower()
    # The cache resolver objects to hard_delete whatever its value; to the others only when they are not zero.
    refused = {
        "cache": [*(name for name in ("interval", "allow_delete") if _meaning(resolver, name)), *_keys(resolver)],
        "full": [name for name in ("ttl",) if _meaning(resolver, name)],
    }.get(kind, [])
    for name in refused:
        wanted = f"an option of a {kind} resolver"
        yield Problem(f"resolver.{name}", "", f"is refused by a {kind} resolver", wanted, "remove it")
    if kind == "full" and "hard_delete" in resolver and not resolver.get("allow_delete"):
        yield Problem("resolver.hard_delete", "", "needs allow_delete", "both", "set allow_delete or remove it")
    if kind in ("cache", "full") and not resolver.get("dir"):
        yield Problem("resolver", "", "has no dir", "the directory that keeps the accounts", "set resolver.dir")


def _keys(resolver: Config) -> list[str]:
    return ["hard_delete"] if "hard_delete" in resolver else []


def _meaning(resolver: Config, name: str) -> bool:
    return bool(resolver.get(name)) and (
        name == "allow_delete" or meaning_at({"resolver": resolver}, "resolver", name) != 0
    )


def _check_compression(config: Config) -> Iterator[Problem]:
    """server/server.go, validateAndNormalizeCompressionOption; server/opts.go, setBaselineOptions."""
    automatic = ("auto", "s2_auto")
    on = ("on", "enabled", "true")
    places: list[tuple[Path, Any, tuple[str, ...]]] = [
        (("cluster", "compression"), _at(config, "cluster", "compression"), automatic),
        (
            ("leafnodes", "compression"),
            _at(config, "leafnodes", "compression"),
            (*automatic, *on, *([""] if _port_of(config, "leafnodes") else [])),
        ),
    ]
    for place, remote in _blocks(config, "leafnodes", "remotes"):
        of_remote = ("leafnodes", "remotes", place, "compression")
        places.append((of_remote, _at(remote, "compression"), (*automatic, *on, "")))
    for path, compression, modes in places:
        thresholds = _list_at(compression, "rtt_thresholds")
        if _faults((_list(_DURATION),), thresholds) or _text_at(compression, "mode").lower() not in modes:
            continue
        times = [max(0, units.duration(text)) for text in thresholds if isinstance(text, str)]
        rising = [time for time in times if time > 0]
        while times and not times[-1]:
            times.pop()
        if rising != sorted(rising) or len(times) > _MOST_THRESHOLDS or (thresholds and not times):
            wanted = "one to four durations that rise"
            yield _start_problem((*path, "rtt_thresholds"), None, "has durations out of order", wanted, "sort them")


_MOST_THRESHOLDS = 4
_WHOLE_WEIGHT = 100


def _check_mappings(config: Config) -> Iterator[Problem]:
    """server/accounts.go, AddWeightedMappings; server/subject_transform.go, NewSubjectTransformWithStrict."""
    found: list[tuple[Path, Any]] = [(("mappings",), _at(config, "mappings"))]
    found += [(("accounts", name, "mappings"), _at(block, "mappings")) for name, block in _accounts(config).items()]
    for path, mappings in found:
        for source, mapped in mappings.items() if _is_block(mappings) else ():
            yield from _problems_of_mapping((*path, source), str(source), mapped)


def _problems_of_mapping(path: Path, source: str, mapped: Any) -> Iterator[Problem]:
    where = _dotted(path)
    blocks = [block for _path, block in _blocks_in(mapped)]
    targets = [mapped] if isinstance(mapped, str) else [_text_at(block, "destination") for block in blocks]
    for target in targets:
        if not target:
            yield Problem(where, "", "leads nowhere", "a subject", "add a destination", Stage.RUN)
        elif (">" in source.split(".")) != (">" in target.split(".")):
            yield Problem(where, _display(target), "does not match the subject", "> on both sides", "add or remove it")
        # The server takes $0 for no reference where the subject has a wildcard, and for an error where it has none.
        elif any(place > (source.split(".").count("*") or -1) for place in _places_of(target)):
            wanted = "a reference to a wildcard of the subject"
            yield Problem(where, _display(target), "refers to a wildcard that is not there", wanted, "lower the number")
    if len(set(targets)) < len(targets):
        yield Problem(where, "", "has a destination twice", "destinations that differ", "remove one of them")
    weights: dict[str, int] = {}
    for block in blocks:
        weight = str(_at(block, "weight")).removesuffix("%")
        cluster = _text_at(block, "cluster")
        weights[cluster] = weights.get(cluster, 0) + (units.integer(weight) or 0)
    if any(weight > _WHOLE_WEIGHT for weight in weights.values()):
        yield Problem(where, "", "has weights of more than 100 together", "at most 100", "lower one of them")


def _places_of(target: str) -> Iterator[int]:
    """Give the numbers of the wildcards that a mapping's destination refers to; 0 for those within other functions.

    More than 64 bits are plain text after a $, and a wildcard that is not there within {{wildcard()}}
    (server/subject_transform.go, indexPlaceHolders).
    """
    pattern = re.compile(r"\$([+-]?[0-9]+)|\{\{\s*wildcard\(\s*([0-9]+)\s*\)\s*\}\}|\{\{.*\}\}", re.IGNORECASE)
    for match in filter(None, map(pattern.fullmatch, target.split("."))):
        place = units.integer(match[1] or match[2] or "0")
        if place is not None:
            yield max(place, 0)
        elif match[2]:
            yield units.INT64_MAX


def _check_exports(config: Config) -> Iterator[Problem]:
    """server/opts.go, parseAccounts; server/accounts.go, setExportAuth."""
    accounts = _accounts(config)
    for name, account in accounts.items():
        for place, export in _blocks(account, "exports"):
            where = _dotted(("accounts", name, "exports", place))
            subject = _text_at(export, "service") or _text_at(export, "stream")
            if not subject:
                continue
            for other in _list_at(export, "accounts"):
                if isinstance(other, str) and other not in accounts:
                    fault = "names no account"
                    yield Problem(
                        f"{where}.accounts", _display(other), fault, "names of accounts", "add it to accounts"
                    )
            position = _at(export, "account_token_position")
            tokens = dict(enumerate(subject.split("."), start=1))
            if isinstance(position, int) and position and tokens.get(position) != "*":
                wanted = "the number of a token * of the subject"
                yield Problem(
                    f"{where}.account_token_position", _display(position), "is no wildcard", wanted, "correct it"
                )


def _check_latency(config: Config) -> Iterator[Problem]:
    """server/opts.go, parseAccounts; server/accounts.go, TrackServiceExportWithSampling."""
    for name, account in _accounts(config).items():
        exports = _blocks(account, "exports")
        services = [service for _place, export in exports if (service := _text_at(export, "service"))]
        for place, export in exports:
            if _text_at(export, "service") and _at(export, "latency") is not None:
                where = _dotted(("accounts", name, "exports", place, "latency"))
                # A service that is exported again keeps the type of responses of its earlier export.
                earlier = [other for _place, other in exports[: place + 1]]
                same = [other for other in earlier if _at(other, "service") == _at(export, "service")]
                yield from _problems_of_latency(where, export, services, same, config)


def _problems_of_latency(
    where: str, export: Config, services: list[str], same: list[Config], config: Config
) -> Iterator[Problem]:
    latency = _at(export, "latency")
    subject = latency if isinstance(latency, str) else _at(latency, "subject")
    if isinstance(subject, str) and (
        not subjects.is_literal(subject) or any(subjects.covers(service, subject) for service in services)
    ):
        wanted = "a subject without wildcards that is no exported service"
        yield Problem(where, _display(subject), "is no subject for measurements", wanted, "choose another")
    if any(_text_at(other, "response_type").lower() not in ("", "single", "singleton") for other in same):
        yield Problem(where, "", "needs a service with single responses", "response_type: single", "remove one of them")
    if _at(config, "no_system_account") is True:
        # Only when the server happens to read no_system_account first does it notice.
        wanted, remedy = "no_system_account: false", "remove one of them"
        yield Problem(where, "", "needs the system account", wanted, remedy, Stage.RUN)


def _check_imports(config: Config) -> Iterator[Problem]:
    """server/opts.go, parseAccounts; server/accounts.go, AddServiceImport and AddStreamImport."""
    accounts = _accounts(config)
    for path, name, kind, block in _imports(config):
        source, subject = _text_at(block, kind, "account"), _text_at(block, kind, "subject")
        where = _dotted((*path, kind))
        if source and source not in accounts:
            yield Problem(where, _display(source), "names no account", "the name of an account", "correct it")
        elif source and subject and not _is_exported(accounts[source], kind, subject, name):
            fault = f"is not exported to {name} by {source}"
            yield Problem(where, _display(subject), fault, "an exported subject", f"add it to {source}'s exports")


def _check_names_of_imports(config: Config) -> Iterator[Problem]:
    """server/opts.go, parseAccountImports; server/accounts.go, AddServiceImport and AddStreamImport."""
    taken: set[tuple[str, ...]] = set()
    for path, name, kind, block in _imports(config):
        subject, prefix, to = _text_at(block, kind, "subject"), _text_at(block, "prefix"), _text_at(block, "to")
        prefix = prefix if kind == "stream" else ""
        renamed = f"{prefix.removesuffix('.')}.{subject}" if prefix else to
        if subjects.has_wildcard(prefix):
            wanted = "a subject without wildcards"
            yield Problem(_dotted((*path, "prefix")), _display(prefix), "has a wildcard", wanted, "remove it")
        elif subject and renamed and not _is_renaming(kind, subject, renamed):
            where, value = ("prefix", prefix) if prefix else ("to", to)
            wanted = "a subject with a * or $1 for each * of the imported one, and > where that has it"
            yield Problem(_dotted((*path, where)), _display(value), f"is no name for {subject}", wanted, "correct it")
        key = (
            (name, kind, to or subject)
            if kind == "service"
            else (name, kind, _text_at(block, kind, "account"), subject)
        )
        if subject and key in taken:
            fault = "is the name of another import" if kind == "service" else "is imported twice"
            yield Problem(_dotted((*path, kind)), _display(key[-1]), fault, "each once", "rename or remove one")
        taken.add(key)


def _imports(config: Config) -> Iterator[tuple[Path, str, str, Config]]:
    """Give every import: its path, the importing account, whether stream or service, and its block."""
    for name, account in _accounts(config).items():
        for place, block in _blocks(account, "imports"):
            for kind in ("stream", "service"):
                if _is_block(block.get(kind)):
                    yield ("accounts", name, "imports", place), name, kind, block


def _is_renaming(kind: str, subject: str, to: str) -> bool:
    """Tell what server/subject_transform.go, NewSubjectTransformStrict, tells of an import under another name."""
    if not subjects.has_wildcard(subject) or subject == to:
        return kind == "stream" or subjects.is_valid(to)
    wildcards, tokens = subject.split(".").count("*"), to.split(".")
    places = [*range(1, tokens.count("*") + 1), *_places_of(to)]
    same_end = (">" in tokens) == (">" in subject.split("."))
    return subjects.is_valid(to) and same_end and len(places) >= wildcards and max(places, default=0) <= wildcards


def _is_exported(account: Config, kind: str, subject: str, to: str) -> bool:
    for _place, export in _blocks(account, "exports"):
        pattern, names = _text_at(export, kind), _list_at(export, "accounts")
        position = _at(export, "account_token_position")
        if pattern and subjects.covers(pattern, subject):
            if isinstance(position, int) and position:
                return pattern != subject and subject.split(".")[position - 1 : position] == [to]
            return not names or to in names
    return False


# Conflicts are there whatever an included file adds; omissions may be made good by it.
_CONFLICTS: tuple[Callable[[Config], Iterator[Problem]], ...] = (
    _check_addresses,
    _check_listeners,
    _check_monitoring,
    _check_lame_duck,
    _check_max_pending,
    _check_gateway,
    _check_remote_urls,
    _check_cluster_accounts,
    _check_origins,
    _check_websocket_and_mqtt_users,
    _check_users,
    _check_store_dir,
    _check_resolver,
    _check_compression,
    _check_mappings,
    _check_latency,
    _check_names_of_imports,
)
_OMISSIONS: tuple[Callable[[Config], Iterator[Problem]], ...] = (
    _check_clustered_jetstream,
    _check_jetstream_accounts,
    _check_no_auth_user,
    _check_operator,
    _check_trust,
    _check_account_keys,
    _check_resolver_starts,
    _check_system_account,
    _check_leafnodes,
    _check_tls,
    _check_ocsp_peer,
    _check_mqtt,
    _check_jwt_cookie,
    _check_default_js_domain,
    _check_exports,
    _check_imports,
)
