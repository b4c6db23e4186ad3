# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every change of configuration, host or version that could cost what JetStream holds, and what came of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ansible_collections.rosey.nats.tests.assets.ground import ANYBODY, Hold, Login

DESTROYS = "destroys"
HIDES = "hides until undone"
STOPS = "stops writes"
HARMLESS = "harmless"
CONVERTS = "harmless (converts: undoing hides)"
UNDOING_DESTROYS = "harmless (undoing destroys)"
REFUSED = "reload refused"
# How a change comes into force; "later" is a reload, and a restart some time after it.
# "declared": a restart, after which the streams are declared as a deployment does.
RESTART, RELOAD, LATER, DECLARED = "restart", "reload", "later", "declared"

ROSEY, OTHER, OPERATOR = Login("rosey", "rosey-secret"), Login("other", "other-secret"), Login("sys", "sys-secret")

PLAIN = Hold("PLAIN")
COMPRESSED = Hold("COMPRESSED", {"compression": "s2"})
RESERVED = Hold("RESERVED", {"max_bytes": 100_000_000})
BUCKET = Hold(
    "KV_settings",
    {
        "subjects": ["$KV.settings.>"],
        "max_msgs_per_subject": 5,
        "discard": "new",
        "allow_rollup_hdrs": True,
        "deny_delete": True,
        "allow_direct": True,
    },
    consumer=None,
    subject="$KV.settings.",
)
MEMORY = Hold("MEMORY", {"storage": "memory"})
MEMORY_RESERVED = Hold("MEMORY", {"storage": "memory", "max_bytes": 20_000_000})
ONE_MEGABYTE = Hold("BIG", messages=100, size=10_000)
IN_MEMORY_CONSUMER = Hold("PLAIN", consumer={"mem_storage": True})
EPHEMERAL = Hold("PLAIN", consumer={"durable_name": None, "inactive_threshold": 300_000_000_000})
PENDING = Hold("PLAIN", consumer={"max_ack_pending": 1000})
STANDARD = (PLAIN, COMPRESSED, BUCKET)


def user(login: Login) -> dict[str, str]:
    return {"user": login.user, "password": login.password}


def account(*logins: Login, **options: Any) -> dict[str, Any]:
    return {"users": [user(each) for each in logins], **options}


def same(directory: Path) -> None:
    """Leave the host as it is."""


def link_to(directory: Path) -> None:
    """Move the store away and put a link in its place."""
    (directory / "store").rename(directory / "moved")
    (directory / "store").symlink_to(directory / "moved")


def link_back(directory: Path) -> None:
    (directory / "store").unlink()
    (directory / "moved").rename(directory / "store")


def empty(directory: Path) -> None:
    """Put an empty directory in the place of the store, as a missing mount does."""
    (directory / "store").rename(directory / "away")
    (directory / "store").mkdir()


def empty_back(directory: Path) -> None:
    shutil.rmtree(directory / "store")
    (directory / "away").rename(directory / "store")


def other_store(directory: Path) -> None:
    """Put a store in which a stream is gone in the place of the store."""
    shutil.copytree(directory / "store", directory / "away")
    shutil.rmtree(directory / "store" / "jetstream" / "$G" / "streams" / "PLAIN")


def other_store_back(directory: Path) -> None:
    shutil.rmtree(directory / "store")
    (directory / "away").rename(directory / "store")


def move_store(directory: Path) -> None:
    (directory / "store").rename(directory / "other")


def move_store_back(directory: Path) -> None:
    (directory / "other").rename(directory / "store")


def link_elsewhere(directory: Path) -> None:
    (directory / "elsewhere").mkdir(exist_ok=True)
    (directory / "link").unlink()
    (directory / "link").symlink_to(directory / "elsewhere")


def link_home(directory: Path) -> None:
    (directory / "store").mkdir(exist_ok=True)
    (directory / "link").unlink(missing_ok=True)
    (directory / "link").symlink_to(directory / "store")


def rename_account(old: str, new: str) -> Callable[[Path], None]:
    def step(directory: Path) -> None:
        data = directory / "store" / "jetstream"
        if (data / new).exists():
            shutil.rmtree(data / new)
        (data / old).rename(data / new)

    return step


def include_store(directory: Path) -> None:
    (directory / "store.conf").write_text(f'store_dir: "{directory}/store"\n')


@dataclass(frozen=True)
class Change:
    """One change.

    held: by whom, what. who, who_after: the login by label, before and after it. step, step_back: what happens to the
    directory between stop and start. undone: what is laid over `before` to undo it, where that alone does not do.
    recreate: what is created again (and updated) to undo it. classes: what is expected, by the way in which it comes
    into force. nodes: servers of the cluster, of which the last is changed, or all. settle: seconds until the server
    has done what it does after a start. domain: the one that the clients name.
    """

    name: str
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    classes: Mapping[str, str] = field(default_factory=lambda: {RESTART: ""})
    held: Mapping[str, tuple[Hold, ...]] = field(default_factory=lambda: {"a": STANDARD})
    who: Mapping[str, Login] = field(default_factory=lambda: {"a": ANYBODY})
    who_after: Mapping[str, Login] | None = None
    undone: Mapping[str, Any] | None = None
    recreate: tuple[Hold, ...] = ()
    update_again: bool = False
    prepare: Callable[[Path], None] = same
    step: Callable[[Path], None] = same
    step_back: Callable[[Path], None] = same
    environment: Mapping[str, str] = field(default_factory=dict)
    environment_after: Mapping[str, str] | None = None
    binary: str = "pinned"
    binary_after: str = ""
    settle: float = 0.0
    domain: str = ""
    nodes: int = 1
    all_nodes: bool = False
    word: str = ""


def restart(expected: str) -> dict[str, str]:
    return {RESTART: expected}


