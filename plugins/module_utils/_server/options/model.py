# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an option of nats-server 2.10.7 is, and what can be wrong with one."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import auto

from ansible_collections.rosey.nats.plugins.module_utils._host.needed_path import Need
from ansible_collections.rosey.nats.plugins.module_utils._host.python import StrEnum

Path: t.TypeAlias = "tuple[str | int, ...]"
Config = Mapping[str, t.Any]

VARIABLE = "$variable"
INCLUDE = "$include"
# Where the server listens that is given no host; nothing is bound here (server/const.go, DEFAULT_HOST).
ALL_ADDRESSES = "0.0.0.0"  # noqa: S104
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


# server/monitor.go, updateVarzConfigReloadableFields: all that /varz reads anew after a reload.
_VARZ_FOLLOWING_A_RELOAD = frozenset(
    (
        *("auth_required", "auth_timeout", "cluster.urls", "max_connections", "max_control_line", "max_payload"),
        *("max_pending", "mqtt.tls_pinned_certs", "ping_interval", "ping_max", "system_account"),
        *("tls_ocsp_peer_verify", "tls_required", "tls_timeout", "tls_verify"),
        *("websocket.tls_pinned_certs", "write_deadline"),
    )
)


SECOND = 1_000_000_000
_LONGEST_VALUE = 60


def is_reference(value: t.Any) -> bool:
    """Tell whether a value is the name of a variable, of the server's environment or of its configuration."""
    return isinstance(value, Mapping) and len(value) == 1 and isinstance(value.get(VARIABLE), str)


def refers(value: t.Any) -> bool:
    """Tell whether a value is a reference, or a list that holds one."""
    return is_reference(value) or (is_list(value) and any(map(is_reference, value)))


def is_block(value: t.Any) -> bool:
    """Tell whether a value is a block; a reference is none."""
    return isinstance(value, Mapping) and not is_reference(value)


def is_list(value: t.Any) -> bool:
    """Tell whether a value is a list."""
    return isinstance(value, (list, tuple))


def joined(words: Iterable[str], conjunction: str) -> str:
    """Join words, each once, with a conjunction before the last."""
    *most, last = dict.fromkeys(words)
    return f"{', '.join(most)} {conjunction} {last}" if most else last


def is_container(value: t.Any) -> bool:
    """Tell whether a value holds others."""
    return isinstance(value, Mapping) or is_list(value)


def display(value: t.Any) -> str:
    """Give a value as a text that fits in a message; nothing of what holds others."""
    if is_container(value):
        return ""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "..."


def dotted(path: Path) -> str:
    """Give a path as it is named in a message."""
    return ".".join(str(part) if part != "" else '""' for part in path)


def start_problem(path: Path, value: t.Any, fault: str, wanted: str, remedy: str) -> Problem:
    """Give a problem at which the server ends as it starts."""
    return Problem(dotted(path), "" if value is None else display(value), fault, wanted, remedy, Stage.START)