def both(reload: str, later: str, at_restart: str) -> dict[str, str]:
    """Give the classes for every way; where a reload is refused, later is the same as a restart."""
    if reload == REFUSED:
        return {RELOAD: reload, RESTART: at_restart}
    return {RELOAD: reload, LATER: later, RESTART: at_restart}


CLUSTER = {"name": "c", "listen": "127.0.0.1:{cluster}"}
NOBODY = "nats://127.0.0.1:1"
A = {"a": ROSEY}
USERS = {"authorization": {"users": [user(ROSEY), user(OTHER)]}}
APP = {"accounts": {"APP": account(ROSEY, jetstream="enabled")}}
TWO = {"accounts": {"APP": account(ROSEY, jetstream="enabled"), "BACK": account(OTHER, jetstream="enabled")}}
INTEREST = Hold("INTEREST", {"retention": "interest"}, {"max_ack_pending": 1000}, early=True)
LARGE = Hold("LARGE", {"compression": "s2"}, None, messages=600, size=60_000)
CUT = Hold("CUT", {"max_msgs": 440}, None, update={"max_msgs": -1})
ROTATE = {
    "jetstream": {"key": "another-key-another-key-another1", "prev_encryption_key": "0123456789abcdef0123456789abcdef"}
}
BIG = {"a": (ONE_MEGABYTE, PLAIN)}
KEY = {"jetstream": {"key": "0123456789abcdef0123456789abcdef"}}
LIMITED = {"a": (RESERVED, PLAIN)}


def app(**limits: Any) -> dict[str, Any]:
    return {"accounts": {"APP": account(ROSEY, jetstream=limits)}}


def jetstream(**options: Any) -> dict[str, Any]:
    return {"jetstream": options}


ACCOUNTS = (
    Change(
        "accounts: users of $G moved into APP with jetstream",
        USERS,
        {"authorization": None, **APP},
        both(HIDES, HIDES, HIDES),
        who=A,
    ),
    Change(
        "accounts: users of $G moved into APP without jetstream",
        USERS,
        {"authorization": None, "accounts": {"APP": account(ROSEY)}},
        both(HIDES, HIDES, HIDES),
        who=A,
    ),
    Change(
        "accounts: users of $G moved into APP, the directory $G renamed to APP",
        USERS,
        {"authorization": None, **APP},
        restart(HARMLESS),
        who=A,
        step=rename_account("$G", "APP"),
        step_back=rename_account("APP", "$G"),
    ),
    Change(
        "accounts: APP (jetstream) declared, a user stays in $G",
        USERS,
        {"authorization": {"users": [user(ROSEY)]}, "accounts": {"APP": account(OTHER, jetstream="enabled")}},
        both(HARMLESS, HIDES, HIDES),
        who=A,
    ),
    Change(
        "accounts: APP (no jetstream) declared, a user stays in $G",
        USERS,
        {"authorization": {"users": [user(ROSEY)]}, "accounts": {"APP": account(OTHER)}},
        both(HARMLESS, HIDES, HIDES),
        who=A,
    ),
    Change(
        "accounts: APP without users declared, a user stays in $G",
        USERS,
        {"accounts": {"APP": {}}},
        both(HARMLESS, HIDES, HIDES),
        who=A,
    ),
    Change(
        "accounts: $SYS with users alone, users stay in $G",
        USERS,
        {"accounts": {"$SYS": account(OPERATOR)}},
        both(HARMLESS, HARMLESS, HARMLESS),
        who=A,
    ),
    Change(
        "accounts: SYS with users and system_account: SYS, users stay in $G",
        USERS,
        {"accounts": {"SYS": account(OPERATOR)}, "system_account": "SYS"},
        both(REFUSED, HARMLESS, HARMLESS),
        who=A,
    ),
    Change(
        "accounts: SYS with users, no system_account, users stay in $G",
        USERS,
        {"accounts": {"SYS": account(OPERATOR)}},
        both(HARMLESS, HIDES, HIDES),
        who=A,
    ),
    Change(
        "accounts: $G declared",
        USERS,
        {"accounts": {"$G": account(OTHER, jetstream="enabled")}},
        both(REFUSED, HIDES, HIDES),
        who=A,
    ),
    Change(
        "authorization added, nobody moves (stays in $G)",
        {},
        USERS,
        both(HARMLESS, HARMLESS, HARMLESS),
        who_after=A,
    ),
    Change(
        "no_auth_user: to a user of APP (jetstream), anybody was in $G",
        {},
        {**APP, "no_auth_user": "rosey"},
        both(REFUSED, HIDES, HIDES),
    ),
    Change(
        "accounts: APP renamed to SITE",
        APP,
        {"accounts": {"APP": None, "SITE": account(ROSEY, jetstream="enabled")}},
        both(HIDES, HIDES, HIDES),
        who=A,
    ),
    Change(
        "accounts: APP removed, user in $G",
        APP,
        {"accounts": None, **USERS},
        both(HIDES, HIDES, HIDES),
        who=A,
    ),
    Change(
        "accounts: APP removed beside BACK",
        TWO,
        {"accounts": {"APP": None, "BACK": account(ROSEY, OTHER, jetstream="enabled")}},
        both(HIDES, HIDES, HIDES),
        who=A,
    ),
    Change(
        "accounts: user moved from APP to BACK, both stay",
        {"accounts": {"APP": account(ROSEY, jetstream="enabled"), "BACK": account(OTHER, jetstream="enabled")}},
        {"accounts": {"APP": {"users": []}, "BACK": {"users": [user(ROSEY), user(OTHER)]}}},
        both(HIDES, HIDES, HIDES),
        who=A,
    ),
    Change(
        "accounts: user renamed inside APP",
        APP,
        {"accounts": {"APP": account(OTHER, jetstream="enabled")}},
        both(HARMLESS, HARMLESS, HARMLESS),
        who=A,
        who_after={"a": OTHER},
    ),
    Change(
        "accounts: jetstream of APP removed, alone",
        APP,
        {"accounts": {"APP": {"jetstream": None}}},
        both(HIDES, HIDES, HIDES),
        who=A,
    ),
    Change(
        "accounts: jetstream of APP false, beside BACK",
        TWO,
        {"accounts": {"APP": {"jetstream": False}}},
        both(HIDES, HIDES, HIDES),
        who=A,
    ),
    Change(
        "accounts: jetstream of APP disabled, beside BACK",
        TWO,
        {"accounts": {"APP": {"jetstream": "disabled"}}},
        both(HIDES, HIDES, HIDES),
        who=A,
    ),
    Change(
        "accounts: jetstream of APP enabled -> {} (a map)",
        APP,
        {"accounts": {"APP": {"jetstream": {"max_streams": 100}}}},
        both(HARMLESS, HARMLESS, HARMLESS),
        who=A,
    ),
    Change(
        "accounts: BACK added beside APP, $G unused",
        APP,
        TWO,
        both(HARMLESS, HARMLESS, HARMLESS),
        who=A,
    ),
    Change(
        "system_account: set to the account that holds streams",
        APP,
        {"system_account": "APP", "accounts": {"APP": {"jetstream": None}}},
        both(REFUSED, HIDES, HIDES),
        who=A,
    ),
    Change(
        "system_account: set to the account that holds streams, its jetstream kept",
        APP,
        {"system_account": "APP"},
        both(REFUSED, HIDES, HIDES),
        who=A,
    ),
    Change(
        "system_account: set to another account (BACK without jetstream)",
        {"accounts": {**APP["accounts"], "BACK": account(OTHER)}},
        {"system_account": "BACK"},
        both(REFUSED, HARMLESS, HARMLESS),
        who=A,
    ),
)

CLUSTERS = (
    Change(
        "cluster: name, listen, routes to nobody",
        {},
        {"cluster": {**CLUSTER, "routes": [NOBODY]}},
        both(REFUSED, DESTROYS, DESTROYS),
        settle=8,
    ),
    Change(
        "cluster: name, listen, routes to itself",
        {},
        {"cluster": {**CLUSTER, "routes": ["nats://127.0.0.1:{cluster}"]}},
        restart(DESTROYS),
        settle=8,
    ),
    Change("cluster: name, listen, no routes", {}, {"cluster": CLUSTER}, restart(HIDES), settle=8),
    Change("cluster: listen alone", {}, {"cluster": {"listen": "127.0.0.1:{cluster}"}}, restart(HIDES), settle=8),
    Change("cluster: name alone", {}, {"cluster": {"name": "c"}}, both(HARMLESS, HARMLESS, HARMLESS), settle=4),
    Change(
        "cluster: name and routes, no listen",
        {},
        {"cluster": {"name": "c", "routes": [NOBODY]}},
        both(HARMLESS, HARMLESS, HARMLESS),
        settle=4,
    ),
    Change(
        "gateway: name and listen",
        {},
        {"gateway": {"name": "c", "listen": "127.0.0.1:{other}"}},
        both(REFUSED, HIDES, HIDES),
        settle=8,
    ),
    Change(
        "leafnodes: listen",
        {},
        {"leafnodes": {"listen": "127.0.0.1:{other}"}},
        both(REFUSED, HARMLESS, HARMLESS),
        settle=4,
    ),
    Change(
        "leafnodes: a remote for $G", {}, {"leafnodes": {"remotes": [{"url": NOBODY}]}}, restart(HARMLESS), settle=4
    ),
    Change(
        "leafnodes: a remote for $SYS",
        {},
        {"leafnodes": {"remotes": [{"url": NOBODY, "account": "$SYS"}]}},
        restart(HARMLESS),
        settle=8,
    ),
    Change(
        "leafnodes: a remote for $SYS, with a domain",
        {},
        {"leafnodes": {"remotes": [{"url": NOBODY, "account": "$SYS"}]}, "jetstream": {"domain": "leaf"}},
        restart(HARMLESS),
        settle=8,
    ),
    Change(
        "leafnodes: a remote for $SYS, will_extend",
        {},
        {
            "leafnodes": {"remotes": [{"url": NOBODY, "account": "$SYS"}]},
            "jetstream": {"extension_hint": "will_extend"},
        },
        restart(DESTROYS),
        settle=8,
    ),
    Change(
        "leafnodes: a remote for $SYS, will_extend and a domain",
        {},
        {
            "leafnodes": {"remotes": [{"url": NOBODY, "account": "$SYS"}]},
            "jetstream": {"extension_hint": "will_extend", "domain": "leaf"},
        },
        restart(DESTROYS),
        settle=8,
    ),
    Change(
        "jetstream.extension_hint: will_extend, no remote",
        {},
        jetstream(extension_hint="will_extend"),
        both(REFUSED, HARMLESS, HARMLESS),
        settle=4,
    ),
    Change(
        "websocket and mqtt listeners added", {}, {"mqtt": {"listen": "127.0.0.1:{other}"}}, restart(HARMLESS), settle=3
    ),
)

NODES = 3
R = {"a": (Hold("ONE", {"num_replicas": 1, "placement": {"tags": ["n3"]}}), Hold("THREE", {"num_replicas": 3}))}
TRIO = (
    Change("three nodes: one restarted", held=R, nodes=NODES, classes=restart(HARMLESS)),
    Change(
        "three nodes: cluster taken away from one",
        after={"cluster": None},
        held=R,
        nodes=NODES,
        classes=restart(HIDES),
        settle=4,
    ),
    Change(
        "three nodes: cluster.name changed on one",
        after={"cluster": {"name": "d"}},
        held=R,
        nodes=NODES,
        classes=restart(HIDES),
        settle=12,
    ),
    Change(
        "three nodes: cluster.name changed on all",
        after={"cluster": {"name": "d"}},
        held=R,
        nodes=NODES,
        all_nodes=True,
        classes=restart(HARMLESS),
        settle=4,
    ),
    Change(
        "three nodes: server_name changed on one",
        after={"server_name": "renamed"},
        held=R,
        nodes=NODES,
        classes=restart(DESTROYS),
        settle=12,
    ),
    Change(
        "three nodes: server_name changed on all",
        after={"server_name": "renamed_{number}"},
        held=R,
        nodes=NODES,
        all_nodes=True,
        classes=restart(DESTROYS),
        settle=12,
    ),
    Change(
        "three nodes: domain added on one",
        after=jetstream(domain="hub"),
        held=R,
        nodes=NODES,
        classes=restart(HARMLESS),
        settle=12,
    ),
    Change(
        "three nodes: domain added on all",
        after=jetstream(domain="hub"),
        held=R,
        nodes=NODES,
        all_nodes=True,
        classes=restart(HARMLESS),
        settle=4,
    ),
    Change(
        "three nodes: cluster taken away from all",
        after={"cluster": None},
        held=R,
        nodes=NODES,
        all_nodes=True,
        classes=restart(HIDES),
        settle=4,
    ),
    Change(
        "three nodes: empty store on one",
        held=R,
        nodes=NODES,
        classes=restart(HIDES),
        settle=12,
        step=empty,
        step_back=empty_back,
    ),
    Change(
        "three nodes: jetstream off on one by reload",
        after={"jetstream": False},
        held=R,
        nodes=NODES,
        classes={RELOAD: DESTROYS, RESTART: HIDES},
        settle=12,
    ),
)

RESTARTS = (
    Change("restart: file streams", classes=restart(HARMLESS)),
    Change("restart: a stream in memory", held={"a": (MEMORY,)}, classes=restart(DESTROYS)),
    Change(
        "restart: a mem_storage durable consumer on a file stream",
        held={"a": (IN_MEMORY_CONSUMER,)},
        classes=restart(DESTROYS),
    ),
    Change("restart: an ephemeral consumer", held={"a": (EPHEMERAL,)}, classes=restart(HARMLESS)),
    Change(
        "restart: max_payload below stored messages",
        {},
        {"max_payload": 1000},
        both(HARMLESS, HARMLESS, HARMLESS),
        held={"a": (ONE_MEGABYTE,)},
    ),
    Change(
        "restart: a stream with first_seq, its first message still there",
        held={"a": (Hold("FIRST", {"first_seq": 1000}), PLAIN)},
        classes=restart(DESTROYS),
    ),
    Change(
        "restart: a stream with first_seq, its first messages gone",
        held={"a": (Hold("FIRST", {"first_seq": 1000, "max_msgs": 450}, update={"max_msgs": -1}), PLAIN)},
        classes=restart(HARMLESS),
    ),
    Change(
        "restart: a stream whose first_seq was updated above its messages",
        held={"a": (Hold("FIRST", update={"first_seq": 10_000}), PLAIN)},
        classes=restart(DESTROYS),
    ),
    Change("restart: an interest stream", held={"a": (INTEREST,)}, classes=restart(HARMLESS)),
    Change(
        "restart: an interest stream with a mem_storage consumer",
        held={"a": (replace(INTEREST, consumer={"mem_storage": True}),)},
        classes=restart(DESTROYS),
    ),
    Change(
        "restart: an interest stream with an ephemeral consumer",
        held={
            "a": (
                replace(INTEREST, consumer={"durable_name": None, "inactive_threshold": 300_000_000_000}, fetch=False),
            )
        },
        classes=restart(HARMLESS),
    ),
    Change(
        "restart: a work queue with a mem_storage consumer",
        held={"a": (Hold("QUEUE", {"retention": "workqueue"}, {"mem_storage": True}),)},
        classes=restart(DESTROYS),
    ),
    Change(
        "interest stream: account max_ack_pending below its consumer's",
        APP,
        app(max_ack_pending=100),
        both(HARMLESS, HIDES, HIDES),
        held={"a": (INTEREST,)},
        who=A,
    ),
    Change(
        "interest stream: jetstream.limits max_ack_pending below its consumer's",
        {},
        jetstream(limits={"max_ack_pending": 100}),
        restart(HIDES),
        held={"a": (INTEREST,)},
    ),
    Change(
        "interest stream: account max_consumers below its count",
        APP,
        app(max_consumers=1),
        restart(DESTROYS),
        held={"a": (replace(INTEREST, more=({}, {})),)},
        who=A,
    ),
    Change(
        "restart: an interest stream with a durable and a mem_storage consumer",
        held={"a": (replace(INTEREST, more=({"mem_storage": True},)),)},
        classes=restart(DESTROYS),
    ),
    Change(
        "interest stream: jetstream.limits max_ack_pending below one of two consumers'",
        {},
        jetstream(limits={"max_ack_pending": 2000}),
        restart(DESTROYS),
        held={"a": (replace(INTEREST, more=({"max_ack_pending": 5000},)),)},
    ),
    Change(
        "domain changed, for clients that name it",
        jetstream(domain="hub"),
        jetstream(domain="site"),
        restart(HIDES),
        domain="hub",
    ),
    Change(
        "system_account removed, its account stays, users in $G",
        {**USERS, "accounts": {"SYS": account(OPERATOR)}, "system_account": "SYS"},
        {"system_account": None},
        both(REFUSED, HIDES, HIDES),
        who=A,
    ),
    Change("no_system_account: true", {}, {"no_system_account": True}, restart(HARMLESS)),
    Change(
        "converted with deleted messages: key changed with prev_encryption_key",
        KEY,
        ROTATE,
        restart(CONVERTS),
        held={"a": (CUT,)},
    ),
    Change("converted with deleted messages: key added", {}, KEY, restart(CONVERTS), held={"a": (CUT, INTEREST)}),
    Change(
        "converted with deleted messages: cipher chacha -> aes",
        {"jetstream": {**KEY["jetstream"], "cipher": "chacha"}},
        jetstream(cipher="aes"),
        restart(HARMLESS),
        held={"a": (CUT,)},
    ),
    Change(
        "converted with deleted messages: cipher chacha -> aes, interest",
        {"jetstream": {**KEY["jetstream"], "cipher": "chacha"}},
        jetstream(cipher="aes"),
        restart(HARMLESS),
        held={"a": (INTEREST,)},
    ),
    Change(
        "converted with deleted messages: cipher aes -> chacha, a bucket with history 1",
        {"jetstream": {**KEY["jetstream"], "cipher": "aes"}},
        jetstream(cipher="chacha"),
        restart(HARMLESS),
        held={
            "a": (
                Hold("KV_x", {"subjects": ["$KV.x.>"], "max_msgs_per_subject": 1}, None, subject="$KV.x.", twice=True),
            )
        },
    ),
    Change(
        "converted, several blocks: key changed with prev_encryption_key",
        KEY,
        ROTATE,
        restart(CONVERTS),
        held={"a": (Hold("LARGE", {}, None, messages=600, size=60_000),)},
    ),
    Change(
        "converted, several blocks: cipher chacha -> aes",
        {"jetstream": {**KEY["jetstream"], "cipher": "chacha"}},
        jetstream(cipher="aes"),
        restart(HARMLESS),
        held={"a": (Hold("LARGE", {}, None, messages=600, size=60_000),)},
    ),
    Change(
        "converted, several blocks: key added",
        {},
        KEY,
        restart(CONVERTS),
        held={"a": (Hold("LARGE", {}, None, messages=600, size=60_000),)},
    ),
    Change(
        "converted, compressed and several blocks: cipher chacha -> aes",
        {"jetstream": {**KEY["jetstream"], "cipher": "chacha"}},
        jetstream(cipher="aes"),
        restart(DESTROYS),
        held={"a": (Hold("LARGE", {"compression": "s2"}, None, messages=600, size=60_000),)},
    ),
    Change("converted, compressed and several blocks: key added", {}, KEY, restart(DESTROYS), held={"a": (LARGE,)}),
    Change(
        "converted, compressed and several blocks: key changed with prev_encryption_key",
        KEY,
        ROTATE,
        restart(DESTROYS),
        held={"a": (LARGE,)},
    ),
    Change("restart with a key, compressed and several blocks", KEY, {}, restart(HARMLESS), held={"a": (LARGE,)}),
    Change("restart, compressed and several blocks", {}, {}, restart(HARMLESS), held={"a": (LARGE,)}),
    Change(
        "work queue: key changed with prev_encryption_key",
        KEY,
        ROTATE,
        restart(DESTROYS),
        held={"a": (Hold("QUEUE", {"retention": "workqueue"}),)},
    ),
    Change("restart with a key, deleted messages", KEY, {}, restart(HARMLESS), held={"a": (CUT, INTEREST)}),
    Change(
        "interest stream: key changed with prev_encryption_key",
        KEY,
        jetstream(key="another-key-another-key-another1", prev_encryption_key=KEY["jetstream"]["key"]),
        restart(DESTROYS),
        held={"a": (INTEREST,)},
    ),
    Change(
        "limits stream: consumer max_ack_pending unset, jetstream.limits max_ack_pending 100",
        {},
        jetstream(limits={"max_ack_pending": 100}),
        restart(HIDES),
    ),
    Change(
        "restart: a stream updated to num_replicas 3; undone by create and update",
        held={"a": (Hold("PLAIN", {"num_replicas": 1}, update={"num_replicas": 3}), COMPRESSED)},
        recreate=(PLAIN,),
        update_again=True,
        classes=restart(HIDES),
    ),
    Change(
        "reload: nothing of it (debug) with memory",
        {},
        {"debug": True},
        {RELOAD: HARMLESS},
        held={"a": (MEMORY, PLAIN)},
    ),
    Change("server_name changed", {}, {"server_name": "renamed"}, both(REFUSED, HARMLESS, HARMLESS)),
    Change("domain added", {}, jetstream(domain="hub"), both(REFUSED, HARMLESS, HARMLESS)),
    Change("domain changed", jetstream(domain="hub"), jetstream(domain="site"), restart(HARMLESS)),
    Change("domain removed", jetstream(domain="hub"), jetstream(domain=None), restart(HARMLESS)),
    Change("max_connections 2", {}, {"max_connections": 2}, both(HARMLESS, HARMLESS, HARMLESS)),
    Change("sync_interval always", {}, jetstream(sync_interval="always"), both(REFUSED, HARMLESS, HARMLESS)),
    Change("unique_tag added", {}, jetstream(unique_tag="az"), restart(HARMLESS)),
)

OFF = (
    Change("jetstream removed", {}, {"jetstream": None}, both(HIDES, HIDES, HIDES)),
    Change("jetstream: false", {}, {"jetstream": False}, both(HIDES, HIDES, HIDES)),
    Change("jetstream: disabled", {}, {"jetstream": "disabled"}, both(HIDES, HIDES, HIDES)),
    Change("jetstream.enabled: false", {}, jetstream(enabled=False), both(HIDES, HIDES, HIDES)),
    Change(
        "jetstream off with streams in memory", {}, {"jetstream": None}, {RELOAD: DESTROYS}, held={"a": (MEMORY, PLAIN)}
    ),
    Change(
        "accounts: jetstream of APP false by reload, streams in memory",
        TWO,
        {"accounts": {"APP": {"jetstream": False}}},
        {RELOAD: DESTROYS},
        held={"a": (MEMORY, PLAIN)},
        who=A,
    ),
    Change(
        "accounts: APP removed by reload, streams in memory",
        TWO,
        {"accounts": {"APP": None, "BACK": account(ROSEY, OTHER, jetstream="enabled")}},
        {RELOAD: HIDES},
        held={"a": (MEMORY, PLAIN)},
        who=A,
    ),
)

ENCRYPTION = (
    Change("key added", {}, KEY, both(REFUSED, CONVERTS, CONVERTS)),
    Change("key removed", KEY, jetstream(key=None), restart(HIDES)),
    Change("key changed", KEY, jetstream(key="another-key-another-key-another1"), restart(HIDES)),
    Change(
        "key changed, prev_encryption_key the old one",
        KEY,
        jetstream(key="another-key-another-key-another1", prev_encryption_key=KEY["jetstream"]["key"]),
        restart(DESTROYS),
    ),
    Change(
        "key changed, prev_encryption_key the old one; undone by exchanging both",
        KEY,
        jetstream(key="another-key-another-key-another1", prev_encryption_key=KEY["jetstream"]["key"]),
        restart(HIDES),
        undone=jetstream(key=KEY["jetstream"]["key"], prev_encryption_key="another-key-another-key-another1"),
    ),
    Change(
        "key removed, prev_encryption_key the old one",
        KEY,
        jetstream(key=None, prev_encryption_key=KEY["jetstream"]["key"]),
        restart(HIDES),
    ),
    Change(
        "cipher chacha -> aes",
        {"jetstream": {**KEY["jetstream"], "cipher": "chacha"}},
        jetstream(cipher="aes"),
        restart(HARMLESS),
    ),
    Change(
        "cipher aes -> unset",
        {"jetstream": {**KEY["jetstream"], "cipher": "aes"}},
        jetstream(cipher=None),
        restart(HARMLESS),
    ),
    Change("key added with a short word", {}, jetstream(key="x"), restart(CONVERTS)),
)

LIMITS = (
    Change("max_file below held", {}, jetstream(max_file=300_000), both(REFUSED, STOPS, STOPS), held=BIG),
    Change(
        "max_file below one stream's max_bytes",
        {},
        jetstream(max_file=50_000_000),
        both(REFUSED, HIDES, HIDES),
        held=LIMITED,
    ),
    Change(
        "max_file below the sum of max_bytes",
        {},
        jetstream(max_file=150_000_000),
        restart(HIDES),
        held={"a": (RESERVED, Hold("SECOND", {"max_bytes": 100_000_000}), PLAIN)},
    ),
    Change(
        "max_file: reserved to the byte",
        {},
        jetstream(max_file=100_000_000),
        restart(HARMLESS),
        held={"a": (RESERVED,)},
    ),
    Change(
        "max_file: reserved to the byte, and one without max_bytes after it",
        {},
        jetstream(max_file=100_000_000),
        restart(HIDES),
        held={"a": (RESERVED, Hold("ZLAST"))},
    ),
    Change("max_file: 0", {}, jetstream(max_file=0), restart(HIDES)),
    Change("max_mem below held", {}, jetstream(max_mem=1000), restart(HARMLESS), held={"a": (PLAIN,)}),
    Change("max_mem: 0", {}, jetstream(max_mem=0), restart(HARMLESS)),
    Change("max_file and max_mem left out", {}, jetstream(max_file=None, max_mem=None), restart(HARMLESS)),
    Change("account max_file below held", APP, app(max_file=300_000), both(STOPS, STOPS, STOPS), held=BIG, who=A),
    Change(
        "account max_file below reserved",
        APP,
        app(max_file=50_000_000),
        both(HARMLESS, HIDES, HIDES),
        held=LIMITED,
        who=A,
    ),
    Change(
        "account max_file above the server's", APP, app(max_file=2_000_000_000), both(HARMLESS, HIDES, HIDES), who=A
    ),
    Change(
        "two accounts' max_file together above the server's",
        TWO,
        {
            "accounts": {
                "APP": {"jetstream": {"max_file": 600_000_000}},
                "BACK": {"jetstream": {"max_file": 600_000_000}},
            }
        },
        both(HARMLESS, HIDES, HIDES),
        who=A,
    ),
    Change("account max_mem above the server's", APP, app(max_mem=100_000_000), both(HARMLESS, HIDES, HIDES), who=A),
    Change("account max_streams below count", APP, app(max_streams=1), both(HARMLESS, HARMLESS, HARMLESS), who=A),
    Change(
        "account max_consumers 1 below the count on one stream",
        APP,
        app(max_consumers=1),
        both(HARMLESS, HIDES, HIDES),
        held={"a": (Hold("PLAIN", more=({}, {})),)},
        who=A,
    ),
    Change(
        "account max_consumers below a stream's max_consumers",
        APP,
        app(max_consumers=5),
        both(HARMLESS, HIDES, HIDES),
        held={"a": (Hold("PLAIN", {"max_consumers": 10}), COMPRESSED)},
        who=A,
    ),
    Change(
        "account max_bytes_required, a stream without",
        APP,
        app(max_bytes_required=True),
        both(HARMLESS, HIDES, HIDES),
        held=LIMITED,
        who=A,
    ),
    Change(
        "account disk_max_stream_bytes below max_bytes",
        APP,
        app(disk_max_stream_bytes=50_000_000),
        both(HARMLESS, HIDES, HIDES),
        held=LIMITED,
        who=A,
    ),
    Change(
        "account disk_max_stream_bytes, a stream without max_bytes",
        APP,
        app(disk_max_stream_bytes=200_000_000),
        both(HARMLESS, HARMLESS, HARMLESS),
        held=LIMITED,
        who=A,
    ),
    Change(
        "account memory_max_stream_bytes below max_bytes, memory stream",
        APP,
        app(memory_max_stream_bytes=10_000_000),
        {RELOAD: HARMLESS},
        held={"a": (MEMORY_RESERVED, PLAIN)},
        who=A,
    ),
    Change(
        "account max_mem below memory held", APP, app(max_mem=1000), {RELOAD: STOPS}, held={"a": (MEMORY, PLAIN)}, who=A
    ),
    Change(
        "account max_ack_pending below a consumer's",
        APP,
        app(max_ack_pending=100),
        both(HARMLESS, HIDES, HIDES),
        held={"a": (PENDING,)},
        who=A,
    ),
    Change("account max_file: 0", APP, app(max_file=0), both(STOPS, HIDES, HIDES), who=A),
    Change(
        "jetstream.limits max_ack_pending below a consumer's",
        {},
        jetstream(limits={"max_ack_pending": 100}),
        both(REFUSED, HIDES, HIDES),
        held={"a": (PENDING,)},
    ),
    Change(
        "jetstream.limits duplicate_window below a stream's",
        {},
        jetstream(limits={"duplicate_window": "10s"}),
        both(REFUSED, HIDES, HIDES),
    ),
    Change(
        "jetstream.limits max_request_batch below a consumer's",
        {},
        jetstream(limits={"max_request_batch": 10}),
        both(REFUSED, HIDES, HIDES),
        held={"a": (Hold("PLAIN", consumer={"max_batch": 200}),)},
    ),
    Change(
        "jetstream.limits max_ha_assets 1",
        {},
        jetstream(limits={"max_ha_assets": 1}),
        both(REFUSED, HARMLESS, HARMLESS),
    ),
    Change("jetstream.max_outstanding_catchup small", {}, jetstream(max_outstanding_catchup=1000), restart(HARMLESS)),
)

STORES = (
    Change("store_dir: another directory", {}, jetstream(store_dir="{directory}/other"), both(REFUSED, HIDES, HIDES)),
    Change(
        "store_dir: a trailing slash", {}, jetstream(store_dir="{directory}/store/"), both(REFUSED, HARMLESS, HARMLESS)
    ),
    Change("store_dir: //", {}, jetstream(store_dir="{directory}//store"), restart(HARMLESS)),
    Change(
        "store_dir: through a link to the same",
        {},
        jetstream(store_dir="{directory}/link"),
        restart(HARMLESS),
        prepare=link_home,
    ),
    Change("store_dir: relative, same place", {}, jetstream(store_dir="store"), restart(HARMLESS)),
    Change(
        "store_dir: its own jetstream directory", {}, jetstream(store_dir="{directory}/store/jetstream"), restart(HIDES)
    ),
    Change("store_dir: the parent", {}, jetstream(store_dir="{directory}"), restart(HIDES)),
    Change(
        "store_dir: at the top level",
        {},
        {"jetstream": {"store_dir": None}, "store_dir": "{directory}/store"},
        restart(HARMLESS),
    ),
    Change(
        "store_dir: by a variable of the file",
        {},
        {"STORE": "{directory}/store", "jetstream": {"store_dir": {"$variable": "STORE"}}},
        restart(HARMLESS),
    ),
    Change(
        "store_dir: by a variable of the environment, whose value changes",
        jetstream(store_dir={"$variable": "STORE_OF_TEST"}),
        {},
        restart(HIDES),
        environment={"STORE_OF_TEST": "{directory}/store"},
        environment_after={"STORE_OF_TEST": "{directory}/other"},
    ),
    Change(
        "store_dir: by an include",
        {},
        {"jetstream": {"store_dir": None, "$include": "store.conf"}},
        restart(HARMLESS),
        prepare=include_store,
    ),
    Change(
        "store_dir: a link that is switched to an empty place",
        jetstream(store_dir="{directory}/link"),
        {},
        restart(HIDES),
        prepare=link_home,
        step=link_elsewhere,
        step_back=link_home,
    ),
    Change("store: moved, a link in its place", step=link_to, step_back=link_back, classes=restart(HARMLESS)),
    Change("store: an empty directory in its place", step=empty, step_back=empty_back, classes=restart(HIDES)),
    Change(
        "store: a store with other streams in its place",
        step=other_store,
        step_back=other_store_back,
        classes=restart(HIDES),
    ),
    Change(
        "store: of another server_name and domain in its place",
        {},
        {"server_name": "b", "jetstream": {"domain": "b", "store_dir": "{directory}/other"}},
        restart(HARMLESS),
        step=move_store,
        step_back=move_store_back,
    ),
    Change("store_dir: left out (/tmp/nats/jetstream)", {}, jetstream(store_dir=None), both(REFUSED, HIDES, HIDES)),
)

FEATURES = (
    PLAIN,
    Hold("COMPRESSED", {"compression": "s2"}, messages=600, size=60_000),
    Hold("TRANSFORM", {"subject_transform": {"src": "transform.>", "dest": "made.>"}}),
    Hold("METADATA", {"metadata": {"owner": "rosey"}}),
    Hold(
        "MULTI",
        {"subjects": ["multi.a.>", "multi.b.>"]},
        {"filter_subjects": ["multi.a.>", "multi.b.>"]},
        subject="multi.a.",
    ),
)
VERSIONS = (
    Change("2.10.7 -> 2.9.25: plain", binary_after="older", held={"a": (PLAIN, BUCKET)}, classes=restart(HARMLESS)),
    Change("2.10.7 -> 2.9.25: compressed", binary_after="older", held={"a": (FEATURES[1],)}, classes=restart(DESTROYS)),
    Change(
        "2.10.7 -> 2.9.25: compressed, small",
        binary_after="older",
        held={"a": (COMPRESSED,)},
        classes=restart(HARMLESS),
    ),
    Change(
        "2.10.7 -> 2.9.25: subject_transform",
        binary_after="older",
        held={"a": (FEATURES[2],)},
        classes=restart(HARMLESS),
    ),
    Change("2.10.7 -> 2.9.25: metadata", binary_after="older", held={"a": (FEATURES[3],)}, classes=restart(HARMLESS)),
    Change(
        "2.10.7 -> 2.9.25: consumer with several filters",
        binary_after="older",
        held={"a": (FEATURES[4],)},
        classes=restart(HARMLESS),
    ),
    Change("2.10.7 -> 2.10.29", binary_after="newer", held={"a": FEATURES}, classes=restart(HARMLESS)),
    Change("2.10.29 -> 2.10.7", binary="newer", binary_after="pinned", held={"a": FEATURES}, classes=restart(HARMLESS)),
    Change("2.10.7 -> 2.11.4", binary_after="next", held={"a": FEATURES}, classes=restart(HARMLESS)),
    Change(
        "2.11.4 -> 2.10.7: nothing new used",
        binary="next",
        binary_after="pinned",
        held={"a": FEATURES},
        classes=restart(HARMLESS),
    ),
    Change(
        "2.11.4 -> 2.10.7: allow_msg_ttl, messages with a TTL",
        binary="next",
        binary_after="pinned",
        held={"a": (Hold("TTL", {"allow_msg_ttl": True}, headers={"Nats-TTL": "1h"}), PLAIN)},
        classes=restart(HARMLESS),
    ),
    Change(
        "2.11.4 -> 2.10.7: subject_delete_marker_ttl",
        binary="next",
        binary_after="pinned",
        held={
            "a": (
                Hold(
                    "MARKER",
                    {
                        "allow_msg_ttl": True,
                        "subject_delete_marker_ttl": 5_000_000_000,
                        "max_age": 3600_000_000_000,
                        "allow_rollup_hdrs": True,
                    },
                ),
                PLAIN,
            )
        },
        classes=restart(HARMLESS),
    ),
    Change(
        "2.11.4 -> 2.10.7: consumer with priority groups",
        binary="next",
        binary_after="pinned",
        held={
            "a": (
                Hold(
                    "GROUPS",
                    consumer={"priority_groups": ["g"], "priority_policy": "overflow"},
                    fetch=False,
                    messages=50,
                ),
                PLAIN,
            )
        },
        classes=restart(HARMLESS),
    ),
    Change(
        "2.11.4 -> 2.10.7: consumer paused",
        binary="next",
        binary_after="pinned",
        held={"a": (Hold("PAUSED", consumer={"pause_until": "2099-01-01T00:00:00Z"}, fetch=False, messages=50), PLAIN)},
        classes=restart(HARMLESS),
    ),
    Change(
        "2.11.4 -> 2.10.7: compressed and encrypted",
        KEY,
        binary="next",
        binary_after="pinned",
        held={"a": STANDARD},
        classes=restart(HARMLESS),
    ),
    Change(
        "2.10.7 -> 2.9.25: encrypted", KEY, binary_after="older", held={"a": (PLAIN, BUCKET)}, classes=restart(HARMLESS)
    ),
    Change(
        "restart of 2.10.29: first_seq",
        binary="newer",
        held={"a": (Hold("FIRST", {"first_seq": 1000}),)},
        classes=restart(HARMLESS),
    ),
    Change(
        "2.10.7 -> 2.10.29: first_seq",
        binary_after="newer",
        held={"a": (Hold("FIRST", {"first_seq": 1000}),)},
        classes=restart(UNDOING_DESTROYS),
    ),
    Change(
        "2.10.29 -> 2.10.7: first_seq",
        binary="newer",
        binary_after="pinned",
        held={"a": (Hold("FIRST", {"first_seq": 1000}),)},
        classes=restart(DESTROYS),
    ),
    Change(
        "2.10.7 -> 2.9.25: interest, consumer with several filters",
        binary_after="older",
        held={
            "a": (
                Hold(
                    "MULTI",
                    {"subjects": ["multi.a.>", "multi.b.>"], "retention": "interest"},
                    {"filter_subjects": ["multi.a.>", "multi.b.>"]},
                    subject="multi.a.",
                    early=True,
                ),
            )
        },
        classes=restart(HARMLESS),
    ),
    Change(
        "2.10.7 -> 2.9.25: first_seq",
        binary_after="older",
        held={"a": (Hold("FIRST", {"first_seq": 1000}),)},
        classes=restart(UNDOING_DESTROYS),
    ),
)

# What becomes of a change that hides where the streams are declared again before it is undone.
DECLARED_CLASSES = {
    "accounts: users of $G moved into APP with jetstream": HIDES,
    "jetstream removed": HIDES,
    "key removed": HIDES,
    "key changed": DESTROYS,
    "max_file below one stream's max_bytes": HIDES,
    "account max_file below reserved": HIDES,
    "account max_bytes_required, a stream without": HIDES,
    "jetstream.limits duplicate_window below a stream's": HIDES,
    "store_dir: another directory": HIDES,
    "store: an empty directory in its place": HIDES,
    "restart: a stream updated to num_replicas 3; undone by create and update": HIDES,
    "max_file: 0": HIDES,
    "account disk_max_stream_bytes below max_bytes": HIDES,
}
TABLE = (*ACCOUNTS, *CLUSTERS, *LIMITS, *ENCRYPTION, *RESTARTS, *OFF, *STORES, *VERSIONS, *TRIO)
DECLARED_AGAIN = tuple(
    replace(each, classes={DECLARED: DECLARED_CLASSES[each.name]}) for each in TABLE if each.name in DECLARED_CLASSES
)

ALL = (*TABLE, *DECLARED_AGAIN)
